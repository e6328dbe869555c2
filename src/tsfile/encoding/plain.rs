//! PLAIN, ZIGZAG and DICTIONARY: values one after another, and texts by their number.
//!
//! ```text
//!  PLAIN       BOOLEAN u8 | INT32, DATE svar | INT64, TIMESTAMP i64 | FLOAT f32 | DOUBLE f64
//!              TEXT, STRING, BLOB svar length, bytes
//!  ZIGZAG      uvar bytes, uvar count, then each value as a zig-zag number in base 128
//!  DICTIONARY  svar count, count x (svar length, bytes), then the numbers as RLE of 32 bits
//! ```
//!
//! Defined by `PlainEncoder`, `IntZigzagEncoder`, `LongZigzagEncoder` and `DictionaryEncoder` of tsfile.

use super::bits::{
    low32, put_length, put_var, put_zigzag, take_length, take_slice, take_var, take_var64,
    take_zigzag,
};
use super::values::Binaries;
use super::{CodecError, Width, rle};

/// Decodes `count` bytes, 1 being true; gives back what follows, as all of them do.
pub(super) fn booleans<'a>(
    mut input: &'a [u8],
    count: usize,
    out: &mut Vec<bool>,
) -> Result<&'a [u8], CodecError> {
    out.extend(take_slice(&mut input, count)?.iter().map(|byte| *byte == 1));
    Ok(input)
}

/// Decodes `count` zig-zag numbers of 32 bits.
pub(super) fn integers<'a>(
    mut input: &'a [u8],
    count: usize,
    out: &mut Vec<i32>,
) -> Result<&'a [u8], CodecError> {
    for _ in 0..count {
        out.push(take_zigzag(&mut input)?);
    }
    Ok(input)
}

/// Decodes `count` numbers of `N` bytes.
pub(super) fn fixed<'a, T, const N: usize>(
    mut input: &'a [u8],
    count: usize,
    from_bytes: impl Fn([u8; N]) -> T,
    out: &mut Vec<T>,
) -> Result<&'a [u8], CodecError> {
    let bytes = take_slice(&mut input, count.saturating_mul(N))?;
    let (chunks, _) = bytes.as_chunks::<N>();
    out.extend(chunks.iter().map(|chunk| from_bytes(*chunk)));
    Ok(input)
}

/// Decodes `count` texts.
pub(super) fn binaries<'a>(
    input: &'a [u8],
    count: usize,
    out: &mut Binaries,
) -> Result<&'a [u8], CodecError> {
    let base = out.hold(input);
    let mut rest = input;
    for _ in 0..count {
        let length = take_length(&mut rest)?;
        let start = base + (input.len() - rest.len());
        take_slice(&mut rest, length)?;
        out.push_place(start, start + length);
    }
    Ok(rest)
}

/// Decodes `count` texts by their numbers.
pub(super) fn dictionary<'a>(
    input: &'a [u8],
    count: usize,
    out: &mut Binaries,
) -> Result<&'a [u8], CodecError> {
    let mut rest = input;
    let entries = take_length(&mut rest)?;
    // A text that is new has a value of its own.
    if entries > count {
        let got = i64::try_from(entries).unwrap_or(i64::MAX);
        return Err(CodecError::Value { what: "count of the dictionary", got });
    }
    let mut places = Vec::with_capacity(entries.min(rest.len()));
    for _ in 0..entries {
        let length = take_length(&mut rest)?;
        let start = input.len() - rest.len();
        take_slice(&mut rest, length)?;
        places.push((start, start + length));
    }
    // What follows the dictionary is of other columns, perhaps, and many.
    let base = out.hold(input.get(..input.len() - rest.len()).unwrap_or_default());
    let mut beyond = None;
    let rest = rle::decode(rest, Width::W32, count, |number| {
        match usize::try_from(number).ok().and_then(|number| places.get(number)) {
            Some((start, end)) => out.push_place(base + start, base + end),
            None => beyond = Some(number),
        }
    })?;
    match beyond {
        Some(number) => Err(CodecError::Value {
            what: "number in the dictionary",
            got: low32(number).cast_signed().into(),
        }),
        None => Ok(rest),
    }
}

/// Decodes `count` zig-zag numbers.
pub(super) fn zigzag(
    mut input: &[u8],
    width: Width,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<&[u8], CodecError> {
    let mut left = count;
    while left > 0 {
        let bytes = take_var(&mut input)?;
        let stated = take_var(&mut input)? as usize;
        let mut block = take_slice(&mut input, bytes as usize)?;
        if stated == 0 {
            return Err(CodecError::Value { what: "count of a block", got: 0 });
        }
        for _ in 0..stated.min(left) {
            let number = match width {
                Width::W32 => take_var(&mut block)?.into(),
                Width::W64 => take_var64(&mut block)?,
            };
            emit((number >> 1) ^ (number & 1).wrapping_neg());
        }
        left -= stated.min(left);
    }
    Ok(input)
}

/// Encodes texts.
pub(super) fn encode_binaries<'a>(values: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for value in values {
        put_length(value.len(), out);
        out.extend_from_slice(value);
    }
}

/// Encodes numbers of 32 bits.
pub(super) fn encode_integers(values: &[i32], out: &mut Vec<u8>) {
    for value in values {
        put_zigzag(*value, out);
    }
}

/// Encodes texts by their number, in the order in which each first appears.
pub(super) fn encode_dictionary<'a>(
    values: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    out: &mut Vec<u8>,
) {
    let mut numbers = std::collections::HashMap::new();
    let mut entries = Vec::new();
    let indexes: Vec<u64> = values
        .map(|value| {
            *numbers.entry(value).or_insert_with(|| {
                entries.push(value);
                entries.len() as u64 - 1
            })
        })
        .collect();
    put_length(entries.len(), out);
    encode_binaries(entries.into_iter(), out);
    rle::encode(Width::W32, indexes.iter().copied(), out);
}

/// Encodes numbers; `values` are sign-extended.
pub(super) fn encode_zigzag(values: impl ExactSizeIterator<Item = i64>, out: &mut Vec<u8>) {
    let count = values.len() as u64;
    let mut block = Vec::new();
    for value in values {
        // The same bytes for both widths: of a sign-extended number the upper bits come out as 0.
        put_var(((value << 1) ^ (value >> 63)).cast_unsigned(), &mut block);
    }
    put_var(block.len() as u64, out);
    put_var(count, out);
    out.extend_from_slice(&block);
}

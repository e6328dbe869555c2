//! GORILLA, and its first version: each value as the bits in which it differs from the one before.
//!
//! ```text
//!  version 2   W bits first value, then for each value x = previous ^ value
//!              0                                   x = 0
//!              10 | W - lead - trail bits          x fits between the last zeros
//!              11 | zeros in front, 5 or 6 bits | length - 1, 5 or 6 bits | x without its zeros
//!              ends with a sentinel value and 1 to 8 more bits
//!  version 1   first value little-endian; lead and trail are zeros of the previous *value*;
//!              the length has 6 or 7 bits and is not less one; ends with NaN
//! ```
//!
//! Defined by `IntGorillaEncoder`, `LongGorillaEncoder`, `SinglePrecisionEncoderV1` and `V2` of tsfile.

use super::bits::{BitReader, BitWriter, low32, take_slice};
use super::{CodecError, Width, wrong};

/// Decodes `count` values; gives back the reader, which stands behind the last of them.
pub(super) fn decode(
    input: &[u8],
    width: Width,
    count: usize,
    emit: impl FnMut(u64),
) -> Result<BitReader<'_>, CodecError> {
    match width {
        Width::W32 => decode_words::<32>(input, count, emit),
        Width::W64 => decode_words::<64>(input, count, emit),
    }
}

fn decode_words<const BITS: u32>(
    input: &[u8],
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<BitReader<'_>, CodecError> {
    let length = const { BITS.trailing_zeros() };
    let mut bits = BitReader::new(input);
    if count == 0 {
        return Ok(bits);
    }
    let mut value = bits.take(BITS)?;
    emit(value);
    let (mut significant, mut trail) = (BITS, 0);
    for _ in 1..count {
        let word = bits.peek();
        if word >> 63 == 0 {
            bits.skip(1);
            emit(value);
            continue;
        }
        if word >> 62 == 2 {
            bits.skip(2);
        } else {
            // Both have at most six bits.
            let lead = low32((word << 2) >> (64 - length));
            significant = low32((word << (2 + length)) >> (64 - length)) + 1;
            trail = (BITS - lead)
                .checked_sub(significant)
                .ok_or_else(|| wrong("significant bits", significant))?;
            bits.skip(2 + 2 * length);
        }
        value ^= bits.take_unchecked(significant) << trail;
        emit(value);
    }
    // Behind the end there are zeros, so the values in between were no more than were asked for.
    bits.check()?;
    Ok(bits)
}

/// Decodes `count` values that stand in front of something else, which is given back.
pub(super) fn decode_within(
    input: &[u8],
    width: Width,
    count: usize,
    emit: impl FnMut(u64),
) -> Result<&[u8], CodecError> {
    let bits = decode(input, width, count + 1, first_of(count, emit))?;
    Ok(input.get(bits.position() / 8 + 1..).unwrap_or_default())
}

/// Passes as many values on: the one behind them is the mark of the end.
pub(super) fn first_of(count: usize, mut emit: impl FnMut(u64)) -> impl FnMut(u64) {
    let mut left = count;
    move |value| {
        if left > 0 {
            emit(value);
            left -= 1;
        }
    }
}

/// Encodes a column with its sentinel.
pub(super) fn encode(
    width: Width,
    sentinel: u64,
    values: impl Iterator<Item = u64>,
    out: &mut Vec<u8>,
) {
    match width {
        Width::W32 => encode_words::<32>(values, sentinel, out),
        Width::W64 => encode_words::<64>(values, sentinel, out),
    }
}

fn encode_words<const BITS: u32>(
    mut values: impl Iterator<Item = u64>,
    sentinel: u64,
    out: &mut Vec<u8>,
) {
    let length = const { BITS.trailing_zeros() };
    let mut bits = BitWriter::new(out);
    let Some(mut previous) = values.next() else {
        bits.put(sentinel, BITS);
        return bits.pad_always();
    };
    bits.put(previous, BITS);
    // Zeros around the last difference that was written with its length.
    let (mut lead, mut trail) = (u32::MAX, 0);
    for value in values.chain([sentinel]) {
        let x = previous ^ value;
        previous = value;
        if x == 0 {
            bits.put(0, 1);
            continue;
        }
        let (front, back) = (x.leading_zeros() - (64 - BITS), x.trailing_zeros());
        if front >= lead && back >= trail {
            bits.put(2, 2);
            bits.put(x >> trail, BITS - lead - trail);
            continue;
        }
        let significant = BITS - front - back;
        // Both numbers fit into their bits: front is less than the width, since x is not 0.
        let head = (3 << length | u64::from(front)) << length | u64::from(significant - 1);
        bits.put(head, 2 + 2 * length);
        bits.put(x >> back, significant);
        (lead, trail) = (front, back);
    }
    bits.pad_always();
}

/// Decodes `count` values of the first version; gives back what follows the last byte of them.
pub(super) fn decode_v1(
    mut input: &[u8],
    width: Width,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<&[u8], CodecError> {
    if count == 0 {
        return Ok(input);
    }
    let first = take_slice(&mut input, width.bytes())?;
    let mut value = first.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte));
    emit(value);
    let mut bits = BitReader::new(input);
    for _ in 1..count {
        if bits.take(1)? == 1 {
            value ^= difference_v1(&mut bits, width, value)?;
        }
        emit(value);
    }
    Ok(bits.rest())
}

fn difference_v1(bits: &mut BitReader<'_>, width: Width, previous: u64) -> Result<u64, CodecError> {
    let (lead, significant) = if bits.take(1)? == 1 {
        let lead = low32(bits.take(width.length_bits())?);
        (lead, low32(bits.take(width.length_bits() + 1)?))
    } else {
        let lead = width.leading_zeros(previous);
        let trail = previous.trailing_zeros().min(width.bits() - lead);
        (lead, width.bits() - lead - trail)
    };
    let trail = (width.bits() - lead)
        .checked_sub(significant)
        .ok_or_else(|| wrong("significant bits", significant))?;
    let x = bits.take(significant)?;
    Ok(x.checked_shl(trail).unwrap_or(0))
}

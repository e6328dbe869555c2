//! `TS_2DIFF`: differences of neighbours, less their minimum, packed. `DeltaBinaryEncoder` of tsfile.
//!
//! ```text
//!  block   i32 count n | i32 width w | least difference | first value | n numbers of w bits
//!                                       4 or 8 bytes      4 or 8 bytes
//! ```
//!
//! A block holds up to 129 values; blocks follow each other to the end of the column. Stock encoders
//! leave garbage in the bits behind the last number.

use super::bits::{BitWriter, low32, packed_bytes, take_array, take_slice, unpack};
use super::{CodecError, Width};

/// Differences of one block of the stock encoder.
const DIFFERENCES_MAX: usize = 128;

/// Decodes up to `count` values, and as many as there are; says how many, and gives back what follows their last block.
pub(super) fn decode(
    mut input: &[u8],
    width: Width,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<(usize, &[u8]), CodecError> {
    let mut left = count;
    while left > 0 && !input.is_empty() {
        let differences = number(&mut input, "difference count", u32::MAX / 2)? as usize;
        let bits = number(&mut input, "bit width", width.bits())?;
        let least = value(&mut input, width)?;
        let mut current = value(&mut input, width)?;
        let packed = take_slice(&mut input, packed_bytes(bits, differences))?;
        emit(current);
        let wanted = differences.min(left - 1);
        unpack(packed, bits, wanted, |difference| {
            current = current.wrapping_add(least).wrapping_add(difference);
            emit(current);
        })?;
        left -= 1 + wanted;
    }
    Ok((count - left, input))
}

fn number(input: &mut &[u8], what: &'static str, max: u32) -> Result<u32, CodecError> {
    let number = u32::from_be_bytes(take_array(input)?);
    if number > max {
        return Err(CodecError::Value { what, got: number.cast_signed().into() });
    }
    Ok(number)
}

/// Only the lowest 32 bits count in the 32-bit flavour, so the sign need not be extended.
fn value(input: &mut &[u8], width: Width) -> Result<u64, CodecError> {
    Ok(match width {
        Width::W32 => u32::from_be_bytes(take_array(input)?).into(),
        Width::W64 => u64::from_be_bytes(take_array(input)?),
    })
}

/// Encodes a column.
pub(super) fn encode<T: Copy + Into<i64>>(width: Width, values: &[T], out: &mut Vec<u8>) {
    match width {
        Width::W32 => encode_words::<T, 32>(values, out),
        Width::W64 => encode_words::<T, 64>(values, out),
    }
}

fn encode_words<T: Copy + Into<i64>, const BITS: u32>(values: &[T], out: &mut Vec<u8>) {
    let mut room = [0; DIFFERENCES_MAX];
    for values in values.chunks(DIFFERENCES_MAX + 1) {
        let Some((first, later)) = values.split_first() else { return };
        let mut least = i64::MAX >> (64 - BITS);
        for ((to, before), value) in room.iter_mut().zip(values).zip(later) {
            *to = wrapped::<BITS>((*value).into().wrapping_sub((*before).into()));
            least = least.min(*to);
        }
        let differences = room.get_mut(..later.len()).unwrap_or_default();
        block::<BITS>((*first).into(), least, differences, out);
    }
}

/// The lowest bits of a number, with their sign.
const fn wrapped<const BITS: u32>(value: i64) -> i64 {
    if BITS == 32 { low32(value.cast_unsigned()).cast_signed() as i64 } else { value }
}

/// Writes a block; the least of no difference is the greatest number that there is.
fn block<const BITS: u32>(first: i64, least: i64, differences: &[i64], out: &mut Vec<u8>) {
    let excess = |difference: i64| {
        let excess = difference.wrapping_sub(least).cast_unsigned();
        if BITS == 32 { excess & 0xffff_ffff } else { excess }
    };
    let all = differences.iter().fold(0, |all, difference| all | excess(*difference));
    let bits = 64 - all.leading_zeros();
    // At most 128.
    out.extend_from_slice(&low32(differences.len() as u64).to_be_bytes());
    out.extend_from_slice(&bits.to_be_bytes());
    for value in [least, first] {
        if BITS == 32 {
            out.extend_from_slice(&low32(value.cast_unsigned()).to_be_bytes());
        } else {
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
    if bits > 0 {
        let mut packed = BitWriter::new(out);
        for difference in differences {
            packed.put(excess(*difference), bits);
        }
        packed.pad();
    }
}

//! RLBE, read only: runs of differences that have the same number of bits. `IntRLBE` and `LongRLBE` of tsfile.
//!
//! ```text
//!  block    u32 count, bits of segments up to a whole byte       up to 10 000 values
//!  segment  6 or 7 bits: length | Fibonacci code of the run | run x length bits
//! ```
//!
//! The first number of a block is its first value, the others are differences. A number as wide as its
//! type is stored without its top bit, which is 1. The Fibonacci code has its digits for 1, 2, 3, 5, 8, ...
//! in this order, and a closing 1.
//!
//! Of floats there are two forms, which nothing in the bytes tells apart: libraries before 2.1 write the bits of differences
//! between floats, which have to be added up as floats and lose digits (`FloatRLBE` and `DoubleRLBE` of 1.1.1); later ones
//! write differences between the bits of floats, as of integers. A file of version 3 has the first form, one of version 4
//! may have either.

use super::bits::{BitReader, low32};
use super::{CodecError, Width};

/// Decodes `count` integers; gives back what follows the last block.
pub(super) fn decode(
    input: &[u8],
    width: Width,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<&[u8], CodecError> {
    let mut value = 0_u64;
    numbers(input, width, count, |number, is_first| {
        value = if is_first { number } else { value.wrapping_add(number) };
        emit(value);
    })
}

/// Decodes `count` floats of the first form.
pub(super) fn decode_floats(
    input: &[u8],
    count: usize,
    list: &mut Vec<f32>,
) -> Result<(), CodecError> {
    let mut value = 0.0;
    numbers(input, Width::W32, count, |number, is_first| {
        let number = f32::from_bits(low32(number));
        value = if is_first { number } else { value + number };
        list.push(value);
    })
    .map(drop)
}

/// Decodes `count` doubles of the first form.
pub(super) fn decode_doubles(
    input: &[u8],
    count: usize,
    list: &mut Vec<f64>,
) -> Result<(), CodecError> {
    let mut value = 0.0;
    numbers(input, Width::W64, count, |number, is_first| {
        let number = f64::from_bits(number);
        value = if is_first { number } else { value + number };
        list.push(value);
    })
    .map(drop)
}

/// Gives the numbers that are stored for `count` values, and whether each is the first of its block.
fn numbers(
    mut input: &[u8],
    width: Width,
    count: usize,
    mut emit: impl FnMut(u64, bool),
) -> Result<&[u8], CodecError> {
    let mut left = count;
    while left > 0 {
        let mut bits = BitReader::new(input);
        let stated = bits.take(32)?;
        let wanted = usize::try_from(stated).map_or(left, |stated| stated.min(left));
        if wanted == 0 {
            return Err(CodecError::Value { what: "count of a block", got: 0 });
        }
        let mut missing = wanted;
        while missing > 0 {
            let length = low32(bits.take(width.length_bits() + 1)?);
            if length > width.bits() {
                return Err(CodecError::Value { what: "bit width", got: length.into() });
            }
            let run = fibonacci(&mut bits)?.min(missing);
            let top = u64::from(length == width.bits()) << (width.bits() - 1);
            for place in 0..run {
                let number = bits.take(length)?;
                emit(number | top, missing == wanted && place == 0);
            }
            missing -= run;
        }
        left -= wanted;
        input = bits.rest();
    }
    Ok(input)
}

/// A number from 1 on.
fn fibonacci(bits: &mut BitReader<'_>) -> Result<usize, CodecError> {
    let (mut weight, mut next_weight) = (1_usize, 2_usize);
    let mut sum = 0_usize;
    let mut was_set = false;
    loop {
        let is_set = bits.take(1)? == 1;
        if is_set && was_set {
            return Ok(sum);
        }
        if is_set {
            sum = sum.saturating_add(weight);
        }
        was_set = is_set;
        (weight, next_weight) = (next_weight, weight.saturating_add(next_weight));
    }
}

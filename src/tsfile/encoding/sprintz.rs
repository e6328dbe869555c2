//! SPRINTZ, read only: blocks of nine values, each predicted from those before (FIRE).
//!
//! ```text
//!  u8 w, top bit set:  w & 7f values follow as one RLE block (integers), or as a GORILLA stream (floats)
//!  otherwise:          first value | eight numbers of w bits, w bytes: the errors of the prediction
//! ```
//!
//! The first value of 32-bit integers is a `uvar`, of all others their big-endian bytes. Defined by
//! `IntSprintzEncoder` and `FireInt` of tsfile and their kin. Its encoder loses large errors: nobody
//! should write it.

use super::bits::{low32, take_array, take_slice, take_var, unpack};
use super::{CodecError, Width, gorilla, rle};

/// Errors in a block.
const ERRORS: usize = 8;

/// Decodes `count` values, `is_float` if they are IEEE bits; gives back what follows the last block.
pub(super) fn decode(
    mut input: &[u8],
    width: Width,
    is_float: bool,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<&[u8], CodecError> {
    let mut left = count;
    while left > 0 {
        let [head] = take_array(&mut input)?;
        let few = usize::from(head & 0x7f);
        if head & 0x80 == 0 {
            let packed_from = |input: &mut &[u8]| first(input, width, is_float);
            let start = packed_from(&mut input)?;
            let packed = take_slice(&mut input, few)?;
            let mut wanted = left.min(1 + ERRORS);
            left -= wanted;
            block(packed, head.into(), width, start, |value| {
                (0..wanted.min(1)).for_each(|_| emit(value));
                wanted = wanted.saturating_sub(1);
            })?;
        } else if few == 0 {
            return Err(CodecError::Value { what: "count of a short block", got: 0 });
        } else {
            let wanted = few.min(left);
            input = if is_float {
                gorilla::decode_within(input, width, wanted, &mut emit)?
            } else {
                rle::decode(input, width, wanted, &mut emit)?
            };
            left -= wanted;
        }
    }
    Ok(input)
}

fn first(input: &mut &[u8], width: Width, is_float: bool) -> Result<u64, CodecError> {
    Ok(match (width, is_float) {
        (Width::W32, false) => take_var(input)?.into(),
        (Width::W32, true) => u32::from_be_bytes(take_array(input)?).into(),
        (Width::W64, _) => u64::from_be_bytes(take_array(input)?),
    })
}

fn block(
    packed: &[u8],
    bits: u32,
    width: Width,
    start: u64,
    mut emit: impl FnMut(u64),
) -> Result<(), CodecError> {
    if bits > width.bits() {
        return Err(CodecError::Value { what: "bit width", got: bits.into() });
    }
    emit(start);
    let mut fire = Fire { width, rate: 0, delta: 0, previous: signed(width, start) };
    unpack(packed, bits, ERRORS, |number| {
        emit(fire.next(signed(width, number)).cast_unsigned());
    })
}

/// A number of the width as a signed one.
const fn signed(width: Width, value: u64) -> i64 {
    match width {
        Width::W32 => low32(value).cast_signed() as i64,
        Width::W64 => value.cast_signed(),
    }
}

/// Predicts that the next difference is like the last one, times a rate that it learns.
struct Fire {
    width: Width,
    rate: i32,
    delta: i64,
    previous: i64,
}

impl Fire {
    fn next(&mut self, number: i64) -> i64 {
        // 2 e - 1 stands for e above 0, -2 e for the others.
        let error = if number % 2 == 0 {
            self.cut((number / 2).wrapping_neg())
        } else {
            self.cut(number.wrapping_add(1)) / 2
        };
        let (shift, fraction) = match self.width {
            Width::W32 => (2, 8),
            Width::W64 => (3, 16),
        };
        let predicted =
            self.cut(i64::from(self.rate >> shift).wrapping_mul(self.delta)) >> fraction;
        let value = self.cut(self.previous.wrapping_add(predicted).wrapping_add(error));
        let gradient = if error > 0 { self.delta.wrapping_neg() } else { self.delta };
        self.rate = self.rate.wrapping_sub(low32(gradient.cast_unsigned()).cast_signed());
        self.delta = self.cut(value.wrapping_sub(self.previous));
        self.previous = value;
        value
    }

    const fn cut(&self, value: i64) -> i64 {
        signed(self.width, value.cast_unsigned())
    }
}

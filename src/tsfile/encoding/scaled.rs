//! Floats as integers, for RLE and `TS_2DIFF`; read only, because digits are lost. `FloatEncoder` of tsfile.
//!
//! ```text
//!  uvar decimals | value x 10^decimals, rounded, as 32-bit (FLOAT) or 64-bit integers (DOUBLE)
//!
//!  if not all values fit (only tsfile 2.1 and later)
//!  uvar 7fffffff | uvar n | bitmap A, n / 8 + 1 bytes | the form above      values without a bit are not scaled
//!  uvar 7ffffffe | uvar n | bitmap A | bitmap B | the form above           values with a bit in B are IEEE bits
//! ```
//!
//! Both bitmaps have their first value in the least significant bit.

use super::CodecError;
use super::bits::{take_slice, take_var};

const SOME_UNSCALED: u32 = 0x7fff_ffff;
const SOME_RAW: u32 = 0x7fff_fffe;
/// More decimals than any double has.
const DECIMALS_MAX: u32 = 400;

/// How the integers of a column become floats.
#[derive(Debug)]
pub(super) struct Scale<'a> {
    factor: f64,
    scaled: Option<&'a [u8]>,
    raw: Option<&'a [u8]>,
}

/// What an integer stands for.
pub(super) enum Meaning {
    /// The number, divided by this.
    Divided(f64),
    /// The bits of a float.
    Bits,
}

impl<'a> Scale<'a> {
    /// Takes the head off a column.
    pub(super) fn take(input: &mut &'a [u8]) -> Result<Self, CodecError> {
        let mut decimals = take_var(input)?;
        let (mut scaled, mut raw) = (None, None);
        if decimals == SOME_UNSCALED || decimals == SOME_RAW {
            let bitmap_bytes = take_var(input)? as usize / 8 + 1;
            scaled = Some(take_slice(input, bitmap_bytes)?);
            if decimals == SOME_RAW {
                raw = Some(take_slice(input, bitmap_bytes)?);
            }
            decimals = take_var(input)?;
        }
        if decimals > DECIMALS_MAX {
            return Err(CodecError::Value { what: "decimals", got: decimals.into() });
        }
        let factor = 10_f64.powi(decimals.cast_signed());
        Ok(Self { factor, scaled, raw })
    }

    /// What the integer at this place stands for.
    #[inline]
    pub(super) fn meaning(&self, place: usize) -> Meaning {
        let bit = |bitmap: &[u8]| {
            bitmap.get(place / 8).is_some_and(|byte| (byte >> (place % 8)) & 1 == 1)
        };
        if self.raw.is_some_and(bit) {
            Meaning::Bits
        } else if self.scaled.is_none_or(bit) {
            Meaning::Divided(self.factor)
        } else {
            Meaning::Divided(1.0)
        }
    }
}

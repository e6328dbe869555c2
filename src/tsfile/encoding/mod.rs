//! Encodings: a column of values of one page to bytes and back.
//!
//! ```text
//!  decode(type, encoding, bytes, count) --> Values      count is known: from the times, or the bitmap
//!  decode_front(the same)               --> Values, and what follows them
//!  decode_times(encoding, bytes)        --> times       until their end
//!  encode(type, encoding, values)       --> bytes
//!
//!  plain.rs     PLAIN, ZIGZAG, DICTIONARY        gorilla.rs  GORILLA, GORILLA_V1
//!  rle.rs       RLE                              chimp.rs    CHIMP
//!  ts2diff.rs   TS_2DIFF                         sprintz.rs  SPRINTZ
//!  scaled.rs    RLE and TS_2DIFF of floats       rlbe.rs     RLBE
//! ```
//!
//! Each decoder is driven by the number of values, never by an end mark, and stops after it: what follows
//! in the bytes is not looked at. Memory grows with that number only. What Apache's encoders write is
//! written to the bit, but for garbage that theirs leave in unused bits.

pub(crate) mod bits;
mod chimp;
mod encode;
mod gorilla;
mod plain;
mod rlbe;
mod rle;
mod scaled;
mod sprintz;
#[cfg(test)]
mod tests;
mod ts2diff;
mod values;

use std::fmt;

use thiserror::Error;

use self::bits::low32;
pub use self::encode::{encode, encode_times};
use self::scaled::{Meaning, Scale};
pub use self::values::{Binaries, Values};
use crate::data::DataType;

/// How the values of a page are written (`TSEncoding` of tsfile).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// As they are; 32-bit integers as zig-zag numbers.
    Plain = 0,
    /// Texts by their number.
    Dictionary = 1,
    /// Runs and packed groups; of floats with a loss of digits.
    Rle = 2,
    /// Packed differences; of floats with a loss of digits.
    Ts2Diff = 4,
    /// The first version of `Gorilla`; only old files have it.
    GorillaV1 = 6,
    /// Differences of bits.
    Gorilla = 8,
    /// Numbers of variable length.
    Zigzag = 9,
    /// `Gorilla` that looks further back.
    Chimp = 11,
    /// Errors of a prediction.
    Sprintz = 12,
    /// Runs of differences of equal length.
    Rlbe = 13,
}

impl Encoding {
    /// All that occur, by code.
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::Dictionary,
        Self::Rle,
        Self::Ts2Diff,
        Self::GorillaV1,
        Self::Gorilla,
        Self::Zigzag,
        Self::Chimp,
        Self::Sprintz,
        Self::Rlbe,
    ];

    /// The encoding with this code; `None` for those that no released server writes.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.code() == code)
    }

    /// The byte in a chunk header.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in statements and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Dictionary => "DICTIONARY",
            Self::Rle => "RLE",
            Self::Ts2Diff => "TS_2DIFF",
            Self::GorillaV1 => "GORILLA_V1",
            Self::Gorilla => "GORILLA",
            Self::Zigzag => "ZIGZAG",
            Self::Chimp => "CHIMP",
            Self::Sprintz => "SPRINTZ",
            Self::Rlbe => "RLBE",
        }
    }

    /// Whether [`encode`] takes it for values of this type: what loses digits, and what only old files
    /// have, is read only.
    pub const fn is_written_for(self, data_type: DataType) -> bool {
        match data_type {
            DataType::Boolean => matches!(self, Self::Plain | Self::Rle),
            DataType::Int32 | DataType::Date | DataType::Int64 | DataType::Timestamp => {
                !matches!(self, Self::Dictionary | Self::GorillaV1 | Self::Sprintz | Self::Rlbe)
            }
            DataType::Float | DataType::Double => {
                matches!(self, Self::Plain | Self::Gorilla | Self::Chimp)
            }
            DataType::Text | DataType::String | DataType::Blob | DataType::Object => {
                matches!(self, Self::Plain | Self::Dictionary)
            }
        }
    }

    /// What a stock server takes for a type unless told otherwise; none of them loses a bit.
    pub const fn default_for(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Rle,
            DataType::Int32 | DataType::Date | DataType::Int64 | DataType::Timestamp => {
                Self::Ts2Diff
            }
            DataType::Float | DataType::Double => Self::Gorilla,
            DataType::Text | DataType::String | DataType::Blob | DataType::Object => Self::Plain,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a column cannot be decoded or encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The bytes end before the last value.
    #[error("the column ends before its last value")]
    End,
    /// A number of variable length is too long, or a length negative.
    #[error("a number in the column is too long or negative")]
    Number,
    /// A number that cannot be.
    #[error("{what} cannot be {got}")]
    Value {
        /// The field.
        what: &'static str,
        /// What stands there.
        got: i64,
    },
    /// More points than a page may have.
    #[error("the page has more than {max} points")]
    Points {
        /// The limit.
        max: usize,
    },
    /// An encoding that is not for this type, or that is only read.
    #[error("encoding {encoding} is not for values of type {data_type:?}")]
    Unsupported {
        /// The encoding.
        encoding: Encoding,
        /// The type; `None` for times.
        data_type: Option<DataType>,
    },
}

/// The error for a number that cannot be.
fn wrong(what: &'static str, got: impl Into<i64>) -> CodecError {
    CodecError::Value { what, got: got.into() }
}

/// Whether integers have 32 or 64 bits: most encodings come in two flavours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    W32,
    W64,
}

impl Width {
    const fn bits(self) -> u32 {
        match self {
            Self::W32 => 32,
            Self::W64 => 64,
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::W32 => 4,
            Self::W64 => 8,
        }
    }

    /// Bits in which a number of zeros is written.
    const fn length_bits(self) -> u32 {
        match self {
            Self::W32 => 5,
            Self::W64 => 6,
        }
    }

    const fn leading_zeros(self, value: u64) -> u32 {
        value.leading_zeros() - (64 - self.bits())
    }
}

/// Decodes `count` values and appends them to `out`, which must be a column for the type.
///
/// # Errors
/// [`CodecError`]; `out` may hold some of the values then.
pub fn decode(
    data_type: DataType,
    encoding: Encoding,
    input: &[u8],
    count: usize,
    out: &mut Values,
) -> Result<(), CodecError> {
    decode_at(Place::Alone, data_type, encoding, input, count, out).map(drop)
}

/// As [`decode`], for a column that stands in front of something else, which is given back; its encoder was told that it
/// ends. RLBE of floats has the form of version 4.
///
/// # Errors
/// As [`decode`].
pub fn decode_front<'a>(
    data_type: DataType,
    encoding: Encoding,
    input: &'a [u8],
    count: usize,
    out: &mut Values,
) -> Result<&'a [u8], CodecError> {
    decode_at(Place::InFront, data_type, encoding, input, count, out)
}

/// What stands behind a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing that is asked for.
    Alone,
    /// Something that is given back: the column is read to its mark of the end.
    InFront,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "each type has few of the encodings")]
fn decode_at<'a>(
    place: Place,
    data_type: DataType,
    encoding: Encoding,
    input: &'a [u8],
    count: usize,
    out: &mut Values,
) -> Result<&'a [u8], CodecError> {
    let unsupported = CodecError::Unsupported { encoding, data_type: Some(data_type) };
    match out {
        Values::Booleans(list) => match encoding {
            Encoding::Plain => plain::booleans(input, count, list),
            Encoding::Rle => {
                list.reserve(count);
                rle::decode(input, Width::W32, count, |value| list.push(value != 0))
            }
            _ => Err(unsupported),
        },
        Values::Integers(list) if encoding == Encoding::Plain => {
            plain::integers(input, count, list)
        }
        Values::Integers(list) => {
            list.reserve(count);
            let emit = |value| list.push(low32(value).cast_signed());
            words(place, encoding, input, Width::W32, count, emit)?.ok_or(unsupported)
        }
        Values::Longs(list) if encoding == Encoding::Plain => {
            plain::fixed(input, count, i64::from_be_bytes, list)
        }
        Values::Longs(list) => {
            list.reserve(count);
            let emit = |value: u64| list.push(value.cast_signed());
            words(place, encoding, input, Width::W64, count, emit)?.ok_or(unsupported)
        }
        Values::Floats(list) => floats(place, encoding, input, count, list)?.ok_or(unsupported),
        Values::Doubles(list) => doubles(place, encoding, input, count, list)?.ok_or(unsupported),
        Values::Binaries(list) => match encoding {
            Encoding::Plain => plain::binaries(input, count, list),
            Encoding::Dictionary => plain::dictionary(input, count, list),
            _ => Err(unsupported),
        },
    }
}

/// As [`decode`], for what a file of version 3 has in another form: floats in RLBE.
///
/// # Errors
/// As [`decode`].
pub fn decode_v3(
    data_type: DataType,
    encoding: Encoding,
    input: &[u8],
    count: usize,
    out: &mut Values,
) -> Result<(), CodecError> {
    match (encoding, &mut *out) {
        (Encoding::Rlbe, Values::Floats(list)) => rlbe::decode_floats(input, count, list),
        (Encoding::Rlbe, Values::Doubles(list)) => rlbe::decode_doubles(input, count, list),
        _ => decode(data_type, encoding, input, count, out),
    }
}

/// Decodes integers, and gives back what follows them; `None` if the encoding is not for them.
fn words(
    place: Place,
    encoding: Encoding,
    input: &[u8],
    width: Width,
    count: usize,
    emit: impl FnMut(u64),
) -> Result<Option<&[u8]>, CodecError> {
    let rest = match encoding {
        Encoding::Rle => rle::decode(input, width, count, emit)?,
        Encoding::Ts2Diff => match ts2diff::decode(input, width, count, emit)? {
            (got, rest) if got == count => rest,
            _ => return Err(CodecError::End),
        },
        Encoding::Zigzag => plain::zigzag(input, width, count, emit)?,
        Encoding::Gorilla | Encoding::Chimp => {
            return bit_patterns(place, encoding, input, width, count, emit);
        }
        Encoding::Sprintz => sprintz::decode(input, width, false, count, emit)?,
        Encoding::Rlbe => rlbe::decode(input, width, count, emit)?,
        Encoding::Plain | Encoding::Dictionary | Encoding::GorillaV1 => return Ok(None),
    };
    Ok(Some(rest))
}

fn floats<'a>(
    place: Place,
    encoding: Encoding,
    mut input: &'a [u8],
    count: usize,
    list: &mut Vec<f32>,
) -> Result<Option<&'a [u8]>, CodecError> {
    if encoding == Encoding::Plain {
        return plain::fixed(input, count, f32::from_be_bytes, list).map(Some);
    }
    list.reserve(count);
    if matches!(encoding, Encoding::Rle | Encoding::Ts2Diff) {
        let scale = Scale::take(&mut input)?;
        let mut number = 0;
        let emit = |value| {
            let integer = low32(value).cast_signed();
            list.push(match scale.meaning(number) {
                Meaning::Bits => f32::from_bits(integer.cast_unsigned()),
                Meaning::Divided(factor) => nearest(f64::from(integer) / factor),
            });
            number += 1;
        };
        return words(place, encoding, input, Width::W32, count, emit);
    }
    let emit = |value| list.push(f32::from_bits(low32(value)));
    bit_patterns(place, encoding, input, Width::W32, count, emit)
}

fn doubles<'a>(
    place: Place,
    encoding: Encoding,
    mut input: &'a [u8],
    count: usize,
    list: &mut Vec<f64>,
) -> Result<Option<&'a [u8]>, CodecError> {
    if encoding == Encoding::Plain {
        return plain::fixed(input, count, f64::from_be_bytes, list).map(Some);
    }
    list.reserve(count);
    if matches!(encoding, Encoding::Rle | Encoding::Ts2Diff) {
        let scale = Scale::take(&mut input)?;
        let mut number = 0;
        let emit = |value: u64| {
            list.push(match scale.meaning(number) {
                Meaning::Bits => f64::from_bits(value),
                Meaning::Divided(factor) => as_double(value.cast_signed()) / factor,
            });
            number += 1;
        };
        return words(place, encoding, input, Width::W64, count, emit);
    }
    let emit = |value| list.push(f64::from_bits(value));
    bit_patterns(place, encoding, input, Width::W64, count, emit)
}

/// Decodes IEEE bits, or what is taken for them, and gives back what follows; `None` if the encoding is not for floats. RLBE
/// of them has two forms that only version 3 tells apart: in a file it is refused.
fn bit_patterns(
    place: Place,
    encoding: Encoding,
    input: &[u8],
    width: Width,
    count: usize,
    emit: impl FnMut(u64),
) -> Result<Option<&[u8]>, CodecError> {
    let rest = match (encoding, place) {
        (Encoding::Gorilla, Place::Alone) => gorilla::decode(input, width, count, emit)?.rest(),
        (Encoding::Gorilla, Place::InFront) => gorilla::decode_within(input, width, count, emit)?,
        (Encoding::GorillaV1, Place::Alone) => gorilla::decode_v1(input, width, count, emit)?,
        (Encoding::GorillaV1, Place::InFront) => {
            gorilla::decode_v1(input, width, count + 1, gorilla::first_of(count, emit))?
        }
        (Encoding::Chimp, Place::Alone) => chimp::decode(input, width, count, emit)?.rest(),
        (Encoding::Chimp, Place::InFront) => chimp::decode_within(input, width, count, emit)?,
        (Encoding::Sprintz, _) => sprintz::decode(input, width, true, count, emit)?,
        (Encoding::Rlbe, Place::InFront) => rlbe::decode(input, width, count, emit)?,
        (
            Encoding::Plain
            | Encoding::Dictionary
            | Encoding::Rle
            | Encoding::Ts2Diff
            | Encoding::Zigzag
            | Encoding::Rlbe,
            _,
        ) => return Ok(None),
    };
    Ok(Some(rest))
}

#[expect(clippy::cast_possible_truncation, reason = "a double is rounded to a float on purpose")]
const fn nearest(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_precision_loss, reason = "as the encoder's own division does")]
pub(super) const fn as_double(value: i64) -> f64 {
    value as f64
}

/// Decodes times to the end of their column and appends them to `out`.
///
/// # Errors
/// [`CodecError`]: also if there are more than `max`.
pub fn decode_times(
    encoding: Encoding,
    input: &[u8],
    max: usize,
    out: &mut Vec<i64>,
) -> Result<(), CodecError> {
    let too_many = Err(CodecError::Points { max });
    match encoding {
        Encoding::Ts2Diff => {
            // A time takes 16 bits and more in most pages, a few bits in regular ones.
            out.reserve((input.len() / 2).min(max));
            let emit = |value: u64| out.push(value.cast_signed());
            if ts2diff::decode(input, Width::W64, max + 1, emit)?.0 > max {
                return too_many;
            }
            Ok(())
        }
        Encoding::Plain => match input.len() / 8 {
            count if count > max => too_many,
            count => plain::fixed(input, count, i64::from_be_bytes, out).map(drop),
        },
        Encoding::Dictionary
        | Encoding::Rle
        | Encoding::GorillaV1
        | Encoding::Gorilla
        | Encoding::Zigzag
        | Encoding::Chimp
        | Encoding::Sprintz
        | Encoding::Rlbe => Err(CodecError::Unsupported { encoding, data_type: None }),
    }
}

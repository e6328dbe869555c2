//! Values to bytes.

#![expect(clippy::wildcard_enum_match_arm, reason = "each type has few of the encodings")]

use super::{Binaries, CodecError, Encoding, Values, Width, chimp, gorilla, plain, rle, ts2diff};

/// Encodes times as `TS_2DIFF`, which every reader expects, and appends them to `out`.
pub fn encode_times(times: &[i64], out: &mut Vec<u8>) {
    ts2diff::encode(Width::W64, times, out);
}

/// Encodes a column and appends it to `out`.
///
/// # Errors
/// [`CodecError::Unsupported`]: an encoding that is not for the type, that loses digits, or that is read only.
pub fn encode(encoding: Encoding, values: &Values, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let done = match values {
        Values::Booleans(list) => encode_booleans(encoding, list, out),
        Values::Integers(list) => encode_integers(encoding, list, out),
        Values::Longs(list) => encode_longs(encoding, list, out),
        Values::Floats(list) => {
            let words = list.iter().map(|value| u64::from(value.to_bits()));
            encode_floats(encoding, Width::W32, u64::from(FLOAT_END), words, out)
        }
        Values::Doubles(list) => {
            let words = list.iter().map(|value| value.to_bits());
            encode_floats(encoding, Width::W64, DOUBLE_END, words, out)
        }
        Values::Binaries(list) => encode_binaries(encoding, list, out),
    };
    done.ok_or(CodecError::Unsupported { encoding, data_type: None })
}

fn encode_binaries(encoding: Encoding, list: &Binaries, out: &mut Vec<u8>) -> Option<()> {
    match encoding {
        Encoding::Plain => plain::encode_binaries(list.iter(), out),
        Encoding::Dictionary => plain::encode_dictionary(list.iter(), out),
        _ => return None,
    }
    Some(())
}

fn encode_booleans(encoding: Encoding, list: &[bool], out: &mut Vec<u8>) -> Option<()> {
    let words = list.iter().map(|value| u64::from(*value));
    match encoding {
        Encoding::Plain => out.extend(list.iter().map(|value| u8::from(*value))),
        Encoding::Rle => rle::encode(Width::W32, words, out),
        _ => return None,
    }
    Some(())
}

fn encode_integers(encoding: Encoding, list: &[i32], out: &mut Vec<u8>) -> Option<()> {
    let words = list.iter().map(|value| u64::from(value.cast_unsigned()));
    let numbers = list.iter().map(|value| i64::from(*value));
    match encoding {
        Encoding::Plain => plain::encode_integers(list, out),
        Encoding::Rle => rle::encode(Width::W32, words, out),
        Encoding::Ts2Diff => ts2diff::encode(Width::W32, list, out),
        Encoding::Zigzag => plain::encode_zigzag(numbers, out),
        Encoding::Gorilla => gorilla::encode(Width::W32, INTEGER_END, words, out),
        Encoding::Chimp => chimp::encode(Width::W32, INTEGER_END, words, out),
        _ => return None,
    }
    Some(())
}

fn encode_longs(encoding: Encoding, list: &[i64], out: &mut Vec<u8>) -> Option<()> {
    let words = list.iter().map(|value| value.cast_unsigned());
    match encoding {
        Encoding::Plain => out.extend(list.iter().flat_map(|value| value.to_be_bytes())),
        Encoding::Rle => rle::encode(Width::W64, words, out),
        Encoding::Ts2Diff => ts2diff::encode(Width::W64, list, out),
        Encoding::Zigzag => plain::encode_zigzag(list.iter().copied(), out),
        Encoding::Gorilla => gorilla::encode(Width::W64, LONG_END, words, out),
        Encoding::Chimp => chimp::encode(Width::W64, LONG_END, words, out),
        _ => return None,
    }
    Some(())
}

fn encode_floats(
    encoding: Encoding,
    width: Width,
    sentinel: u64,
    words: impl Iterator<Item = u64>,
    out: &mut Vec<u8>,
) -> Option<()> {
    match encoding {
        Encoding::Plain => {
            for word in words {
                out.extend(word.to_be_bytes().into_iter().skip(8 - width.bytes()));
            }
        }
        Encoding::Gorilla => gorilla::encode(width, sentinel, words, out),
        Encoding::Chimp => chimp::encode(width, sentinel, words, out),
        _ => return None,
    }
    Some(())
}

/// Values that end a column of GORILLA or CHIMP: the least integer, and NaN.
const INTEGER_END: u64 = 0x8000_0000;
const LONG_END: u64 = 0x8000_0000_0000_0000;
const FLOAT_END: u32 = 0x7fc0_0000;
const DOUBLE_END: u64 = 0x7ff8_0000_0000_0000;

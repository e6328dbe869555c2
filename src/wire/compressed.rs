//! Compressed requests: type 300.
//!
//! ```text
//!  | i8 count | count x ( i8 compressor | i32 bytes before this step ) | result of the last step |
//!
//!  inner payload --step 1--> ... --step count--> data          undone from the last to the first
//! ```
//!
//! | id | name | bytes |
//! |---|---|---|
//! | 0 | snappy | raw block: length as var-int, no frame |
//! | 1 | gzip | RFC 1952 |
//! | 2 | lz4 | raw block, no length |
//! | 3 | zstd | frame |
//! | 4 | lzma2 | .xz container |
//!
//! Defined by `PipeTransferCompressedReq` and the `PipeCompressor` classes. The inner payload is a whole
//! request, version and type included. A stated size is checked against the limit before memory is taken
//! for it, and the bytes have to come out at exactly that size: what would be more (a bomb) is an error
//! after as many bytes as were stated. What the codecs take is said in [`crate::data::compressor`].

use thiserror::Error;

use super::bytes::{Reader, WireError, Writer};
pub use crate::data::compressor::{Compressor, CompressorError, ZSTD_LEVEL};
use crate::limits;

/// One step that the sender applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Id of the method; an unknown one is found when the step is undone.
    pub id: i8,
    /// Bytes before the step.
    pub stated_bytes: u32,
}

/// A decoded type 300; its data lies in the request's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressed<'a> {
    /// The steps in the order in which they were applied.
    pub steps: heapless::Vec<Step, { limits::WRAPPERS_MAX }>,
    /// Result of the last step; without a step the inner payload itself.
    pub bytes: &'a [u8],
}

impl<'a> Compressed<'a> {
    /// Reads the body of a type 300, to its end.
    ///
    /// # Errors
    /// [`WireError`] if a field is missing, a size negative, or there are more than
    /// [`limits::WRAPPERS_MAX`] steps.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let offset = reader.offset();
        let count = reader.i8("compressor count")?;
        let mut steps = heapless::Vec::new();
        for _ in 0..count {
            let id = reader.i8("compressor")?;
            let stated = reader.count(limits::COMPRESSED_BYTES_MAX, "uncompressed size")?;
            let stated_bytes = u32::try_from(stated).unwrap_or(u32::MAX);
            let too_many = |_| WireError::Length {
                what: "compressor count",
                offset,
                max: limits::WRAPPERS_MAX,
                got: i64::from(count),
            };
            steps.push(Step { id, stated_bytes }).map_err(too_many)?;
        }
        if count < 0 {
            let (what, expected) = ("compressor count", "a number not below 0");
            return Err(WireError::Value { what, offset, expected, got: i64::from(count) });
        }
        Ok(Self { steps, bytes: reader.take(reader.left(), "compressed data")? })
    }

    /// Writes the body.
    pub fn write(&self, writer: &mut Writer<'_>) {
        // Not above WRAPPERS_MAX.
        writer.u8(u8::try_from(self.steps.len()).unwrap_or(u8::MAX));
        for step in &self.steps {
            writer.i8(step.id);
            writer.put(&step.stated_bytes.to_be_bytes());
        }
        writer.put(self.bytes);
    }

    /// Largest buffer that undoing needs, in bytes.
    pub fn buffer_bytes(&self) -> usize {
        let stated = self.steps.iter().map(|step| step.stated_bytes).max().unwrap_or_default();
        usize::try_from(stated).unwrap_or(usize::MAX)
    }

    /// Undoes all steps; returns the inner payload. `out` and, if there are several steps, `spare` are
    /// replaced and grow to the stated sizes; each of these is at most `max`.
    ///
    /// # Errors
    /// [`CompressedError`]. All stated sizes are checked before the first step.
    pub fn undo<'b>(
        &self,
        out: &'b mut Vec<u8>,
        spare: &'b mut Vec<u8>,
        max: usize,
    ) -> Result<&'b [u8], CompressedError>
    where
        'a: 'b,
    {
        let stated_bytes = self.buffer_bytes();
        if stated_bytes > max {
            return Err(CompressedError::TooLong { stated_bytes, max });
        }
        let Some((last, earlier)) = self.steps.split_last() else { return Ok(self.bytes) };
        undo_step(*last, self.bytes, out)?;
        for step in earlier.iter().rev() {
            std::mem::swap(out, spare);
            undo_step(*step, spare, out)?;
        }
        Ok(out)
    }
}

fn undo_step(step: Step, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressedError> {
    let compressor =
        Compressor::from_id(step.id).ok_or(CompressedError::Unknown { id: step.id })?;
    compressor.undo(input, usize::try_from(step.stated_bytes).unwrap_or(usize::MAX), out)?;
    Ok(())
}

/// Compresses a payload and replaces `out` by the body of a type 300; `spare` is scratch.
///
/// # Errors
/// [`CompressedError::TooManySteps`], or what [`Compressor::apply`] says.
pub fn compress(
    compressors: &[Compressor],
    payload: &[u8],
    out: &mut Vec<u8>,
    spare: &mut Vec<u8>,
) -> Result<(), CompressedError> {
    compress_at(ZSTD_LEVEL, compressors, payload, out, spare)
}

/// The same, with another level for zstd.
///
/// # Errors
/// As [`compress`].
pub fn compress_at(
    zstd_level: i32,
    compressors: &[Compressor],
    payload: &[u8],
    out: &mut Vec<u8>,
    spare: &mut Vec<u8>,
) -> Result<(), CompressedError> {
    let too_many = CompressedError::TooManySteps { count: compressors.len() };
    let mut steps = heapless::Vec::<Step, { limits::WRAPPERS_MAX }>::new();
    spare.clear();
    spare.extend_from_slice(payload);
    for compressor in compressors {
        let Ok(stated_bytes) = u32::try_from(spare.len()) else { return Err(too_many) };
        if steps.push(Step { id: compressor.id(), stated_bytes }).is_err() {
            return Err(too_many);
        }
        compressor.apply_at(zstd_level, spare, out)?;
        std::mem::swap(out, spare);
    }
    let mut writer = Writer::into_vec(out, usize::MAX);
    Compressed { steps, bytes: spare }.write(&mut writer);
    writer.finish()?;
    Ok(())
}

/// Why a compressed request cannot be undone. The peer's doing, but for a lack of memory.
#[derive(Debug, Error)]
pub enum CompressedError {
    /// A method that nobody knows.
    #[error("compressor {id} is unknown, expected 0 to 4")]
    Unknown {
        /// The id that stands in the request.
        id: i8,
    },
    /// A stated size is above the limit.
    #[error("uncompressed size of {stated_bytes} bytes is above the limit of {max}")]
    TooLong {
        /// The stated size.
        stated_bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A step cannot be undone.
    #[error(transparent)]
    Codec(#[from] CompressorError),
    /// More methods in a row than [`limits::WRAPPERS_MAX`].
    #[error("{count} compressors in a row, at most {} are taken", limits::WRAPPERS_MAX)]
    TooManySteps {
        /// How many were asked for.
        count: usize,
    },
    /// The request itself is malformed.
    #[error(transparent)]
    Wire(#[from] WireError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The inner payload of the specification: a type 5.
    const INNER: &[u8] = b"\x01\0\x05\0\0\0\x08a.tsfile\0\0\0\0\0\0\0\x07";

    fn read(body: &[u8]) -> Result<Compressed<'_>, WireError> {
        Compressed::read(&mut Reader::new(body))
    }

    fn undone(body: &[u8], max: usize) -> Result<Vec<u8>, CompressedError> {
        let (mut out, mut spare) = (Vec::new(), Vec::new());
        Ok(read(body)?.undo(&mut out, &mut spare, max)?.to_vec())
    }

    fn compressed(compressors: &[Compressor], payload: &[u8]) -> Vec<u8> {
        let (mut out, mut spare) = (Vec::new(), Vec::new());
        compress(compressors, payload, &mut out, &mut spare).expect("fits");
        out
    }

    #[test]
    fn the_requests_of_the_specification_are_undone() {
        let plain = [&[0], INNER].concat();
        assert_eq!(undone(&plain, 0).expect("plain"), INNER);
        assert_eq!(compressed(&[], INNER), plain);
        let snappy = [b"\x01\0\0\0\0\x17\x17\x58", INNER].concat();
        assert_eq!(undone(&snappy, 23).expect("legal"), INNER);
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 64);
        read(&snappy).expect("legal").write(&mut writer);
        assert_eq!(writer.finish(), Ok(31));
        assert_eq!(out, snappy);
    }

    #[test]
    fn a_stated_size_is_checked_before_memory_is_taken() {
        for compressor in Compressor::ALL {
            let body = compressed(&[compressor], &[7; 5000]);
            let (mut out, mut spare) = (Vec::new(), Vec::new());
            let outcome = read(&body).expect("legal").undo(&mut out, &mut spare, 4999).err();
            assert!(matches!(
                outcome,
                Some(CompressedError::TooLong { stated_bytes: 5000, max: 4999 })
            ));
            assert_eq!(out.capacity() + spare.capacity(), 0);
        }
    }

    #[test]
    fn sizes_that_were_not_stated_are_refused() {
        for compressor in Compressor::ALL {
            for payload_bytes in [0, 1, 100_000] {
                assert_eq!(sizes_taken(compressor, payload_bytes), [payload_bytes]);
            }
        }
    }

    /// Which of several stated sizes are taken for a payload.
    fn sizes_taken(compressor: Compressor, payload_bytes: usize) -> Vec<usize> {
        let mut out = Vec::new();
        compressor.apply(&vec![7; payload_bytes], &mut out).expect("fits");
        let is_taken = |stated_bytes: &usize| {
            let mut inner = Vec::new();
            let outcome = compressor.undo(&out, *stated_bytes, &mut inner);
            assert!(inner.capacity() <= *stated_bytes);
            outcome.is_ok()
        };
        [0, 1, 99_999, 100_000, 100_001].into_iter().filter(is_taken).collect()
    }

    #[test]
    fn five_steps_and_unknown_methods_are_refused() {
        assert!(matches!(
            read(&[5, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]),
            Err(WireError::Length { what: "compressor count", offset: 0, max: 4, got: 5 })
        ));
        assert!(read(&[0xff]).is_err());
        assert!(read(&[1, 0, 0x7f, 0xff, 0xff, 0xff]).is_err());
        let error = undone(&[1, 5, 0, 0, 0, 1, 0], 64).err();
        assert!(matches!(error, Some(CompressedError::Unknown { id: 5 })));
        let error = compress(&[Compressor::Lz4; 5], INNER, &mut Vec::new(), &mut Vec::new()).err();
        assert!(matches!(error, Some(CompressedError::TooManySteps { count: 5 })));
    }

    #[test]
    fn names_are_those_of_the_attribute() {
        for compressor in Compressor::ALL {
            assert_eq!(Compressor::from_name(compressor.name()), Some(compressor));
            assert_eq!(Compressor::from_id(compressor.id()), Some(compressor));
        }
        assert_eq!(Compressor::from_name("LZ4"), Some(Compressor::Lz4));
        assert_eq!(Compressor::from_name("lzo"), None);
        assert_eq!(Compressor::from_id(-1), None);
    }

    proptest! {
        #[test]
        fn chains_round_trip(
            chain in proptest::collection::vec(
                proptest::sample::select(&Compressor::ALL[..]), 0..=4),
            payload in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let body = compressed(&chain, &payload);
            // Short payloads grow.
            prop_assert_eq!(undone(&body, payload.len() + 8000).expect("legal"), payload);
        }

        #[test]
        fn no_data_panics(
            compressor in proptest::sample::select(&Compressor::ALL[..]),
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            stated_bytes in 0_usize..1000,
        ) {
            let _outcome = compressor.undo(&bytes, stated_bytes, &mut Vec::new());
        }

        #[test]
        fn no_flipped_bit_panics(
            compressor in proptest::sample::select(&Compressor::ALL[..]),
            bit in 0_usize..4000,
        ) {
            let mut bytes = Vec::new();
            compressor.apply(&[7; 600], &mut bytes).expect("fits");
            let place = bit % (bytes.len() * 8);
            bytes[place / 8] ^= 1 << (place % 8);
            let _outcome = compressor.undo(&bytes, 600, &mut Vec::new());
        }
    }
}

//! Undoing what is too large for memory, by portions.

use std::fmt;
use std::io::{self, BufRead, Read};

use super::block::{Block, Lz4, Snappy};
use super::{Compressor, LZMA_MEMORY_BYTES_MAX, ZSTD_WINDOW_LOG_MAX};

/// What one step undoes to: exactly the stated bytes, or an error. The end has to be read, too: only there
/// checksums are compared, and what is left over is found.
pub struct Undone<R: BufRead> {
    codec: Codec<R>,
    /// Of the stated bytes.
    left: u64,
}

enum Codec<R: BufRead> {
    Snappy(Block<R, Snappy>),
    Gzip(flate2::bufread::MultiGzDecoder<R>),
    Lz4(Block<R, Lz4>),
    Zstd(zstd::Decoder<'static, R>),
    Lzma2(liblzma::bufread::XzDecoder<R>),
}

impl Compressor {
    /// Undoes one step by portions: what `input` becomes, which has to be `stated_bytes`.
    ///
    /// # Errors
    /// Here a lack of memory; while reading, those of `input` and
    /// [`InvalidData`](io::ErrorKind::InvalidData) or [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    pub fn reader<R: BufRead>(self, input: R, stated_bytes: u64) -> io::Result<Undone<R>> {
        let codec = match self {
            Self::Snappy => Codec::Snappy(Block::new(input, Snappy::new(stated_bytes))),
            Self::Gzip => Codec::Gzip(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Lz4 => Codec::Lz4(Block::new(input, Lz4::default())),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Codec::Zstd(decoder)
            }
            Self::Lzma2 => {
                let memory = LZMA_MEMORY_BYTES_MAX;
                let stream = liblzma::stream::Stream::new_stream_decoder(memory, 0)?;
                Codec::Lzma2(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
        };
        Ok(Undone { codec, left: stated_bytes })
    }
}

impl<R: BufRead> Codec<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Snappy(block) => block.read(into),
            Self::Gzip(decoder) => decoder.read(into),
            Self::Lz4(block) => block.read(into),
            Self::Zstd(decoder) => decoder.read(into),
            Self::Lzma2(decoder) => {
                let count = decoder.read(into)?;
                // It ends with its stream, the others with their input.
                if count == 0 && !decoder.get_mut().fill_buf()?.is_empty() {
                    return Err(flawed("bytes behind the end of stream"));
                }
                Ok(count)
            }
        }
    }
}

impl<R: BufRead> Read for Undone<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let count = self.codec.read(into)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| flawed("more bytes than stated"))?;
        if count == 0 && self.left > 0 {
            return Err(flawed("fewer bytes than stated"));
        }
        Ok(count)
    }
}

impl<R: BufRead> fmt::Debug for Undone<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Undone").field("left", &self.left).finish_non_exhaustive()
    }
}

fn flawed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    fn undone(compressor: Compressor, input: &[u8], stated_bytes: usize) -> Option<Vec<u8>> {
        // Every boundary of the input is met.
        let input = BufReader::with_capacity(7, input);
        let mut out = Vec::new();
        compressor.reader(input, stated_bytes as u64).ok()?.read_to_end(&mut out).ok()?;
        Some(out)
    }

    fn applied(compressor: Compressor, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compressor.apply(payload, &mut out).unwrap();
        out
    }

    /// Text that repeats itself, near and far.
    fn long() -> Vec<u8> {
        (0_u32..60_000).flat_map(|at| (at.wrapping_mul(at) >> 7 & 0x3fff).to_le_bytes()).collect()
    }

    #[test]
    fn what_was_compressed_comes_out_at_the_stated_size_only() {
        for compressor in Compressor::ALL {
            for payload in [Vec::new(), vec![7], vec![7; 300_000], long()] {
                let input = applied(compressor, &payload);
                let bytes = payload.len();
                assert!(undone(compressor, &input, bytes).unwrap() == payload, "{compressor:?}");
                assert_eq!(undone(compressor, &input, bytes + 1), None, "{compressor:?} {bytes}");
                let fewer =
                    bytes.checked_sub(1).and_then(|bytes| undone(compressor, &input, bytes));
                assert_eq!(fewer, None, "{compressor:?} {bytes}");
            }
        }
    }

    #[test]
    fn cut_off_and_continued_bytes_are_refused() {
        for compressor in Compressor::ALL {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(1000).collect();
            let mut input = applied(compressor, &payload);
            for end in 0..input.len() {
                let outcome = undone(compressor, &input[..end], payload.len());
                assert_eq!(outcome, None, "{compressor:?} {end}");
            }
            input.push(0x55);
            assert_eq!(undone(compressor, &input, payload.len()), None, "{compressor:?}");
        }
    }

    #[test]
    fn a_window_above_the_limit_is_refused() {
        let frame = |log: u32| {
            let mut encoder = zstd::bulk::Compressor::new(1).unwrap();
            encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(log)).unwrap();
            encoder.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false)).unwrap();
            encoder.compress(&vec![7; 1 << log]).unwrap()
        };
        let is_read = |log: u32| undone(Compressor::Zstd, &frame(log), 1 << log).is_some();
        assert!(is_read(ZSTD_WINDOW_LOG_MAX));
        assert!(!is_read(ZSTD_WINDOW_LOG_MAX + 1));
    }

    proptest! {
        #[test]
        fn by_portions_and_at_once_is_the_same(
            compressor in proptest::sample::select(&Compressor::ALL[..]),
            payload in proptest::collection::vec(0_u8..4, 0..3000),
            flip in proptest::option::of(0_usize..24_000),
        ) {
            let mut input = applied(compressor, &payload);
            if let Some(bit) = flip {
                let bit = bit % (input.len() * 8);
                input[bit / 8] ^= 1 << (bit % 8);
            }
            let mut whole = Vec::new();
            let whole = compressor.undo(&input, payload.len(), &mut whole).ok().map(|()| whole);
            let portions = undone(compressor, &input, payload.len());
            // Without a checksum a flip may go unseen, but by both alike.
            prop_assert_eq!(portions, whole);
        }
    }
}

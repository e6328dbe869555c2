//! Compressors of bytes, for requests on the wire and for pages of files alike.
//!
//! | name | bytes |
//! |---|---|
//! | snappy | raw block: length as var-int, no frame |
//! | gzip | RFC 1952 |
//! | lz4 | raw block, no length |
//! | zstd | frame |
//! | lzma2 | .xz container |
//!
//! The bytes have to come out at exactly the size that was stated: what would be more (a bomb) is an error
//! after as many bytes as were stated. [`Compressor::undo`] writes straight into the caller's buffer;
//! besides it lzma2 takes [`LZMA_MEMORY_BYTES_MAX`], the others less than 256 KiB. [`Compressor::reader`]
//! undoes what is too large for memory: zstd takes a window of at most 2^[`ZSTD_WINDOW_LOG_MAX`] bytes then.

mod block;
mod reader;

use std::io::{self, Read};

use thiserror::Error;

pub use reader::Undone;

/// What undoing lzma2 may take: a dictionary of 8 MiB, as of preset 6, which stock peers use.
pub const LZMA_MEMORY_BYTES_MAX: u64 = 9 * 1024 * 1024 + 512 * 1024;
/// Preset of our own lzma2: a dictionary of 1 MiB, more than an entry, for 9 MiB of memory.
const LZMA_PRESET: u32 = 1;
/// Largest window of a zstd frame that is undone by portions, as power of two: 32 MiB. Level 3, which
/// stock peers use, makes one of 2 MiB; the highest levels make one as large as what they compress.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 25;
/// Level of our own zstd unless another is asked for: the library's default, as of stock peers.
pub const ZSTD_LEVEL: i32 = 3;

/// One of the five methods; the numbers are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum Compressor {
    /// Raw Snappy block.
    Snappy = 0,
    /// Gzip members.
    Gzip = 1,
    /// Raw LZ4 block.
    Lz4 = 2,
    /// Zstandard frames.
    Zstd = 3,
    /// An .xz stream.
    Lzma2 = 4,
}

impl Compressor {
    /// All five, by id.
    pub const ALL: [Self; 5] = [Self::Snappy, Self::Gzip, Self::Lz4, Self::Zstd, Self::Lzma2];

    /// The method that `id` stands for.
    pub fn from_id(id: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|compressor| compressor.id() == id)
    }

    /// The number on the wire.
    pub const fn id(self) -> i8 {
        self as i8
    }

    /// The method of a name in `sink.compressor`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compressor| compressor.name().eq_ignore_ascii_case(name))
    }

    /// The name in `sink.compressor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Lzma2 => "lzma2",
        }
    }

    /// Undoes one step: replaces `out` by the `stated_bytes` that `input` has to become.
    ///
    /// # Errors
    /// [`CompressorError::Flawed`] or [`CompressorError::SizeDiffers`]; `out` holds garbage then.
    pub fn undo(
        self,
        input: &[u8],
        stated_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressorError> {
        // What it holds is written over, or the size would differ: only what it grows by is cleared.
        out.reserve_exact(stated_bytes.saturating_sub(out.len()));
        out.resize(stated_bytes, 0);
        let flawed = |source| CompressorError::Flawed { compressor: self, source };
        let got = match self {
            Self::Snappy => undo_snappy(input, out),
            Self::Gzip => undo_gzip(input, out),
            Self::Lz4 => lz4_flex::block::decompress_into(input, out).map_err(io::Error::other),
            Self::Zstd => zstd::bulk::decompress_to_buffer(input, out.as_mut_slice()),
            Self::Lzma2 => undo_lzma2(input, out),
        };
        match got.map_err(flawed)? {
            got if got == stated_bytes => Ok(()),
            got => Err(CompressorError::SizeDiffers { compressor: self, stated_bytes, got }),
        }
    }

    /// Applies one step: replaces `out` by the compressed `input`.
    ///
    /// # Errors
    /// [`CompressorError::Flawed`] if the codec fails, which only a lack of memory explains.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressorError> {
        self.apply_at(ZSTD_LEVEL, input, out)
    }

    /// The same, with another level for zstd.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_at(
        self,
        zstd_level: i32,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressorError> {
        let length = self.apply_over(zstd_level, input, out)?;
        out.truncate(length);
        Ok(())
    }

    /// The same, but what the buffer holds behind the compressed bytes is left there, so that nothing has to be cleared
    /// the next time; says how many they are.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_over(
        self,
        zstd_level: i32,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, CompressorError> {
        let done = match self {
            Self::Snappy => {
                widen(out, snap::raw::max_compress_len(input.len()));
                snap::raw::Encoder::new().compress(input, out).map_err(io::Error::other)
            }
            Self::Gzip => apply_gzip(input, out),
            Self::Lz4 => {
                widen(out, lz4_flex::block::get_maximum_output_size(input.len()));
                lz4_flex::block::compress_into(input, out).map_err(io::Error::other)
            }
            Self::Zstd => {
                widen(out, zstd::zstd_safe::compress_bound(input.len()));
                zstd::bulk::compress_to_buffer(input, out.as_mut_slice(), zstd_level)
            }
            Self::Lzma2 => apply_lzma2(input, out),
        };
        done.map_err(|source| CompressorError::Flawed { compressor: self, source })
    }
}

/// Makes a buffer as long as this at least.
fn widen(out: &mut Vec<u8>, bytes: usize) {
    if out.len() < bytes {
        out.resize(bytes, 0);
    }
}

/// Why bytes cannot be undone or compressed. Their maker's doing, but for a lack of memory.
#[derive(Debug, Error)]
pub enum CompressorError {
    /// The bytes did not come out at the stated size.
    #[error("{compressor:?} gave {got} bytes, {stated_bytes} were stated")]
    SizeDiffers {
        /// The method.
        compressor: Compressor,
        /// The stated size.
        stated_bytes: usize,
        /// Bytes that came out.
        got: usize,
    },
    /// The bytes are not what the method makes, or more would come out than was stated.
    #[error("{compressor:?} data is flawed: {source}")]
    Flawed {
        /// The method.
        compressor: Compressor,
        /// What the codec says.
        source: io::Error,
    },
}

fn undo_snappy(input: &[u8], out: &mut [u8]) -> io::Result<usize> {
    snap::raw::Decoder::new().decompress(input, out).map_err(io::Error::other)
}

fn undo_gzip(input: &[u8], out: &mut [u8]) -> io::Result<usize> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(input);
    let mut filled = 0;
    while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
        match decoder.read(room)? {
            0 => return Ok(filled),
            count => filled += count,
        }
    }
    // The end has to be reached: only there the checksum is compared.
    match decoder.read(&mut [0])? {
        0 => Ok(filled),
        _ => Err(more_than_stated()),
    }
}

fn apply_gzip(input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    out.clear();
    let level = flate2::Compression::default();
    flate2::bufread::GzEncoder::new(input, level).read_to_end(out)
}

fn undo_lzma2(input: &[u8], out: &mut [u8]) -> io::Result<usize> {
    let mut stream = liblzma::stream::Stream::new_stream_decoder(LZMA_MEMORY_BYTES_MAX, 0)?;
    run_lzma2(&mut stream, input, out)
}

fn apply_lzma2(input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    let check = liblzma::stream::Check::Crc64;
    let mut stream = liblzma::stream::Stream::new_easy_encoder(LZMA_PRESET, check)?;
    // Incompressible data is stored in chunks of 64 KiB with a few bytes each.
    out.resize(input.len() + input.len() / 1024 + 1024, 0);
    run_lzma2(&mut stream, input, out)
}

fn run_lzma2(
    stream: &mut liblzma::stream::Stream,
    input: &[u8],
    out: &mut [u8],
) -> io::Result<usize> {
    let status = stream.process(input, out, liblzma::stream::Action::Finish)?;
    if status != liblzma::stream::Status::StreamEnd {
        return Err(more_than_stated());
    }
    if usize::try_from(stream.total_in()) != Ok(input.len()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes behind the end of stream"));
    }
    usize::try_from(stream.total_out()).map_err(io::Error::other)
}

fn more_than_stated() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "cut off, or more bytes than stated")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_off_and_continued_bytes_are_refused() {
        for compressor in Compressor::ALL {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(1000).collect();
            let mut whole = Vec::new();
            compressor.apply(&payload, &mut whole).expect("fits");
            let mut inner = Vec::new();
            for end in 0..whole.len() {
                let outcome = compressor.undo(&whole[..end], payload.len(), &mut inner);
                assert!(outcome.is_err(), "{compressor:?} {end}");
            }
            whole.push(0x55);
            let outcome = compressor.undo(&whole, payload.len(), &mut inner);
            assert!(outcome.is_err(), "{compressor:?}");
        }
    }

    #[test]
    fn a_dictionary_above_the_limit_is_refused() {
        let stream = |preset| {
            let check = liblzma::stream::Check::Crc64;
            let mut stream =
                liblzma::stream::Stream::new_easy_encoder(preset, check).expect("fits");
            let mut out = vec![0; 1024];
            let length = run_lzma2(&mut stream, &[7; 100], &mut out).expect("fits");
            out.truncate(length);
            Compressor::Lzma2.undo(&out, 100, &mut Vec::new())
        };
        assert!(stream(6).is_ok());
        assert!(stream(9).is_err());
    }
}

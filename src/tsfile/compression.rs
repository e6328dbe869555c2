//! Compressors of pages, by their numbers in files; the codecs are shared with the wire.

use crate::data::compressor::{Compressor, CompressorError, ZSTD_LEVEL};

/// How the pages of a chunk are compressed (`CompressionType` of tsfile).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// By one of the codecs.
    By(Compressor),
}

impl Compression {
    /// All that occur.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::By(Compressor::Snappy),
        Self::By(Compressor::Gzip),
        Self::By(Compressor::Lz4),
        Self::By(Compressor::Zstd),
        Self::By(Compressor::Lzma2),
    ];
    /// What a stock server takes unless told otherwise.
    pub const DEFAULT: Self = Self::By(Compressor::Lz4);

    /// The byte in a chunk header.
    pub const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::By(Compressor::Snappy) => 1,
            Self::By(Compressor::Gzip) => 2,
            Self::By(Compressor::Lz4) => 7,
            Self::By(Compressor::Zstd) => 8,
            Self::By(Compressor::Lzma2) => 9,
        }
    }

    /// The compressor with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.code() == code)
    }

    /// The name in statements and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "UNCOMPRESSED",
            Self::By(Compressor::Snappy) => "SNAPPY",
            Self::By(Compressor::Gzip) => "GZIP",
            Self::By(Compressor::Lz4) => "LZ4",
            Self::By(Compressor::Zstd) => "ZSTD",
            Self::By(Compressor::Lzma2) => "LZMA2",
        }
    }

    /// The body of a page of `bytes`: what is stored itself, or `out`, which is replaced.
    ///
    /// # Errors
    /// What the codec says, or that the size is another.
    pub fn undo<'a>(
        self,
        stored: &'a [u8],
        bytes: usize,
        out: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], CompressorError> {
        match self {
            Self::None => Ok(stored),
            Self::By(compressor) => {
                compressor.undo(stored, bytes, out)?;
                Ok(out)
            }
        }
    }

    /// Puts the bytes to store for a page's body at the start of `out`, and says how many they are; `out` may be longer.
    /// Nothing is left to be wanted of `body`, which may be exchanged for it.
    ///
    /// # Errors
    /// What the codec says.
    pub fn apply(self, body: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<usize, CompressorError> {
        match self {
            Self::None => {
                std::mem::swap(body, out);
                Ok(out.len())
            }
            Self::By(compressor) => compressor.apply_over(ZSTD_LEVEL, body, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back() {
        let body = b"abcabcabcabcabcabc".repeat(20);
        for compression in Compression::ALL {
            assert_eq!(Compression::from_code(compression.code()), Some(compression));
            let (mut out, mut back) = (Vec::new(), Vec::new());
            let bytes = compression.apply(&mut body.clone(), &mut out).expect("fits");
            let stored = out[..bytes].to_vec();
            assert_eq!(compression.undo(&stored, body.len(), &mut back).expect("sound"), body);
            if compression != Compression::None {
                assert!(stored.len() < body.len());
                assert!(compression.undo(&stored, body.len() + 1, &mut Vec::new()).is_err());
            }
        }
        assert_eq!([3, 4, 5, 6, 10].map(Compression::from_code), [None; 5]);
    }
}

//! What can be wrong with a file.

use std::io;

use thiserror::Error;

use super::encoding::CodecError;
use crate::data::compressor::CompressorError;

/// Why a file is not a sound `TsFile`. Offsets count from the start of the file.
#[derive(Debug, Error)]
pub enum TsFileError {
    /// The file could not be read: the disk's doing, and no flaw of the file.
    #[error("reading at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// What the disk says.
        source: io::Error,
    },
    /// Too short to be complete.
    #[error("file has {bytes} bytes, at least {min} expected")]
    Short {
        /// Bytes of the file.
        bytes: u64,
        /// Bytes that the smallest file has.
        min: u64,
    },
    /// No magic where one has to be: not a `TsFile`, or one that was never finished.
    #[error("expected \"TsFile\" at byte {offset}, got {:?}", String::from_utf8_lossy(got))]
    Magic {
        /// Where it should stand.
        offset: u64,
        /// What stands there.
        got: [u8; 6],
    },
    /// A number out of its range.
    #[error("{what} at byte {offset}: expected {min} to {max}, got {got}")]
    Value {
        /// The field.
        what: &'static str,
        /// Where it stands.
        offset: u64,
        /// Smallest legal value.
        min: i128,
        /// Largest legal value.
        max: i128,
        /// The value that stands there.
        got: i128,
    },
    /// A field that does not end where its block does.
    #[error("{what} at byte {offset} reaches beyond the end of its block at {end}")]
    Beyond {
        /// The field.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// Where the block ends.
        end: u64,
    },
    /// A variable-length number of more than 32 bits.
    #[error("{what} at byte {offset} has more than 32 bits")]
    Number {
        /// The field.
        what: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// A kind of thing that this program does not know, or does not take.
    #[error("{what} {got} at byte {offset} is unknown")]
    Unknown {
        /// The field.
        what: &'static str,
        /// Where it stands.
        offset: u64,
        /// The code that stands there.
        got: u8,
    },
    /// More than what is taken into memory at one time.
    #[error("{what} at byte {offset} has {got} bytes, at most {max} are read")]
    Large {
        /// The field.
        what: &'static str,
        /// Where it stands.
        offset: u64,
        /// Its bytes.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// A name that is not UTF-8.
    #[error("{what} at byte {offset} is not UTF-8")]
    Text {
        /// The field.
        what: &'static str,
        /// Where it stands.
        offset: u64,
    },
    /// An index node, or a run of series, that does not begin with the key that leads to it.
    #[error("what stands at byte {offset} does not begin with the key that leads to it")]
    FirstKey {
        /// Where it stands.
        offset: u64,
    },
    /// An index whose nodes lead to the same bytes again and again.
    #[error(
        "the index leads to the same bytes again and again: {max} bytes were read up to byte {offset}"
    )]
    Shared {
        /// Where the walk ended.
        offset: u64,
        /// Bytes that are read at most.
        max: u64,
    },
    /// A chunk of another series, or of another type, than the index says.
    #[error("the chunk at byte {offset} is of another series or type than the index says")]
    OtherChunk {
        /// Where it stands.
        offset: u64,
    },
    /// A page that cannot be decoded.
    #[error("page at byte {offset}: {source}")]
    Codec {
        /// Where the page's header stands.
        offset: u64,
        /// What is wrong.
        source: CodecError,
    },
    /// A page that cannot be decompressed.
    #[error("page at byte {offset}: {source}")]
    Compressed {
        /// Where the page's header stands.
        offset: u64,
        /// What is wrong.
        source: CompressorError,
    },
    /// Bytes of the metadata block after its last field.
    #[error("{left} bytes left at byte {offset} of the metadata block")]
    Trailing {
        /// Where the last field ended.
        offset: u64,
        /// Bytes that follow.
        left: u64,
    },
}

impl TsFileError {
    /// Where it is, in bytes from the start of the file.
    pub const fn offset(&self) -> u64 {
        match self {
            Self::Read { offset, .. }
            | Self::Magic { offset, .. }
            | Self::Value { offset, .. }
            | Self::Beyond { offset, .. }
            | Self::Number { offset, .. }
            | Self::Unknown { offset, .. }
            | Self::Large { offset, .. }
            | Self::Text { offset, .. }
            | Self::FirstKey { offset }
            | Self::Shared { offset, .. }
            | Self::OtherChunk { offset }
            | Self::Codec { offset, .. }
            | Self::Compressed { offset, .. }
            | Self::Trailing { offset, .. } => *offset,
            Self::Short { bytes, .. } => *bytes,
        }
    }
}

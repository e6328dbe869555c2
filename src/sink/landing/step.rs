//! What a step of landing comes to.

use thiserror::Error;

use crate::data::Sequence;
use crate::tsfile::TsFileError;
use crate::wire::piece::FileNameError;

/// What a step did.
#[derive(Debug)]
pub enum Step {
    /// There is nothing to do now.
    Idle,
    /// A part of something; there is more.
    Worked,
    /// A file lies under its name, for good.
    Landed {
        /// The entry.
        sequence: Sequence,
        /// Path below the landing directory.
        name: String,
        /// Bytes, with those of its mods.
        bytes: u64,
    },
    /// An entry stays in the spool.
    Held {
        /// The entry.
        sequence: Sequence,
        /// Why.
        why: Held,
    },
    /// The directory's limit is reached: nothing happens before files were fetched.
    Full {
        /// Bytes of the entry that waits.
        needed: u64,
        /// Bytes that lie there.
        present: u64,
        /// The limit.
        max_bytes: u64,
    },
}

/// Why an entry is not landed.
#[derive(Debug, Error)]
pub enum Held {
    /// A tablet, a plan or a snapshot: no file that could lie here.
    #[error("not a TsFile: for pipes")]
    NotAFile,
    /// Its name cannot be a file's name.
    #[error(transparent)]
    Name(#[from] FileNameError),
    /// Its bytes are not those of a complete `TsFile`.
    #[error("flawed: {0}")]
    Flawed(TsFileError),
    /// The spool's copy is not what was taken in.
    #[error("{name}: blake3 is {got}, was {expected} when it was taken in")]
    Hash {
        /// The file.
        name: String,
        /// What was taken in.
        expected: blake3::Hash,
        /// What is read now.
        got: blake3::Hash,
    },
    /// The spool's copy is missing, or has another length than when it was taken in.
    #[error(
        "{name}: the spool's copy is gone, or does not have the {bytes} bytes that were taken in"
    )]
    Gone {
        /// The file.
        name: String,
        /// What was taken in.
        bytes: u64,
    },
}

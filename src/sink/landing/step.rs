//! What a step of landing comes to.

use std::io;

use thiserror::Error;

use super::What;
use crate::data::Sequence;
use crate::tsfile::TsFileError;
use crate::twin::Conflict;

/// What a step did.
#[derive(Debug)]
pub enum Step {
    /// There is nothing to do now.
    Idle,
    /// A part of something; there is more.
    Worked,
    /// What was taken in lies under its name, or stands in the ledger, for good.
    Landed(Box<Landed>),
    /// The files of an entry cannot be landed. Put them aside, then call
    /// [`Landing::put_aside`](super::Landing::put_aside): nothing else happens before.
    Unfit {
        /// The entry.
        sequence: Sequence,
        /// The file and its flaw.
        why: String,
        /// It has no flaw, but so many bytes, which the directory's limit never admits.
        needed: Option<u64>,
    },
    /// The directory's limit is reached: nothing happens before files were fetched.
    Full {
        /// Bytes of what waits.
        needed: u64,
        /// Bytes that lie there.
        present: u64,
        /// So many of them are ledgers that are full, which nobody but their reader removes.
        ledgers: u64,
        /// The limit.
        max_bytes: u64,
    },
}

/// What has landed.
#[derive(Debug)]
pub struct Landed {
    /// First and last entry.
    pub sequences: (Sequence, Sequence),
    /// What came of them.
    pub what: What,
    /// Files, without those that belong to others.
    pub files: usize,
    /// Path of the last one below the landing directory; `None` for what is only a line of the ledger.
    pub name: Option<String>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Points in them, as far as they were counted.
    pub points: u64,
    /// Why it is not landed as it should be.
    pub why: Option<String>,
    /// Series that came with more than one type: the first of them.
    pub conflicts: Vec<Conflict>,
    /// How many there are in all.
    pub conflict_count: u64,
}

/// Why the files of an entry are not landed.
#[derive(Debug, Error)]
pub(super) enum Unfit {
    /// Its bytes are not those of a complete `TsFile`.
    #[error("{name}: flawed: {flaw}")]
    Flawed {
        /// The file.
        name: String,
        /// What is wrong with it.
        flaw: TsFileError,
    },
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
    /// The disk does not give the spool's copy back, again and again.
    #[error("{name}: cannot be read: {error}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the disk said last.
        error: io::Error,
    },
    /// It is larger than all that may lie in the directory.
    #[error("{name}: {needed} bytes, and [landing] max_bytes is {max_bytes}")]
    TooLarge {
        /// The file, or the last of several.
        name: String,
        /// Bytes of all of them.
        needed: u64,
        /// What may lie there.
        max_bytes: u64,
    },
    /// The spool has dropped the entry, which waited to be landed.
    #[error("dropped from the spool before it was landed (drop-oldest)")]
    Dropped,
    /// The entry does not say which files it has.
    #[error("its list of files cannot be read, or names none")]
    Files,
}

//! What a step of landing comes to.

use std::io;

use thiserror::Error;

use super::What;
use crate::data::Sequence;
use crate::tsfile::TsFileError;

/// What a step did.
#[derive(Debug)]
pub enum Step {
    /// There is nothing to do now.
    Idle,
    /// A part of something; there is more.
    Worked,
    /// What was taken in lies under its name, or stands in the ledger, for good.
    Landed {
        /// The entry.
        sequence: Sequence,
        /// What came of it.
        what: What,
        /// Path below the landing directory; `None` for what is only a line of the ledger.
        name: Option<String>,
        /// Bytes of its files.
        bytes: u64,
    },
    /// A tablet stays in the spool.
    Held {
        /// The entry.
        sequence: Sequence,
    },
    /// The files of an entry cannot be landed. Put them aside, then call
    /// [`Landing::put_aside`](super::Landing::put_aside): nothing else happens before.
    Unfit {
        /// The entry.
        sequence: Sequence,
        /// The file and its flaw.
        why: String,
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
    /// The entry does not say which files it has.
    #[error("its list of files cannot be read, or names none")]
    Files,
}

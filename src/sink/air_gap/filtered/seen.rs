//! What becomes of an entry at a filter.

use std::io;

use crate::pipe::source::Verdict;
use crate::sink::cuts::MadeFile;
use crate::spool::{EntryHeader, ReadError};

/// What an entry is to the sink.
#[derive(Debug)]
pub(super) enum Seen {
    As(Verdict),
    /// A file is sent in its place.
    Cut(MadeFile),
    /// It is not what was taken in, whoever reads it: why.
    Rotten(String),
}

/// The entry that the sink has.
#[derive(Debug, Clone)]
pub(super) struct Current {
    /// As the feed has it.
    pub(super) entry: EntryHeader,
    /// As the sink has it.
    pub(super) header: EntryHeader,
    pub(super) is_part: bool,
    /// What is sent in place of its file.
    pub(super) made: Option<MadeFile>,
    /// Why it can never be sent.
    pub(super) objection: Option<String>,
    /// It is not what was taken in.
    pub(super) is_rotten: bool,
}

/// The same entry and the same filter leave another part.
pub(super) fn not_again() -> ReadError {
    ReadError::Disk {
        operation: "cut the same part again",
        path: "spool".into(),
        source: io::ErrorKind::InvalidData.into(),
    }
}

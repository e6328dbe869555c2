//! Why `SKIP` did not take an entry out of a pipe's line.

use std::io;

use thiserror::Error;

use crate::data::Sequence;
use crate::spool::ReadError;

/// Why an entry was not skipped.
#[derive(Debug, Error)]
pub enum SkipError {
    /// The pipe is done with it.
    #[error("entry {sequence} does not wait: it was sent, or skipped before")]
    Past {
        /// The entry.
        sequence: Sequence,
    },
    /// Nothing has come under this number.
    #[error("there is no entry {sequence}: the next one to come is {next}")]
    NotYet {
        /// The entry.
        sequence: Sequence,
        /// The next one.
        next: Sequence,
    },
    /// It was damaged, or given up: no pipe stops at it.
    #[error("entry {sequence} is not there any more, and keeps nothing from being sent")]
    Gone {
        /// The entry.
        sequence: Sequence,
    },
    /// The cursor notes no more gaps.
    #[error(
        "too many entries were skipped behind entry {position}, which still waits: skip that first"
    )]
    TooMany {
        /// The first that waits.
        position: Sequence,
    },
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be put among the dead letters.
    #[error("it cannot be kept as a dead letter: {0}")]
    Keep(io::Error),
}

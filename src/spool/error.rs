//! What can go wrong, by culprit: no room, misuse, flawed bytes, a disk that fails.

use std::io;
use std::path::{Path, PathBuf};

use crate::data::Sequence;
use crate::spool::{LinkId, PartialId};

/// There is no room now; the same call may succeed when consumers have gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("spool full: {needed} bytes needed, {available} available of {limit}")]
pub struct Full {
    /// Bytes that the call needs.
    pub needed: u64,
    /// Bytes that may be written now.
    pub available: u64,
    /// Bytes that the quota allows at most, were the spool empty. If `needed` is larger, waiting does not help.
    pub limit: u64,
}

/// The disk failed. The process has to stop: record it ([`Spool::record_fatal`](super::Spool::record_fatal)) and exit.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path}: {source}")]
pub struct Fatal {
    /// What was being done.
    pub operation: &'static str,
    /// To which file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// The caller asked for something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// No such partial (any more).
    #[error("partial {0:?} does not exist")]
    UnknownPartial(PartialId),
    /// No such consumer (any more).
    #[error("consumer does not exist")]
    UnknownConsumer,
    /// A write behind the end of a partial, or a cut beyond it.
    #[error("offset {offset} is beyond the {bytes} bytes of the partial")]
    Gap {
        /// Where the caller wanted to write or cut.
        offset: u64,
        /// Where the partial ends.
        bytes: u64,
    },
    /// A file that is sealed has another length than was said.
    #[error("partial has {bytes} bytes, {expected} expected")]
    Length {
        /// Bytes that are there.
        bytes: u64,
        /// Bytes that were said.
        expected: u64,
    },
    /// A table of fixed size is full.
    #[error("no more than {max} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// A name that cannot be a file name here.
    #[error("name {0:?} is empty, too long or has a path in it")]
    Name(String),
    /// An entry of this kind does not come by this call.
    #[error("wrong kind of entry for this call")]
    Kind,
    /// A position beyond the log, or behind where the consumer has been.
    #[error("position {0} is out of range")]
    Position(Sequence),
    /// The link spoke of a request that is unknown on it.
    #[error("link {0:?} has no request")]
    Link(LinkId),
}

/// Why an entry was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No room.
    #[error(transparent)]
    Full(#[from] Full),
    /// The payload is larger than an entry may be; it belongs into the file store.
    #[error("payload of {bytes} bytes, at most {max}")]
    TooLarge {
        /// Bytes of the payload.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// An identity of this node with a sequence that it has not given yet, or given to something else: another box has
    /// our identity.
    #[error(
        "sequence {0} of our own origin is not ours: this box or its peer is a clone, run `new-id`"
    )]
    Cloned(Sequence),
    /// The spool is in state `failing` and takes nothing.
    #[error("the spool is read-only")]
    ReadOnly,
    /// A bug of the caller.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The disk failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why an operation on a partial failed.
#[derive(Debug, thiserror::Error)]
pub enum PartialError {
    /// No room.
    #[error(transparent)]
    Full(#[from] Full),
    /// The spool is in state `failing` and takes nothing.
    #[error("the spool is read-only")]
    ReadOnly,
    /// The file lies on another file system and has to be copied.
    #[error("{0} lies on another file system")]
    OtherFileSystem(PathBuf),
    /// A file that was to be adopted cannot be read, or is gone.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A bug of the caller.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The disk failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why reading the spool failed. Flawed entries are not errors: readers step over them and count.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk failed.
    #[error("{operation} {path}: {source}")]
    Disk {
        /// What was being done.
        operation: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The entry has no such file, or the file is shorter than its entry says.
    #[error("file {index} of entry {sequence} is not there as its entry says")]
    File {
        /// The entry.
        sequence: Sequence,
        /// Which of its files.
        index: usize,
    },
}

impl ReadError {
    /// Whether it is about what lies on the disk: not about rights to read it, or about a later version's format.
    pub(super) fn is_of_the_medium(&self) -> bool {
        match self {
            Self::Disk { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ),
            Self::File { .. } => false,
        }
    }
}

/// Why the spool could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Written by a later version of the program.
    #[error("{path} has format version {found}, this program knows up to {known}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version that can be read.
        known: u16,
    },
    /// A setting that cannot work.
    #[error("{setting}: {why}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// The identity exists but neither of its copies can be read.
    #[error("{path} is damaged: restore it, or give the node a new identity with `new-id`")]
    Identity {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the spool open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// More segments, files or consumers than the tables hold.
    #[error("no more than {max} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] Fatal),
}

impl Fatal {
    /// For `map_err`: an error of the disk, with what was being done to which path.
    pub(super) fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { operation, path: path.to_path_buf(), source }
    }
}

impl From<PartialError> for AppendError {
    fn from(error: PartialError) -> Self {
        match error {
            PartialError::Full(full) => Self::Full(full),
            PartialError::ReadOnly => Self::ReadOnly,
            PartialError::OtherFileSystem(path) | PartialError::Unreadable { path, .. } => {
                Self::Misuse(Misuse::Name(path.display().to_string()))
            }
            PartialError::Misuse(misuse) => Self::Misuse(misuse),
            PartialError::Fatal(fatal) => Self::Fatal(fatal),
        }
    }
}

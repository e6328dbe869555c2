//! Why no files can be made.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::data::Sequence;
use crate::spool::ReadError;
use crate::tsfile::write::WriteError;
use crate::wire::WireError;

/// Why no files can be made of a run. What was begun is given up; [`Maker::begin`](super::Maker::begin) begins anew.
#[derive(Debug, Error)]
pub enum TwinError {
    /// The spool cannot be read: this machine is at fault.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be written, or a scratch read back: this machine is at fault.
    #[error("cannot {operation} {path}: {source}")]
    Disk {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// An entry that no file can be made of. Runs around it can.
    #[error("entry {sequence}: {why}")]
    Unfit {
        /// The entry.
        sequence: Sequence,
        /// Why not.
        why: Unfit,
    },
    /// A limit that this entry passes. A run that ends before it can be made.
    #[error("entry {sequence}: more than {max} {what} in one run")]
    TooMany {
        /// The entry.
        sequence: Sequence,
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        max: u64,
    },
    /// The writer refused what it was given: a mistake of this program.
    #[error(transparent)]
    Write(WriteError),
    /// [`Maker::step`](super::Maker::step) without a run.
    #[error("no run was begun")]
    Idle,
}

/// Why an entry cannot be in a file.
#[derive(Debug, Error)]
pub enum Unfit {
    /// It is no tablet.
    #[error("not a tablet")]
    NotATablet,
    /// Its payload is not what the format says.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// A name that no IoTDB takes ([`legal`](crate::data::legal)): it would refuse the file, and everybody else's points
    /// with it.
    #[error("{what} {name:?} is no name that an IoTDB takes")]
    Name {
        /// What has it.
        what: &'static str,
        /// The name, or its beginning.
        name: String,
    },
    /// A column of large objects, which lie beside files of their own.
    #[error("a column of objects")]
    Object,
    /// It is longer than entries are.
    #[error("{0} bytes, more than an entry has")]
    Large(u32),
}

impl TwinError {
    /// Whether the medium has no room.
    pub fn is_full(&self) -> bool {
        let full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        match self {
            Self::Disk { source, .. } | Self::Read(ReadError::Disk { source, .. }) => full(source),
            Self::Read(_)
            | Self::Unfit { .. }
            | Self::TooMany { .. }
            | Self::Write(_)
            | Self::Idle => false,
        }
    }

    /// For `map_err`: an error of the disk, with what was being done to which path.
    pub(super) fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { operation, path: path.to_path_buf(), source }
    }

    /// For `map_err`: an error of the writer of `path`.
    pub(super) fn write(path: &Path) -> impl Fn(WriteError) -> Self {
        move |error| {
            if let WriteError::Output(source) = error {
                return Self::disk("write", path)(source);
            }
            Self::Write(error)
        }
    }
}

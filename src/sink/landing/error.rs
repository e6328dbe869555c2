//! What can go wrong while landing.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::spool::ReadError;
use crate::twin::TwinError;

/// Why a step of landing failed. The next step tries again; nothing is lost meanwhile.
#[derive(Debug, Error)]
pub enum LandingError {
    /// The landing directory's disk.
    #[error("{operation} {path}: {source}")]
    Disk {
        /// What was being done.
        operation: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another node lands there.
    #[error("{dir} is in use by another node")]
    Locked {
        /// The landing directory.
        dir: PathBuf,
    },
    /// Somebody removed the directory, or its lock. It is taken anew by [`super::Landing::reopen`].
    #[error("{dir} was removed or replaced while it was used")]
    Removed {
        /// The landing directory.
        dir: PathBuf,
    },
    /// The file system that the directory lay on is not mounted ([`check_dir`](super::check_dir)).
    #[error("{dir} is not where it was: the file system that it lay on is not mounted there")]
    Away {
        /// The landing directory.
        dir: PathBuf,
    },
    /// Another file has the name that one gets which the ledger names, and it is not replaced.
    #[error("{path} is there already, and is another file: fetch it, or move it away")]
    Taken {
        /// The file that is there.
        path: PathBuf,
    },
    /// The spool could not be read.
    #[error(transparent)]
    Spool(#[from] ReadError),
    /// No files could be made of a run of tablets.
    #[error("making a TsFile of tablets: {0}")]
    Twin(#[from] TwinError),
}

impl LandingError {
    /// For `map_err`: `operation` on `path` failed.
    pub(super) fn disk(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { operation, path: path.into(), source }
    }

    /// For `map_err`: the directory could not be locked.
    pub(super) fn lock(dir: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if source.kind() == io::ErrorKind::WouldBlock {
                return Self::Locked { dir: dir.to_owned() };
            }
            Self::disk("lock", dir)(source)
        }
    }

    /// The file system has no room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Disk { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Twin(error) => error.is_full(),
            Self::Spool(_)
            | Self::Locked { .. }
            | Self::Removed { .. }
            | Self::Away { .. }
            | Self::Taken { .. } => false,
        }
    }
}

//! What can go wrong while landing.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::spool::ReadError;

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
    /// The spool could not be read.
    #[error(transparent)]
    Spool(#[from] ReadError),
}

impl LandingError {
    /// For `map_err`: `operation` on `path` failed.
    pub(super) fn disk(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { operation, path: path.into(), source }
    }

    /// The file system has no room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Disk { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Spool(_) => false,
        }
    }
}

//! A line that is kept beside the record of a pipe, and replaced as a whole.
//!
//! ```text
//!  pipes/to%5fzone.<kind>        <magic>5e1c0f3a      version; CRC32 of the next line, in hexadecimal
//!                                <line>
//!  pipes/to%5fzone.<kind>-new    the same while it is written: never read
//! ```

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::RecordError;
use super::sealed::{seal, unseal};
use super::store::DIR;
use crate::spool::{Disk, DiskFile, OpenMode, escape, read_full_at, write_all_at};

/// Where the line of one pipe is kept.
#[derive(Debug, Clone)]
pub(super) struct Slip<D: Disk> {
    disk: D,
    path: PathBuf,
    new: PathBuf,
    magic: &'static str,
}

/// Why what was kept of a pipe is not known.
#[derive(Debug, thiserror::Error)]
pub enum SlipError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The file is not what was written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl<D: Disk> Slip<D> {
    /// That of a pipe with this name.
    pub(super) fn new(disk: D, pipe: &str, kind: &str, magic: &'static str) -> Self {
        let stem = Path::new(DIR).join(escape(pipe));
        let new = stem.with_extension(format!("{kind}-new"));
        Self { disk, path: stem.with_extension(kind), new, magic }
    }

    /// The line, with its end.
    ///
    /// # Errors
    /// [`SlipError`].
    pub(super) fn read(&self) -> Result<Option<String>, SlipError> {
        let file = match self.disk.open(&self.path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = [0; SLIP_BYTES_MAX];
        let count = read_full_at(&file, 0, &mut bytes)?;
        Ok(Some(unseal(self.magic, bytes.get(..count).unwrap_or_default())?.to_owned()))
    }

    /// Keeps a line; durable on return.
    ///
    /// # Errors
    /// What the disk says. Either line may be there then, and each is whole.
    pub(super) fn keep(&self, line: &str) -> io::Result<()> {
        let file = self.disk.open(&self.new, OpenMode::Create)?;
        write_all_at(&file, 0, &mut [IoSlice::new(seal(self.magic, line).as_bytes())])?;
        file.sync_data()?;
        self.disk.rename(&self.new, &self.path)?;
        self.disk.sync_dir(Path::new(DIR))
    }

    /// Nothing is kept any more; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn forget(&self) -> io::Result<()> {
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.disk.sync_dir(Path::new(DIR)),
        }
    }
}

/// An origin, a few numbers, and the words around them.
const SLIP_BYTES_MAX: usize = 256;

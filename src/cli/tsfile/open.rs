//! A file, the deletions beside it, and how far reading has come.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::CliError;
use crate::data::ReadAt;
use crate::limits::CONFIG_BYTES_MAX;
use crate::ops::human::Bytes;
use crate::tsfile::TsFileError;
use crate::tsfile::read::{Deletions, DeletionsError, TsFile};

/// Bytes between two lines of progress.
const PROGRESS_BYTES: u64 = 32 << 20;
/// Largest text of deletions that is read: they are kept in memory.
const MODS_BYTES_MAX: u64 = 8 * CONFIG_BYTES_MAX as u64;

/// Positioned reads of a file; on a terminal it says how much was read.
#[derive(Debug)]
pub(super) struct Bytewise {
    file: File,
    bytes: u64,
    read: Cell<u64>,
    shown: Cell<u64>,
    is_shown: bool,
}

impl Bytewise {
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let opened = File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            // Opening one works, and reading tells less.
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok((metadata.len(), file))
        });
        let (bytes, file) = opened.map_err(|cause| unreadable(path, cause))?;
        let is_shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Ok(Self { file, bytes, read: Cell::new(0), shown: Cell::new(0), is_shown })
    }

    fn progress(&self) {
        if self.is_shown && self.read.get() - self.shown.get() >= PROGRESS_BYTES {
            self.shown.set(self.read.get());
            let (read, bytes) = (Bytes(self.read.get()), Bytes(self.bytes));
            // Nobody is left to tell.
            drop(write!(io::stderr(), "\r{read} read, the file has {bytes}   "));
        }
    }
}

impl Drop for Bytewise {
    fn drop(&mut self) {
        if self.shown.get() > 0 {
            drop(writeln!(io::stderr())); // nobody is left to tell
        }
    }
}

impl ReadAt for Bytewise {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, offset)?;
        self.read.set(self.read.get() + count as u64);
        self.progress();
        Ok(count)
    }
}

/// Opens a file whose ends are sound.
pub(super) fn open(path: &Path) -> Result<TsFile<Bytewise>, CliError> {
    TsFile::open(Bytewise::open(path)?).map_err(|error| flawed(path, error))
}

/// What was deleted of a file: in `.mods2` beside it, or in `.mods`.
pub(super) fn deletions(path: &Path) -> Result<Deletions, CliError> {
    let beside = |ending: &str| {
        let mut name = OsString::from(path);
        name.push(ending);
        PathBuf::from(name)
    };
    let records = beside(".mods2");
    if records.exists() {
        let flawed = |source| CliError::Deletions { path: records.clone(), source };
        return Deletions::from_records(&Bytewise::open(&records)?).map_err(flawed);
    }
    let lines = beside(".mods");
    match fs::metadata(&lines) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Deletions::default()),
        Err(cause) => Err(unreadable(&lines, cause)),
        Ok(metadata) if metadata.len() > MODS_BYTES_MAX => {
            Err(CliError::Deletions { path: lines, source: DeletionsError::Many })
        }
        Ok(_) => {
            let text = fs::read(&lines).map_err(|cause| unreadable(&lines, cause))?;
            let flawed = |source| CliError::Deletions { path: lines.clone(), source };
            Deletions::from_lines(&text).map_err(flawed)
        }
    }
}

/// What is wrong with a file.
pub(super) fn flawed(path: &Path, source: TsFileError) -> CliError {
    CliError::TsFile { path: path.to_owned(), source }
}

fn unreadable(path: &Path, cause: io::Error) -> CliError {
    CliError::NoFile { path: path.to_owned(), cause }
}

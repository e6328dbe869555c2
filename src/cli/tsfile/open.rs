//! A file, and the deletions beside it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::CliError;
use super::progress::{Output, Progress};
use crate::data::ReadAt;
use crate::limits::CONFIG_BYTES_MAX;
use crate::tsfile::TsFileError;
use crate::tsfile::read::{Deletions, DeletionsError, TsFile};

/// Largest text of deletions that is read: they are kept in memory.
const MODS_BYTES_MAX: u64 = 8 * CONFIG_BYTES_MAX as u64;

/// Positioned reads of a file; on a terminal it says how much was read.
#[derive(Debug)]
pub(super) struct Bytewise {
    file: File,
    bytes: u64,
    progress: Progress,
}

impl Bytewise {
    pub(super) fn open(path: &Path, output: Output) -> Result<Self, CliError> {
        let opened = File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            // Opening one works, and reading tells less.
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok((metadata.len(), file))
        });
        let (bytes, file) = opened.map_err(|cause| unreadable(path, cause))?;
        Ok(Self { file, bytes, progress: Progress::new(bytes, output) })
    }
}

impl ReadAt for Bytewise {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, offset)?;
        self.progress.add(count);
        Ok(count)
    }
}

/// Opens a file whose ends are sound.
pub(super) fn open(path: &Path, output: Output) -> Result<TsFile<Bytewise>, CliError> {
    TsFile::open(Bytewise::open(path, output)?).map_err(|error| flawed(path, error))
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
        return Deletions::from_records(&Bytewise::open(&records, Output::End)?).map_err(flawed);
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

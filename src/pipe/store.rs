//! The directory of the pipes: a file each, replaced as a whole.
//!
//! ```text
//!  pipes/
//!    to%5fzone.pipe    the record of a pipe; only the owner may read it, since it has secrets
//!    new               a record that is being written: never read
//!    to%5fzone.replay  what the pipe was told to send once more (replay.rs)
//!    to%5fzone.unit    in which unit it sends, and how far it has surely come (unit.rs)
//! ```

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::{Pipe, RecordError, ReplayFile, UnitFile, record};
use crate::data::OriginId;
use crate::limits::{DEFINITION_BYTES_MAX, PIPES_MAX};
use crate::spool::{Disk, DiskFile, OpenMode, escape, read_full_at, unescape, write_all_at};
use crate::statement::PipeName;

/// The files of all pipes.
#[derive(Debug, Clone)]
pub struct Store<D: Disk> {
    disk: D,
}

/// What was there at the start.
#[derive(Debug)]
pub struct Opened {
    /// Pipes, dropped ones too.
    pub pipes: Vec<Pipe>,
    /// Files that are no pipe any more.
    pub damaged: Vec<Damaged>,
}

/// A file that is no pipe any more. It stays as it is, for a person to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The pipe that it was, by the name of the file.
    pub name: String,
    /// What is wrong.
    pub why: RecordError,
}

impl<D: Disk> Store<D> {
    /// A directory that is not looked at.
    pub const fn new(disk: D) -> Self {
        Self { disk }
    }

    /// Reads all pipes. What an earlier run wrote is made durable first, or a later cut of the power could take
    /// back what this run goes by.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: D) -> io::Result<(Self, Opened)> {
        disk.create_dir(Path::new(DIR))?;
        disk.sync_dir(Path::new(DIR))?;
        let opened = Self::read(&disk, OpenMode::Write)?;
        Ok((Self { disk }, opened))
    }

    /// Reads all pipes of a node that may be running, and changes nothing; there may be none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn look(disk: &D) -> io::Result<Opened> {
        match Self::read(disk, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Opened { pipes: Vec::new(), damaged: Vec::new() })
            }
            read => read,
        }
    }

    fn read(disk: &D, mode: OpenMode) -> io::Result<Opened> {
        let mut files = Vec::new();
        disk.list(Path::new(DIR), &mut |file| {
            if file.ends_with(SUFFIX) && files.len() < FILES_MAX {
                files.push(file.to_owned());
            }
        })?;
        files.sort_unstable();
        let mut opened = Opened { pipes: Vec::new(), damaged: Vec::new() };
        for file in files {
            let bytes = Self::contents(disk, &Path::new(DIR).join(&file), mode)?;
            let name = unescape(file.trim_end_matches(SUFFIX));
            match record::decode(&bytes) {
                Ok(pipe) if pipe.name.as_str() == name => opened.pipes.push(pipe),
                Ok(_) => opened.damaged.push(Damaged { name, why: RecordError::Line("CREATE") }),
                Err(why) => opened.damaged.push(Damaged { name, why }),
            }
        }
        Ok(opened)
    }

    fn contents(disk: &D, path: &Path, mode: OpenMode) -> io::Result<Vec<u8>> {
        let file = disk.open(path, mode)?;
        if mode == OpenMode::Write {
            file.recover()?;
        }
        let mut bytes = vec![0; RECORD_BYTES_MAX];
        let count = read_full_at(&file, 0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Keeps a pipe as it is now; durable on return.
    ///
    /// # Errors
    /// What the disk says. Either state may be there then, and each is whole.
    pub fn keep(&self, pipe: &Pipe) -> io::Result<()> {
        let new = Path::new(DIR).join(NEW);
        let file = self.disk.open(&new, OpenMode::CreatePrivate)?;
        write_all_at(&file, 0, &mut [IoSlice::new(record::encode(pipe).as_bytes())])?;
        file.sync_data()?;
        self.disk.rename(&new, &path(&pipe.name))?;
        self.disk.sync_dir(Path::new(DIR))
    }

    /// What a pipe was told to send once more.
    pub fn replay(&self, name: &PipeName) -> ReplayFile<D> {
        ReplayFile::new(self.disk.clone(), name.as_str())
    }

    /// In which unit a pipe sends, over the spool of this origin.
    pub fn unit(&self, name: &PipeName, origin: OriginId) -> UnitFile<D> {
        UnitFile::new(self.disk.clone(), name.as_str(), origin)
    }

    /// Removes the file of a pipe that is gone for good; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&self, name: &PipeName) -> io::Result<()> {
        match self.disk.remove(&path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.disk.sync_dir(Path::new(DIR)),
        }
    }
}

fn path(name: &PipeName) -> PathBuf {
    Path::new(DIR).join(escape(name.as_str()) + SUFFIX)
}

pub(super) const DIR: &str = "pipes";
const SUFFIX: &str = ".pipe";
const NEW: &str = "new";
/// Pipes, and as many that were dropped while their stanza stayed.
const FILES_MAX: usize = 2 * PIPES_MAX;
/// A definition, and the lines before it with room to spare.
const RECORD_BYTES_MAX: usize = DEFINITION_BYTES_MAX + 1024;

//! From hidden files to their names, with the line in between.

use std::io;
use std::path::Path;

use super::error::LandingError;
use super::names::{hidden, is_hidden};
use super::set::{Of, Set};
use super::source::Source;
use super::step::Step;
use super::{Landing, Work};
use crate::spool::Disk;

impl<D: Disk, S: Source> Landing<D, S> {
    /// Makes the directory in which a hidden file will lie. What the run before has left there goes: whatever it had
    /// recorded has its name by now.
    pub(super) fn prepare(&mut self, path: &Path) -> Result<(), LandingError> {
        let dated = path.parent().unwrap_or(&self.dir);
        self.disk.create_dir(dated).map_err(LandingError::disk("make", dated))?;
        self.disk.sync_dir(&self.dir).map_err(LandingError::disk("sync", &self.dir))?;
        if self.swept {
            return Ok(());
        }
        let mut left = Vec::new();
        let listed = self.disk.list(dated, &mut |name| {
            if is_hidden(name) {
                left.push(dated.join(name));
            }
        });
        listed.map_err(LandingError::disk("list", dated))?;
        for path in left {
            self.disk.remove(&path).map_err(LandingError::disk("remove", path))?;
        }
        self.swept = true;
        Ok(())
    }

    /// Writes the lines. An error leaves them unwritten, or nobody knows: they are written again.
    pub(super) fn record(&mut self, mut set: Set) -> Result<Step, LandingError> {
        match self.check_lock().and_then(|()| self.is_there(&set)) {
            Ok(true) => {}
            Ok(false) => {
                self.make_again(set);
                return Ok(Step::Worked);
            }
            Err(error) => {
                self.work = Work::Recording(set);
                return Err(error);
            }
        }
        if !set.recorded {
            let through = set.last();
            if let Err(error) = self.ledger.append(&mut set.lines, through) {
                self.work = Work::Recording(set);
                return Err(error);
            }
            set.recorded = true;
        }
        self.work = Work::Naming(set);
        Ok(Step::Worked)
    }

    /// Before a line says that a file is about to lie there, its hidden name has to be on disk. False if
    /// somebody has removed it, as a rule with its directory.
    fn is_there(&self, set: &Set) -> Result<bool, LandingError> {
        for path in set.names().map(|name| self.dir.join(name)) {
            let path = hidden(&path);
            let found = self
                .disk
                .file_bytes(&path)
                .and_then(|_| self.disk.sync_dir(path.parent().unwrap_or(&self.dir)));
            match found {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                found => found.map_err(LandingError::disk("sync", path))?,
            }
        }
        Ok(true)
    }

    /// The files of a set are gone: they are copied or made again, which gives the same.
    pub(super) fn make_again(&mut self, set: Set) {
        self.work = match set.of {
            Of::Entry(mut job) => {
                job.begin_anew();
                job.recorded = set.recorded;
                Work::Copying(*job, None)
            }
            Of::Run(mut made) => {
                made.run.recorded = set.recorded;
                Work::Making(None, made.run)
            }
        };
    }

    /// Gives the files their names. After an error the rest of it is done by the next step, or by recovery.
    pub(super) fn name(&mut self, mut set: Set) -> Result<Step, LandingError> {
        // Behind a rename that was tried, a hidden file that is missing has its name, or was fetched.
        if !set.naming {
            match self.is_there(&set) {
                Ok(true) => set.naming = true,
                Ok(false) => {
                    self.make_again(set);
                    return Ok(Step::Worked);
                }
                Err(error) => {
                    self.work = Work::Naming(set);
                    return Err(error);
                }
            }
        }
        if let Err(error) = finish(&self.disk, &self.dir, set.names()) {
            self.work = Work::Naming(set);
            return Err(error);
        }
        self.cursor.raise(set.last().next());
        self.room.add(set.bytes());
        Ok(Step::Landed(Box::new(set.into_landed())))
    }
}

/// Gives hidden files that are still there their names; the `TsFile` comes last, so that whoever sees it
/// sees its mods, too.
pub(super) fn finish<'n, D: Disk>(
    disk: &D,
    dir: &Path,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Result<(), LandingError> {
    for path in names.clone().map(|name| dir.join(name)) {
        match disk.rename(&hidden(&path), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(LandingError::disk("rename", hidden(&path)))?,
        }
    }
    for path in names.map(|name| dir.join(name)) {
        match disk.sync_dir(path.parent().unwrap_or(dir)) {
            // Everything was fetched, and a script removed the directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced.map_err(LandingError::disk("sync", path))?,
        }
    }
    Ok(())
}

//! From hidden files to their names, with the line in between.

use std::io;
use std::path::Path;

use super::error::LandingError;
use super::job::Job;
use super::names::hidden;
use super::source::Source;
use super::step::Step;
use super::{Landing, Work};
use crate::spool::Disk;

impl<D: Disk, S: Source> Landing<D, S> {
    /// Writes the line. An error leaves it unwritten, or nobody knows: it is written again.
    pub(super) fn record(&mut self, mut job: Job) -> Result<Step, LandingError> {
        match self.check_lock().and_then(|()| self.is_there(&job)) {
            Ok(true) => {}
            Ok(false) => {
                job.begin_anew();
                self.work = Work::Copying(job, None);
                return Ok(Step::Worked);
            }
            Err(error) => {
                self.work = Work::Recording(job);
                return Err(error);
            }
        }
        if job.recorded {
            self.work = Work::Naming(job);
            return Ok(Step::Worked);
        }
        let recorded = self.ledger.append(&job.line(self.node));
        self.work = if recorded.is_ok() { Work::Naming(job) } else { Work::Recording(job) };
        recorded.map(|()| Step::Worked)
    }

    /// Before the line says that a file is about to lie there, its hidden name has to be on disk. False if
    /// somebody has removed it, as a rule with its directory.
    fn is_there(&self, job: &Job) -> Result<bool, LandingError> {
        for path in job.files.iter().map(|file| self.dir.join(&file.name)) {
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

    /// Gives the files their names. After an error the rest of it is done by the next step, or by recovery.
    pub(super) fn name(&mut self, mut job: Job) -> Result<Step, LandingError> {
        // Behind a rename that was tried, a hidden file that is missing has its name, or was fetched.
        if !job.naming {
            match self.is_there(&job) {
                Ok(true) => job.naming = true,
                Ok(false) => {
                    job.begin_anew();
                    job.recorded = true;
                    self.work = Work::Copying(job, None);
                    return Ok(Step::Worked);
                }
                Err(error) => {
                    self.work = Work::Naming(job);
                    return Err(error);
                }
            }
        }
        if let Err(error) =
            finish(&self.disk, &self.dir, job.files.iter().map(|file| file.name.as_str()))
        {
            self.work = Work::Naming(job);
            return Err(error);
        }
        self.progress.finish(job.sequence());
        self.room.add(job.bytes());
        let (sequence, what) = (job.sequence(), job.what);
        Ok(Step::Landed { sequence, what, name: job.name(), bytes: job.bytes() })
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

/// Makes the directory in which a file will lie.
pub(super) fn make_dir<D: Disk>(disk: &D, dir: &Path, path: &Path) -> Result<(), LandingError> {
    let dated = path.parent().unwrap_or(dir);
    disk.create_dir(dated).map_err(LandingError::disk("make", dated))?;
    disk.sync_dir(dir).map_err(LandingError::disk("sync", dir))
}

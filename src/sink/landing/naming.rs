//! From whole files to hidden names, and from these to their own, with the line in between.

use std::io;
use std::path::Path;

use super::admit::NeverFits;
use super::error::LandingError;
use super::names::{WHOLE, hidden, marked, marks, whole, work_dir};
use super::set::{Of, Set};
use super::source::Source;
use super::step::Step;
use super::{Landing, Work};
use crate::limits::KIB;
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at};

/// Bytes of two files that are compared at once.
const COMPARED_BYTES: usize = 16 * KIB;

impl<D: Disk, S: Source> Landing<D, S> {
    /// Makes the directory in which files lie that do not have their names yet: somebody may have removed it.
    pub(super) fn make_work_dir(&self) -> Result<(), LandingError> {
        let path = work_dir(&self.dir);
        self.disk.create_dir(&path).map_err(LandingError::disk("make", path))?;
        self.disk.sync_dir(&self.dir).map_err(LandingError::disk("sync", &self.dir))
    }

    /// Gives files that are whole their hidden names, as soon as there is room.
    pub(super) fn place(&mut self, mut set: Set) -> Result<Step, LandingError> {
        let moved = match self.admit(set.bytes()) {
            Ok(None) => self.find_names(&mut set).and_then(|()| self.move_in(&set)),
            Ok(Some(step)) => {
                self.work = Work::Placing(set);
                return Ok(step);
            }
            Err(NeverFits { needed }) => {
                self.divide(set, needed);
                return Ok(Step::Worked);
            }
        };
        match moved {
            Ok(true) => self.work = Work::Recording(set),
            Ok(false) => self.make_again(set),
            Err(error) => {
                self.work = Work::Placing(set);
                return Err(error);
            }
        }
        Ok(Step::Worked)
    }

    /// What can never fit is made smaller, or put aside.
    fn divide(&mut self, set: Set, needed: u64) {
        match set.of {
            Of::Entry(job) => self.work = self.too_large(*job, needed),
            Of::Run(made) => {
                let why = format!("{needed} bytes of TsFiles, and [landing] max_bytes is less");
                self.halve(made.run, why);
            }
        }
    }

    /// Marks the names of a set that is not recorded until none is taken: what lies there under one of them is of another
    /// spool, or of a later state of this one, and nobody has fetched it yet.
    fn find_names(&self, set: &mut Set) -> Result<(), LandingError> {
        if set.recorded || !self.is_any_taken(set.names())? {
            return Ok(());
        }
        let names: Vec<&str> = set.names().collect();
        for mark in marks(self.node) {
            let marked: Vec<String> = names.iter().map(|name| marked(name, &mark)).collect();
            if !self.is_any_taken(marked.iter().map(String::as_str))? {
                let name = names.last().copied().unwrap_or_default();
                log::warn!("event=landed_name_taken name={name:?} mark={mark}");
                set.mark(&mark);
                return Ok(());
            }
        }
        let path = names.last().map(|name| self.dir.join(name)).unwrap_or_default();
        Err(LandingError::Taken { path })
    }

    fn is_any_taken<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<bool, LandingError> {
        for path in names.map(|name| self.dir.join(name)) {
            match self.disk.file_bytes(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => {
                    return found.map(|_| true).map_err(LandingError::disk("look at", path));
                }
            }
        }
        Ok(false)
    }

    /// False if somebody has removed the files.
    fn move_in(&self, set: &Set) -> Result<bool, LandingError> {
        self.check_lock()?;
        for (from, name) in set.sources(&self.dir).iter().zip(set.names()) {
            let to = hidden(&self.dir, name);
            match self.disk.rename(from, &to) {
                // A step before may have come as far as here.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && self.disk.file_bytes(&to).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                renamed => renamed.map_err(LandingError::disk("rename", from))?,
            }
        }
        Ok(true)
    }

    /// Writes the lines. An error leaves them unwritten, or nobody knows: they are written again.
    pub(super) fn record(&mut self, mut set: Set) -> Result<Step, LandingError> {
        match self.check_lock().and_then(|()| self.is_there(&set)) {
            Ok(true) => {}
            Ok(false) => return self.unmark_and_make_again(set),
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
    /// somebody has removed it.
    fn is_there(&self, set: &Set) -> Result<bool, LandingError> {
        for path in set.names().map(|name| hidden(&self.dir, name)) {
            match self.disk.file_bytes(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                found => drop(found.map_err(LandingError::disk("look at", path))?),
            }
        }
        if set.names().next().is_none() {
            return Ok(true);
        }
        let dir = work_dir(&self.dir);
        match self.disk.sync_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            synced => synced.map(|()| true).map_err(LandingError::disk("sync", dir)),
        }
    }

    /// Marks that the files of a set are there. False if somebody has removed one.
    fn mark_whole(&self, set: &Set) -> Result<bool, LandingError> {
        let is_there = self.is_there(set)?;
        if is_there && set.names().next().is_some() {
            mark(&self.disk, &self.dir)?;
        }
        Ok(is_there)
    }

    /// What a line names is gone: until it is made again, nobody may believe that it has its name.
    fn unmark_and_make_again(&mut self, set: Set) -> Result<Step, LandingError> {
        if set.recorded
            && let Err(error) = unmark(&self.disk, &self.dir)
        {
            self.work = Work::Naming(set);
            return Err(error);
        }
        self.make_again(set);
        Ok(Step::Worked)
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
        if let Err(error) = self.check_lock() {
            self.work = Work::Naming(set);
            return Err(error);
        }
        // Behind a rename that was tried, a hidden file that is missing has its name, or was fetched.
        if !set.naming {
            match self.mark_whole(&set) {
                Ok(true) => set.naming = true,
                Ok(false) => return self.unmark_and_make_again(set),
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
        if matches!(set.of, Of::Run(_)) {
            let more = self.run_bytes.saturating_add(self.run_bytes / 4 + 1);
            self.run_bytes = more.min(self.run_bytes_max);
        }
        Ok(Step::Landed(Box::new(set.into_landed())))
    }
}

/// Whether two files have the same bytes.
fn is_same<D: Disk>(disk: &D, one: &Path, other: &Path) -> io::Result<bool> {
    let [one, other] = [disk.open(one, OpenMode::Read)?, disk.open(other, OpenMode::Read)?];
    let mut chunks = [vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]];
    let [of_one, of_other] = &mut chunks;
    let mut offset = 0;
    loop {
        let count = read_full_at(&one, offset, of_one)?;
        let same = read_full_at(&other, offset, of_other)?;
        if count != same || of_one.get(..count) != of_other.get(..count) {
            return Ok(false);
        }
        if count < COMPARED_BYTES {
            return Ok(true);
        }
        offset += count as u64;
    }
}

/// Gives hidden files that are still there their names, and replaces no other file; the `TsFile` comes last, so that whoever sees it
/// sees its mods, too. Their directory is made only for that; if somebody removes it at this very moment, it is
/// an error, and the next try makes it again.
pub(super) fn finish<'n, D: Disk>(
    disk: &D,
    dir: &Path,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Result<(), LandingError> {
    let mut dated = None;
    for (from, to) in names.clone().map(|name| (hidden(dir, name), dir.join(name))) {
        match disk.file_bytes(&from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => drop(found.map_err(LandingError::disk("look at", &from))?),
        }
        let parent = to.parent().unwrap_or(dir);
        if dated.as_deref() != Some(parent) {
            disk.create_dir(parent).map_err(LandingError::disk("make", parent))?;
            disk.sync_dir(dir).map_err(LandingError::disk("sync", dir))?;
            dated = Some(parent.to_owned());
        }
        match disk.rename_new(&from, &to) {
            // Made again, while the first one had its name already.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !is_same(disk, &from, &to).map_err(LandingError::disk("compare", &to))? {
                    return Err(LandingError::Taken { path: to });
                }
                disk.remove(&from).map_err(LandingError::disk("remove", from))?;
            }
            renamed => renamed.map_err(LandingError::disk("rename", from))?,
        }
    }
    // The run before may have renamed them, and not come as far as here.
    let mut synced = None;
    for path in names.map(|name| dir.join(name)) {
        let parent = path.parent().unwrap_or(dir);
        if synced.as_deref() != Some(parent) {
            sync(disk, parent)?;
            synced = Some(parent.to_owned());
        }
    }
    if synced.is_some() { sync(disk, &work_dir(dir)) } else { Ok(()) }
}

/// Makes the names in a directory durable. One that is gone has none: everything was fetched, and a script removed it.
fn sync<D: Disk>(disk: &D, dir: &Path) -> Result<(), LandingError> {
    match disk.sync_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        synced => synced.map_err(LandingError::disk("sync", dir)),
    }
}

/// Whether every file that a line names has its name, was fetched, or lies there under its hidden name: since
/// [`mark`], nobody has removed the directory.
pub(super) fn is_whole<D: Disk>(disk: &D, dir: &Path) -> Result<bool, LandingError> {
    let path = whole(dir);
    match disk.file_bytes(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true).map_err(LandingError::disk("look at", path)),
    }
}

/// Says so, durably, before a hidden file gets its name.
pub(super) fn mark<D: Disk>(disk: &D, dir: &Path) -> Result<(), LandingError> {
    if is_whole(disk, dir)? {
        return Ok(());
    }
    let path = whole(dir);
    let marked = disk.open(&path, OpenMode::Create).and_then(|file| file.sync_data());
    marked.and_then(|()| disk.sync_dir(&work_dir(dir))).map_err(LandingError::disk("make", path))
}

/// Takes it back, durably.
fn unmark<D: Disk>(disk: &D, dir: &Path) -> Result<(), LandingError> {
    let path = whole(dir);
    match disk.remove(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.map_err(LandingError::disk("remove", path))?,
    }
    sync(disk, &work_dir(dir))
}

/// Removes what the run before has left, behind [`finish`]: whatever it had recorded has its name by now.
pub(super) fn sweep<D: Disk>(disk: &D, dir: &Path) -> Result<(), LandingError> {
    let dir = work_dir(dir);
    let mut left = Vec::new();
    let mut found = |name: &str| left.extend((name != WHOLE).then(|| dir.join(name)));
    match disk.list(&dir, &mut found) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(LandingError::disk("list", &dir))?,
    }
    for path in left {
        disk.remove(&path).map_err(LandingError::disk("remove", path))?;
    }
    Ok(())
}

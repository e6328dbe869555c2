//! What a start makes again: files of the last set that are gone, though they were recorded and had no names yet.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::LandingError;
use super::job::Job;
use super::line::{Line, What};
use super::names::{hidden, mark_of, work_dir};
use super::naming;
use super::run::Gathered;
use super::source::Source;
use super::step::Step;
use super::{Landing, Work};
use crate::data::{OriginId, Sequence};
use crate::spool::Disk;

/// Entries whose files are made again; their lines are in the ledger.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) first: Sequence,
    last: Sequence,
    /// Their lines.
    set: Vec<Line>,
    what: What,
    /// What their names have behind the sequences.
    mark: Option<String>,
}

/// The entries of the last set, if files of it have neither their hidden names nor their own, and nobody marked that they
/// had; marks it if not. `position`: of the consumer, which has not passed what has no name yet.
pub(super) fn lost<D: Disk>(
    disk: &D,
    dir: &Path,
    set: &[Line],
    (position, node): (Sequence, OriginId),
) -> Result<Option<Again>, LandingError> {
    let Some(line) = set.last().filter(|line| line.file.is_some()) else { return Ok(None) };
    let Some(last) = line.through.map(Sequence) else { return Ok(None) };
    if naming::is_whole(disk, dir)? {
        return Ok(None);
    }
    let mut is_lost = false;
    for name in set.iter().flat_map(Line::names) {
        is_lost |= !is_there(disk, hidden(dir, name))? && !is_there(disk, dir.join(name))?;
    }
    if is_lost && position <= last {
        let first = set.iter().map(|line| line.sequences.0).min().map_or(last, Sequence);
        let mark = line.names().last().and_then(|name| mark_of(name, node));
        return Ok(Some(Again { first, last, set: set.to_vec(), what: line.what, mark }));
    }
    let work = work_dir(dir);
    disk.create_dir(&work).map_err(LandingError::disk("make", work))?;
    naming::mark(disk, dir)?;
    Ok(None)
}

fn is_there<D: Disk>(disk: &D, path: PathBuf) -> Result<bool, LandingError> {
    match disk.file_bytes(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true).map_err(LandingError::disk("look at", path)),
    }
}

impl<D: Disk, S: Source> Landing<D, S> {
    /// Takes on the entries of a set whose files are gone.
    pub(super) fn find_again(&mut self, again: Again, now: Instant) -> Result<Step, LandingError> {
        let (first, last) = (again.first, again.last);
        self.source.seek(first);
        let item = match self.next_item() {
            Ok(item) => item.filter(|item| item.header.sequence <= last),
            Err(error) => {
                self.work = Work::Again(again);
                return Err(error.into());
            }
        };
        log::warn!("event=lands_again first={first} last={last} found={}", item.is_some());
        match item {
            Some(item) if again.what == What::Tablets => {
                self.source.seek(last.next());
                let run = Gathered::again(&item.header, (again.set, last), again.mark, now);
                self.work = Work::Making(None, run);
            }
            Some(item) => {
                let mut job = Job::of(item);
                again.mark.iter().for_each(|mark| job.mark(mark));
                job.recorded = true;
                self.work = Work::Copying(job, None);
            }
            None => drop(self.cursor.raise(last.next())),
        }
        Ok(Step::Worked)
    }
}

//! How much lies in the landing directory, and what has to go.
//!
//! Scripts fetch files whenever they like, so what lies there is found by asking for each file that the
//! ledger names, a window of lines a step. Full ledgers are counted, too, and never removed: for a deletion they
//! are all that there is. Nothing else in the directory is counted or touched.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::age::Age;
use super::error::LandingError;
use super::ledger::{Ledger, OLDEST, Spot};
use super::line::Line;
use super::names::date;
use crate::ops::clock::EpochMillis;
use crate::spool::Disk;

/// What happens when the landing directory's limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Landing waits until files were fetched.
    #[default]
    Block,
    /// The files that were landed first are removed.
    DeleteOldest,
}

/// Limits of the landing directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes that may lie there; 0: no limit.
    pub max_bytes: u64,
    /// Files whose date is older by more days are removed, as far as the clock is believed (`age.rs`: a clock
    /// that was set removes nothing); 0: none.
    pub keep_days: u32,
    /// What happens at `max_bytes`.
    pub when_full: WhenFull,
}

/// Time between two counts of everything.
const COUNT_INTERVAL: Duration = Duration::from_secs(600);
/// The same while landing waits for room: a fetched file is noticed within this.
const COUNT_INTERVAL_FULL: Duration = Duration::from_secs(10);

/// Whether a file may be landed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It may.
    Yes,
    /// Work was done to find out; ask again.
    Later,
    /// Files have to be fetched first; so many bytes lie there.
    Full(u64),
}

/// A walk over everything that the ledger names.
#[derive(Debug)]
struct Count {
    /// How far it has come.
    spot: Spot,
    /// Bytes so far.
    bytes: u64,
    /// The oldest date of a file that lies there; empty without one.
    oldest: String,
}

impl Count {
    const fn new() -> Self {
        Self { spot: OLDEST, bytes: 0, oldest: String::new() }
    }
}

#[derive(Debug)]
pub(super) struct Room {
    limits: Limits,
    dir: PathBuf,
    age: Age,
    /// Bytes that lie there, unknown before the first count.
    present: Option<u64>,
    /// The count that is under way.
    count: Option<Count>,
    counted_at: Option<Instant>,
    is_full: bool,
    /// Everything before was removed.
    oldest: Spot,
    rotations: u64,
}

impl Room {
    pub(super) fn open<D: Disk>(disk: &D, limits: Limits, dir: &Path) -> Self {
        Self {
            limits,
            dir: dir.to_owned(),
            age: Age::open(disk, dir),
            present: None,
            count: None,
            counted_at: None,
            is_full: false,
            oldest: OLDEST,
            rotations: 0,
        }
    }

    /// Everything is counted anew: another directory has the name.
    pub(super) fn reopen<D: Disk>(&mut self, disk: &D) {
        *self = Self::open(disk, self.limits, &self.dir);
    }

    /// Counts on, if a count is due or under way. Returns whether there is more to do.
    pub(super) fn step<D: Disk>(
        &mut self,
        disk: &D,
        ledger: &Ledger<D>,
        now: Instant,
        wall: EpochMillis,
    ) -> Result<bool, LandingError> {
        if self.limits.max_bytes == 0 && self.limits.keep_days == 0 {
            return Ok(false);
        }
        self.age.observe(now, wall);
        self.note_rotation(ledger);
        let interval = if self.is_full { COUNT_INTERVAL_FULL } else { COUNT_INTERVAL };
        let is_due = self.counted_at.is_none_or(|at| now.saturating_duration_since(at) >= interval);
        if self.count.is_none() && !is_due {
            return Ok(false);
        }
        let mut count = self.count.take().unwrap_or(Count::new());
        let Some((lines, next)) = ledger.next_lines::<Line>(count.spot)? else {
            self.age.is_at_least(&count.oldest, wall);
            let bytes = count.bytes.saturating_add(ledger.full_bytes());
            (self.present, self.counted_at) = (Some(bytes), Some(now));
            if self.limits.keep_days > 0 {
                self.age.store(disk).map_err(LandingError::disk("note the date in", &self.dir))?;
            }
            return Ok(false);
        };
        for line in &lines {
            let bytes = self.count_line(disk, line);
            let date = date_of(line);
            if bytes > 0 && (count.oldest.is_empty() || date < count.oldest.as_str()) {
                date.clone_into(&mut count.oldest);
            }
            count.bytes += bytes;
        }
        self.count = Some(Count { spot: next, ..count });
        Ok(true)
    }

    /// Whether `needed` bytes may be added; makes room if that is the operator's choice.
    pub(super) fn admit<D: Disk>(
        &mut self,
        disk: &D,
        ledger: &Ledger<D>,
        needed: u64,
    ) -> Result<Admission, LandingError> {
        if self.limits.max_bytes == 0 {
            return Ok(Admission::Yes);
        }
        self.note_rotation(ledger);
        let Some(present) = self.present else { return Ok(Admission::Later) };
        self.is_full = present.saturating_add(needed) > self.limits.max_bytes;
        if !self.is_full {
            return Ok(Admission::Yes);
        }
        if self.limits.when_full == WhenFull::Block {
            return Ok(Admission::Full(present));
        }
        let Some((lines, next)) = ledger.next_lines::<Line>(self.oldest)? else {
            return Ok(Admission::Full(present));
        };
        let target = self.limits.max_bytes.saturating_sub(needed);
        for line in &lines {
            if self.present.is_some_and(|present| present <= target) {
                return Ok(Admission::Later);
            }
            let freed = self.remove_line(disk, line);
            self.present = self.present.map(|present| present.saturating_sub(freed));
        }
        self.oldest = next;
        Ok(Admission::Later)
    }

    /// So many bytes were landed.
    pub(super) fn add(&mut self, bytes: u64) {
        self.present = self.present.map(|present| present.saturating_add(bytes));
    }

    fn note_rotation<D: Disk>(&mut self, ledger: &Ledger<D>) {
        if self.rotations != ledger.rotations() {
            (self.rotations, self.oldest) = (ledger.rotations(), OLDEST);
            self.count = self.count.as_ref().map(|_| Count::new());
        }
    }

    /// Bytes of a line's files that lie there, after the old ones were removed.
    fn count_line<D: Disk>(&self, disk: &D, line: &Line) -> u64 {
        if self.is_old(line) {
            self.remove_line(disk, line);
        }
        self.paths(line).filter_map(|path| disk.file_bytes(&path).ok()).sum()
    }

    /// Compares dates as texts; "undated" is behind all of them.
    fn is_old(&self, line: &Line) -> bool {
        let keep_days = self.limits.keep_days;
        let earliest = self.age.earliest_kept(keep_days).filter(|_| keep_days > 0);
        earliest.is_some_and(|earliest| date_of(line) < date(earliest).as_str())
    }

    /// Removes a line's files; returns the bytes that became free. What cannot be removed is still
    /// counted.
    fn remove_line<D: Disk>(&self, disk: &D, line: &Line) -> u64 {
        let remove = |path: PathBuf| {
            let bytes = disk.file_bytes(&path).ok()?;
            disk.remove(&path).ok().map(|()| bytes)
        };
        self.paths(line).filter_map(remove).sum()
    }

    fn paths<'l>(&'l self, line: &'l Line) -> impl Iterator<Item = PathBuf> + 'l {
        line.names().map(|name| self.dir.join(name))
    }
}

/// The date of landed files, or "undated"; empty without files.
fn date_of(line: &Line) -> &str {
    line.names().next().and_then(|name| name.split('/').next()).unwrap_or_default()
}

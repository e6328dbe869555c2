//! How much lies in the landing directory, and what has to go.
//!
//! Scripts fetch files whenever they like, so what lies there is found by asking for each file that the
//! ledger names, a window of lines a step. Full ledgers are counted, too, and never removed: for a deletion they
//! are all that there is. Nothing else in the directory is counted or touched.
//!
//! Between two counts it is only known what was added. So before a file is removed for another one, and before
//! anybody is told that the directory is full, everything is counted anew:
//!
//! ```text
//!  does it fit by what is known? -- yes --> it lands
//!       | no
//!  is it larger than the limit?  -- yes --> told: nothing is removed for what can never fit
//!       | no
//!  is the count fresh?           -- no ---> count, ask again
//!       | yes
//!  delete-oldest, and files can make room? -- no --> told
//!       | yes
//!  the files of the oldest lines go until it fits, each with a line in the log
//! ```

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
    /// Files have to be fetched first.
    Full {
        /// Bytes that lie there.
        present: u64,
        /// So many of them are full ledgers.
        ledgers: u64,
    },
    /// It is larger than the limit.
    Never,
}

/// What was removed before anybody fetched it, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a file is removed.
#[derive(Debug, Clone, Copy)]
enum Reason {
    MaxBytes,
    KeepDays,
}

/// A count that took longer than this holds for [`COUNT_HOLDS`] times as long as it took, whatever is landed meanwhile, so
/// that a large directory is counted a tenth of the time at most. Any other one holds until something is landed.
const COUNT_LONG: Duration = Duration::from_millis(10);
const COUNT_HOLDS: u32 = 10;

/// A walk over everything that the ledger names.
#[derive(Debug)]
struct Count {
    begun: Instant,
    /// How far it has come.
    spot: Spot,
    /// Bytes so far.
    bytes: u64,
    /// The oldest date of a file that lies there; empty without one.
    oldest: String,
}

impl Count {
    const fn new(begun: Instant) -> Self {
        Self { begun, spot: OLDEST, bytes: 0, oldest: String::new() }
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
    /// How long the last count took.
    count_took: Duration,
    /// Nothing was landed since then.
    is_exact: bool,
    /// A count is due at once.
    is_wanted: bool,
    /// The step's time.
    now: Option<Instant>,
    is_full: bool,
    removed: Removed,
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
            count_took: Duration::ZERO,
            is_exact: false,
            is_wanted: false,
            now: None,
            is_full: false,
            removed: Removed::default(),
            oldest: OLDEST,
            rotations: 0,
        }
    }

    /// Everything is counted anew: another directory has the name.
    pub(super) fn reopen<D: Disk>(&mut self, disk: &D) {
        let removed = self.removed;
        *self = Self { removed, ..Self::open(disk, self.limits, &self.dir) };
    }

    /// What was removed since the start.
    pub(super) const fn removed(&self) -> Removed {
        self.removed
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
        self.now = Some(now);
        self.note_rotation(ledger);
        let interval = if self.is_full { COUNT_INTERVAL_FULL } else { COUNT_INTERVAL };
        let is_due = self.counted_at.is_none_or(|at| now.saturating_duration_since(at) >= interval);
        if self.count.is_none() && !is_due && !self.is_wanted {
            return Ok(false);
        }
        let mut count = self.count.take().unwrap_or_else(|| Count::new(now));
        let Some((lines, next)) = ledger.next_lines::<Line>(count.spot)? else {
            self.counted(&count, ledger.full_bytes(), now, wall);
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

    /// A count has come to its end.
    fn counted(&mut self, count: &Count, ledgers: u64, now: Instant, wall: EpochMillis) {
        self.age.is_at_least(&count.oldest, wall);
        self.present = Some(count.bytes.saturating_add(ledgers));
        self.counted_at = Some(now);
        self.count_took = now.saturating_duration_since(count.begun);
        (self.is_exact, self.is_wanted) = (true, false);
    }

    /// Whether the last count says what lies there now.
    fn is_fresh(&self) -> bool {
        let passed = self.now.zip(self.counted_at);
        let age = passed.map(|(now, at)| now.saturating_duration_since(at));
        let holds = match self.count_took {
            _ if self.is_exact => COUNT_INTERVAL_FULL,
            took if took > COUNT_LONG => took * COUNT_HOLDS,
            _ => return false,
        };
        age.is_some_and(|age| age < holds)
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
        if needed > self.limits.max_bytes {
            return Ok(Admission::Never);
        }
        if !self.is_fresh() {
            self.is_wanted = true;
            return Ok(Admission::Later);
        }
        let ledgers = ledger.full_bytes();
        let target = self.limits.max_bytes - needed;
        if self.limits.when_full == WhenFull::Block || ledgers > target {
            return Ok(Admission::Full { present, ledgers });
        }
        let Some((lines, next)) = ledger.next_lines::<Line>(self.oldest)? else {
            return Ok(Admission::Full { present, ledgers });
        };
        for line in &lines {
            if self.present.is_some_and(|present| present <= target) {
                return Ok(Admission::Later);
            }
            let freed = self.remove_line(disk, line, Reason::MaxBytes);
            self.present = self.present.map(|present| present.saturating_sub(freed));
        }
        self.oldest = next;
        Ok(Admission::Later)
    }

    /// So many bytes were landed.
    pub(super) fn add(&mut self, bytes: u64) {
        self.present = self.present.map(|present| present.saturating_add(bytes));
        self.is_exact = false;
    }

    fn note_rotation<D: Disk>(&mut self, ledger: &Ledger<D>) {
        if self.rotations != ledger.rotations() {
            (self.rotations, self.oldest) = (ledger.rotations(), OLDEST);
            self.count = self.count.take().map(|count| Count::new(count.begun));
        }
    }

    /// Bytes of a line's files that lie there, after the old ones were removed.
    fn count_line<D: Disk>(&mut self, disk: &D, line: &Line) -> u64 {
        if self.is_old(line) {
            self.remove_line(disk, line, Reason::KeepDays);
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
    fn remove_line<D: Disk>(&mut self, disk: &D, line: &Line, reason: Reason) -> u64 {
        let mut freed = 0;
        for name in line.names() {
            let path = self.dir.join(name);
            let Ok(bytes) = disk.file_bytes(&path) else { continue };
            if disk.remove(&path).is_err() {
                continue;
            }
            log::warn!("event=landed_removed name={name:?} bytes={bytes} why={}", reason.key());
            self.removed.files += 1;
            self.removed.bytes += bytes;
            freed += bytes;
        }
        freed
    }

    fn paths<'l>(&'l self, line: &'l Line) -> impl Iterator<Item = PathBuf> + 'l {
        line.names().map(|name| self.dir.join(name))
    }
}

impl Reason {
    /// The key of the configuration that has them removed.
    const fn key(self) -> &'static str {
        match self {
            Self::MaxBytes => "max_bytes",
            Self::KeepDays => "keep_days",
        }
    }
}

/// The date of landed files, or "undated"; empty without files.
fn date_of(line: &Line) -> &str {
    line.names().next().and_then(|name| name.split('/').next()).unwrap_or_default()
}

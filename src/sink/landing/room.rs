//! How much lies in the landing directory, and what has to go.
//!
//! Scripts fetch files whenever they like, so what lies there is found by asking for each file that the
//! ledger names, a window of lines a step; a full ledger none of whose files is there any more is not read again.
//! Full ledgers are counted, too; which of them may go is in `fulls.rs`. Nothing else in the directory is counted or
//! touched: what is being made lies in `.penstock` beside all this, and counts once it is finished.
//!
//! Between two counts it is only known what was added. So before a file is removed for another one, and before
//! anybody is told that the directory is full, everything is counted anew:
//!
//! ```text
//!  is it larger than the limit?  -- yes --> made smaller, or put aside: nothing is removed for what can never fit
//!       | no
//!  does it fit by what is known? -- yes --> it lands
//!       | no
//!  is the count fresh?           -- no ---> count, ask again
//!       | yes
//!  delete-oldest: full ledgers go that may; is there room for it beside the others? -- no --> told
//!       | yes
//!  the files of the oldest lines go until it fits, each with a line in the log
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::age::{Age, start_of};
use super::error::LandingError;
use super::fulls::{Fulls, Known, Needed};
use super::ledger::{Ledger, OLDEST, Spot, Unread};
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
    /// What was found in the ledger of the spot so far.
    known: Known,
    /// Bytes so far.
    bytes: u64,
    /// The oldest date of a file that lies there; empty without one.
    oldest: String,
}

impl Count {
    const fn new(begun: Instant) -> Self {
        Self { begun, spot: OLDEST, known: Known::COUNTED, bytes: 0, oldest: String::new() }
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
    fulls: Fulls,
    unread: Unreadable,
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
            fulls: Fulls::default(),
            unread: Unreadable::default(),
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
        ledger: &mut Ledger<D>,
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
        let Some((lines, next)) = self.read(ledger, count.spot) else {
            self.fulls.note(count.spot.age(), count.known);
            self.remove_old_ledgers(ledger);
            self.counted(&count, ledger.full_bytes(), now, wall);
            if self.limits.keep_days > 0 {
                self.age.store(disk).map_err(LandingError::disk("note the date in", &self.dir))?;
            }
            return Ok(false);
        };
        if next.age() != count.spot.age() {
            let known = std::mem::replace(&mut count.known, Known::COUNTED);
            self.fulls.note(count.spot.age(), known);
        }
        if lines.is_none() {
            count.known.is_unread();
        }
        for line in lines.iter().flatten() {
            let bytes = self.count_line(disk, line);
            let date = date_of(line);
            if bytes > 0 && (count.oldest.is_empty() || date < count.oldest.as_str()) {
                date.clone_into(&mut count.oldest);
            }
            count.known.add(line, date, bytes > 0);
            count.bytes += bytes;
        }
        self.count = Some(Count { spot: next, ..count });
        Ok(true)
    }

    /// Lines of ledgers of which not everything was fetched, and the spot behind them; `None` in place of lines that cannot
    /// be read: they are told once, and stepped over.
    fn read<D: Disk>(
        &mut self,
        ledger: &Ledger<D>,
        spot: Spot,
    ) -> Option<(Option<Vec<Line>>, Spot)> {
        let wanted = |age| !self.fulls.is_fetched(age);
        match ledger.next_lines::<Line>(spot, wanted) {
            Ok(found) => found.map(|(lines, next)| (Some(lines), next)),
            Err(Unread { error, behind }) => {
                self.unread.met(&error);
                Some((None, behind))
            }
        }
    }

    /// What the disk said of a ledger that it does not give back, once.
    pub(super) fn take_unread(&mut self) -> Option<String> {
        self.unread.untold.take()
    }

    /// The start of the day from which on everything is kept; `None` if that is not known, or nobody asked for it.
    fn kept(&self) -> Option<EpochMillis> {
        let days = self.limits.keep_days;
        let earliest = self.age.earliest_kept(days).filter(|_| days > 0)?;
        start_of(&date(earliest))
    }

    /// Removes what `keep_days` does not keep.
    fn remove_old_ledgers<D: Disk>(&mut self, ledger: &mut Ledger<D>) {
        while self.remove_ledger(ledger, None, Reason::KeepDays) > 0 {}
    }

    /// Removes the oldest full ledger that may go; returns the bytes that became free. One that cannot be removed stays.
    fn remove_ledger<D: Disk>(
        &mut self,
        ledger: &mut Ledger<D>,
        needed: Option<Needed>,
        reason: Reason,
    ) -> u64 {
        let Some(age) = self.fulls.removable(ledger.last_set(), self.kept(), needed) else {
            return 0;
        };
        // Whatever becomes of it, it is not met again before the next count.
        self.fulls.note(age, Known::default());
        let Ok((name, bytes)) = ledger.remove_full(age) else { return 0 };
        log::warn!("event=ledger_removed name={name:?} bytes={bytes} why={}", reason.key());
        bytes
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
        ledger: &mut Ledger<D>,
        needed: u64,
    ) -> Admission {
        if self.limits.max_bytes == 0 {
            return Admission::Yes;
        }
        self.note_rotation(ledger);
        let Some(present) = self.present else { return Admission::Later };
        if needed > self.limits.max_bytes {
            return Admission::Never;
        }
        self.is_full = present.saturating_add(needed) > self.limits.max_bytes;
        if !self.is_full {
            return Admission::Yes;
        }
        if !self.is_fresh() {
            self.is_wanted = true;
            return Admission::Later;
        }
        let target = self.limits.max_bytes - needed;
        if self.limits.when_full == WhenFull::DeleteOldest {
            let kept = self.limits.keep_days > 0;
            let needed = if kept { Needed::WithoutDeletes } else { Needed::WithDeletes };
            let freed = self.remove_ledger(ledger, Some(needed), Reason::MaxBytes);
            if freed > 0 {
                self.present = Some(present.saturating_sub(freed));
                return Admission::Later;
            }
        }
        let ledgers = ledger.full_bytes();
        if self.limits.when_full == WhenFull::Block || ledgers > target {
            return Admission::Full { present, ledgers };
        }
        let Some((lines, next)) = self.read(ledger, self.oldest) else {
            return Admission::Full { present, ledgers };
        };
        for line in lines.iter().flatten() {
            if self.present.is_some_and(|present| present <= target) {
                return Admission::Later;
            }
            let freed = self.remove_line(disk, line, Reason::MaxBytes);
            self.present = self.present.map(|present| present.saturating_sub(freed));
        }
        self.oldest = next;
        Admission::Later
    }

    /// So many bytes were landed.
    pub(super) fn add(&mut self, bytes: u64) {
        self.present = self.present.map(|present| present.saturating_add(bytes));
        self.is_exact = false;
    }

    fn note_rotation<D: Disk>(&mut self, ledger: &Ledger<D>) {
        if self.rotations != ledger.rotations() {
            (self.rotations, self.oldest) = (ledger.rotations(), OLDEST);
            self.fulls.forget();
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

/// Lines that could not be read.
#[derive(Debug, Default)]
struct Unreadable {
    /// What the disk said, until it is told.
    untold: Option<String>,
    is_met: bool,
}

impl Unreadable {
    /// Only the first is told.
    fn met(&mut self, error: &LandingError) {
        if !std::mem::replace(&mut self.is_met, true) {
            log::error!("event=ledger_unreadable error=\"{error}\"");
            self.untold = Some(error.to_string());
        }
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

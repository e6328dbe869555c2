//! Progress stamps: how each loop shows that it still turns, and how the watchdog judges them.
//!
//! ```text
//!              turn(now)                 turn(now)
//!  +--------+ ----------> +---------+ <---------+
//!  | absent |             | turning | ----------+
//!  +--------+ <---------- +---------+   begin(operation, now)    +-----------------+
//!               retire()      ^    +---------------------------> | in an operation |
//!                             +--------------------------------- +-----------------+
//!                                          end(now)
//! ```
//!
//! | state | age | shown as trouble | watchdog fed |
//! |---|---|---|---|
//! | absent | any | no | yes |
//! | turning | up to [`TURN_AGE_MAX`] | no | yes |
//! | turning | above | yes | **no** |
//! | in an operation | up to [`OPERATION_SHOWN_AFTER`] | no | yes |
//! | in an operation | up to [`OPERATION_AGE_MAX`] | yes | yes |
//! | in an operation | above | yes | **no** |
//!
//! A loop therefore wakes at least every [`TURN_PERIOD_MAX`], even when nothing happens, and names
//! everything that may sit in the kernel for longer. So the watchdog kills hangs and not slow disks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits::{OPERATION_AGE_MAX, OPERATION_SHOWN_AFTER, TURN_AGE_MAX};
use crate::ops::clock;

#[cfg(doc)]
use crate::limits::TURN_PERIOD_MAX;

/// The loops of a program, one stamp each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// Accepts, reads and answers what comes through the gate.
    Gate,
    /// Appends and syncs.
    Spool,
    /// Pipes, status, control, alarms, watchdog.
    Main,
    /// Inbox, landing and cuts: hashes, copies, checks of whole files.
    Worker,
}

/// What may take a loop long, because the kernel or the disk does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading the spool back at start.
    Recover,
    /// Making appended entries durable.
    Sync,
    /// Flushing dirty bytes of a file that is being written.
    Flush,
    /// Making a whole file durable under its final name.
    Seal,
    /// Taking a file in by copy.
    Copy,
    /// Reading entries and files for a pipe.
    Read,
    /// Copying what is taken out of a pipe to its dead letters.
    PutAside,
    /// Writing down what a node remembers: precision, acknowledgements.
    Remember,
    /// Reading the configuration and its secrets again.
    Configure,
    /// Writing a file into the landing directory.
    Land,
    /// Cutting a file for a pipe.
    Cut,
    /// Deleting segments and files that nobody needs.
    Release,
    /// Looking through a directory.
    Scan,
}

/// One loop's stamp; written by its loop only, read by anyone.
#[derive(Debug)]
pub struct Stamp {
    #[cfg(feature = "simulation")]
    name: Loop,
    start: Instant,
    /// Milliseconds since `start` of the last sign of life, plus [`STEP`] times what the loop does:
    /// 0 absent, 1 turning, 2 and up the operations. One word, so that a reader never sees half.
    word: AtomicU64,
}

/// The stamps of all loops.
#[derive(Debug)]
pub struct Stamps {
    loops: [Stamp; Loop::ALL.len()],
}

/// What a stamp shows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// The loop has not begun, or has ended in order.
    Absent,
    /// The loop's last turn was so long ago.
    Turning(Duration),
    /// The loop has been in this operation for so long.
    Within(Operation, Duration),
}

/// A loop that is slower than it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// Which one.
    pub name: Loop,
    /// The operation that it sits in; none if it just does not turn.
    pub operation: Option<Operation>,
    /// For how long.
    pub age: Duration,
}

/// What the watchdog should do, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether `WATCHDOG=1` may be sent.
    pub feed: bool,
    /// The loop that is worth trouble: of those that starve the watchdog, or else of all, the one that has been slow
    /// for longest.
    pub slowest: Option<Slow>,
}

/// Decides over the loops' activities: pure, so that every row of the table is a test.
pub fn judge(loops: impl IntoIterator<Item = (Loop, Activity)>) -> Verdict {
    let mut verdict = Verdict { feed: true, slowest: None };
    // What starves the watchdog goes before what may only wait for it.
    let mut worst = (false, Duration::ZERO);
    for (name, activity) in loops {
        let (operation, age, shown_after, fed_until) = match activity {
            Activity::Absent => continue,
            Activity::Turning(age) => (None, age, TURN_AGE_MAX, TURN_AGE_MAX),
            Activity::Within(what, age) => {
                (Some(what), age, OPERATION_SHOWN_AFTER, OPERATION_AGE_MAX)
            }
        };
        verdict.feed &= age <= fed_until;
        let badness = (age > fed_until, age);
        if age > shown_after && badness > worst {
            worst = badness;
            verdict.slowest = Some(Slow { name, operation, age });
        }
    }
    verdict
}

impl Stamps {
    /// Stamps of loops that are all absent. `start` is the zero of their clocks.
    pub fn new(start: Instant) -> Self {
        Self { loops: Loop::ALL.map(|name| Stamp::new(name, start)) }
    }

    /// The stamp of one loop.
    pub fn of(&self, name: Loop) -> &Stamp {
        let [gate, spool, main, worker] = &self.loops;
        match name {
            Loop::Gate => gate,
            Loop::Spool => spool,
            Loop::Main => main,
            Loop::Worker => worker,
        }
    }

    /// Judges all loops at `now`.
    pub fn judge(&self, now: Instant) -> Verdict {
        judge(Loop::ALL.map(|name| (name, self.of(name).activity(now))))
    }
}

impl Stamp {
    #[cfg_attr(not(feature = "simulation"), expect(unused_variables, reason = "for faults only"))]
    fn new(name: Loop, start: Instant) -> Self {
        Self {
            #[cfg(feature = "simulation")]
            name,
            start,
            word: AtomicU64::new(0),
        }
    }

    /// The loop turned: something was done, or there was nothing to do.
    pub fn turn(&self, now: Instant) {
        self.write(TURNING, now);
        #[cfg(feature = "simulation")]
        super::fault::stand_still(self.name.name());
    }

    /// The loop enters `operation`, which may take long.
    pub fn begin(&self, operation: Operation, now: Instant) {
        self.write(operation.code(), now);
    }

    /// The operation is over: the same as a turn.
    pub fn end(&self, now: Instant) {
        self.write(TURNING, now);
    }

    /// Enters `operation` until the returned guard is dropped, which is no turn: what the loop did before counts on
    /// behind it, without the time within. So a loop that never ends is seen, however often it asks the disk. For
    /// shell code: it reads the clock.
    pub fn within(&self, operation: Operation) -> Within<'_> {
        let (before, began) = (self.word.load(Ordering::Acquire), clock::now());
        self.begin(operation, began);
        Within { stamp: self, before, began }
    }

    /// Leaves an operation: as it was `before`, with `spent` more time.
    fn resume(&self, before: u64, spent: Duration) {
        let spent = u64::try_from(spent.as_millis()).unwrap_or(STEP - 1);
        let millis = (before % STEP).saturating_add(spent).min(STEP - 1);
        self.word.store(before - before % STEP + millis, Ordering::Release);
    }

    /// The loop ends in order and is no longer judged.
    pub fn retire(&self) {
        self.word.store(0, Ordering::Release);
    }

    /// What the loop shows at `now`.
    pub fn activity(&self, now: Instant) -> Activity {
        let word = self.word.load(Ordering::Acquire);
        let at = self.start + Duration::from_millis(word % STEP);
        let age = now.saturating_duration_since(at);
        match word / STEP {
            0 => Activity::Absent,
            code => Operation::of_code(code)
                .map_or(Activity::Turning(age), |operation| Activity::Within(operation, age)),
        }
    }

    fn write(&self, code: u64, now: Instant) {
        let millis = now.saturating_duration_since(self.start).as_millis();
        let millis = u64::try_from(millis).unwrap_or(STEP - 1).min(STEP - 1);
        self.word.store(code * STEP + millis, Ordering::Release);
    }
}

/// Guard of a named operation: see [`Stamp::within`].
#[derive(Debug)]
#[must_use = "the operation ends when this is dropped"]
pub struct Within<'a> {
    stamp: &'a Stamp,
    /// What the loop did before, and since when.
    before: u64,
    began: Instant,
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        let now = clock::now();
        match self.before / STEP {
            0 => self.stamp.end(now),
            _ => self.stamp.resume(self.before, now.saturating_duration_since(self.began)),
        }
    }
}

impl Loop {
    /// All of them, in the order of their stamps.
    pub const ALL: [Self; 4] = [Self::Gate, Self::Spool, Self::Main, Self::Worker];

    /// The name that people see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Spool => "spool",
            Self::Main => "main",
            Self::Worker => "worker",
        }
    }
}

impl Operation {
    const ALL: [Self; 13] = [
        Self::Recover,
        Self::Sync,
        Self::Flush,
        Self::Seal,
        Self::Copy,
        Self::Read,
        Self::PutAside,
        Self::Remember,
        Self::Configure,
        Self::Land,
        Self::Cut,
        Self::Release,
        Self::Scan,
    ];

    /// What the loop does, as people say it: "syncing the log".
    pub fn name(self) -> &'static str {
        match self {
            Self::Recover => "reading the spool back",
            Self::Sync => "syncing the log",
            Self::Flush => "flushing a file",
            Self::Seal => "syncing a whole file",
            Self::Copy => "copying a file in",
            Self::Read => "reading the spool",
            Self::PutAside => "putting an entry aside",
            Self::Remember => "writing down what it remembers",
            Self::Configure => "reading the configuration",
            Self::Land => "landing a file",
            Self::Cut => "cutting a file",
            Self::Release => "releasing space",
            Self::Scan => "looking through a directory",
        }
    }

    fn code(self) -> u64 {
        (TURNING + 1..).zip(Self::ALL).find(|(_, each)| *each == self).map_or(TURNING, |(n, _)| n)
    }

    fn of_code(code: u64) -> Option<Self> {
        let index = code.checked_sub(TURNING + 1)?;
        Self::ALL.get(usize::try_from(index).ok()?).copied()
    }
}

const TURNING: u64 = 1;
/// Room for the milliseconds: 2^48 of them are nine thousand years.
const STEP: u64 = 1 << 48;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn verdict_of(activity: Activity) -> (bool, bool) {
        let verdict = judge([(Loop::Gate, Activity::Turning(SECOND)), (Loop::Spool, activity)]);
        (verdict.feed, verdict.slowest.is_some())
    }

    #[test]
    fn watchdog_is_fed_from_progress_only() {
        let sync = |age| Activity::Within(Operation::Sync, age);
        for (activity, feed, shown) in [
            (Activity::Absent, true, false),
            (Activity::Turning(TURN_AGE_MAX), true, false),
            (Activity::Turning(TURN_AGE_MAX + SECOND), false, true),
            (sync(OPERATION_SHOWN_AFTER), true, false),
            (sync(OPERATION_SHOWN_AFTER + SECOND), true, true),
            (sync(OPERATION_AGE_MAX), true, true),
            (sync(OPERATION_AGE_MAX + SECOND), false, true),
        ] {
            assert_eq!(verdict_of(activity), (feed, shown), "{activity:?}");
        }
    }

    #[test]
    fn the_slowest_loop_is_named() {
        let slow = |age| Activity::Within(Operation::Seal, age * 20);
        let verdict = judge([(Loop::Spool, slow(SECOND)), (Loop::Worker, slow(2 * SECOND))]);
        let slowest = verdict.slowest.expect("both are slow");
        assert_eq!((slowest.name, slowest.operation), (Loop::Worker, Some(Operation::Seal)));
    }

    #[test]
    fn a_loop_that_is_stuck_is_named_before_one_that_waits_for_it() {
        let waits = Activity::Within(Operation::Land, TURN_AGE_MAX + 5 * SECOND);
        let stuck = Activity::Turning(TURN_AGE_MAX + SECOND);
        let verdict = judge([(Loop::Spool, stuck), (Loop::Worker, waits)]);
        assert_eq!(verdict.slowest.map(|slowest| slowest.name), Some(Loop::Spool));
        let verdict = judge([(Loop::Worker, waits), (Loop::Spool, stuck)]);
        assert_eq!(verdict.slowest.map(|slowest| slowest.name), Some(Loop::Spool));
    }

    #[test]
    fn stamp_shows_what_its_loop_wrote() {
        let start = clock::now();
        let stamps = Stamps::new(start);
        let stamp = stamps.of(Loop::Worker);
        let at = |seconds| start + SECOND * seconds;
        assert_eq!(stamp.activity(at(9)), Activity::Absent);
        stamp.turn(at(2));
        assert_eq!(stamp.activity(at(9)), Activity::Turning(7 * SECOND));
        for operation in Operation::ALL {
            stamp.begin(operation, at(3));
            assert_eq!(stamp.activity(at(9)), Activity::Within(operation, 6 * SECOND));
        }
        stamp.end(at(8));
        assert_eq!(stamp.activity(at(9)), Activity::Turning(SECOND));
        assert_eq!(stamps.of(Loop::Gate).activity(at(9)), Activity::Absent, "stamps are separate");
        stamp.retire();
        assert_eq!(stamp.activity(at(9)), Activity::Absent);
    }

    #[test]
    fn an_operation_is_no_turn_and_its_time_does_not_count() {
        let now = clock::now();
        let stamps = Stamps::new(now.checked_sub(60 * SECOND).expect("a machine that runs"));
        let stamp = stamps.of(Loop::Worker);
        stamp.turn(now.checked_sub(20 * SECOND).expect("the same"));
        for _ in 0..3 {
            drop(stamp.within(Operation::Land));
        }
        let Activity::Turning(age) = stamp.activity(clock::now()) else { panic!("not turning") };
        assert!(age > TURN_AGE_MAX, "{age:?}");
        let mut guard = stamp.within(Operation::Land);
        guard.began -= 15 * SECOND;
        drop(guard);
        let Activity::Turning(age) = stamp.activity(clock::now()) else { panic!("not turning") };
        assert!(age < TURN_AGE_MAX, "{age:?}");
    }

    #[test]
    fn guard_ends_its_operation() {
        let stamps = Stamps::new(clock::now());
        let stamp = stamps.of(Loop::Spool);
        let guard = stamp.within(Operation::Sync);
        assert!(matches!(stamp.activity(clock::now()), Activity::Within(Operation::Sync, _)));
        drop(guard);
        assert!(matches!(stamp.activity(clock::now()), Activity::Turning(_)));
    }
}

//! The watch: looks at the board once a second, raises and clears the troubles that can be seen
//! there, and feeds systemd's watchdog from progress.
//!
//! What one part knows best (a full spool, a refused entry) that part raises and clears itself.
//!
//! ```text
//!  board --> Watch::turn(now, wall) --> troubles
//!    |                                  spool-filling, disk-failing, no-answer, pipe-stopped, held,
//!    +-- stamps --> Verdict.feed        disk-slow, stuck, clock-wrong
//!                     |
//!                     +--> WATCHDOG=1
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time;

use crate::ops::board::{
    Board, IntakeKind, PASSING_SHOWN, PipeRow, PipeState, Report, SpoolState, TroubleKind,
};
use crate::ops::clock::{self, EpochMillis};
use crate::ops::code;
use crate::ops::human::{Age, Bytes};
use crate::ops::stamp::{Loop, Slow};
use crate::ops::systemd;

/// Watches until it is dropped; it is also the main loop's stamp. Run it on the main loop.
pub async fn run(board: Arc<Board>) {
    let period = systemd::watchdog_period();
    let mut watch = Watch::new(clock::now(), clock::wall());
    let (mut fed, mut told, mut released) = (None::<Instant>, None::<Instant>, clock::now());
    let mut ticks = time::interval(TURN);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = clock::now();
        board.stamps.of(Loop::Main).turn(now);
        let feed = watch.turn(&board, now, clock::wall());
        let due = |last: Option<Instant>, period: Duration| {
            last.is_none_or(|last| now.saturating_duration_since(last) >= period)
        };
        if feed && period.is_some_and(|period| due(fed, period)) {
            systemd::feed_watchdog();
            fed = Some(now);
        }
        if due(told, STATE_PERIOD) {
            systemd::status(&systemd::state_line(&board, now));
            told = Some(now);
        }
        if due(Some(released), CODE_PERIOD) {
            code::release();
            released = now;
        }
    }
}

/// What is remembered from one turn to the next.
#[derive(Debug)]
pub struct Watch {
    born: Instant,
    start: (Instant, EpochMillis),
    /// The spool's bytes, one sample every [`SAMPLE_PERIOD`], the oldest first.
    fill: VecDeque<(Instant, u64)>,
    /// When the clock was last seen to jump.
    jumped: Option<(Instant, i64)>,
    /// Since when answers are held without a break.
    held_since: Option<Instant>,
}

impl Watch {
    /// A watch that begins at `now`, when the clock showed `wall`.
    pub fn new(now: Instant, wall: EpochMillis) -> Self {
        Self {
            born: now,
            start: (now, wall),
            fill: VecDeque::with_capacity(SAMPLES),
            jumped: None,
            held_since: None,
        }
    }

    /// Looks once. Returns whether the watchdog may be fed.
    pub fn turn(&mut self, board: &Board, now: Instant, wall: EpochMillis) -> bool {
        self.spool(board, now, wall);
        board.pipes.all().iter().for_each(|pipe| watch_pipe(board, pipe, now, wall));
        self.clock(board, now, wall);
        self.held(board, now, wall);
        board.troubles.expire(now);
        if now.saturating_duration_since(self.born) >= REMEMBERED_FOR {
            board.troubles.forget_remembered();
        }
        let verdict = board.stamps.judge(now);
        loops(board, verdict.slowest, wall);
        verdict.feed
    }

    fn spool(&mut self, board: &Board, now: Instant, wall: EpochMillis) {
        let (bytes, max_bytes) = (board.spool.bytes.get(), board.spool.max_bytes.get());
        let state = board.spool.state();
        if state == SpoolState::Failing && !board.troubles.has(TroubleKind::DiskFailing, "") {
            let what = "the spool's disk failed repeatedly; nothing more is taken in";
            board.raise(Report::new(TroubleKind::DiskFailing, what), wall);
        }
        let left = self.full_in(bytes, max_bytes, now).filter(|_| state == SpoolState::Ok);
        let soon = left.filter(|left| *left < FILLING_WARNED_BEFORE);
        let what = format!(
            "it is full in {} at the present rates",
            Age(soon.unwrap_or_default().as_secs())
        );
        show(board, soon.is_some(), TroubleKind::SpoolFilling, "", what, wall);
    }

    /// When the spool is full if it goes on as in the last hour; none if it does not grow.
    fn full_in(&mut self, bytes: u64, max_bytes: u64, now: Instant) -> Option<Duration> {
        let last = self.fill.back().map(|(at, _)| now.saturating_duration_since(*at));
        if last.is_none_or(|age| age >= SAMPLE_PERIOD) {
            if self.fill.len() == SAMPLES {
                self.fill.pop_front();
            }
            self.fill.push_back((now, bytes));
        }
        let (since, before) = self.fill.front()?;
        let span = now.saturating_duration_since(*since);
        let grown = bytes.checked_sub(*before).filter(|grown| *grown > 0)?;
        // Less than a few percent of the quota is no trend: a backlog of minutes comes and goes.
        if span < SAMPLE_PERIOD * 5 || grown < max_bytes / 50 {
            return None;
        }
        let room = u128::from(max_bytes.saturating_sub(bytes));
        let seconds = room * u128::from(span.as_secs()) / u128::from(grown);
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)))
    }

    fn held(&mut self, board: &Board, now: Instant, wall: EpochMillis) {
        let held: u64 = IntakeKind::ALL.iter().map(|kind| board.intake(*kind).held.get()).sum();
        self.held_since = (held > 0).then(|| self.held_since.unwrap_or(now));
        let age =
            self.held_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let what = format!(
            "{held} senders have waited for {} for their data to be taken",
            Age(age.as_secs())
        );
        show(board, age >= HELD_SHOWN_AFTER, TroubleKind::Held, "", what, wall);
    }

    fn clock(&mut self, board: &Board, now: Instant, wall: EpochMillis) {
        let (start, start_wall) = self.start;
        let passed = i64::try_from(now.saturating_duration_since(start).as_millis());
        let drift = wall.0 - start_wall.0 - passed.unwrap_or(i64::MAX);
        if drift.unsigned_abs() >= JUMP_MILLIS {
            self.jumped = Some((now, drift));
            self.start = (now, wall);
        }
        let jump = self.jumped.filter(|(at, _)| now.saturating_duration_since(*at) < JUMP_SHOWN);
        let what = match jump {
            _ if !wall.is_dated() => format!("it shows {wall}, before this program was made"),
            Some((_, drift)) => {
                let way = if drift > 0 { "forward" } else { "back" };
                format!("it jumped {way} by {}", Age(drift.unsigned_abs() / 1000))
            }
            None => String::new(),
        };
        show(board, !what.is_empty(), TroubleKind::ClockWrong, "", what, wall);
    }
}

fn watch_pipe(board: &Board, pipe: &PipeRow, now: Instant, wall: EpochMillis) {
    let (entries, bytes) = (pipe.remaining_entries.get(), Bytes(pipe.remaining_bytes.get()));
    let running = pipe.state() == PipeState::Running;
    let waiting = pipe.unanswered(now).filter(|age| running && *age >= NO_ANSWER_AFTER);
    let minutes = waiting.unwrap_or_default().as_secs() / 60;
    let what = format!(
        "{} has accepted nothing for {minutes} minutes; {entries} entries wait, {bytes}",
        pipe.target()
    );
    show(board, waiting.is_some(), TroubleKind::NoAnswer, pipe.id(), what, wall);
    // A stopped pipe without a known remainder is the business of whoever stopped it.
    if running || entries > 0 {
        let what = format!("it keeps {entries} entries in the spool, {bytes}");
        show(board, !running, TroubleKind::PipeStopped, pipe.id(), what, wall);
    }
}

fn loops(board: &Board, slowest: Option<Slow>, wall: EpochMillis) {
    let (mut slow, mut stuck) = (String::new(), String::new());
    if let Some(Slow { name, operation, age }) = slowest {
        let (name, age) = (name.name(), Age(age.as_secs()));
        if let Some(operation) = operation {
            slow = format!("the {name} loop has been {} for {age}", operation.name());
        } else {
            stuck = format!("the {name} loop has not turned for {age}");
        }
    }
    show(board, !slow.is_empty(), TroubleKind::DiskSlow, "", slow, wall);
    show(board, !stuck.is_empty(), TroubleKind::Stuck, "", stuck, wall);
}

/// Raises a trouble while `there`, and clears it afterwards.
fn show(
    board: &Board,
    there: bool,
    kind: TroubleKind,
    subject: &str,
    what: String,
    wall: EpochMillis,
) {
    if there {
        board.raise(Report::new(kind, what).about(subject), wall);
    } else {
        board.clear(kind, subject);
    }
}

/// A turn of the watch.
const TURN: Duration = Duration::from_secs(1);
/// How often systemd gets the line of state.
const STATE_PERIOD: Duration = Duration::from_secs(10);
/// How often code that ran once, as for a statement or a page of the status, is given back.
const CODE_PERIOD: Duration = Duration::from_secs(60);
/// One sample a minute.
const SAMPLE_PERIOD: Duration = Duration::from_secs(60);
/// The last hour.
const SAMPLES: usize = 60;
/// Time for a person to act: a weekend and some days.
const FILLING_WARNED_BEFORE: Duration = Duration::from_secs(7 * 86_400);
/// Longer than a reboot of the far side, shorter than a shift.
const NO_ANSWER_AFTER: Duration = Duration::from_secs(5 * 60);
/// A time service slews by less; a person who sets the clock by more wants to know.
const JUMP_MILLIS: u64 = 60_000;
/// A jump is an event; it is shown for this long.
const JUMP_SHOWN: Duration = PASSING_SHOWN;
/// What lies on the disk is looked at within moments of the start.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// A spool that is full for moments holds answers for moments.
const HELD_SHOWN_AFTER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;
    use crate::ops::stamp::Operation;

    const WALL: EpochMillis = EpochMillis::PROGRAM;
    const MINUTE: Duration = Duration::from_secs(60);

    struct Bench {
        start: Instant,
        board: Board,
        watch: Watch,
    }

    impl Bench {
        fn new() -> Self {
            let start = clock::now();
            Self {
                start,
                board: Board::new(Role::Sender, "", start),
                watch: Watch::new(start, WALL),
            }
        }

        /// Turns after `age`, with a clock that is off by `skew_millis`; returns the kinds.
        fn turn(&mut self, age: Duration, skew_millis: i64) -> Vec<&'static str> {
            let wall = EpochMillis(WALL.0 + i64::try_from(age.as_millis()).unwrap() + skew_millis);
            self.watch.turn(&self.board, self.start + age, wall);
            self.board.troubles.all().iter().map(|trouble| trouble.kind.name()).collect()
        }
    }

    #[test]
    fn silence_is_trouble_only_while_something_waits() {
        let mut bench = Bench::new();
        let row = bench.board.pipes.row("p", "gate:9780", WALL).unwrap();
        assert!(bench.turn(60 * MINUTE, 0).is_empty(), "nothing to send");
        row.set_backlog(0, 2, 20, bench.start + 60 * MINUTE);
        assert!(bench.turn(64 * MINUTE, 0).is_empty());
        assert_eq!(bench.turn(72 * MINUTE, 0), ["no-answer"]);
        let what = bench.board.troubles.all().remove(0).what;
        assert_eq!(what, "gate:9780 has accepted nothing for 12 minutes; 2 entries wait, 20 B");
        row.accepted(10, bench.start + 73 * MINUTE);
        assert!(bench.turn(74 * MINUTE, 0).is_empty());
        row.set_state(PipeState::Stopped, WALL);
        assert_eq!(bench.turn(99 * MINUTE, 0), ["pipe-stopped"]);
    }

    #[test]
    fn filling_is_told_from_a_trend() {
        let mut bench = Bench::new();
        bench.board.spool.max_bytes.set(1000);
        for minute in 0..30 {
            bench.board.spool.bytes.set(u64::from(minute) * 10);
            bench.turn(MINUTE * minute, 0);
        }
        let what = bench.board.troubles.all().remove(0).what;
        assert_eq!(what, "it is full in 1 h 11 min at the present rates");
        bench.board.spool.bytes.set(0);
        assert!(bench.turn(MINUTE * 31, 0).is_empty(), "it was sent");
        bench.board.spool.set_state(SpoolState::Failing);
        assert_eq!(bench.turn(MINUTE * 32, 0), ["disk-failing"]);
    }

    #[test]
    fn held_answers_are_trouble_when_they_stay_held() {
        let mut bench = Bench::new();
        let held = &bench.board.intake(IntakeKind::Gate).held;
        held.set(2);
        assert!(bench.turn(MINUTE, 0).is_empty());
        bench.board.intake(IntakeKind::Gate).held.set(0);
        assert!(bench.turn(MINUTE * 2, 0).is_empty());
        bench.board.intake(IntakeKind::Gate).held.set(1);
        assert!(bench.turn(MINUTE * 3, 0).is_empty(), "held anew");
        assert_eq!(bench.turn(MINUTE * 4, 0), ["held"]);
        bench.board.intake(IntakeKind::Gate).held.set(0);
        assert!(bench.turn(MINUTE * 5, 0).is_empty());
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let mut bench = Bench::new();
        assert!(bench.turn(MINUTE, 2_000).is_empty());
        assert_eq!(bench.turn(MINUTE * 2, 600_000), ["clock-wrong"]);
        assert_eq!(bench.board.troubles.all()[0].what, "it jumped forward by 10 min 00 s");
        assert!(bench.turn(MINUTE * 90, 600_000).is_empty(), "an event is over after a while");
        assert_eq!(bench.turn(MINUTE * 91, -7_200_000), ["clock-wrong"]);
        assert!(bench.board.troubles.all()[0].what.starts_with("it shows 2026-10-31"));
    }

    #[test]
    fn slow_disk_is_shown_and_fed_a_stuck_loop_is_shown_and_not_fed() {
        let mut bench = Bench::new();
        let at = |seconds| bench.start + Duration::from_secs(seconds);
        let stamp = bench.board.stamps.of(Loop::Spool);
        stamp.begin(Operation::Sync, at(0));
        assert!(bench.watch.turn(&bench.board, at(60), WALL));
        assert!(bench.board.troubles.has(TroubleKind::DiskSlow, ""));
        stamp.end(at(60));
        assert!(bench.watch.turn(&bench.board, at(61), WALL));
        assert!(!bench.board.troubles.has(TroubleKind::DiskSlow, ""));
        assert!(!bench.watch.turn(&bench.board, at(99), WALL));
        assert!(bench.board.troubles.has(TroubleKind::Stuck, ""));
    }
}

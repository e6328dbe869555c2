//! One row a pipe: what its sink has sent, what is left, what the far side said last.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::gauge::{Gauge, Moment};
use super::history::{History, Sample};
use super::lag::Lag;
use super::meter::{Meter, time_left};
use super::work::{Doing, Work};
use super::{lock, shortened};
use crate::data::Sequence;
use crate::limits::PIPES_MAX;
use crate::ops::clock::EpochMillis;

/// The rows, at most [`PIPES_MAX`].
#[derive(Debug)]
pub struct PipeTable {
    start: Instant,
    rows: Mutex<Vec<Arc<PipeRow>>>,
}

/// There are [`PIPES_MAX`] pipes already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no more than {PIPES_MAX} pipes fit one node")]
pub struct PipeTableFull;

/// What a person wants a pipe to do. Whether it gets on is another thing: see its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeState {
    /// It sends.
    Running,
    /// It keeps its position and sends nothing.
    Stopped,
}

/// In which unit a pipe sends tablets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    Tablets,
    /// Files are made of them.
    Files,
}

impl Unit {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tablets => "tablets",
            Self::Files => "files",
        }
    }
}

/// A pipe's row. Its sink writes, anyone reads.
#[derive(Debug)]
pub struct PipeRow {
    id: String,
    target: String,
    running: AtomicBool,
    sends_files: AtomicBool,
    /// The next entry of its fresh lane; 0 while it has one lane.
    fresh: AtomicU64,
    fresh_percent: AtomicU8,
    since: AtomicI64,
    /// Sequence below which everything was accepted by the far side.
    pub position: Gauge,
    /// Entries that are still to send.
    pub remaining_entries: Gauge,
    /// Their bytes.
    pub remaining_bytes: Gauge,
    /// Frames written.
    pub sent_frames: Gauge,
    /// Bytes written, frame headers included.
    pub sent_bytes: Gauge,
    /// Frames that the far side refused.
    pub refused_frames: Gauge,
    /// Frames and files that were begun again, for whatever reason.
    pub retries: Gauge,
    /// When the far side last answered anything.
    pub last_answer: Moment,
    /// When there began to be something to send that is not yet answered.
    waiting: Moment,
    /// Since when entries wait.
    lag: Mutex<Lag>,
    message: Mutex<String>,
    /// What is done for it, at most [`WORKS_MAX`].
    works: Mutex<Vec<Arc<Doing>>>,
    pace: Mutex<Pace>,
}

/// How fast it goes, and went.
#[derive(Debug)]
struct Pace {
    meter: Meter,
    history: History,
}

impl PipeTable {
    /// No rows, in a node that starts at `start`.
    pub(super) fn new(start: Instant) -> Self {
        Self { start, rows: Mutex::default() }
    }

    /// The row of pipe `id`, made if it is not there. `target` says where it sends to.
    ///
    /// # Errors
    /// [`PipeTableFull`].
    pub fn row(
        &self,
        id: &str,
        target: &str,
        wall: EpochMillis,
    ) -> Result<Arc<PipeRow>, PipeTableFull> {
        let mut rows = lock(&self.rows);
        if let Some(row) = rows.iter().find(|row| row.id == id) {
            return Ok(Arc::clone(row));
        }
        if rows.len() >= PIPES_MAX {
            return Err(PipeTableFull);
        }
        let row = Arc::new(PipeRow::new(shortened(id), shortened(target), self.start, wall));
        rows.push(Arc::clone(&row));
        Ok(row)
    }

    /// The row of pipe `id`, if there is one.
    pub fn find(&self, id: &str) -> Option<Arc<PipeRow>> {
        lock(&self.rows).iter().find(|row| row.id == id).cloned()
    }

    /// Takes the row of a dropped pipe away.
    pub fn remove(&self, id: &str) {
        lock(&self.rows).retain(|row| row.id != id);
    }

    /// All rows, in the order in which they were made.
    pub fn all(&self) -> Vec<Arc<PipeRow>> {
        lock(&self.rows).clone()
    }
}

impl PipeRow {
    fn new(id: String, target: String, start: Instant, wall: EpochMillis) -> Self {
        Self {
            id,
            target,
            running: AtomicBool::new(true),
            sends_files: AtomicBool::new(false),
            fresh: AtomicU64::new(0),
            fresh_percent: AtomicU8::new(0),
            since: AtomicI64::new(wall.0),
            position: Gauge::default(),
            remaining_entries: Gauge::default(),
            remaining_bytes: Gauge::default(),
            sent_frames: Gauge::default(),
            sent_bytes: Gauge::default(),
            refused_frames: Gauge::default(),
            retries: Gauge::default(),
            last_answer: Moment::never(start),
            waiting: Moment::never(start),
            lag: Mutex::default(),
            message: Mutex::default(),
            works: Mutex::default(),
            pace: Mutex::new(Pace { meter: Meter::new(start), history: History::new(start) }),
        }
    }

    /// The pipe's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it sends to.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What a person wants it to do.
    pub fn state(&self) -> PipeState {
        if self.running.load(Ordering::Relaxed) { PipeState::Running } else { PipeState::Stopped }
    }

    /// Since when the state is what it is.
    pub fn since(&self) -> EpochMillis {
        EpochMillis(self.since.load(Ordering::Relaxed))
    }

    /// Writes the state down.
    pub fn set_state(&self, state: PipeState, wall: EpochMillis) {
        if self.state() != state {
            self.running.store(state == PipeState::Running, Ordering::Relaxed);
            self.since.store(wall.0, Ordering::Relaxed);
        }
    }

    /// In which unit it sends tablets at the moment.
    pub fn unit(&self) -> Unit {
        if self.sends_files.load(Ordering::Relaxed) { Unit::Files } else { Unit::Tablets }
    }

    /// It sends tablets in this unit from now on.
    pub fn set_unit(&self, unit: Unit) {
        self.sends_files.store(unit == Unit::Files, Ordering::Relaxed);
    }

    /// While fresh entries overtake a backlog: the next one of them, and their share of the link in percent.
    pub fn fresh(&self) -> Option<(u64, u8)> {
        let next = self.fresh.load(Ordering::Relaxed);
        (next > 0).then(|| (next, self.fresh_percent.load(Ordering::Relaxed)))
    }

    /// From this entry on, entries are fresh and have so many percent of the link; none: there is one lane.
    pub fn set_fresh(&self, next: Option<u64>, percent: u8) {
        self.fresh_percent.store(percent, Ordering::Relaxed);
        self.fresh.store(next.unwrap_or(0), Ordering::Relaxed);
    }

    /// Writes down how far the pipe is and what is left, at `now`.
    pub fn set_backlog(&self, position: u64, entries: u64, bytes: u64, now: Instant) {
        self.position.set(position);
        self.remaining_entries.set(entries);
        self.remaining_bytes.set(bytes);
        lock(&self.pace).history.set_behind(bytes, now);
        if entries == 0 {
            self.waiting.forget();
        } else if self.waiting.age(now).is_none() {
            self.waiting.mark(now);
        }
    }

    /// Writes down that everything below `synced` is there at `now`, and everything below `position` delivered. As seldom as
    /// once a second is enough.
    pub fn note_lag(&self, now: Instant, synced: Sequence, position: Sequence) {
        lock(&self.lag).note(now, synced, position);
    }

    /// How long the oldest entry has waited, since that was written down first.
    pub fn lag(&self, now: Instant) -> Duration {
        lock(&self.lag).age(now)
    }

    /// If something from `first` on has waited for `limit`: where what came afterwards begins. Of that, too, nothing has waited
    /// for so long. Everything below `synced` is there.
    pub fn fresh_from(
        &self,
        now: Instant,
        (first, synced): (Sequence, Sequence),
        limit: Duration,
    ) -> Option<Sequence> {
        lock(&self.lag).fresh_from(now, (first, synced), limit)
    }

    /// A frame of `bytes` was written.
    pub fn sent(&self, bytes: u64) {
        self.sent_frames.count();
        self.sent_bytes.add(bytes);
    }

    /// The far side took a frame of `bytes`.
    pub fn accepted(&self, bytes: u64, now: Instant) {
        self.last_answer.mark(now);
        if self.waiting.age(now).is_some() {
            self.waiting.mark(now);
        }
        let mut pace = lock(&self.pace);
        pace.meter.add(bytes, now);
        pace.history.take(bytes, now);
    }

    /// The far side refused a frame. It answered, so it is there.
    pub fn refused(&self, now: Instant) {
        self.refused_frames.count();
        self.last_answer.mark(now);
    }

    /// How long something has been waiting without any frame being accepted; none if nothing waits.
    pub fn unanswered(&self, now: Instant) -> Option<Duration> {
        self.waiting.age(now)
    }

    /// Bytes per second of the last seconds.
    pub fn rate(&self, now: Instant) -> u64 {
        lock(&self.pace).meter.rate(now)
    }

    /// The last hours, from the oldest slot to the running one.
    pub fn history(&self, now: Instant) -> Vec<Sample> {
        lock(&self.pace).history.samples(now)
    }

    /// How long the remainder takes at the present rate; none while nothing moves.
    pub fn time_left(&self, now: Instant) -> Option<Duration> {
        time_left(self.remaining_bytes.get(), self.rate(now))
    }

    /// What the pipe has to say, or else what long work is done for it; empty when all is well.
    pub fn message(&self) -> String {
        let said = lock(&self.message).clone();
        if !said.is_empty() {
            return said;
        }
        let works: Vec<_> = lock(&self.works).iter().map(|doing| doing.text()).collect();
        works.join("; ")
    }

    /// Long work begins, which the message tells of as long as the result is there.
    pub fn work(self: Arc<Self>, what: &str) -> Work {
        Work::begin(self, what)
    }

    pub(super) fn begin(&self, doing: Arc<Doing>) {
        let mut works = lock(&self.works);
        if works.len() < WORKS_MAX {
            works.push(doing);
        }
    }

    pub(super) fn end(&self, doing: &Arc<Doing>) {
        lock(&self.works).retain(|other| !Arc::ptr_eq(other, doing));
    }

    /// Says something, or nothing any more.
    pub fn say(&self, message: &str) {
        let mut said = lock(&self.message);
        if *said != message {
            *said = shortened(message);
        }
    }
}

impl PipeState {
    /// The name in the status, which is stock IoTDB's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A cut, a replay, and what was withdrawn and is not given up yet: more are not shown.
const WORKS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    fn table() -> (PipeTable, Instant) {
        let start = clock::now();
        (PipeTable::new(start), start)
    }

    #[test]
    fn a_pipe_has_one_row() {
        let (table, _) = table();
        let first = table.row("a", "h:1", EpochMillis(1)).unwrap();
        let again = table.row("a", "h:1", EpochMillis(2)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        table.remove("a");
        assert!(table.all().is_empty());
    }

    #[test]
    fn rows_are_limited() {
        let (table, _) = table();
        for n in 0..PIPES_MAX {
            table.row(&n.to_string(), "", EpochMillis(0)).unwrap();
        }
        assert_eq!(table.row("more", "", EpochMillis(0)).unwrap_err(), PipeTableFull);
        assert!(table.row("0", "", EpochMillis(0)).is_ok(), "known rows are still found");
    }

    #[test]
    fn waiting_begins_with_a_backlog_and_again_with_each_acceptance() {
        let (table, start) = table();
        let row = table.row("a", "", EpochMillis(0)).unwrap();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(row.unanswered(at(5)), None);
        row.set_backlog(0, 3, 300, at(10));
        row.set_backlog(0, 4, 400, at(20));
        assert_eq!(row.unanswered(at(30)), Some(Duration::from_secs(20)));
        row.refused(at(31));
        assert_eq!(row.unanswered(at(40)), Some(Duration::from_secs(30)), "refused is not taken");
        row.accepted(100, at(40));
        assert_eq!(row.unanswered(at(41)), Some(Duration::from_secs(1)));
        row.set_backlog(4, 0, 0, at(42));
        assert_eq!(row.unanswered(at(50)), None);
    }

    #[test]
    fn state_keeps_its_time_until_it_changes() {
        let (table, _) = table();
        let row = table.row("a", "", EpochMillis(1)).unwrap();
        row.set_state(PipeState::Running, EpochMillis(2));
        assert_eq!((row.state(), row.since()), (PipeState::Running, EpochMillis(1)));
        row.set_state(PipeState::Stopped, EpochMillis(3));
        assert_eq!((row.state(), row.since()), (PipeState::Stopped, EpochMillis(3)));
    }

    #[test]
    fn history_has_what_was_accepted_and_what_is_behind() {
        let (table, start) = table();
        let row = table.row("a", "", EpochMillis(0)).unwrap();
        assert!(row.history(start).is_empty());
        row.set_backlog(0, 1, 4096, start);
        row.accepted(700, start + Duration::from_secs(100));
        let sample = Sample { bytes_per_second: 7, behind_bytes: 4096 };
        assert_eq!(row.history(start + Duration::from_secs(100)), [sample]);
    }

    #[test]
    fn message_tells_of_work_until_it_ends_or_there_is_something_to_say() {
        let (table, _) = table();
        let row = table.row("a", "", EpochMillis(0)).unwrap();
        let cut = table.find("a").unwrap().work("cutting x.tsfile");
        assert_eq!(row.message(), "cutting x.tsfile, 0 %");
        cut.done(3, 4);
        let replay = table.find("a").unwrap().work("replaying 1 to 2");
        replay.done(u64::MAX, u64::MAX);
        assert_eq!(row.message(), "cutting x.tsfile, 75 %; replaying 1 to 2, 99 %");
        row.say("no room");
        assert_eq!(row.message(), "no room");
        row.say("");
        drop(cut);
        assert_eq!(row.message(), "replaying 1 to 2, 99 %");
        let more: Vec<_> = (0..9).map(|_| table.find("a").unwrap().work("more")).collect();
        assert_eq!(row.message().matches("more").count(), WORKS_MAX - 1);
        drop((more, replay));
        assert_eq!(row.message(), "");
    }

    #[test]
    fn time_left_follows_the_rate() {
        let (table, start) = table();
        let row = table.row("a", "", EpochMillis(0)).unwrap();
        let later = start + Duration::from_secs(1);
        row.set_backlog(0, 1, 1000, start);
        assert_eq!(row.time_left(later), None);
        row.accepted(500, later);
        assert_eq!(row.time_left(later), Some(Duration::from_secs(2)));
    }
}

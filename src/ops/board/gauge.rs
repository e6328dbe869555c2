//! Counters and gauges: atomics that one thread writes and the status reads.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A number that people see. Reads and writes are independent of all others.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// A moment of the steady clock, or never.
#[derive(Debug)]
pub struct Moment {
    start: Instant,
    /// Milliseconds since `start`, plus one; zero is never.
    millis: AtomicU64,
}

/// The ways in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntakeKind {
    /// The air-gap receiver.
    Gate,
    /// The session service.
    Session,
    /// The directory for `TsFiles`.
    Inbox,
}

/// Counters of one way in.
#[derive(Debug)]
pub struct Intake {
    /// Entries that are safe in the spool.
    pub accepted_entries: Gauge,
    /// Bytes of what was accepted, as it came.
    pub accepted_bytes: Gauge,
    /// Repetitions of what was there already, answered as accepted.
    pub duplicates: Gauge,
    /// Requests answered with a refusal, and files put aside.
    pub refused: Gauge,
    /// Connections reset by us.
    pub resets: Gauge,
    /// Answers that are held right now, since the spool cannot take more.
    pub held: Gauge,
    /// Connections that are open right now.
    pub connections: Gauge,
    /// When something was accepted last.
    pub last_accept: Moment,
}

/// Whether the spool can take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolState {
    /// It can.
    Ok,
    /// Its quota or its file system is used up.
    Full,
    /// Its disk failed too often: it is read only.
    Failing,
}

/// What lies in the spool.
#[derive(Debug, Default)]
pub struct SpoolGauges {
    /// Sequence of the oldest entry that is kept.
    pub first_sequence: Gauge,
    /// Sequence that the next entry gets.
    pub next_sequence: Gauge,
    /// Entries that some consumer still needs.
    pub entries: Gauge,
    /// Bytes of everything that counts for the quota.
    pub bytes: Gauge,
    /// The quota in force: the smaller of `max_bytes` and what the file system allows.
    pub max_bytes: Gauge,
    /// Bytes kept for re-sending only.
    pub retained_bytes: Gauge,
    /// Entries that `drop-oldest` took away.
    pub dropped_entries: Gauge,
    /// Syncs of the log.
    pub syncs: Gauge,
    state: AtomicU8,
}

/// What the landing has done.
#[derive(Debug, Default)]
pub struct LandingGauges {
    /// Files landed since the ledger was begun.
    pub files: Gauge,
    /// Their bytes.
    pub bytes: Gauge,
    /// Their points, as far as they were counted.
    pub points: Gauge,
    /// Entries that have not landed.
    pub pending_entries: Gauge,
    /// Landed files that the node removed since the start, to keep the directory's limits.
    pub removed_files: Gauge,
    /// Their bytes.
    pub removed_bytes: Gauge,
}

impl Gauge {
    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Writes the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Counts `more`.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Counts one.
    pub fn count(&self) {
        self.add(1);
    }
}

impl Moment {
    /// Never, on a clock that starts at `start`.
    pub fn never(start: Instant) -> Self {
        Self { start, millis: AtomicU64::new(0) }
    }

    /// It happened at `now`.
    pub fn mark(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.start).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX - 1);
        self.millis.store(millis + 1, Ordering::Relaxed);
    }

    /// It never happened after all.
    pub fn forget(&self) {
        self.millis.store(0, Ordering::Relaxed);
    }

    /// How long ago it was at `now`; none if never.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let millis = self.millis.load(Ordering::Relaxed).checked_sub(1)?;
        Some(now.saturating_duration_since(self.start + Duration::from_millis(millis)))
    }
}

impl Intake {
    /// Counters at zero of a node that started at `start`.
    pub fn new(start: Instant) -> Self {
        Self {
            accepted_entries: Gauge::default(),
            accepted_bytes: Gauge::default(),
            duplicates: Gauge::default(),
            refused: Gauge::default(),
            resets: Gauge::default(),
            held: Gauge::default(),
            connections: Gauge::default(),
            last_accept: Moment::never(start),
        }
    }

    /// Counts what became safe at `now`.
    pub fn accepted(&self, entries: u64, bytes: u64, now: Instant) {
        self.accepted_entries.add(entries);
        self.accepted_bytes.add(bytes);
        self.last_accept.mark(now);
    }
}

impl IntakeKind {
    /// All of them, in the order of the status.
    pub const ALL: [Self; 3] = [Self::Gate, Self::Session, Self::Inbox];

    /// The name in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Session => "session",
            Self::Inbox => "inbox",
        }
    }
}

impl SpoolState {
    /// The name in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Full => "full",
            Self::Failing => "failing",
        }
    }
}

impl SpoolGauges {
    /// Whether the spool can take more.
    pub fn state(&self) -> SpoolState {
        match self.state.load(Ordering::Relaxed) {
            0 => SpoolState::Ok,
            1 => SpoolState::Full,
            _ => SpoolState::Failing,
        }
    }

    /// Writes the state down.
    pub fn set_state(&self, state: SpoolState) {
        let code = match state {
            SpoolState::Ok => 0,
            SpoolState::Full => 1,
            SpoolState::Failing => 2,
        };
        self.state.store(code, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    #[test]
    fn a_moment_has_an_age_only_after_it_happened() {
        let start = clock::now();
        let moment = Moment::never(start);
        let later = start + Duration::from_secs(5);
        assert_eq!(moment.age(later), None);
        moment.mark(start);
        assert_eq!(moment.age(later), Some(Duration::from_secs(5)));
        moment.forget();
        assert_eq!(moment.age(later), None);
    }

    #[test]
    fn spool_state_is_read_as_written() {
        let gauges = SpoolGauges::default();
        assert_eq!(gauges.state(), SpoolState::Ok);
        for state in [SpoolState::Failing, SpoolState::Full, SpoolState::Ok] {
            gauges.set_state(state);
            assert_eq!(gauges.state(), state);
        }
    }
}

//! The board: what every thread writes down for people, in one place of fixed size.
//!
//! One [`Board`] is made at start and shared as `Arc<Board>`. Counters are atomics, so writing one
//! costs nothing worth naming; rows, crossings and troubles are short lists behind a lock that is
//! held for a copy only. Nothing grows: every list has its maximum in [`crate::limits`].
//!
//! | part | written by | says |
//! |---|---|---|
//! | [`Intake`] | gate thread, inbox | what was taken in, refused, is held |
//! | [`SpoolGauges`] | spool thread | what lies on disk |
//! | [`PipeRow`] | a pipe's sink | position, remainder, frames, last answer, message |
//! | [`Crossing`] | gate thread, sinks | the file that is under way: bytes done, rate, time left |
//! | [`LandingGauges`] | worker | files landed, what waits |
//! | [`Troubles`] | all | what needs a person, and what to do |
//! | [`Stamps`] | all | that each loop still turns |

mod crossing;
mod gauge;
mod history;
mod kind;
mod lag;
mod meter;
mod pipe;
mod trouble;
mod work;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

pub use crossing::{Crossing, CrossingView, Crossings};
pub use gauge::{Gauge, Intake, IntakeKind, LandingGauges, Moment, SpoolGauges, SpoolState};
pub use history::{HISTORY_HOURS, HISTORY_SLOTS, Sample};
pub use kind::TroubleKind;
pub use meter::Meter;
pub use pipe::{PipeRow, PipeState, PipeTable, PipeTableFull, Unit};
pub use trouble::{Change, Event, PASSING_SHOWN, Report, Seen, Trouble, Troubles};
pub use work::Work;

use crate::config::Role;
use crate::ops::clock::EpochMillis;
use crate::ops::stamp::Stamps;

/// What all threads tell people. See the module.
#[derive(Debug)]
pub struct Board {
    role: Role,
    name: String,
    start: Instant,
    origin_id: OnceLock<String>,
    phase: AtomicU8,
    /// What is bound, and where: one or two, as ports may be the system's choice.
    listeners: Mutex<Vec<(&'static str, SocketAddr)>>,
    /// What came through the gate, by sessions and by the inbox.
    intakes: [Intake; IntakeKind::ALL.len()],
    /// What lies in the spool.
    pub spool: SpoolGauges,
    /// What lies in quarantine: things and bytes.
    pub quarantine: Quarantine,
    /// One row a pipe.
    pub pipes: PipeTable,
    /// Files under way.
    pub crossings: Crossings,
    /// What was landed.
    pub landing: LandingGauges,
    /// What needs a person.
    pub troubles: Troubles,
    /// Progress of the loops.
    pub stamps: Stamps,
}

/// Where a node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The spool is read back, listeners are bound.
    Starting,
    /// It works.
    Running,
    /// It takes no more and finishes what is under way.
    Stopping,
}

/// What lies in the quarantine directory.
#[derive(Debug, Default)]
pub struct Quarantine {
    /// Things, each with a `.why` beside it.
    pub things: Gauge,
    /// Their bytes.
    pub bytes: Gauge,
}

impl Board {
    /// An empty board of a node that starts at `start`.
    pub fn new(role: Role, name: &str, start: Instant) -> Self {
        Self {
            role,
            name: shortened(name),
            start,
            origin_id: OnceLock::new(),
            phase: AtomicU8::new(0),
            listeners: Mutex::default(),
            intakes: IntakeKind::ALL.map(|_| Intake::new(start)),
            spool: SpoolGauges::default(),
            quarantine: Quarantine::default(),
            pipes: PipeTable::new(start),
            crossings: Crossings::default(),
            landing: LandingGauges::default(),
            troubles: Troubles::default(),
            stamps: Stamps::new(start),
        }
    }

    /// Which of the two programs this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The name that people gave the node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long the node has been running.
    pub fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    /// Makes the node's identity known; the first call counts.
    pub fn set_origin_id(&self, origin_id: &str) {
        self.origin_id.get_or_init(|| shortened(origin_id));
    }

    /// The node's identity, empty until the spool was opened.
    pub fn origin_id(&self) -> &str {
        self.origin_id.get().map_or("", String::as_str)
    }

    /// Where the node is in its life.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Stopping,
        }
    }

    /// Writes down where the node is in its life.
    pub fn set_phase(&self, phase: Phase) {
        let code = match phase {
            Phase::Starting => 0,
            Phase::Running => 1,
            Phase::Stopping => 2,
        };
        self.phase.store(code, Ordering::Relaxed);
    }

    /// Makes known where the listener `kind` (`gate`, `status`) is bound; an earlier one is replaced.
    pub fn set_listener(&self, kind: &'static str, address: SocketAddr) {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|(known, _)| *known != kind);
        listeners.push((kind, address));
    }

    /// What is bound, and where.
    pub fn listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        lock(&self.listeners).clone()
    }

    /// Counters of one intake.
    pub fn intake(&self, kind: IntakeKind) -> &Intake {
        let [gate, session, inbox] = &self.intakes;
        match kind {
            IntakeKind::Gate => gate,
            IntakeKind::Session => session,
            IntakeKind::Inbox => inbox,
        }
    }

    /// Shows trouble, or shows it again: short for [`Troubles::raise`].
    pub fn raise(&self, report: Report, wall: EpochMillis) {
        self.troubles.raise(report, wall);
    }

    /// Takes trouble away: short for [`Troubles::clear`].
    pub fn clear(&self, kind: TroubleKind, subject: &str) {
        self.troubles.clear(kind, subject);
    }
}

/// `text`, cut at a character so that it fits the status.
fn shortened(text: &str) -> String {
    let mut text = text.to_owned();
    shorten(&mut text);
    text
}

fn shorten(text: &mut String) {
    use crate::limits::STATUS_TEXT_BYTES_MAX;
    if text.len() <= STATUS_TEXT_BYTES_MAX {
        return;
    }
    let cut = (0..=STATUS_TEXT_BYTES_MAX - ELLIPSIS.len())
        .rev()
        .find(|index| text.is_char_boundary(*index));
    text.truncate(cut.unwrap_or(0));
    text.push_str(ELLIPSIS);
}

const ELLIPSIS: &str = "...";

impl Phase {
    /// The name in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// Locks a list. A thread that panicked while it held the lock leaves at worst a stale row.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STATUS_TEXT_BYTES_MAX;
    use crate::ops::clock;

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = "\u{6e20}".repeat(STATUS_TEXT_BYTES_MAX);
        let cut = shortened(&long);
        assert!(cut.len() <= STATUS_TEXT_BYTES_MAX && cut.len() > STATUS_TEXT_BYTES_MAX - 6);
        assert!(cut.ends_with("..."));
        assert_eq!(shortened("plant7"), "plant7");
    }

    #[test]
    fn phase_is_read_as_written() {
        let board = Board::new(Role::Sender, "", clock::now());
        assert_eq!(board.phase(), Phase::Starting);
        for phase in [Phase::Running, Phase::Stopping, Phase::Starting] {
            board.set_phase(phase);
            assert_eq!(board.phase(), phase);
        }
    }

    #[test]
    fn identity_is_written_once() {
        let board = Board::new(Role::Sender, "plant7", clock::now());
        assert_eq!(board.origin_id(), "");
        board.set_origin_id("aa");
        board.set_origin_id("bb");
        assert_eq!((board.origin_id(), board.name()), ("aa", "plant7"));
    }
}

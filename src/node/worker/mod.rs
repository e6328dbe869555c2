//! The worker: one thread of low priority for whole-file work. It takes the inbox in, lands what was
//! taken in, and cuts files for pipes.
//!
//! ```text
//!  inbox --> Taker --> spool thread -- synced --> waker (main loop) -- unpark --> Lander --> landing/
//!                           ^                                                       |
//!                           +------------------------ cursor -----------------------+
//!
//!  pipes --> Desk --> Cutter --> spool/partial/made-<n> --> sinks
//! ```
//!
//! Each turn gives each a step of bounded length, so that a large file of one does not stop the others.

mod cutter;
mod lander;
mod named;
mod patience;
mod taker;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::{InboxConfig, LandingConfig};
use crate::data::OriginId;
use crate::keep::spool_handle::SpoolHandle;
use crate::limits::TURN_PERIOD_MAX;
use crate::ops::board::Board;
use crate::ops::clock;
use crate::ops::stamp::Loop;
use crate::sink::cuts::Desk;
use crate::spool::{ConsumerId, Disk};

use cutter::Cutter;
use lander::Lander;
use taker::Taker;

/// Pause after a step failed, or while there is no room.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// Niceness of the worker: answers to the gate come first.
const NICENESS: i32 = 10;

/// A running worker.
#[derive(Debug)]
pub(super) struct Worker {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

/// What the worker needs of its node.
#[derive(Debug, Clone)]
pub(super) struct Parts<D: Disk> {
    /// The disk of the data directory.
    pub(super) disk: D,
    /// The spool.
    pub(super) spool: SpoolHandle<D>,
    /// The landing directory's consumer, if landing is on.
    pub(super) landing: Option<ConsumerId>,
    /// The node's identity.
    pub(super) origin: OriginId,
    /// Where people look.
    pub(super) board: Arc<Board>,
    /// Where pipes give orders.
    pub(super) desk: Desk,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no room for one more.
    pub(super) fn start<D: Disk>(
        parts: Parts<D>,
        (landing, inbox): (Option<LandingConfig>, Option<InboxConfig>),
        data_dir: &Path,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let order = Arc::clone(&stop);
        let board = Arc::clone(&parts.board);
        let lander = parts
            .landing
            .zip(landing)
            .map(|(consumer, config)| Lander::new(parts.clone(), consumer, config));
        let desk = parts.desk.clone();
        let cutter = Cutter::new(&parts, desk.clone());
        let taker = inbox.map(|config| Taker::new(parts, config, data_dir));
        let run = Run { lander, taker, cutter, order, board };
        let thread = thread::Builder::new().name("worker".to_owned()).spawn(move || {
            // Without it the worker is in the way, but works.
            let _refused = rustix::process::nice(NICENESS).is_err();
            run.run();
        })?;
        desk.employ(thread.thread().clone());
        Ok(Self { thread, stop })
    }

    /// The thread, to be woken when there is more to do.
    pub(super) fn thread(&self) -> thread::Thread {
        self.thread.thread().clone()
    }

    /// Lets the worker end after its present step.
    pub(super) fn order_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }

    /// Whether it has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

struct Run<D: Disk> {
    lander: Option<Lander<D>>,
    taker: Option<Taker<D>>,
    cutter: Cutter<D>,
    order: Arc<AtomicBool>,
    board: Arc<Board>,
}

/// When a part wants its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// At once.
    Now,
    /// Not before this, unless somebody says that there is more.
    At(Instant),
    /// Not before this, whoever says that there is more: a step failed, or there is no room.
    Pause(Instant),
}

impl Next {
    /// Whether a part that said this has its turn now. Whatever wakes the worker lets all parts go on that do not pause.
    fn is_due(self, now: Instant) -> bool {
        match self {
            Self::Now | Self::At(_) => true,
            Self::Pause(at) => at <= now,
        }
    }

    /// How long it wants to wait.
    fn wait(self, now: Instant) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::At(at) | Self::Pause(at) => at.saturating_duration_since(now),
        }
    }
}

/// A part's turn, unless it pauses.
fn take_turn(next: &mut Next, turn: impl FnOnce() -> Next) {
    if next.is_due(clock::now()) {
        *next = turn();
    }
}

impl<D: Disk> Run<D> {
    fn run(mut self) {
        let board = Arc::clone(&self.board);
        let stamp = board.stamps.of(Loop::Worker);
        let (mut land, mut take, mut cut) = (Next::Now, Next::Now, Next::Now);
        while !self.order.load(Ordering::Acquire) {
            stamp.turn(clock::now());
            if let Some(lander) = &mut self.lander {
                take_turn(&mut land, || lander.turn());
            }
            if let Some(taker) = &mut self.taker {
                take_turn(&mut take, || taker.turn());
            }
            take_turn(&mut cut, || self.cutter.turn());
            let now = clock::now();
            stamp.turn(now);
            let (lands, takes) = (self.lander.is_some(), self.taker.is_some());
            let waits = [(lands, land), (takes, take), (true, cut)];
            let waits = waits.into_iter().filter(|(is_there, _)| *is_there);
            let pause = waits.map(|(_, next)| next.wait(now)).min();
            let pause = pause.unwrap_or(TURN_PERIOD_MAX).min(TURN_PERIOD_MAX);
            if !pause.is_zero() {
                thread::park_timeout(pause);
            }
        }
        stamp.retire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lasts_however_often_somebody_says_that_there_is_more() {
        let mut turns = 0;
        let mut next = Next::At(clock::now() + TROUBLE_PAUSE);
        for _woken in 0..5 {
            take_turn(&mut next, || {
                turns += 1;
                Next::Pause(clock::now() + Duration::from_hours(1))
            });
        }
        assert_eq!(turns, 1);
        let now = clock::now();
        assert!(next.wait(now) > TROUBLE_PAUSE && !next.is_due(now));
        let Next::Pause(end) = next else { panic!("{next:?}") };
        assert!(next.is_due(end) && Next::Now.is_due(now));
    }
}

//! The worker: one thread of low priority for whole-file work. It takes the inbox in, and lands what was
//! taken in.
//!
//! ```text
//!  inbox --> Taker --> spool thread -- synced --> waker (main loop) -- unpark --> Lander --> landing/
//!                           ^                                                       |
//!                           +------------------------ cursor -----------------------+
//! ```
//!
//! Each turn gives both a step of bounded length, so that a large file of one does not stop the other.

mod lander;
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
use crate::spool::{ConsumerId, Disk};

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
        let taker = inbox.map(|config| Taker::new(parts, config, data_dir));
        let run = Run { lander, taker, order, board };
        let thread = thread::Builder::new().name("worker".to_owned()).spawn(move || {
            // Without it the worker is in the way, but works.
            let _refused = rustix::process::nice(NICENESS).is_err();
            run.run();
        })?;
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
}

impl<D: Disk> Run<D> {
    fn run(mut self) {
        let board = Arc::clone(&self.board);
        let stamp = board.stamps.of(Loop::Worker);
        while !self.order.load(Ordering::Acquire) {
            stamp.turn(clock::now());
            let steps =
                [self.lander.as_mut().map(Lander::turn), self.taker.as_mut().map(Taker::turn)];
            let now = clock::now();
            stamp.turn(now);
            let pause = steps.into_iter().flatten().map(|next| match next {
                Next::Now => Duration::ZERO,
                Next::At(at) => at.saturating_duration_since(now),
            });
            let pause = pause.min().unwrap_or(TURN_PERIOD_MAX).min(TURN_PERIOD_MAX);
            if !pause.is_zero() {
                thread::park_timeout(pause);
            }
        }
        stamp.retire();
    }
}

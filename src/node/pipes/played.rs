//! The pipes of a node whose spool thread, worker, clock and lines somebody else plays: for simulators.
//!
//! ```text
//!  statements --> Pipes, as in a node --start--> Act: what the pipe sends, and the order to stop
//!                   ^                             |
//!                   +---- stopped, or over -------+
//! ```

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::{Handle, PipeFeed, Pipes, Surroundings};
use crate::config::Config;
use crate::data::Precision;
use crate::keep::spool_handle::SpoolHandle;
use crate::keep::spool_thread::{Settings, SpoolThread};
use crate::limits::PIPES_MAX;
use crate::node::parts::places;
use crate::node::pipes::Book;
use crate::node::{NodeError, remembered};
use crate::ops::board::Board;
use crate::ops::status::Command;
use crate::pipe::Answer;
use crate::sink::air_gap::{AirGapSettings, Load};
use crate::sink::cuts::Desk;
use crate::spool::{Disk, Spool};

/// The pipes of a node, and the task that owns them.
#[derive(Debug)]
pub struct Played<D: Disk> {
    commands: mpsc::Sender<Command>,
    acts: mpsc::Receiver<Act<D>>,
    desk: Desk,
    handle: SpoolHandle<D>,
    /// Ends the task when it is dropped.
    _control: Handle,
}

/// A pipe that was started through a gate.
#[derive(Debug)]
pub struct Act<D: Disk> {
    /// Its name.
    pub pipe: String,
    /// Its targets.
    pub target: String,
    /// What it sends.
    pub load: Load<PipeFeed<D>>,
    /// How it ends.
    pub leave: Leave,
}

/// How a pipe that was started ends.
#[derive(Debug)]
pub struct Leave {
    stop: watch::Receiver<bool>,
    done: oneshot::Sender<bool>,
}

impl Leave {
    /// Whether it is told to stop: what is in flight may still be answered.
    pub fn is_told(&self) -> bool {
        *self.stop.borrow()
    }

    /// Whether nobody waits for it any more: it may not do anything from now on.
    pub fn is_given_up(&self) -> bool {
        self.done.is_closed()
    }

    /// It has ended; `is_over` if nothing will ever come any more.
    pub fn end(self, is_over: bool) {
        // Nobody may wait any more.
        let _unheard = self.done.send(is_over).is_err();
    }
}

/// Where the pipes of a node appear that somebody plays.
#[derive(Debug, Clone)]
pub(in crate::node) struct Stage<D: Disk> {
    acts: mpsc::Sender<Act<D>>,
    seed: u64,
}

impl<D: Disk> Stage<D> {
    /// In place of chance.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// The life of a pipe: returns whether it is over.
    pub(super) async fn play(
        self,
        pipe: String,
        settings: AirGapSettings,
        feed: PipeFeed<D>,
        stop: watch::Receiver<bool>,
    ) -> bool {
        let (done, ended) = oneshot::channel();
        let target = settings.node_urls.to_string();
        let load = Load::new(settings, feed);
        let act = Act { pipe, target, load, leave: Leave { stop, done } };
        if self.acts.send(act).await.is_err() {
            return false;
        }
        ended.await.unwrap_or_default()
    }
}

impl<D: Disk> Played<D> {
    /// The pipes of a node that starts with this spool, and the thread that owns it from now on. Within a
    /// `tokio::task::LocalSet`, which carries the statements out whenever it is run.
    ///
    /// # Errors
    /// As a start of the node.
    pub fn start(
        config: &Config,
        disk: D,
        mut spool: Spool<D>,
        board: &Arc<Board>,
        seed: u64,
    ) -> Result<(Self, SpoolThread<D>), NodeError> {
        let mut book = Book::open(disk.clone(), false, board)?;
        let places = places(&mut spool, &mut book, config, board)?;
        let settings = Settings { connections: 0, max_frame_bytes: 0 };
        let origin = spool.origin();
        let (thread, handle) = SpoolThread::new(disk.clone(), spool, settings, Arc::clone(board));
        let (acts, begun) = mpsc::channel(PIPES_MAX);
        let node = (origin, remembered::cluster_id(origin));
        let precision = watch::channel(Some(Precision::Ms)).1;
        let around = Surroundings::new(config, disk, handle.clone(), board, node, precision);
        let around = Surroundings { stage: Some(Stage { acts, seed }), ..around };
        let desk = around.desk.clone();
        let (commands, orders) = mpsc::channel(1);
        let control = Handle::spawn(Pipes::start(around, book, places), orders);
        let played = Self { commands, acts: begun, desk, handle, _control: control };
        Ok((played, thread))
    }

    /// Gives statements to the task: their answers; `None` while others wait for it.
    pub fn ask(&self, text: &str) -> Option<oneshot::Receiver<Vec<Answer>>> {
        let (reply, answers) = oneshot::channel();
        self.commands.try_send(Command::Sql(text.to_owned(), reply)).ok().map(|()| answers)
    }

    /// A pipe that was started since.
    pub fn next_act(&mut self) -> Option<Act<D>> {
        self.acts.try_recv().ok()
    }

    /// Where files are ordered that a worker cuts.
    pub const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// How others reach the spool.
    pub const fn spool(&self) -> &SpoolHandle<D> {
        &self.handle
    }
}

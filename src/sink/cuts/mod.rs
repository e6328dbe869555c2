//! Files that filters order and the worker cuts.
//!
//! ```text
//!  main loop                                               worker
//!  filter -- Order: files, selection --> Desk ------------> Job, step by step --> spool/partial/made-<n>
//!         <-- Ticket: Outcome ------------------------------'
//!  sink --- reads MadeFile
//!           the last one lets go of it --> Desk --> removed, and its room is given back
//! ```
//!
//! What is made belongs to whoever ordered it, and to this run of the program: a start removes it with the other
//! leftovers of that directory, and it is made again, the same to the byte. The spool's quota counts it.

mod job;
#[cfg(test)]
#[cfg(feature = "simulation")]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use thiserror::Error;
use tokio::sync::oneshot;

pub use self::job::{Job, Room, Step};
use crate::data::ReadAt;
use crate::limits::PIPES_MAX;
use crate::tsfile::cut::Selection;

/// A file that another thread may read.
pub struct Lent(Box<dyn ReadAt + Send + Sync>);

/// What is to be cut.
#[derive(Debug)]
pub struct Order {
    /// What it is of, for people.
    pub name: String,
    /// The `TsFile`.
    pub file: Source,
    /// What was deleted of it.
    pub mods: Option<Source>,
    /// What is kept.
    pub selection: Selection,
}

/// A file as it was taken in.
#[derive(Debug)]
pub struct Source {
    /// Its name there.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its blake3; zeros if nobody computed it.
    pub hash: [u8; 32],
    /// Its bytes.
    pub file: Lent,
}

/// What became of an order.
#[derive(Debug)]
pub enum Outcome {
    /// The cut.
    Made(MadeFile),
    /// No point of it is inside.
    Nothing,
    /// The file is not what was taken in.
    Rotten,
    /// It can never be cut: why.
    Unfit(String),
    /// It could not be cut now.
    Failed(CutTrouble),
}

/// Why something could not be cut now.
#[derive(Debug, Error)]
pub enum CutTrouble {
    /// The disk failed.
    #[error("{operation}: {source}")]
    Disk {
        /// What was attempted.
        operation: &'static str,
        /// What the disk says.
        source: io::Error,
    },
    /// The file system has no room.
    #[error("no room for it: {0}")]
    Full(#[from] crate::spool::Full),
    /// The node stops.
    #[error("the node stops")]
    Ended,
}

/// Where orders are given and fetched; clones are of the same desk.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Who carries them out.
    worker: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct State {
    orders: VecDeque<Ordered>,
    gone: Vec<Gone>,
}

/// An order, and who waits for it.
#[derive(Debug)]
pub struct Ordered {
    /// What is to be cut.
    pub order: Order,
    /// `None` once it was told.
    answer: Option<oneshot::Sender<Outcome>>,
}

/// An order that was given. To drop it is to withdraw it.
#[derive(Debug)]
pub struct Ticket {
    answer: oneshot::Receiver<Outcome>,
    outcome: Option<Outcome>,
}

/// A file that was made, for as long as anybody has a clone of this.
#[derive(Debug, Clone)]
pub struct MadeFile {
    made: Arc<Made>,
}

#[derive(Debug)]
struct Made {
    file: Lent,
    /// Its blake3.
    hash: [u8; 32],
    gone: Option<Gone>,
    desk: Desk,
}

/// A file that nobody has any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone {
    /// Where it lies.
    pub path: PathBuf,
    /// What the quota counts for it.
    pub bytes: u64,
}

impl Desk {
    /// Gives an order. A pipe has one at a time.
    pub fn order(&self, order: Order) -> Ticket {
        let (sender, answer) = oneshot::channel();
        let ordered = Ordered { order, answer: Some(sender) };
        {
            let mut state = self.shared.state();
            // Those that were withdrawn are no longer waited for.
            state.orders.retain(|one| !one.is_withdrawn());
            if state.orders.len() < PIPES_MAX {
                state.orders.push_back(ordered);
            }
        }
        self.wake();
        Ticket { answer, outcome: None }
    }

    /// The next order that somebody waits for.
    pub fn next_order(&self) -> Option<Ordered> {
        let mut state = self.shared.state();
        while let Some(ordered) = state.orders.pop_front() {
            if !ordered.is_withdrawn() {
                return Some(ordered);
            }
        }
        None
    }

    /// A file that is to be removed.
    pub fn next_gone(&self) -> Option<Gone> {
        self.shared.state().gone.pop()
    }

    /// Says who carries orders out, to be woken for each.
    pub fn employ(&self, worker: Thread) {
        let _known = self.shared.worker.set(worker).is_err();
        self.wake();
    }

    /// A file was made.
    fn made(&self, file: Lent, hash: [u8; 32], gone: Gone) -> MadeFile {
        let made = Made { file, hash, gone: Some(gone), desk: self.clone() };
        MadeFile { made: Arc::new(made) }
    }

    fn wake(&self) {
        if let Some(worker) = self.shared.worker.get() {
            worker.unpark();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ordered {
    /// The same with its files in another form.
    #[must_use]
    pub fn map(self, with: impl Fn(Source) -> Source) -> Self {
        let Self { order: Order { name, file, mods, selection }, answer } = self;
        let (file, mods) = (with(file), mods.map(with));
        Self { order: Order { name, file, mods, selection }, answer }
    }

    /// Whether nobody waits for it any more.
    pub fn is_withdrawn(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Tells whoever waits.
    fn answer(&mut self, outcome: Outcome) {
        let told = self.answer.take().map(|answer| answer.send(outcome));
        let _withdrawn = told.is_some_and(|told| told.is_err());
    }
}

impl Ticket {
    /// What became of it, once that is known; it is told once.
    pub fn take(&mut self) -> Option<Outcome> {
        if let Some(outcome) = self.outcome.take() {
            return Some(outcome);
        }
        match self.answer.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Outcome::Failed(CutTrouble::Ended)),
        }
    }

    /// Returns once [`Ticket::take`] has something. Nothing is missed if it is dropped and called again.
    pub async fn ready(&mut self) {
        if self.outcome.is_none() {
            let told = (&mut self.answer).await;
            self.outcome = Some(told.unwrap_or(Outcome::Failed(CutTrouble::Ended)));
        }
    }
}

impl MadeFile {
    /// Its blake3.
    pub fn hash(&self) -> [u8; 32] {
        self.made.hash
    }
}

impl ReadAt for MadeFile {
    fn len(&self) -> u64 {
        self.made.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.made.file.read_at(offset, into)
    }
}

impl Lent {
    /// A file of any kind.
    pub fn new(file: impl ReadAt + Send + Sync + 'static) -> Self {
        Self(Box::new(file))
    }
}

impl ReadAt for Lent {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, into)
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_bytes()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(gone) = self.gone.take() {
            self.desk.shared.state().gone.push(gone);
            self.desk.wake();
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("bytes", &self.0.len()).finish()
    }
}

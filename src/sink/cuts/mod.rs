//! Files that pipes order and the worker makes: cuts of files, and files of runs of tablets.
//!
//! ```text
//!  main loop                                               worker
//!  filter -- Order: files, selection --> Desk --+---------> Job, step by step --> spool/partial/made-<n>
//!  runs ---- RunOrder: entries -----------------'  '------> RunMaker -----------'
//!         <-- Ticket: Outcome ------------------------------'
//!  sink --- reads MadeFile
//!           the last one lets go of it --> Desk --> removed, and its room is given back
//! ```
//!
//! What is made belongs to whoever ordered it, and to this run of the program: a start removes it with the other
//! leftovers of that directory, and it is made again, the same to the byte. The spool's quota counts it.

mod job;
mod run;
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
pub use self::run::RunMaker;
use crate::data::{ReadAt, Sequence};
use crate::limits::PIPES_MAX;
use crate::ops::board::Work;
use crate::tsfile::cut::Selection;
use crate::twin::{Twin, TwinError};

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
    /// Where people see how far it has come.
    pub shown: Option<Work>,
}

/// Tablets of which files are to be made.
#[derive(Debug, Clone)]
pub struct RunOrder {
    /// What it is, for people.
    pub name: String,
    /// The first entry.
    pub first: Sequence,
    /// The last one; only tablets lie between them.
    pub last: Sequence,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// A file is to be cut.
    Cut(Box<Order>),
    /// Files are to be made.
    Run(RunOrder),
}

/// A file of a run.
#[derive(Debug)]
pub struct MadeRun {
    /// Its bytes.
    pub file: MadeFile,
    /// What is in it.
    pub twin: Twin,
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
    /// The files of a run; none if it has no value.
    Run(Vec<MadeRun>),
    /// A run that ends before this entry can be made.
    Shorter(Sequence),
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
    /// Files cannot be made of a run.
    #[error(transparent)]
    Run(#[from] TwinError),
    /// The file system has no room.
    #[error("no room for it: {0}")]
    Full(#[from] crate::spool::Full),
    /// A pipe has given more orders than it waits for.
    #[error("{ORDERS_MAX} orders wait already")]
    Crowded,
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
    orders: VecDeque<(Task, Answer)>,
    gone: Vec<Gone>,
}

/// Who waits for an order.
#[derive(Debug)]
pub struct Answer {
    /// `None` once it was told.
    sender: Option<oneshot::Sender<Outcome>>,
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
    /// Has a file cut. A pipe has one order at a time, and one of runs beside it.
    pub fn order(&self, order: Order) -> Ticket {
        self.give(Task::Cut(Box::new(order)))
    }

    /// Has files made.
    pub fn order_run(&self, order: RunOrder) -> Ticket {
        self.give(Task::Run(order))
    }

    fn give(&self, task: Task) -> Ticket {
        let (sender, answer) = oneshot::channel();
        // What an order holds may be a cut, whose end takes the lock: nothing of it ends below.
        let withdrawn: VecDeque<_>;
        {
            let mut state = self.shared.state();
            // Those that were withdrawn are no longer waited for.
            let orders = std::mem::take(&mut state.orders);
            let (gone, kept): (VecDeque<_>, VecDeque<_>) =
                orders.into_iter().partition(|(_, answer)| answer.is_withdrawn());
            (withdrawn, state.orders) = (gone, kept);
            let mut answer = Answer { sender: Some(sender) };
            if state.orders.len() < ORDERS_MAX {
                state.orders.push_back((task, answer));
            } else {
                answer.tell(Outcome::Failed(CutTrouble::Crowded));
            }
        }
        drop(withdrawn);
        self.wake();
        Ticket { answer, outcome: None }
    }

    /// The next order that somebody waits for.
    pub fn next_order(&self) -> Option<(Task, Answer)> {
        loop {
            // The lock is free again where a withdrawn one ends.
            let next = self.shared.state().orders.pop_front();
            let (task, answer) = next?;
            if !answer.is_withdrawn() {
                return Some((task, answer));
            }
        }
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

impl Order {
    /// The same with its files in another form.
    #[must_use]
    pub fn map(self, with: impl Fn(Source) -> Source) -> Self {
        let Self { name, file, mods, selection, shown } = self;
        Self { name, file: with(file), mods: mods.map(with), selection, shown }
    }
}

impl Answer {
    /// Whether nobody waits for it any more.
    pub fn is_withdrawn(&self) -> bool {
        self.sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Tells whoever waits.
    fn tell(&mut self, outcome: Outcome) {
        let told = self.sender.take().map(|sender| sender.send(outcome));
        let _withdrawn = told.is_some_and(|told| told.is_err());
    }
}

/// A pipe has one order of a cut at a time, and one of runs beside it.
const ORDERS_MAX: usize = 2 * PIPES_MAX;

/// For people.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(file) => write!(f, "bytes={}", file.len()),
            Self::Run(files) => {
                let bytes: u64 = files.iter().map(|made| made.twin.bytes).sum();
                write!(f, "files={} bytes={bytes}", files.len())
            }
            Self::Shorter(entry) => write!(f, "it has to end before entry {entry}"),
            Self::Nothing => f.write_str("nothing is inside"),
            Self::Rotten => f.write_str("it is not what was taken in"),
            Self::Unfit(why) => f.write_str(why),
            Self::Failed(error) => error.fmt(f),
        }
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

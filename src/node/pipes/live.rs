//! The pipes of a running node, each brought in line with what is desired of it.
//!
//! ```text
//!  desired              observed
//!  Running   ---------> its task sends
//!            --error--> STOPPED, with a message; tried again after a pause that doubles up to a cap
//!            --error that does not end by itself--> desired is Stopped, and why; START tries again
//!            ---------> STOPPED, with a message, for as long as this build cannot run it
//!  Stopped, Orphaned -> STOPPED, and it is said that it keeps its place
//!  Dropped   ---------> no place, no row
//! ```
//!
//! A far side that is away is no error: the task goes on trying.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::book::not_kept;
use super::ending::{Ending, OneEnded};
use super::late::Late;
use super::plan::{Plan, Run, Terms};
use super::{Book, Place, Running, Said, Surroundings, Through, leave, show_orphans, start};
use crate::config::PipeConfig;
use crate::data::Sequence;
use crate::keep::spool_handle::Ended;
use crate::limits::{PIPE_RETRY_FIRST, PIPE_RETRY_MAX, PIPE_STOP_MAX, PIPES_MAX, STOP_ANSWER_MAX};
use crate::link::backoff::Backoff;
use crate::node::NodeError;
use crate::ops::board::{PipeRow, PipeState, Report, SpoolState, TroubleKind};
use crate::ops::clock::{self, EpochMillis};
use crate::ops::stamp::{Loop, Operation};
use crate::ops::zone::offset_seconds;
use crate::pipe::source::{Birthplace, Filter};
use crate::pipe::{Birth, Desired, Pipe};
use crate::sink::air_gap::end_leftovers;
use crate::spool::{ConsumerId, Disk};
use crate::statement::{Definition, PipeName};

/// All pipes of a node.
#[derive(Debug)]
pub(in crate::node) struct Pipes<D: Disk> {
    pub(super) around: Surroundings<D>,
    pub(super) book: Book<D>,
    list: Vec<One>,
    late: Late,
    shared: Shared,
    /// Names of pipes that ended by themselves with why, and who tells them.
    over: (mpsc::Sender<OneEnded>, mpsc::Receiver<OneEnded>),
}

/// A pipe that has its place.
#[derive(Debug)]
struct One {
    name: PipeName,
    /// What its row and its task are of.
    definition: Definition,
    /// When it was created or altered, as its task knows it.
    created_ms: i64,
    consumer: ConsumerId,
    row: Arc<PipeRow>,
    /// None while it is stopped.
    running: Option<Running>,
    /// When it is tried again after an error.
    retry: Option<Instant>,
    backoff: Backoff,
}

/// What other tasks of the main loop look at.
#[derive(Debug, Clone, Default)]
pub(in crate::node) struct Shared {
    list: Rc<RefCell<List>>,
}

#[derive(Debug, Default)]
struct List {
    names: Vec<String>,
    shown: Vec<(ConsumerId, Arc<PipeRow>)>,
}

impl Shared {
    /// Names of the pipes that there are.
    pub(in crate::node) fn names(&self) -> Vec<String> {
        self.list.borrow().names.clone()
    }

    /// Pipes whose backlog is counted.
    pub(in crate::node) fn shown(&self) -> Vec<(ConsumerId, Arc<PipeRow>)> {
        self.list.borrow().shown.clone()
    }
}

impl<D: Disk> Pipes<D> {
    /// Brings the pipes of the book into being, each at its place. In state `failing` there are no places.
    pub(in crate::node) fn start(
        around: Surroundings<D>,
        book: Book<D>,
        places: Vec<(Pipe, Place<D>)>,
    ) -> Self {
        {
            let stamp = around.board.stamps.of(Loop::Main);
            let _within = stamp.within(Operation::Scan);
            end_leftovers(&around.said.data_dir);
        }
        let (late, shared, over) = (Late::default(), Shared::default(), mpsc::channel(PIPES_MAX));
        let mut pipes = Self { around, book, list: Vec::new(), late, shared, over };
        for (pipe, place) in places {
            let backoff = pipes.new_backoff();
            pipes.stand(&pipe, place, backoff);
        }
        pipes.share();
        pipes
    }

    /// What other tasks look at.
    pub(in crate::node) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Follows the stanzas of the configuration as they are now.
    pub(super) async fn follow(&mut self, configs: &[PipeConfig]) {
        if self.is_failing() {
            return;
        }
        let settled = match self.birth().await {
            Ok(birth) => {
                let board = Arc::clone(&self.around.board);
                let _within = board.stamps.of(Loop::Main).within(Operation::Remember);
                self.book.settle(configs, birth, &board)
            }
            Err(error) => Err(error),
        };
        let changed = settled.unwrap_or_else(|error| {
            log::error!("event=stanzas_not_applied error=\"{error}\"");
            Vec::new()
        });
        for name in changed {
            // It is told and tried again.
            let _is_late = self.bring(&name).await.is_err();
        }
        let (names, board) = (self.book.names(), Arc::clone(&self.around.board));
        let shown = self.around.spool.call(move |spool| show_orphans(spool, &names, &board));
        let _ends = shown.await.is_err();
    }

    /// Now, and the next entry of the spool.
    pub(super) async fn birth(&self) -> Result<Birth, NodeError> {
        let next = self.around.spool.call(|spool| spool.next_sequence()).await;
        let next = next.map_err(|Ended| NodeError::ThreadEnded("spool"))?;
        Ok(Birth { now_ms: clock::wall().0, next })
    }

    /// Keeps what is desired of a pipe.
    pub(super) fn keep(&mut self, pipe: Pipe) -> io::Result<()> {
        let board = Arc::clone(&self.around.board);
        let _within = board.stamps.of(Loop::Main).within(Operation::Remember);
        self.book.keep(pipe)
    }

    /// A dropped pipe that has its place still gives it up now: who comes under its name begins anew.
    ///
    /// # Errors
    /// If it cannot; it is tried again after a pause.
    pub(super) async fn leave_first(&mut self, name: &PipeName) -> Result<(), NodeError> {
        let is_dropped = self.book.registry().find(name).is_none();
        if is_dropped && self.late.has(name) { self.bring(name).await } else { Ok(()) }
    }

    /// Brings one pipe in line with what is desired of it. One that an error has stopped is tried again.
    ///
    /// # Errors
    /// If its place cannot be had, or not be given up: it is stopped then, and tried again after a pause.
    pub(super) async fn bring(&mut self, name: &PipeName) -> Result<(), NodeError> {
        let brought = self.bring_with(name, self.new_backoff()).await;
        self.share();
        brought
    }

    async fn bring_with(&mut self, name: &PipeName, backoff: Backoff) -> Result<(), NodeError> {
        self.late.remove(name);
        let brought = self.try_to_bring(name, backoff.clone()).await;
        if let Err(error) = &brought {
            let what = format!("pipe {name} is not as its statement says: {error}");
            log::error!("event=pipe_not_brought pipe={name} error=\"{error}\"");
            let report = Report::new(TroubleKind::PipeError, what).about(name.as_str());
            self.around.board.raise(report, clock::wall());
            self.late.add(name, backoff);
        }
        brought
    }

    async fn try_to_bring(&mut self, name: &PipeName, backoff: Backoff) -> Result<(), NodeError> {
        let wanted = self.book.registry().find(name).cloned();
        if let Some(index) = self.list.iter().position(|one| one.name == *name) {
            let is_as_wanted = self.list.get(index).is_some_and(|one| one.is(wanted.as_ref()));
            if is_as_wanted {
                return Ok(());
            }
            let one = self.list.swap_remove(index);
            if wanted.as_ref().is_none_or(|pipe| pipe.definition != one.definition) {
                self.around.board.pipes.remove(name.as_str());
            }
            stop_all(one.running.into_iter(), PIPE_STOP_MAX).await;
        } else {
            // It may have been shown as one without a record.
            self.around.board.pipes.remove(name.as_str());
        }
        match wanted {
            Some(pipe) => {
                let place = self.place(&pipe).await?;
                self.stand(&pipe, place, backoff);
                Ok(())
            }
            None => self.give_up(name).await,
        }
    }

    /// Ends the task of a pipe, which keeps its place: its consumer, and whether there was a task.
    pub(super) async fn halt(&mut self, name: &PipeName) -> Option<(ConsumerId, bool)> {
        let one = self.list.iter_mut().find(|one| one.name == *name)?;
        let running = one.running.take();
        let was_running = running.is_some();
        stop_all(running.into_iter(), PIPE_STOP_MAX).await;
        Some((one.consumer, was_running))
    }

    /// What definitions leave to this node.
    pub(super) fn terms(&self) -> Terms<'_> {
        let Said { base, seal_timeout, .. } = &self.around.said;
        Terms { base, plugins: self.book.plugins(), seal_timeout: *seal_timeout }
    }

    async fn place(&self, pipe: &Pipe) -> Result<Place<D>, NodeError> {
        let (pipe, base) = (pipe.clone(), self.around.said.base.clone());
        let plugins = self.book.plugins().to_vec();
        let seal_timeout = self.around.said.seal_timeout;
        let place = self.around.spool.call(move |spool| {
            let terms = Terms { base: &base, plugins: &plugins, seal_timeout };
            Place::take(spool, &pipe, terms)
        });
        place.await.map_err(|Ended| NodeError::ThreadEnded("spool"))?
    }

    /// A dropped pipe leaves the spool, and what it had of the status.
    async fn give_up(&mut self, name: &PipeName) -> Result<(), NodeError> {
        let board = Arc::clone(&self.around.board);
        let pipe = name.as_str().to_owned();
        let left = self.around.spool.call(move |spool| leave(spool, &pipe)).await;
        // The row first: while it is there its trouble is raised again.
        board.pipes.remove(name.as_str());
        for kind in OF_PIPES {
            board.clear(kind, name.as_str());
        }
        left.map_err(|Ended| NodeError::ThreadEnded("spool"))??;
        log::info!("event=pipe_dropped pipe={name}");
        let _within = board.stamps.of(Loop::Main).within(Operation::Remember);
        self.book.bury(name)
    }

    /// Lets a pipe do what is desired of it, from its place on.
    fn stand(&mut self, pipe: &Pipe, place: Place<D>, backoff: Backoff) {
        let (board, name) = (Arc::clone(&self.around.board), pipe.name.as_str());
        let plan = Plan::of(&pipe.definition, self.terms());
        let wall = clock::wall();
        let row = match board.pipes.row(name, &plan.target, wall) {
            Ok(row) => row,
            Err(full) => return log::error!("event=pipe_not_shown pipe={name:?} error=\"{full}\""),
        };
        for kind in [TroubleKind::PipeStopped, TroubleKind::PipeError] {
            board.clear(kind, name);
        }
        let mut one = One {
            name: pipe.name.clone(),
            definition: pipe.definition.clone(),
            created_ms: pipe.created_ms,
            consumer: place.consumer,
            row: Arc::clone(&row),
            running: None,
            retry: None,
            backoff,
        };
        let position = place.cursor.position;
        let trouble = match (pipe.desired, plan.run) {
            (Desired::Running, Ok(Run { source, processor, drain })) => {
                let filter = Filter::new(&source, birthplace(pipe));
                let (mode, border, mark) = (drain.mode(&source), pipe.border, pipe.mark());
                let through = Through { filter, processor, drain: &drain, mode, border, mark };
                let over = self.over.0.clone();
                match start(name, through, place, (Arc::clone(&row), over), &self.around) {
                    Ok(running) => {
                        one.running = Some(running);
                        None
                    }
                    Err(error) => {
                        one.retry = Some(Instant::now() + one.backoff.next_wait());
                        Some((TroubleKind::PipeError, error.to_string(), error.to_string()))
                    }
                }
            }
            (Desired::Running, Err(why)) => {
                Some((TroubleKind::PipeError, format!("pipe {name} cannot run: {why}"), why))
            }
            (Desired::Orphaned | Desired::Stopped | Desired::Dropped, _) => {
                Some(resting(pipe, position))
            }
        };
        match trouble {
            None => {
                row.set_state(PipeState::Running, wall);
                row.say("");
                log::info!("event=pipe_started pipe={name:?} position={position}");
            }
            Some((kind, what, why)) => {
                row.set_state(PipeState::Stopped, wall);
                row.say(&why);
                log::warn!("event=pipe_stopped pipe={name:?} position={position} why=\"{why}\"");
                board.raise(Report::new(kind, what).about(name), wall);
            }
        }
        self.list.push(one);
    }

    /// The name of the next pipe that has ended by itself, and why.
    pub(super) async fn next_over(&mut self) -> Option<OneEnded> {
        self.over.1.recv().await
    }

    /// A pipe has ended by itself. One that has sent all that it was for goes, and one that cannot send is STOPPED; unless
    /// another one has its name by now.
    pub(super) async fn end(&mut self, name: &str, ending: Ending) {
        let has_ended = |one: &&One| {
            one.name.as_str() == name
                && one.running.as_ref().is_some_and(|running| running.task.is_finished())
        };
        let Some(name) = self.list.iter().find(has_ended).map(|one| one.name.clone()) else {
            return;
        };
        let pipe = match ending {
            Ending::Over => {
                log::info!("event=pipe_over pipe={name}");
                self.book.registry().drop_pipe(&name, true).ok().flatten()
            }
            Ending::Hopeless(why) => self.book.registry().fail(&name, &why),
        };
        let Some(pipe) = pipe else { return };
        let ended = match self.keep(pipe) {
            Ok(()) => self.bring(&name).await,
            Err(error) => Err(not_kept(error)),
        };
        // It is late, or ends again once it is tried again.
        if let Err(error) = ended {
            log::error!("event=pipe_not_ended pipe={name} error=\"{error}\"");
            if let Some(one) = self.list.iter_mut().find(|one| one.name == name) {
                one.running = None;
                one.retry = Some(Instant::now() + one.backoff.next_wait());
            }
        }
    }

    /// When the first pipe that an error has stopped, or kept from its place, is tried again.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.list.iter().filter_map(|one| one.retry).chain(self.late.next()).min()
    }

    /// Tries pipes again whose pause is over.
    pub(super) async fn retry(&mut self) {
        let now = Instant::now();
        let is_due = |one: &&One| one.retry.is_some_and(|at| at <= now);
        let due: Vec<_> = self
            .list
            .iter()
            .filter(is_due)
            .map(|one| (one.name.clone(), one.backoff.clone()))
            .chain(self.late.due(now))
            .collect();
        for (name, backoff) in due {
            let _is_late = self.bring_with(&name, backoff).await.is_err();
        }
        self.share();
    }

    /// Lets all of them end, each with what it has in flight.
    pub(super) async fn stop(self) {
        stop_all(self.list.into_iter().filter_map(|one| one.running), STOP_ANSWER_MAX).await;
    }

    /// Whether the disk fails, so that the node only tells.
    pub(super) fn is_failing(&self) -> bool {
        self.around.board.spool.state() == SpoolState::Failing
    }

    fn new_backoff(&self) -> Backoff {
        Backoff::new(PIPE_RETRY_FIRST, PIPE_RETRY_MAX, self.around.seed())
    }

    /// The row of a pipe.
    pub(super) fn row(&self, name: &PipeName) -> Option<(ConsumerId, &Arc<PipeRow>)> {
        let one = self.list.iter().find(|one| one.name == *name)?;
        Some((one.consumer, &one.row))
    }

    fn share(&self) {
        *self.shared.list.borrow_mut() = List {
            names: self.book.names(),
            shown: self.list.iter().map(|one| (one.consumer, Arc::clone(&one.row))).collect(),
        };
    }
}

impl One {
    /// Whether it is as wanted already.
    fn is(&self, wanted: Option<&Pipe>) -> bool {
        wanted.is_some_and(|pipe| {
            pipe.desired == Desired::Running
                && pipe.definition == self.definition
                && pipe.created_ms == self.created_ms
                && self.running.is_some()
        })
    }
}

/// All at one time; what is still in flight at the end is left to be repeated.
async fn stop_all(pipes: impl Iterator<Item = Running>, limit: Duration) {
    let pipes: Vec<_> = pipes.collect();
    for pipe in &pipes {
        pipe.stop.send_replace(true);
    }
    let deadline = Instant::now() + limit;
    for mut pipe in pipes {
        if time::timeout_at(deadline, &mut pipe.task).await.is_err() {
            pipe.task.abort();
            let _aborted = pipe.task.await.is_err();
        }
    }
}

/// What there is to tell of a pipe that is to rest: the trouble, and the message of its row.
fn resting(pipe: &Pipe, position: Sequence) -> (TroubleKind, String, String) {
    let name = &pipe.name;
    match (pipe.desired, &pipe.why) {
        (Desired::Orphaned, _) => {
            let why = "its stanza went from the configuration".to_owned();
            let what = format!(
                "pipe {name} has no stanza any more and keeps everything from entry {position}"
            );
            (TroubleKind::PipeStopped, what, why)
        }
        (_, Some(why)) => {
            let what = format!(
                "pipe {name} cannot go on and keeps everything from entry {position}: {why}"
            );
            (TroubleKind::PipeError, what, why.clone())
        }
        (_, None) => {
            let what =
                format!("pipe {name} was stopped and keeps everything from entry {position}");
            (TroubleKind::PipeStopped, what, String::new())
        }
    }
}

/// What the times of a pipe's source mean: they stay what they were when it was created or altered.
fn birthplace(pipe: &Pipe) -> Birthplace {
    let offset = offset_seconds(EpochMillis(pipe.created_ms));
    Birthplace {
        border: pipe.border,
        created_ms: pipe.created_ms,
        offset_seconds: i32::try_from(offset).unwrap_or_default(),
    }
}

/// Trouble that goes with its pipe. Dead letters stay where they are, and so does theirs.
const OF_PIPES: [TroubleKind; 5] = [
    TroubleKind::PipeStopped,
    TroubleKind::PipeError,
    TroubleKind::NoAnswer,
    TroubleKind::Refused,
    TroubleKind::Unsampled,
];

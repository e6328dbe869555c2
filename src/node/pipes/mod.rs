//! The pipes of a node: what people want of them, and the tasks that do it.
//!
//! ```text
//!  control socket -- statements --> execute.rs --+--> book.rs    what is desired, on the disk
//!  SIGHUP -------- stanzas -----------------------+      |
//!                                                        v
//!  spool <-- consumer and cursor of each pipe -- live.rs: each pipe is brought in line with it
//! ```
//!
//! A pipe has a place in the spool from its creation until it is dropped, whether it runs or not.

mod book;
mod control;
mod execute;
mod live;
mod plan;
mod released;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{self, JoinHandle};
use tokio::time::{self, MissedTickBehavior};

pub(super) use book::Book;
pub(super) use control::Handle;
pub(super) use live::{Pipes, Shared};
use plan::Plan;
pub use released::{Released, release_stopped};

use crate::config::AirGapSink as Settings;
use crate::data::{Precision, Sequence};
use crate::keep::spool_handle::{Ended, SpoolHandle};
use crate::node::NodeError;
use crate::ops::board::{Board, PipeRow, PipeState, Report, TroubleKind};
use crate::ops::stamp::{Loop, Operation};
use crate::ops::{clock, secret};
use crate::pipe::Pipe;
use crate::pipe::source::Filter;
use crate::sink::air_gap::{
    self, AirGapSettings, AirGapSink, Done, Filtered, Named, Orders, Parts, SpoolFeed,
};
use crate::spool::{ConsumerId, Cursor, Disk, Reader, Spool, Start};

/// What consumers of pipes are called, before the pipe's name; that of the landing directory has no dot.
const CONSUMER_PREFIX: &str = "pipe.";

/// How often the backlog of each pipe is counted.
const BACKLOG_PERIOD: Duration = Duration::from_secs(1);

/// What a pipe needs of its node.
#[derive(Debug, Clone)]
pub(super) struct Surroundings<D: Disk> {
    pub(super) disk: D,
    pub(super) spool: SpoolHandle<D>,
    pub(super) board: Arc<Board>,
    pub(super) cluster_id: String,
    pub(super) precision: Precision,
    /// What relative paths of statements are relative to.
    pub(super) base: PathBuf,
}

/// A pipe's place in the spool.
#[derive(Debug)]
pub(super) struct Place<D: Disk> {
    consumer: ConsumerId,
    cursor: Cursor,
    reader: Reader<D>,
}

impl<D: Disk> Place<D> {
    /// Where the pipe left off. A new one begins at the oldest entry, or without history at its border.
    ///
    /// # Errors
    /// If there are too many consumers, or the disk fails.
    pub(super) fn take(spool: &mut Spool<D>, pipe: &Pipe, base: &Path) -> Result<Self, NodeError> {
        let name = consumer_name(pipe.name.as_str());
        let plan = Plan::of(&pipe.definition, base);
        let start = if plan.has_history { Start::Oldest } else { Start::At(pipe.border) };
        let consumer = spool
            .create_consumer(&name, start)
            .map_err(|source| NodeError::Consumer { name, source })?;
        let cursor = spool.cursor(consumer).cloned().unwrap_or_default();
        let reader = spool.reader(cursor.position);
        Ok(Self { consumer, cursor, reader })
    }
}

fn consumer_name(pipe: &str) -> String {
    format!("{CONSUMER_PREFIX}{pipe}")
}

/// Gives up the place of a pipe, if it has one.
///
/// # Errors
/// If the disk fails.
fn leave<D: Disk>(spool: &mut Spool<D>, pipe: &str) -> Result<(), NodeError> {
    let name = consumer_name(pipe);
    let found = spool.consumers().find(|(_, known, _)| *known == name).map(|(id, ..)| id);
    let left = found.map_or(Ok(()), |id| spool.drop_consumer(id));
    left.map_err(|source| NodeError::Consumer { name, source })
}

/// A task that carries entries of a pipe.
#[derive(Debug)]
struct Running {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// Starts the task of a pipe, whose row is `row`: what the filter takes goes to the sink.
///
/// # Errors
/// If its password cannot be had.
fn start<D: Disk>(
    name: &str,
    (filter, sink): (Filter, &Settings),
    place: Place<D>,
    row: Arc<PipeRow>,
    around: Surroundings<D>,
) -> Result<Running, NodeError> {
    let Surroundings { disk, spool, board, cluster_id, precision, .. } = around;
    let password = secret::reveal(&sink.password).map_err(|error| NodeError::Pipe {
        pipe: name.to_owned(),
        why: format!("password: {error}"),
    })?;
    let settings = AirGapSettings::from_config(sink, password, cluster_id, precision);
    let Place { consumer, cursor, reader } = place;
    let synced = spool.synced();
    let put_aside = dead_letters(&disk, name, &board);
    let feed = SpoolFeed::new(reader, cursor, synced, orders(spool, consumer), (disk, name));
    let feed = Filtered::new(Named::new(feed, Arc::clone(&board)), filter);
    let (stop, stopped) = watch::channel(false);
    let pipe = name.to_owned();
    let parts = Parts { pipe, settings, board, row, put_aside, seed: seed(), stop: stopped };
    let sink = AirGapSink::new(parts, feed);
    let task = task::spawn_local(async move {
        sink.run().await;
    });
    Ok(Running { task, stop })
}

/// Shows what was put aside in earlier runs, and returns how many entries that is.
fn dead_letters<D: Disk>(disk: &D, pipe: &str, board: &Board) -> u64 {
    let _within = board.stamps.of(Loop::Main).within(Operation::Scan);
    let counted = air_gap::count_dead_letters(disk, pipe).unwrap_or_else(|error| {
        log::warn!("event=dead_letters_not_counted pipe={pipe:?} error=\"{error}\"");
        0
    });
    if counted > 0 {
        let what = format!("{counted} entries lie in its dead-letter directory");
        let report = Report::new(TroubleKind::DeadLetters, what).about(pipe).count(counted);
        board.raise(report, clock::wall());
    }
    counted
}

/// How a pipe's feed reaches the spool thread.
fn orders<D: Disk>(spool: SpoolHandle<D>, consumer: ConsumerId) -> Orders {
    let handle = spool.clone();
    let quarantine = move |sequence, why: String| -> Done {
        let spool = handle.clone();
        Box::pin(async move {
            let moved = spool.call(move |spool| spool.quarantine_entry(sequence, &why)).await;
            match moved {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    log::warn!("event=not_quarantined entry={sequence} error=\"{error}\"");
                    false
                }
                Err(Ended) => false,
            }
        })
    };
    let advance = move |cursor: &Cursor| spool.advance(consumer, cursor);
    Orders { advance: Box::new(advance), quarantine: Box::new(quarantine) }
}

/// Counts, once a second, what each pipe has before it, those without a record too; ends with the spool.
pub(super) async fn show_backlog<D: Disk>(spool: SpoolHandle<D>, pipes: Shared, board: Arc<Board>) {
    let mut ticks = time::interval(BACKLOG_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (consumer, row) in pipes.shown() {
            let counted = spool.call(move |spool| {
                let position = spool
                    .cursor(consumer)
                    .map_or_else(|| spool.next_sequence(), |cursor| cursor.position);
                (position, spool.remaining(position))
            });
            let Ok((position, (entries, bytes))) = counted.await else { return };
            row.set_backlog(position.0, entries, bytes, clock::now());
        }
        let (known, rows) = (pipes.names(), board.pipes.all());
        let counted = spool.call(move |spool| count_orphans(spool, &known, &rows));
        if counted.await.is_err() {
            return;
        }
    }
}

/// Differs from box to box and from start to start, so that nodes that lost their gate at one time do
/// not all come back at one time.
fn seed() -> u64 {
    u64::from(std::process::id()) << 40 ^ clock::wall().0.unsigned_abs()
}

/// Pipes that have a place in the spool and no record, with their positions.
fn orphans<D: Disk>(spool: &Spool<D>, known: &[String]) -> Vec<(ConsumerId, String, Sequence)> {
    let of_pipe = |(id, name, cursor): (ConsumerId, &str, &Cursor)| {
        let pipe = name.strip_prefix(CONSUMER_PREFIX)?;
        let orphan = !known.iter().any(|known| known == pipe);
        orphan.then(|| (id, pipe.to_owned(), cursor.position))
    };
    spool.consumers().filter_map(of_pipe).collect()
}

/// Shows what pipes without a record keep.
fn count_orphans<D: Disk>(spool: &Spool<D>, known: &[String], rows: &[Arc<PipeRow>]) {
    for (_, pipe, position) in orphans(spool, known) {
        if let Some(row) = rows.iter().find(|row| row.id() == pipe) {
            let (entries, bytes) = spool.remaining(position);
            row.set_backlog(position.0, entries, bytes, clock::now());
        }
    }
}

/// Shows pipes without a record: they pin what they have not sent.
pub(super) fn show_orphans<D: Disk>(spool: &Spool<D>, known: &[String], board: &Board) {
    let wall = clock::wall();
    for (_, pipe, position) in orphans(spool, known) {
        let what = format!("pipe {pipe} has no record and keeps everything from entry {position}");
        log::warn!("event=pipe_without_record pipe={pipe} position={position}");
        let report = Report::new(TroubleKind::PipeStopped, what).about(&pipe);
        board.raise(report, wall);
        if let Ok(row) = board.pipes.row(&pipe, "", wall) {
            row.set_state(PipeState::Stopped, wall);
            row.say("nobody knows any more what it does: create it again, or spool release");
        }
    }
}

//! The pipes of the configuration file: each a consumer of the spool and a task of the main loop.

mod live;
mod released;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{self, JoinHandle};
use tokio::time::{self, MissedTickBehavior};

pub(super) use live::{Pipes, Shared};
pub use released::{Released, release};

use crate::config::PipeConfig;
use crate::data::{Precision, Sequence};
use crate::keep::spool_handle::{Ended, SpoolHandle};
use crate::node::NodeError;
use crate::ops::board::{Board, PipeRow, PipeState, Report, TroubleKind};
use crate::ops::stamp::{Loop, Operation};
use crate::ops::{clock, secret};
use crate::sink::air_gap::{
    self, AirGapSettings, AirGapSink, Done, Named, Orders, Parts, SpoolFeed,
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
}

/// A pipe's place in the spool.
#[derive(Debug)]
pub(super) struct Place<D: Disk> {
    consumer: ConsumerId,
    cursor: Cursor,
    reader: Reader<D>,
}

impl<D: Disk> Place<D> {
    /// Where the pipe left off, or the oldest entry for a new one.
    ///
    /// # Errors
    /// If there are too many consumers, or the disk fails.
    pub(super) fn take(spool: &mut Spool<D>, pipe: &str) -> Result<Self, NodeError> {
        let name = format!("{CONSUMER_PREFIX}{pipe}");
        let consumer = spool
            .create_consumer(&name, Start::Oldest)
            .map_err(|source| NodeError::Consumer { name, source })?;
        let cursor = spool.cursor(consumer).cloned().unwrap_or_default();
        let reader = spool.reader(cursor.position);
        Ok(Self { consumer, cursor, reader })
    }
}

/// Starts the task of a pipe.
///
/// # Errors
/// If its password is unusable, or the board has no row left.
fn start<D: Disk>(
    pipe: &PipeConfig,
    place: Place<D>,
    around: Surroundings<D>,
    stop: watch::Receiver<bool>,
) -> Result<Running, NodeError> {
    let Surroundings { disk, spool, board, cluster_id, precision } = around;
    let name = pipe.name.clone();
    let password = secret::reveal(&pipe.sink.password).map_err(|error| NodeError::Pipe {
        pipe: name.clone(),
        why: format!("password: {error}"),
    })?;
    let settings = AirGapSettings::from_config(&pipe.sink, password, cluster_id, precision);
    let target = settings.node_urls.to_string();
    let row = board
        .pipes
        .row(&name, &target, clock::wall())
        .map_err(|error| NodeError::Pipe { pipe: name.clone(), why: error.to_string() })?;
    let Place { consumer, cursor, reader } = place;
    let synced = spool.synced();
    let put_aside = dead_letters(&disk, &name, &board);
    let feed = SpoolFeed::new(reader, cursor, synced, orders(spool, consumer), (disk, &name));
    let feed = Named::new(feed, Arc::clone(&board));
    let shown = Arc::clone(&row);
    let parts = Parts { pipe: name, settings, board, row, put_aside, seed: seed(), stop };
    let sink = AirGapSink::new(parts, feed);
    let task = task::spawn_local(async move {
        sink.run().await;
    });
    Ok(Running { consumer, row: shown, task })
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

/// A pipe that runs.
#[derive(Debug)]
struct Running {
    consumer: ConsumerId,
    row: Arc<PipeRow>,
    /// Its sink.
    task: JoinHandle<()>,
}

/// Counts, once a second, what each pipe has before it, those without a stanza too; ends with the spool.
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
        let (stanzas, rows) = (pipes.stanzas(), board.pipes.all());
        let counted = spool.call(move |spool| count_orphans(spool, &stanzas, &rows));
        if counted.await.is_err() {
            return;
        }
    }
}

impl Running {
    /// What [`show_backlog`] needs.
    fn shown(&self) -> (ConsumerId, Arc<PipeRow>) {
        (self.consumer, Arc::clone(&self.row))
    }
}

/// Differs from box to box and from start to start, so that nodes that lost their gate at one time do
/// not all come back at one time.
fn seed() -> u64 {
    u64::from(std::process::id()) << 40 ^ clock::wall().0.unsigned_abs()
}

/// Pipes that have a place in the spool and no stanza any more, with their positions.
fn orphans<D: Disk>(spool: &Spool<D>, stanzas: &[String]) -> Vec<(ConsumerId, String, Sequence)> {
    let of_pipe = |(id, name, cursor): (ConsumerId, &str, &Cursor)| {
        let pipe = name.strip_prefix(CONSUMER_PREFIX)?;
        let orphan = !stanzas.iter().any(|stanza| stanza == pipe);
        orphan.then(|| (id, pipe.to_owned(), cursor.position))
    };
    spool.consumers().filter_map(of_pipe).collect()
}

/// Shows what pipes without a stanza keep.
fn count_orphans<D: Disk>(spool: &Spool<D>, stanzas: &[String], rows: &[Arc<PipeRow>]) {
    for (_, pipe, position) in orphans(spool, stanzas) {
        if let Some(row) = rows.iter().find(|row| row.id() == pipe) {
            let (entries, bytes) = spool.remaining(position);
            row.set_backlog(position.0, entries, bytes, clock::now());
        }
    }
}

/// Names of the pipes that the configuration has.
pub(super) fn stanzas(pipes: &[PipeConfig]) -> Vec<String> {
    pipes.iter().map(|pipe| pipe.name.clone()).collect()
}

/// Shows pipes without a stanza: they pin what they have not sent.
pub(super) fn show_orphans<D: Disk>(spool: &Spool<D>, stanzas: &[String], board: &Board) {
    let wall = clock::wall();
    for (_, pipe, position) in orphans(spool, stanzas) {
        let what = format!(
            "pipe {pipe} has no stanza any more and keeps everything from entry {position}"
        );
        log::warn!("event=pipe_without_stanza pipe={pipe} position={position}");
        let report = Report::new(TroubleKind::PipeStopped, what).about(&pipe);
        board.raise(report, wall);
        if let Ok(row) = board.pipes.row(&pipe, "", wall) {
            row.set_state(PipeState::Stopped, wall);
            row.say("its stanza went from the configuration");
        }
    }
}

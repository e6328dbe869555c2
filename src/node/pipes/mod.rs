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
mod ending;
mod execute;
mod late;
mod live;
mod plan;
#[cfg(feature = "simulation")]
mod played;
mod plugins;
mod program;
mod released;
mod resend;
mod show;
mod targets;
mod way;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinHandle};
use tokio::time::{self, MissedTickBehavior};

pub(super) use book::Book;
pub(super) use control::Handle;
use ending::{Ending, tell_ending};
pub(super) use live::{Pipes, Shared};
pub(super) use plan::Terms;
use plan::{Drain, Plan};
#[cfg(feature = "simulation")]
pub use played::{Act, Leave, Played};
use program::program;
pub use released::{Released, release_stopped};
use way::{Way, in_lanes, run_plan};

use crate::config::{self, CompatConfig, Config, PluginsConfig};
use crate::data::{OriginId, Precision, Sequence};
use crate::keep::spool_handle::{Ended, SpoolHandle};
use crate::link::rate::SharedRate;
use crate::node::NodeError;
use crate::ops::board::{Board, PipeRow, PipeState, Report, TroubleKind};
use crate::ops::stamp::{Loop, Operation};
use crate::ops::{clock, secret};
use crate::pipe::source::Filter;
use crate::pipe::{Pipe, ReplayFile, Sampler};
use crate::sink::air_gap::{
    AheadPlan, AirGapSettings, AirGapSink, Cutters, DeadLetters, Done, Feed, Filtered, Named,
    Orders, Parts, Runs, Sampling, Scratch, SpoolFeed, rate_limit,
};
use crate::sink::cuts::Desk;
use crate::sink::nothing::DoNothingSink;
use crate::spool::{ConsumerId, Cursor, Disk, Reader, Spool, Start};
use crate::statement::{Processor, RealtimeMode};

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
    /// The node's identity.
    pub(super) origin: OriginId,
    /// Unit of times, once it is known.
    pub(super) precision: watch::Receiver<Option<Precision>>,
    /// What the filters of all pipes look with.
    pub(super) scratch: Scratch,
    /// Where filters have files cut.
    pub(super) desk: Desk,
    pub(super) said: Said,
    /// Where a simulator plays the sinks.
    #[cfg(feature = "simulation")]
    stage: Option<played::Stage<D>>,
}

/// What the configuration says about statements and pipes.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// What relative paths of statements are relative to.
    base: PathBuf,
    plugins: PluginsConfig,
    compat: CompatConfig,
    /// How long the answer to a seal is waited for at first, unless the sink says so.
    seal_timeout: Duration,
    /// What all sinks together keep.
    rate: Option<SharedRate>,
    /// Where all state lies.
    data_dir: PathBuf,
}

impl Said {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            base: config.base.clone(),
            plugins: config.plugins.clone(),
            compat: config.compat,
            seal_timeout: config.seal_timeout,
            rate: config.rate_limit.and_then(|rate| rate_limit(rate.get())).map(SharedRate::new),
            data_dir: config.data_dir.clone(),
        }
    }
}

impl<D: Disk> Surroundings<D> {
    /// Those of a node with this identity and this cluster id.
    pub(super) fn new(
        config: &Config,
        disk: D,
        spool: SpoolHandle<D>,
        board: &Arc<Board>,
        (origin, cluster_id): (OriginId, String),
        precision: watch::Receiver<Option<Precision>>,
    ) -> Self {
        Self {
            disk,
            spool,
            board: Arc::clone(board),
            cluster_id,
            origin,
            precision,
            scratch: Scratch::default(),
            desk: Desk::default(),
            said: Said::of(config),
            #[cfg(feature = "simulation")]
            stage: None,
        }
    }

    /// Unit of times, as far as it is known now.
    fn precision(&self) -> Precision {
        self.precision.borrow().unwrap_or_default()
    }

    /// Differs from box to box and from start to start, so that nodes that lost their gate at one time do
    /// not all come back at one time.
    #[cfg_attr(
        not(feature = "simulation"),
        expect(clippy::unused_self, reason = "a simulated node has a seed of its own")
    )]
    fn seed(&self) -> u64 {
        #[cfg(feature = "simulation")]
        if let Some(stage) = &self.stage {
            return stage.seed();
        }
        u64::from(std::process::id()) << 40 ^ clock::wall().0.unsigned_abs()
    }
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
    pub(super) fn take(
        spool: &mut Spool<D>,
        pipe: &Pipe,
        terms: Terms<'_>,
    ) -> Result<Self, NodeError> {
        let name = consumer_name(pipe.name.as_str());
        let plan = Plan::of(&pipe.definition, terms);
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

/// What a pipe's entries go through.
struct Through<'a> {
    filter: Filter,
    processor: Processor,
    drain: &'a Drain,
    /// In which form tablets go.
    mode: RealtimeMode,
    /// First entry that is not its history.
    border: Sequence,
    /// Tells it from others.
    mark: u32,
}

/// A task that carries entries of a pipe.
#[derive(Debug)]
struct Running {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// Starts the task of a pipe, whose row is `row`: what the filter takes goes to the sink. One that ends by itself says
/// so to `over`.
///
/// # Errors
/// If its password cannot be had, or no program may be run.
fn start<D: Disk>(
    name: &str,
    Through { filter, processor, drain, mode, border, mark }: Through<'_>,
    place: Place<D>,
    (row, over): (Arc<PipeRow>, mpsc::Sender<ending::OneEnded>),
    around: &Surroundings<D>,
) -> Result<Running, NodeError> {
    let board = Arc::clone(&around.board);
    let (stop, stopped) = watch::channel(false);
    let pipe = name.to_owned();
    let (hopeless, mut cannot) = mpsc::channel(1);
    let settings = match drain {
        Drain::AirGap(sink) => Some(settings_of(name, sink, around)?),
        Drain::Thrift(sink) => {
            let ahead = AheadPlan::of(sink);
            Some(AirGapSettings { ahead, ..settings_of(name, &sink.far, around)? })
        }
        Drain::Program(plugin) => {
            let program = program(name, plugin, hopeless, around)?;
            let (cluster_id, precision) = (around.cluster_id.clone(), around.precision());
            Some(AirGapSettings::of_program(program, cluster_id, precision))
        }
        Drain::Nothing => None,
    };
    let realtime_first = match drain {
        Drain::AirGap(sink) => sink.realtime_first,
        Drain::Thrift(_) | Drain::Program(_) | Drain::Nothing => None,
    };
    let way = Way { mode, border, mark, realtime_first, row: Arc::clone(&row) };
    let feed = feed(name, (filter, processor), &way, place, around);
    let task = if let Some(mut settings) = settings {
        settings.rates.shared.clone_from(&around.said.rate);
        #[cfg(feature = "simulation")]
        if let Some(stage) = around.stage.clone() {
            let life = stage.play(pipe, settings, feed, stopped);
            let life = async move { life.await.then_some(Ending::Over) };
            let task = task::spawn_local(tell_ending(life, name.to_owned(), over));
            return Ok(Running { task, stop });
        }
        let parts = Parts { pipe, settings, board, row, seed: around.seed(), stop: stopped };
        let sink = Box::new(AirGapSink::new(parts, feed));
        let life = Box::pin(async move {
            tokio::select! {
                feed = sink.run() => feed.is_over().then_some(Ending::Over),
                // Nothing is in flight: what it would be sent to could not be started.
                Some(why) = cannot.recv() => Some(Ending::Hopeless(why)),
            }
        });
        task::spawn_local(tell_ending(life, name.to_owned(), over))
    } else {
        let sink = Box::new(DoNothingSink { pipe, feed, board, row, stop: stopped });
        let life = Box::pin(async move { sink.run().await.then_some(Ending::Over) });
        task::spawn_local(tell_ending(life, name.to_owned(), over))
    };
    Ok(Running { task, stop })
}

/// What a pipe's sink with a far side goes by.
///
/// # Errors
/// If its password cannot be had.
fn settings_of<D: Disk>(
    pipe: &str,
    sink: &config::AirGapSink,
    around: &Surroundings<D>,
) -> Result<AirGapSettings, NodeError> {
    let password = secret::reveal(&sink.password).map_err(|error| NodeError::Pipe {
        pipe: pipe.to_owned(),
        why: format!("password: {error}"),
    })?;
    let (cluster_id, precision) = (around.cluster_id.clone(), around.precision());
    Ok(AirGapSettings::from_config(sink, password, cluster_id, precision))
}

/// What a pipe's sink takes its entries from.
type PipeFeed<D> = Sampling<Filtered<Named<Runs<D>>>>;

/// That of one pipe.
fn feed<D: Disk>(
    name: &str,
    (filter, processor): (Filter, Processor),
    way: &Way,
    place: Place<D>,
    around: &Surroundings<D>,
) -> PipeFeed<D> {
    // A processor is for tablets: in a file they would pass it by.
    let is_plain = processor == Processor::DoNothing;
    let runs = run_plan(name, if is_plain { way.mode } else { RealtimeMode::Stream }, way, around);
    let feed = in_lanes(spool_feed(name, place, around), name, way);
    let feed = Runs::new(feed, runs);
    let feed = Named::new(feed, Arc::clone(&around.board));
    let (scratch, precision) = (around.scratch.clone(), around.precision.clone());
    let (desk, board) = (around.desk.clone(), Arc::clone(&around.board));
    let cutters = Cutters { desk, board, pipe: name.to_owned() };
    let feed = Filtered::new(feed, filter, scratch, precision, cutters);
    let shown = (name, Arc::clone(&around.board));
    Sampling::new(feed, Sampler::new(processor), around.precision(), shown)
}

/// The same, whose disk work is not named.
fn spool_feed<D: Disk>(name: &str, place: Place<D>, around: &Surroundings<D>) -> SpoolFeed<D> {
    let _within = around.board.stamps.of(Loop::Main).within(Operation::Scan);
    let Place { consumer, cursor, reader } = place;
    let (disk, spool) = (around.disk.clone(), around.spool.clone());
    let dead_letters = DeadLetters::new(disk.clone(), name);
    let synced = spool.synced();
    let feed = SpoolFeed::new(reader, cursor, synced, orders(spool, consumer), dead_letters);
    with_replay(feed, ReplayFile::new(disk, name), name, &around.board)
}

/// A feed that also does what `file` says.
fn with_replay<D: Disk>(
    feed: SpoolFeed<D>,
    file: ReplayFile<D>,
    pipe: &str,
    board: &Board,
) -> SpoolFeed<D> {
    match file.read() {
        Ok(Some(replay)) => {
            log::info!("event=replay pipe={pipe:?} entries=\"{replay}\"");
            let feed = feed.replaying(replay, file);
            match board.pipes.find(pipe) {
                Some(row) => feed.shown_by(row.work(&format!("replaying {replay}"))),
                None => feed,
            }
        }
        Ok(None) => feed,
        Err(error) => {
            log::error!("event=replay_unknown pipe={pipe:?} error=\"{error}\"");
            feed
        }
    }
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
        if count_backlog(&spool, &pipes).await.is_err() {
            return;
        }
        let (known, rows) = (pipes.names(), board.pipes.all());
        let counted = spool.call(move |spool| count_orphans(spool, &known, &rows));
        if counted.await.is_err() {
            return;
        }
    }
}

/// Counts what each pipe has before it.
///
/// # Errors
/// The spool has ended.
pub(super) async fn count_backlog<D: Disk>(
    spool: &SpoolHandle<D>,
    pipes: &Shared,
) -> Result<(), Ended> {
    let synced = spool.synced();
    for (consumer, row) in pipes.shown() {
        let counted = spool.call(move |spool| {
            let cursor = spool.cursor(consumer).cloned();
            let cursor = cursor.unwrap_or_else(|| Cursor::at(spool.next_sequence()));
            (cursor.position, spool.waiting(&cursor))
        });
        let (position, (entries, bytes)) = counted.await?;
        row.set_backlog(position.0, entries, bytes, clock::now());
        // The feed says so, too, but not while its sink has an entry: what waits grows old in an outage.
        row.note_lag(clock::now(), *synced.borrow(), position);
    }
    Ok(())
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

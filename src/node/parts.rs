//! Building: from a configuration to threads that run.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use crate::config::{self, Config, Credentials, SessionConfig};
use crate::data::Precision;
use crate::intake::gate::{self, Gate, GateHandle, Inlets};
use crate::keep::spool_handle::SpoolHandle;
use crate::keep::spool_thread::{self, SpoolThread};
use crate::limits;
use crate::link::receiver::{Login, PlanPolicy, Plans, Policy};
use crate::node::pipes::{self, Book, Place, Terms};
use crate::node::{NodeError, remembered};
use crate::ops::board::{Board, Report, TroubleKind};
use crate::ops::{clock, secret};
use crate::pipe::{Birth, Pipe};
use crate::sink::landing::landed_below;
use crate::spool::{ConsumerId, Disk, Fatal, Recovery, Settings, Spool, Start, WhenFull};

/// Name of the landing directory's consumer.
pub(super) const LANDING_CONSUMER: &str = "landing";

/// A node whose threads run, but for the worker, and whose main loop does not run yet.
pub(super) struct Built<D: Disk> {
    pub(super) disk: D,
    pub(super) spool: SpoolHandle<D>,
    pub(super) spool_thread: JoinHandle<Result<(), Fatal>>,
    pub(super) gate: Option<RunningGate>,
    /// What the session service needs, if it is to listen.
    pub(super) session: Option<SessionParts>,
    pub(super) landing: Option<ConsumerId>,
    pub(super) book: Book<D>,
    /// Of each pipe.
    pub(super) places: Vec<(Pipe, Place<D>)>,
    pub(super) cluster_id: String,
    pub(super) precision: watch::Receiver<Option<Precision>>,
    pub(super) origin: crate::data::OriginId,
}

/// What the session service needs of the node.
pub(super) struct SessionParts {
    pub(super) login: Login,
    pub(super) pipes: Policy,
    pub(super) writers: Policy,
    pub(super) inlets: Inlets,
}

/// A gate that listens.
pub(super) struct RunningGate {
    pub(super) handle: GateHandle,
    pub(super) thread: JoinHandle<std::io::Result<()>>,
}

/// Recovers the spool and starts its thread and the gate's. An error of the disk is recorded, as those of a running
/// spool are: after three of them the node starts in state `failing`, so that somebody sees it.
///
/// # Errors
/// [`NodeError`], with nothing left running that could take data in.
pub(super) fn build<D: Disk>(
    config: &Config,
    disk: D,
    board: &Arc<Board>,
) -> Result<Built<D>, NodeError> {
    let keeper = disk.clone();
    build_parts(config, disk, board).inspect_err(|error| {
        if let Some(fatal) = error.fatal() {
            Spool::record_fatal(&keeper, fatal, clock::wall().0);
        }
    })
}

fn build_parts<D: Disk>(
    config: &Config,
    disk: D,
    board: &Arc<Board>,
) -> Result<Built<D>, NodeError> {
    let landed = config.landing.enabled.then(|| landed_below(&disk, &config.landing.dir)).flatten();
    let settings = Settings { proved: landed, ..spool_settings(config) };
    let (mut spool, recovery) = Spool::open(disk.clone(), settings, clock::now(), clock::wall().0)?;
    board.troubles.remember(remembered::seen(&disk));
    show_recovery(&recovery, board);
    let origin = spool.origin();
    board.set_origin_id(origin.text().as_str());
    let is_failing = recovery.failing.is_some();
    let mut book = Book::open(disk.clone(), is_failing, board)?;
    let (landing, places) = if is_failing {
        (None, Vec::new())
    } else {
        (landing_consumer(&mut spool, config)?, places(&mut spool, &mut book, config, board)?)
    };
    pipes::show_orphans(&spool, &book.names(), board);
    let cluster_id = config.cluster_id.clone().unwrap_or_else(|| remembered::cluster_id(origin));
    let known = config.timestamp_precision.or_else(|| remembered::precision(&disk));
    let (precision_sender, precision) = watch::channel(known);
    let boot = spool.boot();
    let (thread, handle) = SpoolThread::new(
        disk.clone(),
        spool,
        spool_thread::Settings {
            connections: peers(config) + guests(config),
            max_frame_bytes: max_frame_bytes(config),
        },
        Arc::clone(board),
    );
    let gate = (peers(config) + guests(config) > 0)
        .then(|| {
            let policy = policy(config, &cluster_id)?;
            bind_gate(config, policy, (precision_sender, boot), &handle, board)
        })
        .transpose()?;
    let inlets = gate.as_ref().map(Gate::inlets);
    let session = match (&config.session, inlets) {
        (Some(session), Some(inlets)) => Some(session_parts(config, session, &cluster_id, inlets)?),
        _ => None,
    };
    let spool_thread = spawn("spool", move || thread.run())?;
    let gate = gate.map(start_gate).transpose()?;
    Ok(Built {
        disk,
        spool: handle,
        spool_thread,
        gate,
        session,
        landing,
        book,
        places,
        cluster_id,
        precision,
        origin,
    })
}

/// Applies the stanzas, makes up for what was dropped when the last run ended, and finds the places of the others.
pub(super) fn places<D: Disk>(
    spool: &mut Spool<D>,
    book: &mut Book<D>,
    config: &Config,
    board: &Board,
) -> Result<Vec<(Pipe, Place<D>)>, NodeError> {
    let birth = Birth { now_ms: clock::wall().0, next: spool.next_sequence() };
    book.settle(&config.pipes, birth, board)?;
    book.bury_all(spool)?;
    let (base, plugins) = (config.base.as_path(), book.plugins());
    let terms = Terms { base, plugins, seal_timeout: config.seal_timeout };
    let place = |pipe: &Pipe| {
        let place = Place::take(spool, pipe, terms)?;
        Ok((pipe.clone(), place))
    };
    book.registry().live().map(place).collect()
}

/// The landing directory's place. Where landing is off it has none, so that it pins nothing.
fn landing_consumer<D: Disk>(
    spool: &mut Spool<D>,
    config: &Config,
) -> Result<Option<ConsumerId>, NodeError> {
    let failed = |source| NodeError::Consumer { name: LANDING_CONSUMER.to_owned(), source };
    if config.landing.enabled {
        return spool.create_consumer(LANDING_CONSUMER, Start::Oldest).map(Some).map_err(failed);
    }
    let old = spool.consumers().find(|(_, name, _)| *name == LANDING_CONSUMER);
    if let Some(id) = old.map(|(id, ..)| id) {
        log::info!("event=landing_off");
        spool.drop_consumer(id).map_err(failed)?;
    }
    Ok(None)
}

/// What the configuration says of the spool.
pub fn spool_settings(config: &Config) -> Settings {
    let spool = &config.spool;
    Settings {
        segment_bytes: spool.segment_bytes,
        segment_max_age: spool.segment_max_age,
        max_bytes: spool.max_bytes,
        reserve_bytes: spool.reserve_bytes,
        when_full: match spool.when_full {
            config::WhenFull::Block => WhenFull::Block,
            config::WhenFull::DropOldest => WhenFull::DropOldest,
        },
        retain_bytes: spool.retain_bytes,
        retain: std::time::Duration::from_secs(spool.retain_hours.saturating_mul(3600)),
        quarantine_max_bytes: config.quarantine_max_bytes,
        proved: None,
    }
}

fn max_frame_bytes(config: &Config) -> u32 {
    u32::try_from(config.gate.max_frame_bytes).unwrap_or(u32::MAX)
}

/// Places of the gate thread for peers.
const fn peers(config: &Config) -> usize {
    if config.gate.enabled { config.gate.max_connections } else { 0 }
}

/// Its places for guests.
fn guests(config: &Config) -> usize {
    let session = config.session.as_ref();
    session.map_or(0, |session| session.max_connections * limits::SESSION_GUESTS_EACH)
}

fn login(credentials: &Credentials, key: &str) -> Result<Login, NodeError> {
    let password = secret::reveal(&credentials.password)
        .map_err(|source| NodeError::Secret { key: key.to_owned(), source })?;
    Ok(Login { user: credentials.user.clone(), password })
}

/// What is kept to by what comes over the session service: pipes as over a gate, clients without much patience.
fn session_parts(
    config: &Config,
    session: &SessionConfig,
    cluster_id: &str,
    inlets: Inlets,
) -> Result<SessionParts, NodeError> {
    let login = login(&session.credentials, "session.password")?;
    let stock = || "root".to_owned();
    let pipes = Policy {
        login: Some(login.clone()),
        // Stock pipes up to 1.3.3 send none, and stock receivers take them for these.
        assumed: Some(Login { user: stock(), password: stock() }),
        local: session.local.clone(),
        ..policy(config, cluster_id)?
    };
    let frame_bytes = u32::try_from(limits::REQUEST_MEMORY_BYTES_MAX).unwrap_or(u32::MAX);
    let writers = Policy {
        hold_max: limits::SESSION_HOLD_MAX,
        max_frame_bytes: pipes.max_frame_bytes.max(frame_bytes),
        ..pipes.clone()
    };
    Ok(SessionParts { login, pipes, writers, inlets })
}

fn policy(config: &Config, cluster_id: &str) -> Result<Policy, NodeError> {
    let credentials = config.gate.credentials.as_ref();
    let login = credentials.map(|credentials| login(credentials, "gate.password"));
    Ok(Policy {
        max_frame_bytes: max_frame_bytes(config),
        cluster_id: cluster_id.to_owned(),
        login: login.transpose()?,
        assumed: None,
        local: config.gate.local.clone(),
        plans: Plans {
            delete: plan_policy(config.intake.delete),
            schema: plan_policy(config.intake.schema),
            authority: plan_policy(config.intake.auth),
        },
        hold_max: limits::HOLD_MAX,
    })
}

const fn plan_policy(policy: config::PlanPolicy) -> PlanPolicy {
    match policy {
        config::PlanPolicy::Pass => PlanPolicy::Pass,
        config::PlanPolicy::Ignore => PlanPolicy::Ignore,
    }
}

fn bind_gate<D: Disk>(
    config: &Config,
    policy: Policy,
    (precision, boot): (watch::Sender<Option<Precision>>, u32),
    spool: &SpoolHandle<D>,
    board: &Arc<Board>,
) -> Result<Gate, NodeError> {
    let listen = config.gate.listen;
    let settings = gate::Settings {
        listen: config.gate.enabled.then_some(listen),
        max_connections: config.gate.max_connections,
        guests: guests(config),
        allow: config.gate.allow.clone(),
        policy,
        precision,
        boot,
    };
    let gate = Gate::bind(settings, spool.stage(), Arc::clone(board))
        .map_err(|source| NodeError::Listen { key: "gate.listen", address: listen, source })?;
    if let Some(address) = gate.address() {
        log::info!("event=gate_listens address={address}");
        board.set_listener("gate", address);
    }
    Ok(gate)
}

fn start_gate(gate: Gate) -> Result<RunningGate, NodeError> {
    let handle = gate.handle();
    let thread = spawn("gate", move || gate.run())?;
    Ok(RunningGate { handle, thread })
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, NodeError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| NodeError::System { what: "a thread", source })
}

fn show_recovery(recovery: &Recovery, board: &Board) {
    let wall = clock::wall();
    if recovery.crashed || recovery.created {
        log::info!(
            "event=spool_opened created={} crashed={} cut_bytes={} leftovers={}",
            recovery.created,
            recovery.crashed,
            recovery.cut_bytes,
            recovery.leftovers
        );
    }
    if recovery.copied {
        let what = "the data directory is a copy: the node took a new identity, so that nothing new \
                    counts as a repetition";
        log::error!("event=data_dir_copied");
        let remedy =
            "nothing is to be done; if the other copy runs, see that its data is not this one's";
        board.raise(
            Report::new(TroubleKind::ClonedBox, what).about("data_dir").remedy(remedy),
            wall,
        );
    }
    if recovery.corrupt_entries > 0 {
        let what = format!(
            "{} entries of the spool could not be read after the start",
            recovery.corrupt_entries
        );
        log::error!("event=spool_damaged entries={}", recovery.corrupt_entries);
        board.raise(Report::new(TroubleKind::Quarantine, what).about("spool"), wall);
    }
    if recovery.cursors_lost > 0 {
        let what = format!(
            "{} cursors were damaged; their pipes start over at the oldest entry",
            recovery.cursors_lost
        );
        log::error!("event=cursors_lost count={}", recovery.cursors_lost);
        board.raise(Report::new(TroubleKind::PipeError, what).about("cursors"), wall);
    }
    if let Some(why) = &recovery.failing {
        log::error!("event=spool_failing error=\"{why}\"");
        let what = format!("three exits for the same disk error: {why}");
        board.raise(Report::new(TroubleKind::DiskFailing, what), wall);
    }
}

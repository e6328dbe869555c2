//! The main loop: pipes, status, control, alarms, watchdog and signals, on one tokio thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, LocalSet};
use tokio::time;

use crate::config::{Config, restart_keys};
use crate::data::{Precision, Sequence};
use crate::intake::session;
use crate::keep::spool_handle::SpoolHandle;
use crate::limits::CONTROL_COMMANDS_MAX;
use crate::node::parts::{Built, RunningGate, SessionParts};
use crate::node::pipes::{self, Pipes, Surroundings};
use crate::node::worker::{self, Worker};
use crate::node::{NodeError, Reread, remembered};
use crate::ops::board::{Board, Phase};
use crate::ops::signals::{Signal, Signals};
use crate::ops::stamp::{Loop, Operation};
use crate::ops::status::{self, Command, Listener, Service};
use crate::ops::{alarm, clock, code, systemd, watch as watching};
use crate::spool::Disk;

/// Longest wait for what lies before each pipe, at the start.
const FIRST_COUNT_MAX: Duration = Duration::from_secs(1);
/// From the order to stop to the end of the program, whatever hangs.
const STOP_MAX: Duration = Duration::from_millis(4800);

/// Runs until the node is told to stop, or a thread ends on its own.
///
/// # Errors
/// [`NodeError`].
pub(super) fn run<D: Disk>(
    config: Config,
    reread: Reread<'_>,
    built: Built<D>,
    board: &Arc<Board>,
) -> Result<(), NodeError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|source| NodeError::System { what: "the main loop", source })?;
    let result = LocalSet::new().block_on(&runtime, async {
        let mut signals =
            Signals::new().map_err(|source| NodeError::System { what: "signals", source })?;
        serve(config, reread, built, board, async || signals.next().await).await
    });
    // A call that still sits in the kernel must not keep the program.
    runtime.shutdown_background();
    result
}

/// Runs until `next_signal`, which may be dropped while it waits, says so.
pub(super) async fn serve<D: Disk>(
    config: Config,
    reread: Reread<'_>,
    built: Built<D>,
    board: &Arc<Board>,
    mut next_signal: impl AsyncFnMut() -> Signal,
) -> Result<(), NodeError> {
    let Built { disk, spool, spool_thread, gate, landing, cluster_id, precision, origin, .. } =
        built;
    let (commands, orders) = mpsc::channel(CONTROL_COMMANDS_MAX);
    listen(&config, commands.clone(), board).await?;
    serve_sessions(&config, built.session, commands, precision.clone(), board).await?;
    task::spawn_local(alarm::run(config.alarm_command.clone(), Arc::clone(board)));
    task::spawn_local(remember_precision(disk.clone(), precision.clone(), Arc::clone(board)));
    task::spawn_local(remember_seen(disk.clone(), Arc::clone(board)));

    let node = (origin, cluster_id);
    let around = Surroundings::new(&config, disk.clone(), spool.clone(), board, node, precision);
    let desk = around.desk.clone();
    let pipes = Pipes::start(around, built.book, built.places);
    // Whoever asks as soon as the node is ready is not told that nothing waits, unless the disk keeps the answer.
    let (waiting, shared) = (FIRST_COUNT_MAX, pipes.shared());
    let _counted = time::timeout(waiting, pipes::count_backlog(&spool, &shared)).await.is_ok();
    task::spawn_local(pipes::show_backlog(spool.clone(), pipes.shared(), Arc::clone(board)));
    let pipes = pipes::Handle::spawn(pipes, orders);
    let worker = start_worker(
        &config,
        worker::Parts {
            disk,
            spool: spool.clone(),
            landing,
            origin,
            board: Arc::clone(board),
            desk,
        },
    )?;
    // Nobody else of the worker waits for entries.
    if landing.is_some() {
        let thread = worker.thread();
        task::spawn_local(wake(move || thread.unpark(), spool.synced()));
    }
    task::spawn_local(watching::run(Arc::clone(board)));
    board.set_phase(Phase::Running);
    systemd::ready(&systemd::state_line(board, clock::now()));
    log::info!("event=running role={} name={}", config.role.name(), config.name);
    // Before the first load: the most that is ever resident is what people look at.
    code::release();

    let mut ended = spool.ended();
    let result = loop {
        tokio::select! {
            signal = next_signal() => match signal {
                Signal::Stop => break Ok(()),
                Signal::Reload => reload(reread, &config, &pipes, board).await,
            },
            _ = ended.wait_for(|ended| *ended) => break Err(NodeError::ThreadEnded("spool")),
            () = gate_ended(gate.as_ref()) => break Err(NodeError::ThreadEnded("gate")),
        }
    };
    board.set_phase(Phase::Stopping);
    systemd::stopping();
    let stopping = Stopping { gate, pipes, worker };
    match time::timeout(STOP_MAX, stopping.stop(&spool)).await {
        Ok(()) if spool_thread.is_finished() && spool_thread.join().is_err() => {
            return result.and(Err(NodeError::ThreadEnded("spool")));
        }
        Ok(()) => log::info!("event=stopped"),
        Err(_) => log::warn!("event=stopped_late: what was not synced was not answered"),
    }
    result
}

/// What has to end before the spool.
struct Stopping {
    gate: Option<RunningGate>,
    pipes: pipes::Handle,
    worker: Worker,
}

impl Stopping {
    async fn stop<D: Disk>(self, spool: &SpoolHandle<D>) {
        if let Some(gate) = &self.gate {
            gate.handle.stop();
        }
        self.worker.order_stop();
        self.pipes.stop().await;
        while !self.gate.as_ref().is_none_or(|gate| gate.thread.is_finished())
            || !self.worker.is_finished()
        {
            time::sleep(STOP_POLL).await;
        }
        spool.stop();
        let _gone = spool.ended().wait_for(|ended| *ended).await.is_err();
    }
}

/// How often threads that stop are looked at.
const STOP_POLL: Duration = Duration::from_millis(5);
/// How often a running gate is looked at: it ends only by a bug or for lack of kernel memory.
const GATE_POLL: Duration = Duration::from_secs(1);

async fn gate_ended(gate: Option<&RunningGate>) {
    let Some(gate) = gate else { return std::future::pending().await };
    while !gate.thread.is_finished() {
        time::sleep(GATE_POLL).await;
    }
}

async fn listen(
    config: &Config,
    commands: mpsc::Sender<Command>,
    board: &Arc<Board>,
) -> Result<(), NodeError> {
    let runtime_directory = std::env::var("RUNTIME_DIRECTORY").ok();
    let path = status::control_path(&config.data_dir, runtime_directory.as_deref());
    let socket = status::bind_control(&path)?;
    let service = Service::control(Arc::clone(board), commands);
    task::spawn_local(status::serve(Listener::Control(socket), service));
    let Some(address) = config.status_listen else { return Ok(()) };
    let failed = |source| NodeError::Listen { key: "status.listen", address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    log::info!("event=status_listens address={bound}");
    board.set_listener("status", bound);
    let service = Service::read_only(Arc::clone(board));
    task::spawn_local(status::serve(Listener::Status(listener), service));
    Ok(())
}

async fn serve_sessions(
    config: &Config,
    parts: Option<SessionParts>,
    commands: mpsc::Sender<Command>,
    precision: watch::Receiver<Option<Precision>>,
    board: &Arc<Board>,
) -> Result<(), NodeError> {
    let (Some(config), Some(parts)) = (&config.session, parts) else { return Ok(()) };
    let address = config.listen;
    let failed = |source| NodeError::Listen { key: "session.listen", address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    log::info!("event=session_listens address={bound}");
    board.set_listener("session", bound);
    let SessionParts { login, pipes, writers, inlets } = parts;
    let max_connections = config.max_connections;
    let settings =
        session::Settings { max_connections, login, pipes, writers, inlets, commands, precision };
    task::spawn_local(session::serve(listener, settings));
    Ok(())
}

fn start_worker<D: Disk>(config: &Config, parts: worker::Parts<D>) -> Result<Worker, NodeError> {
    let settings = (parts.landing.is_some().then(|| config.landing.clone()), config.inbox.clone());
    Worker::start(parts, settings, &config.data_dir)
        .map_err(|source| NodeError::System { what: "the worker thread", source })
}

/// Wakes the worker when there is more in the spool: at once, then no sooner than [`WAKE_PERIOD`] later.
async fn wake(wake_worker: impl Fn(), mut synced: watch::Receiver<Sequence>) {
    while synced.changed().await.is_ok() {
        wake_worker();
        time::sleep(WAKE_PERIOD).await;
    }
}

/// Small frames are synced thousands of times a second: the gate should not wait for two threads that look at each.
const WAKE_PERIOD: Duration = Duration::from_millis(20);

/// Keeps the unit of times that the first peer fixed.
async fn remember_precision<D: Disk>(
    disk: D,
    mut precision: watch::Receiver<Option<Precision>>,
    board: Arc<Board>,
) {
    while precision.changed().await.is_ok() {
        let Some(fixed) = *precision.borrow_and_update() else { continue };
        let _within = board.stamps.of(Loop::Main).within(Operation::Remember);
        match remembered::keep_precision(&disk, fixed) {
            Ok(()) => log::info!("event=precision_fixed precision={}", fixed.text()),
            Err(error) => log::error!("event=precision_not_kept error=\"{error}\""),
        }
    }
}

/// Keeps what a person has seen.
async fn remember_seen<D: Disk>(disk: D, board: Arc<Board>) {
    let mut kept = board.troubles.seen();
    loop {
        board.troubles.seen_changed().await;
        let seen = board.troubles.seen();
        if seen == kept {
            continue;
        }
        let _within = board.stamps.of(Loop::Main).within(Operation::Remember);
        match remembered::keep_seen(&disk, &seen) {
            Ok(()) => kept = seen,
            Err(error) => log::error!("event=acknowledgement_not_kept error=\"{error}\""),
        }
    }
}

/// SIGHUP: pipes, with their rates, and the log level change, for the rest the log says that a restart is needed.
async fn reload(reread: Reread<'_>, running: &Config, pipes: &pipes::Handle, board: &Board) {
    systemd::reloading();
    let config = {
        let _within = board.stamps.of(Loop::Main).within(Operation::Configure);
        reread()
    };
    if let Some(config) = config {
        pipes.follow(config.pipes.clone()).await;
        log::info!("event=reloaded log_level={} stanzas={}", config.log_level, config.pipes.len());
        let keys = restart_keys(running, &config);
        if !keys.is_empty() {
            log::warn!("event=restart_needed keys=\"{}\"", keys.join(", "));
        }
    }
    systemd::ready(&systemd::state_line(board, clock::now()));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// One frame a millisecond.
    async fn bring(synced: watch::Sender<Sequence>, frames: u64) {
        for sequence in 1..=frames {
            synced.send_replace(Sequence(sequence));
            time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn small_frames_wake_the_worker_now_and_then() {
        const FRAMES: u64 = 1000;
        let (sender, synced) = watch::channel(Sequence(0));
        let (times, seen) = (Cell::new(0), Cell::new(Sequence(0)));
        let all = synced.clone();
        let wake_worker = || {
            times.set(times.get() + 1);
            seen.set(*all.borrow());
            assert!(times.get() > 1 || seen.get() == Sequence(1), "the first is told at once");
        };
        let frames = bring(sender, FRAMES);
        tokio::join!(wake(wake_worker, synced), frames);
        assert!((40..=60).contains(&times.get()), "{}", times.get());
        assert_eq!(seen.get(), Sequence(FRAMES), "the last is told, too");
    }
}

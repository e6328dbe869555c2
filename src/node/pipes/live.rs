//! The pipes of a running node, which follow the configuration when it is read again.
//!
//! ```text
//!  stanza unchanged --> goes on
//!         changed   --> stops, then starts where it left off
//!         new       --> starts at the oldest entry
//!         gone      --> stops, and is reported: it keeps what it has not sent
//! ```

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time;

use super::{Place, Running, Surroundings, show_orphans, start};
use crate::config::PipeConfig;
use crate::keep::spool_handle::Ended;
use crate::limits::STOP_ANSWER_MAX;
use crate::node::NodeError;
use crate::ops::board::{Board, PipeRow, Report, TroubleKind};
use crate::ops::clock;
use crate::spool::{ConsumerId, Disk};

/// All pipes that have a stanza.
#[derive(Debug)]
pub(in crate::node) struct Pipes<D: Disk> {
    around: Surroundings<D>,
    /// None where a pipe could not be started: its message says why.
    list: Vec<(PipeConfig, Option<Stoppable>)>,
    shared: Shared,
}

/// What other tasks of the main loop look at.
#[derive(Debug, Clone, Default)]
pub(in crate::node) struct Shared {
    list: Rc<RefCell<List>>,
}

#[derive(Debug, Default)]
struct List {
    stanzas: Vec<String>,
    shown: Vec<(ConsumerId, Arc<PipeRow>)>,
}

#[derive(Debug)]
struct Stoppable {
    running: Running,
    stop: watch::Sender<bool>,
}

impl Shared {
    /// Names of the pipes that the configuration has.
    pub(in crate::node) fn stanzas(&self) -> Vec<String> {
        self.list.borrow().stanzas.clone()
    }

    /// Pipes whose backlog is counted.
    pub(in crate::node) fn shown(&self) -> Vec<(ConsumerId, Arc<PipeRow>)> {
        self.list.borrow().shown.clone()
    }
}

impl<D: Disk> Pipes<D> {
    /// Starts the pipes of the configuration, each at its place. In state `failing` there are fewer places.
    ///
    /// # Errors
    /// If one cannot be started.
    pub(in crate::node) fn start(
        around: Surroundings<D>,
        configs: &[PipeConfig],
        places: Vec<Place<D>>,
    ) -> Result<Self, NodeError> {
        let mut pipes = Self { around, list: Vec::new(), shared: Shared::default() };
        for (config, place) in configs.iter().zip(places) {
            let started = pipes.start_one(config, place)?;
            pipes.list.push((config.clone(), Some(started)));
        }
        pipes.share(configs);
        Ok(pipes)
    }

    /// What other tasks look at.
    pub(in crate::node) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Follows the configuration as it is now. Nothing of the others is touched where one cannot be started.
    pub(in crate::node) async fn follow(&mut self, configs: &[PipeConfig]) {
        let (kept, ended): (Vec<_>, Vec<_>) = self
            .list
            .drain(..)
            .partition(|(old, running)| running.is_some() && configs.contains(old));
        self.list = kept;
        let ended_names: Vec<_> = ended.iter().map(|(config, _)| config.name.clone()).collect();
        stop_all(ended.into_iter().filter_map(|(_, running)| running)).await;
        for name in &ended_names {
            log::info!("event=pipe_stopped pipe={name:?}");
            self.around.board.pipes.remove(name);
        }
        for config in configs {
            if self.list.iter().any(|(known, _)| known == config) {
                continue;
            }
            let started = self.place_and_start(config).await;
            if let Err(error) = &started {
                complain(&self.around.board, config, error);
            }
            self.list.push((config.clone(), started.ok()));
        }
        self.share(configs);
        let (stanzas, board) = (self.shared.stanzas(), Arc::clone(&self.around.board));
        let shown = self.around.spool.call(move |spool| show_orphans(spool, &stanzas, &board));
        let _ends = shown.await.is_err();
    }

    /// Lets all of them end, each with what it has in flight.
    pub(in crate::node) async fn stop(self) {
        stop_all(self.list.into_iter().filter_map(|(_, running)| running)).await;
    }

    async fn place_and_start(&self, config: &PipeConfig) -> Result<Stoppable, NodeError> {
        let name = config.name.clone();
        let place = self.around.spool.call(move |spool| Place::take(spool, &name)).await;
        let place = place.map_err(|Ended| NodeError::ThreadEnded("spool"))??;
        // It may have been shown as one without a stanza.
        self.around.board.pipes.remove(&config.name);
        for kind in [TroubleKind::PipeStopped, TroubleKind::PipeError] {
            self.around.board.clear(kind, &config.name);
        }
        let started = self.start_one(config, place)?;
        log::info!("event=pipe_started pipe={:?}", config.name);
        Ok(started)
    }

    fn start_one(&self, config: &PipeConfig, place: Place<D>) -> Result<Stoppable, NodeError> {
        let (stop, stopped) = watch::channel(false);
        let running = start(config, place, self.around.clone(), stopped)?;
        Ok(Stoppable { running, stop })
    }

    fn share(&self, configs: &[PipeConfig]) {
        let running = self.list.iter().filter_map(|(_, running)| running.as_ref());
        *self.shared.list.borrow_mut() = List {
            stanzas: super::stanzas(configs),
            shown: running.map(|one| one.running.shown()).collect(),
        };
    }
}

/// Says that a pipe of the configuration cannot run.
fn complain(board: &Board, config: &PipeConfig, error: &NodeError) {
    log::error!("event=pipe_not_started pipe={:?} error=\"{error}\"", config.name);
    let report = Report::new(TroubleKind::PipeError, error.to_string()).about(&config.name);
    board.raise(report, clock::wall());
}

/// All at one time; what is still in flight at the end is left to be repeated.
async fn stop_all(pipes: impl Iterator<Item = Stoppable>) {
    let pipes: Vec<_> = pipes.collect();
    for pipe in &pipes {
        pipe.stop.send_replace(true);
    }
    let deadline = time::Instant::now() + STOP_ANSWER_MAX;
    for mut pipe in pipes {
        if time::timeout_at(deadline, &mut pipe.running.task).await.is_err() {
            pipe.running.task.abort();
            let _aborted = pipe.running.task.await.is_err();
        }
    }
}

//! What is desired: the registry in memory, and behind it the files.

use std::io;
use std::path::Path;

use super::leave;
use crate::config::PipeConfig;
use crate::node::NodeError;
use crate::ops::board::{Board, Report, TroubleKind};
use crate::ops::clock;
use crate::pipe::{Birth, Opened, Pipe, Registry, Stanza, Step, Store};
use crate::spool::{Disk, Spool};
use crate::statement::PipeName;

/// The pipes as people want them. What it says has been kept.
#[derive(Debug)]
pub(in crate::node) struct Book<D: Disk> {
    registry: Registry,
    store: Store<D>,
}

impl<D: Disk> Book<D> {
    /// Reads it. On a disk that fails it is only looked at.
    ///
    /// # Errors
    /// If the disk does not let it be read.
    pub(in crate::node) fn open(
        disk: D,
        is_failing: bool,
        board: &Board,
    ) -> Result<Self, NodeError> {
        let opened = if is_failing {
            // A node that only tells does so without its pipes, too.
            let opened = Store::look(&disk).unwrap_or_else(|error| {
                log::error!("event=pipes_unreadable error=\"{error}\"");
                Opened { pipes: Vec::new(), damaged: Vec::new() }
            });
            Ok((Store::new(disk), opened))
        } else {
            Store::open(disk)
        };
        let (store, Opened { pipes, damaged }) = opened.map_err(not_kept)?;
        for one in damaged {
            log::error!("event=pipe_damaged pipe={:?} error=\"{}\"", one.name, one.why);
            let what = format!("the record of pipe {} is damaged: {}", one.name, one.why);
            let report = Report::new(TroubleKind::PipeError, what).about(&one.name);
            board.raise(
                report.remedy("create the pipe again: it goes on where it was"),
                clock::wall(),
            );
        }
        Ok(Self { registry: Registry::new(pipes), store })
    }

    pub(in crate::node) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Names of all pipes that there are.
    pub(in crate::node) fn names(&self) -> Vec<String> {
        self.registry.live().map(|pipe| pipe.name.as_str().to_owned()).collect()
    }

    /// Keeps a pipe as it is to be; durable on return.
    ///
    /// # Errors
    /// What the disk says; the pipe is as it was then.
    pub(in crate::node) fn keep(&mut self, pipe: Pipe) -> io::Result<()> {
        if self.registry.find(&pipe.name) != Some(&pipe) {
            self.store.keep(&pipe)?;
            self.registry.put(pipe);
        }
        Ok(())
    }

    /// The place of a dropped pipe was given up: its record goes, unless its stanza could bring it back.
    ///
    /// # Errors
    /// What the disk says.
    pub(in crate::node) fn bury(&mut self, name: &PipeName) -> Result<(), NodeError> {
        self.store.replay(name).forget().map_err(not_kept)?;
        let is_done = |pipe: &Pipe| pipe.name == *name && pipe.stanza.is_none();
        if self.registry.dropped().any(is_done) {
            self.store.forget(name).map_err(not_kept)?;
            self.registry.remove(name);
        }
        Ok(())
    }

    /// The places of all dropped pipes are given up, and their records go.
    ///
    /// # Errors
    /// What the disk says.
    pub(in crate::node) fn bury_all(&mut self, spool: &mut Spool<D>) -> Result<(), NodeError> {
        let dropped: Vec<_> = self.registry.dropped().map(|pipe| pipe.name.clone()).collect();
        for name in dropped {
            leave(spool, name.as_str())?;
            self.bury(&name)?;
        }
        Ok(())
    }

    /// Applies what has changed in the configuration's stanzas, and returns the names of those pipes.
    ///
    /// # Errors
    /// If the disk does not take it; part of it may have been applied then, each pipe wholly or not at all.
    pub(in crate::node) fn settle(
        &mut self,
        configs: &[PipeConfig],
        birth: Birth,
        board: &Board,
    ) -> Result<Vec<PipeName>, NodeError> {
        let stanza = |config: &PipeConfig| Stanza {
            name: PipeName::new(&config.name),
            definition: config.definition.clone(),
        };
        let stanzas: Vec<_> = configs.iter().map(stanza).collect();
        let mut changed = Vec::new();
        for step in self.registry.reconcile(&stanzas, birth) {
            match step {
                Step::Keep(pipe) => {
                    changed.push(pipe.name.clone());
                    self.keep(pipe).map_err(not_kept)?;
                }
                Step::Forget(name) => {
                    self.store.forget(&name).map_err(not_kept)?;
                    self.registry.remove(&name);
                }
                Step::Refuse(name, refusal) => {
                    log::error!("event=stanza_not_applied pipe={name} error=\"{refusal}\"");
                    let report = Report::new(TroubleKind::PipeError, refusal.to_string());
                    board.raise(report.about(name.as_str()), clock::wall());
                }
            }
        }
        Ok(changed)
    }
}

pub(super) fn not_kept(source: io::Error) -> NodeError {
    NodeError::DataDir { operation: "keep", path: Path::new("pipes").to_owned(), source }
}

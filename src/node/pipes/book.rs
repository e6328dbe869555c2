//! What is desired: the registry in memory, and behind it the files.

use std::io;
use std::path::{Path, PathBuf};

use tokio::task;

use super::leave;
use crate::config::PipeConfig;
use crate::data::OriginId;
use crate::limits::PLUGINS_MAX;
use crate::node::NodeError;
use crate::ops::board::{Board, Report, TroubleKind};
use crate::ops::clock;
use crate::pipe::{
    Birth, Opened, Pipe, Plugin, PluginFault, PluginStore, Registry, Stanza, Step, Store,
};
use crate::spool::{Disk, Spool};
use crate::statement::{CreatePlugin, PipeName, PluginName};

/// The pipes as people want them. What it says has been kept.
#[derive(Debug)]
pub(in crate::node) struct Book<D: Disk> {
    registry: Registry,
    store: Store<D>,
    plugins: Vec<Plugin>,
    kept: PluginStore<D>,
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
        let kept = PluginStore::new(disk.clone());
        let plugins = read_plugins(&kept, is_failing, board);
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
        Ok(Self { registry: Registry::new(pipes), store, plugins, kept })
    }

    pub(in crate::node) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The plug-ins that people have created, by name.
    pub(in crate::node) fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// One of them.
    pub(super) fn plugin(&self, name: &PluginName) -> Option<&Plugin> {
        self.plugins.iter().find(|plugin| plugin.name == *name)
    }

    /// Keeps a plug-in; durable on return. Its program is read and written on a thread of its own.
    ///
    /// # Errors
    /// [`PluginFault`].
    pub(super) async fn keep_plugin(
        &mut self,
        create: &CreatePlugin,
        source: PathBuf,
    ) -> Result<(), PluginFault> {
        if self.plugins.len() >= PLUGINS_MAX {
            return Err(PluginFault::TooMany);
        }
        let (kept, create, path) = (self.kept.clone(), create.clone(), source.clone());
        let keeping = task::spawn_blocking(move || kept.keep(&create, &source));
        let ended = |error| PluginFault::Disk { path, source: io::Error::other(error) };
        let plugin = keeping.await.map_err(ended)??;
        let after = |other: &Plugin| other.name.as_str() < plugin.name.as_str();
        let at = self.plugins.partition_point(after);
        self.plugins.insert(at, plugin);
        Ok(())
    }

    /// Removes a plug-in; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn forget_plugin(&mut self, name: &PluginName) -> Result<(), PluginFault> {
        if let Some(plugin) = self.plugin(name) {
            self.kept.forget(plugin)?;
            self.plugins.retain(|plugin| plugin.name != *name);
        }
        Ok(())
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
        // Whose spool it is of does not matter.
        self.store.unit(name, OriginId::default()).forget().map_err(not_kept)?;
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

/// The plug-ins, and trouble for each that is none any more. What is left of others goes, unless the disk `is_failing`.
fn read_plugins<D: Disk>(store: &PluginStore<D>, is_failing: bool, board: &Board) -> Vec<Plugin> {
    let kept = match store.read() {
        Ok(kept) => kept,
        Err(fault) => {
            log::error!("event=plugins_not_read error=\"{fault}\"");
            let what = format!("the plug-ins cannot be read: {fault}");
            board.raise(Report::new(TroubleKind::PipeError, what), clock::wall());
            return Vec::new();
        }
    };
    for fault in &kept.damaged {
        log::error!("event=plugin_damaged error=\"{fault}\"");
        let what = format!("the record of a plug-in is damaged: {fault}");
        let report = Report::new(TroubleKind::PipeError, what).about(fault.to_string());
        board.raise(report.remedy("create the plug-in again"), clock::wall());
    }
    if !is_failing && let Err(fault) = store.sweep(&kept) {
        log::warn!("event=plugins_not_swept error=\"{fault}\"");
    }
    kept.plugins
}

pub(super) fn not_kept(source: io::Error) -> NodeError {
    NodeError::DataDir { operation: "keep", path: Path::new("pipes").to_owned(), source }
}

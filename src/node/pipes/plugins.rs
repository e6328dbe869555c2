//! Statements about plug-ins.
//!
//! ```text
//!  CREATE PIPEPLUGIN -- allowed? --> a file below [plugins] dir --> plugins/kept/, durably --> pipes that waited for it
//!  DROP PIPEPLUGIN ---- unused? ---> gone from there
//! ```

use std::path::PathBuf;

use super::execute::Failure;
use super::live::Pipes;
use crate::node::NodeError;
use crate::ops::stamp::{Loop, Operation};
use crate::pipe::{Answer, PluginFault};
use crate::spool::Disk;
use crate::statement::{CreatePlugin, PipeName, PluginError, PluginName};

impl<D: Disk> Pipes<D> {
    /// `CREATE PIPEPLUGIN`.
    pub(super) async fn create_plugin(&mut self, create: &CreatePlugin) -> Result<Answer, Failure> {
        create.check()?;
        let named = || create.name.spelled().to_owned();
        if !self.around.said.plugins.allow {
            return Err(Failure::CreatePlugin { name: named(), why: OFF.to_owned() });
        }
        if self.book.plugin(&create.name).is_some() {
            return if create.if_not_exists {
                Ok(Answer::success())
            } else {
                let why = "the same name PipePlugin has been created".to_owned();
                Err(Failure::CreatePlugin { name: named(), why })
            };
        }
        let source = self.program(create).ok_or_else(|| PluginError::Uri { name: named() })?;
        let kept = self.book.keep_plugin(create, source).await;
        kept.map_err(|fault| Failure::CreatePlugin { name: named(), why: fault.to_string() })?;
        for pipe in self.pipes_with(&create.name) {
            self.bring(&pipe).await?;
        }
        Ok(Answer::success())
    }

    /// `DROP PIPEPLUGIN`.
    pub(super) fn drop_plugin(
        &mut self,
        name: &PluginName,
        if_exists: bool,
    ) -> Result<Answer, Failure> {
        name.check_drop()?;
        if self.book.plugin(name).is_none() {
            return if if_exists {
                Ok(Answer::success())
            } else {
                Err(Failure::NoPlugin(name.spelled().to_owned()))
            };
        }
        if let Some(pipe) = self.pipes_with(name).first() {
            let pipe = pipe.as_str().to_owned();
            return Err(Failure::PluginInUse { name: name.spelled().to_owned(), pipe });
        }
        let _within = self.around.board.stamps.of(Loop::Main).within(Operation::Remember);
        self.book.forget_plugin(name).map_err(|fault: PluginFault| {
            Failure::Late(NodeError::Pipe {
                pipe: name.spelled().to_owned(),
                why: fault.to_string(),
            })
        })?;
        Ok(Answer::success())
    }

    /// The file that a plug-in is made of: below the directory of the plug-ins, whatever leads there.
    fn program(&self, create: &CreatePlugin) -> Option<PathBuf> {
        let dir = self.around.said.plugins.dir.canonicalize().ok()?;
        let path = dir.join(create.path()?).canonicalize().ok()?;
        (path.starts_with(&dir) && path.is_file()).then_some(path)
    }

    /// Pipes whose sink is this plug-in.
    fn pipes_with(&self, name: &PluginName) -> Vec<PipeName> {
        let live = self.book.registry().live();
        let uses = live.filter(|pipe| pipe.definition.sink_plugin().as_ref() == Some(name));
        uses.map(|pipe| pipe.name.clone()).collect()
    }
}

/// Why nothing external is run.
pub(super) const OFF: &str = "plug-ins are off here: set [plugins] allow = true";

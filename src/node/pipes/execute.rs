//! Statements: from a text to what is desired, and from that to the answer.

use std::io;

use thiserror::Error;
use tokio::sync::watch;

use super::live::Pipes;
use super::plan;
use super::show;
use crate::data::Sequence;
use crate::node::NodeError;
use crate::pipe::{Answer, Desired, Pipe, Refusal, Replay};
use crate::sink::air_gap::SkipError;
use crate::spool::Disk;
use crate::statement::{
    AlterPipe, CreatePipe, Definition, Externals, Parsed, PipeName, PluginError, Remark, Statement,
    StatementError, StatusCode, Surroundings, Weight, parse,
};

/// Why a statement was not carried out.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The first mistake in the attributes.
    #[error("{0}")]
    Definition(Remark),
    /// Nothing was changed.
    #[error("Failed to create pipe {pipe}, the one that was dropped is not gone yet: {why}")]
    Place { pipe: String, why: NodeError },
    /// No target takes connections.
    #[error("All target servers [{targets}] are not available. ({found})")]
    Away { targets: String, found: String },
    /// No node takes connections.
    #[error(
        "Error occurred while connecting to receiver {targets}, please check network connectivity or \
         SSL configurations when enable SSL transmission ({found})"
    )]
    NotConnected { targets: String, found: String },
    /// A pipe would bring back what it takes.
    #[error(
        "One of the endpoints [{targets}] of the receivers is pointing back to the thrift receiver {own} \
         on sender itself, or unknown host when checking pipe sink IP."
    )]
    Own { targets: String, own: String },
    #[error("Failed to skip entry {entry} of pipe {pipe}: {why}")]
    Skip { pipe: String, entry: Sequence, why: SkipError },
    #[error("Failed to replay {replay} of pipe {pipe}: {why}")]
    Replay { pipe: String, replay: Replay, why: String },
    #[error("Failed to create PipePlugin [{name}], {why}")]
    CreatePlugin { name: String, why: String },
    #[error("Failed to drop PipePlugin [{0}], the PipePlugin does not exist")]
    NoPlugin(String),
    #[error("Failed to drop PipePlugin [{name}], the PipePlugin is the sink of pipe {pipe}")]
    PluginInUse { name: String, pipe: String },
    #[error("the node's disk fails: it only tells, and carries nothing out")]
    Failing,
    #[error("the node is stopping")]
    Stopping,
    /// Nothing was changed.
    #[error("what was asked for cannot be kept: {0}")]
    Keep(#[from] io::Error),
    /// It is kept, and what it leads to is made up for at the next start.
    #[error("it is kept, but not carried out: {0}")]
    Late(#[from] NodeError),
}

impl Failure {
    const fn code(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Plugin(error) => error.code(),
            Self::CreatePlugin { .. } => StatusCode::CreatePlugin,
            Self::NoPlugin(_) | Self::PluginInUse { .. } => StatusCode::DropPlugin,
            Self::Definition(_)
            | Self::Place { .. }
            | Self::Away { .. }
            | Self::NotConnected { .. }
            | Self::Own { .. }
            | Self::Skip { .. }
            | Self::Replay { .. }
            | Self::Failing
            | Self::Stopping
            | Self::Keep(_)
            | Self::Late(_) => StatusCode::Pipe,
        }
    }

    fn answer(&self) -> Answer {
        Answer::refused(self.code().number(), self.to_string())
    }
}

impl<D: Disk> Pipes<D> {
    /// Carries out the statements of a text, up to the first that fails; an answer for each. One mistake in the
    /// text, and none is carried out. Between two of them the node may be told to stop.
    pub(super) async fn execute(
        &mut self,
        text: &str,
        stopping: &watch::Receiver<bool>,
    ) -> Vec<Answer> {
        let parsed = match parse(text) {
            Ok(parsed) => parsed,
            Err(error) => return vec![not_parsed(error)],
        };
        let mut answers = Vec::with_capacity(parsed.len());
        for Parsed { statement, warnings } in parsed {
            let carried = if *stopping.borrow() {
                Err(Failure::Stopping)
            } else {
                self.carry_out(&statement).await
            };
            let mut answer = carried.unwrap_or_else(|failure| failure.answer());
            answer.warnings.splice(0..0, warnings.iter().map(ToString::to_string));
            if answer.table.is_none() {
                let Answer { code, message, .. } = &answer;
                log::info!("event=statement code={code} why={message:?} sql=\"{statement}\"");
            }
            let is_success = answer.is_success();
            answers.push(answer);
            if !is_success {
                break;
            }
        }
        answers
    }

    async fn carry_out(&mut self, statement: &Statement) -> Result<Answer, Failure> {
        if self.is_failing() && !is_only_showing(statement) {
            return Err(Failure::Failing);
        }
        match statement {
            Statement::CreatePipe(create) => self.create(create).await,
            Statement::AlterPipe(alter) => self.alter(alter).await,
            Statement::StartPipe { name } => {
                let pipe = self.book.registry().start(name)?;
                self.change(pipe).await
            }
            Statement::StopPipe { name } => {
                let pipe = self.book.registry().stop(name)?;
                self.change(pipe).await
            }
            Statement::DropPipe { name, if_exists } => {
                match self.book.registry().drop_pipe(name, *if_exists)? {
                    Some(pipe) => self.change(pipe).await,
                    None => Ok(Answer::success()),
                }
            }
            Statement::ShowPipes => {
                let names = self.book.registry().live().map(|pipe| pipe.name.clone()).collect();
                self.show_rows(names).await
            }
            Statement::ShowPipe { name } => {
                let found = self.book.registry().find(name).map(|pipe| pipe.name.clone());
                self.show_rows(found.into_iter().collect()).await
            }
            Statement::ShowPipesUsing { name } => {
                let using = self.book.registry().using_sink_of(name);
                let names = using.into_iter().map(|pipe| pipe.name.clone()).collect();
                self.show_rows(names).await
            }
            Statement::ShowCreatePipe { name } => {
                let pipe = self.book.registry().find(name).ok_or_else(|| missing("show", name))?;
                Ok(Answer::shown(show::create(pipe)))
            }
            Statement::SkipEntry { name, entry } => self.skip(name, *entry).await,
            Statement::Replay { name, first, last } => {
                self.replay(name, Replay { next: *first, last: *last }).await
            }
            Statement::CreatePlugin(create) => self.create_plugin(create).await,
            Statement::DropPlugin { name, if_exists } => self.drop_plugin(name, *if_exists),
            Statement::ShowPlugins => Ok(Answer::shown(show::plugins(self.book.plugins()))),
        }
    }

    async fn create(&mut self, create: &CreatePipe) -> Result<Answer, Failure> {
        let birth = self.birth().await?;
        let Some(mut pipe) = self.book.registry().create(create, birth)? else {
            return Ok(Answer::success());
        };
        let warnings = self.check(&pipe.definition)?;
        self.check_leads_away(&pipe.definition).await?;
        if self.around.said.compat.create_checks_target {
            self.check_target(&pipe.definition).await?;
        }
        if self.around.said.compat.create_stopped {
            pipe.desired = Desired::Stopped;
        }
        if let Err(why) = self.leave_first(&pipe.name).await {
            return Err(Failure::Place { pipe: pipe.name.as_str().to_owned(), why });
        }
        let answer = self.change(pipe).await?;
        Ok(Answer { warnings, ..answer })
    }

    async fn alter(&mut self, alter: &AlterPipe) -> Result<Answer, Failure> {
        let now_ms = crate::ops::clock::wall().0;
        let Some(pipe) = self.book.registry().alter(alter, now_ms)? else {
            return Ok(Answer::success());
        };
        let warnings = self.check(&pipe.definition)?;
        self.check_leads_away(&pipe.definition).await?;
        let answer = self.change(pipe).await?;
        Ok(Answer { warnings, ..answer })
    }

    /// What there is to say about a definition that can be kept.
    fn check(&self, definition: &Definition) -> Result<Vec<String>, Failure> {
        let names = plan::names(self.book.plugins());
        let externals = Externals::Created(&names);
        let surroundings = Surroundings { base: &self.around.said.base, externals };
        let mut remarks = definition.check(surroundings).remarks;
        if let Some(error) = remarks.iter().position(|remark| remark.weight == Weight::Error) {
            return Err(Failure::Definition(remarks.swap_remove(error)));
        }
        Ok(remarks.iter().map(ToString::to_string).collect())
    }

    /// Keeps what is desired of a pipe, then brings it in line with that.
    async fn change(&mut self, pipe: Pipe) -> Result<Answer, Failure> {
        let name = pipe.name.clone();
        self.keep(pipe)?;
        self.bring(&name).await?;
        Ok(Answer::success())
    }

    async fn show_rows(&self, names: Vec<PipeName>) -> Result<Answer, Failure> {
        Ok(Answer::shown(show::pipes(self, &names).await?))
    }
}

fn is_only_showing(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::ShowPipes
            | Statement::ShowPipe { .. }
            | Statement::ShowPipesUsing { .. }
            | Statement::ShowCreatePipe { .. }
            | Statement::ShowPlugins
    )
}

pub(super) fn missing(verb: &'static str, name: &PipeName) -> Refusal {
    Refusal::Missing { verb, name: name.as_str().to_owned() }
}

fn not_parsed(error: StatementError) -> Answer {
    let (code, message) = (error.code().number(), error.message());
    Answer { excerpt: error.excerpt, ..Answer::refused(code, message) }
}

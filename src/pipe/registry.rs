//! What each statement makes of the pipes.

use thiserror::Error;

use super::{Desired, Pipe};
use crate::data::Sequence;
use crate::limits::{DEFINITION_BYTES_MAX, PIPE_REASON_BYTES_MAX, PIPES_MAX};
use crate::statement::{
    AlterPipe, CreatePipe, Definition, PipeName, Revealed, Statement, StatusCode,
};

/// All pipes of a node, by name; those that were dropped while their stanza stayed, too.
#[derive(Debug, Default)]
pub struct Registry {
    pipes: Vec<Pipe>,
}

/// When and where in the spool a pipe comes into being.
#[derive(Debug, Clone, Copy)]
pub struct Birth {
    /// The wall clock, in milliseconds since the epoch.
    pub now_ms: i64,
    /// The next entry of the spool.
    pub next: Sequence,
}

/// Why a statement is not carried out, in stock's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is a pipe of that name.
    #[error("Failed to create pipe {0}, the pipe with the same name has been created")]
    Exists(String),
    /// There is none.
    #[error("Failed to {verb} pipe {name}, the pipe does not exist")]
    Missing {
        /// What was to be done.
        verb: &'static str,
        /// With which pipe.
        name: String,
    },
    /// There is none that could be dropped.
    #[error("Failed to drop pipe {0}. Failures: {0} does not exist.")]
    NothingToDrop(String),
    /// There are too many.
    #[error("Failed to create pipe {0}, a node has no more than {PIPES_MAX} pipes")]
    TooMany(String),
    /// Its attributes are too long.
    #[error("Failed to keep pipe {0}, its statement is longer than {DEFINITION_BYTES_MAX} bytes")]
    TooLong(String),
}

impl Refusal {
    /// The code of the answer.
    pub const fn code(&self) -> StatusCode {
        match self {
            Self::NothingToDrop(_) => StatusCode::NoPipe,
            Self::Exists(_) | Self::Missing { .. } | Self::TooMany(_) | Self::TooLong(_) => {
                StatusCode::Pipe
            }
        }
    }
}

impl Registry {
    /// With what the store has.
    pub fn new(mut pipes: Vec<Pipe>) -> Self {
        pipes.sort_by(|left, right| left.name.cmp(&right.name));
        Self { pipes }
    }

    /// All pipes that statements know, by name.
    pub fn live(&self) -> impl Iterator<Item = &Pipe> {
        self.pipes.iter().filter(|pipe| pipe.is_live())
    }

    /// The pipe of that name, if statements know it.
    pub fn find(&self, name: &PipeName) -> Option<&Pipe> {
        self.kept(name).filter(|pipe| pipe.is_live())
    }

    /// The same, dropped or not.
    pub(super) fn kept(&self, name: &PipeName) -> Option<&Pipe> {
        self.pipes.iter().find(|pipe| pipe.name == *name)
    }

    /// Those that were dropped while their stanza stayed, or whose place in the spool is not given up yet.
    pub fn dropped(&self) -> impl Iterator<Item = &Pipe> {
        self.pipes.iter().filter(|pipe| !pipe.is_live())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Pipe> {
        self.pipes.iter()
    }

    /// Notes a pipe that the store has kept.
    pub fn put(&mut self, pipe: Pipe) {
        match self.pipes.binary_search_by(|other| other.name.cmp(&pipe.name)) {
            Ok(index) => {
                if let Some(known) = self.pipes.get_mut(index) {
                    *known = pipe;
                }
            }
            Err(index) => self.pipes.insert(index, pipe),
        }
    }

    /// Notes that the store has forgotten a pipe.
    pub fn remove(&mut self, name: &PipeName) {
        self.pipes.retain(|pipe| pipe.name != *name);
    }

    /// `CREATE PIPE`: the new pipe; none if it is there and may be.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn create(&self, create: &CreatePipe, birth: Birth) -> Result<Option<Pipe>, Refusal> {
        let name = || create.name.as_str().to_owned();
        if self.find(&create.name).is_some() {
            return if create.if_not_exists { Ok(None) } else { Err(Refusal::Exists(name())) };
        }
        if self.live().count() >= PIPES_MAX {
            return Err(Refusal::TooMany(name()));
        }
        let definition = create.definition.clone();
        check_length(&create.name, &definition)?;
        Ok(Some(Pipe {
            name: create.name.clone(),
            definition,
            created_ms: birth.now_ms,
            born_ms: Some(birth.now_ms),
            border: birth.next,
            desired: Desired::Running,
            why: None,
            // What a person made in the place of a stanza's pipe is not undone by that stanza.
            stanza: self.kept(&create.name).and_then(|dropped| dropped.stanza),
        }))
    }

    /// `ALTER PIPE`: the pipe afterwards; none if it is not there and need not be. Progress is kept. One that a person
    /// stopped stays so; one that an error stopped is tried again.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn alter(&self, alter: &AlterPipe, now_ms: i64) -> Result<Option<Pipe>, Refusal> {
        let Some(pipe) = self.find(&alter.name) else {
            return if alter.if_exists { Ok(None) } else { Err(missing("alter", &alter.name)) };
        };
        let definition = pipe.definition.altered(alter);
        check_length(&alter.name, &definition)?;
        let desired = match pipe.desired {
            Desired::Running => Desired::Running,
            Desired::Stopped if pipe.why.is_some() => Desired::Running,
            Desired::Stopped | Desired::Orphaned | Desired::Dropped => Desired::Stopped,
        };
        Ok(Some(Pipe { definition, created_ms: now_ms, desired, why: None, ..pipe.clone() }))
    }

    /// `START PIPE`: the pipe afterwards, which may be the same.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn start(&self, name: &PipeName) -> Result<Pipe, Refusal> {
        let pipe = self.find(name).ok_or_else(|| missing("start", name))?;
        Ok(Pipe { desired: Desired::Running, why: None, ..pipe.clone() })
    }

    /// What becomes of a pipe that runs and cannot go on, for a reason that does not end by itself; none if it does not
    /// run.
    pub fn fail(&self, name: &PipeName, why: &str) -> Option<Pipe> {
        let pipe = self.find(name).filter(|pipe| pipe.desired == Desired::Running)?;
        let line: String =
            why.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
        let most = line.len().min(PIPE_REASON_BYTES_MAX);
        let end = (0..=most).rev().find(|end| line.is_char_boundary(*end))?;
        let why = line.get(..end).map(str::to_owned);
        Some(Pipe { desired: Desired::Stopped, why, ..pipe.clone() })
    }

    /// `STOP PIPE`: the pipe afterwards, which may be the same.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn stop(&self, name: &PipeName) -> Result<Pipe, Refusal> {
        let pipe = self.find(name).ok_or_else(|| missing("stop", name))?;
        Ok(Pipe { desired: Desired::Stopped, why: None, ..pipe.clone() })
    }

    /// `DROP PIPE`: the pipe as it is kept until its place in the spool is given up, and for as long as its stanza
    /// stays; none if it is not there and need not be.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn drop_pipe(&self, name: &PipeName, if_exists: bool) -> Result<Option<Pipe>, Refusal> {
        match self.find(name) {
            Some(pipe) => Ok(Some(Pipe { desired: Desired::Dropped, ..pipe.clone() })),
            None if if_exists => Ok(None),
            None => Err(Refusal::NothingToDrop(name.as_str().to_owned())),
        }
    }

    /// Pipes with the same attributes of the sink as `name`, itself too: none if it is not there.
    pub fn using_sink_of(&self, name: &PipeName) -> Vec<&Pipe> {
        let Some(whose) = self.find(name) else { return Vec::new() };
        self.live().filter(|pipe| pipe.definition.sink.is_same(&whose.definition.sink)).collect()
    }
}

fn missing(verb: &'static str, name: &PipeName) -> Refusal {
    Refusal::Missing { verb, name: name.as_str().to_owned() }
}

/// So that all of them together fit into one answer.
pub(super) fn check_length(name: &PipeName, definition: &Definition) -> Result<(), Refusal> {
    let statement = Statement::CreatePipe(CreatePipe {
        name: name.clone(),
        if_not_exists: false,
        definition: definition.clone(),
    });
    if Revealed(&statement).to_string().len() > DEFINITION_BYTES_MAX {
        return Err(Refusal::TooLong(name.as_str().to_owned()));
    }
    Ok(())
}

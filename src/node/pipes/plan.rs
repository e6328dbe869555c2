//! What a pipe comes to in this build.

use std::path::Path;

use crate::config::AirGapSink;
use crate::statement::{Definition, PipeSettings, Processor, Sink, Source, Surroundings, Weight};

/// Where a pipe's entries go.
#[derive(Debug)]
pub(super) enum Drain {
    /// Through a gate.
    AirGap(Box<AirGapSink>),
    /// Nowhere.
    Nothing,
}

/// What a pipe that runs does.
#[derive(Debug)]
pub(super) struct Run {
    /// What it takes.
    pub(super) source: Source,
    /// What it makes of its tablets.
    pub(super) processor: Processor,
    /// Where that goes.
    pub(super) drain: Drain,
}

/// What running the pipe means.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where it sends to, for people.
    pub(super) target: String,
    /// Whether it takes what arrived before it was created.
    pub(super) has_history: bool,
    /// What it does, or why it cannot run.
    pub(super) run: Result<Run, String>,
}

impl Plan {
    /// Of a definition whose relative paths are relative to `base`.
    pub(super) fn of(definition: &Definition, base: &Path) -> Self {
        let checked = definition.check(Surroundings { base, externals: &[] });
        let hindrance = checked.remarks.iter().filter(|remark| remark.weight >= Weight::NotInBuild);
        // What is wrong comes before what is not in this build.
        let hindrance = hindrance.max_by_key(|remark| remark.weight).map(ToString::to_string);
        let Some(PipeSettings { source, processor, sink }) = checked.settings else {
            let why = hindrance.unwrap_or_default();
            return Self { target: String::new(), has_history: true, run: Err(why) };
        };
        let target = match &sink {
            Sink::AirGap(sink) => sink.targets.to_string(),
            Sink::Thrift(sink) => sink.targets.to_string(),
            Sink::DoNothing | Sink::External(_) => String::new(),
        };
        let has_history = source.history;
        let drain = match (hindrance, sink) {
            (Some(why), _) => Err(why),
            (None, Sink::AirGap(sink)) => Ok(Drain::AirGap(sink)),
            (None, Sink::DoNothing) => Ok(Drain::Nothing),
            (None, Sink::Thrift(_) | Sink::External(_)) => {
                Err("this sink is not in this build".to_owned())
            }
        };
        let run = drain.map(|drain| Run { source, processor, drain });
        Self { target, has_history, run }
    }
}

//! What a pipe comes to in this build.

use std::path::Path;
use std::time::Duration;

use crate::config::AirGapSink;
use crate::pipe::Plugin;
use crate::statement::{
    Definition, Externals, PipeSettings, PluginName, Processor, RealtimeMode, Side, Sink, Source,
    Surroundings, ThriftSink, Weight,
};

/// Where a pipe's entries go.
#[derive(Debug)]
pub(super) enum Drain {
    /// Through a gate.
    AirGap(Box<AirGapSink>),
    /// To an IoTDB, or to another node's session service.
    Thrift(Box<ThriftSink>),
    /// Nowhere.
    Nothing,
    /// To a program of somebody's own.
    Program(Plugin),
}

impl Drain {
    /// In which form tablets go there. A program gets files of them only if its pipe asks for that: it may not know how to
    /// read one.
    pub(super) const fn mode(&self, source: &Source) -> RealtimeMode {
        match self {
            Self::AirGap(_) | Self::Thrift(_) => source.mode,
            Self::Nothing | Self::Program(_) if source.names_mode => source.mode,
            Self::Nothing | Self::Program(_) => RealtimeMode::Stream,
        }
    }
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

/// What a definition leaves to its node.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct Terms<'a> {
    /// What relative paths are relative to.
    pub(in crate::node) base: &'a Path,
    /// What it may refer to.
    pub(in crate::node) plugins: &'a [Plugin],
    /// How long the answer to a seal is waited for at first, unless the sink says so.
    pub(in crate::node) seal_timeout: Duration,
}

/// What definitions may refer to.
pub(super) fn names(plugins: &[Plugin]) -> Vec<PluginName> {
    plugins.iter().map(|plugin| plugin.name.clone()).collect()
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
    /// Of a definition.
    pub(super) fn of(definition: &Definition, terms: Terms<'_>) -> Self {
        let Terms { base, plugins, seal_timeout } = terms;
        // One that is not there keeps a pipe from running, and nothing else of it unknown.
        let checked = definition.check(Surroundings { base, externals: Externals::Any });
        let hindrance = checked.remarks.iter().filter(|remark| remark.weight >= Weight::NotInBuild);
        // What is wrong comes before what is not in this build.
        let hindrance = hindrance.max_by_key(|remark| remark.weight).map(ToString::to_string);
        let Some(PipeSettings { source, processor, mut sink }) = checked.settings else {
            let why = hindrance.unwrap_or_default();
            return Self { target: String::new(), has_history: true, run: Err(why) };
        };
        if let Sink::AirGap(sink) = &mut sink
            && definition.sink.find(Side::Sink, "air-gap.seal-timeout-ms").is_none()
        {
            sink.seal_timeout = seal_timeout;
        }
        let target = match &sink {
            Sink::AirGap(sink) => sink.targets.to_string(),
            Sink::Thrift(sink) => sink.far.targets.to_string(),
            Sink::External(name) => name.spelled().to_owned(),
            Sink::DoNothing => String::new(),
        };
        let has_history = source.history;
        let drain = match (hindrance, sink) {
            (Some(why), _) => Err(why),
            (None, Sink::AirGap(sink)) => Ok(Drain::AirGap(sink)),
            (None, Sink::DoNothing) => Ok(Drain::Nothing),
            (None, Sink::External(name)) => {
                let found = plugins.iter().find(|plugin| plugin.name == name);
                found
                    .cloned()
                    .map(Drain::Program)
                    .ok_or_else(|| format!("there is no plug-in {name}: CREATE PIPEPLUGIN"))
            }
            (None, Sink::Thrift(sink)) if sink.trust_store.is_some() => {
                Err("TLS is not in this build".to_owned())
            }
            (None, Sink::Thrift(mut sink)) => {
                sink.far.seal_timeout = seal_timeout;
                Ok(Drain::Thrift(sink))
            }
        };
        let run = drain.map(|drain| Run { source, processor, drain });
        Self { target, has_history, run }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{Statement, parse};

    fn mode(source: &str, sink: &str) -> RealtimeMode {
        let text = format!("create pipe p with source ({source}) with sink ({sink})");
        let Statement::CreatePipe(create) = parse(&text).unwrap().remove(0).statement else {
            panic!("{text}")
        };
        let terms = Terms { base: Path::new("/"), plugins: &[], seal_timeout: Duration::ZERO };
        let plan = Plan::of(&create.definition, terms);
        let Run { source, drain, .. } = plan.run.unwrap();
        drain.mode(&source)
    }

    #[test]
    fn a_pipe_over_a_gate_that_names_no_mode_is_hybrid_and_another_sends_tablets() {
        let gate = "'sink'='iotdb-air-gap-sink','node-urls'='h:1'";
        let nothing = "'sink'='do-nothing-sink'";
        let hybrid = |lag_bytes| RealtimeMode::Hybrid { lag_bytes, lag_seconds: 60 };
        let files = RealtimeMode::Batch { max_delay_seconds: 60 };
        let inclusion = "'inclusion'='data.insert'";
        assert_eq!(mode(inclusion, gate), hybrid(64 << 20));
        assert_eq!(mode("'realtime.hybrid.lag-bytes'='5'", gate), hybrid(5));
        assert_eq!(mode("'realtime.mode'='stream'", gate), RealtimeMode::Stream);
        assert_eq!(mode("'mode.streaming'='false'", gate), files);
        assert_eq!(mode(inclusion, nothing), RealtimeMode::Stream);
        assert_eq!(mode("'realtime.mode'='hybrid'", nothing), hybrid(64 << 20));
        assert_eq!(mode("'mode.streaming'='false'", nothing), files);
    }
}

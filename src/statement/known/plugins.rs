//! The plug-ins that are built in (`BuiltinPipePlugin`).

use crate::statement::attributes::Side;

/// A plug-in, or what a row of the table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plugin {
    /// `iotdb-source`: what the spool holds.
    IotdbSource,
    /// `do-nothing-source`.
    DoNothingSource,
    /// `do-nothing-processor`.
    DoNothingProcessor,
    /// `tumbling-time-sampling-processor`: one point a series and interval.
    TumblingTime,
    /// `sdt-sampling-processor`: swinging door.
    SwingingDoor,
    /// `changing-value-sampling-processor`: dead band.
    ChangingValue,
    /// `iotdb-air-gap-sink`.
    AirGap,
    /// `iotdb-thrift-sink`, `iotdb-thrift-async-sink`.
    ThriftAsync,
    /// `iotdb-thrift-sync-sink`.
    ThriftSync,
    /// `iotdb-thrift-ssl-sink`.
    ThriftSsl,
    /// `do-nothing-sink`.
    DoNothingSink,
    /// Somebody's own sink.
    ExternalSink,
}

impl Plugin {
    /// Whether pipes can run with it.
    pub const fn is_in_this_build(self) -> bool {
        matches!(
            self,
            Self::IotdbSource
                | Self::DoNothingProcessor
                | Self::TumblingTime
                | Self::SwingingDoor
                | Self::ChangingValue
                | Self::AirGap
                | Self::ThriftAsync
                | Self::ThriftSync
                | Self::DoNothingSink
                | Self::ExternalSink
        )
    }

    /// Which part of a pipe it can be.
    pub const fn side(self) -> Side {
        match self {
            Self::IotdbSource | Self::DoNothingSource => Side::Source,
            Self::DoNothingProcessor
            | Self::TumblingTime
            | Self::SwingingDoor
            | Self::ChangingValue => Side::Processor,
            Self::AirGap
            | Self::ThriftAsync
            | Self::ThriftSync
            | Self::ThriftSsl
            | Self::DoNothingSink
            | Self::ExternalSink => Side::Sink,
        }
    }

    /// What a part without a plug-in is (`PipeTaskMeta`; from 1.3.1 on the sink may be left out, too).
    pub const fn default_of(side: Side) -> Self {
        match side {
            Side::Source => Self::IotdbSource,
            Side::Processor => Self::DoNothingProcessor,
            Side::Sink => Self::ThriftAsync,
        }
    }

    /// Its first name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(plugin, _)| *plugin == self).map_or("external", |(_, name)| name)
    }
}

/// The built-in plug-in of `side` with this name, in any case.
pub(in crate::statement) fn plugin(side: Side, name: &str) -> Option<Plugin> {
    let found = NAMES
        .iter()
        .find(|(plugin, known)| plugin.side() == side && known.eq_ignore_ascii_case(name));
    found.map(|(plugin, _)| *plugin)
}

/// All names, older ones too; the first of each plug-in is its name.
pub(in crate::statement) const NAMES: &[(Plugin, &str)] = &[
    (Plugin::IotdbSource, "iotdb-source"),
    (Plugin::IotdbSource, "iotdb-extractor"),
    (Plugin::DoNothingSource, "do-nothing-source"),
    (Plugin::DoNothingSource, "do-nothing-extractor"),
    (Plugin::DoNothingProcessor, "do-nothing-processor"),
    (Plugin::TumblingTime, "tumbling-time-sampling-processor"),
    (Plugin::SwingingDoor, "sdt-sampling-processor"),
    (Plugin::ChangingValue, "changing-value-sampling-processor"),
    (Plugin::AirGap, "iotdb-air-gap-sink"),
    (Plugin::AirGap, "iotdb-air-gap-connector"),
    (Plugin::ThriftAsync, "iotdb-thrift-sink"),
    (Plugin::ThriftAsync, "iotdb-thrift-connector"),
    (Plugin::ThriftAsync, "iotdb-thrift-async-sink"),
    (Plugin::ThriftAsync, "iotdb-thrift-async-connector"),
    (Plugin::ThriftSync, "iotdb-thrift-sync-sink"),
    (Plugin::ThriftSync, "iotdb-thrift-sync-connector"),
    (Plugin::ThriftSsl, "iotdb-thrift-ssl-sink"),
    (Plugin::ThriftSsl, "iotdb-thrift-ssl-connector"),
    (Plugin::DoNothingSink, "do-nothing-sink"),
    (Plugin::DoNothingSink, "do-nothing-connector"),
];

/// What `SHOW PIPEPLUGINS` shows of them, in its order: the six of 1.3.1.
pub const BUILT_IN_SHOWN: [&str; 6] = [
    "DO-NOTHING-PROCESSOR",
    "DO-NOTHING-SINK",
    "IOTDB-AIR-GAP-SINK",
    "IOTDB-SOURCE",
    "IOTDB-THRIFT-SINK",
    "IOTDB-THRIFT-SSL-SINK",
];

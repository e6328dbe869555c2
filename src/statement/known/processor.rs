//! Attributes of processors (`PipeProcessorConstant`).

use super::{Here, Kind, Row};
use crate::statement::known::Plugin;

const SAMPLING: &[Plugin] = &[Plugin::TumblingTime, Plugin::SwingingDoor, Plugin::ChangingValue];
/// As many as can be told in nanoseconds.
const SECONDS: Kind =
    Kind::Whole { min: 1, max: 9_223_372_036, expected: "seconds from 1 to 9223372036" };
const BYTES: Kind = Kind::Whole { min: 1, max: i64::MAX, expected: "bytes from 1 on" };
const DEVIATION: Kind = Kind::Decimal { min: 0.0, expected: "a number from 0 on" };
const INTERVAL: Kind = Kind::Whole { min: 0, max: i64::MAX, expected: "a time from 0 on" };
const FILES: &str = "sampling of files is not in this build: they are sent as they are";
const MEMORY: &str =
    "has no effect: 16384 series of a pipe are sampled, in 2 MiB; points of others are all sent";
const LONGEST: &str = "9223372036854775807";

const fn row(key: &'static str, of: &'static [Plugin], kind: Kind, default: &'static str) -> Row {
    Row { key, aliases: &[], of, kind, default, here: Here::Honoured }
}

pub(super) const ROWS: &[Row] = &[
    row(
        "processor",
        &[
            Plugin::DoNothingProcessor,
            Plugin::TumblingTime,
            Plugin::SwingingDoor,
            Plugin::ChangingValue,
        ],
        Kind::Plugin,
        "do-nothing-processor",
    ),
    row("tumbling-time.interval-seconds", &[Plugin::TumblingTime], SECONDS, "60"),
    row("sdt.compression-deviation", &[Plugin::SwingingDoor], DEVIATION, "0"),
    row("sdt.min-time-interval", &[Plugin::SwingingDoor], INTERVAL, "0"),
    row("sdt.max-time-interval", &[Plugin::SwingingDoor], INTERVAL, LONGEST),
    row("changing-value.compression-deviation", &[Plugin::ChangingValue], DEVIATION, "0"),
    row("changing-value.min-time-interval", &[Plugin::ChangingValue], INTERVAL, "0"),
    row("changing-value.max-time-interval", &[Plugin::ChangingValue], INTERVAL, LONGEST),
    Row {
        here: Here::Missing(&["false"], FILES),
        ..row("down-sampling.split-file", SAMPLING, Kind::Flag, "false")
    },
    Row {
        key: "down-sampling.memory-limit-in-bytes",
        aliases: &[],
        of: SAMPLING,
        kind: BYTES,
        default: "16777216",
        here: Here::Inert(MEMORY, &["16777216"]),
    },
];

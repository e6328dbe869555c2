//! Attributes of sources (`PipeSourceConstant`, `IoTDBDataRegionSource`).

use super::{Here, INERT, Kind, Row, Wording};
use crate::statement::known::Plugin;

const OURS: &[Plugin] = &[Plugin::IotdbSource];
const MODEL: &str = "tables are not told apart in this build: what belongs to them goes as a whole";

const fn filter(key: &'static str, kind: Kind, default: &'static str) -> Row {
    Row { key, aliases: &[], of: OURS, kind, default, here: Here::Honoured }
}

/// A filter of tables, with the texts that keep nothing back.
const fn of_tables(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    everything: &'static [&'static str],
) -> Row {
    Row { key, aliases: &[], of: OURS, kind, default, here: Here::Missing(everything, MODEL) }
}

const fn inert(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    harmless: &'static [&'static str],
) -> Row {
    Row { key, aliases: &[], of: OURS, kind, default, here: Here::Inert(INERT, harmless) }
}

const BYTES: Kind = Kind::Whole { min: 1, max: i64::MAX, expected: "bytes from 1 on" };
const SECONDS: Kind =
    Kind::Whole { min: 1, max: 31_536_000, expected: "seconds from 1 to 31536000 (a year)" };
/// Held back for longer, data is as good as lost.
const DELAY: Kind =
    Kind::Whole { min: 1, max: 86_400, expected: "seconds from 1 to 86400 (a day)" };
const MILLIS: Kind = Kind::Whole {
    min: i64::MIN,
    max: 31_536_000_000,
    expected: "milliseconds, at most 31536000000 (a year)",
};

const fn also(aliases: &'static [&'static str], row: Row) -> Row {
    Row { aliases, ..row }
}

pub(super) const ROWS: &[Row] = &[
    Row {
        key: "source",
        aliases: &[],
        of: &[Plugin::IotdbSource, Plugin::DoNothingSource],
        kind: Kind::Plugin,
        default: "iotdb-source",
        here: Here::Honoured,
    },
    filter("pattern", Kind::Prefixes, "root"),
    filter("path", Kind::Paths, "root.**"),
    Row {
        key: "pattern.format",
        aliases: &[],
        of: OURS,
        kind: Kind::Word(&["prefix", "iotdb"], Wording::Invalid),
        default: "prefix",
        here: Here::Honoured,
    },
    filter("pattern.inclusion", Kind::Paths, ""),
    filter("path.exclusion", Kind::Paths, ""),
    filter("pattern.exclusion", Kind::Prefixes, ""),
    filter("inclusion", Kind::Changes, "data.insert"),
    filter("inclusion.exclusion", Kind::Changes, ""),
    filter("start-time", Kind::Time, ""),
    filter("end-time", Kind::Time, ""),
    filter("history.enable", Kind::StrictFlag, "true"),
    filter("history.start-time", Kind::Time, ""),
    filter("history.end-time", Kind::Time, ""),
    filter("history.loose-range", Kind::Loose, ""),
    filter("realtime.enable", Kind::StrictFlag, "true"),
    Row {
        key: "realtime.mode",
        aliases: &[],
        of: OURS,
        // In the order of the stock message.
        kind: Kind::Word(
            &["file", "hybrid", "log", "forced-log", "stream", "batch"],
            Wording::Invalid,
        ),
        default: "hybrid",
        here: Here::Honoured,
    },
    filter("realtime.hybrid.lag-bytes", BYTES, "67108864"),
    filter("realtime.hybrid.lag-seconds", SECONDS, "60"),
    filter("realtime.batch.max-delay-seconds", DELAY, "60"),
    filter("realtime.loose-range", Kind::Loose, ""),
    filter("forwarding-pipe-requests", Kind::Flag, "true"),
    also(&["mods"], inert("mods.enable", Kind::Flag, "false", &["true"])),
    Row {
        key: "mode",
        aliases: &[],
        of: OURS,
        kind: Kind::Word(&["query", "snapshot", "subscribe", "live"], Wording::Invalid),
        default: "live",
        here: Here::Honoured,
    },
    Row {
        key: "mode.snapshot",
        aliases: &[],
        of: OURS,
        kind: Kind::Flag,
        default: "false",
        here: Here::Honoured,
    },
    Row {
        key: "mode.streaming",
        aliases: &[],
        of: OURS,
        kind: Kind::Flag,
        default: "true",
        here: Here::Honoured,
    },
    filter("mode.strict", Kind::Flag, "true"),
    filter("mode.double-living", Kind::Flag, "false"),
    also(&["watermark.interval-ms"], inert("watermark-interval-ms", MILLIS, "-1", &["-1"])),
    of_tables("capture.tree", Kind::Flag, "true", &["true"]),
    of_tables("capture.table", Kind::Flag, "true", &["true"]),
    also(&["database"], of_tables("database-name", Kind::Text, ".*", &[".*"])),
    also(&["table"], of_tables("table-name", Kind::Text, ".*", &[".*"])),
    also(&["user"], inert("username", Kind::Text, "", &[])),
    inert("password", Kind::Secret, "", &[]),
    inert("skipif", Kind::Word(&["no-privileges", ""], Wording::Invalid), "", &[""]),
];

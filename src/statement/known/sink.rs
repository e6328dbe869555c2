//! Attributes of sinks (`PipeSinkConstant`, `IoTDBSink`).

use super::{Here, INERT, Kind, Plugin, Row, Wording};

/// The sinks with a far side.
const FAR: &[Plugin] =
    &[Plugin::AirGap, Plugin::ThriftAsync, Plugin::ThriftSync, Plugin::ThriftSsl];
const THRIFT: &[Plugin] = &[Plugin::ThriftAsync, Plugin::ThriftSync, Plugin::ThriftSsl];
const GATE: &[Plugin] = &[Plugin::AirGap];
const TLS: &[Plugin] = &[Plugin::ThriftSync, Plugin::ThriftSsl];
const ALL: &[Plugin] = &[
    Plugin::AirGap,
    Plugin::ThriftAsync,
    Plugin::ThriftSync,
    Plugin::ThriftSsl,
    Plugin::DoNothingSink,
    Plugin::ExternalSink,
];

const DAY: Kind = Kind::Whole { min: 1, max: 86_400_000, expected: "milliseconds from 1 to a day" };
const PIECE: Kind =
    Kind::Whole { min: 1024, max: 268_435_456, expected: "bytes from 1024 to 268435456" };
const LEVEL: Kind = Kind::Whole { min: 1, max: 22, expected: "a level from 1 to 22" };
/// Below zero means without end, as with IoTDB.
const SECONDS: Kind =
    Kind::Whole { min: i64::MIN, max: 31_536_000, expected: "seconds, at most 31536000 (a year)" };
const MILLIS: Kind = Kind::Whole {
    min: i64::MIN,
    max: 31_536_000_000,
    expected: "milliseconds, at most 31536000000 (a year)",
};
const BYTES: Kind = Kind::Whole { min: 1, max: i64::MAX, expected: "bytes from 1 on" };
const PERCENT: Kind = Kind::Whole { min: 1, max: 99, expected: "percent from 1 to 99" };
const WAIT: Kind = Kind::Whole { min: 1, max: 86_400, expected: "seconds from 1 to a day" };
const TASKS: Kind = Kind::Whole { min: 1, max: 64, expected: "a number from 1 to 64" };

const BATCHES: &str = "has no effect: tablets are sent one by one";
const RETRIES: &str = "has no effect: nothing is ever skipped or given up without your word";

const fn row(key: &'static str, of: &'static [Plugin], kind: Kind, default: &'static str) -> Row {
    Row { key, aliases: &[], of, kind, default, here: Here::Honoured }
}

const fn also(aliases: &'static [&'static str], row: Row) -> Row {
    Row { aliases, ..row }
}

const fn inert(why: &'static str, harmless: &'static [&'static str], row: Row) -> Row {
    Row { here: Here::Inert(why, harmless), ..row }
}

const NO_TLS: &str = "TLS is not in this build";

pub(super) const ROWS: &[Row] = &[
    row("sink", ALL, Kind::Plugin, "iotdb-thrift-sink"),
    also(&["host"], row("ip", FAR, Kind::Target, "")),
    row("port", FAR, Kind::Target, ""),
    row("node-urls", FAR, Kind::Target, ""),
    inert(BATCHES, &["false"], row("batch.enable", GATE, Kind::Flag, "false")),
    inert(BATCHES, &[], row("batch.max-delay-seconds", GATE, SECONDS, "1")),
    inert(BATCHES, &[], row("batch.max-delay-ms", GATE, MILLIS, "")),
    inert(BATCHES, &[], row("batch.size-bytes", GATE, BYTES, "1048576")),
    row("batch.enable", THRIFT, Kind::Flag, "true"),
    row("batch.max-delay-seconds", THRIFT, SECONDS, "1"),
    row("batch.max-delay-ms", THRIFT, MILLIS, ""),
    row("batch.size-bytes", THRIFT, BYTES, "1048576"),
    inert(INERT, &["1"], row("parallel.tasks", ALL, TASKS, "1")),
    inert(INERT, &["true", "false"], row("leader-cache.enable", FAR, Kind::Flag, "false")),
    row("air-gap.handshake-timeout-ms", GATE, DAY, "5000"),
    row("air-gap.seal-timeout-ms", GATE, DAY, "900000"),
    row("air-gap.e-language.enable", GATE, Kind::Flag, "false"),
    row("air-gap.handshake-v1-fallback", GATE, Kind::Flag, "false"),
    row("handshake-v1-fallback", THRIFT, Kind::Flag, "false"),
    row("air-gap.piece-bytes", GATE, PIECE, "1048576"),
    Row { here: Here::Missing(&["false"], NO_TLS), ..row("ssl.enable", TLS, Kind::Flag, "false") },
    // Whoever names a trust store does not want to send in clear.
    Row { here: Here::Missing(&[], NO_TLS), ..row("ssl.trust-store-path", TLS, Kind::Text, "") },
    Row { here: Here::Missing(&[], NO_TLS), ..row("ssl.trust-store-pwd", TLS, Kind::Secret, "") },
    inert(
        RETRIES,
        &["retry"],
        row(
            "exception.conflict.resolve-strategy",
            FAR,
            Kind::Word(&["retry", "ignore"], Wording::Either),
            "retry",
        ),
    ),
    row("exception.conflict.retry-max-time-seconds", FAR, SECONDS, "-1"),
    inert(
        RETRIES,
        &["true"],
        row("exception.conflict.record-ignored-data", FAR, Kind::Flag, "true"),
    ),
    inert(RETRIES, &["-1"], row("exception.others.retry-max-time-seconds", GATE, SECONDS, "-1")),
    row("exception.others.retry-max-time-seconds", THRIFT, SECONDS, "-1"),
    inert(RETRIES, &["true"], row("exception.others.record-ignored-data", FAR, Kind::Flag, "true")),
    row("exception.data.convert-on-type-mismatch", FAR, Kind::Flag, "true"),
    row(
        "load-balance-strategy",
        FAR,
        Kind::Word(&["round-robin", "random", "priority"], Wording::OneOf("Load balance strategy")),
        "round-robin",
    ),
    row("compressor", FAR, Kind::Compressors, ""),
    row("compressor.zstd.level", FAR, LEVEL, "3"),
    row(
        "rate-limit-bytes-per-second",
        FAR,
        Kind::Decimal { min: f64::NEG_INFINITY, expected: "bytes per second" },
        "-1",
    ),
    row("format", FAR, Kind::Word(&["hybrid", "tablet", "tsfile"], Wording::Invalid), "hybrid"),
    inert(INERT, &["false"], row("realtime-first", THRIFT, Kind::Flag, "false")),
    row("realtime-first", GATE, Kind::Flag, "false"),
    row("realtime-first.share-percent", GATE, PERCENT, "50"),
    row("realtime-first.after-seconds", GATE, WAIT, "60"),
    also(&["user"], row("username", FAR, Kind::Text, "root")),
    row("password", FAR, Kind::Secret, "root"),
    row("load-tsfile-strategy", FAR, Kind::Word(&["sync", "async"], Wording::Invalid), "sync"),
    row("load-tsfile-validation", FAR, Kind::Flag, "true"),
    row("mark-as-pipe-request", FAR, Kind::Flag, "true"),
    row("mark-as-general-write-request", FAR, Kind::Flag, "false"),
    row("skipif", FAR, Kind::Word(&["no-privileges", ""], Wording::Invalid), ""),
    inert(INERT, &["false"], row("enable-send-tsfile-limit", FAR, Kind::Flag, "false")),
];

//! The air-gap sink's attributes.

use std::num::NonZeroU64;
use std::time::Duration;

use super::attributes::Attributes;
use super::{AirGapSink, GateOrder, LoadStrategy};
use crate::config::document::Document;
use crate::config::node_urls::{NodeUrl, NodeUrls};
use crate::config::value::Secret;
use crate::limits::{
    HANDSHAKE_TIMEOUT_DEFAULT, PIECE_BYTES_DEFAULT, PIECE_BYTES_MAX, SEAL_TIMEOUT_DEFAULT,
    WRAPPERS_MAX,
};
use crate::wire::compressed::{Compressor, ZSTD_LEVEL};

/// Reads the clause; none if nothing can be made of it.
pub(super) fn read(mut sink: Attributes, document: &mut Document<'_>) -> Option<AirGapSink> {
    if !check_plugin(&mut sink, document) {
        return None;
    }
    let settings = AirGapSink {
        targets: targets(&mut sink, document),
        order: order(&mut sink, document),
        handshake_timeout: millis(&mut sink, "air-gap.handshake-timeout-ms", document)
            .unwrap_or(HANDSHAKE_TIMEOUT_DEFAULT),
        seal_timeout: millis(&mut sink, "air-gap.seal-timeout-ms", document)
            .unwrap_or(SEAL_TIMEOUT_DEFAULT),
        e_language: sink.flag("air-gap.e-language.enable", false, document),
        handshake_v1_fallback: sink.flag("air-gap.handshake-v1-fallback", false, document),
        piece_bytes: piece_bytes(&mut sink, document),
        compressors: compressors(&mut sink, document),
        zstd_level: zstd_level(&mut sink, document),
        rate_limit: rate_limit(&mut sink, document),
        user: sink.take("username").map_or_else(|| "root".to_owned(), |user| user.value),
        password: password(&mut sink, document),
        mark_as_pipe_request: mark(&mut sink, document),
        convert_on_type_mismatch: sink.flag(
            "exception.data.convert-on-type-mismatch",
            true,
            document,
        ),
        load_strategy: load_strategy(&mut sink, document),
        load_validation: sink.flag("load-tsfile-validation", true, document),
        skip_if_no_privileges: skip_if_no_privileges(&mut sink, document),
        give_up_after: give_up_after(&mut sink, document),
    };
    check_unused(&mut sink, document);
    sink.finish(document);
    (!settings.targets.is_empty()).then_some(settings)
}

/// Whether the sink is one of this build.
fn check_plugin(sink: &mut Attributes, document: &mut Document<'_>) -> bool {
    let Some(plugin) = sink.take("sink") else {
        let hint = "add sink = \"iotdb-air-gap-sink\"";
        let what = if sink.is_present() { "the sink's name is missing" } else { "is missing" };
        sink.reject_all(what, hint, document);
        return false;
    };
    let known = ["iotdb-air-gap-sink", "iotdb-air-gap-connector"];
    let ours = known.iter().any(|known| known.eq_ignore_ascii_case(&plugin.value));
    if !ours {
        let message = format!("{:?}: this sink is not in this build", plugin.value);
        sink.reject(&plugin, &message, "use iotdb-air-gap-sink", document);
    }
    ours
}

/// `node-urls` united with `ip` and `port`; empty with a mistake noted.
fn targets(sink: &mut Attributes, document: &mut Document<'_>) -> NodeUrls {
    let (urls, host, port) = (sink.take("node-urls"), sink.take("ip"), sink.take("port"));
    let mut targets = NodeUrls::default();
    if urls.is_none() && host.is_none() && port.is_none() {
        let hint = "add node-urls = \"10.53.53.53:9780\", the gate's address on this side";
        sink.reject_all("no target is given", hint, document);
    }
    if let Some(urls) = urls {
        match NodeUrls::parse(&urls.value) {
            Ok(listed) => targets = listed,
            Err(error) => {
                sink.reject(&urls, &error.to_string(), "such as 10.53.53.53:9780", document);
            }
        }
    }
    match (host, port) {
        (Some(host), Some(port)) => {
            let target = NodeUrl::new(&host.value, &port.value);
            if let Err(error) = target.and_then(|target| targets.add(target)) {
                sink.reject(&port, &error.to_string(), "", document);
            }
        }
        (Some(alone), None) => sink.reject(&alone, "has no port beside it", "add port", document),
        (None, Some(alone)) => sink.reject(&alone, "has no ip beside it", "add ip", document),
        (None, None) => {}
    }
    targets
}

fn order(sink: &mut Attributes, document: &mut Document<'_>) -> GateOrder {
    let parse = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "round-robin" => Some(GateOrder::RoundRobin),
        "random" => Some(GateOrder::Random),
        "priority" => Some(GateOrder::Priority),
        _ => None,
    };
    sink.parsed("load-balance-strategy", "round-robin, random or priority", parse, document)
        .unwrap_or_default()
}

fn millis(
    sink: &mut Attributes,
    key: &'static str,
    document: &mut Document<'_>,
) -> Option<Duration> {
    let parse = |text: &str| text.parse().ok().filter(|millis| (1..=DAY_MILLIS).contains(millis));
    sink.parsed(key, "milliseconds from 1 to a day", parse, document).map(Duration::from_millis)
}

fn piece_bytes(sink: &mut Attributes, document: &mut Document<'_>) -> usize {
    let expected = format!("bytes from {PIECE_BYTES_MIN} to {PIECE_BYTES_MAX}");
    let within = |bytes: &usize| (PIECE_BYTES_MIN..=PIECE_BYTES_MAX).contains(bytes);
    let parse = |text: &str| text.parse().ok().filter(within);
    sink.parsed("air-gap.piece-bytes", &expected, parse, document).unwrap_or(PIECE_BYTES_DEFAULT)
}

fn compressors(
    sink: &mut Attributes,
    document: &mut Document<'_>,
) -> heapless::Vec<Compressor, WRAPPERS_MAX> {
    let parse = |text: &str| {
        let mut chain = heapless::Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            chain.push(Compressor::from_name(name)?).ok()?;
        }
        Some(chain)
    };
    let expected = "up to four of snappy, gzip, lz4, zstd, lzma2";
    sink.parsed("compressor", expected, parse, document).unwrap_or_default()
}

fn zstd_level(sink: &mut Attributes, document: &mut Document<'_>) -> i32 {
    let parse = |text: &str| text.parse().ok().filter(|level| ZSTD_LEVELS.contains(level));
    sink.parsed("compressor.zstd.level", "a level from 1 to 22", parse, document)
        .unwrap_or(ZSTD_LEVEL)
}

/// A number of bytes per second, which may have a fraction; zero and less is no limit.
fn rate_limit(sink: &mut Attributes, document: &mut Document<'_>) -> Option<NonZeroU64> {
    let parse = |text: &str| {
        let whole = text.split_once('.').map_or(text, |(whole, fraction)| {
            if fraction.bytes().all(|byte| byte.is_ascii_digit()) { whole } else { text }
        });
        whole.parse::<i64>().ok()
    };
    let rate = sink.parsed("rate-limit-bytes-per-second", "bytes per second", parse, document)?;
    NonZeroU64::new(u64::try_from(rate).unwrap_or(0))
}

fn password(sink: &mut Attributes, document: &mut Document<'_>) -> Secret {
    let Some(written) = sink.take("password") else { return Secret::Clear("root".to_owned()) };
    let secret = Secret::parse(&written.value, document.base());
    sink.warn_of_clear(&written, &secret, document);
    secret
}

fn mark(sink: &mut Attributes, document: &mut Document<'_>) -> bool {
    let general = sink.flag("mark-as-general-write-request", false, document);
    sink.flag("mark-as-pipe-request", true, document) && !general
}

fn load_strategy(sink: &mut Attributes, document: &mut Document<'_>) -> LoadStrategy {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "sync" => Some(LoadStrategy::Sync),
        "async" => Some(LoadStrategy::Async),
        _ => None,
    };
    sink.parsed("load-tsfile-strategy", "sync or async", parse, document)
        .unwrap_or(LoadStrategy::Sync)
}

fn skip_if_no_privileges(sink: &mut Attributes, document: &mut Document<'_>) -> bool {
    let parse = |text: &str| match text {
        "" => Some(false),
        "no-privileges" => Some(true),
        _ => None,
    };
    sink.parsed("skipif", "no-privileges or nothing", parse, document).unwrap_or(false)
}

/// Attributes that stock sinks have and this one follows in another way, or not yet.
fn check_unused(sink: &mut Attributes, document: &mut Document<'_>) {
    sink.unless(
        "format",
        &["hybrid"],
        "conversion between tablets and files is not in this build: each is sent as it was taken in",
        "leave it out",
        document,
    );
    let batches = "has no effect: tablets are sent one by one";
    sink.without_effect("batch.enable", batches, &["false"], document);
    for key in ["batch.max-delay-seconds", "batch.max-delay-ms", "batch.size-bytes"] {
        sink.without_effect(key, batches, &[], document);
    }
    let retries = "has no effect: nothing is ever skipped or given up without your word";
    sink.without_effect("exception.conflict.resolve-strategy", retries, &["retry"], document);
    sink.without_effect("exception.others.retry-max-time-seconds", retries, &["-1"], document);
    for key in ["exception.conflict.record-ignored-data", "exception.others.record-ignored-data"] {
        sink.without_effect(key, retries, &["true"], document);
    }
    let inert = "has no effect in this build";
    sink.without_effect("parallel.tasks", inert, &["1"], document);
    sink.without_effect("leader-cache.enable", inert, &["true", "false"], document);
    sink.without_effect("realtime-first", inert, &["false"], document);
    sink.without_effect("enable-send-tsfile-limit", inert, &["false"], document);
}

/// After how long a refused entry is put aside; negative is never, which is the default here.
fn give_up_after(sink: &mut Attributes, document: &mut Document<'_>) -> Option<Duration> {
    let key = "exception.conflict.retry-max-time-seconds";
    let seconds = sink.parsed(key, "seconds", |text| text.parse::<i64>().ok(), document)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// Smaller pieces are no help and cost a round trip each.
const PIECE_BYTES_MIN: usize = 1024;
const DAY_MILLIS: u64 = 86_400_000;
const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=22;

//! The sink's attributes as settings, and what they say together.

use std::mem::discriminant;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use super::changes::Changes;
use super::check::{Part, compressors};
use super::known::Plugin;
use super::name::PluginName;
use super::node_urls::{NodeUrl, NodeUrlError, NodeUrls};
use super::secret::Secret;
use super::settings::{
    AirGapSink, Batch, GateOrder, LoadStrategy, PipeSettings, Processor, RealtimeFirst,
    RealtimeMode, Sink, ThriftSink, Transport, TrustStore,
};
use super::source;
use crate::limits::{
    AHEAD_CONNECTIONS, PIECE_BYTES_DEFAULT, SEAL_TIMEOUT_DEFAULT, THRIFT_HANDSHAKE_TIMEOUT,
    ahead_bytes_max,
};

pub(super) fn read(part: &mut Part<'_>, base: &Path) -> Sink {
    match part.plugin {
        Some(Plugin::AirGap) => Sink::AirGap(Box::new(air_gap(part, base))),
        Some(Plugin::ThriftAsync | Plugin::ThriftSync | Plugin::ThriftSsl) => {
            Sink::Thrift(Box::new(thrift(part, base)))
        }
        Some(Plugin::ExternalSink) => Sink::External(PluginName::new(part.text("sink"))),
        _ => Sink::DoNothing,
    }
}

fn air_gap(part: &mut Part<'_>, base: &Path) -> AirGapSink {
    AirGapSink {
        targets: targets(part),
        order: order(part),
        handshake_timeout: millis(part, "air-gap.handshake-timeout-ms"),
        seal_timeout: millis(part, "air-gap.seal-timeout-ms"),
        transport: Transport::AirGap { e_language: part.flag("air-gap.e-language.enable") },
        handshake_v1_fallback: part.flag("air-gap.handshake-v1-fallback"),
        piece_bytes: usize::try_from(part.whole("air-gap.piece-bytes"))
            .unwrap_or(PIECE_BYTES_DEFAULT),
        compressors: compressors(part.text("compressor")).unwrap_or_default(),
        zstd_level: part.text("compressor.zstd.level").parse().unwrap_or(ZSTD_LEVEL),
        rate_limit: rate_limit(part),
        user: part.text("username").to_owned(),
        password: Secret::parse(part.text("password"), base),
        mark_as_pipe_request: mark(part),
        convert_on_type_mismatch: part.flag("exception.data.convert-on-type-mismatch"),
        load_strategy: load_strategy(part),
        load_validation: part.flag("load-tsfile-validation"),
        skip_if_no_privileges: part.text("skipif").eq_ignore_ascii_case("no-privileges"),
        give_up_after: give_up_after(part, "exception.conflict.retry-max-time-seconds"),
        give_up_others_after: None,
        realtime_first: realtime_first(part),
    }
}

fn thrift(part: &mut Part<'_>, base: &Path) -> ThriftSink {
    ThriftSink {
        far: AirGapSink {
            transport: Transport::Thrift,
            handshake_v1_fallback: part.flag("handshake-v1-fallback"),
            handshake_timeout: THRIFT_HANDSHAKE_TIMEOUT,
            seal_timeout: SEAL_TIMEOUT_DEFAULT,
            piece_bytes: PIECE_BYTES_DEFAULT,
            realtime_first: None,
            give_up_others_after: give_up_after(part, "exception.others.retry-max-time-seconds"),
            ..air_gap(part, base)
        },
        is_asynchronous: part.plugin == Some(Plugin::ThriftAsync),
        trust_store: trust_store(part, base),
        batch: batch(part),
    }
}

/// `node-urls` united with `ip` and `port`.
fn targets(part: &mut Part<'_>) -> NodeUrls {
    let (urls, host, port) = (part.find("node-urls"), part.find("ip"), part.find("port"));
    let mut targets = NodeUrls::default();
    if let Some(urls) = urls {
        match NodeUrls::parse(urls.value.reveal()) {
            Ok(listed) if listed.is_empty() => {
                part.error(Some(urls), UNPARSABLE, "such as 10.53.53.53:9780");
            }
            Ok(listed) => targets = listed,
            Err(error) => part.error(Some(urls), UNPARSABLE, error.to_string()),
        }
    }
    match (host, port) {
        (Some(host), Some(port)) => {
            let target = NodeUrl::new(host.value.reveal(), port.value.reveal());
            match target.and_then(|target| targets.add(target)) {
                Ok(()) => {}
                Err(error @ NodeUrlError::Host { .. }) => {
                    part.error(Some(host), UNPARSABLE, error.to_string());
                }
                Err(error) => part.error(Some(port), UNPARSABLE, error.to_string()),
            }
        }
        (Some(alone), None) => half(part, alone, urls.is_some(), "port"),
        (None, Some(alone)) => half(part, alone, urls.is_some(), "ip"),
        (None, None) if urls.is_none() => {
            let hint = if part.plugin == Some(Plugin::AirGap) {
                "add 'node-urls'='10.53.53.53:9780', the gate's address on this side"
            } else {
                "add 'node-urls'='10.53.53.53:6667', the address of an IoTDB"
            };
            part.error(None, NO_TARGET, hint);
        }
        (None, None) => {}
    }
    targets
}

/// Stock ignores half a target beside `node-urls`.
fn half(part: &mut Part<'_>, alone: &super::attributes::Attribute, has_others: bool, other: &str) {
    if has_others {
        part.error(Some(alone), format!("has no {other} beside it"), format!("add {other}"));
    } else {
        part.error(Some(alone), NO_TARGET, format!("add {other}"));
    }
}

fn order(part: &Part<'_>) -> GateOrder {
    match part.text("load-balance-strategy").trim().to_ascii_lowercase().as_str() {
        "random" => GateOrder::Random,
        "priority" => GateOrder::Priority,
        _ => GateOrder::RoundRobin,
    }
}

fn load_strategy(part: &Part<'_>) -> LoadStrategy {
    if part.text("load-tsfile-strategy").trim().eq_ignore_ascii_case("async") {
        LoadStrategy::Async
    } else {
        LoadStrategy::Sync
    }
}

fn millis(part: &Part<'_>, key: &'static str) -> Duration {
    Duration::from_millis(u64::try_from(part.whole(key)).unwrap_or(0))
}

/// Bytes per second, fractions cut; zero and less is no limit.
fn rate_limit(part: &Part<'_>) -> Option<NonZeroU64> {
    let text = part.text("rate-limit-bytes-per-second");
    let whole = text.split('.').next().unwrap_or_default();
    NonZeroU64::new(whole.strip_prefix('+').unwrap_or(whole).parse().unwrap_or(0))
}

fn mark(part: &mut Part<'_>) -> bool {
    refuse_both(part, "mark-as-pipe-request", "mark-as-general-write-request");
    part.flag("mark-as-pipe-request") && !part.flag("mark-as-general-write-request")
}

/// After how long a refused entry is put aside; negative is never, which is the default here.
fn give_up_after(part: &Part<'_>, key: &'static str) -> Option<Duration> {
    let seconds = part.whole(key);
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn realtime_first(part: &Part<'_>) -> Option<RealtimeFirst> {
    part.flag("realtime-first").then(|| RealtimeFirst {
        share_percent: u8::try_from(part.whole("realtime-first.share-percent")).unwrap_or(1),
        after: Duration::from_secs(
            u64::try_from(part.whole("realtime-first.after-seconds")).unwrap_or(1),
        ),
    })
}

/// `format` says for the sink what the source's mode says: `tablet` is `stream`, `tsfile` is `batch`; `hybrid`, which it is
/// unless it is written, leaves it to the source.
pub(super) fn apply_format(settings: &mut PipeSettings, from: &Part<'_>, part: &mut Part<'_>) {
    let has_form = matches!(settings.sink, Sink::AirGap(_) | Sink::Thrift(_));
    let Some(at) = part.find("format").filter(|_| has_form) else { return };
    let mode = match part.text("format").trim().to_ascii_lowercase().as_str() {
        "tablet" => RealtimeMode::Stream,
        "tsfile" => source::batch(from),
        _ => return,
    };
    let source = &mut settings.source;
    if source.names_mode && discriminant(&source.mode) != discriminant(&mode) {
        let told = match source.mode {
            RealtimeMode::Stream => "as tablets",
            RealtimeMode::Batch { .. } => "as files",
            RealtimeMode::Hybrid { .. } => "as tablets or as files",
        };
        let message = format!("contradicts the source, whose mode sends tablets {told}");
        part.error(Some(at), message, "keep one of the two");
    }
    let is_batch = mode != RealtimeMode::Stream;
    if is_batch && settings.processor != Processor::DoNothing {
        let message = "this processor leaves points out of tablets, which are sent as tablets";
        part.error(Some(at), message, "leave one of them out");
    }
    if !is_batch {
        part.warn(Some(at), "TsFiles are sent as they were taken in all the same", "");
    }
    (source.mode, source.names_mode) = (mode, true);
}

/// What the sink says must go with what the other parts say.
pub(super) fn check_between(settings: &PipeSettings, part: &mut Part<'_>) {
    let is_meant = matches!(&settings.sink, Sink::AirGap(sink) if sink.realtime_first.is_some());
    if !is_meant {
        return;
    }
    let at = part.find("realtime-first");
    if settings.source.changes != Some(Changes::INSERTS) {
        let message = "a deletion that comes late would also delete what has overtaken it";
        part.error(at, message, "add 'inclusion'='data.insert' to the source");
    }
    if settings.processor != Processor::DoNothing {
        let message = "this processor needs the points of a series in the order of their arrival";
        part.error(at, message, "leave one of them out");
    }
}

fn batch(part: &mut Part<'_>) -> Option<Batch> {
    refuse_both(part, "batch.max-delay-seconds", "batch.max-delay-ms");
    let positive = |number: i64| u64::try_from(number).ok();
    let max_delay = if part.find("batch.max-delay-ms").is_some() {
        positive(part.whole("batch.max-delay-ms")).map(Duration::from_millis)
    } else {
        positive(part.whole("batch.max-delay-seconds")).map(Duration::from_secs)
    };
    let bytes = positive(part.whole("batch.size-bytes")).unwrap_or(0);
    let is_asynchronous = part.plugin == Some(Plugin::ThriftAsync);
    let most = ahead_bytes_max(if is_asynchronous { AHEAD_CONNECTIONS } else { 1 });
    if let Some(at) = part.find("batch.size-bytes")
        && usize::try_from(bytes).is_ok_and(|bytes| bytes > most)
    {
        part.warn(Some(at), format!("a request of several tablets has at most {most} bytes"), "");
    }
    part.flag("batch.enable").then_some(Batch { max_delay, bytes })
}

fn trust_store(part: &mut Part<'_>, base: &Path) -> Option<TrustStore> {
    let (path, password) = (part.find("ssl.trust-store-path"), part.find("ssl.trust-store-pwd"));
    let is_asked = part.find("ssl.enable").is_some_and(|_| part.flag("ssl.enable"));
    if part.plugin == Some(Plugin::ThriftAsync) {
        if let Some(at) = path.or(password).or_else(|| part.find("ssl.enable").filter(|_| is_asked))
        {
            let message = "Only 'iotdb-thrift-ssl-sink' supports SSL transmission currently.";
            part.error(Some(at), message, "use iotdb-thrift-ssl-sink");
        }
        return None;
    }
    if part.plugin != Some(Plugin::ThriftSsl) && !is_asked {
        return None;
    }
    let (Some(path), Some(password)) = (path, password) else {
        let message = "When ssl transport is enabled, sink.ssl.trust-store-path and sink.ssl.trust-store-pwd must be specified";
        part.error(path.or(password), message, "");
        return None;
    };
    Some(TrustStore {
        path: base.join(path.value.reveal()),
        password: Secret::parse(password.value.reveal(), base),
    })
}

fn refuse_both(part: &mut Part<'_>, one: &'static str, other: &'static str) {
    let both = part.find(one).is_some().then(|| part.find(other)).flatten();
    if let Some(at) = both {
        let message = format!("Cannot specify both sink.{one} and sink.{other} at the same time");
        part.error(Some(at), message, "keep one of the two");
    }
}

const NO_TARGET: &str = "One of connector.node-urls, connector.host:connector.port, sink.node-urls, sink.host:sink.port must be specified";
const UNPARSABLE: &str = "Error occurred while parsing node urls from target servers, please check the specified 'host':'port' or 'node-urls'";
/// What the library takes if nothing is said.
const ZSTD_LEVEL: i32 = 3;

//! The source's attributes as settings, and what they say together.

use std::cmp::Ordering;

use super::changes::Changes;
use super::check::{Part, loose, patterns};
use super::known::Plugin;
use super::moment::{Bounds, Clock, Moment};
use super::pattern;
use super::settings::{Loose, RealtimeMode, Source};
use crate::data::{Pattern, Precision};

pub(super) fn read(part: &mut Part<'_>) -> Source {
    let (include, exclude) = read_patterns(part);
    let (range, history_range) = read_bounds(part);
    let is_strict = part.flag("mode.strict");
    let source = Source {
        is_some: part.plugin == Some(Plugin::IotdbSource),
        include,
        exclude,
        changes: read_changes(part),
        history: part.flag("history.enable"),
        realtime: part.flag("realtime.enable"),
        range,
        history_range,
        mode: read_mode(part),
        names_mode: ["realtime.mode", "mode.streaming"].iter().any(|key| part.find(key).is_some()),
        forwarding: read_forwarding(part),
        mods: part.flag("mods.enable"),
        is_one_shot: read_one_shot(part),
        loose_history: read_loose(part, "history.loose-range", is_strict),
        loose_realtime: read_loose(part, "realtime.loose-range", is_strict),
    };
    if !source.history && !source.realtime && has_only_flags(part) {
        let at = part.find("realtime.enable");
        let message = "Should not set both history.enable and realtime.enable to false.";
        part.error(at, message, "");
    }
    source
}

/// Whether both enables are words that mean something, which was said otherwise.
fn has_only_flags(part: &Part<'_>) -> bool {
    ["history.enable", "realtime.enable"].iter().all(|key| part.text(key) == "false")
}

/// Prefixes and paths together; exclusions that leave nothing are refused.
fn read_patterns(part: &mut Part<'_>) -> (Vec<Pattern>, Vec<Pattern>) {
    let is_path = part.text("pattern.format").eq_ignore_ascii_case("iotdb");
    let list = |text: &str, is_path: bool| {
        patterns(text, if is_path { pattern::path } else { pattern::prefix })
    };
    let mut include = Vec::new();
    for (key, is_path) in [("pattern", is_path), ("path", true), ("pattern.inclusion", true)] {
        if part.find(key).is_some() {
            include.extend(list(part.text(key), is_path).unwrap_or_default());
        }
    }
    if include.is_empty() {
        include.push(Pattern::Path("root.**".to_owned()));
    }
    let mut exclude = list(part.text("pattern.exclusion"), is_path).unwrap_or_default();
    exclude.extend(list(part.text("path.exclusion"), true).unwrap_or_default());
    let is_left = |pattern: &Pattern| !exclude.iter().any(|excluded| excluded.covers(pattern));
    if !include.iter().any(is_left) {
        let at = part.find("path.exclusion").or_else(|| part.find("pattern.exclusion"));
        part.error(at, "the exclusion leaves nothing of what is included", "");
    }
    (include, exclude)
}

/// Unlike stock, a pipe that names no kinds sends all that the intake lets in: what was answered is not kept back.
fn read_changes(part: &mut Part<'_>) -> Option<Changes> {
    let read = |part: &Part<'_>, key| Changes::parse(part.text(key)).unwrap_or(Changes::INSERTS);
    let (inclusion, exclusion) = (part.find("inclusion"), part.find("inclusion.exclusion"));
    let included = read(part, "inclusion");
    let excluded = Changes::parse(part.text("inclusion.exclusion")).unwrap_or_default();
    if included.without(excluded).is_empty() {
        let message = "The pipe inclusion content can't be empty.";
        part.error(exclusion.or(inclusion), message, "");
    }
    let included = if inclusion.is_some() { included } else { Changes::ALL };
    let changes = included.without(excluded);
    for side in ["schema", "auth"] {
        if changes.parts(side) {
            let message = format!("kinds within {side} are not told apart in this build");
            let hint = format!("name {side} as a whole, or not at all");
            part.not_in_build(inclusion.or(exclusion), message, hint);
        }
    }
    (!changes.is_all()).then_some(changes)
}

/// The bounds of all data, and those of the history.
fn read_bounds(part: &mut Part<'_>) -> (Bounds, Bounds) {
    let bounds =
        |part: &Part<'_>, start, end| Bounds { start: part.moment(start), end: part.moment(end) };
    let range = bounds(part, "start-time", "end-time");
    let history = bounds(part, "history.start-time", "history.end-time");
    // Stock names the two spellings of these keys in either order.
    if let Some(values) = crossed(range) {
        let message = order_message("source", "extractor", "", values);
        part.error(part.find("start-time"), message, "");
    }
    if let Some(values) = crossed(history) {
        let message = order_message("extractor", "source", "history.", values);
        part.error(part.find("history.start-time"), message, "");
    }
    if range.is_some() {
        let at = part.find("history.start-time").or_else(|| part.find("history.end-time"));
        if at.is_some() {
            part.warn(at, "has no effect beside start-time and end-time", "");
        }
        let is_off = part.text("history.enable") == "false";
        if let Some(at) = part.find("history.enable").filter(|_| is_off) {
            let message = "is honoured here; IoTDB sends the history all the same beside start-time or end-time";
            part.warn(Some(at), message, "");
        }
    }
    (range, history)
}

/// Both bounds as stock shows them if the first lies after the second; times without an offset as if in UTC.
fn crossed(bounds: Bounds) -> Option<(i64, i64)> {
    let (start, end) = (bounds.start?, bounds.end?);
    let clock = Clock { precision: Precision::Ms, offset_seconds: 0, now_millis: 0 };
    let number = |moment: Moment| moment.resolve(clock);
    (start.order(end) == Some(Ordering::Greater)).then(|| (number(start), number(end)))
}

fn order_message(first: &str, second: &str, part: &str, (start, end): (i64, i64)) -> String {
    format!(
        "{first}.{part}start-time ({second}.{part}start-time) [{start}] should be less than or equal to \
         {first}.{part}end-time ({second}.{part}end-time) [{end}]."
    )
}

/// `mode.streaming` wins over `realtime.mode` (2.0).
fn read_mode(part: &Part<'_>) -> RealtimeMode {
    let number = |key| u64::try_from(part.whole(key)).unwrap_or_default();
    let hybrid = || RealtimeMode::Hybrid {
        lag_bytes: number("realtime.hybrid.lag-bytes"),
        lag_seconds: number("realtime.hybrid.lag-seconds"),
    };
    if part.find("mode.streaming").is_some() {
        return if part.flag("mode.streaming") { hybrid() } else { batch(part) };
    }
    match part.text("realtime.mode").trim().to_ascii_lowercase().as_str() {
        "batch" | "file" => batch(part),
        "stream" | "log" | "forced-log" => RealtimeMode::Stream,
        _ => hybrid(),
    }
}

/// As files, with the delay that the source says.
pub(super) fn batch(part: &Part<'_>) -> RealtimeMode {
    let seconds = part.whole("realtime.batch.max-delay-seconds");
    RealtimeMode::Batch { max_delay_seconds: u64::try_from(seconds).unwrap_or_default() }
}

/// `mode.double-living` is short for what a pair that sends both ways needs.
fn read_forwarding(part: &mut Part<'_>) -> bool {
    let forwarding = part.flag("forwarding-pipe-requests");
    let is_double_living = part.flag("mode.double-living");
    let written = part.find("forwarding-pipe-requests");
    if let Some(at) = written.filter(|_| is_double_living && forwarding) {
        part.error(
            Some(at),
            "contradicts mode.double-living, which turns it off",
            "keep one of the two",
        );
    }
    forwarding && !is_double_living
}

fn read_one_shot(part: &mut Part<'_>) -> bool {
    let mode = part.text("mode").trim().to_ascii_lowercase();
    let by_mode = matches!(mode.as_str(), "query" | "snapshot");
    let by_flag = part.flag("mode.snapshot");
    let both = part.find("mode").is_some().then(|| part.find("mode.snapshot")).flatten();
    if let Some(at) = both.filter(|_| by_mode != by_flag) {
        part.error(Some(at), "contradicts mode", "keep one of the two");
    }
    by_mode || by_flag
}

fn read_loose(part: &Part<'_>, key: &'static str, is_strict: bool) -> Loose {
    let (time, path) = loose(part.text(key)).unwrap_or_default();
    Loose { time: time || !is_strict, path: path || !is_strict }
}

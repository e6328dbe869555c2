//! The source's attributes: this build sends everything that the spool holds, so that what would
//! send less is refused, and what would only be faster elsewhere is remarked on.

use super::attributes::Attributes;
use crate::config::document::Document;

/// Checks the clause; there is nothing to set.
pub(super) fn check(mut source: Attributes, document: &mut Document<'_>) {
    source.unless(
        "source",
        &["iotdb-source", "iotdb-extractor"],
        "this source is not in this build",
        "use iotdb-source, or leave it out",
        document,
    );
    for (key, everything) in FILTERS {
        source.unless(
            key,
            everything,
            "filters are not in this build: a pipe sends everything that was taken in",
            "leave it out",
            document,
        );
    }
    source.unless(
        "realtime.mode",
        &["stream", "hybrid", "log", "forced-log"],
        "this mode is not in this build: entries are sent as they come",
        "use stream, or leave it out",
        document,
    );
    source.unless(
        "mode",
        &["subscribe", "live"],
        "pipes that end by themselves are not in this build",
        "leave it out",
        document,
    );
    for (key, harmless) in INERT {
        source.without_effect(key, "has no effect in this build", harmless, document);
    }
    source.finish(document);
}

/// Checks the processor's clause.
pub(super) fn check_processor(mut processor: Attributes, document: &mut Document<'_>) {
    processor.unless(
        "processor",
        &["do-nothing-processor"],
        "this processor is not in this build",
        "leave the clause out",
        document,
    );
    processor.finish(document);
}

/// Attributes that make a pipe send less, with the values that do not.
const FILTERS: &[(&str, &[&str])] = &[
    ("path", &["root.**"]),
    ("pattern", &["root", ""]),
    ("path.exclusion", &[""]),
    ("pattern.exclusion", &[""]),
    ("pattern.inclusion", &["root.**"]),
    ("inclusion", &["all"]),
    ("inclusion.exclusion", &[""]),
    ("start-time", &[]),
    ("end-time", &[]),
    ("history.enable", &["true"]),
    ("history.start-time", &[]),
    ("history.end-time", &[]),
    ("realtime.enable", &["true"]),
    ("forwarding-pipe-requests", &["true"]),
    ("mode.snapshot", &["false"]),
    ("mode.double-living", &["false"]),
    ("capture.tree", &["true"]),
    ("capture.table", &["true"]),
    ("database-name", &[".*"]),
    ("table-name", &[".*"]),
];

/// Attributes that change nothing here, with the values that need no remark.
const INERT: &[(&str, &[&str])] = &[
    ("pattern.format", &["prefix", "iotdb"]),
    ("history.loose-range", &[""]),
    ("realtime.loose-range", &[""]),
    ("mods.enable", &["true"]),
    ("mode.streaming", &["true"]),
    ("mode.strict", &["true"]),
    ("watermark-interval-ms", &["-1"]),
    ("username", &[]),
    ("password", &[]),
    ("skipif", &[""]),
];

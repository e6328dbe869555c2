//! The table of attributes: what each is, what it may be, what it is by default, and what this build
//! makes of it.
//!
//! The rows of the versions up to 2.0 stand side by side, since people paste from all of them
//! (`PipeSourceConstant`, `PipeProcessorConstant`, `PipeSinkConstant`). An attribute that is in the table is
//! either honoured, or remarked on by name; none is ignored in silence.

mod plugins;
mod processor;
mod sink;
mod source;

pub(super) use plugins::plugin;
pub use plugins::{BUILT_IN_SHOWN, Plugin};

use super::attributes::Side;

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// The canonical key.
    pub(super) key: &'static str,
    /// Other words for it, in this or another version of IoTDB.
    pub(super) aliases: &'static [&'static str],
    /// Which plug-ins know it.
    pub(super) of: &'static [Plugin],
    pub(super) kind: Kind,
    /// What it is if it is not written; empty for nothing.
    pub(super) default: &'static str,
    pub(super) here: Here,
}

/// What an attribute may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// The plug-in.
    Plugin,
    /// Any text.
    Text,
    /// Any text, which is not shown.
    Secret,
    /// `true` or `false`, in any case.
    Flag,
    /// `true` or `false`, in lower case.
    StrictFlag,
    /// One of some words, in any case.
    Word(&'static [&'static str], Wording),
    /// A whole number.
    Whole { min: i64, max: i64, expected: &'static str },
    /// A number that may have a fraction.
    Decimal { min: f64, expected: &'static str },
    /// Up to four compressors.
    Compressors,
    /// Targets, or one half of a target.
    Target,
    /// Kinds of changes.
    Changes,
    /// Prefixes of paths.
    Prefixes,
    /// Paths with wildcards.
    Paths,
    /// A point in time.
    Time,
    /// `time`, `path`, both, `all`, or nothing.
    Loose,
}

/// How stock says that a word is none of those that it may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wording {
    /// As the validator does (`PipeParameterValidator`).
    Invalid,
    /// `WHAT should be one of [..], but got ..`.
    OneOf(&'static str),
    /// `The value of key connector.K or sink.K must be either 'a' or 'b'.`
    Either,
}

/// What this build makes of an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Here {
    /// What it says.
    Honoured,
    /// Nothing, whatever it says; remarked on unless it says one of these.
    Inert(&'static str, &'static [&'static str]),
    /// It cannot be followed unless it says one of these: a pipe with it must not run.
    Missing(&'static [&'static str], &'static str),
}

/// What kind of word for `key` of `side` is `bare`: the key itself if it is an alias.
pub(super) fn unaliased(side: Side, bare: &str) -> &str {
    rows(side).iter().find(|row| row.aliases.contains(&bare)).map_or(bare, |row| row.key)
}

/// Whether the canonical `key` is a secret.
pub(super) fn is_secret(side: Side, key: &str) -> bool {
    rows(side).iter().any(|row| row.key == key && matches!(row.kind, Kind::Secret))
}

/// Whether IoTDB writes this key itself: users never do, and it is not shown.
pub(super) fn is_internal(spelled: &str) -> bool {
    let bare = ["source.", "extractor.", "processor.", "sink.", "connector."]
        .iter()
        .find_map(|prefix| spelled.strip_prefix(prefix))
        .unwrap_or(spelled);
    INTERNAL.iter().any(|begin| bare.starts_with(begin))
}

/// The rows of one side.
pub(super) const fn rows(side: Side) -> &'static [Row] {
    match side {
        Side::Source => source::ROWS,
        Side::Processor => processor::ROWS,
        Side::Sink => sink::ROWS,
    }
}

/// The names of all plug-ins.
pub(super) fn every_name() -> impl Iterator<Item = &'static str> {
    plugins::NAMES.iter().map(|(_, name)| *name)
}

/// The names of the plug-ins of one side.
pub(super) fn names(side: Side) -> impl Iterator<Item = &'static str> {
    plugins::NAMES.iter().filter(move |(plugin, _)| plugin.side() == side).map(|(_, name)| *name)
}

/// The row of the canonical `key` for a plug-in; that of another plug-in if it has none.
pub(super) fn row(side: Side, key: &str, plugin: Plugin) -> Option<&'static Row> {
    let mut named = rows(side).iter().filter(|row| row.key == key);
    let first = named.clone().next()?;
    Some(named.find(|row| row.of.contains(&plugin)).unwrap_or(first))
}

/// What an unknown key is likely meant to be, and where it belongs.
pub(super) fn meant(side: Side, spelled: &str) -> String {
    let key = side.canonical(spelled);
    if let Some((_, meant)) = MISTAKES.iter().find(|(mistake, _)| *mistake == key) {
        return format!("did you mean {meant:?}?");
    }
    let others = [Side::Source, Side::Processor, Side::Sink].into_iter();
    let belongs = others.filter(|other| *other != side).find(|other| {
        let key = other.canonical(spelled);
        rows(*other).iter().any(|row| row.key == key && !matches!(row.kind, Kind::Plugin))
    });
    if let Some(other) = belongs {
        return format!("it belongs to the {}", other.name());
    }
    let lower = spelled.to_lowercase();
    let by_case = rows(side).iter().map(|row| row.key).find(|key| *key == side.canonical(&lower));
    by_case
        .or_else(|| super::nearest(key, rows(side).iter().map(|row| row.key)))
        .map_or(String::new(), |meant| format!("did you mean {meant:?}?"))
}

const INTERNAL: &[&str] = &["__system.", "consensus.", "user-id", "cli-hostname"];
/// Keys of published examples that no version reads.
const MISTAKES: &[(&str, &str)] =
    &[("exclusion", "inclusion.exclusion"), ("username-password", "password")];

pub(super) const FLAG_TEXTS: &[&str] = &["true", "false"];
const INERT: &str = "has no effect in this build";

#[cfg(test)]
mod tests {
    use super::*;

    const SIDES: [Side; 3] = [Side::Source, Side::Processor, Side::Sink];

    /// Rows with another one that means the same: of the same key for the same plug-in, or an alias.
    fn doubles(side: Side, row: &Row) -> usize {
        let is_double = |other: &&Row| {
            let is_shared = row.of.iter().any(|plugin| other.of.contains(plugin));
            (other.key == row.key && is_shared) || other.aliases.contains(&row.key)
        };
        rows(side).iter().filter(is_double).count() - 1
    }

    #[test]
    fn a_word_means_one_key() {
        for side in SIDES {
            for row in rows(side) {
                let words = row.aliases.iter().chain([&row.key]);
                assert!(words.copied().all(|word| side.canonical(word) == row.key), "{row:?}");
                assert!(row.of.iter().all(|plugin| plugin.side() == side), "{row:?}");
                assert_eq!(doubles(side, row), 0, "{row:?}");
            }
        }
    }

    #[test]
    fn every_time_has_a_maximum_that_can_be_waited_for() {
        for row in SIDES.into_iter().flat_map(rows) {
            let Kind::Whole { max, .. } = row.kind else { continue };
            let seconds = match row.key {
                key if key.ends_with("-seconds") => max,
                key if key.ends_with("-ms") => max / 1000,
                _ => continue,
            };
            assert!(seconds <= i64::MAX / 1_000_000_000, "{row:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_told_where_it_belongs() {
        assert_eq!(meant(Side::Sink, "sink.node-url"), "did you mean \"node-urls\"?");
        assert_eq!(meant(Side::Sink, "Sink.IP"), "did you mean \"ip\"?");
        assert_eq!(meant(Side::Source, "batch.enable"), "it belongs to the sink");
        assert_eq!(meant(Side::Sink, "source.path"), "it belongs to the source");
        assert_eq!(meant(Side::Source, "exclusion"), "did you mean \"inclusion.exclusion\"?");
        assert_eq!(meant(Side::Sink, "colour"), "");
    }

    #[test]
    fn keys_of_iotdb_itself_are_known() {
        assert!(is_internal("__system.sql-dialect") && is_internal("source.consensus.group-id"));
        assert!(!is_internal("user"));
    }
}

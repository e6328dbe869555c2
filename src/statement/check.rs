//! One part of a pipe, held against the table: which plug-in it is, and what its attributes say.

use super::attributes::{Attribute, Attributes, MASK, Side};
use super::changes::Changes;
use super::known::{self, Here, Kind, Plugin, Row, Wording};
use super::moment::Moment;
use super::name::PluginName;
use super::nearest;
use super::pattern;
use super::remark::{Remark, Weight};
use super::settings::Externals;
use crate::data::Pattern;
use crate::data::compressor::Compressor;
use crate::limits::{PATTERNS_MAX, WRAPPERS_MAX};

/// One part, with the remarks about it. What the table can see is checked when it is read; afterwards
/// every attribute has a value, which is the default if none or a wrong one was written.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) side: Side,
    /// None if it was given and is not known.
    pub(super) plugin: Option<Plugin>,
    attributes: &'a Attributes,
    pub(super) remarks: Vec<Remark>,
}

impl<'a> Part<'a> {
    /// Checks every attribute by itself.
    pub(super) fn read(side: Side, attributes: &'a Attributes, externals: Externals<'_>) -> Self {
        let mut part = Self { side, plugin: None, attributes, remarks: Vec::new() };
        part.plugin = part.select(externals);
        part.check_spellings();
        if let Some(plugin) = part.plugin {
            part.check_each(plugin);
        }
        part
    }

    /// The same for attributes that are laid over others: a part without a plug-in may be any.
    pub(super) fn read_change(
        side: Side,
        attributes: &'a Attributes,
        externals: Externals<'_>,
    ) -> Self {
        let mut part = Self { side, plugin: None, attributes, remarks: Vec::new() };
        part.check_spellings();
        if part.find(side.name()).is_some() {
            part.plugin = part.select(externals);
        }
        for attribute in attributes.iter() {
            let key = side.canonical(&attribute.spelled);
            let row = known::rows(side).iter().find(|row| row.key == key);
            match row {
                Some(row) => part.check_value(row, attribute),
                None => part.remark_on_unknown(attribute),
            }
        }
        part
    }

    fn select(&mut self, externals: Externals<'_>) -> Option<Plugin> {
        let Some(selector) = self.find(self.side.name()) else {
            return Some(self.found(Plugin::default_of(self.side), None));
        };
        let name = selector.value.reveal();
        if let Some(plugin) = known::plugin(self.side, name) {
            return Some(self.found(plugin, Some(selector)));
        }
        let is_external = match externals {
            Externals::Created(names) => names.contains(&PluginName::new(name)),
            Externals::Any => self.side == Side::Sink,
        };
        let side = self.side;
        let meant = || {
            let meant = nearest(name, known::names(side));
            meant.map_or(String::new(), |meant| format!("did you mean {meant}?"))
        };
        if is_external && self.side == Side::Sink {
            if matches!(externals, Externals::Any) {
                let message = format!(
                    "{name} is not built in: the pipe stands still until CREATE PIPEPLUGIN {name}"
                );
                let hint = meant();
                self.warn(Some(selector), message, hint);
            }
            return Some(Plugin::ExternalSink);
        }
        let message = format!(
            "Failed to reflect PipePlugin instance, because PipePlugin {} has not been registered.",
            name.to_uppercase()
        );
        let hint = if is_external {
            format!("a plug-in of your own can be a sink, not a {}", self.side.name())
        } else {
            meant()
        };
        self.error(Some(selector), message, hint);
        None
    }

    /// Remarks on a plug-in that this build does not have.
    fn found(&mut self, plugin: Plugin, at: Option<&Attribute>) -> Plugin {
        if !plugin.is_in_this_build() {
            let name = at.map_or_else(
                || format!("{}, the default", plugin.name()),
                |at| at.value.to_string(),
            );
            let message = format!("{name}: this {} is not in this build", self.side.name());
            let hint = match self.side {
                Side::Source => "use iotdb-source, or leave it out",
                Side::Processor => "leave the clause out",
                Side::Sink => "use iotdb-thrift-sink, without TLS",
            };
            self.not_in_build(at, message, hint);
        }
        plugin
    }

    /// Refuses two spellings of one key that say different things; IoTDB silently takes one.
    fn check_spellings(&mut self) {
        let side = self.side;
        let keyed: Vec<(&str, &Attribute)> =
            self.attributes.iter().map(|each| (side.canonical(&each.spelled), each)).collect();
        for (index, (key, attribute)) in keyed.iter().enumerate() {
            let first = keyed.iter().take(index).find(|(other, _)| other == key);
            let first = first.map(|(_, other)| other);
            if let Some(other) = first.filter(|other| other.value != attribute.value) {
                let message =
                    format!("the same attribute as {:?}, with another value", other.spelled);
                self.error(Some(attribute), message, "keep one of the two");
            }
        }
    }

    /// Holds each attribute against its row. What an external plug-in's attributes are, it knows itself.
    fn check_each(&mut self, plugin: Plugin) {
        let is_external = plugin == Plugin::ExternalSink;
        for attribute in self.attributes.iter() {
            let key = self.side.canonical(&attribute.spelled);
            match known::row(self.side, key, plugin) {
                _ if known::is_internal(&attribute.spelled) => {}
                Some(row) if row.of.contains(&plugin) => {
                    self.check_value(row, attribute);
                    self.check_support(row, attribute, plugin);
                }
                _ if is_external => {}
                Some(_) => {
                    let message = format!("has no effect with {}", plugin.name());
                    self.warn(Some(attribute), message, "");
                }
                None => self.remark_on_unknown(attribute),
            }
        }
    }

    fn remark_on_unknown(&mut self, attribute: &Attribute) {
        let hint = known::meant(self.side, &attribute.spelled);
        self.warn(Some(attribute), "unknown attribute", hint);
    }

    fn check_value(&mut self, row: &Row, attribute: &Attribute) {
        if attribute.value.is_secret() && attribute.value.reveal() == MASK {
            self.warn(Some(attribute), "this is what is shown for a secret, not a secret", "");
        }
        if let Err((message, hint)) = fault(self.side, row, attribute.value.reveal()) {
            self.error(Some(attribute), message, hint);
        }
    }

    fn check_support(&mut self, row: &Row, attribute: &Attribute, plugin: Plugin) {
        if !plugin.is_in_this_build() {
            return; // which was said already
        }
        let value = attribute.value.reveal();
        let is_one_of =
            |values: &[&str]| values.iter().any(|each| each.eq_ignore_ascii_case(value));
        match row.here {
            Here::Honoured => {}
            Here::Inert(_, harmless) if is_one_of(harmless) => {}
            Here::Inert(why, _) => self.warn(Some(attribute), why, ""),
            Here::Missing(unless, _) if is_one_of(unless) => {}
            Here::Missing(_, why) => self.not_in_build(Some(attribute), why, "leave it out"),
        }
    }

    /// The attribute as it was written.
    pub(super) fn find(&self, key: &str) -> Option<&'a Attribute> {
        self.attributes.find(self.side, key)
    }

    /// What the attribute says, or its default; nothing if it is wrong.
    pub(super) fn text(&self, key: &'static str) -> &'a str {
        let plugin = self.plugin.unwrap_or_else(|| Plugin::default_of(self.side));
        let default = known::row(self.side, key, plugin).map_or("", |row| row.default);
        self.find(key).map_or(default, |attribute| attribute.value.reveal())
    }

    /// Whether the attribute says `true`.
    pub(super) fn flag(&self, key: &'static str) -> bool {
        self.text(key).eq_ignore_ascii_case("true")
    }

    /// The whole number that the attribute says.
    pub(super) fn whole(&self, key: &'static str) -> i64 {
        self.text(key).parse().unwrap_or(0)
    }

    /// The point in time that the attribute says.
    pub(super) fn moment(&self, key: &'static str) -> Option<Moment> {
        Moment::parse(self.text(key))
    }

    pub(super) fn error(
        &mut self,
        at: Option<&Attribute>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.remarks.push(Remark::new(Weight::Error, self.side, at, message, hint));
    }

    pub(super) fn warn(
        &mut self,
        at: Option<&Attribute>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.remarks.push(Remark::new(Weight::Warning, self.side, at, message, hint));
    }

    pub(super) fn not_in_build(
        &mut self,
        at: Option<&Attribute>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.remarks.push(Remark::new(Weight::NotInBuild, self.side, at, message, hint));
    }
}

/// What is wrong with a value, in stock's words, and a hint.
fn fault(side: Side, row: &Row, value: &str) -> Result<(), (String, String)> {
    let constant = || format!("{}.{}", side.name(), row.key);
    let invalid = |allowed: String| {
        let message =
            format!("Invalid value {value} of {}. The value should be {allowed}", constant());
        Err((message, String::new()))
    };
    let one_of = |words: &[&str]| invalid(format!("one of [{}]", words.join(", ")));
    let no_number =
        |expected: &str| Err((format!("For input string: {value:?}"), format!("write {expected}")));
    match row.kind {
        Kind::Plugin | Kind::Text | Kind::Secret | Kind::Target => Ok(()),
        Kind::Flag if known::FLAG_TEXTS.iter().any(|text| text.eq_ignore_ascii_case(value)) => {
            Ok(())
        }
        Kind::StrictFlag if known::FLAG_TEXTS.contains(&value) => Ok(()),
        Kind::Flag | Kind::StrictFlag => one_of(known::FLAG_TEXTS),
        Kind::Word(words, wording) => word_fault(words, wording, row.key, value, one_of),
        Kind::Whole { min, max, expected } => match value.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            Ok(_) => invalid(expected.to_owned()),
            Err(_) => no_number(expected),
        },
        Kind::Decimal { min, expected } => match decimal(value) {
            Some(number) if number >= min => Ok(()),
            Some(_) => invalid(expected.to_owned()),
            None => no_number(expected),
        },
        Kind::Compressors => {
            compressors(value).map(drop).map_err(|message| (message, String::new()))
        }
        Kind::Changes => changes_fault(row.key, value),
        Kind::Prefixes => patterns(value, pattern::prefix).map(drop),
        Kind::Paths => patterns(value, pattern::path).map(drop),
        Kind::Time if Moment::parse(value).is_some() => Ok(()),
        Kind::Time => time_fault(value),
        Kind::Loose if loose(value).is_some() => Ok(()),
        Kind::Loose => invalid("empty, all, or some of time, path".to_owned()),
    }
}

fn word_fault(
    words: &[&str],
    wording: Wording,
    key: &str,
    value: &str,
    one_of: impl Fn(&[&str]) -> Result<(), (String, String)>,
) -> Result<(), (String, String)> {
    if words.iter().any(|word| word.eq_ignore_ascii_case(value.trim())) {
        return Ok(());
    }
    let message = match wording {
        Wording::Invalid => return one_of(words),
        Wording::OneOf(what) => {
            format!("{what} should be one of [{}], but got {value}.", words.join(", "))
        }
        Wording::Either => format!(
            "The value of key connector.{key} or sink.{key} must be either '{}'.",
            words.join("' or '")
        ),
    };
    Err((message, String::new()))
}

fn changes_fault(key: &str, value: &str) -> Result<(), (String, String)> {
    if Changes::parse(value).is_some() {
        return Ok(());
    }
    let hint = "such as data.insert, data.delete, schema, auth, all";
    Err((format!("The '{key}' string contains illegal path."), hint.to_owned()))
}

/// As stock says it, which takes the text for one in its own zone and never says how far it came.
fn time_fault(value: &str) -> Result<(), (String, String)> {
    let message =
        format!("Text '{value}+00:00' could not be parsed, unparsed text found at index 0");
    let hint = "write 2023-08-23T08:00:00+08:00, or a number in the node's precision";
    Err((message, hint.to_owned()))
}

/// The patterns of a list, each once.
pub(super) fn patterns(
    text: &str,
    parse: impl Fn(&str) -> Result<Pattern, String>,
) -> Result<Vec<Pattern>, (String, String)> {
    let mut patterns = Vec::new();
    for part in pattern::list(text).filter(|_| !text.is_empty()) {
        let hint = "a pattern begins with root, and its nodes stand between dots";
        let pattern = parse(part).map_err(|message| (message, hint.to_owned()))?;
        if patterns.contains(&pattern) {
            continue;
        }
        if patterns.len() == PATTERNS_MAX {
            return Err((format!("more than {PATTERNS_MAX} patterns"), String::new()));
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

/// The chain of compressors; empty places count for nothing.
pub(super) fn compressors(text: &str) -> Result<heapless::Vec<Compressor, WRAPPERS_MAX>, String> {
    let mut chain = heapless::Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let compressor = Compressor::from_name(name).ok_or_else(|| {
            format!("Compressor should be one of [zstd, lz4, snappy, gzip, lzma2], but got {name}.")
        })?;
        chain.push(compressor).map_err(|_| format!("more than {WRAPPERS_MAX} compressors"))?;
    }
    Ok(chain)
}

/// A number in digits, perhaps with a sign and a fraction.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

/// What may be sent although it lies outside: of time, of path.
pub(super) fn loose(text: &str) -> Option<(bool, bool)> {
    let mut loose = (false, false);
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "time" => loose.0 = true,
            "path" => loose.1 = true,
            "all" => loose = (true, true),
            _ => return None,
        }
    }
    Some(loose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_its_bounds_is_told_with_key_value_and_range() {
        let sides = [Side::Source, Side::Processor, Side::Sink];
        let rows = sides.iter().flat_map(|side| known::rows(*side).iter().map(|row| (*side, row)));
        let mut refused = 0;
        for (side, row) in rows {
            let Kind::Whole { min, max, expected } = row.kind else { continue };
            for number in [i64::MAX, max, 1, 0, -1, min, i64::MIN] {
                let found = fault(side, row, &number.to_string());
                let key = format!("{}.{}", side.name(), row.key);
                let told =
                    format!("Invalid value {number} of {key}. The value should be {expected}");
                let is_within = (min..=max).contains(&number);
                let wanted = is_within.then_some(()).ok_or((told, String::new()));
                assert_eq!(found, wanted, "{row:?}");
                refused += usize::from(!is_within);
            }
            let beyond = fault(side, row, "9223372036854775808");
            let told = "For input string: \"9223372036854775808\"".to_owned();
            assert_eq!(beyond, Err((told, format!("write {expected}"))));
        }
        assert!(refused > 20, "{refused}");
    }
}

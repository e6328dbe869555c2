//! The attributes of one side of a pipe, under one spelling each.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::document::{Document, Section, described, into_table};
use crate::config::finding::nearest;
use crate::config::value::Secret;

/// Which clause of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Processor,
    Sink,
}

/// Attributes that were written; they are taken out one by one.
#[derive(Debug)]
pub(super) struct Attributes {
    side: Side,
    path: String,
    /// Of the clause, or of the stanza where there is no clause.
    span: Option<Range<usize>>,
    is_present: bool,
    list: Vec<Attribute>,
    known: Vec<&'static str>,
}

/// One attribute.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// Without prefix, aliases undone.
    key: String,
    /// As it was written.
    spelled: String,
    pub(super) value: String,
    span: Range<usize>,
}

impl Side {
    /// The name of the clause, older name second; also the key that selects the plug-in.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Source => &["source", "extractor"],
            Self::Processor => &["processor"],
            Self::Sink => &["sink", "connector"],
        }
    }

    /// The one spelling of `key`: one prefix of this side is cut, aliases are undone.
    fn canonical(self, key: &str) -> &str {
        let [name, ..] = self.names() else { return key };
        if self.names().contains(&key) {
            return name;
        }
        let prefixed =
            self.names().iter().find_map(|name| key.strip_prefix(name)?.strip_prefix('.'));
        let bare = prefixed.unwrap_or(key);
        ALIASES
            .iter()
            .find(|(side, alias, _)| *side == self && *alias == bare)
            .map_or(bare, |(_, _, canonical)| canonical)
    }
}

impl Attributes {
    /// Takes the clause of `side` out of a stanza.
    pub(super) fn read(stanza: &mut Section<'_>, side: Side, document: &mut Document<'_>) -> Self {
        let path = side.names().first().map_or(String::new(), |name| stanza.full(name));
        let (span, list, known) = (stanza.span(), Vec::new(), Vec::new());
        let mut attributes = Self { side, path, span, is_present: false, list, known };
        for name in side.names() {
            let Some(value) = stanza.raw(name) else { continue };
            attributes.is_present = true;
            attributes.path = stanza.full(name);
            attributes.span = Some(value.span());
            match into_table(value.into_inner()) {
                Ok(table) => attributes.add_table("", table, document),
                Err(message) => {
                    attributes.reject_all(&message, "write it as { key = value, ... }", document);
                }
            }
        }
        attributes
    }

    /// Adds a table; one within another is a dotted key that was written without quotes.
    fn add_table(&mut self, prefix: &str, table: DeTable<'_>, document: &mut Document<'_>) {
        for (key, value) in table {
            let (spelled, span) = (format!("{prefix}{}", key.get_ref()), value.span());
            let value = match value.into_inner() {
                DeValue::Table(inner) => {
                    self.add_table(&format!("{spelled}."), inner, document);
                    continue;
                }
                DeValue::String(text) => text.into_owned(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(flag) => flag.to_string(),
                other @ (DeValue::Datetime(_) | DeValue::Array(_)) => {
                    let message = format!("expected a text, found {}", described(&other));
                    document.error(Some(span), &self.full(&spelled), &message, "put it in quotes");
                    continue;
                }
            };
            self.add(spelled, value, span, document);
        }
    }

    fn add(
        &mut self,
        spelled: String,
        value: String,
        span: Range<usize>,
        document: &mut Document<'_>,
    ) {
        let key = self.side.canonical(&spelled).to_owned();
        match self.list.iter().find(|each| each.key == key) {
            Some(other) if other.value == value => {}
            Some(other) => {
                let message =
                    format!("the same attribute as {:?}, with another value", other.spelled);
                document.error(Some(span), &self.full(&spelled), &message, "keep one of the two");
            }
            None => self.list.push(Attribute { key, spelled, value, span }),
        }
    }

    /// Takes the attribute `key` out.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Attribute> {
        self.known.push(key);
        let index = self.list.iter().position(|each| each.key == key)?;
        Some(self.list.remove(index))
    }

    /// Takes the attribute `key` as what `parse` makes of it; `expected` says what that is.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        document: &mut Document<'_>,
    ) -> Option<T> {
        let attribute = self.take(key)?;
        let parsed = parse(&attribute.value);
        if parsed.is_none() {
            let message = format!("expected {expected}, found {:?}", attribute.value);
            self.reject(&attribute, &message, "", document);
        }
        parsed
    }

    /// Takes the attribute `key` as `true` or `false`, in any case.
    pub(super) fn flag(
        &mut self,
        key: &'static str,
        default: bool,
        document: &mut Document<'_>,
    ) -> bool {
        self.parsed(key, "true or false", flag, document).unwrap_or(default)
    }

    /// Takes attributes that may be given but change nothing here, and says so if `harmless` does not know the value.
    pub(super) fn without_effect(
        &mut self,
        key: &'static str,
        why: &str,
        harmless: &[&str],
        document: &mut Document<'_>,
    ) {
        let Some(attribute) = self.take(key) else { return };
        if !harmless.iter().any(|value| value.eq_ignore_ascii_case(&attribute.value)) {
            self.remark(&attribute, why, document);
        }
    }

    /// Takes an attribute that this build can only follow with one of the values `only`.
    pub(super) fn unless(
        &mut self,
        key: &'static str,
        only: &[&str],
        message: &str,
        hint: &str,
        document: &mut Document<'_>,
    ) {
        let Some(attribute) = self.take(key) else { return };
        if !only.iter().any(|value| value.eq_ignore_ascii_case(&attribute.value)) {
            self.reject(&attribute, message, hint, document);
        }
    }

    /// Notes a mistake at an attribute.
    pub(super) fn reject(
        &self,
        attribute: &Attribute,
        message: &str,
        hint: &str,
        document: &mut Document<'_>,
    ) {
        let span = Some(attribute.span.clone());
        document.error(span, &self.full(&attribute.spelled), message, hint);
    }

    /// Notes that something is missing in the clause.
    pub(super) fn reject_all(&self, message: &str, hint: &str, document: &mut Document<'_>) {
        document.error(self.span.clone(), &self.path, message, hint);
    }

    /// Notes that an attribute does not do what it looks like.
    pub(super) fn remark(&self, attribute: &Attribute, message: &str, document: &mut Document<'_>) {
        let span = Some(attribute.span.clone());
        document.warn(span, &self.full(&attribute.spelled), message, "");
    }

    /// Remarks on a secret that stands in the process list.
    pub(super) fn warn_of_clear(
        &self,
        attribute: &Attribute,
        secret: &Secret,
        document: &mut Document<'_>,
    ) {
        document.warn_of_clear(secret, &attribute.span, &self.full(&attribute.spelled));
    }

    /// Remarks on every attribute that nobody asked for.
    pub(super) fn finish(self, document: &mut Document<'_>) {
        for attribute in &self.list {
            let hint = nearest(&attribute.key, self.known.iter().copied())
                .map_or(String::new(), |meant| format!("did you mean {meant:?}?"));
            let span = Some(attribute.span.clone());
            document.warn(span, &self.full(&attribute.spelled), "unknown attribute", &hint);
        }
    }

    /// Whether the clause was written.
    pub(super) fn is_present(&self) -> bool {
        self.is_present
    }

    fn full(&self, spelled: &str) -> String {
        format!("{}.{spelled:?}", self.path)
    }
}

pub(super) fn flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Other words for an attribute, in this or an earlier version of IoTDB.
const ALIASES: &[(Side, &str, &str)] = &[
    (Side::Sink, "host", "ip"),
    (Side::Sink, "user", "username"),
    (Side::Source, "mods", "mods.enable"),
    (Side::Source, "user", "username"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_prefix_of_its_own_side_is_cut() {
        for (side, spelled, key) in [
            (Side::Sink, "sink.ip", "ip"),
            (Side::Sink, "connector.host", "ip"),
            (Side::Sink, "ip", "ip"),
            (Side::Sink, "connector", "sink"),
            (Side::Sink, "sink.user", "username"),
            (Side::Sink, "sink.source.ip", "source.ip"),
            (Side::Sink, "source.ip", "source.ip"),
            (Side::Sink, "Sink.ip", "Sink.ip"),
            (Side::Source, "extractor.path", "path"),
            (Side::Source, "extractor", "source"),
            (Side::Source, "mods", "mods.enable"),
            (Side::Processor, "processor", "processor"),
        ] {
            assert_eq!(side.canonical(spelled), key, "{spelled}");
        }
    }
}

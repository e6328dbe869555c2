//! One part of a pipe as a TOML table: attributes with the places where they were written.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::document::{Document, Section, described, into_table};
use crate::limits::ATTRIBUTES_MAX;
use crate::statement::{Attributes, Remark, Secret, Side, Weight};

/// The attributes of one part, and where the part itself stands.
#[derive(Debug)]
pub(super) struct Clause {
    side: Side,
    path: String,
    /// Of the clause, or of the stanza where there is no clause.
    span: Option<Range<usize>>,
    /// Whether the clause was written.
    pub(super) is_present: bool,
    /// Whether it could be read.
    pub(super) is_whole: bool,
    pub(super) attributes: Attributes,
}

impl Clause {
    /// Takes the clause of `side` out of a stanza.
    pub(super) fn read(stanza: &mut Section<'_>, side: Side, document: &mut Document<'_>) -> Self {
        let (path, span) = (stanza.full(side.name()), stanza.span());
        let attributes = Attributes::default();
        let mut clause = Self { side, path, span, is_present: false, is_whole: true, attributes };
        for name in side.names() {
            let Some(value) = stanza.raw(name) else { continue };
            clause.is_present = true;
            clause.path = stanza.full(name);
            clause.span = Some(value.span());
            match into_table(value.into_inner()) {
                Ok(table) => clause.add_table("", table, document),
                Err(message) => {
                    clause.is_whole = false;
                    clause.reject(&message, "write it as { key = value, ... }", document);
                }
            }
        }
        clause
    }

    /// What a statement, which stands at `span` under `path`, says of a part.
    pub(super) fn of_statement(
        side: Side,
        attributes: &Attributes,
        path: String,
        span: Range<usize>,
    ) -> Self {
        let mut placed = Attributes::default();
        for attribute in attributes.iter() {
            let value = attribute.value.reveal().to_owned();
            placed.push(side, attribute.spelled.clone(), value, span.clone());
        }
        Self { side, path, span: Some(span), is_present: true, is_whole: true, attributes: placed }
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
            if self.attributes.len() == ATTRIBUTES_MAX {
                let message = format!("more than {ATTRIBUTES_MAX} attributes");
                document.error(Some(span), &self.full(&spelled), &message, "");
                return;
            }
            document.note_span(self.full(&spelled), span.clone());
            self.attributes.push(self.side, spelled, value, span);
        }
    }

    /// Notes what the check says about this part.
    pub(super) fn note(&self, remarks: &[Remark], document: &mut Document<'_>) {
        for remark in remarks.iter().filter(|remark| remark.side == self.side) {
            let span = remark.span.clone().or_else(|| self.span.clone());
            let key = remark.key.as_ref().map_or_else(|| self.path.clone(), |key| self.full(key));
            match remark.weight {
                Weight::Warning => document.warn(span, &key, &remark.message, &remark.hint),
                Weight::NotInBuild | Weight::Error => {
                    document.error(span, &key, &remark.message, &remark.hint);
                }
            }
        }
    }

    /// Remarks on secrets that stand in the process list.
    pub(super) fn warn_of_clear(&self, document: &mut Document<'_>) {
        for attribute in self.attributes.iter().filter(|each| each.value.is_secret()) {
            let secret = Secret::parse(attribute.value.reveal(), document.base());
            document.warn_of_clear(&secret, &attribute.span, &self.full(&attribute.spelled));
        }
    }

    /// Notes that something is wrong with the whole part.
    pub(super) fn reject(&self, message: &str, hint: &str, document: &mut Document<'_>) {
        document.error(self.span.clone(), &self.path, message, hint);
    }

    fn full(&self, spelled: &str) -> String {
        format!("{}.{spelled:?}", self.path)
    }
}

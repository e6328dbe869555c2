//! A configuration as it was written: the file with the `--set` arguments laid over it, and tables
//! from which keys are taken one by one.
//!
//! ```text
//!  spans:  0 ............ text.len() | text.len()+1 ......... text.len()+n
//!          bytes of the file         | the n arguments, one number each
//! ```
//!
//! So every value, wherever it came from, still knows its [`Place`].

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::finding::{Finding, Findings, Place, Severity};
use super::places::Places;
use crate::statement::Secret;
use crate::statement::nearest;

/// Where the values come from, and what was found wrong with them.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// Name and text of the file, if there is one.
    file: Option<(&'a Path, &'a str)>,
    sets: &'a [String],
    findings: Findings,
    places: Places,
}

/// A table whose keys are taken out; what is left at the end is unknown.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    table: DeTable<'a>,
    /// Where the section begins; keys that are missing are reported there.
    span: Option<Range<usize>>,
    /// Keys that were asked for, with their spans where they are there.
    known: Vec<(&'static str, Option<Range<usize>>)>,
}

impl<'a> Document<'a> {
    /// Parses the file and lays the arguments over it.
    pub(super) fn parse(
        file: Option<(&'a Path, &'a str)>,
        sets: &'a [String],
    ) -> (Self, Section<'a>) {
        let mut document =
            Self { file, sets, findings: Findings::default(), places: Places::default() };
        let (table, errors) = DeTable::parse_recoverable(document.text());
        for error in errors {
            document.error(error.span(), "", error.message(), "");
        }
        let mut root = Section {
            path: String::new(),
            table: table.into_inner(),
            span: None,
            known: Vec::new(),
        };
        for (index, argument) in sets.iter().enumerate() {
            let at = document.text().len() + 1 + index;
            if let Err(message) = set(&mut root.table, argument, at..at) {
                document.error(Some(at..at), "", message, "");
            }
        }
        (document, root)
    }

    fn text(&self) -> &'a str {
        self.file.map_or("", |(_, text)| text)
    }

    /// What was found so far.
    pub(super) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// What was found.
    pub(super) fn into_findings(self) -> Findings {
        self.findings
    }

    /// Where the keys were written that have been read so far.
    pub(super) fn take_places(&mut self) -> Places {
        std::mem::take(&mut self.places)
    }

    /// Notes where a key was written.
    pub(super) fn note(&mut self, key: String, place: Place) {
        self.places.add(key, place);
    }

    /// The same of a key that stands at `span`.
    pub(super) fn note_span(&mut self, key: String, span: Range<usize>) {
        let place = self.place(Some(span));
        self.note(key, place);
    }

    /// Notes what was found in another file.
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.add(finding);
    }

    /// The directory that relative paths of the file are relative to.
    pub(super) fn base(&self) -> &'a Path {
        self.file.and_then(|(path, _)| path.parent()).unwrap_or_else(|| Path::new(""))
    }

    /// `path`, relative to the file if it was written there.
    pub(super) fn resolve(&self, path: &Path, span: &Range<usize>) -> PathBuf {
        if self.is_argument(span) { path.to_owned() } else { self.base().join(path) }
    }

    /// Notes a mistake.
    pub(super) fn error(
        &mut self,
        span: Option<Range<usize>>,
        key: &str,
        message: &str,
        hint: &str,
    ) {
        self.find(Severity::Error, span, key, message, hint);
    }

    /// Notes a remark.
    pub(super) fn warn(
        &mut self,
        span: Option<Range<usize>>,
        key: &str,
        message: &str,
        hint: &str,
    ) {
        self.find(Severity::Warning, span, key, message, hint);
    }

    /// Remarks on a secret that stands in the process list.
    pub(super) fn warn_of_clear(&mut self, secret: &Secret, span: &Range<usize>, key: &str) {
        if matches!(secret, Secret::Clear(_)) && self.is_argument(span) {
            let message = "a secret in an argument is seen in the process list";
            self.warn(Some(span.clone()), key, message, "write file:PATH or env:NAME");
        }
    }

    /// Whether what lies there came from the command line.
    fn is_argument(&self, span: &Range<usize>) -> bool {
        span.start > self.text().len()
    }

    fn find(
        &mut self,
        severity: Severity,
        span: Option<Range<usize>>,
        key: &str,
        message: &str,
        hint: &str,
    ) {
        self.findings.add(Finding {
            severity,
            place: self.place(span),
            key: key.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        });
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let Some(span) = span else { return Place::Nowhere };
        let text = self.text();
        if let Some(argument) = span.start.checked_sub(text.len() + 1) {
            let argument = self.sets.get(argument).map_or("", String::as_str);
            let key = argument.split_once('=').map_or(argument, |(key, _)| key);
            return Place::Argument(format!("--set {key}"));
        }
        let Some((file, _)) = self.file else { return Place::Nowhere };
        let line = text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
        Place::Line { file: file.display().to_string(), line }
    }
}

impl<'a> Section<'a> {
    /// A table within an array, with its own path for people.
    pub(super) fn of(path: String, table: DeTable<'a>, span: Range<usize>) -> Self {
        Self { path, table, span: Some(span), known: Vec::new() }
    }

    /// The table under `key`, empty if there is none.
    pub(super) fn section(&mut self, key: &'static str, document: &mut Document<'_>) -> Self {
        let mut section =
            Self { path: self.full(key), table: DeTable::new(), span: None, known: Vec::new() };
        let Some(value) = self.raw(key) else { return section };
        section.span = Some(value.span());
        match into_table(value.into_inner()) {
            Ok(table) => section.table = table,
            Err(message) => document.error(section.span.clone(), &section.path, &message, ""),
        }
        section
    }

    /// The value under `key`, untyped.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        let found = self.table.remove(key);
        self.known.push((key, found.as_ref().map(Spanned::span)));
        found
    }

    /// The value under `key`; none if it is not there or is no `T`, which is noted.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        document: &mut Document<'_>,
    ) -> Option<T> {
        let value = self.raw(key)?;
        let span = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(value),
            Err(error) => {
                document.error(Some(span), &self.full(key), error.message().trim_end(), "");
                None
            }
        }
    }

    /// The same with a default.
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        default: T,
        document: &mut Document<'_>,
    ) -> T {
        self.optional(key, document).unwrap_or(default)
    }

    /// Whether the value under `key` is this text; it is taken out then.
    pub(super) fn is_text(&mut self, key: &'static str, text: &str) -> bool {
        let is = self.table.get(key).is_some_and(|value| value.get_ref().as_str() == Some(text));
        if is {
            self.raw(key);
        }
        is
    }

    /// A path; relative to the file if it was written there.
    pub(super) fn path(
        &mut self,
        key: &'static str,
        document: &mut Document<'_>,
    ) -> Option<PathBuf> {
        let path: PathBuf = self.optional(key, document)?;
        let span = self.span_of(key)?;
        if path.as_os_str().is_empty() {
            document.error(Some(span), &self.full(key), "the path is empty", "");
            return None;
        }
        Some(document.resolve(&path, &span))
    }

    /// Whether the section was written at all.
    pub(super) fn is_present(&self) -> bool {
        self.span.is_some()
    }

    /// Where the section begins.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    /// Notes that the value of `key` cannot be.
    pub(super) fn reject(
        &self,
        key: &'static str,
        message: &str,
        hint: &str,
        document: &mut Document<'_>,
    ) {
        let span = self.span_of(key).or_else(|| self.span.clone());
        document.error(span, &self.full(key), message, hint);
    }

    /// Notes that the value of `key` does not do what it looks like.
    pub(super) fn remark(
        &self,
        key: &'static str,
        message: &str,
        hint: &str,
        document: &mut Document<'_>,
    ) {
        let span = self.span_of(key).or_else(|| self.span.clone());
        document.warn(span, &self.full(key), message, hint);
    }

    /// The same of the whole section.
    pub(super) fn remark_all(&self, message: &str, hint: &str, document: &mut Document<'_>) {
        document.warn(self.span.clone(), &self.path, message, hint);
    }

    /// Notes where its keys were written, and every key that nobody asked for.
    pub(super) fn finish(self, document: &mut Document<'_>) {
        for (key, span) in &self.known {
            if let Some(span) = span {
                document.note_span(self.full(key), span.clone());
            }
        }
        for (key, _) in &self.table {
            let known = self.known.iter().map(|(known, _)| *known);
            let hint = match nearest(key.get_ref(), known.clone()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
            };
            document.error(Some(key.span()), &self.full(key.get_ref()), "unknown key", &hint);
        }
    }

    /// Where `key` was written.
    pub(super) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.known.iter().find(|(known, _)| *known == key).and_then(|(_, span)| span.clone())
    }

    /// The dotted key of `key`.
    pub(super) fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Lays `KEY=VALUE` over the tables; a value that is no TOML is a text.
fn set<'a>(
    mut table: &mut DeTable<'a>,
    argument: &'a str,
    span: Range<usize>,
) -> Result<(), &'static str> {
    let (path, value) = argument.split_once('=').ok_or("expected KEY=VALUE")?;
    let value = match DeValue::parse(value.trim()) {
        Ok(value) => value.into_inner(),
        Err(_) => DeValue::String(value.into()),
    };
    let mut keys = path.trim().split('.').peekable();
    while let Some(key) = keys.next() {
        if key.is_empty() {
            return Err("expected KEY=VALUE with a dotted configuration key");
        }
        let name = Spanned::new(span.clone(), key.into());
        if keys.peek().is_none() {
            table.remove(key); // insert would keep the span of the key that is there
            table.insert(name, respanned(value, &span));
            return Ok(());
        }
        let inner = table
            .entry(name)
            .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
        let DeValue::Table(inner) = inner.get_mut() else {
            return Err("a part of the key is not a table");
        };
        table = inner;
    }
    Err("expected KEY=VALUE")
}

/// `value` with `span` in all its parts.
fn respanned<'a>(value: DeValue<'a>, span: &Range<usize>) -> Spanned<DeValue<'a>> {
    let value = match value {
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let key = Spanned::new(span.clone(), key.into_inner());
                    (key, respanned(value.into_inner(), span))
                })
                .collect(),
        ),
        DeValue::Array(list) => {
            let mut respanned_list = DeArray::new();
            list.into_iter()
                .for_each(|each| respanned_list.push(respanned(each.into_inner(), span)));
            DeValue::Array(respanned_list)
        }
        scalar @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => scalar,
    };
    Spanned::new(span.clone(), value)
}

/// The table that a value is.
///
/// # Errors
/// A message that says what it is instead.
pub(super) fn into_table(value: DeValue<'_>) -> Result<DeTable<'_>, String> {
    let kind = described(&value);
    if let DeValue::Table(table) = value {
        Ok(table)
    } else {
        Err(format!("expected a table, found {kind}"))
    }
}

/// The kind of a value, as people say it.
pub(super) fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

//! `[[pipe]]`: attributes as in SQL, or a statement itself, made into settings of the parts that this
//! build has.
//!
//! ```text
//!  source = { "source.path" = "root.**" }     Definition      check         settings,
//!  sink   = { "connector.host" = "10.0.0.1" } ----------> crate::statement -> mistakes, remarks
//!  statement = "create pipe .. with sink (..)"
//! ```

mod clause;

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::document::{Document, Section, into_table};
use crate::limits::PIPES_MAX;
use crate::statement::{
    AirGapSink, CreatePipe, Definition, Externals, Parsed, PipeName, Side, Sink, Statement,
    Surroundings, parse,
};
use clause::Clause;

/// A pipe of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeConfig {
    /// Its name.
    pub name: String,
    /// What it does, as it was written.
    pub definition: Definition,
    /// Its far side, if it has one.
    pub sink: Option<AirGapSink>,
}

/// Reads all `[[pipe]]` of `root`; those with mistakes are left out.
///
/// With `plugins` a sink that is not built in is a plug-in, which is created by statement: before or after.
pub(super) fn read_all(
    root: &mut Section<'_>,
    plugins: bool,
    document: &mut Document<'_>,
) -> Vec<PipeConfig> {
    let externals = if plugins { Externals::Any } else { Externals::Created(&[]) };
    let Some(value) = root.raw("pipe") else { return Vec::new() };
    let span = value.span();
    let DeValue::Array(stanzas) = value.into_inner() else {
        document.error(Some(span), "pipe", "expected a list of tables", "write it as [[pipe]]");
        return Vec::new();
    };
    let mut pipes: Vec<PipeConfig> = Vec::new();
    for (index, stanza) in stanzas.into_iter().enumerate() {
        if index == PIPES_MAX {
            let message = format!("more than {PIPES_MAX} pipes");
            document.error(Some(stanza.span()), "pipe", &message, "use further nodes");
            break;
        }
        pipes.extend(read_stanza(index, stanza, (&pipes, externals), document));
    }
    pipes
}

fn read_stanza(
    index: usize,
    stanza: Spanned<DeValue<'_>>,
    (others, externals): (&[PipeConfig], Externals<'_>),
    document: &mut Document<'_>,
) -> Option<PipeConfig> {
    let (span, path) = (stanza.span(), format!("pipe[{index}]"));
    document.note_span(path.clone(), span.clone());
    let table = into_table(stanza.into_inner())
        .inspect_err(|message| {
            document.error(Some(span.clone()), &path, message, "write it as [[pipe]]");
        })
        .ok()?;
    let mut section = Section::of(path, table, span);
    let statement = section.optional::<String>("statement", document);
    if let Some(at) = section.span_of("statement") {
        let create = read_statement(&statement?, &section, document);
        let path = section.full("statement");
        section.finish(document);
        return from_statement(&create?, &path, &at, (others, externals), document);
    }
    let name = read_name(&mut section, others, document);
    let source = Clause::read(&mut section, Side::Source, document);
    let processor = Clause::read(&mut section, Side::Processor, document);
    let sink = Clause::read(&mut section, Side::Sink, document);
    section.finish(document);
    if !sink.is_present {
        sink.reject("is missing", "add sink = { sink = \"iotdb-air-gap-sink\" }", document);
        return None;
    }
    if ![&source, &processor, &sink].iter().all(|clause| clause.is_whole) {
        return None;
    }
    let read = read_parts(&[source, processor, sink], externals, document);
    let (name, (definition, sink)) = (name?, read?);
    Some(PipeConfig { name, definition, sink })
}

/// The one statement of a stanza.
fn read_statement(
    text: &str,
    section: &Section<'_>,
    document: &mut Document<'_>,
) -> Option<CreatePipe> {
    let hint = "write it as create pipe NAME with sink (...)";
    let parsed = match parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            section.reject("statement", &error.message(), "", document);
            return None;
        }
    };
    let mut parsed = parsed.into_iter();
    if let (Some(Parsed { statement: Statement::CreatePipe(create), warnings }), None) =
        (parsed.next(), parsed.next())
    {
        for warning in &warnings {
            section.remark("statement", &warning.to_string(), "", document);
        }
        return Some(create);
    }
    section.reject("statement", "expected one CREATE PIPE", hint, document);
    None
}

fn from_statement(
    create: &CreatePipe,
    path: &str,
    at: &Range<usize>,
    (others, externals): (&[PipeConfig], Externals<'_>),
    document: &mut Document<'_>,
) -> Option<PipeConfig> {
    let name = create.name.as_str().to_owned();
    if others.iter().any(|other| other.name == name) {
        let message = format!("there is a pipe {name:?} already");
        document.error(Some(at.clone()), path, &message, "choose another name");
        return None;
    }
    let clauses = [Side::Source, Side::Processor, Side::Sink].map(|side| {
        let path = format!("{path}.{}", side.name());
        Clause::of_statement(side, create.definition.side(side), path, at.clone())
    });
    let (definition, sink) = read_parts(&clauses, externals, document)?;
    Some(PipeConfig { name, definition, sink })
}

/// Checks the parts together; none if the pipe cannot run in this build, which is noted.
fn read_parts(
    clauses: &[Clause; 3],
    externals: Externals<'_>,
    document: &mut Document<'_>,
) -> Option<(Definition, Option<AirGapSink>)> {
    let [source, processor, sink] = clauses;
    let definition = Definition {
        source: source.attributes.clone(),
        processor: processor.attributes.clone(),
        sink: sink.attributes.clone(),
    };
    let surroundings = Surroundings { base: document.base(), externals };
    let checked = definition.check(surroundings);
    for clause in clauses {
        clause.note(&checked.remarks, document);
        clause.warn_of_clear(document);
    }
    match checked.settings?.sink {
        Sink::AirGap(sink) => Some((definition, Some(*sink))),
        Sink::DoNothing | Sink::External(_) => Some((definition, None)),
        Sink::Thrift(sink) => Some((definition, Some(sink.far))),
    }
}

fn read_name(
    section: &mut Section<'_>,
    others: &[PipeConfig],
    document: &mut Document<'_>,
) -> Option<String> {
    let Some(name) = section.optional::<String>("name", document) else {
        if section.span_of("name").is_none() {
            section.reject("name", "is missing", "give the pipe a name", document);
        }
        return None;
    };
    let fault = match PipeName::new(name.as_str()).check() {
        Err(fault) => fault.to_string(),
        Ok(()) if others.iter().any(|other| other.name == name) => {
            format!("there is a pipe {name:?} already")
        }
        Ok(()) => return Some(name),
    };
    section.reject("name", &fault, "choose another name", document);
    None
}

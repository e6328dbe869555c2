//! `[[pipe]]`: attributes as in SQL, made into settings of the parts that this build has.
//!
//! ```text
//!  source = { "source.path" = "root.**" }     prefixes and aliases       settings,
//!  sink   = { "connector.host" = "10.0.0.1" } -------------------> key -> mistakes, remarks
//! ```
//!
//! A key may stand with or without one prefix of its side (`source.`, `extractor.`; `processor.`;
//! `sink.`, `connector.`) and under its aliases. Two spellings with different values are a mistake, where
//! IoTDB silently takes one. An unknown key is a remark, since IoTDB accepts it too.

mod attributes;
mod sink;
mod source;

use std::num::NonZeroU64;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::document::{Document, Section, into_table};
use super::node_urls::NodeUrls;
use super::value::Secret;
use crate::limits::{PIPES_MAX, WRAPPERS_MAX};
use crate::wire::compressed::Compressor;
use attributes::{Attributes, Side};

/// A pipe of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeConfig {
    /// Its name.
    pub name: String,
    /// Its far side.
    pub sink: AirGapSink,
}

/// `iotdb-air-gap-sink`: what its attributes say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own")]
pub struct AirGapSink {
    /// The gates.
    pub targets: NodeUrls,
    /// Which gate comes next.
    pub order: GateOrder,
    /// Limit of the connect, and of the handshake's answer.
    pub handshake_timeout: Duration,
    /// Limit of the answer to a seal at first.
    pub seal_timeout: Duration,
    /// Wrap each frame in the text envelope that some gates want.
    pub e_language: bool,
    /// Try the handshake of 1.3.0 and before after the newer one was refused.
    pub handshake_v1_fallback: bool,
    /// Bytes of a file in one frame.
    pub piece_bytes: usize,
    /// Compressors, applied in this order.
    pub compressors: heapless::Vec<Compressor, WRAPPERS_MAX>,
    /// The level of zstd, wherever it stands in the chain.
    pub zstd_level: i32,
    /// Bytes per second; none for no limit.
    pub rate_limit: Option<NonZeroU64>,
    /// User at the far side.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Whether the far side marks the data as having come by a pipe.
    pub mark_as_pipe_request: bool,
    /// Whether the far side casts values of another type.
    pub convert_on_type_mismatch: bool,
    /// How the far side loads files.
    pub load_strategy: LoadStrategy,
    /// Whether the far side checks files against its schema.
    pub load_validation: bool,
    /// Whether the far side skips what the user may not write.
    pub skip_if_no_privileges: bool,
    /// After this long a refused entry is put aside as a dead letter; none for never.
    pub give_up_after: Option<Duration>,
}

/// Which of several gates comes next (`load-balance-strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GateOrder {
    /// The next one after each loss.
    #[default]
    RoundRobin,
    /// Any.
    Random,
    /// The first that can be had, in the order of the list.
    Priority,
}

/// How the far side loads files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadStrategy {
    /// Before it answers.
    Sync,
    /// After it answered.
    Async,
}

/// Reads all `[[pipe]]` of `root`; those with mistakes are left out.
pub(super) fn read_all(root: &mut Section<'_>, document: &mut Document<'_>) -> Vec<PipeConfig> {
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
        pipes.extend(read_stanza(index, stanza, &pipes, document));
    }
    pipes
}

fn read_stanza(
    index: usize,
    stanza: Spanned<DeValue<'_>>,
    others: &[PipeConfig],
    document: &mut Document<'_>,
) -> Option<PipeConfig> {
    let (span, path) = (stanza.span(), format!("pipe[{index}]"));
    let table = into_table(stanza.into_inner())
        .inspect_err(|message| {
            document.error(Some(span.clone()), &path, message, "write it as [[pipe]]");
        })
        .ok()?;
    let mut section = Section::of(path, table, span);
    if section.raw("statement").is_some() {
        section.reject(
            "statement",
            "statements come with a later version",
            "write the pipe as name, source and sink",
            document,
        );
        return None;
    }
    let name = read_name(&mut section, others, document);
    let source = Attributes::read(&mut section, Side::Source, document);
    let processor = Attributes::read(&mut section, Side::Processor, document);
    let sink = Attributes::read(&mut section, Side::Sink, document);
    section.finish(document);
    source::check(source, document);
    source::check_processor(processor, document);
    let sink = sink::read(sink, document);
    Some(PipeConfig { name: name?, sink: sink? })
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
    let fault = if name.is_empty() || name.len() > PIPE_NAME_BYTES_MAX {
        format!("a pipe's name has 1 to {PIPE_NAME_BYTES_MAX} bytes")
    } else if name.starts_with("__") {
        "names that begin with __ are reserved".to_owned()
    } else if matches!(name.as_str(), "." | "..") || name.contains(['/', '\\', '\0']) {
        "the name becomes a directory and cannot be one".to_owned()
    } else if others.iter().any(|other| other.name == name) {
        format!("there is a pipe {name:?} already")
    } else {
        return Some(name);
    };
    section.reject("name", &fault, "choose another name", document);
    None
}

/// The name becomes a directory and a part of file names.
const PIPE_NAME_BYTES_MAX: usize = 64;

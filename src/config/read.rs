//! Reads a whole configuration: the sections in their order, with the defaults of the role.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::document::{Document, Section};
use super::finding::Findings;
use super::properties::Properties;
use super::{Config, Place, Places, Role, between, pipe, sections};
use crate::data::Precision;
use crate::limits::{SEAL_TIMEOUT_DEFAULT, STATUS_TEXT_BYTES_MAX};

/// What a configuration is read from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Which program it is for.
    pub role: Role,
    /// Name and text of the file, if there is one.
    pub file: Option<(&'a Path, &'a str)>,
    /// Name and text of IoTDB's own file, if [`properties_file`] names one.
    pub properties: Option<(&'a Path, &'a str)>,
    /// `KEY=VALUE` of the command line; later ones win.
    pub sets: &'a [String],
    /// `--data-dir`, which wins over everything.
    pub data_dir: Option<&'a Path>,
    /// `$STATE_DIRECTORY`, the default of `data_dir` under systemd.
    pub state_directory: Option<&'a str>,
    /// The default of `name`.
    pub host_name: &'a str,
}

/// Where IoTDB's own file lies, if the configuration refers to one; what it sets is read with [`Input::properties`].
pub fn properties_file(input: Input<'_>) -> Option<PathBuf> {
    let (mut document, mut root) = Document::parse(input.file, input.sets);
    root.path("properties", &mut document)
}

/// Reads a configuration. With an error among the findings it is incomplete and must not be run.
pub fn read(input: Input<'_>) -> (Config, Findings) {
    let (mut document, mut root) = Document::parse(input.file, input.sets);
    let unreadable = document.findings().has_errors().then(|| document.findings().clone());
    let mut config = read_root(input, &mut root, &mut document);
    root.finish(&mut document);
    config.places = document.take_places();
    note_data_dir(input, &mut config);
    let mut findings = document.into_findings();
    if !findings.has_errors() {
        for finding in between::check(&config) {
            findings.add(finding);
        }
    }
    // What follows from a mistake of syntax is noise.
    (config, unreadable.unwrap_or(findings))
}

fn read_root(input: Input<'_>, root: &mut Section<'_>, document: &mut Document<'_>) -> Config {
    let role = input.role;
    let name = name(root, input.host_name, document);
    let cluster_id = root.optional::<String>("cluster_id", document).filter(|id| !id.is_empty());
    let data_dir = data_dir(input, root, document);
    root.path("properties", document);
    let properties = input.properties.map(|file| Properties::read(file, &data_dir, document));
    let properties = properties.unwrap_or_default();
    let timestamp_precision = precision(root, properties.precision, document);
    let plugins = sections::plugins(root, &properties, &data_dir, document);
    let pipes = pipe::read_all(root, plugins.allow, document);
    let landing = sections::landing(root, role, !pipes.is_empty(), &data_dir, document);
    Config {
        role,
        name,
        cluster_id,
        timestamp_precision,
        spool: sections::spool(root, landing.max_delay, document),
        gate: sections::gate(root, (role, input.file.is_some()), &properties, document),
        session: sections::session(root, timestamp_precision, document),
        intake: sections::intake(root, document),
        inbox: sections::inbox(root, role, &data_dir, document),
        landing,
        plugins,
        compat: sections::compat(root, document),
        seal_timeout: properties.seal_timeout.unwrap_or(SEAL_TIMEOUT_DEFAULT),
        rate_limit: properties.rate_limit,
        pipes,
        quarantine_max_bytes: sections::quarantine(root, document),
        alarm_command: sections::alarm(root, document),
        status_listen: sections::status(root, document),
        log_level: sections::log(root, document),
        data_dir,
        places: Places::default(),
        base: document.base().to_owned(),
    }
}

fn name(root: &mut Section<'_>, host_name: &str, document: &mut Document<'_>) -> String {
    let name = root.take("name", host_name.to_owned(), document);
    if name.is_empty() || name.len() > STATUS_TEXT_BYTES_MAX || name.contains(char::is_control) {
        root.reject("name", "expected a short text without control characters", "", document);
    }
    name
}

/// `default` is that of another file.
fn precision(
    root: &mut Section<'_>,
    default: Option<Precision>,
    document: &mut Document<'_>,
) -> Option<Precision> {
    let Some(text) = root.optional::<String>("timestamp_precision", document) else {
        return default;
    };
    match text.as_str() {
        "auto" => None,
        "ms" => Some(Precision::Ms),
        "us" => Some(Precision::Us),
        "ns" => Some(Precision::Ns),
        _ => {
            let message = format!("expected \"auto\", \"ms\", \"us\" or \"ns\", found {text:?}");
            root.reject("timestamp_precision", &message, "", document);
            None
        }
    }
}

/// `--data-dir`, then the key, then `$STATE_DIRECTORY` (its first directory), then one beside the
/// working directory.
fn data_dir(input: Input<'_>, root: &mut Section<'_>, document: &mut Document<'_>) -> PathBuf {
    let written = root.path("data_dir", document);
    let state = input.state_directory.and_then(|dirs| dirs.split(':').next());
    let state = state.filter(|dir| !dir.is_empty()).map(PathBuf::from);
    input
        .data_dir
        .map(Path::to_owned)
        .or(written)
        .or(state)
        .unwrap_or_else(|| PathBuf::from(format!("./{}", input.role.program())))
}

/// Notes where the data directory was named, if that was not in the file.
fn note_data_dir(input: Input<'_>, config: &mut Config) {
    let is_state = input.state_directory.is_some_and(|dirs| !dirs.is_empty());
    let place = match (input.data_dir, config.places.of("data_dir")) {
        (Some(_), _) => "--data-dir",
        (None, Place::Nowhere) if is_state => "$STATE_DIRECTORY",
        (None, _) => return,
    };
    config.places.add("data_dir".to_owned(), Place::Argument(place.to_owned()));
}

/// Reads an address to listen on.
pub(super) fn listen(
    section: &mut Section<'_>,
    default: SocketAddr,
    document: &mut Document<'_>,
) -> SocketAddr {
    let Some(text) = section.optional::<String>("listen", document) else { return default };
    text.parse().unwrap_or_else(|_| {
        let message = format!("{text:?} is not an address and a port");
        section.reject("listen", &message, "such as \"127.0.0.1:9780\"", document);
        default
    })
}

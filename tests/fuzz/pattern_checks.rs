//! What holds for any patterns, series and deletions: shared as `checks.rs` is.

use std::path::Path;

use penstock::data::identity::OriginId;
use penstock::data::legal::{is_device, is_measurement};
use penstock::data::path::{matches, nodes, unquoted};
use penstock::data::{Identity, Pattern, Precision, Sequence, Series, TimeRange};
use penstock::limits::ENTRY_BYTES_MAX;
use penstock::pipe::source::{Birthplace, Filter, Verdict};
use penstock::spool::{Arrival, EntryHeader, Kind, Source as From};
use penstock::statement::{Externals, Source, Statement, Surroundings, parse};
use penstock::wire::bytes::Writer;
use penstock::wire::delete::{self, Delete, PathKind};
use penstock::wire::request::{Head, RequestType};

/// A filter takes of a device what its patterns match as texts, also where it remembers the device; and leaves of a
/// deletion no path that the pipe does not send, and every series that it does. Lines: `path`, `path.exclusion`,
/// `pattern` and `pattern.exclusion` of a source, a device, a measurement, and paths that are deleted.
pub(crate) fn pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let keys = ["path", "path.exclusion", "pattern", "pattern.exclusion"];
    let attributes = keys.map(|key| (key, lines.next().unwrap_or_default()));
    let Some(source) = source(&attributes) else { return };
    let (device, measurement) =
        (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let deleted: Vec<&str> = lines.collect();
    let series = [device, measurement];
    let birth = Birthplace { border: Sequence(0), created_ms: 0, offset_seconds: 0 };
    let mut filter = Filter::new(&source, birth);
    let is_series = device.starts_with("root.")
        && is_device(device)
        && nodes(device).all(is_node)
        && is_measurement(measurement)
        && is_node(measurement);
    for _ in 0..2 {
        let is_foreign = filter.is_foreign(&HEADER, device.as_bytes());
        let (matcher, _) = filter.selection(&HEADER).expect("everything is sent");
        let found = matcher.series(device);
        assert_eq!(found == Series::None, is_foreign);
        if is_series {
            assert_eq!(found.wants(measurement), source.takes(series));
        }
    }
    let is_exact = source.include.iter().chain(&source.exclude).all(is_exact);
    if is_series && is_exact && deleted.iter().all(|path| is_path(path)) {
        deletion(&source, &mut filter, &deleted, series);
    }
}

/// The source that these attributes make, if they are right.
fn source(attributes: &[(&str, &str)]) -> Option<Source> {
    let said = attributes.iter().filter(|(_, value)| !value.is_empty());
    let said: Vec<String> =
        said.map(|(key, value)| format!("'{key}'='{}'", value.replace('\'', "''"))).collect();
    let said = said.join(",");
    let text = format!("create pipe p with source ({said}) with sink ('sink'='do-nothing-sink')");
    let parsed = parse(&text).expect("values are quoted");
    let Statement::CreatePipe(create) = &parsed.first()?.statement else { return None };
    let around = Surroundings { base: Path::new("/"), externals: Externals::Any };
    create.definition.check(around).settings.map(|settings| settings.source)
}

trait Takes {
    fn takes(&self, series: [&str; 2]) -> bool;
}

impl Takes for Source {
    fn takes(&self, series: [&str; 2]) -> bool {
        self.include.takes(series) && !self.exclude.takes(series)
    }
}

impl Takes for Vec<Pattern> {
    fn takes(&self, series: [&str; 2]) -> bool {
        let series = series.join(".");
        self.iter().any(|pattern| match pattern {
            Pattern::Prefix(prefix) => series.starts_with(prefix.as_str()),
            Pattern::Path(path) => matches(path, &series),
        })
    }
}

/// What is left of a deletion takes no series that is not included or not deleted, and all that are sent and deleted.
/// One that is excluded may go, as the far side has it not from here.
fn deletion(source: &Source, filter: &mut Filter, deleted: &[&str], series: [&str; 2]) {
    let paths: Vec<Vec<&str>> = deleted.iter().map(|path| nodes(path).collect()).collect();
    let borrowed: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    let mut writer = Writer::into_vec(&mut payload, ENTRY_BYTES_MAX);
    Head::of(RequestType::PlanNode).write(&mut writer);
    delete::write(PathKind::Partial, &borrowed, TimeRange::ALL, "1", &mut writer);
    if writer.finish().is_err() {
        return;
    }
    let whole = series.join(".");
    let is_deleted = deleted.iter().any(|path| matches(path, &whole));
    let goes = match filter.request(&HEADER, &payload, &mut out) {
        Verdict::Unfit(_) => return,
        Verdict::Skip => false,
        Verdict::Whole => is_deleted,
        Verdict::Part { .. } => {
            let (left, _) = Delete::decode(&out[Head::BYTES..]).expect("written").expect("written");
            left.paths().any(|path| matches(&path.nodes().collect::<Vec<_>>().join("."), &whole))
        }
    };
    assert!(!goes || is_deleted && source.include.takes(series), "too much is deleted");
    assert!(goes || !is_deleted || !source.takes(series), "too little is deleted");
}

/// Whether a pattern takes the same as text and as path: a prefix in needless back quotes takes other texts.
fn is_exact(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Prefix(prefix) => nodes(prefix).all(is_node),
        Pattern::Path(_) => true,
    }
}

/// Whether a text is one node, without needless back quotes.
fn is_node(text: &str) -> bool {
    nodes(text).count() == 1 && unquoted(text) == text
}

/// Whether a text is a path as the nodes of a deletion are, with wildcards or without.
fn is_path(text: &str) -> bool {
    is_device(&text.replace('*', "a")) && nodes(text).all(is_node)
}

const IDENTITY: Identity = Identity { origin: OriginId([7; 16]), sequence: Sequence(1) };
/// Of an entry that says nothing of its times.
const HEADER: EntryHeader = EntryHeader {
    segment: 1,
    sequence: IDENTITY.sequence,
    synced: IDENTITY.sequence,
    arrival: Arrival { wall_ms: 0, trusted: true },
    kind: Kind::Opaque,
    source: From::Own,
    hops: 0,
    precision: Some(Precision::Ms),
    time_range: None,
    device: 7,
    identity: IDENTITY,
    void_entries: 0,
    file_count: 0,
    content_crc: None,
    payload_bytes: 0,
    payload_crc: 0,
};

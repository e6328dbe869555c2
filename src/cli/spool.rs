//! `spool` and `new-id`: what lies in a data directory, of a running or a stopped node.

use std::io::Write;
use std::path::Path;

use super::table::{Side, Table};
use super::{CliError, Ending, Options, SpoolCommand, load, owner, spool_files, status};
use crate::config::{Config, Role};
use crate::data::Sequence;
use crate::node;
use crate::ops::clock::{self, EpochMillis};
use crate::ops::human::{Bytes, Line};
use crate::spool::{
    Entry, EntryHeader, FileList, Kind, Reader, RealDisk, Source, Spool, SpoolError,
};
use crate::wire::bytes::Reader as WireReader;
use crate::wire::request::Head;

/// `spool ...`.
pub(super) fn spool(
    role: Role,
    options: &Options,
    command: &SpoolCommand,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let config = load::load(role, options)?.usable()?;
    let open = || open(&config);
    match command {
        SpoolCommand::Ls { from, limit } => list(&mut open()?, *from, *limit, out),
        SpoolCommand::Show { sequence } => show(&mut open()?, Sequence(*sequence), out),
        SpoolCommand::Verify => spool_files::verify(&mut open()?, out),
        SpoolCommand::Export { range, dir } => {
            let (first, last) = parse_range(range)?;
            spool_files::export(&mut open()?, first, last, dir, out)
        }
        SpoolCommand::Release => release(role, options, &config, out),
    }
}

/// The spool as it lies there.
fn open(config: &Config) -> Result<Reader<RealDisk>, CliError> {
    let dir = &config.data_dir;
    if !dir.join("spool").is_dir() {
        return Err(CliError::NoSpool { dir: dir.clone() });
    }
    Ok(Reader::open_read_only(RealDisk::new(dir))?)
}

/// Says whose directory it is that is in use.
fn in_use(dir: &Path) -> impl FnOnce(SpoolError) -> CliError {
    move |error| {
        if matches!(error, SpoolError::Locked { .. }) {
            CliError::Runs { dir: dir.to_owned() }
        } else {
            error.into()
        }
    }
}

/// `new-id`.
pub(super) fn new_id(
    role: Role,
    options: &Options,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let config = load::load(role, options)?.usable()?;
    let dir = &config.data_dir;
    // A mistyped directory is not to become a spool.
    if !dir.join("spool").is_dir() {
        return Err(CliError::NoNode { dir: dir.clone() });
    }
    owner::refuse_root(role, dir)?;
    let origin = Spool::new_id(&RealDisk::new(dir)).map_err(in_use(dir))?;
    writeln!(out, "the node in {} is now {}", dir.display(), origin.text().as_str())?;
    Ok(Ending::Done)
}

fn list(
    reader: &mut Reader<RealDisk>,
    from: u64,
    limit: u64,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    reader.seek(Sequence(from.max(reader.oldest().0)));
    let limit = if limit == 0 { u64::MAX } else { limit };
    let mut listed = 0;
    let mut payload = Vec::new();
    while listed < limit {
        let mut table = listing();
        let mut rows = 0;
        while rows < PAGE_ROWS && listed < limit {
            let Some(entry) = reader.next_entry()? else { break };
            table.row(listed_row(reader, &entry, &mut payload)?);
            rows += 1;
            listed += 1;
        }
        if rows == 0 {
            break;
        }
        table.print(0, out)?;
    }
    let (next, end) = (reader.position().0, reader.synced().0);
    if next < end {
        writeln!(out, "{listed} entries; more: spool ls --from {next}")?;
    } else {
        writeln!(out, "{listed} entries")?;
    }
    Ok(Ending::Done)
}

fn listing() -> Table {
    Table::new(&[
        ("sequence", Side::Right),
        ("kind", Side::Left),
        ("arrived", Side::Left),
        ("from", Side::Left),
        ("bytes", Side::Right),
        ("what", Side::Left),
    ])
}

fn listed_row(
    reader: &Reader<RealDisk>,
    entry: &Entry,
    payload: &mut Vec<u8>,
) -> Result<[String; 6], CliError> {
    let header = &entry.header;
    let (bytes, what) = match header.kind {
        Kind::File => {
            spool_files::read_payload(reader, entry, payload)?;
            files_in_short(payload)
        }
        Kind::Tablet => (u64::from(header.payload_bytes), times(header)),
        Kind::Opaque | Kind::Void => {
            spool_files::read_payload(reader, entry, payload)?;
            (u64::from(header.payload_bytes), request_type(payload))
        }
    };
    Ok([
        header.sequence.0.to_string(),
        kind(header.kind).to_owned(),
        arrived(header),
        source(header.source).to_owned(),
        Bytes(bytes).to_string(),
        what,
    ])
}

fn files_in_short(payload: &[u8]) -> (u64, String) {
    let Some(list) = FileList::parse(payload) else { return (0, "unreadable list".to_owned()) };
    let names: Vec<&str> = list.files().filter_map(|file| file.name).collect();
    (list.files().map(|file| file.bytes).sum(), names.join(", "))
}

fn show(
    reader: &mut Reader<RealDisk>,
    sequence: Sequence,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    reader.seek(sequence);
    let entry = reader.next_entry()?.filter(|entry| entry.header.sequence == sequence);
    let entry = entry.ok_or(CliError::NoEntry(sequence))?;
    let header = &entry.header;
    let mut payload = Vec::new();
    spool_files::read_payload(reader, &entry, &mut payload)?;
    writeln!(out, "sequence   {}", header.sequence.0)?;
    writeln!(out, "kind       {}", kind(header.kind))?;
    writeln!(out, "identity   {}", header.identity.plan_node_id().as_str())?;
    writeln!(out, "from       {}, {} hops before this node", source(header.source), header.hops)?;
    writeln!(out, "arrived    {}", arrived(header))?;
    if let Some(precision) = header.precision {
        writeln!(out, "precision  {}", precision.text())?;
    }
    writeln!(out, "times      {}", times(header))?;
    writeln!(out, "payload    {} bytes, CRC-32 {:08x}", header.payload_bytes, header.payload_crc)?;
    match FileList::parse(&payload).filter(|_| header.kind == Kind::File) {
        None => writeln!(out, "request    {}", request_type(&payload))?,
        Some(list) => {
            for (index, file) in list.files().enumerate() {
                let name = Line(file.name.unwrap_or("(absent)"));
                let hash = blake3::Hash::from_bytes(file.hash).to_hex();
                writeln!(out, "file {index}     {name}, {} bytes, blake3 {hash}", file.bytes)?;
            }
            for (key, value) in list.parameters() {
                let (key, value) = (Line(key), Line(value.unwrap_or("(none)")));
                writeln!(out, "parameter  {key}={value}")?;
            }
        }
    }
    Ok(Ending::Done)
}

/// Asks a running node, or does it in the directory of a stopped one.
fn release(
    role: Role,
    options: &Options,
    config: &Config,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    if status::running(role, options)?.is_some() {
        let socket = status::socket(role, options)?;
        let said = status::ask(&socket, "/spool/release", Some(String::new()))?;
        write!(out, "{said}")?;
        return Ok(Ending::Done);
    }
    drop(open(config)?); // nothing is made where there is no spool
    owner::refuse_root(role, &config.data_dir)?;
    let disk = RealDisk::new(&config.data_dir);
    let (mut spool, _) =
        Spool::open(disk.clone(), node::spool_settings(config), clock::now(), clock::wall().0)
            .map_err(in_use(&config.data_dir))?;
    let released = node::release_stopped(&mut spool, disk, config)?;
    spool.close(clock::now())?;
    writeln!(out, "{released}")?;
    Ok(Ending::Done)
}

/// `17` or `17-29`.
fn parse_range(text: &str) -> Result<(u64, u64), CliError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let parsed = first.trim().parse().ok().zip(last.trim().parse().ok());
    parsed
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| CliError::Usage(format!("{text:?} is no range; write it as 17 or 17-29")))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Void => "void",
        Kind::Tablet => "tablet",
        Kind::File => "file",
        Kind::Opaque => "opaque",
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Own => "inbox",
        Source::Peer(_) => "penstock",
        Source::Stock { .. } => "iotdb",
    }
}

fn arrived(header: &EntryHeader) -> String {
    if header.arrival.trusted {
        EpochMillis(header.arrival.wall_ms).to_string()
    } else {
        "undated".to_owned()
    }
}

fn times(header: &EntryHeader) -> String {
    let unit = header.precision.map_or("", |precision| precision.text());
    match header.time_range {
        Some(range) => format!("times {} to {} {unit}", range.min, range.max),
        None => "times unknown".to_owned(),
    }
}

fn request_type(payload: &[u8]) -> String {
    let head = Head::read(&mut WireReader::new(payload));
    match head.and_then(Head::known) {
        Ok(known) => format!("type {}, {known:?}", known.code()),
        Err(_) => "of an unknown type".to_owned(),
    }
}

/// Rows whose columns are made to fit each other.
const PAGE_ROWS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_sequence_or_two() {
        assert_eq!(parse_range("17").ok(), Some((17, 17)));
        assert_eq!(parse_range("17-29").ok(), Some((17, 29)));
        for wrong in ["", "a", "9-8", "1-", "-1", "1-2-3"] {
            let error = parse_range(wrong).unwrap_err().to_string();
            assert!(error.contains("write it as 17 or 17-29"), "{error}");
        }
    }
}

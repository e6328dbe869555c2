//! The spool on a simulated disk: what it promises, whatever the disk does.

mod basics;
mod faults;
mod flips;
mod model;
mod repeated;
mod restarts;
mod reused;
mod room;
mod starts;
mod unreadable;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::data::{Identity, OriginId, Precision, ReadAt, Sequence, TimeRange};
use crate::spool::{
    AppendError, Arrival, Cursor, Disk, FileList, Kind, LinkId, NewEntry, NewFileEntry, Outcome,
    Reader, Recovery, RequestKey, SealedFile, Settings, SimDisk, Source, Spool,
};

const SEGMENT: usize = 8 * 1024;
const SEGMENT_BYTES: u64 = SEGMENT as u64;
const DISK_BYTES: u64 = 16 * 1024 * 1024;
const ARRIVAL: Arrival = Arrival { wall_ms: 1_790_000_000_000, trusted: true };

fn settings() -> Settings {
    Settings {
        segment_bytes: SEGMENT_BYTES,
        segment_max_age: Duration::from_secs(60),
        max_bytes: 8 * 1024 * 1024,
        reserve_bytes: 0,
        ..Settings::default()
    }
}

#[expect(clippy::disallowed_methods, reason = "any moment will do as the beginning")]
fn beginning() -> Instant {
    Instant::now()
}

fn open(disk: &SimDisk) -> (Spool<SimDisk>, Recovery) {
    Spool::open(disk.clone(), settings(), beginning(), ARRIVAL.wall_ms).unwrap()
}

fn fresh(seed: u64) -> (SimDisk, Spool<SimDisk>) {
    let disk = SimDisk::new(seed, DISK_BYTES);
    let (spool, recovery) = open(&disk);
    assert!(recovery.created && !recovery.crashed);
    (disk, spool)
}

fn opaque(payload: &[u8], source: Source) -> NewEntry<'_> {
    NewEntry {
        kind: Kind::Opaque,
        source,
        hops: 0,
        precision: Some(Precision::Ms),
        time_range: Some(TimeRange { min: 1, max: 2 }),
        payload,
    }
}

fn append<D: Disk>(spool: &mut Spool<D>, payload: &[u8]) -> Sequence {
    match spool.append(opaque(payload, Source::Own), ARRIVAL).unwrap() {
        Outcome::Appended(sequence) => sequence,
        Outcome::Duplicate(_) => panic!("own entries are never duplicates"),
    }
}

fn peer(sequence: u64) -> Source {
    Source::Peer(Identity { origin: OriginId([7; 16]), sequence: Sequence(sequence) })
}

fn stock(hash: u128, link: LinkId, part: u32) -> Source {
    let request = RequestKey { cluster: 1, hash };
    Source::Stock { request, link, part, last: false }
}

/// Reads everything from a position on: sequence and payload.
fn read_all<D: Disk>(reader: &mut Reader<D>) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut payload = vec![0; entry.header.payload_bytes as usize];
        assert_eq!(reader.read_payload(&entry, 0, &mut payload).unwrap(), payload.len());
        assert_eq!(crc32fast::hash(&payload), entry.header.payload_crc);
        all.push((entry.header.sequence.0, payload));
    }
    all
}

fn read<D: Disk>(spool: &Spool<D>) -> Vec<(u64, Vec<u8>)> {
    read_all(&mut spool.reader(Sequence(1)))
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// Seals one file with these bytes.
fn seal<D: Disk>(
    spool: &mut Spool<D>,
    name: &str,
    bytes: &[u8],
    source: Source,
) -> Result<Outcome, AppendError> {
    let id = spool.create_partial()?;
    spool.write_partial(id, 0, bytes)?;
    let file = SealedFile {
        name: Some(name),
        partial: Some(id),
        bytes: bytes.len() as u64,
        hash: hash(bytes),
    };
    spool.seal(file_entry(&[file], source), ARRIVAL)
}

fn file_entry<'a>(files: &'a [SealedFile<'a>], source: Source) -> NewFileEntry<'a> {
    NewFileEntry {
        source,
        hops: 0,
        precision: None,
        time_range: None,
        request_type: 5,
        files,
        request_crc: None,
        parameters: &[],
    }
}

/// Reads all files of all file entries: sequence, name, bytes.
fn read_files<D: Disk>(spool: &Spool<D>) -> Vec<(u64, String, Vec<u8>)> {
    let mut reader = spool.reader(Sequence(1));
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        if entry.header.kind != Kind::File {
            continue;
        }
        let mut payload = vec![0; entry.header.payload_bytes as usize];
        reader.read_payload(&entry, 0, &mut payload).unwrap();
        let list = FileList::parse(&payload).unwrap();
        for (index, listed) in list.files().enumerate() {
            let Some(name) = listed.name else { continue };
            let file = reader.open_file(&entry, &list, index).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
            file.read_at(0, &mut bytes).unwrap();
            assert_eq!(hash(&bytes), listed.hash);
            all.push((entry.header.sequence.0, name.to_owned(), bytes));
        }
    }
    all
}

fn names_in(disk: &SimDisk, dir: &str) -> Vec<String> {
    let in_dir = |path: &Path| path.parent() == Some(Path::new(dir));
    let files = disk.files().into_iter().filter(|(path, _)| in_dir(path));
    files.map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn at(position: u64) -> Cursor {
    Cursor::at(Sequence(position))
}

/// Names of all segments.
fn segments(disk: &SimDisk) -> Vec<String> {
    let is_segment = |name: &String| Path::new(name).extension().is_some_and(|end| end == "seg");
    names_in(disk, "spool").into_iter().filter(is_segment).collect()
}

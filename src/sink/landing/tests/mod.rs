//! Landing over a disk that forgets and fails, and over a whole spool.

mod away;
mod meddled;
mod removed;
mod requests;
mod room;
mod tablets;
mod taken;
mod unfit;
mod with_spool;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::line::Line;
use super::*;
use crate::data::{Identity, Precision, ReadAt, TimeRange};
use crate::spool::{
    self, Arrival, EntryHeader, Fault, Kind, NewEntry, NewFileEntry, Outcome, Place, ReadError,
    RealDisk, SealedFile, SimDisk, Source as EntrySource, Spool,
};
use crate::twin::{self, Found};
use crate::wire::build;
use crate::wire::bytes::Writer;
use crate::wire::node::NodeType;
use crate::wire::request::RequestType;
use crate::wire::sample::{Rng, Sample};

/// How long tablets wait.
const DELAY: Duration = Duration::from_secs(60);
const TS_FILE: &[u8] = include_bytes!("../../../../tests/samples/v3_tiny.tsfile");
const NOON: EpochMillis = EpochMillis(1_795_361_628_250);
const NODE: OriginId = OriginId([0xaa; 16]);
const ORIGIN: OriginId = OriginId([0xbb; 16]);

/// Entries as a spool would show them.
#[derive(Debug, Clone, Default)]
struct Entries {
    items: Vec<(Item, Vec<Vec<u8>>)>,
    position: Sequence,
    last: usize,
    /// Entries whose files the spool has lost.
    gone: Vec<u64>,
    /// Entries whose files the disk does not give back.
    unreadable: Vec<u64>,
    /// Entries whose place in the log the disk does not give back.
    lost: Vec<u64>,
    /// What is lost is stepped over.
    forgives: bool,
    /// Entries below were dropped: their payloads and files are gone.
    oldest: Sequence,
}

impl twin::Source for Entries {
    fn seek(&mut self, to: Sequence) {
        self.position = to;
    }

    fn next(&mut self) -> Result<Option<Found>, ReadError> {
        let found = Source::next(self)?.map(|item| item.header);
        let place = |header: EntryHeader| Place { segment: header.sequence.0, offset: 0 };
        Ok(found.map(|header| Found { header, place: place(header) }))
    }

    fn read_at(&mut self, place: Place, into: &mut [u8]) -> Result<usize, ReadError> {
        let (_, files) = (self.items.iter())
            .find(|(item, _)| item.header.sequence.0 == place.segment)
            .expect("a place of ours");
        if self.unreadable.contains(&place.segment) {
            let (operation, path) = ("read", PathBuf::from("spool"));
            return Err(ReadError::Disk {
                operation,
                path,
                source: io::Error::from_raw_os_error(5),
            });
        }
        let rest = &files[0][usize::try_from(place.offset).expect("small")..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Source for Entries {
    type File = Bytes;
    type Tablets = Self;

    fn tablets(&self) -> Self {
        self.clone()
    }

    fn seek(&mut self, to: Sequence) {
        self.position = to;
    }

    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        let position = self.position.max(self.oldest);
        let forgives = std::mem::take(&mut self.forgives);
        let at = self.items.iter().position(|(item, _)| {
            let sequence = item.header.sequence;
            sequence >= position && !(forgives && self.lost.contains(&sequence.0))
        });
        let Some(at) = at else { return Ok(None) };
        let item = self.items[at].0.clone();
        if self.lost.contains(&item.header.sequence.0) {
            let source = io::Error::from_raw_os_error(5);
            return Err(ReadError::Disk { operation: "read", path: "spool".into(), source });
        }
        (self.position, self.last) = (item.header.sequence.next(), at);
        Ok(Some(item))
    }

    fn oldest(&self) -> Sequence {
        self.oldest
    }

    fn forgive(&mut self) {
        self.forgives = true;
    }

    fn open(&mut self, part: Part) -> Result<Bytes, ReadError> {
        let (item, files) = &self.items[self.last];
        let sequence = item.header.sequence;
        if sequence < self.oldest {
            let source = io::ErrorKind::NotFound.into();
            return Err(ReadError::Disk {
                operation: "open",
                path: PathBuf::from("spool"),
                source,
            });
        }
        let bytes = match part {
            Part::Stored(index) if self.gone.contains(&sequence.0) => {
                return Err(ReadError::File { sequence, index });
            }
            Part::Stored(index) => files[index].clone(),
            Part::Payload => files[0].clone(),
            Part::Seal => SEAL.to_vec(),
        };
        Ok(Bytes(bytes, self.unreadable.contains(&sequence.0)))
    }
}

/// What a seal is said to be.
const SEAL: &[u8] = b"\x01\x00\x66 the seal";

/// Bytes, and whether the disk fails to give them.
#[derive(Debug)]
struct Bytes(Vec<u8>, bool);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.1 {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.0.as_slice().read_at(offset, into)
    }
}

impl Entries {
    fn push(&mut self, sequence: u64, request_type: Option<u16>, files: &[(&str, &[u8])]) {
        let header = EntryHeader {
            segment: 1,
            sequence: Sequence(sequence),
            synced: Sequence(sequence),
            arrival: Arrival { wall_ms: NOON.0, trusted: true },
            kind: if request_type.is_some() { Kind::File } else { Kind::Tablet },
            source: EntrySource::Own,
            hops: 0,
            precision: Some(Precision::Ms),
            time_range: Some(TimeRange { min: 1, max: 9 }),
            identity: Identity { origin: ORIGIN, sequence: Sequence(sequence + 100) },
            device: 0,
            void_entries: 0,
            file_count: 1,
            payload_bytes: 0,
            content_crc: None,
            payload_crc: 0,
        };
        let listed = files.iter().map(|(name, bytes)| ItemFile {
            name: Some((*name).to_owned()),
            bytes: bytes.len(),
            hash: *blake3::hash(bytes).as_bytes(),
        });
        let item = Item { header, request_type, files: listed.collect() };
        self.items.push((item, files.iter().map(|(_, bytes)| bytes.to_vec()).collect()));
    }

    /// A tablet of points that no other one has.
    fn push_tablet(&mut self, sequence: u64, sample: &Sample) {
        let mut payload = Vec::new();
        sample.encode("1", &mut payload);
        self.push(sequence, None, &[("", &payload)]);
        let item = &mut self.items.last_mut().expect("just pushed").0;
        item.header.payload_bytes = payload.len().try_into().expect("small");
        item.request_type = Some(2);
        item.files.clear();
    }

    /// A request that is no data.
    fn push_request(&mut self, sequence: u64, payload: &[u8]) {
        self.push(sequence, None, &[("", payload)]);
        let item = &mut self.items.last_mut().expect("just pushed").0;
        item.header.kind = Kind::Opaque;
        item.header.payload_bytes = payload.len().try_into().expect("small");
        item.request_type = Some(u16::from_be_bytes([payload[1], payload[2]]));
        item.files.clear();
    }

    /// Two files, one of them with mods, and a void between them.
    fn sample() -> Self {
        let mut entries = Self::default();
        entries.push(3, Some(5), &[("a.tsfile", TS_FILE)]);
        entries.push(5, Some(9), &[("b.tsfile.mods", b"DELETION"), ("b.tsfile", TS_FILE)]);
        entries
    }
}

fn settings(limits: Limits) -> Settings {
    Settings {
        dir: PathBuf::from("/land"),
        node: NODE,
        next_sequence: Sequence(1000),
        max_file_bytes: 64 << 20,
        max_delay: DELAY,
        limits,
    }
}

fn open(
    disk: &SimDisk,
    entries: &Entries,
    position: u64,
    limits: Limits,
) -> Result<Landing<SimDisk, Entries>, LandingError> {
    let cursor = Cursor { position: Sequence(position), ..Cursor::default() };
    Landing::open(disk.clone(), settings(limits), entries.clone(), cursor)
}

/// Steps until there is nothing to do, or until an error; returns what was reported.
fn run(landing: &mut Landing<SimDisk, Entries>, now: Instant) -> Result<Vec<Step>, LandingError> {
    let mut steps = Vec::new();
    for _ in 0..10_000 {
        match landing.step(now, NOON)? {
            Step::Idle => return Ok(steps),
            Step::Worked => {}
            step @ Step::Full { .. } => {
                steps.push(step);
                return Ok(steps);
            }
            step @ Step::Unfit { .. } => {
                assert!(matches!(landing.step(now, NOON), Ok(Step::Unfit { .. })), "it waits");
                steps.push(step);
                landing.put_aside();
            }
            step @ Step::Landed(_) => steps.push(step),
        }
    }
    panic!("landing does not come to rest");
}

#[expect(clippy::disallowed_methods, reason = "any start will do")]
fn start() -> Instant {
    Instant::now()
}

const DISK_BYTES: u64 = 64 * 1024 * 1024;

fn disk() -> SimDisk {
    SimDisk::new(7, DISK_BYTES)
}

/// Paths below the landing directory.
fn paths(disk: &SimDisk) -> impl Iterator<Item = String> {
    let paths = disk.files().into_iter().map(|(path, _)| path.display().to_string());
    paths.filter(|path| path.starts_with("/land/"))
}

fn landed(disk: &SimDisk) -> Vec<String> {
    paths(disk).filter(|path| !path.contains("/.") && !path.contains("jsonl")).collect()
}

/// Files that have no name yet.
fn hidden_files(disk: &SimDisk) -> Vec<String> {
    paths(disk).filter(|path| path.contains("/.") && path.contains(".tsfile")).collect()
}

/// The ledger's lines.
fn ledger(disk: &SimDisk) -> Vec<Line> {
    let text = String::from_utf8(contents(disk, "/land/landing.jsonl")).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

fn contents(disk: &SimDisk, path: &str) -> Vec<u8> {
    disk.contents(Path::new(path)).expect("it is there")
}

/// A script takes a file away, for good.
fn fetch(disk: &SimDisk, path: &str) {
    let path = Path::new(path);
    disk.remove(path).expect("it is there");
    disk.sync_dir(path.parent().expect("in a directory")).expect("synced");
}

const A: &str = "/land/2026-11-22/3-3-a.tsfile";
const B: &str = "/land/2026-11-22/5-5-b.tsfile";
const B_MODS: &str = "/land/2026-11-22/5-5-b.tsfile.mods";

#[test]
fn files_land_with_a_line_each() {
    let disk = disk();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    let steps = run(&mut landing, start()).expect("lands");
    let told = steps.iter().filter_map(|step| {
        let Step::Landed(landed) = step else { return None };
        Some((landed.sequences.0.0, landed.sequences.1.0, landed.bytes))
    });
    assert_eq!(told.collect::<Vec<_>>(), [(3, 3, 228), (5, 5, 236)]);
    assert_eq!(landed(&disk), [A, B, B_MODS]);
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(6)));
    assert_eq!(landing.landed(), Totals { files: 2, bytes: 464, points: 6 });

    let text = String::from_utf8(contents(&disk, "/land/landing.jsonl")).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    let hash = blake3::hash(TS_FILE).to_hex().to_string();
    assert_eq!(
        lines[1],
        serde_json::json!({
            "what": "file", "name": "2026-11-22/5-5-b.tsfile", "bytes": 228, "blake3": hash,
            "sequences": [5, 5], "devices": 1, "points": 3,
            "time_range": [1, 9], "precision": "ms",
            "node": "aa".repeat(16), "origin": "bb".repeat(16), "origin_sequences": [105, 105],
            "with": [{
                "name": "2026-11-22/5-5-b.tsfile.mods", "bytes": 8,
                "blake3": blake3::hash(b"DELETION").to_hex().to_string(),
            }],
            "through": 5, "landed": {"files": 2, "bytes": 464, "points": 6},
        })
    );
}

/// Runs, crashes at the given call, starts again, and fetches what lies there after each.
fn fetched_over_a_crash(seed: u64, call: u64) -> BTreeMap<String, u32> {
    let disk = SimDisk::new(seed, DISK_BYTES);
    let mut fetched = BTreeMap::new();
    disk.schedule(call, Fault::Io, true);
    let mut position = Sequence(3);
    if let Ok(mut landing) = open(&disk, &Entries::sample(), 3, Limits::default()) {
        let _crashed = run(&mut landing, start());
        // The cursor is durable from time to time only.
        if call.is_multiple_of(2) {
            position = landing.cursor().position;
        }
    }
    disk.crash();
    disk.heal();
    fetch_all(&disk, &mut fetched);
    let mut landing =
        open(&disk, &Entries::sample(), position.0, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    fetch_all(&disk, &mut fetched);
    assert_eq!(hidden_files(&disk), [""; 0], "leftovers after a crash at call {call}");
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(6)));
    fetched
}

fn fetch_all(disk: &SimDisk, fetched: &mut BTreeMap<String, u32>) {
    for path in landed(disk) {
        let expected = if path == B_MODS { b"DELETION".as_slice() } else { TS_FILE };
        assert_eq!(contents(disk, &path), expected, "{path}");
        fetch(disk, &path);
        *fetched.entry(path).or_default() += 1;
    }
}

/// Calls that landing the sample takes on a sound disk.
fn calls_of_a_run() -> u64 {
    let disk = disk();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    disk.calls().all
}

#[test]
fn each_file_lands_exactly_once_wherever_a_crash_falls() {
    let expected = BTreeMap::from([A, B, B_MODS].map(|path| (path.to_owned(), 1)));
    for call in 0..=calls_of_a_run() {
        for seed in 0..20 {
            assert_eq!(fetched_over_a_crash(seed, call), expected, "call {call} seed {seed}");
        }
    }
}

#[test]
fn an_error_at_any_call_is_made_good_by_the_next_steps() {
    for fault in [Fault::Io, Fault::NoSpace, Fault::Short] {
        for call in 0..calls_of_a_run() {
            let disk = disk();
            disk.schedule(call, fault, false);
            let landing = open(&disk, &Entries::sample(), 3, Limits::default());
            let mut landing = landing
                .or_else(|_| open(&disk, &Entries::sample(), 3, Limits::default()))
                .expect("opens at the second try");
            if run(&mut landing, start()).is_err() {
                run(&mut landing, start()).expect("lands");
            }
            assert_eq!(landed(&disk), [A, B, B_MODS], "{fault:?} {call}");
            assert_eq!(hidden_files(&disk), [""; 0], "{fault:?} {call}");
            assert_eq!(landing.cursor(), &Cursor::at(Sequence(6)));
            // A failed sync may have taken bytes away: what lies there has to be whole.
            fetch_all(&disk, &mut BTreeMap::new());
        }
    }
}

#[test]
fn a_torn_line_is_cut_and_lines_of_others_are_put_aside() {
    for torn in [&b"{\"name\":\"x"[..], b"garbage\n", b"\0\0\0\0", b"{}\n{\n\n"] {
        let disk = disk();
        let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
        run(&mut landing, start()).expect("lands");
        drop(landing);
        let ledger = [contents(&disk, "/land/landing.jsonl"), torn.to_vec()].concat();
        disk.place(Path::new("/land/landing.jsonl"), &ledger);
        let mut entries = Entries::sample();
        entries.push(6, Some(0), &[("c.tsfile", TS_FILE)]);
        let mut landing = open(&disk, &entries, 4, Limits::default()).expect("opens");
        let steps = run(&mut landing, start()).expect("lands");
        assert!(matches!(&steps[..], [Step::Landed(landed)] if landed.sequences.0 == Sequence(6)));
        let text = String::from_utf8(contents(&disk, "/land/landing.jsonl")).expect("text");
        let aside = disk.contents(Path::new("/land/landing.jsonl.1"));
        let is_torn = !torn.contains(&b'\n');
        assert_eq!(
            (text.lines().count(), aside),
            if is_torn { (3, None) } else { (1, Some(ledger)) }
        );
        assert!(text.lines().all(|line| serde_json::from_str::<Line>(line).is_ok()));
    }
}

#[test]
fn a_directory_that_a_script_removed_is_no_hindrance() {
    let root = tempfile::tempdir().expect("a directory");
    let dated = root.path().join("2026-11-22");
    let mut entries = Entries::sample();
    let land = |entries: &Entries, position| {
        let settings = Settings { dir: root.path().to_owned(), ..settings(Limits::default()) };
        let cursor = Cursor { position: Sequence(position), ..Cursor::default() };
        let disk = RealDisk::new(root.path());
        let mut landing = Landing::open(disk, settings, entries.clone(), cursor).expect("opens");
        while !matches!(landing.step(start(), NOON).expect("lands"), Step::Idle) {}
    };
    land(&entries, 3);
    assert_eq!(std::fs::read(dated.join("5-5-b.tsfile")).expect("landed"), TS_FILE);
    std::fs::remove_dir_all(&dated).expect("removed");
    entries.push(6, Some(0), &[("c.tsfile", TS_FILE)]);
    land(&entries, 4);
    let names = std::fs::read_dir(dated).expect("made anew");
    assert_eq!(
        names.map(|entry| entry.expect("entry").file_name()).collect::<Vec<_>>(),
        ["6-6-c.tsfile"]
    );
}

#[test]
fn the_ledger_of_another_spool_proves_nothing() {
    let disk = disk();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    drop(landing);
    for (node, next) in [(ORIGIN, 1000), (NODE, 5)] {
        let settings =
            Settings { node, next_sequence: Sequence(next), ..settings(Limits::default()) };
        let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
        let mut landing =
            Landing::open(disk.clone(), settings, Entries::sample(), cursor).expect("opens");
        let steps = run(&mut landing, start()).expect("lands");
        assert_eq!(steps.iter().filter(|step| matches!(step, Step::Landed(_))).count(), 2);
    }
}

#[test]
fn arrivals_of_a_wrong_clock_are_undated() {
    let mut entries = Entries::sample();
    entries.items[0].0.header.arrival.trusted = false;
    entries.items[1].0.header.arrival.wall_ms = 5;
    let disk = disk();
    let mut landing = open(&disk, &entries, 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert!(landed(&disk).iter().all(|path| path.starts_with("/land/undated/")));
}

#[test]
fn a_second_node_is_kept_out_of_the_directory() {
    let disk = disk();
    let landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    let second = open(&disk, &Entries::sample(), 3, Limits::default()).expect_err("it is in use");
    assert_eq!(second.to_string(), "/land is in use by another node");
    drop(landing);
    open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
}

#[test]
fn a_disk_without_room_is_named_and_tried_again() {
    let disk = disk();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    disk.set_capacity(500);
    let error = run(&mut landing, start()).expect_err("no room");
    assert!(error.is_full(), "{error}");
    assert!(run(&mut landing, start()).is_err_and(|error| error.is_full()));
    disk.set_capacity(DISK_BYTES);
    run(&mut landing, start()).expect("lands");
    assert_eq!(landed(&disk), [A, B, B_MODS]);
}

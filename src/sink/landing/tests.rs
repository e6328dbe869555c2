//! Landing over a disk that forgets and fails.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::fake_disk::{FakeDisk, Fault, Unsynced};
use super::*;
use crate::data::{Identity, TimeRange};
use crate::spool::{Arrival, EntryHeader, Kind, ReadError, Source as EntrySource};

const TS_FILE: &[u8] = include_bytes!("../../../tests/samples/v3_tiny.tsfile");
const NOON: EpochMillis = EpochMillis(1_795_361_628_250);
const NODE: OriginId = OriginId([0xaa; 16]);
const ORIGIN: OriginId = OriginId([0xbb; 16]);

/// Entries as a spool would show them.
#[derive(Debug, Clone, Default)]
struct Entries {
    items: Vec<(Item, Vec<Vec<u8>>)>,
    position: Sequence,
    last: usize,
}

impl Source for Entries {
    type File = Bytes;

    fn seek(&mut self, to: Sequence) {
        self.position = to;
    }

    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        let at = self.items.iter().position(|(item, _)| item.header.sequence >= self.position);
        let Some(at) = at else { return Ok(None) };
        let item = self.items[at].0.clone();
        (self.position, self.last) = (item.header.sequence.next(), at);
        Ok(Some(item))
    }

    fn open(&mut self, index: usize) -> Result<Bytes, ReadError> {
        Ok(Bytes(self.items[self.last].1[index].clone()))
    }
}

#[derive(Debug)]
struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
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
            void_entries: 0,
            file_count: 1,
            payload_bytes: 0,
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

    /// Two files, one of them with mods, and a tablet between them.
    fn sample() -> Self {
        let mut entries = Self::default();
        entries.push(3, Some(5), &[("a.tsfile", TS_FILE)]);
        entries.push(4, None, &[]);
        entries.push(5, Some(9), &[("b.tsfile.mods", b"DELETION"), ("b.tsfile", TS_FILE)]);
        entries
    }
}

fn settings(limits: Limits) -> Settings {
    Settings { dir: PathBuf::from("/land"), node: NODE, next_sequence: Sequence(1000), limits }
}

fn open(
    disk: &FakeDisk,
    entries: &Entries,
    position: u64,
    limits: Limits,
) -> Result<Landing<FakeDisk, Entries>, LandingError> {
    let cursor = Cursor { position: Sequence(position), ..Cursor::default() };
    Landing::open(disk.clone(), settings(limits), entries.clone(), cursor)
}

/// Steps until there is nothing to do, or until an error; returns what was reported.
fn run(landing: &mut Landing<FakeDisk, Entries>, now: Instant) -> Result<Vec<Step>, LandingError> {
    let mut steps = Vec::new();
    for _ in 0..10_000 {
        match landing.step(now, NOON)? {
            Step::Idle => return Ok(steps),
            Step::Worked => {}
            Step::Full { needed, present, max_bytes } => {
                steps.push(Step::Full { needed, present, max_bytes });
                return Ok(steps);
            }
            step @ (Step::Landed { .. } | Step::Held { .. }) => steps.push(step),
        }
    }
    panic!("landing does not come to rest");
}

#[expect(clippy::disallowed_methods, reason = "any start will do")]
fn start() -> Instant {
    Instant::now()
}

fn landed(disk: &FakeDisk) -> Vec<String> {
    let files = disk.files("/land").into_iter().map(|(path, _)| path);
    files.filter(|path| !path.contains("/.") && !path.contains("jsonl")).collect()
}

/// Files that have no name yet.
fn hidden_files(disk: &FakeDisk) -> Vec<String> {
    let files = disk.files("/land").into_iter().map(|(path, _)| path);
    files.filter(|path| path.contains("/.")).collect()
}

const A: &str = "/land/2026-11-22/3-3-a.tsfile";
const B: &str = "/land/2026-11-22/5-5-b.tsfile";
const B_MODS: &str = "/land/2026-11-22/5-5-b.tsfile.mods";

#[test]
fn files_land_with_a_line_each_and_tablets_stay() {
    let disk = FakeDisk::default();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    let steps = run(&mut landing, start()).expect("lands");
    assert!(matches!(
        &steps[..],
        [
            Step::Landed { sequence: Sequence(3), bytes: 228, .. },
            Step::Held { sequence: Sequence(4), why: Held::NotAFile },
            Step::Landed { sequence: Sequence(5), bytes: 236, .. },
        ]
    ));
    assert_eq!(landed(&disk), [A, B, B_MODS]);
    assert_eq!(landing.cursor().position, Sequence(4));
    assert_eq!(landing.cursor().finished, [(Sequence(5), Sequence(5))]);
    assert_eq!(landing.held(), 1);

    let ledger = disk.files("/land/landing.jsonl");
    let text = String::from_utf8(ledger[0].1.clone()).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    let hash = blake3::hash(TS_FILE).to_hex().to_string();
    assert_eq!(
        lines[1],
        serde_json::json!({
            "name": "2026-11-22/5-5-b.tsfile", "bytes": 228, "blake3": hash,
            "sequences": [5, 5], "devices": null, "points": null,
            "time_range": [1, 9], "precision": "ms",
            "node": "aa".repeat(16), "origin": "bb".repeat(16), "origin_sequence": 105,
            "with": [{
                "name": "2026-11-22/5-5-b.tsfile.mods", "bytes": 8,
                "blake3": blake3::hash(b"DELETION").to_hex().to_string(),
            }],
        })
    );
}

/// Runs, crashes at the given call, starts again, and fetches what lies there after each.
fn fetched_over_a_crash(call: u64, unsynced: Unsynced) -> BTreeMap<String, u32> {
    let disk = FakeDisk::default();
    let mut fetched = BTreeMap::new();
    disk.set_fault(Some(Fault::Crash(call)));
    let mut position = Sequence(3);
    if let Ok(mut landing) = open(&disk, &Entries::sample(), 3, Limits::default()) {
        let _crashed = run(&mut landing, start());
        // The cursor is durable from time to time only.
        if call.is_multiple_of(2) {
            position = landing.cursor().position;
        }
    }
    disk.crash(unsynced);
    fetch_all(&disk, &mut fetched);
    let mut landing =
        open(&disk, &Entries::sample(), position.0, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    fetch_all(&disk, &mut fetched);
    assert_eq!(hidden_files(&disk), [""; 0], "leftovers after a crash at call {call}");
    assert_eq!(landing.cursor().position, Sequence(4));
    fetched
}

fn fetch_all(disk: &FakeDisk, fetched: &mut BTreeMap<String, u32>) {
    for path in landed(disk) {
        let expected = if path == B_MODS { b"DELETION".as_slice() } else { TS_FILE };
        assert_eq!(disk.files(&path)[0].1, expected, "{path}");
        disk.fetch(&path);
        *fetched.entry(path).or_default() += 1;
    }
}

#[test]
fn each_file_lands_exactly_once_wherever_a_crash_falls() {
    let disk = FakeDisk::default();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    let expected = BTreeMap::from([A, B, B_MODS].map(|path| (path.to_owned(), 1)));
    for call in 1..=disk.calls() + 1 {
        for unsynced in [Unsynced::Lost, Unsynced::Kept] {
            assert_eq!(fetched_over_a_crash(call, unsynced), expected, "{call} {unsynced:?}");
        }
    }
}

#[test]
fn an_error_at_any_call_is_made_good_by_the_next_steps() {
    let mut call = 1;
    loop {
        let disk = FakeDisk::default();
        let Ok(mut landing) = open(&disk, &Entries::sample(), 3, Limits::default()) else {
            panic!("no fault yet");
        };
        let first = disk.calls();
        disk.set_fault(Some(Fault::Once(first + call)));
        let failed = run(&mut landing, start()).is_err();
        if failed {
            run(&mut landing, start()).expect("lands");
        }
        assert_eq!(landed(&disk), [A, B, B_MODS], "{call}");
        assert_eq!(hidden_files(&disk), [""; 0], "{call}");
        assert_eq!(landing.cursor().finished, [(Sequence(5), Sequence(5))]);
        if !failed {
            assert!(call > 30);
            return;
        }
        call += 1;
    }
}

#[test]
fn a_torn_line_is_cut_and_its_file_lands_again() {
    for torn in [&b"{\"name\":\"x"[..], b"garbage\n", b"\0\0\0\0", b"{}\n{\n\n"] {
        let disk = FakeDisk::default();
        let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
        run(&mut landing, start()).expect("lands");
        disk.append_raw("/land/landing.jsonl", torn);
        let mut entries = Entries::sample();
        entries.push(6, Some(0), &[("c.tsfile", TS_FILE)]);
        let mut landing = open(&disk, &entries, 4, Limits::default()).expect("opens");
        let steps = run(&mut landing, start()).expect("lands");
        assert!(matches!(
            &steps[..],
            [Step::Held { .. }, Step::Landed { sequence: Sequence(6), .. }]
        ));
        let ledger = disk.files("/land/landing.jsonl").remove(0).1;
        let text = String::from_utf8(ledger).expect("text");
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| serde_json::from_str::<Line>(line).is_ok()));
    }
}

#[test]
fn a_directory_that_a_script_removed_is_no_hindrance() {
    let disk = FakeDisk::default();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    for path in landed(&disk) {
        disk.fetch(&path);
    }
    disk.remove_dir("/land/2026-11-22");
    let mut entries = Entries::sample();
    entries.push(6, Some(0), &[("c.tsfile", TS_FILE)]);
    let mut landing = open(&disk, &entries, 4, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert_eq!(landed(&disk), ["/land/2026-11-22/6-6-c.tsfile"]);
}

#[test]
fn the_ledger_of_another_spool_proves_nothing() {
    let disk = FakeDisk::default();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    for (node, next) in [(ORIGIN, 1000), (NODE, 5)] {
        let settings =
            Settings { node, next_sequence: Sequence(next), ..settings(Limits::default()) };
        let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
        let mut landing =
            Landing::open(disk.clone(), settings, Entries::sample(), cursor).expect("opens");
        let steps = run(&mut landing, start()).expect("lands");
        assert_eq!(steps.iter().filter(|step| matches!(step, Step::Landed { .. })).count(), 2);
    }
}

#[test]
fn what_is_no_sound_file_is_held_and_leaves_no_trace() {
    let mut entries = Entries::default();
    entries.push(1, Some(5), &[("cut.tsfile", &TS_FILE[..100])]);
    entries.push(2, Some(102), &[("mtree.snapshot", b"x")]);
    entries.push(3, Some(5), &[("../x.tsfile", TS_FILE)]);
    entries.push(4, Some(5), &[("rotten.tsfile", TS_FILE)]);
    entries.items[3].1[0][60] ^= 1;
    entries.push(5, Some(5), &[("good.tsfile", TS_FILE)]);
    let disk = FakeDisk::default();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    let steps = run(&mut landing, start()).expect("lands");
    assert!(matches!(
        &steps[..],
        [
            Step::Held { why: Held::Flawed(_), .. },
            Step::Held { why: Held::NotAFile, .. },
            Step::Held { why: Held::Name(_), .. },
            Step::Held { why: Held::Hash { .. }, .. },
            Step::Landed { sequence: Sequence(5), .. },
        ]
    ));
    assert_eq!(landed(&disk), ["/land/2026-11-22/5-5-good.tsfile"]);
    assert_eq!(hidden_files(&disk), [""; 0]);
    assert_eq!(landing.cursor().position, Sequence(1));
}

#[test]
fn arrivals_of_a_wrong_clock_are_undated() {
    let mut entries = Entries::sample();
    entries.items[0].0.header.arrival.trusted = false;
    entries.items[2].0.header.arrival.wall_ms = 5;
    let disk = FakeDisk::default();
    let mut landing = open(&disk, &entries, 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert!(landed(&disk).iter().all(|path| path.starts_with("/land/undated/")));
}

#[test]
fn a_full_directory_waits_until_files_were_fetched() {
    let disk = FakeDisk::default();
    let limits = Limits { max_bytes: 300, ..Limits::default() };
    let mut landing = open(&disk, &Entries::sample(), 3, limits).expect("opens");
    let now = start();
    let steps = run(&mut landing, now).expect("lands");
    assert!(matches!(steps.last(), Some(Step::Full { needed: 236, present: 228, max_bytes: 300 })));
    assert_eq!(landed(&disk), [A]);
    assert!(matches!(landing.step(now, NOON), Ok(Step::Full { .. })));
    disk.fetch(A);
    run(&mut landing, now + Duration::from_secs(11)).expect("lands");
    assert_eq!(landed(&disk), [B, B_MODS]);
}

#[test]
fn the_oldest_files_make_room_if_that_was_chosen() {
    let disk = FakeDisk::default();
    let mut entries = Entries::default();
    for sequence in 1..=20 {
        entries.push(sequence, Some(5), &[(&format!("{sequence}.tsfile"), TS_FILE)]);
    }
    let limits = Limits { max_bytes: 700, when_full: WhenFull::DeleteOldest, keep_days: 0 };
    let mut landing = open(&disk, &entries, 1, limits).expect("opens");
    run(&mut landing, start()).expect("lands");
    let kept = [18, 19, 20].map(|name| format!("/land/2026-11-22/{name}-{name}-{name}.tsfile"));
    assert_eq!(landed(&disk), kept);

    entries.push(21, Some(5), &[("big.tsfile", TS_FILE)]);
    let limits = Limits { max_bytes: 100, ..limits };
    let mut landing = open(&disk, &entries, 21, limits).expect("opens");
    let steps = run(&mut landing, start()).expect("stops");
    assert!(matches!(steps.last(), Some(Step::Full { needed: 228, present: 0, .. })));
}

#[test]
fn old_files_go_while_the_clock_is_believed() {
    let disk = FakeDisk::default();
    let limits = Limits { keep_days: 2, ..Limits::default() };
    let mut landing = open(&disk, &Entries::sample(), 3, limits).expect("opens");
    let mut now = start();
    run(&mut landing, now).expect("lands");
    for (days, files) in [(2, 3), (-20_000, 3), (3, 0)] {
        now += Duration::from_secs(601);
        let wall = EpochMillis(NOON.0 + days * 86_400_000);
        while matches!(landing.step(now, wall).expect("counts"), Step::Worked) {}
        assert_eq!(landed(&disk).len(), files, "{days}");
    }
}

#[test]
fn a_disk_without_room_is_named_and_tried_again() {
    let disk = FakeDisk::default();
    let mut landing = open(&disk, &Entries::sample(), 3, Limits::default()).expect("opens");
    disk.set_room(Some(500));
    let error = run(&mut landing, start()).expect_err("no room");
    assert!(error.is_full(), "{error}");
    assert!(run(&mut landing, start()).is_err_and(|error| error.is_full()));
    disk.set_room(None);
    run(&mut landing, start()).expect("lands");
    assert_eq!(landed(&disk), [A, B, B_MODS]);
}

//! What is no data: deletions become lines, the rest lands as it came.

use super::with_spool::{land_spool, stored};
use super::*;
use crate::wire::delete::{self, PathKind};
use crate::wire::request::Head;

pub(super) fn deletion(paths: &[&[&str]]) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut writer = Writer::into_vec(&mut payload, 1 << 20);
    Head::of(RequestType::PlanNode).write(&mut writer);
    delete::write(PathKind::Partial, paths, TimeRange { min: -5, max: 7 }, "1", &mut writer);
    writer.finish().expect("it fits");
    payload
}

pub(super) const PLAN: &[u8] = b"\x01\x00\xc8\x00\x09 set ttl";

/// A deletion between files, a plan, a snapshot in two files of three, a row that is larger than an entry.
fn mixed() -> Entries {
    let mut entries = Entries::default();
    entries.push(3, Some(5), &[("a.tsfile", TS_FILE)]);
    entries.push_request(4, &deletion(&[&["root", "d", "**"]]));
    entries.push_request(5, PLAN);
    entries.push(6, Some(102), &[("mtree.snapshot", b"tree"), ("tags.txt", b"tags"), ("", b"")]);
    entries.items[3].0.files[2].name = None;
    entries.push(7, Some(2), &[("large", b"a request of type 2")]);
    entries.push(8, Some(0), &[("b.tsfile", TS_FILE)]);
    entries
}

const LANDED: [&str; 7] = [
    "/land/2026-11-22/3-3-a.tsfile",
    "/land/2026-11-22/5-5-request-200.bin",
    "/land/2026-11-22/6-6-request-102-1.bin",
    "/land/2026-11-22/6-6-request-102-2.bin",
    "/land/2026-11-22/6-6-request-102.bin",
    "/land/2026-11-22/7-7-request-2.bin",
    "/land/2026-11-22/8-8-b.tsfile",
];

#[test]
fn requests_that_are_no_data_land_as_they_came_and_nothing_is_pinned() {
    let disk = disk();
    let mut landing = open(&disk, &mixed(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert_eq!(landed(&disk), LANDED);
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(9)));
    assert_eq!(contents(&disk, LANDED[1]), PLAN);
    assert_eq!(contents(&disk, LANDED[2]), b"tree");
    assert_eq!(contents(&disk, LANDED[3]), b"tags");
    assert_eq!(contents(&disk, LANDED[4]), SEAL);
    assert_eq!(contents(&disk, LANDED[5]), b"a request of type 2");
    let lines = ledger(&disk);
    let what: Vec<_> = lines.iter().map(|line| (line.what, line.request_type)).collect();
    let request = |code| (What::Request, Some(code));
    let file = (What::File, None);
    assert_eq!(what, [file, (What::Delete, None), request(200), request(102), request(2), file]);
    assert_eq!(lines[1].paths, ["root.d.**"]);
    assert_eq!((lines[1].time_range, &lines[1].file), (Some((-5, 7)), &None));
    assert_eq!((lines[1].sequences, lines[1].origin_sequences), ((4, 4), (104, 104)));
    let seal = lines[3].file.as_ref().expect("the seal");
    assert_eq!((seal.bytes, lines[3].with.len()), (SEAL.len() as u64, 2));
}

#[test]
fn a_deletion_that_no_line_has_room_for_lands_as_a_request() {
    let node = "x".repeat(1000);
    let payload = deletion(&[&["root", &node][..]; 20]);
    let mut entries = Entries::default();
    entries.push_request(1, &payload);
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert_eq!(contents(&disk, "/land/2026-11-22/1-1-request-100.bin"), payload);
    assert_eq!(ledger(&disk)[0].request_type, Some(100));
}

/// Runs, crashes at the given call, starts again; returns what was fetched, and what the deletions' lines name.
fn over_a_crash(seed: u64, call: u64) -> (BTreeMap<String, u32>, Vec<(u64, u64)>) {
    let disk = SimDisk::new(seed, DISK_BYTES);
    disk.schedule(call, Fault::Io, true);
    let mut position = 3;
    if let Ok(mut landing) = open(&disk, &mixed(), 3, Limits::default()) {
        let _crashed = run(&mut landing, start());
        if call.is_multiple_of(2) {
            position = landing.cursor().position.0;
        }
    }
    disk.crash();
    disk.heal();
    let mut fetched = BTreeMap::new();
    let mut fetch_all = || {
        for path in landed(&disk) {
            fetch(&disk, &path);
            *fetched.entry(path).or_default() += 1;
        }
    };
    fetch_all();
    let mut landing = open(&disk, &mixed(), position, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    fetch_all();
    assert_eq!(hidden_files(&disk), [""; 0], "call {call}");
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(9)), "call {call}");
    let deletions = ledger(&disk).into_iter().filter(|line| line.what == What::Delete);
    (fetched, deletions.map(|line| line.sequences).collect())
}

#[test]
fn each_lands_exactly_once_wherever_a_crash_falls() {
    let sound = disk();
    let mut landing = open(&sound, &mixed(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    let expected = LANDED.map(|path| (path.to_owned(), 1));
    let expected = (BTreeMap::from(expected), vec![(4, 4)]);
    for call in 0..=sound.calls().all {
        for seed in 0..5 {
            assert_eq!(over_a_crash(seed, call), expected, "call {call} seed {seed}");
        }
    }
}

#[test]
fn an_error_at_any_call_is_made_good() {
    let sound = disk();
    let mut landing = open(&sound, &mixed(), 3, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    for fault in [Fault::Io, Fault::NoSpace, Fault::Short] {
        for call in 0..sound.calls().all {
            let disk = disk();
            disk.schedule(call, fault, false);
            let landing = open(&disk, &mixed(), 3, Limits::default());
            let mut landing = landing
                .or_else(|_| open(&disk, &mixed(), 3, Limits::default()))
                .expect("opens at the second try");
            if run(&mut landing, start()).is_err() {
                run(&mut landing, start()).expect("lands");
            }
            assert_eq!(landed(&disk), LANDED, "{fault:?} {call}");
            assert_eq!(contents(&disk, LANDED[4]), SEAL, "{fault:?} {call}");
            assert_eq!(landing.cursor(), &Cursor::at(Sequence(9)), "{fault:?} {call}");
        }
    }
}

#[test]
fn a_seal_with_the_longest_parameters_is_read_whole() {
    let settings = spool::Settings { reserve_bytes: 0, ..spool::Settings::default() };
    let disk = SimDisk::new(7, 1 << 30);
    let mut spool = Spool::open(disk.clone(), settings, start(), NOON.0).expect("opens").0;
    let keys: Vec<String> = (0..limits::SEAL_PARAMETERS_MAX)
        .map(|number| format!("{number:0width$}", width = limits::NAME_BYTES_MAX))
        .collect();
    let parameters: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(key.as_str()))).collect();
    for number in 0..3 {
        let file = stored(&mut spool, "a.tsfile", TS_FILE);
        let entry = NewFileEntry {
            source: EntrySource::Own,
            hops: 0,
            precision: Some(Precision::Ms),
            time_range: None,
            request_type: 9,
            files: &[file],
            request_crc: None,
            parameters: if number == 1 { &parameters } else { &[] },
        };
        let arrival = Arrival { wall_ms: NOON.0, trusted: true };
        assert!(matches!(spool.seal(entry, arrival), Ok(Outcome::Appended(_))));
    }
    spool.sync().expect("synced");
    let mut source = SpoolSource::new(spool.reader(Sequence(1)));
    for _ in 0..3 {
        let item = Source::next(&mut source).expect("read").expect("an entry");
        assert_eq!((item.request_type, item.files.len()), (Some(9), 1));
        source.open(Part::Seal).expect("the seal");
    }
    drop(source);
    land_spool(&disk, &mut spool).expect("lands");
    assert_eq!(landed(&disk).len(), 3);
}

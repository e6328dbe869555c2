//! Runs of tablets become files, each point in exactly one of them.

use super::*;
use crate::data::DataType;
use crate::tsfile::encoding::Values;
use crate::tsfile::read::{Points, TsFile};

/// Device, series and time of a point, and its type.
type Key = (String, String, i64, u8);

/// Points of a tablet.
const TABLET: u64 = 10 * 12;

fn tablet(sequence: u64) -> Sample {
    let start = 1000 * sequence.cast_signed();
    Sample::plain(&mut Rng::new(sequence), &format!("root.d{}", sequence % 3), start, 10, 12)
}

/// Tablets of two origins, aligned and not, one with a series of another type, one that is none; a file, a deletion
/// and a request between them. Entry 6 never was.
fn mixed(through: u64) -> Entries {
    let mut entries = Entries::default();
    for sequence in (1..=through).filter(|sequence| *sequence != 6) {
        match sequence {
            4 => entries.push(4, Some(5), &[("a.tsfile", TS_FILE)]),
            8 => entries.push_request(8, &requests::deletion(&[&["root", "d", "**"]])),
            11 => entries.push_request(11, requests::PLAN),
            _ => {
                let mut sample = tablet(sequence);
                sample.is_aligned = sequence == 3;
                if sequence == 10 {
                    // The same device as 7 and 13.
                    sample.columns[1].data_type = DataType::Float;
                }
                entries.push_tablet(sequence, &sample);
            }
        }
        let (item, payload) = entries.items.last_mut().expect("just pushed");
        if sequence == 2 {
            item.header.identity.origin = NODE;
        }
        if sequence == 12 {
            payload[0].truncate(20);
            item.header.payload_bytes = 20;
        }
    }
    entries
}

/// What the tablets of [`mixed`] say.
fn expected(through: u64) -> BTreeMap<Key, u32> {
    let mut points = BTreeMap::new();
    let tablets = (1..=through).filter(|sequence| ![4, 6, 8, 11, 12].contains(sequence));
    for sequence in tablets {
        for point in tablet(sequence).points() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            let series = text(&point.measurement);
            let is_other = sequence == 10 && series == "s1";
            let code = if is_other { DataType::Float.code() } else { point.data_type };
            points.insert((text(&point.device), series, point.time, code), 1);
        }
    }
    points
}

/// Counts the points of a file.
fn count(bytes: &[u8], points: &mut BTreeMap<Key, u32>) {
    let file = TsFile::open(Bytes(bytes.to_vec(), false)).expect("a TsFile");
    let mut devices = file.devices().expect("devices");
    let mut found = Points::new(&file, None);
    while let Some(device) = devices.next().expect("a device") {
        found.start(&device).expect("it starts");
        while let Some(piece) = found.next(|_| true).expect("a page") {
            let (series, code) = (piece.measurement.to_owned(), piece.data_type.code());
            assert!(!matches!(piece.values, Values::Booleans(list) if list.is_empty()));
            for time in piece.times {
                let key = (device.id.path(), series.clone(), *time, code);
                *points.entry(key).or_default() += 1;
            }
        }
    }
}

/// Points of all files of tablets that somebody has.
fn points_of(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<Key, u32> {
    let mut points = BTreeMap::new();
    let made = files.iter().filter(|(path, _)| path.contains("-tablets"));
    made.for_each(|(_, bytes)| count(bytes, &mut points));
    points
}

/// What a script has fetched: the same name is the same file.
#[derive(Debug, Default)]
struct Consumer {
    files: BTreeMap<String, Vec<u8>>,
}

impl Consumer {
    /// Takes what lies there, or that part of it; it may fail, and then takes the file again.
    fn fetch(&mut self, disk: &SimDisk, mut chosen: impl FnMut() -> bool) {
        for path in landed(disk) {
            if !chosen() {
                continue;
            }
            let bytes = contents(disk, &path);
            let before = self.files.insert(path.clone(), bytes.clone());
            assert!(before.is_none_or(|before| before == bytes), "{path} is another file now");
            let file = Path::new(&path);
            let dir = file.parent().expect("in a directory");
            let _failed = disk.remove(file).and_then(|()| disk.sync_dir(dir));
        }
    }
}

/// Lands until nothing is left to do, fetching now and then.
fn land(
    disk: &SimDisk,
    landing: &mut Landing<SimDisk, Entries>,
    consumer: &mut Consumer,
    rng: &mut Rng,
) -> Result<(), LandingError> {
    let mut now = start();
    for _ in 0..10_000 {
        match landing.step(now, NOON)? {
            Step::Idle if landing.due().is_some() => now += DELAY,
            Step::Idle => return Ok(()),
            Step::Worked | Step::Landed(_) => {}
            step @ (Step::Full { .. } | Step::Unfit { .. }) => {
                panic!("{step:?}")
            }
        }
        if rng.chance(3) {
            consumer.fetch(disk, || rng.chance(50));
        }
    }
    panic!("landing does not come to rest");
}

/// The lines of all ledgers, each once: behind a sync that failed they may be there twice.
fn lines_of(disk: &SimDisk) -> Vec<Line> {
    let mut ledgers: Vec<_> = paths(disk).filter(|path| path.contains("jsonl")).collect();
    ledgers.sort_unstable_by(|a, b| b.cmp(a));
    let mut lines: Vec<Line> = Vec::new();
    for ledger in ledgers {
        let text = String::from_utf8(contents(disk, &ledger)).expect("text");
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            if lines
                .iter()
                .all(|other| (&other.file, other.sequences) != (&line.file, line.sequences))
            {
                lines.push(line);
            }
        }
    }
    lines
}

/// What there is in the end: points, other files, sequences of lines in order.
fn check(consumer: &Consumer, disk: &SimDisk, what: &str) {
    let points = points_of(&consumer.files);
    assert!(points == expected(16), "{what}: {} points", points.len());
    let others = consumer.files.keys().filter(|path| !path.contains("-tablets"));
    let others: Vec<_> = others.map(|path| path.trim_start_matches("/land/2026-11-22/")).collect();
    assert_eq!(others, ["11-11-request-200.bin", "12-12-request-2.bin", "4-4-a.tsfile"], "{what}");
    assert_eq!(hidden_files(disk), [""; 0], "{what}");
    let lines = lines_of(disk);
    assert_eq!(lines.iter().filter(|line| line.what == What::Delete).count(), 1, "{what}");
    let files = lines.iter().filter(|line| line.file.is_some()).count();
    assert_eq!(files, consumer.files.len(), "{what}: a line for each file");
    let last = lines.last().expect("lines");
    assert_eq!(last.through, Some(16), "{what}");
    let total: u64 = lines.iter().filter_map(|line| line.points).sum();
    let landed =
        Totals { files: files as u64, points: total, bytes: lines.iter().map(Line::bytes).sum() };
    assert_eq!(last.landed, Some(landed), "{what}");
    let of_tablets = lines.iter().filter(|line| line.what == What::Tablets);
    let of_tablets: u64 = of_tablets.filter_map(|line| line.points).sum();
    assert_eq!(of_tablets, expected(16).len() as u64, "{what}");
    assert_eq!(total, of_tablets + 3, "{what}: with those of the file");
}

#[test]
fn a_run_becomes_files_with_a_line_each_and_ends_where_it_has_to() {
    let disk = disk();
    let mut landing = open(&disk, &mixed(16), 1, Limits::default()).expect("opens");
    let now = start();
    let steps = run(&mut landing, now).expect("lands");
    let told = steps.iter().map(|step| {
        let Step::Landed(landed) = step else { panic!("{step:?}") };
        let (Sequence(first), Sequence(last)) = landed.sequences;
        (landed.what, first, last, landed.files, landed.points)
    });
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [
            (What::Tablets, 1, 3, 3, 3 * TABLET),
            (What::File, 4, 4, 1, 3),
            (What::Tablets, 5, 7, 1, 2 * TABLET),
            (What::Delete, 8, 8, 0, 0),
            (What::Tablets, 9, 10, 1, 2 * TABLET),
            (What::Request, 11, 11, 1, 0),
        ]
    );
    assert_eq!(landing.due(), Some(now + DELAY), "the last ones wait for others");
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(12)));
    let steps = run(&mut landing, now + DELAY).expect("lands");
    assert!(matches!(&steps[..], [Step::Landed(odd)] if odd.what == What::Request));
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(13)));
    let before = landing.landed();
    run(&mut landing, now + DELAY * 2).expect("lands");
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(17)));
    assert_eq!(landing.landed().points, before.points + 4 * TABLET);

    let lines = ledger(&disk);
    let names: Vec<_> = lines[..3].iter().map(|line| line.file.as_ref().expect("a file")).collect();
    let mut sound: Vec<_> = names.iter().map(|file| file.name.as_str()).collect();
    sound.sort_unstable();
    assert_eq!(
        sound,
        [
            "2026-11-22/1-1-tablets.tsfile",
            "2026-11-22/2-2-tablets.tsfile",
            "2026-11-22/3-3-tablets-aligned.tsfile",
        ]
    );
    assert_eq!(
        lines[..3].iter().map(|line| line.set).collect::<Vec<_>>(),
        [Some((1, 3)), Some((2, 3)), Some((3, 3))]
    );
    assert_eq!(
        lines[..4].iter().map(|line| line.through).collect::<Vec<_>>(),
        [None, None, Some(3), Some(4)]
    );
    for (line, file) in lines.iter().zip(&names) {
        let bytes = contents(&disk, &format!("/land/{}", file.name));
        assert_eq!(blake3::hash(&bytes).to_hex().to_string(), file.blake3);
        assert_eq!(
            (bytes.len() as u64, line.devices, line.points),
            (file.bytes, Some(1), Some(TABLET))
        );
    }
    let odd = lines.iter().find(|line| line.sequences.0 == 12).expect("a line");
    assert!(odd.why.as_ref().is_some_and(|why| why.contains("entry 12")), "{odd:?}");

    drop(landing);
    let landing = open(&disk, &mixed(16), 1, Limits::default()).expect("opens");
    assert_eq!(landing.landed(), lines.last().and_then(|line| line.landed).expect("totals"));
}

#[test]
fn a_series_of_two_types_is_told_and_lands_in_two_files() {
    let mut entries = Entries::default();
    for (sequence, data_type) in [(1, DataType::Float), (2, DataType::Int32)] {
        let mut sample = tablet(1);
        sample.columns.truncate(2);
        sample.columns[1].data_type = data_type;
        entries.push_tablet(sequence, &sample);
    }
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("waits");
    let steps = run(&mut landing, start() + DELAY * 2).expect("lands");
    let [Step::Landed(told)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((told.files, told.conflict_count, told.conflicts.len()), (2, 1, 1));
    assert_eq!(
        (told.conflicts[0].device.as_str(), told.conflicts[0].series.as_str()),
        ("root.d1", "s1")
    );
    assert_eq!(
        landed(&disk),
        ["/land/2026-11-22/1-2-tablets-2.tsfile", "/land/2026-11-22/1-2-tablets.tsfile"]
    );
}

#[test]
fn runs_end_at_the_size_of_a_file() {
    let mut entries = Entries::default();
    (1..=9).for_each(|sequence| entries.push_tablet(sequence, &tablet(sequence)));
    let bytes = u64::from(entries.items[0].0.header.payload_bytes);
    let disk = disk();
    let settings = Settings { max_file_bytes: 4 * bytes, ..settings(Limits::default()) };
    let cursor = Cursor::at(Sequence(1));
    let mut landing = Landing::open(disk.clone(), settings, entries, cursor).expect("opens");
    run(&mut landing, start()).expect("lands");
    let through: Vec<_> = ledger(&disk).iter().map(|line| line.sequences).collect();
    assert_eq!(through.len(), 2, "{through:?}");
    assert!(through[0].0 == 1 && through[1].0 == through[0].1 + 1, "{through:?}");
}

#[test]
fn each_point_lands_exactly_once_wherever_a_crash_falls_and_whatever_comes_later() {
    let sound = disk();
    let mut landing = open(&sound, &mixed(16), 1, Limits::default()).expect("opens");
    let mut rng = Rng::new(0);
    let mut consumer = Consumer::default();
    land(&sound, &mut landing, &mut consumer, &mut rng).expect("lands");
    consumer.fetch(&sound, || true);
    check(&consumer, &sound, "without a crash");
    let calls = sound.calls().all;
    assert!(calls > 200, "{calls}");
    for call in 0..=calls {
        for seed in 0..2 {
            let what = format!("call {call} seed {seed}");
            let mut rng = Rng::new(call << 8 | seed);
            let disk = SimDisk::new(call << 8 | seed, DISK_BYTES);
            let mut consumer = Consumer::default();
            // Some entries come behind the crash.
            disk.schedule(call, Fault::Io, true);
            let early = mixed([14, 9][usize::try_from(seed).expect("small")]);
            let position = if let Ok(mut landing) = open(&disk, &early, 1, Limits::default()) {
                let _crashed = land(&disk, &mut landing, &mut consumer, &mut rng);
                [1, landing.cursor().position.0][rng.below(2)]
            } else {
                1
            };
            disk.crash();
            disk.heal();
            consumer.fetch(&disk, || rng.chance(50));
            let mut landing = open(&disk, &mixed(16), position, Limits::default()).expect("opens");
            consumer.fetch(&disk, || rng.chance(50));
            land(&disk, &mut landing, &mut consumer, &mut rng).expect("lands");
            consumer.fetch(&disk, || true);
            check(&consumer, &disk, &what);
        }
    }
}

#[test]
fn an_error_at_any_call_takes_no_point_away() {
    let sound = disk();
    let mut landing = open(&sound, &mixed(16), 1, Limits::default()).expect("opens");
    land(&sound, &mut landing, &mut Consumer::default(), &mut Rng::new(0)).expect("lands");
    for fault in [Fault::Io, Fault::NoSpace, Fault::Short] {
        for call in 0..sound.calls().all {
            let what = format!("{fault:?} {call}");
            let disk = disk();
            let (mut consumer, mut rng) = (Consumer::default(), Rng::new(call));
            disk.schedule(call, fault, false);
            let landing = open(&disk, &mixed(16), 1, Limits::default());
            let mut landing = landing
                .or_else(|_| open(&disk, &mixed(16), 1, Limits::default()))
                .expect("opens at the second try");
            if land(&disk, &mut landing, &mut consumer, &mut rng).is_err() {
                land(&disk, &mut landing, &mut consumer, &mut rng).expect("lands");
            }
            consumer.fetch(&disk, || true);
            check(&consumer, &disk, &what);
        }
    }
}

#[test]
fn tablets_wait_until_there_is_room() {
    let mut entries = Entries::default();
    for sequence in 1..=6 {
        let sample = Sample::plain(
            &mut Rng::new(sequence),
            "root.d",
            1000 * sequence.cast_signed(),
            200,
            12,
        );
        entries.push_tablet(sequence, &sample);
    }
    let disk = disk();
    let limits = Limits { max_bytes: 60_000, ..Limits::default() };
    let mut landing = open(&disk, &entries, 1, limits).expect("opens");
    let (mut now, mut files, mut waits) = (start(), BTreeMap::new(), 0);
    while landing.cursor().position < Sequence(7) {
        let is_full = matches!(landing.step(now, NOON).expect("lands"), Step::Full { .. });
        let lies: usize = landed(&disk).iter().map(|path| contents(&disk, path).len()).sum();
        assert!(lies <= 60_000, "{lies}");
        if is_full {
            waits += 1;
            for path in landed(&disk) {
                files.insert(path.clone(), contents(&disk, &path));
                fetch(&disk, &path);
            }
        }
        now += Duration::from_secs(1);
    }
    files.extend(landed(&disk).into_iter().map(|path| (path.clone(), contents(&disk, &path))));
    assert!(waits > 0);
    assert_eq!(points_of(&files).len(), 6 * 200 * 12);
}

#[test]
fn what_is_too_much_for_a_run_halves_it_and_blames_no_entry() {
    let mut entries = Entries::default();
    for sequence in 1..=8 {
        entries.push_tablet(sequence, &tablet(sequence));
    }
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    let now = start();
    while !matches!(landing.work, Work::Making(..)) {
        landing.step(now + DELAY * u32::from(landing.run.is_some()), NOON).expect("gathers");
    }
    for last in [4, 2, 1] {
        let Work::Making(_, run) = std::mem::replace(&mut landing.work, Work::Next) else {
            panic!()
        };
        let sequence = run.first;
        let error = twin::TwinError::TooMany { sequence, what: "orders of devices", max: 16 };
        landing.go_around(run, error).expect("goes on");
        let Work::Making(None, run) = &landing.work else { panic!("given up") };
        assert_eq!((run.first, run.last, landing.odd.is_some()), (sequence, Sequence(last), false));
    }
    run(&mut landing, now + DELAY).expect("lands");
    assert!(ledger(&disk).iter().all(|line| line.what == What::Tablets));
    let last = ledger(&disk).last().and_then(|line| line.through);
    assert!(last >= Some(1), "{last:?}");
}

#[test]
fn a_run_that_finds_no_room_is_made_smaller() {
    let mut entries = Entries::default();
    (1..=64).for_each(|sequence| entries.push_tablet(sequence, &tablet(sequence)));
    let landed_in = |bytes: u64| {
        let disk = disk();
        let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
        disk.set_capacity(bytes);
        run(&mut landing, start() + DELAY).expect("gathers");
        run(&mut landing, start() + 2 * DELAY).expect("lands what there is room for");
        (landing.cursor().position, landed(&disk).len())
    };
    assert_eq!(landed_in(DISK_BYTES), (Sequence(65), 1));
    // Too little for the run, which needs 38 KiB, and enough for half of it: that may be fetched, and makes room.
    assert_eq!(landed_in(30_000), (Sequence(33), 1));
}

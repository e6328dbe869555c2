//! Room in the directory: what counts, what goes, and what never fits.

use std::fmt::Write;

use super::*;

/// A ledger of so many lines about files with this date, deletions, and other dates, the first line's sequence.
fn ledger_of(first: u64, lines: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (sequence, (what, name)) in (first..).zip(lines) {
        let file = match *name {
            "" => String::new(),
            name => format!(r#""name":"{name}","bytes":228,"blake3":"","#),
        };
        writeln!(
            text,
            r#"{{"what":"{what}",{file}"sequences":[{sequence},{sequence}],"devices":1,"points":1,"node":"{NODE}","origin":"","through":{sequence}}}"#
        )
        .expect("text");
    }
    text.into_bytes()
}

const LEDGERS: [&str; 5] = [
    "/land/landing.jsonl",
    "/land/landing.jsonl.1",
    "/land/landing.jsonl.2",
    "/land/landing.jsonl.3",
    "/land/landing.jsonl.4",
];

/// Ledgers as years leave them, the newest first; one file of the second lies there.
fn years() -> SimDisk {
    let disk = disk();
    let ledgers: [&[(&str, &str)]; 5] = [
        &[("file", "2026-11-22/9-9-x.tsfile")],
        &[("file", "2026-11-20/7-7-x.tsfile"), ("file", "2026-11-21/8-8-x.tsfile")],
        &[("delete", ""), ("file", "2026-11-05/6-6-x.tsfile")],
        &[("file", "2026-11-03/3-3-x.tsfile"), ("delete", "")],
        &[("file", "2026-11-01/1-1-x.tsfile"), ("file", "2026-11-02/2-2-x.tsfile")],
    ];
    for (path, (first, lines)) in LEDGERS.iter().zip([9, 7, 5, 3, 1].into_iter().zip(ledgers)) {
        disk.place(Path::new(path), &ledger_of(first, lines));
    }
    disk.place(Path::new("/land/2026-11-05/6-6-x.tsfile"), TS_FILE);
    disk.place(Path::new("/land/.penstock.believed"), format!("{}\n", NOON.0).as_bytes());
    disk
}

fn ledgers_of(disk: &SimDisk) -> Vec<usize> {
    let is_there = |path: &&str| disk.contents(Path::new(path)).is_some();
    (0..5).filter(|age| is_there(&LEDGERS[*age])).collect()
}

fn bytes_of(disk: &SimDisk, ages: &[usize]) -> u64 {
    ages.iter().map(|age| contents(disk, LEDGERS[*age]).len() as u64).sum()
}

/// Entries from 10 on: one file.
fn one_more() -> Entries {
    let mut entries = Entries::default();
    entries.push(10, Some(5), &[("a.tsfile", TS_FILE)]);
    entries
}

#[test]
fn full_ledgers_go_by_age_once_their_files_are_fetched() {
    // The deletion in 3 is older than the file in 2, but nobody knows how old what stands at the end of 2 may be.
    for (keep_days, left, files) in [
        (0, vec![0, 1, 2, 3, 4], 2),
        (30, vec![0, 1, 2, 3, 4], 2),
        (18, vec![0, 1, 2, 3], 2),
        (5, vec![0, 1, 2], 1),
    ] {
        let disk = years();
        let limits = Limits { keep_days, ..Limits::default() };
        let mut landing = open(&disk, &one_more(), 10, limits).expect("opens");
        run(&mut landing, start()).expect("lands");
        run(&mut landing, start() + Duration::from_secs(700)).expect("counts");
        assert_eq!(ledgers_of(&disk), left, "{keep_days}");
        assert_eq!(landed(&disk).len(), files, "{keep_days}");
    }
}

#[test]
fn full_ledgers_make_room_under_delete_oldest_and_are_named_where_nothing_may_go() {
    let full = bytes_of(&years(), &[1, 2, 3, 4]);
    // One byte less than there would be room for without the oldest ledger.
    let max_bytes = full - bytes_of(&years(), &[4]) + 2 * 228 - 1;
    for (when_full, keep_days, left, files) in [
        (WhenFull::Block, 0, vec![0, 1, 2, 3, 4], 1),
        (WhenFull::DeleteOldest, 0, vec![0, 1, 2], 2),
        // The deletion in 3 is kept: a younger one without deletions goes.
        (WhenFull::DeleteOldest, 300, vec![0, 2, 3], 2),
    ] {
        let disk = years();
        let limits = Limits { max_bytes, keep_days, when_full };
        let mut landing = open(&disk, &one_more(), 10, limits).expect("opens");
        let steps = run(&mut landing, start()).expect("lands");
        if when_full == WhenFull::Block {
            let told = steps.last();
            let Some(Step::Full { ledgers, .. }) = told else { panic!("{told:?}") };
            assert_eq!(*ledgers, full);
        }
        assert_eq!(ledgers_of(&disk), left, "{when_full:?} {keep_days}");
        assert_eq!(landed(&disk).len(), files, "{when_full:?} {keep_days}");
        assert_eq!(landing.removed(), Removed::default(), "no file goes");
    }
}

#[test]
fn the_ledger_with_the_last_set_stays() {
    let disk = years();
    disk.remove(Path::new(LEDGERS[0])).expect("removed");
    disk.remove(Path::new(LEDGERS[1])).expect("removed");
    let limits = Limits { keep_days: 1, ..Limits::default() };
    let mut landing = open(&disk, &Entries::default(), 1, limits).expect("opens");
    for seconds in [0, 700, 1400] {
        run(&mut landing, start() + Duration::from_secs(seconds)).expect("counts");
    }
    assert!(ledgers_of(&disk).starts_with(&[2]), "{:?}", ledgers_of(&disk));
}

#[test]
fn a_ledger_whose_files_were_fetched_is_not_read_again() {
    let disk = years();
    let limits = Limits { keep_days: 3000, ..Limits::default() };
    let mut landing = open(&disk, &one_more(), 10, limits).expect("opens");
    run(&mut landing, start()).expect("lands");
    let reads = |landing: &mut Landing<SimDisk, Entries>, seconds| {
        let before = disk.calls().read_bytes;
        run(landing, start() + Duration::from_secs(seconds)).expect("counts");
        disk.calls().read_bytes - before
    };
    // The one whose file lies there, and the one that is written.
    assert_eq!(reads(&mut landing, 700), bytes_of(&disk, &[0, 2]));
    fetch(&disk, "/land/2026-11-05/6-6-x.tsfile");
    assert_eq!(reads(&mut landing, 1400), bytes_of(&disk, &[0, 2]));
    assert_eq!(reads(&mut landing, 2100), bytes_of(&disk, &[0]));
}

#[test]
fn a_ledger_that_the_disk_does_not_give_back_holds_nothing_up_and_is_told_once() {
    for limits in [
        Limits { keep_days: 1, ..Limits::default() },
        Limits { max_bytes: 1 << 20, when_full: WhenFull::DeleteOldest, ..Limits::default() },
    ] {
        let disk = years();
        disk.spoil(Path::new(LEDGERS[3]), 0..u64::MAX);
        let mut landing = open(&disk, &one_more(), 10, limits).expect("opens");
        run(&mut landing, start()).expect("lands");
        let told = landing.take_unread_ledger();
        assert!(told.is_some_and(|told| told.contains("landing.jsonl.3")));
        assert!(landed(&disk).iter().any(|path| path.ends_with("10-10-a.tsfile")));
        run(&mut landing, start() + Duration::from_secs(700)).expect("counts");
        assert_eq!(landing.take_unread_ledger(), None);
        assert!(ledgers_of(&disk).contains(&3), "nobody knows what it names");
    }
}

/// Tablets of points that do not shrink.
fn tablets(count: u64) -> Entries {
    let mut entries = Entries::default();
    for sequence in 1..=count {
        let time = 1000 * sequence.cast_signed();
        let sample = Sample::plain(&mut Rng::new(sequence), "root.d", time, 10, 12);
        entries.push_tablet(sequence, &sample);
    }
    entries
}

#[test]
fn a_run_whose_files_do_not_fit_is_made_in_halves_and_a_tablet_that_never_fits_stops_nothing() {
    let whole = {
        let disk = disk();
        let mut landing = open(&disk, &tablets(8), 1, Limits::default()).expect("opens");
        run(&mut landing, start() + DELAY).expect("gathers");
        run(&mut landing, start() + 2 * DELAY).expect("lands");
        ledger(&disk)[0].bytes()
    };
    let disk = disk();
    let mut landing = open(&disk, &tablets(8), 1, Limits::default()).expect("opens");
    // So small a limit cuts a run much earlier: it is as if the files were longer than what they are made of.
    landing.room =
        Room::open(&disk, Limits { max_bytes: whole - 1, ..Limits::default() }, Path::new("/land"));
    let (mut now, mut points) = (start(), 0);
    for _ in 0..20 {
        now += DELAY;
        for step in run(&mut landing, now).expect("lands") {
            let Step::Landed(file) = step else { continue };
            points += file.points;
            fetch(&disk, &format!("/land/{}", file.name.expect("a file")));
        }
    }
    assert_eq!((points, landing.cursor().position), (8 * 120, Sequence(9)));
    assert!(ledger(&disk).len() > 1 && ledger(&disk).iter().all(|line| line.what == What::Tablets));

    let tiny = Limits { max_bytes: 100, ..Limits::default() };
    let mut landing = open(&super::disk(), &tablets(2), 1, tiny).expect("opens");
    let steps = run(&mut landing, start() + DELAY).expect("goes on");
    let more = run(&mut landing, start() + 3 * DELAY).expect("goes on");
    let unfit = |step: &&Step| matches!(step, Step::Unfit { needed: Some(_), .. });
    assert_eq!(steps.iter().chain(&more).filter(unfit).count(), 2);
    assert_eq!(landing.cursor().position, Sequence(3));
}

#[test]
fn a_run_behind_one_that_was_too_large_begins_smaller_and_grows_again() {
    let disk = disk();
    let mut landing = open(&disk, &tablets(1), 1, Limits::default()).expect("opens");
    let most = landing.run_bytes_max;
    let header = landing.source.items[0].0.header;
    let mut run_of = Gathered::again(&header, (Vec::new(), Sequence(9)), None, start());
    run_of.recorded = false;
    landing.halve(run_of, String::new());
    assert!(landing.run_bytes < most);
    let before = landing.run_bytes;
    landing.work = Work::Next;
    landing.source.position = Sequence(1);
    run(&mut landing, start()).expect("gathers");
    run(&mut landing, start() + DELAY).expect("lands");
    assert!(landing.run_bytes > before && landing.run_bytes <= most);
}

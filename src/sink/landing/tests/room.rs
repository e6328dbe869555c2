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

#[test]
fn a_full_directory_waits_until_files_were_fetched() {
    let disk = disk();
    let limits = Limits { max_bytes: 300, ..Limits::default() };
    let mut landing = open(&disk, &Entries::sample(), 3, limits).expect("opens");
    let now = start();
    let steps = run(&mut landing, now).expect("lands");
    assert!(matches!(
        steps.last(),
        Some(Step::Full { needed: 236, present: 228, max_bytes: 300, .. })
    ));
    assert_eq!(landed(&disk), [A]);
    assert!(matches!(landing.step(now, NOON), Ok(Step::Full { .. })));
    fetch(&disk, A);
    run(&mut landing, now + Duration::from_secs(11)).expect("lands");
    assert_eq!(landed(&disk), [B, B_MODS]);
}

#[test]
fn the_oldest_files_make_room_if_that_was_chosen() {
    let disk = disk();
    let mut entries = Entries::default();
    for sequence in 1..=20 {
        entries.push(sequence, Some(5), &[(&format!("{sequence}.tsfile"), TS_FILE)]);
    }
    let limits = Limits { max_bytes: 700, when_full: WhenFull::DeleteOldest, keep_days: 0 };
    let mut landing = open(&disk, &entries, 1, limits).expect("opens");
    run(&mut landing, start()).expect("lands");
    let kept = [18, 19, 20].map(|name| format!("/land/2026-11-22/{name}-{name}-{name}.tsfile"));
    assert_eq!(landed(&disk), kept);
    assert_eq!(landing.removed(), Removed { files: 17, bytes: 17 * 228 });
}

#[test]
fn nothing_is_removed_for_what_can_never_fit() {
    for when_full in [WhenFull::DeleteOldest, WhenFull::Block] {
        let disk = disk();
        let limits = Limits { max_bytes: 300, when_full, keep_days: 0 };
        let mut entries = Entries::default();
        entries.push(1, Some(5), &[("a.tsfile", TS_FILE)]);
        entries.push(2, Some(9), &[("b.tsfile.mods", &[b' '; 80]), ("b.tsfile", TS_FILE)]);
        let mut landing = open(&disk, &entries, 1, limits).expect("opens");
        // Of what comes behind it there is room for one more once the first was fetched.
        entries.push(3, Some(5), &[("c.tsfile", TS_FILE)]);
        landing.source = entries;
        landing.source.position = Sequence(1);
        let mut told = None;
        while told.is_none() {
            if let Step::Unfit { why, needed, .. } = landing.step(start(), NOON).expect("goes on") {
                told = Some((why, needed));
            }
        }
        let what = "2026-11-22/2-2-b.tsfile: 308 bytes, and [landing] max_bytes is 300";
        assert_eq!(told, Some((what.to_owned(), Some(308))));
        assert_eq!(landed(&disk), ["/land/2026-11-22/1-1-a.tsfile"]);
        assert_eq!(landing.removed(), Removed::default());
        fetch(&disk, "/land/2026-11-22/1-1-a.tsfile");
        run(&mut landing, start() + Duration::from_hours(1)).expect("goes on");
        assert_eq!(landed(&disk), ["/land/2026-11-22/3-3-c.tsfile"]);
    }
}

#[test]
fn nothing_is_removed_for_room_that_was_made_since_the_last_count() {
    let disk = disk();
    let mut entries = Entries::default();
    for sequence in 1..=12 {
        entries.push(sequence, Some(5), &[(&format!("{sequence}.tsfile"), TS_FILE)]);
    }
    for when_full in [WhenFull::DeleteOldest, WhenFull::Block] {
        let limits = Limits { max_bytes: 700, when_full, keep_days: 0 };
        let mut landing = open(&disk, &entries, 1, limits).expect("opens");
        // All but the oldest are fetched as they come.
        let (now, mut told) = (start(), Vec::new());
        for _ in 0..10_000 {
            match landing.step(now, NOON).expect("lands") {
                Step::Idle => break,
                Step::Landed(landed) if landed.sequences.0 > Sequence(1) => {
                    fetch(&disk, &format!("/land/{}", landed.name.expect("a file")));
                }
                Step::Full { .. } => told.push("full"),
                Step::Worked | Step::Landed(_) | Step::Unfit { .. } => {}
            }
        }
        assert!(told.is_empty(), "{when_full:?}");
        assert_eq!(landing.removed(), Removed::default(), "{when_full:?}");
        assert_eq!(landed(&disk), ["/land/2026-11-22/1-1-1.tsfile"]);
        drop(landing);
        (entries.items.iter_mut()).for_each(|(item, _)| item.header.sequence.0 += 12);
    }
}

#[test]
fn old_files_go_by_time_that_has_passed_whatever_the_clock_shows() {
    let disk = disk();
    let limits = Limits { keep_days: 2, ..Limits::default() };
    let mut landing = open(&disk, &Entries::sample(), 3, limits).expect("opens");
    let mut now = start();
    run(&mut landing, now).expect("lands");
    let day = |days: i64| EpochMillis(NOON.0 + days * 86_400_000);
    let mut count = |landing: &mut Landing<_, _>, passed: u32, shown: i64| {
        now += Duration::from_hours(24) * passed + Duration::from_secs(601);
        while matches!(landing.step(now, day(shown)).expect("counts"), Step::Worked) {}
        landed(&disk).len()
    };
    assert_eq!(count(&mut landing, 0, 0), 3);
    for shown in [27_000, -20_000, 27_000] {
        assert_eq!(count(&mut landing, 0, shown), 3, "{shown}");
    }
    assert_eq!(count(&mut landing, 1, 27_000), 3);
    // What was believed outlasts a start, and a clock that jumps meanwhile.
    drop(landing);
    let mut landing = open(&disk, &Entries::sample(), 6, limits).expect("opens");
    assert_eq!(count(&mut landing, 0, 27_000), 3);
    assert_eq!(count(&mut landing, 1, 2), 3);
    assert_eq!(count(&mut landing, 1, 27_000), 0);
}

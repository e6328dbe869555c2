//! Files that cannot be landed hold nothing up.

use super::*;

#[test]
fn what_is_no_sound_file_is_put_aside_and_leaves_a_line() {
    let mut entries = Entries::default();
    entries.push(1, Some(5), &[("cut.tsfile", &TS_FILE[..100])]);
    entries.push(2, Some(9), &[("r.tsfile.mods", b"DELETION"), ("r.tsfile", TS_FILE)]);
    entries.items[1].1[1][60] ^= 1;
    entries.push(3, Some(5), &[("gone.tsfile", TS_FILE)]);
    entries.gone.push(3);
    entries.push(4, Some(5), &[]);
    entries.push(5, Some(5), &[("good.tsfile", TS_FILE)]);
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    let steps = run(&mut landing, start()).expect("lands");
    let told = steps.iter().filter_map(|step| {
        let Step::Unfit { sequence, why, .. } = step else { return None };
        Some((sequence.0, why.as_str()))
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for (why, part) in told.iter().zip([
        "2026-11-22/1-1-cut.tsfile: flawed: ",
        "2026-11-22/2-2-r.tsfile: blake3 is ",
        "2026-11-22/3-3-gone.tsfile: the spool's copy is gone",
        "its list of files",
    ]) {
        assert!(why.1.starts_with(part), "{why:?}");
    }
    assert_eq!(landed(&disk), ["/land/2026-11-22/5-5-good.tsfile"]);
    assert_eq!(hidden_files(&disk), [""; 0]);
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(6)));
    let lines = ledger(&disk);
    assert!(lines[..4].iter().all(|line| line.what == What::Unfit && line.file.is_none()));
    assert!(lines[1].with.is_empty());
    assert!(lines[0].why.as_ref().is_some_and(|why| why.contains("flawed")));
}

#[test]
fn a_file_whose_index_leads_to_the_same_again_and_again_lands_as_it_came() {
    const SHARED: &[u8] = include_bytes!("../../../../tests/fuzz/corpus/tsfile/shared_nodes");
    let mut entries = Entries::default();
    entries.push(1, Some(5), &[("shared.tsfile", SHARED)]);
    entries.push(2, Some(5), &[("good.tsfile", TS_FILE)]);
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert_eq!(contents(&disk, "/land/2026-11-22/1-1-shared.tsfile"), SHARED);
    let counted: Vec<_> = ledger(&disk).iter().map(|line| (line.devices, line.points)).collect();
    assert_eq!(counted, [(None, None), (Some(1), Some(3))]);
}

#[test]
fn the_long_index_of_a_file_is_looked_at_in_steps_to_its_last_byte() {
    let mut entries = Entries::default();
    let mut long = crate::tsfile::tail::with_long_block();
    entries.push(1, Some(5), &[("a.tsfile", &long)]);
    // The kind of the root, behind some MiB.
    let end = long.len() - 22;
    long[end] = 9;
    entries.push(2, Some(5), &[("b.tsfile", &long)]);
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    let steps = run(&mut landing, start()).expect("lands");
    let mut told = steps.iter().filter_map(|step| {
        let Step::Unfit { why, .. } = step else { return None };
        Some(why.as_str())
    });
    assert!(told.next().is_some_and(|why| why.contains("b.tsfile: flawed: index node type")));
    assert_eq!(landed(&disk), ["/land/2026-11-22/1-1-a.tsfile"]);
}

#[test]
fn a_name_that_no_file_can_have_is_replaced() {
    let mut entries = Entries::default();
    entries.push(1, Some(9), &[("../x.tsfile.mods", b"DELETION"), ("../x.tsfile", TS_FILE)]);
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert_eq!(
        landed(&disk),
        ["/land/2026-11-22/1-1-unnamed.tsfile", "/land/2026-11-22/1-1-unnamed.tsfile.mods"]
    );
}

#[test]
fn a_file_that_the_disk_does_not_give_back_is_tried_five_times_and_stops_nothing() {
    for (tries, is_healed) in [(4, true), (5, false)] {
        let mut entries = Entries::default();
        entries.push(1, Some(5), &[("a.tsfile", TS_FILE)]);
        entries.push(2, Some(5), &[("b.tsfile", TS_FILE)]);
        entries.unreadable.push(1);
        let disk = disk();
        let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
        let mut errors = 0;
        let steps = loop {
            if is_healed && errors == tries {
                landing.source.unreadable.clear();
            }
            match run(&mut landing, start()) {
                Ok(steps) => break steps,
                Err(error) => {
                    assert!(error.to_string().contains("read the spool's copy of"), "{error}");
                    errors += 1;
                }
            }
        };
        let landed = landed(&disk).len();
        if is_healed {
            assert_eq!((errors, landed), (4, 2));
        } else {
            assert_eq!((errors, landed), (4, 1));
            assert!(matches!(&steps[0], Step::Unfit { why, .. } if why.contains("cannot be read")));
        }
        assert_eq!(landing.cursor(), &Cursor::at(Sequence(3)));
    }
}

/// Steps until there is nothing to do; returns how often that failed, and what was reported.
fn run_over(landing: &mut Landing<SimDisk, Entries>) -> (u32, Vec<Step>) {
    let (mut errors, mut all, mut now) = (0, Vec::new(), start());
    while landing.cursor().position < Sequence(5) {
        now += DELAY;
        match run(landing, now) {
            Ok(steps) => all.extend(steps),
            Err(error) => {
                assert!(error.to_string().contains("spool"), "{error}");
                errors += 1;
            }
        }
        assert!(errors < 1000, "it goes on for ever");
    }
    (errors, all)
}

#[test]
fn an_entry_of_the_log_that_the_disk_does_not_give_back_is_stepped_over_with_a_line() {
    for unreadable in [2, 3] {
        let mut entries = Entries::default();
        let tablet = |sequence: u64| {
            let time = 1000 * sequence.cast_signed();
            Sample::plain(&mut Rng::new(sequence), "root.d", time, 10, 12)
        };
        entries.push_tablet(1, &tablet(1));
        entries.push_tablet(2, &tablet(2));
        entries.push_request(3, &requests::deletion(&[&["root", "d"]]));
        entries.push_tablet(4, &tablet(4));
        entries.unreadable.push(unreadable);
        let disk = disk();
        let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
        let (errors, steps) = run_over(&mut landing);
        assert!(errors >= limits::LANDING_LOG_READS_MAX - 1, "{errors}");
        let unfit = steps.iter().filter_map(|step| match step {
            Step::Unfit { sequence, why, .. } => Some((sequence.0, why.contains("cannot be read"))),
            Step::Idle | Step::Worked | Step::Landed(_) | Step::Full { .. } => None,
        });
        assert_eq!(unfit.collect::<Vec<_>>(), [(unreadable, true)]);
        let lines = ledger(&disk);
        let points: u64 = lines.iter().filter_map(|line| line.points).sum();
        assert_eq!(points, if unreadable == 2 { 240 } else { 360 });
        let of = |what| lines.iter().filter(|line| line.what == what).count();
        assert_eq!((of(What::Unfit), of(What::Delete)), (1, usize::from(unreadable == 2)));
    }
}

#[test]
fn a_place_of_the_log_that_the_disk_does_not_give_back_holds_nothing_up_that_lies_around_it() {
    let mut entries = Entries::default();
    for sequence in 1..=6_u64 {
        let time = 1000 * sequence.cast_signed();
        let tablet = Sample::plain(&mut Rng::new(sequence), "root.d", time, 10, 12);
        entries.push_tablet(sequence, &tablet);
    }
    entries.lost.extend([3, 4]);
    let disk = disk();
    let mut landing = open(&disk, &entries, 1, Limits::default()).expect("opens");
    let (mut errors, mut now) = (0, start());
    while landing.cursor().position < Sequence(7) {
        now += DELAY;
        errors += u32::from(run(&mut landing, now).is_err());
        assert!(errors < 1000, "it goes on for ever");
    }
    // One more ended the run before it.
    assert_eq!(errors, limits::LANDING_LOG_READS_MAX - 2);
    let sequences: Vec<_> = ledger(&disk).iter().map(|line| line.sequences).collect();
    assert_eq!(sequences, [(1, 2), (5, 6)]);
}

#[test]
fn a_line_that_says_that_it_landed_is_not_the_last_word() {
    let root = tempfile::tempdir().expect("a directory");
    let settings = Settings { dir: root.path().to_owned(), ..settings(Limits::default()) };
    let mut entries = Entries::default();
    entries.push(1, Some(5), &[("a.tsfile", TS_FILE)]);
    let cursor = Cursor { position: Sequence(1), ..Cursor::default() };
    let disk = RealDisk::new(root.path());
    let mut landing = Landing::open(disk, settings, entries, cursor).expect("opens");
    let now = start();
    while !matches!(landing.work, Work::Naming(_)) {
        landing.step(now, NOON).expect("lands");
    }
    std::fs::remove_dir_all(root.path().join(".penstock")).expect("removed");
    landing.source.gone.push(1);
    while !matches!(landing.step(now, NOON).expect("goes on"), Step::Unfit { .. }) {}
    landing.put_aside();
    while !matches!(landing.step(now, NOON).expect("goes on"), Step::Idle) {}
    let ledger = std::fs::read_to_string(root.path().join("landing.jsonl")).expect("a ledger");
    let whats = ledger.lines().map(|line| serde_json::from_str::<Line>(line).expect("a line").what);
    assert_eq!(whats.collect::<Vec<_>>(), [What::File, What::Unfit]);
}

#[test]
fn a_request_that_is_dropped_while_it_waits_for_room_holds_nothing_up() {
    let mut entries = Entries::default();
    entries.push(1, Some(5), &[("a.tsfile", TS_FILE)]);
    // A plan of 200 bytes, of which there is no room beside the file.
    let plan = [&[1, 0, 101][..], &[7; 197]].concat();
    entries.push_request(2, &plan);
    entries.push(3, Some(5), &[("c.tsfile", TS_FILE)]);
    let disk = disk();
    let limits = Limits { max_bytes: 300, ..Limits::default() };
    let mut landing = open(&disk, &entries, 1, limits).expect("opens");
    let mut steps = run(&mut landing, start()).expect("lands");
    steps.retain(|step| matches!(step, Step::Full { .. }));
    assert_eq!(steps.len(), 1, "it waits");
    landing.source.oldest = Sequence(3);
    fetch(&disk, "/land/2026-11-22/1-1-a.tsfile");
    let steps = run(&mut landing, start() + Duration::from_hours(1)).expect("goes on");
    let Some(Step::Unfit { sequence, why, .. }) = steps.first() else { panic!("{steps:?}") };
    assert!(sequence.0 == 2 && why.contains("dropped"), "{why}");
    assert_eq!(landed(&disk), ["/land/2026-11-22/3-3-c.tsfile"]);
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(4)));
}

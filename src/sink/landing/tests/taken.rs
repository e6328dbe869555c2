//! A spool that counts from 1 again, or from where it once was, takes the place of no file that nobody has fetched.

use super::*;

const OTHER: OriginId = OriginId([0xcc; 16]);

/// Opens the directory with the spool of `node`.
fn open_as(
    disk: &SimDisk,
    (node, next_sequence): (OriginId, u64),
    entries: &Entries,
) -> Result<Landing<SimDisk, Entries>, LandingError> {
    let next_sequence = Sequence(next_sequence);
    let settings = Settings { node, next_sequence, ..settings(Limits::default()) };
    Landing::open(disk.clone(), settings, entries.clone(), Cursor::default())
}

/// A file with its mods, a request and a run of tablets, none of which equals that of another `kind`.
fn entries(kind: u8) -> Entries {
    let mut entries = Entries::default();
    entries.push(1, Some(9), &[("a.tsfile.mods", &[kind; 30]), ("a.tsfile", TS_FILE)]);
    entries.push_request(2, &[1, 0, 7, kind]);
    let tablet = Sample::plain(&mut Rng::new(kind.into()), "root.d", 1000, 10, 12);
    entries.push_tablet(3, &tablet);
    entries.push_request(4, &[1, 0, 8, kind]);
    entries
}

/// Each file that the ledger names lies there, and is the one that the line is about.
fn names_in_ledger(disk: &SimDisk) -> Vec<String> {
    let lines = ledger(disk);
    for file in lines.iter().flat_map(Line::files) {
        let bytes = contents(disk, &format!("/land/{}", file.name));
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), file.blake3, "{}", file.name);
    }
    lines.iter().flat_map(Line::names).map(str::to_owned).collect()
}

#[test]
fn names_that_are_taken_get_a_mark_and_stay_one_set() {
    let disk = disk();
    let mut names = Vec::new();
    for (kind, node) in [(1, NODE), (2, OTHER), (3, OTHER), (4, NODE)] {
        if kind == 4 {
            // What is fetched leaves its name free.
            landed(&disk).iter().filter(|path| path.contains("request")).for_each(|path| {
                fetch(&disk, path);
            });
            disk.remove(Path::new("/land/landing.jsonl")).expect("it is there");
        }
        let mut landing = open_as(&disk, (node, 1), &entries(kind)).expect("opens");
        run(&mut landing, start()).expect("lands");
        names = names_in_ledger(&disk);
    }
    let all = landed(&disk);
    let expected = [
        "1-1-a.tsfile",
        "1-1-a.tsfile.mods",
        "1-1-aaaaaaaa-a.tsfile",
        "1-1-aaaaaaaa-a.tsfile.mods",
        "1-1-cccccccc-a.tsfile",
        "1-1-cccccccc-a.tsfile.mods",
        "1-1-cccccccc.2-a.tsfile",
        "1-1-cccccccc.2-a.tsfile.mods",
        "2-2-request-7.bin",
        "3-3-aaaaaaaa-tablets.tsfile",
        "3-3-cccccccc-tablets.tsfile",
        "3-3-cccccccc.2-tablets.tsfile",
        "3-3-tablets.tsfile",
        "4-4-request-8.bin",
    ];
    let expected: Vec<_> = expected.iter().map(|name| format!("/land/2026-11-22/{name}")).collect();
    assert_eq!(all, expected);
    assert_eq!(names.len(), 5, "those of the last run: {names:?}");
}

#[test]
fn files_of_a_spool_that_is_gone_get_their_names_wherever_it_was_killed() {
    for call in 1.. {
        let disk = SimDisk::new(call, DISK_BYTES);
        disk.schedule(call, Fault::Io, true);
        let ended = open_as(&disk, (NODE, 5), &entries(1)).and_then(|mut landing| {
            run(&mut landing, start())?;
            Ok(())
        });
        disk.crash();
        disk.heal();
        let mut landing = open_as(&disk, (OTHER, 5), &entries(2)).expect("opens");
        run(&mut landing, start()).expect("lands");
        let names = names_in_ledger(&disk);
        assert!(names.len() >= 5, "at call {call}: {names:?}");
        assert_eq!(landed(&disk).len(), names.len(), "at call {call}");
        assert_eq!(hidden_files(&disk), [""; 0], "at call {call}");
        if ended.is_ok() {
            assert!(call > 20, "nothing was killed");
            return;
        }
    }
}

#[test]
fn a_file_that_came_under_a_recorded_name_is_not_replaced() {
    let disk = disk();
    let mut landing = open_as(&disk, (NODE, 5), &entries(1)).expect("opens");
    while !matches!(landing.work, Work::Naming(_)) {
        landing.step(start(), NOON).expect("lands");
    }
    let foreign = Path::new("/land/2026-11-22/1-1-a.tsfile");
    disk.place(foreign, b"somebody's");
    for _ in 0..3 {
        let error = landing.step(start(), NOON).expect_err("it is taken");
        assert!(matches!(&error, LandingError::Taken { path } if path == foreign), "{error}");
    }
    assert_eq!(contents(&disk, "/land/2026-11-22/1-1-a.tsfile"), b"somebody's");
    // A start does not replace it either.
    drop(landing);
    let cursor = Cursor::default();
    let opened = Landing::open(disk.clone(), settings(Limits::default()), entries(1), cursor);
    assert!(matches!(opened, Err(LandingError::Taken { .. })));
    disk.remove(foreign).expect("moved away");
    let mut landing = open_as(&disk, (NODE, 5), &entries(1)).expect("opens");
    run(&mut landing, start()).expect("lands");
    assert_eq!(names_in_ledger(&disk).len(), landed(&disk).len());
}

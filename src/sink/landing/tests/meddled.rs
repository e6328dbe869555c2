//! Somebody removes dated directories and fetches files, and the node is killed: nothing is lost, cut or there twice.

use super::*;

const DATED: &str = "2026-11-22";
/// Copied in several steps.
const MODS_BYTES: usize = 5 << 19;

fn entries() -> Entries {
    let mods: Vec<u8> = (0..=250).cycle().take(MODS_BYTES).collect();
    let mut entries = Entries::default();
    entries.push(3, Some(9), &[("a.tsfile.mods", &mods), ("a.tsfile", TS_FILE)]);
    entries
}

fn opened(dir: &Path) -> Landing<RealDisk, Entries> {
    let settings = Settings { dir: dir.to_owned(), ..settings(Limits::default()) };
    let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
    Landing::open(RealDisk::new(dir), settings, entries(), cursor).expect("opens")
}

/// Takes what lies in the dated directory under its name, and then the directory with whatever is in it.
fn fetch_and_remove(dir: &Path, fetched: &mut Vec<(String, u64)>) {
    for file in std::fs::read_dir(dir.join(DATED)).into_iter().flatten() {
        let file = file.expect("a file");
        let name = file.file_name().into_string().expect("text");
        if !name.starts_with('.') {
            fetched.push((name, file.metadata().expect("it is there").len()));
        }
    }
    let _none = std::fs::remove_dir_all(dir.join(DATED));
}

/// Meddles after so many steps, kills the node after so many, meddles while it is down if told so; returns what was
/// fetched in the end, or `None` if it had come to rest before.
fn fetched(meddle: usize, kill: usize, while_down: bool) -> Option<Vec<(String, u64)>> {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path();
    let mut fetched = Vec::new();
    let mut landing = opened(dir);
    for step in 0..kill {
        if step == meddle {
            fetch_and_remove(dir, &mut fetched);
        }
        if matches!(landing.step(start(), NOON).expect("lands"), Step::Idle) {
            return None;
        }
    }
    drop(landing);
    if while_down {
        fetch_and_remove(dir, &mut fetched);
    }
    let mut landing = opened(dir);
    while !matches!(landing.step(start(), NOON).expect("lands"), Step::Idle) {}
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(4)));
    let ledger = std::fs::read_to_string(dir.join("landing.jsonl")).expect("a ledger");
    assert_eq!(ledger.lines().count(), 1);
    fetch_and_remove(dir, &mut fetched);
    let left = std::fs::read_dir(dir.join(".penstock")).expect("it is there");
    let left: Vec<_> = left.map(|file| file.expect("a file").file_name()).collect();
    assert_eq!(left, [".whole"], "nothing is left over");
    fetched.sort();
    Some(fetched)
}

#[test]
fn files_land_whole_and_once_whoever_removes_the_dated_directory_before_a_crash() {
    let all = [
        ("3-3-a.tsfile".to_owned(), TS_FILE.len() as u64),
        ("3-3-a.tsfile.mods".to_owned(), MODS_BYTES as u64),
    ];
    let mut runs = 0;
    for kill in 1.. {
        let Some(_) = fetched(kill, kill, false) else { break };
        for (meddle, while_down) in (0..=kill).flat_map(|at| [(at, false), (at, true)]) {
            let fetched = fetched(meddle, kill, while_down).expect("as far as before");
            assert_eq!(fetched, all, "meddled {meddle}, killed {kill}, while down {while_down}");
            runs += 1;
        }
    }
    assert!(runs > 50, "{runs}");
}

/// Removes the directory of hidden files between the line and the names: they are made again, and under another name
/// until they are whole.
#[test]
fn what_is_made_again_behind_its_line_has_no_hidden_name_before_it_is_whole() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path();
    let mut landing = opened(dir);
    while !matches!(landing.work, Work::Naming(_)) {
        landing.step(start(), NOON).expect("lands");
    }
    std::fs::remove_dir_all(dir.join(".penstock")).expect("removed");
    let hidden = dir.join(".penstock/.3-3-a.tsfile.mods");
    loop {
        let step = landing.step(start(), NOON).expect("lands");
        let bytes = std::fs::metadata(&hidden).map(|found| found.len());
        assert!(bytes.is_err() || bytes.is_ok_and(|bytes| bytes == MODS_BYTES as u64));
        if matches!(step, Step::Idle) {
            break;
        }
    }
    let mut fetched = Vec::new();
    fetch_and_remove(dir, &mut fetched);
    assert_eq!(fetched.len(), 2);
}

/// Removes the directory of hidden files as soon as a line names one, and kills the node after so many more steps:
/// returns what lies there in the end, and the names in the ledger; `None` if it had landed before.
fn made_again(entries: &Entries, steps: usize) -> Option<(Vec<String>, Vec<String>)> {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path();
    let opened = || {
        let settings = Settings { dir: dir.to_owned(), ..settings(Limits::default()) };
        let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
        Landing::open(RealDisk::new(dir), settings, entries.clone(), cursor).expect("opens")
    };
    let mut now = start();
    let mut step = |landing: &mut Landing<RealDisk, Entries>| {
        now += DELAY;
        landing.step(now, NOON).expect("lands")
    };
    let mut landing = opened();
    while !matches!(landing.work, Work::Naming(_)) {
        step(&mut landing);
    }
    std::fs::remove_dir_all(dir.join(".penstock")).expect("removed");
    for _ in 0..steps {
        if matches!(step(&mut landing), Step::Landed(_)) {
            return None;
        }
    }
    drop(landing);
    let mut landing = opened();
    while landing.cursor() != &Cursor::at(Sequence(5)) {
        step(&mut landing);
    }
    let mut fetched = Vec::new();
    fetch_and_remove(dir, &mut fetched);
    let mut fetched: Vec<_> = fetched.into_iter().map(|(name, _)| name).collect();
    let ledger = std::fs::read_to_string(dir.join("landing.jsonl")).expect("a ledger");
    let lines = ledger.lines().map(|line| serde_json::from_str::<Line>(line).expect("a line"));
    let lines: Vec<_> = lines.collect();
    let name = |name: &str| name.split('/').next_back().map(str::to_owned);
    let mut named: Vec<_> = lines.iter().flat_map(Line::names).filter_map(name).collect();
    fetched.sort();
    named.sort();
    Some((fetched, named))
}

#[test]
fn what_a_line_names_lands_though_its_hidden_file_was_removed_before_a_crash() {
    let mut file = entries();
    file.push(4, Some(5), &[("b.tsfile", TS_FILE)]);
    let mut tablets = Entries::default();
    for sequence in 3..=4_u64 {
        let time = 1000 * sequence.cast_signed();
        let mut sample = Sample::plain(&mut Rng::new(sequence), "root.d", time, 10, 12);
        sample.is_aligned = sequence == 4;
        tablets.push_tablet(sequence, &sample);
    }
    for (entries, count) in [(file, 3), (tablets, 2)] {
        let mut runs = 0;
        for steps in 0.. {
            let Some((fetched, named)) = made_again(&entries, steps) else { break };
            assert_eq!((&fetched, fetched.len()), (&named, count), "killed {steps} steps later");
            runs += 1;
        }
        assert!(runs > 3, "{runs}");
    }
}

#[test]
fn a_deletion_lands_where_no_file_ever_was() {
    let root = tempfile::tempdir().expect("a directory");
    let settings = Settings { dir: root.path().to_owned(), ..settings(Limits::default()) };
    let mut entries = Entries::default();
    entries.push_request(3, &requests::deletion(&[&["root", "d"]]));
    let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
    let disk = RealDisk::new(root.path());
    let mut landing = Landing::open(disk, settings, entries, cursor).expect("opens");
    while !matches!(landing.step(start(), NOON).expect("lands"), Step::Idle) {}
    assert_eq!(landing.cursor(), &Cursor::at(Sequence(4)));
}

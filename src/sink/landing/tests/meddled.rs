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
    assert_eq!(left.count(), 0, "nothing is left over");
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

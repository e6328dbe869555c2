//! Somebody removes the dated directory under a file that is on the way.

use super::*;
use crate::spool::RealDisk;

/// Lands the sample in a real directory and removes the dated one after so many steps; returns how many files had
/// landed by then, and those that lie there in the end.
fn landed_around(after: usize) -> Option<(usize, Vec<String>)> {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("land");
    let settings = Settings { dir: dir.clone(), ..settings(Limits::default()) };
    let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
    let disk = RealDisk::new(root.path());
    let mut landing = Landing::open(disk, settings, Entries::sample(), cursor).expect("opens");
    let (now, mut count) = (start(), 0);
    let mut before = None;
    for step in 0..1000 {
        if step == after {
            let dated = dir.join("2026-11-22");
            if dated.is_dir() {
                std::fs::remove_dir_all(dated).expect("removed");
            }
            before = Some(count);
        }
        match landing.step(now, NOON).expect("lands") {
            Step::Idle => {
                let lines = std::fs::read_to_string(dir.join("landing.jsonl")).expect("a ledger");
                assert_eq!(lines.lines().count(), 2, "one line each, after {after} steps");
                let names = std::fs::read_dir(dir.join("2026-11-22")).into_iter().flatten();
                let names = names.map(|name| name.expect("a name").file_name());
                let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
                names.sort();
                return before.map(|before| (before, names));
            }
            Step::Landed(_) => count += 1,
            Step::Worked | Step::Unfit { .. } | Step::Full { .. } => {}
        }
    }
    panic!("it does not come to rest after {after} steps");
}

#[test]
fn what_had_not_landed_lands_all_the_same() {
    let all = ["3-3-a.tsfile", "5-5-b.tsfile", "5-5-b.tsfile.mods"];
    let mut counts = Vec::new();
    for after in 0.. {
        let Some((before, names)) = landed_around(after) else { break };
        let expected = match before {
            0 => &all[..],
            1 => &all[1..],
            _ => &[],
        };
        assert_eq!(names, expected, "removed after {after} steps");
        counts.push(before);
    }
    assert!(counts.len() > 10 && counts.contains(&0) && counts.contains(&2), "{counts:?}");
}

/// Lands the sample, removes what `remove` removes after so many steps, and opens the directory anew when told so.
/// Returns the names that have a line in the ledger, and those that lie there; `None` if it had come to rest before.
fn landed_anew(after: usize, remove: impl Fn(&Path)) -> Option<(Vec<String>, Vec<String>)> {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("land");
    let settings = Settings { dir: dir.clone(), ..settings(Limits::default()) };
    let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
    let disk = RealDisk::new(root.path());
    let mut landing =
        Landing::open(disk.clone(), settings, Entries::sample(), cursor).expect("opens");
    for step in 0..1000 {
        if step == after {
            remove(&dir);
        }
        match landing.step(start(), NOON) {
            Ok(Step::Idle) if step < after => return None,
            Ok(Step::Idle) => break,
            Ok(_) => {}
            Err(LandingError::Removed { .. }) => {
                std::fs::create_dir_all(&dir).expect("made anew");
                landing.reopen().expect("opens anew");
            }
            Err(error) => panic!("after {after} steps: {error}"),
        }
    }
    let lines = std::fs::read_to_string(dir.join("landing.jsonl")).unwrap_or_default();
    let lines = lines.lines().map(|line| serde_json::from_str::<Line>(line).expect("a line"));
    let named = lines.filter_map(|line| line.file).map(|file| file.name).collect();
    let there = ["2026-11-22/3-3-a.tsfile", "2026-11-22/5-5-b.tsfile"];
    let there = there.into_iter().filter(|name| dir.join(name).exists()).map(str::to_owned);
    let there: Vec<_> = there.collect();
    if !there.is_empty() && dir.join(".penstock.lock").exists() {
        let second = lock_dir(&disk, &dir).expect_err("it is locked");
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock, "after {after} steps");
    }
    Some((named, there))
}

#[test]
fn what_lands_after_the_directory_was_removed_is_in_a_ledger_and_locked() {
    let mut counts = Vec::new();
    for after in 0.. {
        let Some((named, there)) =
            landed_anew(after, |dir| std::fs::remove_dir_all(dir).expect("removed"))
        else {
            break;
        };
        assert_eq!(named, there, "removed after {after} steps");
        counts.push(named.len());
    }
    assert_eq!((counts.first(), counts.last()), (Some(&2), Some(&0)), "{counts:?}");
    assert!(counts.contains(&1), "{counts:?}");
}

#[test]
fn a_ledger_that_was_removed_is_begun_anew() {
    let remove = |dir: &Path| drop(std::fs::remove_file(dir.join("landing.jsonl")));
    let mut counts = Vec::new();
    for after in 0.. {
        let Some((named, there)) = landed_anew(after, remove) else { break };
        assert_eq!(there.len(), 2, "removed after {after} steps");
        counts.push(named.len());
    }
    assert_eq!((counts.first(), counts.last()), (Some(&2), Some(&0)), "{counts:?}");
    assert!(counts.contains(&1), "{counts:?}");
}

//! Names in the landing directory.
//!
//! ```text
//!  2026-11-22/41-41-sequence-root.h-3-0-1.tsfile          where a file lies when it is finished
//!  2026-11-22/41-41-sequence-root.h-3-0-1.tsfile.mods     a file that belongs to it
//!  2026-11-22/42-97-tablets-aligned.tsfile                a file made of tablets
//!  2026-11-22/41-41-0b1c2d3e-x.tsfile                     the same where the name was taken: with the node's first 8 digits
//!  undated/42-42-x.tsfile                                 arrived while the clock was not believed
//!  .penstock/.41-41-sequence-root.h-3-0-1.tsfile          before that, whole: a hidden name
//!  .penstock/.copy-0                                      before that, while it is copied
//!  .penstock/.twin-0.tsfile                               the same, while it is made (crate::twin)
//!  .penstock/.whole                                       nothing that a line names was lost (naming.rs)
//! ```
//!
//! Dates are of the arrival, in UTC. An entry has the same names whenever it is landed, as long as they are free. Nobody but this node has
//! anything to do in `.penstock`, which lies on the same file system: a file there that has a hidden name is whole, and
//! goes by being renamed. So scripts may remove a dated directory as soon as it is empty.

use std::path::{Path, PathBuf};

use crate::data::{Identity, OriginId, Sequence};
use crate::ops::clock::EpochMillis;
use crate::spool::Arrival;

/// Directory of what arrived while the clock was not believed.
const UNDATED: &str = "undated";

/// Directory of files that do not have their names yet, below the landing directory.
const WORK_DIR: &str = ".penstock";
/// Name of the mark in it.
pub(super) const WHOLE: &str = ".whole";

/// More than a spool begins anew between two visits of whoever fetches files, and two digits.
const MARKS_MAX: u32 = 99;

/// The directory of files that do not have their names yet.
pub(super) fn work_dir(dir: &Path) -> PathBuf {
    dir.join(WORK_DIR)
}

/// The mark that nothing in that directory was lost.
pub(super) fn whole(dir: &Path) -> PathBuf {
    work_dir(dir).join(WHOLE)
}

/// The path of a file of the entries with these sequences, the first of which arrived then, below the landing
/// directory; `name` is one that a file can have.
pub(super) fn landed_path(
    arrival: Arrival,
    (first, last): (Sequence, Sequence),
    name: &str,
) -> String {
    let own = match Identity::parse_file_name(name.as_bytes()) {
        Some((_, own)) => std::str::from_utf8(own).unwrap_or(name),
        None => name,
    };
    let wall = EpochMillis(arrival.wall_ms);
    let is_dated = arrival.trusted && wall.is_dated();
    let dir = if is_dated { date(wall) } else { UNDATED.to_owned() };
    format!("{dir}/{first}-{last}-{own}")
}

/// Marks that a name may get, one after the other until it is free: those of a spool that counts from 1 again, because it was
/// removed or is an older state, may be taken by files that nobody has fetched yet.
pub(super) fn marks(node: OriginId) -> impl Iterator<Item = String> {
    let digits: String = node.to_string().chars().take(8).collect();
    let numbered = (2..=MARKS_MAX).map({
        let digits = digits.clone();
        move |number| format!("{digits}.{number}")
    });
    std::iter::once(digits).chain(numbered)
}

/// A landed file's path with a mark behind the sequences.
pub(super) fn marked(landed: &str, mark: &str) -> String {
    let start = landed.rfind('/').map_or(0, |slash| slash + 1);
    let (dir, name) = landed.split_at(start);
    let mut parts = name.splitn(3, '-');
    let [first, last, own] = [(); 3].map(|()| parts.next().unwrap_or_default());
    format!("{dir}{first}-{last}-{mark}-{own}")
}

/// The mark that a landed file's path has, if one of [`marks`].
pub(super) fn mark_of(landed: &str, node: OriginId) -> Option<String> {
    let name = landed.rsplit('/').next().unwrap_or_default();
    let third = name.split('-').nth(2)?;
    marks(node).find(|mark| mark == third)
}

/// Where a file with this path below the landing directory lies before that, when it is whole.
pub(super) fn hidden(dir: &Path, landed: &str) -> PathBuf {
    let name = Path::new(landed).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    work_dir(dir).join(format!(".{name}"))
}

/// Where the file with this index lies while it is copied.
pub(super) fn copy(dir: &Path, index: usize) -> PathBuf {
    work_dir(dir).join(format!(".copy-{index}"))
}

/// `YYYY-MM-DD` in UTC.
pub(super) fn date(at: EpochMillis) -> String {
    at.to_string().chars().take_while(|letter| *letter != 'T').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: EpochMillis = EpochMillis(1_795_361_628_250);

    fn path(arrival: Option<EpochMillis>, sequence: u64, name: &str) -> String {
        let wall_ms = arrival.map_or(0, |EpochMillis(wall_ms)| wall_ms);
        let arrival = Arrival { wall_ms, trusted: arrival.is_some() };
        landed_path(arrival, (Sequence(sequence), Sequence(sequence)), name)
    }

    #[test]
    fn a_path_has_date_and_sequences() {
        assert_eq!(path(Some(NOON), 41, "a-b.tsfile"), "2026-11-22/41-41-a-b.tsfile");
        assert_eq!(path(None, 1, "x.tsfile"), "undated/1-1-x.tsfile");
    }

    #[test]
    fn a_hidden_file_lies_where_no_script_has_anything_to_do() {
        let hidden = hidden(Path::new("/land"), "undated/1-1-x.tsfile");
        assert_eq!(hidden, PathBuf::from("/land/.penstock/.1-1-x.tsfile"));
        assert_eq!(copy(Path::new("/land"), 1), PathBuf::from("/land/.penstock/.copy-1"));
    }

    #[test]
    fn an_identity_in_front_is_left_out() {
        let name = format!("P1-{}-{:020}-x.tsfile", "0".repeat(32), 7);
        assert_eq!(path(None, 9, &name), "undated/9-9-x.tsfile");
    }

    #[test]
    fn a_mark_stands_behind_the_sequences_and_is_found_again() {
        let node = OriginId([0xab; 16]);
        let marks: Vec<_> = marks(node).collect();
        assert_eq!((marks.len(), &*marks[0], &*marks[1]), (99, "abababab", "abababab.2"));
        let landed = path(Some(NOON), 41, "a-b.tsfile");
        assert_eq!(mark_of(&landed, node), None);
        for mark in &marks {
            let name = marked(&landed, mark);
            assert_eq!(name, format!("2026-11-22/41-41-{mark}-a-b.tsfile"));
            assert_eq!(mark_of(&name, node).as_ref(), Some(mark));
            assert_eq!(mark_of(&name, OriginId([0xac; 16])), None);
        }
    }

    #[test]
    fn the_longest_names_fit_every_file_system() {
        let longest = format!("P1-{}-{:020}-{}", "0".repeat(32), 7, "x".repeat(200));
        let mark = marks(OriginId([0xab; 16])).last().expect("some");
        for name in [longest, "x".repeat(200)] {
            let path = marked(&path(Some(NOON), u64::MAX, &name), &mark);
            let path = hidden(Path::new("/land"), &path);
            assert!(path.file_name().is_some_and(|name| name.len() <= 255));
        }
    }
}

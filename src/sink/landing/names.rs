//! Names in the landing directory.
//!
//! ```text
//!  2026-11-22/41-41-sequence-root.h-3-0-1.tsfile          where a file lies when it is finished
//!  2026-11-22/41-41-sequence-root.h-3-0-1.tsfile.mods     a file that belongs to it
//!  2026-11-22/42-97-tablets-aligned.tsfile                a file made of tablets
//!  2026-11-22/.41-41-sequence-root.h-3-0-1.tsfile         the same file before that: hidden
//!  undated/42-42-x.tsfile                                 arrived while the clock was not believed
//! ```
//!
//! Dates are of the arrival, in UTC. An entry has the same names whenever it is landed, so a hidden file
//! that a crash left is written over; and it gets its name by a rename within one directory, which is
//! there or is not there after one sync.

use std::path::{Path, PathBuf};

use crate::data::{Identity, Sequence};
use crate::ops::clock::EpochMillis;
use crate::spool::Arrival;

/// Directory of what arrived while the clock was not believed.
const UNDATED: &str = "undated";

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

/// Where a file lies before it has its name.
pub(super) fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.with_file_name(format!(".{name}"))
}

/// Whether a name in a dated directory is that of a file before it has its own.
pub(super) fn is_hidden(name: &str) -> bool {
    let sequence = name.strip_prefix('.').and_then(|name| name.split_once('-'));
    sequence.is_some_and(|(digits, _)| {
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
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
    fn a_hidden_file_lies_beside_its_name() {
        let hidden = hidden(Path::new("/land/undated/1-1-x.tsfile"));
        assert_eq!(hidden, PathBuf::from("/land/undated/.1-1-x.tsfile"));
        assert!(is_hidden(".1-1-x.tsfile") && !is_hidden("1-1-x.tsfile"));
        assert!(!is_hidden(".nfs-1") && !is_hidden(".-1") && !is_hidden(".1"));
    }

    #[test]
    fn an_identity_in_front_is_left_out() {
        let name = format!("P1-{}-{:020}-x.tsfile", "0".repeat(32), 7);
        assert_eq!(path(None, 9, &name), "undated/9-9-x.tsfile");
    }

    #[test]
    fn the_longest_names_fit_every_file_system() {
        let longest = format!("P1-{}-{:020}-{}", "0".repeat(32), 7, "x".repeat(200));
        for name in [longest, "x".repeat(200)] {
            let path = PathBuf::from(path(Some(NOON), u64::MAX, &name));
            assert!(hidden(&path).file_name().is_some_and(|name| name.len() <= 255));
        }
    }
}

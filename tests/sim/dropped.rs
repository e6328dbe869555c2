//! What `drop-oldest` has given up: what is missing has to be in its count, and in its list, unless there was no room
//! for a line.

use std::collections::BTreeSet;
use std::path::Path;

use penstock::spool::{SimDisk, Stats};

/// The lists, the current one and the one before.
const LISTS: [&str; 2] = ["spool/dropped.1", "spool/dropped"];

/// Ranges of sequences that were given up, as the spool says.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    ranges: Vec<(u64, u64)>,
    /// What is missing, and was given up when the disk had no room for the line.
    unlisted: BTreeSet<u64>,
    /// Entries that were seen to be missing; each of them is counted, too.
    missing: u64,
}

impl Dropped {
    /// Reads the lists anew.
    pub(crate) fn read(&mut self, disk: &SimDisk) {
        self.ranges.clear();
        for list in LISTS {
            let text = disk.contents(Path::new(list)).unwrap_or_default();
            let text = String::from_utf8(text).expect("a list of texts");
            self.ranges.extend(text.lines().filter_map(range_of));
        }
    }

    /// Whether this entry is listed.
    pub(crate) fn has(&self, sequence: u64) -> bool {
        let is_in = |(first, last): &(u64, u64)| (*first..=*last).contains(&sequence);
        self.ranges.iter().any(is_in) || self.unlisted.contains(&sequence)
    }

    /// An entry is gone that nobody has passed: that has to be listed, if there was always room for a line, and counted.
    pub(crate) fn check(&mut self, sequence: u64, stats: &Stats, had_no_room: bool) {
        if had_no_room && !self.has(sequence) {
            self.unlisted.insert(sequence);
        }
        assert!(self.has(sequence), "entry {sequence} is gone and not in the list");
        self.missing += 1;
        assert!(self.missing <= stats.dropped_entries, "entry {sequence} is gone and not counted");
    }
}

/// What a line says; what a crash has cut short stands in front of the next one, whose fields come last.
fn range_of(line: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let value = line.rsplit(' ').find_map(|field| field.strip_prefix(name))?;
        value.parse::<u64>().ok()
    };
    field("bytes=")?;
    Some((field("first=")?, field("last=")?))
}

//! Which entries the ledger names.
//!
//! ```text
//!  asked    7 8 9 ...          90 | 91 ...
//!  lines    3 5 7 9 ...        90 | 91 93 ...
//!               '-- first walk --'  '-- second walk, only if there are more than fit
//! ```
//!
//! After a restart, landing meets entries in ascending order that are landed, though the cursor had no room
//! to say so. One walk over the ledger, a window a step, keeps the lowest ones that are not below the entry
//! asked for, so the whole costs as many walks as the ledger has lines by [`NAMED_MAX`].

use std::collections::BinaryHeap;

use serde::Deserialize;

use super::error::LandingError;
use super::ledger::{Ledger, OLDEST, Spot};
use crate::data::{OriginId, Sequence};
use crate::spool::Disk;

/// Lines that are known at one time: 256 KiB. Full ledgers have some 400,000 lines.
pub(super) const NAMED_MAX: usize = 16 * 1024;

/// What is looked at of a line.
#[derive(Debug, Deserialize)]
struct Mark {
    node: String,
    sequences: (u64, u64),
}

/// What is known of the ledger's lines of one node's spool.
#[derive(Debug)]
pub(super) struct Recorded {
    node: String,
    named_max: usize,
    known: Known,
    walk: Option<Walk>,
}

/// Every line that touches `from..=through`, ascending.
#[derive(Debug, Default)]
struct Known {
    from: u64,
    /// None: nothing is known.
    through: Option<u64>,
    named: Vec<(u64, u64)>,
}

/// A walk over the ledger that is under way.
#[derive(Debug)]
struct Walk {
    from: u64,
    spot: Spot,
    lowest: BinaryHeap<(u64, u64)>,
    /// Some had no room.
    is_cut: bool,
}

impl Recorded {
    /// Knows nothing yet, and at most `named_max` lines later, which is not 0.
    pub(super) fn new(node: OriginId, named_max: usize) -> Self {
        Self { node: node.to_string(), named_max, known: Known::default(), walk: None }
    }

    /// Whether there is a line for this entry. `None`: a window was read to find out, ask again.
    ///
    /// # Errors
    /// If the ledger cannot be read; the next call begins the walk anew.
    pub(super) fn ask<D: Disk>(
        &mut self,
        ledger: &Ledger<D>,
        Sequence(sequence): Sequence,
    ) -> Result<Option<bool>, LandingError> {
        if let Some(is_named) = self.known.names(sequence) {
            return Ok(Some(is_named));
        }
        let mut walk = self.walk.take().unwrap_or_else(|| Walk::new(sequence));
        match ledger.next_lines::<Mark>(walk.spot)? {
            Some((marks, next)) => {
                let own = marks.into_iter().filter(|mark| mark.node == self.node);
                own.for_each(|mark| walk.note(mark.sequences, self.named_max));
                self.walk = Some(Walk { spot: next, ..walk });
            }
            None => self.known = walk.end(),
        }
        Ok(None)
    }

    /// Gives the memory back: nothing below what the ledger names last is asked for any more.
    pub(super) fn forget(&mut self) {
        (self.known, self.walk) = (Known::default(), None);
    }
}

impl Known {
    /// Whether a line names the entry, if that is known.
    fn names(&self, sequence: u64) -> Option<bool> {
        self.through.filter(|through| (self.from..=*through).contains(&sequence))?;
        let behind = self.named.partition_point(|(first, _)| *first <= sequence);
        let before = behind.checked_sub(1).and_then(|at| self.named.get(at));
        Some(before.is_some_and(|(_, last)| *last >= sequence))
    }
}

impl Walk {
    const fn new(from: u64) -> Self {
        Self { from, spot: OLDEST, lowest: BinaryHeap::new(), is_cut: false }
    }

    fn note(&mut self, (first, last): (u64, u64), named_max: usize) {
        if last < self.from {
            return;
        }
        self.lowest.push((first, last));
        if self.lowest.len() > named_max {
            self.lowest.pop();
            self.is_cut = true;
        }
    }

    fn end(self) -> Known {
        let Self { from, lowest, is_cut, .. } = self;
        let named = lowest.into_sorted_vec();
        let last_kept = named.last().map_or(from, |(first, _)| from.max(*first));
        Known { from, through: Some(if is_cut { last_kept } else { u64::MAX }), named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(lines: impl Iterator<Item = u64>, from: u64, named_max: usize) -> Known {
        let mut walk = Walk::new(from);
        lines.for_each(|sequence| walk.note((sequence, sequence), named_max));
        assert!(walk.lowest.len() <= named_max);
        walk.end()
    }

    #[test]
    fn lines_are_known_whatever_their_order_and_however_often_they_are_there() {
        let known = known([9, 3, 7, 5, 7].into_iter(), 4, 10);
        let named: Vec<u64> = (4..20).filter(|at| known.names(*at) == Some(true)).collect();
        assert_eq!(named, [5, 7, 9]);
        assert_eq!(known.names(3), None);
        assert_eq!(known.names(u64::MAX), Some(false));
        assert_eq!(Known::default().names(0), None);
    }

    #[test]
    fn what_has_no_room_is_left_to_the_next_walk() {
        let even = || (0..100).map(|half| half * 2);
        let (mut from, mut walks) = (1, 0);
        for sequence in 1..=198 {
            let mut is_named = known(even(), from, 10).names(sequence);
            if is_named.is_none() {
                (from, walks) = (sequence, walks + 1);
                is_named = known(even(), from, 10).names(sequence);
            }
            assert_eq!(is_named, Some(sequence % 2 == 0), "{sequence}");
        }
        assert_eq!(walks, 9);
    }
}

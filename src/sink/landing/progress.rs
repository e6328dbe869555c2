//! How far landing has come: what is finished and what it holds.

use crate::data::Sequence;
use crate::spool::Cursor;

/// Keeps a consumer's cursor while entries are met in ascending order.
///
/// ```text
///  sequence   5   6   7   8   9  10
///             F   F   T   F   -   F        F landed, T held (a tablet), - never existed
///  position = 7, finished = 8..=10
/// ```
///
/// An entry that is held pins the position; what is landed behind it becomes a finished range. When there
/// are more ranges than a cursor has room for, the further ones are not noted: that delays their release,
/// and after a restart the ledger knows them (`recorded.rs`).
#[derive(Debug, Clone)]
pub(super) struct Progress {
    cursor: Cursor,
    /// Everything below was met.
    met: Sequence,
    held: u64,
}

impl Progress {
    pub(super) const fn new(cursor: Cursor) -> Self {
        Self { met: cursor.position, cursor, held: 0 }
    }

    pub(super) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Everything below was met: landed, or found to be nothing that lands here.
    pub(super) const fn met(&self) -> Sequence {
        self.met
    }

    /// Entries that were met and are not landed.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// The cursor of the run before has this entry as finished.
    pub(super) fn is_finished(&self, sequence: Sequence) -> bool {
        let within = |(first, last): &(Sequence, Sequence)| (*first..=*last).contains(&sequence);
        sequence < self.cursor.position || self.cursor.finished.iter().any(within)
    }

    /// The entry is landed; sequences that were stepped over on the way to it never held anything.
    pub(super) fn finish(&mut self, sequence: Sequence) {
        let first = self.met.min(sequence);
        self.met = self.met.max(sequence.next());
        self.mark(first, sequence);
    }

    /// The entry stays in the spool.
    pub(super) fn hold(&mut self, sequence: Sequence) {
        if let Some(before) = sequence.0.checked_sub(1).filter(|before| *before >= self.met.0) {
            self.mark(self.met, Sequence(before));
        }
        self.met = self.met.max(sequence.next());
        self.held += 1;
    }

    fn mark(&mut self, first: Sequence, last: Sequence) {
        if first <= self.cursor.position {
            self.cursor.position = self.cursor.position.max(last.next());
            self.absorb();
            return;
        }
        if let Some(range) =
            self.cursor.finished.iter_mut().find(|range| touches(**range, first, last))
        {
            *range = (range.0.min(first), range.1.max(last));
            return;
        }
        let follows = self.cursor.finished.last().is_none_or(|range| range.1 < first);
        if follows {
            // A full list is no harm: see the type.
            let _not_noted = self.cursor.finished.push((first, last));
        }
    }

    fn absorb(&mut self) {
        while let Some((first, last)) = self.cursor.finished.first().copied() {
            if first > self.cursor.position {
                return;
            }
            self.cursor.position = self.cursor.position.max(last.next());
            self.cursor.finished.remove(0);
        }
    }
}

fn touches(range: (Sequence, Sequence), first: Sequence, last: Sequence) -> bool {
    first <= range.1.next() && range.0 <= last.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CURSOR_RANGES_MAX;

    fn progress(position: u64) -> Progress {
        Progress::new(Cursor { position: Sequence(position), ..Cursor::default() })
    }

    fn shown(progress: &Progress) -> (u64, Vec<(u64, u64)>) {
        let ranges = progress.cursor.finished.iter().map(|(first, last)| (first.0, last.0));
        (progress.cursor.position.0, ranges.collect())
    }

    #[test]
    fn a_held_entry_pins_the_position() {
        let mut progress = progress(5);
        progress.finish(Sequence(5));
        progress.finish(Sequence(6));
        progress.hold(Sequence(7));
        progress.finish(Sequence(8));
        progress.finish(Sequence(10));
        assert_eq!(shown(&progress), (7, vec![(8, 10)]));
        assert_eq!(progress.held(), 1);
        assert!(progress.is_finished(Sequence(9)));
        assert!(!progress.is_finished(Sequence(7)));
        assert!(!progress.is_finished(Sequence(11)));
    }

    #[test]
    fn sequences_that_never_were_are_stepped_over() {
        let mut progress = progress(1);
        progress.finish(Sequence(4));
        assert_eq!(shown(&progress), (5, vec![]));
        progress.hold(Sequence(8));
        assert_eq!(shown(&progress), (8, vec![]));
    }

    #[test]
    fn ranges_of_the_run_before_are_absorbed() {
        let mut cursor = Cursor { position: Sequence(2), ..Cursor::default() };
        cursor.finished.push((Sequence(4), Sequence(6))).expect("room");
        let mut progress = Progress::new(cursor);
        progress.finish(Sequence(2));
        assert_eq!(shown(&progress), (3, vec![(4, 6)]));
        progress.finish(Sequence(3));
        assert_eq!(shown(&progress), (7, vec![]));
    }

    #[test]
    fn a_full_list_stays_as_it_is() {
        let mut progress = progress(1);
        for sequence in 1..=1000 {
            if sequence % 2 == 1 {
                progress.hold(Sequence(sequence));
            } else {
                progress.finish(Sequence(sequence));
            }
        }
        let (position, ranges) = shown(&progress);
        assert_eq!(position, 1);
        assert_eq!(ranges.len(), CURSOR_RANGES_MAX);
        assert_eq!(ranges.last(), Some(&(128, 128)));
    }
}

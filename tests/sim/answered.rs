//! What the far side has answered of one pipe, whatever overtook what.

use std::collections::BTreeSet;

use penstock::spool::Cursor;

/// Sequences that were answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answered {
    all: BTreeSet<u64>,
    /// The latest of the backlog, and of what overtook it, since the node was started.
    latest: [u64; 2],
}

impl Answered {
    pub(crate) fn has(&self, sequence: u64) -> bool {
        self.all.contains(&sequence)
    }

    /// The node was started.
    pub(crate) const fn start(&mut self) {
        self.latest = [0; 2];
    }

    /// One more, and where the pipe says to be. Each lane keeps its order, and there is a second one only where fresh
    /// entries may overtake.
    pub(crate) fn note(&mut self, sequence: u64, cursor: &Cursor, overtakes: bool) {
        let is_fresh = cursor.position.0 <= sequence;
        assert!(overtakes || cursor.position.0 == sequence + 1, "{cursor:?} behind {sequence}");
        assert!(cursor.finished_until(penstock::data::Sequence(sequence)).is_some());
        let before = std::mem::replace(&mut self.latest[usize::from(is_fresh)], sequence);
        assert!(before < sequence, "entry {sequence} was sent after {before}");
        self.all.insert(sequence);
    }

    /// Those of a run's file, and where the pipe says to be.
    pub(crate) fn note_run(&mut self, sequences: &[u64], cursor: &Cursor) {
        for sequence in sequences {
            let before = std::mem::replace(&mut self.latest[0], *sequence);
            assert!(before <= *sequence, "entry {sequence} was sent after {before}");
        }
        let is_passed = |sequence: &u64| cursor.position.0 > *sequence;
        let passed = sequences.iter().filter(|sequence| is_passed(sequence)).count();
        assert!([0, sequences.len()].contains(&passed), "{cursor:?} within {sequences:?}");
        self.all.extend(sequences);
    }
}

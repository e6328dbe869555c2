//! Compares the files of an entry with their hashes as their pieces are built.
//!
//! ```text
//!  piece built     judged against          kept
//!  0..1 MiB        -                       before: 0       after: 1 MiB
//!  1..2 MiB        -                       before: 1 MiB   after: 2 MiB
//!  1..1.5 MiB      (built anew, smaller)   before: 1 MiB   after: 1.5 MiB
//!  the last one    the hash of the entry   a file that has rotted gets no further
//! ```
//!
//! The bytes that are hashed are those that are sent. Pieces follow each other, but for the last one, which
//! may be built anew, and for a new attempt, which begins with the first byte.

use crate::spool::{FileCheck, Rotten};

/// The check of one delivery's files; 4 KiB, which it takes with the first bytes.
#[derive(Debug, Default)]
pub(super) struct Checking {
    states: Option<Box<States>>,
}

#[derive(Debug)]
struct States {
    before: State,
    after: State,
}

#[derive(Debug, Clone)]
struct State {
    file: usize,
    offset: u64,
    check: FileCheck,
}

impl State {
    fn is_at(&self, file: usize, offset: u64) -> bool {
        (self.file, self.offset) == (file, offset)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Rotten> {
        self.offset += bytes.len() as u64;
        self.check.update(bytes)
    }
}

impl States {
    fn new() -> Self {
        let start = State { file: 0, offset: 0, check: FileCheck::new(0, [0; 32]) };
        Self { before: start.clone(), after: start }
    }
}

impl Checking {
    /// Gives its memory back, after a delivery.
    pub(super) fn rest(&mut self) {
        self.states = None;
    }

    /// Takes bytes of the delivery's `file` from `offset` on; `begin` is the check of the whole file.
    ///
    /// # Errors
    /// [`Rotten`], with the bytes that complete the file.
    ///
    /// # Panics
    /// If they do not follow those before.
    pub(super) fn take(
        &mut self,
        (file, offset): (usize, u64),
        bytes: &[u8],
        begin: impl FnOnce() -> FileCheck,
    ) -> Result<(), Rotten> {
        let states = self.states.get_or_insert_with(|| Box::new(States::new()));
        let States { before, after } = states.as_mut();
        if offset == 0 {
            *before = State { file, offset, check: begin() };
        } else if after.is_at(file, offset) {
            before.clone_from(after);
        }
        assert!(before.is_at(file, offset), "pieces follow each other");
        after.clone_from(before);
        after.take(bytes)
    }

    /// Takes more bytes of the same piece.
    ///
    /// # Errors
    /// As [`Checking::take`].
    pub(super) fn take_more(&mut self, bytes: &[u8]) -> Result<(), Rotten> {
        self.states.as_mut().map_or(Ok(()), |states| states.after.take(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"0123456789";

    fn whole() -> FileCheck {
        FileCheck::new(10, *blake3::hash(FILE).as_bytes())
    }

    fn take(checking: &mut Checking, file: usize, start: usize, bytes: &[u8]) -> bool {
        checking.take((file, start as u64), bytes, whole).is_ok()
    }

    #[test]
    fn a_piece_may_be_built_anew_and_a_file_begun_anew() {
        let mut checking = Checking::default();
        assert!(take(&mut checking, 0, 0, b"0123"));
        assert!(take(&mut checking, 0, 4, b"4567"));
        assert!(take(&mut checking, 0, 4, b"45"));
        assert!(take(&mut checking, 0, 6, b"6789"));
        assert!(take(&mut checking, 0, 6, b"6789"));
        assert!(!take(&mut checking, 0, 6, b"678x"));
        assert!(take(&mut checking, 1, 0, FILE));
        assert!(take(&mut checking, 0, 0, b"01234"));
        assert!(!take(&mut checking, 0, 5, b"56788"));
    }

    #[test]
    fn a_piece_of_many_chunks_may_be_built_anew() {
        let mut checking = Checking::default();
        assert!(take(&mut checking, 0, 0, b"01"));
        for _ in 0..2 {
            assert!(take(&mut checking, 0, 2, b"23"));
            assert!(checking.take_more(b"45").is_ok());
        }
        assert!(take(&mut checking, 0, 6, b"67"));
        assert!(checking.take_more(b"8x").is_err());
        assert!(take(&mut checking, 0, 6, b"67"));
        assert!(checking.take_more(b"89").is_ok());
    }

    #[test]
    #[should_panic(expected = "pieces follow each other")]
    fn a_gap_is_a_bug() {
        let mut checking = Checking::default();
        take(&mut checking, 0, 0, b"0123");
        take(&mut checking, 0, 5, b"56789");
    }
}

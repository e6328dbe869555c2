//! Reading ahead where small things stand one behind the other.

use std::cell::RefCell;
use std::io;

use crate::data::ReadAt;
use crate::limits::TSFILE_AHEAD_BYTES;
use crate::tsfile::window::{TsFileError, read_fully};

/// A file of whose small reads only one in many goes to the disk; large ones go there themselves, but for what is held
/// already: a chunk's header brings the first of its pages along.
#[derive(Debug)]
pub(super) struct Ahead<'f, R> {
    file: &'f R,
    held: RefCell<Held>,
}

#[derive(Debug, Default)]
struct Held {
    from: u64,
    bytes: Vec<u8>,
}

impl<'f, R: ReadAt> Ahead<'f, R> {
    pub(super) fn new(file: &'f R) -> Self {
        Self { file, held: RefCell::default() }
    }
}

impl Held {
    /// What is held from `offset` on.
    fn part(&self, offset: u64) -> &[u8] {
        let start = offset.checked_sub(self.from).and_then(|start| usize::try_from(start).ok());
        start.and_then(|start| self.bytes.get(start..)).unwrap_or_default()
    }

    fn fill<R: ReadAt>(&mut self, file: &R, offset: u64) -> io::Result<()> {
        self.from = offset;
        self.bytes.resize(TSFILE_AHEAD_BYTES, 0);
        let filled = read_fully(file, offset, &mut self.bytes);
        self.bytes.truncate(filled.as_ref().copied().unwrap_or_default());
        match filled {
            Ok(_) => Ok(()),
            Err(TsFileError::Read { source, .. }) => Err(source),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl<R: ReadAt> ReadAt for Ahead<'_, R> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut held = self.held.borrow_mut();
        let is_large = into.len() >= TSFILE_AHEAD_BYTES / 4;
        if is_large && held.part(offset).is_empty() {
            return self.file.read_at(offset, into);
        }
        if !is_large && held.part(offset).len() < into.len() {
            held.fill(self.file, offset)?;
        }
        // There may be less: of a large read the rest is asked for next, and near the end of the file there is no more.
        let part = held.part(offset);
        let most = part.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..most), part.get(..most)) {
            to.copy_from_slice(from);
        }
        Ok(most)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Counts what is read of it.
    struct Counted(Vec<u8>, Cell<usize>);

    impl ReadAt for Counted {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.as_slice().read_at(offset, into)?;
            self.1.set(self.1.get() + count);
            Ok(count)
        }
    }

    #[test]
    fn nothing_is_read_twice_where_a_header_stands_before_much() {
        const HEADER_BYTES: usize = 30;
        for chunk in [5, TSFILE_AHEAD_BYTES / 3, TSFILE_AHEAD_BYTES - 1, 3 * TSFILE_AHEAD_BYTES] {
            let bytes: Vec<u8> = (0..20 * (chunk + HEADER_BYTES))
                .map(|place| (place % 251).to_le_bytes()[0])
                .collect();
            let file = Counted(bytes, Cell::new(0));
            let ahead = Ahead::new(&file);
            let mut copied = Vec::new();
            for count in [HEADER_BYTES, chunk].repeat(20) {
                let (at, mut part) = (copied.len() as u64, vec![0; count]);
                assert_eq!(read_fully(&ahead, at, &mut part).expect("memory"), count);
                copied.extend_from_slice(&part);
            }
            assert!(copied == file.0, "chunks of {chunk}");
            assert_eq!(file.1.get(), file.0.len(), "chunks of {chunk}");
        }
    }

    #[test]
    fn what_is_read_ahead_is_what_stands_there() {
        let bytes: Vec<u8> =
            (0..3 * TSFILE_AHEAD_BYTES + 5).map(|place| (place % 251).to_le_bytes()[0]).collect();
        let file = &bytes[..];
        let ahead = Ahead::new(&file);
        for (offset, count) in [
            (0, 10),
            (5, 100),
            (TSFILE_AHEAD_BYTES - 3, 9),
            (bytes.len() - 4, 8),
            (0, 4),
            (bytes.len() + 1, 3),
        ] {
            let (mut got, mut expected) = (vec![0; count], vec![0; count]);
            let found = ahead.read_at(offset as u64, &mut got).expect("memory");
            assert_eq!(found, file.read_at(offset as u64, &mut expected).expect("memory"));
            assert_eq!(got, expected, "{offset}");
        }
        let mut large = vec![0; TSFILE_AHEAD_BYTES];
        assert_eq!(ahead.read_at(7, &mut large).expect("memory"), large.len());
        assert_eq!(large, bytes[7..7 + large.len()]);
    }
}

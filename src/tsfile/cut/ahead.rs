//! Reading ahead where small things stand one behind the other.

use std::cell::RefCell;
use std::io;

use crate::data::ReadAt;
use crate::limits::TSFILE_AHEAD_BYTES;
use crate::tsfile::window::{TsFileError, read_fully};

/// A file of whose small reads only one in many goes to the disk; large ones go there themselves.
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
    fn part(&self, offset: u64, bytes: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.from)?).ok()?;
        self.bytes.get(start..start.checked_add(bytes)?)
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
        if into.len() >= TSFILE_AHEAD_BYTES / 4 {
            return self.file.read_at(offset, into);
        }
        let mut held = self.held.borrow_mut();
        if held.part(offset, into.len()).is_none() {
            held.fill(self.file, offset)?;
        }
        // Near the end of the file there may be less.
        let behind =
            held.bytes.len() as u64 - offset.saturating_sub(held.from).min(held.bytes.len() as u64);
        let most = usize::try_from(behind).unwrap_or(usize::MAX).min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..most), held.part(offset, most)) {
            to.copy_from_slice(from);
        }
        Ok(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

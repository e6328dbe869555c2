//! Bytes that are read by position.

use std::io::{self, BufRead, Read};

/// Bytes of a fixed length that can be read at any position: a buffer, or a spill file.
///
/// Whoever decodes a request does it over this trait, so that a request of 40 MiB on disk and one of
/// 100 bytes in memory go the same way.
pub trait ReadAt {
    /// Bytes in all. It does not change while someone reads.
    fn len(&self) -> u64;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the bytes from `offset` on into `into`, and says how many: fewer than asked for only
    /// at the end, 0 at or behind it.
    ///
    /// # Errors
    /// What the disk says. Bytes in memory never fail.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// All bytes at once if they lie in memory; then nobody copies them through a window.
    fn as_bytes(&self) -> Option<&[u8]> {
        None
    }
}

impl ReadAt for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest =
            usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, into)
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        (**self).as_bytes()
    }
}

/// Bytes of a [`ReadAt`] from a position on, read one after the other through a window.
#[derive(Debug)]
pub struct Buffered<S> {
    source: S,
    /// Where the next window begins.
    at: u64,
    window: Vec<u8>,
    /// Bytes of the window, and how many of them were consumed.
    filled: usize,
    consumed: usize,
    failed: bool,
}

impl<S: ReadAt> Buffered<S> {
    /// From `offset` on, so many bytes at a time.
    pub fn new(source: S, offset: u64, window_bytes: usize) -> Self {
        let window = vec![0; window_bytes];
        Self { source, at: offset, window, filled: 0, consumed: 0, failed: false }
    }

    /// Whether the source has failed: then no fault is to be found with the bytes.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }
}

impl<S: ReadAt> BufRead for Buffered<S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.filled {
            let read = self.source.read_at(self.at, &mut self.window);
            self.failed |= read.is_err();
            (self.filled, self.consumed) = (read?, 0);
            self.at += self.filled as u64;
        }
        Ok(self.window.get(self.consumed..self.filled).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.consumed = (self.consumed + count).min(self.filled);
    }
}

impl<S: ReadAt> Read for Buffered<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_short_only_at_its_end() {
        let bytes: &[u8] = &[1, 2, 3, 4, 5];
        let mut into = [0; 3];
        assert_eq!(bytes.read_at(1, &mut into).unwrap(), 3);
        assert_eq!(into, [2, 3, 4]);
        assert_eq!(bytes.read_at(4, &mut into).unwrap(), 1);
        assert_eq!(into, [5, 3, 4]);
        assert_eq!(bytes.read_at(5, &mut into).unwrap(), 0);
        assert_eq!(bytes.read_at(u64::MAX, &mut into).unwrap(), 0);
        assert_eq!(ReadAt::len(bytes), 5);
    }

    #[test]
    fn a_window_moves_over_all_bytes_from_the_offset_on() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let mut read = Vec::new();
        let mut buffered = Buffered::new(bytes.as_slice(), 3, 10);
        assert_eq!(buffered.fill_buf().unwrap(), &bytes[3..13]);
        buffered.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes[3..]);
        assert!(!buffered.has_failed());
    }
}

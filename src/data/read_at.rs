//! Bytes that are read by position.

use std::io;

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
}

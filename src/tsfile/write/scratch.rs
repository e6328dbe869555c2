//! Where things wait that are written at the end.

use std::io;

use crate::data::ReadAt;

/// Bytes that are appended, then read by position: memory, or a temporary file.
pub trait Scratch: ReadAt {
    /// Appends bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Drops all bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn clear(&mut self) -> io::Result<()>;
}

/// A scratch in memory, for files whose series are few.
#[derive(Debug, Default)]
pub struct MemoryScratch(Vec<u8>);

impl ReadAt for MemoryScratch {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.as_slice().read_at(offset, into)
    }
}

impl Scratch for MemoryScratch {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear();
        Ok(())
    }
}

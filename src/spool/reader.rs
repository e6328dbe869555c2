//! Reading the spool from other threads.

use crate::data::Sequence;
use crate::spool::{Disk, EntryHeader, FileList, ReadError};

/// Reads synced entries in order. Cheap; one for each consumer.
#[derive(Debug)]
pub struct Reader<D: Disk> {
    disk: D,
    position: Sequence,
}

/// An entry as a reader shows it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its header.
    pub header: EntryHeader,
    /// Where its payload begins in its segment.
    pub(crate) payload_offset: u64,
}

/// Positioned reads of a stored file or partial; implements [`ReadAt`](crate::data::ReadAt).
#[derive(Debug)]
pub struct FileReader<F> {
    file: F,
    bytes: u64,
}

#[expect(
    clippy::unimplemented,
    clippy::needless_pass_by_value,
    unused_variables,
    reason = "signatures land first"
)]
impl<D: Disk> Reader<D> {
    /// Opens the spool of a running or stopped node for looking only. Sees what is on disk at this moment.
    ///
    /// # Errors
    /// If there is no spool, or the disk fails.
    pub fn open_read_only(disk: D) -> Result<Self, ReadError> {
        unimplemented!()
    }

    /// The sequence that is read next.
    pub fn position(&self) -> Sequence {
        self.position
    }

    /// Goes to a sequence; what is not there any more is stepped over by the next read.
    pub fn seek(&mut self, to: Sequence) {
        unimplemented!()
    }

    /// The next synced entry at or after the position, or `None` when there is none yet. Header and payload are
    /// verified; flawed and void entries are stepped over.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        unimplemented!()
    }

    /// Reads payload bytes of the entry that `next_entry` returned last; returns the bytes read, less than asked only
    /// at the payload's end.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn read_payload(
        &self,
        entry: &Entry,
        offset: u32,
        into: &mut [u8],
    ) -> Result<usize, ReadError> {
        unimplemented!()
    }

    /// Opens the `index`-th file of a file entry, whose list the caller has read.
    ///
    /// # Errors
    /// If it is not there as the list says, or the disk fails.
    pub fn open_file(
        &self,
        entry: &Entry,
        list: &FileList<'_>,
        index: usize,
    ) -> Result<FileReader<D::File>, ReadError> {
        unimplemented!()
    }
}

impl<F: crate::spool::DiskFile> crate::data::ReadAt for FileReader<F> {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        crate::spool::read_full_at(&self.file, offset, into)
    }
}

//! Where tablets are read from.

use crate::data::Sequence;
use crate::spool::{Disk, EntryHeader, Place, ReadError, Reader};

/// Entries that become files together: `first` to `last`, both included. Only tablets and voids lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first entry.
    pub first: Sequence,
    /// The last entry.
    pub last: Sequence,
}

/// An entry of a run.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Its header.
    pub header: EntryHeader,
    /// Where its payload begins.
    pub place: Place,
}

/// Entries that are read in order, then again by their places.
pub trait Source {
    /// Goes to an entry; what is not there is stepped over by the next read.
    fn seek(&mut self, to: Sequence);

    /// The next entry, verified; `None` at the end.
    ///
    /// # Errors
    /// If the disk fails. The next call reads on.
    fn next(&mut self) -> Result<Option<Found>, ReadError>;

    /// Reads from a place on; fewer bytes than asked for only at the end of what is there. Cheap in any order.
    ///
    /// # Errors
    /// If the disk fails, or the entry is gone.
    fn read_at(&mut self, place: Place, into: &mut [u8]) -> Result<usize, ReadError>;

    /// Nothing is read for a while: what is kept open for reading can be closed.
    fn rest(&mut self) {}
}

impl<D: Disk> Source for Reader<D> {
    fn seek(&mut self, to: Sequence) {
        Self::seek(self, to);
    }

    fn next(&mut self) -> Result<Option<Found>, ReadError> {
        let entry = self.next_entry()?;
        Ok(entry.map(|entry| Found { header: entry.header, place: entry.place() }))
    }

    fn read_at(&mut self, place: Place, into: &mut [u8]) -> Result<usize, ReadError> {
        self.read_place(place, into)
    }

    fn rest(&mut self) {
        Self::rest(self);
    }
}

//! The open segment: append, sync, close.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::data::{OriginId, Sequence};
use crate::spool::entry::{ALIGNMENT_BYTES, ENTRY_HEADER_BYTES, EntryHeader};
use crate::spool::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::spool::{Disk, DiskFile, Fatal, OpenMode, write_all_at};

/// The end of the log.
#[derive(Debug)]
pub(super) struct Log<F> {
    pub(super) open: Option<Open<F>>,
    /// The sequence that the next entry gets.
    pub(super) next: u64,
    /// Everything below is durable.
    pub(super) synced: u64,
}

/// The segment that is being filled.
#[derive(Debug)]
pub(super) struct Open<F> {
    pub(super) file: F,
    pub(super) path: PathBuf,
    pub(super) id: u64,
    /// Where the next entry begins.
    pub(super) offset: u64,
    pub(super) capacity: u64,
    pub(super) opened: Instant,
}

impl<F: DiskFile> Log<F> {
    /// Whether an entry of so many bytes fits into the open segment.
    pub(super) fn fits(&self, entry_bytes: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.offset + entry_bytes <= open.capacity)
    }

    /// Bytes of the open segment that are used, 0 if none is open.
    pub(super) fn used(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.offset)
    }

    /// Makes a segment and begins to fill it. Its blocks and its name are durable on return.
    pub(super) fn begin<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        origin: OriginId,
        capacity: u64,
        uptime_ms: u64,
        now: Instant,
    ) -> Result<(), Fatal> {
        debug_assert!(self.open.is_none());
        let path = segment::path(self.next);
        let mut id = [0; 8];
        disk.entropy(&mut id).map_err(Fatal::at("get random bytes for", &path))?;
        let id = u64::from_le_bytes(id).max(1);
        let header = SegmentHeader { id, first: Sequence(self.next), origin, uptime_ms };
        let file = create(disk, &path, &header, capacity).map_err(Fatal::at("make", &path))?;
        let offset = SEGMENT_HEADER_BYTES;
        self.open = Some(Open { file, path, id, offset, capacity, opened: now });
        Ok(())
    }

    /// Writes one entry with one call: the header, the payload in parts, zeros up to the next entry. Nothing counts
    /// as written on error: the next entry begins at the same place.
    pub(super) fn write(&mut self, mut header: EntryHeader, payload: [&[u8]; 2]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        header.segment = open.id;
        header.synced = Sequence(self.synced);
        let record = header.encode();
        let padding =
            header.entry_bytes() - ENTRY_HEADER_BYTES as u64 - u64::from(header.payload_bytes);
        let zeros = [0; ALIGNMENT_BYTES];
        let zeros = zeros.get(..usize::try_from(padding).unwrap_or(0)).unwrap_or_default();
        let [body, tail] = payload;
        let parts = &mut [&record, body, tail, zeros].map(IoSlice::new);
        write_all_at(&open.file, open.offset, parts)?;
        open.offset += header.entry_bytes();
        self.next = header.end();
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> Result<(), Fatal> {
        if self.synced == self.next {
            return Ok(());
        }
        if let Some(open) = &self.open {
            open.file.sync_named().map_err(Fatal::at("sync", &open.path))?;
        }
        self.synced = self.next;
        Ok(())
    }

    /// Closes the segment: durable, then cut to its length. Returns that length. In this order: recovery takes
    /// whatever is missing in a segment that was cut for damage. The cut is durable, too, so that a crash does not
    /// bring back bytes that no quota has counted.
    pub(super) fn end(&mut self) -> Result<u64, Fatal> {
        self.sync()?;
        let Some(open) = self.open.take() else { return Ok(0) };
        open.file.truncate(open.offset).map_err(Fatal::at("truncate", &open.path))?;
        open.file.sync_named().map_err(Fatal::at("sync", &open.path))?;
        Ok(open.offset)
    }
}

fn create<D: Disk>(
    disk: &D,
    path: &Path,
    header: &SegmentHeader,
    capacity: u64,
) -> io::Result<D::File> {
    let file = disk.open(path, OpenMode::Create)?;
    let made = file
        .allocate(capacity)
        .and_then(|()| write_all_at(&file, 0, &mut [IoSlice::new(&header.encode())]))
        .and_then(|()| file.sync_data())
        .and_then(|()| disk.sync_dir(Path::new(segment::DIR)));
    if let Err(error) = made {
        // An empty segment is harmless; the next attempt or the next start takes its place. Its name stays: it may have
        // been there before, as the only thing that says which sequence comes next.
        drop(file.truncate(0));
        return Err(error);
    }
    Ok(file)
}

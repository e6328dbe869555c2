//! Reading the spool from other threads, or from another process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::{ReadAt, Sequence};
use crate::spool::files::file_path;
use crate::spool::index::Shared;
use crate::spool::segment::{self, Flaw, Found, SegmentHeader, Step, Walk, new_buffer};
use crate::spool::{
    Disk, DiskFile, EntryHeader, FileList, Kind, OpenMode, ReadError, SpoolError, read_full_at,
    recovery,
};

/// Reads synced entries in order. One for each consumer: an open segment, and while there is more to read a buffer of
/// 64 KiB.
///
/// ```text
///  position --> which segment (shared index) --> walk over its entries, each verified --> Entry
///                                                  flawed: reported, stepped over
///                                                  void: stepped over
/// ```
#[derive(Debug)]
pub struct Reader<D: Disk> {
    disk: D,
    shared: Arc<Shared>,
    position: u64,
    walk: Option<Walk<D::File>>,
    buffer: Option<Box<[u8]>>,
    /// Segments that are read by place, the last used one first.
    open: heapless::Vec<(u64, D::File), SEGMENTS_OPEN_MAX>,
    /// The index was made by looking at the disk: nobody takes out what is released.
    only_looks: bool,
    corrupt: u64,
    /// The next read steps over what the disk does not give back.
    forgives: bool,
}

/// Segments that a reader has open for reading by place: a run of tablets lies in a few of them.
const SEGMENTS_OPEN_MAX: usize = 8;

/// Where a payload, or some byte of it, lies in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// First sequence of the segment.
    pub segment: u64,
    /// Offset in the segment's file.
    pub offset: u64,
}

/// An entry as a reader shows it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its header.
    pub header: EntryHeader,
    /// First sequence of its segment.
    segment: u64,
    /// Where its payload begins there.
    payload: u64,
}

impl Entry {
    /// Where its payload begins.
    pub const fn place(&self) -> Place {
        Place { segment: self.segment, offset: self.payload }
    }
}

impl<D: Disk> Reader<D> {
    pub(super) const fn new(disk: D, shared: Arc<Shared>, position: u64) -> Self {
        let open = heapless::Vec::new();
        Self {
            disk,
            shared,
            position,
            walk: None,
            buffer: None,
            open,
            only_looks: false,
            corrupt: 0,
            forgives: false,
        }
    }

    /// Opens the spool of a running or stopped node for looking only, at its oldest entry. Sees what is on disk at this
    /// moment, changes nothing. What the node releases meanwhile is gone, and stepped over.
    ///
    /// # Errors
    /// If there is no spool, or the disk fails.
    pub fn open_read_only(disk: D) -> Result<Self, SpoolError> {
        let (index, end) = recovery::survey(&disk)?;
        let first = index.first(end);
        let reader = Self::new(disk, Arc::new(Shared::new(index, end)), first);
        Ok(Self { only_looks: true, ..reader })
    }

    /// Another reader of the same spool, at the same position.
    #[must_use]
    pub fn another(&self) -> Self {
        let another = Self::new(self.disk.clone(), Arc::clone(&self.shared), self.position);
        Self { only_looks: self.only_looks, ..another }
    }

    /// The same entries from the same position, by another view of the same disk.
    pub fn on<E: Disk>(self, disk: E) -> Reader<E> {
        Reader::new(disk, self.shared, self.position)
    }

    /// The sequence that is read next.
    pub const fn position(&self) -> Sequence {
        Sequence(self.position)
    }

    /// Sequence of the oldest entry that is there.
    pub fn oldest(&self) -> Sequence {
        Sequence(self.shared.index().first(self.shared.synced()))
    }

    /// The sequence below which everything is durable: the end of what can be read now.
    pub fn synced(&self) -> Sequence {
        Sequence(self.shared.synced())
    }

    /// Entries that were flawed and stepped over, so far.
    pub const fn corrupt_entries(&self) -> u64 {
        self.corrupt
    }

    /// Goes to a sequence; what is not there any more is stepped over by the next read.
    pub fn seek(&mut self, to: Sequence) {
        if to.0 < self.position {
            self.leave_segment();
        }
        self.position = to.0.max(1);
    }

    /// Lets the next read step over what the disk does not give back, once, as over any flaw: what lies behind it is
    /// found by its header. For who has tried long enough. If nothing at all can be read, there or in the segment behind
    /// it, the disk may be away: that stays an error.
    pub const fn forgive(&mut self) {
        self.forgives = true;
    }

    /// The next synced entry at or after the position, or `None` when there is none yet. Header and payload are
    /// verified; flawed and void entries are stepped over.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let mut forgives = std::mem::take(&mut self.forgives);
        loop {
            let synced = self.shared.synced();
            if self.rest_at(synced) {
                return Ok(None);
            }
            let (segment, stop, step) = match self.step(synced, forgives) {
                Ok(Some(taken)) => taken,
                Ok(None) => continue,
                Err(error) if forgives => {
                    self.leave_unreadable(error)?;
                    forgives = false;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match step {
                Step::Entry { header, .. }
                    if header.end() <= self.position || header.kind == Kind::Void =>
                {
                    self.position = self.position.max(header.end());
                }
                Step::Entry { header, payload } => {
                    self.position = header.end();
                    self.rest_at(synced);
                    return Ok(Some(Entry { header, segment, payload }));
                }
                Step::Flaw(flaw) => {
                    forgives &= !flaw.lost;
                    self.pass(flaw);
                }
                Step::End => self.position = self.position.max(stop),
            }
        }
    }

    /// One step of the walk: of which segment, and where it has to stop. `None` if the segment was released.
    fn step(&mut self, synced: u64, forgives: bool) -> Result<Option<(u64, u64, Step)>, ReadError> {
        let Some(stop) = self.enter_segment(synced, forgives)? else { return Ok(None) };
        let Some(walk) = &mut self.walk else { return Ok(None) };
        let first = walk.first();
        walk.forgive(if forgives { usize::MAX } else { 0 });
        let step = walk.step(stop).map_err(|error| trouble("read", first, error))?;
        Ok(Some((first, stop, step)))
    }

    /// Steps over a flaw, and reports it.
    fn pass(&mut self, flaw: Flaw) {
        self.corrupt += flaw.entries;
        self.shared.report(flaw);
        self.position = self.position.max(flaw.first.saturating_add(flaw.entries));
    }

    /// Steps over the rest of a segment of which nothing can be read, if the one behind it can be.
    fn leave_unreadable(&mut self, error: ReadError) -> Result<(), ReadError> {
        let located = self.shared.index().locate(self.position);
        let Some((found, Some(end))) = located.filter(|_| error.is_of_the_medium()) else {
            return Err(error);
        };
        let behind = self.disk.open(&segment::path(end), OpenMode::Read);
        if behind.and_then(|file| SegmentHeader::read(&file)).is_err() {
            return Err(error);
        }
        self.leave_segment();
        let first = self.position.max(found.first);
        let (segment, entries) = (found.first, end.saturating_sub(first));
        self.pass(Flaw {
            segment,
            offset: 0,
            bytes: 0,
            first,
            entries,
            searched: true,
            lost: true,
        });
        Ok(())
    }

    /// Reads payload bytes of an entry; returns the bytes read, less than asked only at the payload's end. Cheap for
    /// the entry that `next_entry` returned last.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn read_payload(
        &self,
        entry: &Entry,
        offset: u32,
        into: &mut [u8],
    ) -> Result<usize, ReadError> {
        let left = entry.header.payload_bytes.saturating_sub(offset);
        let count = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let into = into.get_mut(..count).unwrap_or_default();
        let at = entry.payload + u64::from(offset);
        let read = match self.walk.as_ref().filter(|walk| walk.first() == entry.segment) {
            Some(walk) => match walk.cached(at, count) {
                Some(bytes) => {
                    into.copy_from_slice(bytes);
                    return Ok(count);
                }
                None => read_full_at(&walk.file, at, into),
            },
            None => (self.disk.open(&segment::path(entry.segment), OpenMode::Read))
                .and_then(|file| read_full_at(&file, at, into)),
        };
        read.map_err(|error| trouble("read", entry.segment, error))
    }

    /// Opens the payload of an entry, for positioned reads that outlast the next entry.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open_payload(&self, entry: &Entry) -> Result<FileReader<D::File>, ReadError> {
        let file = self.disk.open(&segment::path(entry.segment), OpenMode::Read);
        let file = file.map_err(|error| trouble("open", entry.segment, error))?;
        let bytes = u64::from(entry.header.payload_bytes);
        Ok(FileReader { file, start: entry.payload, bytes })
    }

    /// Reads bytes of the log by their place, which an entry gave; returns the bytes read, less than asked only at the
    /// end of the segment. Cheap in any order: it keeps the segments open.
    ///
    /// # Errors
    /// If the disk fails, or the segment is gone.
    pub fn read_place(&mut self, place: Place, into: &mut [u8]) -> Result<usize, ReadError> {
        let Place { segment, offset } = place;
        let file = self.open_place(segment).map_err(|error| trouble("open", segment, error))?;
        read_full_at(file, offset, into).map_err(|error| trouble("read", segment, error))
    }

    /// Gives its memory back, and closes what [`Self::read_place`] keeps open: a released segment has its bytes until
    /// then. The position stays; the next read verifies the segment from its beginning.
    pub fn rest(&mut self) {
        self.open.clear();
        (self.walk, self.buffer) = (None, None);
    }

    /// Gives the memory of the window back at the end of what can be read, and says whether it is there: many consumers
    /// wait there, each for its far side's answer or for more.
    fn rest_at(&mut self, synced: u64) -> bool {
        let is_end = self.position >= synced;
        if is_end {
            self.buffer = None;
            self.walk.iter_mut().for_each(Walk::rest);
        }
        is_end
    }

    fn open_place(&mut self, segment: u64) -> io::Result<&D::File> {
        let found = self.open.iter().position(|(first, _)| *first == segment);
        if found.is_none() {
            let file = self.disk.open(&segment::path(segment), OpenMode::Read)?;
            if self.open.is_full() {
                self.open.pop();
            }
            // There is room: one was closed.
            self.open.push((segment, file)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        }
        let at = found.unwrap_or(self.open.len() - 1);
        if let Some(used) = self.open.get_mut(..=at) {
            used.rotate_right(1);
        }
        self.open.first().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether an entry that was read has been released, and its files with it.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn is_gone(&self, entry: &Entry) -> Result<bool, ReadError> {
        match self.disk.file_bytes(&segment::path(entry.segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            found => found.map(|_| false).map_err(|error| trouble("look at", entry.segment, error)),
        }
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
        let sequence = entry.header.sequence;
        let missing = || ReadError::File { sequence, index };
        let bytes = list.files().nth(index).ok_or_else(missing)?.bytes;
        let path = Self::path_of_file(entry, list, index).ok_or_else(missing)?;
        match open_whole(&self.disk, &path, bytes) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(missing()),
            Err(source) => Err(ReadError::Disk { operation: "open", path, source }),
        }
    }

    /// Where the `index`-th file of a file entry lies, if the list has it.
    pub fn path_of_file(entry: &Entry, list: &FileList<'_>, index: usize) -> Option<PathBuf> {
        let file = list.files().nth(index)?;
        let name = file.name?;
        Some(file_path(entry.header.sequence.0, index, file.adopted.then_some(name)))
    }

    /// Makes the walk stand in the position's segment, before or at the position. Returns the sequence at which this
    /// walk has to stop, or `None` if the segment was released meanwhile.
    fn enter_segment(&mut self, synced: u64, forgives: bool) -> Result<Option<u64>, ReadError> {
        // After `synced`: the index then has every segment that is needed to get there.
        let located = self.shared.index().locate(self.position);
        let Some((found, end)) = located else {
            self.position = synced;
            return Ok(None);
        };
        if found.first > self.position {
            self.position = found.first;
        }
        let stop = end.unwrap_or(u64::MAX).min(synced);
        if stop <= found.first {
            // Nothing is in it yet, and its first entry may begin it anew, under another id.
            return Ok(None);
        }
        if self.walk.as_ref().is_none_or(|walk| walk.first() != found.first) {
            self.leave_segment();
            match self.open_segment(found.first) {
                Ok(walk) => self.walk = Some(walk),
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && self.is_released(found.first) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(trouble("open", found.first, error)),
            }
        }
        self.approach(stop, forgives)?;
        Ok(Some(stop))
    }

    /// Steps over the entries before the position, without their payloads. What cannot be read there is not wanted, unless
    /// it reaches beyond.
    fn approach(&mut self, stop: u64, forgives: bool) -> Result<(), ReadError> {
        let position = self.position;
        let Some(walk) = self.walk.as_mut().filter(|walk| walk.expected < position.min(stop))
        else {
            return Ok(());
        };
        let first = walk.first();
        let mut beyond = None;
        walk.forgive(usize::MAX);
        while walk.expected < position.min(stop) {
            let skipped = walk.skip(stop).map_err(|error| trouble("read", first, error))?;
            if !skipped {
                // A flaw: `step` knows how to get over it.
                let step = walk.step(stop).map_err(|error| trouble("read", first, error))?;
                beyond = step.flaw();
            }
        }
        let lost = walk.forgive(0);
        match (lost, beyond.filter(|flaw| flaw.lost && flaw.covers(position))) {
            (Some(_), Some(flaw)) if forgives => self.pass(flaw),
            (Some(error), Some(_)) => {
                self.leave_segment();
                return Err(trouble("read", first, error));
            }
            _ => {}
        }
        Ok(())
    }

    fn open_segment(&mut self, first: u64) -> io::Result<Walk<D::File>> {
        let file = self.disk.open(&segment::path(first), OpenMode::Read)?;
        let id = match SegmentHeader::read(&file) {
            Ok(Found::Header(header)) => Some(header.id),
            // The entries tell.
            Ok(Found::Damaged) | Err(_) => None,
            Ok(Found::Later(_)) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Walk::new(file, id, first, self.buffer.take().unwrap_or_else(new_buffer)))
    }

    fn is_released(&self, first: u64) -> bool {
        if self.only_looks {
            // It was there, and so were those before it: they go from the oldest on.
            self.shared.index().segments.retain(|segment| segment.first > first);
        }
        let located = self.shared.index().locate(first);
        located.is_none_or(|(segment, _)| segment.first != first)
    }

    fn leave_segment(&mut self) {
        if let Some(walk) = self.walk.take() {
            self.buffer = Some(walk.into_buffer());
        }
    }
}

/// Positioned reads of a stored file or partial, as long as it was when it was opened, or of an entry's payload.
#[derive(Debug)]
pub struct FileReader<F> {
    file: F,
    /// Where it begins in the file.
    start: u64,
    bytes: u64,
}

impl<F: DiskFile> FileReader<F> {
    /// Of a file that has so many bytes.
    pub const fn new(file: F, bytes: u64) -> Self {
        Self { file, start: 0, bytes }
    }
}

impl<F: DiskFile> ReadAt for FileReader<F> {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.saturating_sub(offset);
        let count = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let at = self.start.saturating_add(offset);
        read_full_at(&self.file, at, into.get_mut(..count).unwrap_or_default())
    }
}

fn open_whole<D: Disk>(
    disk: &D,
    path: &Path,
    bytes: u64,
) -> io::Result<Option<FileReader<D::File>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok((file.bytes()? == bytes).then(|| FileReader::new(file, bytes)))
}

fn trouble(operation: &'static str, segment: u64, source: io::Error) -> ReadError {
    ReadError::Disk { operation, path: segment::path(segment), source }
}

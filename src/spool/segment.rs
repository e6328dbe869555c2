//! Segments: names, headers, and the walk over their entries that recovery and readers share.

use std::io;
use std::path::PathBuf;

use crate::data::{OriginId, Sequence};
use crate::limits::SPOOL_WINDOW_BYTES;
use crate::spool::entry::{
    ALIGNMENT, ALIGNMENT_BYTES, ENTRY_HEADER_BYTES, check_record, looks_like_entry, seal_record,
};
use crate::spool::fields::{Put, Take};
use crate::spool::{DiskFile, EntryHeader, Kind, read_full_at};

/// Directory of the log.
pub(super) const DIR: &str = "spool";
/// Bytes of a segment's header; its first entry begins there.
pub(super) const SEGMENT_HEADER_BYTES: u64 = HEADER_BYTES as u64;
/// Newest version of the format that this program knows.
pub(super) const VERSION: u16 = 1;

const HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"PENSTOCK";
const SUFFIX: &str = ".seg";
/// What a medium loses at one time: a page of the system's memory, or less.
const BLOCK_BYTES: u64 = 4096;

/// Path of the segment that begins with this sequence.
pub(super) fn path(first: u64) -> PathBuf {
    PathBuf::from(format!("{DIR}/{first:020}{SUFFIX}"))
}

/// The first sequence in a file name; `None` if it is no segment's.
pub(super) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// Header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: u64,
    pub(super) first: Sequence,
    pub(super) origin: OriginId,
    pub(super) uptime_ms: u64,
}

/// What the first bytes of a segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Header(SegmentHeader),
    /// Whole, but of a version that this program does not know.
    Later(u16),
    /// No header; entries may follow all the same.
    Damaged,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut record = [0; HEADER_BYTES];
        let mut put = Put::new(&mut record);
        put.bytes(MAGIC).u16(VERSION).u16(64).u16(0).u16(0);
        put.u64(self.id).u64(self.first.0).bytes(&self.origin.0).u64(self.uptime_ms).u32(0);
        debug_assert_eq!(put.left(), 4);
        seal_record(&mut record);
        record
    }

    pub(super) fn decode(record: &[u8]) -> Found {
        Self::parse(record).unwrap_or(Found::Damaged)
    }

    fn parse(record: &[u8]) -> Option<Found> {
        let mut take = Take::new(check_record(record)?);
        if take.bytes(MAGIC.len())? != MAGIC {
            return None;
        }
        let version = take.u16()?;
        if version > VERSION {
            return Some(Found::Later(version));
        }
        let (_bytes, _lane, _flags) = (take.u16()?, take.u16()?, take.u16()?);
        Some(Found::Header(Self {
            id: take.u64()?,
            first: Sequence(take.u64()?),
            origin: OriginId(take.array()?),
            uptime_ms: take.u64()?,
        }))
    }

    pub(super) fn read<F: DiskFile>(file: &F) -> io::Result<Found> {
        let mut record = [0; HEADER_BYTES];
        let count = read_full_at(file, 0, &mut record)?;
        Ok(if count == record.len() { Self::decode(&record) } else { Found::Damaged })
    }
}

/// One step over a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A whole entry; its payload begins at `payload`.
    Entry { header: EntryHeader, payload: u64 },
    /// Bytes that are no entry although one had to be there.
    Flaw(Flaw),
    /// Nothing follows.
    End,
}

impl Step {
    /// The flaw, if it is one.
    pub(super) const fn flaw(self) -> Option<Flaw> {
        if let Self::Flaw(flaw) = self { Some(flaw) } else { None }
    }
}

/// A place that cannot be read as entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaw {
    /// First sequence of the segment.
    pub(super) segment: u64,
    /// Where the place begins.
    pub(super) offset: u64,
    /// How long it is.
    pub(super) bytes: u64,
    /// The first sequence that should be there.
    pub(super) first: u64,
    /// How many sequences should be there.
    pub(super) entries: u64,
    /// Not even the header of its first entry could be read.
    pub(super) searched: bool,
    /// The disk did not give some of it back.
    pub(super) lost: bool,
}

impl Flaw {
    /// Whether this sequence should be there.
    pub(super) const fn covers(&self, sequence: u64) -> bool {
        sequence >= self.first && sequence - self.first < self.entries
    }
}

/// Walks over the entries of one segment, verifying each.
///
/// ```text
///  header and payload whole  -> Entry, go on behind it
///  otherwise                 -> search the next header of this segment with a later sequence
///                                 found     -> Flaw up to there
///                                 not found -> Flaw up to the stop, if a stop is known; else End
/// ```
///
/// A header whose payload is not whole is not trusted to tell where the next entry begins: after two crashes it may be
/// an old one, with a good later entry where its payload was to be.
#[derive(Debug)]
pub(super) struct Walk<F> {
    pub(super) file: F,
    /// Repeated by every entry; `None` until the first entry tells, if the segment's header is damaged.
    id: Option<u64>,
    first: u64,
    pub(super) offset: u64,
    pub(super) expected: u64,
    window: Window,
    /// Entries below this sequence were on disk when the window was read.
    current_below: u64,
}

impl<F: DiskFile> Walk<F> {
    /// Begins at the segment's first entry. The buffer of an earlier walk is used again, unless it is empty.
    pub(super) fn new(file: F, id: Option<u64>, first: u64, buffer: Box<[u8]>) -> Self {
        let window = Window::new(buffer);
        let offset = SEGMENT_HEADER_BYTES;
        Self { file, id, first, offset, expected: first, window, current_below: 0 }
    }

    /// First sequence of the segment.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The segment's id, once known.
    pub(super) const fn id(&self) -> Option<u64> {
        self.id
    }

    /// From now on the walk goes over so many bytes that the disk does not give back as over any flaw. Returns what the
    /// disk said of the last such place before.
    pub(super) fn forgive(&mut self, forgives: usize) -> Option<io::Error> {
        let lost = self.window.lost.take();
        if lost.is_some() {
            self.window.forget();
        }
        (self.window.forgives, self.window.is_alive) = (forgives, false);
        lost
    }

    pub(super) fn into_buffer(self) -> Box<[u8]> {
        self.window.buffer
    }

    /// Gives the memory of the window back, until the next step.
    pub(super) fn rest(&mut self) {
        self.window.rest();
    }

    /// Steps over the next entry below `stop`, the first sequence that does not belong to this walk (`u64::MAX` if the
    /// walk is to find out).
    pub(super) fn step(&mut self, stop: u64) -> io::Result<Step> {
        if self.expected >= stop {
            return Ok(Step::End);
        }
        self.refresh(stop);
        let Some(header) = self.header_at(self.offset, stop, true)? else {
            return self.resynchronise(stop, true);
        };
        self.id = Some(header.segment);
        if !self.payload_is_whole(&header)? {
            return self.resynchronise(stop, false);
        }
        let payload = self.offset + ENTRY_HEADER_BYTES as u64;
        self.offset += header.entry_bytes();
        self.expected = header.end();
        Ok(Step::Entry { header, payload })
    }

    /// Steps over the next header without reading its payload; for finding a place.
    pub(super) fn skip(&mut self, stop: u64) -> io::Result<bool> {
        self.refresh(stop);
        if let Some(header) = self.header_at(self.offset, stop, true)? {
            self.id = Some(header.segment);
            self.offset += header.entry_bytes();
            self.expected = header.end();
            return Ok(true);
        }
        Ok(false)
    }

    /// Forgets what was read before the next entry was there: in its place may have stood one that a crash had cut off,
    /// with the same sequence and a header that looks good.
    fn refresh(&mut self, stop: u64) {
        if self.expected >= self.current_below {
            self.window.forget();
            self.current_below = stop;
        }
    }

    /// Payload bytes from the window, if they are there.
    pub(super) fn cached(&self, offset: u64, bytes: usize) -> Option<&[u8]> {
        self.window.cached(offset, bytes)
    }

    /// The header at an offset, if it is one of this segment with a sequence that may stand there. What the window
    /// holds may be older than what is on disk, so that a miss is looked up again.
    fn header_at(
        &mut self,
        offset: u64,
        stop: u64,
        exactly: bool,
    ) -> io::Result<Option<EntryHeader>> {
        for fresh in [false, true] {
            if fresh {
                self.window.forget();
            }
            let bytes = self.window.view(&self.file, offset, ENTRY_HEADER_BYTES)?;
            if let Some(header) = EntryHeader::decode(bytes)
                && self.id.is_none_or(|id| id == header.segment)
                && (header.sequence.0 == self.expected
                    || !exactly && header.sequence.0 > self.expected)
                && header.sequence.0 < stop
            {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// A void was laid over a flawed place, whose bytes are of no interest.
    fn payload_is_whole(&mut self, header: &EntryHeader) -> io::Result<bool> {
        if header.kind == Kind::Void {
            return Ok(true);
        }
        for fresh in [false, true] {
            if fresh {
                self.window.forget();
            }
            if self.payload_crc(header)? == Some(header.payload_crc) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// CRC of the payload, read through the window; `None` if the file ends before.
    fn payload_crc(&mut self, header: &EntryHeader) -> io::Result<Option<u32>> {
        let mut crc = crc32fast::Hasher::new();
        let mut offset = self.offset + ENTRY_HEADER_BYTES as u64;
        let end = offset + u64::from(header.payload_bytes);
        while offset < end {
            let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let bytes = self.window.view(&self.file, offset, wanted.min(SPOOL_WINDOW_BYTES))?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let bytes = bytes.get(..wanted.min(bytes.len())).unwrap_or(bytes);
            crc.update(bytes);
            offset += bytes.len() as u64;
        }
        Ok(Some(crc.finalize()))
    }

    fn resynchronise(&mut self, stop: u64, searched: bool) -> io::Result<Step> {
        let (offset, expected) = (self.offset, self.expected);
        let bytes = self.file.bytes()?;
        let mut at = offset + ALIGNMENT;
        while at < bytes {
            match self.next_magic(at)? {
                None => break,
                Some(found) => at = found,
            }
            if let Some(header) = self.header_at(at, stop, false)? {
                (self.offset, self.expected) = (at, header.sequence.0);
                return match self.expected - expected {
                    // None lost: the place was reported before this entry was there.
                    0 => self.step(stop),
                    lost => Ok(self.flaw(offset, at - offset, expected, lost, searched)),
                };
            }
            at += ALIGNMENT;
        }
        if stop == u64::MAX {
            return Ok(Step::End);
        }
        if self.window.lost.is_some() && !self.window.is_alive {
            // If it gives nothing at all, it may be away, and come back.
            SegmentHeader::read(&self.file)?;
        }
        // The offset stays: in an open segment later entries will follow somewhere behind it.
        self.expected = stop;
        let rest = bytes.saturating_sub(offset);
        Ok(self.flaw(offset, rest, expected, stop - expected, searched))
    }

    /// The next aligned offset with an entry's magic.
    fn next_magic(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        loop {
            let bytes = self.window.view(&self.file, at, ALIGNMENT_BYTES)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let places = bytes.chunks(ALIGNMENT_BYTES);
            let count = places.len() as u64;
            match (0_u64..).zip(places).find(|(_, place)| looks_like_entry(place)) {
                Some((index, _)) => return Ok(Some(at + index * ALIGNMENT)),
                None => at += count * ALIGNMENT,
            }
        }
    }

    fn flaw(&self, offset: u64, bytes: u64, first: u64, entries: u64, searched: bool) -> Step {
        let lost = self.window.lost.is_some();
        Step::Flaw(Flaw { segment: self.first, offset, bytes, first, entries, searched, lost })
    }
}

/// A buffer for walks.
pub(super) fn new_buffer() -> Box<[u8]> {
    vec![0; SPOOL_WINDOW_BYTES].into_boxed_slice()
}

/// A piece of the file in memory, so that small entries do not cost a read each.
#[derive(Debug)]
struct Window {
    /// Empty while it rests.
    buffer: Box<[u8]>,
    start: u64,
    filled: usize,
    /// So many bytes that the disk does not give back are taken for zeros.
    forgives: usize,
    /// What it said of the last such bytes.
    lost: Option<io::Error>,
    /// It gave something since it was forgiven.
    is_alive: bool,
}

impl Window {
    const fn new(buffer: Box<[u8]>) -> Self {
        Self { buffer, start: 0, filled: 0, forgives: 0, lost: None, is_alive: false }
    }

    fn forget(&mut self) {
        self.filled = 0;
    }

    fn rest(&mut self) {
        self.forget();
        self.buffer = Box::default();
    }

    /// All bytes in memory from `offset` on; at least `wanted` unless the file ends.
    fn view<F: DiskFile>(&mut self, file: &F, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        if self.cached(offset, wanted).is_none() {
            if self.buffer.is_empty() {
                self.buffer = new_buffer();
            }
            (self.start, self.filled) = (offset, 0);
            self.fill(file, wanted).inspect_err(|_| self.forget())?;
        }
        Ok(self.from(offset).unwrap_or_default())
    }

    /// Reads until the buffer is full or the file ends. It is an error only if the disk does not give back what is
    /// wanted: a bad place costs what lies there, and nothing that lies before.
    fn fill<F: DiskFile>(&mut self, file: &F, wanted: usize) -> io::Result<()> {
        let mut failed = None;
        while let Some(into) = self.buffer.get_mut(self.filled..).filter(|into| !into.is_empty()) {
            let at = self.start + self.filled as u64;
            match file.read_at(at, into) {
                Ok(0) => break,
                Ok(count) => {
                    self.filled += count;
                    self.is_alive = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if self.filled >= wanted => break,
                // Once may be chance, and what is gone over is not known as taken in.
                Err(_) if self.forgives > 0 && failed != Some(at) => failed = Some(at),
                Err(error) if self.forgives > 0 => {
                    let block = BLOCK_BYTES - at % BLOCK_BYTES;
                    let count = into.len().min(usize::try_from(block).unwrap_or(usize::MAX));
                    into.iter_mut().take(count).for_each(|byte| *byte = 0);
                    self.filled += count;
                    self.forgives = self.forgives.saturating_sub(count);
                    self.lost = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn cached(&self, offset: u64, bytes: usize) -> Option<&[u8]> {
        self.from(offset)?.get(..bytes)
    }

    fn from(&self, offset: u64) -> Option<&[u8]> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer.get(..self.filled)?.get(skip..)
    }
}

//! What is really on disk: cursors, snapshot and the last segment are read, older segments are only listed.
//!
//! ```text
//!  last segment   |header| entry | entry | ?????? | entry | ??????????????? 0000 |
//!                                          hole             tail
//!
//!  hole: a valid later entry follows. It is laid over with a void. If it had been durable (something written later
//!        says so) its bytes go to quarantine and its entries count as corrupt; else a crash reordered writes that
//!        nobody was promised.
//!  tail: no valid later entry follows. It is cut, unless a cursor, a snapshot or an orderly end proves that entries
//!        were durable there: then they count as corrupt, and their sequences are never given again.
//! ```

use std::io::{self, IoSlice};
use std::path::Path;
use std::time::Instant;

use crate::data::{Identity, OriginId, Sequence};
use crate::limits::{KIB, SEGMENTS_MAX};
use crate::spool::dedup::Dedup;
use crate::spool::digests::Digests;
use crate::spool::entry::ENTRY_HEADER_BYTES;
use crate::spool::files::{FILES, PARTIALS, each_name, parse_file_name};
use crate::spool::index::{Index, Segment};
use crate::spool::log::{Log, Open};
use crate::spool::partials::Partials;
use crate::spool::segment::{
    self, Flaw, Found, SEGMENT_HEADER_BYTES, SegmentHeader, Step, Walk, new_buffer,
};
use crate::spool::snapshot::Snapshots;
use crate::spool::{
    Arrival, Disk, DiskFile, EntryHeader, Fatal, Kind, OpenMode, Source, SpoolError, read_full_at,
    write_all_at,
};

/// Holes of the last segment that are kept apart; more are one.
pub(super) const HOLES_MAX: usize = 64;

/// Places of the last segment that the disk does not give back, and that are gone over. The disk may take seconds for each
/// block, and a start is to end.
const LOST_PLACES_MAX: usize = 16;
/// The same, bytes of one of them.
const LOST_BYTES_MAX: usize = 256 * KIB;

/// How often the log is listed again, as segments go while it is looked at.
const SURVEY_TRIES_MAX: u32 = 16;

/// What a look at the log found.
#[derive(Debug)]
pub(super) struct Survey<F> {
    pub(super) index: Index,
    pub(super) dedup: Dedup,
    pub(super) digests: Digests,
    pub(super) snapshots: Snapshots,
    /// Whether more than the last segment had to be read.
    pub(super) read_much: bool,
    /// The last segment, if there is one.
    pub(super) last: Option<Last<F>>,
    /// Everything below was durable: proved by something written later.
    pub(super) proved: u64,
}

/// The last segment.
#[derive(Debug)]
pub(super) struct Last<F> {
    pub(super) file: F,
    pub(super) first: u64,
    pub(super) header: Found,
    /// Its id, if anything told it.
    pub(super) id: Option<u64>,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// Where the last valid entry ends.
    pub(super) end_offset: u64,
    /// The sequence after the last valid entry.
    pub(super) end: u64,
    pub(super) holes: heapless::Vec<Flaw, HOLES_MAX>,
}

impl<F> Survey<F> {
    /// Of a log of which nothing can be read.
    pub(super) fn nothing(proved: u64) -> Self {
        Self {
            index: Index::default(),
            dedup: Dedup::default(),
            digests: Digests::default(),
            snapshots: Snapshots::default(),
            read_much: false,
            last: None,
            proved: proved.max(1),
        }
    }

    /// The sequence that the log goes on with, as far as it knows itself.
    pub(super) fn end(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.end).max(self.proved)
    }
}

/// Index and end of the log, for readers that only look.
pub(super) fn survey<D: Disk>(disk: &D) -> Result<(Index, u64), SpoolError> {
    let mut tries = 0;
    let survey = loop {
        match look(disk, 0, OpenMode::Read) {
            // A running node has released a segment since it was listed.
            Err(SpoolError::Disk(fatal))
                if fatal.source.kind() == io::ErrorKind::NotFound && tries < SURVEY_TRIES_MAX =>
            {
                tries += 1;
            }
            survey => break survey?,
        }
    };
    let end = survey.last.as_ref().map_or(survey.proved, |last| last.end);
    Ok((survey.index, end))
}

/// Looks at the log; changes nothing. `proved` is what the caller knows to have been durable.
pub(super) fn look<D: Disk>(
    disk: &D,
    proved: u64,
    mode: OpenMode,
) -> Result<Survey<D::File>, SpoolError> {
    let index = list(disk)?;
    let opened =
        Snapshots::open(disk, mode).map_err(Fatal::at("read", Path::new("spool/snapshot")))?;
    let (snapshots, newest) = opened;
    let (dedup, through) = newest.unwrap_or_default();
    let proved = proved.max(through).max(1);
    let digests = Digests::default();
    let mut survey =
        Survey { index, dedup, digests, snapshots, read_much: false, last: None, proved };
    let count = survey.index.segments.len();
    let begin = survey.index.position(through).unwrap_or(0);
    let mut buffer = new_buffer();
    for number in begin..count {
        let firsts = |number| survey.index.segments.get(number).map(|one: &Segment| one.first);
        let Some(first) = firsts(number) else { break };
        if let Some(stop) = firsts(number + 1) {
            // A segment that ends below the snapshot has nothing new.
            if stop > through {
                survey.read_much = true;
                buffer = note_entries(disk, &mut survey, (first, stop, through), buffer)?;
            }
        } else {
            survey.last = Some(read_last(disk, &mut survey, (first, through), mode, buffer)?);
            break;
        }
    }
    let end = survey.end();
    survey.dedup.drop_from(end);
    Ok(survey)
}

fn list<D: Disk>(disk: &D) -> Result<Index, SpoolError> {
    let dir = Path::new(segment::DIR);
    let mut firsts = Vec::new();
    let found = disk.list(dir, &mut |name| firsts.extend(segment::parse_name(name)));
    found.map_err(Fatal::at("list", dir))?;
    if firsts.len() > SEGMENTS_MAX {
        return Err(SpoolError::TooMany { what: "segments", max: SEGMENTS_MAX });
    }
    firsts.sort_unstable();
    let mut index = Index::default();
    for first in firsts {
        let path = segment::path(first);
        let bytes = disk.file_bytes(&path).map_err(Fatal::at("look at", &path))?;
        index.segments.push_back(Segment { first, bytes, file_bytes: 0, files: 0 });
    }
    Ok(index)
}

fn open_walk<D: Disk>(
    disk: &D,
    first: u64,
    mode: OpenMode,
    buffer: Box<[u8]>,
) -> Result<(Walk<D::File>, Found), SpoolError> {
    let path = segment::path(first);
    let file = disk.open(&path, mode).map_err(Fatal::at("open", &path))?;
    if mode == OpenMode::Write {
        // What is found here counts as durable, for repetitions too; after a kill it need not be yet.
        file.recover().map_err(Fatal::at("sync", &path))?;
    }
    let found = SegmentHeader::read(&file).map_err(Fatal::at("read", &path))?;
    let id = match found {
        Found::Header(header) => Some(header.id),
        Found::Damaged => None,
        Found::Later(found) => {
            return Err(SpoolError::Version { path, found, known: segment::VERSION });
        }
    };
    Ok((Walk::new(file, id, first, buffer), found))
}

/// Tells de-duplication what a closed segment holds. Flaws are left to readers.
fn note_entries<D: Disk>(
    disk: &D,
    survey: &mut Survey<D::File>,
    (first, stop, through): (u64, u64, u64),
    buffer: Box<[u8]>,
) -> Result<Box<[u8]>, SpoolError> {
    let (mut walk, _) = open_walk(disk, first, OpenMode::Read, buffer)?;
    let path = segment::path(first);
    walk.forgive(LOST_BYTES_MAX);
    loop {
        match walk.step(stop).map_err(Fatal::at("read", &path))? {
            Step::Entry { header, .. } => note(survey, &header, through),
            Step::Flaw(_) => {}
            Step::End => return Ok(walk.into_buffer()),
        }
    }
}

fn note<F>(survey: &mut Survey<F>, header: &EntryHeader, through: u64) {
    survey.proved = survey.proved.max(header.synced.0);
    if header.sequence.0 >= through && header.kind != Kind::Void {
        survey.dedup.note(header);
        survey.digests.note(header);
    }
}

fn read_last<D: Disk>(
    disk: &D,
    survey: &mut Survey<D::File>,
    (first, through): (u64, u64),
    mode: OpenMode,
    buffer: Box<[u8]>,
) -> Result<Last<D::File>, SpoolError> {
    let (mut walk, header) = open_walk(disk, first, mode, buffer)?;
    let path = segment::path(first);
    let mut holes = heapless::Vec::new();
    let mut pending: Option<Flaw> = None;
    let (mut end_offset, mut end) = (SEGMENT_HEADER_BYTES, first);
    let (mut places, mut lost) = (LOST_PLACES_MAX, None);
    loop {
        lost = walk.forgive(if places > 0 { LOST_BYTES_MAX } else { 0 }).or(lost);
        match walk.step(u64::MAX).map_err(Fatal::at("read", &path))? {
            Step::Entry { header, .. } => {
                // With no room left for one more it stays a flaw, which readers report; and so does what the disk does
                // not give back, since it may yet, and takes no void before.
                let hole = pending.take();
                let kept = hole.is_none_or(|hole| hole.lost || holes.push(hole).is_ok());
                places -= usize::from(hole.is_some_and(|hole| hole.lost)).min(places);
                survey.read_much |= !kept;
                note(survey, &header, through);
                (end_offset, end, lost) = (walk.offset, walk.expected, None);
            }
            Step::Flaw(flaw) => pending = Some(pending.map_or(flaw, |hole| join(hole, flaw))),
            Step::End => break,
        }
    }
    if let Some(error) = walk.forgive(0).or(lost) {
        // Entries may lie there, and where they end nobody knows.
        return Err(Fatal::at("read", &path)(error).into());
    }
    let bytes = walk.file.bytes().map_err(Fatal::at("look at", &path))?;
    let id = walk.id();
    Ok(Last { file: walk.file, first, header, id, bytes, end_offset, end, holes })
}

/// Two flaws side by side.
const fn join(one: Flaw, next: Flaw) -> Flaw {
    Flaw {
        bytes: next.offset + next.bytes - one.offset,
        entries: next.first + next.entries - one.first,
        searched: one.searched || next.searched,
        lost: one.lost || next.lost,
        ..one
    }
}

impl<F: DiskFile> Last<F> {
    /// What the tail lost, if something durable was there: the place, and how many sequences.
    pub(super) const fn lost_tail(&self, proved: u64) -> Option<Flaw> {
        if proved <= self.end {
            return None;
        }
        Some(Flaw {
            segment: self.first,
            offset: self.end_offset,
            bytes: self.bytes.saturating_sub(self.end_offset),
            first: self.end,
            entries: proved - self.end,
            searched: true,
            lost: false,
        })
    }

    /// Bytes behind the last valid entry, up to the last that is not zero.
    pub(super) fn unfinished(&self) -> io::Result<u64> {
        let mut buffer = new_buffer();
        let (mut offset, mut end) = (self.end_offset, self.end_offset);
        loop {
            let count = read_full_at(&self.file, offset, &mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                end = offset + last as u64 + 1;
            }
            if count < buffer.len() {
                return Ok(end - self.end_offset);
            }
            offset += count as u64;
        }
    }

    /// Whether there is nothing in it that is worth keeping: not even its header was finished.
    pub(super) const fn is_stillborn(&self, proved: u64) -> bool {
        matches!(self.header, Found::Damaged) && self.end == self.first && proved <= self.first
    }

    /// Lays voids over the holes and over a lost tail, repairs the header; durable on return. `proved` is what is known
    /// to have been durable: no void says more, since a crash may take one and leave a later one.
    pub(super) fn repair(
        &mut self,
        origin: OriginId,
        lost: Option<Flaw>,
        proved: u64,
    ) -> Result<(), Fatal> {
        let path = segment::path(self.first);
        let mut id = self.id.unwrap_or_default();
        let mut changed = false;
        if self.header == Found::Damaged {
            // Without any entry its id is gone: any will do, as long as it is not the one of what lies there.
            id = self.id.unwrap_or_else(|| u64::from(crc32fast::hash(&origin.0)) | 1);
            let first = Sequence(self.first);
            let header = SegmentHeader { id, first, origin, uptime_ms: 0 };
            write_all_at(&self.file, 0, &mut [IoSlice::new(&header.encode())])
                .map_err(Fatal::at("repair", &path))?;
            self.header = Found::Header(header);
            self.id = Some(id);
            changed = true;
        }
        let fits = |flaw: &&Flaw| flaw.offset + ENTRY_HEADER_BYTES as u64 <= self.bytes;
        for flaw in self.holes.iter().chain(lost.as_ref().filter(fits)) {
            let is_tail = flaw.first == self.end;
            let void = void(origin, id, flaw, (is_tail, proved));
            write_all_at(&self.file, flaw.offset, &mut [IoSlice::new(&void.encode())])
                .map_err(Fatal::at("repair", &path))?;
            changed = true;
        }
        if let Some(flaw) = &lost {
            if fits(&flaw) {
                self.end_offset += ENTRY_HEADER_BYTES as u64;
            } else {
                // No room for a void: the segment counts as closed, and the next begins where it has to.
                self.bytes = self.end_offset;
            }
            self.end = flaw.first + flaw.entries;
        }
        if changed {
            self.file.sync_data().map_err(Fatal::at("sync", &path))?;
        }
        Ok(())
    }

    /// The log that goes on behind it.
    pub(super) fn into_log(self, now: Instant) -> Log<F> {
        let is_open = self.bytes >= self.end_offset + ENTRY_HEADER_BYTES as u64;
        let (next, path) = (self.end, segment::path(self.first));
        let open = is_open.then(|| Open {
            file: self.file,
            path,
            id: self.id.unwrap_or_default(),
            offset: self.end_offset,
            capacity: self.bytes,
            opened: now,
        });
        Log { open, next, synced: next }
    }
}

/// A void over a flaw; over a tail it has no payload, so that the log goes on right behind it.
fn void(
    origin: OriginId,
    segment: u64,
    flaw: &Flaw,
    (is_tail, proved): (bool, u64),
) -> EntryHeader {
    let payload = if is_tail { 0 } else { flaw.bytes.saturating_sub(ENTRY_HEADER_BYTES as u64) };
    EntryHeader {
        segment,
        sequence: Sequence(flaw.first),
        synced: Sequence(flaw.first.min(proved)),
        arrival: Arrival { wall_ms: 0, trusted: false },
        kind: Kind::Void,
        source: Source::Own,
        hops: 0,
        precision: None,
        time_range: None,
        identity: Identity { origin, sequence: Sequence(flaw.first) },
        device: 0,
        void_entries: u32::try_from(flaw.entries).unwrap_or(u32::MAX),
        file_count: 0,
        payload_bytes: u32::try_from(payload).unwrap_or(u32::MAX),
        content_crc: None,
        payload_crc: 0,
    }
}

/// Counts the files of each segment, removes those that no entry can name, and takes back adopted ones whose entry did
/// not become durable, be it at the log's end or in a place that is torn. Returns how many were removed.
pub(super) fn settle_files<D: Disk>(
    disk: &D,
    index: &mut Index,
    partials: &mut Partials<D::File>,
    next: u64,
    torn: &[Flaw],
) -> Result<u32, Fatal> {
    let dir = Path::new(FILES);
    let (mut removed, mut moved) = (0, false);
    each_name(disk, dir, &mut |name| {
        let Some((sequence, adopted)) = parse_file_name(name) else { return Ok(()) };
        let path = dir.join(name);
        let has_no_entry = sequence >= next || torn.iter().any(|hole| hole.covers(sequence));
        if let (true, Some(original)) = (has_no_entry, adopted) {
            moved = true;
            return partials.take_back(disk, &path, original);
        }
        if has_no_entry || sequence < index.first(next) {
            removed += 1;
            return disk.remove(&path).map_err(Fatal::at("remove", &path));
        }
        let bytes = disk.file_bytes(&path).map_err(Fatal::at("look at", &path))?;
        count_file(index, sequence, bytes);
        Ok(())
    })?;
    if moved || removed > 0 {
        // A name that came back could be taken for a file of the entry that gets its sequence.
        for dir in [Path::new(PARTIALS), dir] {
            disk.sync_dir(dir).map_err(Fatal::at("sync", dir))?;
        }
    }
    Ok(removed)
}

/// Adds a file to the segment of its entry.
pub(super) fn count_file(index: &mut Index, sequence: u64, bytes: u64) {
    let position = index.position(sequence);
    if let Some(segment) = position.and_then(|position| index.segments.get_mut(position)) {
        segment.file_bytes += bytes;
        segment.files += 1;
    }
}

/// A file of an entry has left the store.
pub(super) fn discount_file(index: &mut Index, sequence: u64, bytes: u64) {
    let position = index.position(sequence);
    if let Some(segment) = position.and_then(|position| index.segments.get_mut(position)) {
        segment.file_bytes = segment.file_bytes.saturating_sub(bytes);
        segment.files = segment.files.saturating_sub(1);
    }
}

//! Work on whole files: requests that are too large for memory.
//!
//! ```text
//!  rows in a file --> splitter --> part, part, ... --> append
//!                                  a part beyond an entry --> a file of one request
//!  a plan in a file ------------------------------------> the file is that of one request
//!           with a trailer --> cut back by it
//!  a compressed request --> undone, step by step --> a file
//!  a seal of a TsFile with a long last block --> looked at, step by step --> sealed
//! ```
//!
//! A job runs in portions of a MiB. After each it pauses, and its host does what else there is to do;
//! where there is no room it pauses, too, and tries again. What it has done is kept in the job itself,
//! so that one that was left can be run again.

use std::io;
use std::ops::Range;

use super::inflate;
use super::keeper::{Keeper, Kept, file_refused, hops, refused, source, unreadable};
use super::sealing::Sealing;
use super::stage::PartHeader;
use super::trim;
use crate::data::{Identity, ReadAt};
use crate::limits;
use crate::link::receiver::{FileKey, Job, Outcome, Provenance, short_hash};
use crate::spool::{
    Arrival, Disk, DiskFile, Fatal, FileReader, Full, Kind, LinkId, NewFileEntry, SealedFile,
    Source, Spool,
};
use crate::wire::bytes::Reader;
use crate::wire::cursor::ReadError;
use crate::wire::request::{Head, RequestType};
use crate::wire::split::{Content, Part, Scratch, Splitter};

/// Work on a whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LongJob {
    /// Rows or a plan in a file.
    Request {
        /// Whose.
        from: Provenance,
        /// Where.
        file: FileKey,
        /// The first part that is not appended yet.
        next_part: u32,
    },
    /// A compressed request.
    Inflate {
        /// Where.
        file: FileKey,
        /// Where the request in it goes.
        into: FileKey,
    },
    /// Bytes that go from one file to another.
    Move {
        /// From here,
        file: FileKey,
        /// from this byte on,
        offset: u64,
        /// so many,
        bytes: u64,
        /// to the end of this.
        into: FileKey,
    },
    /// A seal, of a file that takes long to look at.
    Seal(Sealing),
}

/// What a job says when it pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// A portion is done; others may have their turn.
    Portion,
    /// There is no room.
    Full(Full),
}

/// What it is told then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// Go on, or try again.
    On,
    /// Leave it.
    Away,
}

/// Who runs a job: owns keeper and spool, and may use them while the job pauses.
pub trait Host<D: Disk> {
    /// Keeper and spool.
    fn parts(&mut self) -> (&mut Keeper, &mut Spool<D>);

    /// A job pauses.
    ///
    /// # Errors
    /// The disk failed.
    fn pause(&mut self, pause: Pause) -> Result<Go, Fatal>;
}

impl LongJob {
    /// The long job of a job, if it is long. Seals are not, or it is found out later.
    pub const fn of(job: &Job) -> Option<Self> {
        match *job {
            Job::RequestFile { from, file, next_part } => {
                Some(Self::Request { from, file, next_part })
            }
            Job::Inflate { file, into } => Some(Self::Inflate { file, into }),
            Job::Move { file, offset, bytes, into } => {
                Some(Self::Move { file, offset, bytes, into })
            }
            Job::Seal { .. } | Job::Quarantine { .. } | Job::Show { .. } => None,
        }
    }

    /// The connection that waits for it.
    pub const fn link(&self) -> LinkId {
        match self {
            Self::Request { file, .. } | Self::Inflate { file, .. } | Self::Move { file, .. } => {
                file.link
            }
            Self::Seal(sealing) => sealing.sealed.from.link,
        }
    }

    /// Runs it. `None`: it was left.
    ///
    /// # Errors
    /// The disk failed.
    pub fn run<D: Disk>(
        &mut self,
        host: &mut impl Host<D>,
        arrival: Arrival,
    ) -> Result<Option<Kept>, Fatal> {
        match self {
            Self::Request { from, file, next_part } => {
                let opened = open(host, *file)?;
                let Some(Opened { reader, hash }) = opened else { return Ok(UNDECODABLE) };
                let run = Run { from: *from, file: *file, arrival, hash, reader };
                run.go(host, next_part)
            }
            Self::Inflate { file, into } => inflate::run(host, *file, *into),
            Self::Move { file, offset, bytes, into } => copy(host, *file, offset, bytes, *into),
            Self::Seal(sealing) => sealing.run(host, arrival),
        }
    }
}

pub(super) const UNDECODABLE: Option<Kept> = Some(Kept::Done(Outcome::Undecodable));
/// Bytes of a job between two pauses.
pub(super) const PORTION_BYTES: usize = limits::MIB;
/// Bytes that are copied at a time.
pub(super) const COPY_BYTES: usize = 64 * limits::KIB;
/// Number of the file that a large part is made in; receivers count theirs from 0.
const LARGE_FILE: u32 = u32::MAX;

/// A file's bytes, and the hash that tells its repetition.
pub(super) struct Opened<F> {
    pub(super) reader: FileReader<F>,
    hash: u128,
}

/// `None` if there is no such file.
pub(super) fn open<D: Disk>(
    host: &mut impl Host<D>,
    key: FileKey,
) -> Result<Option<Opened<D::File>>, Fatal> {
    let (keeper, spool) = host.parts();
    let Some(file) = keeper.find(key) else { return Ok(None) };
    match spool.partial_reader(file.partial) {
        Ok(reader) => Ok(Some(Opened { reader, hash: short_hash(&file.hash.finalize()) })),
        Err(error) => file_refused(error).map(|_| None),
    }
}

fn copy<D: Disk>(
    host: &mut impl Host<D>,
    file: FileKey,
    offset: &mut u64,
    bytes: &mut u64,
    into: FileKey,
) -> Result<Option<Kept>, Fatal> {
    let Some(Opened { reader, .. }) = open(host, file)? else { return Ok(UNDECODABLE) };
    let mut buffer = vec![0; COPY_BYTES];
    while *bytes > 0 {
        let window = usize::try_from(*bytes).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let window = buffer.get_mut(..window).unwrap_or_default();
        let read = reader.read_at(*offset, window).map_err(unreadable)?;
        if read == 0 {
            return Ok(UNDECODABLE);
        }
        let written = write(host, into, window.get(..read).unwrap_or_default())?;
        if !matches!(written, Some(Kept::Silent)) {
            return Ok(written);
        }
        *offset += read as u64;
        *bytes = bytes.saturating_sub(read as u64);
        if offset.is_multiple_of(PORTION_BYTES as u64) && host.pause(Pause::Portion)? == Go::Away {
            return Ok(None);
        }
    }
    let (keeper, spool) = host.parts();
    keeper.discard(spool, file)?;
    Ok(Some(Kept::Done(Outcome::Stored)))
}

/// Writes a little, however long there is no room. `None`: the job is left.
pub(super) fn write<D: Disk>(
    host: &mut impl Host<D>,
    into: FileKey,
    bytes: &[u8],
) -> Result<Option<Kept>, Fatal> {
    wait_for(host, |host| {
        let (keeper, spool) = host.parts();
        keeper.write(spool, into, bytes)
    })
}

/// One request in a file, on its way into the log.
struct Run<F> {
    from: Provenance,
    file: FileKey,
    arrival: Arrival,
    /// Of the whole request.
    hash: u128,
    reader: FileReader<F>,
}

impl<F: DiskFile> Run<F> {
    fn go<D: Disk<File = F>>(
        &self,
        host: &mut impl Host<D>,
        next_part: &mut u32,
    ) -> Result<Option<Kept>, Fatal> {
        let head = read_head(&self.reader)?;
        let kept = if head.is_some_and(RequestType::is_rows) {
            self.rows(host, next_part)?
        } else {
            self.plan(host)?
        };
        if matches!(kept, Some(Kept::Durable(_) | Kept::Done(Outcome::Cloned))) {
            let (keeper, spool) = host.parts();
            keeper.discard(spool, self.file)?;
        }
        Ok(kept)
    }

    /// A plan that is larger than an entry: its file is what is kept, without the trailer that names it.
    fn plan<D: Disk<File = F>>(&self, host: &mut impl Host<D>) -> Result<Option<Kept>, Fatal> {
        let trimmed = trim::run(host, self.file, &self.reader)?;
        if !matches!(trimmed, Some(Kept::Silent)) {
            return Ok(trimmed);
        }
        // Perhaps of an earlier run.
        let trimmed = host.parts().0.find(self.file).and_then(|file| file.trimmed);
        let place = self.place(trimmed.map(|trimmed| trimmed.identity), 0, true);
        let place = Place { crc: trimmed.map(|trimmed| trimmed.crc), ..place };
        wait_for(host, |host| self.seal(host, self.file, place))
    }

    fn rows<D: Disk<File = F>>(
        &self,
        host: &mut impl Host<D>,
        next_part: &mut u32,
    ) -> Result<Option<Kept>, Fatal> {
        // The memory stays the keeper's; meanwhile nobody else converts anything.
        let mut scratch = std::mem::take(&mut host.parts().0.scratch);
        let mut part = std::mem::take(&mut host.parts().0.part);
        let kept = self.split(host, &mut scratch, &mut part, next_part);
        // One that went on as it is may have made it larger.
        part.clear();
        part.shrink_to(limits::ENTRY_BYTES_TARGET);
        let (keeper, _) = host.parts();
        (keeper.scratch, keeper.part) = (scratch, part);
        kept
    }

    fn split<D: Disk<File = F>>(
        &self,
        host: &mut impl Host<D>,
        scratch: &mut Scratch,
        bytes: &mut Vec<u8>,
        next_part: &mut u32,
    ) -> Result<Option<Kept>, Fatal> {
        let mut splitter = match Splitter::new(&self.reader, scratch) {
            Ok(splitter) => splitter,
            Err(ReadError::Malformed(_)) => return Ok(UNDECODABLE),
            Err(ReadError::Disk { error, .. }) => return Err(unreadable(error)),
        };
        if let Some((length, part)) = splitter.as_is()
            && length > limits::ENTRY_BYTES_TARGET
        {
            // It would need memory of its own length, for bytes that lie in a file already.
            let (span, place) = (0..length as u64, self.place_of(&part));
            return wait_for(host, |host| {
                self.append_large(host, place, &[], span.clone(), (&[], true))
            });
        }
        splitter.skip_to(*next_part, bytes).map_err(broken)?;
        let mut portion = 0;
        while let Some(part) = splitter.next(bytes).map_err(broken)? {
            match wait_for(host, |host| self.append(host, &part, bytes))? {
                Some(Kept::Silent | Kept::Durable(_)) => *next_part = part.number + 1,
                other => return Ok(other),
            }
            portion += bytes.len();
            if portion < PORTION_BYTES {
                continue;
            }
            portion = 0;
            if host.pause(Pause::Portion)? == Go::Away {
                return Ok(None);
            }
        }
        Ok(Some(Kept::Durable(Outcome::Stored)))
    }

    fn append<D: Disk<File = F>>(
        &self,
        host: &mut impl Host<D>,
        part: &Part,
        bytes: &[u8],
    ) -> Result<Kept, Fatal> {
        let kind = match &part.content {
            Content::Tablet => Kind::Tablet,
            Content::Opaque => Kind::Opaque,
            Content::Large { is_tablet, span, tail } => {
                let place = self.place_of(part);
                return self.append_large(host, place, bytes, span.clone(), (tail, *is_tablet));
            }
        };
        let header = PartHeader {
            from: self.from,
            kind,
            hash: self.hash,
            part: part.number,
            last: part.is_last,
            identity: part.identity,
            time_range: Some(part.time_range),
        };
        let (keeper, spool) = host.parts();
        keeper.append(spool, &header, bytes, self.arrival)
    }

    /// A part that does not fit into an entry becomes a file of one request: the same bytes that an entry
    /// would hold, so that they are told to be the same.
    fn append_large<D: Disk<File = F>>(
        &self,
        host: &mut impl Host<D>,
        place: Place,
        bytes: &[u8],
        span: Range<u64>,
        (tail, is_tablet): (&[u8], bool),
    ) -> Result<Kept, Fatal> {
        let key = FileKey { link: self.from.link, number: LARGE_FILE };
        let (keeper, spool) = host.parts();
        // Nothing else is appended until the file is sealed.
        let spool_tail = spool.tail(place.source);
        let spool_tail = if is_tablet { spool_tail.as_slice() } else { &[] };
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytes);
        // What a failed try has left.
        keeper.discard(spool, key)?;
        // Before the first byte is written, or each try would write them anew.
        let around = (bytes.len() + tail.len() + spool_tail.len()) as u64;
        let room = fits(spool, self.reader.len(), around + (span.end - span.start));
        if !matches!(room, Kept::Silent) {
            return Ok(room);
        }
        let mut kept = keeper.write(spool, key, bytes)?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut at = span.start;
        while at < span.end && matches!(kept, Kept::Silent) {
            let window = usize::try_from(span.end - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
            let window = buffer.get_mut(..window).unwrap_or_default();
            let read = self.reader.read_at(at, window).map_err(unreadable)?;
            if read == 0 {
                return Ok(Kept::Done(Outcome::Undecodable));
            }
            let read_bytes = window.get(..read).unwrap_or_default();
            kept = keeper.write(spool, key, read_bytes)?;
            crc.update(read_bytes);
            at += read as u64;
        }
        for tail in [tail, spool_tail] {
            crc.update(tail);
            if matches!(kept, Kept::Silent) {
                kept = keeper.write(spool, key, tail)?;
            }
        }
        if !matches!(kept, Kept::Silent) {
            return Ok(kept);
        }
        self.seal(host, key, Place { crc: Some(crc.finalize()), ..place })
    }

    fn place_of(&self, part: &Part) -> Place {
        self.place(part.identity, part.number, part.is_last)
    }

    fn place(&self, identity: Option<Identity>, part: u32, last: bool) -> Place {
        Place { source: source(self.from, identity, self.hash, part, last), last, crc: None }
    }

    /// Makes an entry of a file that is one request.
    fn seal<D: Disk<File = F>>(
        &self,
        host: &mut impl Host<D>,
        key: FileKey,
        place: Place,
    ) -> Result<Kept, Fatal> {
        let (keeper, spool) = host.parts();
        let Some(file) = keeper.find(key) else { return Ok(Kept::Done(Outcome::Undecodable)) };
        let reader = match spool.partial_reader(file.partial) {
            Ok(reader) => reader,
            Err(error) => return file_refused(error),
        };
        let code = read_head(&reader)?.map_or(0, RequestType::code);
        let sealed = SealedFile {
            name: Some("request"),
            partial: Some(file.partial),
            bytes: file.bytes,
            hash: *file.hash.finalize().as_bytes(),
        };
        let entry = NewFileEntry {
            source: place.source,
            hops: hops(self.from),
            precision: Some(self.from.precision),
            time_range: None,
            request_type: code.cast_unsigned(),
            request_crc: place.crc,
            files: &[sealed],
            parameters: &[],
        };
        match spool.seal(entry, self.arrival) {
            Ok(taken) => {
                keeper.note(self.from.link, taken);
                keeper.take(key);
                Ok(if place.last { Kept::Durable(Outcome::Stored) } else { Kept::Silent })
            }
            Err(error) => refused(error),
        }
    }
}

/// Tries until there is room. `None`: the job is left.
pub(super) fn wait_for<D: Disk, H: Host<D>>(
    host: &mut H,
    mut attempt: impl FnMut(&mut H) -> Result<Kept, Fatal>,
) -> Result<Option<Kept>, Fatal> {
    loop {
        let kept = attempt(host)?;
        let Kept::Full(full) = kept else { return Ok(Some(kept)) };
        if host.pause(Pause::Full(full))? == Go::Away {
            return Ok(None);
        }
    }
}

/// Whether so many bytes fit in at once, beside what is there, `own` bytes of it being the request itself. Written by
/// halves it would wait for room that it takes up, and hold others up. [`Kept::Silent`]: they do.
pub(super) fn fits<D: Disk>(spool: &mut Spool<D>, own: u64, bytes: u64) -> Kept {
    let needed = own.saturating_add(bytes);
    match spool.room_for(bytes) {
        Ok(()) => Kept::Silent,
        // What others have there goes some day.
        Err(Full { limit, .. }) if needed > limit => {
            log::warn!("event=request_too_large needed={needed} limit={limit}");
            Kept::Done(Outcome::NeverFits { needed, limit })
        }
        Err(full) => Kept::Full(full),
    }
}

/// Which part of its request a file is.
#[derive(Clone, Copy)]
struct Place {
    source: Source,
    last: bool,
    /// Of the file, if known.
    crc: Option<u32>,
}

fn read_head(reader: &impl ReadAt) -> Result<Option<RequestType>, Fatal> {
    let mut head = [0; Head::BYTES];
    reader.read_at(0, &mut head).map_err(unreadable)?;
    let head = Head::read(&mut Reader::new(&head)).and_then(Head::known);
    Ok(head.ok())
}

pub(super) fn broken(error: ReadError) -> Fatal {
    match error {
        ReadError::Disk { error, .. } => unreadable(error),
        ReadError::Malformed(error) => unreadable(io::Error::other(error)),
    }
}

//! The spool's one owner: opening, appending, syncing, sealing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::{Identity, OriginId, Precision, Sequence, TimeRange};
use crate::limits::ENTRY_BYTES_MAX;
use crate::spool::cursor::Consumers;
use crate::spool::dedup::Dedup;
use crate::spool::digests::Digests;
use crate::spool::disk::is_full;
use crate::spool::entry::{ENTRY_HEADER_BYTES, device_of, entry_bytes};
use crate::spool::index::{Segment, Shared};
use crate::spool::log::Log;
use crate::spool::origin::is_part_of_own;
use crate::spool::partials::Partials;
use crate::spool::quarantine::Quarantine;
use crate::spool::quota::Room;
use crate::spool::segment::SEGMENT_HEADER_BYTES;
use crate::spool::slots::Slots;
use crate::spool::snapshot::Snapshots;
use crate::spool::state::State;
use crate::spool::{
    AppendError, Arrival, Disk, EntryHeader, Fatal, Full, Kind, LinkId, Misuse, NewEntry,
    PartialError, Reader, Settings, Source, Stats,
};

/// The spool. One thread owns it; [`Spool::reader`] gives others their view.
#[derive(Debug)]
pub struct Spool<D: Disk> {
    pub(super) disk: D,
    pub(super) settings: Settings,
    pub(super) origin: OriginId,
    pub(super) log: Log<D::File>,
    pub(super) shared: Arc<Shared>,
    pub(super) dedup: Dedup,
    pub(super) digests: Digests,
    pub(super) snapshots: Snapshots,
    pub(super) partials: Partials<D::File>,
    /// Bytes of files that are made of entries.
    pub(super) made: u64,
    pub(super) consumers: Consumers<D::File>,
    pub(super) quarantine: Quarantine,
    pub(super) room: Room,
    pub(super) state: State,
    /// `None` in a spool that is read-only.
    pub(super) state_file: Option<Slots<D::File>>,
    pub(super) clock: Clock,
    pub(super) counts: Counts,
    /// Entries below are released, whether or not their segments are kept.
    pub(super) released: u64,
    /// When the oldest segment ended, in uptime: first sequence of the next one, and milliseconds.
    pub(super) front_ended: Option<(u64, u64)>,
    /// The payload of a file entry is built here.
    pub(super) list: Vec<u8>,
    /// Takes nothing, after repeated failures of the disk.
    pub(super) failing: bool,
    /// Something fatal happened in this run.
    pub(super) broken: bool,
    /// The last identity of another node under which something else came than before.
    pub(super) reused: Option<Identity>,
    /// Held as long as the spool is open.
    #[expect(dead_code, reason = "it is held, not used")]
    pub(super) lock: Option<D::File>,
}

/// Times that the owner was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The latest.
    pub(super) now: Instant,
    /// When the uptime was last counted.
    pub(super) counted: Instant,
    /// When cursors were last synced.
    pub(super) cursors: Instant,
    /// When the state was last written.
    pub(super) saved: Instant,
    /// Wall clock of the latest arrival, for lists.
    pub(super) wall_ms: i64,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) duplicates: u64,
    /// Known numbers of others under which something else came.
    pub(super) reused: u64,
    pub(super) syncs: u64,
    pub(super) given_up: u64,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has this sequence.
    Appended(Sequence),
    /// It had been taken before. It is durable when everything up to and with this sequence is.
    Duplicate(Sequence),
}

/// What is common to all entries that are put into the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) source: Source,
    pub(super) hops: u8,
    pub(super) precision: Option<Precision>,
    pub(super) time_range: Option<TimeRange>,
    /// Hash of a tablet's device, or 0.
    pub(super) device: u32,
    pub(super) file_count: u32,
    /// Of what its files hold; that of any other entry is the CRC of its payload.
    pub(super) content_crc: Option<u32>,
}

impl<D: Disk> Spool<D> {
    /// Appends an entry with one vectored write. It is durable after the next [`Spool::sync`].
    ///
    /// # Errors
    /// [`AppendError::Full`]: nothing was taken, try again later. After [`AppendError::Fatal`] every call fails.
    pub fn append(
        &mut self,
        entry: NewEntry<'_>,
        arrival: Arrival,
    ) -> Result<Outcome, AppendError> {
        self.check_writable()?;
        let tail = self.tail(entry.source);
        let tail = match entry.kind {
            Kind::Tablet => tail.as_slice(),
            Kind::Opaque => &[],
            Kind::Void | Kind::File => return Err(Misuse::Kind.into()),
        };
        let payload = [entry.payload, tail];
        let bytes = entry.payload.len() + tail.len();
        let max = self.payload_bytes_max();
        if bytes > max {
            return Err(AppendError::TooLarge { bytes, max });
        }
        if let Some(repetition) =
            self.repetition(entry.kind, entry.source, || Some(crc_of(payload)))?
        {
            return Ok(repetition);
        }
        self.make_room_in_log(bytes)?;
        let draft = Draft {
            kind: entry.kind,
            source: entry.source,
            hops: entry.hops,
            precision: entry.precision,
            time_range: entry.time_range,
            device: if entry.kind == Kind::Tablet { device_of(entry.payload) } else { 0 },
            file_count: 0,
            content_crc: None,
        };
        let sequence = self.put(draft, payload, arrival)?;
        Ok(Outcome::Appended(sequence))
    }

    /// Makes all that was appended durable, and shows it to readers. Returns the sequence below which everything is
    /// durable.
    ///
    /// # Errors
    /// The disk failed; never call again.
    pub fn sync(&mut self) -> Result<Sequence, Fatal> {
        self.check_whole()?;
        if self.log.synced != self.log.next {
            self.counts.syncs += 1;
            if let Err(fatal) = self.log.sync() {
                return Err(self.fail(fatal));
            }
        }
        self.shared.publish(self.log.synced);
        Ok(Sequence(self.log.synced))
    }

    /// What became of it, if it was taken before. `digest`: of its content. What is not known to be something else
    /// under a known number is a repetition. `kind`: that of an entry that holds no points is opaque.
    pub(super) fn repetition(
        &mut self,
        kind: Kind,
        source: Source,
        digest: impl FnOnce() -> Option<u32>,
    ) -> Result<Option<Outcome>, AppendError> {
        let taken = match source {
            Source::Peer(identity) if is_part_of_own(identity, self.origin, self.log.next) => {
                Some(identity.sequence.0)
            }
            Source::Peer(identity) if identity.origin == self.origin => {
                if identity.sequence.0 >= self.log.next {
                    return Err(AppendError::Cloned(identity.sequence));
                }
                (!self.is_another(identity, digest())).then_some(identity.sequence.0)
            }
            Source::Peer(identity) if self.dedup.has(identity) => {
                // Which local sequence it has is not kept; all that is appended so far covers it.
                (!self.is_another(identity, digest())).then_some(self.log.next - 1)
            }
            Source::Own | Source::Peer(_) => None,
            Source::Stock { request, link, part, .. } => {
                let may_repeat = self.dedup.may_repeat(link, request);
                let taken = self.dedup.taken(request, kind, self.clock.now);
                let taken = taken.filter(|(parts, _)| may_repeat && part < *parts);
                if taken.is_some() {
                    self.dedup.repeated(request, link);
                }
                taken.map(|(_, latest)| latest)
            }
        };
        self.counts.duplicates += u64::from(taken.is_some());
        Ok(taken.map(|sequence| Outcome::Duplicate(Sequence(sequence))))
    }

    /// Whether what was taken under this identity is known to have been something else: counted, but for samples.
    fn is_another(&mut self, identity: Identity, digest: Option<u32>) -> bool {
        let same = digest.and_then(|digest| self.digests.is_same(&self.disk, identity, digest));
        if same != Some(false) || identity.origin.is_of_samples() {
            return same == Some(false);
        }
        // Whoever sends it may be set right or not: what came under the number before is not this.
        log::error!("event=identity_reused identity={identity}");
        self.counts.reused += 1;
        self.reused = Some(identity);
        true
    }

    /// The tail of a tablet that would be the next entry: its identity as plan node id, and no children. A tablet in
    /// a file ends with it, too, so that its identity goes on with it.
    pub fn tail(&self, source: Source) -> [u8; TAIL_BYTES] {
        tail(self.identity_for(source))
    }

    fn identity_for(&self, source: Source) -> Identity {
        match source {
            Source::Peer(identity) => identity,
            Source::Own | Source::Stock { .. } => {
                Identity { origin: self.origin, sequence: Sequence(self.log.next) }
            }
        }
    }

    /// Writes an entry for which there is room.
    pub(super) fn put(
        &mut self,
        draft: Draft,
        payload: [&[u8]; 2],
        arrival: Arrival,
    ) -> Result<Sequence, AppendError> {
        let bytes: usize = payload.iter().map(|part| part.len()).sum();
        let payload_crc = crc_of(payload);
        let is_file = draft.kind == Kind::File;
        let header = EntryHeader {
            segment: 0,
            sequence: Sequence(self.log.next),
            synced: Sequence(self.log.synced),
            arrival,
            kind: draft.kind,
            source: draft.source,
            hops: draft.hops,
            precision: draft.precision,
            time_range: draft.time_range,
            device: draft.device,
            identity: self.identity_for(draft.source),
            void_entries: 0,
            file_count: draft.file_count,
            payload_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            content_crc: if is_file { draft.content_crc } else { Some(payload_crc) },
            payload_crc,
        };
        if let Err(error) = self.log.write(header, payload) {
            if is_full(&error) {
                self.room.refused();
                return Err(self.full(entry_bytes(bytes as u64)).into());
            }
            let path = self.log.open.as_ref().map(|open| open.path.clone()).unwrap_or_default();
            return Err(self.fail(Fatal::at("append to", &path)(error)).into());
        }
        self.dedup.note(&header);
        if self.digests.is_full() {
            self.digests.flush(&self.disk);
        }
        self.digests.note(&header);
        self.clock.wall_ms = arrival.wall_ms;
        self.counts.entries += 1;
        self.counts.bytes += bytes as u64;
        Ok(header.sequence)
    }

    /// Makes sure that the open segment has room for an entry with a payload of so many bytes.
    pub(super) fn make_room_in_log(&mut self, payload_bytes: usize) -> Result<(), AppendError> {
        if self.log.fits(entry_bytes(payload_bytes as u64)) {
            return Ok(());
        }
        self.end_segment()?;
        let capacity = self.settings.segment_bytes;
        self.make_room(capacity, 0)?;
        let uptime_ms = self.state.uptime_ms;
        let begun = self.log.begin(&self.disk, self.origin, capacity, uptime_ms, self.clock.now);
        if let Err(fatal) = begun {
            if is_full(&fatal.source) {
                self.room.refused();
                return Err(self.full(capacity).into());
            }
            return Err(self.fail(fatal).into());
        }
        let first = self.log.next;
        let segment = Segment { first, bytes: capacity, file_bytes: 0, files: 0 };
        {
            let mut index = self.shared.index();
            // One that ended without an entry had this name: it was begun anew.
            if index.segments.back().is_some_and(|last| last.first == first) {
                index.segments.pop_back();
            }
            index.segments.push_back(segment);
        }
        self.room.spent(capacity);
        Ok(())
    }

    /// Closes the open segment, if there is one, and keeps what de-duplication knows.
    pub(super) fn end_segment(&mut self) -> Result<(), Fatal> {
        if self.log.open.is_none() {
            return Ok(());
        }
        let ended = self.log.end().map_err(|fatal| self.fail(fatal))?;
        if let Some(last) = self.shared.index().segments.back_mut() {
            last.bytes = ended;
        }
        self.shared.publish(self.log.synced);
        self.room.changed();
        self.digests.flush(&self.disk);
        let (origin, dedup) = (self.origin, &self.dedup);
        let latest = |known| if known == origin { Some(u64::MAX) } else { dedup.latest(known) };
        Digests::prune(&self.disk, latest);
        self.store_snapshot()
    }

    /// Writes a snapshot. Without room the old one stays, the next start reads more, and what it would read stays.
    ///
    /// What was appended is made durable first: an entry that a snapshot names and a crash takes would be a repetition
    /// for whoever sends it again, and lost.
    pub(super) fn store_snapshot(&mut self) -> Result<(), Fatal> {
        self.sync()?;
        match self.snapshots.store(&self.disk, &self.dedup, self.log.synced) {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => {
                self.room.refused();
                Ok(())
            }
            Err(error) => Err(self.fail(Fatal::at("write", Path::new("spool/snapshot"))(error))),
        }
    }

    /// Whether a snapshot has all below this sequence, so that the segments there are not needed to tell repetitions
    /// after a start; writes one if not. False if there is no room for it.
    pub(super) fn is_known_below(&mut self, end: u64) -> Result<bool, Fatal> {
        if self.snapshots.through() < end {
            self.store_snapshot()?;
        }
        Ok(self.snapshots.through() >= end)
    }

    /// Bytes of the largest payload: what an entry may have, and what a segment holds.
    pub(super) fn payload_bytes_max(&self) -> usize {
        let segment =
            self.settings.segment_bytes - SEGMENT_HEADER_BYTES - ENTRY_HEADER_BYTES as u64;
        usize::try_from(segment).unwrap_or(usize::MAX).min(ENTRY_BYTES_MAX)
    }

    /// A later frame came on this link: the peer has seen the answer to the request before.
    pub fn confirm(&mut self, link: LinkId) {
        self.dedup.confirm(link);
    }

    /// This link is gone; its last request stays unconfirmed.
    pub fn forget(&mut self, link: LinkId) {
        self.dedup.forget(link, self.clock.now);
    }

    /// A reader that starts at `position`.
    pub fn reader(&self, position: Sequence) -> Reader<D> {
        Reader::new(self.disk.clone(), Arc::clone(&self.shared), position.0.max(1))
    }

    /// Bytes of segments, files and partials.
    pub(super) fn used_bytes(&self) -> u64 {
        let (log, files) = self.shared.index().bytes();
        log + files + self.partials.bytes + self.made
    }

    /// Why there is no room, after the system said so.
    pub(super) fn full(&self, needed: u64) -> Full {
        let measure = self.room.last(self.used_bytes());
        Full { needed, available: 0, limit: measure.limit }
    }

    /// Fails once something fatal has happened, or in state `failing`.
    pub(super) fn check_writable(&self) -> Result<(), PartialError> {
        self.check_whole()?;
        if self.failing { Err(PartialError::ReadOnly) } else { Ok(()) }
    }

    pub(super) fn check_whole(&self) -> Result<(), Fatal> {
        if self.broken {
            let stopped = std::io::Error::other("the disk failed before");
            return Err(Fatal::at("go on with", Path::new("spool"))(stopped));
        }
        Ok(())
    }

    /// Nothing goes on after this.
    pub(super) fn fail(&mut self, fatal: Fatal) -> Fatal {
        self.broken = true;
        fatal
    }

    /// The node's identity.
    pub const fn origin(&self) -> OriginId {
        self.origin
    }

    /// How often the spool was opened, for [`LinkId::new`].
    pub const fn boot(&self) -> u32 {
        self.state.boot
    }

    /// The sequence below which everything is durable.
    pub const fn synced(&self) -> Sequence {
        Sequence(self.log.synced)
    }

    /// The sequence that the next entry gets.
    pub const fn next_sequence(&self) -> Sequence {
        Sequence(self.log.next)
    }

    /// Numbers for the status page.
    pub fn stats(&self) -> Stats {
        let (first, segments, (segment_bytes, file_bytes)) = {
            let index = self.shared.index();
            (index.first(self.log.next), index.segments.len(), index.bytes())
        };
        let used = segment_bytes + file_bytes + self.partials.bytes;
        Stats {
            origin: self.origin,
            first_sequence: Sequence(first),
            released_below: Sequence(self.released.max(first)),
            synced_below: Sequence(self.log.synced),
            next_sequence: Sequence(self.log.next),
            segment_bytes,
            segments,
            file_bytes,
            retained_bytes: self.retained_bytes(),
            partial_bytes: self.partials.bytes + self.made,
            partials: self.partials.len(),
            max_bytes: self.room.last(used).limit,
            full: self.room.full,
            failing: self.failing,
            quarantine_things: self.quarantine.things,
            quarantine_bytes: self.quarantine.bytes,
            consumers: self.consumers.len(),
            appended_entries: self.counts.entries,
            appended_bytes: self.counts.bytes,
            duplicates: self.counts.duplicates,
            reused_entries: self.counts.reused,
            reused: self.reused,
            syncs: self.counts.syncs,
            dropped_entries: self.state.dropped_entries,
            dropped_bytes: self.state.dropped_bytes,
            retained_given_up: self.counts.given_up,
            corrupt_entries: self.state.corrupt_entries,
            resynchronised: self.state.resynchronised,
            forgotten_ranges: self.dedup.forgotten,
            boot: self.state.boot,
            uptime: Duration::from_millis(self.state.uptime_ms),
        }
    }
}

/// Bytes of the tail of a tablet: the plan node id, and no children.
const TAIL_BYTES: usize = 4 + crate::data::identity::PLAN_NODE_ID_BYTES + 4;

fn crc_of(payload: [&[u8]; 2]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for part in payload {
        crc.update(part);
    }
    crc.finalize()
}

/// `i32 56, plan node id, i32 0`, big-endian as everything on the wire.
fn tail(identity: Identity) -> [u8; TAIL_BYTES] {
    let mut tail = [0; TAIL_BYTES];
    let text = identity.plan_node_id();
    let length = u32::try_from(text.as_bytes().len()).unwrap_or_default();
    crate::spool::fields::Put::new(&mut tail).bytes(&length.to_be_bytes()).bytes(text.as_bytes());
    tail
}

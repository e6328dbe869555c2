//! The spool's one owner.

use std::path::Path;
use std::time::Instant;

use crate::data::{OriginId, Precision, Sequence, TimeRange};
use crate::limits::CURSOR_RANGES_MAX;
use crate::spool::{
    AppendError, Arrival, Disk, Fatal, FileReader, LinkId, Misuse, NewEntry, PartialError, Reader,
    RequestKey, Settings, Source, SpoolError, Stats,
};

/// The spool. One thread owns it; [`Spool::reader`] gives others their view.
#[derive(Debug)]
pub struct Spool<D: Disk> {
    disk: D,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The spool was made just now.
    pub created: bool,
    /// The last run did not close it.
    pub crashed: bool,
    /// Bytes at the log's end that a crash had left unfinished, and that were cut.
    pub cut_bytes: u64,
    /// Entries that are gone although they had been durable; their bytes are in quarantine.
    pub corrupt_entries: u64,
    /// Partials and files without an entry that were removed.
    pub leftovers: u32,
    /// Consumers whose cursor could not be read and that start over at the oldest entry.
    pub cursors_lost: u32,
    /// The disk failed so often that the spool is read-only; the latest error.
    pub failing: Option<String>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has this sequence.
    Appended(Sequence),
    /// It had been taken before. It is durable when everything up to and with this sequence is.
    Duplicate(Sequence),
}

/// A file that is still arriving, or a spilled request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialId(pub(crate) u64);

/// A file of an entry that is sealed.
#[derive(Debug, Clone, Copy)]
pub struct SealedFile<'a> {
    /// Its name at the source; `None`: an optional file that is absent.
    pub name: Option<&'a str>,
    /// Where its bytes are; `None` only if it is absent.
    pub partial: Option<PartialId>,
    /// Its length, which is checked.
    pub bytes: u64,
    /// Its hash (blake3), which is kept.
    pub hash: [u8; 32],
}

/// A file entry to be appended.
#[derive(Debug, Clone, Copy)]
pub struct NewFileEntry<'a> {
    /// Where it comes from.
    pub source: Source,
    /// Penstock nodes that it has passed before this one.
    pub hops: u8,
    /// Unit of its times, if known.
    pub precision: Option<Precision>,
    /// Times that it covers, if known.
    pub time_range: Option<TimeRange>,
    /// Type of the seal, see [`FileList::request_type`](super::FileList::request_type).
    pub request_type: u16,
    /// Its files in the order of the seal.
    pub files: &'a [SealedFile<'a>],
    /// Parameters of the seal.
    pub parameters: &'a [(&'a str, Option<&'a str>)],
}

/// A consumer of this run of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerId(pub(crate) u32);

/// Where a new consumer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest entry that is there.
    Oldest,
    /// At the next entry that comes.
    Next,
    /// At this sequence.
    At(Sequence),
}

/// How far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Everything below is finished.
    pub position: Sequence,
    /// Finished ranges beyond the position, both ends included, ascending, with gaps between them.
    pub finished: heapless::Vec<(Sequence, Sequence), CURSOR_RANGES_MAX>,
}

#[expect(
    clippy::unimplemented,
    clippy::needless_pass_by_value,
    unused_variables,
    reason = "signatures land first"
)]
impl<D: Disk> Spool<D> {
    /// Opens the spool, or makes it; recovers what a crash left.
    ///
    /// # Errors
    /// If the disk fails, a setting cannot work, or the format is of a later version.
    pub fn open(
        disk: D,
        settings: Settings,
        now: Instant,
        wall_ms: i64,
    ) -> Result<(Self, Recovery), SpoolError> {
        unimplemented!()
    }

    /// Appends an entry with one vectored write. It is durable after the next [`Spool::sync`].
    ///
    /// # Errors
    /// [`AppendError::Full`]: nothing was taken, try again later. After [`AppendError::Fatal`] every call fails.
    pub fn append(
        &mut self,
        entry: NewEntry<'_>,
        arrival: Arrival,
    ) -> Result<Outcome, AppendError> {
        unimplemented!()
    }

    /// Makes all that was appended durable, and shows it to readers. Returns the sequence below which everything is
    /// durable.
    ///
    /// # Errors
    /// The disk failed; never call again.
    pub fn sync(&mut self) -> Result<Sequence, Fatal> {
        unimplemented!()
    }

    /// Parts of an unconfirmed request that are taken already: a repetition may begin with this part.
    pub fn parts_taken(&self, request: RequestKey) -> u32 {
        unimplemented!()
    }

    /// A later frame came on this link: the peer has seen the answer to the request before.
    pub fn confirm(&mut self, link: LinkId) {
        unimplemented!()
    }

    /// This link is gone; its last request stays unconfirmed.
    pub fn forget(&mut self, link: LinkId) {
        unimplemented!()
    }

    /// Makes an empty partial.
    ///
    /// # Errors
    /// [`Misuse::TooMany`], or the disk's.
    pub fn create_partial(&mut self) -> Result<PartialId, PartialError> {
        unimplemented!()
    }

    /// Writes into a partial, at its end or over what is there. Flushes by itself every 8 MiB.
    ///
    /// # Errors
    /// [`PartialError::Full`]: nothing counts as written. [`Misuse::Gap`].
    pub fn write_partial(
        &mut self,
        id: PartialId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), PartialError> {
        unimplemented!()
    }

    /// Cuts a partial back to `bytes`.
    ///
    /// # Errors
    /// [`Misuse::Gap`] if it is shorter.
    pub fn truncate_partial(&mut self, id: PartialId, bytes: u64) -> Result<(), PartialError> {
        unimplemented!()
    }

    /// Makes what was written to a partial durable, so that sealing it takes no long sync.
    ///
    /// # Errors
    /// The disk's.
    pub fn flush_partial(&mut self, id: PartialId) -> Result<(), PartialError> {
        unimplemented!()
    }

    /// Removes a partial.
    ///
    /// # Errors
    /// The disk's.
    pub fn discard_partial(&mut self, id: PartialId) -> Result<(), PartialError> {
        unimplemented!()
    }

    /// Bytes of a partial.
    pub fn partial_bytes(&self, id: PartialId) -> Option<u64> {
        unimplemented!()
    }

    /// Positioned reads of a partial as long as it is now, for any thread.
    ///
    /// # Errors
    /// [`Misuse::UnknownPartial`], or the disk's.
    pub fn partial_reader(&self, id: PartialId) -> Result<FileReader<D::File>, PartialError> {
        unimplemented!()
    }

    /// Takes a file over by renaming it into the store, where it is a partial that survives a restart
    /// ([`Spool::adopted`]) until it is sealed, discarded or quarantined. The name has at most
    /// [`FILE_NAME_BYTES_MAX`](crate::limits::FILE_NAME_BYTES_MAX) bytes.
    ///
    /// # Errors
    /// [`PartialError::OtherFileSystem`]: copy it into a partial instead.
    pub fn adopt(&mut self, path: &Path) -> Result<PartialId, PartialError> {
        unimplemented!()
    }

    /// Adopted files that are not sealed yet: id, original name, bytes. After a start these are what the run before
    /// had not finished.
    pub fn adopted(&self) -> impl Iterator<Item = (PartialId, &str, u64)> {
        std::iter::empty()
    }

    /// Whether a file of this length could be taken now.
    ///
    /// # Errors
    /// [`Full`](super::Full) with the bytes needed and available; hopeless if `needed` exceeds `limit`.
    pub fn room_for(&self, bytes: u64) -> Result<(), super::Full> {
        unimplemented!()
    }

    /// Makes the partials durable, moves them into the store and appends their entry; the entry is durable after the
    /// next [`Spool::sync`]. On `Appended` and `Duplicate` the partials are gone; on errors they stay.
    ///
    /// # Errors
    /// As [`Spool::append`], and [`Misuse`] for partials that are not as the entry says.
    pub fn seal(
        &mut self,
        entry: NewFileEntry<'_>,
        arrival: Arrival,
    ) -> Result<Outcome, AppendError> {
        unimplemented!()
    }

    /// Makes a consumer durable, or finds the one of that name (which keeps its place).
    ///
    /// # Errors
    /// [`Misuse::Name`], [`Misuse::TooMany`], or the disk's.
    pub fn create_consumer(
        &mut self,
        name: &str,
        start: Start,
    ) -> Result<ConsumerId, PartialError> {
        unimplemented!()
    }

    /// Drops a consumer. With the last one gone nothing is released any more.
    ///
    /// # Errors
    /// [`Misuse::UnknownConsumer`], or the disk's.
    pub fn drop_consumer(&mut self, id: ConsumerId) -> Result<(), PartialError> {
        unimplemented!()
    }

    /// All consumers: id, name, cursor.
    pub fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &str, &Cursor)> {
        std::iter::empty()
    }

    /// A consumer's cursor, as last advanced.
    pub fn cursor(&self, id: ConsumerId) -> Option<&Cursor> {
        unimplemented!()
    }

    /// Notes how far a consumer has come. Durable with the next [`Spool::maintain`] that finds 100 ms gone.
    ///
    /// # Errors
    /// [`Misuse::UnknownConsumer`]; [`Misuse::Position`] if it goes back, or beyond what is synced.
    pub fn advance(&mut self, id: ConsumerId, cursor: &Cursor) -> Result<(), Misuse> {
        unimplemented!()
    }

    /// Entries and bytes (payloads of tablets, whole files) at or beyond a position; exact in entries, by segment in
    /// bytes.
    pub fn remaining(&self, position: Sequence) -> (u64, u64) {
        unimplemented!()
    }

    /// Releases everything that was closed, where no consumer holds it: `spool release`.
    ///
    /// # Errors
    /// The disk's.
    pub fn release_unclaimed(&mut self) -> Result<(), Fatal> {
        unimplemented!()
    }

    /// Puts a request into quarantine, durable on return.
    ///
    /// # Errors
    /// [`PartialError::Full`] if the quarantine is full.
    pub fn quarantine_bytes(&mut self, bytes: &[&[u8]], why: &str) -> Result<(), PartialError> {
        unimplemented!()
    }

    /// Moves a partial into quarantine, durable on return; the partial is gone.
    ///
    /// # Errors
    /// [`PartialError::Full`] if the quarantine is full: the partial stays.
    pub fn quarantine_partial(&mut self, id: PartialId, why: &str) -> Result<(), PartialError> {
        unimplemented!()
    }

    /// Does what is due: cursors, closing by age, release, retention, flaws that readers met. Returns when to call
    /// again at the latest.
    ///
    /// # Errors
    /// The disk failed.
    pub fn maintain(&mut self, now: Instant) -> Result<Instant, Fatal> {
        unimplemented!()
    }

    /// Ends in order: everything synced, cursors durable.
    ///
    /// # Errors
    /// The disk failed.
    pub fn close(self, now: Instant) -> Result<(), Fatal> {
        unimplemented!()
    }

    /// Notes a fatal exit (best effort; the disk is failing). Three within ten minutes for the same error open the
    /// spool in state `failing`.
    pub fn record_fatal(disk: &D, fatal: &Fatal, wall_ms: i64) {
        unimplemented!()
    }

    /// Gives a stopped node a new identity: `new-id`.
    ///
    /// # Errors
    /// The disk failed.
    pub fn new_id(disk: &D) -> Result<OriginId, SpoolError> {
        unimplemented!()
    }

    /// A reader that starts at `position`.
    pub fn reader(&self, position: Sequence) -> Reader<D> {
        unimplemented!()
    }

    /// The node's identity.
    pub fn origin(&self) -> OriginId {
        unimplemented!()
    }

    /// How often the spool was opened, for [`LinkId::new`].
    pub fn boot(&self) -> u32 {
        unimplemented!()
    }

    /// The sequence below which everything is durable.
    pub fn synced(&self) -> Sequence {
        unimplemented!()
    }

    /// The sequence that the next entry gets.
    pub fn next_sequence(&self) -> Sequence {
        unimplemented!()
    }

    /// Numbers for the status page.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
}

//! The stage: what lies between the gate thread and the spool thread.
//!
//! ```text
//!   gate thread                                                     spool thread
//!   push --> | filling batch | --- swapped when the other is done --> | batch | --> spool
//!                                                                               append, write
//!   outcomes <----------------- after the sync that covers them ----------------
//! ```
//!
//! A request that is one part and large goes over in the buffer that it was collected in, and the buffer
//! comes back as soon as the part is written.
//!
//! Two batches of fixed size. While the spool thread writes and syncs one, the gate thread fills the
//! other, so that one sync covers all that arrived during the last one. A batch is bytes and records
//! that point into them; nothing is allocated after the start. When the filling batch is full the gate
//! thread waits: that is how a full spool or a slow disk becomes back-pressure.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::data::{Identity, TimeRange};
use crate::limits;
use crate::link::receiver::{FileKey, Job, Outcome, Provenance};
use crate::spool::{Kind, LinkId};

/// One part of a request, ready to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartHeader {
    /// Whose data it is.
    pub from: Provenance,
    /// Tablet or opaque.
    pub kind: Kind,
    /// Hash of the whole request.
    pub hash: u128,
    /// Number of the part, from 0.
    pub part: u32,
    /// Whether it is the last.
    pub last: bool,
    /// Who took it in first, if it says so.
    pub identity: Option<Identity>,
    /// Times in it, if known.
    pub time_range: Option<TimeRange>,
}

/// What the gate thread wants done. Records of one link are carried out in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Append this part; the record's bytes are its payload.
    Part(PartHeader),
    /// Cut a file back, see [`Store::cut`](crate::link::receiver::Store::cut).
    Cut {
        /// Which.
        file: FileKey,
        /// To so many bytes.
        length: u64,
    },
    /// Append the record's bytes to a file.
    Write {
        /// Which.
        file: FileKey,
    },
    /// Remove a file.
    Discard {
        /// Which.
        file: FileKey,
    },
    /// Something with an outcome.
    Job(Job),
    /// The link is over: its files go.
    Close(LinkId),
}

impl Record {
    /// The connection that it belongs to.
    pub const fn link(&self) -> LinkId {
        match self {
            Self::Part(part) => part.from.link,
            Self::Cut { file, .. } | Self::Write { file } | Self::Discard { file } => file.link,
            Self::Job(job) => job.link(),
            Self::Close(link) => *link,
        }
    }

    /// Whether its link waits for what comes of it.
    pub(super) const fn is_awaited(&self) -> bool {
        match self {
            Self::Job(_) => true,
            Self::Part(part) => part.last,
            Self::Cut { .. } | Self::Write { .. } | Self::Discard { .. } | Self::Close(_) => false,
        }
    }
}

/// What the spool thread reports to the gate thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The link that it is about.
    pub link: LinkId,
    /// What came of its job; `None`: it is closed, nothing of it is left.
    pub outcome: Option<Outcome>,
}

/// Records and their bytes, in order.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<Placed>,
}

/// A record and where its bytes are: up to `end` of the batch's, or in a buffer of their own.
#[derive(Debug)]
struct Placed {
    record: Record,
    end: usize,
    buffer: Option<Vec<u8>>,
}

impl Batch {
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(limits::STAGE_BYTES),
            records: Vec::with_capacity(limits::STAGE_RECORDS),
        }
    }

    /// The record at `index`, with its bytes.
    pub fn record(&self, index: usize) -> Option<(&Record, &[u8])> {
        let Placed { record, end, buffer } = self.records.get(index)?;
        if let Some(buffer) = buffer {
            return Some((record, buffer));
        }
        let start = match index.checked_sub(1) {
            Some(before) => self.records.get(before)?.end,
            None => 0,
        };
        Some((record, self.bytes.get(start..*end).unwrap_or_default()))
    }

    /// The buffer of the record at `index`, if it came in one of its own; its bytes are not needed any
    /// more.
    pub fn take_buffer(&mut self, index: usize) -> Option<Vec<u8>> {
        self.records.get_mut(index)?.buffer.take()
    }

    /// Number of records.
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes that are held, used or not; not the buffers that passed through.
    pub(super) const fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.records.capacity() * size_of::<Placed>()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    fn room(&self) -> usize {
        if self.records.len() + RECORDS_SPARE > limits::STAGE_RECORDS {
            return 0;
        }
        limits::STAGE_BYTES - self.bytes.len()
    }

    fn push(&mut self, record: Record, bytes: &[u8], buffer: Option<Vec<u8>>) {
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        match (&record, self.records.last_mut()) {
            (
                Record::Write { file },
                Some(Placed { record: Record::Write { file: last }, end: last_end, .. }),
            ) if file == last => *last_end = end,
            _ => self.records.push(Placed { record, end, buffer }),
        }
    }
}

/// Records that are always left for calls that cannot wait: a frame needs at most six of them.
const RECORDS_SPARE: usize = 8;

/// The stage; both threads have it.
#[derive(Debug)]
pub struct Stage {
    shared: Mutex<Shared>,
    /// The spool thread sleeps here.
    work: Condvar,
    /// Wakes the gate thread from its poll.
    gate: OnceLock<Arc<mio::Waker>>,
}

#[derive(Debug)]
struct Shared {
    filling: Batch,
    reports: Vec<Report>,
    /// Buffers that come back to the gate thread.
    returned: Vec<Vec<u8>>,
    /// Links that are over although their close is still behind other records.
    given_up: Vec<LinkId>,
    /// The gate thread waits for room.
    starved: bool,
    /// Something other than a batch waits for the spool thread.
    called: bool,
}

impl Stage {
    /// An empty stage for a table of `connections`.
    pub fn new(connections: usize) -> Self {
        let shared = Shared {
            filling: Batch::new(),
            reports: Vec::with_capacity(connections.saturating_mul(REPORTS_PER_LINK)),
            returned: Vec::with_capacity(limits::REQUEST_BUFFERS),
            given_up: Vec::with_capacity(connections),
            starved: false,
            called: false,
        };
        Self { shared: Mutex::new(shared), work: Condvar::new(), gate: OnceLock::new() }
    }

    /// Bytes that are held, used or not.
    pub(super) fn memory_bytes(&self) -> usize {
        let shared = self.lock();
        shared.filling.memory_bytes()
            + shared.reports.capacity() * size_of::<Report>()
            + shared.given_up.capacity() * size_of::<LinkId>()
    }

    // Of the gate thread.

    /// How the spool thread wakes the gate thread. The first call counts.
    pub fn set_waker(&self, waker: Arc<mio::Waker>) {
        self.gate.get_or_init(|| waker);
    }

    /// Bytes that may be pushed now; only the gate thread makes them fewer.
    pub fn room(&self) -> usize {
        self.lock().filling.room()
    }

    /// Puts a record into the filling batch, if there is room for its bytes.
    pub fn push(&self, record: Record, bytes: &[u8]) -> bool {
        let mut shared = self.lock();
        if bytes.len() > shared.filling.room() {
            return false;
        }
        shared.filling.push(record, bytes, None);
        true
    }

    /// Puts a record with a buffer of its own into the filling batch; the caller has seen that there is
    /// room. The buffer comes back with [`Stage::take_returned`].
    pub fn push_buffer(&self, record: Record, buffer: Vec<u8>) {
        self.lock().filling.push(record, &[], Some(buffer));
    }

    /// A buffer that has come back.
    pub fn take_returned(&self) -> Option<Vec<u8>> {
        self.lock().returned.pop()
    }

    /// Whether [`Stage::take_returned`] would have one.
    pub fn has_returned(&self) -> bool {
        !self.lock().returned.is_empty()
    }

    /// The gate thread found no room, and wants to be woken when there is some. `false`: there is
    /// room already.
    pub fn starve(&self, bytes: usize) -> bool {
        let mut shared = self.lock();
        shared.starved = shared.filling.room() < bytes;
        shared.starved
    }

    /// Says at once that a link is over, so that nothing waits for its sake. Its
    /// [`Record::Close`] still has to be pushed.
    pub fn give_up(&self, link: LinkId) {
        let mut shared = self.lock();
        if !shared.given_up.contains(&link) && shared.given_up.len() < shared.given_up.capacity() {
            shared.given_up.push(link);
        }
    }

    /// Lets the spool thread look at what was pushed.
    pub fn submit(&self) {
        self.work.notify_one();
    }

    /// Moves all reports to `into`.
    pub fn take_reports(&self, into: &mut Vec<Report>) {
        into.append(&mut self.lock().reports);
    }

    // Of the spool thread.

    /// Exchanges the filling batch for `done`, which is emptied. Wakes the gate thread if it waited
    /// for room.
    pub fn take(&self, done: &mut Batch) {
        done.clear();
        let mut shared = self.lock();
        std::mem::swap(&mut shared.filling, done);
        let starved = std::mem::take(&mut shared.starved);
        drop(shared);
        if starved {
            self.wake_gate();
        }
    }

    /// Gives the gate thread a buffer back, for which it may wait.
    pub fn give_back(&self, buffer: Vec<u8>) {
        self.lock().returned.push(buffer);
        self.wake_gate();
    }

    /// An empty batch to begin with.
    pub fn batch(&self) -> Batch {
        Batch::new()
    }

    /// Whether a link was given up; what it still has on the stage need not be done.
    pub fn is_given_up(&self, link: LinkId) -> bool {
        self.lock().given_up.contains(&link)
    }

    /// The close of a link was carried out.
    pub fn closed(&self, link: LinkId) {
        self.lock().given_up.retain(|other| *other != link);
    }

    /// Hands reports to the gate thread and empties `reports`.
    pub fn report(&self, reports: &mut Vec<Report>) {
        if reports.is_empty() {
            return;
        }
        self.lock().reports.append(reports);
        self.wake_gate();
    }

    /// Sleeps until there is a batch or a call, at most for `time`.
    pub fn wait(&self, time: Duration) {
        let shared = self.lock();
        let idle = |shared: &mut Shared| shared.filling.is_empty() && !shared.called;
        let waited = self.work.wait_timeout_while(shared, time, idle);
        let (mut shared, _) = waited.unwrap_or_else(PoisonError::into_inner);
        shared.called = false;
    }

    /// The same while batches cannot be taken, because the spool is full.
    pub fn wait_for_call(&self, time: Duration) {
        let shared = self.lock();
        let waited = self.work.wait_timeout_while(shared, time, |shared| !shared.called);
        let (mut shared, _) = waited.unwrap_or_else(PoisonError::into_inner);
        shared.called = false;
    }

    // Of any other thread.

    /// Something other than a batch waits for the spool thread.
    pub fn call(&self) {
        self.lock().called = true;
        self.work.notify_one();
    }

    fn wake_gate(&self) {
        if let Some(gate) = self.gate.get()
            && let Err(error) = gate.wake()
        {
            log::error!("event=wake_failed thread=gate error={error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nobody panics while holding it, and each change is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A link has one outcome at a time, one close, and may get the message that a file never fits.
const REPORTS_PER_LINK: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(7);

    fn file(number: u32) -> FileKey {
        FileKey { link: LINK, number }
    }

    #[test]
    fn what_is_pushed_comes_out_in_order_and_writes_grow_together() {
        let stage = Stage::new(4);
        let mut batch = stage.batch();
        assert!(stage.push(Record::Cut { file: file(1), length: 0 }, &[]));
        assert!(stage.push(Record::Write { file: file(1) }, &[1, 2]));
        assert!(stage.push(Record::Write { file: file(1) }, &[3]));
        assert!(stage.push(Record::Write { file: file(2) }, &[4]));
        stage.take(&mut batch);
        let records: Vec<_> = (0..).map_while(|index| batch.record(index)).collect();
        let expected = [
            (&Record::Cut { file: file(1), length: 0 }, &[][..]),
            (&Record::Write { file: file(1) }, &[1, 2, 3]),
            (&Record::Write { file: file(2) }, &[4]),
        ];
        assert_eq!(records, expected);
        stage.take(&mut batch);
        assert!(batch.is_empty());
    }

    #[test]
    fn a_full_stage_takes_nothing_until_the_batches_are_exchanged() {
        let stage = Stage::new(4);
        let mut batch = stage.batch();
        let bytes = vec![0; limits::STAGE_BYTES];
        assert!(stage.push(Record::Write { file: file(1) }, &bytes));
        assert_eq!(stage.room(), 0);
        assert!(!stage.push(Record::Write { file: file(1) }, &[1]));
        assert!(stage.starve(1));
        stage.take(&mut batch);
        assert_eq!(stage.room(), limits::STAGE_BYTES);
        assert!(!stage.starve(1));
        let pointers = (batch.bytes.as_ptr(), batch.bytes.capacity());
        stage.take(&mut batch);
        stage.take(&mut batch);
        assert_eq!(
            (batch.bytes.as_ptr(), batch.bytes.capacity()),
            pointers,
            "nothing is allocated"
        );
    }

    #[test]
    fn a_buffer_of_its_own_goes_over_and_comes_back() {
        let stage = Stage::new(4);
        let mut batch = stage.batch();
        let buffer = vec![7; limits::STAGE_BYTES + 1];
        let pointer = buffer.as_ptr();
        assert!(stage.push(Record::Write { file: file(1) }, &[1]));
        stage.push_buffer(Record::Close(LINK), buffer);
        assert!(stage.push(Record::Write { file: file(1) }, &[2]));
        stage.take(&mut batch);
        assert_eq!(batch.record(0), Some((&Record::Write { file: file(1) }, &[1][..])));
        assert_eq!(batch.record(1).map(|(_, bytes)| bytes.as_ptr()), Some(pointer));
        assert_eq!(batch.record(2), Some((&Record::Write { file: file(1) }, &[2][..])));
        assert_eq!(batch.take_buffer(0), None);
        assert!(!stage.has_returned());
        stage.give_back(batch.take_buffer(1).unwrap());
        assert!(stage.has_returned());
        assert_eq!(stage.take_returned().map(|buffer| buffer.as_ptr()), Some(pointer));
        assert_eq!(stage.take_returned(), None);
    }

    #[test]
    fn many_small_records_fill_a_stage_too() {
        let stage = Stage::new(4);
        let pushed = (0..).take_while(|number| {
            stage.room() > 0 && { stage.push(Record::Discard { file: file(*number) }, &[]) }
        });
        assert_eq!(pushed.count(), limits::STAGE_RECORDS - RECORDS_SPARE + 1);
        for number in (0..).take(RECORDS_SPARE - 1) {
            assert!(stage.push(Record::Discard { file: file(number) }, &[]));
        }
    }

    #[test]
    fn reports_and_given_up_links_are_kept_until_they_are_taken() {
        let stage = Stage::new(4);
        stage.give_up(LINK);
        assert!(stage.is_given_up(LINK));
        stage.closed(LINK);
        assert!(!stage.is_given_up(LINK));
        let mut reports = vec![Report { link: LINK, outcome: Some(Outcome::Stored) }];
        stage.report(&mut reports);
        assert!(reports.is_empty());
        let mut taken = Vec::new();
        stage.take_reports(&mut taken);
        assert_eq!(taken, [Report { link: LINK, outcome: Some(Outcome::Stored) }]);
    }
}

//! The store of the gate thread's receivers: everything goes on the stage, in order.
//!
//! ```text
//!  payload in memory --> splitter --> part --> stage --> spool thread
//!  bytes of a piece -----------------------------^
//! ```
//!
//! It also owns the buffers that requests are collected in: all are made at the start and lent.

use std::sync::Arc;

use tokio::sync::watch;

use crate::data::Precision;
use crate::keep::stage::{PartHeader, Record, Stage};
use crate::limits;
use crate::link::receiver::{FileKey, Job, Provenance, ROOM_MIN, Store, Submission};
use crate::spool::Kind;
use crate::wire::bytes::Reader;
use crate::wire::request::{Head, RequestType};
use crate::wire::split::{Content, Part, Scratch, Splitter};
use crate::wire::trailer;

/// The store of all receivers of a gate.
#[derive(Debug)]
pub struct GateStore {
    stage: Arc<Stage>,
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    precision: watch::Sender<Option<Precision>>,
    scratch: Scratch,
    part: Vec<u8>,
    /// Something was put on the stage.
    pushed: bool,
}

impl GateStore {
    /// A store over this stage. `precision` holds the node's unit of time, as soon as it has one.
    pub fn new(stage: Arc<Stage>, precision: watch::Sender<Option<Precision>>) -> Self {
        let buffers = |count, bytes| (0..count).map(|_| Vec::with_capacity(bytes)).collect();
        Self {
            stage,
            small: buffers(limits::SMALL_REQUEST_BUFFERS, limits::SMALL_REQUEST_BYTES_MAX),
            large: buffers(limits::REQUEST_BUFFERS, limits::REQUEST_MEMORY_BYTES_MAX),
            precision,
            scratch: Scratch::new(),
            part: Vec::with_capacity(limits::ENTRY_BYTES_TARGET),
            pushed: false,
        }
    }

    /// Bytes that are held, used or not; not the buffers that are lent.
    pub fn memory_bytes(&self) -> usize {
        let buffers = self.small.iter().chain(&self.large).chain([&self.part]);
        self.scratch.memory_bytes() + buffers.map(Vec::capacity).sum::<usize>()
    }

    /// Whether something was put on the stage since the last call.
    pub(super) fn take_pushed(&mut self) -> bool {
        std::mem::take(&mut self.pushed)
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// A large buffer, if one is free or has come back.
    fn large(&mut self) -> Option<Vec<u8>> {
        let mut buffer = self.large.pop().or_else(|| self.stage.take_returned())?;
        buffer.clear();
        Some(buffer)
    }

    fn push(&mut self, record: Record, bytes: &[u8]) -> bool {
        let pushed = self.stage.push(record, bytes);
        self.pushed |= pushed;
        pushed
    }

    /// For calls that the receiver makes only where there is room.
    fn push_for_sure(&mut self, record: Record, bytes: &[u8]) {
        let pushed = self.push(record, bytes);
        debug_assert!(pushed, "a receiver goes on only where there is room");
    }

    fn push_job(&mut self, record: Record, bytes: &[u8]) -> Submission {
        if self.stage.room() >= ROOM_MIN && self.push(record, bytes) {
            Submission::Taken
        } else {
            Submission::NoRoom
        }
    }

    /// Hands a whole payload over as one part: its first `bytes`, in its own buffer if that is large.
    fn push_whole(
        &mut self,
        header: PartHeader,
        payload: &mut Vec<u8>,
        bytes: usize,
    ) -> Submission {
        if bytes <= limits::SMALL_REQUEST_BYTES_MAX {
            return self.push_job(Record::Part(header), payload.get(..bytes).unwrap_or_default());
        }
        if self.stage.room() < ROOM_MIN {
            return Submission::NoRoom;
        }
        let mut buffer = std::mem::take(payload);
        buffer.truncate(bytes);
        self.stage.push_buffer(Record::Part(header), buffer);
        self.pushed = true;
        Submission::Taken
    }

    fn plan(&mut self, from: Provenance, payload: &mut Vec<u8>, hash: u128) -> Submission {
        let (request, identity) = trailer::split(payload);
        let bytes = request.len();
        if bytes > limits::ENTRY_BYTES_MAX {
            return Submission::NeedsFile;
        }
        let plan = PartHeader {
            from,
            kind: Kind::Opaque,
            hash,
            part: 0,
            last: true,
            identity,
            time_range: None,
        };
        self.push_whole(plan, payload, bytes)
    }

    fn rows(
        &mut self,
        from: Provenance,
        payload: &mut Vec<u8>,
        hash: u128,
        next_part: &mut u32,
        memory: Memory<'_>,
    ) -> Submission {
        let Memory { scratch, part: bytes } = memory;
        let header = |part: &Part, kind| PartHeader {
            from,
            kind,
            hash,
            part: part.number,
            last: part.is_last,
            identity: part.identity,
            time_range: Some(part.time_range),
        };
        let source: &[u8] = payload;
        // In memory nothing but a malformed request can go wrong.
        let Ok(mut splitter) = Splitter::new(&source, scratch) else {
            return Submission::Undecodable;
        };
        if let Some((count, part)) = splitter.as_is() {
            return self.push_whole(header(&part, Kind::Tablet), payload, count);
        }
        if *next_part > 0 && splitter.skip_to(*next_part, bytes).is_err() {
            return Submission::Undecodable;
        }
        let mut submission = Submission::Nothing;
        loop {
            let part = match splitter.next(bytes) {
                Ok(Some(part)) => part,
                Ok(None) => return submission,
                Err(_) => return Submission::Undecodable,
            };
            let kind = match part.content {
                Content::Tablet => Kind::Tablet,
                Content::Opaque => Kind::Opaque,
                Content::Large { .. } => return Submission::NeedsFile,
            };
            if bytes.len() > limits::STAGE_BYTES {
                // A single row that is so long.
                return Submission::NeedsFile;
            }
            if self.push_job(Record::Part(header(&part, kind)), bytes) == Submission::NoRoom {
                return Submission::NoRoom;
            }
            *next_part = part.number + 1;
            submission = Submission::Taken;
        }
    }
}

/// What conversions use.
struct Memory<'a> {
    scratch: &'a mut Scratch,
    part: &'a mut Vec<u8>,
}

impl Store for GateStore {
    fn room(&self) -> usize {
        self.stage.room()
    }

    fn can_lend(&self, bytes: usize) -> bool {
        let small = bytes <= limits::SMALL_REQUEST_BYTES_MAX && !self.small.is_empty();
        let large = bytes <= limits::REQUEST_MEMORY_BYTES_MAX;
        small || (large && (!self.large.is_empty() || self.stage.has_returned()))
    }

    fn lend(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let small = bytes <= limits::SMALL_REQUEST_BYTES_MAX;
        let fits = bytes <= limits::REQUEST_MEMORY_BYTES_MAX;
        let buffer = if small { self.small.pop() } else { None };
        buffer.or_else(|| if fits { self.large() } else { None })
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 {
            // Its memory is on the stage, and comes back from there.
            return;
        }
        buffer.clear();
        if buffer.capacity() < limits::REQUEST_MEMORY_BYTES_MAX {
            self.small.push(buffer);
        } else {
            self.large.push(buffer);
        }
    }

    fn precision(&self) -> Option<Precision> {
        *self.precision.borrow()
    }

    fn keep_precision(&mut self, offered: Precision) {
        if self.precision.borrow().is_some() {
            return;
        }
        self.precision.send_if_modified(|precision| {
            let is_new = precision.is_none();
            precision.get_or_insert(offered);
            is_new
        });
    }

    fn cut(&mut self, file: FileKey, length: u64) {
        self.push_for_sure(Record::Cut { file, length }, &[]);
    }

    fn write(&mut self, file: FileKey, bytes: &[u8]) {
        self.push_for_sure(Record::Write { file }, bytes);
    }

    fn discard(&mut self, file: FileKey) {
        self.push_for_sure(Record::Discard { file }, &[]);
    }

    fn submit_request(
        &mut self,
        from: Provenance,
        payload: &mut Vec<u8>,
        hash: u128,
        next_part: &mut u32,
    ) -> Submission {
        let request_type = Head::read(&mut Reader::new(payload)).and_then(Head::known);
        if !request_type.is_ok_and(RequestType::is_rows) {
            return self.plan(from, payload, hash);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut part = std::mem::take(&mut self.part);
        let memory = Memory { scratch: &mut scratch, part: &mut part };
        let submission = self.rows(from, payload, hash, next_part, memory);
        // A row that is longer than the others may have made it larger.
        part.clear();
        part.shrink_to(limits::ENTRY_BYTES_TARGET);
        (self.scratch, self.part) = (scratch, part);
        submission
    }

    fn submit(&mut self, job: Job, bytes: &[u8]) -> Submission {
        self.push_job(Record::Job(job), bytes)
    }
}

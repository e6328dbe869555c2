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

use crate::data::{Precision, ReadAt};
use crate::keep::stage::{PartHeader, Record, Stage};
use crate::limits;
use crate::link::receiver::{FileKey, Job, Provenance, ROOM_MIN, Store, Submission};
use crate::spool::Kind;
use crate::wire::bytes::Reader;
use crate::wire::request::{Head, RequestType};
use crate::wire::split::{Content, Scratch, Splitter};

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

    /// Whether something was put on the stage since the last call.
    pub(super) fn take_pushed(&mut self) -> bool {
        std::mem::take(&mut self.pushed)
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
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

    fn request(
        &mut self,
        from: Provenance,
        payload: &[u8],
        hash: u128,
        next_part: &mut u32,
    ) -> Submission {
        let request_type = Head::read(&mut Reader::new(payload)).and_then(Head::known);
        if request_type.is_ok_and(RequestType::is_rows) {
            let mut scratch = std::mem::take(&mut self.scratch);
            let mut part = std::mem::take(&mut self.part);
            let submission = self.rows(
                from,
                &payload,
                hash,
                next_part,
                Memory { scratch: &mut scratch, part: &mut part },
            );
            (self.scratch, self.part) = (scratch, part);
            return submission;
        }
        if payload.len() > limits::ENTRY_BYTES_MAX {
            return Submission::NeedsFile;
        }
        let plan = PartHeader {
            from,
            kind: Kind::Opaque,
            hash,
            part: 0,
            last: true,
            identity: None,
            time_range: None,
        };
        self.push_job(Record::Part(plan), payload)
    }

    fn rows(
        &mut self,
        from: Provenance,
        payload: &dyn ReadAt,
        hash: u128,
        next_part: &mut u32,
        memory: Memory<'_>,
    ) -> Submission {
        let Memory { scratch, part: bytes } = memory;
        // In memory nothing but a malformed request can go wrong.
        let Ok(mut splitter) = Splitter::new(payload, scratch) else {
            return Submission::Undecodable;
        };
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
            let header = PartHeader {
                from,
                kind,
                hash,
                part: part.number,
                last: part.is_last,
                identity: part.identity,
                time_range: Some(part.time_range),
            };
            if self.push_job(Record::Part(header), bytes) == Submission::NoRoom {
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
        small || (bytes <= limits::REQUEST_MEMORY_BYTES_MAX && !self.large.is_empty())
    }

    fn lend(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let small = bytes <= limits::SMALL_REQUEST_BYTES_MAX;
        let fits = bytes <= limits::REQUEST_MEMORY_BYTES_MAX;
        let buffer = if small { self.small.pop() } else { None };
        buffer.or_else(|| if fits { self.large.pop() } else { None })
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() < limits::REQUEST_MEMORY_BYTES_MAX {
            self.small.push(buffer);
        } else {
            self.large.push(buffer);
        }
    }

    fn precision(&mut self, offered: Precision) -> Precision {
        let mut adopted = offered;
        self.precision.send_if_modified(|precision| {
            let is_new = precision.is_none();
            adopted = *precision.get_or_insert(offered);
            is_new
        });
        adopted
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

    fn submit(&mut self, job: Job<'_>) -> Submission {
        let (record, bytes) = match job {
            Job::Request { from, payload, hash, next_part } => {
                return self.request(from, payload, hash, next_part);
            }
            Job::Seal { from, payload, files } => {
                let files = files.iter().map(|file| file.file).collect();
                (Record::Seal { from, files }, payload)
            }
            Job::RequestFile { from, file, next_part } => {
                (Record::RequestFile { from, file, next_part }, &[][..])
            }
            Job::Quarantine { file, case } => (Record::Quarantine { file, case }, &[][..]),
            Job::Inflate { file, into } => (Record::Inflate { file, into }, &[][..]),
            Job::Show { file } => (Record::Show { file }, &[][..]),
            Job::Move { file, offset, bytes, into } => {
                (Record::Move { file, offset, bytes, into }, &[][..])
            }
        };
        self.push_job(record, bytes)
    }
}

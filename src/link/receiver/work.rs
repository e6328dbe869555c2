//! A whole frame: what is handed to the store, and what comes of it.
//!
//! ```text
//!               room            room                  outcome
//!  Feed --------------> then    Waiting ----> Submitted -----> Answer, or the next thing
//!  (memory to a file)           (a task)          |     <---+
//!                                                 +-- quarantine full --> Again, after a second
//! ```

use std::time::Instant;

use super::slices::Slice;
use super::{
    Body, Case, Event, FileKey, Job, Memory, Outcome, Provenance, ROOM_MIN, Receiver,
    SPILL_TAIL_BYTES, Spill, State, Store, Submission,
};
use crate::limits;
use crate::wire::bytes::Reader;
use crate::wire::request::{Head, RequestType};
use crate::wire::seal::Seal;

/// What a whole frame waits for.
#[derive(Debug)]
pub(super) enum Work {
    /// Bytes in memory go to a file, as room permits.
    Feed(Feed),
    /// A task waits for room.
    Waiting(Task),
    /// The store has it and will say what came of it.
    Submitted(Pending),
    /// The quarantine was full; this file is offered again at this time.
    Again { at: Instant, file: FileKey, case: Case },
}

/// Bytes `next..end` of a payload in memory that go to the end of a file.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) memory: Memory,
    pub(super) next: usize,
    pub(super) end: usize,
    pub(super) into: FileKey,
    pub(super) then: Then,
}

/// What follows when bytes have got to their file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    /// They were a piece.
    Piece { bytes: u64 },
    /// They were a slice.
    Slice(Slice),
    /// They go to quarantine.
    Quarantine(Case),
    /// They are compressed.
    Inflate,
    /// They are a request of which some parts are taken.
    Request { request_type: RequestType, next_part: u32 },
}

/// What is handed to the store as soon as it has room.
#[derive(Debug)]
pub(super) enum Task {
    Request { memory: Memory, request_type: RequestType, hash: u128, next_part: u32 },
    RequestFile { file: FileKey, request_type: RequestType, next_part: u32 },
    Seal { memory: Memory, request_type: RequestType },
    Quarantine { file: FileKey, case: Case },
    Inflate { file: FileKey, into: FileKey },
    Show { file: FileKey },
    Move { file: FileKey, offset: u64, bytes: u64, into: FileKey, then: Then },
}

/// Files of a seal, in its order; `None`: an optional one that is absent.
type SealedFiles = heapless::Vec<Option<FileKey>, { limits::SEAL_FILES_MAX }>;

impl Task {
    /// Whether what comes of it is an entry.
    const fn makes_entry(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::RequestFile { .. } | Self::Seal { .. })
    }
}

/// What the store has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pending {
    /// Something that will be durable.
    Store(RequestType),
    /// The same in a file, which may turn out to make no sense.
    StoreFile(RequestType, FileKey),
    /// The same for a seal, whose files may turn out to be flawed; one of them.
    Seal(RequestType, Option<FileKey>),
    Quarantine(FileKey, Case),
    /// A request is being unwrapped from this file.
    Unwrap(FileKey),
    Move(FileKey, Then),
}

impl Work {
    pub(super) const fn waits_for_room(&self) -> bool {
        matches!(self, Self::Feed(_) | Self::Waiting(_))
    }

    pub(super) const fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Again { at, .. } => Some(*at),
            Self::Feed(_) | Self::Waiting(_) | Self::Submitted(_) => None,
        }
    }

    pub(super) fn into_memory(self) -> Option<Memory> {
        match self {
            Self::Feed(Feed { memory, .. })
            | Self::Waiting(Task::Request { memory, .. } | Task::Seal { memory, .. }) => {
                Some(memory)
            }
            Self::Waiting(_) | Self::Submitted(_) | Self::Again { .. } => None,
        }
    }
}

impl Receiver {
    /// What came of the job that was submitted last.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a table; what it does not name cannot be")]
    pub fn handle_stored(&mut self, now: Instant, outcome: &Outcome, store: &mut impl Store) {
        match outcome {
            Outcome::NeverFits { .. } => return self.reset(Case::NeverFits, store),
            Outcome::ReadOnly => return self.reset(Case::ReadOnly, store),
            Outcome::NoPlace => return self.reset(Case::TooManyFiles, store),
            _ => {}
        }
        // Whoever was reset in the meantime no longer cares.
        let State::Work(Work::Submitted(pending)) = self.state else { return };
        match (pending, outcome) {
            (Pending::Move(into, then), Outcome::Stored) => self.follow(now, then, into, store),
            (
                Pending::Store(request_type)
                | Pending::StoreFile(request_type, _)
                | Pending::Seal(request_type, _),
                Outcome::Stored,
            ) => {
                let payload_bytes = self.frame.payload_bytes;
                self.accept(Event::Stored { request_type, payload_bytes });
            }
            (_, Outcome::Cloned) => self.decline(now, Case::Cloned, None, store),
            (_, Outcome::Quarantined(case)) => self.accept(Event::Quarantined(*case)),
            (Pending::Quarantine(file, case), Outcome::QuarantineFull) => {
                self.quarantine_again(now, file, case);
            }
            (Pending::Seal(_, Some(file)), Outcome::QuarantineFull) => {
                self.quarantine_again(now, file, Case::FlawedFile);
            }
            (Pending::StoreFile(_, file) | Pending::Unwrap(file), Outcome::Undecodable) => {
                self.attempt(now, Task::Quarantine { file, case: Case::Undecodable }, store);
            }
            (Pending::Unwrap(_), Outcome::Unwrapped { file, bytes, head }) => {
                self.head.clear();
                let shown = usize::try_from(*bytes).unwrap_or(usize::MAX);
                self.head.extend_from_slice(head.get(..shown).unwrap_or(head));
                let spill = Spill { file: *file, tail: [0; SPILL_TAIL_BYTES] };
                self.dispatch_file(now, spill, *bytes, store);
            }
            // An outcome that the job cannot have: only a bug, and the peer will repeat the frame.
            _ => self.reset(Case::OutOfPlace, store),
        }
    }

    fn quarantine_again(&mut self, now: Instant, file: FileKey, case: Case) {
        let at = now + limits::QUARANTINE_RETRY;
        self.state = State::Work(Work::Again { at, file, case });
    }

    /// Goes on with whatever waited for room or for its time.
    pub(super) fn resume(&mut self, now: Instant, store: &mut impl Store) {
        if let State::Lend { until } = self.state {
            return self.lend(now, until, store);
        }
        if !matches!(self.state, State::Work(_)) {
            return;
        }
        let State::Work(work) = std::mem::replace(&mut self.state, State::Idle) else { return };
        match work {
            Work::Feed(feed) => self.feed(now, feed, store),
            Work::Waiting(task) => self.attempt(now, task, store),
            Work::Again { at, file, case } if at <= now => {
                self.attempt(now, Task::Quarantine { file, case }, store);
            }
            other @ (Work::Submitted(_) | Work::Again { .. }) => self.state = State::Work(other),
        }
    }

    /// Copies as much as there is room for.
    pub(super) fn feed(&mut self, now: Instant, mut feed: Feed, store: &mut impl Store) {
        self.hold(now);
        let room = store.room().saturating_sub(ROOM_MIN);
        let rest = feed.memory.bytes.get(feed.next..feed.end).unwrap_or_default();
        let part = rest.get(..room).unwrap_or(rest);
        if !part.is_empty() {
            store.write(feed.into, part);
        }
        if part.len() < rest.len() {
            feed.next += part.len();
            self.state = State::Work(Work::Feed(feed));
            return;
        }
        let Feed { memory, into, then, .. } = feed;
        self.release(memory, store);
        self.follow(now, then, into, store);
    }

    fn follow(&mut self, now: Instant, then: Then, file: FileKey, store: &mut impl Store) {
        match then {
            Then::Piece { bytes } => self.take_piece(file, bytes),
            Then::Quarantine(case) => self.attempt(now, Task::Quarantine { file, case }, store),
            Then::Request { request_type, next_part } => {
                self.attempt(now, Task::RequestFile { file, request_type, next_part }, store);
            }
            Then::Inflate => self.inflate(now, file, store),
            Then::Slice(slice) => self.take_slice(now, &slice, store),
        }
    }

    fn take_slice(&mut self, now: Instant, slice: &Slice, store: &mut impl Store) {
        let Some(slices) = self.slices.as_mut() else {
            return self.reset(Case::OutOfPlace, store);
        };
        let file = slices.file;
        match slices.take(slice) {
            Ok(false) => self.accept(Event::Taken { payload_bytes: self.frame.payload_bytes }),
            Ok(true) => {
                self.slices = None;
                self.attempt(now, Task::Show { file }, store);
            }
            Err(case) => self.reset(case, store),
        }
    }

    /// Hands a task over, or keeps it until there is room.
    pub(super) fn attempt(&mut self, now: Instant, mut task: Task, store: &mut impl Store) {
        self.hold(now);
        // Without a peer nothing gets here.
        let Some(from) = self.peer.as_ref().map(|peer| peer.provenance(self.link)) else {
            return self.reset(Case::NoHandshake, store);
        };
        if task.makes_entry() && store.precision().is_some_and(|ours| ours != from.precision) {
            // Another peer's entry has fixed it since the handshake; the next one will say so.
            if let Some(memory) = Work::Waiting(task).into_memory() {
                self.release(memory, store);
            }
            return self.reset(Case::NoHandshake, store);
        }
        match self.submit(&mut task, from, store) {
            Submission::NoRoom => self.state = State::Work(Work::Waiting(task)),
            Submission::Taken => {
                if task.makes_entry() {
                    store.keep_precision(from.precision);
                }
                self.submitted(task, store);
            }
            Submission::Nothing => {
                self.finish(task, store);
                self.accept(Event::Taken { payload_bytes: self.frame.payload_bytes });
            }
            Submission::Undecodable => match Work::Waiting(task).into_memory() {
                Some(memory) => {
                    self.decline(now, Case::Undecodable, Some(Body::Memory(memory)), store);
                }
                None => self.reset(Case::Undecodable, store),
            },
            Submission::NeedsFile => self.request_over_disk(now, task, store),
        }
    }

    /// A request in memory with a part that is too large for an entry goes the way of large requests.
    fn request_over_disk(&mut self, now: Instant, task: Task, store: &mut impl Store) {
        let Task::Request { memory, request_type, next_part, .. } = task else {
            return self.reset(Case::OutOfPlace, store);
        };
        let (next, end) = (0, memory.bytes.len());
        let into = self.new_file();
        let then = Then::Request { request_type, next_part };
        self.feed(now, Feed { memory, next, end, into, then }, store);
    }

    fn submit(&self, task: &mut Task, from: Provenance, store: &mut impl Store) -> Submission {
        let job = match *task {
            Task::Request { ref mut memory, hash, ref mut next_part, .. } => {
                return store.submit_request(from, &mut memory.bytes, hash, next_part);
            }
            Task::Seal { ref memory, request_type } => {
                return self.submit_seal(&memory.bytes, request_type, from, store);
            }
            Task::RequestFile { file, next_part, .. } => Job::RequestFile { from, file, next_part },
            Task::Quarantine { file, case } => {
                return store.submit(Job::Quarantine { file, case }, self.whose().as_bytes());
            }
            Task::Inflate { file, into } => Job::Inflate { file, into },
            Task::Show { file } => Job::Show { file },
            Task::Move { file, offset, bytes, into, .. } => Job::Move { file, offset, bytes, into },
        };
        store.submit(job, &[])
    }

    /// Whose request it is, a fact a line, for people.
    fn whose(&self) -> String {
        let cluster = self.peer.as_ref().map_or("", |peer| peer.cluster_id());
        format!("peer {}\ncluster {cluster:?}\n", self.label)
    }

    fn submit_seal(
        &self,
        payload: &[u8],
        request_type: RequestType,
        from: Provenance,
        store: &mut impl Store,
    ) -> Submission {
        match self.sealed_files(payload, request_type) {
            Some(files) => store.submit(Job::Seal { from, files }, payload),
            None => Submission::Undecodable,
        }
    }

    /// The files that a seal names, in its order.
    fn sealed_files(&self, payload: &[u8], request_type: RequestType) -> Option<SealedFiles> {
        let body = payload.get(Head::BYTES..).unwrap_or_default();
        let seal = Seal::read(request_type, &mut Reader::at(body, Head::BYTES)).ok()?;
        let key = |name: Option<&str>, bytes| self.files.complete(name?, bytes);
        Some(seal.files.iter().map(|sealed| key(sealed.name, sealed.bytes)).collect())
    }

    fn submitted(&mut self, task: Task, store: &mut impl Store) {
        let pending = match &task {
            Task::Request { request_type, .. } => Pending::Store(*request_type),
            Task::Seal { memory, request_type } => {
                let files = self.sealed_files(&memory.bytes, *request_type);
                let file = files.and_then(|files| files.iter().flatten().next().copied());
                Pending::Seal(*request_type, file)
            }
            Task::RequestFile { file, request_type, .. } => {
                Pending::StoreFile(*request_type, *file)
            }
            Task::Quarantine { file, case } => Pending::Quarantine(*file, *case),
            Task::Inflate { file, .. } | Task::Show { file } => Pending::Unwrap(*file),
            Task::Move { into, then, .. } => Pending::Move(*into, *then),
        };
        self.finish(task, store);
        self.state = State::Work(Work::Submitted(pending));
    }

    /// The store has all of the task.
    fn finish(&mut self, task: Task, store: &mut impl Store) {
        if let Task::Seal { memory, request_type } = &task {
            self.forget_files(&memory.bytes, *request_type, store);
        }
        if let Some(memory) = Work::Waiting(task).into_memory() {
            self.release(memory, store);
        }
    }

    /// A seal ends all transfers of the connection: files that it does not name are dropped.
    fn forget_files(&mut self, payload: &[u8], request_type: RequestType, store: &mut impl Store) {
        let sealed = self.sealed_files(payload, request_type).unwrap_or_default();
        self.files
            .drain()
            .filter(|file| !sealed.contains(&Some(*file)))
            .for_each(|file| store.discard(file));
    }
}

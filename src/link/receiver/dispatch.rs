//! A whole payload: what it is, and what becomes of it.

use std::time::Instant;

use super::arrive::may_greet;
use super::slices::{self, Slice, Slices};
use super::verdict::{HandshakeFlaw, Verdict};
use super::work::{Feed, Task, Then};
use super::{
    Body, Case, Event, FileKey, HANDSHAKE_FRAME_BYTES_MAX, Memory, PlanKind, PlanPolicy, Receiver,
    Spill, State, Store, peer, request_hash,
};
use crate::limits;
use crate::wire::answer::Answer;
use crate::wire::bytes::Reader;
use crate::wire::compressed::Compressed;
use crate::wire::handshake::Handshake;
use crate::wire::piece::{PieceHead, check_file_name};
use crate::wire::request::{Head, RequestType, VERSION};
use crate::wire::seal::Seal;

impl Receiver {
    pub(super) fn dispatch_memory(&mut self, now: Instant, memory: Memory, store: &mut impl Store) {
        let request_type = match self.open(&memory.bytes, store) {
            Ok(request_type) => request_type,
            Err(case) => return self.decline(now, case, Some(Body::Memory(memory)), store),
        };
        if request_type.is_handshake() {
            self.greet(now, request_type, memory, store);
        } else if request_type.is_piece() {
            self.wrapped_piece(now, Body::Memory(memory), store);
        } else if request_type.is_seal() {
            self.seal(now, request_type, memory, store);
        } else if request_type == RequestType::Compressed {
            self.inflate_memory(now, memory, store);
        } else if request_type == RequestType::Slice {
            self.slice(now, Body::Memory(memory), store);
        } else {
            self.request(now, request_type, Body::Memory(memory), store);
        }
    }

    /// The same for a payload in a file, whose first bytes are in `head`. One that is all head comes
    /// back into memory: a small request that came in slices. Handshakes and seals are never larger.
    pub(super) fn dispatch_file(
        &mut self,
        now: Instant,
        spill: Spill,
        bytes: u64,
        store: &mut impl Store,
    ) {
        if usize::try_from(bytes) == Ok(self.head.len()) {
            store.discard(spill.file);
            let memory = Memory { bytes: std::mem::take(&mut self.head), lent: false };
            return self.dispatch_memory(now, memory, store);
        }
        let body = Body::File { spill, bytes };
        let head = std::mem::take(&mut self.head);
        let opened = self.open(&head, store);
        self.head = head;
        let request_type = match opened {
            Ok(request_type) => request_type,
            Err(case) => return self.decline(now, case, Some(body), store),
        };
        if request_type.is_piece() {
            self.wrapped_piece(now, body, store);
        } else if request_type == RequestType::Compressed {
            self.inflate_file(now, body, spill.file, store);
        } else if request_type == RequestType::Slice {
            self.slice(now, body, store);
        } else if request_type.is_handshake() || request_type.is_seal() {
            self.decline(now, Case::Undecodable, Some(body), store);
        } else {
            self.request(now, request_type, body, store);
        }
    }

    /// Judges version and type of a payload, wrapped or not.
    fn open(&mut self, payload: &[u8], store: &mut impl Store) -> Result<RequestType, Case> {
        let head = Head::read(&mut Reader::new(payload)).map_err(|_| Case::Undecodable)?;
        let request_type = RequestType::from_code(head.code);
        if self.peer.is_none() && !request_type.is_some_and(may_greet) {
            return Err(Case::NoHandshake);
        }
        if head.version != VERSION {
            return Err(Case::UnknownVersion);
        }
        let request_type = request_type.ok_or(Case::UnknownType)?;
        if request_type != RequestType::Slice {
            self.drop_slices(store);
        } else if self.frame.depth > 0 {
            // A wrapper is a request of another type: the slices would end at the next frame.
            return Err(Case::OutOfPlace);
        }
        Ok(request_type)
    }

    /// Does what the table says about a frame that is not taken.
    pub(super) fn decline(
        &mut self,
        now: Instant,
        case: Case,
        body: Option<Body>,
        store: &mut impl Store,
    ) {
        let mut verdict = case.verdict();
        if verdict == Verdict::AcceptAfterQuarantine && !self.quarantines {
            verdict = Verdict::RefuseNow;
        }
        match (verdict, body) {
            (Verdict::AcceptAfterQuarantine, Some(body)) if self.peer.is_some() => {
                self.quarantine(now, case, body, store);
            }
            (verdict, body) => {
                match body {
                    Some(Body::Memory(memory)) => self.release(memory, store),
                    Some(Body::File { spill, .. }) => store.discard(spill.file),
                    None => {}
                }
                match verdict {
                    Verdict::RefuseAfter(delay) => {
                        self.state = State::Refusing { case, until: now + delay };
                    }
                    Verdict::RefuseNow => {
                        self.note(Event::Refused(case));
                        self.state = State::Answer(Answer::Refused);
                    }
                    Verdict::Reset | Verdict::AcceptAfterQuarantine | Verdict::Hold => {
                        self.reset(case, store);
                    }
                }
            }
        }
    }

    fn quarantine(&mut self, now: Instant, case: Case, body: Body, store: &mut impl Store) {
        match body {
            Body::Memory(memory) => {
                let end = memory.bytes.len();
                let into = self.new_file();
                let then = Then::Quarantine(case);
                self.feed(now, Feed { memory, next: 0, end, into, then }, store);
            }
            Body::File { spill, .. } => {
                self.attempt(now, Task::Quarantine { file: spill.file, case }, store);
            }
        }
    }

    fn greet(
        &mut self,
        now: Instant,
        request_type: RequestType,
        memory: Memory,
        store: &mut impl Store,
    ) {
        // A handshake begins a new session, whatever comes of it.
        self.files.drain().for_each(|file| store.discard(file));
        self.peer = None;
        self.decoder.set_max_payload(HANDSHAKE_FRAME_BYTES_MAX);
        let body = memory.bytes.get(Head::BYTES..).unwrap_or_default();
        let judged = Handshake::read(request_type, &mut Reader::at(body, Head::BYTES))
            .map_err(|_| HandshakeFlaw::Undecodable)
            .and_then(|handshake| peer::judge(&self.policy, &handshake, self.refused, store));
        match judged {
            Ok(peer) => {
                self.release(memory, store);
                self.peer = Some(peer);
                self.refused = false;
                self.decoder.set_max_payload(self.policy.named_bytes_max());
                self.accept(Event::Greeted);
            }
            Err(flaw) => {
                self.refused |= !request_type.is_handshake_v1();
                self.decline(now, Case::Handshake(flaw), Some(Body::Memory(memory)), store);
            }
        }
    }

    /// Rows and plans.
    fn request(
        &mut self,
        now: Instant,
        request_type: RequestType,
        body: Body,
        store: &mut impl Store,
    ) {
        let payload = match &body {
            Body::Memory(memory) => &memory.bytes,
            Body::File { .. } => &self.head,
        };
        if let Some(kind) = PlanKind::of_request(request_type, payload)
            && !self.passes(kind)
        {
            return self.drop_body(body, store);
        }
        match body {
            Body::Memory(memory) => {
                let hash = request_hash(&memory.bytes);
                let task = Task::Request { memory, request_type, hash, next_part: 0 };
                self.attempt(now, task, store);
            }
            Body::File { spill, .. } => {
                let task = Task::RequestFile { file: spill.file, request_type, next_part: 0 };
                self.attempt(now, task, store);
            }
        }
    }

    /// Whether a plan of this kind is stored; if not, the answer is on its way.
    fn passes(&mut self, kind: PlanKind) -> bool {
        match self.policy.plans.policy(kind) {
            PlanPolicy::Pass => true,
            PlanPolicy::Ignore => {
                self.accept(Event::Ignored(kind));
                false
            }
        }
    }

    fn drop_body(&mut self, body: Body, store: &mut impl Store) {
        match body {
            Body::Memory(memory) => self.release(memory, store),
            Body::File { spill, .. } => store.discard(spill.file),
        }
    }

    fn seal(
        &mut self,
        now: Instant,
        request_type: RequestType,
        memory: Memory,
        store: &mut impl Store,
    ) {
        let body = memory.bytes.get(Head::BYTES..).unwrap_or_default();
        let checked = Seal::read(request_type, &mut Reader::at(body, Head::BYTES))
            .map_err(|_| Case::Undecodable)
            .and_then(|seal| self.check_seal(&seal).map(|()| PlanKind::of_seal(&seal)));
        let body = Body::Memory(memory);
        match checked {
            Err(case) => self.decline(now, case, Some(body), store),
            Ok(Some(kind)) if !self.passes(kind) => {
                self.files.drain().for_each(|file| store.discard(file));
                self.drop_body(body, store);
            }
            Ok(_) => {
                if let Body::Memory(memory) = body {
                    self.attempt(now, Task::Seal { memory, request_type }, store);
                }
            }
        }
    }

    /// Every file has to be there, once, and as long as the seal says.
    fn check_seal(&self, seal: &Seal<'_>) -> Result<(), Case> {
        let named = || seal.files.iter().filter_map(|file| Some((file.name?, file.bytes)));
        if named().next().is_none() {
            return Err(Case::Undecodable);
        }
        for (index, (name, bytes)) in named().enumerate() {
            // The pieces of such a file went to quarantine, and so does its seal.
            check_file_name(name).map_err(|_| Case::FileName)?;
            let again = named().take(index).any(|(other, _)| other == name);
            if again || self.files.complete(name, bytes).is_none() {
                return Err(Case::OutOfPlace);
            }
        }
        Ok(())
    }

    /// A piece that was wrapped, or one whose head was no good when it came.
    fn wrapped_piece(&mut self, now: Instant, body: Body, store: &mut impl Store) {
        match body {
            Body::Memory(memory) => {
                let end = memory.bytes.len();
                match self.place_wrapped(&memory.bytes, end as u64, store) {
                    Ok((into, next, bytes)) => {
                        let then = Then::Piece { bytes };
                        self.feed(now, Feed { memory, next, end, into, then }, store);
                    }
                    Err(case) => self.decline(now, case, Some(Body::Memory(memory)), store),
                }
            }
            Body::File { spill, bytes } => {
                let head = std::mem::take(&mut self.head);
                let placed = self.place_wrapped(&head, bytes, store);
                self.head = head;
                match placed {
                    Ok((into, offset, bytes)) => {
                        let (file, offset) = (spill.file, offset as u64);
                        let then = Then::Piece { bytes };
                        self.attempt(now, Task::Move { file, offset, bytes, into, then }, store);
                    }
                    Err(case) => self.decline(now, case, Some(body), store),
                }
            }
        }
    }

    /// File, bytes before the piece, and bytes of the piece.
    fn place_wrapped(
        &mut self,
        payload: &[u8],
        payload_bytes: u64,
        store: &mut impl Store,
    ) -> Result<(FileKey, usize, u64), Case> {
        let head = PieceHead::parse(payload).ok().flatten().ok_or(Case::Undecodable)?;
        check_file_name(head.name).map_err(|_| Case::FileName)?;
        let payload_bytes = u32::try_from(payload_bytes).map_err(|_| Case::Lengths)?;
        head.check_payload_bytes(payload_bytes).map_err(|_| Case::Lengths)?;
        let file = self.place(&head, store)?;
        Ok((file, head.head_bytes, u64::from(head.piece_bytes)))
    }

    fn inflate_memory(&mut self, now: Instant, memory: Memory, store: &mut impl Store) {
        match self.undo(&memory.bytes, store) {
            Err(case) => self.decline(now, case, Some(Body::Memory(memory)), store),
            Ok(Some(inner)) => {
                self.release(memory, store);
                self.dispatch_memory(now, inner, store);
            }
            Ok(None) if self.peer.is_none() => {
                self.decline(now, Case::TooLong, Some(Body::Memory(memory)), store);
            }
            Ok(None) => {
                let end = memory.bytes.len();
                let into = self.new_file();
                let then = Then::Inflate;
                self.feed(now, Feed { memory, next: 0, end, into, then }, store);
            }
        }
    }

    /// Undoes the compression in memory; `None` if it is too large for that, or no buffer is free.
    fn undo(&mut self, payload: &[u8], store: &mut impl Store) -> Result<Option<Memory>, Case> {
        let compressed = self.compressed(payload)?;
        let plain = if compressed.steps.is_empty() { compressed.bytes } else { &[] };
        let needed = compressed.buffer_bytes().max(plain.len());
        let steps = compressed.steps.len();
        let buffers = if self.peer.is_some() { borrow(needed, steps, store) } else { None };
        let Some((mut out, mut scratch, lent)) = buffers.or_else(|| make(needed, steps)) else {
            return Ok(None);
        };
        // The steps may swap the two: both are lent, or none is.
        let undone = compressed.undo(&mut out, &mut scratch, needed).is_ok();
        out.extend_from_slice(plain);
        let out = Memory { bytes: out, lent };
        if steps > 1 {
            give_back(Memory { bytes: scratch, lent }, store);
        }
        if undone {
            return Ok(Some(out));
        }
        give_back(out, store);
        Err(Case::Undecodable)
    }

    /// Reads a type 300, and counts it as a wrapper.
    fn compressed<'a>(&mut self, payload: &'a [u8]) -> Result<Compressed<'a>, Case> {
        self.frame.depth += 1;
        if self.frame.depth > limits::WRAPPERS_MAX {
            return Err(Case::TooManyWrappers);
        }
        let body = payload.get(Head::BYTES..).unwrap_or_default();
        let compressed =
            Compressed::read(&mut Reader::at(body, Head::BYTES)).map_err(|_| Case::Undecodable)?;
        let max = match self.peer {
            Some(_) => usize::try_from(self.policy.named_bytes_max()).unwrap_or(usize::MAX),
            None => limits::HANDSHAKE_BYTES_MAX,
        };
        if compressed.buffer_bytes() > max { Err(Case::TooLong) } else { Ok(compressed) }
    }

    fn inflate_file(&mut self, now: Instant, body: Body, file: FileKey, store: &mut impl Store) {
        let head = std::mem::take(&mut self.head);
        let checked = self.compressed(&head).map(|_| ());
        self.head = head;
        match checked {
            Ok(()) => self.inflate(now, file, store),
            Err(case) => self.decline(now, case, Some(body), store),
        }
    }

    pub(super) fn inflate(&mut self, now: Instant, file: FileKey, store: &mut impl Store) {
        let into = self.new_file();
        self.attempt(now, Task::Inflate { file, into }, store);
    }

    fn slice(&mut self, now: Instant, body: Body, store: &mut impl Store) {
        let (head, tail, bytes) = match &body {
            Body::Memory(Memory { bytes, .. }) => (bytes, bytes.as_slice(), bytes.len() as u64),
            Body::File { spill, bytes } => (&self.head, spill.tail.as_slice(), *bytes),
        };
        let tail = tail.get(tail.len().saturating_sub(slices::TAIL_BYTES)..).unwrap_or_default();
        let slice = match Slice::read(head, tail, bytes).and_then(|slice| {
            self.expect(&slice, store)?;
            Ok(slice)
        }) {
            Ok(slice) => slice,
            Err(case) => {
                self.drop_slices(store);
                return self.decline(now, case, Some(body), store);
            }
        };
        let Some(into) = self.slices.as_ref().map(|slices| slices.file) else { return };
        let then = Then::Slice(slice);
        match body {
            Body::Memory(memory) => {
                let next = slices::HEAD_BYTES;
                let end = memory.bytes.len() - slices::TAIL_BYTES;
                self.feed(now, Feed { memory, next, end, into, then }, store);
            }
            Body::File { spill, .. } => {
                let (file, offset) = (spill.file, slices::HEAD_BYTES as u64);
                let task = Task::Move { file, offset, bytes: slice.bytes, into, then };
                self.attempt(now, task, store);
            }
        }
    }

    /// Whether this slice is the next one, of this request or of a new one.
    fn expect(&mut self, slice: &Slice, store: &mut impl Store) -> Result<(), Case> {
        if self.slices.is_none() {
            let file = self.new_file();
            let slices = Slices::begin(*slice, file)?;
            store.write(file, &Slices::head(slice));
            self.slices = Some(slices);
        }
        self.slices.as_ref().map_or(Err(Case::OutOfPlace), |slices| slices.check(slice))
    }

    /// A request of another type ends what was collected in slices.
    pub(super) fn drop_slices(&mut self, store: &mut impl Store) {
        if let Some(slices) = self.slices.take() {
            store.discard(slices.file);
        }
    }
}

/// The buffer that a compressed request is undone into, another one if there are several steps, and
/// whether they are lent.
type Buffers = (Vec<u8>, Vec<u8>, bool);

/// Buffers from the store, if it has them.
fn borrow(bytes: usize, steps: usize, store: &mut impl Store) -> Option<Buffers> {
    let out = store.lend(bytes)?;
    if steps < 2 {
        return Some((out, Vec::new(), true));
    }
    let Some(scratch) = store.lend(bytes) else {
        store.give_back(out);
        return None;
    };
    Some((out, scratch, true))
}

/// Buffers of its own for something small, so that no handshake and no seal depends on what others
/// have borrowed.
fn make(bytes: usize, steps: usize) -> Option<Buffers> {
    let buffer = || Vec::with_capacity(bytes);
    let spare = || if steps > 1 { buffer() } else { Vec::new() };
    (bytes <= limits::SMALL_REQUEST_BYTES_MAX).then(|| (buffer(), spare(), false))
}

fn give_back(memory: Memory, store: &mut impl Store) {
    if memory.lent {
        store.give_back(memory.bytes);
    }
}

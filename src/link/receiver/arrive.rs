//! A frame while it arrives: what is read, and where its payload goes.

use std::time::Instant;

use super::{
    Body, Case, Event, FileKey, Frame, HEAD_BYTES, Memory, ROOM_MIN, Receiver, SPILL_TAIL_BYTES,
    Spill, State, Store, slices,
};
use crate::limits;
use crate::wire::bytes::Reader;
use crate::wire::elanguage::SUFFIX;
use crate::wire::frame::{self, FrameError, HEADER_BYTES};
use crate::wire::piece::{PieceHead, check_file_name};
use crate::wire::request::{Head, RequestType};
use crate::wire::trailer;

/// A file that is short of room is not read in smaller portions than this.
const READ_BYTES_MIN: usize = 16 * limits::KIB;

impl Receiver {
    /// How many bytes may be read now, at most. Never more than the current frame has left: the next
    /// one stays with the kernel until this one is answered. 0: none, because the machine waits.
    pub fn wanted(&mut self, now: Instant, store: &mut impl Store) -> usize {
        if let State::Lend { until } = self.state {
            self.lend(now, until, store);
        }
        let room = store.room();
        let spare = room.saturating_sub(ROOM_MIN);
        let wanted = match self.state {
            _ if self.stopping => return 0,
            State::Idle | State::Head if room < ROOM_MIN => 0,
            // 16 at a time never goes beyond the third byte of a payload, with and without prefix.
            State::Idle => HEADER_BYTES - self.frame.header_bytes % HEADER_BYTES,
            State::Head => self.wanted_of_head(spare, store),
            State::Collect(_) | State::Skip(_) => self.frame.left,
            // Not in driblets, when room is scarce.
            State::Spill(_) | State::Piece { .. }
                if spare < self.frame.left.min(READ_BYTES_MIN) =>
            {
                0
            }
            State::Spill(_) | State::Piece { .. } => self.frame.left.min(spare),
            State::Lend { .. } => 0,
            State::Work(_) | State::Refusing { .. } | State::Answer(_) | State::Reset(_) => {
                return 0;
            }
        };
        if wanted == 0 {
            self.hold(now);
        } else {
            self.held_since = None;
            self.held_shown = false;
        }
        wanted
    }

    /// All of the frame if every way that it may go has room for it; else enough to see which.
    fn wanted_of_head(&self, spare: usize, store: &impl Store) -> usize {
        let left = self.frame.left;
        let payload = payload_size(self.frame);
        let fits = payload <= HEAD_BYTES
            || self.peer.is_none()
            || (payload <= spare && store.can_lend(payload));
        if fits { left } else { HEAD_BYTES.saturating_sub(self.head.len()) }
    }

    /// Takes bytes that were read: no more than [`Receiver::wanted`] said, and nothing was put into
    /// the store for another connection since.
    pub fn handle_input(&mut self, now: Instant, input: &[u8], store: &mut impl Store) {
        let mut rest = input;
        loop {
            if self.poll_reset().is_some() {
                return;
            }
            if !rest.is_empty() && self.is_whole() {
                // More than was wanted: the driver's mistake.
                return self.reset(Case::OutOfPlace, store);
            }
            let (consumed, event) = self.decoder.push(rest);
            let (taken, behind) = rest.split_at_checked(consumed).unwrap_or((rest, &[]));
            self.count(now, taken.len());
            match event {
                Ok(frame::Event::More) => return,
                Ok(frame::Event::Begin { payload_bytes, wrapped }) => {
                    self.begin(payload_bytes, wrapped);
                }
                Ok(frame::Event::Payload(range)) => {
                    self.payload(now, rest.get(range).unwrap_or_default(), store);
                }
                Ok(frame::Event::End) => self.end(now, store),
                Err(error) => self.reset(case_of(error), store),
            }
            rest = behind;
        }
    }

    fn count(&mut self, now: Instant, consumed: usize) {
        if matches!(self.state, State::Idle) {
            self.frame.header_bytes += consumed;
            if consumed > 0 && self.peer.is_none() {
                self.whole_by.get_or_insert(now + limits::FIRST_FRAME_MAX);
            }
        } else {
            self.frame.left = self.frame.left.saturating_sub(consumed);
        }
    }

    fn begin(&mut self, payload_bytes: u32, wrapped: bool) {
        let suffix = if wrapped { SUFFIX.len() } else { 0 };
        self.frame.payload_bytes = payload_bytes;
        self.frame.left = payload_size(self.frame).saturating_add(suffix);
        self.head.clear();
        self.state = State::Head;
    }

    fn payload(&mut self, now: Instant, mut bytes: &[u8], store: &mut impl Store) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Head => bytes = self.head(now, bytes, store),
                // All of it had room when it was read.
                State::Lend { .. } => self.spill(store),
                State::Collect(memory) => return memory.bytes.extend_from_slice(bytes),
                State::Spill(spill) => {
                    slices::roll(&mut spill.tail, bytes);
                    return store.write(spill.file, bytes);
                }
                State::Piece { file, .. } => return store.write(*file, bytes),
                // Dropped, or on a connection that is over.
                State::Skip(_)
                | State::Reset(_)
                | State::Idle
                | State::Work(_)
                | State::Refusing { .. }
                | State::Answer(_) => return,
            }
        }
    }

    /// Keeps the first bytes of a payload, and returns what is not among them.
    fn head<'a>(&mut self, now: Instant, bytes: &'a [u8], store: &mut impl Store) -> &'a [u8] {
        let head_bytes = payload_size(self.frame).min(HEAD_BYTES);
        let missing = head_bytes.saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(head);
        if self.head.len() == head_bytes {
            self.classify(now, store);
        }
        rest
    }

    /// Decides by the first bytes where the payload goes.
    fn classify(&mut self, now: Instant, store: &mut impl Store) {
        let Ok(head) = Head::read(&mut Reader::new(&self.head)) else {
            return self.reset(Case::Lengths, store);
        };
        let request_type = RequestType::from_code(head.code);
        if self.peer.is_none() && !request_type.is_some_and(may_greet) {
            return self.reset(Case::NoHandshake, store);
        }
        let case = match request_type {
            _ if head.version != crate::wire::request::VERSION => Case::UnknownVersion,
            None => Case::UnknownType,
            Some(request_type) => {
                if request_type != RequestType::Slice {
                    self.drop_slices(store);
                }
                if !request_type.is_piece() || !self.begin_piece(store) {
                    self.collect(now, store);
                }
                return;
            }
        };
        self.state = State::Skip(case);
    }

    /// Sends a piece on its way to its file. `false`: its head makes no sense or its name is no name,
    /// so it is collected like anything else that goes to quarantine.
    fn begin_piece(&mut self, store: &mut impl Store) -> bool {
        let bytes = std::mem::take(&mut self.head);
        let taken = match PieceHead::parse(&bytes) {
            Ok(Some(head)) if check_file_name(head.name).is_ok() => {
                self.stream_piece(&head, bytes.get(head.head_bytes..).unwrap_or_default(), store);
                true
            }
            _ => false,
        };
        self.head = bytes;
        taken
    }

    fn stream_piece(&mut self, head: &PieceHead<'_>, first: &[u8], store: &mut impl Store) {
        if head.check_payload_bytes(self.frame.payload_bytes).is_err() {
            return self.reset(Case::Lengths, store);
        }
        match self.place(head, store) {
            Ok(file) => {
                if !first.is_empty() {
                    store.write(file, first);
                }
                self.state = State::Piece { file, bytes: u64::from(head.piece_bytes) };
            }
            Err(case) => self.reset(case, store),
        }
    }

    /// Makes the file ready for a piece.
    pub(super) fn place(
        &mut self,
        head: &PieceHead<'_>,
        store: &mut impl Store,
    ) -> Result<FileKey, Case> {
        let new = self.new_file();
        let placed = self.files.place(head, new)?;
        if let Some(file) = placed.discard {
            store.discard(file);
        }
        store.cut(placed.key, placed.start);
        Ok(placed.key)
    }

    /// Finds room for a payload that has to be whole before it is understood.
    fn collect(&mut self, now: Instant, store: &mut impl Store) {
        if payload_size(self.frame) <= HEAD_BYTES || self.peer.is_none() {
            // Strangers get none of the buffers that peers share; the decoder keeps their frames small.
            let mut bytes = std::mem::take(&mut self.head);
            bytes.reserve_exact(payload_size(self.frame).saturating_sub(bytes.len()));
            self.state = State::Collect(Memory { bytes, lent: false });
        } else if payload_size(self.frame) > limits::REQUEST_MEMORY_BYTES_MAX {
            self.spill(store);
        } else {
            self.lend(now, now + limits::LEND_WAIT, store);
        }
    }

    /// Takes a buffer if one is free. Who waited too long for one goes to disk: those who have them
    /// may be waiting for a gate that stalls.
    pub(super) fn lend(&mut self, now: Instant, until: Instant, store: &mut impl Store) {
        self.state = State::Lend { until };
        if let Some(mut bytes) = store.lend(payload_size(self.frame)) {
            bytes.extend_from_slice(&self.head);
            self.state = State::Collect(Memory { bytes, lent: true });
        } else if until <= now && store.room() >= ROOM_MIN {
            self.spill(store);
        } else if until <= now {
            self.state = State::Lend { until: now + limits::LEND_WAIT };
        }
    }

    fn spill(&mut self, store: &mut impl Store) {
        let mut spill = Spill { file: self.new_file(), tail: [0; SPILL_TAIL_BYTES] };
        slices::roll(&mut spill.tail, &self.head);
        store.write(spill.file, &self.head);
        self.state = State::Spill(spill);
    }

    /// Whether a payload, which ends with these bytes, is longer than allowed without what an identity adds.
    fn is_too_long(&self, end: &[u8]) -> bool {
        self.frame.payload_bytes > self.policy.max_frame_bytes && !trailer::is_named(end)
    }

    /// The frame is whole and its checksum right.
    fn end(&mut self, now: Instant, store: &mut impl Store) {
        self.whole_by = None;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Collect(memory) if self.is_too_long(&memory.bytes) => {
                self.decline(now, Case::TooLong, Some(Body::Memory(memory)), store);
            }
            State::Spill(spill) if self.is_too_long(&spill.tail) => {
                let body = Body::File { spill, bytes: u64::from(self.frame.payload_bytes) };
                self.decline(now, Case::TooLong, Some(body), store);
            }
            State::Collect(memory) => self.dispatch_memory(now, memory, store),
            State::Spill(spill) => {
                self.dispatch_file(now, spill, u64::from(self.frame.payload_bytes), store);
            }
            State::Piece { file, bytes } => self.take_piece(file, bytes),
            State::Skip(case) => self.decline(now, case, None, store),
            // Where no payload can have ended.
            other @ (State::Idle
            | State::Head
            | State::Lend { .. }
            | State::Work(_)
            | State::Refusing { .. }
            | State::Answer(_)
            | State::Reset(_)) => {
                self.state = other;
                self.reset(Case::Lengths, store);
            }
        }
    }

    /// A piece has arrived whole, in its place. That completes nothing, so it is answered at once.
    pub(super) fn take_piece(&mut self, file: FileKey, bytes: u64) {
        self.files.taken(file, bytes);
        self.accept(Event::Taken { payload_bytes: self.frame.payload_bytes });
    }
}

/// What a connection may begin with: over air gap a handshake may be compressed.
pub(super) const fn may_greet(request_type: RequestType) -> bool {
    request_type.is_handshake() || matches!(request_type, RequestType::Compressed)
}

fn payload_size(frame: Frame) -> usize {
    usize::try_from(frame.payload_bytes).unwrap_or(usize::MAX)
}

const fn case_of(error: FrameError) -> Case {
    match error {
        FrameError::Checksum { .. } | FrameError::ChecksumUpperHalf { .. } => Case::Checksum,
        FrameError::TooLong { .. } => Case::TooLong,
        FrameError::LengthsDiffer { .. }
        | FrameError::TooShort { .. }
        | FrameError::NestedPrefix => Case::Lengths,
    }
}

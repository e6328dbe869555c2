//! The outer side of an air-gap link: one connection, without I/O and without a clock.
//!
//! ```text
//!            bytes                         jobs                       spool
//!  socket ----------> Receiver ---------------------------> Store --> thread
//!         <----------          <---------------------------
//!           one byte            outcomes, room
//! ```
//!
//! The driver's loop: as long as [`Receiver::wanted`] is above zero it reads at most so many bytes
//! and hands them to [`Receiver::handle_input`]; it writes what [`Receiver::poll_answer`] returns,
//! resets the connection when [`Receiver::poll_reset`] names a reason, and calls the `handle_*`
//! method for whatever else happens. So nothing is ever read that cannot be put somewhere, and a
//! held connection is simply not read.
//!
//! The rules that the machine keeps: exactly one byte for each frame and none unasked; 0x00 for
//! what completes something only after it is durable; no data without an accepted handshake; and the
//! table of [`verdict`] for whatever cannot be taken.

mod arrive;
mod dispatch;
mod files;
mod peer;
mod plans;
mod slices;
mod store;
#[cfg(test)]
mod tests;
pub mod verdict;
mod work;

pub use peer::Peer;
pub use plans::{PlanKind, PlanPolicy, Plans};
pub use store::{
    FileKey, HEAD_BYTES, Job, Outcome, Provenance, ROOM_MIN, Store, Submission, WRITERS,
    cluster_hash, request_hash, short_hash,
};
pub use verdict::{Case, HandshakeFlaw, Verdict};

use std::sync::Arc;
use std::time::{Duration, Instant};

use heapless::Deque;

use self::files::Files;
use self::slices::Slices;
use self::work::Work;
use crate::data::Precision;
use crate::limits;
use crate::spool::LinkId;
use crate::wire::answer::Answer;
use crate::wire::frame::Decoder;
use crate::wire::request::RequestType;

/// What the configuration says about peers and their requests; shared by all connections.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Largest payload of a frame, and of what is compressed in it, in bytes; without what an identity adds.
    pub max_frame_bytes: u32,
    /// Our own cluster id: a peer that has it is refused.
    pub cluster_id: String,
    /// User and password that a handshake has to carry.
    pub login: Option<Login>,
    /// What a handshake without user and password counts as having said.
    pub assumed: Option<Login>,
    /// Cluster ids whose data counts as written here.
    pub local: Vec<String>,
    /// What becomes of requests that are not data.
    pub plans: Plans,
    /// How long an answer is held before the connection is reset.
    pub hold_max: Duration,
}

/// User and password; `Debug` hides the latter.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, in clear text, as the wire has it.
    pub password: String,
}

/// Whose requests come to a receiver from within the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// Those of a peer's pipe, which begins with a handshake as over a gate.
    Pipe,
    /// What clients of this node write, in this unit of times: it counts as written here. What makes no sense is refused, so
    /// that the client hears of it; nothing goes to quarantine.
    Writer(Precision),
}

/// What has happened, for counters and logs. The machine does not depend on anyone looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A handshake was accepted; see [`Receiver::peer`].
    Greeted,
    /// A request is durable and will be answered 0x00.
    Stored {
        /// Its type, within all wrappers.
        request_type: RequestType,
        /// Bytes of the frame's payload.
        payload_bytes: u32,
    },
    /// Something that completes nothing was taken: a piece, a slice, an empty batch.
    Taken {
        /// Bytes of the frame's payload.
        payload_bytes: u32,
    },
    /// A plan was answered and dropped, as configured.
    Ignored(PlanKind),
    /// Something lies in quarantine and will be answered 0x00.
    Quarantined(Case),
    /// A frame is refused.
    Refused(Case),
    /// An answer has been held for [`limits::HOLD_SHOWN_AFTER`].
    Held,
    /// The connection has to be reset.
    Reset(Case),
}

/// One connection.
///
/// ```text
///        +-------------------------------- answer --------------------------------+
///        v                                                                        |
///      Idle --header--> Head --+-- rows, plans, seals --> Collect, Spill --+      |
///                              +-- a piece -------------> Piece            +--> Work --> Answer
///                              +-- unknown -------------> Skip --+         |      |        ^
///                                                                v         |      |        |
///                                                             Refusing ----|------|--------+
///                                                                          v      v
///      any state --violation, held too long, node stops-----------------> Reset (final)
/// ```
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing, and any may hold")]
pub struct Receiver {
    link: LinkId,
    /// What people call the other end.
    label: String,
    policy: Arc<Policy>,
    decoder: Decoder,
    state: State,
    frame: Frame,
    /// First bytes of the current payload, or of what was wrapped in it.
    head: Vec<u8>,
    /// Whose handshake was accepted.
    peer: Option<Peer>,
    /// A V2 handshake was refused.
    refused: bool,
    /// What cannot be taken is kept, for a person to look at.
    quarantines: bool,
    /// Why the last frame that was not taken was not.
    refusal: Option<Case>,
    /// A stranger's frame has begun, and has to be whole by then.
    whole_by: Option<Instant>,
    files: Files,
    slices: Option<Slices>,
    /// Number of the next [`FileKey`].
    next_file: u32,
    /// The connection waits for the store since then.
    held_since: Option<Instant>,
    held_shown: bool,
    /// The node stops: no new frame is begun.
    stopping: bool,
    events: Deque<Event, EVENTS_MAX>,
}

/// Events between two polls: a frame makes at most two.
const EVENTS_MAX: usize = 8;

/// The frame that arrives, or is being worked on.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    payload_bytes: u32,
    /// Bytes that are still to come, with the suffix.
    left: usize,
    /// Bytes of prefix and header so far.
    header_bytes: usize,
    /// Wrappers that were undone.
    depth: usize,
}

/// Where the connection is; drawn at [`Receiver`].
#[derive(Debug)]
enum State {
    /// Between two frames, or in a header.
    Idle,
    /// The first bytes of a payload come.
    Head,
    /// The payload waits for a buffer, at most until then.
    Lend { until: Instant },
    /// The payload goes to memory.
    Collect(Memory),
    /// The payload goes to a file, because it is large.
    Spill(Spill),
    /// A piece goes to its file.
    Piece { file: FileKey, bytes: u64 },
    /// The payload is read and dropped.
    Skip(Case),
    /// The frame is whole.
    Work(Work),
    /// 0xFF leaves at this time.
    Refusing { case: Case, until: Instant },
    /// This byte is to be written.
    Answer(Answer),
    /// The connection is over.
    Reset(Case),
}

/// A payload in memory, in a lent buffer or in the machine's own small one.
#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    lent: bool,
}

/// A payload that goes to a file.
#[derive(Debug, Clone, Copy)]
struct Spill {
    file: FileKey,
    /// Its last bytes: a slice says there which one it is, a request whose.
    tail: [u8; SPILL_TAIL_BYTES],
}

/// Where a whole payload lies.
#[derive(Debug)]
enum Body {
    Memory(Memory),
    /// In a file; its first bytes are in [`Receiver::head`].
    File {
        spill: Spill,
        bytes: u64,
    },
}

impl Receiver {
    /// A connection that was just accepted.
    pub fn new(link: LinkId, policy: Arc<Policy>) -> Self {
        Self {
            link,
            label: String::new(),
            policy,
            decoder: Decoder::new(HANDSHAKE_FRAME_BYTES_MAX),
            state: State::Idle,
            frame: Frame::default(),
            head: Vec::with_capacity(HEAD_BYTES),
            peer: None,
            refused: false,
            quarantines: true,
            refusal: None,
            whole_by: None,
            files: Files::new(),
            slices: None,
            next_file: 0,
            held_since: None,
            held_shown: false,
            stopping: false,
            events: Deque::new(),
        }
    }

    /// The same for what comes from within the program: without checksums.
    pub fn within(link: LinkId, policy: Arc<Policy>, guest: Guest) -> Self {
        let greeted = Self {
            decoder: Decoder::unchecked(HANDSHAKE_FRAME_BYTES_MAX),
            ..Self::new(link, policy)
        };
        match guest {
            Guest::Pipe => greeted,
            Guest::Writer(precision) => Self {
                decoder: Decoder::unchecked(greeted.policy.named_bytes_max()),
                peer: Some(Peer::of_writers(precision)),
                quarantines: false,
                ..greeted
            },
        }
    }

    /// What people call the other end: its address.
    #[must_use]
    pub fn labelled(mut self, label: String) -> Self {
        self.label = label;
        self
    }

    /// The connection's id.
    pub const fn link(&self) -> LinkId {
        self.link
    }

    /// Whether it takes what a client of this node writes.
    pub const fn is_of_writer(&self) -> bool {
        !self.quarantines
    }

    /// Who sends, once a handshake was accepted.
    pub const fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Why the last frame was not taken, if it was not.
    pub const fn refusal(&self) -> Option<Case> {
        self.refusal
    }

    /// Name and length of the file that got a piece last, as far as whole pieces go.
    pub fn current_file(&self) -> Option<(&str, u64)> {
        self.files.current()
    }

    /// A frame has begun and its answer has not been taken by [`Receiver::poll_answer`] yet.
    pub const fn is_busy(&self) -> bool {
        let between = matches!(self.state, State::Idle) && self.frame.header_bytes == 0;
        !between && !matches!(self.state, State::Reset(_))
    }

    /// The peer waits for us, not we for the peer.
    pub const fn is_held(&self) -> bool {
        self.held_since.is_some() || self.is_whole()
    }

    /// A frame is whole and not answered.
    pub const fn is_whole(&self) -> bool {
        matches!(self.state, State::Work(_) | State::Refusing { .. } | State::Answer(_))
    }

    /// Whether the machine would go on if the store had room.
    pub const fn waits_for_room(&self) -> bool {
        if let State::Work(work) = &self.state {
            return work.waits_for_room();
        }
        self.held_since.is_some()
    }

    /// Whether it is a buffer that the machine waits for, and not room.
    pub const fn waits_for_buffer(&self) -> bool {
        matches!(self.state, State::Lend { .. })
    }

    /// The store has room or buffers again.
    pub fn handle_room(&mut self, now: Instant, store: &mut impl Store) {
        self.resume(now, store);
    }

    /// The time that [`Receiver::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant, store: &mut impl Store) {
        if let State::Refusing { case, until } = self.state
            && until <= now
        {
            self.note(Event::Refused(case));
            self.state = State::Answer(Answer::Refused);
        }
        if self.whole_by.is_some_and(|by| by <= now) {
            return self.reset(Case::Unfinished, store);
        }
        let Some(since) = self.held_since else { return };
        if since + self.policy.hold_max <= now {
            self.reset(Case::HeldTooLong, store);
            return;
        }
        if !self.held_shown && since + limits::HOLD_SHOWN_AFTER <= now {
            self.held_shown = true;
            self.note(Event::Held);
        }
        self.resume(now, store);
    }

    /// The node stops: what is whole is still answered, everything else is reset.
    pub fn handle_stop(&mut self, store: &mut impl Store) {
        self.stopping = true;
        if !matches!(self.state, State::Work(_) | State::Answer(_)) {
            self.reset(Case::Stopping, store);
        }
    }

    /// The connection is gone, or is being given up: everything that was lent goes back. The caller
    /// tells the store's other side that the link is over, which removes its files.
    pub fn handle_close(&mut self, store: &mut impl Store) {
        self.reset(Case::Stopping, store);
    }

    /// The byte to write, if there is one. The next frame may be read from now on.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        let State::Answer(answer) = self.state else { return None };
        self.state = if self.stopping { State::Reset(Case::Stopping) } else { State::Idle };
        self.frame = Frame::default();
        self.held_since = None;
        self.held_shown = false;
        Some(answer)
    }

    /// Why the connection has to be reset, if it has to.
    pub const fn poll_reset(&self) -> Option<Case> {
        if let State::Reset(case) = self.state { Some(case) } else { None }
    }

    /// When [`Receiver::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let held = self.held_since.map(|since| {
            let shown = (!self.held_shown).then_some(since + limits::HOLD_SHOWN_AFTER);
            let end = since + self.policy.hold_max;
            shown.map_or(end, |shown| shown.min(end))
        });
        held.into_iter().chain(self.state.timeout()).chain(self.whole_by).min()
    }

    /// What has happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn note(&mut self, event: Event) {
        if let Event::Refused(case) | Event::Reset(case) = event {
            self.refusal = Some(case);
        }
        if self.events.is_full() {
            self.events.pop_front();
        }
        // There is room now.
        let _full = self.events.push_back(event);
    }

    fn new_file(&mut self) -> FileKey {
        let number = self.next_file;
        self.next_file = number.wrapping_add(1);
        FileKey { link: self.link, number }
    }

    fn hold(&mut self, now: Instant) {
        self.held_since.get_or_insert(now);
    }

    fn accept(&mut self, event: Event) {
        self.note(event);
        self.state = State::Answer(Answer::Accepted);
    }

    /// Ends the connection. The first reason stands.
    fn reset(&mut self, case: Case, store: &mut impl Store) {
        if matches!(self.state, State::Reset(_)) {
            return;
        }
        if let Some(memory) = std::mem::replace(&mut self.state, State::Reset(case)).into_memory() {
            self.release(memory, store);
        }
        self.held_since = None;
        self.whole_by = None;
        self.note(Event::Reset(case));
    }

    /// Gives the bytes of a payload back to where they were borrowed.
    fn release(&mut self, memory: Memory, store: &mut impl Store) {
        let Memory { mut bytes, lent } = memory;
        if lent {
            store.give_back(bytes);
        } else {
            bytes.clear();
            self.head = bytes;
        }
    }
}

impl State {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others wait for nothing but events")]
    const fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Refusing { until, .. } | Self::Lend { until } => Some(*until),
            Self::Work(work) => work.timeout(),
            _ => None,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others hold no memory")]
    fn into_memory(self) -> Option<Memory> {
        match self {
            Self::Collect(memory) => Some(memory),
            Self::Work(work) => work.into_memory(),
            _ => None,
        }
    }
}

impl Policy {
    /// Largest payload of a frame that says who took it in first.
    const fn named_bytes_max(&self) -> u32 {
        self.max_frame_bytes.saturating_add(limits::IDENTITY_BYTES_MAX)
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The end of a payload that goes to a file, as far as it is looked at.
const SPILL_TAIL_BYTES: usize = limits::IDENTITY_BYTES_MAX as usize;
#[expect(clippy::cast_possible_truncation, reason = "a constant that is asserted below")]
const HANDSHAKE_FRAME_BYTES_MAX: u32 = limits::HANDSHAKE_BYTES_MAX as u32;
const _: () = assert!(limits::HANDSHAKE_BYTES_MAX < u32::MAX as usize);

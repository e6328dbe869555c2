//! One pipe's connection to one of several gates: the sending half of the air-gap protocol.
//!
//! No I/O and no clock. The caller gives it one [`Delivery`] after another, does what [`poll`] says,
//! tells what came of it by the `handle_*` methods, and calls [`handle_timeout`] at
//! [`poll_timeout`]. It never holds bytes: a [`Frame`] says which ones are meant.
//!
//! ```text
//!                   deliver(..)                           +-- poll --> Connect, Look, Send, Close
//!   spool entry ----------------> Sender <-- handle_* ----+
//!                <--------------- poll_event              driver: socket and clock
//!                 Delivered, Failed
//! ```
//!
//! The rules it keeps (the numbers are those of the architecture page, section 5):
//!
//! - One frame is outstanding at a time (1). A window of several, between two Penstock halves (9),
//!   has its place in [`State::InFlight`]; there is none yet.
//! - It looks for waiting bytes before each frame; a byte there, any answer but `0x00`, and the end of
//!   the stream instead of an answer all end the connection (4). So does silence of ten minutes, in
//!   which a stock receiver may have begun to count out answers that nobody asked for.
//! - Every wait has its limit (5). While a frame is written the limit starts anew with each byte that
//!   leaves, as a gate may be slow; it counts for the answer once the frame is out.
//! - A new connection starts with a handshake, and a file with its first piece: the far side has
//!   forgotten everything.
//! - Nothing is given up: after a pause that grows the same delivery is sent again, for ever, and
//!   [`trouble`] says why. The pause is short again once the place of the failure is passed, not when
//!   a connection is made.
//!
//! [`poll`]: Sender::poll
//! [`poll_timeout`]: Sender::poll_timeout
//! [`handle_timeout`]: Sender::handle_timeout
//! [`trouble`]: Sender::trouble

mod command;
mod delivery;
mod failure;
mod settings;
#[cfg(test)]
mod tests;
mod transitions;

use std::io::ErrorKind;
use std::mem;
use std::time::{Duration, Instant};

use delivery::Carried;
use failure::Failing;

pub use self::command::{Command, Counters, Event};
pub use self::delivery::{Delivery, FileLengths, Frame};
pub use self::failure::{Failure, Trouble};
pub use self::settings::Settings;
pub use crate::config::GateOrder;
use crate::limits;
use crate::link::backoff::Backoff;
use crate::link::piece_size::PieceSize;

/// The only good answer.
const ACCEPTED: u8 = 0x00;

/// Where the connection is.
///
/// ```text
///            wanted               handle_connected, handle_clear
///   Idle -----------> Connecting -----------------> InFlight (handshake)
///    ^                    |                            |  0x00
///    | pause over         | lost, late                 v
///   Paused <--------------+                          Ready <-----------+
///    ^                                                 | delivery      | 0x00
///    |  any other byte, end of stream, lost, late      v               |
///    +---------------------------------------------- Looking --> InFlight (frame)
/// ```
///
/// Every arrow to `Paused` and every return to `Idle` closes the connection.
#[derive(Debug, Clone, Copy)]
enum State {
    /// No connection; one is made when it is wanted.
    Idle,
    /// A pause before the next attempt.
    Paused { until: Instant },
    /// The driver dials.
    Connecting { deadline: Instant },
    /// The far side has accepted a handshake, and owes nothing.
    Ready { last_answer: Instant },
    /// The driver looks for bytes that should not be there, before this frame.
    Looking { frame: Frame },
    /// The frame is being written, or was and its answer is awaited.
    InFlight { frame: Frame, written: bool, deadline: Instant },
    /// The end.
    Stopped,
}

/// The machine; see the module's page.
#[derive(Debug)]
pub struct Sender {
    settings: Settings,
    state: State,
    command: Option<Command>,
    close_due: bool,
    event: Option<Event>,
    carried: Option<Carried>,
    /// A connection is wanted though there is nothing to deliver.
    greeting: bool,
    /// This connection has accepted a frame of a delivery.
    proven: bool,
    gate: usize,
    handshake: Frame,
    failing: Failing,
    trouble: Option<Trouble>,
    backoff: Backoff,
    pieces: PieceSize,
    seal_timeout: Duration,
    stop_deadline: Option<Instant>,
    last_answer: Option<Instant>,
    counters: Counters,
}

// Getters.
impl Sender {
    /// The gate of the connection, or of the next attempt.
    pub fn gate(&self) -> usize {
        self.gate
    }

    /// The far side has accepted a handshake on the present connection.
    pub fn is_connected(&self) -> bool {
        match self.state {
            State::Ready { .. } => true,
            State::Looking { frame } | State::InFlight { frame, .. } => frame.is_of_delivery(),
            State::Idle | State::Paused { .. } | State::Connecting { .. } | State::Stopped => false,
        }
    }

    /// The far side has only accepted the older handshake.
    pub fn is_of_old_node(&self) -> bool {
        self.handshake == Frame::HandshakeV1
    }

    /// A frame is to be written, and its last byte has not left.
    pub fn is_writing(&self) -> bool {
        matches!(self.state, State::InFlight { written: false, .. })
    }

    /// The frame that follows the piece in flight if that is accepted: it may be prepared meanwhile.
    pub fn upcoming(&self) -> Option<Frame> {
        let State::InFlight { frame: Frame::Piece { bytes, .. }, .. } = self.state else {
            return None;
        };
        self.carried.as_ref().map(|carried| carried.frame_after(bytes, self.pieces.bytes()))
    }

    /// There is no delivery to carry, and one may be given.
    pub fn is_free(&self) -> bool {
        self.carried.is_none() && !self.is_stopped() && self.stop_deadline.is_none()
    }

    /// [`Sender::stop`] was said and is done.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// What keeps the delivery, or the first handshake, from getting through.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// When the far side last answered `0x00`: the measure of health.
    pub fn last_answer(&self) -> Option<Instant> {
        self.last_answer
    }

    /// Bytes of the delivery's files that the far side has taken on this connection.
    pub fn accepted_bytes(&self) -> u64 {
        self.carried.as_ref().map_or(0, Carried::accepted_bytes)
    }

    /// Bytes of the next piece.
    pub fn piece_bytes(&self) -> usize {
        self.pieces.bytes()
    }

    /// Numbers that only grow.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

// Verbs.
impl Sender {
    /// A sender that does nothing until it is told; `seed` draws its pauses.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let (first, longest) = settings.pause;
        Self {
            state: State::Idle,
            command: None,
            close_due: false,
            event: None,
            carried: None,
            greeting: false,
            proven: false,
            gate: 0,
            handshake: Frame::HandshakeV2,
            failing: Failing::default(),
            trouble: None,
            backoff: Backoff::new(first, longest, seed),
            pieces: PieceSize::new(settings.piece_bytes),
            seal_timeout: settings.seal_timeout,
            stop_deadline: None,
            last_answer: None,
            counters: Counters::default(),
            settings,
        }
    }

    /// Connects and shakes hands though there is nothing to deliver, so that a refusal shows early.
    pub fn greet(&mut self) {
        self.greeting = true;
    }

    /// The far side has said that it does not know a type of request: if it is the newer handshake that it refuses, the
    /// older one is tried where the attribute says so.
    pub fn allow_old_handshake(&mut self) {
        self.failing.is_of_old_node = true;
    }

    /// Takes on the next delivery.
    ///
    /// # Panics
    /// If the one before is still carried, see [`Sender::is_free`].
    pub fn deliver(&mut self, now: Instant, delivery: Delivery) {
        assert!(self.carried.is_none(), "one delivery at a time");
        self.pieces.handle_start(now);
        self.carried = Some(Carried::new(delivery));
    }

    /// Forgets the delivery, which the caller has put elsewhere or cannot read.
    pub fn abandon(&mut self) {
        let Some(carried) = self.carried.take() else { return };
        self.pass();
        self.seal_timeout = self.settings.seal_timeout;
        let sending = match self.state {
            State::InFlight { frame, .. } | State::Looking { frame } => frame.is_of_delivery(),
            State::Idle
            | State::Paused { .. }
            | State::Connecting { .. }
            | State::Ready { .. }
            | State::Stopped => false,
        };
        // An answer may still come, or half a file lie there: neither may meet the next delivery.
        if sending || !carried.is_at_start() {
            self.disconnect();
        }
    }

    /// Gives up the connection; the next frame goes over a new one, with a new handshake.
    pub fn reconnect(&mut self) {
        if let Some(carried) = &mut self.carried {
            carried.rewind();
        }
        if !matches!(self.state, State::Paused { .. } | State::Stopped) {
            self.disconnect();
        }
    }

    /// Ends in order: a frame that may complete a delivery keeps `grace` for its answer.
    pub fn stop(&mut self, now: Instant, grace: Duration) {
        let completes = matches!(self.state, State::InFlight { frame, .. } if frame.completes());
        if completes && !grace.is_zero() {
            self.stop_deadline = Some(now + grace);
        } else {
            self.finish();
        }
    }
}

// What came in.
impl Sender {
    /// The connection stands.
    pub fn handle_connected(&mut self, _now: Instant) {
        if let State::Connecting { .. } = self.state {
            self.counters.connections += 1;
            self.proven = false;
            self.look(self.handshake);
        }
    }

    /// The connect failed, or reading or writing did.
    pub fn handle_lost(&mut self, now: Instant, kind: ErrorKind) {
        match self.state {
            State::Connecting { .. } => self.fail(now, Failure::Unreachable(kind)),
            State::Looking { .. } | State::InFlight { .. } => self.fail(now, Failure::Broken(kind)),
            State::Ready { .. } => self.disconnect(),
            State::Idle | State::Paused { .. } | State::Stopped => {}
        }
    }

    /// Nothing waits to be read.
    pub fn handle_clear(&mut self, now: Instant) {
        if let State::Looking { frame } = self.state {
            let deadline = now + self.time_limit(frame);
            self.state = State::InFlight { frame, written: false, deadline };
            self.command = Some(Command::Send(frame));
        }
    }

    /// Some bytes of the frame have left.
    pub fn handle_progress(&mut self, now: Instant) {
        if let State::InFlight { frame, written: false, .. } = self.state {
            let deadline = now + self.time_limit(frame);
            self.state = State::InFlight { frame, written: false, deadline };
        }
    }

    /// The last byte of the frame has left.
    pub fn handle_written(&mut self, now: Instant) {
        if let State::InFlight { frame, written: false, .. } = self.state {
            let deadline = now + self.time_limit(frame);
            self.state = State::InFlight { frame, written: true, deadline };
            self.counters.sent_frames += u64::from(frame.is_of_delivery());
        }
    }

    /// A byte came.
    pub fn handle_answer(&mut self, now: Instant, answer: u8) {
        match self.state {
            State::InFlight { frame, written, .. } => match answer {
                ACCEPTED if written => self.accept(now, frame),
                // Nothing can accept what it has not read.
                ACCEPTED => self.fail_unasked(now),
                _ => self.refuse(now, frame, answer),
            },
            State::Looking { .. } => self.fail_unasked(now),
            State::Ready { .. } => {
                self.counters.unasked_answers += 1;
                self.disconnect();
            }
            State::Idle | State::Paused { .. } | State::Connecting { .. } | State::Stopped => {}
        }
    }

    /// The stream has ended.
    pub fn handle_closed(&mut self, now: Instant) {
        match self.state {
            State::Looking { .. } | State::InFlight { .. } => self.fail(now, Failure::Closed),
            // An idle connection that ends is nobody's trouble.
            State::Ready { .. } => self.disconnect(),
            State::Idle | State::Paused { .. } | State::Connecting { .. } | State::Stopped => {}
        }
    }

    /// It is [`Sender::poll_timeout`], or later.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stop_deadline.is_some_and(|deadline| now >= deadline) {
            return self.finish();
        }
        match self.state {
            State::Paused { until } if now >= until => self.state = State::Idle,
            State::Connecting { deadline } if now >= deadline => {
                self.fail(now, Failure::ConnectLate(self.settings.handshake_timeout));
            }
            State::InFlight { frame, deadline, .. } if now >= deadline => {
                let after = self.time_limit(frame);
                if frame == Frame::Seal {
                    self.seal_timeout = (after * 2).min(limits::SEAL_TIMEOUT_MAX).max(after);
                }
                self.fail(now, Failure::NoAnswer { frame, after });
            }
            State::Idle
            | State::Paused { .. }
            | State::Connecting { .. }
            | State::Ready { .. }
            | State::Looking { .. }
            | State::InFlight { .. }
            | State::Stopped => {}
        }
    }
}

// What must go out.
impl Sender {
    /// The next thing to do, until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Command> {
        if !self.close_due && self.command.is_none() {
            self.go_on(now);
        }
        if mem::take(&mut self.close_due) {
            return Some(Command::Close);
        }
        self.command.take()
    }

    /// The next thing to know, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// When to call [`Sender::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.state {
            State::Paused { until } => Some(until),
            State::Connecting { deadline } | State::InFlight { deadline, .. } => Some(deadline),
            State::Idle | State::Ready { .. } | State::Looking { .. } | State::Stopped => None,
        };
        own.into_iter().chain(self.stop_deadline).min()
    }
}

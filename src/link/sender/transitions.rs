//! How a sender gets from one state to the next.

use std::mem;
use std::time::{Duration, Instant};

use super::GateOrder;
use super::command::{Command, Event};
use super::delivery::Frame;
use super::failure::{Failing, Failure, Trouble};
use super::{Sender, State};
use crate::limits;

/// Refusals of one frame after which another gate is tried: behind it may be another receiver.
const REFUSALS_PER_GATE: u32 = 4;

impl Sender {
    /// Leaves the two states in which only the caller's wishes count.
    pub(super) fn go_on(&mut self, now: Instant) {
        let wanted = self.carried.is_some() || self.greeting;
        match (self.state, &self.carried) {
            (State::Idle, _) if wanted && self.stop_deadline.is_none() => self.connect(now),
            (State::Ready { last_answer }, Some(carried)) => {
                let frame = carried.frame(self.pieces.bytes());
                if now.saturating_duration_since(last_answer) >= limits::SILENCE_MAX {
                    self.close_due = true;
                    self.take_next_gate(true);
                    self.connect(now);
                } else {
                    self.look(frame);
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, now: Instant) {
        self.state = State::Connecting { deadline: now + self.settings.handshake_timeout };
        self.command = Some(Command::Connect { gate: self.gate });
    }

    pub(super) fn look(&mut self, frame: Frame) {
        self.state = State::Looking { frame };
        self.command = Some(Command::Look);
    }

    pub(super) fn accept(&mut self, now: Instant, frame: Frame) {
        self.last_answer = Some(now);
        self.state = State::Ready { last_answer: now };
        if frame.is_of_delivery() {
            self.accept_of_delivery(frame);
        } else {
            self.greeting = false;
            if self.failing.furthest.is_none() {
                self.pass();
            }
        }
        if self.stop_deadline.is_some() {
            self.finish();
        }
    }

    fn accept_of_delivery(&mut self, frame: Frame) {
        let Some(carried) = &mut self.carried else { return };
        self.proven = true;
        let place = carried.place();
        if let Frame::Piece { bytes, .. } = frame {
            carried.advance(bytes);
            self.pieces.handle_accepted(bytes);
            if self.failing.furthest.is_none_or(|furthest| place >= furthest) {
                self.pass();
            }
        } else {
            self.carried = None;
            self.seal_timeout = self.settings.seal_timeout;
            self.event = Some(Event::Delivered);
            self.pass();
        }
    }

    /// What had failed has succeeded.
    pub(super) fn pass(&mut self) {
        self.failing = Failing::default();
        self.trouble = None;
        self.backoff.reset();
    }

    pub(super) fn refuse(&mut self, now: Instant, frame: Frame, answer: u8) {
        self.counters.refused_frames += 1;
        let failure = if frame.is_of_delivery() {
            Failure::Refused { frame, answer }
        } else {
            Failure::HandshakeRefused { v1: frame == Frame::HandshakeV1 }
        };
        self.fail(now, failure);
    }

    pub(super) fn fail_unasked(&mut self, now: Instant) {
        self.counters.unasked_answers += 1;
        self.fail(now, Failure::OutOfStep);
    }

    /// Gives up the connection and plans the next one.
    pub(super) fn fail(&mut self, now: Instant, failure: Failure) {
        if self.stop_deadline.is_some() {
            return self.finish();
        }
        let times_here = self.note_place(now);
        if let Some(carried) = &mut self.carried {
            carried.rewind();
        }
        let before = self.trouble.take();
        let gate = self.gate;
        let at_once = before.is_none() && self.is_looking();
        let pause = if at_once { Duration::ZERO } else { self.turn(failure, times_here) };
        self.disconnect();
        self.state = State::Paused { until: now + pause };
        self.counters.retries += 1;
        self.trouble = Some(Trouble {
            failure,
            gate,
            since: before.map_or(now, |before| before.since),
            times: before.map_or(1, |before| before.times.saturating_add(1)),
        });
        self.event = Some(Event::Failed(failure));
    }

    /// Remembers where in the delivery it failed; says how often a frame in flight there has.
    fn note_place(&mut self, now: Instant) -> u32 {
        let Some(carried) = &self.carried else { return 0 };
        let place = carried.place();
        match self.state {
            State::InFlight { frame, .. } if frame.is_of_delivery() => {
                self.failing.note(place);
                let times = self.failing.count(frame);
                if let Frame::Piece { bytes, .. } = frame {
                    self.pieces.handle_failed(now, bytes, times);
                }
                times
            }
            State::Looking { frame } if frame.is_of_delivery() => {
                self.failing.note(place);
                0
            }
            State::InFlight { .. }
            | State::Looking { .. }
            | State::Idle
            | State::Paused { .. }
            | State::Connecting { .. }
            | State::Ready { .. }
            | State::Stopped => 0,
        }
    }

    /// Chooses gate and handshake of the next attempt, and the pause before it.
    fn turn(&mut self, failure: Failure, times_here: u32) -> Duration {
        let is_known_as_old = mem::take(&mut self.failing.is_of_old_node);
        let may_be_old =
            self.settings.handshake_v1_fallback && (is_known_as_old || !self.settings.is_told_why);
        if let Failure::HandshakeRefused { v1 } = failure
            && (may_be_old || v1)
        {
            self.handshake = if v1 { Frame::HandshakeV2 } else { Frame::HandshakeV1 };
            if !v1 {
                return Duration::ZERO;
            }
        }
        if failure.is_of_connection() {
            self.take_next_gate(self.proven);
            self.failing.tried_gates += 1;
            if self.failing.tried_gates < self.settings.gates.get() {
                return Duration::ZERO;
            }
            self.failing.tried_gates = 0;
        } else if times_here > 0 && times_here.is_multiple_of(REFUSALS_PER_GATE) {
            self.take_next_gate(false);
        }
        self.backoff.next_wait()
    }

    /// `from_first`: the present gate did work, so that a standby may hand back to the first.
    fn take_next_gate(&mut self, from_first: bool) {
        let gates = self.settings.gates.get();
        let next = match self.settings.order {
            GateOrder::Priority if from_first => 0,
            GateOrder::Priority | GateOrder::RoundRobin => (self.gate + 1) % gates,
            GateOrder::Random => self.backoff.random().below(gates),
        };
        if next != self.gate {
            self.gate = next;
            self.handshake = Frame::HandshakeV2;
        }
    }

    fn is_looking(&self) -> bool {
        matches!(self.state, State::Looking { frame } if frame.is_of_delivery())
    }

    pub(super) fn disconnect(&mut self) {
        self.state = State::Idle;
        self.command = None;
        self.close_due = true;
        self.proven = false;
    }

    pub(super) fn finish(&mut self) {
        self.disconnect();
        self.state = State::Stopped;
        self.stop_deadline = None;
    }

    pub(super) fn time_limit(&self, frame: Frame) -> Duration {
        match frame {
            Frame::HandshakeV2 | Frame::HandshakeV1 => self.settings.handshake_timeout,
            Frame::Whole | Frame::Piece { .. } => self.settings.answer_timeout,
            Frame::Seal => self.seal_timeout,
        }
    }
}

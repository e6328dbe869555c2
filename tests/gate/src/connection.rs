//! One connection through the gate: two sockets, a lane each way, and what goes wrong with them.
//!
//! ```text
//!            take_forward            give_forward
//!  inner --> watch, count, flip --> forward lane ------------> outer
//!  inner <-- back lane <-- answer faults <-- guard, count <--- outer
//!            give_back               take_back
//! ```

use std::time::{Duration, Instant};

use mio::Registry;

use crate::answers::{AnswerFaults, Fate};
use crate::clock::earlier;
use crate::config::Config;
use crate::delivery::{Given, give};
use crate::event::{Ending, What};
use crate::fault::Fault;
use crate::frames::{FrameWatch, Sight};
use crate::lane::Lane;
use crate::replies::{OnViolation, ReplyGuard, Violation};
use crate::script::Unit;
use crate::shared::Shared;
use crate::side::{Side, Took};

/// How long the target may take to accept a connection.
const DIAL_MAX: Duration = Duration::from_secs(10);
/// Bytes that get a departure of their own, so that a slow wire trickles and does not gush.
const CHUNK_BYTES: usize = 16 * 1024;
/// Reads and writes of one turn, after which the other connections have theirs.
const ROUNDS_MAX: usize = 32;

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The target is being dialled.
    Dialling {
        /// When that is given up.
        until: Instant,
    },
    /// Everything moves.
    Open,
    /// The target was never dialled.
    HalfOpen,
    /// Everything is taken and thrown away.
    BlackHole {
        /// When that ends.
        until: Option<Instant>,
    },
    /// Both sockets are open and nothing moves.
    Forgotten,
    /// It is to be removed.
    Gone(Ending),
}

/// One connection through the gate.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    inner: Side,
    outer: Option<Side>,
    forward: Lane,
    back: Lane,
    watch: FrameWatch,
    guard: ReplyGuard,
    answer_faults: AnswerFaults,
    state: State,
    swallow: Swallow,
    flip_next: bool,
    segment_bytes: usize,
    idle_kill: Option<Duration>,
    last_traffic: Instant,
}

/// What is kept from the other side.
#[derive(Debug, Clone, Copy)]
struct Swallow {
    fin: bool,
    rst: bool,
}

impl Connection {
    /// A connection that was taken in front; without `outer` it stays half open.
    pub(crate) fn new(
        number: u64,
        inner: Side,
        outer: Option<Side>,
        config: &Config,
        now: Instant,
    ) -> Self {
        let state = match outer {
            Some(_) => State::Dialling { until: now + DIAL_MAX },
            None => State::HalfOpen,
        };
        Self {
            number,
            inner,
            outer,
            forward: Lane::new(config.buffer_bytes),
            back: Lane::new(config.buffer_bytes),
            watch: FrameWatch::new(config.e_language_only),
            guard: ReplyGuard::new(config.replies),
            answer_faults: AnswerFaults::default(),
            state,
            swallow: Swallow { fin: config.swallow_fin, rst: config.swallow_rst },
            flip_next: false,
            segment_bytes: config.segment_bytes,
            idle_kill: config.idle_kill,
            last_traffic: now,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The poller has news of one of the sockets.
    pub(crate) fn handle_ready(&mut self, inner: bool, readable: bool, writable: bool) {
        match (inner, self.outer.as_mut()) {
            (true, _) => self.inner.handle_ready(readable, writable),
            (false, Some(outer)) => outer.handle_ready(readable, writable),
            (false, None) => {}
        }
    }

    /// Moves what can be moved now; says whether there is more than its turn allows.
    pub(crate) fn drive(&mut self, now: Instant, shared: &mut Shared, scratch: &mut [u8]) -> bool {
        self.handle_timeouts(now, shared);
        self.finish_dialling(now, shared);
        for _ in 0..ROUNDS_MAX {
            let moved = self.take_forward(now, shared, scratch)
                | self.give_forward(now, shared)
                | self.take_back(now, shared, scratch)
                | self.give_back(now, shared);
            if self.forward.is_ended() && self.back.is_ended() && self.is_moving() {
                self.state = State::Gone(Ending::Fin);
            }
            if !moved {
                return false;
            }
        }
        true
    }

    /// When [`Connection::drive`] has something to do without news from the poller, after it was
    /// driven at `now`.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let idle = self.idle_kill.filter(|_| self.is_moving()).map(|idle| self.last_traffic + idle);
        let own = match self.state {
            State::Dialling { until } => Some(until),
            State::BlackHole { until } => until,
            State::Open => earlier(self.forward.next_due(now), self.back.next_due(now)),
            State::HalfOpen | State::Forgotten | State::Gone(_) => None,
        };
        earlier(own, idle)
    }

    /// A fault happens to this connection.
    pub(crate) fn apply(&mut self, fault: Fault, now: Instant, shared: &mut Shared) {
        if matches!(self.state, State::Forgotten | State::Gone(_)) {
            return;
        }
        shared.stats.faults += 1;
        shared.tell(now, Some(self.number), What::Fault(fault));
        match fault {
            Fault::DropAnswer => self.answer_faults.add(fault, Fate::Lost),
            Fault::LateAnswer(time) => self.answer_faults.add(fault, Fate::Late(time)),
            Fault::DoubleAnswer => self.answer_faults.add(fault, Fate::Doubled),
            Fault::WrongAnswer(byte) => self.answer_faults.add(fault, Fate::Replaced(byte)),
            Fault::UnaskedAnswer(byte) => self.back.push(now, &[byte]),
            Fault::Stall(time) => {
                self.forward.hold(now + time);
                self.back.hold(now + time);
            }
            Fault::BlackHole(time) => {
                self.state = State::BlackHole { until: time.map(|time| now + time) };
            }
            Fault::Forget => self.state = State::Forgotten,
            Fault::Reset => self.state = State::Gone(Ending::Rst),
            Fault::Close => self.state = State::Gone(Ending::Gate),
            Fault::SwallowFin => self.swallow.fin = true,
            Fault::SwallowRst => self.swallow.rst = true,
            Fault::Segment(bytes) => self.segment_bytes = bytes,
            Fault::FlipBit => self.flip_next = true,
            Fault::HalfOpen(_)
            | Fault::Bandwidth(_)
            | Fault::RoundTrip(_)
            | Fault::Refuse(_)
            | Fault::Strangers(_) => {}
        }
    }

    /// The poller forgets both sockets, which stay open.
    pub(crate) fn forget(&mut self, registry: &Registry) {
        self.inner.forget(registry);
        if let Some(outer) = &mut self.outer {
            outer.forget(registry);
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ending(&self) -> Option<Ending> {
        match self.state {
            State::Gone(how) => Some(how),
            State::Dialling { .. }
            | State::Open
            | State::HalfOpen
            | State::BlackHole { .. }
            | State::Forgotten => None,
        }
    }

    /// Closes both sockets as it ended: in order, or by resets.
    pub(crate) fn close(self) -> Ending {
        let how = self.ending().unwrap_or(Ending::Rst);
        match how {
            Ending::Fin => {}
            Ending::Gate => self.sides().for_each(|side| side.end()),
            Ending::Rst => self.reset(),
        }
        how
    }

    /// Closes both sockets by resets.
    pub(crate) fn reset(self) {
        self.sides().for_each(Side::reset);
    }

    fn sides(self) -> impl Iterator<Item = Side> {
        [Some(self.inner), self.outer].into_iter().flatten()
    }

    fn is_moving(&self) -> bool {
        matches!(self.state, State::Open | State::BlackHole { .. } | State::Dialling { .. })
    }

    fn handle_timeouts(&mut self, now: Instant, shared: &mut Shared) {
        if matches!(self.state, State::BlackHole { until: Some(until) } if now >= until) {
            self.state = State::Open;
        }
        let idle = now.saturating_duration_since(self.last_traffic);
        if self.is_moving() && self.idle_kill.is_some_and(|limit| idle >= limit) {
            self.state = State::Forgotten;
            shared.tell(now, Some(self.number), What::IdleForgotten);
        }
    }

    fn finish_dialling(&mut self, now: Instant, shared: &mut Shared) {
        let (State::Dialling { until }, Some(outer)) = (self.state, &self.outer) else { return };
        match outer.poll_connected() {
            Some(Ok(())) => {
                self.state = State::Open;
                self.last_traffic = now;
                if let Ok(target) = outer.peer() {
                    shared.tell(now, Some(self.number), What::Reached { target });
                }
            }
            Some(Err(error)) => self.unreachable(error.to_string(), now, shared),
            None if now >= until => self.unreachable("timed out".into(), now, shared),
            None => {}
        }
    }

    fn unreachable(&mut self, error: String, now: Instant, shared: &mut Shared) {
        self.state = State::Gone(Ending::Rst);
        shared.tell(now, Some(self.number), What::Unreachable { error });
    }

    fn take_forward(&mut self, now: Instant, shared: &mut Shared, scratch: &mut [u8]) -> bool {
        if !self.is_moving() || !self.inner.is_readable() {
            return false;
        }
        let room = self.forward.room().min(scratch.len());
        let Some(scratch) = scratch.get_mut(..room).filter(|_| room > 0) else { return false };
        match self.inner.take(scratch) {
            Took::Bytes(count) => {
                self.last_traffic = now;
                self.handle_forward(scratch.get(..count).unwrap_or_default(), now, shared);
                true
            }
            Took::Nothing => false,
            Took::End => {
                self.handle_end(true, now, shared);
                true
            }
            Took::Broken => self.handle_broken(true, now, shared),
        }
    }

    fn handle_forward(&mut self, mut rest: &[u8], now: Instant, shared: &mut Shared) {
        while !rest.is_empty() && self.is_moving() {
            let left = shared.plan.bytes_left().and_then(|left| usize::try_from(left).ok());
            let limit = left.unwrap_or(usize::MAX).min(rest.len());
            let (used, sight) = self.watch.push(rest.get(..limit).unwrap_or(rest));
            let Some((piece, behind)) = rest.split_at_checked(used) else { return };
            rest = behind;
            if sight == Some(Sight::NotELanguage) && self.violates_e_language(piece, now, shared) {
                return;
            }
            self.guard.handle_forward();
            self.push_forward(piece, now, shared);
            self.count_forward(used, sight, now, shared);
        }
    }

    fn violates_e_language(&mut self, piece: &[u8], now: Instant, shared: &mut Shared) -> bool {
        let byte = piece.last().copied().unwrap_or_default();
        let action = match self.guard.on_violation() {
            OnViolation::Report => OnViolation::Report,
            OnViolation::Drop | OnViolation::Cut => OnViolation::Cut,
        };
        self.tell_violation(Violation::NotELanguage, byte, action, now, shared);
        self.state == State::Gone(Ending::Rst)
    }

    fn push_forward(&mut self, piece: &[u8], now: Instant, shared: &mut Shared) {
        if matches!(self.state, State::BlackHole { .. }) {
            return;
        }
        for chunk in piece.chunks(CHUNK_BYTES) {
            let due = shared.forward.send(now, chunk.len()) + shared.latency;
            match chunk.split_first() {
                Some((first, others)) if self.flip_next => {
                    self.flip_next = false;
                    shared.tell(now, Some(self.number), What::Flipped { byte: *first });
                    self.forward.push(due, &[first ^ 1]);
                    self.forward.push(due, others);
                }
                Some(_) | None => self.forward.push(due, chunk),
            }
        }
    }

    fn count_forward(
        &mut self,
        used: usize,
        sight: Option<Sight>,
        now: Instant,
        shared: &mut Shared,
    ) {
        let bytes = u64::try_from(used).unwrap_or(u64::MAX);
        shared.stats.bytes += bytes;
        let mut due = shared.count(Unit::Bytes, bytes);
        match sight {
            Some(Sight::FrameEnd) => {
                self.guard.handle_frame();
                shared.stats.frames += 1;
                let number = shared.stats.frames;
                shared.tell(now, Some(self.number), What::Frame { number });
                due.extend(shared.count(Unit::Frames, 1));
            }
            Some(Sight::OutOfStep) => shared.tell(now, Some(self.number), What::OutOfStep),
            Some(Sight::NotELanguage) | None => {}
        }
        for fault in due {
            self.apply(fault, now, shared);
        }
    }

    fn take_back(&mut self, now: Instant, shared: &mut Shared, scratch: &mut [u8]) -> bool {
        if !matches!(self.state, State::Open | State::BlackHole { .. }) {
            return false;
        }
        let room = self.back.room().min(scratch.len());
        let Some(outer) = self.outer.as_mut().filter(|outer| outer.is_readable()) else {
            return false;
        };
        let Some(scratch) = scratch.get_mut(..room).filter(|_| room > 0) else { return false };
        match outer.take(scratch) {
            Took::Bytes(count) => {
                self.last_traffic = now;
                for byte in scratch.iter().take(count) {
                    self.handle_answer(*byte, now, shared);
                }
                true
            }
            Took::Nothing => false,
            Took::End => {
                self.handle_end(false, now, shared);
                true
            }
            Took::Broken => self.handle_broken(false, now, shared),
        }
    }

    fn handle_answer(&mut self, byte: u8, now: Instant, shared: &mut Shared) {
        shared.stats.answers += 1;
        let number = shared.stats.answers;
        shared.tell(now, Some(self.number), What::Answer { number, byte });
        for fault in shared.count(Unit::Answers, 1) {
            self.apply(fault, now, shared);
        }
        if !matches!(self.state, State::Open) {
            self.lose_answer(byte, now, shared);
            return;
        }
        if let Err(why) = self.guard.handle_reply(byte) {
            let action = self.guard.on_violation();
            self.tell_violation(why, byte, action, now, shared);
            if action != OnViolation::Report {
                self.lose_answer(byte, now, shared);
                return;
            }
        }
        let due = shared.back.send(now, 1) + shared.latency;
        self.pass_answer(byte, due, now, shared);
    }

    fn pass_answer(&mut self, byte: u8, due: Instant, now: Instant, shared: &mut Shared) {
        let Some((fault, fate)) = self.answer_faults.take() else {
            self.back.push(due, &[byte]);
            return;
        };
        shared.tell(now, Some(self.number), What::AnswerFault { fault, byte });
        match fate {
            Fate::Lost => self.lose_answer(byte, now, shared),
            Fate::Late(time) => self.back.push(due + time, &[byte]),
            Fate::Doubled => self.back.push(due, &[byte, byte]),
            Fate::Replaced(other) => self.back.push(due, &[other]),
        }
    }

    fn lose_answer(&self, byte: u8, now: Instant, shared: &mut Shared) {
        shared.stats.answers_lost += 1;
        shared.tell(now, Some(self.number), What::AnswerLost { byte });
    }

    fn tell_violation(
        &mut self,
        why: Violation,
        byte: u8,
        action: OnViolation,
        now: Instant,
        shared: &mut Shared,
    ) {
        shared.stats.violations += 1;
        shared.tell(now, Some(self.number), What::Violation { why, byte, action });
        if action == OnViolation::Cut {
            self.state = State::Gone(Ending::Rst);
        }
    }

    /// An end of stream came from one side.
    fn handle_end(&mut self, from_inner: bool, now: Instant, shared: &mut Shared) {
        if matches!(self.state, State::BlackHole { .. }) {
            return;
        }
        if self.swallow.fin {
            self.swallow_ending(Ending::Fin, from_inner, now, shared);
            return;
        }
        let lane = if from_inner { &mut self.forward } else { &mut self.back };
        lane.finish(now + shared.latency);
    }

    /// One side is gone; what is on its way to the other is lost.
    fn handle_broken(&mut self, from_inner: bool, now: Instant, shared: &mut Shared) -> bool {
        if self.swallow.rst {
            self.swallow_ending(Ending::Rst, from_inner, now, shared);
        } else {
            self.state = State::Gone(Ending::Rst);
        }
        false
    }

    fn swallow_ending(&mut self, how: Ending, from_inner: bool, now: Instant, shared: &mut Shared) {
        shared.tell(now, Some(self.number), What::Swallowed { how, from_inner });
        self.state = State::Forgotten;
    }

    fn give_forward(&mut self, now: Instant, shared: &mut Shared) -> bool {
        if self.state != State::Open {
            return false;
        }
        let Some(outer) = self.outer.as_mut() else { return false };
        match give(&mut self.forward, outer, self.segment_bytes, now) {
            Given::Moved => true,
            Given::Nothing => false,
            Given::Broken => self.handle_broken(false, now, shared),
        }
    }

    fn give_back(&mut self, now: Instant, shared: &mut Shared) -> bool {
        if !matches!(self.state, State::Open | State::Dialling { .. }) {
            return false;
        }
        match give(&mut self.back, &mut self.inner, self.segment_bytes, now) {
            Given::Moved => true,
            Given::Nothing => false,
            Given::Broken => self.handle_broken(true, now, shared),
        }
    }
}

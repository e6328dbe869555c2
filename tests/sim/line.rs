//! One connection through the gate: TCP ends on both sides of it, so each side has a life of its own.
//!
//! ```text
//!  sender end ==== forward: bytes, split anywhere ====> receiver end
//!             <=== ready <=== back: one byte an answer ==
//! ```

use std::collections::VecDeque;

use crate::random::Random;

/// Kinds of what any gate may do.
pub(crate) const DISTURBANCES: u64 = 6;

/// What one side of a connection knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing bad.
    Open,
    /// It has to be told that the connection was reset.
    Reset,
    /// Over; nothing more will be told or taken.
    Gone,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Line {
    /// Bytes that the gate holds for the receiver.
    forward: VecDeque<u8>,
    /// Answers that the gate holds for the sender.
    back: VecDeque<u8>,
    /// Answers that lie in the sender's socket.
    ready: VecDeque<u8>,
    /// How the sender's side stands.
    pub(crate) sender: End,
    /// How the receiver's side stands.
    pub(crate) receiver: End,
    /// The gate passes nothing now.
    pub(crate) stalled: bool,
    /// Answers that are to be swallowed.
    pub(crate) swallow: u32,
    /// What the next answer becomes.
    pub(crate) wrong: Option<u8>,
    /// The next answer comes twice.
    pub(crate) double: bool,
}

impl Line {
    /// A connection that both sides have.
    pub(crate) fn new() -> Self {
        Self {
            forward: VecDeque::new(),
            back: VecDeque::new(),
            ready: VecDeque::new(),
            sender: End::Open,
            receiver: End::Open,
            stalled: false,
            swallow: 0,
            wrong: None,
            double: false,
        }
    }

    /// The gate does nothing bad any more; what it did stays done.
    pub(crate) fn calm(&mut self) {
        (self.stalled, self.swallow, self.wrong, self.double) = (false, 0, None, false);
    }

    /// Whether anybody on its sides still is.
    fn is_alive(&self) -> bool {
        self.sender != End::Gone || self.receiver != End::Gone
    }

    /// One of the lines that are alive.
    pub(crate) fn any_alive(lines: &[Self], random: &mut Random) -> Option<usize> {
        let alive: Vec<_> = (0..lines.len()).filter(|index| lines[*index].is_alive()).collect();
        let chosen = usize::try_from(random.below(alive.len() as u64)).unwrap_or_default();
        alive.get(chosen).copied()
    }

    /// What any gate may do at any time: one of [`DISTURBANCES`].
    pub(crate) fn disturb(&mut self, what: u64, random: &mut Random) {
        match what {
            0 | 1 => self.stalled = !self.stalled,
            2 => self.cut(random),
            3 => self.damage(random),
            4 => self.swallow += 1,
            _ => self.answer_unasked(0xff),
        }
    }

    /// The sender writes.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if self.sender == End::Open {
            self.forward.extend(bytes);
        }
    }

    /// Up to `max` bytes for the receiver, as many as chance lets through.
    pub(crate) fn pass(&mut self, max: usize, random: &mut Random) -> Vec<u8> {
        if self.stalled || self.receiver != End::Open {
            return Vec::new();
        }
        let here = self.forward.len().min(max);
        // Single bytes now and then, whole frames as a rule.
        let count = match random.below(8) {
            0 => here.min(1),
            1 => here.min(usize::try_from(random.between(1, 64)).unwrap_or(1)),
            _ => here,
        };
        self.forward.drain(..count).collect()
    }

    /// The receiver answers.
    pub(crate) fn answer(&mut self, byte: u8) {
        if self.swallow > 0 {
            self.swallow -= 1;
        } else if self.sender == End::Open {
            let byte = self.wrong.take().unwrap_or(byte);
            self.back.push_back(byte);
        }
    }

    /// The gate answers by itself, as real ones were seen to do; it is there at once.
    pub(crate) fn answer_unasked(&mut self, byte: u8) {
        if self.sender == End::Open {
            self.ready.push_back(byte);
        }
    }

    /// The next answer for the sender; those that the gate has come before the end of the connection.
    pub(crate) fn take_answer(&mut self) -> Option<u8> {
        if self.sender == End::Gone {
            return None;
        }
        if self.ready.is_empty() && !self.stalled {
            let byte = self.back.pop_front()?;
            self.ready.push_back(byte);
            if std::mem::take(&mut self.double) {
                self.ready.push_back(byte);
            }
        }
        self.ready.pop_front()
    }

    /// Flips a bit of what the gate holds: the checksum has to find it.
    pub(crate) fn damage(&mut self, random: &mut Random) {
        let here = self.forward.len() as u64;
        let place = usize::try_from(random.below(here)).unwrap_or_default();
        if let Some(byte) = self.forward.get_mut(place) {
            *byte ^= 1 << random.below(8);
        }
    }

    /// The sender drops its side. What is on its way may be lost, and the other side may never hear of it.
    pub(crate) fn drop_sender(&mut self, random: &mut Random) {
        self.sender = End::Gone;
        self.back.clear();
        self.ready.clear();
        self.lose(random);
        if self.receiver == End::Open && !random.once_in(4) {
            self.receiver = End::Reset;
        }
    }

    /// The same through a gate that holds nothing back and passes the reset on.
    pub(crate) fn drop_sender_cleanly(&mut self) {
        self.sender = End::Gone;
        self.forward.clear();
        if self.receiver == End::Open {
            self.receiver = End::Reset;
        }
    }

    /// The receiver drops its side.
    pub(crate) fn drop_receiver(&mut self, random: &mut Random) {
        self.receiver = End::Gone;
        self.forward.clear();
        if self.sender == End::Open && !random.once_in(8) {
            self.sender = End::Reset;
        }
    }

    /// The gate drops the connection: on both sides, or on one.
    pub(crate) fn cut(&mut self, random: &mut Random) {
        self.lose(random);
        let sides = random.below(3);
        if sides != 1 && self.sender == End::Open {
            self.sender = End::Reset;
        }
        if sides != 0 && self.receiver == End::Open {
            self.receiver = End::Reset;
        }
        if random.once_in(2) {
            self.back.clear();
        }
    }

    fn lose(&mut self, random: &mut Random) {
        let keep = usize::try_from(random.below(self.forward.len() as u64 + 1)).unwrap_or_default();
        if random.once_in(2) {
            self.forward.truncate(keep);
        }
    }
}

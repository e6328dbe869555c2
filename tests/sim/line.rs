//! One connection through the gate: TCP ends on both sides of it, so each side has a life of its own.
//!
//! ```text
//!  sender end ==== forward: bytes, split anywhere ====> receiver end
//!             <=== back: one byte an answer ===========
//! ```

use std::collections::VecDeque;

use crate::random::Random;

/// What one side of a connection knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing bad.
    Open,
    /// It has to be told that the connection was reset.
    Reset,
    /// Over; nothing more will be told or taken.
    Gone,
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    /// Bytes that the gate holds for the receiver.
    forward: VecDeque<u8>,
    /// Answers that the gate holds for the sender.
    back: VecDeque<u8>,
    /// How the sender's side stands.
    pub sender: End,
    /// How the receiver's side stands.
    pub receiver: End,
    /// The gate passes nothing now.
    pub stalled: bool,
    /// Answers that are to be swallowed.
    pub swallow: u32,
}

impl Line {
    /// A connection that both sides have.
    pub fn new() -> Self {
        Self {
            forward: VecDeque::new(),
            back: VecDeque::new(),
            sender: End::Open,
            receiver: End::Open,
            stalled: false,
            swallow: 0,
        }
    }

    /// The sender writes.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.sender == End::Open {
            self.forward.extend(bytes);
        }
    }

    /// Up to `max` bytes for the receiver, as many as chance lets through.
    pub fn pass(&mut self, max: usize, random: &mut Random) -> Vec<u8> {
        if self.stalled || self.receiver != End::Open {
            return Vec::new();
        }
        let here = self.forward.len().min(max);
        // Single bytes now and then, whole frames as a rule.
        let count = match random.below(4) {
            0 => here.min(1),
            1 => here.min(usize::try_from(random.between(1, 64)).unwrap_or(1)),
            _ => here,
        };
        self.forward.drain(..count).collect()
    }

    /// Whether there is something for the receiver.
    pub fn has_forward(&self) -> bool {
        !self.stalled && self.receiver == End::Open && !self.forward.is_empty()
    }

    /// The receiver answers.
    pub fn answer(&mut self, byte: u8) {
        if self.swallow > 0 {
            self.swallow -= 1;
        } else if self.receiver == End::Open {
            self.back.push_back(byte);
        }
    }

    /// The gate answers by itself, as real ones were seen to do.
    pub fn answer_unasked(&mut self, byte: u8) {
        self.back.push_back(byte);
    }

    /// The next answer for the sender.
    pub fn take_answer(&mut self) -> Option<u8> {
        if self.stalled || self.sender != End::Open { None } else { self.back.pop_front() }
    }

    /// Whether there is an answer for the sender.
    pub fn has_answer(&self) -> bool {
        !self.stalled && self.sender == End::Open && !self.back.is_empty()
    }

    /// Flips a bit of what the gate holds: the checksum has to find it.
    pub fn damage(&mut self, random: &mut Random) {
        let here = self.forward.len() as u64;
        let place = usize::try_from(random.below(here)).unwrap_or_default();
        if let Some(byte) = self.forward.get_mut(place) {
            *byte ^= 1 << random.below(8);
        }
    }

    /// The sender drops its side. What is on its way may be lost, and the other side may never hear of it.
    pub fn drop_sender(&mut self, random: &mut Random) {
        self.sender = End::Gone;
        self.back.clear();
        self.lose(random);
        if self.receiver == End::Open && !random.once_in(4) {
            self.receiver = End::Reset;
        }
    }

    /// The receiver drops its side.
    pub fn drop_receiver(&mut self, random: &mut Random) {
        self.receiver = End::Gone;
        self.forward.clear();
        if self.sender == End::Open && !random.once_in(8) {
            self.sender = End::Reset;
        }
    }

    /// The gate drops the connection: on both sides, or on one.
    pub fn cut(&mut self, random: &mut Random) {
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
        self.forward.truncate(keep);
    }
}

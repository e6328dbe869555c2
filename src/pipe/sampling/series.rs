//! The states of all series of a pipe: as many as the limit lets, in memory that grows with them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::rule::State;

/// States by series. A series is known by two hashes of 64 bits, drawn anew in each run: that two of them meet is
/// out of the question.
#[derive(Debug)]
pub(super) struct Series {
    states: HashMap<(u64, u64), State>,
    hashers: [RandomState; 2],
    most: usize,
    left_out: u64,
}

/// A device's part of the hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device([u64; 2]);

impl Series {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        let hashers = [RandomState::new(), RandomState::new()];
        Self { states: HashMap::new(), hashers, most, left_out: 0 }
    }

    /// A device, hashed once for its measurements.
    pub(super) fn device(&self, device: &[u8]) -> Device {
        Device(self.hashers.each_ref().map(|hasher| hasher.hash_one(device)))
    }

    /// The state of a series; none beyond the limit.
    pub(super) fn state(&mut self, device: Device, measurement: &[u8]) -> Option<&mut State> {
        let [one, other] = &self.hashers;
        let Device([first, second]) = device;
        let key = (one.hash_one((first, measurement)), other.hash_one((second, measurement)));
        if self.states.len() >= self.most && !self.states.contains_key(&key) {
            self.left_out += 1;
            return None;
        }
        Some(self.states.entry(key).or_default())
    }

    /// How often a series was asked for that the limit leaves out.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }
}

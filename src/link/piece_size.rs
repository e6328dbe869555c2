//! How many bytes of a file go into one piece.
//!
//! ```text
//!             refused twice at the same place
//!   configured ------> 1 MiB ------> 256 KiB ------> 64 KiB ------> 16 KiB
//!        <--------------------------------------------------------
//!          one step up at the start of a delivery, after PATIENCE;
//!          a step up that fails doubles the patience
//! ```
//!
//! Stock receivers refuse frames above a limit that depends on their heap, and nobody tells the
//! sender which (hazard J7); a slow gate cannot bring a large piece through within the time limit
//! of its answer. Both show as the same place failing again and again.

use std::time::{Duration, Instant};

use crate::limits::{KIB, MIB};

/// Sizes below the configured one, largest first.
const STEPS: [usize; 4] = [MIB, 256 * KIB, 64 * KIB, 16 * KIB];
/// Time after which a larger size is tried again.
const PATIENCE: Duration = Duration::from_secs(600);
/// Longest time between two such attempts: each that fails costs a repetition of the file.
const PATIENCE_MAX: Duration = Duration::from_secs(86_400);

/// The size of pieces as the far side seems to take them.
#[derive(Debug, Clone)]
pub struct PieceSize {
    configured: usize,
    current: usize,
    lowered: Option<Instant>,
    patience: Duration,
    /// The current size is a step up that no piece has proven yet.
    trial: bool,
}

impl PieceSize {
    /// Pieces of `configured` bytes, at least one, until something speaks against it.
    pub fn new(configured: usize) -> Self {
        let configured = configured.max(1);
        Self { configured, current: configured, lowered: None, patience: PATIENCE, trial: false }
    }

    /// Bytes of the next piece.
    pub fn bytes(&self) -> usize {
        self.current
    }

    /// A delivery starts: time to try a larger size, if the last step down is long ago.
    pub fn handle_start(&mut self, now: Instant) {
        let Some(lowered) = self.lowered else { return };
        if self.current < self.configured && now >= lowered + self.patience {
            self.current = self.above();
            self.lowered = Some(now);
            self.trial = true;
        }
    }

    /// A piece of this many bytes was accepted.
    pub fn handle_accepted(&mut self, bytes: usize) {
        if self.trial && bytes == self.current {
            self.trial = false;
            self.patience = PATIENCE;
        }
    }

    /// A piece of `bytes` failed, for the `times`-th time at this place.
    pub fn handle_failed(&mut self, now: Instant, bytes: usize, times: u32) {
        if times < 2 && !self.trial {
            return;
        }
        let Some(below) = STEPS.into_iter().find(|&step| step < bytes.min(self.current)) else {
            return;
        };
        if self.trial {
            self.patience = self.patience.saturating_mul(2).min(PATIENCE_MAX);
        }
        self.current = below;
        self.lowered = Some(now);
        self.trial = false;
    }

    fn above(&self) -> usize {
        let larger = STEPS.into_iter().rev().find(|&step| step > self.current);
        larger.unwrap_or(self.configured).min(self.configured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an origin for the fake clock")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn fail_twice(size: &mut PieceSize, now: Instant) {
        let bytes = size.bytes();
        size.handle_failed(now, bytes, 1);
        size.handle_failed(now, bytes, 2);
    }

    #[test]
    fn second_failure_at_a_place_steps_down_to_the_smallest() {
        let now = origin();
        let mut size = PieceSize::new(64 * MIB);
        for expected in STEPS {
            let bytes = size.bytes();
            size.handle_failed(now, bytes, 1);
            assert_eq!(size.bytes(), bytes, "one failure proves nothing");
            size.handle_failed(now, bytes, 2);
            assert_eq!(size.bytes(), expected);
        }
        fail_twice(&mut size, now);
        assert_eq!(size.bytes(), 16 * KIB);
    }

    #[test]
    fn short_last_piece_steps_below_its_own_size() {
        let mut size = PieceSize::new(MIB);
        size.handle_failed(origin(), 100 * KIB, 2);
        assert_eq!(size.bytes(), 64 * KIB);
        size.handle_failed(origin(), 10, 2);
        assert_eq!(size.bytes(), 64 * KIB, "ten bytes are not refused for their number");
    }

    #[test]
    fn size_recovers_step_by_step_at_the_start_of_deliveries() {
        let mut now = origin();
        let mut size = PieceSize::new(512 * KIB);
        fail_twice(&mut size, now);
        fail_twice(&mut size, now);
        assert_eq!(size.bytes(), 64 * KIB);
        size.handle_start(now + PATIENCE.saturating_sub(Duration::from_secs(1)));
        assert_eq!(size.bytes(), 64 * KIB);
        for expected in [256 * KIB, 512 * KIB, 512 * KIB] {
            now += PATIENCE;
            size.handle_start(now);
            assert_eq!(size.bytes(), expected);
            size.handle_accepted(expected);
        }
    }

    #[test]
    fn step_up_that_fails_once_is_taken_back_and_waits_twice_as_long() {
        let mut now = origin();
        let mut size = PieceSize::new(MIB);
        fail_twice(&mut size, now);
        now += PATIENCE;
        size.handle_start(now);
        assert_eq!(size.bytes(), MIB);
        size.handle_accepted(5);
        size.handle_failed(now, MIB, 1);
        assert_eq!(size.bytes(), 256 * KIB);
        size.handle_start(now + PATIENCE);
        assert_eq!(size.bytes(), 256 * KIB);
        size.handle_start(now + PATIENCE * 2);
        assert_eq!(size.bytes(), MIB);
    }
}

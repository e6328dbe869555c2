//! How long to wait before the next attempt.
//!
//! ```text
//!  attempt      1      2       3      4    ..   n
//!  ceiling    first  2 first 4 first  ..       cap
//!  wait       somewhere between half of the ceiling and the ceiling
//! ```
//!
//! The upper half is drawn at random, so that the pipes of many boxes that lost the same gate do
//! not come back in step. The generator is seeded by the caller: a test sees the same waits again.

use std::time::Duration;

/// A wait that doubles with each attempt, with jitter and a cap.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    ceiling: Duration,
    random: Random,
}

impl Backoff {
    /// Waits from about `first` to about `cap`, drawn from `seed`.
    pub fn new(first: Duration, cap: Duration, seed: u64) -> Self {
        let first = first.min(cap);
        Self { first, cap, ceiling: first, random: Random::new(seed) }
    }

    /// The wait before the next attempt; the one after it will be twice as long.
    pub fn next_wait(&mut self) -> Duration {
        let half = self.ceiling / 2;
        self.ceiling = self.ceiling.saturating_mul(2).min(self.cap);
        half + half.mul_f64(self.random.fraction())
    }

    /// Something succeeded: the next wait is short again.
    pub fn reset(&mut self) {
        self.ceiling = self.first;
    }

    /// The generator behind the jitter, for other choices that only have to differ between boxes.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

/// A small generator of numbers (splitmix64): spread well, not secret.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`; every seed is good, zero too.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`; zero if `count` is.
    pub fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next_u64() % count).unwrap_or(0)
    }

    /// A number from 0 up to 1, without 1.
    fn fraction(&mut self) -> f64 {
        // 32 bits convert without loss; finer grain than any timer.
        let bits = u32::try_from(self.next_u64() >> 32).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn wait_doubles_up_to_the_cap_and_keeps_its_lower_half() {
        let mut backoff = Backoff::new(FIRST, CAP, 7);
        let mut ceiling = FIRST;
        for _ in 0..20 {
            let wait = backoff.next_wait();
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} of {ceiling:?}");
            ceiling = (ceiling * 2).min(CAP);
        }
        assert_eq!(ceiling, CAP);
    }

    #[test]
    fn reset_makes_the_wait_short_again() {
        let mut backoff = Backoff::new(FIRST, CAP, 7);
        for _ in 0..10 {
            backoff.next_wait();
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    #[test]
    fn equal_seeds_wait_alike_and_others_do_not() {
        let waits = |seed| {
            let mut backoff = Backoff::new(FIRST, CAP, seed);
            (0..8).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn first_is_never_above_the_cap() {
        let mut backoff = Backoff::new(CAP * 2, CAP, 0);
        assert!(backoff.next_wait() <= CAP);
    }

    #[test]
    fn below_reaches_every_number_and_none_beyond() {
        let mut random = Random::new(3);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}

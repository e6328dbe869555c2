//! How fast something goes: bytes of the last seconds, in fixed memory.

use std::time::{Duration, Instant};

/// Counts bytes by second and knows the mean rate of the last 8 seconds.
#[derive(Debug, Clone)]
pub struct Meter {
    start: Instant,
    /// Second since `start` that the newest count belongs to.
    second: u64,
    /// Bytes by second, at the second modulo the length.
    counts: [u64; SLOTS],
}

impl Meter {
    /// A meter that has seen nothing before `start`.
    pub fn new(start: Instant) -> Self {
        Self { start, second: 0, counts: [0; SLOTS] }
    }

    /// Counts `bytes` at `now`.
    pub fn add(&mut self, bytes: u64, now: Instant) {
        self.turn_to(now);
        if let Some(count) = self.counts.get_mut(slot(self.second)) {
            *count = count.saturating_add(bytes);
        }
    }

    /// Bytes per second over the window that ends at `now`; less than the window right after the start.
    pub fn rate(&mut self, now: Instant) -> u64 {
        self.turn_to(now);
        let age = now.saturating_duration_since(self.start);
        let within_second = age.as_millis() % 1000;
        let millis =
            age.as_millis().min(u128::from(WINDOW_SECONDS) * 1000 + within_second).max(250);
        let bytes = self.counts.iter().fold(0_u128, |sum, count| sum + u128::from(*count));
        u64::try_from(bytes * 1000 / millis).unwrap_or(u64::MAX)
    }

    /// Forgets the seconds that fell out of the window.
    fn turn_to(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.start).as_secs();
        for passed in (self.second..second).take(SLOTS) {
            if let Some(count) = self.counts.get_mut(slot(passed + 1)) {
                *count = 0;
            }
        }
        if second > self.second + WINDOW_SECONDS {
            self.counts = [0; SLOTS];
        }
        self.second = self.second.max(second);
    }
}

/// How long `bytes` take at `rate` bytes per second; none when nothing moves.
pub(super) fn time_left(bytes: u64, rate: u64) -> Option<Duration> {
    match (bytes, rate) {
        (0, _) => Some(Duration::ZERO),
        (_, 0) => None,
        _ => Some(Duration::from_secs(bytes.div_ceil(rate))),
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % (WINDOW_SECONDS + 1)).unwrap_or(0)
}

/// Long enough to smooth pieces and stalls, short enough that people see a change.
const WINDOW_SECONDS: u64 = 8;
/// The whole seconds of the window, and the one that runs.
const SLOTS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn steady_flow_has_its_rate() {
        let start = clock::now();
        let mut meter = Meter::new(start);
        for step in 0..200 {
            meter.add(100, at(start, step * 100));
        }
        let rate = meter.rate(at(start, 19_999));
        assert!((990..=1010).contains(&rate), "{rate}");
    }

    #[test]
    fn rate_is_right_soon_after_the_start() {
        let start = clock::now();
        let mut meter = Meter::new(start);
        meter.add(500, at(start, 100));
        assert_eq!(meter.rate(at(start, 500)), 1000);
    }

    #[test]
    fn stall_brings_the_rate_to_zero() {
        let start = clock::now();
        let mut meter = Meter::new(start);
        meter.add(9_000, at(start, 500));
        assert!(meter.rate(at(start, 4_000)) > 0);
        assert_eq!(meter.rate(at(start, 9_600)), 0);
        meter.add(9_000, at(start, 60_000));
        assert!(meter.rate(at(start, 60_500)) > 1000);
    }

    #[test]
    fn time_left_rounds_up_and_knows_never() {
        assert_eq!(time_left(0, 0), Some(Duration::ZERO));
        assert_eq!(time_left(10, 0), None);
        assert_eq!(time_left(10, 4), Some(Duration::from_secs(3)));
    }
}

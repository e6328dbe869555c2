//! A wire of a given speed, shared by everything that goes one way through the gate.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// A token bucket without depth: bytes leave one after another at the wire's speed, never in a burst.
///
/// Lateness of the caller does not add up: as long as there is something to send, each departure
/// is reckoned from the one before, not from the clock.
#[derive(Debug, Default)]
pub(crate) struct Link {
    bits_per_second: Option<NonZeroU64>,
    free_at: Option<Instant>,
}

impl Link {
    /// A wire of this speed; none is as fast as it goes.
    pub(crate) fn new(bits_per_second: Option<NonZeroU64>) -> Self {
        Self { bits_per_second, free_at: None }
    }

    /// Changes the speed for what comes next.
    pub(crate) fn set_speed(&mut self, bits_per_second: Option<NonZeroU64>) {
        self.bits_per_second = bits_per_second;
    }

    /// Puts `bytes` on the wire and says when the last bit of them has left.
    pub(crate) fn send(&mut self, now: Instant, bytes: usize) -> Instant {
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        let left = start + self.time_of(bytes);
        self.free_at = Some(left);
        left
    }

    fn time_of(&self, bytes: usize) -> Duration {
        let Some(bits_per_second) = self.bits_per_second else { return Duration::ZERO };
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        let nanos = u128::from(bits) * 1_000_000_000 / u128::from(bits_per_second.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    fn megabit() -> Link {
        Link::new(NonZeroU64::new(1_000_000))
    }

    #[test]
    fn bytes_leave_at_the_speed_of_the_wire() {
        let start = now();
        let mut link = megabit();
        assert_eq!(link.send(start, 1250), start + Duration::from_millis(10));
        assert_eq!(link.send(start, 1250), start + Duration::from_millis(20));
    }

    #[test]
    fn an_idle_wire_saves_nothing_up() {
        let start = now();
        let mut link = megabit();
        link.send(start, 1250);
        let later = start + Duration::from_secs(1);
        assert_eq!(link.send(later, 1250), later + Duration::from_millis(10));
    }

    #[test]
    fn a_late_caller_loses_no_speed_while_the_wire_is_busy() {
        let start = now();
        let mut link = megabit();
        link.send(start, 1250);
        let late = start + Duration::from_millis(9);
        assert_eq!(link.send(late, 1250), start + Duration::from_millis(20));
    }

    #[test]
    fn no_speed_is_no_delay() {
        let start = now();
        let mut link = Link::new(None);
        assert_eq!(link.send(start, 1 << 30), start);
    }
}

//! The time of a schedule: for the machines, and for people who follow it.

use std::fmt::Arguments;
use std::time::Instant;

use penstock::ops::clock::EpochMillis;

/// What the wall clocks say at the start.
const NOON: i64 = 1_795_361_628_250;

/// When a schedule began, and whether it is told.
pub(crate) struct Time {
    start: Instant,
    pub(crate) is_told: bool,
}

impl Time {
    pub(crate) const fn new(start: Instant, is_told: bool) -> Self {
        Self { start, is_told }
    }

    /// What wall clocks say.
    pub(crate) fn wall(&self, now: Instant) -> EpochMillis {
        let passed = now.duration_since(self.start).as_millis();
        EpochMillis(NOON + i64::try_from(passed).unwrap_or_default())
    }

    /// Tells what happens.
    pub(crate) fn tell(&self, now: Instant, what: Arguments<'_>) {
        if self.is_told {
            println!("{:>10.3} s  {what}", now.duration_since(self.start).as_secs_f64());
        }
    }
}

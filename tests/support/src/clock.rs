//! The one place that reads the clock and sleeps.

use std::time::{Duration, Instant};

/// The present.
#[expect(clippy::disallowed_methods, reason = "tests of whole programs run against the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// A pause between two looks at a condition.
#[expect(clippy::disallowed_methods, reason = "conditions of other processes can only be polled")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

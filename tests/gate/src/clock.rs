//! The one place that reads the clock.

use std::time::{Duration, Instant};

/// The present.
#[expect(clippy::disallowed_methods, reason = "everything else takes the time as an argument")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits out what is finer than the poller's own millisecond.
#[expect(clippy::disallowed_methods, reason = "a wire of 5 ms needs a finer timer than epoll has")]
pub(crate) fn nap(time: Duration) {
    std::thread::sleep(time);
}

/// The earlier of two moments that may not be.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

//! A limit on bytes per second, as a bucket that fills with time.
//!
//! ```text
//!   rate bytes/s --> +--------+
//!                    | bucket | --> grant(now, wanted): how many bytes may leave now,
//!                    +--------+     or until when to wait for the next
//!                 holds an eighth of a second
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Part of a second that a bucket holds, so that a limit is kept over short times too.
const BUCKET: Duration = Duration::from_millis(125);
/// A bucket holds at least this: fewer bytes than a packet save nothing.
const BUCKET_BYTES_MIN: f64 = 1024.0;

/// What a limit says about bytes that want to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// So many may leave now (at least one, at most what was asked for), and are booked.
    Now(usize),
    /// None before then.
    Until(Instant),
}

/// A limit on bytes per second.
#[derive(Debug, Clone)]
pub struct RateLimit {
    bytes_per_second: f64,
    tokens: f64,
    filled: Option<Instant>,
}

impl RateLimit {
    /// At most `bytes_per_second`; `None` unless it is a number above zero, as no limit is meant
    /// then (`sink.rate-limit-bytes-per-second` is -1 by default).
    pub fn new(bytes_per_second: f64) -> Option<Self> {
        let limited = bytes_per_second.is_finite() && bytes_per_second > 0.0;
        limited.then_some(Self { bytes_per_second, tokens: 0.0, filled: None })
    }

    /// Books up to `wanted` bytes, or says when to ask again.
    pub fn grant(&mut self, now: Instant, wanted: usize) -> Grant {
        self.fill(now);
        if self.tokens < 1.0 {
            return Grant::Until(now + self.time_for(self.quantum().min(count(wanted))));
        }
        let granted = whole(self.tokens).min(wanted);
        self.tokens -= count(granted);
        Grant::Now(granted)
    }

    /// Gives back what was booked and did not leave.
    pub fn give_back(&mut self, bytes: usize) {
        self.tokens = (self.tokens + count(bytes)).min(self.capacity());
    }

    fn fill(&mut self, now: Instant) {
        let gained = match self.filled {
            Some(filled) => {
                now.saturating_duration_since(filled).as_secs_f64() * self.bytes_per_second
            }
            None => self.capacity(),
        };
        self.filled = Some(now);
        self.tokens = (self.tokens + gained).min(self.capacity());
    }

    fn capacity(&self) -> f64 {
        (self.bytes_per_second * BUCKET.as_secs_f64()).max(BUCKET_BYTES_MIN)
    }

    /// What is worth waking up for: half a bucket, but no more than a second's worth, as whoever waits
    /// for progress should see some.
    fn quantum(&self) -> f64 {
        (self.capacity() / 2.0).min(self.bytes_per_second)
    }

    fn time_for(&self, bytes: f64) -> Duration {
        let seconds = (bytes.max(1.0) - self.tokens) / self.bytes_per_second;
        Duration::try_from_secs_f64(seconds).unwrap_or(BUCKET)
    }
}

/// A limit that several share: whoever asks first is granted first.
#[derive(Debug, Clone)]
pub struct SharedRate(Arc<Mutex<RateLimit>>);

impl SharedRate {
    /// Whoever has a clone shares it.
    pub fn new(limit: RateLimit) -> Self {
        Self(Arc::new(Mutex::new(limit)))
    }

    fn limit(&self) -> MutexGuard<'_, RateLimit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits that somebody keeps: his own, and one that he shares.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// His own.
    pub own: Option<RateLimit>,
    /// That of all.
    pub shared: Option<SharedRate>,
}

impl Rates {
    /// Books what both grant.
    pub fn grant(&mut self, now: Instant, wanted: usize) -> Grant {
        let granted = match self.own.as_mut().map(|own| own.grant(now, wanted)) {
            None => wanted,
            Some(Grant::Now(granted)) => granted,
            Some(later @ Grant::Until(_)) => return later,
        };
        let Some(shared) = &self.shared else { return Grant::Now(granted) };
        let both = shared.limit().grant(now, granted);
        let unused = match both {
            Grant::Now(both) => granted.saturating_sub(both),
            Grant::Until(_) => granted,
        };
        if let Some(own) = &mut self.own {
            own.give_back(unused);
        }
        both
    }

    /// Gives back what was booked and did not leave.
    pub fn give_back(&mut self, bytes: usize) {
        if let Some(own) = &mut self.own {
            own.give_back(bytes);
        }
        if let Some(shared) = &self.shared {
            shared.limit().give_back(bytes);
        }
    }
}

fn count(bytes: usize) -> f64 {
    // A frame is far below 4 GiB; more than that is granted in several turns.
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float casts to the nearest integer in range, and tokens are never below zero here"
)]
fn whole(tokens: f64) -> usize {
    tokens as u32 as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an origin for the fake clock")]
    fn origin() -> Instant {
        Instant::now()
    }

    /// Sends `bytes` through the limit and says how long that took.
    fn time_to_send(limit: &mut RateLimit, mut bytes: usize) -> Duration {
        let start = origin();
        let mut now = start;
        while bytes > 0 {
            match limit.grant(now, bytes) {
                Grant::Now(granted) => {
                    assert!(granted > 0 && granted <= bytes);
                    bytes -= granted;
                }
                Grant::Until(later) => {
                    assert!(later > now);
                    now = later;
                }
            }
        }
        now - start
    }

    #[test]
    fn long_run_keeps_the_rate() {
        for rate in [10_000.0, 1_000_000.0, 100_000_000.0] {
            let mut limit = RateLimit::new(rate).unwrap();
            let seconds = time_to_send(&mut limit, whole(rate * 10.0)).as_secs_f64();
            assert!((9.7..=10.1).contains(&seconds), "{seconds} s at {rate}");
        }
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let mut limit = RateLimit::new(1_000_000.0).unwrap();
        let start = origin();
        let Grant::Now(first) = limit.grant(start, usize::MAX) else { panic!("empty at start") };
        let Grant::Now(later) = limit.grant(start + Duration::from_secs(3600), usize::MAX) else {
            panic!("empty after an hour")
        };
        assert_eq!((first, later), (125_000, 125_000));
    }

    #[test]
    fn what_did_not_leave_can_be_given_back() {
        let mut limit = RateLimit::new(8_000_000.0).unwrap();
        let now = origin();
        assert_eq!(limit.grant(now, 1_000_000), Grant::Now(1_000_000));
        assert!(matches!(limit.grant(now, 1), Grant::Until(_)));
        limit.give_back(10);
        assert_eq!(limit.grant(now, 100), Grant::Now(10));
    }

    #[test]
    fn two_that_share_a_limit_keep_it_together_and_each_its_own() {
        let shared = SharedRate::new(RateLimit::new(1_000_000.0).unwrap());
        let with = |own: f64| Rates { own: RateLimit::new(own), shared: Some(shared.clone()) };
        // One has no limit of its own, the other a low one.
        let (mut all, mut sent) = ([with(0.0), with(100_000.0)], [0; 2]);
        let start = origin();
        for (millis, index) in (0..10_000).flat_map(|millis| [(millis, 0), (millis, 1)]) {
            let now = start + Duration::from_millis(millis);
            if let Grant::Now(granted) = all[index].grant(now, 65_536) {
                // A socket takes less than it is offered.
                let left = granted / 2;
                all[index].give_back(granted - left);
                sent[index] += left;
            }
        }
        let [first, second] = sent;
        assert!((9_800_000..10_200_000).contains(&(first + second)), "{sent:?}");
        assert!((100_000..1_020_000).contains(&second), "{sent:?}");
    }

    #[test]
    fn slow_rates_go_on_byte_by_byte_if_they_must() {
        let mut limit = RateLimit::new(0.5).unwrap();
        let seconds = time_to_send(&mut limit, 1024 + 2).as_secs_f64();
        assert!((3.9..=4.1).contains(&seconds), "{seconds}");
    }

    #[test]
    fn zero_negative_and_nonsense_mean_no_limit() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(RateLimit::new(rate).is_none(), "{rate}");
        }
    }
}

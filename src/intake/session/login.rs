//! Who has given wrong passwords: an address has to wait longer each time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits::{LOGIN_ADDRESSES_MAX, LOGIN_FAILURES_FREE, LOGIN_PAUSE_FIRST, LOGIN_PAUSE_MAX};

/// Failed logins of each address.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: BTreeMap<IpAddr, Failed>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Failed {
    /// Until when nothing is looked at.
    fn until(self) -> Instant {
        match self.times.checked_sub(LOGIN_FAILURES_FREE) {
            None => self.last,
            Some(doublings) => {
                let pause = LOGIN_PAUSE_FIRST.saturating_mul(1 << doublings.min(MOST_DOUBLINGS));
                self.last + pause.min(LOGIN_PAUSE_MAX)
            }
        }
    }
}

/// Beyond the longest pause.
const MOST_DOUBLINGS: u32 = 16;

impl Attempts {
    /// Whether a login from there is not to be looked at now.
    pub(super) fn is_locked(&self, address: IpAddr, now: Instant) -> bool {
        self.failed.get(&address).is_some_and(|failed| now < failed.until())
    }

    /// A wrong name or password. Of too many addresses the one that failed longest ago is forgotten.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        let failed = self.failed.entry(address).or_insert(Failed { times: 0, last: now });
        failed.times = failed.times.saturating_add(1);
        failed.last = now;
        if self.failed.len() > LOGIN_ADDRESSES_MAX {
            let oldest = self.failed.iter().min_by_key(|(_, failed)| failed.last);
            if let Some(address) = oldest.map(|(address, _)| *address) {
                self.failed.remove(&address);
            }
        }
    }

    /// A right one.
    pub(super) fn succeeded(&mut self, address: IpAddr) {
        self.failed.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    #[test]
    fn an_address_that_guesses_waits_longer_each_time_and_nobody_else_does() {
        let now = clock::now();
        let (guesser, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut attempts = Attempts::default();
        for _ in 1..LOGIN_FAILURES_FREE {
            attempts.failed(guesser, now);
            assert!(!attempts.is_locked(guesser, now));
        }
        attempts.failed(guesser, now);
        assert!(attempts.is_locked(guesser, now) && !attempts.is_locked(other, now));
        assert!(!attempts.is_locked(guesser, now + LOGIN_PAUSE_FIRST));
        attempts.failed(guesser, now);
        assert!(attempts.is_locked(guesser, now + LOGIN_PAUSE_FIRST));
        assert!(!attempts.is_locked(guesser, now + LOGIN_PAUSE_FIRST * 2));
        for _ in 0..100 {
            attempts.failed(guesser, now);
        }
        assert!(!attempts.is_locked(guesser, now + LOGIN_PAUSE_MAX));
        attempts.succeeded(guesser);
        assert!(!attempts.is_locked(guesser, now));
    }

    #[test]
    fn addresses_are_remembered_up_to_a_number() {
        let mut now = clock::now();
        let mut attempts = Attempts::default();
        for number in 0..u32::try_from(LOGIN_ADDRESSES_MAX).unwrap() + 5 {
            now += LOGIN_PAUSE_FIRST;
            attempts.failed(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(attempts.failed.len(), LOGIN_ADDRESSES_MAX);
        assert!(!attempts.failed.contains_key(&IpAddr::from([0, 0, 0, 4])));
    }
}

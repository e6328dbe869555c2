//! A wait that a person is told of once it has lasted.

use std::time::{Duration, Instant};

/// A full spool takes the next file within moments while it drains; this long it does not.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long something has waited.
#[derive(Debug, Default)]
pub(super) struct Patience {
    since: Option<Instant>,
    /// A person was told.
    is_told: bool,
}

impl Patience {
    /// It waits; says whether a person has to know by now.
    pub(super) fn waits(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.is_told |= now.saturating_duration_since(since) >= PATIENCE;
        self.is_told
    }

    /// It goes on; says whether a person was told.
    pub(super) fn ends(&mut self) -> bool {
        std::mem::take(self).is_told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    #[test]
    fn a_person_is_told_of_a_long_wait_only() {
        let (mut patience, start) = (Patience::default(), clock::now());
        assert!(!patience.waits(start) && !patience.waits(start + Duration::from_secs(29)));
        assert!(!patience.ends());
        let later = start + Duration::from_secs(60);
        assert!(!patience.waits(later), "it begins anew");
        assert!(patience.waits(later + PATIENCE));
        assert!(patience.ends() && !patience.ends());
    }
}

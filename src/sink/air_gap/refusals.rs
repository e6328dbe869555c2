//! For how long a delivery has been refused, which is what the operator's two limits are about.

use std::time::{Duration, Instant};

/// Which of the operator's limits a refusal falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// `exception.conflict.retry-max-time-seconds`.
    Conflict,
    /// `exception.others.retry-max-time-seconds`.
    Others,
}

/// The refusals of one delivery under one limit. What lies between two of them counts only where both fall under it and
/// nothing else happened in between: neither an outage of the connection nor a far side that is short of memory is a
/// refusal.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    limit: Option<Limit>,
    refused: Duration,
    /// The last one, unless something else has happened since.
    last: Option<Instant>,
}

impl Refusals {
    /// It was refused once more: for how long by now.
    pub(super) fn note(&mut self, limit: Limit, now: Instant) -> Duration {
        if self.limit != Some(limit) {
            *self = Self { limit: Some(limit), ..Self::default() };
        }
        let since = self.last.replace(now);
        let more = since.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.refused = self.refused.saturating_add(more);
        self.refused
    }

    /// Something else happened to it.
    pub(super) const fn pause(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_under_the_other_limit_does_not_count() {
        let (start, mut refusals) = (clock::now(), Refusals::default());
        assert_eq!(refusals.note(Limit::Others, start), Duration::ZERO);
        assert_eq!(refusals.note(Limit::Others, start + 600 * SECOND), 600 * SECOND);
        assert_eq!(refusals.note(Limit::Conflict, start + 601 * SECOND), Duration::ZERO);
        assert_eq!(refusals.note(Limit::Conflict, start + 631 * SECOND), 30 * SECOND);
        assert_eq!(refusals.note(Limit::Others, start + 632 * SECOND), Duration::ZERO);
    }

    #[test]
    fn an_outage_does_not_count_and_takes_nothing_away() {
        let (start, mut refusals) = (clock::now(), Refusals::default());
        refusals.note(Limit::Conflict, start);
        assert_eq!(refusals.note(Limit::Conflict, start + 20 * SECOND), 20 * SECOND);
        refusals.pause();
        assert_eq!(refusals.note(Limit::Conflict, start + 900 * SECOND), 20 * SECOND);
        assert_eq!(refusals.note(Limit::Conflict, start + 930 * SECOND), 50 * SECOND);
    }
}

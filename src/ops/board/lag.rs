//! How long something has waited before a pipe.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::data::Sequence;

/// Moments at which entries were there: the age of what waits, to one part in 15.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// Entries below this were there at that moment; ascending.
    seen: VecDeque<(Sequence, Instant)>,
}

/// Moments that are kept: every second one goes when there is no room for more.
const MOMENTS_MAX: usize = 64;
/// From one moment to the next, at least.
const MOMENT_PERIOD: Duration = Duration::from_secs(1);
/// And so much of the time since the first one.
const PERIOD_SHARE: u32 = 32;

impl Lag {
    /// Everything below `synced` is there, and a pipe has come to `position`.
    pub(super) fn note(&mut self, now: Instant, synced: Sequence, position: Sequence) {
        while self.seen.front().is_some_and(|(below, _)| *below <= position) {
            self.seen.pop_front();
        }
        let period = MOMENT_PERIOD.max(self.age(now) / PERIOD_SHARE);
        let is_due = self.seen.back().is_none_or(|(below, at)| {
            *below < synced && now.saturating_duration_since(*at) >= period
        });
        if synced <= position || !is_due {
            return;
        }
        if self.seen.len() >= MOMENTS_MAX {
            let mut stays = false;
            self.seen.retain(|_| {
                stays = !stays;
                stays
            });
        }
        self.seen.push_back((synced, now));
    }

    /// How long the oldest entry has waited.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.seen.front().map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at))
    }

    /// Where what came lately begins, if something from `first` on has waited for `limit`: what came from then on, and if
    /// something of that has waited for as long, what came from then on, and so on. Everything below `synced` is there.
    pub(super) fn fresh_from(
        &self,
        now: Instant,
        (first, synced): (Sequence, Sequence),
        limit: Duration,
    ) -> Option<Sequence> {
        let mut moments = self.seen.iter().filter(|(below, _)| *below > first);
        let mut fresh = None;
        while let Some((_, oldest)) = moments.next()
            && now.saturating_duration_since(*oldest) >= limit
        {
            let later = moments.find(|(_, at)| at.saturating_duration_since(*oldest) >= limit);
            fresh = Some(later.map_or(synced, |(below, _)| *below));
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    #[test]
    fn what_waits_has_the_age_of_its_oldest_entry() {
        let (mut lag, start) = (Lag::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        lag.note(at(0), Sequence(10), Sequence(10));
        assert_eq!(lag.age(at(9)), Duration::ZERO);
        lag.note(at(10), Sequence(20), Sequence(10));
        lag.note(at(11), Sequence(30), Sequence(15));
        assert_eq!(lag.age(at(15)), Duration::from_secs(5));
        lag.note(at(16), Sequence(30), Sequence(20));
        assert_eq!(lag.age(at(16)), Duration::from_secs(5));
        lag.note(at(17), Sequence(30), Sequence(30));
        assert_eq!(lag.age(at(17)), Duration::ZERO);
    }

    /// An entry a second comes in: entry n waits since second n.
    #[test]
    fn the_age_stays_known_however_long_it_waits_and_wherever_the_pipe_is() {
        let (mut lag, start) = (Lag::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let hours = 3 * 3600;
        for second in 0..hours {
            lag.note(at(second), Sequence(second + 1), Sequence(0));
            assert!(lag.seen.len() <= MOMENTS_MAX);
        }
        assert_eq!(lag.age(at(hours)), Duration::from_secs(hours));
        for position in (0..hours).step_by(100) {
            lag.note(at(hours), Sequence(hours), Sequence(position));
            let (age, is) = (hours - position, lag.age(at(hours)).as_secs());
            assert!(is <= age && age - is <= hours / 15, "{is} s instead of {age} s");
        }
    }

    #[test]
    fn what_came_after_something_had_waited_for_long_is_fresh() {
        let (mut lag, start) = (Lag::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..=25 {
            lag.note(at(second), Sequence(second + 10), Sequence(9));
        }
        let fresh = |now, first, limit| {
            let (range, limit) = ((Sequence(first), Sequence(36)), Duration::from_secs(limit));
            lag.fresh_from(at(now), range, limit).map(|sequence| sequence.0)
        };
        assert_eq!(fresh(25, 9, 26), None);
        assert_eq!(fresh(25, 9, 25), Some(35));
        assert_eq!(fresh(25, 9, 20), Some(30));
        assert_eq!(fresh(25, 14, 20), Some(35), "entry 14 came in second 5");
        assert_eq!(fresh(25, 9, 13), Some(23));
        assert_eq!(fresh(25, 9, 10), Some(31), "what came in second 11 has waited, too");
        assert_eq!(fresh(60, 9, 30), Some(36), "nothing came later");
        assert_eq!(fresh(60, 36, 1), None);
    }
}

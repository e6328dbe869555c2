//! How a pipe fared in the last hours: what was taken from it, and what it had still to send.
//!
//! ```text
//!  8 h ago                                                now
//!   | 10 min | 10 min |   ...   | 10 min | the running slot |
//!     2 bytes  2 bytes            2 bytes    exact counts
//! ```
//!
//! A slot that is over is kept in two bytes, each a small float, so that the pictures of
//! [`PIPES_MAX`](crate::limits::PIPES_MAX) pipes take 6 KiB and a little.

use std::time::{Duration, Instant};

/// A slot as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Mean of what the far side took; of a slot that is over up to an eighth more.
    pub bytes_per_second: u64,
    /// The most that there was to send; of a slot that is over up to an eighth more, and in whole KiB.
    pub behind_bytes: u64,
}

/// The slots of the last [`HISTORY_HOURS`].
#[derive(Debug, Clone)]
pub(super) struct History {
    start: Instant,
    /// The slot that it began in, once it has.
    first: Option<u64>,
    /// The running slot: its number since `start`, and what it has seen.
    slot: u64,
    taken_bytes: u64,
    most_behind_bytes: u64,
    /// What there was to send when it was told last.
    behind_bytes: u64,
    /// Slots that are over, each at its number modulo the length.
    past: [Kept; PAST],
}

/// A slot that is over.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    /// Bytes per second.
    rate: Small,
    /// KiB.
    behind: Small,
}

/// A number in a byte, rounded up: 5 bits of exponent, 3 of mantissa. Exact up to 16, at most 15 * 2^30.
#[derive(Debug, Clone, Copy, Default)]
struct Small(u8);

impl History {
    /// Nothing yet, on a clock that starts at `start`.
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            first: None,
            slot: 0,
            taken_bytes: 0,
            most_behind_bytes: 0,
            behind_bytes: 0,
            past: [Kept::default(); PAST],
        }
    }

    /// The far side took `bytes`.
    pub(super) fn take(&mut self, bytes: u64, now: Instant) {
        self.turn_to(now);
        self.taken_bytes = self.taken_bytes.saturating_add(bytes);
    }

    /// There are `bytes` to send from now on.
    pub(super) fn set_behind(&mut self, bytes: u64, now: Instant) {
        self.turn_to(now);
        self.behind_bytes = bytes;
        self.most_behind_bytes = self.most_behind_bytes.max(bytes);
    }

    /// Slots from the oldest to the running one, at most [`HISTORY_SLOTS`]; none before the first word.
    pub(super) fn samples(&mut self, now: Instant) -> Vec<Sample> {
        let Some(first) = self.first else { return Vec::new() };
        self.turn_to(now);
        let oldest = first.max((self.slot + 1).saturating_sub(HISTORY_SLOTS));
        let mut samples: Vec<_> = (oldest..self.slot)
            .filter_map(|slot| self.past.get(place(slot)))
            .map(|kept| kept.sample())
            .collect();
        let (bytes_per_second, behind_bytes) = (self.rate_at(now), self.most_behind_bytes);
        samples.push(Sample { bytes_per_second, behind_bytes });
        samples
    }

    /// Ends the slots that are over by `now`. In those that nobody spoke in nothing was taken.
    fn turn_to(&mut self, now: Instant) {
        let slot = now.saturating_duration_since(self.start).as_secs() / SLOT.as_secs();
        if self.first.is_none() {
            (self.first, self.slot) = (Some(slot), slot);
        }
        if slot <= self.slot {
            return;
        }
        self.keep(self.slot, Kept::of(self.rate_at(now), self.most_behind_bytes));
        let silent = Kept::of(0, self.behind_bytes);
        for passed in (self.slot + 1).max(slot.saturating_sub(HISTORY_SLOTS))..slot {
            self.keep(passed, silent);
        }
        (self.slot, self.taken_bytes, self.most_behind_bytes) = (slot, 0, self.behind_bytes);
    }

    fn keep(&mut self, slot: u64, sample: Kept) {
        if let Some(kept) = self.past.get_mut(place(slot)) {
            *kept = sample;
        }
    }

    /// Bytes per second of the running slot, if it ends now. A burst of its first seconds is no mean yet.
    fn rate_at(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.start).as_secs();
        let lasted =
            age.saturating_sub(self.slot * SLOT.as_secs()).clamp(LEAST.as_secs(), SLOT.as_secs());
        self.taken_bytes / lasted
    }
}

impl Kept {
    fn of(bytes_per_second: u64, behind_bytes: u64) -> Self {
        Self { rate: Small::of(bytes_per_second), behind: Small::of(behind_bytes.div_ceil(KIB)) }
    }

    fn sample(self) -> Sample {
        Sample { bytes_per_second: self.rate.value(), behind_bytes: self.behind.value() * KIB }
    }
}

impl Small {
    fn of(value: u64) -> Self {
        let value = value.min(SMALL_MAX);
        // Bits beyond the four that are kept; the first of these is known, but in the smallest numbers.
        let shift = (u64::BITS - value.leading_zeros()).saturating_sub(4);
        let kept = (value >> shift) + u64::from(value & ((1 << shift) - 1) > 0);
        // A carry goes into the exponent, as it should.
        let bits = kept + u64::from(shift) * 8;
        Self(u8::try_from(bits).unwrap_or(u8::MAX))
    }

    fn value(self) -> u64 {
        let bits = u64::from(self.0);
        match bits / 8 {
            0 | 1 => bits,
            exponent => (8 + bits % 8) << (exponent - 1),
        }
    }
}

fn place(slot: u64) -> usize {
    usize::try_from(slot % HISTORY_SLOTS).unwrap_or(0)
}

/// A shift: long enough to see when it began, short enough that each slot can be seen.
pub const HISTORY_HOURS: u64 = 8;
/// Slots of a whole history, with the running one.
pub const HISTORY_SLOTS: u64 = HISTORY_HOURS * 3600 / SLOT.as_secs();
const SLOT: Duration = Duration::from_secs(600);
/// A mean is over so much at least.
const LEAST: Duration = Duration::from_secs(60);
const PAST: usize = 48;
const _: () = assert!(HISTORY_SLOTS == 48 && PAST == 48 && size_of::<[Kept; PAST]>() == 96);
const SMALL_MAX: u64 = 15 << 30;
const KIB: u64 = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    fn bench() -> (History, impl Fn(u64) -> Instant) {
        let start = clock::now();
        (History::new(start), move |seconds| start + Duration::from_secs(seconds))
    }

    fn rates(history: &mut History, now: Instant) -> Vec<u64> {
        history.samples(now).iter().map(|sample| sample.bytes_per_second).collect()
    }

    fn behind(history: &mut History, now: Instant) -> Vec<u64> {
        history.samples(now).iter().map(|sample| sample.behind_bytes / KIB).collect()
    }

    #[test]
    fn small_numbers_keep_their_size_within_an_eighth() {
        for value in (0..16).chain([17, 100, 1023, 1 << 20, (1 << 30) + 12345, SMALL_MAX]) {
            let kept = Small::of(value).value();
            assert!(kept >= value && (kept - value) * 8 <= value, "{value} {kept}");
            assert!(value >= 16 || kept == value, "{value} {kept}");
        }
        assert_eq!(Small::of(u64::MAX).value(), SMALL_MAX);
        let values: Vec<_> = (0..=u8::MAX).map(|bits| Small(bits).value()).collect();
        assert!(values.is_sorted_by(|one, next| one < next), "{values:?}");
        assert!(values.iter().all(|value| Small::of(*value).value() == *value));
    }

    #[test]
    fn nothing_is_shown_before_the_first_word() {
        let (mut history, at) = bench();
        assert!(history.samples(at(9_000)).is_empty());
        history.set_behind(0, at(9_000));
        assert_eq!(history.samples(at(9_000)), [Sample::default()], "the slot that it began in");
    }

    #[test]
    fn running_slot_has_its_rate_so_far() {
        let (mut history, at) = bench();
        history.take(1000, at(50));
        assert_eq!(rates(&mut history, at(50)), [1000 / 60], "a minute at least");
        assert_eq!(rates(&mut history, at(100)), [10]);
        assert_eq!(rates(&mut history, at(600)), [1, 0]);
        history.take(599, at(1199));
        assert_eq!(rates(&mut history, at(1199)), [1, 1], "after 599 s");
    }

    #[test]
    fn slot_shows_the_most_that_was_behind_and_the_next_what_is_left() {
        let (mut history, at) = bench();
        history.set_behind(14 * KIB, at(10));
        history.set_behind(3 * KIB, at(20));
        assert_eq!(behind(&mut history, at(599)), [14]);
        assert_eq!(behind(&mut history, at(1800)), [14, 3, 3, 3], "also while nobody speaks");
        history.set_behind(1, at(1801));
        assert_eq!(behind(&mut history, at(3000)), [14, 3, 3, 3, 1, 0], "a byte is not nothing");
    }

    #[test]
    fn oldest_slots_make_way() {
        let (mut history, at) = bench();
        for slot in 0..100 {
            history.take(600 * (slot % 16), at(slot * 600 + 1));
        }
        let last = rates(&mut history, at(100 * 600));
        let expected: Vec<_> = (53..100).map(|slot| slot % 16).chain([0]).collect();
        assert_eq!(last, expected);
        assert_eq!(last.len(), PAST);
    }

    #[test]
    fn silence_of_days_leaves_nothing_old() {
        let (mut history, at) = bench();
        for slot in 0..60 {
            history.take(6000, at(slot * 600));
        }
        let later = at(60 * 600 + 3 * 86_400);
        history.set_behind(2 * KIB, later);
        assert_eq!(rates(&mut history, later), [0; PAST]);
        assert_eq!(behind(&mut history, later)[PAST - 2..], [0, 2]);
    }
}

//! The only reader of clocks. Everything else takes `now` as an argument.
//!
//! [`Instant`] is for waits, [`EpochMillis`] for data and for people; the two are never compared.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z; negative before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EpochMillis(pub i64);

/// The steady clock, for waits and deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Instant {
    #[cfg(feature = "simulation")]
    if let Some(played) = PLAYED.get() {
        return played;
    }
    Instant::now()
}

#[cfg(feature = "simulation")]
thread_local! {
    static PLAYED: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
}

/// What this thread's steady clock shows from now on, for simulators; without a time it runs as the machine's again.
#[cfg(feature = "simulation")]
pub fn play(now: Option<Instant>) {
    PLAYED.set(now);
}

/// The wall clock, which may be wrong: see [`EpochMillis::is_dated`].
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn wall() -> EpochMillis {
    EpochMillis::of(SystemTime::now())
}

impl EpochMillis {
    /// The first moment at which this program can have run. A clock that shows an earlier time is
    /// wrong: a box without a battery starts in 1970.
    pub const PROGRAM: Self = Self(1_793_491_200_000); // 2026-11-01T00:00:00Z

    /// Milliseconds of a system time, kept within the type's range.
    pub fn of(time: SystemTime) -> Self {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }

    /// Whether the clock can have been right when it showed this.
    pub fn is_dated(self) -> bool {
        self >= Self::PROGRAM
    }

    /// Time from `earlier` to this; zero when the clock went back in between.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Year, month and day in UTC, by the proleptic Gregorian calendar.
    fn date(self) -> (i64, i64, i64) {
        // Days are counted from 0000-03-01, so that the leap day is the last of its year.
        const DAYS_OF_ERA: i64 = 146_097; // 400 years
        let days = self.0.div_euclid(MILLIS_OF_DAY) + 719_468;
        let (era, day_of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        (year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }
}

/// ISO 8601 in UTC with milliseconds: `2026-11-22T15:33:48.250Z`.
impl fmt::Display for EpochMillis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let of_day = self.0.rem_euclid(MILLIS_OF_DAY);
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

const MILLIS_OF_DAY: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_in_utc_with_milliseconds() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_795_361_628_250, "2026-11-22T15:33:48.250Z"),
            (EpochMillis::PROGRAM.0, "2026-11-01T00:00:00.000Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(EpochMillis(millis).to_string(), text);
        }
    }

    #[test]
    fn a_clock_before_the_program_is_not_dated() {
        assert!(!EpochMillis(0).is_dated());
        assert!(EpochMillis::PROGRAM.is_dated());
        assert_eq!(EpochMillis(5).since(EpochMillis(9)), Duration::ZERO);
        assert_eq!(EpochMillis(9).since(EpochMillis(5)), Duration::from_millis(4));
    }
}

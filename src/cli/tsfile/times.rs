//! Times on the command line: numbers as they stand in the file, or dates.
//!
//! ```text
//!  1700000000000                       as it stands in the file
//!  2023-11-14                          midnight, UTC
//!  2023-11-14T22:13:20.123456          UTC; also with a space, without seconds or their fraction
//!  2023-11-14T22:13:20Z  ...+08:00     UTC, and another zone
//! ```
//!
//! A file does not say in which unit its times are: it is told, or milliseconds, as servers are installed.

use clap::Args;

use crate::data::{Precision, TimeRange};
use crate::ops::clock::EpochMillis;

const SECONDS_OF_DAY: i128 = 86_400;
const NANOS: i128 = 1_000_000_000;
/// Digits of a fraction that count: nanoseconds.
const FRACTION_DIGITS: usize = 9;

/// Which times are meant; both ends belong to them.
#[derive(Debug, Args, Clone, Copy)]
pub(super) struct TimeArguments {
    /// The first time: a number as in the file, or a date such as 2023-11-14T22:13:20+08:00 (UTC without a zone)
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    from: Option<Moment>,
    /// The last time, likewise; it is included
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    to: Option<Moment>,
    #[command(flatten)]
    pub(super) unit: Unit,
}

/// What a time of the file is in dates.
#[derive(Debug, Args, Clone, Copy, Default)]
pub(in crate::cli) struct Unit {
    /// Unit of the times in the file, for dates: ms, us or ns
    #[arg(long, value_name = "UNIT", default_value = "ms", value_parser = unit)]
    unit: Precision,
}

/// One end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// As in the file.
    Number(i64),
    /// Nanoseconds since 1970, UTC.
    Date(i128),
}

impl TimeArguments {
    pub(super) fn range(self) -> TimeRange {
        let bound = |moment: Option<Moment>, otherwise, is_last| match moment {
            None => otherwise,
            Some(Moment::Number(number)) => number,
            Some(Moment::Date(nanos)) => self.in_unit(nanos, is_last),
        };
        TimeRange { min: bound(self.from, i64::MIN, false), max: bound(self.to, i64::MAX, true) }
    }

    /// What lies between two times of the file belongs to neither: the range shrinks.
    fn in_unit(self, nanos: i128, is_last: bool) -> i64 {
        let step = i128::from(self.unit.nanos());
        let round = if is_last { 0 } else { step - 1 };
        let otherwise = if nanos < 0 { i64::MIN } else { i64::MAX };
        i64::try_from((nanos + round).div_euclid(step)).unwrap_or(otherwise)
    }
}

impl Unit {
    const fn nanos(self) -> i64 {
        match self.unit {
            Precision::Ms => 1_000_000,
            Precision::Us => 1000,
            Precision::Ns => 1,
        }
    }

    /// A time of the file as a date, to the millisecond.
    pub(super) const fn date(self, time: i64) -> EpochMillis {
        EpochMillis(time.div_euclid(1_000_000 / self.nanos()))
    }
}

fn unit(text: &str) -> Result<Precision, String> {
    Precision::from_text(text.as_bytes()).ok_or_else(|| "expected ms, us or ns".to_owned())
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(number) = text.parse() {
        return Ok(Moment::Number(number));
    }
    date(text).map(Moment::Date).ok_or_else(|| {
        "expected a number, or a date such as 2023-11-14, 2023-11-14T22:13:20 or 2023-11-14T22:13:20.5+08:00".to_owned()
    })
}

/// Nanoseconds since 1970 of a date.
fn date(text: &str) -> Option<i128> {
    let (day, clock) = match text.split_once(['T', 't', ' ']) {
        Some((day, clock)) => (day, Some(clock)),
        None => (text, None),
    };
    let days = days(day)?;
    let (seconds, nanos) = match clock {
        Some(clock) => of_day(clock)?,
        None => (0, 0),
    };
    Some((days * SECONDS_OF_DAY + seconds) * NANOS + nanos)
}

/// Days since 1970 of `YYYY-MM-DD` in the Gregorian calendar.
fn days(text: &str) -> Option<i128> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2).filter(|month| (1..=12).contains(month))?;
    let day = number(parts.next()?, 2)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    };
    if parts.next().is_some() || !(1..=days_of_month).contains(&day) {
        return None;
    }
    // Years begin in March, so that a leap day is their last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(before + (153 * month + 2) / 5 + day - 1 - DAYS_BEFORE_1970)
}

/// From the first of March of the year 0.
const DAYS_BEFORE_1970: i128 = 719_468;

/// Seconds and nanoseconds of `HH:MM[:SS[.fraction]][zone]`; below zero or beyond a day by the zone.
fn of_day(text: &str) -> Option<(i128, i128)> {
    let (clock, zone) = match text.find(['Z', 'z', '+', '-']) {
        Some(place) => text.split_at_checked(place)?,
        None => (text, "Z"),
    };
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (second, nanos) = match parts.next().map(|part| part.split_once('.').ok_or(part)) {
        None => (0, 0),
        Some(Err(second)) => (number(second, 2)?, 0),
        Some(Ok((second, fraction))) => {
            let digits = format!("{fraction:0<FRACTION_DIGITS$}");
            (number(second, 2)?, number(&digits, FRACTION_DIGITS)?)
        }
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((hour * 3600 + minute * 60 + second - seconds_east(zone)?, nanos))
}

/// Seconds of `Z`, `+HH:MM` or `-HHMM`.
fn seconds_east(zone: &str) -> Option<i128> {
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None => rest.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { number(minutes, 2)? };
    let hours = number(hours, 2)?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A number of just so many digits.
fn number(text: &str, digits: usize) -> Option<i128> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_times() {
        for (text, millis) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-15T06:13:20+08:00", 1_700_000_000_000),
            ("2023-11-14 18:13:20.250-0400", 1_700_000_000_250),
            ("2023-11-14T22:13", 1_699_999_980_000),
            ("1969-12-31T23:59:59.999", -1),
            ("2100-03-01", 4_107_542_400_000),
        ] {
            assert_eq!(date(text), Some(millis * 1_000_000), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "yesterday",
            "2023-13-01",
            "2023-02-29",
            "2023-1-1",
            "2023-11-14T24:00",
            "2023-11-14T1:00",
            "2023-11-14T22:13:20+8",
            "2023-11-14T22:13:20Zx",
            "2023-11-14-1",
            "2023-11-14T",
            "+023-11-14",
            "2023-11-14T22:13:20.0123456789",
            "1.5",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
        assert_eq!(moment("-5"), Ok(Moment::Number(-5)));
    }

    #[test]
    fn what_lies_between_two_times_shrinks_the_range() {
        let between = Some(Moment::Date(1_500_000));
        let range =
            |unit| TimeArguments { from: between, to: between, unit: Unit { unit } }.range();
        assert_eq!(range(Precision::Ms), TimeRange { min: 2, max: 1 });
        assert_eq!(range(Precision::Us), TimeRange { min: 1500, max: 1500 });
        assert_eq!(range(Precision::Ns), TimeRange { min: 1_500_000, max: 1_500_000 });
        let far = Some(Moment::Date(i128::from(i64::MAX) * 10));
        assert_eq!(
            TimeArguments { from: None, to: far, unit: Unit { unit: Precision::Ns } }.range(),
            TimeRange::ALL
        );
    }

    #[test]
    fn times_are_dates() {
        for (unit, time) in [
            (Precision::Ms, 1_700_000_000_250),
            (Precision::Us, 1_700_000_000_250_999),
            (Precision::Ns, 1_700_000_000_250_999_999),
        ] {
            assert_eq!(Unit { unit }.date(time).to_string(), "2023-11-14T22:13:20.250Z");
        }
        // The ends of what a file can hold are no reason to stop.
        for time in [i64::MIN, i64::MAX] {
            assert!(Unit { unit: Precision::Ms }.date(time).to_string().ends_with('Z'));
        }
    }
}

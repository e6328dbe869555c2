//! Points in time as people write them (`DateTimeUtils`).
//!
//! ```text
//!  1692777600000                    in the node's precision
//!  2023-8-23T08:00:00.5+08:00       also with / and . between year, month and day, and a blank for the T
//!  2023-08-23                       midnight; without an offset it is the node's own
//!  now
//! ```

use std::cmp::Ordering;

use crate::data::{Precision, TimeRange};

/// A point in time, as far as its text fixes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A number in the node's precision.
    Number(i64),
    /// Seconds and nanoseconds since the epoch.
    Instant(i64, u32),
    /// The same as if the node's clock showed UTC: its offset has to be taken off.
    Local(i64, u32),
    /// When the statement is carried out.
    Now,
}

/// Two bounds, both included; none is without a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The first time.
    pub start: Option<Moment>,
    /// The last time.
    pub end: Option<Moment>,
}

/// What a text leaves open.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Unit of the node's time stamps.
    pub precision: Precision,
    /// The node's offset from UTC.
    pub offset_seconds: i32,
    /// The present, in milliseconds since the epoch.
    pub now_millis: i64,
}

impl Moment {
    /// Reads a text; none if it is no point in time.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self::Number(number));
        }
        if text.eq_ignore_ascii_case("now") || text.eq_ignore_ascii_case("now()") {
            return Some(Self::Now);
        }
        let (day, is_padded, separator, rest) = date(text)?;
        if rest.is_empty() {
            return is_padded.then_some(Self::Local(day * DAY_SECONDS, 0));
        }
        let rest = match rest.strip_prefix(['T', 't']) {
            Some(rest) => rest,
            None if is_padded || separator != '-' => rest.strip_prefix(' ')?,
            None => return None,
        };
        let (seconds, nanos, rest) = time(rest)?;
        let local = day * DAY_SECONDS + seconds;
        match rest {
            "" => Some(Self::Local(local, nanos)),
            "Z" | "z" => Some(Self::Instant(local, nanos)),
            _ => Some(Self::Instant(local - offset(rest)?, nanos)),
        }
    }

    /// The time stamp, at the end of its range if it lies beyond.
    pub fn resolve(self, clock: Clock) -> i64 {
        let (seconds, nanos) = match self {
            Self::Number(number) => return number,
            Self::Now => {
                let (seconds, millis) =
                    (clock.now_millis.div_euclid(1000), clock.now_millis.rem_euclid(1000));
                (seconds, u32::try_from(millis).unwrap_or(0) * 1_000_000)
            }
            Self::Instant(seconds, nanos) => (seconds, nanos),
            Self::Local(seconds, nanos) => (seconds - i64::from(clock.offset_seconds), nanos),
        };
        let (units, nanos_each) = match clock.precision {
            Precision::Ms => (1_000, 1_000_000),
            Precision::Us => (1_000_000, 1_000),
            Precision::Ns => (1_000_000_000, 1),
        };
        seconds.saturating_mul(units).saturating_add(i64::from(nanos / nanos_each))
    }

    /// Which comes first, if that does not depend on the node.
    pub fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => Some(left.cmp(&right)),
            (Self::Instant(..), Self::Instant(..)) | (Self::Local(..), Self::Local(..)) => {
                Some(self.nanos().cmp(&other.nanos()))
            }
            (Self::Number(_) | Self::Instant(..) | Self::Local(..) | Self::Now, _) => None,
        }
    }

    fn nanos(self) -> (i64, u32) {
        match self {
            Self::Instant(seconds, nanos) | Self::Local(seconds, nanos) => (seconds, nanos),
            Self::Number(_) | Self::Now => (0, 0),
        }
    }
}

impl Bounds {
    /// The range of time stamps; empty if the bounds cross.
    pub fn resolve(self, clock: Clock) -> TimeRange {
        TimeRange {
            min: self.start.map_or(i64::MIN, |start| start.resolve(clock)),
            max: self.end.map_or(i64::MAX, |end| end.resolve(clock)),
        }
    }

    /// Whether there is a bound.
    pub const fn is_some(self) -> bool {
        self.start.is_some() || self.end.is_some()
    }
}

/// Days since the epoch, whether month and day have two digits each, the separator, and the rest.
fn date(text: &str) -> Option<(i64, bool, char, &str)> {
    let (year, rest) = digits(text, 4, 4)?;
    let separator = rest.chars().next().filter(|letter| matches!(letter, '-' | '/' | '.'))?;
    let before_month = rest.strip_prefix(separator)?;
    let (month, rest) = digits(before_month, 1, 2)?;
    let before_day = rest.strip_prefix(separator)?;
    let (day, rest) = digits(before_day, 1, 2)?;
    let is_padded = text.len() - rest.len() == 10;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=last).contains(&day).then(|| (days(year, month, day), is_padded, separator, rest))
}

/// Seconds of the day, nanoseconds, and the rest.
fn time(text: &str) -> Option<(i64, u32, &str)> {
    let (hours, rest) = digits(text, 2, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let (seconds, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60 + seconds;
    let Some(fraction) = rest.strip_prefix('.') else { return Some((seconds, 0, rest)) };
    let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (written, rest) = fraction.split_at_checked(count)?;
    let nanos = format!("{written:0<9}").parse().ok().filter(|_| count <= 9)?;
    Some((seconds, nanos, rest))
}

/// Seconds east of Greenwich: `+08:00`.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, rest) = digits(rest, 2, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    // Java's largest offset.
    let is_offset = rest.is_empty() && minutes < 60 && hours * 60 + minutes <= 18 * 60;
    is_offset.then_some(sign * (hours * 3600 + minutes * 60))
}

/// A number of `min` to `max` digits, and the rest.
fn digits(text: &str, min: usize, max: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(count).filter(|_| count >= min)?;
    Some((number.parse().ok()?, rest))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: years begin in March, so that the leap
/// day is the last one, and the lengths of the months follow (153 m + 2) / 5.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH
}

const DAY_SECONDS: i64 = 86_400;
/// From 0000-03-01.
const DAYS_TO_EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    const UTC: Clock = Clock { precision: Precision::Ms, offset_seconds: 0, now_millis: 77 };

    #[test]
    fn times_are_read_as_iotdb_reads_them() {
        for (text, millis) in [
            ("2023.08.23T08:00:00+00:00", Some(1_692_777_600_000)),
            ("2023-08-23T16:00:00+08:00", Some(1_692_777_600_000)),
            ("1692777600000", Some(1_692_777_600_000)),
            ("2023.10.23T08:00:00+00:00", Some(1_698_048_000_000)),
            ("2024-01-02", Some(1_704_153_600_000)),
            ("2024-01-02T00:00:00", Some(1_704_153_600_000)),
            ("2024/1/2t00:00:00Z", Some(1_704_153_600_000)),
            ("2024-01-02 00:00:00.000", Some(1_704_153_600_000)),
            ("2024-1-2T00:00:00", Some(1_704_153_600_000)),
            ("2024-1-2 00:00:00", None),
            ("2024/1/2 00:00:00", Some(1_704_153_600_000)),
            ("1970-01-01T00:00:00.0019Z", Some(1)),
            ("1969-12-31T23:59:59.9985Z", Some(-2)),
            ("1970-01-01T00:00:00.123456789Z", Some(123)),
            ("1970-01-01T00:00:00.1234567890Z", None),
            ("2024-02-29", Some(1_709_164_800_000)),
            ("2023-02-29", None),
            ("1900-02-29", None),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800_000)),
            ("9999-12-31T23:59:59-18:00", Some(253_402_365_599_000)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("now", Some(77)),
            ("2023-8-23", None),
            ("2023-08-23T08:00", None),
            ("2023-08-23T08:00:00+0800", None),
            ("2023-08-23T08:00:00+08", None),
            ("2023-08-23T08:00:00[Europe/Berlin]", None),
            ("2023-08-23T24:00:00", None),
            ("2023-13-01", None),
            ("2023-08.23", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(Moment::parse(text).map(|moment| moment.resolve(UTC)), millis, "{text}");
        }
    }

    #[test]
    fn only_what_says_no_offset_has_that_of_the_node() {
        let clock = Clock { offset_seconds: 8 * 3600, ..UTC };
        let resolve = |text: &str| Moment::parse(text).expect(text).resolve(clock);
        assert_eq!(resolve("1970-01-01T08:00:00"), 0);
        assert_eq!(resolve("1970-01-01T08:00:00+08:00"), 0);
        assert_eq!(resolve("1970-01-01"), -28_800_000);
        assert_eq!(resolve("17"), 17);
    }

    #[test]
    fn a_text_has_the_precision_of_the_node() {
        let at = |precision| {
            Moment::parse("1970-01-01T00:00:01.000000001Z")
                .map(|moment| moment.resolve(Clock { precision, ..UTC }))
        };
        assert_eq!(at(Precision::Ms), Some(1_000));
        assert_eq!(at(Precision::Us), Some(1_000_000));
        assert_eq!(at(Precision::Ns), Some(1_000_000_001));
        let far = Moment::parse("9999-12-31T00:00:00Z").expect("a date");
        assert_eq!(far.resolve(Clock { precision: Precision::Ns, ..UTC }), i64::MAX);
    }

    #[test]
    fn order_is_known_where_it_does_not_depend_on_the_node() {
        let order = |left: &str, right: &str| {
            Moment::parse(left).expect(left).order(Moment::parse(right).expect(right))
        };
        assert_eq!(order("1", "2"), Some(Ordering::Less));
        assert_eq!(order("2024-01-02", "2024-01-01T00:00:00"), Some(Ordering::Greater));
        assert_eq!(
            order("2024-01-01T08:00:00+08:00", "2024-01-01T00:00:00Z"),
            Some(Ordering::Equal)
        );
        assert_eq!(order("2024-01-02", "2024-01-01T00:00:00Z"), None);
        assert_eq!(order("1", "now"), None);
    }

    #[test]
    fn bounds_without_an_end_reach_to_the_end_of_time() {
        let bounds = Bounds { start: Some(Moment::Number(5)), end: None };
        assert_eq!(bounds.resolve(UTC), TimeRange { min: 5, max: i64::MAX });
        assert_eq!(Bounds::default().resolve(UTC), TimeRange::ALL);
        assert!(bounds.is_some() && !Bounds::default().is_some());
    }
}

//! Durations, sizes and bit rates as people write them: `250us`, `1.5s`, `64KiB`, `100Mbit`.

use std::num::NonZeroU64;
use std::time::Duration;

/// A quantity that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text does not begin with a number.
    #[error("{text:?} does not begin with a number")]
    Number {
        /// What was given.
        text: String,
    },
    /// The unit is missing or unknown.
    #[error("{text:?} has no known unit; known are {known}")]
    Unit {
        /// What was given.
        text: String,
        /// The units that would have been understood.
        known: &'static str,
    },
    /// The number is negative, zero where that makes no sense, or too large.
    #[error("{text:?} is out of range")]
    Range {
        /// What was given.
        text: String,
    },
}

const DURATION_UNITS: &[(&str, f64)] =
    &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0)];
const SIZE_UNITS: &[(&str, u64)] =
    &[("B", 1), ("bytes", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const RATE_UNITS: &[(&str, u64)] =
    &[("bit", 1), ("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000)];

/// Reads a duration with a unit: `us`, `ms`, `s`, `min` or `h`. Fractions are allowed.
///
/// # Errors
/// When number or unit are missing, or the value does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = split(text);
    let value: f64 = number.parse().map_err(|_| QuantityError::Number { text: text.into() })?;
    let seconds = factor(DURATION_UNITS, unit)
        .ok_or_else(|| QuantityError::Unit { text: text.into(), known: "us ms s min h" })?;
    Duration::try_from_secs_f64(value * seconds)
        .map_err(|_| QuantityError::Range { text: text.into() })
}

/// Reads a number of bytes with a unit: `B`, `KiB`, `MiB` or `GiB`.
///
/// # Errors
/// When number or unit are missing, or the value does not fit.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    whole(text, SIZE_UNITS, "B KiB MiB GiB")
}

/// Reads a bit rate: `64kbit`, `100Mbit`, `1Gbit`; `/s` may follow.
///
/// # Errors
/// When number or unit are missing, or the value is zero or does not fit.
pub fn parse_rate(text: &str) -> Result<NonZeroU64, QuantityError> {
    let bare = text.strip_suffix("/s").unwrap_or(text);
    let bits = whole(bare, RATE_UNITS, "bit kbit Mbit Gbit")?;
    NonZeroU64::new(bits).ok_or_else(|| QuantityError::Range { text: text.into() })
}

/// Writes a duration so that [`parse_duration`] reads it back, to the microsecond.
pub fn duration_text(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0 => "0s".into(),
        _ if micros.is_multiple_of(60_000_000) => format!("{}min", micros / 60_000_000),
        _ if micros.is_multiple_of(1_000_000) => format!("{}s", micros / 1_000_000),
        _ if micros.is_multiple_of(1_000) => format!("{}ms", micros / 1_000),
        _ => format!("{micros}us"),
    }
}

fn whole(text: &str, units: &[(&str, u64)], known: &'static str) -> Result<u64, QuantityError> {
    let (number, unit) = split(text);
    let value: u64 = number.parse().map_err(|_| QuantityError::Number { text: text.into() })?;
    let scale =
        factor(units, unit).ok_or_else(|| QuantityError::Unit { text: text.into(), known })?;
    value.checked_mul(scale).ok_or_else(|| QuantityError::Range { text: text.into() })
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

fn factor<T: Copy>(units: &[(&str, T)], name: &str) -> Option<T> {
    units.iter().find(|(unit, _)| *unit == name).map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_fractions() {
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("3min"), Ok(Duration::from_secs(180)));
        assert!(matches!(parse_duration("5"), Err(QuantityError::Unit { .. })));
        assert!(matches!(parse_duration("s"), Err(QuantityError::Number { .. })));
        assert!(matches!(parse_duration("-1s"), Err(QuantityError::Number { .. })));
        assert!(matches!(
            parse_duration("99999999999999999999h"),
            Err(QuantityError::Range { .. })
        ));
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["7us", "5ms", "1500ms", "2s", "3min", "0s"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(parse_duration(&duration_text(duration)), Ok(duration), "{text}");
        }
    }

    #[test]
    fn sizes_and_rates_need_their_units() {
        assert_eq!(parse_size("64KiB"), Ok(65536));
        assert_eq!(parse_size("7 B"), Ok(7));
        assert!(matches!(parse_size("64"), Err(QuantityError::Unit { .. })));
        assert!(matches!(parse_size("99999999999GiB"), Err(QuantityError::Range { .. })));
        assert_eq!(parse_rate("100Mbit/s").unwrap().get(), 100_000_000);
        assert!(matches!(parse_rate("0Mbit"), Err(QuantityError::Range { .. })));
    }
}

//! Numbers as people read them: sizes, rates, ages. For screens, never for scripts.

use std::borrow::Cow;
use std::fmt;

use crate::data::is_command;

/// Bytes in binary units with three digits or so: `1.25 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// Bytes per second, likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u64);

/// Seconds in the two largest units that matter: `2 h 05 min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub u64);

/// So many things of a kind: `1 device`, `2 devices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64, pub &'static str);

/// A text from outside, for one line of a terminal: what is a [command](is_command) is escaped, so that nothing ends the
/// line, moves the cursor or turns the letters' direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'t>(pub &'t str);

/// The same of a text that has lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines<'t>(pub &'t str);

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        let ending = if *count == 1 { "" } else { "s" };
        out.pad(&format!("{count} {what}{ending}"))
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&escaped(self.0, is_command))
    }
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&escaped(self.0, |letter| letter != '\n' && is_command(letter)))
    }
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_escaped(letter) {
            plain.extend(letter.escape_default());
        } else {
            plain.push(letter);
        }
    }
    plain.into()
}

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
        let fits = |(_, size): &&(&str, u64)| self.0 >= *size;
        let text = match units.iter().rev().find(fits) {
            None => format!("{} B", self.0),
            Some((unit, size)) => {
                let (whole, rest) = (self.0 / size, self.0 % size);
                // 128 bits: the rest of a TiB times 100 does not fit 64 with room to spare.
                let hundredths = u128::from(rest) * 100 / u128::from(*size);
                match whole {
                    0..10 => format!("{whole}.{hundredths:02} {unit}"),
                    10..100 => format!("{whole}.{} {unit}", hundredths / 10),
                    _ => format!("{whole} {unit}"),
                }
            }
        };
        out.pad(&text)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&format!("{}/s", Bytes(self.0)))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        let text = match seconds {
            0..60 => format!("{seconds} s"),
            60..3600 => format!("{minutes} min {:02} s", seconds % 60),
            3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
            _ => format!("{days} d {:02} h", hours % 24),
        };
        out.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1_310_720, "1.25 MiB"),
            (13_107_200, "12.5 MiB"),
            (700 << 20, "700 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(Rate(2048).to_string(), "2.00 KiB/s");
        assert_eq!(format!("{:>10}|", Bytes(5)), "       5 B|");
    }

    #[test]
    fn ages_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 01 s"),
            (7_500, "2 h 05 min"),
            (180_000, "2 d 02 h"),
        ] {
            assert_eq!(Age(seconds).to_string(), text);
        }
    }

    #[test]
    fn one_thing_is_no_several() {
        let text = [0, 1, 2].map(|count| Count(count, "chunk").to_string()).join(", ");
        assert_eq!(text, "0 chunks, 1 chunk, 2 chunks");
    }

    #[test]
    fn no_text_from_outside_commands_a_terminal() {
        assert_eq!(Line("t\u{e4}glich").to_string(), "t\u{e4}glich");
        assert_eq!(Line("a\n\u{1b}[2J\u{9b}b").to_string(), "a\\n\\u{1b}[2J\\u{9b}b");
        assert_eq!(format!("{:<4}|{:<4}|", Line("a"), Line("\t")), "a   |\\t  |");
        assert_eq!(Line("a\u{202e}b").to_string(), "a\\u{202e}b");
        assert_eq!(Lines("a\nb\r\u{2066}").to_string(), "a\nb\\r\\u{2066}");
    }
}

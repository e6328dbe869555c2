//! The two languages: words, ages and numbers, and text of others as harmless HTML.

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::data::is_command;
use crate::ops::human::Age;

/// What the page speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops::status) enum Language {
    English,
    Chinese,
}

impl Language {
    /// By `lang=` of the query, else the first that the browser names and we speak, else English.
    pub(in crate::ops::status) fn of(query: &str, accepted: &str) -> Self {
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang="));
        let first = || accepted.split(',').find_map(Self::of_tag);
        asked.map_or_else(first, Self::of_tag).unwrap_or(Self::English)
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', ';']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// As `lang=` has it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::English => Self::Chinese,
            Self::Chinese => Self::English,
        }
    }

    /// The word for `key` in this language; the key itself if there is none.
    pub(super) fn word(self, key: &str) -> &str {
        let line = WORDS.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('\t'));
        let pair = line.and_then(|words| words.split_once('\t'));
        match (pair, self) {
            (Some((english, _)), Self::English) => english,
            (Some((_, chinese)), Self::Chinese) => chinese,
            (None, _) => key,
        }
    }

    /// An age, with its units in this language.
    pub(super) fn age(self, seconds: u64) -> String {
        let english = Age(seconds).to_string();
        let words = english.split(' ').map(|word| match word {
            "s" | "min" | "h" | "d" => self.word(word),
            number => number,
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Text that is written so that a browser shows it and does nothing else with it.
pub(super) struct Html<'a>(pub(super) Cow<'a, str>);

impl<'a> Html<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Html(text.into())
    }
}

impl fmt::Display for Html<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            // A name may not turn the page's letters around it.
            letter if is_command(letter) && letter != '\n' => {
                write!(out, "{}", letter.escape_default())
            }
            letter => out.write_char(letter),
        })
    }
}

/// A number with a narrow space before every three digits: `12 345 678`.
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        digits.chars().enumerate().try_for_each(|(index, digit)| {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                out.write_str("&#8239;")?;
            }
            out.write_char(digit)
        })
    }
}

/// A moment of the status, which has `2026-11-22T15:33:48.250Z`, for people: `2026-11-22 15:33:48 UTC`.
pub(super) struct Utc<'a>(pub(super) &'a str);

impl fmt::Display for Utc<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.split_once('.').map_or(self.0, |(whole, _)| whole);
        match whole.split_once('T') {
            Some((day, time)) => write!(out, "{} {} UTC", Html::of(day), Html::of(time)),
            None => write!(out, "{}", Html::of(whole)),
        }
    }
}

pub(super) const WORDS: &str = include_str!("words.tsv");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::board::TroubleKind;

    #[test]
    fn every_word_is_there_in_both_languages() {
        for line in WORDS.lines() {
            let words: Vec<_> = line.split('\t').collect();
            assert!(words.len() == 3 && words.iter().all(|word| !word.is_empty()), "{line}");
        }
        for kind in TroubleKind::ALL {
            for key in [format!("trouble.{}", kind.name()), format!("do.{}", kind.name())] {
                assert_ne!(Language::Chinese.word(&key), key, "{key}");
            }
            assert_eq!(Language::English.word(&format!("do.{}", kind.name())), kind.remedy());
        }
    }

    #[test]
    fn language_is_asked_for_or_preferred() {
        for (query, accepted, language) in [
            ("", "zh-CN,en;q=0.5", Language::Chinese),
            ("", "en,zh;q=0.5", Language::English),
            ("", "de-DE,de;q=0.9,zh;q=0.8,en;q=0.7", Language::Chinese),
            ("", "de,fr", Language::English),
            ("lang=en", "zh", Language::English),
            ("hold=1&lang=zh", "en", Language::Chinese),
            ("lang=x", "zh", Language::English),
            ("", "", Language::English),
        ] {
            assert_eq!(Language::of(query, accepted), language, "{query} {accepted}");
        }
    }

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!(Count(12).to_string(), "12");
        assert_eq!(Count(1_234_567).to_string(), "1&#8239;234&#8239;567");
        assert_eq!(Utc("2026-11-22T15:33:48.250Z").to_string(), "2026-11-22 15:33:48 UTC");
        assert_eq!(Utc("<").to_string(), "&lt;");
        assert_eq!(Language::English.age(7_500), "2 h 05 min");
        assert_eq!(Language::Chinese.age(59), "59 \u{79d2}");
    }
}

//! Where in a text something is, for people.

use std::fmt;

use super::attributes::Side;
use super::lexer::{Kind, Lexer};
use crate::data::is_command;

/// A place in a text, as IoTDB counts (`IoTDBSqlParser`'s messages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The letters before it in its line.
    pub column: usize,
}

impl Place {
    /// The place of the byte at `offset`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Self { line, column }
    }
}

/// `3:14`.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

/// The line around the byte at `offset`, and a caret below it:
///
/// ```text
/// create pipe p with sink (sink='x')
///                          ^
/// ```
///
/// Values of secret attributes are shown as stars, and a long line is cut at both ends.
pub fn excerpt(text: &str, offset: usize) -> String {
    let (text, offset) = masked(text, offset);
    let (before, after) = text.split_at_checked(offset).unwrap_or((&text, ""));
    let before = before.rsplit('\n').next().unwrap_or_default();
    let after = after.split(['\n', '\r']).next().unwrap_or_default();
    let skipped = before.chars().count().saturating_sub(BEFORE_MAX);
    let shown: String = before.chars().skip(skipped).map(flat).collect();
    let rest: String = after.chars().take(AFTER_MAX).map(flat).collect();
    let indent = columns(&shown);
    format!("{shown}{rest}\n{}^", " ".repeat(indent))
}

/// The text with stars for secrets, and where `offset` came to be. What follows the first thing that is
/// no token is left out if it may be a secret.
fn masked(text: &str, offset: usize) -> (String, usize) {
    let (mut out, mut moved) = (String::with_capacity(text.len()), offset);
    let mut copied = 0;
    let mut lexer = Lexer::new(text);
    let mut is_secret = false;
    loop {
        let token = match lexer.next_token() {
            Ok(token) => token,
            Err(broken) if is_secret => {
                out.push_str(text.get(copied..broken.offset).unwrap_or_default());
                return (out, moved.min(broken.offset));
            }
            Err(_) => break,
        };
        match token.kind {
            Kind::Text { .. } if is_secret => {
                is_secret = false;
                out.push_str(text.get(copied..token.start).unwrap_or_default());
                out.push_str(STARS);
                copied = token.end;
                if offset >= token.end {
                    moved = offset - copied + out.len();
                } else if offset > token.start {
                    moved = out.len();
                }
            }
            Kind::Text { raw, quote } => is_secret = may_name_a_secret(raw, quote),
            Kind::Symbol('=') => {}
            Kind::Word(_) | Kind::Name(_) | Kind::Symbol(_) => is_secret = false,
            Kind::End => break,
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    (out, moved)
}

fn may_name_a_secret(raw: &str, quote: char) -> bool {
    let key = super::lexer::unquoted(raw, quote);
    [Side::Source, Side::Processor, Side::Sink].iter().any(|side| side.is_secret(&key))
}

/// White space and control characters as one blank, so that the caret stands right.
fn flat(letter: char) -> char {
    if is_command(letter) || letter.is_whitespace() { ' ' } else { letter }
}

/// The columns of a terminal that a text without control characters takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Chinese letters take two columns of a terminal.
fn width(letter: char) -> usize {
    let is_wide = ('\u{2e80}'..='\u{9fff}').contains(&letter)
        || ('\u{ac00}'..='\u{d7a3}').contains(&letter)
        || ('\u{ff01}'..='\u{ff60}').contains(&letter);
    if is_wide { 2 } else { 1 }
}

const STARS: &str = "'******'";
/// Letters that are shown before the place, and from it on: together less than two lines of a terminal.
const BEFORE_MAX: usize = 60;
const AFTER_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_letters_from_zero_and_lines_from_one() {
        let text = "a\nb\u{7ba1}c";
        assert_eq!(Place::of(text, 0).to_string(), "1:0");
        assert_eq!(Place::of(text, 2).to_string(), "2:0");
        assert_eq!(Place::of(text, 6).to_string(), "2:2");
        assert_eq!(Place::of(text, 99).to_string(), "2:3");
    }

    #[test]
    fn the_caret_stands_below_the_place() {
        assert_eq!(excerpt("show pipez", 5), "show pipez\n     ^");
        assert_eq!(excerpt("show\npipe\tx y", 9), "pipe x y\n    ^");
        assert_eq!(excerpt("show \u{7ba1}, x", 8), "show \u{7ba1}, x\n       ^");
        assert_eq!(excerpt("", 0), "\n^");
        assert_eq!(excerpt("show", 99), "show\n    ^");
        let long = format!("{}!{}", "a".repeat(500), "b".repeat(500));
        assert_eq!(
            excerpt(&long, 500),
            format!("{}!{}\n{}^", "a".repeat(60), "b".repeat(39), " ".repeat(60))
        );
    }

    #[test]
    fn secrets_are_stars_wherever_the_place_is() {
        for text in [
            "('sink.password'='hunter2' x",
            "('password' 'hunter2' x",
            "('ssl.trust-store-pwd'=\"hunter2\", x",
            "('sink.password'='hunter2",
            "('sink.password'=\n'hunter2",
        ] {
            for offset in 0..=text.len() {
                let shown = excerpt(text, offset);
                assert!(!shown.contains("unter"), "{shown}");
            }
        }
        let text = "('sink.password'='hunter2',,)";
        assert_eq!(
            excerpt(text, text.len() - 2),
            format!("('sink.password'='******',,)\n{}^", " ".repeat(26))
        );
    }
}

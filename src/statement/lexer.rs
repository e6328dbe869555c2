//! Tokens of a statement (`SqlLexer.g4`), made one by one.
//!
//! ```text
//!  CREATE PIPE `p-1` WITH SINK ( 'sink.ip' = 'it''s' ) -- why
//!  Word   Word Name  Word Word | Text      | Text    | white space
//!                              Symbol      Symbol    Symbol
//! ```

use std::borrow::Cow;

use winnow::combinator::{alt, delimited, repeat};
use winnow::error::EmptyError;
use winnow::prelude::*;
use winnow::token::{any, take_till, take_while};

use super::error::Fault;
use super::name::is_name_letter;

/// One token, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A keyword, a bare name or a number.
    Word(&'a str),
    /// A name in back quotes, without the outer ones.
    Name(&'a str),
    /// A text in quotes, without the outer ones.
    Text { raw: &'a str, quote: char },
    /// Any other letter.
    Symbol(char),
    /// Nothing is left.
    End,
}

/// What is no token: something that was opened and not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) fault: Fault,
    pub(super) offset: usize,
}

/// Where in a text the next token begins.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    pub(super) fn next_token(&mut self) -> Result<Token<'a>, Broken> {
        while skip_blank(&mut self.rest) || self.skip_comment()? {}
        let start = self.offset();
        let kind = token.parse_next(&mut self.rest).unwrap_or(Kind::End);
        if let Kind::Symbol(quote @ ('\'' | '"' | '`')) = kind {
            return Err(Broken { fault: Fault::OpenQuote { quote }, offset: start });
        }
        Ok(Token { kind, start, end: self.offset() })
    }

    fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn skip_comment(&mut self) -> Result<bool, Broken> {
        if let Some(comment) = self.rest.strip_prefix("--") {
            let end = comment.find('\n').unwrap_or(comment.len());
            self.rest = comment.get(end..).unwrap_or_default();
            return Ok(true);
        }
        let Some(comment) = self.rest.strip_prefix("/*") else { return Ok(false) };
        let Some((_, rest)) = comment.split_once("*/") else {
            return Err(Broken { fault: Fault::OpenComment, offset: self.offset() });
        };
        self.rest = rest;
        Ok(true)
    }
}

/// What a quoted token says: doubled quotes are one.
pub(super) fn unquoted(raw: &str, quote: char) -> Cow<'_, str> {
    if !raw.contains(quote) {
        return Cow::Borrowed(raw);
    }
    let doubled: String = [quote, quote].iter().collect();
    Cow::Owned(raw.replace(&doubled, quote.encode_utf8(&mut [0; 4])))
}

/// Skips white space, also that of a word processor; whether there was any.
fn skip_blank(rest: &mut &str) -> bool {
    let trimmed = rest.trim_start_matches(|letter: char| {
        letter.is_whitespace() || matches!(letter, '\u{feff}' | '\u{200b}')
    });
    let is_some = trimmed.len() < rest.len();
    *rest = trimmed;
    is_some
}

fn token<'a>(input: &mut &'a str) -> Result<Kind<'a>, EmptyError> {
    alt((
        take_while(1.., is_name_letter).map(Kind::Word),
        quoted('\'').map(|raw| Kind::Text { raw, quote: '\'' }),
        quoted('"').map(|raw| Kind::Text { raw, quote: '"' }),
        quoted('`').map(Kind::Name),
        any.map(Kind::Symbol),
    ))
    .parse_next(input)
}

/// What stands between two of `quote`, of which those within are doubled.
fn quoted<'a>(quote: char) -> impl Parser<&'a str, &'a str, EmptyError> {
    let letters = take_till(1.., quote);
    let doubled = (quote, quote).take();
    delimited(quote, repeat::<_, _, (), _, _>(0.., alt((letters, doubled))).take(), quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        let mut lexer = Lexer::new(text);
        std::iter::from_fn(|| Some(lexer.next_token().unwrap().kind))
            .take_while(|kind| *kind != Kind::End)
            .collect()
    }

    #[test]
    fn a_text_ends_at_a_single_quote() {
        for (text, raw, says) in [
            ("''", "", ""),
            ("'it''s'", "it''s", "it's"),
            ("''''", "''", "'"),
            ("'C:\\pki\\x'", "C:\\pki\\x", "C:\\pki\\x"),
            ("'a \"b\" -- c'", "a \"b\" -- c", "a \"b\" -- c"),
        ] {
            assert_eq!(kinds(text), [Kind::Text { raw, quote: '\'' }]);
            assert_eq!(unquoted(raw, '\''), says);
        }
        assert_eq!(kinds("\"a\"\"b'c\""), [Kind::Text { raw: "a\"\"b'c", quote: '"' }]);
        assert_eq!(unquoted("a\"\"b'c", '"'), "a\"b'c");
    }

    #[test]
    fn white_space_and_comments_are_skipped() {
        let text = "\u{feff}a -- b 'c\n/* ; */\u{a0}d--\r\n\u{3000},";
        assert_eq!(kinds(text), [Kind::Word("a"), Kind::Word("d"), Kind::Symbol(',')]);
        assert_eq!(kinds("--"), []);
        assert_eq!(kinds("p-1"), [Kind::Word("p"), Kind::Symbol('-'), Kind::Word("1")]);
        assert_eq!(kinds("/**/`a``b`"), [Kind::Name("a``b")]);
    }

    #[test]
    fn what_stays_open_is_named_where_it_begins() {
        for (text, fault, offset) in [
            ("a 'b", Fault::OpenQuote { quote: '\'' }, 2),
            ("'b''", Fault::OpenQuote { quote: '\'' }, 0),
            ("`", Fault::OpenQuote { quote: '`' }, 0),
            ("a /* b", Fault::OpenComment, 2),
            ("/*/", Fault::OpenComment, 0),
        ] {
            let mut lexer = Lexer::new(text);
            let broken = std::iter::from_fn(|| Some(lexer.next_token())).find_map(Result::err);
            assert_eq!(broken, Some(Broken { fault, offset }), "{text}");
        }
    }
}

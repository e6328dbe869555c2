//! What is wrong with a statement, and the code that IoTDB gives for it.

use std::fmt;

use thiserror::Error;

use super::name::PipeNameError;
use super::place::{Place, excerpt};
use crate::limits::{ATTRIBUTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX};

/// Status codes of answers to pipe statements (`TSStatusCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum StatusCode {
    /// Done, or nothing was to be done.
    Success = 200,
    /// No statement.
    SqlParse = 700,
    /// A statement that cannot be meant.
    Semantic = 701,
    /// Not allowed.
    NoPermission = 803,
    /// Nearly every failure of a pipe.
    Pipe = 1107,
    /// A plug-in cannot be created.
    CreatePlugin = 1600,
    /// A plug-in cannot be dropped.
    DropPlugin = 1601,
    /// A plug-in's executable cannot be had.
    GetPlugin = 1603,
    /// A pipe that was to be dropped does not exist.
    NoPipe = 1806,
}

impl StatusCode {
    /// The number.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(out)
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Something else was expected.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What could have stood there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A quote without its counterpart.
    #[error("the text after {quote} has no end: another {quote} is missing")]
    OpenQuote {
        /// Which quote.
        quote: char,
    },
    /// A comment without its end.
    #[error("the comment has no end: */ is missing")]
    OpenComment,
    /// There is no statement.
    #[error("there is no statement")]
    Empty,
    /// The text is larger than a node reads.
    #[error("the text is longer than {STATEMENT_BYTES_MAX} bytes")]
    TooLong,
    /// More statements than a node takes at one time.
    #[error("more than {STATEMENTS_MAX} statements at one time")]
    TooManyStatements,
    /// More attributes than a clause may have.
    #[error("more than {ATTRIBUTES_MAX} attributes in one clause")]
    TooManyAttributes,
    /// Not the number of an entry.
    #[error("{number} is not the number of an entry")]
    Number {
        /// What was written.
        number: String,
    },
    /// The last entry lies before the first.
    #[error("the last entry lies before the first")]
    Backwards,
    /// The pipe cannot have this name.
    #[error("{0}")]
    Name(#[from] PipeNameError),
}

/// A text that is no statement, or none that can be meant.
///
/// ```text
/// Error occurred while parsing SQL to physical plan: line 1:25 expected a key in quotes or ')', found sink (write 'sink')
/// create pipe p with sink (sink='x')
///                          ^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementError {
    /// What is wrong.
    pub fault: Fault,
    /// Where.
    pub place: Place,
    /// What to do; may be empty.
    pub hint: String,
    /// The line, and a caret below the place; secrets are stars.
    pub excerpt: String,
}

impl StatementError {
    pub(super) fn new(fault: Fault, text: &str, offset: usize, hint: String) -> Self {
        Self { fault, place: Place::of(text, offset), hint, excerpt: excerpt(text, offset) }
    }

    /// The code of the answer.
    pub const fn code(&self) -> StatusCode {
        match self.fault {
            Fault::Name(_) | Fault::Backwards => StatusCode::Semantic,
            Fault::Unexpected { .. }
            | Fault::OpenQuote { .. }
            | Fault::OpenComment
            | Fault::Empty
            | Fault::TooLong
            | Fault::TooManyStatements
            | Fault::TooManyAttributes
            | Fault::Number { .. } => StatusCode::SqlParse,
        }
    }

    /// Whether it is wrong only in that it ends, so that more may make it right; `text` is what was read.
    pub fn is_unfinished(&self, text: &str) -> bool {
        let is_open = matches!(self.fault, Fault::OpenQuote { .. } | Fault::OpenComment);
        is_open || self.place >= Place::of(text, text.trim_end().len())
    }

    /// What is wrong, on one line.
    pub fn message(&self) -> String {
        let about = if self.code() == StatusCode::SqlParse { PARSING } else { "" };
        let mut message = format!("{about}line {} {}", self.place, self.fault);
        if !self.hint.is_empty() {
            message.push_str(" (");
            message.push_str(&self.hint);
            message.push(')');
        }
        message
    }
}

impl fmt::Display for StatementError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n{}", self.message(), self.excerpt)
    }
}

impl std::error::Error for StatementError {}

/// How stock messages about syntax begin.
const PARSING: &str = "Error occurred while parsing SQL to physical plan: ";

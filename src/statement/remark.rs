//! What a check finds in the attributes of a pipe.

use std::fmt;
use std::ops::Range;

use super::attributes::{Attribute, Side};

/// What a remark means for the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It runs, but something is not as it looks.
    Warning,
    /// It is right, but this build cannot run it: what it would send is not what was asked for.
    NotInBuild,
    /// It cannot be created ([`StatusCode::Pipe`](super::StatusCode::Pipe)).
    Error,
}

/// Something about one attribute, or one part of a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it means for the pipe.
    pub weight: Weight,
    /// The part.
    pub side: Side,
    /// The attribute as it was written; none for what is missing in the part.
    pub key: Option<String>,
    /// Where its value was written.
    pub span: Option<Range<usize>>,
    /// What there is to say, in the words of stock IoTDB where it says the same. Never has a secret in it.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl Remark {
    pub(super) fn new(
        weight: Weight,
        side: Side,
        at: Option<&Attribute>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            weight,
            side,
            key: at.map(|attribute| attribute.spelled.clone()),
            span: at.map(|attribute| attribute.span.clone()),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// `sink "sink.ip": MESSAGE (HINT)`.
impl fmt::Display for Remark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.side.name())?;
        if let Some(key) = &self.key {
            write!(out, " {key:?}")?;
        }
        write!(out, ": {}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(out, " ({})", self.hint) }
    }
}

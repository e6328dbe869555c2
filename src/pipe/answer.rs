//! What a statement is answered with, for the wire of the control socket: JSON.

use serde::{Deserialize, Serialize};

/// The answer to one statement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The status code (`TSStatusCode`): 200 for success.
    pub code: u16,
    /// What went wrong, as stock says it; empty for success.
    pub message: String,
    /// For a mistake in the text: its line, and a caret below the place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
    /// What there is to say besides: misprints that were read otherwise, attributes without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Rows, of statements that show something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
}

/// Rows of texts, as stock sends them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    /// The titles.
    pub columns: Vec<String>,
    /// The rows, each with a cell for each title.
    pub rows: Vec<Vec<String>>,
}

impl Answer {
    /// Done.
    pub fn success() -> Self {
        Self { code: 200, ..Self::default() }
    }

    /// Not done.
    pub fn refused(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), ..Self::default() }
    }

    /// Something to look at.
    pub fn shown(table: Table) -> Self {
        Self { table: Some(table), ..Self::success() }
    }

    /// Whether it was done.
    pub fn is_success(&self) -> bool {
        self.code == 200
    }
}

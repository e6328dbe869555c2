//! Mistakes and remarks about a configuration: where, which key, what, and what to do.

use std::fmt;

use super::places::Places;

/// Whether a node may run with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may, but something is not as it looks.
    Warning,
    /// It may not.
    Error,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file, at a line counted from 1.
    Line {
        /// The file's name as it was given.
        file: String,
        /// The line.
        line: usize,
    },
    /// In an argument of the command line.
    Argument(String),
    /// Nowhere: it is a default, or something is missing.
    Nowhere,
}

/// One mistake or remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether a node may run with it.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// The dotted key.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

/// All of them, in the order of their places.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    list: Vec<Finding>,
}

impl Finding {
    /// One about a key, at the place where that was written.
    pub fn new(
        severity: Severity,
        places: &Places,
        key: &str,
        message: String,
        hint: &str,
    ) -> Self {
        let (place, key, hint) = (places.of(key), key.to_owned(), hint.to_owned());
        Self { severity, place, key, message, hint }
    }
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, finding: Finding) {
        self.list.push(finding);
    }

    /// Whether a node must not run.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All of them, sorted.
    pub fn sorted(mut self) -> Vec<Finding> {
        sort(&mut self.list);
        self.list
    }
}

/// Sorts by line; command line and missing things last.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| match &finding.place {
        Place::Line { line, .. } => *line,
        Place::Argument(_) => usize::MAX - 1,
        Place::Nowhere => usize::MAX,
    });
}

/// `FILE:LINE: error: KEY: MESSAGE (HINT)`.
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { file, line } => write!(out, "{file}:{line}: ")?,
            Place::Argument(text) => write!(out, "{text}: ")?,
            Place::Nowhere => {}
        }
        out.write_str(match self.severity {
            Severity::Warning => "warning: ",
            Severity::Error => "error: ",
        })?;
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(out, " ({})", self.hint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_names_place_key_and_remedy() {
        let finding = Finding {
            severity: Severity::Error,
            place: Place::Line { file: "a.toml".to_owned(), line: 7 },
            key: "gate.listen".to_owned(),
            message: "no address".to_owned(),
            hint: "give one".to_owned(),
        };
        assert_eq!(finding.to_string(), "a.toml:7: error: gate.listen: no address (give one)");
    }
}

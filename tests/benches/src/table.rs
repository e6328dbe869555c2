//! The table: what was measured, beside what, and what is wanted.

use std::fmt;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The value, with its unit.
    pub(crate) ours: String,
    /// What it is compared with, with its unit.
    pub(crate) other: String,
    /// The ratio, or the value itself where there is nothing to compare with.
    pub(crate) ratio: f64,
    /// What is wanted of the ratio.
    pub(crate) wanted: Wanted,
}

/// What is wanted of a ratio.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Nothing: it is told because one wants to know.
    Nothing,
}

impl Row {
    /// The line above all others.
    pub(crate) fn heading() -> String {
        format!("{:<46} {:>16} {:>22} {:>8}  wanted", "what", "ours", "compared with", "ratio")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ours, other, ratio, wanted } = self;
        write!(f, "{name:<46} {ours:>16} {other:>22} {ratio:>8.2}  ")?;
        match wanted {
            Wanted::AtLeast(least) if ratio >= least => write!(f, ">= {least}"),
            Wanted::AtLeast(least) => write!(f, ">= {least}  BELOW"),
            Wanted::AtMost(most) if ratio <= most => write!(f, "<= {most}"),
            Wanted::AtMost(most) => write!(f, "<= {most}  ABOVE"),
            Wanted::Nothing => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ratio: f64, wanted: Wanted) -> String {
        Row { name: "x".into(), ours: "1".into(), other: "2".into(), ratio, wanted }.to_string()
    }

    #[test]
    fn what_misses_its_mark_says_so() {
        assert!(row(0.7, Wanted::AtLeast(0.8)).ends_with("BELOW"));
        assert!(row(0.8, Wanted::AtLeast(0.8)).ends_with(">= 0.8"));
        assert!(row(1.3, Wanted::AtMost(1.2)).ends_with("ABOVE"));
        assert!(row(1.3, Wanted::Nothing).ends_with("  -"));
    }
}

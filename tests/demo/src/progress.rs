//! One line that changes in place; where that cannot be, one line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use penstock_test_support::clock;

/// Between two lines where the line cannot change in place.
const PERIOD: Duration = Duration::from_secs(2);

/// What is shown.
#[derive(Debug)]
pub(crate) struct Progress {
    in_place: bool,
    shown: Option<Instant>,
    width: usize,
}

impl Progress {
    /// Shows on standard output.
    pub(crate) fn new() -> Self {
        Self { in_place: io::stdout().is_terminal(), shown: None, width: 0 }
    }

    /// Shows this from here on.
    pub(crate) fn show(&mut self, text: &str) {
        let now = clock::now();
        let mut output = io::stdout().lock();
        if self.in_place {
            let width = self.width;
            drop(write!(output, "\r{text:width$}").and_then(|()| output.flush()));
            self.width = text.chars().count();
        } else if self.shown.is_none_or(|shown| now - shown >= PERIOD) {
            drop(writeln!(output, "{text}"));
            self.shown = Some(now);
        }
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        let mut output = io::stdout().lock();
        let width = self.width;
        let start = if self.in_place { "\r" } else { "" };
        drop(writeln!(output, "{start}{text:width$}"));
        self.width = 0;
    }
}

/// A bar of twenty characters.
pub(crate) fn bar(done: u64, total: u64) -> String {
    let full = (done.min(total) * 20).checked_div(total).unwrap_or(0);
    (0..20).map(|at| if at < full { '#' } else { '.' }).collect()
}

/// A number of bytes as people read it.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_full_as_they_should_be() {
        assert_eq!(bar(0, 10), "....................");
        assert_eq!(bar(5, 10), "##########..........");
        assert_eq!(bar(11, 10), "####################");
        assert_eq!(bar(0, 0), "....................");
        assert_eq!(megabytes(12_345_678), "12.3 MB");
    }
}

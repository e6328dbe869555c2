//! How far a long command has come: a line on standard error that is written over, if that is a terminal.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::ops::clock;
use crate::ops::human::{Bytes, Rate};

/// Bytes between two looks at the clock.
const LOOK_BYTES: u64 = 1 << 20;
/// Time between two lines; what is done sooner needs none.
const PERIOD: Duration = Duration::from_millis(500);

/// Where a command's result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Line after line while it reads: on a terminal they show how far it is.
    Stream,
    /// At the end.
    End,
}

/// What was read of a file, and when that was shown.
#[derive(Debug)]
pub(super) struct Progress {
    of: u64,
    read: Cell<u64>,
    looked: Cell<u64>,
    started: Instant,
    shown: Cell<Option<Instant>>,
    is_wanted: bool,
}

impl Progress {
    /// Of a file with so many bytes.
    pub(super) fn new(of: u64, output: Output) -> Self {
        let is_free = output == Output::End || !io::stdout().is_terminal();
        Self {
            of,
            read: Cell::new(0),
            looked: Cell::new(0),
            started: clock::now(),
            shown: Cell::new(None),
            is_wanted: is_free && io::stderr().is_terminal(),
        }
    }

    /// So many bytes more were read.
    pub(super) fn add(&self, bytes: usize) {
        self.read.set(self.read.get() + bytes as u64);
        if self.is_wanted && self.read.get() - self.looked.get() >= LOOK_BYTES {
            self.looked.set(self.read.get());
            let now = clock::now();
            if now.saturating_duration_since(self.shown.get().unwrap_or(self.started)) >= PERIOD {
                self.shown.set(Some(now));
                let line =
                    line(self.read.get(), self.of, now.saturating_duration_since(self.started));
                drop(write!(io::stderr(), "\r{line}\x1b[K")); // nobody is left to tell
            }
        }
    }
}

/// Some parts of a file are read twice, others never, so there is no percentage.
fn line(read: u64, of: u64, since: Duration) -> String {
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = Rate(read.saturating_mul(1000) / millis);
    format!("{} read in {} s, {rate}; the file has {}", Bytes(read), millis / 1000, Bytes(of))
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.get().is_some() {
            drop(write!(io::stderr(), "\r\x1b[K")); // nobody is left to tell
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_long_and_how_fast() {
        let line = line(3 << 20, 1 << 30, Duration::from_millis(1500));
        assert_eq!(line, "3.00 MiB read in 1 s, 2.00 MiB/s; the file has 1.00 GiB");
    }
}

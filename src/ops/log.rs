//! Log output: one line an event, `key=value`, to standard error.
//!
//! Under systemd each line begins with the priority that the journal understands and has no time of
//! its own; elsewhere it has both. A failure that repeats is logged when it starts, at powers of two
//! and when it ends: see [`Repeating`]. What strangers can cause at will is logged once a minute: [`Rarely`].

use std::env;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Record};

use crate::ops::clock;
use crate::ops::human::Line;

/// Starts logging. Later calls change the level only.
pub fn init(level: LevelFilter) {
    let format = if env::var_os("JOURNAL_STREAM").is_some() { journal_line } else { plain_line };
    let started = Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("penstock", LevelFilter::Trace)
        .format(format)
        .target(Target::Stderr)
        .try_init();
    drop(started); // an error says that logging has started already
    set_level(level);
}

/// Changes what is logged, while running.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// `<4>target message`.
fn journal_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let text = record.args().to_string();
    writeln!(out, "<{}>{}", priority(record.level()), Line(&text))
}

/// `2026-11-22T15:33:48.250Z WARN message`.
fn plain_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let text = record.args().to_string();
    writeln!(out, "{} {:<5} {}", clock::wall(), record.level(), Line(&text))
}

/// The priority of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A failure that may repeat, and when it is worth a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeating {
    times: u64,
}

impl Repeating {
    /// It failed. Returns how often, if that is worth a line: the first time and powers of two.
    pub fn failed(&mut self) -> Option<u64> {
        self.times = self.times.saturating_add(1);
        self.times.is_power_of_two().then_some(self.times)
    }

    /// It worked. Returns how often it had failed before, if it had.
    pub fn ended(&mut self) -> Option<u64> {
        let times = std::mem::take(&mut self.times);
        (times > 0).then_some(times)
    }

    /// How often it has failed in a row.
    pub fn times(&self) -> u64 {
        self.times
    }
}

/// An event that others can cause as often as they like: a line a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rarely {
    /// Since the last line.
    times: u64,
    due: Option<Instant>,
}

impl Rarely {
    /// It happened. Returns how often since the last line, if one is due.
    pub fn note(&mut self, now: Instant) -> Option<u64> {
        self.times = self.times.saturating_add(1);
        if self.due.is_some_and(|due| now < due) {
            return None;
        }
        self.due = Some(now + LINE_PERIOD);
        Some(std::mem::take(&mut self.times))
    }
}

/// Time between two lines of what happens at others' will.
const LINE_PERIOD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_logged_at_start_powers_of_two_and_end() {
        let mut trouble = Repeating::default();
        let logged: Vec<u64> = (0..20).filter_map(|_| trouble.failed()).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16]);
        assert_eq!(trouble.ended(), Some(20));
        assert_eq!(trouble.ended(), None);
        assert_eq!(trouble.failed(), Some(1));
    }

    #[test]
    fn what_others_cause_is_logged_once_a_minute_with_its_count() {
        let (mut floods, start) = (Rarely::default(), clock::now());
        let logged: Vec<_> = (0..1000)
            .filter_map(|at| floods.note(start + Duration::from_millis(100 * at)))
            .collect();
        assert_eq!(logged, [1, 600]);
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
        assert_eq!(levels.map(priority), [3, 4, 6, 7]);
    }
}

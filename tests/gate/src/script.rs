//! When faults happen: a script, or a seed.
//!
//! ```text
//! # one rule a line; what stands behind a # is a comment
//! at 10s: stall 3min                  a time since the gate started
//! at 3 frames: late-answer 2s         when the third frame has come in
//! at 512KiB: reset                    when that many bytes have come in, in mid-frame if it falls so
//! every 50 answers: drop-answer       when each fiftieth answer byte has come, before it goes on
//! at 2 connections: half-open         when the second connection is opened
//! ```
//! Counts are over all connections. A fault acts on the connection that triggered it; one that a
//! time triggers acts on all. An answer fault acts on the next answer byte, or on the one that
//! triggered it.

use std::time::Duration;

use crate::chance::Chance;
use crate::fault::{Fault, FaultError};
use crate::quantity::{self, QuantityError};

/// Longest script: more rules than this are a mistake.
const RULES_MAX: usize = 10_000;

/// What is counted to decide when a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Connections taken in front.
    Connections,
    /// Bytes from the inner side.
    Bytes,
    /// Whole frames from the inner side.
    Frames,
    /// Bytes from the target.
    Answers,
}

/// When a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A time since the gate started.
    Time(Duration),
    /// The count of a unit.
    Count(u64, Unit),
}

/// One line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// When it applies.
    pub trigger: Trigger,
    /// Whether it applies again after as much again.
    pub repeats: bool,
    /// What happens.
    pub fault: Fault,
}

/// A line of a script that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The line has not the form `at WHEN: FAULT` or `every WHEN: FAULT`.
    #[error("line {line}: {text:?} is not of the form `at WHEN: FAULT` or `every WHEN: FAULT`")]
    Form {
        /// Counted from one.
        line: usize,
        /// The line.
        text: String,
    },
    /// The time or count cannot be read, or is zero.
    #[error(
        "line {line}: {text:?} is no time (`2s`), number of bytes (`64KiB`) or count (`3 frames`, `7 answers`, `2 connections`) above zero"
    )]
    Trigger {
        /// Counted from one.
        line: usize,
        /// What stands where the trigger should be.
        text: String,
    },
    /// The fault cannot be read.
    #[error("line {line}: {error}")]
    Fault {
        /// Counted from one.
        line: usize,
        /// Why not.
        error: FaultError,
    },
    /// The script is too long.
    #[error("more than {RULES_MAX} rules")]
    TooLong,
}

/// Reads a script.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Rule>, ScriptError> {
    let mut rules = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        if rules.len() == RULES_MAX {
            return Err(ScriptError::TooLong);
        }
        rules.push(parse_rule(index + 1, text)?);
    }
    Ok(rules)
}

fn parse_rule(line: usize, text: &str) -> Result<Rule, ScriptError> {
    let form = || ScriptError::Form { line, text: text.into() };
    let (when, fault) = text.split_once(':').ok_or_else(form)?;
    let (word, trigger) = when.trim().split_once(' ').ok_or_else(form)?;
    let repeats = match word {
        "at" => false,
        "every" => true,
        _ => return Err(form()),
    };
    let trigger = parse_trigger(trigger.trim())
        .ok_or_else(|| ScriptError::Trigger { line, text: trigger.trim().into() })?;
    let fault = Fault::parse(fault).map_err(|error| ScriptError::Fault { line, error })?;
    Ok(Rule { trigger, repeats, fault })
}

fn parse_trigger(text: &str) -> Option<Trigger> {
    if let Some((number, unit)) = text.split_once(' ') {
        let unit = match unit.trim() {
            "frames" | "frame" => Unit::Frames,
            "answers" | "answer" => Unit::Answers,
            "bytes" | "byte" => Unit::Bytes,
            "connections" | "connection" => Unit::Connections,
            _ => return None,
        };
        let number = number.parse().ok().filter(|number| *number > 0)?;
        return Some(Trigger::Count(number, unit));
    }
    match quantity::parse_duration(text) {
        Ok(time) => (!time.is_zero()).then_some(Trigger::Time(time)),
        Err(QuantityError::Unit { .. }) => {
            let bytes = quantity::parse_size(text).ok().filter(|bytes| *bytes > 0)?;
            Some(Trigger::Count(bytes, Unit::Bytes))
        }
        Err(QuantityError::Number { .. } | QuantityError::Range { .. }) => None,
    }
}

/// What is still to happen: counts in, faults out.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    rules: Vec<Armed>,
    chance: Option<Chance>,
    connections: u64,
    bytes: u64,
    frames: u64,
    answers: u64,
}

#[derive(Debug)]
struct Armed {
    rule: Rule,
    next: Trigger,
    done: bool,
}

impl Plan {
    /// A plan from a script and, beside it, from a seed.
    pub(crate) fn new(rules: &[Rule], chance: Option<Chance>) -> Self {
        let rules = rules
            .iter()
            .map(|rule| Armed { rule: *rule, next: rule.trigger, done: false })
            .collect();
        Self { rules, chance, ..Self::default() }
    }

    /// Counts, and adds to `due` what happens now.
    pub(crate) fn count(&mut self, unit: Unit, number: u64, due: &mut Vec<Fault>) {
        let counter = match unit {
            Unit::Connections => &mut self.connections,
            Unit::Bytes => &mut self.bytes,
            Unit::Frames => &mut self.frames,
            Unit::Answers => &mut self.answers,
        };
        *counter += number;
        let count = *counter;
        for armed in &mut self.rules {
            armed.fire(|next| next == Trigger::Count(count, unit), due);
        }
        if unit == Unit::Frames {
            due.extend(self.chance.as_mut().and_then(|chance| chance.handle_frame(count)));
        }
    }

    /// Adds to `due` what happens by this time since the start.
    pub(crate) fn handle_time(&mut self, elapsed: Duration, due: &mut Vec<Fault>) {
        let is_past = |next| matches!(next, Trigger::Time(time) if time <= elapsed);
        for armed in &mut self.rules {
            armed.fire(is_past, due);
        }
    }

    /// The time since the start of the next rule by time.
    pub(crate) fn next_time(&self) -> Option<Duration> {
        let times =
            self.rules.iter().filter(|armed| !armed.done).filter_map(|armed| match armed.next {
                Trigger::Time(time) => Some(time),
                Trigger::Count(..) => None,
            });
        times.min()
    }

    /// How many bytes may come before the next rule by bytes has to be asked.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        let counts =
            self.rules.iter().filter(|armed| !armed.done).filter_map(|armed| match armed.next {
                Trigger::Count(count, Unit::Bytes) => count.checked_sub(self.bytes),
                Trigger::Count(..) | Trigger::Time(_) => None,
            });
        counts.filter(|left| *left > 0).min()
    }
}

impl Armed {
    fn fire(&mut self, is_due: impl Fn(Trigger) -> bool, due: &mut Vec<Fault>) {
        if self.done || !is_due(self.next) {
            return;
        }
        due.push(self.rule.fault);
        self.done = !self.rule.repeats;
        self.next = match (self.next, self.rule.trigger) {
            (Trigger::Time(next), Trigger::Time(step)) => Trigger::Time(next + step),
            (Trigger::Count(next, unit), Trigger::Count(step, _)) => {
                Trigger::Count(next + step, unit)
            }
            (next, _) => next,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        Plan::new(&parse(text).unwrap(), None)
    }

    fn counted(plan: &mut Plan, unit: Unit, number: u64) -> Vec<Fault> {
        let mut due = Vec::new();
        plan.count(unit, number, &mut due);
        due
    }

    #[test]
    fn a_script_is_read_line_by_line() {
        let rules = parse(
            "# a rehearsal\n\nat 10s: stall 3min\nat 3 frames: late-answer 2s # slow\n\
             at 512KiB: reset\nevery 50 answers: drop-answer\nat 2 connections: half-open\n",
        )
        .unwrap();
        assert_eq!(rules.len(), 5);
        assert_eq!(rules[2].trigger, Trigger::Count(512 * 1024, Unit::Bytes));
        assert!(rules[3].repeats);
        assert_eq!(rules[4].fault, Fault::HalfOpen(1));
    }

    #[test]
    fn mistakes_name_their_line() {
        assert!(matches!(parse("\nnow: reset"), Err(ScriptError::Form { line: 2, .. })));
        assert!(matches!(parse("at 3 frames reset"), Err(ScriptError::Form { line: 1, .. })));
        assert!(matches!(parse("at 0 frames: reset"), Err(ScriptError::Trigger { .. })));
        assert!(matches!(parse("at 0s: reset"), Err(ScriptError::Trigger { .. })));
        assert!(matches!(parse("at 3 moons: reset"), Err(ScriptError::Trigger { .. })));
        assert!(matches!(parse("at 3 frames: explode"), Err(ScriptError::Fault { line: 1, .. })));
        assert_eq!(parse(&"at 1s: reset\n".repeat(RULES_MAX + 1)), Err(ScriptError::TooLong));
    }

    #[test]
    fn counts_fire_once_or_again() {
        let mut plan = plan("at 2 frames: reset\nevery 2 frames: drop-answer");
        assert_eq!(counted(&mut plan, Unit::Frames, 1), []);
        assert_eq!(counted(&mut plan, Unit::Frames, 1), [Fault::Reset, Fault::DropAnswer]);
        assert_eq!(counted(&mut plan, Unit::Answers, 2), []);
        assert_eq!(counted(&mut plan, Unit::Frames, 1), []);
        assert_eq!(counted(&mut plan, Unit::Frames, 1), [Fault::DropAnswer]);
    }

    #[test]
    fn byte_rules_tell_how_far_they_are() {
        let mut plan = plan("every 100B: flip-bit\nat 130B: reset");
        assert_eq!(plan.bytes_left(), Some(100));
        assert_eq!(counted(&mut plan, Unit::Bytes, 100), [Fault::FlipBit]);
        assert_eq!(plan.bytes_left(), Some(30));
        assert_eq!(counted(&mut plan, Unit::Bytes, 30), [Fault::Reset]);
        assert_eq!(plan.bytes_left(), Some(70));
    }

    #[test]
    fn times_fire_when_they_are_past() {
        let mut plan = plan("every 2s: reset\nat 3s: close");
        let mut due = Vec::new();
        assert_eq!(plan.next_time(), Some(Duration::from_secs(2)));
        plan.handle_time(Duration::from_secs(3), &mut due);
        assert_eq!(due, [Fault::Reset, Fault::Close]);
        assert_eq!(plan.next_time(), Some(Duration::from_secs(4)));
    }
}

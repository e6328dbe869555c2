//! What all connections of a gate have in common: the wire, the plan, the report.

use std::fmt;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::event::{Event, Stats, What};
use crate::fault::{Fault, Scope};
use crate::link::Link;
use crate::script::{Plan, Unit};

/// Takes what the gate did.
pub(crate) type Report = Box<dyn FnMut(&Event) + Send>;

/// State that belongs to no single connection.
pub(crate) struct Shared {
    pub(crate) stats: Stats,
    pub(crate) plan: Plan,
    pub(crate) forward: Link,
    pub(crate) back: Link,
    pub(crate) latency: Duration,
    gate_faults: Vec<Fault>,
    started: Instant,
    report: Report,
}

impl Shared {
    pub(crate) fn new(config: &Config, report: Report, now: Instant) -> Self {
        Self {
            stats: Stats::default(),
            plan: Plan::new(&config.script, config.chance.clone()),
            forward: Link::new(config.bandwidth),
            back: Link::new(config.bandwidth),
            latency: config.round_trip / 2,
            gate_faults: Vec::new(),
            started: now,
            report,
        }
    }

    /// Tells what happened.
    pub(crate) fn tell(&mut self, now: Instant, connection: Option<u64>, what: What) {
        let event = Event { at: now.saturating_duration_since(self.started), connection, what };
        (self.report)(&event);
    }

    /// Counts, and returns the faults that happen now to the connection that is counted for.
    /// Those of the whole gate are kept for [`Shared::take_gate_faults`].
    pub(crate) fn count(&mut self, unit: Unit, number: u64) -> Vec<Fault> {
        let mut due = Vec::new();
        self.plan.count(unit, number, &mut due);
        self.sort_out(due)
    }

    /// The faults that the clock triggers, of connections; as [`Shared::count`].
    pub(crate) fn handle_time(&mut self, now: Instant) -> Vec<Fault> {
        let mut due = Vec::new();
        self.plan.handle_time(now.saturating_duration_since(self.started), &mut due);
        self.sort_out(due)
    }

    /// When the clock triggers the next fault.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        Some(self.started + self.plan.next_time()?)
    }

    /// Faults of the whole gate that happened since the last call.
    pub(crate) fn take_gate_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.gate_faults)
    }

    fn sort_out(&mut self, due: Vec<Fault>) -> Vec<Fault> {
        let (gate, connection): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|fault| fault.scope() == Scope::Gate);
        self.gate_faults.extend(gate);
        connection
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("stats", &self.stats).finish_non_exhaustive()
    }
}

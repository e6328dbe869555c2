//! Pipes that could not be brought in line with what is desired of them, and when each is tried again.

use tokio::time::Instant;

use crate::link::backoff::Backoff;
use crate::statement::PipeName;

/// At most one for each pipe.
#[derive(Debug, Default)]
pub(super) struct Late {
    list: Vec<(PipeName, Instant, Backoff)>,
}

impl Late {
    /// This one is tried again when `backoff` says so.
    pub(super) fn add(&mut self, name: &PipeName, mut backoff: Backoff) {
        self.remove(name);
        let at = Instant::now() + backoff.next_wait();
        self.list.push((name.clone(), at, backoff));
    }

    pub(super) fn remove(&mut self, name: &PipeName) {
        self.list.retain(|(late, ..)| late != name);
    }

    /// Whether this one waits.
    pub(super) fn has(&self, name: &PipeName) -> bool {
        self.list.iter().any(|(late, ..)| late == name)
    }

    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.list.iter().map(|(_, at, _)| *at).min()
    }

    /// Those that are due.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = (PipeName, Backoff)> {
        let due = self.list.iter().filter(move |(_, at, _)| *at <= now);
        due.map(|(name, _, backoff)| (name.clone(), backoff.clone()))
    }
}

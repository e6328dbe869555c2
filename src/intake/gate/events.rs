//! What people see of the gate: counters, the files that cross, trouble, log lines.

use std::net::SocketAddr;
use std::time::Instant;

use super::Gate;
use super::connection::Connection;
use crate::link::receiver::{Case, Event, HandshakeFlaw};
use crate::ops::board::{Report as Trouble, TroubleKind};
use crate::ops::clock;

impl Gate {
    pub(super) fn note_events(&mut self, index: usize, now: Instant) {
        while let Some(Some(connection)) = self.table.get_mut(index)
            && let Some(event) = connection.machine.poll_event()
        {
            if matches!(event, Event::Held) {
                connection.held = true;
            }
            let peer = connection.peer;
            self.note_event(peer, index, event, now);
        }
        let Some(Some(connection)) = self.table.get_mut(index) else { return };
        let Connection { machine, crossing, peer, .. } = connection;
        match (machine.current_file(), crossing.as_ref()) {
            (Some((name, bytes)), Some((shown, crossing))) if name == shown => {
                crossing.progress(bytes, now);
            }
            (Some((name, _)), _) => {
                let lane = peer.to_string();
                let shown = self.board.crossings.begin(&lane, name, None, now);
                *crossing = Some((name.to_owned(), shown));
            }
            (None, _) => *crossing = None,
        }
    }

    fn note_event(&mut self, peer: SocketAddr, index: usize, event: Event, now: Instant) {
        let intake = self.intake();
        match event {
            Event::Stored { payload_bytes, .. } => {
                intake.accepted(1, u64::from(payload_bytes), now);
            }
            Event::Taken { payload_bytes } => intake.accepted(0, u64::from(payload_bytes), now),
            Event::Quarantined(case) => {
                intake.accepted(1, 0, now);
                log::warn!("event=quarantined peer={peer} why={}", case.name());
            }
            Event::Refused(case) => {
                intake.refused.count();
                if let Case::Handshake(flaw) = case {
                    self.note_flaw(peer, flaw);
                }
                log::warn!("event=refused peer={peer} why={}", case.name());
            }
            Event::Greeted => {
                let greeted = self.table.get(index).and_then(Option::as_ref);
                let greeted = greeted.and_then(|one| one.machine.peer());
                let cluster = greeted.map_or("", |peer| peer.cluster_id());
                log::info!("event=greeted peer={peer} cluster={cluster:?}");
            }
            Event::Ignored(kind) => {
                intake.accepted(0, 0, now);
                log::info!("event=plan_ignored peer={peer} kind={kind:?}");
            }
            Event::Held => log::warn!("event=held peer={peer}"),
            Event::Reset(case) => {
                intake.resets.count();
                if let Some(count) = self.resets.count(case) {
                    log::warn!("event=reset peer={peer} why={} count={count}", case.name());
                }
            }
        }
    }

    fn note_flaw(&self, peer: SocketAddr, flaw: HandshakeFlaw) {
        let address = peer.ip().to_string();
        let trouble = match flaw {
            HandshakeFlaw::OwnCluster => {
                let what = format!("{address} names this node's own cluster id");
                Trouble::new(TroubleKind::ClonedBox, what)
            }
            HandshakeFlaw::Precision => {
                let what = format!("{address} has another precision than this node");
                Trouble::new(TroubleKind::PrecisionDiffers, what)
            }
            HandshakeFlaw::Undecodable
            | HandshakeFlaw::NoCluster
            | HandshakeFlaw::NoPrecision
            | HandshakeFlaw::Login
            | HandshakeFlaw::Fallback => return,
        };
        self.board.raise(trouble.about(address), clock::wall());
    }
}

/// Counts what repeats, so that a log line is written at powers of two only.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    counts: heapless::Vec<(&'static str, u64), REASONS_MAX>,
}

/// Reasons that are counted apart; there are fewer.
const REASONS_MAX: usize = 32;

impl Repeats {
    /// The count, when it is worth a line.
    fn count(&mut self, case: Case) -> Option<u64> {
        let name = case.name();
        let count = match self.counts.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => self.counts.push((name, 1)).map_or(0, |()| 1),
        };
        count.is_power_of_two().then_some(count)
    }
}

//! What people see of the gate: counters, the files that cross, trouble, log lines.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

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
        let intake = self.intake_at(index);
        match event {
            Event::Stored { payload_bytes, .. } => {
                intake.accepted(1, u64::from(payload_bytes), now);
            }
            Event::Taken { payload_bytes } => intake.accepted(0, u64::from(payload_bytes), now),
            Event::Quarantined(case) => {
                intake.accepted(1, 0, now);
                log::warn!("event=quarantined peer={peer} why={}", case.name());
            }
            // A client hears of it, and has made the mistake itself.
            Event::Refused(case) if self.is_of_writer(index) => {
                intake.refused.count();
                log::debug!("event=write_refused peer={peer} why={}", case.name());
            }
            Event::Refused(case) => {
                intake.refused.count();
                self.note_refusal(peer, case, now);
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
                self.note_reset(peer, case, now);
            }
        }
    }

    fn is_of_writer(&self, index: usize) -> bool {
        let connection = self.table.get(index).and_then(Option::as_ref);
        connection.is_some_and(|connection| connection.machine.is_of_writer())
    }

    /// Refusals are what a stock sender forgets after a minute: each of them is trouble.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all that is refused late is told alike")]
    fn note_refusal(&mut self, peer: SocketAddr, case: Case, now: Instant) {
        let count = self.refusals.count(case, now).total;
        let address = peer.ip().to_string();
        let trouble = match case {
            Case::Handshake(flaw) => refused_handshake(flaw, &address).about(address).passing(now),
            // The spool's thread has raised what there is to say.
            Case::Cloned => return,
            _ => {
                let what = format!(
                    "{address} sent what this build does not take ({}); it was refused {count} times",
                    case.name()
                );
                Trouble::new(TroubleKind::NotUnderstood, what).about(case.name()).count(count)
            }
        };
        self.board.raise(trouble, clock::wall());
    }

    fn note_reset(&mut self, peer: SocketAddr, case: Case, now: Instant) {
        let Count { total, lately } = self.resets.count(case, now);
        if total.is_power_of_two() {
            log::warn!("event=reset peer={peer} why={} count={total}", case.name());
        }
        let Some(remedy) = remedy_of_reset(case).filter(|_| lately >= RESETS_SHOWN_FROM) else {
            return;
        };
        let what = format!(
            "{lately} connections were reset within {} minutes ({}), the last one from {}",
            REPEATS_WINDOW.as_secs() / 60,
            case.name(),
            peer.ip()
        );
        let trouble = Trouble::new(TroubleKind::Resets, what).about(case.name()).remedy(remedy);
        self.board.raise(trouble.passing(now), clock::wall());
    }
}

fn refused_handshake(flaw: HandshakeFlaw, address: &str) -> Trouble {
    let (kind, what) = match flaw {
        HandshakeFlaw::OwnCluster => (TroubleKind::ClonedBox, "names this node's own cluster id"),
        HandshakeFlaw::Precision => {
            (TroubleKind::PrecisionDiffers, "has another precision than this node")
        }
        HandshakeFlaw::Login => (
            TroubleKind::HandshakeRefused,
            "sends another user or password than the configuration asks for",
        ),
        HandshakeFlaw::Undecodable => {
            (TroubleKind::HandshakeRefused, "sends a handshake that cannot be read")
        }
        HandshakeFlaw::NoCluster => (TroubleKind::HandshakeRefused, "does not say its cluster id"),
        HandshakeFlaw::NoPrecision => {
            (TroubleKind::HandshakeRefused, "does not say its timestamp precision")
        }
        HandshakeFlaw::Fallback => {
            (TroubleKind::HandshakeRefused, "tries the old handshake after its new one was refused")
        }
    };
    Trouble::new(kind, format!("{address} {what}"))
}

/// What to do about a reset that repeats; none where other trouble says it, or none is needed.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others need no remedy of their own")]
fn remedy_of_reset(case: Case) -> Option<&'static str> {
    Some(match case {
        Case::Checksum => "bytes change on the way: look at the gate and the line",
        Case::Lengths => "what sends is no air-gap sink, or the gate changes bytes",
        Case::TooLong => "raise [gate] max_frame_bytes, or let the peer send smaller pieces",
        Case::OutOfPlace => {
            "the gate loses or doubles frames, or a peer starts files in the middle"
        }
        Case::TooManyFiles => "a peer begins files and never ends them: look at its log",
        Case::NoHandshake => "what sends to this port never greets: is it an air-gap sink?",
        // Full, slow, failing, stopping: named as such. All others are no resets.
        _ => return None,
    })
}

/// Counts what repeats, by its reason.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    counts: heapless::Vec<Repeat, REASONS_MAX>,
}

#[derive(Debug)]
struct Repeat {
    name: &'static str,
    total: u64,
    /// Since when `lately` is counted.
    since: Instant,
    lately: u64,
}

/// How often something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    /// Since the start.
    total: u64,
    /// In a window of [`REPEATS_WINDOW`].
    lately: u64,
}

/// Reasons that are counted apart; there are fewer.
const REASONS_MAX: usize = 32;
/// A peer comes back within seconds after a reset.
const REPEATS_WINDOW: Duration = Duration::from_secs(600);
/// A peer that starts anew, or a probe of the port, is reset once or twice.
const RESETS_SHOWN_FROM: u64 = 5;

impl Repeats {
    fn count(&mut self, case: Case, now: Instant) -> Count {
        let name = case.name();
        let known = self.counts.iter().position(|each| each.name == name);
        let index = known.unwrap_or_else(|| {
            let first = Repeat { name, total: 0, since: now, lately: 0 };
            // There are fewer reasons than places.
            let _full = self.counts.push(first).is_err();
            self.counts.len() - 1
        });
        let Some(repeat) = self.counts.get_mut(index) else { return Count { total: 1, lately: 1 } };
        if now.saturating_duration_since(repeat.since) >= REPEATS_WINDOW {
            (repeat.since, repeat.lately) = (now, 0);
        }
        repeat.total += 1;
        repeat.lately += 1;
        Count { total: repeat.total, lately: repeat.lately }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::receiver::Verdict;
    use crate::ops::board::PASSING_SHOWN;

    #[test]
    fn repeats_are_counted_by_reason_and_window() {
        let (mut repeats, start) = (Repeats::default(), clock::now());
        for n in 1..=3 {
            assert_eq!(repeats.count(Case::Checksum, start), Count { total: n, lately: n });
        }
        assert_eq!(repeats.count(Case::TooLong, start), Count { total: 1, lately: 1 });
        let later = start + REPEATS_WINDOW;
        assert_eq!(repeats.count(Case::Checksum, later), Count { total: 4, lately: 1 });
        assert!(PASSING_SHOWN > REPEATS_WINDOW, "or trouble that goes on would come and go");
    }

    #[test]
    fn every_reset_that_a_peer_causes_has_a_remedy() {
        for case in [
            Case::Checksum,
            Case::Lengths,
            Case::TooLong,
            Case::OutOfPlace,
            Case::TooManyFiles,
            Case::NoHandshake,
        ] {
            assert_eq!(case.verdict(), Verdict::Reset);
            assert!(remedy_of_reset(case).is_some(), "{case:?}");
        }
    }
}

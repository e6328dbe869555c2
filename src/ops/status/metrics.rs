//! `/metrics`: the board in the `OpenMetrics` text format. Values are read when they are asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::report::Status;
use crate::ops::board::Board;
use crate::ops::clock;

/// Media type of the text.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of this moment.
///
/// # Errors
/// None that a text can give: the type is the encoder's.
pub(super) fn text(board: &Arc<Board>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(BoardCollector { board: Arc::clone(board) }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

const BYTES: Option<&Unit> = Some(&Unit::Bytes);
const SECONDS: Option<&Unit> = Some(&Unit::Seconds);

#[derive(Debug)]
struct BoardCollector {
    board: Arc<Board>,
}

impl Collector for BoardCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metrics = Metrics { encoder };
        let now = clock::now();
        let status = Status::of(&self.board, now);
        metrics.node(&status)?;
        metrics.spool(&status)?;
        metrics.intakes(&status)?;
        metrics.pipes(&status)?;
        metrics.landing(&status)?;
        metrics.loops(&self.board, now)
    }
}

struct Metrics<'a> {
    encoder: DescriptorEncoder<'a>,
}

/// Labels of one line.
type Labels<'l> = &'l [(&'l str, &'l str)];

impl Metrics<'_> {
    fn node(&mut self, status: &Status) -> fmt::Result {
        let node = &status.node;
        let labels = [
            ("name", node.name.as_str()),
            ("role", &node.role),
            ("version", &node.version),
            ("origin", &node.origin_id),
        ];
        self.gauge("penstock_node", "What this node is", None, &[(&labels, 1)])?;
        self.gauge1("penstock_uptime", "Since the start", SECONDS, node.uptime_seconds)?;
        self.gauge1("penstock_memory", "Resident memory", BYTES, node.memory_bytes)?;
        let help = "Resident memory at most";
        self.gauge1("penstock_memory_peak", help, BYTES, node.memory_peak_bytes)?;
        let lines: Vec<_> = status
            .trouble
            .iter()
            .map(|trouble| {
                let seen = if trouble.acknowledged { "true" } else { "false" };
                let (kind, subject) = (trouble.kind.as_str(), trouble.subject.as_str());
                [("kind", kind), ("subject", subject), ("acknowledged", seen)]
            })
            .collect();
        let lines: Vec<(Labels<'_>, u64)> =
            lines.iter().map(|labels| (labels.as_slice(), 1)).collect();
        self.gauge("penstock_trouble", "What needs a person", None, &lines)
    }

    fn spool(&mut self, status: &Status) -> fmt::Result {
        let spool = &status.spool;
        self.gauge1(
            "penstock_spool_first_sequence",
            "Oldest entry kept",
            None,
            spool.first_sequence,
        )?;
        self.gauge1(
            "penstock_spool_next_sequence",
            "Next entry's number",
            None,
            spool.next_sequence,
        )?;
        self.gauge1("penstock_spool_entries", "Entries kept", None, spool.entries)?;
        self.gauge1("penstock_spool", "What counts for the quota", BYTES, spool.bytes)?;
        self.gauge1("penstock_spool_max", "The quota in force", BYTES, spool.max_bytes)?;
        self.gauge1("penstock_spool_retained", "Kept for re-sending", BYTES, spool.retained_bytes)?;
        self.counter1("penstock_spool_syncs", "Syncs of the log", None, spool.syncs)?;
        let help = "Entries that drop-oldest gave up";
        self.counter1("penstock_spool_dropped_entries", help, None, spool.dropped_entries)?;
        let states = ["ok", "full", "failing"].map(|state| [("state", state)]);
        let lines: Vec<(Labels<'_>, u64)> = states
            .iter()
            .map(|labels| (labels.as_slice(), u64::from(labels.iter().any(|l| l.1 == spool.state))))
            .collect();
        self.gauge("penstock_spool_state", "One for the state it is in", None, &lines)?;
        let quarantine = &status.quarantine;
        self.gauge1("penstock_quarantine_things", "Things put aside", None, quarantine.things)?;
        self.gauge1("penstock_quarantine", "Their bytes", BYTES, quarantine.bytes)
    }

    fn intakes(&mut self, status: &Status) -> fmt::Result {
        let labels: Vec<_> =
            status.intakes.iter().map(|row| [("kind", row.kind.as_str())]).collect();
        let rows = || status.intakes.iter().zip(&labels);
        macro_rules! lines {
            ($field:ident) => {
                rows().map(|(row, labels)| (labels.as_slice(), row.$field)).collect::<Vec<_>>()
            };
        }
        self.counter("penstock_accepted_entries", "Taken in", None, &lines!(accepted_entries))?;
        self.counter("penstock_accepted", "Bytes taken in", BYTES, &lines!(accepted_bytes))?;
        self.counter("penstock_duplicates", "Known already", None, &lines!(duplicates))?;
        self.counter("penstock_refused", "Refused or put aside", None, &lines!(refused))?;
        self.counter("penstock_resets", "Connections reset by us", None, &lines!(resets))?;
        self.gauge("penstock_held", "Answers held right now", None, &lines!(held))?;
        self.gauge("penstock_connections", "Open right now", None, &lines!(connections))?;
        let ages: Vec<(Labels<'_>, u64)> = rows()
            .filter_map(|(row, labels)| Some((labels.as_slice(), row.last_accept_age_seconds?)))
            .collect();
        let help = "Since something was accepted";
        self.gauge("penstock_last_accept_age", help, SECONDS, &ages)
    }

    fn pipes(&mut self, status: &Status) -> fmt::Result {
        let labels: Vec<_> = status.pipes.iter().map(|row| [("pipe", row.id.as_str())]).collect();
        let rows = || status.pipes.iter().zip(&labels);
        macro_rules! lines {
            ($field:ident) => {
                rows().map(|(row, labels)| (labels.as_slice(), row.$field)).collect::<Vec<_>>()
            };
        }
        macro_rules! known {
            ($field:ident) => {
                rows()
                    .filter_map(|(row, labels)| Some((labels.as_slice(), row.$field?)))
                    .collect::<Vec<_>>()
            };
        }
        let running: Vec<(Labels<'_>, u64)> = rows()
            .map(|(row, labels)| (labels.as_slice(), u64::from(row.state == "RUNNING")))
            .collect();
        self.gauge("penstock_pipe_running", "One if it is to send", None, &running)?;
        self.gauge("penstock_pipe_position", "Accepted below", None, &lines!(position))?;
        let help = "Entries still to send";
        self.gauge("penstock_pipe_remaining_entries", help, None, &lines!(remaining_entries))?;
        self.gauge("penstock_pipe_remaining", "Bytes to send", BYTES, &lines!(remaining_bytes))?;
        let (help, lines) = ("At the present rate", known!(estimated_remaining_seconds));
        self.gauge("penstock_pipe_remaining_time", help, SECONDS, &lines)?;
        let (help, lines) = ("Since the far side answered", known!(last_answer_age_seconds));
        self.gauge("penstock_pipe_last_answer_age", help, SECONDS, &lines)?;
        self.counter("penstock_pipe_sent_frames", "Frames written", None, &lines!(sent_frames))?;
        self.counter("penstock_pipe_sent", "Bytes written", BYTES, &lines!(sent_bytes))?;
        let help = "Frames that the far side refused";
        self.counter("penstock_pipe_refused_frames", help, None, &lines!(refused_frames))?;
        self.counter("penstock_pipe_retries", "Begun again", None, &lines!(retries))
    }

    fn landing(&mut self, status: &Status) -> fmt::Result {
        let landing = &status.landing;
        self.counter1("penstock_landed_files", "Files landed", None, landing.files)?;
        self.counter1("penstock_landed", "Their bytes", BYTES, landing.bytes)?;
        self.counter1("penstock_landed_points", "Their points", None, landing.points)?;
        let help = "Landed files that were removed to keep the directory's limits";
        self.counter1("penstock_landing_removed_files", help, None, landing.removed_files)?;
        self.counter1("penstock_landing_removed", "Their bytes", BYTES, landing.removed_bytes)?;
        let help = "Entries that wait for landing";
        self.gauge1("penstock_landing_pending_entries", help, None, landing.pending_entries)
    }

    fn loops(&mut self, board: &Board, now: Instant) -> fmt::Result {
        let verdict = board.stamps.judge(now);
        let slowest = verdict.slowest.map_or(0, |slow| slow.age.as_secs());
        let help = "How long the slowest loop has been in one turn; zero if all are quick";
        self.gauge1("penstock_loop_stall", help, SECONDS, slowest)
    }

    fn gauge1(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        self.gauge(name, help, unit, &[(&[], value)])
    }

    fn counter1(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        self.counter(name, help, unit, &[(&[], value)])
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        lines: &[(Labels<'_>, u64)],
    ) -> fmt::Result {
        self.family(name, help, unit, lines, ConstGauge::new)
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        lines: &[(Labels<'_>, u64)],
    ) -> fmt::Result {
        self.family(name, help, unit, lines, ConstCounter::new)
    }

    /// One metric with a line for each set of labels; nothing if there is none.
    fn family<M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        lines: &[(Labels<'_>, u64)],
        metric: fn(u64) -> M,
    ) -> fmt::Result {
        let Some((_, first)) = lines.first() else { return Ok(()) };
        let kind = metric(*first).metric_type();
        let mut encoder = self.encoder.encode_descriptor(name, help, unit, kind)?;
        if let &[(&[], value)] = lines {
            return metric(value).encode(encoder);
        }
        for (labels, value) in lines {
            metric(*value).encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;
    use crate::ops::board::{IntakeKind, Report, TroubleKind};
    use crate::ops::clock::EpochMillis;

    #[test]
    fn metrics_have_units_in_their_names_and_end_as_they_should() {
        let now = clock::now();
        let board = Arc::new(Board::new(Role::Receiver, "plant\"7", now));
        board.intake(IntakeKind::Gate).accepted(3, 900, now);
        board.pipes.row("p", "h:1", EpochMillis(0)).unwrap().sent(77);
        board.raise(Report::new(TroubleKind::SpoolFull, "full"), EpochMillis(0));
        let text = text(&board).unwrap();
        for line in [
            "# TYPE penstock_accepted_bytes counter",
            "# UNIT penstock_accepted_bytes bytes",
            "penstock_accepted_bytes_total{kind=\"gate\"} 900",
            "penstock_accepted_entries_total{kind=\"gate\"} 3",
            "penstock_last_accept_age_seconds{kind=\"gate\"} 0",
            "penstock_pipe_sent_bytes_total{pipe=\"p\"} 77",
            "penstock_spool_state{state=\"ok\"} 1",
            "penstock_spool_state{state=\"full\"} 0",
            "penstock_trouble{kind=\"spool-full\",subject=\"\",acknowledged=\"false\"} 1",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}\n{text}");
        }
        assert!(text.contains("name=\"plant\\\"7\""), "labels are escaped: {text}");
        assert!(text.ends_with("# EOF\n"));
        let foreign =
            text.lines().find(|line| !line.starts_with('#') && !line.starts_with("penstock_"));
        assert_eq!(foreign, None);
    }
}

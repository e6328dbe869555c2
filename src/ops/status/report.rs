//! `/status`: the board as JSON. The keys are fixed by what other people's scripts rely on; further
//! keys may be added.
//!
//! A number that is not known is `null`: the age of an answer that never came, the remaining time of
//! something that stands still.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ops::board::{Board, CrossingView, Intake, IntakeKind, PipeRow, Sample, Trouble};

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node itself.
    pub node: NodeReport,
    /// Where it listens.
    pub listeners: Vec<ListenerReport>,
    /// What lies in the spool.
    pub spool: SpoolReport,
    /// What lies in quarantine.
    pub quarantine: QuarantineReport,
    /// The ways in.
    pub intakes: Vec<IntakeReport>,
    /// The ways out.
    pub pipes: Vec<PipeReport>,
    /// Files under way.
    pub crossing: Vec<CrossingReport>,
    /// What was landed.
    pub landing: LandingReport,
    /// What needs a person.
    pub trouble: Vec<TroubleReport>,
    /// Troubles that did not fit.
    pub trouble_unshown: u64,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its name for people.
    pub name: String,
    /// `sender` or `receiver`.
    pub role: String,
    /// Its identity, in hexadecimal.
    pub origin_id: String,
    /// Version of the program.
    pub version: String,
    /// `starting`, `running` or `stopping`.
    pub phase: String,
    /// Since its start.
    pub uptime_seconds: u64,
    /// Resident now.
    pub memory_bytes: u64,
    /// Resident at most.
    pub memory_peak_bytes: u64,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerReport {
    /// `gate` or `status`.
    pub kind: String,
    /// Address and port.
    pub address: String,
}

/// What lies in the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the board's gauges")]
pub struct SpoolReport {
    pub first_sequence: u64,
    pub next_sequence: u64,
    pub entries: u64,
    pub bytes: u64,
    pub max_bytes: u64,
    pub retained_bytes: u64,
    pub dropped_entries: u64,
    pub syncs: u64,
    pub state: String,
}

/// What lies in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the board's gauges")]
pub struct QuarantineReport {
    pub things: u64,
    pub bytes: u64,
}

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the board's gauges")]
pub struct IntakeReport {
    pub kind: String,
    pub accepted_entries: u64,
    pub accepted_bytes: u64,
    pub duplicates: u64,
    pub refused: u64,
    pub resets: u64,
    pub held: u64,
    pub connections: u64,
    pub last_accept_age_seconds: Option<u64>,
}

impl IntakeReport {
    /// Whether anything has come this way since the start, or might now.
    pub fn is_used(&self) -> bool {
        let came = [self.accepted_entries, self.duplicates, self.refused, self.resets, self.held];
        self.connections > 0 || came.iter().any(|count| *count > 0)
    }
}

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the board's gauges")]
pub struct PipeReport {
    pub id: String,
    pub state: String,
    pub since: String,
    pub target: String,
    pub position: u64,
    pub remaining_entries: u64,
    pub remaining_bytes: u64,
    pub estimated_remaining_seconds: Option<u64>,
    pub bytes_per_second: u64,
    pub last_answer_age_seconds: Option<u64>,
    pub sent_frames: u64,
    pub sent_bytes: u64,
    pub refused_frames: u64,
    pub retries: u64,
    pub message: String,
    /// For the page only: as text it would be ten times as long as all the rest.
    #[serde(skip)]
    pub history: Vec<Sample>,
}

/// A file under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossingReport {
    /// The pipe or the connection.
    pub lane: String,
    /// The file's name.
    pub file: String,
    /// Bytes that are over.
    pub done_bytes: u64,
    /// All bytes, where the protocol tells.
    pub total_bytes: Option<u64>,
    /// Whole percent, where the total is known.
    pub percent: Option<u64>,
    /// Mean of the last seconds.
    pub bytes_per_second: u64,
    /// At that rate.
    pub remaining_seconds: Option<u64>,
    /// Since it began.
    pub elapsed_seconds: u64,
}

/// What was landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the board's gauges")]
pub struct LandingReport {
    pub files: u64,
    pub bytes: u64,
    pub points: u64,
    pub pending_entries: u64,
    pub removed_files: u64,
    pub removed_bytes: u64,
}

/// What needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleReport {
    /// One of the documented kinds.
    pub kind: String,
    /// The pipe, file or directory; empty for the node.
    pub subject: String,
    /// Since when, in UTC.
    pub since: String,
    /// The condition.
    pub what: String,
    /// The remedy.
    #[serde(rename = "do")]
    pub remedy: String,
    /// How many things, where they are counted.
    pub count: u64,
    /// A person has seen it.
    pub acknowledged: bool,
}

impl Status {
    /// The report of `board` at `now`.
    pub fn of(board: &Board, now: Instant) -> Self {
        Self {
            node: NodeReport::of(board, now),
            listeners: board.listeners().into_iter().map(ListenerReport::of).collect(),
            spool: SpoolReport::of(board),
            quarantine: QuarantineReport {
                things: board.quarantine.things.get(),
                bytes: board.quarantine.bytes.get(),
            },
            intakes: IntakeKind::ALL
                .iter()
                .map(|kind| IntakeReport::of(*kind, board.intake(*kind), now))
                .collect(),
            pipes: board.pipes.all().iter().map(|row| PipeReport::of(row, now)).collect(),
            crossing: board.crossings.views(now).into_iter().map(CrossingReport::of).collect(),
            landing: LandingReport {
                files: board.landing.files.get(),
                bytes: board.landing.bytes.get(),
                points: board.landing.points.get(),
                pending_entries: board.landing.pending_entries.get(),
                removed_files: board.landing.removed_files.get(),
                removed_bytes: board.landing.removed_bytes.get(),
            },
            trouble: board.troubles.all().into_iter().map(TroubleReport::of).collect(),
            trouble_unshown: board.troubles.unshown(),
        }
    }

    /// Whether something needs a person.
    pub fn needs_person(&self) -> bool {
        self.trouble_unshown > 0 || self.trouble.iter().any(|trouble| !trouble.acknowledged)
    }
}

impl NodeReport {
    fn of(board: &Board, now: Instant) -> Self {
        let (memory_bytes, memory_peak_bytes) = memory();
        Self {
            name: board.name().to_owned(),
            role: board.role().name().to_owned(),
            origin_id: board.origin_id().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: board.phase().name().to_owned(),
            uptime_seconds: board.uptime(now).as_secs(),
            memory_bytes,
            memory_peak_bytes,
        }
    }
}

impl ListenerReport {
    fn of((kind, address): (&str, SocketAddr)) -> Self {
        Self { kind: kind.to_owned(), address: address.to_string() }
    }
}

impl SpoolReport {
    fn of(board: &Board) -> Self {
        let spool = &board.spool;
        Self {
            first_sequence: spool.first_sequence.get(),
            next_sequence: spool.next_sequence.get(),
            entries: spool.entries.get(),
            bytes: spool.bytes.get(),
            max_bytes: spool.max_bytes.get(),
            retained_bytes: spool.retained_bytes.get(),
            dropped_entries: spool.dropped_entries.get(),
            syncs: spool.syncs.get(),
            state: spool.state().name().to_owned(),
        }
    }
}

impl IntakeReport {
    fn of(kind: IntakeKind, intake: &Intake, now: Instant) -> Self {
        Self {
            kind: kind.name().to_owned(),
            accepted_entries: intake.accepted_entries.get(),
            accepted_bytes: intake.accepted_bytes.get(),
            duplicates: intake.duplicates.get(),
            refused: intake.refused.get(),
            resets: intake.resets.get(),
            held: intake.held.get(),
            connections: intake.connections.get(),
            last_accept_age_seconds: seconds(intake.last_accept.age(now)),
        }
    }
}

impl PipeReport {
    fn of(row: &PipeRow, now: Instant) -> Self {
        Self {
            id: row.id().to_owned(),
            state: row.state().name().to_owned(),
            since: row.since().to_string(),
            target: row.target().to_owned(),
            position: row.position.get(),
            remaining_entries: row.remaining_entries.get(),
            remaining_bytes: row.remaining_bytes.get(),
            estimated_remaining_seconds: seconds(row.time_left(now)),
            bytes_per_second: row.rate(now),
            last_answer_age_seconds: seconds(row.last_answer.age(now)),
            sent_frames: row.sent_frames.get(),
            sent_bytes: row.sent_bytes.get(),
            refused_frames: row.refused_frames.get(),
            retries: row.retries.get(),
            message: row.message(),
            history: row.history(now),
        }
    }
}

impl CrossingReport {
    fn of(view: CrossingView) -> Self {
        let percent = |total: u64| view.done_bytes.saturating_mul(100).checked_div(total);
        Self {
            percent: view.total_bytes.and_then(percent).map(|percent| percent.min(100)),
            lane: view.lane,
            file: view.file,
            done_bytes: view.done_bytes,
            total_bytes: view.total_bytes,
            bytes_per_second: view.bytes_per_second,
            remaining_seconds: seconds(view.remaining),
            elapsed_seconds: view.elapsed.as_secs(),
        }
    }
}

impl TroubleReport {
    pub(in crate::ops) fn of(trouble: Trouble) -> Self {
        Self {
            kind: trouble.kind.name().to_owned(),
            subject: trouble.subject,
            since: trouble.since.to_string(),
            what: trouble.what,
            remedy: trouble.remedy,
            count: trouble.count,
            acknowledged: trouble.acknowledged,
        }
    }
}

fn seconds(age: Option<Duration>) -> Option<u64> {
    age.map(|age| age.as_secs())
}

/// Resident memory of this process, now and at most; zero where the kernel does not tell.
fn memory() -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    (memory_line(&text, "VmRSS:"), memory_line(&text, "VmHWM:"))
}

fn memory_line(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;
    use crate::ops::board::{Report, TroubleKind};
    use crate::ops::clock::{self, EpochMillis};

    /// The shape that scripts rely on: every key of it must be there, with the same kind of value.
    const SHAPE: &str = r#"{
        "node": {"name": "", "role": "sender", "origin_id": "", "version": "", "uptime_seconds": 0,
                 "memory_bytes": 0, "memory_peak_bytes": 0},
        "spool": {"first_sequence": 0, "next_sequence": 0, "entries": 0, "bytes": 0, "max_bytes": 0, "state": "ok"},
        "quarantine": {"things": 0, "bytes": 0},
        "intakes": [{"kind": "gate", "accepted_entries": 0, "accepted_bytes": 0, "refused": 0, "held": 0,
                     "last_accept_age_seconds": 0}],
        "pipes": [{"id": "", "state": "RUNNING", "since": "", "position": 0, "remaining_entries": 0,
                   "remaining_bytes": 0, "estimated_remaining_seconds": 0, "last_answer_age_seconds": 0,
                   "sent_frames": 0, "sent_bytes": 0, "refused_frames": 0, "retries": 0, "message": ""}],
        "landing": {"files": 0, "points": 0, "pending_entries": 0},
        "trouble": [{"kind": "", "since": "", "what": "", "do": "", "acknowledged": false}]
    }"#;

    fn assert_has(found: &serde_json::Value, shape: &serde_json::Value, path: &str) {
        use serde_json::Value::{Array, Object};
        match (shape, found) {
            (Object(keys), Object(there)) => {
                for (key, inner) in keys {
                    let found = there.get(key).unwrap_or_else(|| panic!("{path}.{key} is missing"));
                    assert_has(found, inner, &format!("{path}.{key}"));
                }
            }
            (Array(shapes), Array(there)) => {
                assert!(!there.is_empty(), "{path} is empty");
                for each in there {
                    assert_has(each, &shapes[0], path);
                }
            }
            (shape, found) if shape.is_number() => {
                assert!(found.is_number() || found.is_null(), "{path}");
            }
            (shape, found) => {
                assert_eq!(std::mem::discriminant(shape), std::mem::discriminant(found), "{path}");
            }
        }
    }

    fn board(now: Instant) -> Board {
        let board = Board::new(Role::Sender, "plant7", now);
        let row = board.pipes.row("to_zone_3", "10.53.53.53:9780", EpochMillis(0)).unwrap();
        row.set_backlog(7, 3, 3000, now);
        board.raise(Report::new(TroubleKind::Refused, "0xFF").about("to_zone_3"), EpochMillis(0));
        board
    }

    #[test]
    fn report_has_every_promised_key() {
        let now = clock::now();
        let board = board(now);
        board.set_listener("gate", "127.0.0.1:1".parse().unwrap());
        board.set_listener("gate", "127.0.0.1:9780".parse().unwrap());
        let _crossing = board.crossings.begin("to_zone_3", "a.tsfile", Some(200), now);
        let found = serde_json::to_value(Status::of(&board, now)).unwrap();
        assert_has(&found, &serde_json::from_str(SHAPE).unwrap(), "");
        let kinds: Vec<_> =
            found["intakes"].as_array().unwrap().iter().map(|intake| &intake["kind"]).collect();
        assert_eq!(kinds, ["gate", "session", "inbox"]);
        let listeners = serde_json::json!([{"kind": "gate", "address": "127.0.0.1:9780"}]);
        assert_eq!(found["listeners"], listeners);
        assert_eq!(found["pipes"][0]["last_answer_age_seconds"], serde_json::Value::Null);
        assert_eq!(found["trouble"][0]["do"], TroubleKind::Refused.remedy());
    }

    #[test]
    fn report_is_read_back_as_it_was_written() {
        let now = clock::now();
        let mut status = Status::of(&board(now), now);
        assert!(!status.pipes[0].history.is_empty());
        status.pipes[0].history.clear();
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
        assert!(status.needs_person());
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let text = "Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t  12 kB\n";
        assert_eq!(memory_line(text, "VmHWM:"), 1234 * 1024);
        assert_eq!(memory_line(text, "VmSwap:"), 0);
        let (now, peak) = memory();
        assert!(now > 0 && peak >= now);
    }
}

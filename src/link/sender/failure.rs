//! What goes wrong between a sender and the far side, in words for an operator.

use std::fmt;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::delivery::{Frame, Place};

/// Why a connection could not be made, or had to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    /// The connect failed.
    #[error("cannot be reached: {}", reason(*.0))]
    Unreachable(ErrorKind),
    /// The connect took too long.
    #[error("did not take the connection within {} ms", .0.as_millis())]
    ConnectLate(Duration),
    /// An accepted handshake is what everything else needs.
    #[error(
        "refused the handshake; likely reasons: the far side has another timestamp precision or \
         the same cluster id, user or password are wrong, it is short of disk or memory{hint}",
        hint = if *.v1 { "" } else {
            ", or it is older than 1.3.1 (then set 'sink.air-gap.handshake-v1-fallback'='true')"
        }
    )]
    HandshakeRefused {
        /// The old handshake was refused, after the new one.
        v1: bool,
    },
    /// The answer did not come in time.
    #[error("did not answer {frame} within {} s", .after.as_secs_f32())]
    NoAnswer {
        /// What was sent.
        frame: Frame,
        /// How long was waited after the last byte left, or could leave.
        after: Duration,
    },
    /// Any byte but `0x00`.
    #[error("refused {frame} (answer 0x{answer:02x})")]
    Refused {
        /// What was sent.
        frame: Frame,
        /// The byte that came.
        answer: u8,
    },
    /// End of stream instead of an answer.
    #[error("closed the connection instead of answering")]
    Closed,
    /// Reading or writing failed.
    #[error("lost the connection: {0}")]
    Broken(ErrorKind),
    /// Bytes waited where none may be.
    #[error("sent an answer that nobody asked for")]
    OutOfStep,
}

impl Failure {
    /// What was refused.
    const fn refused(self) -> Option<Frame> {
        match self {
            Self::HandshakeRefused { v1: false } => Some(Frame::HandshakeV2),
            Self::HandshakeRefused { v1: true } => Some(Frame::HandshakeV1),
            Self::Refused { frame, .. } => Some(frame),
            Self::Unreachable(_)
            | Self::ConnectLate(_)
            | Self::NoAnswer { .. }
            | Self::Closed
            | Self::Broken(_)
            | Self::OutOfStep => None,
        }
    }

    /// Another gate may help: this one, or the way to it, did not carry anything.
    pub(super) fn is_of_connection(self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::OutOfStep)
    }
}

fn reason(kind: ErrorKind) -> &'static str {
    let reasons = [
        (ErrorKind::NotFound, "its name is not known"),
        (ErrorKind::ConnectionRefused, "nothing listens there"),
        (ErrorKind::TimedOut, "no answer from the network"),
        (ErrorKind::HostUnreachable, "no route to it"),
        (ErrorKind::NetworkUnreachable, "no route to its network"),
        // Of a program of somebody's own.
        (ErrorKind::InvalidData, "it is not what was kept"),
        (ErrorKind::InvalidInput, "its interpreter is not there"),
        (ErrorKind::PermissionDenied, "the system does not let it run"),
    ];
    let known = reasons.into_iter().find(|(each, _)| *each == kind);
    known.map_or("the connect failed", |(_, reason)| reason)
}

/// A failure that lasts: shown as the pipe's message until the place it happened at is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// The last failure.
    pub failure: Failure,
    /// Index of the gate it happened with.
    pub gate: usize,
    /// When the first failure of this trouble happened.
    pub since: Instant,
    /// Failures since then.
    pub times: u32,
}

impl Trouble {
    /// The same, with what the far side has said to what it refused; empty if it says nothing.
    pub fn told(&self, said: &str) -> String {
        let times = if self.times > 1 { format!(" ({} times)", self.times) } else { String::new() };
        match self.failure.refused().filter(|_| !said.is_empty()) {
            Some(frame) => {
                let is_unknown = said.starts_with(TYPE_UNKNOWN) && frame == Frame::HandshakeV2;
                let hint = if is_unknown { V1_HINT } else { "" };
                format!("refused {frame}: {said}{hint}{times}")
            }
            None => format!("{}{times}", self.failure),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(""))
    }
}

/// How a status begins by which a node says that it does not know the type of a request.
const TYPE_UNKNOWN: &str = "1801";
const V1_HINT: &str = " (likely reasons: it is no IoTDB, or one that takes no pipes, or one that is older than 1.3.1; \
                       then set 'sink.handshake-v1-fallback'='true')";

/// A failure that was not passed yet.
#[derive(Debug, Default)]
pub(super) struct Failing {
    /// The furthest place that failed: passing it proves that things go on.
    pub(super) furthest: Option<Place>,
    /// The frame in flight that failed last, and how often in a row.
    last: Option<(Frame, u32)>,
    /// Gates tried since the last pause.
    pub(super) tried_gates: usize,
    /// What is refused now is refused by a node that does not know its type.
    pub(super) is_of_old_node: bool,
}

impl Failing {
    pub(super) fn note(&mut self, place: Place) {
        self.furthest = Some(self.furthest.map_or(place, |furthest| furthest.max(place)));
    }

    pub(super) fn count(&mut self, frame: Frame) -> u32 {
        let times = match self.last {
            Some((last, times)) if last == frame => times.saturating_add(1),
            _ => 1,
        };
        self.last = Some((frame, times));
        times
    }
}

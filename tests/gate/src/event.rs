//! What the gate did, one line an event.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::fault::Fault;
use crate::replies::{OnViolation, Violation};

/// One thing that the gate did or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Time since the gate started.
    pub at: Duration,
    /// The connection it is about, counted from one.
    pub connection: Option<u64>,
    /// What it was.
    pub what: What,
}

/// What the gate did or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A connection was taken in front.
    Opened {
        /// The inner side.
        peer: SocketAddr,
    },
    /// The target was reached.
    Reached {
        /// The outer side.
        target: SocketAddr,
    },
    /// The target was not reached; the front was reset.
    Unreachable {
        /// Why not.
        error: String,
    },
    /// A connection was taken and reset at once.
    Refused,
    /// A connection is gone at both ends.
    Closed {
        /// How it came to that.
        how: Ending,
    },
    /// A close or reset came and was not passed on.
    Swallowed {
        /// What came.
        how: Ending,
        /// Whether it came from the inner side.
        from_inner: bool,
    },
    /// The connection was idle too long and was forgotten.
    IdleForgotten,
    /// A fault happened.
    Fault(Fault),
    /// An answer byte met with a fault.
    AnswerFault {
        /// The fault.
        fault: Fault,
        /// The byte as it came.
        byte: u8,
    },
    /// An answer byte does not go on: by a fault, by the policy, or with its connection.
    AnswerLost {
        /// The byte as it came.
        byte: u8,
    },
    /// A bit was flipped.
    Flipped {
        /// The byte as it came.
        byte: u8,
    },
    /// Something may not pass.
    Violation {
        /// Why.
        why: Violation,
        /// The first byte that may not pass.
        byte: u8,
        /// What was done with it.
        action: OnViolation,
    },
    /// The length words of a frame make no sense; frames of this connection are not counted any more.
    OutOfStep,
    /// A whole frame came from the inner side.
    Frame {
        /// Counted over all connections.
        number: u64,
    },
    /// An answer byte came from the target.
    Answer {
        /// Counted over all connections.
        number: u64,
        /// Its value.
        byte: u8,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// In order, from both ends.
    Fin,
    /// By a reset.
    Rst,
    /// By the gate.
    Gate,
}

impl What {
    /// Whether this happens for every frame, and is told only on request.
    pub fn is_frequent(&self) -> bool {
        matches!(self, Self::Frame { .. } | Self::Answer { .. })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time={:.6}", self.at.as_secs_f64())?;
        if let Some(connection) = self.connection {
            write!(f, " connection={connection}")?;
        }
        write!(f, " event={}", self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { peer } => write!(f, "opened peer={peer}"),
            Self::Reached { target } => write!(f, "reached target={target}"),
            Self::Unreachable { error } => write!(f, "unreachable error={error:?}"),
            Self::Refused => f.write_str("refused"),
            Self::Closed { how } => write!(f, "closed how={how}"),
            Self::Swallowed { how, from_inner } => {
                write!(
                    f,
                    "swallowed what={how} from={}",
                    if *from_inner { "inner" } else { "outer" }
                )
            }
            Self::IdleForgotten => f.write_str("idle-forgotten"),
            Self::Fault(fault) => write!(f, "fault {}", FaultFields(*fault)),
            Self::AnswerFault { fault, byte } => {
                write!(f, "answer-fault {} byte=0x{byte:02x}", FaultFields(*fault))
            }
            Self::AnswerLost { byte } => write!(f, "answer-lost byte=0x{byte:02x}"),
            Self::Flipped { byte } => write!(f, "flipped byte=0x{byte:02x}"),
            Self::Violation { why, byte, action } => {
                let action = match action {
                    OnViolation::Report => "reported",
                    OnViolation::Drop => "dropped",
                    OnViolation::Cut => "cut",
                };
                write!(f, "violation why={why} byte=0x{byte:02x} action={action}")
            }
            Self::OutOfStep => f.write_str("out-of-step"),
            Self::Frame { number } => write!(f, "frame number={number}"),
            Self::Answer { number, byte } => {
                write!(f, "answer number={number} byte=0x{byte:02x}")
            }
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Gate => "gate",
        })
    }
}

/// A fault as key=value: its name, and its argument if it has one.
struct FaultFields(Fault);

impl fmt::Display for FaultFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.split_once(' ') {
            Some((name, argument)) => write!(f, "fault={name} argument={argument}"),
            None => write!(f, "fault={text}"),
        }
    }
}

/// Counters of a gate, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections taken in front.
    pub connections: u64,
    /// Connections that are open or forgotten at present.
    pub connections_held: u64,
    /// Whole frames from the inner side.
    pub frames: u64,
    /// Bytes from the inner side.
    pub bytes: u64,
    /// Bytes from the target.
    pub answers: u64,
    /// Answers that were dropped, by a fault or by the policy.
    pub answers_lost: u64,
    /// Faults that happened, by name or by chance.
    pub faults: u64,
    /// Things that were not allowed to pass.
    pub violations: u64,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "connections={} connections_held={} frames={} bytes={} answers={} answers_lost={} \
             faults={} violations={}",
            self.connections,
            self.connections_held,
            self.frames,
            self.bytes,
            self.answers,
            self.answers_lost,
            self.faults,
            self.violations
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_keys_and_values() {
        let event = Event {
            at: Duration::from_millis(1500),
            connection: Some(3),
            what: What::AnswerFault { fault: Fault::LateAnswer(Duration::from_secs(2)), byte: 0 },
        };
        assert_eq!(
            event.to_string(),
            "time=1.500000 connection=3 event=answer-fault fault=late-answer argument=2s byte=0x00"
        );
        let event = Event { at: Duration::ZERO, connection: None, what: What::Refused };
        assert_eq!(event.to_string(), "time=0.000000 event=refused");
    }
}

//! What a sender is told once.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::config::GateOrder;
use crate::limits;

/// What a sender is told once; [`Settings::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many gates there are; they are named by index.
    pub gates: NonZeroUsize,
    /// Which of them comes next.
    pub order: GateOrder,
    /// Limit of the connect, and of the handshake's answer.
    pub handshake_timeout: Duration,
    /// Limit of the answer to a tablet or a piece.
    pub answer_timeout: Duration,
    /// Limit of the answer to a seal; doubled each time it passes, up to a day.
    pub seal_timeout: Duration,
    /// Try the old handshake after the new one was refused.
    pub handshake_v1_fallback: bool,
    /// The far side says why it refuses: the old handshake is for one that does not know the new one.
    pub is_told_why: bool,
    /// Bytes of a file in one piece.
    pub piece_bytes: usize,
    /// First and longest pause between attempts.
    pub pause: (Duration, Duration),
}

impl Settings {
    /// The defaults, for this many gates.
    pub fn new(gates: NonZeroUsize) -> Self {
        Self {
            gates,
            order: GateOrder::RoundRobin,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT_DEFAULT,
            answer_timeout: limits::ANSWER_TIMEOUT,
            seal_timeout: limits::SEAL_TIMEOUT_DEFAULT,
            handshake_v1_fallback: false,
            is_told_why: false,
            piece_bytes: limits::PIECE_BYTES_DEFAULT,
            pause: (limits::SENDER_PAUSE_FIRST, limits::SENDER_PAUSE_MAX),
        }
    }
}

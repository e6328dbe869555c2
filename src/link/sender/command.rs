//! What a sender wants done, and what it tells.

use super::delivery::Frame;
use super::failure::Failure;

/// What the driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Dial this gate, then [`super::Sender::handle_connected`] or [`super::Sender::handle_lost`].
    Connect {
        /// Its index.
        gate: usize,
    },
    /// See, without waiting, whether anything can be read, then [`super::Sender::handle_clear`],
    /// [`super::Sender::handle_answer`] or [`super::Sender::handle_closed`].
    Look,
    /// Write this frame; [`super::Sender::handle_progress`] as bytes leave, [`super::Sender::handle_written`]
    /// after the last.
    Send(Frame),
    /// Drop the connection, or the attempt at one, by a reset.
    Close,
}

/// What the driver has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The far side has taken the delivery; the cursor may move. Ready for the next one.
    Delivered,
    /// The connection failed with something still to do; it will be tried again after a pause.
    Failed(Failure),
}

/// Numbers that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames of deliveries that were written.
    pub sent_frames: u64,
    /// Frames that got an answer other than `0x00`, handshakes included.
    pub refused_frames: u64,
    /// Pauses before another attempt.
    pub retries: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Answers that nobody had asked for.
    pub unasked_answers: u64,
}

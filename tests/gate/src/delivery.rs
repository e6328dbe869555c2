//! From the far end of a lane to its socket.

use std::time::Instant;

use crate::lane::{Arrival, Lane};
use crate::side::{Gave, Side};

/// What became of it.
pub(crate) enum Given {
    /// Something was handed over.
    Moved,
    /// There is nothing to hand over, or it is not taken at present.
    Nothing,
    /// The peer is gone.
    Broken,
}

/// Hands one segment of what has arrived to the socket.
pub(crate) fn give(lane: &mut Lane, side: &mut Side, segment_bytes: usize, now: Instant) -> Given {
    let segment = match segment_bytes {
        0 => usize::MAX,
        bytes => bytes,
    };
    let given = match lane.poll(now) {
        Arrival::Bytes(bytes) => side.give(bytes.get(..segment.min(bytes.len())).unwrap_or(bytes)),
        Arrival::End => {
            side.end();
            return Given::Moved;
        }
        Arrival::Wait(_) => return Given::Nothing,
    };
    match given {
        Gave::Bytes(count) => {
            lane.consume(count);
            Given::Moved
        }
        Gave::Nothing => Given::Nothing,
        Gave::Broken => Given::Broken,
    }
}

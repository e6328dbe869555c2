//! One direction of one connection: a bounded queue of bytes, each with the moment it arrives.

use std::collections::VecDeque;
use std::time::Instant;

/// Bytes on their way, in order.
///
/// `push` stops when the lane is full (`room` is what it takes), so that back-pressure reaches the
/// sending side through its TCP window. `poll` shows what has arrived at the far end.
#[derive(Debug)]
pub(crate) struct Lane {
    capacity: usize,
    queued: usize,
    chunks: VecDeque<Chunk>,
    last_due: Option<Instant>,
    held_until: Option<Instant>,
    end: Option<Instant>,
    ended: bool,
}

#[derive(Debug)]
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    sent: usize,
}

/// What has arrived at the far end of a lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival<'a> {
    /// These bytes may be delivered; say with [`Lane::consume`] how many were.
    Bytes(&'a [u8]),
    /// The end of the stream, told once.
    End,
    /// Nothing before this moment, or before something is pushed.
    Wait(Option<Instant>),
}

impl Lane {
    /// An empty lane that holds at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            queued: 0,
            chunks: VecDeque::new(),
            last_due: None,
            held_until: None,
            end: None,
            ended: false,
        }
    }

    /// How many bytes it takes at present.
    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.queued)
    }

    /// Adds bytes that arrive at `due`, or with those before them if that is later.
    pub(crate) fn push(&mut self, due: Instant, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let due = self.in_order(due);
        self.queued += bytes.len();
        self.chunks.push_back(Chunk { due, bytes: bytes.to_vec(), sent: 0 });
    }

    /// The stream ends after what was pushed.
    pub(crate) fn finish(&mut self, due: Instant) {
        self.end = Some(self.in_order(due));
    }

    /// Nothing arrives before `until`.
    pub(crate) fn hold(&mut self, until: Instant) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }

    /// What has arrived by now.
    pub(crate) fn poll(&mut self, now: Instant) -> Arrival<'_> {
        if let Some(until) = self.held_until {
            if now < until {
                return Arrival::Wait(Some(until));
            }
            self.held_until = None;
        }
        if self.chunks.is_empty() {
            return self.poll_end(now);
        }
        match self.chunks.front() {
            Some(chunk) if now >= chunk.due => {
                Arrival::Bytes(chunk.bytes.get(chunk.sent..).unwrap_or_default())
            }
            next => Arrival::Wait(next.map(|chunk| chunk.due)),
        }
    }

    /// When the next bytes or the end arrive, if they have not yet.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let next = self.chunks.front().map(|chunk| chunk.due).or(self.end)?;
        let next = self.held_until.map_or(next, |held| held.max(next));
        (next > now).then_some(next)
    }

    /// That many of the bytes that [`Lane::poll`] showed were delivered.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let Some(chunk) = self.chunks.front_mut() else { return };
        chunk.sent += bytes;
        self.queued -= bytes;
        if chunk.sent >= chunk.bytes.len() {
            self.chunks.pop_front();
        }
    }

    /// Nothing is left on the way, and the end has been told.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    fn poll_end(&mut self, now: Instant) -> Arrival<'static> {
        match self.end {
            Some(due) if now < due => Arrival::Wait(Some(due)),
            Some(_) if !self.ended => {
                self.ended = true;
                Arrival::End
            }
            Some(_) | None => Arrival::Wait(None),
        }
    }

    fn in_order(&mut self, due: Instant) -> Instant {
        let due = self.last_due.map_or(due, |last| last.max(due));
        self.last_due = Some(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::now;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn bytes_arrive_when_they_are_due_and_in_order() {
        let start = now();
        let mut lane = Lane::new(100);
        lane.push(start + 5 * MS, b"ab");
        lane.push(start + MS, b"c");
        assert_eq!(lane.next_due(start), Some(start + 5 * MS));
        assert_eq!(lane.next_due(start + 5 * MS), None);
        assert_eq!(lane.poll(start), Arrival::Wait(Some(start + 5 * MS)));
        assert_eq!(lane.poll(start + 5 * MS), Arrival::Bytes(b"ab"));
        lane.consume(1);
        assert_eq!(lane.poll(start + 5 * MS), Arrival::Bytes(b"b"));
        lane.consume(1);
        assert_eq!(lane.poll(start + 5 * MS), Arrival::Bytes(b"c"));
        lane.consume(1);
        assert_eq!(lane.poll(start + 5 * MS), Arrival::Wait(None));
    }

    #[test]
    fn room_shrinks_with_what_is_queued_only() {
        let start = now();
        let mut lane = Lane::new(4);
        lane.push(start, b"abc");
        assert_eq!(lane.room(), 1);
        lane.push(start, b"de");
        assert_eq!(lane.room(), 0);
        lane.consume(3);
        assert_eq!(lane.room(), 2);
    }

    #[test]
    fn a_hold_keeps_everything_and_loses_nothing() {
        let start = now();
        let mut lane = Lane::new(4);
        lane.push(start, b"a");
        lane.hold(start + 9 * MS);
        lane.hold(start + 3 * MS);
        assert_eq!(lane.poll(start + 8 * MS), Arrival::Wait(Some(start + 9 * MS)));
        assert_eq!(lane.poll(start + 9 * MS), Arrival::Bytes(b"a"));
    }

    #[test]
    fn the_end_comes_last_and_once() {
        let start = now();
        let mut lane = Lane::new(4);
        lane.push(start + 2 * MS, b"a");
        lane.finish(start);
        assert_eq!(lane.poll(start), Arrival::Wait(Some(start + 2 * MS)));
        assert_eq!(lane.poll(start + 2 * MS), Arrival::Bytes(b"a"));
        lane.consume(1);
        assert!(!lane.is_ended());
        assert_eq!(lane.poll(start + 2 * MS), Arrival::End);
        assert!(lane.is_ended());
        assert_eq!(lane.poll(start + 2 * MS), Arrival::Wait(None));
    }
}

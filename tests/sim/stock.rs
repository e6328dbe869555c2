//! A stock peer: frames without an identity, one after the other; after any failure the whole unit again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use penstock_test_support::frames;

use crate::line::{End, Line};
use crate::outer::Outer;
use crate::random::Random;
use crate::units::{Content, Unit};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// One connection of it, over and over.
pub(crate) struct Lane {
    payloads: Vec<(u64, Vec<Vec<u8>>)>,
    unit: usize,
    /// The frame of the unit; the handshake comes before.
    frame: usize,
    greeted: bool,
    pub(crate) line: Option<usize>,
    /// The connection before, which has to be over at the far side first.
    old_line: Option<usize>,
    rest: Vec<u8>,
    waiting: bool,
    deadline: Instant,
}

impl Lane {
    pub(crate) fn new(units: &[Unit], now: Instant, random: &mut Random) -> Self {
        let piece_bytes = usize::try_from(random.between(50, 400)).unwrap_or(100);
        let slice_bytes = u32::try_from(random.between(20, 200)).ok();
        let slice_bytes = slice_bytes.filter(|_| random.once_in(3));
        let payloads =
            units.iter().map(|unit| (unit.number, unit.payloads(piece_bytes, slice_bytes)));
        Self {
            payloads: payloads.collect(),
            unit: 0,
            frame: 0,
            greeted: false,
            line: None,
            old_line: None,
            rest: Vec::new(),
            waiting: false,
            deadline: now,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.unit >= self.payloads.len()
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        (!self.is_done()).then_some(self.deadline)
    }

    /// Whether it wants a connection now. Data that the gate still holds of an earlier connection, and that
    /// comes after newer data, cannot be told from new data without an identity: that gate is not played.
    pub(crate) fn wants_line(&self, now: Instant, lines: &[Line]) -> bool {
        let is_over = |line: usize| lines.get(line).is_none_or(|line| line.receiver == End::Gone);
        self.line.is_none()
            && !self.is_done()
            && self.deadline <= now
            && self.old_line.is_none_or(is_over)
    }

    pub(crate) fn connected(&mut self, line: usize, now: Instant) {
        self.line = Some(line);
        (self.frame, self.greeted) = (0, false);
        self.begin(now);
    }

    pub(crate) fn refused(&mut self, now: Instant) {
        self.deadline = now + PAUSE;
    }

    /// Writes on, or reads. Returns whether anything happened.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        lines: &mut [Line],
        random: &mut Random,
        outer: &Outer,
        units: &HashMap<u64, Unit>,
    ) -> bool {
        let Some(line) = self.line.and_then(|line| lines.get_mut(line)) else { return false };
        if let Some(answer) = line.take_answer() {
            if answer == 0 && self.waiting {
                self.accepted(now, outer, units);
            } else {
                self.fail(now, lines);
            }
            return true;
        }
        if line.sender == End::Reset || self.deadline <= now {
            self.fail(now, lines);
            return true;
        }
        if self.rest.is_empty() || line.stalled {
            return false;
        }
        let most = self.rest.len() as u64;
        let count = if random.once_in(4) { random.between(1, most) } else { most };
        let part: Vec<u8> = self.rest.drain(..usize::try_from(count).unwrap_or_default()).collect();
        line.send(&part);
        self.waiting = self.rest.is_empty();
        true
    }

    fn begin(&mut self, now: Instant) {
        let payload = match self.payloads.get(self.unit) {
            _ if !self.greeted => frames::handshake("stock", "ms"),
            Some((_, payloads)) => payloads[self.frame].clone(),
            None => return self.rest.clear(),
        };
        self.rest = frames::frame(&payload);
        self.waiting = false;
        self.deadline = now + ANSWER_TIMEOUT;
    }

    fn accepted(&mut self, now: Instant, outer: &Outer, units: &HashMap<u64, Unit>) {
        if std::mem::replace(&mut self.greeted, true) {
            self.frame += 1;
        }
        if let Some((number, payloads)) = self.payloads.get(self.unit)
            && self.frame == payloads.len()
        {
            let is_there = match &units.get(number).expect("a unit").content {
                Content::Flawed(bytes) => outer.plug.has_in_quarantine(bytes),
                Content::Tablet(_)
                | Content::Long(_)
                | Content::Opaque(_)
                | Content::File { .. } => outer.record.by_unit.contains_key(number),
            };
            assert!(
                is_there,
                "{:?} was answered, and is not durable over there",
                units.get(number)
            );
            (self.unit, self.frame) = (self.unit + 1, 0);
        }
        self.begin(now);
    }

    fn fail(&mut self, now: Instant, lines: &mut [Line]) {
        if let Some(line) = self.line.take() {
            lines[line].drop_sender_cleanly();
            self.old_line = Some(line);
        }
        self.rest.clear();
        self.waiting = false;
        self.deadline = now + PAUSE;
    }
}

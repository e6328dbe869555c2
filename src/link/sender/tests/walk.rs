//! Random walks: a far side that does anything, drawn from a seed; what must hold in every step.

use super::*;
use crate::link::backoff::Random;

/// What the far side holds of the delivery, by what was written on the present connection.
#[derive(Debug, Default)]
struct FarSide {
    connected: bool,
    greeted: bool,
    /// Bytes of file 0 and 1 that came in order.
    taken: [u64; 2],
    sealed: bool,
    /// Bytes that wait to be read by the sender.
    waiting: Vec<u8>,
}

const LENGTHS: [u64; 2] = [700_000, 2_500_000];

impl FarSide {
    fn connect(&mut self) {
        *self = Self { connected: true, ..Self::default() };
    }

    /// Takes a whole frame; false if it is out of place.
    fn take(&mut self, frame: Frame) -> bool {
        match frame {
            Frame::HandshakeV2 => {
                self.greeted = true;
                true
            }
            Frame::Piece { file, start, bytes } if self.greeted && self.taken[file] == start => {
                self.taken[file] += bytes as u64;
                true
            }
            Frame::Seal if self.greeted && self.taken == LENGTHS => {
                self.sealed = true;
                true
            }
            Frame::HandshakeV1 | Frame::Whole | Frame::Piece { .. } | Frame::Seal => false,
        }
    }
}

/// One walk: `faults` in a hundred steps go wrong until `calm`, none after it.
struct Walk {
    rig: Rig,
    far: FarSide,
    random: Random,
    faults: usize,
    frame: Option<Frame>,
    delivered: u32,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::with(3, |settings| settings.order = GateOrder::Random);
        let lengths = FileLengths::from_slice(&LENGTHS).unwrap();
        rig.sender.deliver(rig.now, Delivery::Files(lengths));
        let random = Random::new(seed);
        Self { rig, far: FarSide::default(), random, faults: 30, frame: None, delivered: 0 }
    }

    fn goes_wrong(&mut self) -> bool {
        self.random.below(100) < self.faults
    }

    fn step(&mut self) {
        let command = self.rig.sender.poll(self.rig.now);
        match command {
            Some(command) => self.obey(command),
            None => self.answer_or_wait(),
        }
        if let Some(Event::Delivered) = self.rig.sender.poll_event() {
            assert!(self.far.sealed, "delivered, but the far side has no sealed file");
            self.delivered += 1;
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.rig.now;
        match command {
            Command::Connect { gate } => {
                assert!(gate < 3 && !self.far.connected, "a second connection");
                if self.goes_wrong() {
                    return self.rig.sender.handle_lost(now, ErrorKind::ConnectionRefused);
                }
                self.far.connect();
                self.rig.sender.handle_connected(now);
            }
            Command::Look => {
                assert!(self.far.connected && self.frame.is_none(), "two frames at a time");
                match self.far.waiting.pop() {
                    Some(byte) => self.rig.sender.handle_answer(now, byte),
                    None => self.rig.sender.handle_clear(now),
                }
            }
            Command::Send(frame) => {
                assert!(self.far.waiting.is_empty(), "sent although a byte waits");
                if self.goes_wrong() {
                    return self.rig.sender.handle_lost(now, ErrorKind::BrokenPipe);
                }
                self.rig.sender.handle_written(now);
                self.frame = Some(frame);
            }
            Command::Close => {
                self.far.connected = false;
                self.frame = None;
            }
        }
    }

    fn answer_or_wait(&mut self) {
        let now = self.rig.now;
        let Some(frame) = self.frame.take() else { return self.let_time_pass() };
        if !self.goes_wrong() {
            let answer = if self.far.take(frame) { 0x00 } else { 0xff };
            return self.rig.sender.handle_answer(now, answer);
        }
        match self.random.below(6) {
            // The answer is lost: the far side has it, the sender does not know.
            0 => {
                self.far.take(frame);
                self.let_time_pass();
            }
            1 => self.let_time_pass(),
            2 => self.rig.sender.handle_closed(now),
            3 => self.rig.sender.handle_lost(now, ErrorKind::ConnectionReset),
            4 => self.rig.sender.handle_answer(now, 0xff),
            // Taken, answered, and a stale byte follows.
            _ => {
                let answer = if self.far.take(frame) { 0x00 } else { 0xff };
                self.far.waiting.push(if self.random.below(2) == 0 { 0x00 } else { 0xff });
                self.rig.sender.handle_answer(now, answer);
            }
        }
    }

    fn let_time_pass(&mut self) {
        if let Some(timeout) = self.rig.sender.poll_timeout() {
            self.rig.now = timeout;
            self.rig.sender.handle_timeout(timeout);
        }
    }
}

#[test]
fn whatever_the_far_side_does_a_delivery_is_told_once_it_is_there_and_not_before() {
    for seed in 0..2000 {
        let mut walk = Walk::new(seed);
        for _ in 0..200 {
            walk.step();
        }
        walk.faults = 0;
        // A seal that was waited for may have doubled its limit; still few steps.
        for _ in 0..1500 {
            if walk.delivered > 0 {
                break;
            }
            walk.step();
        }
        assert_eq!(walk.delivered, 1, "seed {seed}: {:?}", walk.rig.sender);
        assert!(walk.rig.sender.is_free() && walk.rig.sender.trouble().is_none());
    }
}

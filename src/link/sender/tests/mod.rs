//! Scenarios: a sender against scripted answers, with a clock that is a variable.

mod gates;
mod steps;
mod walk;

use std::num::NonZeroUsize;

use super::*;
use crate::limits::{KIB, MIB, SILENCE_MAX, STOP_GRACE};

const SECOND: Duration = Duration::from_secs(1);

/// A sender, its clock, and a driver without a network.
struct Rig {
    sender: Sender,
    now: Instant,
    commands: Vec<Command>,
    events: Vec<Event>,
}

impl Rig {
    fn new() -> Self {
        Self::with(1, |_| ())
    }

    fn with(gates: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(NonZeroUsize::new(gates).unwrap());
        change(&mut settings);
        #[expect(clippy::disallowed_methods, reason = "an origin for the fake clock")]
        let now = Instant::now();
        let sender = Sender::new(settings, 42);
        Self { sender, now, commands: Vec::new(), events: Vec::new() }
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.sender.handle_timeout(self.now);
        self
    }

    /// Collects what the machine wants, without doing any of it.
    fn poll(&mut self) -> &mut Self {
        while let Some(command) = self.sender.poll(self.now) {
            self.commands.push(command);
        }
        self.events.extend(std::iter::from_fn(|| self.sender.poll_event()));
        self
    }

    fn commands(&mut self) -> Vec<Command> {
        self.poll();
        mem::take(&mut self.commands)
    }

    fn events(&mut self) -> Vec<Event> {
        self.poll();
        mem::take(&mut self.events)
    }

    fn deliver_whole(&mut self) -> &mut Self {
        self.sender.deliver(self.now, Delivery::Whole);
        self
    }

    fn deliver_file(&mut self, bytes: usize) -> &mut Self {
        let lengths = FileLengths::from_slice(&[bytes as u64]).unwrap();
        self.sender.deliver(self.now, Delivery::Files(lengths));
        self
    }

    /// Passes pauses, connects and looks, until the next frame is written; says which.
    fn next_frame(&mut self) -> Frame {
        for _ in 0..20 {
            let Some(command) = self.sender.poll(self.now) else {
                self.now = self.sender.poll_timeout().expect("something to wait for");
                self.sender.handle_timeout(self.now);
                continue;
            };
            self.commands.push(command);
            match command {
                Command::Connect { .. } => self.sender.handle_connected(self.now),
                Command::Look => self.sender.handle_clear(self.now),
                Command::Send(frame) => {
                    self.sender.handle_written(self.now);
                    return frame;
                }
                Command::Close => {}
            }
        }
        panic!("no frame: {:?}", self.sender)
    }

    fn answer(&mut self, answer: u8) -> &mut Self {
        self.sender.handle_answer(self.now, answer);
        self.poll_events()
    }

    fn poll_events(&mut self) -> &mut Self {
        self.events.extend(std::iter::from_fn(|| self.sender.poll_event()));
        self
    }

    /// Connects and has the handshake accepted.
    fn ready(&mut self) -> &mut Self {
        self.sender.greet();
        assert_eq!(self.next_frame(), Frame::HandshakeV2);
        self.answer(0x00);
        assert!(self.sender.is_connected());
        self.commands();
        self.events();
        self
    }

    /// Sends frames and has them accepted, up to and with `last`.
    fn accept_up_to(&mut self, last: Frame) -> &mut Self {
        for _ in 0..100 {
            let frame = self.next_frame();
            self.answer(0x00);
            if frame == last {
                return self;
            }
        }
        panic!("{last:?} never came")
    }

    /// The pause that the machine has planned.
    fn pause(&self) -> Duration {
        let State::Paused { until } = self.sender.state else { panic!("no pause") };
        until - self.now
    }

    fn failure(&self) -> Failure {
        self.sender.trouble().expect("no trouble").failure
    }
}

fn piece(start: usize, bytes: usize) -> Frame {
    Frame::Piece { file: 0, start: start as u64, bytes }
}

#[test]
fn nothing_happens_until_it_is_wanted() {
    let mut rig = Rig::new();
    assert_eq!(rig.commands(), []);
    assert_eq!(rig.sender.poll_timeout(), None);
    assert!(rig.sender.is_free());
}

#[test]
fn delivery_goes_by_connect_handshake_look_and_frame() {
    let mut rig = Rig::new();
    rig.deliver_whole();
    assert_eq!(rig.commands(), [Command::Connect { gate: 0 }]);
    rig.sender.handle_connected(rig.now);
    assert_eq!(rig.commands(), [Command::Look]);
    rig.sender.handle_clear(rig.now);
    assert_eq!(rig.commands(), [Command::Send(Frame::HandshakeV2)]);
    rig.sender.handle_written(rig.now);
    assert_eq!(rig.commands(), [], "the frame waits for the answer to the handshake");
    rig.answer(0x00);
    assert_eq!(rig.commands(), [Command::Look]);
    rig.sender.handle_clear(rig.now);
    assert_eq!(rig.commands(), [Command::Send(Frame::Whole)]);
    rig.sender.handle_written(rig.now);
    rig.answer(0x00);
    assert_eq!(rig.events(), [Event::Delivered]);
    assert!(rig.sender.is_free() && rig.sender.is_connected());
    assert_eq!(rig.commands(), []);
    assert_eq!(rig.sender.counters().sent_frames, 1);
}

#[test]
fn file_goes_in_pieces_and_a_seal_on_one_connection() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(2 * MIB + 5);
    for expected in [piece(0, MIB), piece(MIB, MIB), piece(2 * MIB, 5)] {
        assert_eq!(rig.next_frame(), expected);
        let upcoming = rig.sender.upcoming();
        rig.answer(0x00);
        assert_eq!(rig.events, []);
        let Some(Command::Look) = rig.sender.poll(rig.now) else { panic!("no look") };
        rig.sender.handle_clear(rig.now);
        assert_eq!(rig.sender.poll(rig.now), upcoming.map(Command::Send), "as foretold");
        rig.sender.handle_lost(rig.now, ErrorKind::Other);
        rig = Rig::new();
        rig.ready().deliver_file(2 * MIB + 5);
        rig.accept_up_to(expected);
    }
    assert_eq!(rig.sender.accepted_bytes(), 2 * MIB as u64 + 5);
    assert_eq!(rig.next_frame(), Frame::Seal);
    assert_eq!(rig.answer(0x00).events(), [Event::Delivered]);
    assert!(!rig.commands().iter().any(|c| matches!(c, Command::Connect { .. } | Command::Close)));
}

#[test]
fn only_zero_is_good() {
    for answer in [0x01, 0x7f, 0xff, 0xfe] {
        let mut rig = Rig::new();
        rig.ready().deliver_whole();
        rig.next_frame();
        rig.commands();
        let failure = Failure::Refused { frame: Frame::Whole, answer };
        assert_eq!(rig.answer(answer).events(), [Event::Failed(failure)]);
        assert_eq!(rig.commands(), [Command::Close]);
    }
}

#[test]
fn refused_delivery_is_sent_again_for_ever_with_growing_pauses() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    let mut pauses = Vec::new();
    for _ in 0..50 {
        while rig.next_frame() != Frame::Whole {
            rig.answer(0x00);
        }
        rig.answer(0xff);
        pauses.push(rig.pause());
    }
    assert!(pauses[0] <= limits::SENDER_PAUSE_FIRST);
    assert!(pauses[49] >= limits::SENDER_PAUSE_MAX / 2);
    let trouble = *rig.sender.trouble().unwrap();
    assert_eq!(trouble.times, 50);
    assert_eq!(trouble.to_string(), "refused a request (answer 0xff) (50 times)");
    assert_eq!(rig.sender.counters().refused_frames, 50);
    rig.next_frame();
    rig.answer(0x00);
    rig.next_frame();
    assert_eq!(rig.answer(0x00).events().last(), Some(&Event::Delivered));
    assert_eq!(rig.sender.trouble(), None);
    assert_eq!(rig.sender.counters().connections, 51);
}

#[test]
fn accepted_handshakes_and_pieces_before_the_refused_place_do_not_shorten_the_pause() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(MIB + 1);
    for _ in 0..12 {
        while rig.next_frame() != Frame::Seal {
            rig.answer(0x00);
        }
        rig.answer(0xff);
    }
    assert!(rig.pause() >= limits::SENDER_PAUSE_MAX / 2);
    assert_eq!(rig.sender.trouble().unwrap().times, 12);
}

#[test]
fn file_starts_again_with_its_first_piece_after_any_reconnect() {
    let losses: [fn(&mut Sender, Instant); 4] = [
        |sender, now| sender.handle_closed(now),
        |sender, now| sender.handle_lost(now, ErrorKind::ConnectionReset),
        |sender, now| sender.handle_answer(now, 0xff),
        |sender, now| sender.handle_timeout(now + SECOND * 100_000),
    ];
    for lose in losses {
        let mut rig = Rig::new();
        rig.ready().deliver_file(3 * MIB);
        rig.accept_up_to(piece(MIB, MIB));
        rig.next_frame();
        lose(&mut rig.sender, rig.now);
        assert_eq!(rig.sender.accepted_bytes(), 0);
        assert_eq!(rig.next_frame(), Frame::HandshakeV2);
        rig.answer(0x00);
        assert_eq!(rig.next_frame(), piece(0, MIB));
    }
}

#[test]
fn pieces_shrink_when_the_same_place_is_refused_again() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(4 * MIB);
    let mut sizes = Vec::new();
    for _ in 0..8 {
        let bytes = loop {
            if let Frame::Piece { bytes, .. } = rig.next_frame() {
                break bytes;
            }
            rig.answer(0x00);
        };
        sizes.push(bytes / KIB);
        rig.answer(0xff);
    }
    assert_eq!(sizes, [1024, 1024, 256, 256, 64, 64, 16, 16]);
}

#[test]
fn refusals_at_different_places_do_not_shrink_pieces() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(8 * MIB);
    for index in 0..6 {
        while rig.next_frame() != piece(index * MIB, MIB) {
            rig.answer(0x00);
        }
        rig.answer(0xff);
    }
    assert_eq!(rig.sender.piece_bytes(), MIB);
}

#[test]
fn pieces_grow_again_with_a_later_delivery() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(2 * MIB);
    for _ in 0..2 {
        while rig.next_frame() != piece(0, MIB) {
            rig.answer(0x00);
        }
        rig.answer(0xff);
    }
    rig.accept_up_to(Frame::Seal);
    assert_eq!(rig.sender.piece_bytes(), 256 * KIB);
    rig.wait(SECOND * 600).deliver_file(2 * MIB);
    assert_eq!(rig.sender.piece_bytes(), MIB);
}

#[test]
fn abandoned_delivery_takes_its_connection_along_if_anything_was_sent() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(2 * MIB);
    rig.sender.abandon();
    assert_eq!(rig.commands(), [], "nothing was sent");
    rig.deliver_file(2 * MIB).accept_up_to(piece(0, MIB));
    rig.sender.abandon();
    assert_eq!(rig.commands().last(), Some(&Command::Close));
    assert!(rig.sender.is_free());
    rig.deliver_whole().accept_up_to(Frame::Whole);
    assert_eq!(rig.events(), [Event::Delivered]);
}

#[test]
fn abandoned_delivery_in_flight_cannot_lend_its_answer_to_the_next() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    rig.next_frame();
    rig.sender.abandon();
    rig.deliver_whole();
    rig.answer(0x00);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
}

#[test]
fn reconnect_starts_the_delivery_again_without_trouble() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(2 * MIB).accept_up_to(piece(0, MIB));
    rig.sender.reconnect();
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    rig.answer(0x00);
    assert_eq!(rig.next_frame(), piece(0, MIB));
    assert_eq!(rig.sender.trouble(), None);
}

#[test]
fn stop_lets_a_completing_frame_have_its_answer() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    rig.next_frame();
    rig.sender.stop(rig.now, STOP_GRACE);
    assert!(!rig.sender.is_stopped());
    rig.commands();
    rig.answer(0x00);
    assert_eq!(rig.events(), [Event::Delivered]);
    assert!(rig.sender.is_stopped());
    assert_eq!(rig.commands(), [Command::Close]);
}

#[test]
fn stop_does_not_wait_longer_than_its_grace() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    rig.next_frame();
    rig.sender.stop(rig.now, STOP_GRACE);
    assert_eq!(rig.sender.poll_timeout(), Some(rig.now + STOP_GRACE));
    rig.wait(STOP_GRACE);
    assert!(rig.sender.is_stopped());
    assert_eq!(rig.events(), []);
}

#[test]
fn stop_ends_everything_else_at_once_and_for_good() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(2 * MIB);
    rig.next_frame();
    rig.sender.stop(rig.now, STOP_GRACE);
    assert!(rig.sender.is_stopped(), "a piece completes nothing");
    rig.commands();
    rig.wait(SECOND * 1000);
    assert_eq!((rig.commands(), rig.sender.poll_timeout()), (vec![], None));
}

#[test]
fn refusal_while_stopping_stops() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    rig.next_frame();
    rig.sender.stop(rig.now, STOP_GRACE);
    rig.answer(0xff);
    assert!(rig.sender.is_stopped());
}

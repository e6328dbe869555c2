//! Scenarios: a sender against scripted answers, with a clock that is a variable.

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
        rig.answer(0x00);
        assert_eq!(rig.events, []);
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
fn waiting_byte_before_a_frame_means_a_new_connection() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    assert_eq!(rig.commands(), [Command::Look]);
    rig.answer(0xff);
    assert_eq!(rig.events(), [Event::Failed(Failure::OutOfStep)]);
    assert_eq!(rig.pause(), Duration::ZERO, "the first time is no reason to wait");
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    assert_eq!(rig.commands()[..2], [Command::Close, Command::Connect { gate: 0 }]);
    rig.answer(0x00);
    assert_eq!(rig.next_frame(), Frame::Whole);
    assert_eq!(rig.answer(0x00).events(), [Event::Delivered]);
    assert_eq!(rig.sender.counters().unasked_answers, 1);
    assert_eq!(rig.sender.trouble(), None);
}

#[test]
fn waiting_zero_is_out_of_step_too() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    assert_eq!(rig.commands(), [Command::Look]);
    assert_eq!(rig.answer(0x00).events(), [Event::Failed(Failure::OutOfStep)]);
}

#[test]
fn answers_that_are_always_doubled_do_not_make_a_busy_loop() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(3 * MIB);
    let start = rig.now;
    for _ in 0..20 {
        while rig.next_frame() != piece(0, MIB) {
            rig.answer(0x00);
        }
        rig.answer(0x00);
        assert_eq!(rig.commands().last(), Some(&Command::Look));
        rig.answer(0x00);
    }
    assert!(rig.now - start > SECOND * 120, "{:?}", rig.now - start);
}

#[test]
fn unasked_answer_on_an_idle_connection_closes_it_quietly() {
    let mut rig = Rig::new();
    rig.ready();
    rig.answer(0xff);
    assert_eq!((rig.commands(), rig.events()), (vec![Command::Close], vec![]));
    assert_eq!(rig.sender.trouble(), None);
    rig.deliver_whole();
    assert_eq!(rig.commands(), [Command::Connect { gate: 0 }]);
}

#[test]
fn zero_before_the_frame_is_written_is_not_its_answer() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole().poll();
    rig.sender.handle_clear(rig.now);
    assert_eq!(rig.answer(0x00).events(), [Event::Failed(Failure::OutOfStep)]);
}

#[test]
fn refusal_before_the_frame_is_written_counts() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole().poll();
    rig.sender.handle_clear(rig.now);
    rig.sender.handle_progress(rig.now);
    let failure = Failure::Refused { frame: Frame::Whole, answer: 0xff };
    assert_eq!(rig.answer(0xff).events(), [Event::Failed(failure)]);
}

#[test]
fn answer_after_its_time_limit_meets_nobody() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    rig.next_frame();
    rig.wait(limits::ANSWER_TIMEOUT.saturating_sub(SECOND));
    assert_eq!(rig.events(), []);
    rig.wait(SECOND);
    let failure = Failure::NoAnswer { frame: Frame::Whole, after: limits::ANSWER_TIMEOUT };
    assert_eq!(rig.events(), [Event::Failed(failure)]);
    rig.answer(0x00);
    assert_eq!(rig.events(), [], "late answers are for nobody");
    assert!(!rig.sender.is_free());
}

#[test]
fn end_of_stream_instead_of_an_answer_is_no_answer() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole();
    rig.next_frame();
    rig.sender.handle_closed(rig.now);
    assert_eq!(rig.events(), [Event::Failed(Failure::Closed)]);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    rig.answer(0x00);
    assert_eq!(rig.next_frame(), Frame::Whole);
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
fn handshake_limits_hold_for_connect_and_answer() {
    let mut rig = Rig::with(1, |settings| settings.handshake_timeout = SECOND * 3);
    rig.deliver_whole().poll();
    assert_eq!(rig.sender.poll_timeout(), Some(rig.now + SECOND * 3));
    rig.wait(SECOND * 3);
    assert_eq!(rig.events(), [Event::Failed(Failure::ConnectLate(SECOND * 3))]);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    rig.wait(SECOND * 3);
    let failure = Failure::NoAnswer { frame: Frame::HandshakeV2, after: SECOND * 3 };
    assert_eq!(rig.events(), [Event::Failed(failure)]);
}

#[test]
fn slow_writing_is_not_silence() {
    let mut rig = Rig::new();
    rig.ready().deliver_whole().poll();
    rig.sender.handle_clear(rig.now);
    for _ in 0..10 {
        rig.wait(limits::ANSWER_TIMEOUT.saturating_sub(SECOND));
        rig.sender.handle_progress(rig.now);
    }
    assert_eq!(rig.events(), []);
    rig.wait(limits::ANSWER_TIMEOUT);
    assert!(matches!(rig.failure(), Failure::NoAnswer { .. }));
}

#[test]
fn seal_waits_twice_as_long_after_each_time_out_up_to_a_day() {
    let mut rig = Rig::new();
    rig.ready().deliver_file(1);
    let mut limit = limits::SEAL_TIMEOUT_DEFAULT;
    for _ in 0..10 {
        while rig.next_frame() != Frame::Seal {
            rig.answer(0x00);
        }
        assert_eq!(rig.sender.poll_timeout(), Some(rig.now + limit));
        rig.wait(limit);
        limit = (limit * 2).min(limits::SEAL_TIMEOUT_MAX);
    }
    assert_eq!(limit, SECOND * 86_400);
    rig.accept_up_to(Frame::Seal).deliver_file(1);
    rig.accept_up_to(piece(0, 1));
    rig.next_frame();
    let start = rig.now + limits::SEAL_TIMEOUT_DEFAULT;
    assert_eq!(rig.sender.poll_timeout(), Some(start), "the next file begins anew");
}

#[test]
fn ten_minutes_of_silence_mean_a_new_connection_before_the_first_frame() {
    let mut rig = Rig::new();
    rig.ready();
    rig.wait(SILENCE_MAX.saturating_sub(SECOND)).deliver_whole();
    assert_eq!(rig.next_frame(), Frame::Whole);
    rig.answer(0x00);
    rig.commands();
    rig.wait(SILENCE_MAX).deliver_whole();
    assert_eq!(rig.commands(), [Command::Close, Command::Connect { gate: 0 }]);
    assert_eq!(rig.events(), [Event::Delivered], "silence is no failure");
    assert_eq!(rig.sender.trouble(), None);
}

#[test]
fn idle_connection_that_ends_is_nobodys_trouble() {
    let mut rig = Rig::new();
    rig.ready();
    rig.sender.handle_closed(rig.now);
    assert_eq!((rig.commands(), rig.events()), (vec![Command::Close], vec![]));
    assert_eq!(rig.sender.poll_timeout(), None);
}

#[test]
fn unreachable_gates_are_tried_in_turn_with_a_pause_after_each_round() {
    let mut rig = Rig::with(3, |_| ());
    rig.deliver_whole();
    let mut gates = Vec::new();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let Some(Command::Connect { gate }) = rig.commands().pop() else { panic!("no connect") };
        gates.push(gate);
        rig.sender.handle_lost(rig.now, ErrorKind::ConnectionRefused);
        pauses.push(rig.pause());
        let pause = rig.pause();
        rig.wait(pause);
    }
    assert_eq!(gates, [0, 1, 2, 0, 1, 2]);
    let waits: Vec<_> = pauses.iter().map(|pause| !pause.is_zero()).collect();
    assert_eq!(waits, [false, false, true, false, false, true]);
    assert!(pauses[5] > pauses[2] / 2);
    assert_eq!(rig.failure(), Failure::Unreachable(ErrorKind::ConnectionRefused));
    assert_eq!(rig.sender.trouble().unwrap().gate, 2);
}

#[test]
fn lost_connection_moves_to_the_next_gate_with_the_whole_file() {
    let mut rig = Rig::with(2, |_| ());
    rig.ready().deliver_file(2 * MIB);
    rig.accept_up_to(piece(0, MIB));
    rig.next_frame();
    rig.commands();
    rig.sender.handle_lost(rig.now, ErrorKind::ConnectionReset);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    assert!(rig.commands().contains(&Command::Connect { gate: 1 }));
    rig.answer(0x00);
    assert_eq!(rig.next_frame(), piece(0, MIB));
}

#[test]
fn priority_returns_to_the_first_gate_after_a_loss_and_moves_on_if_it_fails() {
    let mut rig = Rig::with(3, |settings| settings.order = GateOrder::Priority);
    rig.deliver_whole().commands();
    for expected in [1, 2] {
        rig.sender.handle_lost(rig.now, ErrorKind::ConnectionRefused);
        let pause = rig.pause();
        assert_eq!(rig.wait(pause).commands().last(), Some(&Command::Connect { gate: expected }));
    }
    rig.sender.handle_connected(rig.now);
    rig.accept_up_to(Frame::Whole).deliver_whole();
    rig.next_frame();
    rig.sender.handle_closed(rig.now);
    assert_eq!(rig.sender.gate(), 0);
}

#[test]
fn refusals_stay_with_their_gate_until_the_fourth() {
    let mut rig = Rig::with(2, |_| ());
    rig.ready().deliver_whole();
    let mut gates = Vec::new();
    for _ in 0..9 {
        while rig.next_frame() != Frame::Whole {
            rig.answer(0x00);
        }
        gates.push(rig.sender.gate());
        rig.answer(0xff);
    }
    assert_eq!(gates, [0, 0, 0, 0, 1, 1, 1, 1, 0]);
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
fn refused_handshake_is_an_error_that_names_the_likely_reasons() {
    let mut rig = Rig::new();
    rig.deliver_whole();
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    rig.answer(0xff);
    assert_eq!(rig.failure(), Failure::HandshakeRefused { v1: false });
    let text = rig.sender.trouble().unwrap().to_string();
    for reason in ["precision", "cluster id", "password", "handshake-v1-fallback"] {
        assert!(text.contains(reason), "{text}");
    }
    assert_eq!(rig.next_frame(), Frame::HandshakeV2, "never the old one without the attribute");
}

#[test]
fn v1_fallback_tries_the_old_handshake_on_a_connection_of_its_own() {
    let mut rig = Rig::with(1, |settings| settings.handshake_v1_fallback = true);
    rig.deliver_whole();
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    rig.commands();
    rig.answer(0xff);
    assert_eq!(rig.next_frame(), Frame::HandshakeV1);
    let connect = Command::Connect { gate: 0 };
    assert_eq!(rig.commands()[..2], [Command::Close, connect]);
    rig.answer(0x00);
    assert_eq!(rig.next_frame(), Frame::Whole);
    rig.answer(0xff);
    assert_eq!(rig.next_frame(), Frame::HandshakeV1, "what was accepted is tried first");
    rig.answer(0xff);
    assert!(rig.pause() > Duration::ZERO);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2, "and the new one again after it");
}

#[test]
fn time_out_of_the_handshake_does_not_lead_to_the_old_one() {
    let mut rig = Rig::with(1, |settings| settings.handshake_v1_fallback = true);
    rig.deliver_whole();
    rig.next_frame();
    rig.wait(limits::HANDSHAKE_TIMEOUT_DEFAULT);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
}

#[test]
fn greeting_is_kept_up_until_it_is_answered() {
    let mut rig = Rig::new();
    rig.sender.greet();
    for _ in 0..3 {
        assert_eq!(rig.next_frame(), Frame::HandshakeV2);
        rig.answer(0xff);
    }
    assert!(rig.sender.trouble().is_some());
    rig.next_frame();
    rig.answer(0x00);
    assert_eq!(rig.sender.trouble(), None);
    assert_eq!(rig.sender.poll_timeout(), None);
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

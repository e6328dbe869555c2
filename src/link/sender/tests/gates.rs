//! Several gates, connects and handshakes.

use super::*;

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
fn a_far_side_that_says_that_it_is_older_gets_the_old_handshake() {
    let mut rig = Rig::with(1, |settings| {
        settings.handshake_v1_fallback = true;
        settings.is_told_why = true;
    });
    rig.deliver_whole();
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    rig.sender.allow_old_handshake();
    rig.answer(0xff);
    assert_eq!(rig.next_frame(), Frame::HandshakeV1);
    rig.answer(0xff);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2);
    rig.answer(0xff);
    assert_eq!(rig.next_frame(), Frame::HandshakeV2, "what it said was of the other one");
}

#[test]
fn a_far_side_that_says_that_it_is_older_gets_no_old_handshake_by_itself() {
    let mut rig = Rig::with(1, |settings| settings.is_told_why = true);
    rig.deliver_whole();
    for _ in 0..3 {
        assert_eq!(rig.next_frame(), Frame::HandshakeV2);
        rig.sender.allow_old_handshake();
        rig.answer(0xff);
    }
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

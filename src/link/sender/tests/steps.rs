//! Being in step: answers that are late, doubled, unasked or missing, and time limits.

use super::*;

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

//! Nothing is read that cannot be put somewhere.

use super::*;

#[test]
fn a_full_spool_holds_the_answer_and_the_connection_is_not_read() {
    let mut link = Link::greeted();
    link.store.room = ROOM_MIN + 10;
    assert_eq!(link.send(&piece("a.tsfile", 0, &[1; 5000])), Waits);
    assert!(link.machine.is_held() && link.machine.waits_for_room());
    assert_eq!(link.machine.wanted(link.now, &mut link.store), 0);
    let end = link.now + policy().hold_max;
    assert_eq!(link.wait(limits::HOLD_SHOWN_AFTER), Waits);
    assert_eq!(link.events(), [Event::Held]);
    assert_eq!(link.machine.poll_timeout(), Some(end));
    assert_eq!(link.wait(policy().hold_max), Got::Reset(Case::HeldTooLong));
    assert_eq!(link.events(), [Event::Reset(Case::HeldTooLong)]);
}

#[test]
fn what_was_held_is_taken_when_there_is_room() {
    for payload in [tablet(10), tablet(2000), tablet(3 << 20), piece("a", 0, &vec![1; 3 << 20])] {
        let mut link = Link::greeted();
        link.read_bytes = 100_000;
        let frame = framed(&payload);
        let mut rest = &frame[..];
        let mut got = Waits;
        // Room comes and goes in small portions.
        for _ in 0..1000 {
            link.store.room = ROOM_MIN + 20_000;
            link.machine.handle_room(link.now, &mut link.store);
            link.settle();
            let wanted = link.machine.wanted(link.now, &mut link.store);
            let (part, behind) = rest.split_at(wanted.min(rest.len()).min(link.read_bytes));
            link.machine.handle_input(link.now, part, &mut link.store);
            rest = behind;
            link.settle();
            got = link.got();
            if got != Waits {
                break;
            }
        }
        assert_eq!(got, OK, "{}", payload.len());
    }
}

#[test]
fn a_small_request_waits_with_its_buffer_until_there_is_room() {
    let mut link = Link::greeted();
    let frame = framed(&tablet(2000));
    let (most, last) = frame.split_at(frame.len() - 1);
    assert_eq!(link.send_bytes(most), Waits);
    link.store.room = 0;
    assert_eq!(link.send_bytes(last), Waits);
    assert_eq!(link.store.lent, 1);
    assert_eq!(link.give_room(0), Waits);
    assert_eq!(link.give_room(usize::MAX), OK);
    assert_eq!(link.store.lent, 0);
    assert_eq!(link.store.kept, [Kept::Request(tablet(2000))]);
}

#[test]
fn who_gets_no_buffer_waits_a_little_and_then_goes_to_disk() {
    let mut link = Link::greeted();
    link.store.buffers = 0;
    let frame = framed(&tablet(5000));
    let mut rest = &frame[..];
    loop {
        let wanted = link.machine.wanted(link.now, &mut link.store);
        if wanted == 0 {
            break;
        }
        let (part, behind) = rest.split_at(wanted);
        link.machine.handle_input(link.now, part, &mut link.store);
        rest = behind;
    }
    assert_eq!(rest.len(), frame.len() - 16 - HEAD_BYTES);
    let until = link.machine.poll_timeout().unwrap();
    assert_eq!(until, link.now + limits::LEND_WAIT);
    assert_eq!(link.wait(limits::LEND_WAIT), Waits);
    assert_eq!(link.store.files.len(), 1);
    assert_eq!(link.send_bytes(rest), OK);
    assert_eq!(link.store.kept, [Kept::Request(tablet(5000))]);

    let mut link = Link::greeted();
    link.store.buffers = 0;
    assert_eq!(link.send(&tablet(5000)), Waits);
    link.store.buffers = 1;
    assert_eq!(link.machine.wanted(link.now, &mut link.store), 5003 - HEAD_BYTES);
}

#[test]
fn who_finds_neither_buffer_nor_room_is_asked_again_later_not_at_once() {
    let mut link = Link::greeted();
    link.store.buffers = 0;
    assert_eq!(link.send(&tablet(5000)), Waits);
    link.store.room = 0;
    assert_eq!(link.wait(limits::LEND_WAIT), Waits);
    assert!(link.machine.poll_timeout().unwrap() > link.now);
    link.store.room = usize::MAX;
    assert_eq!(link.wait(limits::LEND_WAIT), Waits);
    assert_eq!(link.store.files.len(), 1);
}

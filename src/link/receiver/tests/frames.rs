//! Frames: bytes in, one byte out.

use super::*;
use crate::data::{Identity, OriginId, Sequence};

#[test]
fn a_tablet_is_answered_when_it_is_stored_and_not_before() {
    let mut link = Link::greeted();
    let frame = framed(&tablet(5000));
    let wanted = |link: &mut Link| link.machine.wanted(link.now, &mut link.store);
    let mut rest = &frame[..];
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(wanted(&mut link));
        link.machine.handle_input(link.now, part, &mut link.store);
        rest = behind;
    }
    assert_eq!(link.store.kept, [Kept::Request(tablet(5000))]);
    assert_eq!(link.got(), Waits);
    assert_eq!(wanted(&mut link), 0, "nothing is read before the answer");
    link.settle();
    let stored = Event::Stored { request_type: RequestType::TabletInsertNode, payload_bytes: 5003 };
    assert_eq!(link.events(), [stored]);
    assert_eq!(link.got(), OK);
    assert_eq!(link.got(), Waits, "one byte a frame");
    assert_eq!(wanted(&mut link), 16);
    assert_eq!(link.store.lent, 0);
}

#[test]
fn frames_of_every_kind_may_arrive_split_at_any_byte() {
    for read_bytes in [1, 2, 3, 7, 15, 16, 17, 63, 79, 1000, 1024, 4096, usize::MAX] {
        for frame in [framed, wrapped] {
            let mut link = Link::stranger(policy());
            link.read_bytes = read_bytes;
            let mut send = |payload: &[u8]| link.send_bytes(&frame(payload));
            assert_eq!(send(&greeting("theirs", "ms")), OK);
            assert_eq!(send(&tablet(10)), OK);
            assert_eq!(send(&tablet(2000)), OK);
            assert_eq!(send(&piece("a.tsfile", 0, &[1; 3000])), OK);
            assert_eq!(send(&piece("a.tsfile", 3000, &[2; 5])), OK);
            assert_eq!(send(&seal_of("a.tsfile", 3005)), OK);
            let file = [[1; 3000].as_slice(), &[2; 5]].concat();
            assert_eq!(link.store.kept[2], sealed(&[("a.tsfile", &file)]));
            assert!(link.store.files.is_empty());
            assert_eq!(link.store.lent, 0);
        }
    }
}

#[test]
fn nothing_is_read_beyond_the_frame_that_waits() {
    let mut link = Link::greeted();
    let two = [framed(&tablet(100)), wrapped(&tablet(200)), framed(&tablet(5000))].concat();
    let mut rest = &two[..];
    let mut answers = 0;
    while !rest.is_empty() {
        let wanted = link.machine.wanted(link.now, &mut link.store).min(rest.len());
        let (part, behind) = rest.split_at(wanted);
        link.machine.handle_input(link.now, part, &mut link.store);
        rest = behind;
        link.settle();
        if link.got() == OK {
            answers += 1;
        }
    }
    assert_eq!(answers, 3);
    assert_eq!(link.store.kept.len(), 3);
}

#[test]
fn what_is_not_a_frame_resets() {
    let flip = |at: usize| {
        let mut frame = framed(&tablet(100));
        frame[at] ^= 1;
        frame
    };
    let length = |length: u32| [length.to_be_bytes(), length.to_be_bytes()].concat();
    let rows: &[(Vec<u8>, Case)] = &[
        (flip(0), Case::Lengths),
        (flip(7), Case::Lengths),
        (flip(8), Case::Checksum),
        (flip(15), Case::Checksum),
        (flip(20), Case::Checksum),
        (length(0), Case::Lengths),
        (length(10), Case::Lengths),
        (length(i32::MAX as u32), Case::TooLong),
        (length(u32::MAX), Case::TooLong),
        (length((8 << 20) + limits::IDENTITY_BYTES_MAX + 9), Case::TooLong),
        (crate::wire::elanguage::PREFIX.repeat(2), Case::Lengths),
    ];
    for (bytes, case) in rows {
        for read_bytes in [1, usize::MAX] {
            let mut link = Link::greeted();
            link.read_bytes = read_bytes;
            let got = link.send_bytes(bytes);
            let got = if got == Waits { link.send_bytes(&[0; 16]) } else { got };
            assert!(matches!(got, Got::Reset(_)), "{bytes:x?}");
            if *case != Case::Lengths {
                assert_eq!(got, Got::Reset(*case), "{bytes:x?}");
            }
            assert_eq!(link.store.kept, []);
            assert_eq!(link.store.lent, 0);
        }
    }
}

/// A plan that goes to a file, or stays in memory.
#[test]
fn what_an_identity_adds_is_taken_above_the_limit_and_nothing_else() {
    let id = Identity { origin: OriginId([7; 16]), sequence: Sequence(5) }.plan_node_id();
    for max in [64 << 10, 4 << 20] {
        let take = |bytes: usize, end: &[u8]| {
            let mut link = Link::stranger(Policy { max_frame_bytes: max, ..policy() });
            assert_eq!(link.send(&greeting("theirs", "ms")), OK);
            let payload = [&request(100, &vec![7; bytes - 3])[..], end].concat();
            let got = link.send(&payload);
            let kept = if got == OK { vec![Kept::Request(payload)] } else { vec![] };
            assert!(link.store.kept == kept, "{bytes}");
            assert_eq!((link.store.lent, link.store.files.len()), (0, 0));
            got
        };
        let (too_long, max) = (Got::Reset(Case::TooLong), max as usize);
        assert_eq!(take(max, b""), OK);
        assert_eq!(take(max + 1, b""), too_long);
        assert_eq!(take(max, &[7; 56]), too_long);
        assert_eq!(take(max, id.as_bytes()), OK);
        let of_tablet = [b"\0\0\0\x38", id.as_bytes(), &[0; 4]].concat();
        assert_eq!(take(max, &of_tablet), OK);
        assert_eq!(take(max + 1, &of_tablet), too_long);
    }
}

#[test]
fn a_stop_answers_what_is_whole_and_resets_the_rest() {
    let mut idle = Link::greeted();
    idle.machine.handle_stop(&mut idle.store);
    assert_eq!(idle.got(), Got::Reset(Case::Stopping));

    let mut half = Link::greeted();
    let frame = framed(&tablet(100));
    half.send_bytes(&frame[..50]);
    half.machine.handle_stop(&mut half.store);
    assert_eq!(half.got(), Got::Reset(Case::Stopping));

    let mut whole = Link::greeted();
    whole.store.room = ROOM_MIN - 1;
    let mut rest = &frame[..];
    whole.store.room = usize::MAX;
    while !rest.is_empty() {
        let wanted = whole.machine.wanted(whole.now, &mut whole.store);
        let (part, behind) = rest.split_at(wanted);
        whole.machine.handle_input(whole.now, part, &mut whole.store);
        rest = behind;
    }
    whole.machine.handle_stop(&mut whole.store);
    assert_eq!(whole.got(), Waits);
    whole.settle();
    assert_eq!(whole.machine.poll_answer(), Some(Answer::Accepted));
    assert_eq!(whole.got(), Got::Reset(Case::Stopping));
}

#[test]
fn a_closed_connection_gives_everything_back() {
    for cut in [0, 10, 16, 500, 2000, 5000] {
        let mut link = Link::greeted();
        let frame = framed(&tablet(6000));
        assert_eq!(link.send_bytes(&frame[..cut]), Waits);
        link.machine.handle_close(&mut link.store);
        assert_eq!(link.store.lent, 0);
        assert!(!link.machine.is_busy());
        link.store.outcomes.push_back(Outcome::Stored);
        link.settle();
        assert_eq!(link.got(), Got::Reset(Case::Stopping), "a late outcome changes nothing");
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// Whatever comes: no panic, nothing lent for ever, at most one byte a frame.
        #[test]
        fn any_payload_gets_one_verdict(
            code in prop::sample::select(RequestType::ALL).prop_map(RequestType::code),
            body in prop::collection::vec(any::<u8>(), 0..3000),
            read_bytes in 1..5000_usize,
        ) {
            let mut link = Link::greeted();
            link.read_bytes = read_bytes;
            let mut got = link.send(&request(code, &body));
            if got == Waits {
                got = link.wait(limits::REFUSAL_DELAY);
            }
            prop_assert_ne!(got, Waits);
            prop_assert_eq!(link.store.lent, 0);
            prop_assert!(link.machine.poll_answer().is_none());
        }

        #[test]
        fn any_bytes_leave_the_machine_sane(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            read_bytes in 1..50_usize,
        ) {
            let mut link = Link::stranger(policy());
            link.read_bytes = read_bytes;
            let got = link.send_bytes(&bytes);
            prop_assert_ne!(got, OK);
            link.machine.handle_close(&mut link.store);
            prop_assert_eq!(link.store.lent, 0);
        }
    }
}

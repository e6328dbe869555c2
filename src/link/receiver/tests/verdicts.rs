//! What is not simply taken: the table, row by row.

use super::*;

#[test]
fn unknown_requests_are_refused_after_a_second() {
    for (payload, case) in [
        (request(99, &[1; 10]), Case::UnknownType),
        (request(99, &vec![1; 3 << 20]), Case::UnknownType),
        ([&[2], &tablet(10)[1..]].concat(), Case::UnknownVersion),
        (compressed(Compressor::Lz4, &request(99, &[1; 10])), Case::UnknownType),
    ] {
        let mut link = Link::greeted();
        assert_eq!(link.send(&payload), Waits);
        assert_eq!(link.machine.poll_timeout(), Some(link.now + limits::REFUSAL_DELAY));
        assert_eq!(link.wait(Duration::from_millis(999)), Waits);
        assert_eq!(link.wait(Duration::from_millis(1)), FAIL);
        assert_eq!(link.events(), [Event::Refused(case)]);
        assert_eq!(link.send(&tablet(10)), OK, "the connection goes on");
        assert!(link.store.files.is_empty());
    }
}

#[test]
fn what_makes_no_sense_is_kept_in_quarantine_and_answered() {
    let long_name = "n".repeat(limits::FILE_NAME_BYTES_MAX + 1);
    let very_long_name = "n".repeat(3000);
    for (payload, case) in [
        (request(2, &[NONSENSE; 10]), Case::Undecodable),
        (request(2, &[NONSENSE; 5000]), Case::Undecodable),
        (request(2, &vec![NONSENSE; 2 << 20]), Case::Undecodable),
        (request(9, &[0xff; 20]), Case::Undecodable),
        (request(9, &vec![0xff; 2 << 20]), Case::Undecodable),
        (request(4, &[0xff; 40]), Case::Undecodable),
        (seals_of(&[]), Case::Undecodable),
        (seals_of(&[("", 0)]), Case::Undecodable),
        (piece("../a.tsfile", 0, &[1; 10]), Case::FileName),
        (piece("a/b.tsfile", 0, &vec![1; 3 << 20]), Case::FileName),
        (piece("..", 0, &[1; 10]), Case::FileName),
        (piece("a\0b", 0, &[1; 10]), Case::FileName),
        (piece("", 0, &[1; 10]), Case::FileName),
        (piece(&long_name, 0, &[1; 10]), Case::FileName),
        (piece(&very_long_name, 0, &[1; 10]), Case::FileName),
        (seal_of("../a.tsfile", 10), Case::FileName),
        (request(300, &[1, 9, 0, 0, 0, 5, 1, 2, 3]), Case::Undecodable),
        (request(300, &[9]), Case::Undecodable),
        (nested(limits::WRAPPERS_MAX + 1), Case::TooManyWrappers),
    ] {
        let mut link = Link::greeted();
        assert_eq!(link.send(&payload), OK, "{case:?} {}", payload.len());
        assert_eq!(link.events(), [Event::Quarantined(case)]);
        let [Kept::Quarantine(_, kept)] = &link.store.kept[..] else { panic!("{case:?}") };
        // What was wrapped may be kept without its wrappers.
        assert!(payload == *kept || payload.get(1) == Some(&1), "{case:?}");
        assert!(link.store.files.is_empty());
        assert_eq!(link.store.lent, 0);
        assert_eq!(link.send(&tablet(10)), OK, "the connection goes on");
    }
}

#[test]
fn a_full_quarantine_holds_and_then_resets() {
    let mut link = Link::greeted();
    link.store.quarantine_full = true;
    assert_eq!(link.send(&request(2, &[NONSENSE; 10])), Waits);
    assert_eq!(link.wait(limits::QUARANTINE_RETRY), Waits);
    link.store.quarantine_full = false;
    assert_eq!(link.wait(limits::QUARANTINE_RETRY), OK);

    link.store.quarantine_full = true;
    assert_eq!(link.send(&request(2, &[NONSENSE; 10])), Waits);
    for _ in 0..599 {
        assert_eq!(link.wait(limits::QUARANTINE_RETRY), Waits);
    }
    assert_eq!(link.wait(limits::QUARANTINE_RETRY), Got::Reset(Case::HeldTooLong));
}

#[test]
fn a_probe_and_an_empty_batch_are_answered_and_leave_nothing() {
    let mut link = Link::greeted();
    assert_eq!(link.send(&request(13, &[NOTHING; 12])), OK);
    assert_eq!(link.events(), [Event::Taken { payload_bytes: 15 }]);
    assert_eq!(link.store.kept, []);
}

#[test]
fn plans_go_as_configured() {
    let delete = request(100, &[0, 44, 1, 2]);
    let schema = request(100, &[0, 19, 1, 2]);
    let user = request(200, &[2, 0x6d, 1, 2]);
    let mut link = Link::greeted();
    assert_eq!(link.send(&delete), OK);
    assert_eq!(link.send(&schema), OK);
    assert_eq!(link.send(&user), OK);
    assert_eq!(link.store.kept, [Kept::Request(delete.clone()), Kept::Request(schema)]);
    assert_eq!(link.events().last(), Some(&Event::Ignored(PlanKind::Authority)));
}

#[test]
fn a_seal_of_a_flawed_file_is_held_while_the_quarantine_is_full() {
    let mut link = Link::greeted();
    link.store.flawed = true;
    link.store.quarantine_full = true;
    assert_eq!(link.send(&piece("a", 0, &[1; 10])), OK);
    assert_eq!(link.send(&seal_of("a", 10)), Waits);
    assert_eq!(link.wait(limits::QUARANTINE_RETRY), Waits);
    assert_eq!(link.store.files.len(), 1);
    link.store.quarantine_full = false;
    assert_eq!(link.wait(limits::QUARANTINE_RETRY), OK);
    assert_eq!(link.store.kept, [Kept::Quarantine(Case::FlawedFile, vec![1; 10])]);
}

#[test]
fn snapshots_of_users_are_ignored_with_their_files() {
    let seal = |kind: &str| {
        let files = [seal::SealedFile { name: Some("snapshot"), bytes: 4 }];
        request(
            202,
            &written(|writer| {
                seal::write_v2(writer, &files, &[("fileType", Some(kind))]);
            }),
        )
    };
    let mut link = Link::greeted();
    for (kind, kept) in [("1", 0), ("4", 1)] {
        let piece = piece_of(RequestType::ConfigSnapshotPiece, "snapshot", 0, &[1; 4]);
        assert_eq!(link.send(&piece), OK);
        assert_eq!(link.send(&seal(kind)), OK);
        assert_eq!(link.store.kept.len(), kept);
        assert!(link.store.files.is_empty());
    }
}

#[test]
fn a_file_that_never_fits_resets_at_any_time() {
    let mut link = Link::greeted();
    assert_eq!(link.send(&piece("a", 0, &[1; 10])), OK);
    link.store.outcomes.push_back(Outcome::NeverFits { needed: 2, limit: 1 });
    link.settle();
    assert_eq!(link.got(), Got::Reset(Case::NeverFits));
}

//! Repetitions of stock peers: what is dropped was stored, and what was asked for after it is kept.

use super::*;

fn put(spool: &mut Spool<SimDisk>, kind: Kind, hash: u128, link: u32) -> bool {
    let source = stock(hash, LinkId::new(spool.boot(), link), 0);
    let outcome = spool.append(NewEntry { kind, ..opaque(b"x", source) }, ARRIVAL).unwrap();
    spool.sync().unwrap();
    matches!(outcome, Outcome::Appended(_))
}

#[test]
fn a_deletion_behind_newer_data_is_stored_again() {
    for is_closed in [false, true] {
        let (disk, mut spool) = fresh(41);
        assert!(put(&mut spool, Kind::Opaque, 1, 1));
        if is_closed {
            spool.forget(LinkId::new(spool.boot(), 1));
        }
        assert!(!put(&mut spool, Kind::Opaque, 1, 2), "its answer may have been lost");
        assert!(put(&mut spool, Kind::Tablet, 2, 3));
        drop(spool);
        disk.crash();
        let (mut spool, _) = open(&disk);
        assert!(put(&mut spool, Kind::Opaque, 1, 4), "what came since has to go");
        assert!(!put(&mut spool, Kind::Opaque, 1, 5));
    }
}

/// A tablet of one row: which device, when, and the hash of its request, which stands for its values.
fn put_row(spool: &mut Spool<SimDisk>, (device, time): (&str, i64), hash: u128, link: u32) -> bool {
    let mut payload = b"\x01\0\x02\0\x0d".to_vec();
    payload.extend(u32::try_from(device.len()).unwrap().to_be_bytes());
    payload.extend(device.as_bytes());
    let source = stock(hash, LinkId::new(spool.boot(), link), 0);
    let time_range = Some(TimeRange::at(time));
    let entry = NewEntry { kind: Kind::Tablet, time_range, ..opaque(&payload, source) };
    let outcome = spool.append(entry, ARRIVAL).unwrap();
    spool.sync().unwrap();
    matches!(outcome, Outcome::Appended(_))
}

#[test]
fn a_value_that_comes_back_after_another_is_three_writes_and_a_lost_answer_is_one() {
    for (is_closed, is_killed) in [(false, false), (true, false), (false, true)] {
        let (disk, mut spool) = fresh(42);
        assert!(put_row(&mut spool, ("root.a", 1), 1, 1), "x=1");
        assert!(put_row(&mut spool, ("root.b", 1), 3, 2), "of another device");
        assert!(put_row(&mut spool, ("root.a", 2), 4, 3), "of another time");
        assert!(!put_row(&mut spool, ("root.a", 1), 1, 4), "x=1, its answer may have been lost");
        assert!(put_row(&mut spool, ("root.a", 1), 2, 5), "x=2");
        if is_closed {
            spool.forget(LinkId::new(spool.boot(), 4));
        }
        if is_killed {
            drop(spool);
            disk.crash();
            spool = open(&disk).0;
        }
        assert!(put_row(&mut spool, ("root.a", 1), 1, 6), "x=1 again");
        assert!(!put_row(&mut spool, ("root.a", 1), 1, 7), "and that is repeated, too");
    }
}

#[test]
fn a_tablet_behind_a_deletion_is_stored_again() {
    let (_disk, mut spool) = fresh(42);
    assert!(put_row(&mut spool, ("root.a", 1), 1, 1));
    assert!(put(&mut spool, Kind::Opaque, 2, 2));
    assert!(put_row(&mut spool, ("root.a", 1), 1, 3));
}

#[test]
fn a_deletion_in_a_file_is_stored_again_too() {
    let (_disk, mut spool) = fresh(43);
    let mut take = |link| {
        let bytes = b"a deletion";
        let id = spool.create_partial().unwrap();
        spool.write_partial(id, 0, bytes).unwrap();
        let (name, partial) = (Some("request"), Some(id));
        let file = SealedFile { name, partial, bytes: bytes.len() as u64, hash: hash(bytes) };
        let source = stock(1, LinkId::new(spool.boot(), link), 0);
        let files = std::slice::from_ref(&file);
        let entry = NewFileEntry { request_type: 100, ..file_entry(files, source) };
        let outcome = spool.seal(entry, ARRIVAL).unwrap();
        let other = stock(2, LinkId::new(spool.boot(), 100 + link), 0);
        let stored = matches!(outcome, Outcome::Appended(_));
        (stored, if link > 1 { spool.append(opaque(b"x", other), ARRIVAL).is_ok() } else { true })
    };
    assert_eq!([take(1), take(2), take(3)], [(true, true), (false, true), (true, true)]);
}

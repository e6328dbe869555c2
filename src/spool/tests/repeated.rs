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

#[test]
fn a_tablet_whose_answer_was_lost_is_a_repetition_whatever_came_since() {
    let (_disk, mut spool) = fresh(42);
    assert!(put(&mut spool, Kind::Tablet, 1, 1));
    assert!(put(&mut spool, Kind::Opaque, 2, 2));
    assert!(!put(&mut spool, Kind::Tablet, 1, 3));
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

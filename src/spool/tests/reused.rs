//! Identities that come a second time, for the same thing or for another one.

use super::*;
use crate::spool::Start;

fn put(spool: &mut Spool<SimDisk>, payload: &[u8], source: Source) -> bool {
    let outcome = spool.append(opaque(payload, source), ARRIVAL).unwrap();
    matches!(outcome, Outcome::Appended(_))
}

#[test]
fn something_else_under_a_known_number_is_taken_and_told() {
    let (disk, mut spool) = fresh(31);
    assert!(put(&mut spool, b"one", peer(5)));
    assert!(!put(&mut spool, b"one", peer(5)));
    assert_eq!(spool.stats().reused_entries, 0);
    assert!(put(&mut spool, b"other", peer(5)));
    let Source::Peer(identity) = peer(5) else { panic!("a peer's") };
    let stats = spool.stats();
    assert_eq!((stats.reused_entries, stats.reused, stats.duplicates), (1, Some(identity), 1));
    // Either may be repeated now.
    assert!(!put(&mut spool, b"one", peer(5)) && !put(&mut spool, b"other", peer(5)));
    spool.sync().unwrap();
    assert_eq!(read(&spool), [(1, b"one".to_vec()), (2, b"other".to_vec())]);
    drop(spool);
    disk.crash();
    let (mut spool, _) = open(&disk);
    assert!(!put(&mut spool, b"one", peer(5)) && !put(&mut spool, b"other", peer(5)));
    assert!(put(&mut spool, b"third", peer(5)));
}

#[test]
fn what_was_released_long_ago_is_still_compared() {
    let (_disk, mut spool) = fresh(32);
    let consumer = spool.create_consumer("x", Start::Oldest).unwrap();
    for sequence in 1..3000 {
        assert!(put(&mut spool, &[7; 100], peer(sequence)));
        let end = spool.sync().unwrap();
        spool.advance(consumer, &Cursor::at(end)).unwrap();
        if sequence % 100 == 0 {
            spool.maintain(beginning()).unwrap();
        }
    }
    assert!(spool.stats().first_sequence > Sequence(2000), "{:?}", spool.stats());
    assert!(!put(&mut spool, &[7; 100], peer(3)));
    assert!(put(&mut spool, &[8; 100], peer(3)));
}

#[test]
fn a_file_of_another_content_is_not_the_one_that_was_sealed() {
    let (_disk, mut spool) = fresh(33);
    let mut put = |name: &str, bytes: &[u8]| {
        let outcome = seal(&mut spool, name, bytes, peer(1)).unwrap();
        matches!(outcome, Outcome::Appended(_))
    };
    assert!(put("a.tsfile", b"bytes"));
    assert!(!put("a.tsfile", b"bytes"));
    assert!(put("a.tsfile", b"other"));
    assert!(!put("b.tsfile", b"bytes"), "names are cut on their way");
    spool.sync().unwrap();
    assert_eq!(read_files(&spool).len(), 2);
    assert_eq!(spool.stats().partials, 0);
}

#[test]
fn what_came_back_of_our_own_is_compared_too() {
    let (_disk, mut spool) = fresh(34);
    append(&mut spool, b"ours");
    seal(&mut spool, "a.tsfile", b"bytes", Source::Own).unwrap();
    let own =
        |sequence| Source::Peer(Identity { origin: spool.origin(), sequence: Sequence(sequence) });
    let (first, second, never_given) = (own(1), own(2), own(9));
    assert!(!put(&mut spool, b"ours", first));
    let back = seal(&mut spool, "a.tsfile", b"bytes", second).unwrap();
    assert!(matches!(back, Outcome::Duplicate(_)), "{back:?}");
    assert_eq!(spool.stats().reused_entries, 0);
    assert!(put(&mut spool, b"theirs", first), "it would stop its sender for good");
    assert_eq!(spool.stats().reused_entries, 1);
    let refused = spool.append(opaque(b"theirs", never_given), ARRIVAL);
    assert!(matches!(refused, Err(AppendError::Cloned(Sequence(9)))), "{refused:?}");
}

#[test]
fn a_file_without_a_digest_is_never_something_else() {
    let (_disk, mut spool) = fresh(35);
    let mut take = |bytes: &[u8], request_crc| {
        let id = spool.create_partial().unwrap();
        spool.write_partial(id, 0, bytes).unwrap();
        let file = SealedFile {
            name: Some("request"),
            partial: Some(id),
            bytes: bytes.len() as u64,
            hash: hash(bytes),
        };
        let entry = NewFileEntry {
            request_type: 2,
            request_crc,
            ..file_entry(std::slice::from_ref(&file), peer(1))
        };
        matches!(spool.seal(entry, ARRIVAL).unwrap(), Outcome::Appended(_))
    };
    assert!(take(b"one", None));
    assert!(!take(b"two", Some(crc32fast::hash(b"two"))) && !take(b"two", None));
}

#[test]
fn a_part_of_an_entry_is_its_own_thing_but_for_the_node_that_took_the_entry_in() {
    let (_, mut spool) = fresh(29);
    append(&mut spool, b"whole");
    let own = spool.origin();
    let mut is_new = |origin: OriginId, sequence| {
        let source = Source::Peer(Identity { origin, sequence: Sequence(sequence) });
        matches!(spool.append(opaque(b"part", source), ARRIVAL).unwrap(), Outcome::Appended(_))
    };
    let other = OriginId([9; 16]);
    for filter in [1, 2] {
        assert!(is_new(other.of_parts(filter), 1));
        assert!(!is_new(other.of_parts(filter), 1));
    }
    assert!(is_new(other, 1));
    assert!(!is_new(own.of_parts(7), 1), "it comes back");
    assert!(is_new(own.of_parts(7), 99), "of a number that was never given");
}

#[test]
fn what_a_sampler_leaves_another_time_is_new_and_no_fault_of_the_sender() {
    let (_, mut spool) = fresh(29);
    let origin = OriginId([9; 16]);
    let mut is_new = |origin, payload: &[u8]| {
        let source = Source::Peer(Identity { origin, sequence: Sequence(1) });
        matches!(spool.append(opaque(payload, source), ARRIVAL).unwrap(), Outcome::Appended(_))
    };
    let sampled = origin.of_samples(7);
    assert!(is_new(sampled, b"some") && !is_new(sampled, b"some") && is_new(sampled, b"others"));
    let cut = origin.of_parts(7);
    assert!(is_new(cut, b"some") && is_new(cut, b"others"));
    assert_eq!(spool.stats().reused_entries, 1, "only what a filter cuts is always the same");
}

#[test]
fn a_flawed_place_of_an_earlier_spool_is_not_replaced() {
    let path = Path::new("quarantine");
    let flaw_first = |disk: &SimDisk| {
        let (mut spool, _) = open(disk);
        append(&mut spool, b"one");
        append(&mut spool, b"two");
        spool.sync().unwrap();
        disk.flip(&Path::new("spool").join(&segments(disk)[0]), (64 + 160 + 1) * 8);
        assert_eq!(read(&spool).len(), 1);
        spool.maintain(beginning()).unwrap();
        names_in(disk, "quarantine")
    };
    let disk = SimDisk::new(5, DISK_BYTES);
    let first = flaw_first(&disk);
    let before = disk.contents(&path.join(&first[0])).unwrap();
    disk.kill();
    for (file, _) in disk.files().into_iter().filter(|(file, _)| file.starts_with("spool")) {
        disk.remove(&file).unwrap();
    }
    let second = flaw_first(&disk);
    assert_eq!((first.len(), second.len()), (2, 4), "{second:?}");
    assert_eq!(disk.contents(&path.join(&first[0])).unwrap(), before);
}

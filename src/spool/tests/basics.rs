//! Append, sync, read, seal, consume, on a disk that behaves.

use std::io::ErrorKind;

use super::*;
use crate::spool::{Denied, DiskFile, Misuse, OpenMode, PartialError, Start};

#[test]
fn only_synced_entries_are_seen() {
    let (_disk, mut spool) = fresh(1);
    let mut reader = spool.reader(Sequence(1));
    assert_eq!(append(&mut spool, b"one"), Sequence(1));
    assert!(reader.next_entry().unwrap().is_none());
    assert_eq!(spool.sync().unwrap(), Sequence(2));
    assert_eq!(read_all(&mut reader), [(1, b"one".to_vec())]);
    append(&mut spool, b"two");
    append(&mut spool, b"three");
    assert!(reader.next_entry().unwrap().is_none());
    spool.sync().unwrap();
    assert_eq!(read_all(&mut reader), [(2, b"two".to_vec()), (3, b"three".to_vec())]);
}

#[test]
fn readers_follow_over_many_segments_and_from_any_position() {
    let (disk, mut spool) = fresh(2);
    let payloads: Vec<Vec<u8>> = (0..100).map(|index| vec![index; 900]).collect();
    let mut reader = spool.reader(Sequence(1));
    let mut seen = Vec::new();
    for payload in &payloads {
        append(&mut spool, payload);
        spool.sync().unwrap();
        seen.extend(read_all(&mut reader));
    }
    let expected: Vec<_> = (1..).zip(payloads).collect();
    assert_eq!(seen, expected);
    assert!(segments(&disk).len() > 10);
    for from in [1, 2, 8, 9, 50, 100, 101] {
        reader.seek(Sequence(from));
        assert_eq!(read_all(&mut reader), expected[usize::try_from(from).unwrap() - 1..]);
    }
}

#[test]
fn an_append_is_one_write_and_a_group_one_sync() {
    let (disk, mut spool) = fresh(3);
    append(&mut spool, b"makes the segment");
    spool.sync().unwrap();
    let before = disk.calls();
    for index in 0..5 {
        append(&mut spool, &[index; 100]);
    }
    spool.sync().unwrap();
    let after = disk.calls();
    assert_eq!(after.writes - before.writes, 5);
    assert_eq!(after.all - before.all, 6);
}

#[test]
fn a_tablet_gets_its_identity_as_plan_node_id() {
    let (_disk, mut spool) = fresh(4);
    let tablet = |source| NewEntry { kind: Kind::Tablet, ..opaque(b"\x01\x00\x02body", source) };
    spool.append(tablet(Source::Own), ARRIVAL).unwrap();
    let link = LinkId::new(spool.boot(), 1);
    spool.append(tablet(stock(1, link, 0)), ARRIVAL).unwrap();
    spool.append(tablet(peer(9)), ARRIVAL).unwrap();
    spool.sync().unwrap();
    let all = read(&spool);
    let identities = [(spool.origin(), 1), (spool.origin(), 2), (OriginId([7; 16]), 9)];
    for ((_, payload), (origin, sequence)) in all.iter().zip(identities) {
        let id = format!("P1:{origin}:{sequence:020}");
        let mut expected = b"\x01\x00\x02body\x00\x00\x00\x38".to_vec();
        expected.extend(id.bytes());
        expected.extend([0; 4]);
        assert_eq!(payload, &expected);
    }
    let mut reader = spool.reader(Sequence(3));
    let header = reader.next_entry().unwrap().unwrap().header;
    assert_eq!(header.identity, Identity { origin: OriginId([7; 16]), sequence: Sequence(9) });
    assert_eq!((header.arrival, header.source), (ARRIVAL, peer(9)));
    assert_eq!(header.time_range, Some(TimeRange { min: 1, max: 2 }));
}

#[test]
fn a_payload_that_fits_no_entry_is_refused() {
    let (_disk, mut spool) = fresh(5);
    let max = SEGMENT - 64 - 160;
    assert!(spool.append(opaque(&vec![1; max], Source::Own), ARRIVAL).is_ok());
    let refused = spool.append(opaque(&vec![1; max + 1], Source::Own), ARRIVAL);
    assert!(
        matches!(refused, Err(AppendError::TooLarge { bytes, max: m }) if bytes == max + 1 && m == max)
    );
}

#[test]
fn repetitions_are_told_for_peers_and_stock_peers() {
    let (disk, mut spool) = fresh(6);
    let link = LinkId::new(spool.boot(), 1);
    let put = |spool: &mut Spool<SimDisk>, source| spool.append(opaque(b"x", source), ARRIVAL);
    let appended = |sequence| Outcome::Appended(Sequence(sequence));
    assert_eq!(put(&mut spool, peer(5)).unwrap(), appended(1));
    assert_eq!(put(&mut spool, stock(1, link, 0)).unwrap(), appended(2));
    assert_eq!(put(&mut spool, stock(1, link, 1)).unwrap(), appended(3));
    assert_eq!(put(&mut spool, peer(5)).unwrap(), Outcome::Duplicate(Sequence(3)));
    spool.sync().unwrap();
    drop(spool);
    disk.crash();

    let (mut spool, _) = open(&disk);
    let again = LinkId::new(spool.boot(), 1);
    assert_ne!(link, again);
    assert_eq!(put(&mut spool, peer(5)).unwrap(), Outcome::Duplicate(Sequence(3)));
    assert_eq!(put(&mut spool, stock(1, again, 0)).unwrap(), Outcome::Duplicate(Sequence(3)));
    assert_eq!(put(&mut spool, stock(1, again, 1)).unwrap(), Outcome::Duplicate(Sequence(3)));
    assert_eq!(put(&mut spool, stock(1, again, 2)).unwrap(), appended(4));
    spool.confirm(again);
    assert_eq!(put(&mut spool, stock(1, again, 0)).unwrap(), appended(5));
    assert_eq!(spool.stats().duplicates, 3);
}

#[test]
fn our_own_data_that_comes_back_is_a_repetition_or_a_clone() {
    let (_disk, mut spool) = fresh(7);
    append(&mut spool, b"x");
    let own =
        |sequence| Source::Peer(Identity { origin: spool.origin(), sequence: Sequence(sequence) });
    let (back, clone) = (own(1), own(2));
    assert_eq!(spool.append(opaque(b"x", back), ARRIVAL).unwrap(), Outcome::Duplicate(Sequence(1)));
    let refused = spool.append(opaque(b"y", clone), ARRIVAL);
    assert!(matches!(refused, Err(AppendError::Cloned(Sequence(2)))));
}

#[test]
fn a_new_identity_keeps_sequences_and_knows_the_old_one() {
    let (disk, mut spool) = fresh(8);
    append(&mut spool, b"x");
    spool.sync().unwrap();
    let old = spool.origin();
    assert!(Spool::new_id(&disk).is_err(), "the node runs");
    spool.close(beginning()).unwrap();
    let new = Spool::new_id(&disk).unwrap();
    assert_ne!(old, new);
    for _ in 0..2 {
        let (mut spool, _) = open(&disk);
        assert_eq!(spool.origin(), new);
        let old = |sequence| Source::Peer(Identity { origin: old, sequence: Sequence(sequence) });
        let back = spool.append(opaque(b"x", old(1)), ARRIVAL).unwrap();
        assert!(matches!(back, Outcome::Duplicate(_)));
        spool.close(beginning()).unwrap();
    }
    let (mut spool, _) = open(&disk);
    assert_eq!(append(&mut spool, b"y"), Sequence(2));
    // The twin kept the old identity and went on with it.
    let twin = Source::Peer(Identity { origin: old, sequence: Sequence(2) });
    spool.sync().unwrap();
    spool.close(beginning()).unwrap();
    let (mut spool, _) = open(&disk);
    let taken = spool.append(opaque(b"z", twin), ARRIVAL).unwrap();
    assert_eq!(taken, Outcome::Appended(Sequence(3)));
}

#[test]
fn files_are_kept_with_their_mods_and_parameters() {
    let (disk, mut spool) = fresh(9);
    let (mods, file) = (spool.create_partial().unwrap(), spool.create_partial().unwrap());
    spool.write_partial(file, 0, b"TsFile").unwrap();
    spool.write_partial(file, 6, b" wrong piece").unwrap();
    spool.truncate_partial(file, 6).unwrap();
    spool.write_partial(file, 6, b"...TsFile").unwrap();
    spool.write_partial(mods, 0, b"mods").unwrap();
    let reader = spool.partial_reader(file).unwrap();
    let mut some = [0; 4];
    assert_eq!(reader.read_at(11, &mut some).unwrap(), 4);
    assert_eq!(&some, b"File");
    let gap = spool.write_partial(file, 16, b"x");
    assert!(matches!(gap, Err(PartialError::Misuse(Misuse::Gap { offset: 16, bytes: 15 }))));
    let files = [
        SealedFile {
            name: Some("x.tsfile.mods"),
            partial: Some(mods),
            bytes: 4,
            hash: hash(b"mods"),
        },
        SealedFile { name: None, partial: None, bytes: 0, hash: [0; 32] },
        SealedFile {
            name: Some("x.tsfile"),
            partial: Some(file),
            bytes: 15,
            hash: hash(b"TsFile...TsFile"),
        },
    ];
    let parameters = [("DATABASE_NAME_x.tsfile", None)];
    let entry = NewFileEntry {
        request_type: 9,
        request_crc: None,
        parameters: &parameters,
        ..file_entry(&files, Source::Own)
    };
    assert_eq!(spool.seal(entry, ARRIVAL).unwrap(), Outcome::Appended(Sequence(1)));
    assert_eq!(spool.partial_bytes(file), None);
    spool.sync().unwrap();
    drop(spool);
    disk.crash();
    let (spool, recovery) = open(&disk);
    assert!(recovery.crashed);
    let expected = [
        (1, "x.tsfile.mods".to_owned(), b"mods".to_vec()),
        (1, "x.tsfile".to_owned(), b"TsFile...TsFile".to_vec()),
    ];
    assert_eq!(read_files(&spool), expected);
    let payload = &read(&spool)[0].1;
    let list = FileList::parse(payload).unwrap();
    assert_eq!((list.request_type, list.files().count()), (9, 3));
    assert_eq!(list.parameters().collect::<Vec<_>>(), parameters);
    assert_eq!(spool.stats().file_bytes, 19);
}

#[test]
fn a_seal_that_says_another_length_is_refused_and_the_partial_stays() {
    let (_disk, mut spool) = fresh(10);
    let id = spool.create_partial().unwrap();
    spool.write_partial(id, 0, b"12345").unwrap();
    let file = SealedFile { name: Some("x"), partial: Some(id), bytes: 4, hash: [0; 32] };
    let refused = spool.seal(file_entry(&[file], Source::Own), ARRIVAL);
    let expected = Misuse::Length { bytes: 5, expected: 4 };
    assert!(matches!(refused, Err(AppendError::Misuse(misuse)) if misuse == expected));
    assert_eq!(spool.partial_bytes(id), Some(5));
    spool.discard_partial(id).unwrap();
    assert_eq!(spool.stats().partial_bytes, 0);
}

#[test]
fn a_repeated_file_is_taken_once_and_its_partial_goes() {
    let (disk, mut spool) = fresh(11);
    seal(&mut spool, "x", b"bytes", peer(1)).unwrap();
    assert_eq!(seal(&mut spool, "x", b"bytes", peer(1)).unwrap(), Outcome::Duplicate(Sequence(1)));
    assert_eq!(spool.stats().partials, 0);
    assert!(names_in(&disk, "spool/partial").is_empty());
    assert_eq!(names_in(&disk, "spool/files").len(), 1);
}

#[test]
fn a_file_that_its_owner_keeps_to_himself_stays_and_nothing_fails() {
    let (disk, mut spool) = fresh(1);
    for (name, what) in [("read", Denied::Read), ("move", Denied::Move), ("write", Denied::Write)] {
        let path = Path::new("/inbox").join(name);
        disk.place(&path, b"bytes");
        disk.deny(&path, what);
        match (spool.adopt(&path), what) {
            (Ok(id), Denied::Write) => assert_eq!(spool.partial_bytes(id), Some(5)),
            (Err(PartialError::Unreadable { path: named, source }), _) => {
                assert_eq!((named, source.kind()), (path.clone(), ErrorKind::PermissionDenied));
                assert!(disk.contents(&path).is_some(), "{name} stays");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    append(&mut spool, b"goes on");
    spool.sync().unwrap();
    // What may only be read is found again by the next start.
    drop(spool);
    disk.crash();
    disk.deny(Path::new("spool/partial/3-write"), Denied::Write);
    let (spool, _) = open(&disk);
    let names: Vec<_> = spool.adopted().map(|(_, name, _)| name.to_owned()).collect();
    assert_eq!(names, ["write"]);
}

#[test]
fn an_adopted_file_survives_until_it_is_sealed_and_durable() {
    let (disk, mut spool) = fresh(12);
    disk.place(Path::new("/inbox/a.tsfile"), b"the only copy");
    spool.adopt(Path::new("/inbox/a.tsfile")).unwrap();
    drop(spool);
    for round in 0..2 {
        disk.crash();
        let (mut spool, _) = open(&disk);
        let adopted: Vec<_> =
            spool.adopted().map(|(id, name, bytes)| (id, name.to_owned(), bytes)).collect();
        let (id, name, bytes) = adopted[0].clone();
        assert_eq!((adopted.len(), name.as_str(), bytes), (1, "a.tsfile", 13), "round {round}");
        let file = SealedFile {
            name: Some("a.tsfile"),
            partial: Some(id),
            bytes,
            hash: hash(b"the only copy"),
        };
        spool.seal(file_entry(&[file], Source::Own), ARRIVAL).unwrap();
        if round == 1 {
            spool.sync().unwrap();
        } else {
            // Moved, but without a durable entry.
            wipe_segments(&disk);
        }
    }
    disk.crash();
    let (spool, _) = open(&disk);
    assert_eq!(spool.adopted().count(), 0);
    let expected = (1, "a.tsfile".to_owned(), b"the only copy".to_vec());
    assert_eq!(read_files(&spool), [expected]);
}

fn wipe_segments(disk: &SimDisk) {
    for name in segments(disk) {
        disk.place(&Path::new("spool").join(name), &[0; SEGMENT]);
    }
}

#[test]
fn consumers_keep_their_place_and_what_all_have_passed_is_released() {
    let (disk, mut spool) = fresh(13);
    let fast = spool.create_consumer("fast", Start::Oldest).unwrap();
    let slow = spool.create_consumer("slow/\u{4e2d}", Start::Oldest).unwrap();
    for index in 0..60 {
        append(&mut spool, &[index; 900]);
    }
    seal(&mut spool, "x", b"bytes", Source::Own).unwrap();
    spool.sync().unwrap();
    assert!(matches!(spool.advance(fast, &at(63)), Err(Misuse::Position(_))));
    spool.advance(fast, &at(62)).unwrap();
    let mut cursor = at(20);
    assert!(cursor.finish(Sequence(25)));
    spool.advance(slow, &cursor).unwrap();
    assert!(matches!(spool.advance(slow, &at(19)), Err(Misuse::Position(_))));
    let now = beginning() + Duration::from_secs(1);
    spool.maintain(now).unwrap();
    let first = spool.stats().first_sequence.0;
    assert!((10..=20).contains(&first), "{first}");
    assert_eq!(spool.remaining(Sequence(20)).0, 42);
    drop(spool);
    disk.crash();

    let (mut spool, _) = open(&disk);
    assert_eq!(spool.consumers().count(), 2);
    let slow = spool.create_consumer("slow/\u{4e2d}", Start::Next).unwrap();
    assert_eq!(spool.cursor(slow), Some(&cursor));
    assert_eq!(read(&spool)[0].0, first);
    spool.advance(slow, &at(62)).unwrap();
    spool.maintain(now).unwrap();
    let closed = now + Duration::from_secs(120);
    spool.maintain(closed).unwrap();
    append(&mut spool, b"begins a segment");
    spool.sync().unwrap();
    spool.maintain(closed).unwrap();
    assert_eq!(read(&spool), [(62, b"begins a segment".to_vec())]);
    assert!(names_in(&disk, "spool/files").is_empty());
}

#[test]
fn without_a_consumer_nothing_is_released_until_it_is_said() {
    let (_disk, mut spool) = fresh(14);
    let only = spool.create_consumer("only", Start::Oldest).unwrap();
    for index in 0..60 {
        append(&mut spool, &[index; 900]);
    }
    spool.sync().unwrap();
    spool.drop_consumer(only).unwrap();
    let now = beginning() + Duration::from_secs(1);
    spool.maintain(now).unwrap();
    assert_eq!(read(&spool).len(), 60);
    spool.release_unclaimed().unwrap();
    assert!(read(&spool).len() < 9);
    assert_eq!(append(&mut spool, b"x"), Sequence(61));
}

#[test]
fn a_reader_that_is_left_behind_goes_on_with_what_there_is() {
    let (_disk, mut spool) = fresh(15);
    let mut reader = spool.reader(Sequence(1));
    let consumer = spool.create_consumer("one", Start::Oldest).unwrap();
    for index in 0..60 {
        append(&mut spool, &[index; 900]);
    }
    spool.sync().unwrap();
    spool.advance(consumer, &at(40)).unwrap();
    spool.maintain(beginning() + Duration::from_secs(1)).unwrap();
    let first = spool.stats().first_sequence.0;
    assert!(first > 1);
    assert_eq!(read_all(&mut reader)[0].0, first);
}

#[test]
fn a_segment_closes_by_age_only_if_something_is_in_it() {
    let (disk, mut spool) = fresh(16);
    append(&mut spool, b"x");
    spool.sync().unwrap();
    let path = Path::new("spool/00000000000000000001.seg");
    let now = beginning();
    let due = spool.maintain(now + Duration::from_secs(1)).unwrap();
    assert!(due <= now + Duration::from_secs(3));
    assert_eq!(disk.file_bytes(path).unwrap(), SEGMENT_BYTES);
    spool.maintain(now + Duration::from_secs(61)).unwrap();
    assert_eq!(disk.file_bytes(path).unwrap(), 64 + 168);
    assert_eq!(append(&mut spool, b"y"), Sequence(2));
    spool.sync().unwrap();
    assert_eq!(read(&spool).len(), 2);
}

#[test]
fn another_process_is_kept_out_but_may_look() {
    let (disk, mut spool) = fresh(17);
    append(&mut spool, b"x");
    spool.sync().unwrap();
    let second = Spool::open(disk.clone(), settings(), beginning(), 0);
    assert!(matches!(second, Err(crate::spool::SpoolError::Locked { .. })));
    let calls = disk.calls();
    let mut reader = Reader::open_read_only(disk.clone()).unwrap();
    assert_eq!(read_all(&mut reader), [(1, b"x".to_vec())]);
    assert_eq!((reader.oldest(), reader.synced()), (Sequence(1), Sequence(2)));
    assert_eq!(disk.calls().writes, calls.writes);
}

#[test]
fn an_orderly_end_is_told_from_a_crash_and_uptime_adds_up() {
    let (disk, mut spool) = fresh(18);
    append(&mut spool, b"x");
    spool.close(beginning() + Duration::from_secs(5)).unwrap();
    let (spool, recovery) = open(&disk);
    assert!(!recovery.crashed && !recovery.created);
    let uptime = spool.stats().uptime;
    assert!(uptime >= Duration::from_secs(5) && uptime < Duration::from_secs(60), "{uptime:?}");
    assert_eq!(spool.boot(), 2);
}

#[test]
fn a_reader_on_another_thread_sees_each_entry_once_while_segments_come_and_go() {
    const ENTRIES: u64 = 3000;
    let (_disk, mut spool) = fresh(19);
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    let mut reader = spool.reader(Sequence(1));
    let (done, positions) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut next = 1;
        while next <= ENTRIES {
            let Some(entry) = reader.next_entry().unwrap() else { continue };
            assert_eq!(entry.header.sequence.0, next);
            let mut payload = [0; 8];
            reader.read_payload(&entry, 0, &mut payload).unwrap();
            assert_eq!(payload, next.to_le_bytes());
            next += 1;
            done.send(next).unwrap();
        }
        reader.corrupt_entries()
    });
    for sequence in 1..=ENTRIES {
        let bytes =
            [&sequence.to_le_bytes()[..], &vec![7; usize::try_from(sequence % 700).unwrap()]]
                .concat();
        append(&mut spool, &bytes);
        if sequence % 3 == 0 {
            spool.sync().unwrap();
        }
        if let Some(position) = positions.try_iter().last() {
            spool.advance(consumer, &at(position)).unwrap();
            spool.maintain(beginning()).unwrap();
        }
    }
    spool.sync().unwrap();
    assert_eq!(thread.join().unwrap(), 0);
}

#[test]
fn a_reader_is_not_misled_by_what_a_crash_cut_off() {
    let (disk, mut spool) = fresh(11);
    append(&mut spool, b"1st.");
    spool.sync().unwrap();
    append(&mut spool, b"never durable");
    drop(spool);
    disk.kill();
    // It got to the medium, but for one bit.
    let path = Path::new("spool").join(&segments(&disk)[0]);
    disk.open(&path, OpenMode::Write).unwrap().sync_data().unwrap();
    let payload_at = (64 + 168) + 160;
    disk.flip(&path, payload_at * 8);
    let (mut spool, _) = open(&disk);
    let mut reader = spool.reader(Sequence(1));
    assert_eq!(read_all(&mut reader), [(1, b"1st.".to_vec())]);
    append(&mut spool, b"another one..");
    spool.sync().unwrap();
    assert_eq!(read_all(&mut reader), [(2, b"another one..".to_vec())]);
    assert_eq!(reader.corrupt_entries(), 0);
}

#[test]
fn what_a_running_node_releases_is_gone_for_those_who_only_look() {
    let (disk, mut spool) = fresh(23);
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    for index in 0..60 {
        append(&mut spool, &[index; 900]);
    }
    seal(&mut spool, "f", b"bytes", Source::Own).unwrap();
    spool.sync().unwrap();
    let mut reader = Reader::open_read_only(disk).unwrap();
    let first = reader.next_entry().unwrap().unwrap();
    assert!(!reader.is_gone(&first).unwrap());
    let position = spool.synced();
    spool.advance(consumer, &at(position.0)).unwrap();
    spool.maintain(beginning() + Duration::from_secs(1)).unwrap();
    let oldest = spool.stats().first_sequence.0;
    assert!(oldest > 20 && reader.is_gone(&first).unwrap());
    let mut another = reader.another();
    // What is open is read on.
    let rest = read_all(&mut reader);
    assert!(rest[0].0 == 2 && rest.iter().any(|(sequence, _)| *sequence == oldest), "{oldest}");
    assert_eq!(rest.last().unwrap().0, 61);
    another.seek(Sequence(10));
    assert_eq!(read_all(&mut another)[0].0, oldest);
}

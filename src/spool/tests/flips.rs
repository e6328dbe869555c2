//! One bit of the medium is wrong: it is seen, it costs one entry at most, and the node starts.

use super::*;
use crate::spool::{FileCheck, Start};

const ENTRIES: usize = 7;

/// Two closed segments and an open one, a file, a consumer; ended in order.
fn build() -> (SimDisk, Vec<(u64, Vec<u8>)>) {
    let (disk, mut spool) = fresh(1);
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    let mut now = beginning();
    for index in 0..ENTRIES - 1 {
        append(&mut spool, &vec![u8::try_from(index).unwrap(); 40 + index]);
        if index % 2 == 1 && index < 5 {
            now += Duration::from_secs(61);
            spool.maintain(now).unwrap();
        }
    }
    seal(&mut spool, "x", b"bytes of a file", Source::Own).unwrap();
    spool.sync().unwrap();
    spool.advance(consumer, &at(2)).unwrap();
    let entries = read(&spool);
    assert_eq!(entries.len(), ENTRIES);
    spool.close(now + Duration::from_secs(1)).unwrap();
    assert_eq!(segments(&disk).len(), 3);
    (disk, entries)
}

/// Bits that are worth flipping: all near bytes that mean something, and one here and there in long zeros.
fn bits(contents: &[u8]) -> Vec<u64> {
    let near = |at: usize| {
        let around = contents.get(at.saturating_sub(8)..contents.len().min(at + 8));
        around.unwrap_or_default().iter().any(|byte| *byte != 0)
    };
    let of_byte = |at: usize| {
        let first = at as u64 * 8;
        let count = if near(at) { 8 } else { u64::from(at.is_multiple_of(64)) };
        first..first + count
    };
    (0..contents.len()).flat_map(of_byte).collect()
}

fn check(disk: &SimDisk, entries: &[(u64, Vec<u8>)], what: &str) -> OriginId {
    let (mut spool, recovery) = open(disk);
    let found = read(&spool);
    assert!(found.iter().all(|entry| entries.contains(entry)), "{what}: a wrong entry was read");
    let missing = entries.len() - found.len();
    assert!(missing <= 1, "{what}: {missing} entries are missing");
    spool.maintain(beginning() + Duration::from_secs(1)).unwrap();
    let stats = spool.stats();
    assert_eq!(stats.corrupt_entries, missing as u64, "{what}: {recovery:?}");
    // With a file entry, the file is a thing of its own.
    assert!(stats.quarantine_things >= missing as u64, "{what}");
    assert!(missing > 0 || stats.quarantine_things == 0, "{what}");
    assert_eq!(spool.next_sequence(), Sequence(entries.len() as u64 + 1), "{what}");
    let (_, _, cursor) = spool.consumers().next().unwrap();
    assert!(cursor.position.0 <= 2, "{what}");
    stats.origin
}

/// A file with a wrong bit is seen by whoever reads it, and goes to quarantine without its entry.
fn check_file(disk: &SimDisk, what: &str) {
    let (mut spool, recovery) = open(disk);
    assert_eq!((recovery.corrupt_entries, spool.stats().quarantine_things), (0, 0), "{what}");
    let mut reader = spool.reader(Sequence(ENTRIES as u64));
    let entry = reader.next_entry().unwrap().unwrap();
    let mut payload = vec![0; entry.header.payload_bytes as usize];
    reader.read_payload(&entry, 0, &mut payload).unwrap();
    let list = FileList::parse(&payload).unwrap();
    let listed = list.files().next().unwrap();
    let file = reader.open_file(&entry, &list, 0).unwrap();
    let mut check = FileCheck::of(&listed);
    let mut rotten = Ok(());
    for offset in 0..listed.bytes {
        let mut byte = [0];
        assert_eq!(file.read_at(offset, &mut byte).unwrap(), 1, "{what}");
        assert_eq!(rotten, Ok(()), "{what}: before the end");
        rotten = check.update(&byte);
    }
    let why = rotten.unwrap_err().to_string();
    spool.quarantine_entry(Sequence(ENTRIES as u64), &why).unwrap();
    assert!(reader.open_file(&entry, &list, 0).is_err(), "{what}");
    drop(spool);
    disk.crash();
    let (spool, _) = open(disk);
    assert_eq!(read(&spool).len(), ENTRIES, "{what}");
    let stats = spool.stats();
    assert_eq!((stats.quarantine_things, stats.file_bytes), (1, 0), "{what}");
}

#[test]
fn a_flipped_bit_is_seen_and_costs_one_entry_at_most() {
    let (disk, entries) = build();
    let origin = open(&disk.fork()).0.origin();
    let mut flips = 0;
    for (path, _) in disk.files() {
        let contents = disk.contents(&path).unwrap();
        for bit in bits(&contents) {
            let disk = disk.fork();
            disk.flip(&path, bit);
            let what = format!("{} bit {bit}", path.display());
            if path.starts_with("spool/files") {
                check_file(&disk, &what);
            } else {
                assert_eq!(check(&disk, &entries, &what), origin, "{what}");
            }
            flips += 1;
        }
    }
    assert!(flips > 10_000, "{flips}");
}

#[test]
fn a_flaw_counts_once_however_often_it_is_met() {
    let (disk, entries) = build();
    disk.flip(&Path::new("spool").join(&segments(&disk)[0]), (64 + 160 + 3) * 8);
    for _ in 0..3 {
        check(&disk, &entries, "payload of the first entry");
        disk.crash();
    }
    let names = names_in(&disk, "quarantine");
    assert_eq!(names.len(), 2, "{names:?}");
    let why = disk.contents(&Path::new("quarantine").join(&names[1])).unwrap();
    assert!(String::from_utf8(why).unwrap().contains("first sequence: 1\nentries: 1\n"));
}

#[test]
fn a_file_whose_entry_is_flawed_goes_to_quarantine() {
    let (disk, entries) = build();
    let last = segments(&disk).pop().unwrap();
    let path = Path::new("spool").join(last);
    let contents = disk.contents(&path).unwrap();
    let end = contents.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    disk.flip(&path, end * 8);
    check(&disk, &entries, "the file entry");
    assert!(names_in(&disk, "spool/files").is_empty());
    let kept = names_in(&disk, "quarantine");
    let file =
        kept.iter().find(|name| name.contains("-00000000000000000007-0") && !name.contains("why"));
    let bytes = disk.contents(&Path::new("quarantine").join(file.unwrap())).unwrap();
    assert_eq!(bytes, b"bytes of a file");
}

#[test]
fn a_lost_tail_never_gives_its_sequences_again() {
    let (disk, mut spool) = fresh(2);
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    for index in 0..5 {
        append(&mut spool, &[index; 50]);
    }
    spool.sync().unwrap();
    spool.advance(consumer, &at(6)).unwrap();
    spool.maintain(beginning() + Duration::from_secs(1)).unwrap();
    drop(spool);
    disk.crash();
    // A medium that lied: the end of the log is gone although it was synced, and read.
    let path = Path::new("spool").join(&segments(&disk)[0]);
    let mut contents = disk.contents(&path).unwrap();
    contents[64 + 3 * 216..].fill(0);
    disk.place(&path, &contents);
    let (mut spool, recovery) = open(&disk);
    assert_eq!(recovery.corrupt_entries, 2);
    assert_eq!(append(&mut spool, b"next"), Sequence(6));
    spool.sync().unwrap();
    let sequences: Vec<u64> = read(&spool).into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 6]);
    drop(spool);
    disk.crash();
    let (spool, recovery) = open(&disk);
    assert_eq!((recovery.corrupt_entries, spool.stats().corrupt_entries), (0, 2));
}

#[test]
fn what_somebody_else_has_written_down_is_not_given_again() {
    let (disk, mut spool) = fresh(2);
    let origin = spool.origin();
    append(&mut spool, b"one");
    spool.sync().unwrap();
    drop(spool);
    disk.crash();
    let open = |disk: &SimDisk, origin, below| {
        let settings = Settings { proved: Some((origin, Sequence(below))), ..settings() };
        Spool::open(disk.clone(), settings, beginning(), ARRIVAL.wall_ms).unwrap().0
    };
    let mut other = open(&disk.fork(), OriginId([9; 16]), 7);
    assert_eq!(append(&mut other, b"two"), Sequence(2), "another node's ledger says nothing");
    for below in [1000, u64::MAX] {
        let mut spool = open(&disk.fork(), origin, below);
        assert_eq!(append(&mut spool, b"two"), Sequence(2), "no segment holds so many entries");
        assert_eq!(spool.stats().corrupt_entries, 0);
    }
    let mut spool = open(&disk, origin, 7);
    assert_eq!(spool.stats().corrupt_entries, 5);
    assert_eq!(append(&mut spool, b"two"), Sequence(7));
    spool.sync().unwrap();
    assert_eq!(read(&spool), [(1, b"one".to_vec()), (7, b"two".to_vec())]);
}

#[test]
fn a_version_of_the_future_is_left_alone() {
    let (disk, _) = build();
    let path = Path::new("spool").join(&segments(&disk)[2]);
    let mut contents = disk.contents(&path).unwrap();
    contents[8] = 2;
    let crc = crc32fast::hash(&contents[..60]).to_le_bytes();
    contents[60..64].copy_from_slice(&crc);
    disk.place(&path, &contents);
    let refused = Spool::open(disk.clone(), settings(), beginning(), 0);
    let Err(crate::spool::SpoolError::Version { found: 2, known: 1, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(disk.contents(&path).unwrap(), contents);
}

//! Places of the log that the disk does not give back.

use super::*;

/// Bytes of an entry: its header, and what it holds.
const ENTRY: u64 = 160 + PAYLOAD as u64;
const PAYLOAD: usize = 1000;
const BLOCK: u64 = 4096;

/// A spool of 40 entries, the path of its first segment, and how many entries lie there.
fn filled() -> (SimDisk, Spool<SimDisk>, std::path::PathBuf, u64) {
    let (disk, mut spool) = fresh(3);
    for index in 0..40 {
        append(&mut spool, &[index; PAYLOAD]);
    }
    spool.sync().unwrap();
    let names = segments(&disk);
    let second = names[1].split('.').next().unwrap().parse::<u64>().unwrap();
    let first = Path::new("spool").join(&names[0]);
    (disk, spool, first, second - 1)
}

/// Where an entry of the first segment begins.
fn begin(sequence: u64) -> u64 {
    64 + (sequence - 1) * ENTRY
}

/// Reads everything, and tries as landing does where that fails. Returns what was read, and how often it failed.
fn read_patiently(reader: &mut Reader<SimDisk>) -> (Vec<u64>, u32) {
    let (mut all, mut failed) = (Vec::new(), 0);
    loop {
        match reader.next_entry() {
            Ok(None) => return (all, failed),
            Ok(Some(entry)) => all.push(entry.header.sequence.0),
            Err(_) => {
                failed += 1;
                assert!(failed < 100, "it goes on for ever");
                if failed % 3 == 0 {
                    reader.forgive();
                }
            }
        }
    }
}

#[test]
fn a_header_or_payload_that_cannot_be_read_is_stepped_over_and_nothing_else() {
    for at in [begin(3), begin(3) + 200] {
        let (disk, mut spool, path, _) = filled();
        disk.spoil(&path, at..at + 512);
        let (all, failed) = read_patiently(&mut spool.reader(Sequence(1)));
        // What lies in the same block is lost with it: the rest of that block begins with entry 4's header.
        assert!(begin(4) < BLOCK && begin(5) > BLOCK);
        let rest: Vec<u64> = [1, 2].into_iter().chain(5..=40).collect();
        assert_eq!((all, failed), (rest, 3), "{at}");
        spool.maintain(beginning()).unwrap();
        let kept = names_in(&disk, "quarantine");
        let why = kept.iter().find(|name| name.contains(".why")).expect("it is told");
        let why = disk.contents(&Path::new("quarantine").join(why)).unwrap();
        let why = String::from_utf8(why).unwrap();
        assert!(why.contains("first sequence: 3\nentries: 2\nthe disk did not give"), "{why}");
        assert_eq!(spool.stats().corrupt_entries, 2);
        // Whoever comes to what lies behind is not held up; whoever wants it is.
        let mut behind = spool.reader(Sequence(5));
        assert_eq!(behind.next_entry().unwrap().unwrap().header.sequence, Sequence(5));
        let wanted = if at == begin(3) { 3..=4 } else { 3..=3 };
        for position in wanted {
            spool.reader(Sequence(position)).next_entry().unwrap_err();
        }
        // It was a loose plug: everything is there again.
        disk.mend();
        assert_eq!(read(&spool).len(), 40);
    }
}

#[test]
fn a_bad_place_costs_nothing_that_lies_before_it() {
    let (disk, spool, path, _) = filled();
    let mut reader = spool.reader(Sequence(1));
    // The first reading takes more into memory than it wants.
    disk.spoil(&path, begin(3)..begin(3) + 1);
    for sequence in [1, 2] {
        assert_eq!(reader.next_entry().unwrap().unwrap().header.sequence, Sequence(sequence));
    }
    reader.next_entry().unwrap_err();
}

#[test]
fn the_end_of_a_segment_and_a_whole_one_are_stepped_over_as_long_as_the_disk_gives_anything() {
    let (disk, spool, path, entries) = filled();
    disk.spoil(&path, begin(entries)..u64::MAX);
    let (all, _) = read_patiently(&mut spool.reader(Sequence(1)));
    let rest: Vec<u64> = (1..=40).filter(|sequence| *sequence != entries).collect();
    assert_eq!(all, rest);
    disk.spoil(&path, 0..u64::MAX);
    let mut reader = spool.reader(Sequence(1));
    assert_eq!(read_patiently(&mut reader).0, (entries + 1..=40).collect::<Vec<_>>());
    assert_eq!(reader.corrupt_entries(), entries);
    for name in segments(&disk) {
        disk.spoil(&Path::new("spool").join(name), 0..u64::MAX);
    }
    let mut reader = spool.reader(Sequence(1));
    for _ in 0..10 {
        reader.forgive();
        reader.next_entry().unwrap_err();
    }
    disk.mend();
    assert_eq!(read_all(&mut reader).len(), 40, "nothing was stepped over while the disk was away");
}

#[test]
fn a_start_goes_over_a_bad_place_of_the_last_segment_and_leaves_it_to_readers() {
    let (disk, mut spool) = fresh(3);
    for index in 1..=6 {
        append(&mut spool, &[index; PAYLOAD]);
    }
    spool.sync().unwrap();
    let path = Path::new("spool").join(&segments(&disk)[0]);
    disk.spoil(&path, begin(2)..begin(2) + 1);
    disk.crash();
    let (mut spool, recovery) = open(&disk);
    assert_eq!((recovery.cut_bytes, recovery.corrupt_entries), (0, 0), "it may come back");
    assert_eq!(append(&mut spool, b"next"), Sequence(7));
    spool.sync().unwrap();
    let (all, _) = read_patiently(&mut spool.reader(Sequence(1)));
    assert_eq!(all.first(), Some(&1));
    assert_eq!(all.last(), Some(&7));
    spool.maintain(beginning()).unwrap();
    assert_eq!(spool.stats().corrupt_entries, 7 - all.len() as u64, "told");
    disk.mend();
    assert_eq!(read(&spool).len(), 7);
}

#[test]
fn a_start_does_not_cut_an_end_that_the_disk_does_not_give_back() {
    let (disk, mut spool) = fresh(3);
    for index in 1..=6 {
        append(&mut spool, &[index; PAYLOAD]);
    }
    spool.sync().unwrap();
    let path = Path::new("spool").join(&segments(&disk)[0]);
    disk.spoil(&path, begin(5)..u64::MAX);
    disk.crash();
    let start = |at| Spool::open(disk.clone(), settings(), beginning(), at);
    for at in 1..=3 {
        let Err(crate::spool::SpoolError::Disk(fatal)) = start(at) else { panic!("it is cut") };
        Spool::record_fatal(&disk, &fatal, at);
    }
    // Whoever looks is shown what there is.
    let (spool, recovery) = start(4).unwrap();
    assert!(recovery.failing.is_some() && spool.stats().failing);
    drop(spool);
    disk.mend();
    let (spool, _) = start(ARRIVAL.wall_ms + 1_000_000).unwrap();
    assert_eq!(read(&spool).len(), 6);
}

#[test]
fn a_read_of_a_start_that_fails_once_hides_nothing_from_deduplication() {
    let (disk, mut spool) = fresh(3);
    for index in 1..=6 {
        spool.append(opaque(&[1; PAYLOAD], peer(index)), ARRIVAL).unwrap();
    }
    spool.sync().unwrap();
    drop(spool);
    disk.crash();
    let whole = disk.fork();
    let calls = whole.calls().all;
    drop(open(&whole));
    let mut started = 0;
    for call in 0..whole.calls().all - calls {
        let disk = disk.fork();
        disk.schedule(call, crate::spool::Fault::Io, false);
        let opened = Spool::open(disk.clone(), settings(), beginning(), ARRIVAL.wall_ms);
        disk.heal();
        let Ok((mut spool, recovery)) = opened else { continue };
        started += 1;
        assert_eq!((recovery.cut_bytes, recovery.corrupt_entries), (0, 0), "{call}");
        for index in 1..=6 {
            let again = spool.append(opaque(&[1; PAYLOAD], peer(index)), ARRIVAL).unwrap();
            assert!(matches!(again, Outcome::Duplicate(_)), "{call}: {index} is taken twice");
        }
    }
    assert!(started > 0, "a read that fails once ends no start");
}

//! Quota, release, retention, quarantine: what happens when there is no room.

use super::*;
use crate::spool::{PartialError, Start, WhenFull};

fn open_with(disk: &SimDisk, settings: Settings) -> Spool<SimDisk> {
    Spool::open(disk.clone(), settings, beginning(), ARRIVAL.wall_ms).unwrap().0
}

/// Appends until there is no room; returns how many were taken.
fn fill(spool: &mut Spool<SimDisk>) -> u64 {
    for count in 0.. {
        match spool.append(opaque(&[7; 1000], Source::Own), ARRIVAL) {
            Ok(_) => {}
            Err(AppendError::Full(full)) => {
                assert_eq!(full.needed, SEGMENT_BYTES);
                assert!(full.available < full.needed);
                spool.sync().unwrap();
                return count;
            }
            Err(error) => panic!("{error}"),
        }
    }
    0
}

#[test]
fn a_full_spool_takes_again_what_consumers_have_let_go() {
    let disk = SimDisk::new(1, DISK_BYTES);
    let mut spool = open_with(&disk, Settings { max_bytes: 10 * SEGMENT_BYTES, ..settings() });
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    let count = fill(&mut spool);
    assert!((60..=70).contains(&count), "{count}");
    assert!(spool.stats().full);
    spool.advance(consumer, &at(30)).unwrap();
    assert!(fill(&mut spool) > 20);
    let stats = spool.stats();
    assert!(stats.segment_bytes <= 10 * SEGMENT_BYTES, "{stats:?}");
    assert_eq!(stats.dropped_entries, 0);
}

#[test]
fn a_full_file_system_is_no_failure() {
    let disk = SimDisk::new(2, 12 * SEGMENT_BYTES);
    let mut spool = open_with(&disk, Settings { reserve_bytes: SEGMENT_BYTES, ..settings() });
    let count = fill(&mut spool);
    assert!(count > 20, "{count}");
    disk.set_capacity(100 * SEGMENT_BYTES);
    assert_eq!(append(&mut spool, b"x"), Sequence(count + 1));
    spool.sync().unwrap();
    assert_eq!(read(&spool).len() as u64, count + 1);
}

#[test]
fn dropping_the_oldest_is_counted_and_listed_and_moves_consumers_on() {
    let disk = SimDisk::new(3, DISK_BYTES);
    let wish =
        Settings { max_bytes: 10 * SEGMENT_BYTES, when_full: WhenFull::DropOldest, ..settings() };
    let mut spool = open_with(&disk, wish.clone());
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    for _ in 0..200 {
        spool.append(opaque(&[7; 1000], Source::Own), ARRIVAL).unwrap();
    }
    spool.sync().unwrap();
    let stats = spool.stats();
    assert_eq!(stats.dropped_entries + 1, stats.first_sequence.0);
    assert!(stats.dropped_entries > 100 && stats.dropped_bytes > 100_000);
    assert_eq!(spool.cursor(consumer).unwrap().position, stats.first_sequence);
    let list = String::from_utf8(disk.contents(Path::new("spool/dropped")).unwrap()).unwrap();
    let listed: u64 = list
        .lines()
        .map(|line| line.split("entries=").nth(1).unwrap().split(' ').next().unwrap())
        .map(|count| count.parse::<u64>().unwrap())
        .sum();
    assert_eq!(listed, stats.dropped_entries);
    // It was busy with what is gone, and says so only now.
    spool.advance(consumer, &at(2)).unwrap();
    assert_eq!(spool.cursor(consumer).unwrap().position, stats.first_sequence);
    drop(spool);
    disk.crash();
    assert_eq!(open_with(&disk, wish).stats().dropped_entries, stats.dropped_entries);
}

#[test]
fn nothing_is_dropped_for_what_is_made_of_entries_for_a_while() {
    let disk = SimDisk::new(3, DISK_BYTES);
    let when_full = WhenFull::DropOldest;
    let wish = Settings { max_bytes: 10 * SEGMENT_BYTES, when_full, ..settings() };
    let mut spool = open_with(&disk, wish);
    spool.create_consumer("c", Start::Oldest).unwrap();
    append(&mut spool, &[7; 1000]);
    spool.grow_made(10 * SEGMENT_BYTES).unwrap();
    for _ in 0..20 {
        append(&mut spool, &[7; 1000]);
    }
    assert_eq!(spool.stats().dropped_entries, 0);
    spool.shrink_made(10 * SEGMENT_BYTES);
}

#[test]
fn partials_leave_room_for_the_log() {
    let disk = SimDisk::new(4, DISK_BYTES);
    let mut spool = open_with(&disk, Settings { max_bytes: 4 * SEGMENT_BYTES, ..settings() });
    let id = spool.create_partial().unwrap();
    let mut bytes = 0;
    let full = loop {
        match spool.write_partial(id, bytes, &[1; 1000]) {
            Ok(()) => bytes += 1000,
            Err(PartialError::Full(full)) => break full,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(full.limit, 3 * SEGMENT_BYTES);
    assert_eq!(spool.partial_bytes(id), Some(bytes));
    assert!(spool.room_for(4 * SEGMENT_BYTES).is_err_and(|full| full.needed > full.limit));
    let file = SealedFile { name: Some("x"), partial: Some(id), bytes, hash: [0; 32] };
    spool.seal(file_entry(&[file], Source::Own), ARRIVAL).unwrap();
    let consumer = spool.create_consumer("c", Start::Next).unwrap();
    assert_eq!(spool.stats().file_bytes, bytes);
    spool.maintain(beginning() + Duration::from_secs(61)).unwrap();
    append(&mut spool, b"y");
    spool.sync().unwrap();
    spool.advance(consumer, &at(2)).unwrap();
    spool.maintain(beginning() + Duration::from_secs(62)).unwrap();
    assert_eq!(spool.stats().file_bytes, 0);
    assert!(spool.room_for(2 * SEGMENT_BYTES).is_ok());
}

#[test]
fn retained_segments_are_given_up_before_anything_waits() {
    let disk = SimDisk::new(5, DISK_BYTES);
    let wish =
        Settings { max_bytes: 10 * SEGMENT_BYTES, retain_bytes: 6 * SEGMENT_BYTES, ..settings() };
    let mut spool = open_with(&disk, wish);
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    for count in 1..=300 {
        append(&mut spool, &[7; 1000]);
        let synced = spool.sync().unwrap();
        spool.advance(consumer, &at(synced.0)).unwrap();
        spool.maintain(beginning() + Duration::from_millis(count)).unwrap();
    }
    let stats = spool.stats();
    let kept = stats.next_sequence.0 - stats.first_sequence.0;
    assert!((36..=56).contains(&kept), "{stats:?}");
    assert_eq!((stats.released_below.0, stats.retained_given_up), (301, 0));
    let id = spool.create_partial().unwrap();
    spool.write_partial(id, 0, &vec![1; 5 * SEGMENT]).unwrap();
    assert!(spool.stats().retained_given_up > 0);
}

#[test]
fn retention_by_time_counts_uptime_of_the_node() {
    let disk = SimDisk::new(6, DISK_BYTES);
    let wish = Settings { retain: Duration::from_secs(3600), ..settings() };
    let mut now = beginning();
    let mut spool = open_with(&disk, wish.clone());
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    append(&mut spool, b"x");
    spool.sync().unwrap();
    now += Duration::from_secs(100);
    spool.maintain(now).unwrap();
    append(&mut spool, b"y");
    spool.sync().unwrap();
    spool.advance(consumer, &at(3)).unwrap();
    spool.close(now).unwrap();
    // However long the node is off, nothing ages.
    let mut now = beginning();
    let mut spool = open_with(&disk, wish);
    spool.maintain(now).unwrap();
    assert_eq!(spool.stats().first_sequence, Sequence(1));
    now += Duration::from_secs(3500);
    spool.maintain(now).unwrap();
    assert_eq!(spool.stats().first_sequence, Sequence(1));
    now += Duration::from_secs(200);
    spool.maintain(now).unwrap();
    assert_eq!(spool.stats().first_sequence, Sequence(2));
}

#[test]
fn names_that_people_put_into_quarantine_are_no_numbers_of_ours() {
    let (disk, spool) = fresh(1);
    drop(spool);
    for name in ["18446744073709551615", "18446744073709551614-x", "000041-y.tsfile", "notes.txt"] {
        disk.place(&Path::new("quarantine").join(name), b"theirs");
    }
    let (mut spool, _) = open(&disk);
    spool.quarantine_bytes(&[b"ours"], "cannot be").unwrap();
    assert_eq!(disk.contents(Path::new("quarantine/000042")).unwrap(), b"ours");
    let theirs = disk.contents(Path::new("quarantine/18446744073709551615")).unwrap();
    assert_eq!(theirs, b"theirs");
}

#[test]
fn a_file_of_the_spool_in_quarantine_keeps_nothing_out_that_comes_from_outside() {
    let wish = Settings { quarantine_max_bytes: 1000, ..settings() };
    let (disk, _) = fresh(2);
    let start = || Spool::open(disk.clone(), wish.clone(), beginning(), 0).unwrap().0;
    let mut spool = start();
    let sealed = seal(&mut spool, "large", &[1; 3000], Source::Own).unwrap();
    let Outcome::Appended(sequence) = sealed else { panic!("{sealed:?}") };
    spool.sync().unwrap();
    spool.quarantine_entry(sequence, "larger than what may be landed").unwrap();
    for kept in 1..=3 {
        assert!(spool.stats().quarantine_bytes > 3000, "it is shown");
        spool.quarantine_bytes(&[&[1; 100]], "flawed").unwrap();
        assert_eq!(spool.stats().quarantine_things, 1 + kept);
        spool.recount_quarantine().unwrap();
        spool.close(beginning()).unwrap();
        spool = start();
    }
    let full = spool.quarantine_bytes(&[&[1; 700]], "flawed");
    assert!(matches!(full, Err(PartialError::Full(_))), "the limit is for these: {full:?}");
}

#[test]
fn quarantine_is_durable_bounded_and_says_why() {
    let disk = SimDisk::new(7, DISK_BYTES);
    let wish = Settings { quarantine_max_bytes: 100, ..settings() };
    let mut spool = open_with(&disk, wish.clone());
    spool.quarantine_bytes(&[b"abc", b"def"], "cannot be").unwrap();
    disk.place(Path::new("/inbox/bad.tsfile"), &[1; 30]);
    let id = spool.adopt(Path::new("/inbox/bad.tsfile")).unwrap();
    spool.quarantine_partial(id, "no magic").unwrap();
    let id = spool.create_partial().unwrap();
    spool.write_partial(id, 0, &[2; 60]).unwrap();
    assert!(matches!(spool.quarantine_partial(id, "x"), Err(PartialError::Full(_))));
    assert_eq!(spool.partial_bytes(id), Some(60));
    drop(spool);
    disk.crash();
    let spool = open_with(&disk, wish);
    let stats = spool.stats();
    assert_eq!((stats.quarantine_things, stats.quarantine_bytes), (2, 6 + 9 + 30 + 8));
    let kept = |name: &str| disk.contents(&Path::new("quarantine").join(name)).unwrap();
    assert_eq!(kept("000001"), b"abcdef");
    assert_eq!(kept("000001.why"), b"cannot be");
    assert_eq!(kept("000002-bad.tsfile"), [1; 30]);
    assert_eq!(kept("000002.why"), b"no magic");
}

#[test]
fn bytes_written_stay_near_bytes_accepted() {
    let disk = SimDisk::new(8, 1 << 30);
    let mib = 1024 * 1024;
    let mut spool =
        open_with(&disk, Settings { segment_bytes: 16 * mib, max_bytes: 1 << 30, ..settings() });
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    let before = disk.calls();
    let payload = vec![9; 100 * 1024];
    for count in 1..=400 {
        append(&mut spool, &payload);
        let synced = spool.sync().unwrap();
        spool.advance(consumer, &at(synced.0)).unwrap();
        // 100 entries a second: 10 MB/s.
        spool.maintain(beginning() + Duration::from_millis(count * 10)).unwrap();
    }
    let after = disk.calls();
    // Each write may touch one page more than its bytes fill.
    let written =
        after.written_bytes - before.written_bytes + 4096 * (after.writes - before.writes);
    let accepted = 400 * 100 * 1024;
    assert!(written * 10 <= accepted * 12, "{written} for {accepted}");
}

/// Files of a third of the quota each, all in the segment that is open, are let go when their room is needed. `read`
/// tells how far the consumer comes after each file.
fn take_large_files(when_full: WhenFull, reads: bool) -> (SimDisk, Settings, Spool<SimDisk>) {
    let disk = SimDisk::new(9, DISK_BYTES);
    let quota = 32 * SEGMENT_BYTES;
    let wish = Settings { max_bytes: quota, when_full, ..settings() };
    let mut spool = open_with(&disk, wish.clone());
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    let bytes = vec![5; 10 * SEGMENT];
    for count in 0..12 {
        if reads {
            let synced = spool.sync().unwrap();
            spool.advance(consumer, &at(synced.0)).unwrap();
            spool.maintain(beginning() + Duration::from_millis(count)).unwrap();
        }
        spool.room_for(10 * SEGMENT_BYTES).unwrap();
        seal(&mut spool, "f", &bytes, Source::Own).unwrap();
        let stats = spool.stats();
        assert!(stats.segment_bytes + stats.file_bytes <= quota, "{stats:?}");
    }
    spool.sync().unwrap();
    (disk, wish, spool)
}

#[test]
fn released_files_of_the_last_segment_make_room_for_the_next() {
    let (disk, wish, mut spool) = take_large_files(WhenFull::Block, true);
    assert_eq!(spool.stats().dropped_entries, 0);
    let files: Vec<_> = read_files(&spool).into_iter().map(|(sequence, ..)| sequence).collect();
    assert_eq!(files.last(), Some(&12));
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    spool.advance(consumer, &at(13)).unwrap();
    spool.maintain(beginning() + Duration::from_secs(1)).unwrap();
    let stats = spool.stats();
    assert_eq!((stats.file_bytes, stats.first_sequence), (0, Sequence(13)), "{stats:?}");
    assert!(names_in(&disk, "spool/files").is_empty());
    // What is left names the next sequence, crash after crash.
    drop(spool);
    for _ in 0..3 {
        disk.crash();
        let spool = open_with(&disk, wish.clone());
        assert_eq!(spool.next_sequence(), Sequence(13));
    }
    let mut spool = open_with(&disk, wish);
    assert_eq!(append(&mut spool, b"x"), Sequence(13));
    spool.sync().unwrap();
    assert_eq!(read(&spool), [(13, b"x".to_vec())]);
}

#[test]
fn files_of_the_last_segment_wait_for_their_consumer() {
    let disk = SimDisk::new(10, DISK_BYTES);
    let mut spool = open_with(&disk, Settings { max_bytes: 32 * SEGMENT_BYTES, ..settings() });
    spool.create_consumer("c", Start::Oldest).unwrap();
    let bytes = vec![5; 20 * SEGMENT];
    seal(&mut spool, "f", &bytes, Source::Own).unwrap();
    spool.sync().unwrap();
    assert!(spool.room_for(20 * SEGMENT_BYTES).is_err());
    let refused = seal(&mut spool, "g", &bytes, Source::Own);
    assert!(matches!(refused, Err(AppendError::Full(_))), "{refused:?}");
    spool.release_unclaimed().unwrap();
    assert_eq!(read_files(&spool).len(), 1);
}

#[test]
fn unread_files_of_the_last_segment_are_dropped_if_the_operator_wrote_so() {
    let (disk, wish, mut spool) = take_large_files(WhenFull::DropOldest, false);
    let stats = spool.stats();
    assert!(stats.dropped_entries >= 8, "{stats:?}");
    assert_eq!(stats.dropped_entries + 1, stats.first_sequence.0);
    assert_eq!(read_files(&spool).last().unwrap().0, 12);
    let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
    assert_eq!(spool.cursor(consumer).unwrap().position, stats.first_sequence);
    drop(spool);
    disk.crash();
    let spool = open_with(&disk, wish);
    assert_eq!(
        (spool.next_sequence(), spool.stats().dropped_entries),
        (Sequence(13), stats.dropped_entries)
    );
}

#[test]
fn a_spool_without_consumers_gives_everything_up_when_asked() {
    let (disk, mut spool) = fresh(11);
    seal(&mut spool, "f", &vec![5; 3 * SEGMENT], Source::Own).unwrap();
    append(&mut spool, b"x");
    spool.release_unclaimed().unwrap();
    let stats = spool.stats();
    assert_eq!((stats.first_sequence, stats.next_sequence), (Sequence(3), Sequence(3)));
    assert_eq!(stats.file_bytes, 0);
    // The name of the empty segment is all that is left, even if beginning it anew finds no room.
    for call in 0..4 {
        disk.schedule(call, crate::spool::Fault::NoSpace, false);
        let _full_or_taken = spool.append(opaque(b"y", Source::Own), ARRIVAL);
        disk.heal();
    }
    drop(spool);
    disk.crash();
    assert!(open(&disk).0.next_sequence() >= Sequence(3));
}

#[test]
fn a_reader_that_met_the_empty_segment_reads_what_begins_it() {
    let (_, mut spool) = fresh(13);
    let mut reader = spool.reader(Sequence(1));
    append(&mut spool, b"x");
    spool.release_unclaimed().unwrap();
    assert!(reader.next_entry().unwrap().is_none());
    // It is begun anew, with another id.
    append(&mut spool, b"y");
    spool.sync().unwrap();
    assert_eq!(read_all(&mut reader), [(2, b"y".to_vec())]);
    assert_eq!(reader.corrupt_entries(), 0);
}

#[test]
fn an_entry_that_a_crash_took_is_no_repetition_whatever_was_refused_before() {
    let mut behind = 0;
    for refused in 0..24 {
        let disk = SimDisk::new(12, DISK_BYTES);
        let when_full = WhenFull::DropOldest;
        let wish = Settings { max_bytes: 10 * SEGMENT_BYTES, when_full, ..settings() };
        let mut spool = open_with(&disk, wish.clone());
        while spool.stats().segments < 4 || spool.log.fits(2000) {
            append(&mut spool, &[7; 1000]);
        }
        spool.sync().unwrap();
        // The snapshot at the end of the segment finds no room.
        disk.schedule(refused, crate::spool::Fault::NoSpace, false);
        let _full = spool.append(opaque(&[7; 2000], Source::Own), ARRIVAL);
        disk.heal();
        behind += u32::from(spool.snapshots.through() + 1 < spool.log.synced);
        let link = LinkId::new(spool.boot(), 1);
        let sources = [peer(5), stock(1, link, 0)];
        for source in sources {
            spool.append(opaque(b"x", source), ARRIVAL).unwrap();
        }
        // Another file needs the room of the oldest segment.
        let partial = spool.create_partial().unwrap();
        spool.write_partial(partial, 0, &vec![1; 7 * SEGMENT + 4096]).unwrap();
        assert!(spool.stats().segments <= 2, "{refused}");
        drop(spool);
        disk.crash();
        let mut spool = open_with(&disk, wish);
        for source in sources {
            spool.append(opaque(b"x", source), ARRIVAL).unwrap();
        }
        spool.sync().unwrap();
        let taken = read(&spool).iter().filter(|(_, payload)| payload == b"x").count();
        assert!(taken >= 2, "{refused}: {taken}");
    }
    assert!(behind > 0, "no snapshot was refused");
}

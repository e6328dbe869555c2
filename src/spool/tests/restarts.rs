//! One end after the other: the process is killed, a start fails half-way, and then the power goes.

use super::*;
use crate::spool::{DiskFile, Fault, OpenMode};

/// Bytes of a segment's header, and of an entry with a payload of [`PAYLOAD`].
const HEADER_BYTES: u64 = 64;
const ENTRY_BYTES: u64 = 160 + PAYLOAD as u64;
const PAYLOAD: usize = 304;
/// What a crash leaves is a matter of chance: so many try.
const SEEDS: u64 = 32;

fn first_segment(disk: &SimDisk) -> std::path::PathBuf {
    Path::new("spool").join(&segments(disk)[0])
}

/// Five entries that nobody was promised; all of them got to the medium but for the second and the fourth.
fn torn_twice(seed: u64) -> SimDisk {
    let (disk, mut spool) = fresh(seed);
    for index in 1..=5 {
        append(&mut spool, &[index; PAYLOAD]);
    }
    drop(spool);
    disk.kill();
    let path = first_segment(&disk);
    disk.open(&path, OpenMode::Write).unwrap().sync_data().unwrap();
    for index in [1, 3] {
        disk.flip(&path, 8 * (HEADER_BYTES + index * ENTRY_BYTES + ENTRY_BYTES / 2));
    }
    disk
}

#[test]
fn a_crash_within_a_repair_makes_no_flaws() {
    let calls = {
        let disk = torn_twice(0);
        let before = disk.calls().all;
        drop(open(&disk));
        disk.calls().all - before
    };
    for seed in 0..SEEDS {
        for call in 0..calls {
            let disk = torn_twice(seed);
            disk.schedule(call, Fault::Io, true);
            let opened = Spool::open(disk.clone(), settings(), beginning(), ARRIVAL.wall_ms);
            assert!(opened.is_err(), "seed {seed} call {call}: its failure was not told");
            disk.heal();
            disk.crash();
            let (spool, recovery) = open(&disk);
            assert_eq!(recovery.corrupt_entries, 0, "seed {seed} call {call}: {recovery:?}");
            let left: Vec<_> = read(&spool).into_iter().map(|(sequence, _)| sequence).collect();
            assert_eq!(left, [1, 3, 5], "seed {seed} call {call}");
        }
    }
}

#[test]
fn what_a_start_found_after_a_kill_outlives_a_crash() {
    for seed in 0..SEEDS {
        let (disk, mut spool) = fresh(seed);
        spool.append(opaque(b"taken", peer(1)), ARRIVAL).unwrap();
        drop(spool);
        disk.kill();
        let (mut spool, _) = open(&disk);
        // Its answer was lost: the peer repeats it, and is told that it is there.
        let again = spool.append(opaque(b"taken", peer(1)), ARRIVAL).unwrap();
        assert!(matches!(again, Outcome::Duplicate(sequence) if sequence < spool.sync().unwrap()));
        drop(spool);
        disk.crash();
        assert_eq!(read(&open(&disk).0), [(1, b"taken".to_vec())], "seed {seed}");
    }
}

#[test]
fn what_a_failed_sync_lost_is_not_found_in_memory() {
    for seed in 0..SEEDS {
        let (disk, mut spool) = fresh(seed);
        append(&mut spool, b"synced");
        spool.sync().unwrap();
        append(&mut spool, b"not synced");
        disk.schedule(0, Fault::Io, false);
        assert!(spool.sync().is_err());
        drop(spool);
        disk.kill();
        let (spool, _) = open(&disk);
        let found = read(&spool);
        assert_eq!(found[0], (1, b"synced".to_vec()));
        drop(spool);
        disk.crash();
        assert_eq!(read(&open(&disk).0), found, "seed {seed}");
    }
}

#[test]
fn a_record_that_was_replaced_and_not_synced_is_not_the_only_one() {
    use crate::spool::Start;
    for seed in 0..SEEDS {
        let (disk, mut spool) = fresh(seed);
        let consumer = spool.create_consumer("c", Start::Oldest).unwrap();
        for round in 1..4 {
            append(&mut spool, b"x");
            spool.sync().unwrap();
            spool.advance(consumer, &at(round)).unwrap();
            // Written, and killed before it is synced; then, in the other slot, torn by a crash.
            disk.schedule(u64::from(round > 1), Fault::Io, true);
            let _either_way = spool.maintain(beginning() + Duration::from_secs(round)).is_err();
            disk.heal();
            if round == 3 {
                break;
            }
            drop(spool);
            disk.kill();
            spool = open(&disk).0;
        }
        drop(spool);
        disk.crash();
        let (spool, recovery) = open(&disk);
        assert_eq!((recovery.cursors_lost, spool.consumers().count()), (0, 1), "seed {seed}");
    }
}

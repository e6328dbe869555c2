//! Fresh entries that overtake a backlog.

use std::collections::BTreeMap;
use std::path::Path;

use penstock_test_support::chance::Chance;

use super::super::*;
use super::spool::Bench;
use crate::config::Role;
use crate::data::Sequence;
use crate::spool::{Cursor, Disk, Fault, SimDisk};

const NEVER: Duration = Duration::from_secs(1 << 30);

fn row() -> Arc<PipeRow> {
    Board::new(Role::Sender, "", clock::now()).pipes.row("p", "", clock::wall()).unwrap()
}

/// Whatever waits is backlog at once.
fn plan(share_percent: u8, row: &Arc<PipeRow>) -> LanePlan {
    let (pipe, row) = ("p".to_owned(), Arc::clone(row));
    LanePlan { pipe, share_percent, after: Duration::ZERO, fresh_for: NEVER, row }
}

/// Takes so many entries of so many bytes in.
fn take(bench: &Bench, count: u64, bytes: usize) {
    for _ in 0..count {
        bench.append(&vec![b'x'; bytes]);
    }
}

/// Sends the next entry.
fn send(feed: &mut SpoolFeed<SimDisk>) -> Option<u64> {
    let header = feed.next_entry().unwrap()?;
    assert_eq!(feed.next_entry().unwrap(), Some(header), "until it is advanced");
    feed.advance(&header);
    Some(header.sequence.0)
}

fn send_all(feed: &mut SpoolFeed<SimDisk>) -> Vec<u64> {
    std::iter::from_fn(|| send(feed)).collect()
}

#[test]
fn what_comes_after_an_outage_overtakes_the_backlog_and_each_lane_keeps_its_order() {
    let (bench, row) = (Bench::new(), row());
    take(&bench, 6, 100);
    let (feed, cursor) = bench.feed();
    let mut feed = feed.in_lanes(plan(50, &row));
    assert_eq!(row.fresh(), None);
    assert_eq!(send(&mut feed), Some(1));
    assert_eq!(row.fresh(), Some((7, 50)));
    take(&bench, 3, 100);
    assert_eq!(send_all(&mut feed), [7, 2, 8, 3, 9, 4, 5, 6]);
    assert_eq!(cursor.borrow().clone(), Cursor::at(Sequence(10)), "nothing is left over");
    assert_eq!(row.fresh(), None);
    take(&bench, 2, 100);
    assert_eq!(send_all(&mut feed), [10, 11]);
}

/// The sink asks for nothing while it has an entry; what waits is counted once a second all the same.
#[test]
fn what_came_in_an_outage_after_something_had_waited_for_long_is_fresh_at_its_end() {
    let (bench, row) = (Bench::new(), row());
    let (feed, _cursor) = bench.feed();
    let after = Duration::from_secs(60);
    let mut feed = feed.in_lanes(LanePlan { after, fresh_for: after, ..plan(50, &row) });
    take(&bench, 1, 100);
    let start = clock::now().checked_sub(2 * after).unwrap();
    row.note_lag(start, bench.spool().synced(), Sequence(1));
    let held = feed.next_entry().unwrap().unwrap();
    // An entry every ten seconds.
    for second in 1..=115 {
        take(&bench, u64::from(second % 10 == 5), 100);
        let now = start + Duration::from_secs(second);
        row.note_lag(now, bench.spool().synced(), Sequence(1));
    }
    feed.advance(&held);
    // Entry 2 came in second 5, entry 8 in second 65.
    let sent = send_all(&mut feed);
    assert_eq!(sent, [2, 9, 3, 10, 4, 11, 5, 12, 6, 13, 7, 8]);
}

#[test]
fn the_fresh_lane_has_its_share_of_bytes_and_saves_nothing_up() {
    for share in [20, 50, 90] {
        let (bench, row) = (Bench::new(), row());
        take(&bench, 600, 50);
        let (feed, _cursor) = bench.feed();
        let mut feed = feed.in_lanes(plan(share, &row));
        for sequence in 1..=100 {
            assert_eq!(send(&mut feed), Some(sequence), "it is alone");
        }
        take(&bench, 300, 100);
        let (mut fresh, mut all) = (0, 0);
        while all < 40_000 {
            let header = feed.next_entry().unwrap().unwrap();
            feed.advance(&header);
            all += header.payload_bytes;
            fresh += if header.sequence.0 > 600 { header.payload_bytes } else { 0 };
        }
        let percent = f64::from(fresh) * 100.0 / f64::from(all);
        assert!((percent - f64::from(share)).abs() < 2.0, "{percent} of {share} percent");
    }
}

#[test]
fn what_waits_in_the_fresh_lane_for_too_long_is_backlog_and_ranges_have_a_limit() {
    let (bench, row) = (Bench::new(), row());
    take(&bench, 300, 50);
    let (feed, cursor) = bench.feed();
    let mut feed = feed.in_lanes(LanePlan { fresh_for: Duration::ZERO, ..plan(1, &row) });
    let mut sent = Vec::new();
    for second in 0..100 {
        take(&bench, 1, 50);
        let (now, synced) = (clock::now() + Duration::from_secs(second), bench.spool().synced());
        row.note_lag(now, synced, cursor.borrow().position);
        sent.extend(send(&mut feed));
        assert!(cursor.borrow().finished.len() <= crate::limits::LANE_RANGES_MAX);
    }
    sent.extend(send_all(&mut feed));
    sent.sort_unstable();
    assert_eq!(sent, (1..=400).collect::<Vec<_>>());
    assert_eq!(cursor.borrow().clone(), Cursor::at(Sequence(401)));
}

#[test]
fn a_start_goes_on_with_both_lanes() {
    let (bench, row) = (Bench::new(), row());
    take(&bench, 6, 100);
    let (feed, cursor) = bench.feed();
    let mut feed = feed.in_lanes(plan(50, &row));
    send(&mut feed);
    take(&bench, 4, 100);
    assert_eq!((send(&mut feed), send(&mut feed)), (Some(7), Some(2)));
    drop(feed);
    let durable = cursor.borrow().clone();
    let (feed, cursor) = bench.feed_from(durable);
    let mut feed = feed.in_lanes(LanePlan { after: NEVER, ..plan(50, &row) });
    assert_eq!(row.fresh(), Some((8, 50)));
    assert_eq!(send_all(&mut feed), [3, 8, 4, 9, 5, 10, 6]);
    assert_eq!(cursor.borrow().position, Sequence(11));
}

#[test]
fn a_pipe_that_is_altered_to_one_lane_sends_what_is_left_in_order() {
    let (bench, row) = (Bench::new(), row());
    take(&bench, 4, 100);
    let (feed, cursor) = bench.feed();
    let mut feed = feed.in_lanes(plan(50, &row));
    send(&mut feed);
    take(&bench, 4, 100);
    assert_eq!((send(&mut feed), send(&mut feed)), (Some(5), Some(2)));
    let durable = cursor.borrow().clone();
    let (mut feed, cursor) = bench.feed_from(durable);
    assert_eq!(send_all(&mut feed), [3, 4, 6, 7, 8]);
    assert_eq!(cursor.borrow().position, Sequence(9));
}

#[test]
fn what_of_the_fresh_lane_cannot_be_read_is_met_again_in_the_one_lane() {
    let (bench, row) = (Bench::new(), row());
    take(&bench, 3, 100);
    let (feed, _cursor) = bench.feed();
    let mut feed = feed.in_lanes(plan(50, &row));
    assert_eq!(send(&mut feed), Some(1));
    take(&bench, 2, 100);
    bench.disk.schedule(0, Fault::Io, false);
    let mut sent = Vec::new();
    while sent.len() < 4 {
        match feed.next_entry() {
            Ok(Some(header)) => {
                feed.advance(&header);
                sent.push(header.sequence.0);
            }
            Ok(None) => panic!("{sent:?} of four"),
            Err(_) => {}
        }
    }
    sent.sort_unstable();
    assert_eq!(sent, [2, 3, 4, 5]);
}

/// From one start to the next, of which the next may find any cursor that was told.
#[test]
fn whenever_it_is_killed_everything_is_sent_and_each_lane_in_order() {
    for seed in 0..30 {
        let mut chance = Chance::new(seed);
        let disk = SimDisk::new(seed, 1 << 30);
        disk.create_dir(Path::new("pipes")).unwrap();
        let (mut cursor, mut taken, mut sent) = (Cursor::at(Sequence(1)), 0, BTreeMap::new());
        for rest in (0..6).rev() {
            let (bench, row) = (Bench::on(disk.clone()), row());
            let (feed, told) = bench.feed_from(cursor.clone());
            let fresh_for = if chance.below(2) == 0 { NEVER } else { Duration::ZERO };
            let share = u8::try_from(1 + chance.below(99)).unwrap();
            let plan = LanePlan { fresh_for, ..plan(share, &row) };
            let mut feed = if chance.below(5) > 0 { feed.in_lanes(plan) } else { feed };
            let (mut cursors, mut latest) = (vec![cursor], [0, 0]);
            for _ in 0..chance.below(60) {
                let count = chance.below(6).saturating_sub(2);
                take(&bench, count, 20);
                taken += count;
                note(&mut feed, &told, &mut latest, &mut sent);
                cursors.push(told.borrow().clone());
            }
            while rest == 0 && note(&mut feed, &told, &mut latest, &mut sent) {}
            if rest == 0 {
                assert_eq!(told.borrow().clone(), Cursor::at(Sequence(taken + 1)), "seed {seed}");
            }
            let durable = chance.below(cursors.len() as u64);
            cursor = cursors.swap_remove(usize::try_from(durable).unwrap());
            if chance.below(2) == 0 { disk.crash() } else { disk.kill() }
        }
        assert_eq!(sent.len() as u64, taken, "seed {seed}");
    }
}

/// Sends the next entry: in its lane it comes after the one before.
fn note(
    feed: &mut SpoolFeed<SimDisk>,
    told: &watch::Receiver<Cursor>,
    latest: &mut [u64; 2],
    sent: &mut BTreeMap<u64, u32>,
) -> bool {
    let Some(sequence) = send(feed) else { return false };
    *sent.entry(sequence).or_default() += 1;
    let is_fresh = told.borrow().position.0 <= sequence;
    let before = std::mem::replace(&mut latest[usize::from(is_fresh)], sequence);
    assert!(before < sequence, "{sequence} came after {before}");
    assert!(told.borrow().is_finished(Sequence(sequence)));
    true
}

//! Tablets that go as files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

use penstock_test_support::chance::Chance;
use penstock_test_support::frames;

use super::super::*;
use super::spool::Bench;
use crate::config::Role;
use crate::data::{Identity, OriginId, ReadAt, Sequence};
use crate::limits::RUN_TRIES_MAX;
use crate::pipe::{SentUnit, UnitFile, UnitRecord};
use crate::sink::cuts::{CutTrouble, Desk, Room, RunMaker, Step, Task};
use crate::spool::{Cursor, Disk, Fault, Kind, MADE_DIR, Reader, Settings, SimDisk, WhenFull};
use crate::tsfile::read::{Counting, TsFile};

/// Rows of each tablet.
const ROWS: usize = 3;

/// What the quota counts, and may count.
struct Counted {
    bytes: u64,
    max: u64,
}

impl Room for Counted {
    fn grow(&mut self, bytes: u64) -> Result<(), CutTrouble> {
        if self.bytes + bytes > self.max {
            return Err(CutTrouble::Ended);
        }
        self.bytes += bytes;
        Ok(())
    }

    fn shrink(&mut self, bytes: u64) {
        self.bytes = self.bytes.checked_sub(bytes).expect("it was counted");
    }
}

/// A node: what makes runs of its spool's tablets.
struct Side {
    bench: Bench,
    desk: Desk,
    maker: RunMaker<SimDisk, Reader<SimDisk>>,
    made: u64,
    room: Counted,
    row: Arc<PipeRow>,
    board: Arc<Board>,
}

impl Side {
    fn new(bench: Bench) -> Self {
        for dir in ["pipes", MADE_DIR] {
            bench.disk.create_dir(Path::new(dir)).unwrap();
        }
        let maker = RunMaker::new(bench.disk.clone(), bench.spool().reader(Sequence(0)));
        let board = Arc::new(Board::new(Role::Sender, "", clock::now()));
        let row = board.pipes.row("p", "", clock::wall()).unwrap();
        let room = Counted { bytes: 0, max: 1 << 30 };
        Self { bench, desk: Desk::default(), maker, made: 0, room, row, board }
    }

    /// The feed of a pipe from a cursor on; without a budget it sends files only.
    fn feed(
        &self,
        from: Cursor,
        budget: Option<Budget>,
    ) -> (Runs<SimDisk>, watch::Receiver<Cursor>) {
        let (feed, cursor) = self.bench.feed_from(from);
        let origin = self.bench.spool().origin();
        let plan = RunPlan {
            pipe: "p".to_owned(),
            budget,
            max_delay: Duration::ZERO,
            tablets_ahead: 3,
            bytes_max: crate::limits::RUN_BYTES,
            border: Sequence(1),
            mark: 1,
            origin,
            note: UnitFile::new(self.bench.disk.clone(), "p", origin),
            desk: self.desk.clone(),
            board: Arc::clone(&self.board),
            row: Arc::clone(&self.row),
        };
        (Runs::new(feed, Some(plan)), cursor)
    }

    /// Appends a tablet of one device.
    fn take(&self, device: u32, start: i64) -> Sequence {
        self.take_of(device, start, false)
    }

    fn take_of(&self, device: u32, start: i64, is_aligned: bool) -> Sequence {
        self.take_rows(device, (start, ROWS), is_aligned)
    }

    /// One of one row.
    fn take_row(&self, device: u32) -> Sequence {
        self.take_rows(device, (0, 1), false)
    }

    /// One that another node of ours took in first.
    fn take_from(&self, identity: Identity, start: i64) {
        let payload = tablet(1, (start, ROWS), false);
        self.bench.append_from(crate::spool::Source::Peer(identity), &payload);
    }

    fn take_rows(&self, device: u32, rows: (i64, usize), is_aligned: bool) -> Sequence {
        self.bench.append(&tablet(device, rows, is_aligned))
    }

    /// Makes what was ordered.
    fn work(&mut self) {
        while let Some((Task::Run(order), answer)) = self.desk.next_order() {
            self.maker.begin(order, answer);
            while self.maker.step(&self.desk, &mut self.room, &mut self.made) == Step::Worked {
                let (lies, counted) = (self.lying("spool/runs"), self.room.bytes);
                assert!(lies <= counted, "{lies} bytes, {counted} are counted");
            }
        }
        while let Some(gone) = self.desk.next_gone() {
            self.bench.disk.remove(&gone.path).unwrap();
            self.room.shrink(gone.bytes);
        }
    }

    /// Bytes of what lies in a directory.
    fn lying(&self, dir: &str) -> u64 {
        let files = self.bench.disk.files().into_iter();
        files.filter(|(path, _)| path.starts_with(dir)).map(|(_, bytes)| bytes).sum()
    }

    /// What was kept of the pipe's unit.
    fn kept(&self) -> Option<UnitRecord> {
        let origin = self.bench.spool().origin();
        UnitFile::new(self.bench.disk.clone(), "p", origin).read().unwrap()
    }

    /// The next entry, whatever has to be made for it.
    fn next(&mut self, feed: &mut Runs<SimDisk>) -> Option<EntryHeader> {
        for _ in 0..20 {
            if let Some(header) = feed.next_entry().unwrap() {
                return Some(header);
            }
            self.work();
        }
        None
    }
}

/// A tablet of so many rows from this time on, without the tail that the spool adds.
fn tablet(device: u32, (start, rows): (i64, usize), is_aligned: bool) -> Vec<u8> {
    let device = format!("root.a.d{device}");
    let shape =
        frames::TabletShape { device: &device, rows, columns: 1, start_time: start, text_bytes: 3 };
    let mut payload = frames::tablet(&shape, 1);
    payload.truncate(payload.len() - 9);
    *payload.last_mut().unwrap() = u8::from(is_aligned);
    payload
}

/// Points of the file that the feed has.
fn points(feed: &mut Runs<SimDisk>) -> u64 {
    let stored = feed.open_files().unwrap();
    let file = stored.files[0].file.as_ref().unwrap();
    let mut bytes = vec![0; usize::try_from(stored.files[0].bytes).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    assert_eq!(blake3::hash(&bytes).as_bytes(), &stored.files[0].hash);
    let made = TsFile::open(&bytes[..]).unwrap();
    Counting::new(&made).unwrap().step(&bytes[..]).unwrap().unwrap().points
}

#[test]
fn tablets_go_as_one_file_and_others_as_they_are() {
    let mut side = Side::new(Bench::new());
    for entry in 0..10 {
        side.take(entry % 3, i64::from(entry) * 10);
    }
    side.bench.seal(crate::spool::Source::Own, 0, &[("x.tsfile", super::rig::ts_file())]);
    side.take(1, 500);
    let (mut feed, cursor) = side.feed(Cursor::at(Sequence(1)), None);
    assert_eq!(feed.next_entry().unwrap(), None, "the worker has it");
    let run = side.next(&mut feed).unwrap();
    assert_eq!((run.kind, run.identity.sequence), (Kind::File, Sequence(10)));
    assert!(run.identity.origin.is_of_parts_of(side.bench.spool().origin()));
    assert_eq!(points(&mut feed), 10 * ROWS as u64);
    assert_eq!(feed.next_entry().unwrap(), Some(run), "until it is advanced");
    assert_eq!(cursor.borrow().position, Sequence(1));
    feed.advance(&run);
    assert_eq!(cursor.borrow().position, Sequence(11));
    let file = side.next(&mut feed).unwrap();
    assert_eq!((file.kind, file.sequence), (Kind::File, Sequence(11)));
    feed.advance(&file);
    let lone = side.next(&mut feed).unwrap();
    assert_eq!((lone.kind, lone.sequence), (Kind::Tablet, Sequence(12)), "no file for one");
    feed.advance(&lone);
    assert_eq!(side.next(&mut feed), None);
    side.work();
    let left = side.bench.disk.files().into_iter().filter(|(path, _)| path.starts_with(MADE_DIR));
    assert_eq!(left.count(), 0);
}

#[test]
fn what_came_by_a_pipe_of_ours_keeps_its_identity() {
    let mut side = Side::new(Bench::new());
    let theirs = |number| Identity { origin: OriginId([9; 16]), sequence: Sequence(number) };
    for entry in 0..6_u32 {
        let start = i64::from(entry) * 10;
        match entry {
            2 | 3 => side.take_from(theirs(u64::from(entry)), start),
            _ => drop(side.take(1, start)),
        }
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    let ours = side.bench.spool().origin();
    for (kind, last, identity) in [
        (Kind::File, 2, None),
        (Kind::Tablet, 3, Some(theirs(2))),
        (Kind::Tablet, 4, Some(theirs(3))),
        (Kind::File, 6, None),
    ] {
        let next = side.next(&mut feed).unwrap();
        assert_eq!(next.kind, kind, "{last}");
        if let Some(identity) = identity {
            assert_eq!(next.identity, identity);
        } else {
            assert!(next.identity.origin.is_of_parts_of(ours));
            assert_eq!(next.identity.sequence, Sequence(last));
            assert_eq!(points(&mut feed), 2 * ROWS as u64);
        }
        feed.advance(&next);
    }
    assert_eq!(side.next(&mut feed), None);
}

#[test]
fn files_that_the_far_side_does_not_take_go_as_tablets() {
    let mut side = Side::new(Bench::new());
    for entry in 0..4 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, cursor) = side.feed(Cursor::at(Sequence(1)), None);
    let run = side.next(&mut feed).unwrap();
    let aside = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(aside.block_on(feed.put_aside(&run, "no")));
    feed.advance(&run);
    for sequence in 1..5 {
        let tablet = side.next(&mut feed).unwrap();
        assert_eq!((tablet.kind, tablet.sequence), (Kind::Tablet, Sequence(sequence)));
        feed.advance(&tablet);
    }
    assert_eq!(cursor.borrow().position, Sequence(5));
}

#[test]
fn a_hybrid_pipe_goes_over_to_files_and_back() {
    let mut side = Side::new(Bench::new());
    let budget = Budget { bytes: 1000, age: Duration::from_secs(3600) };
    for entry in 0..6 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), Some(budget));
    let first = side.next(&mut feed).unwrap();
    assert_eq!((first.kind, side.row.unit().name()), (Kind::Tablet, "tablets"));
    feed.advance(&first);
    side.row.set_backlog(2, 5, 1001, clock::now());
    let run = side.next(&mut feed).unwrap();
    assert_eq!((run.kind, side.row.unit().name()), (Kind::File, "files"));
    assert_eq!(points(&mut feed), 5 * ROWS as u64);
    feed.advance(&run);
    side.take(1, 900);
    side.row.set_backlog(7, 1, 250, clock::now());
    let last = side.next(&mut feed).unwrap();
    assert_eq!((last.kind, side.row.unit().name()), (Kind::Tablet, "tablets"));
}

#[test]
fn an_entry_that_no_file_takes_goes_alone_and_what_follows_goes_as_a_file() {
    let mut side = Side::new(Bench::new());
    side.take(1, 0);
    side.bench.append(b"\x01\0\x02\0\x0dnothing that can be read");
    for entry in 2..6 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    let mut sent = Vec::new();
    while let Some(header) = side.next(&mut feed) {
        sent.push((header.kind, header.identity.sequence.0));
        feed.advance(&header);
    }
    assert_eq!(sent, [(Kind::Tablet, 1), (Kind::Tablet, 2), (Kind::File, 6)]);
}

#[test]
fn a_run_that_cannot_be_made_is_pending_for_a_while_and_goes_as_tablets_then() {
    let mut side = Side::new(Bench::new());
    for entry in 0..4 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    side.room.max = 0;
    for _ in 1..RUN_TRIES_MAX {
        assert_eq!(feed.next_entry().unwrap(), None);
        assert!(feed.is_pending(), "none is there yet");
        side.work();
        let error = feed.next_entry().unwrap_err();
        assert!(error.to_string().contains("make files of a run"), "{error}");
        assert!(feed.is_pending(), "the trouble stays");
    }
    let tablet = side.next(&mut feed).unwrap();
    assert_eq!(
        (tablet.kind, tablet.sequence, feed.is_pending()),
        (Kind::Tablet, Sequence(1), false)
    );
    let (delivered, unit) = (Sequence(1), SentUnit::Tablets(Sequence(5)));
    assert_eq!(side.kept(), Some(UnitRecord { delivered, unit }), "kept once for all");
    for sequence in 2..5 {
        let tablet = side.next(&mut feed).unwrap();
        feed.advance(&tablet);
        assert_eq!(feed.position(), Sequence(sequence));
    }
    side.room.max = 1 << 30;
    let tablet = side.next(&mut feed).unwrap();
    feed.advance(&tablet);
    for entry in 4..8 {
        side.take(1, i64::from(entry) * 10);
    }
    assert_eq!(side.next(&mut feed).unwrap().kind, Kind::File);
}

/// Aligned tablets and others do not go into one file.
#[test]
fn what_the_quota_counts_of_a_run_is_given_back_whichever_call_fails() {
    for call in 0.. {
        let mut side = Side::new(Bench::new());
        for entry in 0..4 {
            side.take_of(entry % 2, i64::from(entry) * 10, entry % 2 == 0);
        }
        let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
        assert_eq!(feed.next_entry().unwrap(), None);
        let before = side.bench.disk.calls().all;
        side.bench.disk.schedule(call, Fault::Io, false);
        side.work();
        let was_hit = side.bench.disk.calls().all > before + call;
        side.bench.disk.heal();
        if let Ok(Some(_)) = feed.next_entry() {
            assert!(side.room.bytes > 0, "{call}");
        }
        drop(feed);
        side.work();
        assert_eq!((side.room.bytes, side.lying(MADE_DIR)), (0, 0), "call {call}");
        if !was_hit {
            break;
        }
    }
}

/// What an entry is made of.
fn entries_of(header: &EntryHeader, feed: &mut Runs<SimDisk>) -> RangeInclusive<u64> {
    if header.kind != Kind::File {
        return header.sequence.0..=header.sequence.0;
    }
    let name = feed.open_files().unwrap().files[0].name.clone().unwrap();
    let mut numbers = name.split('-').map(|digits| digits.parse().unwrap_or(0));
    numbers.next().unwrap()..=numbers.next().unwrap()
}

/// Tablets of one row each, of as many devices, whose scratches have several times their bytes: the room is asserted in
/// each step.
#[test]
fn what_a_run_writes_is_counted_while_it_is_made() {
    let mut side = Side::new(Bench::new());
    for device in 0..4000 {
        side.take_row(device);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    assert_eq!(side.next(&mut feed).unwrap().kind, Kind::File);
}

#[test]
fn what_a_run_was_writing_at_a_kill_is_removed_at_the_next_start() {
    let mut side = Side::new(Bench::new());
    for device in 0..4000 {
        side.take_row(device);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    let order = (0..20).find_map(|_| {
        assert_eq!(feed.next_entry().unwrap(), None);
        side.desk.next_order()
    });
    let Some((Task::Run(order), answer)) = order else { panic!("no order") };
    side.maker.begin(order, answer);
    while side.lying("spool/runs") == 0 {
        let step = side.maker.step(&side.desk, &mut side.room, &mut side.made);
        assert_eq!(step, Step::Worked);
    }
    side.bench.disk.kill();
    RunMaker::<_, Reader<SimDisk>>::sweep(&side.bench.disk).unwrap();
    assert_eq!(side.lying("spool/runs"), 0);
}

#[test]
fn tablets_after_files_are_kept_anew() {
    let mut side = Side::new(Bench::new());
    let budget = Budget { bytes: 1000, age: Duration::from_secs(3600) };
    for entry in 0..6 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, cursor) = side.feed(Cursor::at(Sequence(1)), Some(budget));
    let first = side.next(&mut feed).unwrap();
    feed.advance(&first);
    let delivered = Sequence(1);
    let unit = SentUnit::Tablets(Sequence(4));
    assert_eq!(side.kept(), Some(UnitRecord { delivered, unit }));
    // Two entries go as a file, within those that were kept as tablets.
    side.row.set_backlog(2, 5, 1001, clock::now());
    feed.change_plan(|plan| plan.bytes_max = 0);
    let lone = side.next(&mut feed).unwrap();
    assert_eq!(lone.kind, Kind::Tablet, "a run of one is none");
    feed.change_plan(|plan| (plan.bytes_max, plan.tablets_ahead) = (1 << 20, 100));
    feed.advance(&lone);
    let run = side.next(&mut feed).unwrap();
    assert_eq!(run.kind, Kind::File);
    feed.advance(&run);
    side.row.set_backlog(7, 0, 0, clock::now());
    side.take(1, 900);
    let tablet = side.next(&mut feed).unwrap();
    let (delivered, unit) = (Sequence(7), SentUnit::Tablets(Sequence(107)));
    assert_eq!((tablet.kind, side.kept()), (Kind::Tablet, Some(UnitRecord { delivered, unit })));
    drop(cursor);
}

#[test]
fn a_run_that_was_under_way_stays_the_same_while_it_cannot_be_made() {
    let mut side = Side::new(Bench::new());
    for entry in 0..4 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    let run = side.next(&mut feed).unwrap();
    drop(feed);
    side.work();
    for entry in 4..8 {
        side.take(1, i64::from(entry) * 10);
    }
    let budget = Budget { bytes: 1 << 30, age: Duration::from_secs(3600) };
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), Some(budget));
    assert_eq!(feed.next_entry().unwrap(), None);
    side.room.max = 0;
    side.work();
    assert!(feed.next_entry().is_err());
    side.room.max = 1 << 30;
    assert_eq!(side.next(&mut feed).unwrap().identity, run.identity);
}

#[test]
fn a_disk_without_room_for_a_record_keeps_no_tablet_back() {
    let mut side = Side::new(Bench::new());
    for entry in 0..3 {
        side.take(1, i64::from(entry) * 10);
    }
    let budget = Budget { bytes: 1 << 30, age: Duration::from_secs(3600) };
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), Some(budget));
    let new = Path::new("pipes/p.unit-new");
    side.bench.disk.set_capacity(0);
    for sequence in 1..4 {
        let tablet = side.next(&mut feed).unwrap();
        assert_eq!((tablet.kind, tablet.sequence), (Kind::Tablet, Sequence(sequence)));
        feed.advance(&tablet);
    }
    assert!(side.bench.disk.file_bytes(new).unwrap_or(0) == 0, "it was tried");
    assert_eq!(side.kept(), None);
}

#[test]
fn a_lone_tablet_of_a_batch_pipe_is_kept_for_those_behind_it() {
    let mut side = Side::new(Bench::new());
    side.take(1, 0);
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    assert_eq!(side.next(&mut feed).unwrap().kind, Kind::Tablet);
    let (delivered, unit) = (Sequence(1), SentUnit::Tablets(Sequence(4)));
    assert_eq!(side.kept(), Some(UnitRecord { delivered, unit }));
}

#[tokio::test]
async fn files_that_never_read_back_are_made_again_after_pauses_and_go_as_tablets_then() {
    let mut side = Side::new(Bench::new());
    for entry in 0..4 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    for _ in 1..RUN_TRIES_MAX {
        let run = side.next(&mut feed).unwrap();
        assert_eq!((run.kind, run.identity.sequence), (Kind::File, Sequence(4)));
        assert!(!feed.quarantine(&run, "rotten").await, "the sink says so, and pauses");
        assert!(feed.is_pending(), "longer each time");
        assert!(feed.quarantine(&run, "rotten").await);
        feed.advance(&run);
        assert_eq!(feed.next_entry().unwrap(), None);
    }
    let run = side.next(&mut feed).unwrap();
    assert!(!feed.quarantine(&run, "rotten").await && feed.quarantine(&run, "rotten").await);
    feed.advance(&run);
    for sequence in 1..5 {
        let tablet = side.next(&mut feed).unwrap();
        assert_eq!((tablet.kind, tablet.sequence), (Kind::Tablet, Sequence(sequence)));
        feed.advance(&tablet);
    }
}

#[tokio::test]
async fn a_run_may_wait_for_more_without_end() {
    let side = Side::new(Bench::new());
    side.take(1, 0);
    side.take(1, 10);
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    feed.change_plan(|plan| plan.max_delay = Duration::MAX);
    assert_eq!(feed.next_entry().unwrap(), None);
    let waited = tokio::time::timeout(Duration::from_millis(1), feed.changed()).await;
    assert!(waited.is_err() && side.desk.next_order().is_none());
}

#[test]
fn runs_of_two_pipes_that_end_at_one_entry_are_not_taken_for_each_other() {
    let mut side = Side::new(Bench::new());
    for entry in 0..4 {
        side.take(1, i64::from(entry) * 10);
    }
    let mut identity = |from, mark| {
        let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(from)), None);
        feed.change_plan(|plan| plan.mark = mark);
        let identity = side.next(&mut feed).unwrap().identity;
        assert_eq!(identity.sequence, Sequence(4));
        // The next one is a pipe without a record.
        UnitFile::new(side.bench.disk.clone(), "p", side.bench.spool().origin()).forget().unwrap();
        identity
    };
    let (one, again, other) = (identity(1, 7), identity(1, 7), identity(3, 8));
    assert_eq!(one, again);
    assert_ne!(one, other);
}

/// What a far side has taken: each entry of the near side, and how often.
#[derive(Default)]
struct Far {
    known: BTreeSet<(OriginId, Sequence)>,
    taken: BTreeMap<u64, u32>,
}

impl Far {
    fn take(&mut self, header: &EntryHeader, feed: &mut Runs<SimDisk>) {
        if !self.known.insert((header.identity.origin, header.identity.sequence)) {
            return;
        }
        let entries = entries_of(header, feed);
        if header.kind == Kind::File {
            assert_eq!(points(feed), (entries.clone().count() * ROWS) as u64);
        }
        for entry in entries {
            *self.taken.entry(entry).or_default() += 1;
        }
    }
}

/// From one start to the next.
struct Life<'a> {
    side: Side,
    feed: Runs<SimDisk>,
    told: watch::Receiver<Cursor>,
    far: &'a mut Far,
    /// Cursors that the next start may find.
    cursors: Vec<Cursor>,
    /// Tablets that were ever taken in.
    total: &'a mut i64,
}

impl Life<'_> {
    /// Something happens.
    fn act(&mut self, chance: &mut Chance) {
        match chance.below(4) {
            0 => (0..chance.below(5)).for_each(|_| self.take()),
            1 => self.side.row.set_backlog(1, 1, chance.below(1500), clock::now()),
            // The answer may be lost with the power.
            _ => drop(self.send(chance.below(10) > 0)),
        }
    }

    fn take(&mut self) {
        *self.total += 1;
        self.side.take(1, *self.total * 10);
    }

    /// Sends the next entry; false if there is none.
    fn send(&mut self, is_answered: bool) -> bool {
        let Some(header) = self.side.next(&mut self.feed) else { return false };
        self.far.take(&header, &mut self.feed);
        if is_answered {
            self.feed.advance(&header);
            self.cursors.push(self.told.borrow().clone());
        }
        true
    }
}

/// The cursor that a start finds may be any that was told before.
#[test]
fn whatever_the_unit_and_whenever_the_power_fails_each_point_is_taken_once() {
    for seed in 0..60 {
        let mut chance = Chance::new(seed);
        let (disk, mut far) = (SimDisk::new(seed, 1 << 30), Far::default());
        let budget = Budget { bytes: 1000, age: Duration::from_secs(3600) };
        let (mut cursor, mut total) = (Cursor::at(Sequence(1)), 0);
        for rest in (0..6).rev() {
            let side = Side::new(Bench::on(disk.clone()));
            let hybrid = chance.below(3) > 0;
            let (feed, told) = side.feed(cursor.clone(), hybrid.then_some(budget));
            let (cursors, far, total) = (vec![cursor], &mut far, &mut total);
            let mut life = Life { side, feed, told, far, cursors, total };
            (0..chance.below(40)).for_each(|_| life.act(&mut chance));
            while rest == 0 && life.send(true) {}
            let durable = chance.below(life.cursors.len() as u64);
            cursor = life.cursors.swap_remove(usize::try_from(durable).unwrap());
            if chance.below(2) == 0 {
                disk.crash();
            } else {
                disk.kill();
            }
        }
        assert_eq!(i64::try_from(far.taken.len()).unwrap(), total, "seed {seed}");
        let twice: Vec<_> = far.taken.iter().filter(|(_, times)| **times != 1).collect();
        assert!(twice.is_empty(), "seed {seed}: {twice:?}");
    }
}

#[test]
fn a_record_of_another_spool_moves_nothing() {
    let mut side = Side::new(Bench::new());
    for entry in 0..4 {
        side.take(1, i64::from(entry) * 10);
    }
    let note = UnitFile::new(side.bench.disk.clone(), "p", OriginId([5; 16]));
    let unit = SentUnit::Tablets(Sequence(9));
    note.keep(UnitRecord { delivered: Sequence(3), unit }).unwrap();
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    assert_eq!(side.next(&mut feed).unwrap().sequence, Sequence(1));
}

#[test]
fn a_record_beyond_the_log_is_forgotten_before_the_log_grows_there() {
    let mut side = Side::new(Bench::new());
    let (last, unit) = (8, SentUnit::Tablets(Sequence(9)));
    let note = UnitFile::new(side.bench.disk.clone(), "p", side.bench.spool().origin());
    note.keep(UnitRecord { delivered: Sequence(last), unit }).unwrap();
    side.take(1, 0);
    drop(side.feed(Cursor::at(Sequence(1)), None));
    assert_eq!(side.kept(), None, "nothing was sent yet");
    for entry in 1..last {
        side.take(1, entry.cast_signed() * 10);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    assert_eq!(feed.next_entry().unwrap().or_else(|| side.next(&mut feed)).unwrap().sequence.0, 1);
}

#[test]
fn an_entry_that_a_person_takes_out_of_a_run_is_not_in_it_again() {
    let mut side = Side::new(Bench::new());
    for entry in 0..4 {
        side.take(1, i64::from(entry) * 10);
    }
    let (mut feed, _cursor) = side.feed(Cursor::at(Sequence(1)), None);
    assert_eq!(side.next(&mut feed).unwrap().kind, Kind::File);
    drop(feed);
    let mut skipped = Cursor::at(Sequence(1));
    assert!(skipped.finish(Sequence(2)));
    let (mut feed, _cursor) = side.feed(skipped, None);
    for sequence in [1, 3, 4] {
        let tablet = side.next(&mut feed).unwrap();
        assert_eq!((tablet.kind, tablet.sequence), (Kind::Tablet, Sequence(sequence)));
        feed.advance(&tablet);
    }
}

/// What is dropped while files are made stops nobody, and what is left is sent.
#[test]
fn a_spool_that_drops_its_oldest_entries_stops_no_run() {
    for (is_made, is_killed) in [(false, false), (false, true), (true, false), (true, true)] {
        let settings = Settings {
            segment_bytes: 4096,
            max_bytes: 4 * 4096,
            reserve_bytes: 0,
            when_full: WhenFull::DropOldest,
            ..Settings::default()
        };
        let mut side = Side::new(Bench::with(SimDisk::new(1, 1 << 30), settings));
        let mut taken = 0;
        let mut take = |side: &Side| {
            taken += 1;
            side.take(1, taken * 10).0
        };
        let last = (0..20).map(|_| take(&side)).last();
        let (mut feed, cursor) = side.feed(Cursor::at(Sequence(1)), None);
        assert_eq!(feed.next_entry().unwrap(), None, "the worker has entries up to {last:?}");
        if is_made {
            side.work();
            assert_eq!(feed.next_entry().unwrap().map(|header| header.kind), Some(Kind::File));
        }
        let oldest = |side: &Side| side.bench.spool().stats().first_sequence.0;
        while oldest(&side) <= 10 {
            take(&side);
        }
        if is_killed {
            feed = side.feed(cursor.borrow().clone(), None).0;
        }
        let (oldest, end) = (oldest(&side), side.bench.spool().next_sequence().0);
        let mut sent = BTreeSet::new();
        while let Some(header) = side.next(&mut feed) {
            let entries = entries_of(&header, &mut feed);
            let left = entries.clone().filter(|entry| *entry >= oldest);
            if header.kind == Kind::File {
                assert!(points(&mut feed) >= (left.count() * ROWS) as u64, "{entries:?}");
            }
            sent.extend(entries);
            feed.advance(&header);
        }
        assert!((oldest..end).all(|entry| sent.contains(&entry)), "{is_made} {is_killed} {sent:?}");
    }
}

#[test]
fn a_run_begins_once_all_before_it_is_delivered_and_what_went_ahead_comes_again() {
    let mut side = Side::new(Bench::new());
    for entry in 0..10 {
        side.take(entry % 3, i64::from(entry) * 10);
    }
    let budget = Some(Budget { bytes: 1000, age: Duration::from_secs(3600) });
    let (mut feed, cursor) = side.feed(Cursor::at(Sequence(1)), budget);
    for sequence in 1..=5 {
        let tablet = feed.next_entry().unwrap().unwrap();
        assert_eq!((tablet.kind, tablet.sequence.0), (Kind::Tablet, sequence));
        assert!(feed.may_go_ahead());
        feed.go_ahead(&tablet);
    }
    // Kept anew at the fourth one, when none was delivered.
    let kept = UnitRecord { delivered: Sequence(1), unit: SentUnit::Tablets(Sequence(7)) };
    assert_eq!((side.kept(), cursor.borrow().position), (Some(kept), Sequence(1)));
    let (mut after_a_crash, _) = side.feed(Cursor::at(Sequence(1)), budget);
    assert_eq!(after_a_crash.next_entry().unwrap().unwrap().sequence, Sequence(1));
    side.row.remaining_bytes.set(2000);
    let next = feed.next_entry().unwrap().unwrap();
    assert_eq!((next.kind, next.sequence.0), (Kind::Tablet, 6));
    assert!(!feed.may_go_ahead(), "it waits for those before it");
    assert!(side.desk.next_order().is_none());
    assert_eq!((side.kept(), cursor.borrow().position), (Some(kept), Sequence(1)));
    feed.settle(None);
    assert_eq!(cursor.borrow().position, Sequence(6));
    let run = side.next(&mut feed).unwrap();
    assert_eq!((run.kind, run.identity.sequence.0), (Kind::File, 10));
    assert!(!feed.may_go_ahead());
    let kept = UnitRecord { delivered: Sequence(6), unit: SentUnit::Files(Sequence(10)) };
    assert_eq!(side.kept(), Some(kept));
}

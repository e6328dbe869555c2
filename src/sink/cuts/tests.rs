//! Cuts on a simulated disk: what is promised, whatever the disk does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::config::Role;
use crate::data::TimeRange;
use crate::ops::board::Board;
use crate::ops::clock::{self, EpochMillis};
use crate::spool::{Disk, Fault, Full, MADE_DIR, Settings, SimDisk, Spool};
use crate::tsfile::read::{Counting, TsFile};

const SAMPLE: &[u8] = include_bytes!("../../../tests/samples/v3_deg7.tsfile");
const DISK_BYTES: u64 = 16 << 20;

/// The quota of a spool.
struct OfSpool<'a>(&'a mut Spool<SimDisk>);

impl Room for OfSpool<'_> {
    fn grow(&mut self, bytes: u64) -> Result<(), CutTrouble> {
        Ok(self.0.grow_made(bytes)?)
    }

    fn shrink(&mut self, bytes: u64) {
        self.0.shrink_made(bytes);
    }
}

fn settings() -> Settings {
    Settings {
        segment_bytes: 8192,
        segment_max_age: Duration::from_secs(60),
        max_bytes: 8 << 20,
        reserve_bytes: 0,
        ..Settings::default()
    }
}

fn open(disk: &SimDisk) -> Spool<SimDisk> {
    Spool::open(disk.clone(), settings(), clock::now(), 0).expect("opens").0
}

fn source(name: &str, bytes: &'static [u8]) -> Source {
    let hash = *blake3::hash(bytes).as_bytes();
    Source { name: name.to_owned(), bytes: bytes.len() as u64, hash, file: Lent::new(bytes) }
}

fn order(from: i64, mods: Option<(&str, &'static [u8])>) -> Order {
    let times = TimeRange { min: from, max: i64::MAX };
    Order {
        name: "it".to_owned(),
        file: source("x.tsfile", SAMPLE),
        mods: mods.map(|(name, bytes)| source(name, bytes)),
        selection: Selection { series: None, times },
        shown: None,
    }
}

/// Times of the sample, and a time in their middle.
fn times() -> (TimeRange, i64) {
    let file = TsFile::open(SAMPLE).expect("sound");
    let mut counting = Counting::new(&file).expect("index");
    let times = counting.step(SAMPLE).expect("index").expect("small").times;
    (times, times.min.midpoint(times.max))
}

/// The next order, begun.
fn begin(desk: &Desk, disk: &SimDisk, number: u64) -> Job<SimDisk> {
    let Some((Task::Cut(order), answer)) = desk.next_order() else { panic!("an order") };
    Job::new(*order, answer, disk.clone(), number)
}

/// Carries out the next order.
fn work(desk: &Desk, disk: &SimDisk, spool: &mut Spool<SimDisk>) {
    let mut job = begin(desk, disk, disk.calls().all);
    while job.step(desk, &mut OfSpool(spool)) == Step::Worked {}
}

fn outcome(order: Order) -> Outcome {
    let (disk, desk) = (SimDisk::new(1, DISK_BYTES), Desk::default());
    let mut spool = open(&disk);
    let mut ticket = desk.order(order);
    work(&desk, &disk, &mut spool);
    let outcome = ticket.take().expect("it is over");
    if !matches!(outcome, Outcome::Made(_)) {
        assert_eq!((left(&disk), spool.stats().partial_bytes), (BTreeSet::new(), 0));
    }
    outcome
}

/// What was made and not removed.
fn left(disk: &SimDisk) -> BTreeSet<PathBuf> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.starts_with(MADE_DIR)).collect()
}

fn bytes_of(file: &MadeFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len()).expect("small")];
    assert_eq!(file.read_at(0, &mut bytes).expect("readable"), bytes.len());
    assert_eq!(blake3::hash(&bytes).as_bytes(), &file.hash());
    bytes
}

#[test]
fn an_order_too_many_is_told_why() {
    let desk = Desk::default();
    let mut tickets: Vec<_> = (0..=ORDERS_MAX).map(|_| desk.order(order(0, None))).collect();
    let last = tickets.pop().expect("one too many").take();
    assert!(matches!(last, Some(Outcome::Failed(CutTrouble::Crowded))), "{last:?}");
    assert!(tickets.iter_mut().all(|ticket| ticket.take().is_none()), "the others wait");
    tickets.clear();
    assert!(desk.order(order(0, None)).take().is_none(), "withdrawn ones make way");
}

#[test]
fn a_cut_shows_how_far_it_has_come_until_it_is_over() {
    let (disk, desk) = (SimDisk::new(1, DISK_BYTES), Desk::default());
    let mut spool = open(&disk);
    let board = Board::new(Role::Sender, "", clock::now());
    let row = board.pipes.row("p", "", EpochMillis(0)).expect("room");
    let shown = Some(Arc::clone(&row).work("cutting x.tsfile"));
    let _ticket = desk.order(Order { shown, ..order(times().1, None) });
    let mut job = begin(&desk, &disk, 1);
    let mut seen = Vec::new();
    while job.step(&desk, &mut OfSpool(&mut spool)) == Step::Worked {
        seen.push(row.message());
    }
    assert!(seen.contains(&"cutting x.tsfile, 50 %".to_owned()), "{seen:?}");
    assert!(seen.contains(&"cutting x.tsfile, 99 %".to_owned()), "{seen:?}");
    assert_eq!(row.message(), "", "it is over, though its job is there");
}

#[test]
fn a_cut_is_counted_until_its_last_reader_lets_go() {
    let (disk, desk) = (SimDisk::new(1, DISK_BYTES), Desk::default());
    let mut spool = open(&disk);
    let (times, middle) = times();
    let mut ticket = desk.order(order(middle, None));
    assert!(ticket.take().is_none());
    work(&desk, &disk, &mut spool);
    let Some(Outcome::Made(file)) = ticket.take() else { panic!("it can be cut") };
    let bytes = bytes_of(&file);
    let made = TsFile::open(&bytes[..]).expect("sound");
    let tally = Counting::new(&made).and_then(|mut counting| counting.step(&bytes[..]));
    assert_eq!(tally.expect("index").expect("small").times, TimeRange { min: middle, ..times });
    assert_eq!(spool.stats().partial_bytes, file.len());
    assert_eq!(left(&disk).len(), 1, "no scratch is left");
    let reader = file.clone();
    drop(file);
    assert_eq!(desk.next_gone(), None);
    let bytes = reader.len();
    drop(reader);
    let gone = desk.next_gone().expect("nobody reads it");
    assert_eq!((gone.bytes, left(&disk)), (bytes, BTreeSet::from([gone.path])));
}

#[test]
fn a_withdrawn_order_that_holds_the_last_of_a_cut_stops_nobody() {
    const LONGEST: Duration = Duration::from_secs(30);
    let (done, is_done) = mpsc::channel();
    // Not this thread: what the test is about would hang.
    thread::spawn(move || {
        let (disk, desk) = (SimDisk::new(1, DISK_BYTES), Desk::default());
        let mut spool = open(&disk);
        let middle = times().1;
        for gives_another in [false, true] {
            let mut ticket = desk.order(order(middle, None));
            work(&desk, &disk, &mut spool);
            let Some(Outcome::Made(cut)) = ticket.take() else { panic!("it can be cut") };
            let (bytes, hash) = (cut.len(), cut.hash());
            let file = Source { name: "cut".to_owned(), bytes, hash, file: Lent::new(cut) };
            drop(desk.order(Order { file, ..order(middle, None) }));
            let _another = gives_another.then(|| desk.order(order(middle, None)));
            assert_eq!(desk.next_order().is_some(), gives_another);
            assert_eq!(desk.next_gone().map(|gone| gone.bytes), Some(bytes));
        }
        done.send(()).expect("waited for");
    });
    is_done.recv_timeout(LONGEST).expect("it ends");
}

#[test]
fn what_was_deleted_is_not_in_a_cut() {
    let (times, middle) = times();
    let line = format!("DELETION,root.**,{},{}\n", i64::MIN, i64::MAX - 1);
    let mods = ("x.tsfile.mods", line.leak().as_bytes());
    assert!(matches!(outcome(order(times.min, Some(mods))), Outcome::Nothing));
    let line = format!("DELETION,root.**,9999999,{middle},{}\n", i64::MAX);
    let mods = ("x.tsfile.mods", line.leak().as_bytes());
    assert!(matches!(outcome(order(middle, Some(mods))), Outcome::Nothing));
    let Outcome::Made(file) = outcome(order(times.min, Some(mods))) else { panic!("half is left") };
    let bytes = bytes_of(&file);
    let made = TsFile::open(&bytes[..]).expect("sound");
    let tally = Counting::new(&made).and_then(|mut counting| counting.step(&bytes[..]));
    assert!(tally.expect("index").expect("small").times.max < middle);
}

#[test]
fn what_cannot_be_cut_says_why() {
    let (_, middle) = times();
    assert!(matches!(outcome(order(i64::MAX, None)), Outcome::Nothing));
    let mut rotten = order(middle, None);
    rotten.file.hash = [9; 32];
    assert!(matches!(outcome(rotten), Outcome::Rotten));
    let mut rotten = order(middle, Some(("x.tsfile.mods", b"DELETION,root.**,1,2\n")));
    rotten.mods.as_mut().expect("there").hash = [9; 32];
    assert!(matches!(outcome(rotten), Outcome::Rotten));
    let unfit = |order| {
        let Outcome::Unfit(why) = outcome(order) else { panic!("it can be cut") };
        why
    };
    let torn = Order { file: source("x.tsfile", &SAMPLE[..100]), ..order(middle, None) };
    assert!(unfit(torn).contains("cannot be cut"));
    let long = vec![b'x'; (1 << 20) + 1].leak();
    assert!(unfit(order(middle, Some(("x.tsfile.mods", long)))).contains("1048576 are read"));
    assert!(unfit(order(middle, Some(("x.tsfile.mods2", &[1, 2])))).contains("x.tsfile.mods2"));
    // What it says besides deletions would be lost.
    for (name, more) in [
        ("x.tsfile.mods", &b"DELETION,root.**,1,2\nLATER,root.**\n"[..]),
        ("x.tsfile.mods", b"DELETION,root.**,1,2\nDELETION,root.**,3,4"),
        ("x.tsfile.mods2", &[9]),
    ] {
        assert!(unfit(order(middle, Some((name, more)))).contains("more than deletions"));
    }
    // Its chunks are torn, which no end of it shows.
    let mut flawed = include_bytes!("../../../tests/samples/v3_tiny.tsfile").to_vec();
    let separator = TsFile::open(&flawed[..]).expect("sound").summary().separator;
    flawed[12..usize::try_from(separator).expect("small")].fill(0xee);
    let flawed = Order { file: source("x.tsfile", flawed.leak()), ..order(2000, None) };
    assert!(unfit(flawed).contains("cannot be cut"));
}

#[test]
fn a_withdrawn_order_leaves_nothing() {
    let (disk, desk) = (SimDisk::new(1, DISK_BYTES), Desk::default());
    let mut spool = open(&disk);
    let (_, middle) = times();
    drop(desk.order(order(middle, None)));
    assert!(desk.next_order().is_none(), "nobody waits for it");
    for steps in 0..20 {
        let ticket = desk.order(order(middle, None));
        let mut job = begin(&desk, &disk, steps);
        let done = (0..steps).any(|_| job.step(&desk, &mut OfSpool(&mut spool)) != Step::Worked);
        drop(ticket);
        if !done {
            let step = job.step(&desk, &mut OfSpool(&mut spool));
            assert_eq!(step, Step::Over("withdrawn".to_owned()));
        }
        while let Some(gone) = desk.next_gone() {
            disk.remove(&gone.path).expect("there");
            spool.shrink_made(gone.bytes);
        }
        assert_eq!((left(&disk), spool.stats().partial_bytes), (BTreeSet::new(), 0), "{steps}");
        if done {
            return;
        }
    }
    panic!("it never ends");
}

#[test]
fn whatever_call_fails_the_next_attempt_makes_the_same() {
    let (_, middle) = times();
    let Outcome::Made(expected) = outcome(order(middle, None)) else { panic!("it can be cut") };
    let mut failed = 0;
    for fault in [Fault::Io, Fault::NoSpace, Fault::Short] {
        for call in 0.. {
            let (disk, desk) = (SimDisk::new(1, DISK_BYTES), Desk::default());
            let mut spool = open(&disk);
            let before = disk.calls().all;
            disk.schedule(call, fault, false);
            let mut ticket = desk.order(order(middle, None));
            work(&desk, &disk, &mut spool);
            let was_hit = disk.calls().all > before + call;
            disk.heal();
            let outcome = ticket.take().expect("it is over");
            if let Outcome::Made(file) = &outcome {
                assert_eq!(file.hash(), expected.hash());
            } else {
                assert!(matches!(outcome, Outcome::Failed(_)), "{fault:?} at {call}: {outcome:?}");
                failed += 1;
                assert_eq!(spool.stats().partial_bytes, 0, "{fault:?} at {call}");
            }
            let mut ticket = desk.order(order(middle, None));
            work(&desk, &disk, &mut spool);
            let Some(Outcome::Made(file)) = ticket.take() else { panic!("{fault:?} at {call}") };
            assert_eq!(bytes_of(&file), bytes_of(&expected));
            if !was_hit {
                break;
            }
        }
    }
    assert!(failed > 8, "{failed} calls failed");
}

#[test]
fn a_crash_at_any_step_leaves_nothing_and_the_cut_is_made_again() {
    let (_, middle) = times();
    let Outcome::Made(expected) = outcome(order(middle, None)) else { panic!("it can be cut") };
    for kills in [false, true] {
        for steps in 0.. {
            let (disk, desk) = (SimDisk::new(steps, DISK_BYTES), Desk::default());
            let mut spool = open(&disk);
            let ticket = desk.order(order(middle, None));
            let mut job = begin(&desk, &disk, 1);
            let done =
                (0..steps).any(|_| job.step(&desk, &mut OfSpool(&mut spool)) != Step::Worked);
            if kills {
                disk.kill();
            } else {
                disk.crash();
            }
            drop((ticket, job, spool));
            let desk = Desk::default();
            let mut spool = open(&disk);
            assert_eq!((left(&disk), spool.stats().partial_bytes), (BTreeSet::new(), 0));
            let mut ticket = desk.order(order(middle, None));
            work(&desk, &disk, &mut spool);
            let Some(Outcome::Made(file)) = ticket.take() else { panic!("{steps} steps") };
            assert_eq!(bytes_of(&file), bytes_of(&expected), "{steps} steps");
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_cut_may_go_beyond_the_quota_and_into_half_of_the_reserve() {
    let disk = SimDisk::new(1, DISK_BYTES);
    let settings = Settings { max_bytes: 16384, reserve_bytes: 4 << 20, ..settings() };
    let mut spool = Spool::open(disk.clone(), settings, clock::now(), 0).expect("opens").0;
    spool.grow_made(13 << 20).expect("a full spool waits for it");
    assert!(spool.room_for(1).is_err(), "it counts");
    spool.shrink_made(13 << 20);
    let Err(Full { needed, available, .. }) = spool.grow_made(15 << 20) else { panic!("too much") };
    assert!(needed == 15 << 20 && available > 13 << 20 && available <= 14 << 20, "{available}");

    let (_, middle) = times();
    let desk = Desk::default();
    let mut ticket = desk.order(order(middle, None));
    disk.set_capacity(1 << 20);
    work(&desk, &disk, &mut spool);
    let Some(Outcome::Failed(error)) = ticket.take() else { panic!("no room") };
    assert!(error.to_string().contains("no room"), "{error}");
    assert_eq!((left(&disk), spool.stats().partial_bytes), (BTreeSet::new(), 0));
}

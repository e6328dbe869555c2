//! Receivers, stage and spool over a simulated disk, without threads: connections end, the node crashes at
//! any moment, the disk fails behind an answer, and every answered request lies in the spool, once.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "what is out of range fails the test")]

use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock::config::Role;
use penstock::data::Sequence;
use penstock::intake::gate::store::GateStore;
use penstock::keep::spool_handle::SpoolHandle;
use penstock::keep::spool_thread::{Settings, SpoolThread};
use penstock::keep::stage::Record;
use penstock::link::receiver::Receiver;
use penstock::ops::board::Board;
use penstock::ops::clock::{self, EpochMillis};
use penstock::spool::{Fault, Kind, LinkId, SimDisk, Spool};
use penstock::wire::answer::Answer;
use penstock_test_support::chance::Chance;
use penstock_test_support::frames;
use tokio::sync::watch;

use crate::small_spool;
use crate::world::{policy, ts_file};

const PEERS: usize = 3;
const UNITS: usize = 12;
const SEEDS: u64 = 10;

/// What has to be stored as one: a tablet, or a file's pieces and its seal.
struct Unit {
    payloads: Vec<Vec<u8>>,
}

/// A stock sender: one frame at a time, and the whole unit again after every loss.
struct Sender {
    units: Vec<Unit>,
    /// The unit and the frame of it that is under way.
    unit: usize,
    frame: usize,
    /// What of the frame is not sent; a connection begins with a handshake.
    rest: Vec<u8>,
    greets: bool,
    machine: Receiver,
}

struct Node {
    disk: SimDisk,
    thread: SpoolThread<SimDisk>,
    handle: SpoolHandle<SimDisk>,
    store: GateStore,
    boot: u32,
    links: u32,
    now: Instant,
}

#[test]
fn what_was_answered_is_there_once_after_any_crash() {
    penstock_test_support::parallel::run(SEEDS, play);
}

/// The answer to a piece does not wait for its write; that of the seal does, whatever call of the disk fails.
#[test]
fn a_write_that_fails_behind_the_answer_to_its_piece_leaves_the_seal_without_one() {
    let mut failed = 0;
    for call in 0.. {
        let (mut node, mut sender) = answered_but_not_written();
        let before = node.disk.calls().all;
        node.disk.schedule(call, Fault::Io, false);
        let stepped = node.thread.step(node.now, EpochMillis(0));
        let mut reports = Vec::new();
        node.handle.stage().take_reports(&mut reports);
        if stepped.is_err() {
            failed += 1;
            assert_eq!((reports, sender.machine.poll_answer()), (Vec::new(), None), "call {call}");
        } else if node.disk.calls().all - before <= call {
            break;
        }
    }
    assert!(failed >= 5, "making, writing, syncing, renaming and appending: {failed}");
}

#[test]
fn a_disk_that_is_full_behind_the_answer_to_a_piece_holds_that_of_the_seal() {
    let (mut node, mut sender) = answered_but_not_written();
    node.disk.schedule(0, Fault::NoSpace, true);
    node.step(slice::from_mut(&mut sender));
    assert_eq!((sender.machine.poll_answer(), sender.machine.poll_reset()), (None, None));
    node.disk.heal();
    node.step(slice::from_mut(&mut sender));
    assert_eq!(sender.machine.poll_answer(), Some(Answer::Accepted));
}

/// All pieces of a file are answered, its seal is sent, and the spool's thread has seen none of it.
fn answered_but_not_written() -> (Node, Sender) {
    let mut node = Node::open(SimDisk::new(1, 1 << 30), clock::now());
    let machine = node.machine();
    let mut sender = Sender::new(0, 1, machine);
    let before = node.disk.calls().writes;
    for _ in 0..100 {
        if sender.frame == sender.units[0].payloads.len() - 1 && sender.rest.is_empty() {
            assert_eq!(node.disk.calls().writes, before);
            return (node, sender);
        }
        sender.send(usize::MAX, &mut node);
    }
    panic!("a piece has no answer");
}

fn play(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut node = Node::open(SimDisk::new(seed, 1 << 30), clock::now());
    let mut senders: Vec<_> =
        (0..PEERS).map(|number| Sender::new(number, seed, node.machine())).collect();
    for _ in 0..200_000 {
        if senders.iter().all(Sender::is_done) {
            node.check(&senders, seed);
            return;
        }
        node.now += Duration::from_millis(chance.below(20));
        match chance.below(1000) {
            0..5 => {
                node.disk.crash();
                node = Node::open(node.disk.clone(), node.now);
                for sender in &mut senders {
                    sender.begin(node.machine());
                }
            }
            5..20 => {
                let index = usize::try_from(chance.below(PEERS as u64)).unwrap();
                node.end(&mut senders[index]);
                let machine = node.machine();
                senders[index].begin(machine);
            }
            20..400 => node.step(&mut senders),
            _ => {
                let index = usize::try_from(chance.below(PEERS as u64)).unwrap();
                let most = usize::try_from(chance.below(200_000)).unwrap() + 1;
                senders[index].send(most, &mut node);
            }
        }
    }
    panic!("seed {seed}: not everything arrived");
}

impl Node {
    fn open(disk: SimDisk, now: Instant) -> Self {
        let mut settings = small_spool();
        settings.max_bytes = 64 << 20;
        let (spool, _) = Spool::open(disk.clone(), settings, now, 0).unwrap();
        let boot = spool.boot();
        let board = Arc::new(Board::new(Role::Receiver, "test", now));
        let settings = Settings { connections: 64, max_frame_bytes: 64 << 20 };
        let (thread, handle) = SpoolThread::new(disk.clone(), spool, settings, board);
        let store = GateStore::new(handle.stage(), watch::channel(None).0);
        Self { disk, thread, handle, store, boot, links: 0, now }
    }

    fn machine(&mut self) -> Receiver {
        self.links += 1;
        Receiver::new(LinkId::new(self.boot, self.links), Arc::new(policy()))
    }

    fn end(&mut self, sender: &mut Sender) {
        sender.machine.handle_close(&mut self.store);
        let stage = self.handle.stage();
        stage.give_up(sender.machine.link());
        assert!(stage.push(Record::Close(sender.machine.link()), &[]));
    }

    fn step(&mut self, senders: &mut [Sender]) {
        self.thread.step(self.now, EpochMillis(0)).unwrap();
        let mut reports = Vec::new();
        self.handle.stage().take_reports(&mut reports);
        for report in reports {
            let of_link = |sender: &&mut Sender| sender.machine.link() == report.link;
            if let (Some(outcome), Some(sender)) =
                (report.outcome, senders.iter_mut().find(of_link))
            {
                sender.machine.handle_stored(self.now, &outcome, &mut self.store);
            }
        }
    }

    fn check(self, senders: &[Sender], seed: u64) {
        self.disk.crash();
        let (spool, recovery) = Spool::open(self.disk.clone(), small_spool(), self.now, 0).unwrap();
        assert_eq!(recovery.corrupt_entries, 0, "seed {seed}");
        let mut reader = spool.reader(Sequence(1));
        let mut kinds = [0, 0];
        while let Some(entry) = reader.next_entry().unwrap() {
            kinds[usize::from(entry.header.kind == Kind::File)] += 1;
        }
        let units = || senders.iter().flat_map(|sender| &sender.units);
        let files = units().filter(|unit| unit.payloads.len() > 1).count();
        assert_eq!(kinds, [units().count() - files, files], "seed {seed}");
    }
}

impl Sender {
    fn new(number: usize, seed: u64, machine: Receiver) -> Self {
        let units = (0..UNITS).map(|unit| Unit::new(number * UNITS + unit, seed)).collect();
        let mut sender = Self { units, unit: 0, frame: 0, rest: Vec::new(), greets: true, machine };
        sender.next();
        sender
    }

    fn is_done(&self) -> bool {
        self.unit >= self.units.len()
    }

    /// A new connection: the unit from its start.
    fn begin(&mut self, machine: Receiver) {
        self.machine = machine;
        self.frame = 0;
        self.greets = true;
        self.next();
    }

    fn next(&mut self) {
        self.rest = match self.units.get(self.unit) {
            _ if self.greets => frames::frame(&frames::handshake("theirs", "ms")),
            Some(unit) => frames::frame(&unit.payloads[self.frame]),
            None => Vec::new(),
        };
    }

    fn send(&mut self, most: usize, node: &mut Node) {
        self.machine.handle_room(node.now, &mut node.store);
        if let Some(answer) = self.machine.poll_answer() {
            assert_eq!(answer.byte(), 0);
            self.frame += usize::from(!std::mem::take(&mut self.greets));
            if self.units.get(self.unit).is_some_and(|unit| self.frame == unit.payloads.len()) {
                (self.unit, self.frame) = (self.unit + 1, 0);
            }
            self.next();
        }
        assert_eq!(self.machine.poll_reset(), None);
        let wanted = self.machine.wanted(node.now, &mut node.store);
        let count = wanted.min(most).min(self.rest.len());
        let part: Vec<u8> = self.rest.drain(..count).collect();
        self.machine.handle_input(node.now, &part, &mut node.store);
    }
}

impl Unit {
    fn new(number: usize, seed: u64) -> Self {
        let device = format!("root.sg.d{number}");
        let payloads = match number % 4 {
            0 => {
                let file = ts_file(50_000 + number as u64);
                let name = format!("{number}.tsfile");
                let (first, second) = file.split_at(30_000);
                vec![
                    frames::piece(frames::PIECE, &name, 0, first),
                    frames::piece(frames::PIECE, &name, 30_000, second),
                    frames::seal(&name, file.len() as u64),
                ]
            }
            _ => vec![frames::tablet_of(&device, 300 + 7000 * (number % 3), 0, seed)],
        };
        Self { payloads }
    }
}

//! The inner node: a spool that fills, and pipes that empty it through the gate, with the sink's own feed and frames.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use penstock::config::{NodeUrls, Role};
use penstock::data::{OriginId, Precision, Sequence};
use penstock::intake::inbox::Step;
use penstock::link::sender::Event;
use penstock::ops::board::Board;
use penstock::ops::clock::{self, EpochMillis};
use penstock::sink::air_gap::{
    AirGapSettings, DeadLetters, Done, Envelope, LanePlan, Load, Orders, Runs, SpoolFeed,
};
use penstock::sink::cuts::Desk;
use penstock::spool::{
    Arrival, ConsumerId, Cursor, EntryHeader, Kind, NewEntry, Outcome, Reader, Settings, SimDisk,
    Source, Spool, Start, WhenFull,
};
use tokio::sync::watch;

use crate::answered::Answered;
use crate::dropped::Dropped;
use crate::held;
use crate::inbox::{Inbox, Running, Shared};
use crate::line::Line;
use crate::outer::Outer;
use crate::plug::Plug;
use crate::random::Random;
use crate::record::{Seen, look};
use crate::runs::RunMode;
use crate::units::{Content, Unit, without_tail};
use crate::voice::{Did, Voice};
use crate::worker::Worker;

/// The node and its disk.
pub(crate) struct Inner {
    pub(crate) plug: Plug,
    node: Option<Node>,
    inbox: Inbox,
    origin: Option<OriginId>,
    /// What was durable here, by sequence.
    pub(crate) durable: BTreeMap<u64, Seen>,
    /// Units that were taken in, and are not known to be durable.
    taken: Vec<u64>,
    /// What it gave up to make room, and the sequence below which this was looked at.
    dropped: Dropped,
    gone_below: u64,
    /// Those that a crash took: their owner brings them again.
    pub(crate) lost: Vec<u64>,
    /// By pipe.
    answered: Vec<Answered>,
    /// The share of the link in percent of fresh entries, if they may overtake a backlog.
    pub(crate) fresh_share: Option<u8>,
    /// Whether and when tablets go as files.
    runs: Option<RunMode>,
    settings: Settings,
    sink: AirGapSettings,
}

/// What a crash takes.
struct Node {
    spool: Shared,
    inbox: Running,
    observer: Reader<SimDisk>,
    pipes: Vec<Pipe>,
    worker: Worker,
}

/// One consumer, its machine and its connection.
pub(crate) struct Pipe {
    pub(crate) consumer: ConsumerId,
    /// As far as the sink has said to have come.
    pub(crate) cursor: Arc<Mutex<Cursor>>,
    pub(crate) voice: Voice<Runs<SimDisk>>,
}

/// Which pipe it is, and in which order and form it sends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way {
    pub(crate) index: usize,
    pub(crate) fresh_share: Option<u8>,
    pub(crate) runs: Option<RunMode>,
}

impl Inner {
    pub(crate) fn new(seed: u64, settings: Settings, random: &mut Random) -> Self {
        let gate = NodeUrls::parse("127.0.0.1:9780").expect("an address");
        let mut sink = AirGapSettings::new(gate, "inner");
        sink.piece_bytes = usize::try_from(random.between(50, 400)).unwrap_or(100);
        sink.seal_timeout = Duration::from_secs(120);
        sink.envelope = Envelope::Frames { wrapped: random.once_in(4) };
        let pipes = if random.once_in(4) { 2 } else { 1 };
        let plug = Plug::new(seed);
        let fresh_share = random.once_in(8).then(|| random.between(1, 99));
        let fresh_share = fresh_share.map(|share| u8::try_from(share).unwrap_or(50));
        // Two pipes make runs of their own, a beginning that was dropped leaves another run, and what is fresh goes as
        // tablets: then values may come in both forms.
        let keeps_runs =
            pipes == 1 && fresh_share.is_none() && settings.when_full == WhenFull::Block;
        let runs = RunMode::any(random).filter(|_| keeps_runs);
        Self {
            inbox: Inbox::new(&plug.disk, random),
            plug,
            node: None,
            origin: None,
            durable: BTreeMap::new(),
            taken: Vec::new(),
            dropped: Dropped::default(),
            gone_below: 0,
            lost: Vec::new(),
            answered: vec![Answered::default(); pipes],
            fresh_share,
            runs,
            settings,
            sink,
        }
    }

    /// How many pipes there are.
    pub(crate) const fn pipes(&self) -> usize {
        self.answered.len()
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    fn pipe(&self, index: usize) -> Option<&Pipe> {
        self.node.as_ref()?.pipes.get(index)
    }

    fn pipe_mut(&mut self, index: usize) -> Option<&mut Pipe> {
        self.node.as_mut()?.pipes.get_mut(index)
    }

    /// The pipe whose connection this line is.
    pub(crate) fn pipe_on(&self, line: usize) -> Option<usize> {
        self.node.as_ref()?.pipes.iter().position(|pipe| pipe.voice.line == Some(line))
    }

    /// A 0x00 that nobody owes can be told from an answer now.
    pub(crate) fn can_tell_unasked(&self, pipe: usize) -> bool {
        let Some(pipe) = self.pipe(pipe) else { return false };
        let sender = &pipe.voice.sender;
        sender.is_writing() || (sender.is_connected() && sender.is_free())
    }

    /// Starts the node. Without a fault of the disk it has to start.
    pub(crate) fn open(&mut self, now: Instant, wall: EpochMillis, seed: u64) {
        match self.start(now, wall, seed) {
            Ok(node) => self.node = Some(node),
            Err(error) => {
                assert!(self.plug.has_struck(), "it does not start: {error}");
                self.plug.crash();
                return;
            }
        }
        if self.plug.is_down() {
            self.node = None;
            self.plug.crash();
            return;
        }
        self.check_again();
    }

    fn start(&self, now: Instant, wall: EpochMillis, seed: u64) -> Result<Node, String> {
        let disk = self.plug.disk.clone();
        let (mut spool, recovery) = Spool::open(disk, self.settings.clone(), now, wall.0)
            .map_err(|error| error.to_string())?;
        assert_eq!(recovery.corrupt_entries, 0, "a crash makes no flaws: {recovery:?}");
        assert_eq!(recovery.cursors_lost, 0, "a crash takes no cursors");
        let (mut pipes, desk) = (Vec::new(), Desk::default());
        for index in 0..self.pipes() {
            let seed = seed ^ index as u64;
            pipes.push(self.open_pipe(&mut spool, index, &desk, seed)?);
        }
        let observer = spool.reader(Sequence(1));
        let worker = Worker::new(desk, self.plug.disk.clone(), spool.reader(Sequence(0)));
        let spool = Rc::new(RefCell::new(spool));
        Ok(Node { observer, inbox: Running::start(&spool, wall), spool, pipes, worker })
    }

    fn open_pipe(
        &self,
        spool: &mut Spool<SimDisk>,
        index: usize,
        desk: &Desk,
        seed: u64,
    ) -> Result<Pipe, String> {
        let way = Way { index, fresh_share: self.fresh_share, runs: self.runs };
        Pipe::open(spool, (&self.plug.disk, &self.sink), (way, desk), seed)
    }

    /// A step of the worker that makes files of runs. Returns whether there was one.
    pub(crate) fn work(&mut self) -> bool {
        self.node.as_mut().is_some_and(|node| node.worker.step())
    }

    fn check_again(&mut self) {
        let Some(node) = &mut self.node else { return };
        let now = node.spool.borrow().origin();
        let origin = *self.origin.get_or_insert(now);
        assert!(origin == now || self.durable.is_empty(), "it has a new identity");
        self.origin = Some(now);
        self.dropped.read(&self.plug.disk);
        let mut position = u64::MAX;
        for (pipe, answered) in node.pipes.iter().zip(&mut self.answered) {
            answered.start();
            let cursor = pipe.cursor.lock().unwrap().clone();
            let is_done = |sequence: &u64| answered.has(*sequence) || self.dropped.has(*sequence);
            let mut passed =
                self.durable.keys().filter(|sequence| cursor.is_finished(Sequence(**sequence)));
            assert!(passed.all(is_done), "the cursor has passed what was not answered");
            position = position.min(cursor.position.0);
        }
        let oldest = node.spool.borrow().stats().first_sequence.0;
        let mut found = BTreeMap::new();
        let observer = &mut node.observer;
        self.plug.undisturbed(|_| {
            let oldest = observer.oldest();
            observer.seek(oldest);
            while let Some(entry) = observer.next_entry().expect("the inner spool is read") {
                found.insert(entry.header.sequence.0, look(observer, &entry));
            }
        });
        for (sequence, seen) in self.durable.range(position.max(oldest)..) {
            assert_eq!(found.get(sequence), Some(seen), "entry {sequence} was durable here");
        }
        self.durable.extend(found);
        let durable = &self.durable;
        let is_there = |unit: &u64| durable.values().any(|seen| seen.units.contains(unit));
        self.lost.extend(self.taken.drain(..).filter(|unit| !is_there(unit)));
        self.check_dropped();
        self.inbox.check(&self.plug, |unit| entries_of(&self.durable, unit));
    }

    /// What is gone was answered on every pipe, or given up as the oldest there was, listed and counted.
    fn check_dropped(&mut self) {
        let Some(node) = &self.node else { return };
        let stats = node.spool.borrow().stats();
        let first = std::mem::replace(&mut self.gone_below, stats.first_sequence.0);
        let answered = &self.answered;
        let is_left = |sequence: &&u64| answered.iter().any(|answered| !answered.has(**sequence));
        let mut gone = self.durable.range(first..self.gone_below.max(first));
        let mut gone =
            std::iter::from_fn(|| gone.next().map(|(sequence, _)| sequence)).filter(is_left);
        if self.settings.when_full == WhenFull::Block {
            return assert_eq!(gone.next(), None, "an entry is gone that was not answered");
        }
        self.dropped.read(&self.plug.disk);
        for sequence in gone {
            self.dropped.check(*sequence, &stats, self.plug.has_refused_room());
        }
    }

    /// Whether this entry was given up.
    pub(crate) fn has_dropped(&self, sequence: u64) -> bool {
        self.dropped.has(sequence)
    }

    /// Takes a tablet or a request into the spool, where it is not durable yet; a file goes into the inbox. `Err`: the disk failed.
    pub(crate) fn take_in(
        &mut self,
        unit: &Unit,
        wall: EpochMillis,
        random: &mut Random,
    ) -> Result<bool, String> {
        let Some(node) = &mut self.node else { return Ok(false) };
        let (kind, payload) = match &unit.content {
            Content::Tablet(payload) => (Kind::Tablet, without_tail(payload)),
            Content::Opaque(payload) => (Kind::Opaque, payload.as_slice()),
            Content::Long(_) | Content::File { .. } | Content::Flawed(_) => {
                return Ok(self.inbox.bring(unit, &mut self.plug, random));
            }
        };
        let entry = NewEntry {
            kind,
            source: Source::Own,
            hops: 0,
            precision: Some(Precision::Ms),
            time_range: None,
            payload,
        };
        let mut spool = node.spool.borrow_mut();
        let outcome = spool.append(entry, Arrival { wall_ms: wall.0, trusted: true });
        held::check_spool(&spool.stats(), &self.settings);
        match outcome {
            Ok(Outcome::Appended(_)) => {
                self.taken.push(unit.number);
                Ok(true)
            }
            Ok(other) => panic!("an own entry: {other:?}"),
            // Full, or fatal: the caller looks whether the spool is still whole.
            Err(_) if spool.sync().is_ok() => Ok(false),
            Err(error) => {
                // Whether it is there shows after the start.
                self.taken.push(unit.number);
                Err(error.to_string())
            }
        }
    }

    /// A step of the inbox; `None`: it waits. `Err`: the disk failed.
    pub(crate) fn step_inbox(
        &mut self,
        now: Instant,
        wall: EpochMillis,
    ) -> Result<Option<Step>, String> {
        let Some(node) = &mut self.node else { return Ok(None) };
        let stepped = node.inbox.step(&self.inbox, &self.plug, (now, wall));
        held::check_spool(&node.spool.borrow().stats(), &self.settings);
        if !matches!(stepped, Ok(None)) {
            self.observe();
        }
        stepped
    }

    /// Files of the inbox and entries agree, once everything has come to rest.
    pub(crate) fn check_inbox(&self) {
        self.inbox.check_end(&self.plug, |unit| entries_of(&self.durable, unit));
    }

    /// Makes durable what was taken in.
    pub(crate) fn sync(&mut self) -> Result<(), String> {
        let Some(node) = &mut self.node else { return Ok(()) };
        let synced = node.spool.borrow_mut().sync().map_err(|error| error.to_string());
        self.observe();
        synced.map(|_| ())
    }

    /// Looks at what is durable, and at what is gone.
    fn observe(&mut self) {
        let Some(node) = &mut self.node else { return };
        let (observer, durable) = (&mut node.observer, &mut self.durable);
        self.plug.undisturbed(|_| {
            while let Some(entry) = observer.next_entry().expect("the inner spool is read") {
                durable.insert(entry.header.sequence.0, look(observer, &entry));
            }
        });
        self.check_dropped();
    }

    pub(crate) fn maintain(&mut self, now: Instant) -> Result<(), String> {
        // It may sync, and then releases: look first.
        self.sync()?;
        let Some(node) = &mut self.node else { return Ok(()) };
        node.spool.borrow_mut().maintain(now).map(|_| ()).map_err(|error| error.to_string())
    }

    pub(crate) fn crash(&mut self, lines: &mut [Line], random: &mut Random) {
        let pipes = self.node.take().map(|node| node.pipes).unwrap_or_default();
        for line in pipes.into_iter().filter_map(|pipe| pipe.voice.line) {
            if let Some(line) = lines.get_mut(line) {
                line.drop_sender(random);
            }
        }
        self.plug.crash();
    }

    /// The dialled connection stands.
    pub(crate) fn connected(&mut self, pipe: usize, line: usize, now: Instant) {
        if let Some(pipe) = self.pipe_mut(pipe) {
            pipe.voice.dialled(Some(line), now);
        }
    }

    pub(crate) fn refused(&mut self, pipe: usize, now: Instant) {
        if let Some(pipe) = self.pipe_mut(pipe) {
            pipe.voice.dialled(None, now);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        let node = self.node.as_ref()?;
        let pipes = node.pipes.iter().filter_map(|pipe| pipe.voice.sender.poll_timeout());
        pipes.chain(node.inbox.timeout()).min()
    }

    /// Everything durable was answered to every pipe.
    pub(crate) fn is_done(&self) -> bool {
        let Some(node) = &self.node else { return false };
        let oldest = node.spool.borrow().stats().first_sequence.0;
        let last = self.durable.range(oldest..).next_back().map_or(0, |(last, _)| *last);
        self.inbox.is_done(&self.plug.disk)
            && node.pipes.iter().all(|pipe| last == 0 || last < pipe.position())
    }

    /// The machines, for people.
    pub(crate) fn show(&self) -> String {
        let pipes = self.node.iter().flat_map(|node| &node.pipes);
        pipes.fold(String::new(), |shown, pipe| format!("{shown}{:?} ", pipe.voice.sender))
    }

    /// One step of a pipe.
    pub(crate) fn step(
        &mut self,
        index: usize,
        now: Instant,
        lines: &mut [Line],
        random: &mut Random,
        outer: &Outer,
    ) -> Did {
        let Some(pipe) = self.pipe_mut(index) else { return Did::Nothing };
        let voice = &mut pipe.voice;
        let did = voice.step(now, lines, random);
        while let Some(event) = voice.sender.poll_event() {
            if event == Event::Delivered {
                let header = voice.load.delivered().expect("something was carried");
                self.delivered(index, &header, outer);
                break;
            }
        }
        did
    }

    /// The far side has accepted an entry: then it has to have it.
    fn delivered(&mut self, index: usize, header: &EntryHeader, outer: &Outer) {
        let sequence = header.sequence.0;
        let seen = outer.record.find(header.identity);
        let seen = seen.expect("an entry was answered, and is not durable over there");
        let Some(Node { spool, pipes, .. }) = &mut self.node else { return };
        let pipe = &pipes[index];
        let cursor = pipe.cursor.lock().unwrap().clone();
        if seen.is_run {
            let is_in =
                |(_, here): &(&u64, &Seen)| here.units.iter().any(|unit| seen.units.contains(unit));
            let run = self.durable.iter().filter(is_in).map(|(sequence, _)| *sequence);
            self.answered[index].note_run(&run.collect::<Vec<_>>(), &cursor);
        } else {
            let unit = &self.durable.get(&sequence).expect("it was durable here").units;
            assert_eq!(*unit, seen.units, "entry {sequence} is something else over there");
            self.answered[index].note(sequence, &cursor, self.fresh_share.is_some());
        }
        spool.borrow_mut().advance(pipe.consumer, &cursor).expect("the cursor moves on");
    }
}

/// How many entries there were of a unit.
fn entries_of(durable: &BTreeMap<u64, Seen>, unit: u64) -> usize {
    durable.values().filter(|seen| seen.units.contains(&unit)).count()
}

/// Whatever waits is backlog at once.
fn lane_plan(pipe: String, share_percent: u8) -> LanePlan {
    let board = Board::new(Role::Sender, "", clock::now());
    let row = board.pipes.row("p", "", EpochMillis(0)).expect("a row");
    // The clock of the machine does not decide.
    let fresh_for = if share_percent.is_multiple_of(2) { Duration::ZERO } else { Duration::MAX };
    LanePlan { pipe, share_percent, after: Duration::ZERO, fresh_for, row }
}

impl Pipe {
    pub(crate) fn open(
        spool: &mut Spool<SimDisk>,
        (disk, sink): (&SimDisk, &AirGapSettings),
        (way, desk): (Way, &Desk),
        seed: u64,
    ) -> Result<Self, String> {
        let name = format!("pipe {}", way.index);
        let consumer =
            spool.create_consumer(&name, Start::Oldest).map_err(|error| error.to_string())?;
        let start = spool.cursor(consumer).cloned().unwrap_or_default();
        let cursor = Arc::new(Mutex::new(start.clone()));
        let told = Arc::clone(&cursor);
        let orders = Orders {
            advance: Box::new(move |cursor| told.lock().unwrap().clone_from(cursor)),
            quarantine: Box::new(|sequence, why| -> Done {
                panic!("entry {sequence} has rotted: {why}")
            }),
        };
        let (reader, disk) = (spool.reader(start.position), disk.clone());
        // Nobody waits here: the world asks whenever it likes.
        let synced = watch::channel(spool.synced()).1;
        let feed =
            SpoolFeed::new(reader, start, synced, orders, DeadLetters::new(disk.clone(), &name));
        let plan = way.runs.map(|runs| runs.plan((&disk, &name), spool.origin(), desk));
        let feed = match way.fresh_share {
            Some(share) => feed.in_lanes(lane_plan(name, share)),
            None => feed,
        };
        let feed = Runs::new(feed, plan.transpose()?);
        let voice = Voice::new(Load::new(sink.clone(), feed), seed);
        Ok(Self { consumer, cursor, voice })
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.lock().unwrap().position.0
    }
}

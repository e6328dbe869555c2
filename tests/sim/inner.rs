//! The inner node: a spool that fills, and pipes that empty it through the gate, with the sink's own feed and frames.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use penstock::config::NodeUrls;
use penstock::data::{OriginId, Precision, Sequence};
use penstock::intake::inbox::Step;
use penstock::link::sender::{Command, Event, Sender};
use penstock::ops::clock::EpochMillis;
use penstock::sink::air_gap::{AirGapSettings, DeadLetters, Done, Load, Orders, SpoolFeed};
use penstock::spool::{
    Arrival, ConsumerId, Cursor, EntryHeader, Kind, NewEntry, Outcome, Reader, Settings, SimDisk,
    Source, Spool, Start, WhenFull,
};
use tokio::sync::watch;

use crate::dropped::Dropped;
use crate::held;
use crate::inbox::{Inbox, Running, Shared};
use crate::line::{End, Line};
use crate::outer::Outer;
use crate::plug::Plug;
use crate::random::Random;
use crate::record::{Seen, look};
use crate::units::{Content, Unit, without_tail};

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
    /// By pipe: everything below was answered.
    answered: Vec<u64>,
    settings: Settings,
    sink: AirGapSettings,
}

/// What a crash takes.
struct Node {
    spool: Shared,
    inbox: Running,
    observer: Reader<SimDisk>,
    pipes: Vec<Pipe>,
}

/// One consumer, its machine and its connection.
pub(crate) struct Pipe {
    pub(crate) consumer: ConsumerId,
    /// As far as the sink has said to have come.
    pub(crate) cursor: Arc<Mutex<Cursor>>,
    pub(crate) load: Load<SpoolFeed<SimDisk>>,
    pub(crate) sender: Sender,
    pub(crate) line: Option<usize>,
    /// Bytes of the frame that have not left.
    rest: Vec<u8>,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Did {
    Nothing,
    Something,
    /// It dials.
    Connect,
}

impl Inner {
    pub(crate) fn new(seed: u64, settings: Settings, random: &mut Random) -> Self {
        let gate = NodeUrls::parse("127.0.0.1:9780").expect("an address");
        let mut sink = AirGapSettings::new(gate, "inner");
        sink.piece_bytes = usize::try_from(random.between(50, 400)).unwrap_or(100);
        sink.seal_timeout = Duration::from_secs(120);
        sink.e_language = random.once_in(4);
        let pipes = if random.once_in(4) { 2 } else { 1 };
        let plug = Plug::new(seed);
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
            answered: vec![0; pipes],
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
        self.node.as_ref()?.pipes.iter().position(|pipe| pipe.line == Some(line))
    }

    /// A 0x00 that nobody owes can be told from an answer now.
    pub(crate) fn can_tell_unasked(&self, pipe: usize) -> bool {
        let Some(pipe) = self.pipe(pipe) else { return false };
        pipe.sender.is_writing() || (pipe.sender.is_connected() && pipe.sender.is_free())
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
        let mut pipes = Vec::new();
        for index in 0..self.pipes() {
            let seed = seed ^ index as u64;
            pipes.push(Pipe::open(&mut spool, (&self.plug.disk, &self.sink), index, seed)?);
        }
        let observer = spool.reader(Sequence(1));
        let spool = Rc::new(RefCell::new(spool));
        Ok(Node { observer, inbox: Running::start(&spool, wall), spool, pipes })
    }

    fn check_again(&mut self) {
        let Some(node) = &mut self.node else { return };
        let now = node.spool.borrow().origin();
        let origin = *self.origin.get_or_insert(now);
        assert!(origin == now || self.durable.is_empty(), "it has a new identity");
        self.origin = Some(now);
        self.dropped.read(&self.plug.disk);
        let mut position = u64::MAX;
        for (pipe, answered) in node.pipes.iter().zip(&self.answered) {
            let own = pipe.position();
            let mut passed = (*answered).max(1)..own;
            let was_given_up = passed.all(|sequence| self.dropped.has(sequence));
            assert!(was_given_up, "the cursor has passed what was not answered");
            position = position.min(own);
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
        let is_there = |unit: &u64| durable.values().any(|seen| seen.unit == *unit);
        self.lost.extend(self.taken.drain(..).filter(|unit| !is_there(unit)));
        self.check_dropped();
        self.inbox.check(&self.plug, |unit| entries_of(&self.durable, unit));
    }

    /// What is gone was answered on every pipe, or given up as the oldest there was, listed and counted.
    fn check_dropped(&mut self) {
        let Some(node) = &self.node else { return };
        let stats = node.spool.borrow().stats();
        let first = self.gone_below.max(self.answered.iter().copied().min().unwrap_or(0));
        self.gone_below = stats.first_sequence.0;
        if self.settings.when_full == WhenFull::Block {
            let missing = self.durable.range(first..self.gone_below.max(first)).next();
            return assert_eq!(missing, None, "an entry is gone that was not answered");
        }
        self.dropped.read(&self.plug.disk);
        for (sequence, _) in self.durable.range(first..self.gone_below.max(first)) {
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
        for line in pipes.into_iter().filter_map(|pipe| pipe.line) {
            if let Some(line) = lines.get_mut(line) {
                line.drop_sender(random);
            }
        }
        self.plug.crash();
    }

    /// The dialled connection stands.
    pub(crate) fn connected(&mut self, pipe: usize, line: usize, now: Instant) {
        if let Some(pipe) = self.pipe_mut(pipe) {
            pipe.dialled(Some(line), now);
        }
    }

    pub(crate) fn refused(&mut self, pipe: usize, now: Instant) {
        if let Some(pipe) = self.pipe_mut(pipe) {
            pipe.dialled(None, now);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        let node = self.node.as_ref()?;
        let pipes = node.pipes.iter().filter_map(|pipe| pipe.sender.poll_timeout());
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
        pipes.fold(String::new(), |shown, pipe| format!("{shown}{:?} ", pipe.sender))
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
        let did = pipe.step(now, lines, random);
        while let Some(event) = pipe.sender.poll_event() {
            if event == Event::Delivered {
                let header = pipe.load.delivered().expect("something was carried");
                self.delivered(index, &header, outer);
                break;
            }
        }
        did
    }

    /// The far side has accepted an entry: then it has to have it.
    fn delivered(&mut self, index: usize, header: &EntryHeader, outer: &Outer) {
        let sequence = header.sequence.0;
        let unit = self.durable.get(&sequence).expect("it was durable here").unit;
        let local = outer.record.by_unit.get(&unit);
        let seen = local.and_then(|local| outer.record.entries.get(local));
        let identity = seen.map(|seen| seen.identity);
        assert_eq!(
            identity,
            Some(header.identity),
            "unit {unit} was answered, and is not durable over there"
        );
        self.answered[index] = self.answered[index].max(sequence + 1);
        let Some(Node { spool, pipes, .. }) = &mut self.node else { return };
        let pipe = &pipes[index];
        let cursor = pipe.cursor.lock().unwrap().clone();
        assert_eq!(cursor.position, header.sequence.next());
        spool.borrow_mut().advance(pipe.consumer, &cursor).expect("the cursor moves on");
    }
}

/// How many entries there were of a unit.
fn entries_of(durable: &BTreeMap<u64, Seen>, unit: u64) -> usize {
    durable.values().filter(|seen| seen.unit == unit).count()
}

impl Pipe {
    pub(crate) fn open(
        spool: &mut Spool<SimDisk>,
        (disk, sink): (&SimDisk, &AirGapSettings),
        index: usize,
        seed: u64,
    ) -> Result<Self, String> {
        let name = format!("pipe {index}");
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
        let feed = SpoolFeed::new(reader, start, synced, orders, DeadLetters::new(disk, &name));
        let load = Load::new(sink.clone(), feed);
        let sender = Sender::new(load.sender_settings(), seed);
        Ok(Self { consumer, cursor, load, sender, line: None, rest: Vec::new() })
    }

    /// The connection that it dialled stands, or nobody was there.
    pub(crate) fn dialled(&mut self, line: Option<usize>, now: Instant) {
        self.line = line;
        match line {
            Some(_) => self.sender.handle_connected(now),
            None => self.sender.handle_lost(now, ErrorKind::ConnectionRefused),
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.lock().unwrap().position.0
    }

    pub(crate) fn step(&mut self, now: Instant, lines: &mut [Line], random: &mut Random) -> Did {
        if self.sender.poll_timeout().is_some_and(|at| at <= now) {
            self.sender.handle_timeout(now);
        }
        if self.sender.is_free() {
            // What the disk cannot read now it reads later.
            if let Ok(Some((_, delivery))) = self.load.entry() {
                self.sender.deliver(now, delivery);
            }
        }
        match self.sender.poll(now) {
            Some(Command::Connect { .. }) => Did::Connect,
            Some(Command::Look) => {
                self.look(now, lines);
                Did::Something
            }
            Some(Command::Send(frame)) => {
                match self.load.frame(frame) {
                    Ok(bytes) => self.rest = bytes,
                    Err(_) => self.sender.abandon(),
                }
                Did::Something
            }
            Some(Command::Close) => {
                if let Some(line) = self.line.take().and_then(|line| lines.get_mut(line)) {
                    line.drop_sender(random);
                }
                self.rest.clear();
                Did::Something
            }
            None if self.talk(now, lines, random) => Did::Something,
            None => Did::Nothing,
        }
    }

    fn look(&mut self, now: Instant, lines: &mut [Line]) {
        let Some(line) = self.line.and_then(|line| lines.get_mut(line)) else { return };
        match (line.take_answer(), line.sender) {
            (Some(answer), _) => self.sender.handle_answer(now, answer),
            (None, End::Open) => self.sender.handle_clear(now),
            (None, End::Reset | End::Gone) => self.sender.handle_closed(now),
        }
    }

    /// Reads, or writes on.
    fn talk(&mut self, now: Instant, lines: &mut [Line], random: &mut Random) -> bool {
        let Some(line) = self.line.and_then(|line| lines.get_mut(line)) else { return false };
        if let Some(answer) = line.take_answer() {
            self.sender.handle_answer(now, answer);
            return true;
        }
        if line.sender == End::Reset {
            line.drop_sender(random);
            if random.once_in(2) {
                self.sender.handle_closed(now);
            } else {
                self.sender.handle_lost(now, ErrorKind::ConnectionReset);
            }
            return true;
        }
        if self.rest.is_empty() || !self.sender.is_writing() || line.stalled {
            return false;
        }
        let most = self.rest.len();
        let count = if random.once_in(4) {
            usize::try_from(random.between(1, most as u64)).unwrap_or(most)
        } else {
            most
        };
        let part: Vec<u8> = self.rest.drain(..count).collect();
        line.send(&part);
        self.sender.handle_progress(now);
        if self.rest.is_empty() {
            self.sender.handle_written(now);
        }
        true
    }
}

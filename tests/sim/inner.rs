//! The inner node: a spool that fills, and one pipe that empties it through the gate.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use penstock::data::{Identity, OriginId, Precision, ReadAt, Sequence};
use penstock::link::sender::Settings as SenderSettings;
use penstock::link::sender::{Command, Delivery, Event, FileLengths, Frame, Sender};
use penstock::ops::clock::EpochMillis;
use penstock::spool::{
    Arrival, ConsumerId, Cursor, Entry, Kind, NewEntry, NewFileEntry, Outcome, Reader, SealedFile,
    Settings, SimDisk, Source, Spool, Start,
};
use penstock_test_support::frames;

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
    origin: Option<OriginId>,
    /// What was durable here, by sequence.
    pub(crate) durable: BTreeMap<u64, Seen>,
    /// Units that were taken in, and are not known to be durable.
    taken: Vec<u64>,
    /// Those that a crash took: their owner brings them again.
    pub(crate) lost: Vec<u64>,
    /// Everything below was answered.
    answered: u64,
    settings: Settings,
    sender: SenderSettings,
    e_language: bool,
}

/// What a crash takes.
struct Node {
    spool: Spool<SimDisk>,
    reader: Reader<SimDisk>,
    observer: Reader<SimDisk>,
    consumer: ConsumerId,
    cursor: Cursor,
    sender: Sender,
    line: Option<usize>,
    /// Bytes of the frame that have not left.
    rest: Vec<u8>,
    current: Option<Current>,
}

struct Current {
    entry: Entry,
    unit: u64,
    files: Vec<(String, Vec<u8>)>,
    payload: Vec<u8>,
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
        let mut sender = SenderSettings::new(NonZeroUsize::MIN);
        sender.piece_bytes = usize::try_from(random.between(50, 400)).unwrap_or(100);
        sender.seal_timeout = Duration::from_secs(120);
        Self {
            plug: Plug::new(seed),
            node: None,
            origin: None,
            durable: BTreeMap::new(),
            taken: Vec::new(),
            lost: Vec::new(),
            answered: 0,
            settings,
            sender,
            e_language: random.once_in(4),
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// The line of its connection.
    pub(crate) fn line(&self) -> Option<usize> {
        self.node.as_ref()?.line
    }

    /// A 0x00 that nobody owes can be told from an answer now.
    pub(crate) fn can_tell_unasked(&self) -> bool {
        let Some(node) = &self.node else { return false };
        node.sender.is_writing() || (node.sender.is_connected() && node.current.is_none())
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
        assert_eq!(recovery.corrupt_entries, 0, "a crash makes no flaws");
        assert_eq!(recovery.cursors_lost, 0, "a crash takes no cursors");
        let consumer =
            spool.create_consumer("gate", Start::Oldest).map_err(|error| error.to_string())?;
        let cursor = spool.cursor(consumer).cloned().unwrap_or_default();
        Ok(Node {
            reader: spool.reader(cursor.position),
            observer: spool.reader(Sequence(1)),
            spool,
            consumer,
            cursor,
            sender: Sender::new(self.sender.clone(), seed),
            line: None,
            rest: Vec::new(),
            current: None,
        })
    }

    fn check_again(&mut self) {
        let Some(node) = &mut self.node else { return };
        let origin = *self.origin.get_or_insert_with(|| node.spool.origin());
        assert!(origin == node.spool.origin() || self.durable.is_empty(), "it has a new identity");
        self.origin = Some(node.spool.origin());
        let position = node.cursor.position.0;
        assert!(position <= self.answered.max(1), "the cursor has passed what was not answered");
        let mut found = BTreeMap::new();
        let observer = &mut node.observer;
        self.plug.undisturbed(|_| {
            let oldest = observer.oldest();
            observer.seek(oldest);
            while let Some(entry) = observer.next_entry().expect("the inner spool is read") {
                found.insert(entry.header.sequence.0, look(observer, &entry));
            }
        });
        for (sequence, seen) in self.durable.range(position..) {
            assert_eq!(found.get(sequence), Some(seen), "entry {sequence} was durable here");
        }
        self.durable.extend(found);
        let durable = &self.durable;
        let is_there = |unit: &u64| durable.values().any(|seen| seen.unit == *unit);
        self.lost.extend(self.taken.drain(..).filter(|unit| !is_there(unit)));
    }

    /// Takes a unit into the spool; it is not durable yet. `Err`: the disk failed.
    pub(crate) fn take_in(&mut self, unit: &Unit, wall: EpochMillis) -> Result<bool, String> {
        let Some(node) = &mut self.node else { return Ok(false) };
        let arrival = Arrival { wall_ms: wall.0, trusted: true };
        let outcome = match &unit.content {
            Content::Tablet(payload) => {
                let entry = NewEntry {
                    kind: Kind::Tablet,
                    source: Source::Own,
                    hops: 0,
                    precision: Some(Precision::Ms),
                    time_range: None,
                    payload: without_tail(payload),
                };
                node.spool.append(entry, arrival).map_err(|error| error.to_string())
            }
            Content::File { mods, bytes } => {
                node.take_in_file(unit, mods.as_deref(), bytes, arrival)
            }
        };
        match outcome {
            Ok(Outcome::Appended(_)) => {
                self.taken.push(unit.number);
                Ok(true)
            }
            Ok(other) => panic!("an own entry: {other:?}"),
            // Full, or fatal: the caller looks whether the spool is still whole.
            Err(_) if node.spool.sync().is_ok() => Ok(false),
            Err(error) => {
                // Whether it is there shows after the start.
                self.taken.push(unit.number);
                Err(error)
            }
        }
    }

    /// Makes durable what was taken in.
    pub(crate) fn sync(&mut self) -> Result<(), String> {
        let Some(node) = &mut self.node else { return Ok(()) };
        let synced = node.spool.sync().map_err(|error| error.to_string());
        let (observer, durable) = (&mut node.observer, &mut self.durable);
        self.plug.undisturbed(|_| {
            while let Some(entry) = observer.next_entry().expect("the inner spool is read") {
                durable.insert(entry.header.sequence.0, look(observer, &entry));
            }
        });
        synced.map(|_| ())
    }

    pub(crate) fn maintain(&mut self, now: Instant) -> Result<(), String> {
        // It may sync, and then releases: look first.
        self.sync()?;
        let Some(node) = &mut self.node else { return Ok(()) };
        node.spool.maintain(now).map(|_| ()).map_err(|error| error.to_string())
    }

    pub(crate) fn crash(&mut self, lines: &mut [Line], random: &mut Random) {
        if let Some(line) = self.node.take().and_then(|node| node.line)
            && let Some(line) = lines.get_mut(line)
        {
            line.drop_sender(random);
        }
        self.plug.crash();
    }

    /// The dialled connection stands.
    pub(crate) fn connected(&mut self, line: usize, now: Instant) {
        if let Some(node) = &mut self.node {
            node.line = Some(line);
            node.sender.handle_connected(now);
        }
    }

    pub(crate) fn refused(&mut self, now: Instant) {
        if let Some(node) = &mut self.node {
            node.sender.handle_lost(now, ErrorKind::ConnectionRefused);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.node.as_ref()?.sender.poll_timeout()
    }

    /// Everything durable was answered.
    pub(crate) fn is_done(&self) -> bool {
        let Some(node) = &self.node else { return false };
        self.durable.keys().next_back().is_none_or(|last| *last < node.cursor.position.0)
    }

    /// The machine, for people.
    pub(crate) fn show(&self) -> String {
        self.node.as_ref().map_or_else(String::new, |node| format!("{:?}", node.sender))
    }

    /// One step of the pipe.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        lines: &mut [Line],
        random: &mut Random,
        outer: &Outer,
    ) -> Did {
        let Some(node) = &mut self.node else { return Did::Nothing };
        if node.sender.poll_timeout().is_some_and(|at| at <= now) {
            node.sender.handle_timeout(now);
        }
        if node.sender.is_free() {
            node.take_on(now);
        }
        let did = match node.sender.poll(now) {
            Some(Command::Connect { .. }) => Did::Connect,
            Some(Command::Look) => {
                node.look(now, lines);
                Did::Something
            }
            Some(Command::Send(frame)) => {
                node.rest = node.frame(frame, self.e_language);
                Did::Something
            }
            Some(Command::Close) => {
                if let Some(line) = node.line.take().and_then(|line| lines.get_mut(line)) {
                    line.drop_sender(random);
                }
                node.rest.clear();
                Did::Something
            }
            None if node.talk(now, lines, random) => Did::Something,
            None => Did::Nothing,
        };
        while let Some(event) = node.sender.poll_event() {
            if event == Event::Delivered {
                let entry = node.delivered(outer);
                self.answered = self.answered.max(entry + 1);
            }
        }
        did
    }
}

impl Node {
    fn take_in_file(
        &mut self,
        unit: &Unit,
        mods: Option<&[u8]>,
        bytes: &[u8],
        arrival: Arrival,
    ) -> Result<Outcome, String> {
        let (name, mods_name) = (unit.name(), unit.mods_name());
        let mut files = Vec::new();
        for (name, bytes) in
            mods.map(|mods| (mods_name.as_str(), mods)).into_iter().chain([(name.as_str(), bytes)])
        {
            let partial = self.spool.create_partial().map_err(|error| error.to_string())?;
            self.spool.write_partial(partial, 0, bytes).map_err(|error| error.to_string())?;
            let hash = *blake3::hash(bytes).as_bytes();
            let (partial, bytes) = (Some(partial), bytes.len() as u64);
            files.push(SealedFile { name: Some(name), partial, bytes, hash });
        }
        let entry = NewFileEntry {
            source: Source::Own,
            hops: 0,
            precision: Some(Precision::Ms),
            time_range: None,
            request_type: 0,
            files: &files,
            parameters: &[],
        };
        self.spool.seal(entry, arrival).map_err(|error| error.to_string())
    }

    fn take_on(&mut self, now: Instant) {
        if self.current.is_none() {
            // What the disk cannot read now it reads later.
            let Ok(Some(entry)) = self.reader.next_entry() else { return };
            match self.load(&entry) {
                Some(current) => self.current = Some(current),
                None => return self.reader.seek(entry.header.sequence),
            }
        }
        let Some(current) = &self.current else { return };
        let delivery = match current.entry.header.kind {
            Kind::File => {
                let lengths: FileLengths =
                    current.files.iter().map(|(_, bytes)| bytes.len() as u64).collect();
                Delivery::Files(lengths)
            }
            Kind::Tablet | Kind::Opaque | Kind::Void => Delivery::Whole,
        };
        self.sender.deliver(now, delivery);
    }

    fn load(&self, entry: &Entry) -> Option<Current> {
        let mut payload = vec![0; entry.header.payload_bytes as usize];
        self.reader.read_payload(entry, 0, &mut payload).ok()?;
        let identity = entry.header.identity;
        let mut files = Vec::new();
        let mut unit = crate::units::number_in(&payload);
        if entry.header.kind == Kind::File {
            let list = penstock::spool::FileList::parse(&payload)?;
            for (index, file) in list.files().enumerate() {
                let content = self.reader.open_file(entry, &list, index).ok()?;
                let mut bytes = vec![0; file.bytes as usize];
                content.read_at(0, &mut bytes).ok()?;
                unit = crate::units::number_of(file.name?);
                files.push((wire_name(identity, file.name?), bytes));
            }
        }
        Some(Current { entry: *entry, unit: unit?, files, payload })
    }

    /// The bytes of a frame.
    fn frame(&self, frame: Frame, e_language: bool) -> Vec<u8> {
        let payload = match (frame, &self.current) {
            (Frame::Whole, Some(current)) => current.payload.clone(),
            (Frame::Piece { file, start, bytes }, Some(current)) => {
                let kind =
                    if current.files.len() > 1 { frames::PIECE_WITH_MODS } else { frames::PIECE };
                let (name, content) = &current.files[file];
                let from = usize::try_from(start).unwrap_or_default();
                frames::piece(kind, name, start, &content[from..from + bytes])
            }
            (Frame::Seal, Some(current)) => {
                let lengths: Vec<_> = current
                    .files
                    .iter()
                    .map(|(name, bytes)| (name.as_str(), bytes.len() as u64))
                    .collect();
                match lengths[..] {
                    [(name, bytes)] => frames::seal(name, bytes),
                    _ => frames::seal_with_mods(&lengths),
                }
            }
            (Frame::HandshakeV1, _) => frames::handshake_v1("ms"),
            (Frame::HandshakeV2, _) => frames::handshake("inner", "ms"),
            (frame, None) => panic!("{frame} of nothing"),
        };
        if e_language { frames::wrapped(&payload) } else { frames::frame(&payload) }
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

    /// The far side has accepted an entry: then it has to have it.
    fn delivered(&mut self, outer: &Outer) -> u64 {
        let current = self.current.take().expect("something was carried");
        let header = current.entry.header;
        let local = outer.record.by_unit.get(&current.unit);
        let seen = local.and_then(|local| outer.record.entries.get(local));
        let identity = seen.map(|seen| seen.identity);
        assert_eq!(
            identity,
            Some(header.identity),
            "unit {} was answered, and is not durable over there",
            current.unit
        );
        self.cursor = Cursor::at(header.sequence.next());
        self.spool.advance(self.consumer, &self.cursor).expect("the cursor moves on");
        header.sequence.0
    }
}

fn wire_name(identity: Identity, name: &str) -> String {
    format!("{}{name}", identity.file_prefix().as_str())
}

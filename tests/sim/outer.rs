//! The outer node: receivers, stage, spool and landing as in the program, without its threads.
//!
//! ```text
//!  lines --> Receiver --> GateStore --> SpoolThread::step --> Spool --+--> Landing --> /land
//!        <-- one byte <--------------- reports after the sync         +--> what this test looks at
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock::config::Role;
use penstock::data::Sequence;
use penstock::intake::gate::store::GateStore;
use penstock::keep::spool_handle::SpoolHandle;
use penstock::keep::spool_thread::{Settings as ThreadSettings, SpoolThread};
use penstock::keep::stage::Record as StageRecord;
use penstock::limits;
use penstock::link::receiver::{Plans, Policy, Receiver};
use penstock::link::sender::Event;
use penstock::ops::board::Board;
use penstock::ops::clock::EpochMillis;
use penstock::sink::air_gap::AirGapSettings;
use penstock::sink::cuts::Desk;
use penstock::sink::landing::{self, Landing, SpoolSource, Step};
use penstock::spool::{ConsumerId, LinkId, Reader, Settings, SimDisk, Spool, Start};
use penstock::tsfile::read::{Device, TsFile};
use tokio::sync::watch;

use crate::held;
use crate::inner::{Pipe, Way};
use crate::line::{End, Line};
use crate::plug::Plug;
use crate::random::Random;
use crate::record::Record;
use crate::runs::{RunMode, is_run};
use crate::units::{Content, Unit, number_in, number_of};
use crate::voice::Did;
use crate::worker::Worker;

/// Connections in the table; the one that was silent longest makes room.
const CONNECTIONS: usize = 6;
const LANDING: &str = "/land";
const FRAME_BYTES_MAX: u32 = 4 << 20;

/// The node and its disk.
pub(crate) struct Outer {
    pub(crate) plug: Plug,
    node: Option<Node>,
    pub(crate) record: Record,
    /// Files that lay in the directory at some time.
    landed: HashMap<u64, PathBuf>,
    /// The rows of long requests, by file.
    landed_rows: HashMap<u64, HashMap<PathBuf, usize>>,
    policy: Arc<Policy>,
    settings: Settings,
    /// Of its own pipe, if it has one.
    sink: Option<AirGapSettings>,
    /// Whether and when that sends tablets as files.
    runs: Option<RunMode>,
    seed: u64,
}

/// What a crash takes.
struct Node {
    thread: SpoolThread<SimDisk>,
    handle: SpoolHandle<SimDisk>,
    store: GateStore,
    landing: Landing<SimDisk, SpoolSource<SimDisk>>,
    landing_consumer: ConsumerId,
    observer: Reader<SimDisk>,
    pipe: Option<Pipe>,
    worker: Worker,
    connections: Vec<Connection>,
    closing: Vec<LinkId>,
    boot: u32,
    links: u32,
}

struct Connection {
    machine: Receiver,
    line: usize,
    heard: Instant,
}

impl Outer {
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        let policy = Policy {
            max_frame_bytes: FRAME_BYTES_MAX,
            cluster_id: "outer".to_owned(),
            login: None,
            assumed: None,
            local: Vec::new(),
            plans: Plans::default(),
            hold_max: limits::HOLD_MAX,
        };
        Self {
            plug: Plug::new(seed),
            node: None,
            record: Record::default(),
            landed: HashMap::new(),
            landed_rows: HashMap::new(),
            policy: Arc::new(policy),
            settings,
            sink: None,
            runs: None,
            seed,
        }
    }

    /// The same with a pipe of its own, which sends on whatever it takes in.
    pub(crate) fn with_pipe(self, sink: AirGapSettings, runs: Option<RunMode>) -> Self {
        Self { sink: Some(sink), runs, ..self }
    }

    /// A step of the worker that makes files of runs. Returns whether there was one.
    pub(crate) fn work(&mut self) -> bool {
        self.node.as_mut().is_some_and(|node| node.worker.step())
    }

    pub(crate) fn pipe_mut(&mut self) -> Option<&mut Pipe> {
        self.node.as_mut()?.pipe.as_mut()
    }

    /// A step of its pipe to `far`, which has whatever it has accepted.
    pub(crate) fn step_pipe(
        &mut self,
        now: Instant,
        lines: &mut [Line],
        random: &mut Random,
        far: &Self,
    ) -> Did {
        let Some(Node { pipe: Some(pipe), handle, .. }) = &mut self.node else {
            return Did::Nothing;
        };
        let voice = &mut pipe.voice;
        let did = voice.step(now, lines, random);
        while let Some(event) = voice.sender.poll_event() {
            if event == Event::Delivered {
                let header = voice.load.delivered().expect("something was carried");
                let sent = &self.record.entries[&header.sequence.0];
                let is_there = far.record.find(header.identity).is_some()
                    || far.record.has_all_of(sent, header.identity);
                let units = &sent.units;
                assert!(is_there, "units {units:?} were answered, and are not durable over there");
                handle.advance(pipe.consumer, &pipe.cursor.lock().expect("a cursor"));
            }
        }
        did
    }

    /// Whether its pipe has sent whatever there is.
    pub(crate) fn has_sent_all(&self) -> bool {
        let last = self.record.entries.keys().next_back().copied().unwrap_or(0);
        let pipe = self.node.as_ref().and_then(|node| node.pipe.as_ref());
        pipe.is_none_or(|pipe| last < pipe.position())
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// Starts the node. Without a fault of the disk it has to start.
    pub(crate) fn open(&mut self, now: Instant, wall: EpochMillis, units: &HashMap<u64, Unit>) {
        match self.start(now, wall) {
            Ok(node) => self.node = Some(node),
            Err(error) => {
                assert!(self.plug.has_struck(), "seed {}: it does not start: {error}", self.seed);
                self.plug.crash();
                return;
            }
        }
        if self.plug.is_down() {
            // The node did not ask for what failed.
            self.node = None;
            self.plug.crash();
            return;
        }
        let (record, node) = (&mut self.record, self.node.as_mut());
        if let Some(node) = node {
            self.plug.undisturbed(|_| record.check_again(&mut node.observer, units));
        }
        self.check_landed(units);
    }

    fn start(&self, now: Instant, wall: EpochMillis) -> Result<Node, String> {
        let disk = self.plug.disk.clone();
        let (mut spool, recovery) = Spool::open(disk.clone(), self.settings.clone(), now, wall.0)
            .map_err(|error| error.to_string())?;
        assert_eq!(recovery.corrupt_entries, 0, "a crash makes no flaws");
        assert_eq!(recovery.cursors_lost, 0, "a crash takes no cursors");
        assert_eq!(recovery.failing, None);
        let landing_consumer =
            spool.create_consumer("landing", Start::Oldest).map_err(|error| error.to_string())?;
        let cursor = spool.cursor(landing_consumer).cloned().unwrap_or_default();
        let settings = landing::Settings {
            dir: PathBuf::from(LANDING),
            node: spool.origin(),
            next_sequence: spool.next_sequence(),
            max_file_bytes: 2048,
            max_delay: Duration::from_secs(1),
            limits: landing::Limits::default(),
        };
        let source = SpoolSource::new(spool.reader(Sequence(1)));
        let landing = Landing::open(disk.clone(), settings, source, cursor)
            .map_err(|error| error.to_string())?;
        let observer = spool.reader(Sequence(1));
        let (desk, way) = (Desk::default(), Way { runs: self.runs, ..Way::default() });
        let open = |sink| {
            let seed = self.seed ^ wall.0.unsigned_abs();
            Pipe::open(&mut spool, (&disk, sink), (way, &desk), seed)
        };
        let pipe = self.sink.as_ref().map(open).transpose()?;
        let worker = Worker::new(desk, disk.clone(), spool.reader(Sequence(0)));
        let boot = spool.boot();
        let board = Arc::new(Board::new(Role::Receiver, "outer", now));
        let settings =
            ThreadSettings { connections: CONNECTIONS, max_frame_bytes: FRAME_BYTES_MAX };
        let (thread, handle) = SpoolThread::new(disk, spool, settings, board);
        let store = GateStore::new(handle.stage(), watch::channel(None).0);
        let (connections, closing) = (Vec::new(), Vec::new());
        Ok(Node {
            thread,
            handle,
            store,
            landing,
            landing_consumer,
            observer,
            pipe,
            worker,
            connections,
            closing,
            boot,
            links: 0,
        })
    }

    /// The power goes, or the disk is given up.
    pub(crate) fn crash(&mut self, lines: &mut [Line], random: &mut Random) {
        if let Some(node) = self.node.take() {
            for connection in &node.connections {
                lines[connection.line].drop_receiver(random);
            }
            if let Some(line) = node.pipe.and_then(|pipe| pipe.voice.line) {
                lines[line].drop_sender(random);
            }
        }
        self.plug.crash();
    }

    /// A connection comes; `false`: nobody listens.
    pub(crate) fn accept(
        &mut self,
        line: usize,
        now: Instant,
        lines: &mut [Line],
        random: &mut Random,
    ) -> bool {
        let Some(node) = &mut self.node else { return false };
        if node.connections.len() >= CONNECTIONS {
            let silent = (0..).zip(&node.connections).min_by_key(|(_, other)| other.heard);
            if let Some((index, _)) = silent {
                node.end(index, lines, random);
            }
        }
        node.links += 1;
        let link = LinkId::new(node.boot, node.links);
        let machine = Receiver::new(link, Arc::clone(&self.policy));
        node.connections.push(Connection { machine, line, heard: now });
        true
    }

    pub(crate) fn connections(&self) -> usize {
        self.node.as_ref().map_or(0, |node| node.connections.len())
    }

    /// Lets one connection do what it can. Returns whether anything happened.
    pub(crate) fn serve(
        &mut self,
        index: usize,
        now: Instant,
        lines: &mut [Line],
        random: &mut Random,
    ) -> bool {
        let Some(node) = &mut self.node else { return false };
        node.serve(index, now, lines, random)
    }

    /// A turn of the spool thread, and what follows from it. `Err`: the disk failed, and the node has to end.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        wall: EpochMillis,
        units: &HashMap<u64, Unit>,
        lines: &mut [Line],
    ) -> Result<bool, String> {
        let Some(node) = &mut self.node else { return Ok(false) };
        let turned = node.thread.step(now, wall).map_err(|error| error.to_string());
        let worked = node.deliver(now);
        let held = node.thread.held();
        held::check_node(&held, node.store.memory_bytes(), &self.settings, CONNECTIONS);
        if turned.is_err() {
            // The gate thread runs until the program has ended: what was reported it still answers.
            node.answer(lines);
        }
        let (record, observer) = (&mut self.record, &mut node.observer);
        self.plug.undisturbed(|_| record.read_on(observer, units));
        turned.map(|()| worked)
    }

    /// A step of the landing. Returns whether anything happened.
    pub(crate) fn land(&mut self, now: Instant, wall: EpochMillis) -> bool {
        let Some(node) = &mut self.node else { return false };
        let step = node.landing.step(now, wall);
        node.handle.advance(node.landing_consumer, node.landing.cursor());
        match step {
            // After an error it tries again.
            Ok(Step::Idle | Step::Full { .. }) | Err(_) => false,
            Ok(Step::Worked | Step::Landed(_)) => true,
            Ok(Step::Unfit { sequence, why, .. }) => panic!("entry {sequence} was taken in: {why}"),
        }
    }

    /// Whether no tablets wait for others to land with.
    pub(crate) fn has_landed_all(&self) -> bool {
        self.node.as_ref().is_none_or(|node| node.landing.due().is_none())
    }

    /// When the next wait of a connection ends.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        let node = self.node.as_ref()?;
        let of_pipe = node.pipe.as_ref().and_then(|pipe| pipe.voice.sender.poll_timeout());
        let connections = node.connections.iter();
        let of_gate = connections.filter_map(|connection| connection.machine.poll_timeout());
        of_gate.chain(of_pipe).min()
    }

    /// What lies in the landing directory is whole, recorded, and lies there once.
    pub(crate) fn check_landed(&mut self, units: &HashMap<u64, Unit>) {
        let mut lines_of = HashMap::<u64, u32>::new();
        let ledger = self.plug.disk.contents(&Path::new(LANDING).join("landing.jsonl"));
        let ledger = ledger.unwrap_or_default();
        for line in ledger.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: serde_json::Value =
                serde_json::from_slice(line).expect("a line of the ledger");
            if line["what"] == "delete" || line["what"] == "request" {
                let unit = self.note_opaque(&line, units);
                lines_of.extend(unit.map(|unit| (unit, lines_of.get(&unit).unwrap_or(&0) + 1)));
                continue;
            }
            let name = line["name"].as_str().expect("a name");
            match unit_of_path(Path::new(name)) {
                Some(unit) => *lines_of.entry(unit).or_default() += 1,
                None if is_run(name) => assert_eq!(line["what"], "file", "{name}"),
                None => assert_eq!(line["what"], "tablets", "{name}"),
            }
        }
        self.check_tablets(&ledger, units);
        for (path, _) in self.plug.disk.files() {
            let Some(unit) = path.starts_with(LANDING).then(|| unit_of_path(&path)).flatten()
            else {
                continue;
            };
            let before = self.landed.insert(unit, path.clone());
            assert!(before.is_none_or(|before| before == path), "unit {unit} was landed twice");
            assert!(lines_of.contains_key(&unit), "unit {unit} lies there without a line");
            let Some(Content::File { bytes, .. }) = units.get(&unit).map(|unit| &unit.content)
            else {
                panic!("unit {unit} is no file");
            };
            assert_eq!(self.plug.disk.contents(&path).as_ref(), Some(bytes), "unit {unit}");
        }
        for path in self.landed.values() {
            assert!(self.plug.disk.contents(path).is_some(), "{} is gone", path.display());
        }
        for (unit, count) in lines_of {
            assert_eq!(count, 1, "unit {unit} has {count} lines");
        }
    }

    /// The unit of a line about a request that was passed on as it is: a deletion is a line, another one a file, which
    /// may not be there yet.
    fn note_opaque(&mut self, line: &serde_json::Value, units: &HashMap<u64, Unit>) -> Option<u64> {
        let (unit, path) = if let Some(device) = line["paths"][0].as_str() {
            let unit = number_in(device.as_bytes()).expect("a device of ours");
            (unit, Path::new(LANDING).join("landing.jsonl"))
        } else {
            let path = Path::new(LANDING).join(line["name"].as_str().expect("a name"));
            let bytes = self.plug.disk.contents(&path)?;
            let unit = number_in(&bytes).expect("a device of ours");
            let sent = units.get(&unit).map(|unit| &unit.content);
            assert_eq!(sent, Some(&Content::Opaque(bytes)), "unit {unit} landed otherwise");
            (unit, path)
        };
        let before = self.landed.insert(unit, path.clone());
        assert!(before.is_none_or(|before| before == path), "unit {unit} was landed twice");
        Some(unit)
    }

    /// Each device, which is a unit of its own, is in one file made of tablets, or a long one in several; each of
    /// them has a line.
    fn check_tablets(&mut self, ledger: &[u8], units: &HashMap<u64, Unit>) {
        for (path, _) in self.plug.disk.files() {
            let Some(name) = path.strip_prefix(LANDING).ok().and_then(Path::to_str) else {
                continue;
            };
            if name.contains("/.") || !(name.contains("-tablets") || is_run(name)) {
                continue;
            }
            let is_named = ledger.windows(name.len()).any(|window| window == name.as_bytes());
            assert!(is_named, "{name} lies there without a line");
            let bytes = self.plug.disk.contents(&path).expect("it is there");
            let file = TsFile::open(bytes.as_slice()).expect("a TsFile");
            let mut devices = file.devices().expect("devices");
            while let Some(device) = devices.next().expect("a device") {
                let unit = number_in(device.id.path().as_bytes()).expect("a device of ours");
                let long = match units.get(&unit).map(|unit| &unit.content) {
                    Some(Content::Long(long)) => Some((long.rows(), rows_of(&file, &device))),
                    _ => None,
                };
                self.note_landed(unit, &path, long);
            }
        }
    }

    /// A long unit has so many rows, of which so many are in this file; it has landed with the last of them.
    fn note_landed(&mut self, unit: u64, path: &Path, long: Option<(usize, usize)>) {
        let Some((all, here)) = long else {
            let before = self.landed.insert(unit, path.to_owned());
            let is_once = before.is_none_or(|before| before == path);
            assert!(is_once || self.record.is_excused, "unit {unit} was landed twice");
            return;
        };
        let files = self.landed_rows.entry(unit).or_default();
        files.insert(path.to_owned(), here);
        let rows = files.values().sum::<usize>();
        assert!(rows <= all, "rows of unit {unit} were landed twice");
        if rows == all {
            self.landed.insert(unit, path.to_owned());
        }
    }

    /// Whether this unit lies in the landing directory.
    pub(crate) fn has_landed(&self, unit: u64) -> bool {
        self.landed.contains_key(&unit)
    }
}

impl Node {
    fn serve(
        &mut self,
        index: usize,
        now: Instant,
        lines: &mut [Line],
        random: &mut Random,
    ) -> bool {
        self.retry_closing();
        let Some(connection) = self.connections.get_mut(index) else { return false };
        let Some(line) = lines.get_mut(connection.line) else { return false };
        let (machine, store) = (&mut connection.machine, &mut self.store);
        let mut worked = false;
        if machine.poll_timeout().is_some_and(|at| at <= now) {
            machine.handle_timeout(now, store);
        }
        if machine.waits_for_room() {
            machine.handle_room(now, store);
        }
        if let Some(answer) = machine.poll_answer() {
            line.answer(answer.byte());
            connection.heard = now;
            worked = true;
        }
        while machine.poll_event().is_some() {}
        if machine.poll_reset().is_some() {
            self.end(index, lines, random);
            return true;
        }
        let wanted = machine.wanted(now, store);
        if wanted > 0 {
            let bytes = line.pass(wanted, random);
            if !bytes.is_empty() {
                machine.handle_input(now, &bytes, store);
                connection.heard = now;
                worked = true;
            }
        }
        if line.receiver == End::Reset && !worked {
            self.end(index, lines, random);
            return true;
        }
        worked
    }

    /// The connection goes, with all that it has not finished.
    fn end(&mut self, index: usize, lines: &mut [Line], random: &mut Random) {
        let mut connection = self.connections.remove(index);
        connection.machine.handle_close(&mut self.store);
        let link = connection.machine.link();
        self.handle.stage().give_up(link);
        self.closing.push(link);
        self.retry_closing();
        if let Some(line) = lines.get_mut(connection.line) {
            line.drop_receiver(random);
        }
    }

    fn retry_closing(&mut self) {
        let stage = self.handle.stage();
        self.closing.retain(|link| !stage.push(StageRecord::Close(*link), &[]));
    }

    fn answer(&mut self, lines: &mut [Line]) {
        for connection in &mut self.connections {
            if let Some(answer) = connection.machine.poll_answer() {
                lines[connection.line].answer(answer.byte());
            }
        }
    }

    /// Outcomes go to their connections.
    fn deliver(&mut self, now: Instant) -> bool {
        let mut reports = Vec::new();
        self.handle.stage().take_reports(&mut reports);
        for report in &reports {
            let mut of_link =
                self.connections.iter_mut().filter(|other| other.machine.link() == report.link);
            if let (Some(outcome), Some(connection)) = (report.outcome, of_link.next()) {
                connection.machine.handle_stored(now, &outcome, &mut self.store);
            }
        }
        !reports.is_empty()
    }
}

/// The unit whose `TsFile` this is; `None` for hidden names, mods, and all else.
fn unit_of_path(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with('.') || !name.ends_with(".tsfile") {
        return None;
    }
    number_of(name.rsplit('-').next()?)
}

/// Rows of a device that has a value in each cell.
fn rows_of(file: &TsFile<&[u8]>, device: &Device) -> usize {
    let mut series = file.series(device).expect("series");
    let first = series.next().expect("a series").expect("a first one");
    let statistics = file.statistics(first.statistics, first.value_type).expect("statistics");
    statistics.count as usize
}

/// One in which a long request has room, twice over.
pub(crate) fn large_spool() -> Settings {
    Settings { segment_bytes: 512 << 10, max_bytes: 12 << 20, ..small_spool() }
}

/// A small spool, so that segments come and go.
pub(crate) fn small_spool() -> Settings {
    Settings {
        segment_bytes: 8192,
        segment_max_age: Duration::from_secs(20),
        max_bytes: 1 << 20,
        reserve_bytes: 0,
        quarantine_max_bytes: 1 << 16,
        ..Settings::default()
    }
}

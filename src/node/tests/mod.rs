//! A whole node with its threads, listeners and main loop, on a simulated disk.

mod statements;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use penstock_test_support::peer::Peer;
use penstock_test_support::{frames, wait};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::{NodeError, main_loop, parts};
use crate::config::{self, Config, Input, Role};
use crate::ops::board::{Board, TroubleKind};
use crate::ops::clock;
use crate::ops::signals::Signal;
use crate::ops::status::{Status, control_path};
use crate::spool::{Fault, SimDisk};

const SOON: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

/// A receiver's disk and directory, which survive its runs.
struct Bench {
    disk: SimDisk,
    sets: Vec<String>,
    /// Of the control socket only.
    directory: TempDir,
    /// What a running node finds when it reads its configuration again.
    reread: Arc<Mutex<Option<Config>>>,
}

/// A node that runs.
struct Running {
    board: Arc<Board>,
    gate: SocketAddr,
    status: SocketAddr,
    control: PathBuf,
    signals: mpsc::Sender<Signal>,
    thread: JoinHandle<Result<(), NodeError>>,
}

impl Bench {
    fn new(capacity: u64) -> Self {
        Self::with_seed(7, capacity)
    }

    /// Nodes of one test need different seeds, or they have one identity.
    fn with_seed(seed: u64, capacity: u64) -> Self {
        let sets = [
            "gate.listen=127.0.0.1:0",
            "status.listen=127.0.0.1:0",
            "spool.segment_bytes=2MiB",
            "spool.reserve_bytes=0",
            "landing.enabled=false",
        ];
        Self {
            disk: SimDisk::new(seed, capacity),
            sets: sets.map(str::to_owned).into(),
            directory: tempfile::tempdir().unwrap(),
            reread: Arc::default(),
        }
    }

    fn config(&self, more: &[String]) -> Config {
        let sets: Vec<_> = self.sets.iter().chain(more).cloned().collect();
        let (config, findings) = config::read(Input {
            role: Role::Receiver,
            file: None,
            properties: None,
            sets: &sets,
            data_dir: Some(self.directory.path()),
            state_directory: None,
            host_name: "box",
        });
        assert_eq!(findings.sorted(), []);
        config
    }

    fn start(&self) -> Running {
        self.start_with(&self.config(&[]))
    }

    fn start_with(&self, config: &Config) -> Running {
        let config = config.clone();
        let board = Arc::new(Board::new(Role::Receiver, "box", clock::now()));
        let built = parts::build(&config, self.disk.clone(), &board).unwrap();
        let (signals, mut given) = mpsc::channel(1);
        let (shown, reread) = (Arc::clone(&board), Arc::clone(&self.reread));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let again = || reread.lock().unwrap().clone();
            let next = async || given.recv().await.unwrap_or(Signal::Stop);
            let node = main_loop::serve(config, &again, built, &shown, next);
            LocalSet::new().block_on(&runtime, node)
        });
        let listener = |kind: &str| {
            let found = || board.listeners().into_iter().find(|(known, _)| *known == kind);
            wait::find("a listener", SOON, found).unwrap().1
        };
        let (gate, status) = (listener("gate"), listener("status"));
        let control = control_path(self.directory.path(), None);
        Running { board: Arc::clone(&board), gate, status, control, signals, thread }
    }

    /// A node whose disk fails once while it takes a tablet; returns how it ended.
    fn run_into_a_fault(&self, run: u64) -> NodeError {
        let node = self.start();
        let mut peer = node.peer();
        let mut at = i64::try_from(run).unwrap() * 1_000_000;
        assert_eq!(peer.ask(&frames::tablet_of("root.a.d", 4096, at, run)).unwrap(), 0);
        // The next call may be one that the node does without; then it answers, and meets the next fault.
        loop {
            self.disk.schedule(0, Fault::Io, false);
            at += 1000;
            if peer.ask(&frames::tablet_of("root.a.d", 4096, at, run)).is_err() {
                break;
            }
        }
        let ended = node.thread.join().unwrap().unwrap_err();
        self.disk.heal();
        self.disk.crash();
        ended
    }
}

impl Running {
    fn peer(&self) -> Peer {
        Peer::introduce(self.gate, "theirs").unwrap()
    }

    /// Status code and body of a path.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect_timeout(&self.status, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn status(&self) -> Status {
        let (code, body) = self.get("/status");
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn stop(self) {
        self.signals.blocking_send(Signal::Stop).unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

#[test]
fn the_same_disk_error_three_times_leaves_a_node_that_only_tells() {
    let bench = Bench::new(64 * MIB);
    for run in 0..3 {
        let node = bench.run_into_a_fault(run);
        assert!(matches!(node, NodeError::ThreadEnded("spool")), "{node}");
    }
    // In the window it stays so, however healthy the disk is by now.
    for _ in 0..2 {
        let node = bench.start();
        wait::until("state failing", SOON, || node.status().spool.state == "failing").unwrap();
        let trouble = node.status().trouble;
        let shown = trouble.iter().find(|one| one.kind == "disk-failing").unwrap();
        assert!(shown.what.contains("Input/output error"), "{shown:?}");
        assert!(!shown.remedy.is_empty() && !shown.acknowledged, "{shown:?}");
        let (code, why) = node.get("/healthz");
        assert_eq!((code, why.contains("disk is failing")), (503, true), "{why}");
        assert!(
            node.get("/").1.contains("disk-failing") || node.get("/").1.contains("Input/output")
        );
        let taken = Peer::introduce(node.gate, "theirs")
            .and_then(|mut peer| peer.ask(&frames::tablet_of("root.a.d", 4096, 0, 9)));
        assert!(taken.is_err(), "a frame was answered with {taken:?}");
        node.stop();
    }
    // Ten minutes later it tries again.
    let path = Path::new("spool/failing");
    let text = String::from_utf8(bench.disk.contents(path).unwrap()).unwrap();
    let earlier = |line: &str| {
        let (at, rest) = line.split_once('\t').unwrap();
        format!("{}\t{rest}\n", at.parse::<i64>().unwrap() - 11 * 60_000)
    };
    bench.disk.place(path, text.lines().map(earlier).collect::<String>().as_bytes());
    let node = bench.start();
    assert_eq!(node.peer().ask(&frames::tablet_of("root.a.d", 4096, 1, 10)).unwrap(), 0);
    wait::until("state ok", SOON, || node.status().spool.state == "ok").unwrap();
    assert!(!node.board.troubles.has(TroubleKind::DiskFailing, ""));
    assert_eq!(node.get("/healthz").0, 200);
    node.stop();
}

#[test]
fn a_start_that_meets_the_same_disk_error_three_times_leaves_a_node_that_only_tells() {
    let bench = Bench::new(64 * MIB);
    let node = bench.start();
    assert_eq!(node.peer().ask(&frames::tablet_of("root.a.d", 4096, 0, 1)).unwrap(), 0);
    node.stop();
    // Whatever is read at a start is gone, but for the record of the failures.
    for (path, _) in bench.disk.files() {
        bench.disk.spoil(&path, 0..u64::MAX);
    }
    for _ in 0..3 {
        let board = Arc::new(Board::new(Role::Receiver, "box", clock::now()));
        let failed = parts::build(&bench.config(&[]), bench.disk.clone(), &board);
        assert!(failed.is_err(), "it started");
    }
    let node = bench.start();
    wait::until("state failing", SOON, || node.status().spool.state == "failing").unwrap();
    assert!(node.board.troubles.has(TroubleKind::DiskFailing, ""));
    assert_eq!(node.get("/healthz").0, 503);
    node.stop();
}

#[test]
fn a_file_that_can_never_fit_is_given_up_as_soon_as_that_is_sure() {
    const PIECE: usize = 256 * 1024;
    let bench = Bench::new(16 * MIB);
    let node = bench.start();
    let mut peer = node.peer();
    let bytes = vec![0x5a; PIECE];
    let mut taken = 0;
    while let Ok(0) = peer.ask(&frames::piece(frames::PIECE, "l.tsfile", taken, &bytes)) {
        taken += bytes.len() as u64;
        assert!(taken <= 16 * MIB, "more than the disk has");
    }
    assert!(taken > 4 * MIB, "given up although there was room: {taken}");
    let is_told = || node.board.troubles.has(TroubleKind::FileTooLarge, "");
    wait::until("trouble", SOON, is_told).unwrap();
    let status = node.status();
    let told = status.trouble.iter().find(|one| one.kind == "file-too-large").unwrap();
    assert!(told.what.contains("bytes, the spool takes"), "{told:?}");
    assert!(told.remedy.contains("make room"), "{told:?}");
    // What it had is free again, and others are served.
    let mut other = node.peer();
    assert_eq!(other.ask(&frames::tablet_of("root.a.d", 4096, 0, 1)).unwrap(), 0);
    wait::until("room", SOON, || node.status().spool.bytes < 4 * MIB).unwrap();
    node.stop();
}

#[test]
fn what_a_person_acknowledged_stays_so_over_a_restart() {
    let bench = Bench::new(64 * MIB);
    let node = bench.start();
    let mut peer = node.peer();
    assert_eq!(peer.send_file("half.tsfile", b"TsFile\x03 and no more", 100).unwrap(), 0);
    let asks = |node: &Running| node.status().trouble.iter().any(|one| !one.acknowledged);
    wait::until("trouble", SOON, || asks(&node)).unwrap();
    node.board.troubles.acknowledge(None);
    let path = Path::new("acknowledged");
    wait::until("a line", SOON, || bench.disk.contents(path).is_some_and(|text| !text.is_empty()))
        .unwrap();
    node.stop();
    let node = bench.start();
    wait::until("trouble", SOON, || !node.status().trouble.is_empty()).unwrap();
    assert!(!asks(&node), "{:?}", node.status().trouble);
    let mut peer = node.peer();
    assert_eq!(peer.send_file("other.tsfile", b"TsFile\x03 and no more", 100).unwrap(), 0);
    wait::until("a second thing", SOON, || asks(&node)).unwrap();
    node.stop();
}

#[test]
fn pipes_follow_the_configuration_while_the_node_runs() {
    let capacity = 64 * MIB;
    let far = [Bench::with_seed(1, capacity), Bench::with_seed(2, capacity)];
    let [first, second] = far.each_ref().map(Bench::start);
    let bench = Bench::with_seed(3, capacity);
    let to = |gate: SocketAddr, more: &str| {
        let sink = format!("sink='iotdb-air-gap-sink',node-urls='{gate}'{more}");
        bench.config(&[format!("pipe=[{{name='p',sink={{{sink}}}}}]")])
    };
    let node = bench.start_with(&to(first.gate, ""));
    let mut peer = node.peer();
    let mut send = |at: i64| {
        assert_eq!(peer.ask(&frames::tablet_of("root.a.d", 4096, at * 1000, 1)).unwrap(), 0);
    };
    let taken = |node: &Running| node.status().spool.next_sequence;
    let (before_first, before_second) = (taken(&first), taken(&second));
    let wait_taken = |node: &Running, count: u64| {
        wait::until("a tablet on the far side", SOON, || taken(node) == count).unwrap();
    };
    let reload = |config: Config| {
        *bench.reread.lock().unwrap() = Some(config);
        node.signals.blocking_send(Signal::Reload).unwrap();
    };
    send(1);
    wait_taken(&first, before_first + 1);
    // Another target, and another rate: it goes on where it left off.
    reload(to(second.gate, ",rate-limit-bytes-per-second=1000000"));
    wait::until("the new target", SOON, || {
        node.status().pipes.iter().any(|pipe| pipe.target == second.gate.to_string())
    })
    .unwrap();
    send(2);
    wait_taken(&second, before_second + 1);
    assert_eq!(taken(&first), before_first + 1);
    // Without a stanza it stops, keeps its place, and says so.
    reload(bench.config(&[]));
    let is_stopped = || node.board.troubles.has(TroubleKind::PipeStopped, "p");
    wait::until("trouble", SOON, is_stopped).unwrap();
    send(3);
    let kept = || node.status().pipes.iter().map(|pipe| pipe.remaining_entries).collect::<Vec<_>>();
    wait::until("what it keeps", SOON, || kept() == [1]).unwrap();
    reload(to(first.gate, ""));
    wait_taken(&first, before_first + 2);
    wait::until("no trouble", SOON, || !is_stopped()).unwrap();
    assert_eq!(taken(&second), before_second + 1);
    assert_eq!(node.status().pipes.len(), 1);
    for node in [node, first, second] {
        node.stop();
    }
}

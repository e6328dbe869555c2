//! A file of 2 GiB on a disk of 20 MB/s: whoever else sends is answered meanwhile, and no turn of the spool thread is
//! so long that the watchdog would take it for a hang.
//!
//! ```text
//!  a large file --- Receiver --+
//!                              +-- GateStore -- SpoolThread::step -- Spool<SlowDisk>
//!  small tablets -- Receiver --+                                          |
//!                                          the clock is what the disk has needed so far
//! ```
//!
//! Time is the disk's alone: processors count as infinitely fast, so that the outcome is the same on every machine.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails the test")]

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use penstock::config::Role;
use penstock::intake::gate::store::GateStore;
use penstock::keep::spool_handle::SpoolHandle;
use penstock::keep::spool_thread::{Settings as ThreadSettings, SpoolThread};
use penstock::limits::{HOLD_MAX, TURN_AGE_MAX};
use penstock::link::receiver::{Plans, Policy, Receiver};
use penstock::ops::board::Board;
use penstock::ops::clock::{self, EpochMillis};
use penstock::spool::{Disk, DiskFile, LinkId, OpenMode, RealDisk, Settings, Spool};
use penstock_test_support::frames;
use penstock_test_support::tsfile::TsFileShape;
use tempfile::TempDir;
use tokio::sync::watch;

/// A slow card.
const BYTES_PER_SECOND: u64 = 20_000_000;
const SYNC_TIME: Duration = Duration::from_millis(10);
const FILE_BYTES: u32 = 1 << 31;
const PIECE_BYTES: usize = 1 << 20;
/// A flush of what may be dirty at most (8 MiB), and what was staged before.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[test]
fn a_seal_of_2_gib_on_a_slow_disk_keeps_nobody_waiting() {
    let (mut bench, source) = (Bench::new(), Source::new());
    let large = bench.connect("large");
    let small = bench.connect("small");
    let mut sent = Sent { tablets: 0, at: None, slowest: Duration::ZERO };
    let mut start = 0;
    while start < source.bytes {
        let piece = source.read(start);
        bench.send(large, &frames::frame(&frames::piece(frames::PIECE, "l.tsfile", start, &piece)));
        start += piece.len() as u64;
        bench.until_answered(large, small, &mut sent);
    }
    let before = bench.disk.elapsed();
    let needed = Duration::from_secs(u64::from(FILE_BYTES) / BYTES_PER_SECOND - 1);
    assert!(before > needed, "the pieces were flushed as they came: {before:?}");
    bench.send(large, &frames::frame(&frames::seal("l.tsfile", source.bytes)));
    bench.until_answered(large, small, &mut sent);
    // One more, whose answer waits for whatever the seal has left behind.
    let tablets = sent.tablets;
    while sent.tablets < tablets + 2 {
        bench.turn(small, &mut sent);
    }
    assert_eq!(bench.stored_bytes(), source.bytes, "the file lies in the store");
    assert!(sent.tablets > 100, "only {} tablets were taken meanwhile", sent.tablets);
    assert!(sent.slowest <= ANSWER_MAX, "a tablet waited for {:?}", sent.slowest);
    assert!(bench.longest_turn < TURN_AGE_MAX, "a turn took {:?}", bench.longest_turn);
}

/// What the small sender has seen.
struct Sent {
    tablets: u64,
    /// Since when one waits for its answer.
    at: Option<Duration>,
    slowest: Duration,
}

/// A `TsFile` that is mostly a hole.
struct Source {
    file: File,
    bytes: u64,
    _directory: TempDir,
}

impl Source {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("source");
        let bytes = TsFileShape::sparse(FILE_BYTES, 1).write(&path).unwrap().bytes;
        Self { file: File::open(path).unwrap(), bytes, _directory: directory }
    }

    fn read(&self, start: u64) -> Vec<u8> {
        let left = usize::try_from(self.bytes - start).unwrap();
        let mut piece = vec![0; left.min(PIECE_BYTES)];
        self.file.read_exact_at(&mut piece, start).unwrap();
        piece
    }
}

/// A node's gate and spool, without their threads.
struct Bench {
    disk: SlowDisk,
    base: Instant,
    thread: SpoolThread<SlowDisk>,
    handle: SpoolHandle<SlowDisk>,
    store: GateStore,
    policy: Arc<Policy>,
    connections: Vec<Connection>,
    longest_turn: Duration,
    _directory: TempDir,
}

struct Connection {
    machine: Receiver,
    /// Came, and not taken by the machine yet.
    input: Vec<u8>,
    answer: Option<u8>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = SlowDisk::new(directory.path());
        let settings = Settings { reserve_bytes: 0, ..Settings::default() };
        let (base, wall) = (clock::now(), clock::wall());
        let (spool, _) = Spool::open(disk.clone(), settings, base, wall.0).unwrap();
        let board = Arc::new(Board::new(Role::Receiver, "slow", base));
        let settings = ThreadSettings { connections: 4, max_frame_bytes: 64 << 20 };
        let (thread, handle) = SpoolThread::new(disk.clone(), spool, settings, board);
        let store = GateStore::new(handle.stage(), watch::channel(None).0);
        let policy = Arc::new(Policy {
            max_frame_bytes: 64 << 20,
            cluster_id: "ours".to_owned(),
            login: None,
            assumed: None,
            local: Vec::new(),
            plans: Plans::default(),
            hold_max: HOLD_MAX,
        });
        Self {
            disk,
            base,
            thread,
            handle,
            store,
            policy,
            connections: Vec::new(),
            longest_turn: Duration::ZERO,
            _directory: directory,
        }
    }

    fn connect(&mut self, cluster: &str) -> usize {
        let index = self.connections.len();
        let link = LinkId::new(1, u32::try_from(index).unwrap() + 1);
        let machine = Receiver::new(link, Arc::clone(&self.policy));
        let input = frames::frame(&frames::handshake(cluster, "ms"));
        self.connections.push(Connection { machine, input, answer: None });
        while self.connections[index].answer.is_none() {
            self.step();
        }
        assert_eq!(self.connections[index].answer.take(), Some(0));
        index
    }

    fn send(&mut self, index: usize, frame: &[u8]) {
        self.connections[index].input.extend_from_slice(frame);
    }

    /// Goes on until the large sender has its answer, with tablets of the small one all the while.
    fn until_answered(&mut self, large: usize, small: usize, sent: &mut Sent) {
        while self.connections[large].answer.is_none() {
            self.turn(small, sent);
        }
        assert_eq!(self.connections[large].answer.take(), Some(0));
    }

    /// One step, and the next tablet if the last one is answered.
    fn turn(&mut self, small: usize, sent: &mut Sent) {
        let now = self.disk.elapsed();
        let since = *sent.at.get_or_insert_with(|| {
            let start = i64::try_from(sent.tablets).unwrap() * 1000;
            let tablet = frames::tablet_of("root.plant.d", 4096, start, sent.tablets);
            self.connections[small].input.extend_from_slice(&frames::frame(&tablet));
            now
        });
        self.step();
        if let Some(answer) = self.connections[small].answer.take() {
            assert_eq!(answer, 0);
            sent.slowest = sent.slowest.max(self.disk.elapsed().saturating_sub(since));
            (sent.tablets, sent.at) = (sent.tablets + 1, None);
        }
    }

    /// Bytes of sealed files.
    fn stored_bytes(&mut self) -> u64 {
        let (handle, thread) = (&self.handle, &mut self.thread);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (stored, stepped) = runtime.block_on(async {
            tokio::join!(handle.call(|spool| spool.stats().file_bytes), async {
                thread.step(clock::now(), clock::wall())
            })
        });
        stepped.unwrap();
        stored.unwrap()
    }

    /// A turn of the gate and one of the spool thread.
    fn step(&mut self) {
        let now = self.base + self.disk.elapsed();
        for connection in &mut self.connections {
            connection.serve(now, &mut self.store);
        }
        let before = self.disk.elapsed();
        self.thread.step(now, EpochMillis(clock::wall().0)).unwrap();
        self.longest_turn = self.longest_turn.max(self.disk.elapsed().saturating_sub(before));
        let now = self.base + self.disk.elapsed();
        let mut reports = Vec::new();
        self.handle.stage().take_reports(&mut reports);
        for report in reports {
            let of_link =
                self.connections.iter_mut().find(|each| each.machine.link() == report.link);
            if let (Some(outcome), Some(connection)) = (report.outcome, of_link) {
                connection.machine.handle_stored(now, &outcome, &mut self.store);
                connection.serve(now, &mut self.store);
            }
        }
    }
}

impl Connection {
    fn serve(&mut self, now: Instant, store: &mut GateStore) {
        let machine = &mut self.machine;
        if machine.waits_for_room() {
            machine.handle_room(now, store);
        }
        if machine.poll_timeout().is_some_and(|at| at <= now) {
            machine.handle_timeout(now, store);
        }
        if let Some(answer) = machine.poll_answer() {
            self.answer = Some(answer.byte());
        }
        while machine.poll_event().is_some() {}
        assert!(machine.poll_reset().is_none(), "a connection was reset");
        let wanted = machine.wanted(now, store).min(self.input.len());
        if wanted > 0 {
            let rest = self.input.split_off(wanted);
            machine.handle_input(now, &self.input, store);
            self.input = rest;
        }
    }
}

/// A directory whose reads and syncs take time on a clock of their own. Zeros become holes, so that a large file of
/// zeros needs no room.
#[derive(Debug, Clone)]
struct SlowDisk {
    inner: RealDisk,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    elapsed: Duration,
    /// Bytes that were written and not synced, by inode.
    dirty: HashMap<u64, u64>,
}

#[derive(Debug)]
struct SlowFile {
    inner: File,
    inode: u64,
    state: Arc<Mutex<State>>,
}

impl State {
    fn needs(&mut self, bytes: u64) {
        self.elapsed += Duration::from_micros(bytes * 1_000_000 / BYTES_PER_SECOND);
    }
}

impl SlowDisk {
    fn new(root: &Path) -> Self {
        Self { inner: RealDisk::new(root), state: Arc::default() }
    }

    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().elapsed
    }

    fn file(&self, inner: File) -> io::Result<SlowFile> {
        let inode = inner.metadata()?.ino();
        Ok(SlowFile { inner, inode, state: Arc::clone(&self.state) })
    }
}

impl Disk for SlowDisk {
    type File = SlowFile;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SlowFile> {
        self.file(self.inner.open(path, mode)?)
    }

    fn lock(&self, path: &Path) -> io::Result<SlowFile> {
        self.file(self.inner.lock(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk::rename(&self.inner, from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.state.lock().unwrap().elapsed += SYNC_TIME;
        Ok(())
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.inner.list(path, found)
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.file_bytes(path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        self.inner.entropy(into)
    }
}

impl DiskFile for SlowFile {
    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let count = DiskFile::read_at(&self.inner, offset, into)?;
        self.state.lock().unwrap().needs(count as u64);
        Ok(count)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let count: usize = parts.iter().map(|part| part.len()).sum();
        *self.state.lock().unwrap().dirty.entry(self.inode).or_default() += count as u64;
        let end = offset + count as u64;
        if parts.iter().all(|part| is_zero(part)) && self.inner.bytes()? <= offset {
            self.inner.truncate(end)?;
            return Ok(count);
        }
        DiskFile::write_at(&self.inner, offset, parts)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.inner.truncate(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.inner.truncate(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let dirty = state.dirty.remove(&self.inode).unwrap_or_default();
        state.needs(dirty);
        state.elapsed += SYNC_TIME;
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

//! A feed in memory, and a far side over loopback that follows a script and reads bytes by hand.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::super::*;
use crate::config::NodeUrls;
use crate::config::Role;
use crate::data::{Identity, OriginId, Sequence};
use crate::sink::cuts::Lent;
use crate::spool::{Arrival, Kind, Source};

pub(super) const WRAP_PREFIX: &[u8] =
    b"<!System=IoTDB Version=1.0 Code=UTF-8 Data=1.0!>\n<block:=Free>\n";
pub(super) const WRAP_SUFFIX: &[u8] = b"\n</block:=Free>";

/// A whole small TsFile of stock IoTDB.
pub(super) fn ts_file() -> &'static [u8] {
    let capture = include_bytes!("../../../../tests/golden/iotdb-1.3.3/002-4-tsfile-piece.bin");
    &capture[capture.len() - 2292..]
}

// The feed.

#[derive(Debug, Default)]
pub(super) struct Shelf {
    entries: VecDeque<(EntryHeader, Content)>,
    /// What was gone ahead of.
    on_way: VecDeque<(EntryHeader, Content)>,
    pub(super) advanced: Vec<u64>,
    pub(super) put_aside: Vec<(u64, String)>,
    pub(super) quarantined: Vec<(u64, String)>,
    /// Times that the quarantine has no room.
    pub(super) quarantine_full: u32,
    /// What files are said to hash to; their own hash, if nothing else is said.
    pub(super) hashes: HashMap<&'static str, [u8; 32]>,
    pub(super) failing_reads: u32,
    /// Files are not there any more.
    pub(super) files_gone: bool,
    passed: u64,
    next: u64,
}

impl Shelf {
    /// From now on nothing can be read any more.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[derive(Debug, Clone)]
enum Content {
    Payload(Vec<u8>),
    Files(u16, Vec<(&'static str, &'static [u8])>),
}

/// Both ends of the feed: the sink's, and the test's.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelves {
    pub(super) shelf: Arc<Mutex<Shelf>>,
    changed: Arc<Notify>,
}

impl Shelves {
    pub(super) fn put_payload(&self, payload: &[u8]) {
        self.put(Kind::Tablet, None, Content::Payload(payload.to_vec()));
    }

    /// A tablet of a device, as they lie in the spool.
    pub(super) fn put_tablet(&self, device: u32, text: &str) {
        let identity = Identity {
            origin: OriginId([7; 16]),
            sequence: Sequence(self.shelf.lock().unwrap().next + 1),
        };
        let id = identity.plan_node_id();
        let payload = [b"\x01\0\x02\0\x0d", text.as_bytes(), id.as_bytes(), &[0; 4]].concat();
        self.put_of(device, Kind::Tablet, None, Content::Payload(payload));
    }

    /// Entries that were gone ahead of.
    pub(super) fn on_way(&self) -> usize {
        self.shelf.lock().unwrap().on_way.len()
    }

    pub(super) fn put_precise(&self, payload: &[u8], precision: Precision) {
        self.put(Kind::Tablet, Some(precision), Content::Payload(payload.to_vec()));
    }

    pub(super) fn put_files(&self, request_type: u16, files: &[(&'static str, &'static [u8])]) {
        self.put(Kind::File, None, Content::Files(request_type, files.to_vec()));
    }

    fn put(&self, kind: Kind, precision: Option<Precision>, content: Content) {
        self.put_of(0, kind, precision, content);
    }

    fn put_of(&self, device: u32, kind: Kind, precision: Option<Precision>, content: Content) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.next += 1;
        let sequence = Sequence(shelf.next);
        let payload = match &content {
            Content::Payload(payload) => payload.as_slice(),
            Content::Files(..) => &[],
        };
        let header = EntryHeader {
            segment: 1,
            sequence,
            synced: sequence,
            arrival: Arrival { wall_ms: 0, trusted: false },
            kind,
            source: Source::Own,
            hops: 0,
            precision,
            time_range: None,
            identity: Identity { origin: OriginId([7; 16]), sequence },
            device,
            void_entries: 0,
            file_count: 0,
            payload_bytes: u32::try_from(payload.len()).unwrap(),
            content_crc: None,
            payload_crc: crc32fast::hash(payload),
        };
        shelf.entries.push_back((header, content));
        self.changed.notify_one();
    }

    /// A file is said to hash to this.
    pub(super) fn say_hash(&self, name: &'static str, hash: [u8; 32]) {
        self.shelf.lock().unwrap().hashes.insert(name, hash);
    }

    /// Flips the last bit of the first payload, or flips it back.
    pub(super) fn flip(&self) {
        let mut shelf = self.shelf.lock().unwrap();
        if let Some((_, Content::Payload(payload))) = shelf.entries.front_mut() {
            *payload.last_mut().unwrap() ^= 1;
        }
    }

    pub(super) fn advanced(&self) -> Vec<u64> {
        self.shelf.lock().unwrap().advanced.clone()
    }
}

fn disk_error() -> ReadError {
    ReadError::Disk {
        operation: "read",
        path: "shelf".into(),
        source: ErrorKind::InvalidData.into(),
    }
}

impl Feed for Shelves {
    type File = &'static [u8];

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        let shelf = self.shelf.lock().unwrap();
        Ok(shelf.entries.front().map(|(header, _)| *header))
    }

    async fn changed(&mut self) {
        self.changed.notified().await;
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        let mut shelf = self.shelf.lock().unwrap();
        if shelf.failing_reads > 0 {
            shelf.failing_reads -= 1;
            return Err(disk_error());
        }
        let Some((_, Content::Payload(payload))) = shelf.entries.front() else {
            return Err(disk_error());
        };
        into.copy_from_slice(payload);
        Ok(())
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        let shelf = self.shelf.lock().unwrap();
        let Some((_, Content::Payload(payload))) = shelf.entries.front() else {
            return Err(disk_error());
        };
        into.copy_from_slice(payload.get(..into.len()).ok_or_else(disk_error)?);
        Ok(())
    }

    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
        Ok(self.open_files()?.map(Lent::new))
    }

    fn position(&self) -> Sequence {
        Sequence(self.shelf.lock().unwrap().passed)
    }

    fn objection(&self) -> Option<&str> {
        None
    }

    fn is_pending(&self) -> bool {
        false
    }

    fn is_over(&self) -> bool {
        false
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.entries.pop_front();
        shelf.passed = header.sequence.0;
    }

    fn tell_passed(&mut self) {
        let mut shelf = self.shelf.lock().unwrap();
        let passed = shelf.passed;
        shelf.advanced.push(passed);
    }

    fn open_files(&mut self) -> Result<StoredFiles<&'static [u8]>, ReadError> {
        let shelf = self.shelf.lock().unwrap();
        let Some((header, Content::Files(request_type, files))) = shelf.entries.front() else {
            return Err(disk_error());
        };
        if shelf.files_gone {
            return Err(ReadError::File { sequence: header.sequence, index: 0 });
        }
        let files = files.iter().map(|(name, bytes)| StoredFile {
            name: Some((*name).to_owned()),
            bytes: bytes.len() as u64,
            hash: shelf
                .hashes
                .get(name)
                .copied()
                .unwrap_or_else(|| *blake3::hash(bytes).as_bytes()),
            file: Some(*bytes),
        });
        let (request_type, files) = (*request_type, files.collect());
        Ok(StoredFiles { request_type, files, parameters: Vec::new() })
    }

    fn may_go_ahead(&self) -> bool {
        true
    }

    fn go_ahead(&mut self, header: &EntryHeader) {
        let mut shelf = self.shelf.lock().unwrap();
        let gone = shelf.entries.pop_front().unwrap();
        assert_eq!(gone.0.sequence, header.sequence);
        shelf.on_way.push_back(gone);
    }

    fn settle(&mut self, pending: Option<Sequence>) {
        let mut shelf = self.shelf.lock().unwrap();
        let is_done = |entry: &(EntryHeader, Content)| {
            pending.is_none_or(|pending| entry.0.sequence < pending)
        };
        while shelf.on_way.front().is_some_and(is_done) {
            let (header, _) = shelf.on_way.pop_front().unwrap();
            shelf.advanced.push(header.sequence.0);
        }
    }

    fn go_back(&mut self) {
        let mut shelf = self.shelf.lock().unwrap();
        while let Some(entry) = shelf.on_way.pop_back() {
            shelf.entries.push_front(entry);
        }
    }

    fn advance(&mut self, header: &EntryHeader) {
        assert_eq!(self.on_way(), 0, "what was gone ahead of comes first");
        let mut shelf = self.shelf.lock().unwrap();
        shelf.entries.pop_front();
        shelf.advanced.push(header.sequence.0);
    }

    async fn quarantine(&mut self, header: &EntryHeader, why: &str) -> bool {
        let mut shelf = self.shelf.lock().unwrap();
        let has_room = shelf.quarantine_full == 0;
        shelf.quarantine_full = shelf.quarantine_full.saturating_sub(1);
        if has_room {
            shelf.quarantined.push((header.sequence.0, why.to_owned()));
        }
        has_room
    }

    async fn put_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        self.shelf.lock().unwrap().put_aside.push((header.sequence.0, why.to_owned()));
        true
    }

    fn dead_letters(&self) -> u64 {
        self.shelf.lock().unwrap().put_aside.len() as u64
    }
}

// The far side.

/// What the far side does with a frame.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Writes these bytes: normally one.
    Bytes(&'static [u8]),
    /// Closes in order.
    Close,
    /// Closes with a reset.
    Reset,
    /// Says nothing.
    Nothing,
}

pub(super) const OK: Reply = Reply::Bytes(&[0x00]);
pub(super) const FAIL: Reply = Reply::Bytes(&[0xff]);

/// A frame as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) connection: usize,
    pub(super) wrapped: bool,
    pub(super) payload: Vec<u8>,
}

impl Seen {
    pub(super) fn code(&self) -> i16 {
        i16::from_be_bytes([self.payload[1], self.payload[2]])
    }
}

/// A listener that answers every frame as the script says: connection, count of frames on it before
/// this one, the frame.
pub(super) struct FarSide {
    pub(super) port: u16,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for FarSide {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FarSide {
    pub(super) async fn new(
        mut script: impl FnMut(usize, usize, &Seen) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // Connections come one after the other, as the sender has one at a time.
            for connection in 0.. {
                let (mut socket, _) = listener.accept().await.unwrap();
                serve(&mut socket, connection, &book, &mut script).await;
            }
        });
        Self { port, seen, task }
    }

    pub(super) fn frames(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Connection and type of every frame.
    pub(super) fn codes(&self) -> Vec<(usize, i16)> {
        self.frames().iter().map(|seen| (seen.connection, seen.code())).collect()
    }
}

async fn serve(
    socket: &mut TcpStream,
    connection: usize,
    book: &Mutex<Vec<Seen>>,
    script: &mut impl FnMut(usize, usize, &Seen) -> Reply,
) {
    for count in 0.. {
        let Some(seen) = read_frame(socket, connection).await else { return };
        let reply = script(connection, count, &seen);
        book.lock().unwrap().push(seen);
        match reply {
            Reply::Bytes(bytes) => {
                if socket.write_all(bytes).await.is_err() {
                    return;
                }
            }
            Reply::Nothing => {}
            Reply::Close => return,
            Reply::Reset => {
                socket2::SockRef::from(&*socket).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
        }
    }
}

/// Reads one frame by its definition; `None` at the end of the stream.
pub(super) async fn read_frame(socket: &mut TcpStream, connection: usize) -> Option<Seen> {
    let mut first = [0; 8];
    socket.read_exact(&mut first).await.ok()?;
    let wrapped = first == WRAP_PREFIX[..8];
    if wrapped {
        let mut rest = [0; 55];
        socket.read_exact(&mut rest).await.ok()?;
        assert_eq!(rest, WRAP_PREFIX[8..]);
        socket.read_exact(&mut first).await.ok()?;
    }
    assert_eq!(first[..4], first[4..], "the two lengths differ");
    let length = u32::from_be_bytes(first[..4].try_into().unwrap()) as usize;
    let checksum = socket.read_u64().await.ok()?;
    let mut payload = vec![0; length - 8];
    socket.read_exact(&mut payload).await.ok()?;
    assert_eq!(checksum, u64::from(crc32fast::hash(&payload)), "wrong checksum");
    if wrapped {
        let mut suffix = [0; 15];
        socket.read_exact(&mut suffix).await.ok()?;
        assert_eq!(suffix, WRAP_SUFFIX);
    }
    Some(Seen { connection, wrapped, payload })
}

// The sink.

pub(super) struct Running<F = Shelves> {
    pub(super) shelves: Shelves,
    pub(super) board: Arc<Board>,
    pub(super) row: Arc<PipeRow>,
    stop: watch::Sender<bool>,
    task: JoinHandle<F>,
}

impl Running {
    pub(super) fn new(
        ports: &[u16],
        shelves: &Shelves,
        change: impl FnOnce(&mut AirGapSettings),
    ) -> Self {
        let running = Self::with_feed(ports, shelves.clone(), change);
        Self { shelves: shelves.clone(), ..running }
    }

    /// Waits until the sink has finished these entries, in this order.
    pub(super) async fn until_advanced(&self, entries: &[u64]) {
        self.until(|running| running.shelves.advanced().len() >= entries.len()).await;
        assert_eq!(self.shelves.advanced(), entries);
    }
}

impl<F: Feed + 'static> Running<F> {
    pub(super) fn with_feed(
        ports: &[u16],
        feed: F,
        change: impl FnOnce(&mut AirGapSettings),
    ) -> Self {
        let list = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>();
        let urls = NodeUrls::parse(&list.join(",")).unwrap();
        let mut settings = AirGapSettings::new(urls, "our-cluster");
        change(&mut settings);
        let board = Arc::new(Board::new(Role::Sender, "test", clock::now()));
        let row = board.pipes.row("p", "far", clock::wall()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let parts = Parts {
            pipe: "p".to_owned(),
            settings,
            board: Arc::clone(&board),
            row: Arc::clone(&row),
            seed: 1,
            stop: stopped,
        };
        let task = tokio::spawn(Box::new(AirGapSink::new(parts, feed)).run());
        Self { shelves: Shelves::default(), board, row, stop, task }
    }

    pub(super) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if is_so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never came to it: {}", self.row.message());
    }

    /// Gives the order to stop, and says how long that took.
    pub(super) async fn stop(self) -> Duration {
        let start = clock::now();
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
        clock::now() - start
    }
}

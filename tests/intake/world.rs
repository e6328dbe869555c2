//! A gate with its spool, and a look at what is in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use penstock::config::Role;
use penstock::data::{Precision, ReadAt, Sequence};
use penstock::intake::gate::{Gate, GateHandle, Inlets, Settings as GateSettings};
use penstock::keep::spool_handle::SpoolHandle;
use penstock::keep::spool_thread::{Settings as ThreadSettings, SpoolThread};
use penstock::limits;
use penstock::link::receiver::{Plans, Policy};
use penstock::ops::board::{Board, IntakeKind};
use penstock::ops::clock;
use penstock::spool::{
    Entry, FileList, Kind, Reader, RealDisk, Settings as SpoolSettings, Spool, Stats,
};
use penstock_test_support::clock::pause;
use penstock_test_support::peer::Peer;
use penstock_test_support::tsfile::TsFileShape;
use tempfile::TempDir;
use tokio::sync::watch;

/// A running gate.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) inlets: Inlets,
    pub(crate) spool: SpoolHandle<RealDisk>,
    pub(crate) board: Arc<Board>,
    gate: GateHandle,
    gate_thread: JoinHandle<()>,
    spool_thread: JoinHandle<()>,
    _directory: TempDir,
}

/// What may differ.
pub(crate) struct WorldSettings {
    pub(crate) spool: SpoolSettings,
    pub(crate) gate: GateSettings,
}

/// An entry with its content.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) kind: Kind,
    pub(crate) identity: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut WorldSettings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = WorldSettings { spool: SpoolSettings::default(), gate: gate_settings() };
        settings.spool.reserve_bytes = 0;
        change(&mut settings);
        let disk = RealDisk::new(directory.path());
        let now = clock::now();
        let (spool, _) = Spool::open(disk.clone(), settings.spool, now, clock::wall().0).unwrap();
        let board = Arc::new(Board::new(Role::Receiver, "test", now));
        let thread_settings = ThreadSettings {
            connections: settings.gate.max_connections + settings.gate.guests,
            max_frame_bytes: settings.gate.policy.max_frame_bytes,
        };
        settings.gate.boot = spool.boot();
        let (thread, spool) = SpoolThread::new(disk, spool, thread_settings, Arc::clone(&board));
        let gate = Gate::bind(settings.gate, spool.stage(), Arc::clone(&board)).unwrap();
        let (address, handle) = (gate.address().unwrap(), gate.handle());
        let inlets = gate.inlets();
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        Self {
            address,
            inlets,
            spool,
            board,
            gate: handle,
            gate_thread: named("gate").spawn(move || gate.run().unwrap()).unwrap(),
            spool_thread: named("spool").spawn(move || thread.run().unwrap()).unwrap(),
            _directory: directory,
        }
    }

    pub(crate) fn peer(&self, cluster_id: &str) -> Peer {
        Peer::introduce(self.address, cluster_id).unwrap()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.spool.call_blocking(|spool| spool.stats()).unwrap()
    }

    pub(crate) fn wait_for(&self, condition: impl Fn(&Stats) -> bool) {
        let until = clock::now() + Duration::from_secs(20);
        while !condition(&self.stats()) {
            assert!(clock::now() < until, "it never came: {:?}", self.stats());
            pause(Duration::from_millis(5));
        }
    }

    pub(crate) fn wait_for_connections(&self, count: u64) {
        let until = clock::now() + Duration::from_secs(20);
        while self.board.intake(IntakeKind::Gate).connections.get() != count {
            assert!(clock::now() < until, "connections never came to {count}");
            pause(Duration::from_millis(5));
        }
    }

    /// Everything that is durable.
    pub(crate) fn entries(&self) -> Vec<Stored> {
        let mut reader = self.spool.call_blocking(|spool| spool.reader(Sequence(1))).unwrap();
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let mut payload = vec![0; entry.header.payload_bytes as usize];
            assert_eq!(reader.read_payload(&entry, 0, &mut payload).unwrap(), payload.len());
            let files = match entry.header.kind {
                Kind::File => files_of(&reader, &entry, &payload),
                Kind::Void | Kind::Tablet | Kind::Opaque => Vec::new(),
            };
            let identity = entry.header.identity.to_string();
            entries.push(Stored { kind: entry.header.kind, identity, payload, files });
        }
        entries
    }

    /// Stops both threads in order.
    pub(crate) fn stop(self) {
        self.gate.stop();
        self.gate_thread.join().unwrap();
        self.spool.stop();
        self.spool_thread.join().unwrap();
    }
}

fn files_of(reader: &Reader<RealDisk>, entry: &Entry, payload: &[u8]) -> Vec<(String, Vec<u8>)> {
    let list = FileList::parse(payload).unwrap();
    let named = list.files().enumerate().filter_map(|(index, file)| {
        let content = reader.open_file(entry, &list, index).unwrap();
        let mut bytes = vec![0; usize::try_from(file.bytes).unwrap()];
        content.read_at(0, &mut bytes).unwrap();
        assert_eq!(*blake3::hash(&bytes).as_bytes(), file.hash);
        Some((file.name?.to_owned(), bytes))
    });
    named.collect()
}

fn gate_settings() -> GateSettings {
    GateSettings {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        max_connections: limits::CONNECTIONS_MAX_DEFAULT,
        guests: 0,
        allow: Vec::new(),
        policy: policy(),
        precision: watch::channel(None::<Precision>).0,
        boot: 1,
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        max_frame_bytes: u32::try_from(limits::FRAME_BYTES_MAX_DEFAULT).unwrap(),
        cluster_id: "ours".to_owned(),
        login: None,
        assumed: None,
        local: Vec::new(),
        plans: Plans::default(),
        hold_max: limits::HOLD_MAX,
    }
}

/// How a connection ends that should have been reset.
pub(crate) fn reset_kind(peer: &mut Peer) -> std::io::ErrorKind {
    peer.answer().unwrap_err().kind()
}

/// A real `TsFile` of at least so many bytes.
pub(crate) fn ts_file(bytes: u64) -> Vec<u8> {
    TsFileShape::of_size(bytes, bytes).to_bytes().unwrap().0
}

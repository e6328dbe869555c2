//! A node in this process, on a disk in memory whose every sync takes as long as it is told.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use penstock::config::Role;
use penstock::intake::gate::{Gate, GateHandle, Settings as GateSettings};
use penstock::keep::spool_handle::SpoolHandle;
use penstock::keep::spool_thread::{Settings as ThreadSettings, SpoolThread};
use penstock::limits;
use penstock::link::receiver::{Plans, Policy};
use penstock::ops::board::Board;
use penstock::ops::clock;
use penstock::spool::{Disk, DiskFile, OpenMode, Settings, SimDisk, SimFile, Spool};
use penstock_test_support::clock::pause;
use tokio::sync::watch;

/// A simulated disk, but for the time that its syncs take.
#[derive(Debug, Clone)]
struct SlowDisk {
    disk: SimDisk,
    sync_time: Duration,
}

#[derive(Debug)]
struct SlowFile {
    file: SimFile,
    sync_time: Duration,
}

/// Gate and spool on it, with their own threads and real sockets.
#[derive(Debug)]
pub(crate) struct SlowNode {
    pub(crate) address: SocketAddr,
    gate: GateHandle,
    spool: SpoolHandle<SlowDisk>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl SlowNode {
    /// A node whose syncs take so long each, on a disk of so many bytes.
    pub(crate) fn start(sync_time: Duration, disk_bytes: u64) -> io::Result<Self> {
        let disk = SlowDisk { disk: SimDisk::new(1, disk_bytes), sync_time };
        let settings = Settings { reserve_bytes: 0, max_bytes: disk_bytes, ..Settings::default() };
        let (now, wall) = (clock::now(), clock::wall().0);
        let opened = Spool::open(disk.clone(), settings, now, wall);
        let (spool, _) = opened.map_err(io::Error::other)?;
        let board = Arc::new(Board::new(Role::Receiver, "bench", now));
        let gate = gate_settings(spool.boot());
        let connections = gate.max_connections;
        let settings = ThreadSettings { connections, max_frame_bytes: gate.policy.max_frame_bytes };
        let (thread, spool) = SpoolThread::new(disk, spool, settings, Arc::clone(&board));
        let gate = Gate::bind(gate, spool.stage(), board)?;
        let address = gate.address().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let handle = gate.handle();
        let threads = vec![
            thread::spawn(move || gate.run()),
            thread::spawn(move || thread.run().map_err(io::Error::other)),
        ];
        Ok(Self { address, gate: handle, spool, threads })
    }

    /// Ends it in order.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.gate.stop();
        self.spool.stop();
        for thread in self.threads {
            thread.join().map_err(|_| io::Error::other("a thread of the node panicked"))??;
        }
        Ok(())
    }
}

fn gate_settings(boot: u32) -> GateSettings {
    let policy = Policy {
        max_frame_bytes: 1 << 20,
        cluster_id: "bench-node".to_owned(),
        login: None,
        assumed: None,
        local: Vec::new(),
        plans: Plans::default(),
        hold_max: limits::HOLD_MAX,
    };
    GateSettings {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        guests: 0,
        max_connections: limits::CONNECTIONS_MAX_DEFAULT,
        allow: Vec::new(),
        policy,
        precision: watch::channel(None).0,
        boot,
    }
}

impl SlowDisk {
    fn file(&self, file: SimFile) -> SlowFile {
        SlowFile { file, sync_time: self.sync_time }
    }
}

impl Disk for SlowDisk {
    type File = SlowFile;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SlowFile> {
        self.disk.open(path, mode).map(|file| self.file(file))
    }

    fn lock(&self, path: &Path) -> io::Result<SlowFile> {
        self.disk.lock(path).map(|file| self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        pause(self.sync_time);
        self.disk.sync_dir(path)
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.disk.list(path, found)
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.file_bytes(path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        self.disk.entropy(into)
    }
}

impl DiskFile for SlowFile {
    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_at(offset, parts)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        pause(self.sync_time);
        self.file.sync_data()
    }
}

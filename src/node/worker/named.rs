//! Names what landing does with the disk, call by call, so that the watchdog tells a slow disk from a loop of our own
//! that does not end.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::ops::board::Board;
use crate::ops::stamp::{Loop, Operation};
use crate::spool::{Disk, DiskFile, OpenMode};

/// A disk whose calls are named operations of the worker.
#[derive(Debug, Clone)]
pub(super) struct NamedDisk<D> {
    disk: D,
    board: Arc<Board>,
}

/// A file of it.
#[derive(Debug)]
pub(super) struct NamedFile<F> {
    file: F,
    board: Arc<Board>,
}

impl<D> NamedDisk<D> {
    /// The same disk.
    pub(super) fn new(disk: D, board: Arc<Board>) -> Self {
        Self { disk, board }
    }
}

/// Does `work`, which may sit in the kernel, or wait for the spool thread.
pub(super) fn named<R>(board: &Board, work: impl FnOnce() -> R) -> R {
    let _within = board.stamps.of(Loop::Worker).within(Operation::Land);
    work()
}

impl<D: Disk> Disk for NamedDisk<D> {
    type File = NamedFile<D::File>;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File> {
        let file = named(&self.board, || self.disk.open(path, mode))?;
        Ok(NamedFile { file, board: Arc::clone(&self.board) })
    }

    fn is_at(&self, file: &Self::File, path: &Path) -> io::Result<bool> {
        named(&self.board, || self.disk.is_at(&file.file, path))
    }

    fn lock(&self, path: &Path) -> io::Result<Self::File> {
        let file = named(&self.board, || self.disk.lock(path))?;
        Ok(NamedFile { file, board: Arc::clone(&self.board) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        named(&self.board, || self.disk.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        named(&self.board, || self.disk.rename_new(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        named(&self.board, || self.disk.remove(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        named(&self.board, || self.disk.create_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        named(&self.board, || self.disk.sync_dir(path))
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        named(&self.board, || self.disk.list(path, found))
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        named(&self.board, || self.disk.file_bytes(path))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        named(&self.board, || self.disk.free_bytes())
    }

    fn device(&self, path: &Path) -> io::Result<Option<u64>> {
        named(&self.board, || self.disk.device(path))
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        self.disk.entropy(into)
    }
}

impl<F: DiskFile> DiskFile for NamedFile<F> {
    fn bytes(&self) -> io::Result<u64> {
        named(&self.board, || self.file.bytes())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        named(&self.board, || self.file.read_at(offset, into))
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        named(&self.board, || self.file.write_at(offset, parts))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        named(&self.board, || self.file.allocate(bytes))
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        named(&self.board, || self.file.truncate(bytes))
    }

    fn begin_writing(&self, offset: u64, bytes: u64) {
        named(&self.board, || self.file.begin_writing(offset, bytes));
    }

    fn await_writing(&self, offset: u64, bytes: u64) -> io::Result<()> {
        named(&self.board, || self.file.await_writing(offset, bytes))
    }

    fn mark(&self) -> io::Result<Option<u64>> {
        named(&self.board, || self.file.mark())
    }

    fn sync_data(&self) -> io::Result<()> {
        named(&self.board, || self.file.sync_data())
    }

    fn sync_named(&self) -> io::Result<()> {
        named(&self.board, || self.file.sync_named())
    }

    fn recover(&self) -> io::Result<()> {
        named(&self.board, || self.file.recover())
    }
}

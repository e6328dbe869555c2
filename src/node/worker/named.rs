//! Names what landing and the inbox do with the disk, and ask of the spool, call by call, so that the watchdog tells a
//! slow disk from a loop of our own that does not end.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::data::{ReadAt, Sequence};
use crate::intake::inbox::{AdoptedFile, Store, StoreError, TakenFile};
use crate::ops::board::Board;
use crate::ops::stamp::{Loop, Operation};
use crate::spool::{Disk, DiskFile, OpenMode, PartialId, Stamp};

/// What a part of the worker calls its calls.
#[derive(Debug, Clone)]
pub(super) struct Name {
    board: Arc<Board>,
    operation: Operation,
}

/// A disk whose calls are named operations of the worker.
#[derive(Debug, Clone)]
pub(super) struct NamedDisk<D> {
    disk: D,
    name: Name,
}

/// A file of it.
#[derive(Debug)]
pub(super) struct NamedFile<F> {
    file: F,
    name: Name,
}

/// The spool as the inbox sees it, whose calls are named likewise.
#[derive(Debug)]
pub(super) struct NamedStore<S> {
    store: S,
    name: Name,
}

impl Name {
    /// Calls are shown on `board` as `operation`.
    pub(super) fn new(board: &Arc<Board>, operation: Operation) -> Self {
        Self { board: Arc::clone(board), operation }
    }

    /// A file whose reads are named so.
    pub(super) fn of_file<F>(&self, file: F) -> NamedFile<F> {
        NamedFile { file, name: self.clone() }
    }

    /// Does `work`, which may sit in the kernel, or wait for the spool thread.
    pub(super) fn around<R>(&self, work: impl FnOnce() -> R) -> R {
        let _within = self.board.stamps.of(Loop::Worker).within(self.operation);
        work()
    }
}

impl<D> NamedDisk<D> {
    /// The same disk.
    pub(super) fn new(disk: D, name: Name) -> Self {
        Self { disk, name }
    }
}

impl<S> NamedStore<S> {
    /// The same spool.
    pub(super) fn new(store: S, name: Name) -> Self {
        Self { store, name }
    }
}

impl<D: Disk> Disk for NamedDisk<D> {
    type File = NamedFile<D::File>;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File> {
        let file = self.name.around(|| self.disk.open(path, mode))?;
        Ok(NamedFile { file, name: self.name.clone() })
    }

    fn is_at(&self, file: &Self::File, path: &Path) -> io::Result<bool> {
        self.name.around(|| self.disk.is_at(&file.file, path))
    }

    fn lock(&self, path: &Path) -> io::Result<Self::File> {
        let file = self.name.around(|| self.disk.lock(path))?;
        Ok(NamedFile { file, name: self.name.clone() })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.name.around(|| self.disk.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.name.around(|| self.disk.rename_new(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.name.around(|| self.disk.remove(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.name.around(|| self.disk.create_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.name.around(|| self.disk.sync_dir(path))
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.name.around(|| self.disk.list(path, found))
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.name.around(|| self.disk.file_bytes(path))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.name.around(|| self.disk.free_bytes())
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        self.name.around(|| self.disk.stamp(path))
    }

    fn check_shared_dir(&self, path: &Path) -> io::Result<()> {
        self.name.around(|| self.disk.check_shared_dir(path))
    }

    fn device(&self, path: &Path) -> io::Result<Option<u64>> {
        self.name.around(|| self.disk.device(path))
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        self.disk.entropy(into)
    }
}

impl<F: DiskFile> DiskFile for NamedFile<F> {
    fn bytes(&self) -> io::Result<u64> {
        self.name.around(|| self.file.bytes())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.name.around(|| self.file.read_at(offset, into))
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.name.around(|| self.file.write_at(offset, parts))
    }

    fn stamp(&self) -> io::Result<Stamp> {
        self.name.around(|| self.file.stamp())
    }

    fn copy_from(&self, from: &Self, offset: u64, bytes: u64) -> io::Result<u64> {
        self.name.around(|| self.file.copy_from(&from.file, offset, bytes))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.name.around(|| self.file.allocate(bytes))
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.name.around(|| self.file.truncate(bytes))
    }

    fn begin_writing(&self, offset: u64, bytes: u64) {
        self.name.around(|| self.file.begin_writing(offset, bytes));
    }

    fn await_writing(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.name.around(|| self.file.await_writing(offset, bytes))
    }

    fn forget(&self, offset: u64, bytes: u64) {
        self.name.around(|| self.file.forget(offset, bytes));
    }

    fn mark(&self) -> io::Result<Option<u64>> {
        self.name.around(|| self.file.mark())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.name.around(|| self.file.sync_data())
    }

    fn sync_named(&self) -> io::Result<()> {
        self.name.around(|| self.file.sync_named())
    }

    fn recover(&self) -> io::Result<()> {
        self.name.around(|| self.file.recover())
    }
}

impl<F: ReadAt> ReadAt for NamedFile<F> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.name.around(|| self.file.read_at(offset, into))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.file.as_bytes()
    }
}

impl<S: Store> Store for NamedStore<S> {
    type File = NamedFile<S::File>;

    fn next_sequence(&mut self) -> Result<Sequence, StoreError> {
        self.name.around(|| self.store.next_sequence())
    }

    fn room_for(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.name.around(|| self.store.room_for(bytes))
    }

    fn adopt(&mut self, path: &Path) -> Result<PartialId, StoreError> {
        self.name.around(|| self.store.adopt(path))
    }

    fn adopted(&mut self) -> Result<Vec<AdoptedFile>, StoreError> {
        self.name.around(|| self.store.adopted())
    }

    fn open(&mut self, partial: PartialId) -> Result<Self::File, StoreError> {
        let file = self.name.around(|| self.store.open(partial))?;
        Ok(NamedFile { file, name: self.name.clone() })
    }

    fn discard(&mut self, partial: PartialId) -> Result<(), StoreError> {
        self.name.around(|| self.store.discard(partial))
    }

    fn seal(&mut self, files: &[TakenFile]) -> Result<Sequence, StoreError> {
        self.name.around(|| self.store.seal(files))
    }

    fn quarantine(&mut self, partial: PartialId, why: &str) -> Result<(), StoreError> {
        self.name.around(|| self.store.quarantine(partial, why))
    }

    fn quarantine_room(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.name.around(|| self.store.quarantine_room(bytes))
    }

    /// Reads as much of the spool as was taken since the crash, which takes the disk as long as it takes.
    fn was_sealed(
        &mut self,
        from: Sequence,
        name: &str,
        hash: &[u8; 32],
    ) -> Result<Option<Sequence>, StoreError> {
        self.name.around(|| self.store.was_sealed(from, name, hash))
    }
}

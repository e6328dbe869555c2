//! A disk in memory that forgets what was not synced, for the tests of landing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::spool::{Disk, DiskFile, OpenMode};

#[derive(Clone, Default)]
pub(super) struct FakeDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: Vec<Content>,
    names: Names,
    durable_names: Names,
    dirs: BTreeSet<PathBuf>,
    calls: u64,
    fault: Option<Fault>,
    room: Option<u64>,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

/// At which call something happens, counted from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// This call fails, later ones do not.
    Once(u64),
    /// This call and all later ones fail.
    Crash(u64),
}

/// What survives a crash of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsynced {
    Lost,
    Kept,
}

impl FakeDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the lock")
    }

    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.calls += 1;
        let fails = match state.fault {
            Some(Fault::Once(call)) => state.calls == call,
            Some(Fault::Crash(call)) => state.calls >= call,
            None => false,
        };
        if fails { Err(io::Error::other("fault")) } else { Ok(state) }
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    pub(super) fn set_room(&self, room: Option<u64>) {
        self.state().room = room;
    }

    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The machine stops, and starts again.
    pub(super) fn crash(&self, unsynced: Unsynced) {
        let mut state = self.state();
        state.fault = None;
        if unsynced == Unsynced::Lost {
            state.names = state.durable_names.clone();
            for file in &mut state.files {
                file.now = file.durable.clone();
            }
        }
    }

    /// All files below a directory: path and bytes.
    pub(super) fn files(&self, below: &str) -> Vec<(String, Vec<u8>)> {
        let state = self.state();
        let within = state.names.iter().filter(|(path, _)| path.starts_with(below));
        within
            .map(|(path, file)| (path.display().to_string(), state.files[*file].now.clone()))
            .collect()
    }

    /// A script removes a file, for good.
    pub(super) fn fetch(&self, path: &str) {
        let mut state = self.state();
        state.names.remove(Path::new(path));
        state.durable_names.remove(Path::new(path));
    }

    /// A script removes an empty directory.
    pub(super) fn remove_dir(&self, path: &str) {
        assert!(self.state().dirs.remove(Path::new(path)));
    }

    pub(super) fn append_raw(&self, path: &str, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.names[Path::new(path)];
        state.files[file].now.extend_from_slice(bytes);
    }
}

pub(super) struct FakeFile {
    disk: FakeDisk,
    index: usize,
}

impl Disk for FakeDisk {
    type File = FakeFile;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FakeFile> {
        let mut state = self.call()?;
        let found = state.names.get(path).copied();
        let index = match (found, mode) {
            (Some(index), OpenMode::Read | OpenMode::Write) => index,
            (None, OpenMode::Read | OpenMode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (_, OpenMode::Create) => {
                assert!(state.dirs.contains(path.parent().expect("in a directory")));
                state.files.push(Content::default());
                let index = state.files.len() - 1;
                state.names.insert(path.to_owned(), index);
                index
            }
        };
        Ok(FakeFile { disk: self.clone(), index })
    }

    fn lock(&self, path: &Path) -> io::Result<FakeFile> {
        self.open(path, OpenMode::Create)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call()?.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call()?.dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        if !state.dirs.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let within = |name: &Path| name.parent() == Some(path);
        state.durable_names.retain(|name, _| !within(name));
        let added: Names = state
            .names
            .iter()
            .filter(|(name, _)| within(name))
            .map(|(name, file)| (name.clone(), *file))
            .collect();
        state.durable_names.extend(added);
        Ok(())
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        let state = self.call()?;
        let within = state.names.keys().filter(|name| name.parent() == Some(path));
        for name in within.filter_map(|name| name.file_name()?.to_str()) {
            found(name);
        }
        Ok(())
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        let state = self.call()?;
        let file = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[*file].now.len() as u64)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        into.fill(7);
        Ok(())
    }
}

impl DiskFile for FakeFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.call()?.files[self.index].now.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.call()?;
        let rest = state.files[self.index].now.get(usize::try_from(offset).expect("small")..);
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.disk.call()?;
        let offset = usize::try_from(offset).expect("small");
        let mut bytes = parts.first().map(|part| part.to_vec()).unwrap_or_default();
        if let Some(room) = state.room {
            bytes.truncate(usize::try_from(room).expect("small"));
            if bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.room = Some(room - bytes.len() as u64);
        }
        let file = &mut state.files[self.index].now;
        file.resize(file.len().max(offset + bytes.len()), 0);
        file[offset..offset + bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn allocate(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.call()?;
        state.files[self.index].now.truncate(usize::try_from(bytes).expect("small"));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.call()?;
        let file = &mut state.files[self.index];
        file.durable = file.now.clone();
        Ok(())
    }
}

impl std::fmt::Debug for FakeDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FakeDisk")
    }
}

impl std::fmt::Debug for FakeFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FakeFile")
    }
}

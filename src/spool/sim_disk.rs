//! A disk in memory that forgets what was not synced, fails when it is told to, and takes its time.
//!
//! ```text
//!  write --> current image --.                      crash: of what was not synced, each write may vanish, be torn at
//!      `---> pending writes  |-- sync --> durable          any byte, lose any sector, or be there; so may names
//!  rename, create, remove --> pending names -- sync_dir --> durable names
//! ```
//!
//! Everything random comes from the seed. Clones share the disk; handles from before a crash are dead.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::spool::sim_state::{
    Calls, Change, Denied, EIO, ENOSPC, Fault, NameChange, State, put, resize,
};
use crate::spool::{Disk, DiskFile, OpenMode, Stamp};

/// A simulated disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    inode: u64,
    epoch: u64,
    lock: Option<PathBuf>,
}

impl SimDisk {
    /// An empty disk of so many bytes.
    pub fn new(seed: u64, capacity: u64) -> Self {
        let state = State::new(seed, capacity);
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets each sync take this long, and write so many bytes a second, on the virtual clock.
    pub fn set_speed(&self, sync_time: Duration, bytes_per_second: u64) {
        let mut state = self.lock_state();
        state.sync_time = sync_time;
        state.bytes_per_second = bytes_per_second.max(1);
    }

    /// Time that the calls so far have taken on the virtual clock.
    pub fn elapsed(&self) -> Duration {
        self.lock_state().elapsed
    }

    /// Changes the size of the disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock_state().capacity = bytes;
    }

    /// Whatever lies below this directory is on a file system of its own: no rename leads there, or away from it.
    pub fn set_other_device(&self, dir: &Path) {
        self.lock_state().other_device = Some(normal(dir));
    }

    /// Lets the `call`-th call from now fail (0: the next one), and all later ones too if it `lasts`.
    pub fn schedule(&self, call: u64, fault: Fault, lasts: bool) {
        let mut state = self.lock_state();
        state.fault = Some((state.calls.all + call, fault, lasts));
    }

    /// Takes back what was scheduled.
    pub fn heal(&self) {
        self.lock_state().fault = None;
    }

    /// The rights of a file change, until the next crash.
    pub fn deny(&self, path: &Path, what: Denied) {
        self.lock_state().denied.push((normal(path), what));
    }

    /// What was asked of it so far.
    pub fn calls(&self) -> Calls {
        self.lock_state().calls
    }

    /// The power fails: what was not synced may be gone, torn, or there; open files are dead.
    pub fn crash(&self) {
        self.lock_state().crash();
    }

    /// The process dies, and the system lives on: open files are dead, everything written can be read, and what was
    /// not synced is still not durable.
    pub fn kill(&self) {
        self.lock_state().kill();
    }

    /// Another disk with the same files, all durable.
    #[must_use]
    pub fn fork(&self) -> Self {
        let (seed, capacity) = {
            let state = self.lock_state();
            (state.random, state.capacity)
        };
        let disk = Self::new(seed, capacity);
        for (path, _) in self.files() {
            disk.place(&path, &self.contents(&path).unwrap_or_default());
        }
        disk
    }

    /// All files, and their lengths.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.lock_state();
        let bytes = |inode| state.inodes.get(inode).map_or(0, |inode| inode.current.len() as u64);
        state.names.iter().map(|(path, inode)| (path.clone(), bytes(inode))).collect()
    }

    /// The bytes of a file, if there is one.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock_state();
        let inode = state.names.get(&normal(path))?;
        state.inodes.get(inode).map(|inode| inode.current.clone())
    }

    /// Puts a durable file there, as if it had been there always.
    pub fn place(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.lock_state();
        let number = state.new_inode();
        state.names.insert(normal(path), number);
        state.durable_names.insert(normal(path), number);
        if let Some(inode) = state.inodes.get_mut(&number) {
            inode.current = bytes.to_vec();
            inode.durable = bytes.to_vec();
        }
    }

    /// Flips one bit of a file, on the medium.
    pub fn flip(&self, path: &Path, bit: u64) {
        let mut state = self.lock_state();
        let Some(number) = state.names.get(&normal(path)).copied() else { return };
        let Some(inode) = state.inodes.get_mut(&number) else { return };
        let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        for image in [&mut inode.current, &mut inode.durable] {
            if let Some(byte) = image.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// The medium does not give these bytes of a file back any more.
    pub fn spoil(&self, path: &Path, bytes: Range<u64>) {
        let mut state = self.lock_state();
        let Some(number) = state.names.get(&normal(path)).copied() else { return };
        state.unreadable.push((number, bytes));
    }

    /// All bytes of all files can be read again.
    pub fn mend(&self) {
        self.lock_state().unreadable.clear();
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, state: &State, inode: u64) -> SimFile {
        SimFile { disk: self.clone(), inode, epoch: state.epoch, lock: None }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        let mut state = self.lock_state();
        if mode.creates() { state.room_call() } else { state.plain_call() }?;
        let path = normal(path);
        state.check(&path, Denied::Read)?;
        if mode != OpenMode::Read {
            state.check(&path, Denied::Write)?;
        }
        let found = state.names.get(&path).copied();
        match (found, mode) {
            (None, OpenMode::Read | OpenMode::Write) => Err(io::ErrorKind::NotFound.into()),
            (None, _) => {
                let inode = state.new_inode();
                state.rename_to(NameChange::new(inode, None, Some(path)));
                Ok(self.file(&state, inode))
            }
            (Some(number), OpenMode::Read | OpenMode::Write) => Ok(self.file(&state, number)),
            (Some(number), _) => {
                if let Some(inode) = state.inodes.get_mut(&number) {
                    inode.current.clear();
                    inode.pending.push(Change::Size(0));
                }
                Ok(self.file(&state, number))
            }
        }
    }

    fn lock(&self, path: &Path) -> io::Result<SimFile> {
        if self.lock_state().locks.contains(&normal(path)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let known = self.lock_state().names.contains_key(&normal(path));
        let mut file = self.open(path, if known { OpenMode::Write } else { OpenMode::Create })?;
        self.lock_state().locks.insert(normal(path));
        file.lock = Some(normal(path));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.plain_call()?;
        let (from, to) = (normal(from), normal(to));
        state.check(&from, Denied::Move)?;
        let Some(inode) = state.names.get(&from).copied() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if state.are_apart(&from, &to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        state.rename_to(NameChange::new(inode, Some(from), Some(to)));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.plain_call()?;
        let (from, to) = (normal(from), normal(to));
        let Some(inode) = state.names.get(&from).copied() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if state.are_apart(&from, &to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        if state.names.contains_key(&to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename_to(NameChange::new(inode, None, Some(to)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.plain_call()?;
        let path = normal(path);
        let Some(inode) = state.names.get(&path).copied() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        state.rename_to(NameChange::new(inode, Some(path), None));
        Ok(())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.lock_state().room_call()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.calls.dir_syncs += 1;
        state.plain_call()?;
        let time = state.sync_time;
        state.elapsed += time;
        state.settle_names(&normal(path));
        Ok(())
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        let names: Vec<PathBuf> = {
            let mut state = self.lock_state();
            state.plain_call()?;
            let dir = normal(path);
            state.names.keys().filter(|name| name.parent() == Some(&dir)).cloned().collect()
        };
        for name in names.iter().filter_map(|name| name.file_name()?.to_str()) {
            found(name);
        }
        Ok(())
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.lock_state();
        state.plain_call()?;
        let number = state.names.get(&normal(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.inodes.get(number).map_or(0, |inode| inode.current.len() as u64))
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let mut state = self.lock_state();
        state.plain_call()?;
        let number = state.names.get(&normal(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.stamp(*number))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut state = self.lock_state();
        state.plain_call()?;
        Ok(state.capacity.saturating_sub(state.used()))
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        let mut state = self.lock_state();
        for chunk in into.chunks_mut(8) {
            let bytes = state.random().to_le_bytes();
            chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl SimFile {
    /// The disk, if this handle is still alive.
    fn enter(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock_state();
        if state.epoch == self.epoch {
            return Ok(state);
        }
        Err(io::Error::from_raw_os_error(EIO))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Some(path) = &self.lock
            && let Ok(mut state) = self.enter()
        {
            state.locks.remove(path);
        }
    }
}

impl DiskFile for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        let mut state = self.enter()?;
        state.plain_call()?;
        Ok(state.inodes.get(&self.inode).map_or(0, |inode| inode.current.len() as u64))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.enter()?;
        state.calls.reads += 1;
        let fault = state.call();
        if fault == Some(Fault::Io) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let Some(inode) = state.inodes.get(&self.inode) else { return Ok(0) };
        let rest = usize::try_from(offset).ok().and_then(|offset| inode.current.get(offset..));
        let rest = rest.unwrap_or_default();
        let mut count = rest.len().min(into.len());
        if fault == Some(Fault::Short) && count > 1 {
            count /= 2;
        }
        count = state.readable(self.inode, offset, count)?;
        if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        state.calls.read_bytes += count as u64;
        Ok(count)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.enter()?;
        state.calls.writes += 1;
        let fault = state.call();
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(part);
        }
        let growth = state.inodes.get(&self.inode).map_or(0, |inode| {
            (offset + bytes.len() as u64).saturating_sub(inode.current.len() as u64)
        });
        let is_full = growth > 0 && state.used() + growth > state.capacity;
        match fault {
            Some(Fault::NoSpace) => return Err(io::Error::from_raw_os_error(ENOSPC)),
            None | Some(Fault::Short) if is_full => {
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            Some(Fault::Io) => {
                let cut = state.below(bytes.len() + 1);
                bytes.truncate(cut);
            }
            Some(Fault::Short) => bytes.truncate(bytes.len().div_ceil(2)),
            None => {}
        }
        let count = bytes.len();
        state.calls.written_bytes += count as u64;
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            put(&mut inode.current, offset, &bytes);
            inode.pending.push(Change::Bytes(offset, bytes));
        }
        state.touch(self.inode, true);
        if fault == Some(Fault::Io) { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(count) }
    }

    fn stamp(&self) -> io::Result<Stamp> {
        let mut state = self.enter()?;
        state.plain_call()?;
        Ok(state.stamp(self.inode))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.enter()?;
        state.room_call()?;
        let now = state.inodes.get(&self.inode).map_or(0, |inode| inode.current.len() as u64);
        if bytes > now && state.used() + (bytes - now) > state.capacity {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            resize(&mut inode.current, bytes.max(now));
            inode.pending.push(Change::Size(bytes.max(now)));
        }
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.enter()?;
        state.plain_call()?;
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            resize(&mut inode.current, bytes);
            inode.pending.push(Change::Size(bytes));
        }
        state.touch(self.inode, true);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.enter()?;
        state.calls.syncs += 1;
        let fault = state.call();
        let Some(inode) = state.inodes.get_mut(&self.inode) else { return Ok(()) };
        let pending = std::mem::take(&mut inode.pending);
        if fault == Some(Fault::Io) {
            // As Linux does: the pages count as clean now, whether or not they got to the medium.
            let mut image = std::mem::take(&mut inode.durable);
            for change in pending {
                state.crash_change(&mut image, change);
            }
            if let Some(inode) = state.inodes.get_mut(&self.inode) {
                inode.durable = image;
            }
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let mut bytes = 0;
        for change in pending {
            match change {
                Change::Size(size) => resize(&mut inode.durable, size),
                Change::Bytes(offset, part) => {
                    bytes += part.len() as u64;
                    put(&mut inode.durable, offset, &part);
                }
            }
        }
        let micros = u128::from(bytes) * 1_000_000 / u128::from(state.bytes_per_second);
        let time = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let time = state.sync_time + time;
        state.elapsed += time;
        Ok(())
    }

    fn recover(&self) -> io::Result<()> {
        self.sync_data()?;
        let mut state = self.enter()?;
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            inode.current.clone_from(&inode.durable);
        }
        Ok(())
    }
}

/// `.` is the root; names in it have it as parent.
fn normal(path: &Path) -> PathBuf {
    let path = path.strip_prefix(".").unwrap_or(path);
    path.components().collect()
}

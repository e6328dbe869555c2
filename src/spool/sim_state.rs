//! What a simulated disk holds, and what a crash makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::spool::Stamp;

const SECTOR_BYTES: usize = 512;
pub(super) const EIO: i32 = 5;
pub(super) const ENOSPC: i32 = 28;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// With EIO; a write may have been done in part, a sync loses what it was to make durable.
    Io,
    /// With ENOSPC, where a call can; others succeed.
    NoSpace,
    /// A read or write does half of what was asked; other calls succeed.
    Short,
}

/// What the rights of a file forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// To open it, in any way.
    Read,
    /// To open it for writing.
    Write,
    /// To give it another name.
    Move,
}

/// What was asked of the disk so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// All calls.
    pub all: u64,
    /// Calls that read.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Calls that wrote.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of directories.
    pub dir_syncs: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) random: u64,
    pub(super) epoch: u64,
    pub(super) next_inode: u64,
    /// Goes on with each change; what files take for the time.
    pub(super) clock: i64,
    /// Names below this lie on another file system.
    pub(super) other_device: Option<PathBuf>,
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    pub(super) pending_names: Vec<NameChange>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) denied: Vec<(PathBuf, Denied)>,
    /// Bytes of inodes that the medium does not give back.
    pub(super) unreadable: Vec<(u64, Range<u64>)>,
    pub(super) capacity: u64,
    pub(super) calls: Calls,
    pub(super) fault: Option<(u64, Fault, bool)>,
    pub(super) sync_time: Duration,
    pub(super) bytes_per_second: u64,
    pub(super) elapsed: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) current: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
    pub(super) modified: i64,
    pub(super) changed: i64,
}

#[derive(Debug)]
pub(super) enum Change {
    Bytes(u64, Vec<u8>),
    Size(u64),
}

/// An inode loses a name, gets one, or both at once.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) inode: u64,
    pub(super) from: Option<PathBuf>,
    pub(super) to: Option<PathBuf>,
    /// When the inode had changed before, which a crash that takes this change brings back.
    pub(super) changed_before: i64,
}

impl NameChange {
    pub(super) const fn new(inode: u64, from: Option<PathBuf>, to: Option<PathBuf>) -> Self {
        Self { inode, from, to, changed_before: 0 }
    }
}

impl State {
    pub(super) fn new(seed: u64, capacity: u64) -> Self {
        Self {
            random: seed,
            epoch: 0,
            next_inode: 1,
            clock: 0,
            other_device: None,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            locks: BTreeSet::new(),
            denied: Vec::new(),
            unreadable: Vec::new(),
            capacity,
            calls: Calls::default(),
            fault: None,
            sync_time: Duration::ZERO,
            bytes_per_second: u64::MAX,
            elapsed: Duration::ZERO,
        }
    }

    /// The generator `splitmix64`.
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.random() % bound).unwrap_or_default()
    }

    pub(super) fn new_inode(&mut self) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, Inode::default());
        self.touch(number, true);
        number
    }

    /// A file changes: by a write, or in another way.
    pub(super) fn touch(&mut self, number: u64, is_written: bool) {
        self.clock += 1;
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.changed = self.clock;
            if is_written {
                inode.modified = self.clock;
            }
        }
    }

    pub(super) fn stamp(&self, number: u64) -> Stamp {
        let Some(inode) = self.inodes.get(&number) else { return Stamp::default() };
        Stamp {
            bytes: inode.current.len() as u64,
            inode: number,
            device: 0,
            modified: inode.modified,
            changed: inode.changed,
            links: 1,
        }
    }

    /// Whether two names lie on two file systems.
    pub(super) fn are_apart(&self, one: &Path, other: &Path) -> bool {
        let is_there =
            |path: &Path| self.other_device.as_ref().is_some_and(|dir| path.starts_with(dir));
        is_there(one) != is_there(other)
    }

    /// Counts a call; the fault that it meets, if any.
    pub(super) fn call(&mut self) -> Option<Fault> {
        let number = self.calls.all;
        self.calls.all += 1;
        let (at, fault, lasts) = self.fault?;
        (number == at || lasts && number > at).then_some(fault)
    }

    /// For calls that fail with EIO only.
    pub(super) fn plain_call(&mut self) -> io::Result<()> {
        match self.call() {
            Some(Fault::Io) => Err(io::Error::from_raw_os_error(EIO)),
            Some(Fault::NoSpace | Fault::Short) | None => Ok(()),
        }
    }

    /// For calls that may want room.
    pub(super) fn room_call(&mut self) -> io::Result<()> {
        match self.call() {
            Some(Fault::Io) => Err(io::Error::from_raw_os_error(EIO)),
            Some(Fault::NoSpace) => Err(io::Error::from_raw_os_error(ENOSPC)),
            Some(Fault::Short) | None => Ok(()),
        }
    }

    pub(super) fn used(&self) -> u64 {
        let linked: BTreeSet<&u64> = self.names.values().collect();
        linked
            .into_iter()
            .filter_map(|number| self.inodes.get(number))
            .map(|inode| inode.current.len() as u64)
            .sum()
    }

    pub(super) fn rename_to(&mut self, mut change: NameChange) {
        let inode = self.inodes.get(&change.inode);
        change.changed_before = inode.map_or(0, |inode| inode.changed);
        apply_name(&mut self.names, &change);
        self.touch(change.inode, change.from.is_none());
        self.pending_names.push(change);
    }

    /// The names in a directory become durable, and with a journal so does every change before them on its file system.
    pub(super) fn settle_names(&mut self, dir: &Path) {
        let lies_here =
            |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.parent() == Some(dir));
        let changes = &self.pending_names;
        let last =
            changes.iter().rposition(|change| lies_here(&change.from) || lies_here(&change.to));
        let Some(last) = last else { return };
        let behind = self.pending_names.split_off(last + 1);
        for change in std::mem::take(&mut self.pending_names) {
            let path = change.from.as_ref().or(change.to.as_ref());
            if path.is_some_and(|path| self.are_apart(path, &dir.join("."))) {
                self.pending_names.push(change);
            } else {
                apply_name(&mut self.durable_names, &change);
            }
        }
        self.pending_names.extend(behind);
    }

    /// Whether the rights of a file allow something.
    pub(super) fn check(&self, path: &Path, what: Denied) -> io::Result<()> {
        if self.denied.iter().any(|denied| denied.0 == path && denied.1 == what) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }

    /// How many of `count` bytes can be read from `offset` on: up to the first that the medium does not give back.
    pub(super) fn readable(&self, inode: u64, offset: u64, count: usize) -> io::Result<usize> {
        let mut bad = self.unreadable.iter().filter(|(number, _)| *number == inode);
        if count > 0 && bad.clone().any(|(_, bytes)| bytes.contains(&offset)) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let before = |(_, bytes): &(u64, Range<u64>)| bytes.start.checked_sub(offset);
        let first = bad.by_ref().filter_map(before).min().unwrap_or(u64::MAX);
        Ok(count.min(usize::try_from(first).unwrap_or(usize::MAX)))
    }

    pub(super) fn kill(&mut self) {
        self.epoch += 1;
        self.locks.clear();
        self.denied.clear();
    }

    pub(super) fn crash(&mut self) {
        self.kill();
        self.crash_names();
        let mut inodes = std::mem::take(&mut self.inodes);
        inodes.retain(|number, _| self.names.values().any(|linked| linked == number));
        for inode in inodes.values_mut() {
            for change in std::mem::take(&mut inode.pending) {
                self.crash_change(&mut inode.durable, change);
            }
            inode.current.clone_from(&inode.durable);
        }
        self.inodes = inodes;
    }

    /// Either a prefix of all changes is there, as with a journal, or of each file's own changes a prefix.
    pub(super) fn crash_names(&mut self) {
        let pending = std::mem::take(&mut self.pending_names);
        let journal = self.random().is_multiple_of(2);
        let kept = self.below(pending.len() + 1);
        let mut gone = BTreeSet::new();
        for (index, change) in pending.iter().enumerate() {
            let keeps = if journal { index < kept } else { !self.random().is_multiple_of(3) };
            if keeps && !gone.contains(&change.inode) {
                apply_name(&mut self.durable_names, change);
            } else if gone.insert(change.inode)
                && let Some(inode) = self.inodes.get_mut(&change.inode)
            {
                inode.changed = change.changed_before;
            }
        }
        self.names.clone_from(&self.durable_names);
    }

    pub(super) fn crash_change(&mut self, image: &mut Vec<u8>, change: Change) {
        let (offset, bytes) = match change {
            Change::Size(size) => {
                if self.random().is_multiple_of(2) {
                    resize(image, size);
                }
                return;
            }
            Change::Bytes(offset, bytes) => (offset, bytes),
        };
        match self.below(4) {
            0 => {}
            1 => {
                let cut = self.below(bytes.len() + 1);
                put(image, offset, bytes.get(..cut).unwrap_or_default());
            }
            2 => {
                let sectors = (offset..).step_by(SECTOR_BYTES).zip(bytes.chunks(SECTOR_BYTES));
                sectors
                    .filter(|_| self.random().is_multiple_of(2))
                    .for_each(|(at, sector)| put(image, at, sector));
            }
            _ => put(image, offset, &bytes),
        }
    }
}

pub(super) fn apply_name(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    if let Some(from) = &change.from
        && names.get(from) == Some(&change.inode)
    {
        names.remove(from);
    }
    if let Some(to) = &change.to {
        names.insert(to.clone(), change.inode);
    }
}

pub(super) fn resize(image: &mut Vec<u8>, bytes: u64) {
    image.resize(usize::try_from(bytes).unwrap_or_default(), 0);
}

pub(super) fn put(image: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let offset = usize::try_from(offset).unwrap_or_default();
    let end = offset + bytes.len();
    if image.len() < end && !bytes.is_empty() {
        image.resize(end, 0);
    }
    if let Some(place) = image.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

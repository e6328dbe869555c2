//! The only way to the disk: a small trait, so that every test can stand between the spool and its medium.
//!
//! Paths are relative to the node's data directory; an absolute path is taken as it is (the inbox).

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;

use crate::spool::Stamp;

/// How [`Disk::open`] opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it has to exist.
    Read,
    /// For reading and writing; it has to exist.
    Write,
    /// For reading and writing; made, or emptied if it exists.
    Create,
    /// The same for what is run: owner and group may.
    CreateProgram,
    /// The same for what has secrets: nobody but the owner may open it.
    CreatePrivate,
}

impl OpenMode {
    /// Whether the file is made, or emptied if it exists.
    pub const fn creates(self) -> bool {
        matches!(self, Self::Create | Self::CreateProgram | Self::CreatePrivate)
    }
}

/// A directory tree on some medium. Clones share it.
///
/// Nothing is durable until it is synced: the bytes of a file by [`DiskFile::sync_data`], its name by
/// [`Disk::sync_dir`] of the directory that holds it.
pub trait Disk: Clone + Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Opens a file.
    ///
    /// # Errors
    /// What the medium says; `NotFound` if the mode wants a file that is not there.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File>;

    /// Whether a path still names this open file: no longer once that was removed, or replaced by another.
    ///
    /// # Errors
    /// What the medium says.
    fn is_at(&self, _file: &Self::File, path: &Path) -> io::Result<bool> {
        // For a medium on which nobody else replaces files.
        match self.file_bytes(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => found.map(|_| true),
        }
    }

    /// Opens a file, made if missing, and locks it against other processes until the handle is dropped.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it; else what the medium says.
    fn lock(&self, path: &Path) -> io::Result<Self::File>;

    /// Gives a file another name, replacing what has that name.
    ///
    /// # Errors
    /// What the medium says; `CrossesDevices` if the names lie on two file systems.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a name that no file has. Without a call of its own it is looked for first: nobody else may give names in
    /// that directory then.
    ///
    /// # Errors
    /// `AlreadyExists` if a file has it; else as [`Disk::rename`].
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.file_bytes(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.rename(from, to),
            found => found.and_then(|_| Err(io::ErrorKind::AlreadyExists.into())),
        }
    }

    /// Gives a file one more name, under which no file may be; its bytes are there once. Whoever asks can do without: not
    /// every medium has such names.
    ///
    /// # Errors
    /// `AlreadyExists` if a file has the name, `Unsupported` or `CrossesDevices` if the medium cannot; else what it says.
    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What the medium says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and those above it, as far as they are missing.
    ///
    /// # Errors
    /// What the medium says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the medium says. The caller must not go on as if nothing had happened.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Calls `found` with the name of each file in a directory, in no order. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// What the medium says.
    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()>;

    /// Bytes of a file.
    ///
    /// # Errors
    /// What the medium says.
    fn file_bytes(&self, path: &Path) -> io::Result<u64>;

    /// What shows that the regular file of this name has changed; nothing else is followed.
    ///
    /// # Errors
    /// What the medium says; `NotFound` if something else has the name.
    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        // For a medium that nobody else writes to.
        Ok(Stamp { bytes: self.file_bytes(path)?, links: 1, ..Stamp::default() })
    }

    /// Checks that the rights of a directory let files be put there and taken away.
    ///
    /// # Errors
    /// What the medium says.
    fn check_shared_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Bytes that may still be written to the file system of the data directory.
    ///
    /// # Errors
    /// What the medium says.
    fn free_bytes(&self) -> io::Result<u64>;

    /// A number for the file system that a file or directory lies on, among those that are mounted now. `None` if the
    /// medium knows no others, as without a call of its own.
    ///
    /// # Errors
    /// What the medium says.
    fn device(&self, _path: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// Fills `into` with random bytes that nobody can foresee.
    ///
    /// # Errors
    /// What the system says.
    fn entropy(&self, into: &mut [u8]) -> io::Result<()>;
}

/// An open file: positioned reads and writes.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Bytes of the file.
    ///
    /// # Errors
    /// What the medium says.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads at most `into.len()` bytes; 0 means end of file.
    ///
    /// # Errors
    /// What the medium says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes the first of `parts`, then the next, in one call; may write less than was given.
    ///
    /// # Errors
    /// What the medium says; `StorageFull` or `QuotaExceeded` if there is no room.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// As [`Disk::stamp`], of the open file: the same if the path still names it, and nobody wrote to it.
    ///
    /// # Errors
    /// What the medium says.
    fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp { bytes: self.bytes()?, links: 1, ..Stamp::default() })
    }

    /// Copies at most `bytes` bytes at `offset` from another file to the same place in this one; fewer only where that
    /// one ends. Blocks are shared where the medium can.
    ///
    /// # Errors
    /// As [`DiskFile::read_at`] and [`DiskFile::write_at`]. Some of the bytes may be there then.
    fn copy_from(&self, from: &Self, offset: u64, bytes: u64) -> io::Result<u64>
    where
        Self: Sized,
    {
        let mut chunk = vec![0; COPY_CHUNK_BYTES];
        let mut done = 0;
        while done < bytes {
            let most = usize::try_from(bytes - done).unwrap_or(usize::MAX).min(chunk.len());
            let chunk = chunk.get_mut(..most).unwrap_or_default();
            let count = read_full_at(from, offset + done, chunk)?;
            let read = chunk.get(..count).unwrap_or_default();
            write_all_at(self, offset + done, &mut [IoSlice::new(read)])?;
            done += count as u64;
            if count < most {
                break;
            }
        }
        Ok(done)
    }

    /// Reserves blocks for the first `bytes` bytes, which read as zeros until they are written.
    ///
    /// # Errors
    /// As [`DiskFile::write_at`].
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Cuts or extends the file to `bytes`.
    ///
    /// # Errors
    /// What the medium says.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Lets the medium begin to write these bytes, without waiting for it, so that a later [`DiskFile::sync_data`] has
    /// less to wait for. Promises nothing, and need not do anything.
    fn begin_writing(&self, _offset: u64, _bytes: u64) {}

    /// Returns when these bytes are no longer dirty, which does not make them durable: names and lengths may be missing.
    /// Without a call of its own it is a [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn await_writing(&self, _offset: u64, _bytes: u64) -> io::Result<()> {
        self.sync_data()
    }

    /// Nobody here reads these bytes again, so that they need not stay in memory once they are written. Promises nothing.
    fn forget(&self, _offset: u64, _bytes: u64) {}

    /// A number for this very file on this very machine, the same over restarts and renames, and another one for a copy.
    /// `None` if the medium has no such thing, as without a call of its own.
    ///
    /// # Errors
    /// What the medium says.
    fn mark(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// Returns when everything written so far is durable.
    ///
    /// # Errors
    /// What the medium says. Nothing is known then about what was written since the last success, and a second call
    /// that succeeds proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// As [`DiskFile::sync_data`], and fails where nobody could find the file again: what is synced into a file
    /// that was removed is gone with the process.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`], and [`io::ErrorKind::NotFound`].
    fn sync_named(&self) -> io::Result<()> {
        self.sync_data()
    }

    /// Makes what an earlier run has written durable, and has later reads look at the medium: what a failed sync of
    /// that run left in memory only, is not there. As far as the system can.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn recover(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Bytes that are read at once where a medium has no copy of its own.
const COPY_CHUNK_BYTES: usize = 64 * 1024;

/// Reads until `into` is full or the file ends; returns the bytes read.
///
/// # Errors
/// What the file says.
pub fn read_full_at<F: DiskFile + ?Sized>(
    file: &F,
    offset: u64,
    into: &mut [u8],
) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + done as u64, rest) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `parts`, whatever the file takes at once; `parts` is used up.
///
/// # Errors
/// What the file says; `WriteZero` if it takes nothing. Some of the bytes may be there then.
pub fn write_all_at<F: DiskFile + ?Sized>(
    file: &F,
    mut offset: u64,
    mut parts: &mut [IoSlice<'_>],
) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match file.write_at(offset, parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                offset += count as u64;
                IoSlice::advance_slices(&mut parts, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Name of the lock in a directory that plants share with a node.
pub const LOCK: &str = ".penstock.lock";

/// Locks a directory against other nodes, until the handle is dropped. `None` where the file system knows no locks.
///
/// # Errors
/// `WouldBlock` if another node has it; else what the medium says.
pub fn lock_dir<D: Disk>(disk: &D, dir: &Path) -> io::Result<Option<D::File>> {
    match disk.lock(&dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        locked => locked.map(Some),
    }
}

/// Whether the lock that [`lock_dir`] returned still keeps others out of the directory; it does not once somebody
/// removed the directory, or the lock's file.
///
/// # Errors
/// What the medium says.
pub fn is_dir_locked<D: Disk>(disk: &D, dir: &Path, lock: Option<&D::File>) -> io::Result<bool> {
    lock.map_or(Ok(true), |lock| disk.is_at(lock, &dir.join(LOCK)))
}

/// Whether an error says that the medium is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

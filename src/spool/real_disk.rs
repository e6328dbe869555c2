//! The real disk: `std::fs`, with `fallocate` and `pwritev` where the system has them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read, Seek, SeekFrom};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{Access, Advice, CWD, FallocateFlags, RenameFlags};
use rustix::io::Errno;

use crate::spool::write_out;
use crate::spool::{Disk, DiskFile, OpenMode, Stamp};

/// Written when a system is first started, and kept.
const MACHINE_ID: &str = "/etc/machine-id";
/// Files are for the owner, and for the group to read.
const FILE_MODE: u32 = 0o640;
/// But for those with secrets.
const PRIVATE_MODE: u32 = 0o600;
/// What is run may be by both.
const PROGRAM_MODE: u32 = 0o750;
/// So are directories.
const DIR_MODE: u32 = 0o750;

/// A directory of the file system.
#[derive(Debug, Clone)]
pub struct RealDisk {
    root: Arc<Path>,
}

impl RealDisk {
    /// The disk below this directory, which need not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// Joining an absolute path yields that path.
    fn full(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

impl Disk for RealDisk {
    type File = File;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).mode(FILE_MODE);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write => options.write(true),
            OpenMode::Create => options.write(true).create(true).truncate(true),
            OpenMode::CreateProgram => {
                options.mode(PROGRAM_MODE).write(true).create(true).truncate(true)
            }
            OpenMode::CreatePrivate => {
                options.mode(PRIVATE_MODE).write(true).create(true).truncate(true)
            }
        };
        options.open(self.full(path))
    }

    fn is_at(&self, file: &File, path: &Path) -> io::Result<bool> {
        let named = match std::fs::metadata(self.full(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            named => named?,
        };
        let open = file.metadata()?;
        Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.full(path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the trait that the lint points to")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(self.full(from), self.full(to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.full(from), self.full(to));
        match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            // Some network file systems do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                match std::fs::symlink_metadata(&to) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.rename(&from, &to)
                    }
                    found => found.and_then(|_| Err(io::ErrorKind::AlreadyExists.into())),
                }
            }
            renamed => Ok(renamed?),
        }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(self.full(from), self.full(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.full(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(self.full(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(self.full(path))?.sync_all()
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        for entry in std::fs::read_dir(self.full(path))? {
            let entry = entry?;
            if let (true, Some(name)) = (entry.file_type()?.is_file(), entry.file_name().to_str()) {
                found(name);
            }
        }
        Ok(())
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(self.full(path))?.len())
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let metadata = std::fs::symlink_metadata(self.full(path))?;
        if metadata.is_file() {
            Ok(Stamp::new(&metadata))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn check_shared_dir(&self, path: &Path) -> io::Result<()> {
        let rights = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        Ok(rustix::fs::access(self.full(path), rights)?)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = rustix::fs::statvfs(&*self.root)?;
        Ok(state.f_bavail.saturating_mul(state.f_frsize))
    }

    fn device(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(Some(std::fs::metadata(self.full(path))?.dev()))
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            done += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(())
    }
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, parts, offset)?)
    }

    fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::new(&self.metadata()?))
    }

    fn copy_from(&self, mut from: &Self, offset: u64, bytes: u64) -> io::Result<u64> {
        let mut to = self;
        from.seek(SeekFrom::Start(offset))?;
        to.seek(SeekFrom::Start(offset))?;
        io::copy(&mut from.take(bytes), &mut to)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // Without it the blocks come one by one: slower, and `write_at` may find no room.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.set_len(bytes),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn begin_writing(&self, offset: u64, bytes: u64) {
        write_out::begin(self, offset, bytes);
    }

    fn await_writing(&self, offset: u64, bytes: u64) -> io::Result<()> {
        write_out::wait(self, offset, bytes)
    }

    fn forget(&self, offset: u64, bytes: u64) {
        // Advice: whoever does not take it loses nothing.
        let bytes = NonZeroU64::new(bytes);
        let _kept = rustix::fs::fadvise(self, offset, bytes, Advice::DontNeed);
    }

    /// Of the machine id, the inode and, where the file system knows it, the time of birth. Not of the device's
    /// number, which another boot may change.
    fn mark(&self) -> io::Result<Option<u64>> {
        let metadata = self.metadata()?;
        let mut hash = blake3::Hasher::new();
        hash.update(&machine_id());
        hash.update(&metadata.ino().to_le_bytes());
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        hash.update(&born.map_or(0, |time| time.as_nanos()).to_le_bytes());
        Ok(hash.finalize().as_bytes().first_chunk().map(|mark| u64::from_le_bytes(*mark)))
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_named(&self) -> io::Result<()> {
        Self::sync_data(self)?;
        if rustix::fs::fstat(self)?.st_nlink == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, REMOVED));
        }
        Ok(())
    }

    fn recover(&self) -> io::Result<()> {
        Self::sync_data(self)?;
        // After a failed sync Linux counts pages as clean that are not on the medium: forgotten, they are read from it.
        match rustix::fs::fadvise(self, 0, None, Advice::DontNeed) {
            // A file system without a cache of its own.
            Ok(()) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

const REMOVED: &str = "somebody removed the file while it was open";

/// What the system calls this machine, up to 64 bytes; empty where it has no name for it.
fn machine_id() -> [u8; 64] {
    let mut id = [0; 64];
    let file = File::open(MACHINE_ID);
    let _read = file.and_then(|file| crate::spool::read_full_at(&file, 0, &mut id));
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_into_a_removed_file_is_not_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("1.seg");
        let file = File::create(&path).unwrap();
        DiskFile::sync_named(&file).unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = DiskFile::sync_named(&file).unwrap_err();
        assert!(error.to_string().contains("removed"), "{error}");
    }
}

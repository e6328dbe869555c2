//! Files that are made: finished ones, and scratches.

use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use super::TwinError;
use crate::data::ReadAt;
use crate::limits::KIB;
use crate::spool::{Dirty, Disk, DiskFile, OpenMode, read_full_at, write_all_at};
use crate::tsfile::write;

/// Bytes of a file that are put together before they are written.
const BUFFER_BYTES: usize = 16 * KIB;
/// The same of a scratch: there are six of them.
const TAIL_BYTES: usize = 8 * KIB;

/// All our files begin with this, so that the next start finds what a crash left.
const PREFIX: &str = ".twin-";

/// Path of the `number`-th file of a run.
pub(super) fn file_path(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("{PREFIX}{number}.tsfile"))
}

/// Removes what earlier runs left in a directory.
///
/// # Errors
/// If the disk fails.
pub fn clean<D: Disk>(disk: &D, dir: &Path) -> Result<(), TwinError> {
    list(disk, dir)?.iter().try_for_each(|path| remove(disk, path))
}

/// Bytes of the files and scratches of the run in hand.
pub(super) fn bytes_in<D: Disk>(disk: &D, dir: &Path) -> Result<u64, TwinError> {
    list(disk, dir)?.iter().try_fold(0_u64, |sum, path| {
        let bytes = disk.file_bytes(path).map_err(TwinError::disk("look at", path))?;
        Ok(sum.saturating_add(bytes))
    })
}

/// All our files in a directory, a few.
fn list<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<PathBuf>, TwinError> {
    let mut found = Vec::new();
    let listed = disk.list(dir, &mut |name| {
        if name.starts_with(PREFIX) {
            found.push(dir.join(name));
        }
    });
    match listed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TwinError::disk("list", dir)(error))
        }
        _ => Ok(found),
    }
}

/// Removes a file, if it is there.
pub(super) fn remove<D: Disk>(disk: &D, path: &Path) -> Result<(), TwinError> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TwinError::disk("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// A file that is written front to back, hashed on the way.
#[derive(Debug)]
pub struct Output<F> {
    file: F,
    buffer: Vec<u8>,
    /// Bytes in the file.
    at: u64,
    dirty: Dirty,
    hasher: Box<blake3::Hasher>,
}

impl<F: DiskFile> Output<F> {
    /// Writes to a file that is empty.
    pub fn new(file: F) -> Self {
        Self { file, buffer: Vec::new(), at: 0, dirty: Dirty::behind(0), hasher: Box::default() }
    }

    /// Makes the file durable; gives back its hash.
    ///
    /// # Errors
    /// What the disk says.
    pub fn seal(mut self) -> io::Result<blake3::Hash> {
        self.flush()?;
        self.file.sync_data()?;
        Ok(self.hasher.finalize())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all_at(&self.file, self.at, &mut [IoSlice::new(bytes)])?;
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        self.dirty.grow(&self.file, self.at)
    }
}

impl<F: DiskFile> Write for Output<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.put(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        if !buffer.is_empty() {
            self.put(&buffer)?;
        }
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }
}

/// Bytes that are appended and read again; the last ones lie in memory, and all of them as long as they are few.
#[derive(Debug)]
pub struct Scratch<D: Disk> {
    disk: D,
    path: PathBuf,
    file: Option<D::File>,
    /// Bytes in the file.
    written: u64,
    tail: Vec<u8>,
}

impl<D: Disk> Scratch<D> {
    /// Bytes whose file, if they need one, lies in `dir` and has a name that begins with `.twin-`.
    pub fn new(disk: &D, dir: &Path, name: &str) -> Self {
        let path = dir.join(format!("{PREFIX}{name}"));
        Self { disk: disk.clone(), path, file: None, written: 0, tail: Vec::new() }
    }

    /// Where that file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Drops all bytes and the file.
    pub(super) fn remove(&mut self) -> Result<(), TwinError> {
        (self.written, self.tail) = (0, Vec::new());
        match self.file.take() {
            Some(_) => remove(&self.disk, &self.path),
            None => Ok(()),
        }
    }

    fn write_out(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.disk.open(&self.path, OpenMode::Create)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        write_all_at(file, self.written, &mut [IoSlice::new(bytes)])?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl<D: Disk> ReadAt for Scratch<D> {
    fn len(&self) -> u64 {
        self.written + self.tail.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if let Some(behind) = offset.checked_sub(self.written) {
            return self.tail.as_slice().read_at(behind, into);
        }
        let most = usize::try_from(self.written - offset).unwrap_or(usize::MAX).min(into.len());
        let Some(file) = &self.file else { return Ok(0) };
        let (in_file, in_tail) = into.split_at_mut(most);
        let count = read_full_at(file, offset, in_file)?;
        if count < most {
            return Ok(count);
        }
        Ok(count + self.tail.as_slice().read_at(0, in_tail)?)
    }
}

impl<D: Disk> write::Scratch for Scratch<D> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.tail.len() + bytes.len() > TAIL_BYTES {
            let mut tail = std::mem::take(&mut self.tail);
            self.write_out(&tail)?;
            tail.clear();
            self.tail = tail;
        }
        if bytes.len() > TAIL_BYTES {
            return self.write_out(bytes);
        }
        self.tail.extend_from_slice(bytes);
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.tail.clear();
        self.written = 0;
        Ok(())
    }
}

#[cfg(test)]
#[cfg(feature = "simulation")]
mod tests {
    use super::*;
    use crate::spool::SimDisk;
    use write::Scratch as _;

    #[test]
    fn a_scratch_is_read_across_its_file_and_its_memory() {
        let disk = SimDisk::new(1, 1 << 20);
        let mut scratch = Scratch::new(&disk, Path::new("x"), "s");
        let bytes: Vec<u8> = (0..50_000_u32).flat_map(u32::to_be_bytes).collect();
        for part in bytes.chunks(1000) {
            scratch.append(part).expect("room");
        }
        assert!(scratch.written > 0 && !scratch.tail.is_empty());
        let mut read = vec![0; bytes.len()];
        for start in [0, 100_001, bytes.len() - 40_000, bytes.len()] {
            let count = scratch.read_at(start as u64, &mut read).expect("sound");
            assert_eq!(read[..count], bytes[start..]);
        }
        scratch.remove().expect("sound");
        assert!(disk.files().is_empty() && scratch.is_empty());
    }
}

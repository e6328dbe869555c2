//! One `TsFile` of the inbox, and what belongs to it.

use std::io;
use std::path::{Path, PathBuf};

use super::away::PutAway;
use super::journal::{Original, Taking};
use super::scan::Watched;
use super::store::AdoptedFile;
use crate::data::{ReadAt, Sequence};
use crate::limits;
use crate::spool::{Disk, DiskFile, OpenMode, PartialId, Stamp};
use crate::tsfile::tail::Check;

/// Bytes hashed in one read.
const CHUNK_BYTES: usize = 64 * limits::KIB;
/// Chunks hashed in one step: 1 MiB.
const CHUNKS_A_STEP: usize = 16;
/// Bytes copied and synced in one step.
const COPY_BYTES_A_STEP: u64 = limits::INBOX_DIRTY_BYTES_MAX;

/// A file that is being taken in.
#[derive(Debug)]
pub(super) struct Job {
    /// Name of the `TsFile`.
    pub(super) name: String,
    /// Its files, the `TsFile` last.
    pub(super) parts: Vec<Part>,
    /// The originals stay where they are until the copies are safe.
    pub(super) by_copy: bool,
    /// Why it goes to quarantine.
    pub(super) flaw: Option<String>,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    /// Where it lies in the inbox, and what it looked like; none if the run before adopted it.
    pub(super) original: Option<(PathBuf, Stamp)>,
    /// Its copy on the spool's file system.
    pub(super) staged: Option<PathBuf>,
    /// Where it lies in the spool.
    pub(super) partial: Option<PartialId>,
    pub(super) bytes: u64,
    pub(super) hash: Option<blake3::Hash>,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Its ends are checked.
    Check(Option<Box<Check>>),
    /// Its parts are hashed.
    Hash(Option<Hashing>),
    /// Its parts are copied.
    Copy(Option<Copying>),
    /// It goes into the spool, or to quarantine.
    Enter,
    /// It is safe; its originals are to go.
    PutAway(PutAway),
}

impl Job {
    pub(super) const fn new(name: String, parts: Vec<Part>, by_copy: bool) -> Self {
        Self { name, parts, by_copy, flaw: None, stage: Stage::Check(None) }
    }

    /// A flawed file whose original is gone: what the run before did not bring into quarantine.
    pub(super) fn refused(file: AdoptedFile) -> Self {
        Self {
            name: file.name.clone(),
            parts: vec![Part::adopted(file)],
            by_copy: false,
            flaw: Some("refused before the program was stopped".to_owned()),
            stage: Stage::Enter,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Something of it lies in the spool already, or on the way to quarantine.
    pub(super) fn has_entered(&self) -> bool {
        let is_leaving = self.flaw.is_some();
        self.parts
            .iter()
            .any(|part| part.partial.is_some() || (is_leaving && part.staged.is_some()))
    }

    /// One whose entry is durable, and whose originals are to go.
    pub(super) fn sealed(dir: &Path, taking: Taking, sequence: Sequence) -> Self {
        let parts = taking.originals.into_iter().map(|original| Part::sealed(dir, original));
        let parts: Vec<_> = parts.collect();
        let name = parts.last().map(|part| part.name.clone()).unwrap_or_default();
        let stage = Stage::PutAway(PutAway::new(sequence, true));
        Self { name, parts, by_copy: true, flaw: None, stage }
    }

    /// Only its bytes are looked at: it can be left as it is.
    pub(super) const fn is_read(&self) -> bool {
        matches!(self.stage, Stage::Check(_) | Stage::Hash(_))
    }

    /// Its entry is durable.
    pub(super) const fn is_safe(&self) -> bool {
        matches!(self.stage, Stage::PutAway(_))
    }

    /// All of it lies in the spool.
    pub(super) fn is_adopted(&self) -> bool {
        self.parts.iter().all(|part| part.partial.is_some())
    }

    /// The first part that is not hashed.
    pub(super) fn unhashed(&mut self) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.hash.is_none())
    }

    /// The first original that is not copied.
    pub(super) fn uncopied(&mut self) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.staged.is_none() && part.partial.is_none())
    }
}

impl Part {
    /// An original whose entry the run before made durable.
    pub(super) fn sealed(dir: &Path, original: Original) -> Self {
        let Original { name, stamp } = original;
        let original = Some((dir.join(&name), stamp));
        Self { name, original, staged: None, partial: None, bytes: stamp.bytes, hash: None }
    }

    pub(super) fn adopted(file: AdoptedFile) -> Self {
        let AdoptedFile { name, partial, bytes } = file;
        Self { name, original: None, staged: None, partial: Some(partial), bytes, hash: None }
    }

    pub(super) fn found(dir: &Path, file: Watched) -> Self {
        let original = Some((dir.join(&file.name), file.stamp));
        let (name, bytes) = (file.name, file.stamp.bytes);
        Self { name, original, staged: None, partial: None, bytes, hash: None }
    }

    /// What of it lies in the spool.
    pub(super) fn into_adopted(self) -> Option<AdoptedFile> {
        let Self { name, partial, bytes, .. } = self;
        partial.map(|partial| AdoptedFile { name, partial, bytes })
    }

    /// Opens the original.
    ///
    /// # Errors
    /// What the disk says; `Interrupted` if it is not the file any more that the scan saw.
    pub(super) fn open_original<D: Disk>(&self, disk: &D) -> io::Result<FileBytes<D::File>> {
        let Some((path, stamp)) = &self.original else {
            return Err(io::ErrorKind::NotFound.into());
        };
        FileBytes::open(disk, path, stamp)
    }

    /// Copies the original to this path.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub(super) fn copying(&self, to: PathBuf) -> io::Result<Copying> {
        let original = self.original.clone().ok_or(io::ErrorKind::NotFound)?;
        Ok(Copying::new(original, to))
    }

    /// Checks that the original is still what the scan saw.
    ///
    /// # Errors
    /// As [`Part::open_original`].
    pub(super) fn check_original<D: Disk>(&self, disk: &D) -> io::Result<()> {
        match &self.original {
            Some((path, stamp)) if disk.stamp(path)? != *stamp => Err(changed()),
            _ => Ok(()),
        }
    }
}

/// The file is written to after all.
fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the file changed while it was taken in")
}

/// Positioned reads of a file that keeps its length.
#[derive(Debug)]
pub(super) struct FileBytes<F> {
    file: F,
    bytes: u64,
}

impl<F: DiskFile> FileBytes<F> {
    fn open<D: Disk<File = F>>(disk: &D, path: &Path, stamp: &Stamp) -> io::Result<Self> {
        let file = disk.open(path, OpenMode::Read)?;
        if file.stamp()? != *stamp {
            return Err(changed());
        }
        Ok(Self { file, bytes: stamp.bytes })
    }
}

impl<F: DiskFile> ReadAt for FileBytes<F> {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }
}

/// Hashes a file, a MiB a step.
pub(super) struct Hashing {
    from: Box<dyn ReadAt + Send>,
    hasher: Box<blake3::Hasher>,
    done: u64,
}

impl Hashing {
    pub(super) fn new(from: impl ReadAt + Send + 'static) -> Self {
        Self { from: Box::new(from), hasher: Box::new(blake3::Hasher::new()), done: 0 }
    }

    /// Goes on; returns the hash at the end.
    pub(super) fn step(&mut self) -> io::Result<Option<blake3::Hash>> {
        let mut chunk = vec![0; CHUNK_BYTES];
        for _ in 0..CHUNKS_A_STEP {
            let count = self.from.read_at(self.done, &mut chunk)?;
            self.hasher.update(chunk.get(..count).unwrap_or_default());
            self.done += count as u64;
            if self.done >= self.from.len() {
                return Ok(Some(self.hasher.finalize()));
            }
            if count == 0 {
                return Err(changed());
            }
        }
        Ok(None)
    }
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hashing").field("done", &self.done).finish_non_exhaustive()
    }
}

/// Copies a file, 8 MiB a step, each of them synced. Where the file system can share blocks, it does.
#[derive(Debug)]
pub(super) struct Copying {
    from: (PathBuf, Stamp),
    to: PathBuf,
    done: u64,
}

impl Copying {
    pub(super) const fn new(from: (PathBuf, Stamp), to: PathBuf) -> Self {
        Self { from, to, done: 0 }
    }

    /// Goes on; returns whether the end is reached and on disk.
    ///
    /// # Errors
    /// What the disk says; `Interrupted` if the original has changed.
    pub(super) fn step<D: Disk>(&mut self, disk: &D) -> io::Result<bool> {
        let (path, stamp) = &self.from;
        let from = FileBytes::open(disk, path, stamp)?;
        let mode = if self.done == 0 { OpenMode::Create } else { OpenMode::Write };
        let to = disk.open(&self.to, mode)?;
        let count = to.copy_from(&from.file, self.done, COPY_BYTES_A_STEP)?;
        to.sync_data()?;
        self.done += count;
        if count == 0 && self.done < stamp.bytes {
            return Err(changed());
        }
        Ok(self.done >= stamp.bytes)
    }

    /// The copy.
    pub(super) fn path(&self) -> &Path {
        &self.to
    }
}

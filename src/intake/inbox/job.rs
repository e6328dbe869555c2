//! One `TsFile` of the inbox, and what belongs to it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::away::PutAway;
use super::journal::{Original, Taking};
use super::scan::{Stamp, Watched};
use super::store::AdoptedFile;
use crate::data::{ReadAt, Sequence};
use crate::limits;
use crate::spool::PartialId;

/// Bytes hashed in one read.
const CHUNK_BYTES: usize = 64 * limits::KIB;
/// Chunks hashed in one step: 1 MiB.
const CHUNKS_A_STEP: usize = 16;
/// Bytes copied and synced in one step.
const COPY_BYTES_A_STEP: u64 = limits::INBOX_DIRTY_BYTES_MAX;
/// Files in the staging directory are for the owner, and for the group to read.
const FILE_MODE: u32 = 0o640;

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
    /// Its tail is to be checked.
    Check,
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
        Self { name, parts, by_copy, flaw: None, stage: Stage::Check }
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
        matches!(self.stage, Stage::Check | Stage::Hash(_))
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
    pub(super) fn open_original(&self) -> io::Result<FileBytes> {
        let Some((path, stamp)) = &self.original else {
            return Err(io::ErrorKind::NotFound.into());
        };
        FileBytes::open(path, stamp)
    }

    /// Checks that the original is still what the scan saw.
    ///
    /// # Errors
    /// As [`Part::open_original`].
    pub(super) fn check_original(&self) -> io::Result<()> {
        match &self.original {
            Some((path, stamp)) if Stamp::of(path)? != *stamp => Err(changed()),
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
pub(super) struct FileBytes {
    file: File,
    bytes: u64,
}

impl FileBytes {
    fn open(path: &Path, stamp: &Stamp) -> io::Result<Self> {
        let file = File::open(path)?;
        if Stamp::of_open(&file)? != *stamp {
            return Err(changed());
        }
        Ok(Self { file, bytes: stamp.bytes })
    }
}

impl Original {
    /// Opens it where it lies.
    ///
    /// # Errors
    /// As [`Part::open_original`].
    pub(super) fn open(&self, path: &Path) -> io::Result<FileBytes> {
        FileBytes::open(path, &self.stamp)
    }
}

impl ReadAt for FileBytes {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, offset)
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
    from: File,
    to: File,
    path: PathBuf,
}

impl Copying {
    pub(super) fn new(from: FileBytes, path: PathBuf) -> io::Result<Self> {
        let mut options = File::options();
        let to = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&path)?;
        Ok(Self { from: from.file, to, path })
    }

    /// Goes on; returns whether the end is reached and on disk.
    pub(super) fn step(&self) -> io::Result<bool> {
        let count = io::copy(&mut (&self.from).take(COPY_BYTES_A_STEP), &mut &self.to)?;
        self.to.sync_data()?;
        Ok(count < COPY_BYTES_A_STEP)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

//! The landing directory: files that were taken in, laid down for the plant's own scripts.
//!
//! ```text
//!  spool --> <date>/.<name>  --synced-->  line in landing.jsonl  --synced-->  <date>/<name>
//!            a copy, 1 MiB a step         proof, exactly one                  rename, directory synced
//! ```
//!
//! What lies in the directory under its name is whole, hashed and recorded. Exactly once, wherever a crash
//! falls:
//!
//! | crash | what the next start does |
//! |---|---|
//! | before the line is on disk | lands the entry anew, over the hidden file |
//! | after the line, before the rename | renames the hidden file that the last line names |
//! | after the rename | finds none, and goes on behind the last line |
//!
//! A dated directory that somebody removes while a file of it is on the way is made again, and the file
//! copied anew. If the landing directory itself goes, its ledger goes with it: it is locked anew and gets a new
//! one before anything else lands. So a file that the ledger names lies there, is about to, or was already fetched. Entries are landed in
//! ascending order, one after the other, which is why the last line tells what is done.
//!
//! [`Landing`] is driven by [`Landing::step`], each of which does a bounded amount of work, on the worker
//! thread. It owns a copy buffer and nothing that grows. Entries that are no `TsFile` (tablets, plans,
//! snapshots) and files that are flawed, cut short or gone are *held*: they stay in the spool, and pin the
//! cursor.

mod age;
mod error;
mod job;
mod ledger;
mod names;
mod progress;
mod recorded;
mod room;
mod source;
mod step;

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::data::{OriginId, ReadAt, Sequence};
use crate::limits;
use crate::ops::clock::EpochMillis;
use crate::spool::{
    Cursor, Disk, DiskFile, OpenMode, ReadError, is_dir_locked, lock_dir, write_all_at,
};
use crate::tsfile::{TsFileError, tail};
pub use error::LandingError;
use job::{Copied, Copy, Job, JobFile, compare, job};
use ledger::Ledger;
use names::hidden;
use progress::Progress;
use recorded::{NAMED_MAX, Recorded};
use room::{Admission, Room};
pub use room::{Limits, WhenFull};
pub use source::{Item, ItemFile, Source, SpoolSource};
pub use step::{Held, Step};

/// Bytes read and written at once.
const CHUNK_BYTES: usize = 64 * limits::KIB;
/// Chunks copied in one step: 1 MiB, so that a step on a disk of 20 MB/s takes 50 ms.
const CHUNKS_A_STEP: usize = 16;

/// Seal of a `TsFile`, with and without mods.
const FILE_REQUESTS: [u16; 3] = [0, 5, 9];

/// Settings of the landing directory.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory; made if missing.
    pub dir: PathBuf,
    /// The node whose spool is landed: lines of another node's spool prove nothing.
    pub node: OriginId,
    /// The sequence that the spool's next entry gets. A ledger that knows of later ones is another spool's.
    pub next_sequence: Sequence,
    /// How much may lie there.
    pub limits: Limits,
}

/// Lands entries, one after the other.
#[derive(Debug)]
pub struct Landing<D: Disk, S: Source> {
    disk: D,
    dir: PathBuf,
    node: OriginId,
    source: S,
    ledger: Ledger<D>,
    recorded: Recorded,
    room: Room,
    max_bytes: u64,
    progress: Progress,
    work: Work<D::File, S::File>,
    chunk: Box<[u8]>,
    /// Held as long as the directory is used.
    lock: Option<D::File>,
}

#[derive(Debug)]
enum Work<T, F> {
    /// Takes the next entry.
    Next,
    /// Finds out whether this one was landed before.
    Finding(Item),
    /// Waits for room for this one.
    Waiting(Job),
    /// Copies its files.
    Copying(Job, Option<Copy<T, F>>),
    /// Its line is to be written.
    Recording(Job),
    /// Its line is on disk; its files are to get their names.
    Naming(Job),
}

impl<D: Disk, S: Source> Landing<D, S> {
    /// Opens the landing directory, finishes or removes what a crash left, and goes on at `cursor`, the
    /// consumer's.
    ///
    /// # Errors
    /// If the directory cannot be made, read or written, or another node has it.
    pub fn open(
        disk: D,
        settings: Settings,
        mut source: S,
        cursor: Cursor,
    ) -> Result<Self, LandingError> {
        let Settings { dir, node, next_sequence, limits } = settings;
        // The disk takes relative paths as those of the data directory.
        let dir = std::path::absolute(&dir).map_err(LandingError::disk("find", dir))?;
        disk.create_dir(&dir).map_err(LandingError::disk("make", &dir))?;
        let lock = lock_dir(&disk, &dir).map_err(LandingError::lock(&dir))?;
        let (ledger, last) = Ledger::open(disk.clone(), &dir, node, next_sequence)?;
        if let Some(last) = last {
            let files = last.with.iter().chain(std::iter::once(&last.file));
            finish(&disk, &dir, files.map(|file| file.name.as_str()))?;
        }
        source.seek(cursor.position);
        Ok(Self {
            node,
            source,
            ledger,
            recorded: Recorded::new(node, NAMED_MAX),
            room: Room::open(&disk, limits, &dir),
            max_bytes: limits.max_bytes,
            progress: Progress::new(cursor),
            work: Work::Next,
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
            dir,
            disk,
            lock,
        })
    }

    /// Takes the directory anew, which exists, after [`LandingError::Removed`]. What was landed is not landed
    /// again; the entry under way is copied anew, and its line goes into the ledger that is there now.
    ///
    /// # Errors
    /// As for [`Landing::open`]; then nothing has changed.
    pub fn reopen(&mut self) -> Result<(), LandingError> {
        let lock = lock_dir(&self.disk, &self.dir).map_err(LandingError::lock(&self.dir))?;
        // The spool is the same one: no line of this node is too new for it.
        let next = Sequence(u64::MAX);
        let (ledger, _) = Ledger::open(self.disk.clone(), &self.dir, self.node, next)?;
        let last = ledger.last();
        (self.lock, self.ledger) = (lock, ledger);
        self.room.reopen(&self.disk);
        self.work = match std::mem::replace(&mut self.work, Work::Next) {
            Work::Naming(job) if job.naming => Work::Naming(job),
            Work::Copying(mut job, _) | Work::Recording(mut job) | Work::Naming(mut job) => {
                job.begin_anew();
                job.recorded = last == Some(job.sequence());
                Work::Copying(job, None)
            }
            work @ (Work::Next | Work::Finding(_) | Work::Waiting(_)) => work,
        };
        Ok(())
    }

    /// Whether the directory of that name is still the one that this node has locked.
    fn check_lock(&self) -> Result<(), LandingError> {
        let is_locked = is_dir_locked(&self.disk, &self.dir, self.lock.as_ref());
        if is_locked.map_err(LandingError::disk("look at the lock of", &self.dir))? {
            return Ok(());
        }
        Err(LandingError::Removed { dir: self.dir.clone() })
    }

    /// How far the consumer has come: what is landed and durable.
    pub const fn cursor(&self) -> &Cursor {
        self.progress.cursor()
    }

    /// The next entry to look at: what lies below is landed, or held for pipes.
    pub const fn met(&self) -> Sequence {
        self.progress.met()
    }

    /// Entries that were met and stay in the spool.
    pub const fn held(&self) -> u64 {
        self.progress.held()
    }

    /// Does the next bounded part: one entry is looked at, or 1 MiB copied, or 64 KiB of the ledger
    /// read. `wall` is for `keep_days`.
    ///
    /// # Errors
    /// [`LandingError`]; the next call tries the same again, so wait before it.
    pub fn step(&mut self, now: Instant, wall: EpochMillis) -> Result<Step, LandingError> {
        if self.room.step(&self.disk, &self.ledger, now, wall)? {
            return Ok(Step::Worked);
        }
        match std::mem::replace(&mut self.work, Work::Next) {
            Work::Next => self.take_next(),
            Work::Finding(item) => self.find(item),
            Work::Waiting(job) => self.admit(job),
            Work::Copying(job, copy) => self.copy(job, copy),
            Work::Recording(job) => self.record(job),
            Work::Naming(job) => self.name(job),
        }
    }

    fn take_next(&mut self) -> Result<Step, LandingError> {
        let Some(item) = self.source.next()? else { return Ok(Step::Idle) };
        let sequence = item.header.sequence;
        let is_file = item.request_type.is_some_and(|code| FILE_REQUESTS.contains(&code));
        if !is_file {
            return Ok(self.hold(sequence, Held::NotAFile));
        }
        if self.progress.is_finished(sequence) {
            self.progress.finish(sequence);
            return Ok(Step::Worked);
        }
        self.find(item)
    }

    /// Goes on with an entry unless the ledger names it. One that was held has no line, though later ones
    /// have.
    fn find(&mut self, item: Item) -> Result<Step, LandingError> {
        let sequence = item.header.sequence;
        let may_be = self.ledger.last().is_some_and(|last| sequence <= last);
        let is_recorded = if may_be {
            self.recorded.ask(&self.ledger, sequence)
        } else {
            self.recorded.forget();
            Ok(Some(false))
        };
        match is_recorded {
            Ok(Some(true)) => {
                self.progress.finish(sequence);
                Ok(Step::Worked)
            }
            Ok(Some(false)) => self.begin_job(item),
            undecided => {
                self.work = Work::Finding(item);
                undecided.map(|_| Step::Worked)
            }
        }
    }

    fn begin_job(&mut self, item: Item) -> Result<Step, LandingError> {
        let sequence = item.header.sequence;
        match job(item) {
            Ok(job) if job.files.is_empty() => Ok(self.hold(sequence, Held::NotAFile)),
            Ok(job) => self.admit(job),
            Err(error) => Ok(self.hold(sequence, error.into())),
        }
    }

    fn hold(&mut self, sequence: Sequence, why: Held) -> Step {
        self.progress.hold(sequence);
        Step::Held { sequence, why }
    }

    fn admit(&mut self, job: Job) -> Result<Step, LandingError> {
        let needed = job.bytes();
        let admission = self.room.admit(&self.disk, &self.ledger, needed);
        self.work = match &admission {
            Ok(Admission::Yes) => Work::Copying(job, None),
            _ => Work::Waiting(job),
        };
        match admission? {
            Admission::Yes | Admission::Later => Ok(Step::Worked),
            Admission::Full(present) => {
                Ok(Step::Full { needed, present, max_bytes: self.max_bytes })
            }
        }
    }

    /// Copies on. An error begins the file anew: what a failed write or sync left is not believed.
    fn copy(
        &mut self,
        mut job: Job,
        copy: Option<Copy<D::File, S::File>>,
    ) -> Result<Step, LandingError> {
        let outcome = match copy {
            Some(copy) => self.copy_on(&mut job, copy),
            None => self.begin(&job),
        };
        match outcome {
            Ok(Copied::Part(copy)) => self.work = Work::Copying(job, Some(*copy)),
            Ok(Copied::File) if job.files.iter().any(|file| file.hash.is_none()) => {
                self.work = Work::Copying(job, None);
            }
            Ok(Copied::File) => self.work = Work::Recording(job),
            Ok(Copied::Unfit(why)) => {
                self.discard(&job);
                return Ok(self.hold(job.sequence(), why));
            }
            Err(error) => {
                self.work = Work::Copying(job, None);
                return Err(error);
            }
        }
        Ok(Step::Worked)
    }

    /// Opens the first file that is not copied yet, and its partial.
    fn begin(&mut self, job: &Job) -> Result<Copied<D::File, S::File>, LandingError> {
        let Some(file) = job.files.iter().find(|file| file.hash.is_none()) else {
            return Ok(Copied::File);
        };
        self.check_lock()?;
        let from = match self.source.open(file.index) {
            Err(ReadError::File { .. }) => return Ok(Copied::Unfit(file.gone())),
            opened => opened?,
        };
        let is_ts_file = job.files.last().is_some_and(|last| last.index == file.index);
        if is_ts_file && let Err(flaw) = tail::check(&from) {
            return self.unfit(file, flaw);
        }
        let path = hidden(&self.dir.join(&file.name));
        make_dir(&self.disk, &self.dir, &path)?;
        let to = self.disk.open(&path, OpenMode::Create);
        let to = to.map_err(LandingError::disk("create", &path))?;
        let hasher = Box::new(blake3::Hasher::new());
        Ok(Copied::Part(Box::new(Copy { from, to, done: 0, dirty: 0, hasher })))
    }

    /// A disk that cannot be read says nothing about the file.
    fn unfit(
        &self,
        file: &JobFile,
        flaw: TsFileError,
    ) -> Result<Copied<D::File, S::File>, LandingError> {
        if let TsFileError::Read { source, .. } = flaw {
            return Err(LandingError::disk("read", self.dir.join(&file.name))(source));
        }
        Ok(Copied::Unfit(Held::Flawed(flaw)))
    }

    fn copy_on(
        &mut self,
        job: &mut Job,
        mut copy: Copy<D::File, S::File>,
    ) -> Result<Copied<D::File, S::File>, LandingError> {
        let Some(file) = job.files.iter_mut().find(|file| file.hash.is_none()) else {
            return Ok(Copied::File);
        };
        let path = hidden(&self.dir.join(&file.name));
        for _ in 0..CHUNKS_A_STEP {
            let count = copy
                .from
                .read_at(copy.done, &mut self.chunk)
                .map_err(LandingError::disk("read", &path))?;
            let bytes = self.chunk.get(..count).unwrap_or_default();
            if bytes.is_empty() && copy.done < file.bytes {
                let short = io::ErrorKind::UnexpectedEof.into();
                return Err(LandingError::disk("read", &path)(short));
            }
            if bytes.is_empty() {
                break;
            }
            write_all_at(&copy.to, copy.done, &mut [IoSlice::new(bytes)])
                .map_err(LandingError::disk("write", &path))?;
            copy.hasher.update(bytes);
            copy.done += count as u64;
            copy.dirty += count as u64;
        }
        let is_complete = copy.done >= file.bytes;
        if is_complete || copy.dirty >= limits::LANDING_DIRTY_BYTES_MAX {
            copy.to.sync_data().map_err(LandingError::disk("sync", &path))?;
            copy.dirty = 0;
        }
        if !is_complete {
            return Ok(Copied::Part(Box::new(copy)));
        }
        let got = copy.hasher.finalize();
        file.hash = Some(got);
        Ok(compare(&job.item, file, got))
    }

    /// Writes the line. An error leaves it unwritten, or nobody knows: it is written again.
    fn record(&mut self, mut job: Job) -> Result<Step, LandingError> {
        match self.check_lock().and_then(|()| self.is_there(&job)) {
            Ok(true) => {}
            Ok(false) => {
                job.begin_anew();
                self.work = Work::Copying(job, None);
                return Ok(Step::Worked);
            }
            Err(error) => {
                self.work = Work::Recording(job);
                return Err(error);
            }
        }
        if job.recorded {
            self.work = Work::Naming(job);
            return Ok(Step::Worked);
        }
        let recorded = self.ledger.append(&job.line(self.node));
        self.work = if recorded.is_ok() { Work::Naming(job) } else { Work::Recording(job) };
        recorded.map(|()| Step::Worked)
    }

    /// Before the line says that a file is about to lie there, its hidden name has to be on disk. False if
    /// somebody has removed it, as a rule with its directory.
    fn is_there(&self, job: &Job) -> Result<bool, LandingError> {
        for path in job.files.iter().map(|file| self.dir.join(&file.name)) {
            let path = hidden(&path);
            let found = self
                .disk
                .file_bytes(&path)
                .and_then(|_| self.disk.sync_dir(path.parent().unwrap_or(&self.dir)));
            match found {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                found => found.map_err(LandingError::disk("sync", path))?,
            }
        }
        Ok(true)
    }

    /// Gives the files their names. After an error the rest of it is done by the next step, or by recovery.
    fn name(&mut self, mut job: Job) -> Result<Step, LandingError> {
        // Behind a rename that was tried, a hidden file that is missing has its name, or was fetched.
        if !job.naming {
            match self.is_there(&job) {
                Ok(true) => job.naming = true,
                Ok(false) => {
                    job.begin_anew();
                    job.recorded = true;
                    self.work = Work::Copying(job, None);
                    return Ok(Step::Worked);
                }
                Err(error) => {
                    self.work = Work::Naming(job);
                    return Err(error);
                }
            }
        }
        if let Err(error) =
            finish(&self.disk, &self.dir, job.files.iter().map(|file| file.name.as_str()))
        {
            self.work = Work::Naming(job);
            return Err(error);
        }
        self.progress.finish(job.sequence());
        self.room.add(job.bytes());
        Ok(Step::Landed { sequence: job.sequence(), name: job.name(), bytes: job.bytes() })
    }

    /// Best effort: what stays is removed at the next start.
    fn discard(&self, job: &Job) {
        for file in &job.files {
            let _left = self.disk.remove(&hidden(&self.dir.join(&file.name)));
        }
    }
}

/// Gives hidden files that are still there their names; the `TsFile` comes last, so that whoever sees it
/// sees its mods, too.
fn finish<'n, D: Disk>(
    disk: &D,
    dir: &Path,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Result<(), LandingError> {
    for path in names.clone().map(|name| dir.join(name)) {
        match disk.rename(&hidden(&path), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(LandingError::disk("rename", hidden(&path)))?,
        }
    }
    for path in names.map(|name| dir.join(name)) {
        match disk.sync_dir(path.parent().unwrap_or(dir)) {
            // Everything was fetched, and a script removed the directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced.map_err(LandingError::disk("sync", path))?,
        }
    }
    Ok(())
}

fn make_dir<D: Disk>(disk: &D, dir: &Path, path: &Path) -> Result<(), LandingError> {
    let dated = path.parent().unwrap_or(dir);
    disk.create_dir(dated).map_err(LandingError::disk("make", dated))?;
    disk.sync_dir(dir).map_err(LandingError::disk("sync", dir))
}

#[cfg(test)]
mod tests;

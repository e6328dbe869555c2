//! The landing directory: what was taken in, laid down for the plant's own scripts.
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
//! | taken in | what becomes of it |
//! |---|---|
//! | a `TsFile`, with its mods | lands under its name |
//! | a deletion (`DeleteDataNode` in a request of type 100) | a line of the ledger; a request if it names too much for one |
//! | another request that is not data: schema and configuration plans and snapshots, rows of the table model, a row too large for an entry | lands as it came (`job.rs`) |
//! | a file that is flawed, cut short, lost, not what was taken in, or that the disk does not give back in 5 tries | goes to the quarantine as far as it is there; a line says so |
//! | a tablet | stays in the spool, and pins the cursor |
//!
//! [`Landing`] is driven by [`Landing::step`], each of which does a bounded amount of work, on the worker
//! thread. It owns a copy buffer and nothing that grows.

mod age;
mod copying;
mod delete;
mod error;
mod job;
mod ledger;
mod line;
mod names;
mod naming;
mod progress;
mod recorded;
mod room;
mod source;
mod step;

use std::path::PathBuf;
use std::time::Instant;

use crate::data::{OriginId, Sequence};
use crate::limits;
use crate::ops::clock::EpochMillis;
use crate::spool::{Cursor, Disk, Kind, is_dir_locked, lock_dir};
use crate::wire::request::RequestType;
use copying::Copy;
use delete::Deletion;
pub use error::LandingError;
use job::Job;
use ledger::Ledger;
pub use line::What;
use progress::Progress;
use recorded::{NAMED_MAX, Recorded};
use room::{Admission, Room};
pub use room::{Limits, WhenFull};
pub use source::{Item, ItemFile, Part, Source, SpoolFile, SpoolSource};
pub use step::Step;
use step::Unfit;

/// Bytes read and written at once.
const CHUNK_BYTES: usize = 64 * limits::KIB;

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
    /// Its files are to be put aside.
    Unfit(Job, Unfit),
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
            naming::finish(&disk, &dir, last.names())?;
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
            work @ (Work::Next | Work::Finding(_) | Work::Waiting(_) | Work::Unfit(..)) => work,
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
            Work::Unfit(job, why) => {
                let step = Step::Unfit { sequence: job.sequence(), why: why.to_string() };
                self.work = Work::Unfit(job, why);
                Ok(step)
            }
        }
    }

    /// The files of the entry that [`Step::Unfit`] named are put aside as far as they are there: the next steps
    /// write its line, and go on.
    pub fn put_aside(&mut self) {
        let work = std::mem::replace(&mut self.work, Work::Next);
        self.work = if let Work::Unfit(mut job, why) = work {
            job.put_aside(&why);
            Work::Recording(job)
        } else {
            work
        };
    }

    fn take_next(&mut self) -> Result<Step, LandingError> {
        let Some(item) = self.source.next()? else { return Ok(Step::Idle) };
        let sequence = item.header.sequence;
        if item.header.kind == Kind::Tablet {
            self.progress.hold(sequence);
            return Ok(Step::Held { sequence });
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
        let deletion = match self.deletion(&item) {
            Ok(deletion) => deletion,
            Err(error) => {
                self.work = Work::Finding(item);
                return Err(error);
            }
        };
        if let Some(Deletion { paths, time_range }) = deletion {
            self.work = Work::Recording(Job::of_delete(item, paths, time_range));
            return Ok(Step::Worked);
        }
        let job = Job::of(item);
        if job.files.is_empty() {
            self.work = Work::Unfit(job, Unfit::Files);
            return Ok(Step::Worked);
        }
        self.admit(job)
    }

    /// What the entry says if it is a deletion that a line has room for.
    fn deletion(&mut self, item: &Item) -> Result<Option<Deletion>, LandingError> {
        let plan = RequestType::PlanNode.code().cast_unsigned();
        if item.header.kind != Kind::Opaque || item.request_type != Some(plan) {
            return Ok(None);
        }
        let payload = self.source.open(Part::Payload)?;
        delete::read(&payload, &mut self.chunk).map_err(LandingError::disk(
            "read",
            format!("entry {} of the spool", item.header.sequence),
        ))
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
}

#[cfg(test)]
mod tests;

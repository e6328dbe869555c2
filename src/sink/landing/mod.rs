//! The landing directory: what was taken in, laid down for the plant's own scripts.
//!
//! ```text
//!  file, request  --copied, 1 MiB a step--> .penstock/.copy-<i> -.
//!                                                                  v  whole, synced
//!  spool                                              .penstock/.<name> --> lines in landing.jsonl --> <date>/<name>
//!                                                                  ^        proof, exactly one         rename
//!  run of tablets --made (crate::twin)--> .penstock/.twin-<n> ----'
//! ```
//!
//! | taken in | what becomes of it |
//! |---|---|
//! | a `TsFile`, with its mods | lands under its name |
//! | tablets that follow each other, a *run* | become `TsFile`s: one for each origin, kind of devices (aligned or not) and precision, more where a series has two types |
//! | a deletion (`DeleteDataNode` in a request of type 100) | a line of the ledger; a request if it names too much for one |
//! | another request that is not data: schema and configuration plans and snapshots, rows of the table model; a tablet that is larger than an entry, or that no `TsFile` can hold | lands as it came (`job.rs`) |
//! | a file that is flawed, cut short, lost, not what was taken in, or that the disk does not give back in 5 tries | goes to the quarantine as far as it is there; a line says so |
//! | what has more bytes than `max_bytes` lets lie there in all | the same, with the bytes that it needs: what comes behind it goes on; a run is made in halves before, and its last tablet as it came |
//! | an entry that `drop-oldest` took away while it waited for room here | a line and trouble say so |
//! | a tablet or a request that the disk does not give back in 40 tries, ten minutes | a line and trouble say so: it stays in the spool's log as long as its segment does |
//! | a place of the spool's log of which not even that is known, after as many tries | goes to the quarantine as any flaw of the log; no line |
//!
//! A run ends at anything that is no tablet, at `max_file_bytes`, or when its first entry was met `max_delay` ago.
//!
//! # Exactly once
//!
//! What lies in the directory under its name is whole, hashed and recorded. Entries land in ascending order, one
//! file or run after the other, and nothing is left out. Each writes one *set* of lines, whose last one says
//! through which entry everything has landed. No file of a set has its name before the whole set is on disk. So
//! what counts after a crash is the last whole set, and never how a run was cut:
//!
//! | crash | what lies there | what the next start does |
//! |---|---|---|
//! | while a run is gathered or made, or a file copied | parts of files, which have no hidden names yet | goes on behind the last set; they go; a run may be cut elsewhere now, since there are more entries |
//! | behind that | whole files under hidden names, as far as they have them | the same |
//! | within the write of the set, or before its sync | the same, and perhaps some of its lines | cuts these lines, and goes on as above: nobody has seen a file of it |
//! | behind the sync, before the last rename | some files under their names, or fetched; the others hidden | gives those that are hidden their names, and goes on behind this set |
//! | behind the last rename | files under their names, or fetched | finds none that is hidden, and goes on behind this set |
//! | the same, after somebody removed `.penstock` | no `.penstock/.whole`, and some files of the set neither hidden nor under their names | copies or makes that set again: the spool still has it, since the cursor moves behind the names |
//!
//! So each point is in exactly one file of all that ever lay there, whenever somebody fetches them. Hidden files lie in
//! `.penstock`, and a dated directory is made when a file moves there. As long as `.whole` is there, a hidden file that
//! is missing has its name or was fetched, whoever removes dated directories, and when. Without it what was fetched may
//! land once more: nobody but the node has anything to do in `.penstock`, and to lose a file is worse. If the landing
//! directory itself goes, what was on the way is copied or made anew, and its ledger goes with it: it is locked anew and
//! gets a new one before anything else lands. So a file that the ledger names lies there, is about to, or was already
//! fetched. If it goes since its mount is away, landing waits (`place.rs`).
//!
//! [`Landing`] is driven by [`Landing::step`], each of which does a bounded amount of work, on the worker
//! thread. It owns a copy buffer, and the memory of [`crate::twin`] while a run is made; nothing that grows.

mod admit;
mod age;
mod copying;
mod delete;
mod error;
mod fulls;
mod job;
mod ledger;
mod line;
mod names;
mod naming;
mod place;
mod resume;
mod room;
mod run;
mod set;
mod source;
mod step;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::data::{OriginId, Sequence};
use crate::limits;
use crate::ops::clock::EpochMillis;
use crate::spool::{Cursor, Disk, Kind, ReadError, is_dir_locked, lock_dir};
use crate::twin::Maker;
use crate::wire::request::RequestType;
use copying::Copy;
use delete::Deletion;
pub use error::LandingError;
use job::Job;
use ledger::Ledger;
pub use ledger::landed_below;
use line::Line;
pub use line::{Totals, What};
pub use place::check_dir;
use resume::Again;
use room::Room;
pub use room::{Limits, Removed, WhenFull};
use run::Gathered;
use set::Set;
pub use source::{Item, ItemFile, Part, Source, SpoolFile, SpoolSource};
use step::Unfit;
pub use step::{Landed, Step};

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
    /// Bytes of tablets that become one file at most; a run has no more than
    /// [`TWIN_RUN_BYTES_MAX`](limits::TWIN_RUN_BYTES_MAX).
    pub max_file_bytes: u64,
    /// Tablets wait no longer than this for others to land with.
    pub max_delay: Duration,
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
    room: Room,
    max_bytes: u64,
    run_bytes_max: u64,
    /// Bytes of the next run: fewer behind one that had to be made in parts, then more again.
    run_bytes: u64,
    max_delay: Duration,
    /// Everything below its position has landed.
    cursor: Cursor,
    work: Work<D, S>,
    /// Tablets that wait for others.
    run: Option<Gathered>,
    /// A tablet that can be in no run, and why.
    odd: Option<(Sequence, String)>,
    /// How often the next entry could not be read.
    unread: u32,
    chunk: Box<[u8]>,
    /// Held as long as the directory is used.
    lock: Option<D::File>,
}

#[derive(Debug)]
enum Work<D: Disk, S: Source> {
    /// Takes the next entries.
    Next,
    /// Finds the entries of a set again whose files are gone.
    Again(Again),
    /// Looks at what this one is; how often it could not be read.
    Looking(Item, u32),
    /// Waits for room for this one.
    Waiting(Job),
    /// Copies its files.
    Copying(Job, Option<Copy<D::File, S::File>>),
    /// Makes files of tablets.
    Making(Option<Box<Maker<D, S::Tablets>>>, Gathered),
    /// Its files are whole, and to get their hidden names, once there is room.
    Placing(Set),
    /// Its lines are to be written.
    Recording(Set),
    /// Its lines are on disk; its files are to get their names.
    Naming(Set),
    /// Its files are to be put aside.
    Unfit(Job, Unfit),
}

impl<D: Disk, S: Source> Landing<D, S> {
    /// Opens the landing directory, finishes or removes what a crash left, and goes on at `cursor`, the
    /// consumer's, or behind what the ledger says.
    ///
    /// # Errors
    /// If the directory cannot be made, read or written, or another node has it.
    pub fn open(
        disk: D,
        settings: Settings,
        mut source: S,
        mut cursor: Cursor,
    ) -> Result<Self, LandingError> {
        let Settings { dir, node, next_sequence, max_file_bytes, max_delay, limits } = settings;
        // The disk takes relative paths as those of the data directory.
        let dir = std::path::absolute(&dir).map_err(LandingError::disk("find", dir))?;
        check_dir(&disk, &dir)?;
        disk.create_dir(&dir).map_err(LandingError::disk("make", &dir))?;
        let lock = lock_dir(&disk, &dir).map_err(LandingError::lock(&dir))?;
        place::settle(&disk, &dir)?;
        let (ledger, set) = Ledger::open(disk.clone(), &dir, node, next_sequence)?;
        // Of another spool's set nothing can be made again, but its files get their names.
        let ours = if ledger.through().is_some() { &*set } else { &[] };
        let again = resume::lost(&disk, &dir, ours, (cursor.position, node))?;
        naming::finish(&disk, &dir, set.iter().flat_map(Line::names))?;
        naming::sweep(&disk, &dir)?;
        if let Some(through) = ledger.through() {
            cursor.raise(again.as_ref().map_or_else(|| through.next(), |again| again.first));
        }
        source.seek(cursor.position);
        let run_bytes_max = run_bytes_max(max_file_bytes, limits.max_bytes);
        Ok(Self {
            node,
            source,
            ledger,
            room: Room::open(&disk, limits, &dir),
            max_bytes: limits.max_bytes,
            run_bytes_max,
            run_bytes: run_bytes_max,
            max_delay,
            cursor,
            work: again.map_or(Work::Next, Work::Again),
            run: None,
            odd: None,
            unread: 0,
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
            dir,
            disk,
            lock,
        })
    }

    /// Takes the directory anew, which exists, after [`LandingError::Removed`]. What was landed is not landed
    /// again; what is under way is copied or made anew, and its lines go into the ledger that is there now.
    ///
    /// # Errors
    /// As for [`Landing::open`]; then nothing has changed.
    pub fn reopen(&mut self) -> Result<(), LandingError> {
        check_dir(&self.disk, &self.dir)?;
        // A mount that is back has the lock that is held.
        let lock = match self.check_lock() {
            Err(LandingError::Removed { .. }) => {
                let lock =
                    lock_dir(&self.disk, &self.dir).map_err(LandingError::lock(&self.dir))?;
                Some(lock)
            }
            locked => locked.map(|()| None)?,
        };
        place::settle(&self.disk, &self.dir)?;
        // The spool is the same one: no line of this node is too new for it.
        let next = Sequence(u64::MAX);
        let (mut ledger, set) = Ledger::open(self.disk.clone(), &self.dir, self.node, next)?;
        // It may be the one from before, on a mount that was away.
        let ours = if ledger.through().is_some() { &*set } else { &[] };
        let known = (Sequence(0), self.node);
        let is_whole = resume::lost(&self.disk, &self.dir, ours, known)?.is_none();
        naming::finish(&self.disk, &self.dir, set.iter().flat_map(Line::names))?;
        ledger.count_on(self.ledger.landed());
        let through = ledger.through();
        if let Some(lock) = lock {
            self.lock = lock;
        }
        self.ledger = ledger;
        self.room.reopen(&self.disk);
        match std::mem::replace(&mut self.work, Work::Next) {
            Work::Copying(mut job, _) => {
                job.begin_anew();
                job.recorded = through >= Some(job.sequence());
                self.work = Work::Copying(job, None);
            }
            Work::Making(_, mut run) => {
                run.recorded = through >= Some(run.last);
                self.work = Work::Making(None, run);
            }
            Work::Recording(mut set) | Work::Naming(mut set) if !set.naming => {
                set.recorded = through >= Some(set.last());
                // What a line here names may lie here whole: it is not put at risk by being made again.
                if set.recorded {
                    set.naming = is_whole;
                    self.work = Work::Naming(set);
                } else {
                    self.make_again(set);
                }
            }
            Work::Placing(set) => self.make_again(set),
            work @ (Work::Next
            | Work::Again(_)
            | Work::Looking(..)
            | Work::Waiting(_)
            | Work::Recording(_)
            | Work::Naming(_)
            | Work::Unfit(..)) => self.work = work,
        }
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
        &self.cursor
    }

    /// The last entry of this node that the ledger has recorded, if the log gives its number once more: the log has lost
    /// its end. What comes gets names of its own.
    pub const fn given_again(&self) -> Option<Sequence> {
        self.ledger.given_again()
    }

    /// What has landed since the ledger was begun.
    pub const fn landed(&self) -> Totals {
        self.ledger.landed()
    }

    /// What was removed since the start to keep the directory's limits.
    pub const fn removed(&self) -> Removed {
        self.room.removed()
    }

    /// What the disk said of a ledger that it does not give back, once: files that it names are not counted, and not
    /// removed.
    pub fn take_unread_ledger(&mut self) -> Option<String> {
        self.room.take_unread()
    }

    /// Does the next bounded part: some entries are looked at, or about 1 MiB is copied or made, or 64 KiB of the
    /// ledger read. `wall` is for `keep_days`.
    ///
    /// # Errors
    /// [`LandingError`]; the next call tries the same again, so wait before it.
    pub fn step(&mut self, now: Instant, wall: EpochMillis) -> Result<Step, LandingError> {
        if self.room.step(&self.disk, &mut self.ledger, now, wall)? {
            return Ok(Step::Worked);
        }
        self.leave_dropped();
        let step = self.work_on(now);
        // It may have been dropped while it was opened.
        if step.is_err() && self.leave_dropped() { Ok(Step::Worked) } else { step }
    }

    /// Gives up an entry that waits for room, or to be read, and that the spool has dropped meanwhile: it would
    /// wait for ever, and all others with it. What is open is read on: a file that was removed has its bytes.
    fn leave_dropped(&mut self) -> bool {
        let oldest = self.source.oldest();
        let is_dropped = |sequence: Sequence| sequence < oldest;
        let job = match std::mem::replace(&mut self.work, Work::Next) {
            Work::Looking(item, _) if is_dropped(item.header.sequence) => Job::of(item),
            Work::Waiting(job) | Work::Copying(job, None) if is_dropped(job.sequence()) => job,
            Work::Unfit(job, Unfit::Gone { .. } | Unfit::Unreadable { .. })
                if is_dropped(job.sequence()) =>
            {
                job
            }
            work @ (Work::Next
            | Work::Again(_)
            | Work::Looking(..)
            | Work::Waiting(_)
            | Work::Copying(..)
            | Work::Making(..)
            | Work::Placing(_)
            | Work::Recording(_)
            | Work::Naming(_)
            | Work::Unfit(..)) => {
                self.work = work;
                return false;
            }
        };
        self.work = self.unfit(job, Unfit::Dropped);
        true
    }

    fn work_on(&mut self, now: Instant) -> Result<Step, LandingError> {
        match std::mem::replace(&mut self.work, Work::Next) {
            Work::Next => self.take_next(now),
            Work::Again(again) => self.find_again(again, now),
            Work::Looking(item, unread) => self.take(item, unread),
            Work::Waiting(job) => Ok(self.wait(job)),
            Work::Copying(job, copy) => self.copy(job, copy),
            Work::Making(maker, run) => self.make(maker, run),
            Work::Placing(set) => self.place(set),
            Work::Recording(set) => self.record(set),
            Work::Naming(set) => self.name(set),
            Work::Unfit(job, why) => {
                let needed =
                    if let Unfit::TooLarge { needed, .. } = why { Some(needed) } else { None };
                let step = Step::Unfit { sequence: job.sequence(), why: why.to_string(), needed };
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
            // A line that says that it had landed is not the last word.
            job.recorded = false;
            Work::Recording(Set::of_entry(job, self.node))
        } else {
            work
        };
    }

    /// The spool's next entry. What its disk does not give back, again and again, is stepped over in the end: the spool's
    /// owner puts that place into quarantine, and what lies behind it does not wait for good.
    fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        let item = self.source.next();
        self.unread = if item.is_err() { self.unread + 1 } else { 0 };
        match item {
            Err(error) if self.unread >= limits::LANDING_LOG_READS_MAX => {
                self.unread = 0;
                log::error!("event=log_unreadable stepped_over=true error=\"{error}\"");
                self.source.forgive();
                self.source.next()
            }
            item => item,
        }
    }

    /// Takes on an entry that belongs to no run.
    fn take(&mut self, item: Item, unread: u32) -> Result<Step, LandingError> {
        let sequence = item.header.sequence;
        if self.cursor.is_finished(sequence) {
            self.cursor.raise(sequence.next());
            return Ok(Step::Worked);
        }
        let deletion = match self.deletion(&item) {
            Ok(deletion) => deletion,
            // What cannot be read is tried longer, and then given up, as a request.
            Err(_) if unread + 1 >= limits::FILE_READS_MAX => None,
            Err(error) => {
                self.work = Work::Looking(item, unread + 1);
                return Err(error);
            }
        };
        if let Some(Deletion { paths, time_range }) = deletion {
            let job = Job::of_delete(item, paths, time_range);
            self.work = Work::Recording(Set::of_entry(job, self.node));
            return Ok(Step::Worked);
        }
        let mut job = Job::of(item);
        if job.files.is_empty() {
            self.work = Work::Unfit(job, Unfit::Files);
            return Ok(Step::Worked);
        }
        job.why = self.odd.take().filter(|(odd, _)| *odd == sequence).map(|(_, why)| why);
        Ok(self.wait(job))
    }

    /// What the entry says if it is a deletion that a line has room for.
    fn deletion(&mut self, item: &Item) -> Result<Option<Deletion>, LandingError> {
        let plan = RequestType::PlanNode.code().cast_unsigned();
        if item.header.kind != Kind::Opaque || item.request_type != Some(plan) {
            return Ok(None);
        }
        let payload = self.source.open(Part::Payload)?;
        let entry = format!("entry {} of the spool", item.header.sequence);
        delete::read(&payload, &mut self.chunk).map_err(LandingError::disk("read", entry))
    }
}

/// Bytes of a run: so few that its files fit into the directory beside others.
fn run_bytes_max(max_file_bytes: u64, max_bytes: u64) -> u64 {
    let bytes = max_file_bytes.min(limits::TWIN_RUN_BYTES_MAX);
    if max_bytes == 0 { bytes } else { bytes.min(max_bytes / 2) }
}

#[cfg(test)]
mod tests;

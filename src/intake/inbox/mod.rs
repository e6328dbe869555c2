//! The inbox: a directory in which people and scripts put `TsFile`s.
//!
//! ```text
//!  <inbox>/x.tsfile         +-- put here by a rename --> hashed, renamed into the spool ---------+
//!  <inbox>/x.tsfile.mods -->|                                                                    +--> entry
//!  (if there is one)        +-- stopped growing ------> hashed, copied (blocks shared if the     |
//!                           |                           file system can), journal, renamed ------+
//!                           +-- no TsFile, for a minute --> quarantine, with the reason
//! ```
//!
//! | what | rule |
//! |---|---|
//! | when a file is finished | see `scan.rs`: at once after a rename, else when two scans see it equal; and its tail has to be complete |
//! | mods | belong to the `TsFile` whose name they begin with; put them there first. Without it they stay, and are reported. Both kinds beside one file contradict each other: quarantine |
//! | move or copy | moved only if it was put here by a rename, nobody has another name for it, and nothing is archived; else somebody may still write to it |
//! | afterwards | removed, or renamed into the archive directory; an older file of that name there stays, and the new one gets its sequence in front |
//! | a crash | a moved file is in the spool and is sealed at the next start; a copied one is found by its journal: each is taken once |
//! | another kind of file | left alone, as are hidden files, links and directories |
//! | a flawed file without room in quarantine | stays, is reported, and is tried again later; the others go on |
//! | another node has the inbox | an error; the lock is `.penstock.lock` in the directory |
//! | a file whose bytes cannot be read | stays where it is, in the inbox or in the spool, is reported, and is tried again later; the others go on |
//! | no room | waits; a file that could never fit is reported and left, and the others go on |
//!
//! [`Inbox`] is driven by [`Inbox::step`] on a thread that may block. Paths of the inbox are absolute; what
//! concerns the data directory goes through the spool's [`Disk`].

mod away;
mod job;
mod journal;
mod scan;
mod spool_store;
mod store;
mod take;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::data::Sequence;
use crate::intake::shared_dir::{self, INBOX_MODE};
use crate::limits;
use crate::spool::{Disk, Full, PartialError, is_dir_locked, lock_dir};
use job::{Job, Part};
pub use scan::Orphans;
use scan::{MODS, TS_FILE, Watch, Watched};
pub use spool_store::{OnSpool, SpoolStore};
pub use store::{AdoptedFile, Store, StoreError, TakenFile};

/// Pause after a file could not be put away; it doubles each time, up to the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// Settings of the inbox.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory.
    pub dir: PathBuf,
    /// Where originals go; `None`: they are removed.
    pub archive_dir: Option<PathBuf>,
    /// Copies are made here: on the spool's file system, used by nobody else.
    pub staging_dir: PathBuf,
    /// Time between two scans.
    pub scan_interval: Duration,
    /// A file that is no complete `TsFile` goes to quarantine when it has been the same for so long.
    pub flawed_after: Duration,
}

impl Settings {
    /// Settings for `dir` with a scan each second, and a minute for files that are not complete.
    pub const fn new(dir: PathBuf, archive_dir: Option<PathBuf>, staging_dir: PathBuf) -> Self {
        let (scan_interval, flawed_after) = (Duration::from_secs(1), Duration::from_secs(60));
        Self { dir, archive_dir, staging_dir, scan_interval, flawed_after }
    }

    /// The disk takes relative paths as those of the data directory, and the rest of the system does not.
    fn absolute(mut self) -> Result<Self, InboxError> {
        let dirs = [Some(&mut self.dir), Some(&mut self.staging_dir), self.archive_dir.as_mut()];
        for dir in dirs.into_iter().flatten() {
            *dir = std::path::absolute(&*dir).map_err(disk("find", &*dir))?;
        }
        Ok(self)
    }
}

/// What a step did.
#[derive(Debug)]
pub enum Step {
    /// Nothing to do before this moment.
    Idle(Instant),
    /// A part of something; there is more.
    Worked,
    /// A file is durable in the spool, and gone from the inbox.
    Taken {
        /// Its name.
        name: String,
        /// Its entry.
        sequence: Sequence,
        /// Bytes, with those of its mods.
        bytes: u64,
    },
    /// A file is in quarantine.
    Quarantined {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file waits for room. If `full.needed` is above `full.limit` it never fits: it is left in the
    /// inbox, and the others go on. Else wait before the next step.
    Full {
        /// Its name.
        name: String,
        /// What is needed, and what there is.
        full: Full,
    },
    /// A flawed file stays in the inbox, as quarantine has no room for it; the others go on.
    Left {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
        /// What is needed, and what quarantine has.
        full: Full,
    },
    /// The disk cannot read a file: it is left alone for now, and the others go on.
    Unreadable {
        /// Its name.
        name: String,
        /// Why.
        error: InboxError,
    },
    /// A file that cannot be put away is tried again at this moment.
    Waiting(Instant),
    /// A file cannot be taken or put away now. Wait before the next step.
    Blocked {
        /// Its name.
        name: String,
        /// Why.
        error: InboxError,
    },
}

/// Why a file is not taken.
#[derive(Debug, Error)]
pub enum InboxError {
    /// The inbox's own disk, or its rights.
    #[error("{operation} {path}: {source}")]
    Disk {
        /// What was being done.
        operation: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another node takes files from there.
    #[error("{dir} is in use by another node")]
    Locked {
        /// The inbox.
        dir: PathBuf,
    },
    /// The spool.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InboxError {
    /// The node's user may not, whatever the disk can.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// The bytes of one file cannot be had; others may be sound.
    const fn is_of_a_file(&self) -> bool {
        use PartialError::Unreadable;
        matches!(self, Self::Disk { .. } | Self::Store(StoreError::Partial(Unreadable { .. })))
    }
}

fn not_locked(dir: &Path) -> impl FnOnce(io::Error) -> InboxError {
    move |source| {
        if source.kind() == io::ErrorKind::WouldBlock {
            return InboxError::Locked { dir: dir.to_owned() };
        }
        disk("lock", dir)(source)
    }
}

fn disk(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> InboxError {
    move |source| InboxError::Disk { operation, path: path.into(), source }
}

/// Takes files in, one after the other.
#[derive(Debug)]
pub struct Inbox<D: Disk, S: Store> {
    disk: D,
    store: S,
    settings: Settings,
    watch: Watch,
    scan_at: Option<Instant>,
    /// Adopted by the run before: `TsFile`s to go on with, and mods whose `TsFile` is still in the inbox.
    adopted: Vec<Adopted>,
    job: Option<Job>,
    /// How often the job failed in a row, and when it goes on.
    failed: Option<(u32, Instant)>,
    /// Keeps other nodes away, for as long as its directory is there.
    lock: Option<D::File>,
}

/// A file in the spool that is not sealed.
#[derive(Debug)]
struct Adopted {
    file: AdoptedFile,
    /// It is left alone until then.
    put_off: Option<Instant>,
}

/// Why a step did not do its part.
enum Stop {
    /// The file changed, or is gone: look again.
    Again,
    Full(Full),
    /// There is no room for a flawed file.
    NoQuarantine(Full),
    Failed(InboxError),
}

impl From<InboxError> for Stop {
    fn from(error: InboxError) -> Self {
        if let InboxError::Store(StoreError::Full(full)) = error {
            return Self::Full(full);
        }
        Self::Failed(error)
    }
}

impl Stop {
    /// Why something could not be done with a file of the inbox: somebody may have changed it, or taken it away.
    fn of_original(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if matches!(source.kind(), io::ErrorKind::Interrupted | io::ErrorKind::NotFound) {
                return Self::Again;
            }
            disk(operation, path)(source).into()
        }
    }

    /// The same for what the spool says that is to adopt it.
    fn of_adopted(error: StoreError) -> Self {
        if let StoreError::Partial(PartialError::Unreadable { source, .. }) = &error
            && source.kind() == io::ErrorKind::NotFound
        {
            return Self::Again;
        }
        error.into()
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        InboxError::from(error).into()
    }
}

impl<D: Disk, S: Store> Inbox<D, S>
where
    S::File: Send + 'static,
{
    /// Opens the inbox, whose directory exists, and finishes what a crash interrupted.
    ///
    /// # Errors
    /// If a directory, the journal or the spool cannot be used, or another node has the inbox.
    pub fn open(disk_: D, mut store: S, settings: Settings) -> Result<Self, InboxError> {
        let settings = settings.absolute()?;
        let lock = lock_dir(&disk_, &settings.dir).map_err(not_locked(&settings.dir))?;
        let staging = &settings.staging_dir;
        disk_.create_dir(staging).map_err(disk("make", staging))?;
        away::clear(&disk_, &mut store, staging)?;
        let taking = journal::read(&disk_).map_err(disk("read journal of", &settings.dir))?;
        let mut job = None;
        if let Some(mut taking) = taking {
            if let Some(sequence) = away::resume(&disk_, &mut store, &mut taking)? {
                job = Some(Job::sealed(&settings.dir, taking, sequence));
            } else {
                journal::remove(&disk_).map_err(disk("remove journal of", &settings.dir))?;
            }
        }
        let adopted = store.adopted()?.into_iter();
        let adopted = adopted.map(|file| Adopted { file, put_off: None }).collect();
        let watch = Watch::default();
        Ok(Self {
            disk: disk_,
            store,
            settings,
            watch,
            scan_at: None,
            adopted,
            job,
            failed: None,
            lock,
        })
    }

    /// Whether a file of this name is still to be taken.
    pub fn awaits(&self, name: &str) -> bool {
        self.adopted.iter().any(|adopted| adopted.file.name == name)
            || self.disk.file_bytes(&self.settings.dir.join(name)).is_ok()
    }

    /// Mods that have waited for their `TsFile` for longer than it takes to put both there.
    pub fn orphans(&self, now: Instant) -> Option<&Orphans> {
        self.watch.orphans().filter(|orphans| orphans.quiet(now) >= self.settings.flawed_after)
    }

    /// Does the next bounded part: a scan, or a MiB hashed, or 8 MiB copied and synced, or one file
    /// entered into the spool.
    pub fn step(&mut self, now: Instant) -> Step {
        if let Some((_, at)) = self.failed.filter(|(_, at)| now < *at) {
            return Step::Waiting(at);
        }
        let Some(mut job) = self.job.take() else { return self.look(now) };
        match self.advance(&mut job, now) {
            Ok(Some(step)) => {
                self.failed = None;
                step
            }
            Ok(None) => {
                self.job = Some(job);
                Step::Worked
            }
            Err(stop) => self.stopped(job, stop, now),
        }
    }

    /// Keeps a job that is safe or has begun to enter the spool; any other is left until later.
    fn stopped(&mut self, job: Job, stop: Stop, now: Instant) -> Step {
        let (name, flaw) = (job.name.clone(), job.flaw.clone().unwrap_or_default());
        let mut is_unreadable = false;
        let keep = match &stop {
            Stop::Again => job.is_safe(),
            // What the run before had adopted of a flawed file waits without being in the way.
            Stop::Full(_) if job.flaw.is_some() && job.is_adopted() => false,
            Stop::Full(full) => job.has_entered() || full.needed <= full.limit,
            Stop::NoQuarantine(_) => false,
            Stop::Failed(error) => {
                is_unreadable = job.is_read() && error.is_of_a_file();
                !is_unreadable && (job.has_entered() || job.is_safe())
            }
        };
        if keep {
            if matches!(stop, Stop::Failed(_)) {
                let times = self.failed.map_or(0, |(times, _)| times);
                let pause = RETRY_FIRST * 2_u32.saturating_pow(times);
                self.failed = Some((times.saturating_add(1), now + pause.min(RETRY_LONGEST)));
            }
            self.job = Some(job);
        } else {
            let is_gone = matches!(stop, Stop::Again);
            let pause = if is_gone { self.settings.scan_interval } else { limits::INBOX_PUT_OFF };
            self.give_up(job, now + pause);
        }
        match stop {
            Stop::Again => Step::Worked,
            Stop::Full(full) if flaw.is_empty() => Step::Full { name, full },
            Stop::Full(full) | Stop::NoQuarantine(full) => Step::Left { name, why: flaw, full },
            Stop::Failed(error) if is_unreadable => Step::Unreadable { name, error },
            Stop::Failed(error) => Step::Blocked { name, error },
        }
    }

    /// Leaves a file alone for now; what of it lies in the spool is taken up with it again.
    fn give_up(&mut self, job: Job, until: Instant) {
        self.watch.put_off(&job.name, until);
        let adopted = job.parts.into_iter().filter_map(Part::into_adopted);
        self.adopted.extend(adopted.map(|file| Adopted { file, put_off: Some(until) }));
    }

    /// Finds the next file, or scans.
    fn look(&mut self, now: Instant) -> Step {
        if let Some(job) = self.next_adopted(now).or_else(|| self.next_finished(now)) {
            self.job = Some(job);
            return Step::Worked;
        }
        if let Some(at) = self.scan_at.filter(|at| now < *at) {
            return Step::Idle(at);
        }
        self.scan_at = Some(now + self.settings.scan_interval);
        match self.scan(now) {
            Ok(()) => self.unreadable().unwrap_or(Step::Worked),
            Err(error) => Step::Blocked { name: String::new(), error },
        }
    }

    /// A file of which the scan could not see all.
    fn unreadable(&mut self) -> Option<Step> {
        let (name, source) = self.watch.take_unreadable()?;
        let error = disk("look at", self.settings.dir.join(&name))(source);
        Some(Step::Unreadable { name, error })
    }

    /// Scans the directory, of which another may have taken the place: then that is locked first.
    fn scan(&mut self, now: Instant) -> Result<(), InboxError> {
        let dir = &self.settings.dir;
        let locked = is_dir_locked(&self.disk, dir, self.lock.as_ref());
        if !locked.map_err(disk("look at", dir))? {
            shared_dir::make(dir, INBOX_MODE).map_err(disk("make", dir))?;
            self.lock = lock_dir(&self.disk, dir).map_err(not_locked(dir))?;
            log::warn!("event=inbox_locked_anew dir={}", dir.display());
        }
        self.watch.scan(&self.disk, dir, now).map_err(disk("scan", dir))
    }

    /// A file that the run before moved into the spool.
    fn next_adopted(&mut self, now: Instant) -> Option<Job> {
        let is_ready = |adopted: &Adopted| {
            let name = &adopted.file.name;
            (name.ends_with(TS_FILE) || name == away::REFUSED)
                && adopted.put_off.is_none_or(|until| until <= now)
        };
        let at = self.adopted.iter().position(is_ready)?;
        let Adopted { file, .. } = self.adopted.remove(at);
        let name = file.name.clone();
        if name == away::REFUSED {
            return Some(Job::refused(file));
        }
        let mut parts = self.adopted_mods(&name);
        parts.push(Part::adopted(file));
        Some(Job::new(name, parts, false))
    }

    fn adopted_mods(&mut self, name: &str) -> Vec<Part> {
        let is_of = |adopted: &Adopted| {
            adopted.file.name.strip_prefix(name).is_some_and(|end| MODS.contains(&end))
        };
        let (mods, others) = std::mem::take(&mut self.adopted).into_iter().partition(is_of);
        self.adopted = others;
        let mods: Vec<Adopted> = mods;
        mods.into_iter().map(|adopted| Part::adopted(adopted.file)).collect()
    }

    fn next_finished(&mut self, now: Instant) -> Option<Job> {
        let is_ready = |file: &&Watched| {
            let mods =
                MODS.iter().filter_map(|end| self.watch.file(&format!("{}{end}", file.name)));
            file.name.ends_with(TS_FILE) && mods.into_iter().all(Watched::is_finished)
        };
        let file = self.watch.finished(now).find(is_ready)?.clone();
        let mods = MODS.iter().filter_map(|end| self.watch.file(&format!("{}{end}", file.name)));
        let files: Vec<Watched> = mods.cloned().chain(std::iter::once(file.clone())).collect();
        let can_move = |file: &Watched| file.stamp.was_put_here() && file.stamp.is_sole_name();
        let by_copy = self.settings.archive_dir.is_some() || !files.iter().all(can_move);
        let mut parts = self.adopted_mods(&file.name);
        parts.extend(files.into_iter().map(|file| Part::found(&self.settings.dir, file)));
        Some(Job::new(file.name, parts, by_copy))
    }
}

#[cfg(test)]
mod tests;

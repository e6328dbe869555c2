//! From what lies on disk to a [`Spool`], and the orderly end.
//!
//! ```text
//!  failing? --yes--> everything is only read                        (state `failing`)
//!     | no
//!  directories, lock, origin, state, cursors --> look at the log --> repair its end --> files and partials
//!     --> state written: one more start --> Spool
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use std::{fmt, io};

use crate::data::{OriginId, Sequence};
use crate::spool::cursor::{self, Consumers};
use crate::spool::entry::ENTRY_HEADER_BYTES;
use crate::spool::files::{FILES, PARTIALS};
use crate::spool::index::Shared;
use crate::spool::log::Log;
use crate::spool::origin::Marked;
use crate::spool::owner::{Clock, Counts};
use crate::spool::partials::Partials;
use crate::spool::quarantine::{self, Quarantine};
use crate::spool::quota::Room;
use crate::spool::recovery::{self, HOLES_MAX, Last, Survey};
use crate::spool::segment::{self, Flaw, Found, SEGMENT_HEADER_BYTES};
use crate::spool::slots::Slots;
use crate::spool::state::{self, State};
use crate::spool::{Disk, Fatal, OpenMode, Settings, Spool, SpoolError, digests, failing, origin};

const LOCK: &str = "spool/lock";
/// Segments and partials are cut in blocks of the file system.
const BLOCK_BYTES: u64 = 4096;

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The spool was made just now.
    pub created: bool,
    /// The data directory is a copy of another one, so the node has a new identity.
    pub copied: bool,
    /// The last run did not close it.
    pub crashed: bool,
    /// Bytes at the log's end that a crash had left unfinished, and that were cut or stepped over.
    pub cut_bytes: u64,
    /// Entries that are gone although they had been durable; their bytes are in quarantine.
    pub corrupt_entries: u64,
    /// Partials and files without an entry that were removed.
    pub leftovers: u32,
    /// Consumers whose cursor could not be read and that start over at the oldest entry.
    pub cursors_lost: u32,
    /// The disk failed so often that the spool is read-only; the latest error.
    pub failing: Option<String>,
}

/// Places of the last segment that were lost before they were durable.
type Torn = heapless::Vec<Flaw, HOLES_MAX>;

/// What is read before the log.
struct Known<D: Disk> {
    lock: Option<D::File>,
    origin: OriginId,
    state: State,
    state_file: Option<Slots<D::File>>,
    consumers: Consumers<D::File>,
    created: bool,
    copied: bool,
}

impl<D: Disk> Spool<D> {
    /// Opens the spool, or makes it; recovers what a crash left. After three fatal exits for the same error within ten
    /// minutes it is read-only ([`Recovery::failing`]).
    ///
    /// # Errors
    /// If the disk fails, another process has it, a setting cannot work, or the format is of a later version.
    pub fn open(
        disk: D,
        settings: Settings,
        now: Instant,
        wall_ms: i64,
    ) -> Result<(Self, Recovery), SpoolError> {
        check(&settings)?;
        let failing = failing::verdict(&disk, wall_ms);
        let mode = if failing.is_some() { OpenMode::Read } else { OpenMode::Write };
        let known = if mode == OpenMode::Write { prepare(&disk)? } else { read_known(&disk) };
        let mut proved = known.state.synced.max(known.consumers.furthest().0);
        let mut survey = match recovery::look(&disk, proved, mode) {
            Err(SpoolError::Disk(fatal)) if failing.is_some() => {
                log::error!("event=log_unreadable error=\"{fatal}\"");
                Survey::nothing(proved)
            }
            survey => survey?,
        };
        if let Some(below) = plausible(&settings, known.origin, survey.end()) {
            proved = proved.max(below);
            survey.proved = survey.proved.max(below);
        }
        survey.dedup.forget_all(now);
        let mut recovery = Recovery {
            created: known.created,
            copied: known.copied,
            crashed: !known.created && !known.state.clean,
            cursors_lost: known.consumers.lost,
            failing,
            ..Recovery::default()
        };
        let (partials, removed_partials) = match mode {
            OpenMode::Write => Partials::open(&disk)?,
            OpenMode::Read
            | OpenMode::Create
            | OpenMode::CreateProgram
            | OpenMode::CreatePrivate => (Partials::new(), 0),
        };
        let last = survey.last.take();
        let is_failing = recovery.failing.is_some();
        let times = (now, wall_ms);
        let mut spool =
            Self::assemble(disk, settings, times, known, survey, (partials, is_failing))?;
        let torn = match last {
            Some(last) => spool.resume(last, proved, &mut recovery)?,
            None => Torn::new(),
        };
        if !spool.failing {
            recovery.leftovers = removed_partials + spool.settle(&torn)?;
        }
        let first = Sequence(spool.shared.index().first(spool.log.next));
        spool.consumers.raise(first);
        spool.shared.publish(spool.log.synced);
        Ok((spool, recovery))
    }

    fn assemble(
        disk: D,
        settings: Settings,
        (now, wall_ms): (Instant, i64),
        known: Known<D>,
        survey: Survey<D::File>,
        (partials, is_failing): (Partials<D::File>, bool),
    ) -> Result<Self, SpoolError> {
        let quarantine = match Quarantine::open(&disk, settings.quarantine_max_bytes) {
            Err(fatal) if is_failing => {
                log::error!("event=quarantine_not_counted error=\"{fatal}\"");
                Quarantine::empty(settings.quarantine_max_bytes)
            }
            counted => counted?,
        };
        let room = Room::new(settings.max_bytes, settings.reserve_bytes);
        let next = survey.proved;
        let mut snapshots = survey.snapshots;
        snapshots.stale = survey.read_much;
        Ok(Self {
            disk,
            settings,
            origin: known.origin,
            log: Log { open: None, next, synced: next },
            shared: Arc::new(Shared::new(survey.index, 0)),
            dedup: survey.dedup,
            digests: survey.digests,
            snapshots,
            partials,
            made: 0,
            consumers: known.consumers,
            quarantine,
            room,
            state: known.state,
            state_file: known.state_file,
            clock: Clock { now, counted: now, cursors: now, saved: now, wall_ms },
            counts: Counts::default(),
            released: 0,
            front_ended: None,
            list: Vec::new(),
            failing: is_failing,
            broken: false,
            reused: None,
            lock: known.lock,
        })
    }

    /// Goes on behind the last segment, after its end was repaired. Returns the places that were never durable.
    fn resume(
        &mut self,
        mut last: Last<D::File>,
        known: u64,
        recovery: &mut Recovery,
    ) -> Result<Torn, SpoolError> {
        let proved = self.log.next.max(known);
        let writable = recovery.failing.is_none();
        if writable && last.is_stillborn(proved) {
            // The only one stays as it is: its name says which sequence comes next.
            if self.shared.index().segments.len() > 1 {
                let path = segment::path(last.first);
                self.disk.remove(&path).map_err(Fatal::at("remove", &path))?;
                self.shared.index().segments.pop_back();
            }
            self.log.next = last.first;
            self.log.synced = last.first;
            return Ok(Torn::new());
        }
        let lost = last.lost_tail(proved);
        let mut torn = last.holes.clone();
        torn.retain(|hole| hole.first >= proved);
        for hole in &last.holes {
            if hole.first < proved {
                self.keep_flaw(hole, Some(recovery))?;
            } else {
                recovery.cut_bytes += hole.bytes;
            }
        }
        if let Some(flaw) = &lost {
            self.keep_flaw(flaw, Some(recovery))?;
        } else if writable {
            let path = segment::path(last.first);
            recovery.cut_bytes += last.unfinished().map_err(Fatal::at("read", &path))?;
        }
        let former = match last.header {
            Found::Header(header) => header.origin,
            Found::Damaged | Found::Later(_) => self.origin,
        };
        if writable {
            last.repair(self.origin, lost, proved)?;
            self.log = last.into_log(self.clock.now);
        } else {
            self.log = Log { open: None, next: last.end, synced: last.end };
        }
        if former != self.origin {
            self.outlive(former)?;
        }
        Ok(torn)
    }

    /// The node got a new identity: what it wrote under the former one is known, and the next entry begins a segment.
    fn outlive(&mut self, former: OriginId) -> Result<(), SpoolError> {
        let next = self.log.next;
        self.dedup.receive_below(former, next, next.saturating_sub(1));
        if !self.failing {
            self.end_segment()?;
        }
        Ok(())
    }

    /// Removes leftovers, counts files, and notes this start. Returns how many files were removed.
    fn settle(&mut self, torn: &Torn) -> Result<u32, SpoolError> {
        let next = self.log.next;
        let removed = {
            let mut index = self.shared.index();
            recovery::settle_files(&self.disk, &mut index, &mut self.partials, next, torn)?
        };
        if std::mem::take(&mut self.snapshots.stale) {
            self.store_snapshot()?;
        }
        self.state.boot = self.state.boot.saturating_add(1);
        self.state.clean = false;
        self.save_state()?;
        Ok(removed)
    }

    /// Ends in order: everything synced, cursors durable.
    ///
    /// # Errors
    /// The disk failed.
    pub fn close(mut self, now: Instant) -> Result<(), Fatal> {
        self.check_whole()?;
        if self.failing {
            return Ok(());
        }
        self.count_uptime(now);
        self.sync()?;
        self.sync_cursors()?;
        self.state.clean = true;
        self.save_state()
    }

    /// Notes a fatal exit (best effort; the disk is failing). Three within ten minutes for the same error open the
    /// spool in state `failing`.
    pub fn record_fatal(disk: &D, fatal: &Fatal, wall_ms: i64) {
        if let Err(error) = failing::record(disk, fatal, wall_ms) {
            log::error!("event=exit_not_recorded error=\"{error}\"");
        }
    }

    /// Gives a stopped node a new identity: `new-id`.
    ///
    /// # Errors
    /// The disk failed, or the node is running.
    pub fn new_id(disk: &D) -> Result<OriginId, SpoolError> {
        make_dirs(disk)?;
        let _lock = lock(disk)?;
        Ok(origin::make(disk)?)
    }
}

fn check(settings: &Settings) -> Result<(), SpoolError> {
    let wrong = |setting, why| Err(SpoolError::Setting { setting, why });
    let least = SEGMENT_HEADER_BYTES + ENTRY_HEADER_BYTES as u64;
    if settings.segment_bytes <= least || !settings.segment_bytes.is_multiple_of(BLOCK_BYTES) {
        return wrong("segment_bytes", "has to be a multiple of 4096");
    }
    if settings.segment_bytes > u64::from(u32::MAX) {
        return wrong("segment_bytes", "has to be below 4 GiB");
    }
    if settings.max_bytes / 2 < settings.segment_bytes {
        return wrong("max_bytes", "has to be at least two segments");
    }
    Ok(())
}

fn make_dirs<D: Disk>(disk: &D) -> Result<(), Fatal> {
    let dirs = [segment::DIR, FILES, PARTIALS, cursor::DIR, digests::DIR, quarantine::DIR];
    for dir in dirs.map(Path::new) {
        disk.create_dir(dir).map_err(Fatal::at("make", dir))?;
    }
    for dir in [segment::DIR, cursor::DIR, "."].map(Path::new) {
        disk.sync_dir(dir).map_err(Fatal::at("sync", dir))?;
    }
    Ok(())
}

fn lock<D: Disk>(disk: &D) -> Result<D::File, SpoolError> {
    let path = Path::new(LOCK);
    disk.lock(path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            return SpoolError::Locked { path: path.to_path_buf() };
        }
        Fatal::at("lock", path)(error).into()
    })
}

fn has_segments<D: Disk>(disk: &D) -> Result<bool, SpoolError> {
    let mut any = false;
    let path = Path::new("spool");
    let listed = disk.list(path, &mut |name| any |= segment::parse_name(name).is_some());
    listed.map_err(Fatal::at("list", path))?;
    Ok(any)
}

/// Makes what is missing and reads the rest.
fn prepare<D: Disk>(disk: &D) -> Result<Known<D>, SpoolError> {
    make_dirs(disk)?;
    let lock = Some(lock(disk)?);
    let origin = origin::load(disk)?;
    let mut body = Vec::new();
    let path = Path::new(state::PATH);
    let (state_file, created) = match Slots::open(disk, path, OpenMode::Write, &mut body) {
        Ok(slots) => (slots, false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let first = State::default().encode();
            let made = Slots::create(disk, path, Path::new(state::TEMPORARY), &first);
            (made.map_err(Fatal::at("make", path))?, true)
        }
        Err(error) => return Err(Fatal::at("open", path)(error).into()),
    };
    let state = State::decode(&body).unwrap_or_default();
    let consumers = Consumers::open(disk, OpenMode::Write)?;
    // Whoever removed the spool begins at sequence 1 again: under the old identity the far side would know
    // these numbers, and take new data for repetitions.
    let kept = if created && !has_segments(disk)? { None } else { origin };
    let copied = kept.is_some_and(|kept| kept.marked == Marked::Other);
    let origin = match kept {
        Some(origin::Found { id, marked: Marked::Same }) => id,
        Some(origin::Found { id, marked: Marked::No }) => {
            origin::keep(disk, id)?;
            id
        }
        Some(origin::Found { marked: Marked::Other, .. }) | None => origin::make(disk)?,
    };
    Ok(Known { lock, origin, state, state_file: Some(state_file), consumers, created, copied })
}

/// The same for a disk that is left alone: what it does not give back is taken for nothing, since the node only tells.
fn read_known<D: Disk>(disk: &D) -> Known<D> {
    let origin = told(origin::load(disk)).flatten().map_or(OriginId([0; 16]), |found| found.id);
    let mut body = Vec::new();
    let path = Path::new(state::PATH);
    let slots = Slots::<D::File>::open(disk, path, OpenMode::Read, &mut body);
    let state = told(slots.map_err(Fatal::at("open", path))).and_then(|_| State::decode(&body));
    let state = state.unwrap_or_default();
    let consumers = told(Consumers::open(disk, OpenMode::Read)).unwrap_or_else(Consumers::none);
    let (lock, state_file) = (None, None);
    Known { lock, origin, state, state_file, consumers, created: false, copied: false }
}

/// What could be read; the log tells of what could not.
fn told<T, E: fmt::Display>(read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| log::error!("event=spool_unreadable error=\"{error}\"")).ok()
}

/// What somebody else has written down of this node's entries, if that can be: the log that ends before has lost no
/// more than a segment holds. Beyond that it is no proof, and the log counts as it finds.
fn plausible(settings: &Settings, node: OriginId, end: u64) -> Option<u64> {
    let (_, Sequence(below)) = settings.proved.filter(|(origin, _)| *origin == node)?;
    let lost = below.saturating_sub(end);
    if lost <= settings.segment_bytes / ENTRY_HEADER_BYTES as u64 {
        return Some(below);
    }
    log::error!("event=proof_not_plausible below={below} log_end={end}");
    None
}

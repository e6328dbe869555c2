//! The inbox of the inner node, and the people who fill it.
//!
//! ```text
//!  people: rename, or write --> /inbox --> Inbox::step --+--> Spool<SimDisk>, durable at once
//!                                 ^                      +--> quarantine
//!                                 '-- stays until then   '--> /archive, in some schedules
//! ```

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use penstock::intake::inbox::{
    Inbox as Intake, InboxError, OnSpool, Settings, SpoolStore, Step, StoreError,
};
use penstock::ops::clock::EpochMillis;
use penstock::spool::{Disk, DiskFile, OpenMode, SimDisk, Spool, write_all_at};

use crate::plug::Plug;
use crate::random::Random;
use crate::units::{Content, Unit};

const INBOX: &str = "/inbox";
const ARCHIVE: &str = "/archive";
const PARTIALS: &str = "spool/partial";
/// Absolute, as the intake makes it: else the two would not mean the same.
const STAGING: &str = "/staging";
/// What a flawed file is called on its way to quarantine.
const REFUSED: &str = "refused";
/// Longer and shorter than in a node, as each scan costs the schedule some calls.
const SCAN_INTERVAL: Duration = Duration::from_secs(5);
const FLAWED_AFTER: Duration = Duration::from_secs(20);
/// What the worker pauses after trouble.
const PAUSE: Duration = Duration::from_secs(1);

/// What lies or lay in the inbox, which no crash takes, and how it is taken from there.
pub(crate) struct Inbox {
    brought: BTreeMap<u64, Unit>,
    settings: Settings,
    /// Nothing is moved out of the inbox: it is on another file system, or what it had is archived.
    copies: bool,
}

/// What a crash takes.
pub(crate) struct Running {
    caller: Caller,
    /// None until it could be opened.
    intake: Option<Intake<SimDisk, SpoolStore<Caller>>>,
    wake: Option<Instant>,
}

/// The spool, for all who use it by turns.
pub(crate) type Shared = Rc<RefCell<Spool<SimDisk>>>;

#[derive(Debug, Clone)]
struct Caller {
    spool: Shared,
    wall: Rc<Cell<EpochMillis>>,
}

impl OnSpool for Caller {
    type Disk = SimDisk;

    fn on_spool<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool<SimDisk>) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        let mut spool = self.spool.borrow_mut();
        let result = work(&mut spool);
        spool.sync().map_err(|_| StoreError::Ended)?;
        Ok(result)
    }

    fn wall(&self) -> EpochMillis {
        self.wall.get()
    }
}

impl Inbox {
    pub(crate) fn new(disk: &SimDisk, random: &mut Random) -> Self {
        let archives = random.once_in(3);
        let apart = match random.below(6) {
            0 => Some(INBOX),
            1 => Some(ARCHIVE),
            _ => None,
        };
        if let Some(dir) = apart {
            disk.set_other_device(Path::new(dir));
        }
        let archive = archives.then(|| PathBuf::from(ARCHIVE));
        let settings = Settings::new(PathBuf::from(INBOX), archive, PathBuf::from(STAGING));
        let (scan_interval, flawed_after) = (SCAN_INTERVAL, FLAWED_AFTER);
        let settings = Settings { scan_interval, flawed_after, ..settings };
        let copies = archives || apart == Some(INBOX);
        Self { brought: BTreeMap::new(), settings, copies }
    }

    /// Somebody puts a file there. `false`: the disk is full.
    pub(crate) fn bring(&mut self, unit: &Unit, plug: &mut Plug, random: &mut Random) -> bool {
        let renames = !random.once_in(3);
        let files = files_of(unit);
        let put = plug.undisturbed(|disk| {
            let put = files.iter().try_for_each(|(name, bytes)| put(disk, name, bytes, renames));
            put.inspect_err(|_| files.iter().for_each(|(name, _)| take_away(disk, name)))
        });
        let is_there = put.is_ok();
        if is_there {
            self.brought.insert(unit.number, unit.clone());
        }
        is_there
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_done(&self, disk: &SimDisk) -> bool {
        let names: Vec<_> =
            self.brought.values().flat_map(files_of).map(|(name, _)| name).collect();
        let waits =
            |path: &Path| [INBOX, PARTIALS, STAGING].iter().any(|dir| path.starts_with(dir));
        let is_ours = |path: &Path| names.iter().any(|name| ends_with(path, name));
        let is_refused = |path: &Path| ends_with(path, REFUSED);
        // What a try of a script left that found no room, and a crash brought back: nobody takes it.
        let is_hidden = |path: &Path| names.iter().any(|name| *path == at(&format!(".{name}")));
        let is_left = |path: &Path| waits(path) && !is_hidden(path);
        !disk.files().iter().any(|(path, _)| is_left(path) && (is_ours(path) || is_refused(path)))
    }

    /// Nothing that was brought is gone before its entry is durable, and none makes two.
    pub(crate) fn check(&self, plug: &Plug, entries_of: impl Fn(u64) -> usize) {
        for unit in self.brought.values() {
            let entries = entries_of(unit.number);
            assert!(entries <= 1, "unit {} of the inbox makes {entries} entries", unit.number);
            for (name, bytes) in files_of(unit) {
                let is_flawed = matches!(unit.content, Content::Flawed(_));
                let is_kept = self.is_kept(plug, (&name, &bytes), entries, is_flawed);
                assert!(is_kept, "{name} was put into the inbox, and is gone ({entries} entries)");
            }
        }
    }

    /// Whether a file lies where it has to: in the inbox or on its way, then in quarantine or in the archive.
    fn is_kept(
        &self,
        plug: &Plug,
        (name, bytes): (&str, &[u8]),
        entries: usize,
        is_flawed: bool,
    ) -> bool {
        let is_it = |path: &Path| plug.disk.contents(path).as_deref() == Some(bytes);
        let is_in = |dir: &str, end: &str| {
            let files = plug.disk.files();
            let mut here =
                files.iter().filter(|(path, _)| path.starts_with(dir) && ends_with(path, end));
            here.any(|(path, _)| is_it(path))
        };
        if is_it(&at(name)) {
            return true;
        }
        if is_flawed {
            let places = [(PARTIALS, name), (PARTIALS, REFUSED), (STAGING, REFUSED)];
            return plug.has_in_quarantine(bytes)
                || places.iter().any(|(dir, end)| is_in(dir, end));
        }
        if entries == 0 {
            return !self.copies && is_in(PARTIALS, name);
        }
        self.settings.archive_dir.is_none() || is_in(ARCHIVE, name)
    }

    /// In the end each file is an entry, or in quarantine.
    pub(crate) fn check_end(&self, plug: &Plug, entries_of: impl Fn(u64) -> usize) {
        for unit in self.brought.values() {
            let number = unit.number;
            match &unit.content {
                Content::Flawed(bytes) => {
                    assert!(plug.has_in_quarantine(bytes), "unit {number} is not in quarantine");
                }
                Content::File { .. } => {
                    assert_eq!(entries_of(number), 1, "entries of unit {number} of the inbox");
                }
                Content::Tablet(_) | Content::Long(_) | Content::Opaque(_) => {}
            }
        }
    }
}

impl Running {
    /// The node starts.
    pub(crate) fn start(spool: &Shared, wall: EpochMillis) -> Self {
        let caller = Caller { spool: Rc::clone(spool), wall: Rc::new(Cell::new(wall)) };
        Self { caller, intake: None, wake: None }
    }

    pub(crate) const fn timeout(&self) -> Option<Instant> {
        self.wake
    }

    /// A step of the worker; `None`: it waits. `Err`: the spool has failed.
    pub(crate) fn step(
        &mut self,
        inbox: &Inbox,
        plug: &Plug,
        (now, wall): (Instant, EpochMillis),
    ) -> Result<Option<Step>, String> {
        self.caller.wall.set(wall);
        if self.wake.take_if(|at| *at <= now).is_none() && self.wake.is_some() {
            return Ok(None);
        }
        let step = match &mut self.intake {
            Some(intake) => intake.step(now),
            None => self.open(inbox, plug),
        };
        match &step {
            Step::Worked | Step::Left { .. } => {}
            Step::Taken { name, .. } => assert!(!is_flawed(inbox, name), "{name} was taken in"),
            Step::Quarantined { name, why } => {
                assert!(is_flawed(inbox, name), "{name} is in quarantine: {why}");
            }
            Step::Idle(at) | Step::Waiting(at) => self.wake = Some(*at),
            Step::Unreadable { error, .. } | Step::Blocked { error, .. }
                if matches!(error, InboxError::Store(StoreError::Ended)) =>
            {
                return Err(error.to_string());
            }
            Step::Full { .. } | Step::Unreadable { .. } | Step::Blocked { .. } => {
                self.wake = Some(now + PAUSE);
            }
        }
        Ok(Some(step))
    }

    fn open(&mut self, inbox: &Inbox, plug: &Plug) -> Step {
        let store = SpoolStore::new(self.caller.clone());
        match Intake::open(plug.disk.clone(), store, inbox.settings.clone()) {
            Ok(intake) => {
                self.intake = Some(intake);
                Step::Worked
            }
            Err(error) => Step::Blocked { name: String::new(), error },
        }
    }
}

/// Whether a step has changed something, so that there may be more to do.
pub(crate) const fn has_worked(step: &Step) -> bool {
    matches!(step, Step::Worked | Step::Left { .. } | Step::Taken { .. } | Step::Quarantined { .. })
}

fn is_flawed(inbox: &Inbox, name: &str) -> bool {
    let mut flawed =
        inbox.brought.values().filter(|unit| matches!(unit.content, Content::Flawed(_)));
    name == REFUSED || flawed.any(|unit| unit.name() == name)
}

fn at(name: &str) -> PathBuf {
    Path::new(INBOX).join(name)
}

/// Whether this is its name, with or without something in front.
fn ends_with(path: &Path, name: &str) -> bool {
    path.file_name().and_then(|last| last.to_str()).is_some_and(|last| last.ends_with(name))
}

/// Names and bytes, the mods first.
fn files_of(unit: &Unit) -> Vec<(String, Vec<u8>)> {
    match &unit.content {
        Content::Tablet(_) | Content::Long(_) | Content::Opaque(_) => Vec::new(),
        Content::Flawed(bytes) => vec![(unit.name(), bytes.clone())],
        Content::File { mods, bytes } => {
            let mods = mods.iter().map(|mods| (unit.mods_name(), mods.clone()));
            mods.chain([(unit.name(), bytes.clone())]).collect()
        }
    }
}

fn take_away(disk: &SimDisk, name: &str) {
    for path in [at(name), at(&format!(".{name}"))] {
        let _absent = disk.remove(&path);
    }
}

/// As a careful script does it.
fn put(disk: &SimDisk, name: &str, bytes: &[u8], renames: bool) -> io::Result<()> {
    let path = at(name);
    let first = if renames { at(&format!(".{name}")) } else { path.clone() };
    let file = disk.open(&first, OpenMode::Create)?;
    write_all_at(&file, 0, &mut [IoSlice::new(bytes)])?;
    file.sync_data()?;
    if renames {
        disk.rename(&first, &path)?;
    }
    disk.sync_dir(Path::new(INBOX))
}

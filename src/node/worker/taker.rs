//! The inbox's part of the worker.

use std::path::Path;
use std::sync::Arc;

use super::named::{Name, NamedDisk, NamedStore};
use super::patience::Patience;
use super::{Next, Parts, TROUBLE_PAUSE};
use crate::config::InboxConfig;
use crate::intake::inbox::{
    Inbox, InboxError, OnSpool, Orphans, Settings, SpoolStore, Step, StoreError,
};
use crate::intake::shared_dir::{self, INBOX_MODE};
use crate::keep::spool_handle::{Ended, SpoolHandle};
use crate::ops::board::{IntakeKind, Report, TroubleKind};
use crate::ops::clock;
use crate::ops::log::Repeating;
use crate::ops::stamp::Operation;
use crate::spool::{Disk, Full, Spool};

/// Where copies into the spool are made: on its file system, out of everybody's way.
const STAGING: &str = "staging";

/// Files that stay and are looked after at one time; trouble about others stays until it is acknowledged.
const LEFT_MAX: usize = 64;

/// What trouble about a spool that takes no file is about.
const INBOX: &str = "inbox";

/// What trouble about mods without their `TsFile` is about: no file's name.
const ORPHANS: &str = "mods";

/// The inbox on a disk, and in front of a spool, whose calls are named.
type OnDisk<D> = Inbox<NamedDisk<D>, NamedStore<SpoolStore<SpoolHandle<D>>>>;

/// Takes the inbox in, and tells the board.
#[derive(Debug)]
pub(super) struct Taker<D: Disk> {
    parts: Parts<D>,
    settings: Settings,
    /// None until the directory could be opened.
    inbox: Option<OnDisk<D>>,
    failures: Repeating,
    /// With a spool that has no room for the next file, though it may have some for less.
    patience: Patience,
    /// Files that stay where they are, of which a person was told.
    left: Vec<String>,
}

impl<D: Disk> Taker<D> {
    pub(super) fn new(parts: Parts<D>, config: InboxConfig, data_dir: &Path) -> Self {
        let settings = Settings::new(config.dir, config.archive_dir, data_dir.join(STAGING));
        let (failures, patience) = (Repeating::default(), Patience::default());
        Self { parts, settings, inbox: None, failures, patience, left: Vec::new() }
    }

    /// One step.
    pub(super) fn turn(&mut self) -> Next {
        #[cfg(feature = "simulation")]
        crate::ops::fault::stand_still("inbox");
        if let Some(inbox) = &mut self.inbox {
            let step = inbox.step(clock::now());
            return self.settle(step);
        }
        match self.open() {
            Ok(inbox) => {
                self.inbox = Some(inbox);
                Next::Now
            }
            Err(error) => {
                self.complain("", &error);
                Next::Pause(clock::now() + TROUBLE_PAUSE)
            }
        }
    }

    fn open(&self) -> Result<OnDisk<D>, InboxError> {
        let Parts { disk, spool, .. } = &self.parts;
        let dir = &self.settings.dir;
        let name = Name::new(&self.parts.board, Operation::Copy);
        let made = name.around(|| shared_dir::make(dir, INBOX_MODE));
        made.map_err(|source| InboxError::Disk { operation: "make", path: dir.clone(), source })?;
        let store = NamedStore::new(SpoolStore::new(spool.clone()), name.clone());
        Inbox::open(NamedDisk::new(disk.clone(), name), store, self.settings.clone())
    }

    fn settle(&mut self, step: Step) -> Next {
        let board = Arc::clone(&self.parts.board);
        if !matches!(step, Step::Full { .. }) {
            board.intake(IntakeKind::Inbox).held.set(0);
            if self.patience.ends() {
                board.clear(TroubleKind::SpoolFull, INBOX);
            }
        }
        match step {
            Step::Idle(until) => {
                self.recovered();
                self.forget_left();
                self.show_orphans();
                return Next::At(until);
            }
            Step::Worked => {}
            Step::Taken { name, sequence, bytes } => {
                self.recovered();
                board.clear(TroubleKind::FileTooLarge, &name);
                self.is_not_left(&name);
                log::info!("event=taken sequence={sequence} bytes={bytes} name={name:?}");
                board.intake(IntakeKind::Inbox).accepted(1, bytes, clock::now());
            }
            Step::Quarantined { name, why } => {
                log::warn!("event=quarantined name={name:?} why={why:?}");
                board.intake(IntakeKind::Inbox).refused.count();
                self.is_not_left(&name);
            }
            Step::Left { name, why, full } => self.leave(name, &why, full),
            Step::Unreadable { name, error } => {
                self.step_over(name, &error);
                return Next::Pause(clock::now() + TROUBLE_PAUSE);
            }
            Step::Waiting(until) => return Next::At(until),
            Step::Full { name, full } => return self.wait_for_room(&name, full),
            Step::Blocked { name, error } => {
                self.complain(&name, &error);
                return Next::Pause(clock::now() + TROUBLE_PAUSE);
            }
        }
        Next::Now
    }

    fn wait_for_room(&mut self, name: &str, full: Full) -> Next {
        let board = Arc::clone(&self.parts.board);
        if full.needed <= full.limit {
            board.intake(IntakeKind::Inbox).held.set(1);
            if self.patience.waits(clock::now()) {
                let Full { needed, available, limit } = full;
                let what = format!("{name} needs {needed} bytes, {available} of {limit} are free");
                board.raise(Report::new(TroubleKind::SpoolFull, what).about(INBOX), clock::wall());
            }
            return Next::Pause(clock::now() + TROUBLE_PAUSE);
        }
        let what =
            format!("{name} needs {} bytes, the spool takes {} at most", full.needed, full.limit);
        board.raise(Report::new(TroubleKind::FileTooLarge, what).about(name), clock::wall());
        Next::Pause(clock::now() + TROUBLE_PAUSE)
    }

    /// A flawed file stays in the inbox: a person is told for as long as it lies there.
    fn leave(&mut self, name: String, why: &str, full: Full) {
        let Full { needed, available, limit } = full;
        log::warn!("event=left_in_inbox name={name} why=\"{why}\"");
        let what = format!(
            "{name} is flawed ({why}) and stays in the inbox: it needs {needed} bytes of \
             quarantine, which has {available} of {limit} left"
        );
        let remedy = "take the file away, or empty the quarantine or raise its limit";
        self.tell_of_left(name, Report::new(TroubleKind::InboxBlocked, what).remedy(remedy));
    }

    /// The disk cannot read a file, which may be one that the run before moved into the spool.
    fn step_over(&mut self, name: String, error: &InboxError) {
        if !self.left.contains(&name) {
            log::error!("event=unreadable name={name:?} error=\"{error}\"");
        }
        let what = format!("{name} cannot be read and is not taken, the others are: {error}");
        let remedy = if error.is_denied() {
            "let the node's user read it: chgrp penstock and chmod g+r, and umask 0027 for who writes there"
        } else {
            "look after the disk, and put the file there again from its source"
        };
        self.tell_of_left(name, Report::new(TroubleKind::InboxBlocked, what).remedy(remedy));
    }

    fn tell_of_left(&mut self, name: String, report: Report) {
        self.parts.board.raise(report.about(&name), clock::wall());
        if !self.left.contains(&name) && self.left.len() < LEFT_MAX {
            self.left.push(name);
        }
    }

    fn is_not_left(&mut self, name: &str) {
        self.left.retain(|left| left != name);
        self.parts.board.clear(TroubleKind::InboxBlocked, name);
    }

    /// Somebody may have taken away what was left.
    fn forget_left(&mut self) {
        let (inbox, board) = (&self.inbox, &self.parts.board);
        self.left.retain(|name| {
            let stays = inbox.as_ref().is_some_and(|inbox| inbox.awaits(name));
            if !stays {
                board.clear(TroubleKind::InboxBlocked, name);
            }
            stays
        });
    }

    /// Deletions without the file that they belong to do not cross: a person has to know.
    fn show_orphans(&self) {
        let board = &self.parts.board;
        let orphans = self.inbox.as_ref().and_then(|inbox| inbox.orphans(clock::now()));
        let Some(Orphans { count, oldest, .. }) = orphans else {
            board.clear(TroubleKind::InboxBlocked, ORPHANS);
            return;
        };
        let what = format!(
            "deletions lie in the inbox without their TsFile and do not go: {count}, the oldest is {oldest}"
        );
        let remedy = "put their TsFiles there, or take them away";
        let report = Report::new(TroubleKind::InboxBlocked, what).about(ORPHANS).remedy(remedy);
        board.raise(report, clock::wall());
    }

    fn complain(&mut self, name: &str, error: &InboxError) {
        if let Some(times) = self.failures.failed() {
            log::error!("event=inbox_blocked name={name:?} times={times} error=\"{error}\"");
        }
        let what = if name.is_empty() { error.to_string() } else { format!("{name}: {error}") };
        self.parts.board.raise(Report::new(TroubleKind::InboxBlocked, what), clock::wall());
    }

    fn recovered(&mut self) {
        if let Some(times) = self.failures.ended() {
            log::info!("event=inbox_works failures={times}");
            self.parts.board.clear(TroubleKind::InboxBlocked, "");
        }
    }
}

impl<D: Disk> OnSpool for SpoolHandle<D> {
    type Disk = D;

    fn on_spool<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool<D>) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        self.call_blocking(work).map_err(|Ended| StoreError::Ended)
    }
}

//! A node's disk, and what is about to go wrong with it.

use penstock::spool::{Fault, SimDisk};

use crate::random::Random;

/// A disk that may be told to fail.
#[derive(Debug)]
pub(crate) struct Plug {
    pub(crate) disk: SimDisk,
    /// The call at which it fails, how, and whether all later calls fail too.
    armed: Option<(u64, Fault, bool)>,
    /// A call was told that there is no room, or may have been.
    refused_room: bool,
    random: Random,
}

/// Bytes of a disk that is not full.
const CAPACITY: u64 = 1 << 30;

impl Plug {
    pub(crate) fn new(seed: u64) -> Self {
        let (disk, random) = (SimDisk::new(seed, CAPACITY), Random::new(seed));
        Self { disk, armed: None, refused_room: false, random }
    }

    /// Lets the `call`-th call from now fail.
    pub(crate) fn arm(&mut self, call: u64, fault: Fault, lasts: bool) {
        self.disk.schedule(call, fault, lasts);
        self.refused_room |= fault == Fault::NoSpace;
        self.armed = Some((self.disk.calls().all + call, fault, lasts));
    }

    /// Whether a line without which the node can go on may be missing.
    pub(crate) const fn has_refused_room(&self) -> bool {
        self.refused_room
    }

    /// Whether the power is to go: the call that fails for good has come.
    pub(crate) fn is_down(&self) -> bool {
        self.armed.is_some_and(|(at, fault, lasts)| {
            lasts && fault == Fault::Io && self.disk.calls().all > at
        })
    }

    /// Whether the call that is to fail has come.
    pub(crate) fn has_struck(&self) -> bool {
        self.armed.is_some_and(|(at, ..)| self.disk.calls().all > at)
    }

    pub(crate) fn heal(&mut self) {
        self.disk.heal();
        self.armed = None;
    }

    /// The node is over: its process was killed, or the power went, and with it whatever was not synced.
    pub(crate) fn crash(&mut self) {
        if self.random.once_in(2) {
            self.disk.kill();
        } else {
            self.disk.crash();
        }
        self.heal();
    }

    /// Whether these bytes are kept for a person.
    pub(crate) fn has_in_quarantine(&self, bytes: &[u8]) -> bool {
        let paths = self.disk.files().into_iter().map(|(path, _)| path);
        let mut paths = paths.filter(|path| path.starts_with("quarantine"));
        paths.any(|path| self.disk.contents(&path).as_deref() == Some(bytes))
    }

    /// Leaves little room, or none.
    pub(crate) fn fill(&self, spare: u64) {
        let used: u64 = self.disk.files().iter().map(|(_, bytes)| bytes).sum();
        self.disk.set_capacity(used + spare);
    }

    pub(crate) fn make_room(&self) {
        self.disk.set_capacity(CAPACITY);
    }

    /// Does something that is no part of the node, and meets no fault.
    pub(crate) fn undisturbed<R>(&mut self, work: impl FnOnce(&SimDisk) -> R) -> R {
        let before = self.disk.calls().all;
        self.disk.heal();
        let result = work(&self.disk);
        if let Some((at, fault, lasts)) = self.armed.take()
            && (lasts || at >= before)
        {
            self.arm(at.saturating_sub(before), fault, lasts);
            if lasts && at < before {
                // It has struck already.
                self.armed = Some((0, fault, lasts));
            }
        }
        result
    }
}

//! The pipes' part of the worker: it cuts what lies across a filter.

use super::named::{Name, NamedDisk};
use super::{Next, Parts};
use crate::keep::spool_handle::{Ended, SpoolHandle};
use crate::limits::TURN_PERIOD_MAX;
use crate::ops::clock;
use crate::ops::stamp::Operation;
use crate::sink::cuts::{CutTrouble, Desk, Job, Lent, Ordered, Room, Source, Step};
use crate::spool::Disk;

/// Carries out what pipes order, one order after the other.
#[derive(Debug)]
pub(super) struct Cutter<D: Disk> {
    desk: Desk,
    disk: NamedDisk<D>,
    room: SpoolRoom<D>,
    job: Option<Job<NamedDisk<D>>>,
    /// Files that were begun in this run.
    made: u64,
}

/// The quota of the spool.
#[derive(Debug)]
struct SpoolRoom<D: Disk> {
    spool: SpoolHandle<D>,
    name: Name,
}

impl<D: Disk> Cutter<D> {
    pub(super) fn new(parts: &Parts<D>, desk: Desk) -> Self {
        let name = Name::new(&parts.board, Operation::Cut);
        let disk = NamedDisk::new(parts.disk.clone(), name.clone());
        Self {
            desk,
            disk,
            room: SpoolRoom { spool: parts.spool.clone(), name },
            job: None,
            made: 0,
        }
    }

    /// One step.
    pub(super) fn turn(&mut self) -> Next {
        while let Some(gone) = self.desk.next_gone() {
            match self.disk.remove(&gone.path) {
                Ok(()) => self.room.shrink(gone.bytes),
                Err(error) => {
                    let path = gone.path.display();
                    log::warn!("event=cut_not_removed path={path} error=\"{error}\"");
                }
            }
        }
        let Some(job) = &mut self.job else {
            let Some(ordered) = self.desk.next_order() else {
                return Next::At(clock::now() + TURN_PERIOD_MAX);
            };
            self.made += 1;
            let ordered = self.named(ordered);
            self.job = Some(Job::new(ordered, self.disk.clone(), self.made));
            return Next::Now;
        };
        if let Step::Over(outcome) = job.step(&self.desk, &mut self.room) {
            log::info!("event=cut {} outcome=\"{outcome}\"", job.name());
            self.job = None;
        }
        Next::Now
    }

    /// The same order, whose reads are named.
    fn named(&self, ordered: Ordered) -> Ordered {
        let named = |Source { name, bytes, hash, file }| {
            let file = Lent::new(self.room.name.of_file(file));
            Source { name, bytes, hash, file }
        };
        ordered.map(named)
    }
}

impl<D: Disk> Room for SpoolRoom<D> {
    fn grow(&mut self, bytes: u64) -> Result<(), CutTrouble> {
        let grow =
            self.name.around(|| self.spool.call_blocking(move |spool| spool.grow_made(bytes)));
        Ok(grow.map_err(|Ended| CutTrouble::Ended)??)
    }

    fn shrink(&mut self, bytes: u64) {
        let shrink = || self.spool.call_blocking(move |spool| spool.shrink_made(bytes));
        // It counts no more once the spool has ended.
        let _ended = self.name.around(shrink).is_err();
    }
}

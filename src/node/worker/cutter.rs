//! The pipes' part of the worker: it cuts what lies across a filter, and makes files of runs of tablets.

use super::named::{Name, NamedDisk};
use super::{Next, Parts};
use crate::data::Sequence;
use crate::keep::spool_handle::{Ended, SpoolHandle};
use crate::limits::TURN_PERIOD_MAX;
use crate::ops::clock;
use crate::ops::stamp::Operation;
use crate::sink::cuts::{CutTrouble, Desk, Job, Lent, Order, Room, RunMaker, Source, Step, Task};
use crate::spool::{Disk, Reader};

/// What makes files of runs.
type Runs<D> = RunMaker<NamedDisk<D>, Reader<NamedDisk<D>>>;

/// Carries out what pipes order, one order after the other.
#[derive(Debug)]
pub(super) struct Cutter<D: Disk> {
    desk: Desk,
    disk: NamedDisk<D>,
    room: SpoolRoom<D>,
    job: Option<Job<NamedDisk<D>>>,
    /// `None` until a run is ordered.
    runs: Option<Runs<D>>,
    /// Files that were begun in this run.
    made: u64,
    /// What an earlier run of the program was making is removed, as far as the disk does that.
    is_swept: bool,
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
            runs: None,
            made: 0,
            is_swept: false,
        }
    }

    /// One step.
    pub(super) fn turn(&mut self) -> Next {
        if !std::mem::replace(&mut self.is_swept, true)
            && let Err(error) = Runs::<D>::sweep(&self.disk)
        {
            log::warn!("event=runs_not_swept error=\"{error}\"");
        }
        while let Some(gone) = self.desk.next_gone() {
            match self.disk.remove(&gone.path) {
                Ok(()) => self.room.shrink(gone.bytes),
                Err(error) => {
                    let path = gone.path.display();
                    log::warn!("event=cut_not_removed path={path} error=\"{error}\"");
                }
            }
        }
        let (room, desk) = (&mut self.room, &self.desk);
        if let Some(runs) = self.runs.as_mut().filter(|runs| runs.is_busy()) {
            let name = runs.name().to_owned();
            if let Step::Over(outcome) = runs.step(desk, room, &mut self.made) {
                log::info!("event=run {name} outcome=\"{outcome}\"");
            }
            return Next::Now;
        }
        if let Some(job) = &mut self.job {
            if let Step::Over(outcome) = job.step(desk, room) {
                log::info!("event=cut {} outcome=\"{outcome}\"", job.name());
                self.job = None;
            }
            return Next::Now;
        }
        match self.desk.next_order() {
            None => return Next::At(clock::now() + TURN_PERIOD_MAX),
            Some((Task::Cut(order), answer)) => {
                self.made += 1;
                let order = self.named(*order);
                self.job = Some(Job::new(order, answer, self.disk.clone(), self.made));
            }
            Some((Task::Run(order), answer)) => {
                if let Some(runs) = self.runs() {
                    runs.begin(order, answer);
                }
            }
        }
        Next::Now
    }

    /// What makes files of runs; none once the spool has ended.
    fn runs(&mut self) -> Option<&mut Runs<D>> {
        if self.runs.is_none() {
            let ask = || self.room.spool.call_blocking(|spool| spool.reader(Sequence(0)));
            let reader = self.room.name.around(ask).ok()?.on(self.disk.clone());
            self.runs = Some(RunMaker::new(self.disk.clone(), reader));
        }
        self.runs.as_mut()
    }

    /// The same order, whose reads are named.
    fn named(&self, order: Order) -> Order {
        let named = |Source { name, bytes, hash, file }| {
            let file = Lent::new(self.room.name.of_file(file));
            Source { name, bytes, hash, file }
        };
        order.map(named)
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

//! What a node's worker does for its pipes: it cuts files, and makes files of runs of tablets. As in the program, without
//! its thread.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use penstock::sink::cuts::{CutTrouble, Desk, Job, Room, RunMaker, Step, Task};
use penstock::spool::{Disk, Reader, SimDisk};

use crate::runs::EXCUSED;

/// The worker of one run of a node.
pub(crate) struct Worker {
    desk: Desk,
    disk: SimDisk,
    cut: Option<Job<SimDisk>>,
    runs: RunMaker<SimDisk, Reader<SimDisk>>,
    /// Files that were made.
    made: u64,
    is_swept: bool,
}

impl Worker {
    /// One that has done nothing, and reads tablets with `reader`.
    pub(crate) fn new(desk: Desk, disk: SimDisk, reader: Reader<SimDisk>) -> Self {
        let runs = RunMaker::new(disk.clone(), reader);
        Self { desk, disk, cut: None, runs, made: 0, is_swept: false }
    }

    /// A step. Returns whether there was anything to do.
    pub(crate) fn step(&mut self) -> bool {
        if !std::mem::replace(&mut self.is_swept, true) {
            // What is left then the next start removes.
            let _left = RunMaker::<SimDisk, Reader<SimDisk>>::sweep(&self.disk).is_err();
        }
        while let Some(gone) = self.desk.next_gone() {
            let _left = self.disk.remove(&gone.path).is_err();
        }
        if self.runs.is_busy() {
            self.runs.step(&self.desk, &mut Roomy, &mut self.made);
            return true;
        }
        if let Some(job) = &mut self.cut {
            if let Step::Over(_) = job.step(&self.desk, &mut Roomy) {
                self.cut = None;
            }
            return true;
        }
        match self.desk.next_order() {
            None => return false,
            Some((Task::Cut(order), answer)) => {
                self.made += 1;
                self.cut = Some(Job::new(*order, answer, self.disk.clone(), self.made));
            }
            Some((Task::Run(order), answer)) => self.runs.begin(order, answer),
        }
        true
    }
}

/// A quota without end.
struct Roomy;

impl Room for Roomy {
    fn grow(&mut self, _: u64) -> Result<(), CutTrouble> {
        Ok(())
    }

    fn shrink(&mut self, _: u64) {}
}

/// Hears of what lets values land a second time (`docs/pipes.md`).
pub(crate) struct Ear;

const EVENTS: [&str; 3] = ["event=unit_unknown", "event=unit_not_kept", "event=run_not_made"];

thread_local! {
    static HEARD: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

impl Ear {
    /// Has all of it heard from now on.
    pub(crate) fn listen() {
        if log::set_logger(&Self).is_ok() {
            log::set_max_level(log::LevelFilter::Warn);
        }
    }

    /// The pipes of which that was said in this thread since it was last asked.
    pub(crate) fn heard() -> BTreeSet<String> {
        HEARD.take()
    }
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        if EVENTS.iter().any(|event| line.starts_with(event)) {
            let (_, rest) = line.split_once("pipe=\"").expect("a pipe");
            let (pipe, _) = rest.split_once('"').expect("a pipe");
            EXCUSED.fetch_add(1, Ordering::Relaxed);
            HEARD.with(|heard| heard.borrow_mut().insert(pipe.to_owned()));
        }
    }

    fn flush(&self) {}
}

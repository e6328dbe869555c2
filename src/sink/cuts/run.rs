//! A run of tablets, made into files step by step.
//!
//! ```text
//!  Maker (src/twin) --> spool/runs/.twin-<n>.tsfile --rename--> spool/partial/made-<n>
//! ```
//!
//! The same entries make the same files, to the byte.

use std::path::Path;

use super::{Answer, CutTrouble, Desk, Gone, Lent, MadeRun, Outcome, Room, RunOrder, Step};
use crate::limits::MIB;
use crate::spool::{Disk, FileReader, MADE_DIR, OpenMode};
use crate::twin::{self, Maker, Run, Source, Twin, TwinError};

/// Where they are made.
const RUN_DIR: &str = "spool/runs";
/// Room is taken so many bytes ahead: a step writes less, as a rule.
const ROOM_BYTES: u64 = 4 * MIB as u64;

/// What makes the files of all runs, one run after the other.
#[derive(Debug)]
pub struct RunMaker<D: Disk, S: Source> {
    disk: D,
    maker: Maker<D, S>,
    job: Option<RunJob>,
}

/// A run in hand.
#[derive(Debug)]
struct RunJob {
    order: RunOrder,
    answer: Answer,
    /// Bytes that the quota counts.
    counted: u64,
}

impl<D: Disk, S: Source> RunMaker<D, S> {
    /// One that has nothing to do.
    pub fn new(disk: D, source: S) -> Self {
        let writer = twin::writer_settings();
        let settings = twin::Settings { dir: RUN_DIR.into(), writer };
        let maker = Maker::new(disk.clone(), source, settings);
        Self { disk, maker, job: None }
    }

    /// Removes what an earlier run of the program was making.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sweep(disk: &D) -> Result<(), TwinError> {
        twin::clean(disk, Path::new(RUN_DIR))
    }

    /// Whether a run is being made.
    pub const fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Begins one; none is in hand.
    pub fn begin(&mut self, order: RunOrder, answer: Answer) {
        self.maker.begin(Run { first: order.first, last: order.last });
        self.job = Some(RunJob { order, answer, counted: 0 });
    }

    /// What is being made, for people.
    pub fn name(&self) -> &str {
        self.job.as_ref().map_or("", |job| &job.order.name)
    }

    /// Does some more. Files get numbers from `number` on, which no other has that was made in this run of the program.
    pub fn step(&mut self, desk: &Desk, room: &mut impl Room, number: &mut u64) -> Step {
        let Some(mut job) = self.job.take() else { return Step::Over(String::new()) };
        if job.answer.is_withdrawn() {
            self.give_up(&mut job, room);
            return Step::Over("withdrawn".to_owned());
        }
        match self.go_on(&mut job, desk, room, number) {
            Ok(None) => {
                self.job = Some(job);
                Step::Worked
            }
            Ok(Some(files)) => {
                let outcome = Outcome::Run(files);
                let told = outcome.to_string();
                job.answer.tell(outcome);
                Step::Over(told)
            }
            Err(outcome) => {
                self.give_up(&mut job, room);
                let told = outcome.to_string();
                job.answer.tell(outcome);
                Step::Over(told)
            }
        }
    }

    fn go_on(
        &mut self,
        job: &mut RunJob,
        desk: &Desk,
        room: &mut impl Room,
        number: &mut u64,
    ) -> Result<Option<Vec<MadeRun>>, Outcome> {
        // One-row tablets write several times their bytes.
        let written = self.maker.bytes_on_disk().map_err(|error| Outcome::Failed(error.into()))?;
        job.count_at_least(written.saturating_add(ROOM_BYTES), room)?;
        match self.maker.step() {
            Ok(twin::Step::Worked) => Ok(None),
            Ok(twin::Step::Done(made)) => {
                twin::tell_conflicts(&made.conflicts, made.conflict_count, &job.order.name);
                let mut files = Vec::with_capacity(made.twins.len());
                for twin in made.twins {
                    *number += 1;
                    let bytes = twin.bytes;
                    job.count_at_least(bytes, room)?;
                    files.push(self.keep(twin, desk, *number)?);
                    // From now on it is given back with the file.
                    job.counted -= bytes;
                }
                room.shrink(std::mem::take(&mut job.counted));
                Ok(Some(files))
            }
            Err(TwinError::Unfit { sequence, .. } | TwinError::TooMany { sequence, .. }) => {
                Err(Outcome::Shorter(sequence))
            }
            Err(error) => Err(Outcome::Failed(CutTrouble::Run(error))),
        }
    }

    /// Gives a file its name.
    fn keep(&self, twin: Twin, desk: &Desk, number: u64) -> Result<MadeRun, Outcome> {
        let path = Path::new(MADE_DIR).join(format!("made-{number}"));
        let opened = self.disk.rename(&twin.file, &path);
        let opened = opened.and_then(|()| self.disk.open(&path, OpenMode::Read));
        let file = opened.map_err(|source| {
            // It may have its name already, where nobody else removes it before the next start.
            let _left = self.disk.remove(&path).is_err();
            Outcome::Failed(CutTrouble::Disk { operation: "keep a file", source })
        })?;
        let lent = Lent::new(FileReader::new(file, twin.bytes));
        let gone = Gone { path, bytes: twin.bytes };
        Ok(MadeRun { file: desk.made(lent, *twin.hash.as_bytes(), gone), twin })
    }

    fn give_up(&mut self, job: &mut RunJob, room: &mut impl Room) {
        let _left = self.maker.abandon().is_err();
        room.shrink(std::mem::take(&mut job.counted));
    }
}

impl RunJob {
    /// Has the quota count so many bytes for what is not kept yet.
    fn count_at_least(&mut self, bytes: u64, room: &mut impl Room) -> Result<(), Outcome> {
        let missing = bytes.saturating_sub(self.counted);
        if missing > 0 {
            let more = missing.max(ROOM_BYTES);
            room.grow(more).map_err(Outcome::Failed)?;
            self.counted += more;
        }
        Ok(())
    }
}

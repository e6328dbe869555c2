//! Whether something may land now, later, or never.

use super::job::Job;
use super::room::Admission;
use super::source::Source;
use super::step::{Step, Unfit};
use super::{Landing, Work};
use crate::spool::Disk;

/// It has more bytes than may ever lie there.
pub(super) struct NeverFits {
    pub(super) needed: u64,
}

impl<D: Disk, S: Source> Landing<D, S> {
    /// Goes on with a job as soon as there is room for it.
    pub(super) fn wait(&mut self, job: Job) -> Step {
        let (work, step) = match self.admit(job.bytes()) {
            Ok(None) => (Work::Copying(job, None), Step::Worked),
            Ok(Some(step)) => (Work::Waiting(job), step),
            Err(NeverFits { needed }) => (self.too_large(job, needed), Step::Worked),
        };
        self.work = work;
        step
    }

    /// `None` if so many bytes may be added; else what to tell.
    pub(super) fn admit(&mut self, needed: u64) -> Result<Option<Step>, NeverFits> {
        Ok(match self.room.admit(&self.disk, &mut self.ledger, needed) {
            Admission::Yes => None,
            Admission::Later => Some(Step::Worked),
            Admission::Full { present, ledgers } => {
                Some(Step::Full { needed, present, ledgers, max_bytes: self.max_bytes })
            }
            Admission::Never => return Err(NeverFits { needed }),
        })
    }

    /// A job that can never fit is put aside: what comes behind it does not wait.
    pub(super) fn too_large(&self, job: Job, needed: u64) -> Work<D, S> {
        let name = job.files.last().map(|file| file.name.clone()).unwrap_or_default();
        self.unfit(job, Unfit::TooLarge { name, needed, max_bytes: self.max_bytes })
    }
}

//! What is recorded by one write and then gets its names: the files of one entry, or of one run of tablets.

use std::path::{Path, PathBuf};

use super::job::Job;
use super::line::Line;
use super::names::{copy, marked};
use super::run::Gathered;
use super::step::Landed;
use crate::data::{OriginId, Sequence};
use crate::twin::{Conflict, Made};

/// Files that lie under their hidden names, or are about to, and the lines that go before their names.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) lines: Vec<Line>,
    pub(super) of: Of,
    /// The lines are on disk.
    pub(super) recorded: bool,
    /// Its files may have their names.
    pub(super) naming: bool,
}

/// What a set is made of, and can be made of again.
#[derive(Debug)]
pub(super) enum Of {
    Entry(Box<Job>),
    Run(Box<MadeRun>),
}

/// A run of tablets, and the files that were made of it.
#[derive(Debug)]
pub(super) struct MadeRun {
    pub(super) run: Gathered,
    /// Where the files lie before they have their hidden names, in the order of the lines.
    pub(super) files: Vec<PathBuf>,
    conflicts: Vec<Conflict>,
    conflict_count: u64,
}

impl Set {
    /// The set of an entry whose files are copied.
    pub(super) fn of_entry(job: Job, node: OriginId) -> Self {
        let (lines, recorded) = (vec![job.line(node)], job.recorded);
        Self { lines, of: Of::Entry(Box::new(job)), recorded, naming: false }
    }

    /// The set of a run whose files are made.
    pub(super) fn of_run(run: Gathered, made: Made, node: OriginId) -> Self {
        let lines = run.lines(&made.twins, node);
        let files = made.twins.into_iter().map(|twin| twin.file).collect();
        let (conflicts, conflict_count) = (made.conflicts, made.conflict_count);
        let recorded = run.is_recorded(&lines);
        let of = Of::Run(Box::new(MadeRun { run, files, conflicts, conflict_count }));
        Self { lines, of, recorded, naming: false }
    }

    fn first(&self) -> Sequence {
        match &self.of {
            Of::Entry(job) => job.sequence(),
            Of::Run(made) => made.run.first,
        }
    }

    /// The last entry that it is made of.
    pub(super) fn last(&self) -> Sequence {
        match &self.of {
            Of::Entry(job) => job.sequence(),
            Of::Run(made) => made.run.last,
        }
    }

    /// Paths of its files below the landing directory; a `TsFile` comes behind its mods.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.lines.iter().flat_map(Line::names)
    }

    /// Names of its files are taken: all get a mark, which they keep when they are made again.
    pub(super) fn mark(&mut self, mark: &str) {
        for line in &mut self.lines {
            for file in line.with.iter_mut().chain(&mut line.file) {
                file.name = marked(&file.name, mark);
            }
        }
        match &mut self.of {
            Of::Entry(job) => job.mark(mark),
            Of::Run(made) => made.run.mark = Some(mark.to_owned()),
        }
    }

    /// Where they lie before they have their hidden names, in the same order.
    pub(super) fn sources(&self, dir: &Path) -> Vec<PathBuf> {
        match &self.of {
            Of::Entry(job) => (0..job.files.len()).map(|index| copy(dir, index)).collect(),
            Of::Run(made) => made.files.clone(),
        }
    }

    /// Bytes of all its files.
    pub(super) fn bytes(&self) -> u64 {
        self.lines.iter().map(Line::bytes).fold(0, u64::saturating_add)
    }

    /// What to tell of it.
    pub(super) fn into_landed(mut self) -> Landed {
        let (first, last, bytes) = (self.first(), self.last(), self.bytes());
        let points = self.lines.iter().filter_map(|line| line.points).fold(0, u64::saturating_add);
        let files = self.lines.iter().filter(|line| line.file.is_some()).count();
        let line = self.lines.pop();
        let (conflicts, conflict_count) = match self.of {
            Of::Run(made) => (made.conflicts, made.conflict_count),
            Of::Entry(_) => (Vec::new(), 0),
        };
        Landed {
            sequences: (first, last),
            what: line.as_ref().map(|line| line.what).unwrap_or_default(),
            why: line.as_ref().and_then(|line| line.why.clone()),
            name: line.and_then(|line| line.file).map(|file| file.name),
            files,
            bytes,
            points,
            conflicts,
            conflict_count,
        }
    }
}

//! From the spool to whole files.

use std::io::{self, IoSlice};

use super::error::LandingError;
use super::job::{Job, JobFile};
use super::names::copy as copy_path;
use super::set::Set;
use super::source::{Part, Source};
use super::step::{Step, Unfit};
use super::{Landing, Work};
use crate::data::ReadAt;
use crate::limits;
use crate::spool::{Dirty, Disk, DiskFile, OpenMode, ReadError, write_all_at};
use crate::tsfile::TsFileError;
use crate::tsfile::read::{Counting, Tally, TsFile};
use crate::tsfile::tail::Check;

/// Chunks copied in one step: 1 MiB, so that a step on a disk of 20 MB/s takes 50 ms.
const CHUNKS_A_STEP: usize = 16;

/// A file that is being copied.
#[derive(Debug)]
pub(super) struct Copy<T, F> {
    from: F,
    /// Of a `TsFile`, until its index was added up.
    looking: Option<Looking>,
    to: T,
    done: u64,
    dirty: Dirty,
    hasher: Box<blake3::Hasher>,
}

/// How far a `TsFile` was looked at, before it is copied.
#[derive(Debug)]
enum Looking {
    /// At its ends, which have to be sound.
    Ends(Box<Check>),
    /// At its index, for the ledger.
    Index(Box<Counting>),
}

/// What copying came to.
enum Copied<T, F> {
    /// Not at the end yet.
    Part(Box<Copy<T, F>>),
    /// One more file is whole.
    File,
}

/// Why copying stopped.
enum Stopped {
    /// The disk of the landing directory.
    Landing(LandingError),
    /// The spool's copy.
    Stored(JobFileError),
    /// The entry is not landed.
    Unfit(Unfit),
}

/// A part of an entry could not be read this time.
struct JobFileError {
    name: String,
    tries_max: u32,
    source: io::Error,
}

impl<D: Disk, S: Source> Landing<D, S> {
    /// Copies on. An error begins the file anew: what a failed write or sync left is not believed.
    pub(super) fn copy(
        &mut self,
        mut job: Job,
        copy: Option<Copy<D::File, S::File>>,
    ) -> Result<Step, LandingError> {
        let outcome = match copy {
            Some(copy) => self.copy_on(&mut job, copy),
            None => self.begin(&mut job),
        };
        match outcome {
            Ok(Copied::Part(copy)) => self.work = Work::Copying(job, Some(*copy)),
            Ok(Copied::File) if job.files.iter().any(|file| file.hash.is_none()) => {
                self.work = Work::Copying(job, None);
            }
            Ok(Copied::File) => self.work = Work::Placing(Set::of_entry(job, self.node)),
            Err(Stopped::Unfit(why)) => self.work = self.unfit(job, why),
            Err(Stopped::Stored(JobFileError { name, tries_max, source })) => {
                job.unread += 1;
                if job.unread >= tries_max {
                    self.work = self.unfit(job, Unfit::Unreadable { name, error: source });
                    return Ok(Step::Worked);
                }
                self.work = Work::Copying(job, None);
                return Err(LandingError::disk("read the spool's copy of", name)(source));
            }
            Err(Stopped::Landing(error)) => {
                self.work = Work::Copying(job, None);
                return Err(error);
            }
        }
        Ok(Step::Worked)
    }

    /// Gives the job up; what was copied is removed as far as that goes, the rest at the next start.
    pub(super) fn unfit(&self, job: Job, why: Unfit) -> Work<D, S> {
        for index in 0..job.files.len() {
            let _left = self.disk.remove(&copy_path(&self.dir, index));
        }
        Work::Unfit(job, why)
    }

    /// Opens the first file that is not copied yet, and its partial.
    fn begin(&mut self, job: &mut Job) -> Result<Copied<D::File, S::File>, Stopped> {
        let Some(at) = job.files.iter().position(|file| file.hash.is_none()) else {
            return Ok(Copied::File);
        };
        self.check_lock()?;
        let is_ts_file = job.files.get(at).is_some_and(|file| job.is_ts_file(file.part));
        let Some(file) = job.files.get_mut(at) else { return Ok(Copied::File) };
        let from = self.source.open(file.part).map_err(|error| file.not_opened(error))?;
        if file.part == Part::Seal {
            file.bytes = from.len();
        }
        let mut looking = None;
        if is_ts_file {
            let check = Check::new(&from).map_err(|flaw| file.flawed(flaw))?;
            looking = Some(Looking::Ends(Box::new(check)));
        }
        if at == 0 {
            self.make_work_dir()?;
        }
        let path = copy_path(&self.dir, at);
        let to = self.disk.open(&path, OpenMode::Create);
        let to = to.map_err(LandingError::disk("create", &path))?;
        let hasher = Box::new(blake3::Hasher::new());
        Ok(Copied::Part(Box::new(Copy {
            from,
            looking,
            to,
            done: 0,
            dirty: Dirty::behind(0),
            hasher,
        })))
    }

    fn copy_on(
        &mut self,
        job: &mut Job,
        mut copy: Copy<D::File, S::File>,
    ) -> Result<Copied<D::File, S::File>, Stopped> {
        let mut files = job.files.iter_mut().enumerate();
        let Some((index, file)) = files.find(|(_, file)| file.hash.is_none()) else {
            return Ok(Copied::File);
        };
        if let Some(looking) = copy.looking.take() {
            let (looking, tally) = looking.step(&copy.from).map_err(|flaw| file.flawed(flaw))?;
            (copy.looking, job.tally) = (looking, tally);
            return Ok(Copied::Part(Box::new(copy)));
        }
        let path = copy_path(&self.dir, index);
        for _ in 0..CHUNKS_A_STEP {
            let read = copy.from.read_at(copy.done, &mut self.chunk);
            let count = read.map_err(|error| file.not_read(error))?;
            let bytes = self.chunk.get(..count).unwrap_or_default();
            if bytes.is_empty() && copy.done < file.bytes {
                return Err(file.not_read(io::ErrorKind::UnexpectedEof.into()));
            }
            if bytes.is_empty() {
                break;
            }
            write_all_at(&copy.to, copy.done, &mut [IoSlice::new(bytes)])
                .map_err(LandingError::disk("write", &path))?;
            copy.hasher.update(bytes);
            copy.done += count as u64;
        }
        if copy.done < file.bytes {
            copy.dirty.pass(&copy.to, copy.done).map_err(LandingError::disk("write", &path))?;
            return Ok(Copied::Part(Box::new(copy)));
        }
        copy.to.sync_data().map_err(LandingError::disk("sync", &path))?;
        copy.to.forget(0, copy.done);
        file.compare(copy.hasher.finalize()).map_err(Stopped::Unfit)?;
        Ok(Copied::File)
    }
}

impl Looking {
    /// Looks on; what is left of that, and what was counted in the end. A flaw of the index is not one of the ends.
    fn step<R: ReadAt>(self, file: &R) -> Result<(Option<Self>, Option<Tally>), TsFileError> {
        match self {
            Self::Ends(mut check) => match check.step(file)? {
                Some(summary) => {
                    let counting = counting_of(&TsFile::checked(file, summary));
                    Ok((counting.map(Box::new).map(Self::Index), None))
                }
                None => Ok((Some(Self::Ends(check)), None)),
            },
            Self::Index(mut counting) => Ok(match counting.step(file) {
                Ok(None) => (Some(Self::Index(counting)), None),
                counted => (None, counted.ok().flatten()),
            }),
        }
    }
}

/// Begins to count what a file holds, unless its index is large, or flawed: then that is not known, and the file is
/// landed as it came.
fn counting_of<R: ReadAt>(file: &TsFile<R>) -> Option<Counting> {
    let summary = file.summary();
    let index = file.bytes().saturating_sub(summary.separator);
    if index > limits::LANDING_INDEX_BYTES_MAX { None } else { Counting::new(file).ok() }
}

impl JobFile {
    fn not_opened(&self, error: ReadError) -> Stopped {
        match error {
            ReadError::File { .. } => Stopped::Unfit(self.gone()),
            ReadError::Disk { source, .. } => self.not_read(source),
        }
    }

    /// A part of the log is tried longer: nothing of it can be put aside, and nobody else has it.
    fn not_read(&self, source: io::Error) -> Stopped {
        let tries_max = match self.part {
            Part::Stored(_) => limits::FILE_READS_MAX,
            Part::Payload | Part::Seal => limits::LANDING_LOG_READS_MAX,
        };
        Stopped::Stored(JobFileError { name: self.name.clone(), tries_max, source })
    }

    /// A disk that cannot be read says nothing about the file.
    fn flawed(&self, flaw: TsFileError) -> Stopped {
        if let TsFileError::Read { source, .. } = flaw {
            return self.not_read(source);
        }
        Stopped::Unfit(Unfit::Flawed { name: self.name.clone(), flaw })
    }
}

impl From<LandingError> for Stopped {
    fn from(error: LandingError) -> Self {
        Self::Landing(error)
    }
}

//! What becomes of an entry of files: each is looked into step by step.
//!
//! ```text
//!  seal -----------> Skip or Whole                           snapshots, by what they are of
//!  request --------> Whole, Part, Unfit                      see request.rs
//!        \--outside--------+
//!  TsFile -> Opening -> Walking --outside--> Checking --hash fits-----> Skip
//!                         |   |                  \------has rotted----> Unfit: a second reading might be sound, and all of it go
//!                         |   +-------inside--------------------------> Whole
//!                         +-----------across--> Across: ordered at the desk --> Cutting: the worker's answer
//! ```

use std::io;

use super::super::feed::{StoredFile, StoredFiles};
use super::request;
use super::scratch::Buffers;
use crate::data::{Matcher, ReadAt, Sequence, Series, TimeRange};
use crate::limits::{KIB, MIB};
use crate::pipe::source::{Filter, Verdict};
use crate::sink::cuts::{CutTrouble, MadeFile, Outcome, Ticket};
use crate::spool::{EntryHeader, FileCheck, ReadError};
use crate::statement::Loose;
use crate::tsfile::TsFileError;
use crate::tsfile::cut::Selection;
use crate::tsfile::read::{self, Device, TsFile, Visit, Walk};
use crate::tsfile::tail::{self, Summary};
use crate::wire::plan::PlanKind;
use crate::wire::request::RequestType;

/// Bytes of a file that one step compares with its hash.
const STEP_BYTES: usize = MIB;
/// Bytes of one read of them.
const READ_BYTES: usize = 128 * KIB;

/// A file that is being looked into.
#[derive(Debug)]
pub(super) struct Survey<T> {
    /// The entry that it is of.
    pub(super) entry: Sequence,
    name: String,
    file: T,
    bytes: u64,
    hash: [u8; 32],
    stage: Stage,
    flaw: Flaw,
}

/// Whether it can be told what lies in it: one flawed reading is no flawed file.
#[derive(Debug)]
enum Flaw {
    None,
    /// It could not.
    Met,
    /// It could not, though it is what was taken in.
    Doubted,
    /// Neither could it the second time.
    Again(String),
}

#[derive(Debug)]
enum Stage {
    /// It is not looked at yet.
    Unopened,
    Opening(Box<tail::Check>),
    Walking(Box<Walking>),
    /// Nothing of it is sent, if it is what was taken in: up to where it was compared.
    Checking(Box<FileCheck>, u64),
    /// A part has to be cut out, by what is asked for.
    Across(Scope),
    /// Somebody does so.
    Cutting(Ticket, Scope),
}

#[derive(Debug)]
struct Walking {
    summary: Summary,
    walk: Walk,
    scope: Scope,
    found: Found,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// These series, these times.
    Both,
    /// Any series.
    Times,
    /// Any time.
    Series,
}

/// What was found so far.
#[derive(Debug)]
struct Found {
    /// Which series of the device in hand are sent.
    series: Series,
    lie: Option<Lie>,
}

/// What a step came to.
#[derive(Debug)]
pub(super) enum Looked<T> {
    /// The verdict.
    Known(Verdict),
    /// This file is sent in its place.
    Cut(MadeFile),
    /// A file of this name is not what was taken in.
    Rotten(String),
    /// There is more to be looked into.
    More(Survey<T>),
}

/// How data lies to what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    Outside,
    Inside,
    Across,
}

impl Lie {
    /// Of two together.
    fn and(before: Option<Self>, other: Self) -> Self {
        if before.is_none_or(|before| before == other) { other } else { Self::Across }
    }

    /// Of data with this range of times.
    pub(super) fn of_times(times: TimeRange, range: TimeRange) -> Self {
        if !times.overlaps(range) {
            Self::Outside
        } else if times.min <= range.min && range.max <= times.max {
            Self::Inside
        } else {
            Self::Across
        }
    }
}

impl<T: ReadAt> Survey<T> {
    /// Begins to look into the files of an entry, of which `filter` could not tell by the header. A part is left in
    /// `buffers`. Also returns how many bytes were read, more or less.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn begin(
        filter: &mut Filter,
        header: &EntryHeader,
        stored: StoredFiles<T>,
        buffers: &mut Buffers,
    ) -> Result<(Looked<T>, u64), ReadError> {
        let StoredFiles { request_type, files, parameters } = stored;
        let seal = i16::try_from(request_type).ok().and_then(RequestType::from_code);
        let known = |verdict| Ok((Looked::Known(verdict), 0));
        let by_kind = |is_taken: bool| known(if is_taken { Verdict::Whole } else { Verdict::Skip });
        if seal == Some(RequestType::SchemaSnapshotSeal) {
            return by_kind(filter.takes_plans(PlanKind::Schema));
        }
        if seal == Some(RequestType::ConfigSnapshotSeal) {
            let file_type = parameters.iter().find(|(key, _)| key == "fileType");
            let kind = PlanKind::of_snapshot(file_type.and_then(|(_, value)| value.as_deref()));
            return by_kind(filter.takes_plans(kind));
        }
        // The mods file comes first. The sink knows what to do with an entry without a file.
        let last = files.into_iter().rev().find_map(|StoredFile { name, bytes, hash, file }| {
            let (entry, name, stage) = (header.sequence, name.unwrap_or_default(), Stage::Unopened);
            Some(Self { entry, name, file: file?, bytes, hash, stage, flaw: Flaw::None })
        });
        let Some(survey) = last else { return known(Verdict::Whole) };
        let is_ts_file = request_type == 0
            || matches!(seal, Some(RequestType::TsFileSeal | RequestType::TsFileSealWithMod));
        if is_ts_file && filter.selection(header).is_none() {
            return known(Verdict::Skip);
        }
        if is_ts_file {
            return Ok((survey.open()?, 0));
        }
        match request::verdict(filter, header, &survey.file, buffers) {
            Ok(Verdict::Skip) => Ok((survey.check(), 0)),
            Ok(verdict) => Ok((Looked::Known(verdict), buffers.payload.len() as u64)),
            Err(error) => Err(survey.failed(error)),
        }
    }

    fn open(mut self) -> Result<Looked<T>, ReadError> {
        match tail::Check::new(&self.file) {
            Ok(check) => {
                self.stage = Stage::Opening(Box::new(check));
                Ok(Looked::More(self))
            }
            Err(error) => self.flawed(error),
        }
    }

    /// Looks into some more of it. Also returns how many bytes were read. After an error it is over, but for one that
    /// is cut.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn step(
        mut self,
        filter: &Filter,
        header: &EntryHeader,
        buffers: &mut Buffers,
    ) -> Result<(Looked<T>, u64), ReadError> {
        match &mut self.stage {
            Stage::Unopened => Ok((self.open()?, 0)),
            Stage::Across(_) | Stage::Cutting(..) => Ok((Looked::More(self), 0)),
            Stage::Opening(check) => {
                let walking = match check.step(&self.file) {
                    Ok(None) => return Ok((Looked::More(self), MIB as u64)),
                    Ok(Some(summary)) => Walking::new(&self.file, summary, Scope::Both),
                    Err(error) => Err(error),
                };
                match walking {
                    Ok(walking) => {
                        self.stage = Stage::Walking(Box::new(walking));
                        Ok((Looked::More(self), 0))
                    }
                    Err(error) => Ok((self.flawed(error)?, 0)),
                }
            }
            Stage::Checking(check, offset) => {
                let start = *offset;
                let goes_on = compare(&self.file, check, offset, &mut buffers.payload);
                let read = offset.saturating_sub(start);
                match goes_on {
                    Ok(Some(true)) => Ok((self.sound(), read)),
                    Ok(Some(false)) => Ok((Looked::Rotten(self.name), read)),
                    Ok(None) => Ok((Looked::More(self), read)),
                    Err(error) => Err(self.failed(error)),
                }
            }
            Stage::Walking(walking) => {
                let before = walking.walk.walked();
                let stepped = walking.step(&self.file, filter, header);
                let read = walking.walk.walked().saturating_sub(before);
                let looked = match stepped {
                    Ok(None) => Looked::More(self),
                    Ok(Some(Lie::Inside)) => Looked::Known(Verdict::Whole),
                    Ok(Some(Lie::Outside)) => self.check(),
                    Ok(Some(Lie::Across)) => {
                        self.stage = Stage::Across(walking.scope);
                        Looked::More(self)
                    }
                    Err(error) => self.flawed(error)?,
                };
                Ok((looked, read))
            }
        }
    }

    /// What is to be cut out of it, if that is known and was not ordered yet.
    pub(super) fn wanted(&self, filter: &Filter, header: &EntryHeader) -> Option<Selection> {
        let Stage::Across(scope) = self.stage else { return None };
        let (matcher, times) = filter.selection(header)?;
        let is_any = filter.is_every_series() || scope == Scope::Times;
        let mut matcher = matcher.clone();
        matcher.forget();
        Some(Selection {
            series: (!is_any).then_some(matcher),
            times: if scope == Scope::Series { TimeRange::ALL } else { times },
        })
    }

    /// That was ordered.
    pub(super) fn ordered(&mut self, ticket: Ticket) {
        if let Stage::Across(scope) = self.stage {
            self.stage = Stage::Cutting(ticket, scope);
        }
    }

    /// The order that is waited for.
    pub(super) const fn ticket(&mut self) -> Option<&mut Ticket> {
        match &mut self.stage {
            Stage::Cutting(ticket, _) => Some(ticket),
            Stage::Unopened
            | Stage::Opening(_)
            | Stage::Walking(_)
            | Stage::Checking(..)
            | Stage::Across(_) => None,
        }
    }

    /// What became of the order, once that is known. After an error it has to be given again.
    ///
    /// # Errors
    /// If it could not be cut now.
    pub(super) fn cut(mut self) -> Result<Looked<T>, Box<(Self, ReadError)>> {
        let Stage::Cutting(ticket, scope) = &mut self.stage else { return Ok(Looked::More(self)) };
        let Some(outcome) = ticket.take() else { return Ok(Looked::More(self)) };
        match outcome {
            Outcome::Made(file) => Ok(Looked::Cut(file)),
            Outcome::Nothing => Ok(Looked::Known(Verdict::Skip)),
            Outcome::Rotten => Ok(Looked::Rotten(self.name)),
            Outcome::Unfit(why) => Ok(Looked::Known(Verdict::Unfit(why))),
            // No cut is answered so.
            outcome @ (Outcome::Run(_) | Outcome::Shorter(_)) => {
                Ok(Looked::Known(Verdict::Unfit(outcome.to_string())))
            }
            Outcome::Failed(error) => {
                let way_out = if matches!(error, CutTrouble::Full(_)) {
                    let entry = self.entry;
                    format!(
                        "; free so much, send such files whole ('mode.strict'='false'), or SKIP ENTRY {entry}"
                    )
                } else {
                    String::new()
                };
                let (operation, source) = ("cut", io::Error::other(format!("{error}{way_out}")));
                let path = self.name.clone().into();
                let error = ReadError::Disk { operation, path, source };
                self.stage = Stage::Across(*scope);
                Err(Box::new((self, error)))
            }
        }
    }

    /// It goes nowhere, if it is what was taken in.
    fn check(mut self) -> Looked<T> {
        self.stage = Stage::Checking(Box::new(FileCheck::new(self.bytes, self.hash)), 0);
        Looked::More(self)
    }

    /// What of such a file lies inside cannot be told, so nothing of it is sent, if it is what was taken in.
    fn flawed(mut self, error: TsFileError) -> Result<Looked<T>, ReadError> {
        if let TsFileError::Read { source, .. } = error {
            return Err(self.failed(source));
        }
        let why = format!("what lies in it cannot be told: {error}");
        self.flaw = match self.flaw {
            Flaw::Doubted => Flaw::Again(why),
            Flaw::None | Flaw::Met | Flaw::Again(_) => Flaw::Met,
        };
        Ok(self.check())
    }

    /// It is what was taken in.
    fn sound(mut self) -> Looked<T> {
        match self.flaw {
            Flaw::None | Flaw::Doubted => Looked::Known(Verdict::Skip),
            Flaw::Again(why) => Looked::Known(Verdict::Unfit(why)),
            Flaw::Met => {
                (self.flaw, self.stage) = (Flaw::Doubted, Stage::Unopened);
                Looked::More(self)
            }
        }
    }

    fn failed(&self, source: io::Error) -> ReadError {
        let operation = "look into";
        ReadError::Disk { operation, path: self.name.clone().into(), source }
    }
}

/// Compares some more of a file with its hash. Whether all of it is sound, once that is known.
fn compare<T: ReadAt>(
    file: &T,
    check: &mut FileCheck,
    offset: &mut u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<bool>> {
    buffer.resize(READ_BYTES, 0);
    for _ in 0..STEP_BYTES / READ_BYTES {
        let count = file.read_at(*offset, buffer)?;
        if check.update(buffer.get(..count).unwrap_or_default()).is_err() {
            return Ok(Some(false));
        }
        *offset += count as u64;
        if count == 0 || *offset >= file.len() {
            return Ok(Some(check.is_complete()));
        }
    }
    Ok(None)
}

impl Walking {
    fn new<T: ReadAt>(file: &T, summary: Summary, scope: Scope) -> Result<Self, TsFileError> {
        let found = Found { series: Series::None, lie: None };
        let walk = Walk::new(&TsFile::checked(file, summary))?;
        Ok(Self { summary, walk, scope, found })
    }

    /// How the file lies, once that is known.
    fn step<T: ReadAt>(
        &mut self,
        file: &T,
        filter: &Filter,
        header: &EntryHeader,
    ) -> Result<Option<Lie>, TsFileError> {
        let Some((matcher, times)) = filter.selection(header) else {
            return Ok(Some(Lie::Outside));
        };
        // Tables have no path, and go where none is asked for.
        let is_any = filter.is_every_series() || self.scope == Scope::Times;
        let times = if self.scope == Scope::Series { TimeRange::ALL } else { times };
        let matcher = (!is_any).then_some(matcher);
        if self.walk.step(file, &mut Looking { matcher, times, found: &mut self.found })? {
            return Ok(None);
        }
        let lie = self.found.lie.unwrap_or(Lie::Outside);
        let scope = match (lie, self.scope, filter.loose(header)) {
            (Lie::Across, Scope::Both, Loose { time: true, path: true }) => {
                return Ok(Some(Lie::Inside));
            }
            // What need not be cut for is left out of the question.
            (Lie::Across, Scope::Both, Loose { time: true, .. }) => Scope::Series,
            (Lie::Across, Scope::Both, Loose { path: true, .. }) => Scope::Times,
            (lie, ..) => return Ok(Some(lie)),
        };
        *self = Self::new(file, self.summary, scope)?;
        Ok(None)
    }
}

/// Finds out how a file lies, up to where it is known that it lies across.
struct Looking<'f> {
    /// `None` for any series.
    matcher: Option<&'f Matcher>,
    times: TimeRange,
    found: &'f mut Found,
}

impl Looking<'_> {
    fn add(&mut self, lie: Lie) {
        self.found.lie = Some(Lie::and(self.found.lie, lie));
    }
}

impl Visit for Looking<'_> {
    fn device(&mut self, device: &Device) -> bool {
        let series = self.matcher.map(|matcher| matcher.series(&device.id.path()));
        self.found.series = series.unwrap_or(Series::All);
        match self.found.series {
            Series::None => self.add(Lie::Outside),
            Series::All if self.times == TimeRange::ALL => self.add(Lie::Inside),
            Series::All | Series::Some(_) => return true,
        }
        false
    }

    fn series(&mut self, series: &read::Series, points: u32, times: TimeRange) {
        if series.is_time() || points == 0 {
            return;
        }
        let is_wanted = self.found.series.wants(&series.name);
        self.add(if is_wanted { Lie::of_times(self.times, times) } else { Lie::Outside });
    }

    fn is_over(&self) -> bool {
        self.found.lie == Some(Lie::Across)
    }
}

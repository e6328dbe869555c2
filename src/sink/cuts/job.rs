//! One order, step by step.
//!
//! ```text
//!  Comparing   mods and TsFile with their hashes     Rotten
//!  Opening     both ends of the TsFile               Unfit
//!  Cutting     chunk by chunk                        Unfit
//!  Ending      metadata of the cut                   Nothing, Made
//! ```
//!
//! The same file, deletions and selection make the same cut, to the byte: made again after a crash, it is a repetition
//! for a far side that had the first one.

use std::io;
use std::path::{Path, PathBuf};

use super::{Answer, CutTrouble, Desk, Gone, Lent, Order, Outcome, Source};
use crate::data::ReadAt;
use crate::limits::{CUT_COLUMNS_MAX, CUT_MODS_BYTES_MAX, CUT_ROWS_MAX, KIB, MIB};
use crate::spool::{Disk, FileCheck, FileReader, MADE_DIR, OpenMode};
use crate::tsfile::TsFileError;
use crate::tsfile::cut::{CutError, Cutting, Plan};
use crate::tsfile::read::{Deletions, TsFile};
use crate::tsfile::tail;
use crate::tsfile::write::{Ending, Settings, Version, WriteError, Writer, Written};
use crate::twin::{Output, Scratch};

/// Bytes that one step works through, but for one chunk more.
const STEP_BYTES: u64 = MIB as u64;
/// Bytes of one read of a file that is compared.
const READ_BYTES: usize = 128 * KIB;
/// Room is taken so many bytes ahead: a step writes less, as a rule.
const ROOM_BYTES: u64 = 4 * MIB as u64;
/// Bytes of pages after which a chunk at a border is closed; what is copied stays as it is.
const CHUNK_BYTES: usize = 512 * KIB;

/// The quota.
pub trait Room {
    /// So many bytes more will be written.
    ///
    /// # Errors
    /// If there is no room for them.
    fn grow(&mut self, bytes: u64) -> Result<(), CutTrouble>;

    /// So many were not written, or are removed.
    fn shrink(&mut self, bytes: u64);
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    Worked,
    /// The order was carried out, or given up: what came of it, for people.
    Over(String),
}

/// An order that is being carried out.
#[derive(Debug)]
pub struct Job<D: Disk> {
    order: Order,
    answer: Answer,
    disk: D,
    path: PathBuf,
    /// Bytes that the quota counts.
    counted: u64,
    deletions: Deletions,
    stage: Stage<D>,
}

#[derive(Debug)]
enum Stage<D: Disk> {
    /// The mods file, or behind it the `TsFile`: up to where it was compared.
    Comparing(bool, Box<FileCheck>, u64),
    Opening(Box<tail::Check>),
    Cutting(Box<Making<D>>),
    Ending(Box<Ending<Output<D::File>, Scratch<D>>>),
    Over,
}

#[derive(Debug)]
struct Making<D: Disk> {
    cutting: Cutting,
    writer: Writer<Output<D::File>, Scratch<D>>,
}

impl<D: Disk> Job<D> {
    /// Begins. `number` is one that no other file has that was made in this run.
    pub fn new(order: Order, answer: Answer, disk: D, number: u64) -> Self {
        let path = Path::new(MADE_DIR).join(format!("made-{number}"));
        let stage = begin_comparing(&order, true);
        Self { order, answer, disk, path, counted: 0, deletions: Deletions::default(), stage }
    }

    /// What is being cut, for people.
    pub fn name(&self) -> &str {
        &self.order.name
    }

    /// Does some more.
    pub fn step(&mut self, desk: &Desk, room: &mut impl Room) -> Step {
        if self.answer.is_withdrawn() {
            self.clear(room);
            return Step::Over("withdrawn".to_owned());
        }
        match self.go_on(desk, room) {
            Ok(()) => {
                self.show();
                Step::Worked
            }
            Err(outcome) => {
                let told = outcome.to_string();
                if !matches!(outcome, Outcome::Made(_)) {
                    self.clear(room);
                }
                (self.stage, self.order.shown) = (Stage::Over, None);
                self.answer.tell(outcome);
                Step::Over(told)
            }
        }
    }

    /// Shows how far it has come: half of it is to compare the file with its hash.
    fn show(&self) {
        let Some(shown) = &self.order.shown else { return };
        let bytes = self.order.file.bytes;
        match &self.stage {
            Stage::Comparing(true, ..) | Stage::Over => {}
            Stage::Comparing(false, _, at) => shown.done(*at / 2, bytes),
            Stage::Opening(_) => shown.done(1, 2),
            Stage::Cutting(making) => {
                let (walked, index) = making.cutting.walked_of(bytes);
                shown.done(index.saturating_add(walked.min(index)), index.saturating_mul(2));
            }
            Stage::Ending(_) => shown.done(1, 1),
        }
    }

    /// Goes on; what it came to, once it is over.
    fn go_on(&mut self, desk: &Desk, room: &mut impl Room) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => return Err(Outcome::Failed(CutTrouble::Ended)),
            Stage::Comparing(is_mods, check, at) => self.compare(is_mods, check, at)?,
            Stage::Opening(check) => self.open(check)?,
            Stage::Cutting(making) => self.cut(making, room)?,
            Stage::Ending(mut ending) => {
                if ending.step(STEP_BYTES).map_err(unwritten)? {
                    self.count(ending.bytes().saturating_add(STEP_BYTES), room)?;
                    self.stage = Stage::Ending(ending);
                } else {
                    let (output, written) = ending.finish().map_err(unwritten)?;
                    return Err(self.seal(output, written, desk, room)?);
                }
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        is_mods: bool,
        mut check: Box<FileCheck>,
        mut at: u64,
    ) -> Result<(), Outcome> {
        let order = &self.order;
        let source = if is_mods { order.mods.as_ref() } else { Some(&order.file) };
        let mut buffer = vec![0; READ_BYTES];
        let mut worked = 0;
        while let Some(source) = source
            && at < source.bytes
        {
            if worked >= STEP_BYTES {
                self.stage = Stage::Comparing(is_mods, check, at);
                return Ok(());
            }
            let count = source.file.read_at(at, &mut buffer).map_err(unread(source))?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() || check.update(bytes).is_err() {
                return Err(Outcome::Rotten);
            }
            at += count as u64;
            worked += count as u64;
        }
        self.stage = if is_mods {
            self.deletions = order.mods.as_ref().map_or(Ok(Deletions::default()), deletions)?;
            begin_comparing(&self.order, false)
        } else {
            Stage::Opening(Box::new(tail::Check::new(&order.file.file).map_err(flawed)?))
        };
        Ok(())
    }

    fn open(&mut self, mut check: Box<tail::Check>) -> Result<(), Outcome> {
        let file = &self.order.file.file;
        let Some(summary) = check.step(file).map_err(flawed)? else {
            self.stage = Stage::Opening(check);
            return Ok(());
        };
        let version = if summary.version == 3 { Version::V3 } else { Version::V4 };
        let settings = Settings {
            version,
            // As in the file that is cut, and groups of aligned devices as long as there.
            both_orders: false,
            chunk_points: usize::MAX,
            chunk_bytes: CHUNK_BYTES,
            ..Settings::default()
        };
        let made = self.disk.open(&self.path, OpenMode::Create);
        let output = Output::new(made.map_err(trouble("make a file"))?);
        let scratches = SCRATCHES.map(|name| Scratch::new(&self.disk, Path::new(MADE_DIR), name));
        let mut writer = Writer::new(output, scratches, settings).map_err(unwritten)?;
        let file = TsFile::checked(file, summary);
        let cutting = Cutting::new(&file, &mut writer).map_err(uncut)?;
        self.stage = Stage::Cutting(Box::new(Making { cutting, writer }));
        Ok(())
    }

    fn cut(&mut self, mut making: Box<Making<D>>, room: &mut impl Room) -> Result<(), Outcome> {
        self.count(making.writer.bytes().saturating_add(STEP_BYTES), room)?;
        let plan = Plan {
            deletions: &self.deletions,
            selection: &self.order.selection,
            columns_max: CUT_COLUMNS_MAX,
            rows_max: CUT_ROWS_MAX,
        };
        let (file, Making { cutting, writer }) = (&self.order.file.file, &mut *making);
        let goes_on = cutting.step(file, &plan, writer, STEP_BYTES).map_err(uncut)?;
        self.stage = if goes_on {
            Stage::Cutting(making)
        } else {
            Stage::Ending(Box::new(making.writer.end().map_err(unwritten)?))
        };
        Ok(())
    }

    /// What the complete file came to.
    fn seal(
        &mut self,
        output: Output<D::File>,
        written: Written,
        desk: &Desk,
        room: &mut impl Room,
    ) -> Result<Outcome, Outcome> {
        if written.points == 0 {
            return Ok(Outcome::Nothing);
        }
        let hash = *output.seal().map_err(trouble("write a file"))?.as_bytes();
        self.clear_scratches();
        self.count(written.bytes, room)?;
        let left = self.counted.saturating_sub(written.bytes);
        room.shrink(left);
        let opened = self.disk.open(&self.path, OpenMode::Read).map_err(trouble("open a file"))?;
        let file = Lent::new(FileReader::new(opened, written.bytes));
        let gone = Gone { path: self.path.clone(), bytes: written.bytes };
        self.counted = 0;
        Ok(Outcome::Made(desk.made(file, hash, gone)))
    }

    /// Sees to it that so many bytes are counted.
    fn count(&mut self, bytes: u64, room: &mut impl Room) -> Result<(), Outcome> {
        if bytes <= self.counted {
            return Ok(());
        }
        let more = (bytes - self.counted).max(ROOM_BYTES);
        room.grow(more).map_err(Outcome::Failed)?;
        self.counted += more;
        Ok(())
    }

    /// Leaves nothing behind; what cannot be removed goes at the next start.
    fn clear(&mut self, room: &mut impl Room) {
        (self.stage, self.order.shown) = (Stage::Over, None);
        self.clear_scratches();
        let _left = self.disk.remove(&self.path).is_err();
        room.shrink(std::mem::take(&mut self.counted));
    }

    fn clear_scratches(&self) {
        for name in SCRATCHES {
            let scratch = Scratch::new(&self.disk, Path::new(MADE_DIR), name);
            let _left = self.disk.remove(scratch.path()).is_err();
        }
    }
}

/// Scratches of the writer; there is one job at a time.
const SCRATCHES: [&str; 2] = ["cut-records", "cut-nodes"];

fn begin_comparing<D: Disk>(order: &Order, is_mods: bool) -> Stage<D> {
    let source = if is_mods { order.mods.as_ref() } else { Some(&order.file) };
    let (bytes, hash) = source.map_or((0, [0; 32]), |source| (source.bytes, source.hash));
    Stage::Comparing(is_mods, Box::new(FileCheck::new(bytes, hash)), 0)
}

/// What a modification file says.
fn deletions(mods: &Source) -> Result<Deletions, Outcome> {
    let (name, bytes) = (&mods.name, mods.bytes);
    if bytes > CUT_MODS_BYTES_MAX {
        let why = format!("{name} has {bytes} bytes, {CUT_MODS_BYTES_MAX} are read");
        return Err(Outcome::Unfit(why));
    }
    let read = if Path::new(name).extension().is_some_and(|ending| ending == "mods2") {
        Deletions::from_records(&mods.file)
    } else {
        let mut text = vec![0; usize::try_from(bytes).unwrap_or_default()];
        let count = mods.file.read_at(0, &mut text).map_err(unread(mods))?;
        Deletions::from_lines(text.get(..count).unwrap_or_default())
    };
    let deletions = read.map_err(|error| Outcome::Unfit(format!("{name}: {error}")))?;
    if deletions.is_partial() {
        // What was deleted would come back in a file without it.
        return Err(Outcome::Unfit(format!("{name} has more than deletions that are known here")));
    }
    Ok(deletions)
}

fn trouble(operation: &'static str) -> impl Fn(io::Error) -> Outcome {
    move |source| Outcome::Failed(CutTrouble::Disk { operation, source })
}

fn unread(source: &Source) -> impl Fn(io::Error) -> Outcome {
    let name = source.name.clone();
    move |error| {
        let source = io::Error::new(error.kind(), format!("{name}: {error}"));
        Outcome::Failed(CutTrouble::Disk { operation: "read", source })
    }
}

/// What is wrong with the file that is cut; a disk that does not read it says nothing about it.
fn flawed(error: TsFileError) -> Outcome {
    if let TsFileError::Read { source, .. } = error {
        return trouble("read")(source);
    }
    unfit(&error)
}

fn unwritten(error: WriteError) -> Outcome {
    match error {
        WriteError::Output(source) => trouble("write a file")(source),
        // Copying reads the source, and calls it so, too.
        WriteError::Scratch(error) => flawed(error),
        WriteError::Order { .. }
        | WriteError::Time { .. }
        | WriteError::Misuse(_)
        | WriteError::Codec(_)
        | WriteError::Compressed(_) => unfit(&error),
    }
}

fn uncut(error: CutError) -> Outcome {
    match error {
        CutError::File(error) => flawed(error),
        CutError::Write(error) => unwritten(error),
        error @ (CutError::Schemas { .. } | CutError::Wide { .. }) => unfit(&error),
    }
}

fn unfit(error: &dyn std::error::Error) -> Outcome {
    Outcome::Unfit(format!("it cannot be cut: {error}"))
}

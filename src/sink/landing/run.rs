//! From tablets to files: a run is gathered, and made.

use std::time::Instant;

use super::error::LandingError;
use super::ledger::SET_WINDOW_BYTES;
use super::line::{LedgerFile, Line, What};
use super::names::{landed_path, marked, work_dir};
use super::set::Set;
use super::source::{Item, Source};
use super::step::Step;
use super::{Landing, Work};
use crate::data::{OriginId, Precision, Sequence};
use crate::limits::{self, KIB};
use crate::spool::{Arrival, Disk, EntryHeader, Kind};
use crate::twin::{self, Maker, Run, Twin, TwinError};

/// Files of a run: their lines are one set of the ledger, whose end is found again by looking at so many bytes.
const SET_LINES_MAX: usize = SET_WINDOW_BYTES / TABLETS_LINE_BYTES_MAX;
/// Bytes of a line about tablets: names and numbers only, nothing that somebody else chose.
const TABLETS_LINE_BYTES_MAX: usize = KIB;
/// Runs become no smaller by themselves: of the size of an entry.
const RUN_BYTES_MIN: u64 = 256 * KIB as u64;
/// Entries that are gathered in one step.
const GATHERED_A_STEP: usize = 64;

/// Tablets that follow each other, and become files together.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    entries: u64,
    /// Of the payloads.
    bytes: u64,
    /// When the first was met.
    since: Instant,
    /// Of the first.
    arrival: Arrival,
    /// How often the spool could not be read.
    unread: u32,
    /// Its lines are on disk.
    pub(super) recorded: bool,
    /// These, as a start found them; empty if this run wrote them.
    before: Vec<Line>,
    /// Names of its files were taken: what they have instead.
    pub(super) mark: Option<String>,
}

impl Gathered {
    const fn new(header: &EntryHeader, since: Instant) -> Self {
        Self {
            first: header.sequence,
            last: header.sequence,
            entries: 1,
            bytes: header.payload_bytes as u64,
            since,
            arrival: header.arrival,
            unread: 0,
            recorded: false,
            before: Vec::new(),
            mark: None,
        }
    }

    /// A run that is in the ledger, and is made once more.
    pub(super) fn again(
        first: &EntryHeader,
        (before, last): (Vec<Line>, Sequence),
        mark: Option<String>,
        now: Instant,
    ) -> Self {
        Self { last, recorded: true, before, mark, ..Self::new(first, now) }
    }

    /// Whether the lines of these files are on disk. Another version of the program may have made other files of the same
    /// tablets: then they get lines of their own, and free names.
    pub(super) fn is_recorded(&self, lines: &[Line]) -> bool {
        let before = self.before.iter().flat_map(Line::files);
        self.recorded && (self.before.is_empty() || before.eq(lines.iter().flat_map(Line::files)))
    }

    /// Takes one more entry, if there is room for it.
    fn add(&mut self, header: &EntryHeader, bytes_max: u64) -> bool {
        let bytes = self.bytes + u64::from(header.payload_bytes);
        let fits = bytes <= bytes_max && self.entries < limits::TWIN_RUN_ENTRIES_MAX;
        if fits {
            (self.last, self.bytes) = (header.sequence, bytes);
            self.entries += 1;
        }
        fits
    }

    /// A line for each file; the names differ.
    pub(super) fn lines(&self, twins: &[Twin], node: OriginId) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::with_capacity(twins.len());
        for twin in twins {
            let stem = if twin.group.is_aligned { "tablets-aligned" } else { "tablets" };
            let path = |suffix: &str| {
                let name = format!("{stem}{suffix}.tsfile");
                let path = landed_path(self.arrival, (twin.first, twin.last), &name);
                match &self.mark {
                    Some(mark) => marked(&path, mark),
                    None => path,
                }
            };
            let is_free = |name: &String| lines.iter().all(|line| line.names().all(|n| n != name));
            let numbered = (2..).map(|number: u32| path(&format!("-{number}")));
            let name = std::iter::once(path("")).chain(numbered).find(is_free);
            lines.push(line(twin, name.unwrap_or_default(), node));
        }
        lines
    }
}

fn line(twin: &Twin, name: String, node: OriginId) -> Line {
    let blake3 = twin.hash.to_hex().to_string();
    Line {
        what: What::Tablets,
        file: Some(LedgerFile { name, bytes: twin.bytes, blake3 }),
        sequences: (twin.first.0, twin.last.0),
        devices: Some(twin.devices),
        points: Some(twin.points),
        time_range: Some((twin.time_range.min, twin.time_range.max)),
        precision: twin.group.precision.map(Precision::text).map(str::to_owned),
        node: node.to_string(),
        origin: twin.group.origin.to_string(),
        origin_sequences: (twin.origin_first.0, twin.origin_last.0),
        paths: Vec::new(),
        request_type: None,
        why: None,
        with: Vec::new(),
        set: None,
        through: None,
        landed: None,
    }
}

impl<D: Disk, S: Source> Landing<D, S> {
    /// When the run in hand is made at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.run.as_ref().map(|run| run.since + self.max_delay)
    }

    /// Takes entries until there is something to do about them.
    pub(super) fn take_next(&mut self, now: Instant) -> Result<Step, LandingError> {
        for _ in 0..GATHERED_A_STEP {
            if self.due().is_some_and(|due| due <= now) {
                return Ok(self.end_run());
            }
            let item = match self.next_item() {
                // What lies before the bad place is made without it.
                Err(_) if self.run.is_some() => return Ok(self.end_run()),
                item => item?,
            };
            let Some(item) = item else { return Ok(Step::Idle) };
            if self.gather(&item, now) {
                continue;
            }
            if self.run.is_none() {
                return self.take(item, 0);
            }
            // It comes again behind the run.
            self.source.seek(item.header.sequence);
            return Ok(self.end_run());
        }
        Ok(Step::Worked)
    }

    /// Puts an entry into the run in hand, or a new one. False if it does not belong there.
    fn gather(&mut self, item: &Item, now: Instant) -> bool {
        let header = &item.header;
        let is_odd = self.odd.as_ref().is_some_and(|(odd, _)| *odd == header.sequence);
        if header.kind != Kind::Tablet || is_odd || self.cursor.is_finished(header.sequence) {
            return false;
        }
        if let Some(run) = &mut self.run {
            return run.add(header, self.run_bytes);
        }
        self.run = Some(Gathered::new(header, now));
        true
    }

    fn end_run(&mut self) -> Step {
        if let Some(run) = self.run.take() {
            self.work = Work::Making(None, run);
        }
        Step::Worked
    }

    /// Makes the files of a run, on or from the beginning. What a failed step left is not believed.
    pub(super) fn make(
        &mut self,
        maker: Option<Box<Maker<D, S::Tablets>>>,
        run: Gathered,
    ) -> Result<Step, LandingError> {
        let begun = match maker {
            Some(maker) => Ok(maker),
            None => self.begin_making(&run),
        };
        let made = begun.and_then(|mut maker| {
            let step = maker.step()?;
            Ok((maker, step))
        });
        match made {
            Ok((maker, twin::Step::Worked)) => self.work = Work::Making(Some(maker), run),
            Ok((_, twin::Step::Done(made))) if made.twins.is_empty() => {
                self.cursor.raise(run.last.next());
            }
            Ok((_, twin::Step::Done(made)))
                if made.twins.len() > SET_LINES_MAX && run.first < run.last =>
            {
                self.halve(run, String::new());
            }
            Ok((_, twin::Step::Done(made))) => {
                self.work = Work::Placing(Set::of_run(run, made, self.node));
            }
            Err(LandingError::Twin(error)) => return self.go_around(run, error),
            Err(error) => {
                self.work = Work::Making(None, run);
                return Err(error);
            }
        }
        Ok(Step::Worked)
    }

    fn begin_making(&self, run: &Gathered) -> Result<Box<Maker<D, S::Tablets>>, LandingError> {
        self.check_lock()?;
        self.make_work_dir()?;
        let settings = twin::Settings { dir: work_dir(&self.dir), writer: twin::writer_settings() };
        let mut maker = Maker::new(self.disk.clone(), self.source.tablets(), settings);
        maker.begin(Run { first: run.first, last: run.last });
        Ok(Box::new(maker))
    }

    /// Ends the run before the entry that is in its way; an entry that can be in no run lands as it came.
    pub(super) fn go_around(
        &mut self,
        mut run: Gathered,
        error: TwinError,
    ) -> Result<Step, LandingError> {
        let (at, is_odd) = match &error {
            TwinError::Unfit { sequence, .. } => (*sequence, true),
            TwinError::TooMany { sequence, .. } if *sequence > run.first => (*sequence, false),
            // Which entry it is shows when it is alone.
            TwinError::TooMany { .. } | TwinError::Write(_) => {
                (middle(&run), run.first == run.last)
            }
            // A smaller one may find room, and what it lets go makes more.
            TwinError::Disk { .. } if error.is_full() && run.first < run.last => {
                (middle(&run), false)
            }
            TwinError::Read(_) if run.unread + 1 >= limits::FILE_READS_MAX => {
                (middle(&run), run.first == run.last)
            }
            TwinError::Read(_) | TwinError::Disk { .. } | TwinError::Idle => {
                run.unread += u32::from(matches!(error, TwinError::Read(_)));
                self.work = Work::Making(None, run);
                return Err(error.into());
            }
        };
        if is_odd {
            self.odd = Some((at, error.to_string()));
        } else {
            self.shrink(&run);
        }
        self.end_before(run, at);
        Ok(Step::Worked)
    }

    /// Makes a run in two; a tablet that is one alone lands as it came.
    pub(super) fn halve(&mut self, run: Gathered, why: String) {
        let at = middle(&run);
        if run.first == run.last {
            self.odd = Some((at, why));
        } else {
            self.shrink(&run);
        }
        self.end_before(run, at);
    }

    /// The runs behind one that was too large begin with half its bytes, so that most of them are read once.
    fn shrink(&mut self, run: &Gathered) {
        let least = RUN_BYTES_MIN.min(self.run_bytes_max);
        self.run_bytes = self.run_bytes.min(run.bytes / 2).max(least);
    }

    /// Makes what of the run lies before an entry, and goes on with that entry then.
    fn end_before(&mut self, mut run: Gathered, at: Sequence) {
        self.source.seek(at);
        if at > run.first {
            run.last = Sequence(at.0 - 1);
            // If it was, then as a whole.
            run.recorded = false;
            self.work = Work::Making(None, run);
        }
    }
}

/// An entry in the middle of a run, behind its first.
fn middle(run: &Gathered) -> Sequence {
    let (Sequence(first), Sequence(last)) = (run.first, run.last);
    Sequence(first + (last - first).div_ceil(2))
}

//! The engine: from a run to its files, step by step.

use super::arena::Arena;
use super::budget::Budget;
use super::files::{Scratch, bytes_in, clean};
use super::index::Groups;
use super::long::Lying;
use super::output::EndingFile;
use super::pass::{Pass, Which};
use super::slots::Conflicts;
use super::sorter::Sorter;
use super::{Found, Made, Run, Settings, Source, Step, TwinError, Unfit};
use crate::data::{Sequence, legal};
use crate::limits::{
    ENTRY_BYTES_MAX, NAME_BYTES_MAX, TWIN_LOTS_MAX, TWIN_RUN_BYTES_MAX, TWIN_RUN_ENTRIES_MAX,
    TWIN_SCAN_BYTES, TWIN_STEP_BYTES,
};
use crate::spool::{Disk, Kind};
use crate::tsfile::write::Version;
use crate::wire::columns::Columns;
use crate::wire::cursor::{Cursor, ReadError};

/// Names of the scratches.
const TABLETS: &str = "tablets";
const SLICES: &str = "slices";
const POINTS: &str = "points";

/// Makes the files of one run after the other.
#[derive(Debug)]
pub struct Maker<D: Disk, S> {
    parts: Parts<D, S>,
    work: Work<D>,
    /// Entries and bytes met in the run.
    met: (u64, u64),
    /// The index record in hand.
    record: Vec<u8>,
}

/// What all stages of the work use.
#[derive(Debug)]
pub(super) struct Parts<D: Disk, S> {
    pub(super) disk: D,
    pub(super) source: S,
    pub(super) settings: Settings,
    pub(super) groups: Groups,
    pub(super) tablets: Sorter<D>,
    pub(super) arena: Arena,
    /// Slices of the device in hand, and the points that were put away.
    pub(super) slices: Sorter<D>,
    pub(super) scratch: Scratch<D>,
    /// The entry in the middle of the run.
    pub(super) middle: Sequence,
    /// What long tablets are read through.
    pub(super) window: Vec<u8>,
    pub(super) budget: Budget,
    pub(super) conflicts: Conflicts,
    pub(super) made: Made,
}

/// ```text
///  Idle --begin--> Cleaning --> Indexing --> Passing --> Ending --for each file--> Passing ... --> Idle
///    ^-------------- an error, or abandon -----'
/// ```
#[derive(Debug)]
enum Work<D: Disk> {
    /// Nothing is held.
    Idle,
    /// Files of an earlier run are to be removed.
    Cleaning(Run),
    /// The run is read for the first time.
    Indexing(Run),
    /// A file is written.
    Passing(Box<Pass<D>>),
    /// Its metadata is written; which it is, and which comes next.
    Ending(Box<EndingFile<D>>, Which, Which),
}

impl<D: Disk, S: Source> Parts<D, S> {
    pub(super) const fn version(&self) -> Version {
        self.settings.writer.version
    }
}

impl<D: Disk, S: Source> Maker<D, S> {
    /// An engine that holds nothing yet and has touched nothing.
    pub fn new(disk: D, source: S, settings: Settings) -> Self {
        let scratch = |name| Scratch::new(&disk, &settings.dir, name);
        let parts = Parts {
            groups: Groups::default(),
            tablets: Sorter::new(scratch(TABLETS)),
            arena: Arena::default(),
            slices: Sorter::new(scratch(SLICES)),
            scratch: scratch(POINTS),
            middle: Sequence(0),
            window: Vec::new(),
            budget: Budget::default(),
            conflicts: Conflicts::default(),
            made: Made::default(),
            disk,
            source,
            settings,
        };
        Self { parts, work: Work::Idle, met: (0, 0), record: Vec::new() }
    }

    /// Another budget, to be given before a run is begun.
    #[cfg(test)]
    pub(super) const fn set_budget(&mut self, budget: Budget) {
        self.parts.budget = budget;
    }

    /// Where the entries come from.
    pub const fn source(&self) -> &S {
        &self.parts.source
    }

    /// Whether a run is being made.
    pub const fn is_busy(&self) -> bool {
        !matches!(self.work, Work::Idle)
    }

    /// Begins a run, and gives up the one in hand. The first step removes all `.twin-` files from the directory, also
    /// those that were made and not renamed.
    pub fn begin(&mut self, run: Run) {
        self.release();
        self.work = Work::Cleaning(run);
    }

    /// Does the next part: about [`TWIN_STEP_BYTES`](crate::limits::TWIN_STEP_BYTES) are read or written, or one entry if it is longer.
    ///
    /// # Errors
    /// [`TwinError`]: the run is given up, and the next [`Self::begin`] removes what is left of it.
    pub fn step(&mut self) -> Result<Step, TwinError> {
        let done = match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Idle => Err(TwinError::Idle),
            Work::Cleaning(run) => self.clean(run).map(|()| None),
            Work::Indexing(run) => self.index(run).map(|()| None),
            Work::Passing(pass) => self.pass(pass),
            Work::Ending(file, which, next) => self.end(file, which, next),
        };
        match done {
            Ok(None) => Ok(Step::Worked),
            Ok(Some(made)) => {
                self.release();
                Ok(Step::Done(made))
            }
            Err(error) => {
                self.release();
                Err(error)
            }
        }
    }

    /// Gives up the run in hand and removes its files.
    ///
    /// # Errors
    /// If the disk fails: then [`Self::begin`] removes what is left.
    pub fn abandon(&mut self) -> Result<(), TwinError> {
        self.release();
        clean(&self.parts.disk, &self.parts.settings.dir)
    }

    /// Bytes that lie on the disk for the run in hand: its files so far, and scratches.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn bytes_on_disk(&self) -> Result<u64, TwinError> {
        bytes_in(&self.parts.disk, &self.parts.settings.dir)
    }

    /// Gives all memory back.
    fn release(&mut self) {
        let parts = &mut self.parts;
        let scratch = |name| Scratch::new(&parts.disk, &parts.settings.dir, name);
        parts.tablets = Sorter::new(scratch(TABLETS));
        parts.slices = Sorter::new(scratch(SLICES));
        parts.scratch = scratch(POINTS);
        parts.groups = Groups::default();
        parts.arena = Arena::default();
        parts.window = Vec::new();
        parts.conflicts = Conflicts::default();
        parts.made = Made::default();
        parts.source.rest();
        (self.work, self.met, self.record) = (Work::Idle, (0, 0), Vec::new());
    }

    fn clean(&mut self, run: Run) -> Result<(), TwinError> {
        let Parts { disk, settings, source, .. } = &mut self.parts;
        disk.create_dir(&settings.dir).map_err(TwinError::disk("make", &settings.dir))?;
        clean(disk, &settings.dir)?;
        source.seek(run.first);
        self.parts.window = vec![0; TWIN_SCAN_BYTES];
        self.parts.middle = Sequence(run.first.0.midpoint(run.last.0).max(run.first.0 + 1));
        self.work = Work::Indexing(run);
        Ok(())
    }

    fn index(&mut self, run: Run) -> Result<(), TwinError> {
        let mut bytes = 0;
        let mut columns = Columns::new();
        let Run { mut first, last } = run;
        while bytes < TWIN_STEP_BYTES {
            // What lies behind the run is not read: that may be what the disk does not give back.
            let found = if first <= last { self.parts.source.next()? } else { None };
            let Some(found) = found.filter(|found| found.header.sequence <= last) else {
                // From here on it is read by places.
                self.parts.source.rest();
                let tablets = &mut self.parts.tablets;
                tablets.end().map_err(TwinError::disk("write", tablets.scratch().path()))?;
                self.work = Work::Passing(Box::new(Pass::new(Which::default())));
                return Ok(());
            };
            bytes += self.file(&found, &mut columns)?;
            first = found.header.sequence.next();
        }
        self.work = Work::Indexing(Run { first, last });
        Ok(())
    }
}

/// Why the names of a tablet are not to be in a file.
enum Checked {
    Unfit(Unfit),
    Failed(ReadError),
}

/// Looks for names that would make others refuse the whole file.
fn check_names(cursor: &mut Cursor<'_>, device: &str, columns: &Columns) -> Result<(), Checked> {
    let illegal = |what, name: &str| {
        let name = name.chars().take(NAME_SHOWN_MAX).collect();
        Err(Checked::Unfit(Unfit::Name { what, name }))
    };
    if !legal::is_device(device) {
        return illegal("device", device);
    }
    for column in columns.iter() {
        cursor.seek(column.name_at as usize + 4);
        let name = cursor.peek(column.name_bytes.into(), "measurement").map_err(Checked::Failed)?;
        match std::str::from_utf8(name) {
            Ok(name) if legal::is_measurement(name) => {}
            _ => return illegal("series", &String::from_utf8_lossy(name)),
        }
    }
    Ok(())
}

/// Characters of a name that are told.
const NAME_SHOWN_MAX: usize = 100;

/// The first reading, and the turn from file to file.
impl<D: Disk, S: Source> Maker<D, S> {
    /// Files one entry in the index; gives its bytes.
    fn file(&mut self, found: &Found, columns: &mut Columns) -> Result<usize, TwinError> {
        let Parts { source, groups, tablets, window, settings, .. } = &mut self.parts;
        let Found { header, place } = found;
        let sequence = header.sequence;
        let unfit = |why| TwinError::Unfit { sequence, why };
        let too_many = |what, max| TwinError::TooMany { sequence, what, max };
        if header.kind != Kind::Tablet {
            return Err(unfit(Unfit::NotATablet));
        }
        let bytes = header.payload_bytes as usize;
        if bytes > ENTRY_BYTES_MAX + NAME_BYTES_MAX {
            return Err(unfit(Unfit::Large(header.payload_bytes)));
        }
        let (entries, total) = &mut self.met;
        *entries += 1;
        *total += u64::from(header.payload_bytes);
        if *entries > TWIN_RUN_ENTRIES_MAX {
            return Err(too_many("entries", TWIN_RUN_ENTRIES_MAX));
        }
        if *total > TWIN_RUN_BYTES_MAX && *entries > 1 {
            return Err(too_many("bytes", TWIN_RUN_BYTES_MAX));
        }
        let lying = Lying::new(source, sequence, *place, header.payload_bytes);
        let mut cursor = lying.open(window)?;
        let layout = lying.scan(&mut cursor, columns)?;
        if layout.rows > 0 {
            cursor.seek(layout.device_at + 4);
            let device = cursor.peek(layout.device_bytes, "device");
            let device = String::from_utf8_lossy(device.map_err(|error| lying.failed(error))?);
            let device = device.into_owned();
            check_names(&mut cursor, &device, columns).map_err(|error| match error {
                Checked::Unfit(why) => unfit(why),
                Checked::Failed(error) => lying.failed(error),
            })?;
            let tablet = (&*device, &layout);
            groups.record(header, *place, tablet, settings.writer.version, &mut self.record)?;
            let pushed = tablets.push(&self.record);
            if !pushed.map_err(TwinError::disk("write", tablets.scratch().path()))? {
                return Err(too_many("lots of index records", TWIN_LOTS_MAX as u64));
            }
        }
        Ok(bytes)
    }

    /// Goes on with a file; gives all of them after the last.
    fn pass(&mut self, mut pass: Box<Pass<D>>) -> Result<Option<Made>, TwinError> {
        if pass.step(&mut self.parts)? {
            self.work = Work::Passing(pass);
            return Ok(None);
        }
        // Its memory is needed for the end of the file.
        self.parts.arena = Arena::default();
        let (which, next) = (pass.which(), pass.next());
        let Some(file) = pass.file.take() else { return self.go_on(next) };
        self.work = Work::Ending(Box::new(file.end()?), which, next);
        Ok(None)
    }

    /// Goes on with the end of a file.
    fn end(
        &mut self,
        mut file: Box<EndingFile<D>>,
        which: Which,
        next: Which,
    ) -> Result<Option<Made>, TwinError> {
        if file.step()? {
            self.work = Work::Ending(file, which, next);
            return Ok(None);
        }
        let Parts { disk, settings, groups, made, .. } = &mut self.parts;
        if let Some(met) = groups.get(which.group) {
            let part = made.twins.iter().filter(|twin| twin.group == met.group).count();
            let part = u16::try_from(part).unwrap_or(u16::MAX);
            made.twins.push(file.finish(disk, &settings.dir, met, part)?);
        }
        self.go_on(next)
    }

    /// Begins the next file; gives all of them if there is none.
    fn go_on(&mut self, next: Which) -> Result<Option<Made>, TwinError> {
        let Parts { groups, tablets, slices, scratch, conflicts, made, .. } = &mut self.parts;
        if groups.get(next.group).is_some() {
            self.work = Work::Passing(Box::new(Pass::new(next)));
            return Ok(None);
        }
        tablets.remove()?;
        slices.remove()?;
        scratch.remove()?;
        made.conflicts = std::mem::take(&mut conflicts.list);
        made.conflict_count = conflicts.count;
        Ok(Some(std::mem::take(made)))
    }
}

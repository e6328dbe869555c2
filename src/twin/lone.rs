//! An aligned device with more columns than a file is begun with, whose rows are one group: column after column, and
//! nothing is held for each of them. So it is gone through once, and is one file.

use super::budget::Budget;
use super::maker::Parts;
use super::merge::SeriesMerge;
use super::output::OpenFile;
use super::paging::{Rows, weight_of};
use super::slices::{Shelf, Slice};
use super::slots::Slots;
use super::wide::{SeriesWalk, Shown};
use super::{Source, TwinError};
use crate::data::DataType;
use crate::limits::TWIN_NAMES_BYTES_MAX;
use crate::spool::Disk;
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::Values;

/// What a step counts at least.
const STEP_BYTES: usize = 64;
const ALL_TIMES: (i64, i64) = (i64::MIN, i64::MAX);

/// What a walk over an aligned device has seen, for the file of one slot.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The columns of that slot.
    pub(super) columns: Vec<(String, DataType)>,
    /// Slices of its times.
    pub(super) times: Vec<Slice>,
    /// How many slots it needs, and whether some come behind that one.
    pub(super) slots: usize,
    pub(super) has_more_slots: bool,
    /// The same if slots were as wide as the device: the n-th types of its series.
    pub(super) has_type: bool,
    pub(super) has_more_types: bool,
}

/// The walk, in steps: it goes over a record of each column of each tablet.
#[derive(Debug)]
pub(super) struct Looking {
    pub(super) seen: Seen,
    /// Which slot the file is for.
    wanted: usize,
    slots: Slots,
    types: Slots,
    walk: SeriesWalk,
    slices: Vec<Slice>,
}

impl Looking {
    /// Begins, with the device that lies in slices.
    pub(super) fn new(wanted: usize, budget: &Budget) -> Self {
        Self {
            seen: Seen::default(),
            wanted,
            slots: Slots::new(budget.columns, TWIN_NAMES_BYTES_MAX),
            types: Slots::new(usize::MAX, usize::MAX),
            walk: SeriesWalk::default(),
            slices: Vec::new(),
        }
    }

    /// Looks at the next series; gives the bytes that were worked through, `None` at the end.
    pub(super) fn step<D: Disk, S>(
        &mut self,
        parts: &mut Parts<D, S>,
        id: &DeviceId,
    ) -> Result<Option<usize>, TwinError> {
        let Self { seen, wanted, slots, types, walk, slices } = self;
        let shown = walk.next(parts, ALL_TIMES, slices)?;
        let bytes = STEP_BYTES * (1 + slices.len());
        match shown {
            Shown::End => return Ok(None),
            Shown::Times => seen.times.append(slices),
            Shown::Series(name, data_type) => {
                let (of_type, other) = types.next(&name, data_type);
                if let Some(other) = other.filter(|_| *wanted == 0) {
                    parts.conflicts.add(&id.path(), &name, [other, data_type]);
                }
                seen.has_type |= of_type == *wanted;
                seen.has_more_types |= of_type > *wanted;
                let (slot, _) = slots.next(&name, data_type);
                seen.has_more_slots |= slot > *wanted;
                seen.columns.extend((slot == *wanted).then_some((name, data_type)));
                seen.slots = slots.count();
            }
        }
        Ok(Some(bytes))
    }
}

/// Such a device.
#[derive(Debug)]
pub(super) struct LoneAligned {
    /// What is needed if it is not one group.
    pub(super) seen: Seen,
    rows: Rows,
    rows_max: usize,
    /// Which type of a series is wanted, if it came with several.
    slot: usize,
    types: Slots,
    stage: Stage,
    walk: SeriesWalk,
    slices: Vec<Slice>,
    sizes: Vec<(i64, usize)>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The texts of its rows are weighed.
    Weighing,
    /// Its columns are written.
    Columns,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// So many bytes were worked through.
    Worked(usize),
    /// The rows are one group, with pages that end there; [`LoneAligned::begin`] goes on.
    OneGroup(Vec<usize>),
    /// They are several.
    Several,
    /// All columns were written.
    End,
}

impl LoneAligned {
    /// Of a device that was walked over; not if its columns fit one slot, or its rows are more than a group has.
    pub(super) fn of<D: Disk, S: Source>(
        parts: &mut Parts<D, S>,
        mut seen: Seen,
        slot: usize,
    ) -> Result<Result<Self, Seen>, TwinError> {
        if seen.slots <= 1 {
            return Ok(Err(seen));
        }
        let rows_max = parts.budget.rows;
        let mut merge = SeriesMerge::new(None, std::mem::take(&mut seen.times), i64::MIN);
        let (mut rows, mut none) = (Rows::default(), Values::of(DataType::Int64));
        let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
        merge.next(&mut shelf, (i64::MAX, rows_max + 1), &mut rows.times, &mut none)?;
        seen.times = merge.into_slices();
        if rows.times.len() > rows_max {
            return Ok(Err(seen));
        }
        rows.begin();
        Ok(Ok(Self {
            seen,
            rows,
            rows_max,
            slot,
            types: Slots::new(usize::MAX, usize::MAX),
            stage: Stage::Weighing,
            walk: SeriesWalk::default(),
            slices: Vec::new(),
            sizes: Vec::new(),
        }))
    }

    /// Begins the device in the file.
    pub(super) fn begin<D: Disk>(
        &mut self,
        id: &DeviceId,
        page_ends: Vec<usize>,
        file: &mut OpenFile<D>,
    ) -> Result<(), TwinError> {
        (self.stage, self.walk) = (Stage::Columns, SeriesWalk::default());
        file.begin_lone(id, &self.rows, page_ends)
    }

    /// Goes on: weighs the next series, or writes it to `file` if it is wanted there.
    pub(super) fn step<D: Disk, S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        file: Option<&mut OpenFile<D>>,
    ) -> Result<Next, TwinError> {
        let shown = self.walk.next(parts, ALL_TIMES, &mut self.slices)?;
        let Shown::Series(name, kind) = shown else {
            return Ok(match (shown, self.stage) {
                (Shown::End, Stage::Weighing) => self.group(parts),
                (Shown::End, Stage::Columns) => Next::End,
                _ => Next::Worked(STEP_BYTES),
            });
        };
        let mut merge = SeriesMerge::new(Some(kind), std::mem::take(&mut self.slices), i64::MIN);
        let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
        let mut points = 0;
        match (self.stage, weight_of(kind), file) {
            // All of them, so that each pass comes to the same.
            (Stage::Weighing, Some(weight), _) => {
                merge.next_sizes(&mut shelf, (i64::MAX, self.rows_max), &mut self.sizes)?;
                self.rows.weigh(weight, self.sizes.iter().copied());
                points = self.sizes.len();
            }
            (Stage::Columns, _, Some(file)) if self.types.next(&name, kind).0 == self.slot => {
                file.lone_column(name, kind)?;
                points = file.merged_column(0, &mut merge, &mut shelf, i64::MAX)?;
            }
            _ => {}
        }
        self.slices = merge.into_slices();
        Ok(Next::Worked(16 * points + STEP_BYTES))
    }

    fn group<D: Disk, S>(&mut self, parts: &Parts<D, S>) -> Next {
        let page_points = parts.settings.writer.page_points;
        let page_ends = self.rows.next_group(self.rows_max, page_points);
        if self.rows.group().len() == self.rows.times.len() {
            Next::OneGroup(page_ends)
        } else {
            Next::Several
        }
    }
}

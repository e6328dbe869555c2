//! A device that is wider than the arena, from its slices: series by series, or rows by rows if it is aligned.

use super::maker::Parts;
use super::merge::SeriesMerge;
use super::output::OpenFile;
use super::paging::{Rows, weight_of};
use super::slices::{Shelf, Slice, series_of, series_part};
use super::sorter::Merge;
use super::{Source, TwinError};
use crate::data::DataType;
use crate::limits::TWIN_SLICES_MAX;
use crate::spool::Disk;

/// What a step counts at least.
const STEP_BYTES: usize = 64;

/// Shows the series of a device with their slices, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct SeriesWalk {
    merge: Merge,
    part: Vec<u8>,
}

impl SeriesWalk {
    /// The next series, its slices that reach into a range of times put into the emptied list.
    pub(super) fn next<D: Disk, S>(
        &mut self,
        parts: &Parts<D, S>,
        (from, to): (i64, i64),
        slices: &mut Vec<Slice>,
    ) -> Result<Shown, TwinError> {
        let sorter = &parts.slices;
        slices.clear();
        self.part.clear();
        let failed = |error| TwinError::disk("read", sorter.scratch().path())(error);
        while let Some(record) = self.merge.peek(sorter).map_err(failed)? {
            if self.part.is_empty() {
                self.part.extend_from_slice(series_part(record));
            }
            if series_part(record) != self.part {
                break;
            }
            let slice = Slice::of_record(record);
            slices.extend(slice.filter(|slice| slice.max >= from && slice.min <= to));
            if slices.len() > TWIN_SLICES_MAX {
                // Half a run needs less.
                let (what, max) = ("slices of one series", TWIN_SLICES_MAX as u64);
                return Err(TwinError::TooMany { sequence: parts.middle, what, max });
            }
            self.merge.take(sorter).map_err(failed)?;
        }
        Ok(match series_of(&self.part) {
            Some((name, data_type)) => Shown::Series(name, data_type),
            None if self.part.is_empty() => Shown::End,
            None => Shown::Times,
        })
    }
}

/// What a walk shows.
#[derive(Debug)]
pub(super) enum Shown {
    /// The times of an aligned device: they come first.
    Times,
    /// A series.
    Series(String, DataType),
    /// There is no more.
    End,
}

/// A device that is not aligned.
#[derive(Debug, Default)]
pub(super) struct WidePlain {
    walk: SeriesWalk,
    open: Option<SeriesMerge>,
    slices: Vec<Slice>,
    /// Whether the file has the device.
    pub(super) is_begun: bool,
}

/// What comes next of a device that is not aligned.
#[derive(Debug)]
pub(super) enum Next {
    /// A series begins: the caller says by [`WidePlain::skip`] if it does not want it.
    Series(String, DataType),
    /// Some points of it were written.
    Points(usize),
    /// All series were shown.
    End,
}

impl WidePlain {
    /// Goes on, and writes points of the series in hand to `file`.
    pub(super) fn step<D: Disk, S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        file: Option<&mut OpenFile<D>>,
    ) -> Result<Next, TwinError> {
        if let (Some(merge), Some(file)) = (&mut self.open, file) {
            let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
            let points = file.merged_points(merge, &mut shelf)?;
            if points > 0 {
                return Ok(Next::Points(points));
            }
        }
        self.skip();
        match self.walk.next(parts, (i64::MIN, i64::MAX), &mut self.slices)? {
            Shown::End => Ok(Next::End),
            Shown::Times => Ok(Next::Points(0)),
            Shown::Series(name, data_type) => {
                let slices = std::mem::take(&mut self.slices);
                self.open = Some(SeriesMerge::new(Some(data_type), slices, i64::MIN));
                Ok(Next::Series(name, data_type))
            }
        }
    }

    /// Leaves the series in hand.
    pub(super) fn skip(&mut self) {
        if let Some(merge) = self.open.take() {
            self.slices = merge.into_slices();
        }
    }
}

/// ```text
///  Rows --> Weighing --> Group --> Columns --> Group ...
///    ^---- none left ------'
/// ```
#[derive(Debug)]
enum Stage {
    /// The next rows are looked for.
    Rows,
    /// Their texts are: of this column and those behind it.
    Weighing(SeriesWalk, usize),
    /// A group of them is begun.
    Group,
    /// Its columns from this one on are not written yet.
    Columns(SeriesWalk, usize),
}

/// An aligned device.
#[derive(Debug)]
pub(super) struct WideAligned {
    /// The columns that the file gets, in their order.
    columns: Vec<(String, DataType)>,
    times: SeriesMerge,
    rows_max: usize,
    rows: Rows,
    stage: Stage,
    slices: Vec<Slice>,
    sizes: Vec<(i64, usize)>,
}

impl WideAligned {
    /// Of these columns, and slices of times.
    pub(super) fn new(
        columns: Vec<(String, DataType)>,
        times: Vec<Slice>,
        rows_max: usize,
    ) -> Self {
        let times = SeriesMerge::new(None, times, i64::MIN);
        let (rows, slices, sizes) = (Rows::default(), Vec::new(), Vec::new());
        Self { columns, times, rows_max, rows, stage: Stage::Rows, slices, sizes }
    }

    /// Writes rows, or a column of them; gives the bytes that were worked through, `None` at the end.
    pub(super) fn step<D: Disk, S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        file: &mut OpenFile<D>,
    ) -> Result<Option<usize>, TwinError> {
        match std::mem::replace(&mut self.stage, Stage::Rows) {
            Stage::Rows => {
                let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
                let rows = &mut self.rows.times;
                file.merged_rows(&mut self.times, &mut shelf, self.rows_max, rows)?;
                self.rows.begin();
                let has_texts = self.columns.iter().any(|(_, kind)| weight_of(*kind).is_some());
                self.stage = if has_texts {
                    Stage::Weighing(SeriesWalk::default(), 0)
                } else {
                    Stage::Group
                };
                let count = self.rows.times.len();
                Ok((count > 0).then_some(8 * count))
            }
            Stage::Weighing(walk, column) => self.weigh(parts, walk, column).map(Some),
            Stage::Group => {
                if file.begin_rows(&mut self.rows, self.rows_max)? {
                    self.stage = Stage::Columns(SeriesWalk::default(), 0);
                }
                Ok(Some(STEP_BYTES))
            }
            Stage::Columns(walk, column) => self.column(parts, file, walk, column).map(Some),
        }
    }

    /// Weighs the rows by the next column.
    fn weigh<D: Disk, S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        mut walk: SeriesWalk,
        mut column: usize,
    ) -> Result<usize, TwinError> {
        let (Some(from), Some(to)) = (self.rows.times.first(), self.rows.times.last()) else {
            return Ok(0);
        };
        let (from, to) = (*from, *to);
        let shown = walk.next(parts, (from, to), &mut self.slices)?;
        let mut texts = 0;
        match shown {
            Shown::End => {
                self.stage = Stage::Group;
                return Ok(STEP_BYTES);
            }
            Shown::Series(name, kind) if is_column(self.columns.get(column), &name, kind) => {
                column += 1;
                if let Some(weight) = weight_of(kind) {
                    let slices = std::mem::take(&mut self.slices);
                    let mut merge = SeriesMerge::new(Some(kind), slices, from);
                    let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
                    merge.next_sizes(&mut shelf, (to, self.rows_max), &mut self.sizes)?;
                    self.rows.weigh(weight, self.sizes.iter().copied());
                    self.slices = merge.into_slices();
                    texts = self.sizes.len();
                }
            }
            Shown::Times | Shown::Series(..) => {}
        }
        self.stage = Stage::Weighing(walk, column);
        Ok(16 * texts + STEP_BYTES)
    }

    /// Writes the next column of a group.
    fn column<D: Disk, S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        file: &mut OpenFile<D>,
        mut walk: SeriesWalk,
        mut column: usize,
    ) -> Result<usize, TwinError> {
        let (Some(from), Some(to)) = (self.rows.group().first(), self.rows.group().last()) else {
            return Ok(0);
        };
        let (from, to) = (*from, *to);
        let shown = walk.next(parts, (from, to), &mut self.slices)?;
        let mut points = 0;
        match shown {
            Shown::End => {
                self.stage = Stage::Group;
                return Ok(STEP_BYTES);
            }
            Shown::Series(name, kind) if is_column(self.columns.get(column), &name, kind) => {
                let slices = std::mem::take(&mut self.slices);
                let mut merge = SeriesMerge::new(Some(kind), slices, from);
                let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
                points = file.merged_column(column, &mut merge, &mut shelf, to)?;
                self.slices = merge.into_slices();
                column += 1;
            }
            Shown::Times | Shown::Series(..) => {}
        }
        self.stage = Stage::Columns(walk, column);
        Ok(16 * points + STEP_BYTES)
    }
}

fn is_column(column: Option<&(String, DataType)>, name: &str, data_type: DataType) -> bool {
    column.is_some_and(|column| column.0 == name && column.1 == data_type)
}

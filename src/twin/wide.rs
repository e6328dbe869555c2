//! A device that is wider than the arena, from its slices: series by series, or rows by rows if it is aligned.

use super::maker::Parts;
use super::merge::SeriesMerge;
use super::output::OpenFile;
use super::slices::{Shelf, Slice, series_of, series_part};
use super::sorter::Merge;
use super::{Source, TwinError};
use crate::data::DataType;
use crate::limits::TWIN_SLICES_MAX;
use crate::spool::Disk;

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

/// An aligned device.
#[derive(Debug)]
pub(super) struct WideAligned {
    /// The columns that the file gets, in their order.
    columns: Vec<(String, DataType)>,
    times: SeriesMerge,
    rows_max: usize,
    rows: Vec<i64>,
    /// The group in hand: its columns from this one on are not written yet.
    group: Option<(SeriesWalk, usize)>,
    slices: Vec<Slice>,
}

impl WideAligned {
    /// Of these columns, and slices of times.
    pub(super) const fn new(
        columns: Vec<(String, DataType)>,
        times: Vec<Slice>,
        rows_max: usize,
    ) -> Self {
        let times = SeriesMerge::new(None, times, i64::MIN);
        Self { columns, times, rows_max, rows: Vec::new(), group: None, slices: Vec::new() }
    }

    /// Writes rows, or a column of them; gives the bytes that were worked through, `None` at the end.
    pub(super) fn step<D: Disk, S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        file: &mut OpenFile<D>,
    ) -> Result<Option<usize>, TwinError> {
        let Some((walk, column)) = &mut self.group else {
            let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
            file.merged_rows(&mut self.times, &mut shelf, self.rows_max, &mut self.rows)?;
            self.group = Some((SeriesWalk::default(), 0));
            return Ok((!self.rows.is_empty()).then_some(8 * self.rows.len()));
        };
        let (Some(from), Some(to)) = (self.rows.first(), self.rows.last()) else { return Ok(None) };
        let mut points = 0;
        match walk.next(parts, (*from, *to), &mut self.slices)? {
            Shown::End => self.group = None,
            Shown::Series(name, data_type)
                if is_column(self.columns.get(*column), &name, data_type) =>
            {
                let slices = std::mem::take(&mut self.slices);
                let mut merge = SeriesMerge::new(Some(data_type), slices, *from);
                let mut shelf = Shelf { scratch: &parts.scratch, source: &mut parts.source };
                points = file.merged_column(*column, &mut merge, &mut shelf, *to)?;
                self.slices = merge.into_slices();
                *column += 1;
            }
            Shown::Times | Shown::Series(..) => {}
        }
        Ok(Some(16 * points + 64))
    }
}

fn is_column(column: Option<&(String, DataType)>, name: &str, data_type: DataType) -> bool {
    column.is_some_and(|column| column.0 == name && column.1 == data_type)
}

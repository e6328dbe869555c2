//! Tablets of one device in memory, and their points series by series.
//!
//! Payloads lie there as they were read. A table of cells (one column of one tablet) is sorted by name and type; the
//! points of one series at a time are put in order of time, the later one of equal times left.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::Unfit;
use super::budget::Budget;
use super::index::{Filed, scan};
use super::slices::{Home, Of, Slice};
use crate::data::DataType;
use crate::tsfile::device::compare_names;
use crate::tsfile::encoding::Values;
use crate::wire::columns::Columns;
use crate::wire::tablet::{Column, Layout};

/// The tablets.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    columns: Vec<Column>,
    tablets: Vec<Loaded>,
    cells: Vec<Cell>,
    rows: usize,
    /// The columns of the tablet that is being taken in.
    scanned: Columns,
}

#[derive(Debug)]
struct Loaded {
    filed: Filed,
    /// Where its payload begins.
    at: usize,
    layout: Layout,
    /// Its columns in the table.
    columns: Range<usize>,
    /// Whether its columns are read where they lie in the spool: then they are shown as slices, and no points.
    is_direct: bool,
}

/// A column of a tablet: their places in the tables.
#[derive(Debug, Clone, Copy)]
struct Cell {
    tablet: u32,
    column: u32,
}

/// Columns of the same name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) data_type: DataType,
    cells: Range<usize>,
}

/// A point that is in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) time: i64,
    tablet: u32,
    /// Where its value lies.
    at: u32,
}

impl Arena {
    /// Drops all tablets and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.columns.clear();
        self.tablets.clear();
        self.cells.clear();
        self.rows = 0;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.tablets.is_empty()
    }

    /// Bytes of memory that the tablets need until their points are out.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len()
            + self.columns.len() * (size_of::<Column>() + size_of::<Cell>())
            + self.tablets.len() * size_of::<Loaded>()
            + self.rows * size_of::<Point>()
    }

    /// Room for the payload of the next tablet, to be filled by the caller and taken in by [`Self::take_in`].
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.end_of_tablets();
        self.bytes.truncate(start);
        self.bytes.resize(start + bytes, 0);
        self.bytes.get_mut(start..).unwrap_or_default()
    }

    fn end_of_tablets(&self) -> usize {
        self.tablets.last().map_or(0, |last| last.at + last.filed.bytes as usize)
    }

    /// Takes the payload in that lies in the room.
    ///
    /// # Errors
    /// [`Unfit`]: then it is not there.
    pub(super) fn take_in(&mut self, filed: Filed) -> Result<(), Unfit> {
        let at = self.end_of_tablets();
        let payload = self.bytes.get(at..).unwrap_or_default();
        let layout = match scan(payload, &mut self.scanned) {
            Ok(scanned) => scanned.layout,
            Err(unfit) => {
                self.bytes.truncate(at);
                return Err(unfit);
            }
        };
        let start = self.columns.len();
        self.columns.extend_from_slice(&self.scanned);
        let columns = start..self.columns.len();
        // Counts of things that lie in memory.
        let tablet = u32::try_from(self.tablets.len()).unwrap_or(u32::MAX);
        let cell = |column| Cell { tablet, column: u32::try_from(column).unwrap_or(u32::MAX) };
        self.cells.extend(columns.clone().map(cell));
        self.rows += layout.rows;
        self.tablets.push(Loaded { filed, at, layout, columns, is_direct: false });
        Ok(())
    }

    /// Sorts the slices; nothing is taken in after that.
    pub(super) fn sort(&mut self) {
        let mut cells = std::mem::take(&mut self.cells);
        cells.sort_by(|a, b| self.compare_cells(*a, *b));
        self.cells = cells;
    }

    fn compare_cells(&self, a: Cell, b: Cell) -> Ordering {
        let by_name = compare_names(&self.name(a), &self.name(b));
        by_name.then_with(|| self.type_code(a).cmp(&self.type_code(b)))
    }

    fn name(&self, cell: Cell) -> Cow<'_, str> {
        self.parts(cell)
            .map_or(Cow::Borrowed(""), |(tablet, column)| self.column_name(tablet, column))
    }

    fn column_name(&self, tablet: &Loaded, column: &Column) -> Cow<'_, str> {
        let at = tablet.at + column.name_at as usize + 4;
        let name = self.bytes.get(at..at + usize::from(column.name_bytes));
        String::from_utf8_lossy(name.unwrap_or_default())
    }

    fn type_code(&self, cell: Cell) -> Option<u8> {
        let (_, column) = self.parts(cell)?;
        column.data_type.map(DataType::code)
    }

    fn parts(&self, cell: Cell) -> Option<(&Loaded, &Column)> {
        Some((self.tablets.get(cell.tablet as usize)?, self.columns.get(cell.column as usize)?))
    }

    /// The series that begins at this slice, if it has a value; and where the next one begins.
    pub(super) fn series(&self, from: usize) -> Option<(Option<Series<'_>>, usize)> {
        let rest = self.cells.get(from..)?;
        let first = *rest.first()?;
        let count =
            rest.iter().take_while(|other| self.compare_cells(first, **other).is_eq()).count();
        let end = from + count;
        let has_value = rest.iter().take(count).any(|cell| self.has_value(*cell));
        let series = |data_type| Series { name: self.name(first), data_type, cells: from..end };
        let data_type = self.parts(first).and_then(|(_, column)| column.data_type);
        Some((data_type.filter(|_| has_value).map(series), end))
    }

    fn has_value(&self, cell: Cell) -> bool {
        let Some((tablet, column)) = self.parts(cell) else { return false };
        !tablet.is_direct && self.has_values(tablet, column)
    }

    fn has_values(&self, tablet: &Loaded, column: &Column) -> bool {
        (0..tablet.layout.rows).any(|row| !self.is_null(tablet, column, row))
    }

    fn is_null(&self, tablet: &Loaded, column: &Column, row: usize) -> bool {
        if column.bitmap_at == 0 {
            return false;
        }
        let byte = self.bytes.get(tablet.at + column.bitmap_at as usize + row / 8);
        byte.is_none_or(|byte| byte >> (row % 8) & 1 == 1)
    }

    fn times(&self, tablet: &Loaded) -> impl Iterator<Item = i64> + '_ {
        let start = tablet.at + tablet.layout.times_at;
        let times = self.bytes.get(start..start + 8 * tablet.layout.rows).unwrap_or_default();
        times.as_chunks::<8>().0.iter().map(|time| i64::from_be_bytes(*time))
    }

    /// Puts the points of a series into the emptied list, by time, one for each time.
    pub(super) fn points(&self, series: &Series<'_>, points: &mut Vec<Point>) {
        points.clear();
        for cell in self.cells.get(series.cells.clone()).unwrap_or_default() {
            self.add_points(*cell, points);
        }
        if points.is_sorted_by(|a, b| a.time < b.time) {
            return;
        }
        points.sort_unstable_by(|a, b| self.compare_points(a, b));
        // Of equal times the last one stays.
        points.dedup_by(|later, kept| {
            let is_same = later.time == kept.time;
            *kept = if is_same { *later } else { *kept };
            is_same
        });
    }

    fn compare_points(&self, a: &Point, b: &Point) -> Ordering {
        a.time.cmp(&b.time).then_with(|| {
            let order = |point: &Point| (self.rank(point), point.at);
            order(a).cmp(&order(b))
        })
    }

    /// Which of two points of the same time is the later one.
    pub(super) fn rank(&self, point: &Point) -> u64 {
        self.tablets.get(point.tablet as usize).map_or(0, |tablet| tablet.filed.rank)
    }

    fn add_points(&self, cell: Cell, points: &mut Vec<Point>) {
        let Some((tablet, column)) = self.parts(cell).filter(|(tablet, _)| !tablet.is_direct)
        else {
            return;
        };
        let bytes = column.data_type.and_then(DataType::value_bytes);
        let mut at = tablet.at + column.values_at as usize;
        for (row, time) in self.times(tablet).enumerate() {
            if !self.is_null(tablet, column, row) {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                points.push(Point { time, tablet: cell.tablet, at });
            }
            at += bytes.unwrap_or_else(|| 4 + text_at(&self.bytes, at).len());
        }
    }

    /// The value of a point as tablets have it.
    pub(super) fn value(&self, point: &Point, data_type: DataType) -> &[u8] {
        let at = point.at as usize;
        let bytes = data_type.value_bytes().unwrap_or_else(|| 4 + text_at(&self.bytes, at).len());
        self.bytes.get(at..at + bytes).unwrap_or_default()
    }

    /// Appends the value of a point to a column of its type.
    pub(super) fn put_value(&self, point: &Point, values: &mut Values) {
        put_value(&self.bytes, point.at as usize, values);
    }

    /// Puts the times at which the device has a value into the emptied list, ascending.
    pub(super) fn rows(&self, rows: &mut Vec<i64>) {
        rows.clear();
        for tablet in self.tablets.iter().filter(|tablet| !tablet.is_direct) {
            let columns = self.columns.get(tablet.columns.clone()).unwrap_or_default();
            let is_full = columns.iter().any(|column| column.bitmap_at == 0);
            let has_value = |row| columns.iter().any(|column| !self.is_null(tablet, column, row));
            let times = self.times(tablet).enumerate();
            rows.extend(times.filter(|(row, _)| is_full || has_value(*row)).map(|(_, time)| time));
        }
        if !rows.is_sorted_by(|a, b| a < b) {
            rows.sort_unstable();
            rows.dedup();
        }
    }
}

/// Tablets that are read where they lie.
impl Arena {
    /// Finds out which tablets are; of an aligned device they have a value in each row.
    pub(super) fn mark_direct(&mut self, is_aligned: bool, budget: &Budget) {
        let mut tablets = std::mem::take(&mut self.tablets);
        for tablet in &mut tablets {
            tablet.is_direct = self.can_be_direct(tablet, is_aligned, budget);
        }
        self.tablets = tablets;
    }

    fn can_be_direct(&self, tablet: &Loaded, is_aligned: bool, budget: &Budget) -> bool {
        let bytes = tablet.filed.bytes as usize;
        let columns = self.columns.get(tablet.columns.clone()).unwrap_or_default();
        bytes >= budget.direct_bytes
            && bytes >= budget.direct_column_bytes * columns.len()
            && self.times(tablet).is_sorted_by(|a, b| a < b)
            && !(is_aligned && columns.iter().all(|column| column.bitmap_at != 0))
    }

    /// Their columns that have a value; in front of those of an aligned device its times.
    pub(super) fn direct_slices(
        &self,
        is_aligned: bool,
    ) -> impl Iterator<Item = (Of<'_>, Slice)> + '_ {
        let tablets = self.tablets.iter().filter(|tablet| tablet.is_direct);
        tablets.flat_map(move |tablet| {
            let times = is_aligned.then(|| (Of::Times, tablet.slice()));
            let columns = self.columns.get(tablet.columns.clone()).unwrap_or_default();
            let columns = columns.iter().filter(|column| self.has_values(tablet, column));
            let columns = columns.filter_map(|column| {
                let of = Of::Series(self.column_name(tablet, column), column.data_type?);
                let (values, nulls) = (column.values_at, column.bitmap_at);
                Some((of, Slice { values, nulls, ..tablet.slice() }))
            });
            times.into_iter().chain(columns)
        })
    }
}

impl Loaded {
    /// Its times.
    fn slice(&self) -> Slice {
        Slice {
            min: self.layout.time_range.min,
            max: self.layout.time_range.max,
            rank: self.filed.rank,
            // They lie in an entry.
            rows: u32::try_from(self.layout.rows).unwrap_or(u32::MAX),
            home: Home::Spool(self.filed.place),
            times: u32::try_from(self.layout.times_at).unwrap_or(u32::MAX),
            values: 0,
            nulls: 0,
            ranks: 0,
        }
    }
}

/// The text whose length stands at `at`.
fn text_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((length, rest)) = rest.split_first_chunk() else { return &[] };
    rest.get(..u32::from_be_bytes(*length) as usize).unwrap_or_default()
}

/// Appends the value that lies at `at`, as tablets have it, to a column of its type.
pub(super) fn put_value(bytes: &[u8], at: usize, values: &mut Values) {
    let rest = bytes.get(at..).unwrap_or_default();
    match values {
        Values::Booleans(list) => list.push(rest.first() == Some(&1)),
        Values::Integers(list) => list.push(i32::from_be_bytes(chunk(rest))),
        Values::Longs(list) => list.push(i64::from_be_bytes(chunk(rest))),
        Values::Floats(list) => list.push(f32::from_bits(u32::from_be_bytes(chunk(rest)))),
        Values::Doubles(list) => list.push(f64::from_bits(u64::from_be_bytes(chunk(rest)))),
        Values::Binaries(list) => list.push(text_at(bytes, at)),
    }
}

/// The scan has made sure that they are there.
fn chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

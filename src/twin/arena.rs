//! Tablets of one device in memory, and their points series by series.
//!
//! Payloads lie there as they were read. A table of cells (one column of one tablet) is sorted by name and type; the
//! points of one series at a time are put in order of time, the later one of equal times left.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::Unfit;
use super::budget::Budget;
use super::index::{Filed, scan_memory};
use super::long::{Long, has_full_column};
use super::slices::{Of, Slice};
use crate::data::DataType;
use crate::limits::KIB;
use crate::tsfile::device::compare_names;
use crate::tsfile::encoding::Values;
use crate::wire::columns::Columns;
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::tablet::{Column, Layout};

/// The memory of the payloads grows by this: by doubling, half of it would lie idle.
const GROWTH_BYTES: usize = 32 * KIB;

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
    /// Where its payload lies, or what was made of some rows of it.
    at: usize,
    end: usize,
    layout: Layout,
    /// Its columns in the table.
    columns: Range<usize>,
    /// Whether it is here as it lies in the spool.
    is_whole: bool,
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
        grow(&mut self.bytes, bytes);
        self.bytes.resize(start + bytes, 0);
        self.bytes.get_mut(start..).unwrap_or_default()
    }

    fn end_of_tablets(&self) -> usize {
        self.tablets.last().map_or(0, |last| last.end)
    }

    /// Takes the payload in that lies in the room.
    ///
    /// # Errors
    /// [`Unfit`]: then it is not there.
    pub(super) fn take_in(&mut self, filed: Filed) -> Result<(), Unfit> {
        let at = self.end_of_tablets();
        let payload = self.bytes.get(at..).unwrap_or_default();
        let layout = scan_memory(payload, &mut self.scanned)?;
        let start = self.columns.len();
        self.columns.extend_from_slice(&self.scanned);
        self.add(filed, (at, layout), start, true);
        Ok(())
    }

    /// Takes some rows of a tablet in: the next ones.
    ///
    /// # Errors
    /// What the cursor says; then the arena is to be cleared.
    pub(super) fn take_rows(&mut self, long: &mut Long<'_>, rows: usize) -> Result<(), ReadError> {
        let (at, start) = (self.end_of_tablets(), self.columns.len());
        self.bytes.truncate(at);
        let Long { cursor, layout, columns, row, filed } = long;
        for column in columns.iter() {
            let name_at = offset(self.bytes.len() - at);
            cursor.seek(column.name_at as usize);
            append(cursor, 4 + usize::from(column.name_bytes), &mut self.bytes)?;
            self.columns.push(Column { name_at, ..*column });
        }
        let times_at = self.bytes.len() - at;
        cursor.seek(layout.times_at + 8 * *row);
        append(cursor, 8 * rows, &mut self.bytes)?;
        let own = self.columns.get_mut(start..).unwrap_or_default();
        for column in own.iter_mut().filter(|column| column.bitmap_at != 0) {
            cursor.seek(column.bitmap_at as usize + *row / 8);
            column.bitmap_at = offset(self.bytes.len() - at);
            append(cursor, rows.div_ceil(8), &mut self.bytes)?;
        }
        for (column, source) in own.iter_mut().zip(columns.iter_mut()) {
            cursor.seek(source.values_at as usize);
            match source.data_type.and_then(DataType::value_bytes) {
                Some(bytes) => cursor.skip_each(rows, bytes, "values")?,
                None => cursor.skip_texts(rows, "text")?,
            }
            let end = cursor.at();
            cursor.seek(source.values_at as usize);
            column.values_at = offset(self.bytes.len() - at);
            append(cursor, end - cursor.at(), &mut self.bytes)?;
            source.values_at = offset(end);
        }
        self.add(*filed, (at, Layout { rows, times_at, ..*layout }), start, false);
        Ok(())
    }

    /// Adds a tablet that lies at the end, with its columns.
    fn add(&mut self, filed: Filed, (at, layout): (usize, Layout), start: usize, is_whole: bool) {
        let columns = start..self.columns.len();
        let end = self.bytes.len();
        // Counts of things that lie in memory.
        let tablet = u32::try_from(self.tablets.len()).unwrap_or(u32::MAX);
        let cell = |column| Cell { tablet, column: u32::try_from(column).unwrap_or(u32::MAX) };
        self.cells.extend(columns.clone().map(cell));
        self.rows += layout.rows;
        self.tablets.push(Loaded { filed, at, end, layout, columns, is_whole, is_direct: false });
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
        let columns = self.columns.get(tablet.columns.clone()).unwrap_or_default();
        tablet.is_whole
            && budget.is_direct(tablet.filed.bytes as usize, columns)
            && self.times(tablet).is_sorted_by(|a, b| a < b)
            && (!is_aligned || has_full_column(columns))
    }

    /// Their columns that have a value; in front of those of an aligned device its times.
    pub(super) fn direct_slices(
        &self,
        is_aligned: bool,
    ) -> impl Iterator<Item = (Of<'_>, Slice)> + '_ {
        let tablets = self.tablets.iter().filter(|tablet| tablet.is_direct);
        tablets.flat_map(move |tablet| {
            let slice = Slice::of_tablet(&tablet.filed, &tablet.layout);
            let times = is_aligned.then_some((Of::Times, slice));
            let columns = self.columns.get(tablet.columns.clone()).unwrap_or_default();
            let columns = columns.iter().filter(|column| self.has_values(tablet, column));
            let columns = columns.filter_map(move |column| {
                let of = Of::Series(self.column_name(tablet, column), column.data_type?);
                let (values, nulls) = (column.values_at, column.bitmap_at);
                Some((of, Slice { values, nulls, ..slice }))
            });
            times.into_iter().chain(columns)
        })
    }
}

/// Makes room for more bytes.
fn grow(bytes: &mut Vec<u8>, more: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        bytes.reserve_exact(needed.next_multiple_of(GROWTH_BYTES) - bytes.len());
    }
}

/// Copies the next bytes of an entry.
fn append(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<u8>) -> Result<(), ReadError> {
    grow(out, count);
    let end = out.len() + count;
    while out.len() < end {
        out.extend_from_slice(cursor.run(end - out.len(), "rows")?);
    }
    Ok(())
}

/// Offsets in an entry, or what was made of it.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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

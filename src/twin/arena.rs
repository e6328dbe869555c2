//! Tablets of one device in memory, and their points series by series.
//!
//! Payloads lie there as they were read. A table of slices (one column of one tablet) is sorted by name and type; the
//! points of one series at a time are put in order of time, the later one of equal times left.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::Unfit;
use super::index::{Filed, scan};
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
    slices: Vec<Slice>,
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
}

/// A column of a tablet: their places in the tables.
#[derive(Debug, Clone, Copy)]
struct Slice {
    tablet: u32,
    column: u32,
}

/// Slices of the same name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) data_type: DataType,
    slices: Range<usize>,
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
        self.slices.clear();
        self.rows = 0;
    }

    /// Bytes of memory that the tablets need until their points are out.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len()
            + self.columns.len() * (size_of::<Column>() + size_of::<Slice>())
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
        let slice = |column| Slice { tablet, column: u32::try_from(column).unwrap_or(u32::MAX) };
        self.slices.extend(columns.clone().map(slice));
        self.rows += layout.rows;
        self.tablets.push(Loaded { filed, at, layout, columns });
        Ok(())
    }

    /// Sorts the slices; nothing is taken in after that.
    pub(super) fn sort(&mut self) {
        let mut slices = std::mem::take(&mut self.slices);
        slices.sort_by(|a, b| self.compare_slices(*a, *b));
        self.slices = slices;
    }

    fn compare_slices(&self, a: Slice, b: Slice) -> Ordering {
        let by_name = compare_names(&self.name(a), &self.name(b));
        by_name.then_with(|| self.type_code(a).cmp(&self.type_code(b)))
    }

    fn name(&self, slice: Slice) -> Cow<'_, str> {
        let Some((tablet, column)) = self.parts(slice) else { return Cow::Borrowed("") };
        let at = tablet.at + column.name_at as usize + 4;
        let name = self.bytes.get(at..at + usize::from(column.name_bytes));
        String::from_utf8_lossy(name.unwrap_or_default())
    }

    fn type_code(&self, slice: Slice) -> Option<u8> {
        let (_, column) = self.parts(slice)?;
        column.data_type.map(DataType::code)
    }

    fn parts(&self, slice: Slice) -> Option<(&Loaded, &Column)> {
        Some((self.tablets.get(slice.tablet as usize)?, self.columns.get(slice.column as usize)?))
    }

    /// The series that begins at this slice, if it has a value; and where the next one begins.
    pub(super) fn series(&self, from: usize) -> Option<(Option<Series<'_>>, usize)> {
        let rest = self.slices.get(from..)?;
        let first = *rest.first()?;
        let count =
            rest.iter().take_while(|other| self.compare_slices(first, **other).is_eq()).count();
        let end = from + count;
        let has_value = rest.iter().take(count).any(|slice| self.has_value(*slice));
        let series = |data_type| Series { name: self.name(first), data_type, slices: from..end };
        let data_type = self.parts(first).and_then(|(_, column)| column.data_type);
        Some((data_type.filter(|_| has_value).map(series), end))
    }

    fn has_value(&self, slice: Slice) -> bool {
        let Some((tablet, column)) = self.parts(slice) else { return false };
        (0..tablet.layout.rows).any(|row| !self.is_null(tablet, column, row))
    }

    fn is_null(&self, tablet: &Loaded, column: &Column, row: usize) -> bool {
        if column.bitmap_at == 0 {
            return column.is_absent;
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
        for slice in self.slices.get(series.slices.clone()).unwrap_or_default() {
            self.add_points(*slice, points);
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
    fn rank(&self, point: &Point) -> Option<(u64, u64)> {
        let filed = self.tablets.get(point.tablet as usize)?.filed;
        Some((filed.rank, filed.sequence.0))
    }

    fn add_points(&self, slice: Slice, points: &mut Vec<Point>) {
        let Some((tablet, column)) = self.parts(slice) else { return };
        let bytes = column.data_type.and_then(DataType::value_bytes);
        let mut at = tablet.at + column.values_at as usize;
        for (row, time) in self.times(tablet).enumerate() {
            if !self.is_null(tablet, column, row) {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                points.push(Point { time, tablet: slice.tablet, at });
            }
            at += bytes.unwrap_or_else(|| 4 + text_at(&self.bytes, at).len());
        }
    }

    /// Appends the values of points to a column of their type.
    pub(super) fn put_values(&self, points: &[Point], values: &mut Values) {
        for point in points {
            put_value(&self.bytes, point.at as usize, values);
        }
    }

    /// Puts the times at which the device has a value into the emptied list, ascending.
    pub(super) fn rows(&self, rows: &mut Vec<i64>) {
        rows.clear();
        for tablet in &self.tablets {
            let columns = self.columns.get(tablet.columns.clone()).unwrap_or_default();
            let is_full = columns.iter().any(|column| column.bitmap_at == 0 && !column.is_absent);
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

//! Some columns and rows of a tablet as a tablet of their own.
//!
//! ```text
//!  01 0002 000d | device | m: names or schemas, types | n: times | bitmaps | values | isAligned | node id, children
//!       kept      kept     of kept columns              kept rows  made anew   copied    kept        as told
//! ```
//!
//! The payload is an `InsertTabletNode` in a request of type 2, as entries of the spool are
//! ([`super::tablet`] draws it). Values are copied as they lie, in runs of rows. A row in which no kept column has a
//! value is left out, since it would say nothing; bitmaps without a null are left out, too.

use super::columns::Columns;
use super::cursor::{Cursor, ReadError};
use super::tablet::{self, Column, Form, Layout, bitmap_bytes};
use super::values::Tablet;
use crate::data::{DataType, TimeRange};

/// Version, request type and node type of a tablet's payload.
pub const TABLET_HEAD: [u8; 5] = [1, 0, 2, 0, 13];

/// Cuts tablets; keeps the memory of its tables, 17 bytes for each column and a bit for each row.
#[derive(Debug, Default)]
pub struct Trimmer {
    columns: Columns,
    kept: Vec<bool>,
    rows: Vec<u8>,
}

/// What is left of a tablet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trimmed {
    /// All of it: nothing was written.
    Whole,
    /// Nothing.
    Nothing,
    /// A part, which was written; its times.
    Part(TimeRange),
}

/// The device of a tablet's payload, of which `head` is the beginning; `None` if these bytes are none, or too few.
pub fn device_of(head: &[u8]) -> Option<&[u8]> {
    let (length, rest) = head.strip_prefix(&TABLET_HEAD)?.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

impl Trimmer {
    /// Writes what of `payload` lies in `times`, and in columns that `wants` by their names, to `out`, which is
    /// emptied first. The tail (plan node id and child count) is `tail`, or as it was.
    ///
    /// # Errors
    /// If the payload is no tablet.
    pub fn trim(
        &mut self,
        payload: &[u8],
        times: TimeRange,
        wants: impl Fn(&str) -> bool,
        tail: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Trimmed, ReadError> {
        out.clear();
        let mut cursor = Cursor::memory(payload);
        cursor.skip(TABLET_HEAD.len(), "head of a tablet")?;
        let layout = tablet::scan(&mut cursor, Form::Node, &mut self.columns)?;
        self.choose_columns(payload, &layout, wants);
        let count = self.kept.iter().filter(|kept| **kept).count();
        let is_within = times.min <= layout.time_range.min && layout.time_range.max <= times.max;
        if count == self.columns.len() && (is_within || layout.rows == 0) {
            return Ok(Trimmed::Whole);
        }
        if count == 0 {
            return Ok(Trimmed::Nothing);
        }
        let range = self.choose_rows(payload, &layout, times);
        if range.is_empty() {
            return Ok(Trimmed::Nothing);
        }
        let tail = tail.unwrap_or_else(|| payload.get(layout.end..).unwrap_or_default());
        let part =
            Part { payload, layout, columns: &self.columns, kept: &self.kept, rows: &self.rows };
        part.write(count, tail, out);
        Ok(Trimmed::Part(range))
    }

    /// Gives its memory back.
    pub fn rest(&mut self) {
        *self = Self::default();
    }

    fn choose_columns(&mut self, payload: &[u8], layout: &Layout, wants: impl Fn(&str) -> bool) {
        let tablet = Tablet::new(payload, *layout, &self.columns);
        self.kept.clear();
        self.kept.extend(tablet.columns().map(|column| match std::str::from_utf8(column.name()) {
            Ok(name) => wants(name),
            Err(_) => wants(&String::from_utf8_lossy(column.name())),
        }));
    }

    /// Sets the bits of the rows that are left, and returns their times.
    fn choose_rows(&mut self, payload: &[u8], layout: &Layout, times: TimeRange) -> TimeRange {
        self.rows.clear();
        self.rows.resize(bitmap_bytes(layout.rows), 0);
        let tablet = Tablet::new(payload, *layout, &self.columns);
        let nulls = self.common_nulls(payload, layout.rows);
        let mut range = TimeRange::EMPTY;
        for (row, time) in tablet.times().enumerate() {
            let is_null = nulls.is_some_and(|nulls| has(nulls, row)) && self.is_null(payload, row);
            if times.contains(time) && !is_null {
                set(&mut self.rows, row);
                range.include(time);
            }
        }
        range
    }

    /// The nulls of one kept column; a row that is null in all is null in this one. `None` if a kept column has none.
    fn common_nulls<'p>(&self, payload: &'p [u8], rows: usize) -> Option<&'p [u8]> {
        let mut nulls = None;
        for (column, _) in self.columns.iter().zip(&self.kept).filter(|(_, kept)| **kept) {
            nulls = Some(nulls_of(payload, column, rows)?);
        }
        nulls
    }

    /// Whether a row is null in all kept columns.
    fn is_null(&self, payload: &[u8], row: usize) -> bool {
        let kept = self.columns.iter().zip(&self.kept).filter(|(_, kept)| **kept);
        let mut nulls = kept.map(|(column, _)| nulls_of(payload, column, row));
        nulls.all(|nulls| nulls.is_some_and(|nulls| has(nulls, row)))
    }
}

/// The bitmap of a column, at least up to the row.
fn nulls_of<'p>(payload: &'p [u8], column: &Column, row: usize) -> Option<&'p [u8]> {
    let at = column.bitmap_at as usize;
    if at == 0 { None } else { payload.get(at..)?.get(..bitmap_bytes(row)) }
}

fn has(bits: &[u8], row: usize) -> bool {
    bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

fn set(bits: &mut [u8], row: usize) {
    if let Some(byte) = bits.get_mut(row / 8) {
        *byte |= 1 << (row % 8);
    }
}

/// The part that is written.
struct Part<'a> {
    payload: &'a [u8],
    layout: Layout,
    columns: &'a [Column],
    kept: &'a [bool],
    /// A bit for each row.
    rows: &'a [u8],
}

impl Part<'_> {
    fn write(&self, count: usize, tail: &[u8], out: &mut Vec<u8>) {
        let rows: usize = self.rows.iter().map(|byte| byte.count_ones() as usize).sum();
        let names_at = self.layout.device_at + 4 + self.layout.device_bytes;
        let names_end = self.layout.times_at - 4 - self.columns.len();
        self.copy(0, names_at, out);
        put_count(count, out);
        // hasSchema
        self.copy(names_at + 4, names_at + 5, out);
        for (index, column) in self.kept_columns() {
            let next = self.columns.get(index + 1).map(|next| next.name_at as usize);
            self.copy(column.name_at as usize, next.unwrap_or(names_end), out);
        }
        for (index, _) in self.kept_columns() {
            self.copy(names_end + index, names_end + index + 1, out);
        }
        put_count(rows, out);
        self.each_run(|from, to| {
            self.copy(self.layout.times_at + 8 * from, self.layout.times_at + 8 * to, out);
        });
        self.write_nulls(rows, out);
        for (_, column) in self.kept_columns() {
            self.write_values(column, out);
        }
        self.copy(self.layout.end - 1, self.layout.end, out);
        out.extend_from_slice(tail);
    }

    fn kept_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns
            .iter()
            .zip(self.kept)
            .enumerate()
            .filter(|(_, (_, kept))| **kept)
            .map(|(index, (column, _))| (index, column))
    }

    fn copy(&self, from: usize, to: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.payload.get(from..to).unwrap_or_default());
    }

    /// Runs of rows that are left, each from its first row to behind its last.
    fn each_run(&self, mut run: impl FnMut(usize, usize)) {
        let mut start = None;
        for row in 0..self.layout.rows {
            match (start, has(self.rows, row)) {
                (None, true) => start = Some(row),
                (Some(from), false) => {
                    run(from, row);
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            run(from, self.layout.rows);
        }
    }

    fn write_nulls(&self, rows: usize, out: &mut Vec<u8>) {
        let flag_at = out.len();
        out.push(0);
        let mut has_nulls = false;
        for (_, column) in self.kept_columns() {
            let Some(nulls) = nulls_of(self.payload, column, self.layout.rows) else {
                out.push(0);
                continue;
            };
            let at = out.len();
            out.push(1);
            out.resize(at + 1 + bitmap_bytes(rows), 0);
            let bits = out.get_mut(at + 1..).unwrap_or_default();
            let is_any = self.gather(nulls, bits);
            if !is_any {
                out.truncate(at);
                out.push(0);
            }
            has_nulls |= is_any;
        }
        if has_nulls {
            if let Some(flag) = out.get_mut(flag_at) {
                *flag = 1;
            }
        } else {
            out.truncate(flag_at + 1);
        }
    }

    /// Sets the bits of those rows that are left and set in `from`; says whether there are any.
    fn gather(&self, from: &[u8], to: &mut [u8]) -> bool {
        let left = (0..self.layout.rows).filter(|row| has(self.rows, *row));
        let mut is_any = false;
        for (place, _) in left.enumerate().filter(|(_, row)| has(from, *row)) {
            set(to, place);
            is_any = true;
        }
        is_any
    }

    fn write_values(&self, column: &Column, out: &mut Vec<u8>) {
        let at = column.values_at as usize;
        match column.data_type.and_then(DataType::value_bytes) {
            Some(bytes) => {
                self.each_run(|from, to| self.copy(at + bytes * from, at + bytes * to, out));
            }
            None => self.write_texts(at, out),
        }
    }

    /// Texts of any length: those before a run are stepped over.
    fn write_texts(&self, mut at: usize, out: &mut Vec<u8>) {
        let mut row = 0;
        let behind = |mut at: usize, count: usize| {
            for _ in 0..count {
                let length = self.payload.get(at..).and_then(<[u8]>::first_chunk::<4>);
                at += 4 + length.map_or(0, |length| u32::from_be_bytes(*length) as usize);
            }
            at
        };
        self.each_run(|from, to| {
            let start = behind(at, from - row);
            (at, row) = (behind(start, to - from), to);
            self.copy(start, at, out);
        });
    }
}

/// Counts come from the tablet, where they were read from four bytes.
fn put_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// root.d; a INT32 7, 8, 9; b TEXT "x", null, "yz"; times 1, 2, 3.
    const TABLET: &[u8] =
        b"\x01\0\x02\0\x0d\0\0\0\x06root.d\0\0\0\x02\0\0\0\0\x01a\0\0\0\x01b\x01\x05\
        \0\0\0\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x01\0\x01\x02\
        \0\0\0\x07\0\0\0\x08\0\0\0\x09\0\0\0\x01x\0\0\0\0\0\0\0\x02yz\x01\0\0\0\x011\0\0\0\0";

    fn trimmed(times: (i64, i64), names: &str) -> (Trimmed, Vec<u8>) {
        let mut out = b"old".to_vec();
        let times = TimeRange { min: times.0, max: times.1 };
        let mut trimmer = Trimmer::default();
        let wants = |name: &str| names.contains(name);
        let left = trimmer.trim(TABLET, times, wants, None, &mut out).unwrap();
        (left, out)
    }

    #[test]
    fn what_is_left_whole_or_not_at_all_is_not_written() {
        assert_eq!(trimmed((1, 3), "ab"), (Trimmed::Whole, Vec::new()));
        assert_eq!(trimmed((1, 3), ""), (Trimmed::Nothing, Vec::new()));
        assert_eq!(trimmed((4, 9), "ab"), (Trimmed::Nothing, Vec::new()));
        assert_eq!(trimmed((2, 2), "b"), (Trimmed::Nothing, Vec::new()), "a row of nulls");
    }

    #[test]
    fn rows_are_cut_with_their_nulls() {
        let (left, bytes) = trimmed((2, 3), "ab");
        assert_eq!(left, Trimmed::Part(TimeRange { min: 2, max: 3 }));
        let expected: &[u8] =
            b"\x01\0\x02\0\x0d\0\0\0\x06root.d\0\0\0\x02\0\0\0\0\x01a\0\0\0\x01b\x01\x05\
            \0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x01\0\x01\x01\
            \0\0\0\x08\0\0\0\x09\0\0\0\0\0\0\0\x02yz\x01\0\0\0\x011\0\0\0\0";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn columns_are_cut_and_rows_without_a_value_go() {
        let (left, bytes) = trimmed((0, 9), "b");
        assert_eq!(left, Trimmed::Part(TimeRange { min: 1, max: 3 }));
        let expected: &[u8] = b"\x01\0\x02\0\x0d\0\0\0\x06root.d\0\0\0\x01\0\0\0\0\x01b\x05\
            \0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03\0\
            \0\0\0\x01x\0\0\0\x02yz\x01\0\0\0\x011\0\0\0\0";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_tail_may_be_told() {
        let mut out = Vec::new();
        let left = Trimmer::default().trim(
            TABLET,
            TimeRange::ALL,
            |name| name == "a",
            Some(b"end"),
            &mut out,
        );
        assert_eq!(left.unwrap(), Trimmed::Part(TimeRange { min: 1, max: 3 }));
        assert!(out.ends_with(b"\0\0\0\x09\x01end"));
    }

    #[test]
    fn the_device_stands_in_front() {
        assert_eq!(device_of(TABLET), Some(&b"root.d"[..]));
        assert!((0..15).all(|end| device_of(&TABLET[..end]).is_none()));
    }

    #[test]
    fn what_is_no_tablet_is_an_error() {
        let mut out = Vec::new();
        for end in 0..TABLET.len() - 9 {
            let left =
                Trimmer::default().trim(&TABLET[..end], TimeRange::ALL, |_| true, None, &mut out);
            assert!(left.is_err(), "{end} bytes");
        }
    }
}

//! The values of a tablet in memory.
//!
//! [`super::tablet::scan`] and [`super::row::scan`] checked the bytes and noted where things lie; a
//! [`Tablet`] reads them there, without a copy.

use super::bytes::Reader;
use super::tablet::{Column, Layout};
use crate::data::DataType;

/// One value. Dates are numbers yyyymmdd, time stamps numbers in the cluster's precision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Of a `BOOLEAN`.
    Boolean(bool),
    /// Of an `INT32` or a `DATE`.
    Int32(i32),
    /// Of an `INT64` or a `TIMESTAMP`.
    Int64(i64),
    /// Of a `FLOAT`.
    Float(f32),
    /// Of a `DOUBLE`.
    Double(f64),
    /// Of a `TEXT`, `STRING`, `BLOB` or `OBJECT`; texts are UTF-8 as far as their sender keeps to it.
    Bytes(&'a [u8]),
}

/// A scanned tablet, or a row as a tablet of one row, in a request in memory.
#[derive(Debug, Clone, Copy)]
pub struct Tablet<'a> {
    request: &'a [u8],
    layout: Layout,
    columns: &'a [Column],
}

impl<'a> Tablet<'a> {
    /// The tablet that a scan of `request` found: its layout and its table of columns.
    pub const fn new(request: &'a [u8], layout: Layout, columns: &'a [Column]) -> Self {
        Self { request, layout, columns }
    }

    /// Full path of the device, or name of the table; UTF-8 as far as the sender keeps to it.
    pub fn device(&self) -> &'a [u8] {
        span(self.request, self.layout.device_at + 4, self.layout.device_bytes)
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.layout.rows
    }

    /// Whether the device's series are aligned.
    pub const fn is_aligned(&self) -> bool {
        self.layout.is_aligned
    }

    /// The time of each row.
    pub fn times(&self) -> impl ExactSizeIterator<Item = i64> + 'a {
        let times = span(self.request, self.layout.times_at, 8 * self.layout.rows);
        times.as_chunks::<8>().0.iter().map(|time| i64::from_be_bytes(*time))
    }

    /// The columns, also those without values.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = TabletColumn<'a>> + 'a {
        let Self { request, layout, columns } = *self;
        columns.iter().map(move |column| TabletColumn { request, layout, column })
    }
}

/// A column of a tablet.
#[derive(Debug, Clone, Copy)]
pub struct TabletColumn<'a> {
    request: &'a [u8],
    layout: Layout,
    column: &'a Column,
}

impl<'a> TabletColumn<'a> {
    /// The measurement; UTF-8 as far as the sender keeps to it.
    pub fn name(&self) -> &'a [u8] {
        let at = self.column.name_at as usize + 4;
        span(self.request, at, usize::from(self.column.name_bytes))
    }

    /// Type of the values; `None` for a null of a row that says nothing about its type.
    pub const fn data_type(&self) -> Option<DataType> {
        self.column.data_type
    }

    /// Whether the bitmap marks this row as null, or the whole column is absent.
    pub fn is_null(&self, row: usize) -> bool {
        let bitmap = self.column.bitmap_at as usize;
        let byte = (bitmap != 0).then(|| self.request.get(bitmap + row / 8)).flatten();
        self.column.is_absent || byte.is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }

    /// The value of each row, `None` for null.
    pub fn values(&self) -> Values<'a> {
        let at = self.column.values_at as usize;
        let rest = self.request.get(at..).unwrap_or_default();
        Values { column: *self, rest: Reader::at(rest, at), row: 0 }
    }
}

/// The values of a column, row by row.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    column: TabletColumn<'a>,
    rest: Reader<'a>,
    row: usize,
}

impl<'a> Values<'a> {
    /// What stands in the next place, also if it is marked as null; `None` for a null text.
    fn stored(&mut self) -> Option<Value<'a>> {
        let what = "value";
        let reader = &mut self.rest;
        Some(match self.column.data_type()? {
            DataType::Boolean => Value::Boolean(reader.bool(what).ok()?),
            DataType::Int32 | DataType::Date => Value::Int32(reader.i32(what).ok()?),
            DataType::Int64 | DataType::Timestamp => Value::Int64(reader.i64(what).ok()?),
            DataType::Float => {
                Value::Float(f32::from_bits(u32::from_be_bytes(reader.array(what).ok()?)))
            }
            DataType::Double => {
                Value::Double(f64::from_bits(u64::from_be_bytes(reader.array(what).ok()?)))
            }
            DataType::Text | DataType::Blob | DataType::String | DataType::Object => {
                let is_flagged = self.column.layout.form.has_flagged_cells();
                if is_flagged && !reader.bool(what).ok()? {
                    Value::Bytes(&[])
                } else {
                    Value::Bytes(reader.binary(usize::MAX, what).ok()?)
                }
            }
        })
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Option<Value<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.row == self.column.layout.rows {
            return None;
        }
        let is_null = self.column.is_null(self.row);
        self.row += 1;
        if self.column.column.is_absent {
            return Some(None);
        }
        let stored = self.stored();
        Some(stored.filter(|_| !is_null))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.column.layout.rows - self.row;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Values<'_> {}

fn span(bytes: &[u8], at: usize, count: usize) -> &[u8] {
    bytes.get(at..).and_then(|rest| rest.get(..count)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::columns::Columns;
    use crate::wire::cursor::Cursor;
    use crate::wire::tablet::{self, Form};

    #[test]
    fn marked_cells_are_null_whatever_stands_there() {
        let node = b"\0\0\0\x01d\0\0\0\x03\0\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c\x00\x03\x0b\
            \0\0\0\x02\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x02\0\x01\x01\
            \x01\x01\x3f\x80\0\0\xbf\x80\0\0\0\0\0\x01x\0\0\0\x02yz\x01";
        let mut columns = Columns::new();
        let mut cursor = Cursor::memory(node);
        let layout = tablet::scan(&mut cursor, Form::Node, &mut columns).unwrap();
        let tablet = Tablet::new(node, layout, &columns);
        assert_eq!((tablet.device(), tablet.rows(), tablet.is_aligned()), (&b"d"[..], 2, true));
        assert_eq!(tablet.times().collect::<Vec<_>>(), [5, -1]);
        let names: Vec<&[u8]> = tablet.columns().map(|column| column.name()).collect();
        assert_eq!(names, [b"a", b"b", b"c"]);
        let values: Vec<Vec<_>> =
            tablet.columns().map(|column| column.values().collect()).collect();
        assert_eq!(values[0], [Some(Value::Boolean(true)), None]);
        assert_eq!(values[1], [Some(Value::Float(1.0)), Some(Value::Float(-1.0))]);
        assert_eq!(values[2], [None, Some(Value::Bytes(b"yz"))]);
        assert_eq!(tablet.columns().map(|column| column.values().len()).sum::<usize>(), 6);
    }
}

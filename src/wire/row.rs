//! Rows: one time of one device, a cell for each measurement.
//!
//! ```text
//!  i64     time
//!  string  device (or table)
//!  i32     m, columns
//!  i8      hasSchema         [not in Wal: always schemas]
//!  m x     schema or string
//!  m x     cell: i8 tag, value
//!  i8      isNeedInferType   [not in Wal]
//!  i8      isAligned
//!  [table model: m x i8 category]
//!
//!  tag  0-5, 8-12   data type; the value follows, texts as i32 length and bytes
//!       -1          a string whose type the receiver finds out   [not in Wal]
//!       -2          null
//!       -3          null (2.0 only); i8 data type follows
//! ```
//!
//! Defined by `InsertRowNode` and `RelationalInsertRowNode`. A row without cells to be inferred is a
//! tablet of one row, whose columns with nulls are absent: [`scan`] fills the same table of columns as
//! [`super::tablet::scan`].

use super::columns::Columns;
use super::cursor::{Cursor, ReadError, TEXT_BYTES_MAX};
use super::tablet::{self, Column, Form, Layout};
use crate::data::{DataType, TimeRange};
use crate::limits::COLUMNS_MAX;

/// What stands in a cell instead of a data type.
pub(super) const TAG_RAW_STRING: i8 = -1;
/// A null of whatever type.
pub(super) const TAG_NULL: i8 = -2;
/// A null, followed by its type.
pub(super) const TAG_TYPED_NULL: i8 = -3;

/// Whether a row is part of a plan node or of a write-ahead log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowForm {
    /// `InsertRowNode` as a plan node.
    Node,
    /// `InsertRowNode` as the write-ahead log keeps it.
    Wal,
}

/// Where the parts of a row lie. Offsets count from the start of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLayout {
    /// Its form.
    pub form: RowForm,
    /// The time, the row's first field.
    pub at: usize,
    /// The time itself.
    pub time: i64,
    /// The device: an i32 length, and as many bytes.
    pub device_at: usize,
    /// Bytes of the device.
    pub device_bytes: usize,
    /// The first cell.
    pub cells_at: usize,
    /// Whether the receiver has to find out types from texts; such a row cannot be a tablet.
    pub needs_types: bool,
    /// Whether any cell has a value.
    pub has_values: bool,
    /// Whether the device's series are aligned.
    pub is_aligned: bool,
    /// Behind `isAligned`; in the table model in front of the categories.
    pub end: usize,
}

impl RowLayout {
    /// The row as a tablet of one row.
    pub const fn as_tablet(&self) -> Layout {
        Layout {
            form: Form::Row,
            device_at: self.device_at,
            device_bytes: self.device_bytes,
            rows: 1,
            times_at: self.at,
            time_range: TimeRange::at(self.time),
            is_aligned: self.is_aligned,
            end: self.end,
        }
    }
}

/// Checks the row at the cursor, goes behind its `isAligned`, and fills `columns` anew. A column's type
/// is that of its cell, or for a null that of its schema.
///
/// # Errors
/// [`ReadError::Malformed`] where the bytes are not a row: too short, a count or a name beyond its
/// limit, a tag that does not exist. [`ReadError::Disk`] if the request cannot be read.
pub fn scan(
    cursor: &mut Cursor<'_>,
    form: RowForm,
    columns: &mut Columns,
) -> Result<RowLayout, ReadError> {
    let at = cursor.at();
    let time = cursor.i64("time")?;
    let device_at = cursor.at();
    let device_bytes = cursor.check_name("device")?;
    names(cursor, form, columns)?;
    let cells_at = cursor.at();
    let mut has_raw = false;
    let at_hand = cells_at_hand(cursor, columns);
    for column in columns.iter_mut().skip(at_hand) {
        has_raw |= cell(cursor, form, column)? == Cell::Raw;
    }
    let has_values = columns.iter().any(|column| !column.is_absent);
    let needs_types = (form == RowForm::Node && cursor.bool("isNeedInferType")?) || has_raw;
    let is_aligned = cursor.bool("isAligned")?;
    let end = cursor.at();
    Ok(RowLayout {
        form,
        at,
        time,
        device_at,
        device_bytes,
        cells_at,
        needs_types,
        has_values,
        is_aligned,
        end,
    })
}

/// Fills the table with the columns at the cursor.
fn names(cursor: &mut Cursor<'_>, form: RowForm, columns: &mut Columns) -> Result<(), ReadError> {
    if columns.repeat(form, cursor) {
        return Ok(());
    }
    let start = cursor.at();
    let count = cursor.count(COLUMNS_MAX, "columns")?;
    let has_schemas = form == RowForm::Wal || cursor.u8("hasSchema")? == 1;
    columns.fill(cursor, count, if has_schemas { schema } else { tablet::name })?;
    columns.note_names(form, has_schemas, start, cursor);
    Ok(())
}

/// A schema in a row: its type only matters for nulls, so one that has no values is let pass.
fn schema(cursor: &mut Cursor<'_>) -> Result<Column, ReadError> {
    let mut column = tablet::name(cursor)?;
    column.data_type = DataType::from_code(cursor.u8("data type")?);
    tablet::skip_schema_rest(cursor)?;
    Ok(column)
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// Of this type, if the cell says.
    Null(Option<DataType>),
    Raw,
    Value(DataType),
}

/// The cell at the start of `bytes`, and its length with the tag. `None` if it does not lie there as a whole, is raw,
/// or is no cell.
#[inline]
pub(super) fn whole_cell(bytes: &[u8]) -> Option<(Cell, usize)> {
    let (&tag, behind) = bytes.split_first()?;
    if let Some(data_type) = DataType::from_code(tag) {
        let value_bytes = match data_type.value_bytes() {
            Some(bytes) => bytes,
            None => 4 + usize::try_from(i32::from_be_bytes(*behind.first_chunk()?)).ok()?,
        };
        let is_whole = value_bytes <= behind.len();
        return is_whole.then_some((Cell::Value(data_type), 1 + value_bytes));
    }
    match i8::from_be_bytes([tag]) {
        TAG_NULL => Some((Cell::Null(None), 1)),
        TAG_TYPED_NULL => Some((Cell::Null(DataType::from_code(*behind.first()?)), 2)),
        _ => None,
    }
}

/// Goes over the cells that lie at hand, and returns how many these are; what is not whole there, is raw, or is
/// no cell ends them.
fn cells_at_hand(cursor: &mut Cursor<'_>, columns: &mut [Column]) -> usize {
    let (start, ahead) = (cursor.at(), cursor.ahead());
    let (mut rest, mut count) = (ahead, 0);
    for column in columns {
        let Some((cell, bytes)) = whole_cell(rest) else { break };
        column.note(cell, start + ahead.len() - rest.len() + 1);
        rest = rest.get(bytes..).unwrap_or_default();
        count += 1;
    }
    let behind = start + ahead.len() - rest.len();
    cursor.seek(behind);
    count
}

impl Column {
    /// Takes over what a cell says; its value, if it has one, is at `values_at`.
    #[inline]
    fn note(&mut self, cell: Cell, values_at: usize) {
        match cell {
            Cell::Value(data_type) => {
                self.data_type = Some(data_type);
                self.values_at = tablet::offset(values_at);
            }
            Cell::Null(Some(data_type)) => self.data_type = Some(data_type),
            Cell::Null(None) | Cell::Raw => {}
        }
        self.is_absent = matches!(cell, Cell::Null(_));
    }
}

fn cell(cursor: &mut Cursor<'_>, form: RowForm, column: &mut Column) -> Result<Cell, ReadError> {
    let at = cursor.at();
    let tag = cursor.i8("cell tag")?;
    let cell = match tag {
        TAG_NULL => Cell::Null(None),
        TAG_TYPED_NULL => Cell::Null(DataType::from_code(cursor.u8("type of a null")?)),
        TAG_RAW_STRING if form == RowForm::Node => {
            skip_raw_string(cursor)?;
            Cell::Raw
        }
        code => {
            let known = u8::try_from(code).ok().and_then(DataType::from_code);
            let expected = "a type with values, or a mark";
            let bad = || tablet::value("cell tag", at, expected, i64::from(code));
            let data_type = known.ok_or_else(bad)?;
            skip_value(cursor, data_type)?;
            Cell::Value(data_type)
        }
    };
    column.note(cell, at + 1);
    Ok(cell)
}

fn skip_raw_string(cursor: &mut Cursor<'_>) -> Result<(), ReadError> {
    if cursor.peek(4, "raw string")? == [0xff; 4] {
        return cursor.skip(4, "raw string");
    }
    let bytes = cursor.count(TEXT_BYTES_MAX, "raw string")?;
    cursor.skip(bytes, "raw string")
}

fn skip_value(cursor: &mut Cursor<'_>, data_type: DataType) -> Result<(), ReadError> {
    let bytes = match data_type.value_bytes() {
        Some(bytes) => bytes,
        None => cursor.count(TEXT_BYTES_MAX, "text")?,
    };
    cursor.skip(bytes, "value")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time 1, root.d, a INT32 7, b null, c DOUBLE null, not aligned, without schemas.
    const ROW: &[u8] = b"\0\0\0\0\0\0\0\x01\0\0\0\x06root.d\0\0\0\x03\0\
        \0\0\0\x01a\0\0\0\x01b\0\0\0\x01c\x01\0\0\0\x07\xfe\xfd\x04\0\0";

    fn scanned(bytes: &[u8], form: RowForm) -> Result<(RowLayout, Columns), String> {
        let mut columns = Columns::new();
        let mut cursor = Cursor::memory(bytes);
        let row = scan(&mut cursor, form, &mut columns).map_err(|error| error.to_string())?;
        assert_eq!(cursor.at(), row.end);
        Ok((row, columns))
    }

    #[test]
    fn a_row_is_a_tablet_of_the_cells_that_have_values() {
        let (row, columns) = scanned(ROW, RowForm::Node).unwrap();
        assert_eq!((row.time, row.device_at, row.device_bytes, row.end), (1, 8, 6, ROW.len()));
        assert!(row.has_values && !row.needs_types && !row.is_aligned);
        let of = |column: &Column| (column.data_type, column.is_absent);
        let expected =
            [(Some(DataType::Int32), false), (None, true), (Some(DataType::Double), true)];
        assert_eq!(columns.iter().map(of).collect::<Vec<_>>(), expected);
        assert_eq!(columns[0].values_at, 39);
        let tablet = row.as_tablet();
        assert_eq!((tablet.form, tablet.rows, tablet.times_at), (Form::Row, 1, 0));
    }

    #[test]
    fn every_cut_is_an_error() {
        for end in 0..ROW.len() {
            assert!(scanned(&ROW[..end], RowForm::Node).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn raw_strings_and_the_flag_ask_for_types() {
        let mut flagged = ROW.to_vec();
        let flag = ROW.len() - 2;
        flagged[flag] = 1;
        assert!(scanned(&flagged, RowForm::Node).unwrap().0.needs_types);
        let raw = [&ROW[..38], b"\xff\0\0\0\x011\xff\xff\xff\xff\xff\xfe\0\x01"].concat();
        let (row, _) = scanned(&raw, RowForm::Node).unwrap();
        assert!(row.needs_types && row.is_aligned);
    }

    #[test]
    fn tags_that_no_type_has_are_refused() {
        for tag in [6, 7, 13, 0xfc] {
            let mut bytes = ROW.to_vec();
            bytes[38] = tag;
            let got = i8::from_be_bytes([tag]);
            let text =
                format!("cell tag at byte 38: expected a type with values, or a mark, got {got}");
            assert_eq!(scanned(&bytes, RowForm::Node).unwrap_err(), text);
        }
    }

    #[test]
    fn a_row_of_the_log_has_schemas_and_no_flag() {
        let bytes = b"\0\0\0\0\0\0\0\x01\0\0\0\x06root.d\0\0\0\x02\
            \0\0\0\x01a\x01\0\0\0\0\0\0\0\0\0\x01b\x05\0\0\0\0\0\0\x01\0\0\0\x07\xfe\x01";
        let (row, columns) = scanned(bytes, RowForm::Wal).unwrap();
        assert!(row.is_aligned && row.end == bytes.len());
        assert_eq!(columns[1].data_type, Some(DataType::Text), "a null has its schema's type");
        assert!(columns[1].is_absent);
    }
}

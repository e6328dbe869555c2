//! Tablets in every form that a request carries them in.
//!
//! A tablet is one device's rows with a common list of columns. There are four forms; what differs is
//! in brackets:
//!
//! ```text
//!  Node   InsertTabletNode, plan node form      Raw    Tablet of tsfile, 1.x and [2.x] layout
//!  ---------------------------------------      ----------------------------------------------------
//!  string  device                               string  device (or table)
//!  i32     m, columns                           i32     n, rows
//!  i8      hasSchema      [not in Wal]          bool    hasSchemas; if 1:
//!  m x     schema or string                       i32     m, columns
//!  m x i8  data type      [not in Wal]            m x     bool hasSchema = 1, schema, [i8 category]
//!  i32     n, rows                              bool    hasTimes; if 1: n x i64
//!  n x i64 time                                 bool    hasBitMaps; if 1:
//!  bool    hasBitMaps; if 1:                      m x     bool has; if 1: i32 bits, binary bitmap
//!    m x     bool has; if 1: n/8 + 1 bytes      bool    hasValues; if 1:
//!  m x     n values                               m x     bool has; if 1: n values
//!  i8      isAligned                            bool    isAligned (behind the tablet)
//!  [table model: m x i8 category]
//!
//!  schema   string name, i8 data type, i8 encoding, i8 compressor, i32 p, p x (string, string)
//!  bitmap   row r is bit r % 8 of byte r / 8, the least significant bit first; 1 is null
//!  text     Node and Wal: i32 length, bytes        Raw: bool notNull; if 1: i32 length, bytes
//! ```
//!
//! Defined by `InsertTabletNode`, `RelationalInsertTabletNode` (Node, Wal), tsfile's `Tablet` (Raw) and
//! `MeasurementSchema`. [`scan`] checks a whole tablet and notes where things lie, in a few words for
//! the tablet and 16 bytes for each column; nothing grows with the rows. [`super::values`] reads the
//! values of a scanned tablet in memory, [`super::build`] writes tablets.

use super::WireError;
use super::columns::{Columns, ReadColumn};
use super::cursor::{Cursor, ReadError, TEXT_BYTES_MAX};
use crate::data::{DataType, TimeRange};
use crate::limits::{COLUMNS_MAX, NAME_BYTES_MAX, SCHEMA_PROPERTIES_MAX};

/// Which of the four forms a tablet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `InsertTabletNode` as a plan node.
    Node,
    /// `InsertTabletNode` as the write-ahead log keeps it.
    Wal,
    /// tsfile's `Tablet` as 1.x writes it.
    RawV1,
    /// tsfile's `Tablet` as 2.x writes it: a category for each column.
    RawV2,
    /// The cells of a single row (see [`super::row`]): a tablet of one row.
    Row,
}

impl Form {
    /// Whether a text cell has a byte in front that says if there is a value.
    pub const fn has_flagged_cells(self) -> bool {
        matches!(self, Self::RawV1 | Self::RawV2)
    }
}

/// Where a column of a tablet lies. Offsets count from the start of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name: an i32 length, and as many bytes.
    pub name_at: u32,
    /// The first value. Of no meaning in a column that is absent.
    pub values_at: u32,
    /// The first byte of the bitmap; 0 if there is none.
    pub bitmap_at: u32,
    /// Bytes of the name.
    pub name_bytes: u16,
    /// Type of the values; `None` if nothing says, which only an absent column can be.
    pub data_type: Option<DataType>,
    /// Whether there are no values: the column was left out, or the cell is null.
    pub is_absent: bool,
}

/// Where the parts of a tablet lie. Offsets count from the start of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Its form.
    pub form: Form,
    /// The device: an i32 length, and as many bytes.
    pub device_at: usize,
    /// Bytes of the device.
    pub device_bytes: usize,
    /// Number of rows.
    pub rows: usize,
    /// The first time.
    pub times_at: usize,
    /// Smallest and largest time; empty if there are no rows.
    pub time_range: TimeRange,
    /// Whether the device's series are aligned.
    pub is_aligned: bool,
    /// Behind `isAligned`; in the table model in front of the categories.
    pub end: usize,
}

/// Checks the tablet of the form `form` at the cursor, goes behind its `isAligned`, and fills `columns`
/// anew. Not for [`Form::Row`], which [`super::row`] reads.
///
/// # Errors
/// [`ReadError::Malformed`] where the bytes are not such a tablet: too short, a count or a name beyond
/// its limit, a data type that does not exist, a raw tablet without times, or a bitmap shorter than
/// the rows. [`ReadError::Disk`] if the request cannot be read.
pub fn scan(
    cursor: &mut Cursor<'_>,
    form: Form,
    columns: &mut Columns,
) -> Result<Layout, ReadError> {
    columns.clear();
    let device_at = cursor.at();
    let device_bytes = cursor.check_name("device")?;
    let rows = match form {
        Form::RawV1 | Form::RawV2 => raw_head(cursor, form, columns)?,
        Form::Node | Form::Row => node_head(cursor, columns)?,
        Form::Wal => {
            columns_of(cursor, columns, schema)?;
            cursor.count(ROWS_MAX, "rows")?
        }
    };
    let times_at = cursor.at();
    let time_range = times(cursor, rows)?;
    if form.has_flagged_cells() {
        raw_bitmaps(cursor, rows, columns)?;
        raw_values(cursor, rows, columns)?;
    } else {
        node_bitmaps(cursor, rows, columns)?;
        node_values(cursor, rows, columns)?;
    }
    let is_aligned = cursor.bool("isAligned")?;
    let end = cursor.at();
    Ok(Layout { form, device_at, device_bytes, rows, times_at, time_range, is_aligned, end })
}

/// A count of rows has no limit of its own: each row needs 8 bytes of what is left for its time.
const ROWS_MAX: usize = 0x7fff_ffff;

fn node_head(cursor: &mut Cursor<'_>, columns: &mut Columns) -> Result<usize, ReadError> {
    let count = cursor.count(COLUMNS_MAX, "columns")?;
    let has_schemas = cursor.u8("hasSchema")? == 1;
    columns.fill(cursor, count, if has_schemas { schema } else { name })?;
    for column in columns.iter_mut() {
        column.data_type = Some(data_type(cursor)?);
    }
    cursor.count(ROWS_MAX, "rows")
}

fn raw_head(
    cursor: &mut Cursor<'_>,
    form: Form,
    columns: &mut Columns,
) -> Result<usize, ReadError> {
    let rows = cursor.count(ROWS_MAX, "rows")?;
    if cursor.bool("hasSchemas")? {
        columns_of(cursor, columns, if form == Form::RawV1 { raw_schema } else { raw_v2_schema })?;
    }
    let at = cursor.at();
    if !cursor.bool("hasTimes")? && rows > 0 {
        return Err(value("hasTimes", at, "1, as there are rows", 0));
    }
    Ok(rows)
}

fn columns_of(
    cursor: &mut Cursor<'_>,
    columns: &mut Columns,
    read: ReadColumn,
) -> Result<(), ReadError> {
    let count = cursor.count(COLUMNS_MAX, "columns")?;
    columns.fill(cursor, count, read)
}

/// A column of which only the name stands here.
pub(super) fn name(cursor: &mut Cursor<'_>) -> Result<Column, ReadError> {
    let name_at = offset(cursor.at());
    let name_bytes = u16::try_from(cursor.check_name("measurement")?).unwrap_or_default();
    let (data_type, is_absent) = (None, false);
    Ok(Column { name_at, values_at: 0, bitmap_at: 0, name_bytes, data_type, is_absent })
}

fn schema(cursor: &mut Cursor<'_>) -> Result<Column, ReadError> {
    let mut column = name(cursor)?;
    column.data_type = Some(data_type(cursor)?);
    skip_schema_rest(cursor)?;
    Ok(column)
}

/// Goes over what follows the data type of a schema: encoding, compressor, properties.
pub(super) fn skip_schema_rest(cursor: &mut Cursor<'_>) -> Result<(), ReadError> {
    cursor.skip(2, "encoding and compressor")?;
    for _ in 0..cursor.count(SCHEMA_PROPERTIES_MAX, "schema properties")? {
        cursor.skip_nullable("schema property")?;
        cursor.skip_nullable("schema property")?;
    }
    Ok(())
}

fn raw_schema(cursor: &mut Cursor<'_>) -> Result<Column, ReadError> {
    let at = cursor.at();
    match cursor.u8("hasSchema of a column")? {
        1 => schema(cursor),
        got => Err(value("hasSchema of a column", at, "1", i64::from(got))),
    }
}

fn raw_v2_schema(cursor: &mut Cursor<'_>) -> Result<Column, ReadError> {
    let column = raw_schema(cursor)?;
    let at = cursor.at();
    match cursor.u8("column category")? {
        0..=3 => Ok(column),
        got => Err(value("column category", at, "0 to 3", i64::from(got))),
    }
}

pub(super) fn data_type(cursor: &mut Cursor<'_>) -> Result<DataType, ReadError> {
    let at = cursor.at();
    let code = cursor.u8("data type")?;
    DataType::from_code(code)
        .ok_or_else(|| value("data type", at, "a type with values", i64::from(code)))
}

fn times(cursor: &mut Cursor<'_>, rows: usize) -> Result<TimeRange, ReadError> {
    let mut left = rows.saturating_mul(8);
    if left > cursor.left() {
        cursor.skip(left, "times")?;
    }
    let mut range = TimeRange::EMPTY;
    while left >= 8 {
        let at = cursor.at();
        let (times, _) = cursor.run(left, "times")?.as_chunks::<8>();
        for time in times {
            range.include(i64::from_be_bytes(*time));
        }
        let taken = times.len() * 8;
        cursor.seek(at + taken);
        left -= taken;
    }
    Ok(range)
}

fn node_bitmaps(
    cursor: &mut Cursor<'_>,
    rows: usize,
    columns: &mut [Column],
) -> Result<(), ReadError> {
    if !cursor.bool("hasBitMaps")? {
        return Ok(());
    }
    for column in columns {
        if cursor.bool("has bitmap")? {
            column.bitmap_at = offset(cursor.at());
            cursor.skip(bitmap_bytes(rows), "bitmap")?;
        }
    }
    Ok(())
}

fn raw_bitmaps(
    cursor: &mut Cursor<'_>,
    rows: usize,
    columns: &mut [Column],
) -> Result<(), ReadError> {
    if !cursor.bool("hasBitMaps")? {
        return Ok(());
    }
    for column in columns {
        if !cursor.bool("has bitmap")? {
            continue;
        }
        cursor.count(ROWS_MAX, "bits of a bitmap")?;
        let at = cursor.at();
        let bytes = cursor.count(ROWS_MAX, "bytes of a bitmap")?;
        if bytes.saturating_mul(8) < rows {
            let got = i64::try_from(bytes).unwrap_or(i64::MAX);
            return Err(value("bytes of a bitmap", at, "a bit for each row", got));
        }
        column.bitmap_at = offset(cursor.at());
        cursor.skip(bytes, "bitmap")?;
    }
    Ok(())
}

fn node_values(
    cursor: &mut Cursor<'_>,
    rows: usize,
    columns: &mut [Column],
) -> Result<(), ReadError> {
    for column in columns {
        column.values_at = offset(cursor.at());
        match column.data_type.and_then(DataType::value_bytes) {
            Some(bytes) => cursor.skip_each(rows, bytes, "values")?,
            None => cursor.skip_texts(rows, "text")?,
        }
    }
    Ok(())
}

fn raw_values(
    cursor: &mut Cursor<'_>,
    rows: usize,
    columns: &mut [Column],
) -> Result<(), ReadError> {
    let has_values = cursor.bool("hasValues")?;
    for column in columns {
        column.is_absent = !has_values || !cursor.bool("has values")?;
        column.values_at = offset(cursor.at());
        match column.data_type.and_then(DataType::value_bytes) {
            _ if column.is_absent => {}
            Some(bytes) => cursor.skip_each(rows, bytes, "values")?,
            None => skip_flagged_texts(cursor, rows)?,
        }
    }
    Ok(())
}

fn skip_flagged_texts(cursor: &mut Cursor<'_>, rows: usize) -> Result<(), ReadError> {
    for _ in 0..rows {
        if cursor.bool("notNull")? {
            let bytes = cursor.count(TEXT_BYTES_MAX, "text")?;
            cursor.skip(bytes, "text")?;
        }
    }
    Ok(())
}

/// Bytes of the bitmap of a column with `rows` rows in the forms Node and Wal.
pub const fn bitmap_bytes(rows: usize) -> usize {
    rows / 8 + 1
}

/// An offset in a request; requests are shorter than 4 GiB.
#[inline]
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

pub(super) fn value(
    what: &'static str,
    offset: usize,
    expected: &'static str,
    got: i64,
) -> ReadError {
    WireError::Value { what, offset, expected, got }.into()
}

const _: () = assert!(NAME_BYTES_MAX <= 0xffff);
const _: () = assert!(size_of::<Column>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    /// root.d, a INT32 7, 8, b TEXT "x", null; not aligned, without schemas.
    const NODE: &[u8] = b"\0\0\0\x06root.d\0\0\0\x02\0\0\0\0\x01a\0\0\0\x01b\x01\x05\
        \0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x01\0\x01\x02\
        \0\0\0\x07\0\0\0\x08\0\0\0\x01x\0\0\0\0\0";
    const RAW: &[u8] = b"\0\0\0\x06root.d\0\0\0\x02\x01\0\0\0\x02\
        \x01\0\0\0\x01a\x01\0\0\0\0\0\0\x01\0\0\0\x01b\x05\0\0\0\0\0\0\
        \x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x01\0\x01\0\0\0\x02\0\0\0\x01\x02\
        \x01\0\x01\x01\0\0\0\x01x\0\x01";

    fn scanned(bytes: &[u8], form: Form) -> Result<(Layout, Columns), String> {
        let mut columns = Columns::new();
        let mut cursor = Cursor::memory(bytes);
        let layout = scan(&mut cursor, form, &mut columns).map_err(|error| error.to_string())?;
        assert_eq!(cursor.at(), layout.end);
        Ok((layout, columns))
    }

    #[test]
    fn a_node_is_scanned() {
        let (layout, columns) = scanned(NODE, Form::Node).unwrap();
        assert_eq!((layout.device_at, layout.device_bytes, layout.rows), (0, 6, 2));
        assert_eq!(layout.time_range, TimeRange { min: 1, max: 2 });
        assert_eq!((layout.end, layout.is_aligned), (NODE.len(), false));
        let places: Vec<_> =
            columns.iter().map(|c| (c.name_at, c.bitmap_at, c.values_at)).collect();
        assert_eq!(places, [(15, 0, 51), (20, 50, 59)]);
    }

    #[test]
    fn a_raw_tablet_is_scanned_with_its_absent_column() {
        let (layout, columns) = scanned(RAW, Form::RawV1).unwrap();
        assert_eq!((layout.rows, layout.end, layout.is_aligned), (2, RAW.len(), true));
        assert!(columns[0].is_absent && !columns[1].is_absent);
        assert_eq!(columns[1].data_type, Some(DataType::Text));
    }

    #[test]
    fn every_cut_is_an_error() {
        for end in 0..NODE.len() {
            assert!(scanned(&NODE[..end], Form::Node).is_err(), "node of {end} bytes");
        }
        for end in 0..RAW.len() {
            assert!(scanned(&RAW[..end], Form::RawV1).is_err(), "tablet of {end} bytes");
        }
    }

    #[test]
    fn no_flipped_bit_panics() {
        for (bytes, form) in [(NODE, Form::Node), (RAW, Form::RawV1), (RAW, Form::RawV2)] {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let scanned = scanned(&flipped, form);
                assert!(
                    scanned.is_err() || scanned.is_ok_and(|(found, _)| found.end <= bytes.len())
                );
            }
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let changed = |at: usize, to: &[u8], form| {
            let source = if form == Form::Node { NODE } else { RAW };
            let mut bytes = source.to_vec();
            bytes[at..at + to.len()].copy_from_slice(to);
            scanned(&bytes, form).unwrap_err()
        };
        assert_eq!(
            changed(0, &[0xff; 4], Form::Node),
            "device at byte 0: expected 0 to 4096, got -1"
        );
        assert_eq!(
            changed(10, &[0, 0, 0x40, 1], Form::Node),
            "columns at byte 10: expected 0 to 16384, got 16385"
        );
        assert_eq!(
            changed(25, &[7], Form::Node),
            "data type at byte 25: expected a type with values, got 7"
        );
        assert_eq!(
            changed(27, &[0x7f, 0xff, 0xff, 0xff], Form::Node),
            "times at byte 31: 17179869176 bytes needed, 38 left"
        );
        assert_eq!(
            changed(19, &[2], Form::RawV1),
            "hasSchema of a column at byte 19: expected 1, got 2"
        );
        assert_eq!(
            changed(45, &[0], Form::RawV1),
            "hasTimes at byte 45: expected 1, as there are rows, got 0"
        );
        assert_eq!(
            changed(69, &[0, 0, 0, 0], Form::RawV1),
            "bytes of a bitmap at byte 69: expected a bit for each row, got 0"
        );
    }
}

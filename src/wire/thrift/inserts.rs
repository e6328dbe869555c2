//! What clients write, as the requests that a pipe would bring.
//!
//! ```text
//!  insertTablet(s)        timestamps, columns behind each other, bitmaps    -> InsertTabletNode, type 2; of several type 6
//!  insertRecord(s)        a cell for each measurement: i8 tag, value        -> InsertRowNode, InsertRowsNode, type 2
//!  ...OfOneDevice
//!  insertString...        a text for each measurement, see `infer`
//!
//!  bitmaps  nothing, or for each column: i8 0, or i8 1 and rows / 8 + 1 bytes; row r is bit r % 8 of byte r / 8, the least
//!           significant first; 1 is null. What stands in bits behind the last row means nothing.
//! ```
//!
//! Defined by IoTDB's `client.thrift` (`TSInsertTabletReq`, `TSInsertRecordReq` and the others), `SessionUtils` and
//! `InsertRowStatement`. Cells of records have the tags of [`crate::wire::row`], and values of tablets the order of
//! [`crate::wire::tablet`], so values are copied and not looked at, but for days. A request that says of itself what is not
//! so is refused. What is put somewhere can be measured first, see [`measured`].

use super::infer::{self, put_inferred};
use super::status::Code;
use super::view::ListOf;
use super::{TSStatus, ThriftError};
use crate::data::{DataType, legal};
use crate::limits::{
    COLUMNS_MAX, NAME_BYTES_MAX, REQUEST_MEMORY_BYTES_MAX, SESSION_REQUEST_BYTES_MAX,
};
use crate::wire::build::{node_tail, request};
use crate::wire::bytes::{Reader, WireError, Writer};
use crate::wire::node::NodeType;
use crate::wire::request::RequestType;
use crate::wire::row::TAG_NULL;
use crate::wire::tablet::bitmap_bytes;

/// Plan node id of what has no identity yet: that of stock's own senders.
const PLAN_NODE_ID: &[u8] = b"1";

/// Rows of one device with a common list of columns.
#[derive(Debug, Clone, Copy)]
pub struct TabletOf<'a> {
    /// Path of the device.
    pub device: &'a str,
    /// Names of the columns.
    pub measurements: ListOf<'a, &'a str>,
    /// Columns behind each other, then the bitmaps.
    pub values: &'a [u8],
    /// The times, eight bytes each.
    pub times: &'a [u8],
    /// Types of the columns.
    pub types: ListOf<'a, i32>,
    /// As stated.
    pub rows: i32,
    /// Whether its series are aligned.
    pub is_aligned: bool,
}

/// How times and values of a tablet are encoded.
#[derive(Debug, Clone, Copy)]
pub struct Packing<'a> {
    /// Codes of encodings (`TSEncoding`): that of the times, then that of each column.
    pub encodings: Option<ListOf<'a, i8>>,
    /// Code of the compressor (`CompressionType`) of the times as a whole, and of the values with their bitmaps.
    pub compressor: i8,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct RecordOf<'a> {
    /// Path of the device.
    pub device: &'a str,
    /// Names of the series.
    pub measurements: ListOf<'a, &'a str>,
    /// A value for each of them.
    pub cells: Cells<'a>,
    /// Its time.
    pub time: i64,
    /// Whether the series are aligned.
    pub is_aligned: bool,
}

/// Values of a row.
#[derive(Debug, Clone, Copy)]
pub enum Cells<'a> {
    /// A tag and a value each.
    Tagged(&'a [u8]),
    /// Texts, whose types are inferred.
    Texts(ListOf<'a, &'a str>),
}

/// Why something cannot be written: what its client is told.
#[derive(Debug)]
pub struct Refusal(pub Box<TSStatus>);

impl From<ThriftError> for Refusal {
    fn from(error: ThriftError) -> Self {
        refusal(Code::ILLEGAL_PARAMETER, &format!("the call cannot be read: {error}"))
    }
}

/// Bytes that `put` puts.
pub fn measured(put: impl FnOnce(&mut Writer<'_>)) -> usize {
    let mut out = Writer::into_slice(&mut []);
    put(&mut out);
    out.written()
}

/// Puts a request of one node, version and type in front.
pub fn put_request(out: &mut Writer<'_>, node: impl FnOnce(&mut Writer<'_>)) {
    request(RequestType::TabletInsertNode, out);
    node(out);
}

/// Puts a request of so many nodes, which are put one by one.
pub fn put_batch(out: &mut Writer<'_>, nodes: usize, each: impl FnOnce(&mut Writer<'_>)) {
    request(RequestType::TabletBatch, out);
    out.i32(0); // entries of a log
    out.count(nodes);
    each(out);
    out.i32(0); // raw tablets
}

/// Bytes of a batch beside its nodes.
pub const BATCH_BYTES: usize = 3 + 3 * size_of::<i32>();

/// Whether a request of so many bytes is taken.
///
/// # Errors
/// It is larger than [`REQUEST_MEMORY_BYTES_MAX`].
pub fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes <= REQUEST_MEMORY_BYTES_MAX { Ok(()) } else { Err(too_large()) }
}

impl TabletOf<'_> {
    /// Types, and how many rows there are.
    ///
    /// # Errors
    /// There are none, or of another number than measurements; a name is one that no IoTDB takes.
    pub fn check_head(&self) -> Result<(Vec<DataType>, usize), Refusal> {
        check_names(self.device, self.measurements)?;
        let rows = usize::try_from(self.rows).unwrap_or(0);
        if rows == 0 || self.types.len() != self.measurements.len() {
            return Err(inconsistent(self.device, "rows, times, types and measurements"));
        }
        let types = self.types.iter().map(data_type).collect::<Result<Vec<_>, _>>()?;
        Ok((types, rows))
    }

    /// Where values end and bitmaps begin, if times, values and bitmaps are what they should be.
    ///
    /// # Errors
    /// They are not, or a name is one that no IoTDB takes.
    pub fn check(&self) -> Result<usize, Refusal> {
        let (types, rows) = self.check_head()?;
        if self.times.len() != rows.saturating_mul(size_of::<i64>()) {
            return Err(inconsistent(self.device, "rows, times, types and measurements"));
        }
        let end = values_bytes(self.values, &types, rows)
            .map_err(|_| inconsistent(self.device, "values"))?;
        let (values, bitmaps) = self.values.split_at_checked(end).unwrap_or_default();
        self.check_cells(&types, rows, values, bitmaps)?;
        Ok(end)
    }

    /// Whether bitmaps are what they should be, and days are days.
    ///
    /// # Errors
    /// They are not.
    pub fn check_cells(
        &self,
        types: &[DataType],
        rows: usize,
        values: &[u8],
        bitmaps: &[u8],
    ) -> Result<(), Refusal> {
        check_bitmaps(bitmaps, types.len(), rows)
            .map_err(|_| inconsistent(self.device, "bitmaps"))?;
        match bad_day(values, bitmaps, types, rows) {
            None => Ok(()),
            Some((column, day)) => {
                let name = self.measurements.iter().nth(column).unwrap_or_default();
                Err(no_day(self.device, name, day))
            }
        }
    }

    /// Puts the node in front of its times.
    pub fn put_head(&self, out: &mut Writer<'_>) {
        out.i16(NodeType::InsertTablet.code());
        out.binary(self.device.as_bytes());
        out.count(self.measurements.len());
        out.bool(false);
        put_names(self.measurements.iter(), out);
        for code in self.types.iter() {
            out.put(code.to_be_bytes().last_chunk::<1>().unwrap_or(&[0]));
        }
        out.i32(self.rows);
    }

    /// Puts what follows the values.
    pub fn put_tail(&self, out: &mut Writer<'_>) {
        out.bool(self.is_aligned);
        node_tail(PLAN_NODE_ID, out);
    }

    /// Puts the node that it is; `values_end` as of [`Self::check`].
    pub fn put_node(&self, values_end: usize, out: &mut Writer<'_>) {
        let (values, bitmaps) = self.values.split_at_checked(values_end).unwrap_or_default();
        self.put_head(out);
        out.put(self.times);
        out.bool(!bitmaps.is_empty());
        out.put(bitmaps);
        out.put(values);
        self.put_tail(out);
    }
}

impl RecordOf<'_> {
    /// Whether there is a cell for each measurement, each is what it says, and names are legal.
    ///
    /// # Errors
    /// They are not.
    pub fn check(&self) -> Result<(), Refusal> {
        check_names(self.device, self.measurements)?;
        match self.cells {
            Cells::Tagged(cells) => self.check_tagged(cells),
            Cells::Texts(texts) if texts.len() != self.measurements.len() => {
                Err(inconsistent(self.device, "values and measurements"))
            }
            Cells::Texts(texts) => {
                let named = self.measurements.iter().zip(texts.iter());
                for (name, text) in named {
                    put_inferred(text, &mut Writer::into_slice(&mut []))
                        .map_err(|why| in_series(self.device, name, &why))?;
                }
                Ok(())
            }
        }
    }

    fn check_tagged(&self, cells: &[u8]) -> Result<(), Refusal> {
        let flawed = |_: WireError| inconsistent(self.device, "values");
        let mut reader = Reader::new(cells);
        for name in self.measurements.iter() {
            let Some(data_type) = tagged_type(&mut reader).map_err(flawed)? else { continue };
            let value = match data_type.value_bytes() {
                Some(bytes) => reader.take(bytes, "value").map_err(flawed)?,
                None => reader.binary(cells.len(), "text").map_err(flawed)?,
            };
            let day = value.first_chunk().filter(|_| data_type == DataType::Date);
            let day = day.map(|bytes| i32::from_be_bytes(*bytes));
            if let Some(day) = day.filter(|day| !legal::is_day(*day)) {
                return Err(no_day(self.device, name, day));
            }
        }
        reader.finish().map_err(flawed)
    }

    fn put(&self, out: &mut Writer<'_>) {
        let place = (self.time, self.device, self.measurements.len());
        put_row(out, place, self.measurements.iter(), self.is_aligned, |out| match self.cells {
            Cells::Tagged(cells) => out.put(cells),
            Cells::Texts(texts) => {
                // They were checked: what cannot be put is not here.
                texts.iter().for_each(|text| drop(put_inferred(text, out)));
            }
        });
    }
}

/// Puts the node of several rows, or of one, which are checked.
pub fn put_records<'a>(
    count: usize,
    records: impl Iterator<Item = RecordOf<'a>>,
    out: &mut Writer<'_>,
) {
    put_rows(count, out, |out| records.for_each(|record| record.put(out)));
}

/// The same for rows of another making; each is put by [`put_row`].
pub fn put_rows(count: usize, out: &mut Writer<'_>, rows: impl FnOnce(&mut Writer<'_>)) {
    if count == 1 {
        out.i16(NodeType::InsertRow.code());
        rows(out);
    } else {
        out.i16(NodeType::InsertRows.code());
        out.count(count);
        rows(out);
        (0..count).for_each(|index| out.count(index));
    }
    node_tail(PLAN_NODE_ID, out);
}

/// Puts a row: its time, its device, how many series it has; their names; a cell for each.
pub fn put_row<'n>(
    out: &mut Writer<'_>,
    (time, device, series): (i64, &str, usize),
    names: impl Iterator<Item = &'n str>,
    is_aligned: bool,
    cells: impl FnOnce(&mut Writer<'_>),
) {
    out.i64(time);
    out.binary(device.as_bytes());
    out.count(series);
    out.bool(false);
    put_names(names, out);
    cells(out);
    out.bool(false);
    out.bool(is_aligned);
}

fn put_names<'n>(names: impl Iterator<Item = &'n str>, out: &mut Writer<'_>) {
    names.for_each(|name| out.binary(name.as_bytes()));
}

/// The type that stands in front of a cell; `None` for a null.
fn tagged_type(reader: &mut Reader<'_>) -> Result<Option<DataType>, WireError> {
    let tag = reader.i8("tag")?;
    if tag == TAG_NULL {
        return Ok(None);
    }
    let code = u8::try_from(tag).ok().and_then(DataType::from_code);
    let unknown = || WireError::Value {
        what: "tag",
        offset: reader.offset(),
        expected: "a data type or -2",
        got: i64::from(tag),
    };
    code.ok_or_else(unknown).map(Some)
}

/// What is refused because it is too much at once.
pub fn too_large() -> Refusal {
    let message = format!(
        "the request is, or becomes, larger than {} KiB, which this node takes at once: write fewer rows at a time",
        SESSION_REQUEST_BYTES_MAX / 1024
    );
    refusal(Code::WRITE_PROCESS_REJECT, &message)
}

/// Bytes that the values of all columns take.
fn values_bytes(values: &[u8], types: &[DataType], rows: usize) -> Result<usize, WireError> {
    let mut reader = Reader::new(values);
    for data_type in types {
        column_bytes(&mut reader, *data_type, rows)?;
    }
    Ok(reader.offset())
}

/// Takes a column off.
///
/// # Errors
/// It ends too early.
pub fn column_bytes<'a>(
    reader: &mut Reader<'a>,
    data_type: DataType,
    rows: usize,
) -> Result<&'a [u8], WireError> {
    let column = reader.rest();
    let start = reader.offset();
    match data_type.value_bytes() {
        Some(bytes) => drop(reader.take(bytes.saturating_mul(rows), "values")?),
        None => {
            for _ in 0..rows {
                reader.binary(column.len(), "text")?;
            }
        }
    }
    Ok(column.get(..reader.offset() - start).unwrap_or_default())
}

fn check_bitmaps(bitmaps: &[u8], columns: usize, rows: usize) -> Result<(), WireError> {
    let mut reader = Reader::new(bitmaps);
    for _ in 0..columns {
        if reader.left() == 0 && reader.offset() == 0 {
            return Ok(());
        }
        bitmap(&mut reader, rows)?;
    }
    reader.finish()
}

/// Takes the bitmap of a column off; it is empty if no value is null.
fn bitmap<'a>(reader: &mut Reader<'a>, rows: usize) -> Result<&'a [u8], WireError> {
    if reader.u8("bitmap's flag")? == 1 {
        reader.take(bitmap_bytes(rows), "bitmap")
    } else {
        Ok(&[])
    }
}

/// The first value of a column of days that is none, with the column's number.
fn bad_day(values: &[u8], bitmaps: &[u8], types: &[DataType], rows: usize) -> Option<(usize, i32)> {
    if !types.contains(&DataType::Date) {
        return None;
    }
    let (mut values, mut bitmaps) = (Reader::new(values), Reader::new(bitmaps));
    for (number, data_type) in types.iter().enumerate() {
        let column = column_bytes(&mut values, *data_type, rows).ok()?;
        let nulls = bitmap(&mut bitmaps, rows).unwrap_or_default();
        if *data_type != DataType::Date {
            continue;
        }
        let is_null =
            |row: usize| nulls.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1);
        let days = column.as_chunks::<4>().0.iter().map(|bytes| i32::from_be_bytes(*bytes));
        let bad = days.enumerate().find(|(row, day)| !legal::is_day(*day) && !is_null(*row));
        if let Some((_, day)) = bad {
            return Some((number, day));
        }
    }
    None
}

/// The type of a column.
///
/// # Errors
/// There is none with this code.
pub fn data_type(code: i32) -> Result<DataType, Refusal> {
    let known = u8::try_from(code).ok().and_then(DataType::from_code);
    known.ok_or_else(|| refusal(Code::ILLEGAL_PARAMETER, &format!("there is no data type {code}")))
}

fn check_names(device: &str, measurements: ListOf<'_, &str>) -> Result<(), Refusal> {
    check_device(device, measurements.len())?;
    measurements.iter().try_for_each(|name| check_series(device, name))
}

/// Whether a device may have this path, and so many series in a row.
///
/// # Errors
/// It may not.
pub fn check_device(device: &str, series: usize) -> Result<(), Refusal> {
    if !legal::is_device(device) {
        return Err(refusal(Code::ILLEGAL_PATH, &format!("{device:?} is not a legal path")));
    }
    if device.len() > NAME_BYTES_MAX || series > COLUMNS_MAX {
        let message = format!(
            "the device has {} bytes of a name, and {series} series in a row; {} and {} are taken",
            device.len(),
            NAME_BYTES_MAX,
            COLUMNS_MAX
        );
        return Err(refusal(Code::ILLEGAL_PARAMETER, &message));
    }
    Ok(())
}

/// Whether a series may have this name.
///
/// # Errors
/// It may not.
pub fn check_series(device: &str, name: &str) -> Result<(), Refusal> {
    if name.len() > NAME_BYTES_MAX {
        let message = format!(
            "{device}: the name of a series has {} bytes; {} are taken",
            name.len(),
            NAME_BYTES_MAX
        );
        return Err(refusal(Code::ILLEGAL_PARAMETER, &message));
    }
    if legal::is_measurement(name) {
        return Ok(());
    }
    Err(refusal(Code::ILLEGAL_PATH, &format!("{device}: {name:?} is not a legal path")))
}

pub(super) fn same_lengths(count: usize, lengths: &[usize]) -> Result<usize, Refusal> {
    if count > 0 && lengths.iter().all(|length| *length == count) {
        return Ok(count);
    }
    Err(refusal(Code::ILLEGAL_PARAMETER, "the lists of the request are not of one length"))
}

fn inconsistent(device: &str, what: &str) -> Refusal {
    refusal(Code::ILLEGAL_PARAMETER, &format!("{device}: {what} do not fit together"))
}

fn no_day(device: &str, name: &str, day: i32) -> Refusal {
    let message = format!("{device}: {name}: {day} is no day: from 10000101 to 99991231");
    refusal(Code::ILLEGAL_PARAMETER, &message)
}

/// What is wrong with the value of a series.
pub fn in_series(device: &str, name: &str, why: &infer::NoValue) -> Refusal {
    refusal(Code::ILLEGAL_PARAMETER, &format!("{device}: {name}: {why}"))
}

pub(super) fn table_model() -> Refusal {
    refusal(Code::UNSUPPORTED_OPERATION, "this node takes the tree model only")
}

/// Why something is not taken, in these words.
pub fn refusal(code: Code, message: &str) -> Refusal {
    Refusal(Box::new(code.status(message)))
}

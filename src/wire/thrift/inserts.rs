//! What clients write, as the requests that a pipe would bring.
//!
//! ```text
//!  insertTablet(s)        timestamps, columns behind each other, bitmaps    -> InsertTabletNode, type 2
//!  insertRecord(s)        a cell for each measurement: i8 tag, value        -> InsertRowNode, InsertRowsNode, type 2
//!  ...OfOneDevice
//!
//!  bitmaps  nothing, or for each column: i8 0, or i8 1 and rows / 8 + 1 bytes; row r is bit r % 8 of byte r / 8, the least
//!           significant first; 1 is null. What stands in bits behind the last row means nothing.
//! ```
//!
//! Defined by IoTDB's `client.thrift` (`TSInsertTabletReq`, `TSInsertRecordReq` and the others), `SessionUtils` and
//! `InsertRowStatement`. Cells of records have the tags of [`crate::wire::row`], and values of tablets the order of
//! [`crate::wire::tablet`], so values are copied and not looked at. A request that says of itself what is not so is refused.

use super::status::Code;
use super::{
    TSInsertRecordReq, TSInsertRecordsOfOneDeviceReq, TSInsertRecordsReq, TSInsertTabletReq,
    TSInsertTabletsReq, TSStatus,
};
use crate::data::{DataType, legal};
use crate::limits::{REQUEST_MEMORY_BYTES_MAX, SESSION_REQUEST_BYTES_MAX};
use crate::wire::build::{node_tail, request};
use crate::wire::bytes::{Reader, WireError, Writer};
use crate::wire::node::NodeType;
use crate::wire::request::RequestType;
use crate::wire::tablet::bitmap_bytes;

/// Plan node id of what has no identity yet: that of stock's own senders.
const PLAN_NODE_ID: &[u8] = b"1";

/// Rows of one device with a common list of columns.
#[derive(Debug, Clone, Copy)]
pub struct TabletOf<'a> {
    /// Path of the device.
    pub device: &'a str,
    /// Names of the columns.
    pub measurements: &'a [String],
    /// Columns behind each other, then the bitmaps.
    pub values: &'a [u8],
    /// The times, eight bytes each.
    pub times: &'a [u8],
    /// Types of the columns.
    pub types: &'a [i32],
    /// As stated.
    pub rows: i32,
    /// Whether its series are aligned.
    pub is_aligned: bool,
}

/// How times and values of a tablet are encoded.
#[derive(Debug, Clone, Copy)]
pub struct Packing<'a> {
    /// Codes of encodings (`TSEncoding`): that of the times, then that of each column.
    pub encodings: &'a [i8],
    /// Code of the compressor (`CompressionType`) of the times as a whole, and of the values with their bitmaps.
    pub compressor: i8,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct RecordOf<'a> {
    device: &'a str,
    measurements: &'a [String],
    cells: &'a [u8],
    time: i64,
    is_aligned: bool,
}

/// Why something cannot be written: what its client is told.
#[derive(Debug)]
pub struct Refusal(pub Box<TSStatus>);

impl TSInsertTabletReq {
    /// The tablet in it; its times and values are encoded if there is a [`Self::packing`].
    ///
    /// # Errors
    /// It is of the table model.
    pub fn tablet(&self) -> Result<TabletOf<'_>, Refusal> {
        if self.write_to_table == Some(true) {
            return Err(table_model());
        }
        Ok(TabletOf {
            device: &self.prefix_path,
            measurements: &self.measurements,
            values: &self.values,
            times: &self.timestamps,
            types: &self.types,
            rows: self.size,
            is_aligned: self.is_aligned.unwrap_or(false),
        })
    }

    /// How its times and values are encoded, if they are: what sessions of Java 2.0 do from ten rows on.
    pub fn packing(&self) -> Option<Packing<'_>> {
        (self.is_compressed == Some(true)).then(|| Packing {
            encodings: self.encoding_types.as_deref().unwrap_or_default(),
            compressor: self.compress_type.unwrap_or(0),
        })
    }
}

impl TSInsertTabletsReq {
    /// The tablets in it.
    ///
    /// # Errors
    /// The lists are not of one length.
    pub fn tablets(&self) -> Result<Vec<TabletOf<'_>>, Refusal> {
        let count = self.prefix_paths.len();
        let lengths = [
            self.measurements_list.len(),
            self.values_list.len(),
            self.timestamps_list.len(),
            self.types_list.len(),
            self.size_list.len(),
        ];
        same_lengths(count, &lengths)?;
        let lists = self.prefix_paths.iter().zip(&self.measurements_list).zip(&self.values_list);
        let lists = lists.zip(&self.timestamps_list).zip(&self.types_list).zip(&self.size_list);
        let tablets =
            lists.map(|(((((device, measurements), values), times), types), rows)| TabletOf {
                device,
                measurements,
                values,
                times,
                types,
                rows: *rows,
                is_aligned: self.is_aligned.unwrap_or(false),
            });
        Ok(tablets.collect())
    }
}

impl TSInsertRecordReq {
    /// The row in it.
    ///
    /// # Errors
    /// It is of the table model.
    pub fn records(&self) -> Result<Vec<RecordOf<'_>>, Refusal> {
        if self.is_write_to_table == Some(true) {
            return Err(table_model());
        }
        Ok(vec![RecordOf {
            device: &self.prefix_path,
            measurements: &self.measurements,
            cells: &self.values,
            time: self.timestamp,
            is_aligned: self.is_aligned.unwrap_or(false),
        }])
    }
}

impl TSInsertRecordsReq {
    /// The rows in it.
    ///
    /// # Errors
    /// The lists are not of one length.
    pub fn records(&self) -> Result<Vec<RecordOf<'_>>, Refusal> {
        let lists = (&*self.measurements_list, &*self.values_list, &*self.timestamps);
        records(self.prefix_paths.iter().map(String::as_str), lists, self.is_aligned)
    }
}

impl TSInsertRecordsOfOneDeviceReq {
    /// The rows in it.
    ///
    /// # Errors
    /// The lists are not of one length.
    pub fn records(&self) -> Result<Vec<RecordOf<'_>>, Refusal> {
        let lists = (&*self.measurements_list, &*self.values_list, &*self.timestamps);
        let devices = self.timestamps.iter().map(|_| self.prefix_path.as_str());
        records(devices, lists, self.is_aligned)
    }
}

fn records<'a>(
    devices: impl ExactSizeIterator<Item = &'a str>,
    (measurements, cells, times): (&'a [Vec<String>], &'a [Vec<u8>], &'a [i64]),
    is_aligned: Option<bool>,
) -> Result<Vec<RecordOf<'a>>, Refusal> {
    same_lengths(devices.len(), &[measurements.len(), cells.len(), times.len()])?;
    let lists = devices.zip(measurements).zip(cells).zip(times);
    let records = lists.map(|(((device, measurements), cells), time)| RecordOf {
        device,
        measurements,
        cells,
        time: *time,
        is_aligned: is_aligned.unwrap_or(false),
    });
    Ok(records.collect())
}

/// The request that a tablet is, version and type in front; in `payload`, which is emptied.
///
/// # Errors
/// It says of itself what is not so, has a name that no IoTDB takes, or is larger than [`REQUEST_MEMORY_BYTES_MAX`].
pub fn write_tablet(tablet: &TabletOf<'_>, payload: &mut Vec<u8>) -> Result<(), Refusal> {
    check_names(tablet.device, tablet.measurements)?;
    let rows = usize::try_from(tablet.rows).unwrap_or(0);
    let is_consistent = rows > 0
        && tablet.times.len() == rows.saturating_mul(size_of::<i64>())
        && tablet.types.len() == tablet.measurements.len();
    if !is_consistent {
        return Err(inconsistent(tablet.device, "rows, times, types and measurements"));
    }
    let types = tablet.types.iter().map(|code| data_type(*code));
    let types = types.collect::<Result<Vec<_>, _>>()?;
    let values = values_bytes(tablet.values, &types, rows)
        .map_err(|_| inconsistent(tablet.device, "values"))?;
    let (values, bitmaps) = tablet.values.split_at_checked(values).unwrap_or_default();
    check_bitmaps(bitmaps, types.len(), rows)
        .map_err(|_| inconsistent(tablet.device, "bitmaps"))?;
    write(payload, |out| {
        out.i16(NodeType::InsertTablet.code());
        out.binary(tablet.device.as_bytes());
        out.count(types.len());
        out.bool(false);
        put_names(tablet.measurements, out);
        for data_type in &types {
            out.u8(data_type.code());
        }
        out.count(rows);
        out.put(tablet.times);
        out.bool(!bitmaps.is_empty());
        out.put(bitmaps);
        out.put(values);
        out.bool(tablet.is_aligned);
    })
}

/// The same for rows: one, or several of any devices.
///
/// # Errors
/// As [`write_tablet`].
pub fn write_records(records: &[RecordOf<'_>], payload: &mut Vec<u8>) -> Result<(), Refusal> {
    for record in records {
        check_names(record.device, record.measurements)?;
        check_cells(record).map_err(|_| inconsistent(record.device, "values"))?;
    }
    write(payload, |out| {
        if let [record] = records {
            out.i16(NodeType::InsertRow.code());
            return record.write(out);
        }
        out.i16(NodeType::InsertRows.code());
        out.count(records.len());
        for record in records {
            record.write(out);
        }
        for index in 0..records.len() {
            out.count(index);
        }
    })
}

impl RecordOf<'_> {
    fn write(&self, out: &mut Writer<'_>) {
        out.i64(self.time);
        out.binary(self.device.as_bytes());
        out.count(self.measurements.len());
        out.bool(false);
        put_names(self.measurements, out);
        out.put(self.cells);
        out.bool(false);
        out.bool(self.is_aligned);
    }
}

fn put_names(names: &[String], out: &mut Writer<'_>) {
    for name in names {
        out.binary(name.as_bytes());
    }
}

fn write(payload: &mut Vec<u8>, node: impl FnOnce(&mut Writer<'_>)) -> Result<(), Refusal> {
    payload.clear();
    let mut out = Writer::into_vec(payload, REQUEST_MEMORY_BYTES_MAX);
    request(RequestType::TabletInsertNode, &mut out);
    node(&mut out);
    node_tail(PLAN_NODE_ID, &mut out);
    match out.finish() {
        Ok(_) => Ok(()),
        Err(_) => Err(too_large()),
    }
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
        match data_type.value_bytes() {
            Some(bytes) => drop(reader.take(bytes.saturating_mul(rows), "values")?),
            None => {
                for _ in 0..rows {
                    reader.binary(values.len(), "text")?;
                }
            }
        }
    }
    Ok(reader.offset())
}

fn check_bitmaps(bitmaps: &[u8], columns: usize, rows: usize) -> Result<(), WireError> {
    let mut reader = Reader::new(bitmaps);
    for _ in 0..columns {
        if reader.left() == 0 && reader.offset() == 0 {
            return Ok(());
        }
        if reader.u8("bitmap's flag")? == 1 {
            reader.take(bitmap_bytes(rows), "bitmap")?;
        }
    }
    reader.finish()
}

/// Whether the cells are those of the measurements.
fn check_cells(record: &RecordOf<'_>) -> Result<(), WireError> {
    let mut reader = Reader::new(record.cells);
    for _ in record.measurements {
        let tag = reader.i8("tag")?;
        if tag == crate::wire::row::TAG_NULL {
            continue;
        }
        let code = u8::try_from(tag).ok().and_then(DataType::from_code);
        let data_type = code.ok_or_else(|| WireError::Value {
            what: "tag",
            offset: reader.offset(),
            expected: "a data type or -2",
            got: i64::from(tag),
        })?;
        match data_type.value_bytes() {
            Some(bytes) => drop(reader.take(bytes, "value")?),
            None => drop(reader.binary(record.cells.len(), "text")?),
        }
    }
    reader.finish()
}

/// The type of a column.
///
/// # Errors
/// There is none with this code.
pub fn data_type(code: i32) -> Result<DataType, Refusal> {
    let known = u8::try_from(code).ok().and_then(DataType::from_code);
    known.ok_or_else(|| refusal(Code::ILLEGAL_PARAMETER, &format!("there is no data type {code}")))
}

fn check_names(device: &str, measurements: &[String]) -> Result<(), Refusal> {
    if !legal::is_device(device) {
        return Err(refusal(Code::ILLEGAL_PATH, &format!("{device:?} is not a legal path")));
    }
    match measurements.iter().find(|name| !legal::is_measurement(name)) {
        Some(name) => {
            Err(refusal(Code::ILLEGAL_PATH, &format!("{device}: {name:?} is not a legal path")))
        }
        None => Ok(()),
    }
}

fn same_lengths(count: usize, lengths: &[usize]) -> Result<(), Refusal> {
    if count > 0 && lengths.iter().all(|length| *length == count) {
        return Ok(());
    }
    Err(refusal(Code::ILLEGAL_PARAMETER, "the lists of the request are not of one length"))
}

fn inconsistent(device: &str, what: &str) -> Refusal {
    refusal(Code::ILLEGAL_PARAMETER, &format!("{device}: {what} do not fit together"))
}

fn table_model() -> Refusal {
    refusal(Code::UNSUPPORTED_OPERATION, "this node takes the tree model only")
}

/// Why something is not taken, in these words.
pub fn refusal(code: Code, message: &str) -> Refusal {
    Refusal(Box::new(code.status(message)))
}

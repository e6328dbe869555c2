//! Tablets, rows and data requests, written.
//!
//! A tablet is described by borrowed columns and written in any of the forms of [`super::tablet`]; a row
//! likewise. [`request`] puts version and type in front; [`node_tail`] and [`database`] end what they
//! have to. So a request of type 2 is `request`, `Tablet::node`, `node_tail`:
//!
//! ```text
//!   2  node, node_tail                         3  Tablet::raw(V1)
//!  10  node, node_tail, database              11  Tablet::raw(V2), database
//!   6  batch counts with nodes (node_tail) and raw tablets; 13 the same with databases
//! ```
//!
//! The layouts are drawn in [`super::tablet`], [`super::row`], [`super::node`] and [`super::batch`].

use super::bytes::Writer;
use super::node::NodeType;
use super::request::RequestType;
use super::row::{TAG_NULL, TAG_RAW_STRING, TAG_TYPED_NULL};
use super::tablet::{Form, bitmap_bytes};
use crate::data::DataType;

/// Encoding and compressor of a series (`TSEncoding`, `CompressionType`). Receivers of inserts read and
/// drop them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schema {
    /// Code of the encoding; 0 is PLAIN.
    pub encoding: u8,
    /// Code of the compressor; 0 is UNCOMPRESSED.
    pub compressor: u8,
}

/// The bitmap of a column: row r is bit r % 8 of byte r / 8, the least significant bit first; 1 is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nulls<'a> {
    /// Bits that a raw tablet says there are: at least the rows.
    pub bits: usize,
    /// `bits / 8 + 1` bytes.
    pub bytes: &'a [u8],
}

/// The values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cells<'a> {
    /// Left out; raw tablets only.
    Absent,
    /// Of a type of fixed size: all values, big-endian, nulls as anything.
    Fixed(&'a [u8]),
    /// Of a type with lengths: for each row a value, or `None` (in a node: an empty one).
    Texts(&'a [Option<&'a [u8]>]),
}

/// A column of a tablet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TabletColumn<'a> {
    /// The measurement.
    pub name: &'a [u8],
    /// Type of the values.
    pub data_type: DataType,
    /// What raw tablets and log entries always have; nodes have all or none.
    pub schema: Option<Schema>,
    /// Category in the 2.x layout and in the table model; 1 is FIELD in raw tablets.
    pub category: u8,
    /// Which rows are null.
    pub nulls: Option<Nulls<'a>>,
    /// The values.
    pub cells: Cells<'a>,
}

/// A tablet to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tablet<'a> {
    /// Full path of the device, or name of the table.
    pub device: &'a [u8],
    /// Whether its series are aligned.
    pub is_aligned: bool,
    /// The time of each row.
    pub times: &'a [i64],
    /// The columns.
    pub columns: &'a [TabletColumn<'a>],
}

impl Tablet<'_> {
    /// Writes the node type and an `InsertTabletNode` (`RelationalInsertTabletNode`), up to where the
    /// plan node id begins. With schemas if every column has one.
    pub fn node(&self, node_type: NodeType, out: &mut Writer<'_>) {
        out.i16(node_type.code());
        self.node_head(out);
        self.node_body(node_type, out);
    }

    /// Writes a log entry with the node: the form of types 7 and 12.
    pub fn log(&self, node_type: NodeType, out: &mut Writer<'_>) {
        log_head(5, node_type, out);
        out.binary(self.device);
        out.count(self.columns.len());
        for column in self.columns {
            column.schema(out);
        }
        self.node_body(node_type, out);
    }

    /// Writes tsfile's `Tablet` in the layout of `form` (`RawV2` with categories, else `RawV1`), and
    /// `isAligned` behind it.
    pub fn raw(&self, form: Form, out: &mut Writer<'_>) {
        out.binary(self.device);
        out.count(self.times.len());
        out.bool(true);
        out.count(self.columns.len());
        for column in self.columns {
            out.bool(true);
            column.schema(out);
            if form == Form::RawV2 {
                out.u8(column.category);
            }
        }
        out.bool(true);
        self.times(out);
        let has_nulls = self.has_nulls();
        out.bool(has_nulls);
        for column in self.columns.iter().filter(|_| has_nulls) {
            out.bool(column.nulls.is_some());
            if let Some(nulls) = column.nulls {
                out.count(nulls.bits);
                out.binary(nulls.bytes);
            }
        }
        out.bool(true);
        for column in self.columns {
            out.bool(column.cells != Cells::Absent);
            column.flagged_cells(out);
        }
        out.bool(self.is_aligned);
    }

    fn node_head(&self, out: &mut Writer<'_>) {
        out.binary(self.device);
        out.count(self.columns.len());
        let has_schemas = self.columns.iter().all(|column| column.schema.is_some());
        out.bool(has_schemas);
        for column in self.columns {
            if has_schemas {
                column.schema(out);
            } else {
                out.binary(column.name);
            }
        }
        for column in self.columns {
            out.u8(column.data_type.code());
        }
    }

    fn node_body(&self, node_type: NodeType, out: &mut Writer<'_>) {
        out.count(self.times.len());
        self.times(out);
        let has_nulls = self.has_nulls();
        out.bool(has_nulls);
        for column in self.columns.iter().filter(|_| has_nulls) {
            out.bool(column.nulls.is_some());
            if let Some(nulls) = column.nulls {
                let bytes = nulls.bytes.get(..bitmap_bytes(self.times.len()));
                out.put(bytes.unwrap_or(nulls.bytes));
            }
        }
        for column in self.columns {
            column.plain_cells(out);
        }
        out.bool(self.is_aligned);
        for column in self.columns.iter().filter(|_| node_type.is_relational()) {
            out.u8(column.category);
        }
    }

    fn has_nulls(&self) -> bool {
        self.columns.iter().any(|column| column.nulls.is_some())
    }

    fn times(&self, out: &mut Writer<'_>) {
        for time in self.times {
            out.i64(*time);
        }
    }
}

impl TabletColumn<'_> {
    fn schema(&self, out: &mut Writer<'_>) {
        write_schema(self.name, self.data_type, self.schema.unwrap_or_default(), out);
    }

    fn plain_cells(&self, out: &mut Writer<'_>) {
        match self.cells {
            Cells::Absent => {}
            Cells::Fixed(bytes) => out.put(bytes),
            Cells::Texts(texts) => texts.iter().for_each(|text| out.binary(text.unwrap_or(&[]))),
        }
    }

    fn flagged_cells(&self, out: &mut Writer<'_>) {
        let Cells::Texts(texts) = self.cells else { return self.plain_cells(out) };
        for text in texts {
            out.bool(text.is_some());
            if let Some(text) = text {
                out.binary(text);
            }
        }
    }
}

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Null.
    Null,
    /// Null, with its type: 2.0 only.
    TypedNull(DataType),
    /// A text whose type the receiver finds out.
    Raw(&'a [u8]),
    /// A value: big-endian bytes, or the bytes of a text.
    Value(DataType, &'a [u8]),
}

/// A column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowColumn<'a> {
    /// The measurement.
    pub name: &'a [u8],
    /// Type and schema, which log entries always have; nodes have all or none.
    pub schema: Option<(DataType, Schema)>,
    /// Category in the table model.
    pub category: u8,
    /// The cell.
    pub cell: Cell<'a>,
}

/// A row to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its time.
    pub time: i64,
    /// Full path of the device, or name of the table.
    pub device: &'a [u8],
    /// Whether the device's series are aligned.
    pub is_aligned: bool,
    /// Whether the receiver finds out types.
    pub needs_types: bool,
    /// The columns.
    pub columns: &'a [RowColumn<'a>],
}

impl Row<'_> {
    /// Writes the node type and an `InsertRowNode` (`RelationalInsertRowNode`), up to where the plan
    /// node id begins.
    pub fn node(&self, node_type: NodeType, out: &mut Writer<'_>) {
        out.i16(node_type.code());
        self.fields(node_type, out);
    }

    /// Writes a log entry with the node: the form of types 7 and 12.
    pub fn log(&self, node_type: NodeType, out: &mut Writer<'_>) {
        log_head(4, node_type, out);
        self.log_fields(node_type, out);
    }

    fn fields(&self, node_type: NodeType, out: &mut Writer<'_>) {
        out.i64(self.time);
        out.binary(self.device);
        out.count(self.columns.len());
        let has_schemas = self.columns.iter().all(|column| column.schema.is_some());
        out.bool(has_schemas);
        for column in self.columns {
            match column.schema {
                Some((data_type, schema)) if has_schemas => {
                    write_schema(column.name, data_type, schema, out);
                }
                _ => out.binary(column.name),
            }
        }
        self.cells(out);
        out.bool(self.needs_types);
        self.end(node_type, out);
    }

    fn log_fields(&self, node_type: NodeType, out: &mut Writer<'_>) {
        out.i64(self.time);
        out.binary(self.device);
        out.count(self.columns.len());
        for column in self.columns {
            let data_type = column.schema.map_or(DataType::Text, |(data_type, _)| data_type);
            let schema = column.schema.map_or_else(Schema::default, |(_, schema)| schema);
            write_schema(column.name, data_type, schema, out);
        }
        self.cells(out);
        self.end(node_type, out);
    }

    fn cells(&self, out: &mut Writer<'_>) {
        for column in self.columns {
            match column.cell {
                Cell::Null => out.i8(TAG_NULL),
                Cell::TypedNull(data_type) => {
                    out.i8(TAG_TYPED_NULL);
                    out.u8(data_type.code());
                }
                Cell::Raw(text) => {
                    out.i8(TAG_RAW_STRING);
                    out.binary(text);
                }
                Cell::Value(data_type, text) if data_type.is_binary() => {
                    out.u8(data_type.code());
                    out.binary(text);
                }
                Cell::Value(data_type, bytes) => {
                    out.u8(data_type.code());
                    out.put(bytes);
                }
            }
        }
    }

    fn end(&self, node_type: NodeType, out: &mut Writer<'_>) {
        out.bool(self.is_aligned);
        for column in self.columns.iter().filter(|_| node_type.is_relational()) {
            out.u8(column.category);
        }
    }
}

/// Writes the node type and an `InsertRowsNode` (`RelationalInsertRowsNode`), up to where the plan node
/// id begins.
pub fn rows_node(rows: &[Row<'_>], node_type: NodeType, out: &mut Writer<'_>) {
    out.i16(node_type.code());
    out.count(rows.len());
    for row in rows {
        row.fields(node_type, out);
    }
    for index in 0..rows.len() {
        out.count(index);
    }
}

/// Writes a log entry with an `InsertRowsNode`.
pub fn rows_log(rows: &[Row<'_>], node_type: NodeType, out: &mut Writer<'_>) {
    log_head(8, node_type, out);
    out.count(rows.len());
    for row in rows {
        row.log_fields(node_type, out);
    }
}

/// Writes version and type of a request.
pub fn request(request: RequestType, out: &mut Writer<'_>) {
    out.i8(super::request::VERSION);
    out.i16(request.code());
}

/// Writes what ends a plan node: its id, and no children.
pub fn node_tail(plan_node_id: &[u8], out: &mut Writer<'_>) {
    out.binary(plan_node_id);
    out.i32(0);
}

/// Writes a database; null is the tree model.
pub fn database(name: Option<&str>, out: &mut Writer<'_>) {
    out.nullable_string(name);
}

fn log_head(entry_type: u8, node_type: NodeType, out: &mut Writer<'_>) {
    out.u8(entry_type);
    out.i64(0);
    out.i16(node_type.code());
    out.i64(-1);
}

fn write_schema(name: &[u8], data_type: DataType, schema: Schema, out: &mut Writer<'_>) {
    out.binary(name);
    out.u8(data_type.code());
    out.u8(schema.encoding);
    out.u8(schema.compressor);
    out.i32(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 1024);
        write(&mut writer);
        writer.finish().unwrap();
        out
    }

    fn sample(schema: Option<Schema>, write: impl FnOnce(&Tablet<'_>)) {
        let column = |name, data_type, nulls, cells| TabletColumn {
            name,
            data_type,
            schema,
            category: 1,
            nulls,
            cells,
        };
        let nulls = Some(Nulls { bits: 2, bytes: &[2] });
        let numbers = Cells::Fixed(&[0, 0, 0, 7, 0, 0, 0, 8]);
        let texts = Cells::Texts(&[Some(b"x"), None]);
        let columns = [
            column(b"a", DataType::Int32, None, numbers),
            column(b"b", DataType::Text, nulls, texts),
        ];
        let times = &[2, 1];
        write(&Tablet { device: b"root.d", is_aligned: false, times, columns: &columns });
    }

    #[test]
    fn a_tablet_is_written_in_every_form() {
        let body: &[u8] = b"\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x01\0\x01\x02\
            \0\0\0\x07\0\0\0\x08\0\0\0\x01x\0\0\0\0\0";
        let schemas: &[u8] = b"\0\0\0\x01a\x01\0\0\0\0\0\0\0\0\0\x01b\x05\0\0\0\0\0\0";
        let device: &[u8] = b"\0\0\0\x06root.d";
        sample(None, |tablet| {
            let head = b"\0\0\0\x02\0\0\0\0\x01a\0\0\0\x01b\x01\x05";
            let expected = [&[0, 13], device, head, body].concat();
            assert_eq!(written(|out| tablet.node(NodeType::InsertTablet, out)), expected);
            let relational = written(|out| tablet.node(NodeType::RelationalInsertTablet, out));
            assert_eq!(relational, [&[7, 0xd0], &expected[2..], &[1, 1]].concat());
        });
        sample(Some(Schema::default()), |tablet| {
            let expected = [&[0, 13], device, &[0, 0, 0, 2, 1], schemas, &[1, 5], body].concat();
            assert_eq!(written(|out| tablet.node(NodeType::InsertTablet, out)), expected);
            let log = b"\x05\0\0\0\0\0\0\0\0\0\x0d\xff\xff\xff\xff\xff\xff\xff\xff";
            let expected = [log, device, &[0, 0, 0, 2], schemas, body].concat();
            assert_eq!(written(|out| tablet.log(NodeType::InsertTablet, out)), expected);
            let v1 = written(|out| tablet.raw(Form::RawV1, out));
            let v2 = written(|out| tablet.raw(Form::RawV2, out));
            assert_eq!(v2.len(), v1.len() + 2);
            let end: &[u8] = b"\x01\0\x01\0\0\0\x02\0\0\0\x01\x02\
                \x01\x01\0\0\0\x07\0\0\0\x08\x01\x01\0\0\0\x01x\0\0";
            assert!(v1.ends_with(end) && v2.ends_with(end));
        });
    }

    #[test]
    fn a_row_is_written_with_every_kind_of_cell() {
        let column = |name, cell| RowColumn { name, schema: None, category: 3, cell };
        let columns = [
            column(b"a", Cell::Value(DataType::Int32, &[0, 0, 0, 7])),
            column(b"b", Cell::Value(DataType::Text, b"x")),
            column(b"c", Cell::Null),
            column(b"d", Cell::TypedNull(DataType::Double)),
            column(b"e", Cell::Raw(b"1")),
        ];
        let (time, device, is_aligned, needs_types) = (9, b"d", true, true);
        let row = Row { time, device, is_aligned, needs_types, columns: &columns };
        let fields: &[u8] = b"\0\0\0\0\0\0\0\x09\0\0\0\x01d\0\0\0\x05\0\
            \0\0\0\x01a\0\0\0\x01b\0\0\0\x01c\0\0\0\x01d\0\0\0\x01e\
            \x01\0\0\0\x07\x05\0\0\0\x01x\xfe\xfd\x04\xff\0\0\0\x011\x01\x01";
        assert_eq!(written(|out| row.node(NodeType::InsertRow, out)), [&[0, 14], fields].concat());
        let rows = [&[0, 15, 0, 0, 0, 2], fields, fields, &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
        assert_eq!(written(|out| rows_node(&[row, row], NodeType::InsertRows, out)), rows);
        let relational = written(|out| row.node(NodeType::RelationalInsertRow, out));
        assert_eq!(relational, [&[7, 0xd1], fields, &[3; 5]].concat());
    }
}

//! Made-up data for tests, simulators and benchmarks, from a seed.
//!
//! ```text
//!  Rng ----> Sample (a tablet's content) ----> a request in any form (`encode`)
//!        |                               ----> its points (`points`)
//!        +-> request(...): a random request, and the points that it means
//! ```
//!
//! The same seed gives the same bytes, on every machine.

use super::build::{
    Cell, Cells, Nulls, Row, RowColumn, Schema, Tablet, TabletColumn, database, node_tail, request,
    rows_log, rows_node,
};
use super::bytes::Writer;
use super::node::NodeType;
use super::request::RequestType;
use super::tablet::{Form, bitmap_bytes};
use crate::data::DataType;

/// Random numbers: xorshift64*. Good enough for made-up data, for nothing else.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Numbers from a seed; every seed is legal.
    pub const fn new(seed: u64) -> Self {
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self(if mixed == 0 { 1 } else { mixed })
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number of 64 bits below `end`; 0 if that is 0.
    pub const fn number_below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.number() % end }
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let number = usize::try_from(self.number() >> 33).unwrap_or_default();
        number.checked_rem(end).unwrap_or_default()
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// One value of one series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Full path of the device.
    pub device: Vec<u8>,
    /// The measurement.
    pub measurement: Vec<u8>,
    /// Whether the device's series are aligned.
    pub is_aligned: bool,
    /// Its time.
    pub time: i64,
    /// Code of its type.
    pub data_type: u8,
    /// Its bytes: big-endian, or the text.
    pub value: Vec<u8>,
}

/// A column of a sample: for each row the value's bytes, `None` for null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The measurement.
    pub name: Vec<u8>,
    /// Type of the values.
    pub data_type: DataType,
    /// A value for each row: big-endian bytes, or the text.
    pub cells: Vec<Option<Vec<u8>>>,
}

/// The content of a tablet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Full path of the device.
    pub device: Vec<u8>,
    /// Whether its series are aligned.
    pub is_aligned: bool,
    /// The time of each row.
    pub times: Vec<i64>,
    /// The columns.
    pub columns: Vec<Column>,
}

/// How large made-up tablets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Most rows.
    pub rows: usize,
    /// Most columns.
    pub columns: usize,
    /// Most bytes of a text.
    pub text_bytes: usize,
    /// Nulls in a hundred cells.
    pub nulls_percent: usize,
}

impl Sample {
    /// A tablet of exactly these rows and columns without nulls, all types in turn: what benchmarks
    /// and demos send.
    pub fn plain(rng: &mut Rng, device: &str, start: i64, rows: usize, columns: usize) -> Self {
        let times = (start..).take(rows).collect();
        let types =
            DataType::ALL.iter().filter(|data_type| **data_type != DataType::Object).cycle();
        let columns = (0..columns).zip(types).map(|(index, data_type)| Column {
            name: format!("s{index}").into_bytes(),
            data_type: *data_type,
            cells: (0..rows).map(|_| Some(value(rng, *data_type, 16))).collect(),
        });
        let columns = columns.collect();
        Self { device: device.as_bytes().to_vec(), is_aligned: false, times, columns }
    }

    /// A tablet up to this size, of any types, with ascending times.
    pub fn random(rng: &mut Rng, size: Size) -> Self {
        let rows = rng.below(size.rows + 1);
        let mut time = i64::from(rng.number().to_be_bytes()[0]) - 128;
        let times = (0..rows).map(|_| {
            time += 1 + i64::from(rng.chance(20)) * 1000;
            time
        });
        let times = times.collect();
        let columns = (0..rng.below(size.columns + 1)).map(|index| {
            let [.., kind] = rng.number().to_le_bytes();
            let types = DataType::ALL.iter().cycle().skip(usize::from(kind));
            let data_type = types.copied().next().unwrap_or(DataType::Text);
            let mut cell = || {
                let is_null = rng.chance(size.nulls_percent);
                (!is_null).then(|| value(rng, data_type, size.text_bytes))
            };
            let cells = (0..rows).map(|_| cell()).collect();
            Column { name: format!("m{index}").into_bytes(), data_type, cells }
        });
        let columns = columns.collect();
        let device = format!("root.sg.d{}", rng.below(3)).into_bytes();
        Self { device, is_aligned: rng.chance(50), times, columns }
    }

    /// Its points: all values that are not null.
    pub fn points(&self) -> impl Iterator<Item = Point> + '_ {
        self.columns.iter().flat_map(move |column| {
            let rows = self.times.iter().zip(&column.cells);
            rows.filter_map(move |(time, cell)| {
                Some(Point {
                    device: self.device.clone(),
                    measurement: column.name.clone(),
                    is_aligned: self.is_aligned,
                    time: *time,
                    data_type: column.data_type.code(),
                    value: cell.clone()?,
                })
            })
        })
    }

    /// Calls `write` with the sample as a tablet to be written.
    pub fn with_tablet(&self, has_schemas: bool, write: impl FnOnce(&Tablet<'_>)) {
        let stored: Vec<Stored<'_>> = self.columns.iter().map(Stored::new).collect();
        let columns: Vec<TabletColumn<'_>> = self
            .columns
            .iter()
            .zip(&stored)
            .map(|(column, stored)| stored.column(column, has_schemas))
            .collect();
        let Self { device, is_aligned, times, .. } = self;
        write(&Tablet { device, is_aligned: *is_aligned, times, columns: &columns });
    }

    /// Calls `write` with the sample as rows to be written.
    pub fn with_rows(&self, has_schemas: bool, write: impl FnOnce(&[Row<'_>])) {
        let cells: Vec<Vec<RowColumn<'_>>> = (0..self.times.len())
            .map(|row| self.columns.iter().map(|column| column.cell(row, has_schemas)).collect())
            .collect();
        let rows: Vec<Row<'_>> = self
            .times
            .iter()
            .zip(&cells)
            .map(|(time, columns)| Row {
                time: *time,
                device: &self.device,
                is_aligned: self.is_aligned,
                needs_types: false,
                columns,
            })
            .collect();
        write(&rows);
    }

    /// Writes it as a payload of type 2, with this plan node id; `out` is cleared first.
    pub fn encode(&self, plan_node_id: &str, out: &mut Vec<u8>) {
        let mut writer = Writer::into_vec(out, usize::MAX);
        request(RequestType::TabletInsertNode, &mut writer);
        self.with_tablet(false, |tablet| tablet.node(NodeType::InsertTablet, &mut writer));
        node_tail(plan_node_id.as_bytes(), &mut writer);
    }
}

impl Column {
    fn cell(&self, row: usize, has_schemas: bool) -> RowColumn<'_> {
        let cell = match self.cells.get(row) {
            Some(Some(value)) => Cell::Value(self.data_type, value),
            _ if has_schemas => Cell::Null,
            _ => Cell::TypedNull(self.data_type),
        };
        let schema = has_schemas.then(|| (self.data_type, Schema::default()));
        RowColumn { name: &self.name, schema, category: 3, cell }
    }
}

/// A column's values as a tablet has them.
struct Stored<'s> {
    nulls: Vec<u8>,
    has_nulls: bool,
    fixed: Vec<u8>,
    texts: Vec<Option<&'s [u8]>>,
}

impl<'s> Stored<'s> {
    fn new(column: &'s Column) -> Self {
        let mut nulls = vec![0; bitmap_bytes(column.cells.len())];
        let mut fixed = Vec::new();
        let zeros = vec![0; column.data_type.value_bytes().unwrap_or_default()];
        for (eight, byte) in column.cells.chunks(8).zip(&mut nulls) {
            for (bit, cell) in eight.iter().enumerate() {
                *byte |= u8::from(cell.is_none()) << bit;
                fixed.extend_from_slice(cell.as_ref().unwrap_or(&zeros));
            }
        }
        let has_nulls = column.cells.iter().any(Option::is_none);
        let texts = column.cells.iter().map(Option::as_deref).collect();
        Self { nulls, has_nulls, fixed, texts }
    }

    fn column<'t>(&'t self, column: &'t Column, has_schemas: bool) -> TabletColumn<'t> {
        let is_binary = column.data_type.is_binary();
        let nulls = Nulls { bits: column.cells.len(), bytes: &self.nulls };
        TabletColumn {
            name: &column.name,
            data_type: column.data_type,
            schema: has_schemas.then(Schema::default),
            category: 1,
            nulls: self.has_nulls.then_some(nulls),
            cells: if is_binary { Cells::Texts(&self.texts) } else { Cells::Fixed(&self.fixed) },
        }
    }
}

/// A random value's bytes.
fn value(rng: &mut Rng, data_type: DataType, text_bytes: usize) -> Vec<u8> {
    let bytes = rng.number().to_be_bytes();
    match data_type {
        DataType::Boolean => vec![bytes[0] & 1],
        DataType::Date => (20_240_101 + u32::from(bytes[0] % 28)).to_be_bytes().to_vec(),
        DataType::Int32 | DataType::Float => bytes[..4].to_vec(),
        DataType::Int64 | DataType::Double | DataType::Timestamp => bytes.to_vec(),
        DataType::Text | DataType::Blob | DataType::String | DataType::Object => {
            (0..rng.below(text_bytes + 1)).map(|_| b'a' + bytes[1] % 26).collect()
        }
    }
}

/// A payload of type 2 with a tablet of `rows` rows and `columns` columns, without nulls.
pub fn tablet_request(seed: u64, rows: usize, columns: usize) -> Vec<u8> {
    let mut out = Vec::new();
    Sample::plain(&mut Rng::new(seed), "root.sg.d1", 1_700_000_000_000, rows, columns)
        .encode("1", &mut out);
    out
}

/// A random request of the type `kind` (one of 2, 3, 6, 7 and 10 to 13), and the points in it.
pub fn random_request(rng: &mut Rng, kind: RequestType, size: Size) -> (Vec<u8>, Vec<Point>) {
    let mut out = Vec::new();
    let mut points = Vec::new();
    let mut writer = Writer::into_vec(&mut out, usize::MAX);
    request(kind, &mut writer);
    let has_databases = kind.code() >= RequestType::TabletInsertNodeV2.code();
    let is_batch = matches!(kind, RequestType::TabletBatch | RequestType::TabletBatchV2);
    let (logs, nodes, tablets) = match kind.code() {
        2 | 10 => (0, 1, 0),
        3 | 11 => (0, 0, 1),
        _ if is_batch => (rng.below(3), rng.below(4), rng.below(4)),
        _ => (1, 0, 0),
    };
    let is_v1 = matches!(kind, RequestType::TabletRaw | RequestType::TabletBatch);
    let form = if is_v1 { Form::RawV1 } else { Form::RawV2 };
    let end = |writer: &mut Writer<'_>| {
        if has_databases {
            database(None, writer);
        }
    };
    let mut sample = |rng: &mut Rng| {
        let sample = Sample::random(rng, size);
        points.extend(sample.points());
        sample
    };
    for (content, count) in [logs, nodes, tablets].into_iter().enumerate() {
        if is_batch {
            writer.count(count);
        }
        for _ in 0..count {
            let sample = sample(rng);
            match content {
                0 => write_log(rng, &sample, kind != RequestType::TabletBinary, &mut writer),
                1 => write_node(rng, &sample, &mut writer),
                _ => sample.with_tablet(true, |tablet| tablet.raw(form, &mut writer)),
            }
            end(&mut writer);
        }
    }
    (out, points)
}

/// Writes a sample as a node: a tablet, or its rows.
fn write_node(rng: &mut Rng, sample: &Sample, writer: &mut Writer<'_>) {
    let has_schemas = rng.chance(50);
    if rng.chance(50) {
        sample.with_tablet(has_schemas, |tablet| tablet.node(NodeType::InsertTablet, writer));
    } else {
        sample.with_rows(has_schemas, |rows| match rows {
            [row] => row.node(NodeType::InsertRow, writer),
            rows => rows_node(rows, NodeType::InsertRows, writer),
        });
    }
    node_tail(b"1", writer);
}

/// Writes a sample as an entry of a write-ahead log, with its length in front if it has one.
fn write_log(rng: &mut Rng, sample: &Sample, has_length: bool, writer: &mut Writer<'_>) {
    let mut entry = Vec::new();
    let mut log = Writer::into_vec(&mut entry, usize::MAX);
    if rng.chance(50) {
        sample.with_tablet(true, |tablet| tablet.log(NodeType::InsertTablet, &mut log));
    } else {
        sample.with_rows(true, |rows| match rows {
            [row] => row.log(NodeType::InsertRow, &mut log),
            rows => rows_log(rows, NodeType::InsertRows, &mut log),
        });
    }
    if has_length {
        writer.binary(&entry);
    } else {
        writer.put(&entry);
    }
}

//! The tablet that is left of another one: rows and columns without a point that stays are gone, other points that do
//! not stay are null.

use crate::data::{DataType, Identity, TimeRange};
use crate::wire::build::{self, Cells, Nulls, TabletColumn};
use crate::wire::bytes::Writer;
use crate::wire::node::NodeType;
use crate::wire::request::RequestType;
use crate::wire::tablet::bitmap_bytes;
use crate::wire::values::{Tablet, TabletColumn as Source, Value};

/// Writes what is left of `tablet` as a request of type 2, under `identity`; returns its times. `kept` has a cell
/// for each row of each column, column by column.
pub(super) fn write(
    tablet: &Tablet<'_>,
    kept: &[bool],
    identity: Identity,
    out: &mut Vec<u8>,
) -> TimeRange {
    let rows = tablet.rows().max(1);
    let stays = |row: usize| kept.chunks(rows).any(|column| column.get(row) == Some(&true));
    let rows_kept: Vec<bool> = (0..rows).map(stays).collect();
    let times: Vec<i64> = only(&rows_kept, tablet.times()).collect();
    let sources = tablet.columns().zip(kept.chunks(rows));
    let cuts: Vec<_> = sources
        .filter(|(_, cells)| cells.contains(&true))
        .filter_map(|(source, cells)| Cut::of(&source, cells, &rows_kept))
        .collect();
    let columns: Vec<_> = cuts.iter().map(Cut::column).collect();
    let left = build::Tablet {
        device: tablet.device(),
        is_aligned: tablet.is_aligned(),
        times: &times,
        columns: &columns,
    };
    let mut writer = Writer::into_vec(out, usize::MAX);
    build::request(RequestType::TabletInsertNode, &mut writer);
    left.node(NodeType::InsertTablet, &mut writer);
    build::node_tail(identity.plan_node_id().as_bytes(), &mut writer);
    let mut range = TimeRange::EMPTY;
    for time in &times {
        range.include(*time);
    }
    range
}

/// What is left of a column.
struct Cut<'a> {
    name: &'a [u8],
    data_type: DataType,
    /// Which of the rows that are left are null; empty for none.
    nulls: Vec<u8>,
    rows: usize,
    cells: Left<'a>,
}

enum Left<'a> {
    Fixed(Vec<u8>),
    Texts(Vec<Option<&'a [u8]>>),
}

impl<'a> Cut<'a> {
    /// None of a column whose type nobody says, which has no points.
    fn of(source: &Source<'a>, cells: &[bool], rows: &[bool]) -> Option<Self> {
        let data_type = source.data_type()?;
        let values = source.values().zip(cells).map(|(value, stays)| value.filter(|_| *stays));
        let values: Vec<_> = only(rows, values).collect();
        let mut nulls = vec![0; bitmap_bytes(values.len())];
        for (row, _) in values.iter().enumerate().filter(|(_, value)| value.is_none()) {
            if let Some(byte) = nulls.get_mut(row / 8) {
                *byte |= 1 << (row % 8);
            }
        }
        if values.iter().all(Option::is_some) {
            nulls.clear();
        }
        let left = match data_type.value_bytes() {
            Some(bytes) => Left::Fixed(fixed(&values, bytes)),
            None => Left::Texts(values.iter().map(|value| value.and_then(text)).collect()),
        };
        Some(Self { name: source.name(), data_type, nulls, rows: values.len(), cells: left })
    }

    fn column(&self) -> TabletColumn<'_> {
        let nulls = Nulls { bits: self.rows, bytes: &self.nulls };
        TabletColumn {
            name: self.name,
            data_type: self.data_type,
            schema: None,
            category: 0,
            nulls: (!self.nulls.is_empty()).then_some(nulls),
            cells: match &self.cells {
                Left::Fixed(bytes) => Cells::Fixed(bytes),
                Left::Texts(texts) => Cells::Texts(texts),
            },
        }
    }
}

/// Those of the rows that stay.
fn only<T>(rows: &[bool], all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    all.zip(rows).filter_map(|(one, stays)| stays.then_some(one))
}

/// Values of `bytes` bytes each, big-endian; zeros for nulls.
fn fixed(values: &[Option<Value<'_>>], bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * bytes);
    for value in values {
        match value {
            Some(Value::Boolean(value)) => out.push(u8::from(*value)),
            Some(Value::Int32(value)) => out.extend(value.to_be_bytes()),
            Some(Value::Int64(value)) => out.extend(value.to_be_bytes()),
            Some(Value::Float(value)) => out.extend(value.to_bits().to_be_bytes()),
            Some(Value::Double(value)) => out.extend(value.to_bits().to_be_bytes()),
            Some(Value::Bytes(_)) | None => out.resize(out.len() + bytes, 0),
        }
    }
    out
}

const fn text(value: Value<'_>) -> Option<&[u8]> {
    if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
}

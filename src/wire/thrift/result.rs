//! The result of a statement as a client wants it: a table of texts and small numbers.
//!
//! ```text
//!  TsBlock         | i32 C | C x u8 type | i32 N | u8 encoding of times | C x u8 encoding | times | C x column |
//!  column          | u8 has nulls | if so: ceil(N/8) bytes, highest bit first, 1 = null | the values that are not null |
//!  TSQueryDataSet  time: N x i64 | a list of columns: the values that are not null | a list of bitmaps, 1 = not null
//! ```
//!
//! Defined by tsfile's `TsBlockSerde` (what the methods with `V2` in their names return) and by `client.thrift`'s
//! `TSQueryDataSet` (what the others do, which the Python client of 1.3 calls). Times are zeros: statements have none.

use super::status::Code;
use super::{TSExecuteStatementResp, TSQueryDataSet};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultSet {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows; each has a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// `TEXT`.
    Text,
    /// `INT32`.
    Int32,
}

/// A cell. One that is not of its column's kind counts as null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A text.
    Text(String),
    /// A number.
    Int32(i32),
}

/// How a client wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A `TsBlock`: methods with `V2` in their names.
    Block,
    /// A `TSQueryDataSet`: the others.
    DataSet,
}

impl ResultSet {
    /// A table of texts.
    pub fn of_texts(names: &[&str], rows: Vec<Vec<Option<String>>>) -> Self {
        let columns = names
            .iter()
            .map(|name| Column { name: (*name).to_owned(), kind: ColumnKind::Text })
            .collect();
        let cell = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
        let rows = rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
        Self { columns, rows }
    }

    /// The whole reply, in one block: nothing is left to fetch.
    pub fn reply(&self, query: i64, form: Form) -> TSExecuteStatementResp {
        let names = self.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let kinds = self.columns.iter().map(|column| column.kind.name().to_owned());
        let (set, blocks) = match form {
            // A list that is there and empty tells clients that there are no rows.
            Form::Block if self.rows.is_empty() => (None, Some(Vec::new())),
            Form::Block => (None, Some(vec![self.block()])),
            Form::DataSet => (Some(self.data_set()), None),
        };
        TSExecuteStatementResp::new(
            Code::SUCCESS.status("Success"),
            query,
            names,
            true,
            kinds.collect::<Vec<_>>(),
            set,
            blocks,
            false,
        )
    }

    fn block(&self) -> Vec<u8> {
        let mut block = Vec::new();
        block.extend_from_slice(&count(self.columns.len()));
        block.extend(self.columns.iter().map(|column| column.kind.type_byte()));
        block.extend_from_slice(&count(self.rows.len()));
        block.push(INT64_ARRAY);
        block.extend(self.columns.iter().map(|column| column.kind.encoding()));
        block.push(0);
        block.resize(block.len() + self.rows.len() * TIME_BYTES, 0);
        for index in 0..self.columns.len() {
            let is_null = |row: &Vec<Cell>| self.value(row, index).is_none();
            let has_nulls = self.rows.iter().any(is_null);
            block.push(u8::from(has_nulls));
            if has_nulls {
                block.extend(bits(self.rows.iter().map(is_null)));
            }
            self.values(index, &mut block);
        }
        block
    }

    fn data_set(&self) -> TSQueryDataSet {
        let columns = 0..self.columns.len();
        let values = columns.clone().map(|index| {
            let mut bytes = Vec::new();
            self.values(index, &mut bytes);
            bytes
        });
        let present =
            columns.map(|index| bits(self.rows.iter().map(|row| self.value(row, index).is_some())));
        TSQueryDataSet::new(
            vec![0; self.rows.len() * TIME_BYTES],
            values.collect(),
            present.collect(),
        )
    }

    fn value<'a>(&self, row: &'a [Cell], index: usize) -> Option<&'a Cell> {
        let kind = self.columns.get(index)?.kind;
        row.get(index).filter(|cell| cell.kind() == Some(kind))
    }

    fn values(&self, index: usize, bytes: &mut Vec<u8>) {
        for cell in self.rows.iter().filter_map(|row| self.value(row, index)) {
            match cell {
                Cell::Null => {}
                Cell::Text(text) => {
                    bytes.extend_from_slice(&count(text.len()));
                    bytes.extend_from_slice(text.as_bytes());
                }
                Cell::Int32(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            }
        }
    }
}

impl ColumnKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Int32 => "INT32",
        }
    }

    const fn type_byte(self) -> u8 {
        match self {
            Self::Text => 5,
            Self::Int32 => 1,
        }
    }

    const fn encoding(self) -> u8 {
        match self {
            Self::Text => BINARY_ARRAY,
            Self::Int32 => INT32_ARRAY,
        }
    }
}

impl Cell {
    const fn kind(&self) -> Option<ColumnKind> {
        match self {
            Self::Null => None,
            Self::Text(_) => Some(ColumnKind::Text),
            Self::Int32(_) => Some(ColumnKind::Int32),
        }
    }
}

/// Tables of statements have at most some thousand rows, and texts of some KiB.
fn count(number: usize) -> [u8; 4] {
    i32::try_from(number).unwrap_or(i32::MAX).to_be_bytes()
}

/// One bit each, the highest first.
fn bits(flags: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, flag) in flags.enumerate() {
        if index % 8 == 0 {
            bytes.push(0);
        }
        if flag && let Some(last) = bytes.last_mut() {
            *last |= 0x80 >> (index % 8);
        }
    }
    bytes
}

const TIME_BYTES: usize = size_of::<i64>();
const INT32_ARRAY: u8 = 1;
const INT64_ARRAY: u8 = 2;
const BINARY_ARRAY: u8 = 3;

//! Rows that follow each other, put together into one tablet.
//!
//! ```text
//!  request   | t1 head cells | t2 head cells | t3 head cells |     head = device, names, schemas
//!                      ^ a         ^ b             ^ c             a place in each row's cells
//!
//!  tablet    | device, names, types | t1 t2 t3 | bitmaps | a b c, next column: a b c, ... |
//! ```
//!
//! All rows of a run lie in one window, so that going through them column by column costs nothing.

use super::block::{HEAD, put_count};
use super::{Content, Part, part};
use crate::data::{DataType, TimeRange};
use crate::limits::SPLIT_ROWS_MAX;
use crate::wire::batch::{Item, Items};
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::row::{self, Cell, RowLayout};
use crate::wire::tablet::{Column, bitmap_bytes, offset};

/// A row of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunRow {
    /// Where the row begins: its time.
    at: u32,
    /// Its first cell.
    cells_at: u32,
    /// Its next cell.
    cell_at: u32,
}

/// A code that no type has: of columns whose type no row says.
const NO_TYPE: u8 = 0xff;

/// The tables that a run needs.
pub(super) struct Tables<'t> {
    pub(super) columns: &'t mut Vec<Column>,
    pub(super) types: &'t mut Vec<u8>,
    pub(super) rows: &'t mut Vec<RunRow>,
}

/// A run that was written, and what is behind it.
pub(super) struct Run {
    pub(super) part: Part,
    /// Whether any cell is null.
    has_nulls: bool,
    pub(super) items: Items,
    pub(super) behind: usize,
}

/// How a run ended; no run if not even its first row lies within the bytes.
pub(super) enum Ended {
    /// At something that does not go with it, or at the end of the request.
    Within(Option<Run>),
    /// At the end of the bytes: with more of them it might be longer.
    AtEdge(Option<Run>),
}

/// Writes the rows from `before` on that go together. `bytes` are those of the request from `at` on, a
/// window of them.
pub(super) fn write(
    bytes: &[u8],
    at: usize,
    before: Items,
    mut tables: Tables<'_>,
    out: &mut Vec<u8>,
) -> Result<Ended, ReadError> {
    let mut cursor = Cursor::memory_at(bytes, at);
    let Some((first, mut run)) = first_row(&mut cursor, before, &mut tables) else {
        return Ok(Ended::AtEdge(None));
    };
    let is_at_edge =
        follow(&mut cursor, &Window { bytes, base: at }, &first, &mut run, &mut tables);
    cursor.seek(first.at);
    row::scan(&mut cursor, first.form, tables.columns)?;
    write_tablet(&mut cursor, &first, run.has_nulls, &mut tables, out)?;
    Ok(if is_at_edge { Ended::AtEdge(Some(run)) } else { Ended::Within(Some(run)) })
}

/// Adds the rows that go with the first one; returns whether the end of the bytes ended it.
fn follow(
    cursor: &mut Cursor<'_>,
    window: &Window<'_>,
    first: &RowLayout,
    run: &mut Run,
    tables: &mut Tables<'_>,
) -> bool {
    let mut items = run.items;
    let mut last = first.time;
    while tables.rows.len() < SPLIT_ROWS_MAX {
        let row = match items.next(cursor, tables.columns) {
            Ok(Some(Item::Row(row))) => row,
            Ok(_) => return false,
            // The request was checked: only the bytes can be at their end.
            Err(_) => return true,
        };
        if row.has_values {
            let is_next = row.time > last
                && row.is_aligned == first.is_aligned
                && window.head_of(&row) == window.head_of(first)
                && has_types(tables.columns, tables.types);
            if !is_next {
                return false;
            }
            last = row.time;
            run.part.time_range.include(last);
            run.part.rows += 1;
            tables.rows.push(RunRow::new(&row));
            run.has_nulls |= has_nulls(tables.columns, tables.types);
        }
        (run.items, run.behind) = (items, cursor.at());
    }
    false
}

/// Scans the first row into the tables.
fn first_row(
    cursor: &mut Cursor<'_>,
    before: Items,
    tables: &mut Tables<'_>,
) -> Option<(RowLayout, Run)> {
    let mut items = before;
    let Ok(Some(Item::Row(first))) = items.next(cursor, tables.columns) else { return None };
    tables.rows.clear();
    tables.rows.reserve(SPLIT_ROWS_MAX);
    tables.rows.push(RunRow::new(&first));
    tables.types.clear();
    tables.types.extend(tables.columns.iter().map(type_code));
    let part = part(Content::Tablet, TimeRange::at(first.time), 1, None);
    let has_nulls = has_nulls(tables.columns, tables.types);
    Some((first, Run { part, has_nulls, items, behind: cursor.at() }))
}

impl RunRow {
    fn new(row: &RowLayout) -> Self {
        let cells_at = offset(row.cells_at);
        Self { at: offset(row.at), cells_at, cell_at: cells_at }
    }
}

struct Window<'w> {
    bytes: &'w [u8],
    base: usize,
}

impl Window<'_> {
    /// Device, names and schemas of a row.
    fn head_of(&self, row: &RowLayout) -> Option<&[u8]> {
        let start = row.device_at.checked_sub(self.base)?;
        self.bytes.get(start..row.cells_at.checked_sub(self.base)?)
    }
}

fn type_code(column: &Column) -> u8 {
    column.data_type.map_or(NO_TYPE, DataType::code)
}

/// Whether a row has a null in a column whose type is known.
fn has_nulls(columns: &[Column], types: &[u8]) -> bool {
    columns.iter().zip(types).any(|(column, code)| column.is_absent && *code != NO_TYPE)
}

/// Whether a row's cells are null or of the types of the first row's columns.
fn has_types(columns: &[Column], types: &[u8]) -> bool {
    columns.iter().zip(types).all(|(column, code)| column.is_absent || type_code(column) == *code)
}

fn write_tablet(
    cursor: &mut Cursor<'_>,
    first: &RowLayout,
    has_nulls: bool,
    tables: &mut Tables<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let Tables { columns, rows, .. } = tables;
    let known = || columns.iter().filter(|column| column.data_type.is_some());
    out.extend_from_slice(&HEAD);
    cursor.seek(first.device_at);
    cursor.copy(4 + first.device_bytes, out)?;
    put_count(known().count(), out);
    out.push(0);
    for column in known() {
        cursor.seek(column.name_at as usize);
        cursor.copy(4 + usize::from(column.name_bytes), out)?;
    }
    out.extend(known().map(type_code));
    put_count(rows.len(), out);
    for row in rows.iter() {
        cursor.seek(row.at as usize);
        cursor.copy(8, out)?;
    }
    out.push(u8::from(has_nulls));
    if has_nulls {
        write_bitmaps(cursor, columns, rows, out)?;
    }
    for row in rows.iter_mut() {
        row.cell_at = row.cells_at;
    }
    for column in columns.iter() {
        write_column(cursor, column.data_type, rows, out)?;
    }
    out.push(u8::from(first.is_aligned));
    Ok(())
}

/// Writes for each column with a type a flag, and a bitmap if any of its cells is null.
fn write_bitmaps(
    cursor: &mut Cursor<'_>,
    columns: &[Column],
    rows: &mut [RunRow],
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    for column in columns {
        let flag_at = out.len();
        out.push(1);
        out.resize(flag_at + 1 + bitmap_bytes(rows.len()), 0);
        let nulls = mark_nulls(cursor, rows, out.get_mut(flag_at + 1..).unwrap_or_default())?;
        if column.data_type.is_none() {
            out.truncate(flag_at);
        } else if nulls == 0 {
            out.truncate(flag_at);
            out.push(0);
        }
    }
    Ok(())
}

/// Sets the bits of the rows whose next cell is null, goes behind that cell in each row, and returns
/// the number of nulls.
fn mark_nulls(
    cursor: &mut Cursor<'_>,
    rows: &mut [RunRow],
    bits: &mut [u8],
) -> Result<usize, ReadError> {
    let mut nulls = 0;
    for (eight, byte) in rows.chunks_mut(8).zip(bits) {
        for (bit, row) in eight.iter_mut().enumerate() {
            cursor.seek(row.cell_at as usize);
            if let Cell::Value(data_type) = row::open_cell(cursor)? {
                row::skip_value(cursor, data_type)?;
            } else {
                *byte |= 1 << bit;
                nulls += 1;
            }
            row.cell_at = offset(cursor.at());
        }
    }
    Ok(nulls)
}

/// Writes the next cell of each row: its value, or zeros for a null. A column without a type has no
/// values, and is only gone over.
fn write_column(
    cursor: &mut Cursor<'_>,
    data_type: Option<DataType>,
    rows: &mut [RunRow],
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    for row in rows {
        cursor.seek(row.cell_at as usize);
        match (row::open_cell(cursor)?, data_type) {
            (Cell::Value(cell), _) => {
                let start = cursor.at();
                let bytes = row::skip_value(cursor, cell)?;
                cursor.seek(start);
                cursor.copy(bytes, out)?;
            }
            (_, Some(known)) => out.resize(out.len() + known.value_bytes().unwrap_or(4), 0),
            (_, None) => {}
        }
        row.cell_at = offset(cursor.at());
    }
    Ok(())
}

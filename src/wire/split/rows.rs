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
use crate::wire::columns::Columns;
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::row::{self, Cell, RowLayout};
use crate::wire::tablet::{self, Column, bitmap_bytes, offset};

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
    pub(super) columns: &'t mut Columns,
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
    let window = Window { bytes, base: at };
    let is_at_edge = follow(&mut cursor, &window, &first, &mut run, &mut tables);
    cursor.seek(first.at);
    row::scan(&mut cursor, first.form, tables.columns)?;
    write_head(&mut cursor, &first, &tables, out)?;
    write_cells(&window, run.has_nulls, &mut tables, out)?;
    out.push(u8::from(first.is_aligned));
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
            let goes_on = row.time > last
                && row.is_aligned == first.is_aligned
                && window.head_of(&row) == window.head_of(first);
            let nulls = goes_on.then(|| nulls_beside(tables.columns, tables.types)).flatten();
            let Some(has_nulls) = nulls else { return false };
            last = row.time;
            run.part.time_range.include(last);
            run.part.rows += 1;
            tables.rows.push(RunRow::new(&row));
            run.has_nulls |= has_nulls;
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
    let has_nulls = nulls_beside(tables.columns, tables.types)?;
    Some((first, Run { part, has_nulls, items, behind: cursor.at() }))
}

impl RunRow {
    fn new(row: &RowLayout) -> Self {
        let cells_at = offset(row.cells_at);
        Self { at: offset(row.at), cells_at, cell_at: cells_at }
    }
}

/// The bytes in which all rows of a run lie.
struct Window<'w> {
    bytes: &'w [u8],
    base: usize,
}

impl<'w> Window<'w> {
    /// Device, names and schemas of a row.
    fn head_of(&self, row: &RowLayout) -> Option<&'w [u8]> {
        let start = row.device_at.checked_sub(self.base)?;
        self.bytes.get(start..row.cells_at.checked_sub(self.base)?)
    }

    /// The next cell of a row, with the bytes of its value.
    #[inline]
    fn next_cell(&self, row: &mut RunRow) -> Result<(Cell, &'w [u8]), ReadError> {
        let at = row.cell_at as usize;
        let ahead = at.checked_sub(self.base).and_then(|start| self.bytes.get(start..));
        let ahead = ahead.unwrap_or_default();
        let Some((cell, count)) = row::whole_cell(ahead) else {
            let got = ahead.first().map_or(-1, |tag| i64::from(*tag));
            return Err(tablet::value("cell tag", at, "the cell that was checked", got));
        };
        row.cell_at += offset(count);
        Ok((cell, ahead.get(1..count).unwrap_or_default()))
    }

    /// The value of the next cell of a row, if it is one of this type, which has `N` bytes.
    #[inline]
    fn next_value<const N: usize>(
        &self,
        row: &mut RunRow,
        data_type: DataType,
    ) -> Option<&'w [u8; N]> {
        let start = (row.cell_at as usize).checked_sub(self.base)?;
        let (tag, ahead) = self.bytes.get(start..)?.split_first()?;
        let value = ahead.first_chunk().filter(|_| *tag == data_type.code())?;
        row.cell_at += offset(1 + N);
        Some(value)
    }
}

fn type_code(column: &Column) -> u8 {
    column.data_type.map_or(NO_TYPE, DataType::code)
}

/// Whether a row has a null in a column whose type is known; `None` if it has a cell of another type than the first row's.
fn nulls_beside(columns: &[Column], types: &[u8]) -> Option<bool> {
    let mut has_nulls = false;
    for (column, code) in columns.iter().zip(types) {
        if column.is_absent {
            has_nulls |= *code != NO_TYPE;
        } else if type_code(column) != *code {
            return None;
        }
    }
    Some(has_nulls)
}

/// Writes all of a tablet in front of its bitmaps.
fn write_head(
    cursor: &mut Cursor<'_>,
    first: &RowLayout,
    tables: &Tables<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let known = || tables.columns.iter().filter(|column| column.data_type.is_some());
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
    put_count(tables.rows.len(), out);
    for row in tables.rows.iter() {
        cursor.seek(row.at as usize);
        cursor.copy(8, out)?;
    }
    Ok(())
}

/// Writes bitmaps and values.
fn write_cells(
    window: &Window<'_>,
    has_nulls: bool,
    tables: &mut Tables<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let Tables { columns, rows, .. } = tables;
    out.push(u8::from(has_nulls));
    if has_nulls {
        write_bitmaps(window, columns, rows, out)?;
    }
    for row in rows.iter_mut() {
        row.cell_at = row.cells_at;
    }
    for column in columns.iter() {
        write_column(window, column.data_type, rows, out)?;
    }
    Ok(())
}

/// Writes for each column with a type a flag, and a bitmap if any of its cells is null.
fn write_bitmaps(
    window: &Window<'_>,
    columns: &[Column],
    rows: &mut [RunRow],
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    for column in columns {
        let flag_at = out.len();
        out.push(1);
        out.resize(flag_at + 1 + bitmap_bytes(rows.len()), 0);
        let nulls = mark_nulls(window, rows, out.get_mut(flag_at + 1..).unwrap_or_default())?;
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
    window: &Window<'_>,
    rows: &mut [RunRow],
    bits: &mut [u8],
) -> Result<usize, ReadError> {
    let mut nulls = 0;
    for (eight, byte) in rows.chunks_mut(8).zip(bits) {
        for (bit, row) in eight.iter_mut().enumerate() {
            if let (Cell::Null(_), _) = window.next_cell(row)? {
                *byte |= 1 << bit;
                nulls += 1;
            }
        }
    }
    Ok(nulls)
}

/// Writes the next cell of each row: its value, or zeros for a null. A column without a type has no
/// values, and is only gone over.
fn write_column(
    window: &Window<'_>,
    data_type: Option<DataType>,
    rows: &mut [RunRow],
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let Some(data_type) = data_type else {
        return rows.iter_mut().try_for_each(|row| window.next_cell(row).map(drop));
    };
    match data_type.value_bytes() {
        Some(8) => write_values::<8>(window, data_type, rows, out),
        Some(4) => write_values::<4>(window, data_type, rows, out),
        Some(_) => write_values::<1>(window, data_type, rows, out),
        None => write_texts(window, rows, out),
    }
}

/// Values of `N` bytes: each is one move, and none a call. Whatever else a cell is, is null.
fn write_values<const N: usize>(
    window: &Window<'_>,
    data_type: DataType,
    rows: &mut [RunRow],
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let start = out.len();
    out.resize(start + N * rows.len(), 0);
    let (places, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<N>();
    for (row, place) in rows.iter_mut().zip(places) {
        match window.next_value(row, data_type) {
            Some(value) => *place = *value,
            None => drop(window.next_cell(row)?),
        }
    }
    Ok(())
}

fn write_texts(
    window: &Window<'_>,
    rows: &mut [RunRow],
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    for row in rows {
        let (cell, text) = window.next_cell(row)?;
        let is_null = matches!(cell, Cell::Null(_));
        out.extend_from_slice(if is_null { &[0; 4] } else { text });
    }
    Ok(())
}

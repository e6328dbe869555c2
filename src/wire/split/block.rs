//! One part of a tablet: its size, and its bytes.
//!
//! ```text
//!  01 0002 000d                        version, type, node type
//!  string device, i32 m, 00            m columns without schemas
//!  m x string, m x i8                  names, types
//!  i32 n, n x i64                      times
//!  01, m x (00 or 01 and n/8 + 1)      bitmaps of the columns that have nulls, or 00 if none has
//!  m x n values                        texts as i32 length and bytes
//!  i8 isAligned
//! ```

use std::ops::Range;

use crate::data::{DataType, TimeRange};
use crate::wire::cursor::{Cursor, ReadError, TEXT_BYTES_MAX};
use crate::wire::tablet::{Column, Layout, bitmap_bytes, offset};

/// Version, type and node type.
pub(super) const HEAD: [u8; 5] = [1, 0, 2, 0, 13];

/// Columns and rows of a tablet that make one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
}

impl Block {
    /// The block with its first column only.
    pub(super) fn first_column(self) -> Self {
        let start = self.columns.start;
        Self { columns: start..start + 1, ..self }
    }
}

/// Bytes of a column's name, the length word included.
pub(super) fn name_bytes(column: &Column) -> usize {
    4 + usize::from(column.name_bytes)
}

/// Bytes of a row in these columns if all texts are empty.
pub(super) fn row_bytes_least(columns: &[Column]) -> usize {
    let present = columns.iter().filter(|column| !column.is_absent);
    8 + present.map(value_bytes_least).sum::<usize>()
}

fn value_bytes_least(column: &Column) -> usize {
    column.data_type.and_then(DataType::value_bytes).unwrap_or(4)
}

/// Bytes of a part without the values.
pub(super) fn block_bytes_least(layout: &Layout, columns: &[Column], rows: usize) -> usize {
    let present = columns.iter().filter(|column| !column.is_absent);
    HEAD.len()
        + 4
        + layout.device_bytes
        + 4
        + 1
        + 4
        + rows * 8
        + 1
        + present.map(|column| column_bytes_least(column, rows)).sum::<usize>()
        + 1
}

/// Bytes of a column in a part without the values: name, type, flag and bitmap.
fn column_bytes_least(column: &Column, rows: usize) -> usize {
    let bitmap = if column.bitmap_at == 0 { 0 } else { bitmap_bytes(rows) };
    name_bytes(column) + 1 + 1 + bitmap
}

/// Bytes of a column in a part, all of it; `None` if more than `max`.
pub(super) fn column_bytes(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    column: &Column,
    rows: &Range<usize>,
    max: usize,
) -> Result<Option<usize>, ReadError> {
    if column.is_absent {
        return Ok(Some(0));
    }
    let least = column_bytes_least(column, rows.len());
    let Some(left) = max.checked_sub(least) else { return Ok(None) };
    Ok(values_bytes(cursor, layout, column, rows, left)?.map(|bytes| least + bytes))
}

/// Whether a part has at most `max` bytes.
pub(super) fn block_fits(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    columns: &[Column],
    block: &Block,
    max: usize,
) -> Result<bool, ReadError> {
    let columns = columns.get(block.columns.clone()).unwrap_or_default();
    let least = block_bytes_least(layout, columns, block.rows.len());
    let Some(mut left) = max.checked_sub(least) else { return Ok(false) };
    for column in columns.iter().filter(|column| !column.is_absent) {
        match values_bytes(cursor, layout, column, &block.rows, left)? {
            Some(bytes) => left -= bytes,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Bytes that the values of these rows have in a part; `None` if more than `max`.
fn values_bytes(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    column: &Column,
    rows: &Range<usize>,
    max: usize,
) -> Result<Option<usize>, ReadError> {
    if let Some(bytes) = column.data_type.and_then(DataType::value_bytes) {
        return Ok(rows.len().checked_mul(bytes).filter(|bytes| *bytes <= max));
    }
    cursor.seek(column.values_at as usize);
    let is_flagged = layout.form.has_flagged_cells();
    let mut sum = 0;
    for _ in rows.clone() {
        sum += 4;
        if !is_flagged || cursor.bool("notNull")? {
            let bytes = cursor.count(TEXT_BYTES_MAX, "text")?;
            sum += bytes;
            if sum > max {
                return Ok(None);
            }
            cursor.skip(bytes, "text")?;
        }
    }
    Ok((sum <= max).then_some(sum))
}

/// Writes all of a part in front of its values.
pub(super) fn write_head(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    columns: &[Column],
    block: &Block,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let columns = columns.get(block.columns.clone()).unwrap_or_default();
    let present = || columns.iter().filter(|column| !column.is_absent);
    out.extend_from_slice(&HEAD);
    cursor.seek(layout.device_at);
    cursor.copy(4 + layout.device_bytes, out)?;
    put_count(present().count(), out);
    out.push(0);
    for column in present() {
        cursor.seek(column.name_at as usize);
        cursor.copy(name_bytes(column), out)?;
    }
    out.extend(present().map(|column| column.data_type.map_or(0, DataType::code)));
    put_count(block.rows.len(), out);
    cursor.seek(layout.times_at + 8 * block.rows.start);
    cursor.copy(8 * block.rows.len(), out)?;
    let flag_at = out.len();
    out.push(1);
    let mut has_nulls = false;
    for column in present() {
        has_nulls |= write_bitmap(cursor, column, &block.rows, out)?;
    }
    if !has_nulls {
        out.truncate(flag_at);
        out.push(0);
    }
    Ok(())
}

/// Writes a flag and, if any of the rows is null, their bits; says whether any is.
fn write_bitmap(
    cursor: &mut Cursor<'_>,
    column: &Column,
    rows: &Range<usize>,
    out: &mut Vec<u8>,
) -> Result<bool, ReadError> {
    let flag_at = out.len();
    if column.bitmap_at != 0 && !rows.is_empty() {
        let first = rows.start / 8;
        cursor.seek(column.bitmap_at as usize + first);
        let bits = cursor.peek((rows.end - 1) / 8 - first + 1, "bitmap")?;
        out.push(1);
        if write_bits(bits, rows.start % 8, rows.len(), out) {
            return Ok(true);
        }
        out.truncate(flag_at);
    }
    out.push(0);
    Ok(false)
}

/// Writes `count` bits from bit `shift` of `bits` on, and zeros up to the length of a bitmap; says
/// whether any of them is set.
fn write_bits(bits: &[u8], shift: usize, count: usize, out: &mut Vec<u8>) -> bool {
    let byte = |index: usize| u16::from(bits.get(index).copied().unwrap_or_default());
    let mut is_any = 0;
    for index in 0..bitmap_bytes(count) {
        let [_, low] = ((byte(index) | byte(index + 1) << 8) >> shift).to_be_bytes();
        let mask = match count - index * 8 {
            valid @ 0..8 => (1_u8 << valid) - 1,
            _ => 0xff,
        };
        is_any |= low & mask;
        out.push(low & mask);
    }
    is_any != 0
}

/// Writes the values of a part; columns of texts remember where the next rows lie.
pub(super) fn write_values(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    columns: &mut [Column],
    block: &Block,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let columns = columns.get_mut(block.columns.clone()).unwrap_or_default();
    for column in columns.iter_mut().filter(|column| !column.is_absent) {
        let at = column.values_at as usize;
        if let Some(bytes) = column.data_type.and_then(DataType::value_bytes) {
            cursor.seek(at + bytes * block.rows.start);
            cursor.copy(bytes * block.rows.len(), out)?;
            continue;
        }
        cursor.seek(at);
        if layout.form.has_flagged_cells() {
            write_flagged_texts(cursor, block.rows.len(), out)?;
        } else {
            write_texts(cursor, block.rows.len(), out)?;
        }
        column.values_at = offset(cursor.at());
    }
    Ok(())
}

/// Texts that stand as a part has them go over in one piece.
fn write_texts(cursor: &mut Cursor<'_>, rows: usize, out: &mut Vec<u8>) -> Result<(), ReadError> {
    let at = cursor.at();
    cursor.skip_texts(rows, "text")?;
    let bytes = cursor.at() - at;
    cursor.seek(at);
    cursor.copy(bytes, out)
}

fn write_flagged_texts(
    cursor: &mut Cursor<'_>,
    rows: usize,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    for _ in 0..rows {
        if cursor.bool("notNull")? {
            let bytes = cursor.count(TEXT_BYTES_MAX, "text")?;
            put_count(bytes, out);
            cursor.copy(bytes, out)?;
        } else {
            put_count(0, out);
        }
    }
    Ok(())
}

/// The span of a value that is too long for a part, its length word included.
pub(super) fn large_value(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    columns: &mut [Column],
    index: usize,
) -> Result<Range<u64>, ReadError> {
    let Some(column) = columns.get_mut(index) else { return Ok(0..0) };
    cursor.seek(column.values_at as usize);
    if layout.form.has_flagged_cells() {
        cursor.skip(1, "notNull")?;
    }
    let start = cursor.at();
    let bytes = cursor.count(TEXT_BYTES_MAX, "text")?;
    cursor.skip(bytes, "text")?;
    column.values_at = offset(cursor.at());
    Ok(start as u64..cursor.at() as u64)
}

pub(super) fn times_of(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    rows: &Range<usize>,
) -> Result<TimeRange, ReadError> {
    if rows.len() == layout.rows {
        return Ok(layout.time_range);
    }
    let mut range = TimeRange::EMPTY;
    cursor.seek(layout.times_at + 8 * rows.start);
    for _ in rows.clone() {
        range.include(cursor.i64("time")?);
    }
    Ok(range)
}

/// Writes a count that was read as an i32 before.
pub(super) fn put_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
}

//! Tablets cut by rows, and where that is not enough by columns.
//!
//! ```text
//!            columns            group of columns: names <= NAMES_BYTES_MAX; all of them, usually
//!           +-----------+-----+
//!      rows |  part 0   |  3  |    part: rows of a group, near ENTRY_BYTES_TARGET
//!           +-----------+     |
//!           |  part 1   +-----+
//!           +-----------+  4  |
//!           |2a| 2b |2c |     |    a row longer than PART_BYTES_MAX: some of its columns after the
//!           +-----------+-----+    others; 2b is a single value beyond it, and becomes Large
//! ```
//!
//! The rows of a part are found by trying: the number that fits by the sizes that are fixed, or twice
//! that of the part before, halved until the texts fit, too. Texts have no index; each column of texts
//! remembers where the next part's first row lies.

use std::ops::Range;

use super::{Content, PART_BYTES_MAX, Part, part};
use crate::data::{DataType, Identity, TimeRange};
use crate::limits::{ENTRY_BYTES_TARGET, KIB};
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::tablet::{Column, Form, Layout, TEXT_BYTES_MAX, bitmap_bytes};

/// Bytes of names that are repeated in each part; more columns make another group.
pub(super) const NAMES_BYTES_MAX: usize = 128 * KIB;
/// Version, type and node type.
pub(super) const HEAD: [u8; 5] = [1, 0, 2, 0, 13];

/// Columns and rows of a tablet that make one part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    columns: Range<usize>,
    rows: Range<usize>,
}

/// A tablet, and how far it is cut.
#[derive(Debug)]
pub(super) struct Cut {
    layout: Layout,
    identity: Option<Identity>,
    /// Whether it goes on byte for byte.
    is_whole: bool,
    /// The group of columns.
    group: Range<usize>,
    /// The next row.
    row: usize,
    /// The next column, within a row that is cut by columns; else the start of the group.
    column: usize,
    /// Rows to try first.
    guess: usize,
    is_done: bool,
}

impl Cut {
    /// The tablet with this layout, before its first part; `None` if it has no values.
    pub(super) fn new(
        layout: Layout,
        identity: Option<Identity>,
        columns: &[Column],
    ) -> Option<Self> {
        if layout.rows == 0 || columns.iter().all(|column| column.is_absent) {
            return None;
        }
        let fits = whole_bytes(&layout) <= PART_BYTES_MAX;
        let is_whole = layout.form == Form::Node && (fits || identity.is_some());
        let group = if is_whole { 0..columns.len() } else { group_at(0, columns) };
        let guess = layout.rows;
        Some(Self { layout, identity, is_whole, group, row: 0, column: 0, guess, is_done: false })
    }

    /// Whether the last part was written.
    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Writes the next part.
    pub(super) fn write(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut [Column],
        out: &mut Vec<u8>,
    ) -> Result<Part, ReadError> {
        if self.is_whole {
            return self.write_whole(cursor, out);
        }
        let block = match self.rows_that_fit(cursor, columns)? {
            Some(block) => block,
            None => self.columns_that_fit(cursor, columns)?,
        };
        let tail: &'static [u8] = if self.layout.is_aligned { &[1] } else { &[0] };
        let is_value = block.columns.is_empty();
        let block = if is_value { one_column(block) } else { block };
        write_head(cursor, &self.layout, columns, &block, out)?;
        let content = if is_value {
            let span = large_value(cursor, &self.layout, columns, block.columns.start)?;
            Content::Large { is_tablet: true, span, tail }
        } else {
            write_values(cursor, &self.layout, columns, &block, out)?;
            out.extend_from_slice(tail);
            Content::Tablet
        };
        let time_range = times_of(cursor, &self.layout, &block.rows)?;
        let rows = block.rows.len();
        self.step(&block, columns);
        Ok(part(content, time_range, rows, None))
    }

    /// A node as it is.
    fn write_whole(
        &mut self,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Part, ReadError> {
        let Layout { device_at, end, time_range, rows, .. } = self.layout;
        self.is_done = true;
        let content = if whole_bytes(&self.layout) <= PART_BYTES_MAX {
            out.extend_from_slice(&HEAD);
            cursor.seek(device_at);
            cursor.copy(end - device_at, out)?;
            Content::Tablet
        } else {
            out.extend_from_slice(&HEAD);
            let span = device_at as u64..end as u64;
            Content::Large { is_tablet: true, span, tail: &[] }
        };
        Ok(part(content, time_range, rows, self.identity))
    }

    /// As many rows of the group as fit; `None` if not even one does, or the row is cut already.
    fn rows_that_fit(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &[Column],
    ) -> Result<Option<Block>, ReadError> {
        if self.column != self.group.start {
            return Ok(None);
        }
        let least = row_bytes_least(columns.get(self.group.clone()).unwrap_or_default());
        let left = self.layout.rows - self.row;
        let mut count = left.min(self.guess).min(ENTRY_BYTES_TARGET / least).max(1);
        loop {
            let max = if count == 1 { PART_BYTES_MAX } else { ENTRY_BYTES_TARGET };
            let rows = self.row..self.row + count;
            let block = Block { columns: self.group.clone(), rows };
            if block_fits(cursor, &self.layout, columns, &block, max)? {
                self.guess = count.saturating_mul(2);
                return Ok(Some(block));
            }
            if count == 1 {
                return Ok(None);
            }
            count /= 2;
        }
    }

    /// Columns of one row, as many as fit; none if the value of the next one alone is too long.
    fn columns_that_fit(
        &self,
        cursor: &mut Cursor<'_>,
        columns: &[Column],
    ) -> Result<Block, ReadError> {
        let rows = self.row..self.row + 1;
        let mut block = Block { columns: self.column..self.column, rows };
        let mut left = PART_BYTES_MAX - block_bytes_least(&self.layout, &[], 1);
        for column in columns.get(self.column..self.group.end).unwrap_or_default() {
            match column_bytes(cursor, &self.layout, column, &block.rows, left)? {
                Some(bytes) => left -= bytes,
                None => break,
            }
            block.columns.end += 1;
        }
        if columns.get(block.columns.clone()).is_none_or(|found| found.iter().all(absent)) {
            let leading = columns.get(self.column..).unwrap_or_default().iter();
            let first = self.column + leading.take_while(|column| absent(column)).count();
            block.columns = first..first;
        }
        Ok(block)
    }

    /// Goes behind a block that was written.
    fn step(&mut self, block: &Block, columns: &[Column]) {
        self.column = block.columns.end;
        if self.column < self.group.end {
            return;
        }
        self.column = self.group.start;
        self.row = block.rows.end;
        if self.row < self.layout.rows {
            return;
        }
        self.is_done = self.group.end >= columns.len();
        self.row = 0;
        self.group = group_at(self.group.end, columns);
        self.column = self.group.start;
        self.guess = self.layout.rows;
    }
}

const fn absent(column: &Column) -> bool {
    column.is_absent
}

fn one_column(block: Block) -> Block {
    let start = block.columns.start;
    Block { columns: start..start + 1, ..block }
}

/// Bytes of a node as a part.
const fn whole_bytes(layout: &Layout) -> usize {
    HEAD.len() + layout.end - layout.device_at
}

/// The columns from `start` on whose names are short enough together; at least one with values, if any
/// is left, and all that are absent around it.
fn group_at(start: usize, columns: &[Column]) -> Range<usize> {
    let mut bytes = 0;
    let mut end = start;
    for column in columns.get(start..).unwrap_or_default() {
        if !column.is_absent {
            let more = name_bytes(column);
            if bytes > 0 && bytes + more > NAMES_BYTES_MAX {
                break;
            }
            bytes += more;
        }
        end += 1;
    }
    start..end
}

fn name_bytes(column: &Column) -> usize {
    4 + usize::from(column.name_bytes)
}

/// Bytes of a row in these columns if all texts are empty.
fn row_bytes_least(columns: &[Column]) -> usize {
    let present = columns.iter().filter(|column| !column.is_absent);
    8 + present.map(value_bytes_least).sum::<usize>()
}

fn value_bytes_least(column: &Column) -> usize {
    column.data_type.and_then(DataType::value_bytes).unwrap_or(4)
}

/// Bytes of a part without the values.
fn block_bytes_least(layout: &Layout, columns: &[Column], rows: usize) -> usize {
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
fn column_bytes(
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
fn block_fits(
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
fn write_head(
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
fn write_values(
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
        column.values_at = crate::wire::tablet::offset(cursor.at());
    }
    Ok(())
}

/// Texts that stand as a part has them go over in one piece.
fn write_texts(cursor: &mut Cursor<'_>, rows: usize, out: &mut Vec<u8>) -> Result<(), ReadError> {
    let at = cursor.at();
    for _ in 0..rows {
        let bytes = cursor.count(TEXT_BYTES_MAX, "text")?;
        cursor.skip(bytes, "text")?;
    }
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
fn large_value(
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
    column.values_at = crate::wire::tablet::offset(cursor.at());
    Ok(start as u64..cursor.at() as u64)
}

fn times_of(
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

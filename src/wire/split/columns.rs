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

use super::block::{
    Block, HEAD, block_bytes_least, block_fits, column_bytes, large_value, name_bytes,
    row_bytes_least, times_of, write_head, write_values,
};
use super::{Content, PART_BYTES_MAX, Part, part};
use crate::data::Identity;
use crate::limits::{ENTRY_BYTES_TARGET, KIB};
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::tablet::{Column, Form, Layout};

/// Bytes of names that are repeated in each part; more columns make another group.
pub(super) const NAMES_BYTES_MAX: usize = 128 * KIB;

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

    /// The only part of a request that begins as the part does, and how many bytes of the request it is;
    /// `None` where the part has to be written.
    pub(super) fn as_is(&self, begin: &[u8]) -> Option<(usize, Part)> {
        let Layout { device_at, end, time_range, rows, .. } = self.layout;
        let fits = whole_bytes(&self.layout) <= PART_BYTES_MAX;
        let whole = self.is_whole && !self.is_done && fits;
        let part = part(Content::Tablet, time_range, rows, self.identity);
        (whole && begin == HEAD && device_at == begin.len()).then_some((end, part))
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
        let block = if is_value { block.first_column() } else { block };
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

//! Any data request as a series of parts that fit into spool entries.
//!
//! ```text
//!   2 10 node ----+
//!   3 11 tablet --+   Items        Splitter
//!   7 12 log -----+--> tablet --+--> Tablet   01 0002 000d device ... isAligned       <= PART_BYTES_MAX
//!   6 13 batch ---+    row -----+--> Large    the same for a single value beyond that
//!                      opaque --+--> Opaque   a request of its own (table model, types to be found)
//! ```
//!
//! The request is checked as a whole first: a malformed one gives no part. Then part after part is
//! written into a buffer of the caller's, in the order of the request, always the same ones: a part can
//! be skipped by its number when it is stored already.
//!
//! - A node that fits is passed on byte for byte, with its schemas. So is one with an identity of ours,
//!   whatever its size: what another node cut is not cut again.
//! - A longer tablet, or one in another form, is rewritten without schemas, cut by rows near
//!   `ENTRY_BYTES_TARGET`. Only if a single row is longer than `PART_BYTES_MAX` it is cut by columns, and
//!   if the names alone are long, the columns are done in groups.
//! - Rows that follow each other, of one device, with the same columns and ascending times, make one
//!   tablet: at most `SPLIT_ROWS_MAX` of them, and `SPLIT_WINDOW_BYTES` of the request.
//! - Columns without any value or type are left out, and so are rows without any value. What has no
//!   value at all gives no part: an empty tablet is stored by storing nothing.
//! - A row whose types the receiver has to find out from texts cannot be a tablet. It becomes an opaque
//!   request of type 2 with an `InsertRowNode`.
//! - A trailer ([`trailer`]) is no part of the request. It names the only part there is.
//!
//! Memory: the window for requests on disk, and a table by columns (see [`Scratch`]). Nothing grows with
//! the rows, and no buffer holds a value: a part is written straight from the request.

mod block;
mod columns;
mod rows;

use std::ops::Range;

use super::WireError;
use super::batch::{Item, Items, Opaque};
use super::columns::Columns;
use super::cursor::{Cursor, ReadError};
use super::trailer;
use crate::data::identity::PLAN_NODE_ID_BYTES;
use crate::data::{Identity, ReadAt, TimeRange};
use crate::limits::{
    COLUMNS_MAX, ENTRY_BYTES_MAX, ENTRY_BYTES_TARGET, IDENTITY_BYTES_MAX, NAME_BYTES_MAX,
    SPLIT_ROWS_MAX, SPLIT_WINDOW_BYTES,
};
use columns::Cut;
use rows::{Ended, RunRow};

/// What the spool adds to a tablet: its identity as plan node id, and the child count.
pub const TAIL_BYTES: usize = 4 + PLAN_NODE_ID_BYTES + 4;
const _: () = assert!(TAIL_BYTES == IDENTITY_BYTES_MAX as usize);
/// Largest part that is written into the buffer.
pub const PART_BYTES_MAX: usize = ENTRY_BYTES_MAX - TAIL_BYTES;

/// The memory of a [`Splitter`], kept from one request to the next.
///
/// It grows to at most 16 + 1 bytes for each of `COLUMNS_MAX` columns, 12 bytes for each of
/// `SPLIT_ROWS_MAX` rows, and, once a request lay on disk, the window of `SPLIT_WINDOW_BYTES`.
#[derive(Debug, Default)]
pub struct Scratch {
    window: Vec<u8>,
    columns: Columns,
    types: Vec<u8>,
    rows: Vec<RunRow>,
}

impl Scratch {
    /// Memory for the columns that are usual; it grows when more are met.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that are held.
    pub fn memory_bytes(&self) -> usize {
        self.window.capacity()
            + self.columns.memory_bytes()
            + self.types.capacity()
            + self.rows.capacity() * size_of::<RunRow>()
    }
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The buffer holds a payload of type 2: an InsertTabletNode up to and including `isAligned`. Plan
    /// node id and child count are still to be added.
    Tablet,
    /// The buffer holds a complete request.
    Opaque,
    /// A tablet as above, or an opaque request, of which the buffer holds only the beginning: it goes
    /// on with `span` of the request, and ends with `tail`.
    Large {
        /// Whether it is a tablet, to which plan node id and child count are still to be added.
        is_tablet: bool,
        /// Bytes of the request, by offset.
        span: Range<u64>,
        /// What follows them.
        tail: &'static [u8],
    },
}

/// One part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 0.
    pub number: u32,
    /// Whether it is the last.
    pub is_last: bool,
    /// What it is, and where its bytes are.
    pub content: Content,
    /// Times in it.
    pub time_range: TimeRange,
    /// Rows in it.
    pub rows: usize,
    /// Who took it in first, if the request says.
    pub identity: Option<Identity>,
}

/// What is being cut.
#[derive(Debug)]
enum Current {
    Tablet(Cut),
    Opaque(Opaque),
    /// Rows from here on; the items as they were before the first of them.
    Rows {
        before: Items,
        at: usize,
    },
    End,
}

/// Cuts one request into parts; see the module.
#[derive(Debug)]
pub struct Splitter<'r> {
    cursor: Cursor<'r>,
    columns: &'r mut Columns,
    types: &'r mut Vec<u8>,
    rows: &'r mut Vec<RunRow>,
    /// The items in front of the first, where `body_at` is.
    begin: Items,
    body_at: usize,
    /// The items behind `current`, which the cursor stands at unless `current` moves it.
    items: Items,
    current: Current,
    behind: usize,
    number: u32,
    /// Who took the request in first, if its trailer says.
    identity: Option<Identity>,
    /// Whether an error left a part half done.
    is_broken: bool,
}

impl<'r> Splitter<'r> {
    /// Checks the whole request. `request` is a payload: version, type and body of a request of type
    /// 2, 3, 6, 7, 10, 11, 12 or 13, and perhaps a trailer.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] with the offset where the bytes stop being such a request;
    /// [`ReadError::Disk`] if they cannot be read.
    pub fn new(request: &'r dyn ReadAt, scratch: &'r mut Scratch) -> Result<Self, ReadError> {
        let Scratch { window, columns, types, rows } = scratch;
        columns.clear();
        if request.as_bytes().is_none() {
            window.resize(SPLIT_WINDOW_BYTES, 0);
        }
        let (bytes, identity) = trailer::find(request)?;
        let mut cursor = Cursor::within(request, bytes, window)?;
        let begin = Items::begin(&mut cursor)?;
        let body_at = cursor.at();
        let (items, behind, current) = (begin, body_at, Current::End);
        let mut splitter = Self {
            cursor,
            columns,
            types,
            rows,
            begin,
            body_at,
            items,
            current,
            behind,
            number: 0,
            identity,
            is_broken: false,
        };
        match (splitter.check(), begin.with_other_layout()) {
            (Err(ReadError::Malformed(first)), Some(other)) => {
                splitter.check_other(first, other)?;
            }
            (checked, _) => checked?,
        }
        Ok(splitter)
    }

    /// A request that is a single node and goes on as it is: its first bytes, so many, are the only
    /// part. Then nothing has to be written to have it. `None` for everything else.
    pub fn as_is(&mut self) -> Option<(usize, Part)> {
        let Current::Tablet(cut) = &self.current else { return None };
        let at = self.cursor.at();
        self.cursor.seek(0);
        let found =
            self.cursor.peek(block::HEAD.len(), "head").ok().and_then(|head| cut.as_is(head));
        self.cursor.seek(at);
        // A request of type 2 is one item.
        found.map(|(bytes, part)| (bytes, Part { is_last: true, ..self.identified(part) }))
    }

    /// Writes the next part into `out`, which is cleared first and then holds at most
    /// `PART_BYTES_MAX` bytes; `None` behind the last part, at once for a request without values.
    ///
    /// # Errors
    /// [`ReadError::Disk`] if the request cannot be read any more. After an error only
    /// [`Splitter::skip_to`] goes on.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Part>, ReadError> {
        out.clear();
        self.is_broken = true;
        let part = self.next_part(out)?;
        self.is_broken = false;
        Ok(part)
    }

    fn next_part(&mut self, out: &mut Vec<u8>) -> Result<Option<Part>, ReadError> {
        let Some((part, is_done)) = self.write(out)? else { return Ok(None) };
        debug_assert!(out.len() <= PART_BYTES_MAX, "{} bytes", out.len());
        let number = self.number;
        self.number += 1;
        if is_done {
            self.cursor.seek(self.behind);
            self.load()?;
        }
        let is_last = matches!(self.current, Current::End);
        let part = if number == 0 && is_last { self.identified(part) } else { part };
        Ok(Some(Part { number, is_last, ..part }))
    }

    /// A request's only part is what its trailer names. Several are not: they cannot be one entry.
    fn identified(&self, part: Part) -> Part {
        Part { identity: self.identity.or(part.identity), ..part }
    }

    /// Goes to the part with this number, so that [`Splitter::next`] writes it; `out` is used on the
    /// way. Returns whether there is such a part.
    ///
    /// # Errors
    /// As [`Splitter::next`].
    pub fn skip_to(&mut self, number: u32, out: &mut Vec<u8>) -> Result<bool, ReadError> {
        if number < self.number || self.is_broken {
            self.rewind()?;
        }
        while self.number < number {
            if self.next(out)?.is_none() {
                return Ok(false);
            }
        }
        out.clear();
        Ok(!matches!(self.current, Current::End))
    }

    /// Goes through everything; stands at the first part then.
    fn check(&mut self) -> Result<(), ReadError> {
        self.items = self.begin;
        self.cursor.seek(self.body_at);
        self.load()?;
        let first_behind = self.behind;
        let others = self.items.check(&mut self.cursor, self.columns)?;
        if others == 0 {
            self.cursor.seek(first_behind);
            return Ok(());
        }
        self.rewind()
    }

    /// A second try, with the other layout of raw tablets; if it fails, too, the first error counts.
    fn check_other(&mut self, first: WireError, other: Items) -> Result<(), ReadError> {
        self.begin = other;
        match self.check() {
            Err(ReadError::Malformed(_)) => Err(first.into()),
            checked => checked,
        }
    }

    fn rewind(&mut self) -> Result<(), ReadError> {
        self.items = self.begin;
        self.number = 0;
        self.cursor.seek(self.body_at);
        self.load()?;
        self.is_broken = false;
        Ok(())
    }

    /// Goes to the next item that has a value.
    fn load(&mut self) -> Result<(), ReadError> {
        self.current = loop {
            let (before, at) = (self.items, self.cursor.at());
            let Some(item) = self.items.next(&mut self.cursor, self.columns)? else {
                break Current::End;
            };
            if let Some(current) = self.work_on(item, before, at) {
                break current;
            }
        };
        self.behind = self.cursor.at();
        Ok(())
    }

    /// What there is to cut in an item; nothing if it has no value.
    fn work_on(&self, item: Item, before: Items, at: usize) -> Option<Current> {
        match item {
            Item::Row(row) => row.has_values.then_some(Current::Rows { before, at }),
            Item::Opaque(opaque) => (opaque.rows > 0).then_some(Current::Opaque(opaque)),
            Item::Tablet { layout, identity } => {
                Cut::new(layout, identity, self.columns).map(Current::Tablet)
            }
        }
    }

    /// Writes a part, and says whether it was the last of what is being cut.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<Option<(Part, bool)>, ReadError> {
        match &mut self.current {
            Current::End => Ok(None),
            Current::Opaque(opaque) => {
                let part = write_opaque(&mut self.cursor, opaque, out)?;
                Ok(Some((part, true)))
            }
            Current::Tablet(cut) => {
                let part = cut.write(&mut self.cursor, self.columns, out)?;
                Ok(Some((part, cut.is_done())))
            }
            &mut Current::Rows { before, at } => {
                if let Some(part) = self.write_rows(before, at, out)? {
                    return Ok(Some((part, true)));
                }
                self.load_long_row(before, at)?;
                self.write(out)
            }
        }
    }

    fn write_rows(
        &mut self,
        before: Items,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<Part>, ReadError> {
        self.cursor.seek(at);
        let window = self.cursor.left().min(SPLIT_WINDOW_BYTES);
        let mut count = match self.cursor.at_hand(window) {
            0 => window,
            bytes => bytes,
        };
        let run = loop {
            let bytes = self.cursor.peek(count, "rows")?;
            let tables = rows::Tables { columns: self.columns, types: self.types, rows: self.rows };
            match rows::write(bytes, at, before, tables, out)? {
                Ended::Within(run) => break run,
                Ended::AtEdge(run) if count == window => break run,
                Ended::AtEdge(_) => count = window,
            }
            out.clear();
        };
        let Some(run) = run else { return Ok(None) };
        self.items = run.items;
        self.behind = run.behind;
        Ok(Some(run.part))
    }

    /// A row that is longer than the window is cut like a tablet.
    fn load_long_row(&mut self, before: Items, at: usize) -> Result<(), ReadError> {
        self.items = before;
        self.cursor.seek(at);
        let item = self.items.next(&mut self.cursor, self.columns)?;
        self.behind = self.cursor.at();
        self.current = match item {
            Some(Item::Row(row)) => Cut::new(row.as_tablet(), None, self.columns),
            _ => None,
        }
        .map_or(Current::End, Current::Tablet);
        Ok(())
    }
}

fn write_opaque(
    cursor: &mut Cursor<'_>,
    opaque: &Opaque,
    out: &mut Vec<u8>,
) -> Result<Part, ReadError> {
    out.extend_from_slice(opaque.head);
    let bytes = opaque.end - opaque.at;
    let content = if opaque.head.len() + bytes + opaque.tail.len() <= PART_BYTES_MAX {
        cursor.seek(opaque.at);
        cursor.copy(bytes, out)?;
        out.extend_from_slice(opaque.tail);
        Content::Opaque
    } else {
        let span = opaque.at as u64..opaque.end as u64;
        Content::Large { is_tablet: false, span, tail: opaque.tail }
    };
    Ok(part(content, opaque.time_range, opaque.rows, opaque.identity))
}

/// A part whose place among the others is filled in later.
const fn part(
    content: Content,
    time_range: TimeRange,
    rows: usize,
    identity: Option<Identity>,
) -> Part {
    Part { number: 0, is_last: false, content, time_range, rows, identity }
}

// A run of rows becomes at most: its names, 8 bytes and a bit for each cell of one byte, the times, and
// for each column flag, bitmap and type.
const _: () = assert!(
    SPLIT_WINDOW_BYTES * (1 + 8 + 1) + SPLIT_ROWS_MAX * 8 + SPLIT_WINDOW_BYTES * 2
        <= PART_BYTES_MAX
);
// The bitmap of a part lies within the window.
const _: () = assert!(ENTRY_BYTES_TARGET / 8 / 8 + 2 <= SPLIT_WINDOW_BYTES);
// A group of columns leaves room for rows.
const _: () = assert!(columns::NAMES_BYTES_MAX + 2 * NAME_BYTES_MAX + 64 < ENTRY_BYTES_TARGET);
const _: () = assert!(COLUMNS_MAX * size_of::<super::tablet::Column>() <= 4 * SPLIT_WINDOW_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a text of hex digits with spaces.
    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    /// Two rows of root.sg.d1, s1 INT32 7, 8, s2 TEXT "a", null: a node up to isAligned.
    const NODE: &str = "000d 0000000a726f6f742e73672e6431 00000002 00 000000027331 000000027332
        0105 00000002 0000000000000001 0000000000000002 01 00 0102
        00000007 00000008 0000000161 00000000 00";
    const TAIL: &str = "00000000 00000000";
    const RAW_V1: &str = "0000000a726f6f742e73672e6431 00000002 01 00000002
        01 000000027331 01 00 00 00000000 01 000000027332 05 00 00 00000000
        01 0000000000000001 0000000000000002 01 00 01 00000002 0000000102
        01 01 00000007 00000008 01 01 0000000161 00 00";
    const RAW_V2: &str = "0000000a726f6f742e73672e6431 00000002 01 00000002
        01 000000027331 01 00 00 00000000 01 01 000000027332 05 00 00 00000000 01
        01 0000000000000001 0000000000000002 01 00 01 00000002 0000000102
        01 01 00000007 00000008 01 01 0000000161 00 00";

    fn split(request: &str) -> Result<Vec<(Part, Vec<u8>)>, ReadError> {
        let request = hex(request);
        let (mut scratch, mut out) = (Scratch::new(), Vec::new());
        let source: &[u8] = &request;
        let mut splitter = Splitter::new(&source, &mut scratch)?;
        let mut parts = Vec::new();
        while let Some(part) = splitter.next(&mut out)? {
            parts.push((part, out.clone()));
        }
        Ok(parts)
    }

    /// What goes on as it is, is what would be written.
    fn assert_as_is(text: &str, part: &Part, bytes: &[u8]) {
        let request = hex(text);
        let source: &[u8] = &request;
        let mut scratch = Scratch::new();
        let as_is = Splitter::new(&source, &mut scratch).unwrap().as_is();
        assert_eq!(as_is.is_some(), text.starts_with("010002"), "{text}");
        if let Some((count, found)) = as_is {
            assert_eq!((&found, request.get(..count)), (part, Some(bytes)), "{text}");
        }
    }

    fn only_tablet(request: &str) -> Vec<u8> {
        let mut parts = split(request).unwrap();
        assert_eq!(parts.len(), 1);
        let (part, bytes) = parts.remove(0);
        assert_eq!((part.number, part.is_last, part.rows), (0, true, 2));
        assert_as_is(request, &part, &bytes);
        assert_eq!(part.content, Content::Tablet);
        assert_eq!(part.time_range, TimeRange { min: 1, max: 2 });
        bytes
    }

    #[test]
    fn every_form_of_a_tablet_becomes_the_same_node() {
        let node = hex(&format!("010002 {NODE}"));
        for request in [
            format!("010002 {NODE}{TAIL}"),
            format!("010002 {NODE}{TAIL} 000000"),
            format!("01000a {NODE}{TAIL} ffffffff"),
            format!("010003 {RAW_V1}"),
            format!("010003 {RAW_V2}"),
            format!("01000b {RAW_V2} 00000007726f6f742e7367"),
            format!("01000b {RAW_V2} ffffffff"),
            format!("010006 00000000 00000001 {NODE}{TAIL} 00000000"),
            format!("010006 00000000 00000000 00000001 {RAW_V1}"),
            format!("01000d 00000000 00000000 00000001 {RAW_V2} ffffffff"),
        ] {
            assert_eq!(only_tablet(&request), node, "{request}");
        }
    }
}

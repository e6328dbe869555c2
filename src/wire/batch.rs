//! The data requests as a sequence of tablets and rows.
//!
//! ```text
//!   2  node, zeros                            3  raw tablet (1.x; 2.x is tried)
//!  10  node, string database                 11  raw tablet (2.x), string database
//!   7  log entry, to the end
//!  12  i32 length, log entry, string database
//!
//!   6  i32 b, b x (i32 length, log entry)
//!      i32 n, n x node
//!      i32 t, t x raw tablet (1.x; 2.x is tried)
//!  13  as 6 with raw tablets of 2.x, and a string database behind each of the three
//!
//!  InsertRows   i32 k, k x row, k x i32 index, then the tail of the node [not in the log]
//! ```
//!
//! Defined by `PipeTransferTabletInsertNodeReq`, `...RawReq`, `...BinaryReq`, `...BatchReq` and their
//! V2. [`Items`] goes through any of them and stops at each tablet and each row. It is a few words
//! that can be copied, so that a reader comes back to an item by keeping what was before it.
//!
//! What belongs to the table model, or cannot be a tablet, is an [`Opaque`]: a span of the request that
//! makes a request of its own with a few bytes around it.

use super::columns::Columns;
use super::cursor::{Cursor, ReadError};
use super::node::{self, NodeType};
use super::request::RequestType;
use super::row::{self, RowForm, RowLayout};
use super::tablet::{self, Form, Layout, value};
use super::{WireError, wal};
use crate::data::{Identity, TimeRange};
use crate::limits::NAME_BYTES_MAX;

/// One thing in a data request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A tablet of the tree model.
    Tablet {
        /// Where its parts lie.
        layout: Layout,
        /// Who took it in first, if its plan node id says.
        identity: Option<Identity>,
    },
    /// A row of the tree model whose types are all known.
    Row(RowLayout),
    /// Something that is passed on as it is.
    Opaque(Opaque),
}

/// A span of a request that is passed on as it is, as a request of its own: `head`, the span, `tail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opaque {
    /// Version and type of the request, sometimes the type of its node.
    pub head: &'static [u8],
    /// Where the span begins.
    pub at: usize,
    /// Behind the span.
    pub end: usize,
    /// What ends the node, if the span does not.
    pub tail: &'static [u8],
    /// Times in it.
    pub time_range: TimeRange,
    /// Rows in it.
    pub rows: usize,
    /// Who took it in first, if its plan node id says.
    pub identity: Option<Identity>,
}

const HEAD_NODE: &[u8] = &[1, 0, 2];
const HEAD_ROW: &[u8] = &[1, 0, 2, 0, 14];
const HEAD_NODE_V2: &[u8] = &[1, 0, 10];
const HEAD_TABLET_V2: &[u8] = &[1, 0, 11];
const HEAD_LOG_V2: &[u8] = &[1, 0, 12];
/// An empty plan node id and no children.
const TAIL_NODE: &[u8] = &[0; 8];

/// Which kind of thing comes next, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// The head of a batch's section, or of the single thing in another request, is still to be read.
    Begin(Content),
    Left(Content, usize),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Logs,
    Nodes,
    Tablets,
}

/// The rows of an `InsertRows` node that are still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    form: RowForm,
    count: usize,
    left: usize,
    /// Where a log entry has to end.
    end: usize,
}

/// Goes through a data request, item after item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Items {
    request: RequestType,
    section: Section,
    rows: Option<Rows>,
    /// The layout of raw tablets.
    raw: Form,
    /// Where the request ends; the cursor may end before.
    end: usize,
}

impl Items {
    /// Reads version and type at the cursor, which is at the start of a payload.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] if it is not version 1, or not a request of rows.
    pub fn begin(cursor: &mut Cursor<'_>) -> Result<Self, ReadError> {
        match cursor.u8("version")? {
            1 => {}
            got => return Err(value("version", cursor.at() - 1, "1", i64::from(got))),
        }
        let code = cursor.i16("request type")?;
        match RequestType::from_code(code).filter(|request| request.is_rows()) {
            Some(request) => Ok(Self::of(request, cursor.end())),
            None => Err(value("request type", 1, "2, 3, 6, 7 or 10 to 13", i64::from(code))),
        }
    }

    fn of(request: RequestType, end: usize) -> Self {
        let is_v1 = matches!(request, RequestType::TabletRaw | RequestType::TabletBatch);
        let raw = if is_v1 { Form::RawV1 } else { Form::RawV2 };
        let is_node =
            matches!(request, RequestType::TabletInsertNode | RequestType::TabletInsertNodeV2);
        let is_tablet = matches!(request, RequestType::TabletRaw | RequestType::TabletRawV2);
        let content = match (is_node, is_tablet) {
            (true, _) => Content::Nodes,
            (_, true) => Content::Tablets,
            _ => Content::Logs,
        };
        Self { request, section: Section::Begin(content), rows: None, raw, end }
    }

    const fn is_batch(&self) -> bool {
        matches!(self.request, RequestType::TabletBatch | RequestType::TabletBatchV2)
    }

    /// Whether a database follows each thing.
    const fn has_databases(&self) -> bool {
        self.request.code() >= RequestType::TabletInsertNodeV2.code()
    }

    /// The same with raw tablets of the 2.x layout in place of 1.x; `None` if there is no choice.
    /// 2.0.10's own serializer writes types 3 and 6 so.
    #[must_use]
    pub fn with_other_layout(self) -> Option<Self> {
        (self.raw == Form::RawV1).then_some(Self { raw: Form::RawV2, ..self })
    }

    /// Goes through all that is left, and checks that the request ends there: exactly, or for type 2
    /// with zeros (the rest of the sender's buffer). Returns the number of items there were.
    ///
    /// # Errors
    /// As [`Items::next`]; [`WireError::Trailing`] if bytes are left.
    pub fn check(
        mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut Columns,
    ) -> Result<usize, ReadError> {
        let mut count = 0;
        while self.next(cursor, columns)?.is_some() {
            count += 1;
        }
        let allows_zeros = self.request == RequestType::TabletInsertNode;
        let (offset, left) = (cursor.at(), cursor.left());
        while cursor.left() > 0 {
            let zeros = cursor.run(usize::MAX, "zeros")?;
            if !allows_zeros || zeros.iter().any(|byte| *byte != 0) {
                return Err(WireError::Trailing { offset, left }.into());
            }
        }
        Ok(count)
    }

    /// The next item, or `None` behind the last; fills `columns` for a tablet and a row. The cursor has
    /// to be where the last call left it.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] where the bytes are not what the request's type says;
    /// [`ReadError::Disk`] if they cannot be read.
    pub fn next(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut Columns,
    ) -> Result<Option<Item>, ReadError> {
        loop {
            let item = match (self.rows, self.section) {
                (Some(rows), _) => self.next_row(rows, cursor, columns)?,
                (None, Section::End) => return Ok(None),
                (None, Section::Begin(content)) => {
                    self.section = Section::Left(content, self.count(cursor)?);
                    None
                }
                (None, Section::Left(content, 0)) => {
                    self.section = self.after(content);
                    None
                }
                (None, Section::Left(content, left)) => {
                    self.section = Section::Left(content, left - 1);
                    self.thing(content, cursor, columns)?
                }
            };
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// Number of things in the section that begins at the cursor.
    fn count(&self, cursor: &mut Cursor<'_>) -> Result<usize, ReadError> {
        if self.is_batch() { cursor.count(ITEMS_MAX, "count") } else { Ok(1) }
    }

    fn thing(
        &mut self,
        content: Content,
        cursor: &mut Cursor<'_>,
        columns: &mut Columns,
    ) -> Result<Option<Item>, ReadError> {
        match content {
            Content::Logs => self.log(cursor, columns),
            Content::Nodes => self.node(cursor, columns),
            Content::Tablets => self.tablet(cursor, columns).map(Some),
        }
    }

    const fn after(&self, content: Content) -> Section {
        match content {
            _ if !self.is_batch() => Section::End,
            Content::Logs => Section::Begin(Content::Nodes),
            Content::Nodes => Section::Begin(Content::Tablets),
            Content::Tablets => Section::End,
        }
    }

    fn tablet(&self, cursor: &mut Cursor<'_>, columns: &mut Columns) -> Result<Item, ReadError> {
        let at = cursor.at();
        let layout = tablet::scan(cursor, self.raw, columns)?;
        if self.has_databases() && is_table_model(cursor)? {
            let span = Span { head: HEAD_TABLET_V2, at, tail: &[] };
            return Ok(span.opaque(cursor, layout.time_range, layout.rows, None));
        }
        Ok(Item::Tablet { layout, identity: None })
    }

    fn node(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut Columns,
    ) -> Result<Option<Item>, ReadError> {
        let at = cursor.at();
        let node_type = NodeType::read(cursor)?;
        if node_type.is_relational() && !self.has_databases() {
            let got = i64::from(node_type.code());
            return Err(value("node type", at, "13 to 15", got));
        }
        match node_type {
            NodeType::InsertTablet => {
                let layout = tablet::scan(cursor, Form::Node, columns)?;
                let identity = self.node_tail(cursor)?;
                Ok(Some(Item::Tablet { layout, identity }))
            }
            NodeType::InsertRow => {
                let row = row::scan(cursor, RowForm::Node, columns)?;
                let node_end = cursor.at() + node_tail_bytes(cursor)?;
                self.node_tail(cursor)?;
                if !row.needs_types {
                    return Ok(Some(Item::Row(row)));
                }
                let time_range = TimeRange::at(row.time);
                Ok(Some(Item::Opaque(Opaque {
                    head: HEAD_NODE,
                    at,
                    end: node_end,
                    tail: &[],
                    time_range,
                    rows: 1,
                    identity: None,
                })))
            }
            NodeType::InsertRows => {
                let count = cursor.count(ITEMS_MAX, "rows")?;
                self.rows = Some(Rows { form: RowForm::Node, count, left: count, end: 0 });
                Ok(None)
            }
            NodeType::RelationalInsertTablet
            | NodeType::RelationalInsertRow
            | NodeType::RelationalInsertRows => {
                let (time_range, rows) = skip_relational(cursor, node_type, true, columns)?;
                let identity = self.node_tail(cursor)?;
                let span = Span { head: HEAD_NODE_V2, at, tail: &[] };
                Ok(Some(span.opaque(cursor, time_range, rows, identity)))
            }
        }
    }

    fn log(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut Columns,
    ) -> Result<Option<Item>, ReadError> {
        let at = cursor.at();
        let end = if self.request == RequestType::TabletBinary {
            self.end
        } else {
            let max = self.end.saturating_sub(cursor.at() + 4);
            cursor.count(max, "bytes of a log entry")? + cursor.at()
        };
        let node_at = cursor.at();
        let node_type = wal::skip_head(cursor)?;
        if node_type.is_relational() && !self.has_databases() {
            let got = i64::from(node_type.code());
            return Err(value("node type", node_at + 9, "13 to 15", got));
        }
        match node_type {
            NodeType::InsertTablet => {
                let layout = tablet::scan(cursor, Form::Wal, columns)?;
                self.log_tail(cursor, end)?;
                Ok(Some(Item::Tablet { layout, identity: None }))
            }
            NodeType::InsertRow => {
                let row = row::scan(cursor, RowForm::Wal, columns)?;
                self.log_tail(cursor, end)?;
                Ok(Some(Item::Row(row)))
            }
            NodeType::InsertRows => {
                let count = cursor.count(ITEMS_MAX, "rows")?;
                self.rows = Some(Rows { form: RowForm::Wal, count, left: count, end });
                Ok(None)
            }
            NodeType::RelationalInsertTablet
            | NodeType::RelationalInsertRow
            | NodeType::RelationalInsertRows => {
                let (time_range, rows) = skip_relational(cursor, node_type, false, columns)?;
                self.log_tail(cursor, end)?;
                let span = Span { head: HEAD_LOG_V2, at, tail: &[] };
                Ok(Some(span.opaque(cursor, time_range, rows, None)))
            }
        }
    }

    fn next_row(
        &mut self,
        rows: Rows,
        cursor: &mut Cursor<'_>,
        columns: &mut Columns,
    ) -> Result<Option<Item>, ReadError> {
        let mut item = None;
        let mut left = rows.left;
        if left > 0 {
            let row = row::scan(cursor, rows.form, columns)?;
            left -= 1;
            item = Some(if row.needs_types {
                let span = Span { head: HEAD_ROW, at: row.at, tail: TAIL_NODE };
                span.opaque(cursor, TimeRange::at(row.time), 1, None)
            } else {
                Item::Row(row)
            });
        }
        self.rows = Some(Rows { left, ..rows });
        if left == 0 {
            self.rows = None;
            match rows.form {
                RowForm::Wal => self.log_tail(cursor, rows.end)?,
                RowForm::Node => {
                    cursor.skip_each(rows.count, 4, "indexes of rows")?;
                    self.node_tail(cursor)?;
                }
            }
        }
        Ok(item)
    }

    fn node_tail(&self, cursor: &mut Cursor<'_>) -> Result<Option<Identity>, ReadError> {
        let identity = node::skip_tail(cursor)?;
        self.database(cursor)?;
        Ok(identity)
    }

    fn log_tail(&self, cursor: &mut Cursor<'_>, end: usize) -> Result<(), ReadError> {
        if cursor.at() != end {
            let got = i64::try_from(cursor.at()).unwrap_or(i64::MAX);
            return Err(value("end of a log entry", end, "the end of its node", got));
        }
        self.database(cursor)
    }

    fn database(&self, cursor: &mut Cursor<'_>) -> Result<(), ReadError> {
        if self.has_databases() {
            cursor.skip_nullable("database")?;
        }
        Ok(())
    }
}

/// Number of things in a section; each needs bytes of what is left, so that this never is memory.
const ITEMS_MAX: usize = 0x7fff_ffff;

struct Span {
    head: &'static [u8],
    at: usize,
    tail: &'static [u8],
}

impl Span {
    /// What lies between the span's start and the cursor.
    const fn opaque(
        self,
        cursor: &Cursor<'_>,
        time_range: TimeRange,
        rows: usize,
        identity: Option<Identity>,
    ) -> Item {
        let Self { head, at, tail } = self;
        Item::Opaque(Opaque { head, at, end: cursor.at(), tail, time_range, rows, identity })
    }
}

/// Goes over a node of the table model, up to where plan node id or log entry end begin.
fn skip_relational(
    cursor: &mut Cursor<'_>,
    node_type: NodeType,
    is_node: bool,
    columns: &mut Columns,
) -> Result<(TimeRange, usize), ReadError> {
    if node_type == NodeType::RelationalInsertTablet {
        let form = if is_node { Form::Node } else { Form::Wal };
        let layout = tablet::scan(cursor, form, columns)?;
        cursor.skip(columns.len(), "column categories")?;
        return Ok((layout.time_range, layout.rows));
    }
    let form = if is_node { RowForm::Node } else { RowForm::Wal };
    let is_list = node_type == NodeType::RelationalInsertRows;
    let count = if is_list { cursor.count(ITEMS_MAX, "rows")? } else { 1 };
    let mut range = TimeRange::EMPTY;
    for _ in 0..count {
        range.include(row::scan(cursor, form, columns)?.time);
        cursor.skip(columns.len(), "column categories")?;
    }
    if is_list && is_node {
        cursor.skip_each(count, 4, "indexes of rows")?;
    }
    Ok((range, count))
}

/// Bytes of plan node id and child count at the cursor, which stays.
fn node_tail_bytes(cursor: &mut Cursor<'_>) -> Result<usize, ReadError> {
    let at = cursor.at();
    node::skip_tail(cursor)?;
    let bytes = cursor.at() - at;
    cursor.seek(at);
    Ok(bytes)
}

/// Reads the database behind a raw tablet: null or `root...` is the tree model.
fn is_table_model(cursor: &mut Cursor<'_>) -> Result<bool, ReadError> {
    if cursor.peek(4, "database")? == [0xff; 4] {
        cursor.skip(4, "database")?;
        return Ok(false);
    }
    let bytes = cursor.count(NAME_BYTES_MAX, "database")?;
    let name = cursor.peek(bytes, "database")?;
    let is_tree = name == b"root" || name.starts_with(b"root.");
    cursor.skip(bytes, "database")?;
    Ok(!is_tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of root.d, a INT32 7, up to isAligned.
    const NODE: &[u8] = b"\0\x0d\0\0\0\x06root.d\0\0\0\x01\0\0\0\0\x01a\x01\
        \0\0\0\x01\0\0\0\0\0\0\0\x09\0\0\0\0\x07\0";
    const ROW: &[u8] =
        b"\0\0\0\0\0\0\0\x09\0\0\0\x06root.d\0\0\0\x01\0\0\0\0\x01a\x01\0\0\0\x07\0\0";
    const LOG: &[u8] = b"\x04\0\0\0\0\0\0\0\0\0\x0e\xff\xff\xff\xff\xff\xff\xff\xff\
        \0\0\0\0\0\0\0\x09\0\0\0\x06root.d\0\0\0\x01\0\0\0\x01a\x01\0\0\0\0\0\0\x01\0\0\0\x07\0";
    const TAIL: &[u8] = &[0; 8];
    const NULL: &[u8] = &[0xff; 4];
    const DB: &[u8] = b"\0\0\0\x02db";

    fn items(payload: &[u8]) -> Result<Vec<Item>, String> {
        let mut cursor = Cursor::memory(payload);
        let mut columns = Columns::new();
        let mut read = || {
            let mut items = Items::begin(&mut cursor)?;
            let checked = items.check(&mut cursor, &mut columns)?;
            cursor.seek(3);
            let mut all = Vec::new();
            while let Some(item) = items.next(&mut cursor, &mut columns)? {
                all.push(item);
            }
            assert_eq!(checked, all.len());
            Ok(all)
        };
        read().map_err(|error: ReadError| error.to_string())
    }

    fn only_opaque(payload: &[u8]) -> Opaque {
        match items(payload).unwrap()[..] {
            [Item::Opaque(opaque)] => opaque,
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn zeros_are_left_over_in_type_2_alone() {
        let node = [&[1, 0, 2], NODE, TAIL].concat();
        assert_eq!(items(&node).unwrap().len(), 1);
        assert_eq!(items(&[&node[..], &[0; 9]].concat()).unwrap().len(), 1);
        let end = node.len();
        let trailing =
            |count| format!("end of request expected at byte {end}, got {count} more bytes");
        assert_eq!(items(&[&node[..], &[0, 0, 1]].concat()), Err(trailing(3)));
        let mut v2 = [&[1, 0, 10], NODE, TAIL, NULL].concat();
        assert_eq!(items(&v2).unwrap().len(), 1);
        v2.push(0);
        assert!(items(&v2).is_err());
    }

    #[test]
    fn nodes_of_the_table_model_go_as_they_are() {
        let mut node = NODE.to_vec();
        node[..2].copy_from_slice(&[7, 0xd0]);
        node.push(3);
        let payload = [&[1, 0, 10], &node[..], TAIL, DB].concat();
        let opaque = only_opaque(&payload);
        assert_eq!((opaque.head, opaque.at, opaque.end), (&[1, 0, 10][..], 3, payload.len()));
        assert_eq!((opaque.time_range, opaque.rows), (TimeRange::at(9), 1));
        assert!(items(&[&[1, 0, 2], &node[..], TAIL].concat()).is_err(), "not in type 2");

        let row = [&[7, 0xd1], ROW, &[3], TAIL].concat();
        let rows = [&[7, 0xd2, 0, 0, 0, 1], ROW, &[3, 0, 0, 0, 0], TAIL].concat();
        for node in [row, rows] {
            let payload = [&[1, 0, 13, 0, 0, 0, 0, 0, 0, 0, 1], &node[..], DB, &[0; 4]].concat();
            let opaque = only_opaque(&payload);
            assert_eq!((opaque.at, opaque.end), (11, payload.len() - 4));
        }
    }

    #[test]
    fn logs_end_where_they_say() {
        let bytes = u8::try_from(LOG.len()).unwrap();
        assert_eq!(items(&[&[1, 0, 7], LOG].concat()).unwrap().len(), 1);
        let log = |length: u8| [&[1, 0, 12, 0, 0, 0, length], LOG, NULL].concat();
        assert_eq!(items(&log(bytes)).unwrap().len(), 1);
        for wrong in [bytes - 1, bytes + 1, bytes + 5] {
            assert!(items(&log(wrong)).is_err());
        }
        let mut relational = LOG.to_vec();
        relational[9..11].copy_from_slice(&[7, 0xd1]);
        relational.push(3);
        let payload = [&[1, 0, 12, 0, 0, 0, bytes + 1], &relational[..], DB].concat();
        let opaque = only_opaque(&payload);
        assert_eq!((opaque.head, opaque.at, opaque.end), (&[1, 0, 12][..], 3, payload.len()));
    }

    #[test]
    fn the_three_sections_of_a_batch_come_in_their_order() {
        let length = u8::try_from(LOG.len()).unwrap();
        let rows = [&[0, 15, 0, 0, 0, 2], ROW, ROW, &[0; 8], TAIL].concat();
        let payload = [
            &[1, 0, 6, 0, 0, 0, 1, 0, 0, 0, length],
            LOG,
            &[0, 0, 0, 2],
            NODE,
            TAIL,
            &rows,
            &[0; 4],
        ]
        .concat();
        let found = items(&payload).unwrap();
        assert_eq!(found.len(), 4);
        assert!(matches!(found[0], Item::Row(row) if row.form == RowForm::Wal));
        assert!(matches!(found[1], Item::Tablet { .. }));
        assert!(matches!(found[2..], [Item::Row(_), Item::Row(_)]));
        for end in 3..payload.len() {
            assert!(items(&payload[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn a_database_tells_the_model_of_a_raw_tablet() {
        let raw: &[u8] = b"\0\0\0\x01t\0\0\0\x01\x01\0\0\0\0\x01\0\0\0\0\0\0\0\x09\0\x01\0";
        for (database, is_tree) in [
            (NULL, true),
            (b"\0\0\0\x07root.sg", true),
            (b"\0\0\0\x04root", true),
            (b"\0\0\0\x05roots", false),
            (b"\0\0\0\x00", false),
            (DB, false),
        ] {
            let payload = [&[1, 0, 11], raw, database].concat();
            let found = items(&payload).unwrap();
            assert_eq!(matches!(found[0], Item::Tablet { .. }), is_tree, "{database:?}");
        }
    }

    #[test]
    fn an_identity_is_found_in_the_plan_node_id() {
        let id = b"P1:00112233445566778899aabbccddeeff:00000000000000000042";
        let payload = [&[1, 0, 2], NODE, &[0, 0, 0, 56], id, &[0; 4]].concat();
        let found = items(&payload).unwrap();
        let expected = Identity::parse_plan_node_id(id);
        assert!(expected.is_some());
        assert!(matches!(found[0], Item::Tablet { identity, .. } if identity == expected));
    }
}

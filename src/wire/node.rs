//! The envelope of plan nodes.
//!
//! ```text
//!  i16     node type
//!  ...     the node: see [`super::tablet`], [`super::row`], [`super::delete`]
//!  string  plan node id: any text; ours are "P1:<origin>:<sequence>", stock writes "1"
//!  i32     child count: 0
//! ```
//!
//! Defined by `PlanNode.serialize` and `PlanNodeType`.

use super::cursor::{Cursor, ReadError};
use super::tablet::value;
use crate::data::Identity;
use crate::data::identity::PLAN_NODE_ID_BYTES;

/// The plan nodes that carry rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum NodeType {
    /// `InsertTabletNode`.
    InsertTablet = 13,
    /// `InsertRowNode`.
    InsertRow = 14,
    /// `InsertRowsNode`.
    InsertRows = 15,
    /// `RelationalInsertTabletNode` (2.0, table model).
    RelationalInsertTablet = 2000,
    /// `RelationalInsertRowNode` (2.0, table model).
    RelationalInsertRow = 2001,
    /// `RelationalInsertRowsNode` (2.0, table model).
    RelationalInsertRows = 2002,
}

impl NodeType {
    /// The node type with this code, if it carries rows.
    pub const fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            13 => Self::InsertTablet,
            14 => Self::InsertRow,
            15 => Self::InsertRows,
            2000 => Self::RelationalInsertTablet,
            2001 => Self::RelationalInsertRow,
            2002 => Self::RelationalInsertRows,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether it belongs to the table model: a table in place of the device, a category for each
    /// column.
    pub const fn is_relational(self) -> bool {
        self.code() >= Self::RelationalInsertTablet.code()
    }

    /// Reads the type of a node.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] if it is none that carries rows.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, ReadError> {
        let at = cursor.at();
        let code = cursor.i16("node type")?;
        let expected = "13 to 15 or 2000 to 2002";
        Self::from_code(code).ok_or_else(|| value("node type", at, expected, i64::from(code)))
    }
}

/// Goes over plan node id and child count; returns the identity if the id is one.
///
/// # Errors
/// [`ReadError::Malformed`] if the id is too long or there are children, which no node of rows has.
pub fn skip_tail(cursor: &mut Cursor<'_>) -> Result<Option<Identity>, ReadError> {
    let bytes = cursor.skip_nullable("plan node id")?;
    let identity = if bytes == PLAN_NODE_ID_BYTES {
        cursor.seek(cursor.at() - bytes);
        let identity = Identity::parse_plan_node_id(cursor.peek(bytes, "plan node id")?);
        cursor.skip(bytes, "plan node id")?;
        identity
    } else {
        None
    };
    let at = cursor.at();
    match cursor.i32("child count")? {
        0 => Ok(identity),
        got => Err(value("child count", at, "0", i64::from(got))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_of_rows_have_a_type_here() {
        let known: Vec<i16> =
            (i16::MIN..=i16::MAX).filter(|code| NodeType::from_code(*code).is_some()).collect();
        assert_eq!(known, [13, 14, 15, 2000, 2001, 2002]);
        for code in known {
            let node_type = NodeType::from_code(code).unwrap();
            assert_eq!(node_type.code(), code);
            assert_eq!(node_type.is_relational(), code >= 2000);
        }
    }

    #[test]
    fn a_tail_has_an_id_and_no_children() {
        let tail = |bytes: &[u8]| skip_tail(&mut Cursor::memory(bytes)).map_err(|e| e.to_string());
        assert_eq!(tail(b"\0\0\0\x011\0\0\0\0"), Ok(None));
        assert_eq!(tail(b"\0\0\0\0\0\0\0\0"), Ok(None));
        assert_eq!(tail(b"\xff\xff\xff\xff\0\0\0\0"), Ok(None));
        let children = "child count at byte 5: expected 0, got 1";
        assert_eq!(tail(b"\0\0\0\x011\0\0\0\x01"), Err(children.to_owned()));
        assert!(tail(b"\0\0\0\x011\0\0\0").is_err());

        let id = b"P1:00112233445566778899aabbccddeeff:00000000000000000042";
        let bytes = [&[0, 0, 0, 56], &id[..], &[0; 4]].concat();
        assert_eq!(tail(&bytes), Ok(Identity::parse_plan_node_id(id)));
        assert!(tail(&bytes).unwrap().is_some());
        let other = [&[0, 0, 0, 56], &[b'x'; 56][..], &[0; 4]].concat();
        assert_eq!(tail(&other), Ok(None));
    }
}

//! What stands in front of a node in the write-ahead log's form.
//!
//! Senders up to 1.3.4 and 2.0.4 send a node in this form when they have to read it from their log again
//! (request types 7 and 12, and the first section of batches):
//!
//! ```text
//!  i8   entry type (4 row, 5 tablet, 8 rows)     ignored
//!  i64  memtable id                              ignored
//!  i16  node type: 13, 14, 15; 2.0 also 2000 to 2002
//!  i64  search index, -1 = none                  ignored
//!  ...  the node: see [`super::tablet`] and [`super::row`]; InsertRows are i32 k, k x row
//! ```
//!
//! Defined by `WALEntry.deserializeForConsensus` and `PlanNodeType.deserializeFromWAL`. Nothing in the
//! bytes tells this form from that of a plan node: the request's type does.

use super::cursor::{Cursor, ReadError};
use super::node::NodeType;

/// Goes over the head of an entry; the cursor stands at its node then.
///
/// # Errors
/// [`ReadError::Malformed`] if the entry is too short or its node is not one of rows.
pub fn skip_head(cursor: &mut Cursor<'_>) -> Result<NodeType, ReadError> {
    cursor.skip(1 + 8, "log entry")?;
    let node_type = NodeType::read(cursor)?;
    cursor.skip(8, "search index")?;
    Ok(node_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_entry_is_gone_over() {
        let mut entry = vec![5, 0, 0, 0, 0, 0, 0, 0, 3, 0, 13];
        entry.extend([0xff; 8]);
        entry.push(9);
        let mut cursor = Cursor::memory(&entry);
        assert_eq!(skip_head(&mut cursor).unwrap(), NodeType::InsertTablet);
        assert_eq!(cursor.u8("node").unwrap(), 9);
        for end in 0..19 {
            assert!(skip_head(&mut Cursor::memory(&entry[..end])).is_err(), "{end} bytes");
        }
        entry[10] = 44;
        let error = skip_head(&mut Cursor::memory(&entry)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "node type at byte 9: expected 13 to 15 or 2000 to 2002, got 44"
        );
    }
}

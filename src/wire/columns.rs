//! The table of columns that a tablet or a row fills.
//!
//! ```text
//!  row  | time device | 3 columns: a b c | cells |   row  | time device | 3 columns: a b c | cells |
//!                       ^ names                                           ^ the same bytes
//! ```
//!
//! The rows of a request have the same names again and again. Their table stays, and only moves along:
//! equal bytes are found by comparing, and not read anew.

use std::ops::{Deref, DerefMut, Range};

use super::cursor::{Cursor, ReadError};
use super::row::RowForm;
use super::tablet::{Column, offset};
use crate::data::DataType;

/// Columns, and what they were read from; 16 bytes for each of at most `COLUMNS_MAX`.
#[derive(Debug, Default)]
pub struct Columns {
    list: Vec<Column>,
    names: Option<Names>,
}

/// The names of a row, from their count on, or its schemas.
#[derive(Debug)]
struct Names {
    form: RowForm,
    has_schemas: bool,
    /// Where they lie in the request.
    place: Range<usize>,
}

/// Reads a column at the cursor.
pub(super) type ReadColumn = fn(&mut Cursor<'_>) -> Result<Column, ReadError>;

impl Columns {
    /// An empty table.
    pub const fn new() -> Self {
        Self { list: Vec::new(), names: None }
    }

    /// Empties the table, whose memory stays: another request has nothing in common with the last one.
    pub fn clear(&mut self) {
        self.list.clear();
        self.names = None;
    }

    /// Bytes that are held.
    pub const fn memory_bytes(&self) -> usize {
        self.list.capacity() * size_of::<Column>()
    }

    /// Reads `count` columns, at most `COLUMNS_MAX`, into the emptied table.
    pub(super) fn fill(
        &mut self,
        cursor: &mut Cursor<'_>,
        count: usize,
        read: ReadColumn,
    ) -> Result<(), ReadError> {
        self.clear();
        self.list.reserve(count);
        for _ in 0..count {
            self.list.push(read(cursor)?);
        }
        Ok(())
    }

    /// Notes that the table was filled by a row, from the bytes between `start` and the cursor.
    pub(super) const fn note_names(
        &mut self,
        form: RowForm,
        has_schemas: bool,
        start: usize,
        cursor: &Cursor<'_>,
    ) {
        self.names = Some(Names { form, has_schemas, place: start..cursor.at() });
    }

    /// Goes over the names at the cursor if they are those that filled the table, which is then as if it
    /// had been filled by them. Says whether they are; if not, nothing has happened.
    pub(super) fn repeat(&mut self, form: RowForm, cursor: &mut Cursor<'_>) -> bool {
        let Some(names) = self.names.as_mut().filter(|names| names.form == form) else {
            return false;
        };
        let Some(bytes) = cursor.repeated(&names.place) else { return false };
        let at = cursor.at();
        // They may lie in front of the ones before: the request is gone through again.
        let moved = offset(at).wrapping_sub(offset(names.place.start));
        for column in &mut self.list {
            column.name_at = column.name_at.wrapping_add(moved);
            (column.data_type, column.values_at) = (None, 0);
        }
        if names.has_schemas {
            for column in &mut self.list {
                let type_at = column.name_at as usize - at + 4 + usize::from(column.name_bytes);
                let code = bytes.get(type_at).copied();
                column.data_type = code.and_then(DataType::from_code);
            }
        }
        let behind = at + names.place.len();
        names.place = at..behind;
        cursor.seek(behind);
        true
    }
}

impl Deref for Columns {
    type Target = [Column];

    fn deref(&self) -> &[Column] {
        &self.list
    }
}

impl DerefMut for Columns {
    fn deref_mut(&mut self) -> &mut [Column] {
        &mut self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::row::scan;

    /// root.d, a FLOAT null, b INT32 7: time and device, then schemas, then cells.
    const HEAD: &[u8] = b"\0\0\0\0\0\0\0\x01\0\0\0\x06root.d";
    const OTHER_HEAD: &[u8] = b"\0\0\0\0\0\0\0\x02\0\0\0\x07root.d2";
    const NAMES: &[u8] = b"\0\0\0\x02\0\0\0\0\x01a\0\0\0\x01b";
    const SCHEMAS: &[u8] = b"\0\0\0\x02\x01\0\0\0\x01a\x03\0\0\0\0\0\0\
        \0\0\0\x01b\x01\0\0\0\0\0\0";
    const CELLS: &[u8] = b"\xfe\x01\0\0\0\x07\0\0";
    const OTHER_CELLS: &[u8] = b"\x04\0\0\0\0\0\0\0\0\xfe\0\0";

    /// Scans two rows that follow each other with one table, and says whether the names of the second
    /// were read anew; either way the table has to be the same.
    fn is_repeated(names: [&[u8]; 2], forms: [RowForm; 2]) -> bool {
        let request = [HEAD, names[0], CELLS, OTHER_HEAD, names[1], OTHER_CELLS].concat();
        let mut cursor = Cursor::memory(&request);
        let (mut columns, mut fresh) = (Columns::new(), Columns::new());
        scan(&mut cursor, forms[0], &mut columns).unwrap();
        let second_at = cursor.at();
        let names_at = second_at + OTHER_HEAD.len();
        cursor.seek(names_at);
        let repeated = columns.repeat(forms[1], &mut cursor);
        assert_eq!(cursor.at(), names_at + if repeated { names[1].len() } else { 0 });
        for table in [&mut columns, &mut fresh] {
            cursor.seek(second_at);
            scan(&mut cursor, forms[1], table).unwrap();
            assert_eq!(cursor.left(), 0);
        }
        assert_eq!(*columns, *fresh, "{names:?}");
        repeated
    }

    #[test]
    fn equal_names_give_the_table_that_reading_gives() {
        let node = [RowForm::Node; 2];
        assert!(is_repeated([NAMES, NAMES], node));
        assert!(is_repeated([SCHEMAS, SCHEMAS], node));
    }

    #[test]
    fn names_that_differ_are_read() {
        let node = [RowForm::Node; 2];
        assert!(!is_repeated([NAMES, SCHEMAS], node));
        assert!(!is_repeated([SCHEMAS, NAMES], node));
        for at in [8, 9, SCHEMAS.len() - 7] {
            let mut other = SCHEMAS.to_vec();
            other[at] ^= if at == 8 { 0 } else { 2 };
            assert_eq!(is_repeated([SCHEMAS, &other], node), at == 8, "byte {at}");
        }
    }

    #[test]
    fn another_request_finds_nothing_of_the_last_one() {
        let first = [HEAD, SCHEMAS, CELLS].concat();
        let mut columns = Columns::new();
        scan(&mut Cursor::memory(&first), RowForm::Node, &mut columns).unwrap();
        columns.clear();
        let mut cursor = Cursor::memory(&first);
        cursor.seek(HEAD.len());
        assert!(!columns.repeat(RowForm::Node, &mut cursor));
        assert!(columns.is_empty());
    }

    #[test]
    fn bytes_of_another_form_are_not_compared() {
        let request = [HEAD, NAMES, CELLS].concat();
        let mut cursor = Cursor::memory(&request);
        let mut columns = Columns::new();
        scan(&mut cursor, RowForm::Node, &mut columns).unwrap();
        cursor.seek(HEAD.len());
        assert!(!columns.repeat(RowForm::Wal, &mut cursor));
        assert!(columns.repeat(RowForm::Node, &mut cursor));
    }
}

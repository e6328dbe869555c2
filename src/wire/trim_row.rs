//! Some columns of a row as a row of its own: of rows whose types the receiver has to find out, which are no tablets.
//!
//! ```text
//!  01 0002 000e | time | device | m: names or schemas | cells | isNeedInferType, isAligned | node id, children
//!       kept      kept   kept     of kept columns              kept
//! ```

use super::columns::Columns;
use super::cursor::{Cursor, ReadError};
use super::row::{self, RowForm, RowLayout, TAG_NULL, TAG_RAW_STRING, TAG_TYPED_NULL};
use crate::data::DataType;

/// Version, request type and node type of a row's payload.
pub const ROW_HEAD: [u8; 5] = [1, 0, 2, 0, 14];

/// A row in a payload of type 2.
#[derive(Debug)]
pub struct Row<'p> {
    payload: &'p [u8],
    layout: RowLayout,
    columns: Columns,
}

impl<'p> Row<'p> {
    /// Reads the row of a payload that begins with [`ROW_HEAD`].
    ///
    /// # Errors
    /// If it is none.
    pub fn read(payload: &'p [u8]) -> Result<Self, ReadError> {
        let mut cursor = Cursor::memory(payload);
        cursor.skip(ROW_HEAD.len(), "head of a row")?;
        let mut columns = Columns::new();
        let layout = row::scan(&mut cursor, RowForm::Node, &mut columns)?;
        Ok(Self { payload, layout, columns })
    }

    /// Its time.
    pub const fn time(&self) -> i64 {
        self.layout.time
    }

    /// The path of its device.
    pub fn device(&self) -> &'p [u8] {
        let at = self.layout.device_at + 4;
        self.span(at, at + self.layout.device_bytes)
    }

    /// Writes the row with the columns that `wants` by their names to `out`, which is emptied first. Returns how many
    /// columns are left, and how many there are.
    pub fn trim(&self, wants: impl Fn(&str) -> bool, out: &mut Vec<u8>) -> (usize, usize) {
        out.clear();
        let names_at = self.layout.device_at + 4 + self.layout.device_bytes;
        out.extend_from_slice(self.span(0, names_at));
        let count_at = out.len();
        out.extend_from_slice(self.span(names_at, names_at + 5));
        let is_kept = |index: usize| {
            let name = self.columns.get(index).map_or(&[][..], |column| {
                let at = column.name_at as usize + 4;
                self.span(at, at + usize::from(column.name_bytes))
            });
            wants(&String::from_utf8_lossy(name))
        };
        let mut count: u32 = 0;
        for (index, column) in self.columns.iter().enumerate().filter(|(index, _)| is_kept(*index))
        {
            let next = self.columns.get(index + 1).map(|next| next.name_at as usize);
            let end = next.unwrap_or(self.layout.cells_at);
            out.extend_from_slice(self.span(column.name_at as usize, end));
            count += 1;
        }
        if let Some(place) = out.get_mut(count_at..).and_then(<[u8]>::first_chunk_mut::<4>) {
            *place = count.to_be_bytes();
        }
        let mut at = self.layout.cells_at;
        for index in 0..self.columns.len() {
            let end = at + cell_bytes(self.payload.get(at..).unwrap_or_default());
            if is_kept(index) {
                out.extend_from_slice(self.span(at, end));
            }
            at = end;
        }
        out.extend_from_slice(self.span(at, self.payload.len()));
        (count as usize, self.columns.len())
    }

    fn span(&self, from: usize, to: usize) -> &'p [u8] {
        self.payload.get(from..to).unwrap_or_default()
    }
}

/// Bytes of the cell at the start of `bytes`, which was scanned.
fn cell_bytes(bytes: &[u8]) -> usize {
    let Some((tag, value)) = bytes.split_first() else { return 0 };
    let text =
        || 4 + value.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    1 + match tag.cast_signed() {
        TAG_NULL => 0,
        TAG_TYPED_NULL => 1,
        TAG_RAW_STRING => text(),
        _ => DataType::from_code(*tag).and_then(DataType::value_bytes).unwrap_or_else(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// root.d at 7: a raw "1.5", b INT32 9, c null.
    const ROW: &[u8] = b"\x01\0\x02\0\x0e\0\0\0\0\0\0\0\x07\0\0\0\x06root.d\0\0\0\x03\0\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c\
        \xff\0\0\0\x031.5\x01\0\0\0\x09\xfe\x01\0\0\0\0\x011\0\0\0\0";

    #[test]
    fn columns_of_a_row_are_cut() {
        let row = Row::read(ROW).unwrap();
        assert_eq!((row.time(), row.device()), (7, &b"root.d"[..]));
        let mut out = Vec::new();
        assert_eq!(row.trim(|name| name != "b", &mut out), (2, 3));
        let expected: &[u8] =
            b"\x01\0\x02\0\x0e\0\0\0\0\0\0\0\x07\0\0\0\x06root.d\0\0\0\x02\0\0\0\0\x01a\0\0\0\x01c\
            \xff\0\0\0\x031.5\xfe\x01\0\0\0\0\x011\0\0\0\0";
        assert_eq!(out, expected);
        assert_eq!(row.trim(|_| true, &mut out), (3, 3));
        assert_eq!(out, ROW);
        assert_eq!(row.trim(|_| false, &mut out).0, 0);
        assert!((0..ROW.len() - 9).all(|end| Row::read(&ROW[..end]).is_err()));
    }
}

//! A request that is too long for memory: it goes through a file, and makes several entries.

use std::ops::Range;

use penstock_test_support::frames::{self, TabletShape};

use crate::random::Random;
use crate::units::device_of;

/// Bytes of a cell of each column; the text's come on top.
const CELL_BYTES: [usize; 6] = [8, 8, 1, 4, 4, 4];
/// In front of a tablet's end: whether it is aligned, plan node id and child count.
const END_BYTES: usize = 10;

/// The payload of a type 2 request without nulls and without schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Long {
    payload: Vec<u8>,
    rows: usize,
    text_bytes: usize,
}

impl Long {
    /// Some rows with long texts: 1.2 to 1.6 MiB.
    pub(crate) fn new(number: u64, random: &mut Random) -> Self {
        let rows = usize::try_from(random.between(20, 60)).unwrap_or_default();
        let bytes = usize::try_from(random.between(1_230, 1_640)).unwrap_or_default() << 10;
        let text_bytes = bytes / rows;
        let device = &device_of(number);
        let columns = CELL_BYTES.len();
        let shape = TabletShape { device, rows, columns, start_time: 1, text_bytes };
        Self { payload: frames::tablet(&shape, random.bits()), rows, text_bytes }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of an entry that is a part of it.
    pub(crate) fn rows_of(&self, part: &[u8]) -> usize {
        let at = self.times_at() - 4;
        let count = part.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        count.map_or(0, |count| u32::from_be_bytes(count) as usize)
    }

    /// The request for these rows alone, up to where its plan node id begins.
    pub(crate) fn part(&self, rows: Range<usize>) -> Vec<u8> {
        let times_at = self.times_at();
        let mut part = self.payload[..times_at - 4].to_vec();
        part.extend(u32::try_from(rows.len()).unwrap_or(u32::MAX).to_be_bytes());
        part.extend(&self.payload[times_at + 8 * rows.start..times_at + 8 * rows.end]);
        part.push(0);
        let mut column_at = times_at + 8 * self.rows + 1;
        for bytes in self.cell_bytes() {
            part.extend(
                &self.payload[column_at + bytes * rows.start..column_at + bytes * rows.end],
            );
            column_at += bytes * self.rows;
        }
        part.push(0);
        part
    }

    fn cell_bytes(&self) -> [usize; 6] {
        let mut bytes = CELL_BYTES;
        bytes[5] += self.text_bytes;
        bytes
    }

    fn times_at(&self) -> usize {
        let row_bytes = 8 + self.cell_bytes().iter().sum::<usize>();
        self.payload.len() - END_BYTES - row_bytes * self.rows - 1
    }
}

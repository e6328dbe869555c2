//! Where pages and groups of an aligned device end: the bytes of its texts are known before its rows are written.
//!
//! A page ends at the same row for all columns, and its times are written first. So rows are weighed: a row has the
//! bytes of the longest of its texts, with the statistics that a page of it alone would have.

use crate::data::DataType;
use crate::limits::{TWIN_GROUP_BYTES, TWIN_PAGE_BYTES};

/// Rows of an aligned device, ascending, some of which are in the group in hand.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) times: Vec<i64>,
    /// For each row; none if there are no texts.
    weights: Vec<u32>,
    start: usize,
    end: usize,
}

/// How often the bytes of a text count: it may be in the statistics of its page, too. `None`: values are not long.
pub(super) const fn weight_of(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Blob => Some(1),
        DataType::Text => Some(3),
        DataType::String => Some(5),
        DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float
        | DataType::Double
        | DataType::Timestamp
        | DataType::Date
        | DataType::Object => None,
    }
}

impl Rows {
    /// Begins with the rows in [`Self::times`], of which none is weighed.
    pub(super) fn begin(&mut self) {
        self.weights.clear();
        (self.start, self.end) = (0, 0);
    }

    /// Weighs rows, which ascend, by texts of so many bytes.
    pub(super) fn weigh(&mut self, weight: usize, texts: impl Iterator<Item = (i64, usize)>) {
        self.weights.resize(self.times.len(), 0);
        let mut rows = self.times.iter().zip(&mut self.weights);
        for (time, bytes) in texts {
            if let Some((_, most)) = rows.find(|(row, _)| **row == time) {
                *most = (*most).max(u32::try_from(weight * bytes).unwrap_or(u32::MAX));
            }
        }
    }

    /// The rows of the group in hand.
    pub(super) fn group(&self) -> &[i64] {
        self.times.get(self.start..self.end).unwrap_or_default()
    }

    /// Goes to the next group, of at most so many rows, and gives the ends of its pages; none if no rows are left.
    pub(super) fn next_group(&mut self, rows_max: usize, page_points: usize) -> Vec<usize> {
        self.start = self.end;
        let mut ends = Vec::new();
        let (mut in_group, mut in_page, mut page) = (0, 0, self.start);
        let last = self.times.len().min(self.start + rows_max);
        for row in self.start..last {
            let bytes = self.weights.get(row).map_or(0, |bytes| *bytes as usize);
            if row > self.start && in_group + bytes > TWIN_GROUP_BYTES {
                break;
            }
            if row > page && (in_page + bytes > TWIN_PAGE_BYTES || row - page >= page_points) {
                ends.push(row - self.start);
                (page, in_page) = (row, 0);
            }
            in_group += bytes;
            in_page += bytes;
            self.end = row + 1;
        }
        if self.end > self.start {
            ends.push(self.end - self.start);
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_groups_end_by_rows_and_by_bytes() {
        let mut rows = Rows { times: (0..100).collect(), ..Rows::default() };
        rows.begin();
        assert_eq!(rows.next_group(90, 40), [40, 80, 90]);
        assert_eq!(rows.next_group(90, 40), [10]);
        assert!(rows.next_group(90, 40).is_empty());
        rows.begin();
        rows.weigh(1, [(1, 2 * TWIN_GROUP_BYTES), (5, TWIN_PAGE_BYTES)].into_iter());
        rows.weigh(2, [(5, 2), (6, 1)].into_iter());
        assert_eq!(rows.next_group(90, 40), [1]);
        assert_eq!((rows.next_group(90, 40), rows.group()), (vec![1], &[1_i64][..]));
        assert_eq!(rows.next_group(10, 40), [4, 10], "the page of row 5 has it, and what is short");
    }
}

//! What waits for a consumer.

use crate::data::Sequence;
use crate::spool::segment::SEGMENT_HEADER_BYTES;
use crate::spool::{Cursor, Disk, Spool};

impl<D: Disk> Spool<D> {
    /// Entries and bytes (of segments and files) at or beyond a position. Exact in entries; in bytes the share of the
    /// position's own segment is estimated.
    pub fn remaining(&self, position: Sequence) -> (u64, u64) {
        let index = self.shared.index();
        let position = position.0.max(index.first(self.log.next));
        let entries = self.log.next.saturating_sub(position);
        let Some(begin) = index.position(position) else { return (entries, 0) };
        let mut bytes = 0;
        let mut end = self.log.next;
        for (number, segment) in index.segments.iter().enumerate().skip(begin).rev() {
            let is_last = number + 1 == index.segments.len();
            let used =
                if is_last && self.log.open.is_some() { self.log.used() } else { segment.bytes };
            let all = used.saturating_sub(SEGMENT_HEADER_BYTES) + segment.file_bytes;
            let count = end.saturating_sub(segment.first).max(1);
            let wanted = end.saturating_sub(segment.first.max(position)).min(count);
            let share = u128::from(all) * u128::from(wanted) / u128::from(count);
            bytes += u64::try_from(share).unwrap_or(all);
            end = segment.first;
        }
        (entries, bytes)
    }

    /// The same of what a consumer has not finished.
    pub fn waiting(&self, cursor: &Cursor) -> (u64, u64) {
        let (mut entries, mut bytes) = self.remaining(cursor.position);
        for (first, last) in &cursor.finished {
            let (begin, end) = (self.remaining(*first), self.remaining(last.next()));
            entries = entries.saturating_sub(begin.0.saturating_sub(end.0));
            bytes = bytes.saturating_sub(begin.1.saturating_sub(end.1));
        }
        (entries, bytes)
    }
}

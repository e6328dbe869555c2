//! How much lies in memory at one time.

use crate::limits::{KIB, TWIN_ARENA_BYTES, TWIN_COLUMNS_MAX, TWIN_ROWS_MAX};
use crate::wire::tablet::Column;

/// What bounds the work on one device. Tests make it small; the files depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Memory of the arena.
    pub(super) arena_bytes: usize,
    /// Shorter tablets are not read where they lie: so a series has a few thousand slices at most.
    pub(super) direct_bytes: usize,
    /// Nor are those with shorter columns, to which the records would add too much.
    pub(super) direct_column_bytes: usize,
    /// Columns of an aligned device in one file.
    pub(super) columns: usize,
    /// Rows of a group of an aligned device.
    pub(super) rows: usize,
}

impl Budget {
    /// Longer tablets are not taken into the arena whole.
    pub(super) const fn whole_bytes(&self) -> usize {
        self.arena_bytes / 4
    }

    /// Whether a tablet of such a shape may be read where it lies.
    pub(super) const fn is_direct(&self, bytes: usize, columns: &[Column]) -> bool {
        bytes >= self.direct_bytes && bytes >= self.direct_column_bytes * columns.len()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            arena_bytes: TWIN_ARENA_BYTES,
            direct_bytes: 16 * KIB,
            direct_column_bytes: 128,
            columns: TWIN_COLUMNS_MAX,
            rows: TWIN_ROWS_MAX,
        }
    }
}

//! Room for files that are made of entries, for pipes that send no entry as it is.
//!
//! They lie among the partials, as `made-<n>`, and a start removes them with what else is left there: whoever needs them
//! makes them again.

use crate::spool::{Disk, Full, Spool};

/// Directory of files that are made of entries.
pub const MADE_DIR: &str = super::files::PARTIALS;

impl<D: Disk> Spool<D> {
    /// Counts so many bytes more of files that are made. They may go beyond `max_bytes`, and into half of the file
    /// system's reserve: a pipe that sends them is what makes room in a full spool.
    ///
    /// # Errors
    /// [`Full`] if the file system has no room for them.
    pub fn grow_made(&mut self, bytes: u64) -> Result<(), Full> {
        let used = self.used_bytes();
        self.room.changed();
        // What cannot be asked now shows when the bytes are written.
        let known = self.room.measure(&self.disk, used).is_ok();
        let measure = self.room.beside_quota();
        if known {
            measure.check(bytes)?;
        }
        self.made += bytes;
        Ok(())
    }

    /// So many of them were not written, or are gone.
    pub fn shrink_made(&mut self, bytes: u64) {
        self.made = self.made.saturating_sub(bytes);
        self.room.changed();
    }
}

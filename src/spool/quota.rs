//! How much may be written: the smaller of the quota and what the file system has less its reserve.
//!
//! ```text
//!  |<------------------------- max_bytes ------------------------->|
//!  |  segments, partials, files (used)  |        available         |
//!                                       |<--- free of the file system --->|
//!                                       |        available      | reserve |   whichever is smaller
//! ```

use std::path::Path;

use crate::limits::MIB;
use crate::spool::{Disk, Fatal, Full};

/// The file system is asked again after so many bytes, at the latest.
const ASK_AFTER_BYTES: u64 = 8 * MIB as u64;

/// What is known about room.
#[derive(Debug)]
pub(super) struct Room {
    max: u64,
    reserve: u64,
    /// Free bytes of the file system, as last asked, and bytes written since.
    free: Option<(u64, u64)>,
    /// There may be more by now.
    is_stale: bool,
    /// Something was refused, and nothing has been released since.
    pub(super) full: bool,
}

/// Room at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// Bytes that may be written now.
    pub(super) available: u64,
    /// Bytes that the spool may have in all.
    pub(super) limit: u64,
}

impl Room {
    pub(super) const fn new(max: u64, reserve: u64) -> Self {
        Self { max, reserve, free: None, is_stale: false, full: false }
    }

    /// So many bytes were written.
    pub(super) const fn spent(&mut self, bytes: u64) {
        if let Some((_, since)) = &mut self.free {
            *since = since.saturating_add(bytes);
        }
    }

    /// Something was removed, or time has passed: ask again.
    pub(super) const fn changed(&mut self) {
        self.is_stale = true;
    }

    /// The system itself said that there is no room.
    pub(super) const fn refused(&mut self) {
        self.free = None;
        self.full = true;
    }

    /// Measures, with `used` bytes in the spool.
    pub(super) fn measure<D: Disk>(&mut self, disk: &D, used: u64) -> Result<Measure, Fatal> {
        let (free, since) = match self.free {
            Some(known) if known.1 <= ASK_AFTER_BYTES && !self.is_stale => known,
            _ => (disk.free_bytes().map_err(Fatal::at("look at", Path::new(".")))?, 0),
        };
        (self.free, self.is_stale) = (Some((free, since)), false);
        Ok(self.judge(free.saturating_sub(since), used))
    }

    /// As `measure`, from what was asked last.
    pub(super) fn last(&self, used: u64) -> Measure {
        self.judge(self.free.map_or(u64::MAX, |(free, since)| free.saturating_sub(since)), used)
    }

    /// What was asked last, for what the quota does not bound: half of the reserve may be used.
    pub(super) fn beside_quota(&self) -> Measure {
        let free = self.free.map_or(u64::MAX, |(free, since)| free.saturating_sub(since));
        let available = free.saturating_sub(self.reserve / 2);
        Measure { available, limit: available }
    }

    fn judge(&self, free: u64, used: u64) -> Measure {
        let free = free.saturating_sub(self.reserve);
        Measure {
            available: self.max.saturating_sub(used).min(free),
            limit: self.max.min(used.saturating_add(free)),
        }
    }
}

impl Measure {
    /// The same with some bytes set aside.
    pub(super) const fn beside(self, bytes: u64) -> Self {
        Self {
            available: self.available.saturating_sub(bytes),
            limit: self.limit.saturating_sub(bytes),
        }
    }

    pub(super) const fn check(self, needed: u64) -> Result<(), Full> {
        if needed <= self.available {
            return Ok(());
        }
        Err(Full { needed, available: self.available, limit: self.limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_quota_and_file_system_counts() {
        let room = Room::new(100, 10);
        assert_eq!(room.judge(1000, 30), Measure { available: 70, limit: 100 });
        assert_eq!(room.judge(50, 30), Measure { available: 40, limit: 70 });
        assert_eq!(room.judge(5, 30), Measure { available: 0, limit: 30 });
        assert_eq!(room.judge(1000, 130), Measure { available: 0, limit: 100 });
    }

    #[test]
    fn a_refusal_names_what_there_is() {
        let measure = Measure { available: 40, limit: 100 }.beside(16);
        assert_eq!(measure.check(24), Ok(()));
        assert_eq!(measure.check(25), Err(Full { needed: 25, available: 24, limit: 84 }));
    }
}

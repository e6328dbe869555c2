//! What a file holds, added up from its index: no page is read.

use super::walk::{Visit, Walk};
use super::{Device, Series, TsFile};
use crate::data::{ReadAt, TimeRange};
use crate::tsfile::window::TsFileError;

/// Sums over a file. Deletions beside it are not taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Devices.
    pub devices: u64,
    /// Series, without time columns.
    pub series: u64,
    /// Values that are not null.
    pub points: u64,
    /// From the first to the last; empty without points.
    pub times: TimeRange,
}

impl Tally {
    /// Nothing yet.
    pub const EMPTY: Self = Self { devices: 0, series: 0, points: 0, times: TimeRange::EMPTY };

    /// Adds a series.
    pub fn add(&mut self, series: &Series, points: u32, times: TimeRange) {
        if points > 0 {
            self.times = self.times.union(times);
        }
        if !series.is_time() {
            self.series += 1;
            self.points += u64::from(points);
        }
    }
}

impl Visit for Tally {
    fn device(&mut self, _: &Device) -> bool {
        self.devices += 1;
        true
    }

    fn series(&mut self, series: &Series, points: u32, times: TimeRange) {
        self.add(series, points, times);
    }
}

/// Adds a file up step by step, and holds nothing of it in between but where it stands.
#[derive(Debug)]
pub struct Counting {
    walk: Walk,
    tally: Tally,
}

impl Counting {
    /// Begins.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed.
    pub fn new<R: ReadAt>(file: &TsFile<R>) -> Result<Self, TsFileError> {
        Ok(Self { walk: Walk::new(file)?, tally: Tally::EMPTY })
    }

    /// Adds up some more of the file that it was begun with. The sums, once they are complete.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed; then it is over.
    pub fn step<R: ReadAt>(&mut self, file: R) -> Result<Option<Tally>, TsFileError> {
        let goes_on = self.walk.step(file, &mut self.tally)?;
        Ok((!goes_on).then_some(self.tally))
    }
}

//! What a file holds, added up from its index: no page is read.

use super::{Device, Series, TsFile};
use crate::data::{ReadAt, TimeRange};
use crate::tsfile::statistics::Statistics;
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

    /// Adds up what the index says.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed.
    pub fn of<R: ReadAt>(file: &TsFile<R>) -> Result<Self, TsFileError> {
        let mut tally = Self::EMPTY;
        let mut devices = file.devices()?;
        while let Some(device) = devices.next()? {
            tally.device(file, &device)?;
        }
        Ok(tally)
    }

    fn device<R: ReadAt>(&mut self, file: &TsFile<R>, device: &Device) -> Result<(), TsFileError> {
        self.devices += 1;
        let (mut list, mut window) = (file.series(device)?, file.metadata());
        while let Some(series) = list.next()? {
            window.seek(series.statistics, file.block_start());
            let (count, times) = Statistics::read_extent(&mut window)?;
            self.add(&series, count, times);
        }
        Ok(())
    }

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

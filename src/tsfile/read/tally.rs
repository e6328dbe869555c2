//! What a file holds, added up from its index: no page is read.

use std::cell::Cell;

use super::index::DevicesAt;
use super::series::SeriesAt;
use super::{Devices, Series, SeriesOf, TsFile};
use crate::data::{ReadAt, TimeRange};
use crate::limits::MIB;
use crate::tsfile::statistics::Statistics;
use crate::tsfile::tail::Summary;
use crate::tsfile::window::TsFileError;

/// Bytes of the index that one step walks over, but for one node more: a few milliseconds.
const STEP_BYTES: u64 = MIB as u64;
/// Devices and series of one step: they may be short, or lie in one node.
const STEP_RECORDS: usize = 4096;

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

/// Adds a file up step by step, and holds nothing of it in between but where it stands.
#[derive(Debug)]
pub struct Counting {
    summary: Summary,
    walked: u64,
    tally: Tally,
    /// `None` once it is over.
    devices: Option<DevicesAt>,
    /// Of the device in hand.
    series: Option<SeriesAt>,
}

impl Counting {
    /// Begins.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed.
    pub fn new<R: ReadAt>(file: &TsFile<R>) -> Result<Self, TsFileError> {
        let devices = Some(file.devices()?.pause());
        let (summary, tally) = (file.summary, Tally::EMPTY);
        Ok(Self { summary, walked: 0, tally, devices, series: None })
    }

    /// Adds up some more of the file that it was begun with. The sums, once they are complete.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed; then it is over.
    pub fn step<R: ReadAt>(&mut self, file: R) -> Result<Option<Tally>, TsFileError> {
        let Some(devices) = self.devices.take() else { return Ok(Some(self.tally)) };
        let file = TsFile { file, summary: self.summary, walked: Cell::new(self.walked) };
        let mut devices = devices.resume(&file);
        let mut list = self.series.take().map(|series| series.resume(&file));
        let mut window = file.metadata();
        let until = self.walked.saturating_add(STEP_BYTES);
        for _ in 0..STEP_RECORDS {
            if let Some(series) = list.as_mut().map(SeriesOf::next).transpose()?.flatten() {
                window.seek(series.statistics, file.block_start());
                let (count, times) = Statistics::read_extent(&mut window)?;
                self.tally.add(&series, count, times);
            } else {
                list = self.begin(&file, &mut devices)?;
            }
            if list.is_none() {
                return Ok(Some(self.tally));
            }
            if file.walked.get() >= until {
                break;
            }
        }
        self.devices = Some(devices.pause());
        self.series = list.map(SeriesOf::pause);
        self.walked = file.walked.get();
        Ok(None)
    }

    /// The series of the next device.
    fn begin<'f, R: ReadAt>(
        &mut self,
        file: &'f TsFile<R>,
        devices: &mut Devices<'f, R>,
    ) -> Result<Option<SeriesOf<'f, R>>, TsFileError> {
        let Some(device) = devices.next()? else { return Ok(None) };
        self.tally.devices += 1;
        file.series(&device).map(Some)
    }
}

//! The whole index of a file, gone over step by step: no page is read, and between two steps nothing of the file is
//! held but where the walk stands.

use super::index::DevicesAt;
use super::series::SeriesAt;
use super::{Device, Series, SeriesOf, TsFile};
use crate::data::{ReadAt, TimeRange};
use crate::limits::MIB;
use crate::tsfile::statistics::Statistics;
use crate::tsfile::tail::Summary;
use crate::tsfile::window::TsFileError;

/// Bytes of the index that one step walks over, but for one node more: a few milliseconds.
const STEP_BYTES: u64 = MIB as u64;
/// Devices and series of one step: they may be short, or lie in one node.
const STEP_RECORDS: usize = 4096;

/// What is told of the devices and series of a walk.
pub trait Visit {
    /// The next device, and whether its series are gone over.
    fn device(&mut self, device: &Device) -> bool;

    /// The next series of the device that was told last: its points, and from when to when they are.
    fn series(&mut self, series: &Series, points: u32, times: TimeRange);

    /// Whether enough is known.
    fn is_over(&self) -> bool {
        false
    }
}

/// Where a walk stands.
#[derive(Debug)]
pub struct Walk {
    summary: Summary,
    walked: u64,
    /// `None` once it is over.
    devices: Option<DevicesAt>,
    /// Of the device in hand.
    series: Option<SeriesAt>,
}

impl Walk {
    /// Begins.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed.
    pub fn new<R: ReadAt>(file: &TsFile<R>) -> Result<Self, TsFileError> {
        let devices = Some(file.devices()?.pause());
        Ok(Self { summary: file.summary, walked: 0, devices, series: None })
    }

    /// Bytes of the index that it has gone over.
    pub const fn walked(&self) -> u64 {
        self.walked
    }

    /// Goes over some more of the file that it was begun with, a few milliseconds at most. False once it is over.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed; then it is over.
    pub fn step<R: ReadAt>(
        &mut self,
        file: R,
        visitor: &mut impl Visit,
    ) -> Result<bool, TsFileError> {
        let Some(devices) = self.devices.take() else { return Ok(false) };
        let file = TsFile::resume(file, self.summary, self.walked);
        let mut devices = devices.resume(&file);
        let mut is_in_device = self.series.is_some();
        let mut list = match self.series.take() {
            Some(series) => series.resume(&file),
            None => SeriesOf::new(&file),
        };
        let mut window = file.metadata();
        let until = self.walked.saturating_add(STEP_BYTES);
        let mut records = 0;
        while records < STEP_RECORDS && file.walked() < until {
            records += 1;
            let series = if is_in_device { list.next()? } else { None };
            if let Some(series) = series {
                window.seek(series.statistics, file.block_start());
                let (points, times) = Statistics::read_extent(&mut window)?;
                visitor.series(&series, points, times);
            } else if let Some(device) = devices.next()? {
                is_in_device = visitor.device(&device) && list.enter(&device).map(|()| true)?;
            } else {
                return Ok(false);
            }
            if visitor.is_over() {
                return Ok(false);
            }
        }
        self.devices = Some(devices.pause());
        self.series = is_in_device.then(|| list.pause());
        self.walked = file.walked();
        Ok(true)
    }
}

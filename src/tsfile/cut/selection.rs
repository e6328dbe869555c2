//! Which points are kept.

use crate::data::{Matcher, Series, TimeRange};
use crate::tsfile::device::DeviceId;

/// Which points.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Which series; `None` for all, of tables too, which have no path.
    pub series: Option<Matcher>,
    /// Times.
    pub times: TimeRange,
}

impl Selection {
    /// Everything.
    pub const ALL: Self = Self { series: None, times: TimeRange::ALL };

    /// Series whose path one pattern of `keep` matches (all if there is none) and none of `drop`, within these times.
    pub fn of_paths(keep: &[String], drop: &[String], times: TimeRange) -> Self {
        let is_all = keep.is_empty() && drop.is_empty();
        Self { series: (!is_all).then(|| Matcher::of_paths(keep, drop)), times }
    }

    /// Which series of a device are wanted.
    pub fn of_device(&self, device: &DeviceId) -> Series {
        self.series.as_ref().map_or(Series::All, |matcher| matcher.series(&device.path()))
    }
}

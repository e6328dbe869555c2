//! The processor's attributes as settings.

use std::time::Duration;

use super::check::{Part, decimal};
use super::known::Plugin;
use super::settings::{DeadBand, Processor};

pub(super) fn read(part: &Part<'_>) -> Processor {
    let split_files = part.flag("down-sampling.split-file");
    match part.plugin {
        Some(Plugin::TumblingTime) => {
            let seconds = part.whole("tumbling-time.interval-seconds");
            let interval = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            Processor::TumblingTime { interval, split_files }
        }
        Some(Plugin::SwingingDoor) => Processor::SwingingDoor(DeadBand {
            deviation: decimal(part.text("sdt.compression-deviation")).unwrap_or(0.0),
            min_interval: part.whole("sdt.min-time-interval"),
            max_interval: part.whole("sdt.max-time-interval"),
            split_files,
        }),
        Some(Plugin::ChangingValue) => Processor::ChangingValue(DeadBand {
            deviation: decimal(part.text("changing-value.compression-deviation")).unwrap_or(0.0),
            min_interval: part.whole("changing-value.min-time-interval"),
            max_interval: part.whole("changing-value.max-time-interval"),
            split_files,
        }),
        _ => Processor::DoNothing,
    }
}

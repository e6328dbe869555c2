//! What lets the pipes of the plain worlds send files of runs of tablets, and what is known of these files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use penstock::config::Role;
use penstock::data::{OriginId, Sequence};
use penstock::limits::{RUN_BYTES, RUN_TABLETS_AHEAD};
use penstock::ops::board::Board;
use penstock::ops::clock::{self, EpochMillis};
use penstock::pipe::UnitFile;
use penstock::sink::air_gap::{Budget, RunPlan};
use penstock::sink::cuts::Desk;
use penstock::spool::{Disk, SimDisk};
use penstock::tsfile::read::{Device, TsFile};

use crate::random::Random;
use crate::units::{Content, Unit, number_in, shape_of};

/// Files of runs that came in all schedules, and pipes of which the log said that values may land a second time: for people who ask
/// whether what is proven occurs.
pub(crate) static FILES: AtomicU64 = AtomicU64::new(0);
pub(crate) static EXCUSED: AtomicU64 = AtomicU64::new(0);

/// When tablets go as files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunMode {
    /// Where more waits; none: always.
    budget: Option<Budget>,
    max_delay: Duration,
}

impl RunMode {
    /// Batch or hybrid, or neither.
    pub(crate) fn any(random: &mut Random) -> Option<Self> {
        let seconds = |most, random: &mut Random| Duration::from_secs(random.between(1, most));
        match random.below(4) {
            0 => Some(Self { budget: None, max_delay: seconds(5, random) }),
            1 => {
                let budget = Budget { bytes: random.between(1, 2000), age: seconds(60, random) };
                Some(Self { budget: Some(budget), max_delay: Duration::ZERO })
            }
            _ => None,
        }
    }

    /// What a pipe over the spool of this origin goes by.
    pub(crate) fn plan(
        self,
        (disk, pipe): (&SimDisk, &str),
        origin: OriginId,
        desk: &Desk,
    ) -> Result<RunPlan<SimDisk>, String> {
        disk.create_dir(Path::new("pipes")).map_err(|error| error.to_string())?;
        let board = Arc::new(Board::new(Role::Sender, "", clock::now()));
        let row = board.pipes.row(pipe, "", EpochMillis(0)).expect("a row");
        Ok(RunPlan {
            pipe: pipe.to_owned(),
            budget: self.budget,
            max_delay: self.max_delay,
            tablets_ahead: RUN_TABLETS_AHEAD,
            bytes_max: RUN_BYTES,
            border: Sequence(1),
            mark: 1,
            origin,
            note: UnitFile::new(disk.clone(), pipe, origin),
            desk: desk.clone(),
            board,
            row,
        })
    }
}

/// Whether a file with this name is of a run: `3-8-0.tsfile`, with anything before it.
pub(crate) fn is_run(name: &str) -> bool {
    let Some(name) = name.strip_suffix(".tsfile") else { return false };
    let mut words = name.rsplit('-');
    let mut is_number = || {
        words.next().is_some_and(|word| {
            !word.is_empty() && word.len() < 16 && word.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    is_number() && is_number() && is_number()
}

/// The units of a run's file.
pub(crate) fn units_in(bytes: &[u8]) -> Vec<u64> {
    let file = TsFile::open(bytes).expect("a TsFile");
    let (mut devices, mut units) = (file.devices().expect("devices"), Vec::new());
    while let Some(device) = devices.next().expect("a device") {
        units.push(number_in(device.id.path().as_bytes()).expect("a device of ours"));
    }
    units
}

/// A run's file has each of its units as a whole.
pub(crate) fn check_file(bytes: &[u8], unit_of: impl Fn(u64) -> Unit) {
    FILES.fetch_add(1, Ordering::Relaxed);
    let file = TsFile::open(bytes).expect("a TsFile");
    let mut devices = file.devices().expect("devices");
    while let Some(device) = devices.next().expect("a device") {
        let number = number_in(device.id.path().as_bytes()).expect("a device of ours");
        let Content::Tablet(payload) = unit_of(number).content else {
            panic!("unit {number} is no tablet, and came in a run")
        };
        let (columns, rows) = shape_of(&payload);
        assert_eq!(counts_of(&file, &device), vec![rows; columns], "points of unit {number}");
    }
}

/// Points of each series.
fn counts_of(file: &TsFile<&[u8]>, device: &Device) -> Vec<usize> {
    let (mut all, mut counts) = (file.series(device).expect("series"), Vec::new());
    while let Some(series) = all.next().expect("series") {
        let statistics = file.statistics(series.statistics, series.value_type);
        counts.push(statistics.expect("statistics").count as usize);
    }
    counts
}

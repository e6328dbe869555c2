//! Tablets of the spool as `TsFile`s: each device's points sorted by time, whatever order they came in.
//!
//! ```text
//!  run: tablet entries, one after the other
//!    | first reading                               each tablet: group, device, smallest time, place
//!    v
//!  index (sorter.rs)  records, not values          sorted by group, device, time: in lots, merged
//!    | second reading, device by device            tablets are read by their places
//!    v
//!  arena.rs           tablets of one device        sorted by series and time, the later of equal times left
//!    |      `--full--> spill.rs  points put away, or left where they lie: slices, which merge.rs brings together
//!    |  long.rs         tablets too long for it      slices at once, or into the arena some rows at a time
//!    v
//!  tsfile::write      `.twin-<n>.tsfile`           hashed on the way, synced
//! ```
//!
//! A run becomes a file for each *group* of its entries (origin, kind of devices, precision), and further *parts* where
//! a series has more than one type, where an aligned device is too wide for the writer, and where devices do not
//! ascend in the orders of both versions, which a 2.0 server would not find in one file.
//!
//! Parts that a filter cut belong to the group of the entries that they were cut from, since they count with these
//! ([`OriginId::family`]): points that are written again, once whole and once in part, end as they were written last. Two
//! nodes that write one series are two groups, and nothing says which of them is right.
//!
//! Of points of the same device, series and time the one of the later entry of its origin stays, within an entry that
//! of the later row; a null takes nothing away, as in a stock server (`AlignedTVList`,
//! `AlignedPriorityMergeReader`). Of a column that a tablet has twice, which no stock server takes, either value stays.
//! Rows without a value leave no trace. The files depend on the entries and the settings alone: made again after a
//! crash, they are the same.
//!
//! [`Maker::step`] does a bounded part, so that the thread that runs it can tell that it lives. Memory: the arena
//! ([`TWIN_ARENA_BYTES`](crate::limits::TWIN_ARENA_BYTES)), the index in hand
//! ([`TWIN_SORT_BYTES`](crate::limits::TWIN_SORT_BYTES)), and the open page and chunk of the writer. A value or an entry
//! that is longer (1 MiB at most) takes a few times its bytes beside that, one at a time. Between runs
//! nothing is held.

mod arena;
mod budget;
mod error;
mod files;
mod index;
mod key;
mod lone;
mod long;
mod maker;
mod merge;
mod output;
mod packed;
mod paging;
mod pass;
mod slices;
mod slots;
mod sorter;
mod source;
mod spill;
#[cfg(test)]
#[cfg(feature = "simulation")]
mod tests;
mod wide;

use std::path::PathBuf;

use crate::data::{DataType, OriginId, Precision, Sequence, TimeRange};
use crate::limits::{KIB, TWIN_PAGE_BYTES};
use crate::tsfile::write;
pub use error::{TwinError, Unfit};
pub use files::{Output, Scratch, clean};
pub use maker::Maker;
pub use source::{Found, Run, Source};

/// How files are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where scratches and finished files lie, each with a name that begins with `.twin-`. Made if missing; what
    /// earlier runs left there is removed.
    pub dir: PathBuf,
    /// How the files are written; see [`writer_settings`].
    pub writer: write::Settings,
}

/// Settings of the writer whose pages and chunks keep within the memory that there is: pages of a tenth of the points,
/// and chunks of a 25th of the bytes that a stock server takes. What that adds to a file is below one percent.
pub fn writer_settings() -> write::Settings {
    write::Settings {
        page_points: KIB,
        page_bytes: TWIN_PAGE_BYTES,
        chunk_bytes: 64 * KIB,
        ..write::Settings::default()
    }
}

/// What a step did.
#[derive(Debug)]
pub enum Step {
    /// A part; there is more.
    Worked,
    /// The files are complete and durable; their names are not. The caller renames them.
    Done(Made),
}

/// The files of a run.
#[derive(Debug, Default)]
pub struct Made {
    /// The files, by group and part. None if the run has no value.
    pub twins: Vec<Twin>,
    /// Series that came with more than one type: the first of them, each pair of types once.
    pub conflicts: Vec<Conflict>,
    /// How many there are in all.
    pub conflict_count: u64,
}

/// What the tablets of one file have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    /// The node that took them in first; of its parts, if these are all that there is.
    pub origin: OriginId,
    /// Whether their devices are aligned.
    pub is_aligned: bool,
    /// Unit of their times, if known.
    pub precision: Option<Precision>,
}

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// What its tablets have in common.
    pub group: Group,
    /// 0, or which further file of this group it is.
    pub part: u16,
    /// Where it lies.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Hash of its bytes.
    pub hash: blake3::Hash,
    /// First entry of the group in this run: its sequence here. The points of the file come from some of these.
    pub first: Sequence,
    /// Last entry of the group in this run.
    pub last: Sequence,
    /// Smallest sequence of these entries at their origin.
    pub origin_first: Sequence,
    /// Greatest sequence of these entries at their origin.
    pub origin_last: Sequence,
    /// Devices.
    pub devices: u64,
    /// Series.
    pub series: u64,
    /// Points.
    pub points: u64,
    /// Times that it covers.
    pub time_range: TimeRange,
}

/// A series that came with two types: points of the second go to another part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The device.
    pub device: String,
    /// The series.
    pub series: String,
    /// The types.
    pub types: [DataType; 2],
}

/// Tells of series that came with two types, in the log: the first of them, and how many there are. `name` is of what they
/// were made into files.
pub fn tell_conflicts(conflicts: &[Conflict], count: u64, name: &str) {
    for Conflict { device, series, types: [first, second] } in conflicts {
        log::warn!(
            "event=types_differ device={device:?} series={series:?} types={first:?},{second:?} name={name:?}"
        );
    }
    let untold = count.saturating_sub(conflicts.len() as u64);
    if untold > 0 {
        log::warn!("event=types_differ more_series={untold} name={name:?}");
    }
}

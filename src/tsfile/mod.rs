//! `TsFile` v3 and v4: pure functions over positioned reads and appended bytes.
//!
//! ```text
//!  "TsFile" | version | data zone: chunk groups of a device, chunks, pages | 02
//!           | metadata zone: a record for each series, index nodes | metadata block | its size | "TsFile"
//!
//!  tail.rs         is a file complete? (its two ends)
//!  read/           devices -> series -> chunks -> pages -> points, deletions applied
//!
//!  check/          everything that a file's redundancy shows
//!  cut/            some of a file's points as a file of their own
//!  write/          points -> pages -> chunks -> file
//!
//!  device.rs       names of devices, orders      statistics.rs    of pages, chunks and series
//!  encoding/       values to bytes and back      compression.rs   bodies of pages
//!  window.rs       fields of a file              bloom.rs         which series a file has
//!  order.rs        times that ascend              texts.rs         of statistics
//!  error.rs        what can be wrong
//! ```
//!
//! No function holds more than one page, one chunk that is being written, and one entry of each level of
//! the index, whatever the size of the file.

pub mod bloom;
pub mod check;
pub mod compression;
pub mod cut;
pub mod device;
pub mod encoding;
mod error;
mod order;
pub mod read;
pub mod statistics;
pub mod tail;
pub mod texts;
mod window;
pub mod write;

pub use error::TsFileError;

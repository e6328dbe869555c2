//! What the data is, whatever carries it: types, times, where it came from, where it lies.
//!
//! ```text
//!  Identity -- which node took it in first, under which number      (travels with the data)
//!  DataType, Precision, TimeRange -- what the values and times mean
//!  ReadAt -- bytes that lie somewhere: in memory, or in a spill file (read by position)
//! ```

pub mod compressor;
mod data_type;
pub mod identity;
pub mod legal;
mod matcher;
pub mod path;
mod pattern;
mod precision;
mod read_at;
mod shown;
mod time_range;

pub use data_type::DataType;
pub use identity::{Family, Identity, OriginId, Sequence};
pub use matcher::{Matcher, Series, Tests};
pub use pattern::Pattern;
pub use precision::Precision;
pub use read_at::{Buffered, ReadAt};
pub use shown::is_command;
pub use time_range::TimeRange;

//! `TsFile` v3 and v4: pure functions over positioned reads.
//!
//! Only what a node has to know of a file that it passes on: whether it is complete.

pub mod tail;
mod window;

pub use window::TsFileError;

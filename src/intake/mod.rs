//! Takes data in and hands it to the spool.

pub mod gate;
pub mod inbox;
pub mod shared_dir;

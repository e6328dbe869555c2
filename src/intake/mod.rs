//! Takes data in and hands it to the spool.

pub mod gate;
pub mod inbox;
pub mod session;
pub mod shared_dir;

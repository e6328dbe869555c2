//! Builds the parts from the configuration, runs them, stops them.

pub mod spool_handle;
pub mod spool_thread;
pub mod stage;

//! Clock, log, metrics, status, trouble, watchdog.
//!
//! ```text
//!  gate thread --+ counters, rows, trouble            +-- status: page, JSON, metrics, healthz
//!  spool thread -+------------> board ----------------+-- alarm: runs a command at every change
//!  worker -------+                                    +-- log
//!  main loop ----+-- stamps --> watchdog ---------------- sd-notify
//! ```
//!
//! The [`board`] is the only thing that all threads share for people's sake; nothing decides by it.

pub mod alarm;
pub mod board;
pub mod clock;
pub mod code;
#[cfg(feature = "simulation")]
pub mod fault;
pub mod human;
pub mod log;
pub mod secret;
pub mod signals;
pub mod stamp;
pub mod status;
pub mod systemd;
pub mod watch;
pub mod zone;

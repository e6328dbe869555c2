//! Keeps what intakes take in: one thread owns the spool, everyone else reaches it from here.
//!
//! ```text
//!  gate ------ stage --------+
//!                            +--> spool_thread --> keeper, long_job --> spool
//!  all others - spool_handle-+        |
//!                                     +--> outcomes, replies, the synced sequence
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`stage`] | what lies between the gate thread and the spool thread |
//! | [`spool_handle`] | calls and cursors of all other threads |
//! | [`spool_thread`] | the turns: carry out, sync once, tell everyone |
//! | `shown` | what the spool thread tells people |
//! | [`keeper`] | open files, and what a receiver's job means to the spool |
//! | [`long_job`] | work on whole files, in portions |
//! | `inflate` | of that: undoing compression |
//! | `trim` | of that: taking trailers off |
//! | [`sealing`] | files that are sealed, and of that, too: one that takes long to look at |

mod inflate;
pub mod keeper;
pub mod long_job;
pub mod sealing;
mod shown;
pub mod spool_handle;
pub mod spool_thread;
pub mod stage;
#[cfg(test)]
mod tests;
mod trim;

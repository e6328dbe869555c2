//! How a feed reaches the spool's owner.

use std::fmt;
use std::pin::Pin;

use crate::data::Sequence;
use crate::spool::Cursor;

/// What a feed asks of the spool's owner.
pub struct Orders {
    /// Notes a cursor; returns at once.
    pub advance: Box<dyn Fn(&Cursor) + Send + Sync>,
    /// Puts the files of an entry into quarantine, with the reason; true once they are there, durably.
    pub quarantine: Box<dyn Fn(Sequence, String) -> Done + Send + Sync>,
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").finish_non_exhaustive()
    }
}

/// Becomes true if it was done.
pub type Done = Pin<Box<dyn Future<Output = bool> + Send>>;

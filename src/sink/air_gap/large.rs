//! How many sinks of this process have a large frame in memory at the same time.
//!
//! ```text
//!  piece of a file --> FrameBuffer --a place--> read whole, and checked with one read
//!                                  --none-----> streamed in two passes, a small chunk at a time
//! ```
//!
//! So memory does not grow with the number of pipes that send files. Nobody waits for a place: a far side that stalls
//! would keep it.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::LARGE_FRAMES_MAX;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// A place; it is given back with this.
#[derive(Debug)]
pub(super) struct Large(());

impl Large {
    /// A place, if there is one.
    pub(super) fn take() -> Option<Self> {
        let one_more = |taken: usize| (taken < LARGE_FRAMES_MAX).then_some(taken + 1);
        let taken = TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        // Not one that would be given back at once.
        taken.is_ok().then(|| Self(()))
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_their_number() {
        let all: Vec<_> = (0..10 * LARGE_FRAMES_MAX).filter_map(|_| Large::take()).collect();
        // Other tests may have some.
        assert!(all.len() <= LARGE_FRAMES_MAX, "{}", all.len());
        assert!(TAKEN.load(Ordering::Relaxed) <= LARGE_FRAMES_MAX);
    }
}

//! Buffers for what is looked at, one pair for all pipes of a node: all of them run on its main loop, and none of
//! them waits while it looks.
//!
//! ```text
//!  pipe 1 --look--> payload, part --read--> its frame           the part is still there
//!  pipe 2 --look--> payload, part                               pipe 2's part
//!  pipe 1 --read--> not its part: looks once more, reads        the same part, as the entry is the same
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::data::Sequence;
use crate::limits::{ENTRY_BYTES_TARGET, KIB};

/// What a buffer keeps from one look to the next: entries are seldom longer.
const KEPT_BYTES: usize = ENTRY_BYTES_TARGET + 64 * KIB;

/// The buffers, to be shared by cloning.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    buffers: Buffers,
    /// Users so far.
    users: u64,
}

/// What one look needs.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// What is looked at.
    pub(super) payload: Vec<u8>,
    /// What is sent in its place.
    pub(super) part: Vec<u8>,
    /// Whose part that is, and of which entry.
    owner: Option<(User, Sequence)>,
}

/// One who uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User(u64);

impl Scratch {
    /// One more that uses them.
    pub(super) fn join(&self) -> User {
        let mut shared = self.lock();
        shared.users += 1;
        User(shared.users)
    }

    /// Does something with the buffers; nothing is known of what they hold.
    pub(super) fn with<R>(&self, run: impl FnOnce(&mut Buffers) -> R) -> R {
        let mut shared = self.lock();
        shared.buffers.owner = None;
        run(&mut shared.buffers)
    }

    /// The part of an entry, if nobody else has looked at anything since it was kept.
    pub(super) fn with_part<R>(
        &self,
        user: User,
        entry: Sequence,
        run: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        let shared = self.lock();
        (shared.buffers.owner == Some((user, entry))).then(|| run(&shared.buffers.part))
    }

    /// Nothing comes: gives the memory back, but for a part of somebody else.
    pub(super) fn rest(&self, user: User) {
        let buffers = &mut self.lock().buffers;
        buffers.payload = Vec::new();
        if buffers.owner.is_none_or(|(owner, _)| owner == user) {
            *buffers = Buffers::default();
        }
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(in crate::sink::air_gap) fn memory_bytes(&self) -> usize {
        let buffers = &self.lock().buffers;
        buffers.payload.capacity() + buffers.part.capacity()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffers {
    /// The part that they hold belongs to this entry.
    pub(super) const fn keep(&mut self, user: User, entry: Sequence) {
        self.owner = Some((user, entry));
    }

    /// Ends a look: what is larger than usual is given back.
    pub(super) fn shrink(&mut self) {
        if self.payload.capacity() > KEPT_BYTES {
            self.payload = Vec::new();
        }
        if self.part.capacity() > KEPT_BYTES {
            self.part = Vec::new();
            self.owner = None;
        }
    }
}

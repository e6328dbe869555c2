//! What shows that a file has changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What a medium tells of a file; two that are equal are of one file with the same bytes. It outlives restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// Its length.
    pub bytes: u64,
    /// Its number on its file system,
    pub inode: u64,
    /// and which one that is.
    pub device: u64,
    /// The last write, in nanoseconds since 1970.
    pub modified: i64,
    /// The last change of any kind, a new name among them; alike.
    pub changed: i64,
    /// How many names it has.
    pub links: u64,
}

impl Stamp {
    pub(super) fn new(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000) + nanos;
        Self {
            bytes: metadata.len(),
            inode: metadata.ino(),
            device: metadata.dev(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
            links: metadata.nlink(),
        }
    }

    /// Something was done to the file after its last write.
    pub const fn was_put_here(&self) -> bool {
        self.changed > self.modified
    }

    /// Nobody has another name for it: it can be moved, and is then the mover's alone.
    pub const fn is_sole_name(&self) -> bool {
        self.links == 1
    }
}

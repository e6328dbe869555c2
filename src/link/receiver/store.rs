//! Where a [`Receiver`](super::Receiver) puts what it takes in.
//!
//! ```text
//!  Receiver --cut, write, discard--> files that grow while pieces arrive
//!           --submit(Job)----------> what has to be durable before it is answered
//!           <--handle_stored(Outcome)--
//!           <--handle_room()-----------
//! ```
//!
//! The gate thread's store puts all of it in order on the stage to the spool thread; a simulator's
//! store does it at once. Calls of one connection are carried out in their order.

use crate::data::Precision;
use crate::spool::LinkId;

use super::verdict::Case;

/// Room that any call but [`Store::submit`] and a large [`Store::write`] needs at most, in bytes: a
/// machine that begins a frame with this much can go on until the frame's first bytes are judged.
pub const ROOM_MIN: usize = 4 * crate::limits::KIB;
/// First bytes of a payload that the machine keeps and an [`Outcome::Unwrapped`] shows.
pub const HEAD_BYTES: usize = crate::limits::KIB;

/// A file that grows while pieces arrive: of one connection, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The connection.
    pub link: LinkId,
    /// Counts the files of the connection.
    pub number: u32,
}

/// Whose data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// The connection; a request that begins on it confirms the answer to the one before.
    pub link: LinkId,
    /// Hash of the peer's cluster id.
    pub cluster: u64,
    /// Unit of its times.
    pub precision: Precision,
    /// The peer is one whose data counts as written here.
    pub local: bool,
}

/// A file that a seal completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealFile<'a> {
    /// Where it lies; `None`: an optional file that is absent.
    pub file: Option<FileKey>,
    /// Its name as sent.
    pub name: Option<&'a str>,
    /// Its length.
    pub bytes: u64,
}

/// What has to be durable before it is answered, or needs the disk in another way.
#[derive(Debug)]
pub enum Job<'a> {
    /// Rows or a plan that lie in memory.
    Request {
        /// Whose.
        from: Provenance,
        /// The whole payload.
        payload: &'a [u8],
        /// [`request_hash`] of it.
        hash: u128,
        /// The first part that the store has not taken; the store counts it up.
        next_part: &'a mut u32,
    },
    /// Rows or a plan in a file, which the store removes when it is done; not if it is undecodable.
    RequestFile {
        /// Whose.
        from: Provenance,
        /// The file, which is the whole payload.
        file: FileKey,
        /// The first part that the store does not have yet.
        next_part: u32,
    },
    /// Files that are complete. Afterwards they are gone.
    Seal {
        /// Whose.
        from: Provenance,
        /// The payload of the seal.
        payload: &'a [u8],
        /// Its files, in its order; the lengths are right.
        files: &'a [SealFile<'a>],
    },
    /// A file that goes to quarantine; stays if the quarantine is full.
    Quarantine {
        /// Which.
        file: FileKey,
        /// Why.
        case: Case,
    },
    /// Undoes the compression of a request of type 300; `file` goes, unless it is undecodable.
    Inflate {
        /// The compressed request.
        file: FileKey,
        /// The request that was in it.
        into: FileKey,
    },
    /// Shows the first bytes of a file.
    Show {
        /// Which.
        file: FileKey,
    },
    /// Appends a part of one file to another, then removes the one.
    Move {
        /// From here,
        file: FileKey,
        /// from this byte on,
        offset: u64,
        /// so many bytes,
        bytes: u64,
        /// to the end of this one.
        into: FileKey,
    },
}

/// What a store says to a job at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submission {
    /// An [`Outcome`] will come.
    Taken,
    /// There was nothing to keep: no rows.
    Nothing,
    /// No room: try again after [`Receiver::handle_room`](super::Receiver::handle_room).
    NoRoom,
    /// A part of the request does not fit into an entry: it has to come as a file.
    NeedsFile,
    /// The payload makes no sense.
    Undecodable,
}

/// What came of a job.
#[expect(clippy::large_enum_variant, reason = "one at a time exists, and no heap is used for it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Durable; or it had been taken before. For [`Job::Move`]: done.
    Stored,
    /// Durable in quarantine, for this reason.
    Quarantined(Case),
    /// The quarantine has no room; the file is still there.
    QuarantineFull,
    /// The file makes no sense; it is still there.
    Undecodable,
    /// This request begins with these bytes.
    Unwrapped {
        /// The file that it lies in.
        file: FileKey,
        /// Its length.
        bytes: u64,
        /// Its first bytes.
        head: [u8; HEAD_BYTES],
    },
    /// Another box has this node's identity.
    Cloned,
    /// There are as many open files as there may be, over all connections.
    NoPlace,
    /// The spool is in state `failing`.
    ReadOnly,
    /// A file of the connection is larger than the spool may ever be. May come at any time.
    NeverFits,
}

/// Where a receiver puts what it takes in. No call waits.
pub trait Store {
    /// Bytes that [`Store::write`] takes now for sure. [`ROOM_MIN`] of it must be left for the other
    /// calls that return nothing.
    fn room(&self) -> usize;

    /// Whether [`Store::lend`] would have a buffer.
    fn can_lend(&self, bytes: usize) -> bool;

    /// Lends an empty buffer with room for `bytes`, if one is free.
    fn lend(&mut self, bytes: usize) -> Option<Vec<u8>>;

    /// Takes a lent buffer back.
    fn give_back(&mut self, buffer: Vec<u8>);

    /// The node's unit of time. A node that has none yet takes `offered`, for good.
    fn precision(&mut self, offered: Precision) -> Precision;

    /// Cuts a file back to `length`, makes it if there is none, and remembers this place. `length` is
    /// the file's length, 0, or the place that was remembered last: the store keeps the state of
    /// the file's hash for just these.
    fn cut(&mut self, file: FileKey, length: u64);

    /// Appends to a file, and makes it if there is none.
    fn write(&mut self, file: FileKey, bytes: &[u8]);

    /// Removes a file.
    fn discard(&mut self, file: FileKey);

    /// Hands a job over.
    fn submit(&mut self, job: Job<'_>) -> Submission;
}

/// Hash of a whole request, by which its repetition is told: the first half of its BLAKE3.
pub fn request_hash(payload: &[u8]) -> u128 {
    short_hash(&blake3::hash(payload))
}

/// The part of a BLAKE3 that stands for a request.
pub fn short_hash(hash: &blake3::Hash) -> u128 {
    let [first, ..] = *hash.as_bytes().as_chunks::<16>().0 else { return 0 };
    u128::from_le_bytes(first)
}

/// Hash of a cluster id; of the empty text for a peer that names none.
pub fn cluster_hash(cluster_id: &str) -> u64 {
    let hash = blake3::hash(cluster_id.as_bytes());
    let [first, ..] = *hash.as_bytes().as_chunks::<8>().0 else { return 0 };
    u64::from_le_bytes(first)
}

//! Where a [`Receiver`](super::Receiver) puts what it takes in.
//!
//! ```text
//!  Receiver --cut, write, discard--> files that grow while pieces arrive
//!           --submit_request-------> rows and plans, durable before they are answered
//!           --submit(Job)----------> seals, and whatever else needs the disk
//!           <--handle_stored(Outcome)--
//!           <--handle_room()-----------
//! ```
//!
//! The gate thread's store puts all of it in order on the stage to the spool thread; a simulator's
//! store does it at once. Calls of one connection are carried out in their order.

use crate::data::Precision;
use crate::limits;
use crate::spool::LinkId;

use super::verdict::Case;

/// Room that any call but the submissions and a large [`Store::write`] needs at most, in bytes: a
/// machine that begins a frame with this much can go on until the frame's first bytes are judged.
pub const ROOM_MIN: usize = 4 * limits::KIB;
/// First bytes of a payload that the machine keeps and an [`Outcome::Unwrapped`] shows.
pub const HEAD_BYTES: usize = limits::KIB;

/// A file that grows while pieces arrive: of one connection, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The connection.
    pub link: LinkId,
    /// Counts the files of the connection.
    pub number: u32,
}

/// Stands for the cluster of clients of this node. Nothing that they send counts as a repetition: what one of them sends
/// again after a lost answer is stored twice, as a stock server does, and reads the same.
pub const WRITERS: u64 = u64::MAX;

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

/// What needs the disk, and has an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Rows or a plan in a file, which the store removes when it is done; not if it is undecodable.
    RequestFile {
        /// Whose.
        from: Provenance,
        /// The file, which is the whole payload.
        file: FileKey,
        /// The first part that the store does not have yet.
        next_part: u32,
    },
    /// Files that are complete; the job's bytes are the payload of the seal. Afterwards the files are
    /// gone, unless the quarantine is full.
    Seal {
        /// Whose.
        from: Provenance,
        /// Its files, in its order; `None`: an optional one that is absent. The lengths are right.
        files: heapless::Vec<Option<FileKey>, { limits::SEAL_FILES_MAX }>,
    },
    /// A file that goes to quarantine; for [`Case::FlawedFile`] all files of its connection. What finds
    /// the quarantine full stays. Whose it is comes with it, as lines of text.
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

impl Job {
    /// The connection that waits for it.
    pub const fn link(&self) -> LinkId {
        match self {
            Self::Seal { from, .. } => from.link,
            Self::RequestFile { file, .. }
            | Self::Quarantine { file, .. }
            | Self::Inflate { file, .. }
            | Self::Show { file }
            | Self::Move { file, .. } => file.link,
        }
    }
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
    /// Durable, or taken before; for [`Job::Move`]: done.
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
    NeverFits {
        /// Bytes that it needs at least.
        needed: u64,
        /// Bytes that the spool may have.
        limit: u64,
    },
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

    /// The node's unit of time, if it has one.
    fn precision(&self) -> Option<Precision>;

    /// A node that has no unit of time yet takes this one, for good.
    fn keep_precision(&mut self, precision: Precision);

    /// Cuts a file back to `length`, makes it if there is none, and remembers this place. `length` is
    /// the file's length, 0, or the place that was remembered last: the store keeps the state of
    /// the file's hash for just these.
    fn cut(&mut self, file: FileKey, length: u64);

    /// Appends to a file, and makes it if there is none.
    fn write(&mut self, file: FileKey, bytes: &[u8]);

    /// Removes a file.
    fn discard(&mut self, file: FileKey);

    /// Hands over rows or a plan that lie in memory. `hash` is the [`request_hash`] of `payload`;
    /// `next_part` is the first part that the store has not taken, which the store counts up. The
    /// store may keep a lent buffer as it is, which leaves an empty one without memory; that one is
    /// given back like any other.
    fn submit_request(
        &mut self,
        from: Provenance,
        payload: &mut Vec<u8>,
        hash: u128,
        next_part: &mut u32,
    ) -> Submission;

    /// Hands a job over, with its bytes.
    fn submit(&mut self, job: Job, bytes: &[u8]) -> Submission;
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

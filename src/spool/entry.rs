//! Entries: what callers say of them, and their header on disk.

use crate::data::{Identity, Precision, Sequence, TimeRange};

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Nothing: stands for sequences that were lost. Readers do not show it.
    Void = 0,
    /// An `InsertTabletNode` as air-gap payload of type 2.
    Tablet = 1,
    /// A list of files in the file store.
    File = 2,
    /// A request that is passed on without being understood, as air-gap payload.
    Opaque = 3,
}

/// A connection of a stock peer. Unique over all runs of the node, so that what recovery reads is not mixed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub u64);

impl LinkId {
    /// The `count`-th connection of a run; `boot` is [`Spool::boot`](super::Spool::boot).
    pub const fn new(boot: u32, count: u32) -> Self {
        Self((boot as u64) << 32 | count as u64)
    }
}

/// A request of a stock peer, for telling its repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Hash of the peer's cluster id.
    pub cluster: u64,
    /// Hash of the whole request.
    pub hash: u128,
}

/// Where an entry comes from; it decides on its identity and on how repetitions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From this node (inbox). Gets an identity; is never taken for a repetition.
    Own,
    /// From a Penstock peer. Keeps its identity, by which repetitions are told.
    Peer(Identity),
    /// From a stock peer. Gets an identity; a repetition of a request that is not confirmed is told part by part.
    Stock {
        /// The request.
        request: RequestKey,
        /// The connection on which it came.
        link: LinkId,
        /// Which part of the request, from 0.
        part: u32,
        /// Whether it is the last part.
        last: bool,
    },
}

/// When something arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Milliseconds since 1970.
    pub wall_ms: i64,
    /// Whether the clock was believed to be right.
    pub trusted: bool,
}

/// An entry to be appended.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// Tablet or opaque; files come by [`Spool::seal`](super::Spool::seal).
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
    /// Penstock nodes that it has passed before this one.
    pub hops: u8,
    /// Unit of its times, if known.
    pub precision: Option<Precision>,
    /// Times that it covers, if known.
    pub time_range: Option<TimeRange>,
    /// Air-gap payload. For tablets of [`Source::Own`] and [`Source::Stock`] without plan node id and child count,
    /// which the spool adds.
    pub payload: &'a [u8],
}

/// Header of an entry, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHeader {
    /// The segment's id.
    pub segment: u64,
    /// Number in this spool.
    pub sequence: Sequence,
    /// Everything below was durable when the entry was written.
    pub synced: Sequence,
    /// When it arrived.
    pub arrival: Arrival,
    /// What it holds.
    pub kind: Kind,
    /// Where it came from.
    pub source: Source,
    /// Penstock nodes that it had passed before.
    pub hops: u8,
    /// Unit of its times.
    pub precision: Option<Precision>,
    /// Times that it covers.
    pub time_range: Option<TimeRange>,
    /// Its identity.
    pub identity: Identity,
    /// Sequences that a void stands for.
    pub void_entries: u32,
    /// Files of a file entry.
    pub file_count: u32,
    /// Bytes of the payload.
    pub payload_bytes: u32,
    /// CRC-32 of the payload: the frame's, for tablets and opaque requests.
    pub payload_crc: u32,
}

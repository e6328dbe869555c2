//! Entries: what callers say of them, and their header on disk.

use crate::data::{Identity, OriginId, Precision, Sequence, TimeRange};
use crate::spool::fields::{Put, Take};

/// Bytes of an entry's header.
pub const ENTRY_HEADER_BYTES: usize = 160;
/// Entries begin at multiples of this.
pub(super) const ALIGNMENT_BYTES: usize = 8;
/// The same, for offsets.
pub(super) const ALIGNMENT: u64 = ALIGNMENT_BYTES as u64;

const MAGIC: &[u8; 4] = b"PSE1";
const VERSION: u16 = 1;
const UNKNOWN_PRECISION: u8 = 255;
const TRUSTED: u16 = 1;
const HAS_TIMES: u16 = 2;
const LAST_PART: u16 = 4;

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
        Self((boot as u64) << 32 | (count & !GUEST) as u64)
    }

    /// The same for what comes by the session service.
    pub const fn of_guest(boot: u32, count: u32) -> Self {
        Self((boot as u64) << 32 | (count | GUEST) as u64)
    }

    /// Whether it came by the session service.
    pub const fn is_guest(self) -> bool {
        self.0 & GUEST as u64 != 0
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

/// The bit of a link's number that guests have.
const GUEST: u32 = 1 << 31;

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
    /// Nodes that it has passed before this one: 0 for what was written here, or counts as such.
    pub hops: u8,
    /// Unit of its times, if known.
    pub precision: Option<Precision>,
    /// Times that it covers, if known.
    pub time_range: Option<TimeRange>,
    /// Air-gap payload. For tablets without plan node id and child count, which the spool adds.
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
    /// Nodes that it had passed before: 0 for what was written here, or counts as such.
    pub hops: u8,
    /// Unit of its times.
    pub precision: Option<Precision>,
    /// Times that it covers.
    pub time_range: Option<TimeRange>,
    /// Hash of the device that a tablet's rows are of; 0 if unknown.
    pub device: u32,
    /// Its identity.
    pub identity: Identity,
    /// Sequences that a void stands for.
    pub void_entries: u32,
    /// Files of a file entry.
    pub file_count: u32,
    /// CRC-32 of what it holds, the same in every form that it may be stored in; `None` where it is not known. Of a
    /// request its payload on the wire, in an entry or in a file; of files their lengths and hashes.
    pub content_crc: Option<u32>,
    /// Bytes of the payload.
    pub payload_bytes: u32,
    /// CRC-32 of the payload: the frame's, for tablets and opaque requests.
    pub payload_crc: u32,
}

impl EntryHeader {
    /// Bytes of the whole entry, padding included.
    pub(super) fn entry_bytes(&self) -> u64 {
        entry_bytes(u64::from(self.payload_bytes))
    }

    /// The sequence after this entry.
    pub(super) fn end(&self) -> u64 {
        self.sequence.0.saturating_add(u64::from(self.void_entries.max(1)))
    }

    /// The header as it lies on disk; see the drawing in the module documentation.
    pub fn encode(&self) -> [u8; ENTRY_HEADER_BYTES] {
        let mut record = [0; ENTRY_HEADER_BYTES];
        let (request, link, part, last) = match self.source {
            Source::Own | Source::Peer(_) => {
                (RequestKey { cluster: 0, hash: 0 }, LinkId(0), 0, false)
            }
            Source::Stock { request, link, part, last } => (request, link, part, last),
        };
        let times = self.time_range.unwrap_or(TimeRange { min: 0, max: 0 });
        let flags = flag(TRUSTED, self.arrival.trusted)
            | flag(HAS_TIMES, self.time_range.is_some())
            | flag(LAST_PART, last);
        let mut put = Put::new(&mut record);
        put.bytes(MAGIC).u16(VERSION).u16(HEADER_FIELD).u64(self.segment);
        put.u64(self.sequence.0).u64(self.synced.0).i64(self.arrival.wall_ms);
        put.u8(self.kind as u8).u8(self.source.code()).u16(flags);
        put.u8(self.precision.map_or(UNKNOWN_PRECISION, Precision::code)).u8(self.hops).u16(0);
        put.bytes(&self.identity.origin.0).u64(self.identity.sequence.0);
        put.i64(times.min).i64(times.max);
        put.u64(request.cluster).u128(request.hash).u32(part).u32(self.void_entries).u64(link.0);
        put.u32(self.file_count)
            .u32(self.content_crc.unwrap_or(0))
            .u32(self.payload_bytes)
            .u32(self.payload_crc);
        put.u32(self.device).bytes(&[0; 8]);
        debug_assert_eq!(put.left(), 4);
        seal_record(&mut record);
        record
    }

    /// The header in these bytes; `None` if they are none, or one of a later version.
    pub fn decode(record: &[u8]) -> Option<Self> {
        let mut take = Take::new(check_record(record.get(..ENTRY_HEADER_BYTES)?)?);
        if take.bytes(MAGIC.len())? != MAGIC
            || take.u16()? != VERSION
            || take.u16()? != HEADER_FIELD
        {
            return None;
        }
        let segment = take.u64()?;
        let (sequence, synced) = (Sequence(take.u64()?), Sequence(take.u64()?));
        let wall_ms = take.i64()?;
        let (kind, source, flags) = (Kind::from_code(take.u8()?)?, take.u8()?, take.u16()?);
        let (precision, hops, _lane) = (take.u8()?, take.u8()?, take.u16()?);
        let identity =
            Identity { origin: OriginId(take.array()?), sequence: Sequence(take.u64()?) };
        let times = TimeRange { min: take.i64()?, max: take.i64()? };
        let request = RequestKey { cluster: take.u64()?, hash: take.u128()? };
        let (part, void_entries, link) = (take.u32()?, take.u32()?, LinkId(take.u64()?));
        let (file_count, content_crc) = (take.u32()?, take.u32()?);
        let (payload_bytes, payload_crc, device) = (take.u32()?, take.u32()?, take.u32()?);
        let source = match source {
            0 => Source::Own,
            1 => Source::Peer(identity),
            2 => Source::Stock { request, link, part, last: flags & LAST_PART != 0 },
            _ => return None,
        };
        Some(Self {
            segment,
            sequence,
            synced,
            arrival: Arrival { wall_ms, trusted: flags & TRUSTED != 0 },
            kind,
            source,
            hops,
            precision: Precision::from_code(precision),
            time_range: (flags & HAS_TIMES != 0).then_some(times),
            device,
            identity,
            void_entries,
            file_count,
            content_crc: (content_crc != 0).then_some(content_crc),
            payload_bytes,
            payload_crc,
        })
    }
}

/// Whether these bytes may be the start of an entry: a cheap look before the CRC.
pub(super) fn looks_like_entry(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Hash of the device of an `InsertTabletNode` in an air-gap payload, never 0; 0 if these bytes are none.
///
/// ```text
///  version i8, request type i16 = 2, node type i16 = 13, device: i32 length, text
/// ```
pub(super) fn device_of(payload: &[u8]) -> u32 {
    let device = || {
        let (head, rest) = payload.split_first_chunk::<5>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let device = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        (head[1..] == TABLET_HEAD).then(|| crc32fast::hash(device).max(1))
    };
    device().unwrap_or(0)
}

/// Bytes of an entry with a payload of so many bytes.
pub(super) const fn entry_bytes(payload_bytes: u64) -> u64 {
    (ENTRY_HEADER_BYTES as u64 + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Writes the CRC of all bytes but the last four into the last four.
pub(super) fn seal_record(record: &mut [u8]) {
    let (body, crc) = record.split_at_mut(record.len() - 4);
    crc.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
}

/// The bytes in front of the CRC, if it is right.
pub(super) fn check_record(record: &[u8]) -> Option<&[u8]> {
    let (body, crc) = record.split_last_chunk::<4>()?;
    (crc32fast::hash(body) == u32::from_le_bytes(*crc)).then_some(body)
}

const fn flag(bit: u16, set: bool) -> u16 {
    if set { bit } else { 0 }
}

impl Kind {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Void),
            1 => Some(Self::Tablet),
            2 => Some(Self::File),
            3 => Some(Self::Opaque),
            _ => None,
        }
    }
}

impl Source {
    const fn code(self) -> u8 {
        match self {
            Self::Own => 0,
            Self::Peer(_) => 1,
            Self::Stock { .. } => 2,
        }
    }
}

/// Request type 2 with a node of type 13.
const TABLET_HEAD: [u8; 4] = [0, 2, 0, 13];
const HEADER_FIELD: u16 = 160;
const _: () = assert!(HEADER_FIELD as usize == ENTRY_HEADER_BYTES);
const _: () = assert!((ENTRY_HEADER_BYTES as u64).is_multiple_of(ALIGNMENT));

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> EntryHeader {
        EntryHeader {
            segment: 0x1122_3344_5566_7788,
            sequence: Sequence(42),
            synced: Sequence(40),
            arrival: Arrival { wall_ms: -5, trusted: true },
            kind: Kind::Tablet,
            source: Source::Stock {
                request: RequestKey { cluster: 7, hash: 8 << 100 },
                link: LinkId::new(3, 4),
                part: 5,
                last: true,
            },
            hops: 2,
            precision: Some(Precision::Us),
            time_range: Some(TimeRange { min: -1, max: 1 }),
            device: 0x0a0b_0c0d,
            identity: Identity { origin: OriginId([9; 16]), sequence: Sequence(41) },
            void_entries: 0,
            file_count: 0,
            content_crc: Some(7),
            payload_bytes: 1000,
            payload_crc: 0xdead_beef,
        }
    }

    #[test]
    fn header_reads_back_as_written() {
        let own =
            EntryHeader { source: Source::Own, precision: None, time_range: None, ..sample() };
        let identity = sample().identity;
        let peer = EntryHeader { source: Source::Peer(identity), content_crc: None, ..sample() };
        for header in [sample(), own, peer] {
            assert_eq!(EntryHeader::decode(&header.encode()), Some(header));
        }
    }

    #[test]
    fn header_lies_as_drawn() {
        let record = sample().encode();
        assert_eq!(record[..8], [b'P', b'S', b'E', b'1', 1, 0, 160, 0]);
        assert_eq!(record[8..16], 0x1122_3344_5566_7788_u64.to_le_bytes());
        assert_eq!(record[16..24], 42_u64.to_le_bytes());
        assert_eq!(record[40..46], [1, 2, 7, 0, 1, 2]);
        assert_eq!(record[48..64], [9; 16]);
        assert_eq!(record[112..116], 5_u32.to_le_bytes());
        assert_eq!(record[132..136], 7_u32.to_le_bytes());
        assert_eq!(record[136..140], 1000_u32.to_le_bytes());
        assert_eq!(record[144..148], 0x0a0b_0c0d_u32.to_le_bytes());
        assert_eq!(record[156..], crc32fast::hash(&record[..156]).to_le_bytes());
    }

    #[test]
    fn a_tablet_is_known_by_its_device() {
        let tablet = b"\x01\0\x02\0\x0d\0\0\0\x04rootrest";
        assert_eq!(device_of(tablet), crc32fast::hash(b"root"));
        assert_eq!((0..13).map(|end| device_of(&tablet[..end])).max(), Some(0));
        assert_eq!(device_of(b"\x01\0\x02\0\x0e\0\0\0\x04root"), 0, "a row");
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let record = sample().encode();
        for bit in 0..record.len() * 8 {
            let mut flipped = record;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(EntryHeader::decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(EntryHeader::decode(&record[..159]), None);
    }
}

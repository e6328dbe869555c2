//! What has been taken already.
//!
//! - **Penstock peers** name each entry by (origin, sequence). Of each origin the received sequences are kept as ranges.
//!   When there are too many ranges (a filter leaves gaps) the oldest are forgotten: their repetition would be taken
//!   twice, which is harmless; nothing is ever held for a repetition that is none. What comes under a known number
//!   but is something else is told by its digest (digests.rs).
//! - **Stock peers** name nothing. A request is a repetition only if it equals one of the same cluster whose answer may
//!   have been lost: no later frame came on its connection, which was lost an hour ago at most. One request of a link is
//!   unconfirmed at a time, the last. After a start all links are gone and their last requests stay unconfirmed.
//!
//! An equal request is a write of its own if dropping it could change what is read in the end: then it is stored
//! again, as a stock receiver does with every repetition.
//!
//! | unconfirmed | it is stored again if since then there came |
//! |---|---|
//! | tablets | a tablet of one of its devices with times of its own, by whomever; a request that holds no points (a deletion, a plan) of its cluster |
//! | no points | anything of its cluster: a deletion behind newer points has to delete them |
//! | files | nothing: a file is named and written once |
//!
//! What files hold is not known here: they change nothing for tablets.
//!
//! ```text
//!  append part 0 --> taken 1 --> ... append last --> taken n
//!        |                                            |
//!        | confirm(link): a later frame came          | forget(link): the connection is gone
//!        v                                            v
//!     forgotten                            waits for its repetition, on whatever link it comes
//! ```
//!
//! Both tables are bounded, rebuilt from entry headers, and written to a snapshot at each new segment.

use std::time::Instant;

use crate::data::{Identity, OriginId, TimeRange};
use crate::limits::{
    LINKS_MAX, ORIGINS_MAX, RECEIVED_RANGES_MAX, UNCONFIRMED_AGE_MAX, UNCONFIRMED_DEVICES_MAX,
    UNCONFIRMED_MAX,
};
use crate::spool::fields::Take;
use crate::spool::{EntryHeader, Kind, LinkId, RequestKey, Source};

/// Both tables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dedup {
    origins: Vec<Origin>,
    requests: Vec<Request>,
    /// Links that have begun a request, the first one, and whether there were others.
    begun: Vec<(LinkId, RequestKey, bool)>,
    /// Ranges and origins that had to be forgotten.
    pub(super) forgotten: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Origin {
    id: OriginId,
    /// Local sequence of its latest entry.
    latest: u64,
    /// Received sequences: first and last, ascending, with gaps between them.
    ranges: Vec<(u64, u64)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    key: RequestKey,
    /// `None` when the link is gone.
    link: Option<LinkId>,
    /// When the link was found gone.
    lost: Option<Instant>,
    /// Parts taken.
    parts: u32,
    /// Local sequence of the latest part.
    latest: u64,
    /// What its parts may have written.
    points: Points,
    /// Another request of the cluster was stored since.
    overtaken: bool,
    /// Its points may have been written or deleted since.
    rewritten: bool,
}

/// Hashes of devices.
type Devices = heapless::Vec<u32, UNCONFIRMED_DEVICES_MAX>;

/// Which points a request may have written: never too few.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Points {
    /// Hashes of the devices; `None` if they are not known, or too many.
    devices: Option<Devices>,
    times: TimeRange,
}

impl Points {
    const NONE: Self = Self { devices: Some(heapless::Vec::new()), times: TimeRange::EMPTY };

    /// With those of an entry.
    fn add(&mut self, header: &EntryHeader) {
        self.times = self.times.union(times(header));
        let device = header.device;
        let devices = self.devices.take().filter(|_| device != 0);
        self.devices = devices.and_then(|mut devices| {
            let is_held = devices.contains(&device) || devices.push(device).is_ok();
            is_held.then_some(devices)
        });
    }

    /// Whether a tablet may have written some of them.
    fn meets(&self, tablet: &EntryHeader) -> bool {
        let times = times(tablet);
        let is_of = |devices: &[u32]| tablet.device == 0 || devices.contains(&tablet.device);
        self.devices.as_deref().is_none_or(is_of)
            && self.times.min <= times.max
            && times.min <= self.times.max
    }
}

fn times(header: &EntryHeader) -> TimeRange {
    header.time_range.unwrap_or(TimeRange::ALL)
}

impl Request {
    /// Another entry was stored.
    fn note_other(&mut self, header: &EntryHeader) {
        let is_same_cluster = match header.source {
            Source::Stock { request, .. } if request == self.key => return,
            Source::Stock { request, .. } => request.cluster == self.key.cluster,
            Source::Own | Source::Peer(_) => false,
        };
        self.overtaken |= is_same_cluster;
        self.rewritten |= match header.kind {
            Kind::Tablet => self.points.meets(header),
            Kind::Opaque => is_same_cluster,
            Kind::File | Kind::Void => false,
        };
    }

    /// Whether an equal one of this kind is a write of its own, whatever became of the answer.
    const fn is_late(&self, kind: Kind) -> bool {
        match kind {
            Kind::Opaque => self.overtaken,
            Kind::Tablet => self.rewritten,
            Kind::File | Kind::Void => false,
        }
    }

    fn is_old(&self, now: Instant) -> bool {
        self.lost.is_some_and(|lost| now.saturating_duration_since(lost) > UNCONFIRMED_AGE_MAX)
    }
}

impl Dedup {
    /// Whether this entry of a peer was received.
    pub(super) fn has(&self, identity: Identity) -> bool {
        let sequence = identity.sequence.0;
        self.origins.iter().find(|origin| origin.id == identity.origin).is_some_and(|origin| {
            let after = origin.ranges.partition_point(|(first, _)| *first <= sequence);
            let range = after.checked_sub(1).and_then(|index| origin.ranges.get(index));
            range.is_some_and(|(_, last)| sequence <= *last)
        })
    }

    /// Local sequence of the latest entry of an origin that is known.
    pub(super) fn latest(&self, origin: OriginId) -> Option<u64> {
        self.origins.iter().find(|known| known.id == origin).map(|known| known.latest)
    }

    /// Parts of an unconfirmed request that were taken, and the local sequence of the latest; `None` if one of this kind
    /// that comes now is a write of its own.
    pub(super) fn taken(&self, key: RequestKey, kind: Kind, now: Instant) -> Option<(u32, u64)> {
        let request = self.requests.iter().find(|request| request.key == key)?;
        (!request.is_late(kind) && !request.is_old(now)).then_some((request.parts, request.latest))
    }

    /// A link sends a part of a request; whether that can be a repetition. Only its first request can: a peer
    /// repeats what was not answered before it sends anything else, and what is equal later is a write of its
    /// own. The request that the link is at is itself, of course.
    pub(super) fn may_repeat(&mut self, link: LinkId, key: RequestKey) -> bool {
        let is_at_it = |request: &Request| request.key == key && request.link == Some(link);
        let is_at_it = self.requests.iter().any(is_at_it);
        let known = self.begun.iter_mut().find(|(begun, ..)| *begun == link);
        if let Some((_, first, more)) = known {
            *more |= *first != key;
            return !*more || is_at_it;
        }
        if self.begun.len() < LINKS_MAX {
            self.begun.push((link, key, false));
        }
        true
    }

    /// The repetition of a request comes on this link: its answer will be seen there.
    pub(super) fn repeated(&mut self, key: RequestKey, link: LinkId) {
        self.confirm_others(link, key);
        if let Some(request) = self.requests.iter_mut().find(|request| request.key == key) {
            (request.link, request.lost) = (Some(link), None);
        }
    }

    /// A later frame came on this link.
    pub(super) fn confirm(&mut self, link: LinkId) {
        self.requests.retain(|request| request.link != Some(link));
    }

    /// The link is gone.
    pub(super) fn forget(&mut self, link: LinkId, now: Instant) {
        self.begun.retain(|(begun, ..)| *begun != link);
        self.requests.retain(|request| !request.is_old(now));
        for request in self.requests.iter_mut().filter(|request| request.link == Some(link)) {
            (request.link, request.lost) = (None, Some(now));
        }
    }

    /// All links are gone: after a start.
    pub(super) fn forget_all(&mut self, now: Instant) {
        for request in &mut self.requests {
            (request.link, request.lost) = (None, Some(now));
        }
    }

    /// An entry was appended, or is found in the log.
    pub(super) fn note(&mut self, header: &EntryHeader) {
        let local = header.sequence.0;
        self.requests.iter_mut().for_each(|request| request.note_other(header));
        match header.source {
            Source::Own => {}
            Source::Peer(identity) => self.receive(identity, local),
            Source::Stock { request, link, part, .. } => {
                self.confirm_others(link, request);
                self.take_part(request, link, part, header);
            }
        }
    }

    /// Everything below `end` of an origin counts as received: what the node wrote under an earlier identity.
    pub(super) fn receive_below(&mut self, origin: OriginId, end: u64, local: u64) {
        let origin = self.origin_mut(origin, local);
        origin.ranges.retain(|(_, last)| *last >= end);
        if end > 1 {
            origin.ranges.insert(0, (1, end - 1));
        }
    }

    /// Nothing at or above this local sequence was ever durable: what is said to have come there did not. Of an origin
    /// all is forgotten then, since nobody knows which of its entries these were; they may come twice.
    pub(super) fn drop_from(&mut self, end: u64) {
        self.requests.retain(|request| request.latest < end);
        self.origins.retain(|origin| origin.latest < end);
    }

    fn confirm_others(&mut self, link: LinkId, key: RequestKey) {
        self.requests.retain(|request| request.link != Some(link) || request.key == key);
    }

    fn take_part(&mut self, key: RequestKey, link: LinkId, part: u32, header: &EntryHeader) {
        let parts = part.saturating_add(1);
        let found = self.requests.iter_mut().find(|request| request.key == key);
        // What begins anew is all stored anew.
        let before = found.as_deref().filter(|_| part > 0);
        let mut points = before.map_or(Points::NONE, |request| request.points.clone());
        points.add(header);
        let taken = Request {
            key,
            link: Some(link),
            lost: None,
            parts,
            latest: header.sequence.0,
            points,
            overtaken: before.is_some_and(|request| request.overtaken),
            rewritten: before.is_some_and(|request| request.rewritten),
        };
        if let Some(request) = found {
            *request = taken;
            return;
        }
        if self.requests.len() >= UNCONFIRMED_MAX {
            let oldest = |request: &Request| (request.link.is_some(), request.latest);
            let found = (0..).zip(&self.requests).min_by_key(|(_, request)| oldest(request));
            if let Some((index, _)) = found {
                self.requests.swap_remove(index);
                self.forgotten += 1;
            }
        }
        self.requests.push(taken);
    }

    fn receive(&mut self, identity: Identity, local: u64) {
        let sequence = identity.sequence.0;
        let ranges = &mut self.origin_mut(identity.origin, local).ranges;
        let after = ranges.partition_point(|(first, _)| *first <= sequence);
        let joins_next = ranges.get(after).is_some_and(|(first, _)| *first == sequence + 1);
        let before = after.checked_sub(1).and_then(|index| ranges.get_mut(index));
        match before {
            Some((_, last)) if *last >= sequence => return,
            Some((_, last)) if *last + 1 == sequence => {
                *last = sequence;
                if joins_next {
                    let (_, end) = ranges.remove(after);
                    ranges.get_mut(after - 1).into_iter().for_each(|(_, last)| *last = end);
                }
            }
            Some(_) | None if joins_next => {
                if let Some((first, _)) = ranges.get_mut(after) {
                    *first = sequence;
                }
            }
            Some(_) | None => ranges.insert(after, (sequence, sequence)),
        }
        self.bound();
    }

    /// The origin's row; the one that was silent longest makes room.
    fn origin_mut(&mut self, id: OriginId, local: u64) -> &mut Origin {
        let found = self.origins.iter().position(|origin| origin.id == id);
        let index = found.unwrap_or_else(|| {
            if self.origins.len() >= ORIGINS_MAX {
                let oldest = (0..).zip(&self.origins).min_by_key(|(_, origin)| origin.latest);
                let index = oldest.map_or(0, |(index, _)| index);
                self.origins.swap_remove(index);
                self.forgotten += 1;
            }
            self.origins.push(Origin { id, latest: local, ranges: Vec::new() });
            self.origins.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just now")]
        let origin = &mut self.origins[index];
        origin.latest = origin.latest.max(local);
        origin
    }

    /// Forgets the oldest range of the origin that has most of them.
    fn bound(&mut self) {
        while self.origins.iter().map(|origin| origin.ranges.len()).sum::<usize>()
            > RECEIVED_RANGES_MAX
        {
            if let Some(origin) = self.origins.iter_mut().max_by_key(|origin| origin.ranges.len()) {
                origin.ranges.remove(0);
                self.forgotten += 1;
            }
        }
    }

    /// Appends both tables to `into`: `u16 origins, each (id 16, latest u64, u32 ranges, each (u64, u64))`, then
    /// `u16 requests, each (cluster u64, hash u128, flags u8: 1 link known, 2 overtaken, 4 rewritten, link u64,
    /// parts u32, latest u64, earliest i64, latest i64, u8 devices, 255: not known, each u32)`.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        into.extend(u16::try_from(self.origins.len()).unwrap_or(u16::MAX).to_le_bytes());
        for origin in &self.origins {
            into.extend(origin.id.0);
            into.extend(origin.latest.to_le_bytes());
            into.extend(u32::try_from(origin.ranges.len()).unwrap_or(u32::MAX).to_le_bytes());
            for (first, last) in &origin.ranges {
                into.extend(first.to_le_bytes());
                into.extend(last.to_le_bytes());
            }
        }
        into.extend(u16::try_from(self.requests.len()).unwrap_or(u16::MAX).to_le_bytes());
        for request in &self.requests {
            into.extend(request.key.cluster.to_le_bytes());
            into.extend(request.key.hash.to_le_bytes());
            let Request { link, overtaken, rewritten, points, .. } = request;
            let flags = [link.is_some(), *overtaken, *rewritten].map(u8::from);
            into.push(flags[0] | flags[1] << 1 | flags[2] << 2);
            into.extend(request.link.unwrap_or(LinkId(0)).0.to_le_bytes());
            into.extend(request.parts.to_le_bytes());
            into.extend(request.latest.to_le_bytes());
            into.extend(points.times.min.to_le_bytes());
            into.extend(points.times.max.to_le_bytes());
            let devices = points.devices.as_deref();
            into.push(
                devices.map_or(UNKNOWN, |devices| u8::try_from(devices.len()).unwrap_or(UNKNOWN)),
            );
            into.extend(devices.into_iter().flatten().flat_map(|device| device.to_le_bytes()));
        }
    }

    /// Both tables as encoded; `None` if these bytes are anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut take = Take::new(bytes);
        let mut tables = Self::default();
        for _ in 0..limited(usize::from(take.u16()?), ORIGINS_MAX)? {
            let (id, latest) = (OriginId(take.array()?), take.u64()?);
            let count = usize::try_from(take.u32()?).ok()?;
            let mut ranges = Vec::new();
            for _ in 0..limited(count, RECEIVED_RANGES_MAX)? {
                ranges.push((take.u64()?, take.u64()?));
            }
            tables.origins.push(Origin { id, latest, ranges });
        }
        for _ in 0..limited(usize::from(take.u16()?), UNCONFIRMED_MAX)? {
            let key = RequestKey { cluster: take.u64()?, hash: take.u128()? };
            let (flags, link) = (take.u8()?, LinkId(take.u64()?));
            let link = (flags & 1 != 0).then_some(link);
            let (parts, latest) = (take.u32()?, take.u64()?);
            let points = take_points(&mut take)?;
            tables.requests.push(Request {
                key,
                link,
                lost: None,
                parts,
                latest,
                points,
                overtaken: flags & 2 != 0,
                rewritten: flags & 4 != 0,
            });
        }
        take.rest().is_empty().then_some(tables)
    }
}

/// Stands for devices that are not known.
const UNKNOWN: u8 = u8::MAX;

/// Points as encoded: times, then devices.
fn take_points(take: &mut Take<'_>) -> Option<Points> {
    let times = TimeRange { min: take.i64()?, max: take.i64()? };
    let count = take.u8()?;
    if count == UNKNOWN {
        return Some(Points { devices: None, times });
    }
    let mut devices = Devices::new();
    for _ in 0..count {
        devices.push(take.u32()?).ok()?;
    }
    Some(Points { devices: Some(devices), times })
}

fn limited(count: usize, max: usize) -> Option<usize> {
    (count <= max).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Sequence;
    use crate::spool::{Arrival, Kind};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn header(source: Source, local: u64) -> EntryHeader {
        EntryHeader {
            segment: 1,
            sequence: Sequence(local),
            synced: Sequence(0),
            arrival: Arrival { wall_ms: 0, trusted: true },
            kind: Kind::Tablet,
            source,
            hops: 0,
            precision: None,
            time_range: None,
            identity: identity(0, local),
            device: 0,
            void_entries: 0,
            file_count: 0,
            payload_bytes: 0,
            content_crc: None,
            payload_crc: 0,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "any start will do")]
    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    fn taken(dedup: &Dedup, key: RequestKey) -> Option<(u32, u64)> {
        dedup.taken(key, Kind::File, start())
    }

    fn identity(origin: u8, sequence: u64) -> Identity {
        Identity { origin: OriginId([origin; 16]), sequence: Sequence(sequence) }
    }

    fn stock(hash: u128, link: u64, part: u32) -> Source {
        let request = RequestKey { cluster: 1, hash };
        Source::Stock { request, link: LinkId(link), part, last: true }
    }

    fn key(hash: u128) -> RequestKey {
        RequestKey { cluster: 1, hash }
    }

    #[test]
    fn a_request_is_known_until_a_later_frame_confirms_it() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        dedup.note(&header(stock(1, 9, 1), 2));
        assert_eq!(taken(&dedup, key(1)), Some((2, 2)));
        assert_eq!(taken(&dedup, RequestKey { cluster: 2, hash: 1 }), None);
        dedup.confirm(LinkId(9));
        assert_eq!(taken(&dedup, key(1)), None);
    }

    #[test]
    fn equal_writes_with_another_between_are_three() {
        let mut dedup = Dedup::default();
        for (hash, local) in [(1, 1), (2, 2), (1, 3)] {
            assert_eq!(taken(&dedup, key(hash)), None);
            dedup.note(&header(stock(hash, 9, 0), local));
        }
    }

    #[test]
    fn a_request_of_a_lost_link_waits_for_its_repetition() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        dedup.forget(LinkId(9), start());
        dedup.confirm(LinkId(9));
        assert_eq!(taken(&dedup, key(1)), Some((1, 1)));
        dedup.repeated(key(1), LinkId(10));
        dedup.confirm(LinkId(10));
        assert_eq!(taken(&dedup, key(1)), None);
    }

    #[test]
    fn only_the_first_request_of_a_link_can_be_a_repetition() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        dedup.forget(LinkId(9), start());
        assert!(dedup.may_repeat(LinkId(10), key(2)), "first");
        assert!(dedup.may_repeat(LinkId(10), key(2)), "tried again, as there was no room");
        dedup.note(&header(stock(2, 10, 0), 2));
        assert!(!dedup.may_repeat(LinkId(10), key(1)), "x=1 after x=2 is a write of its own");
        assert!(dedup.may_repeat(LinkId(10), key(2)), "not confirmed");
        dedup.confirm(LinkId(10));
        assert!(!dedup.may_repeat(LinkId(10), key(2)));
        dedup.forget(LinkId(10), start());
        assert!(dedup.may_repeat(LinkId(10), key(1)));
        dedup.forget(LinkId(10), start());
        assert!(dedup.begun.is_empty());
    }

    #[test]
    fn a_request_without_points_is_overtaken_by_others_of_its_cluster_only() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        dedup.note(&header(stock(1, 9, 1), 2));
        let request = RequestKey { cluster: 2, hash: 7 };
        let other = Source::Stock { request, link: LinkId(8), part: 0, last: true };
        dedup.note(&header(other, 3));
        dedup.note(&header(Source::Own, 4));
        let is_known = |dedup: &Dedup, key| dedup.taken(key, Kind::Opaque, start()).is_some();
        assert!(is_known(&dedup, key(1)) && is_known(&dedup, request));
        dedup.note(&header(stock(2, 10, 0), 5));
        assert!(!is_known(&dedup, key(1)) && is_known(&dedup, key(2)));
        dedup.note(&header(stock(1, 11, 0), 6));
        assert!(is_known(&dedup, key(1)) && !is_known(&dedup, key(2)));
    }

    /// A tablet of a device with one time.
    fn tablet(source: Source, local: u64, device: u32, time: i64) -> EntryHeader {
        EntryHeader { device, time_range: Some(TimeRange::at(time)), ..header(source, local) }
    }

    #[test]
    fn tablets_are_repeated_until_their_points_may_have_been_written_or_deleted() {
        let opaque = |source| EntryHeader { kind: Kind::Opaque, ..header(source, 9) };
        let other_cluster = Source::Stock {
            request: RequestKey { cluster: 2, hash: 1 },
            link: LinkId(8),
            part: 0,
            last: true,
        };
        let others = [
            (tablet(stock(2, 10, 0), 3, 7, 8), true),
            (tablet(stock(2, 10, 0), 3, 5, 10), true),
            (opaque(other_cluster), true),
            (opaque(Source::Own), true),
            (EntryHeader { kind: Kind::File, ..header(stock(2, 10, 0), 3) }, true),
            (tablet(stock(2, 10, 0), 3, 5 + (1 << 16), 7), true),
            (tablet(stock(2, 10, 0), 3, 5, 7), false),
            (tablet(stock(2, 10, 0), 3, 6, 9), false),
            (tablet(Source::Peer(identity(1, 1)), 3, 5, 7), false),
            (tablet(other_cluster, 3, 5, 7), false),
            (tablet(Source::Own, 3, 0, 7), false),
            (opaque(stock(2, 10, 0)), false),
        ];
        for (other, is_repetition) in others {
            let mut dedup = Dedup::default();
            dedup.note(&tablet(stock(1, 9, 0), 1, 5, 7));
            dedup.note(&tablet(stock(1, 9, 1), 2, 6, 9));
            dedup.note(&other);
            let mut bytes = Vec::new();
            dedup.encode(&mut bytes);
            for dedup in [dedup, Dedup::decode(&bytes).unwrap()] {
                let found = dedup.taken(key(1), Kind::Tablet, start());
                assert_eq!(found.is_some(), is_repetition, "{other:?}");
                assert!(taken(&dedup, key(1)).is_some(), "a file is written once");
            }
        }
    }

    #[test]
    fn a_request_of_too_many_devices_may_have_written_any() {
        let count = UNCONFIRMED_DEVICES_MAX as u64 + 1;
        for devices in [count - 1, count] {
            let mut dedup = Dedup::default();
            for part in 0..devices {
                let part = u32::try_from(part).unwrap();
                dedup.note(&tablet(stock(1, 9, part), 1 + u64::from(part), 1 + part, 7));
            }
            dedup.note(&tablet(Source::Own, 100, 100, 7));
            let found = dedup.taken(key(1), Kind::Tablet, start());
            assert_eq!(found.is_some(), devices < count, "{devices}");
        }
    }

    #[test]
    fn a_request_of_a_lost_link_is_an_hour_later_one_of_its_own() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        let known = |dedup: &Dedup, at| dedup.taken(key(1), Kind::File, at).is_some();
        let (hour, second) = (UNCONFIRMED_AGE_MAX, std::time::Duration::from_secs(1));
        assert!(known(&dedup, start() + 2 * hour), "the link is there");
        dedup.forget(LinkId(9), start() + hour);
        assert!(known(&dedup, start() + 2 * hour) && !known(&dedup, start() + 2 * hour + second));
        dedup.forget_all(start() + 2 * hour);
        assert!(known(&dedup, start() + 3 * hour), "it may have been lost with the node");
        dedup.forget(LinkId(8), start() + 3 * hour + second);
        assert!(dedup.requests.is_empty());
    }

    #[test]
    fn the_table_of_requests_is_bounded_and_keeps_live_links() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(0, 0, 0), 1));
        for index in 1..2 * UNCONFIRMED_MAX as u64 {
            dedup.note(&header(stock(index.into(), index, 0), index + 1));
            dedup.forget(LinkId(index), start());
        }
        assert_eq!(dedup.requests.len(), UNCONFIRMED_MAX);
        assert!(taken(&dedup, key(0)).is_some());
        assert!(taken(&dedup, key(1)).is_none());
    }

    #[test]
    fn ranges_are_bounded_and_the_oldest_go() {
        let mut dedup = Dedup::default();
        let count = RECEIVED_RANGES_MAX as u64 + 10;
        for index in 0..count {
            dedup.note(&header(Source::Peer(identity(1, 1 + 2 * index)), 1 + index));
        }
        assert_eq!(dedup.forgotten, 10);
        assert!(!dedup.has(identity(1, 19)) && dedup.has(identity(1, 21)));
        assert!(dedup.has(identity(1, 2 * count - 1)) && !dedup.has(identity(1, 2 * count)));
    }

    #[test]
    fn origins_are_bounded_and_the_silent_one_goes() {
        let mut dedup = Dedup::default();
        for origin in 0..=ORIGINS_MAX as u64 {
            let id = u8::try_from(origin).unwrap();
            dedup.note(&header(Source::Peer(identity(id, 5)), 1 + origin));
        }
        assert!(!dedup.has(identity(0, 5)) && dedup.has(identity(1, 5)));
    }

    #[test]
    fn what_an_earlier_identity_wrote_counts_as_received() {
        let mut dedup = Dedup::default();
        dedup.receive_below(OriginId([3; 16]), 10, 1);
        assert!(dedup.has(identity(3, 9)) && !dedup.has(identity(3, 10)));
    }

    proptest! {
        #[test]
        fn ranges_are_a_set_and_read_back(sequences in prop::collection::vec(1_u64..60, 0..80)) {
            let mut dedup = Dedup::default();
            let mut model = BTreeSet::new();
            for (local, sequence) in (1..).zip(sequences) {
                prop_assert_eq!(dedup.has(identity(1, sequence)), model.contains(&sequence));
                dedup.note(&header(Source::Peer(identity(1, sequence)), local));
                dedup.note(&header(stock(sequence.into(), local % 3, 0), local));
                model.insert(sequence);
            }
            for origin in &dedup.origins {
                prop_assert!(origin.ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
            let mut bytes = Vec::new();
            dedup.encode(&mut bytes);
            prop_assert_eq!(Dedup::decode(&bytes), Some(dedup));
            prop_assert!(bytes.pop().is_some() && Dedup::decode(&bytes).is_none());
        }
    }
}

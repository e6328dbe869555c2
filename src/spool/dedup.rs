//! What has been taken already.
//!
//! - **Penstock peers** name each entry by (origin, sequence). Of each origin the received sequences are kept as ranges.
//!   When there are too many ranges (a filter leaves gaps) the oldest are forgotten: their repetition would be taken
//!   twice, which is harmless; nothing is ever held for a repetition that is none. What comes under a known number
//!   but is something else is told by its digest (digests.rs).
//! - **Stock peers** name nothing. A request is a repetition only if it equals one of the same cluster whose answer may
//!   have been lost: no later frame came on its connection. One request of a link is unconfirmed at a time, the last.
//!   After a start all links are gone and their last requests stay unconfirmed. A request that is no tablet and no
//!   file (a deletion, a plan) is a repetition only if nothing else of its cluster was stored since: to delete once
//!   more is what its sender asked for, and a deletion behind newer points that is dropped is a loss.
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

use crate::data::{Identity, OriginId};
use crate::limits::{CONNECTIONS_MAX, ORIGINS_MAX, RECEIVED_RANGES_MAX, UNCONFIRMED_MAX};
use crate::spool::fields::Take;
use crate::spool::{EntryHeader, LinkId, RequestKey, Source};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    key: RequestKey,
    /// `None` when the link is gone.
    link: Option<LinkId>,
    /// Parts taken.
    parts: u32,
    /// Local sequence of the latest part.
    latest: u64,
    /// Whether another request of the cluster was stored since.
    overtaken: bool,
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

    /// Whether entries of this origin are known.
    pub(super) fn knows(&self, origin: OriginId) -> bool {
        self.origins.iter().any(|known| known.id == origin)
    }

    /// Parts of an unconfirmed request that were taken, and the local sequence of the latest.
    pub(super) fn taken(&self, key: RequestKey) -> Option<(u32, u64)> {
        let request = self.requests.iter().find(|request| request.key == key)?;
        Some((request.parts, request.latest))
    }

    /// Whether another request of its cluster was stored since an unconfirmed one.
    pub(super) fn is_overtaken(&self, key: RequestKey) -> bool {
        self.requests.iter().any(|request| request.key == key && request.overtaken)
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
        if self.begun.len() < CONNECTIONS_MAX {
            self.begun.push((link, key, false));
        }
        true
    }

    /// The repetition of a request comes on this link: its answer will be seen there.
    pub(super) fn repeated(&mut self, key: RequestKey, link: LinkId) {
        self.confirm_others(link, key);
        if let Some(request) = self.requests.iter_mut().find(|request| request.key == key) {
            request.link = Some(link);
        }
    }

    /// A later frame came on this link.
    pub(super) fn confirm(&mut self, link: LinkId) {
        self.requests.retain(|request| request.link != Some(link));
    }

    /// The link is gone.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.begun.retain(|(begun, ..)| *begun != link);
        for request in self.requests.iter_mut().filter(|request| request.link == Some(link)) {
            request.link = None;
        }
    }

    /// All links are gone: after a start.
    pub(super) fn forget_all(&mut self) {
        for request in &mut self.requests {
            request.link = None;
        }
    }

    /// An entry was appended, or is found in the log.
    pub(super) fn note(&mut self, header: &EntryHeader) {
        let local = header.sequence.0;
        match header.source {
            Source::Own => {}
            Source::Peer(identity) => self.receive(identity, local),
            Source::Stock { request, link, part, .. } => {
                self.confirm_others(link, request);
                self.take_part(request, link, part, local);
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

    fn confirm_others(&mut self, link: LinkId, key: RequestKey) {
        self.requests.retain(|request| request.link != Some(link) || request.key == key);
    }

    fn take_part(&mut self, key: RequestKey, link: LinkId, part: u32, local: u64) {
        let others = self.requests.iter_mut().filter(|request| request.key.cluster == key.cluster);
        others.for_each(|request| request.overtaken |= request.key != key);
        let parts = part.saturating_add(1);
        let taken = Request { key, link: Some(link), parts, latest: local, overtaken: false };
        if let Some(request) = self.requests.iter_mut().find(|request| request.key == key) {
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
    /// `u16 requests, each (cluster u64, hash u128, flags u8: 1 link known, 2 overtaken, link u64,
    /// parts u32, latest u64)`.
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
            into.push(u8::from(request.link.is_some()) | u8::from(request.overtaken) << 1);
            into.extend(request.link.unwrap_or(LinkId(0)).0.to_le_bytes());
            into.extend(request.parts.to_le_bytes());
            into.extend(request.latest.to_le_bytes());
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
            let overtaken = flags & 2 != 0;
            tables.requests.push(Request { key, link, parts, latest, overtaken });
        }
        take.rest().is_empty().then_some(tables)
    }
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
            void_entries: 0,
            file_count: 0,
            payload_bytes: 0,
            content_crc: None,
            payload_crc: 0,
        }
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
        assert_eq!(dedup.taken(key(1)), Some((2, 2)));
        assert_eq!(dedup.taken(RequestKey { cluster: 2, hash: 1 }), None);
        dedup.confirm(LinkId(9));
        assert_eq!(dedup.taken(key(1)), None);
    }

    #[test]
    fn equal_writes_with_another_between_are_three() {
        let mut dedup = Dedup::default();
        for (hash, local) in [(1, 1), (2, 2), (1, 3)] {
            assert_eq!(dedup.taken(key(hash)), None);
            dedup.note(&header(stock(hash, 9, 0), local));
        }
    }

    #[test]
    fn a_request_of_a_lost_link_waits_for_its_repetition() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        dedup.forget(LinkId(9));
        dedup.confirm(LinkId(9));
        assert_eq!(dedup.taken(key(1)), Some((1, 1)));
        dedup.repeated(key(1), LinkId(10));
        dedup.confirm(LinkId(10));
        assert_eq!(dedup.taken(key(1)), None);
    }

    #[test]
    fn only_the_first_request_of_a_link_can_be_a_repetition() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        dedup.forget(LinkId(9));
        assert!(dedup.may_repeat(LinkId(10), key(2)), "first");
        assert!(dedup.may_repeat(LinkId(10), key(2)), "tried again, as there was no room");
        dedup.note(&header(stock(2, 10, 0), 2));
        assert!(!dedup.may_repeat(LinkId(10), key(1)), "x=1 after x=2 is a write of its own");
        assert!(dedup.may_repeat(LinkId(10), key(2)), "not confirmed");
        dedup.confirm(LinkId(10));
        assert!(!dedup.may_repeat(LinkId(10), key(2)));
        dedup.forget(LinkId(10));
        assert!(dedup.may_repeat(LinkId(10), key(1)));
        dedup.forget(LinkId(10));
        assert!(dedup.begun.is_empty());
    }

    #[test]
    fn a_request_is_overtaken_by_others_of_its_cluster_only() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(1, 9, 0), 1));
        dedup.note(&header(stock(1, 9, 1), 2));
        let request = RequestKey { cluster: 2, hash: 7 };
        let other = Source::Stock { request, link: LinkId(8), part: 0, last: true };
        dedup.note(&header(other, 3));
        dedup.note(&header(Source::Own, 4));
        assert!(!dedup.is_overtaken(key(1)) && !dedup.is_overtaken(request));
        dedup.note(&header(stock(2, 10, 0), 5));
        assert!(dedup.is_overtaken(key(1)) && !dedup.is_overtaken(key(2)));
        dedup.note(&header(stock(1, 11, 0), 6));
        assert!(!dedup.is_overtaken(key(1)) && dedup.is_overtaken(key(2)));
    }

    #[test]
    fn the_table_of_requests_is_bounded_and_keeps_live_links() {
        let mut dedup = Dedup::default();
        dedup.note(&header(stock(0, 0, 0), 1));
        for index in 1..2 * UNCONFIRMED_MAX as u64 {
            dedup.note(&header(stock(index.into(), index, 0), index + 1));
            dedup.forget(LinkId(index));
        }
        assert_eq!(dedup.requests.len(), UNCONFIRMED_MAX);
        assert!(dedup.taken(key(0)).is_some());
        assert!(dedup.taken(key(1)).is_none());
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

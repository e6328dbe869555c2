//! One request in its two forms: an entry, where there was memory for it, and a file.

use super::keeper::{Keeper, Kept};
use super::long_job::{Go, Host, LongJob, Pause};
use super::stage::PartHeader;
use crate::data::{Identity, OriginId, Precision, ReadAt, Sequence};
use crate::link::receiver::{FileKey, Outcome, Provenance, request_hash};
use crate::spool::{Arrival, Fatal, FileList, Kind, LinkId, Settings, SimDisk, Spool};
use crate::wire::split::{Scratch, Splitter};

const ARRIVAL: Arrival = Arrival { wall_ms: 1_790_000_000_000, trusted: true };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Entry,
    File,
}

const FORMS: [Form; 2] = [Form::Entry, Form::File];

struct Node {
    disk: SimDisk,
    keeper: Keeper,
    spool: Spool<SimDisk>,
    links: u64,
}

impl Host<SimDisk> for Node {
    fn parts(&mut self) -> (&mut Keeper, &mut Spool<SimDisk>) {
        (&mut self.keeper, &mut self.spool)
    }

    fn pause(&mut self, _: Pause) -> Result<Go, Fatal> {
        Ok(Go::On)
    }
}

impl Node {
    fn new(seed: u64) -> Self {
        Self::on(SimDisk::new(seed, 1 << 30))
    }

    fn on(disk: SimDisk) -> Self {
        let now = crate::ops::clock::now();
        let (spool, _) = Spool::open(disk.clone(), Settings::default(), now, 0).unwrap();
        Self { disk, keeper: Keeper::new(u32::MAX), spool, links: 0 }
    }

    fn crashed(self) -> Self {
        let Self { disk, spool, .. } = self;
        drop(spool);
        disk.crash();
        Self::on(disk)
    }

    /// Takes a request in, as the first of a link; whether it was stored.
    fn take(&mut self, form: Form, payload: &[u8]) -> bool {
        self.links += 1;
        let link = LinkId(self.links);
        let from = Provenance { link, cluster: 1, precision: Precision::Ms, local: false };
        let before = self.spool.next_sequence();
        let kept = match form {
            Form::Entry => Some(self.by_memory(from, payload)),
            Form::File => self.by_file(from, payload),
        };
        assert!(matches!(kept, Some(Kept::Durable(Outcome::Stored))), "{form:?}: {kept:?}");
        assert_eq!(self.keeper.open_files(), 0);
        self.spool.sync().unwrap();
        self.spool.next_sequence() != before
    }

    fn by_memory(&mut self, from: Provenance, payload: &[u8]) -> Kept {
        let mut scratch = Scratch::new();
        let (count, part) = Splitter::new(&payload, &mut scratch).unwrap().as_is().unwrap();
        let header = PartHeader {
            from,
            kind: Kind::Tablet,
            hash: request_hash(payload),
            part: part.number,
            last: part.is_last,
            identity: part.identity,
            time_range: Some(part.time_range),
        };
        self.keeper.append(&mut self.spool, &header, &payload[..count], ARRIVAL).unwrap()
    }

    fn by_file(&mut self, from: Provenance, payload: &[u8]) -> Option<Kept> {
        let file = FileKey { link: from.link, number: 1 };
        self.keeper.write(&mut self.spool, file, payload).unwrap();
        LongJob::Request { from, file, next_part: 0 }.run(self, ARRIVAL).unwrap()
    }

    /// Form and bytes on the wire of what was stored last.
    fn last(&self) -> (Form, Vec<u8>) {
        let mut reader = self.spool.reader(Sequence(self.spool.next_sequence().0 - 1));
        let entry = reader.next_entry().unwrap().unwrap();
        let mut payload = vec![0; entry.header.payload_bytes as usize];
        reader.read_payload(&entry, 0, &mut payload).unwrap();
        if entry.header.kind != Kind::File {
            return (Form::Entry, payload);
        }
        let list = FileList::parse(&payload).unwrap();
        let file = reader.open_file(&entry, &list, 0).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        (Form::File, bytes)
    }
}

/// A tablet of type 2 that is longer than parts aim at, and fits into an entry.
fn tablet(value: u8, plan_node_id: &str) -> Vec<u8> {
    let rows = 20_000_u32;
    let text =
        |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let times: Vec<u8> = (0..i64::from(rows)).flat_map(i64::to_be_bytes).collect();
    [
        &[1, 0, 2, 0, 13],
        text("root.a.b").as_slice(),
        &[0, 0, 0, 1, 0],
        &text("s"),
        &[2],
        &rows.to_be_bytes(),
        &times,
        &[0],
        &vec![value; 8 * rows as usize],
        &[0],
        &text(plan_node_id),
        &[0; 4],
    ]
    .concat()
}

fn identified(value: u8, sequence: u64) -> Vec<u8> {
    let identity = Identity { origin: OriginId([7; 16]), sequence: Sequence(sequence) };
    tablet(value, identity.plan_node_id().as_str())
}

#[test]
fn a_peers_request_is_the_same_in_both_forms_and_goes_on_as_it_came() {
    for (seed, first) in FORMS.into_iter().enumerate() {
        let mut node = Node::new(seed as u64);
        let payload = identified(1, 5);
        assert!(node.take(first, &payload));
        assert!(node.last() == (first, payload.clone()), "{first:?}");
        for again in FORMS {
            assert!(!node.take(again, &payload), "{first:?}, {again:?}");
        }
        let mut node = node.crashed();
        for again in FORMS {
            assert!(!node.take(again, &payload), "{first:?}, {again:?} after a crash");
        }
        assert_eq!(node.spool.stats().reused_entries, 0);
    }
}

#[test]
fn our_own_that_comes_back_is_a_repetition_in_both_forms() {
    for (seed, first) in FORMS.into_iter().enumerate() {
        let mut node = Node::new(10 + seed as u64);
        assert!(node.take(first, &tablet(1, "1")));
        let (form, payload) = node.last();
        assert_eq!(form, first);
        let own = Identity { origin: node.spool.origin(), sequence: Sequence(1) };
        assert!(payload == tablet(1, own.plan_node_id().as_str()), "{first:?}");
        for back in FORMS {
            assert!(!node.take(back, &payload), "{first:?}, {back:?}");
        }
        let mut node = node.crashed();
        for back in FORMS {
            assert!(!node.take(back, &payload), "{first:?}, {back:?} after a crash");
        }
        assert_eq!(node.spool.stats().reused_entries, 0);
    }
}

#[test]
fn other_data_under_a_known_number_is_stored_and_told_in_both_forms() {
    for (seed, (first, second)) in
        FORMS.iter().flat_map(|first| FORMS.map(|second| (*first, second))).enumerate()
    {
        let mut node = Node::new(20 + seed as u64);
        assert!(node.take(first, &identified(1, 5)));
        assert!(node.take(second, &identified(2, 5)), "{first:?}, {second:?}");
        assert_eq!(node.spool.stats().reused_entries, 1);
        assert!(node.last() == (second, identified(2, 5)));
        // Under our own number, too: nobody waits for ever.
        assert!(node.take(first, &tablet(1, "1")));
        let own = Identity { origin: node.spool.origin(), sequence: Sequence(3) };
        assert!(
            node.take(second, &tablet(2, own.plan_node_id().as_str())),
            "{first:?}, {second:?}"
        );
        assert_eq!(node.spool.stats().reused_entries, 2);
        assert_eq!(node.spool.stats().reused, Some(own));
    }
}

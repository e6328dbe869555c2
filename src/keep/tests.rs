//! One request in its two forms: an entry, where there was memory for it, and a file.

use super::keeper::{Keeper, Kept};
use super::long_job::{self, Go, Host, LongJob, Pause};
use super::sealing::{self, Sealed};
use super::stage::PartHeader;
use super::trim;
use crate::data::{Identity, OriginId, Precision, ReadAt, Sequence};
use crate::link::receiver::{Case, FileKey, Outcome, Provenance, request_hash};
use crate::spool::{Arrival, Fatal, FileList, Kind, LinkId, Settings, SimDisk, Spool};
use crate::tsfile::tail;
use crate::wire::bytes::Writer;
use crate::wire::seal;
use crate::wire::split::{Content, Scratch, Splitter};
use crate::wire::trailer;

const ARRIVAL: Arrival = Arrival { wall_ms: 1_790_000_000_000, trusted: true };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Entry,
    File,
}

const FORMS: [Form; 2] = [Form::Entry, Form::File];

/// Version and type of a plan.
const PLAN: &[u8] = &[1, 0, 100];

struct Node {
    disk: SimDisk,
    keeper: Keeper,
    spool: Spool<SimDisk>,
    links: u64,
    /// How often others had their turn.
    turns: usize,
}

impl Host<SimDisk> for Node {
    fn parts(&mut self) -> (&mut Keeper, &mut Spool<SimDisk>) {
        (&mut self.keeper, &mut self.spool)
    }

    /// Nothing makes room here.
    fn pause(&mut self, pause: Pause) -> Result<Go, Fatal> {
        self.turns += 1;
        Ok(if pause == Pause::Portion { Go::On } else { Go::Away })
    }
}

impl Node {
    fn new(seed: u64) -> Self {
        Self::on(SimDisk::new(seed, 1 << 30))
    }

    fn on(disk: SimDisk) -> Self {
        Self::with(disk, Settings::default())
    }

    /// With a spool of 8 MiB.
    fn small(seed: u64) -> Self {
        let settings =
            Settings { max_bytes: 8 << 20, segment_bytes: 1 << 20, ..Settings::default() };
        Self::with(SimDisk::new(seed, 1 << 30), settings)
    }

    fn with(disk: SimDisk, settings: Settings) -> Self {
        let now = crate::ops::clock::now();
        let (spool, _) = Spool::open(disk.clone(), settings, now, 0).unwrap();
        Self { disk, keeper: Keeper::new(u32::MAX), spool, links: 0, turns: 0 }
    }

    fn crashed(self) -> Self {
        let Self { disk, spool, .. } = self;
        drop(spool);
        disk.crash();
        Self::on(disk)
    }

    /// Takes a request in, as the first of a link; whether it was stored.
    fn take(&mut self, form: Form, payload: &[u8]) -> bool {
        let from = self.link();
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

    fn link(&mut self) -> Provenance {
        self.links += 1;
        let link = LinkId(self.links);
        Provenance { link, cluster: 1, precision: Precision::Ms, local: false }
    }

    fn by_memory(&mut self, from: Provenance, payload: &[u8]) -> Kept {
        let mut scratch = Scratch::new();
        let (mut content, hash) = (Vec::new(), request_hash(payload));
        let plan = PartHeader {
            from,
            kind: Kind::Opaque,
            hash,
            part: 0,
            last: true,
            identity: None,
            time_range: None,
        };
        let (header, bytes) = if payload.starts_with(PLAN) {
            let (request, identity) = trailer::split(payload);
            (PartHeader { identity, ..plan }, request)
        } else {
            let mut splitter = Splitter::new(&payload, &mut scratch).unwrap();
            let (count, part) = splitter.as_is().unwrap_or_else(|| {
                let part = splitter.next(&mut content).unwrap().unwrap();
                (content.len(), part)
            });
            let is_tablet = part.content == Content::Tablet;
            let kind = if is_tablet { Kind::Tablet } else { Kind::Opaque };
            let time_range = Some(part.time_range);
            let header = PartHeader { kind, identity: part.identity, time_range, ..plan };
            assert!(part.is_last);
            (header, if content.is_empty() { &payload[..count] } else { &content })
        };
        self.keeper.append(&mut self.spool, &header, bytes, ARRIVAL).unwrap()
    }

    fn by_file(&mut self, from: Provenance, payload: &[u8]) -> Option<Kept> {
        let file = FileKey { link: from.link, number: 1 };
        self.keeper.write(&mut self.spool, file, payload).unwrap();
        LongJob::Request { from, file, next_part: 0 }.run(self, ARRIVAL).unwrap()
    }

    /// Takes the only file of a seal in; what came of it, and whether that took a job.
    fn seal(&mut self, name: &str, file: &[u8]) -> (Option<Kept>, bool) {
        let from = self.link();
        let key = FileKey { link: from.link, number: 1 };
        self.keeper.write(&mut self.spool, key, file).unwrap();
        let mut payload = vec![1, 0, 5];
        seal::write_v1(&mut Writer::append(&mut payload, 100), name, file.len() as u64);
        let sealed = Sealed { from, files: [Some(key)].into_iter().collect() };
        let (keeper, spool) = (&mut self.keeper, &mut self.spool);
        match sealing::seal(keeper, spool, &sealed, &payload, ARRIVAL).unwrap() {
            Ok(kept) => (Some(kept), false),
            Err(job) => (LongJob::Seal(job).run(self, ARRIVAL).unwrap(), true),
        }
    }

    fn last_identity(&self) -> Identity {
        let mut reader = self.spool.reader(Sequence(self.spool.next_sequence().0 - 1));
        reader.next_entry().unwrap().unwrap().header.identity
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

fn text(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// A row with a text of so many bytes, whose type is to be found out.
fn row(bytes: usize) -> Vec<u8> {
    let time = 5_i64.to_be_bytes();
    let head = [&[1, 0, 2, 0, 14], &time[..], &text("root.a.d"), &[0, 0, 0, 1, 0]].concat();
    let cell = [text("s"), vec![0xff], text(&"x".repeat(bytes))].concat();
    [head, cell, vec![1, 0], text("1"), vec![0; 4]].concat()
}

/// A tablet of the table model with a text of so many bytes, by its node (10) or as it is (11).
fn relational(bytes: usize) -> [Vec<u8>; 2] {
    let (time, value) = (9_i64.to_be_bytes(), text(&"x".repeat(bytes)));
    let node = [
        &[1, 0, 10, 7, 0xd0],
        text("t").as_slice(),
        &[0, 0, 0, 1, 0],
        &text("a"),
        &[5, 0, 0, 0, 1],
        &time,
        &[0],
        &value,
        &[0, 3],
        &text("1"),
        &[0; 4],
        &text("db"),
    ]
    .concat();
    let raw = [
        &[1, 0, 11],
        text("t").as_slice(),
        &[0, 0, 0, 1, 1, 0, 0, 0, 1, 1],
        &text("a"),
        &[5, 0, 0, 0, 0, 0, 0, 1, 1],
        &time,
        &[0, 1, 1, 1],
        &value,
        &[0],
        &text("db"),
    ]
    .concat();
    [node, raw]
}

fn plan(bytes: usize) -> Vec<u8> {
    [PLAN, &vec![7; bytes]].concat()
}

/// What is passed on as it is, each in these forms.
fn opaque() -> Vec<(Vec<u8>, &'static [Form])> {
    let short = relational(10).into_iter().chain([row(10), plan(10), plan((1 << 20) - 3)]);
    let long = relational(2 << 20).into_iter().chain([row(2 << 20), plan(2 << 20)]);
    let short = short.map(|request| (request, &FORMS[..]));
    short.chain(long.map(|request| (request, &[Form::File][..]))).collect()
}

fn with_trailer(request: &[u8], identity: Identity) -> Vec<u8> {
    [request, identity.plan_node_id().as_bytes()].concat()
}

fn peer(sequence: u64) -> Identity {
    Identity { origin: OriginId([7; 16]), sequence: Sequence(sequence) }
}

/// A request comes with a trailer and, of a stock peer, without one; then with these trailers again.
fn assert_told_by_trailer(mut node: Node, request: &[u8], first: Form, forms: &[Form]) {
    assert!(node.take(first, &with_trailer(request, peer(5))));
    assert!(node.last().1 == request, "stored with its trailer");
    assert_eq!(node.last_identity(), peer(5));
    assert!(node.take(first, request));
    let own = Identity { origin: node.spool.origin(), sequence: Sequence(2) };
    assert_eq!(node.last_identity(), own);
    let repetitions = || forms.iter().flat_map(|form| [peer(5), own].map(|one| (*form, one)));
    for (again, identity) in repetitions() {
        assert!(!node.take(again, &with_trailer(request, identity)), "{again:?}, {identity}");
    }
    let mut node = node.crashed();
    for (again, identity) in repetitions() {
        let taken = node.take(again, &with_trailer(request, identity));
        assert!(!taken, "{again:?}, {identity} after a crash");
    }
    assert!(node.take(first, &with_trailer(request, peer(6))), "another write");
    assert_eq!(node.spool.stats().reused_entries, 0);
}

#[test]
fn what_is_passed_on_as_it_is_is_told_by_its_trailer_and_stored_without_it() {
    for (seed, (request, forms)) in opaque().into_iter().enumerate() {
        for first in forms {
            assert_told_by_trailer(Node::new(40 + seed as u64), &request, *first, forms);
        }
    }
}

#[test]
fn other_requests_under_a_known_number_are_stored_and_told() {
    for (seed, first) in FORMS.into_iter().enumerate() {
        let mut node = Node::new(60 + seed as u64);
        assert!(node.take(first, &with_trailer(&plan(10), peer(5))));
        assert!(node.take(Form::Entry, &with_trailer(&plan(11), peer(5))), "{first:?}");
        assert!(node.take(Form::File, &with_trailer(&plan(12), peer(5))), "{first:?}");
        assert_eq!(node.spool.stats().reused_entries, 2);
        assert_eq!(node.spool.stats().reused, Some(peer(5)));
    }
}

#[test]
fn a_trailer_names_no_request_of_several_parts() {
    let mut node = Node::new(70);
    let [relational, _] = relational(10);
    let batch = [&[1, 0, 13], &[0; 7][..], &[2], &relational[3..], &relational[3..], &[0; 4]];
    assert!(node.take(Form::File, &with_trailer(&batch.concat(), peer(5))));
    assert_eq!(node.spool.next_sequence(), Sequence(3), "both parts are stored");
    assert_eq!(node.last_identity().origin, node.spool.origin());
}

#[test]
fn a_trailer_is_taken_off_where_there_is_no_room_for_a_second_file() {
    let mut node = Node::small(80);
    let request = plan(5 << 20);
    assert!(node.take(Form::File, &with_trailer(&request, peer(5))));
    assert!(node.last().1 == request, "stored with its trailer");
    assert_eq!(node.last_identity(), peer(5));
    assert_eq!(node.turns, 5, "others have their turn after each MiB");
}

#[test]
fn a_job_that_is_run_again_knows_what_the_trailer_said() {
    let mut node = Node::new(81);
    let (from, payload) = (node.link(), with_trailer(&plan(10), peer(5)));
    let file = FileKey { link: from.link, number: 1 };
    node.keeper.write(&mut node.spool, file, &payload).unwrap();
    let reader = long_job::open(&mut node, file).unwrap().unwrap().reader;
    let trimmed = trim::run(&mut node, file, &reader).unwrap();
    assert!(matches!(trimmed, Some(Kept::Silent)), "{trimmed:?}");
    let kept = LongJob::Request { from, file, next_part: 0 }.run(&mut node, ARRIVAL).unwrap();
    assert!(matches!(kept, Some(Kept::Durable(Outcome::Stored))), "{kept:?}");
    node.spool.sync().unwrap();
    assert_eq!((node.last().1, node.last_identity()), (plan(10), peer(5)));
    for again in FORMS {
        assert!(!node.take(again, &payload), "{again:?}");
    }
    assert_eq!(node.spool.stats().reused_entries, 0);
}

#[test]
fn a_row_for_which_there_is_never_room_is_told_before_it_is_written() {
    let mut node = Node::small(82);
    let from = node.link();
    let kept = node.by_file(from, &row(5 << 20));
    assert!(matches!(kept, Some(Kept::Done(Outcome::NeverFits { .. }))), "{kept:?}");
    assert_eq!((node.turns, node.keeper.open_files()), (0, 1));
}

#[test]
fn others_have_their_turns_while_the_long_index_of_a_file_is_looked_at() {
    let mut node = Node::new(90);
    let small = include_bytes!("../../tests/samples/v3_tiny.tsfile");
    let (kept, by_job) = node.seal("a.tsfile", small);
    assert!(matches!(kept, Some(Kept::Durable(Outcome::Stored))), "{kept:?}");
    assert_eq!((by_job, node.turns), (false, 0));
    let mut long = tail::with_long_block();
    let (kept, by_job) = node.seal("b.tsfile", &long);
    assert!(matches!(kept, Some(Kept::Durable(Outcome::Stored))), "{kept:?}");
    assert_eq!((by_job, node.turns), (true, 3), "one for each MiB that was not the last");
    assert_eq!((node.keeper.open_files(), node.spool.next_sequence()), (0, Sequence(3)));
    // The kind of the root, behind some MiB.
    let end = long.len() - 22;
    long[end] = 9;
    let (kept, by_job) = node.seal("c.tsfile", &long);
    let put_aside = Kept::Done(Outcome::Quarantined(Case::FlawedFile));
    assert!(matches!(kept, Some(kept) if format!("{kept:?}") == format!("{put_aside:?}")));
    assert_eq!((by_job, node.keeper.open_files()), (true, 0));
    let why = node.disk.contents(std::path::Path::new("quarantine/000001.why")).unwrap();
    let why = String::from_utf8(why).unwrap();
    assert!(why.contains("c.tsfile: index node type"), "{why}");
}

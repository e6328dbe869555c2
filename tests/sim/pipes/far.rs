//! The far sides: each takes what comes, answers at once, and knows what may come over each line.
//!
//! What comes has to be exactly what the naive model leaves of its entry; what comes twice under one identity the same,
//! to the byte; and what is new to a pipe comes in the order of the spool. No entry comes twice in different forms, but for
//! what `docs/pipes.md` lets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;

use penstock::data::{Identity, OriginId};
use penstock::wire::bytes::Reader;
use penstock::wire::frame::{Decoder, Event};
use penstock::wire::piece::PieceHead;
use penstock::wire::request::{Head, RequestType};
use penstock::wire::seal::Seal;

use super::goods::{Goods, Place, file_of, identity_of, points_of, tablet_of};
use super::model::Def;
use crate::line::{End, Line};
use crate::random::Random;
use crate::runs::FILES;

const FRAME_BYTES_MAX: u32 = 1 << 20;

/// Everything behind the gates.
#[derive(Default)]
pub(crate) struct Far {
    connections: Vec<Connection>,
    /// What came of each pipe, by entry.
    got: HashMap<u64, BTreeSet<u64>>,
    /// Bytes under each identity.
    seen: HashMap<Identity, Vec<u8>>,
    /// By task of a pipe: the last entry that was new to the pipe, and what may still come before it.
    runs: HashMap<u64, Run>,
    /// As what each entry first came, by definition of a pipe.
    came: HashMap<(u16, u64), Form>,
    /// By pipe: entries that were skipped or sent once more, and so may come in another form with all of their run.
    again: HashMap<u64, BTreeSet<u64>>,
    /// Pipes of which the log says that anything may come again.
    excused: BTreeSet<u64>,
}

/// As what something came: as an entry, or as the file of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    identity: Identity,
    first: u64,
    last: u64,
}

struct Connection {
    line: usize,
    sender: Sender,
    decoder: Decoder,
    payload: Vec<u8>,
    /// Files that have no seal yet.
    files: HashMap<String, Vec<u8>>,
}

/// Who sends over a line.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// The pipe, from its creation on.
    pub(crate) life: u64,
    /// Its task.
    pub(crate) run: u64,
    /// It was told to send something once more.
    pub(crate) replays: bool,
    pub(crate) def: Def,
    /// The first entry that is not its history.
    pub(crate) border: u64,
}

#[derive(Debug, Default)]
struct Run {
    last: u64,
    turned: bool,
}

impl Far {
    /// A connection stands.
    pub(crate) fn accept(&mut self, line: usize, sender: Sender) {
        self.connections.push(Connection {
            line,
            sender,
            decoder: Decoder::new(FRAME_BYTES_MAX),
            payload: Vec::new(),
            files: HashMap::new(),
        });
    }

    /// Whether something of this entry came from that pipe.
    pub(crate) fn has(&self, life: u64, sequence: u64) -> bool {
        self.got.get(&life).is_some_and(|got| got.contains(&sequence))
    }

    pub(crate) const fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Lets a connection do what it can. Returns whether anything happened.
    pub(crate) fn serve(
        &mut self,
        index: usize,
        lines: &mut [Line],
        random: &mut Random,
        entries: &Entries<'_>,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(index) else { return false };
        let line = &mut lines[connection.line];
        let bytes = line.pass(usize::MAX, random);
        if bytes.is_empty() {
            if line.receiver != End::Open {
                line.drop_receiver(random);
                self.connections.remove(index);
                return true;
            }
            return false;
        }
        let Some(payloads) = connection.take(&bytes) else {
            line.drop_receiver(random);
            self.connections.remove(index);
            return true;
        };
        let (mut whole, sender) = (Vec::new(), connection.sender.clone());
        for payload in payloads {
            whole.extend(connection.understand(&payload));
            line.answer(0);
        }
        for come in whole {
            self.accept_whole(come, &sender, entries);
        }
        true
    }

    /// These entries of a pipe may come in another form from now on.
    pub(crate) fn allow_again(&mut self, life: u64, entries: impl IntoIterator<Item = u64>) {
        self.again.entry(life).or_default().extend(entries);
    }

    /// All of a pipe may, since the log says so.
    pub(crate) fn excuse(&mut self, life: u64) {
        self.excused.insert(life);
    }

    fn accept_whole(&mut self, come: Come, sender: &Sender, entries: &Entries<'_>) {
        let Come { bytes, identity, content } = come;
        note(&mut self.seen, identity, &bytes);
        let (sequences, first, last) = match &content {
            Content::Entry(goods) => {
                check(goods, identity, sender, entries);
                (vec![identity.sequence.0], identity.sequence.0, identity.sequence.0)
            }
            Content::Run { points, first, last } => {
                let of_run = check_run(points, identity, (*first, *last), sender, entries);
                (of_run, *first, *last)
            }
        };
        for sequence in sequences {
            self.note_form(sequence, Form { identity, first, last }, sender);
            if self.got.entry(sender.life).or_default().insert(sequence) {
                self.runs.entry(sender.run).or_default().go_on(sequence, sender);
            }
        }
    }

    /// What came as an entry does not come in a file, nor the other way round, nor in two files.
    fn note_form(&mut self, sequence: u64, form: Form, sender: &Sender) {
        let before = *self.came.entry((sender.def.tag, sequence)).or_insert(form);
        let again = self.again.get(&sender.life);
        let may = |form: Form| {
            again.is_some_and(|again| again.range(form.first..=form.last).next().is_some())
        };
        let is_excused = may(before) || may(form) || self.excused.contains(&sender.life);
        // Which parts a sampler leaves is another matter.
        let is_excused = is_excused || sender.def.is_sampled();
        assert!(
            before.identity == form.identity || is_excused,
            "entry {sequence} of pipe {} came as {before:?}, and comes as {form:?}",
            sender.life
        );
    }
}

/// What the node has taken in.
pub(crate) struct Entries<'a> {
    pub(crate) goods: &'a HashMap<u64, Goods>,
    /// By sequence; also of what may not have become durable.
    pub(crate) known: &'a BTreeMap<u64, u64>,
    pub(crate) origin: OriginId,
}

impl Run {
    fn go_on(&mut self, sequence: u64, sender: &Sender) {
        if sequence < self.last {
            let may_turn = sender.replays && !self.turned;
            assert!(may_turn, "entry {sequence} came after {} of pipe {}", self.last, sender.life);
            self.turned = true;
        }
        self.last = sequence;
    }
}

/// What came is what the model leaves of the entry.
fn check(goods: &Goods, identity: Identity, sender: &Sender, entries: &Entries<'_>) {
    let sequence = identity.sequence.0;
    let number = entries.known.get(&sequence).copied();
    assert_eq!(number, Some(goods.number()), "entry {sequence} is not what was taken in");
    let whole = &entries.goods[&goods.number()];
    let wanted = sender.def.wants(whole, sequence, sender.border);
    let origin = identity.origin;
    let Some(wanted) = wanted else {
        panic!("entry {sequence} is not what {:?} asks for", sender.def)
    };
    if sender.def.is_sampled() {
        assert!(
            goods.is_part_of(&wanted),
            "entry {sequence}: more came than {:?} asks for",
            sender.def
        );
    } else {
        assert_eq!(
            *goods, wanted,
            "entry {sequence} came otherwise than {:?} asks for",
            sender.def
        );
    }
    if goods == whole {
        assert_eq!(origin, entries.origin, "entry {sequence} goes under its own identity");
    } else {
        assert!(origin.is_of_parts_of(entries.origin), "a part of entry {sequence} goes as one");
    }
}

/// What came in the file of a run is what the model leaves of its entries, the last one of each place. Returns those.
fn check_run(
    points: &BTreeMap<Place, i64>,
    identity: Identity,
    (first, last): (u64, u64),
    sender: &Sender,
    entries: &Entries<'_>,
) -> Vec<u64> {
    FILES.fetch_add(1, Ordering::Relaxed);
    assert!(sender.def.makes_runs(), "entries {first} to {last} come as a file: {:?}", sender.def);
    assert!((first..=last).contains(&identity.sequence.0), "{identity:?} of {first} to {last}");
    let is_of_parts = identity.origin.is_of_parts_of(entries.origin);
    assert!(is_of_parts, "entries {first} to {last} go under an identity of no parts");
    let is_across = (first + 1..=last).contains(&sender.border);
    assert!(!is_across, "entries {first} to {last} lie across {}", sender.border);
    let (mut wanted, mut sequences) = (BTreeMap::new(), Vec::new());
    for sequence in first..=last {
        // A number may be lost with what it was given to.
        let Some(number) = entries.known.get(&sequence) else { continue };
        let goods = &entries.goods[number];
        assert!(matches!(goods, Goods::Tablet(_)), "entry {sequence} is a file in a run");
        if let Some(left) = sender.def.wants(goods, sequence, sender.border) {
            wanted.extend(left.points());
            sequences.push(sequence);
        }
    }
    assert_eq!(*points, wanted, "entries {first} to {last}, as {:?} asks for", sender.def);
    sequences
}

/// The same identity means the same bytes, but for what a sampler leaves.
fn note(seen: &mut HashMap<Identity, Vec<u8>>, identity: Identity, bytes: &[u8]) {
    if identity.origin.is_of_samples() {
        return;
    }
    let before = seen.entry(identity).or_insert_with(|| bytes.to_vec());
    assert!(*before == bytes, "{identity:?} came with other bytes before");
}

/// What has come whole.
struct Come {
    bytes: Vec<u8>,
    identity: Identity,
    content: Content,
}

enum Content {
    Entry(Goods),
    /// Points of the tablets from one entry to another.
    Run {
        points: BTreeMap<Place, i64>,
        first: u64,
        last: u64,
    },
}

impl Connection {
    /// The frames that are whole now; none if they are no frames.
    fn take(&mut self, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mut rest, mut whole) = (bytes, Vec::new());
        loop {
            let (taken, event) = self.decoder.push(rest);
            match event.ok()? {
                Event::Begin { .. } => self.payload.clear(),
                Event::Payload(range) => self.payload.extend_from_slice(&rest[range]),
                Event::End => whole.push(std::mem::take(&mut self.payload)),
                Event::More => return Some(whole),
            }
            rest = &rest[taken..];
        }
    }

    /// What a request completes.
    fn understand(&mut self, payload: &[u8]) -> Option<Come> {
        let mut reader = Reader::new(payload);
        let request = Head::read(&mut reader).and_then(Head::known).expect("a known request");
        #[expect(clippy::wildcard_enum_match_arm, reason = "any other type is a fault")]
        match request {
            RequestType::HandshakeDataNodeV1 | RequestType::HandshakeDataNodeV2 => None,
            RequestType::TabletInsertNode => {
                let (goods, identity) = tablet_of(payload);
                let (bytes, content) = (payload.to_vec(), Content::Entry(goods));
                Some(Come { bytes, identity, content })
            }
            RequestType::TsFilePiece | RequestType::TsFilePieceWithMod => {
                let head = PieceHead::parse(payload).expect("a piece").expect("all of its head");
                let file = self.files.entry(head.name.to_owned()).or_default();
                let start = usize::try_from(head.start).expect("a small file");
                assert!(start <= file.len(), "a piece beyond the end");
                file.truncate(start);
                file.extend_from_slice(&payload[head.head_bytes..]);
                None
            }
            RequestType::TsFileSeal | RequestType::TsFileSealWithMod => {
                let seal = Seal::read(request, &mut reader).expect("a seal");
                let sealed = seal.ts_file().expect("a file");
                let name = sealed.name.expect("a name");
                let bytes = self.files.remove(name).expect("a file with pieces");
                assert_eq!(bytes.len() as u64, sealed.bytes, "the file is whole");
                let identity = identity_of(name, '-');
                let content = match run_of(name) {
                    Some((first, last)) => Content::Run { points: points_of(&bytes), first, last },
                    None => Content::Entry(file_of(&bytes)),
                };
                Some(Come { bytes, identity, content })
            }
            other => panic!("a request of type {other:?} from {:?}", self.sender),
        }
    }
}

/// First and last entry of the run whose file has this name behind its identity; none if it is no run's.
fn run_of(name: &str) -> Option<(u64, u64)> {
    let mut words = name.split('-').skip(3);
    let (first, last) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    assert_eq!(words.next(), Some("0.tsfile"), "all tablets of a run are in one file");
    Some((first, last))
}

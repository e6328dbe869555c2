//! What the outer node has said to be durable, and what may never be untrue of it.

use std::collections::{BTreeMap, HashMap};

use penstock::data::{Identity, OriginId, ReadAt};
use penstock::spool::{Entry, FileList, Kind, Reader, SimDisk};

use crate::long::Long;
use crate::runs::{check_file, is_run, units_in};
use crate::units::{Content, Unit, as_entry, number_in, number_of, without_tail};

/// An entry of the outer spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) identity: Identity,
    /// One, or those in the file of a run of tablets.
    pub(crate) units: Vec<u64>,
    content: Content,
    pub(crate) is_run: bool,
}

/// All entries that were durable once.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) entries: BTreeMap<u64, Seen>,
    pub(crate) by_unit: HashMap<u64, u64>,
    latest: HashMap<OriginId, u64>,
    /// Fresh entries may overtake others.
    pub(crate) overtakes: bool,
    /// The log of a sender says that values may come a second time.
    pub(crate) is_excused: bool,
    /// Rows that are durable of each long request.
    rows: HashMap<u64, usize>,
    /// By lane of a stock peer; those of the inner node are numbered by it.
    latest_of_lane: HashMap<u64, u64>,
}

/// Units of one sender are numbered from a multiple of this.
pub(crate) const LANE_UNITS: u64 = 1000;

impl Record {
    /// Reads on, and checks each entry against what is known and what is allowed.
    pub(crate) fn read_on(&mut self, reader: &mut Reader<SimDisk>, units: &HashMap<u64, Unit>) {
        while let Some(entry) = reader.next_entry().expect("the outer spool is read") {
            let seen = look(reader, &entry);
            let local = entry.header.sequence.0;
            match self.entries.get(&local) {
                Some(known) => assert_eq!(known, &seen, "entry {local} has changed"),
                None => self.add(local, seen, units),
            }
        }
        assert_eq!(reader.corrupt_entries(), 0, "an entry is flawed");
    }

    /// The node was opened again: nothing that was durable may be missing.
    pub(crate) fn check_again(&mut self, reader: &mut Reader<SimDisk>, units: &HashMap<u64, Unit>) {
        let oldest = reader.oldest();
        let end = reader.synced();
        reader.seek(oldest);
        let mut found = Vec::new();
        while let Some(entry) = reader.next_entry().expect("the outer spool is read") {
            found.push(entry.header.sequence.0);
        }
        for local in self.entries.range(oldest.0..).map(|(local, _)| local) {
            assert!(
                *local < end.0 && found.contains(local),
                "entry {local} was durable, and is gone"
            );
        }
        reader.seek(oldest);
        self.read_on(reader, units);
    }

    fn add(&mut self, local: u64, seen: Seen, units: &HashMap<u64, Unit>) {
        let Identity { origin, sequence } = seen.identity;
        if let (true, Content::File { bytes, .. }) = (seen.is_run, &seen.content) {
            check_file(bytes, |number| units[&number].clone());
        }
        for number in &seen.units {
            self.add_unit(*number, local, &seen, units);
        }
        let before = self.latest.insert(origin, sequence.0).unwrap_or(0);
        assert!(
            self.overtakes || before < sequence.0,
            "{sequence} of {origin} came after {before}"
        );
        self.entries.insert(local, seen);
    }

    fn add_unit(&mut self, number: u64, local: u64, seen: &Seen, units: &HashMap<u64, Unit>) {
        let unit = units.get(&number).expect("a unit that nobody has sent");
        let (same, is_whole) = match (&unit.content, &seen.content) {
            (Content::Tablet(_), Content::File { .. }) if seen.is_run => (true, true),
            (Content::Tablet(sent), Content::Tablet(got)) => {
                (*got == as_entry(without_tail(sent), seen.identity), true)
            }
            (Content::Long(long), Content::Tablet(got)) => self.take_part(number, long, seen, got),
            (sent, got) => (sent == got, true),
        };
        assert!(same, "unit {number} is not what was sent");
        let is_twice = self.by_unit.contains_key(&number);
        assert!(
            !is_twice || self.is_excused,
            "unit {number} was taken twice, now as entry {local}"
        );
        if is_twice {
            return;
        }
        if is_whole {
            self.by_unit.insert(number, local);
        }
        let lane = number / LANE_UNITS;
        if lane > 0 {
            let before = self.latest_of_lane.insert(lane, number);
            let is_part = matches!(unit.content, Content::Long(_)) && before == Some(number);
            assert!(is_part || before < Some(number), "unit {number} came after {before:?}");
        }
    }

    /// The entry with this identity.
    pub(crate) fn find(&self, identity: Identity) -> Option<&Seen> {
        self.entries.values().find(|seen| seen.identity == identity)
    }

    /// Whether everything of another node's entry is here, which that node has sent under this identity.
    pub(crate) fn has_all_of(&self, sent: &Seen, identity: Identity) -> bool {
        sent.units.iter().all(|unit| {
            let seen = self.by_unit.get(unit).and_then(|local| self.entries.get(local));
            seen.is_some_and(|seen| {
                let of_run = seen.is_run || sent.is_run;
                let is_kin = seen.identity.origin.family() == identity.origin.family();
                seen.identity == identity || of_run && is_kin
            })
        })
    }

    /// The next rows of a long request. Returns whether they are what was sent, and whether they are the last ones.
    fn take_part(&mut self, unit: u64, long: &Long, seen: &Seen, got: &[u8]) -> (bool, bool) {
        let taken = self.rows.entry(unit).or_default();
        let rows = *taken..*taken + long.rows_of(got);
        if rows.is_empty() || rows.end > long.rows() {
            return (false, false);
        }
        *taken = rows.end;
        let is_whole = rows.end == long.rows();
        (*got == *as_entry(&long.part(rows), seen.identity), is_whole)
    }
}

/// The content of an entry.
pub(crate) fn look(reader: &Reader<SimDisk>, entry: &Entry) -> Seen {
    let mut payload = vec![0; entry.header.payload_bytes as usize];
    reader.read_payload(entry, 0, &mut payload).expect("a payload is read");
    let identity = entry.header.identity;
    if entry.header.kind != Kind::File {
        let units = vec![number_in(&payload).expect("a request of ours")];
        let is_tablet = entry.header.kind == Kind::Tablet;
        let content = if is_tablet { Content::Tablet(payload) } else { Content::Opaque(payload) };
        return Seen { identity, units, content, is_run: false };
    }
    let list = FileList::parse(&payload).expect("a list of files");
    let mut files = Vec::new();
    for (index, file) in list.files().enumerate() {
        let content = reader.open_file(entry, &list, index).expect("a file is opened");
        let mut bytes = vec![0; file.bytes as usize];
        let count = content.read_at(0, &mut bytes).expect("a file is read");
        assert_eq!(count, bytes.len());
        assert_eq!(*blake3::hash(&bytes).as_bytes(), file.hash, "a file has changed");
        files.push(bytes);
    }
    let bytes = files.pop().expect("a file");
    let name = list.files().last().and_then(|file| file.name).unwrap_or_default();
    let is_run = is_run(name);
    let units =
        if is_run { units_in(&bytes) } else { vec![number_of(name).expect("a file of ours")] };
    Seen { identity, units, content: Content::File { mods: files.pop(), bytes }, is_run }
}

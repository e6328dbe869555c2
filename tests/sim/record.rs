//! What the outer node has said to be durable, and what may never be untrue of it.

use std::collections::{BTreeMap, HashMap};

use penstock::data::{Identity, OriginId, ReadAt};
use penstock::spool::{Entry, FileList, Kind, Reader, SimDisk};

use crate::long::Long;
use crate::units::{Content, Unit, as_entry, number_in, number_of, without_tail};

/// An entry of the outer spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) identity: Identity,
    pub(crate) unit: u64,
    content: Content,
}

/// All entries that were durable once.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) entries: BTreeMap<u64, Seen>,
    pub(crate) by_unit: HashMap<u64, u64>,
    latest: HashMap<OriginId, u64>,
    /// Fresh entries may overtake others.
    pub(crate) overtakes: bool,
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
        let unit = units.get(&seen.unit).expect("a unit that nobody has sent");
        let (same, is_whole) = match (&unit.content, &seen.content) {
            (Content::Tablet(sent), Content::Tablet(got)) => {
                (*got == as_entry(without_tail(sent), seen.identity), true)
            }
            (Content::Long(long), Content::Tablet(got)) => self.take_part(long, &seen, got),
            (sent, got) => (sent == got, true),
        };
        assert!(same, "unit {} is not what was sent", seen.unit);
        assert!(
            !self.by_unit.contains_key(&seen.unit),
            "unit {} was taken twice, now as entry {local}",
            seen.unit
        );
        if is_whole {
            self.by_unit.insert(seen.unit, local);
        }
        let before = self.latest.insert(origin, sequence.0).unwrap_or(0);
        assert!(
            self.overtakes || before < sequence.0,
            "{sequence} of {origin} came after {before}"
        );
        let lane = seen.unit / LANE_UNITS;
        if lane > 0 {
            let before = self.latest_of_lane.insert(lane, seen.unit);
            let is_part = matches!(unit.content, Content::Long(_)) && before == Some(seen.unit);
            assert!(
                is_part || before < Some(seen.unit),
                "unit {} came after {before:?}",
                seen.unit
            );
        }
        self.entries.insert(local, seen);
    }

    /// The next rows of a long request. Returns whether they are what was sent, and whether they are the last ones.
    fn take_part(&mut self, long: &Long, seen: &Seen, got: &[u8]) -> (bool, bool) {
        let taken = self.rows.entry(seen.unit).or_default();
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
        let unit = number_in(&payload).expect("a request of ours");
        let is_tablet = entry.header.kind == Kind::Tablet;
        let content = if is_tablet { Content::Tablet(payload) } else { Content::Opaque(payload) };
        return Seen { identity, unit, content };
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
    let unit = number_of(name).expect("a file of ours");
    Seen { identity, unit, content: Content::File { mods: files.pop(), bytes } }
}

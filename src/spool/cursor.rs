//! Consumers and how far they have come.
//!
//! A cursor file holds, in two slots: `version u8, name length u8, name, position u64, count u16, count x (u64, u64)`.

use std::path::{Path, PathBuf};

use crate::data::Sequence;
use crate::limits::{CONSUMER_NAME_BYTES_MAX, CONSUMERS_MAX, CURSOR_RANGES_MAX};
use crate::spool::fields::Take;
use crate::spool::slots::{BODY_BYTES_MAX, Slots};
use crate::spool::{Disk, DiskFile, Fatal, Misuse, OpenMode};

/// Directory of the cursors.
pub(super) const DIR: &str = "spool/cursors";
const TEMPORARY: &str = "spool/cursors/cursor.new";
const VERSION: u8 = 1;

/// A consumer of this run of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerId(pub(super) u32);

/// Where a new consumer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest entry that is there.
    Oldest,
    /// At the next entry that comes.
    Next,
    /// At this sequence.
    At(Sequence),
}

/// How far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Everything below is finished.
    pub position: Sequence,
    /// Finished ranges beyond the position, both ends included, ascending, with gaps between them.
    pub finished: heapless::Vec<(Sequence, Sequence), CURSOR_RANGES_MAX>,
}

impl Cursor {
    /// A cursor at this position, with nothing finished beyond it.
    pub const fn at(position: Sequence) -> Self {
        Self { position, finished: heapless::Vec::new() }
    }

    /// Whether the entry is finished.
    pub fn is_finished(&self, sequence: Sequence) -> bool {
        sequence < self.position
            || self.finished.iter().any(|(first, last)| (*first..=*last).contains(&sequence))
    }

    /// Where what is finished ends, if this entry is.
    pub fn finished_until(&self, sequence: Sequence) -> Option<Sequence> {
        if sequence < self.position {
            return Some(self.position);
        }
        let is_in = |(first, last): &&(Sequence, Sequence)| (*first..=*last).contains(&sequence);
        self.finished.iter().find(is_in).map(|(_, last)| last.next())
    }

    /// Marks one entry as finished; see [`Cursor::finish_all`].
    #[must_use]
    pub fn finish(&mut self, sequence: Sequence) -> bool {
        self.finish_all(sequence, sequence)
    }

    /// Marks entries as finished, both ends included; the position moves on over everything that is finished then. Returns
    /// false, and changes nothing, if that needs a range more than there is room for: finish an earlier one first.
    #[must_use]
    pub fn finish_all(&mut self, first: Sequence, last: Sequence) -> bool {
        let (mut first, mut last) = (first, last);
        let (mut others, mut before) = (heapless::Vec::new(), 0);
        for (from, to) in self.finished.iter().copied() {
            if to.next() >= first && from <= last.next() {
                (first, last) = (first.min(from), last.max(to));
                continue;
            }
            before += usize::from(to < first);
            if others.push((from, to)).is_err() {
                return false;
            }
        }
        if first > self.position {
            if others.insert(before, (first, last)).is_err() {
                return false;
            }
            self.finished = others;
        } else if last >= self.position {
            (self.position, self.finished) = (last.next(), others);
            self.settle();
        }
        true
    }

    /// Moves the position over ranges that it has reached.
    fn settle(&mut self) {
        while let Some((first, last)) = self.finished.first().copied() {
            if first > self.position {
                break;
            }
            self.position = self.position.max(last.next());
            self.finished.remove(0);
        }
    }

    /// Moves the position up to `to` if it is below: what lay between is finished, or gone. Returns whether it was below.
    pub fn raise(&mut self, to: Sequence) -> bool {
        let raised = self.position < to;
        if raised {
            self.position = to;
            self.settle();
        }
        raised
    }

    fn encode(&self, name: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(BODY_BYTES_MAX);
        body.extend([VERSION, u8::try_from(name.len()).unwrap_or_default()]);
        body.extend(name.bytes());
        body.extend(self.position.0.to_le_bytes());
        body.extend(u16::try_from(self.finished.len()).unwrap_or_default().to_le_bytes());
        for (first, last) in &self.finished {
            body.extend(first.0.to_le_bytes());
            body.extend(last.0.to_le_bytes());
        }
        body
    }

    fn decode(body: &[u8]) -> Option<(String, Self)> {
        let mut take = Take::new(body);
        if take.u8()? != VERSION {
            return None;
        }
        let bytes = usize::from(take.u8()?);
        let name = std::str::from_utf8(take.bytes(bytes)?).ok()?.to_owned();
        let mut cursor = Self::at(Sequence(take.u64()?));
        for _ in 0..take.u16()? {
            cursor.finished.push((Sequence(take.u64()?), Sequence(take.u64()?))).ok()?;
        }
        Some((name, cursor))
    }
}

/// All consumers.
#[derive(Debug)]
pub(super) struct Consumers<F> {
    table: Vec<Consumer<F>>,
    next: u32,
    /// Consumers whose cursor could not be read when the spool was opened.
    pub(super) lost: u32,
}

#[derive(Debug)]
struct Consumer<F> {
    id: ConsumerId,
    name: String,
    path: PathBuf,
    cursor: Cursor,
    /// `None` in a spool that is only looked at.
    slots: Option<Slots<F>>,
    dirty: bool,
}

impl<F: DiskFile> Consumers<F> {
    /// No consumers.
    pub(super) const fn none() -> Self {
        Self { table: Vec::new(), next: 0, lost: 0 }
    }

    /// Reads all cursors. One that cannot be read starts at the oldest entry.
    pub(super) fn open<D: Disk<File = F>>(disk: &D, mode: OpenMode) -> Result<Self, Fatal> {
        let dir = Path::new(DIR);
        let mut names = Vec::new();
        let listed = disk.list(dir, &mut |name| {
            if names.len() < CONSUMERS_MAX && dir.join(name) != Path::new(TEMPORARY) {
                names.push(name.to_owned());
            }
        });
        listed.map_err(Fatal::at("list", dir))?;
        names.sort_unstable();
        let mut consumers = Self::none();
        let mut body = Vec::new();
        for file in names {
            let path = dir.join(&file);
            let slots =
                Slots::open(disk, &path, mode, &mut body).map_err(Fatal::at("read", &path))?;
            let found = Cursor::decode(&body);
            consumers.lost += u32::from(found.is_none());
            let (name, cursor) = found.unwrap_or_else(|| (unescape(&file), Cursor::default()));
            let slots = (mode == OpenMode::Write).then_some(slots);
            consumers.insert(name, path, cursor, slots);
        }
        Ok(consumers)
    }

    /// Makes a consumer, durable on return.
    pub(super) fn create<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        name: &str,
        start: Sequence,
    ) -> Result<ConsumerId, Fatal> {
        let path = Path::new(DIR).join(escape(name));
        let cursor = Cursor::at(start);
        let slots = Slots::create(disk, &path, Path::new(TEMPORARY), &cursor.encode(name))
            .map_err(Fatal::at("write", &path))?;
        Ok(self.insert(name.to_owned(), path, cursor, Some(slots)))
    }

    /// Whether one more consumer of that name can be made.
    pub(super) fn check(&self, name: &str) -> Result<(), Misuse> {
        if name.is_empty() || name.len() > CONSUMER_NAME_BYTES_MAX {
            return Err(Misuse::Name(name.to_owned()));
        }
        if self.table.len() >= CONSUMERS_MAX {
            return Err(Misuse::TooMany { what: "consumers", max: CONSUMERS_MAX });
        }
        Ok(())
    }

    fn insert(
        &mut self,
        name: String,
        path: PathBuf,
        cursor: Cursor,
        slots: Option<Slots<F>>,
    ) -> ConsumerId {
        let id = ConsumerId(self.next);
        self.next += 1;
        self.table.push(Consumer { id, name, path, cursor, slots, dirty: false });
        id
    }

    pub(super) fn remove<D: Disk>(&mut self, disk: &D, id: ConsumerId) -> Result<bool, Fatal> {
        let Some(index) = self.table.iter().position(|consumer| consumer.id == id) else {
            return Ok(false);
        };
        let consumer = self.table.swap_remove(index);
        disk.remove(&consumer.path).map_err(Fatal::at("remove", &consumer.path))?;
        disk.sync_dir(Path::new(DIR)).map_err(Fatal::at("sync", Path::new(DIR)))?;
        Ok(true)
    }

    pub(super) fn find(&self, name: &str) -> Option<ConsumerId> {
        self.table.iter().find(|consumer| consumer.name == name).map(|consumer| consumer.id)
    }

    pub(super) fn cursor(&self, id: ConsumerId) -> Option<&Cursor> {
        self.table.iter().find(|consumer| consumer.id == id).map(|consumer| &consumer.cursor)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConsumerId, &str, &Cursor)> {
        self.table.iter().map(|consumer| (consumer.id, consumer.name.as_str(), &consumer.cursor))
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.table.iter().any(|consumer| consumer.dirty)
    }

    /// The position below which every consumer has finished; `None` without consumers.
    pub(super) fn floor(&self) -> Option<Sequence> {
        self.table.iter().map(|consumer| consumer.cursor.position).min()
    }

    /// The furthest position: proof of what had been durable.
    pub(super) fn furthest(&self) -> Sequence {
        self.table.iter().map(|consumer| consumer.cursor.position).max().unwrap_or_default()
    }

    pub(super) fn advance(
        &mut self,
        id: ConsumerId,
        cursor: &Cursor,
        synced: Sequence,
    ) -> Result<(), Misuse> {
        let consumer = self
            .table
            .iter_mut()
            .find(|consumer| consumer.id == id)
            .ok_or(Misuse::UnknownConsumer)?;
        let end = cursor.finished.last().map_or(cursor.position, |(_, last)| last.next());
        if cursor.position < consumer.cursor.position || end.max(cursor.position) > synced {
            return Err(Misuse::Position(cursor.position));
        }
        if consumer.cursor != *cursor {
            consumer.cursor.clone_from(cursor);
            consumer.dirty = true;
        }
        Ok(())
    }

    /// Moves those that are behind up to the oldest entry that is left.
    pub(super) fn raise(&mut self, first: Sequence) {
        for consumer in &mut self.table {
            consumer.dirty |= consumer.cursor.raise(first);
        }
    }

    /// Makes changed cursors durable.
    pub(super) fn sync(&mut self) -> Result<(), Fatal> {
        for consumer in self.table.iter_mut().filter(|consumer| consumer.dirty) {
            if let Some(slots) = &mut consumer.slots {
                slots
                    .store(&consumer.cursor.encode(&consumer.name))
                    .map_err(Fatal::at("write", &consumer.path))?;
            }
            consumer.dirty = false;
        }
        Ok(())
    }
}

/// A file name for any name: what is not a letter, digit, hyphen or underscore becomes `%` and two hex digits.
pub fn escape(name: &str) -> String {
    let mut file = String::with_capacity(3 * name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            file.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
            file.extend(['%', digit(byte >> 4), digit(byte & 0x0f)]);
        }
    }
    file
}

/// The name that [`escape`] made a file name of.
pub fn unescape(file: &str) -> String {
    let mut name = Vec::new();
    let mut rest = file.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        name.push(match byte {
            b'%' => {
                let value = digit().unwrap_or_default() * 16 + digit().unwrap_or_default();
                u8::try_from(value).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&name).into_owned()
}

const _: () = assert!(
    2 + CONSUMER_NAME_BYTES_MAX + 8 + 2 + CURSOR_RANGES_MAX * 16 <= BODY_BYTES_MAX,
    "a cursor fits into its slot"
);
const _: () = assert!(CONSUMER_NAME_BYTES_MAX * 3 + ".new".len() <= 255);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_of_any_letters_become_file_names_and_back() {
        for name in ["plant_7", "a/b", "..", "\u{6cb3}", "%41"] {
            let file = escape(name);
            assert!(!file.contains(['/', '.']), "{file}");
            assert_eq!(unescape(&file), name);
        }
    }

    #[test]
    fn a_cursor_reads_back_as_written() {
        let mut cursor = Cursor::at(Sequence(5));
        for index in 0..CURSOR_RANGES_MAX as u64 {
            assert!(cursor.finish(Sequence(7 + 2 * index)));
        }
        assert!(!cursor.finish(Sequence(1000)), "there is no room for one more range");
        let body = cursor.encode("x");
        assert_eq!(Cursor::decode(&body), Some(("x".to_owned(), cursor)));
    }

    proptest! {
        #[test]
        fn finishing_in_any_order_is_a_set(
            order in prop::collection::vec((1_u64..40, 0_u64..6), 0..40),
        ) {
            let mut cursor = Cursor::at(Sequence(1));
            let mut model = BTreeSet::new();
            for (first, more) in order {
                let last = first + more;
                prop_assert!(cursor.finish_all(Sequence(first), Sequence(last)));
                model.extend(first..=last);
                for probe in 1..48 {
                    prop_assert_eq!(cursor.is_finished(Sequence(probe)), model.contains(&probe));
                    let end = (probe..100).find(|next| !model.contains(next)).unwrap();
                    let until = cursor.finished_until(Sequence(probe));
                    prop_assert_eq!(until, (end > probe).then_some(Sequence(end)));
                }
                let position = (1..100).find(|next| !model.contains(next)).unwrap();
                prop_assert_eq!(cursor.position, Sequence(position));
                let ranges = cursor.finished.as_slice();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1.next() < pair[1].0));
            }
        }
    }
}

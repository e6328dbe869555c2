//! Sorting more records than fit into memory.
//!
//! ```text
//!  push --> records in memory --full--> sorted lot in the scratch --+
//!                  `--- the rest, sorted: if few, in memory --------+--> merge --> records in order
//!
//!  lot:  of each record  u16 bytes | until there are as many: u8 bytes as in the record before, u8 others | these
//! ```

use std::io;

use super::TwinError;
use super::files::Scratch;
use crate::data::ReadAt;
use crate::limits::{KIB, TWIN_LOTS_MAX, TWIN_SORT_BYTES, TWIN_SORTED_BYTES, TWIN_WINDOWS_BYTES};
use crate::spool::Disk;
use crate::tsfile::write::Scratch as _;

/// Bytes of a lot that are read at one time, at most.
const WINDOW_BYTES_MAX: usize = 4 * KIB;
/// The memory of records grows by this.
const GROWTH_BYTES: usize = 16 * KIB;
/// Memory of a record beside its bytes.
const PLACE_BYTES: usize = 8;

/// Sorts records by their bytes.
#[derive(Debug)]
pub(super) struct Sorter<D: Disk> {
    scratch: Scratch<D>,
    /// Where lots lie in the scratch.
    lots: Vec<(u64, u64)>,
    bytes: Vec<u8>,
    /// Where each record lies in `bytes`.
    places: Vec<(u32, u32)>,
}

impl<D: Disk> Sorter<D> {
    pub(super) const fn new(scratch: Scratch<D>) -> Self {
        Self { scratch, lots: Vec::new(), bytes: Vec::new(), places: Vec::new() }
    }

    pub(super) const fn scratch(&self) -> &Scratch<D> {
        &self.scratch
    }

    /// Drops all records, and the file.
    pub(super) fn remove(&mut self) -> Result<(), TwinError> {
        (self.lots, self.bytes, self.places) = (Vec::new(), Vec::new(), Vec::new());
        self.scratch.remove()
    }

    /// Takes a record of at most 64 KiB; `false` if there is no room for it.
    pub(super) fn push(&mut self, record: &[u8]) -> io::Result<bool> {
        let more = record.len() + PLACE_BYTES;
        if self.held_bytes() + more > TWIN_SORT_BYTES {
            // The last one is for what is left at the end.
            if self.lots.len() + 1 >= TWIN_LOTS_MAX {
                return Ok(false);
            }
            self.put_lot()?;
        }
        if self.bytes.len() + record.len() > self.bytes.capacity() {
            self.bytes.reserve_exact(record.len().max(GROWTH_BYTES));
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        let place =
            u32::try_from(start).and_then(|start| Ok((start, u32::try_from(record.len())?)));
        self.places.push(place.unwrap_or_default());
        Ok(true)
    }

    fn held_bytes(&self) -> usize {
        self.bytes.len() + PLACE_BYTES * self.places.len()
    }

    /// Ends the pushing, and gives memory back unless the records are few.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if self.lots.is_empty() && self.held_bytes() <= TWIN_SORTED_BYTES {
            self.sort();
            return Ok(());
        }
        self.put_lot()?;
        (self.bytes, self.places) = (Vec::new(), Vec::new());
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.places.sort_unstable_by(|a, b| record_at(bytes, *a).cmp(record_at(bytes, *b)));
    }

    /// Drops all records, and keeps the file for others.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.lots.clear();
        self.bytes.clear();
        self.places.clear();
        self.scratch.clear()
    }

    fn put_lot(&mut self) -> io::Result<()> {
        self.sort();
        let start = self.scratch.len();
        let (mut before, mut difference): (&[u8], _) = (&[], Vec::new());
        for place in &self.places {
            let record = record_at(&self.bytes, *place);
            put_difference(before, record, &mut difference);
            self.scratch.append(&difference)?;
            before = record;
        }
        self.lots.push((start, self.scratch.len()));
        self.bytes.clear();
        self.places.clear();
        Ok(())
    }
}

fn record_at(bytes: &[u8], (start, length): (u32, u32)) -> &[u8] {
    let start = start as usize;
    bytes.get(start..start + length as usize).unwrap_or_default()
}

/// Puts what a record has that the one before has not into the emptied list. Numbers and names that count up differ in
/// a few places only.
fn put_difference(before: &[u8], record: &[u8], out: &mut Vec<u8>) {
    const LENGTH_MAX: usize = 0xff;
    const EQUAL_MIN: usize = 3;
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
    out.clear();
    out.extend(u16::try_from(record.len()).unwrap_or(u16::MAX).to_be_bytes());
    let mut at = 0;
    while at < record.len() {
        let (rest, old) = rests(record, before, at);
        let pairs = rest.iter().zip(old).take(LENGTH_MAX);
        let equal = pairs.take_while(|(new, old)| new == old).count();
        at += equal;
        let (rest, old) = rests(record, before, at);
        let mut runs = rest.windows(EQUAL_MIN).zip(old.windows(EQUAL_MIN));
        let other = runs.position(|(new, old)| new == old).unwrap_or(rest.len()).min(LENGTH_MAX);
        out.extend([length(equal), length(other)]);
        out.extend_from_slice(rest.get(..other).unwrap_or_default());
        at += other;
    }
}

/// What is left of two records from a place on.
fn rests<'a>(record: &'a [u8], before: &'a [u8], at: usize) -> (&'a [u8], &'a [u8]) {
    (record.get(at..).unwrap_or_default(), before.get(at..).unwrap_or_default())
}

/// Shows the records of a sorter in order, once.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// One for each lot, and one for memory; ended ones are taken out. A heap by the records.
    lots: Vec<Lot>,
    is_begun: bool,
}

/// A lot that is being read.
#[derive(Debug)]
struct Lot {
    record: Vec<u8>,
    from: From,
}

#[derive(Debug)]
enum From {
    /// The index of the next one.
    Memory(usize),
    Scratch {
        at: u64,
        end: u64,
        window: Vec<u8>,
        used: usize,
    },
}

impl Merge {
    /// The smallest record that was not taken; `None` at the end.
    pub(super) fn peek<D: Disk>(&mut self, sorter: &Sorter<D>) -> io::Result<Option<&[u8]>> {
        if !self.is_begun {
            self.begin(sorter)?;
        }
        Ok(self.lots.first().map(|lot| lot.record.as_slice()))
    }

    /// Takes the record that [`Self::peek`] shows.
    pub(super) fn take<D: Disk>(&mut self, sorter: &Sorter<D>) -> io::Result<()> {
        let Some(lot) = self.lots.first_mut() else { return Ok(()) };
        if !lot.advance(sorter)? {
            self.lots.swap_remove(0);
        }
        self.sift(0);
        Ok(())
    }

    fn begin<D: Disk>(&mut self, sorter: &Sorter<D>) -> io::Result<()> {
        let scratch = sorter.lots.iter().map(|(at, end)| From::Scratch {
            at: *at,
            end: *end,
            window: Vec::new(),
            used: 0,
        });
        let mut lots = Vec::with_capacity(sorter.lots.len() + 1);
        for from in scratch.chain(std::iter::once(From::Memory(0))) {
            let mut lot = Lot { record: Vec::new(), from };
            if lot.advance(sorter)? {
                lots.push(lot);
            }
        }
        lots.sort_unstable_by(|a, b| a.record.cmp(&b.record));
        (self.lots, self.is_begun) = (lots, true);
        Ok(())
    }

    /// Lets a record sink to its place.
    fn sift(&mut self, mut at: usize) {
        loop {
            let record = |at: usize| self.lots.get(at).map(|lot| &lot.record);
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(smaller) = record(left) else { return };
            let child =
                if record(right).is_some_and(|other| other < smaller) { right } else { left };
            if record(child) >= record(at) {
                return;
            }
            self.lots.swap(at, child);
            at = child;
        }
    }
}

impl Lot {
    /// Goes to the next record; `false` at the end.
    fn advance<D: Disk>(&mut self, sorter: &Sorter<D>) -> io::Result<bool> {
        match &mut self.from {
            From::Memory(next) => {
                let Some(place) = sorter.places.get(*next) else { return Ok(false) };
                *next += 1;
                self.record.clear();
                self.record.extend_from_slice(record_at(&sorter.bytes, *place));
                Ok(true)
            }
            From::Scratch { at, end, window, used } => {
                if *at >= *end && *used >= window.len() {
                    return Ok(false);
                }
                let most = TWIN_WINDOWS_BYTES / (sorter.lots.len() + 1);
                let mut from =
                    Window { scratch: &sorter.scratch, at, end: *end, bytes: window, used, most };
                let mut bytes = [0; 2];
                from.take(&mut bytes)?;
                self.record.resize(usize::from(u16::from_be_bytes(bytes)), 0);
                let mut rest = self.record.as_mut_slice();
                while !rest.is_empty() {
                    from.take(&mut bytes)?;
                    let [equal, other] = bytes.map(usize::from);
                    let (others, behind) = rest
                        .split_at_mut_checked(equal)
                        .and_then(|(_, rest)| rest.split_at_mut_checked(other))
                        .ok_or(io::ErrorKind::InvalidData)?;
                    from.take(others)?;
                    rest = behind;
                }
                Ok(true)
            }
        }
    }
}

/// A lot and what was read of it.
struct Window<'a, D: Disk> {
    scratch: &'a Scratch<D>,
    at: &'a mut u64,
    end: u64,
    bytes: &'a mut Vec<u8>,
    used: &'a mut usize,
    /// Bytes that are read at one time.
    most: usize,
}

impl<D: Disk> Window<'_, D> {
    /// Takes the next bytes.
    fn take(&mut self, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            if *self.used >= self.bytes.len() {
                self.fill()?;
            }
            let at_hand = self.bytes.get(*self.used..).unwrap_or_default();
            let count = at_hand.len().min(into.len());
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(at_hand.get(..count).unwrap_or_default());
            *self.used += count;
            into = later;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let left = usize::try_from(self.end - *self.at).unwrap_or(usize::MAX);
        self.bytes.resize(left.min(self.most.min(WINDOW_BYTES_MAX)), 0);
        let count = self.scratch.read_at(*self.at, self.bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.truncate(count);
        *self.at += count as u64;
        *self.used = 0;
        Ok(())
    }
}

#[cfg(test)]
#[cfg(feature = "simulation")]
mod tests {
    use super::*;
    use crate::spool::SimDisk;
    use proptest::prelude::*;
    use std::path::Path;

    fn sorted(records: &[Vec<u8>], repeats: usize) -> (Vec<Vec<u8>>, u64) {
        let disk = SimDisk::new(1, 64 << 20);
        let mut sorter = Sorter::new(Scratch::new(&disk, Path::new("x"), "s"));
        for record in records.iter().cycle().take(records.len() * repeats) {
            assert!(sorter.push(record).expect("room"));
        }
        sorter.end().expect("room");
        let (mut merge, mut shown) = (Merge::default(), Vec::new());
        while let Some(record) = merge.peek(&sorter).expect("sound") {
            shown.push(record.to_vec());
            merge.take(&sorter).expect("sound");
        }
        (shown, sorter.scratch.len())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn records_come_back_sorted_from_several_lots(
            records in proptest::collection::vec(proptest::collection::vec(0..4_u8, 1..700), 1..60),
        ) {
            // Each is longer than a lot's share of memory would be.
            let repeats = 1 + 3 * TWIN_SORT_BYTES / records.iter().map(Vec::len).sum::<usize>().max(1);
            let mut expected: Vec<_> =
                records.iter().cycle().take(records.len() * repeats.min(500)).cloned().collect();
            expected.sort();
            prop_assert_eq!(sorted(&records, repeats.min(500)).0, expected);
        }
    }

    #[test]
    fn names_and_numbers_that_count_up_take_a_few_bytes() {
        let record = |n: u32| format!("root.plant.device{n:06} at {:020}", 17 * n).into_bytes();
        let records: Vec<_> = (0..20_000).map(record).collect();
        let (shown, bytes) = sorted(&records, 1);
        assert_eq!(shown, records);
        assert!(bytes < 14 * 20_000, "{bytes}");
    }
}

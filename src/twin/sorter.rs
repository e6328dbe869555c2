//! Sorting more records than fit into memory.
//!
//! ```text
//!  push --> records in memory --full--> sorted lot in the scratch --+
//!                  `--- the rest, sorted: if few, in memory --------+--> merge --> records in order
//!
//!  lot:  u16 bytes as in the record before | u16 further bytes | these        (big-endian, for each record)
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
        let mut before: &[u8] = &[];
        for place in &self.places {
            let record = record_at(&self.bytes, *place);
            let shared = before.iter().zip(record).take_while(|(a, b)| a == b).count();
            let rest = record.get(shared..).unwrap_or_default();
            let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
            self.scratch.append(&length(shared))?;
            self.scratch.append(&length(rest.len()))?;
            self.scratch.append(rest)?;
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
                let mut head = [0; 4];
                from.take(&mut head)?;
                let [a, b, c, d] = head;
                let shared = usize::from(u16::from_be_bytes([a, b]));
                self.record.resize(shared + usize::from(u16::from_be_bytes([c, d])), 0);
                let rest = self.record.get_mut(shared..).unwrap_or_default();
                from.take(rest)?;
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

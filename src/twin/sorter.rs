//! Sorting more records than fit into memory.
//!
//! ```text
//!  push --> records in memory --full--> sorted lot in the scratch --+
//!                  `--- the rest, sorted, stays in memory ----------+--> merge --> records in order
//!
//!  lot:  u16 bytes as in the record before | u16 further bytes | these        (big-endian, for each record)
//! ```

use std::io;

use super::TwinError;
use super::files::Scratch;
use crate::data::ReadAt;
use crate::limits::{KIB, TWIN_LOTS_MAX, TWIN_SORT_BYTES};
use crate::spool::Disk;
use crate::tsfile::write::Scratch as _;

/// Bytes of a lot that are read at one time.
const WINDOW_BYTES: usize = 2 * KIB;
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
        let held = self.bytes.len() + PLACE_BYTES * self.places.len();
        if held + more > TWIN_SORT_BYTES {
            if self.lots.len() >= TWIN_LOTS_MAX {
                return Ok(false);
            }
            self.put_lot()?;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        let place =
            u32::try_from(start).and_then(|start| Ok((start, u32::try_from(record.len())?)));
        self.places.push(place.unwrap_or_default());
        Ok(true)
    }

    /// Sorts what is in memory; nothing is pushed after that.
    pub(super) fn sort(&mut self) {
        let bytes = &self.bytes;
        self.places.sort_unstable_by(|a, b| record_at(bytes, *a).cmp(record_at(bytes, *b)));
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
                let mut head = [0; 4];
                take(&sorter.scratch, (at, *end), window, used, &mut head)?;
                let [a, b, c, d] = head;
                let shared = usize::from(u16::from_be_bytes([a, b]));
                self.record.resize(shared + usize::from(u16::from_be_bytes([c, d])), 0);
                let rest = self.record.get_mut(shared..).unwrap_or_default();
                take(&sorter.scratch, (at, *end), window, used, rest)?;
                Ok(true)
            }
        }
    }
}

/// Takes the next bytes of a lot through its window.
fn take<D: Disk>(
    scratch: &Scratch<D>,
    (at, end): (&mut u64, u64),
    window: &mut Vec<u8>,
    used: &mut usize,
    mut into: &mut [u8],
) -> io::Result<()> {
    while !into.is_empty() {
        let at_hand = window.get(*used..).unwrap_or_default();
        if at_hand.is_empty() {
            let left = usize::try_from(end - *at).unwrap_or(usize::MAX);
            window.resize(left.min(WINDOW_BYTES), 0);
            let count = scratch.read_at(*at, window)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            window.truncate(count);
            *at += count as u64;
            *used = 0;
            continue;
        }
        let count = at_hand.len().min(into.len());
        let (now, later) = into.split_at_mut(count);
        now.copy_from_slice(at_hand.get(..count).unwrap_or_default());
        *used += count;
        into = later;
    }
    Ok(())
}

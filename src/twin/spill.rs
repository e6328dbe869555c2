//! Making room in the arena: its points become slices.
//!
//! A tablet whose times ascend and whose columns are long enough is read again where it lies: its columns are slices
//! as they are. The points of all others are put into the scratch, sorted, the values only.

use super::TwinError;
use super::arena::{Arena, Point};
use super::budget::Budget;
use super::files::Scratch;
use super::packed::{differing, same_bytes};
use super::slices::{Home, Of, Same, Slice};
use super::sorter::Sorter;
use crate::data::{ReadAt, Sequence};
use crate::limits::TWIN_LOTS_MAX;
use crate::spool::Disk;
use crate::tsfile::write::Scratch as _;

/// Where slices go.
#[derive(Debug)]
pub(super) struct Spill<'a, D: Disk> {
    pub(super) slices: &'a mut Sorter<D>,
    pub(super) scratch: &'a mut Scratch<D>,
    pub(super) is_aligned: bool,
    /// The entry in the middle of the run: half a run needs less.
    middle: Sequence,
    record: Vec<u8>,
    /// Times and ranks that were written last, and their hash.
    shared: Option<(blake3::Hash, Times)>,
    base: u64,
}

/// Where times and ranks lie.
#[derive(Debug, Clone, Copy)]
struct Times {
    at: u32,
    /// As in [`Slice`].
    ranks: u32,
    same: u8,
}

impl<'a, D: Disk> Spill<'a, D> {
    pub(super) fn new(
        slices: &'a mut Sorter<D>,
        scratch: &'a mut Scratch<D>,
        is_aligned: bool,
        middle: Sequence,
    ) -> Self {
        let base = scratch.len();
        Self { slices, scratch, is_aligned, middle, record: Vec::new(), shared: None, base }
    }

    /// Puts all points of the arena away, and empties it.
    pub(super) fn empty(&mut self, arena: &mut Arena, budget: &Budget) -> Result<(), TwinError> {
        arena.sort();
        arena.mark_direct(self.is_aligned, budget);
        let is_aligned = self.is_aligned;
        arena.direct_slices(is_aligned).try_for_each(|(of, slice)| self.file(&of, &slice))?;
        if self.is_aligned {
            let mut rows = Vec::new();
            arena.rows(&mut rows);
            self.put_rows(&rows)?;
        }
        let (mut points, mut from) = (Vec::new(), 0);
        while let Some((series, next)) = arena.series(from) {
            from = next;
            let Some(series) = series else { continue };
            arena.points(&series, &mut points);
            self.put_points(arena, &points, &Of::Series(series.name, series.data_type))?;
        }
        arena.clear();
        Ok(())
    }

    /// Files a slice.
    pub(super) fn file(&mut self, of: &Of<'_>, slice: &Slice) -> Result<(), TwinError> {
        slice.put(of, &mut self.record);
        let pushed = self.slices.push(&self.record);
        if pushed.map_err(TwinError::disk("write", self.slices.scratch().path()))? {
            return Ok(());
        }
        let (what, max) = ("lots of slices of one device", TWIN_LOTS_MAX as u64);
        Err(TwinError::TooMany { sequence: self.middle, what, max })
    }

    fn put_rows(&mut self, rows: &[i64]) -> Result<(), TwinError> {
        let (Some(min), Some(max)) = (rows.first(), rows.last()) else { return Ok(()) };
        let times = self.at();
        let same = self.put(rows.iter().map(|time| time.to_be_bytes()))?;
        let slice = self.slice((*min, *max), rows.len(), Times { at: times, ranks: 0, same });
        self.file(&Of::Times, &slice)
    }

    /// A slice without values.
    fn slice(&self, (min, max): (i64, i64), rows: usize, times: Times) -> Slice {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let home = Home::Scratch(self.base);
        let Times { at: times, ranks, same } = times;
        let same = Same { times: same, values: 0 };
        Slice { min, max, rank: 0, rows, home, times, values: 0, nulls: 0, ranks, same }
    }

    fn put_points(
        &mut self,
        arena: &Arena,
        points: &[Point],
        of: &Of<'_>,
    ) -> Result<(), TwinError> {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
        let times = self.put_times(arena, points)?;
        let mut slice = self.slice((first.time, last.time), points.len(), times);
        slice.rank = arena.rank(first);
        slice.values = self.at();
        let Of::Series(_, data_type) = of else { return Ok(()) };
        let values = points.iter().map(|point| arena.value(point, *data_type));
        if data_type.value_bytes().is_some() {
            slice.same.values = self.put(values)?;
        } else {
            for value in values {
                self.append(value)?;
            }
        }
        self.file(of, &slice)
    }

    /// Writes times and ranks, unless they are those of the series before; ranks only where they differ.
    fn put_times(&mut self, arena: &Arena, points: &[Point]) -> Result<Times, TwinError> {
        let mut hasher = blake3::Hasher::new();
        for point in points {
            hasher.update(&point.time.to_be_bytes());
            hasher.update(&arena.rank(point).to_be_bytes());
        }
        let hash = hasher.finalize();
        if let Some((last, times)) = self.shared
            && last == hash
        {
            return Ok(times);
        }
        let times = self.at();
        let same = self.put(points.iter().map(|point| point.time.to_be_bytes()))?;
        let first = points.first().map(|point| arena.rank(point));
        let is_same = points.iter().all(|point| Some(arena.rank(point)) == first);
        // Behind the times: never 0.
        let ranks = if is_same { 0 } else { self.at() };
        for point in points.iter().filter(|_| !is_same) {
            self.append(&arena.rank(point).to_be_bytes())?;
        }
        let times = Times { at: times, ranks, same };
        self.shared = Some((hash, times));
        Ok(times)
    }

    /// Puts values of one length away; says which bytes are left out.
    fn put(&mut self, values: impl Iterator<Item: AsRef<[u8]>> + Clone) -> Result<u8, TwinError> {
        let same = same_bytes(values.clone());
        if let Some(first) = values.clone().next().filter(|_| same != 0) {
            self.append(first.as_ref())?;
        }
        for value in values {
            self.append(&differing(same, value.as_ref()))?;
        }
        Ok(same)
    }

    /// The next offset; an arena's points are far below 4 GiB.
    fn at(&self) -> u32 {
        u32::try_from(self.scratch.len() - self.base).unwrap_or(u32::MAX)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), TwinError> {
        let appended = self.scratch.append(bytes);
        appended.map_err(TwinError::disk("write", self.scratch.path()))
    }
}

//! Sorted pieces of series: what a device that is wider than the arena is merged from.
//!
//! A slice is one column of some rows whose times ascend. It lies in the spool, where a tablet is such already, or in
//! the scratch, where the arena's points were put.
//!
//! ```text
//!  record   u8 0: times of an aligned device, 1: values | key of the name (key.rs) | u8 type
//!           | i64 smallest time, sign flipped | u64 rank
//!           | var greatest time less the smallest | var rows | var 0: scratch, else segment in the spool + 1 | var base
//!           | var times | var values | var nulls | var ranks
//!           | var bytes that are the same in all times | the same of values | u8 bytes of these ten numbers
//!
//!  scratch  rows x i64 time | rows x u64 rank | rows x value, as in tablets       (parts are found by the record;
//!           times and values without what is the same in all of them: packed.rs)
//! ```

use std::borrow::Cow;

use super::files::Scratch;
use super::index::Filed;
use super::{Source, TwinError, key};
use crate::data::{DataType, ReadAt};
use crate::limits::ENTRY_BYTES_MAX;
use crate::spool::{Disk, Place};
use crate::tsfile::encoding::bits::{put_var, take_var64};
use crate::wire::tablet::Layout;

const TIMES: u8 = 0;
const VALUES: u8 = 1;
/// Bytes of the smallest time and the rank, by which records are sorted.
const ORDER_BYTES: usize = 16;
const SIGN: u64 = 1 << 63;

/// Where bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// From this offset on in the scratch.
    Scratch(u64),
    /// From this place on in the spool.
    Spool(Place),
}

impl Home {
    /// Where its bytes begin.
    pub(super) const fn base(self) -> u64 {
        match self {
            Self::Scratch(base) => base,
            Self::Spool(place) => place.offset,
        }
    }
}

/// One column of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) min: i64,
    pub(super) max: i64,
    /// Which of equal times wins: the greater one.
    pub(super) rank: u64,
    pub(super) rows: u32,
    pub(super) home: Home,
    /// Offsets from there. 0 for nulls: there are none; 0 for ranks: all have the slice's.
    pub(super) times: u32,
    pub(super) values: u32,
    pub(super) nulls: u32,
    pub(super) ranks: u32,
    /// Bytes that are left out of times and of values, as [`same_bytes`](super::packed::same_bytes) has them.
    pub(super) same: Same,
}

/// Of the times and of the values of a slice; 0 for both in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Same {
    pub(super) times: u8,
    pub(super) values: u8,
}

/// What a slice is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of<'a> {
    /// Times of rows.
    Times,
    /// Values of a series.
    Series(Cow<'a, str>, DataType),
}

impl Slice {
    /// The times of a tablet that lies in the spool.
    pub(super) fn of_tablet(filed: &Filed, layout: &Layout) -> Self {
        Self {
            min: layout.time_range.min,
            max: layout.time_range.max,
            rank: filed.rank,
            // They lie in an entry.
            rows: u32::try_from(layout.rows).unwrap_or(u32::MAX),
            home: Home::Spool(filed.place),
            times: u32::try_from(layout.times_at).unwrap_or(u32::MAX),
            values: 0,
            nulls: 0,
            ranks: 0,
            same: Same::default(),
        }
    }

    /// Puts the record into the emptied list.
    pub(super) fn put(&self, of: &Of<'_>, out: &mut Vec<u8>) {
        out.clear();
        match of {
            Of::Times => out.extend([TIMES, 0, 0]),
            Of::Series(name, data_type) => {
                out.push(VALUES);
                key::put_name(name, out);
                out.push(data_type.code());
            }
        }
        out.extend((self.min.cast_unsigned() ^ SIGN).to_be_bytes());
        out.extend(self.rank.to_be_bytes());
        let start = out.len();
        let span = self.max.wrapping_sub(self.min).cast_unsigned();
        let (home, base) = match self.home {
            Home::Scratch(base) => (0, base),
            Home::Spool(place) => (place.segment.saturating_add(1), place.offset),
        };
        let offsets = [self.times, self.values, self.nulls, self.ranks].map(u64::from);
        let same = [self.same.times, self.same.values].map(u64::from);
        let numbers = [span, self.rows.into(), home, base].into_iter().chain(offsets);
        numbers.chain(same).for_each(|number| put_var(number, out));
        // Ten bytes each at most.
        out.push(u8::try_from(out.len() - start).unwrap_or(u8::MAX));
    }

    /// The slice of a record.
    pub(super) fn of_record(record: &[u8]) -> Option<Self> {
        let mut rest = record.get(series_part(record).len()..)?;
        let min = i64::from_be_bytes(take(&mut rest)?) ^ SIGN.cast_signed();
        let rank = u64::from_be_bytes(take(&mut rest)?);
        let mut number = || take_var64(&mut rest).ok();
        let max = min.wrapping_add(number()?.cast_signed());
        let rows = u32::try_from(number()?).ok()?;
        let home = match (number()?, number()?) {
            (0, base) => Home::Scratch(base),
            (segment, offset) => Home::Spool(Place { segment: segment - 1, offset }),
        };
        let mut offset = || number().and_then(|number| u32::try_from(number).ok());
        let (times, values, nulls, ranks) = (offset()?, offset()?, offset()?, offset()?);
        let mut same = || number().and_then(|number| u8::try_from(number).ok());
        let same = Same { times: same()?, values: same()? };
        Some(Self { min, max, rank, rows, home, times, values, nulls, ranks, same })
    }
}

/// What records of the same series have in common; of times, too.
pub(super) fn series_part(record: &[u8]) -> &[u8] {
    let tail = record.last().map_or(0, |bytes| usize::from(*bytes) + 1 + ORDER_BYTES);
    record.get(..record.len().saturating_sub(tail)).unwrap_or_default()
}

/// The series of a part, unless it is the one of times.
pub(super) fn series_of(part: &[u8]) -> Option<(String, DataType)> {
    let (code, name) = part.split_last()?;
    let name = name.strip_prefix(&[VALUES])?;
    Some((key::name(name), DataType::from_code(*code)?))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (now, later) = rest.split_first_chunk()?;
    *rest = later;
    Some(*now)
}

/// Reads slices.
#[derive(Debug)]
pub(super) struct Shelf<'a, D: Disk, S> {
    pub(super) scratch: &'a Scratch<D>,
    pub(super) source: &'a mut S,
}

impl<D: Disk, S: Source> Shelf<'_, D, S> {
    /// Reads bytes; fewer only at the end of what is there.
    fn read(&mut self, home: Home, offset: u32, into: &mut [u8]) -> Result<usize, TwinError> {
        match home {
            Home::Scratch(base) => {
                let read = self.scratch.read_at(base + u64::from(offset), into);
                read.map_err(TwinError::disk("read", self.scratch.path()))
            }
            Home::Spool(Place { segment, offset: base }) => {
                let place = Place { segment, offset: base + u64::from(offset) };
                Ok(self.source.read_at(place, into)?)
            }
        }
    }
}

/// Some bytes of a slice.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u32,
    bytes: Vec<u8>,
}

impl Window {
    /// `count` bytes from `offset` on; where they are not at hand, up to `ahead` bytes are read.
    pub(super) fn get<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        home: Home,
        offset: u32,
        (count, ahead): (usize, usize),
    ) -> Result<&[u8], TwinError> {
        let is_sound = count <= ENTRY_BYTES_MAX;
        if is_sound && self.at(offset, count).is_none() {
            self.bytes.resize(count.max(ahead), 0);
            let read = shelf.read(home, offset, &mut self.bytes);
            self.bytes.truncate(*read.as_ref().unwrap_or(&0));
            self.start = offset;
            read?;
        }
        let bytes = self.at(offset, count).filter(|_| is_sound);
        bytes.ok_or_else(|| {
            // It lay there when it was read first.
            let short = std::io::ErrorKind::UnexpectedEof.into();
            TwinError::disk("read again", shelf.scratch.path())(short)
        })
    }

    /// Gives memory back if it is more than so many bytes.
    pub(super) fn shrink(&mut self, most: usize) {
        if self.bytes.capacity() > most {
            *self = Self::default();
        }
    }

    fn at(&self, offset: u32, count: usize) -> Option<&[u8]> {
        let start = offset.checked_sub(self.start)? as usize;
        self.bytes.get(start..start.checked_add(count)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_say_what_they_were_told() {
        let slice = Slice {
            min: -5,
            max: 9,
            rank: 7,
            rows: 3,
            home: Home::Spool(Place { segment: 12, offset: 34 }),
            times: 1,
            values: 2,
            nulls: 3,
            ranks: 4,
            same: Same { times: 0x1f, values: 0x8f },
        };
        let mut record = Vec::new();
        slice.put(&Of::Series("temperature".into(), DataType::Float), &mut record);
        assert_eq!(Slice::of_record(&record), Some(slice));
        let part = series_part(&record).to_vec();
        assert_eq!(series_of(&part), Some(("temperature".to_owned(), DataType::Float)));
        let mut times = Vec::new();
        slice.put(&Of::Times, &mut times);
        assert!(times < record);
        assert_eq!(series_of(series_part(&times)), None);
    }
}

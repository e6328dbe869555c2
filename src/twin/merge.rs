//! The points of one series from its slices: by time, the one of the greatest rank of equal times.
//!
//! Slices come by their smallest times, and each is opened when its first time is reached. So there is one open at a
//! time where slices follow one another, and never more than overlap.

use std::cmp::Reverse;

use super::arena::put_value;
use super::packed::Packed;
use super::slices::{Shelf, Slice, Window};
use super::{Source, TwinError};
use crate::data::DataType;
use crate::limits::{KIB, TWIN_WINDOWS_BYTES};
use crate::spool::Disk;
use crate::tsfile::encoding::Values;

/// Bytes that a window reads at least and at most.
const AHEAD_MIN: usize = 256;
const AHEAD_MAX: usize = 16 * KIB;
const TIME_BYTES: usize = size_of::<i64>();
/// Bytes of texts that are given to the writer at one time.
const BATCH_BYTES: usize = 32 * KIB;

/// Merges slices.
#[derive(Debug)]
pub(super) struct SeriesMerge {
    /// `None`: only times.
    data_type: Option<DataType>,
    /// By smallest time, then rank.
    slices: Vec<Slice>,
    /// The first one that was not opened yet.
    next: usize,
    open: Vec<Cursor>,
    /// Nothing before this time is shown.
    from: i64,
}

/// An open slice; it stands at a row that has a value.
#[derive(Debug)]
struct Cursor {
    slice: Slice,
    row: u32,
    time: i64,
    rank: u64,
    /// Where the value lies.
    value: u32,
    packed_times: Packed,
    packed_values: Packed,
    times: Window,
    ranks: Window,
    nulls: Window,
    values: Window,
    /// What the window of texts reads ahead.
    ahead: usize,
}

impl SeriesMerge {
    /// Of slices in order of their smallest times, from a time on.
    pub(super) const fn new(data_type: Option<DataType>, slices: Vec<Slice>, from: i64) -> Self {
        Self { data_type, slices, next: 0, open: Vec::new(), from }
    }

    /// Gives its list back, to be filled again.
    pub(super) fn into_slices(self) -> Vec<Slice> {
        self.slices
    }

    /// Puts the next points up to the time `to` into the emptied lists, at most `most`; none at the end.
    pub(super) fn next<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        (to, most): (i64, usize),
        times: &mut Vec<i64>,
        values: &mut Values,
    ) -> Result<(), TwinError> {
        times.clear();
        values.reset(self.data_type.unwrap_or(DataType::Int64));
        while times.len() < most && !is_batch(values) {
            let Some((time, winner)) = self.next_winner(shelf, to)? else { return Ok(()) };
            times.push(time);
            let form = Form { data_type: self.data_type, open: self.open.len() };
            if let Some(cursor) = self.open.get_mut(winner) {
                cursor.put_value(shelf, form, values)?;
            }
            self.leave(shelf, time)?;
        }
        Ok(())
    }

    /// Puts the bytes of the next texts up to the time `to` into the emptied list, at most `most`; none at the end.
    pub(super) fn next_sizes<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        (to, most): (i64, usize),
        sizes: &mut Vec<(i64, usize)>,
    ) -> Result<(), TwinError> {
        sizes.clear();
        while sizes.len() < most {
            let Some((time, winner)) = self.next_winner(shelf, to)? else { return Ok(()) };
            let form = Form { data_type: self.data_type, open: self.open.len() };
            if let Some(cursor) = self.open.get_mut(winner) {
                sizes.push((time, cursor.text_bytes(shelf, form)?));
            }
            self.leave(shelf, time)?;
        }
        Ok(())
    }

    fn next_winner<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        to: i64,
    ) -> Result<Option<(i64, usize)>, TwinError> {
        self.open_due(shelf)?;
        Ok(self.winner().filter(|(time, _)| *time <= to))
    }

    /// Opens the slices that begin at or before the next time.
    fn open_due<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
    ) -> Result<(), TwinError> {
        while let Some(slice) = self.slices.get(self.next) {
            let first = self.open.iter().map(|cursor| cursor.time).min();
            if first.is_some_and(|first| first < slice.min) {
                return Ok(());
            }
            self.next += 1;
            let form = Form { data_type: self.data_type, open: self.open.len() + 1 };
            if slice.max >= self.from
                && let Some(cursor) = Cursor::open(*slice, self.from, shelf, form)?
            {
                self.open.push(cursor);
            }
        }
        Ok(())
    }

    /// The smallest time, and the slice whose value it gets.
    fn winner(&self) -> Option<(i64, usize)> {
        // Later rows of a tablet that was put away in parts lie further behind.
        let order = |cursor: &Cursor| {
            let place = Reverse((cursor.rank, cursor.slice.home.base(), cursor.value));
            (cursor.time, place)
        };
        let cursors = self.open.iter().enumerate();
        let winner = cursors.min_by_key(|(_, cursor)| order(cursor));
        winner.map(|(place, cursor)| (cursor.time, place))
    }

    /// Goes behind a time.
    fn leave<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        time: i64,
    ) -> Result<(), TwinError> {
        let form = Form { data_type: self.data_type, open: self.open.len() };
        let mut place = 0;
        while let Some(cursor) = self.open.get_mut(place) {
            if cursor.time > time || cursor.step(shelf, form)? {
                place += 1;
            } else {
                self.open.swap_remove(place);
            }
        }
        Ok(())
    }
}

/// How slices are read.
#[derive(Debug, Clone, Copy)]
struct Form {
    data_type: Option<DataType>,
    /// Slices that are open: they share the memory of windows.
    open: usize,
}

impl Form {
    /// Bytes of a value; `None` if it has a length.
    fn value_bytes(self) -> Option<usize> {
        self.data_type.map_or(Some(0), DataType::value_bytes)
    }

    fn ahead_max(self) -> usize {
        (TWIN_WINDOWS_BYTES / 4 / self.open.max(1)).clamp(AHEAD_MIN, AHEAD_MAX)
    }
}

impl Cursor {
    /// Opens a slice at its first value at or after a time; `None` if there is none.
    fn open<D: Disk, S: Source>(
        slice: Slice,
        from: i64,
        shelf: &mut Shelf<'_, D, S>,
        form: Form,
    ) -> Result<Option<Self>, TwinError> {
        let mut cursor = Self {
            slice,
            row: 0,
            time: 0,
            rank: slice.rank,
            value: slice.values,
            packed_times: Packed::default(),
            packed_values: Packed::default(),
            times: Window::default(),
            ranks: Window::default(),
            nulls: Window::default(),
            values: Window::default(),
            ahead: AHEAD_MIN,
        };
        cursor.unpack(shelf, form)?;
        if slice.min < from {
            let row = cursor.first_from(from, shelf)?;
            while cursor.row < row {
                cursor.pass_row(shelf, form)?;
            }
        }
        let is_open = cursor.settle(shelf, form)?;
        Ok(is_open.then_some(cursor))
    }

    /// Finds out what times and values are made whole with, and where they begin behind it.
    fn unpack<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        form: Form,
    ) -> Result<(), TwinError> {
        let Slice { home, times, same, .. } = self.slice;
        if same.times != 0 {
            let first = self.times.get(shelf, home, times, (TIME_BYTES, TIME_BYTES))?;
            self.packed_times = Packed::new(same.times, first);
            self.slice.times = behind(times, TIME_BYTES);
        }
        if let Some(bytes) = form.value_bytes().filter(|_| same.values != 0) {
            let first = self.values.get(shelf, home, self.value, (bytes, bytes))?;
            self.packed_values = Packed::new(same.values, first);
            self.value = behind(self.value, bytes);
        }
        Ok(())
    }

    /// Where the time of a row lies, and its bytes.
    fn place_of_time(&self, row: u32) -> (u32, usize) {
        let bytes = self.packed_times.stored_bytes(TIME_BYTES);
        (behind(self.slice.times, bytes * row as usize), bytes)
    }

    /// The first row at or after a time.
    fn first_from<D: Disk, S: Source>(
        &self,
        from: i64,
        shelf: &mut Shelf<'_, D, S>,
    ) -> Result<u32, TwinError> {
        let (mut low, mut high) = (0, self.slice.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut window = Window::default();
            let (at, bytes) = self.place_of_time(middle);
            let stored = window.get(shelf, self.slice.home, at, (bytes, bytes))?;
            if i64::from_be_bytes(self.packed_times.whole(stored)) < from {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Goes to the next row that has a value; `false` if there is none.
    fn step<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        form: Form,
    ) -> Result<bool, TwinError> {
        self.pass_row(shelf, form)?;
        self.settle(shelf, form)
    }

    /// Goes over nulls, and reads the time of the row; `false` at the end.
    fn settle<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        form: Form,
    ) -> Result<bool, TwinError> {
        while self.row < self.slice.rows && self.is_null(shelf)? {
            self.pass_row(shelf, form)?;
        }
        if self.row >= self.slice.rows {
            return Ok(false);
        }
        let Slice { home, rows, .. } = self.slice;
        let left = (rows - self.row) as usize;
        let (at, bytes) = self.place_of_time(self.row);
        let ahead = (bytes * left).min(form.ahead_max());
        let stored = self.times.get(shelf, home, at, (bytes, ahead))?;
        self.time = i64::from_be_bytes(self.packed_times.whole(stored));
        if self.slice.ranks != 0 {
            let ahead = (8 * left).min(form.ahead_max());
            let at = self.slice.ranks + 8 * self.row;
            self.rank = u64::from_be_bytes(array(self.ranks.get(shelf, home, at, (8, ahead))?));
        }
        Ok(true)
    }

    fn is_null<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
    ) -> Result<bool, TwinError> {
        if self.slice.nulls == 0 {
            return Ok(false);
        }
        let (home, byte) = (self.slice.home, self.row / 8);
        let ahead = ((self.slice.rows / 8 + 1 - byte) as usize).min(AHEAD_MIN);
        let bits = self.nulls.get(shelf, home, self.slice.nulls + byte, (1, ahead))?;
        Ok(bits.first().is_some_and(|bits| bits >> (self.row % 8) & 1 == 1))
    }

    /// Goes over a row.
    fn pass_row<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        form: Form,
    ) -> Result<(), TwinError> {
        let bytes = match form.value_bytes() {
            Some(bytes) => self.packed_values.stored_bytes(bytes),
            None => self.text_bytes(shelf, form)?,
        };
        self.row += 1;
        self.value = behind(self.value, bytes);
        Ok(())
    }

    /// Bytes of the text at hand, its length included.
    fn text_bytes<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        form: Form,
    ) -> Result<usize, TwinError> {
        let home = self.slice.home;
        let length = self.values.get(shelf, home, self.value, (4, self.ahead))?;
        self.ahead = (2 * self.ahead).min(form.ahead_max());
        Ok(4 + u32::from_be_bytes(array(length)) as usize)
    }

    /// Appends the value of the row.
    fn put_value<D: Disk, S: Source>(
        &mut self,
        shelf: &mut Shelf<'_, D, S>,
        form: Form,
        values: &mut Values,
    ) -> Result<(), TwinError> {
        let Slice { home, rows, .. } = self.slice;
        if form.data_type.is_none() {
            return Ok(());
        }
        let fixed = form.value_bytes().map(|bytes| self.packed_values.stored_bytes(bytes));
        let (bytes, ahead) = match fixed {
            Some(bytes) => (bytes, bytes * (rows - self.row) as usize),
            None => (self.text_bytes(shelf, form)?, self.ahead),
        };
        let ahead = ahead.min(form.ahead_max());
        let stored = self.values.get(shelf, home, self.value, (bytes, ahead))?;
        if self.slice.same.values == 0 {
            put_value(stored, 0, values);
        } else {
            put_value(&self.packed_values.whole(stored), 0, values);
        }
        // All slices may be open, each at a long text.
        self.values.shrink(AHEAD_MAX);
        Ok(())
    }
}

/// Whether values are enough for one call of the writer: texts can be long.
pub(super) fn is_batch(values: &Values) -> bool {
    matches!(values, Values::Binaries(list) if list.bytes() >= BATCH_BYTES)
}

/// An offset so many bytes further on.
fn behind(offset: u32, bytes: usize) -> u32 {
    offset.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

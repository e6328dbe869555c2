//! Tablets that are too long to be read at once: they are looked through where they lie.
//!
//! ```text
//!  times ascend, columns are long   -->  a slice for each column, as it lies
//!  all others                       -->  some rows at a time into the arena
//! ```

use std::cell::RefCell;
use std::io;

use super::arena::Arena;
use super::budget::Budget;
use super::index::{Filed, scan};
use super::slices::{Of, Slice};
use super::spill::Spill;
use super::{Source, TwinError, Unfit};
use crate::data::{ReadAt, Sequence};
use crate::spool::{self, Disk, Place};
use crate::wire::columns::Columns;
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::tablet::{Column, Layout};

/// The payload of an entry where it lies.
#[derive(Debug)]
pub(super) struct Lying<'s, S> {
    source: RefCell<&'s mut S>,
    sequence: Sequence,
    place: Place,
    bytes: u32,
    /// Why the last read failed.
    failed: RefCell<Option<spool::ReadError>>,
}

impl<'s, S: Source> Lying<'s, S> {
    pub(super) fn new(source: &'s mut S, sequence: Sequence, place: Place, bytes: u32) -> Self {
        let (source, failed) = (RefCell::new(source), RefCell::new(None));
        Self { source, sequence, place, bytes, failed }
    }

    /// A cursor at its start. If it fits the window it is read at once, else through it.
    pub(super) fn open<'w>(&'w self, window: &'w mut [u8]) -> Result<Cursor<'w>, TwinError> {
        let bytes = self.bytes as usize;
        if bytes > window.len() {
            let cursor = Cursor::new(self, window);
            return cursor.map_err(|error| self.failed(error.into()));
        }
        let whole = window.get_mut(..bytes).unwrap_or_default();
        let count = self.read_at(0, whole);
        match count.map_err(|error| self.failed(ReadError::Disk { offset: 0, error }))? {
            count if count == whole.len() => Ok(Cursor::memory(whole)),
            _ => Err(self.unfit(Unfit::NotATablet)),
        }
    }

    /// Looks through it; its columns are put into the emptied table.
    pub(super) fn scan(
        &self,
        cursor: &mut Cursor<'_>,
        columns: &mut Columns,
    ) -> Result<Layout, TwinError> {
        let scanned = scan(cursor, columns).map_err(|error| self.failed(error))?;
        scanned.map_err(|why| self.unfit(why))
    }

    /// What is wrong: with the disk, or with the entry.
    pub(super) fn failed(&self, error: ReadError) -> TwinError {
        match (self.failed.take(), error) {
            (Some(error), _) => error.into(),
            (None, ReadError::Malformed(error)) => self.unfit(error.into()),
            // It is shorter than its header says.
            (None, ReadError::Disk { .. }) => self.unfit(Unfit::NotATablet),
        }
    }

    const fn unfit(&self, why: Unfit) -> TwinError {
        TwinError::Unfit { sequence: self.sequence, why }
    }
}

impl<S: Source> ReadAt for Lying<'_, S> {
    fn len(&self) -> u64 {
        self.bytes.into()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = left.min(into.len());
        let place = Place { offset: self.place.offset + offset, ..self.place };
        let read =
            self.source.borrow_mut().read_at(place, into.get_mut(..most).unwrap_or_default());
        read.map_err(|error| {
            self.failed.replace(Some(error));
            io::Error::other("reading the spool")
        })
    }
}

/// A long tablet that is worked through.
#[derive(Debug)]
pub(super) struct Long<'c> {
    pub(super) cursor: Cursor<'c>,
    pub(super) filed: Filed,
    pub(super) layout: Layout,
    /// Where the columns lie; their values from the next row on.
    pub(super) columns: &'c mut Columns,
    /// Rows that were taken.
    pub(super) row: usize,
}

impl Long<'_> {
    /// Whether its columns can be read as slices.
    pub(super) fn is_direct(
        &mut self,
        is_aligned: bool,
        budget: &Budget,
    ) -> Result<bool, ReadError> {
        let has_shape = budget.is_direct(self.filed.bytes as usize, self.columns);
        if !has_shape || (is_aligned && !has_full_column(self.columns)) {
            return Ok(false);
        }
        self.cursor.seek(self.layout.times_at);
        let mut before = None;
        for _ in 0..self.layout.rows {
            let time = self.cursor.i64("time")?;
            if before.is_some_and(|before| before >= time) {
                return Ok(false);
            }
            before = Some(time);
        }
        Ok(true)
    }

    /// Files its columns as slices; in front of those of an aligned device its times.
    pub(super) fn file<D: Disk, S: Source>(
        &mut self,
        lying: &Lying<'_, S>,
        spill: &mut Spill<'_, D>,
    ) -> Result<(), TwinError> {
        let slice = Slice::of_tablet(&self.filed, &self.layout);
        if spill.is_aligned {
            spill.file(&Of::Times, &slice)?;
        }
        let mut place = 0;
        while let Some(column) = self.columns.get(place).copied() {
            place += 1;
            // Bitmaps and names lie apart: each are read in a row, so that the window stays where it is.
            let is_empty = column.bitmap_at != 0
                && self.is_empty(&column).map_err(|error| lying.failed(error))?;
            if let Some(column) = self.columns.get_mut(place - 1) {
                column.is_absent = is_empty;
            }
        }
        for column in self.columns.iter().filter(|column| !column.is_absent) {
            let Some(data_type) = column.data_type else { continue };
            self.cursor.seek(column.name_at as usize + 4);
            let name = self.cursor.peek(column.name_bytes.into(), "measurement");
            let name = name.map_err(|error| lying.failed(error))?;
            let of = Of::Series(String::from_utf8_lossy(name), data_type);
            let (values, nulls) = (column.values_at, column.bitmap_at);
            spill.file(&of, &Slice { values, nulls, ..slice })?;
        }
        Ok(())
    }

    /// Whether a column has no value.
    fn is_empty(&mut self, column: &Column) -> Result<bool, ReadError> {
        self.cursor.seek(column.bitmap_at as usize);
        for row in (0..self.layout.rows).step_by(8) {
            let values = (self.layout.rows - row).min(8);
            let bits = !self.cursor.u8("bitmap")?;
            if bits.trailing_zeros() < u32::try_from(values).unwrap_or(8) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts the next rows into the arena, about as many as have so many bytes; `false` if there are none left.
    pub(super) fn take(&mut self, arena: &mut Arena, bytes: usize) -> Result<bool, ReadError> {
        let left = self.layout.rows - self.row;
        let most = self.layout.rows * bytes / (self.filed.bytes as usize).max(1);
        // Bytes of bitmaps are not cut.
        let rows = most.next_multiple_of(8).max(8).min(left);
        if rows > 0 {
            arena.take_rows(self, rows)?;
            self.row += rows;
        }
        Ok(rows > 0)
    }
}

/// Whether each row of a tablet has a value, because a column has no nulls.
pub(super) fn has_full_column(columns: &[Column]) -> bool {
    columns.iter().any(|column| column.bitmap_at == 0)
}

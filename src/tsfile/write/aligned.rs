//! Writing aligned devices: groups of rows, and their columns one after another.

use std::io;

use super::chunk::{Chunk, ChunkKind, Done};
use super::record::Record;
use super::{Column, Scratch, State, WriteError, Writer};
use crate::tsfile::device::{DeviceId, compare_names};
use crate::tsfile::encoding::Values;
use crate::tsfile::order::first_stray;

/// An aligned device that is being written.
#[derive(Debug)]
pub(super) struct Aligned {
    pub(super) columns: Vec<(Column, Record)>,
    pub(super) times: Record,
    /// Rows of the group in hand, and where its pages end.
    rows: Vec<i64>,
    page_ends: Vec<usize>,
    /// Column whose chunk is open, and the first row that is not in a page of it yet.
    open: usize,
    row: usize,
    has_rows: bool,
    /// The last row of all groups.
    last_time: Option<i64>,
    /// There is one group only, and of the columns the one in hand.
    is_lone: bool,
}

impl<W: io::Write, S: Scratch> Writer<W, S> {
    /// Begins a device whose series share their times; `columns` are by name, and each has a value somewhere.
    ///
    /// # Errors
    /// [`WriteError`]: also if it does not come after the one before.
    pub fn aligned(&mut self, id: &DeviceId, columns: Vec<Column>) -> Result<(), WriteError> {
        self.next_device(id)?;
        if let [_, column] = columns
            .windows(2)
            .find(|pair| matches!(pair, [a, b] if compare_names(&a.name, &b.name).is_ge()))
            .unwrap_or_default()
        {
            return Err(WriteError::Order { what: "series", name: column.name.clone() });
        }
        let columns = columns.into_iter().map(Aligned::column);
        self.state = State::Aligned(Box::new(Aligned::new(columns.collect(), false)));
        Ok(())
    }

    /// Begins an aligned device of one group, with the times of its rows, in pages as [`Self::rows_in_pages`] has them.
    /// Its columns follow one after the other, each by [`Self::lone_column`]: so nothing is held for each of them, and
    /// there may be any number.
    ///
    /// # Errors
    /// [`WriteError`]: also if the device does not come after the one before, or times do not ascend.
    pub fn lone_rows(
        &mut self,
        id: &DeviceId,
        times: &[i64],
        page_ends: Vec<usize>,
    ) -> Result<(), WriteError> {
        self.next_device(id)?;
        self.state = State::Aligned(Box::new(Aligned::new(Vec::new(), true)));
        self.rows_in_pages(times, page_ends)?;
        let State::Aligned(aligned) = &self.state else { return Ok(()) };
        self.metadata.series(("", None, true), &aligned.times, &self.nodes)
    }

    /// Begins the next column of such a device; its values are added by [`Self::column`], as those of column 0.
    ///
    /// # Errors
    /// [`WriteError`]: also if it does not come after the one before.
    pub fn lone_column(&mut self, column: Column) -> Result<(), WriteError> {
        let State::Aligned(aligned) = &self.state else {
            return Err(WriteError::Misuse("a column needs an aligned device"));
        };
        if !aligned.is_lone || !aligned.has_rows {
            return Err(WriteError::Misuse("a column of its own needs a device of one group"));
        }
        if let Some((before, _)) = aligned.columns.first()
            && compare_names(&before.name, &column.name).is_ge()
        {
            return Err(WriteError::Order { what: "series", name: column.name });
        }
        self.end_rows()?;
        if let State::Aligned(aligned) = &mut self.state {
            aligned.columns = vec![Aligned::column(column)];
            aligned.open = 0;
        }
        self.start_column();
        Ok(())
    }

    /// Begins a group of an aligned device with the times of its rows, up to [`Settings::chunk_points`].
    ///
    /// # Errors
    /// [`WriteError`]: also if they do not ascend.
    pub fn rows(&mut self, times: &[i64]) -> Result<(), WriteError> {
        let most = self.settings.page_points.max(1);
        let ends = (0..times.len()).step_by(most).map(|start| (start + most).min(times.len()));
        self.rows_in_pages(times, ends.collect())
    }

    /// As [`Self::rows`], with pages that end before these rows; the last one at the end of all. So the caller bounds
    /// the bytes of a page, and of a chunk, of which the texts are known to it alone.
    ///
    /// # Errors
    /// [`WriteError`]: also if times or ends do not ascend.
    pub fn rows_in_pages(
        &mut self,
        times: &[i64],
        page_ends: Vec<usize>,
    ) -> Result<(), WriteError> {
        let is_whole = page_ends.is_sorted_by(|a, b| a < b)
            && page_ends.first().is_none_or(|first| *first > 0)
            && page_ends.last().is_none_or(|last| *last == times.len());
        if !is_whole {
            return Err(WriteError::Misuse("pages end at ascending rows, the last at the end"));
        }
        if times.is_empty() || times.len() > self.settings.chunk_points {
            return Err(WriteError::Misuse(
                "a group has one row at least, and chunk_points at most",
            ));
        }
        if let Some(time) = first_stray(None, times) {
            return Err(WriteError::Time { series: String::new(), time });
        }
        let (first, last) = (times.first().copied(), times.last().copied());
        self.begin_group(first.unwrap_or_default(), last.unwrap_or_default())?;
        let State::Aligned(aligned) = &mut self.state else { return Ok(()) };
        aligned.rows.clear();
        aligned.rows.extend_from_slice(times);
        self.chunk.start_times();
        let mut start = 0;
        for end in &page_ends {
            self.chunk.time_page(times.get(start..*end).unwrap_or_default())?;
            start = *end;
        }
        aligned.page_ends = page_ends;
        self.put_group()?;
        let done = self.chunk.end(&mut self.out)?;
        let State::Aligned(aligned) = &mut self.state else { return Ok(()) };
        aligned.times.add(done.offset, &done.statistics, &mut self.nodes)?;
        self.start_column();
        Ok(())
    }

    /// Adds values to column `index` of the group; `times` are among its rows. Columns come in their order,
    /// and may be left out.
    ///
    /// # Errors
    /// [`WriteError`]: also if a time is not among the rows.
    pub fn column(
        &mut self,
        index: usize,
        times: &[i64],
        values: &Values,
    ) -> Result<(), WriteError> {
        let is_for = |(column, _): &(Column, Record)| values.is_for(column.data_type);
        self.reach_column(index)?;
        let State::Aligned(aligned) = &mut self.state else { return Ok(()) };
        if times.len() != values.len() || !aligned.columns.get(index).is_some_and(is_for) {
            return Err(WriteError::Misuse("as many values as times, of the column's type"));
        }
        self.written.points += times.len() as u64;
        let mut at = 0;
        loop {
            let rows = aligned.page_rows();
            at += self.chunk.fill_rows(times, values, at, rows);
            let Some(time) = times.get(at) else { return Ok(()) };
            if rows.is_empty() {
                return Err(WriteError::Time { series: aligned.open_name(), time: *time });
            }
            aligned.end_page(&mut self.chunk)?;
        }
    }

    /// Ends the group before, and begins one with times in this range.
    pub(super) fn begin_group(&mut self, first: i64, last: i64) -> Result<(), WriteError> {
        self.end_rows()?;
        let State::Aligned(aligned) = &mut self.state else {
            return Err(WriteError::Misuse("rows need an aligned device"));
        };
        if aligned.is_lone && aligned.has_rows {
            return Err(WriteError::Misuse("a device of one group has no other"));
        }
        if aligned.last_time.is_some_and(|before| before >= first) {
            return Err(WriteError::Time { series: String::new(), time: first });
        }
        aligned.last_time = Some(last);
        aligned.rows.clear();
        (aligned.open, aligned.row, aligned.has_rows) = (0, 0, true);
        Ok(())
    }

    /// Ends the columns before `index`.
    pub(super) fn reach_column(&mut self, index: usize) -> Result<(), WriteError> {
        loop {
            let State::Aligned(aligned) = &self.state else {
                return Err(WriteError::Misuse("a column needs an aligned device"));
            };
            let is_open = aligned.has_rows && index < aligned.columns.len();
            if !is_open || aligned.open > index {
                return Err(WriteError::Misuse("columns come in their order, after rows"));
            }
            if aligned.open == index {
                return Ok(());
            }
            self.end_column()?;
        }
    }

    pub(super) fn start_column(&mut self) {
        if let State::Aligned(aligned) = &mut self.state {
            aligned.row = 0;
            if let Some((column, _)) = aligned.columns.get(aligned.open) {
                self.chunk.start(ChunkKind::Values, column);
            }
        }
    }

    /// Ends the chunk of the column in hand, and goes on to the next one.
    fn end_column(&mut self) -> Result<(), WriteError> {
        let State::Aligned(aligned) = &mut self.state else { return Ok(()) };
        while aligned.row < aligned.rows.len() {
            aligned.end_page(&mut self.chunk)?;
        }
        let done = self.chunk.end(&mut self.out)?;
        self.add_column_chunk(&done)
    }

    /// Records the chunk of the column in hand, and goes on to the next one.
    pub(super) fn add_column_chunk(&mut self, done: &Done) -> Result<(), WriteError> {
        if let State::Aligned(aligned) = &mut self.state {
            if let Some((_, record)) = aligned.columns.get_mut(aligned.open) {
                record.add(done.offset, &done.statistics, &mut self.nodes)?;
            }
            aligned.open += 1;
            if aligned.is_lone {
                self.end_lone_column()?;
            }
        }
        self.start_column();
        Ok(())
    }

    /// Keeps the record of the column whose chunk was written.
    fn end_lone_column(&mut self) -> Result<(), WriteError> {
        let State::Aligned(aligned) = &self.state else { return Ok(()) };
        if let Some((column, record)) = aligned.columns.first() {
            let series = (&*column.name, Some(column.data_type), true);
            self.metadata.series(series, record, &self.nodes)?;
            self.written.series += 1;
        }
        Ok(self.clear_records()?)
    }

    /// Ends a group: columns that have no value in it get empty chunks.
    pub(super) fn end_rows(&mut self) -> Result<(), WriteError> {
        while let State::Aligned(aligned) = &self.state
            && aligned.has_rows
            && aligned.open < aligned.columns.len()
        {
            self.end_column()?;
        }
        Ok(())
    }
}

impl Aligned {
    fn new(columns: Vec<(Column, Record)>, is_lone: bool) -> Self {
        Self {
            columns,
            times: Record::new(None),
            rows: Vec::new(),
            page_ends: Vec::new(),
            open: 0,
            row: 0,
            has_rows: false,
            last_time: None,
            is_lone,
        }
    }

    const fn column(column: Column) -> (Column, Record) {
        let record = Record::new(Some(column.data_type));
        (column, record)
    }

    /// Whether records of series are kept for the end of the device.
    pub(super) const fn has_records(&self) -> bool {
        !self.is_lone && self.times.chunks > 0
    }

    /// Rows of the page in hand.
    fn page_rows(&self) -> &[i64] {
        let page = self.page_ends.partition_point(|end| *end <= self.row);
        let end = self.page_ends.get(page).copied().unwrap_or(self.row);
        self.rows.get(self.row..end).unwrap_or_default()
    }

    fn open_name(&self) -> String {
        self.columns.get(self.open).map(|(column, _)| column.name.clone()).unwrap_or_default()
    }

    /// Ends the page in hand of the open column.
    fn end_page(&mut self, chunk: &mut Chunk) -> Result<(), WriteError> {
        let rows = self.page_rows();
        let stray = chunk.value_page(rows)?;
        if let Some(time) = stray {
            return Err(WriteError::Time { series: self.open_name(), time });
        }
        self.row += rows.len();
        Ok(())
    }
}

//! Cutting aligned devices: group by group, because a group's columns share their rows.

use std::io;

use super::{CutError, Cutter, Lie};
use crate::data::{DataType, ReadAt};
use crate::tsfile::read::{ChunkCursor, ChunkHeader, ChunkPlace, ColumnForm, Device, Gone, Series};
use crate::tsfile::write::{Column, Scratch, Source, Writer};

/// An aligned device in hand.
#[derive(Debug)]
pub(super) struct Aligned {
    device: Device,
    times: ChunkCursor,
    columns: Vec<(ChunkCursor, Series)>,
    /// What is deleted of any of them.
    gone: Vec<Gone>,
}

impl<R: ReadAt> Cutter<'_, R> {
    /// Begins an aligned device, whose wanted columns these are: at least one.
    pub(super) fn begin_aligned<W: io::Write, S: Scratch>(
        &mut self,
        device: Device,
        times: &Series,
        columns: Vec<Series>,
        writer: &mut Writer<W, S>,
    ) -> Result<Aligned, CutError> {
        let mut specs = Vec::with_capacity(columns.len());
        let mut gone = Vec::new();
        for series in &columns {
            specs.push(self.column_of(series)?);
            self.plan.deletions.of_series(&device.id, &series.name, &mut self.gone);
            gone.append(&mut self.gone);
        }
        writer.aligned(&device.id, specs)?;
        let times = self.file.cursor(times);
        let columns =
            columns.into_iter().map(|series| (self.file.cursor(&series), series)).collect();
        Ok(Aligned { device, times, columns, gone })
    }

    /// The next group of its rows; false if there is none.
    pub(super) fn next_group<W: io::Write, S: Scratch>(
        &mut self,
        aligned: &mut Aligned,
        writer: &mut Writer<W, S>,
    ) -> Result<bool, CutError> {
        let Aligned { device, times, columns, gone } = aligned;
        let Some(place) = times.next(&mut self.metadata)? else { return Ok(false) };
        let statistics = self.statistics(place.statistics, None)?;
        let header = self.chunk(place.offset)?;
        let mut chunks = Vec::with_capacity(columns.len());
        for (list, _) in &mut *columns {
            chunks.push(list.next(&mut self.metadata)?);
        }
        let places = chunks.into_iter().zip(&*columns).map(|(chunk, (_, series))| (chunk, series));
        // What is gone of any column makes the group a border. Chunks of the group may begin later.
        self.gone.clone_from(gone);
        match self.lie(&statistics, place.offset) {
            Lie::Outside => {}
            Lie::Inside => {
                let file = self.ahead;
                writer.copy_rows(Source { file, header: &header, statistics: &statistics })?;
                self.copy_columns(places, writer)?;
            }
            Lie::Border => self.border_group(device, &header, places, writer)?,
        }
        Ok(true)
    }

    /// A column, encoded and compressed as its first chunk is.
    fn column_of(&mut self, series: &Series) -> Result<Column, CutError> {
        let mut column = Column::new(&*series.name, series.value_type.unwrap_or(DataType::Int64));
        let Some(first) = self.file.chunks(series).next()? else { return Ok(column) };
        let header = self.header(first, series)?;
        column.compression = header.compression;
        if header.encoding.is_written_for(column.data_type) {
            column.encoding = header.encoding;
        }
        Ok(column)
    }

    fn copy_columns<'s, W: io::Write, S: Scratch>(
        &mut self,
        columns: impl Iterator<Item = (Option<ChunkPlace>, &'s Series)>,
        writer: &mut Writer<W, S>,
    ) -> Result<(), CutError> {
        for (index, (place, series)) in columns.enumerate() {
            let Some(place) = place else { continue };
            let header = self.header(place, series)?;
            let statistics = self.statistics(place.statistics, series.value_type)?;
            let file = self.ahead;
            writer.copy_column(index, Source { file, header: &header, statistics: &statistics })?;
        }
        Ok(())
    }

    /// Cuts a group: its times first, then column after column.
    fn border_group<'s, W: io::Write, S: Scratch>(
        &mut self,
        device: &Device,
        times: &ChunkHeader,
        columns: impl Iterator<Item = (Option<ChunkPlace>, &'s Series)>,
        writer: &mut Writer<W, S>,
    ) -> Result<(), CutError> {
        let mut pages_of_rows: Vec<Vec<i64>> = Vec::new();
        let mut count = 0;
        let mut pages = self.file.pages(times);
        while let Some(page) = pages.next()? {
            let mut rows = Vec::new();
            self.reader.times(times, &page, &mut rows)?;
            count += rows.len();
            if count > self.plan.rows_max {
                let (device, what) = (device.id.path(), "rows in a group at a border");
                return Err(CutError::Wide { device, what, got: count, max: self.plan.rows_max });
            }
            pages_of_rows.push(rows);
        }
        let wanted = self.plan.selection.times;
        let all = pages_of_rows.iter().flatten().copied();
        let rows: Vec<i64> = all.filter(|time| wanted.contains(*time)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        writer.rows(&rows)?;
        for (index, (place, series)) in columns.enumerate() {
            let (Some(place), Some(data_type)) = (place, series.value_type) else { continue };
            self.plan.deletions.of_series(&device.id, &series.name, &mut self.gone);
            let header = self.header(place, series)?;
            let form = ColumnForm::of(&header, data_type);
            let mut pages = self.file.pages_of_column(&header, times.is_single_page());
            let mut rows_of_pages = pages_of_rows.iter();
            while let (Some(page), Some(rows)) = (pages.next()?, rows_of_pages.next()) {
                self.reader.column(form, &page, rows, &mut self.times, &mut self.values)?;
                self.trim(header.offset);
                writer.column(index, &self.times, &self.values)?;
            }
        }
        Ok(())
    }
}

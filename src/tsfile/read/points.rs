//! The points of a device, page by page.
//!
//! ```text
//!  not aligned   series after series: its chunks, their pages
//!  aligned       T1 a1 b1 | T2 a2 b2      for each time chunk, for each of its pages:
//!                                         the times once, then page k of every column
//! ```
//!
//! Chunk i of a column of an aligned device belongs to time chunk i; where their numbers differ, to the
//! last time chunk that stands before it. Of an aligned device [`TSFILE_COLUMNS_AT_ONCE`] columns are read
//! in one round, with a few numbers of memory each; a wider one takes more rounds.

use std::ops::Range;

use super::TsFile;
use super::chunk::{ChunkHeader, PageCursor, PageHeader};
use super::deletions::{Deletions, Gone};
use super::index::Device;
use super::page::{ColumnForm, PageReader};
use super::series::{ChunkCursor, ChunkPlace, Series, SeriesOf};
use crate::data::{DataType, ReadAt, TimeRange};
use crate::limits::TSFILE_COLUMNS_AT_ONCE;
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::Values;
use crate::tsfile::window::{TsFileError, Window, within};

/// Some points of one series, ascending in time in a sound file.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The measurement.
    pub measurement: &'a str,
    /// Type of the values.
    pub data_type: DataType,
    /// Number of the series among those wanted of this device.
    pub column: usize,
    /// The times.
    pub times: &'a [i64],
    /// As many values.
    pub values: &'a Values,
    /// The chunk they come from.
    pub chunk: ChunkPlace,
    /// The page they come from.
    pub page: PageHeader,
}

/// Reads the points of one device after another.
#[derive(Debug)]
pub struct Points<'f, R> {
    file: &'f TsFile<R>,
    deletions: Option<&'f Deletions>,
    wanted_times: TimeRange,
    reader: PageReader<'f, R>,
    /// For lists of chunks and headers, which lie elsewhere than the pages.
    metadata: Window<'f, R>,
    series: SeriesOf<'f, R>,
    device: DeviceId,
    /// Of an aligned device: its time column and where it is read.
    aligned: Option<Aligned>,
    columns: Vec<Column>,
    columns_before: usize,
    /// The column that was read last, and the page.
    at: usize,
    page: PageHeader,
    times: Vec<i64>,
    values: Values,
}

#[derive(Debug)]
struct Aligned {
    series: Series,
    chunks: ChunkCursor,
    chunk_count: u64,
    chunk: Option<ChunkHeader>,
    pages: Option<PageCursor>,
    /// Next time chunk, for columns whose chunks are not as many.
    next: Option<ChunkPlace>,
    rows: Vec<i64>,
    /// Next column to read of the page whose rows are in hand; beyond the last if none is.
    at: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    data_type: DataType,
    chunks: ChunkCursor,
    /// As many chunks as the time column has.
    is_paired: bool,
    /// A chunk that belongs to a later time chunk.
    put_back: Option<ChunkPlace>,
    chunk: ChunkPlace,
    form: Option<ColumnForm>,
    pages: Option<PageCursor>,
    gone: Vec<Gone>,
}

impl<'f, R: ReadAt> Points<'f, R> {
    /// A reader for the devices of `file`; without `deletions` nothing is taken for deleted.
    pub fn new(file: &'f TsFile<R>, deletions: Option<&'f Deletions>) -> Self {
        Self {
            file,
            deletions: deletions.filter(|deletions| !deletions.is_empty()),
            wanted_times: TimeRange::ALL,
            reader: PageReader::new(file),
            metadata: file.window(0, 0),
            series: SeriesOf::new(file),
            device: DeviceId::of_path(""),
            aligned: None,
            columns: Vec::new(),
            columns_before: 0,
            at: 0,
            page: PageHeader { offset: 0, bytes: 0, stored: 0, statistics: None, body: 0 },
            times: Vec::new(),
            values: Values::of(DataType::Int64),
        }
    }

    /// Leaves out points outside these times; pages without any of them are not decoded where their
    /// statistics say so.
    pub const fn within(&mut self, times: TimeRange) {
        self.wanted_times = times;
    }

    /// Begins with a device.
    ///
    /// # Errors
    /// [`TsFileError`] if its index is flawed.
    pub fn start(&mut self, device: &Device) -> Result<(), TsFileError> {
        self.series.enter(device)?;
        self.device.clone_from(&device.id);
        self.aligned = None;
        self.columns.clear();
        self.columns_before = 0;
        Ok(())
    }

    /// The next points of the device; `wants` says which series are read. After an error it goes on behind
    /// what is flawed.
    ///
    /// # Errors
    /// [`TsFileError`] if the file is flawed there.
    pub fn next(
        &mut self,
        mut wants: impl FnMut(&Series) -> bool,
    ) -> Result<Option<Piece<'_>>, TsFileError> {
        let column = loop {
            let column =
                if self.aligned.is_some() { self.next_aligned()? } else { self.next_plain()? };
            if let Some(column) = column {
                self.keep_wanted(column);
            }
            match column {
                Some(column) if !self.times.is_empty() => break column,
                None if !self.next_columns(&mut wants)? => return Ok(None),
                _ => {}
            }
        };
        Ok(self.columns.get(column).map(|of| Piece {
            measurement: &of.name,
            data_type: of.data_type,
            column: self.columns_before + column,
            times: &self.times,
            values: &self.values,
            chunk: of.chunk,
            page: self.page,
        }))
    }

    /// Number of the first series that is still being read: all before are complete.
    pub const fn first_open(&self) -> usize {
        self.columns_before
    }

    /// The series that was read last, also if that failed.
    pub fn current(&self) -> Option<&str> {
        self.columns.get(self.at).map(|column| column.name.as_str())
    }

    /// Takes in the next series, or of an aligned device the next round of columns.
    fn next_columns(
        &mut self,
        wants: &mut impl FnMut(&Series) -> bool,
    ) -> Result<bool, TsFileError> {
        self.columns_before += self.columns.len();
        self.columns.clear();
        while let Some(series) = self.series.next()? {
            let separator = self.file.summary().separator;
            let chunks = ChunkCursor::new(&series, separator);
            let Some(data_type) = series.value_type else {
                let chunk_count = chunks.count(&mut self.metadata)?;
                self.aligned = Some(Aligned::new(series, chunks, chunk_count));
                continue;
            };
            if !wants(&series) {
                continue;
            }
            let is_paired = match &self.aligned {
                Some(times) => chunks.count(&mut self.metadata)? == times.chunk_count,
                None => true,
            };
            let mut gone = Vec::new();
            if let Some(deletions) = self.deletions {
                deletions.of_series(&self.device, &series.name, &mut gone);
            }
            self.columns.push(Column {
                name: series.name,
                data_type,
                chunks,
                is_paired,
                put_back: None,
                chunk: ChunkPlace { offset: 0, statistics: 0 },
                form: None,
                pages: None,
                gone,
            });
            if self.aligned.is_none() || self.columns.len() >= TSFILE_COLUMNS_AT_ONCE {
                break;
            }
        }
        if let Some(times) = &mut self.aligned {
            times.rewind(self.file.summary().separator);
        }
        Ok(!self.columns.is_empty())
    }

    /// The next page of the only column.
    fn next_plain(&mut self) -> Result<Option<usize>, TsFileError> {
        self.at = 0;
        let Some(column) = self.columns.first_mut() else { return Ok(None) };
        loop {
            if let Some((form, page)) = column.next_page(&mut self.reader.window)? {
                self.page = page;
                self.reader.plain(form, &page, &mut self.times, &mut self.values)?;
                return Ok(Some(0));
            }
            let Some(place) = column.chunks.next(&mut self.metadata)? else { return Ok(None) };
            let chunk = header(&mut self.reader.window, self.file, place.offset)?;
            column.enter(place, &chunk, chunk.is_single_page())?;
        }
    }

    /// The next page of any column of an aligned device.
    #[expect(clippy::excessive_nesting, reason = "pages within chunks, columns within pages")]
    fn next_aligned(&mut self) -> Result<Option<usize>, TsFileError> {
        let Some(aligned) = &mut self.aligned else { return Ok(None) };
        if self.columns.is_empty() {
            return Ok(None);
        }
        loop {
            while let Some(column) = self.columns.get_mut(aligned.at) {
                self.at = aligned.at;
                aligned.at += 1;
                let Some((form, page)) = column.page_of_row(&mut self.reader.window)? else {
                    continue;
                };
                self.page = page;
                let (times, values) = (&mut self.times, &mut self.values);
                self.reader.column(form, &page, &aligned.rows, times, values)?;
                return Ok(Some(aligned.at - 1));
            }
            if aligned.next_rows(&mut self.reader)? {
                continue;
            }
            if !aligned.next_chunk(self.file, &mut self.metadata, &mut self.reader.window)? {
                return Ok(None);
            }
            for column in &mut self.columns {
                column.follow(aligned, self.file, &mut self.metadata, &mut self.reader.window)?;
            }
        }
    }

    /// Drops deleted points and those outside the wanted times.
    fn keep_wanted(&mut self, column: usize) {
        let Some(column) = self.columns.get(column) else { return };
        let applies = |gone: &&Gone| column.chunk.offset < gone.before;
        let outside = [
            TimeRange { min: i64::MIN, max: self.wanted_times.min.saturating_sub(1) },
            TimeRange { min: self.wanted_times.max.saturating_add(1), max: i64::MAX },
        ];
        let mut cuts: Vec<Range<usize>> = Vec::new();
        let gone = column.gone.iter().filter(applies).map(|gone| gone.times);
        let is_all = self.wanted_times == TimeRange::ALL;
        for times in gone.chain(outside.into_iter().filter(|_| !is_all)) {
            let start = self.times.partition_point(|time| *time < times.min);
            let end = self.times.partition_point(|time| *time <= times.max);
            if start < end {
                cuts.push(start..end);
            }
        }
        if cuts.is_empty() {
            return;
        }
        let kept = complement(cuts, self.times.len());
        self.values.keep(&kept);
        let mut length = 0;
        for range in kept {
            let count = range.len();
            self.times.copy_within(range, length);
            length += count;
        }
        self.times.truncate(length);
    }
}

/// What lies between some ranges, which may overlap.
fn complement(mut cuts: Vec<Range<usize>>, length: usize) -> Vec<Range<usize>> {
    cuts.sort_by_key(|cut| cut.start);
    let mut kept = Vec::new();
    let mut at = 0;
    for cut in cuts {
        if cut.start > at {
            kept.push(at..cut.start);
        }
        at = at.max(cut.end);
    }
    if at < length {
        kept.push(at..length);
    }
    kept
}

fn header<R: ReadAt>(
    window: &mut Window<'_, R>,
    file: &TsFile<R>,
    offset: u64,
) -> Result<ChunkHeader, TsFileError> {
    window.seek(offset, file.summary().separator);
    ChunkHeader::read(window)
}

impl Column {
    /// Begins with a chunk; `is_single` is what its, or its time chunk's, marker says.
    fn enter(
        &mut self,
        place: ChunkPlace,
        chunk: &ChunkHeader,
        is_single: bool,
    ) -> Result<(), TsFileError> {
        self.chunk = place;
        if chunk.name != self.name || chunk.value_type != Some(self.data_type) {
            return Err(TsFileError::OtherChunk { offset: chunk.offset });
        }
        self.form = Some(ColumnForm {
            data_type: self.data_type,
            encoding: chunk.encoding,
            compression: chunk.compression,
        });
        self.pages = Some(PageCursor::new(chunk, is_single));
        Ok(())
    }

    /// The next page of the chunk in hand that has values.
    fn next_page<R: ReadAt>(
        &mut self,
        window: &mut Window<'_, R>,
    ) -> Result<Option<(ColumnForm, PageHeader)>, TsFileError> {
        while let (Some(pages), Some(form)) = (&mut self.pages, self.form) {
            match pages.next(window)? {
                Some(page) if page.bytes > 0 => return Ok(Some((form, page))),
                Some(_) => {}
                None => self.pages = None,
            }
        }
        Ok(None)
    }

    /// The page that belongs to the rows in hand, if it has values.
    fn page_of_row<R: ReadAt>(
        &mut self,
        window: &mut Window<'_, R>,
    ) -> Result<Option<(ColumnForm, PageHeader)>, TsFileError> {
        let (Some(pages), Some(form)) = (&mut self.pages, self.form) else { return Ok(None) };
        let page = pages.next(window)?;
        if page.is_none() {
            self.pages = None;
        }
        Ok(page.filter(|page| page.bytes > 0).map(|page| (form, page)))
    }

    /// Begins with the chunk that belongs to the time chunk in hand, if there is one.
    fn follow<R: ReadAt>(
        &mut self,
        aligned: &Aligned,
        file: &TsFile<R>,
        metadata: &mut Window<'_, R>,
        window: &mut Window<'_, R>,
    ) -> Result<(), TsFileError> {
        self.pages = None;
        let place = match self.put_back.take() {
            Some(place) => Some(place),
            None => self.chunks.next(metadata)?,
        };
        let Some(place) = place else { return Ok(()) };
        let is_later = aligned.next.is_some_and(|next| next.offset < place.offset);
        if !self.is_paired && is_later {
            self.put_back = Some(place);
            return Ok(());
        }
        let chunk = header(window, file, place.offset)?;
        let is_single = aligned.chunk.as_ref().is_none_or(ChunkHeader::is_single_page);
        self.enter(place, &chunk, is_single)
    }
}

impl Aligned {
    const fn new(series: Series, chunks: ChunkCursor, chunk_count: u64) -> Self {
        Self {
            series,
            chunks,
            chunk_count,
            chunk: None,
            pages: None,
            next: None,
            rows: Vec::new(),
            at: usize::MAX,
        }
    }

    /// Goes back to the first chunk.
    const fn rewind(&mut self, separator: u64) {
        self.chunks = ChunkCursor::new(&self.series, separator);
        self.next = None;
        self.pages = None;
        self.at = usize::MAX;
    }

    /// Reads the times of the next page of the chunk in hand.
    fn next_rows<R: ReadAt>(
        &mut self,
        reader: &mut PageReader<'_, R>,
    ) -> Result<bool, TsFileError> {
        let (Some(pages), Some(chunk)) = (&mut self.pages, &self.chunk) else { return Ok(false) };
        let Some(page) = pages.next(&mut reader.window)? else { return Ok(false) };
        if page.bytes == 0 {
            self.rows.clear();
        } else {
            reader.times(chunk, &page, &mut self.rows)?;
        }
        self.at = 0;
        Ok(true)
    }

    /// Begins with the next time chunk.
    fn next_chunk<R: ReadAt>(
        &mut self,
        file: &TsFile<R>,
        metadata: &mut Window<'_, R>,
        window: &mut Window<'_, R>,
    ) -> Result<bool, TsFileError> {
        let place = match self.next.take() {
            Some(place) => Some(place),
            None => self.chunks.next(metadata)?,
        };
        let Some(place) = place else { return Ok(false) };
        let chunk = header(window, file, place.offset)?;
        if chunk.value_type.is_some() {
            return Err(TsFileError::OtherChunk { offset: place.offset });
        }
        within("chunk marker", place.offset, chunk.name.len() as i128, 0, 0)?;
        self.pages = Some(PageCursor::new(&chunk, chunk.is_single_page()));
        self.chunk = Some(chunk);
        self.next = self.chunks.next(metadata)?;
        Ok(true)
    }
}

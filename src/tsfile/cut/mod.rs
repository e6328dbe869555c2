//! Some of a file's points as a file of their own.
//!
//! ```text
//!  chunk wholly inside            copied as it is
//!  chunk at a border              page wholly inside: copied as it is; page at a border: decoded, cut, encoded
//!  group of an aligned device     wholly inside: all chunks copied; at a border: decoded, cut, encoded
//!  deletions                      what they touch is a border
//!
//!  encoding that is only read     its borders are written in the default encoding
//! ```
//!
//! Schemas of tables are copied as they are.
//!
//! What is inside is known from statistics, so that a border costs its pages and nothing else does.

mod ahead;
mod aligned;
#[cfg(test)]
mod tests;

use std::io;

use thiserror::Error;

use self::ahead::Ahead;
use crate::data::{DataType, ReadAt, TimeRange, path};
use crate::limits::TSFILE_SCHEMAS_BYTES_MAX;
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::{Encoding, Values};
use crate::tsfile::read::{
    ChunkHeader, ChunkPlace, ColumnForm, Deletions, Device, Gone, PageReader, Series, SeriesOf,
    TsFile,
};
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window, read_fully};
use crate::tsfile::write::{Column, Scratch, Source, WriteError, Writer};

/// Which points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Series whose path one of these patterns matches; none: all.
    pub keep: Vec<String>,
    /// Of these, not those that one of these patterns matches.
    pub drop: Vec<String>,
    /// Times.
    pub times: TimeRange,
}

impl Selection {
    /// Everything.
    pub const ALL: Self = Self { keep: Vec::new(), drop: Vec::new(), times: TimeRange::ALL };

    /// Whether a series is wanted.
    pub fn wants(&self, device: &DeviceId, measurement: &str) -> bool {
        if self.keep.is_empty() && self.drop.is_empty() {
            return true;
        }
        let path = format!("{device}.{measurement}");
        let any = |list: &[String]| list.iter().any(|pattern| path::matches(pattern, &path));
        (self.keep.is_empty() || any(&self.keep)) && !any(&self.drop)
    }

    /// Whether a device may have a series that is wanted.
    pub fn may_want(&self, device: &DeviceId) -> bool {
        let path = device.path();
        self.keep.is_empty()
            || self.keep.iter().any(|pattern| path::may_match_below(pattern, &path))
    }
}

/// Why a file cannot be cut.
#[derive(Debug, Error)]
pub enum CutError {
    /// The file is flawed there.
    #[error(transparent)]
    File(#[from] TsFileError),
    /// The new one cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Schemas of tables are copied in memory.
    #[error("the schemas of its tables have {bytes} bytes, at most {max} can be copied")]
    Schemas {
        /// Their bytes.
        bytes: u64,
        /// The limit.
        max: usize,
    },
}

/// Adds the selected points of a file to one that is being written, which must be of the same version and
/// take devices in the order of that version alone.
///
/// # Errors
/// [`CutError`].
pub fn cut<R: ReadAt, W: io::Write, S: Scratch>(
    file: &TsFile<R>,
    deletions: &Deletions,
    selection: &Selection,
    writer: &mut Writer<W, S>,
) -> Result<(), CutError> {
    if file.summary().schemas > 0 {
        writer.set_schemas(schemas_of(file)?);
    }
    let ahead = Ahead::new(file.file());
    let mut cutter = Cutter {
        file,
        deletions,
        selection,
        ahead: &ahead,
        headers: Window::new(&ahead, 0, 0),
        metadata: file.metadata(),
        reader: PageReader::new(file),
        gone: Vec::new(),
        stored: Vec::new(),
        times: Vec::new(),
        values: Values::of(DataType::Int64),
    };
    let mut devices = file.devices()?;
    while let Some(device) = devices.next()? {
        if selection.may_want(&device.id) {
            cutter.device(&device, writer)?;
        }
    }
    Ok(())
}

/// The schemas of all tables as they stand in the file: those of tables of which nothing is left do no harm.
fn schemas_of<R: ReadAt>(file: &TsFile<R>) -> Result<Vec<u8>, CutError> {
    let (start, bytes) = (file.summary().schemas_start, file.summary().schemas_bytes);
    let max = TSFILE_SCHEMAS_BYTES_MAX;
    let count = usize::try_from(bytes).ok().filter(|count| *count <= max);
    let mut schemas = vec![0; count.ok_or(CutError::Schemas { bytes, max })?];
    read_fully(file.file(), start, &mut schemas)?;
    Ok(schemas)
}

struct Cutter<'f, R> {
    file: &'f TsFile<R>,
    deletions: &'f Deletions,
    selection: &'f Selection,
    /// Where chunks are copied from, and their headers.
    ahead: &'f Ahead<'f, R>,
    headers: Window<'f, Ahead<'f, R>>,
    /// Statistics and chunk lists.
    metadata: Window<'f, R>,
    reader: PageReader<'f, R>,
    /// What is deleted of the series in hand.
    gone: Vec<Gone>,
    stored: Vec<u8>,
    times: Vec<i64>,
    values: Values,
}

/// How some points lie to the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    Inside,
    Outside,
    Border,
}

impl<R: ReadAt> Cutter<'_, R> {
    fn device<W: io::Write, S: Scratch>(
        &mut self,
        device: &Device,
        writer: &mut Writer<W, S>,
    ) -> Result<(), CutError> {
        let mut list = self.file.series(device)?;
        let Some(first) = list.next()? else { return Ok(()) };
        if first.is_time() {
            let columns = self.wanted_columns(device, list)?;
            return self.aligned(device, &first, columns, writer);
        }
        let mut has_device = false;
        let mut next = Some(first);
        while let Some(series) = next {
            next = list.next()?;
            if !self.has_wanted(device, &series)? {
                continue;
            }
            if !has_device {
                writer.device(&device.id)?;
                has_device = true;
            }
            self.series(device, &series, writer)?;
        }
        Ok(())
    }

    fn wanted_columns(
        &mut self,
        device: &Device,
        mut list: SeriesOf<'_, R>,
    ) -> Result<Vec<Series>, CutError> {
        let mut columns = Vec::new();
        while let Some(series) = list.next()? {
            if self.has_wanted(device, &series)? {
                columns.push(series);
            }
        }
        Ok(columns)
    }

    /// Whether a series is wanted and has points in the wanted times.
    fn has_wanted(&mut self, device: &Device, series: &Series) -> Result<bool, CutError> {
        if !self.selection.wants(&device.id, &series.name) {
            return Ok(false);
        }
        let statistics = self.statistics(series.statistics, series.value_type)?;
        let times = TimeRange { min: statistics.start, max: statistics.end };
        Ok(statistics.count > 0 && self.selection.times.overlaps(times))
    }

    fn lie(&self, statistics: &Statistics, chunk: u64) -> Lie {
        let times = TimeRange { min: statistics.start, max: statistics.end };
        let wanted = self.selection.times;
        if statistics.count == 0 || !wanted.overlaps(times) {
            return Lie::Outside;
        }
        let is_whole = wanted.min <= times.min && times.max <= wanted.max;
        let is_touched =
            self.gone.iter().any(|gone| chunk < gone.before && gone.times.overlaps(times));
        if is_whole && !is_touched { Lie::Inside } else { Lie::Border }
    }

    /// Drops points of the page in hand that are not wanted.
    fn trim(&mut self, chunk: u64) {
        let keep = |time: i64| {
            self.selection.times.contains(time)
                && !self.gone.iter().any(|gone| chunk < gone.before && gone.times.contains(time))
        };
        let mut ranges = Vec::new();
        let mut start = None;
        for (place, time) in self.times.iter().enumerate() {
            match (start, keep(*time)) {
                (None, true) => start = Some(place),
                (Some(from), false) => {
                    ranges.push(from..place);
                    start = None;
                }
                _ => {}
            }
        }
        ranges.extend(start.map(|from| from..self.times.len()));
        self.times.retain(|time| keep(*time));
        self.values.keep(&ranges);
    }

    fn series<W: io::Write, S: Scratch>(
        &mut self,
        device: &Device,
        series: &Series,
        writer: &mut Writer<W, S>,
    ) -> Result<(), CutError> {
        let Some(data_type) = series.value_type else { return Ok(()) };
        self.deletions.of_series(&device.id, &series.name, &mut self.gone);
        writer.series(Column::new(&*series.name, data_type))?;
        let mut chunks = self.file.cursor(series);
        while let Some(place) = chunks.next(&mut self.metadata)? {
            let statistics = self.statistics(place.statistics, series.value_type)?;
            match self.lie(&statistics, place.offset) {
                Lie::Outside => {}
                Lie::Inside => {
                    let header = self.header(place, series)?;
                    let file = self.ahead;
                    writer.copy_chunk(Source { file, header: &header, statistics: &statistics })?;
                }
                Lie::Border => {
                    let header = self.header(place, series)?;
                    self.border_chunk(&header, data_type, writer)?;
                }
            }
        }
        Ok(())
    }

    fn statistics(
        &mut self,
        place: u64,
        value_type: Option<DataType>,
    ) -> Result<Statistics, CutError> {
        Ok(self.file.statistics_by(&mut self.metadata, place, value_type)?)
    }

    fn chunk(&mut self, offset: u64) -> Result<ChunkHeader, CutError> {
        self.headers.seek(offset, self.file.summary().separator);
        Ok(ChunkHeader::read(&mut self.headers)?)
    }

    fn header(&mut self, place: ChunkPlace, series: &Series) -> Result<ChunkHeader, CutError> {
        let header = self.chunk(place.offset)?;
        if header.name == series.name && header.value_type == series.value_type {
            return Ok(header);
        }
        Err(TsFileError::OtherChunk { offset: place.offset }.into())
    }

    fn border_chunk<W: io::Write, S: Scratch>(
        &mut self,
        header: &ChunkHeader,
        data_type: DataType,
        writer: &mut Writer<W, S>,
    ) -> Result<(), CutError> {
        // Pages that would be mixed with ones in another encoding are decoded, too.
        let is_written = header.encoding.is_written_for(data_type);
        let encoding = if is_written { header.encoding } else { Encoding::default_for(data_type) };
        writer.recode(encoding, header.compression)?;
        let form = ColumnForm::of(header, data_type);
        let mut pages = self.file.pages(header);
        while let Some(page) = pages.next()? {
            let statistics = match page.statistics {
                Some(place) => Some(self.file.statistics(place, Some(data_type))?),
                None => None,
            };
            let lie = statistics.as_ref().map(|statistics| self.lie(statistics, header.offset));
            match (lie, statistics) {
                (Some(Lie::Outside), _) => {}
                (Some(Lie::Inside), Some(statistics)) if is_written => {
                    self.reader.stored(&page, &mut self.stored)?;
                    writer.copy_page(page.bytes, &self.stored, statistics)?;
                }
                _ if page.bytes == 0 => {}
                _ => {
                    self.reader.plain(form, &page, &mut self.times, &mut self.values)?;
                    self.trim(header.offset);
                    writer.points(&self.times, &self.values)?;
                }
            }
        }
        Ok(())
    }
}

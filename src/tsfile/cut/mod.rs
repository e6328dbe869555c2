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
//! What is inside is known from statistics, so that a border costs its pages and nothing else does. It goes step by step:
//! between two steps nothing of the file is held but where the cut stands.

mod ahead;
mod aligned;
mod selection;
mod stepwise;
#[cfg(test)]
mod tests;

use std::io;

use thiserror::Error;

use self::ahead::Ahead;
pub use self::selection::Selection;
pub use self::stepwise::{Cutting, Plan};
use crate::data::{DataType, ReadAt, TimeRange};
use crate::limits::{KIB, TSFILE_SCHEMAS_BYTES_MAX};
use crate::tsfile::encoding::{Encoding, Values};
use crate::tsfile::read::{
    ChunkCursor, ChunkHeader, ChunkPlace, ColumnForm, Gone, PageReader, Series, SeriesOf, TsFile,
};
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window, read_fully};
use crate::tsfile::write::{Scratch, Source, WriteError, Writer};

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
    /// An aligned device that takes more memory than the plan allows.
    #[error("{device} has {got} {what}, at most {max} are cut")]
    Wide {
        /// The device.
        device: String,
        /// `columns that are wanted`, or `rows in a group at a border`.
        what: &'static str,
        /// How many it has, as far as they were counted.
        got: usize,
        /// The limit of the plan.
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
    plan: &Plan<'_>,
    writer: &mut Writer<W, S>,
) -> Result<(), CutError> {
    let mut cutting = Cutting::new(file, writer)?;
    while cutting.step(file.file(), plan, writer, u64::MAX)? {}
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

/// What one step works with.
struct Cutter<'f, R> {
    file: &'f TsFile<R>,
    plan: &'f Plan<'f>,
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
    /// Statistics that were read last, and where they stand: those of a series are those of its lone chunk.
    known: Option<(u64, Statistics)>,
    /// The walk over series of the device before.
    spare: Option<SeriesOf<'f, R>>,
    /// Bytes that were worked through, more or less.
    worked: u64,
}

/// How some points lie to the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    Inside,
    Outside,
    Border,
}

impl<'f, R: ReadAt> Cutter<'f, R> {
    fn new(file: &'f TsFile<R>, plan: &'f Plan<'f>, ahead: &'f Ahead<'f, R>) -> Self {
        Self {
            file,
            plan,
            ahead,
            headers: Window::new(ahead, 0, 0),
            metadata: file.metadata(),
            reader: PageReader::new(file),
            gone: Vec::new(),
            stored: Vec::new(),
            times: Vec::new(),
            values: Values::of(DataType::Int64),
            known: None,
            spare: None,
            worked: 0,
        }
    }

    /// Whether a series has points in the wanted times.
    fn has_points(&mut self, series: &Series) -> Result<bool, CutError> {
        let statistics = self.statistics(series.statistics, series.value_type)?;
        let times = TimeRange { min: statistics.start, max: statistics.end };
        Ok(statistics.count > 0 && self.plan.selection.times.overlaps(times))
    }

    fn lie(&self, statistics: &Statistics, chunk: u64) -> Lie {
        let times = TimeRange { min: statistics.start, max: statistics.end };
        let wanted = self.plan.selection.times;
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
            self.plan.selection.times.contains(time)
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

    /// The next chunk of a series that is not aligned; false if there is none.
    fn next_chunk<W: io::Write, S: Scratch>(
        &mut self,
        series: &Series,
        chunks: &mut ChunkCursor,
        writer: &mut Writer<W, S>,
    ) -> Result<bool, CutError> {
        let (Some(data_type), Some(place)) = (series.value_type, chunks.next(&mut self.metadata)?)
        else {
            return Ok(false);
        };
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
        Ok(true)
    }

    fn statistics(
        &mut self,
        place: u64,
        value_type: Option<DataType>,
    ) -> Result<Statistics, CutError> {
        if let Some((_, known)) = self.known.as_ref().filter(|known| known.0 == place) {
            return Ok(known.clone());
        }
        let read = self.file.statistics_by(&mut self.metadata, place, value_type)?;
        // Long texts are not held.
        self.known = (read.text_bytes() <= KIB).then(|| (place, read.clone()));
        Ok(read)
    }

    fn chunk(&mut self, offset: u64) -> Result<ChunkHeader, CutError> {
        self.headers.seek(offset, self.file.summary().separator);
        let header = ChunkHeader::read(&mut self.headers)?;
        self.worked += header.end.saturating_sub(offset);
        Ok(header)
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

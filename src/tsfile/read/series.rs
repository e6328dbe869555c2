//! Series of a device, and chunks of a series.
//!
//! ```text
//!  series   u8 flags | vstr measurement | u8 type | uvar list bytes | statistics | list
//!  list     i64 offset of the chunk | its statistics, if the series has more than one chunk
//! ```
//!
//! Bit 0 of the flags (any of the lower six) says that chunks have statistics of their own. The upper two
//! are not reliable: a device is aligned if its first series is the time column, type 6 without a name.

use super::index::{Device, KeyForm, Span, Tree};
use super::{TsFile, value_type};
use crate::data::{DataType, ReadAt};
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window};

/// Flags that say that chunks have statistics.
const OWN_STATISTICS: u8 = 0x3f;

/// A series of a device; its statistics and chunks are read when asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The measurement; empty for the time column.
    pub name: String,
    /// Type of the values; `None` for the time column of an aligned device.
    pub value_type: Option<DataType>,
    /// Where its record stands.
    pub offset: u64,
    /// Where the statistics of all its points stand.
    pub statistics: u64,
    /// Whether its chunks have statistics of their own.
    has_own: bool,
    list: Span,
}

impl Series {
    fn read<R: ReadAt>(window: &mut Window<'_, R>) -> Result<Self, TsFileError> {
        let offset = window.offset();
        let flags = window.u8("series flags")?;
        let name = window.text("measurement")?.unwrap_or_default();
        let value_type = value_type(window)?;
        let bytes = window.count("chunk list length", 1)?;
        let statistics = window.offset();
        Statistics::skip(window, value_type)?;
        let start = window.offset();
        window.skip(bytes.into(), "chunk list")?;
        Ok(Self {
            name,
            value_type,
            offset,
            statistics,
            has_own: flags & OWN_STATISTICS != 0,
            list: Span { start, end: window.offset() },
        })
    }

    /// Whether it is the time column of an aligned device.
    pub const fn is_time(&self) -> bool {
        self.value_type.is_none()
    }
}

/// Walks over the series of a device.
#[derive(Debug)]
pub struct SeriesOf<'f, R> {
    file: &'f TsFile<R>,
    tree: Tree<Window<'f, R>>,
    /// The records of one entry.
    window: Window<'f, R>,
    /// Bytes of all records so far.
    bytes: u64,
}

/// Where a walk over series waits.
#[derive(Debug)]
pub(in crate::tsfile) struct SeriesAt {
    tree: Tree<Span>,
    records: Span,
    bytes: u64,
}

impl SeriesAt {
    /// Goes on.
    pub(in crate::tsfile) fn resume<R: ReadAt>(self, file: &TsFile<R>) -> SeriesOf<'_, R> {
        let Self { tree, records, bytes } = self;
        let window = file.wide_window(records.start, records.end);
        SeriesOf { file, tree: tree.resume(file), window, bytes }
    }
}

impl<'f, R: ReadAt> SeriesOf<'f, R> {
    /// Waits.
    pub(in crate::tsfile) fn pause(self) -> SeriesAt {
        let Self { tree, window, bytes, .. } = self;
        let records = Span { start: window.offset(), end: window.end() };
        SeriesAt { tree: tree.pause(), records, bytes }
    }

    /// A walk that has no device yet.
    pub(in crate::tsfile) fn new(file: &'f TsFile<R>) -> Self {
        let tree = Tree::new(file, KeyForm::Text, false);
        Self { file, tree, window: file.wide_window(0, 0), bytes: 0 }
    }

    /// Begins with another device: what was read ahead serves it, too, if it lies behind the one before.
    ///
    /// # Errors
    /// [`TsFileError`] if its root cannot be read; then the walk is over.
    pub fn enter(&mut self, device: &Device) -> Result<(), TsFileError> {
        self.window.seek(0, 0);
        self.tree.restart(self.file, device.root)
    }

    /// The next series. After an error it goes on behind what is flawed.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed.
    #[expect(clippy::should_implement_trait, reason = "an iterator that can fail")]
    pub fn next(&mut self) -> Result<Option<Series>, TsFileError> {
        let mut key = None;
        if self.window.left() == 0 {
            let Some(entry) = self.tree.next(self.file)? else { return Ok(None) };
            self.file.may_walk(entry.span.start)?;
            self.window.seek(entry.span.start, entry.span.end);
            let bytes = self.window.left();
            self.file.walk(bytes);
            self.bytes += bytes;
            key = Some(entry.key);
        }
        let series = Series::read(&mut self.window);
        if series.is_err() {
            self.window.seek(0, 0);
        }
        let series = series?;
        match key {
            Some(key) if key.table() != series.name => {
                Err(TsFileError::FirstKey { offset: series.offset })
            }
            _ => Ok(Some(series)),
        }
    }

    /// Bytes of the metadata zone that were walked over, of all devices: nodes and records.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes + self.tree.bytes()
    }
}

/// Where a chunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Offset of its marker.
    pub offset: u64,
    /// Where its statistics stand.
    pub statistics: u64,
}

/// Walks over the chunks of a series.
#[derive(Debug)]
pub struct Chunks<'f, R> {
    window: Window<'f, R>,
    cursor: ChunkCursor,
}

impl<'f, R: ReadAt> Chunks<'f, R> {
    pub(super) fn new(file: &'f TsFile<R>, series: &Series) -> Self {
        let cursor = ChunkCursor::new(series, file.summary.separator);
        Self { window: file.window(series.list.start, series.list.end), cursor }
    }

    /// The next chunk.
    ///
    /// # Errors
    /// [`TsFileError`] if its offset lies outside the data zone.
    #[expect(clippy::should_implement_trait, reason = "an iterator that can fail")]
    pub fn next(&mut self) -> Result<Option<ChunkPlace>, TsFileError> {
        self.cursor.next(&mut self.window)
    }
}

/// A place in a list of chunks, without a window of its own.
#[derive(Debug, Clone, Copy)]
pub(in crate::tsfile) struct ChunkCursor {
    list: Span,
    value_type: Option<DataType>,
    /// Statistics of the series, where chunks have none of their own.
    of_series: Option<u64>,
    /// Where the data zone ends.
    separator: u64,
}

impl ChunkCursor {
    pub(super) const fn new(series: &Series, separator: u64) -> Self {
        Self {
            list: series.list,
            value_type: series.value_type,
            of_series: if series.has_own { None } else { Some(series.statistics) },
            separator,
        }
    }

    /// The next chunk. After an error the list is over.
    pub(in crate::tsfile) fn next<R: ReadAt>(
        &mut self,
        window: &mut Window<'_, R>,
    ) -> Result<Option<ChunkPlace>, TsFileError> {
        let start = std::mem::replace(&mut self.list.start, self.list.end);
        if start >= self.list.end {
            return Ok(None);
        }
        window.seek(start, self.list.end);
        // A chunk group's header stands before its chunks.
        let offset = window.position("chunk offset", 8, self.separator - 1)?;
        let statistics = self.of_series.unwrap_or_else(|| window.offset());
        if self.of_series.is_none() {
            Statistics::skip(window, self.value_type)?;
        }
        self.list.start = window.offset();
        Ok(Some(ChunkPlace { offset, statistics }))
    }

    /// How many are left.
    pub(super) fn count<R: ReadAt>(
        mut self,
        window: &mut Window<'_, R>,
    ) -> Result<u64, TsFileError> {
        let mut count = 0;
        while self.next(window)?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

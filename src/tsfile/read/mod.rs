//! Reading a file through positioned reads, in memory that does not grow with the file.
//!
//! ```text
//!  TsFile -- devices() --> Device -- series() --> Series -- chunks() --> ChunkPlace
//!                 index.rs           series.rs             series.rs         |
//!                                                                        chunk.rs: ChunkHeader, PageHeader
//!  Points (points.rs): the points of a device,                               |
//!  series by series, page by page  <-------------- page.rs: decompressed, decoded, deletions applied
//! ```
//!
//! The index is walked, one entry of each of its levels in hand; lists of chunks are walked; a page is the
//! unit that lies in memory, and a larger one than [`TSFILE_PAGE_BYTES_MAX`] is refused. What several nodes point to is
//! walked over as often, but no more than the index is long a few times over.
//!
//! [`TSFILE_PAGE_BYTES_MAX`]: crate::limits::TSFILE_PAGE_BYTES_MAX

mod chunk;
mod deletions;
mod index;
mod page;
mod points;
mod series;
mod tally;
#[cfg(test)]
mod tests;
mod walk;

use std::cell::Cell;

pub use self::chunk::{ChunkHeader, PageHeader, Pages};
pub(super) use self::deletions::Gone;
pub use self::deletions::{Deletions, DeletionsError};
pub(in crate::tsfile) use self::index::DevicesAt;
pub(super) use self::index::read_segments;
pub use self::index::{Device, Devices, Span};
pub(super) use self::page::ColumnForm;
pub use self::page::PageReader;
pub use self::points::{Piece, Points};
pub(in crate::tsfile) use self::series::{ChunkCursor, SeriesAt};
pub use self::series::{ChunkPlace, Chunks, Series, SeriesOf};
pub use self::tally::{Counting, Tally};
pub use self::walk::{Visit, Walk};
use super::bloom::Shape;
use super::statistics::Statistics;
use super::tail::{self, Summary};
use super::window::{TsFileError, WIDE_WINDOW_BYTES, Window};
use crate::data::{DataType, ReadAt};
use crate::limits::{KIB, TSFILE_INDEX_WALKS_MAX};

/// Bytes that are read at once of statistics and lists of chunks.
const METADATA_WINDOW_BYTES: usize = 16 * KIB;

/// An open file whose two ends are sound.
#[derive(Debug)]
pub struct TsFile<R> {
    file: R,
    summary: Summary,
    /// Bytes of the index that were walked over since the last walk over devices began.
    walked: Cell<u64>,
}

impl<R: ReadAt> TsFile<R> {
    /// Checks both ends of a file.
    ///
    /// # Errors
    /// As [`tail::check`].
    pub fn open(file: R) -> Result<Self, TsFileError> {
        let summary = tail::check(&file)?;
        Ok(Self { file, summary, walked: Cell::new(0) })
    }

    /// A file whose two ends were found sound before.
    pub const fn checked(file: R, summary: Summary) -> Self {
        Self::resume(file, summary, 0)
    }

    /// A file that was opened before, of whose index so many bytes were walked over.
    pub(super) const fn resume(file: R, summary: Summary, walked: u64) -> Self {
        Self { file, summary, walked: Cell::new(walked) }
    }

    /// Bytes of the index that were walked over since the last walk over devices began.
    pub(super) const fn walked(&self) -> u64 {
        self.walked.get()
    }

    /// What the two ends say.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The bytes.
    pub const fn file(&self) -> &R {
        &self.file
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.file.len()
    }

    /// Where the metadata block begins: the index lies before.
    pub fn block_start(&self) -> u64 {
        self.file.len().saturating_sub(10 + self.summary.metadata_bytes)
    }

    /// Where the bloom filter lies, its bytes and its shape.
    ///
    /// # Errors
    /// [`TsFileError`] if its shape cannot be read.
    pub(crate) fn bloom(&self) -> Result<(u64, u64, Shape), TsFileError> {
        let (start, bytes) = (self.summary.bloom, u64::from(self.summary.bloom_bytes));
        if bytes == 0 {
            return Ok((start, bytes, Shape { bits: 0, hashes: 0 }));
        }
        let mut window = self.window(start + bytes, self.bytes().saturating_sub(10));
        let bits = window.var("bloom filter size")?;
        Ok((start, bytes, Shape { bits, hashes: window.var("bloom filter hash count")? }))
    }

    /// Walks over all devices in the order of the index. One walk at a time: with the series of its devices it ends
    /// with an error once it has read [`TSFILE_INDEX_WALKS_MAX`] times what the index has.
    ///
    /// # Errors
    /// [`TsFileError`] if a root cannot be read.
    pub fn devices(&self) -> Result<Devices<'_, R>, TsFileError> {
        self.walked.set(0);
        Devices::new(self)
    }

    /// Whether the walk may go on: nodes may be shared, and then there are more ways through the index than a
    /// computer can go.
    fn may_walk(&self, offset: u64) -> Result<(), TsFileError> {
        let index = self.bytes().saturating_sub(self.summary.separator);
        let max = index.saturating_mul(TSFILE_INDEX_WALKS_MAX);
        if self.walked.get() > max { Err(TsFileError::Shared { offset, max }) } else { Ok(()) }
    }

    /// So many bytes of the index were walked over.
    fn walk(&self, bytes: u64) {
        self.walked.set(self.walked.get().saturating_add(bytes));
    }

    /// Walks over the series of a device in the order of the index; the time column of an aligned one
    /// comes first. For many devices one walk is kept, and begun again by [`SeriesOf::enter`].
    ///
    /// # Errors
    /// [`TsFileError`] if the device's root cannot be read.
    pub fn series(&self, device: &Device) -> Result<SeriesOf<'_, R>, TsFileError> {
        let mut series = SeriesOf::new(self);
        series.enter(device)?;
        Ok(series)
    }

    /// Walks over the chunks of a series, in the order in which they were written.
    pub fn chunks(&self, series: &Series) -> Chunks<'_, R> {
        Chunks::new(self, series)
    }

    /// Reads the header of a chunk.
    ///
    /// # Errors
    /// [`TsFileError`] if none stands there.
    pub fn chunk(&self, offset: u64) -> Result<ChunkHeader, TsFileError> {
        ChunkHeader::read(&mut Window::new(&self.file, offset, self.summary.separator))
    }

    /// A window over the index for many small reads one behind the other; it has no range yet.
    pub(super) fn metadata(&self) -> Window<'_, R> {
        Window::wide(&self.file, 0, 0, METADATA_WINDOW_BYTES)
    }

    /// As [`Self::statistics`], through a window that is kept.
    pub(super) fn statistics_by(
        &self,
        window: &mut Window<'_, R>,
        offset: u64,
        value_type: Option<DataType>,
    ) -> Result<Statistics, TsFileError> {
        window.seek(offset, self.block_start());
        Statistics::read(window, value_type)
    }

    /// As [`Self::chunks`], for a window that is kept.
    pub(super) const fn cursor(&self, series: &Series) -> ChunkCursor {
        ChunkCursor::new(series, self.summary.separator)
    }

    /// Walks over the headers of a chunk's pages.
    pub fn pages(&self, chunk: &ChunkHeader) -> Pages<'_, R> {
        Pages::new(self, chunk)
    }

    /// The same for a value chunk of an aligned device, whose time chunk says whether it has one page.
    pub(super) fn pages_of_column(&self, chunk: &ChunkHeader, is_single: bool) -> Pages<'_, R> {
        Pages::of_column(self, chunk, is_single)
    }

    /// Reads statistics that something pointed to.
    ///
    /// # Errors
    /// [`TsFileError`] if they do not lie in the file.
    pub fn statistics(
        &self,
        offset: u64,
        value_type: Option<DataType>,
    ) -> Result<Statistics, TsFileError> {
        Statistics::read(&mut Window::new(&self.file, offset, self.block_start()), value_type)
    }

    /// A window that reads little at a time.
    fn window(&self, start: u64, end: u64) -> Window<'_, R> {
        Window::new(&self.file, start, end)
    }

    /// A window that reads much at a time.
    fn wide_window(&self, start: u64, end: u64) -> Window<'_, R> {
        Window::wide(&self.file, start, end, WIDE_WINDOW_BYTES)
    }
}

/// The type of a column: `None` for times.
fn value_type<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
) -> Result<Option<DataType>, TsFileError> {
    const VECTOR: u8 = 6;
    let offset = window.offset();
    let code = window.u8("data type")?;
    if code == VECTOR {
        return Ok(None);
    }
    let known = DataType::from_code(code).filter(|data_type| *data_type != DataType::Object);
    known.map(Some).ok_or(TsFileError::Unknown { what: "data type", offset, got: code })
}

//! Headers of chunks and pages.
//!
//! ```text
//!  chunk   u8 marker | vstr measurement | uvar bytes of all pages | u8 type | u8 compressor | u8 encoding
//!  marker  01 two pages or more | 05 one page       + 80 times, + 40 values of an aligned device
//!  page    uvar bytes | uvar bytes as stored | statistics, unless the chunk has one page | body
//! ```
//!
//! A page of 0 bytes ends right there: no row of it has a value. Defined by `ChunkHeader`, `PageHeader`
//! and `MetaMarker` of tsfile.

use super::{TsFile, value_type};
use crate::data::{DataType, ReadAt};
use crate::limits::TSFILE_PAGE_BYTES_MAX;
use crate::tsfile::compression::Compression;
use crate::tsfile::encoding::Encoding;
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window};

/// Low bits of a marker: a chunk of several pages, and one of a single page.
const MARKER_PAGES: u8 = 1;
const MARKER_ONE_PAGE: u8 = 5;
const MARKER_MASK: u8 = 0x3f;

/// What stands before the pages of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Where it stands.
    pub offset: u64,
    /// The marker with its masks.
    pub marker: u8,
    /// The measurement; empty for times.
    pub name: String,
    /// Type of the values; `None` for times.
    pub value_type: Option<DataType>,
    /// How pages are compressed.
    pub compression: Compression,
    /// How values, or times of an aligned device, are encoded.
    pub encoding: Encoding,
    /// Where the pages begin.
    pub start: u64,
    /// Where they end.
    pub end: u64,
}

impl ChunkHeader {
    /// Whether a marker stands before a chunk.
    pub const fn is_marker(marker: u8) -> bool {
        matches!(marker & MARKER_MASK, MARKER_PAGES | MARKER_ONE_PAGE) && marker < 0xc0
    }

    /// Whether its pages have no statistics: they are those of the chunk.
    pub const fn is_single_page(&self) -> bool {
        self.marker & MARKER_MASK == MARKER_ONE_PAGE
    }

    /// Reads it; the window ends with the data zone.
    pub(crate) fn read<R: ReadAt + ?Sized>(
        window: &mut Window<'_, R>,
    ) -> Result<Self, TsFileError> {
        let offset = window.offset();
        let marker = window.u8("chunk marker")?;
        if !Self::is_marker(marker) {
            return Err(TsFileError::Unknown { what: "chunk marker", offset, got: marker });
        }
        let name = window.text("measurement")?.unwrap_or_default();
        let bytes = window.var("chunk length")?;
        let value_type = value_type(window)?;
        let at = window.offset();
        let code = window.u8("compressor")?;
        let compression = Compression::from_code(code).ok_or(TsFileError::Unknown {
            what: "compressor",
            offset: at,
            got: code,
        })?;
        let at = window.offset();
        let code = window.u8("encoding")?;
        let encoding = Encoding::from_code(code).ok_or(TsFileError::Unknown {
            what: "encoding",
            offset: at,
            got: code,
        })?;
        let start = window.offset();
        window.skip(bytes.into(), "chunk")?;
        let end = window.offset();
        Ok(Self { offset, marker, name, value_type, compression, encoding, start, end })
    }
}

/// What stands before the body of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageHeader {
    /// Where it stands.
    pub offset: u64,
    /// Bytes of the body; 0 if no row has a value.
    pub bytes: u32,
    /// Bytes of the body as stored.
    pub stored: u32,
    /// Where its own statistics stand; `None` in a chunk of one page.
    pub statistics: Option<u64>,
    /// Where the body begins.
    pub body: u64,
}

impl PageHeader {
    /// Where the page ends.
    pub fn end(&self) -> u64 {
        self.body + u64::from(self.stored)
    }
}

/// A place among the pages of a chunk, without a window of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageCursor {
    at: u64,
    end: u64,
    value_type: Option<DataType>,
    has_statistics: bool,
}

impl PageCursor {
    /// `is_single` is what the chunk's marker says; of an aligned value chunk, what its time chunk's says.
    pub(super) const fn new(chunk: &ChunkHeader, is_single: bool) -> Self {
        let (at, end) = (chunk.start, chunk.end);
        Self { at, end, value_type: chunk.value_type, has_statistics: !is_single }
    }

    /// The next page. After an error the chunk is over.
    pub(super) fn next<R: ReadAt>(
        &mut self,
        window: &mut Window<'_, R>,
    ) -> Result<Option<PageHeader>, TsFileError> {
        let offset = std::mem::replace(&mut self.at, self.end);
        if offset >= self.end {
            return Ok(None);
        }
        window.seek(offset, self.end);
        let bytes = window.var("page length")?;
        let mut page = PageHeader { offset, bytes, stored: 0, statistics: None, body: 0 };
        if bytes > 0 {
            page.stored = window.var("stored page length")?;
            if self.has_statistics {
                page.statistics = Some(window.offset());
                Statistics::skip(window, self.value_type)?;
            }
        }
        page.body = window.offset();
        for got in [bytes, page.stored] {
            let max = TSFILE_PAGE_BYTES_MAX as u64;
            if u64::from(got) > max {
                return Err(TsFileError::Large { what: "page", offset, got: got.into(), max });
            }
        }
        window.skip(page.stored.into(), "page")?;
        self.at = window.offset();
        Ok(Some(page))
    }
}

/// Walks over the pages of a chunk.
#[derive(Debug)]
pub struct Pages<'f, R> {
    window: Window<'f, R>,
    cursor: PageCursor,
}

impl<'f, R: ReadAt> Pages<'f, R> {
    pub(super) fn new(file: &'f TsFile<R>, chunk: &ChunkHeader) -> Self {
        Self::of_column(file, chunk, chunk.is_single_page())
    }

    pub(super) fn of_column(file: &'f TsFile<R>, chunk: &ChunkHeader, is_single: bool) -> Self {
        let cursor = PageCursor::new(chunk, is_single);
        Self { window: file.window(chunk.start, chunk.end), cursor }
    }

    /// The next page.
    ///
    /// # Errors
    /// [`TsFileError`] if it does not end within its chunk, or is larger than what is read.
    #[expect(clippy::should_implement_trait, reason = "an iterator that can fail")]
    pub fn next(&mut self) -> Result<Option<PageHeader>, TsFileError> {
        self.cursor.next(&mut self.window)
    }
}

//! Bodies of pages: decompressed and decoded.
//!
//! ```text
//!  not aligned      uvar bytes of the times | times, TS_2DIFF | values
//!  aligned, times   times, encoded as the chunk's header says
//!  aligned, values  i32 rows | bitmap, first row in the top bit of the first byte | values that are there
//! ```

use super::TsFile;
use super::chunk::{ChunkHeader, PageHeader};
use crate::data::{DataType, ReadAt};
use crate::limits::TSFILE_PAGE_POINTS_MAX;
use crate::tsfile::compression::Compression;
use crate::tsfile::encoding::bits::{take_slice, take_var};
use crate::tsfile::encoding::{CodecError, Encoding, Values, decode, decode_times, decode_v3};
use crate::tsfile::window::{TsFileError, WIDE_WINDOW_BYTES, Window};

/// Reads pages through buffers that are used again.
#[derive(Debug)]
pub struct PageReader<'f, R> {
    pub(super) window: Window<'f, R>,
    stored: Vec<u8>,
    body: Vec<u8>,
    /// Of the file.
    version: u8,
}

impl<'f, R: ReadAt> PageReader<'f, R> {
    /// A reader for any page of the file.
    pub const fn new(file: &'f TsFile<R>) -> Self {
        let window = Window::wide(&file.file, 0, 0, WIDE_WINDOW_BYTES);
        Self { window, stored: Vec::new(), body: Vec::new(), version: file.summary.version }
    }

    /// Reads a page's body as it is stored, replacing `into`.
    ///
    /// # Errors
    /// [`TsFileError`] if it cannot be read.
    pub(crate) fn stored(
        &mut self,
        page: &PageHeader,
        into: &mut Vec<u8>,
    ) -> Result<(), TsFileError> {
        self.window.seek(page.body, page.end());
        self.window.take_into(page.stored as usize, "page", into)
    }

    /// Reads and decompresses a page's body; an empty one has none.
    ///
    /// # Errors
    /// [`TsFileError`] if it cannot be read, or not be decompressed to its stated size.
    pub fn body(
        &mut self,
        page: &PageHeader,
        compression: Compression,
    ) -> Result<&[u8], TsFileError> {
        self.window.seek(page.body, page.end());
        self.window.take_into(page.stored as usize, "page", &mut self.stored)?;
        if compression == Compression::None && page.stored != page.bytes {
            return Err(TsFileError::Value {
                what: "stored page length",
                offset: page.offset,
                min: page.bytes.into(),
                max: page.bytes.into(),
                got: page.stored.into(),
            });
        }
        compression
            .undo(&self.stored, page.bytes as usize, &mut self.body)
            .map_err(|source| TsFileError::Compressed { offset: page.offset, source })
    }

    /// Reads the points of a page of a series that is not aligned; `times` and `values` are replaced.
    ///
    /// # Errors
    /// [`TsFileError`] if the page is flawed.
    pub(crate) fn plain(
        &mut self,
        column: ColumnForm,
        page: &PageHeader,
        times: &mut Vec<i64>,
        values: &mut Values,
    ) -> Result<(), TsFileError> {
        let (flawed, version) = (flawed(page), self.version);
        let body = self.body(page, column.compression)?;
        times.clear();
        values.reset(column.data_type);
        decode_points(body, (column, version), times, values).map_err(flawed)
    }

    /// Reads the times of a page of an aligned device; `times` is replaced.
    ///
    /// # Errors
    /// [`TsFileError`] if the page is flawed.
    pub fn times(
        &mut self,
        chunk: &ChunkHeader,
        page: &PageHeader,
        times: &mut Vec<i64>,
    ) -> Result<(), TsFileError> {
        let flawed = flawed(page);
        let body = self.body(page, chunk.compression)?;
        times.clear();
        decode_times(chunk.encoding, body, TSFILE_PAGE_POINTS_MAX, times).map_err(flawed)
    }

    /// Reads the values of a page of an aligned device; `rows` are the times of the matching time page,
    /// `times` becomes those at which there is a value.
    ///
    /// # Errors
    /// [`TsFileError`] if the page is flawed, also if it has another number of rows.
    pub(crate) fn column(
        &mut self,
        column: ColumnForm,
        page: &PageHeader,
        rows: &[i64],
        times: &mut Vec<i64>,
        values: &mut Values,
    ) -> Result<(), TsFileError> {
        times.clear();
        values.reset(column.data_type);
        if page.bytes == 0 {
            return Ok(());
        }
        let (flawed, version) = (flawed(page), self.version);
        let body = self.body(page, column.compression)?;
        decode_column(body, (column, version), rows, times, values).map_err(flawed)
    }
}

/// How the values of a column are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnForm {
    pub(super) data_type: DataType,
    pub(super) encoding: Encoding,
    pub(super) compression: Compression,
}

impl ColumnForm {
    /// What a chunk's header says.
    pub(crate) const fn of(chunk: &ChunkHeader, data_type: DataType) -> Self {
        Self { data_type, encoding: chunk.encoding, compression: chunk.compression }
    }
}

fn flawed(page: &PageHeader) -> impl Fn(CodecError) -> TsFileError + use<> {
    let offset = page.offset;
    move |source| TsFileError::Codec { offset, source }
}

fn decode_points(
    mut body: &[u8],
    (column, version): (ColumnForm, u8),
    times: &mut Vec<i64>,
    values: &mut Values,
) -> Result<(), CodecError> {
    let bytes = take_var(&mut body)? as usize;
    let encoded = take_slice(&mut body, bytes)?;
    decode_times(Encoding::Ts2Diff, encoded, TSFILE_PAGE_POINTS_MAX, times)?;
    decode_values(version, column, body, times.len(), values)
}

fn decode_column(
    mut body: &[u8],
    (column, version): (ColumnForm, u8),
    rows: &[i64],
    times: &mut Vec<i64>,
    values: &mut Values,
) -> Result<(), CodecError> {
    let (head, rest) = body.split_first_chunk().ok_or(CodecError::End)?;
    body = rest;
    let stated = i32::from_be_bytes(*head);
    if usize::try_from(stated) != Ok(rows.len()) {
        return Err(CodecError::Value { what: "row count", got: stated.into() });
    }
    let bitmap = take_slice(&mut body, rows.len().div_ceil(8))?;
    for (rows, bits) in rows.chunks(8).zip(bitmap) {
        // Most columns have no nulls.
        if *bits == 0xff {
            times.extend_from_slice(rows);
            continue;
        }
        let present = rows.iter().enumerate().filter(|(place, _)| (bits << place) & 0x80 != 0);
        times.extend(present.map(|(_, time)| *time));
    }
    decode_values(version, column, body, times.len(), values)
}

fn decode_values(
    version: u8,
    column: ColumnForm,
    body: &[u8],
    count: usize,
    values: &mut Values,
) -> Result<(), CodecError> {
    let decode = if version == 3 { decode_v3 } else { decode };
    decode(column.data_type, column.encoding, body, count, values)
}

//! Taking chunks and pages over as they are, for files that are made of another one.

use std::io;

use super::chunk::Done;
use super::{Out, Scratch, State, WriteError, Writer};
use crate::data::ReadAt;
use crate::limits::TSFILE_COPY_BYTES;
use crate::tsfile::compression::Compression;
use crate::tsfile::encoding::Encoding;
use crate::tsfile::read::ChunkHeader;
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, read_fully};

/// A chunk of another file.
#[derive(Debug)]
pub struct Source<'a, R> {
    /// The file.
    pub file: &'a R,
    /// What stands before its pages.
    pub header: &'a ChunkHeader,
    /// Statistics of all its points.
    pub statistics: &'a Statistics,
}

impl<R> Clone for Source<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Source<'_, R> {}

impl<W: io::Write, S: Scratch> Writer<W, S> {
    /// Adds a whole chunk to the series in hand, as it is.
    ///
    /// # Errors
    /// [`WriteError`]: also if it does not come after what was added before.
    pub fn copy_chunk<R: ReadAt>(&mut self, source: Source<'_, R>) -> Result<(), WriteError> {
        self.end_open_chunk()?;
        let State::Device(Some(open)) = &mut self.state else {
            return Err(WriteError::Misuse("a chunk needs a series"));
        };
        open.follow(source.statistics)?;
        self.written.points += u64::from(source.statistics.count);
        self.put_group()?;
        let done = copy(source, &mut self.out)?;
        if let State::Device(Some(open)) = &mut self.state {
            open.record.add(done.offset, &done.statistics, &mut self.nodes)?;
        }
        Ok(())
    }

    /// Says how pages are encoded and compressed from here on, and ends the chunk in hand. Pages of a
    /// chunk to be copied have to be announced by this.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn recode(
        &mut self,
        encoding: Encoding,
        compression: Compression,
    ) -> Result<(), WriteError> {
        self.end_open_chunk()?;
        let State::Device(Some(open)) = &mut self.state else {
            return Err(WriteError::Misuse("pages need a series"));
        };
        open.column.encoding = encoding;
        open.column.compression = compression;
        self.chunk.start(super::ChunkKind::Plain, &open.column);
        Ok(())
    }

    /// Adds a page to the chunk in hand, as it is stored; `bytes` is its length before compression.
    ///
    /// # Errors
    /// [`WriteError`]: also if it does not come after what was added before.
    pub fn copy_page(
        &mut self,
        bytes: u32,
        stored: &[u8],
        statistics: Statistics,
    ) -> Result<(), WriteError> {
        if !self.chunk.is_page_empty() {
            self.chunk.end_page()?;
        }
        let State::Device(Some(open)) = &mut self.state else {
            return Err(WriteError::Misuse("a page needs a series"));
        };
        open.follow(&statistics)?;
        self.written.points += u64::from(statistics.count);
        self.chunk.copy_page(bytes, stored, statistics);
        if self.chunk.is_full(&self.settings) {
            self.end_plain_chunk()?;
        }
        Ok(())
    }

    /// Begins a group of an aligned device with a whole time chunk, as it is; its columns can only be copied.
    ///
    /// # Errors
    /// [`WriteError`]: also if it does not come after what was added before.
    pub fn copy_rows<R: ReadAt>(&mut self, source: Source<'_, R>) -> Result<(), WriteError> {
        self.begin_group(source.statistics.start, source.statistics.end)?;
        self.put_group()?;
        let done = copy(source, &mut self.out)?;
        if let State::Aligned(aligned) = &mut self.state {
            aligned.times.add(done.offset, &done.statistics, &mut self.nodes)?;
        }
        self.start_column();
        Ok(())
    }

    /// Adds a whole chunk as column `index` of a group that was begun by [`Self::copy_rows`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn copy_column<R: ReadAt>(
        &mut self,
        index: usize,
        source: Source<'_, R>,
    ) -> Result<(), WriteError> {
        self.reach_column(index)?;
        self.written.points += u64::from(source.statistics.count);
        let done = copy(source, &mut self.out)?;
        self.add_column_chunk(&done)
    }

    fn end_open_chunk(&mut self) -> Result<(), WriteError> {
        if !self.chunk.is_page_empty() {
            self.chunk.end_page()?;
        }
        self.end_plain_chunk()
    }
}

/// Writes a chunk of another file with its header.
fn copy<R: ReadAt, W: io::Write>(
    source: Source<'_, R>,
    out: &mut Out<W>,
) -> Result<Done, WriteError> {
    let Source { file, header, statistics } = source;
    let offset = out.at;
    let bytes = header.end - header.offset;
    let most = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(TSFILE_COPY_BYTES);
    let mut buffer = std::mem::take(&mut out.copied);
    // Many chunks are a few KiB: no more than that is cleared for them.
    buffer.resize(buffer.len().max(most(bytes)), 0);
    let mut at = header.offset;
    while at < header.end {
        let most = most(header.end - at);
        let part = buffer.get_mut(..most).unwrap_or_default();
        if read_fully(file, at, part)? < most {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(TsFileError::Read { offset: at, source }.into());
        }
        out.put(part)?;
        at += most as u64;
    }
    out.copied = buffer;
    Ok(Done { offset, statistics: statistics.clone() })
}

//! What is known of the chunks of a series until its device ends.
//!
//! ```text
//!  list    i64 offset | statistics ...       of each chunk: the end of it in memory, the rest in a scratch
//! ```

use std::io;

use super::{Scratch, WriteError};
use crate::data::{DataType, ReadAt};
use crate::limits::KIB;
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window, read_fully};

/// Bytes of the list that lie in memory.
const LIST_BYTES: usize = 512;
/// Statistics with more bytes of texts are not kept in memory.
const TEXTS_BYTES: usize = 256;
/// Bytes of the scratch that are read at one time.
const WINDOW_BYTES: usize = 16 * KIB;

#[derive(Debug)]
pub(super) struct Record {
    pub(super) chunks: u64,
    /// Offset of the first one.
    pub(super) first: u64,
    value_type: Option<DataType>,
    /// Once there is a second chunk, or long texts: most series of a wide device have one chunk.
    list: Vec<u8>,
    /// Where the parts of the list in front of that lie in the scratch, and the bytes of all of them.
    away: Vec<(u64, u32)>,
    away_bytes: u64,
    /// `None`: texts are long, so they are in the list only.
    total: Option<Statistics>,
}

impl Record {
    pub(super) const fn new(value_type: Option<DataType>) -> Self {
        Self {
            chunks: 0,
            first: 0,
            value_type,
            list: Vec::new(),
            away: Vec::new(),
            away_bytes: 0,
            total: None,
        }
    }

    /// Adds a chunk; `scratch` takes what is not to lie in memory until the end of the device.
    pub(super) fn add<S: Scratch>(
        &mut self,
        offset: u64,
        statistics: &Statistics,
        scratch: &mut S,
    ) -> io::Result<()> {
        self.chunks += 1;
        let is_light = statistics.text_bytes() <= TEXTS_BYTES;
        if self.chunks == 1 {
            self.first = offset;
            if is_light {
                self.total = Some(statistics.clone());
                return Ok(());
            }
        }
        if let Some(first) = self.total.as_ref().filter(|_| self.chunks == 2) {
            put(self.first, first, &mut self.list);
        }
        match &mut self.total {
            Some(total) if is_light => total.merge(statistics),
            total => *total = None,
        }
        if !is_light {
            return self.put_away(offset, statistics, scratch);
        }
        put(offset, statistics, &mut self.list);
        if self.list.len() > LIST_BYTES { self.empty(scratch) } else { Ok(()) }
    }

    /// Puts what lies in memory into the scratch.
    fn empty<S: Scratch>(&mut self, scratch: &mut S) -> io::Result<()> {
        if self.list.is_empty() {
            return Ok(());
        }
        self.went_away(scratch.len(), self.list.len() as u64)?;
        scratch.append(&self.list)?;
        self.list.clear();
        self.list.shrink_to(2 * LIST_BYTES);
        Ok(())
    }

    /// Puts a chunk with long texts into the scratch, text by text.
    fn put_away<S: Scratch>(
        &mut self,
        offset: u64,
        statistics: &Statistics,
        scratch: &mut S,
    ) -> io::Result<()> {
        self.empty(scratch)?;
        self.went_away(scratch.len(), size_of::<u64>() as u64 + statistics.bytes())?;
        scratch.append(&offset.to_be_bytes())?;
        statistics.put(|part| scratch.append(part))
    }

    fn went_away(&mut self, at: u64, bytes: u64) -> io::Result<()> {
        self.away.push((at, u32::try_from(bytes).map_err(io::Error::other)?));
        self.away_bytes += bytes;
        Ok(())
    }

    /// Statistics of all chunks.
    pub(super) fn total<S: Scratch>(&self, scratch: &S) -> Result<Statistics, TsFileError> {
        if let Some(total) = &self.total {
            return Ok(total.clone());
        }
        let mut total = Statistics::empty(self.value_type);
        for (at, bytes) in &self.away {
            let end = at + u64::from(*bytes);
            self.take(&mut Window::wide(scratch, *at, end, WINDOW_BYTES), &mut total)?;
        }
        let (rest, end) = (self.list.as_slice(), self.list.len() as u64);
        self.take(&mut Window::wide(rest, 0, end, LIST_BYTES), &mut total)?;
        Ok(total)
    }

    fn take<R: ReadAt + ?Sized>(
        &self,
        window: &mut Window<'_, R>,
        total: &mut Statistics,
    ) -> Result<(), TsFileError> {
        while window.left() > 0 {
            window.i64("offset")?;
            total.merge(&Statistics::read(window, self.value_type)?);
        }
        Ok(())
    }

    /// Bytes of the list that the file gets.
    pub(super) const fn list_bytes(&self) -> u64 {
        if self.chunks > 1 { self.away_bytes + self.list.len() as u64 } else { 8 }
    }

    /// Appends this list to another scratch.
    pub(super) fn copy_list<S: Scratch>(&self, scratch: &S, out: &mut S) -> Result<(), WriteError> {
        if self.chunks <= 1 {
            return Ok(out.append(&self.first.to_be_bytes())?);
        }
        for (start, bytes) in &self.away {
            copy(scratch, (*start, start + u64::from(*bytes)), out)?;
        }
        Ok(out.append(&self.list)?)
    }
}

/// Copies bytes from one scratch to another.
fn copy<S: Scratch>(scratch: &S, (mut at, end): (u64, u64), out: &mut S) -> Result<(), WriteError> {
    let mut buffer = Vec::new();
    while at < end {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        buffer.resize(left.min(WINDOW_BYTES), 0);
        if read_fully(scratch, at, &mut buffer)? < buffer.len() {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(TsFileError::Read { offset: at, source }.into());
        }
        out.append(&buffer)?;
        at += buffer.len() as u64;
    }
    Ok(())
}

fn put(offset: u64, statistics: &Statistics, list: &mut Vec<u8>) {
    list.extend_from_slice(&offset.to_be_bytes());
    statistics.write(list);
}

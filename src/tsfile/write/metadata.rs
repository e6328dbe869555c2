//! What waits for the end of the file: a record of each series.
//!
//! ```text
//!  scratch   device: u32 bytes, key | version 4: u32 bytes, path; u32 bytes, table
//!            series: u32 bytes, record ... | u32 ff ff ff ff                            then the next device
//! ```

use std::io;

use super::record::Record;
use super::scratch::Scratch;
use super::{Out, Version, WriteError, put_device, put_text};
use crate::data::DataType;
use crate::limits::{KIB, TSFILE_PAGE_BYTES_MAX};
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::bits::put_var;
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window};

/// Flags of a series: more than one chunk; times and values of an aligned device.
const MANY_CHUNKS: u8 = 1;
const TIMES: u8 = 0x80;
const ALIGNED: u8 = 0x40;
/// Bytes of a record that are read at once: the name lies in them.
const HEAD_BYTES: usize = 64 * KIB;
/// Bytes of the rest that are copied at one time.
const COPY_BYTES: usize = 16 * KIB;
/// Type of a time column.
const VECTOR: u8 = 6;

#[derive(Debug)]
pub(super) struct Metadata<S> {
    pub(super) records: S,
    /// The device in hand, as the scratch has it; not there before its first series.
    device: Vec<u8>,
    has_series: bool,
    /// Of all series.
    pub(super) chunks: u64,
    buffer: Vec<u8>,
    /// Schemas of tables, with their count before them.
    pub(super) schemas: Vec<u8>,
}

impl<S: Scratch> Metadata<S> {
    pub(super) fn new(records: S) -> Self {
        let (device, buffer) = (Vec::new(), Vec::new());
        Self { records, device, has_series: false, chunks: 0, buffer, schemas: vec![0] }
    }

    /// Sets the schemas of tables.
    pub(super) fn set_schemas(&mut self, schemas: Vec<u8>) {
        self.schemas = schemas;
    }

    /// Begins a device; it counts once it has a series.
    pub(super) fn start_device(&mut self, id: &DeviceId, version: Version) {
        self.device.clear();
        self.has_series = false;
        let mut key = Vec::new();
        put_device(id, version, &mut key);
        put_part(&key, &mut self.device);
        if version == Version::V4 {
            put_part(id.path().as_bytes(), &mut self.device);
            put_part(id.table().as_bytes(), &mut self.device);
        }
    }

    /// Keeps the record of a series that is complete; `lists` has what the record put away.
    pub(super) fn series(
        &mut self,
        (name, value_type, is_aligned): (&str, Option<DataType>, bool),
        record: &Record,
        lists: &S,
    ) -> Result<(), WriteError> {
        if !self.has_series {
            self.records.append(&self.device)?;
            self.has_series = true;
        }
        let is_many = record.chunks > 1;
        let list_bytes = record.list_bytes();
        self.buffer.clear();
        let many = if is_many { MANY_CHUNKS } else { 0 };
        let aligned = match (is_aligned, value_type) {
            (true, None) => TIMES,
            (true, Some(_)) => ALIGNED,
            (false, _) => 0,
        };
        self.buffer.push(many | aligned);
        put_text(name, &mut self.buffer);
        self.buffer.push(value_type.map_or(VECTOR, DataType::code));
        put_var(list_bytes, &mut self.buffer);
        self.chunks += record.chunks;
        let total = record.total(lists)?;
        // Long texts are not copied for it.
        let long = (total.text_bytes() > KIB).then_some(&total);
        if long.is_none() {
            total.write(&mut self.buffer);
        }
        let bytes = self.buffer.len() as u64 + long.map_or(0, Statistics::bytes) + list_bytes;
        let bytes = u32::try_from(bytes).map_err(io::Error::other)?;
        self.records.append(&bytes.to_be_bytes())?;
        self.records.append(&self.buffer)?;
        if let Some(total) = long {
            total.put(|part| self.records.append(part))?;
        }
        record.copy_list(lists, &mut self.records)
    }

    /// Ends a device; says whether it had a series.
    pub(super) fn end_device(&mut self) -> Result<bool, WriteError> {
        if self.has_series {
            self.records.append(&END_OF_DEVICE.to_be_bytes())?;
        }
        Ok(std::mem::take(&mut self.has_series))
    }
}

/// A walk over the records.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Where it goes on.
    pub(super) at: u64,
    is_in_device: bool,
    /// Of the device in hand.
    pub(super) key: Vec<u8>,
    pub(super) table: Vec<u8>,
    /// With a dot behind it; `device_bytes` of it, and maybe a series.
    path: Vec<u8>,
    device_bytes: usize,
    /// The start of the record of the series in hand, and how many bytes follow.
    record: Vec<u8>,
    rest: u64,
}

/// What a walk has read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read {
    /// The names of a device.
    Device,
    /// The record of one of its series.
    Series,
    /// The end of the device.
    End,
}

impl Walk {
    /// Reads on; `None` at the end. The window is at [`Self::at`], which the caller sets behind its last call.
    pub(super) fn next<S: Scratch>(
        &mut self,
        window: &mut Window<'_, S>,
        version: Version,
    ) -> Result<Option<Read>, TsFileError> {
        if window.left() == 0 {
            return Ok(None);
        }
        if self.is_in_device {
            self.is_in_device = false;
            if let Some(bytes) = part_bytes(window)? {
                let head = (bytes as usize).min(HEAD_BYTES);
                window.take_into(head, "record", &mut self.record)?;
                (self.is_in_device, self.rest) = (true, u64::from(bytes) - head as u64);
            }
            return Ok(Some(if self.is_in_device { Read::Series } else { Read::End }));
        }
        self.is_in_device = true;
        take_part(window, &mut self.key)?;
        if version == Version::V4 {
            take_part(window, &mut self.path)?;
            take_part(window, &mut self.table)?;
        } else {
            self.path.clear();
            self.path.extend_from_slice(split_text(&self.key).1);
        }
        self.path.push(b'.');
        self.device_bytes = self.path.len();
        Ok(Some(Read::Device))
    }

    /// Writes the record of the series in hand: this, or [`Self::skip`], comes before the next read.
    pub(super) fn copy<W: io::Write, S: Scratch>(
        &mut self,
        window: &mut Window<'_, S>,
        out: &mut Out<W>,
    ) -> Result<(), WriteError> {
        out.put(&self.record)?;
        let mut part = Vec::new();
        while self.rest > 0 {
            let count = usize::try_from(self.rest).unwrap_or(usize::MAX).min(COPY_BYTES);
            window.take_into(count, "record", &mut part)?;
            out.put(&part)?;
            self.rest -= count as u64;
        }
        Ok(())
    }

    /// Steps over the record of the series in hand; gives its bytes.
    pub(super) fn skip<S: Scratch>(
        &mut self,
        window: &mut Window<'_, S>,
    ) -> Result<u64, TsFileError> {
        let rest = std::mem::take(&mut self.rest);
        window.skip(rest, "record")?;
        Ok(self.record.len() as u64 + rest)
    }

    /// The name of the series as records and index nodes have it.
    pub(super) fn name_with_length(&self) -> &[u8] {
        split_text(self.record.get(1..).unwrap_or_default()).0
    }

    /// Path of the series in hand.
    pub(super) fn path_of_series(&mut self) -> &[u8] {
        let (_, name) = split_text(self.record.get(1..).unwrap_or_default());
        self.path.truncate(self.device_bytes);
        self.path.extend_from_slice(name);
        &self.path
    }
}

/// A text (`vstr`) at the start of some bytes, with its length and without.
fn split_text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut length = 0;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            // Lengths are written as numbers with a sign.
            let (start, end) = (place + 1, place + 1 + length / 2);
            let text = bytes.get(start..end).unwrap_or_default();
            return (bytes.get(..end).unwrap_or_default(), text);
        }
    }
    (&[], &[])
}

/// Stands where the length of a record would: no series of the device is left.
const END_OF_DEVICE: u32 = u32::MAX;

/// Texts, keys and nodes: a node has 256 names of up to 4 KiB.
pub(super) fn put_part(part: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length(part).to_be_bytes());
    out.extend_from_slice(part);
}

/// Takes a part; `false` at the end of a device.
pub(super) fn take_part<S: Scratch>(
    window: &mut Window<'_, S>,
    into: &mut Vec<u8>,
) -> Result<bool, TsFileError> {
    let Some(bytes) = part_bytes(window)? else { return Ok(false) };
    window.take_into(bytes as usize, "part", into)?;
    Ok(true)
}

/// Bytes of the next part; `None` at the end of a device.
fn part_bytes<S: Scratch>(window: &mut Window<'_, S>) -> Result<Option<u32>, TsFileError> {
    let bytes = u32::from_be_bytes(window.array("part")?);
    Ok((bytes != END_OF_DEVICE).then_some(bytes))
}

/// Lengths of what lay in memory, far below 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

const _: () = assert!(TSFILE_PAGE_BYTES_MAX < u32::MAX as usize / 4);

//! Writing a file front to back, in memory that does not grow with it.
//!
//! ```text
//!  device(id)             chunk group         one page of one series, and its chunk, lie in memory
//!    series(column)         chunks of it
//!      points(times, values)
//!
//!  aligned(id, columns)   chunk group
//!    rows(times)            time chunk        the times of one group lie in memory, and one page and
//!    column(n, ..)          value chunk n     chunk of one column
//!
//!  lone_rows(id, times)   chunk group         the same, of a device of one group: any number of columns
//!    lone_column(column)
//!      column(0, ..)        value chunk
//!
//!  end()                  metadata zone, end            records wait in a scratch file (metadata.rs, ending.rs)
//! ```
//!
//! Devices come in the order of the file, series of a device by name, times ascending: what is out of order
//! is an error and not written. Series of an aligned device that have no value in a group get an empty
//! chunk, because every column needs as many chunks as the time column. A record of what each chunk holds
//! is kept for the series (of an aligned device: for all of its columns) in hand: half a KiB of it in memory.
//!
//! No plan range is written: it is optional, and says nothing outside the server that wrote it.

mod aligned;
mod chunk;
mod copy;
mod ending;
mod metadata;
mod record;
mod scratch;
#[cfg(test)]
mod tests;
mod tree;

use std::io;

use thiserror::Error;

use self::aligned::Aligned;
use self::chunk::{Chunk, ChunkKind};
pub use self::copy::Source;
pub use self::ending::Ending;
use self::metadata::Metadata;
use self::record::Record;
pub use self::scratch::{MemoryScratch, Scratch};
use super::compression::Compression;
use super::device::{DeviceId, compare_names};
use super::encoding::bits::{put_length, put_var};
use super::encoding::{CodecError, Encoding, Values};
use super::order::first_stray;
use super::statistics::Statistics;
use super::window::TsFileError;
use crate::data::DataType;
use crate::data::compressor::CompressorError;

/// Marker of a chunk group.
const GROUP: u8 = 0;

/// How a file is written; the default is what a stock server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which of the two formats.
    pub version: Version,
    /// Points of a page at most.
    pub page_points: usize,
    /// Bytes of the texts of a page at most, unless it has one only.
    pub page_bytes: usize,
    /// Points of a chunk, and rows of a group, at most.
    pub chunk_points: usize,
    /// Bytes of pages after which a chunk is closed. A longer text has a chunk of its own.
    pub chunk_bytes: usize,
    /// Refuses devices of version 3 that a 2.0 server would not find: those that do not ascend in the
    /// order of version 4, too.
    pub both_orders: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: Version::V3,
            page_points: 10_000,
            page_bytes: 65_536,
            chunk_points: 100_000,
            chunk_bytes: 1_600_000,
            both_orders: true,
        }
    }
}

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// What 1.3 and 2.0 load.
    V3,
    /// What 2.0 loads.
    V4,
}

/// A series of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The measurement.
    pub name: String,
    /// Type of the values.
    pub data_type: DataType,
    /// How they are encoded.
    pub encoding: Encoding,
    /// How pages are compressed.
    pub compression: Compression,
}

impl Column {
    /// A series that is encoded and compressed as a stock server does by default.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            encoding: Encoding::default_for(data_type),
            compression: Compression::DEFAULT,
        }
    }
}

/// Why a file cannot be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The file or the scratch cannot be written: the disk's doing.
    #[error("writing: {0}")]
    Output(#[from] io::Error),
    /// What was kept in the scratch cannot be read back.
    #[error("scratch: {0}")]
    Scratch(#[from] TsFileError),
    /// A device or series that does not come after the one before.
    #[error("{what} {name} does not come after the one before it")]
    Order {
        /// `device` or `series`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A time that is not later than the one before, or not among the rows of its group.
    #[error("time {time} of series {series} is out of order")]
    Time {
        /// The series.
        series: String,
        /// The time.
        time: i64,
    },
    /// The calls do not follow the order of the module's drawing: the caller's fault.
    #[error("{0}")]
    Misuse(&'static str),
    /// An encoding that is not for its type.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A compressor failed.
    #[error(transparent)]
    Compressed(#[from] CompressorError),
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Bytes of the file.
    pub bytes: u64,
    /// Devices.
    pub devices: u64,
    /// Series, time columns not counted.
    pub series: u64,
    /// Points.
    pub points: u64,
}

/// Counts the bytes that go out.
#[derive(Debug)]
struct Out<W> {
    inner: W,
    at: u64,
    /// What chunks are copied through.
    copied: Vec<u8>,
}

impl<W: io::Write> Out<W> {
    const fn new(inner: W, at: u64) -> Self {
        Self { inner, at, copied: Vec::new() }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Writer<W, S> {
    out: Out<W>,
    settings: Settings,
    metadata: Metadata<S>,
    /// For the end; before it, what records of the device in hand hold.
    nodes: S,
    state: State,
    /// The last device, and its form of version 4 where it has to ascend in that order, too.
    last: Option<(DeviceId, Option<DeviceId>)>,
    has_group: bool,
    chunk: Chunk,
    written: Written,
}

/// What the calls so far allow.
#[derive(Debug)]
enum State {
    Idle,
    /// A device that is not aligned, maybe with an open series.
    Device(Option<Box<OpenSeries>>),
    Aligned(Box<Aligned>),
}

#[derive(Debug)]
struct OpenSeries {
    column: Column,
    record: Record,
    last_time: Option<i64>,
}

impl OpenSeries {
    /// Checks that some points come after those before.
    fn follow(&mut self, points: &Statistics) -> Result<(), WriteError> {
        if self.last_time.is_some_and(|last| last >= points.start) {
            let series = self.column.name.clone();
            return Err(WriteError::Time { series, time: points.start });
        }
        self.last_time = Some(points.end);
        Ok(())
    }
}

impl<W: io::Write, S: Scratch> Writer<W, S> {
    /// Begins a file. The scratches hold what waits for the end: about 100 bytes a series in the first,
    /// 50 bytes a device in the second.
    ///
    /// # Errors
    /// [`WriteError::Output`].
    pub fn new(out: W, [records, nodes]: [S; 2], settings: Settings) -> Result<Self, WriteError> {
        let mut out = Out::new(out, 0);
        out.put(b"TsFile")?;
        out.put(&[settings.version.code()])?;
        Ok(Self {
            out,
            settings,
            metadata: Metadata::new(records),
            nodes,
            state: State::Idle,
            last: None,
            has_group: false,
            chunk: Chunk::default(),
            written: Written::default(),
        })
    }

    /// Bytes written so far; what is in memory is not counted.
    pub const fn bytes(&self) -> u64 {
        self.out.at
    }

    /// Begins a device that is not aligned.
    ///
    /// # Errors
    /// [`WriteError`]: also if it does not come after the one before.
    pub fn device(&mut self, id: &DeviceId) -> Result<(), WriteError> {
        self.next_device(id)?;
        self.state = State::Device(None);
        Ok(())
    }

    /// Begins a series of the device, which is not aligned.
    ///
    /// # Errors
    /// [`WriteError`]: also if it does not come after the one before.
    pub fn series(&mut self, column: Column) -> Result<(), WriteError> {
        let State::Device(open) = &mut self.state else {
            return Err(WriteError::Misuse("a series needs a device that is not aligned"));
        };
        if let Some(before) = open
            && compare_names(&before.column.name, &column.name).is_ge()
        {
            return Err(WriteError::Order { what: "series", name: column.name });
        }
        self.end_series()?;
        let record = Record::new(Some(column.data_type));
        self.chunk.start(ChunkKind::Plain, &column);
        let open = OpenSeries { column, record, last_time: None };
        self.state = State::Device(Some(Box::new(open)));
        Ok(())
    }

    /// Adds points to the series; as many values as times.
    ///
    /// # Errors
    /// [`WriteError`]: also if a time is not later than the one before; nothing is added then.
    pub fn points(&mut self, times: &[i64], values: &Values) -> Result<(), WriteError> {
        let State::Device(Some(open)) = &mut self.state else {
            return Err(WriteError::Misuse("points need a series"));
        };
        if times.len() != values.len() || !values.is_for(open.column.data_type) {
            return Err(WriteError::Misuse("as many values as times, of the series' type"));
        }
        if let Some(time) = first_stray(open.last_time, times) {
            return Err(WriteError::Time { series: open.column.name.clone(), time });
        }
        open.last_time = times.last().copied().or(open.last_time);
        self.written.points += times.len() as u64;
        let mut at = 0;
        while at < times.len() {
            if self.chunk.is_page_empty() && is_long(values, at, &self.settings) {
                self.end_plain_chunk()?;
            }
            let taken = self.chunk.fill(times, values, at, &self.settings);
            at += taken;
            if taken == 0 || self.chunk.is_page_full(&self.settings) {
                self.chunk.end_page()?;
            }
            if self.chunk.is_full(&self.settings) {
                self.end_plain_chunk()?;
            }
        }
        Ok(())
    }

    /// Gives the file the schemas of tables that a file of version 4 has: their count, and each as it stands there.
    pub(in crate::tsfile) fn set_schemas(&mut self, schemas: Vec<u8>) {
        self.metadata.set_schemas(schemas);
    }

    /// Ends the file at once: metadata, and what is behind it. The caller syncs.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(self) -> Result<(W, Written), WriteError> {
        self.end()?.finish()
    }

    /// Ends the data zone. What follows can be written in steps, since for a file of many devices it is long.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn end(mut self) -> Result<Ending<W, S>, WriteError> {
        self.end_device()?;
        Ending::new(self.out, self.metadata, self.nodes, (self.settings.version, self.written))
    }

    fn next_device(&mut self, id: &DeviceId) -> Result<(), WriteError> {
        self.end_device()?;
        let path = id.path();
        let both = self.settings.both_orders;
        let (own, segmented) = match self.settings.version {
            Version::V3 => (DeviceId::of_path(&*path), both.then(|| DeviceId::segmented(&path))),
            Version::V4 if id.segments().len() == 1 => (DeviceId::segmented(&path), None),
            Version::V4 => (id.clone(), None),
        };
        if self.last.as_ref().is_some_and(|(last, last_segmented)| {
            *last >= own || (segmented.is_some() && *last_segmented >= segmented)
        }) {
            return Err(WriteError::Order { what: "device", name: path });
        }
        self.metadata.start_device(&own, self.settings.version);
        self.last = Some((own, segmented));
        self.has_group = false;
        Ok(())
    }

    /// Writes the header of a chunk group; of a device that is not aligned, once.
    fn put_group(&mut self) -> Result<(), WriteError> {
        let is_aligned = matches!(self.state, State::Aligned(_));
        if self.has_group && !is_aligned {
            return Ok(());
        }
        let Some((id, _)) = &self.last else { return Ok(()) };
        let mut bytes = vec![GROUP];
        put_device(id, self.settings.version, &mut bytes);
        self.out.put(&bytes)?;
        self.has_group = true;
        Ok(())
    }

    fn end_plain_chunk(&mut self) -> Result<(), WriteError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.put_group()?;
        let done = self.chunk.end(&mut self.out)?;
        if let State::Device(Some(open)) = &mut self.state {
            open.record.add(done.offset, &done.statistics, &mut self.nodes)?;
            self.chunk.start(ChunkKind::Plain, &open.column);
        }
        Ok(())
    }

    fn end_series(&mut self) -> Result<(), WriteError> {
        if !matches!(self.state, State::Device(Some(_))) {
            return Ok(());
        }
        if !self.chunk.is_page_empty() {
            self.chunk.end_page()?;
        }
        self.end_plain_chunk()?;
        if let State::Device(open) = &mut self.state
            && let Some(series) = open.take()
            && series.record.chunks > 0
        {
            let column = &series.column;
            let value_type = Some(column.data_type);
            self.metadata.series((&column.name, value_type, false), &series.record, &self.nodes)?;
            self.clear_records()?;
            self.written.series += 1;
        }
        Ok(())
    }

    fn clear_records(&mut self) -> io::Result<()> {
        if self.nodes.is_empty() { Ok(()) } else { self.nodes.clear() }
    }

    fn end_device(&mut self) -> Result<(), WriteError> {
        self.end_series()?;
        self.end_rows()?;
        if let State::Aligned(aligned) = &self.state
            && aligned.has_records()
        {
            self.metadata.series(("", None, true), &aligned.times, &self.nodes)?;
            for (column, record) in &aligned.columns {
                let series = (&*column.name, Some(column.data_type), true);
                self.metadata.series(series, record, &self.nodes)?;
                self.written.series += 1;
            }
        }
        self.state = State::Idle;
        self.clear_records()?;
        self.written.devices += u64::from(self.metadata.end_device()?);
        Ok(())
    }
}

impl Version {
    /// The byte behind the magic.
    pub const fn code(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// Appends a device as the version writes it.
fn put_device(id: &DeviceId, version: Version, out: &mut Vec<u8>) {
    if version == Version::V4 {
        put_var(id.segments().len() as u64, out);
    }
    for segment in id.segments() {
        match segment {
            Some(text) => put_text(text, out),
            None => out.push(1),
        }
    }
}

/// Appends a text (`vstr`).
fn put_text(text: &str, out: &mut Vec<u8>) {
    put_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// Whether the next value is a text that no chunk has room for beside others.
fn is_long(values: &Values, at: usize, settings: &Settings) -> bool {
    let Values::Binaries(list) = values else { return false };
    list.get(at).is_some_and(|text| text.len() >= settings.chunk_bytes)
}

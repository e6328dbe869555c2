//! The chunk that is being written: its finished pages, and the points of the page in hand.

use std::io;

use super::{Column, Out, Settings, WriteError, put_text};
use crate::data::DataType;
use crate::limits::TSFILE_KEPT_BYTES;
use crate::tsfile::compression::Compression;
use crate::tsfile::encoding::bits::put_var;
use crate::tsfile::encoding::{Binaries, Encoding, Values, encode, encode_times};
use crate::tsfile::statistics::Statistics;

/// Type of a time column.
const VECTOR: u8 = 6;

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ChunkKind {
    /// Points of a series that is not aligned.
    #[default]
    Plain,
    /// Times of an aligned device.
    Times,
    /// Values of an aligned device.
    Values,
}

/// A chunk that went out.
pub(super) struct Done {
    pub(super) offset: u64,
    pub(super) statistics: Statistics,
}

#[derive(Debug)]
pub(super) struct Chunk {
    kind: ChunkKind,
    name: String,
    data_type: Option<DataType>,
    encoding: Encoding,
    compression: Compression,
    /// Finished pages.
    pages: Vec<u8>,
    page_count: usize,
    /// Behind the sizes of the first page, and its statistics: they are put there once there is a second.
    first_page: (usize, Statistics),
    statistics: Statistics,
    times: Vec<i64>,
    values: Values,
    /// Times of the page before, and their bytes: series of one device often share them.
    known_times: Vec<i64>,
    encoded_times: Vec<u8>,
    /// Buffers that are used again.
    body: Vec<u8>,
    stored: Vec<u8>,
}

impl Default for Chunk {
    fn default() -> Self {
        let none = Statistics::empty(None);
        Self {
            kind: ChunkKind::default(),
            name: String::new(),
            data_type: None,
            encoding: Encoding::Ts2Diff,
            compression: Compression::DEFAULT,
            pages: Vec::new(),
            page_count: 0,
            first_page: (0, none.clone()),
            statistics: none,
            times: Vec::new(),
            values: Values::of(DataType::Int64),
            known_times: Vec::new(),
            encoded_times: Vec::new(),
            body: Vec::new(),
            stored: Vec::new(),
        }
    }
}

impl Chunk {
    /// Begins a chunk of values.
    pub(super) fn start(&mut self, kind: ChunkKind, column: &Column) {
        self.kind = kind;
        self.name.clone_from(&column.name);
        self.encoding = column.encoding;
        self.compression = column.compression;
        self.values.reset(column.data_type);
        self.restart(Some(column.data_type));
    }

    /// Begins a chunk of times.
    pub(super) fn start_times(&mut self) {
        self.kind = ChunkKind::Times;
        self.name.clear();
        self.encoding = Encoding::Ts2Diff;
        self.compression = Compression::DEFAULT;
        self.restart(None);
    }

    fn restart(&mut self, data_type: Option<DataType>) {
        self.data_type = data_type;
        self.pages.clear();
        self.page_count = 0;
        self.statistics = Statistics::empty(data_type);
        self.times.clear();
        self.values.clear();
    }

    /// Whether nothing was added.
    pub(super) const fn is_empty(&self) -> bool {
        self.page_count == 0 && self.times.is_empty()
    }

    /// Whether the page in hand has no point.
    pub(super) const fn is_page_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Takes as many points as the page has room for, from `at` on; says how many: 0 if it is full.
    pub(super) fn fill(
        &mut self,
        times: &[i64],
        values: &Values,
        at: usize,
        settings: &Settings,
    ) -> usize {
        let room = settings.page_points.saturating_sub(self.times.len()).max(1);
        let step = match values {
            // Texts are taken until the page has its bytes.
            Values::Binaries(list) => self.texts_that_fit(list, at, room, settings.page_bytes),
            Values::Booleans(_)
            | Values::Integers(_)
            | Values::Longs(_)
            | Values::Floats(_)
            | Values::Doubles(_) => room,
        };
        let end = (at + step).min(times.len());
        self.times.extend_from_slice(times.get(at..end).unwrap_or_default());
        self.values.append(values, at..end);
        end - at
    }

    /// Texts from `at` on for which the page has room: one at least if it is empty.
    fn texts_that_fit(&self, list: &Binaries, at: usize, room: usize, page_bytes: usize) -> usize {
        let held = if let Values::Binaries(list) = &self.values { list.bytes() } else { 0 };
        let sizes = list.lengths(at).take(room);
        let fitting = sizes.scan(held, |bytes, size| {
            *bytes += size;
            (*bytes <= page_bytes).then_some(())
        });
        fitting.count().max(usize::from(self.times.is_empty()))
    }

    /// Takes points that lie among the rows of the page; says how many.
    pub(super) fn fill_rows(
        &mut self,
        times: &[i64],
        values: &Values,
        at: usize,
        rows: &[i64],
    ) -> usize {
        let Some(last) = rows.last() else { return 0 };
        let rest = times.get(at..).unwrap_or_default();
        let end = at + rest.partition_point(|time| time <= last);
        self.times.extend_from_slice(times.get(at..end).unwrap_or_default());
        self.values.append(values, at..end);
        end - at
    }

    /// Whether the page in hand is to be closed.
    pub(super) const fn is_page_full(&self, settings: &Settings) -> bool {
        let bytes = if let Values::Binaries(list) = &self.values { list.bytes() } else { 0 };
        self.times.len() >= settings.page_points || bytes >= settings.page_bytes
    }

    /// Whether the chunk is to be closed.
    pub(super) fn is_full(&self, settings: &Settings) -> bool {
        self.times.is_empty()
            && (self.pages.len() + self.statistics.text_bytes() >= settings.chunk_bytes
                || self.statistics.count as usize >= settings.chunk_points)
    }

    /// Ends a page of points.
    pub(super) fn end_page(&mut self) -> Result<(), WriteError> {
        let mut body = std::mem::take(&mut self.body);
        if self.times != self.known_times {
            self.encoded_times.clear();
            encode_times(&self.times, &mut self.encoded_times);
            self.known_times.clone_from(&self.times);
        }
        body.clear();
        put_var(self.encoded_times.len() as u64, &mut body);
        body.extend_from_slice(&self.encoded_times);
        encode(self.encoding, &self.values, &mut body)?;
        self.put_values(body)?;
        Ok(())
    }

    fn page_statistics(&self) -> Statistics {
        match self.data_type {
            Some(data_type) => Statistics::of_page(data_type, &self.times, &self.values),
            None => Statistics::of_times(&self.times),
        }
    }

    /// Adds a page of times.
    pub(super) fn time_page(&mut self, times: &[i64]) -> Result<(), WriteError> {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        encode_times(times, &mut body);
        self.put_page(body, Statistics::of_times(times))
    }

    /// Ends a page of values; `rows` are the times of its rows. Gives back a time that is not among them.
    pub(super) fn value_page(&mut self, rows: &[i64]) -> Result<Option<i64>, WriteError> {
        if self.times.is_empty() {
            // A page without a value has no body.
            self.make_room_for_statistics();
            self.pages.push(0);
            self.first_page.0 = self.pages.len();
            self.page_count += 1;
            return Ok(None);
        }
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        // At most chunk_points.
        body.extend_from_slice(&i32::try_from(rows.len()).unwrap_or(i32::MAX).to_be_bytes());
        let mut times = self.times.iter().copied().peekable();
        for rows in rows.chunks(8) {
            let present = |row: &i64| u8::from(times.next_if_eq(row).is_some());
            let bits = rows.iter().map(present).fold(0, |bits, bit| (bits << 1) | bit);
            body.push(bits << (8 - rows.len()));
        }
        if let Some(stray) = times.next() {
            return Ok(Some(stray));
        }
        encode(self.encoding, &self.values, &mut body)?;
        self.put_values(body)?;
        Ok(None)
    }

    /// Adds the page in hand, of which this is the body.
    fn put_values(&mut self, body: Vec<u8>) -> Result<(), WriteError> {
        let statistics = self.page_statistics();
        self.times.clear();
        // Long texts are given back before they are compressed.
        self.values.clear();
        self.put_page(body, statistics)
    }

    fn put_page(&mut self, mut body: Vec<u8>, statistics: Statistics) -> Result<(), WriteError> {
        let mut stored = std::mem::take(&mut self.stored);
        let bytes = body.len() as u64;
        let length = self.compression.apply(&mut body, &mut stored)?;
        self.body = body;
        // Of a long page there are copies enough.
        give_back(&mut self.body);
        self.add_page(bytes, stored.get(..length).unwrap_or_default(), statistics);
        self.stored = stored;
        Ok(())
    }

    fn add_page(&mut self, bytes: u64, stored: &[u8], statistics: Statistics) {
        self.make_room_for_statistics();
        put_var(bytes, &mut self.pages);
        put_var(stored.len() as u64, &mut self.pages);
        self.statistics.merge(&statistics);
        if self.page_count == 0 {
            self.first_page = (self.pages.len(), statistics);
        } else {
            statistics.write(&mut self.pages);
        }
        self.pages.extend_from_slice(stored);
        self.page_count += 1;
    }

    /// Adds a page that is encoded and compressed already, as the chunk says.
    pub(super) fn copy_page(&mut self, bytes: u32, stored: &[u8], statistics: Statistics) {
        self.add_page(bytes.into(), stored, statistics);
    }

    /// Before the second page: the first one gets the statistics that a lone page has not.
    fn make_room_for_statistics(&mut self) {
        let is_empty_page = self.pages.len() == 1;
        if self.page_count != 1 || is_empty_page {
            return;
        }
        let (place, statistics) = &self.first_page;
        let mut bytes = Vec::new();
        statistics.write(&mut bytes);
        self.pages.splice(*place..*place, bytes);
    }

    /// Writes the chunk.
    pub(super) fn end<W: io::Write>(&mut self, out: &mut Out<W>) -> Result<Done, WriteError> {
        let is_without_values = self.kind == ChunkKind::Values && self.statistics.count == 0;
        if is_without_values {
            self.pages.clear();
            self.page_count = 0;
        }
        let mask = match self.kind {
            ChunkKind::Plain => 0,
            ChunkKind::Times => 0x80,
            ChunkKind::Values => 0x40,
        };
        let base = if self.page_count > 1 { 1 } else { 5 };
        let offset = out.at;
        let form = (self.data_type, self.compression, self.encoding);
        out.put(&head(base | mask, &self.name, self.pages.len() as u64, form))?;
        out.put(&self.pages)?;
        self.first_page.1 = Statistics::empty(None);
        self.pages.clear();
        for buffer in [&mut self.pages, &mut self.body, &mut self.stored] {
            give_back(buffer);
        }
        let statistics = std::mem::replace(&mut self.statistics, Statistics::empty(self.data_type));
        self.restart(self.data_type);
        Ok(Done { offset, statistics })
    }
}

/// Gives memory back that a long page took. What is left of its bytes need not be cleared again.
fn give_back(buffer: &mut Vec<u8>) {
    if buffer.capacity() > TSFILE_KEPT_BYTES {
        buffer.truncate(TSFILE_KEPT_BYTES);
        buffer.shrink_to(TSFILE_KEPT_BYTES);
    }
}

/// The header of a chunk.
pub(super) fn head(
    marker: u8,
    name: &str,
    bytes: u64,
    (value_type, compression, encoding): (Option<DataType>, Compression, Encoding),
) -> Vec<u8> {
    let mut header = vec![marker];
    put_text(name, &mut header);
    put_var(bytes, &mut header);
    header.push(value_type.map_or(VECTOR, DataType::code));
    header.extend([compression.code(), encoding.code()]);
    header
}

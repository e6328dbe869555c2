//! A writer of `TsFile`s, version 3, for tests: PLAIN values, no compression, all common types.
//!
//! ```text
//! "TsFile" 03 | chunk group ... | 02 | timeseries metadata, index nodes | file metadata | size "TsFile"
//! ```
//! Independent of the library's own reader and writer, and fast: a gigabyte in seconds, for most of a
//! large file is blobs. Times are regular. Aligned devices have nulls.

mod bloom;
mod column;
mod index;
mod primitive;
mod statistics;

use std::fs::File;
use std::io::{self, BufWriter, Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use crate::chance::Chance;
use column::Column;
use index::{Device, Series};
use primitive::Bytes;
use statistics::Statistics;

const MAGIC: &[u8] = b"TsFile";
const VERSION: u8 = 3;
const CHUNK_GROUP: u8 = 0x00;
const SEPARATOR: u8 = 0x02;
const CHUNK: u8 = 0x05;
const TIME_CHUNK: u8 = 0x85;
const VALUE_CHUNK: u8 = 0x45;
const PLAIN: u8 = 0;
const TS_2DIFF: u8 = 4;
const UNCOMPRESSED: u8 = 0;
/// Values of one block of a `TS_2DIFF` column.
const BLOCK_VALUES: usize = 129;
/// Rows of one chunk: as many as one write buffer flushes.
const CHUNK_ROWS: usize = 1000;
/// Bytes of a blob of a file that is to be large.
const LARGE_BLOB_BYTES: usize = 8 * 1024;
/// Time of the first row: 2024-01-01.
const START_TIME: i64 = 1_704_067_200_000;
/// Between two rows, in milliseconds.
const INTERVAL: i64 = 1000;

/// What a generated file is like.
#[derive(Debug, Clone)]
pub struct TsFileShape {
    /// Everything before the device, as `root.plant`.
    pub database: String,
    /// Devices that are not aligned.
    pub devices: usize,
    /// Devices that are.
    pub aligned_devices: usize,
    /// Rows of each device.
    pub rows: usize,
    /// Bytes of each blob; the other types have their own size.
    pub blob_bytes: usize,
    /// Bytes of one blob of zeros in a device of its own, which takes no room on disk; 0 is none.
    pub hole_bytes: u32,
    /// Decides the values.
    pub seed: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsFileFacts {
    /// Size of the file.
    pub bytes: u64,
    /// Devices, aligned or not.
    pub devices: usize,
    /// Points: values that are not null.
    pub points: u64,
}

impl TsFileShape {
    /// A small file of several devices and all types.
    pub fn small(seed: u64) -> Self {
        Self {
            database: "root.plant".into(),
            devices: 3,
            aligned_devices: 2,
            rows: 250,
            blob_bytes: 16,
            hole_bytes: 0,
            seed,
        }
    }

    /// A file that says to have at least `bytes` bytes and takes hardly any room on disk.
    pub fn sparse(bytes: u32, seed: u64) -> Self {
        Self { hole_bytes: bytes, ..Self::small(seed) }
    }

    /// A file of at least `bytes` bytes, and not much more.
    pub fn of_size(bytes: u64, seed: u64) -> Self {
        const DEVICES: u64 = 4;
        let row_bytes = DEVICES * (LARGE_BLOB_BYTES as u64 + 40);
        let rows = usize::try_from(bytes / row_bytes + 1).unwrap_or(usize::MAX);
        let shape = Self::small(seed);
        Self { devices: 2, aligned_devices: 2, rows, blob_bytes: LARGE_BLOB_BYTES, ..shape }
    }

    /// Writes the file, and syncs it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &Path) -> io::Result<TsFileFacts> {
        let mut output = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let facts = self.write_to(&mut output)?;
        output.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(facts)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// Never; memory does not refuse.
    pub fn to_bytes(&self) -> io::Result<(Vec<u8>, TsFileFacts)> {
        let mut output = Cursor::new(Vec::new());
        let facts = self.write_to(&mut output)?;
        Ok((output.into_inner(), facts))
    }

    fn write_to(&self, output: &mut (impl Write + Seek)) -> io::Result<TsFileFacts> {
        let mut writer = Writer { output, position: 0, points: 0 };
        writer.put(MAGIC)?;
        writer.put(&[VERSION])?;
        let mut devices: Vec<Device> =
            self.names().map(|(name, aligned)| Device::new(name, aligned)).collect();
        let mut chance = Chance::new(self.seed);
        for first in (0..self.rows).step_by(CHUNK_ROWS) {
            let rows = CHUNK_ROWS.min(self.rows - first);
            for device in &mut devices {
                writer.chunk_group(
                    device,
                    &self.group(first, rows, device.is_aligned(), &mut chance),
                )?;
            }
        }
        if self.hole_bytes > 0 {
            let mut device = Device::new(format!("{}.z", self.database), false);
            writer.hole(&mut device, self.hole_bytes)?;
            devices.push(device);
        }
        let separator = writer.position;
        let tail = index::tail(&devices, separator);
        writer.put(&tail)?;
        Ok(TsFileFacts { bytes: writer.position, devices: devices.len(), points: writer.points })
    }

    /// The mods file of version 1 that deletes the first ten seconds of the first device.
    pub fn mods(&self) -> String {
        let device = self.names().next().map(|(name, _)| name).unwrap_or_default();
        let end = START_TIME + 10 * INTERVAL;
        format!("DELETION,{device}.*,{},{START_TIME},{end}\n", i64::MAX)
    }

    /// All devices, in the order of their names.
    fn names(&self) -> impl Iterator<Item = (String, bool)> {
        let aligned =
            (0..self.aligned_devices).map(|at| (format!("{}.a{at:05}", self.database), true));
        let plain = (0..self.devices).map(|at| (format!("{}.d{at:05}", self.database), false));
        aligned.chain(plain)
    }

    fn group(&self, first: usize, rows: usize, aligned: bool, chance: &mut Chance) -> Group {
        let start = i64::try_from(first).unwrap_or(0) * INTERVAL + START_TIME;
        Group {
            start,
            rows,
            columns: Column::of_every_type(rows, self.blob_bytes, aligned, chance),
        }
    }
}

/// What one device gets in one go.
struct Group {
    start: i64,
    rows: usize,
    columns: Vec<Column>,
}

impl Group {
    fn time(&self, row: usize) -> i64 {
        i64::try_from(row).unwrap_or(0) * INTERVAL + self.start
    }

    fn end(&self) -> i64 {
        self.time(self.rows.saturating_sub(1))
    }

    /// The times, `TS_2DIFF`: all deltas are equal, so no bits are needed for them.
    fn times(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for first in (0..self.rows).step_by(BLOCK_VALUES) {
            let deltas = BLOCK_VALUES.min(self.rows - first) - 1;
            bytes.put_i32(i32::try_from(deltas).unwrap_or(0));
            bytes.put_i32(0);
            bytes.put_i64(if deltas == 0 { i64::MAX } else { INTERVAL });
            bytes.put_i64(self.time(first));
        }
        bytes
    }
}

struct Writer<'a, W> {
    output: &'a mut W,
    position: u64,
    points: u64,
}

impl<W: Write + Seek> Writer<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.position += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    fn chunk_group(&mut self, device: &mut Device, group: &Group) -> io::Result<()> {
        let mut head = vec![CHUNK_GROUP];
        head.put_text(device.name());
        self.put(&head)?;
        let times = group.times();
        if device.is_aligned() {
            let statistics = Statistics::of_times(group.rows, group.start, group.end());
            let time =
                Chunk { marker: TIME_CHUNK, name: "", kind: column::VECTOR, encoding: TS_2DIFF };
            self.chunk(device, &time, &times, statistics)?;
        }
        for column in &group.columns {
            let mut page = Vec::new();
            let marker = if device.is_aligned() {
                column.put_presence(&mut page);
                VALUE_CHUNK
            } else {
                page.put_uvar(times.len());
                page.extend(&times);
                CHUNK
            };
            column.put_values(&mut page);
            let statistics = column.statistics(|row| group.time(row));
            self.points += statistics.count();
            let value = Chunk { marker, name: column.name(), kind: column.kind(), encoding: PLAIN };
            self.chunk(device, &value, &page, statistics)?;
        }
        Ok(())
    }

    /// A chunk group of one blob of zeros, which are not written but left out.
    fn hole(&mut self, device: &mut Device, bytes: u32) -> io::Result<()> {
        let group = Group { start: START_TIME, rows: 1, columns: Vec::new() };
        self.chunk_group(device, &group)?;
        let mut page = Vec::new();
        page.put_uvar(group.times().len());
        page.extend(group.times());
        page.put_svar(i32::try_from(bytes).unwrap_or(i32::MAX));
        let blob = Chunk { marker: CHUNK, name: "blob", kind: column::BLOB, encoding: PLAIN };
        let statistics = Statistics::of_times(1, START_TIME, START_TIME);
        let length = page.len() + usize::try_from(bytes).unwrap_or(usize::MAX);
        self.chunk_head(device, &blob, length, statistics)?;
        self.put(&page)?;
        self.output.seek(SeekFrom::Current(i64::from(bytes)))?;
        self.position += u64::from(bytes);
        self.points += 1;
        Ok(())
    }

    /// A chunk of one page, whose statistics stand in the metadata only.
    fn chunk(
        &mut self,
        device: &mut Device,
        chunk: &Chunk<'_>,
        page: &[u8],
        statistics: Statistics,
    ) -> io::Result<()> {
        self.chunk_head(device, chunk, page.len(), statistics)?;
        self.put(page)
    }

    fn chunk_head(
        &mut self,
        device: &mut Device,
        chunk: &Chunk<'_>,
        page_bytes: usize,
        statistics: Statistics,
    ) -> io::Result<()> {
        let offset = self.position;
        let mut page_head = Vec::new();
        page_head.put_uvar(page_bytes);
        page_head.put_uvar(page_bytes);
        let mut head = vec![chunk.marker];
        head.put_text(chunk.name);
        head.put_uvar(page_head.len() + page_bytes);
        head.extend([chunk.kind, UNCOMPRESSED, chunk.encoding]);
        self.put(&head)?;
        self.put(&page_head)?;
        device.add(Series { name: chunk.name.into(), kind: chunk.kind }, offset, statistics);
        Ok(())
    }
}

struct Chunk<'a> {
    marker: u8,
    name: &'a str,
    kind: u8,
    encoding: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(shape: &TsFileShape) -> (Vec<u8>, TsFileFacts) {
        shape.to_bytes().unwrap()
    }

    #[test]
    fn a_file_begins_and_ends_as_it_has_to() {
        let (bytes, facts) = written(&TsFileShape::small(1));
        assert_eq!(&bytes[..7], b"TsFile\x03");
        assert_eq!(&bytes[bytes.len() - 6..], MAGIC);
        assert_eq!(facts.bytes, bytes.len() as u64);
        assert_eq!(facts.devices, 5);
        let size = bytes.len() - 10;
        let metadata = u32::from_be_bytes(bytes[size..size + 4].try_into().unwrap()) as usize;
        assert!(metadata < size);
    }

    #[test]
    fn the_seed_decides_the_bytes() {
        assert_eq!(written(&TsFileShape::small(1)).0, written(&TsFileShape::small(1)).0);
        assert_ne!(written(&TsFileShape::small(1)).0, written(&TsFileShape::small(2)).0);
    }

    #[test]
    fn points_are_the_values_that_are_not_null() {
        let shape =
            TsFileShape { devices: 1, aligned_devices: 0, rows: 3, ..TsFileShape::small(1) };
        assert_eq!(written(&shape).1.points, 3 * 10);
        let shape =
            TsFileShape { devices: 0, aligned_devices: 1, rows: 40, ..TsFileShape::small(1) };
        let points = written(&shape).1.points;
        assert!(points > 200 && points < 400, "{points}");
    }

    #[test]
    fn a_size_is_met_and_not_by_much() {
        for size in [100_000, 3_000_000] {
            let bytes = written(&TsFileShape::of_size(size, 1)).1.bytes;
            assert!(bytes >= size && bytes < size + size / 10 + 100_000, "{size}: {bytes}");
        }
    }

    #[test]
    fn a_hole_is_zeros_that_take_no_room() {
        let (bytes, facts) = written(&TsFileShape::sparse(100_000, 1));
        assert_eq!(facts.bytes, bytes.len() as u64);
        assert_eq!(facts.devices, 6);
        assert!(facts.bytes > 100_000);
        assert_eq!(&bytes[bytes.len() - 6..], MAGIC);
    }

    #[test]
    fn the_mods_file_has_one_whole_line() {
        let mods = TsFileShape::small(1).mods();
        assert_eq!(mods.matches('\n').count(), 1);
        assert!(mods.starts_with("DELETION,root.plant.a00000.*,") && mods.ends_with('\n'));
    }
}

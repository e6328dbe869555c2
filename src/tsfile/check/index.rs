//! The index: its order, its cover of the metadata zone, its chunks, and the bloom filter.

use super::{Checker, Level, Place, Saved, Sum, What};
use crate::data::ReadAt;
use crate::limits::TSFILE_BLOOM_BYTES;
use crate::tsfile::bloom::{Shape, text_hash};
use crate::tsfile::device::compare_names;
use crate::tsfile::read::{ChunkHeader, Device, Series, SeriesOf, TsFile};
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window};

/// What the walk over the index adds up.
struct Walk<'f, R> {
    file: &'f TsFile<R>,
    headers: Window<'f, R>,
    /// Statistics and chunk lists of series.
    metadata: Window<'f, R>,
    bloom: Option<Filter<'f, R>>,
    /// Chunks that the index names.
    named: Sum,
    /// Hash of the device in hand.
    device: u64,
    /// Bytes of the metadata zone that it covers.
    covered: u64,
}

/// The stored bloom filter: in memory, or read bit by bit where it is large.
struct Filter<'f, R> {
    held: Vec<u8>,
    window: Window<'f, R>,
    start: u64,
    bytes: u64,
    shape: Shape,
}

impl Checker<'_> {
    pub(super) fn index<R: ReadAt>(&mut self, file: &TsFile<R>) -> Result<(), TsFileError> {
        let (start, bytes, shape) = file.bloom()?;
        let bloom = if bytes > 0 { Some(Filter::new(file, start, bytes, shape)?) } else { None };
        let mut walk = Walk {
            file,
            headers: Window::new(file.file(), 0, 0),
            metadata: file.metadata(),
            bloom,
            named: Sum::default(),
            device: 0,
            covered: 0,
        };
        let mut devices = file.devices()?;
        let mut list = SeriesOf::new(file);
        let mut last: Option<Device> = None;
        loop {
            let device = match devices.next() {
                Ok(Some(device)) => device,
                Ok(None) => break,
                Err(error) => {
                    self.unreadable(Place::default(), error)?;
                    continue;
                }
            };
            self.checked.devices += 1;
            if last.as_ref().is_some_and(|last| last.id >= device.id) {
                let name = device.id.path();
                let place = Place { device: Some(&name), series: None };
                self.flaw(&place.flaw(device.root.start, What::Order, Saved::All));
            }
            self.device(&mut walk, &device, &mut list)?;
            last = Some(device);
        }
        let flaws = self.checked.flaws;
        walk.covered = devices.bytes() + list.bytes();
        if flaws > 0 {
            // What could not be read makes the sums differ, too.
            return Ok(());
        }
        self.sums(&walk);
        Ok(())
    }

    fn sums<R: ReadAt>(&mut self, walk: &Walk<'_, R>) {
        let separator = walk.file.summary().separator;
        let expected = walk.file.block_start() - separator - 1;
        if walk.covered != expected {
            let what = What::Gap { expected, got: walk.covered };
            self.flaw(&Place::default().flaw(separator + 1, what, Saved::All));
        }
        let what = match self.scanned.count.checked_sub(walk.named.count) {
            _ if self.scanned == walk.named => return,
            Some(orphans @ 1..) => What::Orphans(orphans),
            _ => What::Misplaced,
        };
        self.flaw(&Place::default().flaw(separator, what, Saved::All));
    }

    fn device<R: ReadAt>(
        &mut self,
        walk: &mut Walk<'_, R>,
        device: &Device,
        list: &mut SeriesOf<'_, R>,
    ) -> Result<(), TsFileError> {
        let name = device.id.path();
        let of_device = Place { device: Some(&name), series: None };
        if let Err(error) = list.enter(device) {
            return self.unreadable(of_device, error);
        }
        walk.device = text_hash(&name);
        let mut last: Option<String> = None;
        let mut times = None;
        loop {
            let series = match list.next() {
                Ok(Some(series)) => series,
                Ok(None) => break,
                Err(error) => {
                    self.unreadable(of_device, error)?;
                    continue;
                }
            };
            let place = Place { device: Some(&name), series: Some(&series.name) };
            if last.as_ref().is_some_and(|last| compare_names(last, &series.name).is_ge()) {
                self.flaw(&place.flaw(series.offset, What::Order, Saved::All));
            }
            let is_known = match &mut walk.bloom {
                Some(filter) => filter.knows(format!("{name}.{}", series.name).as_bytes())?,
                None => true,
            };
            if !is_known {
                self.flaw(&place.flaw(series.offset, What::Bloom, Saved::All));
            }
            let count = match self.chunks(walk, place, &series) {
                Ok(count) => count,
                Err(error) => {
                    self.unreadable(place, error)?;
                    continue;
                }
            };
            self.checked.series += u64::from(!series.is_time());
            if series.is_time() {
                times = Some(count);
            } else if let Some(expected) = times.filter(|times| *times != count) {
                let what = What::ChunkCount { expected, got: count };
                self.flaw(&place.flaw(series.offset, what, Saved::Others));
            }
            last = Some(series.name);
        }
        Ok(())
    }

    /// Each chunk is where the index says; their statistics together are those of the series.
    fn chunks<R: ReadAt>(
        &mut self,
        walk: &mut Walk<'_, R>,
        place: Place<'_>,
        series: &Series,
    ) -> Result<u64, TsFileError> {
        let (file, metadata) = (walk.file, &mut walk.metadata);
        let value_type = series.value_type;
        let of_series = file.statistics_by(metadata, series.statistics, value_type)?;
        let mut merged = Statistics::empty(value_type);
        let mut chunks = file.cursor(series);
        let mut count = 0;
        while let Some(chunk) = chunks.next(metadata)? {
            count += 1;
            walk.named.add(chunk.offset, walk.device);
            if chunk.statistics != series.statistics {
                merged.merge(&file.statistics_by(metadata, chunk.statistics, value_type)?);
            }
            walk.headers.seek(chunk.offset, file.summary().separator);
            let header = ChunkHeader::read(&mut walk.headers)?;
            if header.name != series.name || header.value_type != value_type {
                self.flaw(&place.flaw(chunk.offset, What::OtherChunk, Saved::Others));
            }
        }
        if count > 1 && !merged.agrees(&of_series) {
            let what = What::Statistics(Level::Series);
            self.flaw(&place.flaw(series.statistics, what, Saved::All));
        }
        if !series.is_time() {
            self.checked.points += u64::from(of_series.count);
        }
        Ok(count)
    }
}

impl<'f, R: ReadAt> Filter<'f, R> {
    fn new(file: &'f TsFile<R>, start: u64, bytes: u64, shape: Shape) -> Result<Self, TsFileError> {
        let end = start + bytes;
        // Neighbouring bits have nothing to do with each other: no more is read than one of them.
        let mut window = Window::wide(file.file(), start, end, size_of::<u64>());
        let mut held = Vec::new();
        if let Ok(bytes) = usize::try_from(bytes)
            && bytes <= TSFILE_BLOOM_BYTES
        {
            window.take_into(bytes, WHAT, &mut held)?;
        }
        Ok(Self { held, window, start, bytes, shape })
    }

    fn knows(&mut self, path: &[u8]) -> Result<bool, TsFileError> {
        for bit in self.shape.bits_of(path) {
            // Zero bytes at the end are not stored.
            let byte = if u64::from(bit / 8) < self.bytes { self.byte(bit / 8)? } else { 0 };
            if (byte >> (bit % 8)) & 1 == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn byte(&mut self, place: u32) -> Result<u8, TsFileError> {
        if let Some(byte) = self.held.get(place as usize) {
            return Ok(*byte);
        }
        self.window.seek(self.start + u64::from(place), self.start + self.bytes);
        self.window.u8(WHAT)
    }
}

const WHAT: &str = "bloom filter";

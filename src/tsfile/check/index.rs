//! The index: its order, its cover of the metadata zone, its chunks, and the bloom filter.

use super::{Checker, Level, Place, Saved, Sum, What};
use crate::data::ReadAt;
use crate::tsfile::bloom::{Shape, text_hash};
use crate::tsfile::device::compare_names;
use crate::tsfile::read::{ChunkHeader, Device, Series, TsFile};
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::{TsFileError, Window};

/// What the walk over the index adds up.
struct Walk<'f, R> {
    file: &'f TsFile<R>,
    headers: Window<'f, R>,
    bloom: Option<Filter<'f, R>>,
    /// Chunks that the index names.
    named: Sum,
    /// Hash of the device in hand.
    device: u64,
    /// Bytes of the metadata zone that it covers.
    covered: u64,
}

/// The stored bloom filter.
struct Filter<'f, R> {
    window: Window<'f, R>,
    start: u64,
    bytes: u64,
    shape: Shape,
}

impl Checker<'_> {
    pub(super) fn index<R: ReadAt>(&mut self, file: &TsFile<R>) -> Result<(), TsFileError> {
        let (start, bytes, shape) = file.bloom()?;
        let window = Window::new(file.file(), 0, 0);
        let mut walk = Walk {
            file,
            headers: Window::new(file.file(), 0, 0),
            bloom: (bytes > 0).then_some(Filter { window, start, bytes, shape }),
            named: Sum::default(),
            device: 0,
            covered: 0,
        };
        let mut devices = file.devices()?;
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
            self.device(&mut walk, &device)?;
            last = Some(device);
        }
        let flaws = self.checked.flaws;
        walk.covered += devices.bytes();
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
    ) -> Result<(), TsFileError> {
        let name = device.id.path();
        let of_device = Place { device: Some(&name), series: None };
        let mut list = match walk.file.series(device) {
            Ok(list) => list,
            Err(error) => return self.unreadable(of_device, error),
        };
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
                Some(filter) => filter.knows(&format!("{name}.{}", series.name))?,
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
        walk.covered += list.bytes();
        Ok(())
    }

    /// Each chunk is where the index says; their statistics together are those of the series.
    fn chunks<R: ReadAt>(
        &mut self,
        walk: &mut Walk<'_, R>,
        place: Place<'_>,
        series: &Series,
    ) -> Result<u64, TsFileError> {
        let of_series = walk.file.statistics(series.statistics, series.value_type)?;
        let mut merged = Statistics::empty(series.value_type);
        let mut chunks = walk.file.chunks(series);
        let mut count = 0;
        while let Some(chunk) = chunks.next()? {
            count += 1;
            walk.named.add(chunk.offset, walk.device);
            if chunk.statistics != series.statistics {
                merged.merge(&walk.file.statistics(chunk.statistics, series.value_type)?);
            }
            walk.headers.seek(chunk.offset, walk.file.summary().separator);
            let header = ChunkHeader::read(&mut walk.headers)?;
            if header.name != series.name || header.value_type != series.value_type {
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

impl<R: ReadAt> Filter<'_, R> {
    fn knows(&mut self, path: &str) -> Result<bool, TsFileError> {
        let end = self.start + self.bytes;
        for bit in self.shape.bits_of(path) {
            let place = self.start + u64::from(bit / 8);
            // Zero bytes at the end are not stored.
            if place >= end {
                return Ok(false);
            }
            self.window.seek(place, end);
            if (self.window.u8("bloom filter")? >> (bit % 8)) & 1 == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

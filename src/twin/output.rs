//! A file of the run that is being written.

use std::path::{Path, PathBuf};

use super::arena::{Arena, Point, Series};
use super::files::{Output, Scratch, file_path, remove};
use super::index::Met;
use super::{Settings, Twin, TwinError};
use crate::data::TimeRange;
use crate::limits::TWIN_ROWS_MAX;
use crate::spool::{Disk, OpenMode};
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::Values;
use crate::tsfile::write::{Column, WriteError, Writer};

/// Points that are given to the writer at one time.
const BATCH_POINTS: usize = 1024;
/// Scratches of the writer.
const SCRATCHES: [&str; 3] = ["records", "roots", "nodes"];

/// A file that is being written.
#[derive(Debug)]
pub(super) struct OpenFile<D: Disk> {
    path: PathBuf,
    writer: Writer<Output<D::File>, Scratch<D>>,
    times: TimeRange,
    batch: Batch,
}

/// Points on their way to the writer.
#[derive(Debug)]
struct Batch {
    points: Vec<Point>,
    times: Vec<i64>,
    values: Values,
    rows: Vec<i64>,
}

impl<D: Disk> OpenFile<D> {
    pub(super) fn create(disk: &D, settings: &Settings, number: usize) -> Result<Self, TwinError> {
        let path = file_path(&settings.dir, number);
        let file = disk.open(&path, OpenMode::Create).map_err(TwinError::disk("create", &path))?;
        let scratches = SCRATCHES.map(|name| Scratch::new(disk, &settings.dir, name));
        let writer = Writer::new(Output::new(file), scratches, settings.writer)
            .map_err(TwinError::write(&path))?;
        let batch = Batch {
            points: Vec::new(),
            times: Vec::new(),
            values: Values::Longs(Vec::new()),
            rows: Vec::new(),
        };
        Ok(Self { path, writer, times: TimeRange::EMPTY, batch })
    }

    /// Begins a device that is not aligned.
    pub(super) fn device(&mut self, id: &DeviceId) -> Result<(), TwinError> {
        self.writer.device(id).map_err(TwinError::write(&self.path))
    }

    /// Writes a series of it.
    pub(super) fn series(&mut self, arena: &Arena, series: &Series<'_>) -> Result<(), TwinError> {
        let failed = TwinError::write(&self.path);
        self.writer.series(column(series)).map_err(&failed)?;
        let Batch { points, times, values, .. } = &mut self.batch;
        values.reset(series.data_type);
        arena.points(series, points);
        cover(&mut self.times, points);
        let put = |times: &_, values: &_| self.writer.points(times, values);
        in_batches(arena, points, (times, values), put).map_err(&failed)
    }

    /// Writes an aligned device: these series of it, at least one.
    pub(super) fn aligned(
        &mut self,
        id: &DeviceId,
        arena: &Arena,
        series: &[Series<'_>],
    ) -> Result<(), TwinError> {
        let failed = TwinError::write(&self.path);
        let Batch { points, times, values, rows } = &mut self.batch;
        arena.rows(rows);
        self.writer.aligned(id, series.iter().map(column).collect()).map_err(&failed)?;
        for rows in rows.chunks(TWIN_ROWS_MAX) {
            self.writer.rows(rows).map_err(&failed)?;
            for (place, series) in series.iter().enumerate() {
                values.reset(series.data_type);
                arena.points(series, points);
                let points = within(points, rows);
                cover(&mut self.times, points);
                let put = |times: &_, values: &_| self.writer.column(place, times, values);
                in_batches(arena, points, (times, values), put).map_err(&failed)?;
            }
        }
        Ok(())
    }

    /// Ends the file and makes it durable.
    pub(super) fn finish(
        self,
        disk: &D,
        dir: &Path,
        met: &Met,
        part: u16,
    ) -> Result<Twin, TwinError> {
        let (output, written) = self.writer.finish().map_err(TwinError::write(&self.path))?;
        let hash = output.seal().map_err(TwinError::disk("sync", &self.path))?;
        for name in SCRATCHES {
            remove(disk, Scratch::new(disk, dir, name).path())?;
        }
        Ok(Twin {
            group: met.group,
            part,
            file: self.path,
            bytes: written.bytes,
            hash,
            first: met.first,
            last: met.last,
            origin_first: met.origin_first,
            origin_last: met.origin_last,
            devices: written.devices,
            series: written.series,
            points: written.points,
            time_range: self.times,
        })
    }
}

fn column(series: &Series<'_>) -> Column {
    Column::new(&*series.name, series.data_type)
}

/// Gives points to the writer, some at a time.
fn in_batches(
    arena: &Arena,
    points: &[Point],
    (times, values): (&mut Vec<i64>, &mut Values),
    mut put: impl FnMut(&[i64], &Values) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    for points in points.chunks(BATCH_POINTS) {
        times.clear();
        values.clear();
        times.extend(points.iter().map(|point| point.time));
        arena.put_values(points, values);
        put(times, values)?;
    }
    Ok(())
}

/// The points at the times of some rows, which ascend.
fn within<'a>(points: &'a [Point], rows: &[i64]) -> &'a [Point] {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return &[] };
    let start = points.partition_point(|point| point.time < *first);
    let end = points.partition_point(|point| point.time <= *last);
    points.get(start..end).unwrap_or_default()
}

/// Widens a range to the times of ascending points.
fn cover(range: &mut TimeRange, points: &[Point]) {
    for point in points.first().into_iter().chain(points.last()) {
        range.include(point.time);
    }
}

//! A file of the run that is being written.

use std::path::{Path, PathBuf};

use super::arena::{Arena, Point, Series};
use super::files::{Output, Scratch, file_path, remove};
use super::index::Met;
use super::merge::{SeriesMerge, is_batch};
use super::paging::{Rows, weight_of};
use super::slices::Shelf;
use super::{Settings, Source, Twin, TwinError};
use crate::data::{DataType, TimeRange};
use crate::limits::TWIN_STEP_BYTES;
use crate::spool::{Disk, OpenMode};
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::Values;
use crate::tsfile::write::{Column, Ending, WriteError, Writer};

/// Points that are given to the writer at one time.
const BATCH_POINTS: usize = 1024;
/// Scratches of the writer.
const SCRATCHES: [&str; 2] = ["records", "nodes"];

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
    rows: Rows,
    page_points: usize,
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
            rows: Rows::default(),
            page_points: settings.writer.page_points,
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
        let put = |times: &[i64], values: &_| {
            cover(&mut self.times, times);
            self.writer.points(times, values)
        };
        in_batches(arena, points, (times, values), put).map_err(&failed)
    }

    /// Writes an aligned device: these series of it, at least one.
    pub(super) fn aligned(
        &mut self,
        id: &DeviceId,
        arena: &Arena,
        series: &[Series<'_>],
        rows_max: usize,
    ) -> Result<(), TwinError> {
        let columns = series.iter().map(column).collect();
        self.writer.aligned(id, columns).map_err(TwinError::write(&self.path))?;
        let mut rows = std::mem::take(&mut self.batch.rows);
        arena.rows(&mut rows.times);
        rows.begin();
        for series in series {
            let Some(weight) = weight_of(series.data_type) else { continue };
            let points = &mut self.batch.points;
            arena.points(series, points);
            let bytes = |point: &Point| arena.value(point, series.data_type).len();
            rows.weigh(weight, points.iter().map(|point| (point.time, bytes(point))));
        }
        while self.begin_rows(&mut rows, rows_max)? {
            for (place, series) in series.iter().enumerate() {
                self.column(place, arena, series, rows.group())?;
            }
        }
        self.batch.rows = rows;
        Ok(())
    }

    fn column(
        &mut self,
        place: usize,
        arena: &Arena,
        series: &Series<'_>,
        rows: &[i64],
    ) -> Result<(), TwinError> {
        let Batch { points, times, values, .. } = &mut self.batch;
        values.reset(series.data_type);
        arena.points(series, points);
        let put = |times: &[i64], values: &_| {
            cover(&mut self.times, times);
            self.writer.column(place, times, values)
        };
        let written = in_batches(arena, within(points, rows), (times, values), put);
        written.map_err(TwinError::write(&self.path))
    }

    /// Begins a series of a device that is not aligned, for [`Self::merged_points`].
    pub(super) fn begin_series(
        &mut self,
        name: String,
        data_type: DataType,
    ) -> Result<(), TwinError> {
        let begun = self.writer.series(Column::new(name, data_type));
        begun.map_err(TwinError::write(&self.path))
    }

    /// Writes some points of the series in hand; says how many, 0 at its end.
    pub(super) fn merged_points<S: Source>(
        &mut self,
        merge: &mut SeriesMerge,
        shelf: &mut Shelf<'_, D, S>,
    ) -> Result<usize, TwinError> {
        let Batch { times, values, .. } = &mut self.batch;
        merge.next(shelf, (i64::MAX, BATCH_POINTS), times, values)?;
        cover(&mut self.times, times);
        self.writer.points(times, values).map_err(TwinError::write(&self.path))?;
        Ok(times.len())
    }

    /// Begins an aligned device with these columns, for [`Self::begin_rows`].
    pub(super) fn begin_aligned(
        &mut self,
        id: &DeviceId,
        columns: &[(String, DataType)],
    ) -> Result<(), TwinError> {
        let columns = columns.iter().map(|(name, data_type)| Column::new(name, *data_type));
        self.writer.aligned(id, columns.collect()).map_err(TwinError::write(&self.path))
    }

    /// Begins the next group of rows; `false` if none are left.
    pub(super) fn begin_rows(
        &mut self,
        rows: &mut Rows,
        rows_max: usize,
    ) -> Result<bool, TwinError> {
        let page_ends = rows.next_group(rows_max, self.batch.page_points);
        if page_ends.is_empty() {
            return Ok(false);
        }
        let begun = self.writer.rows_in_pages(rows.group(), page_ends);
        begun.map_err(TwinError::write(&self.path))?;
        Ok(true)
    }

    /// Begins an aligned device whose rows are one group.
    pub(super) fn begin_lone(
        &mut self,
        id: &DeviceId,
        rows: &Rows,
        page_ends: Vec<usize>,
    ) -> Result<(), TwinError> {
        let begun = self.writer.lone_rows(id, rows.group(), page_ends);
        begun.map_err(TwinError::write(&self.path))
    }

    /// Begins a column of it, for [`Self::merged_column`] as column 0.
    pub(super) fn lone_column(
        &mut self,
        name: String,
        data_type: DataType,
    ) -> Result<(), TwinError> {
        let begun = self.writer.lone_column(Column::new(name, data_type));
        begun.map_err(TwinError::write(&self.path))
    }

    /// Puts the next rows of it into the emptied list; none at the end.
    pub(super) fn merged_rows<S: Source>(
        &mut self,
        merge: &mut SeriesMerge,
        shelf: &mut Shelf<'_, D, S>,
        most: usize,
        rows: &mut Vec<i64>,
    ) -> Result<(), TwinError> {
        merge.next(shelf, (i64::MAX, most), rows, &mut self.batch.values)
    }

    /// Writes a column of these rows, which end at a time; says how many points it has.
    pub(super) fn merged_column<S: Source>(
        &mut self,
        place: usize,
        merge: &mut SeriesMerge,
        shelf: &mut Shelf<'_, D, S>,
        to: i64,
    ) -> Result<usize, TwinError> {
        let Batch { times, values, .. } = &mut self.batch;
        let mut points = 0;
        loop {
            merge.next(shelf, (to, BATCH_POINTS), times, values)?;
            if times.is_empty() {
                return Ok(points);
            }
            points += times.len();
            cover(&mut self.times, times);
            let written = self.writer.column(place, times, values);
            written.map_err(TwinError::write(&self.path))?;
        }
    }

    /// Ends the data zone.
    pub(super) fn end(self) -> Result<EndingFile<D>, TwinError> {
        let Self { path, writer, times, .. } = self;
        let ending = writer.end().map_err(TwinError::write(&path))?;
        Ok(EndingFile { path, ending, times })
    }
}

/// A file whose metadata is being written.
#[derive(Debug)]
pub(super) struct EndingFile<D: Disk> {
    path: PathBuf,
    ending: Ending<Output<D::File>, Scratch<D>>,
    times: TimeRange,
}

impl<D: Disk> EndingFile<D> {
    /// Goes on; `false` at the end.
    pub(super) fn step(&mut self) -> Result<bool, TwinError> {
        self.ending.step(TWIN_STEP_BYTES as u64).map_err(TwinError::write(&self.path))
    }

    /// Ends the file and makes it durable.
    pub(super) fn finish(
        self,
        disk: &D,
        dir: &Path,
        met: &Met,
        part: u16,
    ) -> Result<Twin, TwinError> {
        let (output, written) = self.ending.finish().map_err(TwinError::write(&self.path))?;
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
    let mut rest = points;
    while !rest.is_empty() {
        times.clear();
        values.clear();
        for point in rest.iter().take(BATCH_POINTS) {
            times.push(point.time);
            arena.put_value(point, values);
            if is_batch(values) {
                break;
            }
        }
        rest = rest.get(times.len()..).unwrap_or_default();
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

/// Widens a range to ascending times.
fn cover(range: &mut TimeRange, times: &[i64]) {
    for time in times.first().into_iter().chain(times.last()) {
        range.include(*time);
    }
}

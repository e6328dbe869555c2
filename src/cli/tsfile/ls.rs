//! `tsfile ls`: a line for each series.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::{CliError, Ending};
use super::open::{Bytewise, flawed, open};
use super::progress::Output;
use super::times::Unit;
use crate::data::TimeRange;
use crate::ops::human::{Bytes, Count, Line};
use crate::tsfile::TsFileError;
use crate::tsfile::read::{Device, Series, Tally, TsFile};

pub(super) fn ls(files: &[PathBuf], unit: Unit, out: &mut impl Write) -> Result<Ending, CliError> {
    for path in files {
        let file = open(path, Output::Stream)?;
        let (version, bytes) = (file.summary().version, Bytes(file.bytes()));
        writeln!(out, "{}: version {version}, {bytes}", path.display())?;
        let mut sums = Tally::EMPTY;
        list(path, &file, &mut sums, out)?;
        let Tally { devices, series, points, times } = sums;
        let (devices, points) = (Count(devices, "device"), Count(points, "point"));
        write!(out, "  {devices}, {series} series, {points}")?;
        if times.is_empty() {
            writeln!(out)?;
        } else {
            let dates = [times.min, times.max].map(|time| unit.date(time));
            let [first, last] = dates;
            writeln!(out, ", times {} to {} ({first} to {last})", times.min, times.max)?;
        }
    }
    Ok(Ending::Done)
}

fn list(
    path: &Path,
    file: &TsFile<Bytewise>,
    sums: &mut Tally,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let wrong = |error| flawed(path, error);
    let mut devices = file.devices().map_err(wrong)?;
    while let Some(device) = devices.next().map_err(wrong)? {
        sums.devices += 1;
        let mut list = file.series(&device).map_err(wrong)?;
        let mut is_aligned = false;
        while let Some(series) = list.next().map_err(wrong)? {
            is_aligned |= series.is_time();
            let line = line_of(file, &device, &series, is_aligned, sums).map_err(wrong)?;
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

fn line_of(
    file: &TsFile<Bytewise>,
    device: &Device,
    series: &Series,
    is_aligned: bool,
    sums: &mut Tally,
) -> Result<String, TsFileError> {
    let statistics = file.statistics(series.statistics, series.value_type)?;
    let (mut bytes, mut count) = (0, 0_u64);
    let mut forms = BTreeSet::new();
    let mut chunks = file.chunks(series);
    while let Some(place) = chunks.next()? {
        let chunk = file.chunk(place.offset)?;
        bytes += chunk.end - chunk.offset;
        count += 1;
        forms.insert((chunk.encoding.name(), chunk.compression.name()));
    }
    let forms: Vec<String> = forms
        .into_iter()
        .map(|(encoding, compression)| format!("{encoding}/{compression}"))
        .collect();
    let name = if series.is_time() { "(time)" } else { &series.name };
    let data_type = series
        .value_type
        .map_or_else(|| "TIME".to_owned(), |data_type| format!("{data_type:?}").to_uppercase());
    let (first, last, points) = (statistics.start, statistics.end, statistics.count);
    sums.add(series, points, TimeRange { min: first, max: last });
    let data_type = if is_aligned { data_type + " aligned" } else { data_type };
    let times = if points > 0 { format!("{first} to {last}") } else { "no points".to_owned() };
    // Wide enough for most; what is longer moves the rest of its line.
    let (path, forms) = (format!("{}.{name}", device.id), forms.join(" "));
    let (path, points, chunks) =
        (Line(&path), Count(points.into(), "point"), Count(count, "chunk"));
    let bytes = Bytes(bytes);
    Ok(format!(
        "{path:<40}  {data_type:<17}  {points:>13}  {times:<30}  {forms:<20}  {chunks:>9}  {bytes:>8}"
    ))
}

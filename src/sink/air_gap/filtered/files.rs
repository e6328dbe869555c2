//! What becomes of an entry of files.

use std::io;

use super::super::feed::{StoredFile, StoredFiles};
use crate::data::{Matcher, ReadAt, Series, TimeRange};
use crate::limits::SPLIT_WINDOW_BYTES;
use crate::pipe::source::Filter;
use crate::spool::{EntryHeader, ReadError};
use crate::statement::Loose;
use crate::tsfile::TsFileError;
use crate::tsfile::read::{Device, TsFile};
use crate::wire::columns::Columns;
use crate::wire::cursor::Cursor;
use crate::wire::plan::PlanKind;
use crate::wire::request::RequestType;
use crate::wire::tablet::{self, Form};
use crate::wire::trim::TABLET_HEAD;

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing of it is sent.
    Skip,
    /// It is sent as it is.
    Whole,
}

/// What becomes of an entry with these files, of which `filter` could not tell by the header.
///
/// # Errors
/// If a file cannot be read, or has to be cut.
pub(super) fn fate_of<T: ReadAt>(
    filter: &Filter,
    header: &EntryHeader,
    stored: &StoredFiles<T>,
) -> Result<Fate, ReadError> {
    let seal = i16::try_from(stored.request_type).ok().and_then(RequestType::from_code);
    let plan = match seal {
        Some(RequestType::SchemaSnapshotSeal) => Some(PlanKind::Schema),
        Some(RequestType::ConfigSnapshotSeal) => {
            let file_type = stored.parameters.iter().find(|(key, _)| key == "fileType");
            Some(PlanKind::of_snapshot(file_type.and_then(|(_, value)| value.as_deref())))
        }
        _ => None,
    };
    if let Some(kind) = plan {
        return Ok(if filter.takes_plans(kind) { Fate::Whole } else { Fate::Skip });
    }
    let Some((matcher, times)) = filter.selection(header) else { return Ok(Fate::Skip) };
    let last = stored.files.iter().rev().find_map(|stored| Some((stored, stored.file.as_ref()?)));
    // The sink knows what to do with one without a file.
    let Some((StoredFile { name, .. }, file)) = last else { return Ok(Fate::Whole) };
    let is_request = stored.request_type != 0
        && !matches!(seal, Some(RequestType::TsFileSeal | RequestType::TsFileSealWithMod));
    let failed = |source| ReadError::Disk {
        operation: "look into",
        path: name.clone().unwrap_or_default().into(),
        source,
    };
    if is_request {
        return Ok(match of_request(filter, matcher, times, file).map_err(failed)? {
            Lie::Outside => Fate::Skip,
            Lie::Inside | Lie::Across => Fate::Whole,
        });
    }
    match of_ts_file_loosely(matcher, times, filter.loose(header), file) {
        Ok(Lie::Outside) => Ok(Fate::Skip),
        Ok(Lie::Across) => {
            let what = "a part of this TsFile would have to be cut out, which this build cannot; \
                        'mode.strict'='false' sends such files whole";
            Err(failed(io::Error::new(io::ErrorKind::Unsupported, what)))
        }
        Err(TsFileError::Read { source, .. }) => Err(failed(source)),
        // What is no TsFile is for the sink to tell.
        Ok(Lie::Inside) | Err(_) => Ok(Fate::Whole),
    }
}

/// How data lies to what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    Outside,
    Inside,
    Across,
}

impl Lie {
    /// Of two together.
    fn and(before: Option<Self>, other: Self) -> Self {
        if before.is_none_or(|before| before == other) { other } else { Self::Across }
    }

    fn of_times(times: TimeRange, range: TimeRange) -> Self {
        if !times.overlaps(range) {
            Self::Outside
        } else if times.min <= range.min && range.max <= times.max {
            Self::Inside
        } else {
            Self::Across
        }
    }
}

/// A request that is too large for an entry: a single value as a rule, so that it is never cut.
fn of_request<T: ReadAt>(
    filter: &Filter,
    matcher: &Matcher,
    times: TimeRange,
    file: &T,
) -> io::Result<Lie> {
    let mut window = vec![0; SPLIT_WINDOW_BYTES];
    let mut head = [0; TABLET_HEAD.len()];
    let count = file.read_at(0, &mut head)?;
    if count < head.len() || head != TABLET_HEAD {
        return Ok(if filter.is_every_series() { Lie::Inside } else { Lie::Outside });
    }
    let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut cursor = Cursor::new(file, &mut window).map_err(broken)?;
    let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    cursor.skip(TABLET_HEAD.len(), "head of a tablet").map_err(broken)?;
    let mut columns = Columns::new();
    let layout = tablet::scan(&mut cursor, Form::Node, &mut columns).map_err(broken)?;
    let mut text = |at: usize, bytes: usize| -> io::Result<String> {
        cursor.seek(at + 4);
        let name = cursor.peek(bytes, "name").map_err(broken)?;
        Ok(String::from_utf8_lossy(name).into_owned())
    };
    let series = matcher.series(&text(layout.device_at, layout.device_bytes)?);
    let mut wants = false;
    for column in columns.iter() {
        wants |= series.wants(&text(column.name_at as usize, usize::from(column.name_bytes))?);
    }
    Ok(if wants { Lie::of_times(times, layout.time_range) } else { Lie::Outside })
}

/// The same where some filters need not be cut for: then inside is what lies within the others.
fn of_ts_file_loosely<T: ReadAt>(
    matcher: &Matcher,
    times: TimeRange,
    loose: Loose,
    file: &T,
) -> Result<Lie, TsFileError> {
    let lie = of_ts_file(matcher, times, file)?;
    match (lie, loose) {
        (Lie::Across, Loose { time: true, path: true }) => Ok(Lie::Inside),
        (Lie::Across, Loose { time: true, .. }) => of_ts_file(matcher, TimeRange::ALL, file),
        (Lie::Across, Loose { path: true, .. }) => of_ts_file(&Matcher::everything(), times, file),
        (lie, _) => Ok(lie),
    }
}

/// Goes over the index, up to where it is known that the file lies across.
fn of_ts_file<T: ReadAt>(
    matcher: &Matcher,
    times: TimeRange,
    file: &T,
) -> Result<Lie, TsFileError> {
    let file = TsFile::open(file)?;
    let mut lie = None;
    let mut devices = file.devices()?;
    while let Some(device) = devices.next()? {
        let found = match matcher.series(&device.id.path()) {
            Series::None => Some(Lie::Outside),
            Series::All if times == TimeRange::ALL => Some(Lie::Inside),
            series @ (Series::All | Series::Some(_)) => of_device(&file, &device, &series, times)?,
        };
        if let Some(found) = found {
            lie = Some(Lie::and(lie, found));
        }
        if lie == Some(Lie::Across) {
            break;
        }
    }
    Ok(lie.unwrap_or(Lie::Outside))
}

/// `None` for a device without points.
fn of_device<T: ReadAt>(
    file: &TsFile<T>,
    device: &Device,
    series: &Series,
    times: TimeRange,
) -> Result<Option<Lie>, TsFileError> {
    let mut lie = None;
    let mut list = file.series(device)?;
    while let Some(one) = list.next()? {
        if one.is_time() {
            continue;
        }
        let found = if series.wants(&one.name) {
            let statistics = file.statistics(one.statistics, one.value_type)?;
            if statistics.count == 0 {
                continue;
            }
            Lie::of_times(times, TimeRange { min: statistics.start, max: statistics.end })
        } else {
            Lie::Outside
        };
        lie = Some(Lie::and(lie, found));
        if lie == Some(Lie::Across) {
            break;
        }
    }
    Ok(lie)
}

//! `tsfile show`: points, one on a line.

use std::io::Write;

use super::super::{CliError, Ending};
use super::open::{deletions, flawed, open};
use super::progress::Output;
use super::times::Unit;
use super::{Format, ShowArguments};
use crate::data::DataType;
use crate::data::Series;
use crate::ops::human::Line;
use crate::tsfile::encoding::Values;
use crate::tsfile::read::{Piece, Points};

pub(super) fn show(arguments: &ShowArguments, out: &mut impl Write) -> Result<Ending, CliError> {
    let path = &arguments.file;
    let wrong = |error| flawed(path, error);
    let file = open(path, Output::Stream)?;
    let deletions = deletions(path)?;
    let selection = arguments.points.selection();
    let mut points = Points::new(&file, Some(&deletions));
    points.within(selection.times);
    let mut printer = Printer {
        format: arguments.format,
        unit: arguments.points.times.unit,
        limit: arguments.limit,
        printed: 0,
    };
    printer.head(out)?;
    let mut devices = file.devices().map_err(wrong)?;
    while let Some(device) = devices.next().map_err(wrong)? {
        let wanted = selection.of_device(&device.id);
        if wanted == Series::None {
            continue;
        }
        let name = device.id.path();
        points.start(&device).map_err(wrong)?;
        while let Some(piece) = points.next(|series| wanted.wants(&series.name)).map_err(wrong)? {
            if !printer.piece(&name, &piece, out)? {
                return Ok(Ending::Done);
            }
        }
    }
    Ok(Ending::Done)
}

struct Printer {
    format: Format,
    unit: Unit,
    limit: u64,
    printed: u64,
}

impl Printer {
    fn head(&self, out: &mut impl Write) -> Result<(), CliError> {
        match self.format {
            Format::Table => {
                writeln!(out, "{:<19}  {:<24}  {:<40}  value", "time", "date", "series")?;
            }
            Format::Csv => writeln!(out, "time,device,series,value")?,
            Format::Json => {}
        }
        Ok(())
    }

    /// Prints points; `false` once there were enough.
    fn piece(
        &mut self,
        device: &str,
        piece: &Piece<'_>,
        out: &mut impl Write,
    ) -> Result<bool, CliError> {
        let series = piece.measurement;
        let path = format!("{device}.{series}");
        let mut value = String::new();
        for (place, time) in piece.times.iter().enumerate() {
            if self.limit > 0 && self.printed >= self.limit {
                return Ok(false);
            }
            self.printed += 1;
            let is_text = write_value(piece.data_type, piece.values, place, &mut value);
            match self.format {
                Format::Table => {
                    // It pads only what is one text.
                    let (date, path) = (self.unit.date(*time).to_string(), Line(&path));
                    writeln!(out, "{time:<19}  {date:<24}  {path:<40}  {}", Line(&value))?;
                }
                Format::Csv => {
                    writeln!(out, "{time},{},{},{}", csv(device), csv(series), csv(&value))?;
                }
                Format::Json => {
                    let bare = (!is_text && is_json_number(&value)).then(|| value.clone());
                    let value = bare.unwrap_or_else(|| json(&value));
                    let (device, series) = (json(device), json(series));
                    writeln!(
                        out,
                        "{{\"time\":{time},\"device\":{device},\"series\":{series},\"value\":{value}}}"
                    )?;
                }
            }
        }
        Ok(true)
    }
}

/// Writes a value as text, replacing `into`; says whether it is one.
fn write_value(data_type: DataType, values: &Values, place: usize, into: &mut String) -> bool {
    use std::fmt::Write as _;
    into.clear();
    let written = match values {
        Values::Booleans(list) => list.get(place).map(|value| write!(into, "{value}")),
        Values::Integers(list) if data_type == DataType::Date => list.get(place).map(|day| {
            let (year, month, day) = (day / 10_000, day / 100 % 100, day % 100);
            write!(into, "{year:04}-{month:02}-{day:02}")
        }),
        Values::Integers(list) => list.get(place).map(|value| write!(into, "{value}")),
        Values::Longs(list) => list.get(place).map(|value| write!(into, "{value}")),
        Values::Floats(list) => list.get(place).map(|value| write!(into, "{value}")),
        Values::Doubles(list) => list.get(place).map(|value| write!(into, "{value}")),
        Values::Binaries(list) => list.get(place).map(|bytes| {
            if data_type != DataType::Blob {
                into.push_str(&String::from_utf8_lossy(bytes));
                return Ok(());
            }
            into.push_str("0x");
            bytes.iter().try_for_each(|byte| write!(into, "{byte:02x}"))
        }),
    };
    // Writing to memory cannot fail.
    debug_assert!(matches!(written, Some(Ok(()))));
    data_type.is_binary() || data_type == DataType::Date
}

/// JSON has no NaN and no infinity: they are texts.
fn is_json_number(value: &str) -> bool {
    !value.contains("NaN") && !value.contains("inf")
}

/// A text of JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A field of CSV, in quotes if it needs them (RFC 4180).
fn csv(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_are_quoted() {
        assert_eq!(csv("a"), "a");
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
    }

    #[test]
    fn values_are_shown_by_their_type() {
        let mut text = String::new();
        assert!(write_value(DataType::Date, &Values::Integers(vec![20_240_131]), 0, &mut text));
        assert_eq!(text, "2024-01-31");
        let mut blob = crate::tsfile::encoding::Binaries::new();
        blob.push(&[1, 0xff]);
        write_value(DataType::Blob, &Values::Binaries(blob), 0, &mut text);
        assert_eq!(text, "0x01ff");
        assert!(!write_value(DataType::Float, &Values::Floats(vec![f32::NAN]), 0, &mut text));
        assert!(!is_json_number(&text));
    }
}

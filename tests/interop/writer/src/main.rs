//! Writes a `TsFile` with the library's writer from points told on standard input, for other programs to read.
//!
//! ```text
//!  a line for each device, in the order of the file:
//!  {"path": "root.a.b", "aligned": false, "series": [
//!     {"name": "s", "type": "FLOAT", "encoding": "GORILLA", "compression": "LZ4",
//!      "times": [1, 2], "values": [1065353216, 3212836864]}]}
//! ```
//!
//! Values are truths or integers; floats are their bits, texts and blobs hexadecimal digits.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufWriter};
use std::path::PathBuf;

use clap::Parser;
use penstock::data::DataType;
use penstock::tsfile::compression::Compression;
use penstock::tsfile::device::DeviceId;
use penstock::tsfile::encoding::{Binaries, Encoding, Values};
use penstock::tsfile::write::{Column, MemoryScratch, Settings, Version, Writer};
use serde::Deserialize;
use serde_json::Value;

/// Writes a `TsFile` of the points on standard input.
#[derive(Debug, Parser)]
struct Arguments {
    /// Version of the format: 3 or 4
    #[arg(long, default_value_t = 3)]
    version: u8,
    /// Points of a page at most
    #[arg(long, default_value_t = 10_000)]
    page_points: usize,
    /// Points of a chunk at most
    #[arg(long, default_value_t = 100_000)]
    chunk_points: usize,
    /// The new file
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Device {
    path: String,
    aligned: bool,
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    encoding: String,
    compression: String,
    times: Vec<i64>,
    values: Vec<Value>,
}

type Output = Writer<BufWriter<File>, MemoryScratch>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let version = if arguments.version == 3 { Version::V3 } else { Version::V4 };
    let settings = Settings {
        version,
        page_points: arguments.page_points,
        chunk_points: arguments.chunk_points,
        ..Settings::default()
    };
    let out = BufWriter::new(File::create_new(arguments.file)?);
    let mut writer = Writer::new(out, Default::default(), settings)?;
    for line in io::stdin().lock().lines() {
        let device: Device = serde_json::from_str(&line?)?;
        let id = DeviceId::segmented(&device.path);
        if device.aligned {
            aligned(&mut writer, &id, &device.series, settings.chunk_points)?;
        } else {
            plain(&mut writer, &id, &device.series)?;
        }
    }
    writer.finish()?;
    Ok(())
}

fn plain(writer: &mut Output, id: &DeviceId, list: &[Series]) -> Result<(), Box<dyn Error>> {
    writer.device(id)?;
    for series in list {
        let column = series.column()?;
        let values = values(column.data_type, &series.values)?;
        writer.series(column)?;
        writer.points(&series.times, &values)?;
    }
    Ok(())
}

fn aligned(
    writer: &mut Output,
    id: &DeviceId,
    list: &[Series],
    group: usize,
) -> Result<(), Box<dyn Error>> {
    let columns: Result<Vec<_>, _> = list.iter().map(Series::column).collect();
    writer.aligned(id, columns?)?;
    let rows: BTreeSet<i64> = list.iter().flat_map(|series| &series.times).copied().collect();
    let rows: Vec<i64> = rows.into_iter().collect();
    for rows in rows.chunks(group) {
        writer.rows(rows)?;
        for (index, series) in list.iter().enumerate() {
            let of_group = |time: &i64| rows.binary_search(time).is_ok();
            let pairs = series.times.iter().zip(&series.values).filter(|(time, _)| of_group(time));
            let (times, cells): (Vec<i64>, Vec<Value>) =
                pairs.map(|(time, cell)| (*time, cell.clone())).unzip();
            writer.column(index, &times, &values(series.data_type()?, &cells)?)?;
        }
    }
    Ok(())
}

impl Series {
    fn data_type(&self) -> Result<DataType, Box<dyn Error>> {
        let is_it =
            |data_type: &DataType| self.data_type.eq_ignore_ascii_case(&format!("{data_type:?}"));
        let found = (0..=u8::MAX).filter_map(DataType::from_code).find(is_it);
        found.ok_or_else(|| format!("no type {}", self.data_type).into())
    }

    fn column(&self) -> Result<Column, Box<dyn Error>> {
        let encoding = Encoding::ALL.into_iter().find(|one| one.name() == self.encoding);
        let compression = Compression::ALL.into_iter().find(|one| one.name() == self.compression);
        Ok(Column {
            name: self.name.clone(),
            data_type: self.data_type()?,
            encoding: encoding.ok_or("no such encoding")?,
            compression: compression.ok_or("no such compression")?,
        })
    }
}

fn values(data_type: DataType, cells: &[Value]) -> Result<Values, Box<dyn Error>> {
    let mut values = Values::of(data_type);
    for cell in cells {
        let whole = || cell.as_i64().ok_or("not an integer");
        let bits = || cell.as_u64().ok_or("not the bits of a number");
        match &mut values {
            Values::Booleans(list) => list.push(cell.as_bool().ok_or("not a truth")?),
            Values::Integers(list) => list.push(whole()?.try_into()?),
            Values::Longs(list) => list.push(whole()?),
            Values::Floats(list) => list.push(f32::from_bits(bits()?.try_into()?)),
            Values::Doubles(list) => list.push(f64::from_bits(bits()?)),
            Values::Binaries(list) => push_hex(cell.as_str().ok_or("not a text")?, list)?,
        }
    }
    Ok(values)
}

fn push_hex(digits: &str, into: &mut Binaries) -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    for place in (0..digits.len()).step_by(2) {
        let pair = digits.get(place..place + 2).ok_or("half a byte")?;
        bytes.push(u8::from_str_radix(pair, 16)?);
    }
    into.push(&bytes);
    Ok(())
}

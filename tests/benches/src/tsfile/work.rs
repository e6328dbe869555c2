//! What runs in a process of its own: writing files, and reading one to its last point.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use clap::ValueEnum;
use penstock::data::DataType;
use penstock::data::ReadAt;
use penstock::tsfile::device::DeviceId;
use penstock::tsfile::encoding::{Binaries, Values};
use penstock::tsfile::read::{Points, TsFile};
use penstock::tsfile::write::{Column, MemoryScratch, Settings, WriteError, Writer};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Writes 10 devices x 100 series x 10 000 points
    Plant,
    /// Writes devices of 20 series with a few points each
    Tiny,
    /// Writes as many files of one device each
    Small,
    /// Writes 200 000 devices; the amount is the file's bytes
    Devices,
    /// Reads all points of a file
    Read,
}

const DEVICES: usize = 10;
const SERIES: usize = 100;
const POINTS: usize = 10_000;
/// Points of the file `plant`.
const PLANT_POINTS: usize = DEVICES * SERIES * POINTS;
/// The same in millions.
pub(super) const PLANT_MILLIONS: f64 = 10.0;
const TYPES: [DataType; 10] = [
    DataType::Boolean,
    DataType::Int32,
    DataType::Int64,
    DataType::Float,
    DataType::Double,
    DataType::Int32,
    DataType::Int64,
    DataType::Float,
    DataType::Double,
    DataType::Text,
];
const START: i64 = 1_700_000_000_000;
const STEP: usize = 1000;
const OUTPUT_BYTES: usize = 256 * 1024;

type Output = Writer<BufWriter<File>, MemoryScratch>;

/// Does one thing.
pub(crate) fn work(work: Work, path: &Path, amount: u64) -> io::Result<()> {
    let done = match work {
        Work::Plant => write(path, plant),
        Work::Tiny => write(path, |writer| tiny(writer, 0..amount)),
        Work::Small => (0..amount).try_for_each(|number| {
            let name = path.with_file_name(format!("small-{number}.tsfile"));
            write(&name, |writer| tiny(writer, number..=number))
        }),
        Work::Devices => write(path, |writer| devices(writer, amount)),
        Work::Read => return read(path),
    };
    done.map_err(io::Error::other)
}

fn write(
    path: &Path,
    content: impl FnOnce(&mut Output) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let out = BufWriter::with_capacity(OUTPUT_BYTES, File::create(path)?);
    let mut writer = Writer::new(out, Default::default(), Settings::default())?;
    content(&mut writer)?;
    writer.finish()?;
    Ok(())
}

fn plant(writer: &mut Output) -> Result<(), WriteError> {
    let times = times(POINTS);
    let columns: Vec<Values> =
        (1..).zip(TYPES).map(|(seed, data_type)| column(data_type, seed, POINTS)).collect();
    for device in 0..DEVICES {
        writer.device(&DeviceId::of_path(format!("root.sg.plant.d{device}")))?;
        for series in 0..SERIES {
            let (place, name) = (series % TYPES.len(), format!("s{series:03}"));
            let (Some(data_type), Some(values)) = (TYPES.get(place), columns.get(place)) else {
                continue;
            };
            writer.series(Column::new(name, *data_type))?;
            writer.points(&times, values)?;
        }
    }
    Ok(())
}

fn tiny(writer: &mut Output, devices: impl Iterator<Item = u64>) -> Result<(), WriteError> {
    const POINTS: usize = 5;
    let (times, values) = (times(POINTS), column(DataType::Int32, 1, POINTS));
    for device in devices {
        writer.device(&DeviceId::of_path(format!("root.sg.plant.d{device:05}")))?;
        for series in 0..20 {
            writer.series(Column::new(format!("s{series:02}"), DataType::Int32))?;
            writer.points(&times, &values)?;
        }
    }
    Ok(())
}

fn devices(writer: &mut Output, bytes: u64) -> Result<(), WriteError> {
    const DEVICES: u64 = 200_000;
    // Numbers at random take nine bytes each.
    let points = usize::try_from(bytes / DEVICES / 9).unwrap_or(0).max(1);
    let times = times(points);
    let mut dice = Dice::new(7);
    for device in 0..DEVICES {
        writer.device(&DeviceId::of_path(format!("root.sg.plant.d{device:06}")))?;
        writer.series(Column::new("s", DataType::Double))?;
        let values = (0..points).map(|_| f64::from_bits(dice.next() >> 2)).collect();
        writer.points(&times, &Values::Doubles(values))?;
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<()> {
    let file = TsFile::open(Positioned(File::open(path)?)).map_err(io::Error::other)?;
    let mut points = Points::new(&file, None);
    let mut devices = file.devices().map_err(io::Error::other)?;
    let mut count = 0;
    while let Some(device) = devices.next().map_err(io::Error::other)? {
        points.start(&device).map_err(io::Error::other)?;
        while let Some(piece) = points.next(|_| true).map_err(io::Error::other)? {
            count += piece.times.len();
        }
    }
    if count == PLANT_POINTS { Ok(()) } else { Err(io::Error::other("points are missing")) }
}

/// Bytes behind the data zone.
pub(super) fn metadata_bytes(path: &Path) -> io::Result<u64> {
    let file = TsFile::open(Positioned(File::open(path)?)).map_err(io::Error::other)?;
    Ok(file.bytes() - file.summary().separator)
}

struct Positioned(File);

impl ReadAt for Positioned {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, into, offset)
    }
}

fn times(count: usize) -> Vec<i64> {
    (START..).step_by(STEP).take(count).collect()
}

/// The numbers of Library.java.
struct Dice(u64);

impl Dice {
    const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> i32 {
        i32::try_from(self.next() % end).unwrap_or_default()
    }
}

fn column(data_type: DataType, seed: u64, count: usize) -> Values {
    let mut dice = Dice::new(seed);
    let numbers = 0..i32::try_from(count).unwrap_or_default();
    let wave = |number: i32| (f64::from(number) * 0.01).sin();
    let mut values = Values::of(data_type);
    for number in numbers {
        match &mut values {
            Values::Booleans(list) => list.push((number / 50) % 2 == 0),
            Values::Integers(list) => list.push(1000 + number % 100 + dice.below(10)),
            Values::Longs(list) => {
                list.push(1_000_000 + i64::from(number) * 3 + i64::from(dice.below(100)));
            }
            Values::Floats(list) => {
                #[expect(clippy::cast_possible_truncation, reason = "as the other side does")]
                let wave = wave(number) as f32;
                #[expect(clippy::cast_precision_loss, reason = "below 8")]
                let step = dice.below(8) as f32;
                list.push(20.0 + wave + step * 0.125);
            }
            Values::Doubles(list) => {
                list.push(20.0 + wave(number) + f64::from(dice.below(8)) * 0.125);
            }
            Values::Binaries(list) => push(list, dice.below(20)),
        }
    }
    values
}

fn push(list: &mut Binaries, state: i32) {
    list.push(format!("state-{state}").as_bytes());
}

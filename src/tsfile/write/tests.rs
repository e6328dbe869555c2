//! Files that are written read back.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::data::TimeRange;
use crate::tsfile::encoding::Binaries;
use crate::tsfile::read::{Counting, Points, TsFile};

fn scratches() -> [MemoryScratch; 2] {
    Default::default()
}

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    std::fs::read(folder.join(name)).expect("sample")
}

fn points_of(bytes: &[u8]) -> Vec<String> {
    let file = TsFile::open(bytes).expect("sound");
    let mut points = Points::new(&file, None);
    let mut devices = file.devices().expect("index");
    let mut lines = Vec::new();
    while let Some(device) = devices.next().expect("index") {
        points.start(&device).expect("index");
        while let Some(piece) = points.next(|_| true).expect("page") {
            for place in 0..piece.times.len() {
                let mut one = Values::of(piece.data_type);
                one.append(piece.values, place..place + 1);
                let mut line = format!("{}.{} ", device.id, piece.measurement);
                write!(line, "{} {one:?}", piece.times[place]).expect("memory");
                lines.push(line);
            }
        }
    }
    lines
}

fn without(column: Column) -> Column {
    Column { encoding: Encoding::Plain, compression: Compression::None, ..column }
}

fn tiny(version: Version) -> Vec<u8> {
    let settings = Settings { version, ..Settings::default() };
    let mut writer = Writer::new(Vec::new(), scratches(), settings).expect("memory");
    writer.device(&DeviceId::of_path("root.sg.d1")).expect("first");
    writer.series(without(Column::new("s1", DataType::Int32))).expect("first");
    writer.points(&[1000, 2000, 3000], &Values::Integers(vec![10, -20, 30])).expect("ascending");
    writer.finish().expect("memory").0
}

/// The sample has a plan range of 17 bytes before its separator; ours has none.
fn without_plan_range(mut sample: Vec<u8>, offsets: &[usize]) -> Vec<u8> {
    sample.drain(0x39 + usize::from(sample[6] == 4)..0x4a + usize::from(sample[6] == 4));
    for place in offsets {
        let place = place - 17;
        let field: &mut [u8] = &mut sample[place..place + 8];
        let value = u64::from_be_bytes(field.try_into().expect("eight")) - 17;
        field.copy_from_slice(&value.to_be_bytes());
    }
    sample
}

#[test]
fn the_stock_writers_bytes_are_written() {
    let expected = without_plan_range(sample("v3_tiny.tsfile"), &[0x86, 0x8e, 0xa3, 0xab, 0xb4]);
    assert_eq!(tiny(Version::V3), expected);
    let expected = without_plan_range(sample("v4_tiny.tsfile"), &[0x87, 0x8f, 0xae, 0xb6, 0xc0]);
    assert_eq!(tiny(Version::V4), expected);
}

#[test]
fn aligned_devices_are_written_as_the_sample() {
    let bytes = sample("v3_aligned.tsfile");
    let settings = Settings::default();
    let mut writer = Writer::new(Vec::new(), scratches(), settings).expect("memory");
    let columns = [("a", DataType::Int64), ("b", DataType::Text), ("c", DataType::Boolean)];
    let columns = columns.map(|(name, data_type)| without(Column::new(name, data_type))).to_vec();
    writer.aligned(&DeviceId::of_path("root.sg.d1"), columns).expect("first");
    let rows: Vec<i64> = (0..9).map(|n| 1 << n).collect();
    writer.rows(&rows).expect("ascending");
    writer.column(0, &[1, 4], &Values::Longs(vec![0, 4])).expect("rows");
    writer.column(0, &[16, 64, 256], &Values::Longs(vec![16, 36, 64])).expect("rows");
    let mut text = Binaries::new();
    text.push(b"z");
    writer.column(1, &[256], &Values::Binaries(text)).expect("rows");
    let (written, counts) = writer.finish().expect("memory");
    assert_eq!((counts.devices, counts.series, counts.points), (1, 3, 6));
    assert_eq!(points_of(&written), points_of(&bytes));
    // The value chunks and the records of the series are the same to the byte.
    assert!(written.windows(0x84 - 0x35).any(|window| *window == bytes[0x35..0x84]));
}

fn settings(version: Version) -> Settings {
    Settings {
        version,
        page_points: 7,
        page_bytes: 20,
        chunk_points: 20,
        chunk_bytes: 200,
        ..Settings::default()
    }
}

/// A file whose index has nodes of all kinds: its metadata is still to be written.
fn many_devices(version: Version) -> Writer<Vec<u8>, MemoryScratch> {
    let mut writer = Writer::new(Vec::new(), scratches(), settings(version)).expect("memory");
    for device in 0..600 {
        let id = DeviceId::segmented(&format!("root.db{}.x.d{device:04}", device / 290));
        writer.device(&id).expect("ascending");
        for series in 0..if device == 3 { 66_000 } else { 2 } {
            let column = Column::new(format!("s{series:05}"), DataType::Int32);
            writer.series(column).expect("order");
            let values = Values::Integers(vec![device, series]);
            writer.points(&[1, 2], &values).expect("ascending");
        }
    }
    writer
}

#[test]
fn many_devices_and_series_are_found_again() {
    for version in [Version::V3, Version::V4] {
        let (bytes, written) = many_devices(version).finish().expect("memory");
        assert_eq!(written.devices, 600);
        assert_eq!(written.bytes, bytes.len() as u64);
        let lines = points_of(&bytes);
        assert_eq!(lines.len() as u64, written.points);
        // The sums of its index take many steps, each of which goes on where the one before stood.
        let mut counting = Counting::new(&TsFile::open(&bytes[..]).expect("sound")).expect("index");
        let mut sums = (0..100).map(|_| counting.step(&bytes[..]).expect("sound"));
        assert!(sums.by_ref().take(10).all(|tally| tally.is_none()), "{version:?}");
        let tally = sums.flatten().next().expect("an end");
        assert_eq!((tally.devices, tally.series), (600, 66_000 + 599 * 2));
        assert_eq!((tally.points, tally.times), (written.points, TimeRange { min: 1, max: 2 }));
        assert_eq!(lines.len(), 2 * (66_000 + 599 * 2), "{version:?}");
    }
}

#[test]
fn a_file_is_the_same_in_however_many_steps_it_ends() {
    for version in [Version::V3, Version::V4] {
        let (bytes, written) = many_devices(version).finish().expect("memory");
        let mut ending = many_devices(version).end().expect("memory");
        let mut steps = 0;
        while ending.step(5000).expect("memory") {
            steps += 1;
        }
        // Records are walked through twice, and have half of the bytes of the file.
        assert!(steps > bytes.len() / 5000 / 2, "{steps} steps for {} bytes", bytes.len());
        let (in_steps, counts) = ending.finish().expect("memory");
        assert!(in_steps == bytes, "{version:?}");
        assert_eq!(counts, written);
    }
}

#[test]
fn what_is_out_of_order_is_refused() {
    let mut writer = Writer::new(Vec::new(), scratches(), settings(Version::V3)).expect("memory");
    writer.device(&DeviceId::of_path("root.sg.a.b.c")).expect("first");
    let hidden = writer.device(&DeviceId::of_path("root.sg.b"));
    assert!(matches!(hidden, Err(WriteError::Order { what: "device", .. })), "2.0 would lose it");
    writer.device(&DeviceId::of_path("root.sg.a.c.c")).expect("both orders");
    writer.series(Column::new("s2", DataType::Boolean)).expect("first");
    assert!(writer.series(Column::new("s1", DataType::Boolean)).is_err());
    writer.points(&[5], &Values::Booleans(vec![true])).expect("first");
    let same = writer.points(&[5], &Values::Booleans(vec![true]));
    assert!(matches!(same, Err(WriteError::Time { time: 5, .. })));
    assert!(writer.points(&[6], &Values::Integers(vec![1])).is_err());
    writer
        .aligned(&DeviceId::of_path("root.sg.b.c.d"), vec![Column::new("x", DataType::Float)])
        .expect("next");
    writer.rows(&[1, 2, 3]).expect("ascending");
    assert!(writer.rows(&[3, 4]).is_err());
    writer.rows(&[4, 6]).expect("ascending");
    let stray = writer.column(0, &[5], &Values::Floats(vec![1.0])).and_then(|()| writer.rows(&[9]));
    assert!(matches!(stray, Err(WriteError::Time { time: 5, .. })));
}

fn any_column() -> impl Strategy<Value = (DataType, Vec<(i64, u64)>)> {
    let types = proptest::sample::select(vec![
        DataType::Boolean,
        DataType::Int32,
        DataType::Int64,
        DataType::Float,
        DataType::Double,
        DataType::Text,
        DataType::String,
        DataType::Blob,
        DataType::Date,
        DataType::Timestamp,
    ]);
    let points = proptest::collection::btree_map(0_i64..60, any::<u64>(), 1..50);
    (types, points.prop_map(|points| points.into_iter().collect()))
}

fn values(data_type: DataType, seeds: &[(i64, u64)]) -> Values {
    let mut values = Values::of(data_type);
    for (_, seed) in seeds {
        match &mut values {
            Values::Booleans(list) => list.push(seed % 2 == 0),
            Values::Integers(list) => {
                list.push(i32::from_be_bytes(seed.to_be_bytes()[..4].try_into().expect("four")));
            }
            Values::Longs(list) => list.push(seed.cast_signed()),
            Values::Floats(list) => list.push(f32::from_bits(u32::from_be_bytes(
                seed.to_be_bytes()[..4].try_into().expect("four"),
            ))),
            Values::Doubles(list) => list.push(f64::from_bits(*seed)),
            Values::Binaries(list) => list.push(&seed.to_be_bytes()[..(seed % 9) as usize]),
        }
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_points_come_back(
        columns in proptest::collection::vec(any_column(), 1..5),
        is_aligned in any::<bool>(),
        version in proptest::sample::select(vec![Version::V3, Version::V4]),
    ) {
        let mut writer = Writer::new(Vec::new(), scratches(), settings(version)).expect("memory");
        let id = DeviceId::of_path("root.sg.x.d");
        let specs: Vec<Column> = columns
            .iter()
            .enumerate()
            .map(|(place, (data_type, _))| Column::new(format!("s{place}"), *data_type))
            .collect();
        if is_aligned {
            writer.aligned(&id, specs).expect("first");
            let times: std::collections::BTreeSet<i64> =
                columns.iter().flat_map(|(_, points)| points.iter().map(|(time, _)| *time)).collect();
            let times: Vec<i64> = times.into_iter().collect();
            for rows in times.chunks(20) {
                writer.rows(rows).expect("ascending");
                for (place, (data_type, points)) in columns.iter().enumerate() {
                    let part: Vec<(i64, u64)> = points.iter().copied().filter(|(time, _)| rows.contains(time)).collect();
                    let times: Vec<i64> = part.iter().map(|(time, _)| *time).collect();
                    writer.column(place, &times, &values(*data_type, &part)).expect("rows");
                }
            }
        } else {
            writer.device(&id).expect("first");
            for (spec, (data_type, points)) in specs.into_iter().zip(&columns) {
                writer.series(spec).expect("order");
                let times: Vec<i64> = points.iter().map(|(time, _)| *time).collect();
                writer.points(&times, &values(*data_type, points)).expect("ascending");
            }
        }
        let (bytes, _) = writer.finish().expect("memory");
        let mut expected = Vec::new();
        for (place, (data_type, points)) in columns.iter().enumerate() {
            for point in points {
                let one = values(*data_type, &[*point]);
                expected.push(format!("root.sg.x.d.s{place} {} {one:?}", point.0));
            }
        }
        let mut got = points_of(&bytes);
        got.sort();
        expected.sort();
        prop_assert_eq!(got, expected);
    }
}

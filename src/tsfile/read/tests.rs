//! The samples of all writers read to the points that were written.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use super::*;
use crate::data::TimeRange;
use crate::tsfile::encoding::Values;

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let bytes = std::fs::read(folder.join(name)).expect("sample");
    if !name.contains(".gz") {
        return bytes;
    }
    let mut text = Vec::new();
    flate2::bufread::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("gzip");
    text
}

fn shown(values: &Values, place: usize) -> String {
    match values {
        Values::Booleans(list) => list[place].to_string(),
        Values::Integers(list) => list[place].to_string(),
        Values::Longs(list) => list[place].to_string(),
        Values::Floats(list) => format!("f{:08x}", list[place].to_bits()),
        Values::Doubles(list) => format!("d{:016x}", list[place].to_bits()),
        Values::Binaries(list) => {
            let mut hex = "x".to_owned();
            for byte in list.get(place).expect("there") {
                write!(hex, "{byte:02x}").expect("memory");
            }
            hex
        }
    }
}

/// All points in the form of the listings, sorted.
fn listing(bytes: &[u8], deletions: Option<&Deletions>, times: TimeRange) -> Vec<String> {
    let file = TsFile::open(bytes).expect("sound");
    let mut points = Points::new(&file, deletions);
    points.within(times);
    let mut devices = file.devices().expect("index");
    let mut lines = Vec::new();
    while let Some(device) = devices.next().expect("index") {
        points.start(&device).expect("index");
        while let Some(piece) = points.next(|_| true).expect("page") {
            assert_eq!(piece.times.len(), piece.values.len());
            for (place, time) in piece.times.iter().enumerate() {
                let value = shown(piece.values, place);
                lines.push(format!("{}\t{}\t{time}\t{value}", device.id, piece.measurement));
            }
        }
    }
    lines.sort();
    lines
}

#[test]
fn samples_of_all_writers_read_to_their_points() {
    for (names, expected) in [
        (&["v3_tiny", "v4_tiny"][..], "tiny.exp"),
        (&["v3_aligned", "v4_aligned"], "aligned.exp"),
        (&["v3_depth", "v4_depth"], "depth.exp"),
        (&["v3_all", "v4_all"], "all.exp.gz"),
        (&["v3_gv1"], "v3_gv1.exp.gz"),
        (&["batch_v3", "batch_v4"], "batch.exp"),
        (&["py_tree"], "py_tree.exp"),
        (&["py_table"], "py_table.exp"),
        (&["py_types"], "py_types.exp"),
    ] {
        let text = String::from_utf8(sample(expected)).expect("text");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        for name in names {
            let got = listing(&sample(&format!("{name}.tsfile")), None, TimeRange::ALL);
            assert_eq!(got.len(), lines.len(), "{name}: points");
            for (got, expected) in got.iter().zip(&lines) {
                assert_eq!(got, expected, "{name}");
            }
        }
    }
}

#[test]
fn an_index_of_many_levels_is_walked() {
    for name in ["v3_deg7", "v4_deg7"] {
        let bytes = sample(&format!("{name}.tsfile"));
        let lines = listing(&bytes, None, TimeRange::ALL);
        let file = TsFile::open(&bytes[..]).expect("sound");
        let mut devices = file.devices().expect("index");
        let mut count = 0;
        while let Some(device) = devices.next().expect("index") {
            let mut series = file.series(&device).expect("index");
            while let Some(series) = series.next().expect("index") {
                let statistics =
                    file.statistics(series.statistics, series.value_type).expect("statistics");
                assert!(statistics.count > 0);
                count += 1;
            }
        }
        assert_eq!(count, 9 * 81, "{name}");
        assert!(lines.len() >= count);
        for line in lines {
            let mut fields = line.split('\t');
            let (_, measurement) = (fields.next(), fields.next().expect("measurement"));
            assert_eq!(
                fields.nth(1).expect("value"),
                &measurement.replace('m', ""),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn deletions_and_times_are_honoured() {
    let bytes = sample("v3_tiny.tsfile");
    let cut = |text: &[u8], times| {
        listing(&bytes, Some(&Deletions::from_lines(text).expect("few")), times).len()
    };
    assert_eq!(cut(b"", TimeRange::ALL), 3);
    assert_eq!(cut(b"DELETION,root.sg.d1.s1,228,1000,2000\n", TimeRange::ALL), 1);
    assert_eq!(cut(b"DELETION,root.sg.d1.s1,19,1000,2000\n", TimeRange::ALL), 3, "written later");
    assert_eq!(cut(b"DELETION,root.**,228,2500,9000\n", TimeRange { min: 1500, max: 9000 }), 1);
    assert_eq!(cut(b"DELETION,root.sg.d2.s1,228,0,9000\n", TimeRange::at(3000)), 1);
    let aligned = sample("v3_aligned.tsfile");
    let mods = Deletions::from_lines(b"DELETION,root.sg.d1.a,999,2,20\n").expect("few");
    assert_eq!(listing(&aligned, Some(&mods), TimeRange::ALL).len(), 4);
}

/// Reads whatever can be read; nothing may panic or hang.
fn read_all(bytes: &[u8]) -> Result<u64, TsFileError> {
    let file = TsFile::open(bytes)?;
    let mut points = Points::new(&file, None);
    let mut devices = file.devices()?;
    let mut count = 0;
    while let Some(device) = devices.next()? {
        points.start(&device)?;
        while let Some(piece) = points.next(|_| true)? {
            count += piece.times.len() as u64;
        }
    }
    Ok(count)
}

/// Each of 15 levels has four nodes, and each of them leads to all four of the next: a thousand million ways.
const SHARED: &[u8] = include_bytes!("../../../tests/fuzz/corpus/tsfile/shared_nodes");

#[test]
fn a_walk_ends_however_many_ways_the_index_has() {
    assert!(matches!(read_all(SHARED), Err(TsFileError::Shared { .. })));
    let file = TsFile::open(SHARED).expect("sound ends");
    assert!(matches!(counted(SHARED), Err(TsFileError::Shared { .. })));
    // The devices alone, without their series.
    let mut devices = file.devices().expect("index");
    let ended = std::iter::from_fn(|| devices.next().transpose()).find_map(Result::err);
    assert!(matches!(ended, Some(TsFileError::Shared { .. })));
    assert!(matches!(devices.next(), Ok(None)), "over");
}

#[test]
fn a_walk_over_the_same_series_again_and_again_ends() {
    let bytes = sample("v3_tiny.tsfile");
    let file = TsFile::open(&bytes[..]).expect("sound");
    let device = file.devices().expect("index").next().expect("index").expect("one");
    let walks = std::iter::from_fn(|| {
        let mut list = file.series(&device).ok()?;
        list.next().ok()?
    });
    let sound = usize::try_from(TSFILE_INDEX_WALKS_MAX).expect("small");
    assert!((sound..100).contains(&walks.take(100).count()));
    // A new walk over the devices begins anew.
    assert_eq!(listing(&bytes, None, TimeRange::ALL).len(), 3);
    assert!(counted(&bytes).is_ok());
}

fn counted(bytes: &[u8]) -> Result<Tally, TsFileError> {
    let mut counting = Counting::new(&TsFile::open(bytes)?)?;
    loop {
        if let Some(tally) = counting.step(bytes)? {
            return Ok(tally);
        }
    }
}

#[test]
fn no_flipped_bit_panics() {
    for name in ["v3_tiny", "v3_aligned", "v4_depth", "batch_v4", "py_table"] {
        let mut bytes = sample(&format!("{name}.tsfile"));
        for place in 0..bytes.len() {
            for bit in 0..8 {
                bytes[place] ^= 1 << bit;
                let _outcome = read_all(&bytes);
                bytes[place] ^= 1 << bit;
            }
        }
    }
}

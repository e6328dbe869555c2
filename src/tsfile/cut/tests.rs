//! What is cut out of a file is a sound file with just those points.

use std::path::Path;

use super::*;
use crate::tsfile::check::{Depth, check};
use crate::tsfile::read::Points;
use crate::tsfile::write::{MemoryScratch, Settings, Version, Written};

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    std::fs::read(folder.join(format!("{name}.tsfile"))).expect("sample")
}

/// All points: path, time, value.
fn points_of(bytes: &[u8], deletions: &Deletions) -> Vec<(String, i64, String)> {
    let file = TsFile::open(bytes).expect("sound");
    let mut points = Points::new(&file, Some(deletions));
    let mut devices = file.devices().expect("index");
    let mut all = Vec::new();
    while let Some(device) = devices.next().expect("index") {
        points.start(&device).expect("index");
        while let Some(piece) = points.next(|_| true).expect("page") {
            for (place, time) in piece.times.iter().enumerate() {
                let mut one = Values::of(piece.data_type);
                one.append(piece.values, place..place + 1);
                let path = format!("{}.{}", device.id, piece.measurement);
                all.push((path, *time, format!("{one:?}")));
            }
        }
    }
    all.sort();
    all
}

fn cut_out(bytes: &[u8], deletions: &Deletions, selection: &Selection) -> (Vec<u8>, Written) {
    let file = TsFile::open(bytes).expect("sound");
    let version = if bytes[6] == 3 { Version::V3 } else { Version::V4 };
    let scratches: [MemoryScratch; 2] = Default::default();
    let settings = Settings { version, both_orders: false, ..Settings::default() };
    let mut writer = Writer::new(Vec::new(), scratches, settings).expect("memory");
    cut(&file, deletions, selection, &mut writer).expect("sound");
    writer.finish().expect("memory")
}

/// Cuts, and compares with the points that remain if all are read.
fn is_just(name: &str, deletions: &Deletions, selection: &Selection) -> usize {
    let bytes = sample(name);
    let (made, written) = cut_out(&bytes, deletions, selection);
    let wants = |path: &str| {
        let any = |list: &[String]| list.iter().any(|pattern| path::matches(pattern, path));
        (selection.keep.is_empty() || any(&selection.keep)) && !any(&selection.drop)
    };
    let mut expected = points_of(&bytes, deletions);
    expected.retain(|(path, time, _)| wants(path) && selection.times.contains(*time));
    let got = points_of(&made, &Deletions::default());
    assert_eq!(got.len(), expected.len(), "{name} {selection:?}");
    assert!(got == expected, "{name} {selection:?}");
    assert_eq!(written.points, got.len() as u64, "{name}");
    let mut flaws = Vec::new();
    let checked = check(&&made[..], Depth::Pages, &mut |flaw| flaws.push(flaw.to_string()));
    assert!(flaws.is_empty(), "{name} {selection:?}: {flaws:#?}");
    assert_eq!(checked.expect("memory").points, got.len() as u64);
    got.len()
}

const NAMES: [&str; 13] = [
    "batch_v3",
    "batch_v4",
    "py_table",
    "py_tree",
    "py_types",
    "v3_aligned",
    "v3_deg7",
    "v3_depth",
    "v3_tiny",
    "v4_aligned",
    "v4_deg7",
    "v4_depth",
    "v4_tiny",
];

#[test]
fn a_cut_that_keeps_all_keeps_all() {
    for name in NAMES {
        assert!(is_just(name, &Deletions::default(), &Selection::ALL) > 0);
    }
    for name in ["v3_all", "v4_all", "v3_gv1"] {
        assert!(is_just(name, &Deletions::default(), &Selection::ALL) > 0);
    }
}

#[test]
fn times_series_and_deletions_are_cut() {
    let none = Deletions::default();
    for name in NAMES {
        for (min, max) in
            [(0, 5), (3, 104), (2, 2), (1500, 2500), (i64::MIN, 1), (9_000_000, 9_000_001)]
        {
            is_just(name, &none, &Selection { times: TimeRange { min, max }, ..Selection::ALL });
        }
        let drop = vec!["root.**.s".to_owned(), "root.**.a".to_owned(), "root.**.m1*".to_owned()];
        is_just(name, &none, &Selection { drop, ..Selection::ALL });
        let keep = vec!["root.*.d*.*".to_owned(), "root.sg1.**".to_owned()];
        is_just(name, &none, &Selection { keep, ..Selection::ALL });
        let mods = Deletions::from_lines(
            b"DELETION,root.**.a,9999999,3,17\nDELETION,root.sg.**,9999999,2,1000\n",
        );
        is_just(name, &mods.expect("few"), &Selection::ALL);
    }
}

#[test]
fn borders_of_every_encoding_are_cut() {
    let bytes = sample("v3_all");
    let file = TsFile::open(&bytes[..]).expect("sound");
    let mut devices = file.devices().expect("index");
    // A time in the middle of each chunk of the first series is a border of most others.
    let device = devices.next().expect("index").expect("one");
    let series = file.series(&device).expect("index").next().expect("index").expect("one");
    let mut chunks = file.chunks(&series);
    while let Some(chunk) = chunks.next().expect("list") {
        let statistics = file.statistics(chunk.statistics, series.value_type).expect("there");
        let min = statistics.start.midpoint(statistics.end);
        let times = TimeRange { min, max: min.saturating_add(1_000_000) };
        is_just("v3_all", &Deletions::default(), &Selection { times, ..Selection::ALL });
        is_just(
            "v4_all",
            &Deletions::default(),
            &Selection { times: TimeRange { min: i64::MIN, max: min }, ..Selection::ALL },
        );
    }
}

#[test]
fn a_table_keeps_its_schema() {
    let bytes = sample("py_table");
    let schemas = |bytes: &[u8]| schemas_of(&TsFile::open(bytes).expect("sound")).expect("few");
    let keep = vec!["tab.**.f1".to_owned()];
    let selection = Selection { keep, times: TimeRange { min: 2, max: 9 }, ..Selection::ALL };
    assert_eq!(is_just("py_table", &Deletions::default(), &selection), 2);
    let (made, _) = cut_out(&bytes, &Deletions::default(), &selection);
    assert!(schemas(&bytes).len() > 1);
    assert_eq!(schemas(&made), schemas(&bytes));
}

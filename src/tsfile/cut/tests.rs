//! What is cut out of a file is a sound file with just those points.

use std::path::Path;

use super::*;
use crate::data::path;
use crate::tsfile::check::{Depth, check};
use crate::tsfile::read::{Deletions, Points};
use crate::tsfile::write::{MemoryScratch, Settings, Version, Written};

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    std::fs::read(folder.join(format!("{name}.tsfile"))).expect("sample")
}

type Paths<'a> = (&'a [String], &'a [String]);

/// What keeps all series.
const ALL: Paths<'_> = (&[], &[]);

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
    cut(&file, &Plan::unlimited(deletions, selection), &mut writer).expect("sound");
    writer.finish().expect("memory")
}

/// As [`cut_out`], in steps of so many bytes; also how many steps there were.
fn cut_in_steps(
    bytes: &[u8],
    plan: &Plan<'_>,
    step_bytes: u64,
) -> Result<(Vec<u8>, usize), CutError> {
    let file = TsFile::open(bytes).expect("sound");
    let version = if bytes[6] == 3 { Version::V3 } else { Version::V4 };
    let scratches: [MemoryScratch; 2] = Default::default();
    let settings = Settings { version, both_orders: false, ..Settings::default() };
    let mut writer = Writer::new(Vec::new(), scratches, settings).expect("memory");
    let mut cutting = Cutting::new(&file, &mut writer)?;
    let mut steps = 1;
    while cutting.step(bytes, plan, &mut writer, step_bytes)? {
        steps += 1;
    }
    Ok((writer.finish().expect("memory").0, steps))
}

/// Cuts, and compares with the points that remain if all are read.
fn is_just(name: &str, deletions: &Deletions, (keep, drop): Paths<'_>, times: TimeRange) -> usize {
    let selection = &Selection::of_paths(keep, drop, times);
    let bytes = sample(name);
    let (made, written) = cut_out(&bytes, deletions, selection);
    let wants = |path: &str| {
        let any = |list: &[String]| list.iter().any(|pattern| path::matches(pattern, path));
        (keep.is_empty() || any(keep)) && !any(drop)
    };
    let mut expected = points_of(&bytes, deletions);
    expected.retain(|(path, time, _)| wants(path) && times.contains(*time));
    let got = points_of(&made, &Deletions::default());
    assert_eq!(got.len(), expected.len(), "{name} {selection:?}");
    assert!(got == expected, "{name} {selection:?}");
    assert_eq!(written.points, got.len() as u64, "{name}");
    let mut flaws = Vec::new();
    let plan = Plan::unlimited(deletions, selection);
    let (stepped, steps) = cut_in_steps(&bytes, &plan, 1).expect("sound");
    assert!(stepped == made && steps > 1, "{name}: {steps} steps");
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
        assert!(is_just(name, &Deletions::default(), ALL, TimeRange::ALL) > 0);
    }
    for name in ["v3_all", "v4_all", "v3_gv1"] {
        assert!(is_just(name, &Deletions::default(), ALL, TimeRange::ALL) > 0);
    }
}

#[test]
fn times_series_and_deletions_are_cut() {
    let none = Deletions::default();
    for name in NAMES {
        for (min, max) in
            [(0, 5), (3, 104), (2, 2), (1500, 2500), (i64::MIN, 1), (9_000_000, 9_000_001)]
        {
            is_just(name, &none, ALL, TimeRange { min, max });
        }
        let drop = vec!["root.**.s".to_owned(), "root.**.a".to_owned(), "root.**.m1*".to_owned()];
        is_just(name, &none, (&[], &drop), TimeRange::ALL);
        let keep = vec!["root.*.d*.*".to_owned(), "root.sg1.**".to_owned()];
        is_just(name, &none, (&keep, &[]), TimeRange::ALL);
        let mods = Deletions::from_lines(
            b"DELETION,root.**.a,9999999,3,17\nDELETION,root.sg.**,9999999,2,1000\n",
        );
        is_just(name, &mods.expect("few"), ALL, TimeRange::ALL);
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
        is_just("v3_all", &Deletions::default(), ALL, times);
        let before = TimeRange { min: i64::MIN, max: min };
        is_just("v4_all", &Deletions::default(), ALL, before);
    }
}

#[test]
fn a_table_keeps_its_schema() {
    let bytes = sample("py_table");
    let schemas = |bytes: &[u8]| schemas_of(&TsFile::open(bytes).expect("sound")).expect("few");
    let keep = vec!["tab.**.f1".to_owned()];
    let times = TimeRange { min: 2, max: 9 };
    assert_eq!(is_just("py_table", &Deletions::default(), (&keep, &[]), times), 2);
    let selection = Selection::of_paths(&keep, &[], times);
    let (made, _) = cut_out(&bytes, &Deletions::default(), &selection);
    assert!(schemas(&bytes).len() > 1);
    assert_eq!(schemas(&made), schemas(&bytes));
}

#[test]
fn an_aligned_device_that_is_too_large_for_the_plan_is_refused() {
    let bytes = sample("v3_aligned");
    let (deletions, all) = (Deletions::default(), Selection::ALL);
    let unlimited = Plan::unlimited(&deletions, &all);
    let narrow = Plan { columns_max: 1, ..unlimited };
    let error = cut_in_steps(&bytes, &narrow, 1 << 20).expect_err("too wide");
    assert!(matches!(error, CutError::Wide { got: 2, max: 1, .. }), "{error}");
    assert!(error.to_string().contains("columns that are wanted"), "{error}");

    let border = Selection { times: TimeRange { min: 3, max: 104 }, ..Selection::ALL };
    let short = Plan { selection: &border, rows_max: 1, ..unlimited };
    let error = cut_in_steps(&bytes, &short, 1 << 20).expect_err("too long");
    assert!(matches!(error, CutError::Wide { max: 1, .. }), "{error}");
    // What is copied takes no memory by its rows.
    assert!(cut_in_steps(&bytes, &Plan { rows_max: 1, ..unlimited }, 1 << 20).is_ok());
}

//! Rows about files: what lies across a filter is cut, by the same rules as tablets are.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use penstock_acceptance::{SOON, Site, to};
use penstock_test_support::clock::pause;
use penstock_test_support::files;
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::wait;

/// First time of the files, in milliseconds; a row a second.
const START: i64 = 1_704_067_200_000;
/// Peak memory of a node under load, with what glibc may add.
const MEMORY_BYTES_MAX: u64 = 10 << 20;

/// A pipe with these attributes of its source.
fn create(inner: &Site, outer: &Site, name: &str, source: &str) {
    inner.done(&format!("create pipe {name} with source ({source}) {}", to(outer.gate)));
}

/// Points of a file, a line each; `arguments` say which.
fn points(file: &Path, arguments: &[&str]) -> BTreeSet<String> {
    penstock_acceptance::points(file, arguments).into_iter().collect()
}

/// Waits until so many files have landed.
fn wait_landed(outer: &Site, count: usize) {
    wait::until("landed files", SOON, || outer.landed().len() >= count).unwrap();
}

/// Waits until nothing is left of what was made for pipes.
fn wait_clean(inner: &Site) {
    let partials = inner.data_dir().join("spool/partial");
    wait::until("what was made to go", SOON, || files::below(&partials).unwrap().is_empty())
        .unwrap();
}

#[test]
fn a_73_a_77_a_file_across_is_cut_one_inside_is_not_and_one_outside_is_passed() {
    let (inner, outer) = (Site::inner(), Site::outer_that_lands());
    let across = TsFileShape::small(1);
    let inside = TsFileShape { rows: 20, devices: 1, aligned_devices: 0, ..TsFileShape::small(2) };
    let outside = TsFileShape { database: "root.other".to_owned(), ..TsFileShape::small(3) };
    let kept = inner.data_dir().join("kept.tsfile");
    across.write(&kept).unwrap();
    std::fs::write(inner.data_dir().join("kept.tsfile.mods"), across.mods()).unwrap();
    inner.take_file("across.tsfile", &across, Some(&across.mods()));
    inner.take_file("outside.tsfile", &outside, None);
    inner.take_file("inside.tsfile", &inside, None);
    let (first, last) = (START + 5000, START + 100_000);
    let times = format!("'start-time'='{START}','end-time'='{last}'");
    create(&inner, &outer, "p", &format!("'path'='root.plant.*00000.**',{times}"));
    wait_landed(&outer, 2);
    inner.wait_done("p");
    wait_clean(&inner);
    let landed = outer.landed();
    assert_eq!(landed.len(), 2, "{landed:?}");
    let find =
        |ending: &str| landed.iter().find(|path| path.to_str().unwrap().ends_with(ending)).unwrap();
    let wanted = ["--device", "root.plant.*00000", "--from", &START.to_string(), "--to"];
    let expected = points(&kept, &[&wanted[..], &[&last.to_string()]].concat());
    assert!(expected.len() > 500, "{}", expected.len());
    assert_eq!(points(find("across.tsfile"), &[]), expected);
    let unread = points(find("across.tsfile"), &["--to", &first.to_string()]);
    assert!(!unread.is_empty(), "deletions are of one device only");
    // The one inside goes as it is.
    let whole = inner.data_dir().join("whole.tsfile");
    inside.write(&whole).unwrap();
    let hash = |path: &Path| files::blake3(path).unwrap();
    assert_eq!(hash(find("inside.tsfile")), hash(&whole));
}

#[test]
fn pipes_that_part_a_file_lose_nothing_at_one_far_side() {
    let (inner, outer) = (Site::inner(), Site::outer_that_lands());
    let shape = TsFileShape::small(5);
    let kept = inner.data_dir().join("kept.tsfile");
    shape.write(&kept).unwrap();
    inner.take_file("x.tsfile", &shape, None);
    create(&inner, &outer, "a", "'path'='root.plant.a*.**'");
    create(&inner, &outer, "d", "'path'='root.plant.d*.**'");
    wait_landed(&outer, 2);
    wait_clean(&inner);
    let landed = outer.landed();
    let together: BTreeSet<_> = landed.iter().flat_map(|path| points(path, &[])).collect();
    assert_eq!(together, points(&kept, &[]));
    assert!(!outer.troubles().contains(&"cloned-box".to_owned()), "{:?}", outer.troubles());
}

#[test]
fn a_large_file_is_cut_in_little_memory_whatever_kills_the_node() {
    let (mut inner, outer) = (Site::inner(), Site::outer_that_lands());
    // About 30 MB, in pages of 256 KB: a page at a bound lies in memory.
    let shape = TsFileShape { rows: 20_000, blob_bytes: 256, ..TsFileShape::small(7) };
    let kept = inner.data_dir().join("kept.tsfile");
    shape.write(&kept).unwrap();
    inner.take_file("x.tsfile", &shape, None);
    let last = START + i64::try_from(shape.rows).unwrap() * 1000 - 2500;
    create(&inner, &outer, "p", &format!("'end-time'='{last}'"));
    for wait_ms in [20, 150, 400] {
        pause(Duration::from_millis(wait_ms));
        inner.kill_and_restart();
    }
    wait_landed(&outer, 1);
    inner.wait_done("p");
    wait_clean(&inner);
    let landed = outer.landed();
    assert_eq!(landed.len(), 1, "{landed:?}");
    let expected = points(&kept, &["--to", &last.to_string()]);
    assert_eq!(points(&landed[0], &[]), expected);
    assert!(expected.len() < points(&kept, &[]).len());
    let peak = inner.node.peak_memory().unwrap();
    assert!(peak <= MEMORY_BYTES_MAX, "{peak} bytes");
    assert!(!outer.troubles().contains(&"cloned-box".to_owned()), "{:?}", outer.troubles());
}

#[test]
fn a_pipe_that_is_dropped_while_its_file_is_cut_leaves_nothing() {
    let (inner, outer) = (Site::inner(), Site::outer_that_lands());
    let shape = TsFileShape::of_size(32 << 20, 9);
    inner.take_file("x.tsfile", &shape, None);
    create(&inner, &outer, "p", &format!("'end-time'='{}'", START + 5000));
    inner.done("drop pipe p");
    wait_clean(&inner);
    inner.done(&format!("create pipe q {}", to(outer.gate)));
    wait_landed(&outer, 1);
}

//! Sound files have no flaw; each kind of flaw is found where it is.

use std::path::Path;

use super::*;
use crate::tsfile::read::Points;

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    std::fs::read(folder.join(name)).expect("sample")
}

fn flaws(bytes: &[u8], depth: Depth) -> (Checked, Vec<String>) {
    let mut lines = Vec::new();
    let checked = check(&bytes, depth, &mut |flaw| lines.push(flaw.to_string()));
    (checked.expect("memory does not fail"), lines)
}

const SOUND: [&str; 16] = [
    "batch_v3",
    "batch_v4",
    "py_table",
    "py_tree",
    "py_types",
    "v3_aligned",
    "v3_all",
    "v3_deg7",
    "v3_depth",
    "v3_gv1",
    "v3_tiny",
    "v4_aligned",
    "v4_all",
    "v4_deg7",
    "v4_depth",
    "v4_tiny",
];

#[test]
fn sound_files_have_no_flaw() {
    for name in SOUND {
        let bytes = sample(&format!("{name}.tsfile"));
        for depth in [Depth::Structure, Depth::Pages] {
            let (checked, lines) = flaws(&bytes, depth);
            assert!(lines.is_empty(), "{name}: {lines:#?}");
            assert!(checked.points > 0 && checked.chunks > 0, "{name}: {checked:?}");
        }
    }
}

/// The only flaw of a file with one byte changed.
fn flaw_at(place: usize, byte: u8) -> String {
    let mut bytes = sample("v3_tiny.tsfile");
    bytes[place] = byte;
    flaws(&bytes, Depth::Pages).1.join("\n")
}

#[test]
fn each_flaw_is_found_where_it_is() {
    assert_eq!(
        flaw_at(0, b'X'),
        "byte 0: expected \"TsFile\" at byte 0, got \"XsFile\" (nothing can be read)"
    );
    assert!(flaw_at(0x39, 7).starts_with("byte 57: 0x07 is no marker"), "{}", flaw_at(0x39, 7));
    assert!(flaw_at(0x16, b'2').contains("root.sg.d1.s1: the chunk is of another series"));
    assert!(flaw_at(0x36, 0x15).contains("root.sg.d1.s1: the statistics of the series"));
    assert!(flaw_at(0x23, 0x01).contains("page at byte 27"), "{}", flaw_at(0x23, 1));
    let unknown = (0xbd..0xd7).map(|place| flaw_at(place, 0)).collect::<String>();
    assert!(unknown.contains("the bloom filter does not know it"));
    assert!(flaw_at(0x2d, 0).contains("statistics"), "{}", flaw_at(0x2d, 0));
    assert!(flaw_at(0x11, b'2').contains("under another device"), "{}", flaw_at(0x11, b'2'));
}

#[test]
fn a_file_that_was_cut_off_says_what_is_whole() {
    let bytes = sample("v3_all.tsfile");
    let (checked, lines) = flaws(&bytes[..300_000], Depth::Structure);
    assert_eq!(checked.flaws, 1);
    assert!(checked.chunks > 10, "{checked:?}");
    assert!(lines[0].ends_with("(the chunks before it are whole)"), "{lines:?}");
}

/// Every point with its bits; `None` if something cannot be read.
fn points_of(bytes: &[u8]) -> Option<Vec<String>> {
    let file = TsFile::open(bytes).ok()?;
    let mut points = Points::new(&file, None);
    let mut devices = file.devices().ok()?;
    let mut all = Vec::new();
    while let Some(device) = devices.next().ok()? {
        points.start(&device).ok()?;
        while let Some(piece) = points.next(|_| true).ok()? {
            // Shown floats have their sign; the samples have no NaN.
            all.push(format!(
                "{}.{} {:?} {:?} {:?}",
                device.id, piece.measurement, piece.data_type, piece.times, piece.values
            ));
        }
    }
    Some(all)
}

#[test]
fn no_flipped_bit_changes_a_point_unseen() {
    let mut harmless = 0;
    for name in ["v3_tiny", "v3_aligned", "v4_aligned", "py_table"] {
        let mut bytes = sample(&format!("{name}.tsfile"));
        let sound = points_of(&bytes);
        assert!(sound.is_some());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (checked, lines) = flaws(&bytes, Depth::Pages);
            assert!(lines.len() < 2000);
            if checked.flaws == 0 {
                harmless += 1;
                assert_eq!(points_of(&bytes), sound, "{name}: bit {bit}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
    // Plan ranges, surplus bits of bloom filters, table schemas, properties.
    assert!(harmless < 3500, "{harmless} flipped bits change nothing");
}

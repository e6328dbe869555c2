//! The tablets and rows in the captures of real nodes: read, cut into parts, and written again.
//!
//! ```text
//!  expected.jsonl ----> Request (model) ----> points ===== points of the bytes, and of their parts
//!                            |
//!                            +----> bytes, written by our encoders ===== the captured payload
//! ```
//!
//! The two folders spell their expectations differently; both become the same model.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a capture that is not as expected fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use penstock::data::DataType;
use penstock::wire::batch::{Item, Items};
use penstock::wire::bytes::{Reader, Writer};
use penstock::wire::columns::Columns;
use penstock::wire::cursor::Cursor;
use penstock::wire::delete::{self, Delete, PathKind};
use penstock::wire::request::Request;
use penstock::wire::split::{Content, Scratch, Splitter};
use penstock::wire::tablet::{Column, Form};
use penstock::wire::values::{Tablet, Value as Stored};
use penstock::wire::{elanguage, frame};
use serde_json::Value;

#[path = "captures/model.rs"]
mod model;

use model::{Model, Point, first};

struct Capture {
    name: String,
    payload: Vec<u8>,
    expected: Value,
}

#[test]
fn the_rows_of_every_capture_are_read_as_expected() {
    let mut kinds = Vec::new();
    for Capture { name, payload, expected } in captures() {
        let Some(model) = Model::of(&expected) else { continue };
        let (points, opaque) = read(&payload);
        assert_eq!(points, model.points(), "{name}");
        assert_eq!(opaque, model.opaque(), "{name}");
        kinds.push(model.code);
    }
    let count = |code| kinds.iter().filter(|kind| **kind == code).count();
    assert_eq!(
        [2, 3, 6, 7, 10, 11, 13].map(count),
        [19, 9, 3, 1, 6, 11, 14],
        "captures of each type"
    );
}

#[test]
fn the_parts_of_every_capture_hold_the_same_points() {
    for Capture { name, payload, expected } in captures() {
        let Some(model) = Model::of(&expected) else { continue };
        let mut points = Vec::new();
        let mut opaque = 0;
        for (content, part) in parts(&payload) {
            if content == Content::Tablet {
                let whole = [&part[..], &[0; 8]].concat();
                points.extend(read(&whole).0);
                continue;
            }
            assert_eq!(content, Content::Opaque, "{name}");
            assert_eq!(parts(&part), [(Content::Opaque, part.clone())], "{name}");
            let has_body = payload.windows(part.len() - 3).any(|window| window == &part[3..]);
            assert!(has_body, "{name}: an opaque part is changed");
            opaque += 1;
        }
        points.sort();
        assert_eq!(points, model.points(), "{name}");
        assert_eq!(opaque, model.opaque(), "{name}");
    }
}

#[test]
fn the_rows_of_every_capture_are_written_as_they_came() {
    for Capture { name, payload, expected } in captures() {
        let Some(mut model) = Model::of(&expected) else { continue };
        model.set_spare_bits(&bitmaps(&payload));
        let is_v2 = model.code >= 10 || expected["layout"] == "2.x";
        let mut again = Vec::new();
        let mut out = Writer::into_vec(&mut again, payload.len());
        model.write(if is_v2 { Form::RawV2 } else { Form::RawV1 }, &mut out);
        let written = out.finish().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(again == payload[..written], "{name} is written differently");
        let has_zeros = payload[written..].iter().all(|byte| *byte == 0);
        assert!(written == payload.len() || (model.code == 2 && has_zeros), "{name}");
    }
}

#[test]
fn the_deletions_of_every_capture_are_read_and_written_as_they_came() {
    let mut count = 0;
    for Capture { name, payload, expected } in captures() {
        let node = ["n", "node"].iter().find_map(|key| expected.get(*key));
        if expected["type"] != 100 || payload[3..5] != [0, 44] {
            continue;
        }
        count += 1;
        let node = node.unwrap();
        let (delete, rest) = Delete::decode(&payload[3..]).unwrap().unwrap();
        assert!(rest.iter().all(|byte| *byte == 0), "{name}");
        let start = first(node, &["start", "startTime"]).as_i64().unwrap();
        let end = first(node, &["end", "endTime"]).as_i64().unwrap();
        assert_eq!((delete.time_range.min, delete.time_range.max), (start, end), "{name}");
        let paths: Vec<Vec<&str>> = delete.paths().map(|path| path.nodes().collect()).collect();
        let expected_paths = node["paths"].as_array().unwrap();
        for (path, expected) in paths.iter().zip(expected_paths) {
            let nodes = expected.get("nodes").unwrap_or(expected).as_array().unwrap();
            assert!(nodes.iter().eq(path), "{name}");
        }
        assert_eq!(paths.len(), expected_paths.len(), "{name}");
        let kind = delete.paths().next().map_or(PathKind::Partial, |path| path.kind);
        let mut again = Vec::new();
        let mut out = Writer::into_vec(&mut again, payload.len());
        let lists: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
        delete::write(kind, &lists, delete.time_range, delete.plan_node_id.unwrap(), &mut out);
        let written = out.finish().unwrap();
        assert!(again == payload[3..3 + written], "{name} is written differently");
    }
    assert!(count >= 5, "{count} deletions");
}

/// The points that the views of a request show, sorted, and the number of opaque things.
fn read(payload: &[u8]) -> (Vec<Point>, usize) {
    let mut columns = Columns::new();
    let begin = Items::begin(&mut Cursor::memory(payload)).unwrap();
    let try_layout = |mut items: Items, columns: &mut Columns| {
        let mut cursor = Cursor::memory(payload);
        cursor.seek(3);
        items.check(&mut cursor, columns).ok()?;
        cursor.seek(3);
        let (mut points, mut opaque) = (Vec::new(), 0);
        while let Some(item) = items.next(&mut cursor, columns).unwrap() {
            let layout = match item {
                Item::Tablet { layout, .. } => layout,
                Item::Row(row) => row.as_tablet(),
                Item::Opaque(_) => {
                    opaque += 1;
                    continue;
                }
            };
            points.extend(points_of(&Tablet::new(payload, layout, columns)));
        }
        points.sort();
        Some((points, opaque))
    };
    try_layout(begin, &mut columns)
        .or_else(|| try_layout(begin.with_other_layout()?, &mut columns))
        .unwrap()
}

/// For each tablet or row of a request, from where on the bitmap of each column lies.
fn bitmaps(payload: &[u8]) -> Vec<Vec<Option<&[u8]>>> {
    let bitmap = |column: &Column| {
        let at = column.bitmap_at as usize;
        (at != 0).then(|| &payload[at..])
    };
    let all = |mut items: Items| {
        let (mut cursor, mut columns) = (Cursor::memory(payload), Columns::new());
        cursor.seek(3);
        items.check(&mut cursor, &mut columns).ok()?;
        cursor.seek(3);
        let mut all = Vec::new();
        while items.next(&mut cursor, &mut columns).unwrap().is_some() {
            all.push(columns.iter().map(bitmap).collect());
        }
        Some(all)
    };
    let begin = Items::begin(&mut Cursor::memory(payload)).unwrap();
    all(begin).or_else(|| all(begin.with_other_layout()?)).unwrap()
}

fn points_of(tablet: &Tablet<'_>) -> Vec<Point> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (device, is_aligned) = (text(tablet.device()), tablet.is_aligned());
    let mut points = Vec::new();
    for column in tablet.columns() {
        let code = column.data_type().map_or(0xff, DataType::code);
        for (time, value) in tablet.times().zip(column.values()) {
            let Some(value) = value else { continue };
            let bytes = match value {
                Stored::Boolean(value) => vec![u8::from(value)],
                Stored::Int32(value) => value.to_be_bytes().to_vec(),
                Stored::Int64(value) => value.to_be_bytes().to_vec(),
                Stored::Float(value) => value.to_be_bytes().to_vec(),
                Stored::Double(value) => value.to_be_bytes().to_vec(),
                Stored::Bytes(value) => value.to_vec(),
            };
            points.push((device.clone(), text(column.name()), is_aligned, code, time, bytes));
        }
    }
    points
}

fn parts(payload: &[u8]) -> Vec<(Content, Vec<u8>)> {
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    let mut splitter = Splitter::new(&payload, &mut scratch).unwrap();
    let mut parts = Vec::new();
    while let Some(part) = splitter.next(&mut out).unwrap() {
        parts.push((part.content, out.clone()));
    }
    parts
}

/// The requests of all captures, taken out of their wrappers.
fn captures() -> Vec<Capture> {
    let mut lists = Vec::new();
    find_lists(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), &mut lists);
    lists.iter().flat_map(|list| captures_of(list)).collect()
}

fn find_lists(folder: &Path, lists: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_lists(&path, lists);
        } else if path.ends_with("expected.jsonl") {
            lists.push(path);
        }
    }
}

fn captures_of(list: &Path) -> Vec<Capture> {
    let text = fs::read_to_string(list).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| capture(list.parent().unwrap(), &line)).collect()
}

fn capture(folder: &Path, line: &Value) -> Option<Capture> {
    let is_1_3 = line.get("decoded").is_some();
    let path = folder.join(line[if is_1_3 { "file" } else { "frame" }].as_str().unwrap());
    let name = path.display().to_string();
    let decoded = line.get("decoded").unwrap_or(line);
    let expected = decoded.get("req").unwrap_or(decoded).clone();
    expected.get("type")?;
    let bytes = fs::read(&path).unwrap();
    let payload =
        if name.contains("thrift") { thrift_payload(&bytes) } else { frame_payload(&bytes) };
    let Request::Compressed(compressed) = Request::decode(&payload).unwrap() else {
        return Some(Capture { name, payload, expected });
    };
    let (mut out, mut spare) = (Vec::new(), Vec::new());
    let payload = compressed.undo(&mut out, &mut spare, 1 << 20).unwrap().to_vec();
    Some(Capture { name, payload, expected: expected["inner"].clone() })
}

/// The payload of a frame of the air gap, whose checksum another test looks at.
fn frame_payload(bytes: &[u8]) -> Vec<u8> {
    let unwrapped = bytes.strip_prefix(elanguage::PREFIX).unwrap_or(bytes);
    let unwrapped = unwrapped.strip_suffix(elanguage::SUFFIX).unwrap_or(unwrapped);
    unwrapped[frame::HEADER_BYTES..].to_vec()
}

/// Version, type and body of a thrift call, whose frame another test looks at.
fn thrift_payload(message: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(message);
    reader.take(8, "frame length, version").unwrap();
    reader.string(64, "method").unwrap();
    reader.take(4 + 3 + 3, "sequence id, struct, field 1").unwrap();
    let mut payload = vec![reader.u8("version").unwrap()];
    reader.take(3, "field 2").unwrap();
    payload.extend(reader.array::<2>("type").unwrap());
    reader.take(3, "field 3").unwrap();
    payload.extend(reader.binary(message.len(), "body").unwrap());
    payload
}

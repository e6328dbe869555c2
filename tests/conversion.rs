//! Any data request, cut into parts, means what it meant before.
//!
//! ```text
//!  sample ---- request in one of eight types ----> Splitter ----> parts ----> decoder of this file
//!     |                                                                              |
//!     +------------------------- the same points, in the same order of each series --+
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a part that cannot be read fails the test"
)]

use std::collections::BTreeMap;
use std::io;

use penstock::data::{DataType, Identity, OriginId, ReadAt, Sequence, TimeRange};
use penstock::limits::{ENTRY_BYTES_TARGET, SPLIT_WINDOW_BYTES};
use penstock::wire::build::{Cell, Row, RowColumn, node_tail, request, rows_node};
use penstock::wire::bytes::{Reader, Writer};
use penstock::wire::cursor::ReadError;
use penstock::wire::node::NodeType;
use penstock::wire::request::RequestType;
use penstock::wire::sample::{Column, Point, Rng, Sample, Size, random_request};
use penstock::wire::split::{Content, PART_BYTES_MAX, Part, Scratch, Splitter};
use penstock::wire::tablet::Form;
use proptest::prelude::*;

const KINDS: [RequestType; 8] = [
    RequestType::TabletInsertNode,
    RequestType::TabletRaw,
    RequestType::TabletBatch,
    RequestType::TabletBinary,
    RequestType::TabletInsertNodeV2,
    RequestType::TabletRawV2,
    RequestType::TabletBinaryV2,
    RequestType::TabletBatchV2,
];
const SMALL: Size = Size { rows: 40, columns: 12, text_bytes: 20, nulls_percent: 20 };

/// A request as it lies in a spill file: read by position, never as a whole, at most 1000 bytes a time.
struct Spilled<'a>(&'a [u8]);

impl ReadAt for Spilled<'_> {
    fn len(&self) -> u64 {
        ReadAt::len(self.0)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        assert!(into.len() <= PART_BYTES_MAX, "{} bytes at once", into.len());
        let most = into.len().min(1000);
        self.0.read_at(offset, &mut into[..most])
    }
}

type Parts = Vec<(Part, Vec<u8>)>;

fn split(source: &dyn ReadAt) -> Result<Parts, ReadError> {
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    let mut splitter = Splitter::new(source, &mut scratch)?;
    let mut parts = Vec::new();
    while let Some(part) = splitter.next(&mut out)? {
        parts.push((part, out.clone()));
    }
    Ok(parts)
}

/// The parts of a request, from memory and from disk: they have to be the same.
fn parts_of(bytes: &[u8]) -> Parts {
    let from_memory = split(&bytes).unwrap();
    let from_disk = split(&Spilled(bytes)).unwrap();
    assert!(from_memory == from_disk, "memory and disk give different parts");
    check_parts(&from_memory);
    from_memory
}

fn check_parts(parts: &Parts) {
    for (index, (part, bytes)) in parts.iter().enumerate() {
        assert_eq!(part.number as usize, index);
        assert_eq!(part.is_last, index + 1 == parts.len());
        assert!(part.rows > 0 && !part.time_range.is_empty());
        assert!(bytes.len() <= PART_BYTES_MAX, "part {index} has {} bytes", bytes.len());
    }
}

/// Decodes a tablet part, and checks what is said about it.
fn points_of(part: &Part, payload: &[u8]) -> Vec<Point> {
    let mut reader = Reader::new(payload);
    assert_eq!(reader.take(5, "head").unwrap(), [1, 0, 2, 0, 13]);
    let device = reader.binary(4096, "device").unwrap().to_vec();
    let columns = usize::try_from(reader.i32("columns").unwrap()).unwrap();
    let has_schemas = reader.u8("hasSchema").unwrap() == 1;
    let name = |reader: &mut Reader<'_>| {
        let name = reader.binary(4096, "name").unwrap().to_vec();
        reader.take(if has_schemas { 7 } else { 0 }, "schema").unwrap();
        name
    };
    let names: Vec<Vec<u8>> = (0..columns).map(|_| name(&mut reader)).collect();
    let types: Vec<u8> = reader.take(columns, "types").unwrap().to_vec();
    let rows = usize::try_from(reader.i32("rows").unwrap()).unwrap();
    assert_eq!(rows, part.rows);
    let times: Vec<i64> = (0..rows).map(|_| reader.i64("time").unwrap()).collect();
    let mut range = TimeRange::EMPTY;
    for time in &times {
        range.include(*time);
    }
    assert_eq!(range, part.time_range);
    let has_bitmaps = reader.u8("hasBitMaps").unwrap() == 1;
    let bitmap = |reader: &mut Reader<'_>| {
        let has = has_bitmaps && reader.u8("has").unwrap() == 1;
        has.then(|| reader.take(rows / 8 + 1, "bitmap").unwrap().to_vec())
    };
    let bitmaps: Vec<Option<Vec<u8>>> = (0..columns).map(|_| bitmap(&mut reader)).collect();
    let mut points = Vec::new();
    let mut values = Vec::new();
    for column in 0..columns {
        let data_type = DataType::from_code(types[column]).unwrap();
        for (row, time) in times.iter().enumerate() {
            let value = match data_type.value_bytes() {
                Some(bytes) => reader.take(bytes, "value").unwrap(),
                None => reader.binary(usize::MAX, "text").unwrap(),
            };
            let is_null =
                bitmaps[column].as_ref().is_some_and(|bits| bits[row / 8] >> (row % 8) & 1 == 1);
            if !is_null {
                values.push((column, *time, value.to_vec()));
            }
        }
    }
    let is_aligned = reader.u8("isAligned").unwrap() == 1;
    reader.finish().unwrap();
    for (column, time, value) in values {
        points.push(Point {
            device: device.clone(),
            measurement: names[column].clone(),
            is_aligned,
            time,
            data_type: types[column],
            value,
        });
    }
    points
}

fn tablet_points(request: &[u8], parts: &Parts) -> Vec<Point> {
    let payload = |(part, bytes): &(Part, Vec<u8>)| match &part.content {
        Content::Tablet => bytes.clone(),
        Content::Large { is_tablet: true, span, tail } => {
            let (start, end) = (span.start, span.end);
            let middle = &request[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
            [bytes, middle, tail].concat()
        }
        content @ (Content::Opaque | Content::Large { .. }) => panic!("{content:?}"),
    };
    parts.iter().flat_map(|part| points_of(&part.0, &payload(part))).collect()
}

/// The points of each series, in their order: what must not change.
fn by_series(points: Vec<Point>) -> BTreeMap<(Vec<u8>, Vec<u8>), Vec<Point>> {
    let mut series: BTreeMap<_, Vec<Point>> = BTreeMap::new();
    for point in points {
        let key = (point.device.clone(), point.measurement.clone());
        series.entry(key).or_default().push(point);
    }
    series
}

/// Name, type and values of a column.
type Named = (String, DataType, Vec<Option<Vec<u8>>>);

fn sample_of(device: &str, times: Vec<i64>, columns: Vec<Named>) -> Sample {
    let columns = columns.into_iter().map(|(name, data_type, cells)| Column {
        name: name.into_bytes(),
        data_type,
        cells,
    });
    Sample {
        device: device.as_bytes().to_vec(),
        is_aligned: true,
        times,
        columns: columns.collect(),
    }
}

fn raw_request(sample: &Sample) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::into_vec(&mut out, usize::MAX);
    request(RequestType::TabletRaw, &mut writer);
    sample.with_tablet(true, |tablet| tablet.raw(Form::RawV1, &mut writer));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_parts_of_any_request_mean_the_same(seed: u64, kind in 0..KINDS.len()) {
        let (request, points) = random_request(&mut Rng::new(seed), KINDS[kind], SMALL);
        let parts = parts_of(&request);
        prop_assert_eq!(by_series(tablet_points(&request, &parts)), by_series(points));
    }

    #[test]
    fn any_part_can_be_skipped_to(seed: u64, kind in 0..KINDS.len()) {
        let (request, _) = random_request(&mut Rng::new(seed), KINDS[kind], SMALL);
        let parts = parts_of(&request);
        let (mut scratch, mut out) = (Scratch::new(), Vec::new());
        let source: &[u8] = &request;
        let mut splitter = Splitter::new(&source, &mut scratch).unwrap();
        for (part, bytes) in parts.iter().rev() {
            prop_assert!(splitter.skip_to(part.number, &mut out).unwrap());
            let again = splitter.next(&mut out).unwrap();
            prop_assert_eq!(again.as_ref(), Some(part));
            prop_assert_eq!(&out, bytes);
        }
        let behind = u32::try_from(parts.len()).unwrap();
        prop_assert!(!splitter.skip_to(behind, &mut out).unwrap());
        prop_assert_eq!(splitter.next(&mut out).unwrap(), None);
    }

    #[test]
    fn flipped_bits_are_refused_as_a_whole_or_taken_as_a_whole(
        seed: u64,
        kind in 0..KINDS.len(),
        flips in proptest::collection::vec(any::<u32>(), 1..4),
    ) {
        let (mut request, _) = random_request(&mut Rng::new(seed), KINDS[kind], SMALL);
        for flip in flips {
            let bit = flip as usize % (request.len() * 8);
            request[bit / 8] ^= 1 << (bit % 8);
        }
        let source: &[u8] = &request;
        if let Ok(parts) = split(&source) {
            check_parts(&parts);
            prop_assert!(split(&Spilled(&request)).unwrap() == parts);
        }
    }

    #[test]
    fn no_bytes_panic(kind in 0..KINDS.len(), mut body: Vec<u8>) {
        let [high, low] = KINDS[kind].code().to_be_bytes();
        body.splice(0..0, [1, high, low]);
        let source: &[u8] = &body;
        prop_assert_eq!(split(&source).is_ok(), split(&Spilled(&body)).is_ok());
    }

    #[test]
    fn a_request_that_is_cut_off_is_refused(seed: u64, kind in 0..KINDS.len(), at: u16) {
        let (request, _) = random_request(&mut Rng::new(seed), KINDS[kind], SMALL);
        let cut = &request[..usize::from(at) % request.len()];
        prop_assert!(matches!(split(&cut), Err(ReadError::Malformed(_))));
    }
}

#[test]
fn a_long_tablet_is_cut_near_the_target() {
    let size = Size { rows: 0, columns: 0, text_bytes: 200, nulls_percent: 0 };
    let mut rng = Rng::new(7);
    let mut sample = Sample::plain(&mut rng, "root.sg.d1", 5, 12_000, 12);
    for column in &mut sample.columns {
        for (row, cell) in column.cells.iter_mut().enumerate() {
            if column.data_type == DataType::Text {
                *cell = Some(vec![b'x'; rng.below(size.text_bytes)]);
            }
            if row % 7 == 3 {
                *cell = None;
            }
        }
    }
    let expected = by_series(sample.points().collect());
    let mut node = Vec::new();
    sample.encode("1", &mut node);
    for request in [node, raw_request(&sample)] {
        let parts = parts_of(&request);
        assert!(parts.len() > 5);
        let full = &parts[..parts.len() - 1];
        for (_, bytes) in full {
            assert!((ENTRY_BYTES_TARGET / 4..=ENTRY_BYTES_TARGET).contains(&bytes.len()));
        }
        assert_eq!(by_series(tablet_points(&request, &parts)), expected);
    }
}

#[test]
fn a_long_row_is_cut_by_columns_and_a_long_value_goes_alone() {
    let text = |bytes: usize| Some(vec![b'v'; bytes]);
    let sizes = [10, 700_000, 700_000, 3_000_000, 5, PART_BYTES_MAX - 100, PART_BYTES_MAX, 1];
    let columns = sizes.iter().enumerate().map(|(index, bytes)| {
        let small = text(index);
        (format!("s{index}"), DataType::Blob, vec![small.clone(), text(*bytes), None, small])
    });
    let mut columns: Vec<_> = columns.collect();
    let number = Some(vec![0, 0, 0, 1]);
    columns.insert(0, ("n".to_owned(), DataType::Int32, vec![number.clone(), None, number, None]));
    let sample = sample_of("root.sg.d1", vec![4, 3, 2, 1], columns);
    let mut node = Vec::new();
    sample.encode("1", &mut node);
    let mut row_request = Vec::new();
    let mut writer = Writer::into_vec(&mut row_request, usize::MAX);
    request(RequestType::TabletInsertNode, &mut writer);
    sample.with_rows(false, |rows| rows_node(rows, NodeType::InsertRows, &mut writer));
    node_tail(b"1", &mut writer);
    for request in [node, raw_request(&sample), row_request] {
        let parts = parts_of(&request);
        let large = |part: &&(Part, Vec<u8>)| matches!(part.0.content, Content::Large { .. });
        assert_eq!(parts.iter().filter(large).count(), 2);
        assert_eq!(
            by_series(tablet_points(&request, &parts)),
            by_series(sample.points().collect())
        );
    }
}

#[test]
fn long_names_make_groups_of_columns() {
    let rows = 50;
    let cells = |index: usize| (0..rows).map(|row| Some(vec![u8::from(row > index)])).collect();
    let columns = (0..600).map(|index| {
        let name = format!("{index:03}{}", "n".repeat(997));
        (name, DataType::Boolean, cells(index))
    });
    let sample = sample_of("root.sg.d1", (0..50).collect(), columns.collect());
    let request = raw_request(&sample);
    let parts = parts_of(&request);
    assert!(parts.len() >= 5 && parts.len() < 20, "{} parts", parts.len());
    assert_eq!(by_series(tablet_points(&request, &parts)), by_series(sample.points().collect()));
}

#[test]
fn rows_of_a_device_are_put_together_and_stay_in_order() {
    let cell = |value: i32| value.to_be_bytes();
    let values: Vec<[u8; 4]> = (0..3000).map(cell).collect();
    let columns: Vec<[RowColumn<'_>; 2]> = values
        .iter()
        .map(|value| {
            let column = |name, cell| RowColumn { name, schema: None, category: 0, cell };
            [column(b"a", Cell::Value(DataType::Int32, value)), column(b"b", Cell::Null)]
        })
        .collect();
    let row = |index: usize, time| Row {
        time,
        device: b"root.sg.d1",
        is_aligned: false,
        needs_types: false,
        columns: &columns[index],
    };
    let mut rows: Vec<Row<'_>> = (0..3000).zip(0..).map(|(index, time)| row(index, time)).collect();
    rows[2000].time = 1; // the order of times breaks here
    rows[2500].time = rows[2499].time; // and here
    let mut bytes = Vec::new();
    let mut writer = Writer::into_vec(&mut bytes, usize::MAX);
    request(RequestType::TabletInsertNode, &mut writer);
    rows_node(&rows, NodeType::InsertRows, &mut writer);
    node_tail(b"", &mut writer);
    let parts = parts_of(&bytes);
    let counts: Vec<usize> = parts.iter().map(|(part, _)| part.rows).collect();
    assert_eq!(counts.iter().sum::<usize>(), 3000);
    assert_eq!(counts[..4], [1024, 2000 - 1024, 500, 500]);
    let points = tablet_points(&bytes, &parts);
    assert!(
        points.iter().all(|point| point.measurement == b"a"),
        "a column without values is left out"
    );
    let found: Vec<i32> = points
        .iter()
        .map(|point| i32::from_be_bytes(point.value[..].try_into().unwrap()))
        .collect();
    assert_eq!(found, (0..3000).collect::<Vec<_>>());
}

#[test]
fn rows_of_other_devices_columns_or_types_are_not_put_together() {
    let one = 1_i32.to_be_bytes();
    let cell = Cell::Value(DataType::Int32, &one);
    let column = |name, cell| [RowColumn { name, schema: None, category: 0, cell }];
    let a = column(b"a", cell);
    let b = column(b"b", cell);
    let float = column(b"a", Cell::Value(DataType::Float, &one));
    let null = column(b"a", Cell::TypedNull(DataType::Text));
    let row = |time, device, is_aligned, columns| Row {
        time,
        device,
        is_aligned,
        needs_types: false,
        columns,
    };
    let rows = [
        row(1, &b"root.d1"[..], false, &a[..]),
        row(2, b"root.d1", false, &a),
        row(3, b"root.d1", false, &null),
        row(4, b"root.d1", false, &a),
        row(5, b"root.d2", false, &a),
        row(6, b"root.d2", false, &b),
        row(7, b"root.d2", true, &b),
        row(8, b"root.d1", false, &a),
        row(9, b"root.d1", false, &float),
    ];
    let mut bytes = Vec::new();
    let mut writer = Writer::into_vec(&mut bytes, usize::MAX);
    request(RequestType::TabletInsertNode, &mut writer);
    rows_node(&rows, NodeType::InsertRows, &mut writer);
    node_tail(b"", &mut writer);
    let parts = parts_of(&bytes);
    let counts: Vec<usize> = parts.iter().map(|(part, _)| part.rows).collect();
    assert_eq!(counts, [3, 1, 1, 1, 1, 1], "the null row has no value and is no row");
    assert_eq!(tablet_points(&bytes, &parts).len(), 8);
}

#[test]
fn nulls_without_a_type_are_marked_in_columns_that_have_one() {
    let one = 1_i32.to_be_bytes();
    let value = Cell::Value(DataType::Int32, &one);
    let column = |name, cell| RowColumn { name, schema: None, category: 0, cell };
    let cells = [
        [column(b"a", value), column(b"b", value), column(b"c", Cell::Null)],
        [column(b"a", Cell::Null), column(b"b", value), column(b"c", Cell::Null)],
        [
            column(b"a", value),
            column(b"b", Cell::TypedNull(DataType::Text)),
            column(b"c", Cell::Null),
        ],
    ];
    let rows: Vec<Row<'_>> = (1..)
        .zip(&cells)
        .map(|(time, columns)| Row {
            time,
            device: b"root.d1",
            is_aligned: false,
            needs_types: false,
            columns,
        })
        .collect();
    let mut bytes = Vec::new();
    let mut writer = Writer::into_vec(&mut bytes, usize::MAX);
    request(RequestType::TabletInsertNode, &mut writer);
    rows_node(&rows, NodeType::InsertRows, &mut writer);
    node_tail(b"", &mut writer);
    let parts = parts_of(&bytes);
    assert_eq!(parts.len(), 1);
    let times = |name: &[u8]| -> Vec<i64> {
        let points = tablet_points(&bytes, &parts).into_iter();
        points.filter(|point| point.measurement == name).map(|point| point.time).collect()
    };
    assert_eq!((times(b"a"), times(b"b"), times(b"c")), (vec![1, 3], vec![1, 2], vec![]));
}

#[test]
fn a_row_whose_types_are_to_be_found_goes_as_a_row() {
    let raw = [RowColumn { name: b"a", schema: None, category: 0, cell: Cell::Raw(b"1.5") }];
    let row = |time, needs_types| Row {
        time,
        device: b"root.d1",
        is_aligned: false,
        needs_types,
        columns: &raw,
    };
    let encode = |rows: &[Row<'_>]| {
        let mut bytes = Vec::new();
        let mut writer = Writer::into_vec(&mut bytes, usize::MAX);
        request(RequestType::TabletInsertNode, &mut writer);
        match rows {
            [row] => row.node(NodeType::InsertRow, &mut writer),
            rows => rows_node(rows, NodeType::InsertRows, &mut writer),
        }
        node_tail(b"", &mut writer);
        bytes
    };
    let single = encode(&[row(7, true)]);
    let parts = parts_of(&single);
    assert_eq!(parts.len(), 1);
    assert_eq!((&parts[0].0.content, &parts[0].1), (&Content::Opaque, &single));
    assert_eq!(parts[0].0.time_range, TimeRange::at(7));

    let parts = parts_of(&encode(&[row(7, true), row(8, false)]));
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].1, single);
    assert_eq!(parts[1].1, encode(&[row(8, false)]));
}

#[test]
fn a_node_with_our_identity_is_not_cut() {
    let identity = Identity { origin: OriginId([7; 16]), sequence: Sequence(9) };
    let text = |bytes| Some(vec![b't'; bytes]);
    for bytes in [10, PART_BYTES_MAX + 1] {
        let columns = vec![("a".to_owned(), DataType::Text, vec![text(bytes), text(1)])];
        let sample = sample_of("root.d1", vec![1, 2], columns);
        let mut payload = Vec::new();
        sample.encode(identity.plan_node_id().as_str(), &mut payload);
        let parts = parts_of(&payload);
        assert_eq!(parts.len(), 1);
        let (part, head) = &parts[0];
        assert_eq!((part.identity, part.rows), (Some(identity), 2));
        let node = payload.len() - 64;
        match &part.content {
            Content::Tablet => assert_eq!(head, &payload[..node]),
            Content::Large { is_tablet, span, tail } => {
                assert!(*is_tablet && tail.is_empty());
                assert_eq!(*span, head.len() as u64..node as u64);
                assert_eq!(head, &payload[..head.len()]);
            }
            Content::Opaque => panic!("it is a tablet"),
        }
    }
}

#[test]
fn what_has_no_values_gives_no_part() {
    let null = || vec![None, None];
    for sample in [
        sample_of("root.d1", vec![], vec![]),
        sample_of("root.d1", vec![1, 2], vec![]),
        sample_of("root.d1", vec![], vec![("a".to_owned(), DataType::Int32, vec![])]),
    ] {
        let mut payload = Vec::new();
        sample.encode("1", &mut payload);
        assert!(parts_of(&payload).is_empty());
        assert!(parts_of(&raw_request(&sample)).is_empty());
    }
    let nulls = sample_of("root.d1", vec![1, 2], vec![("a".to_owned(), DataType::Int32, null())]);
    let mut rows = Vec::new();
    let mut writer = Writer::into_vec(&mut rows, usize::MAX);
    request(RequestType::TabletInsertNode, &mut writer);
    nulls.with_rows(false, |rows| rows_node(rows, NodeType::InsertRows, &mut writer));
    node_tail(b"", &mut writer);
    assert!(parts_of(&rows).is_empty());
    let probe = [1, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(parts_of(&probe).is_empty());
}

#[test]
fn errors_say_where() {
    let error = |bytes: &[u8]| split(&bytes).unwrap_err().to_string();
    assert_eq!(error(&[2, 0, 2]), "version at byte 0: expected 1, got 2");
    assert_eq!(error(&[1, 0, 4]), "request type at byte 1: expected 2, 3, 6, 7 or 10 to 13, got 4");
    assert_eq!(
        error(&[1, 0, 2, 0, 19]),
        "node type at byte 3: expected 13 to 15 or 2000 to 2002, got 19"
    );
    assert_eq!(error(&[1, 0, 2, 7, 0xd0]), "node type at byte 3: expected 13 to 15, got 2000");
    let mut payload = Vec::new();
    sample_of("root.d1", vec![1], vec![("a".to_owned(), DataType::Int32, vec![None])])
        .encode("1", &mut payload);
    let end = payload.len();
    payload.extend([0, 0, 7]);
    assert_eq!(error(&payload), format!("end of request expected at byte {end}, got 3 more bytes"));
}

#[test]
fn memory_grows_with_columns_only() {
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    let mut measure = |rows: usize, columns: usize| {
        let sample = Sample::plain(&mut Rng::new(3), "root.d1", 0, rows, columns);
        let request = raw_request(&sample);
        let spilled = Spilled(&request);
        let mut splitter = Splitter::new(&spilled, &mut scratch).unwrap();
        while splitter.next(&mut out).unwrap().is_some() {}
        scratch.memory_bytes()
    };
    let few = measure(10, 8);
    assert_eq!(few, measure(30_000, 8));
    assert!(few <= SPLIT_WINDOW_BYTES + 8 * 32);
    let wide = measure(10, 2000);
    assert!(wide <= SPLIT_WINDOW_BYTES + 2000 * 17 + 1024 * 12, "{wide}");
}

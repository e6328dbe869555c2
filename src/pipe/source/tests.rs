//! Filters against the points that they should leave.

use proptest::prelude::*;

use super::*;
use crate::data::{OriginId, Precision, Sequence, path};
use crate::spool::{Arrival, Source as From};
use crate::statement::{Bounds, Changes, Moment};
use crate::wire::bytes::Writer;
use crate::wire::columns::Columns;
use crate::wire::cursor::Cursor;
use crate::wire::sample::{Point, Rng, Sample, Size};
use crate::wire::tablet::{self, Form};
use crate::wire::values::{Tablet, Value};

const BORDER: Sequence = Sequence(100);

fn source() -> Source {
    Source::of_path("root.**")
}

fn filter(source: &Source) -> Filter {
    let birth = Birthplace { border: BORDER, created_ms: 5_000, offset_seconds: 0 };
    Filter::new(source, birth)
}

fn header(kind: Kind, sequence: u64) -> EntryHeader {
    let sequence = Sequence(sequence);
    EntryHeader {
        segment: 1,
        sequence,
        synced: sequence,
        arrival: Arrival { wall_ms: 0, trusted: true },
        kind,
        source: From::Own,
        hops: 0,
        precision: Some(Precision::Ms),
        time_range: Some(TimeRange { min: 10, max: 20 }),
        identity: Identity { origin: OriginId([7; 16]), sequence },
        void_entries: 0,
        content_crc: None,
        payload_crc: 0,
        payload_bytes: 0,
        file_count: 0,
        device: 0,
    }
}

const fn from(number: i64) -> Bounds {
    Bounds { start: Some(Moment::Number(number)), end: None }
}

#[test]
fn history_is_what_arrived_before_the_border() {
    let judge = |source: &Source, sequence| filter(source).judge(&header(Kind::Tablet, sequence));
    let (old, new) = (99, 100);
    let no_history = Source { history: false, ..source() };
    assert_eq!(judge(&no_history, old), Judgement::Skip);
    assert_eq!(judge(&no_history, new), Judgement::Whole);
    let no_realtime = Source { realtime: false, ..source() };
    assert_eq!(judge(&no_realtime, old), Judgement::Whole);
    assert_eq!(judge(&no_realtime, new), Judgement::Skip);
    let late_history = Source { history_range: from(21), ..source() };
    assert_eq!(judge(&late_history, old), Judgement::Skip);
    assert_eq!(judge(&late_history, new), Judgement::Whole);
    let late = Source { range: from(11), ..late_history };
    assert_eq!(judge(&late, old), Judgement::Look, "start-time overrides history.start-time");
    assert_eq!(judge(&late, new), Judgement::Look);
    assert_eq!(judge(&Source { is_some: false, ..source() }, new), Judgement::Skip);
    let one_shot = Source { is_one_shot: true, ..source() };
    assert_eq!((judge(&one_shot, old), judge(&one_shot, new)), (Judgement::Whole, Judgement::Skip));
    assert_eq!((filter(&one_shot).end(), filter(&source()).end()), (Some(BORDER), None));
}

#[test]
fn bounds_are_inclusive_and_in_the_precision_of_the_entry() {
    let instant = |seconds| Some(Moment::Instant(seconds, 0));
    let bounded =
        filter(&Source { range: Bounds { start: instant(10), end: instant(20) }, ..source() });
    let judge = |precision, min, max| {
        bounded.judge(&EntryHeader {
            precision: Some(precision),
            time_range: Some(TimeRange { min, max }),
            ..header(Kind::Tablet, 1)
        })
    };
    assert_eq!(judge(Precision::Ms, 10_000, 20_000), Judgement::Whole);
    assert_eq!(judge(Precision::Ms, 9_999, 20_000), Judgement::Look);
    assert_eq!(judge(Precision::Ms, 10_000, 20_001), Judgement::Look);
    assert_eq!(judge(Precision::Ms, 20_001, 30_000), Judgement::Skip);
    assert_eq!(judge(Precision::Us, 10_000_000, 20_000_000), Judgement::Whole);
    assert_eq!(judge(Precision::Ns, 10_000, 20_000), Judgement::Skip);
    let from_now =
        filter(&Source { range: Bounds { start: Some(Moment::Now), end: None }, ..source() });
    let early = EntryHeader { time_range: Some(TimeRange::at(4_999)), ..header(Kind::Tablet, 1) };
    assert_eq!(from_now.judge(&early), Judgement::Skip, "now is when the pipe was created");
}

#[test]
fn what_came_by_a_pipe_goes_on_unless_forwarding_is_off() {
    let came = EntryHeader { hops: 1, ..header(Kind::Tablet, 1) };
    assert_eq!(filter(&source()).judge(&came), Judgement::Whole);
    let local = filter(&Source { forwarding: false, ..source() });
    assert_eq!(local.judge(&came), Judgement::Skip);
    assert_eq!(local.judge(&header(Kind::Tablet, 1)), Judgement::Whole);
}

#[test]
fn kinds_of_changes_are_told_apart() {
    let verdict = |inclusion: &str, payload: &[u8]| {
        let changes = Changes::parse(inclusion);
        let mut filter = filter(&Source { changes, ..source() });
        let header = EntryHeader { time_range: None, ..header(Kind::Opaque, 1) };
        match filter.judge(&header) {
            Judgement::Look => filter.request(&header, payload, &mut Vec::new()),
            judged @ (Judgement::Skip | Judgement::Whole) => panic!("{judged:?}"),
        }
    };
    let deletion = [1, 0, 100, 0, 44];
    let (series, user) = ([1, 0, 100, 0, 19], [1, 0, 200, 2, 100]);
    let table = [1, 0, 10, 7, 208];
    for (inclusion, taken) in [
        ("data.insert", [false, false, false, true]),
        ("data.delete", [true, false, false, false]),
        ("schema", [false, true, false, false]),
        ("auth", [false, false, true, false]),
        ("data,schema", [true, true, false, true]),
    ] {
        let got = [&deletion, &series, &user, &table]
            .map(|payload| verdict(inclusion, payload) == Verdict::Whole);
        assert_eq!(got, taken, "{inclusion}");
    }
    let everything = filter(&source());
    assert!(everything.is_everything());
    assert_eq!(everything.judge(&header(Kind::Opaque, 1)), Judgement::Whole);
    let no_inserts = filter(&Source { changes: Changes::parse("schema"), ..source() });
    assert_eq!(no_inserts.judge(&header(Kind::Tablet, 1)), Judgement::Skip);
}

#[test]
fn a_row_whose_types_are_unknown_is_cut_by_columns() {
    const ROW: &[u8] =
        b"\x01\0\x02\0\x0e\0\0\0\0\0\0\0\x0f\0\0\0\x06root.d\0\0\0\x02\0\0\0\0\x01a\0\0\0\x01b\
        \xff\0\0\0\x031.5\xfe\x01\0\0\0\0\x011\0\0\0\0";
    let verdict = |path: &str, range| {
        let include = vec![Pattern::Path(path.to_owned())];
        let mut filter = filter(&Source { include, range, ..source() });
        filter.request(&header(Kind::Opaque, 1), ROW, &mut Vec::new())
    };
    let all = Bounds::default();
    assert_eq!(verdict("root.d.*", all), Verdict::Whole);
    assert_eq!(verdict("root.e.*", all), Verdict::Skip);
    assert!(matches!(verdict("root.d.a", all), Verdict::Part { .. }));
    assert_eq!(verdict("root.d.a", from(16)), Verdict::Skip);
}

/// A tablet as the spool has it.
fn payload_of(sample: &Sample, has_schemas: bool) -> Vec<u8> {
    let mut payload = Vec::new();
    sample.with_tablet(has_schemas, |tablet| {
        let mut writer = Writer::into_vec(&mut payload, 1 << 24);
        writer.put(&[1, 0, 2]);
        tablet.node(crate::wire::node::NodeType::InsertTablet, &mut writer);
        writer.string("1");
        writer.i32(0);
        writer.finish().unwrap();
    });
    payload
}

/// The points of a payload.
fn points_of(payload: &[u8]) -> Vec<Point> {
    let mut columns = Columns::new();
    let mut cursor = Cursor::memory(payload);
    cursor.seek(5);
    let layout = tablet::scan(&mut cursor, Form::Node, &mut columns).unwrap();
    let tablet = Tablet::new(payload, layout, &columns);
    let mut points = Vec::new();
    for column in tablet.columns() {
        for (time, value) in tablet.times().zip(column.values()) {
            let Some(value) = value else { continue };
            points.push(Point {
                device: tablet.device().to_vec(),
                measurement: column.name().to_vec(),
                is_aligned: tablet.is_aligned(),
                time,
                data_type: column.data_type().unwrap().code(),
                value: match value {
                    Value::Boolean(value) => vec![u8::from(value)],
                    Value::Int32(value) => value.to_be_bytes().to_vec(),
                    Value::Int64(value) => value.to_be_bytes().to_vec(),
                    Value::Float(value) => value.to_bits().to_be_bytes().to_vec(),
                    Value::Double(value) => value.to_bits().to_be_bytes().to_vec(),
                    Value::Bytes(value) => value.to_vec(),
                },
            });
        }
    }
    points.sort();
    points
}

proptest! {
    #[test]
    fn what_is_left_of_a_tablet_are_the_points_inside(
        seed: u64,
        has_schemas: bool,
        include in prop::collection::vec("root(\\.(\\*|\\*\\*|d[0-3]|s[0-9]|s\\*)){1,3}", 1..3),
        exclude in prop::collection::vec("root\\.(\\*\\*|\\*)\\.s[0-9]", 0..2),
        start in -200_i64..1200,
        span in 0_i64..2000,
    ) {
        let mut rng = Rng::new(seed);
        let mut size = Size { rows: 40, columns: 12, text_bytes: 9, nulls_percent: 40 };
        size.nulls_percent = if seed % 2 == 0 { 0 } else { 60 };
        let sample = Sample::random(&mut rng, size);
        let payload = payload_of(&sample, has_schemas);
        let patterns = |texts: &[String]| texts.iter().cloned().map(Pattern::Path).collect();
        let range = Bounds { start: Some(Moment::Number(start)), end: Some(Moment::Number(start + span)) };
        let mut filter = filter(&Source {
            include: patterns(&include),
            exclude: patterns(&exclude),
            range,
            ..source()
        });
        let header = EntryHeader { time_range: None, ..header(Kind::Tablet, 1) };
        let mut out = Vec::new();
        let verdict = filter.tablet(&header, &sample.device, &payload, &mut out);
        let before = points_of(&payload);
        let is_wanted = |point: &&Point| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let whole = format!("{}.{}", text(&point.device), text(&point.measurement));
            let any = |list: &[String]| list.iter().any(|one| path::matches(one, &whole));
            any(&include) && !any(&exclude) && (start..=start + span).contains(&point.time)
        };
        let expected: Vec<Point> = before.iter().filter(is_wanted).cloned().collect();
        let got = match verdict {
            Verdict::Skip => Vec::new(),
            Verdict::Whole => before,
            Verdict::Unfit(why) => panic!("{why}"),
            Verdict::Part { times, identity } => {
                let got = points_of(&out);
                let times = times.unwrap();
                prop_assert!(got.iter().all(|point| times.contains(point.time)));
                prop_assert!(identity.origin.is_of_parts_of(header.identity.origin));
                let id = identity.plan_node_id();
                prop_assert!(out.windows(56).any(|window| window == id.as_bytes()));
                got
            }
        };
        prop_assert_eq!(got, expected);
    }
}

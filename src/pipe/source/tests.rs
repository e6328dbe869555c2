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

/// What a bound is in a unit of so many nanoseconds, with what the clock of [`filter`] and its zone say.
fn in_units(moment: Moment, unit_nanos: i128) -> i128 {
    let nanos = match moment {
        Moment::Number(number) => return i128::from(number),
        Moment::Now => 5_000 * 1_000_000,
        Moment::Instant(seconds, nanos) | Moment::Local(seconds, nanos) => {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
        }
    };
    nanos.div_euclid(unit_nanos)
}

/// Whether a point at `time` is sent, of an entry that counts in such units.
fn is_taken(source: &Source, header: &EntryHeader, time: i64, unit_nanos: i128) -> bool {
    let is_history = header.sequence < BORDER;
    let of_side = is_history && !source.range.is_some();
    let bounds = if of_side { source.history_range } else { source.range };
    let is_wanted =
        if is_history { source.history } else { source.realtime && !source.is_one_shot };
    let time = i128::from(time);
    source.is_some
        && is_wanted
        && (source.forwarding || header.hops == 0)
        && bounds.start.is_none_or(|start| in_units(start, unit_nanos) <= time)
        && bounds.end.is_none_or(|end| time <= in_units(end, unit_nanos))
}

fn any_bounds() -> impl Strategy<Value = Bounds> {
    let nanos = prop::sample::select(vec![0, 1, 999, 1_500_000, 999_999_999]);
    let moment = prop_oneof![
        (-9_i64..9).prop_map(Moment::Number),
        (-3_i64..3, nanos.clone()).prop_map(|(seconds, nanos)| Moment::Instant(seconds, nanos)),
        (-3_i64..3, nanos).prop_map(|(seconds, nanos)| Moment::Local(seconds, nanos)),
        Just(Moment::Now),
    ];
    let bound = prop::option::of(moment);
    (bound.clone(), bound).prop_map(|(start, end)| Bounds { start, end })
}

proptest! {
    #[test]
    fn a_header_decides_what_is_true_of_all_its_times(
        flags: [bool; 5],
        range in any_bounds(),
        history_range in any_bounds(),
        sequence in 98_u64..102,
        hops in 0_u8..2,
        said in prop::option::of(0_u8..3),
        times in prop::option::of((-9_i64..9, 0_usize..5, 0_u8..3, 0_i64..9)),
    ) {
        let [history, realtime, forwarding, is_one_shot, is_none] = flags;
        let source = Source {
            is_some: !is_none, history, realtime, range, history_range, forwarding, is_one_shot,
            ..source()
        };
        let filter = filter(&source);
        let units = [1_000_000, 1_000, 1];
        let bounds = [range.start, range.end, history_range.start, history_range.end];
        // Around a bound, in any unit, or around zero.
        let times = times.map(|(near, bound, unit, length)| {
            let bound = bounds.get(bound).copied().flatten();
            let at = bound.map_or(0, |bound| in_units(bound, units[usize::from(unit)]));
            let min = i64::try_from(at).unwrap() + near;
            TimeRange { min, max: min + length }
        });
        let header = EntryHeader {
            hops,
            precision: said.map(|code| Precision::from_code(code).unwrap()),
            time_range: times,
            ..header(Kind::Tablet, sequence)
        };
        // Where the unit is not known, any may be meant.
        let meant = said.map_or(&units[..], |code| &units[usize::from(code)..=usize::from(code)]);
        let near_bounds = bounds.into_iter().flatten().flat_map(|bound| {
            units.map(|unit| i64::try_from(in_units(bound, unit)).unwrap())
        });
        let probes: Vec<i64> = match times {
            Some(times) => (times.min..=times.max).collect(),
            None => near_bounds.chain([i64::MIN + 1, 0, i64::MAX - 1]).flat_map(|at| at - 1..=at + 1).collect(),
        };
        let (judged, selected) = (filter.judge(&header), filter.selection(&header));
        for time in probes {
            let mut taken = meant.iter().map(|unit| is_taken(&source, &header, time, *unit));
            let is_sent = selected.is_some_and(|(_, times)| times.contains(time));
            if meant.len() == 1 {
                let taken = taken.next().unwrap();
                prop_assert_eq!(is_sent, taken, "{}", time);
                prop_assert!(judged != Judgement::Whole || taken, "{} is sent whole", time);
                prop_assert!(judged != Judgement::Skip || !taken, "{} is gone past", time);
            } else if taken.any(|taken| taken) {
                prop_assert!(is_sent && judged != Judgement::Skip, "{} is not sent", time);
            }
        }
    }

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

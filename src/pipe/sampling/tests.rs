//! Samplers against a model that keeps everything.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a model is short"
)]

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::data::DataType;
use crate::statement::DeadBand;
use crate::wire::sample::{Rng, Sample, Size};
use crate::wire::values::Value;

type Point = (Vec<u8>, Vec<u8>, i64, DataType, Vec<u8>);

const ID: &str = "P1:00112233445566778899aabbccddeeff:00000000000000000042";

/// What a model knows of a series: the last point that stayed, and all numbers since.
type Seen = (i64, Point, Vec<(i64, f64)>);

fn band(deviation: f64, min_interval: i64, max_interval: i64) -> DeadBand {
    DeadBand { deviation, min_interval, max_interval, split_files: false }
}

fn tumbling(seconds: u64) -> Processor {
    Processor::TumblingTime { interval: Duration::from_secs(seconds), split_files: false }
}

fn bytes_of(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Boolean(value) => vec![u8::from(value)],
        Value::Int32(value) => value.to_be_bytes().into(),
        Value::Int64(value) => value.to_be_bytes().into(),
        Value::Float(value) => value.to_bits().to_be_bytes().into(),
        Value::Double(value) => value.to_bits().to_be_bytes().into(),
        Value::Bytes(bytes) => bytes.into(),
    }
}

fn identity() -> Identity {
    Identity::parse_plan_node_id(ID.as_bytes()).unwrap()
}

/// All points of a payload, column by column; its tail has to be this.
fn points_of(payload: &[u8], identity: Identity) -> Vec<Point> {
    let (mut cursor, mut columns) = (Cursor::memory(payload), Columns::new());
    let layout = scan(&mut cursor, &mut columns).unwrap().unwrap();
    assert_eq!(skip_tail(&mut cursor).unwrap(), Some(identity));
    assert_eq!(cursor.left(), 0);
    let tablet = Tablet::new(payload, layout, &columns);
    let mut found = Vec::new();
    for column in tablet.columns() {
        for (time, value) in tablet.times().zip(column.values()) {
            let Some(value) = value else { continue };
            let device = tablet.device().to_vec();
            let data_type = column.data_type().unwrap();
            found.push((device, column.name().to_vec(), time, data_type, bytes_of(value)));
        }
    }
    found
}

/// Whole numbers, of any type.
fn whole(point: &Point) -> Option<i128> {
    let bytes = point.4.as_slice();
    match point.3 {
        DataType::Int32 | DataType::Date => {
            Some(i128::from(i32::from_be_bytes(bytes.try_into().unwrap())))
        }
        DataType::Int64 | DataType::Timestamp => {
            Some(i128::from(i64::from_be_bytes(bytes.try_into().unwrap())))
        }
        _ => None,
    }
}

/// Fractions, of either type.
fn fraction(point: &Point) -> Option<f64> {
    let bytes = point.4.as_slice();
    match point.3 {
        DataType::Float => Some(f64::from(f32::from_be_bytes(bytes.try_into().unwrap()))),
        DataType::Double => Some(f64::from_be_bytes(bytes.try_into().unwrap())),
        _ => None,
    }
}

/// How far `point` is above `last`, if they are numbers of one kind.
fn difference(last: &Point, point: &Point) -> Option<f64> {
    if let (Some(last), Some(value)) = (whole(last), whole(point)) {
        return Some((value - last) as f64);
    }
    let (last, value) = (fraction(last)?, fraction(point)?);
    match (last.is_nan(), value.is_nan()) {
        (true, true) => Some(0.0),
        (false, false) if last.to_bits() == value.to_bits() => Some(0.0),
        (false, false) => Some(value - last),
        _ => None,
    }
}

/// Whether two points that are no numbers of one kind are the same.
fn is_same(last: &Point, point: &Point) -> bool {
    let is_flag = |point: &Point| point.3 == DataType::Boolean;
    let is_text =
        |point: &Point| !is_flag(point) && whole(point).is_none() && fraction(point).is_none();
    let is_one_kind = (is_flag(last) && is_flag(point)) || (is_text(last) && is_text(point));
    is_one_kind && last.4 == point.4
}

/// Whether the model lets a point stay.
fn stays(processor: &Processor, seen: &Seen, point: &Point) -> bool {
    let (last_time, last, since) = seen;
    let away = point.2.abs_diff(*last_time);
    let (Processor::SwingingDoor(band) | Processor::ChangingValue(band)) = processor else {
        return away == 0 || away >= 60_000;
    };
    if away == 0 || away >= band.max_interval as u64 {
        return true;
    }
    if away < band.min_interval as u64 {
        return false;
    }
    let Some(difference) = difference(last, point) else { return !is_same(last, point) };
    if matches!(processor, Processor::ChangingValue(_)) {
        return difference.abs() > band.deviation;
    }
    // Is there a slope that passes all of them?
    let all = since.iter().copied().chain([(point.2, difference)]);
    let slopes = all.map(|(time, difference)| {
        let span = (i128::from(time) - i128::from(*last_time)) as f64;
        let ends = [(difference - band.deviation) / span, (difference + band.deviation) / span];
        (ends[0].min(ends[1]), ends[0].max(ends[1]))
    });
    let (upper, lower) = slopes.fold((f64::NEG_INFINITY, f64::INFINITY), |(upper, lower), ends| {
        (upper.max(ends.0), lower.min(ends.1))
    });
    upper > lower || !difference.is_finite()
}

struct Model {
    processor: Processor,
    seen: HashMap<(Vec<u8>, Vec<u8>), Seen>,
}

impl Model {
    fn stays(&mut self, point: &Point) -> bool {
        let key = (point.0.clone(), point.1.clone());
        let stays = self.seen.get(&key).is_none_or(|seen| stays(&self.processor, seen, point));
        if stays {
            self.seen.insert(key, (point.2, point.clone(), Vec::new()));
            return true;
        }
        let (_, last, since) = self.seen.get_mut(&key).unwrap();
        let difference = difference(last, point);
        let (Processor::SwingingDoor(band) | Processor::ChangingValue(band)) = &self.processor
        else {
            return false;
        };
        let is_seen = point.2.abs_diff(last.2) >= band.min_interval as u64;
        since.extend(difference.filter(|_| is_seen).map(|difference| (point.2, difference)));
        false
    }
}

fn processors() -> impl Strategy<Value = Processor> {
    let bands = (prop_oneof![Just(0.0), 0.0..1e9_f64], 0..2000_i64, 1..20_000_i64);
    let bands = bands.prop_map(|(deviation, min, max)| band(deviation, min, min + max));
    prop_oneof![
        Just(tumbling(60)),
        bands.clone().prop_map(Processor::SwingingDoor),
        bands.prop_map(Processor::ChangingValue),
    ]
}

proptest! {
    #[test]
    fn a_sampler_keeps_what_a_model_that_forgets_nothing_keeps(
        processor in processors(), seed in any::<u64>(), count in 1..6,
    ) {
        let mut sampler = Sampler::new(processor).unwrap();
        let mut model = Model { processor, seen: HashMap::new() };
        let mut rng = Rng::new(seed);
        for _ in 0..count {
            let size = Size { rows: 40, columns: 6, text_bytes: 1, nulls_percent: 20 };
            let mut payload = Vec::new();
            Sample::random(&mut rng, size).encode(ID, &mut payload);
            let all = points_of(&payload, identity());
            let expected: Vec<_> =
                all.iter().filter(|point| model.stays(point)).cloned().collect();
            match sampler.sample(&payload, identity(), Precision::Ms).unwrap() {
                Sampled::Whole => prop_assert_eq!(expected, all),
                Sampled::Nothing => prop_assert_eq!(expected, vec![]),
                Sampled::Part(left, part, range) => {
                    prop_assert!(part.origin.is_of_parts_of(identity().origin));
                    prop_assert_ne!(expected.len(), all.len());
                    let times = expected.iter().map(|point| point.2);
                    prop_assert_eq!(
                        Some((range.min, range.max)), times.clone().min().zip(times.max())
                    );
                    prop_assert_eq!(points_of(left, part), expected);
                }
            }
        }
        prop_assert_eq!(sampler.unsampled(), 0);
    }

    #[test]
    fn no_bytes_make_a_sampler_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut payload = b"\x01\0\x02\0\x0d".to_vec();
        payload.extend(bytes);
        drop(Sampler::new(tumbling(1)).unwrap().sample(&payload, identity(), Precision::Ms).map(|_| ()));
    }
}

/// A column of doubles of one device at some times.
fn doubles(points: &[(i64, f64)]) -> Vec<u8> {
    use crate::wire::build::{self, Cells};
    let times: Vec<_> = points.iter().map(|(time, _)| *time).collect();
    let cells: Vec<u8> = points.iter().flat_map(|(_, value)| value.to_be_bytes()).collect();
    let column = build::TabletColumn {
        name: b"s",
        data_type: DataType::Double,
        schema: None,
        category: 0,
        nulls: None,
        cells: Cells::Fixed(&cells),
    };
    let tablet =
        build::Tablet { device: b"root.d", is_aligned: false, times: &times, columns: &[column] };
    let mut payload = Vec::new();
    let mut writer = crate::wire::bytes::Writer::into_vec(&mut payload, usize::MAX);
    build::request(RequestType::TabletInsertNode, &mut writer);
    tablet.node(NodeType::InsertTablet, &mut writer);
    build::node_tail(ID.as_bytes(), &mut writer);
    payload
}

fn times_left(processor: Processor, precision: Precision, all: &[(i64, f64)]) -> Vec<i64> {
    let mut sampler = Sampler::new(processor).unwrap();
    let mut left = Vec::new();
    // Each point in a tablet of its own: the state is all that there is between them.
    for point in all {
        if sampler.sample(&doubles(&[*point]), identity(), precision).unwrap() == Sampled::Whole {
            left.push(point.0);
        }
    }
    left
}

#[test]
fn tumbling_time_keeps_a_point_an_interval_in_any_unit() {
    let all: Vec<_> = (0..10).map(|second| (second * 1000, 0.0)).collect();
    assert_eq!(times_left(tumbling(3), Precision::Ms, &all), [0, 3000, 6000, 9000]);
    let all: Vec<_> = all.iter().map(|(time, value)| (time * 1_000_000, *value)).collect();
    let left = times_left(tumbling(3), Precision::Ns, &all);
    assert_eq!(left, [0, 3_000_000_000, 6_000_000_000, 9_000_000_000]);
}

#[test]
fn changing_value_keeps_what_leaves_the_dead_band() {
    let all = [(0, 0.0), (1, 1.0), (2, 1.5), (3, 1.0), (4, -0.6), (5, f64::NAN), (6, f64::NAN)];
    let left = |band| times_left(Processor::ChangingValue(band), Precision::Ms, &all);
    assert_eq!(left(band(1.0, 0, i64::MAX)), [0, 2, 4, 5]);
    assert_eq!(left(band(0.0, 0, i64::MAX)), [0, 1, 2, 3, 4, 5]);
    assert_eq!(left(band(1e9, 0, 3)), [0, 3, 5], "no longer than the largest interval");
    assert_eq!(left(band(0.0, 4, i64::MAX)), [0, 4], "no closer than the least one");
}

#[test]
fn swinging_door_keeps_the_bends_of_a_line() {
    let line = |time: i64| if time < 50 { time as f64 } else { 100.0 - time as f64 };
    let all: Vec<_> = (0..100).map(|time| (time, line(time))).collect();
    let left = times_left(Processor::SwingingDoor(band(0.5, 0, i64::MAX)), Precision::Ms, &all);
    assert_eq!(left, [0, 51]);
}

#[test]
fn a_correction_for_the_time_of_the_last_point_stays() {
    let all = [(5, 1.0), (5, 1.0), (6, 1.0)];
    for processor in [
        tumbling(60),
        Processor::ChangingValue(band(9.0, 0, i64::MAX)),
        Processor::SwingingDoor(band(9.0, 0, i64::MAX)),
    ] {
        assert_eq!(times_left(processor, Precision::Ms, &all), [5, 5]);
    }
}

#[test]
fn points_of_series_beyond_the_limit_stay_and_are_counted() {
    let mut sampler = Sampler::new(tumbling(60)).unwrap();
    sampler.series = Series::new(1);
    let mut one = |name: &str, time| {
        let mut payload = Vec::new();
        Sample::plain(&mut Rng::new(1), name, time, 1, 1).encode(ID, &mut payload);
        sampler.sample(&payload, identity(), Precision::Ms).unwrap() == Sampled::Whole
    };
    assert!(one("root.a", 0) && one("root.b", 0));
    assert!(!one("root.a", 1) && one("root.b", 1));
    assert_eq!(sampler.unsampled(), 2);
}

#[test]
fn other_requests_stay_as_they_are() {
    let mut sampler = Sampler::new(tumbling(60)).unwrap();
    for payload in [&b"\x01\0\x08rest"[..], b"\x02\0\x02\0\x0d", b"\x01\0\x02\x07\xd0"] {
        assert_eq!(sampler.sample(payload, identity(), Precision::Ms).unwrap(), Sampled::Whole);
    }
}

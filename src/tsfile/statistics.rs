//! Statistics of a page, a chunk or a series.
//!
//! ```text
//!  uvar count | i64 first time | i64 last time | by type:
//!
//!  BOOLEAN            first u8 | last u8 | sum i64
//!  INT32, DATE        min i32 | max i32 | first i32 | last i32 | sum i64
//!  INT64, TIMESTAMP   min i64 | max i64 | first i64 | last i64 | sum f64
//!  FLOAT              min f32 | max f32 | first f32 | last f32 | sum f64
//!  DOUBLE             min f64 | max f64 | first f64 | last f64 | sum f64
//!  TEXT               first | last             each: i32 length, bytes
//!  STRING             first | last | min | max
//!  BLOB, times        nothing
//! ```
//!
//! Defined by `Statistics` of tsfile and its subclasses. Min and max of floats start with the first value
//! and move by `<` and `>`, so that a first NaN stays and later ones are passed over.

use std::convert::Infallible;

use super::encoding::bits::put_var;
use super::encoding::{Values, as_double};
use super::texts::{self, Text, shared};
use super::window::{TsFileError, Window};
use crate::data::{DataType, ReadAt, TimeRange};
use crate::limits::KIB;

/// What is known of some points without reading them.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Points, nulls not counted.
    pub count: u32,
    /// Time of the first point; `i64::MAX` without one.
    pub start: i64,
    /// Time of the last point; `i64::MIN` without one.
    pub end: i64,
    /// What the values have.
    pub body: Body,
}

/// What is known of the values.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing: times, and `BLOB`.
    Nothing,
    /// `BOOLEAN`; the sum is the number of true values.
    Boolean {
        /// First value.
        first: bool,
        /// Last value.
        last: bool,
        /// Sum, wrapping.
        sum: i64,
    },
    /// `INT32` and `DATE`.
    Integer(Numbers<i32, i64>),
    /// `INT64` and `TIMESTAMP`.
    Long(Numbers<i64, f64>),
    /// `FLOAT`.
    Float(Numbers<f32, f64>),
    /// `DOUBLE`.
    Double(Numbers<f64, f64>),
    /// `TEXT`.
    Text {
        /// First value.
        first: Text,
        /// Last value.
        last: Text,
    },
    /// `STRING`.
    String {
        /// First value.
        first: Text,
        /// Last value.
        last: Text,
        /// Smallest value, by bytes.
        min: Text,
        /// Largest value.
        max: Text,
    },
}

/// What is known of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Numbers<V, S> {
    /// Smallest value.
    pub min: V,
    /// Largest value.
    pub max: V,
    /// First value.
    pub first: V,
    /// Last value.
    pub last: V,
    /// Sum; of integers wrapping.
    pub sum: S,
}

impl Statistics {
    /// Those of no point at all. `None` stands for a time column.
    pub fn empty(value_type: Option<DataType>) -> Self {
        Self { count: 0, start: i64::MAX, end: i64::MIN, body: Body::of(value_type) }
    }

    /// Those of a time column.
    pub fn of_times(times: &[i64]) -> Self {
        let mut statistics = Self::empty(None);
        statistics.take_times(times);
        statistics
    }

    /// Those of a page's points, ascending in time; as many values as times.
    pub fn of_page(data_type: DataType, times: &[i64], values: &Values) -> Self {
        let mut statistics = Self::empty(Some(data_type));
        statistics.take_times(times);
        statistics.body.take(values);
        statistics
    }

    fn take_times(&mut self, times: &[i64]) {
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            self.count = u32::try_from(times.len()).unwrap_or(u32::MAX);
            (self.start, self.end) = (*first, *last);
        }
    }

    /// Takes those of a later page or chunk of the same type in.
    pub fn merge(&mut self, later: &Self) {
        if later.count == 0 {
            return;
        }
        let is_first = self.count == 0;
        self.count = self.count.wrapping_add(later.count);
        let takes_first = is_first || later.start < self.start;
        let takes_last = is_first || later.end >= self.end;
        self.start = self.start.min(later.start);
        self.end = self.end.max(later.end);
        if is_first {
            self.body = later.body.clone();
        } else {
            self.body.merge(&later.body, takes_first, takes_last);
        }
    }

    /// Reads them.
    pub(super) fn read<R: ReadAt + ?Sized>(
        window: &mut Window<'_, R>,
        value_type: Option<DataType>,
    ) -> Result<Self, TsFileError> {
        let (count, TimeRange { min, max }) = Self::read_extent(window)?;
        Ok(Self { count, start: min, end: max, body: Body::read(window, value_type)? })
    }

    /// Reads count and times only, which stand first.
    pub(super) fn read_extent<R: ReadAt + ?Sized>(
        window: &mut Window<'_, R>,
    ) -> Result<(u32, TimeRange), TsFileError> {
        let count = window.var("point count")?;
        let min = window.i64("first time")?;
        Ok((count, TimeRange { min, max: window.i64("last time")? }))
    }

    /// Steps over them.
    pub(super) fn skip<R: ReadAt + ?Sized>(
        window: &mut Window<'_, R>,
        value_type: Option<DataType>,
    ) -> Result<(), TsFileError> {
        const WHAT: &str = "statistics";
        window.var("point count")?;
        let (fixed, texts) = match value_type {
            None => (16, 0),
            Some(data_type) => match data_type {
                DataType::Boolean => (16 + 10, 0),
                DataType::Int32 | DataType::Date | DataType::Float => (16 + 24, 0),
                DataType::Int64 | DataType::Timestamp | DataType::Double => (16 + 40, 0),
                DataType::Text => (16, 2),
                DataType::String => (16, 4),
                DataType::Blob | DataType::Object => (16, 0),
            },
        };
        window.skip(fixed, WHAT)?;
        for _ in 0..texts {
            window.skip_long_text(WHAT)?;
        }
        Ok(())
    }

    /// Bytes of the texts among them, which can be long.
    pub(super) fn text_bytes(&self) -> usize {
        self.body.texts().iter().map(|text| text.len()).sum()
    }

    /// Appends their bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Long texts would make the list grow to twice what it needs.
        if self.text_bytes() > KIB {
            out.reserve_exact(self.text_bytes() + KIB);
        }
        self.write_fixed(out);
        for text in self.body.texts() {
            let Ok(()) = texts::put::<Infallible>(text, |part| {
                out.extend_from_slice(part);
                Ok(())
            });
        }
    }

    /// Gives their bytes away in parts, so that texts are not copied.
    pub(super) fn put<E>(&self, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut fixed = Vec::new();
        self.write_fixed(&mut fixed);
        out(&fixed)?;
        self.body.texts().iter().try_for_each(|text| texts::put(text, &mut out))
    }

    /// Bytes of what [`Self::put`] gives away.
    pub(super) fn bytes(&self) -> u64 {
        let mut fixed = Vec::new();
        self.write_fixed(&mut fixed);
        let texts = self.body.texts().iter().map(|text| text.len() as u64 + 4).sum::<u64>();
        fixed.len() as u64 + texts
    }

    /// Appends everything but the texts, which stand behind it.
    fn write_fixed(&self, out: &mut Vec<u8>) {
        put_var(self.count.into(), out);
        out.extend_from_slice(&self.start.to_be_bytes());
        out.extend_from_slice(&self.end.to_be_bytes());
        self.body.write_fixed(out);
    }

    /// Whether others say the same; sums of floats may differ by rounding, which depends on the order.
    pub fn agrees(&self, other: &Self) -> bool {
        self.count == other.count
            && (self.count == 0 || (self.start, self.end) == (other.start, other.end))
            && (self.count == 0 || self.body.agrees(&other.body))
    }
}

impl Body {
    fn of(value_type: Option<DataType>) -> Self {
        let Some(data_type) = value_type else { return Self::Nothing };
        match data_type {
            DataType::Boolean => Self::Boolean { first: false, last: false, sum: 0 },
            DataType::Int32 | DataType::Date => {
                Self::Integer(Numbers { min: 0, max: 0, first: 0, last: 0, sum: 0 })
            }
            DataType::Int64 | DataType::Timestamp => {
                Self::Long(Numbers { min: 0, max: 0, first: 0, last: 0, sum: 0.0 })
            }
            DataType::Float => {
                Self::Float(Numbers { min: 0.0, max: 0.0, first: 0.0, last: 0.0, sum: 0.0 })
            }
            DataType::Double => {
                Self::Double(Numbers { min: 0.0, max: 0.0, first: 0.0, last: 0.0, sum: 0.0 })
            }
            DataType::Text => Self::Text { first: Text::default(), last: Text::default() },
            DataType::String => Self::String {
                first: Text::default(),
                last: Text::default(),
                min: Text::default(),
                max: Text::default(),
            },
            DataType::Blob | DataType::Object => Self::Nothing,
        }
    }

    fn take(&mut self, values: &Values) {
        match (self, values) {
            (Self::Boolean { first, last, sum }, Values::Booleans(list)) => {
                *first = list.first().copied().unwrap_or_default();
                *last = list.last().copied().unwrap_or_default();
                *sum = list.iter().map(|value| i64::from(*value)).sum();
            }
            (Self::Integer(numbers), Values::Integers(list)) => {
                numbers.take(list, |sum, value| sum.wrapping_add(value.into()));
            }
            (Self::Long(numbers), Values::Longs(list)) => {
                numbers.take(list, |sum, value| sum + as_double(value));
            }
            (Self::Float(numbers), Values::Floats(list)) => {
                numbers.take(list, |sum, value| sum + f64::from(value));
            }
            (Self::Double(numbers), Values::Doubles(list)) => {
                numbers.take(list, |sum, value| sum + value);
            }
            (Self::Text { first, last }, Values::Binaries(list)) => {
                *first = shared(list.get(0), &[]);
                *last = shared(list.iter().next_back(), &[first]);
            }
            (Self::String { first, last, min, max }, Values::Binaries(list)) => {
                *first = shared(list.get(0), &[]);
                *last = shared(list.iter().next_back(), &[first]);
                *min = shared(list.iter().min(), &[first, last]);
                *max = shared(list.iter().max(), &[first, last]);
            }
            _ => {}
        }
    }

    fn merge(&mut self, later: &Self, takes_first: bool, takes_last: bool) {
        match (self, later) {
            (Self::Boolean { first, last, sum }, Self::Boolean { first: f, last: l, sum: s }) => {
                replace(first, f, takes_first);
                replace(last, l, takes_last);
                *sum = sum.wrapping_add(*s);
            }
            (Self::Integer(a), Self::Integer(b)) => {
                a.merge(b, takes_first, takes_last, i64::wrapping_add);
            }
            (Self::Long(a), Self::Long(b)) => a.merge(b, takes_first, takes_last, |a, b| a + b),
            (Self::Float(a), Self::Float(b)) => a.merge(b, takes_first, takes_last, |a, b| a + b),
            (Self::Double(a), Self::Double(b)) => a.merge(b, takes_first, takes_last, |a, b| a + b),
            (Self::Text { first, last }, Self::Text { first: f, last: l }) => {
                replace(first, f, takes_first);
                replace(last, l, takes_last);
            }
            (
                Self::String { first, last, min, max },
                Self::String { first: f, last: l, min: least, max: most },
            ) => {
                replace(first, f, takes_first);
                replace(last, l, takes_last);
                let (is_less, is_more) = (*least < *min, *most > *max);
                replace(min, least, is_less);
                replace(max, most, is_more);
            }
            _ => {}
        }
    }

    fn read<R: ReadAt + ?Sized>(
        window: &mut Window<'_, R>,
        value_type: Option<DataType>,
    ) -> Result<Self, TsFileError> {
        const WHAT: &str = "statistics";
        let mut body = Self::of(value_type);
        match &mut body {
            Self::Nothing => {}
            Self::Boolean { first, last, sum } => {
                *first = window.u8(WHAT)? == 1;
                *last = window.u8(WHAT)? == 1;
                *sum = window.i64(WHAT)?;
            }
            Self::Integer(numbers) => {
                let sum = numbers.read(window, i32::from_be_bytes, i64::from_be_bytes)?;
                numbers.sum = sum;
            }
            Self::Long(numbers) => {
                numbers.sum = numbers.read(window, i64::from_be_bytes, f64::from_be_bytes)?;
            }
            Self::Float(numbers) => {
                numbers.sum = numbers.read(window, f32::from_be_bytes, f64::from_be_bytes)?;
            }
            Self::Double(numbers) => {
                numbers.sum = numbers.read(window, f64::from_be_bytes, f64::from_be_bytes)?;
            }
            Self::Text { first, last } => {
                *first = texts::read(window, &[])?;
                *last = texts::read(window, &[first])?;
            }
            Self::String { first, last, min, max } => {
                *first = texts::read(window, &[])?;
                *last = texts::read(window, &[first])?;
                *min = texts::read(window, &[first, last])?;
                *max = texts::read(window, &[first, last])?;
            }
        }
        Ok(body)
    }

    fn write_fixed(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing | Self::Text { .. } | Self::String { .. } => {}
            Self::Boolean { first, last, sum } => {
                out.extend([u8::from(*first), u8::from(*last)]);
                out.extend_from_slice(&sum.to_be_bytes());
            }
            Self::Integer(n) => {
                n.four().iter().for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
                out.extend_from_slice(&n.sum.to_be_bytes());
            }
            Self::Long(n) => {
                n.four().iter().for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
                out.extend_from_slice(&n.sum.to_be_bytes());
            }
            Self::Float(n) => {
                n.four().iter().for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
                out.extend_from_slice(&n.sum.to_be_bytes());
            }
            Self::Double(n) => {
                n.four().iter().for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
                out.extend_from_slice(&n.sum.to_be_bytes());
            }
        }
    }

    /// Texts in the order of the file.
    fn texts(&self) -> heapless::Vec<&Text, 4> {
        match self {
            Self::Text { first, last } => [first, last].into_iter().collect(),
            Self::String { first, last, min, max } => [first, last, min, max].into_iter().collect(),
            Self::Nothing
            | Self::Boolean { .. }
            | Self::Integer(_)
            | Self::Long(_)
            | Self::Float(_)
            | Self::Double(_) => heapless::Vec::new(),
        }
    }

    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Long(a), Self::Long(b)) => a.four() == b.four() && near(a.sum, b.sum),
            (Self::Float(a), Self::Float(b)) => {
                a.four().map(f32::to_bits) == b.four().map(f32::to_bits) && near(a.sum, b.sum)
            }
            (Self::Double(a), Self::Double(b)) => {
                a.four().map(f64::to_bits) == b.four().map(f64::to_bits) && near(a.sum, b.sum)
            }
            _ => self == other,
        }
    }
}

impl<V: Copy + PartialOrd, S: Copy + Default> Numbers<V, S> {
    fn take(&mut self, list: &[V], add: impl Fn(S, V) -> S) {
        let (Some(first), Some(last)) = (list.first(), list.last()) else { return };
        let (mut min, mut max, mut sum) = (*first, *first, S::default());
        for value in list {
            if *value < min {
                min = *value;
            }
            if *value > max {
                max = *value;
            }
            sum = add(sum, *value);
        }
        *self = Self { min, max, first: *first, last: *last, sum };
    }

    fn merge(
        &mut self,
        later: &Self,
        takes_first: bool,
        takes_last: bool,
        add: impl Fn(S, S) -> S,
    ) {
        let (is_less, is_more) = (later.min < self.min, later.max > self.max);
        replace(&mut self.min, &later.min, is_less);
        replace(&mut self.max, &later.max, is_more);
        replace(&mut self.first, &later.first, takes_first);
        replace(&mut self.last, &later.last, takes_last);
        self.sum = add(self.sum, later.sum);
    }

    const fn four(&self) -> [V; 4] {
        [self.min, self.max, self.first, self.last]
    }

    fn read<R: ReadAt + ?Sized, const N: usize, const M: usize>(
        &mut self,
        window: &mut Window<'_, R>,
        value: impl Fn([u8; N]) -> V,
        sum: impl Fn([u8; M]) -> S,
    ) -> Result<S, TsFileError> {
        const WHAT: &str = "statistics";
        for field in [&mut self.min, &mut self.max, &mut self.first, &mut self.last] {
            *field = value(window.array(WHAT)?);
        }
        window.array(WHAT).map(sum)
    }
}

fn replace<T: Clone>(to: &mut T, from: &T, does: bool) {
    if does {
        to.clone_from(from);
    }
}

/// Sums are equal but for rounding.
fn near(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
        || !(a.is_finite() && b.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(data_type: DataType, values: &Values) -> Statistics {
        let times: Vec<i64> = (0..).step_by(10).take(values.len()).collect();
        let statistics = Statistics::of_page(data_type, &times, values);
        let mut out = Vec::new();
        statistics.write(&mut out);
        let length = out.len() as u64;
        let mut window = Window::new(&out[..], 0, length);
        assert!(Statistics::read(&mut window, Some(data_type)).expect("legal").agrees(&statistics));
        assert_eq!(window.left(), 0);
        window.seek(0, length);
        Statistics::skip(&mut window, Some(data_type)).expect("legal");
        assert_eq!(window.left(), 0);
        statistics
    }

    #[test]
    fn statistics_of_every_type_come_back() {
        let integers = round_trip(DataType::Int32, &Values::Integers(vec![10, -20, 30]));
        let expected = Numbers { min: -20, max: 30, first: 10, last: 30, sum: 20 };
        assert_eq!((integers.count, integers.start, integers.end), (3, 0, 20));
        assert_eq!(integers.body, Body::Integer(expected));
        round_trip(DataType::Boolean, &Values::Booleans(vec![true, false]));
        round_trip(DataType::Timestamp, &Values::Longs(vec![i64::MAX, i64::MIN]));
        let mut texts = super::super::encoding::Binaries::new();
        for text in [&b"b"[..], b"c", b"", b"aa"] {
            texts.push(text);
        }
        for data_type in [DataType::Text, DataType::String, DataType::Blob] {
            round_trip(data_type, &Values::Binaries(texts.clone()));
        }
        for data_type in DataType::ALL {
            round_trip(data_type, &Values::of(data_type));
        }
    }

    #[test]
    fn a_first_nan_stays_and_later_ones_are_passed_over() {
        let nan = f64::NAN;
        let Body::Double(first) =
            round_trip(DataType::Double, &Values::Doubles(vec![nan, 1.0])).body
        else {
            panic!("double")
        };
        assert!(first.min.is_nan() && first.max.is_nan());
        let Body::Double(later) =
            round_trip(DataType::Double, &Values::Doubles(vec![2.0, nan, 1.0])).body
        else {
            panic!("double")
        };
        assert_eq!((later.min, later.max), (1.0, 2.0));
    }

    #[test]
    fn later_statistics_are_taken_in() {
        let page = |times: &[i64], values: Vec<i32>| {
            Statistics::of_page(DataType::Int32, times, &Values::Integers(values))
        };
        let mut all = Statistics::empty(Some(DataType::Int32));
        all.merge(&page(&[1, 2], vec![5, 6]));
        all.merge(&Statistics::empty(Some(DataType::Int32)));
        all.merge(&page(&[3, 4], vec![1, 2]));
        assert_eq!(
            all,
            Statistics {
                count: 4,
                start: 1,
                end: 4,
                body: Body::Integer(Numbers { min: 1, max: 6, first: 5, last: 2, sum: 14 }),
            }
        );
    }
}

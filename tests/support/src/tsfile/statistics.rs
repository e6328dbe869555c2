//! What the metadata says about the values of a chunk or series.

use super::primitive::Bytes;

/// Count, times, and a body by type.
#[derive(Debug, Clone)]
pub(super) struct Statistics {
    count: u64,
    start: i64,
    end: i64,
    body: Body,
}

/// The part that depends on the type.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Times and blobs.
    None,
    Boolean {
        first: bool,
        last: bool,
        trues: i64,
    },
    Int32 {
        range: Range<i32>,
        sum: i64,
    },
    Int64 {
        range: Range<i64>,
        sum: f64,
    },
    Float {
        range: Range<f32>,
        sum: f64,
    },
    Double {
        range: Range<f64>,
        sum: f64,
    },
    Text {
        first: Vec<u8>,
        last: Vec<u8>,
    },
    String(Range<Vec<u8>>),
}

/// Extremes and ends.
#[derive(Debug, Clone)]
pub(super) struct Range<T> {
    min: T,
    max: T,
    first: T,
    last: T,
}

impl<T: PartialOrd + Clone> Range<T> {
    /// Of values in the order of their times; of the default if there is none.
    pub(super) fn of(values: impl IntoIterator<Item = T>, default: T) -> Self {
        let mut values = values.into_iter();
        let first = values.next().unwrap_or(default);
        let one =
            Self { min: first.clone(), max: first.clone(), first: first.clone(), last: first };
        values.fold(one, |mut range, value| {
            range.merge(Self {
                min: value.clone(),
                max: value.clone(),
                first: value.clone(),
                last: value,
            });
            range
        })
    }

    fn merge(&mut self, later: Self) {
        if later.min < self.min {
            self.min = later.min;
        }
        if later.max > self.max {
            self.max = later.max;
        }
        self.last = later.last;
    }

    /// Minimum, maximum, first, last.
    fn four(&self) -> [&T; 4] {
        [&self.min, &self.max, &self.first, &self.last]
    }
}

impl Statistics {
    /// Of `count` values between two times, both included.
    pub(super) fn new(count: usize, start: i64, end: i64, body: Body) -> Self {
        Self { count: u64::try_from(count).unwrap_or(0), start, end, body }
    }

    /// Of a time column.
    pub(super) fn of_times(rows: usize, start: i64, end: i64) -> Self {
        Self::new(rows, start, end, Body::None)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a later chunk of the same series.
    pub(super) fn merge(&mut self, later: &Self) {
        self.count += later.count;
        self.end = later.end;
        self.body.merge(later.body.clone());
    }

    /// Appends the bytes.
    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.put_uvar(usize::try_from(self.count).unwrap_or(0));
        bytes.put_i64(self.start);
        bytes.put_i64(self.end);
        self.body.put(bytes);
    }
}

impl Body {
    fn merge(&mut self, later: Self) {
        match (self, later) {
            (Self::Boolean { last, trues, .. }, Self::Boolean { last: later, trues: more, .. }) => {
                *last = later;
                *trues += more;
            }
            (Self::Int32 { range, sum }, Self::Int32 { range: later, sum: more }) => {
                range.merge(later);
                *sum += more;
            }
            (Self::Int64 { range, sum }, Self::Int64 { range: later, sum: more }) => {
                range.merge(later);
                *sum += more;
            }
            (Self::Float { range, sum }, Self::Float { range: later, sum: more }) => {
                range.merge(later);
                *sum += more;
            }
            (Self::Double { range, sum }, Self::Double { range: later, sum: more }) => {
                range.merge(later);
                *sum += more;
            }
            (Self::Text { last, .. }, Self::Text { last: later, .. }) => *last = later,
            (Self::String(range), Self::String(later)) => range.merge(later),
            (_, _) => {}
        }
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Boolean { first, last, trues } => {
                bytes.extend([u8::from(*first), u8::from(*last)]);
                bytes.put_i64(*trues);
            }
            Self::Int32 { range, sum } => {
                range.four().into_iter().for_each(|value| bytes.put_i32(*value));
                bytes.put_i64(*sum);
            }
            Self::Int64 { range, sum } => {
                range.four().into_iter().for_each(|value| bytes.put_i64(*value));
                bytes.put_f64(*sum);
            }
            Self::Float { range, sum } => {
                range.four().into_iter().for_each(|value| bytes.extend(value.to_be_bytes()));
                bytes.put_f64(*sum);
            }
            Self::Double { range, sum } => {
                range.four().into_iter().for_each(|value| bytes.put_f64(*value));
                bytes.put_f64(*sum);
            }
            Self::Text { first, last } => {
                bytes.put_long_binary(first);
                bytes.put_long_binary(last);
            }
            Self::String(range) => {
                for value in [&range.first, &range.last, &range.min, &range.max] {
                    bytes.put_long_binary(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_of_the_annotated_sample() {
        let range = Range::of([10, -20, 30], 0);
        let mut bytes = Vec::new();
        Statistics::new(3, 1000, 3000, Body::Int32 { range, sum: 20 }).put(&mut bytes);
        let expected: [&[u8]; 7] = [
            &[3],
            &[0, 0, 0, 0, 0, 0, 0x03, 0xe8],
            &[0, 0, 0, 0, 0, 0, 0x0b, 0xb8],
            &[0xff, 0xff, 0xff, 0xec],
            &[0, 0, 0, 0x1e],
            &[0, 0, 0, 0x0a, 0, 0, 0, 0x1e],
            &[0, 0, 0, 0, 0, 0, 0, 0x14],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn chunks_of_a_series_add_up() {
        let of = |values: [i32; 2], start| {
            let sum = values.iter().copied().map(i64::from).sum();
            Statistics::new(2, start, start + 1, Body::Int32 { range: Range::of(values, 0), sum })
        };
        let mut series = of([5, 1], 10);
        series.merge(&of([9, 3], 20));
        assert_eq!((series.count, series.start, series.end), (4, 10, 21));
        let Body::Int32 { range, sum } = series.body else { panic!() };
        assert_eq!((range.four(), sum), ([&1, &9, &5, &3], 18));
    }
}

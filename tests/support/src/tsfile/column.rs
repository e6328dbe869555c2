//! Seeded values of one series, of every common type.

use super::primitive::Bytes;
use super::statistics::{Body, Range, Statistics};
use crate::chance::Chance;

/// The type of a time column.
pub(super) const VECTOR: u8 = 6;

/// The type of blobs.
pub(super) const BLOB: u8 = 10;

/// The values of one chunk of one series.
pub(super) struct Column {
    name: &'static str,
    kind: u8,
    /// One for each row.
    present: Vec<bool>,
    /// One for each row that is present.
    values: Values,
}

enum Values {
    Boolean(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<Vec<u8>>),
}

/// Makes so many values; blobs of so many bytes.
type Make = fn(usize, usize, &mut Chance) -> Values;

/// Name, type and maker of each column, in the order of the names.
const COLUMNS: [(&str, u8, Make); 10] = [
    ("blob", BLOB, |count, bytes, chance| Values::Bytes(each(count, || blob(bytes, chance)))),
    ("boolean", 0, |count, _, chance| {
        Values::Boolean(each(count, || chance.number().is_multiple_of(2)))
    }),
    ("date", 9, |count, _, chance| {
        Values::Int32(each(count, || 20_240_101 + i32::from(chance.small().to_be_bytes()[3] % 28)))
    }),
    ("double", 4, |count, _, chance| {
        Values::Double(each(count, || f64::from(chance.small()) / 64.0 - 1e6))
    }),
    ("float", 3, |count, _, chance| {
        Values::Float(each(count, || f32::from(chance.small().to_be_bytes()[3]) / 4.0))
    }),
    ("int32", 1, |count, _, chance| Values::Int32(each(count, || chance.small().cast_signed()))),
    ("int64", 2, |count, _, chance| {
        Values::Int64(each(count, || i64::from(chance.small()) - (1 << 31)))
    }),
    ("string", 11, |count, _, chance| Values::Bytes(each(count, || text("pump", chance)))),
    ("text", 5, |count, _, chance| Values::Bytes(each(count, || text("valve", chance)))),
    ("ticks", 8, |count, _, chance| {
        Values::Int64(each(count, || 1_704_067_200_000 + i64::from(chance.small())))
    }),
];

impl Column {
    /// A column of each type, in the order of their names. With `nulls`, about one value in four is
    /// missing, but never the first and never a blob.
    pub(super) fn of_every_type(
        rows: usize,
        blob_bytes: usize,
        nulls: bool,
        chance: &mut Chance,
    ) -> Vec<Self> {
        COLUMNS
            .into_iter()
            .map(|(name, kind, make)| {
                let nulls = nulls && name != "blob";
                let has_value = |row| !nulls || row == 0 || chance.below(4) != 0;
                let present: Vec<bool> = (0..rows).map(has_value).collect();
                let count = present.iter().filter(|present| **present).count();
                Self { name, kind, present, values: make(count, blob_bytes, chance) }
            })
            .collect()
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn kind(&self) -> u8 {
        self.kind
    }

    /// Which rows have a value, as a value page of an aligned device begins.
    pub(super) fn put_presence(&self, page: &mut Vec<u8>) {
        page.put_i32(i32::try_from(self.present.len()).unwrap_or(i32::MAX));
        for eight in self.present.chunks(8) {
            let bits = eight.iter().zip([0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1]);
            page.push(bits.map(|(present, bit)| if *present { bit } else { 0 }).sum());
        }
    }

    /// The values, PLAIN.
    pub(super) fn put_values(&self, page: &mut Vec<u8>) {
        match &self.values {
            Values::Boolean(values) => page.extend(values.iter().map(|value| u8::from(*value))),
            Values::Int32(values) => values.iter().for_each(|value| page.put_svar(*value)),
            Values::Int64(values) => values.iter().for_each(|value| page.put_i64(*value)),
            Values::Float(values) => {
                page.extend(values.iter().flat_map(|value| value.to_be_bytes()));
            }
            Values::Double(values) => values.iter().for_each(|value| page.put_f64(*value)),
            Values::Bytes(values) => values.iter().for_each(|value| page.put_binary(value)),
        }
    }

    /// What the metadata says about them; `time` is that of a row.
    pub(super) fn statistics(&self, time: impl Fn(usize) -> i64) -> Statistics {
        let first = self.present.iter().position(|present| *present).unwrap_or(0);
        let last = self.present.iter().rposition(|present| *present).unwrap_or(0);
        let count = self.present.iter().filter(|present| **present).count();
        Statistics::new(count, time(first), time(last), self.values.statistics(self.kind))
    }
}

impl Values {
    fn statistics(&self, kind: u8) -> Body {
        const TEXT: u8 = 5;
        const STRING: u8 = 11;
        match self {
            Self::Boolean(values) => Body::Boolean {
                first: values.first().copied().unwrap_or_default(),
                last: values.last().copied().unwrap_or_default(),
                trues: values.iter().map(|value| i64::from(*value)).sum(),
            },
            Self::Int32(values) => Body::Int32 {
                range: Range::of(values.iter().copied(), 0),
                sum: values.iter().copied().map(i64::from).sum(),
            },
            Self::Int64(values) => Body::Int64 {
                range: Range::of(values.iter().copied(), 0),
                sum: values.iter().copied().map(as_double).sum(),
            },
            Self::Float(values) => Body::Float {
                range: Range::of(values.iter().copied(), 0.0),
                sum: values.iter().copied().map(f64::from).sum(),
            },
            Self::Double(values) => Body::Double {
                range: Range::of(values.iter().copied(), 0.0),
                sum: values.iter().sum(),
            },
            Self::Bytes(values) if kind == TEXT => Body::Text {
                first: values.first().cloned().unwrap_or_default(),
                last: values.last().cloned().unwrap_or_default(),
            },
            Self::Bytes(values) if kind == STRING => {
                Body::String(Range::of(values.iter().cloned(), Vec::new()))
            }
            Self::Bytes(_) => Body::None,
        }
    }
}

fn each<T>(count: usize, make: impl FnMut() -> T) -> Vec<T> {
    std::iter::repeat_with(make).take(count).collect()
}

fn text(name: &str, chance: &mut Chance) -> Vec<u8> {
    format!("{name} {}", chance.below(1000)).into_bytes()
}

fn blob(bytes: usize, chance: &mut Chance) -> Vec<u8> {
    let mut blob = vec![0; bytes];
    chance.fill(&mut blob);
    blob
}

#[expect(clippy::cast_precision_loss, reason = "the format sums integers of 64 bits as doubles")]
fn as_double(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_the_order_of_their_names() {
        assert!(COLUMNS.is_sorted_by_key(|(name, ..)| *name));
    }

    #[test]
    fn presence_is_a_row_count_and_bits_from_the_left() {
        let present = [true, false, true, false, false, false, false, true, true].to_vec();
        let column =
            Column { name: "x", kind: 1, present, values: Values::Int32(vec![1, 2, 3, 4]) };
        let mut page = Vec::new();
        column.put_presence(&mut page);
        assert_eq!(page, [0, 0, 0, 9, 0b1010_0001, 0x80]);
    }
}

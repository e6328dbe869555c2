//! A column of values of one type, decoded.

use crate::data::DataType;
use crate::limits::TSFILE_KEPT_BYTES;

/// Values without nulls, in the order of their times.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// `BOOLEAN`.
    Booleans(Vec<bool>),
    /// `INT32`, `DATE`.
    Integers(Vec<i32>),
    /// `INT64`, `TIMESTAMP`.
    Longs(Vec<i64>),
    /// `FLOAT`.
    Floats(Vec<f32>),
    /// `DOUBLE`.
    Doubles(Vec<f64>),
    /// `TEXT`, `STRING`, `BLOB`.
    Binaries(Binaries),
}

/// Runs the same code on the vector of whichever type it is.
macro_rules! each {
    ($values:expr, $list:ident => $code:expr) => {
        match $values {
            Values::Booleans($list) => $code,
            Values::Integers($list) => $code,
            Values::Longs($list) => $code,
            Values::Floats($list) => $code,
            Values::Doubles($list) => $code,
            Values::Binaries($list) => $code,
        }
    };
}

impl Values {
    /// An empty column for values of this type.
    pub const fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Booleans(Vec::new()),
            DataType::Int32 | DataType::Date => Self::Integers(Vec::new()),
            DataType::Int64 | DataType::Timestamp => Self::Longs(Vec::new()),
            DataType::Float => Self::Floats(Vec::new()),
            DataType::Double => Self::Doubles(Vec::new()),
            DataType::Text | DataType::Blob | DataType::String | DataType::Object => {
                Self::Binaries(Binaries::new())
            }
        }
    }

    /// Whether it is a column for values of this type.
    pub const fn is_for(&self, data_type: DataType) -> bool {
        matches!(
            (self, data_type),
            (Self::Booleans(_), DataType::Boolean)
                | (Self::Integers(_), DataType::Int32 | DataType::Date)
                | (Self::Longs(_), DataType::Int64 | DataType::Timestamp)
                | (Self::Floats(_), DataType::Float)
                | (Self::Doubles(_), DataType::Double)
                | (Self::Binaries(_), DataType::Text | DataType::Blob | DataType::String)
        )
    }

    /// How many.
    pub const fn len(&self) -> usize {
        each!(self, list => list.len())
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops all and keeps the memory.
    pub fn clear(&mut self) {
        each!(self, list => list.clear());
    }

    /// Makes it a column for this type without values; keeps the memory if the type stays.
    pub fn reset(&mut self, data_type: DataType) {
        let fresh = Self::of(data_type);
        if std::mem::discriminant(self) == std::mem::discriminant(&fresh) {
            self.clear();
        } else {
            *self = fresh;
        }
    }

    /// Keeps the values whose place is in one of the ascending, disjoint `ranges`.
    pub fn keep(&mut self, ranges: &[std::ops::Range<usize>]) {
        each!(self, list => {
            let mut kept = 0;
            for range in ranges {
                let length = range.len();
                list.copy_within(range.clone(), kept);
                kept += length;
            }
            list.truncate(kept);
        });
    }

    /// Appends values `range` of another column of the same type; of another type none.
    pub fn append(&mut self, from: &Self, range: std::ops::Range<usize>) {
        match (self, from) {
            (Self::Booleans(to), Self::Booleans(from)) => extend(to, from, range),
            (Self::Integers(to), Self::Integers(from)) => extend(to, from, range),
            (Self::Longs(to), Self::Longs(from)) => extend(to, from, range),
            (Self::Floats(to), Self::Floats(from)) => extend(to, from, range),
            (Self::Doubles(to), Self::Doubles(from)) => extend(to, from, range),
            (Self::Binaries(to), Self::Binaries(from)) => {
                to.append(from, range);
            }
            _ => {}
        }
    }
}

fn extend<T: Copy>(to: &mut Vec<T>, from: &[T], range: std::ops::Range<usize>) {
    to.extend_from_slice(from.get(range).unwrap_or_default());
}

/// Texts or blobs. Equal ones may share their bytes, so that a dictionary cannot blow a page up.
#[derive(Debug, Clone, Default)]
pub struct Binaries {
    bytes: Vec<u8>,
    /// Where each value lies: start and end.
    places: Vec<(u32, u32)>,
}

impl Binaries {
    /// None.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), places: Vec::new() }
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Drops all and keeps the memory, unless it is much.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(TSFILE_KEPT_BYTES);
        self.places.clear();
    }

    /// One value.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.places.get(index).map(|place| self.at(*place))
    }

    /// All values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator + Clone {
        self.places.iter().map(|place| self.at(*place))
    }

    /// Appends a copy of a value. What would lie above 4 GiB becomes empty; pages are far smaller.
    pub fn push(&mut self, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.push_place(start, start + value.len());
    }

    /// Appends copies of some values of another list; as one piece if they lie one behind the other, as pushed ones do.
    fn append(&mut self, from: &Self, range: std::ops::Range<usize>) {
        let places = from.places.get(range).unwrap_or_default();
        let (Some((start, _)), Some((_, end))) = (places.first(), places.last()) else { return };
        let base = self.bytes.len();
        let is_one = places.is_sorted_by(|before, place| before.1 == place.0)
            && u32::try_from(base + (end.saturating_sub(*start) as usize)).is_ok();
        if !is_one {
            return places.iter().for_each(|place| self.push(from.at(*place)));
        }
        self.bytes.extend_from_slice(from.at((*start, *end)));
        let base = u32::try_from(base).unwrap_or_default();
        let moved = |place: &u32| base.wrapping_add(place.wrapping_sub(*start));
        self.places.extend(places.iter().map(|(start, end)| (moved(start), moved(end))));
    }

    /// Lengths of the values from one on.
    pub(in crate::tsfile) fn lengths(&self, from: usize) -> impl Iterator<Item = usize> {
        let places = self.places.get(from..).unwrap_or_default();
        places.iter().map(|(start, end)| end.saturating_sub(*start) as usize)
    }

    /// Bytes that the values take, each shared one counted once.
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Takes bytes in that values will lie in; says where they begin.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start
    }

    /// Appends a value that lies in what is held.
    pub(super) fn push_place(&mut self, start: usize, end: usize) {
        let place = u32::try_from(start).and_then(|start| Ok((start, u32::try_from(end)?)));
        self.places.push(place.unwrap_or_default());
    }

    fn at(&self, (start, end): (u32, u32)) -> &[u8] {
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    fn copy_within(&mut self, range: std::ops::Range<usize>, to: usize) {
        self.places.copy_within(range, to);
    }

    fn truncate(&mut self, length: usize) {
        self.places.truncate(length);
    }
}

impl PartialEq for Binaries {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_kept_and_appended() {
        let mut values = Values::Integers(vec![1, 2, 3, 4, 5]);
        values.keep(&[0..1, 3..5]);
        assert_eq!(values, Values::Integers(vec![1, 4, 5]));
        let mut texts = Values::of(DataType::Text);
        if let Values::Binaries(list) = &mut texts {
            for text in [&b"a"[..], b"", b"ccc"] {
                list.push(text);
            }
        }
        texts.keep(&[1..3, 3..3]);
        let mut more = Values::of(DataType::Blob);
        more.append(&texts, 1..2);
        more.append(&texts, 0..1);
        let Values::Binaries(list) = &more else { panic!("texts") };
        assert_eq!(list.iter().collect::<Vec<_>>(), [&b"ccc"[..], b""]);
        assert_eq!(list.get(2), None);
        let mut all = Binaries::new();
        all.push(b"0");
        all.append(
            &[&b"a"[..], b"", b"bc", b"d"].into_iter().fold(Binaries::new(), |mut list, text| {
                list.push(text);
                list
            }),
            1..4,
        );
        all.append(list, 0..2);
        assert_eq!(all.iter().collect::<Vec<_>>(), [&b"0"[..], b"", b"bc", b"d", b"ccc", b""]);
        assert_eq!(all.lengths(2).collect::<Vec<_>>(), [2, 1, 3, 0]);
        more.reset(DataType::Double);
        assert_eq!(more, Values::Doubles(Vec::new()));
    }
}

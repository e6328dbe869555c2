//! Values of one length, without the bytes that all of them have in common.
//!
//! ```text
//!  the first value | of each value the bytes that differ             if some are the same in all, else as they are
//! ```
//!
//! Neighbouring numbers of a series, and times above all, differ in half of their bytes or less: so much less is put
//! away. Each value has its place, as where nothing is left out.

/// Bytes of a value at most.
const BYTES_MAX: usize = 8;

/// What a value is made whole with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Packed {
    first: [u8; BYTES_MAX],
    /// As [`same_bytes`] gives them.
    same: u8,
}

impl Packed {
    /// Of values of which these bytes are the same as in the first.
    pub(super) fn new(same: u8, first: &[u8]) -> Self {
        let mut packed = Self { first: [0; BYTES_MAX], same };
        packed.first.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
        packed
    }

    /// Bytes of a value that are there, of so many.
    pub(super) const fn stored_bytes(&self, bytes: usize) -> usize {
        bytes.saturating_sub(self.same.count_ones() as usize)
    }

    /// The value of which these bytes are there.
    pub(super) fn whole(&self, stored: &[u8]) -> [u8; BYTES_MAX] {
        let mut whole = self.first;
        let differing = (0_u8..).zip(&mut whole).filter(|(at, _)| self.same >> at & 1 == 0);
        differing.zip(stored).for_each(|((_, to), from)| *to = *from);
        whole
    }
}

/// Which bytes are the same in all values, which have at most eight: the first byte as bit 0.
pub(super) fn same_bytes(mut values: impl Iterator<Item: AsRef<[u8]>>) -> u8 {
    let Some(first) = values.next() else { return 0 };
    let first = first.as_ref();
    let all =
        u8::MAX.unbounded_shr(u32::try_from(BYTES_MAX - first.len().min(BYTES_MAX)).unwrap_or(0));
    values.fold(all, |same, value| {
        let pairs = (0_u8..).zip(first.iter().zip(value.as_ref())).take(BYTES_MAX);
        pairs.fold(same, |same, (at, (a, b))| if a == b { same } else { same & !(1 << at) })
    })
}

/// What is put away of a value if these bytes are the same in all.
pub(super) fn differing(same: u8, value: &[u8]) -> heapless::Vec<u8, BYTES_MAX> {
    let bytes = (0_u8..).zip(value).take(BYTES_MAX);
    bytes.filter(|(at, _)| same >> at & 1 == 0).map(|(_, byte)| *byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_back(
            values in (1..=8_usize).prop_flat_map(|bytes| {
                proptest::collection::vec(proptest::collection::vec(0..2_u8, bytes), 1..9)
            }),
        ) {
            let bytes = values[0].len();
            let same = same_bytes(values.iter());
            let packed = Packed::new(same, &values[0]);
            for value in &values {
                let stored = differing(same, value);
                prop_assert_eq!(stored.len(), packed.stored_bytes(bytes));
                prop_assert_eq!(&packed.whole(&stored)[..bytes], &value[..]);
            }
            let is_one = values.iter().all(|value| *value == values[0]);
            prop_assert_eq!(packed.stored_bytes(bytes) == 0, is_one);
        }
    }

    #[test]
    fn what_is_the_same_is_left_out() {
        let times = (0..100).map(|n| (1_700_000_000_000_i64 + 1000 * n).to_be_bytes());
        let same = same_bytes(times.clone());
        let stored: usize = times.map(|time| differing(same, &time).len()).sum();
        assert_eq!((same, stored), (0b0001_1111, 3 * 100));
        assert_eq!(same_bytes([[7]; 2].into_iter()), 1);
        assert_eq!(same_bytes([[7, 1], [7, 2]].into_iter()), 1);
        assert_eq!(differing(0, &[1, 2]), [1, 2]);
    }
}

//! Which times something covers.

/// The smallest and the largest time of some data, both included, in the cluster's precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// Smallest time.
    pub min: i64,
    /// Largest time; smaller than `min` only in [`TimeRange::EMPTY`].
    pub max: i64,
}

impl TimeRange {
    /// The range without any time: where a running union starts.
    pub const EMPTY: Self = Self { min: i64::MAX, max: i64::MIN };
    /// The range of all times: what holds for data whose times are not known.
    pub const ALL: Self = Self { min: i64::MIN, max: i64::MAX };

    /// The range of a single time.
    pub const fn at(time: i64) -> Self {
        Self { min: time, max: time }
    }

    /// Whether it covers no time at all.
    pub const fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// Widens the range so that it covers `time`.
    pub fn include(&mut self, time: i64) {
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    /// The smallest range that covers both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// Whether a time lies in both.
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty() && !other.is_empty() && self.min <= other.max && other.min <= self.max
    }

    /// Whether `time` lies in it.
    pub const fn contains(self, time: i64) -> bool {
        self.min <= time && time <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_union_starts_empty() {
        let mut range = TimeRange::EMPTY;
        assert!(range.is_empty());
        range.include(7);
        assert_eq!(range, TimeRange::at(7));
        range.include(-3);
        assert_eq!(range, TimeRange { min: -3, max: 7 });
        assert_eq!(range.union(TimeRange::EMPTY), range);
        assert_eq!(range.union(TimeRange::at(9)), TimeRange { min: -3, max: 9 });
    }

    #[test]
    fn both_ends_belong_to_the_range() {
        let range = TimeRange { min: 1, max: 3 };
        assert!(range.contains(1) && range.contains(3) && !range.contains(0) && !range.contains(4));
        assert!(range.overlaps(TimeRange::at(3)) && !range.overlaps(TimeRange::at(4)));
        assert!(!range.overlaps(TimeRange::EMPTY) && range.overlaps(TimeRange::ALL));
        assert!(!TimeRange::EMPTY.overlaps(TimeRange::EMPTY));
    }
}

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
    }

    #[test]
    fn both_ends_belong_to_the_range() {
        let range = TimeRange { min: 1, max: 3 };
        assert!(range.contains(1) && range.contains(3) && !range.contains(0) && !range.contains(4));
    }
}

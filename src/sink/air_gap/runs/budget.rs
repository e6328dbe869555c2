//! In which unit a pipe sends that may send either.

use std::time::Duration;

use crate::ops::board::Unit;

/// How much may wait before a hybrid pipe sends files; tablets again at a quarter of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of entries.
    pub bytes: u64,
    /// Age of the oldest entry that waits, since this program saw it.
    pub age: Duration,
}

impl Budget {
    /// The unit while so much waits, if it was `before` until now.
    pub fn unit(self, before: Unit, (bytes, age): (u64, Duration)) -> Unit {
        if bytes > self.bytes || age > self.age {
            return Unit::Files;
        }
        if bytes <= self.bytes / 4 && age <= self.age / 4 {
            return Unit::Tablets;
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_goes_over_above_its_budget_and_back_at_a_quarter() {
        let second = Duration::from_secs(1);
        let budget = Budget { bytes: 400, age: 40 * second };
        let unit = |before, bytes, seconds| budget.unit(before, (bytes, seconds * second));
        for before in [Unit::Tablets, Unit::Files] {
            assert_eq!(unit(before, 401, 0), Unit::Files);
            assert_eq!(unit(before, 0, 41), Unit::Files);
            assert_eq!(unit(before, 100, 10), Unit::Tablets);
            assert_eq!(unit(before, 101, 0), before);
            assert_eq!(unit(before, 400, 40), before);
            assert_eq!(unit(before, 0, 11), before);
        }
    }
}

//! The one source of chance of a schedule.

use penstock::wire::sample::Rng;

/// Numbers of a seed: the same schedule on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(Rng);

impl Random {
    /// A generator for this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    /// The next 64 bits.
    pub(crate) const fn bits(&mut self) -> u64 {
        self.0.number()
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.0.number_below(end)
    }

    /// A number from `from` to `to`, both included.
    pub(crate) const fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True once in `times`.
    pub(crate) const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

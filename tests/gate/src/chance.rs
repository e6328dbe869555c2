//! Faults from a seed: the same seed gives the same faults at the same frames, for ever.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::fault::Fault;

/// Random faults, on average one in so many frames.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
    frames_between: NonZeroU64,
    time_scale: f64,
    next_frame: u64,
}

impl Chance {
    /// Faults from this seed, on average one in `frames_between`; their times multiplied by `time_scale`.
    pub fn new(seed: u64, frames_between: NonZeroU64, time_scale: f64) -> Self {
        let mut chance = Self { state: seed, frames_between, time_scale, next_frame: 0 };
        chance.next_frame = chance.gap();
        chance
    }

    /// The fault that happens when this frame has come in, if one does.
    pub(crate) fn handle_frame(&mut self, frame: u64) -> Option<Fault> {
        if frame != self.next_frame {
            return None;
        }
        self.next_frame = frame + self.gap();
        Some(self.fault().scaled(self.time_scale))
    }

    fn gap(&mut self) -> u64 {
        1 + self.below(2 * self.frames_between.get())
    }

    /// Answer faults are the most frequent, for they are what the pair has to survive most.
    fn fault(&mut self) -> Fault {
        match self.below(20) {
            0..=4 => Fault::DropAnswer,
            5..=7 => Fault::LateAnswer(self.time(100, 10_000)),
            8 | 9 => Fault::DoubleAnswer,
            10 => Fault::WrongAnswer(0xff),
            11 => Fault::WrongAnswer(0x41),
            12 => Fault::UnaskedAnswer(0xff),
            13 | 14 => Fault::Reset,
            15 => Fault::Close,
            16 => Fault::Forget,
            17 => Fault::Stall(self.time(1_000, 180_000)),
            18 => Fault::HalfOpen(1),
            _ => Fault::FlipBit,
        }
    }

    fn time(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(least_ms + self.below(most_ms - least_ms))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A counter, mixed (known as `SplitMix64`).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64, frames: u64) -> Vec<(u64, Fault)> {
        let mut chance = Chance::new(seed, NonZeroU64::new(10).unwrap(), 1.0);
        (1..=frames).filter_map(|frame| Some((frame, chance.handle_frame(frame)?))).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        assert_eq!(faults(7, 1000), faults(7, 1000));
        assert_ne!(faults(7, 1000), faults(8, 1000));
    }

    #[test]
    fn faults_come_about_as_often_as_asked() {
        let count = faults(1, 10_000).len();
        assert!((800..1200).contains(&count), "{count}");
    }

    #[test]
    fn every_kind_comes_up() {
        let mut names: Vec<_> = faults(3, 50_000).iter().map(|(_, fault)| fault.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 11);
    }
}

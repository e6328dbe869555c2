//! What makes a point stay, one series at a time, in constant memory.
//!
//! | processor | a point stays (`IoTDB` class) |
//! |---|---|
//! | tumbling time | at least an interval away from the last one that stayed (`TumblingTimeSamplingProcessor`) |
//! | changing value | its value differs by more than the deviation from that (`ChangingValueFilter`) |
//! | swinging door | no line from that passes within the deviation of all points since (`SwingingDoorTrendingFilter`) |
//!
//! The last two leave out what is closer in time than the least interval, and never what is as far as the largest one.
//! A point for the very time of the last one that stayed is a correction, and stays.
//!
//! ```text
//!  swinging door          /  upper door: the steepest line that passes below no point less the deviation
//!      S ----------- . - . - .
//!                         \  lower door: the flattest that passes above none plus the deviation;
//!                            once the upper is above the lower the point stays, and is the next S
//! ```
//!
//! As with stock, what stays is the point that opened the door, so that none is ever held back.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use crate::data::Precision;
use crate::statement::{DeadBand, Processor};
use crate::wire::values::Value;

/// What is known of a series: its last point that stayed, and the doors.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct State {
    last: Option<(i64, Kept)>,
    upper: f64,
    lower: f64,
}

/// A value that stayed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    /// Of any type of whole numbers.
    Whole(i64),
    /// Of any type of fractions.
    Fraction(f64),
    /// A hash of the others, which are only equal or not.
    Hash(u64),
}

/// What a pipe's processor says, with times in units of the data.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule<'a> {
    Tumbling { interval: u64 },
    Door(&'a DeadBand),
    Band(&'a DeadBand),
    All,
}

impl<'a> Rule<'a> {
    pub(super) fn new(processor: &'a Processor, precision: Precision) -> Self {
        match processor {
            Processor::DoNothing => Self::All,
            Processor::TumblingTime { interval, .. } => {
                let nanos = match precision {
                    Precision::Ms => 1_000_000,
                    Precision::Us => 1_000,
                    Precision::Ns => 1,
                };
                let interval = interval.as_nanos() / nanos;
                Self::Tumbling { interval: u64::try_from(interval).unwrap_or(u64::MAX) }
            }
            Processor::SwingingDoor(band) => Self::Door(band),
            Processor::ChangingValue(band) => Self::Band(band),
        }
    }

    /// Whether a point stays; if so, it is what the next ones are held against.
    pub(super) fn stays(&self, state: &mut State, time: i64, value: Value<'_>) -> bool {
        let Some((last_time, last)) = state.last else {
            state.begin(time, value);
            return true;
        };
        let away = time.abs_diff(last_time);
        let stays = away == 0
            || match self {
                Self::All => true,
                Self::Tumbling { interval } => away >= *interval,
                Self::Door(band) | Self::Band(band) if is_within(band, away) => {
                    match (self, last.difference(Kept::of(value))) {
                        (Self::Door(_), Some(difference)) => {
                            state.opens(difference, span(last_time, time), band.deviation)
                        }
                        (_, Some(difference)) => difference.abs() > band.deviation,
                        (_, None) => last != Kept::of(value),
                    }
                }
                Self::Door(band) | Self::Band(band) => away >= unsigned(band.max_interval),
            };
        if stays {
            state.begin(time, value);
        }
        stays
    }
}

/// Whether values decide: the point is neither too close nor too far.
fn is_within(band: &DeadBand, away: u64) -> bool {
    (unsigned(band.min_interval)..unsigned(band.max_interval)).contains(&away)
}

fn unsigned(interval: i64) -> u64 {
    u64::try_from(interval).unwrap_or(0)
}

impl State {
    fn begin(&mut self, time: i64, value: Value<'_>) {
        let last = Some((time, Kept::of(value)));
        *self = Self { last, upper: f64::NEG_INFINITY, lower: f64::INFINITY };
    }

    /// Narrows the doors by a point that lies `difference` above the last one, `span` after it; true if no line passes
    /// any more. What lies infinitely far opens them.
    fn opens(&mut self, difference: f64, span: f64, deviation: f64) -> bool {
        let (one, other) = ((difference - deviation) / span, (difference + deviation) / span);
        // Before the last point in time, the smaller slope is that of the larger value.
        self.upper = self.upper.max(one.min(other));
        self.lower = self.lower.min(one.max(other));
        self.upper > self.lower || !difference.is_finite()
    }
}

impl Kept {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Int32(value) => Self::Whole(i64::from(value)),
            Value::Int64(value) => Self::Whole(value),
            Value::Float(value) => Self::Fraction(f64::from(value)),
            Value::Double(value) => Self::Fraction(value),
            Value::Boolean(value) => Self::Hash(u64::from(value)),
            Value::Bytes(bytes) => Self::Hash(hash_of(bytes)),
        }
    }

    /// How far `other` is above; none for what is only equal or not. Exact in whether it is zero.
    fn difference(self, other: Self) -> Option<f64> {
        match (self, other) {
            (Self::Whole(last), Self::Whole(value)) => {
                Some(float(i128::from(value) - i128::from(last)))
            }
            (Self::Fraction(last), Self::Fraction(value)) => {
                match (last.is_nan(), value.is_nan()) {
                    (true, true) => Some(0.0),
                    (false, false) if last.to_bits() == value.to_bits() => Some(0.0),
                    (false, false) => Some(value - last),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Time from one point to another, which is negative for one that comes late.
fn span(from: i64, to: i64) -> f64 {
    float(i128::from(to) - i128::from(from))
}

/// The nearest fraction; zero only of zero.
#[expect(clippy::cast_precision_loss, reason = "a slope needs no more")]
const fn float(whole: i128) -> f64 {
    whole as f64
}

fn hash_of(bytes: &[u8]) -> u64 {
    static STATE: OnceLock<RandomState> = OnceLock::new();
    STATE.get_or_init(RandomState::new).hash_one(bytes)
}

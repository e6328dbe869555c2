//! What a gate can do wrong, and its text form.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::quantity::{self, QuantityError};

/// Most unasked-for connections that one `strangers` fault opens.
pub const STRANGERS_MAX: u16 = 512;

/// One thing that goes wrong in the gate.
///
/// The text form is the name in kebab case and at most one argument: `late-answer 2s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next answer byte is lost.
    DropAnswer,
    /// The next answer byte is passed on this much later.
    LateAnswer(Duration),
    /// The next answer byte is passed on twice.
    DoubleAnswer,
    /// The next answer byte is replaced by this one.
    WrongAnswer(u8),
    /// A byte that nobody sent is handed to the inner side.
    UnaskedAnswer(u8),
    /// Nothing moves for this long, in either direction; nothing is lost.
    Stall(Duration),
    /// Everything is taken and thrown away, for this long or for good.
    BlackHole(Option<Duration>),
    /// The gate forgets the connection: both ends stay open, nothing moves, neither end is told.
    Forget,
    /// Both ends are reset; what was in the gate is lost.
    Reset,
    /// Both ends are closed in order; what was in the gate is lost.
    Close,
    /// The next so many connections are taken in front and never dialled behind.
    HalfOpen(u16),
    /// From here on an end of stream is not passed on.
    SwallowFin,
    /// From here on a reset is not passed on.
    SwallowRst,
    /// Bytes leave in segments of at most this size; 0 is as they come.
    Segment(usize),
    /// The wire's speed from here on; none is as fast as it goes.
    Bandwidth(Option<NonZeroU64>),
    /// The wire's round-trip time from here on.
    RoundTrip(Duration),
    /// The next byte towards the target has its lowest bit flipped.
    FlipBit,
    /// For this long new connections are reset at once.
    Refuse(Duration),
    /// This many connections to the target are opened that never say anything.
    Strangers(u16),
}

/// What a fault acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The connection that triggered it, or all when a clock or a caller did.
    Connection,
    /// The whole gate.
    Gate,
}

/// A fault that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("no fault is called {name:?}; known are {NAMES}")]
    Name {
        /// What was given.
        name: String,
    },
    /// The fault needs an argument.
    #[error("{name} needs {what}")]
    Missing {
        /// The fault.
        name: &'static str,
        /// What its argument is.
        what: &'static str,
    },
    /// The fault takes no argument, or only one.
    #[error("{name} does not take {extra:?}")]
    Extra {
        /// The fault.
        name: &'static str,
        /// What is too much.
        extra: String,
    },
    /// The argument is not what the fault needs.
    #[error("{name} needs {what}, not {given:?}")]
    Argument {
        /// The fault.
        name: &'static str,
        /// What its argument is.
        what: &'static str,
        /// What was given.
        given: String,
    },
    /// The argument is a quantity that cannot be read.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
}

const NAMES: &str = "drop-answer, late-answer, double-answer, wrong-answer, unasked-answer, stall, \
                     black-hole, forget, reset, close, half-open, swallow-fin, swallow-rst, segment, \
                     bandwidth, round-trip, flip-bit, refuse, strangers";

impl Fault {
    /// Reads a fault from its text form.
    ///
    /// # Errors
    /// When the name is unknown, or its argument is missing, superfluous or unreadable.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let argument = words.next();
        let (fault, takes) = match name {
            "drop-answer" => (Self::DropAnswer, 0),
            "double-answer" => (Self::DoubleAnswer, 0),
            "forget" => (Self::Forget, 0),
            "reset" => (Self::Reset, 0),
            "close" => (Self::Close, 0),
            "swallow-fin" => (Self::SwallowFin, 0),
            "swallow-rst" => (Self::SwallowRst, 0),
            "flip-bit" => (Self::FlipBit, 0),
            "late-answer" => (Self::LateAnswer(duration("late-answer", argument)?), 1),
            "stall" => (Self::Stall(duration("stall", argument)?), 1),
            "refuse" => (Self::Refuse(duration("refuse", argument)?), 1),
            "round-trip" => (Self::RoundTrip(duration("round-trip", argument)?), 1),
            "black-hole" => {
                (Self::BlackHole(argument.map(quantity::parse_duration).transpose()?), 1)
            }
            "wrong-answer" => (Self::WrongAnswer(byte("wrong-answer", argument)?), 1),
            "unasked-answer" => (Self::UnaskedAnswer(byte("unasked-answer", argument)?), 1),
            "half-open" => (Self::HalfOpen(count("half-open", argument.or(Some("1")))?), 1),
            "strangers" => (Self::Strangers(count("strangers", argument)?), 1),
            "segment" => (Self::Segment(count("segment", argument)?.into()), 1),
            "bandwidth" => (Self::Bandwidth(rate(argument)?), 1),
            _ => return Err(FaultError::Name { name: name.into() }),
        };
        let extra = if takes == 0 { argument } else { words.next() };
        match extra {
            Some(extra) => Err(FaultError::Extra { name: fault.name(), extra: extra.into() }),
            None => Ok(fault),
        }
    }

    /// The fault's name in scripts and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::DropAnswer => "drop-answer",
            Self::LateAnswer(_) => "late-answer",
            Self::DoubleAnswer => "double-answer",
            Self::WrongAnswer(_) => "wrong-answer",
            Self::UnaskedAnswer(_) => "unasked-answer",
            Self::Stall(_) => "stall",
            Self::BlackHole(_) => "black-hole",
            Self::Forget => "forget",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::HalfOpen(_) => "half-open",
            Self::SwallowFin => "swallow-fin",
            Self::SwallowRst => "swallow-rst",
            Self::Segment(_) => "segment",
            Self::Bandwidth(_) => "bandwidth",
            Self::RoundTrip(_) => "round-trip",
            Self::FlipBit => "flip-bit",
            Self::Refuse(_) => "refuse",
            Self::Strangers(_) => "strangers",
        }
    }

    /// What the fault acts on.
    pub fn scope(self) -> Scope {
        match self {
            Self::HalfOpen(_)
            | Self::Bandwidth(_)
            | Self::RoundTrip(_)
            | Self::Refuse(_)
            | Self::Strangers(_) => Scope::Gate,
            Self::DropAnswer
            | Self::LateAnswer(_)
            | Self::DoubleAnswer
            | Self::WrongAnswer(_)
            | Self::UnaskedAnswer(_)
            | Self::Stall(_)
            | Self::BlackHole(_)
            | Self::Forget
            | Self::Reset
            | Self::Close
            | Self::SwallowFin
            | Self::SwallowRst
            | Self::Segment(_)
            | Self::FlipBit => Scope::Connection,
        }
    }

    /// The same fault with its time multiplied: hours of trouble in seconds of test.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::LateAnswer(time) => Self::LateAnswer(scale(time, factor)),
            Self::Stall(time) => Self::Stall(scale(time, factor)),
            Self::BlackHole(Some(time)) => Self::BlackHole(Some(scale(time, factor))),
            Self::Refuse(time) => Self::Refuse(scale(time, factor)),
            Self::BlackHole(None)
            | Self::RoundTrip(_)
            | Self::DropAnswer
            | Self::DoubleAnswer
            | Self::WrongAnswer(_)
            | Self::UnaskedAnswer(_)
            | Self::Forget
            | Self::Reset
            | Self::Close
            | Self::HalfOpen(_)
            | Self::SwallowFin
            | Self::SwallowRst
            | Self::Segment(_)
            | Self::Bandwidth(_)
            | Self::FlipBit
            | Self::Strangers(_) => self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match *self {
            Self::LateAnswer(time)
            | Self::Stall(time)
            | Self::Refuse(time)
            | Self::RoundTrip(time)
            | Self::BlackHole(Some(time)) => write!(f, " {}", quantity::duration_text(time)),
            Self::WrongAnswer(byte) | Self::UnaskedAnswer(byte) => write!(f, " 0x{byte:02x}"),
            Self::HalfOpen(count) | Self::Strangers(count) => write!(f, " {count}"),
            Self::Segment(bytes) => write!(f, " {bytes}"),
            Self::Bandwidth(Some(bits)) => write!(f, " {bits}bit"),
            Self::Bandwidth(None) => f.write_str(" none"),
            Self::BlackHole(None)
            | Self::DropAnswer
            | Self::DoubleAnswer
            | Self::Forget
            | Self::Reset
            | Self::Close
            | Self::SwallowFin
            | Self::SwallowRst
            | Self::FlipBit => Ok(()),
        }
    }
}

/// Multiplies a duration; what does not fit any more is the longest one.
pub(crate) fn scale(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

fn duration(name: &'static str, argument: Option<&str>) -> Result<Duration, FaultError> {
    let text = argument.ok_or(FaultError::Missing { name, what: "a duration, as 2s" })?;
    Ok(quantity::parse_duration(text)?)
}

fn rate(argument: Option<&str>) -> Result<Option<NonZeroU64>, FaultError> {
    match argument {
        None => Err(FaultError::Missing { name: "bandwidth", what: "a rate, as 10Mbit, or none" }),
        Some("none") => Ok(None),
        Some(text) => Ok(Some(quantity::parse_rate(text)?)),
    }
}

fn byte(name: &'static str, argument: Option<&str>) -> Result<u8, FaultError> {
    const WHAT: &str = "a byte, as 0xff";
    let text = argument.ok_or(FaultError::Missing { name, what: WHAT })?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u8::from_str_radix(digits, 16).map_err(|_| FaultError::Argument {
        name,
        what: WHAT,
        given: text.into(),
    })
}

fn count(name: &'static str, argument: Option<&str>) -> Result<u16, FaultError> {
    const WHAT: &str = "a number up to 512";
    let text = argument.ok_or(FaultError::Missing { name, what: WHAT })?;
    let number = text.parse().ok().filter(|number| *number <= STRANGERS_MAX);
    number.ok_or_else(|| FaultError::Argument { name, what: WHAT, given: text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_back_what_it_writes() {
        for text in [
            "drop-answer",
            "late-answer 2s",
            "double-answer",
            "wrong-answer 0x7f",
            "unasked-answer 0xff",
            "stall 3min",
            "black-hole",
            "black-hole 250ms",
            "forget",
            "reset",
            "close",
            "half-open 3",
            "swallow-fin",
            "swallow-rst",
            "segment 1",
            "bandwidth 100bit",
            "bandwidth none",
            "round-trip 5ms",
            "flip-bit",
            "refuse 1s",
            "strangers 40",
        ] {
            let fault = Fault::parse(text).unwrap();
            assert_eq!(fault.to_string(), text);
            assert!(NAMES.split(", ").any(|name| name == fault.name()), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(Fault::parse(""), Err(FaultError::Name { .. })));
        assert!(matches!(Fault::parse("explode"), Err(FaultError::Name { .. })));
        assert!(matches!(Fault::parse("late-answer"), Err(FaultError::Missing { .. })));
        assert!(matches!(Fault::parse("reset now"), Err(FaultError::Extra { .. })));
        assert!(matches!(Fault::parse("stall 2s 3s"), Err(FaultError::Extra { .. })));
        assert!(matches!(Fault::parse("wrong-answer 256"), Err(FaultError::Argument { .. })));
        assert!(matches!(Fault::parse("strangers 513"), Err(FaultError::Argument { .. })));
        assert!(matches!(Fault::parse("stall soon"), Err(FaultError::Quantity(_))));
    }

    #[test]
    fn scaling_touches_times_of_trouble_only() {
        assert_eq!(
            Fault::Stall(Duration::from_secs(60)).scaled(0.01),
            Fault::Stall(Duration::from_millis(600))
        );
        let latency = Fault::RoundTrip(Duration::from_millis(5));
        assert_eq!(latency.scaled(0.01), latency);
    }
}

//! Small pictures of the last hours, one number each: inline SVG, newest at the right.
//!
//! ```text
//!  bars: what was taken in each slot      steps: the most that was behind in each slot
//!                  |                               ____
//!           | | | ||                            __|    |_
//!  _________|_|_|_||                      _____|         |__
//!  8 h ago       now
//! ```
//!
//! Shapes differ and not only colours. The title names the picture, and its description has the numbers, so that a
//! screen reader tells what others see.

use std::fmt::{self, Write};

use super::words::Html;
use crate::ops::board::{HISTORY_HOURS, HISTORY_SLOTS};

/// How the slots are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each by itself.
    Bars,
    /// As an area with a line on top.
    Steps,
}

/// What one picture shows.
pub(super) struct Picture<'a> {
    pub(super) shape: Shape,
    /// Unique within the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// The numbers in words.
    pub(super) description: &'a str,
    /// From the oldest slot to the running one, [`HISTORY_SLOTS`] at most.
    pub(super) values: &'a [u64],
}

impl Picture<'_> {
    /// Writes the element.
    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        let (id, title, description) = (self.id, Html::of(self.title), Html::of(self.description));
        write!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {BOX}\" role=\"img\" aria-labelledby=\"{id}-t\" aria-describedby=\"{id}-d\">\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>\
             <path class=\"axis\" d=\"M0 {BASE}h{WIDTH}"
        )?;
        for hour in 0..=HISTORY_HOURS {
            write!(out, "M{} {BASE}v3", hour * WIDTH / HISTORY_HOURS)?;
        }
        match self.shape {
            Shape::Bars => self.bars(out)?,
            Shape::Steps => self.steps(out)?,
        }
        out.write_str("\"/></svg>")
    }

    fn bars(&self, out: &mut String) -> fmt::Result {
        out.write_str("\"/><path class=\"bars\" d=\"")?;
        for (x, height) in self.slots().filter(|(_, height)| *height > 0) {
            write!(out, "M{x} {BASE}v-{height}h{}v{height}z", SLOT - 1)?;
        }
        Ok(())
    }

    fn steps(&self, out: &mut String) -> fmt::Result {
        out.write_str("\"/><path class=\"steps\" d=\"")?;
        let Some((first, _)) = self.slots().next() else { return Ok(()) };
        write!(out, "M{first} {BASE}")?;
        for (_, height) in self.slots() {
            write!(out, "V{}h{SLOT}", BASE - height)?;
        }
        write!(out, "V{BASE}z")
    }

    /// Left side and height of each slot. What is not nothing is seen.
    fn slots(&self) -> impl Iterator<Item = (u64, u64)> {
        let most = self.values.iter().copied().max().unwrap_or_default().max(1);
        let ages = (1..=HISTORY_SLOTS).zip(self.values.iter().rev());
        // From the oldest on.
        let oldest_first = ages.collect::<Vec<_>>().into_iter().rev();
        oldest_first.map(move |(age, value)| {
            let height = u128::from(*value) * u128::from(HEIGHT) / u128::from(most);
            let height = u64::try_from(height).unwrap_or(HEIGHT);
            ((HISTORY_SLOTS - age) * SLOT, height.max(u64::from(*value > 0)))
        })
    }
}

/// Units of the picture are those of a screen at its usual size.
const SLOT: u64 = 3;
const WIDTH: u64 = HISTORY_SLOTS * SLOT;
const HEIGHT: u64 = 28;
/// Room for the line on top.
const BASE: u64 = HEIGHT + 1;
/// Ticks of the hours are below the base.
const BOX: u64 = BASE + 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(shape: Shape, values: &[u64]) -> String {
        let mut out = String::new();
        let picture = Picture { shape, id: "p0", title: "a<b", description: "now 3", values };
        picture.write(&mut out).unwrap();
        out
    }

    #[test]
    fn newest_slot_is_at_the_right_and_the_highest_fills_the_height() {
        let bars = drawn(Shape::Bars, &[0, 10, 20]);
        assert!(bars.contains("d=\"M138 29v-14h2v14zM141 29v-28h2v28z\""), "{bars}");
        let steps = drawn(Shape::Steps, &[5, 10]);
        assert!(steps.contains("d=\"M138 29V15h3V1h3V29z\""), "{steps}");
    }

    #[test]
    fn a_little_is_seen_and_nothing_is_not() {
        let bars = drawn(Shape::Bars, &[1, 0, u64::MAX]);
        assert!(bars.contains("M135 29v-1h2v1zM141 29v-28"), "{bars}");
        assert!(drawn(Shape::Bars, &[]).contains("class=\"bars\" d=\"\""));
        assert!(drawn(Shape::Steps, &[]).contains("class=\"steps\" d=\"\""));
    }

    #[test]
    fn more_than_a_history_stays_within_the_picture() {
        let values: Vec<_> = (0..100).collect();
        let bars = drawn(Shape::Bars, &values);
        assert_eq!(bars.matches('z').count(), 48);
        assert!(bars.contains("M0 29v-"), "{bars}");
    }

    #[test]
    fn it_has_a_name_and_a_description() {
        let bars = drawn(Shape::Bars, &[1]);
        for part in [
            "role=\"img\" aria-labelledby=\"p0-t\" aria-describedby=\"p0-d\"",
            "<title id=\"p0-t\">a&lt;b</title>",
            "<desc id=\"p0-d\">now 3</desc>",
        ] {
            assert!(bars.contains(part), "{bars}");
        }
    }
}

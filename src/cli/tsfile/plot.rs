//! `tsfile plot`: series as lines, in the terminal or as a picture.
//!
//! ```text
//!  points --> for each column of the picture: smallest and largest value --> Braille dots, or SVG lines
//! ```
//!
//! So memory is that of the picture, whatever the file. Terminals draw with Braille characters, which have two by
//! four dots each; ARCHITECTURE.md says why no library does it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::super::{CliError, Ending};
use super::PlotArguments;
use super::open::{Bytewise, deletions, flawed, open};
use super::progress::Output;
use super::times::Unit;
use crate::data::{Series, TimeRange};
use crate::ops::human::Line as OnLine;
use crate::tsfile::TsFileError;
use crate::tsfile::cut::Selection;
use crate::tsfile::encoding::Values;
use crate::tsfile::read::{Piece, Points, TsFile};

/// Series in one picture: more cannot be told apart.
const LINES_MAX: usize = 8;
/// Characters of the terminal's picture.
const WIDTH: usize = 72;
const HEIGHT: usize = 16;
/// Points of the SVG's picture.
const SVG_WIDTH: usize = 960;
const SVG_HEIGHT: usize = 360;
const SVG_COLORS: [&str; LINES_MAX] =
    ["#0b6e4f", "#c1121f", "#1d4e89", "#e09f3e", "#6a4c93", "#3a7d44", "#bc4749", "#457b9d"];

/// One series, reduced to what a picture shows.
struct Line {
    path: String,
    /// Smallest and largest value of each column.
    columns: Vec<Option<(f64, f64)>>,
}

impl Line {
    /// Its name, and between which values it lies.
    fn legend(&self) -> String {
        let path = OnLine(&self.path);
        match ends(self.columns.iter().flatten()) {
            Some((min, max)) => format!("{path}  {min} to {max}"),
            None => format!("{path}  no numbers"),
        }
    }
}

/// The smallest and the largest of all.
fn ends<'c>(columns: impl Iterator<Item = &'c (f64, f64)>) -> Option<(f64, f64)> {
    columns.copied().reduce(|(min, max), (low, high)| (min.min(low), max.max(high)))
}

pub(super) fn plot(arguments: &PlotArguments, out: &mut impl Write) -> Result<Ending, CliError> {
    let path = &arguments.file;
    let file = open(path, Output::End)?;
    let deletions = deletions(path)?;
    let selection = arguments.selection();
    let width = if arguments.svg.is_some() { SVG_WIDTH } else { WIDTH * 2 };
    let wrong = |error| flawed(path, error);
    let Some(times) = shown_times(&file, &selection).map_err(wrong)? else {
        return Err(nothing_matches(path, "points"));
    };
    let mut points = Points::new(&file, Some(&deletions));
    points.within(times);
    let mut lines: Vec<Line> = Vec::new();
    let mut devices = file.devices().map_err(wrong)?;
    while let Some(device) = devices.next().map_err(wrong)? {
        let wanted = selection.of_device(&device.id);
        if wanted == Series::None {
            continue;
        }
        points.start(&device).map_err(wrong)?;
        while let Some(piece) = points.next(|series| wanted.wants(&series.name)).map_err(wrong)? {
            add_piece(
                &mut lines,
                format!("{}.{}", device.id, piece.measurement),
                &piece,
                times,
                width,
            )?;
        }
    }
    let Some(values) = value_range(&lines) else {
        return Err(nothing_matches(path, "numbers"));
    };
    if let Some(svg) = &arguments.svg {
        let picture = svg_picture(&lines, (times, arguments.times.unit), values);
        fs::write(svg, picture).map_err(|cause| CliError::NoFile { path: svg.clone(), cause })?;
        writeln!(out, "{}: {} series", svg.display(), lines.len())?;
    } else {
        draw(&lines, (times, arguments.times.unit), values, out)?;
    }
    Ok(Ending::Done)
}

fn nothing_matches(path: &Path, what: &str) -> CliError {
    let path = path.display();
    CliError::Usage(format!("{path}: no series with {what} matches; tsfile ls {path} lists them"))
}

/// The times that the picture covers: those of the series, as far as they are wanted.
fn shown_times(
    file: &TsFile<Bytewise>,
    selection: &Selection,
) -> Result<Option<TimeRange>, TsFileError> {
    let mut shown = TimeRange::EMPTY;
    let mut devices = file.devices()?;
    while let Some(device) = devices.next()? {
        let wanted = selection.of_device(&device.id);
        if wanted == Series::None {
            continue;
        }
        let mut list = file.series(&device)?;
        while let Some(series) = list.next()? {
            if !series.is_time() && wanted.wants(&series.name) {
                let statistics = file.statistics(series.statistics, series.value_type)?;
                shown = shown.union(TimeRange { min: statistics.start, max: statistics.end });
            }
        }
    }
    let wanted = selection.times;
    let shown = TimeRange { min: shown.min.max(wanted.min), max: shown.max.min(wanted.max) };
    Ok((!shown.is_empty()).then_some(shown))
}

/// Adds the points of a series to its line.
fn add_piece(
    lines: &mut Vec<Line>,
    path: String,
    piece: &Piece<'_>,
    times: TimeRange,
    width: usize,
) -> Result<(), CliError> {
    let known = lines.iter().position(|line| line.path == path);
    let index = known.unwrap_or(lines.len());
    if index >= LINES_MAX {
        return Err(CliError::Usage(format!(
            "more than {LINES_MAX} series match, which a picture cannot tell apart: name fewer"
        )));
    }
    if known.is_none() {
        lines.push(Line { path, columns: vec![None; width] });
    }
    if let Some(line) = lines.get_mut(index) {
        add_points(line, piece, times);
    }
    Ok(())
}

fn add_points(line: &mut Line, piece: &Piece<'_>, times: TimeRange) {
    let span = i128::from(times.max) - i128::from(times.min);
    let last = line.columns.len() as i128 - 1;
    for (place, time) in piece.times.iter().enumerate() {
        let Some(value) = number(piece.values, place).filter(|value| value.is_finite()) else {
            continue;
        };
        let offset = i128::from(*time) - i128::from(times.min);
        let column = (offset * last).checked_div(span).unwrap_or_default();
        let column = usize::try_from(column).ok().and_then(|column| line.columns.get_mut(column));
        if let Some(column) = column {
            let (min, max) = column.unwrap_or((value, value));
            *column = Some((min.min(value), max.max(value)));
        }
    }
}

/// A value as a number; texts have none.
fn number(values: &Values, place: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a picture has fewer digits")]
    match values {
        Values::Booleans(list) => list.get(place).map(|value| f64::from(u8::from(*value))),
        Values::Integers(list) => list.get(place).map(|value| f64::from(*value)),
        Values::Longs(list) => list.get(place).map(|value| *value as f64),
        Values::Floats(list) => list.get(place).map(|value| f64::from(*value)),
        Values::Doubles(list) => list.get(place).copied(),
        Values::Binaries(_) => None,
    }
}

fn value_range(lines: &[Line]) -> Option<(f64, f64)> {
    let (min, max) = ends(lines.iter().flat_map(|line| line.columns.iter().flatten()))?;
    // A constant gets room above and below.
    Some(if min < max { (min, max) } else { (min - 1.0, max + 1.0) })
}

/// The row of a value among `rows`, from the top.
fn row_of(value: f64, (min, max): (f64, f64), rows: usize) -> usize {
    let share = ((max - value) / (max - min)).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and a few hundred"
    )]
    let row = (share * (rows - 1) as f64).round() as usize;
    row
}

fn draw(
    lines: &[Line],
    (times, unit): (TimeRange, Unit),
    values: (f64, f64),
    out: &mut impl Write,
) -> io::Result<()> {
    let mut dots = vec![0_u8; WIDTH * HEIGHT];
    for line in lines {
        draw_line(line, values, &mut dots);
    }
    let (min, max) = values;
    for (number, row) in dots.chunks(WIDTH).enumerate() {
        let label = match number {
            0 => format!("{max:.6}"),
            number if number + 1 == HEIGHT => format!("{min:.6}"),
            _ => String::new(),
        };
        let row: String =
            row.iter().filter_map(|dots| char::from_u32(BRAILLE + u32::from(*dots))).collect();
        writeln!(out, "{label:>16} |{}", row.trim_end_matches('\u{2800}'))?;
    }
    let [first, last] = [times.min, times.max].map(|time| unit.date(time).to_string());
    for (left, right) in [(first, last), (times.min.to_string(), times.max.to_string())] {
        let gap = WIDTH.saturating_sub(left.len());
        writeln!(out, "{:>16}  {left}{right:>gap$}", "")?;
    }
    for line in lines {
        writeln!(out, "{:>16}  {}", "", line.legend())?;
    }
    Ok(())
}

/// Sets the dots of a line: from the smallest to the largest value of each column, joined to the one before.
fn draw_line(line: &Line, values: (f64, f64), dots: &mut [u8]) {
    let mut before: Option<usize> = None;
    let columns = line.columns.iter().enumerate();
    for (x, (low, high)) in columns.filter_map(|(x, column)| Some((x, (*column)?))) {
        let (mut top, mut bottom) =
            (row_of(high, values, HEIGHT * 4), row_of(low, values, HEIGHT * 4));
        let middle = usize::midpoint(top, bottom);
        if let Some(before) = before.replace(middle) {
            (top, bottom) = (top.min(before), bottom.max(before));
        }
        for y in top..=bottom {
            let bit = DOTS.get(y % 4 * 2 + x % 2).copied().unwrap_or_default();
            dots.get_mut(y / 4 * WIDTH + x / 2).into_iter().for_each(|cell| *cell |= bit);
        }
    }
}

/// The first of the Braille characters, and the bits of its dots: row by row, left and right.
const BRAILLE: u32 = 0x2800;
const DOTS: [u8; 8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];

fn svg_picture(lines: &[Line], (times, unit): (TimeRange, Unit), values: (f64, f64)) -> String {
    use std::fmt::Write as _;
    let (width, height) = (SVG_WIDTH + 40, SVG_HEIGHT + 60 + lines.len() * 16);
    let (min, max) = values;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"20\" y=\"14\">{max}</text>\n<text x=\"20\" y=\"{}\">{min}</text>\n\
         <text x=\"20\" y=\"{}\">{}</text>\n<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
        SVG_HEIGHT + 34,
        SVG_HEIGHT + 50,
        unit.date(times.min),
        SVG_WIDTH + 20,
        SVG_HEIGHT + 50,
        unit.date(times.max)
    );
    for (number, (line, color)) in lines.iter().zip(SVG_COLORS).enumerate() {
        let mut points = String::new();
        for (x, column) in line.columns.iter().enumerate() {
            let Some((low, high)) = column else { continue };
            for value in [low, high] {
                let y = 20 + row_of(*value, values, SVG_HEIGHT);
                // Writing to memory cannot fail.
                let _written = write!(points, "{},{y} ", x + 20);
            }
        }
        let name = line.legend().replace('&', "&amp;").replace('<', "&lt;");
        let y = SVG_HEIGHT + 66 + number * 16;
        let _written = writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{color}\" points=\"{}\"/>\n\
             <text x=\"20\" y=\"{y}\" fill=\"{color}\">{name}</text>",
            points.trim_end()
        );
    }
    text.push_str("</svg>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_top_and_bottom() {
        assert_eq!(row_of(10.0, (0.0, 10.0), 5), 0);
        assert_eq!(row_of(0.0, (0.0, 10.0), 5), 4);
        assert_eq!(row_of(5.0, (0.0, 10.0), 5), 2);
    }

    #[test]
    fn a_rising_line_goes_from_below_to_above() {
        let columns = (0_u8..).take(WIDTH * 2).map(f64::from).map(|x| Some((x, x))).collect();
        let lines = [Line { path: "root.a.b.c".to_owned(), columns }];
        let mut out = Vec::new();
        let range = value_range(&lines).expect("numbers");
        let times = (TimeRange { min: 0, max: 100 }, Unit::default());
        draw(&lines, times, range, &mut out).expect("memory");
        let text = String::from_utf8(out).expect("text");
        let rows: Vec<usize> = text.lines().take(HEIGHT).map(|row| row.chars().count()).collect();
        assert!(rows.is_sorted_by(|a, b| a > b), "{text}");
        assert!(text.ends_with("root.a.b.c  0 to 143\n"), "{text}");
        assert!(text.contains(" 1970-01-01T00:00:00.000Z ") && text.contains(" 0  "), "{text}");
        let svg = svg_picture(&lines, times, range);
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(svg.contains(">1970-01-01T00:00:00.100Z<"), "{svg}");
    }

    #[test]
    fn a_name_from_outside_is_no_markup() {
        let lines = [Line { path: "a<b>&\u{1b}".to_owned(), columns: vec![Some((1.0, 1.0)); 2] }];
        let times = (TimeRange { min: 0, max: 1 }, Unit::default());
        let svg = svg_picture(&lines, times, (0.0, 2.0));
        assert!(svg.contains(">a&lt;b>&amp;\\u{1b}  1 to 1<"), "{svg}");
    }
}

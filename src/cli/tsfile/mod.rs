//! `tsfile`: looks into `TsFiles`, makes smaller ones, draws series.
//!
//! ```text
//!  open.rs   a file with the deletions that lie beside it     progress.rs  how far it is, on a terminal
//!  times.rs  times as numbers and as dates
//!  ls.rs     series     show.rs   points     check.rs  flaws     cut.rs   a smaller file     plot.rs  a picture
//! ```
//!
//! All of them stream: memory does not grow with the file.

mod check;
mod cut;
mod ls;
mod open;
mod plot;
mod progress;
mod show;
#[cfg(test)]
mod tests;
mod times;

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use self::times::{TimeArguments, Unit};
use super::{CliError, Ending};
use crate::tsfile::cut::Selection;

#[derive(Debug, Subcommand)]
pub(super) enum TsFileCommand {
    /// Lists series: types, points, time range, encodings, sizes
    Ls {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        unit: Unit,
    },
    /// Prints points
    Show(ShowArguments),
    /// Looks for flaws; exits with 3 if there is one
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Reads headers and metadata only, no pages
        #[arg(long)]
        quick: bool,
    },
    /// Makes a file of some of the points
    Cut(CutArguments),
    /// Draws series
    Plot(PlotArguments),
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    points: PointArguments,
    /// How points are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// At most so many points; 0 for all
    #[arg(long, default_value_t = 0)]
    limit: u64,
}

#[derive(Debug, Args)]
pub(super) struct CutArguments {
    /// The file
    file: PathBuf,
    /// The new file; it must not be there
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Keeps only series that match, such as 'root.plant.**'; may be repeated
    #[arg(long, value_name = "PATTERN")]
    keep: Vec<String>,
    /// Leaves out series that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    drop: Vec<String>,
    #[command(flatten)]
    times: TimeArguments,
}

#[derive(Debug, Args)]
pub(super) struct PlotArguments {
    /// The file
    file: PathBuf,
    /// Measurements, or whole paths, that match, such as 'root.plant.d1.*'; may be repeated
    #[arg(long, required = true, value_name = "PATTERN")]
    series: Vec<String>,
    #[command(flatten)]
    times: TimeArguments,
    /// Writes a picture instead of drawing in the terminal
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Which points are meant.
#[derive(Debug, Args)]
struct PointArguments {
    /// Devices that match, such as 'root.plant.*'; may be repeated
    #[arg(long, value_name = "PATTERN")]
    device: Vec<String>,
    /// Measurements, or whole paths, that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    series: Vec<String>,
    #[command(flatten)]
    times: TimeArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people
    Table,
    /// A line of four fields each
    Csv,
    /// An object on a line each
    Json,
}

impl PointArguments {
    /// Patterns over whole paths; of a device alone all its series.
    fn selection(&self) -> Selection {
        let mut series: Vec<&str> = self.series.iter().map(String::as_str).collect();
        if series.is_empty() && !self.device.is_empty() {
            series.push("*");
        }
        Selection::of_paths(&paths(&self.device, &series), &[], self.times.range())
    }
}

impl PlotArguments {
    /// The same without devices.
    fn selection(&self) -> Selection {
        let series: Vec<&str> = self.series.iter().map(String::as_str).collect();
        Selection::of_paths(&paths(&[], &series), &[], self.times.range())
    }
}

/// Patterns over whole paths: a measurement alone stands for that of these devices, or of all if there are none.
fn paths(devices: &[String], series: &[&str]) -> Vec<String> {
    let mut devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    if devices.is_empty() {
        devices.push("**");
    }
    let of_devices = |name: &&str| -> Vec<String> {
        if crate::data::path::nodes(name).count() > 1 {
            return vec![(*name).to_owned()];
        }
        devices.iter().map(|device| format!("{device}.{name}")).collect()
    };
    series.iter().flat_map(of_devices).collect()
}

pub(super) fn tsfile(command: &TsFileCommand, out: &mut impl Write) -> Result<Ending, CliError> {
    // A terminal's output is written line by line; files have millions of them.
    let mut out = BufWriter::new(out);
    let ending = perform(command, &mut out)?;
    out.flush()?;
    Ok(ending)
}

fn perform(command: &TsFileCommand, out: &mut impl Write) -> Result<Ending, CliError> {
    match command {
        TsFileCommand::Ls { files, unit } => ls::ls(files, *unit, out),
        TsFileCommand::Show(arguments) => show::show(arguments, out),
        TsFileCommand::Check { files, quick } => check::check(files, *quick, out),
        TsFileCommand::Cut(arguments) => cut::cut(arguments, out),
        TsFileCommand::Plot(arguments) => plot::plot(arguments, out),
    }
}

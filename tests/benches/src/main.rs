//! `cargo bench-all`: the pair against bare loops, side by side in one run.
//!
//! Ratios, not times: every row stands beside what the same machine does at the same moment without
//! us. Nothing is asserted; the last column says what is wanted.

mod bare;
mod memory;
mod pipes;
mod rows;
mod slow_disk;
mod table;
mod tsfile;
mod twins;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use penstock_test_support::programs::{BuildError, Programs};

use table::Row;
use tsfile::Work;

/// Measures the pair against bare loops, side by side in one run.
#[derive(Debug, Parser)]
#[command(name = "cargo bench-all", version)]
struct Arguments {
    /// Measure only rows whose name contains this
    #[arg(value_name = "NAME")]
    only: Option<String>,
    /// Size of the files that cross, in MiB
    #[arg(long, default_value_t = 256, value_name = "MIB")]
    file: u64,
    /// Small frames on each connection
    #[arg(long, default_value_t = 500, value_name = "NUMBER")]
    frames: u64,
    /// Size of the TsFile of 200 000 devices, in MiB
    #[arg(long, default_value_t = 256, value_name = "MIB")]
    tsfile: u64,
    /// Does what is measured in a process of its own
    #[arg(long, hide = true, requires = "path")]
    work: Option<Work>,
    #[arg(long, hide = true, default_value_t = 0)]
    amount: u64,
    #[arg(long, hide = true)]
    path: Option<PathBuf>,
}

/// Why there is no table.
#[derive(Debug)]
enum BenchError {
    Build(BuildError),
    Io(io::Error),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = match error {
                BenchError::Build(error) => error.to_string(),
                BenchError::Io(error) => error.to_string(),
            };
            drop(writeln!(io::stderr().lock(), "cargo bench-all: {text}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), BenchError> {
    if let (Some(work), Some(path)) = (arguments.work, &arguments.path) {
        return Ok(tsfile::work(work, path, arguments.amount)?);
    }
    Programs::build()?;
    let sizes = rows::Sizes {
        file_bytes: arguments.file << 20,
        frames: arguments.frames,
        tsfile_bytes: arguments.tsfile << 20,
    };
    let mut output = io::stdout().lock();
    writeln!(output, "{}", Row::heading())?;
    for (name, measure) in rows::ALL {
        if arguments.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        for row in measure(&sizes)? {
            writeln!(output, "{row}")?;
        }
        output.flush()?;
    }
    Ok(())
}

impl From<BuildError> for BenchError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<io::Error> for BenchError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

//! `cargo demo`: the pair at work through a bad gate, with the plug pulled.
//!
//! ```text
//!  files --> inbox/ [sender] --> [gate: 100 Mbit/s, 5 ms] --> [receiver] landing/ --> files
//!                      ^            loses answers                 ^
//!                      '-- kill -9 in mid-file, started again -----'|
//!                                            tablets of a stock sender --> TsFiles made of them
//! ```
//!
//! Builds the programs, lets them carry generated `TsFile`s, kills each half while a file crosses,
//! and compares what was sent with what was landed. Tablets come beside them; the points of what lands must be as many as
//! were sent. Ends with 0 only if everything is equal.

mod files;
mod gate;
mod halves;
mod progress;
mod scene;
mod stop;
mod table;
mod tablets;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use penstock_test_support::programs::{Programs, root};

use scene::{Scene, SceneError};
use stop::Stop;

const MORE: &str = "\
Everything happens on 127.0.0.1 and below --dir, which is emptied first. Nothing is left running.
Exit codes: 0 all files are equal, all points there; 1 something is missing, unequal or failed; 130 interrupted.";

/// Shows the pair at work through a bad gate, with the plug pulled.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", version, after_help = MORE)]
struct Arguments {
    /// Where everything is put [default: target/demo]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep everything running at the end, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr().lock(), "\ncargo demo: {error}"));
            ExitCode::from(if matches!(error, SceneError::Interrupted) { 130 } else { 1 })
        }
    }
}

/// Says whether everything was equal.
fn run(arguments: Arguments) -> Result<bool, SceneError> {
    let stop = Stop::on_signals().map_err(SceneError::io("signals"))?;
    say("Building the programs as they are released (the first time takes a minute or two).");
    let programs = Programs::build()?;
    stop.check()?;
    let directory = arguments.dir.unwrap_or_else(|| root().join("target/demo"));
    let mut scene = Scene::set(programs, &directory, &stop)?;
    scene.play()?;
    let outcome = scene.compare()?;
    if arguments.stay {
        say(&format!("\n{outcome}\nStill running, until Ctrl-C: {}", scene.pages()));
        while stop.check().is_ok() {
            scene.supervise()?;
        }
    }
    scene.end()?;
    if !arguments.stay {
        say(&format!("\n{outcome}"));
    }
    Ok(outcome.is_good())
}

/// A line for whoever watches. Nobody may.
fn say(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

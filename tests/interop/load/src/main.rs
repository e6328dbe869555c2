//! `penstock-load`: the same frames for every receiver, one outstanding a connection.
//!
//! Prints one JSON line: frames, bytes and seconds of the measured time, and how long answers took.
//! Frames are made before they are timed; of a tablet only its times and checksum change, so that the
//! receiver sees new rows each time and the generator costs next to nothing.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use penstock_test_support::clock;
use penstock_test_support::peer::Peer;

mod shape;

use shape::{Files, Tablets};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "penstock-load", about = "Loads an air-gap receiver and measures its answers")]
struct Arguments {
    /// Where the receiver listens
    #[arg(long)]
    target: SocketAddr,
    /// Connections at once
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Seconds that are not measured, at first
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    #[command(subcommand)]
    shape: Shape,
}

/// What is sent.
#[derive(Debug, Clone, Subcommand)]
enum Shape {
    /// Insert-tablet requests
    Tablets {
        /// Rows of each
        rows: usize,
        /// Columns of each
        columns: usize,
    },
    /// Whole `TsFile`s in pieces, each with its seal
    Files {
        /// Bytes of a file, about
        file_bytes: u64,
        /// Bytes of a piece
        piece_bytes: usize,
    },
}

/// What one connection measured.
#[derive(Debug, Default)]
struct Measured {
    bytes: u64,
    waits: Vec<Duration>,
}

/// When measuring begins and ends.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    to: Instant,
}

/// Frames without an end.
trait Source {
    /// The next whole frame.
    fn next_frame(&mut self) -> io::Result<&[u8]>;
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's results")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("penstock-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<String> {
    let ready = &Barrier::new(arguments.connections);
    let measured = thread::scope(|scope| {
        let mut lanes = Vec::with_capacity(arguments.connections);
        for index in 0..arguments.connections {
            lanes.push(scope.spawn(move || lane(arguments, index, ready)));
        }
        let ends = lanes.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.map_err(|_| io::Error::other("a lane panicked"))?)
            .collect::<io::Result<Vec<Measured>>>()
    })?;
    Ok(report(measured, arguments.seconds))
}

/// One connection: everything is made ready, then all begin at once.
fn lane(arguments: &Arguments, index: usize, ready: &Barrier) -> io::Result<Measured> {
    let begun = Peer::introduce(arguments.target, &format!("load-{index}"));
    let source: io::Result<Box<dyn Source>> = match arguments.shape {
        Shape::Tablets { rows, columns } => {
            Tablets::new(index, rows, columns).map(|made| Box::new(made) as _)
        }
        Shape::Files { file_bytes, piece_bytes } => {
            Files::new(index, file_bytes, piece_bytes).map(|made| Box::new(made) as _)
        }
    };
    ready.wait();
    let (mut peer, mut source) = (begun?, source?);
    let from = clock::now() + Duration::from_secs(arguments.warm_up);
    let window = Window { from, to: from + Duration::from_secs(arguments.seconds) };
    drive(&mut peer, source.as_mut(), window)
}

fn drive(peer: &mut Peer, source: &mut dyn Source, window: Window) -> io::Result<Measured> {
    let mut measured = Measured::default();
    loop {
        let frame = source.next_frame()?;
        let sent = clock::now();
        if sent >= window.to {
            return Ok(measured);
        }
        peer.send(frame)?;
        let answer = peer.answer()?;
        if answer != 0 {
            return Err(io::Error::other(format!("a frame was answered with {answer:#04x}")));
        }
        let answered = clock::now();
        if sent >= window.from && answered <= window.to {
            measured.bytes += u64::try_from(frame.len()).unwrap_or(0);
            measured.waits.push(answered.duration_since(sent));
        }
    }
}

fn report(measured: Vec<Measured>, seconds: u64) -> String {
    let bytes: u64 = measured.iter().map(|one| one.bytes).sum();
    let mut waits: Vec<Duration> = measured.into_iter().flat_map(|one| one.waits).collect();
    waits.sort_unstable();
    let share = |percent: usize| {
        let index = waits.len().saturating_sub(1) * percent / 100;
        waits.get(index).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    };
    let line = serde_json::json!({
        "frames": waits.len(), "bytes": bytes, "seconds": seconds,
        "median_ms": share(50), "p99_ms": share(99), "longest_ms": share(100),
    });
    line.to_string()
}

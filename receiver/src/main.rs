//! `penstock-receiver`: the outer half. Takes in what crosses the gate and lands it.

use std::process::ExitCode;

fn main() -> ExitCode {
    penstock::cli::main(penstock::config::Role::Receiver)
}

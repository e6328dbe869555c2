//! `penstock-sender`: the inner half. Takes in TsFiles and data, and sends them through the gate.

use std::process::ExitCode;

fn main() -> ExitCode {
    penstock::cli::main(penstock::config::Role::Sender)
}

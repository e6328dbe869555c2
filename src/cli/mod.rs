//! The command line of both programs.
//!
//! ```text
//!  arguments --> clap --> load.rs (configuration) --+-- run.rs      the node
//!                                                   +-- check.rs    what would run, and every mistake; machine.rs
//!                                                   +-- status.rs   asks a running node
//!                                                   +-- sql/        statements to a running node
//!                                                   +-- spool.rs    looks into a spool
//!             \-- tsfile/ looks into files, without a configuration
//! ```
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | failed at run time: disk, bind, peer, a flaw that `spool verify` saw |
//! | 2 | wrong usage or configuration; nothing was started |
//! | 3 | `status --check` or `tsfile check` found something |

mod advice;
mod allocator;
mod check;
mod load;
mod machine;
mod owner;
mod probe;
mod run;
mod screen;
mod spool;
mod spool_files;
mod sql;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod tsfile;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use thiserror::Error;

use crate::config::Role;
use crate::data::Sequence;
use crate::node::NodeError;
use crate::ops::human::Lines;
use crate::ops::status::ControlError;
use crate::spool::{Fatal, ReadError, SpoolError};
use crate::tsfile::TsFileError;
use crate::tsfile::cut::CutError;
use crate::tsfile::read::DeletionsError;

/// The command line; [`command`] says what it is about.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Options {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one dotted configuration key; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where all state lies
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Logs more; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Logs warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the node in the foreground (the default)
    Run,
    /// Says what would run, and every mistake; changes nothing
    Check(CheckArguments),
    /// Shows a running node on one screen
    Status(StatusArguments),
    /// Says that a person has seen the trouble
    Ack {
        /// A kind, a pipe or file, or kind:pipe; without it all of them
        what: Option<String>,
    },
    /// Pipe statements to a running node; without arguments a prompt
    Sql(sql::SqlArguments),
    /// Gives a cloned box an identity of its own; the node must be stopped
    NewId,
    /// Looks into a spool, of a running or a stopped node
    #[command(subcommand, after_help = SPOOL_EXAMPLES)]
    Spool(SpoolCommand),
    /// Looks into TsFiles, makes smaller ones, draws series
    #[command(subcommand, name = "tsfile", after_help = TSFILE_EXAMPLES)]
    TsFile(tsfile::TsFileCommand),
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// Tries each target
    #[arg(long)]
    connect: bool,
    /// Bytes per second that come in, for the question how long the far side may be away
    #[arg(long, value_name = "SIZE")]
    rate: Option<String>,
}

#[derive(Debug, Args)]
struct StatusArguments {
    /// Prints JSON, for scripts
    #[arg(long)]
    json: bool,
    /// Goes on showing, every second
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Exits with 3 when something needs a person
    #[arg(long, conflicts_with = "watch")]
    check: bool,
}

#[derive(Debug, Subcommand)]
enum SpoolCommand {
    /// Lists entries
    Ls {
        /// The first sequence
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// At most so many; 0 for all
        #[arg(long, default_value_t = 100)]
        limit: u64,
    },
    /// Shows one entry
    Show {
        /// Its sequence
        sequence: u64,
    },
    /// Reads everything and compares checksums and hashes
    Verify,
    /// Writes entries into a directory, as files and requests
    Export {
        /// Such as 17, or 17-29
        range: String,
        /// Where to
        dir: PathBuf,
    },
    /// Gives entries free that no pipe and no landing needs
    Release,
}

/// How a command ended when nothing failed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    /// It did what it had to.
    Done,
    /// It found what it was to look for.
    Found,
    /// The node's own code.
    Node(ExitCode),
}

/// Why a command failed.
#[derive(Debug, Error)]
enum CliError {
    /// The configuration has mistakes; they have been printed.
    #[error("the configuration has mistakes; nothing was started")]
    Mistakes,
    #[error("{path}: {cause}", path = path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error(
        "{path}, which \"properties\" names, cannot be read: {cause}; correct the name, let this user read it, keep its \
         lines about pipes only, or take the key out",
        path = path.display()
    )]
    Properties { path: PathBuf, cause: io::Error },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("the node's answer cannot be read; it may be of another version")]
    Unexpected,
    #[error("{0}")]
    Spool(#[from] SpoolError),
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Fatal(#[from] Fatal),
    /// Root would write where the node could not read it afterwards.
    #[error(
        "{dir} belongs to user {owner}, who could not open what root makes in it; nothing was done. \
         Run it as that user: sudo -u '#{owner}' {program} ..., or give the directory to root: chown -R root {dir}",
        dir = dir.display()
    )]
    NotTheOwner { dir: PathBuf, owner: u32, program: &'static str },
    #[error(
        "no node has run in {dir}; a new one makes an identity of its own at its first start",
        dir = dir.display()
    )]
    NoNode { dir: PathBuf },
    #[error(
        "there is no spool in {dir}: no node has run there; name a node's directory by -c or --data-dir",
        dir = dir.display()
    )]
    NoSpool { dir: PathBuf },
    #[error("a node runs in {dir}: stop it first", dir = dir.display())]
    Runs { dir: PathBuf },
    #[error("{0}")]
    Node(#[from] NodeError),
    /// A statement failed: code and message, as the node said it.
    #[error("{0}")]
    Statement(String),
    #[error("entry {0} is not there, or not any more; spool ls lists what is")]
    NoEntry(Sequence),
    #[error("{0} flaws")]
    Flaws(u64),
    /// They have been named among the others.
    #[error("{count} of {of} files could not be read, so they are not checked")]
    NotChecked { count: usize, of: usize },
    #[error("{count} of {of} targets did not answer as they should")]
    Unreachable { count: usize, of: usize },
    /// A file named on the command line.
    #[error("{path}: {cause}", path = path.display())]
    NoFile { path: PathBuf, cause: io::Error },
    #[error("{path}: {source}", path = path.display())]
    TsFile { path: PathBuf, source: TsFileError },
    #[error("{path}: {source}", path = path.display())]
    Deletions { path: PathBuf, source: DeletionsError },
    #[error("{path}: {source}", path = path.display())]
    Cut { path: PathBuf, source: CutError },
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Mistakes
            | Self::Unreadable { .. }
            | Self::Properties { .. }
            | Self::Usage(_)
            | Self::NotTheOwner { .. }
            | Self::NoNode { .. }
            | Self::NoSpool { .. } => ExitCode::from(USAGE),
            Self::Control(_)
            | Self::Unexpected
            | Self::Runs { .. }
            | Self::Spool(_)
            | Self::Read(_)
            | Self::Fatal(_)
            | Self::Node(_)
            | Self::Statement(_)
            | Self::NoEntry(_)
            | Self::Flaws(_)
            | Self::Unreachable { .. }
            | Self::NoFile { .. }
            | Self::TsFile { .. }
            | Self::Deletions { .. }
            | Self::Cut { .. }
            | Self::NotChecked { .. }
            | Self::Output(_) => ExitCode::FAILURE,
        }
    }

    /// A reader that has seen enough, such as `head`.
    fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Runs the program for `role` and returns its exit code.
pub fn main(role: Role) -> ExitCode {
    allocator::be_frugal();
    let matches = command(role).try_get_matches();
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = !error.use_stderr();
            drop(error.print()); // nobody is left to tell
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    let mut out = io::stdout().lock();
    match perform(role, arguments, &mut out) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Found) => ExitCode::from(FOUND),
        Ok(Ending::Node(code)) => code,
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            let told = writeln!(io::stderr(), "{}: {}", role.program(), Lines(&text));
            drop(told); // nobody is left to tell
            error.exit_code()
        }
    }
}

fn perform(role: Role, arguments: Arguments, out: &mut impl Write) -> Result<Ending, CliError> {
    let options = &arguments.options;
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => run::run(role, options),
        Command::Check(arguments) => check::check(role, options, &arguments, out),
        Command::Status(arguments) => status::status(role, options, &arguments, out),
        Command::Ack { what } => status::acknowledge(role, options, what, out),
        Command::Sql(arguments) => sql::sql(role, options, &arguments, out),
        Command::NewId => spool::new_id(role, options, out),
        Command::Spool(command) => spool::spool(role, options, &command, out),
        Command::TsFile(command) => tsfile::tsfile(&command, out),
    }
}

fn command(role: Role) -> clap::Command {
    let examples = match role {
        Role::Sender => SENDER_EXAMPLES,
        Role::Receiver => RECEIVER_EXAMPLES,
    };
    Arguments::command()
        .name(role.program())
        .about("Carries IoTDB data through one-way network gates")
        .bin_name(role.program())
        .version(env!("CARGO_PKG_VERSION"))
        .long_version(&*build_facts().leak()) // once, at the start
        .after_help(format!(
            "Reads {} unless -c or PENSTOCK_CONFIG says otherwise.\n\n{examples}",
            role.default_file()
        ))
}

/// What `--version` says: enough for a report of a fault.
fn build_facts() -> String {
    let commit = option_env!("PENSTOCK_COMMIT").filter(|commit| !commit.is_empty());
    let kind = if cfg!(debug_assertions) { "debug" } else { "release" };
    let environment = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!(
        "{} ({kind}, {}-{}-{environment}, commit {})\nair-gap protocol: IoTDB 1.3.1 to 2.0\nspool format: 1",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        commit.unwrap_or("unknown"),
    )
}

const USAGE: u8 = 2;
const FOUND: u8 = 3;

const SPOOL_EXAMPLES: &str = "Examples, after the program's name:
  spool ls --from 4711                              what waits, from there on
  spool show 4711                                   one entry
  spool verify                                      compare every checksum and hash; exits with 1 on a flaw
  spool export 4711-4720 /tmp/out                   as files and requests
  spool release                                     after a pipe or the landing was taken out for good";

const TSFILE_EXAMPLES: &str = "Examples, after the program's name:
  tsfile ls day.tsfile                              devices, series, types, points, times, sizes
  tsfile show day.tsfile --series temperature --from 2026-11-22 --format csv
  tsfile check *.tsfile                             exits with 3 on a flaw
  tsfile cut day.tsfile -o noon.tsfile --keep 'root.plant.**' --from 2026-11-22T12:00 --to 2026-11-22T12:59:59.999
  tsfile plot day.tsfile --series temperature
  tsfile plot day.tsfile --series 'root.plant.d1.*' --svg day.svg";

const SENDER_EXAMPLES: &str = "Examples:
  penstock-sender check --connect                   is all well, and does the gate answer?
  penstock-sender                                   run with the configuration file
  penstock-sender --data-dir /tmp/s --set 'pipe=[{name=\"out\",sink={sink=\"iotdb-air-gap-sink\",node-urls=\"10.53.53.53:9780\"}}]'
  penstock-sender status --watch                    follow a file across the gate
  penstock-sender status --check                    exit code 3 when something needs a person
  penstock-sender ack quarantine                    seen; stop alarming
  penstock-sender sql 'show pipes'                  pipes as in IoTDB; without arguments a prompt
  penstock-sender spool ls --from 4711              what waits
  penstock-sender tsfile check *.tsfile             is every file sound?";

const RECEIVER_EXAMPLES: &str = "Examples:
  penstock-receiver check                           is all well?
  penstock-receiver                                 run with the configuration file
  penstock-receiver --data-dir /tmp/r --set gate.listen=0.0.0.0:9780
  penstock-receiver status --watch                  follow files as they come
  penstock-receiver status --check                  exit code 3 when something needs a person
  penstock-receiver ack quarantine                  seen; stop alarming
  penstock-receiver sql 'show pipes'                pipes as in IoTDB; without arguments a prompt
  penstock-receiver spool verify                    compare every checksum and hash
  penstock-receiver tsfile show FILE --series 'root.plant.d1.*' --format csv
  penstock-receiver tsfile plot FILE --series root.plant.d1.temperature";

//! `penstock-gate`: a one-way network gate to rehearse with.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use penstock_gate::{
    BUFFER_BYTES_DEFAULT, Chance, Config, Event, OnViolation, ReplyPolicy, ReplyValues, Rule,
    Trigger, parse_duration, parse_rate, parse_script, parse_size,
};

const ABOUT: &str = "\
Plays a one-way network gate, so that an installation can be rehearsed before the gate is there, \
and with everything that such gates do wrong.";

const MORE: &str = "\
The sender connects to --listen, the virtual address; the gate connects to --target, where the
receiver is. TCP ends at the gate on both sides, as it does in the real ones: a sender that is
connected has not reached anyone yet. The first line of output is the address the gate listens at
(ask for port 0 and read it there); after that, each line is one event, as key=value.

A fault is written as its name and at most one argument:

  drop-answer  late-answer 2s  double-answer  wrong-answer 0x7f  unasked-answer 0xff
  stall 3min  black-hole [30s]  forget  reset  close  half-open [3]
  swallow-fin  swallow-rst  segment 1  flip-bit
  bandwidth 10Mbit  round-trip 40ms  refuse 30s  strangers 40

A script has one rule a line, and --fault takes the same text:

  at 10s: stall 3min                a time since the start; acts on every connection
  at 3 frames: late-answer 2s       when the third whole frame has come from the inner side
  at 512KiB: reset                  when that many bytes have, in mid-frame if it falls so
  every 50 answers: drop-answer     when each fiftieth answer has come, before it goes on
  at 2 connections: half-open       when the second connection is opened

Examples:

  A gate of 100 Mbit/s and 5 ms in front of a receiver on this machine:
    penstock-gate --listen 127.0.0.1:19780 --target 127.0.0.1:9780 --bandwidth 100Mbit --round-trip 5ms

  A gate that passes E-language only, all zeros only, and cuts whoever does not comply:
    penstock-gate --target 127.0.0.1:9780 --e-language --replies zeros --on-violation cut

  A bad night in ten minutes: a fault in about one of 200 frames, times shortened to a twentieth:
    penstock-gate --target 127.0.0.1:9780 --seed 7 --seed-frames 200 --time-scale 0.05

  The gate forgets silent connections, and loses the answer to the third frame:
    penstock-gate --target 127.0.0.1:9780 --idle-kill 60s --fault 'at 3 answers: drop-answer'
";

/// The command line.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(name = "penstock-gate", version, about = ABOUT, after_help = MORE)]
struct Arguments {
    /// Where the sender connects to; port 0 lets the system choose
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the receiver is
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    target: SocketAddr,
    /// Speed of the wire in each direction, as 100Mbit; default: as fast as it goes
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    bandwidth: Option<NonZeroU64>,
    /// Time to the other side and back
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = parse_duration)]
    round_trip: Duration,
    /// What one direction of one connection holds, at least 1KiB; default: 256KiB
    #[arg(long, value_name = "SIZE", value_parser = buffer)]
    buffer: Option<usize>,
    /// Largest segment that leaves the gate, in bytes; 0: as they come
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    segment: usize,
    /// Values that a reply may have
    #[arg(long, default_value = "both")]
    replies: Values,
    /// Let replies of any length pass
    #[arg(long)]
    long_replies: bool,
    /// Let no reply pass unless a whole frame waits for one
    #[arg(long)]
    direction_lock: bool,
    /// Let only E-language pass towards the target; what is not is cut, unless only reported
    #[arg(long)]
    e_language: bool,
    /// What happens to what may not pass
    #[arg(long, default_value = "drop")]
    on_violation: Action,
    /// Forget connections that were silent this long, without a word to either end
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    idle_kill: Option<Duration>,
    /// Do not tell one side that the other has closed
    #[arg(long)]
    swallow_fin: bool,
    /// Do not tell one side that the other has reset
    #[arg(long)]
    swallow_rst: bool,
    /// Faults from a file
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// A fault, as a line of a script; may be given again
    #[arg(long, value_name = "RULE")]
    fault: Vec<String>,
    /// Faults by chance: the same seed, the same faults
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// With --seed: frames between two faults, on average
    #[arg(long, default_value = "100", value_name = "NUMBER")]
    seed_frames: NonZeroU64,
    /// Multiplies the times of all faults
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = scale)]
    time_scale: f64,
    /// Tell of every frame and answer too
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Values {
    /// 0x00 and 0xFF
    Both,
    /// 0x00
    Zeros,
    /// 0xFF
    Ones,
    /// Any byte
    Any,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Action {
    /// It is reported and passes
    Report,
    /// It is reported and dropped
    Drop,
    /// It is reported and the connection is reset
    Cut,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let verbose = arguments.verbose;
    let config = match configure(&arguments) {
        Ok(config) => config,
        Err(error) => return fail(2, &error),
    };
    match run(config, verbose) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error.to_string()),
    }
}

fn run(config: Config, verbose: bool) -> io::Result<()> {
    let gate = penstock_gate::start(config, move |event| print(event, verbose))?;
    let mut output = io::stdout().lock();
    writeln!(output, "{}", gate.address())?;
    output.flush()?;
    drop(output);
    gate.wait()
}

/// A gate whose output nobody reads any more goes on all the same.
fn print(event: &Event, verbose: bool) {
    if verbose || !event.what.is_frequent() {
        let mut output = io::stdout().lock();
        drop(writeln!(output, "{event}").and_then(|()| output.flush()));
    }
}

fn configure(arguments: &Arguments) -> Result<Config, String> {
    let script = rules(arguments)?;
    let chance =
        arguments.seed.map(|seed| Chance::new(seed, arguments.seed_frames, arguments.time_scale));
    Ok(Config {
        listen: arguments.listen,
        target: arguments.target,
        bandwidth: arguments.bandwidth,
        round_trip: arguments.round_trip,
        buffer_bytes: arguments.buffer.unwrap_or(BUFFER_BYTES_DEFAULT),
        segment_bytes: arguments.segment,
        replies: ReplyPolicy {
            values: arguments.replies.into(),
            one_byte: !arguments.long_replies,
            direction_lock: arguments.direction_lock,
            on_violation: arguments.on_violation.into(),
        },
        e_language_only: arguments.e_language,
        idle_kill: arguments.idle_kill,
        swallow_fin: arguments.swallow_fin,
        swallow_rst: arguments.swallow_rst,
        script,
        chance,
    })
}

/// The script's rules, then those of the command line, with their times scaled.
fn rules(arguments: &Arguments) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    if let Some(path) = &arguments.script {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        rules = parse_script(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    for text in &arguments.fault {
        rules.extend(parse_script(text).map_err(|error| format!("--fault {text:?}: {error}"))?);
    }
    for rule in &mut rules {
        rule.fault = rule.fault.scaled(arguments.time_scale);
        if let Trigger::Time(time) = &mut rule.trigger {
            *time = Duration::try_from_secs_f64(time.as_secs_f64() * arguments.time_scale)
                .map_err(|error| format!("--time-scale: {error}"))?;
        }
    }
    Ok(rules)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "no such address".into())
}

fn buffer(text: &str) -> Result<usize, String> {
    const LEAST: usize = 1024;
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    let bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
    if bytes < LEAST { Err(format!("less than {LEAST} bytes")) } else { Ok(bytes) }
}

fn scale(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if factor > 0.0 && factor.is_finite() { Ok(factor) } else { Err("not above zero".into()) }
}

fn fail(code: u8, error: &str) -> ExitCode {
    drop(writeln!(io::stderr().lock(), "penstock-gate: {error}"));
    ExitCode::from(code)
}

impl From<Values> for ReplyValues {
    fn from(values: Values) -> Self {
        match values {
            Values::Both => Self::Both,
            Values::Zeros => Self::Zeros,
            Values::Ones => Self::Ones,
            Values::Any => Self::Any,
        }
    }
}

impl From<Action> for OnViolation {
    fn from(action: Action) -> Self {
        match action {
            Action::Report => Self::Report,
            Action::Drop => Self::Drop,
            Action::Cut => Self::Cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn configured(arguments: &[&str]) -> Result<Config, String> {
        let given = ["penstock-gate", "--target", "127.0.0.1:9"].iter().chain(arguments);
        configure(&Arguments::try_parse_from(given).map_err(|error| error.to_string())?)
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_rule_that_the_help_shows_is_read() {
        for line in
            MORE.lines().filter(|line| line.starts_with("  at ") || line.starts_with("  every "))
        {
            let rule = line.split("   ").next().unwrap().trim();
            configured(&["--fault", rule]).unwrap();
        }
    }

    #[test]
    fn times_of_rules_are_scaled() {
        let config = configured(&["--fault", "at 10s: stall 3min", "--time-scale", "0.1"]).unwrap();
        assert_eq!(config.script[0].trigger, Trigger::Time(Duration::from_secs(1)));
        assert_eq!(config.script[0].fault.to_string(), "stall 18s");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(configured(&["--fault", "at noon: reset"]).unwrap_err().contains("noon"));
        assert!(configured(&["--bandwidth", "fast"]).is_err());
        assert!(configured(&["--time-scale", "0"]).is_err());
        assert!(configured(&["--buffer", "1B"]).is_err());
        assert!(configured(&["--script", "/does/not/exist"]).unwrap_err().contains("/does/not"));
    }
}

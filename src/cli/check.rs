//! `check`: what would run, how long the far side may be away, and every mistake; changes nothing.

use std::io::{self, Write};

use super::machine::{self, free_bytes};
use super::{CheckArguments, CliError, Ending, Options, advice, load, probe, status};
use crate::config::{self, Config, Finding, Place, Role, Severity, Size};
use crate::ops::human::{Age, Bytes, Rate};
use crate::ops::status::Status;

/// `check`.
pub(super) fn check(
    role: Role,
    options: &Options,
    arguments: &CheckArguments,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let rate = arguments.rate.as_deref().map(parse_rate).transpose()?;
    let mut loaded = load::load(role, options)?;
    let running = status::running(role, options)?;
    let config = &loaded.config;
    match &loaded.file {
        Some(file) => writeln!(out, "{}, configured by {}", role.program(), file.display())?,
        None => writeln!(out, "{}, without a configuration file", role.program())?,
    }
    let has_errors = loaded.has_errors();
    look(config, running.is_some(), &mut loaded.findings);
    if !has_errors {
        what_runs(config, running.as_ref(), out)?;
        how_long(config, running.as_ref(), rate, out)?;
        advice::print(config, out)?;
    }
    let connect = arguments.connect && !has_errors;
    let reached = if connect { probe::all(config, out) } else { Ok(()) };
    mistakes(&loaded.findings, out)?;
    reached.map(|()| Ending::Done)
}

/// Looks at the machine. Beside mistakes of the file only what a person wrote is looked at, and not its mistakes: the
/// rest may be a default that stands in for one.
fn look(config: &Config, is_running: bool, findings: &mut Vec<Finding>) {
    let is_whole = !findings.iter().any(|finding| finding.severity == Severity::Error);
    let mut seen = Vec::new();
    machine::look(config, is_running, &mut seen);
    seen.retain(|finding| {
        let is_said = findings.iter().any(|said| said.place == finding.place);
        // Pipes with mistakes are left out, so that the others have not the places that they seem to have.
        let is_placed = finding.place != Place::Nowhere && !finding.key.starts_with("pipe[");
        is_whole || (is_placed && !is_said)
    });
    findings.append(&mut seen);
    config::sort(findings);
}

fn parse_rate(text: &str) -> Result<u64, CliError> {
    let size = Size::parse(text).filter(|size| size.0 > 0);
    let wrong = || CliError::Usage(format!("--rate {text}: expected a size such as 100KiB"));
    size.map(|size| size.0).ok_or_else(wrong)
}

fn mistakes(findings: &[Finding], out: &mut impl Write) -> Result<(), CliError> {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if findings.is_empty() {
        writeln!(out, "\nNo mistakes.")?;
        return Ok(());
    }
    writeln!(out, "\nMISTAKES AND REMARKS")?;
    for finding in findings {
        writeln!(out, "  {finding}")?;
    }
    writeln!(out, "\n{errors} errors, {} warnings.", findings.len() - errors)?;
    if errors == 0 { Ok(()) } else { Err(CliError::Mistakes) }
}

fn what_runs(config: &Config, running: Option<&Status>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nWHAT RUNS")?;
    match running {
        Some(status) => {
            let uptime = Age(status.node.uptime_seconds);
            writeln!(out, "  node      {} (running for {uptime})", config.name)?;
        }
        None => writeln!(out, "  node      {} (not running)", config.name)?,
    }
    writeln!(out, "  state     {}", config.data_dir.display())?;
    let gate = &config.gate;
    if gate.enabled {
        let (listen, frames) = (gate.listen, Bytes(gate.max_frame_bytes));
        let peers: Vec<String> = gate.allow.iter().map(ToString::to_string).collect();
        let peers = if peers.is_empty() { "all peers".to_owned() } else { peers.join(", ") };
        let login = if gate.credentials.is_some() { ", with a login" } else { "" };
        writeln!(out, "  gate      {listen}, frames up to {frames}, {peers}{login}")?;
    }
    if let Some(session) = &config.session {
        let (listen, user) = (session.listen, &session.credentials.user);
        writeln!(out, "  session   {listen}, IoTDB's clients and thrift pipes, user {user}")?;
    }
    if let Some(inbox) = &config.inbox {
        let after = match &inbox.archive_dir {
            Some(dir) => format!("archived to {}", dir.display()),
            None => "deleted once they are safe".to_owned(),
        };
        writeln!(out, "  inbox     {}, files are {after}", inbox.dir.display())?;
    }
    if config.landing.enabled {
        writeln!(out, "  landing   {}", config.landing.dir.display())?;
    }
    for pipe in &config.pipes {
        let Some(sink) = &pipe.sink else {
            writeln!(out, "  pipe      {} -> nowhere", pipe.name)?;
            continue;
        };
        let targets: Vec<String> = sink.targets.iter().map(ToString::to_string).collect();
        let (name, targets, piece) =
            (&pipe.name, targets.join(", "), Bytes(sink.piece_bytes as u64));
        writeln!(out, "  pipe      {name} -> {targets}, pieces of {piece}")?;
    }
    match config.status_listen {
        Some(address) => writeln!(out, "  status    http://{address}/")?,
        None => writeln!(out, "  status    control socket only")?,
    }
    if let Some(program) = config.alarm_command.first() {
        writeln!(out, "  alarm     {program}")?;
    }
    if config.pipes.is_empty() && !config.landing.enabled {
        writeln!(
            out,
            "  nothing takes data out: what comes in stays in the spool until it is full"
        )?;
    }
    Ok(())
}

/// How long the spool lasts while nothing goes out.
fn how_long(
    config: &Config,
    running: Option<&Status>,
    rate: Option<u64>,
    out: &mut impl Write,
) -> io::Result<()> {
    let used = running.map_or(0, |status| status.spool.bytes);
    let disk = free_bytes(&config.data_dir);
    let by_disk = disk.saturating_add(used).saturating_sub(config.spool.reserve_bytes);
    let quota = config.spool.max_bytes.min(by_disk);
    let room = quota.saturating_sub(used);
    writeln!(out, "\nHOW LONG THE FAR SIDE MAY BE AWAY")?;
    writeln!(
        out,
        "  The spool has room for {} more: max_bytes {}, the disk has {} free, reserve_bytes {}.",
        Bytes(room),
        Bytes(config.spool.max_bytes),
        Bytes(disk),
        Bytes(config.spool.reserve_bytes)
    )?;
    let line = |out: &mut dyn Write, what: &str, rate: u64| {
        let seconds = room / rate.max(1);
        writeln!(out, "  {what:<24} {:>12}  {}", Rate(rate).to_string(), Age(seconds))
    };
    if let Some(present) = running.and_then(present_rate) {
        line(out, "at the rate since start", present)?;
    }
    match rate {
        Some(rate) => line(out, "at the rate given", rate)?,
        None => RATES.iter().try_for_each(|rate| line(out, "at", *rate))?,
    }
    Ok(())
}

/// Bytes a second that have come in since the start; none if nothing came.
fn present_rate(status: &Status) -> Option<u64> {
    let bytes: u64 = status.intakes.iter().map(|intake| intake.accepted_bytes).sum();
    bytes.checked_div(status.node.uptime_seconds).filter(|rate| *rate > 0)
}

/// A slow sensor net, a plant, a large plant.
const RATES: [u64; 3] = [10 * 1024, 100 * 1024, 1024 * 1024];

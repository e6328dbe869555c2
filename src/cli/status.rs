//! `status` and `ack`: ask a running node over its control socket.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time;

use super::{CliError, Ending, Options, StatusArguments, load, screen};
use crate::config::Role;
use crate::ops::board::TroubleKind;
use crate::ops::human::Line;
use crate::ops::status::{ControlError, Status, TroubleReport, control_path, request};

/// `status`.
pub(super) fn status(
    role: Role,
    options: &Options,
    arguments: &StatusArguments,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let socket = socket(role, options)?;
    if arguments.watch {
        return block_on(watch(&socket, out));
    }
    let text = ask(&socket, "/status", None)?;
    let status = parse(&text)?;
    if arguments.json {
        out.write_all(text.as_bytes())?;
    } else {
        screen::print(&status, out)?;
    }
    let found = arguments.check && status.needs_person();
    Ok(if found { Ending::Found } else { Ending::Done })
}

/// `ack`.
pub(super) fn acknowledge(
    role: Role,
    options: &Options,
    what: Option<String>,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let socket = socket(role, options)?;
    let text = ask(&socket, "/ack", Some(what.clone().unwrap_or_default()))?;
    let seen: Vec<TroubleReport> = serde_json::from_str(&text).map_err(|_| CliError::Unexpected)?;
    if seen.is_empty() {
        let there = parse(&ask(&socket, "/status", None)?)?.trouble;
        if let Some(what) = what.filter(|what| !is_name(what, &there)) {
            return Err(no_such_trouble(&what, &there));
        }
        writeln!(out, "nothing to acknowledge")?;
    }
    for trouble in seen {
        let subject = if trouble.subject.is_empty() { "" } else { ":" };
        let (of, what) = (Line(&trouble.subject), Line(&trouble.what));
        writeln!(out, "seen: {}{subject}{of}  {what}", trouble.kind)?;
    }
    Ok(Ending::Done)
}

/// Whether `what` can name trouble: a kind, or the subject of what is there, as `kind:subject` too.
fn is_name(what: &str, there: &[TroubleReport]) -> bool {
    let (kind, subject) = what.split_once(':').unwrap_or((what, ""));
    let is_kind = TroubleKind::from_name(kind).is_some() && subject.is_empty();
    is_kind || there.iter().any(|one| one.subject == what || is_both(one, kind, subject))
}

fn is_both(one: &TroubleReport, kind: &str, subject: &str) -> bool {
    one.kind == kind && one.subject == subject
}

fn no_such_trouble(what: &str, there: &[TroubleReport]) -> CliError {
    let named = |one: &TroubleReport| match one.subject.as_str() {
        "" => one.kind.clone(),
        subject => format!("{}:{subject}", one.kind),
    };
    let there: Vec<_> = there.iter().map(named).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    CliError::Usage(format!("there is no trouble {what:?}; there is: {there}"))
}

/// Asks the node on `socket`.
pub(super) fn ask(socket: &Path, target: &str, body: Option<String>) -> Result<String, CliError> {
    block_on(async { Ok(request(socket, target, body).await?) })
}

/// The status of the node that runs on the configured data directory; none if none runs.
pub(super) fn running(role: Role, options: &Options) -> Result<Option<Status>, CliError> {
    let socket = socket(role, options)?;
    match ask(&socket, "/status", None) {
        Ok(text) => Ok(Some(parse(&text)?)),
        Err(CliError::Control(ControlError::Absent { .. })) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The control socket: in the data directory, or where the service has it.
pub(super) fn socket(role: Role, options: &Options) -> Result<PathBuf, CliError> {
    let loaded = load::load(role, options)?;
    let runtime = std::env::var("RUNTIME_DIRECTORY").ok();
    let own = control_path(&loaded.config.data_dir, runtime.as_deref());
    // Without any option or file it is the service that is meant, whatever the working directory.
    let plain = options.data_dir.is_none() && options.set.is_empty() && loaded.file.is_none();
    let service = Path::new(SERVICE_SOCKET);
    Ok(if plain && !own.exists() && service.exists() { service.to_owned() } else { own })
}

/// Shows the status every second until the node goes away. On a terminal the screen is written over.
async fn watch(socket: &Path, out: &mut impl Write) -> Result<Ending, CliError> {
    let over = io::stdout().is_terminal();
    let mut ticks = time::interval(WATCH_PERIOD);
    loop {
        ticks.tick().await;
        let status = parse(&request(socket, "/status", None).await?)?;
        let mut text = Vec::new();
        screen::print(&status, &mut text)?;
        if over {
            // Home, then each line cleared to its end, then everything below: no flicker.
            out.write_all(b"\x1b[H")?;
            for line in text.split(|byte| *byte == b'\n') {
                out.write_all(line)?;
                out.write_all(b"\x1b[K\n")?;
            }
            out.write_all(b"\x1b[J")?;
        } else {
            out.write_all(&text)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
    }
}

fn parse(text: &str) -> Result<Status, CliError> {
    serde_json::from_str(text).map_err(|_| CliError::Unexpected)
}

pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Where the shipped units have it.
const SERVICE_SOCKET: &str = "/var/lib/penstock/control.sock";
const WATCH_PERIOD: Duration = Duration::from_secs(1);

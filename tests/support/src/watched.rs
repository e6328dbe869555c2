//! Commands that are run to their end, with their time and the most memory that they had.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{clock, memory};

/// How often the peak of a process is looked at.
const LOOK: Duration = Duration::from_millis(3);

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// From its start to its end.
    pub seconds: f64,
    /// The most that it had resident, as far as was seen: what it took in its last milliseconds is not.
    pub peak_bytes: u64,
}

/// Runs a command to its end; its output goes nowhere.
///
/// # Errors
/// If it cannot be started, or fails.
pub fn watch(command: &mut Command) -> io::Result<Took> {
    let start = clock::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak_bytes.max(peak(&child).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        clock::pause(LOOK);
    };
    let seconds = (clock::now() - start).as_secs_f64();
    if !status.success() {
        return Err(io::Error::other(format!("{command:?} ended with {status}")));
    }
    Ok(Took { seconds, peak_bytes })
}

/// Bytes at most so far; `None` once it has ended.
fn peak(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    memory::peak(&status)
}

//! A far side that is a program of somebody's own: a child whose standard input and output are one socket.
//!
//! ```text
//!  Line ===== socket pair =====> standard input    frames, as through a gate
//!       <=====             ===== standard output   one byte a frame
//!                                standard error    so many lines a minute go to the log (`said.rs`)
//! ```
//!
//! A connection is a child: to close it is to kill it with all that it has started, to connect is to start it. So a
//! child that dies, answers anything but 0x00, or takes too long, is a far side that fails, and is tried again after
//! a pause that grows. Before each start the executable is held against what was kept, on a thread that may wait for
//! the disk.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group,
    prlimit, waitid,
};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::{self, JoinHandle};
use tokio::time::{sleep, timeout};

use super::leftovers::mark;
use super::said::pass_on;
use crate::limits::{PLUGIN_END_MAX, PLUGIN_END_STEP, PLUGIN_MEMORY_BYTES_MAX};

/// What is run for a pipe.
#[derive(Debug, Clone)]
pub struct Program {
    /// The plug-in's name.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The node's data directory, in whose `plugins` it runs.
    pub data_dir: PathBuf,
    /// Whether the executable is what was kept.
    pub verify: Verify,
    /// The pipe that it runs for, which it finds in `PENSTOCK_PIPE`.
    pub pipe: String,
}

/// Says whether an executable is what was kept; it may wait for the disk. [`io::ErrorKind::InvalidData`] if it is not.
#[derive(Clone)]
pub struct Verify(pub Arc<dyn Fn() -> io::Result<()> + Send + Sync>);

impl fmt::Debug for Verify {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Verify")
    }
}

/// The name of the plug-in.
impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "plug-in {}", self.name)
    }
}

/// A program that runs. It ends with this.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    name: String,
    /// What it writes to its standard error.
    said: JoinHandle<()>,
}

/// A program that is being started.
pub(super) type Starting = JoinHandle<io::Result<(UnixStream, Running)>>;

impl Program {
    /// Starts it on a thread of its own, as a disk may keep whoever reads it; what it is sent goes into the socket, and
    /// what it answers comes out. It ends if nobody waits for it.
    pub(super) fn start(&self) -> Starting {
        let program = self.clone();
        task::spawn_blocking(move || program.start_here())
    }

    fn start_here(&self) -> io::Result<(UnixStream, Running)> {
        (self.verify.0)()?;
        let (key, marked) = mark(&self.data_dir)?;
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        let input = OwnedFd::from(theirs.try_clone()?);
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .current_dir(self.data_dir.join("plugins"))
            // Secrets of the configuration may lie in the environment.
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|key| Some((key, std::env::var_os(key)?))))
            .env("PENSTOCK_PIPE", &self.pipe)
            .env(key, marked)
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            // The executable itself was there just now.
            let is_interpreter = error.kind() == io::ErrorKind::NotFound;
            if is_interpreter { io::Error::new(io::ErrorKind::InvalidInput, error) } else { error }
        })?;
        let (name, stderr) = (self.name.clone(), child.stderr.take());
        let said = task::spawn(pass_on(stderr, name.clone()));
        let running = Running { child, name, said };
        running.limit()?;
        Ok((UnixStream::from_std(ours)?, running))
    }
}

impl Running {
    /// Its memory ends there, and it leaves no image of it: from before it is sent anything.
    fn limit(&self) -> io::Result<()> {
        // Without one it would be this very process that is limited.
        let Some(pid) = self.pid() else { return Ok(()) };
        let limits = [(Resource::As, PLUGIN_MEMORY_BYTES_MAX), (Resource::Core, 0)];
        for (resource, most) in limits {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            match prlimit(Some(pid), resource, limit) {
                // It has ended already, which is found in its turn.
                Err(rustix::io::Errno::SRCH) => {}
                limited => drop(limited?),
            }
        }
        Ok(())
    }

    /// Ends it. One whose socket has ended is about to end by itself: that is waited for a moment, so that the log has
    /// its last words and, if `is_told`, how it ended.
    pub(super) async fn end(mut self, is_told: bool) {
        let Some(pid) = self.pid() else { return };
        let last = async {
            // Its standard error ends with it, unless somebody else has that, too.
            drop((&mut self.said).await);
            while has_ended(pid).is_none() {
                sleep(PLUGIN_END_STEP).await;
            }
        };
        let _runs_on = timeout(PLUGIN_END_MAX, last).await.is_err();
        if is_told && let Some(status) = has_ended(pid) {
            let (code, signal) = (status.exit_status(), status.terminating_signal());
            let name = &self.name;
            log::warn!("event=plugin_ended plugin={name:?} status={code:?} signal={signal:?}");
        }
    }

    /// None once it has ended and been waited for.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

/// How a child has ended, if it has. It is only looked at: its number belongs to it, and to its group, until it has been
/// waited for.
fn has_ended(pid: Pid) -> Option<WaitIdStatus> {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), ended).ok().flatten()
}

/// Whatever it has started ends with it, also if it has ended itself.
impl Drop for Running {
    fn drop(&mut self) {
        self.said.abort();
        let Some(pid) = self.pid() else { return };
        if let Err(error) = kill_process_group(pid, Signal::KILL) {
            log::warn!("event=plugin_not_killed plugin={:?} error=\"{error}\"", self.name);
        }
    }
}

/// What a program finds of the node's environment.
const PASSED_ON: [&str; 4] = ["PATH", "LANG", "TZ", "TMPDIR"];

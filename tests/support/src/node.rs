//! A running half.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::programs::{Program, Programs};
use crate::wait::{self, Late};
use crate::{clock, memory};

/// How long a node may take to say that it is ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long a status may take.
const STATUS_MAX: Duration = Duration::from_secs(10);
/// What one notification has at most.
const NOTIFICATION_BYTES: usize = 4096;

/// Starts so far, so that no two share a notification socket.
static STARTS: AtomicU32 = AtomicU32::new(0);

/// What can go wrong with a node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file, a socket or the program itself.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// The program ended before it was ready.
    #[error("the program ended with {status} before it was ready:\n{log}")]
    Ended {
        /// Its exit status.
        status: ExitStatus,
        /// What it had logged.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{late}; log:\n{log}")]
    Late {
        /// What did not happen.
        late: Late,
        /// What it had logged.
        log: String,
    },
    /// The node has a remark on its configuration.
    #[error("the configuration: {0}")]
    Remarked(String),
    /// The status is not what operator.md promises.
    #[error("status: {0}")]
    Status(String),
}

/// How a node is started.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Which half.
    pub program: Program,
    /// Its data directory, which survives restarts.
    pub data_dir: PathBuf,
    /// `--set KEY=VALUE`, as given.
    pub set: Vec<String>,
    /// A configuration file.
    pub config: Option<PathBuf>,
    /// Environment.
    pub environment: Vec<(String, String)>,
    /// The program's file, if it is not the released one.
    pub executable: Option<PathBuf>,
}

/// A running half. It is killed when it is dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    notify: UnixDatagram,
    notify_path: PathBuf,
    settings: NodeSettings,
    started: Instant,
    ready_after: Option<Duration>,
}

/// Bytes that a process moved, as `/proc/PID/io` counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessIo {
    /// Given to `write` and its kin, the page cache included.
    pub written_characters: u64,
    /// Sent to the block layer.
    pub written_bytes: u64,
}

impl NodeSettings {
    /// A receiver with every listener on a port of the system's choice.
    pub fn receiver(data_dir: &Path) -> Self {
        Self::new(Program::Receiver, data_dir).set("gate.listen", "127.0.0.1:0")
    }

    /// A sender that takes files from `inbox` below its data directory.
    pub fn sender(data_dir: &Path) -> Self {
        Self::new(Program::Sender, data_dir)
    }

    fn new(program: Program, data_dir: &Path) -> Self {
        let settings = Self {
            program,
            data_dir: data_dir.into(),
            set: Vec::new(),
            config: None,
            environment: Vec::new(),
            executable: None,
        };
        settings.set("status.listen", "127.0.0.1:0")
    }

    /// Sets one key, as on the command line; the last value counts.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let start = format!("{key}=");
        self.set.retain(|setting| !setting.starts_with(&start));
        self.set.push(start + value);
        self
    }

    /// Reads a configuration file.
    #[must_use]
    pub fn config(mut self, path: &Path) -> Self {
        self.config = Some(path.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Runs this file instead of the released program.
    #[must_use]
    pub fn executable(mut self, path: &Path) -> Self {
        self.executable = Some(path.into());
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time.
    pub fn start(self) -> Result<Node, NodeError> {
        let mut node = self.spawn()?;
        node.wait_ready(READY_MAX)?;
        Ok(node)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(self) -> Result<Node, NodeError> {
        let name = |path: &Path| path.display().to_string();
        fs::create_dir_all(&self.data_dir).map_err(io_error(&name(&self.data_dir)))?;
        let notify_path = self.beside(&format!("notify{}", STARTS.fetch_add(1, Ordering::Relaxed)));
        let notify = UnixDatagram::bind(&notify_path).map_err(io_error(&name(&notify_path)))?;
        let log = self.log_path();
        let log =
            File::options().create(true).append(true).open(&log).map_err(io_error(&name(&log)))?;
        let started = clock::now();
        let child = self.command(&notify_path, log).map_err(io_error("log"))?.spawn();
        let child = child.map_err(io_error(self.program.name()))?;
        Ok(Node { child, notify, notify_path, settings: self, started, ready_after: None })
    }

    /// Where it logs to, over all restarts.
    pub fn log_path(&self) -> PathBuf {
        self.beside("log")
    }

    fn command(&self, notify: &Path, log: File) -> io::Result<Command> {
        let mut command = match &self.executable {
            Some(path) => Command::new(path),
            None => Command::new(Programs::built().path(self.program)),
        };
        command.arg("run").arg("--data-dir").arg(&self.data_dir);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        for setting in &self.set {
            command.arg("--set").arg(setting);
        }
        command.env("NOTIFY_SOCKET", notify);
        command.env_remove("RUNTIME_DIRECTORY").env_remove("STATE_DIRECTORY");
        command.env_remove("PENSTOCK_CONFIG");
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// A path beside the data directory, so that the directory holds the node's own files only.
    fn beside(&self, extension: &str) -> PathBuf {
        let mut path = self.data_dir.clone().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }
}

impl Node {
    /// Waits until it says `READY=1`.
    ///
    /// # Errors
    /// When it ends before, or is not ready in time.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<(), NodeError> {
        let deadline = clock::now() + limit;
        loop {
            if self.notification(Duration::from_millis(20))?.is_some_and(|text| is_ready(&text)) {
                self.ready_after = Some(clock::now() - self.started);
                return self.reject_remarks();
            }
            if let Some(status) = self.child.try_wait().map_err(io_error("wait"))? {
                return Err(NodeError::Ended { status, log: self.log() });
            }
            if clock::now() >= deadline {
                return Err(self.late(Late { what: "READY=1".into(), limit }));
            }
        }
    }

    /// A key that a node remarks on has no effect, or not the one that its test means.
    fn reject_remarks(&self) -> Result<(), NodeError> {
        let log = self.log();
        let remark =
            log.lines().find(|line| line.contains("config ") && line.contains(" warning: "));
        remark.map_or(Ok(()), |line| Err(NodeError::Remarked(line.to_owned())))
    }

    /// How long it took from its start to `READY=1`.
    pub fn ready_after(&self) -> Option<Duration> {
        self.ready_after
    }

    /// The next of the messages to the service manager, if one comes in time.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn notification(&self, limit: Duration) -> Result<Option<String>, NodeError> {
        let mut buffer = [0; NOTIFICATION_BYTES];
        self.notify.set_read_timeout(Some(limit)).map_err(io_error("notify"))?;
        match self.notify.recv(&mut buffer) {
            Ok(count) => {
                let text = buffer.get(..count).unwrap_or_default();
                Ok(Some(String::from_utf8_lossy(text).into_owned()))
            }
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(io_error("notify")(error)),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it was started.
    pub fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// From its next start on, one key has another value.
    pub fn set_at_restart(&mut self, key: &str, value: &str) {
        self.settings = self.settings.clone().set(key, value);
    }

    /// Its status, over the control socket.
    ///
    /// # Errors
    /// When it does not answer, or not with JSON.
    pub fn status(&self) -> Result<Value, NodeError> {
        let (code, body) = self.get("/status")?;
        if code != 200 {
            return Err(NodeError::Status(format!("answered with {code}: {body}")));
        }
        serde_json::from_str(&body).map_err(|error| NodeError::Status(format!("{error}: {body}")))
    }

    /// A number of its status, as `/spool/entries`.
    ///
    /// # Errors
    /// When there is no such number.
    pub fn number(&self, pointer: &str) -> Result<u64, NodeError> {
        let status = self.status()?;
        let number = status.pointer(pointer).and_then(Value::as_u64);
        number.ok_or_else(|| NodeError::Status(format!("no number {pointer} in {status}")))
    }

    /// Where it listens: `gate` or `status`.
    ///
    /// # Errors
    /// When its status does not say so.
    pub fn listener(&self, kind: &str) -> Result<SocketAddr, NodeError> {
        let status = self.status()?;
        let listeners = status.get("listeners").and_then(Value::as_array);
        let found = listeners
            .into_iter()
            .flatten()
            .find(|listener| listener.get("kind").and_then(Value::as_str) == Some(kind));
        let address = found.and_then(|listener| listener.get("address")).and_then(Value::as_str);
        address
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| NodeError::Status(format!("no listener {kind} in {status}")))
    }

    /// A GET over the control socket: status code and body.
    ///
    /// # Errors
    /// When it does not answer, or not in HTTP.
    pub fn get(&self, path: &str) -> Result<(u16, String), NodeError> {
        let socket = self.settings.data_dir.join("control.sock");
        let answer =
            request(&socket, path).map_err(io_error(&format!("{path} at {}", socket.display())))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.ok_or_else(|| NodeError::Status(format!("not HTTP: {answer}")))?;
        Ok((code, body.into()))
    }

    /// Waits until its status is so.
    ///
    /// # Errors
    /// When it is not in time; the error has the last status in it.
    pub fn wait_status(
        &self,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value, NodeError> {
        let mut last = String::new();
        let found = wait::find(what, limit, || match self.status() {
            Ok(status) if is_so(&status) => Some(status),
            Ok(status) => {
                last = status.to_string();
                None
            }
            Err(error) => {
                last = error.to_string();
                None
            }
        });
        found.map_err(|late| {
            self.late(Late { what: format!("{} (last: {last})", late.what), ..late })
        })
    }

    /// `kill -9`, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<ExitStatus, NodeError> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(io_error("kill"))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<(), NodeError> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| NodeError::Status("no process id".into()))?;
        kill_process(pid, signal).map_err(|error| io_error("kill")(error.into()))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus, NodeError> {
        let child = &mut self.child;
        let ended = wait::find("its end", limit, || child.try_wait().transpose());
        match ended {
            Ok(status) => status.map_err(io_error("wait")),
            Err(late) => Err(self.late(late)),
        }
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn is_running(&mut self) -> Result<bool, NodeError> {
        Ok(self.child.try_wait().map_err(io_error("wait"))?.is_none())
    }

    /// Starts it again with the same settings, after it has ended.
    ///
    /// # Errors
    /// As [`NodeSettings::start`].
    pub fn restart(&mut self) -> Result<(), NodeError> {
        self.restart_with(self.settings.clone())
    }

    /// Starts it again with other settings, after it has ended.
    ///
    /// # Errors
    /// As [`NodeSettings::start`].
    pub fn restart_with(&mut self, settings: NodeSettings) -> Result<(), NodeError> {
        *self = settings.start()?;
        Ok(())
    }

    /// The most memory that it has had, in bytes, as [`memory::peak`] counts it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak_memory(&self) -> Result<u64, NodeError> {
        self.memory(memory::peak)
    }

    /// What it has allocated and holds now, in bytes: resident pages that no file has.
    ///
    /// # Errors
    /// When it has ended.
    pub fn anonymous_memory(&self) -> Result<u64, NodeError> {
        self.memory(memory::anonymous)
    }

    /// What it has computed so far, all threads together.
    ///
    /// # Errors
    /// When it has ended.
    pub fn processor_time(&self) -> Result<Duration, NodeError> {
        let path = format!("/proc/{}/stat", self.pid());
        let stat = fs::read_to_string(&path).map_err(io_error(&path))?;
        // The name before may have spaces.
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        let ticks: u64 = ticks.sum();
        Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
    }

    /// What it has moved so far.
    ///
    /// # Errors
    /// When it has ended, or belongs to somebody else.
    pub fn io(&self) -> Result<ProcessIo, NodeError> {
        Ok(ProcessIo {
            written_characters: self.proc_number("io", "wchar:")?,
            written_bytes: self.proc_number("io", "write_bytes:")?,
        })
    }

    /// What it has logged, over all restarts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.settings.log_path()).unwrap_or_default()
    }

    fn memory(&self, figure: fn(&str) -> Option<u64>) -> Result<u64, NodeError> {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).map_err(io_error(&path))?;
        figure(&status).ok_or_else(|| NodeError::Status(format!("no memory in {path}")))
    }

    fn proc_number(&self, file: &str, key: &str) -> Result<u64, NodeError> {
        let path = format!("/proc/{}/{file}", self.pid());
        let text = fs::read_to_string(&path).map_err(io_error(&path))?;
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| NodeError::Status(format!("no {key} in {path}")))
    }

    fn late(&self, late: Late) -> NodeError {
        NodeError::Late { late, log: self.log() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_file(&self.notify_path));
    }
}

fn request(socket: &Path, path: &str) -> io::Result<String> {
    let mut socket = UnixStream::connect(socket)?;
    socket.set_read_timeout(Some(STATUS_MAX))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

fn is_ready(notification: &str) -> bool {
    notification.lines().any(|line| line == "READY=1")
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> NodeError {
    let what = what.to_owned();
    move |error| NodeError::Io { what, error }
}

//! Two real nodes with statements between them: an inner one that takes tablets in, and the far side of its pipes.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]
#![expect(clippy::missing_panics_doc, reason = "that is what a rig of tests does")]

pub mod far_side;
pub mod relay;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use penstock_test_support::files;
use penstock_test_support::frames;
use penstock_test_support::node::{Node, NodeSettings};
use penstock_test_support::peer::Peer;
use penstock_test_support::programs::{Program, Programs};
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::wait;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes that is waited for.
pub const SOON: Duration = Duration::from_secs(30);

/// Of the user root at a session service.
pub const PASSWORD: &str = "zone3";

/// A node, and where its files lie.
#[derive(Debug)]
pub struct Site {
    /// The running program.
    pub node: Node,
    /// Where its gate listens.
    pub gate: SocketAddr,
    _directory: TempDir,
}

/// What a statement was answered with.
#[derive(Debug)]
pub struct Answer(Value);

impl Site {
    /// A sender that also listens at a gate, so that tablets can come.
    pub fn inner() -> Self {
        Self::inner_with(&[])
    }

    /// The same with these keys of its configuration.
    pub fn inner_with(keys: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = NodeSettings::sender(directory.path());
        let settings = settings.set("gate.enabled", "true").set("gate.listen", "127.0.0.1:0");
        let settings =
            keys.iter().fold(settings, |settings, (key, value)| settings.set(key, value));
        Self::start(settings, directory)
    }

    /// The same, for which the data of the node `theirs` counts as written here.
    pub fn inner_of_theirs() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = NodeSettings::sender(directory.path()).set("gate.enabled", "true");
        let settings = settings.set("gate.listen", "127.0.0.1:0");
        Self::start(settings.set("gate.local", r#"["theirs"]"#), directory)
    }

    /// A receiver that keeps what it takes in.
    pub fn outer() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start(
            NodeSettings::receiver(directory.path()).set("landing.enabled", "false"),
            directory,
        )
    }

    /// A receiver that lands what it takes in.
    pub fn outer_that_lands() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = NodeSettings::receiver(directory.path());
        Self::start(settings.set("landing.max_delay", "1s"), directory)
    }

    /// A receiver that lands what it takes in, also by the session service.
    pub fn outer_of_sessions() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = NodeSettings::receiver(directory.path()).set("landing.max_delay", "1s");
        let settings = settings.set("session.listen", "127.0.0.1:0");
        Self::start(
            settings.set("session.user", "root").set("session.password", PASSWORD),
            directory,
        )
    }

    /// Where its session service listens.
    pub fn session(&self) -> SocketAddr {
        self.node.listener("session").unwrap()
    }

    fn start(settings: NodeSettings, directory: TempDir) -> Self {
        let node = settings.start().unwrap();
        let gate = node.listener("gate").unwrap();
        let site = Self { node, gate, _directory: directory };
        // The status shows no number before the spool has told one.
        wait::until("the spool's numbers", SOON, || site.taken() > 0).unwrap();
        site
    }

    /// Kills the program as a loss of power would, and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.node.kill().unwrap();
        self.node.restart().unwrap();
        self.gate = self.node.listener("gate").unwrap();
    }

    /// Where its files lie.
    pub fn data_dir(&self) -> &Path {
        &self.node.settings().data_dir
    }

    /// The program's `sql` command with these arguments: whether it succeeded, and what it printed.
    pub fn sql_command(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(Programs::built().path(Program::Sender));
        command.arg("--data-dir").arg(self.data_dir()).arg("sql").args(arguments);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// The answer to the last of some statements.
    pub fn sql(&self, text: &str) -> Answer {
        let (_, printed, said) = self.sql_command(&["--format", "json", text]);
        let answers: Result<Value, _> = serde_json::from_str(&printed);
        assert!(answers.is_ok(), "{text}: {said}");
        Answer(answers.unwrap().as_array().unwrap().last().unwrap().clone())
    }

    /// Carries out statements that have to succeed.
    pub fn done(&self, text: &str) -> Answer {
        let answer = self.sql(text);
        assert_eq!(answer.code(), 200, "{text}: {answer:?}");
        answer
    }

    /// Takes a tablet of four KiB in, whose times begin at `at` seconds.
    pub fn take(&self, at: i64) {
        let mut peer = Peer::introduce(self.gate, "theirs").unwrap();
        let payload = frames::tablet_of("root.plant.d1", 4096, at * 1000, 1);
        assert_eq!(peer.ask(&payload).unwrap(), 0);
    }

    /// Takes a tablet in whose rows begin at the time `start`, a millisecond each; its columns are `s0`, `s1` and so on.
    pub fn take_rows(&self, device: &str, columns: usize, start: i64, rows: usize) {
        let shape = frames::TabletShape { device, rows, columns, start_time: start, text_bytes: 3 };
        self.take_payload("theirs", &frames::tablet(&shape, 1));
    }

    /// Puts a file into the inbox, with what was deleted of it, and waits until it is taken in.
    #[expect(clippy::disallowed_methods, reason = "it stands for whoever puts files there")]
    pub fn take_file(&self, name: &str, shape: &TsFileShape, mods: Option<&str>) {
        let next = self.taken();
        let inbox = self.data_dir().join("inbox");
        if let Some(mods) = mods {
            fs::write(inbox.join(format!("{name}.mods")), mods).unwrap();
        }
        let beside = self.data_dir().join(name);
        shape.write(&beside).unwrap();
        fs::rename(&beside, inbox.join(name)).unwrap();
        self.wait_taken(next + 1);
    }

    /// `TsFile`s that have landed, sorted by name.
    pub fn landed(&self) -> Vec<PathBuf> {
        let mut files = files::below(&self.data_dir().join("landing")).unwrap();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "tsfile"));
        files
    }

    /// Takes a `TsFile` in, from a stock node.
    pub fn take_file_as_peer(&self) {
        let (file, _) = TsFileShape::of_size(20_000, 1).to_bytes().unwrap();
        let mut peer = Peer::introduce(self.gate, "theirs").unwrap();
        assert_eq!(peer.send_file("1-1-0-0.tsfile", &file, 8192).unwrap(), 0);
    }

    /// Takes a request in, from a node of that cluster.
    pub fn take_payload(&self, cluster: &str, payload: &[u8]) {
        let mut peer = Peer::introduce(self.gate, cluster).unwrap();
        assert_eq!(peer.ask(payload).unwrap(), 0);
    }

    /// What `spool show` says of an entry.
    pub fn shown(&self, sequence: u64) -> String {
        let program = self.node.settings().program;
        let mut command = Command::new(Programs::built().path(program));
        command.arg("--data-dir").arg(self.data_dir());
        command.args(["spool", "show", &sequence.to_string()]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// Waits until a pipe has nothing more before it.
    pub fn wait_done(&self, pipe: &str) {
        let is_done = || self.cell(pipe, "RemainingEventCount") == "0";
        wait::until("the pipe to be done", SOON, is_done).unwrap();
    }

    /// Entries that it has taken in so far.
    pub fn taken(&self) -> u64 {
        self.node.number("/spool/next_sequence").unwrap()
    }

    /// A sink to a port where nobody listens.
    pub const NOBODY: &str =
        "with sink ('sink'='iotdb-air-gap-sink','sink.ip'='127.0.0.1','sink.port'='1')";

    /// Waits until it has taken so many.
    pub fn wait_taken(&self, count: u64) {
        wait::until("entries on the far side", SOON, || self.taken() == count).unwrap();
    }

    /// The kinds of trouble that it tells of.
    pub fn troubles(&self) -> Vec<String> {
        let status = self.node.status().unwrap();
        let kinds = status.get("trouble").and_then(Value::as_array).into_iter().flatten();
        kinds.filter_map(|one| one.get("kind")?.as_str().map(str::to_owned)).collect()
    }

    /// One cell of the only pipe of that name.
    pub fn cell(&self, pipe: &str, column: &str) -> String {
        self.done(&format!("show pipe {pipe}")).cells(column).remove(0)
    }
}

impl Answer {
    /// The status code.
    pub fn code(&self) -> u64 {
        self.0.get("code").and_then(Value::as_u64).unwrap()
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        self.0.get("message").and_then(Value::as_str).unwrap()
    }

    /// The line, with a caret below the place.
    pub fn excerpt(&self) -> &str {
        self.0.get("excerpt").and_then(Value::as_str).unwrap_or_default()
    }

    /// What was said besides.
    pub fn warnings(&self) -> Vec<&str> {
        let warnings = self.0.get("warnings").and_then(Value::as_array);
        warnings.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether it shows a table.
    pub fn has_table(&self) -> bool {
        self.0.pointer("/table/columns").is_some()
    }

    /// The titles.
    pub fn columns(&self) -> Vec<&str> {
        let columns = self.0.pointer("/table/columns").and_then(Value::as_array).unwrap();
        columns.iter().filter_map(Value::as_str).collect()
    }

    /// The rows.
    pub fn rows(&self) -> Vec<Vec<&str>> {
        let rows = self.0.pointer("/table/rows").and_then(Value::as_array).unwrap();
        rows.iter().map(cells).collect()
    }

    /// The cells of one column.
    pub fn cells(&self, column: &str) -> Vec<String> {
        let index = self.columns().iter().position(|title| *title == column).unwrap();
        self.rows().iter().map(|row| (*row.get(index).unwrap()).to_owned()).collect()
    }
}

fn cells(row: &Value) -> Vec<&str> {
    row.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// Points of a file, a line each, as `tsfile show` prints them; `arguments` say which.
pub fn points(file: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(Programs::built().path(Program::Receiver));
    command.args(["tsfile", "show"]).arg(file).args(["--format", "csv", "--limit", "0"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// A sink clause for the gate at `address`.
pub fn to(address: SocketAddr) -> String {
    format!(
        "with sink ('sink'='iotdb-air-gap-sink','sink.ip'='{}','sink.port'='{}')",
        address.ip(),
        address.port()
    )
}

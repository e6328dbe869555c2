//! The stage of the end-to-end tests: real programs, a gate between them, files that cross.
//!
//! ```text
//!  Inner: inbox/ [sender] --> Gate (in this process) --> Outer: [receiver] landing/ --> Fetcher
//! ```
//! The tests are in `tests/`, one file a promise. Helpers panic: a stage that cannot be set has
//! failed its test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "the helpers of a test are a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use penstock_test_support::files::{below, blake3};
use penstock_test_support::node::{Node, NodeSettings};
use penstock_test_support::ports::Port;
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::{clock, wait};
use serde_json::Value;
use tempfile::TempDir;

/// What has to happen happens within this time.
pub const SOON: Duration = Duration::from_secs(30);

/// One MiB.
pub const MIB: u64 = 1 << 20;

/// A receiver and its landing directory.
#[derive(Debug)]
pub struct Outer {
    /// The program.
    pub node: Node,
    /// Where its gate listens, also after a restart.
    pub address: SocketAddr,
    _port: Port,
    /// Where it lands files.
    pub landing: PathBuf,
    /// Everything it has on disk.
    pub directory: TempDir,
}

/// A sender and its inbox.
#[derive(Debug)]
pub struct Inner {
    /// The program.
    pub node: Node,
    /// Where it takes files from.
    pub inbox: PathBuf,
    /// Everything it has on disk.
    pub directory: TempDir,
}

/// Takes landed files away, as a plant's script does, and remembers what it took.
#[derive(Debug, Default)]
pub struct Fetcher {
    taken: BTreeMap<String, Vec<String>>,
}

impl Outer {
    /// A receiver with these settings beside its own.
    pub fn start(change: impl FnOnce(NodeSettings) -> NodeSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let landing = directory.path().join("landing");
        let port = Port::take().unwrap();
        let settings = NodeSettings::receiver(&directory.path().join("data"))
            .set("gate.listen", &port.address().to_string())
            .set("landing.dir", &landing.display().to_string());
        let node = change(settings).start().unwrap();
        Self { node, address: port.address(), _port: port, landing, directory }
    }

    /// `kill -9`, and a new start on the same address.
    pub fn kill_and_restart(&mut self) {
        self.node.kill().unwrap();
        self.node.restart().unwrap();
    }
}

impl Inner {
    /// A sender with a pipe to `target`, more attributes of its sink, and more settings.
    pub fn start(
        target: SocketAddr,
        attributes: &[(&str, &str)],
        change: impl FnOnce(NodeSettings) -> NodeSettings,
    ) -> Self {
        Self::start_with(&[pipe_toml("across", target, attributes)], change)
    }

    /// A sender with so many pipes to `target`.
    pub fn with_pipes(count: usize, target: SocketAddr) -> Self {
        let pipes: Vec<_> =
            (0..count).map(|number| pipe_toml(&format!("p{number}"), target, &[])).collect();
        Self::start_with(&pipes, |settings| settings)
    }

    fn start_with(pipes: &[String], change: impl FnOnce(NodeSettings) -> NodeSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("inbox");
        let config = directory.path().join("sender.toml");
        fs::create_dir(&inbox).unwrap();
        let inbox_toml = format!("[inbox]\ndir = {:?}\n", inbox.display().to_string());
        fs::write(&config, inbox_toml + &pipes.concat()).unwrap();
        let settings = NodeSettings::sender(&directory.path().join("data")).config(&config);
        Self { node: change(settings).start().unwrap(), inbox, directory }
    }

    /// `kill -9`, and a new start.
    pub fn kill_and_restart(&mut self) {
        self.node.kill().unwrap();
        self.node.restart().unwrap();
    }

    /// Writes a file beside the inbox and puts it in by rename; returns its hash.
    pub fn put(&self, name: &str, shape: &TsFileShape) -> String {
        let path = self.directory.path().join(name);
        shape.write(&path).unwrap();
        let hash = blake3(&path).unwrap();
        self.hand_in(&path, name);
        hash
    }

    /// The same, and returns the moment when the file was in the inbox.
    pub fn put_timed(&self, name: &str, shape: &TsFileShape) -> Instant {
        let path = self.directory.path().join(name);
        shape.write(&path).unwrap();
        self.hand_in(&path, name);
        clock::now()
    }

    #[expect(clippy::disallowed_methods, reason = "plays the plant's script, and not the program")]
    fn hand_in(&self, path: &Path, name: &str) {
        fs::rename(path, self.inbox.join(name)).unwrap();
    }
}

impl Fetcher {
    /// Takes every file that lies in the landing directory now.
    pub fn fetch(&mut self, landing: &Path) {
        for path in below(landing).unwrap() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".tsfile") {
                let hash = blake3(&path).unwrap();
                fs::remove_file(&path).unwrap();
                self.taken.entry(own_name(&name)).or_default().push(hash);
            }
        }
    }

    /// Files taken so far, those that came twice counted once.
    pub fn count(&self) -> usize {
        self.taken.len()
    }

    /// Takes files until so many different ones have come.
    pub fn fetch_until(&mut self, landing: &Path, count: usize, limit: Duration) {
        let what = format!("{count} landed files");
        let found = wait::until(&what, limit, || {
            self.fetch(landing);
            self.count() >= count
        });
        if let Err(late) = found {
            panic!("{late}; {} have", self.count());
        }
    }

    /// Asserts that exactly these files have come, once each, with these hashes.
    pub fn assert_exactly(&self, sent: &BTreeMap<String, String>) {
        for (name, hashes) in &self.taken {
            assert_eq!(hashes.len(), 1, "{name} was landed {} times", hashes.len());
            assert_eq!(hashes.first(), sent.get(name), "{name} is different, or was never sent");
        }
        let missing: Vec<_> = sent.keys().filter(|name| !self.taken.contains_key(*name)).collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
    }
}

/// The name that a file was given, without what it carries in front of it on its way.
fn own_name(landed: &str) -> String {
    landed.rsplit('-').next().unwrap_or(landed).into()
}

fn pipe_toml(name: &str, target: SocketAddr, attributes: &[(&str, &str)]) -> String {
    let attributes: Vec<String> =
        attributes.iter().map(|(key, value)| format!(", {key:?} = {value:?}")).collect();
    format!(
        "\n[[pipe]]\nname = {name:?}\nsink = {{ sink = \"iotdb-air-gap-sink\", \
         node-urls = \"{target}\"{} }}\n",
        attributes.concat(),
    )
}

/// Waits until a number of a node's status is this: the status follows the answers at a distance.
pub fn wait_number(node: &Node, pointer: &str, number: u64) {
    let is_so = |status: &Value| status.pointer(pointer).and_then(Value::as_u64) == Some(number);
    node.wait_status(&format!("{pointer} = {number}"), SOON, is_so).unwrap();
}

/// Most memory that a program may have had, resident, when it did nothing: 4 MiB, and 2 more with
/// glibc.
pub const IDLE_MEMORY_MAX: u64 = if cfg!(target_env = "gnu") { 6 * MIB } else { 4 * MIB };
/// Most memory that a program may have had, resident, under load.
pub const LOAD_MEMORY_MAX: u64 = 8 * MIB;

/// Asserts that a node's peak is within its budget, as [`penstock_test_support::memory::peak`] counts it.
pub fn assert_peak(node: &Node, limit: u64, when: &str) {
    let peak = node.peak_memory().unwrap();
    let name = node.settings().program.name();
    assert!(peak <= limit, "{name} {when}: {} KiB, allowed are {}", peak / 1024, limit / 1024);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_name_is_behind_the_last_hyphen() {
        assert_eq!(own_name("12-12-a.tsfile"), "a.tsfile");
        assert_eq!(own_name("a.tsfile"), "a.tsfile");
    }

    #[test]
    fn a_pipe_is_told_where_to_send() {
        let text = pipe_toml("p", "127.0.0.1:9".parse().unwrap(), &[("a.b-c", "5")]);
        assert!(text.contains("name = \"p\"") && text.contains("node-urls = \"127.0.0.1:9\""));
        assert!(text.contains(", \"a.b-c\" = \"5\" }"));
    }
}

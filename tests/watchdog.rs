//! The watchdog is fed from progress of every loop: one loop of a real node is stopped while the process
//! lives, and the service manager hears no more of it until the loop turns again.
//!
//! ```text
//!  this program --starts--> itself, as a node --WATCHDOG=1--> this program
//!       |                        ^
//!       +-- a file with the name of a loop: that loop stands still --+
//! ```
//!
//! The node is a process of its own, with all its threads; only its build differs from the released one:
//! it has the fault hooks, which a released program must not have.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test are a test")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use penstock::config::Role;
use penstock::limits::TURN_AGE_MAX;
use penstock::ops::fault::STAND_STILL;
use penstock_test_support::node::{Node, NodeSettings};
use penstock_test_support::{clock, wait};
use tempfile::TempDir;

/// Set in the process that is the node.
const NODE: &str = "PENSTOCK_IS_NODE";
/// What the service manager would be told to wait for; a third of it is the period.
const PATIENCE: Duration = Duration::from_secs(3);
/// The node looks at its loops every second.
const LOOK: Duration = Duration::from_secs(1);
/// For a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    if env::var_os(NODE).is_some() {
        return penstock::cli::main(Role::Receiver);
    }
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS; // no harness, nothing to list
    }
    // All at once: each of them takes as long as the watchdog is patient.
    thread::scope(|scope| {
        for (stands, name) in [
            ("gate", "gate"),
            ("spool", "spool"),
            ("worker", "worker"),
            ("landing", "worker"),
            ("inbox", "worker"),
            ("main", "main"),
        ] {
            scope.spawn(move || a_loop_that_stands_still_starves_the_watchdog(stands, name));
        }
        scope.spawn(a_node_whose_loops_turn_feeds_it_all_the_time);
    });
    ExitCode::SUCCESS
}

/// A node, and the file that stops its loops.
struct Bench {
    node: Node,
    stands: PathBuf,
    _directory: TempDir,
}

impl Bench {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stands = directory.path().join("stands");
        let node = NodeSettings::receiver(&directory.path().join("data"))
            .set("inbox.dir", &directory.path().join("inbox").display().to_string())
            .executable(&env::current_exe().unwrap())
            .environment(NODE, "1")
            .environment(STAND_STILL, &stands.display().to_string())
            .environment("WATCHDOG_USEC", &PATIENCE.as_micros().to_string())
            .start()
            .unwrap();
        Self { node, stands, _directory: directory }
    }

    /// When the next `WATCHDOG=1` comes, if it comes in time.
    fn fed_within(&self, limit: Duration) -> Option<Instant> {
        let deadline = clock::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return None;
            }
            let text = self.node.notification(left).unwrap().unwrap_or_default();
            if text.lines().any(|line| line == "WATCHDOG=1") {
                return Some(clock::now());
            }
        }
    }

    fn is_alive(&mut self) -> bool {
        self.node.is_running().unwrap()
    }
}

/// `stands`: what stands still, in the loop of this name.
fn a_loop_that_stands_still_starves_the_watchdog(stands: &str, name: &str) {
    let mut bench = Bench::start();
    assert!(bench.fed_within(PATIENCE + SLACK).is_some(), "{name}: not fed at first");
    write_whole(&bench.stands, stands);
    let stopped = clock::now();
    let mut last = stopped;
    while let Some(fed) = bench.fed_within(PATIENCE + LOOK) {
        last = fed;
        assert!(last - stopped < TURN_AGE_MAX + SLACK, "{name}: fed although the loop stands");
    }
    assert!(bench.is_alive(), "{name}: {}", bench.node.log());
    if name != "main" {
        // The main loop feeds for as long as the others may take for a turn, and then says why it stopped.
        assert!(last - stopped + LOOK * 3 > TURN_AGE_MAX, "{name}: only {:?}", last - stopped);
        let (code, why) = bench.node.get("/healthz").unwrap();
        assert_eq!(code, 503, "{name}: {why}");
        assert!(why.contains(name), "{why}");
        let status = bench.node.status().unwrap();
        assert!(status.to_string().contains("\"stuck\""), "{name}: {status}");
    }
    fs::remove_file(&bench.stands).unwrap();
    assert!(bench.fed_within(PATIENCE + SLACK).is_some(), "{name}: not fed after it went on");
    wait::until("health", SLACK, || bench.node.get("/healthz").is_ok_and(|(code, _)| code == 200))
        .unwrap_or_else(|late| panic!("{name}: {late}"));
    assert!(bench.is_alive());
    report(stands);
}

fn a_node_whose_loops_turn_feeds_it_all_the_time() {
    let mut bench = Bench::start();
    let until = clock::now() + TURN_AGE_MAX + PATIENCE;
    while clock::now() < until {
        assert!(
            bench.fed_within(PATIENCE + SLACK / 2).is_some(),
            "not fed although all loops turn"
        );
    }
    assert!(bench.is_alive());
    report("none");
}

/// By rename, so that the loop never reads half a name.
#[expect(
    clippy::disallowed_methods,
    reason = "plays the service manager's friend, not the program"
)]
fn write_whole(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

#[expect(clippy::print_stdout, reason = "a test without a harness says what it did")]
fn report(stopped: &str) {
    println!("watchdog with stopped loop: {stopped} ... ok");
}

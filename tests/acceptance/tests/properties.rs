//! IoTDB's own properties file: what it sets, and what it cannot.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use penstock_acceptance::far_side::{FarSide, HANDSHAKES, SEAL};
use penstock_acceptance::{SOON, Site, to};
use penstock_test_support::node::NodeSettings;
use penstock_test_support::programs::{Program, Programs};
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::wait;
use tempfile::TempDir;

/// The page's lines, as they are printed: all of them comments.
const PRINTED: &str = "\
####################
### Pipe Configuration
####################
# Uncomment the following field to configure the pipe lib directory.
# If it is absolute, system will save the data in the exact location it points to.
# pipe_lib_dir=ext\\\\pipe
# pipe_subtask_executor_max_thread_num=5
# pipe_connector_timeout_ms=900000
# pipe_async_connector_selector_number=1
# pipe_async_connector_core_client_number=8
# pipe_async_connector_max_client_number=16
# pipe_sink_timeout_ms=900000
# pipe_air_gap_receiver_enabled=false
# pipe_air_gap_receiver_port=9780
";

/// A directory with a file of this name and text.
struct Bench {
    directory: TempDir,
    file: PathBuf,
}

impl Bench {
    fn new(text: &str) -> Self {
        Self::named("iotdb-common.properties", text)
    }

    fn named(name: &str, text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        fs::write(&file, text).unwrap();
        Self { directory, file }
    }

    /// What `check` says of a sender with the file: whether it may run, and the text.
    fn check(&self) -> (bool, String) {
        self.check_with(&["--set", &format!("properties=\"{}\"", self.file.display())])
    }

    fn check_with(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(Programs::built().path(Program::Sender));
        command.arg("--data-dir").arg(self.directory.path()).args(arguments).arg("check");
        let output = command.env_remove("PENSTOCK_CONFIG").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// A node with the file and these keys.
    fn site(&self, keys: &[(&str, &str)]) -> Site {
        let file = format!("\"{}\"", self.file.display());
        Site::inner_with(&[&[("properties", file.as_str())], keys].concat())
    }
}

/// Waits until a pipe says this.
fn wait_message(site: &Site, pipe: &str, text: &str) {
    let is_told = || site.cell(pipe, "ExceptionMessage").contains(text);
    wait::until(text, SOON, is_told).unwrap();
}

/// Takes a file in, whose seal nobody answers.
fn file_to_a_mute_seal(site: &Site, more: &str) {
    let far = FarSide::answering(|kind| (kind != SEAL).then_some(0));
    let sink = to(far.address);
    let sink = sink.strip_suffix(')').unwrap();
    site.done(&format!("create pipe p {sink}{more})"));
    site.take_file("1-1-0-0.tsfile", &TsFileShape::of_size(20_000, 1), None);
}

#[test]
fn a_58_the_file_is_read_under_either_name() {
    for name in ["iotdb-common.properties", "iotdb-system.properties"] {
        let bench = Bench::named(name, "pipe_air_gap_receiver_enabled=true\n");
        let (may_run, text) = bench.check();
        assert!(may_run && text.contains("9780"), "{text}");
    }
    let bench = Bench::new("");
    fs::remove_file(&bench.file).unwrap();
    let (may_run, text) = bench.check();
    assert!(!may_run && text.contains("iotdb-common.properties"), "{text}");
}

#[test]
fn a_59_a_file_of_comments_changes_nothing() {
    let bench = Bench::new(PRINTED);
    let without = bench.check_with(&[]);
    assert!(without.0, "{}", without.1);
    assert_eq!(bench.check(), without);
    fs::write(&bench.file, "").unwrap();
    assert_eq!(bench.check(), without);
}

#[test]
fn a_60_pipe_lib_dir_is_where_plugins_lie() {
    let bench = Bench::new("");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/to_csv.py");
    let library = bench.directory.path().join("lib");
    fs::create_dir(&library).unwrap();
    fs::copy(&example, library.join("to_csv.py")).unwrap();
    fs::write(&bench.file, format!("pipe_lib_dir={}\n", library.display())).unwrap();
    let site = bench.site(&[("plugins.allow", "true")]);
    site.done("create pipeplugin csv as 'to_csv.py' using uri 'file:to_csv.py'");
    // What begins otherwise lies below the data directory.
    fs::write(&bench.file, "pipe_lib_dir=ext\\\\pipe\n").unwrap();
    let site = bench.site(&[("plugins.allow", "true")]);
    let below = site.data_dir().join("ext/pipe");
    fs::create_dir_all(&below).unwrap();
    fs::copy(&example, below.join("to_csv.py")).unwrap();
    site.done("create pipeplugin csv as 'to_csv.py' using uri 'file:to_csv.py'");
}

/// A key that sets nothing here is accepted, with a warning that names its line.
fn is_remarked_on(key: &str, why: &str) {
    let (may_run, text) = Bench::new(&format!("\n{key}=1\n")).check();
    let told = format!("iotdb-common.properties:2: warning: {key}: has no effect: {why}");
    assert!(may_run && text.contains(&told), "{text}");
}

#[test]
fn a_61_pipe_subtask_executor_max_thread_num_is_accepted_for_pipes_share_one_thread() {
    is_remarked_on("pipe_subtask_executor_max_thread_num", "all pipes run on one thread");
    let bench = Bench::new("pipe_subtask_executor_max_thread_num=5\n");
    let (site, outer) = (bench.site(&[]), Site::outer());
    let threads = || {
        let tasks = format!("/proc/{}/task", site.node.pid());
        fs::read_dir(tasks).unwrap().count()
    };
    // Nothing but handshakes is ever answered there.
    let mute = FarSide::answering(|kind| HANDSHAKES.contains(&kind).then_some(0));
    site.done(&format!("create pipe mute0 {}", to(mute.address)));
    site.take(0);
    wait::until("the first to wait", SOON, || mute.connections() > 0).unwrap();
    let before = threads();
    for number in 1..4 {
        site.done(&format!("create pipe mute{number} {}", to(mute.address)));
    }
    wait::until("the others to wait", SOON, || mute.connections() >= 4).unwrap();
    let next = outer.taken();
    site.done(&format!("create pipe p {}", to(outer.gate)));
    site.take(1);
    outer.wait_taken(next + 2);
    assert!(threads() <= before, "of the pipes");
    assert_eq!(site.cell("mute0", "RemainingEventCount"), "2");
}

#[test]
fn a_62_pipe_connector_timeout_ms_is_how_long_a_seal_is_waited_for() {
    let site = Bench::new("pipe_connector_timeout_ms=1000\n").site(&[]);
    file_to_a_mute_seal(&site, "");
    wait_message(&site, "p", "within 1 s");
}

#[test]
fn a_63_pipe_async_connector_selector_number_is_accepted() {
    is_remarked_on("pipe_async_connector_selector_number", "one thread does the input and output");
}

#[test]
fn a_64_pipe_async_connector_core_client_number_is_accepted() {
    is_remarked_on(
        "pipe_async_connector_core_client_number",
        "iotdb-thrift-sink has four connections",
    );
}

#[test]
fn a_65_pipe_async_connector_max_client_number_is_accepted() {
    is_remarked_on(
        "pipe_async_connector_max_client_number",
        "iotdb-thrift-sink has four connections",
    );
    let site = Bench::new("pipe_async_connector_max_client_number=16\n").site(&[]);
    let far = FarSide::answering(|_| Some(0));
    let port = far.address.port();
    site.done(&format!(
        "create pipe p with sink ('sink'='iotdb-air-gap-sink','node-urls'='127.0.0.1:{port},localhost:{port}')"
    ));
    for at in 0..20 {
        site.take(at);
    }
    site.wait_done("p");
    assert_eq!(far.most_open(), 1);
}

#[test]
fn a_66_pipe_sink_timeout_ms_wins_over_its_old_name_and_the_sink_s_own_over_both() {
    let bench = Bench::new("pipe_sink_timeout_ms=1000\npipe_connector_timeout_ms=900000\n");
    let site = bench.site(&[]);
    file_to_a_mute_seal(&site, "");
    wait_message(&site, "p", "within 1 s");
    let site = bench.site(&[]);
    file_to_a_mute_seal(&site, ",'air-gap.seal-timeout-ms'='1500'");
    wait_message(&site, "p", "within 1.5 s");
}

#[test]
fn a_67_a_68_the_air_gap_receiver_is_off_until_it_is_enabled_and_listens_at_its_port() {
    let bench = Bench::new("");
    let start = || {
        let directory = bench.directory.path().join("data");
        let settings = NodeSettings::sender(&directory);
        settings.set("properties", &format!("\"{}\"", bench.file.display())).start().unwrap()
    };
    assert!(start().listener("gate").is_err());
    fs::write(&bench.file, "pipe_air_gap_receiver_enabled=true\npipe_air_gap_receiver_port=0\n")
        .unwrap();
    // A port of the system's choice.
    assert!(start().listener("gate").unwrap().port() > 0);
    fs::write(&bench.file, "pipe_air_gap_receiver_enabled=true\n").unwrap();
    assert!(bench.check().1.contains("127.0.0.1:9780"));
    fs::write(&bench.file, "pipe_air_gap_receiver_enabled=true\npipe_air_gap_receiver_port=9799\n")
        .unwrap();
    assert!(bench.check().1.contains("127.0.0.1:9799"));
}

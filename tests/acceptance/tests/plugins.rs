//! Plug-ins that run for real: the project's example in Python (the one in shell needs a broker: `tests/interop`), and
//! programs that fail.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_acceptance::{SOON, Site};
use penstock_test_support::{clock, wait};
use tempfile::TempDir;

/// A node that allows plug-ins, and their directory, where the example lies.
struct Bench {
    node: Site,
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("plugins");
        fs::create_dir(&dir).unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/to_csv.py");
        fs::copy(example, dir.join("to_csv.py")).unwrap();
        let dir = format!("{:?}", dir.display().to_string());
        let node = Site::inner_with(&[("plugins.allow", "true"), ("plugins.dir", &dir)]);
        let bench = Self { node, directory };
        fs::create_dir(bench.out()).unwrap();
        bench
    }

    /// Where plug-ins put what they take.
    fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.directory.path().join("plugins").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What is run of the only plug-in.
    fn kept_program(&self) -> PathBuf {
        let kept = self.node.data_dir().join("plugins/kept");
        let files = fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(|path| path.extension().is_none()).unwrap()
    }

    /// Makes the program `file` a plug-in and the sink of a pipe, both called `name`.
    fn run(&self, name: &str, file: &str) {
        let out = self.out();
        self.node.done(&format!(
            "create pipeplugin {name} as '{file} {}' using uri 'file:{file}'; \
             create pipe {name} with sink ('sink'='{name}')",
            out.display()
        ));
    }
}

/// Whether a process has ended; init may not have waited for it yet.
fn has_ended(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat"));
    state.map_or(true, |text| text.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[test]
fn a_27_a_plugin_in_python_writes_csv_files_and_goes_on_after_a_kill() {
    let mut bench = Bench::new();
    bench.run("csv", "to_csv.py");
    bench.node.take(1);
    let file = bench.out().join("root.plant.d1.csv");
    let lines = || fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    wait::until("256 points", SOON, || lines() == 256).unwrap();
    let is_done = |bench: &Bench| bench.node.cell("csv", "RemainingEventCount") == "0";
    wait::until("the answer", SOON, || is_done(&bench)).unwrap();
    let first = fs::read_to_string(&file).unwrap().lines().next().unwrap().to_owned();
    let cells: Vec<_> = first.split(',').collect();
    assert_eq!(cells[1], "1000", "{first}");
    assert!(cells[2].parse::<i64>().is_ok(), "{first}");
    // What is run is what was created, whatever becomes of the file.
    bench.program("to_csv.py", "#!/bin/sh\nexit 1\n");
    bench.node.done("stop pipe csv");
    bench.node.kill_and_restart();
    bench.node.take(2);
    bench.node.done("start pipe csv");
    // What was answered shortly before the kill may come twice.
    wait::until("256 more", SOON, || distinct(&file) == 512).unwrap();
}

/// Different lines of a file.
fn distinct(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap();
    text.lines().collect::<BTreeSet<_>>().len()
}

#[test]
fn a_27_a_pipe_of_the_configuration_may_have_a_plugin_that_is_created_later() {
    let mut bench = Bench::new();
    let stanza = r#"[{ statement = "create pipe csv with sink ('sink'='csv')" }]"#;
    bench.node.node.set_at_restart("pipe", stanza);
    bench.node.kill_and_restart();
    bench.node.take(1);
    assert_eq!(bench.node.cell("csv", "State"), "STOPPED");
    let message = bench.node.cell("csv", "ExceptionMessage");
    assert_eq!(message, "there is no plug-in csv: CREATE PIPEPLUGIN");
    let out = bench.out();
    let create =
        format!("create pipeplugin csv as 'x {}' using uri 'file:to_csv.py'", out.display());
    bench.node.done(&create);
    let file = out.join("root.plant.d1.csv");
    let lines = || fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    wait::until("256 points", SOON, || lines() == 256).unwrap();
    bench.node.kill_and_restart();
    assert_eq!(bench.node.cell("csv", "State"), "RUNNING");
}

#[test]
fn a_27_a_plugin_that_dies_or_refuses_is_a_failed_sink_that_is_tried_again() {
    let bench = Bench::new();
    let word = |name: &str| fs::write(bench.out().join(name), "").unwrap();
    let example = bench.directory.path().join("plugins/to_csv.py");
    let program = format!(
        "#!/bin/sh\necho x >>$1/starts\n[ -e $1/refuse ] || [ -e $1/work ] || exit 1\n\
         [ -e $1/work ] || {{ printf '\\377'; exec cat >/dev/null; }}\nexec {} $1\n",
        example.display()
    );
    bench.program("third.sh", &program);
    let created = clock::now();
    bench.run("third", "third.sh");
    bench.node.take(1);
    let message = || bench.node.cell("third", "ExceptionMessage");
    let is_told = || message().starts_with("plug-in third ") && message().contains("(5 ");
    wait::until("five deaths", SOON, is_told).unwrap();
    // Pauses that double: at least halves of 250 ms, 500 ms, 1 s and 2 s.
    assert!(created.elapsed() >= Duration::from_millis(1875), "{:?}", created.elapsed());
    // Told once it is seen, and at powers of two: not each for years.
    let log = bench.node.node.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("event=plugin_ended")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("status=Some(1)"), "{told:?}");
    word("refuse");
    wait::until("refusals", SOON, || message().contains("refused the handshake")).unwrap();
    assert_eq!(bench.node.cell("third", "State"), "RUNNING");
    word("work");
    bench.node.wait_done("third");
    assert_eq!(message(), "");
    let starts = fs::read_to_string(bench.out().join("starts")).unwrap().lines().count();
    assert!((7..20).contains(&starts), "{starts}");
}

#[test]
fn a_27_a_plugin_that_never_answers_is_ended_with_all_that_it_started() {
    let bench = Bench::new();
    bench.program(
        "deaf.sh",
        "#!/bin/sh\ntrap '' TERM HUP INT\nsleep 1000 &\necho $$ $! >>$1/pids\nwait\n",
    );
    let created = clock::now();
    bench.run("deaf", "deaf.sh");
    let pids = || fs::read_to_string(bench.out().join("pids")).unwrap_or_default();
    let message = || bench.node.cell("deaf", "ExceptionMessage");
    wait::until("the time limit", SOON, || message().contains("within 5 s")).unwrap();
    assert!(created.elapsed() >= Duration::from_secs(5));
    wait::until("another try", SOON, || pids().lines().count() > 1).unwrap();
    bench.node.done("drop pipe deaf");
    let ended = || pids().split_whitespace().all(has_ended);
    wait::until("all of them to end", SOON, ended).unwrap();
}

#[test]
fn a_27_what_a_killed_node_has_left_running_ends_at_its_next_start() {
    let mut bench = Bench::new();
    bench.program(
        "deaf.sh",
        "#!/bin/sh\ntrap '' TERM HUP INT\nsleep 1000 &\necho $$ $! >>$1/pids\nwait\n",
    );
    bench.run("deaf", "deaf.sh");
    let pids = || fs::read_to_string(bench.out().join("pids")).unwrap_or_default();
    wait::until("a start", SOON, || pids().lines().count() == 1).unwrap();
    let first = pids();
    bench.node.node.kill().unwrap();
    assert!(!first.split_whitespace().any(has_ended), "the test would show nothing");
    bench.node.node.restart().unwrap();
    let ended = || first.split_whitespace().all(has_ended);
    wait::until("those of the first life to end", SOON, ended).unwrap();
}

#[test]
fn a_27_a_program_that_is_not_what_was_kept_is_not_started_again() {
    let bench = Bench::new();
    bench.program("die.sh", "#!/bin/sh\necho x >>$1/starts\necho a \"last word\" >&2\nexit 1\n");
    bench.run("die", "die.sh");
    let starts =
        || fs::read_to_string(bench.out().join("starts")).map_or(0, |text| text.lines().count());
    wait::until("two starts", SOON, || starts() >= 2).unwrap();
    assert!(bench.node.node.log().contains(r#"plugin="die" text="a last word""#));
    fs::write(bench.kept_program(), "#!/bin/sh\ntouch $1/other\n").unwrap();
    let message = || bench.node.cell("die", "ExceptionMessage");
    wait::until("a message", SOON, || message().contains("is not what was kept")).unwrap();
    assert!(!bench.out().join("other").exists());
}

#[test]
fn a_17_a_program_that_is_gone_or_another_one_stops_its_pipe_until_a_person_starts_it() {
    let mut bench = Bench::new();
    bench.run("csv", "to_csv.py");
    bench.node.take(1);
    bench.node.wait_done("csv");
    let file = bench.out().join("root.plant.d1.csv");
    let lines = |file: &Path| fs::read_to_string(file).map_or(0, |text| text.lines().count());
    wait::until("256 points", SOON, || lines(&file) == 256).unwrap();
    let program = bench.kept_program();
    let good = fs::read(&program).unwrap();
    let other: [(&str, &dyn Fn()); 2] = [
        ("is not what was kept", &|| fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap()),
        ("is gone", &|| fs::remove_file(&program).unwrap()),
    ];
    let mut all = 256;
    for (told, spoil) in other {
        let before = lines(&file);
        spoil();
        // What runs ends with its node, and is started anew.
        bench.node.kill_and_restart();
        let state = || bench.node.cell("csv", "State");
        wait::until("the pipe to be stopped", SOON, || state() == "STOPPED").unwrap();
        let message = bench.node.cell("csv", "ExceptionMessage");
        assert!(message.contains(told) && message.contains("START PIPE"), "{message}");
        assert!(bench.node.troubles().contains(&"pipe-error".to_owned()));
        bench.node.take(4 * i64::try_from(all).unwrap());
        // Neither a restart nor time starts it; START tries again, and it is stopped again.
        bench.node.kill_and_restart();
        assert_eq!(bench.node.cell("csv", "State"), "STOPPED");
        assert_eq!(bench.node.cell("csv", "ExceptionMessage"), message);
        bench.node.done("start pipe csv");
        let state = || bench.node.cell("csv", "State");
        wait::until("the pipe to be stopped again", SOON, || state() == "STOPPED").unwrap();
        fs::write(&program, &good).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o500)).unwrap();
        bench.node.done("start pipe csv");
        bench.node.wait_done("csv");
        assert_eq!(bench.node.cell("csv", "ExceptionMessage"), "");
        all += 256;
        assert_eq!(distinct(&file), all);
        // A kill takes with it what was told last of the progress, and no more.
        assert!(lines(&file) <= before + all, "{before} {}", lines(&file));
    }
    // What was delivered was kept as delivered.
    let before = lines(&file);
    bench.node.done("stop pipe csv");
    bench.node.take(4 * i64::try_from(all).unwrap());
    bench.node.done("start pipe csv");
    bench.node.wait_done("csv");
    assert_eq!((lines(&file), distinct(&file)), (before + 256, all + 256));
}

#[test]
fn a_27_answers_that_nobody_asked_for_take_nothing_away() {
    let bench = Bench::new();
    bench.program("flood.sh", "#!/bin/sh\nexec cat /dev/zero\n");
    bench.node.take(1);
    bench.run("flood", "flood.sh");
    let message = || bench.node.cell("flood", "ExceptionMessage");
    let is_told = || message().contains("sent an answer that nobody asked for (");
    wait::until("a message", SOON, is_told).unwrap();
    assert_eq!(bench.node.cell("flood", "RemainingEventCount"), "1");
}

#[test]
fn a_27_a_plugin_has_a_limit_of_memory_and_no_secrets() {
    let bench = Bench::new();
    bench.program(
        "greedy.sh",
        "#!/bin/sh\nhead -c 1 >/dev/null\nulimit -v >$1/limit\nenv >$1/env\nexec cat >/dev/null\n",
    );
    bench.run("greedy", "greedy.sh");
    let read = |name: &str| fs::read_to_string(bench.out().join(name)).unwrap_or_default();
    wait::until("its environment", SOON, || !read("env").is_empty()).unwrap();
    assert_eq!(read("limit").trim(), (512 * 1024).to_string());
    let env = read("env");
    let names = env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    let known = [
        "PATH",
        "LANG",
        "TZ",
        "TMPDIR",
        "PENSTOCK_PIPE",
        "PENSTOCK_DATA_DIR",
        "PWD",
        "SHLVL",
        "OLDPWD",
        "_",
    ];
    let unknown: Vec<_> = names.filter(|name| !known.contains(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
    assert!(env.contains("PENSTOCK_PIPE=greedy"), "{env}");
}

#[test]
fn a_27_a_plugin_is_shown_and_goes_only_unused() {
    let bench = Bench::new();
    bench.run("CSV", "to_csv.py");
    let shown = bench.node.done("show pipeplugins");
    assert_eq!(shown.cells("PluginName")[0], "CSV");
    assert_eq!(shown.cells("PluginType")[0], "External");
    assert_eq!(shown.cells("ClassName")[0], format!("to_csv.py {}", bench.out().display()));
    assert!(shown.cells("PluginJar")[0].starts_with("CSV-"), "{shown:?}");
    assert_eq!(shown.rows().len(), 7);
    for (text, code, message) in [
        (
            "drop pipeplugin csv",
            1601,
            "Failed to drop PipePlugin [csv], the PipePlugin is the sink of pipe CSV",
        ),
        (
            "drop pipeplugin none",
            1601,
            "Failed to drop PipePlugin [none], the PipePlugin does not exist",
        ),
        (
            "create pipeplugin Csv as 'x' using uri 'file:to_csv.py'",
            1600,
            "Failed to create PipePlugin [Csv], the same name PipePlugin has been created",
        ),
        (
            "create pipeplugin x as 'x' using uri 'file:../out'",
            1603,
            "Failed to get executable for PipePluginx', please check the URI.",
        ),
        (
            "create pipeplugin x as 'x' using uri 'file:///bin/sh'",
            1603,
            "Failed to get executable for PipePluginx', please check the URI.",
        ),
        (
            "create pipe q with processor ('processor'='csv') with sink ('sink'='csv')",
            1107,
            "processor \"processor\": Failed to reflect PipePlugin instance, because PipePlugin CSV has not been registered. (a plug-in of your own can be a sink, not a processor)",
        ),
    ] {
        let answer = bench.node.sql(text);
        assert_eq!((answer.code(), answer.message()), (code, message), "{text}");
    }
    bench.node.done("create pipeplugin if not exists csv as 'x' using uri 'file:to_csv.py'");
    bench.node.done("drop pipe CSV; drop pipeplugin csv; drop pipeplugin if exists csv");
    assert_eq!(bench.node.done("show pipeplugins").rows().len(), 6);
}

#[test]
fn a_27_nothing_external_is_run_unless_it_is_allowed() {
    let node = Site::inner();
    let answer = node.sql("create pipeplugin csv as 'to_csv.py' using uri 'file:to_csv.py'");
    assert_eq!(
        (answer.code(), answer.message()),
        (
            1600,
            "Failed to create PipePlugin [csv], plug-ins are off here: set [plugins] allow = true"
        )
    );
    // Allowed once, and no longer.
    let mut bench = Bench::new();
    bench.run("csv", "to_csv.py");
    bench.node.node.set_at_restart("plugins.allow", "false");
    bench.node.kill_and_restart();
    let is_told = || bench.node.cell("csv", "ExceptionMessage").contains("plug-ins are off here");
    wait::until("a message", SOON, is_told).unwrap();
    assert_eq!(bench.node.cell("csv", "State"), "STOPPED");
}

//! One test a row of the table of promises; the page beside this package lists them.

use penstock_acceptance::{SOON, Site, to};
use penstock_test_support::wait;

const STOCK_COLUMNS: [&str; 9] = [
    "ID",
    "CreationTime",
    "State",
    "PipeSource",
    "PipeProcessor",
    "PipeSink",
    "ExceptionMessage",
    "RemainingEventCount",
    "EstimatedRemainingSeconds",
];

#[test]
fn a_03_create_pipe_creates_a_task() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner
        .done(&format!("CREATE PIPE A2B WITH SOURCE ('source'='iotdb-source') {}", to(outer.gate)));
    assert_eq!(inner.done("show pipes").cells("ID"), ["A2B"]);
    let next = outer.taken();
    inner.take(1);
    outer.wait_taken(next + 1);
}

#[test]
fn a_04_a_pipe_needs_a_name() {
    let inner = Site::inner();
    let answer = inner.sql("create pipe with sink ('sink'='iotdb-air-gap-sink')");
    assert_eq!(answer.code(), 700);
    assert!(answer.message().contains("line 1:"), "{answer:?}");
    assert!(answer.excerpt().contains('^'), "{answer:?}");
}

#[test]
fn a_05_a_name_is_unique() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let create = format!("create pipe p {}", to(outer.gate));
    inner.done(&create);
    let answer = inner.sql(&create);
    assert_eq!(answer.code(), 1107);
    assert_eq!(
        answer.message(),
        "Failed to create pipe p, the pipe with the same name has been created"
    );
    inner.done(&create.replace("pipe p", "pipe if not exists p"));
    inner.done(&create.replace("pipe p", "pipe P"));
}

#[test]
fn a_06_the_sink_is_mandatory() {
    let answer = Site::inner().sql("create pipe p with source ('source'='iotdb-source')");
    assert_eq!(answer.code(), 700, "{answer:?}");
}

#[test]
fn a_07_a_08_source_and_processor_are_optional() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let sink = to(outer.gate);
    inner.done(&format!("create pipe bare {sink}"));
    inner.done(&format!(
        "create pipe full with source () with processor ('processor'='do-nothing-processor') {sink}"
    ));
    assert_eq!(inner.cell("bare", "PipeSource"), "{}");
    assert_eq!(inner.cell("bare", "PipeProcessor"), "{}");
    assert_eq!(inner.cell("full", "PipeProcessor"), "{processor=do-nothing-processor}");
    let next = outer.taken();
    inner.take(1);
    // The far side knows a repetition by its identity: two pipes, one entry.
    outer.wait_taken(next + 1);
    for pipe in ["bare", "full"] {
        let is_done = || inner.cell(pipe, "RemainingEventCount") == "0";
        wait::until("both pipes to be done", SOON, is_done).unwrap();
    }
}

#[test]
fn a_13_a_pipe_is_running_stopped_or_gone() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    assert_eq!(inner.cell("p", "State"), "RUNNING");
    inner.done("stop pipe p");
    assert_eq!(inner.cell("p", "State"), "STOPPED");
    inner.done("drop pipe p");
    assert!(inner.done("show pipe p").rows().is_empty());
    let answer = inner.sql("drop pipe p");
    assert_eq!(
        (answer.code(), answer.message()),
        (1806, "Failed to drop pipe p. Failures: p does not exist.")
    );
    inner.done("drop pipe if exists p");
}

#[test]
fn a_16_stop_pipe_sends_nothing_more_and_keeps_the_progress_over_a_kill() {
    let (mut inner, outer) = (Site::inner(), Site::outer());
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    let next = outer.taken();
    inner.take(1);
    outer.wait_taken(next + 1);
    // The far side has it before its answer is here.
    inner.wait_done("p");
    inner.done("stop pipe p");
    inner.take(2);
    assert_eq!(inner.cell("p", "RemainingEventCount"), "1");
    inner.kill_and_restart();
    assert_eq!(inner.cell("p", "State"), "STOPPED");
    assert_eq!(outer.taken(), next + 1);
    inner.done("start pipe p");
    // What was answered just before the kill may cross again: the far side knows it by its identity.
    outer.wait_taken(next + 2);
}

#[test]
fn a_18_a_19_a_20_start_and_stop_say_what_is_wanted() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    for text in ["start pipe p", "stop pipe p", "stop pipe p", "start pipe p", "start pipe p"] {
        inner.done(text);
    }
    assert_eq!(inner.cell("p", "State"), "RUNNING");
    let answer = inner.sql("start pipe q");
    assert_eq!(
        (answer.code(), answer.message()),
        (1107, "Failed to start pipe q, the pipe does not exist")
    );
}

#[test]
fn a_21_a_22_drop_pipe_needs_no_stop_and_outlives_a_kill() {
    let (mut inner, outer) = (Site::inner(), Site::outer());
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    let next = outer.taken();
    inner.take(1);
    inner.done("drop pipe p");
    inner.kill_and_restart();
    assert!(inner.done("show pipes").rows().is_empty());
    inner.take(2);
    assert!(outer.taken() <= next + 1, "a dropped pipe sends nothing");
    // The name is free again, and nothing was freed with the last pipe.
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    outer.wait_taken(next + 2);
}

#[test]
fn a_23_show_pipes_has_stock_columns_first() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.done(&format!("create pipe b {sink}; create pipe a {sink}", sink = to(outer.gate)));
    let answer = inner.done("show pipes");
    assert_eq!(answer.columns().get(..9), Some(&STOCK_COLUMNS[..]));
    assert_eq!(answer.cells("ID"), ["a", "b"]);
    let sink =
        format!("{{sink=iotdb-air-gap-sink, sink.ip=127.0.0.1, sink.port={}}}", outer.gate.port());
    assert_eq!(answer.cells("PipeSink"), [sink.clone(), sink]);
    assert_eq!(inner.done("show pipes where sink used by b").cells("ID"), ["a", "b"]);
    let (is_success, printed, _) = inner.sql_command(&["show pipe nope"]);
    assert!(is_success && printed.contains("Empty set."), "{printed}");
}

#[test]
fn a_33_a_34_show_pipeplugins_has_the_six_rows() {
    let answer = Site::inner().done("SHOW PIPEPLUGINS");
    assert_eq!(answer.columns(), ["PluginName", "PluginType", "ClassName", "PluginJar"]);
    assert_eq!(
        answer.cells("PluginName"),
        [
            "DO-NOTHING-PROCESSOR",
            "DO-NOTHING-SINK",
            "IOTDB-AIR-GAP-SINK",
            "IOTDB-SOURCE",
            "IOTDB-THRIFT-SINK",
            "IOTDB-THRIFT-SSL-SINK",
        ]
    );
    assert!(answer.cells("PluginType").iter().all(|cell| cell == "Builtin"));
    assert!(answer.cells("PluginJar").iter().all(String::is_empty));
}

#[test]
fn a_50_a_forgotten_parenthesis_is_a_warning() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let printed = format!(
        "create pipe AB with source ('source.realtime.mode'='stream' with sink ('sink'='iotdb-air-gap-sink','sink.node-urls'='{}')",
        outer.gate
    );
    let answer = inner.done(&printed);
    assert!(
        answer.warnings().iter().any(|warning| warning.contains("')' is missing")),
        "{answer:?}"
    );
}

#[test]
fn a_53_a_far_side_that_is_away_is_waited_for() {
    let inner = Site::inner();
    inner.done("create pipe p with sink ('sink'='iotdb-air-gap-sink','sink.ip'='127.0.0.1','sink.port'='1')");
    let is_told = || !inner.cell("p", "ExceptionMessage").is_empty();
    wait::until("a message", SOON, is_told).unwrap();
    assert_eq!(inner.cell("p", "State"), "RUNNING");
}

#[test]
fn a_70_a_71_prefixes_may_stay_or_go() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let (ip, port) = (outer.gate.ip(), outer.gate.port());
    for (name, keys) in [("a", ["ip", "port"]), ("b", ["connector.host", "sink.port"])] {
        let [host_key, port_key] = keys;
        inner.done(&format!(
            "create pipe {name} with connector ('connector'='IOTDB-AIR-GAP-SINK','{host_key}'='{ip}','{port_key}'='{port}')"
        ));
    }
    let next = outer.taken();
    inner.take(1);
    outer.wait_taken(next + 1);
}

#[test]
fn a_32_a_sink_that_this_build_lacks_is_stopped_and_says_so() {
    let inner = Site::inner();
    inner.done("create pipe t with sink ('sink'='iotdb-thrift-ssl-sink','sink.ip'='10.0.0.7','sink.port'='6667','ssl.trust-store-path'='t','ssl.trust-store-pwd'='p')");
    assert_eq!(inner.cell("t", "State"), "STOPPED");
    let why = inner.cell("t", "ExceptionMessage");
    assert!(why.contains("this sink is not in this build"), "{why}");
}

#[test]
fn statements_come_from_files_and_standard_input_and_end_at_the_first_failure() {
    let inner = Site::inner();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "show pipes;\nstop pipe nope;\nshow pipeplugins;\n").unwrap();
    let (is_success, printed, said) = inner.sql_command(&["-f", file.path().to_str().unwrap()]);
    assert!(
        !is_success && printed.contains("Empty set.") && !printed.contains("IOTDB"),
        "{printed}"
    );
    assert!(said.contains("1107: Failed to stop pipe nope"), "{said}");
    // One mistake, and nothing is done.
    let (is_success, printed, said) = inner.sql_command(&["show pipes; show pipez"]);
    assert!(!is_success && printed.is_empty() && said.contains("show pipez\n"), "{printed} {said}");
    // The helper's standard input is empty.
    let (is_success, _, said) = inner.sql_command(&[]);
    assert!(!is_success && said.contains("there is no statement"), "{said}");
}

/// A pipe to nobody with three entries that wait: the number of the first.
fn waiting(inner: &Site) -> u64 {
    inner.done(&format!("create pipe p {}", Site::NOBODY));
    let first = inner.taken();
    (1..=3).for_each(|at| inner.take(at));
    first
}

fn point_at(inner: &Site, outer: &Site) {
    let (ip, port) = (outer.gate.ip(), outer.gate.port());
    inner.done(&format!("alter pipe p modify sink ('sink.ip'='{ip}','sink.port'='{port}')"));
}

#[test]
fn b_07_a_skipped_entry_waits_among_the_dead_letters_until_it_is_replayed() {
    let (mut inner, outer) = (Site::inner(), Site::outer());
    let first = waiting(&inner);
    let next = outer.taken();
    inner.done(&format!("skip pipe p entry {first}"));
    inner.kill_and_restart();
    assert_eq!(inner.cell("p", "RemainingEventCount"), "2");
    let is_shown = || inner.troubles().iter().any(|kind| kind == "dead-letters");
    wait::until("trouble about a dead letter", SOON, is_shown).unwrap();
    point_at(&inner, &outer);
    outer.wait_taken(next + 2);
    inner.done(&format!("stop pipe p; replay pipe p from {first} to {first}"));
    inner.kill_and_restart();
    assert_eq!(outer.taken(), next + 2, "a pipe that rests replays nothing");
    inner.done("start pipe p");
    outer.wait_taken(next + 3);
    let is_gone = || inner.troubles().iter().all(|kind| kind != "dead-letters");
    wait::until("the trouble to end", SOON, is_gone).unwrap();
}

#[test]
fn b_07_skip_and_replay_say_what_cannot_be() {
    let inner = Site::inner();
    let first = waiting(&inner);
    for (text, message) in [
        (
            format!("skip pipe p entry {}", first + 3),
            format!(
                "Failed to skip entry {n} of pipe p: there is no entry {n}: the next one to come is {n}",
                n = first + 3
            ),
        ),
        (
            format!("replay pipe p from {first} to {}", first + 9),
            format!(
                "Failed to replay {first} to {} of pipe p: there is neither a dead letter nor an entry that the pipe has sent",
                first + 9
            ),
        ),
        (
            "skip pipe q entry 1".to_owned(),
            "Failed to skip an entry of pipe q, the pipe does not exist".to_owned(),
        ),
        (
            "replay pipe q from 1 to 1".to_owned(),
            "Failed to replay entries of pipe q, the pipe does not exist".to_owned(),
        ),
    ] {
        let answer = inner.sql(&text);
        assert_eq!((answer.code(), answer.message()), (1107, message.as_str()));
    }
}

#[test]
fn b_07_a_dropped_pipe_replays_nothing() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let first = waiting(&inner);
    let next = outer.taken();
    inner.done(&format!(
        "skip pipe p entry {first}; replay pipe p from {first} to {first}; drop pipe p"
    ));
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    // Nothing was freed with the last pipe, so all three come once, of which none twice.
    outer.wait_taken(next + 3);
    let is_shown = || inner.troubles().iter().any(|kind| kind == "dead-letters");
    wait::until("the dead letter to be there still", SOON, is_shown).unwrap();
}

#[test]
fn a_36_do_nothing_sink_discards_and_its_progress_advances() {
    let mut inner = Site::inner();
    inner.done("create pipe p with sink ('sink'='DO-NOTHING-SINK')");
    assert_eq!(inner.cell("p", "State"), "RUNNING");
    inner.take(1);
    inner.take(2);
    let is_done = |inner: &Site| inner.cell("p", "RemainingEventCount") == "0";
    wait::until("all to be taken", SOON, || is_done(&inner)).unwrap();
    inner.done("stop pipe p");
    inner.take(3);
    inner.kill_and_restart();
    // What was taken just before the kill may be taken again.
    assert_ne!(inner.cell("p", "RemainingEventCount"), "0");
    inner.done("start pipe p");
    wait::until("the last one to be taken", SOON, || is_done(&inner)).unwrap();
}

#[test]
fn b_08_sampling_leaves_points_out_before_the_gate() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let sampled = "with processor ('processor'='tumbling-time-sampling-processor','tumbling-time.interval-seconds'='3600')";
    inner.done(&format!("create pipe p {sampled} {}", to(outer.gate)));
    let next = outer.taken();
    // Points of a few seconds: of the first tablet one point stays, of the second none, of the third one.
    inner.take(1);
    inner.take(60);
    inner.take(7200);
    outer.wait_taken(next + 2);
    let is_done = || inner.cell("p", "RemainingEventCount") == "0";
    wait::until("the pipe to be done", SOON, is_done).unwrap();
    assert_eq!(outer.taken(), next + 2);
    let (sent, taken) = ("/pipes/0/sent_bytes", "/intakes/0/accepted_bytes");
    assert!(inner.node.number(sent).unwrap() < inner.node.number(taken).unwrap() / 10);
}

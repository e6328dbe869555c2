//! Rows that the text of a statement decides, against nodes that run: all of `tests/statements/acceptance.txt` through the
//! control socket, and what each of those texts makes a pipe do.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use penstock_acceptance::far_side::FarSide;
use penstock_acceptance::{Answer, SOON, Site, to};
use penstock_test_support::statements::{Case, cases};
use penstock_test_support::wait;

const TEXTS: &str = include_str!("../../statements/acceptance.txt");

/// Where the texts send to, with the quotes or commas around it.
const TARGETS: [(&str, &str); 12] = [
    ("'10.53.53.53:9780'", "'127.0.0.1:PORT'"),
    ("'10.53.53.53'", "'127.0.0.1'"),
    ("'9780'", "'PORT'"),
    ("'6668'", "'PORT'"),
    ("'6669'", "'PORT'"),
    ("'h'", "'127.0.0.1'"),
    ("'port'='1'", "'port'='PORT'"),
    ("'sink.port'='1'", "'sink.port'='PORT'"),
    (":6668'", ":PORT'"),
    ("xxxx:", "127.0.0.1:"),
    ("a:1, b:2,c:3", "127.0.0.1:PORT, 127.0.0.1:1,127.0.0.1:2"),
    (
        "gate-1:9780,gate-2:9780','sink.ip'='gate-3'",
        "127.0.0.1:PORT,127.0.0.1:1','sink.ip'='127.0.0.1'",
    ),
];

/// A node with twenty entries, where a plug-in may be created and one is.
fn node_of_texts() -> Site {
    let node = Site::inner_with(&[("plugins.allow", "true")]);
    let plugins = node.data_dir().join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    for name in ["csv.py", "my-plugin"] {
        let path = plugins.join(name);
        fs::write(&path, "#!/bin/sh\nexec cat >/dev/null\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    node.done("create pipeplugin `my-plugin` as 'x' using uri 'file:my-plugin'");
    for second in 0..20 {
        node.take(second);
    }
    node
}

fn drop_all(node: &Site) {
    for pipe in node.done("show pipes").cells("ID") {
        node.done(&format!("drop pipe `{pipe}`"));
    }
}

/// The statements of a text: each begins with a verb, which no word behind a semicolon in a comment is.
fn statements(text: &str) -> Vec<String> {
    let is_verb = |part: &str| VERBS.contains(&part.split_whitespace().next().unwrap_or_default());
    let mut statements: Vec<String> = Vec::new();
    for part in text.split(';') {
        match statements.last_mut() {
            Some(last) if !is_verb(&part.to_lowercase()) => {
                last.push(';');
                last.push_str(part);
            }
            Some(_) | None => statements.push(part.trim().to_owned()),
        }
    }
    statements
}

/// Those that are about a pipe which is there.
const OF_ONE: [&str; 5] = ["start", "alter", "skip", "replay", "show"];
const VERBS: [&str; 8] = ["create", "start", "stop", "drop", "show", "alter", "skip", "replay"];

/// Plays a block: what is not as it says.
fn play(node: &Site, far: &FarSide, case: &Case<'_>) -> Option<String> {
    drop_all(node);
    let is_good = case.expected.contains(&"ok");
    // Places in a message are those of the text as it stands; what is taken is sent to somebody who is there.
    let text = if is_good { towards(far, node, &case.statement) } else { case.statement.clone() };
    let mut said = Vec::new();
    for statement in &statements(&text) {
        let words: Vec<_> = statement.split_whitespace().map(str::to_lowercase).collect();
        let is_new = words.get(..2).is_some_and(|words| words == ["create", "pipe"]);
        let is_about_one = words.first().is_some_and(|verb| OF_ONE.contains(&verb.as_str()));
        if is_new {
            drop_all(node);
        } else if is_about_one {
            node.done(&format!("create pipe if not exists p {}", Site::NOBODY));
        }
        let answer = node.sql(statement);
        if answer.code() != 200 {
            let told = format!("{} {}", answer.code(), answer.message());
            return (!case.expected.contains(&told.as_str())).then_some(told);
        }
        if is_new && is_good {
            check_state(node, &words, case, &mut said);
        }
        said.extend(answer.warnings().iter().map(|each| (*each).to_owned()));
    }
    let besides = case
        .expected
        .iter()
        .filter_map(|line| line.strip_prefix("warning ").or_else(|| line.strip_prefix("absent ")));
    let mut expected: Vec<_> = besides.map(str::to_owned).collect();
    expected.sort();
    said.sort();
    said.dedup();
    (!is_good || said != expected).then(|| format!("200 {said:?}"))
}

/// What is not in this build is STOPPED and says so; all else runs.
fn check_state(node: &Site, words: &[String], case: &Case<'_>, said: &mut Vec<String>) {
    let shown = node.done("show pipes");
    let [state] = &shown.cells("State")[..] else {
        return said.push(format!("{words:?}: no pipe"));
    };
    let absent = case.expected.iter().find_map(|line| line.strip_prefix("absent "));
    let message = shown.cells("ExceptionMessage").remove(0);
    let is_right = match absent {
        None => state == "RUNNING",
        Some(_) => state == "STOPPED" && case.expected.iter().any(|line| line.ends_with(&message)),
    };
    if !is_right || (absent.is_some() && message.is_empty()) {
        said.push(format!("{state} {message:?}"));
    }
}

fn towards(far: &FarSide, node: &Site, text: &str) -> String {
    let text = TARGETS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    let text = text.replace("PORT", &far.address.port().to_string()).replace("env:PW", "pw");
    text.replace("/opt/", &format!("{}/", node.data_dir().join("plugins").display()))
}

#[test]
fn what_the_texts_of_the_user_guide_promise_a_running_node_does() {
    let (node, far) = (node_of_texts(), FarSide::answering(|_| Some(0)));
    let cases = cases(TEXTS);
    assert!(cases.len() > 70, "{}", cases.len());
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let told = play(&node, &far, case)?;
            let Case { line, title, expected, .. } = case;
            Some(format!("acceptance.txt:{line}: {title}\n  {told}\n  expected {expected:#?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a pipe of this text delivers: the times of the one entry that comes over.
fn delivers(text: impl Fn(&Site) -> String) -> Answer {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    let answer = inner.done(&text(&outer));
    inner.take(1);
    outer.wait_taken(next + 1);
    wait::until("the answer", SOON, || {
        inner.done("show pipes").cells("RemainingEventCount") == ["0"]
    })
    .unwrap();
    answer
}

#[test]
fn a_09_source_processor_and_sink_have_an_order() {
    let node = Site::inner();
    let source = "with source ('source'='iotdb-source')";
    let processor = "with processor ('processor'='do-nothing-processor')";
    let sink = Site::NOBODY;
    for [first, second, third] in [
        [sink, source, processor],
        [sink, processor, source],
        [processor, source, sink],
        [source, sink, processor],
        [processor, sink, source],
    ] {
        let answer = node.sql(&format!("create pipe p {first} {second} {third}"));
        assert_eq!(answer.code(), 700, "{first} {second} {third}: {answer:?}");
        assert!(answer.message().contains("the order is SOURCE, PROCESSOR, SINK"), "{answer:?}");
        assert!(node.done("show pipes").rows().is_empty());
    }
    node.done(&format!("create pipe p {source} {processor} {sink}"));
}

#[test]
fn a_10_a_comma_may_end_a_list() {
    let port = |outer: &Site| outer.gate.port();
    let answer = delivers(|outer| {
        format!(
            "create pipe p with source ('source'='iotdb-source',) with sink \
             ('sink'='iotdb-air-gap-sink', 'sink.ip'='127.0.0.1', 'sink.port'='{}',)",
            port(outer)
        )
    });
    assert!(answer.warnings().is_empty(), "{answer:?}");
    let node = Site::inner();
    let answer = node.sql("create pipe p with sink ('sink'='do-nothing-sink',,)");
    assert_eq!(answer.code(), 700, "{answer:?}");
}

#[test]
fn a_11_comments_are_white_space() {
    let answer = delivers(|outer| {
        format!(
            "CREATE PIPE p -- the name\n-- ('sink'='nothing')\n/* of\n all */ {} -- the end",
            to(outer.gate)
        )
    });
    assert!(answer.warnings().is_empty(), "{answer:?}");
}

#[test]
fn a_14_a_new_pipe_runs_and_sends_without_start() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    inner.take(1);
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    assert_eq!(inner.cell("p", "State"), "RUNNING");
    outer.wait_taken(next + 1);
}

#[test]
fn a_24_one_pipe_is_shown_also_with_a_full_stop() {
    let node = Site::inner();
    for pipe in ["p", "q"] {
        node.done(&format!("create pipe {pipe} {}", Site::NOBODY));
    }
    let (bare, stopped) = (node.done("show pipe p"), node.done("SHOW PIPE p."));
    assert_eq!(
        (bare.cells("ID"), stopped.cells("ID")),
        (vec!["p".to_owned()], vec!["p".to_owned()])
    );
    assert!(bare.warnings().is_empty());
    assert!(stopped.warnings().iter().any(|each| each.contains("'.' at the end")), "{stopped:?}");
    assert!(node.done("show pipe r").rows().is_empty());
}

/// What each verb leads to from no pipe, one that runs and one that is stopped: the code, and the state after it.
#[test]
fn a_25_every_verb_leads_where_the_drawing_says() {
    let node = Site::inner();
    let create = format!("create pipe p {}", Site::NOBODY);
    let before = [vec![], vec![create.as_str()], vec![create.as_str(), "stop pipe p"]];
    let after: [(&str, [(u64, &str); 3]); 5] = [
        (create.as_str(), [(200, "RUNNING"), (1107, "RUNNING"), (1107, "STOPPED")]),
        ("start pipe p", [(1107, ""), (200, "RUNNING"), (200, "RUNNING")]),
        ("stop pipe p", [(1107, ""), (200, "STOPPED"), (200, "STOPPED")]),
        (
            "alter pipe p modify sink ('sink.port'='2')",
            [(1107, ""), (200, "RUNNING"), (200, "STOPPED")],
        ),
        ("drop pipe p", [(1806, ""), (200, ""), (200, "")]),
    ];
    for (verb, becomes) in after {
        for (statements, (code, state)) in before.iter().zip(becomes) {
            node.done("drop pipe if exists p");
            for statement in statements {
                node.done(statement);
            }
            assert_eq!(node.sql(verb).code(), code, "{statements:?}, then {verb}");
            let shown = node.done("show pipe p").cells("State").join("");
            assert_eq!(shown, state, "{statements:?}, then {verb}");
        }
    }
}

#[test]
fn a_26_built_in_plugins_are_known_by_name_in_any_case() {
    let node = Site::inner();
    let rest = "'ip'='127.0.0.1','port'='1'";
    for sink in [
        "IoTDB-Air-Gap-Sink",
        "IOTDB-THRIFT-SINK",
        "Iotdb-Thrift-Async-Sink",
        "iotdb-thrift-SYNC-sink",
        "DO-NOTHING-SINK",
    ] {
        for processor in ["Do-Nothing-Processor", "TUMBLING-TIME-SAMPLING-PROCESSOR"] {
            node.done(&format!(
                "create pipe p with source ('source'='IoTDB-Source') with processor ('processor'='{processor}') \
                 with sink ('sink'='{sink}',{rest})"
            ));
            assert_eq!(node.cell("p", "State"), "RUNNING", "{processor} {sink}");
            node.done("drop pipe p");
        }
    }
}

#[test]
fn a_28_a_source_of_ones_own_is_refused() {
    let node = node_of_texts();
    let answer =
        node.sql("create pipe p with source ('source'='my-plugin') with sink ('sink'='my-plugin')");
    assert_eq!(answer.code(), 1107, "{answer:?}");
    assert!(
        answer.message().contains("a plug-in of your own can be a sink, not a source"),
        "{answer:?}"
    );
    assert!(node.done("show pipes").rows().is_empty());
}

#[test]
fn a_35_do_nothing_processor_lets_every_byte_pass() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    inner.done(&format!(
        "create pipe p with source ('realtime.mode'='stream') with processor ('processor'='do-nothing-processor') {}",
        to(outer.gate)
    ));
    let taken = inner.taken();
    inner.take_rows("root.plant.d1", 3, 10, 20);
    outer.wait_taken(next + 1);
    // What `spool show` says of the data itself; sequence, hops and arrival are each node's own.
    let data = |site: &Site, sequence| {
        let shown = site.shown(sequence);
        let of_data = ["device", "times", "columns", "rows", "s0", "s1", "s2", "payload"];
        let lines = shown.lines().filter(|line| of_data.iter().any(|word| line.contains(word)));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(!data(&inner, taken).is_empty(), "{}", inner.shown(taken));
    assert_eq!(data(&inner, taken), data(&outer, next));
}

#[test]
fn a_37_keywords_are_in_any_case() {
    delivers(|outer| {
        format!(
            "create PIPE p WITH source () wItH {}",
            to(outer.gate).trim_start_matches("with ").replacen("sink", "SiNk", 1)
        )
    });
}

/// The unit in which a pipe with this source sends; empty for none.
fn unit(source: &str) -> String {
    let node = Site::inner();
    node.done(&format!("create pipe p with source ({source}) {}", Site::NOBODY));
    assert_eq!(node.cell("p", "State"), "RUNNING");
    node.cell("p", "Unit")
}

#[test]
fn a_44_a_79_a_mode_is_hybrid_stream_or_batch_and_hybrid_without_a_word() {
    assert_eq!(unit("'source.realtime.mode'='hybrid'"), unit(""));
    assert_eq!(unit("'source.realtime.mode'='hybrid'"), unit("'source.realtime.mode'='stream'"));
    assert_ne!(unit("'source.realtime.mode'='batch'"), unit("'source.realtime.mode'='stream'"));
    let node = Site::inner();
    let answer = node.sql(&format!(
        "create pipe p with source ('source.realtime.mode'='nonsense') {}",
        Site::NOBODY
    ));
    assert_eq!(answer.code(), 1107);
    assert!(
        answer.message().contains("Invalid value nonsense of source.realtime.mode"),
        "{answer:?}"
    );
    assert!(node.done("show pipes").rows().is_empty());
}

#[test]
fn a_56_a_forgotten_comma_is_a_warning_with_its_place() {
    let answer = delivers(|outer| {
        to(outer.gate)
            .replacen("'sink.port'", "\n 'sink.port'", 1)
            .replacen(",\n", "\n", 1)
            .replacen("with", "create pipe p with", 1)
    });
    assert_eq!(
        answer.warnings(),
        ["line 2:1: a ',' is missing before 'sink.port': read as if it were there"]
    );
}

#[test]
fn a_72_the_source_is_iotdb_source_or_left_out() {
    delivers(|outer| {
        format!("create pipe p with source ('source'='iotdb-source') {}", to(outer.gate))
    });
    let node = Site::inner();
    let answer =
        node.sql(&format!("create pipe p with source ('source'='iotdb-sauce') {}", Site::NOBODY));
    assert_eq!(answer.code(), 1107);
    assert!(
        answer.message().contains("PipePlugin IOTDB-SAUCE has not been registered"),
        "{answer:?}"
    );
    assert!(node.done("show pipes").rows().is_empty());
}

/// The times of entries that a pipe with this source sends: of -5, 10 and 99, which are there before it, and of -4, 11
/// and 98, which come after it. `last` is the time of one more, which it takes.
fn sent(source: &str, last: i64) -> Vec<i64> {
    let (inner, outer) = (Site::inner(), Site::outer());
    let take =
        |times: &[i64]| times.iter().for_each(|time| inner.take_rows("root.plant.d1", 1, *time, 1));
    take(&[-5, 10, 99]);
    let first = outer.taken();
    inner.done(&format!("create pipe p with source ({source}) {}", to(outer.gate)));
    take(&[-4, 11, 98, last]);
    let time = |sequence| {
        let shown = outer.shown(sequence);
        let (_, rest) = shown.split_once(" times ").unwrap();
        rest.split(' ').next().unwrap().parse::<i64>().unwrap()
    };
    // Everything has its turn: what is not there when the last one is will never be.
    let is_over = || outer.taken() > first && time(outer.taken() - 1) == last;
    wait::until("the last one", SOON, is_over).unwrap();
    (first..outer.taken() - 1).map(time).collect()
}

#[test]
fn a_74_a_75_a_bound_of_the_history_that_is_not_there_is_no_bound() {
    assert_eq!(sent("'source.history.start-time'='10'", 0), [10, 99, -4, 11, 98]);
    assert_eq!(sent("'source.history.end-time'='10'", 0), [-5, 10, -4, 11, 98]);
    assert_eq!(sent("", 0), [-5, 10, 99, -4, 11, 98]);
}

#[test]
fn a_76_times_are_numbers_of_the_whole_range() {
    let (first, last) = (i64::MIN, i64::MAX);
    let all = [-5, 10, 99, -4, 11, 98];
    assert_eq!(sent(&format!("'start-time'='{first}','end-time'='{last}'"), 0), all);
    assert!(sent(&format!("'end-time'='{first}'"), first).is_empty());
    assert!(sent(&format!("'start-time'='{last}'"), last).is_empty());
    let history = format!("'history.start-time'='{first}','history.end-time'='-5'");
    assert_eq!(sent(&history, 0), [-5, -4, 11, 98]);
    let beyond = "with source ('start-time'='-9223372036854775809')";
    let answer = Site::inner().sql(&format!("create pipe p {beyond} {}", Site::NOBODY));
    assert_eq!(answer.code(), 1107, "{answer:?}");
}

#[test]
fn a_92_the_air_gap_sink_speaks_with_a_gate() {
    let (inner, far) = (Site::inner(), FarSide::answering(|_| Some(0)));
    inner.take(1);
    inner.done(&format!("create pipe p {}", to(far.address)));
    inner.wait_done("p");
    assert!(far.connections() > 0);
    assert!(inner.cell("p", "PipeSink").contains("sink=iotdb-air-gap-sink"));
}

//! Whole configurations: defaults by role, the operator's example, and every mistake with its message.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::limits::SESSION_CONNECTIONS_MAX;
use crate::wire::compressed::Compressor;

fn read_with(role: Role, text: Option<&str>, sets: &[&str]) -> (Config, Vec<String>) {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    let file = text.map(|text| (Path::new("/etc/penstock/p.toml"), text));
    let input = Input {
        role,
        file,
        properties: None,
        sets: &sets,
        data_dir: None,
        state_directory: None,
        host_name: "box",
    };
    let (config, findings) = read(input);
    let findings = findings.sorted().iter().map(ToString::to_string).collect();
    (config, findings)
}

fn findings(text: &str) -> Vec<String> {
    read_with(Role::Sender, Some(text), &[]).1
}

fn pipe(sink: &str) -> String {
    format!("[[pipe]]\nname = \"a\"\nsink = {{ sink = \"iotdb-air-gap-sink\", {sink} }}\n")
}

fn sink_of(attributes: &str) -> AirGapSink {
    let text = pipe(attributes);
    let (mut config, findings) = read_with(Role::Sender, Some(&text), &[]);
    assert!(findings.is_empty(), "{findings:?}");
    config.pipes.remove(0).sink.expect("a gate")
}

const TARGET: &str = "node-urls = \"10.53.53.53:9780\"";

#[test]
fn without_a_file_everything_listens_on_loopback() {
    let (receiver, findings) = read_with(Role::Receiver, None, &[]);
    assert!(findings.is_empty());
    assert_eq!(receiver.data_dir, Path::new("./penstock-receiver"));
    assert_eq!(receiver.gate.listen.to_string(), "127.0.0.1:9780");
    assert_eq!(receiver.status_listen.map(|at| at.to_string()).as_deref(), Some("127.0.0.1:9781"));
    assert!(receiver.gate.enabled && receiver.landing.enabled && receiver.inbox.is_none());
    assert_eq!(receiver.landing.dir, Path::new("./penstock-receiver/landing"));
    let (sender, _) = read_with(Role::Sender, None, &[]);
    assert!(!sender.gate.enabled && !sender.landing.enabled);
    let inbox = sender.inbox.expect("a sender takes files");
    assert_eq!(
        (inbox.dir.as_path(), inbox.archive_dir),
        (Path::new("./penstock-sender/inbox"), None)
    );
    assert_eq!(sender.name, "box");
}

#[test]
fn landing_is_off_by_itself_once_there_is_a_pipe() {
    let (config, _) = read_with(Role::Receiver, Some(&pipe(TARGET)), &[]);
    assert!(!config.landing.enabled);
    let both = format!("[landing]\nenabled = true\n{}", pipe(TARGET));
    assert!(read_with(Role::Receiver, Some(&both), &[]).0.landing.enabled);
}

#[test]
fn the_operators_example_is_read() {
    let text = include_str!("example.toml");
    let (config, findings) = read_with(Role::Receiver, Some(text), &[]);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(config.spool.max_bytes, 10 << 30);
    assert_eq!(config.spool.segment_max_age, Duration::from_secs(60));
    assert_eq!(config.gate.listen.to_string(), "0.0.0.0:9780");
    assert_eq!(config.gate.allow.len(), 1);
    assert_eq!(config.intake.auth, PlanPolicy::Ignore);
    assert_eq!(config.alarm_command, ["/etc/penstock/alarm.sh"]);
    let pipe = config.pipes.first().expect("one pipe");
    assert_eq!(pipe.name, "to_zone_3");
    let sink = pipe.sink.as_ref().expect("a gate");
    assert_eq!(sink.targets.get(0).map(ToString::to_string).as_deref(), Some("10.53.53.53:9780"));
    assert_eq!(sink.handshake_timeout, Duration::from_secs(5));
}

#[test]
fn paths_of_the_file_are_relative_to_it_and_those_of_arguments_are_not() {
    let text = "data_dir = \"state\"\n[gate]\nuser = \"root\"\npassword = \"file:pw\"\n";
    let (config, _) = read_with(Role::Sender, Some(text), &["inbox.dir=drop"]);
    assert_eq!(config.data_dir, Path::new("/etc/penstock/state"));
    assert_eq!(config.inbox.expect("on").dir, Path::new("drop"));
    let credentials = config.gate.credentials.expect("both are there");
    assert_eq!(credentials.password.to_string(), "file:/etc/penstock/pw");
}

#[test]
fn sessions_are_served_where_the_file_says() {
    let text = "timestamp_precision = \"ms\"\n[session]\nlisten = \"127.0.0.1:7000\"\nuser = \"u\"\npassword = \"file:pw\"\nlocal = [\"c\"]\n";
    let (config, findings) = read_with(Role::Sender, Some(text), &[]);
    assert!(findings.is_empty(), "{findings:?}");
    let session = config.session.expect("it listens");
    assert_eq!(session.listen.to_string(), "127.0.0.1:7000");
    assert_eq!((session.credentials.user.as_str(), session.local), ("u", vec!["c".to_owned()]));
    assert_eq!(session.max_connections, SESSION_CONNECTIONS_MAX);
    assert_eq!(read_with(Role::Receiver, None, &[]).0.session, None);
}

#[test]
fn data_dir_follows_argument_file_systemd_in_this_order() {
    let text = "data_dir = \"/file\"";
    let read_dir = |file: Option<&str>, state, argument: Option<&str>| {
        let input = Input {
            role: Role::Sender,
            file: file.map(|text| (Path::new("p.toml"), text)),
            properties: None,
            sets: &[],
            data_dir: argument.map(Path::new),
            state_directory: state,
            host_name: "box",
        };
        read(input).0.data_dir.display().to_string()
    };
    assert_eq!(read_dir(Some(text), Some("/state"), Some("/argument")), "/argument");
    assert_eq!(read_dir(Some(text), Some("/state"), None), "/file");
    assert_eq!(read_dir(None, Some("/state:/second"), None), "/state");
    assert_eq!(read_dir(None, Some(""), None), "./penstock-sender");
}

#[test]
fn arguments_are_laid_over_the_file() {
    let text = format!("[gate]\nlisten = \"0.0.0.0:1\"\n{}", pipe(TARGET));
    let sets = [
        "gate.listen=127.0.0.1:7",
        "gate.allow=[\"10.0.0.0/8\"]",
        "spool.max_bytes=1GiB",
        "log.level=debug",
        "name=north gate",
        "status.listen=off",
    ];
    let (config, findings) = read_with(Role::Sender, Some(&text), &sets);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(config.gate.listen.to_string(), "127.0.0.1:7");
    assert_eq!((config.spool.max_bytes, config.name.as_str()), (1 << 30, "north gate"));
    assert_eq!((config.log_level, config.status_listen), (log::LevelFilter::Debug, None));
    let all = "pipe=[{name='b',sink={sink='iotdb-air-gap-sink',ip='::1',port=9780}}]";
    let (config, findings) = read_with(Role::Sender, None, &[all]);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(
        config
            .pipes
            .first()
            .and_then(|pipe| pipe.sink.as_ref())
            .map(|sink| sink.targets.to_string())
            .as_deref(),
        Some("[::1]:9780")
    );
}

#[test]
fn mistakes_of_arguments_name_the_argument() {
    for (set, finding) in [
        (
            "gate.listen=7",
            "--set gate.listen: error: gate.listen: invalid type: integer `7`, expected a string",
        ),
        ("gate", "--set gate: error: expected KEY=VALUE"),
        ("gate.=1", "--set gate.: error: expected KEY=VALUE with a dotted configuration key"),
        ("name.x=1", "--set name.x: error: name: invalid type: map, expected a string"),
        (
            "colour=red",
            "--set colour: error: colour: unknown key (known here: name, cluster_id, data_dir, properties, timestamp_precision, plugins, pipe, landing, spool, gate, session, intake, inbox, compat, quarantine, alarm, status, log)",
        ),
        (
            "gate.password=env:HUNTER",
            "--set gate.password: error: gate.password: has no user beside it (add user)",
        ),
    ] {
        assert_eq!(read_with(Role::Sender, None, &[set]).1, [finding], "{set}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mistake_names_line_key_and_remedy() {
    for (text, finding) in [
        (
            "\n[gate]\nmax_conections = 9\n",
            "3: error: gate.max_conections: unknown key (did you mean \"max_connections\"?)",
        ),
        ("[gates]\n", "1: error: gates: unknown key (did you mean \"gate\"?)"),
        ("gate = 5\n", "1: error: gate: expected a table, found an integer"),
        (
            "[gate]\nlisten = \"9780\"\n",
            "2: error: gate.listen: \"9780\" is not an address and a port (such as \"127.0.0.1:9780\")",
        ),
        (
            "[gate]\nmax_frame_bytes = true\n",
            "2: error: gate.max_frame_bytes: invalid type: boolean `true`, expected a size such as 16777216 or \"16MiB\"",
        ),
        (
            "[gate]\nmax_frame_bytes = \"3GiB\"\n",
            "2: error: gate.max_frame_bytes: expected 16KiB to 2047MiB, as lengths on the wire are signed (64MiB suits most)",
        ),
        ("[gate]\nmax_connections = 0\n", "2: error: gate.max_connections: expected 1 to 256"),
        (
            "[gate]\nallow = [\"10.0.0.0/99\"]\n",
            "2: error: gate.allow: invalid value: string \"10.0.0.0/99\", expected an address such as \"10.53.53.0/24\"",
        ),
        (
            "[gate]\ne_language = \"yes\"\n",
            "2: error: gate.e_language: there is only \"auto\": both forms are recognised (leave it out)",
        ),
        (
            "[gate]\nuser = \"root\"\n",
            "2: error: gate.user: has no password beside it (add password)",
        ),
        (
            "[gate]\nuser = \"a\"\npassword = 17\n",
            "3: error: gate.password: expected a text (put it in quotes, or write \"file:PATH\" or \"env:NAME\")\n2: error: gate.user: has no password beside it (add password)",
        ),
        (
            "[spool]\nsegment_bytes = \"1MiB\"\n",
            "2: error: spool.segment_bytes: a segment has 2MiB to 1GiB, in steps of 4096 bytes (16MiB suits most)",
        ),
        (
            "[spool]\nmax_bytes = \"16MiB\"\n",
            "2: error: spool.max_bytes: less than 4 segments of segment_bytes (make it larger, or the segments smaller)",
        ),
        (
            "[spool]\nsegment_max_age = 60\n",
            "2: error: spool.segment_max_age: invalid type: integer `60`, expected a duration such as \"5s\" or \"15min\"",
        ),
        (
            "[landing]\nenabled = true\nmax_delay = \"0s\"\n",
            "3: error: landing.max_delay: less than a second",
        ),
        (
            "[spool]\nwhen_full = \"drop\"\n",
            "2: error: spool.when_full: unknown variant `drop`, expected `block` or `drop-oldest`",
        ),
        (
            "[inbox]\nafter = \"archive\"\n",
            "2: error: inbox.after: archive_dir is missing (add archive_dir)",
        ),
        (
            "[inbox]\ndir = \"/i\"\nafter = \"archive\"\narchive_dir = \"/i/a\"\n",
            "4: error: inbox.archive_dir: lies in the inbox, so that archived files would be taken in again (choose a directory beside it)",
        ),
        (
            "[inbox]\narchive_dir = \"/a\"\n",
            "2: error: inbox.archive_dir: files are deleted, not archived (set after = \"archive\")",
        ),
        ("[inbox]\ndir = \"\"\n", "2: error: inbox.dir: the path is empty"),
        (
            "[session]\nlisten = \"127.0.0.1:6667\"\n",
            "2: error: session.listen: needs a user and a password, or anybody could write (add user and password)",
        ),
        (
            "[session]\nlisten = \"127.0.0.1:6667\"\nuser = \"u\"\npassword = \"p\"\n",
            "2: warning: session.listen: clients are told ms until something of another unit was taken in (add timestamp_precision = \"ms\", or whichever it is)",
        ),
        (
            "[session]\nlocal = [\"c\"]\n",
            "1: warning: session: has no effect without a place to listen at (add listen = \"127.0.0.1:6667\")",
        ),
        (
            "[compat]\ncreate_pipe_state = \"resting\"\n",
            "2: error: compat.create_pipe_state: expected \"running\" or \"stopped\", found \"resting\"",
        ),
        (
            "[alarm]\ncommand = [\"alarm.sh\"]\n",
            "2: error: alarm.command: the program is not an absolute path (such as [\"/etc/penstock/alarm.sh\"])",
        ),
        (
            "[log]\nlevel = \"loud\"\n",
            "2: error: log.level: expected off, error, warn, info, debug or trace, found \"loud\"",
        ),
        (
            "[quarantine]\nmax_bytes = 0\n",
            "2: error: quarantine.max_bytes: less than 2MiB: not even one entry fits (256MiB suits most)",
        ),
        (
            "[landing]\nkeep_days = 3\n",
            "1: warning: landing.dir: landing is off here, since it is on by itself only in a receiver without pipes (add enabled = true, or leave the section out)",
        ),
        (
            "timestamp_precision = \"s\"\n",
            "1: error: timestamp_precision: expected \"auto\", \"ms\", \"us\" or \"ns\", found \"s\"",
        ),
        (
            "[intake]\nplans = { auth = \"keep\" }\n",
            "2: error: intake.plans.auth: unknown variant `keep`, expected `pass` or `ignore`",
        ),
        ("name = \"a\nb = 1\n", "1: error: invalid basic string, expected `\"`"),
    ] {
        let found = findings(text);
        let found: Vec<_> =
            found.iter().map(|line| line.trim_start_matches("/etc/penstock/p.toml:")).collect();
        let mut expected: Vec<_> = finding.split('\n').collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_pipe_may_have_a_plugin_that_is_created_later_where_plugins_are_allowed() {
    let stanza = |sink: &str| format!("[[pipe]]\nname = \"a\"\nsink = {{ sink = \"{sink}\" }}\n");
    let allowed = |sink: &str| format!("[plugins]\nallow = true\n{}", stanza(sink));
    let (config, findings) = read_with(Role::Sender, Some(&allowed("csv")), &[]);
    assert_eq!(
        findings,
        [
            "/etc/penstock/p.toml:5: warning: pipe[0].sink.\"sink\": csv is not built in: the pipe stands still until CREATE PIPEPLUGIN csv"
        ]
    );
    assert_eq!((config.pipes.len(), config.pipes[0].sink.is_none()), (1, true));
    let (config, findings) = read_with(Role::Sender, Some(&allowed("iotdb-air-gap-snik")), &[]);
    assert!(findings[0].ends_with("(did you mean iotdb-air-gap-sink?)"), "{findings:?}");
    assert_eq!(config.pipes.len(), 1);
    let (config, findings) = read_with(Role::Sender, Some(&stanza("csv")), &[]);
    assert!(findings[0].contains("error") && findings[0].contains("CSV has not been registered"));
    assert_eq!(config.pipes, []);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mistake_of_a_pipe_names_line_key_and_remedy() {
    let stanza = |rest: &str| format!("[[pipe]]\nname = \"a\"\n{rest}\n");
    for (text, finding) in [
        (
            "[[pipe]]\nstatement = \"create pipe a with sink ('sink'='iotdb-thrift-ssl-sink','node-urls'='h:1','ssl.trust-store-path'='t','ssl.trust-store-pwd'='p')\"\n"
                .to_owned(),
            "2: error: pipe[0].statement.sink.\"sink\": iotdb-thrift-ssl-sink: this sink is not in this build (use iotdb-thrift-sink, without TLS)",
        ),
        (
            "[[pipe]]\nname = \"a\"\nstatement = \"show pipes\"\n".to_owned(),
            "2: error: pipe[0].name: unknown key (known here: statement)\n3: error: pipe[0].statement: expected one CREATE PIPE (write it as create pipe NAME with sink (...))",
        ),
        (
            "[[pipe]]\nstatement = \"create pipe a with sink ('sink')\"\n".to_owned(),
            "2: error: pipe[0].statement: Error occurred while parsing SQL to physical plan: line 1:31 expected '=', found ')'",
        ),
        (
            stanza(""),
            "1: error: pipe[0].sink: is missing (add sink = { sink = \"iotdb-air-gap-sink\" })",
        ),
        (
            stanza("sink = { sink = \"iotdb-thrift-sync-sink\", node-urls = \"h:1\", \"ssl.enable\" = true, \"ssl.trust-store-path\" = \"t\", \"ssl.trust-store-pwd\" = \"p\" }"),
            "3: error: pipe[0].sink.\"ssl.enable\": TLS is not in this build (leave it out)\n3: error: pipe[0].sink.\"ssl.trust-store-path\": TLS is not in this build (leave it out)\n3: error: pipe[0].sink.\"ssl.trust-store-pwd\": TLS is not in this build (leave it out)",
        ),
        (
            stanza("sink = { batch.enable = true }"),
            "3: error: pipe[0].sink: One of connector.node-urls, connector.host:connector.port, sink.node-urls, sink.host:sink.port must be specified (add 'node-urls'='10.53.53.53:6667', the address of an IoTDB)",
        ),
        (
            stanza("sink = \"iotdb-air-gap-sink\""),
            "3: error: pipe[0].sink: expected a table, found a text (write it as { key = value, ... })",
        ),
        (
            pipe(""),
            "3: error: pipe[0].sink: One of connector.node-urls, connector.host:connector.port, sink.node-urls, sink.host:sink.port must be specified (add 'node-urls'='10.53.53.53:9780', the gate's address on this side)",
        ),
        (
            pipe("node-urls = \"10.53.53.53\""),
            "3: error: pipe[0].sink.\"node-urls\": Error occurred while parsing node urls from target servers, please check the specified 'host':'port' or 'node-urls' (`10.53.53.53` has no port; a target is written host:port)",
        ),
        (
            pipe("ip = \"h\""),
            "3: error: pipe[0].sink.\"ip\": One of connector.node-urls, connector.host:connector.port, sink.node-urls, sink.host:sink.port must be specified (add port)",
        ),
        (
            pipe("\"sink.port\" = 9780"),
            "3: error: pipe[0].sink.\"sink.port\": One of connector.node-urls, connector.host:connector.port, sink.node-urls, sink.host:sink.port must be specified (add ip)",
        ),
        (
            pipe("ip = \"h\", port = 0"),
            "3: error: pipe[0].sink.\"port\": Error occurred while parsing node urls from target servers, please check the specified 'host':'port' or 'node-urls' (`0` is not a port; a port is a number from 1 to 65535)",
        ),
        (
            pipe("ip = \"h\", host = \"i\", port = 1"),
            "3: error: pipe[0].sink.\"ip\": the same attribute as \"host\", with another value (keep one of the two)",
        ),
        (
            pipe(&format!("{TARGET}, air-gap.handshake-timeout-ms = -1")),
            "3: error: pipe[0].sink.\"air-gap.handshake-timeout-ms\": Invalid value -1 of sink.air-gap.handshake-timeout-ms. The value should be milliseconds from 1 to a day",
        ),
        (
            pipe(&format!("{TARGET}, air-gap.e-language.enable = \"yes\"")),
            "3: error: pipe[0].sink.\"air-gap.e-language.enable\": Invalid value yes of sink.air-gap.e-language.enable. The value should be one of [true, false]",
        ),
        (
            pipe(&format!("{TARGET}, compressor = \"lz4,brotli\"")),
            "3: error: pipe[0].sink.\"compressor\": Compressor should be one of [zstd, lz4, snappy, gzip, lzma2], but got brotli.",
        ),
        (
            pipe(&format!("{TARGET}, batch.enable = true")),
            "3: warning: pipe[0].sink.\"batch.enable\": has no effect: tablets are sent one by one",
        ),
        (
            pipe(&format!("{TARGET}, node-url = \"h:1\"")),
            "3: warning: pipe[0].sink.\"node-url\": unknown attribute (did you mean \"node-urls\"?)",
        ),
        (
            format!("{}source = {{ capture.tree = false }}\n", pipe(TARGET)),
            "4: error: pipe[0].source.\"capture.tree\": tables are not told apart in this build: what belongs to them goes as a whole (leave it out)",
        ),
        (
            format!(
                "{}processor = {{ processor = \"sdt-sampling-processor\", down-sampling.split-file = true }}\n",
                pipe(TARGET)
            ),
            "4: error: pipe[0].processor.\"down-sampling.split-file\": sampling of files is not in this build: they are sent as they are (leave it out)",
        ),
        (
            format!("[[pipe]]\nsink = {{ sink = \"iotdb-air-gap-sink\", {TARGET} }}\n"),
            "1: error: pipe[0].name: is missing (give the pipe a name)",
        ),
        (
            format!("{}\n{}", pipe(TARGET), pipe(TARGET)),
            "6: error: pipe[1].name: there is a pipe \"a\" already (choose another name)",
        ),
        (
            pipe(TARGET).replace("\"a\"", "\"a/b\""),
            "2: error: pipe[0].name: the name becomes a directory and cannot be one (choose another name)",
        ),
        (
            "[pipe]\nname = \"a\"\n".to_owned(),
            "1: error: pipe: expected a list of tables (write it as [[pipe]])",
        ),
    ] {
        let found = findings(&text);
        let found: Vec<_> =
            found.iter().map(|line| line.trim_start_matches("/etc/penstock/p.toml:")).collect();
        assert_eq!(found, finding.split('\n').collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn attributes_are_read_under_every_spelling() {
    for attributes in [
        "ip = \"gate\", port = 9780",
        "\"sink.ip\" = \"gate\", \"connector.port\" = \"9780\"",
        "connector.host = \"gate\", \"sink.port\" = 9780",
        "node-urls = \" gate:9780 , gate:9780\"",
        "node-urls = \"gate:9780\", host = \"gate\", ip = \"gate\", port = 9780",
    ] {
        let sink = sink_of(attributes);
        assert_eq!(sink.targets.to_string(), "gate:9780", "{attributes}");
    }
}

#[test]
fn a_statement_is_a_stanza_too() {
    let statement = "create pipe A2B with source ('source'='iotdb-source') \
                     with sink ('sink'='iotdb-air-gap-sink' 'sink.ip'='gate','sink.port'='9780')";
    let text = format!("[[pipe]]\nstatement = \"{statement}\"\n");
    let (config, findings) = read_with(Role::Sender, Some(&text), &[]);
    let written = read_with(Role::Sender, Some(&pipe("ip = \"gate\", port = 9780")), &[]).0;
    let [pipe] = &config.pipes[..] else { panic!("{findings:?}") };
    assert_eq!((pipe.name.as_str(), &pipe.sink), ("A2B", &written.pipes[0].sink));
    let warning = "a ',' is missing before 'sink.ip': read as if it were there";
    assert!(findings.len() == 1 && findings[0].contains(warning), "{findings:?}");
}

#[test]
fn attributes_become_settings() {
    let sink = sink_of(
        "node-urls = \"a:1,[::1]:2\", load-balance-strategy = \"priority\", compressor = \"lz4, ZSTD\", \
         \"compressor.zstd.level\" = 7, rate-limit-bytes-per-second = 1048576.0, user = \"plant\", \
         password = \"hunter2\", air-gap.piece-bytes = 65536, air-gap.handshake-v1-fallback = true, \
         exception.conflict.retry-max-time-seconds = 3600, load-tsfile-strategy = \"async\", \
         mark-as-general-write-request = true",
    );
    let targets: Vec<_> = sink.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["a:1", "[::1]:2"]);
    assert_eq!(sink.order, GateOrder::Priority);
    assert_eq!(sink.compressors, [Compressor::Lz4, Compressor::Zstd]);
    assert_eq!(sink.zstd_level, 7);
    assert_eq!(sink.rate_limit.map(u64::from), Some(1_048_576));
    assert_eq!((sink.user.as_str(), sink.piece_bytes), ("plant", 65536));
    assert_eq!(sink.give_up_after, Some(Duration::from_secs(3600)));
    assert_eq!(sink.load_strategy, LoadStrategy::Async);
    assert!(sink.handshake_v1_fallback && !sink.mark_as_pipe_request);
    assert_eq!(sink.transport, Transport::AirGap { e_language: false });
    let defaults = sink_of(TARGET);
    assert_eq!((defaults.rate_limit, defaults.give_up_after), (None, None));
    assert!(defaults.mark_as_pipe_request && defaults.convert_on_type_mismatch);
}

#[test]
fn no_secret_is_shown() {
    let text = format!(
        "[gate]\nuser = \"root\"\npassword = \"hunter2\"\n{}",
        pipe(&format!("{TARGET}, password = \"hunter2\", \"sink.password\" = \"hunter3\""))
    );
    let (config, findings) = read_with(Role::Sender, Some(&text), &["gate.password=hunter4"]);
    let shown = format!("{config:?} {findings:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    let [mistake, remark] = &findings[..] else { panic!("{findings:?}") };
    assert!(remark.contains("in the process list"), "{remark}");
    assert!(mistake.contains("the same attribute as"), "{mistake}");
}

#[test]
fn a_secret_in_an_argument_is_remarked_on_unless_it_only_says_where_it_lies() {
    let text = format!("[gate]\nuser = \"root\"\npassword = \"clear\"\n{}", pipe(TARGET));
    let remarks = |set: &str| read_with(Role::Sender, Some(&text), &[set]).1;
    let found = remarks("gate.password=hunter4");
    let expected = "--set gate.password: warning: gate.password: a secret in an argument is seen in \
                    the process list (write file:PATH or env:NAME)";
    assert_eq!(found, [expected]);
    let stanza = "pipe=[{name='a',sink={sink='iotdb-air-gap-sink',node-urls='h:1',password='x'}}]";
    let found = remarks(stanza);
    assert!(found.len() == 1 && found[0].contains("process list"), "{found:?}");
    for set in ["gate.password=file:pw", "gate.password=env:PW", "gate.user=other"] {
        assert_eq!(remarks(set), [""; 0], "{set}");
    }
}

#[test]
fn what_iotdb_s_own_file_sets_applies_where_nothing_else_does() {
    let set = "pipe_air_gap_receiver_enabled=true\npipe_air_gap_receiver_port=1\ntimestamp_precision=ns\n\
               pipe_air_gap_receiver_max_payload_size_in_bytes=1048576\npipe_lib_dir=lib\n";
    let read_with = |own: &str| {
        let input = Input {
            role: Role::Sender,
            file: Some((Path::new("/etc/p.toml"), own)),
            properties: Some((Path::new("/etc/common.properties"), set)),
            sets: &[],
            data_dir: Some(Path::new("/data")),
            state_directory: None,
            host_name: "box",
        };
        assert_eq!(properties_file(input).as_deref(), Some(Path::new("/etc/common.properties")));
        let (config, findings) = read(input);
        assert_eq!(findings.sorted(), []);
        config
    };
    let own = "properties = \"common.properties\"\n";
    let config = read_with(own);
    assert!(config.gate.enabled);
    assert_eq!(config.gate.listen.to_string(), "0.0.0.0:1");
    assert_eq!(config.gate.max_frame_bytes, 1 << 20);
    assert_eq!(config.timestamp_precision, Some(Precision::Ns));
    assert_eq!(config.plugins.dir, Path::new("/data/lib"));
    let config = read_with(&format!(
        "{own}timestamp_precision = \"auto\"\n[gate]\nenabled = false\nlisten = \"127.0.0.1:2\"\n\
         max_frame_bytes = \"2MiB\"\n[plugins]\ndir = \"own\"\n"
    ));
    assert!(!config.gate.enabled);
    assert_eq!(config.gate.listen.to_string(), "127.0.0.1:2");
    assert_eq!(config.gate.max_frame_bytes, 2 << 20);
    assert_eq!(config.timestamp_precision, None);
    assert_eq!(config.plugins.dir, Path::new("/etc/own"));
}

#[test]
fn a_landed_file_has_a_size_that_it_can_have() {
    let findings_of =
        |size: &str| findings(&format!("[landing]\nenabled = true\nmax_file_bytes = \"{size}\"\n"));
    assert_eq!(findings_of("32MiB"), [""; 0]);
    for (size, what) in [("65MiB", "warning: landing.max_file_bytes"), ("1KiB", "less than 1MiB")] {
        let found = findings_of(size);
        assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
    }
}

//! Commands without a process: what they print, how they end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::*;
use crate::limits::MIB;
use crate::ops::board::{Board, Phase, Report, TroubleKind};
use crate::ops::clock::{self, EpochMillis};
use crate::ops::status::{Listener, Service, bind_control, control_path, serve};
use crate::spool::{Arrival, Kind, NewEntry, RealDisk, Settings, Source, Spool, Start};
use crate::wire::thrift;

/// What a command printed, and how it ended: the exit code of an error, or nothing.
fn run(role: Role, arguments: &[&str]) -> (String, Result<Ending, CliError>) {
    let line = [role.program()].into_iter().chain(arguments.iter().copied());
    let matches = command(role).try_get_matches_from(line).unwrap();
    let parsed = Arguments::from_arg_matches(&matches).unwrap();
    let mut out = Vec::new();
    let ending = perform(role, parsed, &mut out);
    (String::from_utf8(out).unwrap(), ending)
}

fn run_in(dir: &Path, arguments: &[&str]) -> (String, Result<Ending, CliError>) {
    let data_dir = dir.to_str().unwrap();
    let config = dir.join("p.toml");
    if !config.exists() {
        fs::write(&config, "name = \"plant7\"\n[status]\nlisten = \"off\"\n").unwrap();
    }
    let options = ["--data-dir", data_dir, "-c", config.to_str().unwrap()];
    run(Role::Sender, &[&options, arguments].concat())
}

/// Runs `test` beside a node's control socket in `dir`.
fn beside_node(dir: &Path, board: &Arc<Board>, test: impl FnOnce()) {
    let (path, board) = (control_path(dir, None), Arc::clone(board));
    let (bound, is_bound) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let node = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let listener = Listener::Control(bind_control(&path).unwrap());
            bound.send(()).unwrap();
            let (commands, _asked) = mpsc::channel(1);
            let service = Service::control(board, commands);
            tokio::select! { () = serve(listener, service) => {}, _ = stopped => {} }
        });
    });
    is_bound.recv().unwrap();
    test();
    stop.send(()).unwrap();
    node.join().unwrap();
}

fn board() -> Arc<Board> {
    let now = clock::now();
    let board = Board::new(Role::Sender, "plant7", now);
    board.set_phase(Phase::Running);
    let row = board.pipes.row("to_zone_3", "10.53.53.53:9780", EpochMillis(0)).unwrap();
    row.set_backlog(7, 12, 3 * 1024 * 1024, now);
    row.say("connecting");
    let report = Report::new(TroubleKind::NoAnswer, "nothing for 12 minutes").about("to_zone_3");
    board.raise(report, EpochMillis(0));
    Arc::new(board)
}

#[test]
fn status_is_one_screen_and_check_finds_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let board = board();
    let crossing = board.crossings.begin("to_zone_3", "day.tsfile", Some(400), clock::now());
    crossing.progress(100, clock::now());
    beside_node(dir.path(), &board, || {
        let (text, ending) = run_in(dir.path(), &["status"]);
        assert_eq!(ending.unwrap(), Ending::Done);
        for part in [
            "plant7: sender, running for",
            "NEEDS A PERSON",
            "! no-answer:to_zone_3",
            "nothing for 12 minutes",
            TroubleKind::NoAnswer.remedy(),
            "[#######.......................]  25 %  100 B of 400 B",
            "to_zone_3  RUNNING  10.53.53.53:9780",
            "to_zone_3: connecting",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 132), "{text}");
        assert_eq!(run_in(dir.path(), &["status", "--check"]).1.unwrap(), Ending::Found);
        let (json, _) = run_in(dir.path(), &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(status["crossing"][0]["percent"], 25);
        let (text, _) = run_in(dir.path(), &["ack", "no-answer"]);
        assert_eq!(text, "seen: no-answer:to_zone_3  nothing for 12 minutes\n");
        for known in [&["ack"][..], &["ack", "quarantine"], &["ack", "no-answer:to_zone_3"]] {
            let (text, ending) = run_in(dir.path(), known);
            assert_eq!(
                (text.as_str(), ending.unwrap()),
                ("nothing to acknowledge\n", Ending::Done)
            );
        }
        for wrong in ["quarantin", "no-answer:to_zone_4"] {
            let error = run_in(dir.path(), &["ack", wrong]).1.unwrap_err();
            assert!(error.to_string().ends_with("; there is: no-answer:to_zone_3"), "{error}");
            assert_eq!(error.exit_code(), ExitCode::from(USAGE));
        }
        assert_eq!(run_in(dir.path(), &["status", "--check"]).1.unwrap(), Ending::Done);
    });
}

#[test]
fn without_a_node_status_says_so_and_exits_with_one() {
    let dir = tempfile::tempdir().unwrap();
    let (_, ending) = run_in(dir.path(), &["status"]);
    let error = ending.unwrap_err();
    assert!(error.to_string().starts_with("no node answers on "), "{error}");
    assert_eq!(error.exit_code(), ExitCode::FAILURE);
}

#[test]
fn check_says_what_runs_for_how_long_and_what_to_set_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [
        "--set",
        "pipe=[{name='out',sink={sink='iotdb-air-gap-sink',ip='10.53.53.53',port=9780}}]",
        "--set",
        "gate.enabled=true",
        "--set",
        "gate.listen=127.0.0.1:0",
    ];
    let (text, ending) = run_in(dir.path(), &[&["check", "--rate", "1MiB"][..], &sets].concat());
    assert_eq!(ending.unwrap(), Ending::Done, "{text}");
    for part in [
        "p.toml",
        "node      plant7 (not running)",
        "pipe      out -> 10.53.53.53:9780, pieces of 1.00 MiB",
        "gate      127.0.0.1:0, frames up to 64.0 MiB, all peers",
        "status    control socket only",
        "HOW LONG THE FAR SIDE MAY BE AWAY",
        "at the rate given",
        "IF A STOCK IOTDB SENDS TO THIS GATE",
        "retry-max-time-seconds",
        "IF A STOCK IOTDB RECEIVES FROM A PIPE",
        "pipe_air_gap_receiver_enabled=true",
        "No mistakes.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let made: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["p.toml"], "check changes nothing");
}

#[test]
fn check_shows_every_mistake_and_exits_with_two() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("not-a-dir");
    fs::write(&file, "").unwrap();
    let mistakes = "nam = 1\n[gate]\nlistn = 2\n[inbox]\ndir = \"not-a-dir\"\n";
    fs::write(dir.path().join("p.toml"), mistakes).unwrap();
    let (text, ending) = run_in(dir.path(), &["check"]);
    assert!(text.contains("p.toml:1: error: nam: unknown key (did you mean \"name\"?)"), "{text}");
    assert!(text.contains("p.toml:3: error: gate.listn: unknown key"), "{text}");
    assert!(text.contains("p.toml:5: error: inbox.dir: "), "the machine's, too: {text}");
    assert!(text.contains("3 errors, 0 warnings."), "{text}");
    assert_eq!(ending.unwrap_err().exit_code(), ExitCode::from(USAGE));
    fs::write(
        dir.path().join("p.toml"),
        "[inbox]\ndir = \"not-a-dir\"\n[status]\nlisten = \"off\"\n",
    )
    .unwrap();
    let (text, ending) = run_in(dir.path(), &["check"]);
    assert!(
        text.contains("p.toml:2: error: inbox.dir: ")
            && text.contains("not-a-dir is not a directory"),
        "{text}"
    );
    assert!(ending.is_err());
}

#[test]
fn mistakes_that_only_the_machine_shows_have_file_line_key_and_hint() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let free = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("open"), "secret").unwrap();
    fs::write(dir.path().join("alarm.sh"), "").unwrap();
    let text = format!(
        r#"[gate]
enabled = true
listen = "127.0.0.1:{port}"
user = "root"
password = "file:no-such-file"
[landing]
enabled = true
dir = "p.toml/landing"
[alarm]
command = ["{here}/alarm.sh"]
[status]
listen = "192.0.2.1:1"
[[pipe]]
name = "a"
sink = {{ sink = "iotdb-air-gap-sink", node-urls = "h:1", password = "file:open" }}
[[pipe]]
name = "b"
[pipe.sink]
sink = "iotdb-air-gap-sink"
node-urls = "h:1"
"connector.password" = "env:PENSTOCK_NO_SUCH"
[spool]
reserve_bytes = "9000TiB"
"#,
        here = dir.path().display()
    );
    fs::write(dir.path().join("p.toml"), text).unwrap();
    let (text, ending) = run_in(dir.path(), &["check"]);
    assert_eq!(ending.unwrap_err().exit_code(), ExitCode::from(USAGE));
    for part in [
        &format!("p.toml:3: error: gate.listen: cannot listen on 127.0.0.1:{port}: "),
        "ss -ltnp",
        "p.toml:5: error: gate.password: file:",
        "mode 0600",
        "p.toml:8: error: landing.dir: ",
        "p.toml is not a directory (choose another path)",
        "p.toml:10: error: alarm.command: ",
        "chmod +x",
        "p.toml:12: error: status.listen: cannot listen on 192.0.2.1:1: ",
        "see ip addr",
        "p.toml:15: warning: pipe[0].sink.\"password\": ",
        "open can be read by others (chmod 0600)",
        "p.toml:21: error: pipe[1].sink.\"connector.password\": env:PENSTOCK_NO_SUCH: is not set",
        "p.toml:23: error: spool.reserve_bytes: only ",
        "make room, or let spool.reserve_bytes be less",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // What a person gave on the command line is there, not in the file.
    let long = free.path().join("d".repeat(110));
    let arguments = ["--data-dir", long.to_str().unwrap(), "--set", "status.listen=off", "check"];
    let (text, _) = run(Role::Sender, &arguments);
    assert!(text.contains("--data-dir: error: data_dir: "), "{text}");
    assert!(text.contains("a socket, whose path has at most 107 bytes"), "{text}");
}

#[test]
fn sections_that_want_the_same_thing_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[gate]\nenabled = true\nlisten = \"0.0.0.0:9780\"\n[status]\nlisten = \"127.0.0.1:9780\"\n\
                [inbox]\ndir = \"x\"\n[landing]\nenabled = true\ndir = \"x\"\n";
    fs::write(dir.path().join("p.toml"), text).unwrap();
    let (text, ending) = run_in(dir.path(), &["check"]);
    assert!(
        text.contains("p.toml:5: error: status.listen: 127.0.0.1:9780 is what gate.listen "),
        "{text}"
    );
    assert!(
        text.contains("p.toml:10: error: landing.dir: ")
            && text.contains("/x is inbox.dir already"),
        "{text}"
    );
    assert!(ending.is_err());
}

#[test]
fn commands_name_the_directory_without_a_spool_or_with_a_node() {
    let dir = tempfile::tempdir().unwrap();
    for command in [&["spool", "ls"][..], &["spool", "release"]] {
        let error = run_in(dir.path(), command).1.unwrap_err();
        let expected = format!("there is no spool in {}", dir.path().display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(error.exit_code(), ExitCode::from(USAGE));
    }
    let (_open, _) =
        Spool::open(RealDisk::new(dir.path()), Settings::default(), clock::now(), 0).unwrap();
    for command in [&["new-id"][..], &["spool", "release"]] {
        let error = run_in(dir.path(), command).1.unwrap_err();
        let expected = format!("a node runs in {}: stop it first", dir.path().display());
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.exit_code(), ExitCode::FAILURE);
    }
}

#[test]
fn a_configuration_that_is_no_text_says_in_which_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("p.toml"), b"name = \"a\"\n# \xe9\n").unwrap();
    let error = run_in(dir.path(), &["check"]).1.unwrap_err();
    assert!(error.to_string().ends_with("p.toml: line 2 is no UTF-8 text: save the file as UTF-8"));
    assert_eq!(error.exit_code(), ExitCode::from(USAGE));
}

#[test]
fn iotdb_s_own_file_may_have_a_bad_value_and_has_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.properties");
    let set = format!("properties=\"{}\"", path.display());
    let check = || run_in(dir.path(), &["check", "--set", &set]);
    let error = check().1.unwrap_err();
    let told = "c.properties, which \"properties\" names, cannot be read: No such file";
    assert!(error.to_string().contains(told), "{error}");
    assert_eq!(error.exit_code(), ExitCode::from(USAGE));
    fs::write(&path, b"# \xe9\npipe_air_gap_receiver_port=x\xe9\n").unwrap();
    let (text, ending) = check();
    assert_eq!(ending.unwrap(), Ending::Done, "{text}");
    let told = "c.properties:2: warning: pipe_air_gap_receiver_port: expected a port from 0 to 65535, \
                found \"x\u{e9}\" (taken instead: that of gate.listen, by default 9780)";
    assert!(text.contains(told), "{text}");
    fs::write(&path, vec![b'#'; crate::limits::CONFIG_BYTES_MAX + 1]).unwrap();
    let error = check().1.unwrap_err();
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    let wide: Vec<u8> = "port=1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&path, wide).unwrap();
    let error = check().1.unwrap_err();
    assert!(error.to_string().contains("byte 1 is zero, as in UTF-16"), "{error}");
}

/// One that nobody can connect to, as nobody takes those who wait there already.
fn silent_target() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    let address = listener.local_addr().unwrap();
    let connect =
        || std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(200));
    let waiting = std::iter::from_fn(|| connect().ok()).collect();
    (listener, waiting)
}

#[test]
fn connect_tells_all_targets_in_the_time_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let gate = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gate.local_addr().unwrap();
    let nobody = penstock_test_support::ports::Port::take().unwrap();
    let free = nobody.address();
    let targets: [_; 4] = std::array::from_fn(|_| silent_target());
    let silent = targets.each_ref().map(|(listener, _)| listener.local_addr().unwrap().to_string());
    let silent = silent.join(",");
    let pipe = format!(
        "pipe=[{{name='out',sink={{sink='iotdb-air-gap-sink',node-urls='{silent},{free},{address}'}}}}]"
    );
    let started = clock::now();
    let (text, ending) = run_in(dir.path(), &["check", "--connect", "--set", &pipe]);
    let took = clock::now().duration_since(started);
    assert!(took < 3 * crate::limits::TARGET_CHECK_MAX, "{took:?}");
    assert!(text.contains(&format!("out -> {address}: the gate takes connections")), "{text}");
    assert!(text.contains(&format!("out -> {free}: failed: ")), "{text}");
    assert_eq!(text.matches(": failed: ").count(), 5, "{text}");
    assert!(ending.is_err());
}

#[test]
fn connect_tells_a_dead_target() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = penstock_test_support::ports::Port::take().unwrap();
    let free = nobody.address();
    let pipe =
        format!("pipe=[{{name='out',sink={{sink='iotdb-air-gap-sink',node-urls='{free}'}}}}]");
    let (text, ending) = run_in(dir.path(), &["check", "--connect", "--set", &pipe]);
    assert!(text.contains(&format!("out -> {free}: failed: ")), "{text}");
    let error = ending.unwrap_err();
    assert_eq!(error.to_string(), "1 of 1 targets did not answer as they should");
    assert_eq!(error.exit_code(), ExitCode::FAILURE);
}

/// An IoTDB's client service that answers one call of a pipe with this code.
fn one_answer(code: i32) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut length = [0; 4];
        socket.read_exact(&mut length).unwrap();
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        socket.read_exact(&mut message).unwrap();
        let call = thrift::Incoming::read(thrift::Protocol::Binary, &message).unwrap().head;
        let status = thrift::TSStatus::new(code, "so it is".to_owned(), None, None, None);
        let (result, mut reply) = (thrift::TPipeTransferResp::new(status, None), Vec::new());
        thrift::write_reply(thrift::Protocol::Binary, &call, &result, &mut reply).unwrap();
        socket.write_all(&reply).unwrap();
    });
    address
}

#[test]
fn connect_shakes_hands_with_an_iotdb() {
    let dir = tempfile::tempdir().unwrap();
    for (code, said) in
        [(200, "accepts the handshake"), (1802, "failed: refuses the handshake: 1802 so it is")]
    {
        let address = one_answer(code);
        let pipe = format!(
            "pipe=[{{name='out',sink={{sink='iotdb-thrift-sync-sink',node-urls='{address}'}}}}]"
        );
        let sets = ["--set", &pipe, "--set", "timestamp_precision=ms"];
        let (text, ending) = run_in(dir.path(), &[&["check", "--connect"][..], &sets].concat());
        assert!(text.contains(&format!("out -> {address}: {said}")), "{text}");
        assert_eq!(ending.is_ok(), code == 200);
        assert!(text.contains("the same timestamp_precision as the data's"), "{text}");
        assert!(!text.contains("pipe_air_gap_receiver_enabled"), "{text}");
    }
}

/// A spool with so many opaque entries.
fn make_spool(dir: &Path, entries: usize) {
    let settings = Settings {
        segment_bytes: 4 * MIB as u64,
        max_bytes: 64 * MIB as u64,
        reserve_bytes: 0,
        ..Settings::default()
    };
    let (mut spool, _) = Spool::open(RealDisk::new(dir), settings, clock::now(), 0).unwrap();
    let arrival = Arrival { wall_ms: EpochMillis::PROGRAM.0, trusted: true };
    let entry = NewEntry {
        kind: Kind::Opaque,
        source: Source::Own,
        hops: 0,
        precision: None,
        time_range: None,
        payload: b"\x01\0\x0brest",
    };
    for _ in 0..entries {
        spool.append(entry, arrival).unwrap();
    }
    spool.sync().unwrap();
    spool.close(clock::now()).unwrap();
}

#[test]
fn a_stopped_spool_is_listed_shown_verified_exported_and_released() {
    let dir = tempfile::tempdir().unwrap();
    make_spool(dir.path(), 1);
    let (text, _) = run_in(dir.path(), &["spool", "ls"]);
    assert!(
        text.contains("sequence") && text.contains("2026-11-01T00:00:00.000Z  inbox"),
        "{text}"
    );
    assert!(text.ends_with("1 entries\n"), "{text}");
    let (text, ending) = run_in(dir.path(), &["spool", "show", "1"]);
    assert_eq!(ending.unwrap(), Ending::Done);
    assert!(text.contains("kind       opaque") && text.contains("type 11, "), "{text}");
    let missing = run_in(dir.path(), &["spool", "show", "9"]).1.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "entry 9 is not there, or not any more; spool ls lists what is"
    );
    let (text, ending) = run_in(dir.path(), &["spool", "verify"]);
    assert_eq!(ending.unwrap(), Ending::Done);
    assert!(text.ends_with("no flaws\n"), "{text}");
    let to = dir.path().join("out");
    let export = ["spool", "export", "1-1", to.to_str().unwrap()];
    assert_eq!(run_in(dir.path(), &export).1.unwrap(), Ending::Done);
    let exported = fs::read(to.join("00000000000000000001.request")).unwrap();
    assert_eq!(exported, b"\x01\0\x0brest");
    let again = run_in(dir.path(), &export).1.unwrap_err().to_string();
    assert!(again.contains("exists"), "nothing is written over: {again}");
    let (text, _) = run_in(dir.path(), &["spool", "release"]);
    assert!(text.starts_with("1 entries given free, 3.99 MiB"), "{text}");
}

#[test]
fn a_release_that_frees_nothing_says_who_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    make_spool(dir.path(), 3);
    let (mut spool, _) =
        Spool::open(RealDisk::new(dir.path()), Settings::default(), clock::now(), 0).unwrap();
    spool.create_consumer("pipe.out", Start::Oldest).unwrap();
    spool.close(clock::now()).unwrap();
    let pipe = "pipe=[{name='out',sink={sink='iotdb-air-gap-sink',ip='10.53.53.53',port=9780}}]";
    let (text, _) = run_in(dir.path(), &["spool", "release", "--set", pipe]);
    assert!(text.starts_with("0 entries given free, 0 B\npipe out needs 3 entries, from 1 on: "));
    let (text, _) = run_in(dir.path(), &["spool", "release"]);
    assert!(text.starts_with("3 entries given free, "), "without the stanza they go: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_flawed_entry_is_found() {
    let dir = tempfile::tempdir().unwrap();
    make_spool(dir.path(), 2);
    let segment = fs::read_dir(dir.path().join("spool"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ext| ext == "seg"))
        .unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(4).position(|window| window == b"rest").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (text, ending) = run_in(dir.path(), &["spool", "verify"]);
    assert!(matches!(ending, Err(CliError::Flaws(1))), "{text}");
    assert_eq!(CliError::Flaws(1).exit_code(), ExitCode::FAILURE);
    assert!(text.contains("1 entries, 0 files"), "{text}");
}

#[test]
fn a_clone_gets_an_identity_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    make_spool(dir.path(), 1);
    let before = fs::read_to_string(dir.path().join("origin")).unwrap();
    let (text, ending) = run_in(dir.path(), &["new-id"]);
    assert_eq!(ending.unwrap(), Ending::Done);
    let after = fs::read_to_string(dir.path().join("origin")).unwrap();
    assert_ne!(before, after);
    assert!(text.contains(after.split(' ').next().unwrap()), "{text}");
}

#[test]
fn a_new_identity_needs_a_node_that_has_run() {
    let dir = tempfile::tempdir().unwrap();
    let mistyped = dir.path().join("mistyped");
    let (_, ending) = run(Role::Sender, &["--data-dir", mistyped.to_str().unwrap(), "new-id"]);
    let error = ending.unwrap_err();
    assert!(error.to_string().starts_with("no node has run in "), "{error}");
    assert_eq!(error.exit_code(), ExitCode::from(USAGE));
    assert!(!mistyped.exists());
}

#[test]
fn root_leaves_nothing_behind_in_the_directory_of_another() {
    const SOMEBODY: u32 = 65534;
    let dir = tempfile::tempdir().unwrap();
    make_spool(dir.path(), 1);
    if std::os::unix::fs::chown(dir.path(), Some(SOMEBODY), None).is_err() {
        return; // only root can be the wrong user: owner.rs tests the rule for all others
    }
    let before = fs::read(dir.path().join("origin")).unwrap();
    for command in [&["new-id"][..], &["spool", "release"], &["run"]] {
        let error = run_in(dir.path(), command).1.unwrap_err();
        assert!(error.to_string().contains("sudo -u '#65534' penstock-sender"), "{error}");
        assert_eq!(error.exit_code(), ExitCode::from(USAGE));
    }
    assert_eq!(fs::read(dir.path().join("origin")).unwrap(), before);
    let (text, ending) = run_in(dir.path(), &["check"]);
    assert!(text.contains("warning: data_dir: it belongs to user 65534"), "{text}");
    assert_eq!(ending.unwrap(), Ending::Done);
}

#[test]
fn help_has_examples_and_version_has_facts() {
    for role in [Role::Sender, Role::Receiver] {
        command(role).debug_assert();
        let help = command(role).render_long_help().to_string();
        assert!(help.contains("Examples:") && help.contains(role.default_file()), "{help}");
        let version = command(role).render_long_version();
        let commit = option_env!("PENSTOCK_COMMIT").filter(|commit| !commit.is_empty());
        let commit = format!("commit {})", commit.unwrap_or("unknown"));
        for fact in [role.program(), env!("CARGO_PKG_VERSION"), &*commit, "spool format"] {
            assert!(version.contains(fact), "{version}");
        }
    }
    for wrong in [&["status", "--json", "--watch"][..], &["-v", "-q"], &["spool"], &["start"]] {
        let line = ["p"].iter().chain(wrong);
        assert!(command(Role::Sender).try_get_matches_from(line).is_err(), "{wrong:?}");
    }
}

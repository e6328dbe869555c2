//! The session service over loopback, with the gate thread and a spool on a real disk behind it.
//!
//! ```text
//!  Client --- loopback --- session::serve (a thread) --- guests --- Gate --- SpoolThread --- Spool<RealDisk>
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "it fails the test"
)]

#[path = "intake/world.rs"]
#[expect(dead_code, reason = "the tests of the gate use the rest")]
mod world;

#[path = "session/client.rs"]
mod client;
#[path = "session/encoded.rs"]
mod encoded;

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use client::Client;
use penstock::data::Precision;
use penstock::intake::session::{self, Settings};
use penstock::link::receiver::{Login, Policy};
use penstock::ops::board::IntakeKind;
use penstock::ops::clock;
use penstock::ops::status::Command;
use penstock::pipe::{Answer, Table};
use penstock::spool::Kind;
use penstock::wire::thrift::transfer::METHOD;
use penstock::wire::thrift::*;
use penstock_test_support::{frames, wait};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use world::{World, policy, ts_file};

/// A service and what is behind it.
struct Bench {
    world: World,
    address: SocketAddr,
    precision: watch::Sender<Option<Precision>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(8)
    }

    fn with(max_connections: usize) -> Self {
        let world = World::with(|settings| settings.gate.guests = 2 * max_connections);
        let login = Login { user: "root".to_owned(), password: "root".to_owned() };
        let pipes = Policy { login: Some(login.clone()), ..policy() };
        let writers = pipes.clone();
        let (commands, orders) = mpsc::channel(1);
        let (told, precision) = watch::channel(None);
        let inlets = world.inlets.clone();
        let settings =
            Settings { max_connections, login, pipes, writers, inlets, commands, precision };
        let (stop, stopped) = oneshot::channel();
        let (tell, bound) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = session::serve(listener, settings) => {}
                    () = answer(orders) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = bound.recv().unwrap();
        Self { world, address, precision: told, stop: Some(stop), thread: Some(thread) }
    }

    fn client(&self, protocol: Protocol) -> Client {
        let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(20)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream, protocol, sequence: 0 }
    }

    /// A client that has logged in.
    fn session(&self, protocol: Protocol) -> Client {
        let mut client = self.client(protocol);
        assert_eq!(client.open("root", "root").status.code, 200);
        client
    }

    fn end(mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
        self.world.stop();
    }
}

/// In place of the task that owns the pipes.
async fn answer(mut orders: mpsc::Receiver<Command>) {
    while let Some(Command::Sql(text, reply)) = orders.recv().await {
        let table = Table {
            columns: vec!["ID".to_owned(), "State".to_owned()],
            rows: vec![vec![text, "RUNNING".to_owned()]],
        };
        reply.send(vec![Answer::shown(table)]).unwrap();
    }
}

const BOTH: [Protocol; 2] = [Protocol::Binary, Protocol::Compact];

fn tablet(device: &str, start: i64) -> TSInsertTabletReq {
    let times = (start..start + 3).flat_map(i64::to_be_bytes).collect();
    // The bitmaps of a client of Java: bits behind the last row are set.
    let values = [
        &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3],
        &b"\0\0\0\x01a\0\0\0\0\0\0\0\x02bc"[..],
        &[1, 0xfa, 0],
    ];
    TSInsertTabletReq::new(
        1,
        device.to_owned(),
        vec!["i".to_owned(), "t".to_owned()],
        values.concat(),
        times,
        vec![1, 5],
        3,
        false,
        None,
        None,
        None,
        None,
        None,
    )
}

fn record(device: &str) -> TSInsertRecordReq {
    let values = [&[0, 1][..], &[1, 0, 0, 0, 7], &[0xfe], b"\x05\0\0\0\x02hi"].concat();
    let names = ["b", "i", "n", "t"].map(str::to_owned).to_vec();
    TSInsertRecordReq::new(1, device.to_owned(), names, values, 9, true, None)
}

#[test]
fn what_clients_write_is_in_the_spool_when_it_is_answered() {
    for protocol in BOTH {
        let bench = Bench::new();
        let mut client = bench.session(protocol);
        let count = || bench.world.entries().len();
        let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 5));
        assert_eq!((status.code, count()), (200, 1));
        let status: TSStatus = client.ask("insertRecord", &record("root.a.d"));
        assert_eq!((status.code, count()), (200, 2));
        let (one, two) = (tablet("root.a.d1", 1), tablet("root.a.d2", 1));
        let both = TSInsertTabletsReq::new(
            1,
            vec![one.prefix_path, two.prefix_path],
            vec![one.measurements, two.measurements],
            vec![one.values, two.values],
            vec![one.timestamps, two.timestamps],
            vec![one.types, two.types],
            vec![3, 3],
            true,
        );
        let status: TSStatus = client.ask("insertTablets", &both);
        assert_eq!((status.code, count()), (200, 4));
        let row = record("");
        let names = vec![row.measurements.clone(), row.measurements.clone()];
        let values = vec![row.values.clone(), row.values];
        let devices = vec!["root.b.d1".to_owned(), "root.b.d2".to_owned()];
        let rows =
            TSInsertRecordsReq::new(1, devices, names.clone(), values.clone(), vec![1, 2], None);
        let status: TSStatus = client.ask("insertRecords", &rows);
        assert_eq!((status.code, count()), (200, 6));
        let device = "root.c.d1".to_owned();
        let rows = TSInsertRecordsOfOneDeviceReq::new(1, device, names, values, vec![1, 2], None);
        let status: TSStatus = client.ask("insertRecordsOfOneDevice", &rows);
        assert_eq!(status.code, 200);
        let entries = bench.world.entries();
        assert!(entries.iter().all(|entry| entry.kind == Kind::Tablet), "{entries:?}");
        let devices = ["a.d", "a.d", "a.d1", "a.d2", "b.d1", "b.d2", "c.d1"];
        for (entry, device) in entries.iter().zip(devices) {
            let device = format!("root.{device}\0\0\0");
            let at = entry.payload.windows(device.len()).position(|part| part == device.as_bytes());
            assert_eq!(at, Some(9), "{device}");
        }
        let values = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3];
        assert!(entries[0].payload.windows(values.len()).any(|part| part == values));
        // It is counted behind the answer.
        let accepted = || bench.world.board.intake(IntakeKind::Session).accepted_entries.get();
        wait::until("five requests", Duration::from_secs(20), || accepted() == 5).unwrap();
        bench.end();
    }
}

#[test]
fn nothing_is_done_before_a_login_and_a_wrong_password_is_none() {
    let bench = Bench::new();
    for protocol in BOTH {
        let mut client = bench.client(protocol);
        let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 1));
        assert_eq!(status.code, 802);
        assert_eq!(client.statement("executeStatementV2", "show pipes").status.code, 802);
        let opened = client.open("root", "wrong");
        assert_eq!((opened.status.code, opened.session_id), (801, Some(-1)));
        assert_eq!(client.open("admin", "root").status.code, 801);
        let opened = client.open("root", "root");
        assert_eq!((opened.status.code, opened.server_protocol_version), (200, 2));
        assert_eq!(opened.status.message.as_deref(), Some("Login successfully"));
        let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 1));
        assert_eq!(status.code, 200);
    }
    let mut guesser = bench.client(Protocol::Binary);
    let codes: Vec<i32> = (0..8).map(|_| guesser.open("root", "guess").status.code).collect();
    assert!(codes.starts_with(&[801, 801, 801]) && codes.ends_with(&[822]), "{codes:?}");
    // A pipe's handshake is a login, too, and a right one is not looked at meanwhile.
    let mut pipe = bench.client(Protocol::Binary);
    assert_eq!(pipe.transfer(&handshake("root")).status.code, 822);
    bench.end();
}

fn handshake(password: &str) -> Vec<u8> {
    frames::handshake_of(&[
        ("clusterID", "theirs"),
        ("timestampPrecision", "ms"),
        ("username", "root"),
        ("password", password),
    ])
}

/// What comes until the connection ends.
fn rest_of(mut client: Client) -> Vec<u8> {
    let mut rest = Vec::new();
    // An end, orderly or not.
    let _reset = client.stream.read_to_end(&mut rest).is_err();
    rest
}

#[test]
fn who_has_not_logged_in_takes_nothing_of_what_others_have() {
    let bench = Bench::new();
    let mut large = tablet("root.a.d", 1);
    large.values = vec![0; 20 << 10];
    let mut frame = Vec::new();
    write_call(Protocol::Binary, "insertTablet", 1, (ARGUMENT, &large), &mut frame).unwrap();
    let mut stranger = bench.client(Protocol::Binary);
    // The length and the first bytes are enough.
    stranger.send(&frame[..2000]);
    assert_eq!(rest_of(stranger), b"");
    frame.clear();
    let method = "m".repeat(10_000);
    write_call(
        Protocol::Binary,
        &method,
        1,
        (ARGUMENT, &TSSetTimeZoneReq::new(1, String::new())),
        &mut frame,
    )
    .unwrap();
    let mut stranger = bench.client(Protocol::Binary);
    stranger.send(&frame);
    assert_eq!(rest_of(stranger), b"");
    let mut guesser = bench.client(Protocol::Binary);
    let codes: Vec<i32> =
        (0..5).map(|_| guesser.transfer(&handshake("guess")).status.code).collect();
    assert_eq!(codes, [801; 5]);
    assert_eq!(bench.client(Protocol::Binary).open("root", "root").status.code, 822);
    bench.end();
}

#[test]
fn requests_of_all_clients_share_their_memory_and_one_that_dawdles_keeps_nobody_out_for_long() {
    let bench = Bench::new();
    let mut frame = Vec::new();
    let mut large = tablet("root.a.d", 1);
    large.values = vec![0; 1_000_000];
    write_call(Protocol::Binary, "insertTablet", 1, (ARGUMENT, &large), &mut frame).unwrap();
    // Two that hold nearly all of it, and say no more.
    let held: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = bench.session(Protocol::Binary);
            client.send(&frame[..frame.len() - 1]);
            client
        })
        .collect();
    let mut third = bench.session(Protocol::Binary);
    // Until both have come so far, it is looked at, and refused for what it says.
    let mut status: TSStatus = third.ask("insertTablet", &large);
    let until = clock::now() + Duration::from_secs(20);
    while status.code == 303 && clock::now() < until {
        status = third.ask("insertTablet", &large);
    }
    assert_eq!((status.code, status.need_retry), (606, Some(true)));
    // Small ones find room beside them.
    let status: TSStatus = third.ask("insertTablet", &tablet("root.a.d", 1));
    assert_eq!(status.code, 200);
    drop(held);
    let status: TSStatus = third.ask("insertTablet", &large);
    assert_eq!(status.code, 303, "it is looked at now");
    bench.end();
}

#[test]
fn times_are_taken_only_in_the_unit_that_the_client_was_told() {
    let bench = Bench::new();
    let mut client = bench.session(Protocol::Binary);
    bench.precision.send_replace(Some(Precision::Ns));
    let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 1));
    assert_eq!(status.code, 301);
    assert_eq!(rest_of(client), b"");
    assert_eq!(bench.world.entries().len(), 0);
    let mut client = bench.client(Protocol::Binary);
    let configuration = client.open("root", "root").configuration.unwrap();
    assert_eq!(configuration["timestamp_precision"], "ns");
    let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 1));
    assert_eq!(status.code, 200);
    bench.end();
}

#[test]
fn an_equal_write_is_a_write_of_its_own() {
    let bench = Bench::new();
    for count in 1..=3 {
        let mut client = bench.session(Protocol::Binary);
        let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 1));
        assert_eq!((status.code, bench.world.entries().len()), (200, count));
    }
    bench.end();
}

#[test]
fn statements_come_back_in_the_form_that_the_method_has() {
    let bench = Bench::new();
    let mut client = bench.session(Protocol::Binary);
    let shown = client.statement("executeQueryStatementV2", "SHOW PIPES;");
    assert_eq!(shown.columns.unwrap(), ["ID", "State"]);
    let block = shown.query_result.unwrap().remove(0);
    assert!(block.windows(10).any(|window| window == b"SHOW PIPES"));
    let shown = client.statement("executeQueryStatement", "SHOW PIPES");
    assert_eq!(shown.query_data_set.unwrap().time.len(), 8);
    let none = client.statement("executeQueryStatementV2", "SHOW AVAILABLE URLS");
    assert_eq!((none.status.code, none.query_result), (200, Some(vec![])));
    let select = client.statement("executeQueryStatementV2", "select * from root.**");
    assert_eq!(select.status.code, 300);
    assert!(select.status.message.unwrap().contains("keeps no database"));
    // A client of Java jumps over what it cannot read; so an exception never comes for a method of the service.
    let status: TSStatus = client.ask("deleteData", &TSSetTimeZoneReq::new(1, String::new()));
    assert_eq!(status.code, 300);
    bench.end();
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_of_it_kept() {
    let bench = Bench::new();
    let mut client = bench.session(Protocol::Binary);
    let mut refused = |change: fn(&mut TSInsertTabletReq)| {
        let mut request = tablet("root.a.d", 1);
        change(&mut request);
        let status: TSStatus = client.ask("insertTablet", &request);
        (status.code, status.message.unwrap())
    };
    for (change, code) in [
        ((|it| it.size = 4) as fn(&mut TSInsertTabletReq), 303),
        (|it| it.size = -1, 303),
        (|it| it.types[0] = 6, 303),
        (|it| it.types.truncate(1), 303),
        (|it| it.values.truncate(20), 303),
        (|it| it.values.push(0), 303),
        (|it| it.prefix_path = "plant.d".to_owned(), 509),
        (|it| it.measurements[0] = String::new(), 509),
        (|it| it.write_to_table = Some(true), 300),
        (|it| it.is_compressed = Some(true), 303),
    ] {
        let (got, message) = refused(change);
        assert_eq!(got, code, "{message}");
    }
    let mut row = record("root.a.d");
    row.values.pop();
    let status: TSStatus = client.ask("insertRecord", &row);
    assert_eq!(status.code, 303);
    assert_eq!(bench.world.entries().len(), 0);
    assert_eq!(bench.world.stats().quarantine_things, 0);
    // Larger than what is read whole: read over, and told.
    let mut large = tablet("root.a.d", 1);
    large.values = vec![0; 3 << 20];
    let status: TSStatus = client.ask("insertTablet", &large);
    assert_eq!(status.code, 606);
    assert!(status.message.unwrap().contains("fewer rows"));
    let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 1));
    assert_eq!(status.code, 200);
    bench.end();
}

#[test]
fn a_pipe_s_files_of_any_size_go_by_and_its_requests_are_kept() {
    let bench = Bench::new();
    for protocol in BOTH {
        let mut pipe = bench.client(protocol);
        let refused = pipe.transfer(&frames::tablet_of("root.sg.d1", 4, 1000, 1));
        assert_eq!(refused.status.code, 1802);
        // The way to the spool was over with it.
        let mut pipe = bench.client(protocol);
        assert_eq!(pipe.transfer(&handshake("wrong")).status.code, 801);
        assert_eq!(pipe.transfer(&handshake("root")).status.code, 200);
        let before = bench.world.entries().len();
        let file = ts_file(3 << 20);
        let mut end = 0;
        for piece in file.chunks(2 << 20) {
            let name = "a-1-0-0.tsfile";
            let taken = pipe.transfer(&frames::piece(frames::PIECE, name, end, piece));
            end += piece.len() as u64;
            assert_eq!((taken.status.code, taken.body), (200, Some(end.to_be_bytes().to_vec())));
        }
        let sealed = pipe.transfer(&frames::seal("a-1-0-0.tsfile", end));
        assert_eq!(sealed.status.code, 200);
        let stored = pipe.transfer(&frames::tablet_of("root.sg.d1", 4, 1000, 1));
        assert_eq!((stored.status.code, stored.body), (200, None));
        let entries = bench.world.entries();
        assert_eq!(entries.len(), before + 2);
        assert!(entries[before].files == [("a-1-0-0.tsfile".to_owned(), file)]);
    }
    bench.end();
}

#[test]
fn what_a_pipe_repeats_is_counted_where_it_came_in() {
    let first = Bench::new();
    let mut client = first.session(Protocol::Binary);
    let status: TSStatus = client.ask("insertTablet", &tablet("root.a.d", 1));
    assert_eq!(status.code, 200);
    // With the identity that the first node gave it.
    let stored = first.world.entries().remove(0).payload;
    first.end();
    let bench = Bench::new();
    for _ in 0..2 {
        let mut pipe = bench.client(Protocol::Binary);
        assert_eq!(pipe.transfer(&handshake("root")).status.code, 200);
        assert_eq!(pipe.transfer(&stored).status.code, 200);
    }
    assert_eq!(bench.world.entries().len(), 1);
    let duplicates = |kind| bench.world.board.intake(kind).duplicates.get();
    let counted = || duplicates(IntakeKind::Session) == 1;
    wait::until("a duplicate", Duration::from_secs(20), counted).unwrap();
    assert_eq!(duplicates(IntakeKind::Gate), 0);
    bench.end();
}

#[test]
fn recorded_pipes_of_stock_nodes_are_answered_as_stock_answers() {
    let bench = Bench::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/iotdb-2.0.10/thrift");
    for pipe in ["default", "tab_batch", "tab_nobatch", "zstd"] {
        let mut calls: Vec<_> =
            fs::read_dir(folder.join(pipe)).unwrap().map(|entry| entry.unwrap().path()).collect();
        calls.retain(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            path.extension().is_some_and(|ending| ending == "bin") && !name.ends_with("-ans")
        });
        calls.sort();
        assert!(calls.len() >= 3, "{pipe}");
        let mut client = bench.client(Protocol::Binary);
        for path in calls {
            let call = fs::read(&path).unwrap();
            client.send(&call);
            let reply = client.receive();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let (number, _) = name.split_once('-').unwrap();
            let recorded = fs::read(path.with_file_name(format!("{number}-ans.bin"))).unwrap();
            let sequence = Incoming::read(Protocol::Binary, &call[4..]).unwrap().head.sequence;
            let result = |message: &[u8]| {
                let incoming = Incoming::read(Protocol::Binary, message).unwrap();
                incoming.result::<TPipeTransferResp>(METHOD, sequence).unwrap()
            };
            let (ours, stock) = (result(&reply), result(&recorded[4..]));
            assert_eq!(ours.status.code, stock.status.code, "{}", path.display());
        }
    }
    assert!(bench.world.entries().len() > 3);
    bench.end();
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().copied().map(str::to_owned).collect()
}

/// What lies in the spool of rows, from behind the last device on.
fn behind(entry: &[u8], device: &str) -> Vec<u8> {
    let place = entry.windows(device.len()).rposition(|part| part == device.as_bytes()).unwrap();
    entry[place + device.len()..].to_vec()
}

#[test]
fn rows_in_texts_get_the_types_that_iotdb_infers() {
    for protocol in BOTH {
        let bench = Bench::new();
        let mut client = bench.session(protocol);
        let names = texts(&["a", "b", "c", "d"]);
        let values = texts(&["12", "true", "'x y'", "null"]);
        let device = "root.s.one".to_owned();
        let one = TSInsertStringRecordReq::new(1, device, names.clone(), values.clone(), 7, None);
        let status: TSStatus = client.ask("insertStringRecord", &one);
        assert_eq!(status.code, 200, "{status:?}");
        let (lists, cells) = (vec![names.clone(); 2], vec![values.clone(); 2]);
        let devices = texts(&["root.s.two", "root.s.three"]);
        let several = TSInsertStringRecordsReq::new(
            1,
            devices,
            lists.clone(),
            cells.clone(),
            vec![7, 8],
            true,
        );
        let status: TSStatus = client.ask("insertStringRecords", &several);
        assert_eq!(status.code, 200, "{status:?}");
        let device = "root.s.four".to_owned();
        let of_one =
            TSInsertStringRecordsOfOneDeviceReq::new(1, device, lists, cells, vec![7, 8], None);
        let status: TSStatus = client.ask("insertStringRecordsOfOneDevice", &of_one);
        assert_eq!(status.code, 200, "{status:?}");
        let entries = bench.world.entries();
        // Rows lie as tablets: a DOUBLE, a BOOLEAN, a TEXT; what is null has no column or a bit.
        let types = b"\x04\0\x05";
        for (entry, device) in
            entries.iter().zip(["root.s.one", "root.s.two", "root.s.three", "root.s.four"])
        {
            let rest = behind(&entry.payload, device);
            assert!(rest.windows(3).any(|part| part == types), "{device} {rest:?}");
            assert!(rest.windows(8).any(|part| part == 12_f64.to_be_bytes()), "{device}");
            assert!(rest.windows(7).any(|part| part == b"\0\0\0\x03x y"), "{device}");
        }
        assert_eq!(entries.len(), 4);
        let wrong = |values: Vec<String>| {
            TSInsertStringRecordReq::new(1, "root.d".to_owned(), names.clone(), values, 7, None)
        };
        for (values, words) in [
            (texts(&["1"]), "do not fit together"),
            (texts(&["1", "1e999", "1", "1"]), "b: the number is larger"),
            (texts(&["X'0'", "1", "1", "1"]), "a: a blob has two"),
        ] {
            let status: TSStatus = client.ask("insertStringRecord", &wrong(values));
            assert!(status.code == 303 && status.message.unwrap().contains(words), "{words}");
        }
        let status: TSStatus = client.ask("testInsertStringRecord", &wrong(texts(&[])));
        assert_eq!((status.code, bench.world.entries().len()), (200, 4));
        bench.end();
    }
}

#[test]
fn statements_that_insert_do_what_calls_do() {
    let bench = Bench::new();
    let mut client = bench.session(Protocol::Binary);
    let text =
        "INSERT INTO root.q.d(timestamp, a, `b`) ALIGNED VALUES (5, 1, 'x'), (6, null, \"y\");";
    for (count, method) in
        ["executeStatement", "executeUpdateStatementV2", "executeStatementV2"].iter().enumerate()
    {
        let answer = client.statement(method, text);
        assert_eq!((answer.status.code, answer.columns), (200, None), "{method}");
        assert_eq!(bench.world.entries().len(), count + 1);
    }
    let entry = bench.world.entries().remove(0);
    let rest = behind(&entry.payload, "root.q.d");
    let times = [5_i64.to_be_bytes(), 6_i64.to_be_bytes()].concat();
    assert!(rest.windows(16).any(|part| part == times), "{rest:?}");
    assert!(rest.windows(8).any(|part| part == 1_f64.to_be_bytes()));
    assert!(rest.windows(10).any(|part| part == b"\0\0\0\x01x\0\0\0\x01y"));
    let wrong = client.statement("executeStatementV2", "insert into root.q.d(a) values(x)");
    assert_eq!(wrong.status.code, 700);
    let wrong = client.statement("executeStatementV2", "insert into root.q.d(a,b) values(1)");
    assert_eq!(wrong.status.code, 701);
    // In a batch each has its own status, and all of those that insert one wait.
    let batch = |list: &[&str]| TSExecuteBatchStatementReq::new(1, texts(list));
    let syncs = bench.world.stats().syncs;
    let insert = |device: u32| format!("insert into root.q.d{device}(time,a) values(1,{device})");
    let list: Vec<String> = (0..300).map(insert).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let status: TSStatus = client.ask("executeBatchStatement", &batch(&list));
    assert_eq!(status.code, 200);
    assert_eq!(bench.world.entries().len(), 303);
    let syncs = bench.world.stats().syncs - syncs;
    assert!(syncs < 20, "{syncs} syncs");
    let mixed = [
        "create timeseries root.q.x.a INT32",
        list[0],
        "insert into root.q",
        "SELECT 1",
        list[1],
        "show pipes",
    ];
    let status: TSStatus = client.ask("executeBatchStatement", &batch(&mixed));
    let codes: Vec<i32> = status.sub_status.unwrap().iter().map(|within| within.code).collect();
    assert_eq!((status.code, codes), (302, vec![200, 200, 700, 300, 200, 200]));
    assert_eq!(bench.world.entries().len(), 305);
    for method in ["setStorageGroup", "createTimeseries", "createMultiTimeseries"] {
        let status: TSStatus = client.ask(method, &TSSetTimeZoneReq::new(1, "root.q".to_owned()));
        assert_eq!(status.code, 200, "{method}");
        assert!(status.message.unwrap().contains("keeps no schema"));
    }
    bench.end();
}

#[test]
fn tablets_of_many_devices_wait_once_and_each_flaw_is_told_for_itself() {
    for protocol in BOTH {
        let bench = Bench::new();
        let mut client = bench.session(protocol);
        let of = |devices: Vec<String>| {
            let one = tablet("", 1);
            let count = devices.len();
            TSInsertTabletsReq::new(
                1,
                devices,
                vec![one.measurements; count],
                vec![one.values; count],
                vec![one.timestamps; count],
                vec![one.types; count],
                vec![3; count],
                false,
            )
        };
        let syncs = bench.world.stats().syncs;
        let many = of((0..3000).map(|number| format!("root.many.d{number}")).collect());
        let status: TSStatus = client.ask("insertTablets", &many);
        assert_eq!(status.code, 200, "{:?}", status.message);
        assert_eq!(bench.world.entries().len(), 3000);
        let syncs = bench.world.stats().syncs - syncs;
        assert!(syncs < 100, "{syncs} syncs");
        let mut flawed = of(texts(&["root.a", "no.root", "root.b", "root.c"]));
        flawed.values_list[2].pop();
        let status: TSStatus = client.ask("insertTablets", &flawed);
        let codes: Vec<i32> = status.sub_status.unwrap().iter().map(|within| within.code).collect();
        assert_eq!((status.code, codes), (302, vec![200, 509, 303, 200]));
        assert_eq!(bench.world.entries().len(), 3002);
        let too_many = of(vec!["root.a".to_owned(); 4097]);
        let status: TSStatus = client.ask("insertTablets", &too_many);
        assert_eq!(status.code, 606);
        bench.end();
    }
}

#[test]
fn a_client_s_own_mistakes_are_nobody_else_s_trouble() {
    let bench = Bench::new();
    let mut client = bench.session(Protocol::Binary);
    let mut refused = |request: TSInsertTabletReq| {
        let status: TSStatus = client.ask("insertTablet", &request);
        (status.code, status.message.unwrap())
    };
    let with = |change: fn(&mut TSInsertTabletReq)| {
        let mut request = tablet("root.a.d", 1);
        change(&mut request);
        request
    };
    let (code, message) = refused(with(|it| it.measurements[0] = "n".repeat(5000)));
    assert!(code == 303 && message.contains("5000 bytes"), "{message}");
    let (code, message) = refused(with(|it| it.prefix_path = format!("root.{}", "n".repeat(5000))));
    assert!(code == 303 && message.contains("5005 bytes"), "{message}");
    let wide = with(|it| {
        it.measurements = (0..20_000).map(|number| format!("s{number}")).collect();
        (it.types, it.size) = (vec![0; 20_000], 1);
        (it.values, it.timestamps) = (vec![1; 20_000], vec![0; 8]);
    });
    let (code, message) = refused(wide);
    assert!(code == 303 && message.contains("20000 series"), "{message}");
    let day = |day: i32| {
        let mut request = with(|it| {
            (it.measurements, it.types) = (vec!["day".to_owned(), "t".to_owned()], vec![9, 5]);
        });
        // The second row is null: what stands there means nothing.
        let rest = request.values.split_off(12);
        request.values = [20_240_229, -1, day].into_iter().flat_map(i32::to_be_bytes).collect();
        request.values.extend(rest);
        request
    };
    for wrong in [-1, 99_999_999, 20_230_229] {
        let (code, message) = refused(day(wrong));
        assert!(code == 303 && message.contains(&format!("day: {wrong} is no day")), "{message}");
    }
    assert_eq!(refused(day(99_991_231)).0, 200);
    let mut row = record("root.a.d");
    row.values = [&[0, 1][..], &[9, 0xff, 0xff, 0xff, 0xff], &[0xfe], b"\x05\0\0\0\x02hi"].concat();
    let status: TSStatus = client.ask("insertRecord", &row);
    assert_eq!(status.code, 303);
    assert_eq!(bench.world.board.troubles.all(), []);
    assert_eq!(bench.world.entries().len(), 1);
    bench.end();
}

#[test]
fn what_is_no_frame_ends_its_connection_and_nobody_else_s() {
    let bench = Bench::new();
    let mut good = bench.session(Protocol::Binary);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff, 0x80, 1, 0, 1],
        &[0, 0, 0, 5, 1, 2, 3, 4, 5],
        &[0x16, 3, 1, 0, 5],
        // A body that is longer than its frame.
        b"\0\0\0\x2e\x80\x01\0\x01\0\0\0\x0cpipeTransfer\0\0\0\x01\x0c\xff\xff\x03\0\x01\x01\x06\0\x02\0\x02\x0b\0\x03\0\0\x01\0\xaa\0\0",
    ] {
        let mut bad = bench.client(Protocol::Binary);
        bad.send(bytes);
        assert_eq!(rest_of(bad), b"", "{bytes:?}");
    }
    let status: TSStatus = good.ask("insertTablet", &tablet("root.a.d", 1));
    assert_eq!(status.code, 200);
    bench.end();
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let bench = Bench::with(2);
    let (first, mut second) = (bench.session(Protocol::Binary), bench.session(Protocol::Compact));
    assert_eq!(rest_of(bench.client(Protocol::Binary)), b"");
    let status: TSStatus = second.ask("insertTablet", &tablet("root.a.d", 1));
    assert_eq!(status.code, 200);
    drop(first);
    bench.end();
}

//! Rows about the thrift sinks: from node to node over the session service.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use penstock_acceptance::relay::Relay;
use penstock_acceptance::{PASSWORD, SOON, Site, points};
use penstock_test_support::clock::pause;
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::{clock, wait};

/// Rows of a tablet, and its columns.
const ROWS: usize = 20;
const COLUMNS: usize = 4;

/// A sink clause with these attributes, to these nodes.
fn to(attributes: &str, nodes: &[SocketAddr]) -> String {
    let nodes = nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("with sink ({attributes},'node-urls'='{nodes}','password'='{PASSWORD}')")
}

const SYNC: &str = "'sink'='iotdb-thrift-sync-sink'";
const ASYNC: &str = "'sink'='iotdb-thrift-sink'";

/// Takes so many tablets in, one behind the other; their devices take turns.
fn take(inner: &Site, from: i64, count: i64) {
    for number in from..from + count {
        let start = number * i64::try_from(ROWS).unwrap();
        inner.take_rows(&format!("root.plant.d{}", number % 3), COLUMNS, start, ROWS);
    }
}

/// Waits until so many tablets have landed, each point of them once.
fn wait_landed(outer: &Site, tablets: usize) {
    let expected = tablets * ROWS * COLUMNS;
    let landed =
        || -> Vec<String> { outer.landed().iter().flat_map(|path| points(path, &[])).collect() };
    wait::until("all points", SOON, || landed().len() >= expected).unwrap();
    let all = landed();
    assert_eq!(all.len(), expected, "some landed twice");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), expected);
}

#[test]
fn a_95_a_thrift_sink_delivers_tablets_and_files() {
    let (inner, outer) = (Site::inner(), Site::outer_of_sessions());
    inner.done(&format!("create pipe p {}", to(SYNC, &[outer.session()])));
    take(&inner, 0, 10);
    inner.wait_done("p");
    wait_landed(&outer, 10);
    inner.take_file("a.tsfile", &TsFileShape::of_size(20_000, 1), None);
    let has_landed =
        || outer.landed().iter().any(|path| path.to_string_lossy().ends_with("a.tsfile"));
    wait::until("the file", SOON, has_landed).unwrap();
    assert_eq!(inner.cell("p", "State"), "RUNNING");
    assert_eq!(inner.cell("p", "ExceptionMessage"), "");
    assert!(inner.troubles().is_empty(), "{:?}", inner.troubles());
}

#[test]
fn a_96_another_node_takes_over() {
    let (inner, outer) = (Site::inner(), Site::outer_of_sessions());
    let nobody = "127.0.0.1:1".parse().unwrap();
    inner.done(&format!("create pipe p {}", to(SYNC, &[nobody, outer.session()])));
    take(&inner, 0, 3);
    inner.wait_done("p");
    wait_landed(&outer, 3);
}

#[test]
fn a_96_compressed_requests_and_files_only() {
    let (inner, outer) = (Site::inner(), Site::outer_of_sessions());
    let packed = format!("{SYNC},'compressor'='snappy,gzip','format'='tablet'");
    inner.done(&format!("create pipe p {}", to(&packed, &[outer.session()])));
    take(&inner, 0, 5);
    inner.wait_done("p");
    inner.done("drop pipe p");
    let files = format!("{SYNC},'compressor'='lz4,zstd,lzma2','format'='tsfile'");
    let source = "with source ('history.enable'='false','realtime.batch.max-delay-seconds'='1')";
    inner.done(&format!("create pipe p {source} {}", to(&files, &[outer.session()])));
    let next = outer.taken();
    take(&inner, 5, 20);
    inner.wait_done("p");
    wait_landed(&outer, 25);
    assert!(outer.taken() - next < 10, "{} entries", outer.taken() - next);
}

#[test]
fn a_wrong_password_is_told_and_nothing_is_lost() {
    let (inner, outer) = (Site::inner(), Site::outer_of_sessions());
    let sink = to(SYNC, &[outer.session()]).replace(PASSWORD, "wrong");
    inner.done(&format!("create pipe p {sink}"));
    take(&inner, 0, 2);
    let is_told = || inner.cell("p", "ExceptionMessage").contains("refused the handshake: 801");
    wait::until("a message", SOON, is_told).unwrap();
    assert_eq!(inner.cell("p", "RemainingEventCount"), "2");
    inner.done(&format!("alter pipe p modify sink ('password'='{PASSWORD}')"));
    inner.wait_done("p");
    wait_landed(&outer, 2);
}

/// Cuts connections and kills both sides while a pipe with this sink is under way.
fn nothing_is_lost_by(sink: &str) -> usize {
    let (mut inner, mut outer) = (Site::inner(), Site::outer_of_sessions());
    let (relay, before) = (Relay::to(outer.session()), outer.taken());
    // So slow that something is on its way whenever something happens.
    let slow = format!("{sink},'rate-limit-bytes-per-second'='40000'");
    inner.done(&format!("create pipe p {}", to(&slow, &[relay.address])));
    for round in 0..4 {
        take(&inner, round * 60, 60);
        let reached = outer.taken();
        wait::until("it to go on", SOON, || outer.taken() > reached).unwrap();
        assert!(outer.taken() < before + 60 * (round.unsigned_abs() + 1), "it is too fast");
        match round {
            1 => inner.kill_and_restart(),
            2 => {
                outer.kill_and_restart();
                relay.point_at(outer.session());
            }
            _ => relay.cut(),
        }
    }
    inner.wait_done("p");
    wait_landed(&outer, 240);
    relay.connections()
}

#[test]
fn nothing_is_lost_one_by_one_when_connections_are_cut_and_either_side_is_killed() {
    let connections = nothing_is_lost_by(&format!("{SYNC},'batch.enable'='false'"));
    assert!(connections >= 5, "{connections} connections");
}

#[test]
fn nothing_is_lost_over_several_connections_when_they_are_cut_and_either_side_is_killed() {
    let connections = nothing_is_lost_by(&format!("{ASYNC},'batch.enable'='false'"));
    assert!(connections >= 10, "{connections} connections");
}

#[test]
fn nothing_is_lost_in_batches_when_connections_are_cut_and_either_side_is_killed() {
    nothing_is_lost_by(&format!("{ASYNC},'batch.max-delay-ms'='20','batch.size-bytes'='5000'"));
}

#[test]
fn a_85_a_88_tablets_go_to_all_nodes_at_the_same_time() {
    let (inner, outer) = (Site::inner(), Site::outer_of_sessions());
    let relays = [Relay::to(outer.session()), Relay::to(outer.session())];
    let nodes = relays.each_ref().map(|relay| relay.address);
    let sink = format!("{ASYNC},'batch.enable'='false'");
    inner.done(&format!("create pipe p {}", to(&sink, &nodes)));
    take(&inner, 0, 60);
    inner.wait_done("p");
    wait_landed(&outer, 60);
    // The one that the pipe begins with, and those of three devices, of which two share one.
    assert_eq!(relays.each_ref().map(Relay::connections), [1, 2]);
}

#[test]
fn a_86_a_87_a_pipe_to_the_node_s_own_service_is_refused() {
    let own = Site::outer_of_sessions();
    let port = own.session().port();
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let answer = own.sql(&format!(
            "create pipe p with sink ({ASYNC},'sink.ip'='{host}','sink.port'='{port}')"
        ));
        let end = format!("TEndPoint(ip:{host}, port:{port})");
        let expected = format!(
            "One of the endpoints [{end}] of the receivers is pointing back to the thrift receiver {end} on sender itself"
        );
        assert!(answer.code() == 1107 && answer.message().starts_with(&expected), "{answer:?}");
    }
    assert!(own.done("show pipes").rows().is_empty());
}

#[test]
fn a_89_a_90_a_lone_record_leaves_after_a_second() {
    let (inner, outer) = (Site::inner(), Site::outer_of_sessions());
    inner.done(&format!("create pipe p {}", to(ASYNC, &[outer.session()])));
    let next = outer.taken();
    take(&inner, 0, 1);
    outer.wait_taken(next + 1);
    let start = clock::now();
    take(&inner, 1, 1);
    outer.wait_taken(next + 2);
    let waited = clock::now() - start;
    let bounds = Duration::from_millis(900)..Duration::from_secs(5);
    assert!(bounds.contains(&waited), "{waited:?}");
}

#[test]
fn a_snapshot_and_a_hybrid_pipe_that_is_killed_deliver_each_point_once() {
    let (mut inner, outer) = (Site::inner(), Site::outer_of_sessions());
    let sink = to(&format!("{ASYNC},'batch.max-delay-ms'='20'"), &[outer.session()]);
    take(&inner, 0, 100);
    inner.done(&format!("create pipe s with source ('mode'='snapshot') {sink}"));
    let is_gone = || inner.done("show pipes").rows().is_empty();
    wait::until("the snapshot to be over", SOON, is_gone).unwrap();
    wait_landed(&outer, 100);
    take(&inner, 100, 300);
    let source = "'realtime.mode'='hybrid','realtime.hybrid.lag-bytes'='20000'";
    inner.done(&format!("create pipe h with source ({source}) {sink}"));
    for wait_ms in [30, 60, 100] {
        pause(Duration::from_millis(wait_ms));
        inner.kill_and_restart();
    }
    inner.wait_done("h");
    wait_landed(&outer, 400);
    for site in [&inner, &outer] {
        assert!(site.troubles().is_empty(), "{:?}", site.troubles());
    }
}

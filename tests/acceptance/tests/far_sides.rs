//! Rows about what pipes make of their far sides.

use std::io::Read;
use std::time::Duration;

use penstock_acceptance::far_side::{FarSide, HANDSHAKES};
use penstock_acceptance::{SOON, Site, to};
use penstock_test_support::peer::Peer;
use penstock_test_support::{clock, frames, wait};

#[test]
fn a_02_source_and_sink_are_declared_and_shown() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let source = "with source ('source'='iotdb-source','source.pattern'='root.plant')";
    inner.done(&format!("create pipe p {source} {}", to(outer.gate)));
    let shown = inner.cell("p", "PipeSource");
    assert_eq!(shown, "{source=iotdb-source, source.pattern=root.plant}");
    let sink = format!(
        "{{sink=iotdb-air-gap-sink, sink.ip={}, sink.port={}}}",
        outer.gate.ip(),
        outer.gate.port()
    );
    assert_eq!(inner.cell("p", "PipeSink"), sink);
}

#[test]
fn a_12_what_the_far_side_refuses_is_told_and_kept() {
    let far = FarSide::answering(|kind| Some(if HANDSHAKES.contains(&kind) { 0 } else { 0xff }));
    let inner = Site::inner();
    inner.done(&format!("create pipe p {}", to(far.address)));
    inner.take(1);
    let is_told = || inner.cell("p", "ExceptionMessage").contains("refused");
    wait::until("a message", SOON, is_told).unwrap();
    let is_trouble = || inner.troubles().iter().any(|kind| kind == "refused");
    wait::until("trouble", SOON, is_trouble).unwrap();
    assert_eq!(inner.cell("p", "State"), "RUNNING");
    assert_eq!(inner.cell("p", "RemainingEventCount"), "1");
}

#[test]
fn a_15_a_pipe_is_created_stopped_if_the_configuration_says_so() {
    let outer = Site::outer();
    let inner = Site::inner_with(&[("compat.create_pipe_state", "stopped")]);
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    assert_eq!(inner.cell("p", "State"), "STOPPED");
    let next = outer.taken();
    inner.take(1);
    assert_eq!(inner.cell("p", "RemainingEventCount"), "1");
    inner.done("start pipe p");
    outer.wait_taken(next + 1);
}

#[test]
fn a_29_what_was_there_and_what_comes_is_sent() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    inner.take(1);
    inner.done(&format!("create pipe p {}", to(outer.gate)));
    outer.wait_taken(next + 1);
    inner.take(2);
    outer.wait_taken(next + 2);
}

#[test]
fn a_53_create_checks_the_far_side_if_the_configuration_says_so() {
    let outer = Site::outer();
    let inner = Site::inner_with(&[("compat.create_checks_target", "true")]);
    let answer = inner.sql(&format!("create pipe p {}", Site::NOBODY));
    let expected = "All target servers [TEndPoint(ip:127.0.0.1, port:1)] are not available. \
                    (127.0.0.1:1: Connection refused)";
    assert_eq!((answer.code(), answer.message()), (1107, expected));
    assert!(inner.done("show pipes").rows().is_empty());
    // One of several is enough.
    inner.done(&format!(
        "create pipe p with sink ('sink'='iotdb-air-gap-sink','node-urls'='127.0.0.1:1,{}')",
        outer.gate
    ));
}

#[test]
fn a_54_a_69_one_byte_comes_back_for_each_frame_and_nothing_else() {
    let outer = Site::outer();
    let mut peer = Peer::introduce(outer.gate, "theirs").unwrap();
    for at in 1..=3 {
        let payload = frames::tablet_of("root.plant.d1", 4096, at * 1000, 1);
        assert_eq!(peer.ask(&payload).unwrap(), 0);
    }
    // A type that there is not.
    assert_eq!(peer.ask(&frames::payload(999, b"")).unwrap(), 0xff);
    peer.socket().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let more = peer.socket().read(&mut [0; 8]);
    assert!(!matches!(more, Ok(1..)), "{more:?}");
}

#[test]
fn a_93_another_gate_takes_over() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    inner.done(&format!(
        "create pipe p with sink ('sink'='iotdb-air-gap-sink','sink.ip'='127.0.0.1','sink.port'='1','sink.node-urls'='{}')",
        outer.gate
    ));
    inner.take(1);
    outer.wait_taken(next + 1);
}

#[test]
fn a_94_a_handshake_is_waited_for_as_long_as_the_sink_says() {
    let far = FarSide::answering(|_| None);
    let inner = Site::inner();
    let sink = to(far.address);
    let sink = sink.strip_suffix(')').unwrap();
    let started = clock::now();
    inner.done(&format!("create pipe p {sink},'sink.air-gap.handshake-timeout-ms'='1200')"));
    inner.done(&format!("create pipe q {sink})"));
    let is_told = |pipe: &str, text| inner.cell(pipe, "ExceptionMessage").contains(text);
    wait::until("1.2 s", SOON, || is_told("p", "within 1.2 s")).unwrap();
    wait::until("the default", SOON, || is_told("q", "within 5 s")).unwrap();
    assert!(clock::now() - started >= Duration::from_secs(5));
    wait::until("another connection", SOON, || far.connections() > 2).unwrap();
}

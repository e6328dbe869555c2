//! What a service manager and an operator rely on: start, stop, watchdog, size.

use std::time::Duration;

use penstock_e2e::{Inner, MIB, Outer, SOON, wait_number};
use penstock_test_support::frames::tablet_of;
use penstock_test_support::peer::Peer;
use penstock_test_support::programs::{Program, Programs};
use penstock_test_support::tsfile::TsFileShape;
use rustix::process::Signal;

const STOP_MAX: Duration = Duration::from_secs(5);

/// The session service and the codec of IoTDB's client RPC are 300 KiB of it.
const PROGRAM_BYTES_MAX: u64 = 5 * MIB;

#[test]
fn binaries_are_small() {
    for program in [Program::Sender, Program::Receiver] {
        let bytes = Programs::built().path(program).metadata().unwrap().len();
        assert!(bytes <= PROGRAM_BYTES_MAX, "{}: {bytes} bytes", program.name());
    }
}

#[test]
fn a_node_is_ready_within_a_tenth_of_a_second() {
    let mut outer = Outer::start(|settings| settings);
    let mut best = outer.node.ready_after().unwrap();
    for _ in 0..4 {
        outer.kill_and_restart();
        best = best.min(outer.node.ready_after().unwrap());
    }
    assert!(best < Duration::from_millis(100), "the fastest of five starts took {best:?}");
}

#[test]
fn terminating_ends_in_order_within_five_seconds() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut outer = Outer::start(|settings| settings);
        let mut inner = Inner::start(outer.address, &[], |settings| settings);
        inner.put("large.tsfile", &TsFileShape::of_size(200 * MIB, 1));
        let busy = |status: &serde_json::Value| {
            let accepted =
                status.pointer("/pipes/0/sent_bytes").and_then(serde_json::Value::as_u64);
            accepted.is_some_and(|bytes| bytes > 0)
        };
        inner.node.wait_status("traffic", SOON, busy).unwrap();
        for node in [&mut inner.node, &mut outer.node] {
            node.signal(signal).unwrap();
            let status = node.wait_end(STOP_MAX).unwrap();
            assert_eq!(status.code(), Some(0), "{}", node.log());
        }
    }
}

#[test]
fn an_answered_tablet_is_there_after_an_orderly_stop() {
    let mut outer = Outer::start(|settings| settings);
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    let next = outer.node.number("/spool/next_sequence").unwrap();
    assert_eq!(peer.ask(&tablet_of("root.plant.d", 4096, 0, 1)).unwrap(), 0);
    outer.node.signal(Signal::TERM).unwrap();
    outer.node.wait_end(STOP_MAX).unwrap();
    outer.node.restart().unwrap();
    wait_number(&outer.node, "/spool/next_sequence", next + 1);
}

#[test]
fn health_and_metrics_are_served_over_the_control_socket() {
    let outer = Outer::start(|settings| settings);
    let (code, body) = outer.node.get("/healthz").unwrap();
    assert_eq!(code, 200, "{body}");
    let (code, body) = outer.node.get("/metrics").unwrap();
    assert_eq!(code, 200);
    assert!(body.lines().any(|line| line.starts_with("penstock_")), "{body}");
}

#[test]
fn a_second_node_on_the_same_data_does_not_start() {
    let outer = Outer::start(|settings| settings);
    let settings = outer.node.settings().clone().set("gate.listen", "127.0.0.1:0");
    assert!(settings.start().is_err());
    assert!(outer.node.status().is_ok());
}

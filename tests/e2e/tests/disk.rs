//! A full spool holds its peers, and goes on when there is room.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test")]

use std::time::Duration;

use penstock_e2e::{Outer, SOON};
use penstock_test_support::frames::tablet_of;
use penstock_test_support::peer::Peer;
use serde_json::Value;

/// A receiver whose spool holds a few segments, and that lands nothing.
fn small() -> Outer {
    Outer::start(|settings| {
        settings
            .set("spool.max_bytes", "16MiB")
            .set("spool.segment_bytes", "2MiB")
            .set("landing.enabled", "false")
    })
}

/// Sends tablets until one is not answered; returns how many were, and the peer that waits.
fn fill(outer: &Outer) -> (u64, Peer) {
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    peer.socket().set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    for answered in 0.. {
        let start = i64::try_from(answered).unwrap() * 100_000;
        let payload = tablet_of("root.plant.d", 200_000, start, answered);
        match peer.ask(&payload) {
            Ok(byte) => assert_eq!(byte, 0, "a full spool refuses nothing"),
            Err(_) => return (answered, peer),
        }
    }
    unreachable!("a spool of 16 MiB takes no end of tablets")
}

/// What the first trouble says is to be done.
fn remedy(status: &Value) -> Option<&str> {
    status.pointer("/trouble/0/do").and_then(Value::as_str)
}

fn state(status: &Value) -> Option<&str> {
    status.pointer("/spool/state").and_then(Value::as_str)
}

#[test]
fn a_full_spool_holds_the_answer_and_loses_nothing() {
    let mut outer = small();
    let (answered, peer) = fill(&outer);
    assert!(answered > 20, "{answered} tablets fit into 16 MiB");
    let is_full = |status: &Value| state(status) == Some("full") && remedy(status).is_some();
    let status = outer.node.wait_status("a full spool and trouble", SOON, is_full).unwrap();
    assert_ne!(remedy(&status), Some(""));
    outer.node.kill().unwrap();
    drop(peer);
    outer.node.set_at_restart("spool.max_bytes", "64MiB");
    outer.node.restart().unwrap();
    let is_ok = |status: &Value| state(status) == Some("ok");
    outer.node.wait_status("room", SOON, is_ok).unwrap();
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    let start = i64::try_from(answered).unwrap() * 100_000;
    assert_eq!(peer.ask(&tablet_of("root.plant.d", 200_000, start, answered)).unwrap(), 0);
    let is_there =
        |status: &Value| status.pointer("/spool/entries").and_then(Value::as_u64) > Some(answered);
    outer.node.wait_status("all answered tablets", SOON, is_there).unwrap();
}

#[test]
fn a_full_spool_still_answers_status_and_takes_handshakes() {
    let outer = small();
    let (_, _waiting) = fill(&outer);
    assert!(outer.node.status().is_ok());
    Peer::introduce(outer.address, "another").unwrap();
}

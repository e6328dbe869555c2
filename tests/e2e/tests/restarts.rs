//! Fifty times `kill -9` on each half, in the middle of traffic: nothing is lost, nothing is doubled.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use penstock_e2e::{Fetcher, Inner, Outer, SOON, wait_number};
use penstock_gate::{Config, Gate, parse_rate};
use penstock_test_support::chance::Chance;
use penstock_test_support::frames::tablet_of;
use penstock_test_support::peer::Stubborn;
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::{parallel, wait};

const KILLS: u64 = 50;
const FILE_BYTES: u64 = 700_000;
/// Files that wait or cross at a time, so that there is always traffic.
const FILES_AHEAD: usize = 4;

fn gate(target: SocketAddr) -> Gate {
    let mut config = Config::new(target);
    config.bandwidth = parse_rate("60Mbit").ok();
    config.round_trip = Duration::from_millis(2);
    penstock_gate::start(config, |_| {}).unwrap()
}

/// Waits until so many bytes more have come into the gate.
fn wait_bytes(gate: &Gate, more: u64) {
    let bytes = gate.stats().bytes + more;
    wait::until("traffic", SOON, || gate.stats().bytes >= bytes).unwrap();
}

#[test]
fn files_cross_exactly_once_whichever_half_dies() {
    let mut outer = Outer::start(|settings| settings);
    let gate = gate(outer.address);
    let mut inner = Inner::start(gate.address(), &[("air-gap.piece-bytes", "65536")], |s| s);
    let (mut sent, mut fetcher) = (BTreeMap::new(), Fetcher::default());
    let mut chance = Chance::new(1);
    for kill in 0..2 * KILLS {
        while sent.len() < fetcher.count() + FILES_AHEAD {
            let name = format!("f{:04}.tsfile", sent.len());
            let shape = TsFileShape::of_size(FILE_BYTES, sent.len() as u64);
            sent.insert(name.clone(), inner.put(&name, &shape));
        }
        wait_bytes(&gate, chance.below(FILE_BYTES));
        if kill.is_multiple_of(2) {
            outer.kill_and_restart();
        } else {
            inner.kill_and_restart();
        }
        fetcher.fetch(&outer.landing);
    }
    fetcher.fetch_until(&outer.landing, sent.len(), 2 * SOON);
    // Files land in their order: what would come a second time comes before this one.
    let last = inner.put("last.tsfile", &TsFileShape::of_size(FILE_BYTES, sent.len() as u64));
    sent.insert("last.tsfile".into(), last);
    fetcher.fetch_until(&outer.landing, sent.len(), 2 * SOON);
    fetcher.assert_exactly(&sent);
}

/// Sends tablets one after another until it is over; returns how many were taken.
fn send_tablets(address: SocketAddr, name: u64, is_over: &dyn Fn() -> bool) -> u64 {
    let device = format!("root.plant.d{name}");
    let mut stock = Stubborn::to(address);
    let mut answered = 0;
    while !is_over() {
        let start = i64::try_from(answered).unwrap() * 1000;
        stock.send(&tablet_of(&device, 4096, start, answered)).unwrap();
        answered += 1;
    }
    answered
}

#[test]
fn tablets_are_taken_exactly_once_however_often_the_receiver_dies() {
    const SENDERS: u64 = 3;
    let mut outer = Outer::start(|settings| settings);
    let gate = gate(outer.address);
    let before = outer.node.number("/spool/next_sequence").unwrap();
    let sent = AtomicU64::new(0);
    let send = |name, is_over: &dyn Fn() -> bool| {
        let answered = send_tablets(gate.address(), name, is_over);
        sent.fetch_add(answered, Ordering::Relaxed);
    };
    parallel::beside(SENDERS, send, || {
        let mut chance = Chance::new(2);
        for _ in 0..KILLS {
            wait_bytes(&gate, 5_000 + chance.below(200_000));
            outer.kill_and_restart();
        }
        wait_bytes(&gate, 20_000);
    });
    // Nobody sends any more: after one more start it shows what lies on its disk, and nothing else.
    outer.kill_and_restart();
    wait_number(&outer.node, "/spool/next_sequence", before + sent.into_inner());
}

//! Rows about modes: tablets that go as files, and fresh data that overtakes a backlog.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use penstock_acceptance::{SOON, Site, points, to};
use penstock_gate::{Config, Gate, parse_rate};
use penstock_test_support::clock::pause;
use penstock_test_support::wait;

/// Peak memory of a node under load.
const MEMORY_BYTES_MAX: u64 = 8 << 20;
/// Rows of a tablet.
const ROWS: i64 = 200;
/// Columns of a tablet.
const COLUMNS: usize = 4;

/// Takes so many tablets in, each with later times than the one before.
fn take(inner: &Site, from: i64, count: i64) {
    for number in from..from + count {
        let device = format!("root.plant.d{}", number % 3);
        inner.take_rows(&device, COLUMNS, number * ROWS, usize::try_from(ROWS).unwrap());
    }
}

/// A gate of so many bits per second.
fn slow_gate(target: SocketAddr, rate: &str) -> Gate {
    let mut config = Config::new(target);
    config.bandwidth = parse_rate(rate).ok();
    config.buffer_bytes = 64 << 10;
    penstock_gate::start(config, |_| {}).unwrap()
}

/// Waits until so many tablets have landed, each point of them once.
fn wait_landed(outer: &Site, tablets: i64) {
    let expected = usize::try_from(tablets * ROWS).unwrap() * COLUMNS;
    let landed =
        || -> Vec<String> { outer.landed().iter().flat_map(|path| points(path, &[])).collect() };
    wait::until("all points", SOON, || landed().len() >= expected).unwrap();
    let all = landed();
    assert_eq!(all.len(), expected, "some landed twice");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), expected);
}

#[test]
fn a_84_batch_sends_files_only() {
    let (inner, outer) = (Site::inner(), Site::outer_that_lands());
    take(&inner, 0, 50);
    let next = outer.taken();
    let source = "'realtime.mode'='batch','realtime.batch.max-delay-seconds'='1'";
    inner.done(&format!("create pipe p with source ({source}) {}", to(outer.gate)));
    inner.wait_done("p");
    assert_eq!(inner.cell("p", "Unit"), "files");
    wait::until("files on the far side", SOON, || outer.taken() > next).unwrap();
    let runs = outer.taken() - next;
    assert!((1..5).contains(&runs), "{runs} entries");
    assert!(outer.shown(next).contains("file"), "{}", outer.shown(next));
    take(&inner, 50, 30);
    inner.wait_done("p");
    assert!(outer.taken() - next - runs < 20, "{} entries", outer.taken() - next - runs);
    wait_landed(&outer, 80);
    assert!(!outer.troubles().contains(&"cloned-box".to_owned()), "{:?}", outer.troubles());
}

#[test]
fn a_82_hybrid_goes_over_to_files_and_back_and_each_point_arrives_once() {
    let (mut inner, outer) = (Site::inner(), Site::outer_that_lands());
    let source = "'realtime.mode'='hybrid','realtime.hybrid.lag-bytes'='100000'";
    inner.done(&format!("create pipe p with source ({source}) {}", to(outer.gate)));
    take(&inner, 0, 5);
    inner.wait_done("p");
    assert_eq!(inner.cell("p", "Unit"), "tablets");
    inner.done("stop pipe p");
    take(&inner, 5, 300);
    inner.done("start pipe p");
    for wait_ms in [30, 60, 100] {
        pause(Duration::from_millis(wait_ms));
        inner.kill_and_restart();
    }
    inner.wait_done("p");
    take(&inner, 305, 5);
    inner.wait_done("p");
    take(&inner, 310, 5);
    inner.wait_done("p");
    wait_landed(&outer, 315);
    let peak = inner.node.peak_memory().unwrap();
    assert!(peak <= MEMORY_BYTES_MAX, "{peak} bytes");
    assert!(!outer.troubles().contains(&"cloned-box".to_owned()), "{:?}", outer.troubles());
}

#[test]
fn a_82_a_83_hybrid_behind_a_slow_gate_loses_nothing_within_8_mib() {
    const LAG_BYTES: u64 = 300_000;
    // Far more than it takes.
    const TABLETS_MAX: i64 = 2000;
    let (inner, outer) = (Site::inner(), Site::outer_that_lands());
    let gate = slow_gate(outer.gate, "2Mbit");
    let source = format!("'realtime.mode'='hybrid','realtime.hybrid.lag-bytes'='{LAG_BYTES}'");
    inner.done(&format!("create pipe p with source ({source}) {}", to(gate.address())));
    take(&inner, 0, 1);
    inner.wait_done("p");
    let unit = || inner.done("show pipes").cells("Unit");
    assert_eq!(unit(), ["tablets"]);
    // Faster than the gate lets through, until the pipe has gone over.
    let mut taken = 1;
    while unit() != ["files"] {
        assert!(
            taken < TABLETS_MAX,
            "still tablets with {} bytes before it",
            inner.cell("p", "RemainingBytes")
        );
        take(&inner, taken, 20);
        taken += 20;
    }
    take(&inner, taken, 200);
    taken += 200;
    // Slower, so that it catches up.
    let is_back = || {
        let waits: u64 = inner.cell("p", "RemainingBytes").parse().unwrap();
        if waits < LAG_BYTES / 8 {
            take(&inner, taken, 1);
            taken += 1;
        }
        unit() == ["tablets"]
    };
    wait::until("tablets again", SOON, is_back).unwrap();
    inner.wait_done("p");
    wait_landed(&outer, taken);
    let peak = inner.node.peak_memory().unwrap();
    assert!(peak <= MEMORY_BYTES_MAX, "{peak} bytes");
    assert!(!outer.troubles().contains(&"cloned-box".to_owned()), "{:?}", outer.troubles());
}

/// Points of these devices that have landed.
fn landed_of(outer: &Site, device: &str) -> usize {
    let files = outer.landed();
    let points = files.iter().flat_map(|path| points(path, &[]));
    points.filter(|point| point.contains(device)).count()
}

#[test]
fn realtime_first_lets_fresh_data_overtake_a_backlog_and_a_kill_changes_nothing() {
    let (mut inner, outer) = (Site::inner(), Site::outer_that_lands());
    // So slow that the backlog waits until everything else has been looked at.
    let gate = slow_gate(outer.gate, "250kbit");
    let sink = to(gate.address()).replace(
        "with sink (",
        "with sink ('realtime-first'='true','realtime-first.after-seconds'='1',",
    );
    let refused = inner.sql(&format!("create pipe p {sink}"));
    assert!(refused.message().contains("inclusion"), "{}", refused.message());
    inner.done(&format!("create pipe p with source ('inclusion'='data.insert') {sink}"));
    take(&inner, 0, 400);
    let is_open = |inner: &Site| !inner.cell("p", "FreshRemainingSeconds").is_empty();
    wait::until("two lanes", SOON, || is_open(&inner)).unwrap();
    for kills in [true, false] {
        let before = landed_of(&outer, "root.fresh");
        inner.take_rows("root.fresh.d", COLUMNS, i64::from(kills) * ROWS, 200);
        let expected = before + 200 * COLUMNS;
        wait::until("fresh data", SOON, || landed_of(&outer, "root.fresh") >= expected).unwrap();
        let left: u64 = inner.cell("p", "RemainingEventCount").parse().unwrap();
        assert!(left > 100, "{left} entries of the backlog wait");
        if kills {
            inner.kill_and_restart();
            wait::until("two lanes", SOON, || is_open(&inner)).unwrap();
        }
    }
    let (ip, port) = (outer.gate.ip(), outer.gate.port());
    inner.done(&format!("alter pipe p modify sink ('sink.ip'='{ip}','sink.port'='{port}')"));
    inner.wait_done("p");
    wait_landed(&outer, 402);
    assert!(!is_open(&inner));
    assert!(!outer.troubles().contains(&"cloned-box".to_owned()), "{:?}", outer.troubles());
}

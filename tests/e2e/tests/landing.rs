//! Tablets that a receiver took in lie in its landing directory as `TsFile`s, each point in exactly one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test are a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use penstock_e2e::{MIB, Outer, SOON, wait_number};
use penstock_test_support::chance::Chance;
use penstock_test_support::files::below;
use penstock_test_support::frames::{TabletShape, tablet};
use penstock_test_support::peer::{Peer, Stubborn};
use penstock_test_support::programs::{Program, Programs};
use penstock_test_support::{clock, parallel};

/// Plan node id `1`, child count, and whether the device is aligned: what stands behind the values.
const TAIL_BYTES: usize = 1 + 5 + 4;
const SENDERS: u64 = 2;
const KILLS: u64 = 20;

/// Device and time of a point, and its value as a text.
type Points = BTreeMap<(String, i64), String>;

/// A receiver whose tablets land after a second.
fn quick() -> Outer {
    Outer::start(|settings| settings.set("landing.max_delay", "1s"))
}

/// A tablet of one series of INT64, and its points.
fn numbered(device: &str, start_time: i64, rows: usize, seed: u64) -> (Vec<u8>, Points) {
    let shape = TabletShape { device, rows, columns: 1, start_time, text_bytes: 0 };
    let payload = tablet(&shape, seed);
    let end = payload.len() - TAIL_BYTES;
    let values = payload.get(end - 8 * rows..end).unwrap();
    let values = values.chunks_exact(8).map(|value| i64::from_be_bytes(value.try_into().unwrap()));
    let points = (start_time..).zip(values);
    let points = points.map(|(time, value)| ((device.to_owned(), time), value.to_string()));
    let points = points.collect();
    (payload, points)
}

/// Sends tablets until the node has died often enough, each until it is answered; returns what was sent.
fn send(address: SocketAddr, name: u64, is_over: &dyn Fn() -> bool) -> Points {
    let device = format!("root.plant.d{name}");
    let (mut sent, mut stock) = (Points::new(), Stubborn::to(address));
    for at in 0.. {
        if is_over() {
            break;
        }
        let (payload, points) = numbered(&device, at * 1000, 100, at.unsigned_abs());
        stock.send(&payload).unwrap();
        sent.extend(points);
    }
    sent
}

/// Takes every file made of tablets away, as a plant's script does.
fn fetch(landing: &Path, into: &Path, taken: &mut BTreeSet<String>) {
    for path in below(landing).unwrap() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') || !name.ends_with(".tsfile") {
            continue;
        }
        assert!(taken.insert(name.clone()), "{name} landed twice");
        fs::copy(&path, into.join(name)).unwrap();
        fs::remove_file(&path).unwrap();
    }
}

/// What `tsfile show` says of these files; each point once.
fn shown(dir: &Path, names: &BTreeSet<String>) -> Points {
    let program = Programs::build().unwrap().path(Program::Receiver);
    let mut points = Points::new();
    for path in names.iter().map(|name| -> PathBuf { dir.join(name) }) {
        let mut show = Command::new(program);
        let output = show.args(["tsfile", "show", "--format", "csv"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8(output.stdout).unwrap().lines().skip(1) {
            let fields: Vec<_> = line.split(',').collect();
            let &[time, device, "s0", value] = fields.as_slice() else { panic!("{line}") };
            let before =
                points.insert((device.to_owned(), time.parse().unwrap()), value.to_owned());
            assert_eq!(before, None, "{line} is there twice, again in {}", path.display());
        }
    }
    points
}

#[test]
fn each_point_lands_exactly_once_however_often_the_receiver_dies() {
    let mut outer = quick();
    let store = tempfile::tempdir().unwrap();
    let (address, mut taken) = (outer.address, BTreeSet::new());
    let sent = Mutex::new(Points::new());
    let send = |name, is_over: &dyn Fn() -> bool| {
        let points = send(address, name, is_over);
        sent.lock().unwrap().extend(points);
    };
    parallel::beside(SENDERS, send, || {
        let mut chance = Chance::new(3);
        for _ in 0..KILLS {
            // Before, within and behind a run's delay of a second.
            clock::pause(Duration::from_millis(chance.below(1800)));
            outer.kill_and_restart();
            fetch(&outer.landing, store.path(), &mut taken);
        }
    });
    wait_number(&outer.node, "/landing/pending_entries", 0);
    fetch(&outer.landing, store.path(), &mut taken);
    let (sent, shown) = (sent.into_inner().unwrap(), shown(store.path(), &taken));
    assert!(shown == sent, "{} points landed of {}", shown.len(), sent.len());
    wait_number(&outer.node, "/landing/points", sent.len() as u64);
    wait_number(&outer.node, "/landing/files", taken.len() as u64);
}

#[test]
fn tablets_that_land_are_written_hardly_more_than_twice() {
    const SERIES: usize = 6;
    let outer = quick();
    let before = outer.node.io().unwrap().written_bytes;
    let accepted = AtomicU64::new(0);
    parallel::run(4, |name| {
        let mut peer = Peer::introduce(outer.address, "stock").unwrap();
        for at in 0..60_u64 {
            let device = format!("root.plant.d{name}.x{}", at % 7);
            let start_time = i64::try_from(at).unwrap() * 100_000;
            let shape = TabletShape {
                device: &device,
                rows: 20_000,
                columns: SERIES,
                start_time,
                text_bytes: 8,
            };
            let payload = tablet(&shape, at);
            accepted.fetch_add(payload.len() as u64, Ordering::Relaxed);
            assert_eq!(peer.ask(&payload).unwrap(), 0);
        }
    });
    let landed = |status: &serde_json::Value| {
        status.pointer("/landing/pending_entries").and_then(serde_json::Value::as_u64) == Some(0)
    };
    outer.node.wait_status("everything landed", 8 * SOON, landed).unwrap();
    wait_number(&outer.node, "/landing/points", 4 * 60 * 20_000 * SERIES as u64);
    let (written, accepted) =
        (outer.node.io().unwrap().written_bytes - before, accepted.into_inner());
    assert!(accepted > 100 * MIB, "{accepted}");
    assert!(written * 10 <= accepted * 23, "{written} bytes written for {accepted} accepted");
}

//! Tablets that a stock sender sends beside the files, and the `TsFile`s that become of them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use penstock_test_support::clock;
use penstock_test_support::frames::{TabletShape, tablet};
use penstock_test_support::peer::Peer;
use serde_json::Value;

const TABLETS: u64 = 200;
const ROWS: u64 = 100;
const COLUMNS: u64 = 6;
const DEVICES: u64 = 4;
/// All that is sent, none of it null.
pub(crate) const POINTS: u64 = TABLETS * ROWS * COLUMNS;
/// Between two tablets, and after a failure.
const PERIOD: Duration = Duration::from_millis(50);
/// The time of the first row: 2026-11-22T12:00:00Z.
const START_MS: i64 = 1_795_348_800_000;

/// A sender of tablets, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Tablets {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

/// A `TsFile` that was made of tablets, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// Below the landing directory.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) bytes: u64,
    /// Devices in it.
    pub(crate) devices: u64,
    /// Points in it.
    pub(crate) points: u64,
    /// Earliest and latest time, in milliseconds.
    pub(crate) times: (i64, i64),
    /// Whether it lies there.
    pub(crate) is_there: bool,
}

impl Tablets {
    /// Sends all tablets, each again until it is answered with 0x00.
    pub(crate) fn start(address: SocketAddr) -> io::Result<Self> {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let tablets = Self { over: Arc::clone(&over), answered: Arc::clone(&answered) };
        let work = move || send(address, &over, &answered);
        thread::Builder::new().name("tablets".into()).spawn(work)?;
        Ok(tablets)
    }

    /// Tablets that were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Tablets {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn send(address: SocketAddr, over: &AtomicBool, answered: &AtomicU64) {
    let mut peer = None;
    let mut at = 0;
    while at < TABLETS && !over.load(Ordering::Relaxed) {
        let answer = peer.as_mut().map(|peer: &mut Peer| peer.ask(&payload(at)));
        if matches!(answer, Some(Ok(0))) {
            at += 1;
            answered.store(at, Ordering::Relaxed);
        } else {
            peer = Peer::introduce(address, "stock").ok();
        }
        clock::pause(PERIOD);
    }
}

fn payload(at: u64) -> Vec<u8> {
    let size = |value: u64| usize::try_from(value).unwrap_or_default();
    let shape = TabletShape {
        device: &format!("root.plant7.turbine{}", at % DEVICES),
        rows: size(ROWS),
        columns: size(COLUMNS),
        start_time: START_MS + (at * ROWS).cast_signed(),
        text_bytes: 12,
    };
    tablet(&shape, at)
}

impl Made {
    /// The files that the ledger names.
    pub(crate) fn read_all(landing: &Path) -> io::Result<Vec<Self>> {
        let ledger = fs::read_to_string(landing.join("landing.jsonl"))?;
        let lines = ledger.lines().filter_map(|line| serde_json::from_str(line).ok());
        Ok(lines.filter_map(|line| Self::of(&line, landing)).collect())
    }

    fn of(line: &Value, landing: &Path) -> Option<Self> {
        let number = |key: &str| line.get(key).and_then(Value::as_u64);
        let time = |end: &str| line.pointer(end).and_then(Value::as_i64);
        let name = line.get("name")?.as_str()?.to_owned();
        (line.get("what")?.as_str()? == "tablets").then_some(())?;
        Some(Self {
            bytes: number("bytes")?,
            devices: number("devices")?,
            points: number("points")?,
            times: (time("/time_range/0")?, time("/time_range/1")?),
            is_there: landing.join(&name).is_file(),
            name,
        })
    }
}

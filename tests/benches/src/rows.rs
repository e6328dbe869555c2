//! What is measured.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use penstock_e2e::{Fetcher, Inner, MIB, Outer};
use penstock_gate::{Config, What};
use penstock_test_support::frames::tablet_of;
use penstock_test_support::peer::Peer;
use penstock_test_support::programs::{Program, Programs};
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::{clock, parallel, wait};

use crate::bare;
use crate::memory;
use crate::pipes;
use crate::slow_disk::SlowNode;
use crate::table::{Row, Wanted};
use crate::tsfile::tsfiles;
use crate::twins::twins;

/// How much is moved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Bytes of one file.
    pub(crate) file_bytes: u64,
    /// Small frames on each connection.
    pub(crate) frames: u64,
    /// Bytes of the `TsFile` of many devices.
    pub(crate) tsfile_bytes: u64,
}

/// Measures and returns lines of the table.
type Measure = fn(&Sizes) -> io::Result<Vec<Row>>;

/// All measurements, by name.
pub(crate) const ALL: [(&str, Measure); 14] = [
    ("files", files),
    ("gate", through_the_gate),
    ("small frames", small_frames),
    ("group commit", group_commit),
    ("twins", twins),
    ("memory", memory::memory),
    ("large frames", memory::large_frames),
    ("backlog", memory::backlog),
    ("start", start),
    ("tsfile", tsfiles),
    ("filter", pipes::filter),
    ("idle pipes", pipes::idle),
    ("statement", pipes::statement),
    ("way of a tablet", pipes::way),
];

pub(crate) const SMALL_FRAME_BYTES: usize = 4096;
/// Longest wait for a file.
pub(crate) const FILE_LIMIT: Duration = Duration::from_secs(600);

/// Rounds of the files' rows: in each, both sides are measured one after the other, and the round in the
/// middle counts, as a machine with other work is never the same for long.
const FILE_ROUNDS: usize = 3;

fn files(sizes: &Sizes) -> io::Result<Vec<Row>> {
    let rounds: io::Result<Vec<_>> = (0..FILE_ROUNDS).map(|_| FileRound::measure(sizes)).collect();
    let rounds = rounds?;
    let row = |name: &str, took: fn(&FileRound) -> f64, wanted| {
        let ratio = |round: &&FileRound| took(round) / round.bare;
        let mut sorted: Vec<&FileRound> = rounds.iter().collect();
        sorted.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        sorted.get(FILE_ROUNDS / 2).map(|round| Row {
            name: name.into(),
            ours: format!("{:.0} MB/s", took(round)),
            other: format!("{:.0} MB/s bare", round.bare),
            ratio: ratio(round),
            wanted,
        })
    };
    let rows = [
        row("file, peer to synced answer", |round| round.answered, Wanted::AtLeast(0.8)),
        row("file, sender to sealed at the receiver", |round| round.crossed, Wanted::AtLeast(0.8)),
        row("file, inbox to landing, all steps", |round| round.landed, Wanted::Nothing),
    ];
    Ok(rows.into_iter().flatten().collect())
}

/// One file by the bare loop, one from a peer, one from a sender; all in MB/s.
struct FileRound {
    bare: f64,
    answered: f64,
    crossed: f64,
    landed: f64,
}

impl FileRound {
    fn measure(sizes: &Sizes) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let source = directory.path().join("source.tsfile");
        let shape = TsFileShape::of_size(sizes.file_bytes, 1);
        let bytes = shape.write(&source)?.bytes;
        let before = bare::file(&source, &directory.path().join("target"))?;
        let (whole, _) = shape.to_bytes()?;
        let outer = Outer::start(|settings| settings);
        let mut peer = Peer::introduce(outer.address, "bench")?;
        let begun = clock::now();
        peer.send_file("peer.tsfile", &whole, 1 << 20)?;
        let answered = rate(bytes, clock::now() - begun);
        drop(whole);
        let mut fetcher = Fetcher::default();
        fetcher.fetch_until(&outer.landing, 1, FILE_LIMIT);
        let inner = Inner::start(outer.address, &[], |settings| settings);
        let begun = inner.put_timed("inbox.tsfile", &shape);
        let crossed = crossing_rate(&inner, &outer, bytes)?;
        wait_landed(&outer);
        let landed = rate(bytes, clock::now() - begun);
        let after = bare::file(&source, &directory.path().join("target"))?;
        Ok(Self { bare: rate(bytes, (before + after) / 2), answered, crossed, landed })
    }
}

/// How fast a file crosses, from the first piece that has left to the entry that its seal makes, which is
/// durable when it is counted. Both counters are written at once, and looked at every few milliseconds.
fn crossing_rate(inner: &Inner, outer: &Outer, bytes: u64) -> io::Result<f64> {
    let sent_bytes = || inner.node.number("/pipes/0/sent_bytes").unwrap_or(0);
    let accepted = || outer.node.number("/intakes/0/accepted_entries").unwrap_or(0);
    let before = accepted();
    let mut sent = 0;
    let has_begun = || {
        sent = sent_bytes();
        sent > 0
    };
    wait::until("the first bytes", FILE_LIMIT, has_begun).map_err(io::Error::other)?;
    let begun = clock::now();
    let is_sealed = || accepted() > before;
    wait::until("the seal's answer", FILE_LIMIT, is_sealed).map_err(io::Error::other)?;
    Ok(rate(bytes.saturating_sub(sent), clock::now() - begun))
}

/// Waits for one file without reading it.
pub(crate) fn wait_landed(outer: &Outer) {
    let looked = wait::until("a landed file", FILE_LIMIT, || {
        let below = penstock_test_support::files::below(&outer.landing).unwrap_or_default();
        below.iter().any(|path| path.extension().is_some_and(|ending| ending == "tsfile"))
    });
    if let Err(late) = looked {
        drop(io::Write::write_all(&mut io::stderr(), format!("{late}\n").as_bytes()));
    }
}

fn through_the_gate(_: &Sizes) -> io::Result<Vec<Row>> {
    const SKIPPED: u64 = 5;
    const MEASURED: u64 = 30;
    let bandwidth = NonZeroU64::new(100_000_000);
    let round_trip = Duration::from_millis(5);
    let outer = Outer::start(|settings| settings);
    let config = Config { bandwidth, round_trip, ..Config::new(outer.address) };
    let (sender, events) = mpsc::channel();
    let gate = penstock_gate::start(config, move |event| {
        if matches!(event.what, What::Answer { .. }) {
            sender.send(event.at).unwrap_or_default();
        }
    })?;
    let inner = Inner::start(gate.address(), &[], |settings| settings);
    inner.put("gate.tsfile", &TsFileShape::of_size((SKIPPED + MEASURED + 2) * MIB, 1));
    let answers = (0..=SKIPPED + MEASURED).map_while(|_| events.recv_timeout(FILE_LIMIT).ok());
    let times: Vec<Duration> = answers.collect();
    let all = usize::try_from(SKIPPED + MEASURED).unwrap_or(usize::MAX);
    let (Some(first), Some(last)) = (times.get(all - 30), times.get(all)) else {
        return Err(io::Error::other("too few answers through the gate"));
    };
    let period = last.saturating_sub(*first).as_secs_f64() / 30.0;
    let ideal = 8.0 * 1_048_576.0 / 100e6 + round_trip.as_secs_f64();
    Ok(vec![Row {
        name: "1 MiB frames, gate of 100 Mbit/s and 5 ms".into(),
        ours: format!("{:.1} ms/frame", period * 1e3),
        other: format!("{:.1} ms/frame ideal", ideal * 1e3),
        ratio: ideal / period,
        wanted: Wanted::AtLeast(0.95),
    }])
}

fn small_frames(sizes: &Sizes) -> io::Result<Vec<Row>> {
    let times = u32::try_from(sizes.frames).unwrap_or(u32::MAX);
    let directory = tempfile::tempdir()?;
    let sync = bare::synced_append(directory.path(), SMALL_FRAME_BYTES, times)?;
    let trip = bare::round_trip(SMALL_FRAME_BYTES, times)?;
    let outer = Outer::start(|settings| settings);
    let one = tablets_per_second(outer.address, 1, 0..sizes.frames)?;
    let sixteen = tablets_per_second(outer.address, 16, 0..sizes.frames)?;
    let ideal = 1.0 / (sync + trip).as_secs_f64();
    Ok(vec![
        Row {
            name: "4 KiB tablets, one connection".into(),
            ours: format!("{one:.0} /s"),
            other: format!("{ideal:.0} /s sync and trip"),
            ratio: one / ideal,
            wanted: Wanted::AtLeast(0.85),
        },
        Row {
            name: "4 KiB tablets, sixteen connections".into(),
            ours: format!("{sixteen:.0} /s"),
            other: format!("{one:.0} /s on one"),
            ratio: sixteen / one,
            wanted: Wanted::AtLeast(4.0),
        },
    ])
}

/// What group commit gains where a sync is slow.
fn group_commit(sizes: &Sizes) -> io::Result<Vec<Row>> {
    const SYNC_TIME: Duration = Duration::from_millis(2);
    const DISK_BYTES: u64 = 1 << 30;
    let node = SlowNode::start(SYNC_TIME, DISK_BYTES)?;
    let one = tablets_per_second(node.address, 1, 0..sizes.frames)?;
    let sixteen = tablets_per_second(node.address, 16, 0..sizes.frames)?;
    node.stop()?;
    Ok(vec![Row {
        name: "4 KiB tablets, sixteen connections, sync of 2 ms".into(),
        ours: format!("{sixteen:.0} /s"),
        other: format!("{one:.0} /s on one"),
        ratio: sixteen / one,
        wanted: Wanted::AtLeast(8.0),
    }])
}

/// Tablets that a receiver answers in a second, over so many connections at once; these of each one's device.
pub(crate) fn tablets_per_second(
    address: SocketAddr,
    connections: u64,
    frames: Range<u64>,
) -> io::Result<f64> {
    let start = clock::now();
    let refused = AtomicBool::new(false);
    parallel::run(connections, |name| {
        let device = format!("root.bench.d{connections}x{name}");
        if !send_tablets(address, &device, frames.clone()).unwrap_or(false) {
            refused.store(true, Ordering::Relaxed);
        }
    });
    if refused.into_inner() {
        return Err(io::Error::other("a tablet was not taken"));
    }
    let took = (clock::now() - start).as_secs_f64();
    let count = connections * (frames.end - frames.start);
    Ok(f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took)
}

/// Sends small tablets one after another; says whether all were taken.
fn send_tablets(address: SocketAddr, device: &str, frames: Range<u64>) -> io::Result<bool> {
    let mut peer = Peer::introduce(address, "bench")?;
    for at in frames {
        let start = i64::try_from(at * 1000).unwrap_or(i64::MAX);
        let payload = tablet_of(device, SMALL_FRAME_BYTES - 150, start, at);
        if peer.ask(&payload)? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn start(_: &Sizes) -> io::Result<Vec<Row>> {
    let mut outer = Outer::start(|settings| settings);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        outer.kill_and_restart();
        best = best.min(outer.node.ready_after().unwrap_or(Duration::MAX));
    }
    let mut rows = vec![Row {
        name: "start to READY=1, fastest of five".into(),
        ours: format!("{:.1} ms", best.as_secs_f64() * 1e3),
        other: "100 ms".into(),
        ratio: best.as_secs_f64() / 0.1,
        wanted: Wanted::AtMost(1.0),
    }];
    for program in [Program::Sender, Program::Receiver] {
        let bytes = File::open(Programs::built().path(program))?.metadata()?.len();
        let mib = megabytes(bytes) * 1e6 / 1_048_576.0;
        rows.push(Row {
            name: format!("binary, {}", program.name()),
            ours: format!("{mib:.2} MiB"),
            other: "4 MiB".into(),
            ratio: mib / 4.0,
            wanted: Wanted::AtMost(1.0),
        });
    }
    Ok(rows)
}

/// MB/s.
fn rate(bytes: u64, took: Duration) -> f64 {
    megabytes(bytes) / took.as_secs_f64()
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX)) / 1000.0
}

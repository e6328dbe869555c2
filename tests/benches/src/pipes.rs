//! What pipes cost: filters, pipes that have nothing to do, and the way of one tablet to the far side.

use std::io::{self, Read};
use std::net::TcpListener;
use std::time::Duration;

use penstock_acceptance::{SOON, Site};
use penstock_gate::{Config, What};
use penstock_test_support::frames::{TabletShape, tablet, tablet_of};
use penstock_test_support::peer::Peer;
use penstock_test_support::{clock, wait};

use crate::bare;
use crate::rows::Sizes;
use crate::table::{Row, Wanted};

/// Tablets that are filtered in one round, of about half a MiB each.
const WIDE_TABLETS: u32 = 200;
const WIDE_COLUMNS: usize = 1000;
const WIDE_ROWS: usize = 60;
/// In each round both ways are measured, one after the other, and the round in the middle counts.
const ROUNDS: usize = 5;

/// One of a thousand series, out of tablets that come as fast as they are answered.
pub(crate) fn filter(_: &Sizes) -> io::Result<Vec<Row>> {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        // Neither is always the one that comes first.
        let (all, one) = if round % 2 == 0 {
            let all = tablets_per_second("root.**")?;
            (all, tablets_per_second("root.bench.d.s0")?)
        } else {
            let one = tablets_per_second("root.bench.d.s0")?;
            (tablets_per_second("root.**")?, one)
        };
        rounds.push((one / all, one, all));
    }
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, one, all) = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
    Ok(vec![Row {
        name: "1 of 1000 series of full-rate tablets".into(),
        ours: format!("{one:.0} tablets/s"),
        other: format!("{all:.0} /s unfiltered"),
        ratio,
        wanted: Wanted::AtLeast(0.8),
    }])
}

/// Tablets that a node takes in, and of which a pipe takes `path`, each second.
fn tablets_per_second(path: &str) -> io::Result<f64> {
    let site = Site::outer();
    site.done(&format!(
        "create pipe p with source ('path'='{path}','realtime.mode'='stream') with sink ('sink'='do-nothing-sink')"
    ));
    let tablets: Vec<_> = (0..4)
        .map(|place| {
            let shape = TabletShape {
                device: "root.bench.d",
                rows: WIDE_ROWS,
                columns: WIDE_COLUMNS,
                start_time: place * 1000,
                text_bytes: 8,
            };
            tablet(&shape, place.unsigned_abs())
        })
        .collect();
    let mut peer = Peer::introduce(site.gate, "bench")?;
    let begun = clock::now();
    for payload in tablets.iter().cycle().take(usize::try_from(WIDE_TABLETS).unwrap_or(0)) {
        if peer.ask(payload)? != 0 {
            return Err(io::Error::other("a tablet was not taken"));
        }
    }
    wait_passed(&site, site.taken())?;
    Ok(f64::from(WIDE_TABLETS) / (clock::now() - begun).as_secs_f64())
}

/// Waits until the pipe has everything below behind it, as the spool knows.
fn wait_passed(site: &Site, next: u64) -> io::Result<()> {
    let is_behind = || site.node.number("/pipes/0/position").is_ok_and(|at| at >= next);
    wait::until("the pipe", SOON, is_behind).map_err(io::Error::other)
}

/// So many pipes are compared with one.
const PIPES: u64 = 64;
/// What an idle pipe may have, in KiB.
const PIPE_KIB: f64 = 16.0;
/// How long idle pipes are watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Pipes over one spool that have nothing to send.
pub(crate) fn idle(_: &Sizes) -> io::Result<Vec<Row>> {
    let (one, many) = (Idle::measure(1)?, Idle::measure(PIPES)?);
    let more = f64::from(u32::try_from(PIPES - 1).unwrap_or(u32::MAX));
    let kib = (many.kib - one.kib) / more;
    let cpu = (many.cpu - one.cpu).max(0.0) / more;
    Ok(vec![
        Row {
            name: "memory of an idle pipe, of 64".into(),
            ours: format!("{kib:.1} KiB"),
            other: format!("{PIPE_KIB} KiB budget"),
            ratio: kib / PIPE_KIB,
            wanted: Wanted::AtMost(1.0),
        },
        Row {
            name: "processor time of an idle pipe, of 64".into(),
            ours: format!("{:.4} %", cpu * 100.0),
            other: format!("{:.2} % with one pipe", one.cpu * 100.0),
            ratio: cpu * 100.0,
            wanted: Wanted::Nothing,
        },
    ])
}

/// A node with so many pipes, at rest.
struct Idle {
    /// The most that it had resident.
    kib: f64,
    /// Of one processor.
    cpu: f64,
}

impl Idle {
    fn measure(pipes: u64) -> io::Result<Self> {
        let far = Site::outer();
        let site = Site::inner();
        for pipe in 0..pipes {
            let sink = format!("'sink'='iotdb-air-gap-sink','node-urls'='{}'", far.gate);
            site.done(&format!("create pipe p{pipe} with sink ({sink})"));
        }
        site.take(1);
        let is_done = || {
            let behind = |pipe| site.node.number(&format!("/pipes/{pipe}/remaining_entries"));
            (0..pipes).all(|pipe| behind(pipe).is_ok_and(|entries| entries == 0))
        };
        wait::until("the pipes", SOON, is_done).map_err(io::Error::other)?;
        let before = site.node.processor_time().map_err(io::Error::other)?;
        clock::pause(WATCHED);
        let after = site.node.processor_time().map_err(io::Error::other)?;
        let bytes = site.node.peak_memory().map_err(io::Error::other)?;
        let cpu = after.saturating_sub(before).as_secs_f64() / WATCHED.as_secs_f64();
        Ok(Self { kib: f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)), cpu })
    }
}

/// From the statement to the first frame of data on the wire.
pub(crate) fn statement(_: &Sizes) -> io::Result<Vec<Row>> {
    const TIMES: u32 = 20;
    let site = Site::inner();
    site.take(1);
    let mut worst = Duration::ZERO;
    for number in 0..TIMES {
        let far = TcpListener::bind("127.0.0.1:0")?;
        let sink = format!("'sink'='iotdb-air-gap-sink','node-urls'='{}'", far.local_addr()?);
        let begun = clock::now();
        site.done(&format!("create pipe p{number} with sink ({sink})"));
        let (mut socket, _) = far.accept()?;
        socket.set_read_timeout(Some(SOON))?;
        read_frame(&mut socket)?;
        io::Write::write_all(&mut socket, &[0])?;
        socket.read_exact(&mut [0])?;
        worst = worst.max(clock::now() - begun);
        drop(socket);
        site.done(&format!("drop pipe p{number}"));
    }
    let millis = worst.as_secs_f64() * 1e3;
    Ok(vec![Row {
        name: "CREATE PIPE to the first data, slowest of 20".into(),
        ours: format!("{millis:.1} ms"),
        other: "50 ms".into(),
        ratio: millis / 50.0,
        wanted: Wanted::AtMost(1.0),
    }])
}

/// Reads one frame that is not wrapped.
fn read_frame(socket: &mut impl Read) -> io::Result<()> {
    let mut head = [0; 8];
    socket.read_exact(&mut head)?;
    let [length @ .., _, _, _, _] = head;
    let mut rest = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap_or(0)];
    socket.read_exact(&mut rest)
}

/// Tablets whose way is measured, and those before them.
const TABLETS: usize = 1000;
const FIRST_TABLETS: usize = 50;
const TABLET_BYTES: usize = 4096;

/// The way of one tablet, from the peer that sends it to the answer of the far side, both of which sync it; beside two
/// syncs and two round trips without us, each pair measured one after the other.
pub(crate) fn way(_: &Sizes) -> io::Result<Vec<Row>> {
    let far = Site::outer();
    let (answers, events) = std::sync::mpsc::channel();
    let gate = penstock_gate::start(Config::new(far.gate), move |event| {
        if matches!(event.what, What::Answer { .. }) {
            // Nobody hears the last ones.
            let _unheard = answers.send(clock::now()).is_err();
        }
    })?;
    let site = Site::inner();
    let sink = format!("'sink'='iotdb-air-gap-sink','node-urls'='{}'", gate.address());
    site.done(&format!("create pipe p with source ('realtime.mode'='stream') with sink ({sink})"));
    // The answer to the handshake.
    let late = |_| io::Error::other("no answer from the far side");
    let directory = tempfile::tempdir()?;
    let mut bare = bare::Way::new(directory.path(), TABLET_BYTES)?;
    let mut peer = Peer::introduce(site.gate, "bench")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for at in 0..TABLETS + FIRST_TABLETS {
        let start = i64::try_from(at).unwrap_or_default() * 1000;
        let payload = tablet_of("root.bench.d", TABLET_BYTES - 150, start, 1);
        while events.try_recv().is_ok() {}
        let begun = clock::now();
        if peer.ask(&payload)? != 0 {
            return Err(io::Error::other("a tablet was not taken"));
        }
        let answered = events.recv_timeout(SOON).map_err(late)?;
        if at >= FIRST_TABLETS {
            ours.push(answered.saturating_duration_since(begun));
            theirs.push(bare.measure()?);
        }
    }
    let (ours, theirs) = (late_one(ours), late_one(theirs));
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Ok(vec![Row {
        name: "a tablet of 4 KiB to the far side's answer, p99".into(),
        ours: format!("{:.0} us", micros(ours)),
        other: format!("{:.0} us 2 x sync, trip", micros(theirs)),
        ratio: micros(ours) / micros(theirs),
        wanted: Wanted::AtMost(2.0),
    }])
}

/// Of a hundred times, 99 are not longer.
fn late_one(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let place = times.len().saturating_mul(99) / 100;
    times.get(place).copied().unwrap_or(Duration::MAX)
}

//! The most memory that the programs ever have, resident, and what they write.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use penstock_e2e::{Inner, MIB, Outer};
use penstock_test_support::clock;
use penstock_test_support::frames::{TabletShape, frame, tablet, tablet_of};
use penstock_test_support::node::{Node, NodeSettings};
use penstock_test_support::peer::Peer;
use penstock_test_support::tsfile::TsFileShape;

use crate::rows::{FILE_LIMIT, Sizes, megabytes, wait_landed};
use crate::table::{Row, Wanted};

/// What a program may have under load, and without any; in MiB.
const LOAD_MIB: f64 = 8.0;
const IDLE_MIB: f64 = 6.0;

pub(crate) fn memory(_: &Sizes) -> io::Result<Vec<Row>> {
    let outer = Outer::start(|settings| settings);
    let inner = Inner::start(outer.address, &[], |settings| settings);
    clock::pause(Duration::from_secs(1));
    let mut rows = vec![
        peak("receiver, idle", &outer.node, IDLE_MIB)?,
        peak("sender, idle", &inner.node, IDLE_MIB)?,
    ];
    let written = outer.node.io().map_err(io::Error::other)?.written_bytes;
    let mut peer = Peer::introduce(outer.address, "bench")?;
    let mut accepted = 0;
    for at in 0..64 {
        let payload = tablet_of("root.bench.d", (1 << 20) - 4096, at * 100_000, 1);
        accepted += frame(&payload).len();
        peer.ask(&payload)?;
    }
    let written = outer.node.io().map_err(io::Error::other)?.written_bytes - written;
    inner.put("memory.tsfile", &TsFileShape::of_size(64 * MIB, 1));
    wait_landed(&outer);
    rows.push(peak("receiver, 1 MiB frames and pieces", &outer.node, LOAD_MIB)?);
    rows.push(peak("sender, 1 MiB pieces", &inner.node, LOAD_MIB)?);
    let (written, accepted) = (megabytes(written), megabytes(u64::try_from(accepted).unwrap_or(0)));
    rows.push(Row {
        name: "written to disk, 1 MiB tablets".into(),
        ours: format!("{written:.1} MB"),
        other: format!("{accepted:.1} MB accepted"),
        ratio: written / accepted,
        wanted: Wanted::AtMost(1.2),
    });
    Ok(rows)
}

/// Pieces as long as stock receivers take them, and a tablet that goes through a file.
pub(crate) fn large_frames(_: &Sizes) -> io::Result<Vec<Row>> {
    let outer = Outer::start(|settings| settings);
    let piece_bytes = (63 * MIB).to_string();
    let attributes = [("air-gap.piece-bytes", piece_bytes.as_str())];
    let inner = Inner::start(outer.address, &attributes, |settings| settings);
    inner.put("pieces.tsfile", &TsFileShape::of_size(200 * MIB, 1));
    wait_landed(&outer);
    let mut rows = vec![
        peak("receiver, 63 MiB pieces", &outer.node, LOAD_MIB)?,
        peak("sender, 63 MiB pieces", &inner.node, LOAD_MIB)?,
    ];
    let outer = Outer::start(|settings| settings);
    let shape = TabletShape {
        device: "root.bench.d",
        rows: 940_000,
        columns: 6,
        start_time: 0,
        text_bytes: 8,
    };
    if Peer::introduce(outer.address, "bench")?.ask(&tablet(&shape, 1))? != 0 {
        return Err(io::Error::other("a tablet of 40 MiB was not taken"));
    }
    rows.push(peak("receiver, a tablet of 40 MiB", &outer.node, LOAD_MIB)?);
    Ok(rows)
}

/// Ten files of 1 GiB each, which have no blocks, behind a peer that takes nothing.
pub(crate) fn backlog(_: &Sizes) -> io::Result<Vec<Row>> {
    const FILES: u64 = 10;
    let stalled = TcpListener::bind("127.0.0.1:0")?;
    let room = |settings: NodeSettings| settings.set("spool.max_bytes", "16GiB");
    let mut inner = Inner::start(stalled.local_addr()?, &[], room);
    let mut empty = Duration::MAX;
    for _ in 0..3 {
        inner.kill_and_restart();
        empty = empty.min(inner.node.ready_after().unwrap_or(Duration::MAX));
    }
    for at in 0..FILES {
        inner.put(&format!("f{at}.tsfile"), &TsFileShape::sparse(1 << 30, at));
    }
    let is_there = |inner: &Inner| {
        let taken = |status: &serde_json::Value| {
            status.pointer("/spool/bytes").and_then(serde_json::Value::as_u64) >= Some(FILES << 30)
        };
        inner.node.wait_status("a backlog of 10 GiB", FILE_LIMIT, taken).map_err(io::Error::other)
    };
    is_there(&inner)?;
    let mut rows = vec![peak("sender, takes a backlog of 10 GiB", &inner.node, LOAD_MIB)?];
    let mut full = Duration::MAX;
    for _ in 0..3 {
        inner.kill_and_restart();
        full = full.min(inner.node.ready_after().unwrap_or(Duration::MAX));
    }
    is_there(&inner)?;
    rows.push(peak("sender, starts with it", &inner.node, LOAD_MIB)?);
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    rows.push(Row {
        name: "start with it, fastest of three".into(),
        ours: format!("{:.1} ms", millis(full)),
        other: format!("1000 ms; {:.1} empty", millis(empty)),
        ratio: full.as_secs_f64(),
        wanted: Wanted::AtMost(1.0),
    });
    Ok(rows)
}

fn peak(name: &str, node: &Node, most_mib: f64) -> io::Result<Row> {
    let kib = node.peak_memory().map_err(io::Error::other)? / 1024;
    let mib = f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0;
    Ok(Row {
        name: format!("peak memory, {name}"),
        ours: format!("{mib:.1} MiB"),
        other: format!("{most_mib} MiB budget"),
        ratio: mib / most_mib,
        wanted: Wanted::AtMost(1.0),
    })
}

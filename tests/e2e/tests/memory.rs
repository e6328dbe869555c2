//! Memory is a promise: the most that the released programs ever had resident.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test")]

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use penstock::data::compressor::{Compressor, LZMA_MEMORY_BYTES_MAX};
use penstock_e2e::{
    Fetcher, IDLE_MEMORY_MAX, Inner, LOAD_MEMORY_MAX, MIB, Outer, SOON, assert_peak,
};
use penstock_test_support::frames::{PIECE, TabletShape, payload, piece, seal, tablet, tablet_of};
use penstock_test_support::node::NodeSettings;
use penstock_test_support::peer::Peer;
use penstock_test_support::tsfile::TsFileShape;
use penstock_test_support::{clock, parallel, wait};

/// A port where nobody answers: taken, and never accepted from.
fn deaf() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A receiver as it is without a configuration: everything lands.
fn plain() -> Outer {
    Outer::start(|settings| settings)
}

#[test]
fn an_idle_pair_stays_within_its_budget() {
    let outer = plain();
    let inner = Inner::start(outer.address, &[], |settings| settings);
    clock::pause(Duration::from_secs(2));
    outer.node.status().unwrap();
    inner.node.status().unwrap();
    assert_peak(&outer.node, IDLE_MEMORY_MAX, "idle");
    assert_peak(&inner.node, IDLE_MEMORY_MAX, "idle");
}

/// Most memory that a pipe may have allocated that has sent something and now has nothing to do.
const PIPE_MEMORY_MAX: u64 = 24 << 10;

/// A sender with so many pipes, each of which has sent a file, and where it has sent it.
fn with_idle_pipes(count: usize) -> (Inner, Outer) {
    const FILE_BYTES: u64 = 200_000;
    let outer = Outer::start(|settings| settings.set("landing.enabled", "false"));
    let inner = Inner::with_pipes(count, outer.address);
    inner.put("small.tsfile", &TsFileShape::of_size(FILE_BYTES, 1));
    wait_until_all_sent(&inner, count, FILE_BYTES / 2);
    (inner, outer)
}

/// Until each of so many pipes has sent more than so many bytes, and has nothing left to send.
fn wait_until_all_sent(inner: &Inner, pipes: usize, bytes: u64) {
    let has_sent = |pipe: &serde_json::Value| {
        let number = |name| pipe.get(name).and_then(serde_json::Value::as_u64);
        number("sent_bytes") > Some(bytes) && number("remaining_entries") == Some(0)
    };
    let all_sent = |status: &serde_json::Value| {
        let rows = status.get("pipes").and_then(serde_json::Value::as_array);
        rows.is_some_and(|rows| rows.len() == pipes && rows.iter().all(has_sent))
    };
    inner.node.wait_status("all pipes to have sent", 4 * SOON, all_sent).unwrap();
}

#[test]
fn an_idle_pipe_takes_no_more_than_24_kib() {
    const PIPES: usize = 64;
    let memory = |inner: &Inner| inner.node.anonymous_memory().unwrap();
    let (inner, _outer) = with_idle_pipes(1);
    let one = memory(&inner);
    let (inner, _outer) = with_idle_pipes(PIPES);
    let each = || memory(&inner).saturating_sub(one) / (PIPES as u64 - 1);
    // The last answer is told before what it was waited with is given back.
    let idle = wait::until("an idle pipe", SOON, || each() <= PIPE_MEMORY_MAX);
    assert!(idle.is_ok(), "{} bytes a pipe, beside {one} with one", each());
}

#[test]
fn a_receiver_under_frames_of_1_mib_stays_within_its_budget() {
    let outer = Outer::start(|settings| settings.set("landing.enabled", "false"));
    send_frames_of_1_mib(&outer);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "with frames of 1 MiB on 8 connections");
}

#[test]
fn a_receiver_that_lands_frames_of_1_mib_stays_within_its_budget() {
    let outer = plain();
    send_frames_of_1_mib(&outer);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "landing frames of 1 MiB on 8 connections");
}

/// Tablets of eight devices over as many connections, 40 of each.
fn send_frames_of_1_mib(outer: &Outer) {
    parallel::run(8, |name| {
        let mut peer = Peer::introduce(outer.address, "stock").unwrap();
        for at in 0..40 {
            let device = format!("root.plant.d{name}");
            let payload = tablet_of(&device, (1 << 20) - 4096, at * 100_000, name);
            assert_eq!(peer.ask(&payload).unwrap(), 0);
        }
    });
}

#[test]
fn a_pair_that_carries_files_in_pieces_of_1_mib_stays_within_its_budget() {
    let outer = plain();
    let inner = Inner::start(outer.address, &[], |settings| settings);
    inner.put("large.tsfile", &TsFileShape::of_size(300 * MIB, 1));
    Fetcher::default().fetch_until(&outer.landing, 1, 4 * SOON);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "with pieces of 1 MiB");
    assert_peak(&inner.node, LOAD_MEMORY_MAX, "with pieces of 1 MiB");
}

/// Memory of a sender with as many pipes as there may be, all of which send a file at the same time.
const CROWD_MEMORY_MAX: u64 = 12 * MIB;

#[test]
fn pipes_that_send_a_file_at_the_same_time_share_what_they_have_of_memory() {
    const PIPES: usize = 64;
    const FILE_BYTES: u64 = 12 * MIB;
    let outer = Outer::start(|settings| settings.set("landing.enabled", "false"));
    let inner = Inner::with_pipes(PIPES, outer.address);
    inner.put("large.tsfile", &TsFileShape::of_size(FILE_BYTES, 1));
    wait_until_all_sent(&inner, PIPES, FILE_BYTES / 2);
    assert_peak(&inner.node, CROWD_MEMORY_MAX, "with a file on 64 pipes");
}

#[test]
fn a_pair_that_carries_files_in_pieces_of_almost_64_mib_stays_within_its_budget() {
    let outer = plain();
    let piece_bytes = (63 * MIB).to_string();
    let attributes = [("air-gap.piece-bytes", piece_bytes.as_str())];
    let inner = Inner::start(outer.address, &attributes, |settings| settings);
    inner.put("large.tsfile", &TsFileShape::of_size(200 * MIB, 1));
    Fetcher::default().fetch_until(&outer.landing, 1, 4 * SOON);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "with pieces of 63 MiB");
    assert_peak(&inner.node, LOAD_MEMORY_MAX, "with pieces of 63 MiB");
}

#[test]
fn a_tablet_of_40_mib_fits_into_the_budget() {
    let outer = plain();
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    let shape = TabletShape {
        device: "root.plant.d",
        rows: 900_000,
        columns: 6,
        start_time: 0,
        text_bytes: 8,
    };
    let payload = tablet(&shape, 1);
    assert!(payload.len() as u64 > 38 * MIB, "{}", payload.len());
    assert_eq!(peer.ask(&payload).unwrap(), 0);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "with a tablet of 40 MiB");
}

#[test]
fn a_backlog_of_10_gib_behind_a_stalled_peer_fits_into_the_budget() {
    let (_listener, address) = deaf();
    let room = |settings: NodeSettings| settings.set("spool.max_bytes", "16GiB");
    let mut inner = Inner::start(address, &[], room);
    for at in 0..10 {
        inner.put(&format!("f{at}.tsfile"), &TsFileShape::sparse(1 << 30, at));
    }
    let taken = |status: &serde_json::Value| {
        status.pointer("/spool/bytes").and_then(serde_json::Value::as_u64) >= Some(10 * 1024 * MIB)
    };
    inner.node.wait_status("a backlog of 10 GiB", 10 * SOON, taken).unwrap();
    assert_peak(&inner.node, LOAD_MEMORY_MAX, "with a backlog of 10 GiB");
    inner.kill_and_restart();
    let ready = inner.node.ready_after().unwrap();
    assert!(ready < Duration::from_secs(1), "ready after {ready:?} with a backlog of 10 GiB");
    inner.node.wait_status("a backlog of 10 GiB", SOON, taken).unwrap();
    assert_peak(&inner.node, LOAD_MEMORY_MAX, "started with a backlog of 10 GiB");
}

#[test]
fn tablets_are_written_to_disk_hardly_more_than_once() {
    const TABLETS: u64 = 64;
    let outer = plain();
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    let before = outer.node.io().unwrap().written_bytes;
    let mut accepted = 0;
    for at in 0..TABLETS {
        let start = i64::try_from(at).unwrap() * 100_000;
        let payload = tablet_of("root.plant.d", (1 << 20) - 4096, start, at);
        accepted += payload.len() as u64;
        assert_eq!(peer.ask(&payload).unwrap(), 0);
    }
    let written = outer.node.io().unwrap().written_bytes - before;
    assert!(written * 10 <= accepted * 12, "{written} bytes written for {accepted} accepted");
}

#[test]
fn files_with_landing_are_written_to_disk_hardly_more_than_twice() {
    let outer = plain();
    let (bytes, _) = TsFileShape::of_size(64 * MIB, 1).to_bytes().unwrap();
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    let before = outer.node.io().unwrap().written_bytes;
    assert_eq!(peer.send_file("large.tsfile", &bytes, 1 << 20).unwrap(), 0);
    Fetcher::default().fetch_until(&outer.landing, 1, SOON);
    let written = outer.node.io().unwrap().written_bytes - before;
    let accepted = bytes.len() as u64;
    assert!(written * 10 <= accepted * 23, "{written} bytes written for {accepted} accepted");
}

#[test]
fn a_piece_of_64_mib_from_a_stranger_is_streamed() {
    let outer = plain();
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    let (bytes, _) = TsFileShape::of_size(61 * MIB, 3).to_bytes().unwrap();
    let (name, length) = ("one.tsfile", bytes.len() as u64);
    assert_eq!(peer.ask(&piece(PIECE, name, 0, &bytes)).unwrap(), 0);
    assert_eq!(peer.ask(&seal(name, length)).unwrap(), 0);
    let mut fetcher = Fetcher::default();
    fetcher.fetch_until(&outer.landing, 1, SOON);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "with one piece of more than 61 MiB");
    wait::until("a status", SOON, || outer.node.status().is_ok()).unwrap();
}

/// What undoing takes beside the load: little for formats with a window of 64 KiB or less; a frame of
/// zstd's level 3 has one of 2 MiB.
fn window_bytes(compressor: Compressor) -> u64 {
    match compressor {
        Compressor::Snappy | Compressor::Gzip | Compressor::Lz4 => MIB / 4,
        Compressor::Zstd => 2 * MIB + MIB / 2,
        Compressor::Lzma2 => LZMA_MEMORY_BYTES_MAX,
    }
}

/// As stock peers do it: lzma2 with preset 6, whose dictionary is the largest that is taken.
fn compressed(compressor: Compressor, steps: u8, inner: &[u8]) -> Vec<u8> {
    let mut head = vec![steps];
    let mut bytes = inner.to_vec();
    for _ in 0..steps {
        head.push(compressor.id().cast_unsigned());
        head.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        let mut out = Vec::new();
        if compressor == Compressor::Lzma2 {
            let mut encoder = liblzma::bufread::XzEncoder::new(bytes.as_slice(), 6);
            encoder.read_to_end(&mut out).unwrap();
        } else {
            compressor.apply(&bytes, &mut out).unwrap();
        }
        bytes = out;
    }
    payload(300, &[head, bytes].concat())
}

#[test]
fn compressed_requests_of_56_mib_take_the_memory_of_a_window() {
    // A MiB that repeats itself: within some windows, beyond others.
    let pattern: Vec<u8> = (0_u32..1 << 20)
        .map(|at| (at.wrapping_mul(0x9e37_79b9) >> 20).to_le_bytes()[0] & 15)
        .collect();
    let inner = piece(PIECE, "one.tsfile", 0, &pattern.repeat(56));
    for compressor in Compressor::ALL {
        for steps in 1..=2 {
            let outer = plain();
            let mut peer = Peer::introduce(outer.address, "stock").unwrap();
            let request = compressed(compressor, steps, &inner);
            assert_eq!(peer.ask(&request).unwrap(), 0, "{compressor:?} {steps}");
            let limit = LOAD_MEMORY_MAX + window_bytes(compressor);
            let when = format!("with 56 MiB in {steps} steps of {}", compressor.name());
            assert_peak(&outer.node, limit, &when);
        }
    }
}

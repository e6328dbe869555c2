//! Frames of every wrong shape: each gets what the table of the gate's rules says, and the node goes
//! on serving others.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use penstock_e2e::{LOAD_MEMORY_MAX, Outer, SOON, assert_peak, wait_number};
use penstock_test_support::files::below;
use penstock_test_support::frames::{
    PIECE, frame, handshake, handshake_of, handshake_v1, payload, piece, seal, tablet_of, wrapped,
};
use penstock_test_support::peer::Peer;
use penstock_test_support::{clock, parallel};

/// What a peer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Answer(u8),
    Reset,
    End,
}

fn seen(peer: &mut Peer) -> Seen {
    match peer.answer() {
        Ok(byte) => Seen::Answer(byte),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Seen::Reset,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Seen::End,
        Err(error) => unreachable_error(&error),
    }
}

#[expect(clippy::panic, reason = "an answer that does not come fails the test")]
fn unreachable_error(error: &std::io::Error) -> ! {
    panic!("neither an answer nor an end: {error}")
}

/// What a peer with an accepted handshake sees after these bytes.
fn after(address: SocketAddr, bytes: &[u8]) -> Seen {
    let mut peer = Peer::introduce(address, "stock").unwrap();
    match peer.send(bytes) {
        Ok(()) => seen(&mut peer),
        Err(_) => Seen::Reset,
    }
}

fn assert_serves(address: SocketAddr, seed: u64) {
    let mut peer = Peer::introduce(address, "good").unwrap();
    let start = i64::try_from(seed).unwrap() * 1_000_000;
    assert_eq!(peer.ask(&tablet_of("root.good.d", 2000, start, seed)).unwrap(), 0);
}

fn good_tablet() -> Vec<u8> {
    tablet_of("root.plant.d", 2000, 0, 1)
}

/// A header with these two lengths and a checksum of zero.
fn header(first: u32, second: u32) -> Vec<u8> {
    [&first.to_be_bytes()[..], &second.to_be_bytes(), &[0; 8]].concat()
}

#[test]
fn malformed_frames_are_reset_and_others_are_served() {
    let outer = Outer::start(|settings| settings);
    let good = frame(&good_tablet());
    let mut wrong_checksum = good.clone();
    wrong_checksum[15] ^= 1;
    let mut wrong_upper_half = good.clone();
    wrong_upper_half[8] = 1;
    let mut wrong_byte = good.clone();
    *wrong_byte.last_mut().unwrap() ^= 0x10;
    let prefix = &wrapped(b"")[..63];
    let cases: [(&str, Vec<u8>); 10] = [
        ("lengths that differ", header(100, 101)),
        ("a length of zero", header(0, 0)),
        ("a length below the checksum's", header(7, 7)),
        ("a negative length", header(u32::MAX, u32::MAX)),
        ("a length of 2 GiB", header(i32::MAX.unsigned_abs(), i32::MAX.unsigned_abs())),
        ("a length above the limit", header(65 << 20, 65 << 20)),
        ("a wrong checksum", wrong_checksum),
        ("a checksum of 64 bits", wrong_upper_half),
        ("a flipped bit", wrong_byte),
        ("a nested prefix", [prefix, prefix, &good].concat()),
    ];
    for (seed, (name, bytes)) in (1..).zip(&cases) {
        assert_eq!(after(outer.address, bytes), Seen::Reset, "{name}");
        assert_serves(outer.address, seed);
    }
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "after malformed frames");
}

#[test]
fn a_frame_that_is_cut_off_anywhere_leaves_nothing() {
    let outer = Outer::start(|settings| settings);
    let before = outer.node.number("/spool/next_sequence").unwrap();
    for whole in [frame(&good_tablet()), wrapped(&good_tablet())] {
        for end in [1, 7, 8, 15, 16, 19, 70, 100, whole.len() - 16, whole.len() - 1] {
            let mut peer = Peer::introduce(outer.address, "stock").unwrap();
            peer.send(&whole[..end]).unwrap();
        }
    }
    assert_serves(outer.address, 0);
    wait_number(&outer.node, "/spool/next_sequence", before + 1);
}

#[test]
fn unknown_requests_are_refused_not_sooner_than_after_a_second() {
    let outer = Outer::start(|settings| settings);
    for (name, bytes) in [
        ("an unknown type", frame(&payload(77, b"body"))),
        ("an unknown version", frame(&[&[2], &good_tablet()[1..]].concat())),
    ] {
        let start = clock::now();
        assert_eq!(after(outer.address, &bytes), Seen::Answer(0xff), "{name}");
        assert!(clock::now() - start >= Duration::from_secs(1), "{name}");
    }
    assert_serves(outer.address, 0);
}

#[test]
fn data_without_an_accepted_handshake_is_reset() {
    let outer = Outer::start(|settings| settings);
    let mut stranger = Peer::connect(outer.address).unwrap();
    stranger.send(&frame(&good_tablet())).unwrap();
    assert_eq!(seen(&mut stranger), Seen::Reset);
    let mut refused = Peer::connect(outer.address).unwrap();
    assert_eq!(refused.ask(&handshake_of(&[("timestampPrecision", "ms")])).unwrap(), 0xff);
    refused.send(&frame(&good_tablet())).unwrap();
    assert_eq!(seen(&mut refused), Seen::Reset);
}

#[test]
fn handshakes_that_do_not_fit_are_refused_at_once() {
    let outer = Outer::start(|settings| settings.set("timestamp_precision", "ms"));
    for (name, payload) in [
        ("another precision", handshake("stock", "us")),
        ("no precision", handshake_of(&[("clusterID", "stock")])),
        ("no cluster", handshake_of(&[("timestampPrecision", "ms")])),
        ("another precision by V1", handshake_v1("ns")),
    ] {
        let mut peer = Peer::connect(outer.address).unwrap();
        let start = clock::now();
        assert_eq!(peer.ask(&payload).unwrap(), 0xff, "{name}");
        assert!(clock::now() - start < Duration::from_secs(1), "{name}");
    }
    let mut peer = Peer::connect(outer.address).unwrap();
    assert_eq!(peer.ask(&handshake_v1("ms")).unwrap(), 0);
    assert_eq!(peer.ask(&good_tablet()).unwrap(), 0);
}

#[test]
fn names_that_leave_their_directory_go_to_quarantine_and_nowhere_else() {
    let outer = Outer::start(|settings| settings);
    let absolute = outer.directory.path().join("evil.tsfile").display().to_string();
    let names = ["../evil.tsfile", &absolute, "a/b.tsfile", "..", "x\0.tsfile", ""];
    for name in names {
        let frame = frame(&piece(PIECE, name, 0, b"evil"));
        assert_eq!(after(outer.address, &frame), Seen::Answer(0), "{name:?}");
    }
    wait_number(&outer.node, "/quarantine/things", names.len() as u64);
    let outside: Vec<_> = below(outer.directory.path())
        .unwrap()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("evil"))
        .filter(|path| !path.to_string_lossy().contains("quarantine"))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    assert_serves(outer.address, 0);
}

#[test]
fn a_file_that_is_none_is_quarantined_and_answered() {
    let outer = Outer::start(|settings| settings);
    let mut peer = Peer::introduce(outer.address, "stock").unwrap();
    assert_eq!(peer.send_file("half.tsfile", b"TsFile\x03 and nothing else", 10).unwrap(), 0);
    wait_number(&outer.node, "/quarantine/things", 1);
    let has_trouble = |status: &serde_json::Value| status.pointer("/trouble/0").is_some();
    outer.node.wait_status("trouble", SOON, has_trouble).unwrap();
}

#[test]
fn pieces_out_of_place_are_reset() {
    let outer = Outer::start(|settings| settings);
    let cases = [
        ("a piece that begins in the middle", frame(&piece(PIECE, "a.tsfile", 5, b"x"))),
        ("a seal without pieces", frame(&seal("a.tsfile", 5))),
    ];
    for (name, bytes) in cases {
        assert_eq!(after(outer.address, &bytes), Seen::Reset, "{name}");
    }
}

#[test]
fn compression_bombs_are_reset_before_they_are_opened() {
    let outer = Outer::start(|settings| settings);
    let stated = 1_u32 << 30;
    let mut body = vec![1, 1];
    body.extend(stated.to_be_bytes());
    body.extend([0x78; 64]);
    assert_eq!(after(outer.address, &frame(&payload(300, &body))), Seen::Reset);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "after a compression bomb");
    assert_serves(outer.address, 0);
}

#[test]
fn twenty_one_connections_are_served_among_forty_strangers() {
    let outer = Outer::start(|settings| settings);
    let mut strangers = Vec::new();
    for _ in 0..40 {
        strangers.push(Peer::connect(outer.address).unwrap());
    }
    parallel::run(21, |name| {
        let mut peer = Peer::introduce(outer.address, "stock").unwrap();
        for at in 0..20 {
            let payload = tablet_of(&format!("root.plant.d{name}"), 4096, at * 1000, name);
            assert_eq!(peer.ask(&payload).unwrap(), 0);
        }
    });
    drop(strangers);
    assert_peak(&outer.node, LOAD_MEMORY_MAX, "with sixty-one connections");
}

#[test]
fn when_the_table_is_full_the_longest_silence_is_reset_and_the_busy_stay() {
    let outer = Outer::start(|settings| settings.set("gate.max_connections", "8"));
    let mut busy = Peer::introduce(outer.address, "stock").unwrap();
    let mut first = Peer::connect(outer.address).unwrap();
    let mut strangers = Vec::new();
    for at in 0..20 {
        strangers.push(Peer::connect(outer.address).unwrap());
        let payload = tablet_of("root.plant.d", 1000, at * 1000, 1);
        assert_eq!(busy.ask(&payload).unwrap(), 0, "after {at} strangers");
    }
    assert_eq!(seen(&mut first), Seen::Reset);
    outer.node.wait_status("a status", SOON, |_| true).unwrap();
}

//! Every frame that real IoTDB nodes sent, sent again to the gate: each is answered 0x00, and what they
//! meant lies in the spool.

#![expect(clippy::indexing_slicing, reason = "a capture of another form fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use penstock::spool::Kind;
use penstock::wire::frame::{Decoder, Event};
use penstock::wire::request::{Request, RequestType};
use penstock_test_support::peer::Peer;

use crate::world::{Stored, World};

/// Plans on users and rights, which are ignored: 1.3.3 sends them as plans and as snapshots.
const AUTHORITY: std::ops::RangeInclusive<i16> = 600..=699;

/// One frame, and the connection on which it came.
struct Capture {
    name: String,
    connection: u32,
    bytes: Vec<u8>,
}

/// What the frames of one folder leave in the spool.
#[derive(Default)]
struct Expected {
    pieces: BTreeMap<String, Vec<u8>>,
    files: Vec<Vec<(String, Vec<u8>)>>,
    plans: Vec<Vec<u8>>,
    row_requests: usize,
}

#[test]
fn every_capture_of_1_3_3_is_answered_and_kept() {
    let folder = golden().join("iotdb-1.3.3");
    let captures = folder_of(&folder, |_| 1);
    let air_gap = captures.into_iter().filter(|capture| is_frame(&capture.bytes));
    assert_eq!(replay(&air_gap.collect::<Vec<_>>()), 69);
}

#[test]
fn every_capture_of_2_0_10_is_answered_and_kept() {
    let manifest = fs::read_to_string(golden().join("iotdb-2.0.10/MANIFEST.md")).unwrap();
    let mut frames = 0;
    for folder in fs::read_dir(golden().join("iotdb-2.0.10/airgap")).unwrap() {
        let folder = folder.unwrap().path();
        let title = format!("## airgap/{}\n", folder.file_name().unwrap().to_str().unwrap());
        let section = manifest.split(&title).nth(1).unwrap().split("\n## ").next().unwrap();
        let connection = |name: &str| {
            let row = section.lines().find(|line| line.starts_with(&format!("| {name} ")));
            row.and_then(|row| row.split('|').nth(2)?.trim().parse().ok()).unwrap_or(1)
        };
        frames += replay(&folder_of(&folder, connection));
    }
    assert_eq!(frames, 127);
}

#[test]
fn every_request_of_the_serializer_is_answered_and_kept() {
    let folder = golden().join("iotdb-2.0.10/serializer");
    let mut captures = folder_of(&folder, |_| 1);
    // A seal without its pieces.
    captures.retain(|capture| !capture.name.contains("tsfile-seal"));
    let handshake = golden().join("iotdb-2.0.10/airgap/stream/01-51-hs-dn-v2.bin");
    captures.insert(0, capture(&handshake, 1));
    assert_eq!(replay(&captures), 16);
}

/// Sends all, each on its connection, and compares; returns how many frames there were.
fn replay(captures: &[Capture]) -> usize {
    let world = World::new();
    let mut expected = Expected::default();
    let mut peers = BTreeMap::<u32, Peer>::new();
    let (first, _) = captures.split_first().unwrap();
    for capture in captures {
        let peer = peers.entry(capture.connection).or_insert_with(|| {
            let mut peer = Peer::connect(world.address).unwrap();
            peer.send(&first.bytes).unwrap();
            assert_eq!(peer.answer().unwrap(), 0);
            peer
        });
        peer.send(&capture.bytes).unwrap();
        assert_eq!(peer.answer().unwrap(), 0, "{}", capture.name);
        expected.add(&payload_of(&capture.bytes));
    }
    expected.check(&world.entries());
    assert_eq!(world.stats().quarantine_things, 0);
    world.stop();
    captures.len()
}

impl Expected {
    fn add(&mut self, payload: &[u8]) {
        match Request::decode(payload).unwrap() {
            Request::Piece(head, bytes) => {
                let file = self.pieces.entry(head.name.to_owned()).or_default();
                file.truncate(usize::try_from(head.start).unwrap());
                file.extend_from_slice(bytes);
            }
            Request::Seal(seal) => {
                let named = seal.files.iter().filter_map(|file| file.name);
                let files = named.map(|name| (name.to_owned(), self.pieces[name].clone()));
                let kind = seal.parameters.and_then(|parameters| parameters.value("fileType"));
                if !matches!(kind, Some("1" | "2" | "3")) {
                    self.files.push(files.collect());
                }
            }
            Request::Plan { request_type, body } => {
                let code = i16::from_be_bytes([body[0], body[1]]);
                let ignored = request_type == RequestType::ConfigPlan && AUTHORITY.contains(&code);
                if !ignored {
                    self.plans.push(payload.to_vec());
                }
            }
            Request::Rows { .. } => self.row_requests += 1,
            Request::Compressed(compressed) => {
                let (mut out, mut spare) = (Vec::new(), Vec::new());
                let inner = compressed.undo(&mut out, &mut spare, 1 << 20).unwrap();
                self.add(inner);
            }
            Request::Handshake(_) | Request::Slice(_) => {}
        }
    }

    fn check(&self, entries: &[Stored]) {
        let of_kind = |kind| entries.iter().filter(move |entry| entry.kind == kind);
        let files: Vec<_> = of_kind(Kind::File).map(|entry| entry.files.clone()).collect();
        assert!(files == self.files, "{} files, {} expected", files.len(), self.files.len());
        let opaque: Vec<_> = of_kind(Kind::Opaque).map(|entry| &entry.payload).collect();
        assert!(self.plans.iter().all(|plan| opaque.contains(&plan)));
        let rows = of_kind(Kind::Tablet).count() + opaque.len() - self.plans.len();
        assert!(rows >= self.row_requests, "{rows} entries of {} requests", self.row_requests);
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn folder_of(folder: &Path, connection: impl Fn(&str) -> u32) -> Vec<Capture> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|each| each.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| capture(path, connection(&name(path)))).collect()
}

fn capture(path: &Path, connection: u32) -> Capture {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    Capture { name, connection, bytes: fs::read(path).unwrap() }
}

/// Thrift messages lie among the frames of 1.3.3.
fn is_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(b"<!System") || bytes[..4] == bytes[4..8]
}

fn payload_of(frame: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(1 << 20);
    let mut payload = Vec::new();
    let mut rest = frame;
    loop {
        let (consumed, event) = decoder.push(rest);
        match event.unwrap() {
            Event::Payload(range) => payload.extend_from_slice(&rest[range]),
            Event::End => return payload,
            Event::Begin { .. } | Event::More => {}
        }
        rest = &rest[consumed..];
    }
}

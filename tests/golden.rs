//! Captures of real IoTDB nodes decode to what an independent decoder found in them, and encode back
//! to the same bytes.
//!
//! ```text
//!  tests/golden/<version>/.../NN-<type>-<name>.bin    one frame (air gap) or message (thrift), as captured
//!                          .../expected.jsonl         one line a file: what it holds
//! ```
//!
//! The two folders spell their expectations differently; both are brought to one form, which
//! `describe` makes of a request of ours.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a capture that cannot be read fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use penstock::wire::bytes::Writer;
use penstock::wire::compressed::Compressor;
use penstock::wire::frame::{self, Decoder, Event};
use penstock::wire::pairs::Pairs;
use penstock::wire::request::{Head, Request};
use penstock::wire::thrift::transfer::{Found, TAIL, TransferHead};
use penstock::wire::thrift::{Incoming, Protocol, TPipeTransferResp, write_reply};
use serde_json::{Value, json};

/// Larger than any capture.
const PAYLOAD_BYTES_MAX: u32 = 1 << 20;

struct Capture {
    path: PathBuf,
    bytes: Vec<u8>,
    expected: Value,
    is_thrift: bool,
}

#[test]
fn every_air_gap_capture_decodes_as_expected_and_encodes_to_itself() {
    let captures = captures(|capture| !capture.is_thrift);
    assert_eq!(captures.len(), 212, "a capture is missing");
    for capture in captures {
        let (wrapped, payload) = decode(&capture.bytes, capture.bytes.len());
        check(&capture, &payload);
        let is_wrapped = ["elang", "el"].iter().any(|key| capture.expected[key] == true);
        assert_eq!(wrapped, is_wrapped, "{}", capture.path.display());

        let mut again = Vec::new();
        frame::emit(&[&written(&Request::decode(&payload).unwrap())], wrapped, &mut again).unwrap();
        assert!(again == capture.bytes, "{} encodes differently", capture.path.display());
    }
}

#[test]
fn an_air_gap_capture_may_be_split_at_any_byte() {
    for capture in captures(|capture| !capture.is_thrift) {
        let whole = decode(&capture.bytes, capture.bytes.len());
        for step in [1, 7, 64] {
            assert!(decode(&capture.bytes, step) == whole, "{}", capture.path.display());
        }
    }
}

#[test]
fn every_flipped_bit_of_a_handshake_is_found() {
    let bytes = fs::read(golden().join("iotdb-1.3.3/021-51-elang-handshake.bin")).unwrap();
    let header = frame_start(&bytes);
    for bit in header * 8..(bytes.len() - 15) * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
        assert!(push_all(&mut decoder, &flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn every_thrift_body_decodes_as_expected_and_encodes_to_itself() {
    let captures = captures(|capture| capture.is_thrift);
    assert_eq!(captures.len(), 62, "a capture is missing");
    for capture in captures {
        let payload = thrift_payload(&capture.bytes);
        check(&capture, &payload);
        assert!(written(&Request::decode(&payload).unwrap()) == payload);
    }
}

#[test]
fn every_thrift_reply_is_read_and_written_to_itself() {
    for capture in captures(|capture| capture.is_thrift) {
        let name = capture.path.file_stem().unwrap().to_str().unwrap();
        let (number, rest) = name.split_once('-').unwrap();
        let next: u32 = number.parse::<u32>().unwrap() + 1;
        let replies = [format!("{next:03}-{rest}-reply.bin"), format!("{number}-ans.bin")];
        let beside = |name: &String| fs::read(capture.path.with_file_name(name)).ok();
        let reply = replies.iter().find_map(beside);
        let reply = reply.unwrap_or_else(|| panic!("{name} has no reply"));
        let call = Incoming::read(Protocol::Binary, thrift_message(&capture.bytes)).unwrap().head;
        let incoming = Incoming::read(Protocol::Binary, thrift_message(&reply)).unwrap();
        let result: TPipeTransferResp = incoming.result(&call.method, call.sequence).unwrap();
        let mut again = Vec::new();
        write_reply(Protocol::Binary, &call, &result, &mut again).unwrap();
        assert_eq!(again, reply, "{name}");
    }
}

/// A frame without its length.
fn thrift_message(frame: &[u8]) -> &[u8] {
    let (length, message) = frame.split_first_chunk().unwrap();
    assert_eq!(u32::from_be_bytes(*length) as usize, message.len());
    message
}

fn check(capture: &Capture, payload: &[u8]) {
    let name = capture.path.display();
    let request = Request::decode(payload).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected = canonical(&capture.expected);
    let described = describe(&request);
    assert_eq!(described, expected, "{name}");
    if let Some(bytes) = capture.expected["payload"].as_u64() {
        assert_eq!(payload.len() as u64, bytes, "{name}");
    }
}

/// What a request holds, in the form of this test.
fn describe(request: &Request<'_>) -> Value {
    let code = request.request_type().code();
    match request {
        Request::Handshake(handshake) if handshake.request_type().is_handshake_v1() => {
            json!({"type": code, "precision": handshake.precision()})
        }
        Request::Handshake(handshake) => {
            let map: serde_json::Map<String, Value> =
                handshake.entries().map(|(key, value)| (key.to_owned(), json!(value))).collect();
            json!({"type": code, "map": map})
        }
        Request::Piece(head, bytes) => json!({
            "type": code, "name": head.name, "offset": head.start, "bytes": head.piece_bytes,
            "head": hex(&bytes[..bytes.len().min(8)]),
        }),
        Request::Seal(seal) => {
            let names: Vec<_> = seal.files.iter().map(|file| file.name).collect();
            let lengths: Vec<_> = seal.files.iter().map(|file| file.bytes).collect();
            let parameters: serde_json::Map<String, Value> = seal
                .parameters
                .iter()
                .flat_map(Pairs::iter)
                .map(|(key, value)| (key.to_owned(), json!(value)))
                .collect();
            json!({"type": code, "names": names, "lengths": lengths, "parameters": parameters})
        }
        Request::Compressed(compressed) => {
            let steps: Vec<_> =
                compressed.steps.iter().map(|step| json!([step.id, step.stated_bytes])).collect();
            let (mut out, mut spare) = (Vec::new(), Vec::new());
            let inner = compressed.undo(&mut out, &mut spare, 1 << 20).unwrap();
            json!({"type": code, "steps": steps, "inner": describe(&Request::decode(inner).unwrap())})
        }
        Request::Plan { body, .. } => {
            let is_deletion = code == 100 && body.starts_with(&[0, 44]);
            let shown = if is_deletion { &body[..2] } else { body };
            json!({"type": code, "plan": hex(shown)})
        }
        Request::Rows { .. } => json!({"type": code}),
        Request::Slice(slice) => panic!("no capture has a slice: {slice:?}"),
    }
}

/// An expectation of either folder, in the form of this test.
fn canonical(expected: &Value) -> Value {
    let code = &expected["type"];
    match code.as_i64().unwrap() {
        0 | 1 => json!({"type": code, "precision": expected["precision"]}),
        50 | 51 => json!({"type": code, "map": map(first(expected, &["map", "kv"]))}),
        4 | 8 | 101 | 201 => json!({
            "type": code,
            "name": first(expected, &["file", "name"]),
            "offset": first(expected, &["offset", "off"]),
            "bytes": first(expected, &["bytes", "len"]),
            "head": short(first(expected, &["head"]), 16),
        }),
        5 => json!({
            "type": code,
            "names": [first(expected, &["file", "name"])],
            "lengths": [first(expected, &["length", "len"])],
            "parameters": {},
        }),
        9 | 102 | 202 => json!({
            "type": code,
            "names": expected["names"],
            "lengths": first(expected, &["lengths", "lens"]),
            "parameters": map(&expected["params"]),
        }),
        300 => {
            let steps = first(expected, &["compressors", "comp"]).as_array().unwrap();
            let steps: Vec<_> = steps.iter().map(|step| json!([id(&step[0]), step[1]])).collect();
            json!({"type": code, "steps": steps, "inner": canonical(&expected["inner"])})
        }
        100 => {
            let node = first(expected, &["node", "n"]);
            let kind = first(node, &["nodeType", "node"]).as_u64().unwrap();
            let rest = ["raw", "rest_hex"].iter().find_map(|key| node[key].as_str());
            json!({"type": code, "plan": plan(kind, rest)})
        }
        200 => match expected["planType"].as_u64() {
            Some(kind) => json!({"type": code, "plan": plan(kind, expected["raw"].as_str())}),
            None => json!({"type": code, "plan": expected["hex"]}),
        },
        _ => json!({"type": code}),
    }
}

/// A plan in hex; of a plan that the expectation takes apart, its kind alone.
fn plan(kind: u64, rest: Option<&str>) -> String {
    format!("{kind:04x}{}", rest.unwrap_or_default())
}

/// The value of the first of `keys` that there is.
fn first<'v>(value: &'v Value, keys: &[&str]) -> &'v Value {
    let found = keys.iter().map(|key| &value[*key]).find(|value| !value.is_null());
    found.unwrap_or_else(|| panic!("none of {keys:?} in {value}"))
}

/// A map, be it an object or a list of pairs.
fn map(value: &Value) -> Value {
    let Some(pairs) = value.as_array() else { return value.clone() };
    pairs.iter().map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone())).collect()
}

/// A compressor's id, be it the id or the name.
fn id(value: &Value) -> i64 {
    let named = || Compressor::from_name(value.as_str().unwrap()).unwrap().id().into();
    value.as_i64().unwrap_or_else(named)
}

fn written(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::into_vec(&mut out, 1 << 20);
    request.write(&mut writer);
    writer.finish().unwrap();
    out
}

/// Framing and payload of the one frame in `bytes`, which arrive in pieces of `step`.
fn decode(bytes: &[u8], step: usize) -> (bool, Vec<u8>) {
    let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
    let mut frames = Vec::new();
    for piece in bytes.chunks(step) {
        frames.extend(push_all(&mut decoder, piece).unwrap());
    }
    assert!(decoder.is_between_frames());
    let wrapped = matches!(frames.first(), Some((true, _)));
    (wrapped, frames.into_iter().flat_map(|(_, part)| part).collect())
}

/// What the events of one piece bring: the framing with the first, payload with the others.
fn push_all(
    decoder: &mut Decoder,
    mut piece: &[u8],
) -> Result<Vec<(bool, Vec<u8>)>, frame::FrameError> {
    let mut parts = Vec::new();
    loop {
        let (taken, event) = decoder.push(piece);
        match event? {
            Event::Begin { wrapped, .. } => parts.push((wrapped, Vec::new())),
            Event::Payload(range) => parts.push((false, piece[range].to_vec())),
            Event::End => {}
            Event::More => return Ok(parts),
        }
        piece = &piece[taken..];
    }
}

fn frame_start(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"<!System") { 63 } else { 0 }
}

/// Version, type and body of a `pipeTransfer` call, in the form of an air-gap payload.
fn thrift_payload(frame: &[u8]) -> Vec<u8> {
    let message = thrift_message(frame);
    let Found::Transfer(head, used) = TransferHead::find(Protocol::Binary, message) else {
        panic!("no call of pipeTransfer")
    };
    let TransferHead { version, request_type: code, body_bytes, .. } = head;
    let (body, tail) = message[used..].split_at(body_bytes as usize);
    assert_eq!(tail, TAIL);
    let mut again = Vec::new();
    head.write(Protocol::Binary, &mut again).unwrap();
    assert_eq!([&again, body, tail].concat(), frame);
    let mut payload = Vec::new();
    let mut writer = Writer::into_vec(&mut payload, frame.len());
    Head { version, code }.write(&mut writer);
    writer.put(body);
    writer.finish().unwrap();
    payload
}

/// All captures that `wanted` takes; replies are left out.
fn captures(wanted: impl Fn(&Capture) -> bool) -> Vec<Capture> {
    let mut lists = Vec::new();
    find_lists(&golden(), &mut lists);
    lists.sort();
    lists.iter().flat_map(|list| captures_of(list)).filter(wanted).collect()
}

fn captures_of(list: &Path) -> Vec<Capture> {
    let text = fs::read_to_string(list).unwrap();
    let folder = list.parent().unwrap();
    text.lines().filter_map(|line| capture(folder, &serde_json::from_str(line).unwrap())).collect()
}

fn capture(folder: &Path, line: &Value) -> Option<Capture> {
    let name = first(line, &["file", "frame"]).as_str().unwrap();
    let is_thrift =
        name.contains("-thrift-") || folder.components().any(|part| part.as_os_str() == "thrift");
    let decoded = line.get("decoded").unwrap_or(line);
    let expected = decoded.get("req").unwrap_or(decoded).clone();
    expected.get("type")?;
    let path = folder.join(
        line.get("decoded")
            .map_or_else(|| line["frame"].as_str().unwrap().to_owned(), |_| name.to_owned()),
    );
    let bytes = fs::read(&path).unwrap();
    Some(Capture { path, bytes, expected, is_thrift })
}

fn find_lists(folder: &Path, lists: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_lists(&path, lists);
        } else if path.ends_with("expected.jsonl") {
            lists.push(path);
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The first `digits` of a hex text, or all of it.
fn short(value: &Value, digits: usize) -> String {
    value.as_str().unwrap().chars().take(digits).collect()
}

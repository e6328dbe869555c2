//! The driver against a scripted far side over loopback.

mod ahead;
mod calls;
mod filtered;
mod lanes;
mod replay;
mod rig;
mod runs;
mod spool;
mod stack;

use std::time::Duration;

use rig::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::data::{Identity, OriginId, Sequence};
use crate::limits::{self, MIB};
use crate::wire::compressed::Compressor;

const TABLET: &[u8] = b"\x01\0\x02\0\x0dany tablet";
const OTHER: &[u8] = b"\x01\0\x64another request";
const SECOND: Duration = Duration::from_secs(1);

/// What of this entry goes over the wire.
fn with_trailer(payload: &[u8], sequence: u64) -> Vec<u8> {
    let identity = Identity { origin: OriginId([7; 16]), sequence: Sequence(sequence) };
    [payload, identity.plan_node_id().as_bytes()].concat()
}

fn noise(count: usize) -> &'static [u8] {
    let mut random = crate::link::backoff::Random::new(9);
    let bytes: Vec<u8> = (0..count).map(|_| random.next_u64().to_be_bytes()[0]).collect();
    bytes.leak()
}

/// The content of the pieces of one type, put together by their offsets.
fn content_of(frames: &[Seen], code: i16) -> Vec<u8> {
    let mut content = Vec::new();
    for seen in frames.iter().filter(|seen| seen.code() == code) {
        let name = u32::from_be_bytes(seen.payload[3..7].try_into().unwrap()) as usize;
        let rest = &seen.payload[7 + name..];
        let start = u64::from_be_bytes(rest[..8].try_into().unwrap());
        let count = u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize;
        assert_eq!(start, content.len() as u64, "out of place");
        assert_eq!(rest.len(), 12 + count);
        content.extend_from_slice(&rest[12..]);
    }
    content
}

#[tokio::test]
async fn entries_cross_in_order_after_a_handshake() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_payload(OTHER);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.username = "plant".to_owned();
        settings.password = "secret".to_owned();
    });
    running.until_advanced(&[1, 2]).await;
    shelves.put_payload(TABLET);
    running.until_advanced(&[1, 2, 3]).await;
    let frames = far.frames();
    assert_eq!(far.codes(), [(0, 51), (0, 2), (0, 100), (0, 2)]);
    assert_eq!(frames[1].payload, TABLET);
    assert_eq!(frames[2].payload, with_trailer(OTHER, 2));
    let handshake = String::from_utf8(frames[0].payload.clone()).unwrap();
    for text in [
        "\0\0\0\x09clusterID\0\0\0\x0bour-cluster",
        "timestampPrecision\0\0\0\x02ms",
        "username\0\0\0\x05plant",
        "password\0\0\0\x06secret",
        "convertOnTypeMismatch",
        "loadTsFileStrategy",
        "validateTsFile",
        "markAsPipeRequest",
        "userId",
        "cliHostname",
        "skipIf",
    ] {
        assert!(handshake.contains(text), "{text:?} in {handshake:?}");
    }
    let row = &running.row;
    assert_eq!((row.sent_frames.get(), row.retries.get()), (3, 0));
    assert_eq!(row.sent_bytes.get(), (3 * 16 + 2 * TABLET.len() + OTHER.len() + 56) as u64);
    assert_eq!(row.message(), "");
    assert!(row.last_answer.age(clock::now()).is_some());
    assert!(running.stop().await < SECOND * 3);
}

/// Keys and values of a V2 handshake, taken apart by hand.
fn pairs_of(payload: &[u8]) -> Vec<(String, String)> {
    let mut rest = &payload[7..];
    let mut text = || {
        let count = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let text = String::from_utf8(rest[4..4 + count].to_vec()).unwrap();
        rest = &rest[4 + count..];
        text
    };
    let count = u32::from_be_bytes(payload[3..7].try_into().unwrap());
    let mut pairs: Vec<_> = (0..count).map(|_| (text(), text())).collect();
    assert!(rest.is_empty());
    pairs.sort();
    pairs
}

#[tokio::test]
async fn handshake_says_what_a_captured_one_says() {
    let capture =
        include_bytes!("../../../../tests/golden/iotdb-2.0.10/airgap/batchon/01-51-hs-dn-v2.bin");
    let theirs = &capture[16..];
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.cluster_id = "16047581-0e67-4d02-9552-1fdcc2830529".to_owned();
    });
    running.until_advanced(&[1]).await;
    let ours = far.frames().remove(0).payload;
    assert_eq!(ours[..7], theirs[..7], "version, type and count");
    assert_eq!(pairs_of(&ours), pairs_of(theirs));
}

#[tokio::test]
async fn file_crosses_in_pieces_with_its_identity_and_its_progress() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    let running = Running::new(&[far.port], &shelves, |settings| settings.piece_bytes = 1000);
    running.until_advanced(&[1]).await;
    let codes: Vec<_> = far.codes().iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, [51, 4, 4, 4, 5]);
    let frames = far.frames();
    assert_eq!(content_of(&frames, 4), ts_file());
    let seal = &frames[4].payload;
    let name = "P1-07070707070707070707070707070707-00000000000000000001-a.tsfile";
    assert_eq!(&seal[7..7 + name.len()], name.as_bytes());
    assert_eq!(seal[7 + name.len()..], 2292_u64.to_be_bytes());
    running.until(|running| running.board.crossings.views(clock::now()).is_empty()).await;
}

#[tokio::test]
async fn progress_of_a_file_is_shown_while_it_crosses() {
    let far = FarSide::new(|_, count, _| if count < 3 { OK } else { Reply::Nothing }).await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    let running = Running::new(&[far.port], &shelves, |settings| settings.piece_bytes = 1000);
    let views = |running: &Running| running.board.crossings.views(clock::now());
    running.until(|running| views(running).first().is_some_and(|v| v.done_bytes == 2000)).await;
    let view = views(&running).remove(0);
    assert_eq!((view.lane.as_str(), view.total_bytes), ("p", Some(2292)));
    assert_eq!(view.file, "a.tsfile");
}

#[tokio::test]
async fn mods_cross_before_their_file() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("a.tsfile.mods", b"DELETION,x"), ("a.tsfile", ts_file())]);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 8), (0, 8), (0, 9)]);
}

#[tokio::test]
async fn refused_seal_sends_the_file_again_over_a_new_connection() {
    let far = FarSide::new(|connection, _, seen| match (connection, seen.code()) {
        (0, 5) => FAIL,
        _ => OK,
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 4), (0, 5), (1, 51), (1, 4), (1, 5)]);
    assert_eq!((running.row.refused_frames.get(), running.row.retries.get()), (1, 1));
    assert_eq!(running.row.message(), "");
}

#[tokio::test]
async fn message_says_what_the_far_side_refuses_and_a_person_hears_of_it() {
    let far = FarSide::new(|_, _, seen| if seen.code() == 51 { OK } else { FAIL }).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until(|running| !running.board.troubles.all().is_empty()).await;
    let message = format!("127.0.0.1:{} refused a request (answer 0xff)", far.port);
    assert!(running.row.message().starts_with(&message), "{}", running.row.message());
    assert_eq!(running.board.troubles.all()[0].kind, TroubleKind::Refused);
    assert_eq!(running.shelves.advanced(), [0; 0]);
}

#[tokio::test]
async fn stale_and_doubled_answers_cost_a_connection_and_no_entry() {
    // After the handshake a stale FAIL follows; later a tablet is answered twice.
    let far = FarSide::new(|connection, count, _| match (connection, count) {
        (0, 0) => Reply::Bytes(&[0x00, 0xff]),
        (1, 1) => Reply::Bytes(&[0x00, 0x00]),
        _ => OK,
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_payload(OTHER);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until_advanced(&[1, 2]).await;
    assert_eq!(far.codes(), [(0, 51), (1, 51), (1, 2), (2, 51), (2, 100)]);
}

#[tokio::test]
async fn close_and_reset_instead_of_an_answer_repeat_the_frame() {
    let far = FarSide::new(|connection, count, _| match (connection, count) {
        (0, 1) => Reply::Close,
        (1, 1) => Reply::Reset,
        _ => OK,
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 2), (1, 51), (1, 2), (2, 51), (2, 2)]);
}

#[tokio::test]
async fn next_gate_takes_over_when_one_is_gone() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[gone, far.port], &shelves, |_| ());
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 2)]);
}

#[tokio::test]
async fn silent_far_side_is_given_up_after_the_handshake_timeout() {
    let silent = FarSide::new(|_, _, _| Reply::Nothing).await;
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[silent.port, far.port], &shelves, |settings| {
        settings.handshake_timeout = Duration::from_millis(200);
    });
    running.until_advanced(&[1]).await;
    assert_eq!(silent.codes(), [(0, 51)]);
}

#[tokio::test]
async fn refused_handshake_names_the_likely_reasons_and_sends_no_data() {
    let far = FarSide::new(|_, _, _| FAIL).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until(|running| running.row.refused_frames.get() >= 2).await;
    assert!(running.row.message().contains("precision"), "{}", running.row.message());
    assert!(far.codes().iter().all(|(_, code)| *code == 51), "{:?}", far.codes());
}

#[tokio::test]
async fn old_handshake_is_tried_if_the_attribute_says_so() {
    let far = FarSide::new(|_, _, seen| if seen.code() == 51 { FAIL } else { OK }).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running =
        Running::new(&[far.port], &shelves, |settings| settings.handshake_v1_fallback = true);
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (1, 1), (1, 2)]);
    let capture = include_bytes!("../../../../tests/golden/iotdb-1.3.3/074-1-handshake-v1.bin");
    assert_eq!(far.frames()[1].payload, capture[16..]);
}

#[tokio::test]
async fn every_frame_is_wrapped_if_the_attribute_says_so() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = Envelope::Frames { wrapped: true }
    });
    running.until_advanced(&[1, 2]).await;
    assert!(far.frames().iter().all(|seen| seen.wrapped));
    assert_eq!(far.frames()[1].payload, TABLET);
}

#[tokio::test]
async fn every_frame_that_gets_shorter_is_compressed_handshakes_too() {
    let [tablet, other] = [TABLET, OTHER].map(|request| &*[request, &[7; 1000]].concat().leak());
    for compressor in Compressor::ALL {
        let far = FarSide::new(|_, _, _| OK).await;
        let shelves = Shelves::default();
        shelves.put_payload(tablet);
        shelves.put_payload(other);
        let running = Running::new(&[far.port], &shelves, |settings| {
            settings.packing.compressors = [compressor].into_iter().collect();
        });
        running.until_advanced(&[1, 2]).await;
        let frames = far.frames();
        assert_eq!(far.codes(), [(0, 300), (0, 300), (0, 300)]);
        for (frame, payload) in frames[1..].iter().zip([tablet, &with_trailer(other, 2)]) {
            let body = &frame.payload[3..];
            let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
            assert_eq!(body[..2], [1, compressor.id().to_be_bytes()[0]]);
            assert_eq!(body[2..6], size);
            let mut out = Vec::new();
            compressor.undo(&body[6..], payload.len(), &mut out).unwrap();
            assert_eq!(out, payload);
        }
    }
}

#[tokio::test]
async fn pieces_larger_than_the_buffer_are_streamed() {
    let far = FarSide::new(|_, _, _| OK).await;
    let content = noise(5 * MIB + 77);
    let shelves = Shelves::default();
    shelves.put_files(202, &[("cluster_schema.bin", content)]);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.piece_bytes = 3 * MIB;
        settings.envelope = Envelope::Frames { wrapped: true };
    });
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 201), (0, 201), (0, 202)]);
    assert_eq!(content_of(&far.frames(), 201), content);
    let framing = 63 + 16 + 15;
    let payloads: usize = far.frames()[1..].iter().map(|seen| seen.payload.len() + framing).sum();
    assert_eq!(running.row.sent_bytes.get(), payloads as u64);
}

#[tokio::test]
async fn refusal_in_the_middle_of_a_frame_ends_its_writing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shelves = Shelves::default();
    shelves.put_files(202, &[("cluster_schema.bin", noise(40 * MIB))]);
    let running = Running::new(&[port], &shelves, |settings| settings.piece_bytes = 32 * MIB);
    let (mut socket, _) = listener.accept().await.unwrap();
    assert_eq!(read_frame(&mut socket, 0).await.unwrap().code(), 51);
    socket.write_all(&[0x00]).await.unwrap();
    // The header is read and refused; the rest stays in the way.
    socket.read_exact(&mut [0; 16]).await.unwrap();
    socket.write_all(&[0xff]).await.unwrap();
    running.until(|running| running.row.refused_frames.get() == 1).await;
    let (mut again, _) = listener.accept().await.unwrap();
    assert_eq!(read_frame(&mut again, 1).await.unwrap().code(), 51);
    assert_eq!(running.row.sent_frames.get(), 0);
}

#[tokio::test]
async fn request_in_a_file_is_one_frame_and_says_whose_it_is() {
    let tablet = [TABLET, noise(2 * MIB)].concat();
    let row = [b"\x01\0\x02\0\x0e", noise(2 * MIB)].concat();
    // The last ones do not fit into the buffer with a trailer, or at all.
    let room = limits::REQUEST_MEMORY_BYTES_MAX;
    let plan = |bytes: usize| [&b"\x01\0\x64"[..], &noise(bytes)[3..]].concat();
    let requests = [tablet, row, plan(100), plan(room - 56), plan(room - 55), plan(room + 1)];
    for wrapped in [false, true] {
        let far = FarSide::new(|_, _, _| OK).await;
        let shelves = Shelves::default();
        for request in &requests {
            let code = u16::from(request[2]);
            shelves.put_files(code, &[("request", request.clone().leak())]);
        }
        let running = Running::new(&[far.port], &shelves, |settings| {
            settings.envelope = Envelope::Frames { wrapped }
        });
        running.until_advanced(&[1, 2, 3, 4, 5, 6]).await;
        let frames = far.frames();
        assert!(frames[1].payload == requests[0], "a tablet has it in its plan node id");
        for (sequence, request) in (1..).zip(&requests).skip(1) {
            let seen = &frames[usize::try_from(sequence).unwrap()];
            assert!(seen.payload == with_trailer(request, sequence), "request {sequence}");
        }
    }
}

#[tokio::test]
async fn flawed_ts_file_is_never_sent_and_the_pipe_goes_on() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("half.tsfile", &ts_file()[..1000])]);
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until_advanced(&[1, 2]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 2)]);
    let aside = shelves.shelf.lock().unwrap().put_aside.clone();
    assert_eq!(aside[0].0, 1);
    assert!(aside[0].1.contains("not a whole TsFile"), "{}", aside[0].1);
    assert_eq!(running.board.troubles.all()[0].kind, TroubleKind::DeadLetters);
}

#[tokio::test]
async fn entry_refused_for_too_long_is_put_aside_if_the_operator_said_so() {
    let far = FarSide::new(|_, _, seen| if seen.code() == 2 { FAIL } else { OK }).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_payload(OTHER);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.give_up_after = Some(Duration::from_millis(300));
    });
    running.until_advanced(&[1, 2]).await;
    assert_eq!(shelves.shelf.lock().unwrap().put_aside[0].0, 1);
    assert!(running.row.refused_frames.get() >= 2);
}

#[tokio::test]
async fn disk_that_does_not_read_is_no_failure_of_the_far_side() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.shelf.lock().unwrap().failing_reads = 1;
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until(|running| running.row.message().contains("shelf")).await;
    assert_eq!(running.board.troubles.all()[0].kind, TroubleKind::PipeError);
    running.until_advanced(&[1]).await;
    running.until(|running| running.row.message().is_empty()).await;
    assert!(running.board.troubles.all().is_empty());
    assert_eq!(far.frames().last().unwrap().payload, TABLET);
}

#[tokio::test]
async fn entry_of_another_precision_gets_a_handshake_that_says_so() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_precise(OTHER, Precision::Us);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until_advanced(&[1, 2]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 2), (1, 51), (1, 100)]);
    let handshake = String::from_utf8(far.frames()[2].payload.clone()).unwrap();
    assert!(handshake.contains("timestampPrecision\0\0\0\x02us"), "{handshake:?}");
    assert_eq!(running.row.retries.get(), 0);
}

#[tokio::test]
async fn rate_limit_holds_bytes_back() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    let mut payload = TABLET.to_vec();
    payload.resize(300_000, 0);
    shelves.put_payload(&payload);
    let start = clock::now();
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.rates.own = crate::link::rate::RateLimit::new(500_000.0);
    });
    running.until_advanced(&[1]).await;
    let taken = clock::now() - start;
    assert!(taken > Duration::from_millis(450), "{taken:?}");
    assert_eq!(far.frames()[1].payload, payload);
}

#[tokio::test]
async fn stop_waits_for_the_answer_of_a_tablet_but_not_for_ever() {
    let far = FarSide::new(|_, count, _| if count == 0 { OK } else { Reply::Nothing }).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until(|running| running.row.sent_frames.get() == 1).await;
    let taken = running.stop().await;
    assert!(taken >= Duration::from_millis(3900) && taken < SECOND * 8, "{taken:?}");
    assert_eq!(shelves.advanced(), [0; 0]);
}

#[tokio::test]
async fn stop_in_the_middle_of_a_file_is_immediate() {
    let far = FarSide::new(|_, count, _| if count < 2 { OK } else { Reply::Nothing }).await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    let running = Running::new(&[far.port], &shelves, |settings| settings.piece_bytes = 1000);
    running.until(|running| running.row.sent_frames.get() == 2).await;
    assert!(running.stop().await < SECOND * 3);
    assert_eq!(shelves.advanced(), [0; 0]);
}

#[tokio::test]
async fn nothing_is_sent_of_a_rotten_file_that_is_one_frame() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    shelves.put_files(10, &[("request", b"\x01\0\x0arotten")]);
    shelves.put_files(10, &[("large request", noise(9 * MIB))]);
    shelves.put_payload(TABLET);
    let rotten = [("a.tsfile", [1; 32]), ("request", [2; 32]), ("large request", [3; 32])];
    shelves.shelf.lock().unwrap().hashes.extend(rotten);
    let running = Running::new(&[far.port], &shelves, |_| ());
    running.until_advanced(&[1, 2, 3, 4]).await;
    assert!(far.codes().iter().all(|(_, code)| matches!(code, 51 | 2)), "{:?}", far.codes());
    let quarantined = shelves.shelf.lock().unwrap().quarantined.clone();
    let sequences: Vec<_> = quarantined.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert!(quarantined[1].1.contains(&"02".repeat(32)), "{quarantined:?}");
}

#[tokio::test]
async fn a_rotten_file_of_streamed_pieces_is_not_sealed() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_files(202, &[("cluster_schema.bin", noise(9 * MIB))]);
    shelves.put_payload(TABLET);
    shelves.shelf.lock().unwrap().hashes.insert("cluster_schema.bin", [1; 32]);
    let running = Running::new(&[far.port], &shelves, |settings| settings.piece_bytes = 4 * MIB);
    running.until_advanced(&[1, 2]).await;
    let codes: Vec<_> = far.codes().iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, [51, 201, 201, 51, 2], "the last piece stays here");
}

#[tokio::test]
async fn a_rotten_file_waits_for_room_in_quarantine_without_being_read_again() {
    let far = FarSide::new(|_, _, _| OK).await;
    let shelves = Shelves::default();
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    shelves.put_payload(TABLET);
    {
        let mut shelf = shelves.shelf.lock().unwrap();
        shelf.hashes.insert("a.tsfile", [1; 32]);
        shelf.quarantine_full = 1;
    }
    let running = Running::new(&[far.port], &shelves, |settings| settings.piece_bytes = 1000);
    running.until(|running| running.row.message().contains("cannot be quarantined")).await;
    running.until_advanced(&[1, 2]).await;
    let codes: Vec<_> = far.codes().iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, [51, 4, 4, 51, 2]);
}

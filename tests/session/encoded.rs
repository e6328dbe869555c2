//! Tablets whose times and columns are encoded and compressed, as sessions of Java send them.

use std::fs;
use std::path::Path;

use penstock::wire::thrift::*;

use crate::Bench;
use crate::client::Client;

/// Has a recorded call of Java's session taken in, and gives what lies in the spool of it: from behind its device on, to
/// the identity that it has got.
fn taken(bench: &Bench, client: &mut Client, name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/iotdb-2.0.10/session");
    let call = fs::read(folder.join(name).with_extension("bin")).unwrap();
    let before = bench.world.entries().len();
    client.send(&call);
    let reply = client.receive();
    let head = Incoming::read(Protocol::Binary, &call[4..]).unwrap().head;
    let reply = Incoming::read(Protocol::Binary, &reply).unwrap();
    let status: TSStatus = reply.result(&head.method, head.sequence).unwrap();
    assert_eq!(status.code, 200, "{name}: {status:?}");
    let entries = bench.world.entries();
    assert_eq!(entries.len(), before + 1, "{name}");
    let payload = &entries[before].payload;
    let identity =
        payload.windows(3).rposition(|bytes| bytes == b"P1:").unwrap_or(payload.len() - 5);
    payload[9 + "root.".len() + name.len()..identity - 4].to_vec()
}

/// Puts zeros where a tablet of those ten columns has no value: what stands there means nothing.
fn without_placeholders(mut tablet: Vec<u8>) -> Vec<u8> {
    const ROWS: usize = 140;
    const WIDTHS: [usize; 10] = [1, 4, 8, 4, 8, 0, 8, 4, 0, 0];
    let rows = u32::try_from(ROWS).unwrap().to_be_bytes();
    let rows = tablet.windows(4).position(|bytes| bytes == rows).unwrap();
    let mut at = rows + 4 + 8 * ROWS + 1;
    let mut bitmaps = Vec::new();
    for _ in WIDTHS {
        let bytes = if tablet[at] == 1 { ROWS / 8 + 1 } else { 0 };
        bitmaps.push(tablet[at + 1..at + 1 + bytes].to_vec());
        at += 1 + bytes;
    }
    for (width, bitmap) in WIDTHS.iter().zip(bitmaps) {
        for row in 0..ROWS {
            let length = || u32::from_be_bytes(tablet[at..at + 4].try_into().unwrap()) as usize;
            let bytes = if *width == 0 { 4 + length() } else { *width };
            if bitmap.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1) {
                tablet[at..at + bytes].fill(0);
            }
            at += bytes;
        }
    }
    tablet
}

#[test]
fn tablets_that_sessions_of_java_encode_are_the_same_as_those_that_they_do_not() {
    let bench = Bench::new();
    let mut client = bench.session(Protocol::Binary);
    let raw = taken(&bench, &mut client, "raw");
    assert!(raw.windows(10).any(|text| text == "text 水 8".as_bytes()));
    for name in [
        "default",
        "plain",
        "rle",
        "gorilla_v1",
        "gorilla",
        "zigzag",
        "chimp",
        "rlbe",
        "dictionary",
    ] {
        assert!(taken(&bench, &mut client, name) == raw, "{name}");
    }
    let raw = taken(&bench, &mut client, "rawwhole");
    for name in ["ts_2diff", "sprintz"] {
        assert!(taken(&bench, &mut client, name) == raw, "{name}");
    }
    let raw = without_placeholders(taken(&bench, &mut client, "rawholes"));
    for name in ["defaultholes", "uncompressed", "snappy", "gzip", "lz4", "zstd", "lzma2"] {
        let decoded = taken(&bench, &mut client, name);
        assert!(without_placeholders(decoded) == raw, "{name}");
    }
    let aligned = without_placeholders(taken(&bench, &mut client, "aligned"));
    assert!(aligned != raw && aligned.len() == raw.len());
    bench.end();
}

/// The recorded call, changed before it is sent again.
fn encoded(name: &str, change: impl FnOnce(&mut TSInsertTabletReq)) -> TSInsertTabletReq {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/iotdb-2.0.10/session");
    let call = fs::read(folder.join(name).with_extension("bin")).unwrap();
    let incoming = Incoming::read(Protocol::Binary, &call[4..]).unwrap();
    let mut request: TSInsertTabletReq = incoming.argument(ARGUMENT).unwrap();
    change(&mut request);
    request
}

/// One column of long integers: what comes of it is small whatever it says, but for the number of rows.
fn small(rows: i32) -> TSInsertTabletReq {
    encoded("default", |it| {
        (it.measurements, it.types, it.size) = (vec!["long".to_owned()], vec![2], rows);
        (it.encoding_types, it.compress_type) = (Some(vec![0, 0]), Some(0));
        (it.values, it.timestamps) = (vec![0; 9], vec![0; 8]);
    })
}

#[test]
fn what_cannot_be_decoded_is_told_with_its_column() {
    let bench = Bench::new();
    let mut client = bench.session(Protocol::Compact);
    let mut refused = |request: TSInsertTabletReq| {
        let status: TSStatus = client.ask("insertTablet", &request);
        (status.code, status.message.unwrap())
    };
    for (request, code, words) in [
        (encoded("lz4", |it| drop(it.values.drain(20..40))), 303, "its values: "),
        (encoded("zstd", |it| drop(it.timestamps.drain(..1))), 303, "its times: "),
        (encoded("lz4", |it| it.compress_type = Some(5)), 303, "there is no compressor 5"),
        (encoded("default", |it| it.encoding_types = None), 303, "its encodings are missing"),
        (
            encoded("default", |it| it.types.truncate(3)),
            303,
            "types and measurements do not fit together",
        ),
        (encoded("default", |it| it.values.truncate(100)), 303, "s_int"),
        (encoded("default", |it| it.values.push(3)), 303, "bitmaps"),
        (
            encoded("default", |it| it.encoding_types.as_mut().unwrap()[5] = 14),
            303,
            "s_double: encoding 14 is not known here",
        ),
        (
            encoded("default", |it| it.encoding_types.as_mut().unwrap()[2] = 1),
            303,
            "s_int32: encoding DICTIONARY is not for values of type",
        ),
        (
            encoded("default", |it| it.timestamps.extend([0; 24])),
            303,
            "bytes follow the last of them",
        ),
        (encoded("default", |it| it.size = 1 << 30), 606, "fewer rows"),
        (encoded("default", |it| it.size = -1), 303, "rows, times"),
        (small(-1), 303, "rows, times"),
        (small(i32::MIN), 303, "rows, times"),
        // Bombs: a length that is stated, a run of rows, a dictionary's text that every row repeats.
        (
            encoded("zstd", |it| {
                let at = it.values.len() - 4;
                it.values[at..].copy_from_slice(&i32::MAX.to_be_bytes());
            }),
            606,
            "fewer rows",
        ),
        (
            encoded("default", |it| {
                it.encoding_types = Some(vec![4, 1]);
                (it.measurements, it.types, it.size) = (vec!["text".to_owned()], vec![5], 10_000);
                // 10,000 times one millisecond apart, and one text of 200 bytes in a run of as many.
                it.timestamps = (0..10_000_i64)
                    .step_by(129)
                    .flat_map(|start| {
                        let deltas = 128.min(10_000 - start - 1);
                        let block = [u32::try_from(deltas).unwrap(), 0];
                        let block = block.into_iter().flat_map(u32::to_be_bytes);
                        block.chain([1, start].into_iter().flat_map(i64::to_be_bytes))
                    })
                    .collect();
                let text = [b'x'; 200];
                it.values = [&[2, 0x90, 3][..], &text, &[5, 1, 0xa0, 0x9c, 0x01, 0]].concat();
            }),
            606,
            "fewer rows",
        ),
    ] {
        let (got, message) = refused(request);
        assert!(got == code && message.contains(words), "{got} {message}, not {code} {words}");
    }
    assert_eq!(bench.world.entries().len(), 0);
    bench.end();
}

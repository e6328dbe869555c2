//! Each thing that a check looks at is damaged, and the flaw told with its place, device and series. The table of the
//! module names these tests.

use super::*;
use crate::data::DataType;
use crate::data::compressor::Compressor;
use crate::tsfile::compression::Compression;
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::{Binaries, Encoding, Values};
use crate::tsfile::read::{ChunkHeader, ChunkPlace, Device, PageHeader, Series};
use crate::tsfile::write::{Column, MemoryScratch, Settings, Version, Writer};

const TINY: &[u8] = include_bytes!("../../../tests/samples/v3_tiny.tsfile");

/// Two plain series of two chunks of two pages each, and an aligned device of one page with a null.
fn made(version: Version, compression: Compression) -> Vec<u8> {
    let settings = Settings { version, page_points: 2, chunk_points: 4, ..Settings::default() };
    let scratches: [MemoryScratch; 2] = Default::default();
    let mut writer = Writer::new(Vec::new(), scratches, settings).expect("memory");
    let column = |name, data_type| Column {
        compression,
        encoding: Encoding::Plain,
        ..Column::new(name, data_type)
    };
    let times = [1, 2, 3, 4, 5, 6, 7, 8];
    writer.device(&DeviceId::segmented("root.sg.d1")).expect("first");
    writer.series(column("s1", DataType::Int32)).expect("first");
    let numbers = Values::Integers(vec![40, -50, 60, 70, 80, 90, -100, 110]);
    writer.points(&times, &numbers).expect("ascending");
    writer.series(column("s2", DataType::String)).expect("next");
    let mut texts = Binaries::new();
    (b'a'..=b'h').for_each(|letter| texts.push(&[letter; 40]));
    writer.points(&times, &Values::Binaries(texts)).expect("ascending");
    let columns = vec![column("a", DataType::Int64), column("b", DataType::Double)];
    writer.aligned(&DeviceId::segmented("root.sg.d2"), columns).expect("next");
    // No two bytes of their difference are equal, so that the codec leaves them as they are.
    let rows = [1, 0x1122_3344_5566_7788];
    writer.rows(&rows).expect("ascending");
    writer.column(0, &rows, &Values::Longs(vec![5, 6])).expect("rows");
    writer.column(1, &rows[1..], &Values::Doubles(vec![0.5])).expect("rows");
    writer.finish().expect("memory").0
}

fn plain() -> Vec<u8> {
    made(Version::V3, Compression::None)
}

/// Where a series lies.
struct Lies {
    device: Device,
    series: Series,
    chunks: Vec<(ChunkPlace, ChunkHeader, Vec<PageHeader>)>,
}

fn find(bytes: &[u8], device: &str, name: &str) -> Lies {
    let file = TsFile::open(bytes).expect("sound");
    let mut devices = file.devices().expect("index");
    let device = std::iter::from_fn(|| devices.next().expect("index"))
        .find(|found| found.id.path() == device)
        .expect("there");
    let mut list = file.series(&device).expect("index");
    let series = std::iter::from_fn(|| list.next().expect("index"))
        .find(|found| found.name == name)
        .expect("there");
    let mut places = file.chunks(&series);
    let chunks = std::iter::from_fn(|| places.next().expect("list")).map(|place| {
        let header = file.chunk(place.offset).expect("header");
        let mut pages = file.pages(&header);
        let pages = std::iter::from_fn(|| pages.next().expect("header")).collect();
        (place, header, pages)
    });
    Lies { chunks: chunks.collect(), device, series }
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).expect("small")
}

/// The flaws of some bytes after `patch` was put there.
fn flaws(bytes: &[u8], place: u64, patch: &[u8]) -> Vec<String> {
    let mut bytes = bytes.to_vec();
    bytes[at(place)..at(place) + patch.len()].copy_from_slice(patch);
    let mut lines = Vec::new();
    let checked = check(&bytes.as_slice(), Depth::Pages, &mut |flaw| lines.push(flaw.to_string()));
    assert_eq!(checked.expect("memory does not fail").flaws, lines.len() as u64);
    lines
}

#[track_caller]
fn has(lines: &[String], expected: &str) {
    assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}\n{lines:#?}");
}

#[test]
fn undamaged_files_have_no_flaw() {
    for version in [Version::V3, Version::V4] {
        for compression in Compression::ALL {
            assert_eq!(flaws(&made(version, compression), 0, b"T"), [""; 0]);
        }
    }
}

#[test]
fn ends_that_are_damaged_are_found() {
    let end = TINY.len() as u64;
    for (place, patch, expected) in [
        (0, &b"t"[..], "byte 0: expected \"TsFile\" at byte 0, got \"tsFile\""),
        (end - 1, b"E", "byte 74: expected \"TsFile\" at byte 222, got \"TsFilE\""),
        (6, &[5], "byte 6: version at byte 6: expected 3 to 4, got 5"),
        // The size of the block.
        (end - 7, &[0x44], "byte 74: "),
        (end - 7, &[0x42], "byte 74: "),
        // The offset of the separator, and the separator.
        (0xbb, &[0x48], "byte 74: separator"),
        (0x4a, &[3], "byte 74: separator"),
        // A hash count of two bytes takes the first of the size: the block is read to its last byte.
        (0xd9, &[0x85], "byte 74: "),
    ] {
        let lines = flaws(TINY, place, patch);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        has(&lines, expected);
    }
}

#[test]
fn markers_and_lengths_of_the_data_zone_are_found() {
    let bytes = plain();
    let second = &find(&bytes, "root.sg.d1", "s2").chunks[0].1;
    let lines = flaws(&bytes, second.offset, &[7]);
    has(&lines, &format!("byte {}: 0x07 is no marker of the data zone (all other", second.offset));
    // A chunk that is said to be two bytes longer ends within the next one's name.
    let first = &find(&bytes, "root.sg.d1", "s1").chunks[1].1;
    let length = first.offset + 4;
    let lines = flaws(&bytes, length, &[bytes[at(length)] + 2]);
    has(&lines, &format!("byte {}: 0x73 is no marker", first.end + 2));
    // The group of the second device begins where the first chunk of it stands, less its name.
    let group = find(&bytes, "root.sg.d2", "").chunks[0].1.offset - 12;
    let lines = flaws(&bytes, group, &[2]);
    has(&lines, &format!("byte {group}: 0x02 is no marker of the data zone (the chunks before"));
    // Two groups, one behind the other, and a chunk before any.
    let lines = flaws(&bytes, 7, &[4]);
    has(&lines, "byte 24: ");
}

#[test]
fn chunks_that_are_others_than_the_index_says_are_found() {
    let bytes = plain();
    let lies = find(&bytes, "root.sg.d1", "s1");
    let (place, header, _) = &lies.chunks[1];
    let what = "the chunk is of another series or type than the index says";
    let expected = format!("byte {}: root.sg.d1.s1: {what}", header.offset);
    has(&flaws(&bytes, header.offset + 2, b"x"), &expected);
    // INT64 where INT32 is expected: the type stands behind a length of two bytes.
    has(&flaws(&bytes, header.offset + 6, &[2]), &expected);
    // The offset stands before the chunk's statistics.
    let outside = (bytes.len() as u64).to_be_bytes();
    let expected = format!("byte {}: root.sg.d1.s1: chunk offset", place.statistics - 8);
    has(&flaws(&bytes, place.statistics - 8, &outside), &expected);
}

#[test]
fn chunks_that_are_named_twice_or_never_are_found() {
    let bytes = plain();
    let chunks = &find(&bytes, "root.sg.d1", "s1").chunks;
    let [(first, ..), (second, ..)] = &chunks[..] else { panic!("two") };
    let lines = flaws(&bytes, second.statistics - 8, &first.offset.to_be_bytes());
    let separator = TsFile::open(&bytes[..]).expect("sound").summary().separator;
    has(&lines, &format!("byte {separator}: the index names chunks twice, under another device"));
    // The plan range of the sample has as many bytes as a small chunk.
    let orphan = [5, 4, b's', b'1', 9, 1, 0, 0, 7, 7, 0, 0, 0, 0, 0, 0, 0];
    let lines = flaws(TINY, 0x39, &orphan);
    assert_eq!(lines.len(), 1);
    has(&lines, "byte 74: 1 chunks of the data zone are not in the index (every point");
    // Under another device.
    let lines = flaws(TINY, 0x11, b"2");
    has(&lines, "byte 74: the index names chunks twice, under another device");
}

#[test]
fn keys_that_do_not_ascend_are_found() {
    let bytes = plain();
    let second = find(&bytes, "root.sg.d1", "s2");
    // The name stands behind the flags and its length.
    let lines = flaws(&bytes, second.series.offset + 3, b"0");
    let what = "it does not come after the one before it (every point";
    has(&lines, &format!("byte {}: root.sg.d1.s0: {what}", second.series.offset));
    // The keys of the devices stand in the block, which is the root.
    let key = b"\x14root.sg.d1";
    let place = bytes.windows(key.len()).rposition(|window| window == key).expect("the key");
    let lines = flaws(&bytes, place as u64 + 10, b"3");
    let root = find(&bytes, "root.sg.d2", "a").device.root.start;
    has(&lines, &format!("byte {root}: root.sg.d2: {what}"));
}

#[test]
fn keys_that_lead_elsewhere_are_found() {
    let lines = flaws(TINY, 0x85, b"2");
    has(
        &lines,
        "byte 75: root.sg.d1: what stands at byte 75 does not begin with the key that leads",
    );
}

#[test]
fn gaps_in_the_metadata_zone_are_found() {
    let mut bytes = TINY.to_vec();
    // Three bytes between the record and the root; what points behind them is moved.
    bytes.splice(0x82..0x82, [1, 2, 3]);
    for (place, offset) in [(0xa3 + 3, 0x85_u64), (0xab + 3, 0x9a)] {
        bytes[place..place + 8].copy_from_slice(&offset.to_be_bytes());
    }
    let lines = flaws(&bytes, 0, b"T");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    has(&lines, "byte 75: 79 bytes of metadata, but the index covers 76 (every point");
}

#[test]
fn pages_that_do_not_decompress_to_their_size_are_found() {
    for compressor in Compressor::ALL {
        let bytes = made(Version::V3, Compression::By(compressor));
        let page = find(&bytes, "root.sg.d1", "s2").chunks[0].2[1];
        let length = u8::try_from(page.bytes).expect("below 128");
        let lines = flaws(&bytes, page.offset, &[length + 1]);
        let offset = page.offset;
        has(
            &lines,
            &format!("byte {offset}: root.sg.d1.s2: page at byte {offset}: {compressor:?}"),
        );
        // Two of the codecs have a checksum.
        if matches!(compressor, Compressor::Gzip | Compressor::Lzma2) {
            let middle = page.body + u64::from(page.stored) - 9;
            let lines = flaws(&bytes, middle, &[!bytes[at(middle)]]);
            has(&lines, &format!("byte {offset}: root.sg.d1.s2: page at byte {offset}: "));
        }
    }
}

#[test]
fn pages_that_do_not_decode_are_found() {
    let bytes = plain();
    let page = find(&bytes, "root.sg.d1", "s2").chunks[1].2[0];
    let offset = page.offset;
    // The length of the times.
    let lines = flaws(&bytes, page.body, &[0x7f]);
    has(&lines, &format!("byte {offset}: root.sg.d1.s2: page at byte {offset}: the column ends"));
    // The length of the last text, which stands before its 40 letters.
    let lines = flaws(&bytes, page.end() - 41, &[0x52]);
    has(&lines, &format!("byte {offset}: root.sg.d1.s2: page at byte {offset}: the column ends"));
}

#[test]
fn rows_that_do_not_agree_are_found() {
    let bytes = plain();
    let page = find(&bytes, "root.sg.d2", "b").chunks[0].2[0];
    let offset = page.offset;
    let lines = flaws(&bytes, page.body + 3, &[3]);
    has(
        &lines,
        &format!("byte {offset}: root.sg.d2.b: page at byte {offset}: row count cannot be 3"),
    );
}

#[test]
fn columns_with_fewer_chunks_than_their_times_are_found() {
    let scratches: [MemoryScratch; 2] = Default::default();
    let mut writer = Writer::new(Vec::new(), scratches, Settings::default()).expect("memory");
    let columns = vec![Column::new("a", DataType::Int64)];
    writer.aligned(&DeviceId::segmented("root.sg.d2"), columns).expect("first");
    for times in [[1, 2], [3, 4]] {
        writer.rows(&times).expect("ascending");
        writer.column(0, &times, &Values::Longs(times.to_vec())).expect("rows");
    }
    let mut bytes = writer.finish().expect("memory").0;
    let Lies { device, series, chunks } = find(&bytes, "root.sg.d2", "a");
    // The second half of the list is taken out, and its length, of two bytes, halved.
    let half = u64::from(bytes[at(series.statistics) - 2] & 0x7f) / 2 + 64;
    assert_eq!(half, chunks[1].0.statistics - chunks[0].0.statistics);
    let length = [0x80 | u8::try_from(half).expect("below 128"), 0];
    bytes[at(series.statistics) - 2..at(series.statistics)].copy_from_slice(&length);
    for place in at(device.root.start)..bytes.len() - 8 {
        let offset = u64::from_be_bytes(bytes[place..place + 8].try_into().expect("eight"));
        if offset == device.root.start || offset == device.root.end {
            bytes[place..place + 8].copy_from_slice(&(offset - half).to_be_bytes());
        }
    }
    let end = at(device.root.start);
    bytes.drain(end - at(half)..end);
    let lines = flaws(&bytes, 0, b"T");
    let what = "1 chunks, but the time column has 2 (all other";
    has(&lines, &format!("byte {}: root.sg.d2.a: {what}", series.offset));
}

#[test]
fn times_that_do_not_ascend_are_found() {
    let bytes = plain();
    // The first time stands last in the block of the times.
    for (chunk, page, time, wrong) in [(0, 1, 3_u8, 2_u8), (1, 0, 5, 4), (0, 0, 1, 200)] {
        let found = find(&bytes, "root.sg.d1", "s1").chunks[chunk].2[page];
        let lines = flaws(&bytes, found.body + 1 + 16 + 7, &[wrong]);
        assert_eq!(bytes[at(found.body) + 24], time);
        let offset = found.offset;
        if wrong < time && page == 1 {
            let what = format!("time {wrong} is not later than the one before it");
            has(&lines, &format!("byte {offset}: root.sg.d1.s1: {what}"));
        } else {
            has(&lines, "byte ");
        }
    }
    let page = find(&bytes, "root.sg.d2", "").chunks[0].2[0];
    // Some bit of the compressed page makes the difference negative.
    let expected = format!("byte {}: root.sg.d2 times: time ", page.offset);
    let mut bits = (page.body..page.end()).flat_map(|place| (0..8).map(move |bit| (place, bit)));
    assert!(bits.any(|(place, bit)| {
        let lines = flaws(&bytes, place, &[bytes[at(place)] ^ (1 << bit)]);
        lines.iter().any(|line| line.starts_with(&expected))
    }));
}

#[test]
fn each_byte_of_statistics_is_compared() {
    let bytes = plain();
    for (name, length) in [("s1", 41), ("s2", 17 + 4 * 44)] {
        let lies = find(&bytes, "root.sg.d1", name);
        let (chunk, _, pages) = &lies.chunks[1];
        for (place, level) in [
            (pages[1].statistics.expect("its own"), "page"),
            (chunk.statistics, "chunk"),
            (lies.series.statistics, "series"),
        ] {
            let what = format!("the statistics of the {level} are not those of its points");
            let expected = format!("byte {place}: root.sg.d1.{name}: {what} (every point");
            (0..length).for_each(|offset| is_compared(&bytes, (place, offset), &expected));
        }
    }
}

/// Of a text's length, that the rest cannot be read.
fn is_compared(bytes: &[u8], (place, offset): (u64, u64), expected: &str) {
    let byte = bytes[at(place + offset)];
    let lines = flaws(bytes, place + offset, &[byte ^ 1]);
    let is_length = expected.contains("s2") && offset >= 17 && (offset - 17) % 44 < 4;
    has(&lines, if is_length { "byte " } else { expected });
}

#[test]
fn paths_that_the_bloom_filter_lacks_are_found() {
    for version in [Version::V3, Version::V4] {
        let bytes = made(version, Compression::None);
        let file = TsFile::open(&bytes[..]).expect("sound");
        let (start, length, _) = file.bloom().expect("sound");
        let lines = flaws(&bytes, start, &vec![0; at(length)]);
        for (device, name, shown) in [
            ("root.sg.d1", "s1", ".s1"),
            ("root.sg.d1", "s2", ".s2"),
            ("root.sg.d2", "", " times"),
            ("root.sg.d2", "a", ".a"),
        ] {
            let offset = find(&bytes, device, name).series.offset;
            let what = "the bloom filter does not know it (every point can be read)";
            has(&lines, &format!("byte {offset}: {device}{shown}: {what}"));
        }
        assert_eq!(lines.len(), 5);
    }
}

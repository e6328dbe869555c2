//! The filter between a feed and its sink.

use std::time::Duration;

use penstock_test_support::frames;

use super::rig::{Shelves, ts_file};
use crate::data::{Pattern, Precision, Sequence};
use crate::pipe::source::{Birthplace, Filter};
use crate::sink::air_gap::{Feed, Filtered};
use crate::statement::{Bounds, Loose, Moment, RealtimeMode, Source};

fn source(path: &str) -> Source {
    Source {
        is_some: true,
        include: vec![Pattern::Path(path.to_owned())],
        exclude: Vec::new(),
        changes: None,
        history: true,
        realtime: true,
        range: Bounds::default(),
        history_range: Bounds::default(),
        mode: RealtimeMode::Stream,
        forwarding: true,
        mods: false,
        is_one_shot: false,
        loose_history: Loose::default(),
        loose_realtime: Loose::default(),
    }
}

fn filtered(shelves: &Shelves, source: &Source) -> Filtered<Shelves> {
    let birth = Birthplace {
        border: Sequence(1),
        created_ms: 0,
        offset_seconds: 0,
        precision: Precision::Ms,
    };
    Filtered::new(shelves.clone(), Filter::new(source, birth))
}

fn tablet(device: &str, columns: usize, rows: usize) -> Vec<u8> {
    frames::tablet(&frames::TabletShape { device, rows, columns, start_time: 1, text_bytes: 3 }, 1)
}

#[test]
fn the_sink_sees_a_part_as_it_sees_an_entry() {
    let shelves = Shelves::default();
    let whole = tablet("root.a.d", 1, 9);
    for payload in [&tablet("root.b.d", 2, 9), &tablet("root.a.d", 2, 9), &whole] {
        shelves.put_payload(payload);
    }
    let mut feed = filtered(&shelves, &source("root.a.*.s0"));
    let part = feed.next_entry().unwrap().unwrap();
    assert_eq!(part.sequence, Sequence(2));
    let mut payload = vec![0; part.payload_bytes as usize];
    feed.read_payload(&mut payload).unwrap();
    assert_eq!(crc32fast::hash(&payload), part.payload_crc);
    let without_tail = payload.len() - 64;
    assert_eq!(payload[..without_tail], whole[..whole.len() - 9]);
    assert_eq!(feed.next_entry().unwrap(), Some(part), "until it is advanced");
    feed.advance(&part);
    let last = feed.next_entry().unwrap().unwrap();
    assert_eq!(last.payload_bytes as usize, whole.len());
    let mut bytes = vec![0; whole.len()];
    feed.read_payload(&mut bytes).unwrap();
    assert_eq!(bytes, whole, "byte for byte");
    assert_eq!(shelves.advanced(), [1, 2]);
}

#[tokio::test]
async fn what_is_gone_past_leaves_others_their_turn() {
    let shelves = Shelves::default();
    for _ in 0..1000 {
        shelves.put_payload(&tablet("root.b.d", 1, 9));
    }
    let mut feed = filtered(&shelves, &source("root.a.**"));
    let mut turns = 0;
    while *shelves.advanced().last().unwrap_or(&0) < 1000 {
        assert_eq!(feed.next_entry().unwrap(), None);
        turns += 1;
        let more = tokio::time::timeout(Duration::from_secs(10), feed.changed()).await;
        assert!(more.is_ok() || turns > 3);
    }
    assert!((3..10).contains(&turns), "{turns} turns");
}

#[test]
fn a_file_goes_whole_or_not_at_all_and_is_never_sent_beyond_the_filter() {
    let sent = |source: &Source| {
        let shelves = Shelves::default();
        shelves.put_files(0, &[("x.tsfile", ts_file())]);
        filtered(&shelves, source).next_entry().map(|entry| entry.is_some()).map_err(|error| {
            assert!(error.to_string().contains("cut out"), "{error}");
        })
    };
    assert_eq!(sent(&source("root.**")), Ok(true));
    assert_eq!(sent(&source("root.nothing.**")), Ok(false));
    let late = Bounds { start: Some(Moment::Number(i64::MAX)), end: None };
    assert_eq!(sent(&Source { range: late, ..source("root.**") }), Ok(false));
    // It has more than one series.
    let across = source("root.**.s_int32");
    assert_eq!(sent(&across), Err(()));
    let loose = Loose { time: false, path: true };
    assert_eq!(sent(&Source { loose_realtime: loose, ..across.clone() }), Ok(true));
    assert_eq!(sent(&Source { loose_history: loose, ..across }), Err(()));
}

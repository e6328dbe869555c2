//! The filter between a feed and its sink.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use penstock_test_support::frames;
use tokio::sync::watch;

use super::rig::{FarSide, OK, Running, Shelves, ts_file};
use crate::config::Role;
use crate::data::{DataType, OriginId, Precision, ReadAt, Sequence, TimeRange};
use crate::limits::FILE_READS_MAX;
use crate::ops::board::{Board, TroubleKind};
use crate::ops::clock;
use crate::pipe::Sampler;
use crate::pipe::source::{Birthplace, Filter};
use crate::sink::air_gap::{Cutters, Feed, Filtered, Sampling, Scratch, StoredFile, StoredFiles};
use crate::sink::cuts::{CutTrouble, Desk, Job, Room, Step, Task};
use crate::spool::{Disk, Fault, Full, Kind, MADE_DIR, ReadError, SimDisk};
use crate::statement::{Bounds, Changes, Loose, Moment, Processor, Source};
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::Values;
use crate::tsfile::read::{Counting, TsFile};
use crate::tsfile::write::{Column, MemoryScratch, Settings, Writer as Writing};
use crate::wire::bytes::Writer;
use crate::wire::delete::{self, PathKind};
use crate::wire::request::{Head, RequestType};

const BIRTH: Birthplace = Birthplace { border: Sequence(1), created_ms: 0, offset_seconds: 0 };

fn source(path: &str) -> Source {
    Source::of_path(path)
}

fn filtered(shelves: &Shelves, source: &Source) -> Filtered<Shelves> {
    let (_, precision) = watch::channel(Some(Precision::Ms));
    filtered_by(shelves, source, &Desk::default(), precision)
}

/// The same, whose cuts are ordered at `desk`.
fn filtered_by(
    shelves: &Shelves,
    source: &Source,
    desk: &Desk,
    precision: watch::Receiver<Option<Precision>>,
) -> Filtered<Shelves> {
    let filter = Filter::new(source, BIRTH);
    Filtered::new(shelves.clone(), filter, Scratch::default(), precision, cutters(desk))
}

fn cutters(desk: &Desk) -> Cutters {
    cutters_of(desk, Arc::new(Board::new(Role::Sender, "", clock::now())))
}

fn cutters_of(desk: &Desk, board: Arc<Board>) -> Cutters {
    Cutters { desk: desk.clone(), board, pipe: "p".to_owned() }
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

#[test]
fn nothing_is_cut_from_what_the_disk_gives_differently_the_second_time() {
    let shelves = Shelves::default();
    shelves.put_payload(&tablet("root.a.d", 2, 9));
    shelves.flip();
    let mut feed = filtered(&shelves, &source("root.a.*.s0"));
    assert!(matches!(feed.next_entry(), Err(ReadError::Disk { .. })));
    let processor =
        Processor::TumblingTime { interval: Duration::from_secs(3600), split_files: false };
    let shown = ("p", Arc::new(Board::new(Role::Sender, "test", clock::now())));
    let mut sampling =
        Sampling::new(shelves.clone(), Sampler::new(processor), Precision::Ms, shown);
    assert!(matches!(sampling.next_entry(), Err(ReadError::Disk { .. })));
    shelves.flip();
    assert!(feed.next_entry().unwrap().is_some() && sampling.next_entry().unwrap().is_some());
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

/// Carries out what was ordered.
fn work(desk: &Desk, disk: &SimDisk) {
    disk.create_dir(Path::new(MADE_DIR)).unwrap();
    while let Some((Task::Cut(order), answer)) = desk.next_order() {
        let mut job = Job::new(*order, answer, disk.clone(), disk.calls().all);
        while job.step(desk, &mut Roomy) == Step::Worked {}
    }
}

struct Roomy;

impl Room for Roomy {
    fn grow(&mut self, _: u64) -> Result<(), CutTrouble> {
        Ok(())
    }

    fn shrink(&mut self, _: u64) {}
}

#[test]
fn a_file_goes_whole_cut_or_not_at_all() {
    let sent = |source: &Source| {
        let (shelves, desk, disk) = (Shelves::default(), Desk::default(), SimDisk::new(1, 1 << 24));
        shelves.put_files(0, &[("x.tsfile", ts_file())]);
        let (_, precision) = watch::channel(Some(Precision::Ms));
        let mut feed = filtered_by(&shelves, source, &desk, precision);
        let first = feed.next_entry().unwrap();
        work(&desk, &disk);
        let second = feed.next_entry().unwrap();
        match (first, second) {
            (None, None) if shelves.advanced() == [1] => "skipped",
            (None, Some(_)) => "cut",
            (Some(_), Some(_)) => "whole",
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(sent(&source("root.**")), "whole");
    assert_eq!(sent(&source("root.nothing.**")), "skipped");
    let late = Bounds { start: Some(Moment::Number(i64::MAX)), end: None };
    assert_eq!(sent(&Source { range: late, ..source("root.**") }), "skipped");
    // It has more than one series.
    let across = source("root.**.s_int32");
    assert_eq!(sent(&across), "cut");
    let loose = Loose { time: false, path: true };
    assert_eq!(sent(&Source { loose_realtime: loose, ..across.clone() }), "whole");
    assert_eq!(sent(&Source { loose_history: loose, ..across }), "cut");
}

#[tokio::test]
async fn the_sink_sees_a_cut_as_it_sees_a_file() {
    let (shelves, desk, disk) = (Shelves::default(), Desk::default(), SimDisk::new(1, 1 << 24));
    let sample = include_bytes!("../../../../tests/samples/v3_tiny.tsfile");
    shelves.put_files(9, &[("x.tsfile.mods", b""), ("x.tsfile", sample)]);
    shelves.put_payload(&tablet("root.sg.d1", 1, 9));
    let (_, precision) = watch::channel(Some(Precision::Ms));
    let late = Bounds { start: Some(Moment::Number(2000)), end: None };
    let source = Source { range: late, ..source("root.**") };
    let mut feed = filtered_by(&shelves, &source, &desk, precision);
    assert_eq!(feed.next_entry().unwrap(), None, "the worker has it");
    let waited = tokio::time::timeout(Duration::from_millis(1), feed.changed()).await;
    assert!(waited.is_err(), "nothing else wakes it");
    work(&desk, &disk);
    tokio::time::timeout(Duration::from_secs(10), feed.changed()).await.unwrap();
    let cut = feed.next_entry().unwrap().unwrap();
    assert_eq!((cut.kind, cut.sequence), (Kind::File, Sequence(1)));
    assert!(cut.identity.origin.is_of_parts_of(OriginId([7; 16])));
    assert_eq!(cut.identity.sequence, Sequence(1));
    let StoredFiles { request_type, files, .. } = feed.open_files().unwrap();
    assert_eq!((request_type, files.len()), (9, 1), "what was deleted is not in it");
    let StoredFile { name, bytes, hash, file } = &files[0];
    assert_eq!(name.as_deref(), Some("x.tsfile"));
    let file = file.as_ref().unwrap();
    let mut read = vec![0; usize::try_from(*bytes).unwrap()];
    assert_eq!(file.read_at(0, &mut read).unwrap(), read.len());
    assert_eq!(blake3::hash(&read).as_bytes(), hash);
    let made = TsFile::open(&read[..]).unwrap();
    let mut counting = Counting::new(&made).unwrap();
    let tally = counting.step(&read[..]).unwrap().unwrap();
    assert_eq!(tally.times, TimeRange { min: 2000, max: 3000 });
    assert_eq!(feed.next_entry().unwrap(), Some(cut), "until it is advanced");
    assert_eq!(desk.next_gone(), None);
    feed.advance(&cut);
    assert_eq!(desk.next_gone(), None, "somebody reads it still");
    drop(files);
    assert!(desk.next_gone().is_some());
    assert_eq!(shelves.advanced(), [1]);
}

#[test]
fn a_cut_that_fails_is_told_and_ordered_again() {
    let (shelves, desk, disk) = (Shelves::default(), Desk::default(), SimDisk::new(1, 1 << 24));
    shelves.put_files(0, &[("x.tsfile", ts_file())]);
    let (_, precision) = watch::channel(Some(Precision::Ms));
    let mut feed = filtered_by(&shelves, &source("root.**.s_int32"), &desk, precision);
    assert_eq!(feed.next_entry().unwrap(), None);
    disk.schedule(1, Fault::NoSpace, false);
    work(&desk, &disk);
    let error = feed.next_entry().expect_err("no room").to_string();
    assert!(error.contains("cut") && error.contains("x.tsfile"), "{error}");
    assert_eq!(feed.next_entry().unwrap(), None, "once more");
    work(&desk, &disk);
    assert!(feed.next_entry().unwrap().is_some());
    // A worker that has ended is no hang.
    drop(feed);
    let (_, precision) = watch::channel(Some(Precision::Ms));
    let mut feed = filtered_by(&shelves, &source("root.**.s_int32"), &desk, precision);
    assert_eq!(feed.next_entry().unwrap(), None);
    drop(desk.next_order());
    assert!(feed.next_entry().expect_err("ended").to_string().contains("the node stops"));
}

#[test]
fn what_can_never_be_cut_and_what_has_rotted_is_put_aside() {
    let fate_of = |hash: Option<[u8; 32]>, mods: &'static [u8]| {
        let (shelves, desk, disk) = (Shelves::default(), Desk::default(), SimDisk::new(1, 1 << 24));
        shelves.put_files(0, &[("x.tsfile.mods2", mods), ("x.tsfile", ts_file())]);
        shelves.shelf.lock().unwrap().hashes.extend(hash.map(|hash| ("x.tsfile", hash)));
        let (_, precision) = watch::channel(Some(Precision::Ms));
        let mut feed = filtered_by(&shelves, &source("root.**.s_int32"), &desk, precision);
        for _ in 1..if hash.is_some() { FILE_READS_MAX } else { 1 } {
            assert_eq!(feed.next_entry().unwrap(), None);
            work(&desk, &disk);
            let error = feed.next_entry().unwrap_err();
            assert!(error.to_string().contains("not what was taken in"), "{error}");
            assert!(feed.is_pending(), "it is looked at again");
        }
        assert_eq!(feed.next_entry().unwrap(), None);
        work(&desk, &disk);
        let entry = feed.next_entry().unwrap().unwrap();
        let aside = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(aside.block_on(feed.put_aside(&entry, "why")));
        let shelf = shelves.shelf.lock().unwrap();
        let went = (shelf.put_aside.len(), shelf.quarantined.len());
        assert_eq!(went, if hash.is_some() { (0, 1) } else { (1, 0) });
        drop(shelf);
        (feed.objection().map(str::to_owned), feed.open_files().unwrap().files.len(), entry)
    };
    let (objection, _, entry) = fate_of(None, &[1, 2]);
    assert!(objection.unwrap().contains("x.tsfile.mods2"));
    assert!(!entry.identity.origin.is_of_parts());
    let (objection, files, entry) = fate_of(Some([9; 32]), &[]);
    assert_eq!(objection.as_deref(), Some("x.tsfile is not what was taken in"));
    assert_eq!(files, 2, "all of it");
    assert!(!entry.identity.origin.is_of_parts());
}

#[test]
fn a_file_that_was_read_otherwise_once_is_looked_at_again_and_sent() {
    let late = Bounds { start: Some(Moment::Number(i64::MAX)), end: None };
    for (source, is_sent) in
        [(source("root.**.s_int32"), true), (Source { range: late, ..source("root.**") }, false)]
    {
        let (shelves, desk, disk) = (Shelves::default(), Desk::default(), SimDisk::new(1, 1 << 24));
        shelves.put_files(0, &[("x.tsfile", ts_file())]);
        let sound = *blake3::hash(ts_file()).as_bytes();
        let (_, precision) = watch::channel(Some(Precision::Ms));
        let mut feed = filtered_by(&shelves, &source, &desk, precision);
        shelves.say_hash("x.tsfile", [9; 32]);
        let failed = (0..10).find_map(|_| {
            let failed = feed.next_entry().err();
            work(&desk, &disk);
            failed
        });
        assert!(failed.unwrap().to_string().contains("not what was taken in"));
        shelves.say_hash("x.tsfile", sound);
        let sent = (0..10).find_map(|_| {
            let sent = feed.next_entry().unwrap();
            work(&desk, &disk);
            sent
        });
        assert_eq!((sent.is_some(), feed.objection()), (is_sent, None));
        assert_eq!(shelves.advanced().is_empty(), is_sent);
        assert!(!feed.is_pending());
    }
}

/// The same, of bytes that are made here.
fn put_request(shelves: &Shelves, payload: Vec<u8>) {
    shelves.put_files(2, &[("request", payload.leak())]);
}

/// A row of `root.a.d` at time 5 with one text of so many bytes, whose type is to be found out.
fn row(bytes: usize) -> Vec<u8> {
    let text =
        |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let head =
        [&b"\x01\0\x02\0\x0e"[..], &5_i64.to_be_bytes(), &text("root.a.d"), &[0, 0, 0, 1, 0]]
            .concat();
    [
        head,
        text("s"),
        vec![0xff],
        text(&"x".repeat(bytes)),
        b"\x01\0".to_vec(),
        text("1"),
        vec![0; 4],
    ]
    .concat()
}

/// A deletion of so many series of `root.a.d` and one of `root.b.d`, from 1 to 3.
fn deletion(count: usize, name_bytes: usize) -> Vec<u8> {
    let names: Vec<String> = (0..count).map(|place| format!("s{place:0>name_bytes$}")).collect();
    let mut paths: Vec<[&str; 4]> = names.iter().map(|name| ["root", "a", "d", name]).collect();
    paths.push(["root", "b", "d", "s"]);
    let paths: Vec<&[&str]> = paths.iter().map(<[_; 4]>::as_slice).collect();
    let mut payload = Vec::new();
    let mut writer = Writer::into_vec(&mut payload, 1 << 30);
    Head::of(RequestType::PlanNode).write(&mut writer);
    delete::write(PathKind::Partial, &paths, TimeRange { min: 1, max: 3 }, "1", &mut writer);
    writer.finish().unwrap();
    payload
}

/// What becomes of the only entry: nothing, itself, a part, or why it is put aside.
fn fate(shelves: &Shelves, source: &Source) -> &'static str {
    let mut feed = filtered(shelves, source);
    for _ in 0..100 {
        // What has rotted is looked at again.
        let Some(header) = feed.next_entry().unwrap_or_default() else {
            if shelves.advanced().is_empty() {
                continue;
            }
            return "skipped";
        };
        if feed.objection().is_some() {
            return "put aside";
        }
        if header.kind == Kind::File {
            return "whole";
        }
        let mut payload = vec![0; header.payload_bytes as usize];
        feed.read_payload(&mut payload).unwrap();
        assert_eq!(crc32fast::hash(&payload), header.payload_crc);
        return "part";
    }
    panic!("it never ends");
}

#[test]
fn a_request_that_lies_in_a_file_is_judged_as_a_small_one() {
    let of_times = |start| Bounds { start: Some(Moment::Number(start)), end: None };
    let everywhere = || source("root.**");
    let changes = |text: &str| Changes::parse(text).unwrap();
    let sources = [
        everywhere(),
        source("root.a.**"),
        source("root.c.**"),
        Source { range: of_times(4), ..everywhere() },
        Source { range: of_times(6), ..everywhere() },
        Source { changes: Some(changes("data.insert")), ..everywhere() },
        Source { changes: Some(changes("data.delete")), ..everywhere() },
        Source { changes: Some(changes("schema")), ..everywhere() },
    ];
    let fates = |payload: &[u8]| {
        sources.each_ref().map(|source| {
            let shelves = Shelves::default();
            put_request(&shelves, payload.to_vec());
            fate(&shelves, source)
        })
    };
    let (whole, part, skipped, aside) = ("whole", "part", "skipped", "put aside");
    let of_row = [whole, whole, skipped, whole, skipped, whole, skipped, skipped];
    assert_eq!(fates(&row(1_300_000)), of_row);
    let big = tablet_of_one_text(1_300_000);
    assert_eq!(fates(&big), of_row);
    let of_deletion = [whole, part, skipped, skipped, skipped, skipped, whole, skipped];
    assert_eq!(fates(&deletion(1000, 1000)), of_deletion);
    let of_long = [whole, aside, aside, aside, aside, skipped, whole, skipped];
    assert_eq!(fates(&deletion(4000, 1300)), of_long);
    let schema = [&[1, 0, 100, 0, 19][..], &[0; 2000]].concat();
    assert_eq!(fates(&schema), [whole, whole, whole, whole, whole, skipped, skipped, whole]);
}

fn tablet_of_one_text(bytes: usize) -> Vec<u8> {
    let text =
        |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let head =
        [b"\x01\0\x02\0\x0d".to_vec(), text("root.a.d"), vec![0, 0, 0, 1, 0], text("s"), vec![5]];
    let rows = [vec![0, 0, 0, 1], 5_i64.to_be_bytes().to_vec(), vec![0], text(&"x".repeat(bytes))];
    [head.concat(), rows.concat(), vec![0], text("1"), vec![0; 4]].concat()
}

#[test]
fn many_pipes_hold_the_parts_of_one() {
    let payload = |pipe: usize| {
        let device = format!("root.a.d{pipe}");
        // Of six columns the last one is a text.
        frames::tablet(
            &frames::TabletShape {
                device: &device,
                rows: 1,
                columns: 6,
                start_time: 1,
                text_bytes: 950_000,
            },
            1,
        )
    };
    let (scratch, precision) = (Scratch::default(), watch::channel(None).1);
    let mut feeds: Vec<_> = (0..64)
        .map(|pipe| {
            let shelves = Shelves::default();
            shelves.put_payload(&payload(pipe));
            let filter = Filter::new(&source("root.**.s5"), BIRTH);
            Filtered::new(
                shelves,
                filter,
                scratch.clone(),
                precision.clone(),
                cutters(&Desk::default()),
            )
        })
        .collect();
    let parts: Vec<_> = feeds.iter_mut().map(|feed| feed.next_entry().unwrap().unwrap()).collect();
    assert!(scratch.memory_bytes() < 600 << 10, "{}", scratch.memory_bytes());
    for (feed, part) in feeds.iter_mut().zip(&parts).rev() {
        let mut bytes = vec![0; part.payload_bytes as usize];
        for _ in 0..2 {
            feed.read_payload(&mut bytes).unwrap();
            assert_eq!(crc32fast::hash(&bytes), part.payload_crc);
        }
    }
    assert!(scratch.memory_bytes() < 600 << 10, "{}", scratch.memory_bytes());
}

#[test]
fn a_part_that_nobody_disturbed_is_not_cut_again() {
    let (scratch, precision) = (Scratch::default(), watch::channel(None).1);
    let feed_of = |device| {
        let shelves = Shelves::default();
        shelves.put_payload(&tablet(device, 2, 9));
        let filter = Filter::new(&source("root.**.s0"), BIRTH);
        let cutters = cutters(&Desk::default());
        let feed =
            Filtered::new(shelves.clone(), filter, scratch.clone(), precision.clone(), cutters);
        (feed, shelves)
    };
    let ((mut one, shelves), (mut other, _)) = (feed_of("root.a.d"), feed_of("root.b.d"));
    let read = |feed: &mut Filtered<Shelves>| {
        let part = feed.next_entry().unwrap().unwrap();
        let mut bytes = vec![0; part.payload_bytes as usize];
        let read = feed.read_payload(&mut bytes);
        assert!(read.is_err() || crc32fast::hash(&bytes) == part.payload_crc);
        read.is_ok()
    };
    assert!(one.next_entry().unwrap().is_some());
    shelves.shelf.lock().unwrap().clear();
    assert!(read(&mut one), "from the buffer");
    assert!(other.next_entry().unwrap().is_some());
    assert!(!read(&mut one), "the other one has it now");
    assert!(read(&mut other));
}

#[test]
fn a_file_of_tables_goes_where_no_path_is_asked_for() {
    let sent = |source: &Source| {
        let shelves = Shelves::default();
        shelves.put_files(
            0,
            &[("t.tsfile", include_bytes!("../../../../tests/samples/py_table.tsfile"))],
        );
        fate(&shelves, source)
    };
    let from = |start| Bounds { start: Some(Moment::Number(start)), end: None };
    let insert = Changes::parse("data.insert");
    assert_eq!(sent(&Source { changes: insert, ..source("root.**") }), "whole");
    assert_eq!(sent(&Source { range: from(0), ..source("root.**") }), "whole");
    assert_eq!(sent(&Source { range: from(1 << 50), ..source("root.**") }), "skipped");
    assert_eq!(sent(&source("root.a.**")), "skipped");
}

/// A file of so many devices with one series each.
fn wide(devices: usize) -> &'static [u8] {
    let scratches: [MemoryScratch; 2] = Default::default();
    let mut writer = Writing::new(Vec::new(), scratches, Settings::default()).unwrap();
    for device in 0..devices {
        writer.device(&DeviceId::segmented(&format!("root.db.d{device:06}"))).unwrap();
        writer.series(Column::new("s", DataType::Int32)).unwrap();
        writer.points(&[1], &Values::Integers(vec![1])).unwrap();
    }
    writer.finish().unwrap().0.leak()
}

#[test]
fn a_file_whose_index_is_flawed_is_not_sent_for_its_ends() {
    let shelves = Shelves::default();
    let mut flawed = wide(1000).to_vec();
    let separator = TsFile::open(&flawed[..]).unwrap().summary().separator;
    let separator = usize::try_from(separator).unwrap();
    flawed[separator + 1..separator + 4000].fill(0xee);
    let sound = *blake3::hash(&flawed).as_bytes();
    shelves.put_files(0, &[("x.tsfile", flawed.leak())]);
    let late = Bounds { start: Some(Moment::Number(5)), end: None };
    let mut feed = filtered(&shelves, &Source { range: late, ..source("root.**") });
    // That is a flaw of the disk until it is known to have been taken in so.
    shelves.say_hash("x.tsfile", [9; 32]);
    let failed = (0..100).find_map(|_| feed.next_entry().err());
    assert!(failed.unwrap().to_string().contains("not what was taken in"));
    shelves.say_hash("x.tsfile", sound);
    let entry = (0..100).find_map(|_| feed.next_entry().unwrap());
    assert!(entry.is_some() && feed.objection().unwrap().contains("cannot be told"));
}

#[tokio::test]
async fn a_wide_file_is_gone_past_in_steps_and_told_at_once() {
    let shelves = Shelves::default();
    shelves.put_files(0, &[("x.tsfile", wide(50_000))]);
    let late = Bounds { start: Some(Moment::Number(5)), end: None };
    let mut feed = filtered(&shelves, &Source { range: late, ..source("root.**") });
    let mut turns = 0;
    while shelves.advanced().is_empty() {
        assert_eq!(feed.next_entry().unwrap(), None);
        turns += 1;
        if shelves.advanced().is_empty() {
            // Somebody else has a turn, and then it goes on.
            tokio::time::timeout(Duration::from_secs(10), feed.changed()).await.unwrap();
        }
    }
    assert!((5..200).contains(&turns), "{turns} turns");
}

#[test]
fn a_file_that_has_rotted_is_not_gone_past() {
    let fate_with = |hash: Option<[u8; 32]>, source: &Source| {
        let shelves = Shelves::default();
        shelves.put_files(0, &[("x.tsfile", ts_file())]);
        shelves.shelf.lock().unwrap().hashes.extend(hash.map(|hash| ("x.tsfile", hash)));
        fate(&shelves, source)
    };
    let elsewhere = source("root.nothing.**");
    assert_eq!(fate_with(None, &elsewhere), "skipped");
    assert_eq!(fate_with(Some([0; 32]), &elsewhere), "skipped", "nobody knows its hash");
    assert_eq!(fate_with(Some([9; 32]), &elsewhere), "put aside", "never whole");
}

#[test]
fn a_file_is_judged_in_the_unit_that_the_node_has_learnt() {
    let (learnt, precision) = watch::channel(None);
    // Times of the file are 1 to 3 thousand: seconds in milliseconds, milliseconds in microseconds.
    let late = Bounds { start: Moment::parse("1970-01-01T00:00:01Z"), end: None };
    let source = Source { range: late, ..source("root.**") };
    let sent = |precision: &watch::Receiver<Option<Precision>>| {
        let shelves = Shelves::default();
        shelves.put_files(
            0,
            &[("x.tsfile", include_bytes!("../../../../tests/samples/v3_tiny.tsfile"))],
        );
        let mut feed = filtered_by(&shelves, &source, &Desk::default(), precision.clone());
        feed.next_entry().unwrap().map(|header| header.precision)
    };
    assert_eq!(sent(&precision), Some(None), "as it is not known, it might be meant");
    learnt.send_replace(Some(Precision::Us));
    assert_eq!(sent(&precision), None);
    learnt.send_replace(Some(Precision::Ms));
    assert_eq!(sent(&precision), Some(Some(Precision::Ms)));
    let (_, never) = watch::channel(None);
    assert_eq!(sent(&never), Some(Some(Precision::Ms)), "nobody will tell");
}

#[test]
fn a_file_that_is_gone_is_for_the_sink_to_tell() {
    let shelves = Shelves::default();
    shelves.put_files(0, &[("x.tsfile", ts_file())]);
    shelves.shelf.lock().unwrap().files_gone = true;
    let mut feed = filtered(&shelves, &source("root.nothing.**"));
    assert!(feed.next_entry().unwrap().is_some());
    assert!(matches!(feed.open_files(), Err(ReadError::File { .. })));
}

#[test]
fn a_pipe_tells_of_the_cut_that_it_waits_for_and_of_none_that_it_does_not() {
    let (shelves, desk) = (Shelves::default(), Desk::default());
    let board = Arc::new(Board::new(Role::Sender, "", clock::now()));
    let row = board.pipes.row("p", "", clock::wall()).unwrap();
    shelves.put_files(0, &[("x.tsfile", ts_file())]);
    let (_, precision) = watch::channel(Some(Precision::Ms));
    let filter = Filter::new(&source("root.**.s_int32"), BIRTH);
    let cutters = cutters_of(&desk, Arc::clone(&board));
    let mut feed = Filtered::new(shelves, filter, Scratch::default(), precision, cutters);
    assert_eq!(
        (feed.next_entry().unwrap(), row.message().as_str()),
        (None, "cutting x.tsfile, 0 %")
    );
    // The pipe was stopped: whoever comes to the order next lets go of it.
    drop(feed);
    assert!(desk.next_order().is_none());
    assert_eq!(row.message(), "");
}

struct NoRoom;

impl Room for NoRoom {
    fn grow(&mut self, needed: u64) -> Result<(), CutTrouble> {
        Err(CutTrouble::Full(Full { needed, available: 0, limit: 0 }))
    }

    fn shrink(&mut self, _: u64) {}
}

#[tokio::test]
async fn a_cut_that_fails_again_and_again_is_told_all_the_while() {
    let far = FarSide::new(|_, _, _| OK).await;
    let (shelves, desk, disk) = (Shelves::default(), Desk::default(), SimDisk::new(1, 1 << 24));
    disk.create_dir(Path::new(MADE_DIR)).unwrap();
    shelves.put_files(0, &[("x.tsfile", ts_file())]);
    let (_, precision) = watch::channel(Some(Precision::Ms));
    let feed = filtered_by(&shelves, &source("root.**.s_int32"), &desk, precision);
    let running = Running::with_feed(&[far.port], feed, |_| ());
    let is_told = |running: &Running<_>| running.board.troubles.has(TroubleKind::PipeError, "p");
    for round in 0..3 {
        let (order, answer) = loop {
            match desk.next_order() {
                Some((Task::Cut(order), answer)) => break (*order, answer),
                Some(_) => panic!("no cut"),
                None => tokio::task::yield_now().await,
            }
            assert!(round == 0 || is_told(&running), "before round {round}");
        };
        // The sink has its turns while the worker has the file.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(round == 0 || is_told(&running), "in round {round}");
        let mut job = Job::new(order, answer, disk.clone(), round);
        while job.step(&desk, &mut NoRoom) == Step::Worked {}
        running.until(is_told).await;
        let said = running.board.pipes.find("p").unwrap().message();
        assert!(said.contains("'mode.strict'='false'") && said.contains("SKIP ENTRY 1"), "{said}");
    }
    running.stop().await;
}

//! What is skipped and sent once more, on a simulated disk.

use std::path::Path;

use super::rig::{FarSide, OK, Running, Seen, ts_file};
use super::spool::Bench;
use super::*;
use std::sync::Arc;
use std::time::Duration;

use penstock_test_support::frames::{self, TabletShape};

use crate::config::Role;
use crate::data::{Precision, Sequence};
use crate::ops::board::Board;
use crate::ops::clock;
use crate::pipe::{Replay, ReplayFile, Sampler};
use crate::spool::{Cursor, Disk, Fault, Kind, ReadError, SimDisk, Source};
use crate::statement::Processor;

const PIPE: &str = "p/1";

fn order(bench: &Bench, next: u64, last: u64) -> (Replay, ReplayFile<SimDisk>) {
    bench.disk.create_dir(Path::new("pipes")).unwrap();
    let replay = Replay { next: Sequence(next), last: Sequence(last) };
    let file = ReplayFile::new(bench.disk.clone(), PIPE);
    file.keep(replay).unwrap();
    (replay, file)
}

fn letters(bench: &Bench) -> usize {
    let files = bench.disk.files();
    files.iter().filter(|(path, _)| path.starts_with("dead-letter")).count()
}

#[tokio::test]
async fn an_entry_is_skipped_where_its_file_would_not_fit_twice() {
    let bench = Bench::new();
    let file = vec![7; 1 << 20];
    bench.seal(Source::Own, 0, &[("y.tsfile", &file)]);
    let used: u64 = bench.disk.files().iter().map(|(_, bytes)| bytes).sum();
    bench.disk.set_capacity(used + (64 << 10));
    let (mut feed, _) = bench.feed();
    feed.skip(Sequence(1)).await.unwrap();
    bench.disk.crash();
    let kept = |bench: &Bench| {
        let is_file = |path: &Path| path.starts_with("dead-letter") && is_named(path, "y.tsfile");
        let (path, _) = bench.disk.files().into_iter().find(|(path, _)| is_file(path)).unwrap();
        bench.disk.contents(&path).unwrap()
    };
    assert!(kept(&bench) == file);
    let (why, _) = bench.disk.files().into_iter().find(|(path, _)| is_named(path, ".why")).unwrap();
    let why = String::from_utf8(bench.disk.contents(&why).unwrap()).unwrap();
    assert!(why.contains("do not write into them"), "{why}");
    // Skipped again after a kill, and then given up by the spool, it is there still.
    let (mut feed, _) = bench.feed();
    feed.skip(Sequence(1)).await.unwrap();
    let stored = Path::new("spool/files/00000000000000000001-0");
    assert!(bench.disk.contents(stored).unwrap() == file, "what is linked is not written into");
    bench.disk.remove(stored).unwrap();
    assert!(kept(&bench) == file);
}

#[tokio::test]
async fn a_dead_letter_is_a_copy_and_stays_whole_while_it_is_made_again() {
    let bench = Bench::new();
    bench.seal(Source::Own, 0, &[("y.tsfile", ts_file())]);
    let (mut feed, _) = bench.feed();
    feed.skip(Sequence(1)).await.unwrap();
    let found = bench.disk.files().into_iter().filter(|(path, _)| is_named(path, "y.tsfile"));
    let mut letters = found.filter(|(path, _)| path.starts_with("dead-letter"));
    let (letter, _) = letters.next().unwrap();
    let mut failed = 0;
    for call in 0..40 {
        let (mut feed, _) = bench.feed();
        bench.disk.schedule(call, Fault::Io, false);
        failed += usize::from(feed.skip(Sequence(1)).await.is_err());
        bench.disk.heal();
        assert_eq!(bench.disk.contents(&letter).unwrap(), ts_file(), "{call}");
    }
    assert!(failed > 3, "{failed}");
    let (mut feed, _) = bench.feed();
    feed.skip(Sequence(1)).await.unwrap();
    // Whoever mends it changes nothing but the letter.
    let (stored, _) =
        bench.disk.files().into_iter().find(|(path, _)| path.starts_with("spool/files")).unwrap();
    bench.disk.flip(&letter, 9);
    assert_eq!(bench.disk.contents(&stored).unwrap(), ts_file());
}

#[tokio::test]
async fn a_file_is_copied_to_the_dead_letters_where_they_lie_on_a_disk_of_their_own() {
    let bench = Bench::new();
    bench.disk.set_other_device(Path::new("dead-letter"));
    bench.seal(Source::Own, 0, &[("y.tsfile", ts_file())]);
    for _ in 0..2 {
        let (mut feed, _) = bench.feed();
        feed.skip(Sequence(1)).await.unwrap();
        let found = bench.disk.files().into_iter();
        let mut files = found.filter(|(path, _)| is_named(path, "y.tsfile"));
        let (path, _) = files.find(|(path, _)| path.starts_with("dead-letter")).unwrap();
        assert_eq!(bench.disk.contents(&path).unwrap(), ts_file());
    }
}

fn is_named(path: &Path, end: &str) -> bool {
    path.to_string_lossy().ends_with(end)
}

/// Three tablets and a file: the second tablet and the file were skipped, the rest was sent.
async fn skipped() -> (Bench, Cursor) {
    Box::pin(skip_two()).await
}

async fn skip_two() -> (Bench, Cursor) {
    let bench = Bench::new();
    for name in [b"\x01\0\x02a", b"\x01\0\x02b", b"\x01\0\x02c"] {
        bench.append(name);
    }
    bench.seal(Source::Own, 0, &[("y.tsfile.mods2", b"mods"), ("y.tsfile", ts_file())]);
    let (mut feed, _) = bench.feed();
    feed.skip(Sequence(2)).await.unwrap();
    feed.skip(Sequence(4)).await.unwrap();
    let (mut feed, _) = bench.feed_from(feed.cursor().clone());
    assert_eq!(feed.dead_letters(), 2);
    let mut sent = Vec::new();
    while let Some(header) = feed.next_entry().unwrap() {
        sent.push(header.sequence.0);
        feed.advance(&header);
    }
    assert_eq!((sent, feed.cursor().position), (vec![1, 3], Sequence(5)));
    (bench, feed.cursor().clone())
}

#[tokio::test]
async fn what_was_skipped_crosses_with_a_replay_and_its_letters_go() {
    let far = FarSide::new(|_, _, _| OK).await;
    let (bench, cursor) = skipped().await;
    bench.disk.crash();
    let (replay, file) = order(&bench, 2, 4);
    let (feed, told) = bench.feed_from(cursor.clone());
    let feed = feed.replaying(replay, file.clone());
    let board = Board::new(Role::Sender, "test", clock::now());
    let row = board.pipes.row(PIPE, "", clock::wall()).unwrap();
    let feed = feed.shown_by(Arc::clone(&row).work("replaying 2 to 4"));
    assert_eq!(row.message(), "replaying 2 to 4, 0 %");
    let running = Running::with_feed(&[far.port], feed, |_| ());
    running.until(|_| file.read().unwrap().is_none()).await;
    assert_eq!(row.message(), "", "it is over");
    assert_eq!(running.board.troubles.all(), [], "there are no dead letters any more");
    running.stop().await;
    let frames = far.frames();
    let codes: Vec<_> = frames[1..].iter().map(Seen::code).collect();
    assert_eq!(codes, [2, 2, 8, 8, 9]);
    let sent: Vec<_> = frames[1..3].iter().map(|seen| seen.payload[3]).collect();
    assert_eq!(sent, [b'b', b'c'], "a letter, and what the log still has");
    assert!(frames[1].payload.len() > 60, "with its identity");
    assert_eq!(letters(&bench), 0);
    assert_eq!(told.borrow().position, cursor.position, "the cursor knows nothing of it");
}

#[tokio::test]
async fn a_letter_stays_that_is_put_aside_once_more_and_one_that_waits_is_skipped() {
    let (bench, cursor) = skipped().await;
    let before = letters(&bench);
    let (replay, file) = order(&bench, 1, 9);
    let feed = || bench.feed_from(cursor.clone()).0.replaying(replay, file.clone());
    let mut first = feed();
    let header = first.next_entry().unwrap().unwrap();
    assert_eq!(header.sequence, Sequence(1), "an entry of the log");
    assert!(first.put_aside(&header, "no").await);
    first.advance(&header);
    assert_eq!(first.dead_letters(), 3);
    let header = first.next_entry().unwrap().unwrap();
    assert!(first.put_aside(&header, "no").await, "a letter");
    first.advance(&header);
    assert_eq!((first.dead_letters(), letters(&bench)), (3, before + 3));
    // Only what comes next can be skipped.
    let mut second = feed();
    let error = second.skip(Sequence(3)).await.unwrap_err();
    assert_eq!(error.to_string(), "entry 3 does not wait: it was sent, or skipped before");
    second.skip(Sequence(1)).await.unwrap();
    assert_eq!(file.read().unwrap(), Some(Replay { next: Sequence(2), ..replay }));
    assert_eq!(letters(&bench), before + 3, "it was one before");
}

#[tokio::test]
async fn what_is_released_while_it_is_sent_once_more_is_stepped_over() {
    let (bench, cursor) = sent_file();
    let (replay, file) = order(&bench, 1, 1);
    let mut feed = bench.feed_from(cursor).0.replaying(replay, file.clone());
    let header = feed.next_entry().unwrap().unwrap();
    assert_eq!(header.kind, Kind::File);
    bench.spool().release_unclaimed().unwrap();
    assert!(matches!(feed.open_files(), Err(ReadError::File { .. })));
    assert!(feed.put_aside(&header, "its file is gone").await);
    feed.advance(&header);
    assert_eq!((feed.dead_letters(), letters(&bench)), (0, 0), "there is nothing to keep");
    assert!(feed.next_entry().unwrap().is_none());
    assert_eq!(file.read().unwrap(), None, "the replay is over");
}

/// A file that was sent.
fn sent_file() -> (Bench, Cursor) {
    let bench = Bench::new();
    bench.seal(Source::Own, 0, &[("y.tsfile", ts_file())]);
    let (mut feed, _) = bench.feed();
    let header = feed.next_entry().unwrap().unwrap();
    feed.advance(&header);
    (bench, feed.cursor().clone())
}

#[tokio::test]
async fn a_letter_stays_of_which_the_processor_leaves_nothing() {
    let bench = Bench::new();
    for start_time in [1, 10] {
        let shape =
            TabletShape { device: "root.a.d", rows: 3, columns: 1, start_time, text_bytes: 0 };
        let tablet = frames::tablet(&shape, 1);
        bench.append(&tablet[..tablet.len() - 9]);
    }
    let (mut feed, _) = bench.feed();
    feed.skip(Sequence(1)).await.unwrap();
    let of_one = letters(&bench);
    assert!(of_one > 0);
    feed.skip(Sequence(2)).await.unwrap();
    assert_eq!(letters(&bench), 2 * of_one);
    let cursor = feed.cursor().clone();
    let (replay, file) = order(&bench, 1, 2);
    let (feed, _) = bench.feed_from(cursor);
    let board = Board::new(Role::Sender, "test", clock::now());
    let row = board.pipes.row(PIPE, "", clock::wall()).unwrap();
    let work = Arc::clone(&row).work("replaying 1 to 2");
    let feed = feed.replaying(replay, file.clone()).shown_by(work);
    let processor =
        Processor::TumblingTime { interval: Duration::from_secs(3600), split_files: false };
    let shown = (PIPE, Arc::new(Board::new(Role::Sender, "test", clock::now())));
    let mut feed = Sampling::new(feed, Sampler::new(processor), Precision::Ms, shown);
    let header = feed.next_entry().unwrap().unwrap();
    assert_eq!(header.sequence, Sequence(1), "its first point");
    assert_eq!(row.message(), "replaying 1 to 2, 0 %");
    feed.advance(&header);
    assert_eq!(row.message(), "replaying 1 to 2, 50 %");
    assert_eq!(feed.next_entry().unwrap(), None);
    assert_eq!(letters(&bench), of_one, "nothing of the second was sent");
    assert_eq!(file.read().unwrap(), None, "the replay is over");
}

#[tokio::test]
async fn what_cannot_be_skipped_is_told() {
    let (bench, cursor) = skipped().await;
    let (mut feed, _) = bench.feed_from(cursor);
    let error = feed.skip(Sequence(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no entry 5: the next one to come is 5");
    let error = feed.skip(Sequence(4)).await.unwrap_err();
    assert_eq!(error.to_string(), "entry 4 does not wait: it was sent, or skipped before");
}

#[tokio::test]
async fn letters_of_an_earlier_spool_are_not_replaced_and_cross_too() {
    let disk = skipped().await.0.disk;
    let kept: Vec<_> = disk.files().into_iter().map(|(path, _)| path).collect();
    let gone = kept.iter().filter(|path| path.starts_with("spool"));
    gone.for_each(|path| disk.remove(path).unwrap());
    let bench = Bench::on(disk);
    bench.append(b"\x01\0\x02x");
    bench.append(b"\x01\0\x02y");
    let (mut feed, _) = bench.feed();
    feed.skip(Sequence(2)).await.unwrap();
    assert_eq!(feed.dead_letters(), 3);
    let (replay, file) = order(&bench, 2, 2);
    let (feed, _) = bench.feed_from(Cursor::at(Sequence(3)));
    let mut feed = feed.replaying(replay, file);
    let mut sent = Vec::new();
    while let Some(header) = feed.next_entry().unwrap() {
        let mut payload = vec![0; header.payload_bytes as usize];
        feed.read_payload(&mut payload).unwrap();
        sent.push(payload[3]);
        feed.advance(&header);
    }
    sent.sort_unstable();
    assert_eq!(sent, [b'b', b'y']);
}

#[tokio::test]
async fn a_crash_at_any_call_of_a_removal_leaves_no_letter_that_cannot_be_sent() {
    for call in 0.. {
        let (bench, cursor) = skipped().await;
        let (replay, file) = order(&bench, 4, 4);
        let mut feed = bench.feed_from(cursor.clone()).0.replaying(replay, file.clone());
        let header = feed.next_entry().unwrap().unwrap();
        bench.disk.schedule(call, Fault::Io, true);
        feed.advance(&header);
        let is_over = feed.dead_letters() == 1;
        bench.disk.heal();
        bench.disk.crash();
        let mut feed = bench.feed_from(cursor).0.replaying(replay, file);
        if feed.dead_letters() == 2 {
            assert!(feed.next_entry().unwrap().is_some(), "{call}");
            let names: Vec<_> = feed.open_files().unwrap().files.into_iter().collect();
            assert_eq!(names.len(), 2, "{call}");
        } else {
            assert_eq!(letters(&bench), 3, "{call}: only what the first letter is of");
        }
        if is_over {
            break;
        }
    }
}

//! Each call of a whole run fails in each way, or is the last one: nothing that was promised is missing.

use super::*;
use crate::spool::{Fatal, Fault, PartialError, SpoolError, Start};

/// What a run was told to be durable.
#[derive(Debug, Default)]
struct Promises {
    entries: Vec<(u64, Vec<u8>)>,
    files: Vec<(u64, String, Vec<u8>)>,
    /// Files of the inbox that were adopted: they may not get lost, wherever they are.
    adopted: Vec<Vec<u8>>,
    cursor: u64,
}

/// How a run ended.
#[derive(Debug)]
#[expect(dead_code, reason = "the text is for those who read a failure")]
enum End {
    Done,
    Full,
    Stopped(String),
}

impl From<AppendError> for End {
    fn from(error: AppendError) -> Self {
        if matches!(error, AppendError::Full(_)) {
            Self::Full
        } else {
            Self::Stopped(error.to_string())
        }
    }
}

impl From<PartialError> for End {
    fn from(error: PartialError) -> Self {
        Self::from(AppendError::from(error))
    }
}

impl From<Fatal> for End {
    fn from(error: Fatal) -> Self {
        Self::Stopped(error.to_string())
    }
}

impl From<SpoolError> for End {
    fn from(error: SpoolError) -> Self {
        Self::Stopped(error.to_string())
    }
}

fn inbox_file(disk: &SimDisk) {
    disk.place(Path::new("/inbox/own.tsfile"), b"own bytes");
}

/// Several segments, files, a consumer, and an orderly end; stops at the first error that is not `Full`.
fn run(disk: &SimDisk, promises: &mut Promises) -> Result<(), End> {
    let (mut spool, _) = Spool::open(disk.clone(), settings(), beginning(), 0)?;
    let consumer = spool.create_consumer("c", Start::Oldest)?;
    let mut pending = Promises::default();
    for round in 0..4_u8 {
        for index in 0..3 {
            let payload = vec![round * 16 + index; 1500];
            let appended =
                again(|| spool.append(opaque(&payload, Source::Own), ARRIVAL).map_err(End::from))?;
            pending.entries.push((sequence_of(appended), payload));
        }
        let sealed =
            again(|| seal(&mut spool, "f", &[round; 700], Source::Own).map_err(End::from))?;
        pending.files.push((sequence_of(sealed), "f".to_owned(), vec![round; 700]));
        if round == 1 {
            adopt(&mut spool, &mut pending)?;
        }
        let synced = spool.sync()?;
        promises.entries.append(&mut pending.entries);
        promises.files.append(&mut pending.files);
        promises.adopted.append(&mut pending.adopted);
        let position = synced.0.min(3 * u64::from(round));
        spool.advance(consumer, &at(position.max(1))).unwrap();
        spool.maintain(beginning() + Duration::from_secs(u64::from(round) * 30))?;
        promises.cursor = position;
    }
    spool.close(beginning())?;
    Ok(())
}

fn adopt(spool: &mut Spool<SimDisk>, pending: &mut Promises) -> Result<(), End> {
    let id = again(|| spool.adopt(Path::new("/inbox/own.tsfile")).map_err(End::from))?;
    let file = SealedFile {
        name: Some("own.tsfile"),
        partial: Some(id),
        bytes: 9,
        hash: hash(b"own bytes"),
    };
    let sealed = again(|| {
        let entry = file_entry(std::slice::from_ref(&file), Source::Own);
        spool.seal(entry, ARRIVAL).map_err(End::from)
    })?;
    pending.files.push((sequence_of(sealed), "own.tsfile".to_owned(), b"own bytes".to_vec()));
    Ok(())
}

/// Asks again while there is no room, as a held frame does; gives up when it lasts.
fn again<T>(mut ask: impl FnMut() -> Result<T, End>) -> Result<T, End> {
    for _ in 0..2 {
        match ask() {
            Err(End::Full) => {}
            answer => return answer,
        }
    }
    ask()
}

fn sequence_of(outcome: Outcome) -> u64 {
    let (Outcome::Appended(sequence) | Outcome::Duplicate(sequence)) = outcome;
    sequence.0
}

/// Whatever happened, and after a crash on top of it, a healthy disk shows all promises.
fn check(disk: &SimDisk, promises: &Promises, what: &str) {
    disk.heal();
    disk.crash();
    let (mut spool, recovery) = open(disk);
    assert_eq!(recovery.corrupt_entries, 0, "{what}: {recovery:?}");
    let first = spool.stats().first_sequence.0;
    let found = read(&spool);
    for promised in promises.entries.iter().filter(|(sequence, _)| *sequence >= first) {
        assert!(found.contains(promised), "{what}: entry {} is missing", promised.0);
    }
    let files = read_files(&spool);
    for promised in promises.files.iter().filter(|(sequence, _, _)| *sequence >= first) {
        assert!(files.contains(promised), "{what}: file of {} is missing", promised.0);
    }
    let released = first > 1;
    assert!(!released || first <= promises.cursor.max(10), "{what}: released up to {first}");
    // The file of the inbox is in the inbox, waiting, or in the store; or it was released.
    let waiting = spool.adopted().count();
    let in_inbox = disk.contents(Path::new("/inbox/own.tsfile")).is_some();
    let stored = files.iter().filter(|(_, name, _)| name == "own.tsfile").count();
    let places = waiting + usize::from(in_inbox) + stored;
    assert!(places == 1 || places == 0 && released, "{what}: {waiting} {in_inbox} {stored}");
    // And it goes on.
    append(&mut spool, b"goes on");
    spool.sync().unwrap();
    assert_eq!(read(&spool).last().unwrap().1, b"goes on");
}

fn calls_of_a_run() -> u64 {
    let disk = SimDisk::new(1, DISK_BYTES);
    inbox_file(&disk);
    run(&disk, &mut Promises::default()).unwrap();
    disk.calls().all
}

fn fail_at(call: u64, fault: Fault, lasts: bool, seed: u64) -> End {
    let disk = SimDisk::new(seed, DISK_BYTES);
    inbox_file(&disk);
    disk.schedule(call, fault, lasts);
    let mut promises = Promises::default();
    let end = run(&disk, &mut promises).map_or_else(|end| end, |()| End::Done);
    check(&disk, &promises, &format!("call {call} {fault:?} lasting {lasts} seed {seed}: {end:?}"));
    end
}

#[test]
fn no_failing_call_makes_a_false_promise() {
    let mut done = [0; 2];
    for call in 0..calls_of_a_run() {
        for (index, fault) in [Fault::Io, Fault::NoSpace].into_iter().enumerate() {
            done[index] += u32::from(matches!(fail_at(call, fault, false, 1), End::Done));
        }
        let short = fail_at(call, Fault::Short, false, 1);
        assert!(matches!(short, End::Done), "a short call is no failure: {short:?}");
    }
    assert!(
        done[0] < 20 && done[1] > 100,
        "what should be fatal is, what should wait waits: {done:?}"
    );
}

#[test]
fn a_disk_that_dies_at_any_call_keeps_what_was_promised() {
    for call in 0..calls_of_a_run() {
        for seed in 0..4 {
            assert!(matches!(fail_at(call, Fault::Io, true, seed), End::Stopped(_)));
        }
    }
}

#[test]
fn a_disk_that_is_full_from_any_call_on_keeps_what_was_promised() {
    for call in 0..calls_of_a_run() {
        fail_at(call, Fault::NoSpace, true, 1);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_taken_or_promised() {
    let (disk, mut spool) = fresh(3);
    append(&mut spool, b"x");
    disk.schedule(0, Fault::Io, false);
    assert!(spool.sync().is_err());
    // The disk is well again, and a second sync would succeed: that would be the false promise.
    assert!(spool.sync().is_err());
    assert!(matches!(spool.append(opaque(b"y", Source::Own), ARRIVAL), Err(AppendError::Fatal(_))));
    assert!(spool.maintain(beginning()).is_err());
    assert!(spool.reader(Sequence(1)).next_entry().unwrap().is_none());
}

#[test]
fn an_append_that_found_no_room_leaves_nothing_visible() {
    let (disk, mut spool) = fresh(4);
    append(&mut spool, b"first");
    disk.schedule(0, Fault::NoSpace, false);
    let refused = spool.append(opaque(&[1; 2000], peer(1)), ARRIVAL);
    assert!(matches!(refused, Err(AppendError::Full(_))));
    assert!(spool.stats().full);
    assert_eq!(append(&mut spool, b"second"), Sequence(2));
    let taken = spool.append(opaque(b"third", peer(1)), ARRIVAL).unwrap();
    assert_eq!(taken, Outcome::Appended(Sequence(3)), "what was refused is no repetition");
    spool.sync().unwrap();
    drop(spool);
    disk.crash();
    let (spool, _) = open(&disk);
    let payloads: Vec<_> = read(&spool).into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(payloads, [&b"first"[..], b"second", b"third"]);
}

#[test]
fn three_fatal_exits_for_the_same_error_open_it_read_only() {
    let (disk, mut spool) = fresh(5);
    append(&mut spool, b"x");
    spool.sync().unwrap();
    drop(spool);
    let fatal = |code| Fatal {
        operation: "sync",
        path: "spool/x".into(),
        source: std::io::Error::from_raw_os_error(code),
    };
    let opens = |wall_ms| Spool::open(disk.clone(), settings(), beginning(), wall_ms).unwrap();
    let minute = 60_000;
    for (exit, code) in [(0, 5), (1, 5), (2, 30), (3, 5), (4, 5)] {
        Spool::<SimDisk>::record_fatal(&disk, &fatal(code), exit * minute);
        assert_eq!(opens(exit * minute).1.failing, None, "exit {exit}");
    }
    Spool::<SimDisk>::record_fatal(&disk, &fatal(5), 5 * minute);
    let before = disk.calls();
    let (mut spool, recovery) = opens(6 * minute);
    assert!(recovery.failing.unwrap().contains("sync spool/x"));
    let refused = spool.append(opaque(b"y", Source::Own), ARRIVAL);
    assert!(matches!(refused, Err(AppendError::ReadOnly)));
    assert!(matches!(spool.create_partial(), Err(PartialError::ReadOnly)));
    assert_eq!(read(&spool), [(1, b"x".to_vec())]);
    spool.maintain(beginning() + Duration::from_secs(100)).unwrap();
    assert!(spool.stats().failing);
    drop(spool);
    let after = disk.calls();
    assert_eq!((after.writes, after.syncs), (before.writes, before.syncs));
    assert_eq!(opens(16 * minute).1.failing, None, "later it is tried again");
}

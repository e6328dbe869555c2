//! The sink on a real spool over a simulated disk.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use super::rig::{FAIL, FarSide, OK, Running, Seen, ts_file};
use super::*;
use crate::data::{Identity, OriginId, Sequence};
use crate::limits;
use crate::spool::{
    Arrival, Cursor, Kind, NewEntry, NewFileEntry, Outcome, SealedFile, Settings, SimDisk, Source,
    Spool,
};

const ARRIVAL: Arrival = Arrival { wall_ms: 1, trusted: true };

pub(super) struct Bench {
    pub(super) disk: SimDisk,
    spool: Arc<Mutex<Spool<SimDisk>>>,
    synced: watch::Sender<Sequence>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::on(SimDisk::new(7, 1 << 30))
    }

    /// What a spool on this disk has.
    pub(super) fn on(disk: SimDisk) -> Self {
        let settings =
            Settings { segment_bytes: 1 << 21, max_bytes: 1 << 29, ..Settings::default() };
        Self::with(disk, settings)
    }

    /// The same with a spool of its own kind.
    pub(super) fn with(disk: SimDisk, settings: Settings) -> Self {
        let (spool, _) = Spool::open(disk.clone(), settings, clock::now(), 1).unwrap();
        let synced = watch::Sender::new(spool.synced());
        Self { disk, spool: Arc::new(Mutex::new(spool)), synced }
    }

    pub(super) fn spool(&self) -> MutexGuard<'_, Spool<SimDisk>> {
        self.spool.lock().unwrap()
    }

    pub(super) fn append(&self, payload: &[u8]) -> Sequence {
        self.append_from(Source::Own, payload)
    }

    pub(super) fn append_from(&self, source: Source, payload: &[u8]) -> Sequence {
        let entry = NewEntry {
            kind: Kind::Tablet,
            source,
            hops: 0,
            precision: None,
            time_range: None,
            payload,
        };
        let outcome = self.spool().append(entry, ARRIVAL).unwrap();
        self.sync(outcome)
    }

    /// Seals files, as a peer's if it has an identity.
    pub(super) fn seal(
        &self,
        source: Source,
        request_type: u16,
        files: &[(&str, &[u8])],
    ) -> Sequence {
        let sealed: Vec<_> = files
            .iter()
            .map(|(name, bytes)| {
                let id = self.spool().create_partial().unwrap();
                self.spool().write_partial(id, 0, bytes).unwrap();
                let hash = *blake3::hash(bytes).as_bytes();
                SealedFile { name: Some(name), partial: Some(id), bytes: bytes.len() as u64, hash }
            })
            .collect();
        let entry = NewFileEntry {
            source,
            hops: 0,
            precision: None,
            time_range: None,
            request_type,
            files: &sealed,
            request_crc: None,
            parameters: &[],
        };
        let outcome = self.spool().seal(entry, ARRIVAL).unwrap();
        self.sync(outcome)
    }

    fn sync(&self, outcome: Outcome) -> Sequence {
        let Outcome::Appended(sequence) = outcome else { panic!("{outcome:?}") };
        let synced = self.spool().sync().unwrap();
        self.synced.send_replace(synced);
        sequence
    }

    /// A feed from the start, and where its cursor goes.
    pub(super) fn feed(&self) -> (SpoolFeed<SimDisk>, watch::Receiver<Cursor>) {
        self.feed_from(Cursor::at(Sequence(1)))
    }

    /// The same from a cursor on.
    pub(super) fn feed_from(&self, start: Cursor) -> (SpoolFeed<SimDisk>, watch::Receiver<Cursor>) {
        let (told, cursor) = watch::channel(start.clone());
        let reader = self.spool().reader(start.position);
        let synced = self.synced.subscribe();
        let orders = self.orders(told);
        let dead = DeadLetters::new(self.disk.clone(), "p/1");
        (SpoolFeed::new(reader, start, synced, orders, dead), cursor)
    }

    fn orders(&self, told: watch::Sender<Cursor>) -> Orders {
        let advance = Box::new(move |cursor: &Cursor| {
            told.send_replace(cursor.clone());
        });
        let spool = Arc::clone(&self.spool);
        let quarantine = Box::new(move |sequence, why: String| -> Done {
            let moved = spool.lock().unwrap().quarantine_entry(sequence, &why).is_ok();
            Box::pin(std::future::ready(moved))
        });
        Orders { advance, quarantine }
    }
}

#[tokio::test]
async fn spooled_entries_cross_and_the_cursor_follows() {
    let far = FarSide::new(|_, _, _| OK).await;
    let bench = Bench::new();
    let first = bench.append(b"\x01\0\x02\0\x0dnode one");
    let (feed, mut cursor) = bench.feed();
    let running = Running::with_feed(&[far.port], feed, |settings| settings.piece_bytes = 1000);
    cursor.wait_for(|cursor| cursor.position > first).await.unwrap();
    let peer = Identity { origin: OriginId([9; 16]), sequence: Sequence(77) };
    let name = format!("{}x.tsfile", peer.file_prefix());
    let second = bench.seal(Source::Peer(peer), 5, &[(&name, ts_file())]);
    let mods = [("y.tsfile.mods2", &b"mods"[..]), ("y.tsfile", ts_file())];
    let third = bench.seal(Source::Own, 0, &mods);
    cursor.wait_for(|cursor| cursor.position > third).await.unwrap();
    assert_eq!((first, second, third), (Sequence(1), Sequence(2), Sequence(3)));
    let codes: Vec<_> = far.codes().iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, [51, 2, 4, 4, 4, 5, 8, 8, 8, 8, 9]);
    let frames = far.frames();
    let identity = Identity { origin: bench.spool().origin(), sequence: first };
    let tail = [&[0, 0, 0, 56], identity.plan_node_id().as_bytes(), &[0; 4]].concat();
    assert_eq!(frames[1].payload, [b"\x01\0\x02\0\x0dnode one", tail.as_slice()].concat());
    assert_eq!(content_of(&frames, 4), ts_file());
    assert_eq!(&frames[2].payload[7..7 + name.len()], name.as_bytes(), "a peer's name is kept");
    let own = Identity { origin: bench.spool().origin(), sequence: third };
    let own = format!("{}y.tsfile.mods2", own.file_prefix());
    assert_eq!(&frames[6].payload[7..7 + own.len()], own.as_bytes());
    running.stop().await;
}

#[tokio::test]
async fn finished_ranges_of_a_cursor_are_not_sent_again() {
    let far = FarSide::new(|_, _, _| OK).await;
    let bench = Bench::new();
    for index in 0..4 {
        bench.append(&[1, 0, 2, index]);
    }
    let (mut feed, _) = bench.feed();
    let mut cursor = Cursor::at(Sequence(1));
    assert!(cursor.finish(Sequence(2)) && cursor.finish(Sequence(3)));
    feed = {
        let (told, _) = watch::channel(cursor.clone());
        drop(feed);
        let (synced, orders) = (bench.synced.subscribe(), bench.orders(told));
        let dead = DeadLetters::new(bench.disk.clone(), "p");
        SpoolFeed::new(bench.spool().reader(Sequence(1)), cursor, synced, orders, dead)
    };
    let running = Running::with_feed(&[far.port], feed, |_| ());
    running.until(|_| far.frames().len() == 3).await;
    running.stop().await;
    let sent: Vec<_> = far.frames()[1..].iter().map(|seen| seen.payload[3]).collect();
    assert_eq!(sent, [0, 3]);
}

#[tokio::test]
async fn what_is_put_aside_lies_in_the_dead_letters_with_its_reason() {
    let far = FarSide::new(|_, _, seen| if seen.code() == 2 { FAIL } else { OK }).await;
    let bench = Bench::new();
    bench.append(b"\x01\0\x02\0\x0drefused");
    let last = bench.seal(Source::Own, 0, &[("half.tsfile", &ts_file()[..999])]);
    let (feed, mut cursor) = bench.feed();
    let running = Running::with_feed(&[far.port], feed, |settings| {
        settings.give_up_after = Some(Duration::from_millis(1));
    });
    cursor.wait_for(|cursor| cursor.position > last).await.unwrap();
    running.stop().await;
    bench.disk.crash();
    let kept = |begin: &str, end: &str| {
        let is_meant = |path: &Path| {
            let path = path.to_string_lossy();
            path.starts_with(&format!("dead-letter/p%2f1/{begin}-")) && path.ends_with(end)
        };
        let found = bench.disk.files().into_iter().find(|(path, _)| is_meant(path));
        let (path, _) = found.unwrap_or_else(|| panic!("{begin} {end} is not there"));
        bench.disk.contents(&path).unwrap()
    };
    assert!(
        kept("00000000000000000001", ".payload")
            .starts_with(b"\x01\0\x02\0\x0drefused\0\0\0\x38P1:")
    );
    assert_eq!(kept("00000000000000000002", "-0-half.tsfile"), ts_file()[..999]);
    let why = String::from_utf8(kept("00000000000000000001", ".why")).unwrap();
    assert!(why.contains("refused it for too long") && why.contains("identity P1:"), "{why}");
    let why = String::from_utf8(kept("00000000000000000002", ".why")).unwrap();
    assert!(why.contains("not a whole TsFile"), "{why}");
}

#[tokio::test]
async fn a_file_that_rotted_is_not_sealed_and_goes_to_quarantine() {
    let far = FarSide::new(|_, _, _| OK).await;
    let bench = Bench::new();
    let mods = [("y.tsfile.mods2", &b"mods"[..]), ("y.tsfile", ts_file())];
    let rotten = bench.seal(Source::Own, 0, &mods);
    let last = bench.seal(Source::Own, 0, &[("z.tsfile", ts_file())]);
    bench.disk.flip(Path::new("spool/files/00000000000000000001-1"), 1000 * 8);
    let before = bench.spool().stats().file_bytes;
    let (feed, mut cursor) = bench.feed();
    let running = Running::with_feed(&[far.port], feed, |settings| settings.piece_bytes = 1000);
    cursor.wait_for(|cursor| cursor.position > last).await.unwrap();
    running.stop().await;
    let sealed: Vec<_> = far.frames().into_iter().filter(|f| matches!(f.code(), 5 | 9)).collect();
    assert_eq!(sealed.len(), 1, "only the whole one");
    let name = |seen: &Seen| String::from_utf8_lossy(&seen.payload).into_owned();
    assert!(name(&sealed[0]).contains("z.tsfile"));
    let last_pieces =
        far.frames().iter().filter(|f| f.code() == 8 && f.payload.len() < 500).count();
    assert_eq!(
        last_pieces, 1,
        "of the rotten TsFile the last piece stayed here, its mods were whole"
    );
    bench.disk.crash();
    let stats = bench.spool().stats();
    assert_eq!(stats.quarantine_things, 2, "the mods came with it");
    assert_eq!(before - stats.file_bytes, 4 + ts_file().len() as u64);
    let kept = |name: &str| bench.disk.contents(&Path::new("quarantine").join(name));
    let sequence = format!("{:020}", rotten.0);
    let (first, second) = (format!("000001-{sequence}-0"), format!("000002-{sequence}-1"));
    assert_eq!(kept(&first).unwrap(), b"mods");
    assert_eq!(kept(&second).unwrap().len(), ts_file().len());
    let why = String::from_utf8(kept("000002.why").unwrap()).unwrap();
    assert!(why.contains("blake3 is") && why.contains(&sequence), "{why}");
}

/// The feed's present entry, with its payload.
fn read_next(feed: &mut SpoolFeed<SimDisk>, into: &mut [u8]) -> Result<Sequence, ReadError> {
    let header = feed.next_entry()?.unwrap();
    feed.read_payload(into).map(|()| header.sequence)
}

#[test]
fn a_place_of_the_log_that_the_disk_does_not_give_back_is_stepped_over_in_the_end() {
    let bench = Bench::new();
    let payload = [b"\x01\0\x02".to_vec(), vec![7; 100_000]].concat();
    for _ in 0..3 {
        bench.append(&payload);
    }
    let (path, _) = bench
        .disk
        .files()
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|end| end == "seg"))
        .unwrap();
    // A header, and then a payload that was whole when it was met.
    for is_met in [false, true] {
        let (mut feed, _cursor) = bench.feed();
        let first = feed.next_entry().unwrap().unwrap();
        feed.pass_over(&first);
        if is_met {
            assert_eq!(feed.next_entry().unwrap().unwrap().sequence, Sequence(2));
        }
        bench.disk.spoil(&path, 150_000..150_001);
        let mut into = vec![0; payload.len()];
        let mut read = || read_next(&mut feed, &mut into);
        let failed = (0..10_000).position(|_| read().is_ok()).expect("it goes on");
        let sequence = read().unwrap();
        assert_eq!((sequence, into == payload), (Sequence(3), true));
        assert_eq!(failed, limits::PIPE_LOG_READS_MAX as usize);
        bench.disk.mend();
    }
}

#[tokio::test]
async fn a_file_that_the_disk_does_not_give_back_makes_way() {
    let far = FarSide::new(|_, _, _| OK).await;
    let bench = Bench::new();
    for name in ["x.tsfile", "y.tsfile"] {
        bench.seal(Source::Own, 0, &[(name, ts_file())]);
    }
    bench.append(b"\x01\0\x02a");
    // One that cannot be looked at, and one that cannot be read further on.
    bench.disk.spoil(Path::new("spool/files/00000000000000000001-0"), 0..8);
    bench.disk.spoil(Path::new("spool/files/00000000000000000002-0"), 600..601);
    let (feed, cursor) = bench.feed();
    let running = Running::with_feed(&[far.port], feed, |_| ());
    running.until(|_| cursor.borrow().position == Sequence(4)).await;
    running.stop().await;
    assert_eq!(bench.spool().stats().quarantine_things, 2);
    assert_eq!(far.codes().last().unwrap().1, 2, "what is behind them");
}

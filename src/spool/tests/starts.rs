//! Starting, with little and with much in the spool, on the simulated and on the real disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::spool::{RealDisk, Start};

/// Fills so many segments and ends in the middle of the next.
fn backlog(segments: u8) -> SimDisk {
    let (disk, mut spool) = fresh(1);
    spool.create_consumer("c", Start::Oldest).unwrap();
    for index in 0..segments {
        for _ in 0..8 {
            append(&mut spool, &[index; 850]);
        }
        spool.sync().unwrap();
    }
    append(&mut spool, b"the last");
    spool.sync().unwrap();
    drop(spool);
    disk.crash();
    disk
}

#[test]
fn a_start_reads_no_more_when_there_is_more() {
    let read_at_start = |segments| {
        let disk = backlog(segments);
        let before = disk.calls();
        let (spool, _) = open(&disk);
        assert_eq!(spool.stats().segments, usize::from(segments) + 1);
        let after = disk.calls();
        (after.reads - before.reads, after.read_bytes - before.read_bytes)
    };
    let (few, many) = (read_at_start(10), read_at_start(200));
    assert!(many.0 <= few.0 + 2 && many.1 < few.1 + 1000, "{few:?} {many:?}");
}

#[test]
fn without_a_snapshot_everything_is_read_once_and_the_next_start_is_quick() {
    let (disk, mut spool) = fresh(2);
    for index in 1..100 {
        spool.append(opaque(&[1; 500], peer(index)), ARRIVAL).unwrap();
    }
    spool.sync().unwrap();
    spool.close(beginning()).unwrap();
    for number in 0..2 {
        disk.place(Path::new(&format!("spool/snapshot-{number}")), b"damaged");
    }
    let (mut spool, _) = open(&disk);
    for index in 1..100 {
        let again = spool.append(opaque(&[1; 500], peer(index)), ARRIVAL).unwrap();
        assert!(matches!(again, Outcome::Duplicate(_)));
    }
    drop(spool);
    disk.crash();
    let before = disk.calls().read_bytes;
    drop(open(&disk));
    assert!(disk.calls().read_bytes - before < 40 * 1024);
}

#[test]
fn what_a_crash_left_is_removed() {
    let (disk, mut spool) = fresh(3);
    let id = spool.create_partial().unwrap();
    spool.write_partial(id, 0, b"half a file").unwrap();
    append(&mut spool, b"x");
    spool.sync().unwrap();
    drop(spool);
    disk.place(Path::new("spool/files/00000000000000000002-0"), b"sealed, entry lost");
    disk.place(Path::new("spool/partial/17"), b"half");
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.leftovers, 3);
    assert!(
        names_in(&disk, "spool/files").is_empty() && names_in(&disk, "spool/partial").is_empty()
    );
    assert_eq!(spool.stats().file_bytes, 0);
}

#[test]
fn a_long_sync_is_cut_by_flushing() {
    let disk = SimDisk::new(4, 1 << 30);
    let mib = 1024 * 1024;
    let wish = Settings { segment_bytes: mib, max_bytes: 1 << 30, ..settings() };
    let (mut spool, _) = Spool::open(disk.clone(), wish, beginning(), 0).unwrap();
    disk.set_speed(Duration::from_millis(2), 20_000_000);
    let id = spool.create_partial().unwrap();
    let piece = vec![3; 1024 * 1024];
    let (mut longest, mut bytes) = (Duration::ZERO, 0);
    let mut timed = |work: &mut dyn FnMut()| {
        let before = disk.elapsed();
        work();
        longest = longest.max(disk.elapsed().checked_sub(before).unwrap());
    };
    for _ in 0..64 {
        timed(&mut || spool.write_partial(id, bytes, &piece).unwrap());
        bytes += mib;
    }
    let file = SealedFile { name: Some("x"), partial: Some(id), bytes, hash: [0; 32] };
    timed(&mut || {
        spool.seal(file_entry(&[file], Source::Own), ARRIVAL).unwrap();
        spool.sync().unwrap();
    });
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    assert!(disk.elapsed() > Duration::from_secs(3));
}

/// The real disk, with a count of the bytes that are read.
#[derive(Debug, Clone)]
struct Counting {
    disk: RealDisk,
    read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    file: std::fs::File,
    read: Arc<AtomicU64>,
}

impl Disk for Counting {
    type File = CountingFile;

    fn open(&self, path: &Path, mode: crate::spool::OpenMode) -> std::io::Result<CountingFile> {
        Ok(CountingFile { file: self.disk.open(path, mode)?, read: Arc::clone(&self.read) })
    }
    fn lock(&self, path: &Path) -> std::io::Result<CountingFile> {
        Ok(CountingFile { file: self.disk.lock(path)?, read: Arc::clone(&self.read) })
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.disk.remove(path)
    }
    fn create_dir(&self, path: &Path) -> std::io::Result<()> {
        self.disk.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> std::io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> std::io::Result<()> {
        self.disk.list(path, found)
    }
    fn file_bytes(&self, path: &Path) -> std::io::Result<u64> {
        self.disk.file_bytes(path)
    }
    fn free_bytes(&self) -> std::io::Result<u64> {
        self.disk.free_bytes()
    }
    fn entropy(&self, into: &mut [u8]) -> std::io::Result<()> {
        self.disk.entropy(into)
    }
}

impl crate::spool::DiskFile for CountingFile {
    fn bytes(&self) -> std::io::Result<u64> {
        self.file.bytes()
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        let count = crate::spool::DiskFile::read_at(&self.file, offset, into)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
    fn write_at(&self, offset: u64, parts: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        crate::spool::DiskFile::write_at(&self.file, offset, parts)
    }
    fn allocate(&self, bytes: u64) -> std::io::Result<()> {
        self.file.allocate(bytes)
    }
    fn truncate(&self, bytes: u64) -> std::io::Result<()> {
        self.file.truncate(bytes)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        crate::spool::DiskFile::sync_data(&self.file)
    }
}

#[test]
fn a_start_with_ten_gib_of_backlog_reads_the_last_segment_only() {
    const SEGMENT: u64 = 16 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let disk = Counting { disk: RealDisk::new(dir.path()), read: Arc::default() };
    let wish = Settings { max_bytes: 1 << 40, segment_bytes: SEGMENT, ..Settings::default() };
    let mut now = beginning();
    let (mut spool, _) = Spool::open(disk.clone(), wish.clone(), now, 0).unwrap();
    spool.create_consumer("stalled", Start::Oldest).unwrap();
    for _ in 0..640 {
        append(&mut spool, b"x");
        spool.sync().unwrap();
        now += Duration::from_secs(61);
        spool.maintain(now).unwrap();
    }
    append(&mut spool, b"the last");
    spool.sync().unwrap();
    drop(spool);
    // Sparse: as long as a full one, without its blocks.
    for sequence in 1..=640 {
        let path = dir.path().join(format!("spool/{sequence:020}.seg"));
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(SEGMENT).unwrap();
    }
    let before = disk.read.load(Ordering::Relaxed);
    let begun = beginning();
    let (spool, recovery) = Spool::open(disk.clone(), wish, now, 0).unwrap();
    let took = begun.elapsed();
    assert!(recovery.crashed);
    assert!(spool.stats().segment_bytes > 10 << 30);
    assert_eq!(spool.remaining(Sequence(1)).0, 641);
    let read = disk.read.load(Ordering::Relaxed) - before;
    assert!(read < 3 * SEGMENT, "{read}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut reader = spool.reader(Sequence(638));
    let payloads: Vec<_> = read_all(&mut reader).into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(payloads, [&b"x"[..], b"x", b"x", b"the last"]);
}

#[test]
fn the_real_disk_keeps_promises_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let inbox = dir.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    std::fs::write(inbox.join("a.tsfile"), b"own").unwrap();
    let open = || Spool::open(disk.clone(), settings(), beginning(), 0);
    let (mut spool, _) = open().unwrap();
    let id = spool.adopt(&inbox.join("a.tsfile")).unwrap();
    assert!(!inbox.join("a.tsfile").exists());
    let file =
        SealedFile { name: Some("a.tsfile"), partial: Some(id), bytes: 3, hash: hash(b"own") };
    spool.seal(file_entry(&[file], Source::Own), ARRIVAL).unwrap();
    for index in 0..40 {
        append(&mut spool, &[index; 900]);
    }
    spool.sync().unwrap();
    assert!(matches!(open(), Err(crate::spool::SpoolError::Locked { .. })));
    drop(spool);
    let (spool, _) = open().unwrap();
    assert_eq!(read(&spool).len(), 41);
    assert_eq!(read_files(&spool), [(1, "a.tsfile".to_owned(), b"own".to_vec())]);
}

#[test]
fn a_copy_of_the_data_directory_has_an_identity_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (first, copy, moved) =
        (dir.path().join("first"), dir.path().join("copy"), dir.path().join("moved"));
    let open = |path: &Path| Spool::open(RealDisk::new(path), settings(), beginning(), 0).unwrap();
    let (mut spool, recovery) = open(&first);
    assert!(!recovery.copied);
    append(&mut spool, b"x");
    let origin = spool.origin();
    spool.close(beginning()).unwrap();
    copy_dir(&first, &copy);

    RealDisk::new(dir.path()).rename(&first, &moved).unwrap();
    let (spool, recovery) = open(&moved);
    assert!(!recovery.copied);
    assert_eq!(spool.origin(), origin);

    let (mut spool, recovery) = open(&copy);
    assert!(recovery.copied);
    let new = spool.origin();
    assert_ne!(new, origin);
    append(&mut spool, b"y");
    spool.sync().unwrap();
    let mut reader = spool.reader(Sequence(1));
    let mut next = || reader.next_entry().unwrap().unwrap().header.identity;
    assert_eq!(next(), Identity { origin, sequence: Sequence(1) });
    assert_eq!(next(), Identity { origin: new, sequence: Sequence(2) });
    spool.close(beginning()).unwrap();
    let (spool, recovery) = open(&copy);
    assert!(!recovery.copied);
    assert_eq!(spool.origin(), new);
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_dir(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

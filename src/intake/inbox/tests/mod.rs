//! The inbox over real directories, a spool that is a list, and a machine that stops at any call.

#![expect(clippy::disallowed_methods, reason = "tests play the people who fill the inbox")]

mod away;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::data::ReadAt;
use crate::spool::{self, FileList, FileReader, OpenMode, PartialId, RealDisk, Spool, Stamp};

const TS_FILE_BYTES: &[u8] = include_bytes!("../../../../tests/samples/v3_tiny.tsfile");

/// Renames a file at a moment that its file system tells from that of the last write: its clock may go in steps of
/// some milliseconds.
pub(super) fn rename_later(from: &Path, to: &Path) {
    let aside = from.with_extension("aside");
    let disk = RealDisk::new(Path::new("/"));
    while !disk.stamp(from).expect("it is there").was_put_here() {
        fs::rename(from, &aside).expect("renamed");
        fs::rename(&aside, from).expect("renamed back");
    }
    fs::rename(from, to).expect("renamed");
}

/// When the program stops, and what the spool is told to say.
#[derive(Debug, Default)]
struct World {
    calls: u64,
    stop_at: Option<u64>,
    other_file_system: bool,
    /// What a rename into the archive says.
    archive: Option<io::ErrorKind>,
    quarantine_bytes: Option<u64>,
    room: Option<u64>,
    /// A file of this name cannot be read once it lies in the spool.
    unreadable: Option<&'static str>,
    spool: Option<Spool<RealDisk>>,
}

#[derive(Debug, Clone)]
struct Machine {
    root: Arc<tempfile::TempDir>,
    disk: RealDisk,
    world: Arc<Mutex<World>>,
}

impl Machine {
    fn new() -> Self {
        // In memory if possible: nothing here is about power failures.
        let shared = Path::new("/dev/shm");
        let root = if shared.is_dir() { shared } else { &std::env::temp_dir() };
        let root = tempfile::tempdir_in(root).expect("a directory");
        for dir in ["inbox", "archive", "data"] {
            fs::create_dir(root.path().join(dir)).expect("a directory");
        }
        let disk = RealDisk::new(&root.path().join("data"));
        Self { root: Arc::new(root), disk, world: Arc::default() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test panics while it holds the lock")
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn call(&self) -> io::Result<()> {
        let mut world = self.world();
        world.calls += 1;
        let calls = world.calls;
        if world.stop_at.is_some_and(|at| calls >= at) {
            return Err(io::Error::other("stopped"));
        }
        Ok(())
    }

    /// Puts a file here as `mv` does.
    fn put(&self, name: &str, bytes: &[u8]) {
        let temporary = self.path("temporary");
        fs::write(&temporary, bytes).expect("written");
        rename_later(&temporary, &self.path("inbox").join(name));
    }

    /// Writes a file in place.
    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path("inbox").join(name), bytes).expect("written");
    }

    fn settings(&self, archive: bool) -> Settings {
        let archive_dir = archive.then(|| self.path("archive"));
        Settings::new(self.path("inbox"), archive_dir, self.path("data/inbox.copy"))
    }

    fn open(&self, archive: bool) -> Result<Inbox<Self, Fussy>, InboxError> {
        self.start();
        let store = Fussy { store: SpoolStore::new(self.clone()), machine: self.clone() };
        Inbox::open(self.clone(), store, self.settings(archive))
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).expect("readable");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| name != ".penstock.lock")
            .collect();
        names.sort();
        names
    }

    /// The program starts: the spool is opened anew.
    fn start(&self) {
        self.world().spool = None;
        let mut settings =
            spool::Settings { segment_bytes: 64 * 1024, ..spool::Settings::default() };
        let quarantine_max_bytes = self.world().quarantine_bytes;
        settings.quarantine_max_bytes =
            quarantine_max_bytes.unwrap_or(settings.quarantine_max_bytes);
        let opened = Spool::open(self.disk.clone(), settings, Instant::now(), 0);
        self.world().spool = Some(opened.expect("the spool opens").0);
    }

    /// Names of each entry, and the hash of its last file.
    fn sealed(&self) -> Vec<(Vec<String>, [u8; 32])> {
        let mut reader = self.world().spool.as_ref().expect("open").reader(Sequence(1));
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry().expect("readable") {
            let mut payload = vec![0; entry.header.payload_bytes as usize];
            reader.read_payload(&entry, 0, &mut payload).expect("readable");
            let list = FileList::parse(&payload).expect("a list");
            for index in 0..list.files().count() {
                reader.open_file(&entry, &list, index).expect("every file is there");
            }
            let names = list.files().map(|file| file.name.expect("a name").to_owned()).collect();
            entries.push((names, list.files().last().expect("a TsFile").hash));
        }
        entries
    }

    fn entries(&self) -> Vec<Vec<String>> {
        self.sealed().into_iter().map(|(names, _)| names).collect()
    }

    fn adopted(&self) -> usize {
        self.world().spool.as_ref().expect("open").adopted().count()
    }

    /// Bytes and reason of everything in quarantine.
    fn quarantine(&self) -> Vec<(Vec<u8>, String)> {
        let names = self.names("data/quarantine");
        let read = |name: &str| fs::read(self.path("data/quarantine").join(name)).expect("there");
        let things = names.iter().filter_map(|name| name.strip_suffix(".why"));
        things
            .map(|name| {
                let why = String::from_utf8(read(&format!("{name}.why"))).expect("text");
                let is_thing = |thing: &&String| thing.starts_with(name) && !thing.ends_with('y');
                (read(names.iter().find(is_thing).expect("the thing itself")), why)
            })
            .collect()
    }
}

/// Steps over `seconds` of an inbox's life; returns what was reported.
fn run(inbox: &mut Inbox<Machine, Fussy>, now: &mut Instant, seconds: u64) -> Vec<Step> {
    let until = *now + Duration::from_secs(seconds);
    let mut steps = Vec::new();
    while *now <= until {
        match inbox.step(*now) {
            Step::Idle(at) | Step::Waiting(at) => *now = at,
            Step::Worked => {}
            step @ (Step::Full { .. } | Step::Blocked { .. }) => {
                *now += Duration::from_secs(1);
                steps.push(step);
            }
            step @ (Step::Taken { .. }
            | Step::Quarantined { .. }
            | Step::Left { .. }
            | Step::Unreadable { .. }) => steps.push(step),
        }
    }
    steps
}

fn lived(machine: &Machine, archive: bool, seconds: u64) -> Vec<Step> {
    let mut inbox = machine.open(archive).expect("opens");
    run(&mut inbox, &mut Instant::now(), seconds)
}

#[test]
fn a_renamed_file_is_moved_at_once_with_its_mods() {
    let machine = Machine::new();
    machine.put("a.tsfile.mods", b"DELETION");
    machine.put("a.tsfile", TS_FILE_BYTES);
    let steps = lived(&machine, false, 0);
    assert!(matches!(&steps[..], [Step::Taken { name, bytes: 236, .. }] if name == "a.tsfile"));
    assert_eq!(machine.entries(), [["a.tsfile.mods", "a.tsfile"]]);
    assert_eq!(machine.sealed()[0].1, *blake3::hash(TS_FILE_BYTES).as_bytes());
    assert_eq!(machine.names("inbox"), [""; 0]);
}

#[test]
fn a_file_that_stopped_growing_is_copied() {
    let machine = Machine::new();
    machine.write("a.tsfile", TS_FILE_BYTES);
    let keeper = File::open(machine.path("inbox/a.tsfile")).expect("open");
    assert!(lived(&machine, false, 0).is_empty());
    let steps = lived(&machine, false, 2);
    assert!(matches!(&steps[..], [Step::Taken { .. }]));
    assert_eq!(machine.names("inbox"), [""; 0]);
    assert_eq!(machine.names("data/inbox.copy"), [""; 0]);
    let stored = machine.path("data/spool/files").join(&machine.names("data/spool/files")[0]);
    let stored = fs::metadata(stored).expect("stored");
    assert_ne!(stored.ino(), keeper.metadata().expect("open").ino());
}

#[test]
fn a_file_that_grows_is_left_alone() {
    let machine = Machine::new();
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    for end in (1..TS_FILE_BYTES.len()).step_by(20) {
        machine.write("a.tsfile", &TS_FILE_BYTES[..end]);
        assert!(run(&mut inbox, &mut now, 10).is_empty());
    }
    machine.write("a.tsfile", TS_FILE_BYTES);
    assert!(matches!(&run(&mut inbox, &mut now, 5)[..], [Step::Taken { .. }]));
}

#[test]
fn originals_are_archived_and_replace_nothing() {
    let machine = Machine::new();
    for _ in 0..3 {
        machine.put("a.tsfile", TS_FILE_BYTES);
        assert!(matches!(&lived(&machine, true, 2)[..], [Step::Taken { .. }]));
    }
    assert_eq!(machine.names("archive"), ["2-a.tsfile", "3-a.tsfile", "a.tsfile"]);
    assert_eq!(machine.entries().len(), 3);
}

#[test]
fn what_is_no_ts_file_goes_to_quarantine_and_the_others_go_on() {
    let machine = Machine::new();
    machine.put("bad.tsfile", b"not a TsFile at all");
    machine.put("two.tsfile.mods", b"x");
    machine.put("two.tsfile.mods2", b"y");
    machine.put("two.tsfile", TS_FILE_BYTES);
    machine.put("colon:.tsfile", TS_FILE_BYTES);
    machine.put("good.tsfile", TS_FILE_BYTES);
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    let steps = run(&mut inbox, &mut now, 50);
    assert!(matches!(&steps[..], [Step::Taken { name, .. }] if name == "good.tsfile"));
    let steps = run(&mut inbox, &mut now, 20);
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| matches!(step, Step::Quarantined { .. })));
    let reasons: Vec<_> = machine.quarantine().into_iter().map(|(_, why)| why).collect();
    assert_eq!(reasons.len(), 5);
    for expected in [
        "inbox: bad.tsfile: expected \"TsFile\" at byte 0, got \"not a \"",
        "inbox: colon:.tsfile: file name has ':' at byte 5",
        "inbox: two.tsfile.mods2: has both .mods and .mods2",
        "inbox: two.tsfile.mods: has both .mods and .mods2",
        "inbox: two.tsfile: has both .mods and .mods2",
    ] {
        assert!(reasons.iter().any(|why| why.contains(expected)), "{expected}: {reasons:?}");
    }
    assert!(machine.names("data/quarantine").iter().any(|name| name.ends_with("-bad.tsfile")));
    assert_eq!(machine.names("inbox"), [""; 0]);
}

#[test]
fn a_file_with_a_long_index_is_looked_at_in_steps_to_its_last_byte() {
    let machine = Machine::new();
    let mut long = crate::tsfile::tail::with_long_block();
    machine.put("a.tsfile", &long);
    // The kind of the root, behind some MiB.
    let end = long.len() - 22;
    long[end] = 9;
    machine.put("b.tsfile", &long);
    let steps = lived(&machine, false, 100);
    assert!(matches!(&steps[..], [Step::Taken { .. }, Step::Quarantined { .. }]), "{steps:?}");
    let (_, why) = machine.quarantine().swap_remove(0);
    assert!(why.contains("b.tsfile: index node type"), "{why}");
}

#[test]
fn a_file_of_another_file_system_is_copied() {
    let machine = Machine::new();
    machine.world().other_file_system = true;
    machine.put("a.tsfile", TS_FILE_BYTES);
    assert!(matches!(&lived(&machine, false, 2)[..], [Step::Taken { .. }]));
    assert_eq!(machine.names("inbox"), [""; 0]);
    assert!(!machine.names("data").contains(&"inbox.taking".to_owned()));
}

#[test]
fn a_file_without_room_waits_and_one_that_never_fits_is_passed_over() {
    let machine = Machine::new();
    machine.world().room = Some(100);
    machine.put("a.tsfile", TS_FILE_BYTES);
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    let steps = run(&mut inbox, &mut now, 3);
    assert!(steps.len() > 2);
    assert!(steps.iter().all(|step| matches!(step, Step::Full { full, .. } if full.needed == 228)));
    machine.world().room = None;
    assert!(matches!(&run(&mut inbox, &mut now, 1)[..], [Step::Taken { .. }]));

    // Above the limit of the fake, which is 1000.
    machine.put("big.tsfile.mods", &[b'x'; 2000]);
    machine.put("big.tsfile", TS_FILE_BYTES);
    machine.put("small.tsfile", TS_FILE_BYTES);
    machine.world().room = Some(1000);
    let steps = run(&mut inbox, &mut now, 5);
    assert!(matches!(
        &steps[..],
        [Step::Full { name: full, .. }, Step::Taken { name: taken, .. }]
            if full == "big.tsfile" && taken == "small.tsfile"
    ));
    assert_eq!(machine.names("inbox"), ["big.tsfile", "big.tsfile.mods"]);
}

/// Stops at each call in turn, starts again, and lives on; returns the number of stops.
fn each_is_taken_once(prepare: fn(&Machine), archive: bool, expected: &[&[&str]]) -> u64 {
    for call in 1.. {
        let machine = Machine::new();
        prepare(&machine);
        machine.world().stop_at = Some(call);
        if let Ok(mut inbox) = machine.open(archive) {
            run(&mut inbox, &mut Instant::now(), 5);
        }
        let reached = machine.world().calls >= call;
        machine.world().stop_at = None;
        let mut now = Instant::now();
        let mut inbox = machine.open(archive).expect("opens");
        run(&mut inbox, &mut now, 200);
        let mut entries = machine.entries();
        entries.sort();
        assert_eq!(entries, expected, "stopped at call {call}");
        assert_eq!(machine.names("inbox"), [""; 0], "{call}");
        assert_eq!(machine.names("data/inbox.copy"), [""; 0], "{call}");
        assert!(!machine.names("data").contains(&"inbox.taking".to_owned()), "{call}");
        assert_eq!(machine.adopted(), 0, "{call}");
        if archive {
            let mut names: Vec<_> = expected.concat();
            names.sort_unstable();
            assert_eq!(machine.names("archive"), names, "{call}");
        }
        if !reached {
            return call;
        }
    }
    0
}

#[test]
fn a_moved_file_is_taken_once_wherever_the_program_stops() {
    let prepare = |machine: &Machine| {
        machine.put("a.tsfile.mods", b"DELETION");
        machine.put("a.tsfile", TS_FILE_BYTES);
        machine.put("b.tsfile", TS_FILE_BYTES);
    };
    let stops =
        each_is_taken_once(prepare, false, &[&["a.tsfile.mods", "a.tsfile"], &["b.tsfile"]]);
    assert!(stops > 10);
}

#[test]
fn a_copied_file_is_taken_once_wherever_the_program_stops() {
    let prepare = |machine: &Machine| {
        machine.write("a.tsfile.mods2", b"DELETION");
        machine.write("a.tsfile", TS_FILE_BYTES);
        machine.write("b.tsfile", TS_FILE_BYTES);
    };
    for archive in [false, true] {
        let expected: &[&[&str]] = &[&["a.tsfile.mods2", "a.tsfile"], &["b.tsfile"]];
        assert!(each_is_taken_once(prepare, archive, expected) > 20);
    }
}

#[test]
fn a_refused_file_is_kept_wherever_the_program_stops() {
    for (call, name) in (1..40).flat_map(|call| [(call, "bad.tsfile"), (call, "a:b.tsfile")]) {
        let machine = Machine::new();
        machine.put(name, b"no TsFile");
        machine.world().stop_at = Some(call);
        if let Ok(mut inbox) = machine.open(false) {
            run(&mut inbox, &mut Instant::now(), 70);
        }
        machine.world().stop_at = None;
        let mut inbox = machine.open(false).expect("opens");
        run(&mut inbox, &mut Instant::now(), 70);
        let kept: BTreeMap<_, _> = machine.quarantine().into_iter().collect();
        assert_eq!(kept.len(), 1, "{call}");
        assert!(kept.contains_key(b"no TsFile".as_slice()), "{call}");
        assert_eq!(machine.names("inbox"), [""; 0], "{call}");
    }
}

impl Disk for Machine {
    type File = File;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        self.call()?;
        self.disk.open(path, mode)
    }

    fn is_at(&self, file: &File, path: &Path) -> io::Result<bool> {
        self.disk.is_at(file, path)
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        self.disk.lock(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        let refused = self.world().archive.filter(|_| {
            to.starts_with(self.path("archive")) && !from.starts_with(self.path("archive"))
        });
        if let Some(kind) = refused {
            return Err(kind.into());
        }
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        self.disk.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        self.disk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        self.disk.sync_dir(path)
    }

    fn list(&self, path: &Path, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.call()?;
        self.disk.list(path, found)
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.file_bytes(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        self.disk.stamp(path)
    }

    fn check_shared_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.check_shared_dir(path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn entropy(&self, into: &mut [u8]) -> io::Result<()> {
        self.disk.entropy(into)
    }
}

impl OnSpool for Machine {
    type Disk = RealDisk;

    fn on_spool<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool<RealDisk>) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        self.call().map_err(|_| StoreError::Ended)?;
        let mut world = self.world();
        let spool = world.spool.as_mut().expect("it is open");
        let result = work(spool);
        spool.sync().expect("synced");
        Ok(result)
    }
}

/// A file that the medium may not give back.
#[derive(Debug)]
struct Rotten<F> {
    file: F,
    is_rotten: bool,
}

impl<F: ReadAt> ReadAt for Rotten<F> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.is_rotten {
            return Err(io::Error::other("input/output error"));
        }
        self.file.read_at(offset, into)
    }
}

/// The spool, with answers that are hard to bring about.
#[derive(Debug)]
struct Fussy {
    store: SpoolStore<Machine>,
    machine: Machine,
}

impl Store for Fussy {
    type File = Rotten<FileReader<File>>;

    fn room_for(&mut self, bytes: u64) -> Result<(), StoreError> {
        let room = self.machine.world().room;
        match room.filter(|available| *available < bytes) {
            Some(available) => Err(Full { needed: bytes, available, limit: 1000 }.into()),
            None => self.store.room_for(bytes),
        }
    }

    fn adopt(&mut self, path: &Path) -> Result<PartialId, StoreError> {
        let other = self.machine.world().other_file_system;
        if other && path.starts_with(self.machine.path("inbox")) {
            return Err(StoreError::Partial(PartialError::OtherFileSystem(path.to_owned())));
        }
        self.store.adopt(path)
    }

    fn next_sequence(&mut self) -> Result<Sequence, StoreError> {
        self.store.next_sequence()
    }

    fn adopted(&mut self) -> Result<Vec<AdoptedFile>, StoreError> {
        self.store.adopted()
    }

    fn open(&mut self, partial: PartialId) -> Result<Self::File, StoreError> {
        let is_this = |file: &AdoptedFile, name| file.partial == partial && file.name == name;
        let name = self.machine.world().unreadable;
        let adopted = self.store.adopted()?;
        let is_rotten = name.is_some_and(|name| adopted.iter().any(|file| is_this(file, name)));
        self.store.open(partial).map(|file| Rotten { file, is_rotten })
    }

    fn discard(&mut self, partial: PartialId) -> Result<(), StoreError> {
        self.store.discard(partial)
    }

    fn seal(&mut self, files: &[TakenFile]) -> Result<Sequence, StoreError> {
        self.store.seal(files)
    }

    fn quarantine(&mut self, partial: PartialId, why: &str) -> Result<(), StoreError> {
        self.store.quarantine(partial, why)
    }

    fn quarantine_room(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.store.quarantine_room(bytes)
    }

    fn was_sealed(
        &mut self,
        from: Sequence,
        name: &str,
        hash: &[u8; 32],
    ) -> Result<Option<Sequence>, StoreError> {
        self.store.was_sealed(from, name, hash)
    }
}

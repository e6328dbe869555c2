//! Looking through the inbox, and telling which files are finished.
//!
//! | a file | is finished when |
//! |---|---|
//! | whose change time is later than its modification time | at once: something was done to it after the last write: a rename, or the times set at the end of a copy |
//! | whose two times are equal | it is the same in two scans |
//!
//! Any write makes the two times equal again. Besides, a `TsFile` has a tail that is written last, so a file
//! that is taken for finished too early is found out by its check, and is looked at again. Where a file
//! system does not count a rename as a change, its files are taken one scan later, and copied.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::spool::{Disk, Stamp};

/// `TsFile`s that are watched at one time, the longest unchanged ones first; the others wait until some of
/// these are gone. Mods are watched beside their `TsFile`.
const WATCHED_MAX: usize = 1024;
/// `TsFile`s that are remembered besides because they are left alone for now: they take no place of one that
/// may go. Some 1 MiB.
const PUT_OFF_MAX: usize = 4096;

/// A file in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) stamp: Stamp,
    /// Since when it has been the same.
    since: Instant,
    /// It was the same in the scan before.
    settled: bool,
    /// It is left alone while it stays the same, until then.
    put_off: Option<Instant>,
}

impl Watched {
    /// Nobody writes to it any more, as far as one can tell.
    pub(super) const fn is_finished(&self) -> bool {
        self.settled || self.stamp.was_put_here()
    }

    /// How long it has been the same.
    pub(super) fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// The files of the directory, as two scans have seen them.
#[derive(Debug, Default)]
pub(super) struct Watch {
    files: Vec<Watched>,
    orphans: Option<Orphans>,
    unreadable: Option<(String, io::Error)>,
}

/// Mods that lie in the inbox without their `TsFile`: nothing becomes of them.
#[derive(Debug, Clone)]
pub struct Orphans {
    /// How many there are.
    pub count: usize,
    /// The name of the one that was written first.
    pub oldest: String,
    /// Of that one.
    modified: i64,
    /// Since when it has been the oldest.
    since: Instant,
}

impl Orphans {
    /// How long the oldest one has waited.
    pub(super) fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

impl Watch {
    /// Looks through the directory, after a check that files may be taken out of it. Hidden files,
    /// directories, links, and names that are not UTF-8 are left alone.
    pub(super) fn scan<D: Disk>(&mut self, disk: &D, dir: &Path, now: Instant) -> io::Result<()> {
        // Else the spool would take the refusal of a rename for a failing disk.
        disk.check_shared_dir(dir)?;
        let before = std::mem::take(&mut self.files);
        let before: Before<'_> = before.iter().map(|file| (file.name.as_str(), file)).collect();
        let (mut ready, mut put_off) = (Oldest::new(WATCHED_MAX), Oldest::new(PUT_OFF_MAX));
        let mut has_mods = false;
        let mut unreadable = None;
        each_name(disk, dir, |name| {
            has_mods |= ts_file_of(name).is_some();
            if !name.ends_with(TS_FILE) {
                return;
            }
            let file = match seen(disk, &before, (dir, name), now) {
                Ok(Some(file)) => file,
                Ok(None) => return,
                Err(error) => {
                    unreadable.get_or_insert_with(|| (name.to_owned(), error));
                    return;
                }
            };
            let is_put_off = file.put_off.is_some_and(|until| until > now);
            if is_put_off { &mut put_off } else { &mut ready }.push(file);
        })?;
        self.files = ready.into_files().chain(put_off.into_files()).collect();
        self.unreadable = unreadable;
        let found = if has_mods { self.find_mods(disk, &before, dir, now) } else { Ok(Vec::new()) };
        // Without its mods a file would be another one.
        let mods = found.inspect_err(|_| self.files.clear())?;
        self.files.extend(mods);
        if !has_mods {
            self.orphans = None;
        }
        Ok(())
    }

    /// The mods of what is watched. Others have a `TsFile` that waits for its turn, or are orphans.
    fn find_mods<D: Disk>(
        &mut self,
        disk: &D,
        before: &Before<'_>,
        dir: &Path,
        now: Instant,
    ) -> io::Result<Vec<Watched>> {
        let watched: HashSet<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        let (mut mods, mut unreadable) = (Vec::new(), Vec::new());
        let mut orphans: Option<Orphans> = None;
        each_name(disk, dir, |name| {
            let Some(ts_file) = ts_file_of(name) else { return };
            if watched.contains(ts_file) {
                match seen(disk, before, (dir, name), now) {
                    Ok(file) => mods.extend(file),
                    Err(error) => unreadable.push((ts_file.to_owned(), error)),
                }
                return;
            }
            let is_there = |error: io::Error| error.kind() != io::ErrorKind::NotFound;
            if disk.stamp(&dir.join(ts_file)).map_or_else(is_there, |_| true) {
                return;
            }
            let Ok(Stamp { modified, .. }) = disk.stamp(&dir.join(name)) else { return };
            let count = orphans.as_ref().map_or(0, |orphans| orphans.count);
            let older = orphans.take().filter(|known| known.modified <= modified);
            let oldest = older.unwrap_or_else(|| Orphans {
                count,
                oldest: name.to_owned(),
                modified,
                since: now,
            });
            orphans = Some(Orphans { count: count + 1, ..oldest });
        })?;
        if let (Some(known), Some(found)) = (&self.orphans, &mut orphans)
            && (&known.oldest, known.modified) == (&found.oldest, found.modified)
        {
            found.since = known.since;
        }
        self.orphans = orphans;
        self.files.retain(|file| !unreadable.iter().any(|(name, _)| *name == file.name));
        self.unreadable = self.unreadable.take().or_else(|| unreadable.into_iter().next());
        Ok(mods)
    }

    /// A `TsFile` that is there, and of which, or of whose mods, the disk tells nothing: the last scan has left it out.
    /// Others may be like it.
    pub(super) const fn take_unreadable(&mut self) -> Option<(String, io::Error)> {
        self.unreadable.take()
    }

    /// Mods that the last scan found without their `TsFile`.
    pub(super) const fn orphans(&self) -> Option<&Orphans> {
        self.orphans.as_ref()
    }

    /// The file of this name.
    pub(super) fn file(&self, name: &str) -> Option<&Watched> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Files that may be looked at now, the oldest first.
    pub(super) fn finished(&self, now: Instant) -> impl Iterator<Item = &Watched> {
        self.files
            .iter()
            .filter(move |file| file.is_finished() && file.put_off.is_none_or(|until| until <= now))
    }

    /// Leaves a file alone until then, unless it changes.
    pub(super) fn put_off(&mut self, name: &str, until: Instant) {
        for file in self.files.iter_mut().filter(|file| file.name == name) {
            file.put_off = Some(until);
        }
    }

    /// The file is gone.
    pub(super) fn forget(&mut self, name: &str) {
        self.files.retain(|file| file.name != name);
    }
}

/// What the scan before has seen.
type Before<'a> = HashMap<&'a str, &'a Watched>;

/// A file as it is now; `None` if it has gone since, or is none.
fn seen<D: Disk>(
    disk: &D,
    before: &Before<'_>,
    (dir, name): (&Path, &str),
    now: Instant,
) -> io::Result<Option<Watched>> {
    let stamp = match disk.stamp(&dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        stamp => stamp?,
    };
    let same = before.get(name).filter(|before| before.stamp == stamp);
    Ok(Some(match same {
        Some(before) => Watched { settled: true, ..(*before).clone() },
        None => Watched { name: name.to_owned(), stamp, since: now, settled: false, put_off: None },
    }))
}

/// Every name that is not hidden and is UTF-8.
fn each_name<D: Disk>(disk: &D, dir: &Path, mut found: impl FnMut(&str)) -> io::Result<()> {
    disk.list(dir, &mut |name| {
        if !name.starts_with('.') {
            found(name);
        }
    })
}

/// The name of the `TsFile` to which mods of this name belong.
fn ts_file_of(name: &str) -> Option<&str> {
    let ts_file = MODS.iter().find_map(|end| name.strip_suffix(end));
    ts_file.filter(|name| name.ends_with(TS_FILE))
}

/// How a `TsFile`'s name ends.
pub(super) const TS_FILE: &str = ".tsfile";
/// What is added to it for its deletions: of 1.3, of 2.0.
pub(super) const MODS: [&str; 2] = [".mods", ".mods2"];

/// The files that were written first, up to a limit.
struct Oldest {
    files: BinaryHeap<Aged>,
    limit: usize,
}

impl Oldest {
    fn new(limit: usize) -> Self {
        Self { files: BinaryHeap::new(), limit }
    }

    fn push(&mut self, file: Watched) {
        self.files.push(Aged(file));
        if self.files.len() > self.limit {
            self.files.pop();
        }
    }

    /// The oldest first.
    fn into_files(self) -> impl Iterator<Item = Watched> {
        self.files.into_sorted_vec().into_iter().map(|Aged(file)| file)
    }
}

/// A file in the order of last writes, and of names.
struct Aged(Watched);

impl Ord for Aged {
    fn cmp(&self, Self(other): &Self) -> Ordering {
        let Self(file) = self;
        (file.stamp.modified, &file.name).cmp(&(other.stamp.modified, &other.name))
    }
}

impl PartialOrd for Aged {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Aged {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Aged {}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the people who fill the inbox")]
mod tests {
    use super::super::tests::rename_later;
    use super::*;
    use crate::spool::RealDisk;
    use std::fs;
    use std::time::SystemTime;

    fn disk(dir: &Path) -> RealDisk {
        RealDisk::new(dir)
    }

    fn names(watch: &Watch, now: Instant) -> Vec<String> {
        watch.finished(now).map(|file| file.name.clone()).collect()
    }

    fn set_modified(path: &Path, modified: SystemTime) {
        fs::File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_modified(modified))
            .unwrap();
    }

    #[test]
    fn a_renamed_file_is_finished_at_once_and_a_growing_one_when_it_stops() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tsfile");
        fs::write(dir.path().join("temporary"), b"whole").unwrap();
        rename_later(&dir.path().join("temporary"), &dir.path().join("renamed.tsfile"));
        fs::write(&path, b"x").unwrap();
        let (mut watch, now) = (Watch::default(), Instant::now());
        watch.scan(&disk(dir.path()), dir.path(), now).unwrap();
        assert_eq!(names(&watch, now), ["renamed.tsfile"]);
        fs::write(&path, b"xy").unwrap();
        watch.scan(&disk(dir.path()), dir.path(), now).unwrap();
        assert_eq!(names(&watch, now), ["renamed.tsfile"]);
        watch.scan(&disk(dir.path()), dir.path(), now + Duration::from_secs(2)).unwrap();
        assert_eq!(names(&watch, now), ["renamed.tsfile", "a.tsfile"]);
        assert_eq!(
            watch.file("a.tsfile").unwrap().quiet(now + Duration::from_secs(5)).as_secs(),
            5
        );
    }

    #[test]
    fn only_regular_files_with_fitting_names_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["a.tsfile", "a.tsfile.mods", "a.tsfile.mods2", "a.tsfile.resource", ".b.tsfile", "c"]
        {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        fs::create_dir(dir.path().join("d.tsfile")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("e.tsfile")).unwrap();
        let (mut watch, now) = (Watch::default(), Instant::now());
        watch.scan(&disk(dir.path()), dir.path(), now).unwrap();
        watch.scan(&disk(dir.path()), dir.path(), now).unwrap();
        let mut seen = names(&watch, now);
        seen.sort();
        assert_eq!(seen, ["a.tsfile", "a.tsfile.mods", "a.tsfile.mods2"]);
    }

    #[test]
    fn the_oldest_files_come_first_and_a_full_table_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..WATCHED_MAX as u64 + 10 {
            let path = dir.path().join(format!("{number}.tsfile"));
            fs::write(&path, b"x").unwrap();
            set_modified(&path, SystemTime::UNIX_EPOCH + Duration::from_secs(10_000 - number));
        }
        let (mut watch, now) = (Watch::default(), Instant::now());
        watch.scan(&disk(dir.path()), dir.path(), now).unwrap();
        let seen = names(&watch, now);
        assert_eq!(seen.len(), WATCHED_MAX);
        assert_eq!(seen[0], "1033.tsfile");
        watch.forget("1033.tsfile");
        watch.put_off("1032.tsfile", now + Duration::from_secs(1));
        assert_eq!(names(&watch, now)[0], "1031.tsfile");
        assert_eq!(names(&watch, now + Duration::from_secs(1))[0], "1032.tsfile");
    }

    #[test]
    fn a_second_name_makes_a_file_unfit_to_be_moved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tsfile");
        fs::write(&path, b"x").unwrap();
        assert!(disk(dir.path()).stamp(&path).unwrap().is_sole_name());
        fs::hard_link(&path, dir.path().join("b")).unwrap();
        assert!(!disk(dir.path()).stamp(&path).unwrap().is_sole_name());
    }

    #[test]
    #[cfg(feature = "simulation")]
    fn a_file_does_not_go_without_mods_that_the_disk_does_not_show() {
        use crate::spool::{Fault, SimDisk};
        let (dir, now) = (Path::new("/inbox"), Instant::now());
        let mut left_out = 0;
        for call in 0..10 {
            let disk = SimDisk::new(1, 1 << 20);
            disk.place(&dir.join("a.tsfile"), b"x");
            disk.place(&dir.join("a.tsfile.mods"), b"x");
            let mut watch = Watch::default();
            disk.schedule(call, Fault::Io, false);
            let scanned = watch.scan(&disk, dir, now);
            if scanned.is_ok() && watch.file("a.tsfile").is_none() {
                let (name, _) = watch.take_unreadable().unwrap();
                assert_eq!(name, "a.tsfile");
                left_out += 1;
            }
            let is_there = |name: &str| watch.file(name).is_some();
            assert_eq!(is_there("a.tsfile"), is_there("a.tsfile.mods"), "{call}");
            disk.heal();
            watch.scan(&disk, dir, now).unwrap();
            assert!(watch.file("a.tsfile").is_some() && watch.take_unreadable().is_none());
        }
        assert_eq!(left_out, 2, "once for each of the two");
    }

    #[test]
    fn what_cannot_go_takes_no_place_of_what_can() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, seconds| {
            let path = dir.path().join(name);
            fs::write(&path, b"x").unwrap();
            set_modified(&path, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        };
        for number in 0..WATCHED_MAX as u64 {
            put(&format!("orphan{number}.tsfile.mods"), number);
            put(&format!("bad{number}.tsfile"), number);
        }
        put("new.tsfile.mods", 9000);
        put("new.tsfile", 9000);
        let (mut watch, now) = (Watch::default(), Instant::now());
        watch.scan(&disk(dir.path()), dir.path(), now).unwrap();
        assert!(watch.file("new.tsfile").is_none());
        for number in 0..WATCHED_MAX {
            watch.put_off(&format!("bad{number}.tsfile"), now + Duration::from_mins(1));
        }
        let later = now + Duration::from_secs(1);
        watch.scan(&disk(dir.path()), dir.path(), later).unwrap();
        assert_eq!(names(&watch, later), ["new.tsfile", "new.tsfile.mods"]);
        let bad = watch.file("bad0.tsfile").unwrap();
        assert_eq!(bad.quiet(later).as_secs(), 1, "it is remembered");
        let orphans = watch.orphans().unwrap();
        assert_eq!((orphans.count, orphans.oldest.as_str()), (WATCHED_MAX, "orphan0.tsfile.mods"));
        assert_eq!(orphans.quiet(later).as_secs(), 1);
        put("orphan0.tsfile", 9000);
        watch.scan(&disk(dir.path()), dir.path(), later).unwrap();
        let orphans = watch.orphans().unwrap();
        assert_eq!((orphans.count, orphans.oldest.as_str()), (1023, "orphan1.tsfile.mods"));
        assert_eq!(orphans.quiet(later).as_secs(), 0);
    }
}

//! Originals that go, and what a crash left.

use std::io;
use std::path::{Path, PathBuf};

use super::job::Copying;
use super::journal::{Original, Taking};
use super::{InboxError, Settings, Store, disk, journal};
use crate::data::Sequence;
use crate::spool::Disk;

/// Name in the staging directory of a file that is on its way to quarantine: the only one there whose
/// original is gone.
pub(super) const REFUSED: &str = "refused";

/// Name in the archive directory of a copy that is not complete: one at a time, hidden from scripts.
const PARTIAL: &str = ".penstock.partial";

/// An entry that is durable, and whose originals are to go.
#[derive(Debug)]
pub(super) struct PutAway {
    pub(super) sequence: Sequence,
    /// The journal names the entry.
    pub(super) noted: bool,
    /// The copy into an archive on another file system.
    copying: Option<Copying>,
}

impl PutAway {
    pub(super) const fn new(sequence: Sequence, noted: bool) -> Self {
        Self { sequence, noted, copying: None }
    }

    /// Removes or archives an original, unless another file has its name now. False if there is more to do.
    pub(super) fn step<D: Disk>(
        &mut self,
        disk_: &D,
        settings: &Settings,
        original: &Original,
    ) -> Result<bool, InboxError> {
        let path = &settings.dir.join(&original.name);
        match disk_.stamp(path) {
            Ok(stamp) if stamp == original.stamp => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(disk("look at", path)(error));
            }
            _ => return Ok(true),
        }
        match &settings.archive_dir {
            None => disk_.remove(path).map_err(disk("remove", path))?,
            Some(archive) if self.archive(disk_, archive, path, original)? => {}
            Some(_) => return Ok(false),
        }
        disk_.sync_dir(&settings.dir).map_err(disk("sync", &settings.dir))?;
        Ok(true)
    }

    fn archive<D: Disk>(
        &mut self,
        disk_: &D,
        archive: &Path,
        path: &Path,
        original: &Original,
    ) -> Result<bool, InboxError> {
        let Some(copying) = &mut self.copying else {
            disk_.create_dir(archive).map_err(disk("make", archive))?;
            let to = free_name(disk_, archive, &original.name, self.sequence)?;
            return match disk_.rename(path, &to) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    let from = (path.to_owned(), original.stamp);
                    self.copying = Some(Copying::new(from, archive.join(PARTIAL)));
                    Ok(false)
                }
                moved => {
                    moved.map_err(disk("archive", path))?;
                    disk_.sync_dir(archive).map_err(disk("sync", archive)).map(|()| true)
                }
            };
        };
        let partial = copying.path().to_owned();
        let done = copying.step(disk_).map_err(disk("archive", path)).and_then(|complete| {
            if complete {
                let to = free_name(disk_, archive, &original.name, self.sequence)?;
                disk_.rename(&partial, &to).map_err(disk("archive", path))?;
                disk_.sync_dir(archive).map_err(disk("sync", archive))?;
                disk_.remove(path).map_err(disk("remove", path))?;
            }
            Ok(complete)
        });
        if !matches!(done, Ok(false)) {
            self.copying = None;
        }
        // It goes with an error: on a full disk it would be in somebody's way.
        done.inspect_err(|_| drop(disk_.remove(&partial)))
    }
}

/// A name in the archive that no file has.
fn free_name<D: Disk>(
    disk_: &D,
    archive: &Path,
    name: &str,
    sequence: Sequence,
) -> Result<PathBuf, InboxError> {
    let mut to = archive.join(name);
    let mut number = sequence.0;
    while exists(disk_, &to)? {
        to = archive.join(format!("{number}-{name}"));
        number = number.saturating_add(1);
    }
    Ok(to)
}

fn exists<D: Disk>(disk_: &D, path: &Path) -> Result<bool, InboxError> {
    match disk_.file_bytes(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true).map_err(disk("look at", path)),
    }
}

/// Takes back what the journal tells, or returns the entry that it had become.
pub(super) fn resume<D: Disk, S: Store>(
    disk_: &D,
    store: &mut S,
    taking: &mut Taking,
) -> Result<Option<Sequence>, InboxError> {
    if let Some(sequence) = taking.sealed {
        return Ok(Some(Sequence(sequence)));
    }
    let hash = blake3::Hash::from_hex(&taking.blake3);
    let (Some(last), Ok(hash)) = (taking.originals.last(), hash) else { return Ok(None) };
    if let Some(sequence) = store.was_sealed(taking.from(), &last.name, hash.as_bytes())? {
        taking.sealed = Some(sequence.0);
        journal::write(disk_, taking).map_err(disk("note", &*last.name))?;
        return Ok(Some(sequence));
    }
    for file in store.adopted()? {
        if taking.originals.iter().any(|original| original.name == file.name) {
            store.discard(file.partial)?;
        }
    }
    Ok(None)
}

/// Moves a file to the spool's file system. Where that is a copy, it is durable before the original goes.
pub(super) fn bring<D: Disk>(disk_: &D, from: &Path, to: &Path) -> Result<(), InboxError> {
    match disk_.rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_durably(disk_, from, to).map_err(disk("copy", from))?;
            disk_.remove(from).map_err(disk("remove", from))
        }
        moved => moved.map_err(disk("move", from)),
    }
}

fn copy_durably<D: Disk>(disk_: &D, from: &Path, to: &Path) -> io::Result<()> {
    let stamp = disk_.stamp(from)?;
    let mut copying = Copying::new((from.to_owned(), stamp), to.to_owned());
    while !copying.step(disk_)? {}
    to.parent().map_or(Ok(()), |dir| disk_.sync_dir(dir))
}

/// Removes the copies of the run before; the only one without an original goes into the spool, and from there to
/// quarantine as soon as that has room.
pub(super) fn clear<D: Disk, S: Store>(
    disk_: &D,
    store: &mut S,
    staging: &Path,
) -> Result<(), InboxError> {
    let mut names = Vec::new();
    let note = &mut |name: &str| names.push(name.to_owned());
    disk_.list(staging, note).map_err(disk("list", staging))?;
    for path in names.iter().map(|name| staging.join(name)) {
        if path.ends_with(REFUSED) {
            store.adopt(&path)?;
        } else {
            disk_.remove(&path).map_err(disk("remove", path))?;
        }
    }
    Ok(())
}

//! Originals that go, and what a crash left.

use std::io;
use std::path::Path;

use super::journal::{Original, Taking};
use super::scan::Stamp;
use super::{InboxError, Settings, Store, disk};
use crate::data::Sequence;
use crate::spool::Disk;

/// Name in the staging directory of a file that is on its way to quarantine: the only one there whose
/// original is gone.
pub(super) const REFUSED: &str = "refused";

/// Finishes or takes back what the journal tells.
pub(super) fn resume<D: Disk, S: Store>(
    disk_: &D,
    store: &mut S,
    settings: &Settings,
    taking: &Taking,
) -> Result<(), InboxError> {
    let hash = blake3::Hash::from_hex(&taking.blake3);
    let (Some(last), Ok(hash)) = (taking.originals.last(), hash) else { return Ok(()) };
    if store.was_sealed(taking.from(), &last.name, hash.as_bytes())? {
        for original in &taking.originals {
            put_away(disk_, settings, original, None)?;
        }
        return Ok(());
    }
    for file in store.adopted()? {
        if taking.originals.iter().any(|original| original.name == file.name) {
            store.discard(file.partial)?;
        }
    }
    Ok(())
}

/// Removes or archives an original, unless another file has its name now.
pub(super) fn put_away<D: Disk>(
    disk_: &D,
    settings: &Settings,
    original: &Original,
    sequence: Option<Sequence>,
) -> Result<(), InboxError> {
    let path = &settings.dir.join(&original.name);
    match Stamp::of(path) {
        Ok(stamp) if stamp == original.stamp => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(disk("look at", path)(error));
        }
        _ => return Ok(()),
    }
    match &settings.archive_dir {
        None => disk_.remove(path).map_err(disk("remove", path))?,
        Some(archive) => put_into_archive(disk_, archive, path, &original.name, sequence)?,
    }
    disk_.sync_dir(&settings.dir).map_err(disk("sync", &settings.dir))
}

fn put_into_archive<D: Disk>(
    disk_: &D,
    archive: &Path,
    path: &Path,
    name: &str,
    sequence: Option<Sequence>,
) -> Result<(), InboxError> {
    disk_.create_dir(archive).map_err(disk("make", archive))?;
    let mut to = archive.join(name);
    let mut number = sequence.unwrap_or_default().0;
    while to.exists() {
        to = archive.join(format!("{number}-{name}"));
        number += 1;
    }
    match disk_.rename(path, &to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_durably(path, &to).map_err(disk("archive", path))?;
            disk_.remove(path).map_err(disk("remove", path))?;
        }
        moved => moved.map_err(disk("archive", path))?,
    }
    disk_.sync_dir(archive).map_err(disk("sync", archive))
}

/// Moves a file to the spool's file system. Where that is a copy, it is durable before the original goes.
pub(super) fn bring<D: Disk>(disk_: &D, from: &Path, to: &Path) -> Result<(), InboxError> {
    match disk_.rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_durably(from, to).map_err(disk("copy", from))?;
            disk_.remove(from).map_err(disk("remove", from))
        }
        moved => moved.map_err(disk("move", from)),
    }
}

fn copy_durably(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::copy(from, to)?;
    std::fs::File::open(to)?.sync_all()
}

/// Removes the copies of the run before; the only one without an original goes to quarantine.
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
    for file in store.adopted()?.iter().filter(|file| file.name == REFUSED) {
        store.quarantine(file.partial, "inbox: refused before the program was stopped")?;
    }
    Ok(())
}

//! Files that are still arriving.

use std::path::{Path, PathBuf};

use crate::limits::PARTIALS_MAX;
use crate::spool::dirty::Dirty;
use crate::spool::files::{PARTIALS, each_name, open_adopted};
use crate::spool::{Disk, DiskFile, Fatal, Misuse, PartialId};

/// The number and the kept name in the name of a partial.
fn parse_partial_name(name: &str) -> Option<(u64, Option<&str>)> {
    let mut parts = name.splitn(2, '-');
    Some((parts.next()?.parse().ok()?, parts.next()))
}

/// All partials.
#[derive(Debug)]
pub(super) struct Partials<F> {
    pub(super) table: Vec<Partial<F>>,
    next: u64,
    /// Their bytes together.
    pub(super) bytes: u64,
}

#[derive(Debug)]
pub(super) struct Partial<F> {
    pub(super) id: PartialId,
    pub(super) file: F,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    dirty: Dirty,
    /// Original name, if it came from the inbox.
    pub(super) adopted: Option<String>,
}

impl<F: DiskFile> Partials<F> {
    pub(super) const fn new() -> Self {
        Self { table: Vec::new(), next: 1, bytes: 0 }
    }

    /// Finds what a crash left: adopted files become partials again, the rest is removed. Returns how many were.
    pub(super) fn open<D: Disk<File = F>>(disk: &D) -> Result<(Self, u32), Fatal> {
        let dir = Path::new(PARTIALS);
        let mut partials = Self::new();
        let mut removed = 0;
        each_name(disk, dir, &mut |name| {
            let path = dir.join(name);
            if let Some((id, Some(original))) = parse_partial_name(name) {
                partials.next = partials.next.max(id + 1);
                return partials.resume(disk, PartialId(id), path, original.to_owned());
            }
            removed += 1;
            disk.remove(&path).map_err(Fatal::at("remove", &path))
        })?;
        Ok((partials, removed))
    }

    /// Makes a partial of a file that lies in the partials' directory.
    pub(super) fn resume<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        id: PartialId,
        path: PathBuf,
        original: String,
    ) -> Result<(), Fatal> {
        let file = open_adopted(disk, &path).map_err(Fatal::at("open", &path))?;
        let bytes = file.bytes().map_err(Fatal::at("look at", &path))?;
        self.keep(id, file, bytes, (path, original));
        Ok(())
    }

    /// Notes a file that lies in the partials' directory, with its path there and its original name.
    pub(super) fn keep(
        &mut self,
        id: PartialId,
        file: F,
        bytes: u64,
        (path, original): (PathBuf, String),
    ) {
        self.bytes += bytes;
        self.table.push(Partial {
            id,
            file,
            path,
            bytes,
            dirty: Dirty::behind(bytes),
            adopted: Some(original),
        });
    }

    /// Takes back an adopted file that was sealed but whose entry did not become durable.
    pub(super) fn take_back<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        from: &Path,
        original: &str,
    ) -> Result<(), Fatal> {
        let (id, path) = self.name(Some(original));
        disk.rename(from, &path).map_err(Fatal::at("rename", from))?;
        self.resume(disk, id, path, original.to_owned())
    }

    pub(super) fn name(&mut self, adopted: Option<&str>) -> (PartialId, PathBuf) {
        let id = self.next;
        self.next += 1;
        let name = adopted.map_or_else(|| id.to_string(), |name| format!("{id}-{name}"));
        (PartialId(id), Path::new(PARTIALS).join(name))
    }

    pub(super) fn find(&self, id: PartialId) -> Result<&Partial<F>, Misuse> {
        self.table.iter().find(|partial| partial.id == id).ok_or(Misuse::UnknownPartial(id))
    }

    pub(super) fn find_mut(&mut self, id: PartialId) -> Result<&mut Partial<F>, Misuse> {
        self.table.iter_mut().find(|partial| partial.id == id).ok_or(Misuse::UnknownPartial(id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partial<F>> {
        self.table.iter()
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    /// Takes a partial out of the table; its file stays where it is.
    pub(super) fn release(&mut self, id: PartialId) {
        if let Some(index) = self.table.iter().position(|partial| partial.id == id) {
            self.bytes -= self.table.swap_remove(index).bytes;
        }
    }

    pub(super) fn check_room(&self) -> Result<(), Misuse> {
        if self.table.len() >= PARTIALS_MAX {
            return Err(Misuse::TooMany { what: "partials", max: PARTIALS_MAX });
        }
        Ok(())
    }

    pub(super) fn resize(&mut self, id: PartialId, bytes: u64) {
        if let Ok(partial) = self.find_mut(id) {
            let before = std::mem::replace(&mut partial.bytes, bytes);
            self.bytes = self.bytes - before + bytes;
        }
    }
}

impl<F: DiskFile> Partial<F> {
    /// An empty file that was just made.
    pub(super) const fn new(id: PartialId, file: F, path: PathBuf) -> Self {
        Self { id, file, path, bytes: 0, dirty: Dirty::behind(0), adopted: None }
    }

    /// Bytes up to `end` are there.
    pub(super) fn drain(&mut self, end: u64) -> Result<(), Fatal> {
        self.dirty.grow(&self.file, end).map_err(Fatal::at("write", &self.path))
    }

    /// What comes behind `bytes` is written anew.
    pub(super) fn cut(&mut self, bytes: u64) {
        self.dirty.cut(bytes);
    }

    /// Everything is durable on return, and the file is exactly as long as it counts.
    pub(super) fn settle(&self) -> Result<(), Fatal> {
        if self.file.bytes().map_err(Fatal::at("look at", &self.path))? != self.bytes {
            self.file.truncate(self.bytes).map_err(Fatal::at("truncate", &self.path))?;
        }
        self.file.sync_data().map_err(Fatal::at("sync", &self.path))
    }
}

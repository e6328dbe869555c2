//! The file store: what is still arriving (partials), and what entries name (files).
//!
//! ```text
//!  create, write, truncate  -> partial/<id> --.
//!  adopt (rename)           -> partial/<id>-<name> --+-- seal: sync, rename --> files/<sequence>-<n>[-<name>]
//!                                                    +-- discard: remove
//!                                                    '-- quarantine: rename
//! ```
//!
//! A crash leaves partials, which the next start removes, except those from the inbox: they are the only copy, and go
//! back to the inbox's owner under their name ([`Spool::adopted`]).

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::limits::FILE_NAME_BYTES_MAX;
use crate::spool::disk::is_full;
use crate::spool::partials::Partial;
use crate::spool::quarantine::copy_of;
use crate::spool::quota::Measure;
use crate::spool::{
    Disk, DiskFile, Fatal, FileReader, Full, Misuse, OpenMode, PartialError, Spool, write_all_at,
};

/// Directory of sealed files.
pub(super) const FILES: &str = "spool/files";
/// Directory of partials.
pub(super) const PARTIALS: &str = "spool/partial";

/// A file that is still arriving, or a spilled request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialId(pub(super) u64);

/// Path of the `index`-th file of the entry with this sequence.
pub(super) fn file_path(sequence: u64, index: usize, adopted: Option<&str>) -> PathBuf {
    PathBuf::from(match adopted {
        None => format!("{FILES}/{sequence:020}-{index}"),
        Some(name) => format!("{FILES}/{sequence:020}-{index}-{name}"),
    })
}

/// The sequence and the kept name in the name of a sealed file.
pub(super) fn parse_file_name(name: &str) -> Option<(u64, Option<&str>)> {
    let mut parts = name.splitn(3, '-');
    let sequence = parts.next().filter(|digits| digits.len() == 20)?.parse().ok()?;
    parts.next()?;
    Some((sequence, parts.next()))
}

/// Whether a name can be the name of a file in the store.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= FILE_NAME_BYTES_MAX
        && !name.contains(['/', '\0'])
        && !matches!(name, "." | "..")
}

/// Does something with each name in a directory, which may remove or move it; ends at the first failure. Nothing is
/// collected: a store may hold any number of files.
pub(super) fn each_name<D: Disk>(
    disk: &D,
    dir: &Path,
    work: &mut dyn FnMut(&str) -> Result<(), Fatal>,
) -> Result<(), Fatal> {
    let mut done = Ok(());
    let listed = disk.list(dir, &mut |name| {
        if done.is_ok() {
            done = work(name);
        }
    });
    listed.map_err(Fatal::at("list", dir)).and(done)
}

impl<D: Disk> Spool<D> {
    /// Makes an empty partial.
    ///
    /// # Errors
    /// [`Misuse::TooMany`], or the disk's.
    pub fn create_partial(&mut self) -> Result<PartialId, PartialError> {
        self.check_writable()?;
        self.partials.check_room()?;
        let (id, path) = self.partials.name(None);
        let file = match self.disk.open(&path, OpenMode::Create) {
            Ok(file) => file,
            Err(error) => return Err(self.partial_trouble("make", &path, 0, error)),
        };
        self.partials.table.push(Partial::new(id, file, path));
        Ok(id)
    }

    /// Writes into a partial, at its end or over what is there. The disk begins to write them by itself.
    ///
    /// # Errors
    /// [`PartialError::Full`]: nothing counts as written. [`Misuse::Gap`].
    pub fn write_partial(
        &mut self,
        id: PartialId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), PartialError> {
        self.check_writable()?;
        let partial = self.partials.find(id)?;
        if offset > partial.bytes {
            return Err(Misuse::Gap { offset, bytes: partial.bytes }.into());
        }
        let end = offset + bytes.len() as u64;
        let growth = end.saturating_sub(partial.bytes);
        if growth > 0 {
            self.make_room_beside_the_log(growth)?;
        }
        let partial = self.partials.find_mut(id)?;
        if let Err(error) = write_all_at(&partial.file, offset, &mut [IoSlice::new(bytes)]) {
            let path = partial.path.clone();
            return Err(self.partial_trouble("write", &path, growth, error));
        }
        let drained = partial.drain(end);
        let end = end.max(partial.bytes);
        self.partials.resize(id, end);
        self.room.spent(growth);
        drained.map_err(|fatal| self.fail(fatal).into())
    }

    /// Cuts a partial back to `bytes`.
    ///
    /// # Errors
    /// [`Misuse::Gap`] if it is shorter.
    pub fn truncate_partial(&mut self, id: PartialId, bytes: u64) -> Result<(), PartialError> {
        self.check_writable()?;
        let partial = self.partials.find(id)?;
        if bytes > partial.bytes {
            return Err(Misuse::Gap { offset: bytes, bytes: partial.bytes }.into());
        }
        if let Err(error) = partial.file.truncate(bytes) {
            let path = partial.path.clone();
            return Err(self.fail(Fatal::at("truncate", &path)(error)).into());
        }
        self.partials.find_mut(id)?.cut(bytes);
        self.partials.resize(id, bytes);
        self.room.changed();
        Ok(())
    }

    /// Removes a partial.
    ///
    /// # Errors
    /// The disk's.
    pub fn discard_partial(&mut self, id: PartialId) -> Result<(), PartialError> {
        self.check_writable()?;
        let path = self.partials.find(id)?.path.clone();
        if let Err(error) = self.disk.remove(&path) {
            return Err(self.fail(Fatal::at("remove", &path)(error)).into());
        }
        self.partials.release(id);
        self.room.changed();
        Ok(())
    }

    /// Bytes of a partial.
    pub fn partial_bytes(&self, id: PartialId) -> Option<u64> {
        self.partials.find(id).ok().map(|partial| partial.bytes)
    }

    /// Positioned reads of a partial as long as it is now, for any thread.
    ///
    /// # Errors
    /// [`Misuse::UnknownPartial`], or the disk's.
    pub fn partial_reader(&self, id: PartialId) -> Result<FileReader<D::File>, PartialError> {
        let partial = self.partials.find(id)?;
        let opened = self.disk.open(&partial.path, OpenMode::Read);
        let file = opened.map_err(Fatal::at("open", &partial.path))?;
        Ok(FileReader::new(file, partial.bytes))
    }

    /// Takes a file over by renaming it into the store, where it is a partial that survives a restart
    /// ([`Spool::adopted`]) until it is sealed, discarded or quarantined. The name is durable on return. It has at most
    /// [`FILE_NAME_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`PartialError::OtherFileSystem`]: copy it into a partial instead. [`PartialError::Full`]: it does not fit into
    /// the quota, although it is on the disk already.
    pub fn adopt(&mut self, path: &Path) -> Result<PartialId, PartialError> {
        self.check_writable()?;
        self.partials.check_room()?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_file_name(name) {
            return Err(Misuse::Name(path.display().to_string()).into());
        }
        // Opened before it is moved: what cannot be read stays where it is.
        let file = open_adopted(&self.disk, path).map_err(|error| unreadable(path, error))?;
        let bytes = file.bytes().map_err(|error| unreadable(path, error))?;
        self.make_room_beside_the_log(bytes)?;
        let (id, to) = self.partials.name(Some(name));
        if let Err(error) = self.disk.rename(path, &to) {
            if error.kind() == io::ErrorKind::CrossesDevices {
                return Err(PartialError::OtherFileSystem(path.to_path_buf()));
            }
            if is_full(&error) {
                return Err(self.partial_trouble("rename", path, bytes, error));
            }
            // Gone, or in a directory that lets nobody take it: no failure of our disk, which its next sync would tell.
            // If it was moved after all, the next start finds it.
            return Err(unreadable(path, error));
        }
        let from = path.parent().unwrap_or(path);
        let settled = (self.disk.sync_dir(Path::new(PARTIALS)))
            .map_err(Fatal::at("sync", Path::new(PARTIALS)))
            .and_then(|()| match self.disk.sync_dir(from) {
                // Whoever removed the directory has removed the old name with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                synced => synced.map_err(Fatal::at("sync", from)),
            });
        settled.map_err(|fatal| self.fail(fatal))?;
        self.partials.keep(id, file, bytes, (to, name.to_owned()));
        self.room.changed();
        Ok(id)
    }

    /// Adopted files that are not sealed yet: id, original name, bytes. After a start these are what the run before
    /// had not finished.
    pub fn adopted(&self) -> impl Iterator<Item = (PartialId, &str, u64)> {
        self.partials.iter().filter_map(|partial| {
            partial.adopted.as_deref().map(|name| (partial.id, name, partial.bytes))
        })
    }

    /// Whether a file of this length could be taken now.
    ///
    /// # Errors
    /// [`Full`] with the bytes needed and available; hopeless if `needed` exceeds `limit`.
    pub fn room_for(&mut self, bytes: u64) -> Result<(), Full> {
        let mut measure = self.measured().beside(self.settings.segment_bytes);
        measure.available += self.expendable_bytes();
        measure.check(bytes)
    }

    /// Bytes that could be written now, of the log or of files.
    pub fn available_bytes(&mut self) -> u64 {
        let available = self.measured().available;
        available.saturating_add(self.expendable_bytes())
    }

    /// What cannot be asked now will be asked again when the bytes come.
    fn measured(&mut self) -> Measure {
        let used = self.used_bytes();
        self.room.measure(&self.disk, used).unwrap_or_else(|_| self.room.last(used))
    }

    /// Whether a thing of so many bytes, with its reason, could be put into quarantine now.
    ///
    /// # Errors
    /// [`Full`] with the numbers of the quarantine.
    pub fn quarantine_room(&self, bytes: u64) -> Result<(), Full> {
        self.quarantine.room_for(bytes)
    }

    /// Counts the quarantine again, since people take things away.
    ///
    /// # Errors
    /// What the disk says; the numbers are the old ones then.
    pub fn recount_quarantine(&mut self) -> Result<(), Fatal> {
        self.quarantine.recount(&self.disk)
    }

    /// Puts a request into quarantine, durable on return.
    ///
    /// # Errors
    /// [`PartialError::Full`] if the quarantine is full.
    pub fn quarantine_bytes(&mut self, bytes: &[&[u8]], why: &str) -> Result<(), PartialError> {
        self.check_writable()?;
        let total = bytes.iter().map(|part| part.len() as u64).sum();
        let put = self.quarantine.put(&self.disk, total, why, &mut copy_of(bytes));
        self.poison(put)
    }

    /// Moves a partial into quarantine, durable on return; the partial is gone.
    ///
    /// # Errors
    /// [`PartialError::Full`] if the quarantine is full: the partial stays.
    pub fn quarantine_partial(&mut self, id: PartialId, why: &str) -> Result<(), PartialError> {
        self.check_writable()?;
        let partial = self.partials.find(id)?;
        self.quarantine.room_for(partial.bytes + why.len() as u64)?;
        let moved = partial.settle().map_err(PartialError::from).and_then(|()| {
            let name = partial.adopted.as_deref();
            self.quarantine.take(&self.disk, &partial.path, name, partial.bytes, why)
        });
        self.poison(moved)?;
        self.partials.release(id);
        self.room.changed();
        Ok(())
    }

    /// An error of the disk while a partial is written: no room, or the end.
    fn partial_trouble(
        &mut self,
        operation: &'static str,
        path: &Path,
        needed: u64,
        error: io::Error,
    ) -> PartialError {
        if is_full(&error) {
            self.room.refused();
            return self.full(needed).into();
        }
        self.fail(Fatal::at(operation, path)(error)).into()
    }

    /// A fatal error among these ends everything.
    fn poison<T>(&mut self, result: Result<T, PartialError>) -> Result<T, PartialError> {
        result.map_err(|error| match error {
            PartialError::Fatal(fatal) => self.fail(fatal).into(),
            PartialError::Full(_)
            | PartialError::ReadOnly
            | PartialError::OtherFileSystem(_)
            | PartialError::Unreadable { .. }
            | PartialError::Misuse(_) => error,
        })
    }
}

/// Opens a file of the inbox. Nothing is ever written to it, so a file that its owner keeps from us to write will do.
pub(super) fn open_adopted<D: Disk>(disk: &D, path: &Path) -> io::Result<D::File> {
    match disk.open(path, OpenMode::Write) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            disk.open(path, OpenMode::Read)
        }
        opened => opened,
    }
}

/// A file of the inbox that cannot be looked at is the inbox's trouble, not ours.
fn unreadable(path: &Path, error: io::Error) -> PartialError {
    PartialError::Unreadable { path: path.to_path_buf(), source: error }
}

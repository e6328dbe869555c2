//! What can never be accepted, or could not be read: kept for a person, never deleted by us.
//!
//! ```text
//!  quarantine/000001          the bytes
//!  quarantine/000001.why      why they are here, one fact a line
//!  quarantine/000002-x.tsfile a file that had a name
//!  quarantine/segment-<20 digits>-<offset>-<8 hex>   a flawed place of the log of the node whose identity begins so;
//!                                                    earlier versions had no digits of it
//! ```

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::data::OriginId;
use crate::spool::disk::is_full;
use crate::spool::files::parse_file_name;
use crate::spool::{Disk, DiskFile, Fatal, Full, OpenMode, PartialError, write_all_at};

/// Directory of the quarantine.
pub(super) const DIR: &str = "quarantine";
const WHY: &str = ".why";
/// More than any node ever counts to, and the next one is a number, too.
const NUMBER_DIGITS_MAX: usize = 15;

/// Of the node's identity, in the name of a place.
const NODE_DIGITS: usize = 8;

/// The quarantine's table of contents: numbers only.
#[derive(Debug)]
pub(super) struct Quarantine {
    pub(super) things: u64,
    pub(super) bytes: u64,
    /// Of these, what lay in the spool's store: the limit is for what comes from outside.
    stored: u64,
    next: u64,
    limit: u64,
}

impl Quarantine {
    /// With nothing in it.
    pub(super) const fn empty(limit: u64) -> Self {
        Self { things: 0, bytes: 0, stored: 0, next: 1, limit }
    }

    /// Counts what is there.
    pub(super) fn open<D: Disk>(disk: &D, limit: u64) -> Result<Self, Fatal> {
        let dir = Path::new(DIR);
        let mut quarantine = Self::empty(limit);
        let listed = disk.list(dir, &mut |name| {
            quarantine.next = quarantine.next.max(number_of(name).unwrap_or(0) + 1);
            quarantine.things += u64::from(!name.ends_with(WHY));
            let bytes = disk.file_bytes(&dir.join(name)).unwrap_or_default();
            quarantine.bytes += bytes;
            quarantine.stored += if is_stored(name) { bytes } else { 0 };
        });
        listed.map_err(Fatal::at("list", dir))?;
        Ok(quarantine)
    }

    /// Counts again: people take things away.
    pub(super) fn recount<D: Disk>(&mut self, disk: &D) -> Result<(), Fatal> {
        let counted = Self::open(disk, self.limit)?;
        // Numbers are not given twice in a run, even if the things are gone.
        *self = Self { next: self.next.max(counted.next), ..counted };
        Ok(())
    }

    /// Whether so many bytes fit.
    pub(super) fn room_for(&self, needed: u64) -> Result<(), Full> {
        let available = self.limit.saturating_sub(self.bytes.saturating_sub(self.stored));
        if needed <= available {
            return Ok(());
        }
        Err(Full { needed, available, limit: self.limit })
    }

    /// Takes bytes in, piece by piece: `fill` writes the next ones and returns how many, 0 at the end. Durable on return.
    pub(super) fn put<D: Disk>(
        &mut self,
        disk: &D,
        bytes: u64,
        why: &str,
        fill: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> Result<(), PartialError> {
        self.room_for(bytes + why.len() as u64)?;
        let path = self.path("");
        let written = write(disk, &path, fill).map_err(Fatal::at("write", &path));
        let reason = self.path(WHY);
        self.settle(disk, &reason, bytes, why, written).inspect_err(|_| {
            // What is left of it counts at the next start at the latest; nobody was promised anything.
            drop(disk.remove(&path));
        })
    }

    /// Keeps a flawed place of the log. Returns false if it was kept before, whichever run it was.
    pub(super) fn put_place<D: Disk>(
        &mut self,
        disk: &D,
        (node, segment, offset): (OriginId, u64, u64),
        bytes: u64,
        why: &str,
        fill: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> Result<bool, PartialError> {
        // A spool that was removed counts from 1 again, under another identity.
        let node: String = node.to_string().chars().take(NODE_DIGITS).collect();
        let path = format!("{DIR}/segment-{segment:020}-{offset}-{node}");
        let (reason, path) = (PathBuf::from(format!("{path}{WHY}")), PathBuf::from(path));
        if disk.file_bytes(&reason).is_ok() {
            return Ok(false);
        }
        self.room_for(bytes + why.len() as u64)?;
        let written = write(disk, &path, fill).map_err(Fatal::at("write", &path));
        self.settle(disk, &reason, bytes, why, written)?;
        Ok(true)
    }

    /// Moves a file in, whatever the limit: it lies on this disk already, and nothing becomes free by leaving it there.
    /// Durable on return.
    pub(super) fn take<D: Disk>(
        &mut self,
        disk: &D,
        from: &Path,
        name: Option<&str>,
        bytes: u64,
        why: &str,
    ) -> Result<(), PartialError> {
        let path = self.path(&name.map(|name| format!("-{name}")).unwrap_or_default());
        let written = disk.rename(from, &path).map_err(Fatal::at("move", from));
        let reason = self.path(WHY);
        self.settle(disk, &reason, bytes, why, written).inspect_err(|error| {
            if matches!(error, PartialError::Full(_)) {
                drop(disk.rename(&path, from));
            }
        })
    }

    /// Moves a file of the spool's store in, under its name there. It does not count against the limit, or one file of
    /// the spool could keep out whatever comes from outside, for good. Durable on return.
    pub(super) fn take_stored<D: Disk>(
        &mut self,
        disk: &D,
        (from, name): (&Path, &str),
        bytes: u64,
        why: &str,
    ) -> Result<(), PartialError> {
        self.take(disk, from, Some(name), bytes, why)?;
        self.stored += bytes;
        Ok(())
    }

    fn path(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{DIR}/{:06}{suffix}", self.next))
    }

    /// Writes the reason beside the thing and makes both durable; counts them.
    fn settle<D: Disk>(
        &mut self,
        disk: &D,
        reason: &Path,
        bytes: u64,
        why: &str,
        written: Result<(), Fatal>,
    ) -> Result<(), PartialError> {
        self.next += 1;
        let done = written.and_then(|()| {
            let text = [why.as_bytes()];
            write(disk, reason, &mut copy_of(&text)).map_err(Fatal::at("write", reason))?;
            disk.sync_dir(Path::new(DIR)).map_err(Fatal::at("sync", Path::new(DIR)))
        });
        match done {
            Ok(()) => {
                self.things += 1;
                self.bytes += bytes + why.len() as u64;
                Ok(())
            }
            Err(fatal) if is_full(&fatal.source) => {
                drop(disk.remove(reason));
                let needed = bytes + why.len() as u64;
                Err(Full { needed, available: 0, limit: self.limit }.into())
            }
            Err(fatal) => Err(fatal.into()),
        }
    }
}

/// The number in the name of a thing; whatever else people put there has none.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.split(['-', '.']).next()?;
    (digits.len() <= NUMBER_DIGITS_MAX).then(|| digits.parse().ok()).flatten()
}

/// Whether a thing has the name of a file of the spool's store.
fn is_stored(name: &str) -> bool {
    let own = name.split_once('-').filter(|_| number_of(name).is_some());
    own.is_some_and(|(_, stored)| parse_file_name(stored).is_some())
}

/// A `fill` for bytes in memory.
pub(super) fn copy_of<'a>(
    parts: &'a [&'a [u8]],
) -> impl FnMut(u64, &mut [u8]) -> io::Result<usize> + 'a {
    let mut rest = parts.iter().flat_map(|part| part.iter());
    move |_, into| Ok(into.iter_mut().zip(&mut rest).map(|(to, from)| *to = *from).count())
}

fn write<D: Disk>(
    disk: &D,
    path: &Path,
    fill: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Create)?;
    let mut buffer = [0; 4096];
    let mut offset = 0;
    loop {
        let count = fill(offset, &mut buffer)?;
        if count == 0 {
            return file.sync_data();
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        write_all_at(&file, offset, &mut [IoSlice::new(bytes)])?;
        offset += count as u64;
    }
}

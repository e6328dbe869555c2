//! What was taken under each identity, so that a repetition is told from something else under the same number.
//!
//! ```text
//!  note --> recent, in memory --full, or a segment ends--> spool/seen/<origin id>
//!
//!  <origin id>: a slot for each sequence, at 8 * (sequence mod 2^20)
//!     0      4  digest: CRC of what the entry holds
//!     4      4  CRC of version, sequence and digest: what is torn, flipped or of another lap is not believed
//! ```
//!
//! A box that was set back to an old state gives numbers a second time. Whoever knows only the numbers would drop
//! its new data as repetitions.
//!
//! The digest is of what is the same in every form: one request may be stored as an entry or as a file, whichever
//! there was room for, and a file is adopted here and received there. What has no digest is not known to be
//! anything else.
//!
//! All files together are bounded, beside the quota: those of origins that were silent longest go first.
//!
//! These files are aids: never synced, and what cannot be read or written is not known. A start notes again what
//! the last segment holds, so that only what a power cut took is missing.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::data::{Identity, OriginId};
use crate::limits::SEEN_BYTES_MAX;
use crate::spool::disk::is_full;
use crate::spool::{Disk, EntryHeader, OpenMode, read_full_at, write_all_at};

/// Where the files lie.
pub(super) const DIR: &str = "spool/seen";
/// Slots of a file: a day at twelve entries a second, in 8 MiB.
const SLOTS: u64 = 1 << 20;
const SLOT_BYTES: usize = 8;
const SLOT_BYTES_LONG: u64 = SLOT_BYTES as u64;
/// Slots of other versions, which had other digests, are not believed.
const VERSION: u8 = 2;
/// Noted entries in memory: 40 KiB.
const RECENT_MAX: usize = 1024;

/// Digests by identity.
#[derive(Debug, Default)]
pub(super) struct Digests {
    recent: VecDeque<Noted>,
}

#[derive(Debug, Clone, Copy)]
struct Noted {
    identity: Identity,
    digest: u32,
}

impl Digests {
    /// An entry was appended, or is found in the log. What is not flushed in time gives way.
    pub(super) fn note(&mut self, header: &EntryHeader) {
        if let Some(digest) = header.content_crc {
            self.push(header.identity, digest);
        }
    }

    fn push(&mut self, identity: Identity, digest: u32) {
        if self.is_full() {
            self.recent.pop_front();
        }
        self.recent.push_back(Noted { identity, digest });
    }

    /// Whether it has to be flushed before the next one.
    pub(super) fn is_full(&self) -> bool {
        self.recent.len() >= RECENT_MAX
    }

    /// Whether what was noted under an identity had this digest; `None` if that is not known.
    pub(super) fn is_same<D: Disk>(
        &self,
        disk: &D,
        identity: Identity,
        digest: u32,
    ) -> Option<bool> {
        let noted = self.recent.iter().filter(|noted| noted.identity == identity);
        // Several: then some of them were taken as new, and each may be repeated.
        let recent = noted.map(|noted| noted.digest == digest).max();
        if recent == Some(true) {
            return recent;
        }
        let kept = read(disk, identity).unwrap_or_else(|error| {
            log::warn!("event=digest_not_read identity={identity} error=\"{error}\"");
            None
        });
        kept.map(|kept| kept == digest).or(recent)
    }

    /// Writes what was noted to the files, without a sync.
    pub(super) fn flush<D: Disk>(&mut self, disk: &D) {
        let mut noted: Vec<Noted> = self.recent.drain(..).collect();
        // Stable: of several for one identity the last one counts.
        noted.sort_by_key(|noted| (noted.identity.origin.0, noted.identity.sequence));
        for run in noted.chunk_by(follows) {
            if let Err(error) = write(disk, run)
                && !is_full(&error)
            {
                log::warn!("event=digests_not_written error=\"{error}\"");
            }
        }
    }

    /// Removes the files of origins that are known no more, for which `latest` has no number, and of those that were
    /// silent longest if all of them take more than [`SEEN_BYTES_MAX`].
    pub(super) fn prune<D: Disk>(disk: &D, latest: impl Fn(OriginId) -> Option<u64>) {
        if let Err(error) = prune(disk, latest) {
            log::warn!("event=digests_not_removed error=\"{error}\"");
        }
    }
}

fn prune<D: Disk>(disk: &D, latest: impl Fn(OriginId) -> Option<u64>) -> io::Result<()> {
    let mut files = Vec::new();
    disk.list(Path::new(DIR), &mut |name| {
        let latest = OriginId::parse(name.as_bytes()).and_then(&latest);
        files.push((latest, Path::new(DIR).join(name)));
    })?;
    files.sort_by_key(|(latest, _)| std::cmp::Reverse(*latest));
    let mut bytes = 0_u64;
    for (latest, path) in files {
        bytes = bytes.saturating_add(disk.file_bytes(&path)?);
        if latest.is_none() || bytes > SEEN_BYTES_MAX {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

/// Whether the slot of the second is the one of the first, or the next.
fn follows(one: &Noted, next: &Noted) -> bool {
    let (one, next) = (one.identity, next.identity);
    let step = offset(next.sequence.0).checked_sub(offset(one.sequence.0));
    one.origin == next.origin
        && next.sequence.0 - one.sequence.0 <= 1
        && matches!(step, Some(0 | SLOT_BYTES_LONG))
}

fn slot(sequence: u64, digest: u32) -> [u8; SLOT_BYTES] {
    let mut check = crc32fast::Hasher::new();
    check.update(&[VERSION]);
    check.update(&sequence.to_le_bytes());
    check.update(&digest.to_le_bytes());
    let slot = u64::from(check.finalize()) << 32 | u64::from(digest);
    slot.to_le_bytes()
}

const fn offset(sequence: u64) -> u64 {
    sequence % SLOTS * SLOT_BYTES_LONG
}

fn path(origin: OriginId) -> PathBuf {
    Path::new(DIR).join(origin.to_string())
}

/// Writes slots that lie side by side.
fn write<D: Disk>(disk: &D, run: &[Noted]) -> io::Result<()> {
    let Some(first) = run.first() else { return Ok(()) };
    let begin = first.identity.sequence.0;
    let mut slots = Vec::with_capacity(run.len() * SLOT_BYTES);
    for noted in run {
        let sequence = noted.identity.sequence.0;
        slots.truncate(usize::try_from(sequence - begin).unwrap_or_default() * SLOT_BYTES);
        slots.extend(slot(sequence, noted.digest));
    }
    let path = path(first.identity.origin);
    let file = match disk.open(&path, OpenMode::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.open(&path, OpenMode::Create)?
        }
        opened => opened?,
    };
    write_all_at(&file, offset(begin), &mut [IoSlice::new(&slots)])
}

fn read<D: Disk>(disk: &D, identity: Identity) -> io::Result<Option<u32>> {
    let file = match disk.open(&path(identity.origin), OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let sequence = identity.sequence.0;
    let mut found = [0; SLOT_BYTES];
    read_full_at(&file, offset(sequence), &mut found)?;
    let [a, b, c, d, ..] = found;
    let digest = u32::from_le_bytes([a, b, c, d]);
    Ok((found == slot(sequence, digest)).then_some(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Sequence;
    use crate::spool::SimDisk;

    fn identity(origin: u8, sequence: u64) -> Identity {
        Identity { origin: OriginId([origin; 16]), sequence: Sequence(sequence) }
    }

    fn disk() -> SimDisk {
        let disk = SimDisk::new(1, 1 << 30);
        disk.create_dir(Path::new(DIR)).unwrap();
        disk
    }

    #[test]
    fn digests_are_found_in_memory_and_in_files() {
        let disk = disk();
        let mut digests = Digests::default();
        let noted = [(1, 1), (2, 7), (1, 2), (1, 9), (1, SLOTS - 1), (1, SLOTS), (2, SLOTS + 7)];
        for (at, (origin, sequence)) in (1..).zip(noted) {
            digests.push(identity(origin, sequence), at);
        }
        for _ in 0..2 {
            for (at, (origin, sequence)) in (1..).zip(noted) {
                let is_same = |digest| digests.is_same(&disk, identity(origin, sequence), digest);
                // A later lap has taken the slot of the second.
                let flushed = digests.recent.is_empty();
                let known = !flushed || (origin, sequence) != (2, 7);
                assert_eq!(is_same(at), known.then_some(true), "{origin} {sequence}");
                assert_eq!(is_same(at + 1), known.then_some(false), "{origin} {sequence}");
            }
            assert_eq!(digests.is_same(&disk, identity(1, 3), 1), None);
            assert_eq!(digests.is_same(&disk, identity(3, 1), 1), None);
            digests.flush(&disk);
        }
    }

    #[test]
    fn each_of_several_under_one_number_is_known_and_the_last_is_kept() {
        let disk = disk();
        let mut digests = Digests::default();
        digests.push(identity(1, 4), 40);
        digests.push(identity(1, 5), 50);
        digests.push(identity(1, 4), 41);
        let is_same = |digests: &Digests, digest| digests.is_same(&disk, identity(1, 4), digest);
        assert_eq!(
            [40, 41, 42].map(|digest| is_same(&digests, digest)),
            [Some(true), Some(true), Some(false)]
        );
        digests.flush(&disk);
        assert_eq!(
            [40, 41, 42].map(|digest| is_same(&digests, digest)),
            [Some(false), Some(true), Some(false)]
        );
        assert_eq!(digests.is_same(&disk, identity(1, 5), 50), Some(true));
    }

    #[test]
    fn a_slot_that_was_torn_is_not_believed() {
        let disk = disk();
        let mut digests = Digests::default();
        digests.push(identity(1, 4), u32::MAX);
        digests.flush(&disk);
        let file = disk.open(&path(OriginId([1; 16])), OpenMode::Write).unwrap();
        write_all_at(&file, 32, &mut [IoSlice::new(&[0; 2])]).unwrap();
        assert_eq!(digests.is_same(&disk, identity(1, 4), 7), None);
    }

    #[test]
    fn memory_is_bounded_and_files_of_forgotten_origins_go() {
        let disk = disk();
        let mut digests = Digests::default();
        for sequence in 0..5000 {
            digests.push(identity(1, sequence), 7);
        }
        assert_eq!(digests.recent.len(), RECENT_MAX);
        digests.push(identity(2, 1), 7);
        digests.flush(&disk);
        Digests::prune(&disk, |origin| (origin == OriginId([2; 16])).then_some(1));
        assert_eq!(digests.is_same(&disk, identity(1, 4999), 7), None);
        assert_eq!(digests.is_same(&disk, identity(2, 1), 7), Some(true));
    }

    #[test]
    fn files_are_bounded_together_and_those_of_silent_origins_go() {
        let disk = disk();
        let mut digests = Digests::default();
        let count = u8::try_from(SEEN_BYTES_MAX / (SLOTS * SLOT_BYTES_LONG)).unwrap();
        for origin in 1..=count + 2 {
            digests.push(identity(origin, SLOTS - 1), 7);
        }
        digests.flush(&disk);
        // The first two were heard last.
        let latest = |origin: OriginId| if origin.0[0] <= 2 { 100 } else { u64::from(origin.0[0]) };
        Digests::prune(&disk, |origin| Some(latest(origin)));
        let known = |origin| digests.is_same(&disk, identity(origin, SLOTS - 1), 7).is_some();
        let gone: Vec<_> = (1..=count + 2).filter(|origin| !known(*origin)).collect();
        assert_eq!(gone, [3, 4]);
    }
}

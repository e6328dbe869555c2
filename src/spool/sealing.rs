//! From partials to a file entry.
//!
//! ```text
//!  each partial: cut to its length, synced -> renamed to files/<sequence>-<n> -> both directories synced -> entry appended
//! ```
//!
//! So an entry never names what is not durable. A crash in between leaves files without an entry: received ones are
//! removed at the next start (their peer repeats them), adopted ones go back to their owner.

use std::path::Path;

use crate::data::{Precision, Sequence, TimeRange};
use crate::spool::files::{FILES, PARTIALS, file_path, is_file_name};
use crate::spool::owner::Draft;
use crate::spool::partials::Partial;
use crate::spool::recovery::count_file;
use crate::spool::{
    AppendError, Arrival, Disk, Fatal, Kind, Misuse, Outcome, PartialId, Source, Spool, file_list,
};

/// A file of an entry that is sealed.
#[derive(Debug, Clone, Copy)]
pub struct SealedFile<'a> {
    /// Its name at the source; `None`: an optional file that is absent.
    pub name: Option<&'a str>,
    /// Where its bytes are; `None` only if it is absent.
    pub partial: Option<PartialId>,
    /// Its length, which is checked.
    pub bytes: u64,
    /// Its hash (blake3), which is kept.
    pub hash: [u8; 32],
}

/// A file entry to be appended.
#[derive(Debug, Clone, Copy)]
pub struct NewFileEntry<'a> {
    /// Where it comes from.
    pub source: Source,
    /// Penstock nodes that it has passed before this one.
    pub hops: u8,
    /// Unit of its times, if known.
    pub precision: Option<Precision>,
    /// Times that it covers, if known.
    pub time_range: Option<TimeRange>,
    /// Type of the seal, see [`FileList::request_type`](super::FileList::request_type).
    pub request_type: u16,
    /// CRC-32 of the one request that its file holds whole, if it holds one and the CRC is known.
    pub request_crc: Option<u32>,
    /// Its files in the order of the seal.
    pub files: &'a [SealedFile<'a>],
    /// Parameters of the seal.
    pub parameters: &'a [(&'a str, Option<&'a str>)],
}

impl<D: Disk> Spool<D> {
    /// Makes the partials durable, moves them into the store and appends their entry; the entry is durable after the
    /// next [`Spool::sync`]. On `Appended` and `Duplicate` the partials are gone; on errors they stay.
    ///
    /// # Errors
    /// As [`Spool::append`], and [`Misuse`] for partials that are not as the entry says.
    pub fn seal(
        &mut self,
        entry: NewFileEntry<'_>,
        arrival: Arrival,
    ) -> Result<Outcome, AppendError> {
        self.check_writable()?;
        self.check_files(&entry)?;
        let mut list = std::mem::take(&mut self.list);
        let result = self.seal_or_repeat(&entry, &mut list, arrival);
        self.list = list;
        result
    }

    fn seal_or_repeat(
        &mut self,
        entry: &NewFileEntry<'_>,
        list: &mut Vec<u8>,
        arrival: Arrival,
    ) -> Result<Outcome, AppendError> {
        let partials = &self.partials;
        let adopted = |index: usize| {
            let id = entry.files.get(index).and_then(|file| file.partial);
            id.is_some_and(|id| partials.find(id).is_ok_and(|partial| partial.adopted.is_some()))
        };
        file_list::encode(entry, adopted, list)?;
        if let Some(repetition) =
            self.repetition(kind(entry), entry.source, || content_crc(entry))?
        {
            for file in entry.files {
                file.partial.map_or(Ok(()), |id| self.discard_partial(id))?;
            }
            return Ok(repetition);
        }
        self.seal_list(entry, list, arrival).map(Outcome::Appended)
    }

    fn seal_list(
        &mut self,
        entry: &NewFileEntry<'_>,
        list: &[u8],
        arrival: Arrival,
    ) -> Result<Sequence, AppendError> {
        let max = self.payload_bytes_max();
        if list.len() > max {
            return Err(AppendError::TooLarge { bytes: list.len(), max });
        }
        // Before anything is moved: the sequence is in the names.
        self.make_room_in_log(list.len())?;
        if let Err(fatal) = self.move_files(entry, true) {
            return Err(self.fail(fatal).into());
        }
        let draft = Draft {
            kind: Kind::File,
            source: entry.source,
            hops: entry.hops,
            precision: entry.precision,
            time_range: entry.time_range,
            device: 0,
            file_count: u32::try_from(entry.files.len()).unwrap_or(u32::MAX),
            content_crc: content_crc(entry),
        };
        let sequence = match self.put(draft, [list, &[]], arrival) {
            Ok(sequence) => sequence,
            Err(AppendError::Full(full)) => {
                return Err(match self.move_files(entry, false) {
                    Ok(()) => full.into(),
                    Err(fatal) => self.fail(fatal).into(),
                });
            }
            Err(error) => return Err(error),
        };
        for file in entry.files {
            if let Some(id) = file.partial {
                self.partials.release(id);
                count_file(&mut self.shared.index(), sequence.0, file.bytes);
            }
        }
        Ok(sequence)
    }

    /// Moves the partials of an entry to the names that the next sequence gives them, durably; or back. The names come
    /// first, so that the sync of a file takes them along where both are in one journal.
    fn move_files(&self, entry: &NewFileEntry<'_>, into_store: bool) -> Result<(), Fatal> {
        let partial = |file: &SealedFile<'_>| self.partials.find(file.partial?).ok();
        let mut moved = false;
        for (index, file) in entry.files.iter().enumerate() {
            let Some(partial) = partial(file) else { continue };
            let kept_name = file.name.filter(|_| partial.adopted.is_some());
            let stored = file_path(self.log.next, index, kept_name);
            let (from, to) =
                if into_store { (&partial.path, &stored) } else { (&stored, &partial.path) };
            self.disk.rename(from, to).map_err(Fatal::at("rename", from))?;
            moved = true;
        }
        if into_store {
            entry.files.iter().filter_map(partial).try_for_each(Partial::settle)?;
        }
        if moved {
            for dir in [FILES, PARTIALS].map(Path::new) {
                self.disk.sync_dir(dir).map_err(Fatal::at("sync", dir))?;
            }
        }
        Ok(())
    }

    /// Whether the files of an entry are as it says.
    fn check_files(&self, entry: &NewFileEntry<'_>) -> Result<(), Misuse> {
        if entry.files.is_empty() {
            return Err(Misuse::Kind);
        }
        for file in entry.files {
            let Some(id) = file.partial else {
                let is_absent = file.name.is_none() && file.bytes == 0;
                (is_absent.then_some(())).ok_or(Misuse::Kind)?;
                continue;
            };
            let partial = self.partials.find(id)?;
            if partial.bytes != file.bytes {
                return Err(Misuse::Length { bytes: partial.bytes, expected: file.bytes });
            }
            let name = file.name.ok_or(Misuse::Kind)?;
            if partial.adopted.is_some() && !is_file_name(name) {
                return Err(Misuse::Name(name.to_owned()));
            }
        }
        Ok(())
    }
}

/// Types of file entries whose files are not a request: those of seals, and 0 of the inbox.
const FILES_TYPES: [u16; 5] = [0, 5, 9, 102, 202];

/// Tablets.
const TABLET_TYPE: u16 = 2;

/// What the files are: points or, in a file of one request, anything else.
fn kind(entry: &NewFileEntry<'_>) -> Kind {
    match entry.request_type {
        TABLET_TYPE => Kind::Tablet,
        files if FILES_TYPES.contains(&files) => Kind::File,
        _ => Kind::Opaque,
    }
}

/// What is the same on every way that an entry can come: names, parameters and types of seals are not.
fn content_crc(entry: &NewFileEntry<'_>) -> Option<u32> {
    if !FILES_TYPES.contains(&entry.request_type) {
        return entry.request_crc;
    }
    let mut crc = crc32fast::Hasher::new();
    for file in entry.files.iter().filter(|file| file.name.is_some()) {
        crc.update(&file.bytes.to_le_bytes());
        crc.update(&file.hash);
    }
    Some(crc.finalize())
}

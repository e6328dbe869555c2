//! The spool as the inbox's store.

use std::path::Path;

use super::store::{AdoptedFile, Store, StoreError, TakenFile};
use crate::data::Sequence;
use crate::limits;
use crate::ops::clock::{self, EpochMillis};
use crate::spool::{
    Arrival, Disk, Entry, FileList, FileReader, Kind, NewFileEntry, Outcome, PartialId, Reader,
    SealedFile, Source, Spool,
};

/// Runs work where the spool is: on its own thread, or at once.
pub trait OnSpool {
    /// What the spool lies on.
    type Disk: Disk;

    /// Runs `work` and returns its result after a sync: what `work` appended is durable then.
    ///
    /// # Errors
    /// [`StoreError::Ended`]: `work` may have run or not.
    fn on_spool<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool<Self::Disk>) -> R + Send + 'static,
    ) -> Result<R, StoreError>;

    /// The time of an entry's arrival.
    fn wall(&self) -> EpochMillis {
        clock::wall()
    }
}

/// A [`Store`] that asks the spool.
#[derive(Debug)]
pub struct SpoolStore<C> {
    caller: C,
}

impl<C> SpoolStore<C> {
    /// A store that reaches the spool by `caller`.
    pub const fn new(caller: C) -> Self {
        Self { caller }
    }
}

impl<C: OnSpool> Store for SpoolStore<C> {
    type File = FileReader<<C::Disk as Disk>::File>;

    fn next_sequence(&mut self) -> Result<Sequence, StoreError> {
        self.caller.on_spool(|spool| spool.next_sequence())
    }

    fn room_for(&mut self, bytes: u64) -> Result<(), StoreError> {
        Ok(self.caller.on_spool(move |spool| spool.room_for(bytes))??)
    }

    fn adopt(&mut self, path: &Path) -> Result<PartialId, StoreError> {
        let path = path.to_owned();
        Ok(self.caller.on_spool(move |spool| spool.adopt(&path))??)
    }

    fn adopted(&mut self) -> Result<Vec<AdoptedFile>, StoreError> {
        self.caller.on_spool(|spool| {
            let files = spool.adopted();
            let files = files.map(|(partial, name, bytes)| (partial, name.to_owned(), bytes));
            files.map(|(partial, name, bytes)| AdoptedFile { name, partial, bytes }).collect()
        })
    }

    fn open(&mut self, partial: PartialId) -> Result<Self::File, StoreError> {
        Ok(self.caller.on_spool(move |spool| spool.partial_reader(partial))??)
    }

    fn discard(&mut self, partial: PartialId) -> Result<(), StoreError> {
        Ok(self.caller.on_spool(move |spool| spool.discard_partial(partial))??)
    }

    fn seal(&mut self, files: &[TakenFile]) -> Result<Sequence, StoreError> {
        let files = files.to_vec();
        let wall = self.caller.wall();
        let arrival = Arrival { wall_ms: wall.0, trusted: wall.is_dated() };
        let outcome = self.caller.on_spool(move |spool| {
            let sealed: Vec<_> = files.iter().map(sealed).collect();
            spool.seal(entry_of(&sealed), arrival)
        })??;
        let (Outcome::Appended(sequence) | Outcome::Duplicate(sequence)) = outcome;
        Ok(sequence)
    }

    fn quarantine(&mut self, partial: PartialId, why: &str) -> Result<(), StoreError> {
        let why = why.to_owned();
        Ok(self.caller.on_spool(move |spool| spool.quarantine_partial(partial, &why))??)
    }

    fn quarantine_room(&mut self, bytes: u64) -> Result<(), StoreError> {
        Ok(self.caller.on_spool(move |spool| spool.quarantine_room(bytes))??)
    }

    fn was_sealed(
        &mut self,
        from: Sequence,
        name: &str,
        hash: &[u8; 32],
    ) -> Result<Option<Sequence>, StoreError> {
        let mut reader = self.caller.on_spool(move |spool| spool.reader(from))?;
        let mut list = vec![0; limits::FILE_LIST_BYTES_MAX];
        while let Some(entry) = reader.next_entry()? {
            let is_own_file = (entry.header.kind, entry.header.source) == (Kind::File, Source::Own);
            if is_own_file && holds(&reader, &entry, &mut list, name, hash)? {
                return Ok(Some(entry.header.sequence));
            }
        }
        Ok(None)
    }
}

/// Whether the last file of an entry has this name and hash.
fn holds<D: Disk>(
    reader: &Reader<D>,
    entry: &Entry,
    list: &mut [u8],
    name: &str,
    hash: &[u8; 32],
) -> Result<bool, StoreError> {
    let count = reader.read_payload(entry, 0, list)?;
    let files = list.get(..count).and_then(FileList::parse);
    let last = files.and_then(|files| files.files().last());
    Ok(last.is_some_and(|last| last.name == Some(name) && last.hash == *hash))
}

fn sealed(file: &TakenFile) -> SealedFile<'_> {
    SealedFile {
        name: Some(&file.name),
        partial: Some(file.partial),
        bytes: file.bytes,
        hash: file.hash,
    }
}

const fn entry_of<'a>(files: &'a [SealedFile<'a>]) -> NewFileEntry<'a> {
    NewFileEntry {
        source: Source::Own,
        hops: 0,
        precision: None,
        time_range: None,
        request_type: 0,
        files,
        request_crc: None,
        parameters: &[],
    }
}

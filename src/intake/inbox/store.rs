//! What the inbox needs of the spool.

use std::path::Path;

use thiserror::Error;

use crate::data::{ReadAt, Sequence};
use crate::spool::{AppendError, Full, PartialError, PartialId, ReadError};

/// A file that is to become a part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenFile {
    /// Its name in the inbox.
    pub name: String,
    /// Where it lies in the spool.
    pub partial: PartialId,
    /// Its length.
    pub bytes: u64,
    /// Its blake3.
    pub hash: [u8; 32],
}

/// A file that was moved into the spool and is not sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedFile {
    /// Its name in the inbox.
    pub name: String,
    /// Where it lies.
    pub partial: PartialId,
    /// Its length.
    pub bytes: u64,
}

/// The spool, as the inbox sees it. Every call may take as long as a sync.
pub trait Store {
    /// A file in the spool.
    type File: ReadAt;

    /// The sequence that the next entry gets.
    ///
    /// # Errors
    /// [`StoreError::Ended`].
    fn next_sequence(&mut self) -> Result<Sequence, StoreError>;

    /// Whether files of so many bytes have room.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    fn room_for(&mut self, bytes: u64) -> Result<(), StoreError>;

    /// Takes a file over by renaming it.
    ///
    /// # Errors
    /// [`StoreError::Partial`]; with `OtherFileSystem` in it, it has to be copied.
    fn adopt(&mut self, path: &Path) -> Result<PartialId, StoreError>;

    /// Files that were adopted and are neither sealed nor put aside.
    ///
    /// # Errors
    /// [`StoreError::Ended`].
    fn adopted(&mut self) -> Result<Vec<AdoptedFile>, StoreError>;

    /// Positioned reads of an adopted file.
    ///
    /// # Errors
    /// [`StoreError::Partial`].
    fn open(&mut self, partial: PartialId) -> Result<Self::File, StoreError>;

    /// Removes an adopted file.
    ///
    /// # Errors
    /// [`StoreError::Partial`].
    fn discard(&mut self, partial: PartialId) -> Result<(), StoreError>;

    /// Makes an entry of adopted files, the `TsFile` last; it is durable on return.
    ///
    /// # Errors
    /// [`StoreError::Append`], [`StoreError::Full`].
    fn seal(&mut self, files: &[TakenFile]) -> Result<Sequence, StoreError>;

    /// Puts an adopted file into quarantine, durable on return.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is no room in it.
    fn quarantine(&mut self, partial: PartialId, why: &str) -> Result<(), StoreError>;

    /// Whether so many bytes have room in quarantine.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    fn quarantine_room(&mut self, bytes: u64) -> Result<(), StoreError>;

    /// The entry at or behind `from` that was made here of a `TsFile` of this name and hash.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    fn was_sealed(
        &mut self,
        from: Sequence,
        name: &str,
        hash: &[u8; 32],
    ) -> Result<Option<Sequence>, StoreError>;
}

/// Why the spool did not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No room now.
    #[error(transparent)]
    Full(#[from] Full),
    /// What the file store says.
    #[error(transparent)]
    Partial(PartialError),
    /// What the log says.
    #[error(transparent)]
    Append(AppendError),
    /// The spool could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The spool's thread has ended: the program stops.
    #[error("the spool has stopped")]
    Ended,
}

impl From<PartialError> for StoreError {
    fn from(error: PartialError) -> Self {
        if let PartialError::Full(full) = error { Self::Full(full) } else { Self::Partial(error) }
    }
}

impl From<AppendError> for StoreError {
    fn from(error: AppendError) -> Self {
        if let AppendError::Full(full) = error { Self::Full(full) } else { Self::Append(error) }
    }
}

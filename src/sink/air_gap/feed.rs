//! Where a sink's entries come from.

use crate::data::{ReadAt, Sequence};
use crate::sink::cuts::Lent;
use crate::spool::{EntryHeader, ReadError};

/// One consumer's view of the spool, as a sink needs it.
///
/// All reads return at once: they are of at most 1 MiB, from the page cache as a rule.
pub trait Feed: Send {
    /// A stored file.
    type File: ReadAt + Send + Sync + 'static;

    /// The next entry for this sink, which it keeps until [`Feed::advance`]; `None` if there is none
    /// yet.
    ///
    /// # Errors
    /// If the disk fails; the same entry is asked for again later.
    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError>;

    /// Returns when there may be entries since [`Feed::next_entry`] last had none. Nothing is missed if
    /// it is dropped and called again.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;

    /// Why the entry that was returned last can never be sent, if that is known already.
    fn objection(&self) -> Option<&str>;

    /// Fills `into` with the payload of the entry that was returned last.
    ///
    /// # Errors
    /// If the disk fails, or there are fewer bytes.
    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError>;

    /// Fills `into` with the first bytes of that payload.
    ///
    /// # Errors
    /// As [`Feed::read_payload`].
    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError>;

    /// Opens the files of the entry that was returned last.
    ///
    /// # Errors
    /// If one is not there as the entry says, or the disk fails.
    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError>;

    /// The same, for another thread to read: its reads are not named as this loop's.
    ///
    /// # Errors
    /// As [`Feed::open_files`].
    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError>;

    /// Everything below was delivered, gone past, or is not there.
    fn position(&self) -> Sequence;

    /// Whether the next entry is being looked at, so that it says nothing of the feed that none came yet.
    fn is_pending(&self) -> bool;

    /// Whether nothing will ever come any more.
    fn is_over(&self) -> bool;

    /// Nothing of the entry that was returned last is sent. Others hear of it with [`Feed::tell_passed`], or with the
    /// next [`Feed::advance`].
    fn pass_over(&mut self, header: &EntryHeader);

    /// Tells how far everything was delivered or gone past.
    fn tell_passed(&mut self);

    /// The far side has everything up to and with this entry.
    fn advance(&mut self, header: &EntryHeader);

    /// Whether the entry that was returned last may be gone ahead of, before it is delivered.
    fn may_go_ahead(&self) -> bool {
        false
    }

    /// The entry that was returned last is on its way, and the next one may come: others hear of no progress beyond it before
    /// [`Feed::settle`]. Only if it may be.
    fn go_ahead(&mut self, _header: &EntryHeader) {}

    /// What was gone ahead of is delivered, from this entry on not yet.
    fn settle(&mut self, _pending: Option<Sequence>) {}

    /// What was gone ahead of and is not delivered comes once more.
    fn go_back(&mut self) {}

    /// Takes the files of an entry, of which one is not what was taken in, out of everybody's way, for a person
    /// to look at: durable on return. False if that cannot be done now.
    fn quarantine(&mut self, header: &EntryHeader, why: &str) -> impl Future<Output = bool> + Send;

    /// Puts the entry that was returned last where a person finds it, with the reason: durable on
    /// return. False if that cannot be done now.
    fn put_aside(&mut self, header: &EntryHeader, why: &str) -> impl Future<Output = bool> + Send;

    /// Entries that lie there now.
    fn dead_letters(&self) -> u64;
}

/// Whether `payload` is what the reader of the spool has found whole: it was read once more since, and what is cut from
/// it gets a checksum of its own.
///
/// # Errors
/// If it is not; another read may be.
pub(super) fn same_again(header: &EntryHeader, payload: &[u8]) -> Result<(), ReadError> {
    if crc32fast::hash(payload) == header.payload_crc {
        return Ok(());
    }
    Err(ReadError::Disk {
        operation: "read the same payload again",
        path: "spool".into(),
        source: std::io::ErrorKind::InvalidData.into(),
    })
}

/// The files of an entry, and how they came.
#[derive(Debug)]
pub struct StoredFiles<F> {
    /// Type of the seal with which they came; 0 from the inbox; any other: the only file holds one whole
    /// request.
    pub request_type: u16,
    /// In the order of the seal: the mods file, then the TsFile.
    pub files: Vec<StoredFile<F>>,
    /// Parameters of the seal.
    pub parameters: Vec<(String, Option<String>)>,
}

impl<F> StoredFiles<F> {
    /// The same with each file in another form.
    pub fn map<T>(self, with: impl Fn(F) -> T) -> StoredFiles<T> {
        let Self { request_type, files, parameters } = self;
        let files = files.into_iter().map(|StoredFile { name, bytes, hash, file }| StoredFile {
            name,
            bytes,
            hash,
            file: file.map(&with),
        });
        StoredFiles { request_type, files: files.collect(), parameters }
    }
}

/// One of them.
#[derive(Debug)]
pub struct StoredFile<F> {
    /// Its name at the source; `None`: an optional file that is absent.
    pub name: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Its blake3; zeros if nobody computed it.
    pub hash: [u8; 32],
    /// Its bytes; `None` only if it is absent.
    pub file: Option<F>,
}

//! What landing reads.

use crate::data::{ReadAt, Sequence};
use crate::limits;
use crate::spool::{
    Disk, Entry, EntryHeader, FileList, FileReader, Kind, ListedFile, ReadError, Reader,
};

/// Synced entries in ascending order. The spool's [`Reader`] is one; tests bring their own.
pub trait Source {
    /// A stored file.
    type File: ReadAt;

    /// Goes to a sequence; what is not there is stepped over.
    fn seek(&mut self, to: Sequence);

    /// The next entry, or `None` when there is none yet.
    ///
    /// # Errors
    /// If the spool cannot be read.
    fn next(&mut self) -> Result<Option<Item>, ReadError>;

    /// Opens a file of the entry that `next` returned last.
    ///
    /// # Errors
    /// If it is not there, or the disk fails.
    fn open(&mut self, index: usize) -> Result<Self::File, ReadError>;
}

/// An entry as landing sees it.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its header.
    pub header: EntryHeader,
    /// Type of the request that brought the files, 0 from the inbox; `None` if it is no file entry.
    pub request_type: Option<u16>,
    /// Its files, in the order of the seal.
    pub files: heapless::Vec<ItemFile, { limits::SEAL_FILES_MAX }>,
}

/// A file of an entry.
#[derive(Debug, Clone)]
pub struct ItemFile {
    /// Name at the source; `None` for an optional file that is absent.
    pub name: Option<String>,
    /// Bytes.
    pub bytes: u64,
    /// Its blake3; zeros if nobody computed it.
    pub hash: [u8; 32],
}

/// The spool as a source of landing.
#[derive(Debug)]
pub struct SpoolSource<D: Disk> {
    reader: Reader<D>,
    entry: Option<Entry>,
    /// Payload of a file entry, which is a list of files.
    list: Box<[u8]>,
    list_bytes: usize,
}

impl<D: Disk> SpoolSource<D> {
    /// Reads what `reader` shows.
    pub fn new(reader: Reader<D>) -> Self {
        let list = vec![0; limits::FILE_LIST_BYTES_MAX].into_boxed_slice();
        Self { reader, entry: None, list, list_bytes: 0 }
    }

    fn file_list(&self) -> Option<FileList<'_>> {
        FileList::parse(self.list.get(..self.list_bytes)?)
    }
}

impl<D: Disk> Source for SpoolSource<D> {
    type File = FileReader<D::File>;

    fn seek(&mut self, to: Sequence) {
        self.reader.seek(to);
    }

    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        let Some(entry) = self.reader.next_entry()? else { return Ok(None) };
        self.entry = Some(entry);
        let mut item =
            Item { header: entry.header, request_type: None, files: heapless::Vec::new() };
        if entry.header.kind != Kind::File {
            return Ok(Some(item));
        }
        let list_bytes = self.reader.read_payload(&entry, 0, &mut self.list);
        // After an error the same entry comes again: it would be taken for one that never was.
        self.list_bytes = list_bytes.inspect_err(|_| self.reader.seek(entry.header.sequence))?;
        // A list that cannot be parsed leaves an item without files, which is held.
        if let Some(list) = self.file_list() {
            item.request_type = Some(list.request_type);
            item.files = list.files().map(ItemFile::from).take(limits::SEAL_FILES_MAX).collect();
        }
        Ok(Some(item))
    }

    fn open(&mut self, index: usize) -> Result<Self::File, ReadError> {
        match (self.entry, self.file_list()) {
            (Some(entry), Some(list)) => self.reader.open_file(&entry, &list, index),
            _ => Err(ReadError::File { sequence: self.reader.position(), index }),
        }
    }
}

impl From<ListedFile<'_>> for ItemFile {
    fn from(file: ListedFile<'_>) -> Self {
        Self { name: file.name.map(str::to_owned), bytes: file.bytes, hash: file.hash }
    }
}

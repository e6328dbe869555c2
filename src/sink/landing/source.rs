//! What landing reads.

use std::fmt::Debug;
use std::io;

use crate::data::{ReadAt, Sequence};
use crate::limits;
use crate::spool::{
    Disk, DiskFile, Entry, EntryHeader, FileList, FileReader, Kind, ListedFile, ReadError, Reader,
};
use crate::twin;
use crate::wire::bytes::{self, Writer};
use crate::wire::request::{Head, RequestType};
use crate::wire::seal::{self, SealedFile};

/// Synced entries in ascending order. The spool's [`Reader`] is one; tests bring their own.
pub trait Source {
    /// A stored file, or a part of an entry that can be read like one.
    type File: ReadAt + Debug;
    /// The same entries, for what makes files of tablets.
    type Tablets: twin::Source + Debug;

    /// Goes to a sequence; what is not there is stepped over.
    fn seek(&mut self, to: Sequence);

    /// The next entry, or `None` when there is none yet.
    ///
    /// # Errors
    /// If the spool cannot be read.
    fn next(&mut self) -> Result<Option<Item>, ReadError>;

    /// Lets the next `next` step over what the disk does not give back, as over a flawed entry, which the spool's owner
    /// is told of.
    fn forgive(&mut self);

    /// Opens a part of the entry that `next` returned last.
    ///
    /// # Errors
    /// If it is not there, or the disk fails.
    fn open(&mut self, part: Part) -> Result<Self::File, ReadError>;

    /// The same entries, with a position of their own.
    fn tablets(&self) -> Self::Tablets;

    /// The oldest entry that is there, or where the next one will be: the spool has dropped what lies below.
    fn oldest(&self) -> Sequence;
}

/// An entry as landing sees it.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its header.
    pub header: EntryHeader,
    /// Type of the request that brought it, 0 from the inbox; `None` if the entry does not say.
    pub request_type: Option<u16>,
    /// Files of a file entry, in the order of the seal.
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

/// What can be read of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The file with this index.
    Stored(usize),
    /// The payload, which is a request.
    Payload,
    /// The seal with which the files came, as a request.
    Seal,
}

/// The spool as a source of landing.
#[derive(Debug)]
pub struct SpoolSource<D: Disk> {
    reader: Reader<D>,
    entry: Option<Entry>,
    /// Payload of a file entry, which is a list of files; or the first bytes of another entry's.
    list: Vec<u8>,
}

/// A part of an entry of the spool.
#[derive(Debug)]
pub enum SpoolFile<F> {
    /// It lies on the disk.
    Stored(FileReader<F>),
    /// It was made anew.
    Made(Box<[u8]>),
}

impl<D: Disk> SpoolSource<D> {
    /// Reads what `reader` shows.
    pub fn new(reader: Reader<D>) -> Self {
        Self { reader, entry: None, list: Vec::new() }
    }

    /// Makes the list so long, or as long as an entry can be. That of a long one does not stay.
    fn fit(&mut self, bytes: usize) {
        let bytes = bytes.min(limits::ENTRY_BYTES_MAX);
        if self.list.capacity() > limits::FILE_LIST_BYTES_MAX {
            self.list = Vec::new();
        }
        self.list.resize(bytes, 0);
    }

    fn file_list(&self) -> Option<FileList<'_>> {
        FileList::parse(&self.list)
    }

    /// The seal of the present entry's files.
    fn seal(&self) -> Option<Box<[u8]>> {
        let list = self.file_list()?;
        let request_type = i16::try_from(list.request_type).ok();
        let request_type = request_type.and_then(RequestType::from_code)?;
        let files: Vec<_> =
            list.files().map(|file| SealedFile { name: file.name, bytes: file.bytes }).collect();
        let parameters: Vec<_> = list.parameters().collect();
        let mut seal = Vec::new();
        let mut writer =
            Writer::into_vec(&mut seal, 2 * self.list.len().max(limits::FILE_LIST_BYTES_MAX));
        Head::of(request_type).write(&mut writer);
        seal::write_v2(&mut writer, &files, &parameters);
        writer.finish().ok()?;
        Some(seal.into_boxed_slice())
    }
}

impl<D: Disk> Source for SpoolSource<D> {
    type File = SpoolFile<D::File>;
    type Tablets = Reader<D>;

    fn seek(&mut self, to: Sequence) {
        self.reader.seek(to);
    }

    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        let Some(entry) = self.reader.next_entry()? else { return Ok(None) };
        self.entry = Some(entry);
        let header = entry.header;
        let mut item = Item { header, request_type: None, files: heapless::Vec::new() };
        let is_list = header.kind == Kind::File;
        self.fit(if is_list { header.payload_bytes as usize } else { Head::BYTES });
        let list_bytes = self.reader.read_payload(&entry, 0, &mut self.list);
        // After an error the same entry comes again: it would be taken for one that never was.
        let list_bytes = list_bytes.inspect_err(|_| self.reader.seek(header.sequence))?;
        self.list.truncate(list_bytes);
        if header.kind != Kind::File {
            let head = Head::read(&mut bytes::Reader::new(&self.list)).ok();
            item.request_type = head.map(|head| head.code.cast_unsigned());
        } else if let Some(list) = self.file_list() {
            item.request_type = Some(list.request_type);
            item.files = list.files().map(ItemFile::from).take(limits::SEAL_FILES_MAX).collect();
        }
        Ok(Some(item))
    }

    fn forgive(&mut self) {
        self.reader.forgive();
    }

    fn open(&mut self, part: Part) -> Result<Self::File, ReadError> {
        let missing = |index| ReadError::File { sequence: self.reader.position(), index };
        let entry = self.entry.ok_or_else(|| missing(0))?;
        match part {
            Part::Payload => self.reader.open_payload(&entry).map(SpoolFile::Stored),
            Part::Seal => self.seal().map(SpoolFile::Made).ok_or_else(|| missing(0)),
            Part::Stored(index) => {
                let list = self.file_list().ok_or_else(|| missing(index))?;
                self.reader.open_file(&entry, &list, index).map(SpoolFile::Stored)
            }
        }
    }

    fn tablets(&self) -> Reader<D> {
        self.reader.another()
    }

    fn oldest(&self) -> Sequence {
        self.reader.oldest()
    }
}

impl<F: DiskFile> ReadAt for SpoolFile<F> {
    fn len(&self) -> u64 {
        match self {
            Self::Stored(file) => file.len(),
            Self::Made(bytes) => ReadAt::len(&**bytes),
        }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(file) => file.read_at(offset, into),
            Self::Made(bytes) => bytes.read_at(offset, into),
        }
    }
}

impl From<ListedFile<'_>> for ItemFile {
    fn from(file: ListedFile<'_>) -> Self {
        Self { name: file.name.map(str::to_owned), bytes: file.bytes, hash: file.hash }
    }
}

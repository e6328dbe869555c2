//! A feed that reads the node's spool.
//!
//! ```text
//!  spool thread -- synced --> SpoolFeed -- Reader --> segments and files (this thread)
//!               <- cursor ---/        \--> dead-letter/
//! ```

use std::fmt;
use std::future::pending;
use std::io;
use std::pin::Pin;

use tokio::sync::watch;

use super::dead_letters::DeadLetters;
use super::feed::{Feed, StoredFile, StoredFiles};
use crate::data::{ReadAt, Sequence};
use crate::spool::{
    Cursor, Disk, Entry, EntryHeader, FileList, FileReader, Kind, ReadError, Reader,
};

/// What a feed asks of the spool's owner.
pub struct Orders {
    /// Notes a cursor; returns at once.
    pub advance: Box<dyn Fn(&Cursor) + Send + Sync>,
    /// Puts the files of an entry into quarantine, with the reason; true once they are there, durably.
    pub quarantine: Box<dyn Fn(Sequence, String) -> Done + Send + Sync>,
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").finish_non_exhaustive()
    }
}

/// Becomes true if it was done.
pub type Done = Pin<Box<dyn Future<Output = bool> + Send>>;

/// One consumer of the spool.
pub struct SpoolFeed<D: Disk> {
    reader: Reader<D>,
    cursor: Cursor,
    synced: watch::Receiver<Sequence>,
    orders: Orders,
    dead_letters: DeadLetters<D>,
    entry: Option<Entry>,
    /// Payload of a file entry: its list of files.
    list: Vec<u8>,
}

impl<D: Disk> SpoolFeed<D> {
    /// A consumer that has come as far as `cursor` says. `synced` changes whenever there is more to read;
    /// `pipe` names the directory of its dead letters on `disk`.
    pub fn new(
        mut reader: Reader<D>,
        cursor: Cursor,
        synced: watch::Receiver<Sequence>,
        orders: Orders,
        (disk, pipe): (D, &str),
    ) -> Self {
        reader.seek(cursor.position);
        let dead_letters = DeadLetters::new(disk, pipe);
        Self { reader, cursor, synced, orders, dead_letters, entry: None, list: Vec::new() }
    }

    /// How far it has come.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    fn entry(&self) -> Result<Entry, ReadError> {
        self.entry.ok_or_else(|| ReadError::Disk {
            operation: "read without an entry",
            path: "spool".into(),
            source: io::ErrorKind::InvalidInput.into(),
        })
    }

    /// Reads the list of a file entry, which is a short text as a rule.
    fn read_list(&mut self, entry: &Entry) -> Result<(), ReadError> {
        let count = usize::try_from(entry.header.payload_bytes).unwrap_or(usize::MAX);
        let mut list = std::mem::take(&mut self.list);
        list.resize(count, 0);
        let read = self.reader.read_payload(entry, 0, &mut list);
        self.list = list;
        read.map(|_| ())
    }

    async fn keep(&self, header: &EntryHeader, why: &str) -> io::Result<()> {
        let Some(entry) = self.entry else { return Ok(()) };
        if header.kind == Kind::File {
            self.keep_files(&entry).await?;
        } else {
            let fill = |offset: u64, into: &mut [u8]| {
                let offset = u32::try_from(offset).unwrap_or(u32::MAX);
                self.reader.read_payload(&entry, offset, into).map_err(io::Error::other)
            };
            self.dead_letters.keep_payload(header, fill).await?;
        }
        self.dead_letters.keep_reason(header, why).await
    }

    /// Keeps what is left of the files of an entry.
    async fn keep_files(&self, entry: &Entry) -> io::Result<()> {
        let Some(list) = FileList::parse(&self.list) else { return Ok(()) };
        for (index, listed) in list.files().enumerate() {
            let Some(name) = listed.name else { continue };
            match self.reader.open_file(entry, &list, index) {
                Ok(file) => {
                    let fill = |offset: u64, into: &mut [u8]| file.read_at(offset, into);
                    self.dead_letters.keep_file(&entry.header, index, name, fill).await?;
                }
                Err(ReadError::File { .. }) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }
}

impl<D: Disk> Feed for SpoolFeed<D> {
    type File = FileReader<D::File>;

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        while self.entry.is_none() {
            let Some(entry) = self.reader.next_entry()? else { return Ok(None) };
            if !self.cursor.is_finished(entry.header.sequence) {
                self.entry = Some(entry);
            }
        }
        Ok(self.entry.map(|entry| entry.header))
    }

    async fn changed(&mut self) {
        if self.synced.changed().await.is_err() {
            // The spool thread has ended, and the node will.
            pending::<()>().await;
        }
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        let entry = self.entry()?;
        let wanted = into.len();
        match self.reader.read_payload(&entry, 0, into)? {
            got if got == wanted => Ok(()),
            _ => Err(ReadError::Disk {
                operation: "read a payload that ends early",
                path: "spool".into(),
                source: io::ErrorKind::UnexpectedEof.into(),
            }),
        }
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        self.read_payload(into)
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        let entry = self.entry()?;
        self.read_list(&entry)?;
        let sequence = entry.header.sequence;
        let missing = ReadError::File { sequence, index: 0 };
        let list = FileList::parse(&self.list).ok_or(missing)?;
        let mut files = Vec::new();
        for (index, listed) in list.files().enumerate() {
            let file = match listed.name {
                Some(_) => Some(self.reader.open_file(&entry, &list, index)?),
                None => None,
            };
            let name = listed.name.map(str::to_owned);
            files.push(StoredFile { name, bytes: listed.bytes, hash: listed.hash, file });
        }
        let parameters = list
            .parameters()
            .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
            .collect();
        Ok(StoredFiles { request_type: list.request_type, files, parameters })
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        self.entry = None;
        self.cursor.position = self.cursor.position.max(header.sequence.next());
        let position = self.cursor.position;
        self.cursor.finished.retain(|(_, last)| *last >= position);
    }

    fn tell_passed(&mut self) {
        (self.orders.advance)(&self.cursor);
    }

    fn advance(&mut self, header: &EntryHeader) {
        self.pass_over(header);
        self.tell_passed();
    }

    async fn quarantine(&mut self, header: &EntryHeader, why: &str) -> bool {
        (self.orders.quarantine)(header.sequence, why.to_owned()).await
    }

    async fn put_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        match self.keep(header, why).await {
            Ok(()) => true,
            Err(error) => {
                log::error!("event=not_put_aside entry={} error=\"{error}\"", header.sequence);
                false
            }
        }
    }
}

impl<D: Disk> fmt::Debug for SpoolFeed<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolFeed").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

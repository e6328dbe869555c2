//! Files that are sent in place of those that were taken in.

use std::io;
use std::sync::Arc;

use super::super::feed::{StoredFile, StoredFiles};
use super::super::named::NamedFile;
use crate::data::{ReadAt, Sequence};
use crate::ops::board::Board;
use crate::sink::cuts::{Desk, Lent, MadeFile, Order, Source};
use crate::tsfile::cut::Selection;

/// Who cuts files for a pipe.
#[derive(Debug, Clone)]
pub struct Cutters {
    /// Where orders are given.
    pub desk: Desk,
    /// Where reads of what was made are named.
    pub board: Arc<Board>,
    /// The pipe's name.
    pub pipe: String,
}

/// A file of an entry as the sink reads it.
#[derive(Debug)]
pub enum SentFile<T> {
    /// As it was taken in.
    Taken(T),
    /// Cut out of it.
    Made(NamedFile<MadeFile>),
}

impl Cutters {
    /// What is to be cut out of an entry with these files; `None` if there is no file.
    pub(super) fn order(
        &self,
        entry: Sequence,
        files: Vec<StoredFile<Lent>>,
        selection: Selection,
    ) -> Option<Order> {
        let mut files: Vec<Source> = files.into_iter().filter_map(lent).collect();
        let file = files.pop()?;
        let name = format!("pipe={} entry={entry} name={:?}", self.pipe, file.name);
        let row = self.board.pipes.find(&self.pipe);
        let shown = row.map(|row| row.work(&format!("cutting {}", file.name)));
        Some(Order { name, file, mods: files.pop(), selection, shown })
    }

    /// The files of an entry, but for the one that is sent in their place: what was deleted is not in it.
    pub(super) fn in_place<T>(
        &self,
        stored: StoredFiles<T>,
        made: MadeFile,
    ) -> StoredFiles<SentFile<T>> {
        let StoredFiles { request_type, mut files, parameters } = stored;
        let name = files.pop().and_then(|file| file.name);
        let (bytes, hash) = (made.len(), made.hash());
        let file = SentFile::Made(NamedFile::new(made, &self.board));
        let files = vec![StoredFile { name, bytes, hash, file: Some(file) }];
        StoredFiles { request_type, files, parameters }
    }
}

impl<T: ReadAt> ReadAt for SentFile<T> {
    fn len(&self) -> u64 {
        match self {
            Self::Taken(file) => file.len(),
            Self::Made(file) => file.len(),
        }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Taken(file) => file.read_at(offset, into),
            Self::Made(file) => file.read_at(offset, into),
        }
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Taken(file) => file.as_bytes(),
            Self::Made(file) => file.as_bytes(),
        }
    }
}

fn lent(stored: StoredFile<Lent>) -> Option<Source> {
    let StoredFile { name, bytes, hash, file } = stored;
    file.map(|file| Source { name: name.unwrap_or_default(), bytes, hash, file })
}

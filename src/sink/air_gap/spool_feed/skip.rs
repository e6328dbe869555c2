//! Entries that are taken out of the line, and where they are kept.

use std::io;

use super::super::replay::Again;
use super::super::skip_error::SkipError;
use super::{Held, SpoolFeed};
use crate::data::{ReadAt, Sequence};
use crate::spool::{Disk, EntryHeader, FileList, Kind, ReadError};

/// Why an entry lies among the dead letters that a person has skipped.
const SKIPPED: &str = "SKIP PIPE";

impl<D: Disk> SpoolFeed<D> {
    /// Takes one entry that waits out of the line; its cursor passes over it then. Of what is sent once more only the
    /// next one waits.
    ///
    /// # Errors
    /// [`SkipError`]; the entry waits still.
    pub async fn skip(&mut self, sequence: Sequence) -> Result<(), SkipError> {
        let next = self.reader.synced();
        if self.next_again()? == Some(sequence) {
            return self.skip_again(sequence).await;
        }
        if self.cursor.is_finished(sequence) {
            return Err(SkipError::Past { sequence });
        }
        if sequence >= next {
            return Err(SkipError::NotYet { sequence, next });
        }
        self.reader.seek(sequence);
        let found = self.reader.next_entry()?;
        let entry = found.filter(|entry| entry.header.sequence == sequence);
        let entry = entry.ok_or(SkipError::Gone { sequence })?;
        let mut cursor = self.cursor.clone();
        if !cursor.finish(sequence) {
            return Err(SkipError::TooMany { position: cursor.position });
        }
        self.held = Some(Held::Next(entry));
        if entry.header.kind == Kind::File {
            self.read_list(&entry.header)?;
        }
        self.keep(&entry.header, SKIPPED).await.map_err(SkipError::Keep)?;
        (self.held, self.cursor) = (None, cursor);
        Ok(())
    }

    async fn skip_again(&mut self, sequence: Sequence) -> Result<(), SkipError> {
        self.hold_again()?;
        if let Some(Held::Again(Again::Entry(entry))) = self.held {
            if entry.header.kind == Kind::File {
                self.read_list(&entry.header)?;
            }
            self.keep(&entry.header, SKIPPED).await.map_err(SkipError::Keep)?;
        }
        self.held = None;
        match self.replaying.take() {
            Some(replaying) => replaying.leave(sequence).map_err(SkipError::Keep),
            None => Ok(()),
        }
    }

    /// What is sent next of what was said to be sent once more; none if nothing of it is there.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn next_again(&mut self) -> Result<Option<Sequence>, ReadError> {
        let Some(replaying) = &mut self.replaying else { return Ok(None) };
        let next = replaying.next(&self.cursor, &self.dead_letters)?;
        Ok(next.map(|again| again.header().sequence))
    }

    /// Keeps what is held as a dead letter.
    pub(super) async fn keep(&mut self, header: &EntryHeader, why: &str) -> io::Result<()> {
        let is_new = !self.dead_letters.holds(header);
        let fill = |offset: u64, into: &mut [u8]| {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            self.read_held(offset, into).map_err(io::Error::other)
        };
        self.dead_letters.keep_payload(header, fill).await?;
        let shared = match header.kind {
            Kind::File => self.keep_files(header).await?,
            Kind::Void | Kind::Tablet | Kind::Opaque => 0,
        };
        self.dead_letters.keep_reason(header, why, shared).await?;
        self.letters += u64::from(is_new);
        Ok(())
    }

    /// Keeps what is left of the files of an entry, whose list was read, and returns how many are not copies.
    async fn keep_files(&self, header: &EntryHeader) -> io::Result<usize> {
        let Some(list) = FileList::parse(&self.list) else { return Ok(0) };
        let mut shared = 0;
        for (index, listed) in list.files().enumerate() {
            let Some(name) = listed.name else { continue };
            match self.open_held(index, &list, &listed) {
                Ok(file) => {
                    let fill = |offset: u64, into: &mut [u8]| file.read_at(offset, into);
                    let stored = self.stored_at(&list, index);
                    let stored = stored.as_deref();
                    let kept = self.dead_letters.keep_file(header, (index, name), stored, fill);
                    shared += usize::from(kept.await?);
                }
                Err(ReadError::File { .. }) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(shared)
    }
}

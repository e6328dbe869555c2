//! A run, and its files on their way.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::feed::{StoredFile, StoredFiles};
use crate::data::{Identity, Sequence};
use crate::sink::cuts::{MadeFile, MadeRun};
use crate::spool::{EntryHeader, Kind};

/// Entries that follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathered {
    pub(super) first: EntryHeader,
    pub(super) last: Sequence,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) struct Sending {
    pub(super) run: Gathered,
    files: VecDeque<MadeRun>,
    /// Tells its pipe from others: their runs may end at the same entry, and begin at others.
    mark: u32,
    /// What becomes of the run instead of being delivered.
    pub(super) instead: Option<Instead>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instead {
    /// Its files are made once more.
    Again,
    /// Its entries go as they are.
    Tablets,
}

impl Sending {
    /// The files of a run, at least one.
    pub(super) fn new(run: Gathered, files: Vec<MadeRun>, mark: u32) -> Self {
        Self { run, files: files.into(), mark, instead: None }
    }

    /// Goes on to the next file; false if there is none.
    pub(super) fn next_file(&mut self) -> bool {
        self.files.pop_front();
        !self.files.is_empty()
    }

    /// The next file as an entry of its own.
    pub(super) fn header(&self) -> Option<EntryHeader> {
        let made = self.files.front()?;
        let twin = &made.twin;
        let origin = self.run.first.identity.origin.of_parts(self.mark_of(made));
        Some(EntryHeader {
            kind: Kind::File,
            precision: twin.group.precision.or(self.run.first.precision),
            time_range: Some(twin.time_range),
            device: 0,
            identity: Identity { origin, sequence: twin.last },
            void_entries: 0,
            file_count: 1,
            content_crc: None,
            payload_bytes: 0,
            payload_crc: 0,
            ..self.run.first
        })
    }

    /// The next file, as if the inbox had taken it.
    pub(super) fn stored(&self) -> StoredFiles<MadeFile> {
        let Gathered { first, last, .. } = &self.run;
        let files = self.files.front().map(|made| StoredFile {
            name: Some(format!("{}-{last}-{}.tsfile", first.sequence, made.twin.part)),
            bytes: made.twin.bytes,
            hash: made.file.hash(),
            file: Some(made.file.clone()),
        });
        StoredFiles { request_type: 0, files: files.into_iter().collect(), parameters: Vec::new() }
    }

    /// Tells the files of one run apart, too, and from parts that filters cut: a few for all runs of a pipe.
    fn mark_of(&self, made: &MadeRun) -> u32 {
        let (mark, group, part) = (self.mark, made.twin.group, made.twin.part);
        let text = format!("run {mark} {} {:?} {part}", group.is_aligned, group.precision);
        crc32fast::hash(text.as_bytes())
    }
}

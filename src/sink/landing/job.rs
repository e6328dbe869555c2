//! An entry that is being landed.

use super::ledger::{LedgerFile, Line};
use super::names::landed_path;
use super::{Held, Item};
use crate::data::{OriginId, Precision, Sequence};
use crate::ops::clock::EpochMillis;
use crate::wire::piece::FileNameError;

/// An entry that is being landed.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) item: Item,
    pub(super) files: Vec<JobFile>,
    /// Its line is on disk.
    pub(super) recorded: bool,
    /// Its files may have their names.
    pub(super) naming: bool,
}

#[derive(Debug)]
pub(super) struct JobFile {
    pub(super) index: usize,
    /// Below the landing directory.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Of the copy, once it was made.
    pub(super) hash: Option<blake3::Hash>,
}

#[derive(Debug)]
pub(super) struct Copy<T, F> {
    pub(super) from: F,
    pub(super) to: T,
    pub(super) done: u64,
    pub(super) dirty: u64,
    pub(super) hasher: Box<blake3::Hasher>,
}

impl Job {
    /// What was copied is gone.
    pub(super) fn begin_anew(&mut self) {
        for file in &mut self.files {
            file.hash = None;
        }
    }

    /// Bytes of all its files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) const fn sequence(&self) -> Sequence {
        self.item.header.sequence
    }

    /// The `TsFile`'s path below the landing directory.
    pub(super) fn name(&self) -> String {
        self.files.last().map(|file| file.name.clone()).unwrap_or_default()
    }

    pub(super) fn line(&self, node: OriginId) -> Line {
        let header = &self.item.header;
        let mut files: Vec<_> = self.files.iter().map(JobFile::line).collect();
        let sequence = header.sequence.0;
        Line {
            file: files.pop().unwrap_or_else(|| LedgerFile {
                name: String::new(),
                bytes: 0,
                blake3: String::new(),
            }),
            sequences: (sequence, sequence),
            devices: None,
            points: None,
            time_range: header.time_range.map(|range| (range.min, range.max)),
            precision: header.precision.map(Precision::text).map(str::to_owned),
            node: node.to_string(),
            origin: header.identity.origin.to_string(),
            origin_sequence: header.identity.sequence.0,
            with: files,
        }
    }
}

impl JobFile {
    /// Why it is held: the spool does not have it as it was taken in.
    pub(super) fn gone(&self) -> Held {
        Held::Gone { name: self.name.clone(), bytes: self.bytes }
    }

    pub(super) fn line(&self) -> LedgerFile {
        let blake3 = self.hash.map(|hash| hash.to_hex().to_string()).unwrap_or_default();
        LedgerFile { name: self.name.clone(), bytes: self.bytes, blake3 }
    }
}

/// What copying came to.
pub(super) enum Copied<T, F> {
    /// Not at the end yet.
    Part(Box<Copy<T, F>>),
    /// One more file is whole.
    File,
    /// The entry is not landed.
    Unfit(Held),
}

/// Compares the copy with what was taken in, if that was hashed.
pub(super) fn compare<T, F>(item: &Item, file: &JobFile, got: blake3::Hash) -> Copied<T, F> {
    let taken = item.files.get(file.index).map(|file| file.hash).unwrap_or_default();
    let expected = blake3::Hash::from_bytes(taken);
    if taken == [0; 32] || expected == got {
        return Copied::File;
    }
    Copied::Unfit(Held::Hash { name: file.name.clone(), expected, got })
}

/// The names under which an entry's files will lie; a `TsFile` comes last, as in its seal.
pub(super) fn job(item: Item) -> Result<Job, FileNameError> {
    let arrival = EpochMillis(item.header.arrival.wall_ms);
    let is_dated = item.header.arrival.trusted && arrival.is_dated();
    let arrival = is_dated.then_some(arrival);
    let mut files = Vec::new();
    for (index, file) in item.files.iter().enumerate() {
        let Some(name) = &file.name else { continue };
        let name = landed_path(arrival, item.header.sequence, name)?;
        files.push(JobFile { index, name, bytes: file.bytes, hash: None });
    }
    Ok(Job { item, files, recorded: false, naming: false })
}

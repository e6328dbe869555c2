//! An entry that is being landed.
//!
//! ```text
//!  TsFile, from the inbox or a seal   -->  <n>-<n>-<name>, its mods before it, as in the seal
//!  a request that is no data, or odd  -->  <n>-<n>-request-<type>.bin: version, type, body, as on the wire
//!  one that was sealed (snapshots)    -->  <n>-<n>-request-<type>-<i>.bin for its i-th file,
//!                                          <n>-<n>-request-<type>.bin for the seal
//!  a deletion                         -->  a line of the ledger
//! ```

use super::Item;
use super::line::{LedgerFile, Line, What};
use super::names::{landed_path, marked};
use super::source::Part;
use super::step::Unfit;
use crate::data::{OriginId, Precision, Sequence, TimeRange};
use crate::limits;
use crate::spool::Kind;
use crate::tsfile::read::Tally;
use crate::wire::piece::check_file_name;
use crate::wire::request::RequestType;

/// Seal of a `TsFile`, with and without mods; 0 is the inbox.
const TS_FILE_SEALS: [u16; 3] = [
    0,
    RequestType::TsFileSeal.code().cast_unsigned(),
    RequestType::TsFileSealWithMod.code().cast_unsigned(),
];

/// An entry that is being landed.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) item: Item,
    pub(super) what: What,
    /// The one that its line is about comes last.
    pub(super) files: Vec<JobFile>,
    /// Of a deletion.
    pub(super) paths: Vec<String>,
    /// Of the data, or of a deletion.
    pub(super) time_range: Option<TimeRange>,
    pub(super) why: Option<String>,
    /// How often a stored file could not be read.
    pub(super) unread: u32,
    /// What its index says of a `TsFile`; `None` if it was not counted.
    pub(super) tally: Option<Tally>,
    /// Its line is on disk.
    pub(super) recorded: bool,
}

#[derive(Debug)]
pub(super) struct JobFile {
    pub(super) part: Part,
    /// Below the landing directory.
    pub(super) name: String,
    /// Known before it is copied, but for a seal that is made anew.
    pub(super) bytes: u64,
    /// What was taken in; zeros if nobody computed it.
    pub(super) expected: [u8; 32],
    /// Of the copy, once it was made.
    pub(super) hash: Option<blake3::Hash>,
}

impl Job {
    fn new(item: Item, what: What) -> Self {
        let time_range = item.header.time_range;
        let (files, paths) = (Vec::new(), Vec::new());
        let (why, unread, tally, recorded) = (None, 0, None, false);
        Self { item, what, files, paths, time_range, why, unread, tally, recorded }
    }

    /// The job of an entry that goes into no run and is no deletion; its names are the same whenever it is landed, until they
    /// are marked. Without
    /// files if the entry does not say which it has.
    pub(super) fn of(item: Item) -> Self {
        let is_ts_file =
            item.request_type.is_some_and(|request_type| TS_FILE_SEALS.contains(&request_type));
        let what = if is_ts_file { What::File } else { What::Request };
        let mut job = Self::new(item, what);
        job.files = match job.item.header.kind {
            Kind::File if is_ts_file => job.ts_files(),
            Kind::File => job.sealed_request(),
            Kind::Void | Kind::Tablet | Kind::Opaque => {
                let bytes = u64::from(job.item.header.payload_bytes);
                vec![job.request_file("", Part::Payload, bytes, [0; 32])]
            }
        };
        job
    }

    /// The job of a deletion: only its line.
    pub(super) fn of_delete(item: Item, paths: Vec<String>, time_range: TimeRange) -> Self {
        Self { paths, time_range: Some(time_range), ..Self::new(item, What::Delete) }
    }

    fn ts_files(&self) -> Vec<JobFile> {
        let stored = self.item.files.iter().enumerate();
        let named = stored.filter_map(|(index, file)| Some((index, file, file.name.as_ref()?)));
        let file = |(index, file, name): (usize, &super::ItemFile, &String)| {
            let name = if check_file_name(name).is_ok() { name.as_str() } else { substitute(name) };
            let name = self.path(name);
            let part = Part::Stored(index);
            JobFile { part, name, bytes: file.bytes, expected: file.hash, hash: None }
        };
        named.map(file).collect()
    }

    /// A request that lies in files: in one, or in several that its seal names.
    fn sealed_request(&self) -> Vec<JobFile> {
        let sealed = [RequestType::SchemaSnapshotSeal, RequestType::ConfigSnapshotSeal];
        let is_sealed =
            sealed.iter().any(|seal| self.item.request_type == Some(seal.code().cast_unsigned()));
        let stored = self.item.files.iter().enumerate().filter(|(_, file)| file.name.is_some());
        let mut files: Vec<_> = stored
            .map(|(index, file)| {
                let suffix = if is_sealed { format!("-{}", index + 1) } else { String::new() };
                self.request_file(&suffix, Part::Stored(index), file.bytes, file.hash)
            })
            .collect();
        if is_sealed {
            files.push(self.request_file("", Part::Seal, 0, [0; 32]));
        }
        files
    }

    fn request_file(&self, suffix: &str, part: Part, bytes: u64, expected: [u8; 32]) -> JobFile {
        let request_type = self.item.request_type.unwrap_or_default();
        let name = self.path(&format!("request-{request_type}{suffix}.bin"));
        JobFile { part, name, bytes, expected, hash: None }
    }

    fn path(&self, name: &str) -> String {
        let header = &self.item.header;
        landed_path(header.arrival, (header.sequence, header.sequence), name)
    }

    /// Whether this is the `TsFile` of the job, which is looked at before it is copied.
    pub(super) fn is_ts_file(&self, part: Part) -> bool {
        self.what == What::File && self.files.last().is_some_and(|last| last.part == part)
    }

    /// Its names were taken: they get a mark.
    pub(super) fn mark(&mut self, mark: &str) {
        for file in &mut self.files {
            file.name = marked(&file.name, mark);
        }
    }

    /// What was copied is gone.
    pub(super) fn begin_anew(&mut self) {
        for file in &mut self.files {
            file.hash = None;
        }
    }

    /// Its files are not landed: only a line that says why.
    pub(super) fn put_aside(&mut self, why: &Unfit) {
        self.what = What::Unfit;
        self.tally = None;
        self.files.clear();
        let mut why = why.to_string();
        let whole = |end: &usize| why.is_char_boundary(*end);
        let end = (0..=limits::LEDGER_WHY_BYTES_MAX).rev().find(whole);
        why.truncate(end.unwrap_or_default());
        self.why = Some(why);
    }

    /// Bytes of all its files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Of the data: what the source said, else what was counted.
    fn times(&self) -> Option<TimeRange> {
        let counted = self.tally.map(|tally| tally.times).filter(|times| !times.is_empty());
        self.time_range.or(counted)
    }

    pub(super) const fn sequence(&self) -> Sequence {
        self.item.header.sequence
    }

    pub(super) fn line(&self, node: OriginId) -> Line {
        let header = &self.item.header;
        let mut files: Vec<_> = self.files.iter().map(JobFile::line).collect();
        let sequence = header.sequence.0;
        let is_request = matches!(self.what, What::Request);
        Line {
            what: self.what,
            file: files.pop(),
            sequences: (sequence, sequence),
            devices: self.tally.map(|tally| tally.devices),
            points: self.tally.map(|tally| tally.points),
            time_range: self.times().map(|range| (range.min, range.max)),
            precision: header.precision.map(Precision::text).map(str::to_owned),
            node: node.to_string(),
            origin: header.identity.origin.to_string(),
            origin_sequences: (header.identity.sequence.0, header.identity.sequence.0),
            paths: self.paths.clone(),
            request_type: self.item.request_type.filter(|_| is_request),
            why: self.why.clone(),
            with: files,
            set: None,
            through: None,
            landed: None,
        }
    }
}

impl JobFile {
    /// The spool does not have it as it was taken in.
    pub(super) fn gone(&self) -> Unfit {
        Unfit::Gone { name: self.name.clone(), bytes: self.bytes }
    }

    /// Compares the copy with what was taken in, if that was hashed.
    pub(super) fn compare(&mut self, got: blake3::Hash) -> Result<(), Unfit> {
        self.hash = Some(got);
        let expected = blake3::Hash::from_bytes(self.expected);
        if self.expected == [0; 32] || expected == got {
            return Ok(());
        }
        Err(Unfit::Hash { name: self.name.clone(), expected, got })
    }

    fn line(&self) -> LedgerFile {
        let blake3 = self.hash.map(|hash| hash.to_hex().to_string()).unwrap_or_default();
        LedgerFile { name: self.name.clone(), bytes: self.bytes, blake3 }
    }
}

/// The name of a file whose own one is not legal: only its ending is kept.
fn substitute(name: &str) -> &'static str {
    let unnamed = ["unnamed.tsfile.mods2", "unnamed.tsfile.mods"];
    let is_meant = |unnamed: &&str| {
        unnamed.strip_prefix("unnamed").is_some_and(|ending| name.ends_with(ending))
    };
    unnamed.into_iter().find(is_meant).unwrap_or("unnamed.tsfile")
}

//! A line of the ledger.
//!
//! ```text
//!  {"what":"file","name":"2026-11-22/41-41-x.tsfile","bytes":2292,"blake3":"<64 hex>",
//!   "sequences":[41,41],"devices":2,"points":40,"time_range":[1,9],"precision":"ms",
//!   "node":"<32 hex>","origin":"<32 hex>","origin_sequences":[41,41],
//!   "with":[{"name":"2026-11-22/41-41-x.tsfile.mods","bytes":40,"blake3":"<64 hex>"}],
//!   "through":41,"landed":{"files":1,"bytes":2332,"points":0}}
//!  {"what":"tablets","name":"2026-11-22/42-97-tablets.tsfile",...,"devices":3,"points":5600,...,"set":[1,2]}
//!  {"what":"tablets","name":"2026-11-22/43-90-tablets-aligned.tsfile",...,"set":[2,2],"through":97,...}
//!  {"what":"delete","paths":["root.sg.d1.s1"],"sequences":[98,98],"time_range":[1,9],...}
//!  {"what":"request","request_type":200,"name":"2026-11-22/99-99-request-200.bin",...}
//!  {"what":"unfit","why":"x.tsfile: flawed: ...","sequences":[100,100],...}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `what` | `file`: a `TsFile` as it was taken in; `tablets`: a `TsFile` made of tablets; `delete`: points that go, no file; `request`: a request as it came, which is not data or of which no `TsFile` can be made; `unfit`: files that could not be landed, and lie in the quarantine as far as they are there; absent: `file` |
//! | `name`, `bytes`, `blake3` | the file; absent where there is none |
//! | `with` | files that belong to it: deletions; what the pieces of a sealed request brought, in order |
//! | `sequences` | first and last entry of the spool that it is made of |
//! | `devices`, `points` | what the file holds, deletions beside it not taken off; null where that was not counted: of a file whose index is larger than 32 MiB, or flawed |
//! | `time_range`, `precision` | earliest and latest time, for a delete of the points that go, and their unit; null if unknown |
//! | `node` | the node whose spool counted the sequences |
//! | `origin`, `origin_sequences` | the node that took it in first, and the numbers there, smallest and greatest |
//! | `paths` | of a delete; `*` and `**` are patterns |
//! | `request_type` | `PipeRequestType` on the wire |
//! | `why` | what was wrong with the files, or why rows did not become a `TsFile` |
//! | `set` | which line of how many that count together; absent: one of one |
//! | `through` | in the last line of a set: every entry up to this one has landed |
//! | `landed` | in the last line of a set: files, bytes and points that this ledger has seen land, with this set's |

use serde::{Deserialize, Serialize};

/// What a line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A `TsFile` as it was taken in.
    #[default]
    File,
    /// A `TsFile` made of tablets.
    Tablets,
    /// A deletion.
    Delete,
    /// A request as it came.
    Request,
    /// Files that could not be landed.
    Unfit,
    /// What a later version of the program wrote.
    #[serde(other)]
    Later,
}

impl What {
    /// The name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Tablets => "tablets",
            Self::Delete => "delete",
            Self::Request => "request",
            Self::Unfit => "unfit",
            Self::Later => "later",
        }
    }
}

/// One file of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LedgerFile {
    /// Path below the landing directory.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

/// One line; the module says what its fields mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) what: What,
    #[serde(flatten)]
    pub(super) file: Option<LedgerFile>,
    pub(super) sequences: (u64, u64),
    pub(super) devices: Option<u64>,
    pub(super) points: Option<u64>,
    pub(super) time_range: Option<(i64, i64)>,
    pub(super) precision: Option<String>,
    pub(super) node: String,
    pub(super) origin: String,
    #[serde(default)]
    pub(super) origin_sequences: (u64, u64),
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request_type: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) with: Vec<LedgerFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) set: Option<(usize, usize)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) through: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) landed: Option<Totals>,
}

/// What has landed, since the ledger was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Files, without those that belong to others.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Points in them, as far as they were counted.
    pub points: u64,
}

impl Totals {
    /// With these lines, too.
    pub(super) fn with(self, lines: &[Line]) -> Self {
        let add = |totals: Self, line: &Line| Self {
            files: totals.files + u64::from(line.file.is_some()),
            bytes: totals.bytes.saturating_add(line.bytes()),
            points: totals.points.saturating_add(line.points.unwrap_or_default()),
        };
        lines.iter().fold(self, add)
    }
}

impl Line {
    /// Its files, the one that it is about last.
    pub(super) fn files(&self) -> impl Iterator<Item = &LedgerFile> + Clone {
        self.with.iter().chain(&self.file)
    }

    /// Bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        self.files().map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.files().map(|file| file.name.as_str())
    }
}

//! A line of the ledger.
//!
//! ```text
//!  {"what":"file","name":"2026-11-22/41-41-x.tsfile","bytes":2292,"blake3":"<64 hex>",
//!   "sequences":[41,41],"devices":null,"points":null,"time_range":[1,9],"precision":"ms",
//!   "node":"<32 hex>","origin":"<32 hex>","origin_sequence":41,
//!   "with":[{"name":"2026-11-22/41-41-x.tsfile.mods","bytes":40,"blake3":"<64 hex>"}]}
//!  {"what":"delete","paths":["root.sg.d1.s1"],"sequences":[42,42],"time_range":[1,9],...}
//!  {"what":"request","request_type":100,"name":"2026-11-22/43-43-request-100.bin",...}
//!  {"what":"unfit","why":"x.tsfile: flawed: ...","sequences":[44,44],...}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `what` | `file`: a `TsFile` as it was taken in; `delete`: points that go, no file; `request`: a request that is not data, as it came; `unfit`: files that could not be landed, and lie in the quarantine as far as they are there; absent: `file` |
//! | `name`, `bytes`, `blake3` | the file; absent where there is none |
//! | `with` | files that belong to it: deletions; what the pieces of a sealed request brought, in order |
//! | `sequences` | first and last entry of the spool |
//! | `devices`, `points` | what the file holds; null where that was not counted |
//! | `time_range`, `precision` | earliest and latest time, for a delete of the points that go, and their unit; null if unknown |
//! | `node` | the node whose spool counted the sequences |
//! | `origin`, `origin_sequence` | the node that took it in first, and its number there |
//! | `paths` | of a delete; `*` and `**` are patterns |
//! | `request_type` | `PipeRequestType` on the wire |
//! | `why` | what was wrong with the files |

use serde::{Deserialize, Serialize};

/// What a line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A `TsFile` as it was taken in.
    #[default]
    File,
    /// A deletion.
    Delete,
    /// A request that is not data.
    Request,
    /// Files that could not be landed.
    Unfit,
}

impl What {
    /// The name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Delete => "delete",
            Self::Request => "request",
            Self::Unfit => "unfit",
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
    pub(super) origin_sequence: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request_type: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) with: Vec<LedgerFile>,
}

impl Line {
    /// Its files, the one that it is about last.
    pub(super) fn files(&self) -> impl Iterator<Item = &LedgerFile> + Clone {
        self.with.iter().chain(&self.file)
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.files().map(|file| file.name.as_str())
    }
}

//! Pipes as people want them: the state machine behind the statements, and the files that outlive a kill.
//!
//! ```text
//!                CREATE, or a new stanza
//!  (none) ------------------------------> Running <--------------------------+
//!    ^                                      |  ^                             |
//!    |                                 STOP |  | START                       | stanza changed or back:
//!    |                                      v  |                             | altered, progress kept
//!    |   DROP from any state              Stopped <---- ALTER ---- Orphaned -+
//!    +------------------------- Dropped                               ^
//!       (a tombstone while its stanza stays)       stanza went -------+
//! ```
//!
//! What is **desired** is written here and survives everything; only a person or a changed stanza changes it. What is
//! **observed** (running; stopped by an error) belongs to whoever runs the pipe, and is found again at each start. So
//! nothing that happens to a pipe can make the node forget that a person stopped or dropped it.
//!
//! | file | has |
//! |---|---|
//! | `record.rs` | one pipe as the bytes of its file |
//! | `store.rs` | the directory of these files |
//! | `registry.rs` | the verbs: what each statement makes of the pipes |
//! | `reconcile.rs` | the same for the stanzas of the configuration file |
//! | `sampling/` | which points of each series a pipe sends |
//! | `plugin.rs` | the plug-ins that people have created |
//! | `replay.rs` | what a pipe was told to send once more |
//! | `answer.rs` | what a statement is answered with |
//! | `source` | what of the spool a pipe sends |
//!
//! A verb changes nothing: it returns the pipe as it is to become, which is kept by the [`Store`] before the
//! [`Registry`] is told. What was answered is on the disk.

mod answer;
mod plugin;
mod reconcile;
mod record;
mod registry;
mod replay;
mod sampling;
mod sealed;
mod slip;
pub mod source;
mod store;
#[cfg(test)]
mod tests;
mod unit;

pub use answer::{Answer, Table};
pub use plugin::{Kept, Plugin, PluginFault, PluginStore};
pub use reconcile::{Stanza, Step};
pub use record::RecordError;
pub use registry::{Birth, Refusal, Registry};
pub use replay::{Replay, ReplayFile};
pub use sampling::{Sampled, Sampler};
pub use slip::SlipError;
pub use store::{Damaged, Opened, Store};
pub use unit::{SentUnit, UnitFile, UnitRecord};

use crate::data::Sequence;
use crate::statement::{Definition, PipeName};

/// A pipe as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipe {
    /// Its name.
    pub name: PipeName,
    /// What it does.
    pub definition: Definition,
    /// When it was created or last altered, in milliseconds since the epoch.
    pub created_ms: i64,
    /// When it was created, whatever was altered since, in milliseconds since the epoch; none in a record of a version that
    /// did not keep it.
    pub born_ms: Option<i64>,
    /// The first entry that arrived after it was created: what lies before is its history.
    pub border: Sequence,
    /// What a person wants of it.
    pub desired: Desired,
    /// Why it was stopped, if nobody stopped it: an error that does not end by itself. In one line.
    pub why: Option<String>,
    /// The stanza that was last applied to it; none for one that only statements have made.
    pub stanza: Option<StanzaHash>,
}

/// What a person wants of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// To send.
    Running,
    /// To rest where it is, until somebody says `START`.
    Stopped,
    /// The same, since its stanza went from the configuration: `spool release` may drop it.
    Orphaned,
    /// To be gone: its place in the spool is given up. Kept only while its stanza stays in the file.
    Dropped,
}

/// What a stanza of the configuration says, shortened: 128 bits of BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StanzaHash(pub [u8; 16]);

impl Pipe {
    /// Whether it is there for statements.
    pub fn is_live(&self) -> bool {
        self.desired != Desired::Dropped
    }

    /// What no other pipe of this node has, nor one of its name that was dropped. It stays over ALTER and restarts.
    pub fn mark(&self) -> u32 {
        let Self { name, border, born_ms, .. } = self;
        // Without a birth it is what the version that created the pipe has given to files that may be on their way.
        let born = born_ms.map_or_else(String::new, |born| format!(" {born}"));
        crc32fast::hash(format!("{border} {name}{born}").as_bytes())
    }
}

impl Desired {
    const ALL: [Self; 4] = [Self::Running, Self::Stopped, Self::Orphaned, Self::Dropped];

    /// The word in the pipe's file.
    const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Orphaned => "orphaned",
            Self::Dropped => "dropped",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

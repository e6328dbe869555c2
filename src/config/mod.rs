//! TOML to one validated configuration.
//!
//! ```text
//!  file ---------+                       +-- Config: every value in force, with its default
//!  --set K=V ----+--> Document --> read -+
//!  defaults -----+    (spans)            +-- Findings: every mistake, with place, key and hint
//! ```
//!
//! Reading never stops at the first mistake: `check` shows them all. A [`Config`] that was read with
//! mistakes must not be run. Nothing here touches a disk: secrets are named, not read, and
//! directories are not looked at.
//!
//! Relative paths of the file are relative to the file's directory, those of the command line to the
//! working directory.

mod between;
mod changes;
mod document;
mod finding;
mod pipe;
mod places;
mod properties;
mod read;
mod sections;
#[cfg(test)]
mod tests;
mod value;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

pub use changes::restart_keys;
pub use finding::{Finding, Findings, Place, Severity, sort};
pub use pipe::PipeConfig;
pub use places::Places;
pub use properties::decode as decode_properties;
pub use read::{Input, properties_file, read};
pub use value::{Network, Size, Span};

use crate::data::Precision;
pub use crate::statement::{
    AirGapSink, GateOrder, LoadStrategy, NodeUrl, NodeUrlError, NodeUrls, Secret, Transport,
};

/// Which of the two programs runs; they differ in their defaults only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The inner half.
    Sender,
    /// The outer half.
    Receiver,
}

/// The configuration of one node, with every default filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which program this is for.
    pub role: Role,
    /// The node's name for people.
    pub name: String,
    /// The cluster id that is shown to peers; none: made once and kept in the data directory.
    pub cluster_id: Option<String>,
    /// The unit of timestamps; none: of the first accepted peer, then kept.
    pub timestamp_precision: Option<Precision>,
    /// Where all state lies.
    pub data_dir: PathBuf,
    /// What relative paths in statements are relative to: the file's directory.
    pub base: PathBuf,
    /// The durable log.
    pub spool: SpoolConfig,
    /// The air-gap receiver.
    pub gate: GateConfig,
    /// The session service, if it listens.
    pub session: Option<SessionConfig>,
    /// Requests that are not data.
    pub intake: IntakeConfig,
    /// The directory whose `TsFiles` are taken in, if there is one.
    pub inbox: Option<InboxConfig>,
    /// The directory into which everything is landed.
    pub landing: LandingConfig,
    /// Plug-ins of people's own.
    pub plugins: PluginsConfig,
    /// What statements do as stock IoTDB does it, where ours differs on purpose.
    pub compat: CompatConfig,
    /// How long a pipe whose sink does not say it waits for the answer to a file's seal at first.
    pub seal_timeout: Duration,
    /// Bytes per second that all sinks together may send; none: no limit but their own.
    pub rate_limit: Option<NonZeroU64>,
    /// Pipes to far sides.
    pub pipes: Vec<PipeConfig>,
    /// Limit of the quarantine directory, in bytes.
    pub quarantine_max_bytes: u64,
    /// The command that runs at every change of trouble: program and arguments; empty for none.
    pub alarm_command: Vec<String>,
    /// Where the read-only status is served; none for nowhere.
    pub status_listen: Option<SocketAddr>,
    /// What is logged.
    pub log_level: log::LevelFilter,
    /// Where the keys were written.
    pub places: Places,
}

/// `[plugins]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Whether anything external is made a plug-in, or run.
    pub allow: bool,
    /// Where what is made a plug-in has to lie.
    pub dir: PathBuf,
}

/// `[compat]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompatConfig {
    /// A pipe that a statement creates is stopped, as in IoTDB 1.3.0.
    pub create_stopped: bool,
    /// `CREATE PIPE` fails while none of its targets takes connections.
    pub create_checks_target: bool,
}

/// `[spool]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Bytes of a segment, preallocated; a multiple of 4096.
    pub segment_bytes: u64,
    /// A segment that is not empty closes at this age.
    pub segment_max_age: Duration,
    /// Quota for everything in the spool; the file system's room less the reserve may be smaller.
    pub max_bytes: u64,
    /// Bytes that the spool leaves free in its file system.
    pub reserve_bytes: u64,
    /// What happens when the quota is used up.
    pub when_full: WhenFull,
    /// Bytes of released entries that are kept for re-sending.
    pub retain_bytes: u64,
    /// Hours of the node's uptime for which released entries are kept.
    pub retain_hours: u64,
}

/// What happens when the spool's quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// Intakes wait.
    Block,
    /// The oldest entries are dropped, counted and listed.
    DropOldest,
}

/// `[gate]`.
#[derive(Debug, Clone)]
pub struct GateConfig {
    /// Whether the node listens for air-gap senders.
    pub enabled: bool,
    /// Where.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub max_connections: usize,
    /// Larger frames are refused before anything is allocated for them.
    pub max_frame_bytes: u64,
    /// Peers that may connect; empty for all.
    pub allow: Vec<Network>,
    /// Cluster ids whose data counts as written here.
    pub local: Vec<String>,
    /// What a handshake must carry.
    pub credentials: Option<Credentials>,
}

/// `[session]`: IoTDB's clients, and the thrift pipes of other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub max_connections: usize,
    /// Who may log in.
    pub credentials: Credentials,
    /// Cluster ids whose data counts as written here.
    pub local: Vec<String>,
}

/// A user and the password, which is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// `[intake]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeConfig {
    /// Deletions.
    pub delete: PlanPolicy,
    /// Creation and change of databases, series and templates.
    pub schema: PlanPolicy,
    /// Users, roles and rights; these carry passwords in clear.
    pub auth: PlanPolicy,
}

/// What happens to a request that is not data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanPolicy {
    /// It goes into the spool and on.
    Pass,
    /// It is answered and forgotten.
    Ignore,
}

/// `[inbox]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxConfig {
    /// The directory.
    pub dir: PathBuf,
    /// Where files go after they were taken in; none: they are deleted.
    pub archive_dir: Option<PathBuf>,
}

/// `[landing]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandingConfig {
    /// Whether everything taken in is landed.
    pub enabled: bool,
    /// The directory.
    pub dir: PathBuf,
    /// A landed file of tablets closes at this size.
    pub max_file_bytes: u64,
    /// Tablets are landed no later than this.
    pub max_delay: Duration,
    /// Limit of the directory in bytes; 0 for none.
    pub max_bytes: u64,
    /// Days after which landed files are deleted; 0 for never.
    pub keep_days: u64,
    /// What happens at the limit.
    pub when_full: LandingWhenFull,
}

/// What happens when the landing directory's limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LandingWhenFull {
    /// Landing waits.
    Block,
    /// The oldest landed files are deleted.
    DeleteOldest,
}

impl Role {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Sender => "penstock-sender",
            Self::Receiver => "penstock-receiver",
        }
    }

    /// The name in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }

    /// Where the configuration lies if nobody says otherwise.
    pub fn default_file(self) -> &'static str {
        match self {
            Self::Sender => "/etc/penstock/sender.toml",
            Self::Receiver => "/etc/penstock/receiver.toml",
        }
    }
}

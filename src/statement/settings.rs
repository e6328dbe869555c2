//! What the attributes of a pipe come to: every value in force.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::attributes::Side;
use super::changes::Changes;
use super::check::Part;
use super::moment::Bounds;
use super::name::PluginName;
use super::node_urls::NodeUrls;
use super::remark::{Remark, Weight};
use super::secret::Secret;
use super::{AlterPipe, Change, Definition, processor, sink, source};
use crate::data::Pattern;
use crate::data::compressor::Compressor;
use crate::limits::WRAPPERS_MAX;

/// What a definition refers to and does not hold.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// What relative paths are relative to: the directory of the configuration file.
    pub base: &'a Path,
    /// Plug-ins that were created by statement.
    pub externals: Externals<'a>,
}

/// Which sinks are plug-ins of somebody's own.
#[derive(Debug, Clone, Copy)]
pub enum Externals<'a> {
    /// These.
    Created(&'a [PluginName]),
    /// Each that is not built in: they may be created later.
    Any,
}

/// A definition that was held against the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What it comes to; none if one of the remarks is an [`Weight::Error`].
    pub settings: Option<PipeSettings>,
    /// What there is to say about it, source first.
    pub remarks: Vec<Remark>,
}

/// A pipe: what it takes, what it makes of it, and where that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeSettings {
    /// What it takes.
    pub source: Source,
    /// What it makes of it.
    pub processor: Processor,
    /// Where that goes.
    pub sink: Sink,
}

/// What a pipe takes out of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own")]
pub struct Source {
    /// Whether it takes anything at all (`do-nothing-source` does not).
    pub is_some: bool,
    /// Series that match one of these.
    pub include: Vec<Pattern>,
    /// And none of these.
    pub exclude: Vec<Pattern>,
    /// Kinds of changes; none if nothing is said: everything that the intake lets in.
    pub changes: Option<Changes>,
    /// Whether it takes what arrived before it was created.
    pub history: bool,
    /// Whether it takes what arrives afterwards.
    pub realtime: bool,
    /// Times of all data.
    pub range: Bounds,
    /// Times of what arrived before; without effect if [`Self::range`] has a bound.
    pub history_range: Bounds,
    /// In which form it sends.
    pub mode: RealtimeMode,
    /// Whether it says so itself.
    pub names_mode: bool,
    /// Whether it takes what came by a pipe itself.
    pub forwarding: bool,
    /// Whether deletions go along with their `TsFiles`.
    pub mods: bool,
    /// Whether it ends when the history is sent.
    pub is_one_shot: bool,
    /// What of the history may be sent though it lies outside.
    pub loose_history: Loose,
    /// What of the rest may be.
    pub loose_realtime: Loose,
}

#[cfg(test)]
impl Source {
    /// Everything of one path, as tablets.
    pub(crate) fn of_path(path: &str) -> Self {
        Self {
            is_some: true,
            include: vec![Pattern::Path(path.to_owned())],
            exclude: Vec::new(),
            changes: None,
            history: true,
            realtime: true,
            range: Bounds::default(),
            history_range: Bounds::default(),
            mode: RealtimeMode::Stream,
            names_mode: true,
            forwarding: true,
            mods: false,
            is_one_shot: false,
            loose_history: Loose::default(),
            loose_realtime: Loose::default(),
        }
    }
}

/// In which form a pipe sends (`realtime.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RealtimeMode {
    /// As tablets, or as files while there is more to send than this; as tablets again at a quarter of it.
    Hybrid {
        /// Bytes of entries.
        lag_bytes: u64,
        /// Age of the oldest entry that waits.
        lag_seconds: u64,
    },
    /// As tablets.
    Stream,
    /// As files.
    Batch {
        /// How long tablets wait for others to be in one file with them.
        max_delay_seconds: u64,
    },
}

/// Which filters files need not be cut for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loose {
    /// The times.
    pub time: bool,
    /// The paths.
    pub path: bool,
}

/// What a pipe makes of the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Processor {
    /// Nothing.
    DoNothing,
    /// One point a series and interval.
    TumblingTime {
        /// The interval.
        interval: Duration,
        /// Whether it does so with files, too.
        split_files: bool,
    },
    /// Swinging door.
    SwingingDoor(DeadBand),
    /// Only values that differ from the last one.
    ChangingValue(DeadBand),
}

/// Which points are left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeadBand {
    /// Deviation up to which a point is left out.
    pub deviation: f64,
    /// Points closer than this to the last one are left out; in the node's precision.
    pub min_interval: i64,
    /// Points farther than this from the last one are kept; in the node's precision.
    pub max_interval: i64,
    /// Whether it does so with files, too.
    pub split_files: bool,
}

/// Numbers that were read from a text are never NaN.
impl Eq for Processor {}

/// Where a pipe's data goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// `iotdb-air-gap-sink`.
    AirGap(Box<AirGapSink>),
    /// `iotdb-thrift-sink` and its kin.
    Thrift(Box<ThriftSink>),
    /// `do-nothing-sink`.
    DoNothing,
    /// A plug-in that was created by statement.
    External(PluginName),
}

/// What requests travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The frames of `iotdb-air-gap-sink`, answered by a byte.
    AirGap {
        /// Each frame in the text envelope that some gates want.
        e_language: bool,
    },
    /// The calls of the thrift sinks, answered by a status.
    Thrift,
}

/// `iotdb-air-gap-sink`, and what the thrift sinks have in common with it: what their attributes say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own")]
pub struct AirGapSink {
    /// The gates.
    pub targets: NodeUrls,
    /// Which gate comes next.
    pub order: GateOrder,
    /// Limit of the connect, and of the handshake's answer.
    pub handshake_timeout: Duration,
    /// Limit of the answer to a seal at first.
    pub seal_timeout: Duration,
    /// What requests travel in.
    pub transport: Transport,
    /// Try the handshake of 1.3.0 and before after the newer one was refused.
    pub handshake_v1_fallback: bool,
    /// Bytes of a file in one frame.
    pub piece_bytes: usize,
    /// Compressors, applied in this order.
    pub compressors: heapless::Vec<Compressor, WRAPPERS_MAX>,
    /// The level of zstd, wherever it stands in the chain.
    pub zstd_level: i32,
    /// Bytes per second; none for no limit.
    pub rate_limit: Option<NonZeroU64>,
    /// User at the far side.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Whether the far side marks the data as having come by a pipe.
    pub mark_as_pipe_request: bool,
    /// Whether the far side casts values of another type.
    pub convert_on_type_mismatch: bool,
    /// How the far side loads files.
    pub load_strategy: LoadStrategy,
    /// Whether the far side checks files against its schema.
    pub load_validation: bool,
    /// Whether the far side skips what the user may not write.
    pub skip_if_no_privileges: bool,
    /// After this long a refused entry is put aside as a dead letter; none for never.
    pub give_up_after: Option<Duration>,
    /// The same of one that is refused for other reasons than its data, and for none that is known to pass. Over thrift.
    pub give_up_others_after: Option<Duration>,
    /// Whether fresh entries overtake a backlog.
    pub realtime_first: Option<RealtimeFirst>,
}

/// How fresh entries overtake a backlog (`realtime-first`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RealtimeFirst {
    /// Of 100 bytes so many are theirs while both wait: 1 to 99.
    pub share_percent: u8,
    /// What comes once something has waited for so long is fresh.
    pub after: Duration,
}

/// The thrift sinks: what the user guide promises of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThriftSink {
    /// What it has in common with an air-gap sink: with nodes in place of gates.
    pub far: AirGapSink,
    /// Whether requests go out before earlier ones were answered.
    pub is_asynchronous: bool,
    /// What the far side's certificate is held against; none without TLS.
    pub trust_store: Option<TrustStore>,
    /// How tablets are grouped; none for not.
    pub batch: Option<Batch>,
}

/// A file with certificates of authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustStore {
    /// The file.
    pub path: PathBuf,
    /// What opens it.
    pub password: Secret,
}

/// When a group of tablets leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// When its first tablet has waited so long; none for no limit.
    pub max_delay: Option<Duration>,
    /// When it has so many bytes.
    pub bytes: u64,
}

/// Which of several targets comes next (`load-balance-strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GateOrder {
    /// The next one after each loss.
    #[default]
    RoundRobin,
    /// Any.
    Random,
    /// The first that can be had, in the order of the list.
    Priority,
}

/// How the far side loads files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadStrategy {
    /// Before it answers.
    Sync,
    /// After it answered.
    Async,
}

impl Definition {
    /// Holds the definition against the table.
    pub fn check(&self, surroundings: Surroundings<'_>) -> Checked {
        let part = |side| Part::read(side, self.side(side), surroundings.externals);
        let (mut from, through) = (part(Side::Source), part(Side::Processor));
        let mut to = part(Side::Sink);
        let mut settings = PipeSettings {
            source: source::read(&mut from),
            processor: processor::read(&through),
            sink: sink::read(&mut to, surroundings.base),
        };
        sink::apply_format(&mut settings, &from, &mut to);
        sink::check_between(&settings, &mut to);
        let mut remarks = from.remarks;
        remarks.extend(through.remarks);
        remarks.extend(to.remarks);
        let is_right = remarks.iter().all(|remark| remark.weight != Weight::Error);
        Checked { settings: is_right.then_some(settings), remarks }
    }
}

impl AlterPipe {
    /// Holds the changes by themselves against the table, as far as they can be; what comes of them is a matter of
    /// [`Definition::altered`] and [`Definition::check`].
    pub fn check(&self, externals: Externals<'_>) -> Vec<Remark> {
        let changes = [
            (Side::Source, &self.source),
            (Side::Processor, &self.processor),
            (Side::Sink, &self.sink),
        ];
        changes
            .into_iter()
            .filter_map(|(side, change)| match change.as_ref()? {
                Change::Modify(new) | Change::Replace(new) => Some((side, new)),
            })
            .flat_map(|(side, new)| Part::read_change(side, new, externals).remarks)
            .collect()
    }
}

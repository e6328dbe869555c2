//! What an air-gap sink is told by the attributes of its pipe.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::ahead::AheadPlan;
use super::envelope::Envelope;
use super::program::Program;
use crate::config::{self, GateOrder, NodeUrl, NodeUrls};
use crate::data::Precision;
use crate::limits;
use crate::link::rate::{RateLimit, Rates};
use crate::link::sender;
use crate::wire::compressed::{Compressor, ZSTD_LEVEL};
use crate::wire::handshake::Offer;

/// How frames are compressed: `compressor`, in the order applied, and `compressor.zstd.level`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// Compressors that follow each other in one frame; none by default.
    pub compressors: heapless::Vec<Compressor, { limits::WRAPPERS_MAX }>,
    /// For zstd.
    pub zstd_level: i32,
}

impl Default for Packing {
    fn default() -> Self {
        Self { compressors: heapless::Vec::new(), zstd_level: ZSTD_LEVEL }
    }
}

/// The attributes of an `iotdb-air-gap-sink`, checked. `Debug` hides the password.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent switches of stock IoTDB")]
pub struct AirGapSettings {
    /// A program of somebody's own instead of gates.
    pub program: Option<Program>,
    /// `node-urls`, united with `ip` (or `host`) and `port`.
    pub node_urls: NodeUrls,
    /// `load-balance-strategy`. One gate is used at a time, as entries keep their order; the strategy
    /// says which one comes next.
    pub gate_order: GateOrder,
    /// `air-gap.handshake-timeout-ms`.
    pub handshake_timeout: Duration,
    /// `pipe_sink_timeout_ms`: first limit for the answer to a seal.
    pub seal_timeout: Duration,
    /// `air-gap.handshake-v1-fallback`.
    pub handshake_v1_fallback: bool,
    /// What requests travel in: `air-gap.e-language.enable`, or the calls of a thrift sink.
    pub envelope: Envelope,
    /// How frames are compressed. A payload that is streamed because it is larger than
    /// [`limits::REQUEST_MEMORY_BYTES_MAX`] goes uncompressed, which every receiver takes.
    pub packing: Packing,
    /// `rate-limit-bytes-per-second`, and the limit of all sinks.
    pub rates: Rates,
    /// `air-gap.piece-bytes`, ours: bytes of a file in one piece, from 1 to
    /// [`limits::PIECE_BYTES_MAX`].
    pub piece_bytes: usize,
    /// How tablets go ahead of the answers to earlier ones; none for one after the other. Not through gates, whose stock
    /// receivers lose what comes too early.
    pub ahead: Option<AheadPlan>,
    /// `exception.conflict.retry-max-time-seconds`, if the operator has set it: a delivery that was
    /// refused for so long is put aside. `None`: never.
    pub give_up_after: Option<Duration>,
    /// `exception.others.retry-max-time-seconds`, likewise for what a status calls no conflict and that need not pass.
    pub give_up_others_after: Option<Duration>,
    /// The node's cluster id.
    pub cluster_id: String,
    /// Unit of times of entries that do not say theirs.
    pub precision: Precision,
    /// `username` or `user`.
    pub username: String,
    /// `password`.
    pub password: String,
    /// `exception.data.convert-on-type-mismatch`.
    pub convert_on_type_mismatch: bool,
    /// `load-tsfile-strategy` is `async`.
    pub load_asynchronously: bool,
    /// `load-tsfile-validation`.
    pub validate_ts_file: bool,
    /// `mark-as-pipe-request`.
    pub mark_as_pipe_request: bool,
    /// `skipif` is `no-privileges`.
    pub skip_if_no_privileges: bool,
}

impl AirGapSettings {
    /// The defaults, for these targets and this node.
    pub fn new(node_urls: NodeUrls, cluster_id: impl Into<String>) -> Self {
        Self {
            program: None,
            node_urls,
            gate_order: GateOrder::default(),
            handshake_timeout: limits::HANDSHAKE_TIMEOUT_DEFAULT,
            seal_timeout: limits::SEAL_TIMEOUT_DEFAULT,
            handshake_v1_fallback: false,
            envelope: Envelope::Frames { wrapped: false },
            packing: Packing::default(),
            rates: Rates::default(),
            piece_bytes: limits::PIECE_BYTES_DEFAULT,
            ahead: None,
            give_up_after: None,
            give_up_others_after: None,
            cluster_id: cluster_id.into(),
            precision: Precision::default(),
            username: "root".to_owned(),
            password: "root".to_owned(),
            convert_on_type_mismatch: true,
            load_asynchronously: false,
            validate_ts_file: true,
            mark_as_pipe_request: true,
            skip_if_no_privileges: false,
        }
    }

    /// What a pipe's stanza says, for this node. `password` is what the stanza's secret resolves to;
    /// `precision` is the node's.
    pub fn from_config(
        sink: &config::AirGapSink,
        password: String,
        cluster_id: impl Into<String>,
        precision: Precision,
    ) -> Self {
        Self {
            gate_order: sink.order,
            handshake_timeout: sink.handshake_timeout,
            seal_timeout: sink.seal_timeout,
            handshake_v1_fallback: sink.handshake_v1_fallback,
            envelope: Envelope::of(sink.transport),
            packing: Packing { compressors: sink.compressors.clone(), zstd_level: sink.zstd_level },
            rates: Rates {
                own: sink.rate_limit.and_then(|rate| rate_limit(rate.get())),
                shared: None,
            },
            piece_bytes: sink.piece_bytes,
            give_up_after: sink.give_up_after,
            give_up_others_after: sink.give_up_others_after,
            precision,
            username: sink.user.clone(),
            password,
            convert_on_type_mismatch: sink.convert_on_type_mismatch,
            load_asynchronously: sink.load_strategy == config::LoadStrategy::Async,
            validate_ts_file: sink.load_validation,
            mark_as_pipe_request: sink.mark_as_pipe_request,
            skip_if_no_privileges: sink.skip_if_no_privileges,
            ..Self::new(sink.targets.clone(), cluster_id)
        }
    }

    /// The defaults, for a program on this node.
    pub fn of_program(
        program: Program,
        cluster_id: impl Into<String>,
        precision: Precision,
    ) -> Self {
        Self { program: Some(program), precision, ..Self::new(NodeUrls::default(), cluster_id) }
    }

    /// The target with this number.
    pub(super) fn target(&self, gate: usize) -> Option<Target<'_>> {
        match &self.program {
            Some(program) => Some(Target::Program(program)),
            None => self.node_urls.get(gate).map(Target::Gate),
        }
    }

    /// What the machine has to know of it.
    pub(super) fn of_sender(&self) -> sender::Settings {
        let gates = NonZeroUsize::new(self.node_urls.len()).unwrap_or(NonZeroUsize::MIN);
        sender::Settings {
            order: self.gate_order,
            handshake_timeout: self.handshake_timeout,
            seal_timeout: self.seal_timeout,
            handshake_v1_fallback: self.handshake_v1_fallback,
            is_told_why: matches!(self.envelope, Envelope::Thrift(_)),
            piece_bytes: self.piece_bytes.min(limits::PIECE_BYTES_MAX),
            ..sender::Settings::new(gates)
        }
    }

    /// What the handshake says.
    pub(super) fn offer(&self, precision: Precision) -> Offer<'_> {
        Offer {
            cluster_id: &self.cluster_id,
            precision: precision.text(),
            username: &self.username,
            password: &self.password,
            convert_on_type_mismatch: self.convert_on_type_mismatch,
            load_asynchronously: self.load_asynchronously,
            validate_ts_file: self.validate_ts_file,
            mark_as_pipe_request: self.mark_as_pipe_request,
            skip_if_no_privileges: self.skip_if_no_privileges,
        }
    }
}

/// Where a line leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    Gate(&'a NodeUrl),
    Program(&'a Program),
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(gate) => gate.fmt(out),
            Self::Program(program) => program.fmt(out),
        }
    }
}

impl fmt::Debug for AirGapSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AirGapSettings")
            .field("program", &self.program)
            .field("node_urls", &self.node_urls)
            .field("gate_order", &self.gate_order)
            .field("envelope", &self.envelope)
            .field("packing", &self.packing)
            .field("piece_bytes", &self.piece_bytes)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A limit of so many bytes a second. More than 4 GiB a second is no limit that a gate could have.
pub fn rate_limit(bytes_per_second: u64) -> Option<RateLimit> {
    RateLimit::new(u32::try_from(bytes_per_second).map_or(f64::INFINITY, f64::from))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let urls = NodeUrls::parse("h:1").unwrap();
        let mut settings = AirGapSettings::new(urls, "c");
        settings.password = "hunter2".to_owned();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn stanza_becomes_settings() {
        let stanza = r#"[[pipe]]
name = "a"
sink = { sink = "iotdb-air-gap-sink", node-urls = "g:9780,h:9781", ip = "::1", port = 9780, compressor = "zstd,lz4", "compressor.zstd.level" = 7, rate-limit-bytes-per-second = 1000, load-balance-strategy = "priority", user = "u", skipif = "no-privileges", "air-gap.piece-bytes" = 65536, "air-gap.e-language.enable" = true }
"#;
        let input = config::Input {
            role: config::Role::Sender,
            file: Some((Path::new("p.toml"), stanza)),
            properties: None,
            sets: &[],
            data_dir: None,
            state_directory: None,
            host_name: "box",
        };
        let (config, findings) = config::read(input);
        assert!(!findings.has_errors(), "{findings:?}");
        let pipe = &config.pipes[0];
        let settings = AirGapSettings::from_config(
            pipe.sink.as_ref().unwrap(),
            "p".to_owned(),
            "c",
            Precision::Us,
        );
        assert_eq!(settings.node_urls.to_string(), "g:9780,h:9781,[::1]:9780");
        assert_eq!(settings.packing.compressors, [Compressor::Zstd, Compressor::Lz4]);
        assert_eq!(settings.packing.zstd_level, 7);
        assert!(settings.rates.own.is_some() && settings.skip_if_no_privileges);
        assert_eq!(settings.envelope, Envelope::Frames { wrapped: true });
        assert_eq!(settings.of_sender().order, GateOrder::Priority);
        assert_eq!(settings.of_sender().piece_bytes, 65_536);
        assert_eq!(settings.of_sender().gates.get(), 3);
        let offer = settings.offer(Precision::Us);
        assert_eq!((offer.username, offer.password, offer.precision), ("u", "p", "us"));
    }
}

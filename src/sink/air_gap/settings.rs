//! What an air-gap sink is told by the attributes of its pipe.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::data::Precision;
use crate::limits;
use crate::link::node_urls::NodeUrls;
use crate::link::rate::RateLimit;
use crate::link::sender::{self, GateOrder};
use crate::wire::compressed::Compressor;
use crate::wire::handshake::Offer;

/// Compressors that follow each other in one frame.
pub type Compressors = heapless::Vec<Compressor, { limits::WRAPPERS_MAX }>;

/// The attributes of an `iotdb-air-gap-sink`, checked. `Debug` hides the password.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent switches of stock IoTDB")]
pub struct AirGapSettings {
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
    /// `air-gap.e-language.enable`.
    pub e_language: bool,
    /// `compressor`, in the order applied. A payload that is streamed because it is larger than
    /// [`limits::REQUEST_MEMORY_BYTES_MAX`] goes uncompressed, which every receiver takes.
    pub compressors: Compressors,
    /// `rate-limit-bytes-per-second`.
    pub rate: Option<RateLimit>,
    /// `air-gap.piece-bytes`, ours: bytes of a file in one piece, from 1 to
    /// [`limits::PIECE_BYTES_MAX`].
    pub piece_bytes: usize,
    /// `exception.conflict.retry-max-time-seconds`, if the operator has set it: a delivery that was
    /// refused for so long is put aside. `None`: never.
    pub give_up_after: Option<Duration>,
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
}

impl AirGapSettings {
    /// The defaults, for these targets and this node.
    pub fn new(node_urls: NodeUrls, cluster_id: impl Into<String>) -> Self {
        Self {
            node_urls,
            gate_order: GateOrder::default(),
            handshake_timeout: limits::HANDSHAKE_TIMEOUT_DEFAULT,
            seal_timeout: limits::SEAL_TIMEOUT_DEFAULT,
            handshake_v1_fallback: false,
            e_language: false,
            compressors: Compressors::new(),
            rate: None,
            piece_bytes: limits::PIECE_BYTES_DEFAULT,
            give_up_after: None,
            cluster_id: cluster_id.into(),
            precision: Precision::default(),
            username: "root".to_owned(),
            password: "root".to_owned(),
            convert_on_type_mismatch: true,
            load_asynchronously: false,
            validate_ts_file: true,
            mark_as_pipe_request: true,
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
        }
    }
}

impl fmt::Debug for AirGapSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AirGapSettings")
            .field("node_urls", &self.node_urls)
            .field("gate_order", &self.gate_order)
            .field("e_language", &self.e_language)
            .field("compressors", &self.compressors)
            .field("piece_bytes", &self.piece_bytes)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let urls = NodeUrls::new(Some("h:1"), []).unwrap();
        let mut settings = AirGapSettings::new(urls, "c");
        settings.password = "hunter2".to_owned();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}

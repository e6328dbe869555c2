//! What a gate is like.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::chance::Chance;
use crate::replies::ReplyPolicy;
use crate::script::Rule;

/// Bytes that one direction of one connection holds by default: 20 ms at 100 Mbit/s.
pub const BUFFER_BYTES_DEFAULT: usize = 256 * 1024;

/// What a gate is like.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the inner side connects to; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What stands behind the gate.
    pub target: SocketAddr,
    /// Speed of the wire in each direction, in bits per second; none is as fast as it goes.
    pub bandwidth: Option<NonZeroU64>,
    /// Time from one side to the other and back.
    pub round_trip: Duration,
    /// Bytes that one direction of one connection holds before the sending side has to wait.
    pub buffer_bytes: usize,
    /// Largest segment that leaves the gate; 0 is as they come.
    pub segment_bytes: usize,
    /// What may pass towards the inner side.
    pub replies: ReplyPolicy,
    /// Whether only E-language passes towards the target. What does not comply is reported, and the
    /// connection cut unless violations are only to be reported.
    pub e_language_only: bool,
    /// Connections that were silent this long are forgotten without a word to either end.
    pub idle_kill: Option<Duration>,
    /// Whether ends of stream are kept from the other side.
    pub swallow_fin: bool,
    /// Whether resets are kept from the other side.
    pub swallow_rst: bool,
    /// Faults by script.
    pub script: Vec<Rule>,
    /// Faults by seed.
    pub chance: Option<Chance>,
}

impl Config {
    /// A gate without faults, as fast as it goes, on a port of the system's choice.
    pub fn new(target: SocketAddr) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            target,
            bandwidth: None,
            round_trip: Duration::ZERO,
            buffer_bytes: BUFFER_BYTES_DEFAULT,
            segment_bytes: 0,
            replies: ReplyPolicy::default(),
            e_language_only: false,
            idle_kill: None,
            swallow_fin: false,
            swallow_rst: false,
            script: Vec::new(),
            chance: None,
        }
    }
}

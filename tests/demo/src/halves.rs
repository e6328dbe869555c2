//! The two halves, and a supervisor that starts them again.

use std::time::Duration;

use penstock_test_support::node::{Node, NodeError, NodeSettings};
use rustix::process::Signal;
use serde_json::Value;

/// How long an orderly stop may take, and a little.
const STOP_MAX: Duration = Duration::from_secs(8);

/// One half, started again whenever it has ended.
#[derive(Debug)]
pub(crate) struct Half {
    node: Node,
    restarts: u32,
}

/// The file that is crossing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crossing {
    /// Its name, as the half calls it.
    pub(crate) file: String,
    /// Bytes that are over.
    pub(crate) done_bytes: u64,
    /// All bytes, if they are known.
    pub(crate) total_bytes: Option<u64>,
    /// Mean of the last seconds.
    pub(crate) bytes_per_second: u64,
}

impl Half {
    /// Starts it.
    pub(crate) fn start(settings: NodeSettings) -> Result<Self, NodeError> {
        Ok(Self { node: settings.start()?, restarts: 0 })
    }

    /// The running program.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// How often it was started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// `kill -9`.
    pub(crate) fn pull_plug(&mut self) -> Result<(), NodeError> {
        self.node.kill().map(drop)
    }

    /// Starts it again if it has ended.
    pub(crate) fn supervise(&mut self) -> Result<(), NodeError> {
        if !self.node.is_running()? {
            self.node.restart()?;
            self.restarts += 1;
        }
        Ok(())
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) -> Result<(), NodeError> {
        if self.node.is_running()? {
            self.node.signal(Signal::TERM)?;
            self.node.wait_end(STOP_MAX)?;
        }
        Ok(())
    }

    /// Points that lie in landed files, as far as the half says so.
    pub(crate) fn landed_points(&self) -> Option<u64> {
        let status = self.node.status().ok()?;
        let waits = status.pointer("/landing/pending_entries")?.as_u64()?;
        status.pointer("/landing/points")?.as_u64().filter(|_| waits == 0)
    }

    /// The file that is crossing, if one is and the half says so.
    pub(crate) fn crossing(&self) -> Option<Crossing> {
        let status = self.node.status().ok()?;
        let crossing = status.get("crossing")?.as_array()?.first()?;
        let number = |key: &str| crossing.get(key).and_then(Value::as_u64);
        Some(Crossing {
            file: crossing.get("file")?.as_str()?.into(),
            done_bytes: number("done_bytes")?,
            total_bytes: number("total_bytes"),
            bytes_per_second: number("bytes_per_second").unwrap_or(0),
        })
    }
}

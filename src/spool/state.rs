//! What the spool knows beyond its entries: starts, uptime, counters. Written at each start, each minute, at the end.

use crate::spool::fields::{Put, Take};

/// Path of the two-slot file.
pub(super) const PATH: &str = "spool/state";
pub(super) const TEMPORARY: &str = "spool/state.new";

const VERSION: u8 = 1;
const BYTES: usize = 2 + 4 + 6 * 8;

/// The record: `version u8, clean u8, boot u32`, then the numbers as u64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The run that wrote it ended in order.
    pub(super) clean: bool,
    /// How often the spool was opened.
    pub(super) boot: u32,
    /// Uptime over all runs.
    pub(super) uptime_ms: u64,
    /// Everything below was durable at that time.
    pub(super) synced: u64,
    pub(super) dropped_entries: u64,
    pub(super) dropped_bytes: u64,
    pub(super) corrupt_entries: u64,
    pub(super) resynchronised: u64,
}

impl State {
    pub(super) fn encode(&self) -> [u8; BYTES] {
        let mut record = [0; BYTES];
        let mut put = Put::new(&mut record);
        put.u8(VERSION).u8(u8::from(self.clean)).u32(self.boot);
        put.u64(self.uptime_ms).u64(self.synced).u64(self.dropped_entries).u64(self.dropped_bytes);
        put.u64(self.corrupt_entries).u64(self.resynchronised);
        debug_assert_eq!(put.left(), 0);
        record
    }

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut take = Take::new(record);
        if take.u8()? != VERSION {
            return None;
        }
        Some(Self {
            clean: take.u8()? != 0,
            boot: take.u32()?,
            uptime_ms: take.u64()?,
            synced: take.u64()?,
            dropped_entries: take.u64()?,
            dropped_bytes: take.u64()?,
            corrupt_entries: take.u64()?,
            resynchronised: take.u64()?,
        })
    }
}

//! What the configuration decides, and what the status page shows.

use std::time::Duration;

use crate::data::{Identity, OriginId, Sequence};
use crate::limits::MIB;

/// What happens to new data when the quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits.
    Block,
    /// The oldest closed segment makes room, read or not; counted and listed.
    DropOldest,
}

/// Settings of a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of a segment, a multiple of 4096.
    pub segment_bytes: u64,
    /// A segment that is not empty closes at this age.
    pub segment_max_age: Duration,
    /// Quota: bytes of segments, partials and files together.
    pub max_bytes: u64,
    /// Bytes of the file system that are left alone.
    pub reserve_bytes: u64,
    /// What happens when the quota is used up.
    pub when_full: WhenFull,
    /// Keeps released segments up to this many bytes; 0: none by size.
    pub retain_bytes: u64,
    /// Keeps released segments for this much uptime of the node; 0: none by age. With both set, whichever ends first.
    pub retain: Duration,
    /// Bytes that the quarantine may hold.
    pub quarantine_max_bytes: u64,
    /// What somebody else has written down: the node of this identity had durable entries below this sequence. They are
    /// not given again, whatever the log has lost.
    pub proved: Option<(OriginId, Sequence)>,
}

impl Default for Settings {
    fn default() -> Self {
        let mib = MIB as u64;
        Self {
            segment_bytes: 16 * mib,
            segment_max_age: Duration::from_secs(60),
            max_bytes: 10 * 1024 * mib,
            reserve_bytes: 256 * mib,
            when_full: WhenFull::Block,
            retain_bytes: 0,
            retain: Duration::ZERO,
            quarantine_max_bytes: 256 * mib,
            proved: None,
        }
    }
}

/// The spool in numbers; a copy, made for the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The node's identity.
    pub origin: OriginId,
    /// Oldest entry that is still there, or the next one if there is none.
    pub first_sequence: Sequence,
    /// Entries below this one are released.
    pub released_below: Sequence,
    /// Entries below this one are durable.
    pub synced_below: Sequence,
    /// The sequence that the next entry gets.
    pub next_sequence: Sequence,
    /// Bytes of segments, as the file system sees them.
    pub segment_bytes: u64,
    /// Segments.
    pub segments: usize,
    /// Bytes of sealed files.
    pub file_bytes: u64,
    /// Bytes of what is kept for re-sending only, files included.
    pub retained_bytes: u64,
    /// Bytes of partials, and of files that are made of entries.
    pub partial_bytes: u64,
    /// Partials.
    pub partials: usize,
    /// Bytes that the quota allows now.
    pub max_bytes: u64,
    /// The last append or write found no room, and nothing has been released since.
    pub full: bool,
    /// The spool takes nothing, after repeated failures of the disk.
    pub failing: bool,
    /// Things in quarantine.
    pub quarantine_things: u64,
    /// Their bytes.
    pub quarantine_bytes: u64,
    /// Consumers.
    pub consumers: usize,
    /// Entries appended since the start.
    pub appended_entries: u64,
    /// Bytes of their payloads.
    pub appended_bytes: u64,
    /// Entries and files that had been taken already, since the start.
    pub duplicates: u64,
    /// Entries and files since the start that came under an identity that was known for something else, and were
    /// taken as new: the number, and the last identity.
    pub reused_entries: u64,
    /// See there.
    pub reused: Option<Identity>,
    /// Syncs of the log since the start.
    pub syncs: u64,
    /// Entries that `drop-oldest` gave up, over all runs.
    pub dropped_entries: u64,
    /// Their bytes, files included.
    pub dropped_bytes: u64,
    /// Segments given up by retention since the start.
    pub retained_given_up: u64,
    /// Entries found flawed, over all runs.
    pub corrupt_entries: u64,
    /// Times that reading had to search for the next entry, over all runs.
    pub resynchronised: u64,
    /// Known origins whose oldest ranges were forgotten: repetitions of those may be taken twice. Since the start.
    pub forgotten_ranges: u64,
    /// How often this spool was opened.
    pub boot: u32,
    /// Uptime over all runs.
    pub uptime: Duration,
}

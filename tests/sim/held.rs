//! What a node may hold at most, whatever happens to it.

use penstock::keep::spool_thread::Held;
use penstock::limits;
use penstock::spool::{Settings, Stats};

/// Memory of the splitter: its table of columns, its rows and its window.
const SCRATCH_BYTES_MAX: usize =
    limits::COLUMNS_MAX * 17 + limits::SPLIT_ROWS_MAX * 16 + limits::SPLIT_WINDOW_BYTES;
/// Buffers of the gate, with the one that parts are written into.
const GATE_BYTES_MAX: usize = limits::REQUEST_BUFFERS * limits::REQUEST_MEMORY_BYTES_MAX
    + limits::SMALL_REQUEST_BUFFERS * limits::SMALL_REQUEST_BYTES_MAX
    + limits::ENTRY_BYTES_MAX
    + SCRATCH_BYTES_MAX;
/// Two batches, and a few words for each record.
const STAGE_BYTES_MAX: usize = 2 * (limits::STAGE_BYTES + limits::STAGE_RECORDS * 512);

/// The spool keeps within its quota, and its tables within theirs.
pub(crate) fn check_spool(stats: &Stats, settings: &Settings) {
    let bytes = stats.segment_bytes + stats.file_bytes + stats.partial_bytes;
    assert!(bytes <= settings.max_bytes, "{bytes} bytes of {} in the spool", settings.max_bytes);
    let (quarantined, most) = (stats.quarantine_bytes, settings.quarantine_max_bytes);
    assert!(quarantined <= most, "{quarantined} bytes of {most} in quarantine");
    assert!(stats.partials <= limits::PARTIALS_MAX, "{} partials", stats.partials);
    assert!(stats.segments <= limits::SEGMENTS_MAX, "{} segments", stats.segments);
    assert!(stats.consumers <= limits::CONSUMERS_MAX, "{} consumers", stats.consumers);
}

/// So do the spool's thread, the stage in front of it, and the gate's store.
pub(crate) fn check_node(held: &Held, gate_bytes: usize, settings: &Settings, connections: usize) {
    check_spool(&held.spool, settings);
    let Held { stage_bytes, jobs, broken_links, open_files, .. } = *held;
    assert!(stage_bytes <= STAGE_BYTES_MAX, "{stage_bytes} bytes of stage");
    assert!(gate_bytes <= GATE_BYTES_MAX, "{gate_bytes} bytes of buffers");
    // Those that are closed have their last record on the stage yet.
    let links = connections + limits::STAGE_RECORDS;
    assert!(jobs <= connections, "{jobs} long jobs of {connections} connections");
    assert!(broken_links <= links, "{broken_links} broken links");
    assert!(open_files <= limits::PARTIALS_MAX, "{open_files} open files");
}

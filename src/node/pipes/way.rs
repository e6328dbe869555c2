//! In which order and form the entries of a pipe go.

use std::sync::Arc;
use std::time::Duration;

use super::Surroundings;
use crate::data::Sequence;
use crate::limits::{BATCH_TABLETS_AHEAD, RUN_BYTES, RUN_BYTES_IN_LANES, RUN_TABLETS_AHEAD};
use crate::ops::board::{PipeRow, Unit};
use crate::pipe::UnitFile;
use crate::sink::air_gap::{Budget, LanePlan, RunPlan, SpoolFeed};
use crate::spool::Disk;
use crate::statement::{RealtimeFirst, RealtimeMode};

/// In which order and form a pipe's entries go.
pub(super) struct Way {
    pub(super) mode: RealtimeMode,
    pub(super) border: Sequence,
    /// Tells the pipe from others.
    pub(super) mark: u32,
    pub(super) realtime_first: Option<RealtimeFirst>,
    /// Where that is shown.
    pub(super) row: Arc<PipeRow>,
}

/// What a pipe makes runs of tablets by; none if it sends them as they are.
pub(super) fn run_plan<D: Disk>(
    name: &str,
    mode: RealtimeMode,
    Way { border, mark, row, realtime_first, .. }: &Way,
    around: &Surroundings<D>,
) -> Option<RunPlan<D>> {
    let (budget, max_delay) = match mode {
        RealtimeMode::Stream => {
            row.set_unit(Unit::Tablets);
            return None;
        }
        RealtimeMode::Batch { max_delay_seconds } => (None, Duration::from_secs(max_delay_seconds)),
        RealtimeMode::Hybrid { lag_bytes, lag_seconds } => {
            let age = Duration::from_secs(lag_seconds);
            (Some(Budget { bytes: lag_bytes, age }), Duration::ZERO)
        }
    };
    Some(RunPlan {
        pipe: name.to_owned(),
        budget,
        max_delay,
        tablets_ahead: if budget.is_some() { RUN_TABLETS_AHEAD } else { BATCH_TABLETS_AHEAD },
        // What is fresh does not wait long for one run of the backlog.
        bytes_max: if realtime_first.is_some() { RUN_BYTES_IN_LANES } else { RUN_BYTES },
        border: *border,
        mark: *mark,
        origin: around.origin,
        note: UnitFile::new(around.disk.clone(), name, around.origin),
        desk: around.desk.clone(),
        board: Arc::clone(&around.board),
        row: Arc::clone(row),
    })
}

/// Has fresh entries overtake a backlog, if that is wanted.
pub(super) fn in_lanes<D: Disk>(feed: SpoolFeed<D>, name: &str, way: &Way) -> SpoolFeed<D> {
    let Way { realtime_first, row, .. } = way;
    let Some(RealtimeFirst { share_percent, after }) = *realtime_first else {
        row.set_fresh(None, 0);
        return feed;
    };
    let (pipe, row) = (name.to_owned(), Arc::clone(row));
    feed.in_lanes(LanePlan { pipe, share_percent, after, fresh_for: after, row })
}

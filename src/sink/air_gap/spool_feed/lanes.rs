//! Two lanes of one log: fresh entries overtake a backlog, in a share of the link.
//!
//! ```text
//!  log   | delivered | backlog ----> | delivered ----> | fresh ----> |
//!                    ^ position       `- a finished     ^ next        ^ synced
//!                      of the cursor     range of it
//! ```
//!
//! There is one lane until an entry has waited for [`LanePlan::after`]: what comes from then on is fresh. Each lane keeps the order of the
//! log, and an entry is in one of them. When the backlog has come to where the fresh lane began, they are one again. When an entry has
//! waited as long in the fresh lane, too, what waits there joins the backlog, and the fresh lane begins anew.
//!
//! The cursor is all that is kept: after a start the fresh lane goes on behind its last finished range.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::Sequence;
use crate::limits::LANE_RANGES_MAX;
use crate::ops::board::PipeRow;
use crate::ops::clock;
use crate::spool::{Cursor, Disk, Entry, EntryHeader, ReadError, Reader};

/// When, and how far, fresh entries overtake.
#[derive(Debug)]
pub struct LanePlan {
    /// The pipe's name.
    pub pipe: String,
    /// Of 100 bytes that are sent while both lanes have some, so many are fresh: 1 to 99.
    pub share_percent: u8,
    /// From when on an entry has waited for so long, those that come are fresh.
    pub after: Duration,
    /// An entry that has waited for so long in the fresh lane is backlog.
    pub fresh_for: Duration,
    /// Where the lanes are shown.
    pub row: Arc<PipeRow>,
}

/// The lanes of one feed.
#[derive(Debug)]
pub(super) struct Lanes<D: Disk> {
    plan: LanePlan,
    fresh: Option<Fresh<D>>,
}

/// Which lane an entry is in; backlog while there is one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Backlog,
    Fresh,
}

#[derive(Debug)]
struct Fresh<D: Disk> {
    reader: Reader<D>,
    /// Everything of the lane below was delivered.
    next: Sequence,
    /// Bytes since it had nothing last.
    sent: Sent,
}

#[derive(Debug, Default)]
struct Sent {
    backlog: u64,
    fresh: u64,
}

impl Sent {
    /// Whether the fresh lane has had less than its share.
    fn is_turn_of_fresh(&self, share_percent: u8) -> bool {
        let share = u128::from(share_percent);
        u128::from(self.fresh) * 100_u128.saturating_sub(share) < u128::from(self.backlog) * share
    }
}

impl<D: Disk> Lanes<D> {
    /// The lanes of a consumer that has come as far as `cursor` says.
    pub(super) fn new(plan: LanePlan, reader: &Reader<D>, cursor: &Cursor) -> Self {
        let mut lanes = Self { plan, fresh: None };
        if let Some((_, last)) = cursor.finished.last() {
            lanes.open(reader, last.next());
        }
        lanes.show();
        lanes
    }

    /// The next entry of the lane whose turn it is. `reader` is the backlog's, and nothing that it has read is under way.
    ///
    /// # Errors
    /// If the backlog cannot be read.
    pub(super) fn next(
        &mut self,
        reader: &mut Reader<D>,
        cursor: &mut Cursor,
    ) -> Result<Option<(Lane, Entry)>, ReadError> {
        self.turn(clock::now(), reader, cursor);
        if let Some(entry) = self.next_fresh(cursor) {
            return Ok(Some((Lane::Fresh, entry)));
        }
        let found = next_unfinished(reader, cursor)?;
        let begin = self.fresh.as_ref().map(|fresh| fresh.next);
        if let Some(begin) = begin.filter(|begin| is_at_least(found.as_ref(), *begin)) {
            cursor.raise(begin);
            self.close();
        }
        Ok(found.map(|entry| (Lane::Backlog, entry)))
    }

    /// Opens the fresh lane, or begins it anew, if something has waited for long enough.
    fn turn(&mut self, now: Instant, reader: &Reader<D>, cursor: &Cursor) {
        let synced = reader.synced();
        let LanePlan { row, after, fresh_for, .. } = &self.plan;
        row.note_lag(now, synced, reader.position());
        let (first, limit) = match &self.fresh {
            Some(fresh) => (fresh.next, fresh_for),
            None => (reader.position(), after),
        };
        let begin = row.fresh_from(now, (first, synced), *limit);
        if let Some(begin) = begin.filter(|_| cursor.finished.len() < LANE_RANGES_MAX) {
            self.open(reader, begin);
            self.show();
        }
    }

    fn open(&mut self, reader: &Reader<D>, next: Sequence) {
        let mut reader = reader.another();
        reader.seek(next);
        log::info!("event=fresh_lane pipe={:?} from={next}", self.plan.pipe);
        self.fresh = Some(Fresh { reader, next, sent: Sent::default() });
    }

    /// There is one lane again.
    pub(super) fn close(&mut self) {
        if let Some(fresh) = self.fresh.take() {
            log::info!("event=one_lane pipe={:?} from={}", self.plan.pipe, fresh.next);
        }
        self.show();
    }

    /// The next entry of the fresh lane, if it is its turn and there is one.
    fn next_fresh(&mut self, cursor: &Cursor) -> Option<Entry> {
        let fresh = self.fresh.as_mut()?;
        if !fresh.sent.is_turn_of_fresh(self.plan.share_percent) {
            return None;
        }
        match next_unfinished(&mut fresh.reader, cursor) {
            Ok(Some(entry)) => return Some(entry),
            // What it leaves of its share while it has nothing is not saved up.
            Ok(None) => fresh.sent = Sent::default(),
            Err(error) => {
                // It is read again, and told, in its place in the one lane.
                log::warn!(
                    "event=fresh_lane_unreadable pipe={:?} error=\"{error}\"",
                    self.plan.pipe
                );
                self.close();
            }
        }
        None
    }

    /// What reads the fresh lane, if there is one.
    pub(super) fn reader(&self) -> Option<&Reader<D>> {
        self.fresh.as_ref().map(|fresh| &fresh.reader)
    }

    /// An entry of a lane was delivered, or gone past: `bytes` of the link.
    pub(super) fn done(
        &mut self,
        lane: Lane,
        header: &EntryHeader,
        bytes: u64,
        cursor: &mut Cursor,
    ) {
        if lane == Lane::Backlog {
            cursor.raise(header.sequence.next());
            return self.charge(bytes);
        }
        let Some(fresh) = &mut self.fresh else { return };
        if cursor.finish_all(fresh.next, header.sequence) {
            fresh.next = header.sequence.next();
            fresh.sent.fresh = fresh.sent.fresh.saturating_add(bytes);
            self.show();
        } else {
            self.close();
        }
    }

    /// So many bytes of the backlog have crossed.
    pub(super) fn charge(&mut self, bytes: u64) {
        if let Some(fresh) = &mut self.fresh {
            fresh.sent.backlog = fresh.sent.backlog.saturating_add(bytes);
        }
    }

    fn show(&self) {
        self.plan
            .row
            .set_fresh(self.fresh.as_ref().map(|fresh| fresh.next.0), self.plan.share_percent);
    }
}

/// Whether nothing, or nothing below `begin`, was found.
fn is_at_least(found: Option<&Entry>, begin: Sequence) -> bool {
    found.is_none_or(|entry| entry.header.sequence >= begin)
}

/// The next entry that is not finished.
///
/// # Errors
/// If the disk fails.
pub(super) fn next_unfinished<D: Disk>(
    reader: &mut Reader<D>,
    cursor: &Cursor,
) -> Result<Option<Entry>, ReadError> {
    loop {
        if let Some(end) = cursor.finished_until(reader.position()) {
            reader.seek(end);
        }
        match reader.next_entry()? {
            Some(entry) if cursor.is_finished(entry.header.sequence) => {}
            found => return Ok(found),
        }
    }
}

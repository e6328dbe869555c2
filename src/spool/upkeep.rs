//! What has to be done from time to time: cursors, closing by age, release, retention, room.
//!
//! ```text
//!  oldest                                                                  newest
//!  | retained | retained | released |  held by a consumer  | ... | open or last |
//!   `-- given up first, when room is needed  `-- waits, or is dropped (`drop-oldest`)
//! ```
//!
//! The last segment goes, too, when it is the only one left: its files may take more than all segments together. An
//! empty one, of a header only, is made durable first and says which sequence comes next.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::data::Sequence;
use crate::limits::{CURSOR_SYNC_INTERVAL, SEGMENTS_AGED_MAX, SEGMENTS_MAX};
use crate::spool::disk::is_full;
use crate::spool::files::{FILES, each_name, parse_file_name};
use crate::spool::index::Segment;
use crate::spool::quota::Measure;
use crate::spool::segment::{self, Found, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::spool::{
    ConsumerId, Cursor, Disk, Fatal, Misuse, OpenMode, PartialError, Spool, Start, WhenFull, drops,
};

/// The state is written this often.
const STATE_INTERVAL: Duration = Duration::from_secs(60);
/// What was released is looked at this often.
const RELEASE_INTERVAL: Duration = Duration::from_secs(1);

impl<D: Disk> Spool<D> {
    /// Makes a consumer durable, or finds the one of that name (which keeps its place).
    ///
    /// # Errors
    /// [`Misuse::Name`], [`Misuse::TooMany`], or the disk's.
    pub fn create_consumer(
        &mut self,
        name: &str,
        start: Start,
    ) -> Result<ConsumerId, PartialError> {
        if let Some(id) = self.consumers.find(name) {
            return Ok(id);
        }
        self.check_writable()?;
        self.consumers.check(name)?;
        // A position is proof that everything below was durable.
        self.sync()?;
        let first = self.shared.index().first(self.log.next);
        let start = match start {
            Start::Oldest => first,
            Start::Next => self.log.next,
            Start::At(sequence) => sequence.0.clamp(first, self.log.next),
        };
        match self.consumers.create(&self.disk, name, Sequence(start)) {
            Ok(id) => Ok(id),
            Err(fatal) if is_full(&fatal.source) => Err(self.full(0).into()),
            Err(fatal) => Err(self.fail(fatal).into()),
        }
    }

    /// Drops a consumer. With the last one gone nothing is released any more.
    ///
    /// # Errors
    /// [`Misuse::UnknownConsumer`], or the disk's.
    pub fn drop_consumer(&mut self, id: ConsumerId) -> Result<(), PartialError> {
        self.check_writable()?;
        match self.consumers.remove(&self.disk, id) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Misuse::UnknownConsumer.into()),
            Err(fatal) => Err(self.fail(fatal).into()),
        }
    }

    /// All consumers: id, name, cursor.
    pub fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &str, &Cursor)> {
        self.consumers.iter()
    }

    /// A consumer's cursor, as last advanced.
    pub fn cursor(&self, id: ConsumerId) -> Option<&Cursor> {
        self.consumers.cursor(id)
    }

    /// Notes how far a consumer has come. Durable with the next [`Spool::maintain`] that finds 100 ms gone. A consumer
    /// that was busy with what `drop-oldest` took away has come as far as the oldest entry that is left.
    ///
    /// # Errors
    /// [`Misuse::UnknownConsumer`]; [`Misuse::Position`] if it goes back, or beyond what is synced.
    pub fn advance(&mut self, id: ConsumerId, cursor: &Cursor) -> Result<(), Misuse> {
        let oldest = Sequence(self.shared.index().first(self.log.next));
        let mut cursor = Cow::Borrowed(cursor);
        if cursor.position < oldest {
            cursor.to_mut().raise(oldest);
        }
        self.consumers.advance(id, &cursor, Sequence(self.log.synced))
    }

    /// The same, durable on return.
    ///
    /// # Errors
    /// As [`Spool::advance`], or the disk's.
    pub fn advance_now(&mut self, id: ConsumerId, cursor: &Cursor) -> Result<(), PartialError> {
        self.advance(id, cursor)?;
        Ok(self.sync_cursors()?)
    }

    /// Does what is due: cursors, closing by age, release, retention, flaws that readers met. Returns when to call
    /// again at the latest.
    ///
    /// # Errors
    /// The disk failed.
    pub fn maintain(&mut self, now: Instant) -> Result<Instant, Fatal> {
        self.check_whole()?;
        self.count_uptime(now);
        if self.failing {
            return Ok(now + STATE_INTERVAL);
        }
        self.room.changed();
        let mut changed = false;
        while let Some(flaw) = self.shared.next_flaw() {
            self.keep_flaw(&flaw, None)?;
            changed = true;
        }
        if now.duration_since(self.clock.cursors) >= CURSOR_SYNC_INTERVAL {
            self.sync_cursors()?;
        }
        let closes = self.closes_at();
        if closes.is_some_and(|at| at <= now) {
            self.sync()?;
            self.end_segment()?;
        }
        self.release()?;
        if changed || now.duration_since(self.clock.saved) >= STATE_INTERVAL {
            self.save_state()?;
        }
        let cursors = self.consumers.is_dirty().then(|| self.clock.cursors + CURSOR_SYNC_INTERVAL);
        let due = [self.closes_at(), cursors, Some(now + RELEASE_INTERVAL)];
        Ok(due.into_iter().flatten().min().unwrap_or(now).max(now))
    }

    /// Lets everything go that no consumer holds and that is in a closed segment, retained or not: `spool release`.
    ///
    /// # Errors
    /// The disk's.
    pub fn release_unclaimed(&mut self) -> Result<(), Fatal> {
        self.check_whole()?;
        if self.failing {
            return Ok(());
        }
        self.sync()?;
        if self.consumers.floor().is_none() {
            self.end_segment()?;
        }
        self.released = self.consumers.floor().map_or(self.log.synced, |floor| floor.0);
        loop {
            while self.is_front_released() && self.remove_front()? {}
            if !(self.is_all_released() && self.succeed_last()?) {
                return Ok(());
            }
        }
    }

    /// Makes changed cursors durable. Without room they stay as they are, and are tried again.
    pub(super) fn sync_cursors(&mut self) -> Result<(), Fatal> {
        self.clock.cursors = self.clock.now;
        match self.consumers.sync() {
            Err(fatal) if !is_full(&fatal.source) => Err(self.fail(fatal)),
            _ => Ok(()),
        }
    }

    pub(super) fn count_uptime(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.clock.counted).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.state.uptime_ms = self.state.uptime_ms.saturating_add(passed);
        self.clock.counted += Duration::from_millis(passed);
        self.clock.now = self.clock.now.max(now);
    }

    pub(super) fn save_state(&mut self) -> Result<(), Fatal> {
        self.clock.saved = self.clock.now;
        self.state.synced = self.log.synced;
        let record = self.state.encode();
        let Some(file) = &mut self.state_file else { return Ok(()) };
        match file.store(&record) {
            Err(error) if !is_full(&error) => {
                Err(self.fail(Fatal::at("write", Path::new("spool/state"))(error)))
            }
            _ => Ok(()),
        }
    }

    /// When the open segment closes by age.
    fn closes_at(&self) -> Option<Instant> {
        let open = self.log.open.as_ref().filter(|open| open.offset > SEGMENT_HEADER_BYTES)?;
        if self.shared.index().segments.len() > SEGMENTS_AGED_MAX {
            return None;
        }
        open.opened.checked_add(self.settings.segment_max_age)
    }

    /// Sequence where the oldest segment ends; `None` if it is the last one.
    fn front_end(&self) -> Option<u64> {
        self.shared.index().segments.get(1).map(|segment| segment.first)
    }

    fn is_front_released(&self) -> bool {
        self.front_end().is_some_and(|end| end <= self.released)
    }

    /// Lets go what every consumer has passed, as far as retention does not keep it. Returns whether anything went.
    fn release(&mut self) -> Result<bool, Fatal> {
        if let Some(floor) = self.consumers.floor() {
            self.released = floor.0;
        }
        if self.is_last_spent() {
            self.succeed_last()?;
        }
        let mut any = false;
        while let Some(end) = self.front_end().filter(|end| *end <= self.released) {
            if self.is_retained(end)? {
                break;
            }
            // What is gone must not be asked for again after a crash.
            if self.consumers.is_dirty() {
                self.sync_cursors()?;
            }
            if !self.remove_front()? {
                break;
            }
            any = true;
        }
        Ok(any)
    }

    /// Whether there is nothing that a consumer still needs.
    const fn is_all_released(&self) -> bool {
        self.released >= self.log.next
    }

    /// The last segment, if it is the only one and has entries.
    fn only_segment(&self) -> Option<Segment> {
        let index = self.shared.index();
        let only = index.segments.front().filter(|_| index.segments.len() == 1).copied();
        only.filter(|only| only.first < self.log.next)
    }

    /// Whether the only segment goes without need: released, not kept by retention, and either closed or with files
    /// that make the cost of one more segment small.
    fn is_last_spent(&self) -> bool {
        let is_worth = |only: &Segment| {
            self.log.open.is_none() || only.file_bytes >= self.settings.segment_bytes
        };
        !self.retains()
            && self.is_all_released()
            && self.only_segment().is_some_and(|only| is_worth(&only))
    }

    const fn retains(&self) -> bool {
        self.settings.retain_bytes > 0 || !self.settings.retain.is_zero()
    }

    /// Whether the only segment goes to make room: released, or, if the operator wrote so, for the sake of its files.
    fn is_last_expendable(&self, only: &Segment) -> bool {
        let drops = self.settings.when_full == WhenFull::DropOldest && only.files > 0;
        self.is_all_released() || drops
    }

    /// Ends the only segment and puts an empty one behind it, so that it can be removed: the empty one keeps the next
    /// sequence, and is begun anew under its name by the next entry. Returns false if there is nothing to end, or no
    /// room for a header.
    fn succeed_last(&mut self) -> Result<bool, Fatal> {
        if self.only_segment().is_none() {
            return Ok(false);
        }
        self.sync()?;
        self.end_segment()?;
        let (first, bytes) = (self.log.next, SEGMENT_HEADER_BYTES);
        let uptime_ms = self.state.uptime_ms;
        let begun = self.log.begin(&self.disk, self.origin, bytes, uptime_ms, self.clock.now);
        self.log.open = None;
        match begun {
            Ok(()) => {}
            Err(fatal) if is_full(&fatal.source) => {
                self.room.refused();
                return Ok(false);
            }
            Err(fatal) => return Err(self.fail(fatal)),
        }
        let empty = Segment { first, bytes, file_bytes: 0, files: 0 };
        self.shared.index().segments.push_back(empty);
        Ok(true)
    }

    /// Whether retention keeps the oldest segment, which is released and ends here.
    fn is_retained(&mut self, end: u64) -> Result<bool, Fatal> {
        let (limit, age) = (self.settings.retain_bytes, self.settings.retain);
        if limit == 0 && age.is_zero() {
            return Ok(false);
        }
        if limit > 0 && self.retained_bytes() > limit {
            return Ok(false);
        }
        if age.is_zero() {
            return Ok(true);
        }
        let ended = self.uptime_at(end)?;
        Ok(Duration::from_millis(self.state.uptime_ms.saturating_sub(ended)) < age)
    }

    /// Uptime when the segment that begins here was made: that is when the one before ended.
    fn uptime_at(&mut self, first: u64) -> Result<u64, Fatal> {
        if let Some((_, uptime_ms)) = self.front_ended.filter(|known| known.0 == first) {
            return Ok(uptime_ms);
        }
        let path = segment::path(first);
        let found = self
            .disk
            .open(&path, OpenMode::Read)
            .and_then(|file| SegmentHeader::read(&file))
            .map_err(Fatal::at("read", &path));
        let uptime_ms = match found {
            Ok(Found::Header(header)) => header.uptime_ms,
            Ok(Found::Damaged | Found::Later(_)) => self.state.uptime_ms,
            Err(fatal) => return Err(self.fail(fatal)),
        };
        self.front_ended = Some((first, uptime_ms));
        Ok(uptime_ms)
    }

    /// Bytes of closed segments that are released, and of their files.
    pub(super) fn retained_bytes(&self) -> u64 {
        let index = self.shared.index();
        let ends = index.segments.iter().skip(1).map(|next| next.first);
        let closed = index.segments.iter().zip(ends);
        closed.take_while(|(_, end)| *end <= self.released).map(|(one, _)| size(one)).sum()
    }

    /// Bytes that could be given up for new data.
    pub(super) fn expendable_bytes(&self) -> u64 {
        if let Some(only) = self.only_segment() {
            return if self.is_last_expendable(&only) { size(&only) } else { 0 };
        }
        if self.settings.when_full == WhenFull::Block {
            let last = self.shared.index().segments.back().map_or(0, size);
            return self.retained_bytes() + if self.is_all_released() { last } else { 0 };
        }
        self.shared.index().segments.iter().map(size).sum()
    }

    /// Removes the oldest segment and its files; it is not the last one. False if it has to stay until there is room
    /// to keep what de-duplication knows of it.
    fn remove_front(&mut self) -> Result<bool, Fatal> {
        let Some(end) = self.front_end() else { return Ok(false) };
        if !self.is_known_below(end)? {
            return Ok(false);
        }
        // Out of the index first: no reader opens it any more.
        let Some(front) = self.shared.index().segments.pop_front() else { return Ok(false) };
        let path = segment::path(front.first);
        let log = Path::new(segment::DIR);
        let removed = (self.disk.remove(&path).map_err(Fatal::at("remove", &path)))
            // Its files go when it cannot come back; what a crash leaves of them is removed at the next start.
            .and_then(|()| self.disk.sync_dir(log).map_err(Fatal::at("sync", log)))
            .and_then(|()| if front.files > 0 { remove_files(&self.disk, end) } else { Ok(()) });
        removed.map_err(|fatal| self.fail(fatal))?;
        self.consumers.raise(Sequence(end));
        self.room.changed();
        self.room.full = false;
        Ok(true)
    }

    /// Makes one segment's worth of room: released things first, then retained ones, then, if the operator wrote so,
    /// the oldest ones whether read or not. Returns false if there is nothing that may go.
    fn give_up_oldest(&mut self) -> Result<bool, Fatal> {
        if self.release()? {
            return Ok(true);
        }
        if self.only_segment().is_some_and(|only| self.is_last_expendable(&only))
            && !self.succeed_last()?
        {
            return Ok(false);
        }
        let Some(end) = self.front_end() else { return Ok(false) };
        if !self.is_known_below(end)? {
            return Ok(false);
        }
        if end <= self.released {
            self.counts.given_up += u64::from(self.retains());
        } else if self.settings.when_full == WhenFull::DropOldest {
            self.note_drop(end)?;
        } else {
            return Ok(false);
        }
        self.remove_front()
    }

    /// Counts and lists what `drop-oldest` is about to drop.
    fn note_drop(&mut self, end: u64) -> Result<(), Fatal> {
        let Some(front) = self.shared.index().segments.front().copied() else { return Ok(()) };
        let entries = end - front.first;
        self.state.dropped_entries += entries;
        self.state.dropped_bytes += size(&front);
        let line = format!(
            "wall_ms={} first={} last={} entries={entries} bytes={}\n",
            self.clock.wall_ms,
            front.first,
            end - 1,
            size(&front)
        );
        log::warn!("event=dropped {}", line.trim_end());
        match drops::list(&self.disk, &line) {
            // Without room for the line the count has to do.
            Err(error) if !is_full(&error) => {
                return Err(self.fail(Fatal::at("write", Path::new(drops::PATH))(error)));
            }
            _ => {}
        }
        self.save_state()
    }

    /// Makes sure that so many bytes may be written, with `headroom` left beside them.
    pub(super) fn make_room(&mut self, needed: u64, headroom: u64) -> Result<(), PartialError> {
        if self.shared.index().segments.len() >= SEGMENTS_MAX && !self.give_up_oldest()? {
            return Err(self.full(needed).into());
        }
        loop {
            if self.measure(headroom)?.check(needed).is_ok() {
                return Ok(());
            }
            // The file system may have got room since it was asked.
            self.room.changed();
            let measure = self.measure(headroom)?;
            let Err(full) = measure.check(needed) else { return Ok(()) };
            // Nothing is given up for what will never fit.
            if needed > measure.limit || !self.give_up_oldest()? {
                self.room.full = true;
                return Err(full.into());
            }
        }
    }

    fn measure(&mut self, headroom: u64) -> Result<Measure, Fatal> {
        let mut used = self.used_bytes();
        if self.settings.when_full == WhenFull::DropOldest {
            // Nothing is dropped for good for what lies there for a while.
            used -= self.made;
        }
        let measured = self.room.measure(&self.disk, used);
        Ok(measured.map_err(|fatal| self.fail(fatal))?.beside(headroom))
    }

    /// The same for partials: they leave room for a segment, without which nothing could ever be sealed or released.
    pub(super) fn make_room_beside_the_log(&mut self, needed: u64) -> Result<(), PartialError> {
        self.make_room(needed, self.settings.segment_bytes)
    }
}

const fn size(segment: &Segment) -> u64 {
    segment.bytes + segment.file_bytes
}

/// Removes the files of all entries below a sequence.
fn remove_files<D: Disk>(disk: &D, end: u64) -> Result<(), Fatal> {
    let dir = Path::new(FILES);
    each_name(disk, dir, &mut |name| {
        if parse_file_name(name).is_none_or(|(sequence, _)| sequence >= end) {
            return Ok(());
        }
        let path = dir.join(name);
        disk.remove(&path).map_err(Fatal::at("remove", &path))
    })
}

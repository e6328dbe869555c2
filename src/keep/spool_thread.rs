//! The one thread that owns the spool.
//!
//! ```text
//!  gate --- stage (batches) ----+
//!  inbox, worker, pipes: calls -+--> carried out --> one sync --> reports, replies, `synced`
//!  pipes: cursors --------------+                                 to the gate, to callers, to readers
//! ```
//!
//! A turn takes what there is, carries it out, and syncs once: whatever arrived during the last sync is
//! covered by the next. Whoever waits for an outcome gets it after the sync that covers it, never
//! before. Long jobs (a request of many MiB, an inflated one) run in portions, with a turn between
//! two of them, so that nobody else waits for longer than a portion and its sync.
//!
//! When the spool is full the thread stops taking batches, tries again ten times a second and at every
//! call, and the stage fills up behind it. When the disk fails the thread records it and ends; nothing is
//! reported or published any more, and the program has to exit.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::keeper::{Keeper, Kept};
use super::long_job::{Go, Host, LongJob, Pause};
use super::sealing::{self, Sealed};
use super::shown::Shown;
use super::spool_handle::{Reply, Shared, SpoolHandle};
use super::stage::{Batch, Record, Report};
use crate::data::Sequence;
use crate::limits;
use crate::link::receiver::{Job, Outcome};
use crate::ops::board::Board;
use crate::ops::clock::{self, EpochMillis};
use crate::ops::stamp::{Loop, Operation, Stamp};
use crate::spool::{Arrival, Disk, Fatal, Full, LinkId, Spool, Stats};

/// What the spool thread has to know.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Connections of the gate's table.
    pub connections: usize,
    /// Largest frame, and largest stated size of a compressed request.
    pub max_frame_bytes: u32,
}

/// A link of which something was left out.
#[derive(Debug)]
struct Broken {
    link: LinkId,
    /// What each that waits on it is told; nothing if the gate has given the link up.
    outcome: Option<Outcome>,
    left: Left,
}

/// What is left out after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The rest of the request.
    Request,
    /// All until the link closes.
    Link,
}

/// The thread's own side; [`SpoolThread::run`] is its body.
pub struct SpoolThread<D: Disk> {
    disk: D,
    spool: Spool<D>,
    keeper: Keeper,
    shared: Arc<Shared<D>>,
    board: Arc<Board>,
    synced: watch::Sender<Sequence>,
    ended: watch::Sender<bool>,
    batch: Batch,
    /// The first record of the batch that is not carried out.
    next: usize,
    jobs: VecDeque<LongJob>,
    /// The link whose job runs, and whether it was closed meanwhile.
    running: Option<(LinkId, bool)>,
    /// Links of which something was left out: everything that follows is, too.
    broken: Vec<Broken>,
    reports: Vec<Report>,
    replies: Vec<Reply>,
    /// Something was appended, or may have been.
    dirty: bool,
    full: bool,
    /// A long job waits for this.
    job_full: Option<Full>,
    now: Instant,
    wall: EpochMillis,
    /// Whether the thread may sleep: not when it is stepped.
    sleeps: bool,
    maintain_at: Instant,
    shown: Shown,
}

/// What a thread and its stage hold: each of it has a limit.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The spool's own numbers.
    pub spool: Stats,
    /// Bytes of the stage, used or not.
    pub stage_bytes: usize,
    /// Long jobs: one for each connection.
    pub jobs: usize,
    /// Links of which something was left out, and that are not closed yet.
    pub broken_links: usize,
    /// Files that grow.
    pub open_files: usize,
}

impl<D: Disk> SpoolThread<D> {
    /// What is held now.
    pub fn held(&self) -> Held {
        Held {
            spool: self.spool.stats(),
            stage_bytes: self.batch.memory_bytes() + self.shared.stage.memory_bytes(),
            jobs: self.jobs.len(),
            broken_links: self.broken.len(),
            open_files: self.keeper.open_files(),
        }
    }

    /// Takes the spool over. The thread itself is the caller's to start, with [`SpoolThread::run`].
    pub fn new(
        disk: D,
        spool: Spool<D>,
        settings: Settings,
        board: Arc<Board>,
    ) -> (Self, SpoolHandle<D>) {
        let (synced, synced_receiver) = watch::channel(spool.synced());
        let (ended, ended_receiver) = watch::channel(false);
        let handle = SpoolHandle::new(settings.connections, synced_receiver, ended_receiver);
        let shared = handle.shared();
        let batch = shared.stage.batch();
        let now = clock::now();
        let mut thread = Self {
            disk,
            spool,
            keeper: Keeper::new(settings.max_frame_bytes),
            shared,
            shown: Shown::new(Arc::clone(&board), now),
            board,
            synced,
            ended,
            batch,
            next: 0,
            jobs: VecDeque::with_capacity(settings.connections),
            running: None,
            broken: Vec::new(),
            reports: Vec::with_capacity(settings.connections),
            replies: Vec::new(),
            dirty: false,
            full: false,
            job_full: None,
            now,
            wall: EpochMillis::default(),
            sleeps: false,
            maintain_at: now,
        };
        // Whoever asks as soon as the node is ready sees what is there, not zeros.
        thread.shown.numbers(&mut thread.spool, 0, clock::wall());
        (thread, handle)
    }

    /// Runs until [`SpoolHandle::stop`], or until the disk fails.
    ///
    /// # Errors
    /// The disk failed; that is recorded in the data directory. The program has to exit.
    pub fn run(mut self) -> Result<(), Fatal> {
        let result = self.work();
        let mut calls = self.shared.calls();
        calls.ended = true;
        // Their callers see that nobody answers.
        calls.queue.clear();
        drop(calls);
        self.replies.clear();
        let result = result.and_then(|()| self.spool.close(clock::now()));
        self.board.stamps.of(Loop::Spool).retire();
        if let Err(fatal) = &result {
            log::error!("event=disk_failed error=\"{fatal}\"");
            Spool::record_fatal(&self.disk, fatal, clock::wall().0);
        }
        self.ended.send_replace(true);
        result
    }

    /// One turn and at most one long job, without sleeping: for those who have no threads, and a time
    /// of their own. A job that finds no room is tried again by the next step.
    ///
    /// # Errors
    /// The disk failed; nothing may be asked of this any more.
    pub fn step(&mut self, now: Instant, wall: EpochMillis) -> Result<(), Fatal> {
        (self.now, self.wall) = (now, wall);
        self.turn()?;
        match self.jobs.pop_front() {
            Some(job) => self.run_job(job),
            None => Ok(()),
        }
    }

    fn work(&mut self) -> Result<(), Fatal> {
        self.sleeps = true;
        loop {
            let had_jobs = !self.jobs.is_empty();
            self.step(clock::now(), clock::wall())?;
            if had_jobs || !self.jobs.is_empty() {
                continue;
            }
            if !self.is_stopping() {
                self.wait();
            } else if self.full || self.batch.is_empty() {
                return Ok(());
            }
        }
    }

    fn is_given_up(&self, link: LinkId) -> bool {
        self.shared.stage.is_given_up(link)
    }

    fn is_stopping(&self) -> bool {
        self.shared.calls().stop
    }

    fn arrival(&self) -> Arrival {
        Arrival { wall_ms: self.wall.0, trusted: self.wall.is_dated() }
    }

    fn stamp(&self) -> &Stamp {
        self.board.stamps.of(Loop::Spool)
    }

    /// Takes what there is, carries it out, and syncs once.
    fn turn(&mut self) -> Result<(), Fatal> {
        let now = self.now;
        self.stamp().turn(now);
        self.stamp().begin(Operation::Seal, now); // a call may seal a file, which syncs it
        self.serve_calls();
        if self.next >= self.batch.len() {
            self.shared.stage.take(&mut self.batch);
            self.next = 0;
        }
        let full = self.carry_out()?;
        let full = full.or(self.job_full);
        self.shown.room(&mut self.spool, full, (now, self.wall));
        self.full = full.is_some();
        self.commit()?;
        if self.full || self.maintain_at <= now {
            let _within = self.board.stamps.of(Loop::Spool).within(Operation::Release);
            let due = self.spool.maintain(now)?;
            self.maintain_at = due.min(now + limits::TURN_PERIOD_MAX);
        }
        let guest_duplicates = self.keeper.guest_duplicates();
        self.shown.turn(&mut self.spool, guest_duplicates, (now, self.wall));
        Ok(())
    }

    fn wait(&self) {
        let now = clock::now();
        self.stamp().turn(now);
        let due = self.maintain_at.min(self.shown.due());
        let time = due.saturating_duration_since(now).min(limits::TURN_PERIOD_MAX);
        if self.full {
            self.shared.stage.wait_for_call(time.min(FULL_RETRY));
        } else {
            self.shared.stage.wait(time);
        }
    }

    fn serve_calls(&mut self) {
        let next_cursor = |shared: &Shared<D>| shared.calls().cursors.pop();
        while let Some((consumer, cursor)) = next_cursor(&self.shared) {
            if let Err(error) = self.spool.advance(consumer, &cursor) {
                log::warn!("event=cursor_not_taken error=\"{error}\"");
            }
        }
        let next_call = |shared: &Shared<D>| shared.calls().queue.pop_front();
        while let Some(call) = next_call(&self.shared) {
            let reply = call(&mut self.spool);
            self.replies.push(reply);
            // It may have appended.
            self.dirty = true;
        }
    }

    /// Carries out the batch until its end, or until there is no room.
    fn carry_out(&mut self) -> Result<Option<Full>, Fatal> {
        while self.next < self.batch.len() {
            self.stamp().begin(Operation::Flush, self.now); // a write may flush what is dirty
            if let Some(full) = self.carry_out_next()? {
                return Ok(Some(full));
            }
            if let Some(buffer) = self.batch.take_buffer(self.next) {
                self.shared.stage.give_back(buffer);
            }
            self.next += 1;
        }
        Ok(None)
    }

    fn carry_out_next(&mut self) -> Result<Option<Full>, Fatal> {
        let arrival = self.arrival();
        let Some((record, bytes)) = self.batch.record(self.next) else { return Ok(None) };
        let link = record.link();
        if let Record::Close(link) = *record {
            self.close(link)?;
            return Ok(None);
        }
        if matches!(record, Record::Part(part) if part.part == 0) {
            // A new request.
            self.broken.retain(|broken| broken.link != link || broken.left == Left::Link);
        }
        let awaited = record.is_awaited();
        if let Some(broken) = self.broken.iter().find(|broken| broken.link == link) {
            if let Some(outcome) = broken.outcome.filter(|_| awaited) {
                self.report(link, &outcome);
            }
            return Ok(None);
        }
        let (spool, keeper) = (&mut self.spool, &mut self.keeper);
        let kept = match record {
            Record::Part(part) => keeper.append(spool, part, bytes, arrival)?,
            Record::Cut { file, length } => keeper.cut(spool, *file, *length)?,
            Record::Write { file } => keeper.write(spool, *file, bytes)?,
            Record::Discard { file } => keeper.discard(spool, *file)?,
            Record::Job(Job::Seal { from, files }) => {
                let _within = self.board.stamps.of(Loop::Spool).within(Operation::Seal);
                let sealed = Sealed { from: *from, files: files.clone() };
                match sealing::seal(keeper, spool, &sealed, bytes, arrival)? {
                    Ok(kept) => kept,
                    Err(job) => {
                        self.jobs.push_back(LongJob::Seal(job));
                        return Ok(None);
                    }
                }
            }
            Record::Job(Job::Quarantine { file, case }) => {
                keeper.quarantine(spool, *file, *case, bytes)?
            }
            Record::Job(Job::Show { file }) => keeper.show(spool, *file)?,
            Record::Job(job) => {
                self.jobs.extend(LongJob::of(job));
                return Ok(None);
            }
            Record::Close(_) => return Ok(None),
        };
        let left = if awaited {
            None
        } else if matches!(record, Record::Part(_)) {
            Some(Left::Request)
        } else {
            Some(Left::Link)
        };
        Ok(self.settle(link, &kept, left))
    }

    /// Notes what came of a record. `left`: what a failure takes along of what follows on the link;
    /// nothing if the link waits for the outcome.
    fn settle(&mut self, link: LinkId, kept: &Kept, left: Option<Left>) -> Option<Full> {
        match kept {
            Kept::Silent => self.dirty = true,
            Kept::Durable(outcome) => {
                self.dirty = true;
                self.report(link, outcome);
            }
            Kept::Done(outcome) => {
                if let Some(left) = left {
                    self.broken.push(Broken { link, outcome: Some(*outcome), left });
                }
                // Of a request the link hears when it has sent all of it, and not before.
                if left != Some(Left::Request) {
                    self.report(link, outcome);
                }
            }
            Kept::Full(full) if self.is_given_up(link) => {
                log::debug!("event=left_out link={link:?} needed={}", full.needed);
                self.shown.gave_up();
                self.broken.push(Broken { link, outcome: None, left: Left::Link });
            }
            Kept::Full(full) => return Some(*full),
        }
        None
    }

    fn report(&mut self, link: LinkId, outcome: &Outcome) {
        self.shown.outcome(outcome, self.now, self.wall);
        self.reports.push(Report { link, outcome: Some(*outcome) });
    }

    fn close(&mut self, link: LinkId) -> Result<(), Fatal> {
        if let Some((running, closed)) = &mut self.running
            && *running == link
        {
            // Its job ends first, or it would make files anew.
            *closed = true;
            return Ok(());
        }
        self.jobs.retain(|job| job.link() != link);
        self.keeper.close(&mut self.spool, link)?;
        self.broken.retain(|broken| broken.link != link);
        self.shared.stage.closed(link);
        self.reports.push(Report { link, outcome: None });
        Ok(())
    }

    /// Makes everything durable that was appended, then tells everyone.
    fn commit(&mut self) -> Result<(), Fatal> {
        if self.dirty {
            self.dirty = false;
            let synced = {
                let _within = self.board.stamps.of(Loop::Spool).within(Operation::Sync);
                self.spool.sync()?
            };
            self.synced.send_if_modified(|last| {
                let changed = *last != synced;
                *last = synced;
                changed
            });
        }
        self.shared.stage.report(&mut self.reports);
        self.replies.drain(..).for_each(|reply| reply());
        Ok(())
    }

    /// Runs a long job, with a turn after each portion.
    fn run_job(&mut self, mut job: LongJob) -> Result<(), Fatal> {
        let link = job.link();
        self.running = Some((link, false));
        let arrival = self.arrival();
        self.stamp().begin(Operation::Flush, self.now);
        let ended = job.run(self, arrival)?;
        let closed = matches!(self.running.take(), Some((_, true)));
        let is_full = self.job_full.take().is_some();
        match ended {
            Some(kept) => {
                self.settle(link, &kept, None);
            }
            None if is_full && !closed && !self.is_stopping() && !self.is_given_up(link) => {
                self.jobs.push_front(job);
            }
            None => {
                log::debug!("event=job_left link={link:?}");
                if is_full {
                    self.shown.gave_up();
                }
            }
        }
        if closed { self.close(link) } else { Ok(()) }
    }
}

impl<D: Disk> Host<D> for SpoolThread<D> {
    fn parts(&mut self) -> (&mut Keeper, &mut Spool<D>) {
        (&mut self.keeper, &mut self.spool)
    }

    /// What happens between two portions of a job.
    fn pause(&mut self, pause: Pause) -> Result<Go, Fatal> {
        self.job_full = match pause {
            Pause::Full(full) => Some(full),
            Pause::Portion => None,
        };
        if self.sleeps {
            (self.now, self.wall) = (clock::now(), clock::wall());
        }
        self.turn()?;
        let Some((link, _)) = self.running else { return Ok(Go::Away) };
        if self.is_given_up(link) {
            return Ok(Go::Away);
        }
        if self.job_full.is_some() {
            if !self.sleeps || self.is_stopping() {
                return Ok(Go::Away);
            }
            self.shared.stage.wait_for_call(FULL_RETRY);
        }
        // The next portion meets the disk, too.
        self.stamp().begin(Operation::Flush, clock::now());
        Ok(Go::On)
    }
}

/// How often a full spool is tried again.
const FULL_RETRY: Duration = Duration::from_millis(100);

impl<D: Disk> fmt::Debug for SpoolThread<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SpoolThread").field("full", &self.full).finish_non_exhaustive()
    }
}

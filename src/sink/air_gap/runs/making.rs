//! Which tablets of a feed go as files.

use std::io;

use super::super::feed::Feed;
use super::super::spool_feed::SpoolFeed;
use super::RunPlan;
use super::sending::{Gathered, Instead, Sending};
use crate::data::Sequence;
use crate::limits::{BATCH_TABLETS_AHEAD, MIB, RUN_TRIES_MAX, TWIN_RUN_ENTRIES_MAX};
use crate::ops::board::Unit;
use crate::ops::clock;
use crate::pipe::{SentUnit, UnitRecord};
use crate::sink::cuts::{CutTrouble, Outcome, RunOrder, Ticket};
use crate::spool::{Disk, EntryHeader, Kind, ReadError, Reader, Source};

/// Entries that are gathered in one turn, and their bytes, but for one entry more.
const TURN: usize = 256;
const TURN_BYTES: u64 = MIB as u64;
/// A run that is shorter goes as tablets.
const ENTRIES_MIN: u64 = 2;

/// What makes runs of a pipe's tablets.
#[derive(Debug)]
pub(super) struct Making<D: Disk> {
    pub(super) plan: RunPlan<D>,
    /// Reads ahead of the feed.
    ahead: Reader<D>,
    /// Whether files are made at the moment.
    unit: Unit,
    /// Tablets below may have gone as they are before this run of the program.
    tablets_first: Sequence,
    /// Tablets below may go as they are: that is kept, or the disk had no room for it.
    tablets_below: Sequence,
    /// It had none when it was last tried.
    is_unkept: bool,
    /// Below, tablets are not gathered: a run of them was refused, or cannot be made.
    alone_below: Sequence,
    /// The run that was under way when the program ended.
    again: Option<(Sequence, Sequence)>,
    /// Runs end before this entry.
    before: Option<Sequence>,
    pub(super) work: Work,
    /// Orders in a row that could not be carried out, or whose files did not read back as they were written.
    failures: u32,
    /// There may be more at once, though nothing was returned.
    pub(super) has_more: bool,
    /// What was returned begins a run, once all before it is delivered.
    pub(super) begins_run: bool,
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Work {
    Idle,
    Gathering(Gathered),
    Ordered(Gathered, Ticket),
    Sending(Sending),
}

/// What becomes of the feed's present entry.
enum Turn {
    /// The sink gets this.
    Give(EntryHeader),
    /// Nothing yet.
    Wait,
    /// Something has changed: look again.
    Again,
}

impl<D: Disk> Making<D> {
    /// Goes on with what is known of a feed.
    pub(super) fn new(plan: RunPlan<D>, feed: &mut SpoolFeed<D>) -> Self {
        let record = plan.note.read().unwrap_or_else(|error| {
            log::error!("event=unit_unknown pipe={:?} error=\"{error}\"", plan.pipe);
            None
        });
        let unit = if plan.budget.is_some() { Unit::Tablets } else { Unit::Files };
        plan.row.set_unit(unit);
        let mut making = Self {
            plan,
            ahead: feed.reader().another(),
            unit,
            tablets_first: Sequence(0),
            tablets_below: Sequence(0),
            is_unkept: false,
            alone_below: Sequence(0),
            again: None,
            before: None,
            work: Work::Idle,
            failures: 0,
            has_more: false,
            begins_run: false,
        };
        match record {
            // The spool was set back to an older state: what it will number so is something else.
            Some(record) if record.delivered > feed.synced() => {
                let (pipe, delivered) = (&making.plan.pipe, record.delivered);
                log::warn!("event=unit_forgotten pipe={pipe:?} delivered={delivered}");
                if let Err(error) = making.plan.note.forget() {
                    log::error!("event=unit_not_forgotten pipe={pipe:?} error=\"{error}\"");
                }
            }
            Some(record) => {
                feed.raise(record.delivered);
                making.recall(record, feed);
            }
            None => {}
        }
        making
    }

    /// What may be on its way since before this run of the program.
    fn recall(&mut self, UnitRecord { delivered, unit }: UnitRecord, feed: &SpoolFeed<D>) {
        match unit {
            SentUnit::Tablets(below) => (self.tablets_first, self.tablets_below) = (below, below),
            // What was taken out of the line may be what the far side refuses in the files.
            SentUnit::Files(last) if feed.has_gaps_up_to(last) => self.tablets_first = last.next(),
            SentUnit::Files(last) => self.again = Some((delivered, last)),
        }
    }

    /// Whether an entry may be part of a run.
    fn takes(&self, header: &EntryHeader) -> bool {
        header.kind == Kind::Tablet
            && header.identity.origin == self.plan.origin
            && matches!(header.source, Source::Own | Source::Stock { .. })
    }

    /// Whether an entry goes on the run.
    fn goes_on(&self, run: &Gathered, header: &EntryHeader, feed: &SpoolFeed<D>) -> bool {
        let is_history = |sequence| sequence < self.plan.border;
        self.takes(header)
            && header.hops == run.first.hops
            && is_history(header.sequence) == is_history(run.first.sequence)
            && self.before.is_none_or(|before| header.sequence < before)
            && !feed.cursor().is_finished(header.sequence)
            && run.entries < TWIN_RUN_ENTRIES_MAX
            && run.bytes.saturating_add(header.payload_bytes.into()) <= self.plan.bytes_max
    }

    /// In which unit the feed's next tablet goes.
    fn unit_of(&mut self, header: &EntryHeader) -> Unit {
        if header.sequence < self.tablets_first.max(self.alone_below) {
            return Unit::Tablets;
        }
        if let Some((first, last)) = self.again.filter(|(_, last)| header.sequence <= *last) {
            if header.sequence == first {
                return Unit::Files;
            }
            // Its beginning was dropped to make room: it would not be the same run.
            self.tablets_first = last.next();
            return Unit::Tablets;
        }
        self.again = None;
        let now = clock::now();
        let waits = (self.plan.row.remaining_bytes.get(), self.plan.row.lag(now));
        if let Some(budget) = self.plan.budget {
            let unit = budget.unit(self.unit, waits);
            if unit != self.unit {
                let (bytes, seconds) = (waits.0, waits.1.as_secs());
                let (pipe, name) = (&self.plan.pipe, unit.name());
                log::info!(
                    "event=unit pipe={pipe:?} unit={name} lag_bytes={bytes} lag_seconds={seconds}"
                );
                self.unit = unit;
                self.plan.row.set_unit(unit);
            }
        }
        self.unit
    }
}

// What goes next.
impl<D: Disk> Making<D> {
    /// What the sink gets of the feed's present entry; none while a run is gathered or made.
    pub(super) fn next(
        &mut self,
        header: EntryHeader,
        feed: &mut SpoolFeed<D>,
    ) -> Result<Option<EntryHeader>, ReadError> {
        if !self.takes(&header) {
            return Ok(Some(header));
        }
        loop {
            match self.turn(header, feed)? {
                Turn::Give(header) => return Ok(Some(header)),
                Turn::Wait => return Ok(None),
                Turn::Again => {}
            }
        }
    }

    fn turn(&mut self, header: EntryHeader, feed: &mut SpoolFeed<D>) -> Result<Turn, ReadError> {
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Sending(sending) => {
                let header = sending.header();
                self.work = Work::Sending(sending);
                Ok(header.map_or(Turn::Wait, Turn::Give))
            }
            Work::Ordered(run, mut ticket) => {
                if let Some(outcome) = ticket.take() {
                    return self.made(run, outcome, feed);
                }
                self.work = Work::Ordered(run, ticket);
                Ok(Turn::Wait)
            }
            Work::Gathering(run) => self.tablet(header, Some(run), feed),
            Work::Idle => self.tablet(header, None, feed),
        }
    }

    /// A tablet goes as it is, or a run begins with it, of which some may be gathered already.
    fn tablet(
        &mut self,
        header: EntryHeader,
        gathered: Option<Gathered>,
        feed: &SpoolFeed<D>,
    ) -> Result<Turn, ReadError> {
        if self.unit_of(&header) == Unit::Tablets {
            let delivered = feed.pending().unwrap_or(header.sequence);
            return self.as_tablet(&header, delivered).map(|()| Turn::Give(header));
        }
        // What is kept of a run says that all before it is delivered.
        if feed.pending().is_some() {
            self.begins_run = true;
            self.work = gathered.map_or(Work::Idle, Work::Gathering);
            return Ok(Turn::Give(header));
        }
        let gathered = gathered.filter(|run| run.first.sequence == header.sequence);
        let run = gathered.unwrap_or_else(|| self.begin(header));
        Ok(self.gather(run, feed))
    }

    fn begin(&mut self, first: EntryHeader) -> Gathered {
        self.before = self.before.filter(|before| first.sequence < *before);
        self.ahead.seek(first.sequence.next());
        let (last, bytes) = (first.sequence, first.payload_bytes.into());
        Gathered { first, last, entries: 1, bytes, since: clock::now() }
    }

    /// Gathers more of a run, and orders it once it is complete, unless others have their turn.
    fn gather(&mut self, mut run: Gathered, feed: &SpoolFeed<D>) -> Turn {
        let again = self.again.filter(|(first, _)| *first == run.first.sequence);
        let (mut left, until) = (TURN, run.bytes.saturating_add(TURN_BYTES));
        while left > 0 && run.bytes < until {
            left -= 1;
            let is_known = again.is_some_and(|(_, last)| run.last >= last);
            let next = if is_known { Ok(None) } else { self.ahead.next_entry() };
            match next {
                Ok(Some(entry))
                    if again.is_some_and(|(_, last)| entry.header.sequence <= last)
                        || again.is_none() && self.goes_on(&run, &entry.header, feed) =>
                {
                    run.last = entry.header.sequence;
                    run.entries += 1;
                    run.bytes += u64::from(entry.header.payload_bytes);
                }
                // It is the feed that goes over what the disk does not give back.
                Ok(Some(_)) | Err(_) => return self.complete(run),
                Ok(None) if is_known || self.is_ripe(&run) => return self.complete(run),
                Ok(None) => {
                    self.work = Work::Gathering(run);
                    return Turn::Wait;
                }
            }
        }
        self.has_more = true;
        self.work = Work::Gathering(run);
        Turn::Wait
    }

    /// Whether a run that may still grow is not waited for.
    fn is_ripe(&self, run: &Gathered) -> bool {
        self.plan.budget.is_some()
            || self.failures > 0
            || clock::now().saturating_duration_since(run.since) >= self.plan.max_delay
    }

    /// Orders a run, unless it is so short that it goes as it is.
    fn complete(&mut self, run: Gathered) -> Turn {
        self.again = None;
        if run.entries >= ENTRIES_MIN {
            let (first, last) = (run.first.sequence, run.last);
            let name = format!("pipe={} entries={first}-{last}", self.plan.pipe);
            let order = RunOrder { name, first, last, bytes: run.bytes };
            self.work = Work::Ordered(run, self.plan.desk.order_run(order));
        } else {
            self.alone_below = run.first.sequence.next();
        }
        Turn::Again
    }

    /// What became of an order.
    fn made(
        &mut self,
        run: Gathered,
        outcome: Outcome,
        feed: &mut SpoolFeed<D>,
    ) -> Result<Turn, ReadError> {
        let first = run.first.sequence;
        match outcome {
            // Nothing is in it: it is gone past.
            Outcome::Run(files) if files.is_empty() => {
                self.failures = 0;
                feed.finish_run(run.last, 0);
                feed.tell_passed();
                self.has_more = true;
                return Ok(Turn::Wait);
            }
            Outcome::Run(files) => {
                match self.keep(UnitRecord { delivered: first, unit: SentUnit::Files(run.last) }) {
                    Ok(()) => {
                        self.work = Work::Sending(Sending::new(run, files, self.plan.mark));
                    }
                    // They are made once more.
                    Err(source) => {
                        let operation = "keep the unit of a pipe";
                        let failed = Outcome::Failed(CutTrouble::Disk { operation, source });
                        self.not_made(&run, &failed)?;
                    }
                }
            }
            // No file can be made of that entry, or of so many: it begins a run of its own, or goes as it is.
            Outcome::Shorter(entry) if entry > first => self.before = Some(entry),
            Outcome::Shorter(_) => self.alone_below = first.next(),
            Outcome::Made(_)
            | Outcome::Nothing
            | Outcome::Rotten
            | Outcome::Unfit(_)
            | Outcome::Failed(_) => self.not_made(&run, &outcome)?,
        }
        Ok(Turn::Again)
    }

    /// A run was not made: it is tried again, a few times; then it goes as tablets, since what waits for a disk that does
    /// not write would wait for good.
    fn not_made(&mut self, run: &Gathered, outcome: &Outcome) -> Result<(), ReadError> {
        self.failures = self.failures.saturating_add(1);
        if self.is_trying() {
            // What the far side may have some files of does not change meanwhile.
            self.again = Some((run.first.sequence, run.last));
            let (operation, path) = ("make files of a run in", "spool/runs".into());
            let source = io::Error::other(outcome.to_string());
            return Err(ReadError::Disk { operation, path, source });
        }
        if self.failures.is_power_of_two() || self.failures == RUN_TRIES_MAX {
            let (pipe, first, last) = (&self.plan.pipe, run.first.sequence, run.last);
            log::warn!(
                "event=run_not_made pipe={pipe:?} entries={first}-{last} unit=tablets why=\"{outcome}\""
            );
        }
        self.alone_below = run.last.next();
        Ok(())
    }

    /// A file of the run is not what was written: they are made once more, as after an order that could not be carried out.
    /// Whether that was known before.
    pub(super) fn spoil(&mut self) -> Option<bool> {
        let Work::Sending(sending) = &mut self.work else { return None };
        if sending.instead.is_some() {
            return Some(true);
        }
        self.failures = self.failures.saturating_add(1);
        let is_over = self.failures >= RUN_TRIES_MAX;
        sending.instead = Some(if is_over { Instead::Tablets } else { Instead::Again });
        Some(false)
    }

    /// Whether the run before the pipe is tried again.
    fn is_trying(&self) -> bool {
        (1..RUN_TRIES_MAX).contains(&self.failures)
    }

    /// Whether the next entry waits for a run that is being made.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.work, Work::Ordered(..)) || self.is_trying()
    }

    /// Whether the entry that was returned last may be gone ahead of.
    pub(super) const fn may_go_ahead(&self) -> bool {
        !self.begins_run && !matches!(self.work, Work::Sending(_))
    }

    /// A tablet goes as it is, which is kept before; everything below `delivered` is over there.
    fn as_tablet(&mut self, header: &EntryHeader, delivered: Sequence) -> Result<(), ReadError> {
        // It may be on its way from now on.
        self.alone_below = self.alone_below.max(header.sequence.next());
        if header.sequence < self.tablets_below {
            return Ok(());
        }
        let ahead = self.plan.tablets_ahead;
        let below = Sequence(header.sequence.0.saturating_add(ahead)).max(self.alone_below);
        match self.keep(UnitRecord { delivered, unit: SentUnit::Tablets(below) }) {
            Ok(()) => {
                self.is_unkept = false;
                Ok(())
            }
            // That it is sent may be what makes room. After a kill it may go a second time, in a file.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                if !std::mem::replace(&mut self.is_unkept, true) {
                    log::warn!("event=unit_not_kept pipe={:?} error=\"{error}\"", self.plan.pipe);
                }
                self.tablets_below =
                    Sequence(header.sequence.0.saturating_add(BATCH_TABLETS_AHEAD));
                Ok(())
            }
            Err(source) => Err(ReadError::Disk {
                operation: "keep the unit of a pipe in",
                path: "pipes".into(),
                source,
            }),
        }
    }

    fn keep(&mut self, record: UnitRecord) -> io::Result<()> {
        // It takes the place of what was kept before.
        self.tablets_below = Sequence(0);
        self.plan.note.keep(record)?;
        if let SentUnit::Tablets(below) = record.unit {
            self.tablets_below = below;
        }
        Ok(())
    }

    /// A file of the run was delivered, or gone past: the run, if that was its last file.
    pub(super) fn file_done(&mut self) -> Option<Gathered> {
        let Work::Sending(sending) = &mut self.work else { return None };
        let run = sending.run;
        let instead = sending.instead;
        if instead.is_none() && sending.next_file() {
            return None;
        }
        let done = match instead {
            None => {
                self.failures = 0;
                Some(run)
            }
            Some(Instead::Again) => {
                self.again = Some((run.first.sequence, run.last));
                None
            }
            Some(Instead::Tablets) => {
                self.alone_below = run.last.next();
                None
            }
        };
        self.work = Work::Idle;
        done
    }

    pub(super) const fn sending(&mut self) -> Option<&mut Sending> {
        match &mut self.work {
            Work::Sending(sending) => Some(sending),
            Work::Idle | Work::Gathering(_) | Work::Ordered(..) => None,
        }
    }
}

//! What the spool thread tells people: numbers of the spool, and the trouble that it sees first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::Identity;
use crate::link::receiver::Outcome;
use crate::ops::board::{Board, IntakeKind, Report, SpoolState, TroubleKind};
use crate::ops::clock::EpochMillis;
use crate::ops::stamp::{Loop, Operation};
use crate::spool::{Disk, Full, Spool};

/// What was told last.
#[derive(Debug)]
pub(super) struct Shown {
    board: Arc<Board>,
    lack: Option<Lack>,
    /// Something waits for room in the quarantine.
    quarantine_full: bool,
    /// Entries that came under an identity which was known for something else.
    reused: u64,
    due: Instant,
    counted_at: Instant,
}

/// The spool is full.
#[derive(Debug, Clone, Copy)]
struct Lack {
    /// Bytes that have to be available.
    until: u64,
    /// Nobody waits for them now; the next one that writes as much would.
    is_given_up: bool,
    /// Since when they are.
    room_since: Option<Instant>,
}

impl Shown {
    /// Nothing was told yet.
    pub(super) fn new(board: Arc<Board>, now: Instant) -> Self {
        Self { board, lack: None, quarantine_full: false, reused: 0, due: now, counted_at: now }
    }

    /// When the numbers are to be written again.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Raises what an outcome means for a person.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others need no person")]
    pub(super) fn outcome(&mut self, outcome: &Outcome, now: Instant, wall: EpochMillis) {
        let report = match outcome {
            Outcome::NeverFits { needed, limit } => {
                let what = format!(
                    "a file from the gate needs more than {needed} bytes, the spool takes {limit} at most"
                );
                Report::new(TroubleKind::FileTooLarge, what).passing(now)
            }
            Outcome::Cloned => Report::new(
                TroubleKind::ClonedBox,
                "data came with this node's identity and a sequence that it has not given",
            )
            .passing(now),
            Outcome::QuarantineFull => {
                self.quarantine_full = true;
                let what = "the answer to something that can never be accepted is held";
                Report::new(TroubleKind::QuarantineFull, what)
            }
            _ => return,
        };
        self.board.raise(report, wall);
    }

    /// Whoever waited for room has given up: that it waits no more does not mean that there is some.
    pub(super) const fn gave_up(&mut self) {
        if let Some(lack) = &mut self.lack {
            lack.is_given_up = true;
        }
    }

    /// Raises that the spool is full, and clears it when there has been room for a while: a spool that drains while
    /// others write is full again and again.
    pub(super) fn room<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        full: Option<Full>,
        (now, wall): (Instant, EpochMillis),
    ) {
        let Some(full) = full else {
            let Some(lack) = &mut self.lack else { return };
            let is_there = !lack.is_given_up || spool.available_bytes() >= lack.until;
            let since = lack.room_since.filter(|_| is_there);
            lack.room_since = is_there.then(|| since.unwrap_or(now));
            if since.is_some_and(|since| now >= since + ROOM_LASTS_MIN) {
                log::info!("event=spool_has_room");
                self.board.clear(TroubleKind::SpoolFull, "");
                self.lack = None;
                self.state(spool);
            }
            return;
        };
        let missing = full.needed.saturating_sub(full.available);
        let until = spool.available_bytes().saturating_add(missing);
        if self.lack.replace(Lack { until, is_given_up: false, room_since: None }).is_none() {
            log::warn!("event=spool_full needed={} limit={}", full.needed, full.limit);
            let what = format!(
                "{} bytes are needed, {} of {} are free",
                full.needed, full.available, full.limit
            );
            self.board.raise(Report::new(TroubleKind::SpoolFull, what), wall);
            self.state(spool);
        }
    }

    /// Tells what the trouble tells, at the same time.
    fn state<D: Disk>(&self, spool: &Spool<D>) {
        self.board.spool.set_state(match (spool.stats().failing, self.lack.is_some()) {
            (true, _) => SpoolState::Failing,
            (false, true) => SpoolState::Full,
            (false, false) => SpoolState::Ok,
        });
    }

    /// Writes the spool's numbers on the board when it is time.
    pub(super) fn turn<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        guest_duplicates: u64,
        (now, wall): (Instant, EpochMillis),
    ) {
        if self.due > now {
            return;
        }
        self.due = now + SHOW_PERIOD;
        self.recount(spool, now);
        self.numbers(spool, guest_duplicates, wall);
    }

    /// Writes them now.
    pub(super) fn numbers<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        guest_duplicates: u64,
        wall: EpochMillis,
    ) {
        if self.board.spool.max_bytes.get() == 0 {
            // Asks the file system, which may have less than the configuration says.
            let _room = spool.room_for(0);
        }
        let stats = spool.stats();
        let board = &self.board.spool;
        board.first_sequence.set(stats.first_sequence.0);
        board.next_sequence.set(stats.next_sequence.0);
        board.entries.set(stats.next_sequence.0.saturating_sub(stats.released_below.0));
        board.bytes.set(stats.segment_bytes + stats.file_bytes + stats.partial_bytes);
        board.max_bytes.set(stats.max_bytes);
        board.retained_bytes.set(stats.retained_bytes);
        board.dropped_entries.set(stats.dropped_entries);
        board.syncs.set(stats.syncs);
        self.state(spool);
        let of_gate = stats.duplicates.saturating_sub(guest_duplicates);
        self.board.intake(IntakeKind::Gate).duplicates.set(of_gate);
        self.board.intake(IntakeKind::Session).duplicates.set(guest_duplicates);
        self.reused(stats.reused_entries, stats.reused, wall);
        self.quarantine(stats.quarantine_things, stats.quarantine_bytes, wall);
    }

    /// A box that was set back to an old state, or two of one image: what they send is kept, and somebody has to know.
    fn reused(&mut self, entries: u64, last: Option<Identity>, wall: EpochMillis) {
        let Some(last) = last.filter(|_| entries != self.reused) else { return };
        self.reused = entries;
        let (origin, sequence) = (last.origin, last.sequence);
        let what = format!(
            "{entries} entries of the node with the identity {origin} came under sequences that it had given to other \
             data, the last one {sequence}; they were taken as new"
        );
        let remedy = "two nodes have this identity, or one was set back to an old state: stop it, run new-id there, \
                      and start it again";
        let report = Report::new(TroubleKind::ClonedBox, what).about(origin.to_string());
        self.board.raise(report.remedy(remedy).count(entries), wall);
    }

    /// People take things out of the quarantine while the node runs.
    fn recount<D: Disk>(&mut self, spool: &mut Spool<D>, now: Instant) {
        let things = u32::try_from(self.board.quarantine.things.get()).unwrap_or(u32::MAX);
        let period = if self.quarantine_full { SHOW_PERIOD } else { RECOUNT_PERIOD };
        if now < self.counted_at + period.max(RECOUNT_PERIOD_OF_ONE.saturating_mul(things)) {
            return;
        }
        self.counted_at = now;
        let _within = self.board.stamps.of(Loop::Spool).within(Operation::Scan);
        if let Err(error) = spool.recount_quarantine() {
            log::warn!("event=quarantine_not_counted error=\"{error}\"");
        }
    }

    fn quarantine(&mut self, things: u64, bytes: u64, wall: EpochMillis) {
        let shown = &self.board.quarantine;
        if (shown.things.get(), shown.bytes.get()) == (things, bytes) {
            return;
        }
        shown.things.set(things);
        shown.bytes.set(bytes);
        // Something went in or was taken away: there is room, until the next that waits says otherwise.
        if std::mem::take(&mut self.quarantine_full) {
            self.board.clear(TroubleKind::QuarantineFull, "");
        }
        if things == 0 {
            self.board.clear(TroubleKind::Quarantine, "");
            return;
        }
        let what = format!("{things} things of {bytes} bytes lie in quarantine");
        self.board.raise(Report::new(TroubleKind::Quarantine, what).count(things), wall);
    }
}

/// How often the numbers on the board are written.
const SHOW_PERIOD: Duration = Duration::from_millis(500);
/// How long there has to be room until a spool is no longer full.
const ROOM_LASTS_MIN: Duration = Duration::from_secs(3);
/// How often the quarantine is counted while nothing waits for room in it.
const RECOUNT_PERIOD: Duration = Duration::from_secs(30);
/// What each thing adds to that: to count one takes some microseconds, and others wait meanwhile.
const RECOUNT_PERIOD_OF_ONE: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Role;
    use crate::ops::clock;
    use crate::spool::{Settings, SimDisk};

    #[test]
    fn a_spool_that_drains_while_others_write_is_full_until_there_is_room_for_a_while() {
        let (disk, start) = (SimDisk::new(1, 1 << 30), clock::now());
        let (mut spool, _) = Spool::open(disk, Settings::default(), start, 0).unwrap();
        let board = Arc::new(Board::new(Role::Receiver, "", start));
        let mut shown = Shown::new(Arc::clone(&board), start);
        let full = Full { needed: 2, available: 1, limit: 16 };
        let mut told = |after_ms, full| {
            let now = start + Duration::from_millis(after_ms);
            shown.room(&mut spool, full, (now, EpochMillis(0)));
            let has = board.troubles.has(TroubleKind::SpoolFull, "");
            assert_eq!(board.spool.state() == SpoolState::Full, has, "{after_ms}");
            has
        };
        assert!(!told(0, None));
        assert!(told(1, Some(full)));
        // Half a second of room each, and full again.
        for turn in 0..10 {
            assert!(told(turn * 1000 + 500, None) && told(turn * 1000 + 900, None));
            assert!(told(turn * 1000 + 1000, Some(full)));
        }
        assert!(told(10_500, None) && told(13_400, None));
        assert!(!told(13_500, None));
        assert!(told(13_600, Some(full)));
    }

    #[test]
    fn a_full_quarantine_of_many_things_is_counted_rarely() {
        let (disk, start) = (SimDisk::new(1, 1 << 30), clock::now());
        for number in 1..=20_000 {
            disk.place(Path::new(&format!("quarantine/{number:06}")), b"thing");
        }
        let (mut spool, _) = Spool::open(disk.clone(), Settings::default(), start, 0).unwrap();
        let mut shown = Shown::new(Arc::new(Board::new(Role::Receiver, "", start)), start);
        let mut counts = 0;
        for second in 0..60 {
            let (now, before) = (start + Duration::from_secs(second), disk.calls().all);
            shown.outcome(&Outcome::QuarantineFull, now, EpochMillis(0));
            shown.turn(&mut spool, 0, (now, EpochMillis(0)));
            counts += u32::from(disk.calls().all > before + 10_000);
        }
        assert!((10..=20).contains(&counts), "{counts} times in a minute");
    }
}

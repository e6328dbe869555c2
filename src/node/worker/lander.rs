//! The landing directory's part of the worker.

use std::sync::Arc;
use std::time::Duration;

use super::named::{Name, NamedDisk};
use super::{Next, Parts, TROUBLE_PAUSE};
use crate::config::{LandingConfig, LandingWhenFull};
use crate::data::Sequence;
use crate::intake::shared_dir::{self, LANDING_MODE};
use crate::keep::spool_handle::Ended;
use crate::limits::TURN_PERIOD_MAX;
use crate::ops::board::{Report, TroubleKind};
use crate::ops::clock;
use crate::ops::log::Repeating;
use crate::ops::stamp::Operation;
use crate::sink::landing::{
    Landed, Landing, LandingError, Limits, Removed, Settings, SpoolSource, Step, Totals, What,
    WhenFull, check_dir,
};
use crate::spool::{ConsumerId, Disk, Spool};
use crate::twin::tell_conflicts;

/// What trouble about files that could not be landed is about: no file's name.
const UNFIT: &str = "files";
/// What trouble about rows that became no `TsFile` is about.
const ODD: &str = "rows";
/// What a person can do about them.
const ODD_REMEDY: &str = "the .bin file is the request that brought them, as an IoTDB takes it; then: ack landing-failed";
/// What a person can do about files that could not be landed.
const UNFIT_REMEDY: &str = "have the source send them again, if it still has them; the quarantine has what is left, \
                            with a .why each, and landing.jsonl their sequences; then: ack landing-failed";

/// What a person can do about full ledgers that leave no room.
const LEDGERS_REMEDY: &str =
    "fetch and remove the full ledgers, landing.jsonl.1 and on: without them there is room";
/// What trouble about a ledger that the disk does not give back is about.
const LEDGER: &str = "ledger";
/// What a person can do about it.
const LEDGER_REMEDY: &str = "look after the disk; fetch what that ledger names and remove the ledger, since the node neither \
                             counts nor removes these files; then: ack landing-failed";

/// What trouble about a log that gives numbers once more is about.
const GIVEN_AGAIN: &str = "sequences";
/// What a person can do about it.
const GIVEN_AGAIN_REMEDY: &str = "look after the disk of the data directory: what was answered and had not landed may be lost; what \
                                  comes lands under names of its own; then: ack landing-failed";

/// What a person can do about a mount that is away.
const AWAY_REMEDY: &str = "mount it again: landing goes on by itself; if files are to land in this directory from now on, \
                           remove the file landing-dir in the data directory";

/// How often the pause after failed steps doubles: it is 16 s at most, so that room is used soon.
const PAUSE_DOUBLINGS_MAX: u32 = 4;

/// Landing on a disk whose calls are named.
type OnDisk<D> = Landing<NamedDisk<D>, SpoolSource<NamedDisk<D>>>;

/// Lands what the spool has, and tells the board.
#[derive(Debug)]
pub(super) struct Lander<D: Disk> {
    parts: Parts<D>,
    consumer: ConsumerId,
    config: LandingConfig,
    /// None until the directory could be opened.
    landing: Option<OnDisk<D>>,
    failures: Repeating,
    /// Entries whose files could not be landed, since the start.
    unfit: u64,
    /// Entries whose rows became no `TsFile`, since the start.
    odd: u64,
    /// The position that the spool knows.
    told: Option<Sequence>,
    /// Steps that failed, one after the other.
    failed: u32,
}

/// Why the landing directory was not opened.
enum NotOpened {
    /// The spool thread has ended: the node stops.
    Ended,
    /// The directory cannot be used now.
    Failed(LandingError),
}

impl<D: Disk> Lander<D> {
    pub(super) fn new(parts: Parts<D>, consumer: ConsumerId, config: LandingConfig) -> Self {
        Self {
            parts,
            consumer,
            config,
            landing: None,
            failures: Repeating::default(),
            unfit: 0,
            odd: 0,
            told: None,
            failed: 0,
        }
    }

    /// One step.
    pub(super) fn turn(&mut self) -> Next {
        #[cfg(feature = "simulation")]
        crate::ops::fault::stand_still("landing");
        let step = match &mut self.landing {
            Some(landing) => landing.step(clock::now(), clock::wall()),
            None => match self.open() {
                Ok(landing) => {
                    self.tell_given_again(&landing);
                    self.landing = Some(landing);
                    Ok(Step::Worked)
                }
                Err(NotOpened::Failed(error)) => Err(error),
                Err(NotOpened::Ended) => return Next::At(clock::now() + TURN_PERIOD_MAX),
            },
        };
        match step {
            Ok(Step::Unfit { sequence, why, needed }) => self.put_aside(sequence, &why, needed),
            Ok(step) => self.settle(step),
            Err(error) => {
                let is_removed = matches!(error, LandingError::Removed { .. });
                let error = if is_removed { self.reopen().err().unwrap_or(error) } else { error };
                self.complain(&error);
                Next::Pause(clock::now() + self.pause())
            }
        }
    }

    /// The pause after a failed step, longer each time: what a full disk cannot hold is not written again and again.
    fn pause(&mut self) -> Duration {
        let pause = TROUBLE_PAUSE * 2_u32.pow(self.failed.min(PAUSE_DOUBLINGS_MAX));
        self.failed += 1;
        pause
    }

    fn open(&self) -> Result<OnDisk<D>, NotOpened> {
        let consumer = self.consumer;
        let ask = move |spool: &mut Spool<D>| {
            let cursor = spool.cursor(consumer).cloned().unwrap_or_default();
            (spool.reader(cursor.position), cursor, spool.next_sequence())
        };
        let known = self.name().around(|| self.parts.spool.call_blocking(ask));
        let (reader, cursor, next_sequence) = known.map_err(|Ended| NotOpened::Ended)?;
        self.make_dir().map_err(NotOpened::Failed)?;
        let dir = self.config.dir.clone();
        let settings = Settings {
            dir,
            node: self.parts.origin,
            next_sequence,
            max_file_bytes: self.config.max_file_bytes,
            max_delay: self.config.max_delay,
            limits: limits(&self.config),
        };
        let disk = NamedDisk::new(self.parts.disk.clone(), self.name());
        let source = SpoolSource::new(reader.on(disk.clone()));
        Landing::open(disk, settings, source, cursor).map_err(NotOpened::Failed)
    }

    /// The log has lost its end, though what lay there has landed.
    fn tell_given_again(&self, landing: &OnDisk<D>) {
        let Some(last) = landing.given_again() else { return };
        log::error!("event=sequences_given_again landed_through={last}");
        let what = format!(
            "landing.jsonl has entries of this node up to {last}, and the spool gives such numbers once more: the end of \
             its log was lost"
        );
        let report = Report::new(TroubleKind::LandingFailed, what).about(GIVEN_AGAIN);
        self.parts.board.raise(report.remedy(GIVEN_AGAIN_REMEDY), clock::wall());
    }

    /// Goes on in the directory that has the name now.
    fn reopen(&mut self) -> Result<(), LandingError> {
        self.make_dir()?;
        self.landing.as_mut().map_or(Ok(()), Landing::reopen)
    }

    fn name(&self) -> Name {
        Name::new(&self.parts.board, Operation::Land)
    }

    fn make_dir(&self) -> Result<(), LandingError> {
        let path = &self.config.dir;
        self.name().around(|| {
            // Nothing is made below a mount point.
            check_dir(&self.parts.disk, path)?;
            shared_dir::make(path, LANDING_MODE).map_err(|source| LandingError::Disk {
                operation: "make",
                path: path.clone(),
                source,
            })
        })
    }

    fn settle(&mut self, step: Step) -> Next {
        let board = Arc::clone(&self.parts.board);
        if let Some(error) = self.landing.as_mut().and_then(Landing::take_unread_ledger) {
            let report = Report::new(TroubleKind::LandingFailed, error).about(LEDGER);
            board.raise(report.remedy(LEDGER_REMEDY), clock::wall());
        }
        // A part that worked says nothing yet: what fills the disk fails in the middle.
        if !matches!(step, Step::Worked) {
            self.recovered();
        }
        if matches!(step, Step::Idle | Step::Landed(_)) {
            board.clear(TroubleKind::LandingFull, "");
        }
        match step {
            Step::Idle => {
                self.show();
                let now = clock::now();
                let due = self.landing.as_ref().and_then(Landing::due);
                return Next::At(due.unwrap_or(now + TURN_PERIOD_MAX).min(now + TURN_PERIOD_MAX));
            }
            Step::Worked | Step::Unfit { .. } => {}
            Step::Landed(landed) => self.tell(&landed),
            Step::Full { needed, present, ledgers: full, max_bytes } => {
                let ledgers = match full {
                    0 => String::new(),
                    bytes => format!(" ({bytes} of them full ledgers, landing.jsonl.N)"),
                };
                let what = format!(
                    "{present} bytes{ledgers} of at most {max_bytes} lie there, {needed} more wait"
                );
                let report = Report::new(TroubleKind::LandingFull, what);
                let is_theirs = full.saturating_add(needed) > max_bytes;
                return self.wait_for_room(if is_theirs {
                    report.remedy(LEDGERS_REMEDY)
                } else {
                    report
                });
            }
        }
        self.advance();
        self.show();
        Next::Now
    }

    /// Nothing lands before a person has made room.
    fn wait_for_room(&self, report: Report) -> Next {
        self.show();
        self.parts.board.raise(report, clock::wall());
        Next::Pause(clock::now() + TROUBLE_PAUSE)
    }

    /// Lets the spool know how far this has come, if that is further than before.
    fn advance(&mut self) {
        let Some(cursor) = self.landing.as_ref().map(Landing::cursor) else { return };
        if self.told != Some(cursor.position) {
            self.told = Some(cursor.position);
            self.parts.spool.advance(self.consumer, cursor);
        }
    }

    /// What has landed, in the log, and what about it needs a person.
    fn tell(&mut self, landed: &Landed) {
        let Landed { sequences: (first, last), what, files, bytes, points, .. } = landed;
        let (what, name) = (what.name(), landed.name.as_deref().unwrap_or_default());
        log::info!(
            "event=landed what={what} sequences={first}-{last} files={files} bytes={bytes} points={points} name={name:?}"
        );
        tell_conflicts(&landed.conflicts, landed.conflict_count, name);
        if let (What::Request, Some(why)) = (landed.what, &landed.why) {
            self.odd += 1;
            log::error!("event=no_tsfile sequence={first} name={name:?} why=\"{why}\"");
            let what =
                format!("{name} holds rows as they came, {} such since the start: {why}", self.odd);
            let report = Report::new(TroubleKind::LandingFailed, what).about(ODD).count(self.odd);
            self.parts.board.raise(report.remedy(ODD_REMEDY), clock::wall());
        }
    }

    /// Has the spool put the files of an entry into quarantine, and tells people.
    fn put_aside(&mut self, sequence: Sequence, why: &str, needed: Option<u64>) -> Next {
        let reason = why.to_owned();
        let put = move |spool: &mut Spool<D>| spool.quarantine_entry(sequence, &reason);
        let put = self.name().around(|| self.parts.spool.call_blocking(put));
        match put {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = format!("entry {sequence} waits for the quarantine: {error}");
                self.raise(Report::new(TroubleKind::LandingFailed, &error), &error);
                return Next::Pause(clock::now() + TROUBLE_PAUSE);
            }
            Err(Ended) => return Next::At(clock::now() + TURN_PERIOD_MAX),
        }
        self.recovered();
        if let Some(landing) = &mut self.landing {
            landing.put_aside();
        }
        self.unfit += 1;
        log::error!("event=not_landed sequence={sequence} why=\"{why}\"");
        let what =
            format!("entry {sequence} was not landed, {} since the start: {why}", self.unfit);
        let report = Report::new(TroubleKind::LandingFailed, what).about(UNFIT).count(self.unfit);
        let remedy = needed.map_or_else(|| UNFIT_REMEDY.to_owned(), too_large_remedy);
        self.parts.board.raise(report.remedy(remedy), clock::wall());
        Next::Now
    }

    fn show(&self) {
        let gauges = &self.parts.board.landing;
        let Sequence(next) = *self.parts.spool.synced().borrow();
        let Some(landing) = &self.landing else { return };
        gauges.pending_entries.set(next.saturating_sub(landing.cursor().position.0));
        let Totals { files, bytes, points } = landing.landed();
        gauges.files.set(files);
        gauges.bytes.set(bytes);
        gauges.points.set(points);
        let Removed { files, bytes } = landing.removed();
        gauges.removed_files.set(files);
        gauges.removed_bytes.set(bytes);
    }

    fn complain(&mut self, error: &LandingError) {
        let text = error.to_string();
        let report = Report::new(kind_of(error), &text);
        let is_away = matches!(error, LandingError::Away { .. });
        self.raise(if is_away { report.remedy(AWAY_REMEDY) } else { report }, &text);
    }

    fn raise(&mut self, report: Report, error: &str) {
        if let Some(times) = self.failures.failed() {
            log::error!("event=landing_failed times={times} error=\"{error}\"");
        }
        self.parts.board.raise(report, clock::wall());
    }

    fn recovered(&mut self) {
        self.failed = 0;
        if let Some(times) = self.failures.ended() {
            log::info!("event=landing_works failures={times}");
            self.parts.board.clear(TroubleKind::LandingFailed, "");
        }
    }
}

/// What a person can do about what never fits into the directory.
fn too_large_remedy(needed: u64) -> String {
    format!(
        "raise [landing] max_bytes above {needed} for what comes; this one lies whole in the quarantine: fetch it there; \
         then: ack landing-failed"
    )
}

fn kind_of(error: &LandingError) -> TroubleKind {
    if error.is_full() { TroubleKind::LandingFull } else { TroubleKind::LandingFailed }
}

fn limits(config: &LandingConfig) -> Limits {
    Limits {
        max_bytes: config.max_bytes,
        keep_days: u32::try_from(config.keep_days).unwrap_or(u32::MAX),
        when_full: match config.when_full {
            LandingWhenFull::Block => WhenFull::Block,
            LandingWhenFull::DeleteOldest => WhenFull::DeleteOldest,
        },
    }
}

//! The driver of an air-gap pipe: moves entries from the spool to the far side, one after the other.
//!
//! ```text
//!   spool ---> Feed ---> Transfer ---> FrameBuffer ---> Line ===== gate ====> far side
//!   (thread)    |        which files,   the one          socket,
//!               |        which names    buffer           waits    <---------- one byte
//!               |                                          |
//!               +<------ advance ------ Delivered ------ Sender (machine)
//! ```
//!
//! The machine decides ([`crate::link::sender`]); this file does what it says and tells what came of
//! it. A file of an entry is opened once and read again for each attempt. What the node itself cannot
//! do (a disk that does not read) is no failure of the far side: it is shown as the pipe's message and
//! tried again; the pipe neither skips nor stops.
//!
//! One task on the main loop; nothing in it takes longer than reading 1 MiB.

mod ahead;
mod builder;
mod checking;
mod dead_letters;
mod entries;
mod envelope;
mod feed;
mod filtered;
mod frame_buffer;
mod large;
mod leftovers;
mod line;
#[cfg(feature = "simulation")]
mod load;
mod named;
mod orders;
mod outgoing;
mod program;
mod refusals;
mod replay;
mod runs;
mod said;
mod sampling;
mod settings;
mod skip_error;
mod socket;
mod spool_feed;
#[cfg(test)]
mod tests;
mod transfer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep_until;

use self::ahead::Ahead;
pub use self::ahead::{AheadPlan, Batching};
use self::builder::Builder;
use self::checking::Checking;
pub use self::dead_letters::DeadLetters;
pub use self::envelope::Envelope;
use self::envelope::Why;
pub use self::feed::{Feed, StoredFile, StoredFiles};
pub use self::filtered::{Cutters, Filtered, Scratch, SentFile};
use self::frame_buffer::{BuildError, FrameBuffer};
pub use self::leftovers::end_leftovers;
use self::line::Line;
pub use self::line::dial;
#[cfg(feature = "simulation")]
pub use self::load::{Load, LoadError};
pub use self::named::{Named, NamedFile, putting_aside};
pub use self::orders::{Done, Orders};
use self::outgoing::Outgoing;
pub use self::program::{Program, Verify};
use self::refusals::{Limit, Refusals};
pub use self::runs::{Budget, RunPlan, Runs};
pub use self::sampling::Sampling;
pub use self::settings::{AirGapSettings, Packing, rate_limit};
pub use self::skip_error::SkipError;
pub use self::spool_feed::{LanePlan, SpoolFeed};
use self::transfer::Transfer;
use crate::data::Precision;
use crate::link::sender::{Command, Event, Failure, Frame, Sender};
use crate::ops::board::{Board, Crossing, PipeRow, Report, TroubleKind};
use crate::ops::clock;
use crate::spool::{EntryHeader, ReadError};

/// Pause after something of our own failed.
const OWN_PAUSE: Duration = Duration::from_secs(1);
/// It doubles so often while the same file is looked at, which takes reading all of it.
const OWN_PAUSE_DOUBLINGS: u32 = 6;
/// Refusals in a row that a person should hear of; one may be a far side that restarts.
const REFUSALS_SHOWN: u32 = 3;

/// What a sink is made of, besides its feed.
#[derive(Debug)]
pub struct Parts {
    /// The pipe's name.
    pub pipe: String,
    /// Its attributes.
    pub settings: AirGapSettings,
    /// Where people look.
    pub board: Arc<Board>,
    /// The pipe's row there.
    pub row: Arc<PipeRow>,
    /// Draws its pauses.
    pub seed: u64,
    /// `true`, or the end of it, is the order to stop.
    pub stop: watch::Receiver<bool>,
}

/// The sink of one pipe; [`AirGapSink::run`] is its life.
#[derive(Debug)]
pub struct AirGapSink<F: Feed> {
    pipe: String,
    settings: AirGapSettings,
    board: Arc<Board>,
    row: Arc<PipeRow>,
    feed: F,
    line: Line,
    buffer: FrameBuffer,
    checking: Checking,
    current: Option<Current<F::File>>,
    /// Tablets that go before the answers to earlier ones.
    ahead: Option<Box<Ahead>>,
    /// The feed had nothing more.
    drained: bool,
    /// Nothing is taken on before, as something of our own failed.
    held: Option<Instant>,
    /// What the last handshake said, or will say.
    precision: Precision,
    /// The frame that was written last, and its bytes.
    in_flight: Option<(Frame, u64)>,
    /// The frame of the present delivery that lies in the buffer already.
    prepared: Option<Frame>,
    last_answer: Option<Instant>,
    /// The row has a message about the far side.
    complaining: bool,
    /// Failures of our own since the last delivery.
    own_failures: u32,
    /// Of these, files that could not be read.
    unread: u32,
    /// Entries among its dead letters, as it was last told.
    dead_letters: Option<u64>,
}

/// The entry that is being carried.
#[derive(Debug)]
struct Current<T> {
    header: EntryHeader,
    transfer: Transfer<T>,
    crossing: Option<Crossing>,
    refusals: Refusals,
    /// A file of it is not what was taken in: it goes to quarantine.
    rotten: Option<String>,
}

/// Something of our own failed.
#[derive(Debug, Error)]
enum OwnTrouble {
    /// The spool cannot be read.
    #[error(transparent)]
    Spool(#[from] ReadError),
    /// A frame cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An entry that can never be sent cannot be put aside either.
    #[error("entry {sequence} cannot be put aside: {why}")]
    PutAside { sequence: u64, why: String },
    /// The quarantine does not take what has rotted.
    #[error("entry {sequence} cannot be quarantined: {why}")]
    Quarantine { sequence: u64, why: String },
}

impl OwnTrouble {
    /// Whether a file of an entry cannot be read.
    const fn is_of_a_file(&self) -> bool {
        matches!(self, Self::Build(BuildError::Read { .. }))
    }
}

impl<F: Feed> AirGapSink<F> {
    /// A sink that has not begun.
    pub fn new(parts: Parts, feed: F) -> Self {
        let Parts { pipe, settings, board, row, seed, stop } = parts;
        let sender = Sender::new(settings.of_sender(), seed);
        Self {
            line: Line::new(sender, settings.envelope, settings.rates.clone(), stop),
            buffer: FrameBuffer::new(settings.envelope, settings.packing.clone()),
            checking: Checking::default(),
            ahead: settings.ahead.map(|plan| Box::new(Ahead::new(plan, &settings, seed))),
            precision: settings.precision,
            pipe,
            settings,
            board,
            row,
            feed,
            current: None,
            drained: false,
            held: None,
            in_flight: None,
            prepared: None,
            last_answer: None,
            complaining: false,
            own_failures: 0,
            unread: 0,
            dead_letters: None,
        }
    }

    /// Carries entries until the order to stop, or until the feed is over; gives the feed back. In a box, or each layer
    /// of tasks around it would have room for it twice.
    pub async fn run(mut self: Box<Self>) -> F {
        self.line.sender.greet();
        self.tell_dead_letters("entries lie in its dead-letter directory");
        while !self.line.sender.is_stopped() {
            self.go_ahead().await;
            self.take_on(clock::now()).await;
            match self.line.sender.poll(clock::now()) {
                Some(command) => self.obey(command).await,
                None => self.wait().await,
            }
            self.tell(clock::now()).await;
        }
        self.feed
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Connect { gate } => {
                if let Some(target) = self.settings.target(gate) {
                    self.line.connect(target).await;
                }
            }
            Command::Look => self.line.look(),
            Command::Send(frame) => self.send(frame).await,
            Command::Close => self.line.close().await,
        }
    }

    async fn wait(&mut self) {
        let free = self.line.sender.is_free();
        let (feed, held, drained) = (&mut self.feed, self.held, &mut self.drained);
        let more = async {
            match (free, held) {
                (false, _) => std::future::pending().await,
                (true, Some(until)) => sleep_until(until.into()).await,
                (true, None) if *drained => feed.changed().await,
                (true, None) => {}
            }
            *drained = false;
        };
        self.line.wait(more).await;
    }
}

// Frames and what becomes of them.
impl<F: Feed> AirGapSink<F> {
    async fn send(&mut self, frame: Frame) {
        self.in_flight = None;
        let prepared = self.prepared.take() == Some(frame);
        match self.outgoing().write(frame, prepared).await {
            Ok(bytes) if self.line.sender.is_writing() => {
                self.line.written();
                if frame.is_of_delivery() {
                    self.row.sent(bytes);
                }
                self.in_flight = Some((frame, bytes));
                self.prepare();
            }
            // The machine has given the frame up, and knows why.
            Ok(_) => {}
            Err(OwnTrouble::Build(BuildError::Rotten(rotten))) => {
                if let Some(current) = &mut self.current {
                    current.rotten = Some(rotten.to_string());
                }
                self.line.sender.abandon();
            }
            Err(trouble) if self.is_lost(&trouble) => {
                if let Some(current) = &mut self.current {
                    current.rotten = Some(trouble.to_string());
                }
                self.line.sender.abandon();
            }
            Err(trouble) => self.complain(clock::now(), &trouble),
        }
    }

    /// Builds the frame that will be next if all goes well.
    fn prepare(&mut self) {
        let Some(frame) = self.line.sender.upcoming() else { return };
        // What fails now fails again in its turn, and is told then.
        if let Ok(true) = self.outgoing().prepare(frame) {
            self.prepared = Some(frame);
        }
    }

    fn outgoing(&mut self) -> Outgoing<'_, F> {
        let current = self.current.as_ref();
        Outgoing {
            builder: Builder {
                offer: self.settings.offer(self.precision),
                transfer: current.map(|current| &current.transfer),
                feed: &mut self.feed,
                buffer: &mut self.buffer,
                checking: &mut self.checking,
            },
            crossing: current.and_then(|current| current.crossing.as_ref()),
            line: &mut self.line,
        }
    }

    /// Passes on what the machine has to tell since the last time.
    async fn tell(&mut self, now: Instant) {
        let answered = self.line.sender.last_answer();
        if answered != self.last_answer {
            self.last_answer = answered;
            self.tell_accepted(now);
        }
        while let Some(event) = self.line.sender.poll_event() {
            match event {
                Event::Delivered => self.delivered(),
                Event::Failed(failure) => self.failed(now, failure).await,
            }
        }
        if self.complaining && self.line.sender.trouble().is_none() {
            self.complaining = false;
            self.row.say("");
            self.board.clear(TroubleKind::Refused, &self.pipe);
            log::info!("event=pipe_goes_on pipe={}", self.pipe);
        }
    }

    fn tell_accepted(&mut self, now: Instant) {
        match self.in_flight.take() {
            Some((frame, bytes)) if frame.is_of_delivery() => self.row.accepted(bytes, now),
            Some(_) | None => self.row.last_answer.mark(now),
        }
        self.show_progress(now);
    }

    fn show_progress(&self, now: Instant) {
        if let Some(crossing) = self.current.as_ref().and_then(|c| c.crossing.as_ref()) {
            crossing.progress(self.line.sender.accepted_bytes(), now);
        }
    }

    async fn failed(&mut self, now: Instant, failure: Failure) {
        self.row.retries.count();
        self.show_progress(now);
        let Some(trouble) = self.line.sender.trouble().copied() else { return };
        let gate = self.settings.target(trouble.gate);
        let gate = gate.map(|gate| gate.to_string()).unwrap_or_default();
        let message = format!("{gate} {}", trouble.told(&self.line.refusal().said));
        self.row.say(&message);
        self.complaining = true;
        if trouble.times.is_power_of_two() {
            log::warn!("event=not_delivered pipe={} why=\"{message}\"", self.pipe);
        }
        if matches!(failure, Failure::Refused { .. } | Failure::HandshakeRefused { .. }) {
            self.row.refused(now);
            if trouble.times >= REFUSALS_SHOWN {
                let report = Report::new(TroubleKind::Refused, message).about(&self.pipe);
                self.board.raise(report, clock::wall());
            }
        }
        let Some(current) = &mut self.current else { return };
        // Handshakes are another failure.
        let limit = match (failure, self.line.refusal().why) {
            (Failure::Refused { .. }, Why::Unknown | Why::Conflict | Why::Type) => Limit::Conflict,
            (Failure::Refused { .. }, Why::Other) => Limit::Others,
            _ => return current.refusals.pause(),
        };
        let refused = current.refusals.note(limit, now);
        let after = match limit {
            Limit::Conflict => self.settings.give_up_after,
            Limit::Others => self.settings.give_up_others_after,
        };
        if after.is_some_and(|after| refused >= after) {
            self.give_up().await;
        }
    }

    /// Puts a delivery aside that was refused for as long as the operator wants.
    async fn give_up(&mut self) {
        let Some(header) = self.current.as_ref().map(|current| current.header) else { return };
        if self.set_aside(&header, "the far side refused it for too long").await {
            self.current = None;
            self.line.sender.abandon();
        }
    }

    /// What had failed of our own works again.
    fn recover(&mut self) {
        self.unread = 0;
        if self.own_failures > 0 {
            self.own_failures = 0;
            self.row.say("");
            self.board.clear(TroubleKind::PipeError, &self.pipe);
            log::info!("event=pipe_goes_on pipe={}", self.pipe);
        }
    }

    /// Something of our own failed: says so, and lets the delivery rest for a while.
    fn complain(&mut self, now: Instant, trouble: &OwnTrouble) {
        self.line.sender.abandon();
        let times =
            if self.feed.is_pending() { self.own_failures.min(OWN_PAUSE_DOUBLINGS) } else { 0 };
        self.held = Some(now + OWN_PAUSE * (1 << times));
        self.unread += u32::from(trouble.is_of_a_file());
        if matches!(trouble, OwnTrouble::Spool(_)) {
            // The feed counts the tries, and has another entry in the end.
            self.current = None;
        }
        self.own_failures = self.own_failures.saturating_add(1);
        self.complaining = false;
        let message = trouble.to_string();
        self.row.say(&message);
        if self.own_failures.is_power_of_two() {
            log::error!(
                "event=pipe_failed pipe={} why=\"{message}\" times={}",
                self.pipe,
                self.own_failures
            );
        }
        let report = Report::new(TroubleKind::PipeError, message).about(&self.pipe);
        self.board.raise(report, clock::wall());
    }
}

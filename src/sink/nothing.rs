//! `do-nothing-sink`: takes each entry, and is done with it.
//!
//! ```text
//!  Feed -- next entry --> row: counted, answered --> advance
//! ```
//!
//! What it takes is released like anything that crossed, unless another consumer still needs it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::ops::board::{Board, PipeRow, Report, TroubleKind};
use crate::ops::clock;
use crate::sink::air_gap::Feed;
use crate::spool::ReadError;

/// Pause after the spool could not be read.
const PAUSE: Duration = Duration::from_secs(1);
/// Entries before others have their turn.
const TURN: usize = 64;
/// The same in time, but for one entry more: what a filter reads of each may be long, and the disk slow.
const TURN_TIME: Duration = Duration::from_millis(5);

/// The sink of one pipe; [`DoNothingSink::run`] is its life.
#[derive(Debug)]
pub struct DoNothingSink<F> {
    /// The pipe's name.
    pub pipe: String,
    /// What it takes.
    pub feed: F,
    /// Where people look.
    pub board: Arc<Board>,
    /// The pipe's row there.
    pub row: Arc<PipeRow>,
    /// `true`, or the end of it, is the order to stop.
    pub stop: watch::Receiver<bool>,
}

impl<F: Feed> DoNothingSink<F> {
    /// Takes entries until the order to stop, or until the feed is over: returns whether it is.
    pub async fn run(mut self: Box<Self>) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.take() => {}
        }
        self.feed.is_over()
    }

    async fn take(&mut self) {
        let mut fails = false;
        loop {
            let taken = self.take_turn();
            if taken.is_err() || !self.feed.is_pending() {
                self.tell(taken.as_ref().err(), &mut fails);
            }
            match taken {
                Ok(true) if self.feed.is_over() => return,
                Ok(true) => self.feed.changed().await,
                Ok(false) => yield_now().await,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Shows what fails, and that it does no longer.
    fn tell(&self, error: Option<&ReadError>, fails: &mut bool) {
        let failed = std::mem::replace(fails, error.is_some());
        match error {
            Some(error) => {
                self.row.say(&error.to_string());
                let report = Report::new(TroubleKind::PipeError, error.to_string());
                self.board.raise(report.about(&self.pipe), clock::wall());
            }
            None if failed => {
                self.row.say("");
                self.board.clear(TroubleKind::PipeError, &self.pipe);
            }
            None => {}
        }
    }

    /// Takes some entries; true if there are no more.
    fn take_turn(&mut self) -> Result<bool, ReadError> {
        let begun = clock::now();
        for _ in 0..TURN {
            let Some(header) = self.feed.next_entry()? else { return Ok(true) };
            let bytes = u64::from(header.payload_bytes);
            self.row.sent(bytes);
            let now = clock::now();
            self.row.accepted(bytes, now);
            self.feed.advance(&header);
            if now.saturating_duration_since(begun) >= TURN_TIME {
                break;
            }
        }
        Ok(false)
    }
}

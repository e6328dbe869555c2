//! `SKIP` and `REPLAY`: what is taken out of a pipe's line, and what is put before it once more.
//!
//! ```text
//!  SKIP    task ends --> entry to the dead letters --> cursor passes over it, durably --> task begins
//!  REPLAY  task ends --> pipes/<pipe>.replay, durably ----------------------------------> task begins
//! ```
//!
//! Meanwhile nobody else moves the cursor. A kill between two steps leaves a dead letter that is sent, too.

use super::execute::{Failure, missing};
use super::live::Pipes;
use super::{Place, spool_feed};
use crate::data::Sequence;
use crate::keep::spool_handle::Ended;
use crate::node::NodeError;
use crate::ops::board::{Report, TroubleKind};
use crate::ops::clock;
use crate::ops::stamp::{Loop, Operation};
use crate::pipe::{Answer, Replay, ReplayFile};
use crate::sink::air_gap::{Feed, SpoolFeed, putting_aside};
use crate::spool::{ConsumerId, Disk};
use crate::statement::PipeName;

impl<D: Disk> Pipes<D> {
    /// `SKIP PIPE`: an entry that waits goes to the dead letters.
    pub(super) async fn skip(
        &mut self,
        name: &PipeName,
        entry: Sequence,
    ) -> Result<Answer, Failure> {
        let (consumer, was_running) =
            self.halt(name).await.ok_or_else(|| missing("skip an entry of", name))?;
        let skipped = self.skip_halted(name, consumer, entry).await;
        self.go_on(name, was_running).await?;
        skipped
    }

    async fn skip_halted(
        &self,
        name: &PipeName,
        consumer: ConsumerId,
        entry: Sequence,
    ) -> Result<Answer, Failure> {
        let refused = |why| Failure::Skip { pipe: name.as_str().to_owned(), entry, why };
        let mut feed = self.feed(name, consumer).await?;
        putting_aside(&self.around.board, feed.skip(entry)).await.map_err(refused)?;
        let cursor = feed.cursor().clone();
        let advanced =
            self.around.spool.call(move |spool| spool.advance_now(consumer, &cursor)).await;
        advanced
            .map_err(|Ended| NodeError::ThreadEnded("spool"))?
            .map_err(|source| NodeError::Consumer { name: name.as_str().to_owned(), source })?;
        log::warn!("event=entry_skipped pipe={name} entry={entry}");
        let what = format!("entry {entry} was skipped");
        let report = Report::new(TroubleKind::DeadLetters, what).about(name.as_str());
        self.around.board.raise(report.count(feed.dead_letters()), clock::wall());
        Ok(Answer::success())
    }

    /// `REPLAY PIPE`: dead letters, and entries that are still there, once more.
    pub(super) async fn replay(
        &mut self,
        name: &PipeName,
        replay: Replay,
    ) -> Result<Answer, Failure> {
        let (consumer, was_running) =
            self.halt(name).await.ok_or_else(|| missing("replay entries of", name))?;
        let ordered = self.replay_halted(name, consumer, replay).await;
        self.go_on(name, was_running).await?;
        ordered
    }

    async fn replay_halted(
        &self,
        name: &PipeName,
        consumer: ConsumerId,
        replay: Replay,
    ) -> Result<Answer, Failure> {
        let refused = |why: String| Failure::Replay { pipe: name.as_str().to_owned(), replay, why };
        let file = ReplayFile::new(self.around.disk.clone(), name.as_str());
        let feed = self.feed(name, consumer).await?;
        let _within = self.around.board.stamps.of(Loop::Main).within(Operation::Scan);
        let before = file.read().ok().flatten();
        let next = feed.replaying(replay, file.clone()).next_again();
        if next.map_err(|error| refused(error.to_string()))?.is_none() {
            return Err(refused(NOTHING.to_owned()));
        }
        file.keep(replay)?;
        let warnings = before.map(|rest| format!("it takes the place of the replay of {rest}"));
        Ok(Answer { warnings: warnings.into_iter().collect(), ..Answer::success() })
    }

    /// The feed of a pipe that is halted.
    async fn feed(&self, name: &PipeName, consumer: ConsumerId) -> Result<SpoolFeed<D>, NodeError> {
        let found = self.around.spool.call(move |spool| {
            let cursor = spool.cursor(consumer)?.clone();
            let reader = spool.reader(cursor.position);
            Some(Place { consumer, cursor, reader })
        });
        let found = found.await.map_err(|Ended| NodeError::ThreadEnded("spool"))?;
        let place = found.ok_or_else(|| NodeError::Pipe {
            pipe: name.as_str().to_owned(),
            why: "it has no place in the spool".to_owned(),
        })?;
        Ok(spool_feed(name.as_str(), place, &self.around))
    }

    /// Lets a pipe go on that was halted.
    async fn go_on(&mut self, name: &PipeName, was_running: bool) -> Result<(), NodeError> {
        if was_running { self.bring(name).await } else { Ok(()) }
    }
}

const NOTHING: &str = "there is neither a dead letter nor an entry that the pipe has sent";

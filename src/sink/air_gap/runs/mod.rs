//! A feed whose tablets go as files: always, or while there is much to send.
//!
//! ```text
//!  SpoolFeed --tablet--> Runs --tablets--> the same entry
//!                             --files----> a run of entries, gathered by their headers
//!                                            --Desk--> worker --> files, one after the other, then the run is delivered
//!            --others---------------------> the same entry
//! ```
//!
//! | unit | tablets go as |
//! |---|---|
//! | stream | tablets |
//! | batch | files, once a run ends, is long, or has waited |
//! | hybrid | tablets; as files from where more waits than the budget, until a quarter of it |
//!
//! A run is of entries that this node has numbered, one behind the other, all of one side of the pipe's border. Its files go
//! under an origin of parts that no other pipe has, and the number of its last entry. Which run is sent, and how far tablets may have
//! gone, is kept before the first byte of it leaves ([`UnitFile`]): after a crash the same run is made once more, and the
//! same tablets are sent, so that the far side takes neither twice.

mod budget;
mod making;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::sleep_until;

pub use self::budget::Budget;
use self::making::{Making, Work};
use self::sending::Instead;
use super::feed::{Feed, StoredFiles};
use super::filtered::SentFile;
use super::named::NamedFile;
use super::spool_feed::SpoolFeed;
use crate::data::{OriginId, Sequence};
use crate::ops::board::{Board, PipeRow};
use crate::ops::clock;
use crate::pipe::UnitFile;
use crate::sink::cuts::{Desk, Lent};
use crate::spool::{Disk, EntryHeader, FileReader, ReadError};

/// What a feed of runs goes by.
#[derive(Debug)]
pub struct RunPlan<D: Disk> {
    /// The pipe's name.
    pub pipe: String,
    /// None: always as files.
    pub budget: Option<Budget>,
    /// How long a run of a pipe that always sends files waits for more.
    pub max_delay: Duration,
    /// Tablets that go as they are before that is kept anew.
    pub tablets_ahead: u64,
    /// Bytes of the tablets of one run, unless its first one has more.
    pub bytes_max: u64,
    /// First entry that is not the pipe's history.
    pub border: Sequence,
    /// What no other pipe of this node has, nor one of its name that was dropped.
    pub mark: u32,
    /// The node's identity.
    pub origin: OriginId,
    /// Where it is kept what goes over.
    pub note: UnitFile<D>,
    /// Where files are ordered.
    pub desk: Desk,
    /// Where reads are named.
    pub board: Arc<Board>,
    /// Where the unit and the lag are shown.
    pub row: Arc<PipeRow>,
}

/// A feed, and what makes runs of its tablets; without a plan it is the same feed.
#[derive(Debug)]
pub struct Runs<D: Disk> {
    feed: SpoolFeed<D>,
    maker: Option<Making<D>>,
}

impl<D: Disk> Runs<D> {
    /// What `plan` makes of a feed, whose cursor is raised to what is known to be delivered.
    pub fn new(mut feed: SpoolFeed<D>, plan: Option<RunPlan<D>>) -> Self {
        let maker = plan.map(|plan| Making::new(plan, &mut feed));
        Self { feed, maker }
    }

    /// Another plan from now on.
    #[cfg(test)]
    pub(super) fn change_plan(&mut self, change: impl FnOnce(&mut RunPlan<D>)) {
        if let Some(making) = &mut self.maker {
            change(&mut making.plan);
        }
    }
}

impl<D: Disk> Feed for Runs<D> {
    type File = SentFile<FileReader<D::File>>;

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        let Self { feed, maker } = self;
        let Some(making) = maker else { return feed.next_entry() };
        (making.has_more, making.begins_run) = (false, false);
        if let Work::Sending(sending) = &making.work {
            return Ok(sending.header());
        }
        let entry = feed.next_entry()?;
        making.plan.row.note_lag(clock::now(), feed.synced(), feed.position());
        match entry {
            Some(header) if feed.holds_next() => making.next(header, feed),
            entry => Ok(entry),
        }
    }

    async fn changed(&mut self) {
        let Self { feed, maker } = self;
        let Some(making) = maker else { return feed.changed().await };
        if making.has_more {
            return yield_now().await;
        }
        match &mut making.work {
            Work::Ordered(_, ticket) => ticket.ready().await,
            Work::Gathering(run) => {
                // Without a moment at which it ends it waits for more, however long.
                let Some(until) = run.since.checked_add(making.plan.max_delay) else {
                    return feed.changed().await;
                };
                tokio::select! {
                    () = sleep_until(until.into()) => {}
                    () = feed.changed() => {}
                }
            }
            Work::Idle | Work::Sending(_) => feed.changed().await,
        }
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        self.feed.read_payload(into)
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        self.feed.read_start(into)
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        if let Some(making) = &mut self.maker {
            let board = Arc::clone(&making.plan.board);
            if let Some(sending) = making.sending() {
                let made = |file| SentFile::Made(NamedFile::new(file, &board));
                return Ok(sending.stored().map(made));
            }
        }
        Ok(self.feed.open_files()?.map(SentFile::Taken))
    }

    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
        if let Some(sending) = self.maker.as_mut().and_then(Making::sending) {
            return Ok(sending.stored().map(Lent::new));
        }
        self.feed.lend_files()
    }

    fn objection(&self) -> Option<&str> {
        self.feed.objection()
    }

    fn position(&self) -> Sequence {
        self.feed.position()
    }

    fn is_pending(&self) -> bool {
        self.maker.as_ref().is_some_and(Making::is_pending) || self.feed.is_pending()
    }

    fn is_over(&self) -> bool {
        self.feed.is_over()
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        let Some(making) = &mut self.maker else { return self.feed.pass_over(header) };
        if making.sending().is_none() {
            return self.feed.pass_over(header);
        }
        if let Some(run) = making.file_done() {
            self.feed.finish_run(run.last, run.bytes);
        }
    }

    fn tell_passed(&mut self) {
        self.feed.tell_passed();
    }

    fn may_go_ahead(&self) -> bool {
        self.maker.as_ref().is_none_or(Making::may_go_ahead) && self.feed.may_go_ahead()
    }

    fn go_ahead(&mut self, header: &EntryHeader) {
        self.feed.go_ahead(header);
    }

    fn settle(&mut self, pending: Option<Sequence>) {
        self.feed.settle(pending);
    }

    fn go_back(&mut self) {
        self.feed.go_back();
    }

    fn advance(&mut self, header: &EntryHeader) {
        let is_run = self.maker.as_mut().is_some_and(|making| making.sending().is_some());
        if !is_run {
            return self.feed.advance(header);
        }
        self.pass_over(header);
        self.feed.tell_passed();
    }

    /// Files that have rotted since they were made are made once more: after a pause, as there is nothing in quarantine at first.
    async fn quarantine(&mut self, header: &EntryHeader, why: &str) -> bool {
        if let Some(was_known) = self.maker.as_mut().and_then(Making::spoil) {
            return was_known;
        }
        self.feed.quarantine(header, why).await
    }

    /// Whichever entry the far side does not take is found when they go one by one.
    async fn put_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        if let Some(sending) = self.maker.as_mut().and_then(Making::sending) {
            log::warn!(
                "event=run_not_sent entries={}-{} why=\"{why}\"",
                sending.run.first.sequence,
                sending.run.last
            );
            sending.instead = Some(Instead::Tablets);
            return true;
        }
        self.feed.put_aside(header, why).await
    }

    fn dead_letters(&self) -> u64 {
        self.feed.dead_letters()
    }
}

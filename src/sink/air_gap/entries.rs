//! Entries: from the feed to the line, and to where those go that cannot be sent.

use std::time::Instant;

use super::builder::{check_ends, transfer_of};
use super::refusals::Refusals;
use super::transfer::Transfer;
use super::{AirGapSink, Current, Feed, OwnTrouble};
use crate::limits::FILE_READS_MAX;
use crate::ops::board::{Report, TroubleKind};
use crate::ops::clock;
use crate::spool::EntryHeader;

impl<F: Feed> AirGapSink<F> {
    /// Gives the machine something to carry, if it has nothing and there is something.
    pub(super) async fn take_on(&mut self, now: Instant) {
        if !self.line.sender.is_free() || self.held.is_some_and(|until| now < until) {
            return;
        }
        self.held = None;
        if self.current.is_none()
            && let Err(trouble) = self.load(now).await
        {
            return self.complain(now, &trouble);
        }
        let Some(current) = &self.current else { return };
        if current.rotten.is_some() {
            return self.quarantine(now).await;
        }
        let precision = current.header.precision.unwrap_or(self.settings.precision);
        if precision != self.precision {
            self.precision = precision;
            self.line.sender.reconnect();
        }
        self.prepared = None;
        self.line.sender.deliver(now, current.transfer.delivery());
    }

    /// Takes the next entry from the feed; one that can never be sent is put aside.
    async fn load(&mut self, now: Instant) -> Result<(), OwnTrouble> {
        let Some(header) = self.feed.next_entry()? else {
            self.drained = true;
            self.prepared = None;
            self.buffer.rest();
            self.checking.rest();
            if !self.feed.is_pending() {
                self.recover();
            }
            if self.feed.is_over() {
                self.line.stop();
            }
            return Ok(());
        };
        match self.transfer(&header).await {
            Err(trouble) if self.is_lost(&trouble) => {
                self.rotten(header, trouble.to_string()).await
            }
            Err(trouble) => Err(trouble),
            Ok(transfer) => self.take(header, transfer, now).await,
        }
    }

    /// What is sent of an entry, or why it never can be.
    async fn transfer(
        &mut self,
        header: &EntryHeader,
    ) -> Result<Result<Transfer<F::File>, String>, OwnTrouble> {
        Ok(match transfer_of(&mut self.feed, header)? {
            Ok(transfer) => check_ends(&transfer).await?.map(|()| transfer),
            Err(why) => Err(why),
        })
    }

    /// Carries an entry, or puts it aside.
    async fn take(
        &mut self,
        header: EntryHeader,
        transfer: Result<Transfer<F::File>, String>,
        now: Instant,
    ) -> Result<(), OwnTrouble> {
        match transfer {
            Ok(transfer) => {
                let crossing = transfer.shown().map(|(name, total)| {
                    self.board.crossings.begin(&self.pipe, name, Some(total), now)
                });
                let refusals = Refusals::default();
                self.current = Some(Current { header, transfer, crossing, refusals, rotten: None });
                Ok(())
            }
            Err(why) if self.set_aside(&header, &why).await => Ok(()),
            Err(why) => Err(OwnTrouble::PutAside { sequence: header.sequence.0, why }),
        }
    }

    /// Whether this is the last try to read a file: what the disk does not give back any more, to no pipe, is taken out
    /// of the way of the others.
    pub(super) fn is_lost(&self, trouble: &OwnTrouble) -> bool {
        trouble.is_of_a_file() && self.unread + 1 >= FILE_READS_MAX
    }

    /// Moves an entry to the quarantine.
    async fn rotten(&mut self, header: EntryHeader, why: String) -> Result<(), OwnTrouble> {
        let sequence = header.sequence;
        if !self.feed.quarantine(&header, &why).await {
            return Err(OwnTrouble::Quarantine { sequence: sequence.0, why });
        }
        log::error!("event=entry_quarantined pipe={} entry={sequence} why=\"{why}\"", self.pipe);
        self.recover();
        self.current = None;
        self.feed.advance(&header);
        Ok(())
    }

    pub(super) fn delivered(&mut self) {
        self.recover();
        if let Some(current) = self.current.take() {
            self.feed.advance(&current.header);
            self.tell_dead_letters("entries lie in its dead-letter directory");
        }
    }

    /// Shows how many dead letters there are, if that has changed.
    pub(super) fn tell_dead_letters(&mut self, what: &str) {
        let count = self.feed.dead_letters();
        if self.dead_letters.replace(count) == Some(count) {
            return;
        }
        if count == 0 {
            return self.board.clear(TroubleKind::DeadLetters, &self.pipe);
        }
        let report = Report::new(TroubleKind::DeadLetters, what).about(&self.pipe);
        self.board.raise(report.count(count), clock::wall());
    }

    /// The entry that is carried has a file that is not what was taken in: the far side keeps what it has
    /// without a seal, and forgets it with the connection.
    async fn quarantine(&mut self, now: Instant) {
        let Some(Current { header, rotten: Some(why), .. }) = &self.current else { return };
        let (header, why) = (*header, why.clone());
        if let Err(trouble) = self.rotten(header, why).await {
            self.complain(now, &trouble);
        }
    }

    /// Takes an entry out of the pipe, to where a person finds it.
    pub(super) async fn set_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        if !self.feed.put_aside(header, why).await {
            return false;
        }
        log::warn!(
            "event=entry_put_aside pipe={} entry={} why=\"{why}\"",
            self.pipe,
            header.sequence
        );
        self.tell_dead_letters(&format!("entry {} was put aside: {why}", header.sequence));
        self.feed.advance(header);
        true
    }
}

//! A feed whose tablets are sampled by the pipe's processor.
//!
//! ```text
//!  Feed -- tablet --> Sampler --> the rest of it, under an identity of parts
//!                        \------> none of it: the entry is gone past, told in one go
//!       -- others ------------------------------------------------------------>
//! ```
//!
//! What becomes a dead letter is the entry as it was taken in.

use std::sync::Arc;

use tokio::task::yield_now;

use super::feed::{Feed, StoredFiles, same_again};
use crate::data::{Precision, Sequence};
use crate::ops::board::{Board, Report, TroubleKind};
use crate::ops::clock;
use crate::pipe::{Sampled, Sampler};
use crate::sink::cuts::Lent;
use crate::spool::{EntryHeader, Kind, ReadError};

/// Entries of which nothing is left before others have their turn.
const TURN: usize = 32;

/// A feed with a sampler before it; without one it is the same feed.
#[derive(Debug)]
pub struct Sampling<F> {
    feed: F,
    sampler: Option<Sampler>,
    /// Of entries that do not say it.
    precision: Precision,
    pipe: String,
    board: Arc<Board>,
    held: Option<Held>,
    /// The payload of the entry that is held, sampled or not yet.
    payload: Vec<u8>,
    /// Entries were gone past, and nobody was told yet.
    has_passed: bool,
    /// There may be more entries, though none was returned.
    has_more: bool,
    /// Series beyond the limit were told of.
    has_told: bool,
}

/// The entry that was returned last.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// As it was taken in.
    taken: EntryHeader,
    /// As it is sent.
    sent: EntryHeader,
    /// Its payload is not that of the feed.
    is_part: bool,
}

impl<F: Feed> Sampling<F> {
    /// The feed of a pipe. Times are in units of `precision` where an entry says nothing.
    pub fn new(
        feed: F,
        sampler: Option<Sampler>,
        precision: Precision,
        (pipe, board): (&str, Arc<Board>),
    ) -> Self {
        // What an earlier task of the pipe has told.
        board.clear(TroubleKind::Unsampled, pipe);
        Self {
            feed,
            sampler,
            precision,
            pipe: pipe.to_owned(),
            board,
            held: None,
            payload: Vec::new(),
            has_passed: false,
            has_more: false,
            has_told: false,
        }
    }

    /// What is sent of the feed's present entry; none if nothing is left of it.
    fn sample(&mut self, taken: EntryHeader) -> Result<Option<Held>, ReadError> {
        let whole = Held { taken, sent: taken, is_part: false };
        let Some(sampler) = self.sampler.as_mut().filter(|_| taken.kind == Kind::Tablet) else {
            return Ok(Some(whole));
        };
        self.payload.resize(usize::try_from(taken.payload_bytes).unwrap_or_default(), 0);
        self.feed.read_payload(&mut self.payload)?;
        same_again(&taken, &self.payload)?;
        let precision = taken.precision.unwrap_or(self.precision);
        Ok(match sampler.sample(&self.payload, taken.identity, precision) {
            // What cannot be read is for the far side to judge.
            Ok(Sampled::Whole) | Err(_) => Some(whole),
            Ok(Sampled::Nothing) => None,
            Ok(Sampled::Part(part, identity, range)) => {
                self.payload.clear();
                self.payload.extend_from_slice(part);
                let sent = EntryHeader {
                    payload_bytes: u32::try_from(part.len()).unwrap_or(u32::MAX),
                    payload_crc: crc32fast::hash(part),
                    content_crc: Some(crc32fast::hash(part)),
                    identity,
                    time_range: Some(range),
                    ..taken
                };
                Some(Held { taken, sent, is_part: true })
            }
        })
    }

    fn tell(&mut self) {
        let left_out = self.sampler.as_ref().is_some_and(|sampler| sampler.unsampled() > 0);
        if !left_out || std::mem::replace(&mut self.has_told, true) {
            return;
        }
        let what = format!(
            "it has more than {} series: the points of the others are all sent",
            crate::limits::SAMPLED_SERIES_MAX
        );
        log::warn!("event=series_not_sampled pipe={:?}", self.pipe);
        let report = Report::new(TroubleKind::Unsampled, what).about(&self.pipe);
        self.board.raise(report, clock::wall());
    }

    /// Looks for the next entry of which something is sent, for one turn.
    fn turn(&mut self) -> Result<(), ReadError> {
        for _ in 0..TURN {
            if self.held.is_some() {
                return Ok(());
            }
            let Some(taken) = self.feed.next_entry()? else {
                // Nothing comes for a while, as a rule.
                self.payload = Vec::new();
                return Ok(());
            };
            self.held = self.sample(taken)?;
            self.tell();
            if self.held.is_none() {
                // Not advanced: nothing of it was sent, and a dead letter stays.
                self.feed.pass_over(&taken);
                self.has_passed = true;
            }
        }
        self.has_more = self.held.is_none();
        Ok(())
    }

    fn taken(&self, header: &EntryHeader) -> EntryHeader {
        self.held.map_or(*header, |held| held.taken)
    }
}

impl<F: Feed> Feed for Sampling<F> {
    type File = F::File;

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        self.has_more = false;
        let turned = self.turn();
        if std::mem::take(&mut self.has_passed) {
            self.feed.tell_passed();
        }
        turned?;
        Ok(self.held.map(|held| held.sent))
    }

    async fn changed(&mut self) {
        if self.has_more {
            yield_now().await;
            self.has_more = false;
        } else {
            self.feed.changed().await;
        }
    }

    fn objection(&self) -> Option<&str> {
        self.feed.objection()
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        if self.held.is_none_or(|held| !held.is_part) {
            return self.feed.read_payload(into);
        }
        let wanted = into.len();
        let part = self.payload.get(..wanted).ok_or_else(|| ReadError::Disk {
            operation: "read a payload that ends early",
            path: "spool".into(),
            source: std::io::ErrorKind::UnexpectedEof.into(),
        })?;
        into.copy_from_slice(part);
        Ok(())
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        if self.held.is_some_and(|held| held.is_part) {
            return self.read_payload(into);
        }
        self.feed.read_start(into)
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        self.feed.open_files()
    }

    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
        self.feed.lend_files()
    }

    fn position(&self) -> Sequence {
        self.feed.position()
    }

    fn is_pending(&self) -> bool {
        self.feed.is_pending()
    }

    fn is_over(&self) -> bool {
        self.held.is_none() && self.feed.is_over()
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        let taken = self.taken(header);
        self.held = None;
        self.feed.pass_over(&taken);
    }

    fn tell_passed(&mut self) {
        self.feed.tell_passed();
    }

    fn may_go_ahead(&self) -> bool {
        // What a sampler has left out would not come once more.
        self.sampler.is_none() && self.feed.may_go_ahead()
    }

    fn go_ahead(&mut self, header: &EntryHeader) {
        self.held = None;
        self.feed.go_ahead(header);
    }

    fn settle(&mut self, pending: Option<Sequence>) {
        self.feed.settle(pending);
    }

    fn go_back(&mut self) {
        self.held = None;
        self.feed.go_back();
    }

    fn advance(&mut self, header: &EntryHeader) {
        let taken = self.taken(header);
        self.held = None;
        self.feed.advance(&taken);
    }

    async fn quarantine(&mut self, header: &EntryHeader, why: &str) -> bool {
        let taken = self.taken(header);
        self.feed.quarantine(&taken, why).await
    }

    async fn put_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        let taken = self.taken(header);
        self.feed.put_aside(&taken, why).await
    }

    fn dead_letters(&self) -> u64 {
        self.feed.dead_letters()
    }
}

//! A feed of what a pipe's source takes: between the spool and any sink.
//!
//! ```text
//!  Feed --entry--> Filter --skip--> gone past; told in one go          nothing is sent
//!                         --whole-> the same entry                     byte for byte
//!                         --part--> an entry with a payload of its own (kept here until it is advanced)
//! ```
//!
//! Who asks for the next entry is kept from others for [`TURN_BYTES`] at most: then there seems to be none, and
//! [`Feed::changed`] returns at once.

mod files;

use tokio::task::yield_now;

use self::files::{Fate, fate_of};
use super::feed::{Feed, StoredFiles};
use crate::data::Sequence;
use crate::limits::{KIB, MIB, NAME_BYTES_MAX};
use crate::pipe::source::{Filter, Judgement, Verdict};
use crate::spool::{EntryHeader, Kind, ReadError};
use crate::wire::trim::{TABLET_HEAD, device_of};

/// Bytes of entries that are looked at in one turn.
const TURN_BYTES: usize = MIB;
/// What an entry that is only passed by its header costs of a turn.
const HEADER_COST: usize = 4 * KIB;
/// Where the device of a tablet ends at the latest.
const HEAD_BYTES: usize = TABLET_HEAD.len() + 4 + NAME_BYTES_MAX;

/// A feed, and the filter behind it.
#[derive(Debug)]
pub struct Filtered<F: Feed> {
    feed: F,
    filter: Filter,
    current: Option<Current>,
    /// Entries were gone past, and nobody was told yet.
    has_passed: bool,
    /// The feed may have more: the turn was over.
    has_more: bool,
    /// The payload that is looked at.
    payload: Vec<u8>,
    /// The part in place of a payload.
    part: Vec<u8>,
}

/// The entry that the sink has.
#[derive(Debug)]
struct Current {
    header: EntryHeader,
    is_part: bool,
    /// Why it can never be sent.
    objection: Option<String>,
}

impl<F: Feed> Filtered<F> {
    /// What `filter` takes of `feed`.
    pub fn new(feed: F, filter: Filter) -> Self {
        let (payload, part) = (Vec::new(), Vec::new());
        Self { feed, filter, current: None, has_passed: false, has_more: false, payload, part }
    }

    /// What becomes of the feed's present entry; `None` if it is gone past.
    fn look(&mut self, header: EntryHeader) -> Result<Option<Current>, ReadError> {
        let whole = Some(Current { header, is_part: false, objection: None });
        let verdict = match self.filter.judge(&header) {
            Judgement::Skip => return Ok(None),
            Judgement::Whole => return Ok(whole),
            Judgement::Look if header.kind == Kind::File => {
                let stored = match self.feed.open_files() {
                    // The sink knows what becomes of one whose files are gone.
                    Err(ReadError::File { .. }) => return Ok(whole),
                    opened => opened?,
                };
                return match fate_of(&self.filter, &header, &stored)? {
                    Fate::Skip => Ok(None),
                    Fate::Whole => Ok(whole),
                };
            }
            Judgement::Look if header.kind == Kind::Tablet => self.look_at_tablet(&header)?,
            Judgement::Look => {
                self.read(&header, usize::MAX)?;
                self.filter.request(&header, &self.payload, &mut self.part)
            }
        };
        Ok(match verdict {
            Verdict::Skip => None,
            Verdict::Whole => whole,
            Verdict::Unfit(why) => Some(Current { header, is_part: false, objection: Some(why) }),
            Verdict::Part { times, identity } => {
                let payload_bytes = u32::try_from(self.part.len()).unwrap_or(u32::MAX);
                let payload_crc = crc32fast::hash(&self.part);
                let part = EntryHeader {
                    time_range: times,
                    identity,
                    payload_bytes,
                    payload_crc,
                    content_crc: Some(payload_crc),
                    ..header
                };
                Some(Current { header: part, is_part: true, objection: None })
            }
        })
    }

    /// The device comes first: most tablets of a narrow pipe are decided by it.
    fn look_at_tablet(&mut self, header: &EntryHeader) -> Result<Verdict, ReadError> {
        self.read(header, HEAD_BYTES)?;
        let Some(device) = device_of(&self.payload) else { return Ok(Verdict::Whole) };
        let device = device.to_vec();
        if self.filter.is_foreign(header, &device) {
            return Ok(Verdict::Skip);
        }
        self.read(header, usize::MAX)?;
        Ok(self.filter.tablet(header, &device, &self.payload, &mut self.part))
    }

    /// Reads at most so many bytes of the payload.
    fn read(&mut self, header: &EntryHeader, most: usize) -> Result<(), ReadError> {
        let bytes = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX).min(most);
        self.payload.resize(bytes, 0);
        self.feed.read_start(&mut self.payload)
    }

    /// Tells how far everything was gone past.
    fn settle(&mut self) {
        if std::mem::take(&mut self.has_passed) {
            self.feed.tell_passed();
        }
    }

    /// Keeps nothing that is not needed while nothing comes.
    fn rest(&mut self) {
        self.filter.rest();
        (self.payload, self.part) = (Vec::new(), Vec::new());
    }
}

impl<F: Feed> Feed for Filtered<F> {
    type File = F::File;

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        self.has_more = false;
        let mut left = TURN_BYTES;
        while self.current.is_none() {
            if left == 0 {
                self.has_more = true;
                self.settle();
                return Ok(None);
            }
            let Some(header) = self.feed.next_entry()? else {
                self.settle();
                self.rest();
                return Ok(None);
            };
            let is_cheap = self.filter.judge(&header) != Judgement::Look;
            let cost = if is_cheap { 0 } else { header.payload_bytes as usize };
            left = left.saturating_sub(cost + HEADER_COST);
            self.current = self.look(header)?;
            if self.current.is_none() {
                self.feed.pass_over(&header);
                self.has_passed = true;
            }
        }
        self.settle();
        Ok(self.current.as_ref().map(|current| current.header))
    }

    fn objection(&self) -> Option<&str> {
        self.current.as_ref().and_then(|current| current.objection.as_deref())
    }

    async fn changed(&mut self) {
        if self.has_more {
            yield_now().await;
        } else {
            self.feed.changed().await;
        }
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        match &self.current {
            Some(current) if current.is_part && self.part.len() == into.len() => {
                into.copy_from_slice(&self.part);
                Ok(())
            }
            _ => self.feed.read_payload(into),
        }
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        match (&self.current, self.part.get(..into.len())) {
            (Some(current), Some(part)) if current.is_part => {
                into.copy_from_slice(part);
                Ok(())
            }
            _ => self.feed.read_start(into),
        }
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        self.feed.open_files()
    }

    fn position(&self) -> Sequence {
        self.feed.position()
    }

    fn is_over(&self) -> bool {
        let end = self.filter.end();
        self.current.is_none() && end.is_some_and(|end| self.feed.position() >= end)
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        self.current = None;
        self.feed.pass_over(header);
    }

    fn tell_passed(&mut self) {
        self.has_passed = false;
        self.feed.tell_passed();
    }

    fn advance(&mut self, header: &EntryHeader) {
        (self.current, self.has_passed) = (None, false);
        self.feed.advance(header);
    }

    fn quarantine(&mut self, header: &EntryHeader, why: &str) -> impl Future<Output = bool> + Send {
        self.feed.quarantine(header, why)
    }

    fn put_aside(&mut self, header: &EntryHeader, why: &str) -> impl Future<Output = bool> + Send {
        self.feed.put_aside(header, why)
    }

    fn dead_letters(&self) -> u64 {
        self.feed.dead_letters()
    }
}

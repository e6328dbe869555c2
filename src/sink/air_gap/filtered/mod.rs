//! A feed of what a pipe's source takes: between the spool and any sink.
//!
//! ```text
//!  Feed --entry--> Filter --skip--> gone past; told in one go          nothing is sent
//!                         --whole-> the same entry                     byte for byte
//!                         --part--> an entry with a payload of its own (cut again when it is read, if need be)
//!                         --cut---> an entry with a file of its own, which the worker has made
//!                         --unfit-> the same entry, with an objection  the sink puts it aside
//!                         --rotten> the same; looked at a few times    to quarantine in place of that
//! ```
//!
//! Who asks for the next entry is kept from others for [`TURN_BYTES`] at most: then there seems to be none, and
//! [`Feed::changed`] returns at once. A file is looked into in steps of [`TURN_BYTES`], over as many turns as it takes.
//! While the worker cuts one, there seems to be no entry either, and [`Feed::changed`] returns when it has.

mod files;
mod request;
mod scratch;
mod seen;
mod sent;

use std::io;

use tokio::sync::watch;
use tokio::task::yield_now;

use self::files::{Looked, Survey};
pub use self::scratch::Scratch;
use self::scratch::{Buffers, User};
use self::seen::{Current, Seen, not_again};
pub use self::sent::{Cutters, SentFile};
use super::feed::{Feed, StoredFiles, same_again};
use crate::data::{Precision, Sequence};
use crate::limits::{FILE_READS_MAX, KIB, MIB, NAME_BYTES_MAX};
use crate::pipe::source::{Filter, Judgement, Verdict};
use crate::sink::cuts::{Lent, Order};
use crate::spool::{EntryHeader, Kind, ReadError};
use crate::tsfile::cut::Selection;
use crate::wire::trim::{TABLET_HEAD, device_of};

/// Bytes of entries and files that are looked at in one turn, but for one step more.
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
    /// Unit of times, once it is known.
    precision: watch::Receiver<Option<Precision>>,
    current: Option<Current>,
    /// The file that is being looked into.
    survey: Option<Survey<F::File>>,
    /// How often the file before the pipe was not what was taken in.
    doubts: u32,
    /// Entries were gone past, and nobody was told yet.
    has_passed: bool,
    /// The feed may have more: the turn was over.
    has_more: bool,
    scratch: Scratch,
    user: User,
    cutters: Cutters,
}

impl<F: Feed> Filtered<F> {
    /// What `filter` takes of `feed`. What `scratch` has is shared with others of the same loop; `precision` is the
    /// unit of entries that do not say theirs, as soon as the node knows.
    pub fn new(
        feed: F,
        filter: Filter,
        scratch: Scratch,
        precision: watch::Receiver<Option<Precision>>,
        cutters: Cutters,
    ) -> Self {
        let user = scratch.join();
        let (current, survey, doubts, has_passed, has_more) = (None, None, 0, false, false);
        Self {
            feed,
            filter,
            precision,
            current,
            survey,
            doubts,
            has_passed,
            has_more,
            scratch,
            user,
            cutters,
        }
    }

    /// Looks for the next entry that is taken, for one turn.
    fn turn(&mut self) -> Result<(), ReadError> {
        let mut left = TURN_BYTES;
        while self.current.is_none() {
            if left == 0 {
                self.has_more = true;
                break;
            }
            let Some(header) = self.feed.next_entry()? else {
                self.rest();
                break;
            };
            self.learn();
            let (scratch, mut cost) = (self.scratch.clone(), 0);
            let goes_past =
                scratch.with(|buffers| self.look_and_take(header, buffers, &mut cost))?;
            left = left.saturating_sub(cost.saturating_add(HEADER_COST));
            if goes_past {
                self.feed.pass_over(&header);
                self.has_passed = true;
            }
            if self.waits() {
                break;
            }
        }
        Ok(())
    }

    /// Looks at the feed's present entry, and takes it on if it is not gone past: returns whether it is.
    fn look_and_take(
        &mut self,
        header: EntryHeader,
        buffers: &mut Buffers,
        cost: &mut usize,
    ) -> Result<bool, ReadError> {
        let looked = self.look(&header, buffers, cost);
        let goes_past = matches!(looked, Ok(Some(Seen::As(Verdict::Skip))));
        if let Ok(Some(seen)) = looked {
            self.take(header, seen, buffers);
            buffers.shrink();
            return Ok(goes_past);
        }
        buffers.shrink();
        looked.map(|_| false)
    }

    /// Whether nothing goes on before a file was cut.
    fn waits(&mut self) -> bool {
        self.current.is_none() && self.survey.as_mut().is_some_and(|one| one.ticket().is_some())
    }

    /// Tells the filter what the node knows by now; not within a file, which is looked at in one way.
    fn learn(&mut self) {
        if self.survey.is_none() {
            let known = *self.precision.borrow();
            // Nobody is left that it could be learnt from.
            let is_settled = self.precision.has_changed().is_err();
            self.filter.learn(known.or_else(|| is_settled.then(Precision::default)));
        }
    }

    /// Takes an entry on, if it is not gone past.
    fn take(&mut self, entry: EntryHeader, seen: Seen, buffers: &mut Buffers) {
        let precision = entry.precision.or_else(|| self.filter.precision());
        let header = EntryHeader { precision, ..entry };
        let (made, objection) = (None, None);
        let whole = Current { entry, header, is_part: false, made, objection, is_rotten: false };
        self.doubts = 0;
        let verdict = match seen {
            Seen::As(verdict) => verdict,
            Seen::Cut(file) => {
                let identity = self.filter.identity_of_part(&entry);
                let header = EntryHeader { identity, file_count: 1, content_crc: None, ..header };
                self.current = Some(Current { header, made: Some(file), ..whole });
                return;
            }
            Seen::Rotten(why) => {
                self.current = Some(Current { objection: Some(why), is_rotten: true, ..whole });
                return;
            }
        };
        self.current = match verdict {
            Verdict::Skip => None,
            Verdict::Whole => Some(whole),
            Verdict::Unfit(why) => Some(Current { objection: Some(why), ..whole }),
            Verdict::Part { times, identity } => {
                let payload_crc = crc32fast::hash(&buffers.part);
                let header = EntryHeader {
                    // One that lay in a file is short enough now.
                    kind: if entry.kind == Kind::File { Kind::Opaque } else { entry.kind },
                    time_range: times,
                    identity,
                    payload_bytes: u32::try_from(buffers.part.len()).unwrap_or(u32::MAX),
                    payload_crc,
                    content_crc: Some(payload_crc),
                    ..header
                };
                buffers.keep(self.user, entry.sequence);
                Some(Current { header, is_part: true, ..whole })
            }
        };
    }

    /// What becomes of the feed's present entry, which costs so much more of the turn; `None` if it has to be looked
    /// into further. A part is left in `buffers`.
    fn look(
        &mut self,
        header: &EntryHeader,
        buffers: &mut Buffers,
        cost: &mut usize,
    ) -> Result<Option<Seen>, ReadError> {
        let seen = |verdict| Ok(Some(Seen::As(verdict)));
        if let Some(survey) = self.survey.take().filter(|one| one.entry == header.sequence) {
            return self.look_further(survey, header, buffers, cost);
        }
        match self.filter.judge(header) {
            Judgement::Skip => return seen(Verdict::Skip),
            Judgement::Whole => return seen(Verdict::Whole),
            Judgement::Look => {}
        }
        if header.kind == Kind::File {
            let stored = match self.feed.open_files() {
                // The sink knows what becomes of one whose files are gone.
                Err(ReadError::File { .. }) => return seen(Verdict::Whole),
                opened => opened?,
            };
            let (looked, read) = Survey::begin(&mut self.filter, header, stored, buffers)?;
            return self.looked(looked, read, cost);
        }
        *cost = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        if header.kind == Kind::Tablet {
            return seen(self.look_at_tablet(header, buffers)?);
        }
        self.read(header, usize::MAX, &mut buffers.payload)?;
        seen(self.filter.request(header, &buffers.payload, &mut buffers.part))
    }

    fn look_further(
        &mut self,
        survey: Survey<F::File>,
        header: &EntryHeader,
        buffers: &mut Buffers,
        cost: &mut usize,
    ) -> Result<Option<Seen>, ReadError> {
        let (looked, read) = survey.step(&self.filter, header, buffers)?;
        let Looked::More(mut survey) = looked else { return self.looked(looked, read, cost) };
        if let Some(selection) = survey.wanted(&self.filter, header) {
            match self.order(header, selection) {
                Ok(order) => survey.ordered(self.cutters.desk.order(order)),
                Err(error) => {
                    self.survey = Some(survey);
                    return Err(error);
                }
            }
        }
        match survey.cut() {
            Ok(looked) => self.looked(looked, read, cost),
            Err(failed) => {
                let (survey, error) = *failed;
                self.survey = Some(survey);
                Err(error)
            }
        }
    }

    /// What the worker is to cut out of the feed's present entry.
    fn order(&mut self, header: &EntryHeader, selection: Selection) -> Result<Order, ReadError> {
        let files = self.feed.lend_files()?.files;
        let order = self.cutters.order(header.sequence, files, selection);
        order.ok_or(ReadError::File { sequence: header.sequence, index: 0 })
    }

    fn looked(
        &mut self,
        looked: Looked<F::File>,
        read: u64,
        cost: &mut usize,
    ) -> Result<Option<Seen>, ReadError> {
        *cost = usize::try_from(read).unwrap_or(usize::MAX);
        match looked {
            Looked::Known(verdict) => Ok(Some(Seen::As(verdict))),
            Looked::Cut(file) => Ok(Some(Seen::Cut(file))),
            Looked::More(survey) => {
                self.survey = Some(survey);
                Ok(None)
            }
            Looked::Rotten(name) => self.doubt(name),
        }
    }

    /// A file is not what was taken in: it is looked at again a few times, as one that cannot be read, since it may be a bus
    /// that has failed and not the disk.
    fn doubt(&mut self, name: String) -> Result<Option<Seen>, ReadError> {
        self.doubts += 1;
        if self.doubts >= FILE_READS_MAX {
            return Ok(Some(Seen::Rotten(format!("{name} is not what was taken in"))));
        }
        let source = io::Error::new(io::ErrorKind::InvalidData, "it is not what was taken in");
        Err(ReadError::Disk { operation: "look into", path: name.into(), source })
    }

    /// The device comes first: most tablets of a narrow pipe are decided by it.
    fn look_at_tablet(
        &mut self,
        header: &EntryHeader,
        buffers: &mut Buffers,
    ) -> Result<Verdict, ReadError> {
        self.read(header, HEAD_BYTES, &mut buffers.payload)?;
        let Some(device) = device_of(&buffers.payload) else { return Ok(Verdict::Whole) };
        let device = device.to_vec();
        if self.filter.is_foreign(header, &device) {
            return Ok(Verdict::Skip);
        }
        self.read(header, usize::MAX, &mut buffers.payload)?;
        Ok(self.filter.tablet(header, &device, &buffers.payload, &mut buffers.part))
    }

    /// Reads at most so many bytes of the payload, or all of it.
    fn read(
        &mut self,
        header: &EntryHeader,
        most: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let bytes = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX).min(most);
        into.resize(bytes, 0);
        self.feed.read_start(into)?;
        if most < usize::MAX { Ok(()) } else { same_again(header, into) }
    }

    /// Fills `into` with the first bytes of the part that the sink has.
    fn read_part(&mut self, current: &Current, into: &mut [u8]) -> Result<(), ReadError> {
        let (entry, header) = (current.entry, current.header);
        let mut copy = |part: &[u8]| {
            let part = part.get(..into.len()).ok_or_else(not_again)?;
            into.copy_from_slice(part);
            Ok(())
        };
        let scratch = self.scratch.clone();
        if let Some(copied) = scratch.with_part(self.user, entry.sequence, &mut copy) {
            return copied;
        }
        // Somebody else has looked at something since.
        scratch.with(|buffers| {
            let looked = self.look(&entry, buffers, &mut 0)?;
            let is_same = matches!(looked, Some(Seen::As(Verdict::Part { .. })))
                && u32::try_from(buffers.part.len()) == Ok(header.payload_bytes);
            if !is_same {
                return Err(not_again());
            }
            copy(&buffers.part)?;
            buffers.keep(self.user, entry.sequence);
            buffers.shrink();
            Ok(())
        })
    }

    /// What the sink has, if it is a part.
    fn part(&self) -> Option<Current> {
        self.current.clone().filter(|current| current.is_part)
    }

    /// Tells how far everything was gone past.
    fn settle(&mut self) {
        if std::mem::take(&mut self.has_passed) {
            self.feed.tell_passed();
        }
    }

    /// Keeps nothing that is not needed while nothing comes.
    fn rest(&mut self) {
        self.doubts = 0;
        self.filter.rest();
        self.scratch.rest(self.user);
    }

    /// The entry that the sink has, as the feed has it.
    fn entry(&self, header: &EntryHeader) -> EntryHeader {
        self.current.as_ref().map_or(*header, |current| current.entry)
    }
}

impl<F: Feed> Feed for Filtered<F> {
    type File = SentFile<F::File>;

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        self.has_more = false;
        let turned = self.turn();
        self.settle();
        turned?;
        Ok(self.current.as_ref().map(|current| current.header))
    }

    fn objection(&self) -> Option<&str> {
        let own = self.current.as_ref().and_then(|current| current.objection.as_deref());
        own.or_else(|| self.feed.objection())
    }

    async fn changed(&mut self) {
        if self.has_more {
            yield_now().await;
        } else if let Some(ticket) = self.survey.as_mut().and_then(Survey::ticket) {
            ticket.ready().await;
        } else {
            self.feed.changed().await;
        }
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        match self.part() {
            Some(part) => self.read_part(&part, into),
            None => self.feed.read_payload(into),
        }
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        match self.part() {
            Some(part) => self.read_part(&part, into),
            None => self.feed.read_start(into),
        }
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        let stored = self.feed.open_files()?;
        let made = self.current.as_ref().and_then(|current| current.made.clone());
        let Some(made) = made else { return Ok(stored.map(SentFile::Taken)) };
        Ok(self.cutters.in_place(stored, made))
    }

    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
        Ok(self.open_files()?.map(Lent::new))
    }

    fn position(&self) -> Sequence {
        self.feed.position()
    }

    fn is_pending(&self) -> bool {
        self.survey.is_some() || self.doubts > 0 || self.feed.is_pending()
    }

    fn is_over(&self) -> bool {
        let end = self.filter.end();
        let is_past = end.is_some_and(|end| self.feed.position() >= end);
        self.current.is_none() && (is_past || self.feed.is_over())
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        let entry = self.entry(header);
        self.current = None;
        self.feed.pass_over(&entry);
    }

    fn tell_passed(&mut self) {
        self.has_passed = false;
        self.feed.tell_passed();
    }

    fn may_go_ahead(&self) -> bool {
        let is_plain = self.current.as_ref().is_some_and(|one| one.made.is_none());
        is_plain && self.objection().is_none() && self.feed.may_go_ahead()
    }

    fn go_ahead(&mut self, header: &EntryHeader) {
        let entry = self.entry(header);
        self.current = None;
        self.feed.go_ahead(&entry);
    }

    fn settle(&mut self, pending: Option<Sequence>) {
        self.has_passed = false;
        self.feed.settle(pending);
    }

    fn go_back(&mut self) {
        (self.current, self.survey, self.has_passed) = (None, None, false);
        self.feed.go_back();
    }

    fn advance(&mut self, header: &EntryHeader) {
        let entry = self.entry(header);
        (self.current, self.has_passed) = (None, false);
        self.feed.advance(&entry);
    }

    async fn quarantine(&mut self, header: &EntryHeader, why: &str) -> bool {
        let entry = self.entry(header);
        self.feed.quarantine(&entry, why).await
    }

    async fn put_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        let entry = self.entry(header);
        if self.current.as_ref().is_some_and(|current| current.is_rotten) {
            // It is so to all that read it.
            return self.feed.quarantine(&entry, why).await;
        }
        self.feed.put_aside(&entry, why).await
    }

    fn dead_letters(&self) -> u64 {
        self.feed.dead_letters()
    }
}

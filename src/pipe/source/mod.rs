//! What a pipe takes out of the spool: the filter in front of every sink.
//!
//! ```text
//!  entry --header--> Filter --+--> Skip    outside: the cursor moves on, nothing is sent
//!                             +--> Whole   inside: byte for byte
//!                             +--> Look    --payload--> Skip, Whole, or Part: the rest, encoded anew in the same form
//! ```
//!
//! | entry | decided by | a part is |
//! |---|---|---|
//! | tablet | device and columns, times of its rows | a tablet of the columns and rows inside |
//! | row whose types the far side finds out | device and columns, its time | a row of the columns inside |
//! | deletion | its paths, its times | the paths that both mean, in the times that both mean; one that takes too long to cut is put aside |
//! | schema, users | the kind of change | never |
//! | table model | has no path: goes only where no path is asked for; its times, as a whole | never |
//! | files | see [`Filter::selection`] | a file of the series and times inside; [`Filter::loose`] ones go as a whole |
//!
//! A part is not its entry: it goes under an origin of its own ([`OriginId::of_parts`]), or the far side would take what
//! two pipes cut out of one entry for one thing.
//!
//! [`OriginId::of_parts`]: crate::data::OriginId::of_parts

mod deletion;
mod overlap;
mod takes;
#[cfg(test)]
mod tests;

use self::deletion::Deletions;
pub use self::takes::Birthplace;
use self::takes::Takes;
use crate::data::{Identity, Matcher, Pattern, Precision, Sequence, Series, TimeRange};
use crate::spool::{EntryHeader, Kind};
use crate::statement::{Loose, Source};
use crate::wire::bytes::Reader;
use crate::wire::plan::PlanKind;
use crate::wire::request::Head;
use crate::wire::split::TAIL_BYTES;
use crate::wire::trim::{Trimmed, Trimmer};
use crate::wire::trim_row::{ROW_HEAD, Row};

/// What becomes of an entry, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is not sent.
    Skip,
    /// It is sent as it is.
    Whole,
    /// That depends on what it holds.
    Look,
}

/// What becomes of an entry, by what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is not sent.
    Skip,
    /// It is sent as it is.
    Whole,
    /// A part was written, and is sent in its place.
    Part {
        /// Its times.
        times: Option<TimeRange>,
        /// What it goes under.
        identity: Identity,
    },
    /// It can never be sent: why.
    Unfit(String),
}

/// A pipe's source, compiled once. What it keeps grows with its patterns, and while entries flow by the devices that it
/// remembers; see [`Filter::rest`].
#[derive(Debug)]
pub struct Filter {
    takes: Takes,
    matcher: Matcher,
    deletions: Deletions,
    /// No path is asked for.
    is_every_series: bool,
    trimmer: Trimmer,
    /// Tells its parts from those of other filters.
    mark: u32,
    /// Unit of entries that do not say theirs.
    precision: Option<Precision>,
}

impl Filter {
    /// The filter of a source, for a pipe that came into being there.
    pub fn new(source: &Source, birth: Birthplace) -> Self {
        let Source { include, exclude, .. } = source;
        let is_every_series = include.iter().any(Pattern::is_everything) && exclude.is_empty();
        let takes = Takes::new(source, birth);
        let text = format!("{include:?}{exclude:?}{takes:?}");
        Self {
            takes,
            matcher: Matcher::new(include, exclude),
            deletions: Deletions::new(include, exclude),
            is_every_series,
            trimmer: Trimmer::default(),
            mark: crc32fast::hash(text.as_bytes()),
            precision: None,
        }
    }

    /// Says in which unit the times of entries are that do not say it; `None` while nobody knows. Not while an entry
    /// is being looked at: it would be judged in two ways.
    pub const fn learn(&mut self, precision: Option<Precision>) {
        self.precision = precision;
    }

    /// Unit of entries that do not say theirs, if it is known.
    pub const fn precision(&self) -> Option<Precision> {
        self.precision
    }

    fn times_of(&self, header: &EntryHeader) -> Option<TimeRange> {
        self.takes.times_of(header, self.precision)
    }

    /// Whether everything that is taken in is sent, so that no entry need be looked at.
    pub fn is_everything(&self) -> bool {
        self.is_every_series && self.takes.is_everything()
    }

    /// What becomes of an entry, as far as its header says.
    pub fn judge(&self, header: &EntryHeader) -> Judgement {
        let Some(times) = self.times_of(header) else { return Judgement::Skip };
        let known = header.time_range.filter(|range| !range.is_empty());
        if known.is_some_and(|range| !range.overlaps(times)) {
            return Judgement::Skip;
        }
        let is_within = match known {
            Some(range) => contains(times, range),
            None => times == TimeRange::ALL,
        };
        match header.kind {
            Kind::Void => Judgement::Skip,
            Kind::Tablet if !self.takes.inserts() => Judgement::Skip,
            Kind::Tablet if self.is_every_series && is_within => Judgement::Whole,
            Kind::Opaque | Kind::File
                if self.is_every_series && is_within && self.takes.every_kind() =>
            {
                Judgement::Whole
            }
            Kind::Tablet | Kind::Opaque | Kind::File => Judgement::Look,
        }
    }

    /// Whether nothing of a tablet's device is sent, whatever else is in it.
    pub fn is_foreign(&mut self, header: &EntryHeader, device: &[u8]) -> bool {
        *self.matcher.recall(device, header.device) == Series::None
    }

    /// Where a pipe that ends by itself ends: nothing from here on is sent.
    pub const fn end(&self) -> Option<Sequence> {
        self.takes.end()
    }

    /// Whether no path is asked for.
    pub const fn is_every_series(&self) -> bool {
        self.is_every_series
    }

    /// What becomes of a tablet; a part is written to `out`, which is emptied first.
    pub fn tablet(
        &mut self,
        header: &EntryHeader,
        device: &[u8],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Verdict {
        let Some(times) = self.times_of(header) else { return Verdict::Skip };
        let identity = self.identity_of_part(header);
        let series = self.matcher.recall(device, header.device);
        if *series == Series::None {
            return Verdict::Skip;
        }
        let (tail, wants) = (tail(identity), |name: &str| series.wants(name));
        match self.trimmer.trim(payload, times, wants, Some(&tail), out) {
            // The spool has only tablets that were read before.
            Ok(Trimmed::Whole) | Err(_) => Verdict::Whole,
            Ok(Trimmed::Nothing) => Verdict::Skip,
            Ok(Trimmed::Part(times)) => Verdict::Part { times: Some(times), identity },
        }
    }

    /// What becomes of a request that is not a tablet; a part is written to `out`, which is emptied first.
    pub fn request(&mut self, header: &EntryHeader, payload: &[u8], out: &mut Vec<u8>) -> Verdict {
        let Some(times) = self.times_of(header) else { return Verdict::Skip };
        if payload.starts_with(&ROW_HEAD) {
            return self.row(header, times, payload, out);
        }
        let head = Head::read(&mut Reader::new(payload)).ok();
        let request_type = head.and_then(|head| head.known().ok());
        let plan = request_type.and_then(|known| PlanKind::of_request(known, payload));
        match plan {
            Some(PlanKind::Delete) if !self.takes.deletes() => Verdict::Skip,
            Some(PlanKind::Delete) if self.is_every_series && times == TimeRange::ALL => {
                Verdict::Whole
            }
            Some(PlanKind::Delete) => {
                let identity = self.identity_of_part(header);
                match self.deletions.cut(payload, times, out) {
                    Ok(Trimmed::Whole) => Verdict::Whole,
                    Ok(Trimmed::Nothing) => Verdict::Skip,
                    Ok(Trimmed::Part(range)) => Verdict::Part { times: Some(range), identity },
                    Err(uncut) => Verdict::Unfit(format!("a deletion cannot be cut: {uncut}")),
                }
            }
            Some(kind) if self.takes.plans(kind) => Verdict::Whole,
            // Of the table model, or of a type that nobody knows.
            None if self.is_every_series && self.takes.inserts() => Verdict::Whole,
            Some(_) | None => Verdict::Skip,
        }
    }

    fn row(
        &self,
        header: &EntryHeader,
        times: TimeRange,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Verdict {
        let Ok(row) = Row::read(payload) else { return Verdict::Whole };
        if !self.takes.inserts() || !times.contains(row.time()) {
            return Verdict::Skip;
        }
        let series = self.matcher.series(&String::from_utf8_lossy(row.device()));
        match row.trim(|name| series.wants(name), out) {
            (0, _) => Verdict::Skip,
            (left, all) if left == all => Verdict::Whole,
            _ => Verdict::Part {
                times: Some(TimeRange::at(row.time())),
                identity: self.identity_of_part(header),
            },
        }
    }

    /// What of a file is sent: which series, and which times; `None` for nothing.
    pub fn selection(&self, header: &EntryHeader) -> Option<(&Matcher, TimeRange)> {
        let times = self.times_of(header).filter(|_| self.takes.inserts())?;
        Some((&self.matcher, times))
    }

    /// Which filters a file need not be cut for: one that lies across them is sent whole.
    pub fn loose(&self, header: &EntryHeader) -> Loose {
        self.takes.loose(header)
    }

    /// Whether no path is asked for, and no time of this entry.
    pub fn takes_all(&self, header: &EntryHeader) -> bool {
        self.is_every_series && self.times_of(header) == Some(TimeRange::ALL)
    }

    /// Whether plans of this kind are sent.
    pub fn takes_plans(&self, kind: PlanKind) -> bool {
        self.takes.plans(kind)
    }

    /// What a part of an entry goes under.
    pub fn identity_of_part(&self, header: &EntryHeader) -> Identity {
        let Identity { origin, sequence } = header.identity;
        Identity { origin: origin.of_parts(self.mark), sequence }
    }

    /// Gives back what it does not need while nothing comes.
    pub fn rest(&mut self) {
        self.matcher.forget();
        self.trimmer.rest();
    }
}

fn contains(outer: TimeRange, inner: TimeRange) -> bool {
    outer.min <= inner.min && inner.max <= outer.max
}

/// Plan node id and child count of a tablet.
fn tail(identity: Identity) -> [u8; TAIL_BYTES] {
    let mut tail = [0; TAIL_BYTES];
    let id = identity.plan_node_id();
    let length = u32::try_from(id.as_bytes().len()).unwrap_or(u32::MAX).to_be_bytes();
    for (to, from) in tail.iter_mut().zip(length.iter().chain(id.as_bytes())) {
        *to = *from;
    }
    tail
}

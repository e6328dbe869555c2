//! Which entries a source takes by where they come from, when they came and what kind of change they are.

use crate::data::{Precision, Sequence, TimeRange};
use crate::spool::EntryHeader;
use crate::statement::{Bounds, Changes, Clock, Loose, Source};
use crate::wire::plan::PlanKind;

/// When and where in the spool a pipe came into being, and what its times mean.
#[derive(Debug, Clone, Copy)]
pub struct Birthplace {
    /// First entry that is not its history.
    pub border: Sequence,
    /// When it was created or last altered, in milliseconds since the epoch: what `now` means.
    pub created_ms: i64,
    /// What the node's zone was ahead of UTC then.
    pub offset_seconds: i32,
}

/// Times in each unit, as [`Precision`] counts them.
type Ranges = [TimeRange; 3];

/// What a source takes, but for the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Takes {
    border: Sequence,
    /// The pipe ends with its history.
    is_one_shot: bool,
    /// None if it takes none of that side.
    history: Option<Ranges>,
    realtime: Option<Ranges>,
    /// Also what came by a pipe itself.
    forwards: bool,
    /// Which filters files of the history need not be cut for, and which files that came afterwards.
    loose: (Loose, Loose),
    /// Kinds of changes; none if all.
    changes: Option<Changes>,
}

impl Takes {
    pub(super) fn new(source: &Source, birth: Birthplace) -> Self {
        let ranges = |bounds: Bounds| {
            PRECISIONS.map(|precision| {
                bounds.resolve(Clock {
                    precision,
                    offset_seconds: birth.offset_seconds,
                    now_millis: birth.created_ms,
                })
            })
        };
        let of_history = if source.range.is_some() { source.range } else { source.history_range };
        let is_some = source.is_some;
        Self {
            border: birth.border,
            is_one_shot: source.is_one_shot,
            history: (is_some && source.history).then(|| ranges(of_history)),
            realtime: (is_some && source.realtime && !source.is_one_shot)
                .then(|| ranges(source.range)),
            forwards: source.forwarding,
            loose: (source.loose_history, source.loose_realtime),
            changes: source.changes,
        }
    }

    pub(super) fn is_everything(&self) -> bool {
        let all = Some([TimeRange::ALL; 3]);
        self.history == all && self.realtime == all && self.forwards && self.every_kind()
    }

    /// Where a pipe that ends by itself ends.
    pub(super) const fn end(&self) -> Option<Sequence> {
        if self.is_one_shot { Some(self.border) } else { None }
    }

    /// Times of an entry that are sent; `None` for none. `precision` is the unit of one that does not say its own; as
    /// long as nobody knows it, all times are sent that might be meant.
    pub(super) fn times_of(
        &self,
        header: &EntryHeader,
        precision: Option<Precision>,
    ) -> Option<TimeRange> {
        if header.hops > 0 && !self.forwards {
            return None;
        }
        let ranges = if self.is_history(header) { self.history } else { self.realtime }?;
        let times = if let Some(precision) = header.precision.or(precision) {
            let unit = PRECISIONS.iter().position(|each| *each == precision)?;
            *ranges.get(unit)?
        } else {
            let [first, others @ ..] = ranges;
            if others.iter().all(|range| *range == first) { first } else { TimeRange::ALL }
        };
        (!times.is_empty()).then_some(times)
    }

    /// Which filters a file need not be cut for.
    pub(super) fn loose(&self, header: &EntryHeader) -> Loose {
        if self.is_history(header) { self.loose.0 } else { self.loose.1 }
    }

    fn is_history(&self, header: &EntryHeader) -> bool {
        header.sequence < self.border
    }

    pub(super) const fn every_kind(&self) -> bool {
        self.changes.is_none()
    }

    pub(super) fn inserts(&self) -> bool {
        self.has("data.insert")
    }

    pub(super) fn deletes(&self) -> bool {
        self.has("data.delete")
    }

    /// Kinds of plans are told apart by what they are about, and not further.
    pub(super) fn plans(&self, kind: PlanKind) -> bool {
        match kind {
            PlanKind::Delete => self.deletes(),
            PlanKind::Schema => self.has("schema.ttl"),
            PlanKind::Authority => self.has("auth.user.create"),
        }
    }

    fn has(&self, leaf: &str) -> bool {
        self.changes.is_none_or(|changes| changes.contains(leaf))
    }
}

const PRECISIONS: [Precision; 3] = [Precision::Ms, Precision::Us, Precision::Ns];

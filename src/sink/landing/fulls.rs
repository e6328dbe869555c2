//! Full ledgers: what a count has found in each, and which may go.
//!
//! A full ledger goes when none of its files is there any more, and its own bytes are in the way:
//!
//! | `keep_days` | `when_full` | it goes |
//! |---|---|---|
//! | 0 | `block` | never: whoever fetches the files fetches it, too |
//! | 0 | `delete-oldest` | when its room is needed |
//! | more | `block` | when everything in it is older, at a count |
//! | more | `delete-oldest` | the same; and when its room is needed, unless it has deletions that are younger |
//!
//! The last set never goes with it, which proves what has landed.
//!
//! A deletion has no date of its own; but lines ascend by arrival, so it is older than every file behind it.

use super::age::start_of;
use super::ledger::AGE_MAX;
use super::line::{Line, What};
use crate::ops::clock::EpochMillis;

/// What is known of the ledgers, by their age.
#[derive(Debug, Default)]
pub(super) struct Fulls {
    known: Vec<Known>,
}

/// What was found in one ledger.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// A count has gone over all of it, and none of its files lies there.
    is_fetched: bool,
    has_deletes: bool,
    /// The first and the last date of its files.
    dates: Option<(EpochMillis, EpochMillis)>,
}

impl Known {
    /// Of a ledger that a count goes over: as long as nothing is found.
    pub(super) const COUNTED: Self = Self { is_fetched: true, has_deletes: false, dates: None };

    /// One more of its lines, and what of its files lies there. Files do not come back once they were fetched.
    pub(super) fn add(&mut self, line: &Line, date: &str, is_there: bool) {
        self.is_fetched &= !is_there;
        // What a later version wrote is perhaps as much a loss.
        self.has_deletes |= matches!(line.what, What::Delete | What::Later);
        if let Some(date) = start_of(date) {
            let (first, last) = self.dates.unwrap_or((date, date));
            self.dates = Some((first.min(date), last.max(date)));
        }
    }

    /// Some of it cannot be read: nobody knows which files that names.
    pub(super) const fn is_unread(&mut self) {
        self.is_fetched = false;
    }
}

impl Fulls {
    /// The ledgers have other names now.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// What a count found in the ledger of this age.
    pub(super) fn note(&mut self, age: usize, known: Known) {
        if age > AGE_MAX {
            return;
        }
        if self.known.len() <= age {
            self.known.resize(age + 1, Known::default());
        }
        if let Some(slot) = self.known.get_mut(age) {
            *slot = known;
        }
    }

    /// Whether no file of this ledger is there any more, so that nobody needs to look again.
    pub(super) fn is_fetched(&self, age: usize) -> bool {
        age > 0 && self.known.get(age).is_some_and(|known| known.is_fetched)
    }

    /// The oldest ledger behind that of age `last_set` that may go: if all of it is from before `kept`; `or_needed`: or
    /// if it has no deletions, or none are kept.
    pub(super) fn removable(
        &self,
        last_set: usize,
        kept: Option<EpochMillis>,
        or_needed: Option<Needed>,
    ) -> Option<usize> {
        let mut is_proven = false;
        let mut found = None;
        for (age, known) in self.known.iter().enumerate() {
            let is_old = |date: EpochMillis| kept.is_some_and(|kept| date < kept);
            let all_old = is_proven && known.dates.is_none_or(|(_, last)| is_old(last));
            let is_needed = match or_needed {
                Some(Needed::WithDeletes) => true,
                Some(Needed::WithoutDeletes) => !known.has_deletes,
                None => false,
            };
            if age > last_set && known.is_fetched && (all_old || is_needed) {
                found = Some(age);
            }
            is_proven |= known.dates.is_some_and(|(first, _)| is_old(first));
        }
        found
    }
}

/// Which ledgers go when their room is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    /// All of them: deletions are not kept for any time.
    WithDeletes,
    /// Those without deletions.
    WithoutDeletes,
}

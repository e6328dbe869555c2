//! Trouble: what needs a person, with its condition and its remedy.
//!
//! The kinds are a table of their own: [`TroubleKind`].
//!
//! A trouble is one kind with one subject (a pipe, a file, a directory; empty for the node).
//! It is raised as often as its condition is seen; only the first time, a higher count and the end
//! are events. Acknowledging stops the alarm for as long as the count does not grow. What lies on the disk
//! until a person takes it away ([`TroubleKind::outlives`]) stays acknowledged over a restart; of everything
//! else a person is told once after a start.
//!
//! Some conditions are only events, of which nobody sees the end: a handshake that was refused. Their trouble
//! is over when they were not seen for [`PASSING_SHOWN`].

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{TroubleKind, lock, shorten};
use crate::limits::TROUBLES_MAX;
use crate::ops::clock::EpochMillis;

/// All troubles of a node, at most [`TROUBLES_MAX`].
#[derive(Debug, Default)]
pub struct Troubles {
    list: Mutex<List>,
    changed: Notify,
    /// What is acknowledged has changed.
    seen: Notify,
}

/// What a person has seen, as it is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What kind.
    pub kind: TroubleKind,
    /// Of what.
    pub subject: String,
    /// Of how many things.
    pub count: u64,
}

/// One trouble, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind.
    pub kind: TroubleKind,
    /// Of what: a pipe's name, a file; empty for the node.
    pub subject: String,
    /// Since when.
    pub since: EpochMillis,
    /// The condition, with its numbers.
    pub what: String,
    /// The remedy.
    pub remedy: String,
    /// How many things it is about; zero where nothing is counted.
    pub count: u64,
    /// A person has seen it.
    pub acknowledged: bool,
    /// When it is over unless it is seen again; none for a condition whose end is seen.
    pub over_at: Option<Instant>,
}

/// What a thread says about a trouble.
#[derive(Debug, Clone)]
pub struct Report {
    kind: TroubleKind,
    subject: String,
    what: String,
    remedy: Option<String>,
    count: u64,
    over_at: Option<Instant>,
}

/// What happened to a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is new.
    Raised,
    /// It is about more things than before.
    Grew,
    /// A person has seen it.
    Acknowledged,
    /// It is over.
    Cleared,
}

/// A change of trouble, for log and alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub event: Event,
    /// The trouble after it; before it if it is over.
    pub trouble: Trouble,
}

#[derive(Debug, Default)]
struct List {
    troubles: Vec<Trouble>,
    /// What a person had seen before the start, until it is raised again.
    remembered: Vec<Seen>,
    /// Changes that the alarm has not seen; at most as many as troubles, the oldest go first.
    changes: VecDeque<Change>,
    /// Troubles that did not fit.
    unshown: u64,
}

impl Report {
    /// Trouble of `kind` with the whole node. `what` is the condition with its numbers.
    pub fn new(kind: TroubleKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            subject: String::new(),
            what: what.into(),
            remedy: None,
            count: 0,
            over_at: None,
        }
    }

    /// It is about this pipe, file or directory.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// It is about so many things: a higher count than the acknowledged one alarms again.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// It is an event of `now`, and over when it was not seen for [`PASSING_SHOWN`].
    #[must_use]
    pub fn passing(mut self, now: Instant) -> Self {
        self.over_at = Some(now + PASSING_SHOWN);
        self
    }

    /// A remedy that is more exact than the one of the kind.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn into_trouble(mut self, since: EpochMillis) -> Trouble {
        let mut remedy = self.remedy.unwrap_or_else(|| self.kind.remedy().to_owned());
        for text in [&mut self.subject, &mut self.what, &mut remedy] {
            shorten(text);
        }
        Trouble {
            kind: self.kind,
            subject: self.subject,
            since,
            what: self.what,
            remedy,
            count: self.count,
            acknowledged: false,
            over_at: self.over_at,
        }
    }
}

impl Troubles {
    /// Shows trouble, or shows it again with new numbers.
    pub fn raise(&self, report: Report, wall: EpochMillis) {
        let changed = lock(&self.list).raise(report.into_trouble(wall));
        if changed {
            self.changed.notify_one();
            self.seen.notify_one();
        }
    }

    /// The condition is over. Nothing happens if there was no such trouble.
    pub fn clear(&self, kind: TroubleKind, subject: &str) {
        let cleared = lock(&self.list).clear(kind, subject);
        if let Some(trouble) = cleared {
            self.changed.notify_one();
            if trouble.acknowledged {
                self.seen.notify_one();
            }
        }
    }

    /// What was not raised again soon after the start is there no more: it is told anew when it comes.
    pub fn forget_remembered(&self) {
        let mut list = lock(&self.list);
        if !list.remembered.is_empty() {
            list.remembered.clear();
            drop(list);
            self.seen.notify_one();
        }
    }

    /// Ends what was only an event, and not seen again until `now`.
    pub fn expire(&self, now: Instant) {
        let is_over = |trouble: &Trouble| trouble.over_at.is_some_and(|at| at <= now);
        let over: Vec<_> =
            lock(&self.list).troubles.iter().filter(|t| is_over(t)).cloned().collect();
        for trouble in over {
            self.clear(trouble.kind, &trouble.subject);
        }
    }

    /// What a person had seen before the start: it is raised as acknowledged, unless it has grown.
    pub fn remember(&self, seen: Vec<Seen>) {
        lock(&self.list).remembered = seen;
    }

    /// What is to be kept over a restart: acknowledged troubles that outlive one.
    pub fn seen(&self) -> Vec<Seen> {
        let list = lock(&self.list);
        let kept = list.troubles.iter().filter(|one| one.acknowledged && one.kind.outlives());
        let kept =
            kept.map(|one| Seen { kind: one.kind, subject: one.subject.clone(), count: one.count });
        kept.chain(list.remembered.iter().cloned()).collect()
    }

    /// Waits until [`Troubles::seen`] may have changed. One waiter.
    pub async fn seen_changed(&self) {
        self.seen.notified().await;
    }

    /// A person has seen the troubles that `what` names: a kind, a subject, `kind:subject`, or all
    /// if none. Returns those that were not acknowledged before.
    pub fn acknowledge(&self, what: Option<&str>) -> Vec<Trouble> {
        let seen = lock(&self.list).acknowledge(what);
        if !seen.is_empty() {
            self.changed.notify_one();
            self.seen.notify_one();
        }
        seen
    }

    /// Whether there is such trouble.
    pub fn has(&self, kind: TroubleKind, subject: &str) -> bool {
        lock(&self.list).position(kind, subject).is_some()
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Trouble> {
        lock(&self.list).troubles.clone()
    }

    /// Whether any needs a person: `status --check` exits with 3.
    pub fn needs_person(&self) -> bool {
        let list = lock(&self.list);
        list.unshown > 0 || list.troubles.iter().any(|trouble| !trouble.acknowledged)
    }

    /// Troubles that did not fit since the start.
    pub fn unshown(&self) -> u64 {
        lock(&self.list).unshown
    }

    /// Waits until something changed. One waiter; a change while nobody waits is not lost.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The changes since the last call, oldest first.
    pub fn take_changes(&self) -> Vec<Change> {
        lock(&self.list).changes.drain(..).collect()
    }
}

impl List {
    fn position(&self, kind: TroubleKind, subject: &str) -> Option<usize> {
        self.troubles.iter().position(|each| each.kind == kind && each.subject == subject)
    }

    fn raise(&mut self, mut new: Trouble) -> bool {
        let index = self.position(new.kind, &new.subject);
        if let Some(known) = index.and_then(|index| self.troubles.get_mut(index)) {
            let grew = new.count > known.count;
            let acknowledged = known.acknowledged && !grew;
            *known = Trouble { since: known.since, acknowledged, ..new };
            if grew {
                let trouble = known.clone();
                self.record(Event::Grew, trouble);
            }
            return grew;
        }
        if !self.make_room() {
            self.unshown = self.unshown.saturating_add(1);
            return false;
        }
        new.acknowledged = self.was_seen(&new);
        self.troubles.push(new.clone());
        if new.acknowledged {
            log::info!("trouble={:?} event=known what={:?}", new.id(), new.what);
            return false;
        }
        self.record(Event::Raised, new);
        true
    }

    fn clear(&mut self, kind: TroubleKind, subject: &str) -> Option<Trouble> {
        let index = self.position(kind, subject)?;
        let trouble = self.troubles.remove(index);
        self.record(Event::Cleared, trouble.clone());
        Some(trouble)
    }

    /// Whether a person saw it before the start, and at least as much of it.
    fn was_seen(&mut self, new: &Trouble) -> bool {
        let is_it = |seen: &Seen| seen.kind == new.kind && seen.subject == new.subject;
        let Some(index) = self.remembered.iter().position(is_it) else { return false };
        self.remembered.swap_remove(index).count >= new.count
    }

    fn acknowledge(&mut self, what: Option<&str>) -> Vec<Trouble> {
        let mut seen = Vec::new();
        for trouble in &mut self.troubles {
            if !trouble.acknowledged && what.is_none_or(|what| trouble.is_named(what)) {
                trouble.acknowledged = true;
                seen.push(trouble.clone());
            }
        }
        if what.is_none() {
            self.unshown = 0;
        }
        for trouble in &seen {
            self.record(Event::Acknowledged, trouble.clone());
        }
        seen
    }

    /// Whether one more fits, at the cost of the oldest acknowledged one.
    fn make_room(&mut self) -> bool {
        if self.troubles.len() < TROUBLES_MAX {
            return true;
        }
        let seen = self.troubles.iter().position(|trouble| trouble.acknowledged);
        if let Some(index) = seen {
            self.troubles.remove(index);
        }
        seen.is_some()
    }

    fn record(&mut self, event: Event, trouble: Trouble) {
        trouble.log(event);
        if self.changes.len() >= TROUBLES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { event, trouble });
    }
}

impl Trouble {
    /// `kind`, or `kind:subject`: what `ack` takes.
    pub fn id(&self) -> String {
        match self.subject.as_str() {
            "" => self.kind.name().to_owned(),
            subject => format!("{}:{subject}", self.kind.name()),
        }
    }

    fn is_named(&self, what: &str) -> bool {
        let named = |rest: &str| rest.strip_prefix(':').is_some_and(|named| named == self.subject);
        self.kind.name() == what
            || self.subject == what
            || what.strip_prefix(self.kind.name()).is_some_and(named)
    }

    fn log(&self, event: Event) {
        let level = if event == Event::Raised || event == Event::Grew {
            log::Level::Warn
        } else {
            log::Level::Info
        };
        let (event, id) = (event.name(), self.id());
        log::log!(level, "trouble={id:?} event={event} what={:?} do={:?}", self.what, self.remedy);
    }
}

impl Event {
    /// The name in log and alarm.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Grew => "grew",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
        }
    }
}

/// Long enough for the next shift to see it, short enough not to be there for ever.
pub const PASSING_SHOWN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    const T0: EpochMillis = EpochMillis(0);

    fn quarantined(count: u64) -> Report {
        Report::new(TroubleKind::Quarantine, format!("{count} things")).count(count)
    }

    fn events(troubles: &Troubles) -> Vec<Event> {
        troubles.take_changes().into_iter().map(|change| change.event).collect()
    }

    #[test]
    fn trouble_seen_again_is_no_event_but_shows_its_numbers() {
        let troubles = Troubles::default();
        let full = |percent| Report::new(TroubleKind::SpoolFull, format!("{percent} %")).about("s");
        troubles.raise(full(99), EpochMillis(1));
        troubles.raise(full(100), EpochMillis(2));
        assert_eq!(events(&troubles), [Event::Raised]);
        let shown = troubles.all().remove(0);
        assert_eq!((shown.what.as_str(), shown.since), ("100 %", EpochMillis(1)));
        assert_eq!(shown.remedy, TroubleKind::SpoolFull.remedy());
    }

    #[test]
    fn acknowledged_trouble_alarms_again_only_when_it_grows() {
        let troubles = Troubles::default();
        troubles.raise(quarantined(1), T0);
        assert_eq!(troubles.acknowledge(Some("quarantine")).len(), 1);
        assert!(!troubles.needs_person());
        troubles.raise(quarantined(1), T0);
        assert!(!troubles.needs_person());
        troubles.raise(quarantined(2), T0);
        assert!(troubles.needs_person());
        troubles.clear(TroubleKind::Quarantine, "");
        assert!(!troubles.needs_person());
        let expected = [Event::Raised, Event::Acknowledged, Event::Grew, Event::Cleared];
        assert_eq!(events(&troubles), expected);
    }

    #[test]
    fn ack_names_a_kind_a_subject_or_both() {
        for (what, taken) in [
            (None, 3),
            (Some("refused"), 2),
            (Some("b"), 2),
            (Some("refused:b"), 1),
            (Some("refused:c"), 0),
            (Some("refusedb"), 0),
        ] {
            let troubles = Troubles::default();
            troubles.raise(Report::new(TroubleKind::Refused, "").about("a"), T0);
            troubles.raise(Report::new(TroubleKind::Refused, "").about("b"), T0);
            troubles.raise(Report::new(TroubleKind::NoAnswer, "").about("b"), T0);
            assert_eq!(troubles.acknowledge(what).len(), taken, "{what:?}");
        }
    }

    #[test]
    fn list_is_bounded_and_what_does_not_fit_still_needs_a_person() {
        let troubles = Troubles::default();
        let nth = |n: usize| Report::new(TroubleKind::FileTooLarge, "").about(n.to_string());
        (0..TROUBLES_MAX).for_each(|n| troubles.raise(nth(n), T0));
        troubles.acknowledge(Some("7"));
        troubles.raise(nth(1000), T0);
        assert_eq!((troubles.all().len(), troubles.unshown()), (TROUBLES_MAX, 0));
        assert!(
            troubles.all().iter().all(|trouble| trouble.subject != "7"),
            "the seen one gave way"
        );
        troubles.raise(nth(1001), T0);
        assert_eq!((troubles.all().len(), troubles.unshown()), (TROUBLES_MAX, 1));
        assert!(troubles.take_changes().len() <= TROUBLES_MAX);
        troubles.acknowledge(None);
        assert!(!troubles.needs_person());
    }

    #[test]
    fn what_lies_there_stays_acknowledged_over_a_restart_unless_it_grew() {
        let before = Troubles::default();
        before.raise(quarantined(2), T0);
        before.raise(Report::new(TroubleKind::NoAnswer, "").about("p"), T0);
        before.acknowledge(None);
        let seen = before.seen();
        assert_eq!(seen.len(), 1, "no-answer is told anew: {seen:?}");
        for (count, asks) in [(1, false), (2, false), (3, true)] {
            let after = Troubles::default();
            after.remember(seen.clone());
            assert_eq!(after.seen(), seen, "a second restart before it is raised");
            after.raise(quarantined(count), T0);
            assert_eq!(after.needs_person(), asks, "{count} things");
            assert_eq!(events(&after).len(), usize::from(asks));
            after.clear(TroubleKind::Quarantine, "");
            after.raise(quarantined(1), T0);
            assert!(after.needs_person(), "what comes after it was emptied is new");
        }
    }

    #[test]
    fn an_event_is_over_when_it_is_not_seen_for_a_while() {
        let (troubles, start) = (Troubles::default(), clock::now());
        let refused = |now| Report::new(TroubleKind::HandshakeRefused, "").passing(now);
        troubles.raise(refused(start), T0);
        let again = start + PASSING_SHOWN / 2;
        troubles.raise(refused(again), T0);
        troubles.raise(quarantined(1), T0);
        troubles.expire(start + PASSING_SHOWN);
        assert!(troubles.has(TroubleKind::HandshakeRefused, ""));
        troubles.expire(again + PASSING_SHOWN);
        assert!(!troubles.has(TroubleKind::HandshakeRefused, ""));
        assert!(troubles.has(TroubleKind::Quarantine, ""), "its end is seen by others");
        assert_eq!(events(&troubles), [Event::Raised, Event::Raised, Event::Cleared]);
    }

    #[test]
    fn a_change_wakes_the_waiter_even_if_it_came_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let troubles = Troubles::default();
        troubles.raise(quarantined(1), T0);
        runtime.block_on(troubles.changed());
    }
}

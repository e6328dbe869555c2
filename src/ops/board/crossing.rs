//! Files under way: what `status --watch` shows with percent, rate and time left.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::meter::{Meter, time_left};
use super::{lock, shortened};
use crate::data::Identity;
use crate::limits::CROSSINGS_MAX;

/// All files under way, at most [`CROSSINGS_MAX`]; further ones cross without being shown.
#[derive(Debug, Clone, Default)]
pub struct Crossings {
    list: Arc<Mutex<Vec<Arc<Progress>>>>,
}

/// A file under way; dropping it takes it off the status.
#[derive(Debug)]
pub struct Crossing {
    crossings: Crossings,
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct Progress {
    lane: String,
    file: String,
    started: Instant,
    done_bytes: AtomicU64,
    /// Zero while it is unknown: the protocol does not say how long a file will be.
    total_bytes: AtomicU64,
    meter: Mutex<Meter>,
}

/// A file under way, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossingView {
    /// The pipe or the connection.
    pub lane: String,
    /// The file's name.
    pub file: String,
    /// Bytes that are over.
    pub done_bytes: u64,
    /// All bytes; none while unknown.
    pub total_bytes: Option<u64>,
    /// Mean of the last seconds.
    pub bytes_per_second: u64,
    /// At that rate; none while unknown or standing still.
    pub remaining: Option<Duration>,
    /// Since the file began to cross.
    pub elapsed: Duration,
}

impl Crossings {
    /// `file` begins to cross on `lane` (a pipe's name or a peer's address). `total_bytes` is none
    /// where the protocol does not tell it.
    pub fn begin(
        &self,
        lane: &str,
        file: &str,
        total_bytes: Option<u64>,
        now: Instant,
    ) -> Crossing {
        let progress = Arc::new(Progress {
            lane: shortened(lane),
            file: shortened(name_for_people(file)),
            started: now,
            done_bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(total_bytes.unwrap_or(0)),
            meter: Mutex::new(Meter::new(now)),
        });
        let mut list = lock(&self.list);
        if list.len() < CROSSINGS_MAX {
            list.push(Arc::clone(&progress));
        }
        Crossing { crossings: self.clone(), progress }
    }

    /// All of them at `now`, oldest first.
    pub fn views(&self, now: Instant) -> Vec<CrossingView> {
        lock(&self.list).iter().map(|progress| progress.view(now)).collect()
    }
}

impl Crossing {
    /// `done_bytes` are over, counted from the start of the file. Fewer than before is a restart.
    pub fn progress(&self, done_bytes: u64, now: Instant) {
        let before = self.progress.done_bytes.swap(done_bytes, Ordering::Relaxed);
        lock(&self.progress.meter).add(done_bytes.saturating_sub(before), now);
    }

    /// The length has become known.
    pub fn set_total(&self, total_bytes: u64) {
        self.progress.total_bytes.store(total_bytes, Ordering::Relaxed);
    }
}

impl Drop for Crossing {
    fn drop(&mut self) {
        lock(&self.crossings.list).retain(|each| !Arc::ptr_eq(each, &self.progress));
    }
}

impl Progress {
    fn view(&self, now: Instant) -> CrossingView {
        let done_bytes = self.done_bytes.load(Ordering::Relaxed);
        let total_bytes = Some(self.total_bytes.load(Ordering::Relaxed)).filter(|total| *total > 0);
        let bytes_per_second = lock(&self.meter).rate(now);
        CrossingView {
            lane: self.lane.clone(),
            file: self.file.clone(),
            done_bytes,
            total_bytes,
            bytes_per_second,
            remaining: total_bytes
                .and_then(|total| time_left(total.saturating_sub(done_bytes), bytes_per_second)),
            elapsed: now.saturating_duration_since(self.started),
        }
    }
}

/// The name that a file has at its source: on the way it carries its identity in front.
fn name_for_people(file: &str) -> &str {
    let parsed = Identity::parse_file_name(file.as_bytes());
    parsed.and_then(|(_, name)| std::str::from_utf8(name).ok()).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clock;

    #[test]
    fn crossing_shows_rate_and_time_left() {
        let (start, crossings) = (clock::now(), Crossings::default());
        let crossing = crossings.begin("to_zone_3", "a.tsfile", Some(3000), start);
        let later = start + Duration::from_secs(1);
        crossing.progress(1000, later);
        let views = crossings.views(later);
        assert_eq!(
            views,
            [CrossingView {
                lane: "to_zone_3".to_owned(),
                file: "a.tsfile".to_owned(),
                done_bytes: 1000,
                total_bytes: Some(3000),
                bytes_per_second: 1000,
                remaining: Some(Duration::from_secs(2)),
                elapsed: Duration::from_secs(1),
            }]
        );
        drop(crossing);
        assert!(crossings.views(later).is_empty());
    }

    #[test]
    fn restart_of_a_file_counts_no_negative_bytes() {
        let (start, crossings) = (clock::now(), Crossings::default());
        let crossing = crossings.begin("p", "a", None, start);
        let later = start + Duration::from_secs(1);
        crossing.progress(1000, start);
        crossing.progress(0, start);
        crossing.progress(500, later);
        let view = crossings.views(later).remove(0);
        assert_eq!((view.done_bytes, view.bytes_per_second, view.total_bytes), (500, 1500, None));
        assert_eq!(view.remaining, None);
        crossing.set_total(500);
        assert_eq!(crossings.views(later).remove(0).remaining, Some(Duration::ZERO));
    }

    #[test]
    fn a_file_is_shown_under_its_own_name() {
        let wire = format!("P1-{}-{:020}-day.tsfile", "0f".repeat(16), 7);
        assert_eq!(name_for_people(&wire), "day.tsfile");
        assert_eq!(name_for_people("P1-day.tsfile"), "P1-day.tsfile");
    }

    #[test]
    fn crossings_above_the_limit_are_not_shown() {
        let (start, crossings) = (clock::now(), Crossings::default());
        let all: Vec<_> = (0..=CROSSINGS_MAX)
            .map(|n| crossings.begin("p", &n.to_string(), None, start))
            .collect();
        assert_eq!(crossings.views(start).len(), CROSSINGS_MAX);
        drop(all);
        assert!(crossings.views(start).is_empty());
    }
}

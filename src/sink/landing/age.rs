//! How old a landed file is, by a clock that nobody can set.
//!
//! ```text
//!  wall clock    ...22  23  2099-01-01  2099-01-02  24    25
//!  believed      ...22  23  24          25          24    25      no faster than time passes, never ahead
//! ```
//!
//! The wall clock of a box may be years off, in either direction, and may be set at any moment. So what is
//! believed goes on only by the steady clock, while the node runs, and never beyond the wall clock; over a
//! restart it stays where it was. Time that the node did not run is made up for without harm: no file is
//! older than the oldest one that lies there, so the believed date is not before that one's.
//!
//! ```text
//!  <landing>/.penstock.believed    milliseconds since 1970, in digits; written anew every ten minutes
//! ```

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::ops::clock::EpochMillis;
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at, write_all_at};

const NAME: &str = ".penstock.believed";
const NEW: &str = ".penstock.believed.new";
/// Digits of a 64-bit number, and a line's end.
const TEXT_BYTES_MAX: usize = 21;
const MILLIS_OF_DAY: i64 = 86_400_000;

/// The date by which files grow old.
#[derive(Debug)]
pub(super) struct Age {
    dir: PathBuf,
    believed: Option<EpochMillis>,
    seen: Option<Instant>,
}

impl Age {
    /// Goes on from what the run before believed. What cannot be read was never believed: then files are only
    /// as old as what the first count finds.
    pub(super) fn open<D: Disk>(disk: &D, dir: &Path) -> Self {
        Self { dir: dir.to_owned(), believed: load(disk, dir), seen: None }
    }

    /// What the clocks show now.
    pub(super) fn observe(&mut self, now: Instant, wall: EpochMillis) {
        let before = self.seen.replace(now);
        if !wall.is_dated() {
            return;
        }
        let passed = before.map_or(0, |before| now.saturating_duration_since(before).as_millis());
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let steady = self.believed.map(|EpochMillis(at)| EpochMillis(at.saturating_add(passed)));
        self.believed = steady.map(|steady| steady.min(wall));
    }

    /// No file that lies there is older than this date, which is the wall clock's of another day.
    pub(super) fn is_at_least(&mut self, oldest: &str, wall: EpochMillis) {
        let Some(oldest) = start_of(oldest).map(|start| start.min(wall)) else { return };
        if wall.is_dated() {
            self.believed = Some(self.believed.map_or(oldest, |believed| believed.max(oldest)));
        }
    }

    /// The date before which files are older than so many days; none while nothing is believed.
    pub(super) fn earliest_kept(&self, days: u32) -> Option<EpochMillis> {
        let kept = i64::from(days) * MILLIS_OF_DAY;
        self.believed.map(|EpochMillis(at)| EpochMillis(at.saturating_sub(kept)))
    }

    /// Keeps what is believed. A crash leaves the one before, or this one.
    pub(super) fn store<D: Disk>(&self, disk: &D) -> io::Result<()> {
        let Some(EpochMillis(believed)) = self.believed else { return Ok(()) };
        let new = self.dir.join(NEW);
        let file = disk.open(&new, OpenMode::Create)?;
        write_all_at(&file, 0, &mut [IoSlice::new(format!("{believed}\n").as_bytes())])?;
        file.sync_data()?;
        disk.rename(&new, &self.dir.join(NAME))?;
        disk.sync_dir(&self.dir)
    }
}

fn load<D: Disk>(disk: &D, dir: &Path) -> Option<EpochMillis> {
    let file = disk.open(&dir.join(NAME), OpenMode::Read).ok()?;
    let mut text = [0; TEXT_BYTES_MAX];
    let count = read_full_at(&file, 0, &mut text).ok()?;
    let digits = std::str::from_utf8(text.get(..count)?).ok()?.strip_suffix('\n')?;
    digits.parse().ok().map(EpochMillis)
}

/// The first moment of a `YYYY-MM-DD` in UTC; `None` for any other name.
pub(super) fn start_of(date: &str) -> Option<EpochMillis> {
    let mut parts = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if parts.next().is_some() || !(0..=9999).contains(&year) {
        return None;
    }
    // Days are counted from 0000-03-01, so that the leap day is the last of its year.
    let (year, month_from_march) = (year - i64::from(month <= 2), (month + 9).rem_euclid(12));
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).saturating_sub(719_468);
    ((1..=12).contains(&month) && (1..=31).contains(&day))
        .then(|| EpochMillis(days.saturating_mul(MILLIS_OF_DAY)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);
    const START: EpochMillis = EpochMillis(1_795_305_600_000); // 2026-11-22T00:00:00Z

    fn later(days: i64) -> EpochMillis {
        EpochMillis(START.0 + days * MILLIS_OF_DAY)
    }

    #[expect(clippy::disallowed_methods, reason = "any start will do")]
    fn age() -> (Age, Instant) {
        let now = Instant::now();
        let mut age = Age { dir: PathBuf::new(), believed: Some(START), seen: None };
        age.observe(now, START);
        (age, now)
    }

    #[test]
    fn belief_goes_no_faster_than_time_and_never_ahead_of_the_wall_clock() {
        let (mut age, now) = age();
        age.observe(now + DAY, later(27_000));
        assert_eq!(age.believed, Some(later(1)));
        age.observe(now + DAY * 2, EpochMillis(0));
        assert_eq!(age.believed, Some(later(1)), "a clock that is off says nothing");
        age.observe(now + DAY * 3, later(0));
        assert_eq!(age.believed, Some(later(0)), "it was ahead");
        age.observe(now + DAY * 4, later(4));
        assert_eq!(age.believed, Some(later(1)));
        assert_eq!(age.earliest_kept(3), Some(later(-2)));
    }

    #[test]
    fn the_oldest_file_makes_up_for_time_that_nobody_counted() {
        let (mut age, now) = age();
        age.is_at_least("2026-12-01", later(30));
        assert_eq!(age.believed, Some(later(9)));
        age.is_at_least("2026-11-01", later(30));
        assert_eq!(age.believed, Some(later(9)));
        age.is_at_least("2099-01-01", later(30));
        assert_eq!(age.believed, Some(later(30)), "not beyond the wall clock");
        age.is_at_least("undated", later(40));
        age.observe(now, later(50));
        assert_eq!(age.believed, Some(later(30)));
    }

    #[test]
    fn a_date_is_where_it_was_written() {
        for days in (-20_000..40_000).step_by(13) {
            let moment = later(days);
            let date: String = moment.to_string().chars().take(10).collect();
            assert_eq!(start_of(&date), Some(moment), "{date}");
        }
        for date in ["undated", "", "2026", "2026-11", "2026-11-22-1", "2026-13-01", "2026-01-32"] {
            assert_eq!(start_of(date), None, "{date}");
        }
    }
}

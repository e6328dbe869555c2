//! The same work several times at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Runs `work` with every number below `count`, each on a thread of its own, and waits for all.
///
/// # Panics
/// When one of them did.
pub fn run(count: u64, work: impl Fn(u64) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for number in 0..count {
            scope.spawn(move || work(number));
        }
    });
}

/// Says that it is over, also when what it waited for panicked.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` with every number below `count`, each on a thread of its own, while `play` runs. The
/// work asks its second argument whether that is over, and ends then: also when it ended by a panic.
///
/// # Panics
/// When one of them did.
pub fn beside<T>(
    count: u64,
    work: impl Fn(u64, &dyn Fn() -> bool) + Sync,
    play: impl FnOnce() -> T,
) -> T {
    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::Relaxed);
    let work = &work;
    thread::scope(|scope| {
        for number in 0..count {
            scope.spawn(move || work(number, &is_over));
        }
        let _over = Over(&over);
        play()
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn work_goes_on_beside_a_play_and_ends_with_it() {
        let turns = AtomicU64::new(0);
        let work = |_, is_over: &dyn Fn() -> bool| {
            while !is_over() {
                turns.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        };
        let played = beside(2, work, || {
            while turns.load(Ordering::Relaxed) < 10 {
                thread::yield_now();
            }
            7
        });
        assert_eq!(played, 7);
        let failing = AssertUnwindSafe(|| beside(2, work, || panic!("a play that fails")));
        assert!(catch_unwind(failing).is_err());
    }

    #[test]
    fn every_number_is_worked_on() {
        let sum = AtomicU64::new(0);
        run(10, |number| {
            sum.fetch_add(number, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}

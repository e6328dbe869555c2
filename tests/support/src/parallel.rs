//! The same work several times at once.

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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn every_number_is_worked_on() {
        let sum = AtomicU64::new(0);
        run(10, |number| {
            sum.fetch_add(number, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}

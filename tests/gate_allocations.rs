//! In the steady state the gate thread takes nothing from the heap, whatever comes.

#![expect(
    unsafe_code,
    clippy::unwrap_used,
    reason = "an allocator cannot be written without; what fails here fails the test"
)]

#[path = "intake/world.rs"]
#[expect(dead_code, reason = "shared with another test, which looks at more")]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use penstock_test_support::frames;
use world::World;

/// Counts what the gate thread allocates.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread counts; `None`: it is not known yet.
    static COUNTS: Cell<Option<bool>> = const { Cell::new(None) };
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the rules of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    let counts = COUNTS.try_with(|counts| {
        counts.get().unwrap_or_else(|| {
            // Looking up the name may allocate.
            counts.set(Some(false));
            let is_gate = std::thread::current().name() == Some("gate");
            counts.set(Some(is_gate));
            is_gate
        })
    });
    if counts == Ok(true) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_frame_costs_the_gate_thread_an_allocation() {
    let world = World::new();
    let mut peers: Vec<_> = (0..4).map(|_| world.peer("theirs")).collect();
    let mut round = |number: i64| {
        for peer in &mut peers {
            // In the machine's own buffer, in a small one, in a large one, in several reads.
            for bytes in [200, 5_000, 100_000, 900_000] {
                let tablet = frames::tablet_of("root.sg.d1", bytes, number * 1_000_000, 1);
                assert_eq!(peer.ask(&tablet).unwrap(), 0);
            }
            let start = u64::try_from(number).unwrap() << 20;
            let piece = frames::piece(frames::PIECE, "a.tsfile", start, &vec![7; 1 << 20]);
            assert_eq!(peer.ask(&piece).unwrap(), 0);
        }
    };
    // Buffers of conversions come to their size, and the file gets its name.
    round(0);
    round(1);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(before > 0, "the gate thread is counted");
    (2..8).for_each(&mut round);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    world.stop();
}

//! Converting requests takes no memory from the heap once the buffers have their size.

#![expect(clippy::unwrap_used, reason = "a part that cannot be made fails the test")]
#![expect(unsafe_code, reason = "a global allocator that counts can be made in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;

use penstock::data::ReadAt;
use penstock::limits::ENTRY_BYTES_MAX;
use penstock::wire::request::RequestType;
use penstock::wire::sample::{Rng, Size, random_request, tablet_request};
use penstock::wire::split::{Scratch, Splitter};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Spilled(Vec<u8>);

impl ReadAt for Spilled {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.as_slice().read_at(offset, into)
    }
}

fn convert(request: &dyn ReadAt, scratch: &mut Scratch, out: &mut Vec<u8>) -> usize {
    let mut splitter = Splitter::new(request, scratch).unwrap();
    let mut parts = 0;
    while splitter.next(out).unwrap().is_some() {
        parts += 1;
    }
    parts
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    let bytes = std::hint::black_box(vec![1_u8; 100]);
    assert_eq!(ALLOCATIONS.get(), before + 1);
    drop(bytes);
}

#[test]
fn no_request_takes_memory_in_the_steady_state() {
    let size = Size { rows: 300, columns: 20, text_bytes: 100, nulls_percent: 10 };
    let mut requests: Vec<Vec<u8>> = [2, 3, 6, 7, 10, 11, 12, 13]
        .into_iter()
        .flat_map(|code| (0..5).map(move |seed| (code, seed)))
        .map(|(code, seed)| {
            let kind = RequestType::from_code(code).unwrap();
            random_request(&mut Rng::new(seed), kind, size).0
        })
        .collect();
    requests.push(tablet_request(1, 100, 10));
    requests.push(tablet_request(1, 20_000, 10)); // about 2 MB, in several parts
    let spilled: Vec<Spilled> = requests.iter().cloned().map(Spilled).collect();

    let mut scratch = Scratch::new();
    let mut out = Vec::with_capacity(ENTRY_BYTES_MAX);
    let mut all = |requests: &[Vec<u8>], spilled: &[Spilled]| -> usize {
        let from_memory = requests.iter().map(|request| request as &[u8]);
        let from_memory: usize =
            from_memory.map(|request| convert(&request, &mut scratch, &mut out)).sum();
        let from_disk = spilled.iter().map(|request| convert(request, &mut scratch, &mut out));
        from_memory + from_disk.sum::<usize>()
    };
    let parts = all(&requests, &spilled);
    assert!(parts > 100, "{parts} parts");
    let before = ALLOCATIONS.get();
    assert_eq!(all(&requests, &spilled), parts);
    assert_eq!(ALLOCATIONS.get(), before, "something was taken from the heap");
}

//! Whatever a client sends takes no more memory than its message and a limit.

#![expect(clippy::expect_used, reason = "a case that cannot be made fails the test")]
#![expect(unsafe_code, reason = "a global allocator that counts can be made in no other way")]

#[path = "fuzz/thrift_checks.rs"]
mod thrift_checks;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use penstock::limits::{KIB, MIB, THRIFT_MEMORY_BYTES_MAX};
use penstock::wire::thrift::{
    ARGUMENT, Incoming, Protocol, TSInsertRecordsReq, TSStatus, write_call,
};
use proptest::prelude::*;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(more: usize, less: usize) {
    let held = HELD.get().saturating_add_unsigned(more);
    PEAK.set(PEAK.get().max(held));
    HELD.set(held.saturating_sub_unsigned(less));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that were held at most while `work` ran, beside those before it.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    work();
    usize::try_from(PEAK.get() - before).expect("it is at least what was held")
}

/// One request that is put, and what the codec may make of a message.
fn limit(message: &[u8]) -> usize {
    MIB + THRIFT_MEMORY_BYTES_MAX + 3 * message.len() + 16 * KIB
}

/// What may stand in a message: anything, and what makes sense here and there.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    const CALL: &[u8] = &[0x80, 1, 0, 1, 0, 0, 0, 1, b'a', 0, 0, 0, 1];
    const REPLY: &[u8] = &[0x80, 1, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 1];
    let heads = [
        &[][..],
        CALL,
        &[CALL, &[12, 0, 1]].concat(),
        &[CALL, &[12, 0, 1, 15, 0, 2, 11, 0, 0, 0]].concat(),
        &[CALL, &[12, 0, 1, 15, 0, 3, 15, 0x7f, 0xff]].concat(),
        &[REPLY, &[12, 0, 0, 8, 0, 1, 0, 0, 0, 200, 15, 0, 3, 12, 0, 0, 0]].concat(),
        &[0x82, 0x21, 1, 1, b'a', 0x1c],
        &[0x82, 0x21, 1, 1, b'a', 0x1c, 0x29, 0xf8, 0xff, 0xff],
        &[0x82, 0x41, 1, 1, b'a', 0x0c, 0, 0x15, 0, 0x29, 0xfc],
    ]
    .map(<[u8]>::to_vec);
    let byte = prop_oneof![any::<u8>(), 0..16_u8, Just(0xff), Just(0), Just(0x19)];
    let bytes = prop_oneof![
        proptest::collection::vec(byte, 0..300),
        // The same few bytes again and again: many of what is small.
        (proptest::collection::vec(0..16_u8, 1..9), 0..2000_usize)
            .prop_map(|(bytes, times)| bytes.repeat(times)),
    ];
    (proptest::sample::select(heads.to_vec()), bytes)
        .prop_map(|(head, bytes)| [head, bytes].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic_or_take_more_than_their_limit(message in any_message()) {
        let peak = peak_of(|| thrift_checks::message(&message));
        prop_assert!(peak <= limit(&message), "{peak} bytes");
    }
}

#[test]
fn rows_without_end_are_read_where_they_lie() {
    for protocol in [Protocol::Binary, Protocol::Compact] {
        let rows = 20_000;
        let request = TSInsertRecordsReq::new(
            1,
            vec!["root.d".to_owned(); rows],
            vec![vec!["s".to_owned()]; rows],
            vec![vec![1, 0, 0, 0, 1]; rows],
            vec![1; rows],
            None,
        );
        let mut frame = Vec::new();
        write_call(protocol, "insertRecords", 1, (ARGUMENT, &request), &mut frame).expect("fits");
        let message = &frame[4..];
        let call = Incoming::read(protocol, message).expect("sound");
        let peak = peak_of(|| {
            let view = call.view(ARGUMENT).expect("sound");
            let call = penstock::wire::thrift::calls::RecordsCall::read("insertRecords", view);
            let call = call.expect("sound");
            assert!(call.records().all(|record| record.check().is_ok()));
            assert_eq!(call.count().expect("of one length"), rows);
        });
        assert!(peak <= 4 * KIB, "{peak} bytes");
    }
}

#[test]
fn statuses_within_a_status_have_their_limit() {
    // A hundred thousand of them in a megabyte: 120 bytes each in memory.
    let status = TSStatus::new(200, None, None, None, None);
    let within = vec![Box::new(status); 100_000];
    let all = TSStatus { sub_status: Some(within), ..TSStatus::new(302, None, None, None, None) };
    let mut frame = Vec::new();
    write_call(Protocol::Binary, "a", 1, (0, &all), &mut frame).expect("fits");
    let peak = peak_of(|| {
        let call = Incoming::read(Protocol::Binary, &frame[4..]).expect("sound");
        assert!(call.argument::<TSStatus>(0).is_err());
    });
    assert!(peak <= 2 * THRIFT_MEMORY_BYTES_MAX, "{peak} bytes");
}

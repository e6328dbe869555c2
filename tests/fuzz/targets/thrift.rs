//! Fuzzes the reader of clients' calls.
#![no_main]

#[path = "../thrift_checks.rs"]
mod thrift_checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thrift_checks::message(bytes));

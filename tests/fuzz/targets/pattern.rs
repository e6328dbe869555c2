//! Fuzzes patterns over series and deletions.
#![no_main]

#[path = "../pattern_checks.rs"]
mod pattern_checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pattern_checks::pattern(bytes));

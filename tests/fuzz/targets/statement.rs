//! Fuzzes statements and their attributes.
#![no_main]

#[path = "../statement_checks.rs"]
mod statement_checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statement_checks::statement(bytes));

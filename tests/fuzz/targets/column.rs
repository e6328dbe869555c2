//! Fuzzes the decoders of columns.
#![no_main]

#[path = "../file_checks.rs"]
#[allow(dead_code, reason = "each target uses its own check")]
mod file_checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| file_checks::column(bytes));

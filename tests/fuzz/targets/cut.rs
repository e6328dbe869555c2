//! Fuzzes cuts of `TsFiles` in steps, with modifications.
#![no_main]

#[path = "../file_checks.rs"]
#[allow(dead_code, reason = "each target uses its own check")]
mod file_checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| file_checks::cut_in_steps(bytes));

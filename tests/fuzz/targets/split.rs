//! Fuzzes the splitter of data requests.
#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target uses its own check")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::split(bytes));

//! The committed corpus of the fuzz targets, run by the plain test command.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "checks fail by panicking, and are shared with the fuzz targets"
)]

use std::fs;
use std::path::Path;

#[path = "fuzz/checks.rs"]
mod checks;
#[path = "fuzz/file_checks.rs"]
mod file_checks;
#[path = "fuzz/pattern_checks.rs"]
mod pattern_checks;
#[path = "fuzz/statement_checks.rs"]
mod statement_checks;
#[path = "fuzz/thrift_checks.rs"]
mod thrift_checks;

#[test]
fn the_frame_decoder_keeps_its_rules_on_the_corpus() {
    assert!(run("frame", checks::frame) >= 20);
}

#[test]
fn the_request_decoder_keeps_its_rules_on_the_corpus() {
    assert!(run("request", checks::request) >= 40);
}

#[test]
fn the_splitter_keeps_its_rules_on_the_corpus() {
    assert!(run("split", checks::split) >= 30);
    assert!(run("request", checks::split) >= 40);
}

#[test]
fn files_keep_their_rules_on_the_corpus() {
    assert!(run("tsfile", file_checks::ts_file) >= 8);
}

#[test]
fn cuts_keep_their_rules_on_the_corpus() {
    assert!(run("cut", file_checks::cut_in_steps) >= 8);
}

#[test]
fn columns_keep_their_rules_on_the_corpus() {
    assert!(run("column", file_checks::column) >= 20);
}

#[test]
fn statements_keep_their_rules_on_the_corpus() {
    assert!(run("statement", statement_checks::statement) >= 30);
}

#[test]
fn patterns_keep_their_rules_on_the_corpus() {
    assert!(run("pattern", pattern_checks::pattern) >= 10);
}

#[test]
fn calls_of_clients_keep_their_rules_on_the_corpus() {
    assert!(run("thrift", thrift_checks::message) >= 10);
}

/// Every file of a corpus, also cut off at every byte of its first hundred; returns how many there are.
fn run(target: &str, check: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
    for file in &files {
        let bytes = fs::read(file.as_ref().unwrap().path()).unwrap();
        check(&bytes);
        for end in 0..bytes.len().min(100) {
            check(&bytes[..end]);
        }
    }
    files.len()
}

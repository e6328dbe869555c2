//! Faults of a whole node, for tests: a loop that stands still. Never in a released program.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// Variable that names a file. A loop stands still at its turn for as long as that file holds its name; the worker
/// stands still within a step of landing for as long as it holds `landing`.
pub const STAND_STILL: &str = "PENSTOCK_STAND_STILL";

const POLL: Duration = Duration::from_millis(20);

/// Returns when what has this name may go on.
#[expect(clippy::disallowed_methods, reason = "to stand still is what it is for")]
pub fn stand_still(name: &str) {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| env::var_os(STAND_STILL).map(PathBuf::from)) else {
        return;
    };
    while fs::read_to_string(file).is_ok_and(|stands| stands == name) {
        thread::sleep(POLL);
    }
}

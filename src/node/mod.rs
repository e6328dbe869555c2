//! Builds the parts from the configuration, runs them, stops them.
//!
//! ```text
//!  start: recover spool         -> consumers -> threads: spool, gate, worker -> main loop -> READY
//!  stop:  gate begins no frame -> sinks keep what is in flight -> worker -> spool syncs cursors -> exit 0
//!                 at most 4 s             at most 4 s                      at most 5 s in all
//! ```
//!
//! One owner for each piece of state; what threads say to each other goes by the stage, the spool
//! handle and the board.

mod error;
mod main_loop;
mod parts;
mod pipes;
pub mod remedy;
mod remembered;
#[cfg(test)]
mod tests;
mod worker;

pub use error::NodeError;
pub use parts::spool_settings;
#[cfg(feature = "simulation")]
pub use pipes::{Act, Leave, Played};
pub use pipes::{Released, release_stopped};

use std::process::ExitCode;
use std::sync::Arc;

use crate::config::Config;
use crate::ops::board::Board;
use crate::ops::clock;
use crate::ops::stamp::{Loop, Operation};
use crate::spool::RealDisk;

/// Reads the configuration again, for SIGHUP; `None` if it has mistakes, which it has logged.
pub type Reread<'a> = &'a dyn Fn() -> Option<Config>;

/// Runs a node until it is told to stop, or cannot go on.
///
/// Exit codes: 0 stopped in order, 1 failed at run time (disk, bind).
pub fn run(config: Config, reread: Reread<'_>) -> ExitCode {
    let board = Arc::new(Board::new(config.role, &config.name, clock::now()));
    let data_dir = config.data_dir.display().to_string();
    match start_and_run(config, reread, &board) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let remedy = error.remedy();
            log::error!(
                "event=node_failed data_dir={data_dir:?} error=\"{error}\" remedy=\"{remedy}\""
            );
            ExitCode::FAILURE
        }
    }
}

fn start_and_run(
    mut config: Config,
    reread: Reread<'_>,
    board: &Arc<Board>,
) -> Result<(), NodeError> {
    make_absolute(&mut config)?;
    remembered::make_data_dir(&config.data_dir)?;
    let disk = RealDisk::new(&config.data_dir);
    let parts = {
        let _within = board.stamps.of(Loop::Main).within(Operation::Recover);
        parts::build(&config, disk, board)?
    };
    main_loop::run(config, reread, parts, board)
}

/// The disk takes relative paths for those below the data directory; the configuration's are relative to
/// where the program was started.
fn make_absolute(config: &mut Config) -> Result<(), NodeError> {
    let mut paths = vec![&mut config.data_dir, &mut config.landing.dir];
    if let Some(inbox) = &mut config.inbox {
        paths.push(&mut inbox.dir);
        paths.extend(inbox.archive_dir.as_mut());
    }
    for path in paths {
        *path = std::path::absolute(&*path).map_err(|source| NodeError::DataDir {
            operation: "find",
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

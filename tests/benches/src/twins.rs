//! What it costs the gate that tablets land as files meanwhile.
//!
//! Two receivers, one of which lands what it takes in, have the same tablets in turns; each waits until the other
//! has nothing left to do. The round in the middle counts, as a machine with other work is never the same for long.

use std::time::Duration;
use std::{fs, io};

use penstock_e2e::Outer;
use penstock_test_support::wait;

use crate::rows::{Sizes, tablets_per_second};
use crate::table::{Row, Wanted};

const ROUNDS: usize = 5;
const NOTHING_LANDS: &str = "landing = { enabled = false }\n\n[[pipe]]\nname = \"away\"\nsink = { sink = \"do-nothing-sink\" }\n";
/// Longest wait until everything has landed.
const LANDED_LIMIT: Duration = Duration::from_secs(120);
/// A second's tablets land while those of the next are taken in, so a round has to be some seconds long.
const TIMES_THE_FRAMES: u64 = 8;

/// Tablets a second while they land, and while they do not.
pub(crate) fn twins(sizes: &Sizes) -> io::Result<Vec<Row>> {
    let landing = Outer::start(|settings| {
        settings.set("landing.max_delay", "1s").set("landing.max_file_bytes", "4MiB")
    });
    // It frees its log as the other one does: new room on a disk is slower than what was used before.
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("receiver.toml");
    fs::write(&config, NOTHING_LANDS)?;
    let bare = Outer::start(|settings| settings.config(&config));
    let frames = sizes.frames * TIMES_THE_FRAMES;
    [(16, "sixteen connections", frames / 4), (1, "one connection", frames)]
        .into_iter()
        .map(|(connections, name, frames)| {
            let mut rounds = (0..ROUNDS)
                .map(|_| round(&landing, &bare, connections, frames))
                .collect::<io::Result<Vec<_>>>()?;
            rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
            let (with, without) = rounds.swap_remove(ROUNDS / 2);
            Ok(Row {
                name: format!("4 KiB tablets that land, {name}"),
                ours: format!("{with:.0} /s"),
                other: format!("{without:.0} /s, none lands"),
                ratio: with / without,
                wanted: Wanted::AtLeast(0.9),
            })
        })
        .collect()
}

/// Tablets a second of both.
fn round(landing: &Outer, bare: &Outer, connections: u64, frames: u64) -> io::Result<(f64, f64)> {
    let files = || landing.node.number("/landing/files").unwrap_or(0);
    let before = files();
    let with = tablets_per_second(landing.address, connections, frames)?;
    if files() == before {
        return Err(io::Error::other("nothing landed meanwhile: more --frames are needed"));
    }
    let pending = || landing.node.number("/landing/pending_entries");
    let has_landed = || pending().is_ok_and(|entries| entries == 0);
    wait::until("the last file", LANDED_LIMIT, has_landed).map_err(io::Error::other)?;
    Ok((with, tablets_per_second(bare.address, connections, frames)?))
}

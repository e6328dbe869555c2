//! What it costs the gate that tablets land as files meanwhile.
//!
//! ```text
//!  one round   tablets of one file, which are not counted | tablets that are, of several: files are made all the while
//!              the same for a receiver that lands nothing, once the first has nothing left to do
//! ```
//!
//! Files are of the size that they have by default, so what a tablet costs is what it costs a user. The round in the
//! middle counts, as a machine with other work is never the same for long.

use std::time::Duration;
use std::{fs, io};

use penstock_e2e::Outer;
use penstock_test_support::wait;

use crate::rows::{SMALL_FRAME_BYTES, Sizes, tablets_per_second};
use crate::table::{Row, Wanted};

const ROUNDS: usize = 3;
const NOTHING_LANDS: &str = "landing = { enabled = false }\n\n[[pipe]]\nname = \"away\"\nsink = { sink = \"do-nothing-sink\" }\n";
/// Longest wait until everything has landed.
const LANDED_LIMIT: Duration = Duration::from_secs(300);
/// A few more tablets than a file has by default.
const FILE_TABLETS: u64 = (72 << 20) / SMALL_FRAME_BYTES as u64;
/// What is left behind a round lands so soon, instead of a minute later. While tablets come, files are full before.
const DELAY: &str = "20s";

/// Tablets a second while they land, and while they do not.
pub(crate) fn twins(_: &Sizes) -> io::Result<Vec<Row>> {
    let landing = Outer::start(|settings| settings.set("landing.max_delay", DELAY));
    // It frees its log as the other one does: new room on a disk is slower than what was used before.
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("receiver.toml");
    fs::write(&config, NOTHING_LANDS)?;
    let bare = Outer::start(|settings| settings.config(&config));
    // Over sixteen connections, tablets come faster than files are made.
    [(16, "sixteen connections", 8 * FILE_TABLETS), (1, "one connection", 2 * FILE_TABLETS)]
        .into_iter()
        .map(|(connections, name, counted)| {
            let mut rounds = (0..ROUNDS as u64)
                .map(|number| round(&landing, &bare, connections, (number, counted)))
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

/// Tablets a second of both; those of a round come behind those of the round before.
fn round(
    landing: &Outer,
    bare: &Outer,
    connections: u64,
    (number, count): (u64, u64),
) -> io::Result<(f64, f64)> {
    let start = number * (FILE_TABLETS + count) / connections;
    let counted = start + FILE_TABLETS / connections;
    let end = counted + count / connections;
    let files = || landing.node.number("/landing/files").map_err(io::Error::other);
    tablets_per_second(landing.address, connections, start..counted)?;
    let before = files()?;
    let with = tablets_per_second(landing.address, connections, counted..end)?;
    if files()? == before {
        let status = landing.node.status().map_err(io::Error::other)?;
        let landing = status.pointer("/landing").cloned().unwrap_or_default();
        let what =
            format!("over {connections}, at {with:.0} /s, nothing landed meanwhile: {landing}");
        return Err(io::Error::other(what));
    }
    let pending = || landing.node.number("/landing/pending_entries");
    let has_landed = || pending().is_ok_and(|entries| entries == 0);
    wait::until("the last file", LANDED_LIMIT, has_landed).map_err(io::Error::other)?;
    tablets_per_second(bare.address, connections, start..counted)?;
    Ok((with, tablets_per_second(bare.address, connections, counted..end)?))
}

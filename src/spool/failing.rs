//! The latest fatal exits: three within ten minutes for the same error, and the next start does not touch the disk.
//!
//! `spool/failing` has a line for each: `wall clock ms, TAB, error code, TAB, text`.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::limits::{FAILING_EXITS, FAILING_WINDOW, NAME_BYTES_MAX};
use crate::spool::{Disk, DiskFile, Fatal, OpenMode, read_full_at, write_all_at};

const PATH: &str = "spool/failing";
const TEMPORARY: &str = "spool/failing.new";
/// Bytes of one line; a longer text is cut.
const LINE_BYTES_MAX: usize = NAME_BYTES_MAX / 8;
const BYTES_MAX: usize = FAILING_EXITS * LINE_BYTES_MAX;

/// Notes an exit.
pub(super) fn record<D: Disk>(disk: &D, fatal: &Fatal, wall_ms: i64) -> io::Result<()> {
    let old = read(disk)?;
    let kept: Vec<&str> = old.lines().collect();
    let kept = kept.get(kept.len().saturating_sub(FAILING_EXITS - 1)..).unwrap_or_default();
    let mut text = String::with_capacity(BYTES_MAX);
    for line in kept {
        text.push_str(line);
        text.push('\n');
    }
    let line = format!("{wall_ms}\t{}\t{fatal}", code(&fatal.source));
    text.extend(
        line.chars().filter(char::is_ascii).filter(|c| *c != '\n').take(LINE_BYTES_MAX - 1),
    );
    text.push('\n');
    let file = disk.open(Path::new(TEMPORARY), OpenMode::Create)?;
    write_all_at(&file, 0, &mut [IoSlice::new(text.as_bytes())])?;
    file.sync_data()?;
    disk.rename(Path::new(TEMPORARY), Path::new(PATH))?;
    disk.sync_dir(Path::new("spool"))
}

/// The text of the latest exit, if the node has to stay away from the disk.
pub(super) fn verdict<D: Disk>(disk: &D, wall_ms: i64) -> Option<String> {
    let text = read(disk).ok()?;
    let exits: Vec<(i64, &str, &str)> = text.lines().filter_map(parse).collect();
    let (oldest, code, _) = *exits.first()?;
    let (latest, _, text) = *exits.last()?;
    let same = exits.len() >= FAILING_EXITS && exits.iter().all(|exit| exit.1 == code);
    let window = i64::try_from(FAILING_WINDOW.as_millis()).unwrap_or(i64::MAX);
    let near = |a: i64, b: i64| a.saturating_sub(b).saturating_abs() <= window;
    (same && near(latest, oldest) && near(wall_ms, latest)).then(|| text.to_owned())
}

fn parse(line: &str) -> Option<(i64, &str, &str)> {
    let mut fields = line.splitn(3, '\t');
    Some((fields.next()?.parse().ok()?, fields.next()?, fields.next()?))
}

fn code(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or_default()
}

fn read<D: Disk>(disk: &D) -> io::Result<String> {
    let file = match disk.open(Path::new(PATH), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut text = vec![0; BYTES_MAX];
    let count = read_full_at(&file, 0, &mut text)?;
    text.truncate(count);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

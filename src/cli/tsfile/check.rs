//! `tsfile check`: every flaw on a line.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::{CliError, Ending};
use super::open::{Bytewise, flawed};
use super::progress::Output;
use crate::ops::human::{Count, Line};
use crate::tsfile::check::{self, Depth, Flaw};

/// Flaws of one file that are printed; the others are counted.
const SHOWN_MAX: u64 = 100;

pub(super) fn check(
    files: &[PathBuf],
    is_quick: bool,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let depth = if is_quick { Depth::Structure } else { Depth::Pages };
    let mut ending = Ending::Done;
    let mut unreadable = 0;
    for path in files {
        match check_one(path, depth, out) {
            Ok(Ending::Done) => {}
            Ok(found) => ending = found,
            // The other files are checked all the same.
            Err(error @ (CliError::NoFile { .. } | CliError::TsFile { .. })) if files.len() > 1 => {
                writeln!(out, "{}", Line(&error.to_string()))?;
                unreadable += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if unreadable > 0 {
        return Err(CliError::NotChecked { count: unreadable, of: files.len() });
    }
    Ok(ending)
}

fn check_one(path: &Path, depth: Depth, out: &mut impl Write) -> Result<Ending, CliError> {
    let file = Bytewise::open(path, Output::End)?;
    let mut shown = 0;
    let mut failed = None;
    let mut report = |flaw: &Flaw| {
        shown += 1;
        if shown <= SHOWN_MAX && failed.is_none() {
            let flaw = flaw.to_string();
            failed = writeln!(out, "{}: {}", path.display(), Line(&flaw)).err();
        }
    };
    let checked = check::check(&file, depth, &mut report);
    if let Some(error) = failed {
        return Err(error.into());
    }
    let checked = checked.map_err(|error| flawed(path, error))?;
    if checked.flaws > SHOWN_MAX {
        let more = checked.flaws - SHOWN_MAX;
        writeln!(out, "{}: {more} more flaws", path.display())?;
    }
    if checked.flaws > 0 {
        return Ok(Ending::Found);
    }
    let check::Checked { version, devices, series, points, .. } = checked;
    let (devices, points) = (Count(devices, "device"), Count(points, "point"));
    let path = path.display();
    writeln!(out, "{path}: sound, version {version}, {devices}, {series} series, {points}")?;
    Ok(Ending::Done)
}

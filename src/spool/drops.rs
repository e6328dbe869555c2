//! `spool/dropped`: a line for each range of entries that `drop-oldest` gave up.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::limits::MIB;
use crate::spool::{Disk, DiskFile, OpenMode, segment, write_all_at};

/// The list.
pub(super) const PATH: &str = "spool/dropped";
const BEFORE: &str = "spool/dropped.1";
/// The list is begun anew at this length; the one before is kept.
const BYTES_MAX: u64 = MIB as u64;

/// Appends a line to the list of what was dropped, durably.
pub(super) fn list<D: Disk>(disk: &D, line: &str) -> io::Result<()> {
    let path = Path::new(PATH);
    let mut at = match disk.file_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if at >= BYTES_MAX {
        disk.rename(path, Path::new(BEFORE))?;
        at = 0;
    }
    let mode = if at == 0 { OpenMode::Create } else { OpenMode::Write };
    let file = disk.open(path, mode)?;
    write_all_at(&file, at, &mut [IoSlice::new(line.as_bytes())])?;
    file.sync_data()?;
    disk.sync_dir(Path::new(segment::DIR))
}

//! `spool/dropped`: a line for each range of entries that `drop-oldest` gave up.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::limits::MIB;
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at, segment, write_all_at};

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
    // A crash may have cut the line before, or left zeros in its place.
    let mut last = [b'\n'];
    read_full_at(&file, at.saturating_sub(1), &mut last)?;
    let end: &[u8] = if last == [b'\n'] { b"" } else { b"\n" };
    write_all_at(&file, at, &mut [IoSlice::new(end), IoSlice::new(line.as_bytes())])?;
    file.sync_data()?;
    disk.sync_dir(Path::new(segment::DIR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::SimDisk;

    #[test]
    fn a_line_that_was_cut_does_not_join_the_next() {
        let disk = SimDisk::new(1, 1 << 20);
        list(&disk, "1-3 ...\n").unwrap();
        list(&disk, "4-6 ...\n").unwrap();
        disk.place(Path::new(PATH), b"1-3 ...\n4-6 .");
        list(&disk, "7-9 ...\n").unwrap();
        assert_eq!(disk.contents(Path::new(PATH)).unwrap(), b"1-3 ...\n4-6 .\n7-9 ...\n");
    }
}

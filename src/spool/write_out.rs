//! `sync_file_range`, which no safe library has: the kernel begins to write dirty pages, and nobody waits.
//!
//! ```text
//!  write ... write ... write ... sync_data            without: all of it is written within the sync
//!    '-> begin  '-> begin  '-> begin                  with:    most of it is written while more arrives
//! ```

#![expect(unsafe_code, reason = "one system call that takes only numbers")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Begins to write these bytes of a file. What goes wrong is told by the next `sync_data` of the same open file, for
/// which the kernel keeps errors of writing; a file system that cannot do this loses nothing but time.
pub(super) fn begin(file: &File, offset: u64, bytes: u64) {
    let _told_later = call(file, offset, bytes, libc::SYNC_FILE_RANGE_WRITE);
}

/// Returns when these bytes are written, those that nobody had begun to write included.
///
/// # Errors
/// An error of writing, which is told once: it is as final as that of a sync.
pub(super) fn wait(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    call(file, offset, bytes, all)
}

fn call(file: &File, offset: u64, bytes: u64, flags: libc::c_uint) -> io::Result<()> {
    let offset = offset.try_into().map_err(io::Error::other)?;
    let bytes = bytes.try_into().map_err(io::Error::other)?;
    // SAFETY: the call takes no pointers, and the descriptor is open as long as `file` is borrowed.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), offset, bytes, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn bytes_of_a_file_are_written_and_a_range_that_is_none_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 100_000]).unwrap();
        begin(&file, 0, 50_000);
        wait(&file, 0, 100_000).unwrap();
        assert!(wait(&file, u64::MAX, 1).is_err());
    }
}

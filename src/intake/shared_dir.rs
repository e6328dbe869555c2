//! Directories that the node shares with the plant's own scripts, through a group.
//!
//! | directory | mode | the group may |
//! |---|---|---|
//! | inbox | 2770 | put files there and take them away |
//! | landing | 2750 | read what lies there |
//!
//! The first digit lets everything made in them belong to the directory's group, and lets directories in
//! them inherit that.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Mode of an inbox.
pub const INBOX_MODE: u32 = 0o2770;
/// Mode of a landing directory.
pub const LANDING_MODE: u32 = 0o2750;

/// Makes a directory with this mode, whatever the umask. One that exists stays as it is: its mode is the
/// operator's choice.
///
/// # Errors
/// What the system says.
pub fn make(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(parent)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| set_permissions(path, Permissions::from_mode(mode))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_directory_gets_its_mode_and_an_old_one_keeps_it() {
        let root = tempfile::tempdir().expect("a directory");
        let inbox = root.path().join("state/inbox");
        make(&inbox, INBOX_MODE).expect("made");
        assert_eq!(mode(&inbox), 0o2770);
        make(&inbox, LANDING_MODE).expect("there");
        assert_eq!(mode(&inbox), 0o2770);
        let dated = inbox.join("2026-11-22");
        DirBuilder::new().mode(0o750).create(&dated).expect("made");
        assert_eq!(mode(&dated) & 0o2000, 0o2000, "the group is inherited");
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("file");
        std::fs::write(&path, b"").expect("written");
        assert!(make(&path.join("inbox"), INBOX_MODE).is_err());
    }
}

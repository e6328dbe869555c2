//! Directories that the node shares with the plant's own scripts, through a group.
//!
//! | directory | mode | the group may |
//! |---|---|---|
//! | inbox | 2770 | put files there and take them away |
//! | landing | 2750 | read what lies there |
//!
//! The first digit lets everything made in them belong to the directory's group, and lets directories in
//! them inherit that. Systemd's `RestrictSUIDSGID=` forbids a process that digit: then the directory is made
//! without it, and new files belong to the group of who makes them.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use rustix::io::Errno;

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
    make_with(path, mode, |mode| set_permissions(path, Permissions::from_mode(mode)))
}

fn make_with(path: &Path, mode: u32, set: impl Fn(u32) -> io::Result<()>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(parent)?;
    }
    // The system ignores the first digit here, but a filter of system calls may refuse it.
    let plain = mode & 0o777;
    match DirBuilder::new().mode(plain).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    match set(mode) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {
            let dir = path.display();
            log::warn!(
                "event=group_not_inherited dir=\"{dir}\" mode={plain:o} remedy=\"chmod {mode:o}\""
            );
            set(plain)
        }
        set => set,
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
    fn the_group_may_write_even_where_the_set_group_bit_is_forbidden() {
        let root = tempfile::tempdir().expect("a directory");
        let inbox = root.path().join("inbox");
        let set = |mode: u32| {
            if mode & 0o6000 == 0 {
                set_permissions(&inbox, Permissions::from_mode(mode))
            } else {
                Err(Errno::PERM.into())
            }
        };
        make_with(&inbox, INBOX_MODE, set).expect("made");
        assert_eq!(mode(&inbox), 0o770);
        let other = root.path().join("other");
        let made = make_with(&other, INBOX_MODE, |_| Err(Errno::IO.into()));
        assert_eq!(made.map_err(|error| error.raw_os_error()), Err(Some(Errno::IO.raw_os_error())));
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("file");
        std::fs::write(&path, b"").expect("written");
        assert!(make(&path.join("inbox"), INBOX_MODE).is_err());
    }
}

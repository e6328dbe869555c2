//! Whose data directory it is. The node runs as the directory's owner; what root made in there, with mode
//! 0640, that user could not open, and the node would not start any more.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::CliError;
use crate::config::Role;

/// The user that owns `dir`, if this is root and that is not.
pub(super) fn other_than_root(dir: &Path) -> Option<u32> {
    let owner = fs::metadata(dir).ok()?.uid();
    foreign(rustix::process::geteuid().as_raw(), owner)
}

/// For what writes into a data directory: the node itself, too.
///
/// # Errors
/// If root would leave files there that the node cannot open.
pub(super) fn refuse_root(role: Role, dir: &Path) -> Result<(), CliError> {
    match other_than_root(dir) {
        None => Ok(()),
        Some(owner) => {
            Err(CliError::NotTheOwner { dir: dir.to_owned(), owner, program: role.program() })
        }
    }
}

fn foreign(user: u32, owner: u32) -> Option<u32> {
    (user == 0 && owner != 0).then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_in_the_directory_of_another_is_out_of_place() {
        assert_eq!(foreign(0, 998), Some(998));
        assert_eq!(foreign(0, 0), None);
        // Others are stopped by the rights themselves.
        assert_eq!(foreign(998, 998), None);
        assert_eq!(foreign(1000, 998), None);
    }
}

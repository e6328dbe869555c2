//! What a node remembers beside its spool: where it lives, and the unit of its times.

use std::fs::DirBuilder;
use std::io::{self, IoSlice};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::data::{OriginId, Precision};
use crate::node::NodeError;
use crate::spool::{Disk, DiskFile, OpenMode, write_all_at};

const PRECISION: &str = "precision";
const PRECISION_NEW: &str = "precision.new";

/// Makes the data directory if it is missing.
///
/// # Errors
/// [`NodeError::DataDir`].
pub(super) fn make_data_dir(data_dir: &Path) -> Result<(), NodeError> {
    DirBuilder::new().recursive(true).mode(0o750).create(data_dir).map_err(|source| {
        NodeError::DataDir { operation: "make", path: data_dir.to_owned(), source }
    })
}

/// The node's cluster id where none is configured: its origin id in the form that IoTDB's have.
pub(super) fn cluster_id(origin: OriginId) -> String {
    let text = origin.text();
    let digits = text.as_str();
    let mut id = String::with_capacity(36);
    for (index, digit) in digits.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

/// The unit that the first accepted peer fixed; `None` if there was none yet, or the file makes no sense.
pub(super) fn precision<D: Disk>(disk: &D) -> Option<Precision> {
    let file = disk.open(Path::new(PRECISION), OpenMode::Read).ok()?;
    let mut text = [0; 8];
    let count = file.read_at(0, &mut text).ok()?;
    Precision::from_text(text.get(..count)?.trim_ascii_end())
}

/// Keeps the unit; durable on return.
///
/// # Errors
/// What the system says.
pub(super) fn keep_precision<D: Disk>(disk: &D, precision: Precision) -> io::Result<()> {
    let new = Path::new(PRECISION_NEW);
    let file = disk.open(new, OpenMode::Create)?;
    let text = format!("{}\n", precision.text());
    write_all_at(&file, 0, &mut [IoSlice::new(text.as_bytes())])?;
    file.sync_data()?;
    disk.rename(new, Path::new(PRECISION))?;
    disk.sync_dir(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::RealDisk;

    #[test]
    fn precision_is_kept_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        assert_eq!(precision(&disk), None);
        for kept in [Precision::Us, Precision::Ns, Precision::Ms] {
            keep_precision(&disk, kept).unwrap();
            assert_eq!(precision(&RealDisk::new(dir.path())), Some(kept));
        }
    }

    #[test]
    fn cluster_id_has_the_form_of_a_uuid() {
        let id = cluster_id(OriginId([0x1f; 16]));
        assert_eq!(id, "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f");
    }
}

//! What is being taken in by copy, so that it is taken in once.
//!
//! ```text
//!  <data_dir>/inbox.taking     one JSON object, while the original still lies in the inbox
//!
//!  copy, hash --> journal synced --> adopt, seal --> journal names the entry --> original removed or archived --> journal removed
//!                                       |                       |
//!           crash: was an entry with this name and hash made    '--> only the original is put away, whatever became
//!                  since `from`? Then the journal names it; else     of the entry meanwhile
//!                  the copy is removed and the file is taken anew.
//! ```

use std::io::{self, IoSlice};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::Sequence;
use crate::spool::{Disk, DiskFile, OpenMode, Stamp, read_full_at, write_all_at};

const PATH: &str = "inbox.taking";
/// The next journal while it is written.
const NEXT: &str = "inbox.taking.next";
/// Three names and stamps.
const BYTES_MAX: usize = 8 * 1024;

/// A file being taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Original {
    pub(super) name: String,
    pub(super) stamp: Stamp,
}

/// What is being taken by copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taking {
    /// The entry has at least this sequence.
    pub(super) from: u64,
    /// The originals, the `TsFile` last.
    pub(super) originals: Vec<Original>,
    /// Hash of the `TsFile`, in hex.
    pub(super) blake3: String,
    /// The entry, once it is durable: it may be released long before an archive takes the original.
    #[serde(default)]
    pub(super) sealed: Option<u64>,
}

impl Taking {
    /// The entry has at least this sequence.
    pub(super) const fn from(&self) -> Sequence {
        Sequence(self.from)
    }
}

/// Writes the journal; it is on disk on return. The one before counts until then.
pub(super) fn write<D: Disk>(disk: &D, taking: &Taking) -> io::Result<()> {
    let text = serde_json::to_vec(taking)?;
    let file = disk.open(Path::new(NEXT), OpenMode::Create)?;
    write_all_at(&file, 0, &mut [IoSlice::new(&text)])?;
    file.sync_data()?;
    disk.rename(Path::new(NEXT), Path::new(PATH))?;
    disk.sync_dir(Path::new("."))
}

/// Reads the journal; one that makes no sense is none.
pub(super) fn read<D: Disk>(disk: &D) -> io::Result<Option<Taking>> {
    let file = match disk.open(Path::new(PATH), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = vec![0; BYTES_MAX];
    let count = read_full_at(&file, 0, &mut text)?;
    Ok(text.get(..count).and_then(|text| serde_json::from_slice(text).ok()))
}

/// Removes the journal.
pub(super) fn remove<D: Disk>(disk: &D) -> io::Result<()> {
    match disk.remove(Path::new(PATH)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => {
            removed?;
            disk.sync_dir(Path::new("."))
        }
    }
}

#[cfg(test)]
#[cfg(feature = "simulation")]
mod tests {
    use super::*;
    use crate::spool::{Fault, SimDisk};

    fn taking(sealed: Option<u64>) -> Taking {
        Taking { from: 7, originals: Vec::new(), blake3: "00".repeat(32), sealed }
    }

    #[test]
    fn the_journal_before_counts_until_the_next_one_is_on_disk() {
        let mut failed = 0;
        for (call, power) in (0..40).flat_map(|call| [(call, false), (call, true)]) {
            let disk = SimDisk::new(call, 1 << 20);
            write(&disk, &taking(None)).unwrap();
            disk.schedule(call, Fault::Io, true);
            failed += u64::from(write(&disk, &taking(Some(8))).is_err());
            disk.heal();
            let end = if power { SimDisk::crash } else { SimDisk::kill };
            end(&disk);
            let found = read(&disk).unwrap();
            let known = [taking(None), taking(Some(8))].map(Some);
            assert!(known.contains(&found), "call {call}: {found:?}");
        }
        assert!((2..80).contains(&failed), "{failed}");
    }
}

//! What a node remembers beside its spool: where it lives, the unit of its times, and what a person has seen.

use std::fs::DirBuilder;
use std::io::{self, IoSlice};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::data::{OriginId, Precision};
use crate::limits::{STATUS_TEXT_BYTES_MAX, TROUBLES_MAX};
use crate::node::NodeError;
use crate::ops::board::{Seen, TroubleKind};
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at, write_all_at};

const PRECISION: &str = "precision";
const SEEN: &str = "acknowledged";
/// Longer than what [`TROUBLES_MAX`] troubles with the longest subjects take.
const SEEN_BYTES_MAX: usize = TROUBLES_MAX * (STATUS_TEXT_BYTES_MAX * 6 + 64);

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
    keep(disk, PRECISION, &format!("{}\n", precision.text()))
}

/// What a person had seen before the start: one line each, `kind, TAB, count, TAB, subject`, the subject as a
/// JSON text. Lines that make no sense count for nothing: that trouble is told again.
pub(super) fn seen<D: Disk>(disk: &D) -> Vec<Seen> {
    let parse = |line: &str| {
        let mut fields = line.splitn(3, '\t');
        let kind = TroubleKind::from_name(fields.next()?)?;
        let count = fields.next()?.parse().ok()?;
        let subject = serde_json::from_str(fields.next()?).ok()?;
        Some(Seen { kind, subject, count })
    };
    let Ok(file) = disk.open(Path::new(SEEN), OpenMode::Read) else { return Vec::new() };
    let mut text = vec![0; SEEN_BYTES_MAX];
    let count = read_full_at(&file, 0, &mut text).unwrap_or(0);
    text.truncate(count);
    String::from_utf8_lossy(&text).lines().filter_map(parse).take(TROUBLES_MAX).collect()
}

/// Keeps what a person has seen; durable on return.
///
/// # Errors
/// What the system says.
pub(super) fn keep_seen<D: Disk>(disk: &D, seen: &[Seen]) -> io::Result<()> {
    let lines = seen.iter().map(|Seen { kind, subject, count }| {
        let subject = serde_json::Value::from(subject.as_str());
        format!("{}\t{count}\t{subject}\n", kind.name())
    });
    keep(disk, SEEN, &lines.collect::<String>())
}

/// Replaces a small file; durable on return.
fn keep<D: Disk>(disk: &D, name: &str, text: &str) -> io::Result<()> {
    let new = format!("{name}.new");
    let new = Path::new(&new);
    let file = disk.open(new, OpenMode::Create)?;
    write_all_at(&file, 0, &mut [IoSlice::new(text.as_bytes())])?;
    file.sync_data()?;
    disk.rename(new, Path::new(name))?;
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
    fn what_was_seen_is_kept_over_a_restart_and_a_damaged_line_is_told_again() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        assert_eq!(seen(&disk), []);
        let one = |subject: &str, count| {
            let subject = subject.to_owned();
            Seen { kind: TroubleKind::DeadLetters, subject, count }
        };
        let all = [one("p", 3), one("a\tb\n\u{6e20}", 1)];
        keep_seen(&disk, &all).unwrap();
        assert_eq!(seen(&RealDisk::new(dir.path())), all);
        let path = dir.path().join(SEEN);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\t3\t", "\tx\t") + "loop\nno-such\t1\t\"\"\n").unwrap();
        assert_eq!(seen(&disk), all[1..]);
        keep_seen(&disk, &[]).unwrap();
        assert_eq!(seen(&disk), []);
    }

    #[test]
    fn cluster_id_has_the_form_of_a_uuid() {
        let id = cluster_id(OriginId([0x1f; 16]));
        assert_eq!(id, "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f");
    }
}

//! What a pipe was told to send once more: `REPLAY PIPE p FROM n TO m`, kept until it is done.
//!
//! ```text
//!  pipes/
//!    to%5fzone.replay        penstock-replay 1 5e1c0f3a      version; CRC32 of the next line, in hexadecimal
//!                            from 17 to 19                   what is left of it
//!    to%5fzone.replay-new    the same while it is written: never read
//! ```
//!
//! Its own file, since it changes with each entry that crosses, and whoever sends is not who keeps the records.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::RecordError;
use super::store::DIR;
use crate::data::Sequence;
use crate::spool::{Disk, DiskFile, OpenMode, escape, read_full_at, write_all_at};

/// The entries that a pipe sends once more; both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// The next one.
    pub next: Sequence,
    /// The last one.
    pub last: Sequence,
}

/// Where the replay of one pipe is kept.
#[derive(Debug, Clone)]
pub struct ReplayFile<D: Disk> {
    disk: D,
    path: PathBuf,
    new: PathBuf,
}

/// Why the replay of a pipe is not known.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The file is not what was written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Replay {
    fn encode(self) -> String {
        let line = format!("from {} to {}\n", self.next, self.last);
        format!("{MAGIC}{:08x}\n{line}", crc32fast::hash(line.as_bytes()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Checksum)?;
        let (sum, line) = text
            .strip_prefix(MAGIC)
            .and_then(|after| after.split_once('\n'))
            .ok_or(RecordError::Version)?;
        if sum != format!("{:08x}", crc32fast::hash(line.as_bytes())) {
            return Err(RecordError::Checksum);
        }
        let range = line.strip_prefix("from ").and_then(|rest| rest.trim_end().split_once(" to "));
        let (next, last) = range.ok_or(RecordError::Line("from"))?;
        let number = |digits: &str| digits.parse().map_err(|_| RecordError::Line("from"));
        Ok(Self { next: Sequence(number(next)?), last: Sequence(number(last)?) })
    }
}

/// `17 to 19`.
impl fmt::Display for Replay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to {}", self.next, self.last)
    }
}

impl<D: Disk> ReplayFile<D> {
    /// That of a pipe with this name.
    pub fn new(disk: D, pipe: &str) -> Self {
        let stem = Path::new(DIR).join(escape(pipe));
        Self { disk, path: stem.with_extension("replay"), new: stem.with_extension("replay-new") }
    }

    /// What is left of it; none if nothing is to be sent once more.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn read(&self) -> Result<Option<Replay>, ReplayError> {
        let file = match self.disk.open(&self.path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = [0; RECORD_BYTES_MAX];
        let count = read_full_at(&file, 0, &mut bytes)?;
        Ok(Some(Replay::decode(bytes.get(..count).unwrap_or_default())?))
    }

    /// Keeps what is left of it; durable on return.
    ///
    /// # Errors
    /// What the disk says. Either state may be there then, and each is whole.
    pub fn keep(&self, replay: Replay) -> io::Result<()> {
        let file = self.disk.open(&self.new, OpenMode::Create)?;
        write_all_at(&file, 0, &mut [IoSlice::new(replay.encode().as_bytes())])?;
        file.sync_data()?;
        self.disk.rename(&self.new, &self.path)?;
        self.disk.sync_dir(Path::new(DIR))
    }

    /// Nothing is left of it; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&self) -> io::Result<()> {
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.disk.sync_dir(Path::new(DIR)),
        }
    }
}

const MAGIC: &str = "penstock-replay 1 ";
/// Two numbers of 20 digits, and the words around them.
const RECORD_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Fault, SimDisk};

    const FIRST: Replay = Replay { next: Sequence(17), last: Sequence(u64::MAX) };
    const SECOND: Replay = Replay { next: Sequence(18), last: Sequence(u64::MAX) };

    #[test]
    fn what_was_kept_is_there_after_a_crash_and_the_end_of_it_too() {
        let disk = SimDisk::new(1, 1 << 20);
        disk.create_dir(Path::new(DIR)).unwrap();
        let file = ReplayFile::new(disk.clone(), "a/b");
        assert_eq!(file.read().unwrap(), None);
        file.keep(FIRST).unwrap();
        disk.crash();
        assert_eq!(file.read().unwrap(), Some(FIRST));
        file.forget().unwrap();
        disk.crash();
        assert_eq!(file.read().unwrap(), None);
        file.forget().unwrap();
    }

    #[test]
    fn a_failure_of_any_call_and_a_crash_leave_the_one_or_the_other() {
        for call in 0.. {
            let disk = SimDisk::new(call, 1 << 20);
            disk.create_dir(Path::new(DIR)).unwrap();
            let file = ReplayFile::new(disk.clone(), "p");
            file.keep(FIRST).unwrap();
            disk.schedule(call, Fault::Io, false);
            let kept = file.keep(SECOND);
            disk.heal();
            disk.crash();
            let found = file.read().unwrap();
            assert!(found == Some(SECOND) || (kept.is_err() && found == Some(FIRST)), "{call}");
            if kept.is_ok() {
                break;
            }
        }
    }

    #[test]
    fn each_flipped_bit_is_seen() {
        let bytes = FIRST.encode().into_bytes();
        assert_eq!(Replay::decode(&bytes), Ok(FIRST));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Hexadecimal digits may change their case and mean the same.
            assert_ne!(Replay::decode(&flipped), Ok(SECOND), "bit {bit}");
            assert!(Replay::decode(&flipped).is_err(), "bit {bit}");
        }
    }
}

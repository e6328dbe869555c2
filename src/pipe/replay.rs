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
use std::io;

use super::RecordError;
use super::slip::{Slip, SlipError};
use crate::data::Sequence;
use crate::spool::Disk;

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
    slip: Slip<D>,
}

impl Replay {
    fn line(self) -> String {
        format!("from {} to {}\n", self.next, self.last)
    }

    fn parse(line: &str) -> Result<Self, RecordError> {
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
        Self { slip: Slip::new(disk, pipe, "replay", MAGIC) }
    }

    /// What is left of it; none if nothing is to be sent once more.
    ///
    /// # Errors
    /// [`SlipError`].
    pub fn read(&self) -> Result<Option<Replay>, SlipError> {
        let line = self.slip.read()?;
        Ok(line.map(|line| Replay::parse(&line)).transpose()?)
    }

    /// Keeps what is left of it; durable on return.
    ///
    /// # Errors
    /// What the disk says. Either state may be there then, and each is whole.
    pub fn keep(&self, replay: Replay) -> io::Result<()> {
        self.slip.keep(&replay.line())
    }

    /// Nothing is left of it; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&self) -> io::Result<()> {
        self.slip.forget()
    }
}

const MAGIC: &str = "penstock-replay 1 ";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::sealed::{seal, unseal};
    use super::super::store::DIR;
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
        let decode = |bytes: &[u8]| unseal(MAGIC, bytes).and_then(Replay::parse);
        let bytes = seal(MAGIC, &FIRST.line()).into_bytes();
        assert_eq!(decode(&bytes), Ok(FIRST));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Hexadecimal digits may change their case and mean the same.
            assert_ne!(decode(&flipped), Ok(SECOND), "bit {bit}");
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
    }
}

//! In which unit a pipe sends, and how far it has surely come: kept, so that a crash between the two units repeats what
//! was in flight in the same unit.
//!
//! ```text
//!  pipes/
//!    to%5fzone.unit        penstock-unit 1 5e1c0f3a                   version; CRC32 of the next line, in hexadecimal
//!                          00112233445566778899aabbccddeeff 17 files 41    origin of the spool; everything below 17 was delivered;
//!                                                                     17 to 41 go as files
//!                          .. 17 tablets 4113                         17 to 4112 may have gone as tablets
//!    to%5fzone.unit-new    the same while it is written: never read
//! ```
//!
//! The cursor alone does not tell: it may be some entries behind after a crash, and a far side knows what it has by tablet
//! or by file.

use std::io;

use super::RecordError;
use super::slip::{Slip, SlipError};
use crate::data::{OriginId, Sequence};
use crate::spool::Disk;

/// What a pipe does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitRecord {
    /// Everything below was delivered.
    pub delivered: Sequence,
    /// What comes next.
    pub unit: SentUnit,
}

/// What goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentUnit {
    /// Entries up to this one, files made of all of them.
    Files(Sequence),
    /// Entries below this one as they are.
    Tablets(Sequence),
}

/// Where the record of one pipe lies.
#[derive(Debug, Clone)]
pub struct UnitFile<D: Disk> {
    slip: Slip<D>,
    origin: OriginId,
}

impl<D: Disk> UnitFile<D> {
    /// That of a pipe with this name over the spool of this origin.
    pub fn new(disk: D, pipe: &str, origin: OriginId) -> Self {
        Self { slip: Slip::new(disk, pipe, "unit", MAGIC), origin }
    }

    /// What was kept; none of another spool.
    ///
    /// # Errors
    /// [`SlipError`].
    pub fn read(&self) -> Result<Option<UnitRecord>, SlipError> {
        let Some(line) = self.slip.read()? else { return Ok(None) };
        let mut words = line.split_ascii_whitespace();
        let mut next = || words.next().ok_or(RecordError::Line("unit"));
        let (origin, delivered, unit, end) = (next()?, next()?, next()?, next()?);
        let number =
            |digits: &str| digits.parse().map(Sequence).map_err(|_| RecordError::Line("unit"));
        let unit = match unit {
            "files" => SentUnit::Files(number(end)?),
            "tablets" => SentUnit::Tablets(number(end)?),
            _ => return Err(RecordError::Line("unit").into()),
        };
        let is_ours = OriginId::parse(origin.as_bytes()) == Some(self.origin);
        Ok(is_ours.then_some(UnitRecord { delivered: number(delivered)?, unit }))
    }

    /// Keeps it; durable on return.
    ///
    /// # Errors
    /// What the disk says. Either record may be there then, and each is whole.
    pub fn keep(&self, record: UnitRecord) -> io::Result<()> {
        let (word, end) = match record.unit {
            SentUnit::Files(last) => ("files", last),
            SentUnit::Tablets(end) => ("tablets", end),
        };
        self.slip.keep(&format!("{} {} {word} {end}\n", self.origin, record.delivered))
    }

    /// Nothing is known any more; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&self) -> io::Result<()> {
        self.slip.forget()
    }
}

const MAGIC: &str = "penstock-unit 1 ";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::store::DIR;
    use super::*;
    use crate::spool::SimDisk;

    #[test]
    fn a_record_is_that_of_its_spool_and_outlives_a_crash() {
        let disk = SimDisk::new(1, 1 << 20);
        disk.create_dir(Path::new(DIR)).unwrap();
        let (ours, theirs) = (OriginId([7; 16]), OriginId([8; 16]));
        let file = UnitFile::new(disk.clone(), "p", ours);
        assert_eq!(file.read().unwrap(), None);
        for unit in [SentUnit::Files(Sequence(41)), SentUnit::Tablets(Sequence(u64::MAX))] {
            let record = UnitRecord { delivered: Sequence(17), unit };
            file.keep(record).unwrap();
            disk.crash();
            assert_eq!(file.read().unwrap(), Some(record));
        }
        assert_eq!(UnitFile::new(disk.clone(), "p", theirs).read().unwrap(), None);
        file.forget().unwrap();
        disk.crash();
        assert_eq!(file.read().unwrap(), None);
    }
}

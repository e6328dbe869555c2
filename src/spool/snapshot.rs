//! What de-duplication knows, written at each new segment so that a start reads the last segment only.
//!
//! ```text
//!  offset  bytes                       two files, written in turn: spool/snapshot-0, spool/snapshot-1
//!       0      4  magic "PSSN"
//!       4      2  version, 2
//!       6      2  reserved, 0
//!       8      8  generation; its lowest bit is the file's number
//!      16      8  through: entries below this sequence are in it, and were durable
//!      24      .  tables (dedup.rs)
//!       .      4  CRC of everything before
//! ```

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::limits::MIB;
use crate::spool::dedup::Dedup;
use crate::spool::entry::{check_record, seal_record};
use crate::spool::fields::Take;
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at, write_all_at};

const MAGIC: &[u8; 4] = b"PSSN";
const VERSION: u16 = 2;
/// More than full tables need.
const BYTES_MAX: usize = MIB;

/// The newest snapshot, and the buffer for the next.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    generation: u64,
    /// Entries below are in the newest one.
    through: u64,
    buffer: Vec<u8>,
    /// The next start would have to read more than the last segment.
    pub(super) stale: bool,
}

impl Snapshots {
    /// Reads the newest whole snapshot, if there is one: the tables, and the sequence that they go through.
    pub(super) fn open<D: Disk>(
        disk: &D,
        mode: OpenMode,
    ) -> io::Result<(Self, Option<(Dedup, u64)>)> {
        let mut snapshots = Self::default();
        let mut newest = None;
        for number in 0..2 {
            if let Some((generation, tables, through)) = read(disk, number, mode)?
                && generation > snapshots.generation
            {
                (snapshots.generation, snapshots.through) = (generation, through);
                newest = Some((tables, through));
            }
        }
        Ok((snapshots, newest))
    }

    /// Writes the next snapshot, durable on return.
    pub(super) fn store<D: Disk>(
        &mut self,
        disk: &D,
        dedup: &Dedup,
        through: u64,
    ) -> io::Result<()> {
        let generation = self.generation + 1;
        self.buffer.clear();
        self.buffer.extend(MAGIC);
        self.buffer.extend(VERSION.to_le_bytes());
        self.buffer.extend([0; 2]);
        self.buffer.extend(generation.to_le_bytes());
        self.buffer.extend(through.to_le_bytes());
        dedup.encode(&mut self.buffer);
        self.buffer.extend([0; 4]);
        seal_record(&mut self.buffer);
        let file = disk.open(&path(generation % 2), OpenMode::Create)?;
        write_all_at(&file, 0, &mut [IoSlice::new(&self.buffer)])?;
        file.sync_data()?;
        if generation <= 2 {
            disk.sync_dir(Path::new("spool"))?;
        }
        (self.generation, self.through) = (generation, through);
        Ok(())
    }

    /// Entries below this sequence are in the newest one.
    pub(super) const fn through(&self) -> u64 {
        self.through
    }
}

fn path(number: u64) -> PathBuf {
    PathBuf::from(format!("spool/snapshot-{number}"))
}

fn read<D: Disk>(disk: &D, number: u64, mode: OpenMode) -> io::Result<Option<(u64, Dedup, u64)>> {
    let file = match disk.open(&path(number), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if mode == OpenMode::Write {
        // As with slots: the next one takes the place of the older one.
        file.recover()?;
    }
    let bytes = usize::try_from(file.bytes()?).unwrap_or(usize::MAX);
    if bytes > BYTES_MAX {
        return Ok(None);
    }
    let mut record = vec![0; bytes];
    let count = read_full_at(&file, 0, &mut record)?;
    Ok(record.get(..count).and_then(decode))
}

fn decode(record: &[u8]) -> Option<(u64, Dedup, u64)> {
    let mut take = Take::new(check_record(record)?);
    if take.bytes(4)? != MAGIC || take.u16()? != VERSION {
        return None;
    }
    let (_reserved, generation, through) = (take.u16()?, take.u64()?, take.u64()?);
    Some((generation, Dedup::decode(take.rest())?, through))
}

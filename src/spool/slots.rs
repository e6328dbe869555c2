//! A small record that is replaced durably and atomically: two slots, written in turn.
//!
//! ```text
//!  offset  bytes                      slot
//!       0   4096  slot 0                   0     4  magic "PSSL"
//!    4096   4096  slot 1                   4     2  version, 1
//!                                          6     2  bytes of the body
//!  The whole slot with the higher          8     8  generation; its lowest bit is the slot's number
//!  generation is the record. A crash      16     .  body, then zeros
//!  while it is replaced leaves the      4092     4  CRC of bytes 0..4092
//!  other one.
//! ```

use std::io::{self, IoSlice};
use std::path::Path;

use crate::spool::entry::{check_record, seal_record};
use crate::spool::fields::{Put, Take};
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at, write_all_at};

/// Bytes of the longest record.
pub(super) const BODY_BYTES_MAX: usize = SLOT_BYTES - 20;

const SLOT_BYTES: usize = 4096;
const MAGIC: &[u8; 4] = b"PSSL";
const VERSION: u16 = 1;

/// An open two-slot file.
#[derive(Debug)]
pub(super) struct Slots<F> {
    file: F,
    generation: u64,
}

impl<F: DiskFile> Slots<F> {
    /// Makes the file with its first record; it appears whole or not at all. `temporary` lies in the same directory.
    pub(super) fn create<D: Disk<File = F>>(
        disk: &D,
        path: &Path,
        temporary: &Path,
        body: &[u8],
    ) -> io::Result<Self> {
        let mut slots = Self { file: disk.open(temporary, OpenMode::Create)?, generation: 0 };
        write_all_at(&slots.file, 0, &mut [IoSlice::new(&[0; 2 * SLOT_BYTES])])?;
        slots.store(body)?;
        disk.rename(temporary, path)?;
        disk.sync_dir(path.parent().unwrap_or(path))?;
        Ok(slots)
    }

    /// Opens the file; its newest whole record comes first in `body`, which stays empty if there is none.
    pub(super) fn open<D: Disk<File = F>>(
        disk: &D,
        path: &Path,
        mode: OpenMode,
        body: &mut Vec<u8>,
    ) -> io::Result<Self> {
        let file = disk.open(path, mode)?;
        if mode == OpenMode::Write {
            // The next record takes the place of the one before the newest, which has to be durable by then.
            file.recover()?;
        }
        let mut slots = Self { file, generation: 0 };
        body.clear();
        let mut record = [0; SLOT_BYTES];
        for offset in [0, SLOT_BYTES as u64] {
            let count = read_full_at(&slots.file, offset, &mut record)?;
            if let Some((generation, found)) = record.get(..count).and_then(decode)
                && generation > slots.generation
            {
                slots.generation = generation;
                body.clear();
                body.extend_from_slice(found);
            }
        }
        Ok(slots)
    }

    /// Replaces the record, durably.
    pub(super) fn store(&mut self, body: &[u8]) -> io::Result<()> {
        let generation = self.generation + 1;
        let record = encode(generation, body);
        let offset = (generation % 2) * SLOT_BYTES as u64;
        write_all_at(&self.file, offset, &mut [IoSlice::new(&record)])?;
        self.file.sync_data()?;
        self.generation = generation;
        Ok(())
    }
}

fn encode(generation: u64, body: &[u8]) -> [u8; SLOT_BYTES] {
    let mut record = [0; SLOT_BYTES];
    let bytes = u16::try_from(body.len()).unwrap_or(u16::MAX);
    assert!(body.len() <= BODY_BYTES_MAX, "a record of {bytes} bytes is a bug");
    Put::new(&mut record).bytes(MAGIC).u16(VERSION).u16(bytes).u64(generation).bytes(body);
    seal_record(&mut record);
    record
}

fn decode(record: &[u8]) -> Option<(u64, &[u8])> {
    let mut take = Take::new(check_record(record)?);
    if record.len() != SLOT_BYTES || take.bytes(4)? != MAGIC || take.u16()? != VERSION {
        return None;
    }
    let bytes = take.u16()?;
    Some((take.u64()?, take.bytes(usize::from(bytes))?))
}

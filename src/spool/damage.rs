//! What has rotted: entries that cannot be read, and files that are not what was taken in.
//!
//! ```text
//!  flaw in a segment --> quarantine/segment-<sequence>-<offset>-<node>, with the files of its entries
//!  rotten file       --> quarantine/<n>-<name in the store>, with the other files of its entry
//! ```

use std::io;
use std::path::Path;

use crate::data::Sequence;
use crate::limits::ENTRY_BYTES_MAX;
use crate::spool::files::{FILES, each_name, parse_file_name};
use crate::spool::quarantine::copy_of;
use crate::spool::recovery::discount_file;
use crate::spool::segment::{self, Flaw};
use crate::spool::{
    Disk, Fatal, Full, Kind, OpenMode, PartialError, Recovery, Spool, read_full_at,
};

/// Bytes of a flaw that go to quarantine: one entry, and what was around it.
const FLAW_BYTES_MAX: u64 = ENTRY_BYTES_MAX as u64 + 4096;
/// The reason goes on with this where the disk failed.
const UNREAD: &str = "the disk did not give all of it back: zeros stand for the rest\n";

impl<D: Disk> Spool<D> {
    /// Puts a flawed place into quarantine and counts it, unless it was counted before.
    pub(super) fn keep_flaw(
        &mut self,
        flaw: &Flaw,
        recovery: Option<&mut Recovery>,
    ) -> Result<(), Fatal> {
        let fresh = if recovery.as_ref().is_some_and(|recovery| recovery.failing.is_some()) {
            true
        } else {
            self.quarantine_flaw(flaw)?
        };
        if fresh {
            self.quarantine_files(flaw)?;
            self.state.corrupt_entries += flaw.entries;
            self.state.resynchronised += u64::from(flaw.searched);
            if let Some(recovery) = recovery {
                recovery.corrupt_entries += flaw.entries;
            }
        }
        Ok(())
    }

    fn quarantine_flaw(&mut self, flaw: &Flaw) -> Result<bool, Fatal> {
        let path = segment::path(flaw.segment);
        let file = match self.disk.open(&path, OpenMode::Read) {
            Ok(file) => Some(file),
            // Released since it was met.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) if !flaw.lost => return Err(self.fail(Fatal::at("open", &path)(error))),
            Err(_) => None,
        };
        let bytes = flaw.bytes.min(FLAW_BYTES_MAX);
        let why = format!(
            "what: entries of the spool that cannot be read\nsegment: {}\noffset: {}\nbytes: {}\n\
             first sequence: {}\nentries: {}\n{}",
            path.display(),
            flaw.offset,
            flaw.bytes,
            flaw.first,
            flaw.entries,
            if flaw.lost { UNREAD } else { "" }
        );
        let mut fill = |done: u64, into: &mut [u8]| {
            let left = usize::try_from(bytes.saturating_sub(done)).unwrap_or(usize::MAX);
            let Some(file) = &file else { return Ok(0) };
            let count = into.len().min(left);
            let into = into.get_mut(..count).unwrap_or_default();
            match read_full_at(file, flaw.offset + done, into) {
                Err(_) if flaw.lost => {
                    into.fill(0);
                    Ok(count)
                }
                read => read,
            }
        };
        let place = (self.origin(), flaw.segment, flaw.offset);
        match self.quarantine.put_place(&self.disk, place, bytes, &why, &mut fill) {
            Ok(fresh) => Ok(fresh),
            Err(PartialError::Fatal(fatal)) => Err(self.fail(fatal)),
            // It stays where it is, and counts.
            Err(_) => Ok(true),
        }
    }

    /// The files of entries that cannot be read: nobody else knows of them any more. On a full disk they stay in the
    /// store, until their segment is released.
    fn quarantine_files(&mut self, flaw: &Flaw) -> Result<(), Fatal> {
        if self.failing {
            return Ok(());
        }
        let what = "a file whose entry cannot be read";
        self.quarantine_stored(|sequence| flaw.covers(sequence), what).map(|_left| ())
    }

    /// Moves the files of an entry, one of which is not what was taken in, to quarantine. Readers find them gone
    /// ([`ReadError::File`](super::ReadError::File)); whoever has one open reads on. The entry itself stays; of one without
    /// files the payload is copied, if it can be read. The limit of the quarantine does not count for files: it is for
    /// what comes from outside. Durable on return.
    ///
    /// # Errors
    /// [`PartialError::Full`] if there is no room for the reason, or the payload: what is left stays where it is.
    pub fn quarantine_entry(&mut self, sequence: Sequence, why: &str) -> Result<(), PartialError> {
        self.check_writable()?;
        let what = format!("a file that is not what was taken in, or one that came with it: {why}");
        let left = self.quarantine_stored(|other| other == sequence.0, &what)?;
        self.quarantine_payload(sequence, why)?;
        self.room.changed();
        left.map_or(Ok(()), |full| Err(full.into()))
    }

    /// Copies the payload of an entry that has no files to quarantine, if it is there and can be read.
    fn quarantine_payload(&mut self, sequence: Sequence, why: &str) -> Result<(), PartialError> {
        let mut reader = self.reader(sequence);
        let Ok(Some(entry)) = reader.next_entry() else { return Ok(()) };
        let header = entry.header;
        let mut payload = vec![0; header.payload_bytes as usize];
        let is_meant = header.sequence == sequence && header.kind != Kind::File;
        if !is_meant || reader.read_payload(&entry, 0, &mut payload).is_err() {
            return Ok(());
        }
        let what = format!("what: the payload of entry {sequence}: {why}\n");
        let parts = [payload.as_slice()];
        let bytes = u64::from(header.payload_bytes);
        let put = self.quarantine.put(&self.disk, bytes, &what, &mut copy_of(&parts));
        if let Err(PartialError::Fatal(fatal)) = put {
            return Err(self.fail(fatal).into());
        }
        put
    }

    /// Moves the stored files of some entries to quarantine. Returns why one of them was left.
    fn quarantine_stored(
        &mut self,
        is_meant: impl Fn(u64) -> bool,
        what: &str,
    ) -> Result<Option<Full>, Fatal> {
        let (dir, disk, quarantine) = (Path::new(FILES), &self.disk, &mut self.quarantine);
        let (shared, mut left) = (&self.shared, None);
        let done = each_name(disk, dir, &mut |name| {
            let meant = parse_file_name(name).filter(|(sequence, _)| is_meant(*sequence));
            let Some((sequence, _)) = meant else { return Ok(()) };
            let path = dir.join(name);
            let bytes = disk.file_bytes(&path).unwrap_or_default();
            let why = format!("what: {what}\nfile: {name}\n");
            match quarantine.take_stored(disk, (&path, name), bytes, &why) {
                Ok(()) => discount_file(&mut shared.index(), sequence, bytes),
                Err(PartialError::Fatal(fatal)) => return Err(fatal),
                Err(PartialError::Full(full)) => left = Some(full),
                // The quarantine says nothing else.
                Err(_) => {}
            }
            Ok(())
        });
        done.map_err(|fatal| self.fail(fatal)).map(|()| left)
    }
}

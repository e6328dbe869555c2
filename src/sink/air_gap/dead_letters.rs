//! Entries that were taken out of a pipe, kept for a person.
//!
//! ```text
//!  dead-letter/<pipe>/
//!    00000000000000000042.payload      an air-gap payload: tablet, opaque request
//!    00000000000000000042-1-x.tsfile   a file of an entry, counted as in its seal
//!    00000000000000000042.why          one fact a line; written last, so what it stands for is whole
//! ```

use std::io::{self, IoSlice};
use std::path::PathBuf;

use tokio::task::yield_now;

use crate::limits::{FILE_NAME_BYTES_MAX, KIB};
use crate::spool::{Disk, DiskFile, EntryHeader, OpenMode, write_all_at};

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 256 * KIB;
/// Chunks after which what was written is flushed, so that no sync is long.
const FLUSH_CHUNKS: usize = 32;

/// Ends the name of what is written last for an entry.
const WHY: &str = ".why";

/// The dead letters of one pipe.
#[derive(Debug)]
pub(super) struct DeadLetters<D: Disk> {
    disk: D,
    dir: PathBuf,
}

/// Reads bytes at an offset into a buffer, and says how many; 0 at the end.
pub(super) trait Fill: FnMut(u64, &mut [u8]) -> io::Result<usize> + Send {}

impl<T: FnMut(u64, &mut [u8]) -> io::Result<usize> + Send> Fill for T {}

/// Entries that lie in the dead letters of a pipe; none if there is no such directory.
///
/// # Errors
/// What the disk says.
pub fn count<D: Disk>(disk: &D, pipe: &str) -> io::Result<u64> {
    let mut entries = 0;
    let listed = disk.list(&dir(pipe), &mut |name| entries += u64::from(name.ends_with(WHY)));
    match listed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(entries),
    }
}

fn dir(pipe: &str) -> PathBuf {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let name: String = pipe.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    PathBuf::from("dead-letter").join(name)
}

impl<D: Disk> DeadLetters<D> {
    /// Those of a pipe with this name. Nothing is made before there is one.
    pub(super) fn new(disk: D, pipe: &str) -> Self {
        Self { disk, dir: dir(pipe) }
    }

    /// Keeps the payload of an entry. Durable after [`DeadLetters::keep_reason`].
    pub(super) async fn keep_payload(
        &self,
        header: &EntryHeader,
        fill: impl Fill,
    ) -> io::Result<()> {
        self.keep(&format!("{:020}.payload", header.sequence.0), fill).await
    }

    /// Keeps the `index`-th file of an entry. Durable after [`DeadLetters::keep_reason`].
    pub(super) async fn keep_file(
        &self,
        header: &EntryHeader,
        index: usize,
        name: &str,
        fill: impl Fill,
    ) -> io::Result<()> {
        // Of a name from outside, only what no file system can misunderstand, and its end.
        let plain: String = name.chars().filter(|c| !c.is_control() && *c != '/').collect();
        let skipped = plain.chars().count().saturating_sub(FILE_NAME_BYTES_MAX / 4);
        let plain: String = plain.chars().skip(skipped).collect();
        self.keep(&format!("{:020}-{index}-{plain}", header.sequence.0), fill).await
    }

    /// Says why the entry is here, and makes everything durable.
    pub(super) async fn keep_reason(&self, header: &EntryHeader, why: &str) -> io::Result<()> {
        let EntryHeader { sequence, identity, kind, .. } = header;
        let text = format!("entry {sequence}\nidentity {identity}\nkind {kind:?}\nwhy {why}\n");
        let mut rest = text.as_bytes();
        let fill = move |_: u64, into: &mut [u8]| io::Read::read(&mut rest, into);
        self.keep(&format!("{:020}{WHY}", sequence.0), fill).await?;
        self.disk.sync_dir(&self.dir)
    }

    /// Writes and syncs one file.
    async fn keep(&self, name: &str, mut fill: impl Fill) -> io::Result<()> {
        self.disk.create_dir(&self.dir)?;
        let file = self.disk.open(&self.dir.join(name), OpenMode::Create)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        for count in 1.. {
            let filled = fill(offset, &mut buffer)?;
            let Some(chunk) = buffer.get(..filled).filter(|chunk| !chunk.is_empty()) else { break };
            write_all_at(&file, offset, &mut [IoSlice::new(chunk)])?;
            offset += u64::try_from(filled).unwrap_or_default();
            if count % FLUSH_CHUNKS == 0 {
                file.sync_data()?;
            }
            yield_now().await;
        }
        file.sync_data()
    }
}

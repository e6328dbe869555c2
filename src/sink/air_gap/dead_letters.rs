//! Entries that were taken out of a pipe, kept for a person, and for `REPLAY`.
//!
//! ```text
//!  dead-letter/<pipe>/
//!    00000000000000000042-5e1c0f3a9b8d7c6e.header       the entry's header, as in the log (spool/mod.rs)
//!    00000000000000000042-5e1c0f3a9b8d7c6e.payload      its payload: a request for the air gap, or a list of files
//!    00000000000000000042-5e1c0f3a9b8d7c6e-1-x.tsfile   a file of an entry, counted as in its seal
//!    00000000000000000042-5e1c0f3a9b8d7c6e.why          one fact a line; written last, so what it stands for is whole
//!    00000000000000000042-5e1c0f3a9b8d7c6e.sent         the same, once the far side has it: the rest is on its way out
//! ```
//!
//! Files are copies, into which people may look and write; where there is no room for one it shares its bytes with that of
//! the spool, and the reason says so.
//!
//! The second number is the id of the segment in which the entry lay, which is random: a spool that begins with
//! sequence 1 once more replaces nothing.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use tokio::task::yield_now;

use crate::data::Sequence;
use crate::limits::{FILE_NAME_BYTES_MAX, KIB, LETTERS_LISTED_MAX, SEAL_FILES_MAX};
use crate::spool::{
    Disk, DiskFile, ENTRY_HEADER_BYTES, EntryHeader, FileList, FileReader, Kind, ListedFile,
    OpenMode, escape, read_full_at, write_all_at,
};

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 256 * KIB;
/// Chunks after which what was written is flushed, so that no sync is long.
const FLUSH_CHUNKS: usize = 32;

/// Files of one letter: those of a seal, header and payload, and one that was being written.
const LEFT_MAX: usize = SEAL_FILES_MAX + 3;

/// Ends the name of what is written last for an entry.
const WHY: &str = ".why";
/// What is being written.
const ASIDE: &str = "-new";
/// Ends the name of the same once the far side has the entry.
const SENT: &str = ".sent";
const HEADER: &str = ".header";
const PAYLOAD: &str = ".payload";

/// The dead letters of one pipe.
#[derive(Debug, Clone)]
pub struct DeadLetters<D: Disk> {
    disk: D,
    dir: PathBuf,
}

/// What tells a letter from all others of its pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LetterId {
    /// Of the entry.
    pub(super) sequence: Sequence,
    /// Id of the segment in which it lay.
    segment: u64,
}

/// Reads bytes at an offset into a buffer, and says how many; 0 at the end.
pub(super) trait Fill: FnMut(u64, &mut [u8]) -> io::Result<usize> + Send {}

impl<T: FnMut(u64, &mut [u8]) -> io::Result<usize> + Send> Fill for T {}

impl LetterId {
    pub(super) const fn of(header: &EntryHeader) -> Self {
        Self { sequence: header.sequence, segment: header.segment }
    }

    /// Not behind any letter of the entries from `sequence` on.
    pub(super) const fn first(sequence: Sequence) -> Self {
        Self { sequence, segment: 0 }
    }

    /// Not before any letter behind this one.
    pub(super) const fn next(self) -> Self {
        match self.segment.checked_add(1) {
            Some(segment) => Self { segment, ..self },
            None => Self::first(self.sequence.next()),
        }
    }

    /// Of the name of a file that stands for a letter.
    fn parse(name: &str, ending: &str) -> Option<Self> {
        let (sequence, segment) = name.strip_suffix(ending)?.split_once('-')?;
        let is_whole = (sequence.len(), segment.len()) == (20, 16);
        let segment = u64::from_str_radix(segment, 16).ok()?;
        is_whole.then_some(Self { sequence: Sequence(sequence.parse().ok()?), segment })
    }

    fn stem(self) -> String {
        format!("{:020}-{:016x}", self.sequence.0, self.segment)
    }
}

impl<D: Disk> DeadLetters<D> {
    /// Those of a pipe with this name. Nothing is made before there is one.
    pub fn new(disk: D, pipe: &str) -> Self {
        Self { disk, dir: Path::new("dead-letter").join(escape(pipe)) }
    }

    /// Entries that lie here; none if there is no such directory.
    ///
    /// # Errors
    /// What the disk says.
    pub fn count(&self) -> io::Result<u64> {
        let mut entries = 0;
        self.list(&mut |name| entries += u64::from(stands_for_one(name)))?;
        Ok(entries)
    }

    /// Whether the entry of `header` lies here already.
    pub(super) fn holds(&self, header: &EntryHeader) -> bool {
        self.disk.file_bytes(&self.path(LetterId::of(header), WHY)).is_ok()
    }

    /// The first letters of the entries `first` to `last`, ascending. There may be more if they are
    /// [`LETTERS_LISTED_MAX`].
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn between(&self, first: LetterId, last: Sequence) -> io::Result<Vec<LetterId>> {
        let mut found = Vec::with_capacity(LETTERS_LISTED_MAX + 1);
        self.list(&mut |name| {
            let Some(id) = LetterId::parse(name, WHY) else { return };
            if id < first || id.sequence > last {
                return;
            }
            let Err(at) = found.binary_search(&id) else { return };
            found.insert(at, id);
            found.truncate(LETTERS_LISTED_MAX);
        })?;
        Ok(found)
    }

    /// The header of a letter; none if it is not what was written.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn header(&self, id: LetterId) -> io::Result<Option<EntryHeader>> {
        let mut bytes = [0; ENTRY_HEADER_BYTES];
        let Some(file) = absent(self.disk.open(&self.path(id, HEADER), OpenMode::Read))? else {
            return Ok(None);
        };
        let count = read_full_at(&file, 0, &mut bytes)?;
        let header = EntryHeader::decode(bytes.get(..count).unwrap_or_default());
        Ok(header.filter(|header| LetterId::of(header) == id))
    }

    /// Fills `into` with bytes of a letter's payload; less only at its end.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn read_payload(
        &self,
        id: LetterId,
        offset: u64,
        into: &mut [u8],
    ) -> io::Result<usize> {
        let file = self.disk.open(&self.path(id, PAYLOAD), OpenMode::Read)?;
        read_full_at(&file, offset, into)
    }

    /// Opens the `index`-th file of a letter; none if it is not there as it was listed.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn open_file(
        &self,
        id: LetterId,
        index: usize,
        listed: &ListedFile<'_>,
    ) -> io::Result<Option<FileReader<D::File>>> {
        let path = self.file_path(id, index, listed.name.unwrap_or_default());
        let Some(file) = absent(self.disk.open(&path, OpenMode::Read))? else { return Ok(None) };
        let is_whole = file.bytes()? == listed.bytes;
        Ok(is_whole.then(|| FileReader::new(file, listed.bytes)))
    }

    /// The far side has a letter: it goes.
    ///
    /// # Errors
    /// What the disk says; [`DeadLetters::sweep`] makes up for what is left.
    pub(super) fn remove(&self, id: LetterId) -> io::Result<()> {
        self.disk.rename(&self.path(id, WHY), &self.path(id, SENT))?;
        self.disk.sync_dir(&self.dir)?;
        self.clear(id)
    }

    /// Removes what a crash left of letters that the far side has.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let mut sent = Vec::new();
        self.list(&mut |name| {
            if let Some(id) = LetterId::parse(name, SENT)
                && sent.len() < LETTERS_LISTED_MAX
            {
                sent.push(id);
            }
        })?;
        sent.into_iter().try_for_each(|id| {
            self.left_of(id)?.iter().try_for_each(|path| self.disk.remove(path))?;
            self.clear(id)
        })
    }

    /// What is left of a letter besides its mark: which files a crash has brought back, nobody knows.
    fn left_of(&self, id: LetterId) -> io::Result<Vec<PathBuf>> {
        let (stem, mark, mut rest) = (id.stem(), id.stem() + SENT, Vec::new());
        self.list(&mut |name| {
            if name.starts_with(&stem) && name != mark && rest.len() < LEFT_MAX {
                rest.push(self.dir.join(name));
            }
        })?;
        Ok(rest)
    }

    /// Removes all files of a letter: those that the payload names, the payload, the header, and the mark last.
    fn clear(&self, id: LetterId) -> io::Result<()> {
        let header = self.header(id)?.filter(|header| header.kind == Kind::File);
        if let Some(header) = header {
            let mut list = vec![0; usize::try_from(header.payload_bytes).unwrap_or_default()];
            absent(self.read_payload(id, 0, &mut list))?;
            let listed = FileList::parse(&list);
            for (index, file) in listed.iter().flat_map(FileList::files).enumerate() {
                let path = self.file_path(id, index, file.name.unwrap_or_default());
                absent(self.disk.remove(&path))?;
            }
        }
        for ending in [PAYLOAD, HEADER] {
            absent(self.disk.remove(&self.path(id, ending)))?;
        }
        // Without the mark nobody would look for what comes back after a crash.
        self.disk.sync_dir(&self.dir)?;
        absent(self.disk.remove(&self.path(id, SENT))).map(|_| ())
    }

    /// Keeps the header and the payload of an entry. Durable after [`DeadLetters::keep_reason`].
    pub(super) async fn keep_payload(
        &self,
        header: &EntryHeader,
        fill: impl Fill,
    ) -> io::Result<()> {
        let id = LetterId::of(header);
        self.keep(&self.path(id, HEADER), once(&header.encode())).await?;
        self.keep(&self.path(id, PAYLOAD), fill).await
    }

    /// Keeps a copy of the `index`-th file of an entry, which lies at `stored`. Where there is no room for one, or it cannot
    /// be read, it is another name of the same file, so that a full or bad disk keeps nobody from it; true then. One that
    /// lies here already stays until the new one is whole. Durable after [`DeadLetters::keep_reason`].
    pub(super) async fn keep_file(
        &self,
        header: &EntryHeader,
        (index, name): (usize, &str),
        stored: Option<&Path>,
        fill: impl Fill,
    ) -> io::Result<bool> {
        let id = LetterId::of(header);
        let (path, aside) = (self.file_path(id, index, name), self.path(id, ASIDE));
        // From an earlier try it may be another name of what is copied: that is never written into.
        absent(self.disk.remove(&aside))?;
        let copied = self.keep(&aside, fill).await;
        let is_shared = copied.is_err();
        if let Err(error) = copied {
            absent(self.disk.remove(&aside))?;
            if stored.is_none_or(|stored| self.disk.link(stored, &aside).is_err()) {
                return Err(error);
            }
        }
        self.disk.rename(&aside, &path)?;
        // Two names of one file stay two.
        absent(self.disk.remove(&aside))?;
        Ok(is_shared)
    }

    /// Says why the entry is here, and that so many of its files are `shared` with the spool; makes everything durable.
    pub(super) async fn keep_reason(
        &self,
        header: &EntryHeader,
        why: &str,
        shared: usize,
    ) -> io::Result<()> {
        let EntryHeader { sequence, identity, kind, .. } = header;
        let mut text = format!("entry {sequence}\nidentity {identity}\nkind {kind:?}\nwhy {why}\n");
        if shared > 0 {
            text += "files are those of the spool, as there was no room for copies: do not write into them\n";
        }
        self.keep(&self.path(LetterId::of(header), WHY), once(text.as_bytes())).await?;
        self.disk.sync_dir(&self.dir)
    }

    /// Writes and syncs one file.
    async fn keep(&self, path: &Path, mut fill: impl Fill) -> io::Result<()> {
        self.disk.create_dir(&self.dir)?;
        let file = self.disk.open(path, OpenMode::Create)?;
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

    fn path(&self, id: LetterId, ending: &str) -> PathBuf {
        self.dir.join(id.stem() + ending)
    }

    fn file_path(&self, id: LetterId, index: usize, name: &str) -> PathBuf {
        // Of a name from outside, only what no file system can misunderstand, and its end.
        let plain: String = name.chars().filter(|c| !c.is_control() && *c != '/').collect();
        let skipped = plain.chars().count().saturating_sub(FILE_NAME_BYTES_MAX / 4);
        let plain: String = plain.chars().skip(skipped).collect();
        self.dir.join(format!("{}-{index}-{plain}", id.stem()))
    }

    fn list(&self, found: &mut dyn FnMut(&str)) -> io::Result<()> {
        absent(self.disk.list(&self.dir, found)).map(|_| ())
    }
}

/// Whether a name is that of a letter's last file; earlier versions had only the sequence in it.
fn stands_for_one(name: &str) -> bool {
    let is_earlier =
        |stem: &str| stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    LetterId::parse(name, WHY).is_some() || name.strip_suffix(WHY).is_some_and(is_earlier)
}

/// Bytes that are filled in one go, as a rule.
fn once(bytes: &[u8]) -> impl Fill {
    let mut rest = bytes;
    move |_: u64, into: &mut [u8]| io::Read::read(&mut rest, into)
}

/// None where nothing has the name.
fn absent<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

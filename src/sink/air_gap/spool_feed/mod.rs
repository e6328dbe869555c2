//! A feed that reads the node's spool.
//!
//! ```text
//!  spool thread -- synced --> SpoolFeed -- Reader --> segments and files (this thread)
//!               <- cursor ---/        \--> dead-letter/ <-- Replaying
//! ```
//!
//! What is sent once more comes first; the cursor knows nothing of it. What is fresh may overtake a backlog (`lanes.rs`).

mod again;
mod lanes;
mod skip;

use std::fmt;
use std::future::pending;
use std::io;
use std::path::PathBuf;

use tokio::sync::watch;

pub use self::lanes::LanePlan;
use self::lanes::{Lane, Lanes};
use super::dead_letters::{DeadLetters, LetterId};
use super::feed::{Feed, StoredFile, StoredFiles};
use super::orders::Orders;
use super::replay::{Again, Replaying};
use crate::data::Sequence;
use crate::limits;
use crate::ops::board::Work;
use crate::pipe::{Replay, ReplayFile};
use crate::sink::cuts::Lent;
use crate::spool::{
    Cursor, Disk, Entry, EntryHeader, FileList, FileReader, Kind, ListedFile, ReadError, Reader,
};

/// One consumer of the spool.
pub struct SpoolFeed<D: Disk> {
    reader: Reader<D>,
    cursor: Cursor,
    synced: watch::Receiver<Sequence>,
    orders: Orders,
    dead_letters: DeadLetters<D>,
    /// How many there are.
    letters: u64,
    replaying: Option<Box<Replaying<D>>>,
    /// None: entries go in the order of the log.
    lanes: Option<Box<Lanes<D>>>,
    held: Option<Held>,
    /// The first entry that was gone ahead of and is not delivered.
    pending: Option<Sequence>,
    /// Payload of a file entry: its list of files.
    list: Vec<u8>,
    /// How often the log could not be read since an entry was done with.
    unread: u32,
}

/// What was returned last.
#[derive(Debug, Clone, Copy)]
enum Held {
    /// The next entry of the log, or of the backlog.
    Next(Entry),
    /// One that overtakes a backlog.
    Fresh(Entry),
    /// Something that is sent once more.
    Again(Again),
    /// The same, which stays where it is.
    Kept(Again),
}

impl Held {
    const fn header(&self) -> &EntryHeader {
        match self {
            Self::Next(entry) | Self::Fresh(entry) => &entry.header,
            Self::Again(again) | Self::Kept(again) => again.header(),
        }
    }
}

impl<D: Disk> SpoolFeed<D> {
    /// A consumer that has come as far as `cursor` says. `synced` changes whenever there is more to read;
    /// `dead_letters` are those of its pipe.
    pub fn new(
        mut reader: Reader<D>,
        cursor: Cursor,
        synced: watch::Receiver<Sequence>,
        orders: Orders,
        dead_letters: DeadLetters<D>,
    ) -> Self {
        reader.seek(cursor.position);
        let letters = dead_letters.count().unwrap_or_else(|error| {
            log::warn!("event=dead_letters_not_counted error=\"{error}\"");
            0
        });
        let (replaying, held, pending, list, unread) = (None, None, None, Vec::new(), 0);
        Self {
            reader,
            cursor,
            synced,
            orders,
            dead_letters,
            letters,
            replaying,
            lanes: None,
            held,
            pending,
            list,
            unread,
        }
    }

    /// Has it send something once more before it goes on, as `file` says.
    #[must_use]
    pub fn replaying(mut self, replay: Replay, file: ReplayFile<D>) -> Self {
        if let Err(error) = self.dead_letters.sweep() {
            log::warn!("event=dead_letters_not_swept error=\"{error}\"");
        }
        self.replaying = Some(Box::new(Replaying::new(replay, file, self.reader.another())));
        self
    }

    /// Shows there how far it has come with what it sends once more.
    #[must_use]
    pub fn shown_by(mut self, work: Work) -> Self {
        if let Some(replaying) = &mut self.replaying {
            replaying.show(work);
        }
        self
    }

    /// Has fresh entries overtake what waits, as `plan` says.
    #[must_use]
    pub fn in_lanes(mut self, plan: LanePlan) -> Self {
        self.lanes = Some(Box::new(Lanes::new(plan, &self.reader, &self.cursor)));
        self
    }

    /// How far it has come.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// What it reads with.
    pub(super) const fn reader(&self) -> &Reader<D> {
        &self.reader
    }

    /// Everything below is there.
    pub(super) fn synced(&self) -> Sequence {
        self.reader.synced()
    }

    /// Whether the entry that was returned last is the next one of the log.
    pub(super) const fn holds_next(&self) -> bool {
        matches!(self.held, Some(Held::Next(_)))
    }

    /// The first entry that was gone ahead of and is not delivered.
    pub(super) const fn pending(&self) -> Option<Sequence> {
        self.pending
    }

    /// Everything below was delivered, whatever the cursor says. Before the first entry is asked for.
    pub(super) fn raise(&mut self, delivered: Sequence) {
        if delivered <= self.reader.synced() && self.cursor.raise(delivered) {
            self.reader.seek(self.cursor.position);
        }
    }

    /// Whether some entry up to this one is finished before those that come before it.
    pub(super) fn has_gaps_up_to(&self, last: Sequence) -> bool {
        self.cursor.finished.iter().any(|(first, _)| *first <= last)
    }

    /// All entries up to this one were delivered together, as so many bytes, or gone past; others hear of it with
    /// [`Feed::tell_passed`].
    pub(super) fn finish_run(&mut self, last: Sequence, bytes: u64) {
        (self.held, self.unread) = (None, 0);
        if let Some(lanes) = &mut self.lanes {
            lanes.charge(bytes);
        }
        self.cursor.raise(last.next());
        self.reader.seek(self.cursor.position);
    }

    /// The next read goes over what the disk does not give back of the log, after so many tries: the spool's owner puts
    /// that place into quarantine, and what lies behind it does not wait for good.
    fn give_up(&mut self) {
        if self.unread < limits::PIPE_LOG_READS_MAX {
            return;
        }
        self.unread = 0;
        log::error!("event=log_unreadable stepped_over=true position={}", self.reader.position());
        match (self.held, &mut self.replaying) {
            (Some(Held::Next(entry)), _) => {
                self.held = None;
                self.reader.seek(entry.header.sequence);
                self.reader.forgive();
            }
            // It is met again in the one lane.
            (Some(Held::Fresh(_)), _) => {
                self.held = None;
                self.lanes.iter_mut().for_each(|lanes| lanes.close());
            }
            (None, Some(replaying)) => replaying.forgive(),
            (None, None) => self.reader.forgive(),
            // Whoever replays it sees why it does not go.
            (Some(Held::Again(_) | Held::Kept(_)), _) => {}
        }
    }

    fn next_of_log(&mut self) -> Result<Option<Held>, ReadError> {
        let Self { reader, cursor, lanes, .. } = self;
        let Some(lanes) = lanes else {
            return Ok(lanes::next_unfinished(reader, cursor)?.map(Held::Next));
        };
        Ok(lanes.next(reader, cursor)?.map(|(lane, entry)| match lane {
            Lane::Backlog => Held::Next(entry),
            Lane::Fresh => Held::Fresh(entry),
        }))
    }

    /// What is held was delivered, as so many bytes, or gone past.
    fn done(&mut self, header: &EntryHeader, bytes: u64) {
        self.unread = 0;
        match (self.held.take(), &mut self.lanes) {
            // Nothing of a letter was sent: it stays.
            (Some(Held::Again(again) | Held::Kept(again)), _) => self.pass(&again, true),
            (Some(Held::Fresh(_)), Some(lanes)) => {
                lanes.done(Lane::Fresh, header, bytes, &mut self.cursor);
            }
            (Some(Held::Next(_)), Some(lanes)) => {
                lanes.done(Lane::Backlog, header, bytes, &mut self.cursor);
            }
            (Some(Held::Next(_)) | None, None) => {
                self.cursor.raise(header.sequence.next());
            }
            // It is not known in which lane it was: it is sent again.
            (None, Some(_)) | (Some(Held::Fresh(_)), None) => {}
        }
    }

    /// What is held takes of the link.
    fn link_bytes(&self, header: &EntryHeader) -> u64 {
        match FileList::parse(&self.list).filter(|_| header.kind == Kind::File) {
            Some(list) => list.files().map(|file| file.bytes).sum(),
            None => header.payload_bytes.into(),
        }
    }

    /// Whether what is held is sent once more, and was released since it was read: a replay holds nothing.
    fn is_released(&self) -> bool {
        let Some(Held::Again(Again::Entry(entry)) | Held::Kept(Again::Entry(entry))) = self.held
        else {
            return false;
        };
        entry.header.sequence < self.reader.oldest()
    }

    fn held(&self) -> Result<&Held, ReadError> {
        self.held.as_ref().ok_or_else(|| unreadable("read without an entry"))
    }

    /// The reader of an entry of the log that is held; none of a letter.
    fn reader_of(&self, held: &Held) -> Option<(&Reader<D>, Entry)> {
        match held {
            Held::Next(entry) => Some((&self.reader, *entry)),
            Held::Fresh(entry) => Some((self.lanes.as_ref()?.reader()?, *entry)),
            Held::Again(Again::Entry(entry)) | Held::Kept(Again::Entry(entry)) => {
                Some((self.replaying.as_ref()?.reader(), *entry))
            }
            Held::Again(Again::Letter(_)) | Held::Kept(Again::Letter(_)) => None,
        }
    }

    /// Reads the payload of what is held, from `offset` on; less only at its end.
    fn read_held(&self, offset: u32, into: &mut [u8]) -> Result<usize, ReadError> {
        let held = self.held()?;
        if let Some((reader, entry)) = self.reader_of(held) {
            return reader.read_payload(&entry, offset, into);
        }
        let (id, offset) = (LetterId::of(held.header()), u64::from(offset));
        let read = self.dead_letters.read_payload(id, offset, into);
        read.map_err(|source| trouble("read", source))
    }

    fn open_held(
        &self,
        index: usize,
        list: &FileList<'_>,
        listed: &ListedFile<'_>,
    ) -> Result<FileReader<D::File>, ReadError> {
        let held = self.held()?;
        if let Some((reader, entry)) = self.reader_of(held) {
            return reader.open_file(&entry, list, index);
        }
        let id = LetterId::of(held.header());
        let opened = self.dead_letters.open_file(id, index, listed);
        let missing = ReadError::File { sequence: id.sequence, index };
        opened.map_err(|source| trouble("open", source))?.ok_or(missing)
    }

    /// Reads the list of a file entry, which is a short text as a rule.
    fn read_list(&mut self, header: &EntryHeader) -> Result<(), ReadError> {
        let count = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        let mut list = std::mem::take(&mut self.list);
        list.resize(count, 0);
        let read = self.read_held(0, &mut list);
        self.list = list;
        self.unread += u32::from(read.is_err());
        read.map(|_| ())
    }

    /// Where the `index`-th file of what is held lies in the spool; none of a letter.
    fn stored_at(&self, list: &FileList<'_>, index: usize) -> Option<PathBuf> {
        let (_, entry) = self.reader_of(self.held().ok()?)?;
        Reader::<D>::path_of_file(&entry, list, index)
    }
}

impl<D: Disk> Feed for SpoolFeed<D> {
    type File = FileReader<D::File>;

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        self.give_up();
        if self.held.is_none() {
            self.hold_again().inspect_err(|_| self.unread += 1)?;
        }
        if self.held.is_none() {
            self.held = self.next_of_log().inspect_err(|_| self.unread += 1)?;
            self.unread = 0;
        }
        Ok(self.held.map(|held| *held.header()))
    }

    async fn changed(&mut self) {
        if self.synced.changed().await.is_err() {
            // The spool thread has ended, and the node will.
            pending::<()>().await;
        }
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        let wanted = into.len();
        match self.read_held(0, into).inspect_err(|_| self.unread += 1)? {
            got if got == wanted => Ok(()),
            _ => Err(unreadable("read a payload that ends early")),
        }
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        self.read_payload(into)
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        let header = *self.held()?.header();
        self.read_list(&header)?;
        let missing = ReadError::File { sequence: header.sequence, index: 0 };
        let list = FileList::parse(&self.list).ok_or(missing)?;
        let mut files = Vec::new();
        for (index, listed) in list.files().enumerate() {
            let file = match listed.name {
                Some(_) => Some(self.open_held(index, &list, &listed)?),
                None => None,
            };
            let name = listed.name.map(str::to_owned);
            files.push(StoredFile { name, bytes: listed.bytes, hash: listed.hash, file });
        }
        let parameters = list
            .parameters()
            .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
            .collect();
        Ok(StoredFiles { request_type: list.request_type, files, parameters })
    }

    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
        Ok(self.open_files()?.map(Lent::new))
    }

    fn position(&self) -> Sequence {
        match (&self.replaying, self.held) {
            (Some(_), _) => Sequence::default(),
            (None, Some(_)) => self.cursor.position,
            (None, None) => self.reader.position(),
        }
    }

    fn objection(&self) -> Option<&str> {
        None
    }

    fn is_pending(&self) -> bool {
        false
    }

    fn is_over(&self) -> bool {
        false
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        self.done(header, 0);
    }

    fn tell_passed(&mut self) {
        match self.pending {
            Some(pending) => (self.orders.advance)(&Cursor::at(pending)),
            None => (self.orders.advance)(&self.cursor),
        }
    }

    fn may_go_ahead(&self) -> bool {
        let is_one_line = self.lanes.is_none() && self.replaying.is_none();
        self.holds_next() && is_one_line && self.cursor.finished.is_empty()
    }

    fn go_ahead(&mut self, header: &EntryHeader) {
        self.pending.get_or_insert(header.sequence);
        self.done(header, 0);
    }

    fn settle(&mut self, pending: Option<Sequence>) {
        self.pending = pending;
        self.tell_passed();
    }

    fn go_back(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        self.held = None;
        self.cursor = Cursor::at(pending);
        self.reader.seek(pending);
    }

    fn advance(&mut self, header: &EntryHeader) {
        if let Some(Held::Again(again)) = self.held {
            self.held = None;
            return self.pass(&again, false);
        }
        self.done(header, self.link_bytes(header));
        self.tell_passed();
    }

    async fn quarantine(&mut self, header: &EntryHeader, why: &str) -> bool {
        let moved = match self.held {
            // A letter stays where a person looks for it.
            Some(Held::Again(Again::Letter(_)) | Held::Kept(Again::Letter(_))) => true,
            // Nothing is left of it.
            _ if self.is_released() => true,
            _ => (self.orders.quarantine)(header.sequence, why.to_owned()).await,
        };
        if let Some(Held::Again(again)) = self.held {
            self.held = Some(Held::Kept(again));
            // What was released meanwhile is gone.
            return true;
        }
        moved
    }

    async fn put_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        if let Some(Held::Again(again)) = self.held {
            self.held = Some(Held::Kept(again));
        }
        if let Some(Held::Kept(Again::Letter(_))) = self.held {
            return true;
        }
        if self.is_released() {
            log::info!("event=replay_stepped_over entry={} why=released", header.sequence);
            return true;
        }
        // As it was taken in, whatever part of it was sent.
        let header = self.held.map_or(*header, |held| *held.header());
        match self.keep(&header, why).await {
            Ok(()) => true,
            Err(error) => {
                log::error!("event=not_put_aside entry={} error=\"{error}\"", header.sequence);
                false
            }
        }
    }

    fn dead_letters(&self) -> u64 {
        self.letters
    }
}

fn unreadable(operation: &'static str) -> ReadError {
    ReadError::Disk { operation, path: "spool".into(), source: io::ErrorKind::InvalidInput.into() }
}

fn trouble(operation: &'static str, source: io::Error) -> ReadError {
    ReadError::Disk { operation, path: "dead-letter".into(), source }
}

impl<D: Disk> fmt::Debug for SpoolFeed<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolFeed").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

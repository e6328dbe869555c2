//! Carries out on the spool what receivers ask their store for.
//!
//! ```text
//!  part ------------------------------> append
//!  cut, write, discard --> open files (partial, hash, last place)
//!  seal ------------------> sealing --> seal, or quarantine
//! ```
//!
//! It works for the spool thread, and for simulators that have no threads. Nothing is durable before
//! the caller syncs the spool; [`Kept::Durable`] says that it has to.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;

use super::sealing::Sealed;
use super::stage::PartHeader;
use super::trim::Trimmed;
use crate::data::{Identity, ReadAt};
use crate::limits;
use crate::link::receiver::{Case, FileKey, HEAD_BYTES, Outcome, Provenance, WRITERS, short_hash};
use crate::spool::{
    self, AppendError, Arrival, Disk, Fatal, Full, LinkId, Misuse, NewEntry, NewFileEntry,
    PartialError, PartialId, RequestKey, SealedFile, Source, Spool,
};
use crate::wire::bytes::Reader;
use crate::wire::pairs::Pairs;
use crate::wire::request::Head;
use crate::wire::seal::{DATABASE_PREFIX, Seal};
use crate::wire::split::{Scratch, Splitter};
use crate::wire::trailer;

/// What came of a call.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    /// Done; what was reported as outcome is durable after the next sync.
    Durable(Outcome),
    /// Done, and the outcome stands already.
    Done(Outcome),
    /// Done, and nobody waits for it.
    Silent,
    /// No room. The same call may be made again later.
    Full(Full),
}

/// Open files of all connections, and memory for conversions.
#[derive(Debug)]
pub struct Keeper {
    files: Vec<OpenFile>,
    /// Largest stated size of a compressed request, with what an identity adds.
    pub(super) max_frame_bytes: u32,
    pub(super) scratch: Scratch,
    pub(super) part: Vec<u8>,
    guest_duplicates: Cell<u64>,
}

/// A file that grows while pieces arrive.
#[derive(Debug)]
pub(super) struct OpenFile {
    key: FileKey,
    pub(super) partial: PartialId,
    pub(super) bytes: u64,
    pub(super) hash: blake3::Hasher,
    /// Where the last piece began, and the hash of all before.
    place: u64,
    hash_at_place: blake3::Hasher,
    /// What was behind the request that it is, if it was taken off.
    pub(super) trimmed: Option<Trimmed>,
}

impl Keeper {
    /// Without a file. `max_frame_bytes` bounds the stated sizes of compressed requests.
    pub fn new(max_frame_bytes: u32) -> Self {
        let max_frame_bytes = max_frame_bytes.saturating_add(limits::IDENTITY_BYTES_MAX);
        let (scratch, part) = (Scratch::new(), Vec::new());
        let guest_duplicates = Cell::new(0);
        Self { files: Vec::new(), max_frame_bytes, scratch, part, guest_duplicates }
    }

    /// Appends one part of a request.
    ///
    /// # Errors
    /// The disk failed.
    pub fn append<D: Disk>(
        &self,
        spool: &mut Spool<D>,
        part: &PartHeader,
        payload: &[u8],
        arrival: Arrival,
    ) -> Result<Kept, Fatal> {
        if part.part == 0 {
            // A request that begins is a later frame of its link.
            spool.confirm(part.from.link);
        }
        let entry = NewEntry {
            kind: part.kind,
            source: source(part.from, part.identity, part.hash, part.part, part.last),
            hops: hops(part.from),
            precision: Some(part.from.precision),
            time_range: part.time_range,
            payload,
        };
        match spool.append(entry, arrival) {
            Ok(taken) => {
                self.note(part.from.link, taken);
                Ok(if part.last { Kept::Durable(Outcome::Stored) } else { Kept::Silent })
            }
            Err(error) => refused(error),
        }
    }

    /// Cuts a file back and remembers the place; makes it if there is none.
    ///
    /// # Errors
    /// The disk failed.
    pub fn cut<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        key: FileKey,
        length: u64,
    ) -> Result<Kept, Fatal> {
        let file = match self.open(spool, key) {
            Ok(file) => file,
            Err(error) => return file_refused(error),
        };
        if length < file.bytes {
            if let Err(error) = spool.truncate_partial(file.partial, length) {
                return file_refused(error);
            }
            if length == file.place {
                file.hash = file.hash_at_place.clone();
            } else {
                file.hash.reset();
            }
            file.bytes = length;
        }
        file.place = length;
        file.hash_at_place = file.hash.clone();
        Ok(Kept::Silent)
    }

    /// Appends to a file; makes it if there is none.
    ///
    /// # Errors
    /// The disk failed.
    pub fn write<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        key: FileKey,
        bytes: &[u8],
    ) -> Result<Kept, Fatal> {
        let file = match self.open(spool, key) {
            Ok(file) => file,
            Err(error) => return file_refused(error),
        };
        match spool.write_partial(file.partial, file.bytes, bytes) {
            Ok(()) => {
                file.bytes += bytes.len() as u64;
                file.hash.update(bytes);
                Ok(Kept::Silent)
            }
            Err(PartialError::Full(full)) if file.bytes + bytes.len() as u64 > full.limit => {
                let (needed, limit) = (file.bytes + bytes.len() as u64, full.limit);
                log::warn!("event=file_too_large needed={needed} limit={limit}");
                Ok(Kept::Done(Outcome::NeverFits { needed, limit }))
            }
            Err(error) => file_refused(error),
        }
    }

    /// Removes a file.
    ///
    /// # Errors
    /// The disk failed.
    pub fn discard<D: Disk>(&mut self, spool: &mut Spool<D>, key: FileKey) -> Result<Kept, Fatal> {
        let Some(file) = self.take(key) else { return Ok(Kept::Silent) };
        match spool.discard_partial(file.partial) {
            Ok(()) => Ok(Kept::Silent),
            Err(error) => file_refused(error),
        }
    }

    /// A link is over: its files go, and its last request stays unconfirmed.
    ///
    /// # Errors
    /// The disk failed.
    pub fn close<D: Disk>(&mut self, spool: &mut Spool<D>, link: LinkId) -> Result<(), Fatal> {
        while let Some(key) = self.files.iter().map(|file| file.key).find(|key| key.link == link) {
            self.discard(spool, key)?;
        }
        spool.forget(link);
        Ok(())
    }

    /// Moves a file to quarantine, durable on return; for [`Case::FlawedFile`] all files of its link,
    /// which are those of the seal. `whose`: lines of text that go with it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn quarantine<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        key: FileKey,
        case: Case,
        whose: &[u8],
    ) -> Result<Kept, Fatal> {
        let whose = String::from_utf8_lossy(whose);
        let what = self.look_at(spool, key);
        let why = format!("{} (a frame from the gate)\n{whose}{what}", case.name());
        let flawed = case == Case::FlawedFile;
        let hit = |file: &OpenFile| file.key == key || (flawed && file.key.link == key.link);
        self.put_aside(spool, hit, &why, case)
    }

    /// What a request is, and where it stops making sense; lines of text for people. What cannot be read is left out.
    fn look_at<D: Disk>(&mut self, spool: &Spool<D>, key: FileKey) -> String {
        let Some(file) = self.find(key) else { return String::new() };
        let bytes = file.bytes;
        let Ok(reader) = spool.partial_reader(file.partial) else {
            return format!("bytes {bytes}\n");
        };
        let mut head = [0; Head::BYTES];
        let head = reader
            .read_at(0, &mut head)
            .ok()
            .and_then(|_| Head::read(&mut Reader::new(&head)).ok());
        let request_type = head
            .map(|head| format!("version {}, request type {}\n", head.version, head.code))
            .unwrap_or_default();
        // A large one would hold the others up.
        let is_small = bytes <= limits::REQUEST_MEMORY_BYTES_MAX as u64;
        let rows = is_small.then(|| Splitter::new(&reader, &mut self.scratch).err()).flatten();
        let flaw = rows.map(|error| format!("read as rows: {error}\n")).unwrap_or_default();
        format!("bytes {bytes}\n{request_type}{flaw}")
    }

    /// Moves all these files to quarantine, or none: what has gone there would come again with the rest.
    fn put_aside<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        hit: impl Fn(&OpenFile) -> bool,
        why: &str,
        case: Case,
    ) -> Result<Kept, Fatal> {
        let hits = || self.files.iter().filter(|file| hit(file));
        let bytes = hits().map(|file| file.bytes + why.len() as u64).sum();
        if spool.quarantine_room(bytes).is_err() {
            return Ok(Kept::Done(Outcome::QuarantineFull));
        }
        while let Some(index) = self.files.iter().position(&hit) {
            let partial = self.files.get(index).map(|file| file.partial);
            match partial.map_or(Ok(()), |partial| spool.quarantine_partial(partial, why)) {
                Ok(()) => drop(self.files.swap_remove(index)),
                Err(PartialError::Full(_)) => return Ok(Kept::Done(Outcome::QuarantineFull)),
                Err(error) => return file_refused(error),
            }
        }
        Ok(Kept::Done(Outcome::Quarantined(case)))
    }

    /// Shows the first bytes of a file.
    ///
    /// # Errors
    /// The disk failed: no reason to find fault with what was sent.
    pub fn show<D: Disk>(&self, spool: &Spool<D>, key: FileKey) -> Result<Kept, Fatal> {
        let Some(file) = self.find(key) else { return Ok(Kept::Done(Outcome::Undecodable)) };
        let reader = match spool.partial_reader(file.partial) {
            Ok(reader) => reader,
            Err(error) => return file_refused(error),
        };
        let mut head = [0; HEAD_BYTES];
        reader.read_at(0, &mut head).map_err(unreadable)?;
        Ok(Kept::Done(Outcome::Unwrapped { file: key, bytes: file.bytes, head }))
    }

    /// Seals files: makes an entry of them, or puts them aside if there is a flaw in the last one.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn seal<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        sealed: &Sealed,
        payload: &[u8],
        flaw: Option<&str>,
        arrival: Arrival,
    ) -> Result<Kept, Fatal> {
        let Sealed { from, ref files } = *sealed;
        let Some(seal) = decode(payload) else { return Ok(Kept::Done(Outcome::Undecodable)) };
        if let Some(flaw) = flaw {
            let why = format!("{}: {flaw}\n", Case::FlawedFile.name());
            let hit = |file: &OpenFile| files.contains(&Some(file.key));
            return self.put_aside(spool, hit, &why, Case::FlawedFile);
        }
        let mut whole = blake3::Hasher::new();
        whole.update(payload);
        let mut sealed = heapless::Vec::<SealedFile<'_>, { limits::SEAL_FILES_MAX }>::new();
        for (named, key) in seal.files.iter().zip(files) {
            let file = key.and_then(|key| self.find(key));
            let hash = file.map_or([0; 32], |file| *file.hash.finalize().as_bytes());
            whole.update(&hash);
            let partial = file.map(|file| file.partial);
            let file = SealedFile { name: named.name, partial, bytes: named.bytes, hash };
            // As many as the seal names, which is bounded alike.
            let _full = sealed.push(file);
        }
        let named = sealed.iter().rev().find_map(|file| file.name);
        let named = named.and_then(|name| Identity::parse_file_name(name.as_bytes()));
        if named.is_some() {
            for file in &mut sealed {
                file.name = file.name.map(plain_name);
            }
        }
        let identity = named.map(|(identity, _)| identity).or_else(|| trailer::split(payload).1);
        let plain: heapless::Vec<_, { limits::SEAL_PARAMETERS_MAX }> = seal
            .parameters
            .iter()
            .flat_map(Pairs::iter)
            .map(|(key, value)| (plain_key(key), value))
            .collect();
        let parameters: heapless::Vec<_, { limits::SEAL_PARAMETERS_MAX }> =
            plain.iter().map(|(key, value)| (key.as_ref(), *value)).collect();
        spool.confirm(from.link);
        let entry = NewFileEntry {
            source: source(from, identity, short_hash(&whole.finalize()), 0, true),
            hops: hops(from),
            precision: Some(from.precision),
            time_range: None,
            request_type: seal.request_type.code().cast_unsigned(),
            files: &sealed,
            request_crc: None,
            parameters: &parameters,
        };
        match spool.seal(entry, arrival) {
            Ok(taken) => {
                self.note(from.link, taken);
                files.iter().flatten().for_each(|key| drop(self.take(*key)));
                Ok(Kept::Durable(Outcome::Stored))
            }
            Err(error) => refused(error),
        }
    }

    /// Counts what came by the session service and was there before: the spool counts all of it.
    pub(super) fn note(&self, link: LinkId, taken: spool::Outcome) {
        if link.is_guest() && matches!(taken, spool::Outcome::Duplicate(_)) {
            self.guest_duplicates.set(self.guest_duplicates.get() + 1);
        }
    }

    /// Of what the spool counts as duplicates, what came by the session service.
    pub const fn guest_duplicates(&self) -> u64 {
        self.guest_duplicates.get()
    }

    /// Files that are open.
    pub const fn open_files(&self) -> usize {
        self.files.len()
    }

    pub(super) fn find(&self, key: FileKey) -> Option<&OpenFile> {
        self.files.iter().find(|file| file.key == key)
    }

    pub(super) fn find_mut(&mut self, key: FileKey) -> Option<&mut OpenFile> {
        self.files.iter_mut().find(|file| file.key == key)
    }

    pub(super) fn take(&mut self, key: FileKey) -> Option<OpenFile> {
        let index = self.files.iter().position(|file| file.key == key)?;
        Some(self.files.swap_remove(index))
    }

    fn open<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        key: FileKey,
    ) -> Result<&mut OpenFile, PartialError> {
        let found = self.files.iter().position(|file| file.key == key);
        if found.is_none() {
            // The first bytes of a later frame of its link.
            spool.confirm(key.link);
            let partial = spool.create_partial()?;
            self.files.push(OpenFile::new(key, partial));
        }
        let index = found.unwrap_or(self.files.len() - 1);
        // It is there: found, or just pushed.
        self.files.get_mut(index).ok_or(PartialError::ReadOnly)
    }
}

impl OpenFile {
    fn new(key: FileKey, partial: PartialId) -> Self {
        let (hash, hash_at_place) = (blake3::Hasher::new(), blake3::Hasher::new());
        Self { key, partial, bytes: 0, hash, place: 0, hash_at_place, trimmed: None }
    }

    /// Cuts a request off behind its first `bytes`, which have this hash.
    pub(super) fn trim<D: Disk>(
        &mut self,
        spool: &mut Spool<D>,
        bytes: u64,
        hash: blake3::Hasher,
        trimmed: Trimmed,
    ) -> Result<Kept, Fatal> {
        if let Err(error) = spool.truncate_partial(self.partial, bytes) {
            return file_refused(error);
        }
        (self.place, self.hash_at_place) = (bytes, hash.clone());
        (self.bytes, self.hash, self.trimmed) = (bytes, hash, Some(trimmed));
        Ok(Kept::Silent)
    }
}

pub(super) fn source(
    from: Provenance,
    identity: Option<Identity>,
    hash: u128,
    part: u32,
    last: bool,
) -> Source {
    if let Some(identity) = identity {
        return Source::Peer(identity);
    }
    if from.cluster == WRITERS {
        return Source::Own;
    }
    let request = RequestKey { cluster: from.cluster, hash };
    Source::Stock { request, link: from.link, part, last }
}

/// The wire does not say how many nodes a thing has passed: one at least, unless its peer's data counts as written here.
pub(super) const fn hops(from: Provenance) -> u8 {
    !from.local as u8
}

fn plain_name(name: &str) -> &str {
    Identity::parse_file_name(name.as_bytes())
        .and_then(|(_, plain)| std::str::from_utf8(plain).ok())
        .unwrap_or(name)
}

/// The key of a file's database has the file's name in it.
fn plain_key(key: &str) -> Cow<'_, str> {
    match key.strip_prefix(DATABASE_PREFIX) {
        Some(name) if plain_name(name) != name => {
            Cow::Owned(format!("{DATABASE_PREFIX}{}", plain_name(name)))
        }
        _ => Cow::Borrowed(key),
    }
}

pub(super) fn decode(payload: &[u8]) -> Option<Seal<'_>> {
    let mut reader = Reader::new(payload);
    let request_type = Head::read(&mut reader).ok()?.known().ok()?;
    Seal::read(request_type, &mut reader).ok()
}

pub(super) fn refused(error: AppendError) -> Result<Kept, Fatal> {
    match error {
        AppendError::Full(full) => Ok(Kept::Full(full)),
        AppendError::Fatal(fatal) => Err(fatal),
        AppendError::Cloned(sequence) => {
            log::error!("event=cloned_box sequence={sequence}");
            Ok(Kept::Done(Outcome::Cloned))
        }
        AppendError::ReadOnly => Ok(Kept::Done(Outcome::ReadOnly)),
        error @ (AppendError::TooLarge { .. } | AppendError::Misuse(_)) => {
            log::error!("event=not_appended error=\"{error}\"");
            Ok(Kept::Done(Outcome::Undecodable))
        }
    }
}

pub(super) fn file_refused(error: PartialError) -> Result<Kept, Fatal> {
    match error {
        PartialError::Full(full) => Ok(Kept::Full(full)),
        PartialError::Fatal(fatal) => Err(fatal),
        PartialError::ReadOnly => Ok(Kept::Done(Outcome::ReadOnly)),
        // The link is reset and comes again: to wait here would stop those whose seals make room.
        PartialError::Misuse(Misuse::TooMany { what, max }) => {
            log::warn!("event=no_place_for_a_file what=\"{what}\" max={max}");
            Ok(Kept::Done(Outcome::NoPlace))
        }
        error @ (PartialError::OtherFileSystem(_)
        | PartialError::Unreadable { .. }
        | PartialError::Misuse(_)) => {
            log::error!("event=file_not_kept error=\"{error}\"");
            Ok(Kept::Done(Outcome::Undecodable))
        }
    }
}

/// What was written a moment ago cannot be read: the disk fails.
pub(super) fn unreadable(source: io::Error) -> Fatal {
    Fatal { operation: "read", path: "spool/partial".into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Fault, Settings, SimDisk};

    #[test]
    fn flawed_files_go_to_quarantine_together_or_not_at_all() {
        let now = crate::ops::clock::now();
        let settings = Settings { quarantine_max_bytes: 1000, ..Settings::default() };
        let disk = SimDisk::new(1, 1 << 30);
        let (mut spool, _) = Spool::open(disk, settings, now, 0).unwrap();
        let mut keeper = Keeper::new(u32::MAX);
        let link = LinkId(1);
        let [mods, file] = [1, 2].map(|number| FileKey { link, number });
        keeper.write(&mut spool, mods, &[0; 10]).unwrap();
        keeper.write(&mut spool, file, &[0; 2000]).unwrap();
        let kept = keeper.quarantine(&mut spool, mods, Case::FlawedFile, b"").unwrap();
        assert!(matches!(kept, Kept::Done(Outcome::QuarantineFull)), "{kept:?}");
        assert_eq!((keeper.open_files(), spool.stats().quarantine_things), (2, 0));
        keeper.cut(&mut spool, file, 0).unwrap();
        let kept = keeper.quarantine(&mut spool, mods, Case::FlawedFile, b"").unwrap();
        assert!(matches!(kept, Kept::Done(Outcome::Quarantined(Case::FlawedFile))), "{kept:?}");
        assert_eq!((keeper.open_files(), spool.stats().quarantine_things), (0, 2));
    }

    #[test]
    fn the_reason_says_whose_it_is_and_what_is_wrong_with_it() {
        let (disk, now) = (SimDisk::new(1, 1 << 30), crate::ops::clock::now());
        let (mut spool, _) = Spool::open(disk.clone(), Settings::default(), now, 0).unwrap();
        let mut keeper = Keeper::new(u32::MAX);
        let key = FileKey { link: LinkId(1), number: 1 };
        keeper.write(&mut spool, key, b"\x01\0\x02\0\x0d\xff\xff\xff\xff").unwrap();
        let whose = b"peer 10.1.1.1:4433\ncluster \"plant7\"\n";
        keeper.quarantine(&mut spool, key, Case::Undecodable, whose).unwrap();
        let why = disk.contents(std::path::Path::new("quarantine/000001.why")).unwrap();
        let why = String::from_utf8(why).unwrap();
        let facts = [
            "undecodable",
            "peer 10.1.1.1:4433",
            "cluster \"plant7\"",
            "bytes 9",
            "request type 2",
            "at byte 5",
        ];
        for fact in facts {
            assert!(why.contains(fact), "{fact} is not in {why}");
        }
    }

    #[test]
    fn a_disk_that_cannot_read_a_file_is_not_the_senders_fault() {
        let disk = SimDisk::new(1, 1 << 30);
        let now = crate::ops::clock::now();
        let (mut spool, _) = Spool::open(disk.clone(), Settings::default(), now, 0).unwrap();
        let mut keeper = Keeper::new(u32::MAX);
        let key = FileKey { link: LinkId(1), number: 1 };
        keeper.write(&mut spool, key, &[7; 100]).unwrap();
        // It is opened and read.
        for call in 0..2 {
            disk.schedule(call, Fault::Io, false);
            assert!(keeper.show(&spool, key).is_err(), "call {call}");
        }
        let shown = keeper.show(&spool, key).unwrap();
        assert!(matches!(shown, Kept::Done(Outcome::Unwrapped { bytes: 100, .. })), "{shown:?}");
    }

    const NAMED: &str = "P1-00112233445566778899aabbccddeeff-00000000000000000042-x.tsfile";

    #[test]
    fn an_identity_is_taken_off_names_and_off_the_keys_that_have_them() {
        assert_eq!(plain_name(NAMED), "x.tsfile");
        assert_eq!(plain_name("x.tsfile"), "x.tsfile");
        assert_eq!(plain_key(&format!("DATABASE_NAME_{NAMED}")), "DATABASE_NAME_x.tsfile");
        assert_eq!(plain_key("DATABASE_NAME_x.tsfile"), "DATABASE_NAME_x.tsfile");
        assert_eq!(plain_key(NAMED), NAMED);
    }
}

//! `landing.jsonl`: one line for each file that was landed and for each deletion, and the proof of it.
//!
//! ```text
//!  landing.jsonl      appended to; a line is synced before its file gets its name
//!  landing.jsonl.1    full ones, the newest first
//!  ...
//! ```
//!
//! For a deletion a line is all that there is, so no ledger goes by itself: full ones are as much to be fetched as
//! the files, and count against `max_bytes` as these do; which of them go under `delete-oldest` and `keep_days` is in
//! `fulls.rs`. Those from `.2` on are of no more use to the node than
//! to find landed files for `max_bytes` and `keep_days`; `.1` may have the last set.
//!
//! What a line says is in `line.rs`.
//!
//! Lines that count together are a *set*: the files of one run of tablets, else a single line. A set is one write,
//! so after a crash it is there, or it is not: what a write that was cut short leaves behind the last whole set is cut.
//! If anything else stands there, the file is put aside as it is, with every line. Sets ascend by
//! sequence, without gaps: the last one tells what has landed. When a sync fails, nobody knows whether the set is
//! on disk: it is written again into a file of its own, and may be there twice.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::error::LandingError;
use super::line::{Line, Totals};
use crate::data::{OriginId, Sequence};
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at, write_all_at};

/// Name of the ledger in the landing directory.
const NAME: &str = "landing.jsonl";
/// A ledger that reached this size is put aside.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Full ledgers with a higher number are not looked for, so that a name that somebody gave costs no time.
pub(super) const AGE_MAX: usize = 9999;
/// Bytes looked at for lines at one time; a line has less than that.
const WINDOW_BYTES: usize = 64 * 1024;
/// Bytes looked at for the last set; a set has less than that.
pub(super) const SET_WINDOW_BYTES: usize = 1024 * 1024;

/// A place in the ledger: age of the file, offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    age: usize,
    offset: u64,
}

/// Where the oldest line that is kept may be.
pub(super) const OLDEST: Spot = Spot { age: usize::MAX, offset: 0 };

impl Spot {
    /// Age of its file.
    pub(super) const fn age(self) -> usize {
        self.age
    }

    /// Where the next newer file begins.
    fn newer(self) -> Option<Self> {
        self.age.checked_sub(1).map(|age| Self { age, offset: 0 })
    }
}

/// Lines that the disk does not give back.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) error: LandingError,
    /// Where to read on: in the same file, even if nothing of it can be read.
    pub(super) behind: Spot,
}

/// The open ledger.
#[derive(Debug)]
pub(super) struct Ledger<D: Disk> {
    disk: D,
    dir: PathBuf,
    file: Option<D::File>,
    bytes: u64,
    /// The last sync failed: the next line goes into a file of its own.
    suspect: bool,
    /// Everything up to here was recorded.
    through: Option<Sequence>,
    /// The last entry of this node's that was recorded, if the log does not know it.
    given_again: Option<Sequence>,
    landed: Totals,
    /// Age of the oldest file, or more.
    oldest: usize,
    /// Age of the file that has the last set.
    last_set: usize,
    /// Counts changes of what the files' names stand for.
    rotations: u64,
}

impl<D: Disk> Ledger<D> {
    /// Opens the ledger in `dir`, cuts what a crash left, and returns the set that was recorded last.
    /// A set of another node, or of an entry that is not below `next`, is of another spool: it says nothing about what
    /// has landed of this one.
    pub(super) fn open(
        disk: D,
        dir: &Path,
        node: OriginId,
        next: Sequence,
    ) -> Result<(Self, Vec<Line>), LandingError> {
        let mut ledger = Self {
            disk,
            dir: dir.to_owned(),
            file: None,
            bytes: 0,
            suspect: false,
            through: None,
            given_again: None,
            landed: Totals::default(),
            oldest: 0,
            last_set: 0,
            rotations: 0,
        };
        ledger.find_oldest()?;
        let mut set = ledger.open_newest()?;
        let mut age = 1;
        while set.is_empty() && age <= ledger.oldest {
            if let Some(file) = ledger.open_file(age)? {
                set = last_set(&file).map_err(ledger.failed("read", age))?.0;
                ledger.last_set = age;
            }
            age += 1;
        }
        if set.is_empty() {
            ledger.last_set = 0;
        }
        ledger.landed = set.last().and_then(|line| line.landed).unwrap_or_default();
        let is_ours = |line: &Line| line.node == node.to_string() && line.sequences.1 < next.0;
        let is_known = set.iter().all(is_ours);
        let last = set.iter().filter(|line| line.node == node.to_string());
        ledger.given_again =
            last.map(|line| Sequence(line.sequences.1)).max().filter(|last| *last >= next);
        if !is_known {
            log::warn!("event=ledger_of_another_spool dir={} next={next}", dir.display());
        }
        let through = set.last().filter(|_| is_known).and_then(|line| line.through);
        ledger.through = through.filter(|through| *through < next.0).map(Sequence);
        Ok((ledger, set))
    }

    fn find_oldest(&mut self) -> Result<(), LandingError> {
        let mut oldest = 0;
        let listed = self.disk.list(&self.dir, &mut |name| {
            let age = name.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('.'));
            let age = age.and_then(|age| age.parse().ok()).filter(|age| *age <= AGE_MAX);
            oldest = oldest.max(age.unwrap_or(0));
        });
        listed.map_err(LandingError::disk("list", &self.dir))?;
        self.oldest = oldest;
        Ok(())
    }

    /// Bytes of the ledgers that are full.
    pub(super) fn full_bytes(&self) -> u64 {
        (1..=self.oldest).map(|age| self.bytes_of(age)).sum()
    }

    fn bytes_of(&self, age: usize) -> u64 {
        self.disk.file_bytes(&self.path(age)).unwrap_or_default()
    }

    /// Age of the ledger that has the last set: it and newer ones stay.
    pub(super) const fn last_set(&self) -> usize {
        self.last_set
    }

    /// Removes a full ledger; returns its name and the bytes that became free.
    pub(super) fn remove_full(&mut self, age: usize) -> Result<(String, u64), LandingError> {
        let (path, bytes) = (self.path(age), self.bytes_of(age));
        self.disk.remove(&path).map_err(self.failed("remove", age))?;
        self.find_oldest()?;
        Ok((path.display().to_string(), bytes))
    }

    fn open_newest(&mut self) -> Result<Vec<Line>, LandingError> {
        let Some(file) = self.open_file(0)? else { return Ok(Vec::new()) };
        // A run that was killed may have synced neither the last line nor the file's name.
        file.recover().map_err(self.failed("sync", 0))?;
        self.sync_dir()?;
        let (set, end) = last_set(&file).map_err(self.failed("read", 0))?;
        let bytes = file.bytes().map_err(self.failed("read", 0))?;
        if !is_cut_short(&file, end, bytes).map_err(self.failed("read", 0))? {
            // No crash leaves this: something else wrote here. It is put aside as it is.
            self.suspect = true;
            return Ok(set);
        }
        if bytes > end {
            file.truncate(end).map_err(self.failed("cut", 0))?;
            file.sync_data().map_err(self.failed("sync", 0))?;
        }
        (self.bytes, self.file) = (end, Some(file));
        Ok(set)
    }

    /// Every entry up to this one was recorded.
    pub(super) const fn through(&self) -> Option<Sequence> {
        self.through
    }

    /// The last entry of this node's that was recorded, if the log gives its number again.
    pub(super) const fn given_again(&self) -> Option<Sequence> {
        self.given_again
    }

    /// What has landed.
    pub(super) const fn landed(&self) -> Totals {
        self.landed
    }

    /// Goes on counting where another ledger of this node has come to.
    pub(super) fn count_on(&mut self, landed: Totals) {
        if landed.files > self.landed.files {
            self.landed = landed;
        }
    }

    /// Changes whenever the files get other names.
    pub(super) const fn rotations(&self) -> u64 {
        self.rotations
    }

    /// Records a set, which ends with the entry `through`; it is on disk on return.
    pub(super) fn append(
        &mut self,
        set: &mut [Line],
        through: Sequence,
    ) -> Result<(), LandingError> {
        self.follow()?;
        if self.suspect || self.bytes >= FILE_BYTES_MAX {
            self.rotate()?;
        }
        let landed = self.landed.with(set);
        let text = self.text(set, through, landed)?;
        let file = match self.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        let written = write_all_at(&file, self.bytes, &mut [IoSlice::new(&text)]);
        if let Err(source) = written {
            // A part of the set may be there. What is written in its place may be shorter.
            self.suspect = file.truncate(self.bytes).is_err();
            self.file = Some(file);
            return Err(LandingError::disk("write", self.path(0))(source));
        }
        if let Err(source) = file.sync_data() {
            self.suspect = true;
            return Err(LandingError::disk("sync", self.path(0))(source));
        }
        self.file = Some(file);
        self.bytes += text.len() as u64;
        (self.through, self.landed, self.last_set) = (Some(through), landed, 0);
        Ok(())
    }

    /// A set as it stands in the file; its lines say which of the set they are.
    fn text(
        &self,
        set: &mut [Line],
        Sequence(through): Sequence,
        landed: Totals,
    ) -> Result<Vec<u8>, LandingError> {
        let count = set.len();
        let mut text = Vec::new();
        for (index, line) in set.iter_mut().enumerate() {
            let is_last = index + 1 == count;
            line.set = (count > 1).then_some((index + 1, count));
            (line.through, line.landed) = (is_last.then_some(through), is_last.then_some(landed));
            serde_json::to_writer(&mut text, line)
                .map_err(|error| LandingError::disk("write", self.path(0))(error.into()))?;
            text.push(b'\n');
        }
        Ok(text)
    }

    /// Somebody may have removed the file, or put another one in its place: a line in a file without a name
    /// would prove nothing.
    fn follow(&mut self) -> Result<(), LandingError> {
        let Some(file) = &self.file else { return Ok(()) };
        let is_there = self.disk.is_at(file, &self.path(0));
        if is_there.map_err(self.failed("look at", 0))? {
            return Ok(());
        }
        self.rotations += 1;
        self.last_set = self.last_set.max(1);
        (self.file, self.bytes) = (None, 0);
        self.open_newest().map(drop)
    }

    fn create(&self) -> Result<D::File, LandingError> {
        let file =
            self.disk.open(&self.path(0), OpenMode::Create).map_err(self.failed("create", 0))?;
        self.sync_dir()?;
        Ok(file)
    }

    /// Gives every ledger up to the first gap the name of the next older one, the oldest first, so that none takes
    /// another one's. An error or a crash in between leaves a gap, which readers step over and the next try closes.
    fn rotate(&mut self) -> Result<(), LandingError> {
        self.file = None;
        self.rotations += 1;
        let mut free = 0;
        while self.is_there(free)? {
            free += 1;
        }
        self.oldest = self.oldest.max(free);
        self.last_set += usize::from(self.last_set < free);
        for age in (0..free).rev() {
            let renamed = self.disk.rename(&self.path(age), &self.path(age + 1));
            renamed.map_err(self.failed("rename", age))?;
        }
        self.sync_dir()?;
        (self.bytes, self.suspect) = (0, false);
        Ok(())
    }

    fn is_there(&self, age: usize) -> Result<bool, LandingError> {
        match self.disk.file_bytes(&self.path(age)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            found => found.map(|_| true).map_err(self.failed("look at", age)),
        }
    }

    fn sync_dir(&self) -> Result<(), LandingError> {
        self.disk.sync_dir(&self.dir).map_err(LandingError::disk("sync", &self.dir))
    }

    /// Reads up to a window of whole lines at or behind a spot, from the oldest file to the newest, without files that
    /// are not `wanted`; `None` at the end. Returns the spot behind them. Lines that cannot be read are left out.
    ///
    /// # Errors
    /// [`Unread`]: the rest can be read on.
    pub(super) fn next_lines<L: DeserializeOwned>(
        &self,
        mut spot: Spot,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Option<(Vec<L>, Spot)>, Unread> {
        if spot.age > self.oldest {
            spot = Spot { age: self.oldest, offset: 0 };
        }
        loop {
            if wanted(spot.age)
                && let Some((lines, offset)) = self.lines_at(spot)?
            {
                return Ok(Some((lines, Spot { offset, ..spot })));
            }
            match spot.newer() {
                Some(newer) => spot = newer,
                None => return Ok(None),
            }
        }
    }

    /// The same within one file; `None` if there is no such file, too.
    fn lines_at<L: DeserializeOwned>(&self, spot: Spot) -> Result<Option<(Vec<L>, u64)>, Unread> {
        let Spot { age, offset } = spot;
        let unread = |offset| move |error| Unread { error, behind: Spot { age, offset } };
        let opened = if offset == u64::MAX { Ok(None) } else { self.open_file(age) };
        let Some(file) = opened.map_err(unread(u64::MAX))? else { return Ok(None) };
        let mut window = vec![0; WINDOW_BYTES];
        let count = read_full_at(&file, offset, &mut window)
            .map_err(self.failed("read", age))
            .map_err(unread(offset.saturating_add(WINDOW_BYTES as u64)))?;
        window.truncate(count);
        let Some(end) = window.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
        let lines = window.split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Ok(Some((lines, offset + end as u64 + 1)))
    }

    fn open_file(&self, age: usize) -> Result<Option<D::File>, LandingError> {
        let mode = if age == 0 { OpenMode::Write } else { OpenMode::Read };
        match self.disk.open(&self.path(age), mode) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("open", age)(error)),
        }
    }

    fn path(&self, age: usize) -> PathBuf {
        match age {
            0 => self.dir.join(NAME),
            age => self.dir.join(format!("{NAME}.{age}")),
        }
    }

    fn failed(
        &self,
        operation: &'static str,
        age: usize,
    ) -> impl FnOnce(std::io::Error) -> LandingError + use<D> {
        LandingError::disk(operation, self.path(age))
    }
}

/// The node whose entries the ledger in `dir` has recorded last, and the sequence below which they are; nothing is
/// changed. `None` if there is no ledger, or it cannot be read.
pub fn landed_below<D: Disk>(disk: &D, dir: &Path) -> Option<(OriginId, Sequence)> {
    // The disk takes relative paths as those of the data directory.
    let dir = std::path::absolute(dir).ok()?;
    let set_of = |name: String| {
        let file = disk.open(&dir.join(name), OpenMode::Read).ok()?;
        last_set(&file).ok().map(|(set, _)| set).filter(|set| !set.is_empty())
    };
    let set = set_of(NAME.to_owned()).or_else(|| set_of(format!("{NAME}.1")))?;
    let line = set.last()?;
    // Two numbers that say the same, since a line has no checksum, and anybody may write to the directory.
    let named = set.iter().map(|line| line.sequences.1).max()?;
    let through = line.through?.min(named);
    Some((OriginId::parse(line.node.as_bytes())?, Sequence(through).next()))
}

/// Whether a write of ours that did not come to its end leaves what stands from `end` on: some lines of one set from its
/// first on, but not all of them, and a part of a line.
fn is_cut_short<F: DiskFile>(file: &F, end: u64, bytes: u64) -> std::io::Result<bool> {
    let rest = usize::try_from(bytes.saturating_sub(end)).unwrap_or(usize::MAX);
    if rest > SET_WINDOW_BYTES {
        return Ok(false);
    }
    let mut rest = vec![0; rest];
    let count = read_full_at(file, end, &mut rest)?;
    rest.truncate(count);
    let lines = rest.split_inclusive(|byte| *byte == b'\n');
    let mut whole = (1..).zip(lines.filter(|line| line.ends_with(b"\n")));
    Ok(whole.all(|(index, line)| {
        let place = serde_json::from_slice::<Line>(line).ok().and_then(|line| line.set);
        place.is_some_and(|(at, count)| at == index && at < count)
    }))
}

/// The last set that is whole, and where it ends. Empty if there is none.
fn last_set<F: DiskFile>(file: &F) -> std::io::Result<(Vec<Line>, u64)> {
    let found = last_set_within(file, WINDOW_BYTES)?;
    if found.0.is_empty() && file.bytes()? > WINDOW_BYTES as u64 {
        return last_set_within(file, SET_WINDOW_BYTES);
    }
    Ok(found)
}

/// The same, if it lies within the last `window_bytes`.
fn last_set_within<F: DiskFile>(
    file: &F,
    window_bytes: usize,
) -> std::io::Result<(Vec<Line>, u64)> {
    let bytes = file.bytes()?;
    let start = bytes.saturating_sub(window_bytes as u64);
    let mut window = vec![0; usize::try_from(bytes - start).unwrap_or(window_bytes)];
    let count = read_full_at(file, start, &mut window)?;
    window.truncate(count);
    while let Some(end) = window.iter().rposition(|byte| *byte == b'\n') {
        window.truncate(end);
        if let Some(set) = set_at_end(&window) {
            return Ok((set, start + end as u64 + 1));
        }
    }
    Ok((Vec::new(), 0))
}

/// The set whose last line these bytes end with, if they do.
fn set_at_end(bytes: &[u8]) -> Option<Vec<Line>> {
    let mut lines = bytes.rsplit(|byte| *byte == b'\n').map(serde_json::from_slice::<Line>);
    let last = lines.next()?.ok()?;
    let (index, count) = last.set.unwrap_or((1, 1));
    if index != count {
        return None;
    }
    let mut set = vec![last];
    for index in (1..count).rev() {
        let line = lines.next()?.ok()?;
        if line.set != Some((index, count)) {
            return None;
        }
        set.push(line);
    }
    set.reverse();
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::landing::What;
    use crate::spool::{Fault, SimDisk};

    const NODE: OriginId = OriginId([7; 16]);

    fn line(sequence: u64) -> Line {
        let text = format!(
            r#"{{"what":"tablets","name":"{sequence}-{}","bytes":1,"blake3":"","sequences":[{sequence},{sequence}],
                "points":2,"node":"{NODE}","origin":""}}"#,
            "x".repeat(700)
        );
        serde_json::from_str(&text).expect("a line")
    }

    fn open(disk: &SimDisk) -> (Ledger<SimDisk>, Vec<Line>) {
        Ledger::open(disk.clone(), Path::new("/land"), NODE, Sequence(1000)).expect("opens")
    }

    /// A ledger with a line and a set of so many behind it.
    fn filled(count: u64) -> SimDisk {
        let disk = SimDisk::new(1, 1 << 30);
        let (mut ledger, _) = open(&disk);
        ledger.append(&mut [line(1)], Sequence(1)).expect("written");
        let mut set: Vec<_> = (2..2 + count).map(line).collect();
        ledger.append(&mut set, Sequence(1 + count)).expect("written");
        disk
    }

    #[test]
    fn a_set_counts_whole_or_not_at_all() {
        let path = Path::new("/land/landing.jsonl");
        let whole = filled(3);
        let bytes = whole.contents(path).expect("a ledger");
        let ends: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        for end in ends[0] + 1..=bytes.len() {
            let disk = SimDisk::new(1, 1 << 30);
            disk.place(path, &bytes[..end]);
            let (ledger, set) = open(&disk);
            let is_whole = end == bytes.len();
            let (lines, through) = if is_whole { (3, 4) } else { (1, 1) };
            assert_eq!((set.len(), ledger.through()), (lines, Some(Sequence(through))), "{end}");
            let files = if is_whole { 4 } else { 1 };
            let landed = Totals { files, bytes: files, points: 2 * files };
            assert_eq!(ledger.landed(), landed, "{end}");
            let kept = if is_whole { end } else { ends[0] + 1 };
            assert_eq!(disk.contents(path).expect("a ledger").len(), kept, "{end}");
        }
        // A sector of an earlier line of the set is lost.
        for at in ends[0] + 1..ends[2] {
            let mut torn = bytes.clone();
            torn[at] = 0;
            let disk = SimDisk::new(1, 1 << 30);
            disk.place(path, &torn);
            assert_eq!(open(&disk).1.len(), 1, "{at}");
        }
    }

    #[test]
    fn what_no_crash_leaves_is_put_aside_with_every_line() {
        let path = Path::new("/land/landing.jsonl");
        let whole = filled(1).contents(path).expect("a ledger");
        let first = whole.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        let mut flipped = whole.clone();
        flipped[first] ^= 1;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        // A later version has kinds of its own.
        let later = text(&whole[first..]).replace("\"tablets\"", "\"views\"");
        let foreign = [&whole[..first], b"a word of somebody's\n"].concat();
        let nothing = b"no line\nof ours\n".to_vec();
        for (bytes, through) in [(flipped, Some(1)), (foreign, Some(1)), (nothing, None)] {
            let disk = SimDisk::new(1, 1 << 30);
            disk.place(path, &bytes);
            let (mut ledger, _) = open(&disk);
            assert_eq!(ledger.through(), through.map(Sequence));
            assert_eq!(disk.contents(path).as_ref(), Some(&bytes));
            ledger.append(&mut [line(3)], Sequence(3)).expect("written");
            let aside = disk.contents(Path::new("/land/landing.jsonl.1"));
            assert_eq!(aside, Some(bytes));
            assert_eq!(open(&disk).0.through(), Some(Sequence(3)));
        }
        let disk = SimDisk::new(1, 1 << 30);
        disk.place(path, &[&whole[..first], later.as_bytes()].concat());
        let (ledger, set) = open(&disk);
        assert_eq!((set[0].what, ledger.through()), (What::Later, Some(Sequence(2))));
    }

    #[test]
    fn a_set_may_be_longer_than_what_is_looked_at_first() {
        let disk = filled(300);
        let (ledger, set) = open(&disk);
        assert!(ledger.bytes > 2 * WINDOW_BYTES as u64);
        assert_eq!((set.len(), ledger.through()), (300, Some(Sequence(301))));
    }

    #[test]
    fn what_this_node_has_landed_is_known_before_its_log_is_opened() {
        let dir = Path::new("/land");
        assert_eq!(landed_below(&SimDisk::new(1, 1 << 30), dir), None);
        let disk = filled(3);
        assert_eq!(landed_below(&disk, dir), Some((NODE, Sequence(5))));
        let opened = |node, next| {
            let (ledger, _) = Ledger::open(disk.clone(), dir, node, Sequence(next)).expect("opens");
            (ledger.given_again(), ledger.through())
        };
        let text = String::from_utf8(disk.contents(&dir.join(NAME)).expect("there")).expect("text");
        let at = text.rfind("\"through\":4").expect("the last line");
        let mut flipped = text;
        flipped.replace_range(at..at + 11, "\"through\":904");
        let edited = disk.fork();
        edited.place(&dir.join(NAME), flipped.as_bytes());
        assert_eq!(landed_below(&edited, dir), Some((NODE, Sequence(5))), "two numbers count");
        assert_eq!(opened(NODE, 5), (None, Some(Sequence(4))));
        assert_eq!(opened(NODE, 4), (Some(Sequence(4)), None));
        assert_eq!(opened(OriginId([8; 16]), 4), (None, None));
    }

    /// Sequences of all lines, in order.
    fn sequences(ledger: &Ledger<SimDisk>) -> Vec<u64> {
        let (mut spot, mut sequences) = (OLDEST, Vec::new());
        while let Some((lines, next)) = ledger.next_lines::<Line>(spot, |_| true).expect("read") {
            sequences.extend(lines.iter().map(|line| line.sequences.0));
            spot = next;
        }
        sequences
    }

    /// Appends lines with these sequences, each to a ledger of its own, whatever fails at first.
    fn append_each_to_its_own(ledger: &mut Ledger<SimDisk>, mut numbers: std::ops::Range<u64>) {
        let mut next = numbers.next();
        while let Some(sequence) = next {
            ledger.suspect = true;
            if ledger.append(&mut [line(sequence)], Sequence(sequence)).is_ok() {
                next = numbers.next();
            }
        }
    }

    #[test]
    fn no_line_is_ever_removed_whatever_fails_while_ledgers_get_other_names() {
        for fails_at in 0..60 {
            let disk = SimDisk::new(1, 1 << 30);
            let (mut ledger, _) = open(&disk);
            append_each_to_its_own(&mut ledger, 1..15);
            disk.schedule(fails_at, Fault::Io, false);
            append_each_to_its_own(&mut ledger, 15..21);
            let mut lines = sequences(&ledger);
            // Behind a sync that failed a set may be there twice.
            lines.dedup();
            assert_eq!(lines, (1..=20).collect::<Vec<_>>(), "{fails_at}");
            let (ledger, _) = open(&disk);
            let mut again = sequences(&ledger);
            again.dedup();
            assert_eq!((again, ledger.through()), (lines, Some(Sequence(20))), "{fails_at}");
            assert!(ledger.full_bytes() > 19 * 700, "{fails_at}");
        }
    }

    #[test]
    fn lines_of_before_sets_prove_no_more_than_themselves() {
        let disk = SimDisk::new(1, 1 << 30);
        let mut old = serde_json::to_vec(&line(5)).expect("text");
        old.push(b'\n');
        disk.place(Path::new("/land/landing.jsonl"), &old);
        let (ledger, set) = open(&disk);
        assert_eq!((set.len(), ledger.through()), (1, None));
        assert_eq!(ledger.bytes, old.len() as u64);
    }
}

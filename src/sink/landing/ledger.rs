//! `landing.jsonl`: one line for each file that was landed and for each deletion, and the proof of it.
//!
//! ```text
//!  landing.jsonl      appended to; a line is synced before its file gets its name
//!  landing.jsonl.1    full ones, the newest first; at most 8
//!  ...
//! ```
//!
//! What a line says is in `line.rs`.
//!
//! A line is one write, so after a crash the last line is there, or it is not: whatever stands behind the
//! last line that can be read is cut. Lines ascend by sequence. When a sync fails, nobody knows whether
//! the line is on disk: it is written again into a file of its own, and may be there twice.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::error::LandingError;
use super::line::Line;
use crate::data::{OriginId, Sequence};
use crate::spool::{Disk, DiskFile, OpenMode, read_full_at, write_all_at};

/// Name of the ledger in the landing directory.
const NAME: &str = "landing.jsonl";
/// A ledger that reached this size is put aside.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Full ledgers that are kept.
const KEPT_MAX: usize = 8;
/// Bytes looked at for the last line, and for lines at one time; a line has less than 8 KiB.
const WINDOW_BYTES: usize = 64 * 1024;

/// A place in the ledger: age of the file, offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    age: usize,
    offset: u64,
}

/// Where the oldest line that is kept may be.
pub(super) const OLDEST: Spot = Spot { age: KEPT_MAX, offset: 0 };

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
    last: Option<Sequence>,
    /// Counts changes of what the files' names stand for.
    rotations: u64,
}

impl<D: Disk> Ledger<D> {
    /// Opens the ledger in `dir`, cuts what a crash left, and returns the line that was recorded last.
    /// A line of another node, or of an entry that is not below `next`, is of another spool and proves
    /// nothing.
    pub(super) fn open(
        disk: D,
        dir: &Path,
        node: OriginId,
        next: Sequence,
    ) -> Result<(Self, Option<Line>), LandingError> {
        let mut ledger = Self {
            disk,
            dir: dir.to_owned(),
            file: None,
            bytes: 0,
            suspect: false,
            last: None,
            rotations: 0,
        };
        let mut last = ledger.open_newest()?;
        let mut age = 1;
        while last.is_none() && age <= KEPT_MAX {
            if let Some(file) = ledger.open_file(age)? {
                last = last_line(&file).map_err(ledger.failed("read", age))?.0;
            }
            age += 1;
        }
        let is_ours = |line: &Line| line.node == node.to_string() && line.sequences.1 < next.0;
        let last = last.filter(is_ours);
        ledger.last = last.as_ref().map(|line| Sequence(line.sequences.1));
        Ok((ledger, last))
    }

    fn open_newest(&mut self) -> Result<Option<Line>, LandingError> {
        let Some(file) = self.open_file(0)? else { return Ok(None) };
        // A run that was killed may have synced neither the last line nor the file's name.
        file.recover().map_err(self.failed("sync", 0))?;
        self.sync_dir()?;
        let (last, end) = last_line(&file).map_err(self.failed("read", 0))?;
        let bytes = file.bytes().map_err(self.failed("read", 0))?;
        if last.is_none() && bytes > WINDOW_BYTES as u64 {
            // No crash leaves that much: something else wrote here. It is put aside as it is.
            self.suspect = true;
            return Ok(None);
        }
        if bytes > end {
            file.truncate(end).map_err(self.failed("cut", 0))?;
            file.sync_data().map_err(self.failed("sync", 0))?;
        }
        (self.bytes, self.file) = (end, Some(file));
        Ok(last)
    }

    /// The sequence recorded last.
    pub(super) const fn last(&self) -> Option<Sequence> {
        self.last
    }

    /// Changes whenever the files get other names.
    pub(super) const fn rotations(&self) -> u64 {
        self.rotations
    }

    /// Records a line; it is on disk on return.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), LandingError> {
        self.follow()?;
        if self.suspect || self.bytes >= FILE_BYTES_MAX {
            self.rotate()?;
        }
        let mut text = serde_json::to_vec(line)
            .map_err(|error| LandingError::disk("write", self.path(0))(error.into()))?;
        text.push(b'\n');
        let file = match self.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        let written = write_all_at(&file, self.bytes, &mut [IoSlice::new(&text)]);
        if let Err(source) = written {
            // A part of the line may be there; it is written over, or cut at the next start.
            self.file = Some(file);
            return Err(LandingError::disk("write", self.path(0))(source));
        }
        if let Err(source) = file.sync_data() {
            self.suspect = true;
            return Err(LandingError::disk("sync", self.path(0))(source));
        }
        self.file = Some(file);
        self.bytes += text.len() as u64;
        self.last = Some(Sequence(line.sequences.1));
        Ok(())
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
        (self.file, self.bytes) = (None, 0);
        self.open_newest().map(drop)
    }

    fn create(&self) -> Result<D::File, LandingError> {
        let file =
            self.disk.open(&self.path(0), OpenMode::Create).map_err(self.failed("create", 0))?;
        self.sync_dir()?;
        Ok(file)
    }

    /// Gives every ledger the name of the next older one. A crash in between leaves a gap, which readers
    /// step over.
    fn rotate(&mut self) -> Result<(), LandingError> {
        self.file = None;
        self.rotations += 1;
        for age in (0..KEPT_MAX).rev() {
            match self.disk.rename(&self.path(age), &self.path(age + 1)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => renamed.map_err(self.failed("rename", age))?,
            }
        }
        self.sync_dir()?;
        (self.bytes, self.suspect) = (0, false);
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), LandingError> {
        self.disk.sync_dir(&self.dir).map_err(LandingError::disk("sync", &self.dir))
    }

    /// Reads up to a window of whole lines at or behind a spot, from the oldest file to the newest; `None` at
    /// the end. Returns the spot behind them. Lines that cannot be read are left out.
    pub(super) fn next_lines<L: DeserializeOwned>(
        &self,
        mut spot: Spot,
    ) -> Result<Option<(Vec<L>, Spot)>, LandingError> {
        loop {
            if let Some((lines, offset)) = self.lines_at(spot)? {
                return Ok(Some((lines, Spot { offset, ..spot })));
            }
            match spot.age.checked_sub(1) {
                Some(age) => spot = Spot { age, offset: 0 },
                None => return Ok(None),
            }
        }
    }

    /// The same within one file; `None` if there is no such file, too.
    fn lines_at<L: DeserializeOwned>(
        &self,
        Spot { age, offset }: Spot,
    ) -> Result<Option<(Vec<L>, u64)>, LandingError> {
        let Some(file) = self.open_file(age)? else { return Ok(None) };
        let mut window = vec![0; WINDOW_BYTES];
        let count = read_full_at(&file, offset, &mut window).map_err(self.failed("read", age))?;
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

/// The last line that can be read, and where it ends.
fn last_line<F: DiskFile>(file: &F) -> std::io::Result<(Option<Line>, u64)> {
    let bytes = file.bytes()?;
    let start = bytes.saturating_sub(WINDOW_BYTES as u64);
    let mut window = vec![0; usize::try_from(bytes - start).unwrap_or(WINDOW_BYTES)];
    let count = read_full_at(file, start, &mut window)?;
    window.truncate(count);
    while let Some(end) = window.iter().rposition(|byte| *byte == b'\n') {
        window.truncate(end);
        let line = window.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        if let Ok(line) = serde_json::from_slice::<Line>(line) {
            return Ok((Some(line), start + end as u64 + 1));
        }
    }
    Ok((None, 0))
}

//! `tsfile cut`: some of a file's points as a file of their own.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::{CliError, Ending};
use super::CutArguments;
use super::open::{deletions, open};
use super::progress::Output;
use crate::data::ReadAt;
use crate::limits::MIB;
use crate::ops::human::{Bytes, Count};
use crate::spool::DiskFile;
use crate::tsfile::cut::{self, Plan, Selection};
use crate::tsfile::write::{Scratch, Settings, Version, Writer};

/// Buffer in front of the new file.
const OUTPUT_BYTES: usize = 256 * 1024;
/// So many bytes of the new file are given to the disk to begin with.
const BEGIN_BYTES: u64 = MIB as u64;
/// A scratch that stays below this needs no file.
const MEMORY_BYTES: usize = 256 * 1024;

pub(super) fn cut(arguments: &CutArguments, out: &mut impl Write) -> Result<Ending, CliError> {
    let output = &arguments.output;
    let file = open(&arguments.file, Output::End)?;
    let deletions = deletions(&arguments.file)?;
    let selection = Selection::of_paths(&arguments.keep, &arguments.drop, arguments.times.range());
    let plan = Plan::unlimited(&deletions, &selection);
    let failed = |cause| CliError::NoFile { path: output.clone(), cause };
    let made = File::create_new(output).map_err(|error| {
        let is_there = error.kind() == io::ErrorKind::AlreadyExists;
        let message = "it is there already; choose another name";
        failed(if is_there { io::Error::new(error.kind(), message) } else { error })
    })?;
    let version = if file.summary().version == 3 { Version::V3 } else { Version::V4 };
    // A group of an aligned device is as long as in the file that is cut.
    let settings =
        Settings { version, both_orders: false, chunk_points: usize::MAX, ..Settings::default() };
    let scratches = [1, 2].map(|number| SpillFile::new(output, number));
    let write = || -> Result<_, cut::CutError> {
        let begun = Eager { file: &made, at: 0, begun: 0 };
        let buffered = BufWriter::with_capacity(OUTPUT_BYTES, begun);
        let mut writer = Writer::new(buffered, scratches, settings)?;
        cut::cut(&file, &plan, &mut writer)?;
        Ok(writer.finish()?.1)
    };
    let written = write().and_then(|written| {
        made.sync_all().map_err(crate::tsfile::write::WriteError::from)?;
        Ok(written)
    });
    match written {
        Ok(written) => {
            writeln!(
                out,
                "{}: {}, {}, {} series, {}",
                output.display(),
                Bytes(written.bytes),
                Count(written.devices, "device"),
                written.series,
                Count(written.points, "point")
            )?;
            if written.points == 0 {
                writeln!(out, "no point matches; `tsfile ls` lists the series and their times")?;
            }
            Ok(Ending::Done)
        }
        Err(source) => {
            // A part of a file is of no use; if it cannot be removed, the error says enough.
            drop(fs::remove_file(output));
            Err(CliError::Cut { path: arguments.file.clone(), source })
        }
    }
}

/// The new file: the disk is told to write it as it comes, so that the sync at the end finds little to do.
struct Eager<'f> {
    file: &'f File,
    at: u64,
    begun: u64,
}

impl Write for Eager<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.file;
        let count = file.write(bytes)?;
        self.at += count as u64;
        if self.at - self.begun >= BEGIN_BYTES {
            DiskFile::begin_writing(self.file, self.begun, self.at - self.begun);
            self.begun = self.at;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A scratch that begins in memory and goes on in a file that has no name.
#[derive(Debug)]
pub(super) struct SpillFile {
    path: PathBuf,
    held: Vec<u8>,
    file: Option<File>,
    /// Bytes in the file; what is held comes behind them.
    in_file: u64,
}

impl SpillFile {
    /// A scratch beside `output`.
    fn new(output: &Path, number: u8) -> Self {
        let mut name = output.as_os_str().to_owned();
        name.push(format!(".scratch-{number}"));
        Self { path: name.into(), held: Vec::new(), file: None, in_file: 0 }
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let mut options = File::options();
            let file = options.read(true).write(true).create_new(true).open(&self.path)?;
            fs::remove_file(&self.path)?;
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(self.in_file))?;
            file.write_all(&self.held)?;
            self.in_file += self.held.len() as u64;
            self.held.clear();
        }
        Ok(())
    }
}

impl ReadAt for SpillFile {
    fn len(&self) -> u64 {
        self.in_file + self.held.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let Some(behind) = offset.checked_sub(self.in_file) else {
            let left = usize::try_from(self.in_file - offset).unwrap_or(usize::MAX);
            let most = left.min(into.len());
            let part = into.get_mut(..most).unwrap_or_default();
            return match &self.file {
                Some(file) => FileExt::read_at(file, part, offset),
                None => Ok(0),
            };
        };
        self.held.as_slice().read_at(behind, into)
    }
}

impl Scratch for SpillFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= MEMORY_BYTES {
            self.spill()?;
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.held.clear();
        self.in_file = 0;
        if let Some(file) = &self.file {
            file.set_len(0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spills_reads_back() {
        let folder = tempfile::tempdir().expect("folder");
        let mut spill = SpillFile::new(&folder.path().join("x"), 1);
        let part: Vec<u8> = (0..=255).collect();
        for _ in 0..MEMORY_BYTES / 256 + 3 {
            spill.append(&part).expect("disk");
        }
        assert!(spill.in_file > 0 && !spill.held.is_empty());
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0, "it has no name");
        for at in (0..spill.len()).step_by(256) {
            let mut into = [0; 300];
            let mut filled = 0;
            while let count @ 1.. =
                spill.read_at(at + filled as u64, &mut into[filled..]).expect("disk")
            {
                filled += count;
            }
            assert_eq!(into[..256], part[..]);
        }
        spill.clear().expect("disk");
        assert!(spill.is_empty());
        spill.append(b"again").expect("memory");
        let mut into = [0; 5];
        assert_eq!(spill.read_at(0, &mut into).expect("memory"), 5);
    }
}

//! A file that grows, and how far the disk has written it.
//!
//! ```text
//!  0            written           mark             begun        end
//!  |-- on disk ----|-- awaited next --|-- being written --|-- dirty --|
//! ```

use std::io;

use crate::limits::{DIRTY_BYTES_BEGIN, DIRTY_BYTES_MAX};
use crate::spool::DiskFile;

/// What is dirty of a file that grows: at most [`DIRTY_BYTES_MAX`], so that no sync is long.
#[derive(Debug, Clone, Copy)]
pub struct Dirty {
    /// The medium has begun to write the bytes before this.
    begun: u64,
    /// The bytes before this are to be written before there are half of [`DIRTY_BYTES_MAX`] more behind it,
    mark: u64,
    /// and those before this are.
    written: u64,
}

impl Dirty {
    /// Of a file whose first bytes were written by others; none of an empty one.
    pub const fn behind(bytes: u64) -> Self {
        Self { begun: bytes, mark: bytes, written: bytes }
    }

    /// Bytes up to `end` are there. The medium begins to write them whenever there are [`DIRTY_BYTES_BEGIN`], and is
    /// waited for where it is far behind.
    ///
    /// # Errors
    /// As [`DiskFile::await_writing`].
    pub fn grow<F: DiskFile>(&mut self, file: &F, end: u64) -> io::Result<()> {
        if end.saturating_sub(self.begun) >= DIRTY_BYTES_BEGIN {
            file.begin_writing(self.begun, end - self.begun);
            self.begun = end;
        }
        if end.saturating_sub(self.mark) < DIRTY_BYTES_MAX / 2 {
            return Ok(());
        }
        if self.mark > self.written {
            file.await_writing(self.written, self.mark - self.written)?;
        }
        (self.written, self.mark) = (self.mark, end);
        Ok(())
    }

    /// The same of a file that nobody here reads again: what is written need not stay in memory.
    ///
    /// # Errors
    /// As [`Dirty::grow`].
    pub fn pass<F: DiskFile>(&mut self, file: &F, end: u64) -> io::Result<()> {
        let before = self.written;
        self.grow(file, end)?;
        if self.written > before {
            file.forget(before, self.written - before);
        }
        Ok(())
    }

    /// What comes behind `bytes` is written anew.
    pub fn cut(&mut self, bytes: u64) {
        self.begun = self.begun.min(bytes);
        self.mark = self.mark.min(bytes);
        self.written = self.written.min(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::sync::Mutex;

    use super::*;
    use crate::spool::Stamp;

    const MIB: u64 = 1 << 20;

    /// What a file was asked for, in MiB.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Call {
        Begin(u64, u64),
        Await(u64, u64),
        Forget(u64, u64),
    }

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<Call>>);

    impl Recorder {
        fn note(&self, call: fn(u64, u64) -> Call, offset: u64, bytes: u64) {
            self.0.lock().unwrap().push(call(offset / MIB, bytes / MIB));
        }
    }

    impl DiskFile for Recorder {
        fn bytes(&self) -> io::Result<u64> {
            Ok(0)
        }

        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn write_at(&self, _: u64, _: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(0)
        }

        fn stamp(&self) -> io::Result<Stamp> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn allocate(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn truncate(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn begin_writing(&self, offset: u64, bytes: u64) {
            self.note(Call::Begin, offset, bytes);
        }

        fn await_writing(&self, offset: u64, bytes: u64) -> io::Result<()> {
            self.note(Call::Await, offset, bytes);
            Ok(())
        }

        fn forget(&self, offset: u64, bytes: u64) {
            self.note(Call::Forget, offset, bytes);
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Calls of a file that grows to so many MiB, but for those that begin to write.
    fn waits(grow: impl Fn(&mut Dirty, &Recorder, u64) -> io::Result<()>) -> Vec<Call> {
        let (mut dirty, file) = (Dirty::behind(0), Recorder::default());
        for mib in 1..=12 {
            grow(&mut dirty, &file, mib * MIB).unwrap();
        }
        let calls = file.0.into_inner().unwrap();
        assert_eq!(calls.iter().filter(|call| matches!(call, Call::Begin(_, 1))).count(), 12);
        calls.into_iter().filter(|call| !matches!(call, Call::Begin(..))).collect()
    }

    #[test]
    fn what_is_far_behind_is_waited_for() {
        assert_eq!(waits(Dirty::grow), [Call::Await(0, 4), Call::Await(4, 4)]);
    }

    #[test]
    fn what_nobody_reads_again_is_forgotten_once_it_is_written() {
        let expected =
            [Call::Await(0, 4), Call::Forget(0, 4), Call::Await(4, 4), Call::Forget(4, 4)];
        assert_eq!(waits(Dirty::pass), expected);
    }

    #[test]
    fn what_was_cut_is_written_anew() {
        let (mut dirty, file) = (Dirty::behind(8 * MIB), Recorder::default());
        dirty.cut(2 * MIB);
        dirty.grow(&file, 7 * MIB).unwrap();
        assert_eq!(*file.0.lock().unwrap(), [Call::Begin(2, 5)]);
    }
}

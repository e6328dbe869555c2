//! A place in a request that lies in memory or on disk.
//!
//! ```text
//!  memory   |............ request ............|       nothing is copied
//!                   ^ at
//!
//!  disk     |............ request ............|
//!                 |== window ==|                      at most SPLIT_WINDOW_BYTES, lent by the caller
//!                     ^ at
//! ```
//!
//! The window follows the position. A step that goes on where the window ends fills twice as much as
//! the step before, a jump only little: values that lie column by column are read without moving whole
//! windows for each of them.

use std::io;
use std::ops::Range;

use thiserror::Error;

use super::WireError;
use crate::data::ReadAt;
use crate::limits::NAME_BYTES_MAX;

/// Length of a text: what is left of its request bounds it.
pub(super) const TEXT_BYTES_MAX: usize = 0x7fff_ffff;
/// What a jump reads at least: a few cells, or a name with its schema.
const JUMP_BYTES: usize = 1024;

/// Why a request could not be walked through.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The bytes are not what the format says: whoever made the request is at fault.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// The spill file could not be read: this machine is at fault.
    #[error("spilled request at byte {offset}: {error}")]
    Disk {
        /// Where the read began.
        offset: usize,
        /// What the disk said.
        error: io::Error,
    },
}

/// A position in a request, and the bytes around it.
#[derive(Debug)]
pub struct Cursor<'r> {
    place: Place<'r>,
    at: usize,
    end: usize,
}

enum Place<'r> {
    Memory { bytes: &'r [u8], base: usize },
    Disk(Window<'r>),
}

struct Window<'r> {
    source: &'r dyn ReadAt,
    buffer: &'r mut [u8],
    /// Where the buffer's first byte lies in the source.
    start: usize,
    /// Bytes of the buffer that are valid.
    filled: usize,
    /// Bytes that the next step reads ahead.
    ahead: usize,
}

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory { bytes, base } => write!(f, "{} bytes at {base}", bytes.len()),
            Self::Disk(window) => write!(f, "{} bytes at {}", window.filled, window.start),
        }
    }
}

impl<'r> Cursor<'r> {
    /// A cursor at the start of bytes in memory.
    pub const fn memory(bytes: &'r [u8]) -> Self {
        Self::memory_at(bytes, 0)
    }

    /// A cursor over a section that begins at `base` of its request; offsets count from the request.
    pub const fn memory_at(bytes: &'r [u8], base: usize) -> Self {
        Self { place: Place::Memory { bytes, base }, at: base, end: base + bytes.len() }
    }

    /// A cursor at the start of `source`, which is read through `window`, or, if it lies in memory,
    /// without it.
    ///
    /// # Errors
    /// [`WireError::Length`] if the source is longer than 4 GiB, which offsets do not reach.
    pub fn new(source: &'r dyn ReadAt, window: &'r mut [u8]) -> Result<Self, WireError> {
        Self::within(source, source.len(), window)
    }

    /// The same over the first `bytes` of `source`.
    ///
    /// # Errors
    /// [`WireError::Length`] if these are more than 4 GiB.
    pub(super) fn within(
        source: &'r dyn ReadAt,
        bytes: u64,
        window: &'r mut [u8],
    ) -> Result<Self, WireError> {
        let end = u32::try_from(bytes).ok().and_then(|bytes| usize::try_from(bytes).ok());
        if let Some(memory) = source.as_bytes() {
            let within = end.and_then(|end| memory.get(..end));
            return Ok(Self::memory(within.unwrap_or(memory)));
        }
        let Some(end) = end else {
            let got = i64::try_from(bytes).unwrap_or(i64::MAX);
            let (what, max) = ("request", 0xffff_ffff);
            return Err(WireError::Length { what, offset: 0, max, got });
        };
        let window = Window { source, buffer: window, start: 0, filled: 0, ahead: JUMP_BYTES };
        Ok(Self { place: Place::Disk(window), at: 0, end })
    }

    /// Offset of the next byte, from the start of the request.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Offset behind the last byte.
    pub const fn end(&self) -> usize {
        self.end
    }

    /// Bytes that are left.
    pub const fn left(&self) -> usize {
        self.end - self.at
    }

    /// Goes to `at`, which something that was read before gave.
    pub fn seek(&mut self, at: usize) {
        debug_assert!(at <= self.end, "{at} is behind {}", self.end);
        self.at = at.min(self.end);
    }

    /// The next `count` bytes, without taking them. `count` is at most the window's size.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer are left, or what the disk says.
    pub fn peek(&mut self, count: usize, what: &'static str) -> Result<&[u8], ReadError> {
        let (at, left) = (self.at, self.left());
        let short = WireError::Short { what, offset: at, needed: count, left };
        if count > left {
            return Err(short.into());
        }
        if let Place::Disk(window) = &mut self.place {
            window.fill(at, count, left)?;
        }
        Ok(self.place.bytes(at, count).ok_or(short)?)
    }

    /// All bytes from here on that are at hand: without reading the disk, and within the request.
    pub(super) fn ahead(&self) -> &[u8] {
        self.place.from(self.at).unwrap_or_default()
    }

    /// The next bytes, if both they and those of `place` are at hand, and both are the same.
    pub(super) fn repeated(&self, place: &Range<usize>) -> Option<&[u8]> {
        let known = self.place.bytes(place.start, place.len())?;
        self.place.bytes(self.at, place.len()).filter(|next| *next == known)
    }

    /// How many of the next `most` bytes are at hand, without reading the disk.
    pub fn at_hand(&self, most: usize) -> usize {
        let most = most.min(self.left());
        match &self.place {
            Place::Memory { .. } => most,
            Place::Disk(window) => {
                let end = window.start + window.filled;
                if self.at < window.start { 0 } else { end.saturating_sub(self.at).min(most) }
            }
        }
    }

    /// Takes bytes that lie together: as many as there are, at least one, at most `most`.
    ///
    /// # Errors
    /// [`WireError::Short`] at the end, or what the disk says.
    pub fn run(&mut self, most: usize, what: &'static str) -> Result<&[u8], ReadError> {
        let count = match &self.place {
            Place::Memory { .. } => most,
            Place::Disk(window) => most.min(window.buffer.len()),
        };
        let count = count.min(self.left()).max(1);
        self.peek(count, what)?;
        let at = self.at;
        self.at += count;
        Ok(self.place.bytes(at, count).unwrap_or_default())
    }

    /// Goes over `count` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer are left.
    pub fn skip(&mut self, count: usize, what: &'static str) -> Result<(), ReadError> {
        let left = self.left();
        if count > left {
            return Err(WireError::Short { what, offset: self.at, needed: count, left }.into());
        }
        self.at += count;
        Ok(())
    }

    /// Goes over `count` items of `bytes` each.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer bytes are left.
    pub fn skip_each(
        &mut self,
        count: usize,
        bytes: usize,
        what: &'static str,
    ) -> Result<(), ReadError> {
        self.skip(count.saturating_mul(bytes), what)
    }

    #[inline]
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let array = match self.place.from(self.at).and_then(<[u8]>::first_chunk::<N>) {
            Some(array) => *array,
            None => self.peek(N, what)?.first_chunk::<N>().copied().unwrap_or([0; N]),
        };
        self.at += N;
        Ok(array)
    }

    /// Reads a byte.
    ///
    /// # Errors
    /// [`WireError::Short`] at the end, or what the disk says; so all that read.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, ReadError> {
        self.array::<1>(what).map(u8::from_be_bytes)
    }

    /// Reads a bool: 1 is true, every other byte is false.
    ///
    /// # Errors
    /// As [`Cursor::u8`].
    pub fn bool(&mut self, what: &'static str) -> Result<bool, ReadError> {
        self.u8(what).map(|byte| byte == 1)
    }

    /// Reads an i8.
    ///
    /// # Errors
    /// As [`Cursor::u8`].
    pub fn i8(&mut self, what: &'static str) -> Result<i8, ReadError> {
        self.array(what).map(i8::from_be_bytes)
    }

    /// Reads an i16.
    ///
    /// # Errors
    /// As [`Cursor::u8`].
    pub fn i16(&mut self, what: &'static str) -> Result<i16, ReadError> {
        self.array(what).map(i16::from_be_bytes)
    }

    /// Reads an i32.
    ///
    /// # Errors
    /// As [`Cursor::u8`].
    pub fn i32(&mut self, what: &'static str) -> Result<i32, ReadError> {
        self.array(what).map(i32::from_be_bytes)
    }

    /// Reads an i64.
    ///
    /// # Errors
    /// As [`Cursor::u8`].
    pub fn i64(&mut self, what: &'static str) -> Result<i64, ReadError> {
        self.array(what).map(i64::from_be_bytes)
    }

    /// Reads an i32 that counts something, at most `max`.
    ///
    /// # Errors
    /// [`WireError::Length`] if it is negative or above `max`; else as [`Cursor::u8`].
    pub fn count(&mut self, max: usize, what: &'static str) -> Result<usize, ReadError> {
        let got = self.i32(what)?;
        match usize::try_from(got) {
            Ok(count) if count <= max => Ok(count),
            _ => {
                let offset = self.at - 4;
                Err(WireError::Length { what, offset, max, got: i64::from(got) }.into())
            }
        }
    }

    /// Goes over `count` texts that have their lengths in front.
    ///
    /// # Errors
    /// [`WireError::Length`] for a negative length; else as [`Cursor::u8`].
    pub fn skip_texts(&mut self, mut count: usize, what: &'static str) -> Result<(), ReadError> {
        while count > 0 {
            let (texts, bytes) =
                self.place.from(self.at).map_or((0, 0), |at| whole_texts(at, count));
            self.at += bytes;
            count -= texts;
            if texts == 0 {
                let bytes = self.count(TEXT_BYTES_MAX, what)?;
                self.skip(bytes, what)?;
                count -= 1;
            }
        }
        Ok(())
    }

    /// Goes over a string that is not null, and returns its length, at most `NAME_BYTES_MAX`.
    ///
    /// # Errors
    /// [`WireError::Length`] for a longer one and for null; else as [`Cursor::u8`].
    pub fn skip_name(&mut self, what: &'static str) -> Result<usize, ReadError> {
        let bytes = self.count(NAME_BYTES_MAX, what)?;
        self.skip(bytes, what)?;
        Ok(bytes)
    }

    /// Goes over a name as [`Cursor::skip_name`] does, which has to be UTF-8: two names must not become one.
    ///
    /// # Errors
    /// [`WireError::Text`] if it is not; else as [`Cursor::skip_name`].
    pub fn check_name(&mut self, what: &'static str) -> Result<usize, ReadError> {
        let bytes = self.count(NAME_BYTES_MAX, what)?;
        let at = self.at;
        let name = self.peek(bytes, what)?;
        if let Err(error) = std::str::from_utf8(name) {
            let valid = error.valid_up_to();
            let got = name.get(valid).copied().unwrap_or_default();
            return Err(WireError::Text { what, offset: at + valid, got }.into());
        }
        self.at += bytes;
        Ok(bytes)
    }

    /// Goes over a string that may be null (length -1), and returns its length, 0 for null.
    ///
    /// # Errors
    /// As [`Cursor::skip_name`], but for null.
    pub fn skip_nullable(&mut self, what: &'static str) -> Result<usize, ReadError> {
        if self.peek(4, what)? == [0xff; 4] {
            self.at += 4;
            return Ok(0);
        }
        self.skip_name(what)
    }

    /// Takes `count` bytes and puts them behind what `out` holds.
    ///
    /// # Errors
    /// As [`Cursor::u8`].
    pub fn copy(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let (at, left) = (self.at, self.left());
        if count > left {
            return Err(WireError::Short { what: "copy", offset: at, needed: count, left }.into());
        }
        match &mut self.place {
            Place::Memory { .. } => {
                out.extend_from_slice(self.place.bytes(at, count).unwrap_or_default());
            }
            Place::Disk(window) => window.copy(at, count, out)?,
        }
        self.at += count;
        Ok(())
    }
}

impl Place<'_> {
    /// All bytes from `at` on that are at hand.
    #[inline]
    fn from(&self, at: usize) -> Option<&[u8]> {
        match self {
            Self::Memory { bytes, base } => bytes.get(at.checked_sub(*base)?..),
            Self::Disk(window) => window.from(at),
        }
    }

    /// `count` bytes from `at` on, if they are at hand.
    fn bytes(&self, at: usize, count: usize) -> Option<&[u8]> {
        self.from(at)?.get(..count)
    }
}

/// How many of `count` texts lie whole at the start of `bytes`, and how many bytes these have.
fn whole_texts(bytes: &[u8], count: usize) -> (usize, usize) {
    let mut rest = bytes;
    for texts in 0..count {
        let Some((length, behind)) = rest.split_first_chunk::<4>() else {
            return (texts, bytes.len() - rest.len());
        };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some(behind) = behind.get(length..) else {
            return (texts, bytes.len() - rest.len());
        };
        rest = behind;
    }
    (count, bytes.len() - rest.len())
}

impl Window<'_> {
    fn from(&self, at: usize) -> Option<&[u8]> {
        self.buffer.get(..self.filled)?.get(at.checked_sub(self.start)?..)
    }

    /// Makes sure that the `count` bytes at `at`, of `left` in all, are in the buffer.
    fn fill(&mut self, at: usize, count: usize, left: usize) -> Result<(), ReadError> {
        let valid = self.start..self.start + self.filled;
        if at < valid.start || at + count > valid.end {
            let onwards = valid.contains(&at) || at == valid.end;
            self.ahead = if onwards { self.ahead.saturating_mul(2) } else { JUMP_BYTES };
            self.ahead = self.ahead.min(self.buffer.len());
            let want = self.ahead.max(count).min(left).min(self.buffer.len());
            self.filled = 0;
            self.start = at;
            let into = self.buffer.get_mut(..want).unwrap_or_default();
            read_exact(self.source, at, into)?;
            self.filled = want;
        }
        Ok(())
    }

    /// Puts the bytes at `at` behind what `out` holds: from the buffer if they are there, else
    /// without it.
    fn copy(&self, at: usize, count: usize, out: &mut Vec<u8>) -> Result<(), ReadError> {
        if let Some(bytes) = self.from(at).and_then(|bytes| bytes.get(..count)) {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let start = out.len();
        out.resize(start + count, 0);
        read_exact(self.source, at, out.get_mut(start..).unwrap_or_default())
    }
}

fn read_exact(source: &dyn ReadAt, at: usize, mut into: &mut [u8]) -> Result<(), ReadError> {
    let mut offset = at;
    while !into.is_empty() {
        let count = match source.read_at(offset as u64, into) {
            Ok(0) => return Err(ReadError::Disk { offset, error: shrunk() }),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ReadError::Disk { offset, error }),
        };
        offset += count;
        into = into.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}

fn shrunk() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the reads, and gives no more than asked.
    struct Spilled {
        bytes: Vec<u8>,
        reads: std::cell::RefCell<Vec<(u64, usize)>>,
    }

    impl ReadAt for Spilled {
        fn len(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
            self.reads.borrow_mut().push((offset, into.len()));
            self.bytes.as_slice().read_at(offset, into)
        }
    }

    /// Fails in its first half, and is shorter than it says in its second.
    struct Failing;

    impl ReadAt for Failing {
        fn len(&self) -> u64 {
            100
        }

        fn read_at(&self, offset: u64, _: &mut [u8]) -> io::Result<usize> {
            (offset >= 50).then_some(0).ok_or_else(|| io::ErrorKind::TimedOut.into())
        }
    }

    fn spilled(bytes: usize) -> Spilled {
        let bytes = (0..bytes).map(|index| index.to_be_bytes()[7]).collect();
        Spilled { bytes, reads: std::cell::RefCell::default() }
    }

    #[test]
    fn steps_read_ahead_more_and_more_and_jumps_little() {
        let source = spilled(1 << 20);
        let mut window = vec![0; 4096];
        let mut cursor = Cursor::new(&source, &mut window).unwrap();
        for _ in 0..10_000 {
            cursor.u8("x").unwrap();
        }
        let lengths: Vec<usize> = source.reads.take().into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(lengths, [2048, 4096, 4096]);
        cursor.seek(700_000);
        assert_eq!(cursor.u8("x").unwrap(), 700_000_usize.to_be_bytes()[7]);
        assert_eq!(source.reads.take(), [(700_000, 1024)]);
        cursor.seek(5000);
        cursor.skip(100_000, "x").unwrap();
        assert!(source.reads.take().is_empty(), "what is gone over is not read");
    }

    #[test]
    fn memory_and_disk_give_the_same() {
        let source = spilled(5000);
        let mut window = vec![0; 64];
        let bytes = source.bytes.clone();
        let mut disk = Cursor::new(&source, &mut window).unwrap();
        let mut memory = Cursor::memory(&bytes);
        let (mut from_disk, mut from_memory) = (Vec::new(), Vec::new());
        for (cursor, out) in [(&mut disk, &mut from_disk), (&mut memory, &mut from_memory)] {
            assert_eq!(cursor.i64("x").unwrap(), 0x0001_0203_0405_0607);
            assert_eq!(cursor.i16("x").unwrap(), 0x0809);
            cursor.copy(3, out).unwrap();
            cursor.copy(1000, out).unwrap();
            cursor.seek(4990);
            out.extend_from_slice(cursor.peek(5, "x").unwrap());
            while cursor.left() > 0 {
                out.extend_from_slice(cursor.run(100, "x").unwrap());
            }
            assert!(matches!(
                cursor.u8("end"),
                Err(ReadError::Malformed(WireError::Short { what: "end", offset: 5000, .. }))
            ));
        }
        assert_eq!(from_disk, from_memory);
    }

    #[test]
    fn texts_are_gone_over_across_the_window() {
        let mut bytes = Vec::new();
        for length in [0_u8, 5, 200, 63, 60, 59, 1] {
            bytes.extend([0, 0, 0, length]);
            bytes.extend(vec![7; usize::from(length)]);
        }
        let source = Spilled { bytes, reads: std::cell::RefCell::default() };
        let mut window = vec![0; 64];
        let mut cursor = Cursor::new(&source, &mut window).unwrap();
        cursor.skip_texts(7, "text").unwrap();
        assert_eq!(cursor.left(), 0);
        cursor.seek(0);
        assert!(cursor.skip_texts(8, "text").is_err());
    }

    #[test]
    fn a_negative_length_of_a_text_is_refused() {
        let bytes = [0, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff, 0, 0];
        let error = Cursor::memory(&bytes).skip_texts(2, "text").unwrap_err();
        assert_eq!(error.to_string(), "text at byte 5: expected 0 to 2147483647, got -1");
    }

    #[test]
    fn a_section_keeps_the_offsets_of_its_request() {
        let mut cursor = Cursor::memory_at(&[1, 2, 3], 100);
        assert_eq!((cursor.at(), cursor.end(), cursor.left()), (100, 103, 3));
        assert_eq!(cursor.i16("x").unwrap(), 0x0102);
        let error = cursor.i16("y").unwrap_err();
        assert_eq!(error.to_string(), "y at byte 102: 2 bytes needed, 1 left");
    }

    #[test]
    fn a_disk_that_fails_says_where() {
        let mut window = vec![0; 64];
        let mut cursor = Cursor::new(&Failing, &mut window).unwrap();
        cursor.seek(10);
        let error = cursor.u8("x").unwrap_err();
        assert_eq!(error.to_string(), "spilled request at byte 10: timed out");
        cursor.seek(60);
        let error = cursor.u8("x").unwrap_err();
        assert!(matches!(error, ReadError::Disk { offset: 60, .. }), "{error}");
    }
}

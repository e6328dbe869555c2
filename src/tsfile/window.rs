//! A small window that moves over positioned bytes.

use std::io;

pub(super) use super::error::TsFileError;
use crate::data::ReadAt;
use crate::limits::{KIB, NAME_BYTES_MAX, TSFILE_PAGE_BYTES_MAX};

/// Bytes that are read at once where little is expected.
pub(super) const WINDOW_BYTES: usize = 4096;
/// Bytes that are read at once where much follows.
pub(super) const WIDE_WINDOW_BYTES: usize = 64 * KIB;

/// Reads fields from a range of a file, front to back, through a few KiB of memory.
#[derive(Debug)]
pub(crate) struct Window<'f, R: ?Sized> {
    file: &'f R,
    at: u64,
    end: u64,
    held: Vec<u8>,
    held_from: u64,
    /// Bytes that are read at once.
    width: usize,
}

impl<'f, R: ReadAt + ?Sized> Window<'f, R> {
    /// A window over the bytes from `start` to before `end`, which lies within the file.
    pub(super) const fn new(file: &'f R, start: u64, end: u64) -> Self {
        Self::wide(file, start, end, WINDOW_BYTES)
    }

    /// The same with another width.
    pub(super) const fn wide(file: &'f R, start: u64, end: u64, width: usize) -> Self {
        Self { file, at: start, end, held: Vec::new(), held_from: start, width }
    }

    /// Moves to another range, which lies within the file; what is held stays.
    pub(super) const fn seek(&mut self, start: u64, end: u64) {
        self.at = start;
        self.end = end;
    }

    /// Where the range ends.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Where the next field begins.
    pub(super) const fn offset(&self) -> u64 {
        self.at
    }

    /// Bytes that are left.
    pub(super) const fn left(&self) -> u64 {
        self.end - self.at
    }

    /// Takes `N` bytes; `N` is small.
    pub(super) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], TsFileError> {
        if self.left() < N as u64 {
            return Err(TsFileError::Beyond { what, offset: self.at, end: self.end });
        }
        let bytes = if let Some(bytes) = self.held::<N>() {
            bytes
        } else {
            self.fill()?;
            // The file has shrunk if this is none: its length was checked.
            self.held::<N>().ok_or_else(|| TsFileError::Read {
                offset: self.at,
                source: io::ErrorKind::UnexpectedEof.into(),
            })?
        };
        self.at += N as u64;
        Ok(bytes)
    }

    fn held<const N: usize>(&self) -> Option<[u8; N]> {
        // Before what is held it becomes a place far behind it.
        let start = usize::try_from(self.at.wrapping_sub(self.held_from)).ok()?;
        self.held.get(start..)?.first_chunk().copied()
    }

    /// Reads on from here, also beyond the end of the range: the next one often lies there.
    fn fill(&mut self) -> Result<(), TsFileError> {
        self.held.resize(self.width, 0);
        self.held_from = self.at;
        match read_fully(self.file, self.at, &mut self.held) {
            Ok(count) => self.held.truncate(count),
            Err(error) => {
                self.held.clear();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes `count` bytes into `into`, which is replaced; the caller has checked that they are few.
    pub(super) fn take_into(
        &mut self,
        count: usize,
        what: &'static str,
        into: &mut Vec<u8>,
    ) -> Result<(), TsFileError> {
        if self.left() < count as u64 {
            return Err(TsFileError::Beyond { what, offset: self.at, end: self.end });
        }
        if count <= self.width && self.held_part().len() < count {
            self.fill()?;
        }
        into.clear();
        let held = self.held_part();
        into.extend_from_slice(held.get(..count).unwrap_or(held));
        let taken = into.len();
        if taken < count {
            into.resize(count, 0);
            let offset = self.at + taken as u64;
            let rest = into.get_mut(taken..).unwrap_or_default();
            let missing = rest.len();
            if read_fully(self.file, offset, rest)? < missing {
                return Err(TsFileError::Read {
                    offset,
                    source: io::ErrorKind::UnexpectedEof.into(),
                });
            }
        }
        self.at += count as u64;
        Ok(())
    }

    /// What is held of the bytes that come next.
    fn held_part(&self) -> &[u8] {
        let start = usize::try_from(self.at.wrapping_sub(self.held_from)).ok();
        start.and_then(|start| self.held.get(start..)).unwrap_or_default()
    }

    /// A big-endian i64.
    pub(super) fn i64(&mut self, what: &'static str) -> Result<i64, TsFileError> {
        self.array(what).map(i64::from_be_bytes)
    }

    /// A text whose length is a zig-zag number (`vstr`), of up to [`NAME_BYTES_MAX`]; `None` for null.
    pub(super) fn text(&mut self, what: &'static str) -> Result<Option<String>, TsFileError> {
        let offset = self.at;
        let length = self.var(what)?;
        if length == 1 {
            return Ok(None);
        }
        within(what, offset, (length % 2).into(), 0, 0)?;
        let bytes = (length / 2) as usize;
        if bytes > NAME_BYTES_MAX {
            let (got, max) = (bytes as u64, NAME_BYTES_MAX as u64);
            return Err(TsFileError::Large { what, offset, got, max });
        }
        let mut text = Vec::new();
        self.take_into(bytes, what, &mut text)?;
        let text = String::from_utf8(text).map_err(|_| TsFileError::Text { what, offset })?;
        Ok(Some(text))
    }

    /// Bytes after their length as an i32 (`ibin`), replacing `into`; up to [`TSFILE_PAGE_BYTES_MAX`].
    pub(super) fn binary(
        &mut self,
        what: &'static str,
        into: &mut Vec<u8>,
    ) -> Result<(), TsFileError> {
        let offset = self.at;
        let length = self.i32(what, 0, i32::MAX)?;
        let bytes = usize::try_from(length).unwrap_or_default();
        if bytes > TSFILE_PAGE_BYTES_MAX {
            let (got, max) = (bytes as u64, TSFILE_PAGE_BYTES_MAX as u64);
            return Err(TsFileError::Large { what, offset, got, max });
        }
        self.take_into(bytes, what, into)
    }

    /// Steps over bytes with their length as an i32 in front if they are these; else stays where it is.
    pub(super) fn passes(&mut self, expected: &[u8]) -> Result<bool, TsFileError> {
        let start = self.at;
        let is_same = self.is_next(expected);
        if !matches!(is_same, Ok(true)) {
            self.at = start;
        }
        is_same
    }

    fn is_next(&mut self, expected: &[u8]) -> Result<bool, TsFileError> {
        const WHAT: &str = "length";
        let length = self.i32(WHAT, i32::MIN, i32::MAX)?;
        if usize::try_from(length) != Ok(expected.len()) || self.left() < expected.len() as u64 {
            return Ok(false);
        }
        let mut rest = expected;
        while !rest.is_empty() {
            if self.held_part().is_empty() {
                self.fill()?;
            }
            let held = self.held_part();
            let count = held.len().min(rest.len());
            let (part, behind) = rest.split_at(count);
            if count == 0 || held.get(..count) != Some(part) {
                return Ok(false);
            }
            rest = behind;
            self.at += count as u64;
        }
        Ok(true)
    }

    /// Steps over `count` bytes.
    pub(super) const fn skip(&mut self, count: u64, what: &'static str) -> Result<(), TsFileError> {
        if self.left() < count {
            return Err(TsFileError::Beyond { what, offset: self.at, end: self.end });
        }
        self.at += count;
        Ok(())
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, TsFileError> {
        self.array::<1>(what).map(u8::from_be_bytes)
    }

    /// A big-endian i32 between `min` and `max`.
    pub(super) fn i32(
        &mut self,
        what: &'static str,
        min: i32,
        max: i32,
    ) -> Result<i32, TsFileError> {
        let offset = self.at;
        let got = self.array(what).map(i32::from_be_bytes)?;
        within(what, offset, got.into(), min.into(), max.into())?;
        Ok(got)
    }

    /// A big-endian i64 that is an offset between `min` and `max`.
    pub(super) fn position(
        &mut self,
        what: &'static str,
        min: u64,
        max: u64,
    ) -> Result<u64, TsFileError> {
        let offset = self.at;
        let got = self.array(what).map(i64::from_be_bytes)?;
        within(what, offset, got.into(), min.into(), max.into())?;
        Ok(got.unsigned_abs())
    }

    /// An unsigned number in base 128, least significant group first (`uvar`).
    pub(super) fn var(&mut self, what: &'static str) -> Result<u32, TsFileError> {
        let offset = self.at;
        let first = self.u8(what)?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let mut value = u64::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let byte = self.u8(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| TsFileError::Number { what, offset });
            }
        }
        Err(TsFileError::Number { what, offset })
    }

    /// A count of things that have at least `least_bytes` each, so that it cannot exceed what is left.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        least_bytes: u64,
    ) -> Result<u32, TsFileError> {
        let offset = self.at;
        let got = self.var(what)?;
        within(what, offset, got.into(), 0, (self.left() / least_bytes).into())?;
        Ok(got)
    }

    /// Steps over a text whose length is a zig-zag number (`vstr`); -1 is null.
    pub(super) fn skip_text(&mut self, what: &'static str) -> Result<(), TsFileError> {
        match self.var(what)? {
            1 => Ok(()),
            length if length % 2 == 0 => self.skip(u64::from(length / 2), what),
            length => {
                let got = -i128::from(length / 2) - 1;
                Err(TsFileError::Value {
                    what,
                    offset: self.at,
                    min: -1,
                    max: i32::MAX.into(),
                    got,
                })
            }
        }
    }

    /// Steps over a text whose length is an i32 (`istr`); -1 is null.
    pub(super) fn skip_long_text(&mut self, what: &'static str) -> Result<(), TsFileError> {
        let length = self.i32(what, -1, i32::MAX)?;
        self.skip(u64::try_from(length).unwrap_or(0), what)
    }

    /// Ends the reading.
    pub(super) const fn finish(&self) -> Result<(), TsFileError> {
        match self.left() {
            0 => Ok(()),
            left => Err(TsFileError::Trailing { offset: self.at, left }),
        }
    }
}

/// Reads until `into` is full or the file ends; says how much.
pub(super) fn read_fully<R: ReadAt + ?Sized>(
    file: &R,
    offset: u64,
    into: &mut [u8],
) -> Result<usize, TsFileError> {
    let mut filled = 0;
    while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
        let offset = offset + filled as u64;
        match file.read_at(offset, room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(source) => return Err(TsFileError::Read { offset, source }),
        }
    }
    Ok(filled)
}

/// Checks a number against its range.
pub(super) const fn within(
    what: &'static str,
    offset: u64,
    got: i128,
    min: i128,
    max: i128,
) -> Result<(), TsFileError> {
    if got < min || got > max {
        return Err(TsFileError::Value { what, offset, min, max, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(bytes: &[u8]) -> Window<'_, [u8]> {
        Window::new(bytes, 0, bytes.len() as u64)
    }

    #[test]
    fn numbers_in_base_128() {
        assert_eq!(window(&[0x7f]).var("x").expect("legal"), 127);
        assert_eq!(window(&[0x80, 0x01]).var("x").expect("legal"), 128);
        assert_eq!(window(&[0xff, 0xff, 0xff, 0xff, 0x0f]).var("x").expect("legal"), u32::MAX);
        for illegal in [&[0xff, 0xff, 0xff, 0xff, 0x1f][..], &[0x80; 6], &[0x80]] {
            assert!(window(illegal).var("x").is_err());
        }
    }

    #[test]
    fn a_field_may_lie_across_the_edge_of_the_window() {
        let bytes: Vec<u8> = (0..WINDOW_BYTES + 20).map(|place| place.to_le_bytes()[0]).collect();
        let mut window = window(&bytes);
        assert_eq!(window.u8("x").expect("there"), 0);
        window.skip(WINDOW_BYTES as u64 - 4, "x").expect("there");
        assert_eq!(window.array("x").expect("there"), [0xfd, 0xfe, 0xff, 0, 1, 2, 3, 4]);
        assert_eq!(window.offset(), WINDOW_BYTES as u64 + 5);
        assert_eq!(window.left(), 15);
    }

    #[test]
    fn nothing_is_read_beyond_the_block() {
        let bytes = [0; 64];
        let mut window = Window::new(&bytes[..], 8, 11);
        assert!(matches!(
            window.array::<4>("x"),
            Err(TsFileError::Beyond { what: "x", offset: 8, end: 11 })
        ));
        assert!(window.skip(4, "x").is_err());
        assert!(window.skip(3, "x").is_ok());
        assert!(window.finish().is_ok());
    }

    #[test]
    fn texts_are_stepped_over() {
        let mut texts = window(&[0x06, b'a', b'b', b'c', 0x01, 0x00, 0x03]);
        for at in [4, 5, 6] {
            texts.skip_text("key").expect("legal");
            assert_eq!(texts.offset(), at);
        }
        assert!(matches!(texts.skip_text("key"), Err(TsFileError::Value { got: -2, .. })));
        assert!(window(&[0x06, b'a', b'b']).skip_text("key").is_err());
        assert!(window(&[0xff, 0xff, 0xff, 0xff]).skip_long_text("key").is_ok());
        assert!(window(&[0xff, 0xff, 0xff, 0xfe]).skip_long_text("key").is_err());
    }
}

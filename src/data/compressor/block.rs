//! Raw Snappy and LZ4 blocks, read in portions: both are runs of literals and copies.
//!
//! ```text
//!  snappy: | var-int bytes | element ... |      element: tag, literals or a copy
//!  lz4:    | sequence ... |                     sequence: token, literals, copy; the last without a copy
//!
//!  window: | 64 KiB behind, for copies | up to 64 KiB that are being made and read |
//! ```
//!
//! Copies reach back [`WINDOW_BYTES`] at most: LZ4 cannot say more, and every Snappy encoder works in blocks
//! of that length. One that reaches further is refused.

use std::io::{self, BufRead, Read};

/// How far copies reach back, and what is made at a time.
pub(super) const WINDOW_BYTES: usize = 64 * 1024;

/// What a block says next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    /// So many bytes stand in the block.
    Literal(usize),
    /// So many bytes are those that came out `offset` bytes ago.
    Copy { offset: usize, bytes: usize },
}

/// How runs are written.
pub(super) trait Format {
    /// The next run; `None` at the end of the block.
    fn next(&mut self, input: &mut impl BufRead) -> io::Result<Option<Run>>;
}

/// The bytes of a block.
#[derive(Debug)]
pub(super) struct Block<R, F> {
    input: R,
    format: F,
    /// What came out last.
    window: Vec<u8>,
    /// So much of it was read.
    read: usize,
    /// The run that is not done.
    run: Run,
    ended: bool,
}

impl<R: BufRead, F: Format> Block<R, F> {
    pub(super) fn new(input: R, format: F) -> Self {
        let window = Vec::with_capacity(2 * WINDOW_BYTES);
        Self { input, format, window, read: 0, run: Run::Literal(0), ended: false }
    }

    /// Makes more bytes, until the window is full or the block ends.
    fn fill(&mut self) -> io::Result<()> {
        let spent = self.window.len().saturating_sub(WINDOW_BYTES);
        self.window.drain(..spent);
        self.read = self.window.len();
        while self.window.len() < 2 * WINDOW_BYTES && !self.ended {
            match self.run {
                Run::Literal(0) | Run::Copy { bytes: 0, .. } => self.begin_run()?,
                Run::Literal(bytes) => self.literal(bytes)?,
                Run::Copy { offset, bytes } => self.copy(offset, bytes)?,
            }
        }
        Ok(())
    }

    fn begin_run(&mut self) -> io::Result<()> {
        match self.format.next(&mut self.input)? {
            Some(run) => self.run = run,
            None => self.ended = true,
        }
        Ok(())
    }

    fn literal(&mut self, bytes: usize) -> io::Result<()> {
        let input = self.input.fill_buf()?;
        let count = bytes.min(2 * WINDOW_BYTES - self.window.len()).min(input.len());
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.window.extend_from_slice(input.get(..count).unwrap_or_default());
        self.input.consume(count);
        self.run = Run::Literal(bytes - count);
        Ok(())
    }

    fn copy(&mut self, offset: usize, bytes: usize) -> io::Result<()> {
        // What it reaches back to may be what it makes.
        let count = bytes.min(2 * WINDOW_BYTES - self.window.len()).min(offset);
        let from = self.window.len().checked_sub(offset);
        let (Some(from), 1..) = (from, count) else { return Err(too_far(offset)) };
        self.window.extend_from_within(from..from + count);
        self.run = Run::Copy { offset, bytes: bytes - count };
        Ok(())
    }
}

impl<R: BufRead, F: Format> Read for Block<R, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.window.len() && !self.ended {
            self.fill()?;
        }
        let mut made = self.window.get(self.read..).unwrap_or_default();
        let count = made.read(into)?;
        self.read += count;
        Ok(count)
    }
}

/// Elements of a raw Snappy block, behind its length.
#[derive(Debug)]
pub(super) struct Snappy {
    /// The length was read.
    begun: bool,
    stated_bytes: u64,
}

impl Snappy {
    /// `stated_bytes`: what the length at the block's beginning has to be.
    pub(super) const fn new(stated_bytes: u64) -> Self {
        Self { begun: false, stated_bytes }
    }

    fn begin(&mut self, input: &mut impl BufRead) -> io::Result<()> {
        self.begun = true;
        let (mut bytes, mut shift, mut last) = (0, 0, 0x80);
        while last & 0x80 != 0 && shift < 35 {
            last = u64::from(byte(input)?);
            bytes |= (last & 0x7f) << shift;
            shift += 7;
        }
        let is_so = last & 0x80 == 0 && bytes == self.stated_bytes;
        if is_so { Ok(()) } else { Err(flawed("another length than stated")) }
    }
}

impl Format for Snappy {
    fn next(&mut self, input: &mut impl BufRead) -> io::Result<Option<Run>> {
        if !self.begun {
            self.begin(input)?;
        }
        if input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let tag = usize::from(byte(input)?);
        let high = tag >> 2;
        Ok(Some(match tag & 3 {
            0 if high < 60 => Run::Literal(high + 1),
            0 => Run::Literal(sum(little_endian(input, high - 59)?, 1)?),
            1 => {
                let offset = (high >> 3 << 8) | little_endian(input, 1)?;
                Run::Copy { offset, bytes: (high & 7) + 4 }
            }
            2 => Run::Copy { offset: little_endian(input, 2)?, bytes: high + 1 },
            _ => Run::Copy { offset: little_endian(input, 4)?, bytes: high + 1 },
        }))
    }
}

/// Sequences of a raw LZ4 block.
#[derive(Debug, Default)]
pub(super) struct Lz4 {
    /// The length of the copy that follows the literals, as its token says.
    copy: Option<usize>,
}

impl Format for Lz4 {
    fn next(&mut self, input: &mut impl BufRead) -> io::Result<Option<Run>> {
        let Some(nibble) = self.copy.take() else {
            let token = usize::from(byte(input)?);
            self.copy = Some(token & 15);
            return Ok(Some(Run::Literal(long(input, token >> 4)?)));
        };
        // Only a sequence ends a block, behind its literals.
        if input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let offset = little_endian(input, 2)?;
        Ok(Some(Run::Copy { offset, bytes: sum(long(input, nibble)?, 4)? }))
    }
}

/// A length that begins in a nibble.
fn long(input: &mut impl BufRead, nibble: usize) -> io::Result<usize> {
    let mut length = nibble;
    let mut last = if nibble == 15 { u8::MAX } else { 0 };
    while last == u8::MAX {
        last = byte(input)?;
        length = sum(length, usize::from(last))?;
    }
    Ok(length)
}

/// Where a `usize` has 32 bits, lengths of a flawed block exceed it.
fn sum(length: usize, more: usize) -> io::Result<usize> {
    length.checked_add(more).ok_or_else(|| flawed("length"))
}

fn little_endian(input: &mut impl BufRead, bytes: usize) -> io::Result<usize> {
    let mut number = [0; size_of::<usize>()];
    for place in number.iter_mut().take(bytes) {
        *place = byte(input)?;
    }
    Ok(usize::from_le_bytes(number))
}

fn byte(input: &mut impl BufRead) -> io::Result<u8> {
    let byte = *input.fill_buf()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
    input.consume(1);
    Ok(byte)
}

fn flawed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn too_far(offset: usize) -> io::Error {
    let what = format!("a copy from {offset} bytes ago, of {WINDOW_BYTES} at most");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snappy(block: &[u8], bytes: u64) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        Block::new(block, Snappy::new(bytes)).read_to_end(&mut out).ok()?;
        Some(out)
    }

    fn lz4(block: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        Block::new(block, Lz4::default()).read_to_end(&mut out).ok()?;
        Some(out)
    }

    #[test]
    fn elements_of_snappy_are_read() {
        // A literal of 3, then copies with offsets of 11, 16 and 32 bits.
        let block = b"\x10\x08abc\x01\x03\x0e\x03\0\x13\x01\0\0\0";
        assert_eq!(snappy(block, 16).unwrap(), b"abcabcabcabbbbbb");
        assert_eq!(snappy(b"\x02\xf0\x01ab", 2).unwrap(), b"ab");
        assert_eq!(snappy(b"\0", 0).unwrap(), b"");
        let flawed: [&[u8]; 6] = [
            b"",
            b"\x03\x08abc",
            b"\x02\x08ab",
            b"\x02\x02\x03\0",
            b"\x02\x04ab\x02\0\0",
            b"\xff\xff\xff\xff\xff\x01",
        ];
        for block in flawed {
            assert_eq!(snappy(block, 2), None, "{block:?}");
        }
    }

    #[test]
    fn sequences_of_lz4_are_read() {
        // Three literals and a copy of 5; one literal.
        assert_eq!(lz4(b"\x31abc\x03\0\x10d").unwrap(), b"abcabcabd");
        let long = [&[0xf0, 1], &[7; 16][..]].concat();
        assert_eq!(lz4(&long).unwrap(), [7; 16]);
        assert_eq!(lz4(b"\0").unwrap(), b"");
        let flawed: [&[u8]; 5] = [b"", b"\x20a", b"\x10a\x02\0\0", b"\x10a\0\0\0", b"\x10a\x01"];
        for block in flawed {
            assert_eq!(lz4(block), None, "{block:?}");
        }
    }

    #[test]
    fn a_copy_from_beyond_the_window_is_refused() {
        let literal = |block: &mut Vec<u8>, bytes: usize| {
            block.push(62 << 2);
            block.extend(&u32::try_from(bytes - 1).unwrap().to_le_bytes()[..3]);
            block.extend((0..bytes).map(|at| u8::try_from(at % 251).unwrap()));
        };
        for (offset, is_read) in [(WINDOW_BYTES, true), (3 * WINDOW_BYTES - 1, false)] {
            let bytes = 3 * WINDOW_BYTES;
            let mut block = vec![0x84, 0x80, 0x0c];
            literal(&mut block, bytes);
            block.push(3 << 2 | 3);
            block.extend(u32::try_from(offset).unwrap().to_le_bytes());
            let out = snappy(&block, bytes as u64 + 4);
            assert_eq!(out.is_some(), is_read, "{offset}");
            assert!(out.is_none_or(|out| out[bytes..] == out[bytes - offset..][..4]));
        }
    }
}

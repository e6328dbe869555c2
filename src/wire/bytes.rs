//! Bounded reading and writing of the primitives that every request is made of.
//!
//! ```text
//!  i8 i16 i32 i64   big-endian two's complement
//!  string           i32 length (-1 = null), then that many bytes of UTF-8
//!  binary           i32 length, then that many bytes
//!  bool             one byte; 1 is true, everything else is false
//! ```
//!
//! Defined by tsfile's `ReadWriteIOUtils`. A [`Reader`] never reads past its input and checks every
//! length against a maximum before it is used. A [`Writer`] never grows past its own maximum: what
//! does not fit is remembered, and [`Writer::finish`] says so, so that encoders need no `?`.

use thiserror::Error;

/// Why bytes are not what the format says. `offset` counts from the start of the reader's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The input ends inside a field.
    #[error("{what} at byte {offset}: {needed} bytes needed, {left} left")]
    Short {
        /// The field that was read.
        what: &'static str,
        /// Where the field begins.
        offset: usize,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length or a count is negative or above its maximum.
    #[error("{what} at byte {offset}: expected 0 to {max}, got {got}")]
    Length {
        /// The field that was read.
        what: &'static str,
        /// Where the length stands.
        offset: usize,
        /// The largest value that is taken.
        max: usize,
        /// The value that stands there.
        got: i64,
    },
    /// A value that the format does not know, or a null where there has to be something.
    #[error("{what} at byte {offset}: expected {expected}, got {got}")]
    Value {
        /// The field that was read.
        what: &'static str,
        /// Where the value stands.
        offset: usize,
        /// What is legal, in words.
        expected: &'static str,
        /// The value that stands there.
        got: i64,
    },
    /// A text that is not UTF-8.
    #[error("{what} at byte {offset}: expected UTF-8, got byte {got:#04x}")]
    Text {
        /// The field that was read.
        what: &'static str,
        /// Where the first bad byte stands.
        offset: usize,
        /// The first bad byte.
        got: u8,
    },
    /// Bytes after the last field.
    #[error("end of request expected at byte {offset}, got {left} more bytes")]
    Trailing {
        /// Where the request should have ended.
        offset: usize,
        /// Bytes that follow.
        left: usize,
    },
    /// What was to be written does not fit.
    #[error("request of {needed} bytes does not fit into {max}")]
    Full {
        /// Bytes that the whole needs.
        needed: usize,
        /// Bytes that there are.
        max: usize,
    },
}

/// Reads primitives from a slice, front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader whose offsets count from the start of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, offset: 0 }
    }

    /// A reader whose offsets count from `offset`: for a window of something larger.
    pub const fn at(input: &'a [u8], offset: usize) -> Self {
        Self { rest: input, offset }
    }

    /// Where the next byte stands.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes that are left.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is left, without taking it.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes `count` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer are left; nothing is taken then.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(WireError::Short {
                what,
                offset: self.offset,
                needed: count,
                left: self.rest.len(),
            });
        };
        self.rest = rest;
        self.offset += count;
        Ok(taken)
    }

    /// Takes `N` bytes as an array.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer are left; nothing is taken then.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(WireError::Short {
                what,
                offset: self.offset,
                needed: N,
                left: self.rest.len(),
            });
        };
        self.rest = rest;
        self.offset += N;
        Ok(*taken)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`WireError::Short`] at the end of the input.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        self.array::<1>(what).map(u8::from_be_bytes)
    }

    /// Reads an i8.
    ///
    /// # Errors
    /// [`WireError::Short`] at the end of the input.
    pub fn i8(&mut self, what: &'static str) -> Result<i8, WireError> {
        self.array(what).map(i8::from_be_bytes)
    }

    /// Reads an i16.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer than two bytes are left.
    pub fn i16(&mut self, what: &'static str) -> Result<i16, WireError> {
        self.array(what).map(i16::from_be_bytes)
    }

    /// Reads an i32.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer than four bytes are left.
    pub fn i32(&mut self, what: &'static str) -> Result<i32, WireError> {
        self.array(what).map(i32::from_be_bytes)
    }

    /// Reads an i64.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer than eight bytes are left.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, WireError> {
        self.array(what).map(i64::from_be_bytes)
    }

    /// Reads a bool: 1 is true, every other byte is false, as in Java.
    ///
    /// # Errors
    /// [`WireError::Short`] at the end of the input.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, WireError> {
        self.u8(what).map(|byte| byte == 1)
    }

    /// Reads an i32 that counts something, at most `max`.
    ///
    /// # Errors
    /// [`WireError::Length`] if it is negative or above `max`.
    pub fn count(&mut self, max: usize, what: &'static str) -> Result<usize, WireError> {
        let offset = self.offset;
        let got = self.i32(what)?;
        usize::try_from(got).ok().filter(|count| *count <= max).ok_or_else(|| WireError::Length {
            what,
            offset,
            max,
            got: i64::from(got),
        })
    }

    /// Reads an i64 that is a number of bytes or an offset, at most `i64::MAX`.
    ///
    /// # Errors
    /// [`WireError::Value`] if it is negative.
    pub fn size(&mut self, what: &'static str) -> Result<u64, WireError> {
        let offset = self.offset;
        let got = self.i64(what)?;
        u64::try_from(got).map_err(|_| WireError::Value {
            what,
            offset,
            expected: "a number not below 0",
            got,
        })
    }

    /// Reads a string of at most `max` bytes that must not be null.
    ///
    /// # Errors
    /// [`WireError::Length`] if it is null or too long, [`WireError::Text`] if it is not UTF-8.
    pub fn string(&mut self, max: usize, what: &'static str) -> Result<&'a str, WireError> {
        let bytes = self.binary(max, what)?;
        text(bytes, self.offset - bytes.len(), what)
    }

    /// Reads a string of at most `max` bytes; length -1 is null.
    ///
    /// # Errors
    /// As [`Reader::string`], but for null.
    pub fn nullable_string(
        &mut self,
        max: usize,
        what: &'static str,
    ) -> Result<Option<&'a str>, WireError> {
        if let Some((&[0xff, 0xff, 0xff, 0xff], rest)) = self.rest.split_first_chunk::<4>() {
            self.rest = rest;
            self.offset += 4;
            return Ok(None);
        }
        self.string(max, what).map(Some)
    }

    /// Reads a binary of at most `max` bytes.
    ///
    /// # Errors
    /// [`WireError::Length`] if the length is negative or above `max`.
    pub fn binary(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let count = self.count(max, what)?;
        self.take(count, what)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`WireError::Trailing`] if bytes are left.
    pub const fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(WireError::Trailing { offset: self.offset, left: self.rest.len() })
    }
}

fn text<'a>(bytes: &'a [u8], offset: usize, what: &'static str) -> Result<&'a str, WireError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let bad = error.valid_up_to();
        WireError::Text {
            what,
            offset: offset + bad,
            got: bytes.get(bad).copied().unwrap_or_default(),
        }
    })
}

/// Writes primitives into a buffer of the caller's.
#[derive(Debug)]
pub struct Writer<'a> {
    room: Room<'a>,
    max: usize,
    /// Bytes that were put, also those that did not fit.
    written: usize,
}

#[derive(Debug)]
enum Room<'a> {
    Growing(&'a mut Vec<u8>),
    Fixed(&'a mut [u8]),
}

impl<'a> Writer<'a> {
    /// Clears `out`, keeps its capacity, and writes at most `max` bytes into it.
    pub fn into_vec(out: &'a mut Vec<u8>, max: usize) -> Self {
        out.clear();
        Self { room: Room::Growing(out), max, written: 0 }
    }

    /// Writes behind what `out` holds already; `max` bounds what is added.
    pub const fn append(out: &'a mut Vec<u8>, max: usize) -> Self {
        Self { room: Room::Growing(out), max, written: 0 }
    }

    /// Writes from the start of `out`, to its end at most.
    pub const fn into_slice(out: &'a mut [u8]) -> Self {
        let max = out.len();
        Self { room: Room::Fixed(out), max, written: 0 }
    }

    /// Bytes written so far.
    pub const fn written(&self) -> usize {
        self.written
    }

    /// Writes raw bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        let start = self.written;
        self.written = start.saturating_add(bytes.len());
        if self.written > self.max {
            return;
        }
        match &mut self.room {
            Room::Growing(out) => out.extend_from_slice(bytes),
            Room::Fixed(out) => {
                if let Some(place) = out.get_mut(start..self.written) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Writes an i8.
    pub fn i8(&mut self, value: i8) {
        self.put(&value.to_be_bytes());
    }

    /// Writes an i16.
    pub fn i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }

    /// Writes an i32.
    pub fn i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    /// Writes an i64.
    pub fn i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }

    /// Writes a bool as 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Writes a count or a length as i32; one above `i32::MAX` makes [`Writer::finish`] fail.
    pub fn count(&mut self, count: usize) {
        match i32::try_from(count) {
            Ok(count) => self.i32(count),
            Err(_) => self.written = usize::MAX,
        }
    }

    /// Writes a number of bytes or an offset as i64; one above `i64::MAX` makes
    /// [`Writer::finish`] fail.
    pub fn size(&mut self, size: u64) {
        match i64::try_from(size) {
            Ok(size) => self.i64(size),
            Err(_) => self.written = usize::MAX,
        }
    }

    /// Writes a string.
    pub fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
    }

    /// Writes a string; null as length -1.
    pub fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.i32(-1),
        }
    }

    /// Writes a binary.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.put(bytes);
    }

    /// Ends the writing; returns the number of bytes written.
    ///
    /// # Errors
    /// [`WireError::Full`] if something did not fit: the buffer holds a part only then.
    pub const fn finish(self) -> Result<usize, WireError> {
        if self.written > self.max {
            return Err(WireError::Full { needed: self.written, max: self.max });
        }
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primitives_are_big_endian() {
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 64);
        writer.i8(-2);
        writer.i16(0x0102);
        writer.i32(-1);
        writer.i64(7);
        writer.bool(true);
        writer.string("ms");
        writer.nullable_string(None);
        writer.binary(&[9]);
        assert_eq!(writer.finish(), Ok(31));
        assert_eq!(
            out,
            [
                0xfe, 1, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 0, 2, b'm',
                b's', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 9
            ]
        );
        let mut reader = Reader::new(&out);
        assert_eq!(reader.i8("a"), Ok(-2));
        assert_eq!(reader.i16("b"), Ok(0x0102));
        assert_eq!(reader.i32("c"), Ok(-1));
        assert_eq!(reader.i64("d"), Ok(7));
        assert_eq!(reader.bool("e"), Ok(true));
        assert_eq!(reader.nullable_string(2, "f"), Ok(Some("ms")));
        assert_eq!(reader.nullable_string(2, "g"), Ok(None));
        assert_eq!(reader.binary(1, "h"), Ok([9].as_slice()));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn every_byte_but_one_is_false() {
        for byte in [0, 2, 0xff] {
            assert_eq!(Reader::new(&[byte]).bool("x"), Ok(false));
        }
    }

    #[test]
    fn a_short_field_names_itself_and_takes_nothing() {
        let mut reader = Reader::at(&[1, 2, 3], 10);
        let short = WireError::Short { what: "time", offset: 10, needed: 8, left: 3 };
        assert_eq!(reader.i64("time"), Err(short));
        assert_eq!(reader.left(), 3);
        assert_eq!(short.to_string(), "time at byte 10: 8 bytes needed, 3 left");
    }

    #[test]
    fn lengths_are_checked_before_use() {
        let long = [0, 0, 0, 5, 1, 2, 3, 4, 5];
        assert_eq!(
            Reader::new(&long).binary(4, "name"),
            Err(WireError::Length { what: "name", offset: 0, max: 4, got: 5 })
        );
        let negative = [0xff, 0xff, 0xff, 0xfe];
        assert_eq!(
            Reader::new(&negative).nullable_string(4, "name"),
            Err(WireError::Length { what: "name", offset: 0, max: 4, got: -2 })
        );
        let null = [0xff; 4];
        assert_eq!(
            Reader::new(&null).string(4, "name"),
            Err(WireError::Length { what: "name", offset: 0, max: 4, got: -1 })
        );
        assert_eq!(
            Reader::new(&[0x80, 0, 0, 0, 0, 0, 0, 0]).size("offset"),
            Err(WireError::Value {
                what: "offset",
                offset: 0,
                expected: "a number not below 0",
                got: i64::MIN
            })
        );
    }

    #[test]
    fn bad_text_names_the_byte() {
        assert_eq!(
            Reader::new(&[0, 0, 0, 3, b'a', 0xff, b'b']).string(8, "device"),
            Err(WireError::Text { what: "device", offset: 5, got: 0xff })
        );
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut reader = Reader::new(&[1, 2]);
        assert_eq!(reader.u8("x"), Ok(1));
        assert_eq!(reader.finish(), Err(WireError::Trailing { offset: 1, left: 1 }));
    }

    #[test]
    fn a_writer_stays_within_its_maximum() {
        let mut out = vec![7; 3];
        let mut writer = Writer::append(&mut out, 4);
        writer.i32(1);
        writer.u8(2);
        assert_eq!(writer.finish(), Err(WireError::Full { needed: 5, max: 4 }));
        assert_eq!(out, [7, 7, 7, 0, 0, 0, 1]);

        let mut fixed = [0; 2];
        let mut writer = Writer::into_slice(&mut fixed);
        writer.i16(0x0304);
        assert_eq!(writer.finish(), Ok(2));
        assert_eq!(fixed, [3, 4]);
        let mut writer = Writer::into_slice(&mut fixed);
        writer.size(u64::MAX);
        assert!(writer.finish().is_err());
    }
}

//! Bit streams, most significant bit first, and the numbers of variable length beside them.
//!
//! ```text
//!  bytes   | b7 b6 b5 b4 b3 b2 b1 b0 | b7 ...        reader: loads 8 bytes at a time, shifts
//!  bits      0  1  2  3  4  5  6  7    8
//! ```

use super::CodecError;

/// Bits that one load holds for certain: eight bytes less what a load may begin with.
const LOAD_BITS: u32 = 57;

/// Reads bits from a column.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Next bit.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bits at the top of a word: 57 at least; zeros beyond the end.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        load(self.bytes, self.at / 8) << (self.at % 8)
    }

    /// Steps over bits; whether they were there is what [`Self::check`] says.
    #[inline]
    pub(super) const fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    /// Whether nothing was taken beyond the end.
    #[inline]
    pub(super) fn check(&self) -> Result<(), CodecError> {
        if self.at <= self.bytes.len() * 8 { Ok(()) } else { Err(CodecError::End) }
    }

    /// Takes a number of up to 64 bits.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> Result<u64, CodecError> {
        let value = self.take_unchecked(bits);
        self.check()?;
        Ok(value)
    }

    /// Takes a number of up to 64 bits without asking whether they are all there.
    #[inline]
    pub(super) fn take_unchecked(&mut self, bits: u32) -> u64 {
        if bits > LOAD_BITS {
            let high = self.take_few(bits - 32);
            return (high << 32) | self.take_few(32);
        }
        self.take_few(bits)
    }

    /// Takes a number of up to [`LOAD_BITS`].
    #[inline]
    fn take_few(&mut self, bits: u32) -> u64 {
        // A shift by 64 is none: split it.
        let value = self.peek() >> 1 >> (63 - bits.min(63));
        self.skip(bits);
        value
    }

    /// What follows the byte that the last bit was taken from.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at.div_ceil(8)..).unwrap_or_default()
    }

    /// Bits taken.
    pub(super) const fn position(&self) -> usize {
        self.at
    }
}

/// Eight bytes from `place` on, zeros beyond the end.
#[inline]
fn load(bytes: &[u8], place: usize) -> u64 {
    let rest = bytes.get(place..).unwrap_or_default();
    rest.first_chunk().map_or_else(|| load_last(rest), |chunk| u64::from_be_bytes(*chunk))
}

#[cold]
fn load_last(rest: &[u8]) -> u64 {
    let mut chunk = [0; 8];
    for (to, from) in chunk.iter_mut().zip(rest) {
        *to = *from;
    }
    u64::from_be_bytes(chunk)
}

/// Gives `count` numbers of `width` bits each to `emit`; `bytes` holds them all.
#[inline]
pub(super) fn unpack(
    bytes: &[u8],
    width: u32,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<(), CodecError> {
    if width > 64 || packed_bytes(width, count) > bytes.len() {
        return Err(CodecError::End);
    }
    match width {
        0 => (0..count).for_each(|_| emit(0)),
        1..=LOAD_BITS => {
            let mut at = 0;
            for _ in 0..count {
                emit((load(bytes, at / 8) << (at % 8)) >> (64 - width));
                at += width as usize;
            }
        }
        _ => {
            let mut bits = BitReader::new(bytes);
            (0..count).for_each(|_| emit(bits.take_unchecked(width)));
        }
    }
    Ok(())
}

/// Bytes of `count` numbers of `width` bits.
pub(super) const fn packed_bytes(width: u32, count: usize) -> usize {
    count.saturating_mul(width as usize).div_ceil(8)
}

/// Words that are put together before they go to the column: one copy instead of one for each.
const STAGED_WORDS: usize = 32;

/// Appends bits to a column; ends with [`Self::pad`] or [`Self::pad_always`].
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    stage: Stage<'a>,
    /// Bits that are no full word yet, at the bottom; above them is what was.
    held: u64,
    held_bits: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            stage: Stage { out, words: [[0; 8]; STAGED_WORDS], count: 0 },
            held: 0,
            held_bits: 0,
        }
    }

    /// Appends the lowest `bits` bits of `value`, up to 64; the others must be 0.
    #[inline]
    pub(super) fn put(&mut self, value: u64, bits: u32) {
        let free = 64 - self.held_bits;
        if bits < free {
            self.held = (self.held << bits) | value;
            self.held_bits += bits;
            return;
        }
        // What was held moves to the top, older bits out of the word.
        let over = bits - free;
        let word = self.held.checked_shl(free).unwrap_or(0) | (value >> over);
        self.stage.put(word);
        self.held = value;
        self.held_bits = over;
    }

    /// Fills the last byte with zeros and writes it; says whether there was one to fill.
    pub(super) fn pad(&mut self) -> bool {
        let out = self.stage.write_out();
        let is_partial = !self.held_bits.is_multiple_of(8);
        let bytes = self.held.checked_shl(64 - self.held_bits).unwrap_or(0).to_be_bytes();
        let count = self.held_bits.div_ceil(8) as usize;
        out.extend_from_slice(bytes.get(..count).unwrap_or_default());
        self.held_bits = 0;
        is_partial
    }

    /// Fills the last byte, or appends one: the XOR encodings end with bits to spare.
    pub(super) fn pad_always(&mut self) {
        if !self.pad() {
            self.stage.out.push(0);
        }
    }
}

/// Full words on their way to the column.
#[derive(Debug)]
struct Stage<'a> {
    out: &'a mut Vec<u8>,
    words: [[u8; 8]; STAGED_WORDS],
    count: usize,
}

impl Stage<'_> {
    #[inline]
    fn put(&mut self, word: u64) {
        if self.count == STAGED_WORDS {
            self.write_out();
        }
        if let Some(place) = self.words.get_mut(self.count) {
            *place = word.to_be_bytes();
            self.count += 1;
        }
    }

    #[inline(never)]
    fn write_out(&mut self) -> &mut Vec<u8> {
        let words = self.words.get(..std::mem::take(&mut self.count)).unwrap_or_default();
        self.out.extend_from_slice(words.as_flattened());
        self.out
    }
}

/// Takes `N` bytes off the front.
#[inline]
pub(super) fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (head, rest) = input.split_first_chunk().ok_or(CodecError::End)?;
    *input = rest;
    Ok(*head)
}

/// Takes `count` bytes off the front.
pub(crate) fn take_slice<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], CodecError> {
    let (head, rest) = input.split_at_checked(count).ok_or(CodecError::End)?;
    *input = rest;
    Ok(head)
}

/// A number in base 128, least significant group first, of up to ten bytes.
#[inline]
pub(crate) fn take_var64(input: &mut &[u8]) -> Result<u64, CodecError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array(input)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CodecError::Number)
}

/// As [`take_var64`], of 32 bits (`uvar`).
#[inline]
pub(crate) fn take_var(input: &mut &[u8]) -> Result<u32, CodecError> {
    u32::try_from(take_var64(input)?).map_err(|_| CodecError::Number)
}

/// A zig-zag number of 32 bits (`svar`).
#[inline]
pub(super) fn take_zigzag(input: &mut &[u8]) -> Result<i32, CodecError> {
    let value = take_var(input)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// A length as a zig-zag number.
pub(super) fn take_length(input: &mut &[u8]) -> Result<usize, CodecError> {
    usize::try_from(take_zigzag(input)?).map_err(|_| CodecError::Number)
}

/// Appends a number in base 128.
#[inline]
pub(crate) fn put_var(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(low8(value) | 0x80);
        value >>= 7;
    }
    out.push(low8(value));
}

/// Appends a zig-zag number of 32 bits.
pub(crate) fn put_zigzag(value: i32, out: &mut Vec<u8>) {
    put_var(u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()), out);
}

/// Appends a length as a zig-zag number; lengths are far below 2^31.
pub(crate) fn put_length(length: usize, out: &mut Vec<u8>) {
    put_zigzag(i32::try_from(length).unwrap_or(i32::MAX), out);
}

/// The lowest 32 bits.
#[inline]
pub(super) const fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// The lowest 8 bits.
#[inline]
pub(super) const fn low8(value: u64) -> u8 {
    (value & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_every_width_come_back() {
        let numbers: Vec<(u64, u32)> =
            (0..=64).map(|width| (u64::MAX.checked_shr(64 - width).unwrap_or(0), width)).collect();
        let mut out = Vec::new();
        let mut writer = BitWriter::new(&mut out);
        for (value, width) in &numbers {
            writer.put(*value, *width);
        }
        writer.pad();
        let mut reader = BitReader::new(&out);
        for (value, width) in numbers {
            assert_eq!(reader.take(width), Ok(value), "{width} bits");
        }
        assert!(reader.rest().is_empty());
        assert_eq!(reader.take(9), Err(CodecError::End));
    }

    proptest! {
        #[test]
        fn packed_numbers_come_back(width in 0_u32..=64, numbers in proptest::collection::vec(any::<u64>(), 0..40)) {
            let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
            let numbers: Vec<u64> = numbers.into_iter().map(|number| number & mask).collect();
            let mut out = Vec::new();
            let mut writer = BitWriter::new(&mut out);
            for number in &numbers {
                writer.put(*number, width);
            }
            writer.pad();
            prop_assert_eq!(out.len(), packed_bytes(width, numbers.len()));
            let mut got = Vec::new();
            prop_assert_eq!(unpack(&out, width, numbers.len(), |value| got.push(value)), Ok(()));
            prop_assert_eq!(&got, &numbers);
            if !out.is_empty() {
                out.pop();
                prop_assert_eq!(unpack(&out, width, numbers.len(), |_| ()), Err(CodecError::End));
            }
        }

        #[test]
        fn zigzag_numbers_come_back(value in any::<i32>()) {
            let mut out = Vec::new();
            put_zigzag(value, &mut out);
            prop_assert!(out.len() <= 5);
            prop_assert_eq!(take_zigzag(&mut &out[..]), Ok(value));
        }
    }
}

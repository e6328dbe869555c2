//! RLE: runs of equal values, and bit-packed groups of eight. `RleEncoder` and `RleDecoder` of tsfile.
//!
//! ```text
//!  block   uvar bytes | u8 width | run, run, ...                 repeated to the end of the column
//!  run     uvar count << 1             | value, ceil(width / 8) bytes
//!          u8 (groups << 1) | 1        | u8 used in the last group | groups x width bytes
//! ```
//!
//! The value of a repeated run is little-endian in the 32-bit flavour and big-endian in the 64-bit one.

use super::bits::{BitWriter, low8, put_var, take_array, take_slice, take_var, unpack};
use super::{CodecError, Width};

/// Fewer equal values than this are packed.
const REPEAT_MIN: u32 = 8;
/// Longest repeated run of the stock encoder.
const REPEAT_MAX: u32 = 0x7fff;
/// Groups of eight in one packed run at most.
const GROUPS_MAX: usize = 63;

/// Decodes `count` values; gives back what follows the last block.
pub(super) fn decode(
    mut input: &[u8],
    width: Width,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<&[u8], CodecError> {
    let mut left = count;
    while left > 0 {
        let bytes = take_var(&mut input)?;
        let mut block = take_slice(&mut input, bytes as usize)?;
        let [bits] = take_array(&mut block)?;
        if u32::from(bits) > width.bits() {
            return Err(CodecError::Value { what: "bit width", got: bits.into() });
        }
        while left > 0 && !block.is_empty() {
            left -= run(&mut block, width, bits.into(), left, &mut emit)?;
        }
    }
    Ok(input)
}

/// Decodes one run, of which `left` values at most are wanted; says how many came.
fn run(
    block: &mut &[u8],
    width: Width,
    bits: u32,
    left: usize,
    emit: &mut impl FnMut(u64),
) -> Result<usize, CodecError> {
    let head = take_var(block)?;
    let many = (head >> 1) as usize;
    if head & 1 == 0 {
        let value = run_value(take_slice(block, bits.div_ceil(8) as usize)?, width);
        let count = many.min(left);
        (0..count).for_each(|_| emit(value));
        return Ok(count);
    }
    let [used] = take_array(block)?;
    let packed = take_slice(block, many.saturating_mul(bits as usize))?;
    if many == 0 || used > 8 {
        return Err(CodecError::Value { what: "packed run", got: used.into() });
    }
    let count = (many * 8 - 8 + usize::from(used)).min(left);
    unpack(packed, bits, count, emit)?;
    Ok(count)
}

fn run_value(bytes: &[u8], width: Width) -> u64 {
    let join = |value, byte: &u8| (value << 8) | u64::from(*byte);
    match width {
        Width::W32 => bytes.iter().rev().fold(0, join),
        Width::W64 => bytes.iter().fold(0, join),
    }
}

/// Encodes a column as one block, with the runs that the stock encoder makes.
pub(super) fn encode(
    width: Width,
    values: impl ExactSizeIterator<Item = u64> + Clone,
    out: &mut Vec<u8>,
) {
    let largest = values.clone().fold(0, |all, value| all | value);
    let bits = (64 - largest.leading_zeros()).max(1);
    let mut block = vec![low8(bits.into())];
    // Leading zeros count as repeats: the stock encoder begins as if a zero went before.
    let mut encoder = Encoder {
        width,
        bits,
        block: &mut block,
        groups: Vec::new(),
        previous: 0,
        repeats: 0,
        held: heapless::Vec::new(),
    };
    for value in values {
        encoder.put(value);
    }
    encoder.finish();
    put_var(block.len() as u64, out);
    out.extend_from_slice(&block);
}

struct Encoder<'a> {
    width: Width,
    bits: u32,
    block: &'a mut Vec<u8>,
    /// Values of the packed run, in whole groups.
    groups: Vec<u64>,
    /// The value before, and how often it came in a row.
    previous: u64,
    repeats: u32,
    /// Values that are not in a group yet.
    held: heapless::Vec<u64, 8>,
}

impl Encoder<'_> {
    fn put(&mut self, value: u64) {
        if value == self.previous {
            self.repeats += 1;
            if (REPEAT_MIN..=REPEAT_MAX).contains(&self.repeats) {
                return;
            }
            if self.repeats > REPEAT_MAX {
                self.close_repeated(REPEAT_MAX);
                self.repeats = 1;
            }
        } else {
            if self.repeats >= REPEAT_MIN {
                self.close_repeated(self.repeats);
            }
            self.repeats = 1;
            self.previous = value;
        }
        // Never full here: a full one is taken over below.
        let _full = self.held.push(value);
        if self.held.is_full() {
            self.group();
            self.repeats = 0;
        }
    }

    fn finish(&mut self) {
        if self.repeats >= REPEAT_MIN {
            self.close_repeated(self.repeats);
        } else if self.held.is_empty() {
            self.close_packed(8);
        } else {
            let used = self.held.len();
            let _full = self.held.resize(8, 0);
            self.group();
            self.close_packed(used);
        }
    }

    /// Makes a group of the held values.
    fn group(&mut self) {
        if self.groups.len() == GROUPS_MAX * 8 {
            self.close_packed(8);
        }
        self.groups.extend_from_slice(&self.held);
        self.held.clear();
    }

    /// Writes a repeated run, and drops the few of its values that are held.
    fn close_repeated(&mut self, count: u32) {
        self.close_packed(8);
        self.held.clear();
        let value = self.previous;
        put_var(u64::from(count) << 1, self.block);
        let bytes = self.bits.div_ceil(8) as usize;
        match self.width {
            Width::W32 => self.block.extend(value.to_le_bytes().iter().take(bytes)),
            Width::W64 => self.block.extend(value.to_be_bytes().iter().skip(8 - bytes)),
        }
    }

    fn close_packed(&mut self, used: usize) {
        if self.groups.is_empty() {
            return;
        }
        let groups = self.groups.len() / 8;
        self.block.push(low8((groups as u64) << 1 | 1));
        self.block.push(low8(used as u64));
        let mut bits = BitWriter::new(self.block);
        for value in self.groups.drain(..) {
            bits.put(value, self.bits);
        }
        bits.pad();
    }
}

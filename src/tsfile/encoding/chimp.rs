//! CHIMP: GORILLA that also looks at the last 64 or 128 values. `IntChimpEncoder` of tsfile and its kin.
//!
//! ```text
//!  first value, W bits; then for each value two bits of control:
//!  00 | index                            equals a stored value
//!  01 | index | lead, 3 bits | length | x without its zeros        x = stored ^ value
//!  10 | W - lead bits                    x = previous ^ value, lead as before
//!  11 | lead, 3 bits | W - lead bits     the same with a new lead
//!  ends with a sentinel and 1 to 8 more bits
//! ```

use super::bits::{BitReader, BitWriter, low32};
use super::{CodecError, Width, gorilla, wrong};

/// What the three bits of a lead mean.
const LEADS: [u32; 8] = [0, 8, 12, 16, 18, 20, 22, 24];
/// Most values that are kept.
const STORED_MAX: usize = 128;
/// A lead that no value has.
const NO_LEAD: u32 = 65;

struct Shape {
    /// Values that are kept, a power of two.
    stored: usize,
    index_bits: u32,
    /// More zeros behind than this make a stored value worth its index.
    threshold: u32,
}

const fn shape(width: Width) -> Shape {
    match width {
        Width::W32 => Shape { stored: 64, index_bits: 6, threshold: 11 },
        Width::W64 => Shape { stored: STORED_MAX, index_bits: 7, threshold: 13 },
    }
}

/// Decodes `count` values that stand in front of something else, which is given back.
pub(super) fn decode_within(
    input: &[u8],
    width: Width,
    count: usize,
    emit: impl FnMut(u64),
) -> Result<&[u8], CodecError> {
    let bits = decode(input, width, count + 1, gorilla::first_of(count, emit))?;
    Ok(input.get(bits.position() / 8 + 1..).unwrap_or_default())
}

/// Decodes `count` values; gives back the reader, which stands behind the last of them.
pub(super) fn decode(
    input: &[u8],
    width: Width,
    count: usize,
    mut emit: impl FnMut(u64),
) -> Result<BitReader<'_>, CodecError> {
    let shape = shape(width);
    let mut bits = BitReader::new(input);
    if count == 0 {
        return Ok(bits);
    }
    let mut stored = Stored::new(&shape);
    let mut lead = 0;
    let mut value = bits.take(width.bits())?;
    stored.keep(0, value);
    emit(value);
    for number in 1..count {
        match bits.take(2)? {
            0 => value = stored.at(bits.take(shape.index_bits)?),
            1 => {
                let index = bits.take(shape.index_bits)?;
                lead = lead_of(bits.take(3)?);
                let length = match bits.take(width.length_bits())? {
                    0 => width.bits(),
                    length => low32(length),
                };
                let trail = (width.bits() - lead)
                    .checked_sub(length)
                    .ok_or_else(|| wrong("significant bits", length))?;
                value = stored.at(index) ^ (bits.take(length)? << trail);
            }
            2 => value ^= bits.take(width.bits() - lead)?,
            _ => {
                lead = lead_of(bits.take(3)?);
                value ^= bits.take(width.bits() - lead)?;
            }
        }
        stored.keep(number, value);
        emit(value);
    }
    Ok(bits)
}

fn lead_of(code: u64) -> u32 {
    LEADS.get(low32(code) as usize & 7).copied().unwrap_or_default()
}

/// The last values, by their number.
struct Stored {
    values: [u64; STORED_MAX],
    mask: usize,
}

impl Stored {
    const fn new(shape: &Shape) -> Self {
        Self { values: [0; STORED_MAX], mask: shape.stored - 1 }
    }

    fn keep(&mut self, number: usize, value: u64) {
        if let Some(place) = self.values.get_mut(number & self.mask) {
            *place = value;
        }
    }

    fn at(&self, index: u64) -> u64 {
        self.values.get(low32(index) as usize & self.mask).copied().unwrap_or_default()
    }
}

/// Encodes a column with its sentinel.
pub(super) fn encode(
    width: Width,
    sentinel: u64,
    values: impl Iterator<Item = u64>,
    out: &mut Vec<u8>,
) {
    let shape = shape(width);
    let key_mask = (1_u64 << (shape.threshold + 1)) - 1;
    let mut encoder = Encoder {
        bits: BitWriter::new(out),
        width,
        stored: Stored::new(&shape),
        lead: NO_LEAD,
        last_with_key: vec![0; low32(key_mask) as usize + 1],
        key_mask,
        shape,
        previous: 0,
    };
    for (number, value) in values.chain([sentinel]).enumerate() {
        encoder.put(number, value);
    }
    encoder.bits.pad_always();
}

struct Encoder<'a> {
    bits: BitWriter<'a>,
    width: Width,
    shape: Shape,
    stored: Stored,
    /// The last lead; [`NO_LEAD`] after a value that used an index.
    lead: u32,
    /// Number of the last value whose low bits are the index.
    last_with_key: Vec<usize>,
    key_mask: u64,
    previous: u64,
}

impl Encoder<'_> {
    fn put(&mut self, number: usize, value: u64) {
        let key = low32(value & self.key_mask) as usize;
        if number == 0 {
            self.bits.put(value, self.width.bits());
        } else {
            self.put_next(number, key, value);
        }
        if let Some(last) = self.last_with_key.get_mut(key) {
            *last = number;
        }
        self.stored.keep(number, value);
        self.previous = value;
    }

    fn put_next(&mut self, number: usize, key: usize, value: u64) {
        let candidate = self.last_with_key.get(key).copied().unwrap_or_default();
        // Numbers count from 0, and the previous one is number - 1.
        let is_near = number - 1 - candidate < self.shape.stored;
        let from_candidate = self.stored.at(candidate as u64) ^ value;
        let is_alike =
            from_candidate.trailing_zeros().min(self.width.bits()) > self.shape.threshold;
        let (index, x, by_index) = if is_near && is_alike {
            (candidate, from_candidate, true)
        } else {
            (number - 1, self.previous ^ value, false)
        };
        let index = (index & self.stored.mask) as u64;
        if x == 0 {
            self.bits.put(0, 2);
            self.bits.put(index, self.shape.index_bits);
            self.lead = NO_LEAD;
            return;
        }
        let (code, lead) = rounded(self.width.leading_zeros(x));
        if by_index {
            let trail = x.trailing_zeros();
            let length = self.width.bits() - lead - trail;
            self.bits.put(1, 2);
            self.bits.put(index, self.shape.index_bits);
            self.bits.put(code, 3);
            self.bits.put((length % self.width.bits()).into(), self.width.length_bits());
            self.bits.put(x >> trail, length);
            self.lead = NO_LEAD;
        } else if lead == self.lead {
            self.bits.put(2, 2);
            self.bits.put(x, self.width.bits() - lead);
        } else {
            self.bits.put(3, 2);
            self.bits.put(code, 3);
            self.bits.put(x, self.width.bits() - lead);
            self.lead = lead;
        }
    }
}

/// The largest lead that has a code and is not above `zeros`, with its code.
fn rounded(zeros: u32) -> (u64, u32) {
    let below = LEADS.iter().rposition(|lead| *lead <= zeros).unwrap_or_default();
    (below as u64, LEADS.get(below).copied().unwrap_or_default())
}

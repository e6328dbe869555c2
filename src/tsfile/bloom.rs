//! The bloom filter over the paths of a file's series.
//!
//! A wrong bit hides a series from queries, so it has to be exact: `Murmur128Hash` of tsfile is
//! `MurmurHash3` (x64, 128 bits, both halves added), but for the last bytes of a text, which count as
//! signed. Trailing zero bytes of the filter are not stored.

use std::f64::consts::LN_2;

/// Seeds of the hash functions, as many as there can be.
const SEEDS: [u64; 8] = [5, 7, 11, 19, 31, 37, 43, 59];
/// Share of paths that the filter takes for present by mistake.
const ERROR_RATE: f64 = 0.05;
/// The smallest filter.
const BITS_MIN: u32 = 256;

/// Size and number of hash functions of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bits.
    pub bits: u32,
    /// Hash functions; more than eight count as eight.
    pub hashes: u32,
}

impl Shape {
    /// The shape that stock writers take for a file of so many chunks.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number; more bits than 32 bits count are cut off"
    )]
    pub fn for_chunks(chunks: u64) -> Self {
        let error = ERROR_RATE.ln();
        let chunks = super::encoding::as_double(i64::try_from(chunks).unwrap_or(i64::MAX));
        let bits = (-chunks * error / LN_2 / LN_2) as u32;
        Self { bits: bits.saturating_add(1).max(BITS_MIN), hashes: (-error / LN_2) as u32 + 1 }
    }

    /// The bits that stand for a path.
    pub fn bits_of(self, path: &[u8]) -> impl Iterator<Item = u32> + use<'_> {
        let count = usize::try_from(self.hashes).unwrap_or(usize::MAX);
        let text = Text::new(path);
        SEEDS.iter().take(count).map(move |seed| {
            let hash = low32(text.murmur(*seed));
            // The least integer has no absolute value: Java takes 0.
            let place = if hash == i32::MIN { 0 } else { hash.unsigned_abs() };
            place.checked_rem(self.bits).unwrap_or_default()
        })
    }
}

/// A filter that is being made.
#[derive(Debug)]
pub struct Bloom {
    shape: Shape,
    bytes: Vec<u8>,
}

impl Bloom {
    /// An empty filter: one byte of memory for eight bits.
    pub fn new(shape: Shape) -> Self {
        Self { shape, bytes: vec![0; shape.bits.div_ceil(8) as usize] }
    }

    /// Adds a path.
    pub fn add(&mut self, path: &[u8]) {
        for bit in self.shape.bits_of(path) {
            if let Some(byte) = self.bytes.get_mut(bit as usize / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// The size and the number of functions.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The bytes to store.
    pub fn bytes(&self) -> &[u8] {
        let length = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.bytes.get(..length).unwrap_or_default()
    }
}

/// A hash of a text for comparisons within one run; files know nothing of it.
pub(super) fn text_hash(text: &str) -> u64 {
    Text::new(text.as_bytes()).murmur(0)
}

const fn low32(hash: u64) -> i32 {
    ((hash & 0xffff_ffff) as u32).cast_signed()
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// A text that is hashed with several seeds.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    blocks: &'a [[u8; 16]],
    /// Of the bytes behind the blocks, mixed: the first eight and the others.
    tail: [u64; 2],
    length: u64,
}

impl<'a> Text<'a> {
    fn new(text: &'a [u8]) -> Self {
        let (blocks, tail) = text.as_chunks();
        let (low, high) = tail.split_at(tail.len().min(8));
        // Of no bytes both are 0.
        let tail = [mix1(signed_bytes(low)), mix2(signed_bytes(high))];
        Self { blocks, tail, length: text.len() as u64 }
    }

    fn murmur(self, seed: u64) -> u64 {
        let (mut h1, mut h2) = (seed, seed);
        for block in self.blocks {
            let [k1, k2] = halves(block);
            h1 = (h1 ^ mix1(k1)).rotate_left(27).wrapping_add(h2);
            h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
            h2 = (h2 ^ mix2(k2)).rotate_left(31).wrapping_add(h1);
            h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
        }
        let [low, high] = self.tail;
        finished(h1 ^ low ^ self.length, h2 ^ high ^ self.length)
    }
}

fn finished(mut h1: u64, mut h2: u64) -> u64 {
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (finish(h1), finish(h2));
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1.wrapping_add(h2)
}

/// The two words of a block, little-endian.
fn halves(block: &[u8; 16]) -> [u64; 2] {
    let word = |half: &[u8]| half.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    let (low, high) = block.split_at(8);
    [word(low), word(high)]
}

const fn mix1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

const fn mix2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

/// The last bytes, each with its sign carried upwards.
fn signed_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().rev().zip((0..bytes.len()).rev()).fold(0, |word, (byte, place)| {
        word ^ (i64::from(byte.cast_signed()).cast_unsigned() << (8 * place))
    })
}

const fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(path: &str) -> Vec<i32> {
        SEEDS[..5].iter().map(|seed| low32(Text::new(path.as_bytes()).murmur(*seed))).collect()
    }

    #[test]
    fn hashes_are_those_of_the_library() {
        assert_eq!(
            hashes("root.sg.d1.s1"),
            [-1_021_017_105, 1_766_616_266, 2_009_716_169, -669_598_302, -404_990_910]
        );
        assert_eq!(
            hashes("root.sg.d1."),
            [383_555_547, 421_730_588, -1_226_608_746, 204_269_796, -1_240_322_918]
        );
        assert_eq!(
            hashes("\u{6e29}\u{5ea6}"),
            [65_986_797, 95_007_705, -811_472_855, -1_267_960_614, -103_406_433]
        );
        let bits: Vec<u32> = Shape::for_chunks(1).bits_of(b"root.sg.d1.s1").collect();
        assert_eq!(bits, [17, 202, 201, 94, 190]);
    }

    #[test]
    fn shapes_are_those_of_the_library() {
        assert_eq!(Shape::for_chunks(1), Shape { bits: 256, hashes: 5 });
        assert_eq!(Shape::for_chunks(1000), Shape { bits: 6236, hashes: 5 });
    }

    #[test]
    fn trailing_zeros_are_left_out() {
        let mut bloom = Bloom::new(Shape::for_chunks(1));
        assert!(bloom.bytes().is_empty());
        bloom.add(b"root.sg.d1.s1");
        assert_eq!(bloom.bytes().len(), 26);
    }
}

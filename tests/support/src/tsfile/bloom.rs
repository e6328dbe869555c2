//! The filter that readers ask before they look for a series: `BloomFilter` over `Murmur128Hash`.

const SEEDS: [u64; 5] = [5, 7, 11, 19, 31];
const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// A filter of so many bits, and its number of hash functions.
pub(super) struct Bloom {
    bits: usize,
    bytes: Vec<u8>,
}

impl Bloom {
    /// A filter for a file of so many chunks, one false answer in twenty.
    #[expect(clippy::cast_precision_loss, reason = "a size hint")]
    #[expect(clippy::cast_possible_truncation, reason = "a size hint")]
    #[expect(clippy::cast_sign_loss, reason = "a size hint")]
    pub(super) fn new(chunks: usize) -> Self {
        let ln_2 = std::f64::consts::LN_2;
        let bits = -(chunks as f64) * 0.05_f64.ln() / ln_2 / ln_2;
        let bits = (bits as usize + 1).max(256);
        Self { bits, bytes: vec![0; bits.div_ceil(8)] }
    }

    /// Adds a path.
    pub(super) fn add(&mut self, path: &str) {
        for seed in SEEDS {
            let bit = self.bit(path, seed);
            if let Some(byte) = self.bytes.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// The bytes up to the last one that is not zero.
    pub(super) fn bytes(&self) -> &[u8] {
        let end = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.bytes.get(..end).unwrap_or_default()
    }

    pub(super) fn bits(&self) -> usize {
        self.bits
    }

    pub(super) fn hashes() -> usize {
        SEEDS.len()
    }

    fn bit(&self, path: &str, seed: u64) -> usize {
        let hash = low_word(murmur(path.as_bytes(), seed));
        let size = i32::try_from(self.bits).unwrap_or(i32::MAX);
        usize::try_from(hash.checked_abs().unwrap_or(0) % size).unwrap_or(0)
    }
}

fn low_word(hash: u64) -> i32 {
    let [_, _, _, _, a, b, c, d] = hash.to_be_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// `MurmurHash3` of 128 bits, its halves added; bytes behind the last block are sign-extended.
fn murmur(text: &[u8], seed: u64) -> u64 {
    let (mut h1, mut h2) = (seed, seed);
    let mut blocks = text.chunks_exact(16);
    for block in &mut blocks {
        let (k1, k2) = block.split_at(8);
        h1 ^= mix_1(word(k1));
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix_2(word(k2));
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let tail = blocks.remainder();
    let (low, high) = tail.split_at(tail.len().min(8));
    if !high.is_empty() {
        h2 ^= mix_2(tail_word(high));
    }
    if !low.is_empty() {
        h1 ^= mix_1(tail_word(low));
    }
    let length = u64::try_from(text.len()).unwrap_or(0);
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    let (h1, h2) = (finish(h1), finish(h2));
    let h1 = h1.wrapping_add(h2);
    h1.wrapping_add(h2.wrapping_add(h1))
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn tail_word(bytes: &[u8]) -> u64 {
    let extended = |byte: u8| i64::from(byte.cast_signed()).cast_unsigned();
    let shifted =
        bytes.iter().zip((0..64).step_by(8)).map(|(byte, shift)| extended(*byte) << shift);
    shifted.fold(0, |word, byte| word ^ byte)
}

fn mix_1(word: u64) -> u64 {
    word.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix_2(word: u64) -> u64 {
    word.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_format() {
        let hashes = |path: &str| SEEDS.map(|seed| low_word(murmur(path.as_bytes(), seed)));
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
    }

    #[test]
    fn bits_are_those_of_the_format() {
        let mut bloom = Bloom::new(1);
        assert_eq!(bloom.bits(), 256);
        let bits = SEEDS.map(|seed| bloom.bit("root.sg.d1.s1", seed));
        assert_eq!(bits, [17, 202, 201, 94, 190]);
        bloom.add("root.sg.d1.s1");
        assert_eq!(bloom.bytes().len(), 26);
    }
}

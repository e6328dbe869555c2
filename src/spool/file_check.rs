//! Whether a stored file is still what was taken in: media rot, and nobody else compares.

use std::fmt;

use crate::spool::ListedFile;

/// Compares a file with the hash in its entry while it is read, from its first byte to its last. Costs no
/// reading of its own; a clone goes on from the same place.
#[derive(Clone)]
pub struct FileCheck {
    hasher: blake3::Hasher,
    /// Bytes that are still to come.
    left: u64,
    expected: [u8; 32],
}

/// The bytes of a stored file are not those that were taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its blake3 is {got}, was {expected} when it was taken in")]
pub struct Rotten {
    /// What was taken in.
    pub expected: blake3::Hash,
    /// What was read now.
    pub got: blake3::Hash,
}

impl FileCheck {
    /// The check of a file of this length; a hash of zeros was never computed and fits everything.
    pub fn new(bytes: u64, expected: [u8; 32]) -> Self {
        Self { hasher: blake3::Hasher::new(), left: bytes, expected }
    }

    /// The check of a file of an entry.
    pub fn of(listed: &ListedFile<'_>) -> Self {
        Self::new(listed.bytes, listed.hash)
    }

    /// Takes the bytes that follow. Those that complete the file are judged with it, so a file that is read
    /// at once is judged before anybody has a byte of it.
    ///
    /// # Errors
    /// [`Rotten`], only ever for the last bytes.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Rotten> {
        self.hasher.update(bytes);
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if self.left > 0 || self.expected == [0; 32] {
            return Ok(());
        }
        let (expected, got) = (blake3::Hash::from_bytes(self.expected), self.hasher.finalize());
        if got == expected { Ok(()) } else { Err(Rotten { expected, got }) }
    }

    /// Whether all bytes of the file were taken.
    pub const fn is_complete(&self) -> bool {
        self.left == 0
    }
}

impl fmt::Debug for FileCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileCheck").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"what was taken in";

    fn check() -> FileCheck {
        FileCheck::new(FILE.len() as u64, *blake3::hash(FILE).as_bytes())
    }

    #[test]
    fn every_flipped_bit_shows_with_the_last_byte() {
        for bit in 0..FILE.len() * 8 {
            let mut rotten = FILE.to_vec();
            rotten[bit / 8] ^= 1 << (bit % 8);
            for cut in 0..FILE.len() {
                let mut check = check();
                assert_eq!(check.update(&rotten[..cut]), Ok(()));
                let rotten = check.update(&rotten[cut..]).unwrap_err();
                assert_eq!(rotten.expected, blake3::hash(FILE));
            }
        }
    }

    #[test]
    fn whole_files_and_those_without_a_hash_pass() {
        assert_eq!(check().update(FILE), Ok(()));
        assert_eq!(FileCheck::new(3, [0; 32]).update(b"any"), Ok(()));
        assert_eq!(FileCheck::new(0, *blake3::hash(b"").as_bytes()).update(b""), Ok(()));
        assert!(FileCheck::new(0, *blake3::hash(b"x").as_bytes()).update(b"").is_err());
    }
}

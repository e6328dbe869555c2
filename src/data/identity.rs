//! Who took a piece of data in first, and under which number.
//!
//! The first Penstock node that takes something in gives it an identity, and no later node changes it.
//! De-duplication, the end of loops, and the search for gaps rest on it. It travels in places where
//! stock IoTDB takes any text:
//!
//! ```text
//!  plan node id of a body     P1:00112233445566778899aabbccddeeff:00000000000000000042          56 bytes
//!  name of a file's pieces    P1-00112233445566778899aabbccddeeff-00000000000000000042-x.tsfile  57 + name
//!                             |  | origin id, 32 hex digits       | sequence, 20 digits
//!                             |  + of the node's first start      + of that node's spool
//!                             + version of the text
//! ```
//!
//! Both are of fixed width and have one spelling only (hex digits in lower case, leading zeros kept), so
//! that what was parsed is written back as it was. A colon is not legal in file names on every host;
//! hence the second form.

use std::fmt;

/// Bytes of the text form in a plan node id.
pub const PLAN_NODE_ID_BYTES: usize = 56;
/// Bytes that stand in front of the name of a file that has an identity.
pub const FILE_PREFIX_BYTES: usize = 57;

const ORIGIN_DIGITS: usize = 32;
const SEQUENCE_DIGITS: usize = 20;
const TAG: &[u8; 2] = b"P1";
/// Marks origins of parts.
const PART_TAG: &[u8; 2] = b"PT";
const PART_TAG_END: usize = 12;
/// Marks parts that a sampler left.
const SAMPLED: u32 = 1 << 31;

/// Number of an entry in the spool of its origin; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A node's identity: 128 random bits, made at its first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OriginId(pub [u8; 16]);

impl OriginId {
    /// The id as 32 hex digits in lower case.
    pub fn text(self) -> Ascii<ORIGIN_DIGITS> {
        let mut text = [0; ORIGIN_DIGITS];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [hex_digit(byte >> 4), hex_digit(byte & 0x0f)];
        }
        Ascii(text)
    }

    /// The origin of parts of this one's entries, as a filter cuts them: a part is not its entry, and two filters cut
    /// different ones. `filter` tells filters apart.
    ///
    /// ```text
    ///  BLAKE3 of the origin: 10 bytes | "PT" | sampled: 1 bit | filter: 31 bits    of a part that is cut again: both
    /// ```
    #[must_use]
    pub fn of_parts(self, filter: u32) -> Self {
        self.of(filter & !SAMPLED)
    }

    /// The same of parts that a sampler leaves: which ones depends on what it saw before, so the same entry may leave
    /// other points another time, under the same identity.
    #[must_use]
    pub fn of_samples(self, sampler: u32) -> Self {
        self.of(sampler | SAMPLED)
    }

    fn of(self, filter: u32) -> Self {
        let (mut id, filter) = match self.0.split_at(PART_TAG_END) {
            (known, before) if known.ends_with(PART_TAG) => {
                let both = [before, &filter.to_be_bytes()[..]].concat();
                let is_sampled = (filter & SAMPLED) | (self.part() & SAMPLED);
                (self.0, crc32fast::hash(&both) & !SAMPLED | is_sampled)
            }
            _ => (self.head_of_parts(), filter),
        };
        for (to, from) in id.iter_mut().skip(PART_TAG_END).zip(filter.to_be_bytes()) {
            *to = from;
        }
        Self(id)
    }

    /// Whether these are what samplers left of some origin's entries ([`Self::of_samples`]).
    #[must_use]
    pub fn is_of_samples(self) -> bool {
        self.is_of_parts() && self.part() & SAMPLED != 0
    }

    /// What tells parts of one origin apart.
    fn part(self) -> u32 {
        self.0.last_chunk().copied().map_or(0, u32::from_be_bytes)
    }

    /// Whether this is the origin of parts of `origin`'s entries.
    pub fn is_of_parts_of(self, origin: Self) -> bool {
        self != origin && self.is_of_parts() && self.family() == origin.family()
    }

    /// Whether this is the origin of parts of some origin's entries.
    pub fn is_of_parts(self) -> bool {
        self.0.get(..PART_TAG_END).is_some_and(|head| head.ends_with(PART_TAG))
    }

    /// What an origin has in common with those of parts of its entries, and with nobody else: their sequences are its own.
    pub fn family(self) -> Family {
        let head = if self.is_of_parts() { self.0 } else { self.head_of_parts() };
        Family(head.first_chunk().copied().unwrap_or_default())
    }

    fn head_of_parts(self) -> [u8; 16] {
        let mut id = [0; 16];
        let hash = blake3::hash(&self.0);
        let bytes = hash.as_bytes().iter().take(PART_TAG_END - PART_TAG.len()).chain(PART_TAG);
        for (to, from) in id.iter_mut().zip(bytes) {
            *to = *from;
        }
        id
    }

    /// The id that 32 hex digits in lower case stand for; `None` for any other text.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; ORIGIN_DIGITS] = text.try_into().ok()?;
        let mut id = [0; 16];
        for (byte, [high, low]) in id.iter_mut().zip(text.as_chunks::<2>().0) {
            *byte = hex_value(*high)? << 4 | hex_value(*low)?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for OriginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// An origin and those of parts of its entries; see [`OriginId::family`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Family([u8; PART_TAG_END]);

/// What identifies an entry everywhere: its origin, and its sequence there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The node that took the data in first.
    pub origin: OriginId,
    /// The entry's number in that node's spool.
    pub sequence: Sequence,
}

impl Identity {
    /// The text that is written as plan node id.
    pub fn plan_node_id(self) -> Ascii<PLAN_NODE_ID_BYTES> {
        let mut text = [0; PLAN_NODE_ID_BYTES];
        self.write(b':', &mut text);
        Ascii(text)
    }

    /// The identity in a plan node id; `None` if the id is any other text (stock peers write `1`).
    pub fn parse_plan_node_id(text: &[u8]) -> Option<Self> {
        Self::parse(b':', text)
    }

    /// What goes in front of a file's name; it ends with a hyphen.
    pub fn file_prefix(self) -> Ascii<FILE_PREFIX_BYTES> {
        let mut text = [b'-'; FILE_PREFIX_BYTES];
        self.write(b'-', &mut text);
        Ascii(text)
    }

    /// Identity and original name of a file; `None` if the name has no identity or nothing behind it.
    pub fn parse_file_name(name: &[u8]) -> Option<(Self, &[u8])> {
        let (prefix, rest) = name.split_at_checked(FILE_PREFIX_BYTES)?;
        let (b'-', identity) = prefix.split_last()? else { return None };
        (!rest.is_empty()).then_some((Self::parse(b'-', identity)?, rest))
    }

    fn write(self, separator: u8, into: &mut [u8]) {
        let origin = self.origin.text().0;
        let mut digits = [b'0'; SEQUENCE_DIGITS];
        let mut rest = self.sequence.0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + decimal(rest % 10);
            rest /= 10;
        }
        let parts =
            TAG.iter().chain([&separator]).chain(&origin).chain([&separator]).chain(&digits);
        for (to, from) in into.iter_mut().zip(parts) {
            *to = *from;
        }
    }

    fn parse(separator: u8, text: &[u8]) -> Option<Self> {
        let text: &[u8; PLAN_NODE_ID_BYTES] = text.try_into().ok()?;
        let rest = text.strip_prefix(TAG)?.strip_prefix(&[separator])?;
        let (origin, rest) = rest.split_at_checked(ORIGIN_DIGITS)?;
        let digits = rest.strip_prefix(&[separator])?;
        let sequence = digits.iter().try_fold(0_u64, |number, digit| {
            let value = digit.checked_sub(b'0').filter(|value| *value < 10)?;
            number.checked_mul(10)?.checked_add(u64::from(value))
        })?;
        Some(Self { origin: OriginId::parse(origin)?, sequence: Sequence(sequence) })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plan_node_id().as_str())
    }
}

/// A short ASCII text of fixed length, held in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ascii<const N: usize>([u8; N]);

impl<const N: usize> Ascii<N> {
    /// The text as bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Ascii<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) }
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn decimal(below_ten: u64) -> u8 {
    u8::try_from(below_ten).unwrap_or_default()
}

const _: () = assert!(PLAN_NODE_ID_BYTES == TAG.len() + 1 + ORIGIN_DIGITS + 1 + SEQUENCE_DIGITS);
const _: () = assert!(FILE_PREFIX_BYTES == PLAN_NODE_ID_BYTES + 1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "P1:00112233445566778899aabbccddeeff:00000000000000000042";
    const FILE: &str = "P1-00112233445566778899aabbccddeeff-00000000000000000042-x.tsfile";

    fn sample() -> Identity {
        let mut origin = [0; 16];
        for (index, byte) in (0_u8..).zip(&mut origin) {
            *byte = index * 0x11;
        }
        Identity { origin: OriginId(origin), sequence: Sequence(42) }
    }

    #[test]
    fn both_texts_are_written_as_drawn() {
        assert_eq!(sample().plan_node_id().as_str(), TEXT);
        assert_eq!(sample().to_string(), TEXT);
        assert_eq!(format!("{}x.tsfile", sample().file_prefix()), FILE);
        assert_eq!(sample().origin.to_string(), "00112233445566778899aabbccddeeff");
    }

    #[test]
    fn both_texts_are_read_back() {
        assert_eq!(Identity::parse_plan_node_id(TEXT.as_bytes()), Some(sample()));
        assert_eq!(Identity::parse_file_name(FILE.as_bytes()), Some((sample(), &b"x.tsfile"[..])));
    }

    #[test]
    fn the_largest_sequence_fits_and_one_more_is_refused() {
        let max = Identity { sequence: Sequence(u64::MAX), ..sample() };
        let text = max.plan_node_id();
        assert_eq!(Identity::parse_plan_node_id(text.as_bytes()), Some(max));
        let over = text.as_str().replace("18446744073709551615", "18446744073709551616");
        assert_eq!(Identity::parse_plan_node_id(over.as_bytes()), None);
        assert_eq!(Sequence(u64::MAX).next(), Sequence(u64::MAX));
    }

    #[test]
    fn any_other_text_has_no_identity() {
        let text = TEXT.as_bytes();
        let changed = |from: &str, to: &str| TEXT.replace(from, to).into_bytes();
        let longer = [text, b"0"].concat();
        let others = [changed("aabb", "AABB"), changed("P1", "P2"), changed(":", "-"), longer];
        for other in others.iter().map(Vec::as_slice).chain([&b""[..], b"1", b"P1", &text[..55]]) {
            assert_eq!(Identity::parse_plan_node_id(other), None, "{}", other.escape_ascii());
        }
        let name = FILE.as_bytes();
        for other in [&b""[..], b"x.tsfile", &name[..56], &name[..57], text] {
            assert_eq!(Identity::parse_file_name(other), None, "{}", other.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn every_identity_survives_both_texts(origin: [u8; 16], sequence: u64) {
            let identity = Identity { origin: OriginId(origin), sequence: Sequence(sequence) };
            prop_assert_eq!(Identity::parse_plan_node_id(identity.plan_node_id().as_bytes()), Some(identity));
            let name = format!("{}f", identity.file_prefix());
            prop_assert_eq!(Identity::parse_file_name(name.as_bytes()), Some((identity, &b"f"[..])));
        }

        #[test]
        fn one_changed_byte_never_reads_as_the_same(at in 0..PLAN_NODE_ID_BYTES, bit in 0..8_u32) {
            let mut text = TEXT.as_bytes().to_vec();
            text[at] ^= 1 << bit;
            prop_assert_ne!(Identity::parse_plan_node_id(&text), Some(sample()));
        }
    }

    #[test]
    fn parts_have_an_origin_by_filter_that_their_own_origin_knows() {
        let (origin, other) = (OriginId([7; 16]), OriginId([8; 16]));
        let part = origin.of_parts(1);
        assert_eq!(part, origin.of_parts(1));
        assert_ne!(part, origin.of_parts(2));
        assert_ne!(part, other.of_parts(1));
        let again = part.of_parts(2);
        assert!(again != part && again != origin.of_parts(2));
        for id in [part, again] {
            assert!(id.is_of_parts_of(origin) && !id.is_of_parts_of(other) && id != origin);
            assert!(id.is_of_parts() && id.family() == origin.family());
        }
        let sampled = [origin.of_samples(1), part.of_samples(1), origin.of_samples(1).of_parts(1)];
        for id in sampled {
            assert!(id.is_of_samples() && id.is_of_parts_of(origin));
        }
        assert!(sampled.iter().collect::<std::collections::HashSet<_>>().len() == sampled.len());
        assert!(![origin, part, again].iter().any(|id| id.is_of_samples()));
        assert_ne!(origin.family(), other.family());
        assert!(!origin.is_of_parts_of(origin));
    }
}

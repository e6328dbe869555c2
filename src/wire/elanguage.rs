//! The E-language wrapper: constant text around a frame, for gates that pass only such traffic.
//!
//! ```text
//!  +------------------+----------------+------------------+
//!  | PREFIX, 63 bytes | frame          | SUFFIX, 15 bytes |
//!  +------------------+----------------+------------------+
//! ```
//!
//! Length and checksum stay those of the inner frame, and the answer byte is never wrapped. Defined
//! by `AirGapELanguageConstant`. A stock receiver recognises the prefix by its first eight bytes and
//! compares nothing else; so do we: a gate may rewrite the attributes of the text.

/// What stands in front of every frame of a wrapped connection.
pub const PREFIX: &[u8; 63] = b"<!System=IoTDB Version=1.0 Code=UTF-8 Data=1.0!>\n<block:=Free>\n";

/// What stands behind every frame of a wrapped connection.
pub const SUFFIX: &[u8; 15] = b"\n</block:=Free>";

/// The first bytes of [`PREFIX`]: the two halves differ, so they cannot be a legal pair of lengths.
pub const MARK: [u8; 8] = *b"<!System";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_begins_the_prefix() {
        assert_eq!(PREFIX.first_chunk(), Some(&MARK));
        assert_eq!(SUFFIX.first(), Some(&b'\n'));
    }
}

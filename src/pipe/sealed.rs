//! A text behind a line that tells whether it is whole: so are all small files of pipes.
//!
//! ```text
//!  penstock-pipe 1 5e1c0f3a       magic, which ends with the version; CRC32 of all that follows this line, in hexadecimal
//!  <text>
//! ```

use super::RecordError;

/// The bytes of a file with this text.
pub(super) fn seal(magic: &str, text: &str) -> String {
    format!("{magic}{:08x}\n{text}", crc32fast::hash(text.as_bytes()))
}

/// The text of a file.
///
/// # Errors
/// If the bytes are not those that [`seal`] made with this magic.
pub(super) fn unseal<'a>(magic: &str, bytes: &'a [u8]) -> Result<&'a str, RecordError> {
    let whole = std::str::from_utf8(bytes).map_err(|_| RecordError::Checksum)?;
    let (sum, text) = whole
        .strip_prefix(magic)
        .and_then(|after| after.split_once('\n'))
        .ok_or(RecordError::Version)?;
    if sum != format!("{:08x}", crc32fast::hash(text.as_bytes())) {
        return Err(RecordError::Checksum);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &str = "penstock-x 1 ";
    const SEALED: &str = "penstock-x 1 cbf43926\n123456789";

    #[test]
    fn a_sealed_text_has_these_bytes_and_no_others() {
        assert_eq!(seal(MAGIC, "123456789"), SEALED);
        assert_eq!(unseal(MAGIC, SEALED.as_bytes()), Ok("123456789"));
        assert_eq!(unseal("penstock-x 2 ", SEALED.as_bytes()), Err(RecordError::Version));
        assert_eq!(unseal(MAGIC, &SEALED.as_bytes()[..20]), Err(RecordError::Version));
        for at in 0..SEALED.len() {
            for bit in 0..8 {
                let mut flipped = SEALED.as_bytes().to_vec();
                flipped[at] ^= 1 << bit;
                assert!(unseal(MAGIC, &flipped).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}

//! Numbers and texts as `TsFile`s have them.

/// Bytes that values are added to.
pub(super) trait Bytes {
    fn put_i32(&mut self, value: i32);
    fn put_i64(&mut self, value: i64);
    fn put_f64(&mut self, value: f64);
    /// Seven bits a byte, the least significant first.
    fn put_uvar(&mut self, value: usize);
    /// The same of a zigzag.
    fn put_svar(&mut self, value: i32);
    /// A text behind its length as a signed varint.
    fn put_text(&mut self, text: &str);
    /// Bytes behind their length as a signed varint.
    fn put_binary(&mut self, bytes: &[u8]);
    /// Bytes behind their length as an i32.
    fn put_long_binary(&mut self, bytes: &[u8]);
}

impl Bytes for Vec<u8> {
    fn put_i32(&mut self, value: i32) {
        self.extend(value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend(value.to_be_bytes());
    }

    fn put_f64(&mut self, value: f64) {
        self.extend(value.to_be_bytes());
    }

    fn put_uvar(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.push(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.push(low_bits(value));
    }

    fn put_svar(&mut self, value: i32) {
        let zigzag = (value << 1) ^ (value >> 31);
        self.put_uvar(usize::try_from(zigzag.cast_unsigned()).unwrap_or(0));
    }

    fn put_text(&mut self, text: &str) {
        self.put_binary(text.as_bytes());
    }

    fn put_binary(&mut self, bytes: &[u8]) {
        self.put_svar(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.extend_from_slice(bytes);
    }

    fn put_long_binary(&mut self, bytes: &[u8]) {
        self.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.extend_from_slice(bytes);
    }
}

fn low_bits(value: usize) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_as_in_the_format() {
        let mut bytes = Vec::new();
        for value in [1, -1, 64, 300] {
            bytes.put_svar(value);
        }
        assert_eq!(bytes, [0x02, 0x01, 0x80, 0x01, 0xd8, 0x04]);
        let mut bytes = Vec::new();
        bytes.put_uvar(127);
        bytes.put_uvar(128);
        bytes.put_text("s1");
        assert_eq!(bytes, [0x7f, 0x80, 0x01, 0x04, b's', b'1']);
    }
}

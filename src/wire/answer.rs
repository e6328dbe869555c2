//! The answer byte: all that comes back through the gate.
//!
//! Defined by `AirGapOneByteResponse`.

/// One byte for each frame, and never one unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Answer {
    /// 0x00: taken over. For whatever completes something this means: on disk, synced.
    Accepted = 0x00,
    /// 0xFF: refused.
    Refused = 0xff,
}

impl Answer {
    /// What a sender reads: every byte other than 0x00 is a refusal.
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0x00 => Self::Accepted,
            _ => Self::Refused,
        }
    }

    /// The byte that a receiver writes.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Accepted => 0x00,
            Self::Refused => 0xff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_accepts() {
        assert_eq!(Answer::from_byte(0), Answer::Accepted);
        for byte in 1..=u8::MAX {
            assert_eq!(Answer::from_byte(byte), Answer::Refused);
        }
        assert_eq!(Answer::from_byte(Answer::Accepted.byte()), Answer::Accepted);
        assert_eq!(Answer::Refused.byte(), 0xff);
    }
}

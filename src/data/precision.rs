//! The unit of time stamps.

/// Unit of all time stamps of a cluster; its text is the handshake's `timestampPrecision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Precision {
    /// Milliseconds, what IoTDB is installed with.
    #[default]
    Ms = 0,
    /// Microseconds.
    Us = 1,
    /// Nanoseconds.
    Ns = 2,
}

impl Precision {
    /// The precision that a handshake or a configuration names; `None` for any other text.
    pub const fn from_text(text: &[u8]) -> Option<Self> {
        match text {
            b"ms" => Some(Self::Ms),
            b"us" => Some(Self::Us),
            b"ns" => Some(Self::Ns),
            _ => None,
        }
    }

    /// The precision with this code, as files keep it.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Ms),
            1 => Some(Self::Us),
            2 => Some(Self::Ns),
            _ => None,
        }
    }

    /// The byte that files keep: 0, 1, 2.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// `ms`, `us` or `ns`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Ns => "ns",
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_codes_go_both_ways() {
        for precision in [Precision::Ms, Precision::Us, Precision::Ns] {
            assert_eq!(Precision::from_text(precision.text().as_bytes()), Some(precision));
            assert_eq!(Precision::from_code(precision.code()), Some(precision));
        }
        for wrong in [&b""[..], b"MS", b"s", b"ms "] {
            assert_eq!(Precision::from_text(wrong), None);
        }
        assert_eq!(Precision::from_code(3), None);
    }
}

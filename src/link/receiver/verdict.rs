//! What happens to a frame that cannot simply be taken: one table.
//!
//! Stock peers decide it (`pipe-transfer` of IoTDB): a sender drops what was refused for a minute
//! without a word, repeats some refusals thousands of times a second, counts a plain close as a
//! refusal; but it waits for an answer as long as it takes, and repeats at once after a reset. So
//! passing trouble never shows as a refusal, and a refusal is never quick.

use std::time::Duration;

use crate::limits;

/// Why a frame is not simply taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// The spool has no room now.
    SpoolFull,
    /// The disk has not taken it yet.
    DiskSlow,
    /// The quarantine has no room now.
    QuarantineFull,
    /// One of the three above lasted for `hold_max`.
    HeldTooLong,
    /// The checksum is not the payload's.
    Checksum,
    /// Lengths that should be equal differ, or a length is impossible.
    Lengths,
    /// The frame, or what it says it contains, is above its limit.
    TooLong,
    /// A piece, slice or seal that does not belong here now.
    OutOfPlace,
    /// More files at a time than a connection may have.
    TooManyFiles,
    /// A first frame that was not whole in time.
    Unfinished,
    /// Anything but a handshake before one was accepted.
    NoHandshake,
    /// A file that is larger than the spool may ever be.
    NeverFits,
    /// The disk has failed so often that the node takes nothing.
    ReadOnly,
    /// The node stops.
    Stopping,
    /// The name of a file leaves its directory, or is no name.
    FileName,
    /// A `TsFile` whose structure is flawed.
    FlawedFile,
    /// A known type with a body that makes no sense.
    Undecodable,
    /// Wrappers within wrappers, deeper than anyone sends.
    TooManyWrappers,
    /// A type that nobody sends.
    UnknownType,
    /// A version other than 1.
    UnknownVersion,
    /// Data of our own identity that we never gave: this box or the peer is a clone.
    Cloned,
    /// A handshake that is not accepted.
    Handshake(HandshakeFlaw),
}

/// Why a handshake is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandshakeFlaw {
    /// Its body makes no sense.
    Undecodable,
    /// It names no cluster.
    NoCluster,
    /// It names our own cluster: a loop, or a cloned box.
    OwnCluster,
    /// It names no precision, or one that does not exist.
    NoPrecision,
    /// It names another precision than the node's.
    Precision,
    /// User or password are not the configured ones.
    Login,
    /// A V1 handshake after a refused V2: it would go round the checks of the other.
    Fallback,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer waits; the connection is not read.
    Hold,
    /// The connection is reset; nothing of the frame is kept.
    Reset,
    /// The frame is kept, synced, in quarantine, for a person to look at; then 0x00.
    AcceptAfterQuarantine,
    /// 0xFF, not sooner than this after the frame.
    RefuseAfter(Duration),
    /// 0xFF at once.
    RefuseNow,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::SpoolFull,
        Self::DiskSlow,
        Self::QuarantineFull,
        Self::HeldTooLong,
        Self::Checksum,
        Self::Lengths,
        Self::TooLong,
        Self::OutOfPlace,
        Self::TooManyFiles,
        Self::Unfinished,
        Self::NoHandshake,
        Self::NeverFits,
        Self::ReadOnly,
        Self::Stopping,
        Self::FileName,
        Self::FlawedFile,
        Self::Undecodable,
        Self::TooManyWrappers,
        Self::UnknownType,
        Self::UnknownVersion,
        Self::Cloned,
        Self::Handshake(HandshakeFlaw::Undecodable),
        Self::Handshake(HandshakeFlaw::NoCluster),
        Self::Handshake(HandshakeFlaw::OwnCluster),
        Self::Handshake(HandshakeFlaw::NoPrecision),
        Self::Handshake(HandshakeFlaw::Precision),
        Self::Handshake(HandshakeFlaw::Login),
        Self::Handshake(HandshakeFlaw::Fallback),
    ];

    /// A byte for it, above 0: within the program an answer may say why, which over a gate it may not.
    pub fn code(self) -> u8 {
        let place = Self::ALL.iter().position(|case| *case == self);
        place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(u8::MAX)
    }

    /// The case of such a byte.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// The table.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::SpoolFull | Self::DiskSlow | Self::QuarantineFull => Verdict::Hold,
            Self::HeldTooLong
            | Self::Checksum
            | Self::Lengths
            | Self::TooLong
            | Self::OutOfPlace
            | Self::TooManyFiles
            | Self::Unfinished
            | Self::NoHandshake
            | Self::NeverFits
            | Self::ReadOnly
            | Self::Stopping => Verdict::Reset,
            Self::FileName | Self::FlawedFile | Self::Undecodable | Self::TooManyWrappers => {
                Verdict::AcceptAfterQuarantine
            }
            Self::UnknownType | Self::UnknownVersion | Self::Cloned => {
                Verdict::RefuseAfter(limits::REFUSAL_DELAY)
            }
            Self::Handshake(_) => Verdict::RefuseNow,
        }
    }

    /// What an operator reads: a name without spaces, for logs and `.why` texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::DiskSlow => "disk_slow",
            Self::QuarantineFull => "quarantine_full",
            Self::HeldTooLong => "held_too_long",
            Self::Checksum => "checksum",
            Self::Lengths => "lengths_differ",
            Self::TooLong => "too_long",
            Self::OutOfPlace => "out_of_place",
            Self::TooManyFiles => "too_many_files",
            Self::Unfinished => "unfinished",
            Self::NoHandshake => "no_handshake",
            Self::NeverFits => "never_fits",
            Self::ReadOnly => "read_only",
            Self::Stopping => "stopping",
            Self::FileName => "file_name",
            Self::FlawedFile => "flawed_file",
            Self::Undecodable => "undecodable",
            Self::TooManyWrappers => "too_many_wrappers",
            Self::UnknownType => "unknown_type",
            Self::UnknownVersion => "unknown_version",
            Self::Cloned => "cloned",
            Self::Handshake(flaw) => flaw.name(),
        }
    }
}

impl HandshakeFlaw {
    /// What an operator reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Undecodable => "handshake_undecodable",
            Self::NoCluster => "handshake_without_cluster",
            Self::OwnCluster => "handshake_of_own_cluster",
            Self::NoPrecision => "handshake_without_precision",
            Self::Precision => "handshake_of_other_precision",
            Self::Login => "handshake_login",
            Self::Fallback => "handshake_fallback",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_has_its_verdict() {
        use Case::*;
        let second = Verdict::RefuseAfter(Duration::from_secs(1));
        let rows: &[(Verdict, &[Case])] = &[
            (Verdict::Hold, &[SpoolFull, DiskSlow, QuarantineFull]),
            (
                Verdict::Reset,
                &[
                    HeldTooLong,
                    Checksum,
                    Lengths,
                    TooLong,
                    OutOfPlace,
                    TooManyFiles,
                    Unfinished,
                    NoHandshake,
                    NeverFits,
                    ReadOnly,
                    Stopping,
                ],
            ),
            (Verdict::AcceptAfterQuarantine, &[FileName, FlawedFile, Undecodable, TooManyWrappers]),
            (second, &[UnknownType, UnknownVersion, Cloned]),
            (
                Verdict::RefuseNow,
                &[
                    Handshake(HandshakeFlaw::Undecodable),
                    Handshake(HandshakeFlaw::NoCluster),
                    Handshake(HandshakeFlaw::OwnCluster),
                    Handshake(HandshakeFlaw::NoPrecision),
                    Handshake(HandshakeFlaw::Precision),
                    Handshake(HandshakeFlaw::Login),
                    Handshake(HandshakeFlaw::Fallback),
                ],
            ),
        ];
        let mut names = std::collections::BTreeSet::new();
        for (verdict, cases) in rows {
            for case in *cases {
                assert_eq!(case.verdict(), *verdict, "{case:?}");
                assert!(names.insert(case.name()), "{} stands twice", case.name());
            }
        }
        assert_eq!(names.len(), Case::ALL.len());
        for case in Case::ALL {
            assert!(names.contains(case.name()));
            assert_eq!(Case::of_code(case.code()), Some(case));
        }
        assert_eq!((Case::of_code(0), Case::of_code(29)), (None, None));
    }
}

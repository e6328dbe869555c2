//! Every kind of trouble, with its condition and its remedy.
//!
//! | kind | condition | remedy |
//! |---|---|---|
//! | `spool-filling` | at the present rates the spool is full within 7 days | bring the far side back, or raise `[spool] max_bytes` |
//! | `spool-full` | nothing more fits: intakes hold (`block`) or the oldest entries go (`drop-oldest`); about `inbox`: its next file has waited for room for 30 s | the same; or `DROP PIPE` the one that needs them |
//! | `disk-slow` | an operation on the disk has taken longer than 10 s | look at the disk and at what else uses it |
//! | `disk-failing` | the same disk error ended the program 3 times within 10 minutes; the spool is read only | replace the disk or free it, then restart |
//! | `stuck` | a loop has made no turn for longer than 12 s outside a named operation | nothing: the watchdog restarts the node; send the log |
//! | `no-answer` | something to send has waited for minutes without an accepted frame | look at the gate, the far side and the route |
//! | `refused` | the far side keeps refusing the entry at the head of a pipe | look at the far side's log |
//! | `quarantine` | things lie in quarantine that were never acceptable or could not be read | read each `.why`, fetch or delete them, then `ack` |
//! | `quarantine-full` | quarantine is full, so that answers are held | empty it, or raise `[quarantine] max_bytes` |
//! | `dead-letters` | entries lie in a pipe's dead-letter directory | `REPLAY PIPE` sends them; or fetch them, then `ack` |
//! | `file-too-large` | a file cannot fit into the spool | make room for the bytes that are named |
//! | `clock-wrong` | the clock shows a time before the program was made, or jumped | set the clock |
//! | `held` | answers have been held for longer than 30 s | see what is full or slow; after 10 min a held connection is reset |
//! | `not-understood` | a request of a type or version that this build does not know was refused | a stock sender drops it after a minute, without a word: compare both sides |
//! | `handshake-refused` | a peer cannot log in, or does not say what it must | correct what is named, on the peer |
//! | `resets` | a peer's connections are reset again and again for one reason | see its reason |
//! | `precision-differs` | a peer's timestamp precision is not ours | configure both sides alike |
//! | `cloned-box` | a peer has our own identity or gives its numbers a second time, or our data directory is a copy | `new-id` on the copy; a copied directory did it by itself |
//! | `landing-full` | the landing directory's limit or disk is used up | fetch the files, or raise `[landing] max_bytes` |
//! | `landing-failed` | a file could not be landed | look at the directory's rights and disk |
//! | `inbox-blocked` | a file of the inbox cannot be taken or put away | look at the directory's rights and disk |
//! | `certificate-expires` | a certificate ends within 30 days | renew it |
//! | `loop` | data comes back to where it came from | switch forwarding off on one node of the ring |
//! | `pipe-error` | a pipe cannot run | correct what its message names |
//! | `unsampled` | a pipe that samples has more series than it keeps track of | divide the series among several pipes |
//! | `pipe-stopped` | a stopped pipe keeps the spool from releasing entries | `START PIPE`, `DROP PIPE`, or put its stanza back |
//!
//! `certificate-expires` is a name for what comes with TLS. `loop` is one for a ring through a stock node: all other rings
//! end by identity, and a gate does not tell which cluster is behind it. This build cannot raise them.

/// The kinds of trouble; the table is in the module, with the condition and the remedy of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the module's table says what each is")]
pub enum TroubleKind {
    SpoolFilling,
    SpoolFull,
    DiskSlow,
    DiskFailing,
    Stuck,
    NoAnswer,
    Refused,
    Quarantine,
    QuarantineFull,
    DeadLetters,
    FileTooLarge,
    ClockWrong,
    Held,
    NotUnderstood,
    HandshakeRefused,
    Resets,
    PrecisionDiffers,
    ClonedBox,
    LandingFull,
    LandingFailed,
    InboxBlocked,
    CertificateExpires,
    Loop,
    PipeError,
    Unsampled,
    PipeStopped,
}

impl TroubleKind {
    /// All kinds, in the order of the table.
    pub const ALL: [Self; 26] = [
        Self::SpoolFilling,
        Self::SpoolFull,
        Self::DiskSlow,
        Self::DiskFailing,
        Self::Stuck,
        Self::NoAnswer,
        Self::Refused,
        Self::Quarantine,
        Self::QuarantineFull,
        Self::DeadLetters,
        Self::FileTooLarge,
        Self::ClockWrong,
        Self::Held,
        Self::NotUnderstood,
        Self::HandshakeRefused,
        Self::Resets,
        Self::PrecisionDiffers,
        Self::ClonedBox,
        Self::LandingFull,
        Self::LandingFailed,
        Self::InboxBlocked,
        Self::CertificateExpires,
        Self::Loop,
        Self::PipeError,
        Self::Unsampled,
        Self::PipeStopped,
    ];

    /// The name in status, metrics and `ack`.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it lies on the disk until a person takes it away, so that it is there after a restart.
    pub const fn outlives(self) -> bool {
        matches!(self, Self::Quarantine | Self::DeadLetters | Self::PipeStopped)
    }

    /// What to do about it, unless the report knows better.
    pub fn remedy(self) -> &'static str {
        self.row().1
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::SpoolFilling => (
                "spool-filling",
                "bring the far side back, or raise [spool] max_bytes while the disk has room",
            ),
            Self::SpoolFull => (
                "spool-full",
                "bring the far side back, or raise [spool] max_bytes; to give entries up: spool release says who needs them",
            ),
            Self::DiskSlow => ("disk-slow", "look at the disk's health and at what else uses it"),
            Self::DiskFailing => (
                "disk-failing",
                "replace, repair or free the disk of data_dir, then restart the node",
            ),
            Self::Stuck => {
                ("stuck", "nothing: the watchdog restarts the node; please report it with the log")
            }
            Self::NoAnswer => (
                "no-answer",
                "look at the gate, the route and the far side; check --connect tries it",
            ),
            Self::Refused => (
                "refused",
                "look at the far side's log: it has room, knows the path and accepts the user?",
            ),
            Self::Quarantine => (
                "quarantine",
                "read the .why files, fetch or delete the things, then: ack quarantine",
            ),
            Self::QuarantineFull => (
                "quarantine-full",
                "empty the quarantine directory, or raise [quarantine] max_bytes",
            ),
            Self::DeadLetters => {
                ("dead-letters", "REPLAY PIPE sends them; or fetch them, then: ack dead-letters")
            }
            Self::FileTooLarge => {
                ("file-too-large", "make room for the bytes named, or raise [spool] max_bytes")
            }
            Self::ClockWrong => {
                ("clock-wrong", "set the clock, and look at its battery or time service")
            }
            Self::Held => (
                "held",
                "see spool-full, quarantine-full and disk-slow: senders wait until that is over",
            ),
            Self::NotUnderstood => (
                "not-understood",
                "a stock sender drops it after a minute, without a word: compare both sides, update this node",
            ),
            Self::HandshakeRefused => {
                ("handshake-refused", "correct user, password and cluster id at the peer's pipe")
            }
            Self::Resets => ("resets", "look at what sends to this port, and at the line between"),
            Self::PrecisionDiffers => {
                ("precision-differs", "configure the same timestamp_precision on both sides")
            }
            Self::ClonedBox => ("cloned-box", "run new-id on the box that is the copy"),
            Self::LandingFull => {
                ("landing-full", "fetch and remove landed files, or raise [landing] max_bytes")
            }
            Self::LandingFailed => (
                "landing-failed",
                "look at the landing directory's rights and free space; it is missing: install -d -m 2750 -o penstock -g penstock DIR",
            ),
            Self::InboxBlocked => (
                "inbox-blocked",
                "look at rights and owner of inbox and archive; one is missing: install -d -m 2770 -o penstock -g penstock DIR",
            ),
            Self::CertificateExpires => ("certificate-expires", "renew the certificate"),
            Self::Loop => ("loop", "set forwarding-pipe-requests=false on one pipe of the ring"),
            Self::PipeError => ("pipe-error", "correct what the pipe's message names"),
            Self::Unsampled => {
                ("unsampled", "divide the series among several pipes by their paths")
            }
            Self::PipeStopped => {
                ("pipe-stopped", "START PIPE, or DROP PIPE; or put its stanza back")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_table_lists_them() {
        let page = include_str!("kind.rs");
        for (index, kind) in TroubleKind::ALL.iter().enumerate() {
            assert!(page.contains(&format!("//! | `{}` | ", kind.name())), "{kind:?}");
            let first = TroubleKind::ALL.iter().position(|each| each.name() == kind.name());
            assert_eq!(first, Some(index));
            assert_eq!(TroubleKind::from_name(kind.name()), Some(*kind));
        }
    }
}

//! What a person can do about what keeps a node from starting.

use std::io::ErrorKind;

use super::NodeError;
use crate::spool::SpoolError;

impl NodeError {
    /// What to do, for the log beside the error.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::DataDir { source, .. } => disk(source.kind()),
            Self::Spool(source) => spool(source),
            Self::Consumer { .. } => "see the error; `check` says what the configuration wants",
            Self::Pipe { .. } | Self::Secret { .. } => {
                "correct the key, its file or its variable; `check` names the line"
            }
            Self::Listen { source, .. } => listener(source.kind()),
            Self::Control(_) => "see the error; the socket lies in the data or runtime directory",
            Self::System { .. } => {
                "see the limits of the service: LimitNOFILE=, TasksMax=, MemoryMax="
            }
            Self::ThreadEnded(_) => {
                "see the lines before this one; under systemd the node starts again by itself"
            }
        }
    }
}

fn spool(error: &SpoolError) -> &'static str {
    match error {
        SpoolError::Version { .. } => "run the later version that wrote it",
        SpoolError::Setting { .. } => "correct the setting in [spool]",
        SpoolError::Identity { .. } => "restore the file from a backup, or run new-id",
        SpoolError::Locked { .. } => {
            "another node, or a spool command, works there: stop it, or choose another data_dir"
        }
        SpoolError::TooMany { .. } => "take pipes out that are not used, or make segments larger",
        SpoolError::Disk(fatal) => disk(fatal.source.kind()),
    }
}

/// What to do where a directory or file of the node cannot be used.
pub fn disk(kind: ErrorKind) -> &'static str {
    pick(kind, DISK, "look at the disk and at the system's log")
}

/// What to do where an address cannot be listened on.
pub fn listener(kind: ErrorKind) -> &'static str {
    pick(kind, LISTENER, "see who listens there: ss -ltnp; stop that, or choose another port")
}

fn pick(kind: ErrorKind, known: &[(ErrorKind, &'static str)], usual: &'static str) -> &'static str {
    known.iter().find(|(known, _)| *known == kind).map_or(usual, |(_, remedy)| remedy)
}

const DISK: &[(ErrorKind, &str)] = &[
    (
        ErrorKind::PermissionDenied,
        "give it to the user that runs the node: chown -R penstock:penstock DIR; in a unit, ReadWritePaths=DIR",
    ),
    (
        ErrorKind::ReadOnlyFilesystem,
        "mount it writable, or choose a directory on another file system; in a unit, ReadWritePaths=DIR",
    ),
    (ErrorKind::NotADirectory, NO_DIRECTORY),
    (ErrorKind::AlreadyExists, NO_DIRECTORY),
    (ErrorKind::StorageFull, "make room there, or choose a directory on another disk"),
    (ErrorKind::QuotaExceeded, "make room there, or choose a directory on another disk"),
    (ErrorKind::NotFound, "make it, or choose another path"),
];

const NO_DIRECTORY: &str =
    "a file lies where a directory is wanted: move it away, or choose another path";

const LISTENER: &[(ErrorKind, &str)] = &[
    (
        ErrorKind::AddrNotAvailable,
        "no interface of this machine has that address: see ip addr; 0.0.0.0 stands for all",
    ),
    (ErrorKind::PermissionDenied, "choose a port above 1023"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_start_says_what_to_do() {
        let locked = NodeError::Spool(SpoolError::Locked { path: "spool/lock".into() });
        assert!(locked.remedy().contains("choose another data_dir"));
        let listen = |kind: ErrorKind| NodeError::Listen {
            key: "gate.listen",
            address: ([127, 0, 0, 1], 9780).into(),
            source: kind.into(),
        };
        assert!(listen(ErrorKind::AddrInUse).remedy().contains("another port"));
        assert!(listen(ErrorKind::AddrNotAvailable).remedy().contains("ip addr"));
    }
}

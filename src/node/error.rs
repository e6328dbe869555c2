//! Why a node does not start, or does not go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::ops::status::Bind;
use crate::spool::{Fatal, PartialError, SpoolError, is_full};

/// Everything here ends the program with exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory cannot be used.
    #[error("data directory: {operation} {path}: {source}")]
    DataDir {
        /// What was being done.
        operation: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The spool cannot be opened.
    #[error("spool: {0}")]
    Spool(#[from] SpoolError),
    /// A consumer cannot be made.
    #[error("consumer {name}: {source}")]
    Consumer {
        /// Its name.
        name: String,
        /// What the spool said.
        source: PartialError,
    },
    /// A pipe cannot run.
    #[error("pipe {pipe}: {why}")]
    Pipe {
        /// The pipe.
        pipe: String,
        /// What is wrong.
        why: String,
    },
    /// A secret cannot be read.
    #[error("{key}: {source}")]
    Secret {
        /// The key whose value it is.
        key: String,
        /// What the system said.
        source: io::Error,
    },
    /// A listener cannot be bound.
    #[error("{key}: cannot listen on {address}: {source}")]
    Listen {
        /// The key whose value it is.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The control socket cannot be bound.
    #[error(transparent)]
    Control(#[from] Bind),
    /// A thread, the runtime or the signals cannot be had.
    #[error("{what}: {source}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A thread has ended on its own; its last words are in the log.
    #[error("the {0} thread has ended")]
    ThreadEnded(&'static str),
}

impl NodeError {
    /// The error of the disk that it is, if it does not end by itself: where there is no room, somebody may make some, and
    /// the next start finds it.
    pub(super) fn fatal(&self) -> Option<&Fatal> {
        let (Self::Spool(SpoolError::Disk(fatal))
        | Self::Consumer { source: PartialError::Fatal(fatal), .. }) = self
        else {
            return None;
        };
        (!is_full(&fatal.source)).then_some(fatal)
    }
}

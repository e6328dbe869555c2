//! One connection's way to the spool: a guest of the gate thread.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::intake::gate::Inlets;
use crate::link::receiver::{Case, Guest, Policy};
use crate::wire::frame::write_header;

/// The way; it ends with this.
#[derive(Debug)]
pub(super) struct Door {
    stream: UnixStream,
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The gate says why; the way goes on if it does not end it.
    Case(Case),
    /// The way has ended without a word: there was no place for it, or the node stops.
    Ended,
    /// It was not tried: too many wrong passwords came from there.
    Locked,
}

impl Door {
    /// Opens one.
    ///
    /// # Errors
    /// As [`Inlets::open`].
    pub(super) fn open(
        inlets: &Inlets,
        peer: SocketAddr,
        guest: Guest,
        policy: &Arc<Policy>,
    ) -> io::Result<Self> {
        let stream = inlets.open(peer, guest, Arc::clone(policy))?;
        Ok(Self { stream: UnixStream::from_std(stream)? })
    }

    /// Begins a request of so many bytes, which [`Door::put`] brings.
    pub(super) async fn begin(&mut self, payload_bytes: u32) -> Result<(), Refused> {
        self.put(&write_header(payload_bytes, 0)).await
    }

    /// Brings some of its bytes.
    pub(super) async fn put(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        match self.stream.write_all(bytes).await {
            Ok(()) => Ok(()),
            // The way was ended; why, may be there to be read.
            Err(_) => Err(self.answer().await.err().unwrap_or(Refused::Ended)),
        }
    }

    /// Waits for what became of the request: it is on disk, or was not taken.
    pub(super) async fn answer(&mut self) -> Result<(), Refused> {
        match self.stream.read_u8().await {
            Ok(0) => Ok(()),
            Ok(code) => Err(Case::of_code(code).map_or(Refused::Ended, Refused::Case)),
            Err(_) => Err(Refused::Ended),
        }
    }

    /// Brings a whole request.
    pub(super) async fn request(&mut self, payload: &[u8]) -> Result<(), Refused> {
        self.begin(u32::try_from(payload.len()).unwrap_or(u32::MAX)).await?;
        self.put(payload).await
    }
}

//! Frames of a connection: what comes within its time, and what goes.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::limits::{SESSION_READ_MAX, SESSION_WRITE_MAX};
use crate::wire::thrift::LENGTH_BYTES;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Over {
    /// The client has closed it between two frames.
    #[error("closed")]
    Closed,
    /// It failed.
    #[error("{0}")]
    Lost(#[from] io::Error),
    /// Nothing came or went for too long.
    #[error("silent for {} s", .0.as_secs())]
    Late(Duration),
    /// What came is no frame of IoTDB's.
    #[error("{0}")]
    NoFrame(&'static str),
}

/// The frames of a stream.
#[derive(Debug)]
pub(super) struct Frames<S> {
    stream: S,
    /// Bytes of the present frame that have not been read.
    left: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, left: 0 }
    }

    /// Waits for a frame of at most `most` bytes, at most for so long, and returns how many it has.
    pub(super) async fn next(&mut self, most: usize, idle: Duration) -> Result<usize, Over> {
        let mut length = [0; LENGTH_BYTES];
        let (first, rest) = length.split_at_mut(1);
        match timeout(idle, self.stream.read(first)).await {
            Ok(Ok(0)) => return Err(Over::Closed),
            Ok(read) => drop(read?),
            Err(_) => return Err(Over::Late(idle)),
        }
        in_time(SESSION_READ_MAX, self.stream.read_exact(rest)).await?;
        let stated = i32::from_be_bytes(length);
        match usize::try_from(stated) {
            Ok(0) | Err(_) => Err(Over::NoFrame(hint(length))),
            Ok(bytes) if bytes > most => Err(Over::NoFrame(hint(length))),
            Ok(bytes) => {
                self.left = bytes;
                Ok(bytes)
            }
        }
    }

    /// Bytes of the frame that have not been read.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Reads bytes of the frame behind what `buffer` holds, until that is `bytes` long or the frame ends.
    pub(super) async fn fill(&mut self, buffer: &mut Vec<u8>, bytes: usize) -> Result<(), Over> {
        let start = buffer.len();
        let wanted = bytes.saturating_sub(start).min(self.left);
        buffer.resize(start + wanted, 0);
        let mut room = buffer.get_mut(start..).unwrap_or_default();
        while !room.is_empty() {
            let count = in_time(SESSION_READ_MAX, self.stream.read(room)).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.left = self.left.saturating_sub(count);
            room = room.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes whole frames.
    pub(super) async fn write(&mut self, frames: &[u8]) -> Result<(), Over> {
        in_time(SESSION_WRITE_MAX, async {
            self.stream.write_all(frames).await?;
            self.stream.flush().await
        })
        .await
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, Over> {
    match timeout(limit, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Over::Late(limit)),
    }
}

/// The same for work that has time limits of its own.
pub(super) async fn whole_in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Over>>,
) -> Result<T, Over> {
    timeout(limit, work).await.unwrap_or(Err(Over::Late(limit)))
}

/// What the first four bytes of something else are.
fn hint(length: [u8; LENGTH_BYTES]) -> &'static str {
    match length {
        [b'G', b'E', b'T', b' '] | [b'P', b'O', b'S', b'T'] => "it speaks HTTP",
        [0x16, 3, ..] => "it speaks TLS, and this listener does not",
        _ => "its first four bytes are no length of a frame",
    }
}

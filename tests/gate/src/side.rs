//! One socket of a connection, with what the poller last said about it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Side {
    socket: TcpStream,
    readable: bool,
    writable: bool,
    mood: Mood,
}

/// Whether there is any use in reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// The peer may say more.
    Talking,
    /// The peer has ended its stream.
    Ended,
    /// The poller does not watch it any more.
    Forgotten,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Took {
    /// So many bytes.
    Bytes(usize),
    /// Nothing at present.
    Nothing,
    /// The peer's end of stream.
    End,
    /// The peer is gone.
    Broken,
}

/// What a write did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gave {
    /// So many bytes were taken.
    Bytes(usize),
    /// None is taken at present.
    Nothing,
    /// The peer is gone.
    Broken,
}

impl Side {
    /// Watches a socket that is connected or being connected.
    ///
    /// # Errors
    /// When the poller or the socket refuses.
    pub(crate) fn new(
        mut socket: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { socket, readable: false, writable: false, mood: Mood::Talking })
    }

    /// The poller has news of this socket.
    pub(crate) fn handle_ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Whether a read may bring something.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable && self.mood == Mood::Talking
    }

    /// Whether a connection that was being made is made, or why it cannot be.
    pub(crate) fn poll_connected(&self) -> Option<io::Result<()>> {
        if !self.writable && !self.readable {
            return None;
        }
        match self.socket.take_error() {
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
            Ok(None) => {}
        }
        match self.socket.peer_addr() {
            Ok(_) => Some(self.socket.set_nodelay(true)),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Reads what is there.
    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> Took {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => {
                    self.mood = Mood::Ended;
                    return Took::End;
                }
                Ok(count) => return Took::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Took::Nothing;
                }
                Err(_) => return Took::Broken,
            }
        }
    }

    /// Writes what can be written.
    pub(crate) fn give(&mut self, bytes: &[u8]) -> Gave {
        while self.writable {
            match self.socket.write(bytes) {
                Ok(count) => return Gave::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(_) => return Gave::Broken,
            }
        }
        Gave::Nothing
    }

    /// Tells the peer that nothing more will come. A peer that is gone already does not mind.
    pub(crate) fn end(&self) {
        drop(self.socket.shutdown(Shutdown::Write));
    }

    /// The poller forgets the socket, which stays open.
    pub(crate) fn forget(&mut self, registry: &Registry) {
        if self.mood != Mood::Forgotten {
            drop(registry.deregister(&mut self.socket));
        }
        self.mood = Mood::Forgotten;
    }

    /// Closes the socket by a reset.
    pub(crate) fn reset(self) {
        drop(SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)));
    }

    /// The peer's address.
    ///
    /// # Errors
    /// When the peer is gone.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }
}

//! What a line is made of: a connection through a gate, or a program.

use std::io;

use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use super::program;

/// Either of them.
#[derive(Debug)]
pub(super) enum Socket {
    Gate(TcpStream),
    /// The program ends with it.
    Program(UnixStream, program::Running),
}

impl Socket {
    /// Waits until there are bytes, an end or an error.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Gate(stream) => stream.readable().await,
            Self::Program(stream, _) => stream.readable().await,
        }
    }

    /// Waits until it can be read or written.
    pub(super) async fn ready(&self) -> io::Result<Ready> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Gate(stream) => stream.ready(interest).await,
            Self::Program(stream, _) => stream.ready(interest).await,
        }
    }

    /// Waits until it takes bytes, or has an error.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Gate(stream) => stream.writable().await,
            Self::Program(stream, _) => stream.writable().await,
        }
    }

    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gate(stream) => stream.try_read(into),
            Self::Program(stream, _) => stream.try_read(into),
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gate(stream) => stream.try_write(bytes),
            Self::Program(stream, _) => stream.try_write(bytes),
        }
    }

    /// Reads what the system has, whatever the runtime knows.
    pub(super) fn read_now(&self, into: &mut [u8]) -> io::Result<usize> {
        let socket = match self {
            Self::Gate(stream) => SockRef::from(stream),
            Self::Program(stream, _) => SockRef::from(stream),
        };
        io::Read::read(&mut &*socket, into)
    }
}

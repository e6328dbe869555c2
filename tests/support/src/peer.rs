//! Blocking air-gap senders, as simple as they come.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{clock, frames};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Between two attempts, as somebody who is refused does not come back at once.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// A stock sender at its best: sends the same payload again, over a new connection where the last
/// one ended, until it is answered with 0x00.
#[derive(Debug)]
pub struct Stubborn {
    address: SocketAddr,
    peer: Option<Peer>,
}

/// One connection to a gate.
#[derive(Debug)]
pub struct Peer {
    socket: TcpStream,
}

impl Stubborn {
    /// Sends to this gate.
    pub fn to(address: SocketAddr) -> Self {
        Self { address, peer: None }
    }

    /// Sends a payload until it is taken.
    ///
    /// # Errors
    /// When it was not within a minute: the test has failed, and must not go on for ever.
    pub fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let deadline = clock::now() + ANSWER_MAX;
        while self.peer.as_mut().and_then(|peer| peer.ask(payload).ok()) != Some(0) {
            if clock::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no tablet is taken"));
            }
            self.peer = Peer::introduce(self.address, "stock").ok();
            if self.peer.is_none() {
                clock::pause(RETRY_PAUSE);
            }
        }
        Ok(())
    }
}

impl Peer {
    /// Connects, and says nothing.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_MAX))?;
        socket.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(Self { socket })
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// When nobody listens, or the handshake is refused.
    pub fn introduce(address: SocketAddr, cluster_id: &str) -> io::Result<Self> {
        let mut peer = Self::connect(address)?;
        match peer.ask(&frames::handshake(cluster_id, "ms"))? {
            0 => Ok(peer),
            other => Err(io::Error::other(format!("handshake answered with 0x{other:02x}"))),
        }
    }

    /// Sends a payload in a frame, and waits for its answer.
    ///
    /// # Errors
    /// When the connection ends or the answer takes too long.
    pub fn ask(&mut self, payload: &[u8]) -> io::Result<u8> {
        self.send(&frames::frame(payload))?;
        self.answer()
    }

    /// Sends a whole file in pieces and its seal; returns the seal's answer.
    ///
    /// # Errors
    /// When the connection ends, an answer takes too long, or a piece is refused.
    pub fn send_file(&mut self, name: &str, bytes: &[u8], piece_bytes: usize) -> io::Result<u8> {
        let mut start = 0;
        for piece in bytes.chunks(piece_bytes.max(1)) {
            match self.ask(&frames::piece(frames::PIECE, name, start, piece))? {
                0 => start += u64::try_from(piece.len()).unwrap_or(u64::MAX),
                other => {
                    return Err(io::Error::other(format!("piece answered with 0x{other:02x}")));
                }
            }
        }
        self.ask(&frames::seal(name, start))
    }

    /// Sends raw bytes.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Waits for one answer byte.
    ///
    /// # Errors
    /// When the connection ends (`UnexpectedEof` in order, `ConnectionReset` by a reset) or time is up.
    pub fn answer(&mut self) -> io::Result<u8> {
        let mut answer = [0];
        self.socket.read_exact(&mut answer)?;
        let [answer] = answer;
        Ok(answer)
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

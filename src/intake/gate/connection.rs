//! One connection of the table: its socket, its machine, and what is known of it.
//!
//! A guest is a connection from within the program. Its answer is one byte as well: 0, or [`Case::code`], also in front of
//! the end of one that is over; since it leaves no gate, it may say why.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use super::store::GateStore;
use crate::limits;
use crate::link::receiver::{Case, Guest, Policy, Receiver};
use crate::ops::board::Crossing;
use crate::spool::LinkId;
use crate::wire::answer::Answer;

/// What a connection is made of.
#[derive(Debug)]
enum Socket {
    Peer(TcpStream),
    Guest(UnixStream),
}

/// A connection.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing, and any may hold")]
pub(super) struct Connection {
    socket: Socket,
    pub(super) peer: SocketAddr,
    pub(super) machine: Receiver,
    /// The kernel may have bytes for us.
    pub(super) readable: bool,
    /// The peer has shut its side: what is in the kernel is all that comes.
    pub(super) shut: bool,
    /// All that came was read, or the socket has failed.
    ended: bool,
    /// An answer that the kernel has not taken yet.
    unsent: Option<u8>,
    /// When bytes came or went last.
    pub(super) active_at: Instant,
    /// Something of it is at the spool thread, so that its end has to be told there.
    pub(super) touched: bool,
    /// Its answer is shown as held.
    pub(super) held: bool,
    /// The file that crosses.
    pub(super) crossing: Option<(String, Crossing)>,
}

/// Which connections are spared first when the table is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spared {
    /// Its peer has shut its side: nobody waits for the answer.
    Shut,
    /// Nothing is on its way; the one that was silent longest goes first.
    Silent,
    /// The rest of its frame finds no room, and its peer may have given up: we would not see it. It owes us the frame,
    /// and not we an answer.
    Stuck,
}

/// Why a turn of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It waits: for the peer, or for the spool.
    Waits,
    /// Its share of this turn is used up.
    Again,
    /// It is over; the peer ended it.
    Gone,
    /// It has to be reset.
    Reset,
}

impl Connection {
    /// Prepares a socket that was just accepted: whatever happens to it or to the program from now on
    /// shows as a reset at the peer, never as an orderly end.
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        link: LinkId,
        policy: Arc<Policy>,
        now: Instant,
    ) -> std::io::Result<Self> {
        let socket = SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(limits::KEEPALIVE_AFTER)
            .with_interval(limits::KEEPALIVE_INTERVAL)
            .with_retries(limits::KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(limits::UNACKNOWLEDGED_MAX))?;
        Ok(Self::of(Socket::Peer(stream), peer, Receiver::new(link, policy), now))
    }

    /// The same for what comes from within the program; `peer` is who is behind it.
    pub(super) fn within(
        stream: UnixStream,
        (peer, guest): (SocketAddr, Guest),
        link: LinkId,
        policy: Arc<Policy>,
        now: Instant,
    ) -> Self {
        Self::of(Socket::Guest(stream), peer, Receiver::within(link, policy, guest), now)
    }

    fn of(socket: Socket, peer: SocketAddr, machine: Receiver, now: Instant) -> Self {
        Self {
            socket,
            peer,
            machine: machine.labelled(peer.to_string()),
            readable: true,
            shut: false,
            ended: false,
            unsent: None,
            active_at: now,
            touched: false,
            held: false,
            crossing: None,
        }
    }

    /// Has the poll tell what happens to it.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> std::io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match &mut self.socket {
            Socket::Peer(stream) => stream.register(registry, token, interest),
            Socket::Guest(stream) => stream.register(registry, token, interest),
        }
    }

    /// Whether it comes from within the program.
    pub(super) const fn is_guest(&self) -> bool {
        matches!(self.socket, Socket::Guest(_))
    }

    /// How well it can be spared; not at all if an answer is owed to a peer that may wait for it.
    pub(super) fn spared(&self) -> Option<Spared> {
        if self.shut {
            Some(Spared::Shut)
        } else if !self.machine.is_held() {
            Some(Spared::Silent)
        } else {
            (!self.machine.is_whole()).then_some(Spared::Stuck)
        }
    }

    /// Answers, reads, and hands over, until there is nothing to do or the share is used up.
    pub(super) fn turn(&mut self, now: Instant, buffer: &mut [u8], store: &mut GateStore) -> Turn {
        let mut share = limits::TURN_BYTES;
        loop {
            if let Some(end) = self.answer(now) {
                return end;
            }
            if !self.readable {
                return Turn::Waits;
            }
            let wanted = self.machine.wanted(now, store).min(buffer.len());
            if wanted == 0 {
                return Turn::Waits;
            }
            if share == 0 {
                return Turn::Again;
            }
            let window = buffer.get_mut(..wanted.min(share)).unwrap_or_default();
            share -= self.read(now, window, store);
        }
    }

    /// Writes what is owed. `Some`: nothing can be read after it.
    fn answer(&mut self, now: Instant) -> Option<Turn> {
        if let Some(answer) = self.machine.poll_answer() {
            let refusal = self.machine.refusal().filter(|_| answer == Answer::Refused);
            let why = refusal.filter(|_| self.is_guest());
            self.unsent = Some(why.map_or_else(|| answer.byte(), Case::code));
            self.held = false;
        } else if let Some(case) = self.machine.poll_reset()
            && self.is_guest()
        {
            self.unsent = Some(case.code());
        }
        let sent = self.send(now);
        if self.ended && (!sent || !self.machine.is_held()) {
            return Some(Turn::Gone);
        }
        if !sent || self.ended {
            return Some(Turn::Waits);
        }
        self.machine.poll_reset().map(|_| Turn::Reset)
    }

    /// Reads once, and returns how many bytes came.
    fn read(&mut self, now: Instant, window: &mut [u8], store: &mut GateStore) -> usize {
        let read = match &mut self.socket {
            Socket::Peer(stream) => stream.read(window),
            Socket::Guest(stream) => stream.read(window),
        };
        match read {
            Ok(0) => self.ended = true,
            Ok(count) => {
                // A short read has emptied the kernel's buffer; only an end can stand there.
                self.readable = count == window.len() || self.shut;
                self.active_at = now;
                let input = window.get(..count).unwrap_or_default();
                self.machine.handle_input(now, input, store);
                return count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                log::debug!("event=read_failed peer={} error={error}", self.peer);
                self.ended = true;
            }
        }
        0
    }

    /// Writes the answer. `false`: the kernel does not take it now, or the connection is dead.
    fn send(&mut self, now: Instant) -> bool {
        let Some(byte) = self.unsent else { return true };
        loop {
            let written = match &mut self.socket {
                Socket::Peer(stream) => stream.write(&[byte]),
                Socket::Guest(stream) => stream.write(&[byte]),
            };
            match written {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    self.unsent = None;
                    self.active_at = now;
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.ended = true,
            }
            return false;
        }
    }

    /// Whether the socket has failed while nobody was reading.
    pub(super) fn has_failed(&self) -> bool {
        let error = match &self.socket {
            Socket::Peer(stream) => stream.take_error(),
            Socket::Guest(stream) => stream.take_error(),
        };
        !matches!(error, Ok(None))
    }
}

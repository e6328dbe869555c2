//! Ways into the gate thread from within the program: other intakes bring their requests as guests.
//!
//! ```text
//!  session --- open(guest) ---> queue ---> table of the gate thread (a part of its own, so that guests and peers never
//!          === socket pair ===> machine     take each other's places)
//!          <--- 0, or why not
//! ```
//!
//! A guest speaks as a peer does, a frame and an answer, so that large requests go to disk while they come, a full spool
//! holds whoever writes, and what is answered is synced: all by what the gate does anyway.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mio::{Token, Waker};

use super::connection::Connection;
use super::{Gate, TABLE};
use crate::link::receiver::{Guest, Policy};

/// How other intakes open such a way. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Inlets {
    queue: Arc<Mutex<VecDeque<Arrival>>>,
    waker: Arc<Waker>,
}

/// A guest that has not been admitted yet.
#[derive(Debug)]
pub(super) struct Arrival {
    stream: UnixStream,
    peer: SocketAddr,
    guest: Guest,
    policy: Arc<Policy>,
}

impl Inlets {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self { queue: Arc::default(), waker }
    }

    /// Our end of a new way, non-blocking. `peer` is who is behind it. It ends at once, without an answer, if all places are
    /// taken.
    ///
    /// # Errors
    /// What the system says: there are too few file handles.
    pub fn open(
        &self,
        peer: SocketAddr,
        guest: Guest,
        policy: Arc<Policy>,
    ) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let arrival = Arrival { stream: theirs, peer, guest, policy };
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(arrival);
        self.waker.wake()?;
        Ok(ours)
    }

    fn next(&self) -> Option<Arrival> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Gate {
    /// How other intakes bring their requests here.
    pub fn inlets(&self) -> Inlets {
        self.inlets.clone()
    }

    pub(super) fn admit_guests(&mut self, now: Instant) {
        while let Some(Arrival { stream, peer, guest, policy }) = self.inlets.next() {
            let places = self.table.get(self.peers..).unwrap_or_default();
            let free = places.iter().position(Option::is_none).map(|place| place + self.peers);
            // Dropping it ends it.
            let Some(index) = free.filter(|_| !self.too_many_end()) else {
                log::warn!("event=no_place_for_guest peer={peer}");
                continue;
            };
            let stream = mio::net::UnixStream::from(OwnedFd::from(stream));
            let link = self.next_guest();
            let mut connection = Connection::within(stream, (peer, guest), link, policy, now);
            match connection.register(self.poll.registry(), Token(index + TABLE)) {
                Ok(()) => self.place(index, connection),
                Err(error) => log::warn!("event=guest_not_admitted peer={peer} error={error}"),
            }
        }
    }
}

//! The gate: the air-gap receiver of the node, on a thread of its own.
//!
//! ```text
//!            accept       +------------- table, of fixed size ------------+
//!  peers --------------->| connection: socket, machine                    |
//!         <-- one byte -- |   read into the shared buffer, no further than |--> stage --> spool
//!                        |   the frame, and no more than can be placed     |     thread
//!                        +------------------------------------------------+
//!                                   ^ outcomes, room (waker)                      |
//!                                   +---------------------------------------------+
//! ```
//!
//! One thread serves all connections with non-blocking sockets. A connection that waits is not read; one
//! that has much to say is interrupted after [`limits::TURN_BYTES`], so that the others have their turn.
//! When the table is full the connection that was silent longest makes way, whatever its address; one
//! whose answer we still owe is not silent. Every socket has linger 0 from the start.
//!
//! In the steady state the thread allocates nothing: buffers, table and stage are made at the start.

mod connection;
mod events;
mod inlets;
mod stopping;
pub mod store;

pub use self::inlets::Inlets;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::watch;

use self::connection::{Connection, Turn};
use self::events::Repeats;
use self::store::GateStore;
use crate::config::Network;
use crate::data::Precision;
use crate::keep::stage::{Record, Report, Stage};
use crate::limits;
use crate::link::receiver::{Policy, Store};
use crate::ops::board::{Board, Intake, IntakeKind};
use crate::ops::clock;
use crate::ops::log::Rarely;
use crate::ops::stamp::{Loop, Stamp};
use crate::spool::LinkId;

/// What the gate has to know.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen, if anywhere: other intakes bring their requests without it.
    pub listen: Option<SocketAddr>,
    /// Connections at one time.
    pub max_connections: usize,
    /// Guests at one time, see [`Inlets`].
    pub guests: usize,
    /// Who may connect; empty: everyone.
    pub allow: Vec<Network>,
    /// What the receivers keep to.
    pub policy: Policy,
    /// The node's unit of time, if it has one; the first peer fixes it otherwise, and whoever keeps
    /// the other end makes that last.
    pub precision: watch::Sender<Option<Precision>>,
    /// [`Spool::boot`](crate::spool::Spool::boot), which makes the ids of connections unique.
    pub boot: u32,
}

/// The gate, listening.
#[derive(Debug)]
pub struct Gate {
    poll: Poll,
    listener: Option<TcpListener>,
    address: Option<SocketAddr>,
    inlets: Inlets,
    policy: Arc<Policy>,
    allow: Vec<Network>,
    boot: u32,
    links: u32,
    /// `max_connections` places, and behind them those of guests.
    table: Vec<Option<Connection>>,
    /// How many of them are for peers.
    peers: usize,
    store: GateStore,
    buffer: Vec<u8>,
    /// Links whose end is not on the stage yet.
    to_close: Vec<LinkId>,
    /// Links whose end the spool thread has not reported yet.
    closing: Vec<LinkId>,
    reports: Vec<Report>,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    resets: Repeats,
    /// Peers may be waiting to be accepted: when to try again.
    knock_at: Option<Instant>,
    refusals: Repeats,
    /// Connections that made way, and peers for whom there was no place.
    made_way: Rarely,
    turned_away: Rarely,
    /// Who is served first; another one each turn, since the first may use up the stage.
    first: usize,
}

/// How other threads stop the gate.
#[derive(Debug, Clone)]
pub struct GateHandle {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl GateHandle {
    /// Ends the thread in order: no new frame is begun; what becomes durable within
    /// [`limits::STOP_ANSWER_MAX`] is answered, the rest is reset.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            log::error!("event=wake_failed thread=gate error={error}");
        }
    }
}

/// Why nobody was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Nobody waits.
    Empty,
    /// This one has gone; others may wait.
    One,
    /// We lack file handles or memory; whoever waits goes on waiting.
    All,
}

impl Refused {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are ours")]
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Empty,
            io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset => Self::One,
            _ => Self::All,
        }
    }
}

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// Tokens of the table begin here.
const TABLE: usize = 2;
/// Events taken at one time.
const EVENTS: usize = 128;

impl Gate {
    /// Binds the listener.
    ///
    /// # Errors
    /// What the system says: the address is taken, or there are too few file handles.
    pub fn bind(settings: Settings, stage: Arc<Stage>, board: Arc<Board>) -> io::Result<Self> {
        let Settings { listen, max_connections, guests, allow, policy, precision, boot } = settings;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        stage.set_waker(Arc::clone(&waker));
        let mut listener = listen.map(TcpListener::bind).transpose()?;
        if let Some(listener) = &mut listener {
            poll.registry().register(listener, LISTENER, Interest::READABLE)?;
        }
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let peers = if listen.is_some() { max_connections.max(1) } else { 0 };
        let places = (peers + guests).max(1);
        Ok(Self {
            poll,
            listener,
            address,
            inlets: Inlets::new(Arc::clone(&waker)),
            peers,
            policy: Arc::new(policy),
            allow,
            boot,
            links: 0,
            table: std::iter::repeat_with(|| None).take(places).collect(),
            store: GateStore::new(stage, precision),
            buffer: vec![0; limits::READ_BYTES],
            to_close: Vec::with_capacity(places),
            closing: Vec::with_capacity(places),
            reports: Vec::with_capacity(places),
            board,
            stop: Arc::new(AtomicBool::new(false)),
            waker,
            resets: Repeats::default(),
            knock_at: None,
            refusals: Repeats::default(),
            made_way: Rarely::default(),
            turned_away: Rarely::default(),
            first: 0,
        })
    }

    /// The address that it listens on, if it does, with the port that the system chose.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What stops it.
    pub fn handle(&self) -> GateHandle {
        GateHandle { stop: Arc::clone(&self.stop), waker: Arc::clone(&self.waker) }
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// Polling failed, which only a bug or a lack of kernel memory explains.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut again = false;
        while !self.stop.load(Ordering::Acquire) {
            again = self.turn(&mut events, again)?;
        }
        self.finish(&mut events)?;
        self.board.stamps.of(Loop::Gate).retire();
        Ok(())
    }

    /// One turn: waits for something, then serves whoever can go on. Returns whether someone could go
    /// on at once.
    fn turn(&mut self, events: &mut Events, at_once: bool) -> io::Result<bool> {
        let now = clock::now();
        self.stamp().turn(now);
        let time = if at_once { Duration::ZERO } else { self.time_until_due(now) };
        if let Err(error) = self.poll.poll(events, Some(time))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error);
        }
        let now = clock::now();
        let mut knocked = self.knock_at.is_some_and(|at| at <= now);
        for event in events.iter() {
            match event.token() {
                LISTENER => knocked = true,
                WAKER => {}
                Token(token) => self.wake_connection(token, event),
            }
        }
        self.take_reports(now);
        let again = self.serve_table(now);
        if knocked {
            self.accept(now);
        }
        self.admit_guests(now);
        self.close_links();
        Ok(again)
    }

    fn stamp(&self) -> &Stamp {
        self.board.stamps.of(Loop::Gate)
    }

    fn intake_at(&self, index: usize) -> &Intake {
        let kind = if index < self.peers { IntakeKind::Gate } else { IntakeKind::Session };
        self.board.intake(kind)
    }

    fn time_until_due(&self, now: Instant) -> Duration {
        let due = self.table.iter().flatten().filter_map(|one| one.machine.poll_timeout()).min();
        let due = due.into_iter().chain(self.knock_at).min();
        due.map_or(limits::TURN_PERIOD_MAX, |due| due.saturating_duration_since(now))
            .min(limits::TURN_PERIOD_MAX)
    }

    fn wake_connection(&mut self, token: usize, event: &mio::event::Event) {
        let index = token.saturating_sub(TABLE);
        if let Some(Some(connection)) = self.table.get_mut(index) {
            connection.readable |= event.is_readable();
            connection.shut |= event.is_read_closed();
            if event.is_error() && connection.has_failed() {
                self.end(index, false);
            }
        }
    }

    /// Gives outcomes to their machines.
    fn take_reports(&mut self, now: Instant) {
        let mut reports = std::mem::take(&mut self.reports);
        self.store.stage().take_reports(&mut reports);
        for Report { link, outcome } in reports.drain(..) {
            let Some(outcome) = outcome else {
                self.closing.retain(|closing| *closing != link);
                continue;
            };
            let of_link = |one: &&mut Connection| one.machine.link() == link;
            if let Some(connection) = self.table.iter_mut().flatten().find(of_link) {
                connection.machine.handle_stored(now, &outcome, &mut self.store);
            }
        }
        self.reports = reports;
    }

    /// Lets every connection go on that can. Whoever waits for room or for a buffer is tried, too:
    /// there may be some since the last turn.
    fn serve_table(&mut self, now: Instant) -> bool {
        let mut again = false;
        let mut starved = false;
        let mut held = [0, 0];
        let mut pushed = false;
        self.first = (self.first + 1) % self.table.len();
        for index in (self.first..self.table.len()).chain(0..self.first) {
            let Some(Some(connection)) = self.table.get_mut(index) else { continue };
            if connection.machine.waits_for_room() {
                connection.machine.handle_room(now, &mut self.store);
            }
            if connection.machine.poll_timeout().is_some_and(|due| due <= now) {
                connection.machine.handle_timeout(now, &mut self.store);
            }
            let turn = connection.turn(now, &mut self.buffer, &mut self.store);
            if self.store.take_pushed() {
                connection.touched = true;
                pushed = true;
            }
            // Otherwise all that is ready now shares a sync.
            if pushed && self.store.room() < limits::STAGE_BYTES / 2 {
                self.store.stage().submit();
            }
            starved |= connection.machine.waits_for_room();
            self.note_events(index, now);
            match turn {
                Turn::Waits => {}
                Turn::Again => again = true,
                Turn::Gone => self.end(index, false),
                Turn::Reset => self.end(index, true),
            }
            let is_held = matches!(self.table.get(index), Some(Some(one)) if one.held);
            let [of_peers, of_guests] = &mut held;
            *(if index < self.peers { of_peers } else { of_guests }) += u64::from(is_held);
        }
        if pushed {
            self.store.stage().submit();
        }
        let [of_peers, of_guests] = held;
        self.board.intake(IntakeKind::Gate).held.set(of_peers);
        self.board.intake(IntakeKind::Session).held.set(of_guests);
        if starved && !self.store.stage().starve(limits::STAGE_BYTES) {
            // The stage is empty: room has just come, or it is a buffer that is waited for.
            let has_buffer = self.store.can_lend(limits::REQUEST_MEMORY_BYTES_MAX);
            again |= self.table.iter().flatten().any(|one| {
                one.machine.waits_for_room() && (has_buffer || !one.machine.waits_for_buffer())
            });
        }
        again
    }

    /// Accepts until nobody waits: the listener says so only once.
    fn accept(&mut self, now: Instant) {
        self.knock_at = None;
        loop {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer, now),
                Err(error) => match Refused::of(&error) {
                    Refused::Empty => return,
                    Refused::One => {}
                    Refused::All => {
                        log::warn!("event=accept_failed error={error}");
                        self.knock_at = Some(now + limits::ACCEPT_RETRY);
                        return;
                    }
                },
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, now: Instant) {
        let link = self.next_link();
        let connection = Connection::new(stream, peer, link, Arc::clone(&self.policy), now);
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => return log::debug!("event=not_admitted peer={peer} error={error}"),
        };
        // Dropping it resets it.
        if !self.is_allowed(peer.ip()) {
            return log::debug!("event=not_allowed peer={peer}");
        }
        let Some(index) = self.free_place(now) else {
            if let Some(count) = self.turned_away.note(now) {
                log::warn!("event=table_full count={count} peer={peer}");
            }
            return;
        };
        if let Err(error) = connection.register(self.poll.registry(), Token(index + TABLE)) {
            return log::warn!("event=not_admitted peer={peer} error={error}");
        }
        self.place(index, connection);
    }

    const fn next_link(&mut self) -> LinkId {
        let link = LinkId::new(self.boot, self.links);
        self.links = self.links.wrapping_add(1);
        link
    }

    const fn next_guest(&mut self) -> LinkId {
        let link = LinkId::of_guest(self.boot, self.links);
        self.links = self.links.wrapping_add(1);
        link
    }

    fn place(&mut self, index: usize, connection: Connection) {
        if let Some(place) = self.table.get_mut(index) {
            *place = Some(connection);
        }
        self.show_connections();
    }

    /// Whether too many ended links are still with the spool thread.
    fn too_many_end(&self) -> bool {
        self.closing.len() + self.to_close.len() >= self.table.len()
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|range| range.contains(address))
    }

    /// A free place; else the one that can be spared best. None if we owe every one of them an answer, or if too
    /// many ended links are still with the spool thread.
    fn free_place(&mut self, now: Instant) -> Option<usize> {
        if self.too_many_end() {
            return None;
        }
        let peers = self.table.get(..self.peers).unwrap_or_default();
        if let Some(free) = peers.iter().position(Option::is_none) {
            return Some(free);
        }
        let silent = peers.iter().enumerate().filter_map(|(index, place)| {
            let one = place.as_ref()?;
            Some((one.spared()?, one.active_at, index))
        });
        let (.., index) = silent.min()?;
        if let Some(count) = self.made_way.note(now) {
            log::info!("event=made_way count={count} table={}", self.peers);
        }
        self.end(index, true);
        Some(index)
    }

    /// Ends a connection: its socket is closed (by a reset, as linger is 0), and what it lent or left
    /// goes back.
    fn end(&mut self, index: usize, reset: bool) {
        let Some(mut connection) = self.table.get_mut(index).and_then(Option::take) else { return };
        let link = connection.machine.link();
        let peer = connection.peer;
        connection.machine.handle_close(&mut self.store);
        if self.store.take_pushed() || connection.touched {
            self.store.stage().give_up(link);
            self.to_close.push(link);
        }
        log::debug!("event=closed peer={peer} reset={reset}");
        drop(connection);
        self.show_connections();
    }

    /// Tells the spool thread which links are over, as far as there is room on the stage.
    fn close_links(&mut self) {
        while let Some(link) = self.to_close.last().copied() {
            if self.store.stage().room() == 0 || !self.store.stage().push(Record::Close(link), &[])
            {
                self.store.stage().starve(1);
                return;
            }
            self.store.stage().submit();
            self.to_close.pop();
            self.closing.push(link);
        }
    }

    fn show_connections(&self) {
        let (peers, guests) = self.table.split_at_checked(self.peers).unwrap_or_default();
        for (kind, places) in [(IntakeKind::Gate, peers), (IntakeKind::Session, guests)] {
            self.board.intake(kind).connections.set(places.iter().flatten().count() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_our_own_makes_everyone_wait() {
        let refused = |code| Refused::of(&io::Error::from_raw_os_error(code));
        for (code, expected) in [
            (rustix::io::Errno::AGAIN, Refused::Empty),
            (rustix::io::Errno::INTR, Refused::One),
            (rustix::io::Errno::CONNABORTED, Refused::One),
            (rustix::io::Errno::MFILE, Refused::All),
            (rustix::io::Errno::NFILE, Refused::All),
            (rustix::io::Errno::NOBUFS, Refused::All),
        ] {
            assert_eq!(refused(code.raw_os_error()), expected, "{code:?}");
        }
    }
}
